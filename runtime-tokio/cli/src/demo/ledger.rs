//! Who got what: every stored record, how often it was consumed, and how long it took.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rmq::{ReceivedMessage, SendReceipt};
use rocketmq_client_tokio as rmq;

use super::cluster::Stored;

/// An hour: longer than a demo takes.
const LATENCY_US_MAX: u64 = 3_600_000_000;

/// A place in the broker's log: queue and offset.
pub(super) type Place = (i32, i64);

/// What producers and consumers have done. Shared by all of them.
pub(super) struct Ledger {
    topic: Arc<str>,
    started: Instant,
    /// When each message was sent, in ns since the start; 0 for not yet.
    sent_at: Vec<AtomicU64>,
    sent: AtomicU64,
    distinct: AtomicU64,
    duplicates: AtomicU64,
    books: Mutex<Books>,
}

struct Books {
    /// By queue and offset.
    records: Vec<Vec<Record>>,
    /// Messages that came by way of the retry topic, where their first place can't be seen.
    retried: BTreeSet<u32>,
    latency_us: Histogram<u64>,
    cut_at: Option<Instant>,
    /// What the victim held and nobody has consumed yet.
    orphans: BTreeSet<Place>,
    recovered_at: Option<Instant>,
    lose_next: bool,
}

#[derive(Clone, Copy, Default)]
struct Record {
    /// Which message it is, once somebody has told.
    number: Option<u32>,
    confirmed: bool,
    consumed: bool,
}

impl Ledger {
    pub(super) fn new(messages: u32, queues: i32, topic: Arc<str>) -> Self {
        let queues = usize::try_from(queues).unwrap_or(0);
        Self {
            topic,
            started: Instant::now(),
            sent_at: (0..messages).map(|_| AtomicU64::new(0)).collect(),
            sent: AtomicU64::new(0),
            distinct: AtomicU64::new(0),
            duplicates: AtomicU64::new(0),
            books: Mutex::new(Books {
                records: vec![Vec::new(); queues],
                retried: BTreeSet::new(),
                latency_us: Histogram::new_with_bounds(1, LATENCY_US_MAX, 3)
                    .expect("bounds that are allowed"),
                cut_at: None,
                orphans: BTreeSet::new(),
                recovered_at: None,
                lose_next: false,
            }),
        }
    }

    /// Messages that are to be sent.
    pub(super) fn total(&self) -> u64 {
        self.sent_at.len() as u64
    }

    /// Messages that a broker has confirmed.
    pub(super) fn sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Messages that were consumed, each counted once.
    pub(super) fn distinct(&self) -> u64 {
        self.distinct.load(Ordering::Relaxed)
    }

    /// How often a message was consumed that had been before.
    pub(super) fn duplicates(&self) -> u64 {
        self.duplicates.load(Ordering::Relaxed)
    }

    /// The message of this number is on its way.
    pub(super) fn sending(&self, number: u32) {
        if let Some(sent_at) = self.sent_at.get(number as usize) {
            sent_at.store(self.nanos().max(1), Ordering::Relaxed);
        }
    }

    /// A broker has confirmed it.
    pub(super) fn confirmed(&self, number: u32, receipt: &SendReceipt) {
        let mut books = self.books();
        if let Some(record) = books.record((receipt.queue.queue_id, receipt.queue_offset), self.offset_max())
        {
            record.confirmed = true;
            record.number = Some(number);
        }
        drop(books);
        self.sent.fetch_add(1, Ordering::Relaxed);
    }

    /// A handler has done its work.
    pub(super) fn consumed(&self, message: &ReceivedMessage) {
        self.count(message, false);
    }

    /// As [`consumed`](Self::consumed), by the consumer that is to lose a message if one must be lost.
    pub(super) fn survivor_consumed(&self, message: &ReceivedMessage) {
        self.count(message, true);
    }

    fn count(&self, message: &ReceivedMessage, may_lose: bool) {
        let now = self.nanos();
        let Some(number) = number_of(message) else { return };
        let mut books = self.books();
        let place = place_of(message);
        let is_first = if message.queue().topic == self.topic {
            let Some(record) = books.record(place, self.offset_max()) else { return };
            if may_lose && !record.consumed && books.lose_next {
                books.lose_next = false;
                return;
            }
            let Some(record) = books.record(place, self.offset_max()) else { return };
            record.number = Some(number);
            !std::mem::replace(&mut record.consumed, true)
        } else {
            let known = books.records.iter().flatten().any(|record| record.is_consumed_as(number));
            books.retried.insert(number) && !known
        };
        if is_first {
            let sent_at = self.sent_at.get(number as usize).map_or(now, |at| at.load(Ordering::Relaxed));
            books.latency_us.saturating_record(now.saturating_sub(sent_at) / 1_000);
            books.adopted(place);
            self.distinct.fetch_add(1, Ordering::Relaxed);
        } else {
            self.duplicates.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The victim is gone, with these in its hands.
    pub(super) fn cut(&self, held: Vec<Place>, lose_one: bool) {
        let mut books = self.books();
        books.cut_at = Some(Instant::now());
        books.lose_next = lose_one;
        let orphans = held.into_iter().filter(|place| !books.is_consumed(*place)).collect();
        books.orphans = orphans;
    }

    /// Records that the broker has, or has confirmed, and that nobody consumed.
    pub(super) fn missing(&self, stored: &Stored) -> Vec<Place> {
        let books = self.books();
        let mut missing = Vec::new();
        for (queue_id, range) in stored {
            let known = usize::try_from(*queue_id).ok().and_then(|queue| books.records.get(queue));
            let known = known.map_or(&[][..], Vec::as_slice);
            // The broker may not show yet what it has confirmed.
            for offset in range.start..range.end.max(known.len().try_into().unwrap_or(i64::MAX)) {
                let record = usize::try_from(offset).ok().and_then(|at| known.get(at)).copied();
                let record = record.unwrap_or_default();
                let exists = record.confirmed || range.contains(&offset);
                let retried = record.number.is_some_and(|number| books.retried.contains(&number));
                if exists && !record.consumed && !retried {
                    missing.push((*queue_id, offset));
                }
            }
        }
        missing
    }

    /// From the cut until the last message was consumed that the victim had held.
    pub(super) fn recovery(&self) -> Option<Duration> {
        let books = self.books();
        Some(books.recovered_at?.duration_since(books.cut_at?))
    }

    /// From the call of `send` to the first time that a handler had it.
    pub(super) fn latency_us(&self) -> Histogram<u64> {
        self.books().latency_us.clone()
    }

    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nanos(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A fresh topic has no offset beyond what was sent, even if each was sent thrice.
    fn offset_max(&self) -> i64 {
        i64::try_from(self.sent_at.len() * 3).unwrap_or(i64::MAX)
    }
}

impl Books {
    /// The record at a place, unless the place can't be.
    fn record(&mut self, (queue_id, offset): Place, offset_max: i64) -> Option<&mut Record> {
        let queue = self.records.get_mut(usize::try_from(queue_id).ok()?)?;
        let at = usize::try_from(offset).ok().filter(|_| offset <= offset_max)?;
        if queue.len() <= at {
            queue.resize(at + 1, Record::default());
        }
        queue.get_mut(at)
    }

    fn is_consumed(&self, (queue_id, offset): Place) -> bool {
        let queue = usize::try_from(queue_id).ok().and_then(|queue| self.records.get(queue));
        let record = queue.and_then(|queue| queue.get(usize::try_from(offset).ok()?));
        record.is_some_and(|record| record.consumed)
    }

    fn adopted(&mut self, place: Place) {
        if self.orphans.remove(&place) && self.orphans.is_empty() {
            self.recovered_at = Some(Instant::now());
        }
    }
}

impl Record {
    fn is_consumed_as(self, number: u32) -> bool {
        self.consumed && self.number == Some(number)
    }
}

/// Where a delivery stands in its queue.
pub(super) fn place_of(message: &ReceivedMessage) -> Place {
    (message.queue().queue_id, message.queue_offset())
}

/// The key of the message with this number.
pub(super) fn key_of(number: u32) -> String {
    format!("demo-{number}")
}

fn number_of(message: &ReceivedMessage) -> Option<u32> {
    message.keys().next()?.strip_prefix("demo-")?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ledger() -> Ledger {
        Ledger::new(4, 2, "t".into())
    }

    fn stored() -> Stored {
        Stored::from([(0, 0..2), (1, 0..1)])
    }

    fn set(ledger: &Ledger, place: Place, change: impl FnOnce(&mut Record)) {
        change(ledger.books().record(place, 100).expect("a place that can be"));
    }

    #[test]
    fn what_the_log_has_and_nobody_consumed_is_missing() {
        let ledger = ledger();
        assert_eq!(ledger.missing(&stored()), [(0, 0), (0, 1), (1, 0)]);
        set(&ledger, (0, 1), |record| record.consumed = true);
        assert_eq!(ledger.missing(&stored()), [(0, 0), (1, 0)]);
    }

    #[test]
    fn what_was_confirmed_is_missing_although_the_log_does_not_show_it() {
        let ledger = ledger();
        set(&ledger, (1, 3), |record| record.confirmed = true);
        assert!(ledger.missing(&stored()).contains(&(1, 3)));
        assert!(!ledger.missing(&stored()).contains(&(1, 2)));
    }

    #[test]
    fn what_came_by_the_retry_topic_is_not_missing() {
        let ledger = ledger();
        set(&ledger, (0, 0), |record| record.number = Some(7));
        ledger.books().retried.insert(7);
        assert_eq!(ledger.missing(&stored()), [(0, 1), (1, 0)]);
    }

    #[test]
    fn an_offset_that_can_not_be_takes_no_memory() {
        let ledger = ledger();
        assert!(ledger.books().record((0, i64::MAX), ledger.offset_max()).is_none());
        assert!(ledger.books().record((9, 0), ledger.offset_max()).is_none());
        assert!(ledger.books().record((-1, -1), ledger.offset_max()).is_none());
    }
}
