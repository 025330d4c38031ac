//! When brokers have heard of this client, and what they have answered.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use core::time::Duration;

use crate::id::ConsumerId;
use crate::remoting::ResponseCode;
use crate::time::Instant;
use crate::timer::{TimerId, Timers};

use super::TimerKey;

/// Between two heartbeats to one broker, whoever wants them. A consumer that the broker has not been told of
/// need not wait.
const PAUSE: Duration = Duration::from_secs(1);

/// The state of a client's heartbeats. All of them are due by one timer.
#[derive(Clone, Debug)]
pub struct Heartbeats {
    pub(crate) timer: Option<TimerId>,
    /// When all brokers are to hear next.
    pub(crate) next_round: Instant,
    /// Brokers that have heard too lately, and when they may hear again.
    pub(crate) put_off: BTreeMap<Arc<str>, Instant>,
    pub(crate) outstanding: BTreeSet<Arc<str>>,
    pub(crate) peers: BTreeMap<Arc<str>, Peer>,
}

/// One broker.
#[derive(Clone, Debug, Default)]
pub(crate) struct Peer {
    /// Heartbeats without an answer yet.
    pub(crate) in_flight: usize,
    /// Consumer groups that left meanwhile, and that these heartbeats may still name.
    pub(crate) left: BTreeSet<Arc<str>>,
    /// The last one, whatever became of it.
    pub(crate) tried: Option<Instant>,
    /// The last one, unless it surely was not sent.
    pub(crate) sent: Option<Instant>,
    /// The newest consumer that was named.
    pub(crate) newest: Option<ConsumerId>,
    /// The code of its last answer, if that was a refusal.
    pub(crate) refused: Option<ResponseCode>,
}

impl Default for Heartbeats {
    fn default() -> Self {
        Self {
            timer: None,
            next_round: Instant::FAR_FUTURE,
            put_off: BTreeMap::new(),
            outstanding: BTreeSet::new(),
            peers: BTreeMap::new(),
        }
    }
}

impl Heartbeats {
    /// The next round is due at `at`, if it was not due earlier.
    pub(crate) fn due(&mut self, timers: &mut Timers<TimerKey>, at: Instant) {
        self.next_round = self.next_round.min(at);
        self.arm(timers);
    }

    pub(crate) fn arm(&mut self, timers: &mut Timers<TimerKey>) {
        let at = self.put_off.values().fold(self.next_round, |at, other| at.min(*other));
        match self.timer {
            Some(timer) if timer.deadline() <= at => return,
            Some(timer) => drop(timers.cancel(timer)),
            None => {}
        }
        self.timer = Some(timers.arm(at, TimerKey::Heartbeat));
    }

    /// A consumer group leaves a broker. A broker that takes up requests side by side may do so before it
    /// takes up a heartbeat that names the group, and would have it back then for as long as a member may
    /// be silent, with queues that nobody consumes: after that heartbeat the broker is told again.
    pub(crate) fn leaves(&mut self, address: &Arc<str>, group: &Arc<str>) {
        if let Some(peer) = self.peers.get_mut(address).filter(|peer| peer.in_flight > 0) {
            peer.left.insert(group.clone());
        }
    }
}

impl Peer {
    /// When it may hear again after `last`, if that is not now.
    pub(crate) fn pause(
        &self,
        now: Instant,
        last: Option<Instant>,
        newest: Option<ConsumerId>,
    ) -> Option<Instant> {
        let until = last? + PAUSE;
        (now < until && newest <= self.newest).then_some(until)
    }

    /// A heartbeat has been answered, or failed: the groups that left, if it was the last on its way.
    pub(crate) fn answered(&mut self) -> BTreeSet<Arc<str>> {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.in_flight > 0 { BTreeSet::new() } else { core::mem::take(&mut self.left) }
    }
}
