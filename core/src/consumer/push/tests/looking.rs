//! Suspending, and what people see who ask how it goes.

use alloc::string::ToString;
use alloc::vec;
use core::time::Duration;

use super::world::{BROKER_A, RETRY, TOPIC, World};
use crate::client::{Command, Input, Outcome};
use crate::consumer::push::{Fetch, Pause};
use crate::consumer::{Ack, ConsumerCommand, ConsumerHealth, Full, Standing};
use crate::error::Error;
use crate::id::{ConsumerId, GenerationalId, OperationId};
use crate::remoting::{NoHeader, RequestCode, ResponseCode};

const ME: ConsumerId = ConsumerId(1);

fn operation(number: u32) -> OperationId {
    OperationId::from_parts(number, 0)
}

pub(super) fn health(world: &mut World) -> ConsumerHealth {
    world.outcomes.remove(&9);
    world.input(Input::Command(Command::Consumer(ME, ConsumerCommand::Inspect { operation: operation(9) })));
    match world.outcomes.remove(&9) {
        Some(Outcome::Inspected(told)) => told.0,
        other => panic!("unexpected {other:?}"),
    }
}

fn standing(world: &mut World) -> Standing {
    let health = health(world);
    health.queues.iter().find(|queue| &*queue.queue.topic == TOPIC).expect("owned").standing
}

#[test]
fn a_suspended_consumer_fetches_nothing_but_finishes_what_it_has() {
    let mut world = World::new();
    world.start_with("*", |config| config.pull_batch_size = 1);
    world.pass(1_000);
    world.input(Input::Command(Command::Consumer(ME, ConsumerCommand::Suspend { operation: operation(7) })));
    assert!(matches!(world.outcomes.get(&7), Some(Outcome::Done)));
    world.publish(0, &["a", "b"]);
    let token = world.take()[0];
    let pulls = world.requests(RequestCode::PULL_MESSAGE).len();
    world.pass(60_000);
    assert_eq!(world.requests(RequestCode::PULL_MESSAGE).len(), pulls, "but for those that were under way");
    assert_eq!(standing(&mut world), Standing::Suspended);
    world.settle(token, Ack::Done);
    world.pass(5_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(1));
    world.input(Input::Command(Command::Consumer(ME, ConsumerCommand::Resume { operation: operation(8) })));
    assert_eq!(world.take().len(), 1, "at once");
}

#[test]
fn queues_change_hands_while_a_member_is_suspended() {
    let mut world = World::with_queues(2);
    world.start();
    world.input(Input::Command(Command::Consumer(ME, ConsumerCommand::Suspend { operation: operation(7) })));
    world.others = vec!["0-other".into()];
    world.pass(20_000);
    assert_eq!(world.owned(TOPIC), [1]);
    world.others.clear();
    world.pass(20_000);
    assert_eq!(world.owned(TOPIC), [0, 1]);
    assert_eq!(world.queue(TOPIC, 0).fetch, Fetch::Suspended);
    world.input(Input::Command(Command::Consumer(ME, ConsumerCommand::Resume { operation: operation(8) })));
    world.publish(0, &["a"]);
    assert_eq!(world.take().len(), 1);
}

#[test]
fn a_consumer_that_is_gone_says_so() {
    let mut world = World::new();
    for command in [
        Command::Consumer(ME, ConsumerCommand::Suspend { operation: operation(3) }),
        Command::Consumer(ME, ConsumerCommand::Inspect { operation: operation(4) }),
    ] {
        world.input(Input::Command(command));
    }
    for number in [3, 4] {
        assert!(matches!(world.outcomes.get(&number), Some(Outcome::Failed(Error::Closed))));
    }
}

#[test]
fn health_names_the_reason_why_a_queue_stands_still() {
    let mut world = World::new();
    world.start_with("*", |config| {
        config.pull_batch_size = 1;
        config.pull_threshold_for_queue = 1;
    });
    world.pass(1_500);
    assert!(matches!(standing(&mut world), Standing::Pulling(time) if time >= Duration::from_secs(1)));
    assert!(health(&mut world).is_flowing());
    world.publish(0, &["a"; 4]);
    let tokens = world.take();
    world.input(Input::Begun { tokens: vec![(tokens[1], Some(world.now))] });
    world.pass(2_300);
    let full = health(&mut world);
    assert!(!full.is_flowing());
    let queue = full.queues.iter().find(|queue| &*queue.queue.topic == TOPIC).expect("owned");
    assert_eq!(queue.standing, Standing::Full(Full::Count));
    assert_eq!((queue.cached, queue.in_hand, queue.lag()), (2, 1, Some(4)));
    assert_eq!(queue.oldest_in_hand, Some((1, Duration::from_millis(2_300))));
    assert_eq!(queue.last_pull, Some(Duration::from_millis(2_300)));
    let text = full.to_string();
    for words in ["T: 1 of 1 queues", "pull_threshold_for_queue allows", "1 in hand, offset 1 for 2.3 s"] {
        assert!(text.contains(words), "{words} in {text}");
    }
    world.settle(tokens[0], Ack::Done);
    world.settle(tokens[1], Ack::Done);
    for token in world.take() {
        world.settle(token, Ack::Done);
    }
    world.down.insert(BROKER_A.into());
    world.cut(BROKER_A);
    assert!(matches!(standing(&mut world), Standing::Paused(Pause::Unreachable, _)));
    assert!(health(&mut world).brokers.is_empty());
    assert!(health(&mut world).to_string().contains("can't be reached"));
}

#[test]
fn health_tells_of_topics_without_a_route_and_of_queues_that_are_others() {
    let mut world = World::with_queues(2);
    world.others = vec!["0-other".into()];
    world.start_with("*", |config| drop(config.subscriptions.insert("nowhere".into(), "*".into())));
    world.pass(1_000);
    let health = health(&mut world);
    let topics: vec::Vec<_> =
        health.topics.iter().map(|topic| (&*topic.topic, topic.queues, topic.owned)).collect();
    assert!(topics.contains(&(TOPIC, Some(2), 1)) && topics.contains(&("nowhere", None, 0)), "{topics:?}");
    assert!(health.to_string().contains("nowhere: no route"));
}

#[test]
fn statistics_count_what_became_of_messages() {
    let mut world = World::new();
    world.start_with("a", |_| {});
    world.pass(1_000);
    world.publish(0, &["a", "b", "a", "a"]);
    let tokens = world.take();
    let begun = tokens.iter().map(|token| (*token, Some(world.now))).collect();
    world.input(Input::Begun { tokens: begun });
    world.pass(40);
    world.settle(tokens[0], Ack::Done);
    world.settle(tokens[1], Ack::Retry);
    world.settle(tokens[1], Ack::Retry);
    world.refuse.insert(RequestCode::UPDATE_CONSUMER_OFFSET.0, ResponseCode::SYSTEM_ERROR);
    world.pass(5_000);
    world.refuse.clear();
    world.pass(5_000);
    let told = world.consumer().statistics();
    let topic = told.topic(TOPIC).expect("subscribed");
    assert_eq!((topic.pulled, topic.filtered, topic.consumed, topic.failed), (3, 1, 1, 1));
    assert_eq!((topic.sent_back, topic.sent_anew, told.late_answers), (1, 0, 1));
    assert!(topic.commits > 0 && topic.commit_failures > 0 && topic.pulled_bytes > 0, "{topic:?}");
    assert_eq!(topic.consume_time.count(), 2);
    assert_eq!(topic.consume_time.max(), Duration::from_millis(40));
    assert_eq!((told.cached, told.in_hand, told.cached_bytes > 0), (1, 1, true));
    assert_eq!(told.topic(RETRY).map(|topic| topic.pulled), Some(0));
    let client = world.client.statistics();
    assert_eq!((client.connections.open, client.connections.lost), (2, 0));
    assert_eq!(client.consumers, [told]);
    world.cut(BROKER_A);
    assert_eq!(world.client.statistics().connections.lost, 1);
}

#[test]
fn pulls_and_commits_count_at_every_door() {
    type Scene = fn(&mut World);
    // What happens, and: pulls, failures of pulls, bad answers, commits, failures of commits.
    let rows: [(&str, Scene, [u64; 5]); 6] = [
        ("a pull is answered", |world| world.publish(0, &["a"]), [1, 0, 0, 0, 0]),
        (
            "an answer to a pull has no header",
            |world| {
                let held = world.held.remove(0);
                world.answer(&held, ResponseCode::SUCCESS, &NoHeader, &[]);
                world.pass(0);
            },
            [1, 0, 1, 0, 0],
        ),
        (
            "a pull is refused",
            |world| {
                let held = world.held.remove(0);
                world.answer(&held, ResponseCode::SYSTEM_ERROR, &NoHeader, &[]);
                world.pass(0);
            },
            [0, 1, 0, 0, 0],
        ),
        (
            "a broker has no address",
            |world| {
                world.publish(0, &["a"]);
                world.routes.insert(TOPIC.into(), vec![("a", "", 1)]);
                world.routes.remove(RETRY);
                world.pass(31_000);
                let token = world.take()[0];
                world.cut(BROKER_A);
                world.settle(token, Ack::Done);
                world.pass(6_000);
            },
            // What it began with is committed while there still is one.
            [1, 1, 0, 1, 1],
        ),
        (
            "a commit is taken",
            |world| {
                world.publish(0, &["a"]);
                let token = world.take()[0];
                world.settle(token, Ack::Done);
                world.pass(5_000);
            },
            [1, 0, 0, 1, 0],
        ),
        (
            "a commit is refused",
            |world| {
                world.refuse.insert(RequestCode::UPDATE_CONSUMER_OFFSET.0, ResponseCode::SYSTEM_ERROR);
                world.publish(0, &["a"]);
                let token = world.take()[0];
                world.settle(token, Ack::Done);
                world.pass(5_000);
            },
            [1, 0, 0, 0, 1],
        ),
    ];
    for (what, scene, least) in rows {
        let mut world = World::new();
        world.start();
        let before = counts(&world);
        scene(&mut world);
        let after = counts(&world);
        for (place, least) in least.into_iter().enumerate() {
            let counted = after[place] - before[place];
            assert!(counted.min(1) == least, "{what}: {counted} instead of {least} at {place}");
        }
    }
}

fn counts(world: &World) -> [u64; 5] {
    let told = world.consumer().statistics();
    let topic = told.topic(TOPIC).expect("subscribed");
    [topic.pulls, topic.pull_failures, topic.bad_answers, topic.commits, topic.commit_failures]
}

#[test]
fn a_commit_that_nobody_waits_for_counts_as_a_request() {
    let mut world = World::new();
    world.start();
    world.publish(0, &["a"]);
    let token = world.take()[0];
    world.settle(token, Ack::Done);
    world.close(0);
    let seen = world.seen.len();
    let oneways = world.seen.iter().filter(|arrived| arrived.command.is_oneway()).count();
    assert!(oneways > 0, "the commit");
    assert_eq!(world.client.statistics().connections.requests, seen as u64);
}
