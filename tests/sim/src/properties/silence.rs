//! P56: no peer is waited for that says nothing.

use std::collections::BTreeMap;
use std::time::Duration;

use rocketmq_client_core::client::{Command, Input, Output};
use rocketmq_client_core::consumer::ConsumerCommand;
use rocketmq_client_core::id::{ChannelId, GenerationalId};
use rocketmq_client_core::remoting::RequestCode;
use rocketmq_client_core::time::Instant;

use super::wire::{Request, Wire};
use super::{Property, Verdicts};
use crate::executor::NodeId;

/// Who awaits a pull of a peer that says nothing gives the connection up so soon.
const SILENCE_MAX: Duration = Duration::from_secs(10);

/// When peers were heard last.
#[derive(Debug, Default)]
pub(super) struct Silence {
    /// By connection; what comes before the first word counts from when it was wanted.
    heard: BTreeMap<(NodeId, ChannelId), Instant>,
    /// How long the pulls of a client wait at least: what has run out of time is not awaited any more.
    pull_timeouts: BTreeMap<NodeId, Duration>,
}

impl Silence {
    /// A client hears something, or has slept until something is due.
    pub(super) fn input(
        &mut self,
        verdicts: &mut Verdicts,
        now: Instant,
        node: NodeId,
        (input, wire): (&Input, &Wire),
    ) {
        match input {
            Input::Received { channel, .. } => drop(self.heard.insert((node, *channel), now)),
            Input::Closed { channel, .. } => drop(self.heard.remove(&(node, *channel))),
            Input::Command(Command::Consumer(_, ConsumerCommand::Start { config, .. })) => {
                let least = self.pull_timeouts.entry(node).or_insert(config.pull_timeout);
                *least = config.pull_timeout.min(*least);
            }
            Input::Timeout => self.look(verdicts, now, node, wire),
            _ => {}
        }
    }

    pub(super) fn output(&mut self, now: Instant, node: NodeId, output: &Output) {
        match output {
            Output::Connect { channel, .. } => drop(self.heard.insert((node, *channel), now)),
            Output::Close { channel, .. } => drop(self.heard.remove(&(node, *channel))),
            _ => {}
        }
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        self.heard.retain(|(owner, _), _| *owner != node);
        self.pull_timeouts.remove(&node);
    }

    /// The pulls of a connection that have no answer and time left. When other requests are given up is not to be
    /// seen from here.
    pub(super) fn awaited<'a>(
        &self,
        now: Instant,
        node: NodeId,
        channel: ChannelId,
        wire: &'a Wire,
    ) -> impl Iterator<Item = &'a Request> + use<'a> {
        let timeout = self.pull_timeouts.get(&node).copied().unwrap_or_default();
        wire.awaited(node, channel).filter(move |request| {
            let is_pull = request.command.request_code() == RequestCode::PULL_MESSAGE;
            is_pull && now < request.at + timeout
        })
    }

    fn look(&self, verdicts: &mut Verdicts, now: Instant, node: NodeId, wire: &Wire) {
        let lines = (node, ChannelId::from_parts(0, 0))..=(node, ChannelId::from_parts(u32::MAX, u32::MAX));
        for ((_, channel), heard) in self.heard.range(lines).filter(|(_, heard)| is_long_ago(now, **heard)) {
            let mut awaited = self.awaited(now, node, *channel, wire);
            let left = awaited.find(|request| is_long_ago(now, request.at));
            verdicts.check(Property::SilenceIsNoticed, now, left.is_none(), || {
                let quiet = now - *heard;
                format!("{left:?} is awaited by node {} though nothing has come for {quiet:?}", node.0)
            });
        }
    }
}

fn is_long_ago(now: Instant, at: Instant) -> bool {
    at + SILENCE_MAX < now
}
