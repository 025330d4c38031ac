//! The poll that keeps routes fresh, and what is forgotten by it. Every topic has a moment of its own within
//! the interval, so that a client of many topics does not ask for all of them at once, as Java does
//! (`MQClientInstance#updateTopicRouteInfoFromNameServer`); and a topic that nobody uses is forgotten, where
//! Java asks for every topic it ever sent to until the process ends.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use core::time::Duration;

use crate::rng::Rng;
use crate::time::Instant;
use crate::timer::TimerId;

use super::{Client, TimerKey};

/// A producer's topic that it has not sent to for so many intervals is forgotten.
const UNUSED_INTERVALS_MAX: u32 = 3;
/// The pause between two bouts of questions, however many moments have come.
const BOUT_PAUSE: Duration = Duration::from_millis(10);
/// Topics that are dealt with in one bout. More than one is due at once after a stop of the whole process,
/// and with more topics than milliseconds.
const BOUT_TOPICS_MAX: usize = 32;
/// 2³² divided by the golden ratio: multiples of it, taken modulo 2³², lie evenly apart, however many there
/// are.
const PHASE_STEP: u32 = 0x9E37_79B9;

/// When each topic's route is asked for next.
#[derive(Clone, Debug)]
pub(super) struct RoutePoll {
    moments: BTreeMap<Arc<str>, Instant>,
    /// The same, soonest first.
    order: BTreeSet<(Instant, Arc<str>)>,
    timer: Option<TimerId>,
    next_bout: Instant,
    /// Where in the interval the next topic's moment lies, in 2³²nds of it.
    phase: u32,
}

impl RoutePoll {
    /// Where in the interval the first moment lies is drawn: clients that start together don't ask together.
    pub(super) fn new(rng: &mut Rng) -> Self {
        let (moments, order) = (BTreeMap::new(), BTreeSet::new());
        Self { moments, order, timer: None, next_bout: Instant::ZERO, phase: rng.next_u32() }
    }

    fn insert(&mut self, topic: Arc<str>, at: Instant) {
        self.order.insert((at, topic.clone()));
        self.moments.insert(topic, at);
    }

    /// The topic whose moment has come.
    fn pop_due(&mut self, now: Instant) -> Option<(Instant, Arc<str>)> {
        self.order.first().filter(|(at, _)| *at <= now)?;
        let (at, topic) = self.order.pop_first()?;
        self.moments.remove(&topic);
        Some((at, topic))
    }

    /// The next topic's moment: within one interval from now on.
    fn draw(&mut self, now: Instant, interval: Duration) -> Instant {
        self.phase = self.phase.wrapping_add(PHASE_STEP);
        let into = (interval.as_nanos() * u128::from(self.phase)) >> 32;
        let start = u128::from(now.as_nanos()) / interval.as_nanos().max(1) * interval.as_nanos();
        let at = Instant::from_nanos(u64::try_from(start + into).unwrap_or(u64::MAX));
        if at > now { at } else { at + interval }
    }
}

impl Client {
    /// A look-up has ended: from now on `topic` is asked for once an interval, if somebody uses it or its
    /// route is known.
    pub(super) fn poll_route_later(&mut self, now: Instant, topic: &Arc<str>) {
        let wanted = self.shared.routes.get(topic).is_some() || self.uses_topic(topic);
        if !wanted || self.poll.moments.contains_key(topic) {
            return;
        }
        let at = self.poll.draw(now, self.shared.config.poll_name_server_interval);
        self.poll.insert(topic.clone(), at);
        self.arm_poll();
    }

    /// Whether a producer or consumer wants the route of `topic`.
    pub(super) fn uses_topic(&self, topic: &str) -> bool {
        self.producers.uses(topic) || self.consumers.uses(topic)
    }

    /// Asks for the routes whose moments have come, and forgets the topics that nobody uses any more.
    pub(super) fn poll_routes(&mut self, now: Instant) {
        self.poll.timer = None;
        let interval = self.shared.config.poll_name_server_interval;
        let mut forgotten = false;
        for _ in 0..BOUT_TOPICS_MAX {
            let Some((at, topic)) = self.poll.pop_due(now) else { break };
            self.producers.forget_unused(now, &topic, interval.saturating_mul(UNUSED_INTERVALS_MAX));
            if self.uses_topic(&topic) {
                let next = at + interval;
                let next = if next > now { next } else { now + interval };
                self.poll.insert(topic.clone(), next);
                self.shared.look_up_route(now, &topic, None);
            } else {
                tracing::debug!(%topic, "nobody uses this topic, its route is forgotten");
                forgotten |= self.shared.routes.forget(&topic);
                self.shared.doubts.forget(&topic);
            }
        }
        if forgotten {
            self.shared.routes.forget_offline_brokers();
            self.producers.forget_faults(&self.shared.routes);
        }
        self.poll.next_bout = now + BOUT_PAUSE;
        self.arm_poll();
    }

    fn arm_poll(&mut self) {
        let Some((first, _)) = self.poll.order.first() else { return };
        let at = (*first).max(self.poll.next_bout);
        match self.poll.timer {
            Some(timer) if timer.deadline() <= at => return,
            Some(timer) => self.shared.cancel(timer),
            None => {}
        }
        self.poll.timer = Some(self.shared.arm(at, TimerKey::PollRoutes));
    }
}
