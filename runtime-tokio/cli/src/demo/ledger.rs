//! Who had which message, by the number that each message carries.

use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::time::Instant;

use bytes::Bytes;

/// How large a body is.
const BODY_BYTES: usize = 128;
/// How many digits a number has.
const DIGITS: usize = 12;

/// What is known of every message.
#[derive(Debug)]
pub(crate) struct Ledger {
    began: Instant,
    sent_at_us: Vec<AtomicU64>,
    stored: Vec<AtomicBool>,
    consumed: Vec<AtomicU8>,
    latency_us: Vec<AtomicU64>,
    distinct: AtomicU64,
    foreign: AtomicU64,
    /// The message that is dropped on purpose, until it was.
    dropped: Option<u64>,
    dropped_yet: AtomicBool,
}

impl Ledger {
    /// For messages numbered from 0; with `lose_one` the one in the middle is consumed without a trace.
    pub(crate) fn new(messages: u64, lose_one: bool) -> Self {
        Self {
            began: Instant::now(),
            sent_at_us: column(messages),
            stored: column(messages),
            consumed: column(messages),
            latency_us: column(messages),
            distinct: AtomicU64::new(0),
            foreign: AtomicU64::new(0),
            dropped: lose_one.then_some(messages / 2),
            dropped_yet: AtomicBool::new(false),
        }
    }

    /// The body of a message that is sent now.
    pub(crate) fn body(&self, number: u64) -> Bytes {
        self.sent_at_us[index(number)].store(self.now_us(), Ordering::Relaxed);
        let mut body = format!("{number:0DIGITS$} ").into_bytes();
        body.resize(BODY_BYTES, b'.');
        body.into()
    }

    /// The broker says that it has the message.
    pub(crate) fn note_stored(&self, number: u64) {
        self.stored[index(number)].store(true, Ordering::Relaxed);
    }

    /// A handler is done with a message.
    pub(crate) fn note_consumed(&self, body: &[u8]) {
        let Some(number) = number(body).filter(|number| index(*number) < self.consumed.len()) else {
            self.foreign.fetch_add(1, Ordering::Relaxed);
            return;
        };
        if self.dropped == Some(number) {
            self.dropped_yet.store(true, Ordering::Relaxed);
            return;
        }
        let latency = self.now_us().saturating_sub(self.sent_at_us[index(number)].load(Ordering::Relaxed));
        if self.consumed[index(number)].fetch_add(1, Ordering::Relaxed) == 0 {
            self.latency_us[index(number)].store(latency, Ordering::Relaxed);
            self.distinct.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many different messages were dealt with, the dropped one among them.
    pub(crate) fn settled(&self) -> u64 {
        self.distinct.load(Ordering::Relaxed) + u64::from(self.dropped_yet.load(Ordering::Relaxed))
    }

    /// Whether every message that is stored was dealt with.
    pub(crate) fn all_settled(&self) -> bool {
        self.settled() >= self.stored()
    }

    /// How many messages the broker said that it has.
    pub(crate) fn stored(&self) -> u64 {
        self.stored.iter().map(|stored| u64::from(stored.load(Ordering::Relaxed))).sum()
    }

    /// Whether the broker said that it has this one.
    pub(crate) fn was_stored(&self, number: u64) -> bool {
        self.stored.get(index(number)).is_some_and(|stored| stored.load(Ordering::Relaxed))
    }

    /// How often a message was consumed.
    pub(crate) fn times_consumed(&self, number: u64) -> u8 {
        self.consumed.get(index(number)).map_or(0, |times| times.load(Ordering::Relaxed))
    }

    /// How many messages there are.
    pub(crate) fn len(&self) -> u64 {
        self.consumed.len() as u64
    }

    /// Deliveries that were none of ours.
    pub(crate) fn foreign(&self) -> u64 {
        self.foreign.load(Ordering::Relaxed)
    }

    /// Times from send to first consumption, in microseconds.
    pub(crate) fn latencies_us(&self) -> impl Iterator<Item = u64> {
        (0..self.len())
            .filter(|number| self.times_consumed(*number) > 0)
            .map(|number| self.latency_us[index(number)].load(Ordering::Relaxed))
    }

    fn now_us(&self) -> u64 {
        u64::try_from(self.began.elapsed().as_micros()).unwrap_or(u64::MAX)
    }
}

/// The number that a body carries.
pub(crate) fn number(body: &[u8]) -> Option<u64> {
    std::str::from_utf8(body.get(..DIGITS)?).ok()?.parse().ok()
}

fn column<T: Default>(messages: u64) -> Vec<T> {
    (0..messages).map(|_| T::default()).collect()
}

fn index(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_second_consumption_is_no_second_message() {
        let ledger = Ledger::new(3, false);
        let bodies: Vec<Bytes> = (0..3).map(|number| ledger.body(number)).collect();
        assert_eq!(bodies[2].len(), BODY_BYTES);
        (0..3).for_each(|number| ledger.note_stored(number));
        ledger.note_consumed(&bodies[0]);
        ledger.note_consumed(&bodies[0]);
        ledger.note_consumed(&bodies[2]);
        ledger.note_consumed(b"a message of somebody else");
        assert_eq!((ledger.settled(), ledger.times_consumed(0), ledger.foreign()), (2, 2, 1));
        assert!(!ledger.all_settled());
    }

    #[test]
    fn the_message_that_is_dropped_on_purpose_is_not_counted_as_consumed() {
        let ledger = Ledger::new(3, true);
        (0..3).for_each(|number| {
            let body = ledger.body(number);
            ledger.note_stored(number);
            ledger.note_consumed(&body);
        });
        assert!(ledger.all_settled());
        assert_eq!(ledger.times_consumed(1), 0);
    }
}
