//! Request 220: a broker tells that an operator has reset the group on some queues. Brokers of 4.x send it, and
//! those of 5.x with `useServerSideResetOffset=false`; else they answer the next pull with
//! `PULL_OFFSET_MOVED`. Java: `MQClientInstance#resetOffset`, which stands still for ten seconds meanwhile.

use alloc::sync::Arc;

use super::PushConsumer;
use super::place::Question;
use super::queue::Fetch;
use crate::consumer::ProcessQueue;
use crate::id::ProcessQueueId;
use crate::message::MessageQueue;
use crate::output::Pause;
use crate::shared::Shared;
use crate::time::Instant;

impl PushConsumer {
    /// The queue begins again at `offset`, which is not negative: what is cached or in hand is revoked, `offset`
    /// is committed, backward too, and no late answer moves it. `false` when the queue is not owned.
    pub fn handle_reset(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        queue: &MessageQueue,
        offset: i64,
    ) -> bool {
        let Some(id) = self.by_queue.get(queue).copied() else { return false };
        let Some(mut gone) = self.forget_queue(shared, id) else { return false };
        self.moves.forget(id, i64::MAX);
        if shared.lines.may(now) {
            tracing::warn!(group = %self.config.group, %queue, offset, "the group's offset was reset");
        }
        let (queue, end) = (gone.queue.clone(), gone.max_offset);
        if self.is_closing() {
            // Nobody waits for a question any more.
            self.stand_at(shared, now, &queue, end.map_or(offset, |end| offset.min(end)));
            self.closing_message_settled(shared, now);
            return true;
        }
        let is_inside = end.is_some_and(|end| offset <= end);
        // A broker that resets all the time would be asked, and told what counts now, as often.
        let wait = gone.moved.another_unasked(now, self.config.pull_delay_when_exception);
        let new =
            self.insert_stay(shared, now, |timer| gone.successor(timer, ProcessQueue::default(), offset));
        if is_inside {
            self.set_back(&queue, offset);
            if wait.is_none() {
                self.commit(shared, now, &queue);
            }
        } else if let Some(owned) = self.owned.get_mut(new) {
            // It has grown since the last pull, or the offset is none.
            owned.question = Some(Question::end(offset));
        }
        match wait {
            Some(wait) => self.pause(shared, now, new, wait, Pause::OffsetMoved),
            None => self.proceed(shared, now, new),
        }
        // Bytes of what was cached are free.
        self.proceed_with_room(shared, now);
        true
    }

    /// A pause is over. Where a reset waited, nobody has been told of its place yet; if a later one is still to be
    /// weighed, it waits for that.
    pub(super) fn pause_is_over(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId) {
        if let Some(owned) = self.owned.get(id)
            && let Fetch::Pausing(_, Pause::OffsetMoved) = owned.fetch
            && owned.question.is_none()
        {
            let queue = owned.queue.clone();
            self.commit(shared, now, &queue);
        }
        self.proceed(shared, now, id);
    }

    /// Nobody waits any more for a broker to say whether the queue reaches the offset that it was reset to: the group
    /// stands there, or at the end if that is known and comes before.
    pub(super) fn believe_reset(&mut self, id: ProcessQueueId) {
        let Some(owned) = self.owned.get(id) else { return };
        let Some(wanted) = owned.question.and_then(Question::wanted) else { return };
        let place = owned.max_offset.map_or(wanted, |end| wanted.min(end));
        let queue = owned.queue.clone();
        self.set_back(&queue, place);
    }

    /// The queue begins at `place`, which a broker has confirmed; nothing of it is cached.
    pub(super) fn begin_at(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, place: i64) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        owned.question = None;
        owned.next_offset = Some(place);
        owned.cache = ProcessQueue::default();
        owned.cache.see(place);
        let queue = owned.queue.clone();
        self.stand_at(shared, now, &queue, place);
        self.proceed(shared, now, id);
    }

    /// Commits this, whatever was known before.
    fn stand_at(&mut self, shared: &mut Shared, now: Instant, queue: &Arc<MessageQueue>, offset: i64) {
        self.set_back(queue, offset);
        self.commit(shared, now, queue);
    }

    /// The group stands here on the queue, whatever was known before.
    pub(super) fn set_back(&mut self, queue: &Arc<MessageQueue>, offset: i64) {
        self.offsets.update_and_freeze(queue, offset);
        self.offsets.thaw(queue);
    }
}
