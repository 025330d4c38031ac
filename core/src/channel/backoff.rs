//! How long an address is left alone after it could not be reached.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::time::Duration;

use crate::error::Cause;
use crate::time::Instant;

/// The pause of one address, doubled with each failure in a row.
#[derive(Clone, Debug)]
pub(super) struct BackOff {
    /// Why the last attempt failed; what requests are told during the pause.
    pub(super) cause: Cause,
    /// The end of the pause.
    pub(super) until: Instant,
    /// Until then it is not forgotten, though a connection works.
    pub(super) remembered_until: Instant,
    failures: u32,
}

impl BackOff {
    pub(super) fn new(cause: Cause) -> Self {
        Self { cause, until: Instant::ZERO, remembered_until: Instant::ZERO, failures: 0 }
    }

    pub(super) fn failed(&mut self, now: Instant, cause: Cause, min: Duration, max: Duration) {
        let doublings = self.failures.min(16);
        let delay = min.saturating_mul(1 << doublings).min(max);
        self.failures = self.failures.saturating_add(1);
        self.until = now + delay;
        self.cause = cause;
    }
}

/// The address works again.
pub(super) fn forgive(table: &mut BTreeMap<Arc<str>, BackOff>, now: Instant, address: &Arc<str>) {
    if table.get(address).is_some_and(|back_off| back_off.remembered_until <= now) {
        table.remove(address);
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
