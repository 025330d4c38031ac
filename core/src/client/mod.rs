//! The client: composes the machines, owns their tables, and is the one door in and out.
//!
//! ```text
//!   Input ──► Client::handle ──► channel │ route │ producer │ consumer ──► Client::poll_output ──► Output
//! ```
//!
//! One input is dealt with completely, with everything that follows from it, before the next. Timers
//! that are due fire after the input that came at the same time: an answer at its deadline counts.

mod closing;
mod doubts;
mod heartbeat;
mod input;
mod peer_request;
mod peers;
mod poll;
mod routing;
mod statistics;

use alloc::sync::Arc;

use crate::channel::{ChannelEvent, Reply};
use crate::config::{ClientConfig, HostFacts};
use crate::consumer::Consumers;
use crate::error::{Cause, Error};
use crate::id::AskToken;
use crate::producer::Producers;
use crate::time::{Instant, Timestamp, WallClock};

pub use crate::message::outbound::OutboundMessage;
pub use crate::output::{
    Answer, Chunks, ClientStatistics, ConnectionStatistics, Outcome, Output, Owner, Question,
};
pub use crate::producer::queue_choice::QueueChoice;
pub use crate::shared::{Doubts, Heartbeats, Purpose, Shared, TimerKey};
pub use input::{ClientCommand, Command, Input};

use crate::shared::{Asker, Notice, selected_queue};
use closing::Closing;
use peers::Peers;
use poll::RoutePoll;
use routing::Connecting;

/// A whole client as plain data. Java: `MQClientInstance` and all it holds.
///
/// # Contract
/// - [`handle`](Self::handle) takes what has happened, one input at a time and any number of them, each with the time at
///   which the host saw it. Time never goes back, within a call or from one to the next.
/// - Then [`poll_output`](Self::poll_output) is called until it gives [`Output::Wait`]. Inputs may go in between two
///   outputs. What an output wants is done in the order of the outputs.
/// - At the time that [`Output::Wait`] named, or later, something goes in: [`Input::Timeout`] if there is nothing else.
///   An earlier input makes that time void; the next [`Output::Wait`] names another.
/// - A connection is named by the client. The host tells of one whose [`Output::Connect`] it has seen and whose
///   [`Output::Close`] it has not; whatever it still tells of another is let pass.
/// - Each command with an operation ends by one [`Output::Complete`]. After [`Output::ClientClosed`] only what
///   ends or looks is still done; all other commands are refused.
#[derive(Clone, Debug)]
pub struct Client {
    shared: Shared,
    producers: Producers,
    consumers: Consumers,
    peers: Peers,
    poll: RoutePoll,
    connecting: Option<Connecting>,
    closing: Option<Closing>,
    closed: bool,
    /// It has closed and is to say so, after all else.
    untold_end: bool,
}

impl Client {
    /// A client that knows nothing and nobody yet. `seed` decides all its randomness.
    #[must_use]
    pub fn new(
        config: Arc<ClientConfig>,
        facts: &HostFacts,
        seed: u64,
        now: Instant,
        wall: Timestamp,
    ) -> Self {
        let mut shared = Shared::new(config, facts, seed, now, wall);
        shared.heartbeats.due(&mut shared.timers, now + shared.config.heartbeat_broker_interval);
        let poll = RoutePoll::new(&mut shared.rng);
        Self {
            shared,
            producers: Producers::default(),
            consumers: Consumers::default(),
            peers: Peers::default(),
            poll,
            connecting: None,
            closing: None,
            closed: false,
            untold_end: false,
        }
    }

    /// The name that brokers know this client by.
    #[must_use]
    pub fn client_id(&self) -> &Arc<str> {
        &self.shared.client_id
    }

    /// The producers, to look at.
    #[must_use]
    pub fn producers(&self) -> &Producers {
        &self.producers
    }

    /// The consumers, to look at.
    #[must_use]
    pub fn consumers(&self) -> &Consumers {
        &self.consumers
    }

    /// Connections, routes and clocks, to look at.
    #[must_use]
    pub fn shared(&self) -> &Shared {
        &self.shared
    }

    /// Takes one input in.
    pub fn handle(&mut self, now: Instant, input: Input) {
        match input {
            Input::Resolved { token, result } => self.shared.channels.handle_resolved(now, token, result),
            Input::Connected { channel } => self.shared.channels.handle_connected(now, channel),
            Input::Received { channel, command } => {
                self.shared.channels.handle_received(now, channel, command)
            }
            Input::Transmitted { channel, bytes_total } => {
                self.shared.channels.handle_transmitted(now, channel, bytes_total);
            }
            Input::Closed { channel, reason } => self.shared.channels.handle_closed(now, channel, &reason),
            Input::Timeout => {}
            Input::WallClock(wall) => self.shared.clock = WallClock::new(now, wall),
            Input::Command(command) => self.handle_command(now, command),
            Input::Settled { answers } => self.consumers.handle_settled(&mut self.shared, now, &answers),
            Input::HandedBack { token } => self.consumers.handle_handed_back(&mut self.shared, now, token),
            Input::Begun { tokens } => self.consumers.handle_begun(&tokens),
            Input::Answered { token, answer } => self.handle_answered(now, token, answer),
            Input::Abandoned => self.abandon(now),
        }
        self.carry_on(now);
        self.shared.channels.handle_timeout(now);
        self.carry_on(now);
        while let Some(key) = self.shared.timers.pop_due(now) {
            self.handle_timer(now, key);
            self.carry_on(now);
        }
    }

    /// The next wish; [`Output::Wait`] when there is none. To be called until then after inputs.
    pub fn poll_output(&mut self, _now: Instant) -> Output {
        if let Some(output) = self.shared.outputs.pop_front() {
            return output;
        }
        if let Some(output) = self.shared.channels.poll_output() {
            return output;
        }
        if core::mem::take(&mut self.untold_end) {
            return Output::ClientClosed;
        }
        let deadlines = [self.shared.timers.next_deadline(), self.shared.channels.next_deadline()];
        Output::Wait(deadlines.into_iter().flatten().min().unwrap_or(Instant::FAR_FUTURE))
    }

    /// Carries on until no machine has anything to tell another.
    fn carry_on(&mut self, now: Instant) {
        loop {
            if let Some(event) = self.shared.channels.poll_event() {
                self.handle_channel_event(now, event);
            } else if let Some(notice) = self.shared.notices.pop_front() {
                self.handle_notice(now, notice);
            } else if !self.advance_closing(now) {
                return;
            }
        }
    }

    /// A client that closes or has closed still does what ends or looks, and refuses all else.
    fn handle_command(&mut self, now: Instant, command: Command) {
        let is_ending = self.closed || self.closing.is_some();
        let Self { shared, producers, consumers, .. } = self;
        match command {
            Command::Client(ClientCommand::Connect { operation }) if is_ending => {
                shared.complete(operation, Outcome::Failed(Error::Closed));
            }
            Command::Client(ClientCommand::Connect { operation }) => self.connect(now, operation),
            Command::Client(ClientCommand::Statistics { operation }) => self.tell_statistics(operation),
            Command::Client(ClientCommand::Close { operation, timeout }) => {
                self.close(now, Some(operation), now + timeout);
            }
            Command::Producer(id, command) if is_ending => producers.refuse_command(shared, now, id, command),
            Command::Producer(id, command) => producers.handle_command(shared, now, id, command),
            Command::Consumer(id, command) if is_ending => consumers.refuse_command(shared, now, id, command),
            Command::Consumer(id, command) => consumers.handle_command(shared, now, id, command),
        }
    }

    fn handle_channel_event(&mut self, now: Instant, event: ChannelEvent<Purpose>) {
        match event {
            ChannelEvent::Reply { purpose, reply } => self.handle_reply(now, purpose, reply),
            ChannelEvent::Written { purpose } => {
                if let Purpose::Send(send) = purpose {
                    self.producers.handle_written(&mut self.shared, now, send);
                }
            }
            ChannelEvent::Again { purpose, address, deadline } => {
                if let Purpose::Send(send) = purpose {
                    self.producers.send_again(&mut self.shared, now, send, (&address, deadline));
                }
            }
            ChannelEvent::Request { channel, address, command } => {
                self.handle_peer_request(now, channel, &address, &command);
            }
            ChannelEvent::Silent { address } => self.ask_silent(now, &address),
            ChannelEvent::Connected { address } => self.handle_connected(now, &address),
            ChannelEvent::Heard { address } => drop(self.peers.heard(now, &address)),
            ChannelEvent::Closed { address, lost } => {
                if let Some(lost) = lost.filter(|_| !self.closed) {
                    self.peers.lost(&mut self.shared, now, &address, &lost);
                    let was_up = matches!(lost.cause, Cause::ConnectionLost { .. });
                    if was_up && self.shared.name_servers.contains(&address) {
                        self.doubt_all_routes(now);
                    }
                }
                self.handle_unreachable(now, &address);
            }
        }
    }

    fn handle_reply(&mut self, now: Instant, purpose: Purpose, reply: Reply) {
        let Self { shared, producers, consumers, .. } = self;
        match purpose {
            Purpose::Send(send) => producers.handle_reply(shared, now, send, reply),
            Purpose::Consumer(consumer, request) => {
                consumers.handle_reply(shared, now, consumer, request, reply)
            }
            Purpose::Route(topic) => self.handle_route_reply(now, &topic, reply),
            Purpose::Heartbeat(address, newest) => {
                let heard = heartbeat::handle_reply(shared, now, &address, &reply);
                if heard.ok {
                    consumers.handle_broker_connected(shared, now, &address, newest);
                }
                if heard.round_over {
                    heartbeat::round_over(shared, now, consumers);
                }
                for group in heard.left.iter().filter(|group| !consumers.has_group(group)) {
                    shared.unregister_consumer(now, &address, group);
                }
            }
            Purpose::Farewell => shared.farewells -= 1,
            Purpose::Presence => {}
        }
    }

    /// An answer that nobody waits for, or the second one to a question, finds no asker.
    fn handle_answered(&mut self, now: Instant, token: AskToken, answer: Answer) {
        let Some(asker) = self.shared.asks.remove(token) else { return };
        match asker {
            Asker::SelectQueue { send, topic, queues } => {
                let selected = selected_queue(topic, &queues, answer);
                self.producers.handle_selected(&mut self.shared, now, send, selected);
            }
        }
    }

    /// Asks a peer that owes an answer something that it answers at once: a broker by a heartbeat, a name
    /// server for the route that new topics begin with.
    fn ask_silent(&mut self, now: Instant, address: &Arc<str>) {
        let Self { shared, producers, consumers, .. } = self;
        if shared.name_servers.contains(address) && !shared.routes.is_broker(address) {
            shared.ask_for_presence(now, address);
        } else {
            heartbeat::send_to(shared, now, address, producers, consumers);
        }
    }

    fn handle_connected(&mut self, now: Instant, address: &Arc<str>) {
        self.finish_connecting(now, address, true);
        self.shared.broker_found(now, address);
        if self.shared.name_servers.contains(address) {
            self.shared.renew_doubts(now);
        }
        if self.shared.routes.is_broker(address) && !self.closed {
            heartbeat::send_to(&mut self.shared, now, address, &self.producers, &self.consumers);
        }
    }

    fn handle_unreachable(&mut self, now: Instant, address: &Arc<str>) {
        self.finish_connecting(now, address, false);
        if !self.closed {
            let failed = self.shared.channels.last_failure(address).is_some();
            let topics = self.consumers.handle_broker_lost(address);
            if failed || !topics.is_empty() {
                self.shared.broker_lost(now, address, failed, topics);
            }
        }
    }

    fn handle_notice(&mut self, now: Instant, notice: Notice) {
        match notice {
            Notice::Route(topic, outcome) => {
                self.weigh_route(now, &topic, &outcome);
                let Self { shared, producers, consumers, .. } = self;
                producers.handle_route(shared, now, &topic, &outcome);
                consumers.handle_route(shared, now, &topic, &outcome);
                self.poll_route_later(now, &topic);
            }
        }
    }

    fn handle_timer(&mut self, now: Instant, key: TimerKey) {
        let Self { shared, producers, consumers, .. } = self;
        match key {
            TimerKey::PollRoutes => self.poll_routes(now),
            TimerKey::Doubts => self.ask_doubted(now),
            TimerKey::LookupTurn => shared.lookup_turn(now),
            TimerKey::Heartbeat => {
                if heartbeat::handle_timer(shared, now, producers, consumers) {
                    heartbeat::round_over(shared, now, consumers);
                }
            }
            TimerKey::Send(send) => producers.handle_timer(shared, now, send),
            TimerKey::WarmUp(operation) => producers.handle_warm_up_timer(shared, now, operation),
            TimerKey::ProducerClose(producer) => producers.handle_close_timeout(shared, now, producer),
            TimerKey::Consumer(consumer, timer) => consumers.handle_timer(shared, now, consumer, timer),
            TimerKey::Connect => self.connect_timed_out(now),
            TimerKey::Close => self.close_timed_out(now),
        }
    }
}

#[cfg(test)]
mod tests;
