//! One seed or plan: what came of it.

use std::time::Duration;

use rocketmq_client_core::time::Instant;
use rocketmq_dev_broker::{BrokerConfig, DelayLevels, FlushDisk};

use crate::bound::Bounds;
use crate::ctx::Ctx;
use crate::fault::{Effects, FaultKind};
use crate::plan::{Plan, shrink};
use crate::properties::{Property, Violation};
use crate::scenario::{TOPIC, perform};
use crate::simulate::{add_name_servers, broker_config};
use crate::simulation::{End, Simulation};
use crate::trace::TraceHash;
use crate::world::World;

/// A world that isn't at its end then never comes to one.
const TIME_MAX: Duration = Duration::from_secs(3_600);

/// What came of a plan.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The seed.
    pub seed: u64,
    /// Of everything that happened.
    pub hash: TraceHash,
    /// How much happened.
    pub events: u64,
    /// Virtual time from the beginning to the end.
    pub simulated: Duration,
    /// How often each property was looked at.
    pub evaluations: Vec<(Property, u64)>,
    /// Faults that changed something.
    pub effects: Effects,
    /// Bounds that held consumers back.
    pub bounds: Bounds,
    /// The first property that does not hold.
    pub violation: Option<Violation>,
    /// The events as text, if they were asked for.
    pub lines: Vec<String>,
}

/// Runs the plan of a seed.
#[must_use]
pub fn run_seed(seed: u64, keep_lines: bool) -> Outcome {
    run_plan(&Plan::draw(seed), keep_lines)
}

/// Runs a plan.
#[must_use]
pub fn run_plan(plan: &Plan, keep_lines: bool) -> Outcome {
    let mut world = World::new(plan.seed, keep_lines);
    let name_servers = add_name_servers(&mut world, plan.topology.name_servers);
    for index in 0..plan.topology.brokers {
        world.add_broker(broker_of(plan, index), &[(TOPIC, plan.topology.queues)]);
    }
    let mut simulation = Simulation::new(world);
    let ctx = Ctx::new(simulation.world.clone(), simulation.spawner(), name_servers);
    let end = simulation.run(Instant::ZERO + TIME_MAX, perform(ctx, plan.clone()));
    let shared = simulation.world.clone();
    let mut world = shared.lock();
    let stuck = |text: &str| Violation {
        property: Property::EverythingGoesOnAfterHealing,
        at: world.now,
        text: text.to_owned(),
    };
    let violation = match end {
        End::Finished(()) => world.monitor.violation(),
        End::Violated(violation) => Some(violation),
        End::Stuck => Some(stuck("nothing can happen any more, but somebody waits")),
        End::OutOfTime => Some(stuck("it does not come to an end")),
    };
    let outcome = Outcome {
        seed: plan.seed,
        hash: world.trace.hash,
        events: world.trace.events,
        simulated: world.elapsed(),
        evaluations: world
            .monitor
            .verdicts
            .evaluations
            .iter()
            .map(|(property, count)| (*property, *count))
            .collect(),
        effects: world.network.effects.clone(),
        bounds: world.monitor.bounds.clone(),
        violation,
        lines: world.trace.take_lines(),
    };
    drop(world);
    // What futures still hold is dropped outside of the lock.
    drop(simulation);
    outcome
}

/// A smaller plan that fails in the same way as the one of this seed, if that fails.
#[must_use]
pub fn shrink_seed(seed: u64, tries: usize) -> Option<(Plan, Outcome)> {
    let plan = Plan::draw(seed);
    let property = run_plan(&plan, false).violation?.property;
    let fails =
        |plan: &Plan| run_plan(plan, false).violation.is_some_and(|violation| violation.property == property);
    let small = shrink(&plan, tries, fails);
    let outcome = run_plan(&small, true);
    Some((small, outcome))
}

fn broker_of(plan: &Plan, index: usize) -> BrokerConfig {
    let settings = &plan.settings;
    let plain = broker_config(index);
    let levels = DelayLevels::new([settings.delay_level; 18]).expect("18 levels");
    BrokerConfig {
        delay_levels: levels,
        channel_expire: settings.channel_expire,
        register_period: settings.register,
        offset_flush_period: settings.persist_offsets,
        flush_disk: if settings.flush_sync { FlushDisk::Sync } else { FlushDisk::Async },
        // One that is gone must not come back by a send with other queues than the ones it is made anew with.
        auto_create_topic: !plan.has(&[FaultKind::TopicMadeAnew]),
        broker_name: plan.broker_name(&plain.broker_name),
        ..plain
    }
}
