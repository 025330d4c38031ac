//! Looking at a consumer: for properties that are checked, and for people who ask why nothing comes.

use alloc::sync::Arc;

use super::queue::Fate;
use super::{Fetch, PushConsumer};
use crate::id::{ConsumerId, ProcessQueueId};
use crate::message::MessageQueue;

/// One owned queue, as it is now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueueView {
    /// The stay.
    pub id: ProcessQueueId,
    /// The queue.
    pub queue: Arc<MessageQueue>,
    /// Where the next pull begins, once that is known.
    pub next_offset: Option<i64>,
    /// What may be committed: no unsettled message lies below.
    pub committable: Option<i64>,
    /// What the broker is known to have.
    pub committed: Option<i64>,
    /// Messages that are cached.
    pub cached_count: usize,
    /// Bytes that are cached.
    pub cached_bytes: usize,
    /// Of the cached messages, those that are with user code.
    pub in_hand: usize,
    /// What fetching waits for.
    pub fetch: Fetch,
    /// Attempts to fetch that came to nothing, in a row.
    pub failures: u32,
}

impl PushConsumer {
    /// Its name.
    #[must_use]
    pub fn id(&self) -> ConsumerId {
        self.id
    }

    /// The owned queues, in order.
    pub fn queues(&self) -> impl Iterator<Item = QueueView> {
        self.by_queue.values().filter_map(|id| {
            let owned = self.owned.get(*id)?;
            Some(QueueView {
                id: *id,
                queue: owned.queue.clone(),
                next_offset: owned.next_offset,
                committable: owned.cache.committable(),
                committed: self.offsets.confirmed(&owned.queue),
                cached_count: owned.cache.count(),
                cached_bytes: owned.cache.bytes(),
                in_hand: owned.count(|fate| fate == Fate::InHand),
                fetch: owned.fetch,
                failures: owned.failures,
            })
        })
    }

    /// The offsets of unsettled messages of a stay, ascending.
    pub fn unsettled(&self, id: ProcessQueueId) -> impl Iterator<Item = i64> {
        self.owned.get(id).into_iter().flat_map(|owned| owned.cache.iter().map(|(offset, _)| offset))
    }

    /// Messages that were settled as done in its life.
    #[must_use]
    pub fn settled_count(&self) -> u64 {
        self.report.settled
    }

    /// Messages that were sent back in its life.
    #[must_use]
    pub fn sent_back_count(&self) -> u64 {
        self.report.sent_back
    }

    /// Answers for deliveries of queues that were given up meanwhile, and second answers.
    #[must_use]
    pub fn late_count(&self) -> u64 {
        self.late
    }
}
