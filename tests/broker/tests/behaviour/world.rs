//! A broker, a name server and clients that speak frames to them, in virtual time.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::BytesMut;
use rocketmq_client_core::message::{StoredMessage, StoredMessages};
use rocketmq_client_core::remoting::{
    ConsumerSendMsgBackRequestHeader, Encoder, FRAME_BYTES_MAX, FrameDecoder, Head, Header,
    HeartbeatRequestHeader, PullMessageRequestHeader, PullMessageResponseHeader, RemotingCommand,
    RequestHeader, SendMessageRequestHeaderV2, SendMessageResponseHeader,
};
use rocketmq_client_core::time::{Instant, Timestamp};
use rocketmq_dev_broker::{
    Broker, BrokerConfig, ConnectionId, NameServer, NameServerConfig, NameServerOutput, Output,
};

pub(crate) const START_MS: i64 = 1_700_000_000_000;
pub(crate) const BROKER: ConnectionId = ConnectionId(1_000);

/// The world: time stands still unless a test moves it.
pub(crate) struct World {
    pub(crate) broker: Broker,
    pub(crate) name_server: NameServer,
    pub(crate) now: Instant,
    /// What came for each connection, in order.
    pub(crate) arrived: Vec<(ConnectionId, RemotingCommand)>,
    pub(crate) closed: Vec<ConnectionId>,
    pub(crate) registrations: usize,
    opaque: i32,
}

pub(crate) fn world() -> World {
    World::with(BrokerConfig::default())
}

pub(crate) fn addr(port: u16) -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], port))
}

impl World {
    pub(crate) fn with(config: BrokerConfig) -> Self {
        let now = Instant::from_millis(5_000);
        let mut world = Self {
            broker: Broker::new(config, 7, now, Timestamp::from_millis(START_MS)),
            name_server: NameServer::new(NameServerConfig::default(), now),
            now,
            arrived: Vec::new(),
            closed: Vec::new(),
            registrations: 0,
            opaque: 0,
        };
        world.name_server.handle_connected(now, BROKER, addr(1), addr(2));
        world.broker.handle_timeout(now);
        world.drain();
        world
    }

    /// A world with another broker at the same moment.
    pub(crate) fn with_broker(&self, broker: Broker) -> Self {
        let mut world = Self::with(BrokerConfig::default());
        world.broker = broker;
        world.now = self.now;
        world.broker.handle_timeout(world.now);
        world.drain();
        world
    }

    /// A client connects to the broker and the name server.
    pub(crate) fn connect(&mut self, id: u64) -> ConnectionId {
        let connection = ConnectionId(id);
        let port = 40_000 + u16::try_from(id).unwrap();
        self.broker.handle_connected(self.now, connection, addr(port), addr(10_911));
        self.name_server.handle_connected(self.now, connection, addr(port), addr(9_876));
        self.drain();
        connection
    }

    pub(crate) fn disconnect(&mut self, connection: ConnectionId) {
        self.broker.handle_closed(self.now, connection);
        self.drain();
    }

    /// Time passes, with a stop at every deadline of the broker.
    pub(crate) fn advance(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let due = [self.drain(), self.drain_name_server()].into_iter().flatten().min();
            match due.filter(|due| *due <= end) {
                Some(due) => {
                    assert!(
                        due > self.now || self.now == Instant::from_millis(5_000),
                        "the machine wants the past"
                    );
                    self.now = due.max(self.now);
                }
                None => break,
            }
            self.broker.handle_timeout(self.now);
            self.name_server.handle_timeout(self.now);
        }
        self.now = end;
        self.broker.handle_timeout(end);
        self.name_server.handle_timeout(end);
        self.drain();
    }

    pub(crate) fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.broker.poll_output() {
                Output::Transmit { connection, frames } => {
                    let bytes = frames.into_parts().concat();
                    self.receive(connection, &bytes);
                }
                Output::Close { connection } => self.closed.push(connection),
                Output::RegisterBroker { frame } => {
                    self.registrations += 1;
                    let command = decode(&frame).remove(0);
                    self.name_server.handle_frame(self.now, BROKER, command);
                    self.drain_name_server();
                }
                Output::QueryRoute { frame } => {
                    let command = decode(&frame).remove(0);
                    self.name_server.handle_frame(self.now, BROKER, command);
                    self.drain_name_server();
                }
                Output::Wait(deadline) => return deadline,
            }
        }
    }

    fn drain_name_server(&mut self) -> Option<Instant> {
        loop {
            match self.name_server.poll_output() {
                NameServerOutput::Transmit { connection, frames } => {
                    let bytes = frames.into_parts().concat();
                    self.receive(connection, &bytes);
                }
                NameServerOutput::Close { .. } => {}
                NameServerOutput::Wait(deadline) => return deadline,
            }
        }
    }

    fn receive(&mut self, connection: ConnectionId, bytes: &[u8]) {
        if connection == BROKER {
            return decode(bytes).iter().for_each(|answer| self.broker.handle_route(self.now, answer));
        }
        self.arrived.extend(decode(bytes).into_iter().map(|command| (connection, command)));
    }

    /// Sends a request to the broker; its opaque.
    pub(crate) fn post(&mut self, connection: ConnectionId, frame: RemotingCommand) -> i32 {
        let opaque = frame.opaque;
        self.broker.handle_frame(self.now, connection, frame);
        self.drain();
        opaque
    }

    pub(crate) fn frame<'h, H: Header<'h>>(
        &mut self,
        code: i32,
        header: &H,
        extra: &[(&str, &str)],
        body: &[u8],
    ) -> RemotingCommand {
        self.opaque += 1;
        frame(code, self.opaque, 0, header, extra, body)
    }

    /// The answer to a request, taken out of what arrived.
    pub(crate) fn take(&mut self, opaque: i32) -> Option<RemotingCommand> {
        let is_answer = |(_, command): &(ConnectionId, RemotingCommand)| {
            command.is_response() && command.opaque == opaque
        };
        let index = self.arrived.iter().position(is_answer)?;
        Some(self.arrived.remove(index).1)
    }

    /// A request to the broker with its answer.
    pub(crate) fn ask<'h, H: RequestHeader<'h>>(
        &mut self,
        connection: ConnectionId,
        header: &H,
    ) -> RemotingCommand {
        self.ask_body(connection, header, b"")
    }

    pub(crate) fn ask_body<'h, H: RequestHeader<'h>>(
        &mut self,
        connection: ConnectionId,
        header: &H,
        body: &[u8],
    ) -> RemotingCommand {
        let frame = self.frame(H::CODE.0, header, &[], body);
        let opaque = self.post(connection, frame);
        self.take(opaque).expect("the broker answers")
    }

    /// A request to the name server with its answer.
    pub(crate) fn ask_name_server<'h, H: Header<'h>>(
        &mut self,
        connection: ConnectionId,
        code: i32,
        header: &H,
        body: &[u8],
    ) -> RemotingCommand {
        let mut frame = self.frame(code, header, &[], body);
        frame.version = 493;
        self.ask_name_server_frame(connection, frame)
    }

    pub(crate) fn ask_name_server_frame(
        &mut self,
        connection: ConnectionId,
        frame: RemotingCommand,
    ) -> RemotingCommand {
        let opaque = frame.opaque;
        self.name_server.handle_frame(self.now, connection, frame);
        self.drain_name_server();
        self.take(opaque).expect("the name server answers")
    }

    /// Sends a message and returns the answer.
    pub(crate) fn send(
        &mut self,
        connection: ConnectionId,
        topic: &str,
        queue_id: i32,
        properties: &[(&str, &str)],
        body: &str,
    ) -> RemotingCommand {
        let properties = text(properties);
        self.ask_body(connection, &send_header(topic, queue_id, &properties), body.as_bytes())
    }

    /// A send that must succeed.
    pub(crate) fn sent(
        &mut self,
        connection: ConnectionId,
        topic: &str,
        queue_id: i32,
        properties: &[(&str, &str)],
        body: &str,
    ) -> Sent {
        let answer = self.send(connection, topic, queue_id, properties, body);
        assert_eq!(answer.code, 0, "{:?}", answer.remark);
        let header: SendMessageResponseHeader<'_> = answer.header().unwrap();
        Sent {
            msg_id: header.msg_id.to_string(),
            queue_id: header.queue_id,
            queue_offset: header.queue_offset,
            transaction_id: header.transaction_id.unwrap_or_default().to_string(),
        }
    }

    pub(crate) fn pull(
        &mut self,
        connection: ConnectionId,
        group: &str,
        topic: &str,
        queue_id: i32,
        offset: i64,
    ) -> Pulled {
        let opaque = self.post_pull(connection, group, topic, queue_id, offset, "*", 0);
        self.pulled(opaque).expect("a pull that may not wait is answered")
    }

    /// A pull with an inline subscription that may wait `suspend_ms`, if that isn't 0.
    #[expect(clippy::too_many_arguments, reason = "a pull has that many facts")]
    pub(crate) fn post_pull(
        &mut self,
        connection: ConnectionId,
        group: &str,
        topic: &str,
        queue_id: i32,
        offset: i64,
        tags: &str,
        suspend_ms: i64,
    ) -> i32 {
        let suspend = if suspend_ms > 0 { 2 } else { 0 };
        let header = PullMessageRequestHeader {
            consumer_group: group.into(),
            topic: topic.into(),
            queue_id,
            queue_offset: offset,
            max_msg_nums: 32,
            sys_flag: 4 | suspend,
            suspend_timeout_millis: suspend_ms,
            subscription: Some(tags.into()),
            ..Default::default()
        };
        let frame = self.frame(11, &header, &[], b"");
        self.post(connection, frame)
    }

    pub(crate) fn pulled(&mut self, opaque: i32) -> Option<Pulled> {
        let answer = self.take(opaque)?;
        let header: PullMessageResponseHeader = answer.header().unwrap_or_default();
        let messages = StoredMessages::new(answer.body.clone()).map(Result::unwrap).collect();
        let remark = answer.remark.as_deref().unwrap_or_default().to_owned();
        Some(Pulled {
            code: answer.code,
            remark,
            next: header.next_begin_offset,
            max: header.max_offset,
            forbidden: answer.ext.get("forbiddenType").and_then(|kind| kind.parse().ok()),
            messages,
        })
    }

    pub(crate) fn heartbeat(
        &mut self,
        connection: ConnectionId,
        client: &str,
        group: &str,
        topics: &[&str],
    ) -> RemotingCommand {
        self.heartbeat_body(connection, &heartbeat(client, group, topics, 1, 0, false))
    }

    pub(crate) fn heartbeat_body(&mut self, connection: ConnectionId, body: &str) -> RemotingCommand {
        self.ask_body(connection, &HeartbeatRequestHeader::default(), body.as_bytes())
    }

    pub(crate) fn send_back(
        &mut self,
        connection: ConnectionId,
        group: &str,
        message: &StoredMessage,
        level: i32,
        max: Option<i32>,
    ) -> RemotingCommand {
        let header = ConsumerSendMsgBackRequestHeader {
            offset: message.commit_log_offset,
            group: group.into(),
            delay_level: level,
            max_reconsume_times: max,
            ..Default::default()
        };
        self.ask(connection, &header)
    }

    /// The one-way requests that the broker pushed to a connection, as codes; taken out.
    pub(crate) fn pushes(&mut self, connection: ConnectionId) -> Vec<i32> {
        let is_push =
            |(to, command): &(ConnectionId, RemotingCommand)| *to == connection && !command.is_response();
        let pushes =
            self.arrived.iter().filter(|entry| is_push(entry)).map(|(_, command)| command.code).collect();
        self.arrived.retain(|entry| !is_push(entry));
        pushes
    }
}

#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Sent {
    pub(crate) msg_id: String,
    pub(crate) queue_id: i32,
    pub(crate) queue_offset: i64,
    pub(crate) transaction_id: String,
}

#[derive(Debug)]
pub(crate) struct Pulled {
    pub(crate) code: i32,
    pub(crate) remark: String,
    pub(crate) next: i64,
    pub(crate) max: i64,
    pub(crate) forbidden: Option<i32>,
    pub(crate) messages: Vec<StoredMessage>,
}

impl Pulled {
    pub(crate) fn bodies(&self) -> Vec<String> {
        bodies(&self.messages)
    }
}

pub(crate) fn bodies<'m>(messages: impl IntoIterator<Item = &'m StoredMessage>) -> Vec<String> {
    messages.into_iter().map(|message| String::from_utf8(message.raw_body().to_vec()).unwrap()).collect()
}

pub(crate) fn send_header<'a>(
    topic: &'a str,
    queue_id: i32,
    properties: &'a str,
) -> SendMessageRequestHeaderV2<'a> {
    SendMessageRequestHeaderV2 {
        producer_group: "pg".into(),
        topic: topic.into(),
        default_topic: "TBW102".into(),
        default_topic_queue_nums: 4,
        queue_id,
        born_timestamp: START_MS,
        properties: Some(properties.into()),
        ..Default::default()
    }
}

pub(crate) fn heartbeat(
    client: &str,
    group: &str,
    topics: &[&str],
    version: i64,
    fingerprint: i32,
    without_sub: bool,
) -> String {
    let subscription = |topic: &&str| {
        format!(
            r#"{{"classFilterMode":false,"codeSet":[],"expressionType":"TAG","subString":"*","subVersion":{version},"tagsSet":[],"topic":"{topic}"}}"#
        )
    };
    let subscriptions = topics.iter().map(subscription).collect::<Vec<_>>().join(",");
    format!(
        r#"{{"clientID":"{client}","consumerDataSet":[{{"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","groupName":"{group}","messageModel":"CLUSTERING","subscriptionDataSet":[{subscriptions}],"unitMode":false}}],"heartbeatFingerprint":{fingerprint},"producerDataSet":[],"withoutSub":{without_sub}}}"#
    )
}

pub(crate) fn text(properties: &[(&str, &str)]) -> String {
    properties.iter().map(|(name, value)| format!("{name}\u{1}{value}\u{2}")).collect()
}

pub(crate) fn frame<'h, H: Header<'h>>(
    code: i32,
    opaque: i32,
    flag: i32,
    header: &H,
    extra: &[(&str, &str)],
    body: &[u8],
) -> RemotingCommand {
    let mut out = BytesMut::new();
    let head = Head { code, opaque, flag, remark: None };
    Encoder::default().encode(&mut out, &head, header, extra, body.len());
    out.extend_from_slice(body);
    decode(&out).remove(0)
}

pub(crate) fn decode(bytes: &[u8]) -> Vec<RemotingCommand> {
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    decoder.buffer_mut().extend_from_slice(bytes);
    let mut commands = Vec::new();
    while let Some(command) = decoder.next_frame().unwrap() {
        commands.push(command);
    }
    commands
}

pub(crate) fn body_text(command: &RemotingCommand) -> &str {
    std::str::from_utf8(&command.body).unwrap()
}
