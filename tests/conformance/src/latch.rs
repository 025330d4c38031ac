//! What handlers wait at until a scenario lets them go on.

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

/// Closed until it is opened, for good. Clones share it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Latch {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    open: bool,
    waiters: Vec<Waker>,
}

impl Latch {
    /// Lets everybody go on who waits, and whoever comes later.
    pub(crate) fn open(&self) {
        let waiters = {
            let mut state = self.lock();
            state.open = true;
            std::mem::take(&mut state.waiters)
        };
        waiters.into_iter().for_each(Waker::wake);
    }

    /// Ends when it is open.
    pub(crate) async fn opened(&self) {
        poll_fn(|cx| {
            let mut state = self.lock();
            if state.open {
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
