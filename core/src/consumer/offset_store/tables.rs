//! Which commits may be on their way together.
//!
//! A broker makes a group's table of a topic at the first commit, without a lock: of two first commits
//! of different queues at the same time it may forget one, up to 5.4 at least (Java:
//! `ConsumerOffsetManager#commitOffset`). So until a broker is known to have the table, one commit goes
//! alone and the others wait for its answer, for [`FIRST_COMMIT_PATIENCE`] at most: then they go beside
//! it, and are told again once the table is there. A broker that refuses a commit is asked with one commit
//! a round, each time another queue's, until it takes one.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::{CommitEnd, MessageQueue};
use crate::time::Instant;

/// How long other commits of a table wait for the answer to its first one.
pub const FIRST_COMMIT_PATIENCE: Duration = Duration::from_millis(500);

/// The tables of which there are entries.
#[derive(Clone, Debug, Default)]
pub(super) struct Tables {
    tables: BTreeMap<Key, Table>,
    /// Queues that wait in all lines.
    waiting: usize,
    last_round: bool,
}

/// Topic and broker.
type Key = (Arc<str>, Arc<str>);

#[derive(Clone, Debug, Default)]
struct Table {
    /// Queues with an entry.
    entries: usize,
    /// The broker has it.
    there: bool,
    /// The commit that goes alone, and since when.
    first: Option<(Arc<MessageQueue>, Instant)>,
    /// A commit that nobody waits for any more may still arrive and make the table.
    disturbed: bool,
    /// Whose commit failed last; the next one's turn is after it.
    failed: Option<Arc<MessageQueue>>,
    /// Queues that wait, and those of them that were given up: they can't wait for the next round.
    line: BTreeSet<Arc<MessageQueue>>,
    leaving: BTreeSet<Arc<MessageQueue>>,
}

/// Whether a commit may begin.
pub(super) enum Turn {
    /// It waits in line.
    Waits,
    /// It goes.
    Goes,
    /// It goes, and may be forgotten, or make the broker forget that first one.
    GoesBeside(Option<Arc<MessageQueue>>),
}

impl Tables {
    fn get_mut(&mut self, queue: &MessageQueue) -> Option<&mut Table> {
        self.tables.get_mut(&key(queue))
    }

    /// One more entry.
    pub(super) fn add(&mut self, queue: &MessageQueue) {
        self.tables.entry(key(queue)).or_default().entries += 1;
    }

    /// One entry less; what has none is forgotten.
    pub(super) fn remove(&mut self, queue: &MessageQueue) {
        self.leave_line(queue);
        let Some(table) = self.get_mut(queue) else { return };
        table.entries -= 1;
        if table.entries == 0 {
            self.tables.remove(&key(queue));
        }
    }

    /// The broker has the queue's table.
    pub(super) fn is_there(&mut self, queue: &MessageQueue) {
        if let Some(table) = self.get_mut(queue) {
            table.there = true;
        }
    }

    /// Brokers that may have lost them.
    pub(super) fn forget(&mut self, concerns: impl Fn(&str) -> bool) {
        for (_, table) in self.tables.iter_mut().filter(|((_, broker), _)| concerns(broker)) {
            table.there = false;
            table.disturbed = true;
        }
    }

    /// Whether a commit of `queue` may begin now; if not, it waits.
    pub(super) fn turn(&mut self, queue: &Arc<MessageQueue>, now: Instant, leaves: bool) -> Turn {
        let Some(table) = self.get_mut(queue) else { return Turn::Goes };
        if table.there {
            return Turn::Goes;
        }
        match &table.first {
            None => {
                table.first = Some((queue.clone(), now));
                if table.disturbed { Turn::GoesBeside(None) } else { Turn::Goes }
            }
            Some((first, since)) if now >= *since + FIRST_COMMIT_PATIENCE => {
                table.disturbed = true;
                Turn::GoesBeside(Some(first.clone()))
            }
            Some(_) => {
                let line = if leaves { &mut table.leaving } else { &mut table.line };
                self.waiting += usize::from(line.insert(queue.clone()));
                Turn::Waits
            }
        }
    }

    /// A commit has ended: those that go now.
    pub(super) fn ended(&mut self, queue: &Arc<MessageQueue>, end: CommitEnd) -> Vec<Arc<MessageQueue>> {
        let last_round = self.last_round;
        let Some(table) = self.get_mut(queue) else { return Vec::new() };
        if table.first.as_ref().is_some_and(|(first, _)| first == queue) {
            table.first = None;
        }
        match end {
            CommitEnd::Confirmed => {
                (table.there, table.disturbed, table.failed) = (true, false, None);
                return self.drain(queue);
            }
            CommitEnd::Refused => table.there = false,
            CommitEnd::Unknown => table.disturbed |= !table.there,
        }
        table.failed = Some(queue.clone());
        if table.first.is_some() {
            return Vec::new();
        }
        let before = table.waiting();
        if !last_round {
            table.line.clear();
        }
        // One that was given up has only this chance.
        let next = table.leaving.pop_first().or_else(|| {
            let next = table.line.range(queue.clone()..).next().or_else(|| table.line.first());
            let next = next.cloned()?;
            table.line.take(&next)
        });
        let gone = before - table.waiting();
        self.waiting -= gone;
        next.into_iter().collect()
    }

    fn drain(&mut self, queue: &MessageQueue) -> Vec<Arc<MessageQueue>> {
        let Some(table) = self.tables.get_mut(&key(queue)) else { return Vec::new() };
        let drained = table.drain();
        self.waiting -= drained.len();
        drained
    }

    /// Those that have waited long enough.
    pub(super) fn impatient(&mut self, now: Instant) -> Vec<Arc<MessageQueue>> {
        let mut drained = Vec::new();
        for table in self.tables.values_mut() {
            if table.first.as_ref().is_some_and(|(_, since)| now >= *since + FIRST_COMMIT_PATIENCE) {
                drained.extend(table.drain());
            }
        }
        self.waiting -= drained.len();
        drained
    }

    /// Brings the queues of one table into the order in which they are to go.
    pub(super) fn take_turns(&self, queues: &mut [Arc<MessageQueue>]) {
        let table = queues.first().and_then(|queue| self.tables.get(&key(queue)));
        if let Some(failed) = table.filter(|table| !table.there).and_then(|table| table.failed.as_ref()) {
            let next = queues.partition_point(|queue| queue <= failed);
            queues.rotate_left(next % queues.len().max(1));
        }
    }

    /// A new round begins: nobody waits from the last one but those that can't wait for another.
    pub(super) fn clear_lines(&mut self) {
        for table in self.tables.values_mut() {
            self.waiting -= table.line.len();
            table.line.clear();
        }
    }

    /// The queue doesn't wait any more.
    pub(super) fn leave_line(&mut self, queue: &MessageQueue) {
        if self.waiting > 0
            && let Some(table) = self.get_mut(queue)
        {
            let waited = usize::from(table.line.remove(queue)) + usize::from(table.leaving.remove(queue));
            self.waiting -= waited;
        }
    }

    /// The queue is given up: whether it waits.
    pub(super) fn leave(&mut self, queue: &Arc<MessageQueue>) -> bool {
        let Some(table) = self.get_mut(queue) else { return false };
        match table.line.take(queue) {
            Some(waiting) => table.leaving.insert(waiting),
            None => table.leaving.contains(queue),
        }
    }

    pub(super) fn last_round(&mut self) {
        self.last_round = true;
    }

    pub(super) fn is_waiting(&self) -> bool {
        self.waiting > 0
    }
}

impl Table {
    fn waiting(&self) -> usize {
        self.line.len() + self.leaving.len()
    }

    fn drain(&mut self) -> Vec<Arc<MessageQueue>> {
        let leaving = core::mem::take(&mut self.leaving).into_iter();
        leaving.chain(core::mem::take(&mut self.line)).collect()
    }
}

fn key(queue: &MessageQueue) -> Key {
    (queue.topic.clone(), queue.broker_name.clone())
}
