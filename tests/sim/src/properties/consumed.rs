//! P21 and P23: what groups have consumed in the end.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rocketmq_client_core::message::MessageQueue;
use rocketmq_client_core::time::Instant;

use super::lives::Lives;
use super::{Monitor, Property};
use crate::history::{History, MessageNumber, QueueName, Record, Stored};

/// A message's place.
pub(crate) type Place = (Arc<QueueName>, i64);

/// A group, and what its members have done.
#[derive(Debug, Default)]
struct Group {
    topics: BTreeSet<Arc<str>>,
    /// The tags that it asked for; all when empty.
    tags: BTreeSet<Box<str>>,
    done: BTreeMap<MessageNumber, u32>,
    done_at: BTreeSet<Place>,
    sent_back: BTreeMap<Place, Instant>,
    begun: BTreeMap<(Box<str>, Box<str>, i32, i64), u32>,
}

/// All groups.
#[derive(Debug, Default)]
pub(crate) struct Consumed {
    groups: BTreeMap<Arc<str>, Group>,
}

impl Consumed {
    /// A group exists and wants these tags of a topic; all when there is none.
    pub(crate) fn expect(&mut self, group: &str, topic: &str, tags: &[&str]) {
        let group = self.groups.entry(group.into()).or_default();
        group.topics.insert(topic.into());
        group.tags.extend(tags.iter().map(|tag| Box::from(*tag)));
    }

    pub(super) fn wants(&self, group: &str, tag: &str) -> bool {
        self.groups.get(group).is_some_and(|group| group.wants(tag))
    }

    pub(super) fn done(&mut self, group: &Arc<str>, place: Place, message: Option<MessageNumber>) {
        let group = self.groups.entry(group.clone()).or_default();
        group.done_at.insert(place);
        if let Some(message) = message {
            *group.done.entry(message).or_default() += 1;
        }
    }

    pub(super) fn sent_back(&mut self, group: &Arc<str>, place: Place, now: Instant) {
        self.groups.entry(group.clone()).or_default().sent_back.entry(place).or_insert(now);
    }

    pub(super) fn began(&mut self, group: &str, queue: &MessageQueue, queue_offset: i64) {
        let place = ((*queue.broker_name).into(), (*queue.topic).into(), queue.queue_id, queue_offset);
        if let Some(group) = self.groups.get_mut(group) {
            *group.begun.entry(place).or_default() += 1;
        }
    }

    /// Why a committed offset may be past this record; the reason why not otherwise.
    pub(super) fn settled(
        &self,
        history: &History,
        group_name: &str,
        place: &Place,
        record: &Record,
    ) -> Result<(), &'static str> {
        let Some(group) = self.groups.get(group_name) else { return Ok(()) };
        if !group.wants(&record.tag) || group.done_at.contains(place) {
            return Ok(());
        }
        let stored = history.stored(record.message);
        // A crash took a copy of it: how far it had come can't be told any more.
        if stored.iter().any(|stored| stored.lost) {
            return Ok(());
        }
        // A handler that was dropped says nothing; its message is sent back all the same.
        let is_own = |stored: &&Stored| stored.queue == place.0 && stored.queue_offset == place.1;
        let own = stored.iter().find(is_own);
        let asked = group.sent_back.get(place).copied();
        let Some(since) = asked.or(own.map(|own| own.at)) else { return Err("which nobody has settled") };
        let is_retry = |stored: &&Stored| is_for_group(&stored.for_topic, group_name) && !is_own(stored);
        let kept = stored.iter().any(|stored| stored.at >= since && is_retry(&stored));
        match (kept, asked) {
            (true, _) => Ok(()),
            (false, Some(_)) => Err("which was to be retried, but no broker has the retry"),
            (false, None) => Err("which nobody has settled"),
        }
    }

    /// What stood at these places is gone.
    pub(super) fn forget_places(&mut self, queue: &QueueName, since: i64) {
        let is_gone = |place: &Place| *place.0 == *queue && place.1 >= since;
        for group in self.groups.values_mut() {
            group.done_at.retain(|place| !is_gone(place));
            group.sent_back.retain(|place, _| !is_gone(place));
        }
    }

    /// The first message that a group should have and has not.
    pub(crate) fn missing(&self, history: &History, lives: &Lives) -> Option<String> {
        self.groups.iter().find_map(|(name, group)| group.missing(history, lives, name))
    }
}

fn is_for_group(topic: &str, group: &str) -> bool {
    topic.strip_prefix("%RETRY%") == Some(group) || topic.strip_prefix("%DLQ%") == Some(group)
}

impl Group {
    fn wants(&self, tag: &str) -> bool {
        self.tags.is_empty() || self.tags.contains(tag)
    }

    fn missing(&self, history: &History, lives: &Lives, name: &str) -> Option<String> {
        let dead_letters = format!("%DLQ%{name}");
        let is_skipped_retry = |stored: &Stored| {
            is_for_group(&stored.for_topic, name) && lives.may_skip(name, &stored.queue, stored.queue_offset)
        };
        let is_settled = |message: MessageNumber| {
            self.done.contains_key(&message)
                || history.stored(message).iter().any(|stored| {
                    stored.lost || *stored.for_topic == *dead_letters || is_skipped_retry(stored)
                })
        };
        let mut queues = history.queues.iter().filter(|(queue, _)| self.topics.contains(&queue.topic));
        queues.find_map(|(queue, records)| {
            records.records.iter().zip(0i64..).find_map(|(record, offset)| {
                let record = record.as_ref()?;
                let lacks = self.wants(&record.tag)
                    && !is_settled(record.message)
                    && !lives.may_skip(name, queue, offset);
                lacks.then(|| {
                    format!("{name} has not consumed {:?} of {queue:?} offset {offset}", record.message)
                })
            })
        })
    }
}

impl Monitor {
    /// Everything was given time: nothing may be missing.
    pub(crate) fn check_consumed(&mut self, now: Instant) {
        let missing = self.missing();
        let durable = self.history.stored.len() as u64;
        *self.verdicts.evaluations.entry(Property::EverythingIsConsumed).or_default() +=
            durable.saturating_sub(1);
        self.verdicts
            .check(Property::EverythingIsConsumed, now, missing.is_none(), || missing.unwrap_or_default());
    }

    /// In a world without faults nothing came twice, also where members closed.
    pub(crate) fn check_once(&mut self, now: Instant) {
        for (name, group) in &self.consumed.groups {
            for (place, count) in &group.begun {
                self.verdicts.check(Property::ConsumedOnceWithoutFaults, now, *count == 1, || {
                    format!("{name} was given {place:?} {count} times in a world without faults")
                });
            }
            for (message, count) in &group.done {
                self.verdicts.check(Property::ConsumedOnceWithoutFaults, now, *count == 1, || {
                    format!("{name} has consumed {message:?} {count} times in a world without faults")
                });
            }
        }
    }
}
