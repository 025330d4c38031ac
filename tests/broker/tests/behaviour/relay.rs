//! What a tool asks a client through the broker.

use std::time::Duration;

use rocketmq_client_core::remoting::{
    ConsumeMessageDirectlyResultRequestHeader, GetConsumerRunningInfoRequestHeader,
    GetConsumerStatusRequestHeader, NoHeader, RemotingCommand,
};
use rocketmq_dev_broker::ConnectionId;

use crate::world::{World, body_text, frame, world};

impl World {
    fn consumer(&mut self, id: u64, client: &str) -> ConnectionId {
        let connection = self.connect(id);
        let body = format!(
            r#"{{"clientID":"{client}","consumerDataSet":[{{"groupName":"G","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","subscriptionDataSet":[]}}],"producerDataSet":[],"heartbeatFingerprint":0,"withoutSub":false}}"#
        );
        let mut heartbeat = self.frame(34, &NoHeader, &[], body.as_bytes());
        heartbeat.version = 493;
        self.post(connection, heartbeat);
        connection
    }

    /// A request that came for a connection.
    fn asked(&mut self, connection: ConnectionId, code: i32) -> Option<RemotingCommand> {
        let found =
            self.arrived.iter().position(|(to, command)| *to == connection && command.code == code)?;
        Some(self.arrived.remove(found).1)
    }

    fn answer(&mut self, connection: ConnectionId, asked: &RemotingCommand, code: i32, body: &str) {
        self.post(connection, frame(code, asked.opaque, 1, &NoHeader, &[], body.as_bytes()));
    }

    fn running_info(&mut self, tool: ConnectionId, client: &str) -> i32 {
        let header = GetConsumerRunningInfoRequestHeader {
            consumer_group: "G".into(),
            client_id: client.into(),
            jstack_enable: true,
            ..Default::default()
        };
        let frame = self.frame(307, &header, &[], b"");
        self.post(tool, frame)
    }

    fn told(&mut self, opaque: i32) -> Option<(i32, String)> {
        let answer = self.take(opaque)?;
        Some((answer.code, answer.remark.as_deref().unwrap_or_default().to_owned()))
    }
}

#[test]
fn a_clients_answer_reaches_the_tool_as_it_is() {
    let mut world = world();
    let (tool, client) = (world.connect(1), world.consumer(2, "c"));
    let opaque = world.running_info(tool, "c");
    assert!(world.take(opaque).is_none(), "nobody but the client knows");
    let asked = world.asked(client, 307).unwrap();
    assert_eq!(asked.ext.get("jstackEnable").as_deref(), Some("true"));
    world.answer(client, &asked, 0, r#"{"jstack":"x"}"#);
    let answer = world.take(opaque).unwrap();
    assert_eq!((answer.code, body_text(&answer)), (0, r#"{"jstack":"x"}"#));
    world.answer(client, &asked, 0, "again");
    assert!(world.take(opaque).is_none(), "a second answer is nobody's");
}

#[test]
fn a_tool_hears_of_clients_that_are_gone_or_don_t_answer() {
    let mut world = world();
    let (tool, client) = (world.connect(1), world.consumer(2, "c"));
    let unknown = world.running_info(tool, "nobody");
    assert_eq!(world.told(unknown), Some((1, "The Consumer <G> <nobody> not online".to_owned())));
    let late = world.running_info(tool, "c");
    world.advance(Duration::from_millis(9_999));
    assert_eq!(world.told(late), None);
    world.advance(Duration::from_millis(1));
    assert_eq!(world.told(late).unwrap().0, 207);
    let gone = world.running_info(tool, "c");
    world.disconnect(client);
    assert_eq!(world.told(gone).unwrap().0, 1);
}

#[test]
fn the_message_itself_goes_to_the_client_that_shall_consume_it() {
    let mut world = world();
    let (tool, client) = (world.connect(1), world.consumer(2, "c"));
    let sent = world.sent(tool, "T", 0, &[], "hello");
    let header = |id: &str| ConsumeMessageDirectlyResultRequestHeader {
        consumer_group: "G".into(),
        client_id: Some("c".into()),
        msg_id: Some(id.to_owned().into()),
        topic: Some("T".into()),
        ..Default::default()
    };
    let frame = world.frame(309, &header(&sent.msg_id), &[], b"");
    let opaque = world.post(tool, frame);
    let asked = world.asked(client, 309).unwrap();
    assert_eq!(asked.ext.get("topicSysFlag").as_deref(), Some("0"));
    assert_eq!(asked.ext.get("brokerName").as_deref(), Some("broker-a"));
    assert_eq!(&asked.body, world.broker.record(0).unwrap());
    world.answer(client, &asked, 0, r#"{"consumeResult":"CR_SUCCESS"}"#);
    assert_eq!(body_text(&world.take(opaque).unwrap()), r#"{"consumeResult":"CR_SUCCESS"}"#);
    assert_eq!(world.ask(tool, &header("nonsense")).code, 1);
}

#[test]
fn offsets_of_all_clients_of_a_group_are_gathered_one_by_one() {
    let mut world = world();
    let (tool, a, b) = (world.connect(1), world.consumer(2, "a"), world.consumer(3, "b"));
    let header =
        GetConsumerStatusRequestHeader { topic: "T".into(), group: "G".into(), ..Default::default() };
    let frame = world.frame(223, &header, &[], b"");
    let opaque = world.post(tool, frame);
    let asked = world.asked(a, 221).unwrap();
    assert!(world.asked(b, 221).is_none(), "one after the other");
    let table = r#"{"messageQueueTable":{{"brokerName":"broker-a","queueId":0,"topic":"T"}:3}}"#;
    world.answer(a, &asked, 0, table);
    assert!(world.asked(b, 221).is_some());
    world.advance(Duration::from_secs(5));
    let answer = world.take(opaque).expect("a client that says nothing is left out");
    assert_eq!(
        body_text(&answer),
        r#"{"consumerTable":{"a":{{"brokerName":"broker-a","queueId":0,"topic":"T"}:3}},"messageQueueTable":{}}"#
    );
}
