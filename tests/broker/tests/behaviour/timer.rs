//! Timer messages: when they are delivered, what is refused, and recall.

use std::time::Duration;

use rocketmq_client_core::message::id::RecallHandle;
use rocketmq_client_core::remoting::{
    RecallMessageRequestHeader, RecallMessageResponseHeader, SendMessageResponseHeader,
};
use rocketmq_client_core::time::Timestamp;
use rocketmq_dev_broker::{BrokerConfig, ConnectionId, Durability};

use crate::world::{START_MS, World, bodies, world};

const WHEEL: &str = "rmq_sys_wheel_timer";

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn recalling() -> (World, ConnectionId) {
    let mut world = World::with(BrokerConfig { recall: true, ..BrokerConfig::default() });
    let client = world.connect(1);
    (world, client)
}

impl World {
    fn recall(&mut self, connection: ConnectionId, topic: &str, handle: &str) -> (i32, String) {
        let header = RecallMessageRequestHeader {
            topic: topic.into(),
            recall_handle: handle.into(),
            ..Default::default()
        };
        let answer = self.ask(connection, &header);
        let text = match answer.header::<RecallMessageResponseHeader<'_>>() {
            Ok(header) => header.msg_id.into_owned(),
            Err(_) => answer.remark.as_deref().unwrap_or_default().to_owned(),
        };
        (answer.code, text)
    }

    /// Sends a timer message; its recall handle.
    fn sent_later(&mut self, connection: ConnectionId, delay_ms: &str, key: &str) -> String {
        let properties = [("TIMER_DELAY_MS", delay_ms), ("UNIQ_KEY", key)];
        let answer = self.send(connection, "T", 0, &properties, key);
        assert_eq!(answer.code, 0, "{:?}", answer.remark);
        let header: SendMessageResponseHeader<'_> = answer.header().unwrap();
        header.recall_handle.expect("a timer message can be named").into_owned()
    }
}

#[test]
fn a_timer_message_is_delivered_at_the_end_of_its_second() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 2, &[("TIMER_DELAY_MS", "2500"), ("TAGS", "a")], "x");
    assert!(world.broker.messages("T").is_empty());
    world.advance(millis(2_990));
    assert!(world.broker.messages("T").is_empty());
    world.advance(millis(110));
    let message = world.broker.queue("T", 2).next().expect("it is due");
    assert_eq!((bodies([&message]), message.tags()), (vec!["x".to_owned()], Some("a")));
    let property = |name| message.property(name).unwrap().to_owned();
    assert_eq!(property("TIMER_OUT_MS"), (START_MS + 2_000).to_string());
    assert_eq!(property("TIMER_DELAY_MS"), "2500");
    assert_eq!((property("REAL_TOPIC"), property("REAL_QID")), ("T".to_owned(), "2".to_owned()));
    assert_eq!(property("TIMER_ENQUEUE_MS"), START_MS.to_string());
    assert!(property("TIMER_DEQUEUE_MS").parse::<i64>().unwrap() >= START_MS + 3_000);
}

#[test]
fn a_message_that_was_sent_later_may_be_due_earlier() {
    let mut world = world();
    let client = world.connect(1);
    world.sent_later(client, "9000", "late");
    world.sent_later(client, "2000", "soon");
    let wanted = world.drain().expect("the broker wants to be woken");
    assert!(wanted <= world.now + millis(2_100), "for the earlier one");
    world.advance(millis(2_200));
    assert_eq!(bodies(&world.broker.messages("T")), ["soon"]);
    world.advance(millis(7_000));
    assert_eq!(bodies(&world.broker.messages("T")), ["soon", "late"]);
}

#[test]
fn a_waiting_pull_gets_a_timer_message() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[("TIMER_DELAY_SEC", "3")], "x");
    let opaque = world.post_pull(client, "G", "T", 0, 0, "*", 15_000);
    world.advance(millis(3_100));
    assert_eq!(world.pulled(opaque).expect("it came").bodies(), ["x"]);
}

#[test]
fn times_that_have_come_mean_now_and_times_too_far_are_refused() {
    let mut world = world();
    let client = world.connect(1);
    let past = (START_MS - 1).to_string();
    world.sent(client, "T", 0, &[("TIMER_DELIVER_MS", &past)], "past");
    world.sent(client, "T", 0, &[("TIMER_DELAY_MS", "0")], "now");
    assert_eq!(bodies(&world.broker.messages("T")), ["past", "now"]);
    world.sent(client, "T", 0, &[("TIMER_DELAY_MS", "259200000")], "three days");
    let illegal = "timer message illegal, the delay time should not be bigger than the max delay 259200000ms; \
                   or if set del msg, the delay time should be bigger than the current time";
    for properties in [
        &[("TIMER_DELAY_MS", "259200001")][..],
        &[("TIMER_DELAY_SEC", "soon")],
        &[("TIMER_DELIVER_MS", &past), ("TIMER_DEL_UNIQKEY", "k")],
    ] {
        let answer = world.send(client, "T", 0, properties, "x");
        assert_eq!((answer.code, answer.remark.as_deref()), (13, Some(illegal)), "{properties:?}");
    }
}

#[test]
fn a_delay_level_beats_a_timer() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[("DELAY", "1"), ("TIMER_DELAY_MS", "60000")], "x");
    world.advance(millis(1_100));
    let message = world.broker.queue("T", 0).next().unwrap();
    assert_eq!((message.property("TIMER_DELAY_MS"), message.property("DELAY")), (None, Some("1")));
}

#[test]
fn a_recalled_message_never_comes() {
    let (mut world, client) = recalling();
    let handle = world.sent_later(client, "5300", "K1");
    world.sent_later(client, "5300", "K2");
    assert_eq!(world.recall(client, "T", &handle), (0, "K1".to_owned()));
    world.advance(millis(7_000));
    assert_eq!(bodies(&world.broker.messages("T")), ["K2"]);
    let late = world.recall(client, "T", &handle);
    assert_eq!(late, (604, "recall failed, timestamp invalid".to_owned()));
}

#[test]
fn refused_recalls_name_their_reason() {
    let (mut world, client) = recalling();
    let handle = world.sent_later(client, "5300", "K1");
    let parsed = RecallHandle::parse(&handle).unwrap();
    assert_eq!(parsed.deliver_at.as_millis(), START_MS + 5_001);
    let code = |world: &mut World, topic: &str, handle: &str| world.recall(client, topic, handle);
    assert_eq!(code(&mut world, "Unknown", &handle).0, 17);
    assert_eq!(code(&mut world, "T", "nonsense"), (604, "recall handle is invalid".to_owned()));
    world.sent(client, "Other", 0, &[], "x");
    assert_eq!(code(&mut world, "Other", &handle), (604, "recall failed, topic not match".to_owned()));
    let elsewhere = RecallHandle { broker_name: "broker-b".to_owned(), ..parsed.clone() };
    let remark = "recall failed, broker service not available".to_owned();
    assert_eq!(code(&mut world, "T", &elsewhere.encode()), (604, remark));
    let far = RecallHandle { deliver_at: Timestamp::from_millis(START_MS + 259_200_000), ..parsed };
    assert_eq!(code(&mut world, "T", &far.encode()).0, 604);
    let mut off = crate::world::world();
    let client = off.connect(1);
    let handle = off.sent_later(client, "5300", "K1");
    assert_eq!(off.recall(client, "T", &handle), (16, "recall failed, operation is forbidden".to_owned()));
}

#[test]
fn a_crash_loses_the_timers_of_its_records_and_may_repeat_a_second() {
    let mut world = world();
    let client = world.connect(1);
    // Half a second off, so that a delivery and the next write of the progress are apart.
    let wall = |ms: i64| Timestamp::from_millis(START_MS + 500 + ms);
    world.broker.set_wall_clock(world.now, wall(0));
    world.sent_later(client, "2000", "soon");
    world.sent_later(client, "8000", "late");
    world.advance(millis(2_700));
    assert_eq!(bodies(&world.broker.messages("T")), ["soon"]);
    let all = world.broker.crash(Durability::All, world.now, wall(2_700));
    let mut again = world.with_broker(all);
    again.advance(millis(7_000));
    assert_eq!(bodies(&again.broker.messages("T")), ["soon", "soon", "late"], "the progress wasn't on disk");
    world.advance(millis(1_000));
    let kept = world.broker.crash(Durability::All, world.now, wall(3_700));
    let mut after = world.with_broker(kept);
    after.advance(millis(7_000));
    assert_eq!(bodies(&after.broker.messages("T")), ["soon", "late"]);
    let lost = world.broker.crash(Durability::LoseRecords(2), world.now, wall(3_700));
    let mut after = world.with_broker(lost);
    assert_eq!(after.broker.queue(WHEEL, 0).count(), 1, "the late one is gone with its record");
    after.advance(millis(7_000));
    assert!(!bodies(&after.broker.messages("T")).contains(&"late".to_owned()));
}
