//! Heartbeats: who is told, when, and what comes of it. Java: `MQClientInstance#sendHeartbeatToAllBroker`.

use alloc::collections::BTreeSet;
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
use crate::shared::{Heartbeats, Purpose, Shared};
use crate::time::Instant;

/// Pause after a round while a consumer is known to no broker.
const RETRY_DELAY: Duration = Duration::from_secs(1);

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
