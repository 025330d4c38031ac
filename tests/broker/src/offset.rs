//! Committed consumer offsets. Java: `ConsumerOffsetManager`.
//!
//! The broker takes what it is told: backwards, beyond the end, for queues that don't exist.
//! Monotony is the client's job.

use std::collections::BTreeMap;
use std::sync::Arc;

type Queues = BTreeMap<i32, i64>;

/// Offsets by group, topic and queue, and the resets that wait for the next pull.
#[derive(Clone, Debug, Default)]
pub(crate) struct OffsetTable {
    committed: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Queues>>,
    resets: BTreeMap<(Arc<str>, Arc<str>, i32), i64>,
    /// Where the last pull of a group ended. Java: `pullOffsetTable`, which lives in memory only.
    pulled: BTreeMap<Arc<str>, BTreeMap<Arc<str>, Queues>>,
    /// Incremented by every change; tells whether there is something to persist.
    pub(crate) version: u64,
}

impl OffsetTable {
    /// Overwrites without any check. Java: `ConsumerOffsetManager#commitOffset`.
    pub(crate) fn commit(&mut self, group: &str, topic: &str, queue_id: i32, offset: i64) {
        self.version += 1;
        if let Some(slot) = self
            .committed
            .get_mut(group)
            .and_then(|topics| topics.get_mut(topic))
            .and_then(|queues| queues.get_mut(&queue_id))
        {
            *slot = offset;
            return;
        }
        let topics = self.committed.entry(group.into()).or_default();
        topics.entry(topic.into()).or_default().insert(queue_id, offset);
    }

    /// A pull of this group ended here. Java: `ConsumerOffsetManager#commitPullOffset`.
    pub(crate) fn pulled(&mut self, group: &Arc<str>, topic: &Arc<str>, queue_id: i32, next: i64) {
        let topics = match self.pulled.get_mut(group) {
            Some(topics) => topics,
            None => self.pulled.entry(group.clone()).or_default(),
        };
        match topics.get_mut(topic) {
            Some(queues) => queues.insert(queue_id, next),
            None => topics.entry(topic.clone()).or_default().insert(queue_id, next),
        };
    }

    /// Where the last pull of this group ended, if one did.
    pub(crate) fn pull_offset(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        self.pulled.get(group)?.get(topic)?.get(&queue_id).copied()
    }

    /// Takes over every commit of a master, whatever was committed here.
    pub(crate) fn take_over(&mut self, master: &Self) {
        for (group, topic, queue_id, offset) in master.iter() {
            self.commit(group, topic, queue_id, offset);
        }
    }

    /// The last commit, if any.
    pub(crate) fn committed(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        self.committed.get(group)?.get(topic)?.get(&queue_id).copied()
    }

    /// The topics that a group has offsets on.
    pub(crate) fn topics_of(&self, group: &str) -> impl Iterator<Item = &Arc<str>> {
        self.committed.get(group).into_iter().flat_map(BTreeMap::keys)
    }

    /// The groups that have offsets on a topic.
    pub(crate) fn groups_of<'a>(&'a self, topic: &'a str) -> impl Iterator<Item = &'a Arc<str>> {
        self.committed.iter().filter(move |(_, topics)| topics.contains_key(topic)).map(|(group, _)| group)
    }

    /// Every group, topic, queue and offset, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Arc<str>, i32, i64)> {
        self.committed.iter().flat_map(|(group, topics)| {
            topics.iter().flat_map(move |(topic, queues)| {
                queues.iter().map(move |(queue_id, offset)| (group, topic, *queue_id, *offset))
            })
        })
    }

    /// Marks a queue as reset: until the next pull its commits are ignored.
    pub(crate) fn reset(&mut self, group: &str, topic: &str, queue_id: i32, offset: i64) {
        self.commit(group, topic, queue_id, offset);
        self.resets.insert((group.into(), topic.into(), queue_id), offset);
    }

    /// The offset of a reset that no pull has seen yet.
    pub(crate) fn pending_reset(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        if self.resets.is_empty() {
            return None;
        }
        self.resets.get(&(group.into(), topic.into(), queue_id)).copied()
    }

    /// Hands a reset to the pull that carries it out.
    pub(crate) fn take_reset(&mut self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        if self.resets.is_empty() {
            return None;
        }
        self.resets.remove(&(group.into(), topic.into(), queue_id))
    }

    /// Every offset that a group committed on a topic, by queue.
    pub(crate) fn queues_of(&self, group: &str, topic: &str) -> Option<&Queues> {
        self.committed.get(group)?.get(topic)
    }

    /// Gives a group the offsets of another on a topic; its own are gone. Java: `cloneOffset`.
    pub(crate) fn clone_topic(&mut self, from: &str, to: &str, topic: &str) {
        if let Some(queues) = self.queues_of(from, topic).cloned() {
            self.version += 1;
            self.committed.entry(to.into()).or_default().insert(topic.into(), queues);
        }
    }

    /// Forgets a deleted topic.
    pub(crate) fn remove_topic(&mut self, topic: &str) {
        self.version += 1;
        for topics in self.committed.values_mut().chain(self.pulled.values_mut()) {
            topics.remove(topic);
        }
        self.resets.retain(|(_, reset_topic, _), _| &**reset_topic != topic);
    }

    /// Forgets a deleted group.
    pub(crate) fn remove_group(&mut self, group: &str) {
        self.version += 1;
        self.committed.remove(group);
        self.resets.retain(|(reset_group, _, _), _| &**reset_group != group);
    }

    /// Forgets where the pulls of a deleted group ended.
    pub(crate) fn forget_pulls(&mut self, group: &str) {
        self.pulled.remove(group);
    }

    /// What a restart reads back: commits, without reset marks and ends of pulls, which live in memory only.
    pub(crate) fn persisted(&self) -> Self {
        Self { committed: self.committed.clone(), version: self.version, ..Self::default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_commit_is_taken_as_it_is() {
        let mut table = OffsetTable::default();
        for offset in [10, 3, -7, i64::MAX] {
            table.commit("G", "T", 99, offset);
            assert_eq!(table.committed("G", "T", 99), Some(offset));
        }
        assert_eq!(table.committed("G", "T", 0), None);
    }

    #[test]
    fn a_reset_is_carried_out_once_and_dies_with_the_process() {
        let mut table = OffsetTable::default();
        table.reset("G", "T", 0, 5);
        assert_eq!(table.persisted().pending_reset("G", "T", 0), None);
        assert_eq!(table.take_reset("G", "T", 0), Some(5));
        assert_eq!(table.take_reset("G", "T", 0), None);
    }

    #[test]
    fn where_a_pull_ended_stays_when_offsets_are_set_back_and_dies_with_the_process() {
        let mut table = OffsetTable::default();
        table.pulled(&"G".into(), &"T".into(), 0, 9);
        table.reset("G", "T", 0, 0);
        assert_eq!(table.pull_offset("G", "T", 0), Some(9));
        assert_eq!(table.persisted().pull_offset("G", "T", 0), None);
        table.forget_pulls("G");
        assert_eq!(table.pull_offset("G", "T", 0), None);
    }

    #[test]
    fn deleting_a_topic_leaves_other_topics_of_the_group() {
        let mut table = OffsetTable::default();
        table.commit("G", "A", 0, 1);
        table.commit("G", "B", 0, 2);
        table.remove_topic("A");
        assert_eq!(table.iter().collect::<Vec<_>>().len(), 1);
        assert_eq!(table.groups_of("B").count(), 1);
    }
}
