//! What a broker does by the clock, and when it wants to be woken for it.
//!
//! Periods run on a grid from the start, as a real broker's do, but an idle broker isn't woken for
//! a period in which there is nothing to do.

use std::time::Duration;

use rocketmq_client_core::time::Instant;

use super::{Broker, Output};
use crate::config::BrokerConfig;

/// A period and its next point on the grid.
#[derive(Clone, Debug)]
struct Periodic {
    period: Duration,
    next: Instant,
}

impl Periodic {
    fn new(start: Instant, first: Duration, period: Duration) -> Self {
        Self { period: period.max(Duration::from_millis(1)), next: start + first }
    }

    /// True once for all points that have passed.
    fn pass(&mut self, now: Instant) -> bool {
        if now < self.next {
            return false;
        }
        let nanos = self.period.as_nanos();
        let passed = (now - self.next).as_nanos() / nanos + 1;
        self.next += Duration::from_nanos(u64::try_from(passed * nanos).unwrap_or(u64::MAX));
        true
    }

    /// The first point on the grid at or after `time`.
    fn at_or_after(&self, time: Instant) -> Instant {
        let nanos = self.period.as_nanos();
        let points = (time - self.next).as_nanos().div_ceil(nanos);
        self.next + Duration::from_nanos(u64::try_from(points * nanos).unwrap_or(u64::MAX))
    }
}

/// The periods of a broker.
#[derive(Clone, Debug)]
pub(super) struct Timers {
    hold: Periodic,
    channels: Periodic,
    register: Periodic,
    offsets: Periodic,
    delay_offsets: Periodic,
    deliver: Periodic,
    expire: Periodic,
    transactions: Periodic,
    marks: Periodic,
    revive: Periodic,
    timer_progress: Periodic,
    routes: Periodic,
    tables: Periodic,
    tables_due: bool,
    /// The earliest of all: before it there is nothing to look at.
    earliest: Instant,
    started: bool,
}

impl Timers {
    pub(super) fn new(config: &BrokerConfig, now: Instant) -> Self {
        let every = |period| Periodic::new(now, period, period);
        Self {
            hold: every(config.hold_scan_period),
            channels: every(config.channel_scan_period),
            register: Periodic::new(now, Duration::from_secs(10), config.register_period),
            offsets: every(config.offset_flush_period),
            delay_offsets: every(config.delay_flush_period),
            deliver: Periodic::new(now, Duration::from_secs(1), Duration::from_millis(100)),
            expire: every(Duration::from_secs(10)),
            transactions: every(config.transaction_check_period),
            // Java: `transactionOpBatchInterval`.
            marks: every(Duration::from_secs(3)),
            revive: every(config.revive_period),
            // Java: `timerFlushIntervalMs`.
            timer_progress: every(Duration::from_secs(1)),
            // Java: `loadBalancePollNameServerInterval`.
            routes: every(Duration::from_secs(30)),
            // Java: looked at every 3 s from the tenth on, done where the last time is more than a minute ago.
            tables: Periodic::new(now, Duration::from_secs(10), Duration::from_secs(63)),
            tables_due: false,
            earliest: now,
            started: false,
        }
    }

    /// Whether a slave has to look at its master's tables; true once.
    pub(super) fn take_tables_due(&mut self) -> bool {
        std::mem::take(&mut self.tables_due)
    }

    fn settle(&mut self) {
        let all = [
            &self.hold,
            &self.channels,
            &self.register,
            &self.offsets,
            &self.delay_offsets,
            &self.deliver,
            &self.expire,
            &self.transactions,
            &self.marks,
            &self.revive,
            &self.timer_progress,
            &self.routes,
            &self.tables,
        ];
        self.earliest = all.iter().map(|periodic| periodic.next).min().expect("there are periods");
    }
}

impl Broker {
    /// Runs everything that is due at `now`.
    pub(super) fn run_timers(&mut self, now: Instant) {
        self.replier.release(now);
        if self.store.dispatch_due().is_some() {
            self.dispatch(now);
        }
        self.run_polls(now);
        self.expire_assignments(now);
        self.fail_calls(now, None);
        if now < self.timers.earliest {
            return;
        }
        if !self.timers.started {
            self.timers.started = true;
            self.register_all();
        }
        // Before deliveries: what an idle broker looks at late must not save what happens only now.
        if self.timers.timer_progress.pass(now) {
            self.disk.flush_timers(&self.timers_waiting);
        }
        let is_master = !self.is_slave();
        if self.timers.deliver.pass(now) && is_master {
            self.deliver_delayed(now);
            self.deliver_timers(now);
        }
        if self.timers.offsets.pass(now) {
            self.disk.flush_offsets(&self.offsets);
            self.pops.check_points.flush();
        }
        if self.timers.delay_offsets.pass(now) {
            self.disk.flush_delay(&self.delay);
            self.disk.flush_orders(&self.pops.orders);
        }
        if self.timers.hold.pass(now) {
            self.scan_holds(now);
        }
        if self.timers.channels.pass(now) {
            self.scan_channels(now);
        }
        if self.timers.register.pass(now) {
            self.register_all();
        }
        if self.timers.transactions.pass(now) && is_master {
            self.check_transactions(now);
        }
        if self.timers.marks.pass(now) {
            self.disk.flush_transactions(&self.transactions);
        }
        if self.timers.revive.pass(now) && is_master {
            self.revive(now);
        }
        if self.timers.tables.pass(now) {
            self.timers.tables_due = true;
        }
        if self.timers.routes.pass(now) {
            self.refresh_routes();
        }
        if self.timers.expire.pass(now) {
            self.store.expire(self.config.log_bytes_max, self.config.log_segment_bytes);
        }
        self.timers.settle();
    }

    /// When the machine wants to be woken.
    pub(super) fn deadline(&self) -> Option<Instant> {
        let timers = &self.timers;
        let when = |wanted: bool, periodic: &Periodic| wanted.then_some(periodic.next);
        let is_master = !self.is_slave();
        let next_delivery = if is_master { self.delay.next_delivery(&self.store) } else { None };
        let deliver = next_delivery.map(|deliver_at| {
            let late = deliver_at.as_millis() - self.wall(self.now).as_millis();
            let wait = Duration::from_millis(u64::try_from(late).unwrap_or(0));
            timers.deliver.at_or_after(self.now + wait)
        });
        // The first moment, to the nanosecond, at which the wall clock shows a time.
        let at_wall = |ms: i64| {
            let late = ms.saturating_sub(self.wall(self.now).as_millis());
            self.now + Duration::from_millis(u64::try_from(late).unwrap_or(0))
        };
        let deadlines = [
            Some(timers.register.next),
            (!timers.started).then_some(timers.earliest),
            when(self.holds.len() > 0, &timers.hold),
            when(!self.connections.is_empty(), &timers.channels),
            when(self.disk.offsets_differ(&self.offsets), &timers.offsets),
            when(self.disk.delay_differs(&self.delay), &timers.delay_offsets),
            when(self.store.log.end() - self.store.log.begin() > self.config.log_bytes_max, &timers.expire),
            when(is_master && self.transactions.is_waiting(&self.store), &timers.transactions),
            when(!is_master, &timers.tables),
            when(self.disk.transactions_differ(&self.transactions), &timers.marks),
            deliver,
            self.pops
                .check_points
                .due_ms()
                .filter(|_| is_master)
                .map(|ms| timers.revive.at_or_after(at_wall(ms))),
            when(self.disk.orders_differ(&self.pops.orders), &timers.delay_offsets),
            self.pops.polls_due_ms().map(at_wall),
            self.timers_waiting
                .due_ms()
                .filter(|_| is_master)
                .map(|ms| timers.deliver.at_or_after(at_wall(ms))),
            when(self.disk.timers_differ(&self.timers_waiting), &timers.timer_progress),
            self.assignments.due(),
            self.calls.due(),
            when(!self.assignments.queues.is_empty(), &timers.routes),
            self.store.dispatch_due(),
            self.replier.release_due(),
        ];
        deadlines.into_iter().flatten().min()
    }

    /// Runs held pulls again that have new messages, matching or not, or waited long enough.
    /// Java: `PullRequestHoldService#checkHoldRequest`.
    fn scan_holds(&mut self, now: Instant) {
        for queue in self.holds.waiting() {
            let max = self.store.queue(queue).max();
            let due = self.holds.take(now, queue, |pull| max > pull.request.offset);
            self.run_held(now, due);
        }
    }

    /// Closes connections without heartbeat or traffic. Nobody is told: the other members of a
    /// group find out by their own rebalance. Java: `ConsumerManager#scanNotActiveChannel`.
    fn scan_channels(&mut self, now: Instant) {
        let expire = self.config.channel_expire;
        let idle = self.connections.iter().filter(|(_, known)| now - known.last_seen > expire);
        let mut expired: Vec<_> = idle.map(|(connection, _)| *connection).collect();
        expired.extend(self.clients.expired(now, expire));
        expired.sort_unstable();
        expired.dedup();
        for connection in expired {
            tracing::debug!(connection = connection.0, "client expired");
            self.close(connection);
        }
    }

    fn register_all(&mut self) {
        self.topics.take_changed();
        let topics: Vec<_> = self.topics.iter().cloned().collect();
        let frame = self.registration(&topics);
        self.output(Output::RegisterBroker { frame });
    }

    /// Registers the topics that a request created or changed.
    pub(crate) fn register_changes(&mut self) {
        if !self.topics.has_changed() {
            return;
        }
        let changed = self.topics.take_changed();
        let frame = self.registration(&changed);
        self.output(Output::RegisterBroker { frame });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_stays_on_its_grid_however_late_it_is_looked_at() {
        let at = Instant::from_millis;
        let mut periodic = Periodic::new(at(3), Duration::from_millis(10), Duration::from_millis(10));
        assert!(!periodic.pass(at(12)));
        assert!(periodic.pass(at(13)) && !periodic.pass(at(22)));
        assert!(periodic.pass(at(58)), "several missed points count once");
        assert_eq!(periodic.next, at(63));
        assert_eq!(periodic.at_or_after(at(63)), at(63));
        assert_eq!(periodic.at_or_after(at(64)), at(73));
        assert_eq!(periodic.at_or_after(at(5)), at(63));
    }
}
