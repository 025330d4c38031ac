//! [`ProcessQueue`]: the messages of one queue that were fetched and are not settled yet, and what
//! may be committed because of it.
//!
//! Messages arrive in the order of their offsets and are mostly settled close to the front, so they
//! sit in a deque: a settlement moves as many entries as there are handlers at work, not a tree.

use alloc::collections::VecDeque;

/// The cached messages of one queue. Java: `ProcessQueue`, the concurrent part.
///
/// Invariants: entries are sorted by offset and distinct; every offset below
/// [`committable`](Self::committable) was settled, filtered or is known not to exist.
#[derive(Clone, Debug)]
pub struct ProcessQueue<T> {
    cached: VecDeque<Entry<T>>,
    bytes: usize,
    /// Everything below has been seen; `None` until something was.
    seen_to: Option<i64>,
}

#[derive(Clone, Debug)]
struct Entry<T> {
    offset: i64,
    bytes: usize,
    message: T,
}

impl<T> Default for ProcessQueue<T> {
    fn default() -> Self {
        Self { cached: VecDeque::new(), bytes: 0, seen_to: None }
    }
}

impl<T> ProcessQueue<T> {
    /// Caches a message of `bytes` bytes; `false`, and nothing changes, when its offset is cached
    /// already. Java: `ProcessQueue#putMessage`, which replaces the message.
    pub fn put(&mut self, offset: i64, bytes: usize, message: T) -> bool {
        let entry = Entry { offset, bytes, message };
        if self.cached.back().is_none_or(|last| last.offset < offset) {
            self.cached.push_back(entry);
        } else {
            match self.position(offset) {
                Ok(_) => return false,
                Err(index) => self.cached.insert(index, entry),
            }
        }
        self.bytes += bytes;
        self.see(offset.saturating_add(1));
        true
    }

    /// Takes a message out because its fate is settled; `None` when it is not cached.
    /// Java: `ProcessQueue#removeMessage`.
    pub fn settle(&mut self, offset: i64) -> Option<T> {
        self.settle_if(offset, |_| true)
    }

    /// As [`settle`](Self::settle), if `is_due` says so of the message.
    pub fn settle_if(&mut self, offset: i64, is_due: impl FnOnce(&T) -> bool) -> Option<T> {
        // Handlers mostly finish with the oldest message first.
        let front = self.cached.front().filter(|front| front.offset == offset);
        let entry = if let Some(front) = front {
            if !is_due(&front.message) {
                return None;
            }
            self.cached.pop_front()?
        } else {
            let index = self.position(offset).ok()?;
            if !is_due(&self.cached.get(index)?.message) {
                return None;
            }
            self.cached.remove(index)?
        };
        self.bytes -= entry.bytes;
        Some(entry.message)
    }

    /// Everything below `offset` has been looked at: what was not put was filtered or doesn't exist.
    pub fn see(&mut self, offset: i64) {
        self.seen_to = Some(self.seen_to.map_or(offset, |seen| seen.max(offset)));
    }

    /// Takes out what is cached below `offset`, as a queue that has seen everything up to there.
    #[must_use]
    pub fn split_below(&mut self, offset: i64) -> Self {
        let index = self.cached.partition_point(|entry| entry.offset < offset);
        let below: VecDeque<Entry<T>> = self.cached.drain(..index).collect();
        let bytes = below.iter().map(|entry| entry.bytes).sum();
        self.bytes -= bytes;
        Self { cached: below, bytes, seen_to: Some(offset) }
    }

    /// What may be committed: the smallest cached offset, else the end of what was seen; `None`
    /// while nothing was.
    #[must_use]
    pub fn committable(&self) -> Option<i64> {
        self.cached.front().map(|first| first.offset).or(self.seen_to)
    }

    /// A cached message.
    #[must_use]
    pub fn get(&self, offset: i64) -> Option<&T> {
        self.position(offset).ok().and_then(|index| self.cached.get(index)).map(|entry| &entry.message)
    }

    /// A cached message, to change it.
    pub fn get_mut(&mut self, offset: i64) -> Option<&mut T> {
        let index = self.position(offset).ok()?;
        self.cached.get_mut(index).map(|entry| &mut entry.message)
    }

    /// The cached messages by offset.
    pub fn iter(&self) -> impl Iterator<Item = (i64, &T)> {
        self.cached.iter().map(|entry| (entry.offset, &entry.message))
    }

    /// How many messages are cached.
    #[must_use]
    pub fn count(&self) -> usize {
        self.cached.len()
    }

    /// How many bytes they take.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether none is cached.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.cached.is_empty()
    }

    /// The distance between the first and the last cached offset. Java: `ProcessQueue#getMaxSpan`.
    #[must_use]
    pub fn span(&self) -> i64 {
        match (self.cached.front(), self.cached.back()) {
            (Some(first), Some(last)) => last.offset.saturating_sub(first.offset),
            _ => 0,
        }
    }

    /// Where `offset` is, or where it would go. Queues without gaps are found at the first guess.
    fn position(&self, offset: i64) -> Result<usize, usize> {
        let first = self.cached.front().map_or(0, |entry| entry.offset);
        let guess = offset.checked_sub(first).and_then(|distance| usize::try_from(distance).ok());
        if let Some(index) = guess
            && self.cached.get(index).is_some_and(|entry| entry.offset == offset)
        {
            return Ok(index);
        }
        self.cached.binary_search_by_key(&offset, |entry| entry.offset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::collections::BTreeMap;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    /// What Java's tree does, written the slow way.
    #[derive(Default)]
    struct Model {
        tree: BTreeMap<i64, usize>,
        seen_to: Option<i64>,
    }

    #[derive(Clone, Debug)]
    enum Step {
        Put(i64, usize),
        Settle(i64),
        See(i64),
        SplitBelow(i64),
    }

    fn step() -> impl Strategy<Value = Step> {
        let offset = prop_oneof![0..40i64, 1_000..1_010i64, Just(i64::MAX - 1)];
        prop_oneof![
            4 => (offset.clone(), 0..500usize).prop_map(|(offset, bytes)| Step::Put(offset, bytes)),
            4 => offset.clone().prop_map(Step::Settle),
            1 => offset.clone().prop_map(Step::See),
            1 => offset.prop_map(Step::SplitBelow),
        ]
    }

    proptest! {
        #[test]
        fn behaves_as_a_tree_of_offsets(steps in prop::collection::vec(step(), 0..120)) {
            let (mut queue, mut model) = (ProcessQueue::default(), Model::default());
            for step in steps {
                match step {
                    Step::Put(offset, bytes) => {
                        let new = !model.tree.contains_key(&offset);
                        if new {
                            model.tree.insert(offset, bytes);
                            model.seen_to = model.seen_to.max(Some(offset + 1));
                        }
                        prop_assert_eq!(queue.put(offset, bytes, offset), new);
                    }
                    Step::Settle(offset) => {
                        let there = model.tree.remove(&offset).map(|_| offset);
                        prop_assert_eq!(queue.settle(offset), there);
                    }
                    Step::See(offset) => {
                        queue.see(offset);
                        model.seen_to = model.seen_to.max(Some(offset));
                    }
                    Step::SplitBelow(offset) => {
                        let above = model.tree.split_off(&offset);
                        let below = queue.split_below(offset);
                        let left: Vec<i64> = queue.iter().map(|(offset, _)| offset).collect();
                        prop_assert_eq!(&left, &above.keys().copied().collect::<Vec<_>>());
                        prop_assert_eq!(queue.bytes(), above.values().sum::<usize>());
                        queue = below;
                        model.seen_to = Some(offset);
                    }
                }
                let first = model.tree.keys().next().copied();
                let last = model.tree.keys().next_back().copied();
                prop_assert_eq!(queue.committable(), first.or(model.seen_to));
                prop_assert_eq!(queue.count(), model.tree.len());
                prop_assert_eq!(queue.bytes(), model.tree.values().sum::<usize>());
                prop_assert_eq!(queue.span(), last.zip(first).map_or(0, |(last, first)| last - first));
                let offsets: Vec<i64> = queue.iter().map(|(offset, _)| offset).collect();
                prop_assert_eq!(&offsets, &model.tree.keys().copied().collect::<Vec<_>>());
                for offset in offsets {
                    prop_assert_eq!(queue.get(offset), Some(&offset));
                }
            }
        }

        #[test]
        fn what_may_be_committed_never_passes_an_unfinished_message(
            offsets in prop::collection::btree_set(0..200i64, 1..60),
            picks in prop::collection::vec(any::<prop::sample::Index>(), 0..60),
        ) {
            let mut queue = ProcessQueue::default();
            let mut unfinished: Vec<i64> = offsets.iter().copied().collect();
            for offset in &unfinished {
                queue.put(*offset, 1, ());
            }
            let mut before = queue.committable();
            for pick in picks {
                if unfinished.is_empty() {
                    break;
                }
                let offset = unfinished.remove(pick.index(unfinished.len()));
                prop_assert!(queue.settle(offset).is_some());
                let committable = queue.committable();
                prop_assert!(unfinished.iter().all(|left| committable <= Some(*left)));
                prop_assert!(committable >= before);
                before = committable;
            }
        }
    }

    #[test]
    fn filtered_messages_advance_what_may_be_committed() {
        let mut queue = ProcessQueue::default();
        assert_eq!(queue.committable(), None);
        queue.put(7, 10, ());
        queue.see(20);
        assert_eq!(queue.committable(), Some(7));
        assert!(queue.settle(7).is_some());
        assert_eq!(queue.committable(), Some(20));
        assert!(queue.settle(7).is_none());
        assert_eq!((queue.count(), queue.bytes()), (0, 0));
    }
}
