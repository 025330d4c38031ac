//! The broker as a machine: frames with a time go in, frames and a deadline come out.
//!
//! A request is carried out when it comes in; a real broker's thread pools may reorder requests,
//! the simulator's network does that instead. Pulls that were held run again in
//! [`Broker::poll_output`], so that one batch of sends wakes a pull once.

mod crash;
mod replica;
mod timers;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use rocketmq_client_core::message::id::UniqKeyGenerator;
use rocketmq_client_core::remoting::{MessageModel, NotifyConsumerIdsChangedRequestHeader, RemotingCommand};
use rocketmq_client_core::rng::Rng;
use rocketmq_client_core::time::{Instant, Timestamp, WallClock};

use self::timers::Timers;
use crate::asker::Asker;
use crate::assignment::Assignments;
use crate::call::{CallTable, Purpose};
use crate::client::ClientTable;
use crate::config::BrokerConfig;
use crate::delay::DelayService;
use crate::fault::{Fault, Faults};
use crate::gets::Gets;
use crate::group::GroupTable;
use crate::hold::HoldTable;
use crate::lock::LockTable;
use crate::offset::OffsetTable;
use crate::output::{ConnectionId, Frames};
use crate::pop::PopService;
use crate::reply::Replier;
use crate::store::{QueueRef, Store};
use crate::timer::TimerService;
use crate::topic::TopicTable;
use crate::transaction::TransactionService;

pub use self::crash::Durability;

/// What a broker wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Output {
    /// Write these frames to a connection.
    Transmit {
        /// The connection.
        connection: ConnectionId,
        /// Whole frames.
        frames: Frames,
    },
    /// Close a connection. [`Broker::handle_closed`] needn't be called for it.
    Close {
        /// The connection.
        connection: ConnectionId,
    },
    /// Send this frame, a `REGISTER_BROKER` request, to every name server. A host that delivers it
    /// before the frames that follow keeps the broker's promise: when a producer has the answer
    /// of the send that created a topic, every reachable name server knows the topic.
    RegisterBroker {
        /// One whole frame.
        frame: Bytes,
    },
    /// Send this frame, a `GET_ROUTEINFO_BY_TOPIC` request, to one name server, and hand the answer to
    /// [`Broker::handle_route`]. The broker does without if none comes.
    QueryRoute {
        /// One whole frame.
        frame: Bytes,
    },
    /// Nothing else is to be done until an input or this time comes.
    Wait(Option<Instant>),
}

/// A connected client.
#[derive(Clone, Debug)]
pub(crate) struct Connection {
    pub(crate) peer: SocketAddr,
    pub(crate) last_seen: Instant,
}

/// What came in while the broker was frozen: a frame, or the end of the connection.
#[derive(Clone, Debug)]
struct Arrival {
    connection: ConnectionId,
    frame: Option<RemotingCommand>,
    fault: Option<Fault>,
}

/// A broker without sockets, threads or clocks. A clone is a second broker with the same past.
#[derive(Clone, Debug)]
pub struct Broker {
    pub(crate) config: Arc<BrokerConfig>,
    pub(crate) rng: Rng,
    pub(crate) clock: WallClock,
    pub(crate) boot: Timestamp,
    pub(crate) store: Store,
    pub(crate) topics: TopicTable,
    pub(crate) groups: GroupTable,
    pub(crate) offsets: OffsetTable,
    pub(crate) gets: Gets,
    pub(crate) clients: ClientTable,
    pub(crate) locks: LockTable,
    pub(crate) holds: HoldTable,
    pub(crate) delay: DelayService,
    pub(crate) timers_waiting: TimerService,
    pub(crate) pops: PopService,
    pub(crate) calls: CallTable,
    pub(crate) assignments: Assignments,
    pub(crate) transactions: TransactionService,
    pub(crate) faults: Faults,
    pub(crate) replier: Replier,
    pub(crate) connections: BTreeMap<ConnectionId, Connection>,
    /// Where the properties of the record being written are put together.
    pub(crate) scratch: String,
    pub(crate) ids: UniqKeyGenerator,
    disk: crash::Disk,
    timers: Timers,
    grown: Vec<QueueRef>,
    outputs: VecDeque<Output>,
    /// What came in while it was frozen, in order: frames, and ends of connections.
    backlog: VecDeque<Arrival>,
    now: Instant,
}

impl Broker {
    /// An empty broker that starts now. `seed` decides random queues and generated message ids.
    #[must_use]
    pub fn new(config: BrokerConfig, seed: u64, now: Instant, wall: Timestamp) -> Self {
        let clock = WallClock::new(now, wall);
        let mut rng = Rng::new(seed);
        let random = rng.next_u32();
        Self {
            ids: UniqKeyGenerator::new(config.addr.ip(), random >> 16, random.to_be_bytes(), wall),
            store: Store::new(&config, now),
            topics: TopicTable::new(&config, wall),
            groups: GroupTable::new(config.auto_create_group, wall),
            offsets: OffsetTable::default(),
            gets: Gets::default(),
            clients: ClientTable::default(),
            locks: LockTable::new(config.lock_expire),
            holds: HoldTable::default(),
            delay: DelayService::new(config.delay_levels.clone()),
            timers_waiting: TimerService::default(),
            pops: PopService::default(),
            calls: CallTable::default(),
            assignments: Assignments::default(),
            transactions: TransactionService::default(),
            faults: Faults::default(),
            replier: Replier::new(),
            connections: BTreeMap::new(),
            scratch: String::new(),
            disk: crash::Disk::default(),
            timers: Timers::new(&config, now),
            grown: Vec::new(),
            outputs: VecDeque::new(),
            backlog: VecDeque::new(),
            rng,
            boot: wall,
            config: Arc::new(config),
            clock,
            now,
        }
    }

    /// The settings.
    #[must_use]
    pub fn config(&self) -> &BrokerConfig {
        &self.config
    }

    /// From now on routes and message ids name this address, and name servers are told so by the next registration.
    pub fn set_addr(&mut self, addr: std::net::SocketAddr) {
        std::sync::Arc::make_mut(&mut self.config).addr = addr;
    }

    /// The fault switches.
    pub fn faults_mut(&mut self) -> &mut Faults {
        &mut self.faults
    }

    /// How many requests came in while it was frozen and wait for it to go on.
    #[must_use]
    pub fn backlog(&self) -> usize {
        self.backlog.iter().filter(|arrival| arrival.frame.is_some()).count()
    }

    /// Corrects the wall clock, which stamps messages and decides deliveries of delayed ones.
    pub fn set_wall_clock(&mut self, now: Instant, wall: Timestamp) {
        self.clock = WallClock::new(now, wall);
    }

    /// A client connected from `peer`. `local` is the address it connected to.
    pub fn handle_connected(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        peer: SocketAddr,
        local: SocketAddr,
    ) {
        tracing::debug!(connection = connection.0, %peer, %local, "connected");
        self.connections.insert(connection, Connection { peer, last_seen: now });
        self.advance(now);
    }

    /// A connection is gone: its client leaves all groups at once, and the others hear of it.
    pub fn handle_closed(&mut self, now: Instant, connection: ConnectionId) {
        self.advance(now);
        if self.faults.is_frozen() {
            // What its client wrote before comes first.
            return self.backlog.push_back(Arrival { connection, frame: None, fault: None });
        }
        self.end_connection(connection);
    }

    fn end_connection(&mut self, connection: ConnectionId) {
        if self.connections.remove(&connection).is_none() {
            return;
        }
        tracing::debug!(connection = connection.0, "closed");
        for group in self.drop_connection(connection) {
            self.notify_members(&group);
        }
    }

    /// A frame came in.
    pub fn handle_frame(&mut self, now: Instant, connection: ConnectionId, command: RemotingCommand) {
        self.handle_request(now, connection, command, None);
    }

    /// A frame came in; its host has already decided that it meets a fault.
    pub(crate) fn handle_request(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        command: RemotingCommand,
        fault: Option<Fault>,
    ) {
        self.advance(now);
        if self.faults.is_frozen() {
            self.backlog.push_back(Arrival { connection, frame: Some(command), fault });
        } else {
            self.execute(now, connection, &command, fault);
        }
    }

    /// A name server answered a [`QueryRoute`](Output::QueryRoute).
    pub fn handle_route(&mut self, now: Instant, answer: &RemotingCommand) {
        self.advance(now);
        self.route_answered(now, answer);
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.advance(now);
    }

    /// The next thing to do. After `Wait` there is nothing until the next input.
    pub fn poll_output(&mut self) -> Output {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        if self.faults.is_frozen() {
            return Output::Wait(None);
        }
        self.carry_out_backlog();
        self.wake_holds();
        self.run_polls(self.now);
        self.timers_waiting.catch_up(&self.store);
        // A registration comes before the answers that depend on it.
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        match self.replier.outbox.pop() {
            Some((connection, frames)) => Output::Transmit { connection, frames },
            None => Output::Wait(self.deadline()),
        }
    }

    fn execute(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        command: &RemotingCommand,
        fault: Option<Fault>,
    ) {
        if let Some(known) = self.connections.get_mut(&connection) {
            known.last_seen = now;
        }
        if command.is_response() {
            return self.client_answered(now, connection, command);
        }
        let fault = fault.or_else(|| self.faults.take(command));
        let mut asker = Asker::new(connection, command);
        match &fault {
            None => {}
            Some(Fault::Answer { code, remark }) => {
                let refusal = crate::asker::Refusal::new(*code, remark.clone());
                return self.replier.refuse(now, &asker, &refusal, &[]);
            }
            Some(Fault::DropRequest) => return,
            Some(Fault::CloseBefore) => return self.close_after_answers(connection),
            Some(Fault::DropResponse | Fault::CloseAfter) => asker.silent = true,
            Some(Fault::DelayResponse(delay)) => asker.delay = Some(*delay),
        }
        self.process(now, &asker, command);
        self.dispatch(now);
        self.register_changes();
        if fault == Some(Fault::CloseAfter) {
            self.close_after_answers(connection);
        }
    }

    /// Closes a connection; what was answered before still goes out.
    fn close_after_answers(&mut self, connection: ConnectionId) {
        while let Some((connection, frames)) = self.replier.outbox.pop() {
            self.output(Output::Transmit { connection, frames });
        }
        for group in self.drop_connection(connection) {
            self.notify_members(&group);
        }
        self.output(Output::Close { connection });
    }

    /// A client answered a request of the broker's.
    fn client_answered(&mut self, now: Instant, connection: ConnectionId, answer: &RemotingCommand) {
        let Some(purpose) = self.calls.take(connection, answer.opaque) else { return };
        match purpose {
            Purpose::Reply(reply) => self.reply_pushed(now, &reply, answer.code == 0),
            Purpose::Relay(relay) => self.replier.pass_on(now, &relay.asker, answer),
            Purpose::Status(round) => self.status_answered(now, round, Some(answer)),
        }
    }

    /// Gives up requests to clients: those that wait too long, and all to a connection that is gone.
    fn fail_calls(&mut self, now: Instant, gone: Option<ConnectionId>) {
        for purpose in self.calls.take_failed(now, gone) {
            match purpose {
                Purpose::Reply(reply) => self.reply_pushed(now, &reply, false),
                Purpose::Relay(relay) => self.relay_failed(now, &relay, gone.is_some()),
                Purpose::Status(round) => self.status_answered(now, round, None),
            }
        }
    }

    /// Runs what is due, so that every input sees the state of its own time.
    fn advance(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if !self.faults.is_frozen() {
            // What came in while it was frozen comes before what comes now, and is a sign of life before
            // silent connections are looked for.
            self.carry_out_backlog();
            self.run_timers(now);
        }
    }

    fn carry_out_backlog(&mut self) {
        while let Some(Arrival { connection, frame, fault }) = self.backlog.pop_front() {
            match frame {
                Some(command) => self.execute(self.now, connection, &command, fault),
                None => self.end_connection(connection),
            }
        }
    }

    pub(crate) fn dispatch(&mut self, now: Instant) {
        self.store.dispatch(now, &mut self.grown);
        let (bytes_max, segment) = (self.config.log_bytes_max, self.config.log_segment_bytes);
        if self.store.log.end() - self.store.log.begin() > bytes_max.saturating_add(segment) {
            self.store.expire(bytes_max, segment);
        }
    }

    fn wake_holds(&mut self) {
        if self.grown.is_empty() {
            return;
        }
        let mut grown = std::mem::take(&mut self.grown);
        if self.holds.len() > 0 || !self.pops.polls.is_empty() {
            grown.sort_unstable();
            grown.dedup();
            for queue in &grown {
                self.wake_queue(self.now, *queue);
                self.wake_pops(self.now, *queue);
            }
        }
        grown.clear();
        self.grown = grown;
    }

    pub(crate) fn wall(&self, now: Instant) -> Timestamp {
        self.clock.timestamp(now)
    }

    /// Forgets a connection everywhere; the groups whose remaining members should hear of it.
    pub(crate) fn drop_connection(&mut self, connection: ConnectionId) -> Vec<Arc<str>> {
        self.connections.remove(&connection);
        self.holds.forget(connection);
        self.pops.polls.forget(connection);
        self.assignments.forget(connection);
        self.fail_calls(self.now, Some(connection));
        self.replier.forget(connection);
        self.clients.remove(connection)
    }

    /// Tells the members of a group that it changed. Java: `DefaultConsumerIdsChangeListener`.
    pub(crate) fn notify_members(&mut self, group: &Arc<str>) {
        let enabled = self.groups.get(group).is_none_or(|config| config.notify_consumer_ids_changed_enable);
        let Some(info) = self.clients.consumers.get(group) else { return };
        if !enabled || info.message_model == MessageModel::Broadcasting {
            return;
        }
        let header =
            NotifyConsumerIdsChangedRequestHeader { consumer_group: (&**group).into(), ..Default::default() };
        for connection in info.members.keys() {
            self.replier.push(*connection, &header, &Bytes::new());
        }
    }

    pub(crate) fn close(&mut self, connection: ConnectionId) {
        self.drop_connection(connection);
        self.outputs.push_back(Output::Close { connection });
    }

    pub(crate) fn output(&mut self, output: Output) {
        self.outputs.push_back(output);
    }
}
