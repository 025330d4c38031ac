//! What survives when a broker's process ends, cleanly or not.

use rocketmq_client_core::time::{Instant, Timestamp, WallClock};

use super::Broker;
use super::timers::Timers;
use crate::call::CallTable;
use crate::client::ClientTable;
use crate::delay::DelayService;
use crate::fault::Faults;
use crate::gets::Gets;
use crate::hold::HoldTable;
use crate::lock::LockTable;
use crate::offset::OffsetTable;
use crate::pop::order::OrderTable;
use crate::reply::Replier;
use crate::timer::TimerService;
use crate::transaction::TransactionService;

/// What the disk kept of the log. Consumer offsets and the progress of delayed messages go back to
/// their last flush in any case; topics and groups are always kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Everything appended: a killed process, or a machine that flushes every append.
    All,
    /// Everything that was flushed: a power loss. What that takes is decided by
    /// [`BrokerConfig::flush_disk`](crate::BrokerConfig::flush_disk), as in a real broker: with a synchronous
    /// flush no message whose send was answered, unless its producer didn't want to wait.
    Flushed,
    /// All but the newest records, flushed or not.
    LoseRecords(u64),
    /// All but what was appended in the last milliseconds before the crash.
    LoseMillis(u64),
}

/// What is on disk beside the log.
#[derive(Clone, Debug, Default)]
pub(super) struct Disk {
    offsets: OffsetTable,
    delay: Option<DelayService>,
    transactions: TransactionService,
    orders: OrderTable,
    timers: TimerService,
}

impl Disk {
    pub(super) fn flush_offsets(&mut self, offsets: &OffsetTable) {
        if self.offsets_differ(offsets) {
            self.offsets = offsets.persisted();
        }
    }

    pub(super) fn offsets_differ(&self, offsets: &OffsetTable) -> bool {
        self.offsets.version != offsets.version
    }

    pub(super) fn flush_delay(&mut self, delay: &DelayService) {
        if self.delay_differs(delay) {
            self.delay = Some(delay.clone());
        }
    }

    pub(super) fn flush_transactions(&mut self, transactions: &TransactionService) {
        if self.transactions_differ(transactions) {
            self.transactions = transactions.clone();
        }
    }

    pub(super) fn transactions_differ(&self, transactions: &TransactionService) -> bool {
        self.transactions != *transactions
    }

    pub(super) fn flush_timers(&mut self, timers: &TimerService) {
        if self.timers_differ(timers) {
            self.timers = timers.clone();
        }
    }

    pub(super) fn timers_differ(&self, timers: &TimerService) -> bool {
        self.timers.version != timers.version
    }

    pub(super) fn flush_orders(&mut self, orders: &OrderTable) {
        if self.orders_differ(orders) {
            self.orders = orders.clone();
        }
    }

    pub(super) fn orders_differ(&self, orders: &OrderTable) -> bool {
        self.orders.version != orders.version
    }

    pub(super) fn delay_differs(&self, delay: &DelayService) -> bool {
        match &self.delay {
            Some(kept) => kept != delay,
            None => !delay.is_fresh(),
        }
    }
}

impl Broker {
    /// The broker that a new process makes of what the crash of this one left. Connections, members,
    /// locks, held pulls and reset marks are gone; commits since the last flush are lost; delayed
    /// messages since the last flush of their progress are delivered again; decided half messages
    /// since the last flush of their marks are asked about again.
    #[must_use]
    pub fn crash(&self, keep: Durability, now: Instant, wall: Timestamp) -> Self {
        let mut after = self.started_again(now, wall);
        let next = after.store.log.next();
        let cut = match keep {
            Durability::All => next,
            Durability::Flushed => after.store.flushed(now),
            Durability::LoseRecords(count) => next.saturating_sub(count),
            Durability::LoseMillis(millis) => {
                let lost = std::time::Duration::from_millis(millis);
                let mut newest = after.store.log.iter().rev();
                next - newest.by_ref().take_while(|record| now - record.stored_at < lost).count() as u64
            }
        };
        after.store.truncate(cut);
        after.store.flushes_anew(&self.config, now);
        after.store.dispatch_all();
        after.offsets = self.disk.offsets.persisted();
        after.delay = self.disk.delay.clone().unwrap_or_else(|| self.delay.fresh());
        after.delay.correct(&after.store);
        after.transactions = self.disk.transactions.clone();
        after.transactions.correct(&after.store);
        after.pops.check_points = self.pops.check_points.crashed(cut);
        after.pops.orders = self.disk.orders.clone();
        after.timers_waiting = self.disk.timers.recovered(&after.store);
        after.disk = self.disk.clone();
        after
    }

    /// The broker that a new process makes of what a clean shutdown of this one left.
    #[must_use]
    pub fn restart(&self, now: Instant, wall: Timestamp) -> Self {
        let mut after = self.started_again(now, wall);
        after.store.flushes_anew(&self.config, now);
        after.store.dispatch_all();
        after.offsets = self.offsets.persisted();
        after.disk.flush_offsets(&after.offsets);
        after.disk.flush_delay(&after.delay);
        after.disk.flush_transactions(&after.transactions);
        after.disk.flush_orders(&after.pops.orders);
        after.disk.flush_timers(&after.timers_waiting);
        after
    }

    fn started_again(&self, now: Instant, wall: Timestamp) -> Self {
        Self {
            clients: ClientTable::default(),
            locks: LockTable::new(self.config.lock_expire),
            holds: HoldTable::default(),
            calls: CallTable::default(),
            pops: self.pops.started_again(),
            assignments: self.assignments.started_again(),
            faults: Faults::default(),
            gets: Gets::default(),
            replier: Replier::new(),
            connections: std::collections::BTreeMap::new(),
            timers: Timers::new(&self.config, now),
            grown: Vec::new(),
            outputs: std::collections::VecDeque::new(),
            backlog: std::collections::VecDeque::new(),
            clock: WallClock::new(now, wall),
            rng: self.rng.clone().fork(),
            boot: wall,
            now,
            ..self.clone()
        }
    }
}
