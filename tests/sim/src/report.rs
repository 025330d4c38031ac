//! What came of many seeds.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::bound::{Bound, Bounds};
use crate::fault::{Effects, FaultKind};
use crate::properties::Property;
use crate::run::Outcome;
use crate::trace::TraceHash;

/// The sum of outcomes, taken in the order of their seeds.
#[derive(Clone, Debug, Default)]
pub struct Report {
    hash: TraceHash,
    events: Vec<u64>,
    simulated: Duration,
    evaluations: BTreeMap<Property, u64>,
    effects: Effects,
    bounds: Bounds,
    failures: Vec<Outcome>,
}

impl Report {
    /// Adds the outcome of the next seed.
    pub fn add(&mut self, outcome: Outcome) {
        self.hash.join(outcome.hash);
        self.events.push(outcome.events);
        self.simulated += outcome.simulated;
        for (property, count) in &outcome.evaluations {
            *self.evaluations.entry(*property).or_default() += count;
        }
        self.effects.join(&outcome.effects);
        self.bounds.join(&outcome.bounds);
        if outcome.violation.is_some() {
            self.failures.push(outcome);
        }
    }

    /// Of all seeds in order.
    #[must_use]
    pub fn hash(&self) -> TraceHash {
        self.hash
    }

    /// The seeds that failed.
    #[must_use]
    pub fn failures(&self) -> &[Outcome] {
        &self.failures
    }

    /// Properties that were never looked at, kinds of faults that never changed anything, and bounds that
    /// never held a consumer back.
    #[must_use]
    pub fn blind_spots(&self) -> Vec<String> {
        let unseen = |count: u64| count == 0;
        let properties = Property::ALL.iter().filter(|property| unseen(self.evaluations_of(**property)));
        let faults = FaultKind::ALL.iter().filter(|kind| unseen(self.effects.of(**kind)));
        let bounds = Bound::ALL.iter().filter(|bound| unseen(self.bounds.of(**bound)));
        properties
            .map(|property| format!("{property} was never evaluated"))
            .chain(faults.map(|kind| format!("no fault \"{kind}\" had an effect")))
            .chain(bounds.map(|bound| format!("the bound \"{bound}\" was never met")))
            .collect()
    }

    /// One JSON object on one line.
    #[must_use]
    pub fn json(&self, elapsed: Duration) -> String {
        let counts = |pairs: Vec<(String, u64)>| {
            let members: Vec<String> =
                pairs.iter().map(|(name, count)| format!("\"{name}\":{count}")).collect();
            format!("{{{}}}", members.join(","))
        };
        let properties =
            Property::ALL.iter().map(|p| (p.number().to_owned(), self.evaluations_of(*p))).collect();
        let faults = FaultKind::ALL.iter().map(|kind| (kind.to_string(), self.effects.of(*kind))).collect();
        let bounds = Bound::ALL.iter().map(|bound| (bound.to_string(), self.bounds.of(*bound))).collect();
        format!(
            "{{\"seeds\":{},\"failures\":{},\"events_median\":{},\"simulated_s\":{},\"seeds_per_minute\":{},\
             \"properties\":{},\"faults\":{},\"bounds\":{},\"hash\":\"{}\"}}",
            self.events.len(),
            self.failures.len(),
            self.events_median(),
            self.simulated.as_secs(),
            self.seeds_per_minute(elapsed),
            counts(properties),
            counts(faults),
            counts(bounds),
            self.hash
        )
    }

    /// The report as a text for people.
    #[must_use]
    pub fn text(&self, elapsed: Duration) -> String {
        let mut lines = vec![format!(
            "{} seeds, {} failed, median {} events, {} simulated seconds, {} seeds/min",
            self.events.len(),
            self.failures.len(),
            self.events_median(),
            self.simulated.as_secs(),
            self.seeds_per_minute(elapsed)
        )];
        lines.extend(Property::ALL.iter().map(|p| format!("  {p} evaluated {}", self.evaluations_of(*p))));
        lines.extend(
            FaultKind::ALL.iter().map(|kind| format!("  {kind}: {} with effect", self.effects.of(*kind))),
        );
        lines.extend(Bound::ALL.iter().map(|bound| format!("  {bound}: met {}", self.bounds.of(*bound))));
        lines.push(format!("hash {}", self.hash));
        lines.join("\n")
    }

    fn evaluations_of(&self, property: Property) -> u64 {
        self.evaluations.get(&property).copied().unwrap_or(0)
    }

    fn events_median(&self) -> u64 {
        let mut events = self.events.clone();
        events.sort_unstable();
        events.get(events.len() / 2).copied().unwrap_or(0)
    }

    fn seeds_per_minute(&self, elapsed: Duration) -> u128 {
        self.events.len() as u128 * 60_000 / elapsed.as_millis().max(1)
    }
}

/// The line that a failed seed is told by.
impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seed = self.seed;
        match &self.violation {
            None => write!(f, "ok seed={seed} events={} hash={}", self.events, self.hash),
            Some(violation) => write!(
                f,
                "FAIL {} seed={seed} events={} t={:.6}s hash={}  replay: cargo run --release -p rocketmq-sim -- replay --seed {seed}\n  {}",
                violation.property,
                self.events,
                Duration::from_nanos(violation.at.as_nanos()).as_secs_f64(),
                self.hash,
                violation.text
            ),
        }
    }
}
