//! What consumers see when they pull.

use std::time::Duration;

use rocketmq_client_core::remoting::{
    PullMessageRequestHeader, QueryConsumerOffsetRequestHeader, QueryConsumerOffsetResponseHeader,
};
use rocketmq_dev_broker::BrokerConfig;

use crate::world::{World, heartbeat, world};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn every_offset_has_its_code_and_correction() {
    let config = BrokerConfig { log_bytes_max: 900, log_segment_bytes: 1, ..BrokerConfig::default() };
    let mut world = World::with(config);
    let client = world.connect(1);
    for _ in 0..10 {
        world.sent(client, "T", 0, &[], "x");
    }
    world.advance(11 * SECOND);
    let range = world.broker.queue_range("T", 0);
    assert!(range.start > 0 && range.end == 10, "{range:?}");
    let at = |world: &mut World, queue_id, offset| {
        let pulled = world.pull(client, "G", "T", queue_id, offset);
        (pulled.code, pulled.remark, pulled.next)
    };
    assert_eq!(at(&mut world, 0, 0), (21, "OFFSET_TOO_SMALL".to_owned(), range.start));
    assert_eq!(at(&mut world, 0, range.start), (0, "FOUND".to_owned(), 10));
    assert_eq!(at(&mut world, 0, 10), (19, "OFFSET_OVERFLOW_ONE".to_owned(), 10));
    assert_eq!(at(&mut world, 0, 11), (21, "OFFSET_OVERFLOW_BADLY".to_owned(), 10));
    assert_eq!(at(&mut world, 1, 0), (19, "NO_MESSAGE_IN_QUEUE".to_owned(), 0));
    assert_eq!(at(&mut world, 1, 5), (21, "NO_MESSAGE_IN_QUEUE".to_owned(), 0));
}

#[test]
fn an_answer_has_at_most_32_messages_or_256_kib_but_one_at_least() {
    let mut world = world();
    let client = world.connect(1);
    for n in 0..40 {
        world.sent(client, "Many", 0, &[], &n.to_string());
    }
    let first = world.pull(client, "G", "Many", 0, 0);
    assert_eq!((first.messages.len(), first.next, first.max), (32, 32, 40));
    assert_eq!(world.pull(client, "G", "Many", 0, 32).messages.len(), 8);
    for size in [300, 100, 100, 100] {
        world.sent(client, "Big", 0, &[], &"x".repeat(size << 10));
    }
    assert_eq!(world.pull(client, "G", "Big", 0, 0).next, 1);
    assert_eq!(world.pull(client, "G", "Big", 0, 1).next, 3);
}

#[test]
fn refused_pulls_name_their_reason() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "x");
    let code = |world: &mut World, group: &str, topic: &str, queue_id| {
        let pulled = world.pull(client, group, topic, queue_id, 0);
        (pulled.code, pulled.remark)
    };
    assert_eq!(code(&mut world, "bad group", "T", 0).0, 26);
    assert_eq!(code(&mut world, "G", "Unknown", 0).0, 17);
    let illegal =
        "queueId[9] is illegal, topic:[T] topicConfig.readQueueNums:[4] consumer:[/127.0.0.1:40001]";
    assert_eq!(code(&mut world, "G", "T", 9), (29, illegal.to_owned()));
    assert_eq!(code(&mut world, "G", "T", -1).0, 29);
    let forbidden = world.pull(client, "G", "rmq_sys_SYNC_BROKER_MEMBER_broker-a", 0, 0);
    assert_eq!((forbidden.code, forbidden.forbidden), (16, Some(3)));
    let opaque = world.post_pull(client, "G", "T", 0, 0, "||", 0);
    assert_eq!(world.take(opaque).unwrap().code, 23);
}

#[test]
fn a_pull_without_inline_subscription_needs_a_heartbeat_of_the_same_or_a_newer_version() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[("TAGS", "a")], "x");
    let pull = |world: &mut World, sub_version| {
        let header = PullMessageRequestHeader {
            consumer_group: "G".into(),
            topic: "T".into(),
            max_msg_nums: 32,
            sub_version,
            ..Default::default()
        };
        let answer = world.ask(client, &header);
        (answer.code, answer.remark.unwrap_or_default().lines().next().unwrap_or_default().to_owned())
    };
    assert_eq!(pull(&mut world, 1), (24, "the consumer's group info not exist".to_owned()));
    world.heartbeat(client, "c", "G", &["Other"]);
    assert_eq!(pull(&mut world, 1), (24, "the consumer's subscription not exist".to_owned()));
    world.heartbeat_body(client, &heartbeat("c", "G", &["T"], 5, 0, false));
    assert_eq!(pull(&mut world, 6), (25, "the consumer's subscription not latest".to_owned()));
    assert_eq!(pull(&mut world, 5).0, 0);
    world.heartbeat_body(client, &heartbeat("c", "G", &["T"], 4, 0, false));
    assert_eq!(pull(&mut world, 5).0, 0, "an older version doesn't replace");
}

#[test]
fn a_held_pull_is_answered_by_the_next_message() {
    let mut world = world();
    let (client, producer) = (world.connect(1), world.connect(2));
    world.sent(producer, "T", 0, &[], "old");
    let opaque = world.post_pull(client, "G", "T", 0, 1, "*", 15_000);
    assert_eq!((world.pulled(opaque).is_none(), world.broker.held_pulls()), (true, 1));
    world.sent(producer, "T", 1, &[], "another queue");
    assert!(world.pulled(opaque).is_none());
    world.sent(producer, "T", 0, &[], "new");
    let pulled = world.pulled(opaque).unwrap();
    assert_eq!((pulled.code, pulled.bodies(), pulled.next), (0, vec!["new".to_owned()], 2));
    assert_eq!(world.broker.held_pulls(), 0);
}

#[test]
fn one_message_wakes_every_group_that_waits_for_it() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "old");
    let waiting = ["G", "H", "I"].map(|group| world.post_pull(client, group, "T", 0, 1, "*", 15_000));
    world.sent(client, "T", 0, &[], "new");
    assert!(waiting.iter().all(|opaque| world.pulled(*opaque).is_some_and(|pulled| pulled.code == 0)));
}

#[test]
fn time_outs_are_looked_at_every_five_seconds_only() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "old");
    world.advance(SECOND);
    let opaque = world.post_pull(client, "G", "T", 0, 1, "*", 3_000);
    world.advance(3 * SECOND);
    assert!(world.pulled(opaque).is_none());
    world.advance(SECOND);
    let pulled = world.pulled(opaque).expect("the scan at five seconds answers");
    assert_eq!((pulled.code, pulled.next), (19, 1));
}

#[test]
fn a_filtered_pull_is_answered_by_its_tag_at_once_and_by_others_with_the_scan() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[("TAGS", "no")], "n0");
    let opaque = world.post_pull(client, "G", "T", 0, 1, "yes", 15_000);
    world.sent(client, "T", 0, &[("TAGS", "no")], "n1");
    assert!(world.pulled(opaque).is_none());
    world.advance(6 * SECOND);
    let pulled = world.pulled(opaque).unwrap();
    assert_eq!((pulled.code, pulled.remark.as_str(), pulled.next), (20, "NO_MATCHED_MESSAGE", 2));
    let opaque = world.post_pull(client, "G", "T", 0, 2, "yes || maybe", 15_000);
    world.sent(client, "T", 0, &[("TAGS", "no")], "n2");
    world.sent(client, "T", 0, &[("TAGS", "yes")], "y");
    let pulled = world.pulled(opaque).unwrap();
    assert_eq!((pulled.bodies(), pulled.next), (vec!["y".to_owned()], 4));
}

#[test]
fn moved_offsets_are_never_held() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "x");
    for (offset, tags, code) in [(5, "*", 21), (0, "none", 20)] {
        let opaque = world.post_pull(client, "G", "T", 0, offset, tags, 15_000);
        assert_eq!(world.pulled(opaque).unwrap().code, code);
    }
}

#[test]
fn a_closed_connection_takes_its_held_pulls_along() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "x");
    world.post_pull(client, "G", "T", 0, 1, "*", 15_000);
    world.disconnect(client);
    assert_eq!(world.broker.held_pulls(), 0);
}

#[test]
fn a_pull_commits_when_it_says_so_without_any_check() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "x");
    let header = PullMessageRequestHeader {
        consumer_group: "G".into(),
        topic: "T".into(),
        max_msg_nums: 1,
        sys_flag: 1 | 4,
        commit_offset: 99,
        subscription: Some("*".into()),
        ..Default::default()
    };
    world.ask(client, &header);
    let query = QueryConsumerOffsetRequestHeader {
        consumer_group: "G".into(),
        topic: "T".into(),
        ..Default::default()
    };
    let answer = world.ask(client, &query);
    assert_eq!(answer.header::<QueryConsumerOffsetResponseHeader>().unwrap().offset, 99);
}

#[test]
fn messages_become_visible_after_the_dispatch_lag() {
    let lag = Duration::from_millis(3);
    let mut world = World::with(BrokerConfig { dispatch_lag: lag, ..BrokerConfig::default() });
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "x");
    assert_eq!(world.pull(client, "G", "T", 0, 0).code, 19);
    let opaque = world.post_pull(client, "G", "T", 0, 0, "*", 15_000);
    world.advance(lag);
    assert_eq!(world.pulled(opaque).unwrap().bodies(), ["x"]);
}
