//! Delay levels, messages given back, dead letters.

use std::time::Duration;

use rocketmq_client_core::remoting::{LockBatchMqRequestHeader, SendMessageRequestHeaderV2};
use rocketmq_dev_broker::{BrokerConfig, DelayLevels};

use crate::world::{World, bodies, send_header, text, world};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_delayed_message_comes_after_its_level_never_before() {
    let mut world = world();
    let client = world.connect(1);
    let properties = [("DELAY", "3"), ("UNIQ_KEY", "U")];
    let sent = world.sent(client, "T", 2, &properties, "late");
    assert_eq!((sent.queue_id, sent.queue_offset), (2, 0), "the offset is that of the level's queue");
    let waiting = world.broker.queue("SCHEDULE_TOPIC_XXXX", 2).next().unwrap();
    assert_eq!((waiting.property("REAL_TOPIC"), waiting.property("REAL_QID")), (Some("T"), Some("2")));
    world.advance(10 * SECOND - Duration::from_millis(1));
    assert!(world.broker.messages("T").is_empty());
    world.advance(Duration::from_millis(101));
    let delivered = world.broker.queue("T", 2).next().unwrap();
    assert_eq!(bodies([&delivered]), ["late"]);
    assert_eq!((delivered.property("DELAY"), delivered.property("WAIT")), (Some("3"), None));
    assert_eq!((delivered.property("REAL_TOPIC"), delivered.uniq_key()), (Some("T"), Some("U")));
}

#[test]
fn levels_out_of_range_are_bounded() {
    let levels = DelayLevels::parse("1s 2s").unwrap();
    let mut world = World::with(BrokerConfig { delay_levels: levels, ..BrokerConfig::default() });
    let client = world.connect(1);
    world.sent(client, "T", 0, &[("DELAY", "99")], "last level");
    world.sent(client, "T", 0, &[("DELAY", "0")], "now");
    world.sent(client, "T", 0, &[("DELAY", "-2")], "now too");
    assert_eq!(bodies(&world.broker.messages("T")), ["now", "now too"]);
    assert_eq!(world.broker.queue("SCHEDULE_TOPIC_XXXX", 1).next().unwrap().property("DELAY"), Some("2"));
    world.advance(3 * SECOND);
    assert_eq!(world.broker.messages("T").len(), 3);
}

#[test]
fn a_timer_message_is_refused_where_the_wheel_is_off() {
    let mut world = World::with(BrokerConfig { timer_wheel: false, ..BrokerConfig::default() });
    let client = world.connect(1);
    let answer = world.send(client, "T", 0, &[("TIMER_DELAY_SEC", "5")], "x");
    let remark = "accurate timer message is not enabled, timerWheelEnable is false";
    assert_eq!((answer.code, answer.remark.as_deref()), (1, Some(remark)));
}

#[test]
fn a_message_given_back_comes_again_from_the_retry_topic() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[("UNIQ_KEY", "U"), ("TAGS", "a")], "x");
    let original = world.broker.queue("T", 0).next().unwrap();
    assert_eq!(world.send_back(client, "G", &original, 0, None).code, 0);
    assert!(world.broker.messages("%RETRY%G").is_empty());
    world.advance(10 * SECOND + Duration::from_millis(100));
    let retry = world.broker.queue("%RETRY%G", 0).next().expect("level 3 is ten seconds");
    assert_eq!((retry.reconsume_times, bodies([&retry])), (1, vec!["x".to_owned()]));
    assert_eq!(
        (retry.property("RETRY_TOPIC"), retry.uniq_key(), retry.tags()),
        (Some("T"), Some("U"), Some("a"))
    );
    assert_eq!(retry.property("ORIGIN_MESSAGE_ID"), Some(&*original.offset_msg_id().to_string()));
    assert_eq!(retry.born_timestamp, original.born_timestamp);
    world.send_back(client, "G", &retry, 0, None);
    world.advance(30 * SECOND + Duration::from_millis(100));
    let again = world.broker.queue("%RETRY%G", 0).nth(1).expect("the second time is level 4, thirty seconds");
    assert_eq!(again.reconsume_times, 2);
    assert_eq!(
        again.property("ORIGIN_MESSAGE_ID"),
        Some(&*original.offset_msg_id().to_string()),
        "the first id stays"
    );
}

#[test]
fn a_worn_out_message_becomes_a_dead_letter_at_once() {
    for (level, max) in [(0, Some(0)), (0, Some(-1)), (-1, None)] {
        let mut world = world();
        let client = world.connect(1);
        world.sent(client, "T", 0, &[], "x");
        let original = world.broker.queue("T", 0).next().unwrap();
        assert_eq!(world.send_back(client, "G", &original, level, max).code, 0);
        let dead = world.broker.queue("%DLQ%G", 0).next().expect("a dead letter");
        assert_eq!((dead.property("DELAY"), dead.reconsume_times), (Some("0"), 1));
    }
}

#[test]
fn giving_back_what_is_not_there_is_refused() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "x");
    let mut message = world.broker.queue("T", 0).next().unwrap();
    message.commit_log_offset = 12_345;
    let answer = world.send_back(client, "G", &message, 0, None);
    assert_eq!((answer.code, answer.remark.as_deref()), (1, Some("look message by offset failed, 12345")));
    let off = BrokerConfig { auto_create_group: false, ..BrokerConfig::default() };
    let mut world = World::with(off);
    let client = world.connect(1);
    assert_eq!(world.send_back(client, "G", &message, 0, None).code, 26);
}

/// A client's own send to the retry topic, which it does when giving back failed.
fn fallback(world: &mut World, reconsume_times: i32, max: Option<i32>) -> i32 {
    let client = world.connect(9);
    let properties = text(&[("RETRY_TOPIC", "T"), ("DELAY", "3")]);
    let header = SendMessageRequestHeaderV2 {
        reconsume_times: Some(reconsume_times),
        max_reconsume_times: max,
        ..send_header("%RETRY%G", 0, &properties)
    };
    world.ask_body(client, &header, b"x").code
}

#[test]
fn a_clients_own_retry_is_dead_only_above_the_maximum() {
    for (times, max, dead) in [(16, Some(16), 0), (17, Some(16), 1), (17, None, 1), (3, Some(2), 1)] {
        let mut world = world();
        assert_eq!(fallback(&mut world, times, max), 0);
        assert_eq!(world.broker.queue("%DLQ%G", 0).count(), dead, "{times} of {max:?}");
    }
}

#[test]
fn retries_of_a_group_with_a_live_lock_are_dead_at_once() {
    let mut world = world();
    let client = world.connect(1);
    let body =
        r#"{"clientId":"c","consumerGroup":"G","mqSet":[{"brokerName":"broker-a","queueId":0,"topic":"T"}]}"#;
    world.ask_body(client, &LockBatchMqRequestHeader::default(), body.as_bytes());
    fallback(&mut world, 1, Some(16));
    let dead = world.broker.queue("%DLQ%G", 0).next().unwrap();
    assert_eq!(dead.property("DELAY"), Some("-1"));
    assert!(world.broker.messages("SCHEDULE_TOPIC_XXXX").is_empty());
}
