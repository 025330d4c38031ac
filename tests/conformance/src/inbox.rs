//! What handlers have seen, for a scenario to wait for.

use std::collections::BTreeSet;
use std::fmt;
use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use rocketmq_client_core::driver::ReceivedMessage;
use rocketmq_client_core::message::MessageQueue;

/// One call of a handler.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// Whose handler it was.
    pub member: &'static str,
    /// The body as text.
    pub body: String,
    /// The topic it was sent to.
    pub topic: Arc<str>,
    /// The queue it came from.
    pub queue: Arc<MessageQueue>,
    /// How often it had been delivered before.
    pub reconsume_times: i32,
}

/// Collects what handlers see. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Inbox {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    seen: Vec<Seen>,
    waiters: Vec<Waker>,
}

impl Inbox {
    /// A handler of `member` was called.
    pub fn put(&self, member: &'static str, message: &ReceivedMessage) {
        let body = match message.body() {
            Ok(body) => String::from_utf8_lossy(body).into_owned(),
            Err(error) => format!("undecodable: {error}"),
        };
        let seen = Seen {
            member,
            body,
            topic: message.topic().clone(),
            queue: message.queue().clone(),
            reconsume_times: message.reconsume_times(),
        };
        let waiters = {
            let mut state = self.lock();
            state.seen.push(seen);
            std::mem::take(&mut state.waiters)
        };
        waiters.into_iter().for_each(Waker::wake);
    }

    /// Everything that has been seen.
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.lock().seen.clone()
    }

    /// How many calls there were.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().seen.len()
    }

    /// Whether nothing has been seen.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The distinct bodies.
    #[must_use]
    pub fn bodies(&self) -> BTreeSet<String> {
        self.lock().seen.iter().map(|seen| seen.body.clone()).collect()
    }

    /// Whether the handler of `member` was called.
    #[must_use]
    pub fn has_member(&self, member: &str) -> bool {
        self.lock().seen.iter().any(|seen| seen.member == member)
    }

    /// Ends when what was seen fits. Without a bound of its own: for [`Scenario::within`].
    ///
    /// [`Scenario::within`]: crate::Scenario::within
    pub async fn until(&self, fits: impl Fn(&[Seen]) -> bool) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if fits(&state.seen) {
                return Poll::Ready(());
            }
            state.waiters.push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// How many calls, by whom, how many distinct bodies: for the words of a failure.
impl fmt::Display for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let members: BTreeSet<_> = self.lock().seen.iter().map(|seen| seen.member).collect();
        write!(f, "{} calls, {} distinct bodies, by {members:?}", self.len(), self.bodies().len())
    }
}
