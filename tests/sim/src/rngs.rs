//! Randomness: one stream a concern, so that a change in one does not reshuffle the others.

use std::time::Duration;

use rocketmq_client_core::rng::Rng;

/// The streams of one world.
#[derive(Clone, Debug)]
pub(crate) struct Rngs {
    /// Who is there, and how they are configured.
    pub(crate) topology: Rng,
    /// What users do.
    pub(crate) workload: Rng,
    /// What goes wrong, and when.
    pub(crate) faults: Rng,
    /// Latencies, and how bytes are cut.
    pub(crate) network: Rng,
    /// What user code draws, and the seeds of clients and brokers.
    pub(crate) application: Rng,
    /// How much consumers may have at a time, and what brokers keep.
    pub(crate) consumption: Rng,
    /// What peers refuse, forget and get wrong.
    pub(crate) oddities: Rng,
}

impl Rngs {
    pub(crate) fn new(seed: u64) -> Self {
        let mut root = Rng::new(seed);
        Self {
            topology: root.fork(),
            workload: root.fork(),
            faults: root.fork(),
            network: root.fork(),
            application: root.fork(),
            consumption: root.fork(),
            oddities: root.fork(),
        }
    }
}

/// One of `choices`, which isn't empty, by a number that was drawn.
pub(crate) fn pick<T: Copy>(choices: &[T], drawn: u64) -> T {
    choices[index_of(drawn, choices.len())]
}

/// One of `0..len`, which isn't empty, by a number that was drawn.
pub(crate) fn index_of(drawn: u64, len: usize) -> usize {
    usize::try_from(drawn % len as u64).expect("an index")
}

/// Ways to draw that plans need.
pub(crate) trait Draw {
    /// A number of `from..=to`.
    fn between(&mut self, from: u64, to: u64) -> u64;

    /// One of `choices`, which isn't empty.
    fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T;

    /// A time, at most this one, in whole microseconds.
    fn up_to(&mut self, most: Duration) -> Duration;
}

impl Draw for Rng {
    fn between(&mut self, from: u64, to: u64) -> u64 {
        from + self.below(to - from + 1)
    }

    fn pick<'a, T>(&mut self, choices: &'a [T]) -> &'a T {
        let index = self.below(choices.len() as u64);
        &choices[usize::try_from(index).expect("an index into a slice fits")]
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        Duration::from_micros(self.between(0, u64::try_from(most.as_micros()).expect("a short time")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_does_not_move_when_another_is_used() {
        let mut used = Rngs::new(7);
        used.faults.next_u64();
        assert_eq!(used.network.next_u64(), Rngs::new(7).network.next_u64());
        assert_ne!(Rngs::new(7).network.next_u64(), Rngs::new(8).network.next_u64());
    }

    #[test]
    fn both_ends_are_drawn() {
        let mut rng = Rng::new(1);
        let mut seen: Vec<u64> = (0..200).map(|_| rng.between(3, 5)).collect();
        seen.sort_unstable();
        seen.dedup();
        assert_eq!(seen, [3, 4, 5]);
    }
}
