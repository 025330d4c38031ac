//! From nothing to being a member: routes, then heartbeats, then the first division of queues; and
//! finding again what gets lost of that later.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::{Phase, PushConsumer};
use crate::consumer::ConsumerTimer;
use crate::error::Error;
use crate::id::OperationId;
use crate::message::names;
use crate::output::Outcome;
use crate::route::RouteOutcome;
use crate::shared::Shared;
use crate::time::{Instant, doubled};
use crate::timer::TimerId;

/// The first pause before a missing route is looked for again; doubles each time.
const ROUTE_RETRY_DELAY_MIN: Duration = Duration::from_millis(100);
/// The longest such pause.
const ROUTE_RETRY_DELAY_MAX: Duration = Duration::from_secs(5);
/// How long a start waits for brokers and routes before it is called done; the consumer then goes on
/// trying by itself, as in Java, where a start doesn't wait at all.
const START_PATIENCE: Duration = Duration::from_secs(5);

/// Who waits for the start, and for what.
#[derive(Clone, Debug)]
pub(super) struct Starting {
    operation: OperationId,
    timer: Option<TimerId>,
    divided: BTreeSet<Arc<str>>,
}

impl Starting {
    pub(super) fn new(operation: OperationId) -> Self {
        Self { operation, timer: None, divided: BTreeSet::new() }
    }
}

/// The search for routes that no name server has yet.
#[derive(Clone, Debug, Default)]
pub(super) struct MissingRoutes {
    timer: Option<TimerId>,
    tries: u32,
}

impl PushConsumer {
    /// Begins: asks for the routes of all topics and lets brokers hear of the group.
    pub fn handle_start(&mut self, shared: &mut Shared, now: Instant) {
        let patience = shared.arm(now + START_PATIENCE, self.timer(ConsumerTimer::StartPatience));
        if let Phase::Starting(starting) = &mut self.phase {
            starting.timer = Some(patience);
        }
        self.arm_persist(shared, now);
        for topic in self.subscriptions.keys() {
            shared.look_up_route(now, topic, None);
        }
        shared.heartbeat_soon(now);
    }

    /// A look-up of a route has ended.
    pub fn handle_route(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        topic: &Arc<str>,
        outcome: &RouteOutcome,
    ) {
        if self.is_closing() || !self.subscriptions.contains_key(topic) {
            return;
        }
        match outcome {
            RouteOutcome::Known { .. } if self.lacks_route(shared, topic) => self.look_later(shared, now),
            RouteOutcome::Known { changed: true } => {
                // Brokers that are new have been sent a heartbeat, which is to come first.
                self.rebalance_soon(shared, now);
            }
            RouteOutcome::Known { changed: false } => {}
            RouteOutcome::NoRoute(_) | RouteOutcome::Failed(_) if self.lacks_route(shared, topic) => {
                self.look_later(shared, now);
            }
            RouteOutcome::NoRoute(_) | RouteOutcome::Failed(_) => {}
        }
    }

    /// The broker at `address` knows of this group now.
    pub fn handle_broker_connected(&mut self, shared: &mut Shared, now: Instant, address: &Arc<str>) {
        if self.is_closing() {
            return;
        }
        if self.registered.insert(address.clone(), now).is_none() {
            tracing::debug!(group = %self.config.group, %address, "registered");
            // The first heartbeat makes the broker create the retry topic.
            self.missing.tries = 0;
            self.doubt_commits(shared, address);
            self.look_for_routes(shared, now);
            self.rebalance_soon(shared, now);
        }
        self.wake_queues_of(shared, now, address);
    }

    /// The connection to `address` is gone; brokers forget members without one. Whether the broker knew of this
    /// group and is missed.
    pub fn handle_broker_lost(&mut self, address: &Arc<str>) -> bool {
        self.registered.remove(address).is_some() && !self.is_closing()
    }

    /// Whether a broker knows of this group.
    pub(crate) fn is_registered(&self) -> bool {
        !self.registered.is_empty()
    }

    /// The members of the group have changed.
    pub fn handle_members_changed(&mut self, shared: &mut Shared, now: Instant) {
        self.rebalance_soon(shared, now);
    }

    /// Asks for every route that is missing.
    pub(super) fn look_for_routes(&mut self, shared: &mut Shared, now: Instant) {
        if let Some(timer) = self.missing.timer.take() {
            shared.cancel(timer);
        }
        let missing: Vec<Arc<str>> =
            self.subscriptions.keys().filter(|topic| self.lacks_route(shared, topic)).cloned().collect();
        for topic in &missing {
            if self.missing.tries == 0 {
                shared.look_up_route(now, topic, None);
            } else {
                shared.doubt_route(now, topic, None);
            }
        }
    }

    fn look_later(&mut self, shared: &mut Shared, now: Instant) {
        if self.missing.timer.is_none() {
            let delay = doubled(ROUTE_RETRY_DELAY_MIN, self.missing.tries, ROUTE_RETRY_DELAY_MAX);
            self.missing.tries = self.missing.tries.saturating_add(1);
            self.missing.timer = Some(shared.arm(now + delay, self.timer(ConsumerTimer::Routes)));
        }
    }

    /// A route that was borrowed for a topic which doesn't exist yet is none.
    pub(super) fn lacks_route(&self, shared: &Shared, topic: &str) -> bool {
        shared.routes.get(topic).is_none_or(|route| route.from_default)
    }

    /// Marks a topic as divided; the start is over when all are. The retry topic may come later.
    pub(super) fn note_divided(&mut self, shared: &mut Shared, topic: &Arc<str>) {
        let Phase::Starting(starting) = &mut self.phase else { return };
        starting.divided.insert(topic.clone());
        let all = self.subscriptions.keys().filter(|topic| !names::is_retry_topic(topic));
        if all.into_iter().all(|topic| starting.divided.contains(topic)) {
            self.end_start(shared);
        }
    }

    pub(super) fn start_waited_long_enough(&mut self, shared: &mut Shared) {
        if matches!(self.phase, Phase::Starting(_)) {
            let lacking: Vec<&Arc<str>> =
                self.subscriptions.keys().filter(|topic| self.lacks_route(shared, topic)).collect();
            tracing::warn!(
                group = %self.config.group,
                topics_without_route = ?lacking,
                brokers = self.registered.len(),
                "started without queues: check topics and brokers; trying on"
            );
            self.end_start(shared);
        }
    }

    fn end_start(&mut self, shared: &mut Shared) {
        if let Some(operation) = self.take_start(shared) {
            self.phase = Phase::Running;
            shared.complete_done(Some(operation));
        }
    }

    /// The client ends before the start has.
    pub(in crate::consumer) fn fail_start(&mut self, shared: &mut Shared) {
        if let Some(operation) = self.take_start(shared) {
            self.phase = Phase::Running;
            shared.complete(operation, Outcome::Failed(Error::Closed));
        }
    }

    /// Who waits for the start, if it isn't over; its patience ends with this.
    pub(super) fn take_start(&mut self, shared: &mut Shared) -> Option<OperationId> {
        let Phase::Starting(starting) = &self.phase else { return None };
        if let Some(timer) = starting.timer {
            shared.cancel(timer);
        }
        Some(starting.operation)
    }

    pub(super) fn stop_looking_for_routes(&mut self, shared: &mut Shared) {
        if let Some(timer) = self.missing.timer.take() {
            shared.cancel(timer);
        }
    }
}
