//! Everything outside of the clients: the time, the network, the servers, and who watches them.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Duration;

use rocketmq_client_core::rng::Rng;
use rocketmq_client_core::time::{Instant, Timestamp};

use crate::detour::Detours;
use crate::executor::NodeId;
use crate::network::{Arrival, ConnId, Direction, Network, Timeline};
use crate::peer::Peers;
use crate::properties::Monitor;
use crate::question::Questions;
use crate::rngs::Rngs;
use crate::schedule::Schedule;
use crate::server::Server;
use crate::tamper::Tampering;
use crate::trace::Trace;

/// The wall clock when a world begins: 2023-11-14, in Unix milliseconds.
const WALL_START_MS: i64 = 1_700_000_000_000;

/// What can happen by itself.
#[derive(Debug)]
pub(crate) enum Event {
    /// A packet is due.
    Arrive(ConnId, Direction),
    /// A connection is reset.
    Reset(ConnId),
    /// A server wants to be called.
    Server(NodeId),
    /// Somebody's sleep is over.
    Wake(Waker),
}

/// The world, as its parts share it. No user code and no task runs under the lock.
#[derive(Clone)]
pub(crate) struct SharedWorld(Arc<Mutex<World>>);

impl SharedWorld {
    pub(crate) fn new(world: World) -> Self {
        Self(Arc::new(Mutex::new(world)))
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All state that is not a future's.
pub(crate) struct World {
    pub(crate) now: Instant,
    pub(crate) schedule: Schedule<Event>,
    pub(crate) trace: Trace,
    pub(crate) network: Network,
    pub(crate) servers: BTreeMap<NodeId, Server>,
    pub(crate) peers: Peers,
    pub(crate) monitor: Monitor,
    pub(crate) rngs: Rngs,
    pub(crate) questions: Questions,
    pub(crate) detours: Detours,
    pub(crate) tampering: Tampering,
    /// Nodes whose tasks are to end before anything else runs.
    pub(crate) kills: Vec<NodeId>,
    wall_offsets_ms: BTreeMap<NodeId, i64>,
    nodes: u32,
}

impl World {
    pub(crate) fn new(seed: u64, keep_lines: bool) -> Self {
        let mut rngs = Rngs::new(seed);
        Self {
            now: Instant::ZERO,
            schedule: Schedule::default(),
            trace: Trace::new(keep_lines),
            network: Network::new(rngs.network.fork()),
            servers: BTreeMap::new(),
            peers: Peers::new(),
            monitor: Monitor::default(),
            rngs,
            questions: Questions::default(),
            detours: Detours::default(),
            tampering: Tampering::default(),
            kills: Vec::new(),
            wall_offsets_ms: BTreeMap::new(),
            nodes: 0,
        }
    }

    /// A new machine.
    pub(crate) fn new_node(&mut self) -> NodeId {
        self.nodes += 1;
        NodeId(self.nodes)
    }

    /// Time since the world began.
    pub(crate) fn elapsed(&self) -> Duration {
        self.now - Instant::ZERO
    }

    /// A node's wall clock.
    pub(crate) fn wall(&self, node: NodeId) -> Timestamp {
        let offset = self.wall_offsets_ms.get(&node).copied().unwrap_or(0);
        let elapsed = i64::try_from(self.now.as_millis()).unwrap_or(i64::MAX);
        Timestamp::from_millis(WALL_START_MS + elapsed + offset)
    }

    /// Sets a node's wall clock forward or back.
    pub(crate) fn jump_wall(&mut self, node: NodeId, by_ms: i64) {
        *self.wall_offsets_ms.entry(node).or_default() += by_ms;
    }

    /// A stream of randomness for user code.
    pub(crate) fn application_rng(&mut self) -> Rng {
        self.rngs.application.fork()
    }

    /// The network, and the time in the shape that it wants.
    pub(crate) fn network(&mut self) -> (&mut Network, Timeline<'_>) {
        (&mut self.network, Timeline { now: self.now, schedule: &mut self.schedule })
    }

    /// Lets the next event happen; false when there is none until `until`.
    pub(crate) fn step(&mut self, until: Instant, wakers: &mut Vec<Waker>) -> bool {
        let Some((at, event)) = self.schedule.pop(until) else { return false };
        debug_assert!(at >= self.now, "time goes forward");
        self.now = at;
        match event {
            Event::Arrive(conn, direction) => self.arrive(conn, direction),
            Event::Reset(conn) => self.reset(conn),
            Event::Server(node) => self.server_timeout(node),
            Event::Wake(waker) => wakers.push(waker),
        }
        wakers.extend(self.network.take_wakers());
        true
    }

    /// Both ends of a connection learn that it was reset.
    pub(crate) fn reset(&mut self, conn: ConnId) {
        self.trace.event(self.now, "reset", 0, &conn.0.to_le_bytes());
        self.trace.note(self.now, || format!("{conn:?} is reset"));
        if let Some((server, arrival)) = self.network.reset(conn) {
            self.arrived(server, conn, arrival);
        }
    }

    fn arrive(&mut self, conn: ConnId, direction: Direction) {
        let (network, mut time) = self.network();
        let arrival = network.arrive(&mut time, conn, direction);
        self.trace.event(self.now, "arrive", u32::from(direction == Direction::Up), &conn.0.to_le_bytes());
        if let Some((server, arrival)) = arrival {
            self.arrived(server, conn, arrival);
        }
    }

    fn arrived(&mut self, server: NodeId, conn: ConnId, arrival: Arrival) {
        if let Arrival::Data(data) = &arrival {
            self.trace.event(self.now, "data", server.0, data);
        }
        self.server_arrival(server, conn, arrival);
    }
}
