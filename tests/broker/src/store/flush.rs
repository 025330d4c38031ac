//! How far the log is on the disk. Java: `CommitLog.FlushRealTimeService` and `GroupCommitService`.
//!
//! An operating system keeps what a killed process wrote; a power loss takes what was not flushed. Nothing
//! can be seen of a flush but what such a crash left, so that it is worked out when somebody asks.

use std::time::Duration;

use rocketmq_client_core::time::Instant;

use crate::config::FlushDisk;

/// Java: `flushIntervalCommitLog`.
const ASYNC_PERIOD: Duration = Duration::from_millis(500);
/// One flush in so many takes what there is. Java: `flushCommitLogThoroughInterval`, 10 s.
const THOROUGH: u64 = 20;
/// The others leave it until it is this much. Java: `flushCommitLogLeastPages`.
const PAGES_MIN: u64 = 4;
const PAGE_BYTES: u64 = 4 << 10;
/// Java: `GroupCommitService`: messages that don't wait go with those that do, or after this.
const SYNC_PERIOD: Duration = Duration::from_millis(10);

/// The watermark of flushes: a record's number and where it begins.
#[derive(Clone, Debug)]
pub(crate) struct Flusher {
    mode: FlushDisk,
    start: Instant,
    /// Periods since the start that have been worked out.
    ticks: u64,
    flushed: (u64, u64),
}

impl Flusher {
    /// A process that starts now and takes what it finds, up to `end`, for flushed.
    pub(crate) fn new(mode: FlushDisk, start: Instant, end: (u64, u64)) -> Self {
        Self { mode, start, ticks: 0, flushed: end }
    }

    /// Works out the flushes until `now`; nothing was appended since the last call but what comes before `end`.
    pub(crate) fn catch_up(&mut self, now: Instant, end: (u64, u64)) {
        let period = match self.mode {
            FlushDisk::Async => ASYNC_PERIOD,
            FlushDisk::Sync => SYNC_PERIOD,
        };
        let ticks = u64::try_from((now - self.start).as_nanos() / period.as_nanos()).unwrap_or(u64::MAX);
        let first = self.ticks + 1;
        if first > ticks {
            return;
        }
        self.ticks = ticks;
        let pages = (end.1 / PAGE_BYTES).saturating_sub(self.flushed.1 / PAGE_BYTES);
        // The first of all is a thorough one.
        let thorough = (first - 1).next_multiple_of(THOROUGH) + 1;
        if self.mode == FlushDisk::Sync || pages >= PAGES_MIN || thorough <= ticks {
            self.flushed = end;
        }
    }

    /// Somebody waits for everything before `end`.
    pub(crate) fn wait_for(&mut self, end: (u64, u64)) {
        if self.mode == FlushDisk::Sync {
            self.flushed = end;
        }
    }

    /// The number of the first record that is not flushed.
    pub(crate) fn next(&self) -> u64 {
        self.flushed.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_pages_wait_for_the_thorough_flush_and_many_for_the_next() {
        let at = Instant::from_millis;
        let mut flusher = Flusher::new(FlushDisk::Async, at(0), (0, 0));
        flusher.wait_for((1, 100));
        flusher.catch_up(at(499), (1, 100));
        assert_eq!(flusher.next(), 0, "nobody waits, and the period isn't over");
        flusher.catch_up(at(500), (1, 100));
        assert_eq!(flusher.next(), 1, "the first flush is a thorough one");
        let rows = [
            (1_000, (2, 4 * 4_096 - 1), 1),
            (1_400, (2, 4 * 4_096), 1),
            (1_500, (2, 4 * 4_096), 2),
            (10_400, (3, 20_000), 2),
            (10_500, (3, 20_000), 3),
        ];
        for (ms, end, next) in rows {
            flusher.catch_up(at(ms), end);
            assert_eq!(flusher.next(), next, "{ms}");
        }
    }

    #[test]
    fn a_synchronous_flush_takes_what_is_waited_for_at_once_and_the_rest_soon() {
        let at = Instant::from_millis;
        let mut flusher = Flusher::new(FlushDisk::Sync, at(0), (0, 0));
        flusher.wait_for((1, 100));
        assert_eq!(flusher.next(), 1);
        flusher.catch_up(at(9), (2, 200));
        assert_eq!(flusher.next(), 1);
        flusher.catch_up(at(10), (2, 200));
        assert_eq!(flusher.next(), 2);
    }
}
