//! Looking at a consumer: for properties that are checked, and for people who ask why nothing comes.

use alloc::sync::Arc;
use core::time::Duration;

use super::queue::{Fate, OwnedQueue};
use super::{Fetch, PushConsumer};
use crate::consumer::{ConsumerHealth, ConsumerStatistics, GoingBack, QueueHealth, Standing, TopicHealth};
use crate::id::{ConsumerId, ProcessQueueId};
use crate::message::MessageQueue;
use crate::route::TopicRoute;
use crate::shared::Shared;
use crate::time::Instant;

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
    /// Of the cached messages, those that are with user code, begun or not.
    pub in_hand: usize,
    /// What fetching waits for.
    pub fetch: Fetch,
    /// Attempts to fetch that came to nothing, in a row.
    pub failures: u32,
}

impl PushConsumer {
    /// The name that commands and outputs know it by.
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

    /// Why messages come, or why they don't.
    #[must_use]
    pub fn health(&self, shared: &Shared, now: Instant) -> ConsumerHealth {
        let topics = self.subscriptions.keys().map(|topic| TopicHealth {
            topic: topic.clone(),
            queues: (!self.lacks_route(shared, topic))
                .then(|| shared.routes.get(topic).map_or(0, |route| route.subscribe_queues().len())),
            owned: self.by_queue.keys().filter(|queue| queue.topic == *topic).count(),
            unread: shared.routes.get(topic).map_or(0, TopicRoute::unread_queues),
            excluded: self.is_excluded(topic),
        });
        ConsumerHealth {
            group: self.config.group.clone(),
            suspended: self.suspended,
            brokers: self.registered.keys().cloned().collect(),
            topics: topics.collect(),
            queues: self.by_queue.values().filter_map(|id| self.queue_health(now, *id)).collect(),
            refusals: self.refusals(now),
            commit_refusals: self.commit_refusals(now),
            unbalanced: self.unbalanced(),
            passed_over: self.report.last_passed_over.clone(),
            cached_bytes: self.cached_bytes,
            cached_bytes_max: self.config.cached_bytes_max,
        }
    }

    fn queue_health(&self, now: Instant, id: ProcessQueueId) -> Option<QueueHealth> {
        let owned = self.owned.get(id)?;
        let since = |at: Option<Instant>| at.map(|at| now.saturating_since(at));
        let begun = owned.cache.iter().filter_map(|(offset, cached)| match (cached.fate, cached.begun) {
            (Fate::InHand, Some(begun)) => Some((begun, offset)),
            _ => None,
        });
        let (in_hand, oldest) = begun.fold((0, None), |(count, oldest), one| {
            (count + 1, Some(oldest.map_or(one, |oldest: (Instant, i64)| oldest.min(one))))
        });
        Some(QueueHealth {
            queue: owned.queue.clone(),
            standing: match owned.fetch {
                Fetch::Asking => Standing::Asking,
                Fetch::Pulling(begun) => Standing::Pulling(now.saturating_since(begun)),
                Fetch::Pausing(timer, why) => Standing::Paused(why, timer.deadline().saturating_since(now)),
                Fetch::Gated(why) => {
                    let opens = self.gate_opens(&owned.queue.broker_name);
                    Standing::Paused(why, opens.map_or(Duration::ZERO, |at| at.saturating_since(now)))
                }
                Fetch::Full(full) => Standing::Full(full),
                Fetch::Suspended => Standing::Suspended,
                Fetch::Stopped => Standing::Closing,
            },
            next_offset: owned.next_offset,
            max_offset: owned.max_offset,
            consumed_offset: owned.cache.committable().or_else(|| self.offsets.get(&owned.queue)),
            committed_offset: self.offsets.confirmed(&owned.queue),
            cached: owned.cache.count(),
            cached_bytes: owned.cache.bytes(),
            in_hand,
            oldest_in_hand: oldest.map(|(begun, offset)| (offset, now.saturating_since(begun))),
            going_back: owned.count(|fate| matches!(fate, Fate::SendingBack(_) | Fate::Resting(_))),
            refused_back: owned.refused.iter().next().map(|(offset, refused)| GoingBack {
                offset: *offset,
                refusals: refused.times,
                cause: (&*refused.cause).into(),
            }),
            failures: owned.failures,
            bad_answers: owned.bad_answers,
            bad_answer: owned.bad_answer,
            last_pull: since(owned.last_pull),
            last_consume: since(owned.last_consume),
        })
    }

    /// What it has done so far, and has now.
    #[must_use]
    pub fn statistics(&self) -> ConsumerStatistics {
        let topics = self.subscriptions.keys().cloned().zip(self.statistics.iter().cloned());
        let begun = |owned: &OwnedQueue| {
            let in_hand = owned.cache.iter();
            in_hand.filter(|(_, cached)| cached.fate == Fate::InHand && cached.begun.is_some()).count()
        };
        ConsumerStatistics {
            group: self.config.group.clone(),
            topics: topics.collect(),
            late_answers: self.late,
            queues: self.owned.len(),
            cached: self.owned.iter().map(|(_, owned)| owned.cache.count()).sum(),
            cached_bytes: self.cached_bytes,
            in_hand: self.owned.iter().map(|(_, owned)| begun(owned)).sum(),
        }
    }

    /// Bytes that are cached of all queues.
    #[must_use]
    pub fn cached_bytes(&self) -> usize {
        self.cached_bytes
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
