//! Ids that travel as text: of messages, by producer and by place, and recall handles.

mod hex;
mod offset;
mod recall;
mod text;
mod uniq_key;

pub use hex::HexId;
pub use offset::{OffsetMsgId, offset_msg_id, parse_offset_msg_id};
pub use recall::{InvalidRecallHandle, RecallHandle};
pub use text::IdText;
pub use uniq_key::{UniqKey, UniqKeyGenerator};
