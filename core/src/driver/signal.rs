//! How anything outside of the engine gets its attention, at the cost of one wake-up a drain.

use super::std;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::Waker;

use std::sync::Mutex;

use super::lock;

/// Set by whoever has something for the engine; only the first one since the last drain wakes it.
#[derive(Debug, Default)]
pub(crate) struct Signal {
    raised: AtomicBool,
    /// Shared, so that neither cloning nor dropping it under the lock runs code of an executor.
    waker: Mutex<Option<Arc<Waker>>>,
}

impl Signal {
    /// Asks for another drain. Cheap when one has been asked for already.
    pub(crate) fn raise(&self) {
        self.wakes();
    }

    /// As [`raise`](Self::raise). True when that woke the engine.
    pub(crate) fn wakes(&self) -> bool {
        if self.raised.swap(true, Ordering::SeqCst) {
            return false;
        }
        let waker = lock(&self.waker).clone();
        if let Some(waker) = waker {
            waker.wake_by_ref();
        }
        true
    }

    /// Whether a drain has been asked for since the last one began. In one total order with raises
    /// and with whatever the waker looks at: a thread that says "I sleep" and then asks this, and one
    /// that raises and then asks whether somebody sleeps, can't both be told no.
    pub(crate) fn is_raised(&self) -> bool {
        self.raised.load(Ordering::SeqCst)
    }

    /// A drain begins: whatever is raised from now on asks for the next one. The waker is in place
    /// before the flag falls, so nothing is lost in between.
    pub(crate) fn lower(&self, waker: &Waker) {
        let known = lock(&self.waker).clone();
        if !known.is_some_and(|known| known.will_wake(waker)) {
            let new = Arc::new(waker.clone());
            let former = lock(&self.waker).replace(new);
            drop(former);
        }
        self.raised.swap(false, Ordering::SeqCst);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::tests::CountingWaker;

    #[test]
    fn many_raises_wake_the_engine_once_a_drain() {
        let signal = Signal::default();
        let (counter, waker) = CountingWaker::pair();
        signal.raise();
        assert!(signal.is_raised(), "a raise before the first drain is not lost");
        signal.lower(&waker);
        for _ in 0..5 {
            signal.raise();
        }
        assert_eq!(counter.count(), 1);
        signal.lower(&waker);
        assert!(!signal.is_raised());
        signal.raise();
        assert_eq!(counter.count(), 2);
    }
}
