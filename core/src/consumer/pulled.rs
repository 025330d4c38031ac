//! The messages of one answer of a broker, shared by all who hold one of them.

use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;
use core::ops::Deref;

use crate::message::{MessageQueue, RecordError, StoredMessage};

/// A message that was pulled, or a record that can't be read. Cheap to clone and small to move: the answer
/// that it came in is kept once, as long as one of its messages is.
#[derive(Clone)]
pub struct PulledMessage {
    answer: Arc<Answer>,
    index: u32,
}

struct Answer {
    queue: Arc<MessageQueue>,
    records: Vec<Result<StoredMessage, RecordError>>,
}

impl PulledMessage {
    /// A message of an answer of its own.
    #[must_use]
    pub fn alone(queue: Arc<MessageQueue>, record: Result<StoredMessage, RecordError>) -> Self {
        Self { answer: Arc::new(Answer { queue, records: vec![record] }), index: 0 }
    }

    /// All of an answer, in its order.
    pub(super) fn all(
        queue: Arc<MessageQueue>,
        records: Vec<Result<StoredMessage, RecordError>>,
    ) -> impl Iterator<Item = Self> {
        let count = u32::try_from(records.len()).expect("an answer has fewer than 2^32 bytes");
        let answer = Arc::new(Answer { queue, records });
        (0..count).map(move |index| Self { answer: answer.clone(), index })
    }

    /// The queue it came from.
    #[must_use]
    pub fn queue(&self) -> &Arc<MessageQueue> {
        &self.answer.queue
    }

    /// The message or what is wrong with it.
    pub fn record(&self) -> &Result<StoredMessage, RecordError> {
        &self.answer.records[self.index as usize]
    }
}

impl Deref for PulledMessage {
    type Target = Result<StoredMessage, RecordError>;

    fn deref(&self) -> &Self::Target {
        self.record()
    }
}

impl fmt::Debug for PulledMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.record().fmt(f)
    }
}
