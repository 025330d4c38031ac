//! What a consumer hands to user code, and what user code answers.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use crate::id::{ConsumerId, ProcessQueueId};
use crate::message::MessageQueue;
use crate::time::Instant;

use super::PulledMessage;

/// A message in a handler's hands. Every token is answered exactly once.
#[derive(Debug, PartialEq, Eq, Hash, Clone, Copy, PartialOrd, Ord)]
pub struct ConsumeToken {
    /// Whose delivery it is.
    pub consumer: ConsumerId,
    /// The stay of the queue with that consumer.
    pub queue: ProcessQueueId,
    /// The message's offset in the queue.
    pub queue_offset: i64,
    /// How often the message had been handed out in this stay before: the answer to a former hand-out
    /// settles nothing.
    pub hand_out: u32,
}

/// What user code has answered for a delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settled {
    /// The delivery's token.
    pub token: ConsumeToken,
    /// What is to become of the message.
    pub ack: Ack,
    /// When a handler was called with it, where [`Input::Begun`](crate::client::Input::Begun) has not told it: most
    /// handlers end before anybody looks, and one word is enough for both.
    pub begun: Option<Instant>,
}

impl Settled {
    /// An answer to what was told to have begun before, or for which no handler was called.
    #[must_use]
    pub fn new(token: ConsumeToken, ack: Ack) -> Self {
        Self { token, ack, begun: None }
    }
}

/// One message, or one record that can't be read, on its way to user code.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Goes into the answer.
    pub token: ConsumeToken,
    /// The record.
    pub message: PulledMessage,
    /// The topic it was first sent to, where that is not its queue's.
    pub origin_topic: Option<Arc<str>>,
}

impl Delivery {
    /// The queue it came from; for a retried message that is the retry topic's.
    #[must_use]
    pub fn queue(&self) -> &Arc<MessageQueue> {
        self.message.queue()
    }

    /// The topic the user subscribed to: for a retried message, the one it was first sent to.
    #[must_use]
    pub fn topic(&self) -> &Arc<str> {
        self.origin_topic.as_ref().unwrap_or(&self.queue().topic)
    }
}

/// What is to become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Ack {
    /// It has been dealt with.
    Done,
    /// Bring it again later; the broker's table of delays decides when. Java: `RECONSUME_LATER`.
    Retry,
    /// Bring it again after about this time: the broker's delay level that is nearest and not shorter.
    RetryAfter(Duration),
    /// Put it into the group's dead letters now.
    DeadLetter,
}

/// A message that was skipped because no broker takes it back, and nobody can consume it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PassedOver {
    /// Its queue.
    pub queue: Arc<MessageQueue>,
    /// Its offset there. It can be looked at as long as the broker keeps it.
    pub offset: i64,
    /// Why the last broker refused it, in 512 characters at most.
    pub cause: Arc<str>,
}

impl fmt::Display for PassedOver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} offset {}: {}", self.queue, self.offset, self.cause)
    }
}

/// What was left when a consumer closed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CloseReport {
    /// Messages that were settled as done in the consumer's life.
    pub settled: u64,
    /// Messages that were sent back for another try or to the dead letters in its life.
    pub sent_back: u64,
    /// Messages that handlers had for longer than `consume_timeout` in its life. They were sent back.
    pub timed_out: u64,
    /// Messages, and records that could not be read, that no broker takes back however often it is asked:
    /// they were skipped in its life, so that the messages behind them could be consumed.
    pub passed_over: u64,
    /// The last sixteen of them.
    pub last_passed_over: Vec<PassedOver>,
    /// Messages that had been fetched but not begun; the next owner gets them.
    pub handed_back: u64,
    /// Handlers that were still running at the deadline; their messages come again.
    pub abandoned: u64,
    /// Queues of the subscribed topics whose offset the broker confirmed.
    pub queues_committed: u32,
    /// Queues, those of the retry topic among them, whose offset could not be confirmed; messages since
    /// the last commit come again.
    pub queues_uncommitted: u32,
}

impl fmt::Display for CloseReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { settled, sent_back, handed_back, abandoned, queues_committed, .. } = self;
        write!(f, "{settled} messages settled, {sent_back} sent back, {handed_back} handed back")?;
        for (count, what) in [
            (self.timed_out, "timed out"),
            (*abandoned, "abandoned in handlers"),
            (self.passed_over, "passed over"),
        ] {
            if count > 0 {
                write!(f, ", {count} {what}")?;
            }
        }
        if let Some(last) = self.last_passed_over.last() {
            write!(f, " (the last: {last})")?;
        }
        write!(f, "; {queues_committed} queues committed")?;
        if self.queues_uncommitted > 0 {
            write!(f, ", {} not", self.queues_uncommitted)?;
        }
        Ok(())
    }
}
