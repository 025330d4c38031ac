//! What is held against the books of a run.

use std::time::Duration;

use rocketmq_client_core::time::Instant;

use crate::case::{Case, Phase};
use crate::ledger::Ledger;
use crate::log;
use crate::program::{CLOSE_TIMEOUT, Measured, SEND_TIMEOUT};
use crate::server::Hours;
use crate::world::Adapter;

/// The longest time without a message of the good broker, of which one comes every 100 ms.
const GAP_MAX: Duration = Duration::from_secs(1);
/// Bytes over idle.
const HEAP_MAX: usize = 64 << 20;
/// Lines in the log a second.
const LINES_MAX: usize = 10;
/// Characters of a line.
const LINE_CHARS_MAX: usize = 2_000;
/// Sockets of the client.
const SOCKETS_MAX: usize = 80;
/// How often a message may be given to the handler that nobody wants again.
const CALLS_MAX: u32 = 12;
/// By how much a real run may be later: the machine has other things to do.
const REAL_SLACK: Duration = Duration::from_secs(6);
/// By how much an engine may be called later than what else is due on its runtime.
const OVERSLEEP_MAX: Duration = Duration::from_secs(3);
/// By how many times the requests of a second may be more in a real run: seconds run together.
const REAL_FACTOR: usize = 3;

/// A bar that was missed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Miss {
    /// Which bar.
    pub bar: &'static str,
    /// What was measured.
    pub figure: String,
}

/// For how long of the recovery nothing ran at all.
fn recovery_starved(ledger: &Ledger, hours: Hours, took: Duration) -> Duration {
    ledger.starved(hours.ends, hours.ends + took)
}

/// Every bar that a run has missed.
#[must_use]
pub(crate) fn misses(
    case: &Case,
    adapter: Adapter,
    hours: Hours,
    ledger: &Ledger,
    measured: &Measured,
) -> Vec<Miss> {
    let real = adapter != Adapter::Simulator;
    let slack = if real { REAL_SLACK } else { Duration::from_millis(100) };
    let mut misses = Vec::new();
    let mut miss = |bar, figure: String| misses.push(Miss { bar, figure });
    let stopped = case.phase == Phase::Stop;

    if !stopped {
        match measured.recovered {
            Some(took)
                if took
                    <= case.holds.recovers_within
                        + case.slow
                        + slack
                        + recovery_starved(ledger, hours, took) => {}
            Some(took) => miss("recovery", format!("{took:.1?}")),
            None => miss("recovery", "never".into()),
        }
    }
    if !stopped && case.holds.flows {
        let to = hours.ends + measured.recovered.unwrap_or_default();
        let gap = ledger.longest_gap(
            'a',
            hours.begins + Duration::from_secs(u64::from(case.phase == Phase::Start)),
            to,
        );
        if gap > GAP_MAX + if real { REAL_SLACK / 2 } else { Duration::ZERO } {
            miss("gap", format!("{gap:.1?} without a message of the good broker"));
        }
    }
    if !stopped {
        for (letter, bound) in [('a', true), ('b', case.holds.whole)] {
            let missing = ledger.missing(letter, measured.stopped.unwrap_or(Instant::FAR_FUTURE));
            // The last ones may have come while it closed.
            if bound && missing > 3 {
                miss("lost", format!("{missing} messages of broker-{letter}"));
            }
        }
    }
    for (letter, bound) in [('a', true), ('b', case.holds.whole)] {
        if let Some((message, times)) =
            ledger.most_often(letter).filter(|(_, times)| bound && *times > CALLS_MAX)
        {
            miss("again", format!("{message:?} was delivered {times} times"));
        }
    }
    for text in ledger.bad_commits.iter().take(1).filter(|_| case.holds.whole) {
        miss("commit", text.clone());
    }
    for text in ledger.bad_frames.iter().take(1) {
        miss("frame", text.clone());
    }
    if ledger.foreign > 0 && !case.holds.foreign {
        miss("foreign", format!("{} records that nobody put were delivered", ledger.foreign));
    }
    let asked = ledger.busiest_second(hours.begins + Duration::from_secs(1), hours.ends);
    let count: usize = asked.values().sum();
    if count > case.holds.asked_max * if real { REAL_FACTOR } else { 1 } {
        miss("asked", format!("{count} requests a second, by code {asked:?}"));
    }
    let starved = |(began, took, _): &(Instant, Duration, bool)| ledger.starved(*began, *began + *took);
    let mut sends = ledger.sends.iter().map(|send| (send.1, starved(send)));
    if let Some((took, starved)) = sends.find(|(took, starved)| *took > SEND_TIMEOUT + slack + *starved) {
        miss("send", format!("ended after {took:.1?}, for {starved:.1?} of which nothing ran"));
    }
    let overslept = ledger.longest_oversleep();
    if overslept > OVERSLEEP_MAX {
        miss("woken", format!("the engine was called {overslept:.1?} late by a runtime that was in time"));
    }
    for (bar, took) in [("close", measured.consumer_closed), ("close", measured.client_closed)] {
        match took {
            Some(took) if took <= CLOSE_TIMEOUT + slack => {}
            Some(took) => miss(bar, format!("{took:.1?}")),
            None => miss(bar, "the consumer ended by itself".into()),
        }
    }
    if let Some(error) = &measured.consumer_error {
        miss("stop", error.clone());
    }
    if measured.heap > HEAP_MAX {
        miss("memory", format!("{} MiB", measured.heap >> 20));
    }
    if measured.sockets > SOCKETS_MAX {
        miss("sockets", measured.sockets.to_string());
    }
    let lines = log::lines();
    let first = hours.begins.as_millis() / 1_000;
    let busiest =
        lines.by_second.iter().filter(|(second, _)| **second != first).map(|(_, count)| *count).max();
    // The client's seconds don't begin with those of a real run.
    let lines_max = if real { LINES_MAX * 2 } else { LINES_MAX };
    if let Some(busiest) = busiest.filter(|count| *count > lines_max) {
        miss("log", format!("{busiest} lines in a second"));
    }
    if lines.longest > LINE_CHARS_MAX {
        miss("log", format!("a line of {} characters", lines.longest));
    }
    if lines.raw > 0 {
        miss("log", format!("{} lines with control characters", lines.raw));
    }
    misses
}
