//! Brokers that were lost. Name servers forget a broker with its connection, and tell nobody when it is
//! back, so routes are asked for more often for a while. Java finds it with its next poll, within 30 s.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::PushConsumer;
use super::start::doubled;
use crate::client::Shared;
use crate::consumer::ConsumerTimer;
use crate::time::Instant;
use crate::timer::TimerId;

/// The first pause before routes are asked for; doubles each time.
const LOOK_DELAY_MIN: Duration = Duration::from_millis(250);
/// The longest such pause.
const LOOK_DELAY_MAX: Duration = Duration::from_secs(2);
/// A broker that was lost for longer than this is left to the poll of routes.
const LOOK_TIME_MAX: Duration = Duration::from_secs(300);

/// What is known of them.
#[derive(Clone, Debug, Default)]
pub(super) struct LostBrokers {
    since: BTreeMap<Arc<str>, Instant>,
    timer: Option<TimerId>,
    tries: u32,
}

impl PushConsumer {
    /// A broker that knew of this member is out of reach.
    pub(super) fn broker_lost(&mut self, shared: &mut Shared, now: Instant, address: &Arc<str>) {
        self.lost.since.insert(address.clone(), now);
        if self.lost.timer.is_none() {
            self.lost.tries = 0;
            self.look_for_lost_later(shared, now);
        }
    }

    /// It is back.
    pub(super) fn broker_found(&mut self, shared: &mut Shared, address: &Arc<str>) {
        self.lost.since.remove(address);
        if self.lost.since.is_empty() {
            self.stop_looking_for_lost(shared);
        }
    }

    /// Asks for routes if a broker that was lost is in none. One that still is in a route is reached as
    /// soon as it is back by whatever waits for it.
    pub(super) fn look_for_lost(&mut self, shared: &mut Shared, now: Instant) {
        self.lost.timer = None;
        self.lost.since.retain(|_, since| now.saturating_since(*since) < LOOK_TIME_MAX);
        if self.is_closing() || self.lost.since.is_empty() {
            return;
        }
        if self.lost.since.keys().any(|address| !shared.routes.is_broker(address)) {
            let topics: Vec<Arc<str>> = self.subscriptions.keys().cloned().collect();
            for topic in &topics {
                shared.look_up_route(now, topic, None);
            }
        }
        self.look_for_lost_later(shared, now);
    }

    fn look_for_lost_later(&mut self, shared: &mut Shared, now: Instant) {
        let delay = doubled(LOOK_DELAY_MIN, self.lost.tries, LOOK_DELAY_MAX);
        self.lost.tries = self.lost.tries.saturating_add(1);
        self.lost.timer = Some(shared.arm(now + delay, self.timer(ConsumerTimer::LostBrokers)));
    }

    pub(super) fn stop_looking_for_lost(&mut self, shared: &mut Shared) {
        if let Some(timer) = self.lost.timer.take() {
            shared.cancel(timer);
        }
    }
}
