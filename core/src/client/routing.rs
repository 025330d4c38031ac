//! Talking to name servers: the first connection, look-ups from server to server, and the poll that
//! keeps routes fresh. Java: `MQClientInstance#updateTopicRouteInfoFromNameServer`.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::channel::{Reply, RequestFailure};
use crate::error::Cause;
use crate::id::OperationId;
use crate::remoting::{RemotingCommand, ResponseCode, TopicRouteData};
use crate::route::{LookupStep, RouteOutcome};
use crate::time::Instant;
use crate::timer::TimerId;

use super::shared::unreachable;
use super::{Client, Outcome, TimerKey};

/// Users who wait until a name server is reached.
#[derive(Clone, Debug)]
pub(super) struct Connecting {
    operations: Vec<OperationId>,
    started: Instant,
    timer: TimerId,
    attempts: usize,
    trying: Arc<str>,
    last: Option<Cause>,
}

impl Client {
    pub(super) fn connect(&mut self, now: Instant, operation: OperationId) {
        if let Some(connecting) = &mut self.connecting {
            return connecting.operations.push(operation);
        }
        let address = self.shared.name_servers.chosen().clone();
        if self.shared.channels.is_open(&address) {
            return self.shared.complete(operation, Outcome::Done);
        }
        let servers = u32::try_from(self.shared.name_servers.len()).unwrap_or(u32::MAX);
        let patience = self.shared.config.connect_timeout.saturating_mul(servers.saturating_add(1));
        let timer = self.shared.arm(now + patience, TimerKey::Connect);
        let operations = Vec::from([operation]);
        let trying = address.clone();
        self.connecting =
            Some(Connecting { operations, started: now, timer, attempts: 1, trying, last: None });
        self.shared.channels.connect(now, &address);
    }

    /// A connection came up or could not be opened; if it is the one that users wait for, they hear of
    /// it, once every server was tried.
    pub(super) fn finish_connecting(&mut self, now: Instant, address: &Arc<str>, up: bool) {
        let Some(connecting) = &mut self.connecting else { return };
        if *address != connecting.trying {
            return;
        }
        if up {
            return self.end_connecting(|_| Outcome::Done);
        }
        connecting.last = self.shared.channels.last_failure(address).cloned();
        self.shared.name_servers.turn_from(address);
        if connecting.attempts >= self.shared.name_servers.len() {
            return self.connect_timed_out(now);
        }
        connecting.attempts += 1;
        let next = self.shared.name_servers.chosen().clone();
        connecting.trying = next.clone();
        if self.shared.channels.connect(now, &next) {
            self.end_connecting(|_| Outcome::Done);
        }
    }

    pub(super) fn connect_timed_out(&mut self, now: Instant) {
        let config = self.shared.config.clone();
        self.end_connecting(|connecting| {
            let cause = connecting.last.clone().unwrap_or(Cause::Timeout);
            unreachable(&config, connecting.attempts, now.saturating_since(connecting.started), cause)
        });
    }

    fn end_connecting(&mut self, outcome: impl Fn(&Connecting) -> Outcome) {
        let Some(connecting) = self.connecting.take() else { return };
        self.shared.cancel(connecting.timer);
        for operation in &connecting.operations {
            self.shared.complete(*operation, outcome(&connecting));
        }
    }

    pub(super) fn poll_routes(&mut self, now: Instant) {
        self.shared.arm(now + self.shared.config.poll_name_server_interval, TimerKey::PollRoutes);
        let topics: BTreeSet<Arc<str>> =
            self.producers.topics().cloned().chain(self.consumers.topics().cloned()).collect();
        for topic in topics {
            self.shared.look_up_route(now, &topic, None);
        }
    }

    pub(super) fn handle_route_reply(&mut self, now: Instant, topic: &Arc<str>, reply: Reply) {
        let Some(step) = self.shared.routes.lookups.get(topic).map(|lookup| lookup.step) else { return };
        match reply {
            Ok(command) if command.code == ResponseCode::SUCCESS.0 => {
                self.take_route(now, topic, step, &command)
            }
            Ok(command) if command.code == ResponseCode::TOPIC_NOT_EXIST.0 => self.no_route(now, topic, step),
            Ok(command) => {
                let peer = self.shared.name_servers.chosen().clone();
                let cause = match ResponseCode(command.code) {
                    // A name server serves this request, so this one is something else.
                    ResponseCode::REQUEST_CODE_NOT_SUPPORTED => {
                        Cause::NotNameServer { address: peer.clone() }
                    }
                    code => Cause::Answered { code, remark: command.remark.unwrap_or_default() },
                };
                self.route_failed(now, topic, RequestFailure { peer, not_sent: false, cause });
            }
            Err(failure) => self.route_failed(now, topic, failure),
        }
    }

    fn take_route(&mut self, now: Instant, topic: &Arc<str>, step: LookupStep, command: &RemotingCommand) {
        let mut data = match TopicRouteData::decode(&command.body) {
            Ok(data) => data,
            Err(error) => {
                let cause = Cause::BadAnswer { reason: format!("{error}").into() };
                let peer = self.shared.name_servers.chosen().clone();
                return self.route_failed(now, topic, RequestFailure { peer, not_sent: false, cause });
            }
        };
        let lookup = self.shared.routes.lookups.get(topic);
        let from_default = step == LookupStep::Default;
        if let (true, Some(most)) = (from_default, lookup.and_then(|lookup| lookup.default_queue_nums)) {
            for entry in &mut data.queue_datas {
                let nums = entry.read_queue_nums.min(most);
                entry.read_queue_nums = nums;
                entry.write_queue_nums = nums;
            }
        }
        let brokers_before: BTreeSet<Arc<str>> =
            self.shared.routes.brokers().map(|(_, _, a)| a.clone()).collect();
        let changed = self.shared.routes.apply(topic, data, from_default);
        if self.shared.routes.brokers().any(|(_, _, address)| !brokers_before.contains(address)) {
            // A broker that has not heard of this client can't tell it of changes in its groups.
            self.shared.heartbeat_soon(now);
        }
        self.shared.end_lookup(topic, RouteOutcome::Known { changed });
    }

    fn no_route(&mut self, now: Instant, topic: &Arc<str>, step: LookupStep) {
        let known = self.shared.routes.get(topic).is_some();
        let Some(lookup) = self.shared.routes.lookups.get_mut(topic) else { return };
        if step == LookupStep::Topic && lookup.default_queue_nums.is_some() && !known {
            lookup.step = LookupStep::Default;
            lookup.failures = 0;
            return self.shared.ask_for_route(now, topic, LookupStep::Default);
        }
        self.shared.end_lookup(topic, RouteOutcome::NoRoute);
    }

    /// The other servers are asked before anybody hears of the failure.
    fn route_failed(&mut self, now: Instant, topic: &Arc<str>, failure: RequestFailure) {
        self.shared.name_servers.turn_from(&failure.peer);
        let servers = self.shared.name_servers.len();
        let Some(lookup) = self.shared.routes.lookups.get_mut(topic) else { return };
        lookup.failures += 1;
        if lookup.failures < servers && !self.closed {
            let step = lookup.step;
            return self.shared.ask_for_route(now, topic, step);
        }
        self.shared.end_lookup(topic, RouteOutcome::Failed(failure.cause));
    }
}
