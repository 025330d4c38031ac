//! What becomes of a message once user code has finished with it. Java:
//! `ConsumeMessageConcurrentlyService#processConsumeResult`.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::PushConsumer;
use super::pull::delivery;
use super::queue::{Cached, Fate, Fetch, OwnedQueue};
use crate::consumer::{Ack, ConsumeToken, ConsumerTimer, PulledMessage, Settled, TopicStatistics};
use crate::id::ProcessQueueId;
use crate::message::DELAY_LEVELS;
use crate::output::Output;
use crate::shared::Shared;
use crate::time::{Instant, doubled};

/// The delay level by which brokers choose themselves: the more often, the longer.
const LEVEL_BY_BROKER: i32 = 0;
/// The longest pause before a message is offered again that is refused again and again.
const REOFFER_DELAY_MAX: Duration = Duration::from_secs(30);
/// The delay level that means the dead letters.
pub(super) const LEVEL_DEAD_LETTER: i32 = -1;

impl PushConsumer {
    /// User code has finished with deliveries of this consumer.
    pub fn handle_settled(&mut self, shared: &mut Shared, now: Instant, answers: &[Settled]) {
        for answers in answers.chunk_by(|one, other| one.token.queue == other.token.queue) {
            if let [first, ..] = answers {
                self.settle_of_queue(shared, now, first.token.queue, answers);
            }
        }
        self.closing_message_settled(shared, now);
    }

    fn settle_of_queue(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        answers: &[Settled],
    ) {
        let Some(owned) = self.owned.get_mut(id) else {
            return self.settle_of_former(shared, now, id, answers);
        };
        let statistics = &mut self.statistics[owned.topic_index];
        let before = owned.cache.bytes();
        let mut done = 0;
        let mut back = Vec::new();
        for Settled { token, ack, begun } in answers {
            let offset = token.queue_offset;
            let mut called = None;
            let mut is_in_hand = |cached: &Cached| {
                called = Some(begun.or(cached.begun)).filter(|_| cached.is_in_hand(*token));
                called.is_some()
            };
            if *ack == Ack::Done {
                done += u64::from(owned.cache.settle_if(offset, is_in_hand).is_some());
            } else if let Some(cached) = owned.cache.get_mut(offset).filter(|cached| is_in_hand(cached)) {
                // At once: another answer to this hand-out may stand behind, and comes too late.
                let level = delay_level(*ack);
                cached.fate = Fate::SendingBack(level);
                back.push((offset, level));
            }
            match called {
                Some(begun) => {
                    let took = begun.map(|begun| now.saturating_since(begun));
                    count_answer(statistics, *ack, took);
                }
                // It was handed out again, or is settled already.
                None => self.late += 1,
            }
        }
        let freed = before - owned.cache.bytes();
        if !owned.refused.is_empty() {
            let OwnedQueue { refused, cache, .. } = owned;
            refused.retain(|offset, _| cache.get(*offset).is_some());
        }
        self.report.settled += done;
        if done > 0 {
            self.freed(shared, now, id, freed);
        }
        for (offset, level) in back {
            self.send_back(shared, now, id, offset, level);
        }
    }

    /// The stay has ended. A later one may have taken the message over; else the queue went to another
    /// member meanwhile, or begins again before it.
    fn settle_of_former(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        answers: &[Settled],
    ) {
        for answer in answers {
            let token = answer.token;
            let Some(later) = self.moves.find(id, token.queue_offset) else {
                self.late += 1;
                continue;
            };
            // It was handed out anew because no handler seemed to have begun it. One had, and its answer is true.
            let anew = token.hand_out.wrapping_add(1);
            let cached = self.cached(later, token.queue_offset);
            let is_anew = cached.is_some_and(|cached| cached.hand_out == anew);
            let hand_out = if is_anew { anew } else { token.hand_out };
            self.settle_of_queue(
                shared,
                now,
                later,
                &[Settled { token: ConsumeToken { hand_out, ..token }, ..*answer }],
            );
        }
    }

    /// No handler began a delivery, and none will. In a close the queue's next owner gets it; else
    /// nobody would, so it is offered here again.
    pub fn handle_handed_back(&mut self, shared: &mut Shared, now: Instant, token: ConsumeToken) {
        let offset = token.queue_offset;
        let id = self.stay_of(token.queue, offset);
        if self.is_in_hand(token) {
            self.rest(shared, now, id, offset);
            self.closing_message_settled(shared, now);
        }
    }

    /// A message is done with: it no longer holds the offset back, and there may be room again.
    pub(super) fn settled(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, offset: i64) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        let before = owned.cache.bytes();
        owned.cache.settle(offset);
        owned.refused.remove(&offset);
        let freed = before - owned.cache.bytes();
        self.freed(shared, now, id, freed);
    }

    /// Messages of so many bytes of a queue are done with.
    fn freed(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, freed: usize) {
        if let Some(owned) = self.owned.get_mut(id) {
            owned.last_consume = Some(now);
        }
        self.free_bytes(shared, now, freed);
        // Looked at only now: the freed bytes may have let this queue go on already, and it has one pull.
        if self.owned.get(id).is_some_and(|owned| matches!(owned.fetch, Fetch::Full(_))) {
            self.proceed(shared, now, id);
        }
    }

    /// Fewer bytes are cached; queues that waited for that go on.
    pub(super) fn free_bytes(&mut self, shared: &mut Shared, now: Instant, freed: usize) {
        let was_over = self.flow.is_over(self.cached_bytes);
        self.cached_bytes -= freed;
        if was_over && !self.flow.is_over(self.cached_bytes) {
            self.proceed_with_room(shared, now);
        }
    }

    /// The counters of a queue's topic.
    pub(super) fn stats_of(&mut self, id: ProcessQueueId) -> &mut TopicStatistics {
        let index = self.owned.get(id).map_or(0, |owned| owned.topic_index);
        &mut self.statistics[index]
    }

    /// The message can't be settled now: it is offered again later. Its offset is not passed.
    pub(super) fn rest(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, offset: i64) {
        if self.is_closing() {
            return self.set_fate(id, offset, Fate::HandedBack);
        }
        let key = self.timer(ConsumerTimer::Reoffer { queue: id, queue_offset: offset });
        let timer = shared.arm(now + self.reoffer_delay(id, offset), key);
        self.set_fate(id, offset, Fate::Resting(timer));
    }

    /// Java: 5 s each time.
    fn reoffer_delay(&self, id: ProcessQueueId, offset: i64) -> Duration {
        let min = self.config.send_back_retry_delay;
        let refused = self.owned.get(id).and_then(|owned| owned.refused.get(&offset));
        let offers = self.cached(id, offset).map_or(0, |cached| cached.hand_out);
        refused.map_or(min, |_| doubled(min, offers, min.max(REOFFER_DELAY_MAX)))
    }

    /// The message is offered again, as one that was consumed once more.
    pub(super) fn reoffer(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, offset: i64) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        let Some(cached) = owned.cache.get_mut(offset) else { return };
        if !matches!(cached.fate, Fate::Resting(_)) {
            return;
        }
        cached.fate = Fate::InHand;
        cached.hand_out = cached.hand_out.wrapping_add(1);
        cached.begun = None;
        let again = cached.message.decode().map(|mut message| {
            message.reconsume_times = message.reconsume_times.saturating_add(1);
            message
        });
        cached.message = PulledMessage::alone(owned.queue.clone(), again);
        let (message, hand_out) = (cached.message.clone(), cached.hand_out);
        let token = ConsumeToken { consumer: self.id, queue: id, queue_offset: offset, hand_out };
        let deliveries = vec![delivery(owned, token, message, &self.retry_topic)];
        shared.outputs.push_back(Output::Deliver { consumer: self.id, deliveries });
        self.stats_of(id).offered_again += 1;
        self.watch_handlers(shared, now);
    }

    /// Whether this hand-out of a message is the last one and has no answer yet.
    pub(super) fn is_in_hand(&self, token: ConsumeToken) -> bool {
        let id = self.stay_of(token.queue, token.queue_offset);
        self.cached(id, token.queue_offset).is_some_and(|cached| cached.is_in_hand(token))
    }

    pub(super) fn cached(&self, id: ProcessQueueId, offset: i64) -> Option<&Cached> {
        self.owned.get(id)?.cache.get(offset)
    }

    pub(super) fn set_fate(&mut self, id: ProcessQueueId, offset: i64, fate: Fate) {
        if let Some(cached) = self.owned.get_mut(id).and_then(|owned| owned.cache.get_mut(offset)) {
            cached.fate = fate;
        }
    }
}

fn count_answer(statistics: &mut TopicStatistics, ack: Ack, took: Option<Duration>) {
    match ack {
        Ack::Done => statistics.consumed += 1,
        Ack::Retry | Ack::RetryAfter(_) | Ack::DeadLetter => statistics.failed += 1,
    }
    if let Some(took) = took {
        statistics.consume_time.record(took);
    }
}

/// The delay level that an answer asks for.
fn delay_level(ack: Ack) -> i32 {
    match ack {
        Ack::DeadLetter => LEVEL_DEAD_LETTER,
        Ack::RetryAfter(delay) => {
            let shorter = DELAY_LEVELS.iter().filter(|level| **level < delay).count();
            i32::try_from(shorter.min(DELAY_LEVELS.len() - 1) + 1).expect("the table is short")
        }
        Ack::Retry | Ack::Done => LEVEL_BY_BROKER,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wished_delay_becomes_the_nearest_level_that_is_not_shorter() {
        for (millis, level) in [
            (0, 1),
            (1, 1),
            (1_000, 1),
            (1_001, 2),
            (5_000, 2),
            (31_000, 5),
            (7_200_000, 18),
            (9_999_999, 18),
        ] {
            assert_eq!(delay_level(Ack::RetryAfter(Duration::from_millis(millis))), level, "{millis} ms");
        }
        assert_eq!(delay_level(Ack::Retry), 0);
        assert_eq!(delay_level(Ack::DeadLetter), -1);
    }
}
