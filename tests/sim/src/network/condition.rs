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
    /// From and to a node.
    Around(NodeId),
}

impl Scope {
    fn covers(self, from: NodeId, to: NodeId) -> bool {
        match self {
            Self::OneWay(a, b) => (a, b) == (from, to),
            Self::Between(a, b) => (a, b) == (from, to) || (b, a) == (from, to),
            Self::Around(node) => node == from || node == to,
        }
    }
}

/// What happens to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// They wait until it is healed.
    Hold,
    /// They take up to this much longer; one in eight takes all of it.
    Delay(Duration),
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
    pub(crate) fn held_by(&self, from: NodeId, to: NodeId) -> Option<FaultKind> {
        let mut covering = self.active.values().filter(|condition| condition.scope.covers(from, to));
        covering.find(|condition| condition.trouble == Trouble::Hold).map(|condition| condition.kind)
    }

    /// How much longer a packet takes.
    pub(crate) fn delay(&self, rng: &mut Rng, from: NodeId, to: NodeId, effects: &mut Effects) -> Duration {
        let mut total = Duration::ZERO;
        for condition in self.active.values() {
            if let Trouble::Delay(most) = condition.trouble
                && condition.scope.covers(from, to)
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
