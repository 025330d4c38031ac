//! Which brokers to avoid for a while. Java: `MQFaultStrategy`, `LatencyFaultToleranceImpl`.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::time::Duration;

use crate::time::Instant;

/// From a latency of this many ms on, a broker is avoided for that many ms.
const PENALTIES: [(u64, u64); 7] =
    [(50, 0), (100, 0), (550, 2_000), (1_800, 5_000), (3_000, 6_000), (5_000, 10_000), (15_000, 30_000)];
/// A failed attempt counts as this slow, whatever it took.
const ISOLATION_LATENCY_MS: u64 = 10_000;

/// What is known of the brokers' health, by broker name.
#[derive(Clone, Debug, Default)]
pub struct LatencyFaultTolerance {
    items: BTreeMap<Arc<str>, FaultItem>,
}

#[derive(Clone, Debug)]
struct FaultItem {
    available_from: Instant,
    reachable: bool,
}

impl LatencyFaultTolerance {
    /// Records how an attempt went. A penalty is never shortened by a later success, as in Java.
    pub fn update(
        &mut self,
        now: Instant,
        broker: &Arc<str>,
        latency: Duration,
        isolate: bool,
        reachable: bool,
    ) {
        let penalty = penalty(latency, isolate);
        let item = self
            .items
            .entry(broker.clone())
            .or_insert(FaultItem { available_from: Instant::ZERO, reachable: true });
        if penalty > Duration::ZERO {
            item.available_from = item.available_from.max(now + penalty);
        }
        item.reachable = reachable;
    }

    /// Forgets the brokers that are not to be kept.
    pub fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.items.retain(|broker, _| keep(broker));
    }

    /// Whether no penalty runs.
    #[must_use]
    pub fn is_available(&self, now: Instant, broker: &str) -> bool {
        self.items.get(broker).is_none_or(|item| now >= item.available_from)
    }

    /// Whether the last attempt got through.
    #[must_use]
    pub fn is_reachable(&self, broker: &str) -> bool {
        self.items.get(broker).is_none_or(|item| item.reachable)
    }
}

fn penalty(latency: Duration, isolate: bool) -> Duration {
    let latency_ms = if isolate { u128::from(ISOLATION_LATENCY_MS) } else { latency.as_millis() };
    let row = PENALTIES.iter().rev().find(|(from, _)| latency_ms >= u128::from(*from));
    Duration::from_millis(row.map_or(0, |(_, penalty)| *penalty))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn penalties_follow_the_table_of_the_java_client() {
        let rows = [
            (0, 0),
            (549, 0),
            (550, 2_000),
            (1_799, 2_000),
            (1_800, 5_000),
            (3_000, 6_000),
            (20_000, 30_000),
        ];
        for (latency, expected) in rows {
            assert_eq!(penalty(Duration::from_millis(latency), false).as_millis(), expected, "{latency} ms");
        }
        assert_eq!(penalty(Duration::ZERO, true).as_millis(), 10_000);
    }

    #[test]
    fn a_quick_success_does_not_lift_a_running_penalty() {
        let mut faults = LatencyFaultTolerance::default();
        let broker: Arc<str> = "broker-a".into();
        let at = Instant::from_millis;
        faults.update(at(0), &broker, Duration::ZERO, true, false);
        faults.update(at(1), &broker, Duration::from_millis(1), false, true);
        assert!(!faults.is_available(at(9_999), &broker));
        assert!(faults.is_reachable(&broker));
        assert!(faults.is_available(at(10_000), &broker));
    }
}
