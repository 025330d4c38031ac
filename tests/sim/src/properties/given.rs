//! P22 and P26: what handlers are given.

use std::collections::BTreeMap;
use std::sync::Arc;

use rocketmq_client_core::client::{Command, Input, Output};
use rocketmq_client_core::consumer::{Ack, ConsumeToken, Delivery};
use rocketmq_client_core::id::ConsumerId;
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
}

impl Given {
    pub(super) fn input(&mut self, now: Instant, node: NodeId, input: &Input, consumed: &mut Consumed) {
        match input {
            Input::Command(Command::StartConsumer { consumer, config, .. }) => {
                self.groups.insert((node, *consumer), config.group.clone());
            }
            Input::Settled { answers } => {
                for (token, ack) in answers {
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
                for ((owner, token), given) in &mut self.in_hand {
                    if *owner == node && token.queue == *queue && token.consumer == *consumer {
                        given.revoked = true;
                    }
                }
            }
            _ => {}
        }
    }

    /// The group that a delivery is for.
    pub(super) fn group_of(&self, node: NodeId, output: &Output) -> Option<&Arc<str>> {
        let Output::Deliver { consumer, .. } = output else { return None };
        self.groups.get(&(node, *consumer))
    }

    /// A handler begins. Whether the core has given it that message and not taken it back.
    fn start(&mut self, node: NodeId, group: &str, queue: &MessageQueue, queue_offset: i64) -> bool {
        let fitting = self.in_hand.iter_mut().find(|((owner, token), given)| {
            *owner == node
                && token.queue_offset == queue_offset
                && *given.group == *group
                && given.queue.topic == queue.topic
                && given.queue.broker == queue.broker_name
                && given.queue.queue_id == queue.queue_id
                && !given.started
                && !given.revoked
        });
        match fitting {
            Some((_, given)) => {
                given.started = true;
                true
            }
            None => false,
        }
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
        self.verdicts.check(Property::P22, now, given, || {
            format!(
                "node {}: a handler of {group} began {queue} offset {queue_offset}, which was taken back",
                node.0
            )
        });
        let wanted = self.consumed.wants(group, tag);
        self.verdicts.check(Property::P26, now, wanted, || {
            format!("{group} got tag {tag:?} at {queue} offset {queue_offset}, which it did not ask for")
        });
        self.consumed.began(group, queue, queue_offset);
    }
}
