//! What clients write and hear, seen at their ends of the wire: each request, and what became of it.

use std::collections::BTreeMap;
use std::sync::Arc;

use rocketmq_client_core::client::{Input, Output};
use rocketmq_client_core::id::ChannelId;
use rocketmq_client_core::remoting::{FRAME_BYTES_MAX, FrameDecoder, RemotingCommand, RequestCode};
use rocketmq_client_core::time::Instant;

use crate::executor::NodeId;

/// A request that a client has written.
#[derive(Clone, Debug)]
pub(super) struct Request {
    pub(super) id: Awaited,
    pub(super) node: NodeId,
    /// The peer's `host:port`.
    pub(super) peer: Arc<str>,
    pub(super) command: RemotingCommand,
    pub(super) at: Instant,
}

impl Request {
    /// The connection that it is on.
    pub(super) fn channel(&self) -> ChannelId {
        self.id.1
    }
}

/// A request that has no answer yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Awaited(NodeId, ChannelId, i32);

/// What the client is told of a request.
pub(super) struct Answered<'a> {
    pub(super) request: Request,
    pub(super) answer: &'a RemotingCommand,
}

/// Connections, and the requests that wait for answers.
#[derive(Debug, Default)]
pub(super) struct Wire {
    /// The peers' `host:port`.
    channels: BTreeMap<(NodeId, ChannelId), Arc<str>>,
    under_way: BTreeMap<(NodeId, ChannelId, i32), Request>,
}

impl Wire {
    /// The request that this input is the answer to.
    pub(super) fn input<'a>(&mut self, node: NodeId, input: &'a Input) -> Option<Answered<'a>> {
        match input {
            Input::Received { channel, command } if command.is_response() => {
                let request = self.under_way.remove(&(node, *channel, command.opaque))?;
                return Some(Answered { request, answer: command });
            }
            Input::Closed { channel, .. } => self.closed(node, *channel),
            _ => {}
        }
        None
    }

    /// The requests in this output, whose frames are these.
    pub(super) fn output(
        &mut self,
        now: Instant,
        node: NodeId,
        output: &Output,
        frames: Vec<RemotingCommand>,
    ) -> Vec<Request> {
        match output {
            Output::Connect { channel, endpoint, .. } => {
                self.channels.insert((node, *channel), endpoint.to_string().into());
            }
            Output::Transmit { channel, .. } => return self.transmit(now, node, *channel, frames),
            Output::Close { channel, .. } => self.closed(node, *channel),
            _ => {}
        }
        Vec::new()
    }

    /// The requests of a connection that have no answer.
    pub(super) fn awaited(&self, node: NodeId, channel: ChannelId) -> impl Iterator<Item = &Request> {
        let all = (node, channel, i32::MIN)..=(node, channel, i32::MAX);
        self.under_way.range(all).map(|(_, request)| request)
    }

    /// Whether a pull that was written since then has no answer.
    pub(super) fn awaits_since(&self, node: NodeId, peer: &str, since: Instant) -> bool {
        let mut awaited = self.under_way.values().filter(|request| request.at >= since);
        awaited.any(|request| {
            let is_pull = request.command.request_code() == RequestCode::PULL_MESSAGE;
            request.node == node && *request.peer == *peer && is_pull
        })
    }

    pub(super) fn is_awaited(&self, Awaited(node, channel, opaque): Awaited) -> bool {
        self.under_way.contains_key(&(node, channel, opaque))
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        self.channels.retain(|(owner, _), _| *owner != node);
        self.under_way.retain(|(owner, ..), _| *owner != node);
    }

    fn closed(&mut self, node: NodeId, channel: ChannelId) {
        self.channels.remove(&(node, channel));
        self.under_way.retain(|(owner, of, _), _| (*owner, *of) != (node, channel));
    }

    fn transmit(
        &mut self,
        now: Instant,
        node: NodeId,
        channel: ChannelId,
        frames: Vec<RemotingCommand>,
    ) -> Vec<Request> {
        let Some(peer) = self.channels.get(&(node, channel)) else { return Vec::new() };
        let requests = frames.into_iter().filter(|command| !command.is_response());
        let requests: Vec<Request> = requests
            .map(|command| Request {
                id: Awaited(node, channel, command.opaque),
                node,
                peer: peer.clone(),
                command,
                at: now,
            })
            .collect();
        for request in requests.iter().filter(|request| !request.command.is_oneway()) {
            self.under_way.insert((node, channel, request.command.opaque), request.clone());
        }
        requests
    }
}

/// The frames in an output, all of them whole: the core writes no part of one.
pub(super) fn frames(output: &Output) -> Vec<RemotingCommand> {
    let Output::Transmit { chunks, .. } = output else { return Vec::new() };
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    chunks.iter().for_each(|chunk| decoder.buffer_mut().extend_from_slice(chunk));
    std::iter::from_fn(|| decoder.next_frame().ok().flatten()).collect()
}
