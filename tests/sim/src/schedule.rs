//! Everything that will happen, by time. Events of the same time happen in the order in which they
//! were put in.

use std::collections::BTreeMap;

use rocketmq_client_core::time::Instant;

/// Names an event that was put in, to take it out again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EventKey(Instant, u64);

/// A queue of events by time.
#[derive(Debug)]
pub(crate) struct Schedule<E> {
    events: BTreeMap<EventKey, E>,
    next: u64,
}

impl<E> Default for Schedule<E> {
    fn default() -> Self {
        Self { events: BTreeMap::new(), next: 0 }
    }
}

impl<E> Schedule<E> {
    pub(crate) fn insert(&mut self, at: Instant, event: E) -> EventKey {
        self.next += 1;
        let key = EventKey(at, self.next);
        self.events.insert(key, event);
        key
    }

    pub(crate) fn cancel(&mut self, key: EventKey) -> Option<E> {
        self.events.remove(&key)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// The next event, if it is not after `until`.
    pub(crate) fn pop(&mut self, until: Instant) -> Option<(Instant, E)> {
        let entry = self.events.first_entry()?;
        let at = entry.key().0;
        (at <= until).then(|| (at, entry.remove()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_by_time_and_then_as_they_were_put_in() {
        let mut schedule = Schedule::default();
        let at = Instant::from_millis;
        schedule.insert(at(2), "c");
        schedule.insert(at(1), "a");
        let dropped = schedule.insert(at(1), "never");
        schedule.insert(at(1), "b");
        assert_eq!(schedule.cancel(dropped), Some("never"));
        assert_eq!(schedule.cancel(dropped), None);
        let order: Vec<_> = std::iter::from_fn(|| schedule.pop(at(1))).map(|(_, event)| event).collect();
        assert_eq!(order, ["a", "b"]);
        assert_eq!(schedule.pop(at(9)), Some((at(2), "c")));
    }
}
