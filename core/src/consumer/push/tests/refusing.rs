//! Brokers that refuse: how often they are asked, what people are told, and that nothing is forgotten.

use alloc::string::ToString;
use alloc::vec::Vec;
use core::time::Duration;

use super::looking::health;
use super::world::{Arrived, BROKER_A, TOPIC, World};
use crate::client::{Command, Input};
use crate::consumer::push::{Fetch, Pause};
use crate::consumer::{Ack, ConsumerCommand, Standing};
use crate::id::{ConsumerId, GenerationalId, OperationId};
use crate::remoting::{PullMessageRequestHeader, RequestCode, ResponseCode};

const QUEUES: i32 = 16;
/// With the retry topic's.
const ALL: usize = 17;

/// A consumer of so many queues whose pulls are answered with `code` from now on.
fn refused(code: i32) -> World {
    let mut world = World::with_queues(QUEUES);
    world.start();
    assert_eq!(world.held.len(), ALL);
    refuse_pulls(&mut world, code);
    world
}

/// Pulls that are held come to an end, and each further one.
fn refuse_pulls(world: &mut World, code: i32) {
    world.refuse.insert(RequestCode::PULL_MESSAGE.0, ResponseCode(code));
    for pull in core::mem::take(&mut world.held) {
        world.answer(&pull, ResponseCode(code), &crate::remoting::NoHeader, &[]);
    }
    world.seen.clear();
    world.pass(0);
}

fn suspend(world: &mut World, suspend: bool) {
    let (operation, consumer) = (OperationId::from_parts(70 + u32::from(suspend), 0), ConsumerId(1));
    world.input(Input::Command(if suspend {
        Command::Consumer(consumer, ConsumerCommand::Suspend { operation })
    } else {
        Command::Consumer(consumer, ConsumerCommand::Resume { operation })
    }));
}

#[test]
fn a_broker_that_refuses_everything_is_asked_once_a_second_for_all_and_goes_on_at_once_when_it_serves() {
    for code in [-5, 1, 2, 3, 13, 14, 16, 17, 22, 23, 24, 25, 26, 27, 28, 29, 206, 215, 501, 9_999] {
        let mut world = refused(code);
        for second in 0..60 {
            let before = world.seen.len();
            world.pass(1_000);
            // The offsets that were begun at are committed meanwhile, which is not refused.
            let asks = |seen: &&Arrived| {
                seen.address == BROKER_A && seen.command.code != RequestCode::UPDATE_CONSUMER_OFFSET.0
            };
            let to_broker = world.seen[before..].iter().filter(asks).count();
            assert!(
                to_broker <= if second == 0 { 16 } else { 10 },
                "{to_broker} in second {second}, code {code}"
            );
        }
        let pulls = world.requests(RequestCode::PULL_MESSAGE).len();
        assert!((55..=70).contains(&pulls), "{pulls} pulls a minute, code {code}");
        let looks = world.requests(RequestCode::GET_ROUTEINFO_BY_TOPIC).len();
        assert!(looks <= 70, "{looks} look-ups a minute, code {code}");
        let told = health(&mut world);
        let refusal = &told.refusals[0];
        assert_eq!((&*refusal.broker, told.refusals.len()), ("a", 1));
        assert!(refusal.cause.contains(&code.to_string()) && refusal.cause.contains("scripted"), "{refusal}");
        assert!((Duration::from_secs(59)..=Duration::from_secs(61)).contains(&refusal.since), "{refusal}");
        assert!(refusal.queues >= ALL - 1 && refusal.asked > 55, "{refusal}");
        assert!(told.to_string().contains("broker a refuses 17 queues for 60.0 s, asked again"), "{told}");
        assert!(told.queues.iter().all(|queue| queue.failures > 0 && queue.standing.is_still()), "{told}");
        world.refuse.clear();
        world.pass(2_000);
        assert_eq!(world.held.len(), ALL, "all are served, code {code}");
        assert!(health(&mut world).refusals.is_empty());
        world.publish(3, &["a"]);
        assert_eq!(world.take().len(), 1);
    }
}

#[test]
fn attempts_that_came_to_nothing_are_told_as_past_while_a_pull_is_held() {
    let mut world = refused(ResponseCode::SYSTEM_BUSY.0);
    world.pass(5_000);
    let told = health(&mut world).to_string();
    assert!(told.contains("attempts in a row that came to nothing: "), "{told}");
    world.refuse.clear();
    world.pass(5_000);
    assert_eq!(world.held.len(), ALL);
    let told = health(&mut world).to_string();
    assert!(told.contains("attempts before this one that came to nothing: "), "{told}");
    assert!(!told.contains("in a row"), "{told}");
    world.publish(0, &["a"]);
    assert_eq!(
        health(&mut world).queues.iter().find(|queue| queue.failures == 0).map(|queue| queue.queue.queue_id),
        Some(0)
    );
}

#[test]
fn a_broker_that_sheds_load_is_asked_again_after_20_ms_and_then_less_and_less_often() {
    let mut world = refused(ResponseCode::FLOW_CONTROL.0);
    let begun = world.now;
    world.pass(5_000);
    let asked: Vec<u64> = world
        .requests(RequestCode::PULL_MESSAGE)
        .iter()
        .map(|pull| (pull.at - begun).as_millis() as u64)
        .collect();
    assert_eq!(asked, [20, 60, 140, 300, 620, 1_260, 2_260, 3_260, 4_260]);
}

#[test]
fn queues_that_are_served_are_not_held_up_by_those_that_are_not() {
    let mut world = World::with_queues(QUEUES);
    world.refuse_queues = (0..8).map(|queue| (queue, ResponseCode::INVALID_PARAMETER)).collect();
    world.start();
    world.pass(20_000);
    for queue in 8..16 {
        world.publish(queue, &["a"]);
        assert_eq!(world.take().len(), 1, "at once");
    }
    // Refused all together for a while, they are found among those that stay refused.
    refuse_pulls(&mut world, ResponseCode::SYSTEM_BUSY.0);
    world.pass(5_000);
    world.refuse.clear();
    world.pass(3_000);
    assert_eq!(world.held.len(), 9, "eight, and the retry topic's");
    world.refuse_queues.clear();
    world.pass(3_000);
    assert_eq!(world.held.len(), ALL);
}

/// Pulls of queues whose number is lower.
fn pulls_below(world: &World, queue_id: i32) -> usize {
    let pulls = world.requests(RequestCode::PULL_MESSAGE);
    pulls.iter().filter(|pull| pull.header::<PullMessageRequestHeader<'_>>().queue_id < queue_id).count()
}

#[test]
fn refused_queues_that_had_no_room_ask_one_by_one_when_there_is_room_again() {
    let mut world = World::with_queues(QUEUES);
    world.start_with("*", |config| config.cached_bytes_max = 1);
    world.pass(1_000);
    refuse_pulls(&mut world, ResponseCode::NO_PERMISSION.0);
    // One queue is served from here on.
    world.refuse.clear();
    world.refuse_queues = (0..QUEUES - 1).map(|queue| (queue, ResponseCode::NO_PERMISSION)).collect();
    world.pass(20_000);
    for round in 0..10 {
        world.publish(QUEUES - 1, &["a"]);
        let full = world.take();
        assert_eq!(full.len(), 1, "round {round}");
        // The turn of each queue comes while there is no room for any.
        world.pass(4_000);
        let told = health(&mut world);
        assert_eq!(
            told.refusals[0].queues,
            ALL - 2,
            "none waits elsewhere, and the broker refuses on: {told}"
        );
        let before = pulls_below(&world, QUEUES - 1);
        world.settle(full[0], Ack::Done);
        world.pass(2_000);
        let asked = pulls_below(&world, QUEUES - 1) - before;
        assert!((1..=4).contains(&asked), "{asked} in round {round}");
    }
    world.refuse_queues.clear();
    world.pass(2_000);
    assert!(
        world.consumer().queues().all(|view| matches!(view.fetch, Fetch::Pulling(_))),
        "none was forgotten"
    );
    assert!(health(&mut world).refusals.is_empty());
}

#[test]
fn a_refused_queue_can_be_suspended_resumed_given_up_and_taken_back() {
    let mut world = refused(ResponseCode::SYSTEM_BUSY.0);
    world.pass(3_000);
    suspend(&mut world, true);
    assert!(world.consumer().queues().all(|view| matches!(view.fetch, Fetch::Suspended | Fetch::Pulling(_))));
    let pulls = world.requests(RequestCode::PULL_MESSAGE).len();
    world.pass(10_000);
    assert_eq!(world.requests(RequestCode::PULL_MESSAGE).len(), pulls);
    suspend(&mut world, false);
    world.pass(3_000);
    assert!(matches!(world.queue(TOPIC, 0).fetch, Fetch::Gated(Pause::Busy)));
    world.members_change(&["0-first"]);
    world.pass(300);
    let owned = world.consumer().queues().count();
    assert!(owned < ALL && health(&mut world).refusals[0].queues <= owned);
    world.members_change(&[]);
    world.pass(300);
    world.refuse.clear();
    world.pass(3_000);
    assert_eq!(world.held.len(), ALL, "none was forgotten, and none has two");
}

#[test]
fn a_close_ends_the_wait_for_a_broker_that_refuses() {
    let mut world = refused(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST.0);
    world.pass(3_000);
    let pulls = world.requests(RequestCode::PULL_MESSAGE).len();
    world.close(2_000);
    world.pass(30_000);
    assert!(world.report().is_some());
    assert_eq!(world.requests(RequestCode::PULL_MESSAGE).len(), pulls);
}

#[test]
fn a_broker_that_was_lost_while_it_refused_is_found_again() {
    let mut world = refused(ResponseCode::SYSTEM_ERROR.0);
    world.pass(3_000);
    world.down.insert(BROKER_A.into());
    world.cut(BROKER_A);
    world.pass(20_000);
    world.refuse.clear();
    world.down.clear();
    world.pass(6_000);
    assert_eq!(world.held.len(), ALL);
}

#[test]
fn a_route_that_loses_the_broker_ends_the_wait_for_it() {
    let mut world = refused(ResponseCode::TOPIC_NOT_EXIST.0);
    let routes = core::mem::take(&mut world.routes);
    world.pass(90_000);
    world.routes = routes;
    world.refuse.clear();
    world.pass(40_000);
    assert_eq!(world.held.iter().filter(|pull| world.now - pull.at < Duration::from_secs(29)).count(), ALL);
}

#[test]
fn where_to_start_is_asked_as_seldom_and_told_as_well() {
    for request in [RequestCode::QUERY_CONSUMER_OFFSET, RequestCode::GET_MAX_OFFSET] {
        let mut world = World::with_queues(QUEUES);
        world.refuse.insert(request.0, ResponseCode::SYSTEM_BUSY);
        world.start();
        world.seen.clear();
        world.pass(60_000);
        let asked = world.requests(request).len();
        assert!((50..=70).contains(&asked), "{asked} a minute");
        let told = health(&mut world);
        assert!(told.refusals[0].queues >= 15 && told.to_string().contains("SYSTEM_BUSY"), "{told}");
        world.refuse.clear();
        world.pass(2_000);
        assert!(health(&mut world).refusals.is_empty());
        assert!((0..QUEUES).all(|queue| world.queue(TOPIC, queue).next_offset.is_some()));
    }
}

#[test]
fn members_are_asked_for_less_and_less_often_and_the_reason_is_told() {
    let mut world = World::new();
    world.start();
    world.refuse.insert(RequestCode::GET_CONSUMER_LIST_BY_GROUP.0, ResponseCode::SYSTEM_BUSY);
    world.members_change(&[]);
    world.pass(1_000);
    world.seen.clear();
    world.pass(60_000);
    let rounds = world.requests(RequestCode::GET_CONSUMER_LIST_BY_GROUP).len() / 2;
    assert!((10..=15).contains(&rounds), "{rounds} rounds a minute");
    assert!(world.requests(RequestCode::HEART_BEAT).len() <= 2 * rounds + 4);
    let cause = health(&mut world).unbalanced.expect("told");
    assert!(cause.contains("the members are unknown: it answered 2"), "{cause}");
    world.refuse.clear();
    world.pass(5_000);
    assert_eq!(health(&mut world).unbalanced, None);
}

#[test]
fn empty_answers_that_come_at_once_are_asked_for_less_often_the_more_queues_there_are() {
    for fickle in [false, true] {
        let mut world = World::with_queues(64);
        world.impatient = true;
        world.fickle = fickle;
        world.start();
        world.pass(30_000);
        world.seen.clear();
        world.pass(60_000);
        let pulls = world.requests(RequestCode::PULL_MESSAGE).len();
        assert!((100..=600).contains(&pulls), "{pulls} a minute");
        let told = health(&mut world);
        assert!(told.queues.iter().all(|queue| matches!(queue.standing, Standing::Paused(Pause::Empty, _))));
        assert!(told.to_string().contains("as a slave at its end"), "{told}");
        world.publish(63, &["a"]);
        world.pass(16_000);
        assert_eq!(world.take().len(), 1, "no later than from a broker that waits");
    }
}
