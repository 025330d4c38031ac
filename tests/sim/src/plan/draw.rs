//! Draws a plan from a seed.

use std::time::Duration;

use rocketmq_client_core::rng::Rng;

use super::{Consumption, FaultItem, Item, LeaveItem, Plan, SendItem, SendWay, Settings, Strategy, Topology};
use crate::fault::FaultKind;
use crate::history::MessageNumber;
use crate::rngs::{Draw, Rngs};

const TAGS: [&str; 3] = ["TagA", "TagB", "TagC"];
/// One seed in so many has no faults.
const QUIET: u64 = 20;
/// How long a quiet world waits for its members to know of each other.
const SETTLING: Duration = Duration::from_secs(25);
/// One quiet world in so many has members that close while they are busy.
const RUSHED: u64 = 2;
/// How long all messages take to come there.
const RUSH_LASTS: Duration = Duration::from_millis(5);
/// When members close then, at the latest.
const RUSHED_LEAVES: Duration = Duration::from_secs(1);
/// What closes have until another member may come.
const LEAVING: Duration = Duration::from_secs(20);
const FAULTS_MAX: u64 = 14;
const FAULT_LASTS_MAX_MS: u64 = 12_000;
/// One seed in so many has no oddities.
const PLAIN: u64 = 2;
const ODDITIES_MAX: u64 = 4;
/// What changes who is in a group.
const MEMBERSHIP: [FaultKind; 4] = [
    FaultKind::ConsumerJoins,
    FaultKind::ConsumerLeaves,
    FaultKind::ConsumerDies,
    FaultKind::ConsumerVanishes,
];

impl Plan {
    /// The plan of a seed.
    #[must_use]
    pub fn draw(seed: u64) -> Self {
        let mut rngs = Rngs::new(seed);
        let mut topology = topology(&mut rngs.topology);
        let mut settings = settings(&mut rngs.topology, &mut rngs.consumption);
        settings.strategy = strategy(&mut rngs.oddities);
        let workload_ms = rngs.workload.between(5_000, 30_000);
        let mut items = sends(&mut rngs.workload, &topology, workload_ms);
        let mut heal_ms = workload_ms;
        if rngs.faults.chance(1, QUIET) {
            // Members that join at the same time share queues until they know of each other.
            heal_ms += u64::try_from(SETTLING.as_millis()).expect("a short time");
            for item in &mut items {
                if let Item::Send(send) = item {
                    send.at += SETTLING;
                }
            }
            if rngs.faults.chance(1, RUSHED) {
                heal_ms += u64::try_from(LEAVING.as_millis()).expect("a short time");
                rush(&mut rngs.faults, &mut topology, &mut settings, &mut items);
            }
        } else {
            let is_odd = |kind: &FaultKind| FaultKind::ODDITIES.contains(kind);
            let common: Vec<_> = FaultKind::ALL.iter().copied().filter(|kind| !is_odd(kind)).collect();
            let mut faults = faults(&mut rngs.faults, &common, FAULTS_MAX, workload_ms);
            if !rngs.oddities.chance(1, PLAIN) {
                let odd = self::faults(&mut rngs.oddities, FaultKind::ODDITIES, ODDITIES_MAX, workload_ms);
                faults.extend(odd);
            }
            let ends = faults.iter().map(|fault| fault.at + fault.lasts);
            let last = ends.max().unwrap_or_default();
            heal_ms = heal_ms.max(u64::try_from(last.as_millis()).unwrap_or(0));
            items.extend(faults.into_iter().map(Item::Fault));
        }
        if settings.strategy == Strategy::Config {
            // Whose queues are written down is not replaced by others.
            items.retain(|item| match item {
                Item::Send(_) => true,
                Item::Fault(fault) => !MEMBERSHIP.contains(&fault.kind),
                Item::Leave(_) => false,
            });
        }
        let heal_at = Duration::from_millis(heal_ms) + settings.send_timeout + Duration::from_secs(1);
        Self { seed, topology, settings, heal_at, items }
    }
}

fn topology(rng: &mut Rng) -> Topology {
    let brokers = usize_of(rng.between(1, 3));
    let queues = i32::try_from(rng.between(1, if brokers == 1 { 8 } else { 4 })).expect("few queues");
    let mut groups = vec![usize_of(rng.between(1, 3))];
    if rng.chance(1, 3) {
        groups.push(1);
    }
    Topology {
        name_servers: usize_of(rng.between(1, 2)),
        brokers,
        queues,
        producers: usize_of(rng.between(1, 3)),
        groups,
        second_group_tag: rng.chance(1, 2).then_some(TAGS[0]),
    }
}

fn settings(rng: &mut Rng, consumption_rng: &mut Rng) -> Settings {
    let seconds = |rng: &mut Rng, from, to| Duration::from_secs(rng.between(from, to));
    Settings {
        send_timeout: Duration::from_millis(rng.between(500, 5_000)),
        retry_times: u32::try_from(rng.between(0, 3)).expect("few retries"),
        latency_fault_tolerance: rng.chance(1, 3),
        broker_suspend: seconds(rng, 5, 15),
        max_reconsume_times: i32::try_from(rng.between(1, 4)).expect("few times"),
        rebalance: seconds(rng, 5, 20),
        heartbeat: seconds(rng, 5, 15),
        poll_routes: seconds(rng, 5, 30),
        persist_offsets: seconds(rng, 1, 5),
        workers: usize_of(rng.between(1, 6)),
        channel_expire: seconds(rng, 60, 120),
        register: seconds(rng, 10, 30),
        delay_level: Duration::from_millis(rng.between(100, 2_000)),
        consumption: consumption(consumption_rng),
        flush_sync: consumption_rng.chance(1, 3),
        strategy: Strategy::Averagely,
    }
}

/// RocketMQ's own in half of the worlds.
fn strategy(rng: &mut Rng) -> Strategy {
    let others = [
        Strategy::AveragelyByCircle,
        Strategy::ConsistentHash,
        Strategy::MachineRoom,
        Strategy::MachineRoomNearby,
        Strategy::Config,
    ];
    if rng.chance(1, 2) { Strategy::Averagely } else { *rng.pick(&others) }
}

/// Each bound is RocketMQ's own in some worlds and so small in others that it is met.
fn consumption(rng: &mut Rng) -> Consumption {
    let small = |rng: &mut Rng, most: u64| rng.chance(1, 3).then(|| small_number(rng, most));
    Consumption {
        pull_batch_size: i32::try_from(small(rng, 4).unwrap_or_else(|| rng.between(1, 48))).expect("a batch"),
        pull_batch_bytes: small(rng, 4_000).map(|bytes| i32::try_from(bytes).expect("few bytes")),
        queue_count: usize_of(small(rng, 3).unwrap_or_else(|| rng.between(1, 100))),
        queue_bytes: small(rng, 4_000).map(usize_of),
        shared_count: small(rng, 16).map(usize_of),
        shared_bytes: small(rng, 16_000).map(usize_of),
        span: small(rng, 4).map(u64::cast_signed),
        total_bytes: small(rng, 16_000).map(usize_of),
        consume_batch: small(rng, 16).map_or(1, usize_of),
        // Longer than a handler of the largest batch takes when nothing is wrong.
        consume_timeout: rng.chance(1, 2).then(|| Duration::from_millis(rng.between(6_000, 15_000))),
        handler_takes: Duration::from_millis(small(rng, 300).unwrap_or(30)),
        one_is_slow_in: None,
    }
}

/// One of `1..=most`; of numbers twice as large there are only as many.
fn small_number(rng: &mut Rng, most: u64) -> u64 {
    let doublings = u64::from(most.ilog2());
    let most_here = most >> rng.between(0, doublings);
    rng.between(most_here.div_ceil(2), most_here)
}

fn sends(rng: &mut Rng, topology: &Topology, workload_ms: u64) -> Vec<Item> {
    let count = u32::try_from(rng.between(10, 80)).expect("few messages");
    (0..count)
        .map(|number| {
            Item::Send(SendItem {
                at: Duration::from_micros(rng.below(workload_ms * 1_000)),
                producer: usize_of(rng.below(topology.producers as u64)),
                message: MessageNumber(number),
                tag: rng.pick::<&'static str>(&TAGS),
                way: way(rng),
                body_bytes: if rng.chance(1, 16) {
                    usize_of(rng.below(20_000))
                } else {
                    usize_of(rng.below(200))
                },
            })
        })
        .collect()
}

/// Messages come all at once to few queues, some of them keep handlers busy, and soon after a member of each group
/// closes. Where two are left, they would take queues from each other while handlers have messages of them: two are
/// all there are.
fn rush(rng: &mut Rng, topology: &mut Topology, settings: &mut Settings, items: &mut Vec<Item>) {
    topology.queues = topology.queues.min(2);
    settings.workers = usize_of(rng.between(2, 3));
    settings.consumption.consume_batch = 1;
    settings.consumption.one_is_slow_in = Some(rng.between(3, 8));
    for item in items.iter_mut() {
        if let Item::Send(send) = item {
            send.at = SETTLING + rng.up_to(RUSH_LASTS);
        }
    }
    for (group, members) in topology.groups.iter_mut().enumerate() {
        *members = (*members).min(2);
        let at = SETTLING + rng.up_to(RUSHED_LEAVES);
        items.push(Item::Leave(LeaveItem { at, group }));
    }
}

fn way(rng: &mut Rng) -> SendWay {
    match rng.below(16) {
        0..12 => SendWay::RoundRobin,
        12 | 13 => SendWay::Hashed(rng.below(8)),
        14 => SendWay::Oneway,
        _ => SendWay::Dropped,
    }
}

/// Some of these kinds, each with a weight of its own, and at most so many faults.
fn faults(rng: &mut Rng, of: &[FaultKind], most: u64, workload_ms: u64) -> Vec<FaultItem> {
    let one_in = rng.between(1, 6);
    let mut kinds = Vec::new();
    for kind in of {
        if rng.chance(1, one_in) {
            kinds.extend(std::iter::repeat_n(*kind, usize_of(rng.between(1, 5))));
        }
    }
    if kinds.is_empty() {
        kinds.push(*rng.pick(of));
    }
    let count = rng.between(1, most);
    (0..count)
        .map(|_| FaultItem {
            at: Duration::from_millis(rng.below(workload_ms)),
            lasts: Duration::from_millis(rng.between(1, FAULT_LASTS_MAX_MS)),
            kind: *rng.pick(&kinds),
            target: rng.next_u64(),
            amount: rng.next_u64(),
        })
        .collect()
}

fn usize_of(number: u64) -> usize {
    usize::try_from(number).expect("small numbers")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_is_one_plan_and_some_plans_are_quiet() {
        assert_eq!(Plan::draw(11), Plan::draw(11));
        assert_ne!(Plan::draw(11).items, Plan::draw(12).items);
        let quiet = (0..400).filter(|seed| Plan::draw(*seed).is_quiet()).count();
        assert!((5..60).contains(&quiet), "{quiet}");
    }

    #[test]
    fn members_close_in_some_quiet_worlds_and_only_there() {
        let leaves = |plan: &Plan| plan.items.iter().any(|item| matches!(item, Item::Leave(_)));
        let plans: Vec<Plan> = (0..400).map(Plan::draw).filter(leaves).collect();
        assert!(plans.len() > 3 && plans.iter().all(Plan::is_quiet), "{}", plans.len());
        assert!(plans.iter().all(|plan| plan.topology.groups.iter().all(|members| *members <= 2)));
    }

    #[test]
    fn every_kind_of_fault_is_drawn_and_ends_before_everything_heals() {
        let plans: Vec<Plan> = (0..300).map(Plan::draw).collect();
        for kind in FaultKind::ALL {
            assert!(plans.iter().any(|plan| plan.has(&[*kind])), "{kind}");
        }
        for plan in &plans {
            for item in &plan.items {
                if let Item::Fault(fault) = item {
                    assert!(fault.at + fault.lasts < plan.heal_at);
                }
            }
        }
    }
}
