//! Byte streams between clients and servers: latency, jitter, cuts, partitions, deaf servers.
//!
//! Bytes of a connection arrive in order and at most once, as TCP promises; between connections there
//! is no order. What a partition holds back arrives some time after it is healed.

mod client_end;
mod condition;
mod connection;
mod server_end;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::Waker;
use std::time::Duration;

use bytes::Bytes;
use rocketmq_client_core::id::ChannelId;
use rocketmq_client_core::rng::Rng;
use rocketmq_client_core::time::Instant;

pub use self::condition::Trouble;
pub(crate) use self::condition::{ConditionId, Conditions, Scope, Way};
pub(crate) use self::connection::{ConnId, Direction};

use self::connection::{ClientState, Connection, Packet, Pipe, ServerState};
use crate::executor::NodeId;
use crate::fault::{Effects, FaultKind};
use crate::rngs::Draw;
use crate::schedule::Schedule;
use crate::world::Event;

/// The longest pause between the end of a partition and the packets that waited for it.
const RETRANSMIT_MAX: Duration = Duration::from_secs(2);

/// The time, and what will happen.
pub(crate) struct Timeline<'a> {
    pub(crate) now: Instant,
    pub(crate) schedule: &'a mut Schedule<Event>,
}

/// What arrived at a server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    Connected { peer: SocketAddr, local: SocketAddr },
    Data(Bytes),
    Closed,
}

/// Whether a server's machine takes connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listening {
    Serving,
    /// Nobody listens.
    Refusing(Option<FaultKind>),
    /// The machine accepts, the process doesn't serve.
    Silent,
    /// Nothing answers at all.
    Lost,
}

/// All links and connections.
#[derive(Debug)]
pub(crate) struct Network {
    rng: Rng,
    connections: BTreeMap<ConnId, Connection>,
    listeners: BTreeMap<SocketAddr, NodeId>,
    listening: BTreeMap<NodeId, Listening>,
    /// Other addresses of servers: the gate there, and who is behind it.
    gates: BTreeMap<SocketAddr, (NodeId, NodeId)>,
    turned_away: BTreeMap<NodeId, usize>,
    latency: BTreeMap<(NodeId, NodeId), Duration>,
    pub(crate) conditions: Conditions,
    pub(crate) effects: Effects,
    /// Bytes that a client's socket takes before the peer has any.
    pub(crate) send_buffer_bytes: usize,
    next: u64,
    wakers: Vec<Waker>,
}

impl Network {
    pub(crate) fn new(mut rng: Rng) -> Self {
        let send_buffer_bytes = 1 << rng.between(11, 18);
        Self {
            rng,
            connections: BTreeMap::new(),
            listeners: BTreeMap::new(),
            listening: BTreeMap::new(),
            gates: BTreeMap::new(),
            turned_away: BTreeMap::new(),
            latency: BTreeMap::new(),
            conditions: Conditions::default(),
            effects: Effects::default(),
            send_buffer_bytes,
            next: 0,
            wakers: Vec::new(),
        }
    }

    /// A server that takes connections.
    pub(crate) fn listen(&mut self, node: NodeId, address: SocketAddr) {
        self.listeners.insert(address, node);
        self.listening.insert(node, Listening::Serving);
    }

    /// A server takes connections at another address.
    pub(crate) fn move_listener(&mut self, node: NodeId, from: SocketAddr, to: SocketAddr) {
        self.listeners.remove(&from);
        self.listeners.insert(to, node);
    }

    /// Nothing is wrong with any link, and all who should listen do.
    pub(crate) fn is_undisturbed(&self) -> bool {
        self.conditions.is_empty()
            && self.listening.values().all(|listening| *listening == Listening::Serving)
    }

    /// From now on nothing that is written to a connection arrives, and neither end learns of it.
    pub(crate) fn swallow(&mut self, id: ConnId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        connection.swallows = true;
        for pipe in [&mut connection.up, &mut connection.down] {
            pipe.held.get_or_insert(Instant::FAR_FUTURE);
        }
    }

    /// The client has a name for a connection.
    pub(crate) fn set_channel(&mut self, id: ConnId, channel: ChannelId) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.channel = Some(channel);
        }
    }

    /// What the client calls a connection.
    pub(crate) fn channel(&self, id: ConnId) -> Option<ChannelId> {
        self.connections.get(&id)?.channel
    }

    /// Whether both ends believe in a connection.
    pub(crate) fn is_established(&self, id: ConnId) -> bool {
        self.connections.get(&id).is_some_and(Connection::is_established)
    }

    /// Sockets to be woken.
    pub(crate) fn take_wakers(&mut self) -> Vec<Waker> {
        std::mem::take(&mut self.wakers)
    }

    /// Whose connection it is: the client's and the server's node.
    pub(crate) fn nodes(&self, id: ConnId) -> Option<(NodeId, NodeId)> {
        self.connections.get(&id).map(|connection| (connection.client, connection.server))
    }

    /// Connections that both ends believe in.
    pub(crate) fn established(&self) -> Vec<ConnId> {
        let up = self.connections.iter().filter(|(_, connection)| connection.is_established());
        up.map(|(id, _)| *id).collect()
    }

    /// Connections that a server serves.
    pub(crate) fn of_server(&self, server: NodeId) -> Vec<ConnId> {
        let served = self.connections.iter().filter(|(_, connection)| {
            connection.server == server && connection.server_state == ServerState::Up
        });
        served.map(|(id, _)| *id).collect()
    }

    /// Connections that their clients have, or are about to have, by what they are like.
    pub(crate) fn connections_where(&self, fits: impl Fn(Way) -> bool) -> Vec<ConnId> {
        let theirs = self
            .connections
            .iter()
            .filter(|(_, connection)| connection.is_the_clients() && fits(connection.way(Direction::Up)));
        theirs.map(|(id, _)| *id).collect()
    }

    /// From now on this address leads to a server as well, through a gate.
    pub(crate) fn open_gate(&mut self, address: SocketAddr, gate: NodeId, server: NodeId) {
        self.gates.insert(address, (gate, server));
    }

    /// The address leads nowhere any more.
    pub(crate) fn close_gate(&mut self, address: SocketAddr) {
        self.gates.remove(&address);
    }

    /// The gate that a connection goes through.
    pub(crate) fn gate_of(&self, id: ConnId) -> Option<NodeId> {
        self.connections.get(&id)?.via
    }

    /// How many connections never got through a gate.
    pub(crate) fn turned_away_at(&self, gate: NodeId) -> usize {
        self.turned_away.get(&gate).copied().unwrap_or(0)
    }

    /// The address of a client's node.
    pub(crate) fn client_ip(node: NodeId) -> IpAddr {
        let [.., high, low] = node.0.to_be_bytes();
        IpAddr::V4(Ipv4Addr::new(10, 1, high, low))
    }

    /// The first packet of a direction is due. What it brings to a server is returned.
    pub(crate) fn arrive(
        &mut self,
        time: &mut Timeline<'_>,
        id: ConnId,
        direction: Direction,
    ) -> Option<(NodeId, Arrival)> {
        let connection = self.connections.get_mut(&id)?;
        let way = connection.way(direction);
        let pipe = connection.pipe(direction);
        if pipe.held.is_some() || pipe.queue.front()?.0 > time.now {
            return None;
        }
        if let Some(kind) = self.conditions.held_by(way) {
            pipe.held = Some(time.now);
            self.effects.count(kind);
            return None;
        }
        let (_, packet) = pipe.queue.pop_front()?;
        if let Packet::Data(data) = &packet {
            pipe.bytes -= data.len();
        }
        let arrival = match direction {
            Direction::Up => self.arrive_at_server(time, id, packet),
            Direction::Down => {
                self.arrive_at_client(time, id, packet);
                None
            }
        };
        self.forget_if_over(id);
        arrival.map(|arrival| (way.to, arrival))
    }

    /// What was held back and is so no more goes on after a while.
    pub(crate) fn release(&mut self, time: &mut Timeline<'_>) {
        let Self { connections, conditions, rng, .. } = self;
        for (id, connection) in connections.iter_mut().filter(|(_, connection)| !connection.swallows) {
            for direction in [Direction::Up, Direction::Down] {
                let way = connection.way(direction);
                let pipe = connection.pipe(direction);
                let Some(since) = pipe.held else { continue };
                if conditions.held_by(way).is_some() {
                    continue;
                }
                pipe.held = None;
                let most = RETRANSMIT_MAX.min(time.now.saturating_since(since) / 2);
                let pause = Duration::from_nanos(rng.below(u64::try_from(most.as_nanos()).unwrap_or(0) + 1));
                let at = time.now + pause;
                pipe.last_arrival = pipe.last_arrival.max(at);
                for (arrival, _) in &mut pipe.queue {
                    *arrival = (*arrival).max(at);
                    time.schedule.insert(*arrival, Event::Arrive(*id, direction));
                }
            }
        }
    }

    /// Both ends of a connection learn that it was reset. What was on its way is lost.
    pub(crate) fn reset(&mut self, id: ConnId) -> Option<(NodeId, Arrival)> {
        let connection = self.connections.get_mut(&id)?;
        connection.lose_packets();
        self.wakers.extend(connection.waker.take());
        if connection.client_state != ClientState::Gone {
            connection.client_state = ClientState::Reset;
            connection.inbox.clear();
        }
        let server = connection.server;
        let told = connection.server_state == ServerState::Up;
        connection.server_state = ServerState::Gone;
        self.forget_if_over(id);
        told.then_some((server, Arrival::Closed))
    }

    /// The next data of this connection is cut short, and the connection reset there.
    pub(crate) fn set_trap(&mut self, id: ConnId, direction: Direction) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.trap = Some(direction);
        }
    }

    /// A node is gone without a word: its ends of connections exist no more.
    pub(crate) fn vanish(&mut self, client: NodeId) {
        for connection in self.connections.values_mut().filter(|connection| connection.client == client) {
            connection.client_state = ClientState::Gone;
            connection.vanished = true;
            connection.waker = None;
        }
    }

    fn open(&mut self, client: NodeId, address: SocketAddr) -> ConnId {
        self.next += 1;
        let id = ConnId(self.next);
        // A host that nobody has is one that refuses.
        let server = self.listeners.get(&address).copied().unwrap_or(NodeId(u32::MAX));
        let (via, server) = match self.gates.get(&address) {
            Some((gate, behind)) => (Some(*gate), *behind),
            None => (None, server),
        };
        let port = 20_000 + u16::try_from(self.next % 40_000).expect("a port");
        let connection = Connection {
            client,
            server,
            channel: None,
            via,
            peer: SocketAddr::new(Self::client_ip(client), port),
            local: address,
            client_state: ClientState::Connecting,
            server_state: ServerState::None,
            inbox: bytes::BytesMut::new(),
            waker: None,
            up: Pipe::default(),
            down: Pipe::default(),
            trap: None,
            vanished: false,
            swallows: false,
        };
        self.connections.insert(id, connection);
        id
    }

    /// Puts packets on their way; data may be split.
    fn transmit(&mut self, time: &mut Timeline<'_>, id: ConnId, direction: Direction, packet: Packet) {
        match packet {
            Packet::Data(mut data) => {
                while data.len() > 1 && self.rng.chance(1, 4) {
                    let at = usize::try_from(self.rng.between(1, data.len() as u64 - 1)).expect("a length");
                    let first = data.split_to(at);
                    self.enqueue(time, id, direction, Packet::Data(first));
                }
                self.enqueue(time, id, direction, Packet::Data(data));
            }
            packet => self.enqueue(time, id, direction, packet),
        }
    }

    fn enqueue(&mut self, time: &mut Timeline<'_>, id: ConnId, direction: Direction, packet: Packet) {
        let Self { connections, conditions, rng, effects, latency, .. } = self;
        let Some(connection) = connections.get_mut(&id) else { return };
        let way = connection.way(direction);
        let base = *latency
            .entry((way.from.min(way.to), way.from.max(way.to)))
            .or_insert_with(|| Duration::from_micros(rng.between(50, 3_000)));
        let base_ns = u64::try_from(base.as_nanos()).expect("a latency");
        let jitter = Duration::from_nanos(rng.below(base_ns / 2 + 1));
        let at = time.now + base + jitter + conditions.delay(rng, way, effects);
        let pipe = connection.pipe(direction);
        let at = at.max(pipe.last_arrival);
        pipe.last_arrival = at;
        if let Packet::Data(data) = &packet {
            pipe.bytes += data.len();
        }
        pipe.queue.push_back((at, packet));
        if pipe.held.is_none() {
            time.schedule.insert(at, Event::Arrive(id, direction));
        }
    }

    fn arrive_at_client(&mut self, time: &mut Timeline<'_>, id: ConnId, packet: Packet) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.client_state == ClientState::Gone {
            // Nobody is there any more: the server's machine is told so.
            if matches!(packet, Packet::Data(_) | Packet::Accept) && !connection.vanished {
                self.enqueue(time, id, Direction::Up, Packet::Reset);
            }
            return;
        }
        let mut cut = false;
        match packet {
            Packet::Accept => connection.client_state = ClientState::Up,
            Packet::Refuse => connection.client_state = ClientState::Refused,
            Packet::Data(data) => {
                cut = connection.trap == Some(Direction::Down) && data.len() > 1;
                let kept = if cut { cut_of(&mut self.rng, data.len()) } else { data.len() };
                connection.inbox.extend_from_slice(&data[..kept]);
                if cut {
                    connection.lose_packets();
                }
            }
            Packet::Fin => connection.client_state = ClientState::Ended,
            Packet::Reset | Packet::Connect => connection.client_state = ClientState::Reset,
        }
        self.wakers.extend(connection.waker.take());
        if cut {
            self.effects.count(FaultKind::ResetMidFrame);
            time.schedule.insert(time.now, Event::Reset(id));
        }
    }

    fn forget_if_over(&mut self, id: ConnId) {
        if self.connections.get(&id).is_some_and(Connection::is_over) {
            self.connections.remove(&id);
        }
    }
}

/// All of `most`, or, one time in four, only some of it.
fn some_of(rng: &mut Rng, most: usize) -> usize {
    if rng.chance(3, 4) { most } else { usize::try_from(rng.between(1, most as u64)).expect("a length") }
}

/// Where a packet of at least two bytes is cut.
fn cut_of(rng: &mut Rng, len: usize) -> usize {
    usize::try_from(rng.between(1, len as u64 - 1)).expect("a length")
}
