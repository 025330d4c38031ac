//! Questions that only user code can answer: they leave with a token, and the answer is an input like any
//! other, so that a replay needs no user code.
//!
//! ```text
//! machine ─ Shared::ask ─▶ Output::Ask{token} ─▶ user code ─▶ Input::Answered{token} ─▶ the machine that asked
//!    └───── Shared::withdraw: it does not wait any more; a later answer finds nothing
//! ```

use alloc::sync::Arc;

use crate::error::UsageError;
use crate::id::{Arena, AskToken, ConsumerId, ProducerId, SendId};
use crate::message::MessageQueue;

use super::{OutboundMessage, Output, Shared};

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

/// Who waits for an answer, and what it has to be judged by.
#[derive(Clone, Debug)]
pub(crate) enum Asker {
    /// A send that waits for its queue.
    SelectQueue { send: SendId, topic: Arc<str>, queues: Arc<[Arc<MessageQueue>]> },
}

/// The questions that are out.
pub(crate) type Asks = Arena<AskToken, Asker>;

impl Shared {
    /// Asks user code; the answer goes to `asker`, once.
    pub(crate) fn ask(&mut self, owner: Owner, question: Question, asker: Asker) -> AskToken {
        let token = self.asks.insert(asker);
        self.outputs.push_back(Output::Ask { token, owner, question });
        token
    }

    /// Nobody waits for this answer any more.
    pub(crate) fn withdraw(&mut self, token: AskToken) {
        self.asks.remove(token);
    }
}

/// The queue that was chosen, or what is wrong with the choice.
pub(super) fn selected_queue(
    topic: Arc<str>,
    queues: &[Arc<MessageQueue>],
    answer: Answer,
) -> Result<Arc<MessageQueue>, UsageError> {
    match answer {
        Answer::Queue(index) => {
            queues.get(index).cloned().ok_or(UsageError::SelectedQueue { topic, index, queues: queues.len() })
        }
        Answer::Failed(reason) => Err(UsageError::QueueSelector { topic, reason }),
    }
}
