//! The response table: which requests wait for which `opaque`.

use alloc::vec::Vec;

use hashbrown::HashMap;

use crate::hash::SeededState;
use crate::time::Instant;
use crate::timer::TimerId;

use super::again::Again;

/// A request that has no answer yet.
#[derive(Clone, Debug)]
pub(super) struct Pending<P> {
    pub(super) purpose: P,
    pub(super) timer: TimerId,
    pub(super) sent_at: Instant,
    /// Position of its last byte in the connection's stream; `u64::MAX` while it waits for the
    /// connection.
    pub(super) end: u64,
    pub(super) again: Again,
}

/// `opaque` to request. Its order is never seen.
#[derive(Clone, Debug)]
pub(super) struct PendingTable<P> {
    table: HashMap<i32, Pending<P>, SeededState>,
}

impl<P> PendingTable<P> {
    pub(super) fn new(hasher: SeededState) -> Self {
        Self { table: HashMap::with_hasher(hasher) }
    }

    pub(super) fn insert(&mut self, opaque: i32, pending: Pending<P>) {
        self.table.insert(opaque, pending);
    }

    pub(super) fn remove(&mut self, opaque: i32) -> Option<Pending<P>> {
        self.table.remove(&opaque)
    }

    pub(super) fn get_mut(&mut self, opaque: i32) -> Option<&mut Pending<P>> {
        self.table.get_mut(&opaque)
    }

    pub(super) fn contains(&self, opaque: i32) -> bool {
        self.table.contains_key(&opaque)
    }

    pub(super) fn any(&self, kind: impl Fn(&P) -> bool) -> bool {
        self.table.values().any(|pending| kind(&pending.purpose))
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// What the requests are for, in no order.
    pub(super) fn purposes(&self) -> impl Iterator<Item = &P> {
        self.table.values().map(|pending| &pending.purpose)
    }

    /// Gives every request the timer that `rearm` makes from its opaque and its old timer.
    pub(super) fn rename(&mut self, mut rearm: impl FnMut(i32, TimerId) -> TimerId) {
        let mut opaques: Vec<i32> = self.table.keys().copied().collect();
        opaques.sort_unstable();
        for opaque in opaques {
            if let Some(pending) = self.table.get_mut(&opaque) {
                pending.timer = rearm(opaque, pending.timer);
            }
        }
    }

    /// All requests in the order they were made.
    pub(super) fn into_sorted(self) -> impl Iterator<Item = Pending<P>> {
        let mut all: Vec<Pending<P>> = self.table.into_values().collect();
        all.sort_unstable_by_key(|pending| (pending.sent_at, pending.timer));
        all.into_iter()
    }
}
