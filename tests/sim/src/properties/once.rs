//! P01: each operation ends exactly once.

use std::collections::BTreeSet;

use rocketmq_client_core::client::{Input, Output};
use rocketmq_client_core::id::OperationId;
use rocketmq_client_core::time::Instant;

use super::{Property, Verdicts};
use crate::executor::NodeId;

/// The operations under way.
#[derive(Debug, Default)]
pub(super) struct Once {
    open: BTreeSet<(NodeId, OperationId)>,
}

impl Once {
    pub(super) fn input(&mut self, verdicts: &mut Verdicts, now: Instant, node: NodeId, input: &Input) {
        if let Input::Command(command) = input
            && let Some(operation) = command.operation()
        {
            let fresh = self.open.insert((node, operation));
            verdicts.check(Property::EachOperationEndsOnce, now, fresh, || {
                format!("node {}: {operation:?} began while another of this name was under way", node.0)
            });
        }
    }

    pub(super) fn output(&mut self, verdicts: &mut Verdicts, now: Instant, node: NodeId, output: &Output) {
        if let Output::Complete { operation, outcome } = output {
            let open = self.open.remove(&(node, *operation));
            verdicts.check(Property::EachOperationEndsOnce, now, open, || {
                format!("node {}: {operation:?} ended but was not under way, with {outcome:?}", node.0)
            });
        }
    }

    pub(super) fn closed(&mut self, verdicts: &mut Verdicts, now: Instant, node: NodeId) {
        let left = self.open.iter().find(|(owner, _)| *owner == node).copied();
        verdicts.check(Property::EachOperationEndsOnce, now, left.is_none(), || {
            format!("node {}: the client has closed and {left:?} has not ended", node.0)
        });
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        self.open.retain(|(owner, _)| *owner != node);
    }
}
