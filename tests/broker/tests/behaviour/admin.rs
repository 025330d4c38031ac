//! Topics, groups, the name server's tables, and figures for tools.

use std::time::Duration;

use rocketmq_client_core::remoting::{
    CreateTopicRequestHeader, DeleteKVConfigRequestHeader, DeleteTopicFromNamesrvRequestHeader,
    DeleteTopicRequestHeader, GetConsumeStatsRequestHeader, GetKVConfigRequestHeader,
    GetKVListByNamespaceRequestHeader, GetRouteInfoRequestHeader, GetSubscriptionGroupConfigRequestHeader,
    GetTopicConfigRequestHeader, GetTopicStatsInfoRequestHeader, NoHeader, PutKVConfigRequestHeader,
    UpdateConsumerOffsetRequestHeader, WipeWritePermOfBrokerRequestHeader,
};

use crate::world::{BROKER, START_MS, World, body_text, world};

fn create(topic: &str, queues: i32) -> CreateTopicRequestHeader<'_> {
    CreateTopicRequestHeader {
        topic: topic.into(),
        default_topic: "TBW102".into(),
        read_queue_nums: queues,
        write_queue_nums: queues,
        perm: 6,
        topic_filter_type: "SINGLE_TAG".into(),
        ..Default::default()
    }
}

fn route(world: &mut World, topic: &str) -> (i32, String) {
    let client = world.connect(77);
    let header = GetRouteInfoRequestHeader { topic: topic.into(), ..Default::default() };
    let answer = world.ask_name_server(client, 105, &header, b"");
    (answer.code, body_text(&answer).to_owned())
}

#[test]
fn a_created_topic_has_a_route_and_a_deleted_one_keeps_it() {
    let mut world = world();
    let client = world.connect(1);
    let header = CreateTopicRequestHeader { attributes: Some("+message.type=FIFO".into()), ..create("T", 2) };
    assert_eq!(world.ask(client, &header).code, 0);
    let config = world.ask(client, &GetTopicConfigRequestHeader { topic: "T".into(), ..Default::default() });
    let expected = r#"{"attributes":{"message.type":"FIFO"},"order":false,"perm":6,"readQueueNums":2,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,"writeQueueNums":2}"#;
    assert_eq!(body_text(&config), expected);
    assert!(route(&mut world, "T").1.contains(r#""readQueueNums":2"#));
    world.sent(client, "T", 0, &[], "x");
    let bytes_before = world.broker.log().count();
    assert_eq!(
        world.ask(client, &DeleteTopicRequestHeader { topic: "T".into(), ..Default::default() }).code,
        0
    );
    assert_eq!(route(&mut world, "T").0, 0, "until the name server is told");
    assert_eq!(world.pull(client, "G", "T", 0, 0).code, 17);
    assert_eq!(world.broker.log().count(), bytes_before, "records stay readable by id");
    assert_eq!(world.sent(client, "T", 0, &[], "again").queue_offset, 0, "a new topic starts at zero");
    let delete = DeleteTopicFromNamesrvRequestHeader { topic: "T".into(), ..Default::default() };
    world.ask_name_server(client, 216, &delete, b"");
    assert_eq!(route(&mut world, "T").0, 17);
}

#[test]
fn bad_topics_are_not_created() {
    let mut world = world();
    let client = world.connect(1);
    let code = |world: &mut World, header: &CreateTopicRequestHeader<'_>| world.ask(client, header).code;
    assert_eq!(code(&mut world, &create("a b", 1)), 29);
    assert_eq!(code(&mut world, &create("TBW102", 1)), 29);
    assert_eq!(code(&mut world, &create("DefaultCluster", 1)), 29);
    let attributes = CreateTopicRequestHeader { attributes: Some("+foo=1".into()), ..create("T", 1) };
    let answer = world.ask(client, &attributes);
    assert_eq!((answer.code, answer.remark.as_deref()), (1, Some("unsupported key: foo")));
}

#[test]
fn groups_are_made_shown_and_obeyed() {
    let mut world = world();
    let client = world.connect(1);
    let off = br#"{"groupName":"G","consumeEnable":false}"#;
    let frame = world.frame(200, &NoHeader, &[], off);
    let opaque = world.post(client, frame);
    assert_eq!(world.take(opaque).unwrap().code, 0);
    world.sent(client, "T", 0, &[], "x");
    let pulled = world.pull(client, "G", "T", 0, 0);
    assert_eq!(
        (pulled.code, pulled.forbidden, pulled.remark.as_str()),
        (16, Some(2), "subscription group no permission, G")
    );
    let show = GetSubscriptionGroupConfigRequestHeader { group: "New".into(), ..Default::default() };
    assert!(body_text(&world.ask(client, &show)).contains(r#""groupName":"New""#), "asking creates it");
    assert!(world.broker.group("New").is_some());
}

#[test]
fn progress_is_shown_in_javas_form() {
    let mut world = world();
    let client = world.connect(1);
    world.ask(client, &create("T", 1));
    world.sent(client, "T", 0, &[], "x");
    world.sent(client, "T", 0, &[], "x");
    world.heartbeat(client, "c", "G", &["T"]);
    world.ask(
        client,
        &UpdateConsumerOffsetRequestHeader {
            consumer_group: "G".into(),
            topic: "T".into(),
            commit_offset: 1,
            ..Default::default()
        },
    );
    let stats =
        world.ask(client, &GetTopicStatsInfoRequestHeader { topic: "T".into(), ..Default::default() });
    let queue = r#"{"brokerName":"broker-a","queueId":0,"topic":"T"}"#;
    let expected = format!(
        r#"{{"offsetTable":{{{queue}:{{"lastUpdateTimestamp":{START_MS},"maxOffset":2,"minOffset":0}}}},"topicPutTps":0.0}}"#
    );
    assert_eq!(body_text(&stats), expected);
    let progress = GetConsumeStatsRequestHeader {
        consumer_group: "G".into(),
        topic: Some("T".into()),
        ..Default::default()
    };
    let expected = format!(
        r#"{{"consumeTps":0.0,"offsetTable":{{{queue}:{{"brokerOffset":2,"consumerOffset":1,"lastTimestamp":{START_MS},"pullOffset":1}}}}}}"#
    );
    assert_eq!(body_text(&world.ask(client, &progress)), expected);
}

#[test]
fn the_name_server_keeps_values_by_namespace() {
    let mut world = world();
    let client = world.connect(1);
    let get = GetKVConfigRequestHeader { namespace: "N".into(), key: "k".into() };
    let missing = world.ask_name_server(client, 101, &get, b"");
    assert_eq!((missing.code, missing.remark.as_deref()), (22, Some("No config item, Namespace: N Key: k")));
    let put = PutKVConfigRequestHeader { namespace: "N".into(), key: "k".into(), value: "v".into() };
    assert_eq!(world.ask_name_server(client, 100, &put, b"").code, 0);
    assert_eq!(world.ask_name_server(client, 101, &get, b"").ext.get("value").as_deref(), Some("v"));
    world.ask_name_server(
        client,
        102,
        &DeleteKVConfigRequestHeader { namespace: "N".into(), key: "k".into() },
        b"",
    );
    let list = GetKVListByNamespaceRequestHeader { namespace: "N".into() };
    assert_eq!(body_text(&world.ask_name_server(client, 219, &list, b"")), r#"{"table":{}}"#);
}

#[test]
fn the_cluster_is_shown_with_bare_keys() {
    let mut world = world();
    let client = world.connect(1);
    let answer = world.ask_name_server(client, 106, &NoHeader, b"");
    let expected = r#"{"brokerAddrTable":{"broker-a":{"brokerAddrs":{0:"127.0.0.1:10911"},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}},"clusterAddrTable":{"DefaultCluster":["broker-a"]}}"#;
    assert_eq!(body_text(&answer), expected);
    let topics = world.ask_name_server(client, 206, &NoHeader, b"");
    assert!(body_text(&topics).contains("SCHEDULE_TOPIC_XXXX"));
    assert!(route(&mut world, "TBW102").1.contains(r#""perm":7,"readQueueNums":8"#));
}

#[test]
fn a_wiped_write_permission_survives_the_next_registration() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "x");
    let wipe = WipeWritePermOfBrokerRequestHeader { broker_name: "broker-a".into() };
    let answer = world.ask_name_server(client, 205, &wipe, b"");
    assert!(answer.ext.get("wipeTopicCount").is_some_and(|count| count.parse::<i32>().unwrap() > 10));
    world.advance(Duration::from_secs(45));
    assert!(route(&mut world, "T").1.contains(r#""perm":4"#));
}

#[test]
fn a_broker_that_loses_its_connection_loses_its_routes_until_it_registers_again() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "x");
    world.name_server.handle_closed(world.now, BROKER);
    assert_eq!(route(&mut world, "T").0, 17);
    world.name_server.handle_connected(world.now, BROKER, crate::world::addr(1), crate::world::addr(2));
    world.advance(Duration::from_secs(31));
    assert_eq!(route(&mut world, "T").0, 0);
}

#[test]
fn a_damaged_registration_is_refused() {
    use rocketmq_client_core::remoting::RegisterBrokerRequestHeader;
    let mut world = world();
    let client = world.connect(1);
    let header = |crc| RegisterBrokerRequestHeader {
        broker_name: "b".into(),
        broker_addr: "127.0.0.1:1".into(),
        cluster_name: "c".into(),
        ha_server_addr: "".into(),
        body_crc32: Some(crc),
        ..Default::default()
    };
    let body = br#"{"topicConfigSerializeWrapper":{"topicConfigTable":{"T":{"topicName":"T"}}}}"#;
    let wrong = world.ask_name_server(client, 103, &header(1), body);
    assert_eq!((wrong.code, wrong.remark.as_deref()), (1, Some("crc32 not match")));
    let single = world.ask_name_server(client, 103, &header(0), body);
    assert_eq!((single.code, single.remark.as_deref()), (1, Some("register broker failed")));
    assert_eq!(route(&mut world, "T").0, 17);
}
