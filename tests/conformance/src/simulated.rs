//! The simulator as a host: one world for each scenario, on the thread that runs it.

use std::cell::RefCell;
use std::future::Future;

use rocketmq_sim::{Ctx, WorldBuilder};

use crate::Verdict;
use crate::place::short_delays;

/// A machine that no world has.
pub(crate) const VACANT_ADDRESS: &str = "10.9.9.9:9876";

thread_local! {
    static WORLD: RefCell<Option<Ctx>> = const { RefCell::new(None) };
}

/// The world that this thread is in.
pub(crate) fn world() -> Option<Ctx> {
    WORLD.with_borrow(Clone::clone)
}

/// Forgets the world however its program ends.
struct Inside;

impl Inside {
    fn of(world: Ctx) -> Self {
        WORLD.set(Some(world));
        Self
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        WORLD.take();
    }
}

/// Runs a scenario in a new world.
pub(crate) fn run<F: Future>(seed: u64, scenario: F) -> Verdict<F::Output> {
    let delays = short_delays()?;
    let world = WorldBuilder::new(seed).configure_brokers(|config| config.delay_levels = delays.clone());
    Ok(world.run(async |ctx| {
        let _inside = Inside::of(ctx);
        scenario.await
    }))
}

/// A seed for the world of a scenario: the same for ever, whichever others there are.
pub(crate) fn seed_of(name: &str) -> u64 {
    // FNV-1a.
    let hash = |hash: u32, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    u64::from(name.bytes().fold(0x811c_9dc5, hash))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::timer::{TooLate, pause, within};

    #[test]
    fn waits_are_in_virtual_time_inside_of_a_world_only() {
        let inside = run(1, async {
            let ctx = world().expect("inside");
            let before = ctx.now();
            pause(Duration::from_secs(3_600)).await;
            let given_up = within(Duration::from_secs(60), std::future::pending::<()>()).await;
            assert_eq!(given_up, Err(TooLate));
            ctx.now() - before
        });
        assert_eq!(inside, Ok(Duration::from_secs(3_660)));
        assert!(world().is_none());
    }

    #[test]
    fn a_scenarios_world_is_its_own() {
        assert_eq!(seed_of("send::one"), seed_of("send::one"));
        assert_ne!(seed_of("send::one"), seed_of("send::two"));
    }
}
