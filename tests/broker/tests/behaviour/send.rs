//! What producers see.

use crate::world::{World, bodies, body_text, send_header, text, world};
use rocketmq_client_core::message::{Message, encode_batch, property};
use rocketmq_client_core::remoting::{
    GetRouteInfoRequestHeader, SendMessageRequestHeaderV2, SendMessageResponseHeader,
    ViewMessageRequestHeader,
};
use rocketmq_dev_broker::BrokerConfig;

#[test]
fn offsets_of_a_queue_are_dense_and_ids_name_the_record() {
    let mut world = world();
    let client = world.connect(1);
    let first = world.sent(client, "T", 2, &[("UNIQ_KEY", "K1")], "a");
    let second = world.sent(client, "T", 2, &[], "b");
    assert_eq!((first.queue_id, first.queue_offset, first.transaction_id.as_str()), (2, 0, "K1"));
    assert_eq!(second.queue_offset, 1);
    assert_eq!(second.transaction_id.len(), 32, "a missing id is made");
    assert_eq!(&first.msg_id[..16], "7F00000100002A9F");
    let offset = i64::from_str_radix(&second.msg_id[16..], 16).unwrap();
    let seen = world.ask(client, &ViewMessageRequestHeader { topic: None, offset });
    assert_eq!(seen.body, world.broker.record(offset).unwrap());
    let stored = world.broker.queue("T", 2).next_back().unwrap();
    assert_eq!(stored.property("MSG_REGION"), Some("DefaultRegion"));
    assert_eq!(stored.property("CLUSTER"), Some("DefaultCluster"));
    assert_eq!(stored.uniq_key(), Some(second.transaction_id.as_str()));
    let wrong = world.ask(client, &ViewMessageRequestHeader { topic: None, offset: offset + 1 });
    assert_eq!(
        (wrong.code, wrong.remark.as_deref()),
        (1, Some(&*format!("can not find message by the offset, {}", offset + 1)))
    );
}

#[test]
fn a_new_topic_is_known_to_the_name_server_before_the_send_is_answered() {
    let mut world = world();
    let client = world.connect(1);
    let ask_route = |world: &mut World, version| {
        let header = GetRouteInfoRequestHeader { topic: "New".into(), ..Default::default() };
        let mut frame = world.frame(105, &header, &[], b"");
        frame.version = version;
        let opaque = frame.opaque;
        world.name_server.handle_frame(world.now, client, frame);
        world.advance(std::time::Duration::ZERO);
        world.take(opaque).unwrap()
    };
    let before = ask_route(&mut world, 493);
    assert_eq!(before.code, 17);
    let remark = "No topic route info in name server for the topic: New\nSee https://rocketmq.apache.org/docs/bestPractice/06FAQ for further details.";
    assert_eq!(before.remark.as_deref(), Some(remark));
    world.sent(client, "New", 0, &[], "x");
    let route = r#"{"brokerDatas":[{"brokerAddrs":{"0":"127.0.0.1:10911"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}],"filterServerTable":{},"queueDatas":[{"brokerName":"broker-a","perm":6,"readQueueNums":4,"topicSysFlag":0,"writeQueueNums":4}]}"#;
    let after = ask_route(&mut world, 493);
    assert_eq!((after.code, body_text(&after)), (0, route));
    let old = ask_route(&mut world, 400);
    assert_eq!(body_text(&old), route.replace(r#"{"0":"#, "{0:"), "old clients get bare keys");
}

#[test]
fn refused_sends_name_their_reason_and_store_nothing() {
    let mut world = World::with(BrokerConfig { auto_create_topic: false, ..BrokerConfig::default() });
    let client = world.connect(1);
    let refused = |world: &mut World, topic: &str, queue_id| {
        let answer = world.send(client, topic, queue_id, &[], "x");
        assert_eq!(answer.ext.get("MSG_REGION").as_deref(), Some("DefaultRegion"), "also on errors");
        (answer.code, answer.remark.unwrap_or_default().into_string())
    };
    let (code, remark) = refused(&mut world, "Unknown", 0);
    assert_eq!((code, remark.lines().next().unwrap()), (17, "topic[Unknown] not exist, apply first please!"));
    assert_eq!(refused(&mut world, "bad topic", 0).0, 29);
    let forbidden = (16, "Sending message to topic[SELF_TEST_TOPIC] is forbidden.".to_owned());
    assert_eq!(refused(&mut world, "SELF_TEST_TOPIC", 0), forbidden);
    let (code, remark) = refused(&mut world, "broker-a", 1);
    assert_eq!(code, 29);
    assert!(
        remark.starts_with("request queueId[1] is illegal, TopicConfig [topicName=broker-a, readQueueNums=1"),
        "{remark}"
    );
    assert_eq!(world.broker.log().count(), 0);
}

#[test]
fn a_body_may_have_four_mebibytes_and_not_a_byte_more() {
    let mut world = world();
    let client = world.connect(1);
    let max = "x".repeat(4 << 20);
    world.sent(client, "T", 0, &[], &max);
    let answer = world.send(client, "T", 0, &[], &format!("{max}x"));
    let remark = "the message is illegal, maybe msg body or properties length not matched. msg body length limit 4194304B, msg properties length limit 32KB.";
    assert_eq!((answer.code, answer.remark.as_deref()), (13, Some(remark)));
    let long = "v".repeat(32_767);
    assert_eq!(world.send(client, "T", 0, &[("k", &long)], "x").code, 13);
    assert_eq!(world.send(client, "T", 0, &[], "").code, 1, "no body at all");
}

#[test]
fn a_negative_queue_id_means_any_queue() {
    let mut world = world();
    let client = world.connect(1);
    let queues: std::collections::BTreeSet<_> =
        (0..64).map(|_| world.sent(client, "T", -1, &[], "x").queue_id).collect();
    assert_eq!(queues.into_iter().collect::<Vec<_>>(), [0, 1, 2, 3]);
}

#[test]
fn a_priority_chooses_the_queue() {
    let mut world = world();
    let client = world.connect(1);
    assert_eq!(world.sent(client, "T", 0, &[("_SYS_MSG_PRIORITY_", "9")], "x").queue_id, 3);
    let keyed = [("_SYS_MSG_PRIORITY_", "2"), ("__SHARDINGKEY", "k")];
    assert_eq!(world.sent(client, "T", 1, &keyed, "x").queue_id, 1);
}

#[test]
fn one_way_sends_are_stored_and_never_answered() {
    let mut world = world();
    let client = world.connect(1);
    let mut frame = world.frame(310, &send_header("T", 0, ""), &[], b"x");
    frame.flag = 2;
    world.post(client, frame);
    let mut refused = world.frame(310, &send_header("SELF_TEST_TOPIC", 0, ""), &[], b"x");
    refused.flag = 2;
    world.post(client, refused);
    assert_eq!(world.broker.queue("T", 0).count(), 1);
    assert!(world.arrived.is_empty());
}

#[test]
fn a_batch_is_stored_whole_with_dense_offsets_and_its_own_properties_only() {
    let mut world = world();
    let client = world.connect(1);
    let mut messages: Vec<_> = (0..3).map(|n| Message::new("T", format!("m{n}")).tag("a")).collect();
    for (n, message) in messages.iter_mut().enumerate() {
        message.properties.set(property::UNIQ_KEY, &format!("U{n}")).unwrap();
    }
    let mut body = bytes::BytesMut::new();
    encode_batch(&mut body, &messages).unwrap();
    let outer = text(&[("UNIQ_KEY", "BATCH"), ("WAIT", "true")]);
    let header = SendMessageRequestHeaderV2 { batch: Some(true), ..send_header("T", 1, &outer) };
    let frame = world.frame(320, &header, &[], &body);
    let opaque = world.post(client, frame);
    let answer = world.take(opaque).unwrap();
    let header: SendMessageResponseHeader<'_> = answer.header().unwrap();
    assert_eq!((header.queue_offset, header.transaction_id.as_deref()), (0, Some("BATCH")));
    assert_eq!(header.msg_id.split(',').count(), 3);
    let stored: Vec<_> = world.broker.queue("T", 1).collect();
    assert_eq!(bodies(&stored), ["m0", "m1", "m2"]);
    assert_eq!(stored[2].queue_offset, 2);
    assert_eq!((stored[0].property("MSG_REGION"), stored[0].uniq_key()), (None, Some("U0")));
}

#[test]
fn a_batch_that_ends_early_is_refused_and_stores_nothing() {
    let mut world = world();
    let client = world.connect(1);
    let mut body = bytes::BytesMut::new();
    encode_batch(&mut body, &[Message::new("T", "a"), Message::new("T", "b")]).unwrap();
    body.truncate(body.len() - 1);
    let header = SendMessageRequestHeaderV2 { batch: Some(true), ..send_header("T", 1, "") };
    let frame = world.frame(320, &header, &[], &body);
    let opaque = world.post(client, frame);
    assert_eq!(world.take(opaque).unwrap().code, 1);
    let delayed = text(&[("DELAY", "1")]);
    let header = SendMessageRequestHeaderV2 { properties: Some(delayed.as_str().into()), ..header };
    let frame = world.frame(320, &header, &[], b"x");
    let opaque = world.post(client, frame);
    assert_eq!(world.take(opaque).unwrap().code, 13);
    assert_eq!(world.broker.log().count(), 0);
}

#[test]
fn unknown_requests_are_answered_as_java_does() {
    let mut world = world();
    let client = world.connect(1);
    let frame = world.frame(12_345, &rocketmq_client_core::remoting::NoHeader, &[], b"");
    let opaque = world.post(client, frame);
    let answer = world.take(opaque).unwrap();
    assert_eq!((answer.code, answer.remark.as_deref()), (3, Some(" request type 12345 not supported")));
}

#[test]
fn absurd_numbers_from_a_client_do_no_harm() {
    let mut world = world();
    let client = world.connect(1);
    let header = SendMessageRequestHeaderV2 { reconsume_times: Some(i32::MAX), ..send_header("T", 0, "") };
    assert_eq!(world.ask_body(client, &header, b"x").code, 0);
    let stored = world.broker.queue("T", 0).next().unwrap();
    assert_eq!(world.send_back(client, "G", &stored, 0, None).code, 0);
    assert_eq!(world.broker.queue("%DLQ%G", 0).next().unwrap().reconsume_times, i32::MAX);
    assert_eq!(world.send(client, "T", i32::MAX, &[], "x").code, 29);
    assert_eq!(world.pull(client, "G", "T", 0, i64::MIN).code, 21);
    assert_eq!(world.pull(client, "G", "T", 0, i64::MAX).code, 21);
    assert_eq!(world.sent(client, "T", 0, &[("DELAY", "2147483647")], "x").queue_id, 0);
    assert_eq!(world.send(client, "T", 0, &[("DELAY", "99999999999")], "x").code, 0, "no number is no delay");
    let opaque = world.post_pull(client, "G", "T", 1, 0, "*", i64::MAX);
    world.advance(std::time::Duration::from_secs(20));
    assert!(world.pulled(opaque).is_none());
}
