//! Check points: which messages a pop took, until when nobody else gets them, and which of them were
//! acknowledged. Java: `PopCheckPoint`, `AckMsg`, and what `PopReviveService` makes of them.
//!
//! Java writes check points and acknowledgements into its log (the revive topic); here they carry the
//! end of the log at the time they were written, so that a crash takes them exactly when it takes
//! the records beside them.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Java: `PopAckConstants.ackTimeInterval` and a second.
const GRACE_MS: i64 = 2_000;

/// What an acknowledgement must name to find its check point.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct CheckPointKey {
    /// The topic the messages lie in, a retry topic perhaps.
    pub(crate) topic: Arc<str>,
    pub(crate) group: Arc<str>,
    pub(crate) queue_id: i32,
    pub(crate) start_offset: i64,
    /// In Unix milliseconds by the broker's clock.
    pub(crate) pop_time: i64,
    pub(crate) revive_queue_id: i32,
}

/// The messages of one pop from one queue.
#[derive(Clone, Debug)]
pub(crate) struct CheckPoint {
    /// Each message's queue offset and, once acknowledged, the record number of its acknowledgement.
    messages: BTreeMap<i64, Option<u64>>,
    revive_at_ms: i64,
    written_at: u64,
}

impl CheckPoint {
    fn is_settled(&self) -> bool {
        self.messages.values().all(Option::is_some)
    }

    /// Queue offsets of what was not acknowledged.
    fn open(&self) -> impl Iterator<Item = i64> {
        self.messages.iter().filter(|(_, acked)| acked.is_none()).map(|(offset, _)| *offset)
    }
}

/// All check points whose messages are hidden, or were until recently.
#[derive(Clone, Debug, Default)]
pub(crate) struct CheckPoints {
    known: BTreeMap<CheckPointKey, CheckPoint>,
    /// With messages that nobody acknowledged, by the end of their invisible time.
    open: BTreeSet<(i64, CheckPointKey)>,
    /// All messages acknowledged; kept because a crash may lose acknowledgements.
    settled: BTreeSet<(i64, CheckPointKey)>,
    /// Revived, but the progress isn't on disk: after a crash they are revived again.
    revived: BTreeMap<CheckPointKey, CheckPoint>,
}

impl CheckPoints {
    /// Hides messages until `revive_at_ms`. `written_at` is the number of the log's next record.
    pub(crate) fn add(
        &mut self,
        key: CheckPointKey,
        offsets: impl IntoIterator<Item = i64>,
        revive_at_ms: i64,
        written_at: u64,
    ) {
        let messages = offsets.into_iter().map(|offset| (offset, None)).collect();
        let point = CheckPoint { messages, revive_at_ms, written_at };
        self.insert(key, point);
    }

    fn insert(&mut self, key: CheckPointKey, point: CheckPoint) {
        self.remove(&key);
        let set = if point.is_settled() { &mut self.settled } else { &mut self.open };
        set.insert((point.revive_at_ms, key.clone()));
        self.known.insert(key, point);
    }

    fn remove(&mut self, key: &CheckPointKey) -> Option<CheckPoint> {
        let point = self.known.remove(key)?;
        let entry = (point.revive_at_ms, key.clone());
        self.open.remove(&entry);
        self.settled.remove(&entry);
        Some(point)
    }

    /// Takes an acknowledgement; one that fits no check point is forgotten, as in Java.
    pub(crate) fn ack(&mut self, key: &CheckPointKey, offset: i64, written_at: u64) {
        let Some(point) = self.known.get_mut(key) else { return };
        let Some(slot) = point.messages.get_mut(&offset) else { return };
        slot.get_or_insert(written_at);
        if point.is_settled() {
            let entry = (point.revive_at_ms, key.clone());
            self.open.remove(&entry);
            self.settled.insert(entry);
        }
    }

    /// Takes the check points whose time is over, with the offsets to be delivered again.
    /// Java: `PopReviveService#mergeAndRevive`.
    pub(crate) fn take_due(&mut self, wall_ms: i64) -> Vec<(CheckPointKey, Vec<i64>)> {
        let mut due = Vec::new();
        while let Some((revive_at_ms, key)) = self.open.first().cloned() {
            if wall_ms - revive_at_ms <= GRACE_MS {
                break;
            }
            let Some(point) = self.remove(&key) else { break };
            due.push((key.clone(), point.open().collect()));
            self.revived.insert(key, point);
        }
        while let Some((revive_at_ms, key)) = self.settled.first().cloned() {
            if wall_ms - revive_at_ms <= GRACE_MS {
                break;
            }
            if let Some(point) = self.remove(&key) {
                self.revived.insert(key, point);
            }
        }
        due
    }

    /// When the next messages are due, in Unix milliseconds.
    pub(crate) fn due_ms(&self) -> Option<i64> {
        self.open.first().map(|(revive_at_ms, _)| revive_at_ms + GRACE_MS + 1)
    }

    /// The progress of the reviver reached the disk, with the consumer offsets that hold it.
    pub(crate) fn flush(&mut self) {
        self.revived.clear();
    }

    /// How many messages are hidden for a group in a queue. Java: `PopInflightMessageCounter`.
    pub(crate) fn inflight(&self, topic: &str, group: &str, queue_id: i32) -> usize {
        let points = self
            .known
            .iter()
            .filter(|(key, _)| &*key.topic == topic && &*key.group == group && key.queue_id == queue_id);
        points.map(|(_, point)| point.open().count()).sum()
    }

    /// What is left after a crash that kept the records before number `cut`.
    pub(crate) fn crashed(&self, cut: u64) -> Self {
        let mut after = Self::default();
        for (key, point) in self.known.iter().chain(&self.revived) {
            if point.written_at > cut {
                continue;
            }
            let mut point = point.clone();
            for acked in point.messages.values_mut() {
                *acked = acked.filter(|written_at| *written_at <= cut);
            }
            after.insert(key.clone(), point);
        }
        after
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(start_offset: i64) -> CheckPointKey {
        CheckPointKey {
            topic: "T".into(),
            group: "G".into(),
            queue_id: 0,
            start_offset,
            pop_time: 1_000,
            revive_queue_id: 3,
        }
    }

    #[test]
    fn what_was_not_acknowledged_is_due_two_seconds_after_its_time() {
        let mut points = CheckPoints::default();
        points.add(key(5), [5, 6, 9], 10_000, 7);
        points.ack(&key(5), 6, 8);
        points.ack(&key(5), 7, 8);
        points.ack(&key(6), 5, 8);
        assert_eq!((points.inflight("T", "G", 0), points.due_ms()), (2, Some(12_001)));
        assert_eq!(points.take_due(12_000), []);
        assert_eq!(points.take_due(12_001), [(key(5), vec![5, 9])]);
        assert_eq!((points.take_due(99_999), points.due_ms()), (vec![], None));
    }

    #[test]
    fn a_crash_takes_check_points_and_acknowledgements_with_the_records_beside_them() {
        let mut points = CheckPoints::default();
        points.add(key(1), [1], 10_000, 7);
        points.ack(&key(1), 1, 9);
        points.add(key(2), [2], 10_000, 9);
        assert_eq!(points.due_ms(), Some(12_001), "the second is open");
        let mut after = points.crashed(8);
        assert_eq!(after.take_due(20_000), [(key(1), vec![1])]);
    }

    #[test]
    fn a_crash_before_the_flush_revives_again() {
        let mut points = CheckPoints::default();
        points.add(key(1), [1], 10_000, 7);
        assert_eq!(points.take_due(20_000).len(), 1);
        assert_eq!(points.crashed(9).take_due(20_000).len(), 1);
        points.flush();
        assert_eq!(points.crashed(9).take_due(20_000).len(), 0);
    }
}
