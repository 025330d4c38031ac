//! [`OffsetStore`]: how far each queue has been consumed, and which of that the broker doesn't know yet.
//!
//! A broker overwrites what it has without a check, so commits of one queue must not overtake each
//! other: one commit of a queue is on its way at a time, and only an answer makes it count. For the same
//! reason a queue that was given up is not committed any more once its next owner may have: its last
//! commit begins within [`RELEASE_COMMIT_MAX`], or not at all.
//!
//! Which commits of a table may be on their way together is decided in [`tables`].

#[cfg(test)]
mod model;
mod tables;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::message::MessageQueue;
use crate::time::Instant;

use tables::{Tables, Turn};

pub use tables::FIRST_COMMIT_PATIENCE;

/// How long after a queue was given up a commit of it may still begin. The next owner reads where the group
/// stands when it hears of the division, and commits with its own rounds from then on.
pub const RELEASE_COMMIT_MAX: Duration = Duration::from_secs(1);

/// The consumed offsets of a group's queues. Java: `RemoteBrokerOffsetStore`.
#[derive(Clone, Debug, Default)]
pub struct OffsetStore {
    entries: BTreeMap<Arc<MessageQueue>, Entry>,
    tables: Tables,
    /// Entries with a commit on its way.
    under_way: usize,
}

#[derive(Clone, Debug)]
struct Entry {
    value: i64,
    frozen: bool,
    /// What the broker is known to have.
    confirmed: Option<i64>,
    /// What is on its way to it.
    under_way: Option<i64>,
    /// What is on its way is of a former stay of the queue here.
    inherited: bool,
    /// What is on its way may get lost although it is answered: it is told again then.
    beside: bool,
    /// The broker may not have it any more: it is told again although nothing changed.
    doubted: bool,
    /// The queue ends below: nothing is committed until it is known where it goes on.
    held: bool,
    /// When the queue was given up: the entry is forgotten when nothing is left to commit.
    released: Option<Instant>,
}

impl Entry {
    fn dirty(&self) -> bool {
        self.under_way.is_none() && !self.held && (self.doubted || self.confirmed != Some(self.value))
    }
}

/// How a commit ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CommitEnd {
    /// The broker has it.
    Confirmed,
    /// The broker said no.
    Refused,
    /// Nobody said anything: it did not go out, or its answer did not come.
    Unknown,
}

impl OffsetStore {
    /// The broker said that it has `offset` for `queue`. Forgets what was known before.
    pub fn load(&mut self, queue: Arc<MessageQueue>, offset: i64) {
        self.insert(queue.clone(), offset, Some(offset));
        // A broker also says zero of a queue that it has no offset for.
        if offset > 0 {
            self.tables.is_there(&queue);
        }
    }

    /// A start was decided on that the broker has not stored yet.
    pub fn begin(&mut self, queue: Arc<MessageQueue>, offset: i64) {
        self.insert(queue, offset, None);
    }

    /// A commit that is on its way stays known: a second one must not go beside it.
    fn insert(&mut self, queue: Arc<MessageQueue>, value: i64, confirmed: Option<i64>) {
        self.tables.leave_line(&queue);
        let former = self.entries.get(&queue);
        if former.is_none() {
            self.tables.add(&queue);
        }
        let under_way = former.and_then(|former| former.under_way);
        let entry = Entry {
            value,
            frozen: false,
            confirmed,
            under_way,
            inherited: under_way.is_some(),
            beside: false,
            doubted: false,
            held: false,
            released: None,
        };
        self.entries.insert(queue, entry);
    }

    fn remove(&mut self, queue: &MessageQueue) {
        if self.entries.remove(queue).is_some() {
            self.tables.remove(queue);
        }
    }

    /// `queue` was consumed up to `offset`. Only ever increases, and does nothing on a frozen or
    /// unknown queue. Java: `OffsetStore#updateOffset` with `increaseOnly`.
    pub fn update(&mut self, queue: &MessageQueue, offset: i64) {
        if let Some(entry) = self.entries.get_mut(queue)
            && !entry.frozen
            && entry.released.is_none()
        {
            entry.value = entry.value.max(offset);
        }
    }

    /// Sets the offset, backwards too, and ignores updates until the queue is loaded again.
    /// Java: `OffsetStore#updateAndFreezeOffset`.
    pub fn update_and_freeze(&mut self, queue: &Arc<MessageQueue>, offset: i64) {
        match self.entries.get_mut(queue) {
            Some(entry) => {
                entry.value = offset;
                entry.frozen = true;
                entry.held = false;
                // The commit on its way is not what is wanted any more, whoever's it was.
                entry.inherited = false;
            }
            None => {
                self.begin(queue.clone(), offset);
                self.update_and_freeze(queue, offset);
            }
        }
    }

    /// Nothing is committed of `queue` until it is [let go](Self::let_go), loaded, or given up: its broker has
    /// fewer messages than were consumed, and it is being asked what that means.
    pub fn hold(&mut self, queue: &MessageQueue) {
        if let Some(entry) = self.entries.get_mut(queue) {
            entry.held = true;
        }
    }

    /// It is known where `queue` goes on.
    pub fn let_go(&mut self, queue: &MessageQueue) {
        if let Some(entry) = self.entries.get_mut(queue) {
            entry.held = false;
        }
    }

    /// Ends a freeze: updates count again.
    pub fn thaw(&mut self, queue: &MessageQueue) {
        if let Some(entry) = self.entries.get_mut(queue) {
            entry.frozen = false;
        }
    }

    /// The consumed offset.
    #[must_use]
    pub fn get(&self, queue: &MessageQueue) -> Option<i64> {
        self.entries.get(queue).map(|entry| entry.value)
    }

    /// What the broker is known to have.
    #[must_use]
    pub fn confirmed(&self, queue: &MessageQueue) -> Option<i64> {
        self.entries.get(queue)?.confirmed
    }

    /// Whether a commit of `queue` is on its way, be it of a former stay.
    #[must_use]
    pub fn is_under_way(&self, queue: &MessageQueue) -> bool {
        self.entries.get(queue).is_some_and(|entry| entry.under_way.is_some())
    }

    /// The broker may have lost the last commits, as one that crashed has, or a former owner may have
    /// overwritten them: what `concerns` is told again although nothing changed. Queues that were given up
    /// are not: the next owner may have committed more. Java needs no such thing since it commits every
    /// queue every time.
    pub fn doubt(&mut self, concerns: impl Fn(&MessageQueue) -> bool) {
        let concerned =
            self.entries.iter_mut().filter(|(queue, entry)| entry.released.is_none() && concerns(queue));
        concerned.for_each(|(_, entry)| entry.doubted = true);
    }

    /// A broker may have lost its tables: where `concerns` says so, commits are as the first ones again.
    pub fn forget_tables(&mut self, concerns: impl Fn(&str) -> bool) {
        self.tables.forget(concerns);
    }

    /// The queue is about to be given up: only what is new may still be told, since the next owner may
    /// have committed more.
    pub fn trust(&mut self, queue: &MessageQueue) {
        if let Some(entry) = self.entries.get_mut(queue) {
            entry.doubted = false;
        }
    }

    /// The queues that have something to commit and no commit on its way; of a table whose commits go one by
    /// one, the one whose turn it is comes first.
    pub fn due(&mut self) -> Vec<Arc<MessageQueue>> {
        self.tables.clear_lines();
        let mut due: Vec<Arc<MessageQueue>> = Vec::new();
        let mut table = 0;
        for (queue, _) in self.entries.iter().filter(|(_, entry)| entry.dirty()) {
            if due.last().is_some_and(|last| !same_table(last, queue)) {
                self.tables.take_turns(&mut due[table..]);
                table = due.len();
            }
            due.push(queue.clone());
        }
        self.tables.take_turns(&mut due[table..]);
        due
    }

    /// The offset to commit for `queue`, which counts as being on its way from now on; `None` when
    /// there is nothing to commit, a commit is on its way, or the table's first one is: then the queue waits
    /// and is named by [`end_commit`](Self::end_commit) or [`impatient`](Self::impatient).
    pub fn begin_commit(&mut self, queue: &Arc<MessageQueue>, now: Instant) -> Option<i64> {
        self.tables.leave_line(queue);
        let entry = self.entries.get(queue)?;
        if !entry.dirty() {
            return None;
        }
        if entry.released.is_some_and(|at| now > at + RELEASE_COMMIT_MAX) {
            self.remove(queue);
            return None;
        }
        let leaves = entry.released.is_some();
        let beside = match self.tables.turn(queue, now, leaves) {
            Turn::Waits => return None,
            Turn::Goes => false,
            Turn::GoesBeside(first) => {
                if let Some(first) = first.and_then(|first| self.entries.get_mut(&first)) {
                    first.beside = true;
                }
                true
            }
        };
        let entry = self.entries.get_mut(queue)?;
        entry.under_way = Some(entry.value);
        entry.doubted = false;
        entry.beside = beside;
        self.under_way += 1;
        entry.under_way
    }

    /// The commit of `offset` ended: the queues that are to be committed now. It is among them itself if it
    /// was given up while an older commit was on its way, or its offset was taken back meanwhile.
    pub fn end_commit(
        &mut self,
        queue: &Arc<MessageQueue>,
        offset: i64,
        end: CommitEnd,
        now: Instant,
    ) -> Vec<Arc<MessageQueue>> {
        let Some(entry) = self.entries.get_mut(queue) else { return Vec::new() };
        if entry.under_way != Some(offset) {
            return Vec::new();
        }
        entry.under_way = None;
        self.under_way -= 1;
        let confirmed = end == CommitEnd::Confirmed;
        let mut taken_back = false;
        if confirmed {
            // A former stay may have come further than this one has yet: that is no reason to go back.
            let ahead = entry.inherited && offset > entry.value;
            entry.confirmed = Some(if ahead { entry.value } else { offset });
            // Whoever begins at an offset that has been taken back would miss what lies between.
            taken_back = !ahead && entry.value < offset && entry.released.is_none();
            entry.doubted |= entry.beside && entry.released.is_none();
        }
        entry.beside = false;
        entry.inherited = false;
        let released = entry.released;
        let again = confirmed
            && entry.dirty()
            && released.is_some_and(|at| now.saturating_since(at) <= RELEASE_COMMIT_MAX);
        let mut due = self.tables.ended(queue, end);
        if again || taken_back {
            due.push(queue.clone());
        } else if released.is_some() {
            self.remove(queue);
        }
        due
    }

    /// The queues that wait for a first commit which has been on its way for too long; they are to be
    /// committed now.
    pub fn impatient(&mut self, now: Instant) -> Vec<Arc<MessageQueue>> {
        self.tables.impatient(now)
    }

    /// From now on every queue that waits gets its turn after a commit that failed: there is no other round
    /// of commits.
    pub fn last_round(&mut self) {
        self.tables.last_round();
    }

    /// The queue was given up. What is not committed yet still is, once: a later attempt could
    /// overwrite the commit of the next owner. So nothing is left to do for one whose commit neither is on
    /// its way nor waits for another's.
    pub fn release(&mut self, queue: &Arc<MessageQueue>, now: Instant) {
        let Some(entry) = self.entries.get_mut(queue) else { return };
        if entry.under_way.is_some() || self.tables.leave(queue) {
            entry.released = Some(now);
        } else {
            self.remove(queue);
        }
    }

    /// Whether any commit is on its way or waits for one.
    #[must_use]
    pub fn committing(&self) -> bool {
        self.under_way > 0 || self.is_waiting()
    }

    /// Whether any commit waits for another's.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.tables.is_waiting()
    }

    /// How many queues the broker is known to be up to date with, of those that `counts`, and with how
    /// many of all it is not.
    #[must_use]
    pub fn settled_count(&self, counts: impl Fn(&MessageQueue) -> bool) -> (u32, u32) {
        let (mut confirmed, mut unconfirmed) = (0, 0);
        for (queue, entry) in &self.entries {
            if entry.confirmed != Some(entry.value) {
                unconfirmed += 1;
            } else if counts(queue) {
                confirmed += 1;
            }
        }
        (confirmed, unconfirmed)
    }
}

fn same_table(one: &MessageQueue, other: &MessageQueue) -> bool {
    one.topic == other.topic && one.broker_name == other.broker_name
}
