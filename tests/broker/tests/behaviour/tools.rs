//! What admin tools see and change: offsets of groups, entries of queues, bans, settings.

use rocketmq_client_core::remoting::{
    CloneGroupOffsetRequestHeader, GetConsumeStatsRequestHeader, NoHeader, PullMessageRequestHeader,
    QueryConsumeQueueRequestHeader, QueryCorrectionOffsetHeader, RegisterTopicRequestHeader, RemotingCommand,
    ResetOffsetRequestHeader, UpdateConsumerOffsetRequestHeader, UpdateGroupForbiddenRequestHeader,
    ViewBrokerStatsDataRequestHeader,
};
use rocketmq_dev_broker::ConnectionId;

use crate::world::{World, body_text, world};

impl World {
    fn ask_code(&mut self, connection: ConnectionId, code: i32, body: &str) -> RemotingCommand {
        let frame = self.frame(code, &NoHeader, &[], body.as_bytes());
        let opaque = self.post(connection, frame);
        self.take(opaque).expect("the broker answers")
    }

    fn commit(&mut self, connection: ConnectionId, group: &str, offset: i64) {
        self.pull(connection, group, "T", 0, 0);
        let header = UpdateConsumerOffsetRequestHeader {
            consumer_group: group.to_owned().into(),
            topic: "T".into(),
            commit_offset: offset,
            ..Default::default()
        };
        assert_eq!(self.ask(connection, &header).code, 0);
    }
}

#[test]
fn a_clone_takes_the_place_of_the_offsets_that_were_there() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "x");
    world.commit(client, "from", 1);
    world.commit(client, "to", 0);
    let clone = |topic: Option<&'static str>| CloneGroupOffsetRequestHeader {
        src_group: "from".into(),
        dest_group: "to".into(),
        topic: topic.map(Into::into),
        ..Default::default()
    };
    assert_eq!(world.ask(client, &clone(None)).code, 0);
    assert_eq!(world.broker.committed_offset("to", "T", 0), Some(0), "no topic, no clone");
    assert_eq!(world.ask(client, &clone(Some("T"))).code, 0);
    assert_eq!(world.broker.committed_offset("to", "T", 0), Some(1));
    assert_eq!(world.broker.committed_offset("from", "T", 0), Some(1));
}

#[test]
fn a_correction_is_the_smallest_offset_and_forgets_the_groups_it_leaves_out() {
    let mut world = world();
    let client = world.connect(1);
    (0..3).for_each(|_| drop(world.sent(client, "T", 0, &[], "x")));
    for (group, offset) in [("slow", 1), ("fast", 3), ("other", 0)] {
        world.commit(client, group, offset);
    }
    let ask = |world: &mut World, compare: &'static str| {
        let header = QueryCorrectionOffsetHeader {
            topic: "T".into(),
            compare_group: compare.into(),
            filter_groups: Some("other".into()),
            ..Default::default()
        };
        body_text(&world.ask(client, &header)).to_owned()
    };
    assert_eq!(ask(&mut world, "slow"), r#"{"correctionOffsets":{0:1}}"#);
    assert_eq!(ask(&mut world, "fast"), r#"{"correctionOffsets":{0:1}}"#);
    assert_eq!(world.broker.committed_offset("other", "T", 0), None);
}

#[test]
fn entries_of_a_queue_show_where_its_messages_lie() {
    let mut world = world();
    let client = world.connect(1);
    let first = world.sent(client, "T", 0, &[("TAGS", "a")], "x");
    world.sent(client, "T", 0, &[], "y");
    let ask = |world: &mut World, index| {
        let header =
            QueryConsumeQueueRequestHeader { topic: Some("T".into()), index, count: 5, ..Default::default() };
        world.ask(client, &header)
    };
    let second = world.broker.queue("T", 0).nth(1).unwrap().commit_log_offset;
    assert_eq!(
        body_text(&ask(&mut world, 0)),
        format!(
            r#"{{"maxQueueIndex":2,"minQueueIndex":0,"queueData":[{{"eval":false,"physicOffset":0,"physicSize":{second},"tagsCode":97}},{{"eval":false,"physicOffset":{second},"physicSize":{},"tagsCode":0}}]}}"#,
            world.broker.record(second).unwrap().len(),
        )
    );
    let beyond = ask(&mut world, 9);
    assert_eq!((beyond.code, beyond.remark.as_deref()), (0, Some("Index 9 of 0@T is not exist!")));
    assert_eq!(first.queue_offset, 0);
}

#[test]
fn a_banned_group_pulls_nothing_by_its_subscription() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "x");
    world.heartbeat(client, "c", "G", &["T"]);
    let pull = |world: &mut World| {
        let header = PullMessageRequestHeader {
            consumer_group: "G".into(),
            topic: "T".into(),
            max_msg_nums: 32,
            sub_version: 1,
            ..Default::default()
        };
        let answer = world.ask(client, &header);
        (answer.code, answer.ext.get("forbiddenType").map(|kind| kind.into_owned()))
    };
    assert_eq!(pull(&mut world), (0, None));
    let ban = |readable| UpdateGroupForbiddenRequestHeader {
        group: "G".into(),
        topic: "T".into(),
        readable,
        ..Default::default()
    };
    let shown = |answer: RemotingCommand| body_text(&answer).to_owned();
    assert_eq!(shown(world.ask(client, &ban(None))), r#"{"group":"G","readable":true,"topic":"T"}"#);
    assert_eq!(shown(world.ask(client, &ban(Some(false)))), r#"{"group":"G","readable":false,"topic":"T"}"#);
    assert_eq!(pull(&mut world), (16, Some("5".to_owned())));
    let all = world.ask_code(client, 201, "");
    assert!(body_text(&all).contains(r#""forbiddenTable":{"G":{"T":4}}"#));
    world.ask(client, &ban(Some(true)));
    assert!(body_text(&world.ask_code(client, 201, "")).contains(r#""forbiddenTable":{}"#));
    assert_eq!(pull(&mut world), (0, None));
}

#[test]
fn lists_of_topics_and_groups_are_made_whole_or_not_at_all() {
    let mut world = world();
    let client = world.connect(1);
    let topic =
        |name: &str| format!(r#"{{"topicName":"{name}","readQueueNums":1,"writeQueueNums":1,"perm":6}}"#);
    let list = |names: [&str; 2]| format!(r#"{{"topicConfigList":[{}]}}"#, names.map(topic).join(","));
    assert_eq!(world.ask_code(client, 18, &list(["A", "b d"])).code, 29);
    assert!(world.broker.topic("A").is_none());
    assert_eq!(world.ask_code(client, 18, &list(["A", "B"])).code, 0);
    assert!(world.broker.topic("A").is_some() && world.broker.topic("B").is_some());
    let groups = r#"{"groupConfigList":[{"groupName":"G1"},{"groupName":"G2","retryQueueNums":2}]}"#;
    assert_eq!(world.ask_code(client, 225, groups).code, 0);
    assert_eq!(world.broker.group("G2").unwrap().retry_queue_nums, 2);
}

#[test]
fn a_changed_setting_is_shown_and_obeyed() {
    let mut world = world();
    let client = world.connect(1);
    assert_eq!(world.ask_code(client, 25, "autoCreateTopicEnable=false\nnobodyKnows=1").code, 0);
    let shown = world.ask_code(client, 26, "");
    assert!(body_text(&shown).contains("autoCreateTopicEnable=false\n"));
    assert!(!body_text(&shown).contains("nobodyKnows"));
    assert_eq!(world.send(client, "New", 0, &[], "x").code, 17);
    let refused = world.ask_code(client, 25, "autoCreateTopicEnable=true\nbrokerConfigPath=/x");
    assert_eq!((refused.code, world.broker.config().auto_create_topic), (16, false));
}

#[test]
fn figures_count_what_came_within_their_time() {
    let mut world = world();
    let client = world.connect(1);
    (0..3).for_each(|_| drop(world.sent(client, "T", 0, &[], "x")));
    world.advance(std::time::Duration::from_secs(61));
    world.sent(client, "T", 0, &[], "x");
    let header = |key: &'static str| ViewBrokerStatsDataRequestHeader {
        stats_name: "TOPIC_PUT_NUMS".into(),
        stats_key: key.into(),
    };
    let answer = world.ask(client, &header("T"));
    let text = body_text(&answer);
    assert!(text.contains(r#""statsMinute":{"avgpt":1.0,"sum":1,"#), "{text}");
    assert!(text.contains(r#""statsHour":{"avgpt":1.0,"sum":4,"#), "{text}");
    assert_eq!(world.ask(client, &header("nowhere")).code, 1);
}

#[test]
fn what_groups_got_is_counted_as_what_came() {
    let mut world = world();
    let client = world.connect(1);
    (0..3).for_each(|_| drop(world.sent(client, "T", 0, &[], "x")));
    world.pull(client, "G", "T", 0, 0);
    world.advance(std::time::Duration::from_secs(120));
    world.pull(client, "G", "T", 0, 2);
    let header = |name: &'static str, key: &'static str| ViewBrokerStatsDataRequestHeader {
        stats_name: name.into(),
        stats_key: key.into(),
    };
    let answer = world.ask(client, &header("GROUP_GET_NUMS", "T@G"));
    let text = body_text(&answer);
    assert!(text.contains(r#""statsMinute":{"avgpt":1.0,"sum":1,"#), "{text}");
    assert!(text.contains(r#""statsHour":{"avgpt":2.0,"sum":4,"#), "{text}");
    assert_eq!(world.ask(client, &header("GROUP_GET_SIZE", "T@G")).code, 0);
    assert_eq!(world.ask(client, &header("GROUP_GET_NUMS", "T@nobody")).code, 1);
    let runtime = world.ask_code(client, 28, "");
    assert!(body_text(&runtime).contains(r#""msgGetTotalTodayNow":"4""#), "{}", body_text(&runtime));
}

#[test]
fn what_was_pulled_and_is_set_back_is_in_flight() {
    let mut world = world();
    let client = world.connect(1);
    (0..3).for_each(|_| drop(world.sent(client, "T", 0, &[], "x")));
    world.commit(client, "G", 3);
    let reset = ResetOffsetRequestHeader {
        group: "G".into(),
        topic: "T".into(),
        queue_id: 0,
        offset: Some(1),
        timestamp: 0,
        is_force: true,
        ..Default::default()
    };
    let frame = world.frame(222, &reset, &[], b"");
    let opaque = world.post(client, frame);
    assert_eq!(world.take(opaque).map(|answer| answer.code), Some(0));
    let header = GetConsumeStatsRequestHeader { consumer_group: "G".into(), ..Default::default() };
    let answer = world.ask(client, &header);
    let text = body_text(&answer);
    assert!(text.contains(r#""consumerOffset":1,"#) && text.contains(r#""pullOffset":3"#), "{text}");
}

#[test]
fn a_level_in_which_something_waits_is_a_row_before_anything_was_delivered() {
    let mut world = world();
    let client = world.connect(1);
    for level in ["3", "5", "18"] {
        world.sent(client, "T", 0, &[("DELAY", level)], "x");
    }
    let runtime = world.ask_code(client, 28, "");
    for level in [3, 5, 18] {
        let row = format!(r#""scheduleMessageOffset_{level}":"0,1""#);
        assert!(body_text(&runtime).contains(&row), "{row} {}", body_text(&runtime));
    }
    assert!(!body_text(&runtime).contains("scheduleMessageOffset_4"), "nothing was ever put there");
}

#[test]
fn a_name_server_lists_unit_topics_and_shows_and_takes_settings() {
    let mut world = world();
    let client = world.connect(1);
    let ask = |world: &mut World, code, body: &str| {
        let answer = world.ask_name_server(client, code, &NoHeader, body.as_bytes());
        (answer.code, body_text(&answer).to_owned())
    };
    for (topic, flag) in [("unit", 1), ("sub", 2), ("both", 3)] {
        let queues = format!(
            r#"{{"queueDatas":[{{"brokerName":"broker-a","perm":6,"readQueueNums":1,"writeQueueNums":1,"topicSysFlag":{flag}}}]}}"#
        );
        let header = RegisterTopicRequestHeader { topic: topic.into(), ..Default::default() };
        assert_eq!(world.ask_name_server(client, 217, &header, queues.as_bytes()).code, 0);
    }
    assert_eq!(ask(&mut world, 311, "").1, r#"{"topicList":["both","unit"]}"#);
    assert_eq!(ask(&mut world, 312, "").1, r#"{"topicList":["both","sub"]}"#);
    assert_eq!(ask(&mut world, 313, "").1, r#"{"topicList":["sub"]}"#);
    assert_eq!(ask(&mut world, 318, "orderMessageEnable=true").0, 0);
    assert!(ask(&mut world, 319, "").1.contains("orderMessageEnable=true\n"));
    assert_eq!(ask(&mut world, 318, "kvConfigPath=/x").0, 16);
}
