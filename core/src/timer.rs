//! Deadlines and what they are for, in one ordered set.
//!
//! Equal deadlines fire in the order they were armed, so a run never depends on anything but its
//! inputs. Cancelling is exact: a cancelled timer leaves nothing behind, however far its deadline.

use alloc::collections::BTreeMap;

use crate::time::Instant;

/// Names an armed timer until it fires or is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId {
    deadline: Instant,
    sequence: u64,
}

impl TimerId {
    /// When it is due.
    #[must_use]
    pub fn deadline(self) -> Instant {
        self.deadline
    }
}

/// The armed timers, each with a key that says why to wake.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    armed: BTreeMap<TimerId, K>,
    sequence: u64,
}

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self { armed: BTreeMap::new(), sequence: 0 }
    }
}

impl<K> Timers<K> {
    /// Arms a timer. [`Instant::FAR_FUTURE`] is allowed and never comes due.
    pub fn arm(&mut self, deadline: Instant, key: K) -> TimerId {
        self.sequence += 1;
        let id = TimerId { deadline, sequence: self.sequence };
        self.armed.insert(id, key);
        id
    }

    /// Disarms `id`; `None` when it fired or was cancelled before.
    pub fn cancel(&mut self, id: TimerId) -> Option<K> {
        self.armed.remove(&id)
    }

    /// Takes the earliest timer that is due at `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        let entry = self.armed.first_entry()?;
        if entry.key().deadline <= now { Some(entry.remove()) } else { None }
    }

    /// The earliest deadline.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        self.armed.first_key_value().map(|(id, _)| id.deadline)
    }

    /// How many are armed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.armed.len()
    }

    /// Whether none is armed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.armed.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_deadlines_fire_in_the_order_armed() {
        let mut timers = Timers::default();
        let at = Instant::from_millis(5);
        timers.arm(at, "a");
        let b = timers.arm(at, "b");
        timers.arm(at, "c");
        timers.arm(Instant::from_millis(4), "first");
        assert_eq!(timers.cancel(b), Some("b"));
        assert_eq!(timers.cancel(b), None);
        assert_eq!(timers.pop_due(Instant::from_millis(3)), None);
        assert_eq!(timers.pop_due(at), Some("first"));
        assert_eq!(timers.pop_due(at), Some("a"));
        assert_eq!(timers.pop_due(at), Some("c"));
        assert_eq!(timers.next_deadline(), None);
    }
}
