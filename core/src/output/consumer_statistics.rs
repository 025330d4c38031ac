//! Counters: what a consumer has done so far. Plain numbers that only grow, so that whoever wants a rate
//! takes two snapshots. Java: `ConsumerStatsManager`, which keeps rates for a minute, an hour and a day.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

/// A distribution of durations, in buckets that double: recording costs a few instructions.
#[derive(Clone, PartialEq, Eq)]
pub struct Latency {
    count: u64,
    sum_us: u64,
    max_us: u64,
    /// Bucket `n` counts what took less than 2^n microseconds and at least half of that.
    buckets: [u64; BUCKETS],
}

/// The last bucket begins at 2^38 microseconds, three days.
const BUCKETS: usize = 40;

impl Default for Latency {
    fn default() -> Self {
        Self { count: 0, sum_us: 0, max_us: 0, buckets: [0; BUCKETS] }
    }
}

impl Latency {
    /// Adds one.
    pub fn record(&mut self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - us.leading_zeros()) as usize;
        self.count += 1;
        self.sum_us = self.sum_us.saturating_add(us);
        self.max_us = self.max_us.max(us);
        self.buckets[bucket.min(BUCKETS - 1)] += 1;
    }

    /// How many were recorded.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.count
    }

    /// All of them together.
    #[must_use]
    pub fn sum(&self) -> Duration {
        Duration::from_micros(self.sum_us)
    }

    /// The longest.
    #[must_use]
    pub fn max(&self) -> Duration {
        Duration::from_micros(self.max_us)
    }

    /// The average; zero when there was none.
    #[must_use]
    pub fn mean(&self) -> Duration {
        Duration::from_micros(self.sum_us.checked_div(self.count).unwrap_or(0))
    }

    /// What this percentage of them did not exceed, rounded up to a power of two of microseconds, and
    /// never more than the longest.
    #[must_use]
    pub fn percentile(&self, percent: u8) -> Duration {
        let rank = (u128::from(self.count) * u128::from(percent.min(100))).div_ceil(100);
        let mut below = 0u128;
        for (bucket, count) in self.buckets.iter().enumerate() {
            below += u128::from(*count);
            if below >= rank && below > 0 {
                return Duration::from_micros((1u64 << bucket).min(self.max_us));
            }
        }
        Duration::ZERO
    }
}

impl fmt::Debug for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Latency")
            .field("count", &self.count)
            .field("mean", &self.mean())
            .field("p50", &self.percentile(50))
            .field("p99", &self.percentile(99))
            .field("max", &self.max())
            .finish()
    }
}

/// What has been done with the messages of one topic. The group's retry topic is one of its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicStatistics {
    /// Pulls that were answered, with messages or without.
    pub pulls: u64,
    /// Pulls that failed or were refused.
    pub pull_failures: u64,
    /// How long pulls took that brought messages; those that wait for messages at the broker are not
    /// among them. Java: `PULL_RT`.
    pub pull_time: Latency,
    /// Messages that pulls brought and that are wanted. Java: `PULL_TPS`.
    pub pulled: u64,
    /// Their bytes, as the broker stores them.
    pub pulled_bytes: u64,
    /// Messages that pulls brought and whose tag nobody wants.
    pub filtered: u64,
    /// Records that can't be read.
    pub undecodable: u64,
    /// Answers to pulls, and records in them, that can't be true: left out, and never committed.
    pub bad_answers: u64,
    /// Messages that handlers dealt with. Java: `CONSUME_OK_TPS`.
    pub consumed: u64,
    /// Messages that handlers want again later, panics included, or put into the dead letters.
    /// Java: `CONSUME_FAILED_TPS`.
    pub failed: u64,
    /// From when a handler was called with a message to its answer. Java: `CONSUME_RT`.
    pub consume_time: Latency,
    /// Messages that handlers had for longer than `consume_timeout`.
    pub timed_out: u64,
    /// Messages that a broker took back, for another try or as dead letters.
    pub sent_back: u64,
    /// Of these, the ones that were sent anew because their broker did not take them back.
    pub sent_anew: u64,
    /// Messages that no broker takes back, so that they were skipped.
    pub passed_over: u64,
    /// Messages that could not be sent back or were handed back, and were offered here once more.
    pub offered_again: u64,
    /// Commits that a broker confirmed.
    pub commits: u64,
    /// Commits without an answer, or refused.
    pub commit_failures: u64,
}

/// What a consumer has done, and what it has now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerStatistics {
    /// The group.
    pub group: Arc<str>,
    /// By topic, in order of their names.
    pub topics: Vec<(Arc<str>, TopicStatistics)>,
    /// Answers of handlers that came too late to count: the queue had gone to another member, or the
    /// message was sent back after `consume_timeout`.
    pub late_answers: u64,
    /// Queues that are owned now.
    pub queues: usize,
    /// Messages that are cached now.
    pub cached: usize,
    /// Their bytes.
    pub cached_bytes: usize,
    /// Messages that handlers have now.
    pub in_hand: usize,
}

impl ConsumerStatistics {
    /// One topic's.
    #[must_use]
    pub fn topic(&self, topic: &str) -> Option<&TopicStatistics> {
        self.topics.iter().find(|(name, _)| &**name == topic).map(|(_, statistics)| statistics)
    }

    /// Messages that handlers dealt with, over all topics.
    #[must_use]
    pub fn consumed(&self) -> u64 {
        self.topics.iter().map(|(_, statistics)| statistics.consumed).sum()
    }

    /// Messages that were sent back, over all topics.
    #[must_use]
    pub fn sent_back(&self) -> u64 {
        self.topics.iter().map(|(_, statistics)| statistics.sent_back).sum()
    }
}

impl fmt::Display for ConsumerStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { group, queues, cached, cached_bytes, in_hand, .. } = self;
        write!(
            f,
            "{group}: {queues} queues, {cached} messages ({cached_bytes} bytes) cached, {in_hand} in hand"
        )?;
        for (topic, of) in &self.topics {
            write!(f, "\n  {topic}: {} pulled, {} consumed, {} failed", of.pulled, of.consumed, of.failed)?;
            let time = &of.consume_time;
            if time.count() > 0 {
                write!(f, "; p50 {:?}, p99 {:?}", time.percentile(50), time.percentile(99))?;
            }
            for (count, what) in [
                (of.timed_out, "timed out"),
                (of.sent_back, "sent back"),
                (of.offered_again, "offered again"),
                (of.passed_over, "passed over"),
                (of.undecodable, "undecodable"),
                (of.bad_answers, "bad answers"),
                (of.pull_failures, "pulls failed"),
                (of.commit_failures, "commits failed"),
            ] {
                if count > 0 {
                    write!(f, "; {count} {what}")?;
                }
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_the_next_power_of_two_and_never_beyond_the_longest() {
        let mut latency = Latency::default();
        assert_eq!((latency.percentile(50), latency.mean()), (Duration::ZERO, Duration::ZERO));
        for us in 1..=1_000 {
            latency.record(Duration::from_micros(us));
        }
        assert_eq!(latency.percentile(50), Duration::from_micros(512));
        assert_eq!(latency.percentile(99), Duration::from_micros(1_000));
        assert_eq!(latency.percentile(0), Duration::from_micros(2), "the smallest");
        assert_eq!((latency.count(), latency.max()), (1_000, Duration::from_millis(1)));
        assert_eq!(latency.mean(), Duration::from_micros(500));
    }

    #[test]
    fn the_shortest_and_the_longest_have_a_bucket() {
        let mut latency = Latency::default();
        latency.record(Duration::ZERO);
        assert_eq!(latency.percentile(100), Duration::ZERO);
        latency.record(Duration::MAX);
        assert_eq!(latency.count(), 2);
        assert_eq!(latency.percentile(100), Duration::from_micros(1 << 39));
    }
}
