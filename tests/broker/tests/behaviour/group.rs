//! Members of groups, their notifications, and queue locks.

use std::time::Duration;

use rocketmq_client_core::remoting::{
    GetConsumerListByGroupRequestHeader, LockBatchMqRequestHeader, UnlockBatchMqRequestHeader,
    UnregisterClientRequestHeader,
};
use rocketmq_dev_broker::ConnectionId;

use crate::world::{World, body_text, heartbeat, world};

const NOTIFY: i32 = 40;

fn list(world: &mut World, client: ConnectionId, group: &str) -> (i32, String) {
    let header = GetConsumerListByGroupRequestHeader { consumer_group: group.into(), ..Default::default() };
    let answer = world.ask(client, &header);
    match answer.code {
        0 => (0, body_text(&answer).to_owned()),
        code => (code, answer.remark.unwrap_or_default().into_string()),
    }
}

#[test]
fn everybody_hears_of_those_who_come_and_go() {
    let mut world = world();
    let (one, two) = (world.connect(1), world.connect(2));
    world.heartbeat(one, "c1", "G", &["T"]);
    assert_eq!(world.pushes(one), [NOTIFY], "the one that joins hears it too");
    world.heartbeat(two, "c2", "G", &["T"]);
    assert_eq!((world.pushes(one), world.pushes(two)), (vec![NOTIFY], vec![NOTIFY]));
    assert_eq!(list(&mut world, one, "G"), (0, r#"{"consumerIdList":["c1","c2"]}"#.to_owned()));
    world.heartbeat(two, "c2", "G", &["T"]);
    assert!(world.pushes(one).is_empty(), "nothing new");
    world.heartbeat(two, "c2", "G", &["T", "U"]);
    assert_eq!(world.pushes(one), [NOTIFY], "another topic");
    world.heartbeat_body(two, &heartbeat("c2", "G", &["T", "U"], 9, 0, false));
    assert!(world.pushes(one).is_empty(), "a newer version of the same topics");
    world.disconnect(two);
    assert_eq!(world.pushes(one), [NOTIFY]);
    let bye = UnregisterClientRequestHeader {
        client_id: "c1".into(),
        consumer_group: Some("G".into()),
        ..Default::default()
    };
    assert_eq!(world.ask(one, &bye).code, 0);
    assert_eq!(list(&mut world, one, "G"), (1, "no consumer for this group, G".to_owned()));
}

#[test]
fn a_client_with_two_connections_counts_twice() {
    let mut world = world();
    let (one, two) = (world.connect(1), world.connect(2));
    world.heartbeat(one, "c", "G", &["T"]);
    world.heartbeat(two, "c", "G", &["T"]);
    assert_eq!(list(&mut world, one, "G").1, r#"{"consumerIdList":["c","c"]}"#);
}

#[test]
fn a_silent_client_is_cut_after_two_minutes_without_a_word_to_the_others() {
    let mut world = world();
    let (one, two) = (world.connect(1), world.connect(2));
    world.heartbeat(two, "c2", "G", &["T"]);
    for _ in 0..13 {
        world.heartbeat(one, "c1", "G", &["T"]);
        list(&mut world, two, "G");
        world.pushes(one);
        world.advance(Duration::from_secs(10));
    }
    assert_eq!(world.closed, [two], "requests that are no heartbeats don't keep a member");
    assert!(world.pushes(one).is_empty());
    assert_eq!(list(&mut world, one, "G").1, r#"{"consumerIdList":["c1"]}"#);
}

#[test]
fn a_connection_without_traffic_is_closed() {
    let mut world = world();
    let idle = world.connect(1);
    world.advance(Duration::from_secs(120));
    assert!(world.closed.is_empty());
    world.advance(Duration::from_secs(20));
    assert!(world.closed.contains(&idle));
}

#[test]
fn a_second_version_heartbeat_is_asked_for_everything_when_the_fingerprint_changed() {
    let mut world = world();
    let client = world.connect(1);
    let beat = |world: &mut World, fingerprint, without_sub| {
        let answer = world.heartbeat_body(client, &heartbeat("c", "G", &["T"], 1, fingerprint, without_sub));
        assert_eq!(answer.ext.get("IS_SUPPORT_HEART_BEAT_V2").as_deref(), Some("true"));
        answer.ext.get("IS_SUB_CHANGE").unwrap().into_owned()
    };
    assert_eq!(beat(&mut world, 0, false), "true");
    assert_eq!(beat(&mut world, 11, false), "true");
    assert_eq!(beat(&mut world, 11, true), "false");
    assert_eq!(beat(&mut world, 12, true), "true");
    assert_eq!(world.pushes(client), [NOTIFY], "one join, no change of subscription");
}

#[test]
fn a_heartbeat_makes_the_retry_topic() {
    let mut world = world();
    let client = world.connect(1);
    world.heartbeat(client, "c", "G", &["T"]);
    let retry = world.broker.topic("%RETRY%G").unwrap();
    assert_eq!((retry.read_queue_nums, retry.write_queue_nums, retry.perm), (1, 1, 6));
}

#[test]
fn locks_exclude_other_clients_for_a_minute_even_after_a_disconnect() {
    let mut world = world();
    let (one, two) = (world.connect(1), world.connect(2));
    let body = |client: &str| {
        format!(
            r#"{{"clientId":"{client}","consumerGroup":"G","mqSet":[{{"brokerName":"broker-a","queueId":0,"topic":"T"}}],"onlyThisBroker":false}}"#
        )
    };
    let lock = |world: &mut World, connection, client: &str| {
        let answer =
            world.ask_body(connection, &LockBatchMqRequestHeader::default(), body(client).as_bytes());
        body_text(&answer).to_owned()
    };
    let granted = r#"{"lockOKMQSet":[{"brokerName":"broker-a","queueId":0,"topic":"T"}]}"#;
    let denied = r#"{"lockOKMQSet":[]}"#;
    assert_eq!(lock(&mut world, one, "c1"), granted);
    assert_eq!(lock(&mut world, one, "c1"), granted);
    world.disconnect(one);
    assert_eq!(lock(&mut world, two, "c2"), denied);
    world.ask_body(two, &UnlockBatchMqRequestHeader::default(), body("c2").as_bytes());
    assert_eq!(lock(&mut world, two, "c2"), denied, "only the holder unlocks");
    world.advance(Duration::from_secs(61));
    assert_eq!(lock(&mut world, two, "c2"), granted);
    world.ask_body(two, &UnlockBatchMqRequestHeader::default(), body("c2").as_bytes());
    assert_eq!(lock(&mut world, two, "c3"), granted);
}

#[test]
fn a_body_that_is_no_json_is_answered_and_harms_nobody() {
    let mut world = world();
    let client = world.connect(1);
    assert_eq!(world.heartbeat_body(client, "{{{").code, 1);
    world.heartbeat_body(client, "[]");
    assert_eq!(world.ask_body(client, &LockBatchMqRequestHeader::default(), b"\xff").code, 1);
}
