//! P27, P47 and P48: when and where a consumer pulls, seen at its end of the wire.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rocketmq_client_core::client::{Command, Input, Output};
use rocketmq_client_core::config::{ClientConfig, PushConsumerConfig};
use rocketmq_client_core::consumer::ConsumerCommand;
use rocketmq_client_core::id::{ChannelId, ConsumerId};
use rocketmq_client_core::message::StoredMessages;
use rocketmq_client_core::message::sys_flag::pull as pull_flag;
use rocketmq_client_core::remoting::{
    PullMessageRequestHeader, PullMessageResponseHeader, RemotingCommand, RequestCode, ResponseCode,
    SearchOffsetRequestHeader,
};
use rocketmq_client_core::time::Instant;
use rocketmq_dev_broker::Broker;

use super::{Property, Verdicts};
use crate::bound::{Bound, Bounds};
use crate::executor::NodeId;
use crate::history::QueueName;

/// A broker gives no more than this in one answer, whatever is asked for.
/// Java: `maxTransferCountOnMessageInMemory`.
const ANSWER_COUNT_MAX: i64 = 32;

/// A queue, as a member of a group sees it.
type Key = (NodeId, Arc<str>, QueueName);

/// Everybody's pulls.
#[derive(Debug, Default)]
pub(super) struct Pulls {
    brokers: BTreeMap<SocketAddr, Arc<str>>,
    connect_timeouts: BTreeMap<NodeId, Duration>,
    consumers: BTreeMap<(NodeId, ConsumerId), Consumer>,
    channels: BTreeMap<(NodeId, ChannelId), Channel>,
    /// When a stay of a queue ended last.
    stay_ended: BTreeMap<NodeId, Instant>,
    /// Pulls without an answer.
    under_way: BTreeMap<(NodeId, ChannelId, i32), Pull>,
    /// Where the next pull of a queue has to begin, where that is known: at one of these places.
    next: BTreeMap<Key, [i64; 2]>,
}

#[derive(Debug)]
struct Consumer {
    config: Arc<PushConsumerConfig>,
    suspended: bool,
}

#[derive(Debug)]
struct Channel {
    broker: Arc<str>,
    /// When it was wanted, until something is written: that may have waited since then.
    wanted: Option<Instant>,
}

#[derive(Debug)]
struct Pull {
    key: Key,
    offset: i64,
    /// The client surely waits until then, and surely not longer than until then.
    waits: [Instant; 2],
    /// The most messages that it may bring.
    batch: i64,
    /// It does not wait for messages: the queue was said to be empty, and an answer that says otherwise may be set
    /// aside until it is known whether the queue is the one of before.
    probes: bool,
}

impl Pulls {
    pub(super) fn broker_started(&mut self, broker: &Broker) {
        self.brokers.insert(broker.config().addr, broker.config().broker_name.clone());
    }

    pub(super) fn client_started(&mut self, node: NodeId, config: &ClientConfig) {
        self.connect_timeouts.insert(node, config.connect_timeout);
    }

    pub(super) fn input(&mut self, bounds: &mut Bounds, now: Instant, node: NodeId, input: &Input) {
        match input {
            Input::Command(Command::Consumer(consumer, ConsumerCommand::Start { config, .. })) => {
                let consumer_state = Consumer { config: config.clone(), suspended: false };
                self.consumers.insert((node, *consumer), consumer_state);
            }
            Input::Command(Command::Consumer(consumer, ConsumerCommand::Suspend { .. })) => {
                self.set_suspended(node, *consumer, true);
            }
            Input::Command(Command::Consumer(consumer, ConsumerCommand::Resume { .. })) => {
                self.set_suspended(node, *consumer, false);
            }
            Input::Received { channel, command } if command.is_response() => {
                if let Some(pull) = self.under_way.remove(&(node, *channel, command.opaque)) {
                    self.answered(bounds, now, &pull, command);
                }
            }
            Input::Closed { channel, .. } => self.closed(node, *channel),
            _ => {}
        }
    }

    pub(super) fn output(
        &mut self,
        verdicts: &mut Verdicts,
        now: Instant,
        node: NodeId,
        output: &Output,
        frames: &[RemotingCommand],
    ) {
        match output {
            Output::Connect { channel, address, .. } => {
                let known = self.brokers.get(address).cloned();
                let broker = known.unwrap_or_else(|| address.to_string().into());
                self.channels.insert((node, *channel), Channel { broker, wanted: Some(now) });
            }
            Output::Transmit { channel, .. } => self.transmit(verdicts, now, node, *channel, frames),
            Output::Close { channel, .. } => self.closed(node, *channel),
            // A stay of a queue has ended, and the next one begins anew.
            Output::Revoke { consumer, .. } | Output::ConsumerClosing { consumer } => {
                if let Some(consumer) = self.consumers.get(&(node, *consumer)) {
                    let is_its = |key: &Key| key.0 == node && key.1 == consumer.config.group;
                    self.under_way.retain(|_, pull| !is_its(&pull.key));
                    self.next.retain(|key, _| !is_its(key));
                    self.stay_ended.insert(node, now);
                }
            }
            _ => {}
        }
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        self.consumers.retain(|(owner, _), _| *owner != node);
        self.channels.retain(|(owner, _), _| *owner != node);
        self.under_way.retain(|(owner, ..), _| *owner != node);
        self.next.retain(|(owner, ..), _| *owner != node);
    }

    fn set_suspended(&mut self, node: NodeId, consumer: ConsumerId, suspended: bool) {
        if let Some(consumer) = self.consumers.get_mut(&(node, consumer)) {
            consumer.suspended = suspended;
        }
    }

    fn closed(&mut self, node: NodeId, channel: ChannelId) {
        self.channels.remove(&(node, channel));
        self.under_way.retain(|(owner, of, _), _| (*owner, *of) != (node, channel));
    }

    fn transmit(
        &mut self,
        verdicts: &mut Verdicts,
        now: Instant,
        node: NodeId,
        channel: ChannelId,
        frames: &[RemotingCommand],
    ) {
        if self.consumers.range((node, ConsumerId(0))..=(node, ConsumerId(u32::MAX))).next().is_none() {
            return;
        }
        let requests = frames.iter().filter(|command| !command.is_response());
        for command in requests {
            match command.request_code() {
                RequestCode::PULL_MESSAGE => self.pull(verdicts, now, node, channel, command),
                RequestCode::SEARCH_OFFSET_BY_TIMESTAMP => self.search(node, channel, command),
                _ => {}
            }
        }
        if let Some(channel) = self.channels.get_mut(&(node, channel)) {
            channel.wanted = None;
        }
    }

    fn pull(
        &mut self,
        verdicts: &mut Verdicts,
        now: Instant,
        node: NodeId,
        channel_id: ChannelId,
        command: &RemotingCommand,
    ) {
        let Ok(header) = command.header::<PullMessageRequestHeader<'_>>() else { return };
        let Some(channel) = self.channels.get(&(node, channel_id)) else { return };
        let may_have_waited = channel.wanted.is_some();
        let since = channel.wanted.unwrap_or(now);
        if self.stay_ended.get(&node).is_some_and(|ended| *ended >= since) {
            // It may be of the stay that has ended meanwhile, and is no news of the one that follows.
            return;
        }
        let mut consumers = self.consumers.iter().filter(|((owner, _), _)| *owner == node);
        let Some((_, consumer)) = consumers.find(|(_, of)| *of.config.group == *header.consumer_group) else {
            return;
        };
        let queue = QueueName {
            broker: channel.broker.clone(),
            topic: (&*header.topic).into(),
            queue_id: header.queue_id,
        };
        let key = (node, consumer.config.group.clone(), queue);
        let offset = header.queue_offset;
        let earlier = self.under_way.iter().find(|(_, pull)| pull.key == key);
        verdicts.check(
            Property::OnePullAQueue,
            now,
            earlier.is_none_or(|(_, pull)| pull.waits[0] <= now),
            || format!("{key:?} is pulled from at {offset} while {earlier:?} is under way"),
        );
        let next = self.next.get(&key).copied();
        verdicts.check(
            Property::PullBeginsWhereTheLastEnded,
            now,
            next.is_none_or(|next| next.contains(&offset)),
            || format!("{key:?} is pulled from at {offset}, but the last answer ended at {next:?}"),
        );
        verdicts.check(Property::SuspendedBeginsNoPull, now, !consumer.suspended || may_have_waited, || {
            format!("{key:?} is pulled from at {offset}, but its consumer is suspended")
        });
        let waited = if may_have_waited { self.connect_timeouts.get(&node) } else { None };
        let latest = now + consumer.config.pull_timeout;
        let waited = waited.copied().unwrap_or_default().min(consumer.config.pull_timeout);
        let earliest = now + (consumer.config.pull_timeout - waited);
        let batch = i64::from(consumer.config.pull_batch_size);
        let probes = header.sys_flag & pull_flag::SUSPEND == 0;
        let pull = Pull { key: key.clone(), offset, waits: [earliest, latest], batch, probes };
        self.under_way.retain(|_, earlier| earlier.key != key);
        self.under_way.insert((node, channel_id, command.opaque), pull);
        self.next.insert(key, [offset; 2]);
    }

    /// A queue whose position is in doubt may be looked at again from below.
    fn search(&mut self, node: NodeId, channel: ChannelId, command: &RemotingCommand) {
        let Ok(header) = command.header::<SearchOffsetRequestHeader<'_>>() else { return };
        let Some(channel) = self.channels.get(&(node, channel)) else { return };
        self.next.retain(|(owner, _, queue), _| {
            *owner != node
                || queue.broker != channel.broker
                || *queue.topic != *header.topic
                || queue.queue_id != header.queue_id
        });
    }

    fn answered(&mut self, bounds: &mut Bounds, now: Instant, pull: &Pull, command: &RemotingCommand) {
        let [earliest, latest] = pull.waits;
        if now > latest {
            return;
        }
        let code = ResponseCode(command.code);
        let went_on = [
            ResponseCode::SUCCESS,
            ResponseCode::PULL_NOT_FOUND,
            ResponseCode::PULL_RETRY_IMMEDIATELY,
            ResponseCode::PULL_OFFSET_MOVED,
        ];
        if !went_on.contains(&code) {
            return;
        }
        let header = command.header::<PullMessageResponseHeader>().ok();
        let header = header.filter(|header| {
            now < earliest
                && code != ResponseCode::PULL_OFFSET_MOVED
                && header.next_begin_offset >= pull.offset
                // Numbers that can't be are not believed, and the answer is asked for again.
                && header.next_begin_offset <= header.max_offset
                && (code != ResponseCode::SUCCESS || !command.body.is_empty())
        });
        let Some(header) = header else {
            // Perhaps the client had given up, or it knows better.
            self.next.remove(&pull.key);
            return;
        };
        let next = header.next_begin_offset;
        let other =
            if pull.probes { pull.offset } else { odd_from(pull, next, &command.body).unwrap_or(next) };
        self.next.insert(pull.key.clone(), [next, other]);
        let looked_at = header.next_begin_offset - pull.offset;
        let is_cut = code == ResponseCode::SUCCESS
            && header.next_begin_offset < header.max_offset
            && looked_at < pull.batch.min(ANSWER_COUNT_MAX);
        if is_cut {
            bounds.count(Bound::PullBatchBytes);
        }
    }
}

/// Where the messages of an answer are no longer those that were asked for: from there they are asked for again.
fn odd_from(pull: &Pull, next: i64, body: &Bytes) -> Option<i64> {
    let mut expected = pull.offset;
    for message in StoredMessages::new(body.clone()) {
        let message = message.ok()?;
        if message.queue_id != pull.key.2.queue_id || !(pull.offset..next).contains(&message.queue_offset) {
            return Some(expected);
        }
        expected = message.queue_offset + 1;
    }
    None
}
