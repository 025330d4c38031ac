//! Latencies: kept as they come, sorted into percentiles afterwards, so that measuring costs a store.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

/// The most latencies that one caller keeps.
const KEPT_MAX: u64 = 1 << 20;

/// Latencies of one caller, in nanoseconds.
pub(super) struct Samples {
    kept: Vec<u64>,
    /// One of so many messages is timed.
    every: u64,
}

impl Samples {
    /// For `count` messages. Where many are under way, one of eight is timed.
    pub(super) fn new(count: u64, window: usize) -> Self {
        let every = if window > 64 { 8 } else { 1 }.max(count.div_ceil(KEPT_MAX));
        let room = usize::try_from(count.div_ceil(every)).unwrap_or(0);
        Self { kept: Vec::with_capacity(room), every }
    }

    /// Now, if this message is one that is timed.
    pub(super) fn begin(&self, number: u64) -> Option<Instant> {
        number.is_multiple_of(self.every).then(Instant::now)
    }

    /// Whether this message is one that is timed.
    pub(super) fn takes(&self, number: u64) -> bool {
        number.is_multiple_of(self.every)
    }

    pub(super) fn push(&mut self, latency: Duration) {
        self.kept.push(u64::try_from(latency.as_nanos()).unwrap_or(u64::MAX));
    }
}

/// Median and 99th percentile of all latencies, in nanoseconds.
pub(super) fn percentiles<'a>(samples: impl IntoIterator<Item = &'a Samples>) -> (Option<u64>, Option<u64>) {
    percentiles_of(samples.into_iter().flat_map(|samples| samples.kept.iter().copied()))
}

pub(super) fn percentiles_of(latencies_ns: impl IntoIterator<Item = u64>) -> (Option<u64>, Option<u64>) {
    let Ok(mut histogram) = Histogram::<u64>::new(3) else { return (None, None) };
    histogram.auto(true);
    for latency in latencies_ns {
        // It grows with what it gets; only without memory could that fail.
        if histogram.record(latency).is_err() {
            return (None, None);
        }
    }
    if histogram.is_empty() {
        return (None, None);
    }
    (Some(histogram.value_at_quantile(0.5)), Some(histogram.value_at_quantile(0.99)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_of_all_callers_together() {
        let mut all = [Samples::new(500, 1), Samples::new(500, 1)];
        for number in 1..=1_000 {
            all[usize::from(number > 500)].push(Duration::from_micros(number));
        }
        let (p50, p99) = percentiles(&all);
        // Three digits are kept.
        assert_eq!(
            (p50.map(|ns| (ns + 500) / 1_000), p99.map(|ns| (ns + 500) / 1_000)),
            (Some(500), Some(990))
        );
        assert_eq!(percentiles(&[]), (None, None));
    }

    #[test]
    fn every_message_of_one_caller_is_timed_and_few_of_a_flood() {
        let timed = |count, window| {
            let samples = Samples::new(count, window);
            (0..count).filter(|number| samples.takes(*number)).count() as u64
        };
        assert_eq!(timed(1_000, 1), 1_000);
        assert_eq!(timed(1_000, 1_024), 125);
        assert!(timed(3 << 20, 1) <= KEPT_MAX);
    }
}
