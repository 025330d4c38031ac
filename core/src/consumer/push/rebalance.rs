//! Rounds of rebalance: who belongs to the group, which queues are whose, and what changes.
//! Java: `RebalanceImpl`, `RebalanceService`.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::PushConsumer;
use super::pull::cause_of;
use super::queue::Fetch;
use crate::channel::Reply;
use crate::consumer::rebalance::{allocate, excludes, sort_members};
use crate::consumer::{ConsumerRequest, ConsumerTimer};
use crate::id::ProcessQueueId;
use crate::message::{MessageQueue, java_string_hash};
use crate::remoting::{
    GetConsumerListByGroupRequestHeader, GetConsumerListByGroupResponseBody, ResponseCode,
};
use crate::route::MASTER_ID;
use crate::shared::Shared;
use crate::time::{Instant, doubled};
use crate::timer::TimerId;

/// Rounds don't begin more often than this, however many events ask for one.
const ROUND_INTERVAL_MIN: Duration = Duration::from_millis(100);
/// When the next round begins after one that did not come to a result for every topic; twice as long each
/// time.
const UNBALANCED_DELAY: Duration = Duration::from_secs(1);
/// The longest such pause.
const UNBALANCED_DELAY_MAX: Duration = Duration::from_secs(5);

/// What is known of rounds.
#[derive(Clone, Debug, Default)]
pub(super) struct Rounds {
    timer: Option<TimerId>,
    number: u64,
    begun: Option<Instant>,
    /// Topics whose members this round still waits for.
    waiting: BTreeSet<Arc<str>>,
    balanced: bool,
    /// Rounds in a row without a result for every topic.
    failures: u32,
    /// Why, and since when; people were told.
    trouble: Option<(Arc<str>, Instant)>,
    /// Topics that the strategy can give this member nothing of; people were told.
    excluded: BTreeSet<Arc<str>>,
    /// Something changed during the round.
    again: bool,
}

impl PushConsumer {
    /// A round is due at once, but not more often than [`ROUND_INTERVAL_MIN`], and not before a broker
    /// knows of this member, which then asks for one.
    pub(super) fn rebalance_soon(&mut self, shared: &mut Shared, now: Instant) {
        if self.registered.is_empty() {
            return;
        }
        if !self.rounds.waiting.is_empty() {
            self.rounds.again = true;
            return;
        }
        let earliest = self.rounds.begun.map_or(now, |begun| (begun + ROUND_INTERVAL_MIN).max(now));
        self.arm_round(shared, earliest);
    }

    fn arm_round(&mut self, shared: &mut Shared, at: Instant) {
        if self.is_closing() {
            return;
        }
        match self.rounds.timer {
            Some(timer) if timer.deadline() <= at => return,
            Some(timer) => shared.cancel(timer),
            None => {}
        }
        self.rounds.timer = Some(shared.arm(at, self.timer(ConsumerTimer::Rebalance)));
    }

    /// Asks for the members, topic by topic.
    pub(super) fn begin_round(&mut self, shared: &mut Shared, now: Instant) {
        self.rounds.timer = None;
        self.rounds.number += 1;
        self.rounds.begun = Some(now);
        self.rounds.balanced = true;
        self.rounds.again = false;
        self.rounds.waiting.clear();
        let topics: Vec<Arc<str>> = self.subscriptions.keys().cloned().collect();
        for topic in topics {
            // Without a route there is nothing to divide; the search for it begins the next round.
            if self.lacks_route(shared, &topic) {
                continue;
            }
            match self.broker_to_ask(shared, &topic) {
                Some(address) => self.ask_members(shared, now, &topic, &address),
                None => {
                    shared.heartbeat_soon(now);
                    self.rounds.balanced = false;
                }
            }
        }
        if self.rounds.waiting.is_empty() {
            self.end_round(shared, now);
        }
    }

    /// A broker of the topic that knows of this member: one that doesn't would tell of a group without
    /// it. All members begin at the same place, so that they see the same list.
    /// Java: any broker of the topic, drawn by each member.
    fn broker_to_ask(&self, shared: &Shared, topic: &str) -> Option<Arc<str>> {
        let brokers = &shared.routes.get(topic)?.data.broker_datas;
        let first = u64::from(java_string_hash(&self.config.group).unsigned_abs());
        let first = usize::try_from(first).unwrap_or_default().checked_rem(brokers.len())?;
        brokers
            .iter()
            .cycle()
            .skip(first)
            .take(brokers.len())
            .filter_map(|broker| shared.routes.address(&broker.broker_name, MASTER_ID))
            .map(|(address, _)| address)
            .find(|address| self.registered.contains_key(*address))
            .cloned()
    }

    fn ask_members(&mut self, shared: &mut Shared, now: Instant, topic: &Arc<str>, address: &Arc<str>) {
        let header = GetConsumerListByGroupRequestHeader {
            consumer_group: (&*self.config.group).into(),
            ..GetConsumerListByGroupRequestHeader::default()
        };
        self.rounds.waiting.insert(topic.clone());
        let request = ConsumerRequest::Members { topic: topic.clone(), round: self.rounds.number };
        let deadline = now + shared.config.request_timeout;
        shared.request(now, address, &header, Bytes::new(), deadline, self.purpose(request));
    }

    /// A broker has told the members, or has not.
    pub(super) fn handle_members(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        topic: &Arc<str>,
        round: u64,
        reply: Reply,
    ) {
        if round != self.rounds.number || self.is_closing() || !self.rounds.waiting.remove(topic) {
            return;
        }
        match members(reply) {
            Ok(members) => self.divide(shared, now, topic, members),
            Err(cause) => {
                self.note_trouble(shared, now, topic, &format!("the members are unknown: {cause}"));
                shared.heartbeat_soon(now);
            }
        }
        if self.rounds.waiting.is_empty() {
            self.end_round(shared, now);
        }
    }

    /// The round came to no result for a topic; told when it begins, not each time.
    fn note_trouble(&mut self, shared: &mut Shared, now: Instant, topic: &Arc<str>, cause: &str) {
        self.rounds.balanced = false;
        let since = self.rounds.trouble.as_ref().map(|(_, since)| *since);
        if since.is_none() && shared.lines.may(now) {
            tracing::warn!(group = %self.config.group, %topic, cause, "queues can't be divided; keeping them");
        } else {
            tracing::debug!(group = %self.config.group, %topic, cause, "queues can't be divided");
        }
        self.rounds.trouble = Some((format!("{topic}: {cause}").into(), since.unwrap_or(now)));
    }

    /// Why queues can't be divided now.
    pub(super) fn unbalanced(&self) -> Option<Arc<str>> {
        self.rounds.trouble.as_ref().map(|(cause, _)| cause.clone())
    }

    /// A strategy that can never give this member a queue of the topic is told of once, and when that ends.
    fn note_excluded(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        topic: &Arc<str>,
        queues: &[Arc<MessageQueue>],
    ) {
        let (group, strategy) = (&self.config.group, &self.config.allocate_strategy);
        if !excludes(strategy, queues) {
            if self.rounds.excluded.remove(topic) {
                tracing::info!(%group, %topic, "the allocate strategy gives queues of the topic again");
            }
        } else if self.rounds.excluded.insert(topic.clone()) && shared.lines.may(now) {
            tracing::warn!(
                %group,
                %topic,
                queues = queues.len(),
                "the allocate strategy can give this member no queue of the topic: check its machine rooms \
                 against the brokers' names, or its configured queues"
            );
        }
    }

    /// Whether the strategy can give this member no queue of the topic.
    pub(super) fn is_excluded(&self, topic: &str) -> bool {
        self.rounds.excluded.contains(topic)
    }

    fn end_round(&mut self, shared: &mut Shared, now: Instant) {
        if !self.rounds.balanced {
            self.rounds.failures = self.rounds.failures.saturating_add(1);
        } else {
            self.rounds.failures = 0;
            if let Some((_, since)) = self.rounds.trouble.take() {
                let after_ms = now.saturating_since(since).as_millis();
                tracing::info!(group = %self.config.group, after_ms, "queues are divided again");
            }
        }
        let unbalanced =
            doubled(UNBALANCED_DELAY, self.rounds.failures.saturating_sub(1), UNBALANCED_DELAY_MAX);
        let at = if self.rounds.again {
            self.rounds.begun.map_or(now, |begun| (begun + ROUND_INTERVAL_MIN).max(now))
        } else if self.rounds.balanced {
            now + self.config.rebalance_interval
        } else {
            now + unbalanced
        };
        self.arm_round(shared, at);
    }

    fn divide(&mut self, shared: &mut Shared, now: Instant, topic: &Arc<str>, mut members: Vec<Arc<str>>) {
        sort_members(&mut members);
        if !members.contains(&shared.client_id) {
            tracing::debug!(group = %self.config.group, %topic, "not a member: the broker has not heard of us");
            shared.heartbeat_soon(now);
            self.rounds.balanced = false;
        }
        let Some(route) = shared.routes.get(topic) else { return };
        let queues = route.subscribe_queues().clone();
        self.note_excluded(shared, now, topic, &queues);
        match allocate(&self.config.allocate_strategy, &shared.client_id, &queues, &members) {
            Ok(target) => {
                self.update_table(shared, now, topic, target);
                if self.rounds.balanced {
                    self.note_divided(shared, topic);
                }
            }
            Err(error) => self.note_trouble(shared, now, topic, &error.to_string()),
        }
    }

    /// Gives up what is no longer ours and takes what is. Java: `updateProcessQueueTableInRebalance`.
    fn update_table(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        topic: &Arc<str>,
        mut target: Vec<Arc<MessageQueue>>,
    ) {
        // A strategy may name queues of other topics: those have rounds of their own.
        target.retain(|queue| queue.topic == *topic);
        target.sort();
        target.dedup();
        let mine = self.by_queue.iter().filter(|(queue, _)| queue.topic == *topic);
        let (gone, new) = differences(mine, target);
        let fewer = !gone.is_empty();
        for id in gone {
            self.release(shared, now, id);
        }
        for queue in new {
            self.acquire(shared, now, &queue);
        }
        if fewer {
            // Those that are left share what the others had.
            self.proceed_where(shared, now, |fetch| matches!(fetch, Fetch::Full(_)));
        }
    }

    pub(super) fn stop_rounds(&mut self, shared: &mut Shared) {
        self.rounds.waiting.clear();
        if let Some(timer) = self.rounds.timer.take() {
            shared.cancel(timer);
        }
    }
}

/// What is owned and no longer ours, and what is ours and not owned yet, in one walk over both, which are sorted.
fn differences<'a>(
    owned: impl Iterator<Item = (&'a Arc<MessageQueue>, &'a ProcessQueueId)>,
    target: Vec<Arc<MessageQueue>>,
) -> (Vec<ProcessQueueId>, Vec<Arc<MessageQueue>>) {
    let (mut gone, mut new) = (Vec::new(), Vec::new());
    let mut owned = owned.peekable();
    for queue in target {
        while let Some((_, id)) = owned.next_if(|(own, _)| **own < queue) {
            gone.push(*id);
        }
        if owned.next_if(|(own, _)| **own == queue).is_none() {
            new.push(queue);
        }
    }
    gone.extend(owned.map(|(_, id)| *id));
    (gone, new)
}

fn members(reply: Reply) -> Result<Vec<Arc<str>>, crate::error::Cause> {
    match reply {
        Ok(command) if command.code == ResponseCode::SUCCESS.0 => {
            let list = GetConsumerListByGroupResponseBody::decode(&command.body);
            list.map(|list| list.consumer_id_list).map_err(super::pull::bad_answer)
        }
        other => Err(cause_of(other)),
    }
}

#[cfg(test)]
mod tests {
    use alloc::collections::{BTreeMap, BTreeSet};

    use proptest::prelude::*;

    use super::*;
    use crate::id::GenerationalId;

    fn queue(number: i32) -> Arc<MessageQueue> {
        Arc::new(MessageQueue {
            topic: "T".into(),
            broker_name: ["a", "b"][(number % 2) as usize].into(),
            queue_id: number / 2,
        })
    }

    proptest! {
        #[test]
        fn a_queue_is_given_up_or_taken_where_owned_and_target_differ(
            owned in prop::collection::btree_set(0..40, 0..30),
            target in prop::collection::btree_set(0..40, 0..30),
        ) {
            let id = |number| ProcessQueueId::from_parts(number as u32, 0);
            let table: BTreeMap<_, _> = owned.iter().map(|number| (queue(*number), id(*number))).collect();
            let sorted: BTreeSet<_> = target.iter().map(|number| queue(*number)).collect();
            let (gone, new) = differences(table.iter(), sorted.into_iter().collect());
            let expected: BTreeSet<_> = owned.difference(&target).map(|number| id(*number)).collect();
            prop_assert_eq!(gone.len(), expected.len());
            prop_assert_eq!(gone.into_iter().collect::<BTreeSet<_>>(), expected);
            let expected: BTreeSet<_> = target.difference(&owned).map(|number| queue(*number)).collect();
            prop_assert_eq!(new.len(), expected.len());
            prop_assert_eq!(new.into_iter().collect::<BTreeSet<_>>(), expected);
        }
    }
}
