//! Delivery of delayed messages by level. Java: `ScheduleMessageService`.
//!
//! Level `n` waits in queue `n - 1` of `SCHEDULE_TOPIC_XXXX`; its entries carry the time of delivery
//! in place of a tag. Within a level the delay is equal, so only the head has to be looked at.

use rocketmq_client_core::message::names;
use rocketmq_client_core::time::Timestamp;

use crate::config::DelayLevels;
use crate::store::Store;

/// How far each level has been delivered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct DelayService {
    pub(crate) levels: DelayLevels,
    /// Queue offset of the next message of each level.
    progress: Vec<i64>,
}

impl DelayService {
    pub(crate) fn new(levels: DelayLevels) -> Self {
        let count = usize::try_from(levels.count()).unwrap_or(0);
        Self { levels, progress: vec![0; count] }
    }

    /// The service before its first delivery.
    pub(crate) fn fresh(&self) -> Self {
        Self::new(self.levels.clone())
    }

    pub(crate) fn is_fresh(&self) -> bool {
        self.progress.iter().all(|offset| *offset == 0)
    }

    /// Takes progress back to what the store still holds. Java: `ScheduleMessageService#correctDelayOffset`.
    pub(crate) fn correct(&mut self, store: &Store) {
        for (queue_id, offset) in self.progress.iter_mut().enumerate() {
            *offset = (*offset).min(schedule(store, queue_id).map_or(0, |queue| queue.max()));
        }
    }

    /// When the next delivery is due.
    pub(crate) fn next_delivery(&self, store: &Store) -> Option<Timestamp> {
        (0..self.progress.len()).filter_map(|level| self.head(store, level).map(|(_, due)| due)).min()
    }

    /// The record of the next message that is due in a level given by its queue id, if any.
    pub(crate) fn due(&self, store: &Store, queue_id: usize, wall: Timestamp) -> Option<u64> {
        let (record, due) = self.head(store, queue_id)?;
        let delay = self.levels.delay(i32::try_from(queue_id).unwrap_or(i32::MAX).saturating_add(1));
        // A clock that went back must not hold a message longer than its delay.
        (due <= wall || due > wall + delay).then_some(record)
    }

    /// The next offset of each level that something was ever put into, by level.
    pub(crate) fn offsets(&self, store: &Store) -> impl Iterator<Item = (i32, i64)> {
        let levels = (1..).zip(self.progress.iter().copied());
        levels.filter(|(level, offset)| *offset > 0 || self.end_of(store, *level) > 0)
    }

    /// The end of a level's queue.
    pub(crate) fn end_of(&self, store: &Store, level: i32) -> i64 {
        store.queue_of(names::SCHEDULE_TOPIC, level - 1).map_or(0, |queue| queue.max())
    }

    /// Levels, as queue ids.
    pub(crate) fn queue_ids(&self) -> std::ops::Range<usize> {
        0..self.progress.len()
    }

    /// The head of a level is delivered.
    pub(crate) fn advance(&mut self, store: &Store, queue_id: usize) {
        let min = schedule(store, queue_id).map_or(0, |queue| queue.min());
        if let Some(offset) = self.progress.get_mut(queue_id) {
            *offset = (*offset).max(min) + 1;
        }
    }

    fn head(&self, store: &Store, queue_id: usize) -> Option<(u64, Timestamp)> {
        let queue = schedule(store, queue_id)?;
        let offset = (*self.progress.get(queue_id)?).max(queue.min());
        let entry = queue.get(offset)?;
        Some((entry.record, Timestamp::from_millis(entry.tags_code)))
    }
}

fn schedule(store: &Store, queue_id: usize) -> Option<&crate::store::consume_queue::ConsumeQueue> {
    store.queue_of(names::SCHEDULE_TOPIC, i32::try_from(queue_id).ok()?)
}
