//! Topics, groups, the name server's tables, and figures for tools.

use std::time::Duration;

use rocketmq_client_core::remoting::{
    CreateTopicRequestHeader, DeleteKVConfigRequestHeader, DeleteTopicFromNamesrvRequestHeader,
    DeleteTopicRequestHeader, GetConsumeStatsRequestHeader, GetKVConfigRequestHeader,
    GetKVListByNamespaceRequestHeader, GetRouteInfoRequestHeader, GetSubscriptionGroupConfigRequestHeader,
    GetTopicConfigRequestHeader, GetTopicStatsInfoRequestHeader, NoHeader, PutKVConfigRequestHeader,
    RegisterTopicRequestHeader, UpdateConsumerOffsetRequestHeader, WipeWritePermOfBrokerRequestHeader,
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
    let filter = CreateTopicRequestHeader { topic_filter_type: "ALL_TAGS".into(), ..create("T", 1) };
    assert_eq!(code(&mut world, &filter), 1);
    assert_eq!(route(&mut world, "T").0, 17);
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
    assert!(!world.broker.group("G").unwrap().consume_enable);
    let show = GetSubscriptionGroupConfigRequestHeader { group: "New".into(), ..Default::default() };
    assert!(body_text(&world.ask(client, &show)).contains(r#""groupName":"New""#), "asking creates it");
    assert!(world.broker.group("New").is_some());
}

#[test]
fn a_group_keeps_all_that_it_was_given() {
    let mut world = world();
    let client = world.connect(1);
    let mut give = |body: &str| {
        let frame = world.frame(200, &NoHeader, &[], body.as_bytes());
        let opaque = world.post(client, frame);
        let answer = world.take(opaque).unwrap();
        let show = GetSubscriptionGroupConfigRequestHeader { group: "G".into(), ..Default::default() };
        (answer.code, answer.remark, body_text(&world.ask(client, &show)).to_owned())
    };
    let head = r#"{"attributes":"#;
    let rest = r#","brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"consumeMessageOrderly":true,"consumeTimeoutMinute":15,"groupName":"G","groupRetryPolicy":{"customizedRetryPolicy":{"next":[1000,5000]},"type":"CUSTOMIZED"},"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":3,"retryQueueNums":1,"subscriptionDataSet":[{"expression":"*","expressionType":"TAG","topic":"T","version":0}],"whichBrokerWhenConsumeSlowly":1}"#;
    let (code, _, shown) = give(&format!(r#"{head}{{"+priority.factor":"2"}}{rest}"#));
    assert_eq!((code, shown), (0, format!(r#"{head}{{"priority.factor":"2"}}{rest}"#)));
    let (code, _, shown) = give(&format!("{head}{{}}{rest}"));
    assert_eq!(
        (code, shown),
        (0, format!(r#"{head}{{"priority.factor":"2"}}{rest}"#)),
        "no change of attributes"
    );
    let (code, remark, _) = give(r#"{"groupName":"G","attributes":{"+foo":"1"}}"#);
    assert_eq!((code, remark.as_deref()), (1, Some("unsupported key: foo")));
    let (code, remark, _) = give(r#"{"groupName":"G","retryMaxTimes":"many"}"#);
    assert_eq!(code, 1);
    let remark = remark.unwrap();
    assert!(remark.starts_with("the body is no group configuration in JSON: expected a number"), "{remark}");
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
fn old_clients_get_the_route_with_bare_keys() {
    let mut world = world();
    let client = world.connect(1);
    world.ask(client, &create("T", 2));
    let route = |keys: &str| {
        format!(
            r#"{{"brokerDatas":[{{"brokerAddrs":{{{keys}:"127.0.0.1:10911"}},"brokerName":"broker-a","cluster":"DefaultCluster","enableActingMaster":false}}],"filterServerTable":{{}},"queueDatas":[{{"brokerName":"broker-a","perm":6,"readQueueNums":2,"topicSysFlag":0,"writeQueueNums":2}}]}}"#
        )
    };
    let header = |standard| GetRouteInfoRequestHeader {
        topic: "T".into(),
        accept_standard_json_only: standard,
        ..Default::default()
    };
    for (version, standard, keys) in
        [(400, None, "0"), (400, Some(true), "\"0\""), (401, None, "\"0\""), (493, Some(false), "\"0\"")]
    {
        let mut frame = world.frame(105, &header(standard), &[], b"");
        frame.version = version;
        let answer = world.ask_name_server_frame(client, frame);
        assert_eq!(body_text(&answer), route(keys), "{version} {standard:?}");
    }
}

#[test]
fn a_route_that_a_tool_registers_counts_for_known_brokers_only() {
    let mut world = world();
    let client = world.connect(1);
    let header = RegisterTopicRequestHeader { topic: "T".into(), ..Default::default() };
    let body = |broker: &str| {
        format!(
            r#"{{"queueDatas":[{{"brokerName":"{broker}","perm":6,"readQueueNums":3,"topicSysFlag":0,"writeQueueNums":5}}]}}"#
        )
    };
    for ignored in [body("nobody"), r#"{"queueDatas":[]}"#.to_owned(), "nonsense".to_owned()] {
        assert_eq!(world.ask_name_server(client, 217, &header, ignored.as_bytes()).code, 0);
        assert_eq!(route(&mut world, "T").0, 17, "{ignored}");
    }
    assert_eq!(world.ask_name_server(client, 217, &header, body("broker-a").as_bytes()).code, 0);
    assert!(route(&mut world, "T").1.contains(r#""readQueueNums":3,"topicSysFlag":0,"writeQueueNums":5"#));
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
        body_crc32: crc,
        ..Default::default()
    };
    let body = br#"{"topicConfigSerializeWrapper":{"topicConfigTable":{"T":{"topicName":"T"}}}}"#;
    let wrong = world.ask_name_server(client, 103, &header(1), body);
    assert_eq!((wrong.code, wrong.remark.as_deref()), (1, Some("crc32 not match")));
    let single = world.ask_name_server(client, 103, &header(0), body);
    assert_eq!((single.code, single.remark.as_deref()), (1, Some("register broker failed")));
    assert_eq!(route(&mut world, "T").0, 17);
}
