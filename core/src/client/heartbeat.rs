//! Heartbeats: who is told, when, and what comes of it. Java: `MQClientInstance#sendHeartbeatToAllBroker`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use crate::channel::Reply;
use crate::consumer::Consumers;
use crate::id::ConsumerId;
use crate::lines::Brief;
use crate::producer::Producers;
use crate::remoting::{HeartbeatData, ProducerData, RequestCode, ResponseCode};
use crate::route::MASTER_ID;
use crate::time::Instant;
use crate::timer::{TimerId, Timers};

use super::shared::{Purpose, Shared, TimerKey};

/// Between two heartbeats to one broker, whoever wants them. A consumer that the broker has not been told of
/// need not wait.
const PAUSE: Duration = Duration::from_secs(1);
/// Pause after a round while a consumer is known to no broker.
const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The state of a client's heartbeats. All of them are due by one timer.
#[derive(Clone, Debug)]
pub struct Heartbeats {
    timer: Option<TimerId>,
    /// When all brokers are to hear next.
    next_round: Instant,
    /// Brokers that have heard too lately, and when they may hear again.
    put_off: BTreeMap<Arc<str>, Instant>,
    outstanding: BTreeSet<Arc<str>>,
    peers: BTreeMap<Arc<str>, Peer>,
}

/// One broker.
#[derive(Clone, Debug, Default)]
struct Peer {
    /// Heartbeats without an answer yet.
    in_flight: usize,
    /// Consumer groups that left meanwhile, and that these heartbeats may still name.
    left: BTreeSet<Arc<str>>,
    /// The last one, whatever became of it.
    tried: Option<Instant>,
    /// The last one, unless it surely was not sent.
    sent: Option<Instant>,
    /// The newest consumer that was named.
    newest: Option<ConsumerId>,
    /// The code of its last answer, if that was a refusal.
    refused: Option<ResponseCode>,
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
    pub(super) fn due(&mut self, timers: &mut Timers<TimerKey>, at: Instant) {
        self.next_round = self.next_round.min(at);
        self.arm(timers);
    }

    fn arm(&mut self, timers: &mut Timers<TimerKey>) {
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
    fn pause(&self, now: Instant, last: Option<Instant>, newest: Option<ConsumerId>) -> Option<Instant> {
        let until = last? + PAUSE;
        (now < until && newest <= self.newest).then_some(until)
    }

    /// A heartbeat has been answered, or failed: the groups that left, if it was the last on its way.
    fn answered(&mut self) -> BTreeSet<Arc<str>> {
        self.in_flight = self.in_flight.saturating_sub(1);
        if self.in_flight > 0 { BTreeSet::new() } else { core::mem::take(&mut self.left) }
    }
}

/// What one answer to a heartbeat ended.
pub(super) struct Heard {
    /// Whether it was the last answer of a round.
    pub(super) round_over: bool,
    /// Whether this broker knows the client now.
    pub(super) ok: bool,
    /// Groups that left while heartbeats were on their way, of which this was the last.
    pub(super) left: BTreeSet<Arc<str>>,
}

/// The timer is due: all brokers hear, masters only while there is no consumer, or those that were put off.
/// True when there was nobody to tell.
pub(super) fn handle_timer(
    shared: &mut Shared,
    now: Instant,
    producers: &Producers,
    consumers: &Consumers,
) -> bool {
    shared.heartbeats.timer = None;
    let round = now >= shared.heartbeats.next_round;
    if round {
        shared.heartbeats.next_round = now + shared.config.heartbeat_broker_interval;
    }
    let nobody = producers.is_empty() && consumers.is_empty();
    let addresses = if round { all(shared, consumers) } else { take_put_off(shared, now) };
    let none = addresses.is_empty();
    if !nobody && !none {
        tell(shared, now, addresses, data(shared, producers, consumers));
    }
    let Shared { heartbeats, timers, .. } = shared;
    heartbeats.arm(timers);
    round && none && !nobody
}

/// While a consumer is known to no broker, a round is followed by another soon.
pub(super) fn round_over(shared: &mut Shared, now: Instant, consumers: &Consumers) {
    if consumers.is_one_unknown() {
        shared.heartbeats.due(&mut shared.timers, now + RETRY_DELAY);
    }
}

fn all(shared: &mut Shared, consumers: &Consumers) -> Vec<Arc<str>> {
    let consuming = !consumers.is_empty();
    let brokers = shared.routes.brokers().filter(|(_, id, _)| consuming || *id == MASTER_ID);
    let addresses: BTreeSet<Arc<str>> = brokers.map(|(_, _, address)| address.clone()).collect();
    let Heartbeats { peers, put_off, .. } = &mut shared.heartbeats;
    // Of brokers that are in no route any more nothing needs to be known.
    peers.retain(|address, peer| peer.in_flight > 0 || addresses.contains(address));
    put_off.clear();
    // Those that could not be reached come last: they may take up all the places for connects.
    let (failed, well): (Vec<_>, Vec<_>) =
        addresses.into_iter().partition(|address| shared.channels.last_failure(address).is_some());
    well.into_iter().chain(failed).collect()
}

fn take_put_off(shared: &mut Shared, now: Instant) -> Vec<Arc<str>> {
    let put_off = &mut shared.heartbeats.put_off;
    let due: Vec<Arc<str>> =
        put_off.iter().filter(|(_, at)| **at <= now).map(|(address, _)| address.clone()).collect();
    put_off.retain(|_, at| *at > now);
    due.into_iter().filter(|address| shared.routes.is_broker(address)).collect()
}

/// Tells each that has not heard too lately; the others hear later.
fn tell(shared: &mut Shared, now: Instant, addresses: Vec<Arc<str>>, message: Message) {
    for address in addresses {
        let peer = shared.heartbeats.peers.entry(address.clone()).or_default();
        if let Some(until) = peer.pause(now, peer.tried, message.1) {
            shared.heartbeats.put_off.insert(address, until);
        } else {
            shared.heartbeats.outstanding.insert(address.clone());
            send(shared, now, &address, message.clone());
        }
    }
}

/// Tells a broker whose connection has just come up, unless that is the first thing it hears anyway.
pub(super) fn send_to(
    shared: &mut Shared,
    now: Instant,
    address: &Arc<str>,
    producers: &Producers,
    consumers: &Consumers,
) {
    let nobody = producers.is_empty() && consumers.is_empty();
    if nobody || shared.channels.awaits(address, |purpose| matches!(purpose, Purpose::Heartbeat(..))) {
        return;
    }
    let peer = shared.heartbeats.peers.entry(address.clone()).or_default();
    if let Some(until) = peer.pause(now, peer.sent, consumers.newest()) {
        shared.heartbeats.put_off.insert(address.clone(), until);
        let Shared { heartbeats, timers, .. } = shared;
        return heartbeats.arm(timers);
    }
    let message = data(shared, producers, consumers);
    send(shared, now, address, message);
}

/// Takes an answer in.
pub(super) fn handle_reply(shared: &mut Shared, now: Instant, address: &Arc<str>, reply: &Reply) -> Heard {
    let Shared { heartbeats, lines, .. } = shared;
    let peer = heartbeats.peers.entry(address.clone()).or_default();
    let ok = match reply {
        Ok(command) if command.code == ResponseCode::SUCCESS.0 => {
            if peer.refused.take().is_some() && lines.may(now) {
                tracing::info!(%address, "the broker takes heartbeats again");
            }
            true
        }
        Ok(command) => {
            let code = ResponseCode(command.code);
            if peer.refused.replace(code) != Some(code) && lines.may(now) {
                let remark = Brief(command.remark.as_deref().unwrap_or_default());
                tracing::warn!(%address, %code, %remark, "a broker refuses heartbeats: it does not know this client");
            }
            false
        }
        Err(failure) => {
            if failure.not_sent {
                peer.sent = None;
            }
            tracing::debug!(%address, cause = %failure.cause, "heartbeat failed");
            false
        }
    };
    let left = peer.answered();
    let in_round = heartbeats.outstanding.remove(address);
    Heard { round_over: in_round && heartbeats.outstanding.is_empty(), ok, left }
}

/// A body, and the newest consumer that it names.
type Message = (Bytes, Option<ConsumerId>);

fn send(shared: &mut Shared, now: Instant, address: &Arc<str>, (body, newest): Message) {
    let deadline = now + shared.config.request_timeout;
    let peer = shared.heartbeats.peers.entry(address.clone()).or_default();
    peer.in_flight += 1;
    (peer.tried, peer.sent) = (Some(now), Some(now));
    peer.newest = peer.newest.max(newest);
    let purpose = Purpose::Heartbeat(address.clone(), newest);
    // A broker refuses pulls of a group that it has not heard of.
    shared.request_ahead(now, address, RequestCode::HEART_BEAT, body, deadline, purpose);
}

fn data(shared: &Shared, producers: &Producers, consumers: &Consumers) -> Message {
    let groups: BTreeSet<&Arc<str>> = producers.groups().collect();
    let data = HeartbeatData {
        client_id: shared.client_id.clone(),
        producer_data_set: groups
            .into_iter()
            .map(|group| ProducerData { group_name: group.clone() })
            .collect(),
        consumer_data_set: consumers.heartbeat_data(),
        ..HeartbeatData::default()
    };
    (data.encode(), consumers.newest())
}
