//! Bounds on waiting that need no runtime: one thread calls wakers when their time has come.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::{Condvar, LazyLock, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant};

use crate::simulated;

/// A wait that took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct TooLate;

/// What `future` gives, unless that takes longer than `limit`.
pub(crate) async fn within<F: Future>(limit: Duration, future: F) -> Result<F::Output, TooLate> {
    let mut alarm = Alarm::after(limit);
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        if let Poll::Ready(output) = future.as_mut().poll(cx) {
            return Poll::Ready(Ok(output));
        }
        Pin::new(&mut alarm).poll(cx).map(|()| Err(TooLate))
    })
    .await
}

/// Lets others run between two looks at something that tells nobody when it changes.
pub(crate) fn pause(time: Duration) -> impl Future<Output = ()> {
    Alarm::after(time)
}

/// Ready once its time has come, in the world that this thread is in or in ours.
enum Alarm {
    Virtual(Pin<Box<dyn Future<Output = ()>>>),
    Real(RealAlarm),
}

impl Alarm {
    fn after(time: Duration) -> Self {
        match simulated::world() {
            Some(world) => Self::Virtual(Box::pin(async move { world.sleep(time).await })),
            None => Self::Real(RealAlarm { at: Instant::now() + time, key: None }),
        }
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match &mut *self {
            Self::Virtual(sleep) => sleep.as_mut().poll(cx),
            Self::Real(alarm) => Pin::new(alarm).poll(cx),
        }
    }
}

struct RealAlarm {
    at: Instant,
    key: Option<(Instant, u64)>,
}

impl RealAlarm {
    fn disarm(&mut self) {
        if let Some(key) = self.key.take() {
            TIMER.lock().alarms.remove(&key);
        }
    }
}

impl Future for RealAlarm {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.disarm();
        if Instant::now() >= self.at {
            return Poll::Ready(());
        }
        self.key = Some(TIMER.arm(self.at, cx.waker().clone()));
        Poll::Pending
    }
}

impl Drop for RealAlarm {
    fn drop(&mut self) {
        self.disarm();
    }
}

struct Timer {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    alarms: BTreeMap<(Instant, u64), Waker>,
    armed: u64,
}

static TIMER: LazyLock<Timer> = LazyLock::new(|| {
    thread::spawn(|| TIMER.run());
    Timer { state: Mutex::default(), changed: Condvar::new() }
});

impl Timer {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn arm(&self, at: Instant, waker: Waker) -> (Instant, u64) {
        let mut state = self.lock();
        state.armed += 1;
        let key = (at, state.armed);
        let first = state.alarms.first_key_value().is_none_or(|(earliest, _)| key < *earliest);
        state.alarms.insert(key, waker);
        if first {
            self.changed.notify_one();
        }
        key
    }

    fn run(&self) {
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            state = match state.alarms.first_entry() {
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(entry) if entry.key().0 <= now => {
                    let waker = entry.remove();
                    drop(state);
                    waker.wake();
                    self.lock()
                }
                Some(entry) => {
                    let left = entry.key().0 - now;
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
            };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapter::block_on;

    #[test]
    fn a_wait_without_an_end_is_given_up() {
        let given_up = block_on(within(Duration::from_millis(5), std::future::pending::<()>()));
        assert_eq!(given_up, Err(TooLate));
    }

    #[test]
    fn what_is_ready_is_not_given_up() {
        assert_eq!(block_on(within(Duration::ZERO, async { 7 })), Ok(7));
    }
}
