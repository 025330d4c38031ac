//! Heartbeats: who is told, when, and what comes of it. Java: `MQClientInstance#sendHeartbeatToAllBroker`.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::channel::Reply;
use crate::consumer::Consumers;
use crate::id::ConsumerId;
use crate::producer::Producers;
use crate::remoting::{HeartbeatData, ProducerData, RequestCode, ResponseCode};
use crate::route::MASTER_ID;
use crate::time::Instant;
use crate::timer::{TimerId, Timers};

use super::shared::{Purpose, Shared, TimerKey};

/// The state of a client's heartbeats.
#[derive(Clone, Debug, Default)]
pub struct Heartbeats {
    timer: Option<TimerId>,
    outstanding: BTreeSet<Arc<str>>,
    round_failed: bool,
    /// Heartbeats without an answer yet, by address.
    in_flight: BTreeMap<Arc<str>, InFlight>,
}

/// Heartbeats on their way to one broker.
#[derive(Clone, Debug, Default)]
struct InFlight {
    count: usize,
    /// Consumer groups that left meanwhile, and that these heartbeats may still name.
    left: BTreeSet<Arc<str>>,
}

impl Heartbeats {
    /// The next round is due at `at`, if it was not due earlier.
    pub(super) fn due(&mut self, timers: &mut Timers<TimerKey>, at: Instant) {
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
        if let Some(in_flight) = self.in_flight.get_mut(address) {
            in_flight.left.insert(group.clone());
        }
    }

    /// A heartbeat has been answered, or failed: the groups that left, if it was the last on its way.
    fn answered(&mut self, address: &Arc<str>) -> BTreeSet<Arc<str>> {
        let Some(in_flight) = self.in_flight.get_mut(address) else { return BTreeSet::new() };
        in_flight.count -= 1;
        if in_flight.count > 0 {
            return BTreeSet::new();
        }
        self.in_flight.remove(address).map(|in_flight| in_flight.left).unwrap_or_default()
    }
}

/// What one answer to a heartbeat ended.
pub(super) struct Heard {
    /// The round's result, when this was its last answer.
    pub(super) round: Option<bool>,
    /// Whether this broker knows the client now.
    pub(super) ok: bool,
    /// Groups that left while heartbeats were on their way, of which this was the last.
    pub(super) left: BTreeSet<Arc<str>>,
}

/// Sends a round to every broker: masters only while there is no consumer.
pub(super) fn send_round(
    shared: &mut Shared,
    now: Instant,
    producers: &Producers,
    consumers: &Consumers,
) -> Option<bool> {
    shared.heartbeats.timer = None;
    let next = now + shared.config.heartbeat_broker_interval;
    shared.heartbeats.due(&mut shared.timers, next);
    if producers.is_empty() && consumers.is_empty() {
        return None;
    }
    let consuming = !consumers.is_empty();
    let addresses: Vec<Arc<str>> = shared
        .routes
        .brokers()
        .filter(|(_, id, _)| consuming || *id == MASTER_ID)
        .map(|(_, _, address)| address.clone())
        .collect();
    if addresses.is_empty() {
        return Some(false);
    }
    let message = data(shared, producers, consumers);
    shared.heartbeats.round_failed = false;
    shared.heartbeats.outstanding = addresses.iter().cloned().collect();
    for address in &addresses {
        send(shared, now, address, message.clone());
    }
    None
}

/// Sends one to a broker whose connection has just come up.
pub(super) fn send_to(
    shared: &mut Shared,
    now: Instant,
    address: &Arc<str>,
    producers: &Producers,
    consumers: &Consumers,
) {
    let nobody = producers.is_empty() && consumers.is_empty();
    if !nobody && !shared.heartbeats.outstanding.contains(address) {
        let message = data(shared, producers, consumers);
        send(shared, now, address, message);
    }
}

/// Takes an answer in.
pub(super) fn handle_reply(shared: &mut Shared, address: &Arc<str>, reply: &Reply) -> Heard {
    let ok = match reply {
        Ok(command) if command.code == ResponseCode::SUCCESS.0 => true,
        Ok(command) => {
            let code = ResponseCode(command.code);
            tracing::warn!(%address, %code, remark = command.remark.as_deref(), "a broker refused the heartbeat");
            false
        }
        Err(failure) => {
            tracing::debug!(%address, cause = %failure.cause, "heartbeat failed");
            false
        }
    };
    let in_round = shared.heartbeats.outstanding.remove(address);
    shared.heartbeats.round_failed |= in_round && !ok;
    let over = in_round && shared.heartbeats.outstanding.is_empty();
    let left = shared.heartbeats.answered(address);
    Heard { round: over.then_some(!shared.heartbeats.round_failed), ok, left }
}

/// A body, and the newest consumer that it names.
type Message = (Bytes, Option<ConsumerId>);

fn send(shared: &mut Shared, now: Instant, address: &Arc<str>, (body, newest): Message) {
    let deadline = now + shared.config.request_timeout;
    shared.heartbeats.in_flight.entry(address.clone()).or_default().count += 1;
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
