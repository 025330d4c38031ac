//! Talking to name servers: the first connection, and look-ups from server to server. Java: `MQClientInstance#updateTopicRouteInfoFromNameServer`.

use alloc::boxed::Box;
use alloc::collections::BTreeSet;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::channel::Reply;
use crate::config::ClientConfig;
use crate::error::{Cause, Error, Failure};
use crate::id::OperationId;
use crate::output::Outcome;
use crate::remoting::{RemotingCommand, ResponseCode, TopicRouteData};
use crate::route::{LookupStep, RouteOutcome, RouteTooLarge, TopicRoute, weigh_body};
use crate::shared::{Notice, Shared, TimerKey};
use crate::time::Instant;
use crate::timer::TimerId;

use super::Client;

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

    pub(super) fn handle_route_reply(&mut self, now: Instant, topic: &Arc<str>, reply: Reply) {
        let Some(step) = self.shared.routes.lookups.get(topic).map(|lookup| lookup.step) else { return };
        match reply {
            Ok(command) if command.code == ResponseCode::SUCCESS.0 => {
                self.take_route(now, topic, step, &command)
            }
            Ok(command) if command.code == ResponseCode::TOPIC_NOT_EXIST.0 => self.route_denied(now, topic),
            Ok(command) => {
                let cause = match ResponseCode(command.code) {
                    // A name server serves this request, so this one is something else.
                    ResponseCode::REQUEST_CODE_NOT_SUPPORTED => {
                        let lookup = self.shared.routes.lookups.get(topic);
                        let address = lookup.map_or_else(|| "?".into(), |lookup| lookup.server.clone());
                        Cause::NotNameServer { address }
                    }
                    code => Cause::Answered { code, remark: command.remark.unwrap_or_default() },
                };
                self.route_failed(now, topic, cause);
            }
            Err(failure) => self.route_failed(now, topic, failure.cause),
        }
    }

    fn take_route(&mut self, now: Instant, topic: &Arc<str>, step: LookupStep, command: &RemotingCommand) {
        if let Err(error) = weigh_body(&command.body) {
            return self.route_refused(now, topic, error);
        }
        let mut data = match TopicRouteData::decode(&command.body) {
            Ok(data) => data,
            Err(error) => {
                let cause = Cause::BadAnswer { reason: format!("{error}").into() };
                return self.route_failed(now, topic, cause);
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
        // Whoever did not know what another server knows is asked last from now on.
        for server in lookup.map(|lookup| &lookup.denied).into_iter().flatten() {
            self.shared.name_servers.turn_from(server);
        }
        let brokers_before: BTreeSet<Arc<str>> =
            self.shared.routes.brokers().map(|(_, _, a)| a.clone()).collect();
        let unread_before = self.shared.routes.get(topic).map_or(0, TopicRoute::unread_queues);
        let changed = match self.shared.routes.apply(topic, data, from_default) {
            Ok(changed) => changed,
            Err(error) => return self.route_refused(now, topic, error),
        };
        self.tell_unread(now, topic, unread_before);
        if self.shared.routes.brokers().any(|(_, _, address)| !brokers_before.contains(address)) {
            // A broker that has not heard of this client can't tell it of changes in its groups.
            self.shared.heartbeat_soon(now);
        }
        self.shared.lookup_found(topic);
        self.shared.end_lookup(topic, RouteOutcome::Known { changed });
    }

    /// Producers and consumers of the topic hear once of each change. Java says nothing.
    fn tell_unread(&mut self, now: Instant, topic: &Arc<str>, before: usize) {
        let unread = self.shared.routes.get(topic).map_or(0, TopicRoute::unread_queues);
        if unread == before || !self.shared.lines.may(now) {
            return;
        }
        if unread == 0 {
            tracing::info!(%topic, "every queue that can be written can be read again");
        } else {
            tracing::warn!(
                %topic,
                queues = unread,
                "queues can be written but not read, so nobody gets what is sent to them: give the topic as \
                 many read as write queues, and the permission to read"
            );
        }
    }

    /// A route that would cost too much; the one that is known stays. Told once for each change.
    fn route_refused(&mut self, now: Instant, topic: &Arc<str>, error: RouteTooLarge) {
        if self.shared.routes.note_refused(topic, error) && self.shared.lines.may(now) {
            let server = self.shared.routes.lookups.get(topic).map(|lookup| &*lookup.server);
            tracing::warn!(%topic, server, %error, "a name server's answer is of no use");
        }
        let cause = Cause::BadAnswer { reason: format!("{error}").into() };
        self.route_failed(now, topic, cause);
    }

    /// One server knows no such topic. That is not the cluster's answer: a server that has just started
    /// knows none at all. Java believes the first.
    fn route_denied(&mut self, now: Instant, topic: &Arc<str>) {
        let Some(lookup) = self.shared.routes.lookups.get_mut(topic) else { return };
        let server = lookup.server.clone();
        lookup.denied.push(server);
        if self.closed || !self.shared.ask_next_name_server(now, topic) {
            self.no_route(now, topic, None);
        }
    }

    /// The other servers are asked before anybody hears of the failure.
    fn route_failed(&mut self, now: Instant, topic: &Arc<str>, cause: Cause) {
        let Some(lookup) = self.shared.routes.lookups.get_mut(topic) else { return };
        let server = lookup.server.clone();
        self.shared.name_servers.turn_from(&server);
        lookup.unheard.push(server);
        if self.closed || !self.shared.ask_next_name_server(now, topic) {
            self.no_route(now, topic, Some(cause));
        }
    }

    /// Every server was asked and none has the route; `last` is how the last one failed, if it did.
    fn no_route(&mut self, now: Instant, topic: &Arc<str>, last: Option<Cause>) {
        let wanted = self.shared.lacks_broker(topic);
        let Some(lookup) = self.shared.routes.lookups.get_mut(topic) else { return };
        if let (true, Some(cause)) = (lookup.denied.is_empty(), last) {
            return self.shared.end_lookup(topic, RouteOutcome::Failed(cause));
        }
        let wanted = wanted && lookup.default_queue_nums.is_some() && !self.closed;
        if lookup.step == LookupStep::Topic && wanted {
            lookup.go_on_to(LookupStep::Default);
            self.shared.lookup_goes_on(now);
            self.shared.ask_next_name_server(now, topic);
            return;
        }
        let cause = Cause::NoRoute { said_by: names(&lookup.denied), unheard: names(&lookup.unheard) };
        self.shared.lookup_denied(now, topic);
        self.shared.end_lookup(topic, RouteOutcome::NoRoute(cause));
    }
}

impl Shared {
    /// Whoever waits for the route of `topic` hears of it.
    fn end_lookup(&mut self, topic: &Arc<str>, outcome: RouteOutcome) {
        self.routes.lookups.remove(topic);
        if let RouteOutcome::Failed(cause) = &outcome {
            tracing::debug!(%topic, %cause, "route look-up failed");
        }
        self.notices.push_back(Notice::Route(topic.clone(), outcome));
    }
}

fn names(servers: &[Arc<str>]) -> Arc<str> {
    let names: Vec<&str> = servers.iter().map(|name| &**name).collect();
    names.join(";").into()
}

/// What a command is told when nobody can be reached.
fn unreachable(config: &ClientConfig, attempts: usize, elapsed: Duration, cause: Cause) -> Outcome {
    let names: Vec<&str> = config.name_servers.iter().map(|name| &**name).collect();
    Outcome::Failed(Error::Unreachable(Box::new(Failure {
        action: "reach a name server",
        topic: None,
        peer: Some(names.join(";").into()),
        attempts: u32::try_from(attempts).unwrap_or(u32::MAX),
        elapsed,
        cause,
    })))
}
