//! Heartbeats: who is told, when, and what comes of it. Java: `MQClientInstance#sendHeartbeatToAllBroker`.

use alloc::collections::BTreeSet;
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
}

/// What one answer to a heartbeat ended.
pub(super) struct Heard {
    /// The round's result, when this was its last answer.
    pub(super) round: Option<bool>,
    /// Whether this broker knows the client now.
    pub(super) ok: bool,
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
    Heard { round: over.then_some(!shared.heartbeats.round_failed), ok }
}

/// A body, and the newest consumer that it names.
type Message = (Bytes, Option<ConsumerId>);

fn send(shared: &mut Shared, now: Instant, address: &Arc<str>, (body, newest): Message) {
    let deadline = now + shared.config.request_timeout;
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
