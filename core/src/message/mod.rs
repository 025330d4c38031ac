//! Messages: what users send and receive, and how brokers store them.
//!
//! [`Message`] goes out, [`StoredMessages`] come in; [`batch`] and [`stored`] know the bytes.
//! Bodies are never copied on the way in, and never inflated here: that is the caller's work.

pub mod batch;
pub mod batch_rules;
mod bytes_at;
mod delay;
#[doc(hidden)]
pub mod fuzz;
#[cfg(test)]
mod golden;
mod hash;
pub mod id;
#[expect(clippy::module_inception, reason = "the file is named after the one type it holds")]
mod message;
pub mod names;
pub(crate) mod outbound;
pub mod pop;
pub mod properties;
pub mod property;
mod queue;
pub mod stored;
pub mod sys_flag;
pub mod trace;
pub mod validate;

pub use batch::{batch_item_len, decode_batch, encode_batch};
pub use batch_rules::{Batches, InvalidBatch, batches, validate_batch};
pub use delay::DELAY_LEVELS;
pub(crate) use hash::java_trim;
pub use hash::{body_crc, java_string_hash, tags_code};
pub use id::{
    HexId, OffsetMsgId, RecallHandle, UniqKey, UniqKeyGenerator, offset_msg_id, parse_offset_msg_id,
};
pub use message::Message;
pub use properties::{Properties, split_keys};
pub(crate) use property::UNIQ_KEY_CHARS_MAX;
pub use queue::MessageQueue;
pub(crate) use stored::{Checked, CheckedMessages, RecordPlace};
pub use stored::{
    CrcMismatch, RawRecord, RecordError, RecordErrorKind, ScannedRecord, StoredMessage, StoredMessages,
    StoredRecord, encode_stored, scan_stored,
};
pub use sys_flag::perm;
pub use validate::{InvalidMessage, InvalidName, check_client_group, check_group, check_topic};
