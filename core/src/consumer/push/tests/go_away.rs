//! A broker that is about to leave sends requests away: they are made again at once, on a new connection.

use alloc::format;
use alloc::string::String;

use bytes::Bytes;

use super::world::{Arrived, BROKER_A, TOPIC, World};
use crate::consumer::Ack;
use crate::remoting::{RemotingCommand, RequestCode, ResponseCode};

/// What is asked, without the number of the request.
fn asked(command: &RemotingCommand) -> (i32, String, Bytes) {
    (command.code, format!("{:?}", command.ext), command.body.clone())
}

/// Each request that was sent away has come again at the same moment, on another connection.
fn all_came_again(world: &World) {
    assert!(!world.sent_away.is_empty());
    for away in &world.sent_away {
        let again = |arrived: &&Arrived| {
            asked(&arrived.command) == asked(&away.command)
                && arrived.channel != away.channel
                && arrived.at == away.at
        };
        assert!(world.seen.iter().any(|arrived| again(&arrived)), "{:?}", away.command);
    }
}

/// A consumer that has settled `settled` of three messages.
fn consuming(world: &mut World, settled: usize) {
    world.start();
    world.publish(0, &["a", "b", "c"]);
    for token in world.take().into_iter().take(settled) {
        world.settle(token, Ack::Done);
    }
}

#[test]
fn what_a_consumer_asks_on_its_way_to_its_first_pull_is_made_again() {
    let codes = [
        RequestCode::GET_ROUTEINFO_BY_TOPIC,
        RequestCode::HEART_BEAT,
        RequestCode::GET_CONSUMER_LIST_BY_GROUP,
        RequestCode::QUERY_CONSUMER_OFFSET,
        RequestCode::PULL_MESSAGE,
    ];
    for code in codes {
        let mut world = World::new();
        world.go_away.insert(code.0, 1);
        world.start_with("*", |_| {});
        world.pass(10);
        all_came_again(&world);
        assert!(!world.requests(RequestCode::PULL_MESSAGE).is_empty(), "{code}: within 10 ms");
        assert_eq!(world.consumer().queues().map(|view| view.failures).max(), Some(0), "{code}");
    }
}

#[test]
fn a_broker_that_sends_everything_away_once_costs_no_time() {
    let mut world = World::new();
    let codes = [
        RequestCode::HEART_BEAT,
        RequestCode::GET_CONSUMER_LIST_BY_GROUP,
        RequestCode::QUERY_CONSUMER_OFFSET,
        RequestCode::PULL_MESSAGE,
        RequestCode::UPDATE_CONSUMER_OFFSET,
    ];
    world.go_away.extend(codes.map(|code| (code.0, 1)));
    consuming(&mut world, 2);
    world.pass(6_000);
    all_came_again(&world);
    assert_eq!(world.log(TOPIC, 0).committed, Some(2));
}

#[test]
fn the_last_commits_of_a_closing_consumer_are_not_lost() {
    let mut world = World::new();
    consuming(&mut world, 3);
    world.go_away.insert(RequestCode::UPDATE_CONSUMER_OFFSET.0, 1);
    world.go_away.insert(RequestCode::UNREGISTER_CLIENT.0, 1);
    world.close(5_000);
    world.pass(10);
    all_came_again(&world);
    assert_eq!(world.report().map(|report| report.queues_uncommitted), Some(0));
    assert_eq!(world.log(TOPIC, 0).committed, Some(3));
}

#[test]
fn a_message_goes_back_to_its_own_broker_on_the_new_connection() {
    let mut world = World::new();
    world.start();
    world.publish(0, &["a"]);
    world.go_away.insert(RequestCode::CONSUMER_SEND_MSG_BACK.0, 1);
    let token = world.take()[0];
    world.settle(token, Ack::Retry);
    all_came_again(&world);
    assert_eq!(world.queue(TOPIC, 0).committable, Some(1));
    assert!(world.requests(RequestCode::SEND_MESSAGE_V2).is_empty(), "it is not sent anew");
}

#[test]
fn a_message_that_is_sent_to_the_retry_topic_is_made_again() {
    let mut world = World::new();
    world.start();
    world.publish(0, &["a"]);
    world.refuse.insert(RequestCode::CONSUMER_SEND_MSG_BACK.0, ResponseCode::SYSTEM_ERROR);
    world.go_away.insert(RequestCode::SEND_MESSAGE_V2.0, 1);
    let token = world.take()[0];
    world.settle(token, Ack::Retry);
    all_came_again(&world);
    assert_eq!(world.queue(TOPIC, 0).committable, Some(1));
}

#[test]
fn the_new_connection_begins_with_a_heartbeat() {
    let mut world = World::new();
    world.start();
    world.pass(2_000);
    world.go_away.insert(RequestCode::PULL_MESSAGE.0, 1);
    world.publish(0, &["a"]);
    let token = world.take()[0];
    world.settle(token, Ack::Done);
    let new = world.last(RequestCode::PULL_MESSAGE).channel;
    let first = world.seen.iter().find(|arrived| arrived.channel == new).map(|arrived| arrived.command.code);
    assert_eq!(first, Some(RequestCode::HEART_BEAT.0));
}

#[test]
fn a_broker_that_sends_everything_away_for_ever_is_not_stormed() {
    let mut world = World::new();
    consuming(&mut world, 0);
    let codes = [RequestCode::PULL_MESSAGE, RequestCode::HEART_BEAT, RequestCode::GET_CONSUMER_LIST_BY_GROUP];
    world.go_away.extend(codes.map(|code| (code.0, usize::MAX)));
    world.cut(BROKER_A);
    world.pass(5_000);
    let before = world.requests(RequestCode::PULL_MESSAGE).len();
    world.pass(10_000);
    let pulls = world.requests(RequestCode::PULL_MESSAGE).len() - before;
    assert!(pulls <= 100, "{pulls} pulls in 10 s");
    world.go_away.clear();
    world.publish(0, &["d"]);
    world.pass(5_000);
    assert_eq!(world.take().len(), 1, "and goes on when the broker is well again");
}
