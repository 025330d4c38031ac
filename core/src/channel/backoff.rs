//! How long an address is left alone: after it could not be reached, and after its connections came up and broke
//! again and again.
//!
//! ```text
//!   no connection, or none that answered ──▶ a pause, twice as long each time
//!   answered, lost after less than 1 s   ──▶ made again at once; a pause as above from the third time on
//!   an offence                           ──▶ a pause as above, whatever went before
//!   answered, lived for 1 s or more      ──▶ all is forgiven
//! ```
//! Java has no pauses.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::time::Duration;

use crate::error::Cause;
use crate::id::ChannelId;
use crate::time::{Instant, doubled};

use super::{BACK_OFFS_MAX, Channels};

/// A connection that has answered and lived so long was of use, whatever its end: made again at once it is made once a
/// second at most.
const OF_USE_AFTER: Duration = Duration::from_secs(1);

/// The pause of one address, doubled with each failure since it was of use.
#[derive(Clone, Debug)]
pub(super) struct BackOff {
    /// Why the last attempt failed; what requests are told during the pause.
    cause: Cause,
    /// The end of the pause.
    until: Instant,
    /// Whether it has answered since it failed last.
    answers: bool,
    /// Another loss of a connection that had answered is no failure yet: what ends one by chance may end two.
    spared: bool,
    failures: u32,
}

impl BackOff {
    fn new(cause: Cause) -> Self {
        Self { cause, until: Instant::ZERO, answers: true, spared: true, failures: 0 }
    }

    fn failed(&mut self, now: Instant, cause: Cause, min: Duration, max: Duration) {
        self.until = now + doubled(min, self.failures, max);
        self.failures = self.failures.saturating_add(1);
        self.answers = false;
        self.spared = false;
        self.cause = cause;
    }
}

/// `address` has answered on a new connection: the pause is over. How long the next one is does not change.
pub(super) fn answered(table: &mut BTreeMap<Arc<str>, BackOff>, address: &str) {
    if let Some(back_off) = table.get_mut(address) {
        back_off.answers = true;
        back_off.until = Instant::ZERO;
    }
}

impl<P: Clone> Channels<P> {
    /// Why the last attempt to reach `address` failed, if it did and none has worked since.
    pub fn last_failure(&self, address: &str) -> Option<&Cause> {
        let back_off = self.back_off.get(address).filter(|back_off| !back_off.answers)?;
        Some(&back_off.cause)
    }

    /// Whether `address` is left alone for now because it could not be reached; until when, if so.
    pub fn paused_until(&self, now: Instant, address: &str) -> Option<Instant> {
        self.paused(now, address).map(|(until, _)| until)
    }

    /// As [`paused_until`](Self::paused_until), with the reason.
    pub(super) fn paused(&self, now: Instant, address: &str) -> Option<(Instant, &Cause)> {
        let back_off = self.back_off.get(address)?;
        (now < back_off.until).then_some((back_off.until, &back_off.cause))
    }

    /// Counts a failure against `address`, which gets a pause for it.
    pub(super) fn leave_alone(&mut self, now: Instant, address: &Arc<str>, cause: &Cause) {
        let (min, max) = (self.limits.delay_min, self.limits.delay_max);
        self.remembered(now, address, cause).failed(now, cause.clone(), min, max);
    }

    /// A connection that had answered was lost: once or twice is no failure.
    pub(super) fn broke(&mut self, now: Instant, id: ChannelId, cause: &Cause) {
        let Some(channel) = self.arena.get(id) else { return };
        let (address, age) = (channel.address.clone(), now.saturating_since(channel.opened));
        if age >= OF_USE_AFTER {
            self.back_off.remove(&address);
        } else if let Some(back_off) = self.back_off.get_mut(&address) {
            if !core::mem::take(&mut back_off.spared) {
                self.leave_alone(now, &address, cause);
            }
        } else {
            self.remembered(now, &address, cause);
        }
    }

    fn remembered(&mut self, now: Instant, address: &Arc<str>, cause: &Cause) -> &mut BackOff {
        if self.back_off.len() >= BACK_OFFS_MAX {
            self.back_off.retain(|_, back_off| now < back_off.until);
        }
        self.back_off.entry(address.clone()).or_insert_with(|| BackOff::new(cause.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pause_doubles_up_to_the_maximum() {
        let (min, max) = (Duration::from_millis(100), Duration::from_secs(1));
        let mut back_off = BackOff::new(Cause::Timeout);
        let pauses: alloc::vec::Vec<u64> = (0..6)
            .map(|_| {
                back_off.failed(Instant::ZERO, Cause::Timeout, min, max);
                back_off.until.as_millis()
            })
            .collect();
        assert_eq!(pauses, [100, 200, 400, 800, 1_000, 1_000]);
    }
}
