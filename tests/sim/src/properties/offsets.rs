//! P19, P20 and P49: committed offsets.

use std::collections::BTreeMap;
use std::sync::Arc;

use rocketmq_client_core::time::Instant;
use rocketmq_dev_broker::Broker;

use super::commits::Commits;
use super::lives::Lives;
use super::{Consumed, Property, Verdicts};
use crate::executor::NodeId;
use crate::history::{History, QueueName};
use crate::network::ConnId;

/// A group's queue.
type Key = (Box<str>, QueueName);

#[derive(Clone, Copy, Debug)]
struct Committed {
    offset: i64,
    by: Option<(NodeId, ConnId)>,
}

/// What is known of messages.
pub(super) struct Books<'a> {
    pub(super) history: &'a History,
    pub(super) consumed: &'a Consumed,
    pub(super) lives: &'a Lives,
    pub(super) commits: &'a Commits,
}

/// What every broker was told last.
#[derive(Debug, Default)]
pub(super) struct Offsets {
    committed: BTreeMap<Key, Committed>,
}

impl Offsets {
    /// A broker has started: what it knows now is not a client's doing.
    pub(super) fn rebase(&mut self, broker: &Broker) {
        let name = &broker.config().broker_name;
        self.committed.retain(|(_, queue), _| queue.broker != *name);
        for (group, topic, queue_id, offset) in broker.committed_offsets() {
            self.committed.insert(key(name, group, topic, queue_id), Committed { offset, by: None });
        }
    }

    pub(super) fn look(
        &mut self,
        verdicts: &mut Verdicts,
        now: Instant,
        broker: &Broker,
        by: Option<(NodeId, ConnId)>,
        books: &Books<'_>,
    ) {
        let name = &broker.config().broker_name;
        for (group, topic, queue_id, offset) in broker.committed_offsets() {
            let key = key(name, group, topic, queue_id);
            let before = self.committed.get(&key).copied();
            if before.is_some_and(|before| before.offset == offset) {
                continue;
            }
            let from = before.map_or(0, |before| before.offset);
            // After a loss the broker's own correction takes consumers back.
            let corrected = books.lives.has_had_another(&key.1);
            if let Some(before) = before
                && before.by.is_some()
                && before.by == by
                && !corrected
            {
                // Another member may know less, and another connection may be slower.
                verdicts.check(Property::ClientNeverCommitsLess, now, offset >= from, || {
                    format!("{by:?} committed {offset} for {group} in {:?} after {from}", key.1)
                });
            }
            // Who has not been answered since the queue was made anew means the one that was.
            let knows = by.is_some_and(|(node, _)| {
                let is_broker = |peer: &Arc<str>| books.lives.is_address_of(peer, name);
                let sent = books.commits.sent(node, (group, topic, queue_id), offset, is_broker);
                books.lives.knows(node, group, &key.1, sent)
            });
            let end = broker.queue_range(topic, queue_id).end;
            verdicts.check(Property::CommittedNeverPassesTheEnd, now, offset <= end || !knows, || {
                format!("{by:?} committed {offset} for {group} in {:?}, which ends at {end}", key.1)
            });
            let known = || by.map_or(0, |(node, _)| books.lives.known_to(node, group, &key.1));
            let until = if knows { offset } else { offset.min(known()) };
            check_covered(verdicts, now, group, &key.1, from..until, books);
            self.committed.insert(key, Committed { offset, by });
        }
    }
}

fn key(broker: &Arc<str>, group: &str, topic: &str, queue_id: i32) -> Key {
    (group.into(), QueueName { broker: broker.clone(), topic: topic.into(), queue_id })
}

/// Nothing below the new offset is still to be done.
fn check_covered(
    verdicts: &mut Verdicts,
    now: Instant,
    group: &str,
    name: &QueueName,
    range: std::ops::Range<i64>,
    books: &Books<'_>,
) {
    let Books { history, consumed, lives, .. } = books;
    let Some((name, queue)) = history.queues.get_key_value(name) else { return };
    for offset in range.start..range.end.min(i64::try_from(queue.records.len()).unwrap_or(i64::MAX)) {
        let index = usize::try_from(offset).unwrap_or(usize::MAX);
        let Some(Some(record)) = queue.records.get(index) else { continue };
        if lives.may_skip(group, name, offset) {
            continue;
        }
        let settled = consumed.settled(history, group, &(name.clone(), offset), record);
        verdicts.check(Property::CommittedNeverPassesUnfinished, now, settled.is_ok(), || {
            let why = settled.err().unwrap_or_default();
            format!(
                "{group} has committed {} in {name:?}, past {:?} at {offset}, {why}",
                range.end, record.message
            )
        });
    }
}
