//! Brokers and name servers of a world: the real machines, between the network and the monitor.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::ops::ControlFlow;

use bytes::Bytes;
use rocketmq_client_core::remoting::{FRAME_BYTES_MAX, FrameDecoder, RemotingCommand};
use rocketmq_client_core::time::Instant;
use rocketmq_dev_broker::{
    Broker, BrokerConfig, ConnectionId, Durability, NameServer, NameServerConfig, NameServerOutput, Output,
};

use crate::admin::create_topic;
use crate::executor::NodeId;
use crate::fault::FaultKind;
use crate::inject::Switched;
use crate::network::{Arrival, ConnId, Listening, Way};
use crate::schedule::EventKey;
use crate::world::{Event, World};

/// Ids of a broker's own connections to name servers begin here, far from those of the network.
const REGISTRATIONS: u64 = 1 << 48;

/// One server.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    pub(crate) machine: Machine,
    up: bool,
    decoders: BTreeMap<ConnId, FrameDecoder>,
    timer: Option<EventKey>,
    starts: u64,
}

#[derive(Debug)]
pub(crate) enum Machine {
    Broker(Box<Broker>),
    NameServer(Box<NameServer>),
}

impl Server {
    /// Its broker, if it is one.
    pub(crate) fn broker(&self) -> Option<&Broker> {
        match &self.machine {
            Machine::Broker(broker) => Some(broker),
            Machine::NameServer(_) => None,
        }
    }

    /// The broker's machine, while its process runs: a stopped one can neither act nor be changed.
    pub(crate) fn running_broker(&mut self) -> Option<&mut Broker> {
        match &mut self.machine {
            Machine::Broker(broker) if self.up => Some(broker),
            Machine::Broker(_) | Machine::NameServer(_) => None,
        }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.up
    }

    /// How often its process was started again.
    pub(crate) fn starts(&self) -> u64 {
        self.starts
    }

    fn new(address: SocketAddr, machine: Machine) -> Self {
        Self { address, machine, up: true, decoders: BTreeMap::new(), timer: None, starts: 0 }
    }

    /// The broker's connection to a name server in this life of its process.
    fn registration(&self, node: NodeId) -> ConnectionId {
        ConnectionId(REGISTRATIONS + (u64::from(node.0) << 24) + self.starts)
    }
}

impl World {
    pub(crate) fn add_name_server(&mut self, config: NameServerConfig, address: SocketAddr) -> NodeId {
        let node = self.new_node();
        let machine = Machine::NameServer(Box::new(NameServer::new(config, self.now)));
        self.servers.insert(node, Server::new(address, machine));
        self.network.listen(node, address);
        self.drain(node);
        node
    }

    /// A broker with these topics: name and number of queues.
    pub(crate) fn add_broker(&mut self, config: BrokerConfig, topics: &[(&str, i32)]) -> NodeId {
        let node = self.new_node();
        let address = config.addr;
        let seed = self.rngs.application.next_u64();
        let mut broker = Broker::new(config, seed, self.now, self.wall(node));
        create_topics(&mut broker, self.now, topics);
        broker.handle_timeout(self.now);
        self.monitor.broker_started(&broker);
        self.servers.insert(node, Server::new(address, Machine::Broker(Box::new(broker))));
        self.network.listen(node, address);
        self.drain(node);
        node
    }

    pub(crate) fn server_arrival(&mut self, node: NodeId, conn: ConnId, arrival: Arrival) {
        if self.peer_arrival(node, conn, &arrival) {
            return;
        }
        let now = self.now;
        let Some(server) = self.servers.get_mut(&node) else { return };
        let id = ConnectionId(conn.0);
        match arrival {
            Arrival::Connected { peer, local } => {
                server.decoders.insert(conn, FrameDecoder::new(FRAME_BYTES_MAX));
                match &mut server.machine {
                    Machine::Broker(broker) => broker.handle_connected(now, id, peer, local),
                    Machine::NameServer(machine) => machine.handle_connected(now, id, peer, local),
                }
            }
            Arrival::Closed => {
                server.decoders.remove(&conn);
                match &mut server.machine {
                    Machine::Broker(broker) => broker.handle_closed(now, id),
                    Machine::NameServer(machine) => machine.handle_closed(now, id),
                }
            }
            Arrival::Data(data) => {
                if let Some(decoder) = server.decoders.get_mut(&conn) {
                    decoder.buffer_mut().extend_from_slice(&data);
                }
                self.frames(node, conn);
            }
        }
        self.drain(node);
    }

    /// A server's time has come.
    pub(crate) fn server_timeout(&mut self, node: NodeId) {
        let now = self.now;
        self.trace.event(now, "server", node.0, &[]);
        if self.peer_timeout(node) {
            return;
        }
        let Some(server) = self.servers.get_mut(&node).filter(|server| server.up) else { return };
        server.timer = None;
        match &mut server.machine {
            Machine::Broker(broker) => broker.handle_timeout(now),
            Machine::NameServer(machine) => machine.handle_timeout(now),
        }
        self.drain(node);
    }

    /// Does what a server wants, and looks at what it did.
    pub(crate) fn drain(&mut self, node: NodeId) {
        if !self.servers.get(&node).is_some_and(Server::is_up) {
            return;
        }
        let deadline = loop {
            let server = self.servers.get_mut(&node).expect("it was there just now");
            let (conn, data) = match &mut server.machine {
                Machine::Broker(broker) => match broker.poll_output() {
                    Output::Wait(deadline) => break deadline,
                    Output::Close { connection } => (connection, None),
                    Output::Transmit { connection, frames } => (connection, Some(frames)),
                    Output::RegisterBroker { frame } => {
                        self.register(node, &frame);
                        continue;
                    }
                    Output::QueryRoute { frame } => {
                        self.query_route(node, &frame);
                        continue;
                    }
                },
                Machine::NameServer(machine) => match machine.poll_output() {
                    NameServerOutput::Wait(deadline) => break deadline,
                    NameServerOutput::Close { connection } => (connection, None),
                    NameServerOutput::Transmit { connection, frames } => (connection, Some(frames)),
                },
            };
            if self.questions.is_open(conn) {
                self.questions.answer(data);
                continue;
            }
            let conn = ConnId(conn.0);
            let data = data.map(|frames| {
                let (parts, changed) = self.tampering.answer(conn, frames.into_parts());
                changed.into_iter().for_each(|kind| self.network.effects.count(kind));
                self.redirect(conn, parts)
            });
            let (network, mut time) = self.network();
            match data {
                None => network.close_server(&mut time, conn),
                Some(parts) => {
                    for part in parts {
                        network.write(&mut time, conn, part);
                    }
                }
            }
        };
        self.set_timer(node, deadline);
        if let Some(broker) = self.servers.get(&node).and_then(Server::broker) {
            self.monitor.look_at_broker(self.now, broker);
        }
    }

    /// The process ends; its machine says so to everybody.
    pub(crate) fn stop_server(&mut self, node: NodeId) {
        let Some(server) = self.servers.get_mut(&node).filter(|server| server.up) else { return };
        server.up = false;
        server.decoders.clear();
        let registration = server.registration(node);
        let (timer, is_broker) = (server.timer.take(), server.broker().is_some());
        timer.map(|key| self.schedule.cancel(key));
        for conn in self.network.set_listening(node, Listening::Refusing(None)) {
            self.network.reset(conn);
        }
        if is_broker {
            for name_server in self.name_servers() {
                self.with_name_server(name_server, |machine, now| machine.handle_closed(now, registration));
            }
        }
    }

    /// The process starts again with what the disk kept.
    pub(crate) fn start_server(&mut self, node: NodeId, keep: Durability) {
        let (now, wall) = (self.now, self.wall(node));
        let Some(server) = self.servers.get_mut(&node).filter(|server| !server.up) else { return };
        server.up = true;
        server.starts += 1;
        match &mut server.machine {
            Machine::Broker(broker) => {
                **broker = broker.crash(keep, now, wall);
                // Before it acts: what it appends at once would hide what the crash took.
                self.monitor.broker_restarted(now, broker);
                broker.handle_timeout(now);
            }
            Machine::NameServer(machine) => **machine = machine.restart(now),
        }
        self.network.set_listening(node, Listening::Serving);
        self.drain(node);
    }

    /// As [`start_server`](Self::start_server) for a broker that has lost nothing, at the next port of its host.
    pub(crate) fn start_server_elsewhere(&mut self, node: NodeId) {
        let Some(server) = self.servers.get_mut(&node).filter(|server| !server.up) else { return };
        let address = SocketAddr::new(server.address.ip(), server.address.port() + 1);
        self.network.move_listener(node, server.address, address);
        server.address = address;
        if let Machine::Broker(broker) = &mut server.machine {
            broker.set_addr(address);
        }
        self.start_server(node, Durability::All);
    }

    pub(crate) fn name_servers(&self) -> Vec<NodeId> {
        let servers = self.servers.iter();
        servers.filter(|(_, server)| server.broker().is_none()).map(|(node, _)| *node).collect()
    }

    pub(crate) fn brokers(&self) -> Vec<NodeId> {
        let servers = self.servers.iter();
        servers.filter(|(_, server)| server.broker().is_some()).map(|(node, _)| *node).collect()
    }

    fn frames(&mut self, node: NodeId, conn: ConnId) {
        let now = self.now;
        let client = self.network.nodes(conn).map(|(client, _)| client);
        loop {
            let Some(server) = self.servers.get_mut(&node) else { return };
            let Some(decoder) = server.decoders.get_mut(&conn) else { return };
            let command = match decoder.next_frame() {
                Ok(Some(command)) => command,
                Ok(None) => return,
                Err(error) => {
                    self.monitor.bad_frame(now, &error);
                    return;
                }
            };
            self.trace.note(now, || frame_text(node, client, conn, &command));
            self.tampering.request(node, conn, &command);
            match &mut server.machine {
                Machine::Broker(broker) => {
                    if let Some(client) = client {
                        self.monitor.broker_frame(now, broker, client, &command);
                    }
                    broker.handle_frame(now, ConnectionId(conn.0), command);
                    let met = broker.faults_mut().take_met();
                    self.monitor.look_at_offsets(now, broker, client.map(|client| (client, conn)));
                    let switched = met.map(|rule| Switched { broker: node, life: server.starts, rule });
                    if let Some(kind) = switched.and_then(|met| self.monitor.answer_faults.get(&met)) {
                        self.network.effects.count(*kind);
                    }
                    if broker.faults_mut().is_frozen() {
                        self.network.effects.count(FaultKind::BrokerFreeze);
                    }
                }
                Machine::NameServer(machine) => machine.handle_frame(now, ConnectionId(conn.0), command),
            }
        }
    }

    /// Delivers a registration to every name server that the broker reaches.
    fn register(&mut self, broker: NodeId, frame: &Bytes) {
        let server = &self.servers[&broker];
        let (id, address) = (server.registration(broker), server.address);
        self.reach_name_servers(broker, frame, |world, name_server, command| {
            world.with_name_server(name_server, |machine, now| {
                machine.handle_connected(now, id, address, address);
                machine.handle_frame(now, id, command);
            });
            ControlFlow::Continue(())
        });
    }

    /// Asks the first name server that the broker reaches for a route.
    fn query_route(&mut self, broker: NodeId, frame: &Bytes) {
        self.reach_name_servers(broker, frame, |world, name_server, command| {
            let address = world.servers[&name_server].address;
            let Some(answer) = world.ask(address, command) else { return ControlFlow::Continue(()) };
            let now = world.now;
            if let Some(Machine::Broker(machine)) =
                world.servers.get_mut(&broker).map(|server| &mut server.machine)
            {
                machine.handle_route(now, &answer);
            }
            ControlFlow::Break(())
        });
    }

    /// Lets a broker's frame reach one name server after the other, but for those that it is cut off from.
    fn reach_name_servers(
        &mut self,
        broker: NodeId,
        frame: &Bytes,
        mut reach: impl FnMut(&mut Self, NodeId, RemotingCommand) -> ControlFlow<()>,
    ) {
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        decoder.buffer_mut().extend_from_slice(frame);
        let Ok(Some(command)) = decoder.next_frame() else { return };
        for name_server in self.name_servers() {
            let way = Way { from: broker, to: name_server, via: None };
            if let Some(kind) = self.network.conditions.held_by(way) {
                self.network.effects.count(kind);
            } else if reach(self, name_server, command.clone()).is_break() {
                return;
            }
        }
    }

    fn with_name_server(&mut self, node: NodeId, act: impl FnOnce(&mut NameServer, Instant)) {
        let now = self.now;
        let Some(server) = self.servers.get_mut(&node).filter(|server| server.up) else { return };
        if let Machine::NameServer(machine) = &mut server.machine {
            act(machine, now);
        }
        self.drain(node);
    }

    fn set_timer(&mut self, node: NodeId, deadline: Option<Instant>) {
        let now = self.now;
        let Some(server) = self.servers.get_mut(&node) else { return };
        if let Some(key) = server.timer.take() {
            self.schedule.cancel(key);
        }
        server.timer = deadline.map(|at| self.schedule.insert(at.max(now), Event::Server(node)));
    }
}

fn frame_text(node: NodeId, client: Option<NodeId>, conn: ConnId, command: &RemotingCommand) -> String {
    let client = client.map_or(0, |client| client.0);
    let code = command.request_code();
    let shown = [
        "topic",
        "b",
        "queueId",
        "e",
        "queueOffset",
        "commitOffset",
        "consumerGroup",
        "sysFlag",
        "originMsgId",
    ];
    let fields = command.ext.iter().filter(|(key, _)| shown.contains(&&**key));
    let fields: String = fields.map(|(key, value)| format!(" {key}={value}")).collect();
    format!("node {client} -> node {} by {conn:?}: {code} opaque {}{fields}", node.0, command.opaque)
}

/// Creates topics as an administrator does.
fn create_topics(broker: &mut Broker, now: Instant, topics: &[(&str, i32)]) {
    let admin = ConnectionId(u64::MAX);
    let address = broker.config().addr;
    broker.handle_connected(now, admin, address, address);
    for (topic, queues) in topics {
        broker.handle_frame(now, admin, create_topic(topic, *queues));
    }
    broker.handle_closed(now, admin);
    // The answers go nowhere; the registrations come again when the broker is asked next.
}
