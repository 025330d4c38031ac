//! Fetching nothing for a while. Java: `DefaultMQPushConsumerImpl#suspend`. What is cached is consumed on,
//! and a pull that is under way may still bring messages. Unlike in Java queues are divided on, so that
//! a member that joins meanwhile gets its part.

use alloc::vec::Vec;

use super::PushConsumer;
use super::queue::Fetch;
use crate::consumer::Full;
use crate::id::ProcessQueueId;
use crate::shared::Shared;
use crate::time::Instant;

impl PushConsumer {
    /// No pull begins from now on.
    pub fn suspend(&mut self, shared: &mut Shared) {
        if self.suspended || self.is_closing() {
            return;
        }
        self.suspended = true;
        tracing::debug!(group = %self.config.group, "suspended");
        self.stop_gates(shared);
        for (_, owned) in self.owned.iter_mut() {
            match owned.fetch {
                Fetch::Pausing(_, why) if owned.pauses_although_suspended(why) => continue,
                Fetch::Pausing(timer, _) => shared.cancel(timer),
                Fetch::Full(_) | Fetch::Gated(_) => {}
                Fetch::Asking | Fetch::Pulling(_) | Fetch::Suspended | Fetch::Stopped => continue,
            }
            owned.fetch = Fetch::Suspended;
        }
    }

    /// Pulls begin again, at once.
    pub fn resume(&mut self, shared: &mut Shared, now: Instant) {
        if !self.suspended {
            return;
        }
        self.suspended = false;
        tracing::debug!(group = %self.config.group, "resumed");
        self.proceed_where(shared, now, |fetch| fetch == Fetch::Suspended);
        self.rebalance_soon(shared, now);
    }

    /// Bytes of what was cached are free: queues go on that waited for them.
    pub(super) fn proceed_with_room(&mut self, shared: &mut Shared, now: Instant) {
        self.proceed_where(shared, now, |fetch| fetch == Fetch::Full(Full::TotalBytes));
    }

    /// Queues whose fetching waits for such a thing go on.
    pub(super) fn proceed_where(&mut self, shared: &mut Shared, now: Instant, waits: impl Fn(Fetch) -> bool) {
        let waiting: Vec<ProcessQueueId> =
            self.owned.iter().filter(|(_, owned)| waits(owned.fetch)).map(|(id, _)| id).collect();
        for id in waiting {
            self.proceed(shared, now, id);
        }
    }
}
