//! What a broker says of a message that it has stored.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

use memchr::memchr;

use crate::message::MessageQueue;
use crate::message::id::{HexId, IdText};
use crate::remoting::{HeaderError, RemotingCommand, ResponseCode, SendMessageResponseHeader};

/// How safely a message is stored. All of these mean that it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SendStatus {
    /// As the broker is configured to.
    SendOk,
    /// Not yet on disk when the broker's patience ended.
    FlushDiskTimeout,
    /// Not yet on a slave when the broker's patience ended.
    FlushSlaveTimeout,
    /// No slave was there to copy it.
    SlaveNotAvailable,
}

impl SendStatus {
    /// The status that a response code stands for; `None` for codes that are errors.
    #[must_use]
    pub fn from_code(code: ResponseCode) -> Option<Self> {
        Some(match code {
            ResponseCode::SUCCESS => Self::SendOk,
            ResponseCode::FLUSH_DISK_TIMEOUT => Self::FlushDiskTimeout,
            ResponseCode::FLUSH_SLAVE_TIMEOUT => Self::FlushSlaveTimeout,
            ResponseCode::SLAVE_NOT_AVAILABLE => Self::SlaveNotAvailable,
            _ => return None,
        })
    }
}

/// Proof that a message is stored. Java: `SendResult`. Shown as `topic@broker:queue offset n`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct SendReceipt {
    /// How safely.
    pub status: SendStatus,
    /// The message's unique key, given by this client.
    pub message_id: HexId,
    /// The id made of the broker's address and the position in its log.
    pub offset_message_id: IdText,
    /// The queue it is in.
    pub queue: Arc<MessageQueue>,
    /// Its place in that queue.
    pub queue_offset: i64,
    /// The transaction it belongs to, if any.
    pub transaction_id: Option<Box<str>>,
}

impl SendReceipt {
    pub(crate) fn read(
        command: &RemotingCommand,
        status: SendStatus,
        message_id: HexId,
        queue: &Arc<MessageQueue>,
    ) -> Result<Self, HeaderError> {
        let header: SendMessageResponseHeader<'_> = command.header()?;
        Ok(Self {
            status,
            message_id,
            offset_message_id: header.msg_id.into(),
            queue: answered_queue(queue, header.queue_id),
            queue_offset: header.queue_offset,
            transaction_id: header.transaction_id.map(|id| id.as_ref().into()),
        })
    }
}

impl fmt::Display for SendReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} offset {}", self.queue, self.queue_offset)
    }
}

/// Proof that a batch is stored, whole and in its order. Java: the `SendResult` of a `MessageBatch`, with the
/// ids apart. Shown as `topic@broker:queue offsets n to m`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct BatchReceipt {
    /// How safely.
    pub status: SendStatus,
    /// The queue that all of its messages are in.
    pub queue: Arc<MessageQueue>,
    /// The first message's place in that queue; the others follow without a gap.
    pub queue_offset: i64,
    /// The first message's unique key. The others follow it.
    pub(crate) message_id: HexId,
    pub(crate) count: usize,
    /// As the broker wrote them, with commas in between; one for all where it keeps batches whole.
    pub(crate) offset_message_ids: Box<str>,
}

impl BatchReceipt {
    pub(crate) fn read(
        command: &RemotingCommand,
        status: SendStatus,
        (message_id, count): (HexId, usize),
        queue: &Arc<MessageQueue>,
    ) -> Result<Self, HeaderError> {
        let header: SendMessageResponseHeader<'_> = command.header()?;
        Ok(Self {
            status,
            queue: answered_queue(queue, header.queue_id),
            queue_offset: header.queue_offset,
            message_id,
            count,
            offset_message_ids: header.msg_id.as_ref().into(),
        })
    }

    /// How many messages the batch has.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// Each message's receipt, in the order of the batch. They are made as they are asked for.
    #[must_use]
    pub fn receipts(&self) -> BatchReceipts<'_> {
        BatchReceipts { batch: self, ids: Some(&self.offset_message_ids), next: 0 }
    }
}

impl fmt::Display for BatchReceipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let last = self.queue_offset.saturating_add_unsigned((self.count as u64).saturating_sub(1));
        write!(f, "{} offsets {} to {last}", self.queue, self.queue_offset)
    }
}

impl<'a> IntoIterator for &'a BatchReceipt {
    type Item = SendReceipt;
    type IntoIter = BatchReceipts<'a>;

    fn into_iter(self) -> BatchReceipts<'a> {
        self.receipts()
    }
}

/// The receipts of a batch's messages; see [`BatchReceipt::receipts`].
#[derive(Clone, Debug)]
pub struct BatchReceipts<'a> {
    batch: &'a BatchReceipt,
    /// The offset message ids that are left; `None` when there is none.
    ids: Option<&'a str>,
    next: usize,
}

impl<'a> BatchReceipts<'a> {
    fn next_id(&mut self) -> Option<&'a str> {
        let ids = self.ids?;
        let (id, rest) = match memchr(b',', ids.as_bytes()) {
            Some(end) => (ids.get(..end)?, ids.get(end + 1..)),
            None => (ids, None),
        };
        self.ids = rest;
        Some(id)
    }
}

impl Iterator for BatchReceipts<'_> {
    type Item = SendReceipt;

    fn next(&mut self) -> Option<SendReceipt> {
        let BatchReceipt { status, queue, queue_offset, message_id, count, offset_message_ids } = self.batch;
        let place = self.next;
        if place >= *count {
            return None;
        }
        self.next += 1;
        let one_for_all = || if offset_message_ids.contains(',') { "" } else { offset_message_ids };
        Some(SendReceipt {
            status: *status,
            // A batch has no more messages than there are keys.
            message_id: message_id.following(place as u16),
            offset_message_id: self.next_id().unwrap_or_else(one_for_all).into(),
            queue: queue.clone(),
            queue_offset: queue_offset.saturating_add_unsigned(place as u64),
            transaction_id: None,
        })
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        let left = self.batch.count - self.next;
        (left, Some(left))
    }
}

impl ExactSizeIterator for BatchReceipts<'_> {}

/// A broker may have put a message into another queue than it was sent to.
fn answered_queue(sent_to: &Arc<MessageQueue>, queue_id: i32) -> Arc<MessageQueue> {
    if queue_id == sent_to.queue_id {
        return sent_to.clone();
    }
    Arc::new(MessageQueue { queue_id, ..(**sent_to).clone() })
}
