//! P61: GO_AWAY is an answer of the connection, not of the request.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_core::client::{Input, Output};
use rocketmq_client_core::id::ChannelId;
use rocketmq_client_core::remoting::ResponseCode;
use rocketmq_client_core::time::Instant;

use super::wire::{Answered, Request};
use super::{Property, Verdicts};
use crate::executor::NodeId;

/// For so long whoever made a request surely waits for its answer. One that comes later tells nobody anything: a peer
/// could end connections by answers that nobody asked for.
const SURELY_WAITS: Duration = Duration::from_millis(100);

/// How far a client has heard that a peer leaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Heard {
    /// What it had made before may still go out.
    JustNow,
    /// It has written all that it had made before.
    Before,
}

/// Connections whose peers want to be asked on another one.
#[derive(Debug, Default)]
pub(super) struct Leaving(BTreeMap<(NodeId, ChannelId), (Arc<str>, Heard)>);

impl Leaving {
    pub(super) fn answered(&mut self, now: Instant, answered: &Answered<'_>) {
        let Answered { request, answer } = answered;
        if answer.code == ResponseCode::GO_AWAY.0 && now <= request.at + SURELY_WAITS {
            let key = (request.node, request.channel());
            self.0.entry(key).or_insert_with(|| (request.peer.clone(), Heard::JustNow));
        }
    }

    pub(super) fn input(&mut self, node: NodeId, input: &Input) {
        if let Input::Closed { channel, .. } = input {
            self.0.remove(&(node, *channel));
        }
    }

    pub(super) fn output(&mut self, node: NodeId, output: &Output) {
        match output {
            Output::Close { channel, .. } => drop(self.0.remove(&(node, *channel))),
            Output::Wait(_) if !self.0.is_empty() => {
                let theirs = self.0.iter_mut().filter(|((owner, _), _)| *owner == node);
                theirs.for_each(|(_, (_, heard))| *heard = Heard::Before);
            }
            _ => {}
        }
    }

    /// A request goes out.
    pub(super) fn asked(&self, verdicts: &mut Verdicts, now: Instant, request: &Request) {
        if self.0.is_empty() {
            return;
        }
        let left = self.0.get(&(request.node, request.channel()));
        let may_be = left.is_none_or(|(_, heard)| *heard == Heard::JustNow);
        verdicts.check(Property::LeavingPeerIsAskedNothing, now, may_be, || {
            let (code, node) = (request.command.request_code(), request.node.0);
            format!("node {node} asks {left:?} for {code} on the connection that it was sent away from")
        });
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        self.0.retain(|(owner, _), _| *owner != node);
    }
}
