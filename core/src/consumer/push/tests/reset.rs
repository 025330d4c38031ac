//! Request 220: a broker tells of an operator's reset.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use super::world::{BROKER_A, TOPIC, World};
use crate::client::{Command, Input};
use crate::consumer::push::Fetch;
use crate::consumer::{Ack, ConsumeToken, ConsumerCommand};
use crate::id::{ConsumerId, GenerationalId, OperationId};
use crate::message::MessageQueue;
use crate::remoting::{
    FLAG_ONEWAY, MessageQueueForC, RequestCode, ResetOffsetBody, ResetOffsetBodyForC,
    ResetOffsetRequestHeader, ResponseCode, UpdateConsumerOffsetRequestHeader,
};

fn offsets(tokens: &[ConsumeToken]) -> Vec<i64> {
    tokens.iter().map(|token| token.queue_offset).collect()
}

fn queue(topic: &str, queue_id: i32) -> MessageQueue {
    MessageQueue { topic: topic.into(), broker_name: "a".into(), queue_id }
}

/// The table in Java's form, which has objects for keys.
fn table(entries: &[(MessageQueue, i64)]) -> Vec<u8> {
    let offset_table: BTreeMap<MessageQueue, i64> = entries.iter().cloned().collect();
    ResetOffsetBody { offset_table }.encode().to_vec()
}

/// A table in a broker's own words.
fn told(table: &str) -> Vec<u8> {
    alloc::format!("{{\"offsetTable\":{table}}}").into_bytes()
}

fn reset(world: &mut World, flag: i32, group: &str, topic: &str, body: &[u8]) {
    let header = ResetOffsetRequestHeader { group: group.into(), topic: topic.into(), ..Default::default() };
    world.ask(BROKER_A, RequestCode::RESET_CONSUMER_CLIENT_OFFSET, flag, &header, body);
}

/// A group that has consumed 40 of 52 messages of each of two queues and has the rest in hand.
fn consumed() -> (World, Vec<ConsumeToken>) {
    let mut world = World::with_queues(2);
    world.start();
    for queue_id in [0, 1] {
        world.publish(queue_id, &["a"; 52]);
    }
    let tokens = world.take();
    let (done, left): (Vec<_>, Vec<_>) = tokens.into_iter().partition(|token| token.queue_offset < 40);
    for token in done {
        world.settle(token, Ack::Done);
    }
    world.pass(5_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(40));
    (world, left)
}

#[test]
fn a_reset_revokes_commits_and_begins_there_in_both_forms_and_directions() {
    for (offset, list) in [(10, false), (10, true), (45, false), (52, false), (0, true)] {
        let (mut world, left) = consumed();
        let body = if list {
            let entry =
                MessageQueueForC { broker_name: "a".into(), offset, queue_id: 0, topic: TOPIC.into() };
            ResetOffsetBodyForC { offset_table: [entry].into() }.encode().to_vec()
        } else {
            table(&[(queue(TOPIC, 0), offset)])
        };
        let before = world.now;
        reset(&mut world, FLAG_ONEWAY, "g", TOPIC, &body);
        assert_eq!((world.now, world.log(TOPIC, 0).committed), (before, Some(offset)), "at once");
        assert_eq!(world.revoked.len(), 1, "the other queue is left alone");
        let again = world.take();
        assert_eq!(offsets(&again), (offset..52).collect::<Vec<i64>>());
        let of_other = left.iter().filter(|token| !world.revoked.contains(&token.queue)).count();
        for token in &left {
            world.settle(*token, if token.queue_offset % 2 == 0 { Ack::Done } else { Ack::Retry });
        }
        assert_eq!(world.requests(RequestCode::CONSUMER_SEND_MSG_BACK).len(), of_other / 2);
        world.pass(6_000);
        assert_eq!(world.log(TOPIC, 0).committed, Some(offset), "late answers move nothing");
        for token in again {
            world.settle(token, Ack::Done);
        }
        world.pass(6_000);
        assert_eq!(world.log(TOPIC, 0).committed, Some(52));
        assert_eq!(world.log(TOPIC, 1).committed, Some(52));
        assert!(world.answered.is_empty(), "it was one way");
    }
}

#[test]
fn whoever_wants_an_answer_gets_one() {
    let (mut world, _) = consumed();
    for (group, topic, body, code) in [
        ("g", TOPIC, table(&[(queue(TOPIC, 0), 10)]), ResponseCode::SUCCESS),
        ("unknown", TOPIC, table(&[(queue(TOPIC, 0), 10)]), ResponseCode::SYSTEM_ERROR),
        ("g", TOPIC, table(&[(queue(TOPIC, 9), 10)]), ResponseCode::SYSTEM_ERROR),
        ("g", "U", table(&[(queue(TOPIC, 0), 20)]), ResponseCode::SYSTEM_ERROR),
        ("g", TOPIC, table(&[(queue(TOPIC, 0), -1)]), ResponseCode::SYSTEM_ERROR),
        (
            "g",
            TOPIC,
            told("{{\"brokerName\":\"a\",\"queueId\":0,\"topic\":\"T\"}:null}"),
            ResponseCode::SYSTEM_ERROR,
        ),
        (
            "g",
            TOPIC,
            told("[{\"brokerName\":\"a\",\"queueId\":0,\"topic\":\"T\"}]"),
            ResponseCode::SYSTEM_ERROR,
        ),
        ("g", TOPIC, b"no table".to_vec(), ResponseCode::SYSTEM_ERROR),
        ("g", TOPIC, Vec::new(), ResponseCode::SYSTEM_ERROR),
    ] {
        reset(&mut world, 0, group, topic, &body);
        world.pass(0);
        let answer = world.answered.pop().expect("an answer");
        assert_eq!(answer.code, code.0, "{group} {topic} {:?}", answer.remark);
        assert_eq!(answer.remark.is_some(), code != ResponseCode::SUCCESS);
    }
    assert_eq!(world.log(TOPIC, 0).committed, Some(10), "only the first counts");
    assert_eq!(world.revoked.len(), 1);
}

#[test]
fn an_offset_beyond_the_end_is_weighed_before_it_is_committed() {
    for (offset, end) in [(53, 52), (1_000_000_000, 52), (i64::MAX, 52)] {
        let (mut world, _) = consumed();
        reset(&mut world, FLAG_ONEWAY, "g", TOPIC, &table(&[(queue(TOPIC, 0), offset)]));
        world.pass(6_000);
        assert_eq!(world.log(TOPIC, 0).committed, Some(end));
        world.publish(0, &["b"]);
        assert_eq!(offsets(&world.take()), [52]);
    }
    // The queue has grown, but no pull has shown it yet.
    let (mut world, _) = consumed();
    world.log(TOPIC, 0).records.resize(60, alloc::string::String::new());
    reset(&mut world, FLAG_ONEWAY, "g", TOPIC, &table(&[(queue(TOPIC, 0), 57)]));
    world.pass(0);
    assert_eq!(world.log(TOPIC, 0).committed, Some(57));
    assert_eq!(offsets(&world.take()), [57, 58, 59]);
}

#[test]
fn a_reset_beyond_the_end_that_nobody_confirms_counts_for_nothing() {
    let (mut world, _) = consumed();
    world.refuse.insert(RequestCode::GET_MAX_OFFSET.0, ResponseCode::SYSTEM_ERROR);
    reset(&mut world, FLAG_ONEWAY, "g", TOPIC, &table(&[(queue(TOPIC, 0), 99)]));
    world.pass(30_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(40));
    assert_eq!(offsets(&world.take()), (40..52).collect::<Vec<i64>>());
}

#[test]
fn a_reset_overtakes_a_commit_that_is_under_way() {
    let (mut world, left) = consumed();
    world.silent.insert(RequestCode::UPDATE_CONSUMER_OFFSET.0);
    for token in left {
        world.settle(token, Ack::Done);
    }
    world.pass(5_000);
    world.silent.clear();
    reset(&mut world, FLAG_ONEWAY, "g", TOPIC, &table(&[(queue(TOPIC, 0), 7)]));
    for commit in core::mem::take(&mut world.swallowed) {
        world.serve(commit);
    }
    world.pass(0);
    assert_eq!(world.log(TOPIC, 0).committed, Some(7));
}

#[test]
fn a_suspended_consumer_is_reset_and_fetches_nothing_yet() {
    let consumer = ConsumerId(1);
    for offset in [10, 60] {
        let (mut world, _) = consumed();
        world.log(TOPIC, 0).records.resize(62, alloc::string::String::new());
        let operation = OperationId::from_parts(7, 0);
        world.input(Input::Command(Command::Consumer(consumer, ConsumerCommand::Suspend { operation })));
        reset(&mut world, FLAG_ONEWAY, "g", TOPIC, &table(&[(queue(TOPIC, 0), offset)]));
        world.pass(100);
        assert_eq!(world.log(TOPIC, 0).committed, Some(offset));
        assert!(world.take().is_empty());
        let operation = OperationId::from_parts(8, 0);
        world.input(Input::Command(Command::Consumer(consumer, ConsumerCommand::Resume { operation })));
        assert_eq!(offsets(&world.take()), (offset..62).collect::<Vec<i64>>());
    }
}

#[test]
fn a_close_commits_where_it_was_reset_to_meanwhile() {
    let (mut world, left) = consumed();
    world.close(10_000);
    reset(&mut world, FLAG_ONEWAY, "g", TOPIC, &table(&[(queue(TOPIC, 0), 10)]));
    for token in left {
        world.settle(token, Ack::Done);
    }
    world.pass(1_000);
    let report = world.report().expect("closed");
    assert_eq!((report.queues_committed, report.queues_uncommitted), (2, 0));
    assert_eq!(world.log(TOPIC, 0).committed, Some(10));
    assert_eq!(world.log(TOPIC, 1).committed, Some(52));
    let header = world.last(RequestCode::UPDATE_CONSUMER_OFFSET);
    assert!(header.header::<UpdateConsumerOffsetRequestHeader<'_>>().commit_offset >= 10);
}

/// Resets the queue 0 to `offset` so soon after others that it waits for 800 ms.
fn reset_that_waits(world: &mut World, offset: i64) {
    let told = |offset| table(&[(queue(TOPIC, 0), offset)]);
    for pause in [0, 100, 200, 400] {
        reset(world, FLAG_ONEWAY, "g", TOPIC, &told(10));
        world.pass(pause);
    }
    reset(world, FLAG_ONEWAY, "g", TOPIC, &told(offset));
}

#[test]
fn a_reset_that_waits_is_committed_when_the_wait_is_over() {
    let (mut world, _) = consumed();
    reset_that_waits(&mut world, 7);
    world.pass(500);
    reset(&mut world, FLAG_ONEWAY, "g", TOPIC, &table(&[(queue(TOPIC, 0), 8)]));
    world.pass(299);
    assert_eq!(world.log(TOPIC, 0).committed, Some(10));
    world.pass(1);
    assert_eq!(world.log(TOPIC, 0).committed, Some(8));
}

fn suspend(world: &mut World) {
    let operation = OperationId::from_parts(7, 0);
    let suspend = ConsumerCommand::Suspend { operation };
    world.input(Input::Command(Command::Consumer(ConsumerId(1), suspend)));
}

#[test]
fn a_reset_that_waits_is_committed_when_the_wait_is_over_although_the_consumer_is_suspended() {
    for before in [true, false] {
        let (mut world, _) = consumed();
        if before {
            suspend(&mut world);
        }
        reset_that_waits(&mut world, 7);
        if !before {
            suspend(&mut world);
        }
        world.pass(799);
        assert_eq!(world.log(TOPIC, 0).committed, Some(10), "{before}");
        world.pass(1);
        assert_eq!(world.log(TOPIC, 0).committed, Some(7), "{before}");
        assert_eq!(world.queue(TOPIC, 0).fetch, Fetch::Suspended);
    }
}

#[test]
fn a_reset_beyond_the_known_end_is_not_forgotten_by_a_queue_that_is_given_up_before_it_is_weighed() {
    for (offset, expected) in [(99, 52), (i64::MAX, 52), (52, 52), (7, 7)] {
        let (mut world, _) = consumed();
        reset_that_waits(&mut world, offset);
        world.members_change(&["0-first"]);
        world.pass(300);
        assert_eq!(world.owned(TOPIC), [1]);
        assert_eq!(world.log(TOPIC, 0).committed, Some(expected), "{offset}");
    }
    let (mut world, _) = consumed();
    world.silent.insert(RequestCode::GET_MAX_OFFSET.0);
    reset(&mut world, FLAG_ONEWAY, "g", TOPIC, &table(&[(queue(TOPIC, 0), 99)]));
    world.members_change(&["0-first"]);
    world.pass(300);
    assert_eq!(
        (world.owned(TOPIC), world.log(TOPIC, 0).committed),
        ([1].into(), Some(52)),
        "it was asked for"
    );
}

#[test]
fn a_reset_beyond_the_known_end_is_not_forgotten_by_a_close_before_it_is_weighed() {
    for waits in [true, false] {
        let (mut world, left) = consumed();
        world.silent.insert(RequestCode::GET_MAX_OFFSET.0);
        if waits {
            reset_that_waits(&mut world, 99);
        } else {
            reset(&mut world, FLAG_ONEWAY, "g", TOPIC, &table(&[(queue(TOPIC, 0), 99)]));
        }
        world.close(10_000);
        for token in left {
            world.settle(token, Ack::Done);
        }
        world.pass(100);
        let report = world.report().expect("closed");
        assert_eq!((report.queues_committed, report.queues_uncommitted), (2, 0));
        assert_eq!((world.log(TOPIC, 0).committed, world.log(TOPIC, 1).committed), (Some(52), Some(52)));
    }
}

#[test]
fn the_retry_topics_queue_can_be_reset() {
    let (mut world, _) = consumed();
    let retry = super::world::RETRY;
    world.publish_to(retry, 0, alloc::vec![alloc::string::String::new(); 3]);
    let before = world.take();
    assert_eq!(before.len(), 3);
    reset(&mut world, FLAG_ONEWAY, "g", retry, &table(&[(queue(retry, 0), 1)]));
    assert_eq!(offsets(&world.take()), [1, 2]);
    assert_eq!(world.log(retry, 0).committed, Some(1));
}

#[test]
fn a_broker_that_resets_all_the_time_is_not_asked_each_time_and_neither_is_it_forgotten() {
    for offset in [10, 52, 99] {
        let (mut world, _) = consumed();
        let pulls = |world: &World| {
            let pulls = world.requests(RequestCode::PULL_MESSAGE);
            pulls.iter().filter(|pull| pull.command.ext.get("queueId").is_some_and(|id| id == "0")).count()
        };
        reset(&mut world, FLAG_ONEWAY, "g", TOPIC, &table(&[(queue(TOPIC, 0), offset)]));
        let before = pulls(&world);
        for turn in 0..1_000 {
            let offset = offset - turn % 2;
            reset(&mut world, FLAG_ONEWAY, "g", TOPIC, &table(&[(queue(TOPIC, 0), offset)]));
            world.pass(10);
        }
        let pulls = pulls(&world) - before;
        let commits = world.requests(RequestCode::UPDATE_CONSUMER_OFFSET).len();
        assert!(commits <= 12, "{commits} commits");
        assert!((8..=40).contains(&pulls), "{pulls} pulls in ten seconds");
        world.take();
        world.pass(1_100);
        world.publish(0, &["b"]);
        assert_eq!(offsets(&world.take()).last(), Some(&52));
    }
}
