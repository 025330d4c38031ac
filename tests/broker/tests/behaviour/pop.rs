//! Pops, acknowledgements, invisible times, and what becomes of messages that nobody acknowledges.

use std::time::Duration;

use rocketmq_client_core::message::pop::{
    PopHandle, PopQueue, RetryMark, parse_msg_offset_info, parse_start_offset_info,
};
use rocketmq_client_core::message::{StoredMessage, StoredMessages};
use rocketmq_client_core::remoting::{
    AckMessageRequestHeader, BatchAck, BatchAckMessageRequestBody, BitSet, ChangeInvisibleTimeRequestHeader,
    ChangeInvisibleTimeResponseHeader, NoHeader, PopMessageRequestHeader, PopMessageResponseHeader,
    RemotingCommand,
};
use rocketmq_client_core::time::Timestamp;
use rocketmq_dev_broker::{BrokerConfig, ConnectionId, Durability};

use crate::world::{START_MS, World, bodies, world};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn pop_header<'a>(group: &'a str, topic: &'a str, queue_id: i32) -> PopMessageRequestHeader<'a> {
    PopMessageRequestHeader {
        consumer_group: group.into(),
        topic: topic.into(),
        queue_id,
        max_msg_nums: 32,
        invisible_time: 10_000,
        ..Default::default()
    }
}

/// An answer to a pop, with the handle of each message as a client puts it together.
#[derive(Debug)]
pub(crate) struct Popped {
    pub(crate) code: i32,
    pub(crate) remark: String,
    pub(crate) rest: i64,
    pub(crate) starts: String,
    pub(crate) counts: Option<String>,
    pub(crate) messages: Vec<StoredMessage>,
    pub(crate) handles: Vec<PopHandle>,
}

impl Popped {
    pub(crate) fn of(answer: &RemotingCommand) -> Self {
        let header: PopMessageResponseHeader<'_> = answer.header().unwrap();
        let messages: Vec<_> = StoredMessages::new(answer.body.clone()).map(Result::unwrap).collect();
        let starts = header.start_offset_info.as_deref().unwrap_or_default();
        let start_of = parse_start_offset_info(starts).unwrap();
        let offsets = parse_msg_offset_info(header.msg_offset_info.as_deref().unwrap_or_default()).unwrap();
        let handle = |message: &StoredMessage| match message.property("POP_CK") {
            Some(text) => text.parse().unwrap(),
            None => {
                let queue = PopQueue { retry_mark: RetryMark::Normal, queue_id: message.queue_id };
                assert!(offsets[&queue].contains(&message.queue_offset));
                PopHandle {
                    start_offset: start_of[&queue],
                    pop_time: Timestamp::from_millis(header.pop_time),
                    invisible_time_ms: header.invisible_time,
                    revive_queue_id: header.revive_qid,
                    retry_mark: RetryMark::Normal,
                    broker_name: "broker-a".into(),
                    queue_id: message.queue_id,
                    queue_offset: Some(message.queue_offset),
                }
            }
        };
        Self {
            code: answer.code,
            remark: answer.remark.as_deref().unwrap_or_default().to_owned(),
            rest: header.rest_num,
            starts: starts.to_owned(),
            counts: header.order_count_info.as_deref().map(str::to_owned),
            handles: messages.iter().map(handle).collect(),
            messages,
        }
    }

    pub(crate) fn bodies(&self) -> Vec<String> {
        bodies(&self.messages)
    }
}

impl World {
    pub(crate) fn pop(&mut self, connection: ConnectionId, header: &PopMessageRequestHeader<'_>) -> Popped {
        Popped::of(&self.ask(connection, header))
    }

    pub(crate) fn ack(
        &mut self,
        connection: ConnectionId,
        group: &str,
        topic: &str,
        handle: &PopHandle,
    ) -> (i32, String) {
        let info = handle.to_string();
        let header = AckMessageRequestHeader {
            consumer_group: group.into(),
            topic: handle.retry_mark.stored_topic(group, topic).into_owned().into(),
            queue_id: handle.queue_id,
            extra_info: info.into(),
            offset: handle.queue_offset.unwrap(),
            ..Default::default()
        };
        let answer = self.ask(connection, &header);
        (answer.code, answer.remark.unwrap_or_default().to_string())
    }

    pub(crate) fn change(
        &mut self,
        connection: ConnectionId,
        group: &str,
        topic: &str,
        handle: &PopHandle,
        invisible_time: i64,
    ) -> PopHandle {
        let info = handle.to_string();
        let header = ChangeInvisibleTimeRequestHeader {
            consumer_group: group.into(),
            topic: topic.into(),
            queue_id: handle.queue_id,
            extra_info: info.into(),
            offset: handle.queue_offset.unwrap(),
            invisible_time,
            ..Default::default()
        };
        let answer = self.ask(connection, &header);
        assert_eq!(answer.code, 0, "{:?}", answer.remark);
        let answered: ChangeInvisibleTimeResponseHeader = answer.header().unwrap();
        assert_eq!(answered.revive_qid, handle.revive_queue_id);
        let time = Duration::from_millis(u64::try_from(answered.invisible_time).unwrap());
        handle.renewed(Timestamp::from_millis(answered.pop_time), time, answered.revive_qid)
    }
}

#[test]
fn popped_messages_are_hidden_and_acknowledged_ones_never_return() {
    let mut world = world();
    let client = world.connect(1);
    for n in 0..3 {
        world.sent(client, "T", 1, &[], &format!("m{n}"));
    }
    let popped = world.pop(client, &pop_header("G", "T", 1));
    assert_eq!((popped.code, popped.remark.as_str(), popped.rest), (0, "FOUND", 0));
    assert_eq!(popped.bodies(), ["m0", "m1", "m2"]);
    assert_eq!(popped.starts, "0 1 0");
    assert_eq!(world.broker.committed_offset("G", "T", 1), Some(3), "what was popped counts as consumed");
    assert_eq!(world.broker.hidden_messages("G", "T", 1), 3);
    let nothing = world.pop(client, &pop_header("G", "T", 1));
    assert_eq!((nothing.code, nothing.remark.as_str()), (210, "NO_MESSAGE_IN_QUEUE"));
    assert_eq!(nothing.starts, "");
    for handle in &popped.handles {
        assert_eq!(world.ack(client, "G", "T", handle).0, 0);
        assert_eq!(world.ack(client, "G", "T", handle).0, 0, "a second acknowledgement is fine");
    }
    assert_eq!(world.broker.hidden_messages("G", "T", 1), 0);
    world.advance(60 * SECOND);
    assert!(world.broker.topic("%RETRY%G_T").is_none());
    assert_eq!(world.pop(client, &pop_header("Other", "T", 1)).bodies().len(), 3, "groups don't share");
}

#[test]
fn an_unacknowledged_message_returns_through_the_retry_topic_under_its_own_name() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[("k", "v"), ("TAGS", "a")], "kept");
    world.sent(client, "T", 0, &[], "done");
    let first = world.pop(client, &pop_header("G", "T", -1));
    world.ack(client, "G", "T", &first.handles[1]);
    world.advance(12 * SECOND);
    assert_eq!(world.pop(client, &pop_header("G", "T", -1)).code, 210, "never before its time");
    world.advance(2 * SECOND);
    let again = world.pop(client, &pop_header("G", "T", -1));
    assert_eq!(again.bodies(), ["kept"]);
    let message = &again.messages[0];
    assert_eq!((message.topic(), message.reconsume_times, message.property("k")), ("T", 1, Some("v")));
    assert_eq!(message.property("1ST_POP_TIME"), Some(START_MS.to_string().as_str()));
    assert_eq!(message.property("ORIGIN_GROUP"), Some("G"));
    assert_eq!((again.starts.as_str(), again.handles[0].retry_mark), ("1 0 0", RetryMark::V1));
    assert_eq!(world.broker.topic("%RETRY%G_T").unwrap().read_queue_nums, 1);
    // A second time, now within the retry topic.
    world.advance(14 * SECOND);
    let third = world.pop(client, &pop_header("G", "T", -1));
    assert_eq!((third.messages[0].reconsume_times, third.starts.as_str()), (2, "1 0 1"));
    assert_eq!(third.messages[0].property("1ST_POP_TIME"), Some(START_MS.to_string().as_str()));
    assert_eq!(world.ack(client, "G", "T", &third.handles[0]).0, 0);
    world.advance(60 * SECOND);
    assert_eq!(world.pop(client, &pop_header("G", "T", -1)).code, 210);
}

#[test]
fn retry_topics_have_the_second_form_of_name_when_the_broker_says_so() {
    let mut world = World::with(BrokerConfig { retry_topic_v2: true, ..BrokerConfig::default() });
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "x");
    world.pop(client, &pop_header("G", "T", 0));
    world.advance(14 * SECOND);
    assert!(world.broker.topic("%RETRY%G+T").is_some() && world.broker.topic("%RETRY%G_T").is_none());
    let again = (0..50).map(|_| world.pop(client, &pop_header("G", "T", 0))).find(|popped| popped.code == 0);
    let again = again.expect("half of the pops look into the second form");
    assert_eq!((again.handles[0].retry_mark, again.starts.as_str()), (RetryMark::V2, "2 0 0"));
    assert_eq!(world.ack(client, "G", "T", &again.handles[0]).0, 0);
    assert_eq!(world.broker.hidden_messages("G", "%RETRY%G+T", 0), 0);
}

#[test]
fn a_changed_time_hides_one_message_anew_and_makes_its_old_handle_useless() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "a");
    world.sent(client, "T", 0, &[], "b");
    let popped = world.pop(client, &pop_header("G", "T", 0));
    world.ack(client, "G", "T", &popped.handles[0]);
    world.advance(5 * SECOND);
    let renewed = world.change(client, "G", "T", &popped.handles[1], 30_000);
    assert_eq!((renewed.start_offset, renewed.pop_time.as_millis()), (1, START_MS + 5_000));
    world.advance(25 * SECOND);
    assert_eq!(world.broker.hidden_messages("G", "T", 0), 1);
    assert!(world.broker.topic("%RETRY%G_T").is_none(), "the old time no longer counts");
    assert_eq!(world.ack(client, "G", "T", &popped.handles[1]).0, 0, "taken, and without effect");
    world.advance(5 * SECOND);
    world.advance(4 * SECOND);
    assert_eq!(world.pop(client, &pop_header("G", "T", 0)).bodies(), ["b"]);
}

#[test]
fn a_batch_of_acknowledgements_takes_the_bits_that_are_set() {
    let mut world = world();
    let client = world.connect(1);
    for n in 0..4 {
        world.sent(client, "T", 0, &[], &format!("m{n}"));
    }
    let popped = world.pop(client, &pop_header("G", "T", 0));
    let handle = &popped.handles[0];
    let ack = BatchAck {
        bit_set: [0, 2, 9_000].into_iter().collect::<BitSet>(),
        consumer_group: "G".into(),
        invisible_time: handle.invisible_time_ms,
        pop_time: handle.pop_time.as_millis(),
        queue_id: 0,
        retry: "0".into(),
        revive_queue_id: handle.revive_queue_id,
        start_offset: 0,
        topic: "T".into(),
    };
    let body = BatchAckMessageRequestBody { acks: vec![ack], broker_name: "broker-a".into() }.encode();
    let post = |world: &mut World, body: &[u8]| {
        let frame = world.frame(200_151, &NoHeader, &[], body);
        let opaque = world.post(client, frame);
        world.take(opaque).unwrap().code
    };
    assert_eq!(post(&mut world, &body), 0);
    assert_eq!(post(&mut world, b""), 208);
    assert_eq!(post(&mut world, b"{\"acks\":[],\"brokerName\":\"broker-a\"}"), 208);
    world.advance(14 * SECOND);
    assert_eq!(world.pop(client, &pop_header("G", "T", 0)).bodies(), ["m1", "m3"]);
}

#[test]
fn a_pop_takes_no_more_than_it_asks_for_and_says_what_is_left() {
    let mut world = world();
    let client = world.connect(1);
    for queue_id in [0, 0, 1, 2, 3] {
        world.sent(client, "T", queue_id, &[], "x");
    }
    let popped = world.pop(client, &PopMessageRequestHeader { max_msg_nums: 2, ..pop_header("G", "T", -1) });
    assert_eq!((popped.messages.len(), popped.rest), (2, 3));
    let rest = world.pop(client, &pop_header("G", "T", -1));
    assert_eq!((rest.messages.len(), rest.rest), (3, 0));
    let refused =
        world.ask(client, &PopMessageRequestHeader { max_msg_nums: 33, ..pop_header("G", "T", -1) });
    assert_eq!(refused.code, 29);
}

#[test]
fn a_filter_passes_over_what_it_does_not_want_for_good() {
    let mut world = world();
    let client = world.connect(1);
    for tag in ["a", "b", "a"] {
        world.sent(client, "T", 0, &[("TAGS", tag)], tag);
    }
    let wanted = |tags: &'static str| PopMessageRequestHeader {
        exp: Some(tags.into()),
        exp_type: Some("TAG".into()),
        ..pop_header("G", "T", 0)
    };
    let popped = world.pop(client, &wanted("a"));
    assert_eq!((popped.bodies(), popped.starts.as_str()), (vec!["a".to_owned(), "a".to_owned()], "0 0 0"));
    assert_eq!(world.pop(client, &wanted("b")).code, 210, "the group's offset is behind it");
    assert_eq!(world.ask(client, &wanted("||")).code, 23);
    world.sent(client, "T", 0, &[("TAGS", "b")], "b");
    assert_eq!(world.pop(client, &wanted("a")).code, 210);
    assert_eq!(world.broker.committed_offset("G", "T", 0), Some(4), "all of it passed over");
}

#[test]
fn a_new_group_begins_at_the_first_message_or_near_the_last() {
    let config = BrokerConfig { log_bytes_max: 2_000, log_segment_bytes: 500, ..BrokerConfig::default() };
    let mut world = World::with(config);
    let client = world.connect(1);
    for n in 0..12 {
        world.sent(client, "T", 0, &[], &format!("m{n}{}", "x".repeat(200)));
    }
    let min = world.broker.queue_range("T", 0).start;
    assert!(min > 0, "some are gone");
    let first = world.pop(client, &PopMessageRequestHeader { max_msg_nums: 1, ..pop_header("Min", "T", 0) });
    assert_eq!(first.handles[0].queue_offset, Some(min));
    let last = world.pop(client, &PopMessageRequestHeader { init_mode: 1, ..pop_header("Max", "T", 0) });
    assert_eq!((last.messages.len(), last.handles[0].queue_offset), (1, Some(11)));
    world.sent(client, "Young", 0, &[], "a");
    world.sent(client, "Young", 0, &[], "b");
    let young = world.pop(client, &PopMessageRequestHeader { init_mode: 1, ..pop_header("Max", "Young", 0) });
    assert_eq!(young.bodies(), ["a", "b"]);
}

#[test]
fn refused_acknowledgements_name_their_reason() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "x");
    let handle = world.pop(client, &pop_header("G", "T", 0)).handles.remove(0);
    let at = |offset| PopHandle { queue_offset: Some(offset), ..handle.clone() };
    assert_eq!(world.ack(client, "G", "Unknown", &handle).0, 17);
    assert_eq!(world.ack(client, "G", "T", &PopHandle { queue_id: 9, ..handle.clone() }).0, 13);
    let illegal = "offset is illegal, key:T@0, commit:1000, store:0~1".to_owned();
    assert_eq!(world.ack(client, "G", "T", &at(1_000)), (208, illegal));
    assert_eq!(world.ack(client, "G", "T", &at(1)).0, 0, "the end itself passes");
    let header = ChangeInvisibleTimeRequestHeader {
        consumer_group: "G".into(),
        topic: "T".into(),
        queue_id: 0,
        extra_info: handle.to_string().into(),
        offset: 1,
        invisible_time: 1_000,
        ..Default::default()
    };
    assert_eq!(world.ask(client, &header).code, 208);
    assert_eq!(world.broker.hidden_messages("G", "T", 0), 1);
}

#[test]
fn refused_pops_name_their_reason() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "x");
    assert_eq!(world.ask(client, &pop_header("G", "Unknown", 0)).code, 17);
    assert_eq!(world.ask(client, &pop_header("bad group", "T", 0)).code, 26);
    let illegal = world.ask(client, &pop_header("G", "T", 9));
    let remark = "queueId[9] is illegal, topic:[T] topicConfig.readQueueNums:[4] consumer:[/127.0.0.1:40001]";
    assert_eq!((illegal.code, illegal.remark.as_deref()), (29, Some(remark)));
    let late =
        PopMessageRequestHeader { born_time: START_MS - 1_501, poll_time: 1_000, ..pop_header("G", "T", 0) };
    assert_eq!(world.ask(client, &late).code, 210);
    let mut off = World::with(BrokerConfig { timer_wheel: false, ..BrokerConfig::default() });
    let client = off.connect(1);
    off.sent(client, "T", 0, &[], "x");
    assert_eq!(off.ask(client, &pop_header("G", "T", 0)).code, 1);
}

#[test]
fn a_restart_keeps_what_is_hidden_and_a_crash_what_was_written() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "a");
    world.sent(client, "T", 0, &[], "b");
    let popped = world.pop(client, &pop_header("G", "T", 0));
    world.advance(6 * SECOND);
    world.sent(client, "Else", 0, &[], "later");
    world.ack(client, "G", "T", &popped.handles[0]);
    let wall = Timestamp::from_millis(START_MS + 6_000);
    for (lost, left) in [(None, vec!["b"]), (Some(0), vec!["b"]), (Some(1), vec!["a", "b"])] {
        let after = match lost {
            None => world.broker.restart(world.now, wall),
            Some(count) => world.broker.crash(Durability::LoseRecords(count), world.now, wall),
        };
        let mut world = world.with_broker(after);
        let client = world.connect(2);
        assert_eq!(world.pop(client, &pop_header("G", "T", 0)).code, 210, "hidden still: {lost:?}");
        world.advance(8 * SECOND);
        assert_eq!(world.pop(client, &pop_header("G", "T", 0)).bodies(), left, "{lost:?}");
    }
}

#[test]
fn a_reset_offset_is_where_the_next_pop_begins() {
    let mut world = world();
    let client = world.connect(1);
    for n in 0..3 {
        world.sent(client, "T", 0, &[], &format!("m{n}"));
    }
    world.pop(client, &pop_header("G", "T", 0));
    let reset = rocketmq_client_core::remoting::ResetOffsetRequestHeader {
        group: "G".into(),
        topic: "T".into(),
        queue_id: 0,
        offset: Some(1),
        timestamp: -1,
        ..Default::default()
    };
    let frame = world.frame(222, &reset, &[], b"");
    let opaque = world.post(client, frame);
    assert_eq!(world.take(opaque).unwrap().code, 0);
    assert_eq!(world.pop(client, &pop_header("G", "T", 0)).bodies(), ["m1", "m2"]);
}
