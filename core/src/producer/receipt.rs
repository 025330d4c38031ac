//! What a broker says of a message that it has stored.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;

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
    pub(super) fn read(
        command: &RemotingCommand,
        status: SendStatus,
        message_id: HexId,
        queue: &Arc<MessageQueue>,
    ) -> Result<Self, HeaderError> {
        let header: SendMessageResponseHeader<'_> = command.header()?;
        let queue = if header.queue_id == queue.queue_id {
            queue.clone()
        } else {
            Arc::new(MessageQueue { queue_id: header.queue_id, ..(**queue).clone() })
        };
        Ok(Self {
            status,
            message_id,
            offset_message_id: header.msg_id.into(),
            queue,
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
