//! Fetching, handing out, committing.

use alloc::vec;
use alloc::vec::Vec;

use super::world::{BROKER_A, TOPIC, World, records};
use crate::config::ConsumeFrom;
use crate::consumer::push::{Fetch, Pause};
use crate::consumer::{Ack, Full};
use crate::message::sys_flag::pull as pull_flag;
use crate::remoting::{
    ConsumerSendMsgBackRequestHeader, PullMessageRequestHeader, PullMessageResponseHeader, RequestCode,
    ResponseCode,
};

fn offsets(tokens: &[crate::consumer::ConsumeToken]) -> Vec<i64> {
    tokens.iter().map(|token| token.queue_offset).collect()
}

#[test]
fn a_start_is_done_without_waiting_for_any_tick() {
    let mut world = World::with_queues(4);
    world.start_with("*", |_| {});
    assert!(world.outcomes.contains_key(&1), "registered and divided");
    assert_eq!(world.owned(TOPIC), [0, 1, 2, 3]);
    assert_eq!(
        world.held.iter().filter(|pull| pull.at == world.now).count(),
        4,
        "every queue is being pulled"
    );
}

#[test]
fn messages_are_delivered_in_order_and_committed_once_settled() {
    let mut world = World::new();
    world.start();
    world.publish(0, &["a", "b", "c"]);
    let tokens = world.take();
    assert_eq!(offsets(&tokens), [0, 1, 2]);
    world.settle(tokens[2], Ack::Done);
    world.settle(tokens[0], Ack::Done);
    world.pass(5_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(1), "not past the unfinished one");
    world.settle(tokens[1], Ack::Done);
    world.pass(5_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(3));
    let commits = world.requests(RequestCode::UPDATE_CONSUMER_OFFSET).len();
    world.pass(15_000);
    let now = world.requests(RequestCode::UPDATE_CONSUMER_OFFSET).len();
    assert_eq!(now, commits, "nothing new, nothing said");
    world.pass(10_000);
    let now = world.requests(RequestCode::UPDATE_CONSUMER_OFFSET).len();
    assert!(now > commits, "said again every 30 s, in case a former owner overwrote it late");
}

#[test]
fn pulls_go_on_exactly_where_the_last_one_ended() {
    let mut world = World::new();
    world.start_with("*", |config| config.pull_batch_size = 2);
    world.pass(1_000);
    world.publish(0, &["a"; 5]);
    let pulls = world.requests(RequestCode::PULL_MESSAGE);
    let from: Vec<i64> = pulls
        .iter()
        .map(|pull| pull.header::<PullMessageRequestHeader<'_>>())
        .filter(|header| header.topic == TOPIC)
        .map(|header| header.queue_offset)
        .collect();
    assert_eq!(from, [0, 2, 4, 5]);
    let tokens = world.take();
    assert_eq!(offsets(&tokens), [0, 1, 2, 3, 4], "each once");
}

#[test]
fn unwanted_tags_never_reach_the_user_but_advance_the_offset() {
    let mut world = World::new();
    world.start_with("red || green", |_| {});
    world.pass(1_000);
    world.publish(0, &["red", "blue", "", "green", "blue"]);
    let tokens = world.take();
    assert_eq!(offsets(&tokens), [0, 3]);
    for token in tokens {
        world.settle(token, Ack::Done);
    }
    world.pass(5_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(5));
}

#[test]
fn a_full_queue_is_pulled_again_the_moment_there_is_room() {
    let mut world = World::new();
    world.start_with("*", |config| {
        config.pull_batch_size = 2;
        config.pull_threshold_for_queue = 3;
    });
    world.pass(1_000);
    world.publish(0, &["a"; 8]);
    let tokens = world.take();
    assert_eq!(tokens.len(), 4, "the threshold and no more than a batch");
    assert_eq!(world.queue(TOPIC, 0).fetch, Fetch::Full(Full::Count));
    world.settle(tokens[1], Ack::Done);
    assert_eq!(offsets(&world.take()), [4, 5], "without any time passing");
}

#[test]
fn a_stuck_message_stops_fetching_at_the_span_only() {
    let mut world = World::new();
    world.start_with("*", |config| config.consume_concurrently_max_span = 4);
    world.pass(1_000);
    world.publish(0, &["a"; 8]);
    let tokens = world.take();
    assert_eq!(world.queue(TOPIC, 0).fetch, Fetch::Full(Full::Span));
    for token in &tokens[5..] {
        world.settle(*token, Ack::Done);
    }
    assert!(matches!(world.queue(TOPIC, 0).fetch, Fetch::Pulling(_)));
}

#[test]
fn a_group_that_stands_nowhere_begins_where_its_settings_say() {
    for (from, expected) in
        [(ConsumeFrom::LastOffset, 5), (ConsumeFrom::FirstOffset, 0), (ConsumeFrom::Timestamp(77), 2)]
    {
        let mut world = World::new();
        world.publish(0, &["a"; 2]);
        world.stored_at = 77;
        world.publish(0, &["a"; 3]);
        world.start_with("*", |config| config.consume_from = from);
        let pulls = world.requests(RequestCode::PULL_MESSAGE);
        assert_eq!(pulls[0].header::<PullMessageRequestHeader<'_>>().queue_offset, expected, "{from:?}");
    }
}

#[test]
fn a_group_goes_on_where_it_stands_whatever_its_settings_say() {
    let mut world = World::new();
    world.publish(0, &["a"; 5]);
    world.log(TOPIC, 0).committed = Some(3);
    world.start();
    assert_eq!(offsets(&world.take()), [3, 4]);
}

#[test]
fn an_error_is_never_taken_for_an_offset() {
    let mut world = World::new();
    world.publish(0, &["a"; 5]);
    world.log(TOPIC, 0).committed = Some(3);
    world.refuse.insert(RequestCode::QUERY_CONSUMER_OFFSET.0, ResponseCode::SYSTEM_ERROR);
    world.start();
    world.pass(10_000);
    assert!(world.requests(RequestCode::PULL_MESSAGE).is_empty());
    assert!(world.requests(RequestCode::UPDATE_CONSUMER_OFFSET).is_empty());
    assert_eq!(world.queue(TOPIC, 0).fetch, Fetch::Gated(Pause::Refused));
    world.refuse.clear();
    world.pass(1_000);
    assert_eq!(offsets(&world.take()), [3, 4]);
}

#[test]
fn an_error_about_the_end_of_a_queue_is_asked_again_too() {
    let mut world = World::new();
    world.publish(0, &["a"; 5]);
    world.refuse.insert(RequestCode::GET_MAX_OFFSET.0, ResponseCode::SYSTEM_ERROR);
    world.start();
    assert!(
        world
            .requests(RequestCode::PULL_MESSAGE)
            .iter()
            .all(|pull| { pull.header::<PullMessageRequestHeader<'_>>().topic != TOPIC })
    );
    world.refuse.clear();
    world.pass(1_100);
    world.publish(0, &["b"]);
    assert_eq!(offsets(&world.take()), [5]);
}

#[test]
fn an_expired_offset_skips_forward_and_finishes_what_is_cached() {
    let mut world = World::new();
    world.start_with("*", |config| config.pull_batch_size = 2);
    world.pass(1_000);
    world.silent.insert(RequestCode::PULL_MESSAGE.0);
    world.publish(0, &["a"; 10]);
    let tokens = world.take();
    assert_eq!(offsets(&tokens), [0, 1]);
    let log = world.log(TOPIC, 0);
    log.records.drain(..6);
    log.min = 6;
    world.silent.clear();
    let pull = world.swallowed.pop().expect("the second pull");
    world.serve(pull);
    world.pass(0);
    world.pass(1_000);
    assert_eq!(world.take()[0].queue_offset, 6);
    world.pass(5_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(0), "held back by what is still in hand");
    world.settle(tokens[0], Ack::Done);
    world.settle(tokens[1], Ack::Done);
    assert_eq!(world.queue(TOPIC, 0).committable, Some(6));
    assert!(world.revoked.is_empty());
}

#[test]
fn a_queue_that_was_reset_backward_begins_again_there() {
    let mut world = World::new();
    world.log(TOPIC, 0).committed = Some(9);
    world.publish(0, &["a"; 3]);
    world.start();
    assert_eq!(world.log(TOPIC, 0).committed, Some(3), "the broker says where it ends");
    world.publish(0, &["b"]);
    assert_eq!(offsets(&world.take()), [3]);
    assert_eq!(world.revoked.len(), 1);
}

#[test]
fn a_record_that_cannot_be_read_is_one_delivery_and_its_neighbours_arrive() {
    let mut world = unreadable_second();
    let readable: Vec<_> =
        world.deliveries.iter().map(|one| (one.token.queue_offset, one.message.error().is_none())).collect();
    assert_eq!(readable, [(0, true), (1, false), (2, true)]);
    let undecodable = world.take()[1];
    world.settle(undecodable, Ack::DeadLetter);
    let back = world.last(RequestCode::CONSUMER_SEND_MSG_BACK);
    let back: ConsumerSendMsgBackRequestHeader<'_> = back.header();
    assert_eq!((back.offset, back.delay_level), (1_001, -1));
}

/// A world with three records, of which the second can't be read.
fn unreadable_second() -> World {
    let mut world = World::new();
    world.start();
    let mut body = records(TOPIC, 0, 0, &vec![alloc::string::String::new(); 3]);
    let size = body.len() / 3;
    let topic_at = size + body[size..].windows(5).position(|window| window == b"hello").expect("a body") + 6;
    body[topic_at] = 0xff;
    let pull =
        world.held.iter().position(|pull| pull.header::<PullMessageRequestHeader<'_>>().topic == TOPIC);
    let pull = world.held.remove(pull.expect("held"));
    let header = PullMessageResponseHeader { next_begin_offset: 3, max_offset: 3, ..Default::default() };
    world.log(TOPIC, 0).records = vec![alloc::string::String::new(); 3];
    world.answer(&pull, ResponseCode::SUCCESS, &header, &body);
    world.pass(0);
    world
}

#[test]
fn a_record_that_nobody_can_read_does_not_hold_the_queue_for_ever() {
    let mut world = unreadable_second();
    world.refuse.insert(RequestCode::CONSUMER_SEND_MSG_BACK.0, ResponseCode::SYSTEM_ERROR);
    let tokens = world.take();
    for (token, ack) in tokens.into_iter().zip([Ack::Done, Ack::DeadLetter, Ack::Done]) {
        world.settle(token, ack);
    }
    for refusal in 1..=3 {
        if refusal < 3 {
            assert_eq!(world.queue(TOPIC, 0).committable, Some(1), "refused {refusal} times, it is kept");
            world.pass(5_000 * refusal);
            let again = world.take();
            assert_eq!(offsets(&again), [1]);
            world.settle(again[0], Ack::DeadLetter);
        }
    }
    assert_eq!(world.queue(TOPIC, 0).committable, Some(3), "then it is passed over");
    assert!(world.take().is_empty());
}

#[test]
fn an_unreadable_record_waits_for_a_broker_that_is_silent() {
    let mut world = unreadable_second();
    world.silent.insert(RequestCode::CONSUMER_SEND_MSG_BACK.0);
    let tokens = world.take();
    for (token, ack) in tokens.into_iter().zip([Ack::Done, Ack::DeadLetter, Ack::Done]) {
        world.settle(token, ack);
    }
    for _ in 0..6 {
        world.pass(40_000);
        for token in world.take() {
            world.settle(token, Ack::DeadLetter);
        }
        assert_eq!(world.queue(TOPIC, 0).committable, Some(1));
    }
    world.silent.clear();
    world.pass(40_000);
    for token in world.take() {
        world.settle(token, Ack::DeadLetter);
    }
    assert_eq!(world.queue(TOPIC, 0).committable, Some(3));
}

#[test]
fn an_answer_that_breaks_off_is_fetched_again_from_where_it_broke() {
    let mut world = World::new();
    world.start();
    let mut body = records(TOPIC, 0, 0, &vec![alloc::string::String::new(); 3]);
    let size = body.len() / 3;
    body.truncate(size + 10);
    world.log(TOPIC, 0).records = vec![alloc::string::String::new(); 3];
    let pull =
        world.held.iter().position(|pull| pull.header::<PullMessageRequestHeader<'_>>().topic == TOPIC);
    let pull = world.held.remove(pull.expect("held"));
    let header = PullMessageResponseHeader { next_begin_offset: 3, max_offset: 3, ..Default::default() };
    world.answer(&pull, ResponseCode::SUCCESS, &header, &body);
    world.pass(0);
    world.pass(500);
    assert!(world.deliveries.iter().all(|delivery| delivery.message.error().is_none()));
    assert_eq!(offsets(&world.take()), [0, 1, 2], "none was lost");
}

#[test]
fn a_lost_connection_is_pulled_over_again_as_soon_as_it_is_back() {
    let mut world = World::new();
    world.start();
    world.down.insert(BROKER_A.into());
    world.cut(BROKER_A);
    assert!(matches!(world.queue(TOPIC, 0).fetch, Fetch::Pausing(_, Pause::Unreachable)));
    world.pass(20_000);
    world.down.clear();
    let back = world.now;
    while world.held.is_empty() {
        world.pass(10);
    }
    let waited = (world.now - back).as_millis();
    assert!(waited <= 4_000, "{waited} ms after the broker was back");
    world.publish(0, &["a"]);
    assert_eq!(world.take().len(), 1);
}

#[test]
fn a_broker_hears_of_the_group_before_it_is_asked_for_messages() {
    let mut world = World::with_queues(4);
    world.start();
    for round in 0..3 {
        world.seen.clear();
        world.cut(BROKER_A);
        world.pass(5_000);
        let codes: Vec<i32> = world
            .seen
            .iter()
            .filter(|arrived| arrived.address == BROKER_A)
            .map(|arrived| arrived.command.code)
            .collect();
        assert_eq!(codes.first(), Some(&RequestCode::HEART_BEAT.0), "round {round}: {codes:?}");
        assert_eq!(world.held.len(), 5, "and no pull was refused");
        let failures =
            world.consumer().statistics().topics.iter().map(|topic| topic.1.pull_failures).sum::<u64>();
        assert_eq!(failures, 5 * (round + 1), "one for each queue and cut: {codes:?}");
    }
}

#[test]
fn a_broker_that_answers_nothing_at_once_is_not_asked_in_a_tight_loop() {
    let mut world = World::new();
    world.start();
    world.impatient = true;
    let before = world.requests(RequestCode::PULL_MESSAGE).len();
    world.publish(0, &["a"]);
    world.pass(10_000);
    let pulls = world.requests(RequestCode::PULL_MESSAGE).len() - before;
    assert!(pulls < 40, "{pulls} pulls in ten seconds");
}

#[test]
fn no_offset_travels_with_a_pull_where_it_could_overtake_a_commit() {
    let mut world = World::new();
    world.start();
    world.publish(0, &["a"]);
    let token = world.take()[0];
    world.settle(token, Ack::Done);
    world.publish(0, &["b"]);
    let pulls = world.requests(RequestCode::PULL_MESSAGE);
    assert!(!pulls.is_empty());
    for pull in pulls {
        let header: PullMessageRequestHeader<'_> = pull.header();
        assert_eq!(header.sys_flag & pull_flag::COMMIT_OFFSET, 0);
    }
}
