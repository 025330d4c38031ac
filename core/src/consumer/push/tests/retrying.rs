//! Messages that user code did not finish with.

use alloc::string::String;
use alloc::vec;
use core::time::Duration;

use super::world::{BROKER_A, RETRY, TOPIC, World};
use crate::client::Input;
use crate::consumer::{Ack, ConsumeToken};
use crate::message::{Properties, property};
use crate::remoting::{
    ConsumerSendMsgBackRequestHeader, RequestCode, ResponseCode, SendMessageRequestHeaderV2,
};

fn one_message() -> (World, ConsumeToken) {
    let mut world = World::new();
    world.start();
    world.publish(0, &["a"]);
    let token = world.take()[0];
    (world, token)
}

#[test]
fn a_message_to_retry_goes_back_to_its_broker_and_no_longer_holds_the_offset() {
    for (ack, level) in
        [(Ack::Retry, 0), (Ack::RetryAfter(Duration::from_secs(25)), 4), (Ack::DeadLetter, -1)]
    {
        let (mut world, token) = one_message();
        world.settle(token, ack);
        let back = world.last(RequestCode::CONSUMER_SEND_MSG_BACK);
        let header: ConsumerSendMsgBackRequestHeader<'_> = back.header();
        assert_eq!((&*header.group, header.offset, header.delay_level), ("g", 1_000, level));
        assert_eq!((header.origin_topic.as_deref(), header.max_reconsume_times), (Some(TOPIC), Some(16)));
        assert_eq!(world.queue(TOPIC, 0).committable, Some(1));
        assert_eq!(world.consumer().sent_back_count(), 1);
    }
}

#[test]
fn a_second_answer_that_comes_together_with_the_first_changes_nothing() {
    for second in [Ack::Retry, Ack::Done] {
        let (mut world, token) = one_message();
        world.silent.insert(RequestCode::CONSUMER_SEND_MSG_BACK.0);
        world.input(Input::Settled { answers: [(token, Ack::Retry), (token, second)].into() });
        assert_eq!(world.requests(RequestCode::CONSUMER_SEND_MSG_BACK).len(), 1, "{second:?}");
        assert_eq!(world.queue(TOPIC, 0).committable, Some(0), "{second:?}");
    }
}

#[test]
fn a_message_on_its_way_back_holds_the_offset() {
    let (mut world, token) = one_message();
    world.silent.insert(RequestCode::CONSUMER_SEND_MSG_BACK.0);
    world.settle(token, Ack::Retry);
    assert_eq!(world.queue(TOPIC, 0).committable, Some(0));
}

#[test]
fn a_message_that_its_broker_does_not_take_back_is_sent_to_the_retry_topic() {
    let (mut world, token) = one_message();
    world.refuse.insert(RequestCode::CONSUMER_SEND_MSG_BACK.0, ResponseCode::SYSTEM_ERROR);
    world.settle(token, Ack::Retry);
    let send = world.last(RequestCode::SEND_MESSAGE_V2);
    let header: SendMessageRequestHeaderV2<'_> = send.header();
    assert_eq!((&*header.topic, &*header.producer_group), (RETRY, "CLIENT_INNER_PRODUCER"));
    assert_eq!((header.reconsume_times, header.max_reconsume_times), (Some(1), Some(16)));
    assert_eq!(&*send.command.body, b"hello");
    let properties = Properties::parse(&header.properties.expect("properties"));
    assert_eq!(properties.get(property::RETRY_TOPIC), Some(TOPIC));
    assert_eq!(properties.get(property::DELAY), Some("3"));
    assert_eq!(properties.get(property::TAGS), Some("a"));
    assert!(properties.contains(property::ORIGIN_MESSAGE_ID));
    assert_eq!(world.queue(TOPIC, 0).committable, Some(1));
}

#[test]
fn a_dead_letter_that_has_to_be_sent_anew_is_marked_as_retried_too_often() {
    let (mut world, token) = one_message();
    world.refuse.insert(RequestCode::CONSUMER_SEND_MSG_BACK.0, ResponseCode::SYSTEM_ERROR);
    world.settle(token, Ack::DeadLetter);
    let send = world.last(RequestCode::SEND_MESSAGE_V2);
    let header: SendMessageRequestHeaderV2<'_> = send.header();
    assert_eq!((header.reconsume_times, header.max_reconsume_times), (Some(17), Some(16)));
}

#[test]
fn a_message_that_nobody_takes_is_offered_again_after_five_seconds() {
    let (mut world, token) = one_message();
    world.refuse.insert(RequestCode::CONSUMER_SEND_MSG_BACK.0, ResponseCode::SYSTEM_ERROR);
    world.refuse.insert(RequestCode::SEND_MESSAGE_V2.0, ResponseCode::SYSTEM_ERROR);
    world.settle(token, Ack::Retry);
    assert_eq!(world.queue(TOPIC, 0).committable, Some(0));
    world.settle(token, Ack::Done);
    assert_eq!(world.consumer().late_count(), 1, "it is not in anybody's hands");
    world.pass(4_990);
    assert!(world.deliveries.is_empty());
    world.pass(20);
    let delivery = world.deliveries.pop().expect("again");
    assert_eq!(delivery.token.queue_offset, token.queue_offset);
    assert_eq!(delivery.message.decode().expect("readable").reconsume_times, 1);
    world.settle(delivery.token, Ack::Done);
    assert_eq!(world.queue(TOPIC, 0).committable, Some(1));
}

#[test]
fn the_answer_to_a_former_hand_out_settles_nothing() {
    let (mut world, stale) = one_message();
    world.hand_back(stale);
    world.pass(5_100);
    let again = world.take()[0];
    world.settle(stale, Ack::Done);
    world.hand_back(stale);
    assert_eq!(world.queue(TOPIC, 0).committable, Some(0), "it is in other hands now");
    assert_eq!(world.queue(TOPIC, 0).in_hand, 1);
    assert_eq!(world.consumer().late_count(), 1);
    world.settle(again, Ack::Done);
    assert_eq!(world.queue(TOPIC, 0).committable, Some(1));
}

#[test]
fn a_lost_connection_does_not_lose_a_message_on_its_way_back() {
    let (mut world, token) = one_message();
    world.silent.insert(RequestCode::CONSUMER_SEND_MSG_BACK.0);
    world.settle(token, Ack::Retry);
    world.cut(BROKER_A);
    world.pass(1_000);
    world.pass(6_000);
    let again = world.take().iter().any(|again| again.queue_offset == token.queue_offset);
    let resent = !world.requests(RequestCode::SEND_MESSAGE_V2).is_empty();
    assert!(again || resent, "either offered again or sent anew");
    assert_eq!(world.queue(TOPIC, 0).committable, Some(i64::from(resent)));
}

#[test]
fn a_retried_message_carries_the_topic_that_was_subscribed_to() {
    let mut world = World::new();
    world.start();
    let properties = String::from("RETRY_TOPIC\u{1}T\u{2}");
    world.publish_to(RETRY, 0, vec![properties]);
    let delivery = world.deliveries.pop().expect("delivered");
    assert_eq!((&**delivery.topic(), &*delivery.queue().topic), (TOPIC, RETRY));
    world.settle(delivery.token, Ack::Retry);
    let back = world.last(RequestCode::CONSUMER_SEND_MSG_BACK);
    let header: ConsumerSendMsgBackRequestHeader<'_> = back.header();
    assert_eq!(header.origin_topic.as_deref(), Some(TOPIC));
}
