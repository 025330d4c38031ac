//! User code that answers questions of the core, and the way its answers take back.

use super::std;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::any::Any;
use core::fmt;

use std::panic::{AssertUnwindSafe, catch_unwind};

use crate::client::{Answer, Owner, Question};
use crate::id::AskToken;

/// Answers the questions of one owner.
pub(crate) trait Responder: fmt::Debug + Send + Sync {
    /// Answers now, or keeps `reply` and answers later from anywhere. Called by the engine's own thread
    /// with no lock held: what takes its time must go elsewhere.
    fn respond(&self, question: Question, reply: Reply);
}

/// Where answers go.
pub(crate) trait Answers: fmt::Debug + Send + Sync {
    /// What user code has said, or that it will not say anything.
    fn put_answer(&self, token: AskToken, answer: Answer);
}

/// Where one answer goes. Dropped without one, it tells that there will be none.
#[derive(Debug)]
pub(crate) struct Reply {
    answers: Arc<dyn Answers>,
    token: Option<AskToken>,
}

impl Reply {
    fn new(answers: Arc<dyn Answers>, token: AskToken) -> Self {
        Self { answers, token: Some(token) }
    }

    /// Tells the answer.
    pub(crate) fn tell(mut self, answer: Answer) {
        self.put(answer);
    }

    fn put(&mut self, answer: Answer) {
        if let Some(token) = self.token.take() {
            self.answers.put_answer(token, answer);
        }
    }
}

impl Drop for Reply {
    fn drop(&mut self) {
        self.put(Answer::Failed(Arc::from("nobody was there to answer")));
    }
}

/// What user code answers; a panic of it is an answer too.
pub(crate) fn caught(ask: impl FnOnce() -> Answer) -> Answer {
    let panicked = |panic: Box<dyn Any + Send>| {
        let text = format!("it panicked: {}", panic_text(&*panic));
        Answer::Failed(text.into())
    };
    catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(panicked)
}

/// What a panic says.
pub(super) fn panic_text(panic: &(dyn Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str))
        .unwrap_or("a panic without words")
        .to_string()
}

/// Who answers for whom.
#[derive(Debug, Default)]
pub(super) struct Responders {
    table: BTreeMap<Owner, Arc<dyn Responder>>,
}

impl Responders {
    pub(super) fn insert(&mut self, owner: Owner, responder: Arc<dyn Responder>) {
        self.table.insert(owner, responder);
    }

    /// An owner is gone, and asks nothing any more.
    pub(super) fn remove(&mut self, owner: Owner) {
        self.table.remove(&owner);
    }

    /// Has a question answered; an owner that nobody answers for is told so.
    pub(super) fn ask(&self, answers: Arc<dyn Answers>, token: AskToken, owner: Owner, question: Question) {
        let reply = Reply::new(answers, token);
        if let Some(responder) = self.table.get(&owner) {
            responder.respond(question, reply);
        }
    }
}
