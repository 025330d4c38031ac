//! Queues shared out by the broker.

use std::time::Duration;

use rocketmq_client_core::remoting::{NoHeader, RegisterBrokerRequestHeader, ResponseCode};
use rocketmq_dev_broker::ConnectionId;

use crate::world::{World, body_text, world};

impl World {
    fn body_request(&mut self, connection: ConnectionId, code: i32, body: &str) -> (i32, String) {
        let frame = self.frame(code, &NoHeader, &[], body.as_bytes());
        let opaque = self.post(connection, frame);
        let answer = self.take(opaque).expect("the broker answers");
        (answer.code, body_text(&answer).to_owned())
    }

    /// Queue ids with their mode, or why there are none.
    fn assigned(&mut self, client: &str, topic: &str, strategy: &str, model: &str) -> String {
        let body = format!(
            r#"{{"clientId":"{client}","consumerGroup":"G","messageModel":"{model}","strategyName":"{strategy}","topic":"{topic}"}}"#
        );
        let (code, text) = self.body_request(ConnectionId(1), 400, &body);
        assert_eq!(code, 0);
        let mut found = Vec::new();
        for part in text.split("\"queueId\":").skip(1) {
            let id = part.split([',', '}']).next().unwrap();
            let mode = if part.contains("\"mode\":\"POP\"") { "pop" } else { "pull" };
            found.push(format!("{mode} {id}"));
        }
        if found.is_empty() { text } else { found.join(", ") }
    }

    fn set_mode(&mut self, topic: &str, mode: &str, share: i32) -> i32 {
        let body = format!(
            r#"{{"consumerGroup":"G","mode":"{mode}","popShareQueueNum":{share},"topic":"{topic}"}}"#
        );
        self.body_request(ConnectionId(1), 401, &body).0
    }
}

fn members(count: u64) -> World {
    let mut world = world();
    for id in 1..=count {
        let client = world.connect(id);
        world.heartbeat(client, &format!("c{id}"), "G", &["T"]);
    }
    world.sent(ConnectionId(1), "T", 0, &[], "x");
    world
}

#[test]
fn members_get_their_shares_by_the_strategy() {
    let mut world = members(3);
    let all = |world: &mut World, strategy| {
        ["c1", "c2", "c3", "stranger"].map(|client| world.assigned(client, "T", strategy, "CLUSTERING"))
    };
    let nothing = r#"{"messageQueueAssignments":[]}"#;
    assert_eq!(all(&mut world, "AVG"), ["pull 0, pull 1", "pull 2", "pull 3", nothing]);
    assert_eq!(all(&mut world, "AVG_BY_CIRCLE"), ["pull 0, pull 3", "pull 1", "pull 2", nothing]);
    assert_eq!(world.assigned("c1", "T", "CONSISTENT_HASH", "CLUSTERING"), "{}");
    assert_eq!(world.assigned("c1", "Unknown", "AVG", "CLUSTERING"), "{}");
    assert_eq!(world.assigned("c1", "T", "AVG", "BROADCASTING"), "pull 0, pull 1, pull 2, pull 3");
    for id in 1..=3 {
        world.disconnect(ConnectionId(id));
    }
    world.connect(1);
    assert_eq!(world.assigned("c1", "T", "AVG", "CLUSTERING"), "{}", "nobody is registered");
}

#[test]
fn pops_share_any_queue_or_those_of_the_next_members() {
    let mut world = members(3);
    assert_eq!(world.set_mode("T", "POP", -1), 0);
    assert_eq!(world.assigned("c2", "T", "AVG", "CLUSTERING"), "pop -1");
    assert_eq!(world.set_mode("T", "POP", 1), 0);
    assert_eq!(world.assigned("c1", "T", "AVG", "CLUSTERING"), "pop 0, pop 1, pop 2");
    assert_eq!(world.assigned("c3", "T", "AVG", "CLUSTERING"), "pop 0, pop 1, pop 3");
    assert_eq!(world.set_mode("T", "POP", 2), 0, "as many as the others");
    assert_eq!(world.assigned("c1", "T", "AVG", "CLUSTERING"), "pop -1");
    assert_eq!(world.set_mode("T", "PULL", 0), 0);
    assert_eq!(world.assigned("c2", "T", "AVG", "CLUSTERING"), "pull 2");
    let modes = world.body_request(ConnectionId(1), 402, "").1;
    assert!(modes.contains(r#""consumerGroup":"G","mode":"PULL""#), "{modes}");
    let mut many = members(6);
    many.set_mode("T", "POP", 1);
    assert_eq!(many.assigned("c6", "T", "AVG", "CLUSTERING"), "pop 1", "each gets one");
}

#[test]
fn modes_are_refused_for_what_the_broker_does_not_know() {
    let mut world = members(1);
    assert_eq!(world.set_mode("%RETRY%G", "POP", 0), ResponseCode::NO_PERMISSION.0);
    assert_eq!(world.set_mode("Unknown", "POP", 0), ResponseCode::TOPIC_NOT_EXIST.0);
}

#[test]
fn queues_are_those_of_the_whole_cluster_as_of_the_last_look_at_the_name_server() {
    let mut world = members(1);
    assert_eq!(world.assigned("c1", "T", "AVG", "CLUSTERING"), "pull 0, pull 1, pull 2, pull 3");
    let config = |topic: &str| {
        format!(
            r#""{topic}":{{"order":false,"perm":6,"readQueueNums":2,"topicFilterType":"SINGLE_TAG","topicName":"{topic}","topicSysFlag":0,"writeQueueNums":2}}"#
        )
    };
    // A name server takes the first registration of a broker only with more than one topic.
    let body = format!(
        r#"{{"topicConfigSerializeWrapper":{{"dataVersion":{{"counter":1,"timestamp":1}},"topicConfigTable":{{{},{}}}}},"filterServerList":[]}}"#,
        config("T"),
        config("Other")
    );
    let other = RegisterBrokerRequestHeader {
        broker_name: "broker-b".into(),
        broker_addr: "127.0.0.1:20911".into(),
        cluster_name: "DefaultCluster".into(),
        ha_server_addr: "".into(),
        broker_id: 0,
        heartbeat_timeout_millis: None,
        enable_acting_master: Some(false),
        compressed: false,
        body_crc32: rocketmq_client_core::message::body_crc(body.as_bytes()),
    };
    let registered = world.ask_name_server(ConnectionId(1), 103, &other, body.as_bytes());
    assert_eq!(registered.code, 0, "{:?}", registered.remark);
    assert_eq!(world.assigned("c1", "T", "AVG", "CLUSTERING"), "pull 0, pull 1, pull 2, pull 3");
    world.advance(Duration::from_secs(30));
    assert_eq!(
        world.assigned("c1", "T", "AVG", "CLUSTERING"),
        "pull 0, pull 1, pull 2, pull 3, pull 0, pull 1"
    );
}
