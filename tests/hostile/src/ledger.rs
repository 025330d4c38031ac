//! What happened in a run, as servers and handlers saw it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rocketmq_client_core::time::Instant;

use crate::beat::Late;

/// A queue of the topic that is consumed: the broker's letter and the queue's number.
pub(crate) type Queue = (char, i32);

/// What everybody writes to.
#[derive(Clone, Debug, Default)]
pub(crate) struct SharedLedger(Arc<Mutex<Ledger>>);

impl SharedLedger {
    /// The ledger.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Ledger> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// For who writes to it only as long as others do.
    pub(crate) fn downgrade(&self) -> WeakLedger {
        WeakLedger(Arc::downgrade(&self.0))
    }
}

/// A ledger that may be gone.
#[derive(Clone, Debug)]
pub(crate) struct WeakLedger(Weak<Mutex<Ledger>>);

impl WeakLedger {
    /// The ledger, if a run still has it.
    pub(crate) fn upgrade(&self) -> Option<SharedLedger> {
        self.0.upgrade().map(SharedLedger)
    }
}

/// The books of one run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// When each message was put, by queue; its place is its offset.
    pub put: BTreeMap<Queue, Vec<Instant>>,
    /// Which were given to the handler, and when first.
    pub handled: BTreeMap<Queue, BTreeMap<i64, Instant>>,
    /// Which the script has spoilt: they may arrive or not.
    pub excused: BTreeMap<Queue, BTreeSet<i64>>,
    /// How often each was given to the handler.
    pub calls: BTreeMap<(Queue, i64), u32>,
    /// Messages given to the handler that nobody put.
    pub foreign: u64,
    /// When the hostile server was asked something, or connected to; what a user's call causes is left out.
    pub asked: Vec<(Instant, i32)>,
    /// Commits that pass what was consumed.
    pub bad_commits: Vec<String>,
    /// What clients wrote that is no frame.
    pub bad_frames: Vec<String>,
    /// Each send: when it began, how long it took, and whether it was stored.
    pub sends: Vec<(Instant, Duration, bool)>,
    /// How late what takes no time was done on the client's runtime.
    pub beats: Vec<Late>,
    /// How late the client's engine was called.
    pub oversleeps: Vec<Late>,
}

impl Ledger {
    /// A message was put at the end of a queue; the text of its body.
    pub(crate) fn put(&mut self, now: Instant, queue: Queue) -> String {
        let puts = self.put.entry(queue).or_default();
        puts.push(now);
        format!("{} {} {}", queue.0, queue.1, puts.len() - 1)
    }

    /// A body was given to the handler.
    pub(crate) fn handle(&mut self, now: Instant, body: &[u8]) {
        match self.parse(body) {
            Some((queue, offset)) => {
                self.handled.entry(queue).or_default().entry(offset).or_insert(now);
                *self.calls.entry((queue, offset)).or_default() += 1;
            }
            None => self.foreign += 1,
        }
    }

    /// The queue and offset of a message that was put.
    #[must_use]
    pub(crate) fn parse(&self, body: &[u8]) -> Option<(Queue, i64)> {
        let mut words = std::str::from_utf8(body).ok()?.split(' ');
        let letter = words.next()?.chars().next()?;
        let queue = (letter, words.next()?.parse().ok()?);
        let offset: usize = words.next()?.parse().ok()?;
        let known = self.put.get(&queue).is_some_and(|puts| offset < puts.len());
        known.then_some((queue, i64::try_from(offset).ok()?))
    }

    /// The lowest offset of a queue that was neither given to the handler nor spoilt.
    #[must_use]
    pub(crate) fn first_missing(&self, queue: Queue) -> i64 {
        let count = self.put.get(&queue).map_or(0, Vec::len);
        let seen = |offset: &i64| {
            self.handled.get(&queue).is_some_and(|seen| seen.contains_key(offset))
                || self.excused.get(&queue).is_some_and(|seen| seen.contains(offset))
        };
        let count = i64::try_from(count).unwrap_or(i64::MAX);
        (0..count).find(|offset| !seen(offset)).unwrap_or(count)
    }

    /// A group committed an offset.
    pub(crate) fn commit(&mut self, queue: Queue, offset: i64) {
        let first_missing = self.first_missing(queue);
        if offset > first_missing && self.bad_commits.len() < 8 {
            let count = self.put.get(&queue).map_or(0, Vec::len);
            self.bad_commits
                .push(format!("{queue:?} committed {offset}, consumed up to {first_missing} of {count}"));
        }
    }

    /// How many messages of a broker that were put until then have not arrived.
    #[must_use]
    pub(crate) fn missing(&self, broker: char, until: Instant) -> usize {
        let queues = self.put.iter().filter(|((letter, _), _)| *letter == broker);
        let missing = queues.map(|(queue, puts)| {
            let there = |offset: usize| {
                let offset = i64::try_from(offset).unwrap_or(i64::MAX);
                self.handled.get(queue).is_some_and(|seen| seen.contains_key(&offset))
                    || self.excused.get(queue).is_some_and(|seen| seen.contains(&offset))
            };
            (0..puts.len()).filter(|offset| puts[*offset] <= until && !there(*offset)).count()
        });
        missing.sum()
    }

    /// When the first message of a broker arrived that was put after `since`.
    #[must_use]
    pub(crate) fn first_handled_since(&self, broker: char, since: Instant) -> Option<Instant> {
        let queues = self.handled.iter().filter(|((letter, _), _)| *letter == broker);
        let times = queues.flat_map(|(queue, seen)| {
            let puts = &self.put[queue];
            seen.iter().filter(move |(offset, _)| {
                usize::try_from(**offset).is_ok_and(|offset| puts[offset] >= since)
            })
        });
        times.map(|(_, at)| *at).min()
    }

    /// The message of a broker that was given to the handler most often, and how often.
    #[must_use]
    pub(crate) fn most_often(&self, broker: char) -> Option<((Queue, i64), u32)> {
        let of_broker = self.calls.iter().filter(|(((letter, _), _), _)| *letter == broker);
        of_broker.max_by_key(|(_, times)| **times).map(|(message, times)| (*message, *times))
    }

    /// The longest time without a message of a broker between two times.
    #[must_use]
    pub(crate) fn longest_gap(&self, broker: char, from: Instant, to: Instant) -> Duration {
        let queues = self.handled.iter().filter(|((letter, _), _)| *letter == broker);
        let mut times: Vec<Instant> = queues
            .flat_map(|(_, seen)| seen.values().copied())
            .filter(|at| (from..=to).contains(at))
            .collect();
        times.extend([from, to]);
        times.sort_unstable();
        times.windows(2).map(|pair| pair[1] - pair[0]).max().unwrap_or_default()
    }

    /// The codes of the requests of the second of `from..to` with the most of them, each with how often.
    #[must_use]
    pub(crate) fn busiest_second(&self, from: Instant, to: Instant) -> BTreeMap<i32, usize> {
        let within: Vec<_> = self.asked.iter().filter(|(at, _)| (from..to).contains(at)).collect();
        let mut busiest = 0..0;
        let mut first = 0;
        for (last, (at, _)) in within.iter().enumerate() {
            while *at - within[first].0 >= Duration::from_secs(1) {
                first += 1;
            }
            if last + 1 - first > busiest.len() {
                busiest = first..last + 1;
            }
        }
        let mut codes = BTreeMap::new();
        for (_, code) in &within[busiest] {
            *codes.entry(*code).or_default() += 1;
        }
        codes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    #[test]
    fn a_commit_may_reach_what_was_consumed_or_spoilt_and_no_further() {
        let mut ledger = Ledger::default();
        let bodies: Vec<_> = (0..4).map(|ms| ledger.put(at(ms), ('b', 0))).collect();
        ledger.handle(at(9), bodies[0].as_bytes());
        ledger.excused.entry(('b', 0)).or_default().insert(1);
        ledger.commit(('b', 0), 2);
        assert!(ledger.bad_commits.is_empty());
        ledger.commit(('b', 0), 3);
        assert_eq!(ledger.bad_commits.len(), 1);
        assert_eq!(ledger.missing('b', at(9)), 2);
        assert_eq!(ledger.missing('b', at(2)), 1, "the last one came later");
        ledger.handle(at(9), b"b 0 99");
        assert_eq!(ledger.foreign, 1, "nobody put it");
    }

    #[test]
    fn gaps_and_rates_are_told() {
        let mut ledger = Ledger::default();
        let bodies: Vec<_> = (0..3).map(|_| ledger.put(at(0), ('a', 0))).collect();
        for (ms, body) in [100, 200, 900].into_iter().zip(&bodies) {
            ledger.handle(at(ms), body.as_bytes());
        }
        assert_eq!(ledger.longest_gap('a', at(0), at(1_000)), Duration::from_millis(700));
        assert_eq!(ledger.longest_gap('b', at(0), at(1_000)), Duration::from_secs(1));
        ledger.asked = [0, 100, 1_050, 1_060, 1_070].into_iter().map(|ms| (at(ms), 11)).collect();
        assert_eq!(ledger.busiest_second(at(0), at(5_000)), [(11, 4)].into());
    }
}
