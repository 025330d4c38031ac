//! [`OffsetStore`]: how far each queue has been consumed, and which of that the broker doesn't know yet.
//!
//! A broker overwrites what it has without a check, so commits of one queue must not overtake each
//! other: one commit of a queue is on its way at a time, and only an answer makes it count.
//!
//! A broker makes a group's table of a topic at the first commit, without a lock: of two first commits
//! of different queues at the same time it may forget one, up to 5.4 at least (Java:
//! `ConsumerOffsetManager#commitOffset`). So until a broker is known to have the table, one commit goes
//! alone and the others wait for its answer.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::message::MessageQueue;

/// The consumed offsets of a group's queues. Java: `RemoteBrokerOffsetStore`.
#[derive(Clone, Debug, Default)]
pub struct OffsetStore {
    entries: BTreeMap<Arc<MessageQueue>, Entry>,
    /// The tables that brokers have.
    tables: BTreeSet<Table>,
    /// Queues whose commits wait until a broker has the table.
    waiting: BTreeSet<Arc<MessageQueue>>,
}

/// Broker and topic.
type Table = (Arc<str>, Arc<str>);

#[derive(Clone, Debug)]
struct Entry {
    value: i64,
    frozen: bool,
    /// What the broker is known to have.
    confirmed: Option<i64>,
    /// What is on its way to it.
    under_way: Option<i64>,
    /// The broker may not have it any more: it is told again although nothing changed.
    doubted: bool,
    /// The queue was given up: forget the entry when nothing is left to commit.
    released: bool,
}

impl Entry {
    fn dirty(&self) -> bool {
        self.under_way.is_none() && (self.doubted || self.confirmed != Some(self.value))
    }
}

impl OffsetStore {
    /// The broker said that it has `offset` for `queue`. Forgets what was known before.
    pub fn load(&mut self, queue: Arc<MessageQueue>, offset: i64) {
        // A broker also says zero of a queue that it has no offset for.
        if offset > 0 {
            self.tables.insert(table_of(&queue));
        }
        self.insert(queue, offset, Some(offset));
    }

    /// A start was decided on that the broker has not stored yet.
    pub fn begin(&mut self, queue: Arc<MessageQueue>, offset: i64) {
        self.insert(queue, offset, None);
    }

    fn insert(&mut self, queue: Arc<MessageQueue>, value: i64, confirmed: Option<i64>) {
        let entry =
            Entry { value, frozen: false, confirmed, under_way: None, doubted: false, released: false };
        self.entries.insert(queue, entry);
    }

    /// `queue` was consumed up to `offset`. Only ever increases, and does nothing on a frozen or
    /// unknown queue. Java: `OffsetStore#updateOffset` with `increaseOnly`.
    pub fn update(&mut self, queue: &MessageQueue, offset: i64) {
        if let Some(entry) = self.entries.get_mut(queue)
            && !entry.frozen
            && !entry.released
        {
            entry.value = entry.value.max(offset);
        }
    }

    /// Sets the offset, backwards too, and ignores updates until the queue is loaded again.
    /// Java: `OffsetStore#updateAndFreezeOffset`.
    pub fn update_and_freeze(&mut self, queue: &Arc<MessageQueue>, offset: i64) {
        match self.entries.get_mut(queue) {
            Some(entry) => {
                entry.value = offset;
                entry.frozen = true;
            }
            None => {
                self.begin(queue.clone(), offset);
                self.update_and_freeze(queue, offset);
            }
        }
    }

    /// Ends a freeze: updates count again.
    pub fn thaw(&mut self, queue: &MessageQueue) {
        if let Some(entry) = self.entries.get_mut(queue) {
            entry.frozen = false;
        }
    }

    /// The consumed offset.
    #[must_use]
    pub fn get(&self, queue: &MessageQueue) -> Option<i64> {
        self.entries.get(queue).map(|entry| entry.value)
    }

    /// What the broker is known to have.
    #[must_use]
    pub fn confirmed(&self, queue: &MessageQueue) -> Option<i64> {
        self.entries.get(queue)?.confirmed
    }

    /// The broker may have lost the last commits, as one that crashed has, or a former owner may have
    /// overwritten them: what `concerns` is told again although nothing changed. Java needs no such
    /// thing since it commits every queue every time.
    pub fn doubt(&mut self, concerns: impl Fn(&MessageQueue) -> bool) {
        let concerned = self.entries.iter_mut().filter(|(queue, _)| concerns(queue));
        concerned.for_each(|(_, entry)| entry.doubted = true);
    }

    /// A broker may have lost its tables: where `concerns` says so, commits are as the first ones again.
    pub fn forget_tables(&mut self, concerns: impl Fn(&str) -> bool) {
        self.tables.retain(|(broker, _)| !concerns(broker));
    }

    /// The queue is about to be given up: only what is new may still be told, since the next owner may
    /// have committed more.
    pub fn trust(&mut self, queue: &MessageQueue) {
        if let Some(entry) = self.entries.get_mut(queue) {
            entry.doubted = false;
        }
    }

    /// The queues that have something to commit and no commit on its way, in order.
    #[must_use]
    pub fn dirty(&self) -> Vec<Arc<MessageQueue>> {
        let dirty = self.entries.iter().filter(|(_, entry)| entry.dirty());
        dirty.map(|(queue, _)| queue.clone()).collect()
    }

    /// The offset to commit for `queue`, which counts as being on its way from now on; `None` when
    /// there is nothing to commit, a commit is on its way, or the table's first one is: then the queue is
    /// among those that [wait](Self::take_waiting).
    pub fn begin_commit(&mut self, queue: &MessageQueue) -> Option<i64> {
        if !self.entries.get(queue)?.dirty() {
            return None;
        }
        let table = table_of(queue);
        let mut others = self.entries.iter().filter(|(other, _)| table_of(other) == table);
        if !self.tables.contains(&table) && others.any(|(_, entry)| entry.under_way.is_some()) {
            let (queue, _) = self.entries.get_key_value(queue)?;
            self.waiting.insert(queue.clone());
            return None;
        }
        let entry = self.entries.get_mut(queue)?;
        entry.under_way = Some(entry.value);
        entry.doubted = false;
        entry.under_way
    }

    /// The commit of `offset` ended. `true` when the queue has more to commit at once: it was given
    /// up while an older commit was on its way.
    pub fn end_commit(&mut self, queue: &MessageQueue, offset: i64, ok: bool) -> bool {
        let Some(entry) = self.entries.get_mut(queue) else { return false };
        if entry.under_way != Some(offset) {
            return false;
        }
        entry.under_way = None;
        if ok {
            entry.confirmed = Some(offset);
            self.tables.insert(table_of(queue));
        }
        if !entry.released {
            return false;
        }
        let more = ok && entry.dirty();
        if !more {
            self.entries.remove(queue);
        }
        more
    }

    /// The queues whose commits waited for one of `queue` that has ended, in order; they are to be committed
    /// now.
    pub fn take_waiting(&mut self, queue: &MessageQueue) -> Vec<Arc<MessageQueue>> {
        let table = table_of(queue);
        let waiting = core::mem::take(&mut self.waiting).into_iter();
        let (now, later): (Vec<_>, Vec<_>) = waiting.partition(|queue| table_of(queue) == table);
        self.waiting.extend(later);
        now
    }

    /// The queue was given up. What is not committed yet still is, once: a later attempt could
    /// overwrite the commit of the next owner.
    pub fn release(&mut self, queue: &MessageQueue) {
        if let Some(entry) = self.entries.get_mut(queue) {
            if entry.under_way.is_none() && !entry.dirty() {
                self.entries.remove(queue);
            } else {
                entry.released = true;
            }
        }
    }

    /// Whether any commit is on its way or waits for one.
    #[must_use]
    pub fn committing(&self) -> bool {
        !self.waiting.is_empty() || self.entries.values().any(|entry| entry.under_way.is_some())
    }

    /// How many queues the broker is known to be up to date with, of those that `counts`, and with how
    /// many of all it is not.
    #[must_use]
    pub fn settled_count(&self, counts: impl Fn(&MessageQueue) -> bool) -> (u32, u32) {
        let (mut confirmed, mut unconfirmed) = (0, 0);
        for (queue, entry) in &self.entries {
            if entry.confirmed != Some(entry.value) {
                unconfirmed += 1;
            } else if counts(queue) {
                confirmed += 1;
            }
        }
        (confirmed, unconfirmed)
    }
}

fn table_of(queue: &MessageQueue) -> Table {
    (queue.broker_name.clone(), queue.topic.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(id: i32) -> Arc<MessageQueue> {
        Arc::new(MessageQueue { topic: "t".into(), broker_name: "b".into(), queue_id: id })
    }

    #[test]
    fn only_what_the_broker_does_not_have_is_committed() {
        let (mut store, a, b) = (OffsetStore::default(), queue(0), queue(1));
        store.load(a.clone(), 5);
        store.load(b.clone(), 7);
        assert!(store.dirty().is_empty());
        store.update(&b, 9);
        store.update(&b, 8);
        assert_eq!(store.dirty(), core::slice::from_ref(&b));
        assert_eq!(store.begin_commit(&b), Some(9));
        assert_eq!(store.begin_commit(&b), None, "one at a time");
        assert!(!store.end_commit(&b, 9, true));
        assert!(store.dirty().is_empty());
        assert_eq!(store.settled_count(|_| true), (2, 0));
    }

    #[test]
    fn a_commit_without_an_answer_is_made_again() {
        let (mut store, a) = (OffsetStore::default(), queue(0));
        store.load(a.clone(), 5);
        store.update(&a, 6);
        assert_eq!(store.begin_commit(&a), Some(6));
        store.end_commit(&a, 6, false);
        assert_eq!(store.begin_commit(&a), Some(6));
        assert_eq!(store.confirmed(&a), Some(5));
    }

    #[test]
    fn a_commit_that_was_overtaken_by_progress_leaves_the_rest_to_do() {
        let (mut store, a) = (OffsetStore::default(), queue(0));
        store.begin(a.clone(), 5);
        assert_eq!(store.begin_commit(&a), Some(5));
        store.update(&a, 8);
        assert!(store.dirty().is_empty());
        assert!(!store.end_commit(&a, 5, true));
        assert_eq!(store.begin_commit(&a), Some(8));
    }

    #[test]
    fn the_first_commit_of_a_table_goes_alone_and_the_others_follow_its_answer() {
        let (mut store, a, b, c) = (OffsetStore::default(), queue(0), queue(1), queue(2));
        for queue in [&a, &b, &c] {
            store.begin(queue.clone(), 5);
        }
        assert_eq!((store.begin_commit(&a), store.begin_commit(&b)), (Some(5), None));
        assert!(!store.end_commit(&a, 5, false));
        assert!(store.committing(), "one waits");
        assert_eq!(store.take_waiting(&a), core::slice::from_ref(&b));
        assert!(!store.committing());
        assert_eq!((store.begin_commit(&b), store.begin_commit(&c)), (Some(5), None));
        assert!(!store.end_commit(&b, 5, true));
        assert_eq!(store.take_waiting(&b), core::slice::from_ref(&c));
        assert_eq!(
            (store.begin_commit(&a), store.begin_commit(&c)),
            (Some(5), Some(5)),
            "the table is there"
        );
        store.end_commit(&a, 5, true);
        store.end_commit(&c, 5, true);
        store.forget_tables(|broker| broker == "b");
        store.doubt(|_| true);
        assert_eq!((store.begin_commit(&a), store.begin_commit(&c)), (Some(5), None), "it may be lost");
    }

    #[test]
    fn an_offset_of_zero_says_nothing_of_a_table() {
        for (offset, second) in [(0, None), (3, Some(5))] {
            let (mut store, a, b) = (OffsetStore::default(), queue(0), queue(1));
            for queue in [&a, &b] {
                store.load(queue.clone(), offset);
                store.update(queue, 5);
            }
            assert_eq!((store.begin_commit(&a), store.begin_commit(&b)), (Some(5), second));
        }
    }

    #[test]
    fn what_a_broker_may_have_lost_is_committed_once_more() {
        let (mut store, a) = (OffsetStore::default(), queue(0));
        store.load(a.clone(), 5);
        store.doubt(|queue| &*queue.broker_name == "another");
        assert_eq!(store.begin_commit(&a), None);
        store.doubt(|queue| &*queue.broker_name == "b");
        assert_eq!(store.begin_commit(&a), Some(5));
        store.end_commit(&a, 5, true);
        assert_eq!(store.begin_commit(&a), None);
    }

    #[test]
    fn a_doubt_is_no_reason_to_overwrite_the_next_owners_commit() {
        let (mut store, a) = (OffsetStore::default(), queue(0));
        store.load(a.clone(), 5);
        store.doubt(|_| true);
        store.trust(&a);
        assert_eq!(store.begin_commit(&a), None);
    }

    #[test]
    fn a_frozen_offset_moves_back_and_stays() {
        let (mut store, a) = (OffsetStore::default(), queue(0));
        store.load(a.clone(), 50);
        store.update_and_freeze(&a, 10);
        store.update(&a, 60);
        assert_eq!(store.get(&a), Some(10));
        store.thaw(&a);
        store.update(&a, 60);
        assert_eq!(store.get(&a), Some(60));
        store.update_and_freeze(&queue(3), 4);
        assert_eq!(store.begin_commit(&queue(3)), Some(4));
    }

    #[test]
    fn a_queue_that_was_given_up_is_committed_once_and_forgotten() {
        let (mut store, a, b, c) = (OffsetStore::default(), queue(0), queue(1), queue(2));
        for queue in [&a, &b, &c] {
            store.load(queue.clone(), 5);
        }
        store.release(&a);
        assert_eq!(store.get(&a), None, "nothing to commit");
        store.update(&b, 6);
        store.begin_commit(&b);
        store.update(&b, 7);
        store.release(&b);
        store.update(&b, 8);
        assert!(store.end_commit(&b, 6, true), "the newer offset is still to be committed");
        assert_eq!(store.begin_commit(&b), Some(7));
        assert!(!store.end_commit(&b, 7, true));
        assert_eq!(store.get(&b), None);
        store.update(&c, 6);
        store.begin_commit(&c);
        store.release(&c);
        assert!(!store.end_commit(&c, 6, false), "no second attempt: the next owner may have committed");
        assert_eq!(store.get(&c), None);
    }
}
