//! At most so many messages a second.

use std::time::{Duration, Instant};

/// When each message may go. After a stall it catches up.
#[derive(Debug, Clone, Copy)]
pub(super) struct Pace {
    begun: Instant,
    interval: Option<Duration>,
}

impl Pace {
    /// `rate` messages a second, shared by `callers`, from now on.
    pub(super) fn new(rate: Option<f64>, callers: u16) -> Self {
        let interval = rate.map(|rate| Duration::from_secs_f64(f64::from(callers) / rate));
        Self { begun: Instant::now(), interval }
    }

    /// When a caller's message may go, if it has to wait.
    pub(super) fn wait(&self, number: u64) -> Option<Instant> {
        let due = self.begun + self.interval?.mul_f64(number as f64);
        (due > Instant::now()).then_some(due)
    }

    /// How many of `wanted` messages behind the first `sent` may go now.
    pub(super) fn allowed(&self, sent: u64, wanted: u64) -> u64 {
        let Some(interval) = self.interval else { return wanted };
        let due = 1 + (self.begun.elapsed().as_secs_f64() / interval.as_secs_f64()) as u64;
        due.saturating_sub(sent).min(wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_a_rate_nobody_waits() {
        let pace = Pace::new(None, 1);
        assert_eq!((pace.wait(1_000_000), pace.allowed(0, 7)), (None, 7));
    }

    #[test]
    fn callers_share_a_rate() {
        let pace = Pace::new(Some(2.0), 4);
        assert_eq!(pace.wait(3), Some(pace.begun + Duration::from_secs(6)));
        assert_eq!(pace.allowed(0, 9), 1);
        assert_eq!(pace.allowed(1, 9), 0);
    }
}
