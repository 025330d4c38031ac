//! Questions that only user code can answer: they leave with a token, and the answer is an input like any
//! other, so that a replay needs no user code.

use alloc::sync::Arc;

use crate::id::{ConsumerId, ProducerId};
use crate::message::MessageQueue;
use crate::message::outbound::OutboundMessage;

/// Whose user code is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Owner {
    /// The client's.
    Client,
    /// A producer's.
    Producer(ProducerId),
    /// A consumer's.
    Consumer(ConsumerId),
}

/// What is asked.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Question {
    /// Which of these queues the message goes to; answered by [`Answer::Queue`]. Java:
    /// `MessageQueueSelector#select`.
    SelectQueue {
        /// The message, its body as it will be stored.
        message: Arc<OutboundMessage>,
        /// At least one, sorted by broker and number.
        queues: Arc<[Arc<MessageQueue>]>,
    },
}

/// What user code said.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Answer {
    /// The place of the chosen queue in the question's list, from 0.
    Queue(usize),
    /// There is no answer: user code panicked, or nobody is there to be asked. In words for a person.
    Failed(Arc<str>),
}
