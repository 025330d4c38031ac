//! Routes looked up ahead, so that the first send need not wait for them. Java: the topics that a `DefaultMQProducer` is
//! made with, whose routes its start looks up one after another and says nothing of those that it does not find.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::retry::{self, Next};
use super::{Producers, TopicPublishInfo};
use crate::error::{Cause, Error, Failure};
use crate::id::{OperationId, ProducerId};
use crate::output::Outcome;
use crate::route::RouteOutcome;
use crate::shared::{Shared, TimerKey};
use crate::time::Instant;
use crate::timer::TimerId;

/// A warm-up that has not ended.
#[derive(Clone, Debug)]
pub(super) struct WarmUp {
    producer: ProducerId,
    started: Instant,
    deadline: Instant,
    timer: TimerId,
    /// Topics without a route yet.
    missing: BTreeMap<Arc<str>, Missing>,
}

#[derive(Clone, Debug, Default)]
struct Missing {
    /// Look-ups that have ended.
    look_ups: u32,
    /// Why the last one found nothing.
    cause: Option<Cause>,
    /// When the next one begins; `None` while one is under way.
    again: Option<Instant>,
}

impl WarmUp {
    /// Arms the timer for what comes first: a look-up, or the end.
    fn arm(&mut self, shared: &mut Shared, operation: OperationId) {
        shared.cancel(self.timer);
        let at = self.missing.values().filter_map(|missing| missing.again).fold(self.deadline, Instant::min);
        self.timer = shared.arm(at, TimerKey::WarmUp(operation));
    }
}

impl Producers {
    /// Looks up the routes of `topics`, within the time of a send.
    pub(super) fn warm_up(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        (operation, producer): (OperationId, ProducerId),
        topics: Vec<Arc<str>>,
    ) {
        let Some(state) = self.table.get_mut(&producer).filter(|state| state.closing.is_none()) else {
            return shared.complete(operation, Outcome::Failed(Error::Closed));
        };
        let deadline = now + state.config.send_timeout;
        let queue_nums = state.config.default_topic_queue_nums;
        let mut missing = BTreeMap::new();
        for topic in topics {
            if shared.routes.get(&topic).is_some() {
                self.warmed(shared, now, producer, &topic);
            } else if missing.insert(topic.clone(), Missing::default()).is_none() {
                shared.look_up_route(now, &topic, Some(queue_nums));
            }
        }
        let timer = shared.arm(deadline, TimerKey::WarmUp(operation));
        let warm_up = WarmUp { producer, started: now, deadline, timer, missing };
        self.warm_ups.insert(operation, warm_up);
        self.end_if_warm(shared, operation);
    }

    /// The producer sends to the topic from now on, as far as the poll of routes is concerned.
    fn warmed(&mut self, shared: &mut Shared, now: Instant, producer: ProducerId, topic: &Arc<str>) {
        let (Some(route), Some(state)) = (shared.routes.get(topic), self.table.get_mut(&producer)) else {
            return;
        };
        let new = || TopicPublishInfo::new(&mut shared.rng);
        state.topics.entry(topic.clone()).or_insert_with(new).refresh(now, route);
        // Brokers are connected to by it, and learn of the producer.
        shared.heartbeat_soon(now);
    }

    /// Whether somebody waits for this topic's route.
    pub(super) fn warms_up(&self, topic: &str) -> bool {
        self.warm_ups.values().any(|warm_up| warm_up.missing.contains_key(topic))
    }

    /// A look-up has ended.
    pub(super) fn warm_up_route(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        topic: &Arc<str>,
        outcome: &RouteOutcome,
    ) {
        let found = matches!(outcome, RouteOutcome::Known { .. });
        let waits = |warm_up: &WarmUp| {
            warm_up.missing.get(topic).is_some_and(|missing| found || missing.again.is_none())
        };
        let waiting: Vec<OperationId> =
            self.warm_ups.iter().filter(|(_, warm_up)| waits(warm_up)).map(|(id, _)| *id).collect();
        for operation in waiting {
            let Some(warm_up) = self.warm_ups.get_mut(&operation) else { continue };
            let producer = warm_up.producer;
            match outcome {
                RouteOutcome::Known { .. } => {
                    warm_up.missing.remove(topic);
                    self.warmed(shared, now, producer, topic);
                    self.end_if_warm(shared, operation);
                }
                RouteOutcome::NoRoute(cause) | RouteOutcome::Failed(cause) => {
                    let missing = warm_up.missing.entry(topic.clone()).or_default();
                    missing.look_ups = missing.look_ups.saturating_add(1);
                    missing.cause = Some(cause.clone());
                    match retry::after_no_route(cause) {
                        Next::Pause(pause) => {
                            missing.again = Some(now + pause);
                            warm_up.arm(shared, operation);
                        }
                        Next::Now | Next::GiveUp => self.warm_up_failed(shared, now, operation, topic),
                    }
                }
            }
        }
    }

    /// A pause is over, or the time for all of it.
    pub(crate) fn handle_warm_up_timer(&mut self, shared: &mut Shared, now: Instant, operation: OperationId) {
        let Some(warm_up) = self.warm_ups.get_mut(&operation) else { return };
        if now >= warm_up.deadline {
            // One that is known to have failed tells more than one that has had no answer.
            let all = &warm_up.missing;
            let failed = all.iter().find(|(_, missing)| missing.cause.is_some());
            let Some((topic, _)) = failed.or_else(|| all.iter().next()) else { return };
            let topic = topic.clone();
            return self.warm_up_failed(shared, now, operation, &topic);
        }
        let state = self.table.get(&warm_up.producer);
        let queue_nums = state.map(|state| state.config.default_topic_queue_nums);
        for (topic, missing) in &mut warm_up.missing {
            if missing.again.is_some_and(|at| at <= now) {
                missing.again = None;
                shared.look_up_route(now, topic, queue_nums);
            }
        }
        warm_up.arm(shared, operation);
    }

    /// A producer is forgotten: nothing is looked up for it any more.
    pub(super) fn end_warm_ups(&mut self, shared: &mut Shared, producer: ProducerId) {
        self.warm_ups.retain(|operation, warm_up| {
            let stays = warm_up.producer != producer;
            if !stays {
                shared.cancel(warm_up.timer);
                shared.complete(*operation, Outcome::Failed(Error::Closed));
            }
            stays
        });
    }

    fn end_if_warm(&mut self, shared: &mut Shared, operation: OperationId) {
        if self.warm_ups.get(&operation).is_some_and(|warm_up| warm_up.missing.is_empty())
            && let Some(warm_up) = self.warm_ups.remove(&operation)
        {
            shared.cancel(warm_up.timer);
            shared.complete(operation, Outcome::Done);
        }
    }

    fn warm_up_failed(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        operation: OperationId,
        topic: &Arc<str>,
    ) {
        let Some(mut warm_up) = self.warm_ups.remove(&operation) else { return };
        shared.cancel(warm_up.timer);
        let Missing { look_ups, cause, .. } = warm_up.missing.remove(topic).unwrap_or_default();
        let failure = Failure {
            action: "look up the route of",
            topic: Some(topic.clone()),
            peer: None,
            attempts: look_ups,
            elapsed: now.saturating_since(warm_up.started),
            cause: cause.unwrap_or(Cause::Timeout),
        };
        shared.complete(operation, Outcome::Failed(Error::NotSent(Box::new(failure))));
    }
}
