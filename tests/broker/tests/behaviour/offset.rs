//! Offsets of consumers and of queues.

use std::time::Duration;

use rocketmq_client_core::message::StoredMessages;
use rocketmq_client_core::remoting::{
    BoundaryType, GetEarliestMsgStoretimeRequestHeader, GetMaxOffsetRequestHeader, GetMinOffsetRequestHeader,
    QueryConsumerOffsetRequestHeader, QueryMessageRequestHeader, RemotingCommand, ResetOffsetRequestHeader,
    SearchOffsetRequestHeader, UpdateConsumerOffsetRequestHeader,
};
use rocketmq_dev_broker::ConnectionId;

use crate::world::{START_MS, World, bodies, body_text, world};

fn update(
    group: &str,
    topic: &str,
    queue_id: i32,
    commit_offset: i64,
) -> UpdateConsumerOffsetRequestHeader<'static> {
    UpdateConsumerOffsetRequestHeader {
        consumer_group: group.to_owned().into(),
        topic: topic.to_owned().into(),
        queue_id,
        commit_offset,
        ..Default::default()
    }
}

fn query(
    world: &mut World,
    client: ConnectionId,
    group: &str,
    topic: &str,
    zero: Option<bool>,
) -> (i32, Option<String>) {
    let header = QueryConsumerOffsetRequestHeader {
        consumer_group: group.into(),
        topic: topic.into(),
        queue_id: 0,
        set_zero_if_not_found: zero,
        ..Default::default()
    };
    let answer = world.ask(client, &header);
    (answer.code, field(&answer, "offset"))
}

fn field(answer: &RemotingCommand, name: &str) -> Option<String> {
    answer.ext.get(name).map(|value| value.to_string())
}

#[test]
fn a_new_group_on_a_young_queue_starts_at_zero_unless_it_declines() {
    let mut world = world();
    let client = world.connect(1);
    assert_eq!(query(&mut world, client, "G", "T", None).0, 22, "an unknown topic");
    world.sent(client, "T", 1, &[], "x");
    assert_eq!(query(&mut world, client, "G", "T", None).0, 22, "an empty queue");
    world.sent(client, "T", 0, &[], "x");
    assert_eq!(query(&mut world, client, "G", "T", None), (0, Some("0".to_owned())));
    assert_eq!(query(&mut world, client, "G", "T", Some(false)).0, 22);
}

#[test]
fn commits_are_taken_blindly_from_known_groups_on_known_topics() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "x");
    let refused = world.ask(client, &update("G", "T", 0, 1));
    assert_eq!((refused.code, refused.remark.as_deref()), (26, Some("Group G not exist!")));
    world.heartbeat(client, "c", "G", &["T"]);
    let refused = world.ask(client, &update("G", "U", 0, 1));
    assert_eq!((refused.code, refused.remark.as_deref()), (17, Some("Topic U not exist!")));
    for offset in [7, 2, 1_000_000] {
        assert_eq!(world.ask(client, &update("G", "T", 0, offset)).code, 0);
        assert_eq!(query(&mut world, client, "G", "T", None), (0, Some(offset.to_string())));
    }
    assert_eq!(world.ask(client, &update("G", "T", 99, 5)).code, 0, "a queue that doesn't exist");
    world.ask(client, &update("G", "T", 0, -5));
    assert_eq!(query(&mut world, client, "G", "T", Some(false)).0, 22, "a negative offset counts as none");
}

#[test]
fn ends_of_queues_are_zero_where_there_is_nothing() {
    let mut world = world();
    let client = world.connect(1);
    let earliest = GetEarliestMsgStoretimeRequestHeader { topic: "T".into(), ..Default::default() };
    assert_eq!(field(&world.ask(client, &earliest), "timestamp").as_deref(), Some("-1"));
    let max = GetMaxOffsetRequestHeader { topic: "T".into(), ..Default::default() };
    let min = GetMinOffsetRequestHeader { topic: "T".into(), ..Default::default() };
    assert_eq!(field(&world.ask(client, &max), "offset").as_deref(), Some("0"));
    world.sent(client, "T", 0, &[], "x");
    assert_eq!(field(&world.ask(client, &max), "offset").as_deref(), Some("1"));
    assert_eq!(field(&world.ask(client, &min), "offset").as_deref(), Some("0"));
    assert_eq!(field(&world.ask(client, &earliest), "timestamp"), Some(START_MS.to_string()));
}

#[test]
fn a_search_by_time_follows_the_boundary() {
    let mut world = world();
    let client = world.connect(1);
    for _ in 0..3 {
        world.sent(client, "T", 0, &[], "x");
        world.sent(client, "T", 0, &[], "x");
        world.advance(Duration::from_millis(10));
    }
    let mut search = |after_ms, boundary| {
        let header = SearchOffsetRequestHeader {
            topic: "T".into(),
            timestamp: START_MS + after_ms,
            boundary_type: boundary,
            ..Default::default()
        };
        field(&world.ask(client, &header), "offset").unwrap()
    };
    assert_eq!(search(10, None), "2");
    assert_eq!(search(10, Some(BoundaryType::Upper)), "3");
    assert_eq!(search(5, Some(BoundaryType::Lower)), "2");
    assert_eq!(search(99, None), "6");
    assert_eq!(search(99, Some(BoundaryType::Upper)), "5");
    assert_eq!(search(-1, None), "0");
}

#[test]
fn a_reset_wins_over_commits_until_the_next_pull() {
    let mut world = world();
    let client = world.connect(1);
    for _ in 0..4 {
        world.sent(client, "T", 0, &[], "x");
    }
    world.heartbeat(client, "c", "G", &["T"]);
    world.ask(client, &update("G", "T", 0, 4));
    let reset = ResetOffsetRequestHeader {
        group: "G".into(),
        topic: "T".into(),
        queue_id: 0,
        offset: Some(1),
        ..Default::default()
    };
    let frame = world.frame(222, &reset, &[], b"");
    let opaque = world.post(client, frame);
    let answer = world.take(opaque).unwrap();
    assert_eq!(
        body_text(&answer),
        r#"{"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"T"}:1}}"#
    );
    let ignored = world.ask(client, &update("G", "T", 0, 4));
    assert_eq!((ignored.code, ignored.remark.as_deref()), (0, Some("Offset has been previously reset")));
    assert_eq!(query(&mut world, client, "G", "T", None).1.as_deref(), Some("1"));
    let pulled = world.pull(client, "G", "T", 0, 4);
    assert_eq!((pulled.code, pulled.remark.as_str(), pulled.next), (21, "OFFSET_RESET", 1));
    assert_eq!(world.pull(client, "G", "T", 0, 4).code, 19, "it is carried out once");
}

#[test]
fn messages_are_found_by_key_and_by_unique_key() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[("KEYS", "order1 red"), ("UNIQ_KEY", "U1")], "a");
    world.sent(client, "T", 1, &[("KEYS", "order2 red"), ("UNIQ_KEY", "U2")], "b");
    let find = |world: &mut World, topic: &str, key: &str, max_num, unique: bool| {
        let header = QueryMessageRequestHeader {
            topic: topic.to_owned().into(),
            key: key.to_owned().into(),
            max_num,
            begin_timestamp: 0,
            end_timestamp: i64::MAX,
            ..Default::default()
        };
        let extra: &[(&str, &str)] = if unique { &[("_UNIQUE_KEY_QUERY", "true")] } else { &[] };
        let frame = world.frame(12, &header, extra, b"");
        let opaque = world.post(client, frame);
        let answer = world.take(opaque).unwrap();
        let messages: Vec<_> = StoredMessages::new(answer.body.clone()).map(Result::unwrap).collect();
        (answer.code, bodies(&messages))
    };
    assert_eq!(find(&mut world, "T", "red", 32, false), (0, vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(find(&mut world, "T", "red", 1, false).1, ["b"], "the newest");
    assert_eq!(find(&mut world, "T", "U1", 0, true).1, ["a"]);
    assert_eq!(find(&mut world, "Other", "red", 32, false).0, 22);
}
