//! Servers of the user's own in a world: what comes in and what goes out is bytes, so that a server can do
//! what no broker would.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use bytes::Bytes;
use rocketmq_client_core::time::Instant;
use rocketmq_dev_broker::ConnectionId;

use crate::ctx::Ctx;
use crate::executor::NodeId;
use crate::network::{Arrival, ConnId, Listening};
use crate::schedule::EventKey;
use crate::world::{Event, World};

/// A server without sockets and clock: connections, bytes and the time go in, bytes and closes come out.
pub trait Peer: Send {
    /// Somebody connected.
    fn handle_connected(&mut self, now: Instant, connection: ConnectionId);
    /// Bytes came in.
    fn handle_bytes(&mut self, now: Instant, connection: ConnectionId, bytes: &[u8]);
    /// A connection is gone. Not called for one that the server itself has closed or reset.
    fn handle_closed(&mut self, now: Instant, connection: ConnectionId);
    /// Time passed.
    fn handle_timeout(&mut self, now: Instant);
    /// The next thing to do. After `Wait` there is nothing until the next input.
    fn poll_output(&mut self) -> PeerOutput;
}

impl<P: Peer + ?Sized> Peer for Box<P> {
    fn handle_connected(&mut self, now: Instant, connection: ConnectionId) {
        (**self).handle_connected(now, connection);
    }

    fn handle_bytes(&mut self, now: Instant, connection: ConnectionId, bytes: &[u8]) {
        (**self).handle_bytes(now, connection, bytes);
    }

    fn handle_closed(&mut self, now: Instant, connection: ConnectionId) {
        (**self).handle_closed(now, connection);
    }

    fn handle_timeout(&mut self, now: Instant) {
        (**self).handle_timeout(now);
    }

    fn poll_output(&mut self) -> PeerOutput {
        (**self).poll_output()
    }
}

/// What a [`Peer`] wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PeerOutput {
    /// Write bytes.
    Transmit {
        /// The connection.
        connection: ConnectionId,
        /// The bytes.
        bytes: Bytes,
    },
    /// Close a connection; what was written before still arrives.
    Close {
        /// The connection.
        connection: ConnectionId,
    },
    /// Reset a connection; what is on its way is lost.
    Reset {
        /// The connection.
        connection: ConnectionId,
    },
    /// Read no more from a connection. In a world buffers have no bounds, and it changes nothing.
    Deafen {
        /// The connection.
        connection: ConnectionId,
    },
    /// What becomes of new connections from now on.
    Listen(Door),
    /// Nothing else is to be done until an input or this time comes.
    Wait(Option<Instant>),
}

/// What becomes of whoever connects to a [`Peer`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Door {
    /// It is served.
    Open,
    /// It is refused.
    Closed,
    /// The machine accepts and nobody serves.
    Silent,
    /// Nothing answers at all.
    Lost,
}

/// A peer and its place.
pub(crate) struct PeerServer {
    peer: Box<dyn Peer>,
    timer: Option<EventKey>,
}

impl std::fmt::Debug for PeerServer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerServer").finish_non_exhaustive()
    }
}

/// The peers of a world.
pub(crate) type Peers = BTreeMap<NodeId, PeerServer>;

impl Ctx {
    /// Puts a server of the user's own at an address where nobody is yet. From then on properties that
    /// depend on brokers' answers are not looked at: a peer may answer as it likes.
    pub fn add_peer(&self, address: SocketAddr, peer: impl Peer + 'static) {
        let mut world = self.world.lock();
        let node = world.new_node();
        world.peers.insert(node, PeerServer { peer: Box::new(peer), timer: None });
        world.network.listen(node, address);
        world.monitor.has_peers = true;
        world.peer_timeout(node);
    }
}

impl World {
    /// Whether the arrival was a peer's.
    pub(crate) fn peer_arrival(&mut self, node: NodeId, conn: ConnId, arrival: &Arrival) -> bool {
        let now = self.now;
        let Some(server) = self.peers.get_mut(&node) else { return false };
        let connection = ConnectionId(conn.0);
        match arrival {
            Arrival::Connected { .. } => server.peer.handle_connected(now, connection),
            Arrival::Data(data) => server.peer.handle_bytes(now, connection, data),
            Arrival::Closed => server.peer.handle_closed(now, connection),
        }
        self.drain_peer(node);
        true
    }

    /// Whether the time was a peer's.
    pub(crate) fn peer_timeout(&mut self, node: NodeId) -> bool {
        let now = self.now;
        let Some(server) = self.peers.get_mut(&node) else { return false };
        server.timer = None;
        server.peer.handle_timeout(now);
        self.drain_peer(node);
        true
    }

    fn drain_peer(&mut self, node: NodeId) {
        let now = self.now;
        let deadline = loop {
            let Some(server) = self.peers.get_mut(&node) else { return };
            let output = server.peer.poll_output();
            let (network, mut time) = self.network();
            match output {
                PeerOutput::Wait(deadline) => break deadline,
                PeerOutput::Deafen { .. } => {}
                PeerOutput::Transmit { connection, bytes } => {
                    network.write(&mut time, ConnId(connection.0), bytes);
                }
                PeerOutput::Close { connection } => network.close_server(&mut time, ConnId(connection.0)),
                PeerOutput::Reset { connection } => {
                    // The peer knows; only the client has to be told.
                    drop(network.reset(ConnId(connection.0)));
                }
                PeerOutput::Listen(door) => {
                    let silent = network.set_listening(node, door.listening());
                    silent.into_iter().for_each(|conn| self.reset(conn));
                }
            }
        };
        let Some(server) = self.peers.get_mut(&node) else { return };
        if let Some(key) = server.timer.take() {
            self.schedule.cancel(key);
        }
        server.timer = deadline.map(|at| self.schedule.insert(at.max(now), Event::Server(node)));
    }
}

impl Door {
    fn listening(self) -> Listening {
        match self {
            Self::Open => Listening::Serving,
            Self::Closed => Listening::Refusing(None),
            Self::Silent => Listening::Silent,
            Self::Lost => Listening::Lost,
        }
    }
}
