//! What groups may skip after a queue lost its end or was made anew, which nobody can tell them of: a queue that has
//! grown past a consumer's position before that was asked for again looks like the one of before.
//!
//! ```text
//!   records   kept          lost           the new life's
//!   |---------------------|··········|
//!                       since      the consumer stood here
//!   asked there, and answered: above the end? It is told, and goes back to what it knows by time: nothing may be
//!                              skipped. So it is when it is told that the queue is empty.
//!                              at or below it? Nobody knows: what is new below the place may be skipped.
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

use rocketmq_client_core::client::Output;
use rocketmq_client_core::remoting::{
    PullMessageRequestHeader, PullMessageResponseHeader, QueryConsumerOffsetRequestHeader, RemotingCommand,
    RequestCode, ResponseCode,
};
use rocketmq_client_core::time::Instant;
use rocketmq_dev_broker::Broker;

use super::wire::Answered;
use crate::executor::NodeId;
use crate::history::QueueName;

/// A group's queue.
type Key = (Arc<str>, QueueName);

/// Since when a queue is the one that it is.
#[derive(Clone, Copy, Debug)]
struct Life {
    began: Instant,
    /// The first offset that is new to whoever has not asked since the queue's first life: it may have been cut
    /// below, have grown, and been cut above.
    new_to_all: i64,
}

/// The lives of queues that have had more than one, and how far groups are in them.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    brokers: BTreeMap<Arc<str>, Arc<str>>,
    lives: BTreeMap<QueueName, Life>,
    /// How far each member has fetched of the life that is, without a gap.
    fetched: BTreeMap<(NodeId, Key), i64>,
    skipped: BTreeMap<Key, Vec<Range<i64>>>,
    /// Members whose stays have brought messages.
    stays: BTreeSet<(NodeId, Key)>,
    /// Of these, who was told that they stand above the end of the life that is.
    told: BTreeSet<(NodeId, Key)>,
    /// When a stay of each client's ended last: answers to what it had asked before may tell nobody anything.
    stay_ended: BTreeMap<NodeId, Instant>,
    /// Members that were told of messages in the life that is.
    know: BTreeMap<(NodeId, Key), Instant>,
}

impl Lives {
    pub(super) fn broker_started(&mut self, broker: &Broker) {
        let config = broker.config();
        self.brokers.insert(config.addr.to_string().into(), config.broker_name.clone());
    }

    /// Whether this broker has ever been at this address.
    pub(super) fn is_address_of(&self, address: &Arc<str>, broker: &Arc<str>) -> bool {
        self.brokers.get(address) == Some(broker)
    }

    /// A queue has another life, whose first offset is `since`.
    pub(super) fn begin(&mut self, now: Instant, queue: &QueueName, since: i64) {
        let before = self.lives.get(queue).map_or(since, |life| life.new_to_all);
        self.lives.insert(queue.clone(), Life { began: now, new_to_all: before.min(since) });
        for (_, fetched) in self.fetched.iter_mut().filter(|((_, (_, of)), _)| of == queue) {
            *fetched = since.min(*fetched);
        }
        self.told.retain(|(_, (_, of))| of != queue);
        self.know.retain(|(_, (_, of)), _| of != queue);
        // What was skipped is gone, but for what was kept.
        for (_, skipped) in self.skipped.iter_mut().filter(|((_, of), _)| of == queue) {
            skipped.iter_mut().for_each(|range| range.end = range.end.min(since));
        }
    }

    /// A member asks a broker.
    pub(super) fn frame(&mut self, broker: &Broker, node: NodeId, command: &RemotingCommand) {
        match command.request_code() {
            RequestCode::PULL_MESSAGE if !self.lives.is_empty() => self.pull(broker, node, command),
            RequestCode::QUERY_CONSUMER_OFFSET => {
                let Ok(header) = command.header::<QueryConsumerOffsetRequestHeader<'_>>() else { return };
                let queue = queue_of(broker, &header.topic, header.queue_id);
                let key = (node, ((&*header.consumer_group).into(), queue));
                // Another stay begins.
                self.stays.remove(&key);
                self.told.remove(&key);
            }
            _ => {}
        }
    }

    fn pull(&mut self, broker: &Broker, node: NodeId, command: &RemotingCommand) {
        let Ok(header) = command.header::<PullMessageRequestHeader<'_>>() else { return };
        let queue = queue_of(broker, &header.topic, header.queue_id);
        let end = broker.queue_range(&header.topic, header.queue_id).end;
        self.stands(node, ((&*header.consumer_group).into(), queue), header.queue_offset, end);
    }

    /// A member asks for what follows a place, of a queue that ends there.
    fn stands(&mut self, node: NodeId, key: Key, at: i64, end: i64) {
        let Some(life) = self.lives.get(&key.1) else { return };
        let member = (node, key);
        let fetched = self.fetched.get(&member).copied().unwrap_or(life.new_to_all);
        if at > fetched && at <= end && !self.told.contains(&member) {
            // Either it is a place of the former life, or others have committed it, which was looked at then.
            self.skipped.entry(member.1.clone()).or_default().push(fetched..at);
            self.fetched.insert(member, at);
        }
    }

    pub(super) fn answered(&mut self, now: Instant, answered: &Answered<'_>) {
        let Answered { request, answer } = answered;
        if self.lives.is_empty() || request.command.request_code() != RequestCode::PULL_MESSAGE {
            return;
        }
        let Ok(asked) = request.command.header::<PullMessageRequestHeader<'_>>() else { return };
        let Some(broker) = self.brokers.get(&request.peer) else { return };
        let queue =
            QueueName { broker: broker.clone(), topic: (&*asked.topic).into(), queue_id: asked.queue_id };
        let stay_ended = self.stay_ended.get(&request.node).is_some_and(|ended| *ended >= request.at);
        if stay_ended || self.lives.get(&queue).is_none_or(|life| life.began > request.at) {
            return;
        }
        let key: Key = ((&*asked.consumer_group).into(), queue);
        let code = ResponseCode(answer.code);
        let went_on =
            [ResponseCode::SUCCESS, ResponseCode::PULL_NOT_FOUND, ResponseCode::PULL_RETRY_IMMEDIATELY];
        let Ok(header) = answer.header::<PullMessageResponseHeader>() else { return };
        if code == ResponseCode::PULL_OFFSET_MOVED {
            let place = (asked.queue_offset, header.next_begin_offset, header.max_offset);
            self.is_told((request.node, key.clone()), place);
        }
        let Some(life) = self.lives.get(&key.1) else { return };
        // A broker that has not built its queues yet says that one is empty, too: that is no news. Nor are numbers
        // that can't be.
        if header.max_offset > 0 && (0..=header.max_offset).contains(&header.next_begin_offset) {
            self.know.entry((request.node, key.clone())).or_insert(now);
        }
        let fetched = self.fetched.entry((request.node, key)).or_insert(life.new_to_all);
        let next = header.next_begin_offset.min(header.max_offset);
        if went_on.contains(&code) && asked.queue_offset <= *fetched && next > *fetched {
            *fetched = next;
        }
    }

    /// A member hears that the offset has moved. If its place is above the end it can go by the time of what it
    /// has had, at once, or when the queue is not empty any more; with nothing to go by it goes to the end that it
    /// was told. Numbers that can't be tell nothing.
    fn is_told(&mut self, member: (NodeId, Key), (at, next, max): (i64, i64, i64)) {
        if at <= max || !(0..=max).contains(&next) {
            return;
        }
        if self.stays.contains(&member) {
            self.told.insert(member);
        } else if max > 0 {
            self.stands(member.0, member.1, max, max);
        }
    }

    pub(super) fn output(&mut self, now: Instant, node: NodeId, group: Option<&Arc<str>>, output: &Output) {
        if matches!(output, Output::Revoke { .. } | Output::ConsumerClosing { .. }) {
            self.stay_ended.insert(node, now);
        }
        if let Output::Deliver { deliveries, .. } = output
            && let (Some(group), Some(first)) = (group, deliveries.first())
        {
            let of = first.queue();
            let (broker, topic) = (of.broker_name.clone(), of.topic.clone());
            let queue = QueueName { broker, topic, queue_id: of.queue_id };
            self.stays.insert((node, (group.clone(), queue)));
        }
    }

    /// When a stay of this client ended last.
    pub(super) fn stay_ended(&self, node: NodeId) -> Instant {
        self.stay_ended.get(&node).copied().unwrap_or(Instant::ZERO)
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        self.fetched.retain(|(owner, _), _| *owner != node);
        self.stays.retain(|(owner, _)| *owner != node);
        self.told.retain(|(owner, _)| *owner != node);
        self.know.retain(|(owner, _), _| *owner != node);
        self.stay_ended.remove(&node);
    }

    /// Whether nobody could tell the group of what is there.
    pub(super) fn may_skip(&self, group: &str, queue: &QueueName, offset: i64) -> bool {
        if self.skipped.is_empty() {
            return false;
        }
        let skipped = self.skipped.get(&(group.into(), queue.clone()));
        skipped.is_some_and(|ranges| ranges.iter().any(|range| range.contains(&offset)))
    }

    /// Whether what this member wrote at `sent` is about the queue that is, and not about the one that was.
    pub(super) fn knows(&self, node: NodeId, group: &str, queue: &QueueName, sent: Option<Instant>) -> bool {
        let known = || self.know.get(&(node, (group.into(), queue.clone())));
        !self.lives.contains_key(queue) || known().zip(sent).is_some_and(|(known, sent)| *known < sent)
    }

    /// Up to where a member knows the queue as it is, that does not [know](Self::knows) its life: what it has
    /// fetched of it, and was not cut since.
    pub(super) fn known_to(&self, node: NodeId, group: &str, queue: &QueueName) -> i64 {
        let fetched = self.fetched.get(&(node, (group.into(), queue.clone()))).copied();
        let new_to_all = || self.lives.get(queue).map(|life| life.new_to_all);
        fetched.or_else(new_to_all).unwrap_or(0)
    }

    /// Whether the queue has had more than one life.
    pub(super) fn has_had_another(&self, queue: &QueueName) -> bool {
        self.lives.contains_key(queue)
    }
}

fn queue_of(broker: &Broker, topic: &str, queue_id: i32) -> QueueName {
    QueueName { broker: broker.config().broker_name.clone(), topic: topic.into(), queue_id }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODE: NodeId = NodeId(3);

    fn key() -> Key {
        ("g".into(), QueueName { broker: "b".into(), topic: "t".into(), queue_id: 0 })
    }

    /// A queue lost all from 5 on; a member has had messages, if it has.
    fn lost_tail(has_had: bool) -> Lives {
        let mut lives = Lives::default();
        if has_had {
            lives.stays.insert((NODE, key()));
        }
        lives.begin(Instant::ZERO, &key().1, 5);
        lives
    }

    fn skips(lives: &Lives) -> Vec<i64> {
        (0..12).filter(|offset| lives.may_skip("g", &key().1, *offset)).collect()
    }

    #[test]
    fn who_comes_too_late_to_be_told_may_skip_what_is_new() {
        let mut lives = lost_tail(true);
        lives.stands(NODE, key(), 8, 10);
        assert_eq!(skips(&lives), [5, 6, 7]);
    }

    #[test]
    fn who_was_told_skips_nothing_unless_it_had_nothing_to_go_by() {
        let mut lives = lost_tail(true);
        lives.stands(NODE, key(), 8, 6);
        lives.is_told((NODE, key()), (8, 6, 6));
        lives.stands(NODE, key(), 8, 10);
        assert_eq!(skips(&lives), [0; 0]);
        let mut lives = lost_tail(false);
        lives.is_told((NODE, key()), (8, 6, 6));
        lives.stands(NODE, key(), 6, 6);
        assert_eq!(skips(&lives), [5]);
    }

    #[test]
    fn who_asked_and_has_no_answer_was_not_told() {
        let mut lives = lost_tail(true);
        lives.stands(NODE, key(), 8, 6);
        lives.stands(NODE, key(), 8, 10);
        assert_eq!(skips(&lives), [5, 6, 7]);
        let mut lives = lost_tail(true);
        lives.is_told((NODE, key()), (8, 1_000, 6));
        lives.stands(NODE, key(), 8, 10);
        assert_eq!(skips(&lives), [5, 6, 7], "these numbers can't be");
    }

    #[test]
    fn who_has_not_asked_for_two_lives_may_skip_what_is_new_of_both() {
        let mut lives = lost_tail(true);
        lives.begin(Instant::ZERO, &key().1, 7);
        lives.stands(NODE, key(), 8, 10);
        assert_eq!(skips(&lives), [5, 6, 7]);
        // Who has asked in between knows the first of them.
        let mut lives = lost_tail(true);
        lives.fetched.insert((NODE, key()), 9);
        lives.begin(Instant::ZERO, &key().1, 7);
        lives.stands(NODE, key(), 8, 10);
        assert_eq!(skips(&lives), [7]);
    }

    #[test]
    fn who_was_told_that_a_queue_is_empty_skips_nothing_and_does_not_know_its_end() {
        let mut lives = lost_tail(true);
        lives.begin(Instant::ZERO, &key().1, 0);
        lives.stands(NODE, key(), 8, 0);
        lives.is_told((NODE, key()), (8, 0, 0));
        lives.stands(NODE, key(), 8, 9);
        assert_eq!(skips(&lives), [0; 0]);
        assert!(!lives.knows(NODE, "g", &key().1, Some(Instant::from_millis(1))));
    }
}
