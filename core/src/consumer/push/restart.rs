//! A stay that goes on at another place: what is cached below it stays, is finished and settles, and what is
//! at or above it is revoked. Nothing of the stay is committed past either.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::time::Duration;

use super::PushConsumer;
use super::pull::delivery;
use super::queue::{Cached, Fate, RETRY_DELAY_MIN};
use crate::consumer::{ConsumeToken, Delivery};
use crate::id::ProcessQueueId;
use crate::output::{Output, Pause};
use crate::shared::Shared;
use crate::time::{Instant, doubled};

/// Former stays whose handlers may still answer. Of more the oldest is forgotten; what its handlers have
/// is then sent back after `consume_timeout`.
const MOVES_MAX: usize = 64;
/// A queue that was not made to go on elsewhere for so long goes on at once the next time.
const MOVED_REST: Duration = Duration::from_secs(30);

/// Former stays whose messages were taken over by a later stay of the same queue.
#[derive(Clone, Debug, Default)]
pub(super) struct Moves(VecDeque<Move>);

#[derive(Clone, Copy, Debug)]
struct Move {
    from: ProcessQueueId,
    to: ProcessQueueId,
    /// What was taken over lies below: above, the new stay has other messages.
    below: i64,
}

/// How often a queue was made to go on elsewhere.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Moved {
    times: u32,
    last: Option<Instant>,
    /// When it goes on, or went on, after a reset.
    due: Instant,
}

impl Moved {
    /// It is again. The first time it goes on at once; with a broker that does it again and again, whatever it
    /// answers in between, after longer and longer pauses of at most `max`.
    fn another(&mut self, now: Instant, max: Duration) -> Option<Duration> {
        if self.last.is_none_or(|last| now.saturating_since(last) >= MOVED_REST) {
            self.times = 0;
        }
        self.last = Some(now);
        let delay = self.times.checked_sub(1).map(|times| doubled(RETRY_DELAY_MIN, times, max));
        self.times = self.times.saturating_add(1);
        delay
    }

    /// As [`another`](Self::another), for what comes without being asked for: how long it waits from now on. Whoever
    /// is told again while it waits does not wait longer for that, or it would never go on.
    pub(super) fn another_unasked(&mut self, now: Instant, max: Duration) -> Option<Duration> {
        let delay = self.another(now, max);
        if self.due <= now {
            self.due = delay.map_or(now, |delay| now.max(self.due + delay));
        }
        Some(self.due.saturating_since(now)).filter(|wait| !wait.is_zero())
    }
}

impl Moves {
    /// The stay that has taken over this message of a former one.
    pub(super) fn find(&self, from: ProcessQueueId, queue_offset: i64) -> Option<ProcessQueueId> {
        let mut moves = self.0.iter();
        let taken = moves.find(|one| one.from == from && queue_offset < one.below)?;
        Some(taken.to)
    }

    /// `to` has taken over what `from` has below this offset, also of what that had taken over.
    fn add(&mut self, from: ProcessQueueId, to: ProcessQueueId, below: i64) {
        for earlier in self.0.iter_mut().filter(|earlier| earlier.to == from) {
            *earlier = Move { from: earlier.from, to, below: earlier.below.min(below) };
        }
        self.0.push_back(Move { from, to, below });
        if self.0.len() > MOVES_MAX {
            self.0.pop_front();
        }
    }

    /// A stay has ended, or has nothing left below this offset.
    pub(super) fn forget(&mut self, to: ProcessQueueId, nothing_below: i64) {
        self.0.retain(|one| one.to != to || one.below > nothing_below);
    }
}

impl PushConsumer {
    /// Where a message of a stay is now: there, or in the stay that has taken it over.
    pub(super) fn stay_of(&self, id: ProcessQueueId, queue_offset: i64) -> ProcessQueueId {
        match self.owned.get(id) {
            Some(_) => id,
            None => self.moves.find(id, queue_offset).unwrap_or(id),
        }
    }

    /// The queue goes on at `place`. The commit goes there as well, backward too, or to the first message
    /// below that is not finished.
    pub(super) fn go_on_at(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, place: i64) {
        let Some(id) = self.move_to(shared, now, id, place) else { return };
        self.go_on_paced(shared, now, id);
        self.proceed_with_room(shared, now);
    }

    /// As [`go_on_at`](Self::go_on_at), but for going on: the stay that is to.
    pub(super) fn move_to(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        place: i64,
    ) -> Option<ProcessQueueId> {
        let owned = self.owned.get_mut(id)?;
        owned.stop_looking_again();
        owned.question = None;
        owned.misfits = 0;
        let id = match owned.next_offset {
            Some(at) if place < at => self.restart_at(shared, now, id, place)?,
            _ => {
                owned.next_offset = Some(place);
                owned.cache.see(place);
                owned.unproved = false;
                self.offsets.let_go(&owned.queue);
                if self.offsets.get(&owned.queue).is_none() {
                    self.offsets.begin(owned.queue.clone(), owned.cache.committable().unwrap_or(place));
                }
                self.note_progress(id);
                id
            }
        };
        let queue = self.owned.get(id)?.queue.clone();
        self.commit(shared, now, &queue);
        Some(id)
    }

    /// Pulls from where the queue stands now, later each time when it is made to go elsewhere again and again.
    pub(super) fn go_on_paced(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        match owned.moved.another(now, self.config.pull_delay_when_exception) {
            Some(delay) => self.pause(shared, now, id, delay, Pause::OffsetMoved),
            None => self.proceed(shared, now, id),
        }
    }

    /// Begins a new stay at `place`, which is below where the old one stood.
    fn restart_at(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        place: i64,
    ) -> Option<ProcessQueueId> {
        let kept = self.owned.get_mut(id)?.cache.split_below(place);
        let commit = kept.committable().unwrap_or(place);
        let gone = self.forget_queue(shared, id)?;
        self.set_back(&gone.queue, commit);
        let new = self.insert_stay(shared, now, |timer| gone.successor(timer, kept, place));
        self.moves.add(id, new, place);
        self.moves.forget(new, commit);
        self.deliver_anew(shared, now, new);
        Some(new)
    }

    /// Hands out what no handler of the former stay had begun: the host does not begin it any more.
    fn deliver_anew(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        let waits = |(offset, cached): (i64, &Cached)| {
            (cached.fate == Fate::InHand && cached.begun.is_none()).then_some(offset)
        };
        let offsets: Vec<i64> = owned.cache.iter().filter_map(waits).collect();
        let mut deliveries: Vec<Delivery> = Vec::with_capacity(offsets.len());
        for queue_offset in offsets {
            let Some(cached) = owned.cache.get_mut(queue_offset) else { continue };
            cached.hand_out = cached.hand_out.wrapping_add(1);
            let (message, hand_out) = (cached.message.clone(), cached.hand_out);
            let token = ConsumeToken { consumer: self.id, queue: id, queue_offset, hand_out };
            deliveries.push(delivery(owned, token, message, &self.retry_topic));
        }
        if !deliveries.is_empty() {
            shared.outputs.push_back(Output::Deliver { consumer: self.id, deliveries });
            self.watch_handlers(shared, now);
        }
    }
}
