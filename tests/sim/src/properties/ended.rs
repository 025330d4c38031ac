//! P52: nothing begins after the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rocketmq_client_core::client::{Command, Input, Output};
use rocketmq_client_core::consumer::ConsumerCommand;
use rocketmq_client_core::id::{ConsumerId, OperationId};
use rocketmq_client_core::remoting::RequestCode;
use rocketmq_client_core::time::Instant;

use super::wire::Request;
use super::{Property, Verdicts};
use crate::executor::NodeId;

/// What only a member of a group does.
const OF_MEMBERS: [RequestCode; 5] = [
    RequestCode::PULL_MESSAGE,
    RequestCode::QUERY_CONSUMER_OFFSET,
    RequestCode::UPDATE_CONSUMER_OFFSET,
    RequestCode::CONSUMER_SEND_MSG_BACK,
    RequestCode::GET_CONSUMER_LIST_BY_GROUP,
];

/// Consumers and clients that have come to their end.
#[derive(Debug, Default)]
pub(super) struct Ended {
    groups: BTreeMap<(NodeId, ConsumerId), Arc<str>>,
    /// Closes that are under way.
    closes: BTreeMap<(NodeId, OperationId), ConsumerId>,
    /// Groups that a client has just left: what it had asked before may still go out.
    leaving: Vec<(NodeId, Arc<str>)>,
    /// Groups that it has left.
    left: BTreeSet<(NodeId, Arc<str>)>,
    /// Consumers that take no more deliveries.
    consumers: BTreeSet<(NodeId, ConsumerId)>,
    clients: BTreeSet<NodeId>,
}

impl Ended {
    pub(super) fn input(&mut self, node: NodeId, input: &Input) {
        match input {
            Input::Command(Command::Consumer(consumer, ConsumerCommand::Start { config, .. })) => {
                let group = (node, config.group.clone());
                self.leaving.retain(|left| *left != group);
                self.left.remove(&group);
                self.groups.insert((node, *consumer), config.group.clone());
            }
            Input::Command(Command::Consumer(consumer, ConsumerCommand::Close { operation, .. })) => {
                self.closes.insert((node, *operation), *consumer);
            }
            _ => {}
        }
    }

    pub(super) fn output(&mut self, verdicts: &mut Verdicts, now: Instant, node: NodeId, output: &Output) {
        if self.clients.contains(&node) {
            let is_none = matches!(output, Output::Wait(_) | Output::Complete { .. });
            verdicts.check(Property::NothingBeginsAfterTheEnd, now, is_none, || {
                format!("node {} has closed, and wants {output:?}", node.0)
            });
        }
        match output {
            Output::ConsumerClosed { consumer } => drop(self.consumers.insert((node, *consumer))),
            Output::ClientClosed => drop(self.clients.insert(node)),
            Output::Complete { operation, .. } => {
                let consumer = self.closes.remove(&(node, *operation));
                let group = consumer.and_then(|consumer| self.groups.remove(&(node, consumer)));
                // Another consumer may have joined the group meanwhile.
                let mut others = self.groups.iter().filter(|((owner, _), _)| *owner == node);
                let gone = group.filter(|group| !others.any(|(_, of)| of == group));
                self.leaving.extend(gone.map(|group| (node, group)));
            }
            Output::Wait(_) if !self.leaving.is_empty() => {
                self.left.extend(self.leaving.extract_if(.., |(owner, _)| *owner == node));
            }
            Output::Deliver { consumer, .. } => {
                verdicts.check(
                    Property::NothingBeginsAfterTheEnd,
                    now,
                    !self.consumers.contains(&(node, *consumer)),
                    || format!("{consumer:?} of node {} has closed, and gets messages", node.0),
                );
            }
            _ => {}
        }
    }

    /// A request goes out.
    pub(super) fn asked(&self, verdicts: &mut Verdicts, now: Instant, request: &Request) {
        if self.left.is_empty() || !OF_MEMBERS.contains(&request.command.request_code()) {
            return;
        }
        let name = ["consumerGroup", "group"].iter().find_map(|name| request.command.ext.get(name));
        let has_left = |name: &str| self.left.contains(&(request.node, name.into()));
        verdicts.check(
            Property::NothingBeginsAfterTheEnd,
            now,
            !name.as_deref().is_some_and(has_left),
            || {
                let (node, code) = (request.node.0, request.command.request_code());
                format!("node {node} has left {name:?}, and asks {} for {code}", request.peer)
            },
        );
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        self.groups.retain(|(owner, _), _| *owner != node);
        self.closes.retain(|(owner, _), _| *owner != node);
        self.leaving.retain(|(owner, _)| *owner != node);
        self.left.retain(|(owner, _)| *owner != node);
        self.consumers.retain(|(owner, _)| *owner != node);
        self.clients.remove(&node);
    }
}
