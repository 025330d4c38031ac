//! Whether a run was held up by its machine or by the client: a task that does nothing but sleep, on the client's own
//! runtime, and when the client's engine was called against when it had asked to be.
//!
//! ```text
//!   engine late, beats in time ──▶ it was not woken        both late ──▶ the machine had other things to do
//! ```

use std::future::Future;
use std::time::Duration;

use rocketmq_client_core::client::{Input, Output};
use rocketmq_client_core::driver::{Start, Tap};
use rocketmq_client_core::time::Instant;

use crate::ledger::{Ledger, SharedLedger, WeakLedger};
use crate::world::{Adapter, Clock};

/// How often it beats.
const PERIOD: Duration = Duration::from_millis(20);

/// A time during which somebody should have run and did not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Late {
    /// When he should have.
    pub due: Instant,
    /// When he did.
    pub came: Instant,
}

impl Late {
    /// How much of it lies between these.
    fn within(&self, from: Instant, to: Instant) -> Duration {
        self.came.min(to).saturating_since(self.due.max(from))
    }
}

impl Ledger {
    /// For how long between these the runtime did not even do what takes no time.
    #[must_use]
    pub(crate) fn starved(&self, from: Instant, to: Instant) -> Duration {
        self.beats.iter().map(|late| late.within(from, to)).sum()
    }

    /// The longest time by which the engine was called late for which the runtime is not to blame.
    #[must_use]
    pub(crate) fn longest_oversleep(&self) -> Duration {
        let own = |late: &Late| {
            let starved = self.starved(late.due, late.came);
            late.came.saturating_since(late.due).saturating_sub(starved)
        };
        self.oversleeps.iter().map(own).max().unwrap_or_default()
    }
}

/// Beats as long as the run lasts.
pub(crate) fn begin(clock: &Clock, adapter: Adapter, ledger: &SharedLedger) {
    let (clock, ledger) = (clock.clone(), ledger.downgrade());
    match adapter {
        Adapter::AsyncStd => {
            drop(async_std::task::spawn(async move {
                while beat(&clock, &ledger, async_std::task::sleep(PERIOD)).await {}
            }));
        }
        Adapter::TokioCurrentThread | Adapter::TokioMultiThread => {
            drop(tokio::spawn(
                async move { while beat(&clock, &ledger, tokio::time::sleep(PERIOD)).await {} },
            ));
        }
        // Whoever waits drives the engine: a thread like any other.
        Adapter::Blocking | Adapter::Simulator => {
            std::thread::spawn(move || {
                let rest = || async { std::thread::sleep(PERIOD) };
                while rocketmq_client_core::driver::block_on(beat(&clock, &ledger, rest())) {}
            });
        }
    }
}

/// One beat; false when the run is over.
async fn beat(clock: &Clock, ledger: &WeakLedger, rest: impl Future<Output = ()>) -> bool {
    let due = clock.now() + PERIOD;
    rest.await;
    let came = clock.now();
    let Some(ledger) = ledger.upgrade() else { return false };
    ledger.lock().beats.push(Late { due, came });
    true
}

/// Sees when the engine is called.
pub(crate) struct Calls {
    clock: Clock,
    ledger: SharedLedger,
    wanted: Instant,
}

impl Calls {
    pub(crate) fn new(clock: Clock, ledger: SharedLedger) -> Self {
        Self { clock, ledger, wanted: Instant::FAR_FUTURE }
    }
}

impl Tap for Calls {
    fn start(&mut self, _: &Start<'_>) {}

    fn input(&mut self, now: Instant, _: &Input) {
        let late = now.saturating_since(self.wanted);
        if late > PERIOD {
            let came = self.clock.now();
            let due = Instant::ZERO + came.saturating_since(Instant::ZERO).saturating_sub(late);
            self.ledger.lock().oversleeps.push(Late { due, came });
        }
        self.wanted = Instant::FAR_FUTURE;
    }

    fn output(&mut self, _: Instant, output: &Output) {
        if let Output::Wait(at) = output {
            self.wanted = *at;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn late(due: u64, came: u64) -> Late {
        Late { due: at(due), came: at(came) }
    }

    #[test]
    fn an_engine_that_oversleeps_is_to_blame_for_what_the_runtime_is_not() {
        let mut ledger = Ledger { beats: vec![late(20, 21), late(41, 42)], ..Ledger::default() };
        ledger.oversleeps = vec![late(20, 3_020)];
        assert_eq!(ledger.longest_oversleep(), Duration::from_millis(2_998));
        ledger.beats.push(late(62, 3_000));
        assert_eq!(ledger.longest_oversleep(), Duration::from_millis(60));
        assert_eq!(ledger.starved(at(1_000), at(2_000)), Duration::from_secs(1));
        assert_eq!(ledger.starved(at(4_000), at(5_000)), Duration::ZERO);
    }
}
