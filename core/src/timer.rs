//! Deadlines and what they are for.
//!
//! ```text
//! far    a ring of buckets, each for a span of time: arming and cancelling touch one bucket
//!          │ its span has come
//! near   one ordered set, exact
//! ```
//! Nearly all timers are of requests that are answered long before: those never reach the ordered set.
//! Equal deadlines fire in the order they were armed, so a run never depends on anything but its
//! inputs. Cancelling is exact: a cancelled timer leaves nothing behind, however far its deadline.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::time::Instant;

/// A bucket's span. Shorter means more buckets to step over, longer means more in the ordered set.
const SPAN_MS: u64 = 128;
/// Buckets of the ring, which so reaches 32 s ahead; what is further is near at once.
const BUCKETS: u64 = 256;
/// Of a timer in the ordered set.
const NEAR: u32 = u32::MAX;

/// Names an armed timer until it fires or is cancelled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TimerId {
    deadline: Instant,
    sequence: u64,
    /// Its node, or [`NEAR`].
    place: u32,
}

impl TimerId {
    /// When it is due.
    #[must_use]
    pub const fn deadline(self) -> Instant {
        self.deadline
    }
}

/// The armed timers, each with a key that says why to wake.
#[derive(Clone, Debug)]
pub struct Timers<K> {
    near: BTreeMap<(Instant, u64), K>,
    /// Bucket of span `s` at `s % BUCKETS`; grown when the first timer goes far.
    buckets: Vec<Bucket>,
    /// Which buckets hold something.
    filled: [u64; BUCKETS as usize / 64],
    nodes: Vec<Node<K>>,
    /// The first of the nodes that are free; they hang together by `next`.
    free: u32,
    /// The first span that is still in the ring.
    first_span: u64,
    sequence: u64,
    len: usize,
}

/// A list of nodes.
#[derive(Clone, Copy, Debug)]
struct Bucket {
    head: u32,
    /// No timer of it is due earlier; exact unless one was cancelled.
    earliest: Instant,
}

#[derive(Clone, Debug)]
struct Node<K> {
    deadline: Instant,
    /// Zero while it is free.
    sequence: u64,
    previous: u32,
    next: u32,
    key: Option<K>,
}

/// No node.
const NONE: u32 = u32::MAX;
const EMPTY: Bucket = Bucket { head: NONE, earliest: Instant::FAR_FUTURE };

impl<K> Default for Timers<K> {
    fn default() -> Self {
        Self {
            near: BTreeMap::new(),
            buckets: Vec::new(),
            filled: [0; BUCKETS as usize / 64],
            nodes: Vec::new(),
            free: NONE,
            first_span: 0,
            sequence: 0,
            len: 0,
        }
    }
}

impl<K> Timers<K> {
    /// Arms a timer. [`Instant::FAR_FUTURE`] is allowed and never comes due.
    pub fn arm(&mut self, deadline: Instant, key: K) -> TimerId {
        self.sequence += 1;
        self.len += 1;
        let sequence = self.sequence;
        let span = span_of(deadline);
        let ahead = span.checked_sub(self.first_span).is_some_and(|spans| spans < BUCKETS);
        let place = if ahead { self.link(span, deadline, key) } else { self.near_by(deadline, key) };
        TimerId { deadline, sequence, place }
    }

    /// Disarms `id`; `None` when it fired or was cancelled before.
    pub fn cancel(&mut self, id: TimerId) -> Option<K> {
        let linked = self.nodes.get(id.place as usize).is_some_and(|node| node.sequence == id.sequence);
        let key =
            if linked { Some(self.unlink(id.place)) } else { self.near.remove(&(id.deadline, id.sequence)) };
        self.len -= usize::from(key.is_some());
        key
    }

    /// Takes the earliest timer that is due at `now`.
    pub fn pop_due(&mut self, now: Instant) -> Option<K> {
        self.bring_near(span_of(now));
        let entry = self.near.first_entry()?;
        if entry.key().0 > now {
            return None;
        }
        self.len -= 1;
        Some(entry.remove())
    }

    /// The earliest deadline; an earlier time, but one that has not passed yet, where a timer was cancelled.
    #[must_use]
    pub fn next_deadline(&self) -> Option<Instant> {
        let near = self.near.first_key_value().map(|((deadline, _), _)| *deadline);
        let far = self.first_filled().map(|index| self.buckets[index].earliest);
        near.into_iter().chain(far).min()
    }

    /// The key of a timer that none is due before; `None` where it is one of several that are far.
    pub fn first(&self) -> Option<&K> {
        let near = self.near.first_key_value();
        let Some(index) = self.first_filled() else { return near.map(|(_, key)| key) };
        let bucket = &self.buckets[index];
        let alone = self.nodes.get(bucket.head as usize).filter(|node| node.next == NONE);
        let earliest = alone.map_or(bucket.earliest, |node| node.deadline);
        match near {
            Some(((at, _), key)) if *at <= earliest => Some(key),
            _ => alone?.key.as_ref(),
        }
    }

    /// How many are armed.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether none is armed.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    fn near_by(&mut self, deadline: Instant, key: K) -> u32 {
        self.near.insert((deadline, self.sequence), key);
        NEAR
    }

    /// Puts a timer at the head of its bucket; gives its node.
    fn link(&mut self, span: u64, deadline: Instant, key: K) -> u32 {
        if self.buckets.is_empty() {
            self.buckets.resize(BUCKETS as usize, EMPTY);
        }
        let index = (span % BUCKETS) as usize;
        let bucket = &mut self.buckets[index];
        let next = bucket.head;
        let node = Node { deadline, sequence: self.sequence, previous: NONE, next, key: Some(key) };
        let place = self.free;
        let place = if let Some(free) = self.nodes.get_mut(place as usize) {
            self.free = free.next;
            *free = node;
            place
        } else {
            self.nodes.push(node);
            u32::try_from(self.nodes.len() - 1).expect("fewer than 2^32 timers are armed at once")
        };
        if let Some(next) = self.nodes.get_mut(next as usize) {
            next.previous = place;
        }
        bucket.head = place;
        bucket.earliest = bucket.earliest.min(deadline);
        self.filled[index / 64] |= 1 << (index % 64);
        place
    }

    /// Takes an armed node out of its bucket.
    fn unlink(&mut self, place: u32) -> K {
        let node = &mut self.nodes[place as usize];
        let (previous, next, span) = (node.previous, node.next, span_of(node.deadline));
        let key = self.release(place);
        if let Some(next) = self.nodes.get_mut(next as usize) {
            next.previous = previous;
        }
        if let Some(previous) = self.nodes.get_mut(previous as usize) {
            previous.next = next;
        } else if next == NONE {
            self.clear((span % BUCKETS) as usize);
        } else {
            self.buckets[(span % BUCKETS) as usize].head = next;
        }
        key
    }

    /// Makes an armed node free.
    fn release(&mut self, place: u32) -> K {
        let node = &mut self.nodes[place as usize];
        node.sequence = 0;
        node.next = self.free;
        self.free = place;
        node.key.take().expect("an armed node has a key")
    }

    fn clear(&mut self, index: usize) {
        self.buckets[index] = EMPTY;
        self.filled[index / 64] &= !(1 << (index % 64));
    }

    /// Moves all timers up to and with those of the span `last` to the ordered set.
    fn bring_near(&mut self, last: u64) {
        if last < self.first_span {
            return;
        }
        while let Some(index) = self.first_filled() {
            // Spans of the ring follow each other from the first one on.
            let span = self.first_span + (index as u64 + BUCKETS - self.first_span % BUCKETS) % BUCKETS;
            if span > last {
                break;
            }
            let mut place = self.buckets[index].head;
            while let Some(node) = self.nodes.get(place as usize) {
                let (id, next) = ((node.deadline, node.sequence), node.next);
                let key = self.release(place);
                self.near.insert(id, key);
                place = next;
            }
            self.clear(index);
        }
        self.first_span = last.saturating_add(1);
    }

    /// The bucket with the earliest timers of the ring.
    fn first_filled(&self) -> Option<usize> {
        let start = (self.first_span % BUCKETS) as usize;
        let (word, bit) = (start / 64, start % 64);
        let words = self.filled.len();
        // The first word is looked at twice: from the start on, and at last the rest of it.
        (0..=words).find_map(|step| {
            let at = (word + step) % words;
            let mask = match step {
                0 => u64::MAX << bit,
                step if step == words => !(u64::MAX << bit),
                _ => u64::MAX,
            };
            let bits = self.filled[at] & mask;
            (bits != 0).then(|| at * 64 + bits.trailing_zeros() as usize)
        })
    }
}

fn span_of(time: Instant) -> u64 {
    time.as_millis() / SPAN_MS
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn equal_deadlines_fire_in_the_order_armed() {
        for base_ms in [5, 5_000, 50_000] {
            let mut timers = Timers::default();
            let at = Instant::from_millis(base_ms);
            timers.arm(at, "a");
            let b = timers.arm(at, "b");
            timers.arm(at, "c");
            timers.arm(Instant::from_millis(base_ms - 1), "first");
            assert_eq!(timers.cancel(b), Some("b"));
            assert_eq!(timers.cancel(b), None);
            assert_eq!(timers.pop_due(Instant::from_millis(base_ms - 2)), None);
            assert_eq!(timers.pop_due(at), Some("first"));
            assert_eq!(timers.pop_due(at), Some("a"));
            assert_eq!(timers.pop_due(at), Some("c"));
            assert_eq!(timers.next_deadline(), None);
        }
    }

    #[test]
    fn a_timer_that_never_comes_due_is_armed_all_the_same() {
        let mut timers = Timers::default();
        let never = timers.arm(Instant::FAR_FUTURE, ());
        assert_eq!(timers.pop_due(Instant::from_millis(u64::MAX / 2_000_000)), None);
        assert_eq!(timers.next_deadline(), Some(Instant::FAR_FUTURE));
        assert_eq!(timers.cancel(never), Some(()));
        assert!(timers.is_empty());
    }

    #[test]
    fn requests_that_are_answered_leave_no_node_behind() {
        let mut timers = Timers::default();
        for round in 0..1_000 {
            let now = Instant::from_millis(round);
            assert_eq!(timers.pop_due(now), None);
            let ids: Vec<_> =
                (0..8).map(|_| timers.arm(now + core::time::Duration::from_secs(3), ())).collect();
            assert!(ids.iter().all(|id| timers.cancel(*id).is_some()));
        }
        assert_eq!((timers.nodes.len(), timers.next_deadline()), (8, None));
    }

    proptest! {
        /// As one ordered set does, whatever is armed, cancelled and due, however long nobody looks.
        #[test]
        fn timers_are_one_ordered_set(steps in prop::collection::vec((0u8..5, 0u64..3, 0u64..40_000), 1..300)) {
            let mut timers = Timers::default();
            let mut model: BTreeMap<(Instant, u64), u64> = BTreeMap::new();
            let mut ids: Vec<(TimerId, u64)> = Vec::new();
            let (mut now, mut number) = (Instant::ZERO, 0u64);
            for (kind, scale, amount) in steps {
                let nanos = amount * [1_000_000, 37_003, 50_000_000][scale as usize];
                match kind {
                    0 | 1 => {
                        number += 1;
                        let deadline = Instant::from_nanos(now.as_nanos() + nanos);
                        ids.push((timers.arm(deadline, number), number));
                        model.insert((deadline, number), number);
                    }
                    2 if !ids.is_empty() => {
                        let (id, number) = ids[amount as usize % ids.len()];
                        prop_assert_eq!(timers.cancel(id), model.remove(&(id.deadline, number)));
                    }
                    _ => {
                        now = Instant::from_nanos(now.as_nanos() + nanos / 8);
                        loop {
                            let due = model.first_key_value().filter(|((at, _), _)| *at <= now);
                            let due = due.map(|(key, number)| (*key, *number));
                            prop_assert_eq!(timers.pop_due(now), due.map(|(_, number)| number));
                            let Some((key, _)) = due else { break };
                            model.remove(&key);
                        }
                    }
                }
                let exact = model.first_key_value().map(|((at, _), _)| *at);
                prop_assert_eq!(timers.next_deadline().is_some(), exact.is_some());
                prop_assert!(timers.next_deadline() <= exact.or(Some(Instant::FAR_FUTURE)));
                let first = timers.first().map(|first| model.iter().find(|(_, number)| *number == first));
                prop_assert!(first.is_none_or(|first| first.map(|((at, _), _)| *at) == exact));
                prop_assert!(timers.first().is_some() || model.len() != 1);
                prop_assert_eq!(timers.len(), model.len());
            }
            // Whoever waits for each deadline that is told finds all of them.
            while let Some(deadline) = timers.next_deadline() {
                now = now.max(deadline);
                while let Some(number) = timers.pop_due(now) {
                    prop_assert_eq!(model.pop_first().map(|(_, number)| number), Some(number));
                }
            }
            prop_assert!(model.is_empty());
        }
    }
}
