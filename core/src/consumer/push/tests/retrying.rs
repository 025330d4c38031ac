//! Messages that user code did not finish with.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use core::time::Duration;

use super::looking::health;
use super::world::{BROKER_A, RETRY, TOPIC, World};
use crate::client::Input;
use crate::consumer::{Ack, ConsumeToken, Settled};
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
        world.input(Input::Settled {
            answers: [Settled::new(token, Ack::Retry), Settled::new(token, second)].into(),
        });
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

const LONG: usize = 2_000;

/// One message whose properties are too long to be stored again, behind it one that is not.
fn one_too_long() -> World {
    let mut world = World::new();
    world.start_with("*", |config| config.max_reconsume_times = 2);
    world.pass(1_000);
    world.properties_max = LONG;
    world.refuse.insert(RequestCode::CONSUMER_SEND_MSG_BACK.0, ResponseCode::SYSTEM_ERROR);
    world.remark = "PROPERTIES_SIZE_EXCEEDED";
    let long = format!("UNIQ_KEY\u{1}k1\u{2}n\u{1}{}\u{2}", "x".repeat(LONG));
    world.publish_to(TOPIC, 0, vec![long, String::new()]);
    world
}

/// Answers what is delivered so for as long as it takes; the deliveries of the first message.
fn answer_all(world: &mut World, first: Ack, seconds: usize) -> usize {
    let mut deliveries = 0;
    for _ in 0..seconds {
        for token in world.take() {
            let ack = if token.queue_offset == 0 { first } else { Ack::Done };
            deliveries += usize::from(token.queue_offset == 0);
            world.settle(token, ack);
        }
        world.pass(1_000);
    }
    deliveries
}

#[test]
fn a_message_that_no_broker_can_store_again_becomes_a_dead_letter_without_its_properties() {
    for (ack, deliveries) in
        [(Ack::Retry, 3), (Ack::RetryAfter(Duration::from_secs(9)), 3), (Ack::DeadLetter, 1)]
    {
        let mut world = one_too_long();
        assert_eq!(answer_all(&mut world, ack, 60), deliveries, "{ack:?}");
        assert_eq!(world.log(TOPIC, 0).committed, Some(2));
        let sent = world.last(RequestCode::SEND_MESSAGE_V2);
        let header: SendMessageRequestHeaderV2<'_> = sent.header();
        assert_eq!((header.reconsume_times, header.max_reconsume_times), (Some(3), Some(2)), "a dead letter");
        let properties = Properties::parse(&header.properties.expect("our own"));
        assert_eq!((properties.get(property::UNIQ_KEY), properties.get("n")), (Some("k1"), None));
        assert_eq!(properties.get(property::RETRY_TOPIC), Some(TOPIC));
        assert_eq!(&*sent.command.body, b"hello");
        assert_eq!(health(&mut world).passed_over, []);
    }
}

#[test]
fn a_message_that_is_refused_whatever_is_left_of_it_is_passed_over_and_named() {
    for ack in [Ack::Retry, Ack::DeadLetter] {
        let mut world = one_too_long();
        world.properties_max = 0;
        world.pass(100);
        let long = health(&mut world);
        assert!(long.queues.iter().all(|queue| queue.refused_back.is_none()));
        answer_all(&mut world, ack, 60);
        assert_eq!(world.log(TOPIC, 0).committed, Some(2), "what stands behind is not held up");
        let told = health(&mut world);
        let passed = &told.passed_over[0];
        assert_eq!((&*passed.queue.topic, passed.queue.queue_id, passed.offset), (TOPIC, 0, 0));
        assert!(passed.cause.contains("MESSAGE_ILLEGAL"), "{passed}");
        assert!(told.to_string().contains("passed over: T@a:0 offset 0: it answered"), "{told}");
        assert_eq!(world.consumer().statistics().topic(TOPIC).map(|topic| topic.passed_over), Some(1));
        world.close(1_000);
        let report = world.report().expect("over");
        assert_eq!((report.passed_over, report.last_passed_over.len(), report.settled), (1, 1, 1));
        assert!(report.to_string().contains("1 passed over (the last: T@a:0 offset 0:"), "{report}");
    }
}

#[test]
fn what_is_refused_for_the_brokers_sake_is_never_passed_over() {
    for code in [1, 2, 14, 16, 17, 26, 29, 215, 999] {
        let (mut world, token) = one_message();
        for request in [RequestCode::CONSUMER_SEND_MSG_BACK, RequestCode::SEND_MESSAGE_V2] {
            world.refuse.insert(request.0, ResponseCode(code));
        }
        world.settle(token, Ack::Retry);
        let offers = answer_all(&mut world, Ack::Retry, 1_200);
        assert!((30..50).contains(&offers), "{offers} offers in twenty minutes, code {code}");
        assert_eq!(world.queue(TOPIC, 0).committable, Some(0), "{code}");
        let told = health(&mut world);
        let queue = told.queues.iter().find(|queue| &*queue.queue.topic == TOPIC).expect("owned");
        let back = queue.refused_back.as_ref().expect("told");
        assert_eq!(back.offset, 0);
        assert!(back.refusals >= 30 && back.cause.contains("scripted"), "{back:?}");
        world.refuse.clear();
        answer_all(&mut world, Ack::Retry, 40);
        assert_eq!(world.queue(TOPIC, 0).committable, Some(1), "taken at last, code {code}");
        let last = world.last(RequestCode::CONSUMER_SEND_MSG_BACK);
        let header: ConsumerSendMsgBackRequestHeader<'_> = last.header();
        assert_eq!(header.delay_level, -1, "offered more than sixteen times: a dead letter");
    }
}

#[test]
fn a_retry_topic_that_is_not_there_holds_the_message_and_is_told() {
    let (mut world, token) = one_message();
    world.routes.remove(RETRY);
    world.refuse.insert(RequestCode::CONSUMER_SEND_MSG_BACK.0, ResponseCode::NO_PERMISSION);
    world.refuse.insert(RequestCode::SEND_MESSAGE_V2.0, ResponseCode::TOPIC_NOT_EXIST);
    world.settle(token, Ack::DeadLetter);
    answer_all(&mut world, Ack::DeadLetter, 300);
    assert_eq!(world.queue(TOPIC, 0).committable, Some(0));
    assert!(health(&mut world).to_string().contains("1 going back, offset 0 refused"));
}

#[test]
fn the_pause_before_another_offer_grows() {
    let (mut world, token) = one_message();
    for request in [RequestCode::CONSUMER_SEND_MSG_BACK, RequestCode::SEND_MESSAGE_V2] {
        world.refuse.insert(request.0, ResponseCode::SYSTEM_BUSY);
    }
    let mut settled = world.now;
    world.settle(token, Ack::Retry);
    let mut pauses = vec::Vec::new();
    while pauses.len() < 5 {
        world.pass(500);
        for token in world.take() {
            pauses.push((world.now - settled).as_secs());
            settled = world.now;
            world.settle(token, Ack::Retry);
        }
    }
    assert_eq!(pauses, [5, 10, 20, 30, 30]);
}
