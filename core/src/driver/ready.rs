//! Which of many things woke up: each has a waker of its own that sets its bit and wakes the
//! owner once, so a wake-up touches only what is ready.

use super::std;
use alloc::sync::Arc;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::Waker;

use std::task::Wake;

/// Words of the set. Indices beyond its bits share them: that costs a poll in vain, never a wake-up.
const WORDS: usize = 4;
/// Bits of the set.
pub(crate) const BITS: u32 = 64 * 4;

/// What the set's owner does when the first bit is set.
pub(crate) trait Owner: Send + Sync + 'static {
    /// Asks the owner to look at the set.
    fn raise(&self);
}

/// The bits of those that are ready.
#[derive(Debug, Default)]
pub(crate) struct ReadySet {
    words: [AtomicU64; WORDS],
}

impl ReadySet {
    /// Sets the bit of `index`.
    pub(crate) fn set(&self, index: u32) {
        let bit = index % BITS;
        self.words[(bit / 64) as usize].fetch_or(1 << (bit % 64), Ordering::AcqRel);
    }

    /// Takes all bits, lowest first.
    pub(crate) fn take(&self, mut visit: impl FnMut(u32)) {
        for (word, base) in self.words.iter().zip((0u32..).step_by(64)) {
            if word.load(Ordering::Acquire) == 0 {
                continue;
            }
            let mut bits = word.swap(0, Ordering::AcqRel);
            while bits != 0 {
                visit(base + bits.trailing_zeros());
                bits &= bits - 1;
            }
        }
    }
}

/// A waker that sets the bit of `index` in `ready(owner)` and then raises the owner.
pub(crate) fn waker<O: Owner>(owner: &Arc<O>, ready: fn(&O) -> &ReadySet, index: u32) -> Waker {
    Waker::from(Arc::new(BitWaker { owner: owner.clone(), ready, index }))
}

struct BitWaker<O> {
    owner: Arc<O>,
    ready: fn(&O) -> &ReadySet,
    index: u32,
}

impl<O: Owner> Wake for BitWaker<O> {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        (self.ready)(&self.owner).set(self.index);
        self.owner.raise();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[derive(Default)]
    struct Counted {
        ready: ReadySet,
        raised: AtomicU64,
    }

    impl Owner for Counted {
        fn raise(&self) {
            self.raised.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn taken(set: &ReadySet) -> Vec<u32> {
        let mut bits = Vec::new();
        set.take(|bit| bits.push(bit));
        bits
    }

    #[test]
    fn a_wake_up_names_the_one_that_is_ready() {
        let owner = Arc::new(Counted::default());
        for index in [130, 3, 64, 3] {
            waker(&owner, |owner| &owner.ready, index).wake();
        }
        assert_eq!(taken(&owner.ready), [3, 64, 130]);
        assert!(taken(&owner.ready).is_empty());
        assert_eq!(owner.raised.load(Ordering::Relaxed), 4);
    }

    #[test]
    fn an_index_beyond_the_set_shares_a_bit() {
        let set = ReadySet::default();
        set.set(BITS + 7);
        assert_eq!(taken(&set), [7]);
    }
}
