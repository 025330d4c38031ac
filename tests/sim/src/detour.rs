//! Other addresses for the same servers, on ways of their own that can be disturbed.

use std::collections::BTreeMap;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};

use bytes::{Bytes, BytesMut};
use rocketmq_client_core::remoting::{
    Encoder, FRAME_BYTES_MAX, FrameDecoder, RemotingCommand, TopicRouteData,
};

use crate::executor::NodeId;
use crate::network::{ConnId, Scope, Trouble};
use crate::servers::{Servers, Troubles};
use crate::world::{SharedWorld, World};

const NAME_SERVER_PORT: u16 = 9_876;
const BROKER_PORT: u16 = 10_911;
/// Brokers of a detour have addresses that end with this number and up.
const BROKERS_FROM: usize = 101;
/// Comes after the real brokers in every list.
const GHOST_BROKER: &str = "zz-ghost";
const GHOST_NUMBER: usize = 250;

/// A way to all servers of a world by addresses of its own: who is told its
/// [name servers](Self::name_servers) gets routes with its brokers' addresses, and so goes by it altogether.
/// It can be disturbed without anybody else noticing, and for all that its clients can tell, brokers move.
///
/// For programs that are told a name server and connect by themselves; where the program makes the
/// clients, a [`Machine`](crate::Machine) is less to think about. It lasts as long as the world.
///
/// ```
/// use rocketmq_client_core::message::Message;
/// use rocketmq_sim::{Servers, Trouble, simulate};
///
/// simulate(7, async |ctx| {
///     let detour = ctx.detour();
///     let client = ctx.connect(detour.name_servers()).await.expect("a name server");
///     let producer = client.producer("orders").build().expect("a good name");
///     producer.send(Message::new("TopicTest", "before")).await.expect("stored");
///     detour.disturb(Servers::NameServers, Trouble::Refuse);
///     producer.send(Message::new("TopicTest", "the route is known")).await.expect("stored");
///     assert!(producer.send(Message::new("Another", "this one is not")).await.is_err());
/// });
/// ```
#[derive(Clone)]
pub struct Detour {
    world: SharedWorld,
    index: usize,
}

/// The detours of a world.
#[derive(Debug, Default)]
pub(crate) struct Detours(Vec<State>);

#[derive(Debug, Default)]
struct State {
    gates: BTreeMap<NodeId, Gate>,
    ghost: Option<Gate>,
    troubles: Troubles,
    moves: u16,
}

/// Where a server is found.
#[derive(Clone, Copy, Debug)]
struct Gate {
    node: NodeId,
    address: SocketAddr,
}

impl fmt::Debug for Detour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detour").field("name_servers", &self.name_servers()).finish_non_exhaustive()
    }
}

impl Detour {
    pub(crate) fn new(shared: &SharedWorld) -> Self {
        let mut world = shared.lock();
        let index = world.detours.0.len();
        world.detours.0.push(State::default());
        for (number, server) in (1..).zip(world.name_servers()) {
            world.open_gate(index, server, address(index, number, NAME_SERVER_PORT));
        }
        for (number, server) in (BROKERS_FROM..).zip(world.brokers()) {
            world.open_gate(index, server, address(index, number, BROKER_PORT));
        }
        Self { world: shared.clone(), index }
    }

    /// What to tell clients: `host:port`, several separated by semicolons.
    #[must_use]
    pub fn name_servers(&self) -> String {
        let world = self.world.lock();
        let gates = &world.detours.0[self.index].gates;
        let addresses: Vec<_> =
            world.name_servers().iter().map(|server| gates[server].address.to_string()).collect();
        addresses.join(";")
    }

    /// Resets every connection to these servers; new ones may come up at once. How many there were.
    #[expect(clippy::must_use_candidate, reason = "the number is only there to be checked")]
    pub fn cut(&self, to: Servers) -> usize {
        let mut world = self.world.lock();
        let gates = world.gates(self.index, to);
        gates.into_iter().map(|(_, gate)| world.cut_gate(gate)).sum()
    }

    /// From now on the way to these servers is so, until it is [healed](Self::heal). Troubles add up. One that
    /// lets no connection come up also resets those that are up.
    pub fn disturb(&self, to: Servers, trouble: Trouble) {
        let mut world = self.world.lock();
        for (server, gate) in world.gates(self.index, to) {
            world.with_troubles(self.index, |troubles, world| {
                troubles.begin(world, server, Scope::Around(gate.node), trouble);
            });
            if trouble.turns_away() {
                world.cut_gate(gate);
            }
        }
    }

    /// Ends all troubles on the way to these servers.
    pub fn heal(&self, to: Servers) {
        let mut world = self.world.lock();
        let healed = to.nodes(&world);
        world.with_troubles(self.index, |troubles, world| troubles.end(world, &healed));
    }

    /// How many connections clients have by this way, or are about to have.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        let world = self.world.lock();
        let gates: Vec<_> = world.gates(self.index, Servers::All);
        let ours = |via| gates.iter().any(|(_, gate)| Some(gate.node) == via);
        world.network.connections_where(|way| ours(way.via)).len()
    }

    /// Every broker goes to a new address, as routes tell from now on; at the old one nobody listens.
    pub fn move_brokers(&self) {
        let mut world = self.world.lock();
        let state = &mut world.detours.0[self.index];
        state.moves += 1;
        let port = BROKER_PORT + state.moves;
        for (server, gate) in world.gates(self.index, Servers::Brokers) {
            world.network.close_gate(gate.address);
            world.cut_gate(gate);
            world.open_gate(self.index, server, SocketAddr::new(gate.address.ip(), port));
        }
    }

    /// From now on every route names one broker more, with as many queues as the first, which takes every
    /// connection and drops it at once.
    pub fn add_ghost_broker(&self) {
        let mut world = self.world.lock();
        let Some(behind) = world.brokers().first().copied() else { return };
        let gate = Gate { node: world.new_node(), address: address(self.index, GHOST_NUMBER, BROKER_PORT) };
        world.network.open_gate(gate.address, gate.node, behind);
        Troubles::default().begin(&mut world, gate.node, Scope::Around(gate.node), Trouble::Drop);
        world.detours.0[self.index].ghost = Some(gate);
    }

    /// How many connections to the ghost broker were dropped.
    #[must_use]
    pub fn ghost_knocks(&self) -> usize {
        let world = self.world.lock();
        world.detours.0[self.index].ghost.map_or(0, |gate| world.network.turned_away_at(gate.node))
    }
}

impl World {
    /// What a server writes, with a detour's addresses in the routes if it goes by one.
    pub(crate) fn redirect(&self, conn: ConnId, parts: Vec<Bytes>) -> Vec<Bytes> {
        let Some(gate) = self.network.gate_of(conn) else { return parts };
        let name_servers = self.name_servers();
        let leads_to_one = |state: &&State| {
            name_servers.iter().any(|server| state.gates.get(server).is_some_and(|known| known.node == gate))
        };
        let Some(state) = self.detours.0.iter().find(leads_to_one) else { return parts };
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        parts.iter().for_each(|part| decoder.buffer_mut().extend_from_slice(part));
        let mut out = BytesMut::new();
        while let Ok(Some(mut command)) = decoder.next_frame() {
            self.change_route(state, &mut command);
            Encoder::default().encode_command(&mut out, &command);
        }
        vec![out.freeze()]
    }

    fn change_route(&self, state: &State, command: &mut RemotingCommand) {
        let Ok(mut route) = TopicRouteData::decode(&command.body) else { return };
        let gate_of = |known: &str| {
            let mut servers = self.servers.iter();
            let (node, _) = servers.find(|(_, server)| server.address.to_string() == known)?;
            state.gates.get(node).map(|gate| gate.address)
        };
        for known in route.broker_datas.iter_mut().flat_map(|broker| broker.broker_addrs.values_mut()) {
            if let Some(address) = gate_of(known) {
                *known = address.to_string().into();
            }
        }
        if let Some(ghost) = &state.ghost {
            haunt(&mut route, ghost.address);
        }
        if !route.broker_datas.is_empty() {
            command.body = route.encode_standard();
        }
    }

    fn open_gate(&mut self, detour: usize, server: NodeId, address: SocketAddr) {
        let gate = Gate { node: self.new_node(), address };
        self.network.open_gate(address, gate.node, server);
        self.detours.0[detour].gates.insert(server, gate);
    }

    fn gates(&self, detour: usize, to: Servers) -> Vec<(NodeId, Gate)> {
        let gates = &self.detours.0[detour].gates;
        to.nodes(self).into_iter().filter_map(|server| Some((server, *gates.get(&server)?))).collect()
    }

    fn cut_gate(&mut self, gate: Gate) -> usize {
        self.reset_where(|way| way.via == Some(gate.node))
    }

    fn with_troubles(&mut self, detour: usize, act: impl FnOnce(&mut Troubles, &mut Self)) {
        let mut troubles = std::mem::take(&mut self.detours.0[detour].troubles);
        act(&mut troubles, self);
        self.detours.0[detour].troubles = troubles;
    }
}

/// Adds a broker at `address` that has the queues of the first one.
fn haunt(route: &mut TopicRouteData, address: SocketAddr) {
    let (Some(broker), Some(queues)) = (route.broker_datas.first(), route.queue_datas.first()) else {
        return;
    };
    let (mut broker, mut queues) = (broker.clone(), queues.clone());
    broker.broker_name = GHOST_BROKER.into();
    broker.broker_addrs.values_mut().for_each(|known| *known = address.to_string().into());
    queues.broker_name = GHOST_BROKER.into();
    route.broker_datas.push(broker);
    route.queue_datas.push(queues);
}

fn address(detour: usize, number: usize, port: u16) -> SocketAddr {
    let [.., high, low] = detour.to_be_bytes();
    let last = u8::try_from(number).expect("few servers");
    // 10.64.0.0 and up: servers and clients are below.
    SocketAddr::from((Ipv4Addr::new(10, 64 | high, low, last), port))
}
