//! Answers to pulls that can't be true, and such that only look like it.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::{Bytes, BytesMut};

use super::world::{Arrived, STORED, TOPIC, World, record, records};
use crate::config::PushConsumerConfig;
use crate::consumer::push::{Fetch, Pause};
use crate::consumer::{Ack, BadAnswer, ConsumeToken};
use crate::message::{Message, StoredMessages, StoredRecord, encode_batch, encode_stored, sys_flag};
use crate::remoting::{
    PullMessageRequestHeader, PullMessageResponseHeader, RequestCode, ResponseCode,
    UpdateConsumerOffsetRequestHeader,
};

const FAR: i64 = 1_000_000_000;

fn offsets(tokens: &[ConsumeToken]) -> Vec<i64> {
    tokens.iter().map(|token| token.queue_offset).collect()
}

fn header(next: i64, max: i64) -> PullMessageResponseHeader {
    PullMessageResponseHeader { next_begin_offset: next, max_offset: max, ..Default::default() }
}

fn found(next: i64, max: i64, body: impl AsRef<[u8]>) -> Answer {
    (ResponseCode::SUCCESS, header(next, max), Bytes::copy_from_slice(body.as_ref()))
}

fn none(code: ResponseCode, next: i64, max: i64) -> Answer {
    (code, header(next, max), Bytes::new())
}

/// Records without properties, one after the other.
fn lie(places: &[(&str, i32, i64)]) -> BytesMut {
    let mut body = BytesMut::new();
    for (topic, queue_id, offset) in places {
        encode_stored(&mut body, &record(topic, *queue_id, *offset, "", STORED)).expect("small");
    }
    body
}

type Answer = (ResponseCode, PullMessageResponseHeader, Bytes);

/// A consumer that stands at 5 of 8 messages and waits for the answer to its pull.
fn standing_at_five() -> (World, Arrived) {
    standing_at_five_of(|_| {})
}

/// The same with settings changed.
fn standing_at_five_of(change: impl FnOnce(&mut PushConsumerConfig)) -> (World, Arrived) {
    let mut world = World::new();
    world.log(TOPIC, 0).committed = Some(5);
    world.log(TOPIC, 0).records = vec![String::new(); 5];
    world.start_with("*", change);
    world.pass(1_000);
    world.log(TOPIC, 0).records = vec![String::new(); 8];
    let is_its = |pull: &Arrived| pull.header::<PullMessageRequestHeader<'_>>().topic == TOPIC;
    let at = world.held.iter().position(is_its).expect("a pull waits");
    let pull = world.held.remove(at);
    (world, pull)
}

fn bad_answers(world: &World) -> u64 {
    world.consumer().statistics().topic(TOPIC).expect("subscribed").bad_answers
}

fn commits(world: &World) -> Vec<i64> {
    let commits = world.requests(RequestCode::UPDATE_CONSUMER_OFFSET);
    let commits = commits.iter().map(|commit| commit.header::<UpdateConsumerOffsetRequestHeader<'_>>());
    commits.filter(|commit| commit.topic == TOPIC).map(|commit| commit.commit_offset).collect()
}

/// All that a broker could get wrong in one answer.
fn lies() -> Vec<(&'static str, Answer)> {
    let moved = |next, min, max| {
        let header = PullMessageResponseHeader { min_offset: min, ..header(next, max) };
        (ResponseCode::PULL_OFFSET_MOVED, header, Bytes::new())
    };
    let shifted = |delta, body: BytesMut| {
        let header = PullMessageResponseHeader { offset_delta: Some(delta), ..header(8, 8) };
        (ResponseCode::SUCCESS, header, body.freeze())
    };
    let all = || records(TOPIC, 0, 5, &vec![String::new(); 3]);
    let mut lies = vec![
        ("a record far away", found(6, 8, lie(&[(TOPIC, 0, FAR)]))),
        ("a record far away, and next as well", found(FAR + 1, 8, lie(&[(TOPIC, 0, FAR)]))),
        ("a record at the largest offset", found(6, 8, lie(&[(TOPIC, 0, i64::MAX)]))),
        ("a record before the place", found(6, 8, lie(&[(TOPIC, 0, 4)]))),
        ("a record before all", found(6, 8, lie(&[(TOPIC, 0, -7)]))),
        ("a record at the smallest offset", found(6, 8, lie(&[(TOPIC, 0, i64::MIN)]))),
        ("a record at next", found(6, 8, lie(&[(TOPIC, 0, 6)]))),
        (
            "a record far away among good ones",
            found(8, 8, lie(&[(TOPIC, 0, 5), (TOPIC, 0, FAR), (TOPIC, 0, 7)])),
        ),
        ("a record of another topic", found(6, 8, lie(&[("U", 0, 5)]))),
        ("a record of a topic without a name", found(6, 8, lie(&[("", 0, 5)]))),
        (
            "a record of another topic among good ones",
            found(8, 8, lie(&[(TOPIC, 0, 5), ("U", 0, 6), (TOPIC, 0, 7)])),
        ),
        ("a record of another queue", found(6, 8, lie(&[(TOPIC, 3, 5)]))),
        ("a record of no queue", found(6, 8, lie(&[(TOPIC, -1, 5)]))),
        ("a record twice", found(8, 8, lie(&[(TOPIC, 0, 5), (TOPIC, 0, 5), (TOPIC, 0, 7)]))),
        ("no record", found(8, 8, [])),
        ("no record, far away", found(FAR, 8, [])),
        ("a far delta", shifted(1_000_000, all())),
        ("a delta that overflows", shifted(i64::MAX, all())),
        ("a delta that overflows downward", shifted(i64::MIN, all())),
        ("a negative delta", shifted(-1, all())),
        ("next is where it stood", found(5, 8, all())),
        ("next leads back", found(4, 8, all())),
        ("next is negative", found(-1, 8, all())),
        ("the end is negative", found(8, -1, all())),
        ("the end is where it stood", found(8, 5, all())),
        ("moved far away", moved(FAR, 0, 8)),
        ("moved to a negative place", moved(-1, 0, 8)),
        ("moved in a queue that ends before it begins", moved(8, 9, 8)),
        ("moved in a queue that ends below zero", moved(0, 0, -1)),
        ("moved in a queue that begins below zero", moved(3, -2, 8)),
    ];
    for code in [ResponseCode::PULL_NOT_FOUND, ResponseCode::PULL_RETRY_IMMEDIATELY] {
        for (what, next, max) in [
            ("none up to a far place", FAR, 8),
            ("none up to the largest offset", i64::MAX, i64::MAX - 1),
            ("none, back", 4, 8),
            ("none, negative", -1, 8),
            ("none, beyond a negative end", 8, -1),
        ] {
            lies.push((what, none(code, next, max)));
        }
    }
    lies
}

#[test]
fn nothing_is_lost_or_committed_by_one_answer_that_can_t_be_true() {
    for (what, (code, header, body)) in lies() {
        let (mut world, pull) = standing_at_five();
        world.answer(&pull, code, &header, &body);
        world.pass(0);
        world.pass(2_000);
        let tokens = world.take();
        assert_eq!(offsets(&tokens), [5, 6, 7], "{what}");
        for token in tokens {
            world.settle(token, Ack::Done);
        }
        world.pass(5_000);
        assert_eq!(world.log(TOPIC, 0).committed, Some(8), "{what}");
        assert!(commits(&world).iter().all(|offset| *offset <= 8), "{what}: {:?}", commits(&world));
        // The end may have been read first: once that is no fault.
        let forgiven = matches!(code, ResponseCode::PULL_NOT_FOUND | ResponseCode::PULL_RETRY_IMMEDIATELY)
            && header.next_begin_offset > header.max_offset;
        assert_eq!(bad_answers(&world), u64::from(!forgiven), "{what}");
        let health = world.consumer().health(world.client.shared(), world.now);
        let queue = health.queues.iter().find(|queue| &*queue.queue.topic == TOPIC).expect("owned");
        assert_eq!(
            (queue.bad_answers, queue.bad_answer.is_some()),
            (u64::from(!forgiven), !forgiven),
            "{what}"
        );
    }
}

#[test]
fn a_broker_that_keeps_at_it_is_asked_with_growing_pauses_and_moves_nothing() {
    for (what, (code, header, body)) in lies() {
        let (mut world, pull) = standing_at_five();
        world.silent.insert(RequestCode::PULL_MESSAGE.0);
        world.swallowed.push(pull);
        let (mut asked, end) = (0, world.now + core::time::Duration::from_secs(20));
        while world.now < end {
            for pull in core::mem::take(&mut world.swallowed) {
                if pull.header::<PullMessageRequestHeader<'_>>().topic == TOPIC {
                    asked += 1;
                    world.answer(&pull, code, &header, &body);
                }
            }
            world.pass(20);
            assert!(world.take().iter().all(|token| (5..8).contains(&token.queue_offset)), "{what}");
        }
        assert!(asked <= 60, "{what}: {asked} pulls in 20 s");
        assert!(commits(&world).iter().all(|offset| *offset <= 8), "{what}: {:?}", commits(&world));
    }
}

#[test]
fn neighbours_of_a_record_that_stays_odd_arrive_and_the_queue_goes_on() {
    for odd in [(TOPIC, 0, FAR), ("U", 0, 6), (TOPIC, 9, 6), (TOPIC, 0, 1)] {
        let (mut world, pull) = standing_at_five();
        world.silent.insert(RequestCode::PULL_MESSAGE.0);
        world.swallowed.push(pull);
        let mut seen = Vec::new();
        for _ in 0..40 {
            for pull in core::mem::take(&mut world.swallowed) {
                let asked = pull.header::<PullMessageRequestHeader<'_>>();
                if asked.topic == TOPIC && asked.queue_offset < 8 {
                    let all = [(5, (TOPIC, 0, 5)), (6, odd), (7, (TOPIC, 0, 7))];
                    let left = all.iter().filter(|(at, _)| *at >= asked.queue_offset);
                    let body = lie(&left.map(|(_, place)| *place).collect::<Vec<_>>());
                    world.answer(&pull, ResponseCode::SUCCESS, &header(8, 8), &body);
                }
            }
            world.pass(100);
            seen.extend(offsets(&world.take()));
        }
        assert_eq!(seen, [5, 7], "{odd:?}");
        assert_eq!(world.queue(TOPIC, 0).next_offset, Some(8));
        assert_eq!(
            bad_answers(&world),
            5,
            "{odd:?}: one with its neighbour, three alone, and then it is passed"
        );
    }
}

/// A record that nobody can read.
fn unreadable(why: &str, queue_offset: i64) -> BytesMut {
    let mut body = lie(&[(TOPIC, 0, queue_offset)]);
    let properties = body.len() - 2;
    match why {
        "its kind is unknown" => body[4..8].fill(0),
        "a field ends beyond it" => body[properties] = 0x7f,
        "its checksum is another's" => body[8..12].fill(1),
        other => panic!("{other}"),
    }
    body
}

#[test]
fn a_record_that_nobody_can_read_takes_no_place_of_one_that_can_be() {
    for why in ["its kind is unknown", "a field ends beyond it", "its checksum is another's"] {
        for (index, offset) in (0..4).flat_map(|index| (4..10).map(move |offset| (index, offset))) {
            for for_ever in [false, true] {
                let what = format!("{why}, offset {offset}, before record {index}, for ever: {for_ever}");
                let (mut world, pull) = standing_at_five();
                world.silent.insert(RequestCode::PULL_MESSAGE.0);
                world.swallowed.push(pull);
                let (mut seen, mut first) = (Vec::new(), true);
                for _ in 0..40 {
                    for pull in core::mem::take(&mut world.swallowed) {
                        let asked = pull.header::<PullMessageRequestHeader<'_>>();
                        if asked.topic != TOPIC || asked.queue_offset >= 8 {
                            continue;
                        }
                        let honest = (asked.queue_offset..8).map(|offset| lie(&[(TOPIC, 0, offset)]));
                        let mut parts: Vec<BytesMut> = honest.collect();
                        if for_ever || first {
                            parts.insert(index.min(parts.len()), unreadable(why, offset));
                        }
                        first = false;
                        let body = parts.concat();
                        world.answer(&pull, ResponseCode::SUCCESS, &header(8, 8), &body);
                    }
                    world.pass(200);
                    for delivery in core::mem::take(&mut world.deliveries) {
                        seen.extend(
                            delivery.message.error().is_none().then_some(delivery.token.queue_offset),
                        );
                        world.settle(delivery.token, Ack::Done);
                    }
                }
                assert_eq!(seen, [5, 6, 7], "{what}");
                world.pass(6_000);
                assert_eq!(world.log(TOPIC, 0).committed, Some(8), "{what}");
            }
        }
    }
}

#[test]
fn an_end_that_was_read_before_the_messages_follows_at_once() {
    let (mut world, pull) = standing_at_five();
    let body = records(TOPIC, 0, 5, &vec![String::new(); 3]);
    world.answer(&pull, ResponseCode::SUCCESS, &header(8, 6), &body);
    world.pass(0);
    assert_eq!(offsets(&world.take()), [5, 6, 7]);
    assert_eq!(bad_answers(&world), 0);

    let (mut world, pull) = standing_at_five();
    let (code, header, body) = none(ResponseCode::PULL_RETRY_IMMEDIATELY, 8, 6);
    world.answer(&pull, code, &header, &body);
    world.pass(0);
    assert_eq!(offsets(&world.take()), [5, 6, 7], "those that came since match");
    assert_eq!(bad_answers(&world), 0);
}

#[test]
fn a_slave_that_lags_leads_to_where_it_was_asked_and_is_no_liar() {
    let (mut world, pull) = standing_at_five();
    let (code, header, body) = none(ResponseCode::PULL_RETRY_IMMEDIATELY, 5, 2);
    world.answer(&pull, code, &header, &body);
    world.pass(0);
    world.pass(1_000);
    assert_eq!(offsets(&world.take()), [5, 6, 7]);
    assert_eq!(bad_answers(&world), 0);
}

#[test]
fn an_answer_with_messages_of_tags_that_nobody_wants_leads_on() {
    let (mut world, pull) = standing_at_five();
    let (code, header, body) = none(ResponseCode::PULL_RETRY_IMMEDIATELY, 7, 8);
    world.answer(&pull, code, &header, &body);
    world.pass(0);
    assert_eq!(offsets(&world.take()), [7]);
    assert_eq!(bad_answers(&world), 0);
}

#[test]
fn an_inner_batch_that_begins_before_the_place_is_no_fault() {
    let (mut world, pull) = standing_at_five();
    let messages: Vec<Message> = (0..5).map(|_| Message::new(TOPIC, "inner")).collect();
    let body = inner_batch(3, &messages);
    assert_eq!(StoredMessages::new(body.clone()).count(), 5);
    world.answer(&pull, ResponseCode::SUCCESS, &header(8, 8), &body);
    world.pass(0);
    assert_eq!(offsets(&world.take()), [5, 6, 7]);
    assert_eq!(bad_answers(&world), 0);
}

/// A record of several messages, the first of them at `begin`.
fn inner_batch(begin: i64, messages: &[Message]) -> Bytes {
    let mut inner = BytesMut::new();
    encode_batch(&mut inner, messages).expect("small");
    let record = StoredRecord {
        sys_flag: sys_flag::INNER_BATCH | sys_flag::NEED_UNWRAP,
        body: &inner,
        ..record(TOPIC, 0, begin, "", STORED)
    };
    let mut out = BytesMut::new();
    encode_stored(&mut out, &record).expect("small");
    out.freeze()
}

#[test]
fn records_of_a_static_topic_lie_in_other_queues() {
    let (mut world, pull) = standing_at_five();
    let header = PullMessageResponseHeader { offset_delta: Some(-100), ..header(8, 8) };
    let body = lie(&[("U", 7, 105), ("U", 7, 106), ("U", 7, 107)]);
    world.answer(&pull, ResponseCode::SUCCESS, &header, &body);
    world.pass(0);
    assert_eq!(offsets(&world.take()), [5, 6, 7]);
    assert_eq!(bad_answers(&world), 0);
}

#[test]
fn an_empty_answer_is_told_by_its_kind() {
    let (mut world, pull) = standing_at_five();
    world.answer(&pull, ResponseCode::SUCCESS, &header(15, 20), &[]);
    world.pass(0);
    assert!(matches!(world.queue(TOPIC, 0).fetch, Fetch::Gated(Pause::BadAnswer)));
    let health = world.consumer().health(world.client.shared(), world.now);
    let queue = health.queues.iter().find(|queue| &*queue.queue.topic == TOPIC).expect("owned");
    assert_eq!(queue.bad_answer, Some(BadAnswer::NoRecords { at: 5, next: 15 }));
}

#[test]
fn records_in_another_order_are_all_taken() {
    let (mut world, pull) = standing_at_five();
    let body = lie(&[(TOPIC, 0, 6), (TOPIC, 0, 7), (TOPIC, 0, 5)]);
    world.answer(&pull, ResponseCode::SUCCESS, &header(8, 8), &body);
    world.pass(0);
    assert_eq!(offsets(&world.take()), [5, 6, 7]);
    assert_eq!(bad_answers(&world), 0);
}

#[test]
fn an_answer_of_many_records_from_the_last_to_the_first_arrives_whole() {
    const COUNT: i64 = 60_000;
    let (mut world, pull) = standing_at_five();
    let backward: Vec<_> = (5..5 + COUNT).rev().map(|offset| (TOPIC, 0, offset)).collect();
    world.answer(&pull, ResponseCode::SUCCESS, &header(5 + COUNT, 5 + COUNT), &lie(&backward));
    world.pass(0);
    assert_eq!(offsets(&world.take()), (5..5 + COUNT).collect::<Vec<i64>>());
    assert_eq!(bad_answers(&world), 0);
}

/// A broker that brings nothing and leads on.
#[derive(Clone, Copy)]
struct Leading {
    batch: i32,
    /// In ms.
    round_trip: u64,
}

impl Leading {
    /// So many pulls of the queue in ten seconds, and the longest time in ms between two, when it leads on to what
    /// `next` makes of the place asked for and the time in ms.
    fn on(self, next: impl Fn(i64, i64) -> i64) -> (usize, u128) {
        let (mut world, first) = standing_at_five_of(|config| config.pull_batch_size = self.batch);
        world.silent.insert(RequestCode::PULL_MESSAGE.0);
        let begun = world.now;
        let mut pulls = vec![Arrived { at: begun, ..first }];
        let (mut count, mut last, mut gap) = (0, begun, 0);
        for ms in 0..10_000 {
            let is_due = |pull: &mut Arrived| world.now - pull.at >= Duration::from_millis(self.round_trip);
            for pull in pulls.extract_if(.., is_due).collect::<Vec<_>>() {
                let at = pull.header::<PullMessageRequestHeader<'_>>().queue_offset;
                let (code, header, body) =
                    none(ResponseCode::PULL_RETRY_IMMEDIATELY, next(at, ms), at + 1_000_000);
                world.answer(&pull, code, &header, &body);
            }
            world.pass(1);
            let is_its = |pull: &Arrived| pull.header::<PullMessageRequestHeader<'_>>().topic == TOPIC;
            for pull in core::mem::take(&mut world.swallowed).into_iter().filter(is_its) {
                count += 1;
                gap = gap.max((pull.at - last).as_millis());
                last = pull.at;
                pulls.push(pull);
            }
        }
        (count, gap)
    }
}

#[test]
fn a_broker_that_leads_on_by_small_steps_for_ever_is_asked_less_often_whatever_a_pull_may_bring() {
    for batch in [1, 32, 1_024] {
        for step in [1, 31] {
            let (pulls, gap) = Leading { batch, round_trip: 1 }.on(|at, _| at + step);
            assert!((90..=120).contains(&pulls), "{pulls} pulls in ten seconds by {step} of {batch}");
            assert!(gap <= 100, "{gap} ms by {step} of {batch}");
        }
    }
}

#[test]
fn a_broker_that_looks_through_many_messages_that_are_not_for_the_group_is_asked_on_at_once() {
    for batch in [1, 32, 1_024] {
        for step in [32, 800] {
            let (pulls, _) = Leading { batch, round_trip: 1 }.on(|at, _| at + step);
            assert!((4_900..=20_000).contains(&pulls), "{pulls} by {step} of {batch}");
        }
    }
}

#[test]
fn in_a_busy_topic_a_message_for_the_group_never_waits_long_behind_those_that_are_not() {
    for batch in [1, 32, 1_024] {
        for (round_trip, a_second, gap_max) in
            [(1, 100_000, 2), (1, 1_000, 45), (1, 2_000, 25), (30, 60, 100), (30, 100, 100), (30, 5_000, 31)]
        {
            let (pulls, gap) = Leading { batch, round_trip }.on(|at, ms| at.max(5 + ms * a_second / 1_000));
            assert!(
                gap <= gap_max,
                "{a_second} a second, {round_trip} ms: {gap} ms, {pulls} pulls of {batch}"
            );
        }
    }
}

#[test]
fn answers_with_a_message_each_are_asked_on_at_once() {
    for batch in [1, 32, 1_024] {
        let (mut world, mut pull) = standing_at_five_of(|config| config.pull_batch_size = batch);
        world.silent.insert(RequestCode::PULL_MESSAGE.0);
        for at in 5..105 {
            world.answer(&pull, ResponseCode::SUCCESS, &header(at + 1, at + 1), &lie(&[(TOPIC, 0, at)]));
            world.pass(0);
            let is_its = |pull: &Arrived| pull.header::<PullMessageRequestHeader<'_>>().topic == TOPIC;
            pull = core::mem::take(&mut world.swallowed).into_iter().find(is_its).expect("asked on");
        }
        assert_eq!(offsets(&world.take()), (5..105).collect::<Vec<i64>>());
    }
}

#[test]
fn of_small_steps_people_are_told_what_they_are_and_not_that_the_queue_stands() {
    let (mut world, mut pull) = standing_at_five();
    world.silent.insert(RequestCode::PULL_MESSAGE.0);
    // The first one was held.
    for at in 5..15 {
        let (code, header, body) = none(ResponseCode::PULL_RETRY_IMMEDIATELY, at + 1, at + 1);
        world.answer(&pull, code, &header, &body);
        world.pass(0);
        let is_its = |pull: &Arrived| pull.header::<PullMessageRequestHeader<'_>>().topic == TOPIC;
        let next = core::mem::take(&mut world.swallowed).into_iter().find(is_its);
        pull = next.unwrap_or(pull);
    }
    assert!(matches!(world.queue(TOPIC, 0).fetch, Fetch::Pausing(_, Pause::SmallSteps)));
    let health = world.consumer().health(world.client.shared(), world.now);
    assert!(
        health.to_string().contains("leads on by few messages at a time, none of them for the group"),
        "{health}"
    );
    assert!(health.is_flowing(), "{health}");
}
