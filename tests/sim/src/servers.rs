//! Which servers are meant, and what is wrong with the ways to them.

use crate::executor::NodeId;
use crate::fault::FaultKind;
use crate::network::{ConditionId, Scope, Trouble, Way};
use crate::world::World;

/// Servers of a world, as seen from its clients.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Servers {
    /// All of them.
    All,
    /// All brokers.
    Brokers,
    /// All name servers.
    NameServers,
    /// One broker, counted from 0.
    Broker(usize),
    /// One name server, counted from 0.
    NameServer(usize),
}

impl Servers {
    pub(crate) fn nodes(self, world: &World) -> Vec<NodeId> {
        let one = |nodes: Vec<NodeId>, index: usize| nodes.get(index).copied().into_iter().collect();
        match self {
            Self::All => world.servers.keys().copied().collect(),
            Self::Brokers => world.brokers(),
            Self::NameServers => world.name_servers(),
            Self::Broker(index) => one(world.brokers(), index),
            Self::NameServer(index) => one(world.name_servers(), index),
        }
    }
}

impl Trouble {
    /// Whether no connection comes up while it lasts.
    pub(crate) fn turns_away(self) -> bool {
        matches!(self, Self::Refuse | Self::Drop)
    }

    fn kind(self) -> FaultKind {
        match self {
            Self::Hold => FaultKind::Partition,
            Self::Delay(_) => FaultKind::Delay,
            Self::Refuse => FaultKind::ConnectRefused,
            Self::Drop => FaultKind::KillConnection,
        }
    }
}

/// What is wrong with somebody's ways to servers.
#[derive(Debug, Default)]
pub(crate) struct Troubles(Vec<(NodeId, ConditionId)>);

impl Troubles {
    pub(crate) fn begin(&mut self, world: &mut World, server: NodeId, scope: Scope, trouble: Trouble) {
        self.0.push((server, world.network.conditions.add(trouble.kind(), scope, trouble)));
    }

    pub(crate) fn end(&mut self, world: &mut World, servers: &[NodeId]) {
        for (_, id) in self.0.extract_if(.., |(server, _)| servers.contains(server)) {
            world.network.conditions.heal(id);
        }
        let (network, mut time) = world.network();
        network.release(&mut time);
    }
}

impl World {
    /// Resets the connections that fit; how many there were.
    pub(crate) fn reset_where(&mut self, fits: impl Fn(Way) -> bool) -> usize {
        let conns = self.network.connections_where(fits);
        conns.iter().for_each(|conn| self.reset(*conn));
        conns.len()
    }
}
