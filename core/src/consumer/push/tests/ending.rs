//! Closing.

use alloc::sync::Arc;

use super::world::{BROKER_A, TOPIC, World};
use crate::client::{ClientCommand, Command, Input, Outcome};
use crate::config::PushConsumerConfig;
use crate::consumer::{Ack, ConsumerCommand};
use crate::id::{ConsumerId, GenerationalId, OperationId};
use crate::remoting::{RequestCode, ResponseCode, UnregisterClientRequestHeader};
use core::time::Duration;

#[test]
fn an_idle_consumer_leaves_at_once_and_says_so() {
    let mut world = World::new();
    world.start();
    world.close(10_000);
    assert!(world.closed);
    let left = world.last(RequestCode::UNREGISTER_CLIENT);
    assert_eq!(left.header::<UnregisterClientRequestHeader<'_>>().consumer_group.as_deref(), Some("g"));
    let report = world.report().expect("over");
    assert_eq!(
        (report.queues_committed, report.queues_uncommitted),
        (1, 0),
        "the retry topic's is nobody's business"
    );
    assert!(world.client.consumers().is_empty());
}

#[test]
fn running_handlers_finish_the_rest_is_handed_back_and_both_are_committed() {
    let mut world = World::new();
    world.start();
    world.publish(0, &["a", "b", "c", "d"]);
    let tokens = world.take();
    world.close(10_000);
    assert!(world.report().is_none(), "a handler may still run");
    world.hand_back(tokens[2]);
    world.hand_back(tokens[3]);
    world.settle(tokens[0], Ack::Done);
    world.pass(3_000);
    assert!(world.report().is_none());
    world.settle(tokens[1], Ack::Retry);
    let report = world.report().expect("over");
    assert_eq!((report.settled, report.sent_back, report.handed_back, report.abandoned), (1, 1, 2, 0));
    assert_eq!(world.log(TOPIC, 0).committed, Some(2));
}

/// One worker may be ahead of another, whose messages hold the commit back until they are done, too.
#[test]
fn the_host_may_begin_what_it_kept_until_the_last_answer_and_all_is_committed() {
    let mut world = World::new();
    world.start();
    world.publish(0, &["a", "b", "c", "d", "e"]);
    let tokens = world.take();
    world.settle(tokens[2], Ack::Done);
    world.settle(tokens[3], Ack::Done);
    world.close(10_000);
    assert!(world.closing && !world.closed, "the host still has what lies before the third");
    world.hand_back(tokens[4]);
    world.settle(tokens[0], Ack::Done);
    world.pass(5_000);
    assert!(!world.closed);
    world.settle(tokens[1], Ack::Done);
    assert!(world.closed);
    let report = world.report().expect("over");
    assert_eq!((report.settled, report.handed_back, report.abandoned), (4, 1, 0));
    assert_eq!(world.log(TOPIC, 0).committed, Some(4));
}

#[test]
fn what_the_host_gives_back_once_handlers_have_had_their_time_was_not_abandoned() {
    let mut world = World::new();
    world.start();
    world.publish(0, &["a", "b"]);
    let tokens = world.take();
    world.silent.insert(RequestCode::UNREGISTER_CLIENT.0);
    world.close(8_000);
    world.pass(7_000);
    assert!(world.closed && world.report().is_none());
    world.hand_back(tokens[1]);
    world.pass(1_000);
    let report = world.report().expect("over");
    assert_eq!((report.handed_back, report.abandoned), (1, 1));
}

/// Whoever ends the close, the host learns it.
#[test]
fn a_client_whose_time_is_over_tells_of_its_consumers_end() {
    let mut world = World::new();
    world.start();
    world.publish(0, &["a"]);
    let token = world.take()[0];
    let operation = OperationId::from_parts(3, 0);
    world.input(Input::Command(Command::Client(ClientCommand::Close { operation, timeout: Duration::ZERO })));
    world.pass(0);
    assert!(world.closed && world.outcomes.contains_key(&3));
    world.settle(token, Ack::Done);
}

#[test]
fn a_handler_that_does_not_end_is_left_behind_in_time_to_commit() {
    let mut world = World::new();
    world.start();
    world.publish(0, &["a", "b"]);
    let tokens = world.take();
    world.settle(tokens[0], Ack::Done);
    world.close(8_000);
    world.pass(7_100);
    let report = world.report().expect("over before the deadline");
    assert_eq!((report.settled, report.abandoned, report.queues_uncommitted), (1, 1, 0));
    assert_eq!(world.log(TOPIC, 0).committed, Some(1));
    assert!(world.take().is_empty());
}

#[test]
fn a_close_ends_at_its_deadline_whatever_brokers_do() {
    let mut world = World::new();
    world.start();
    world.publish(0, &["a"]);
    let token = world.take()[0];
    world.settle(token, Ack::Done);
    world.silent.insert(RequestCode::UPDATE_CONSUMER_OFFSET.0);
    world.silent.insert(RequestCode::UNREGISTER_CLIENT.0);
    world.close(2_000);
    world.pass(1_990);
    assert!(world.report().is_none());
    world.pass(10);
    let report = world.report().expect("over");
    assert_eq!(report.queues_uncommitted, 2, "those that were begun but never confirmed");
}

#[test]
fn a_close_without_time_still_tells_the_broker_what_was_settled() {
    let mut world = World::new();
    world.start();
    world.publish(0, &["a"]);
    let token = world.take()[0];
    world.settle(token, Ack::Done);
    world.close(0);
    assert!(world.report().is_some());
    assert_eq!(world.log(TOPIC, 0).committed, Some(1));
}

#[test]
fn nothing_is_fetched_or_offered_once_a_close_has_begun() {
    let mut world = World::new();
    world.start();
    world.publish(0, &["a"]);
    let token = world.take()[0];
    world.refuse.insert(RequestCode::CONSUMER_SEND_MSG_BACK.0, ResponseCode::SYSTEM_ERROR);
    world.refuse.insert(RequestCode::SEND_MESSAGE_V2.0, ResponseCode::SYSTEM_ERROR);
    world.close(10_000);
    let pulls = world.requests(RequestCode::PULL_MESSAGE).len();
    world.publish(0, &["b"]);
    world.settle(token, Ack::Retry);
    world.pass(20_000);
    assert_eq!(world.requests(RequestCode::PULL_MESSAGE).len(), pulls);
    let report = world.report().expect("over");
    assert_eq!((report.handed_back, report.sent_back), (1, 0), "the next owner gets it");
    assert_eq!(world.log(TOPIC, 0).committed, Some(0));
}

#[test]
fn a_close_while_it_starts_is_no_error_and_tells_the_report() {
    let mut world = World::new();
    world.down.insert(BROKER_A.into());
    world.start_with("*", |_| {});
    world.close(1_000);
    world.pass(1_000);
    assert!(matches!(world.outcomes.get(&1), Some(Outcome::Done)));
    assert!(world.report().is_some());
}

#[test]
fn closing_the_client_closes_its_consumers_first() {
    let mut world = World::new();
    world.start();
    world.publish(0, &["a"]);
    let token = world.take()[0];
    let operation = OperationId::from_parts(3, 0);
    world.input(Input::Command(Command::Client(ClientCommand::Close {
        operation,
        timeout: Duration::from_secs(5),
    })));
    world.settle(token, Ack::Done);
    world.pass(5_000);
    assert!(world.outcomes.contains_key(&3));
    assert_eq!(world.log(TOPIC, 0).committed, Some(1));
    assert!(!world.requests(RequestCode::UNREGISTER_CLIENT).is_empty());
}

/// Brokers take up a heartbeat and a farewell side by side: the group would be back after the farewell.
#[test]
fn a_broker_that_may_take_up_a_heartbeat_after_the_farewell_is_told_again() {
    for stays in [false, true] {
        let mut world = World::new();
        world.silent.insert(RequestCode::HEART_BEAT.0);
        world.start_with("*", |_| {});
        world.close(0);
        assert!(world.report().is_some());
        assert_eq!(world.requests(RequestCode::UNREGISTER_CLIENT).len(), 1);
        if stays {
            // The next consumer of the group is there before the answer.
            let config = PushConsumerConfig {
                subscriptions: [(TOPIC.into(), "*".into())].into(),
                ..PushConsumerConfig::new("g")
            };
            let (operation, consumer) = (OperationId::from_parts(4, 0), ConsumerId(2));
            world.input(Input::Command(Command::Consumer(
                consumer,
                ConsumerCommand::Start { operation, config: Arc::new(config) },
            )));
        }
        world.silent.clear();
        for heartbeat in core::mem::take(&mut world.swallowed) {
            world.serve(heartbeat);
        }
        world.pass(10);
        let told = world.requests(RequestCode::UNREGISTER_CLIENT).len();
        assert_eq!(told, if stays { 1 } else { 2 });
        if !stays {
            let last = world.last(RequestCode::UNREGISTER_CLIENT);
            assert_eq!(
                last.header::<UnregisterClientRequestHeader<'_>>().consumer_group.as_deref(),
                Some("g")
            );
        }
    }
}
