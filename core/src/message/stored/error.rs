//! [`RecordError`]: a record that can't be decoded, and all that is known about it.

use alloc::sync::Arc;

/// One record of a pull body that can't be decoded. Its neighbours can.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "undecodable message at byte {at} of the answer (topic {topic:?}, queue offset {queue_offset:?}, \
         commit log offset {commit_log_offset:?}): {kind}"
)]
pub struct RecordError {
    /// What is wrong.
    #[source]
    pub kind: RecordErrorKind,
    /// Where the record begins in the body, in bytes.
    pub at: usize,
    /// How many bytes are lost with it: the record, or all that was left of the body when its
    /// size can't be believed.
    pub lost_bytes: usize,
    /// Whether nothing follows because the size couldn't be believed.
    pub ends_body: bool,
    /// The record's offset in its queue, unless the record is none or too short.
    pub queue_offset: Option<i64>,
    /// The record's offset in the commit log, likewise.
    pub commit_log_offset: Option<i64>,
    /// The record's queue, likewise.
    pub queue_id: Option<i32>,
    /// The record's topic, where it could be read.
    pub topic: Option<Arc<str>>,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordErrorKind {
    /// The body ends before the record's size.
    #[error("{left} bytes are left, too few for a size")]
    NoSize {
        /// Bytes left in the body.
        left: usize,
    },
    /// The record's size is smaller than any record or larger than what is left.
    #[error("its size is {size}, but a record has at least {min} bytes and {left} are left")]
    Size {
        /// The size the record claims.
        size: i32,
        /// The smallest size of a record.
        min: usize,
        /// Bytes left in the body.
        left: usize,
    },
    /// The magic number is neither of the two known versions.
    #[error("its magic number {magic:#010x} is of no known version")]
    Magic {
        /// The number.
        magic: u32,
    },
    /// A part of the record reaches beyond its end.
    #[error("its {part} reaches beyond its {size} bytes")]
    Part {
        /// The part.
        part: &'static str,
        /// The record's size.
        size: usize,
    },
    /// A length is negative.
    #[error("the length of its {part} is {len}")]
    NegativeLength {
        /// The part.
        part: &'static str,
        /// The length.
        len: i32,
    },
    /// A host's port is no port.
    #[error("the port of its {part} is {port}")]
    Port {
        /// "born host" or "store host".
        part: &'static str,
        /// The number.
        port: i32,
    },
    /// The topic isn't UTF-8.
    #[error("its topic isn't UTF-8")]
    TopicText,
    /// An item of an inner batch has a size that can't be believed; those before it were fine.
    #[error("item {index} of its inner batch can't be read: {error}")]
    InnerBatch {
        /// The item, from 0.
        index: usize,
        /// What is wrong with its bytes.
        error: crate::message::batch::BatchError,
    },
}
