//! [`OwnedQueue`]: one stay of a queue with this member, and why it stands where it stands.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::PushConsumer;
use super::look_again::Newest;
use super::place::Question;
use super::restart::Moved;
use super::send_back::Refused;
use crate::consumer::{ConsumeToken, ConsumerTimer, Full, ProcessQueue, PulledMessage};
use crate::id::ProcessQueueId;
use crate::message::MessageQueue;
use crate::output::{BadAnswer, Output, Pause};
use crate::route::MASTER_ID;
use crate::shared::Shared;
use crate::time::{Instant, Timestamp, doubled};
use crate::timer::TimerId;

/// The first pause after a broker could not be asked; doubles up to
/// [`pull_delay_when_exception`](crate::config::PushConsumerConfig::pull_delay_when_exception).
pub(super) const RETRY_DELAY_MIN: Duration = Duration::from_millis(100);

/// So many queues that get empty answers at once ask as often as one would.
const EMPTY_QUEUES_MAX: u32 = 8;

/// What a queue's fetching waits for: always exactly one thing, so that none can be forgotten.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// For a broker to say where to start.
    Asking,
    /// For a pull, begun at this time.
    Pulling(Instant),
    /// For a timer.
    Pausing(TimerId, Pause),
    /// For its turn to ask a broker again that refuses queues.
    Gated(Pause),
    /// For settlements that make room.
    Full(Full),
    /// For the consumer to be resumed.
    Suspended,
    /// For nothing: the consumer is being closed.
    Stopped,
}

impl Fetch {
    /// Whether a request of the queue has been made.
    pub(super) fn is_at_broker(self) -> bool {
        matches!(self, Self::Asking | Self::Pulling(_))
    }
}

#[derive(Clone, Debug)]
pub(super) struct OwnedQueue {
    pub(super) queue: Arc<MessageQueue>,
    pub(super) cache: ProcessQueue<Cached>,
    /// Of the cached messages, those that nobody has taken back yet.
    pub(super) refused: BTreeMap<i64, Refused>,
    pub(super) fetch: Fetch,
    /// Where the next pull begins, once that is known.
    pub(super) next_offset: Option<i64>,
    /// Which broker the last answer suggested.
    pub(super) broker_id: i64,
    /// Attempts that came to nothing, in a row.
    pub(super) failures: u32,
    /// Answers in a row that broke off in the middle.
    pub(super) broken: u32,
    /// Answers in a row that brought nothing and led on a little, at once.
    pub(super) small_steps: u32,
    /// Its topic's place in the statistics.
    pub(super) topic_index: usize,
    /// Where the broker said that the queue ends.
    pub(super) max_offset: Option<i64>,
    /// The last message that the last pull with messages brought.
    pub(super) newest: Option<Newest>,
    /// Pulls have gone back to look whether messages have come below this offset, where the queue stood. Meanwhile
    /// nothing of it is committed.
    pub(super) looks_again_until: Option<i64>,
    /// The broker is to be asked this before the queue goes on. Meanwhile nothing of it is committed.
    pub(super) question: Option<Question>,
    /// How often in a row the broker found a place beyond the end that it had told. Meanwhile nothing of it is
    /// committed.
    pub(super) misfits: u32,
    /// How often a broker has made it go on elsewhere.
    pub(super) moved: Moved,
    /// When the pull was begun that was the first to be told that the queue is empty, although it was not. Meanwhile nothing of it is committed.
    pub(super) empty: Option<Timestamp>,
    /// Where the queue begins was said by a search, and no pull has shown yet that there is such an offset.
    pub(super) unproved: bool,
    /// Answers, and records of answers, that were not believed, and the last one.
    pub(super) bad_answers: u64,
    pub(super) bad_answer: Option<BadAnswer>,
    /// When the last pull was answered.
    pub(super) last_pull: Option<Instant>,
    /// When a message was last finished with.
    pub(super) last_consume: Option<Instant>,
}

/// A message that was fetched and isn't settled.
#[derive(Clone, Debug)]
pub(super) struct Cached {
    pub(super) message: PulledMessage,
    pub(super) fate: Fate,
    /// Of the last time it was handed out.
    pub(super) hand_out: u32,
    /// When a handler was called with it, if one was since.
    pub(super) begun: Option<Instant>,
}

impl Cached {
    /// Whether this hand-out is the last one and has no answer yet.
    pub(super) fn is_in_hand(&self, token: ConsumeToken) -> bool {
        self.fate == Fate::InHand && self.hand_out == token.hand_out
    }
}

/// Where an unsettled message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// With user code.
    InHand,
    /// On its way back, with this delay level.
    SendingBack(i32),
    /// Waits to be offered again.
    Resting(TimerId),
    /// Left to the next owner.
    HandedBack,
}

impl OwnedQueue {
    fn new(queue: Arc<MessageQueue>, timer: TimerId, topic_index: usize) -> Self {
        Self {
            queue,
            cache: ProcessQueue::default(),
            refused: BTreeMap::new(),
            fetch: Fetch::Pausing(timer, Pause::NoAddress),
            next_offset: None,
            broker_id: MASTER_ID,
            failures: 0,
            broken: 0,
            small_steps: 0,
            topic_index,
            max_offset: None,
            newest: None,
            looks_again_until: None,
            question: None,
            misfits: 0,
            moved: Moved::default(),
            empty: None,
            unproved: false,
            bad_answers: 0,
            bad_answer: None,
            last_pull: None,
            last_consume: None,
        }
    }

    /// The stay that follows this one at `place`, and has taken over what was cached below.
    pub(super) fn successor(mut self, timer: TimerId, below: ProcessQueue<Cached>, place: i64) -> Self {
        let mut cache = below;
        cache.see(place);
        self.refused.split_off(&place);
        Self {
            cache,
            fetch: Fetch::Pausing(timer, Pause::OffsetMoved),
            next_offset: Some(place),
            broker_id: MASTER_ID,
            broken: 0,
            looks_again_until: None,
            question: None,
            misfits: 0,
            empty: None,
            unproved: false,
            ..self
        }
    }

    /// Whether something else than a pull follows this pause: a question, or the commit of a reset.
    pub(super) fn pauses_although_suspended(&self, why: Pause) -> bool {
        self.question.is_some() || why == Pause::OffsetMoved
    }

    pub(super) fn count(&self, fate: impl Fn(Fate) -> bool) -> usize {
        self.cache.iter().filter(|(_, cached)| fate(cached.fate)).count()
    }
}

impl PushConsumer {
    /// A queue has become this member's own.
    pub(super) fn acquire(&mut self, shared: &mut Shared, now: Instant, queue: &Arc<MessageQueue>) {
        if self.by_queue.contains_key(queue) {
            // Two stays at a time would deliver everything twice.
            return;
        }
        let topic_index = self.subscriptions.keys().position(|topic| *topic == queue.topic).unwrap_or(0);
        let id = self.insert_stay(shared, now, |timer| OwnedQueue::new(queue.clone(), timer, topic_index));
        tracing::debug!(group = %self.config.group, %queue, ?id, "queue acquired");
        self.proceed(shared, now, id);
    }

    /// Begins a stay, which waits for the timer that it is given.
    pub(super) fn insert_stay(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        begin: impl FnOnce(TimerId) -> OwnedQueue,
    ) -> ProcessQueueId {
        let consumer = self.id;
        let mut queue = None;
        let id = self.owned.insert_with(|id| {
            let key = crate::shared::TimerKey::Consumer(consumer, ConsumerTimer::Fetch(id));
            let owned = begin(shared.arm(now, key));
            queue = Some(owned.queue.clone());
            owned
        });
        self.by_queue.extend(queue.map(|queue| (queue, id)));
        id
    }

    /// A queue is no longer this member's: what is settled is committed, what is cached is revoked.
    pub(super) fn release(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId) {
        self.note_progress(id);
        self.believe_reset(id);
        let Some(gone) = self.forget_queue(shared, id).map(|gone| gone.queue) else { return };
        self.moves.forget(id, i64::MAX);
        self.offsets.trust(&gone);
        self.commit(shared, now, &gone);
        self.offsets.release(&gone, now);
        tracing::debug!(group = %self.config.group, queue = %gone, ?id, "queue released");
    }

    /// Takes the stay out of all tables and tells the host.
    pub(super) fn forget_queue(&mut self, shared: &mut Shared, id: ProcessQueueId) -> Option<OwnedQueue> {
        let gone = self.owned.remove(id)?;
        self.leave_gate(&gone.queue.broker_name, gone.failures, id);
        self.by_queue.remove(&gone.queue);
        self.cached_bytes -= gone.cache.bytes();
        if let Fetch::Pausing(timer, _) = gone.fetch {
            shared.cancel(timer);
        }
        for (_, cached) in gone.cache.iter() {
            if let Fate::Resting(timer) = cached.fate {
                shared.cancel(timer);
            }
        }
        shared.outputs.push_back(Output::Revoke { consumer: self.id, queue: id });
        Some(gone)
    }

    /// The one way on for a queue that waited: asks where to start, pulls, or finds that it is full.
    pub(super) fn proceed(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId) {
        if self.is_closing() {
            return;
        }
        let queues = self.owned.len();
        let Some(owned) = self.owned.get_mut(id) else { return };
        if let Fetch::Pausing(timer, _) = owned.fetch {
            shared.cancel(timer);
        }
        // Nothing is fetched by a question.
        if let Some(question) = owned.question {
            self.takes_missed_turn(id);
            return self.ask_place(shared, now, id, question);
        }
        if self.suspended {
            owned.fetch = Fetch::Suspended;
            return;
        }
        let full = self.flow.check(&owned.cache, queues, self.cached_bytes);
        match (owned.next_offset, full) {
            (None, _) => self.ask_stored_offset(shared, now, id),
            (Some(_), Some(full)) => owned.fetch = Fetch::Full(full),
            (Some(_), None) if self.returns_to_gate(shared, now, id) => {}
            (Some(offset), None) => self.pull(shared, now, id, offset),
        }
    }

    /// Waits, longer each time, and then goes on. What brokers refuse waits in line with their other queues.
    pub(super) fn back_off(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, why: Pause) {
        let max = match why {
            Pause::NoAddress | Pause::Unreachable | Pause::Committing => {
                self.config.pull_delay_when_exception
            }
            Pause::Empty => self.empty_delay_max(),
            _ => return self.wait_at_gate(shared, now, id, why, (None, None)),
        };
        let Some(owned) = self.owned.get_mut(id) else { return };
        let delay = doubled(RETRY_DELAY_MIN, owned.failures, max);
        owned.failures = owned.failures.saturating_add(1);
        // The slave that was suggested may be what is wrong.
        owned.broker_id = MASTER_ID;
        self.pause(shared, now, id, delay, why);
    }

    /// The longest that a queue waits that has nothing. Each has to look for itself whether there is something, but not
    /// more often together than one broker is asked by few, nor more seldom than a broker answers that waits.
    pub(super) fn empty_delay_max(&self) -> Duration {
        let queues = u32::try_from(self.owned.len()).unwrap_or(u32::MAX);
        let of_all = self.config.pull_delay_when_exception * queues.div_ceil(EMPTY_QUEUES_MAX);
        of_all.min(self.config.broker_suspend_max.max(self.config.pull_delay_when_exception))
    }

    /// Waits, and then goes on.
    pub(super) fn pause(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        delay: Duration,
        why: Pause,
    ) {
        if self.is_closing() {
            return;
        }
        let key = self.timer(ConsumerTimer::Fetch(id));
        let Some(owned) = self.owned.get_mut(id) else { return };
        if let Fetch::Pausing(former, _) = owned.fetch {
            shared.cancel(former);
        }
        owned.fetch = if self.suspended && !owned.pauses_although_suspended(why) {
            Fetch::Suspended
        } else {
            Fetch::Pausing(shared.arm(now + delay, key), why)
        };
    }

    /// A broker is back: queues that waited for it go on at once.
    pub(super) fn wake_queues_of(&mut self, shared: &mut Shared, now: Instant, address: &Arc<str>) {
        let waits = |owned: &OwnedQueue| match owned.fetch {
            Fetch::Pausing(_, Pause::NoAddress | Pause::Unreachable) => shared
                .routes
                .address(&owned.queue.broker_name, owned.broker_id)
                .is_some_and(|(known, _)| known == address),
            _ => false,
        };
        let waiting: Vec<ProcessQueueId> =
            self.owned.iter().filter(|(_, owned)| waits(owned)).map(|(id, _)| id).collect();
        for id in waiting {
            self.proceed(shared, now, id);
        }
        self.hasten_gates_of(shared, now, address);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_queues_that_a_route_may_have_cost_a_member_less_than_10_mib() {
        let queues = usize::try_from(crate::route::QUEUES_MAX).expect("few");
        // Its place in the table of queues, twice in trees that are half full, and in the store of offsets.
        let tables =
            2 * (size_of::<(Arc<MessageQueue>, ProcessQueueId)>() + size_of::<Arc<MessageQueue>>() + 64);
        let bytes = queues * (size_of::<OwnedQueue>() + 16 + tables);
        assert!(bytes < 10 << 20, "{bytes} bytes, {} a queue", size_of::<OwnedQueue>());
    }
}
