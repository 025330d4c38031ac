//! A broker that is about to leave sends requests away; users hear of it only when it does so twice.

use super::*;
use crate::message::Message;

/// What is asked, without the number of the request.
fn asked(command: &RemotingCommand) -> (i32, String, Bytes) {
    (command.code, format!("{:?}", command.ext), command.body.clone())
}

/// A world whose route is known and in which one message was sent, and the request that was.
fn sent(brokers: &[(&str, &str, i32)], choice: QueueChoice) -> (World, Arrived) {
    let mut world = World::with_producer(producer());
    world.send_to(choice);
    world.route(brokers);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    (world, send)
}

fn choices() -> [QueueChoice; 3] {
    let queue = MessageQueue { topic: "T".into(), broker_name: "a".into(), queue_id: 1 };
    [QueueChoice::Queue(Box::new(queue)), QueueChoice::Hash(7), QueueChoice::RoundRobin]
}

#[test]
fn a_send_that_is_sent_away_is_stored_by_the_new_connection_at_once() {
    for choice in choices() {
        let (mut world, first) = sent(&[A], choice.clone());
        world.pass(10);
        world.answer(&first, ResponseCode::GO_AWAY);
        let again = world.next(RequestCode::SEND_MESSAGE_V2);
        assert_ne!(again.channel, first.channel, "{choice:?}");
        assert_eq!(asked(&again.command), asked(&first.command));
        world.stored(&again, 3);
        assert!(matches!(world.outcome(), Some(Outcome::Sent(_))), "{choice:?}");
    }
}

#[test]
fn a_batch_that_is_sent_away_is_made_again_as_it_was() {
    let mut world = World::with_producer(producer());
    let operation = OperationId::from_parts(1, 0);
    let messages = (0..3).map(|number| Message::new("T", format!("body {number}"))).collect();
    let (producer, choice) = (ProducerId(1), QueueChoice::RoundRobin);
    world.command(Command::Producer(
        producer,
        ProducerCommand::SendBatch { operation, messages, choice, timeout: None },
    ));
    world.route(&[A]);
    let first = world.next(RequestCode::SEND_BATCH_MESSAGE);
    world.answer(&first, ResponseCode::GO_AWAY);
    let again = world.next(RequestCode::SEND_BATCH_MESSAGE);
    assert_eq!(asked(&again.command), asked(&first.command));
}

#[test]
fn a_send_that_is_sent_away_twice_was_not_sent() {
    let (mut world, first) = sent(&[A], choices()[0].clone());
    world.answer(&first, ResponseCode::GO_AWAY);
    let again = world.next(RequestCode::SEND_MESSAGE_V2);
    world.answer(&again, ResponseCode::GO_AWAY);
    let error = world.error();
    assert!(matches!(error, Error::NotSent(_)), "{error}");
    assert!(error.to_string().contains("1500 GO_AWAY"), "{error}");
    assert_eq!(error.failure().map(|failure| failure.attempts), Some(1));
}

#[test]
fn a_send_that_a_broker_sends_away_twice_goes_to_another() {
    let (mut world, first) = sent(&[A, B], QueueChoice::RoundRobin);
    world.answer(&first, ResponseCode::GO_AWAY);
    let again = world.next(RequestCode::SEND_MESSAGE_V2);
    assert_eq!(again.address, first.address);
    world.answer(&again, ResponseCode::GO_AWAY);
    let other = world.next(RequestCode::SEND_MESSAGE_V2);
    assert_ne!(other.address, first.address);
    world.stored(&other, 3);
    assert!(matches!(world.outcome(), Some(Outcome::Sent(_))));
}

#[test]
fn a_send_whose_first_attempt_had_only_half_of_its_time_keeps_to_that() {
    let (mut world, first) = sent(&[A, B], QueueChoice::RoundRobin);
    world.pass(1_000);
    world.answer(&first, ResponseCode::GO_AWAY);
    let again = world.next(RequestCode::SEND_MESSAGE_V2);
    assert_eq!(again.address, first.address);
    world.pass(499);
    assert!(world.quiet());
    world.pass(1);
    assert_ne!(world.next(RequestCode::SEND_MESSAGE_V2).address, first.address, "1.5 s are over");
}

#[test]
fn a_send_that_was_given_up_meanwhile_is_not_made_again() {
    let (mut world, first) = sent(&[A], QueueChoice::RoundRobin);
    let operation = OperationId::from_parts(9, 0);
    let (producer, timeout) = (ProducerId(1), Duration::ZERO);
    world.command(Command::Producer(producer, ProducerCommand::Close { operation, timeout }));
    world.pass(1);
    world.outcomes.clear();
    world.arrived.clear();
    world.answer(&first, ResponseCode::GO_AWAY);
    assert!(world.arrived.iter().all(|arrived| arrived.command.code != RequestCode::SEND_MESSAGE_V2.0));
}

#[test]
fn a_look_up_that_a_name_server_sends_away_is_made_again() {
    let mut world = World::with_producer(producer());
    world.send();
    let first = world.next(RequestCode::GET_ROUTEINFO_BY_TOPIC);
    world.answer(&first, ResponseCode::GO_AWAY);
    let again = world.arrived.front().expect("it was made again");
    assert_eq!(asked(&again.command), asked(&first.command));
    assert_ne!(again.channel, first.channel);
    world.route(&[A]);
    world.next(RequestCode::SEND_MESSAGE_V2);
}
