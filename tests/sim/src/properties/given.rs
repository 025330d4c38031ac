//! P22 and P26: what handlers are given.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rocketmq_client_core::client::{Command, Input, Output};
use rocketmq_client_core::consumer::{Ack, ConsumeToken, ConsumerCommand, Delivery, Settled};
use rocketmq_client_core::id::{ConsumerId, ProcessQueueId};
use rocketmq_client_core::message::MessageQueue;
use rocketmq_client_core::time::Instant;

use super::{Consumed, Monitor, Property};
use crate::executor::NodeId;
use crate::history::{MessageNumber, QueueName};

/// A delivery that the core gave to user code and that has not been settled.
#[derive(Debug)]
struct InHand {
    group: Arc<str>,
    queue: Arc<QueueName>,
    message: Option<MessageNumber>,
    revoked: bool,
    started: bool,
}

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Given {
    groups: BTreeMap<(NodeId, ConsumerId), Arc<str>>,
    in_hand: BTreeMap<(NodeId, ConsumeToken), InHand>,
    /// How far handlers have begun queues.
    reached: BTreeMap<(NodeId, ConsumerId, ProcessQueueId), i64>,
    closing: BTreeSet<(NodeId, ConsumerId)>,
}

impl Given {
    pub(super) fn input(&mut self, now: Instant, node: NodeId, input: &Input, consumed: &mut Consumed) {
        match input {
            // What can't be decoded begins, too, although no handler sees it.
            Input::Begun { tokens } => {
                let begun = tokens.iter().filter(|(_, at)| at.is_some());
                begun.for_each(|(token, _)| self.reach(node, *token));
            }
            Input::Command(Command::Consumer(consumer, ConsumerCommand::Start { config, .. })) => {
                self.groups.insert((node, *consumer), config.group.clone());
            }
            Input::Settled { answers } => {
                for Settled { token, ack, begun } in answers {
                    if begun.is_some() {
                        self.reach(node, *token);
                    }
                    let Some(given) = self.in_hand.remove(&(node, *token)) else { continue };
                    let place = (given.queue, token.queue_offset);
                    match ack {
                        Ack::Done => consumed.done(&given.group, place, given.message),
                        // What was taken back is the next owner's.
                        _ if given.revoked => {}
                        _ => consumed.sent_back(&given.group, place, now),
                    }
                }
            }
            _ => {}
        }
    }

    pub(super) fn output(&mut self, node: NodeId, output: &Output) {
        match output {
            Output::Deliver { consumer, deliveries } => {
                let Some(group) = self.groups.get(&(node, *consumer)) else { return };
                for delivery in deliveries {
                    self.in_hand.insert((node, delivery.token), in_hand(group, delivery));
                }
            }
            Output::Revoke { queue, consumer } => {
                self.take_back(node, |token| token.queue == *queue && token.consumer == *consumer);
            }
            Output::ConsumerClosing { consumer } => {
                self.closing.insert((node, *consumer));
            }
            Output::ConsumerClosed { consumer } => self.take_back(node, |token| token.consumer == *consumer),
            _ => {}
        }
    }

    fn take_back(&mut self, node: NodeId, is_gone: impl Fn(&ConsumeToken) -> bool) {
        for ((owner, token), given) in &mut self.in_hand {
            given.revoked |= *owner == node && is_gone(token);
        }
    }

    fn reach(&mut self, node: NodeId, token: ConsumeToken) {
        let reached = self.reached.entry((node, token.consumer, token.queue)).or_insert(i64::MIN);
        *reached = token.queue_offset.max(*reached);
    }

    /// Whether a handler may begin this, as far as a close has to say.
    fn may_begin(&self, node: NodeId, token: ConsumeToken) -> bool {
        let reached = self.reached.get(&(node, token.consumer, token.queue));
        !self.closing.contains(&(node, token.consumer))
            || reached.is_some_and(|reached| token.queue_offset < *reached)
    }

    /// The group that a delivery is for.
    pub(super) fn group_of(&self, node: NodeId, output: &Output) -> Option<&Arc<str>> {
        let Output::Deliver { consumer, .. } = output else { return None };
        self.groups.get(&(node, *consumer))
    }

    /// A handler begins. Whether the core has given it that message and not taken it back.
    fn start(&mut self, node: NodeId, group: &str, queue: &MessageQueue, queue_offset: i64) -> bool {
        let fitting = self.in_hand.iter().find(|((owner, token), given)| {
            *owner == node
                && token.queue_offset == queue_offset
                && *given.group == *group
                && given.queue.topic == queue.topic
                && given.queue.broker == queue.broker_name
                && given.queue.queue_id == queue.queue_id
                && !given.started
                && !given.revoked
                && self.may_begin(node, *token)
        });
        let Some(key) = fitting.map(|(key, _)| *key) else { return false };
        if let Some(given) = self.in_hand.get_mut(&key) {
            given.started = true;
        }
        self.reach(node, key.1);
        true
    }
}

fn in_hand(group: &Arc<str>, delivery: &Delivery) -> InHand {
    let queue = QueueName {
        broker: delivery.queue().broker_name.clone(),
        topic: delivery.queue().topic.clone(),
        queue_id: delivery.queue().queue_id,
    };
    InHand {
        group: group.clone(),
        queue: Arc::new(queue),
        message: delivery.message.decode().ok().as_ref().and_then(MessageNumber::of),
        revoked: false,
        started: false,
    }
}

impl Monitor {
    /// A handler begins.
    pub(crate) fn handler_started(
        &mut self,
        now: Instant,
        node: NodeId,
        group: &str,
        queue: &MessageQueue,
        queue_offset: i64,
        tag: &str,
    ) {
        let given = self.given.start(node, group, queue, queue_offset);
        self.verdicts.check(Property::NothingIsGivenAfterARevoke, now, given, || {
            format!(
                "node {}: a handler of {group} began {queue} offset {queue_offset}, which was taken back",
                node.0
            )
        });
        let wanted = self.consumed.wants(group, tag);
        self.verdicts.check(Property::OnlyTagsAskedFor, now, wanted, || {
            format!("{group} got tag {tag:?} at {queue} offset {queue_offset}, which it did not ask for")
        });
        self.consumed.began(group, queue, queue_offset);
    }
}
