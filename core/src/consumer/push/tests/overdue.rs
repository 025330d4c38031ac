//! Handlers that have a message for too long.

use alloc::vec;
use core::time::Duration;

use super::world::{TOPIC, World};
use crate::client::Input;
use crate::consumer::{Ack, ConsumeToken};
use crate::remoting::{ConsumerSendMsgBackRequestHeader, RequestCode, ResponseCode};

fn two_messages() -> (World, ConsumeToken, ConsumeToken) {
    let mut world = World::new();
    world.start_with("*", |config| config.consume_timeout = Duration::from_secs(60));
    world.pass(1_000);
    world.publish(0, &["a", "b"]);
    let tokens = world.take();
    (world, tokens[0], tokens[1])
}

fn begin(world: &mut World, token: ConsumeToken) {
    let tokens = vec![(token, Some(world.now))];
    world.input(Input::Begun { tokens });
}

fn sent_back(world: &World) -> usize {
    world.requests(RequestCode::CONSUMER_SEND_MSG_BACK).len()
}

#[test]
fn each_message_has_its_time_from_when_its_handler_was_called() {
    let (mut world, first, second) = two_messages();
    world.pass(50_000);
    begin(&mut world, first);
    world.pass(30_000);
    begin(&mut world, second);
    world.pass(29_990);
    assert_eq!(sent_back(&world), 0, "waiting for a handler does not count");
    world.pass(10);
    assert_eq!(sent_back(&world), 1);
    let back = world.last(RequestCode::CONSUMER_SEND_MSG_BACK);
    assert_eq!(back.header::<ConsumerSendMsgBackRequestHeader<'_>>().delay_level, 3);
    assert_eq!(world.queue(TOPIC, 0).committable, Some(1));
    world.pass(29_990);
    assert_eq!(sent_back(&world), 1);
    world.pass(10);
    assert_eq!((sent_back(&world), world.consumer().statistics().topics[1].1.timed_out), (2, 2));
}

#[test]
fn a_message_that_nobody_has_begun_never_times_out() {
    let (mut world, first, _) = two_messages();
    world.pass(600_000);
    assert_eq!(sent_back(&world), 0);
    world.settle(first, Ack::Done);
    assert_eq!(world.queue(TOPIC, 0).committable, Some(1));
}

#[test]
fn the_late_answer_of_a_handler_whose_time_is_over_counts_for_nothing() {
    let (mut world, first, second) = two_messages();
    begin(&mut world, first);
    world.settle(second, Ack::Done);
    world.pass(61_000);
    assert_eq!(sent_back(&world), 1);
    world.settle(first, Ack::DeadLetter);
    assert_eq!((sent_back(&world), world.consumer().late_count()), (1, 1));
    world.close(1_000);
    let report = world.report().expect("over");
    assert_eq!((report.settled, report.sent_back, report.timed_out, report.abandoned), (1, 1, 1, 0));
}

#[test]
fn a_message_that_timed_out_and_finds_no_way_back_is_offered_again_and_keeps_its_place() {
    let (mut world, first, _) = two_messages();
    begin(&mut world, first);
    world.refuse.insert(RequestCode::CONSUMER_SEND_MSG_BACK.0, ResponseCode::SYSTEM_ERROR);
    world.refuse.insert(RequestCode::SEND_MESSAGE_V2.0, ResponseCode::SYSTEM_ERROR);
    world.pass(66_000);
    let again = world.take()[0];
    assert_eq!((again.queue_offset, again.hand_out), (0, 1));
    world.settle(first, Ack::Done);
    assert_eq!(world.queue(TOPIC, 0).committable, Some(0));
    begin(&mut world, first);
    begin(&mut world, again);
    world.settle(again, Ack::Done);
    assert_eq!(world.queue(TOPIC, 0).committable, Some(1));
}

#[test]
fn an_idle_consumer_is_not_woken_for_handlers_that_do_not_run() {
    let (mut world, first, second) = two_messages();
    world.settle(first, Ack::Done);
    world.settle(second, Ack::Done);
    world.pass(61_000);
    let woken = world.client.consumers().get(crate::id::ConsumerId(1)).expect("there").is_watching();
    assert!(!woken);
}
