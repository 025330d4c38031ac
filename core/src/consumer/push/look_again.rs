//! A queue that is asked by time where it goes on may be the one that it was: brokers leave out what the group does
//! not ask for, so the position can lie far above the newest message that was fetched, and a place between both
//! says nothing. Pulls look again from there, and what was committed is taken back only once the queue has shown
//! that it is another.

use super::PushConsumer;
use super::queue::OwnedQueue;
use crate::id::ProcessQueueId;
use crate::shared::Shared;
use crate::time::{Instant, Timestamp};

/// The newest message that was fetched of a queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Newest {
    pub(super) time: Timestamp,
    pub(super) offset: i64,
}

impl OwnedQueue {
    /// Pulls go on where the queue stood before they looked again.
    pub(super) fn stop_looking_again(&mut self) {
        if let Some(until) = self.looks_again_until.take() {
            self.next_offset = self.next_offset.max(Some(until));
        }
    }

    /// Whether a queue that ends here lacks what it had.
    pub(super) fn is_shorter_than_before(&self, end: i64) -> bool {
        self.looks_again_until.is_some_and(|until| end < until)
    }

    /// Whether messages at these offsets were not there before.
    pub(super) fn had_none_of(&self, places: &[(i64, usize)]) -> bool {
        self.looks_again_until.is_some_and(|until| places.iter().any(|(offset, _)| *offset < until))
    }
}

impl PushConsumer {
    /// Begins to look again, at `place`, which lies above the newest message that was fetched.
    pub(super) fn look_again_from(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        place: i64,
    ) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        owned.question = None;
        owned.misfits = 0;
        owned.looks_again_until = owned.next_offset.replace(place);
        self.go_on_paced(shared, now, id);
    }

    /// The queue is another, or has lost its tail: it goes on where it was looked at last.
    pub(super) fn is_another(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        let Some(place) = owned.next_offset else { return };
        owned.stop_looking_again();
        let at = owned.next_offset;
        if shared.lines.may(now) {
            tracing::warn!(queue = %owned.queue, at, place, "the queue is not as it was; it goes on here");
        }
        // It has waited before it looked.
        if let Some(id) = self.move_to(shared, now, id, place) {
            self.proceed(shared, now, id);
            self.proceed_with_room(shared, now);
        }
    }

    /// Once the queue is as it was up to where it stood, it goes on as if nothing had been said of it.
    pub(super) fn end_look(&mut self, id: ProcessQueueId) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        if owned.looks_again_until.is_some_and(|until| owned.next_offset >= Some(until)) {
            owned.looks_again_until = None;
            self.offsets.let_go(&owned.queue);
        }
    }
}
