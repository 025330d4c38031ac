//! Asks user code, and keeps who waits for the answer.
//!
//! ```text
//! machine ─ Shared::ask ─▶ Output::Ask{token} ─▶ user code ─▶ Input::Answered{token} ─▶ the machine that asked
//!    └───── Shared::withdraw: it does not wait any more; a later answer finds nothing
//! ```

use alloc::sync::Arc;

use crate::error::UsageError;
use crate::id::{Arena, AskToken, SendId};
use crate::message::MessageQueue;
use crate::output::{Answer, Output, Owner, Question};

use super::Shared;

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
pub(crate) fn selected_queue(
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
