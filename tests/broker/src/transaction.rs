//! How far the half messages have been decided. Java: `TransactionalMessageServiceImpl`.

use std::collections::BTreeSet;

use rocketmq_client_core::message::names;

use crate::store::Store;
use crate::store::consume_queue::ConsumeQueue;

/// Progress over the half queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct TransactionService {
    /// Half queue offset up to which everything is decided, asked again or discarded.
    pub(crate) progress: i64,
    /// Half queue offsets from `progress` on that were committed or rolled back.
    done: BTreeSet<i64>,
    /// Counts the questions, to take turns among the producers of a group.
    pub(crate) asked: usize,
}

impl TransactionService {
    /// A producer decided the half message with this half queue offset.
    pub(crate) fn mark_done(&mut self, half_offset: i64) {
        if half_offset >= self.progress {
            self.done.insert(half_offset);
        }
    }

    /// Whether the half message at `progress` is decided; moves past it then.
    pub(crate) fn skip_done(&mut self) -> bool {
        let done = self.done.remove(&self.progress);
        self.progress += i64::from(done);
        done
    }

    /// Whether half messages wait for a decision.
    pub(crate) fn is_waiting(&self, store: &Store) -> bool {
        half_queue(store).is_some_and(|queue| queue.max() > self.progress)
    }

    /// Takes progress back to what the store still holds.
    pub(crate) fn correct(&mut self, store: &Store) {
        let max = half_queue(store).map_or(0, ConsumeQueue::max);
        self.progress = self.progress.min(max);
        self.done.retain(|offset| *offset < max);
    }
}

/// The one queue of half messages.
pub(crate) fn half_queue(store: &Store) -> Option<&ConsumeQueue> {
    store.queue_of(names::TRANS_HALF_TOPIC, 0)
}
