//! Orderly pops: one batch of each queue is out at a time. Java: `ConsumerOrderInfoManager`.

use std::collections::BTreeMap;
use std::sync::Arc;

/// A group's queue.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct OrderKey {
    pub(crate) topic: Arc<str>,
    pub(crate) group: Arc<str>,
    pub(crate) queue_id: i32,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Message {
    offset: i64,
    acked: bool,
    /// When others may get it, if that was changed after the pop.
    visible_at_ms: Option<i64>,
}

/// The batch of a queue that was popped last. Java: `OrderInfo`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OrderInfo {
    attempt_id: Option<Arc<str>>,
    pop_time: i64,
    invisible_time: i64,
    messages: Vec<Message>,
    /// How often messages were popped before, those above zero.
    consumed: BTreeMap<i64, i32>,
}

/// What becomes of an acknowledgement. Java: the values below zero of `commitAndNext`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Acked {
    /// Commit this offset.
    Commit(i64),
    /// The message isn't in the batch.
    Illegal,
    /// The acknowledgement is of an earlier pop, and is ignored.
    Stale,
}

impl OrderInfo {
    fn visible_at_ms(&self, message: &Message) -> i64 {
        message.visible_at_ms.unwrap_or(self.pop_time.saturating_add(self.invisible_time))
    }

    fn blocks(&self, attempt_id: Option<&str>, wall_ms: i64) -> bool {
        if attempt_id.is_some() && self.attempt_id.as_deref() == attempt_id {
            return false;
        }
        self.free_at_ms(wall_ms) > wall_ms
    }

    /// When the first of the hidden messages becomes visible; `wall_ms` when none is hidden.
    fn free_at_ms(&self, wall_ms: i64) -> i64 {
        let hidden = self.messages.iter().filter(|message| !message.acked);
        hidden.map(|message| self.visible_at_ms(message)).find(|at_ms| *at_ms > wall_ms).unwrap_or(wall_ms)
    }

    fn next_offset(&self) -> Option<i64> {
        let open = self.messages.iter().find(|message| !message.acked).map(|message| message.offset);
        open.or_else(|| self.messages.last().map(|message| message.offset + 1))
    }

    /// How often each message of a new batch was popped before.
    fn counts_for(&self, attempt_id: Option<&str>, offsets: &[i64]) -> BTreeMap<i64, i32> {
        if attempt_id.is_some() && self.attempt_id.as_deref() == attempt_id {
            return self.consumed.clone();
        }
        let known = |offset: &&i64| self.messages.iter().any(|message| message.offset == **offset);
        let again = offsets.iter().filter(known);
        again.map(|offset| (*offset, self.consumed.get(offset).copied().unwrap_or(0) + 1)).collect()
    }
}

/// The batches of all queues.
#[derive(Clone, Debug, Default)]
pub(crate) struct OrderTable {
    queues: BTreeMap<OrderKey, OrderInfo>,
    /// When waiting pops are to look again. Java: `ConsumerOrderInfoLockManager`.
    frees: BTreeMap<OrderKey, i64>,
    /// Grows with every change of a batch.
    pub(crate) version: u64,
}

/// A pop that wants a queue's next batch.
#[derive(Clone, Debug)]
pub(crate) struct OrderedPop<'a> {
    pub(crate) attempt_id: Option<&'a str>,
    pub(crate) pop_time: i64,
    pub(crate) invisible_time: i64,
}

impl OrderTable {
    /// Whether the queue's batch is still out for anybody but this attempt.
    pub(crate) fn is_blocked(&self, key: &OrderKey, attempt_id: Option<&str>, wall_ms: i64) -> bool {
        self.queues.get(key).is_some_and(|info| info.blocks(attempt_id, wall_ms))
    }

    /// A new batch is out; how often its messages were popped before, those above zero.
    pub(crate) fn update(
        &mut self,
        key: &OrderKey,
        pop: &OrderedPop<'_>,
        offsets: &[i64],
        wall_ms: i64,
    ) -> &BTreeMap<i64, i32> {
        let consumed = match self.queues.get(key) {
            Some(before) => before.counts_for(pop.attempt_id, offsets),
            None => BTreeMap::new(),
        };
        let new = |offset: &i64| Message { offset: *offset, acked: false, visible_at_ms: None };
        let info = OrderInfo {
            attempt_id: pop.attempt_id.map(Into::into),
            pop_time: pop.pop_time,
            invisible_time: pop.invisible_time,
            messages: offsets.iter().map(new).collect(),
            consumed,
        };
        self.queues.insert(key.clone(), info);
        self.note_free(key, wall_ms);
        self.queues.get(key).map(|info| &info.consumed).expect("the batch was just inserted")
    }

    /// Takes an acknowledgement. Java: `ConsumerOrderInfoManager#commitAndNext`.
    pub(crate) fn ack(&mut self, key: &OrderKey, offset: i64, pop_time: i64, wall_ms: i64) -> Acked {
        let Some(info) = self.queues.get_mut(key) else { return Acked::Commit(offset + 1) };
        if info.messages.is_empty() {
            return Acked::Illegal;
        }
        if pop_time != info.pop_time {
            return Acked::Stale;
        }
        let Some(message) = info.messages.iter_mut().find(|message| message.offset == offset) else {
            return Acked::Illegal;
        };
        message.acked = true;
        let next = info.next_offset();
        self.note_free(key, wall_ms);
        next.map_or(Acked::Illegal, Acked::Commit)
    }

    /// Hides a message of the batch until another time.
    pub(crate) fn change_visible(
        &mut self,
        key: &OrderKey,
        offset: i64,
        pop_time: i64,
        at_ms: i64,
        wall_ms: i64,
    ) {
        let Some(info) = self.queues.get_mut(key).filter(|info| info.pop_time == pop_time) else { return };
        for message in info.messages.iter_mut().filter(|message| message.offset == offset) {
            message.visible_at_ms = Some(at_ms);
        }
        self.note_free(key, wall_ms);
    }

    /// Forgets a queue's batch, because its offset was reset.
    pub(crate) fn clear(&mut self, key: &OrderKey) {
        self.queues.remove(key);
        self.frees.remove(key);
        self.version += 1;
    }

    fn note_free(&mut self, key: &OrderKey, wall_ms: i64) {
        self.version += 1;
        if let Some(info) = self.queues.get(key) {
            self.frees.insert(key.clone(), info.free_at_ms(wall_ms));
        }
    }

    /// Takes the queues that became free.
    pub(crate) fn take_free(&mut self, wall_ms: i64) -> Vec<OrderKey> {
        let free: Vec<_> =
            self.frees.iter().filter(|(_, at_ms)| **at_ms <= wall_ms).map(|(key, _)| key.clone()).collect();
        for key in &free {
            self.frees.remove(key);
        }
        free
    }

    /// When the next queue becomes free, in Unix milliseconds.
    pub(crate) fn next_free_ms(&self) -> Option<i64> {
        self.frees.values().min().copied()
    }

    /// What the next process reads from `consumerOrderInfo.json`.
    pub(crate) fn started_again(&self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key() -> OrderKey {
        OrderKey { topic: "T".into(), group: "G".into(), queue_id: 0 }
    }

    fn pop(attempt_id: Option<&str>, pop_time: i64) -> OrderedPop<'_> {
        OrderedPop { attempt_id, pop_time, invisible_time: 100 }
    }

    #[test]
    fn a_batch_blocks_until_it_is_acknowledged_or_its_time_is_over() {
        let mut table = OrderTable::default();
        assert!(!table.is_blocked(&key(), None, 0));
        table.update(&key(), &pop(None, 0), &[3, 4], 0);
        assert!(table.is_blocked(&key(), None, 99) && !table.is_blocked(&key(), None, 100));
        assert_eq!(table.ack(&key(), 4, 0, 10), Acked::Commit(3));
        assert!(table.is_blocked(&key(), None, 99));
        assert_eq!(table.ack(&key(), 3, 0, 10), Acked::Commit(5));
        assert!(!table.is_blocked(&key(), None, 11));
        assert_eq!(table.ack(&key(), 9, 0, 10), Acked::Illegal);
        assert_eq!(table.ack(&key(), 3, 1, 10), Acked::Stale);
    }

    #[test]
    fn a_message_counts_how_often_it_was_popped_unless_the_attempt_is_the_same() {
        let mut table = OrderTable::default();
        assert!(table.update(&key(), &pop(Some("a"), 0), &[3, 4], 0).is_empty());
        assert!(!table.is_blocked(&key(), Some("a"), 50) && table.is_blocked(&key(), Some("b"), 50));
        assert!(table.update(&key(), &pop(Some("a"), 50), &[3, 4], 50).is_empty());
        let counts = table.update(&key(), &pop(Some("b"), 200), &[3, 4, 5], 200).clone();
        assert_eq!(counts, BTreeMap::from([(3, 1), (4, 1)]));
        let counts = table.update(&key(), &pop(None, 400), &[3], 400).clone();
        assert_eq!(counts, BTreeMap::from([(3, 2)]));
    }

    #[test]
    fn a_changed_time_frees_the_queue_at_that_time() {
        let mut table = OrderTable::default();
        table.update(&key(), &pop(None, 0), &[3], 0);
        assert_eq!(table.next_free_ms(), Some(100));
        table.change_visible(&key(), 3, 0, 40, 5);
        assert_eq!((table.take_free(39), table.next_free_ms()), (vec![], Some(40)));
        assert_eq!((table.take_free(40), table.next_free_ms()), (vec![key()], None));
    }
}
