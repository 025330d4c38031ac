//! Timer messages: which of them are due. Java: `TimerMessageStore`.
//!
//! They wait in `rmq_sys_wheel_timer`, whose entries carry the slot in place of a tag: a whole
//! second, at the end of which the message is delivered.

use std::collections::BTreeMap;

use crate::store::Store;
use crate::store::consume_queue::ConsumeQueue;

/// Java: `timerPrecisionMs`.
pub(crate) const PRECISION_MS: i64 = 1_000;

/// Where timer messages wait.
pub(crate) const WHEEL_TOPIC: &str = "rmq_sys_wheel_timer";

/// The wheel.
#[derive(Clone, Debug, Default)]
pub(crate) struct TimerService {
    /// Queue offsets by slot, in Unix milliseconds.
    slots: BTreeMap<i64, Vec<i64>>,
    /// Messages below this queue offset are in the wheel, or were.
    read_offset: i64,
    /// All slots up to this one are delivered.
    read_slot: i64,
    /// Grows with every change.
    pub(crate) version: u64,
}

impl TimerService {
    /// Takes what came into the wheel's topic.
    pub(crate) fn catch_up(&mut self, store: &Store) {
        let Some(queue) = wheel(store) else { return };
        self.read_offset = self.read_offset.max(queue.min());
        while let Some(entry) = queue.get(self.read_offset) {
            self.slots.entry(entry.tags_code).or_default().push(self.read_offset);
            self.version += 1;
            self.read_offset += 1;
        }
    }

    /// Takes the queue offsets of the next slot that is due.
    pub(crate) fn take_due(&mut self, wall_ms: i64) -> Option<Vec<i64>> {
        let first = self.slots.first_entry()?;
        if first.key().saturating_add(PRECISION_MS) > wall_ms {
            return None;
        }
        self.read_slot = self.read_slot.max(*first.key());
        self.version += 1;
        Some(first.remove())
    }

    /// When the next slot is due, in Unix milliseconds.
    pub(crate) fn due_ms(&self) -> Option<i64> {
        self.slots.keys().next().map(|slot| slot.saturating_add(PRECISION_MS))
    }

    /// The wheel after a crash, from the progress on disk: what is left in the log and was not
    /// delivered by then. What was delivered since is delivered again.
    pub(crate) fn recovered(&self, store: &Store) -> Self {
        let mut after = Self { read_slot: self.read_slot, version: self.version, ..Self::default() };
        after.catch_up(store);
        let (read_slot, read_offset) = (self.read_slot, self.read_offset);
        for (slot, offsets) in &mut after.slots {
            offsets.retain(|offset| *slot > read_slot || *offset >= read_offset);
        }
        after.slots.retain(|_, offsets| !offsets.is_empty());
        after
    }
}

fn wheel(store: &Store) -> Option<&ConsumeQueue> {
    store.queue_of(WHEEL_TOPIC, 0)
}
