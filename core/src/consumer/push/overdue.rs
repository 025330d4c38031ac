//! Handlers that have a message for too long. Java: `ProcessQueue#cleanExpiredMsg`, which looks once in a
//! whole `consumeTimeout`, at the sixteen oldest messages of a queue at most.

use alloc::vec::Vec;

use super::PushConsumer;
use super::queue::Fate;
use crate::consumer::{ConsumeToken, ConsumerTimer};
use crate::id::ProcessQueueId;
use crate::shared::Shared;
use crate::time::Instant;

/// The delay level of a message that was taken away from its handler: 10 s. Java: the 3 in
/// `ProcessQueue#cleanExpiredMsg`.
const LEVEL_TIMED_OUT: i32 = 3;

impl PushConsumer {
    /// Handlers were called with these messages.
    pub fn handle_begun(&mut self, tokens: &[(ConsumeToken, Option<Instant>)]) {
        for tokens in tokens.chunk_by(|(one, _), (other, _)| one.queue == other.queue) {
            let Some((first, _)) = tokens.first() else { continue };
            if self.owned.get(first.queue).is_none() {
                self.begun_of_former(tokens);
                continue;
            }
            let Some(owned) = self.owned.get_mut(first.queue) else { continue };
            for (token, at) in tokens {
                let cached = owned.cache.get_mut(token.queue_offset);
                if let Some(cached) = cached.filter(|cached| cached.is_in_hand(*token)) {
                    cached.begun = *at;
                }
            }
        }
    }

    /// The stay has ended, but a later one may have taken the messages over.
    fn begun_of_former(&mut self, tokens: &[(ConsumeToken, Option<Instant>)]) {
        for (token, at) in tokens {
            let id = self.stay_of(token.queue, token.queue_offset);
            let owned = self.owned.get_mut(id);
            let cached = owned.and_then(|owned| owned.cache.get_mut(token.queue_offset));
            if let Some(cached) = cached.filter(|cached| cached.is_in_hand(*token)) {
                cached.begun = *at;
            }
        }
    }

    /// Messages have gone to user code: the time of none of them is over before `consume_timeout`.
    pub(super) fn watch_handlers(&mut self, shared: &mut Shared, now: Instant) {
        if self.overdue_timer.is_none() {
            self.watch_until(shared, now + self.config.consume_timeout);
        }
    }

    fn watch_until(&mut self, shared: &mut Shared, at: Instant) {
        self.overdue_timer = Some(shared.arm(at, self.timer(ConsumerTimer::ConsumeTimeout)));
    }

    /// Somebody's time may be over. What no handler has begun may be begun now, so that its time is not
    /// over before all of it has passed again.
    pub(super) fn look_for_overdue(&mut self, shared: &mut Shared, now: Instant) {
        self.overdue_timer = None;
        if self.is_closing() {
            return;
        }
        let timeout = self.config.consume_timeout;
        let mut overdue: Vec<(ProcessQueueId, i64)> = Vec::new();
        let mut next: Option<Instant> = None;
        for (id, owned) in self.owned.iter() {
            for (offset, cached) in owned.cache.iter().filter(|(_, cached)| cached.fate == Fate::InHand) {
                let due = cached.begun.unwrap_or(now) + timeout;
                if due <= now {
                    overdue.push((id, offset));
                } else {
                    next = Some(next.map_or(due, |next| next.min(due)));
                }
            }
        }
        if let Some(next) = next {
            self.watch_until(shared, next);
        }
        for (id, offset) in overdue {
            let Some(owned) = self.owned.get(id) else { continue };
            let (group, queue, timeout_ms) = (&self.config.group, &owned.queue, timeout.as_millis());
            if shared.lines.may(now) {
                tracing::warn!(
                    %group, %queue, offset, timeout_ms,
                    "a handler has had a message for consume_timeout: sending it back; its late answer won't count"
                );
            }
            self.stats_of(id).timed_out += 1;
            self.report.timed_out += 1;
            self.send_back(shared, now, id, offset, LEVEL_TIMED_OUT);
        }
    }

    #[cfg(test)]
    pub(super) fn is_watching(&self) -> bool {
        self.overdue_timer.is_some()
    }

    pub(super) fn stop_watching_handlers(&mut self, shared: &mut Shared) {
        if let Some(timer) = self.overdue_timer.take() {
            shared.cancel(timer);
        }
    }
}
