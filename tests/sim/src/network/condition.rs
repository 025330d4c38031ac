//! What is wrong with links, until it is healed.

use std::collections::BTreeMap;
use std::time::Duration;

use rocketmq_client_core::rng::Rng;

use crate::executor::NodeId;
use crate::fault::{Effects, FaultKind};

/// Which packets are concerned.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scope {
    /// From one node to another.
    OneWay(NodeId, NodeId),
    /// Between two nodes.
    Between(NodeId, NodeId),
    /// From and to a node, or through it.
    Around(NodeId),
}

/// Where packets go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Way {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    /// The gate of a detour that they pass.
    pub(crate) via: Option<NodeId>,
}

impl Scope {
    fn covers(self, way: Way) -> bool {
        let Way { from, to, via } = way;
        match self {
            Self::OneWay(a, b) => (a, b) == (from, to),
            Self::Between(a, b) => (a, b) == (from, to) || (b, a) == (from, to),
            Self::Around(node) => node == from || node == to || Some(node) == via,
        }
    }
}

/// What is wrong with the way between two machines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Trouble {
    /// Packets wait until it is healed, and arrive some time later, as when a network drops them and TCP
    /// sends them again. Connections stay up, and new ones come up after it is healed.
    Hold,
    /// Packets take up to this much longer; one in eight takes all of it.
    Delay(Duration),
    /// New connections are refused, as by a machine on which nobody listens.
    Refuse,
    /// New connections are taken and reset at once, as by a load balancer without a server behind it.
    Drop,
}

/// Names a condition, to heal it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ConditionId(u32);

#[derive(Clone, Copy, Debug)]
struct Condition {
    kind: FaultKind,
    scope: Scope,
    trouble: Trouble,
}

/// All that is wrong now.
#[derive(Debug, Default)]
pub(crate) struct Conditions {
    active: BTreeMap<ConditionId, Condition>,
    next: u32,
}

impl Conditions {
    pub(crate) fn add(&mut self, kind: FaultKind, scope: Scope, trouble: Trouble) -> ConditionId {
        self.next += 1;
        let id = ConditionId(self.next);
        self.active.insert(id, Condition { kind, scope, trouble });
        id
    }

    pub(crate) fn heal(&mut self, id: ConditionId) {
        self.active.remove(&id);
    }

    /// Why packets wait, if they do.
    pub(crate) fn held_by(&self, way: Way) -> Option<FaultKind> {
        let mut covering = self.active.values().filter(|condition| condition.scope.covers(way));
        covering.find(|condition| condition.trouble == Trouble::Hold).map(|condition| condition.kind)
    }

    /// Why a connection can't come up, and whether it is refused or dropped, if it is one of both.
    pub(crate) fn turned_away(&self, way: Way) -> Option<(FaultKind, Trouble)> {
        let mut covering = self.active.values().filter(|condition| condition.scope.covers(way));
        let turning = covering.find(|condition| matches!(condition.trouble, Trouble::Refuse | Trouble::Drop));
        turning.map(|condition| (condition.kind, condition.trouble))
    }

    /// Nothing is wrong.
    pub(crate) fn is_empty(&self) -> bool {
        self.active.is_empty()
    }

    /// How much longer a packet takes.
    pub(crate) fn delay(&self, rng: &mut Rng, way: Way, effects: &mut Effects) -> Duration {
        let mut total = Duration::ZERO;
        for condition in self.active.values() {
            if let Trouble::Delay(most) = condition.trouble
                && condition.scope.covers(way)
            {
                let most_ns = u64::try_from(most.as_nanos()).unwrap_or(u64::MAX);
                let tail = rng.chance(1, 8);
                let share = if tail { most_ns } else { rng.below(most_ns / 4 + 1) };
                total += Duration::from_nanos(share);
                effects.count(condition.kind);
            }
        }
        total
    }
}
