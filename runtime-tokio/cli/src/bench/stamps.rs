//! When each message was sent and when it came, by the number in its body.

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

/// Sent before anything is counted; a group that starts late may miss the first.
pub(super) const WARM_UP: u64 = 200;
/// How long nothing may come before what is missing counts as failed.
pub(super) const STALL_MAX: Duration = Duration::from_secs(20);
/// How often to look.
const TICK: Duration = Duration::from_millis(2);

/// Times in nanoseconds; 0 is not yet. Numbers below `count` count, the next [`WARM_UP`] come before them.
pub(super) struct Stamps {
    zero: Instant,
    sent: Vec<AtomicU64>,
    came: Vec<AtomicU64>,
    /// Of those that are counted.
    seen: AtomicU64,
    count: u64,
}

impl Stamps {
    pub(super) fn new(count: u64) -> Self {
        let times = || (0..count + WARM_UP).map(|_| AtomicU64::new(0)).collect();
        Self { zero: Instant::now(), sent: times(), came: times(), seen: AtomicU64::new(0), count }
    }

    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.zero.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    /// The message is about to be sent.
    pub(super) fn sends(&self, number: u64) {
        self.sent[number as usize].store(self.now(), Ordering::Relaxed);
    }

    /// A message came at `now`.
    pub(super) fn came(&self, now: u64, body: &[u8]) {
        let Some(number) = body.first_chunk::<8>().and_then(|mark| number_of(u64::from_be_bytes(*mark)))
        else {
            return;
        };
        let Some(slot) = usize::try_from(number).ok().and_then(|index| self.came.get(index)) else { return };
        // A second delivery is not looked at.
        let first = slot.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if first && number < self.count {
            self.seen.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How many of those that are counted have come.
    pub(super) fn seen(&self) -> u64 {
        self.seen.load(Ordering::Relaxed)
    }

    /// Until so many have come, or none has for too long.
    pub(super) fn wait(&self, count: u64) {
        let (mut seen, mut since) = (0, Instant::now());
        while seen < count && since.elapsed() < STALL_MAX {
            thread::sleep(TICK);
            let now = self.seen();
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
        }
    }

    /// Of those that are counted and have come.
    pub(super) fn latencies(&self) -> Vec<u64> {
        let times = self.sent.iter().zip(&self.came).take(usize::try_from(self.count).unwrap_or(usize::MAX));
        let times = times.map(|(sent, came)| (sent.load(Ordering::Relaxed), came.load(Ordering::Relaxed)));
        times.filter(|(_, came)| *came > 0).map(|(sent, came)| came.saturating_sub(sent)).collect()
    }
}

/// What a body begins with. A group that is new to a young queue gets what was sent before it came, so
/// that messages of an earlier process must not pass for ours.
pub(super) fn mark_of(number: u64) -> [u8; 8] {
    (u64::from(std::process::id()) << 32 | number).to_be_bytes()
}

fn number_of(mark: u64) -> Option<u64> {
    (mark >> 32 == u64::from(std::process::id())).then_some(mark & u64::from(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_another_process_is_not_ours() {
        let mark = u64::from_be_bytes(mark_of(7));
        assert_eq!(number_of(mark), Some(7));
        assert_eq!(number_of(mark ^ 1 << 40), None);
    }

    #[test]
    fn a_message_counts_once_and_one_of_the_warm_up_never() {
        let stamps = Stamps::new(2);
        stamps.sends(1);
        let sent = stamps.now();
        for (later, number) in [(500, 1), (900, 1), (0, 2), (0, 2 + WARM_UP)] {
            stamps.came(sent + later, &mark_of(number));
        }
        stamps.came(sent, b"short");
        assert_eq!(stamps.seen(), 1);
        let latencies = stamps.latencies();
        assert!(latencies.len() == 1 && latencies[0] < 900 + sent, "{latencies:?}");
    }
}
