//! A client with a producer, and a broker that answers what it is told to.

use bytes::{Bytes, BytesMut};
use rocketmq_client_core::client::{Client, Command, Input, OutboundMessage, Outcome, Output, QueueChoice};
use rocketmq_client_core::config::{ClientConfig, HostFacts, ProducerConfig};
use rocketmq_client_core::id::{ChannelId, GenerationalId as _, OperationId, ProducerId};
use rocketmq_client_core::message::{Message, validate_batch};
use rocketmq_client_core::producer::ProducerCommand;
use rocketmq_client_core::remoting::{
    BrokerData, Encoder, FLAG_RESPONSE, FRAME_BYTES_MAX, FrameDecoder, Head, NoHeader, QueueData,
    RemotingCommand, RequestCode, TopicRouteData,
};
use rocketmq_client_core::time::{Instant, Timestamp};
use std::collections::BTreeMap;
use std::sync::Arc;

const NOW: Instant = Instant::from_millis(0);
const PRODUCER: ProducerId = ProducerId(1);

/// Time stands still, so nothing happens but what is measured.
pub(super) struct World {
    client: Client,
    /// The broker's connection.
    broker: Option<ChannelId>,
    bytes_total: u64,
    written: BytesMut,
    next_opaque: i32,
    topic: Arc<str>,
    answer: RemotingCommand,
}

impl World {
    /// The topic's route is known and its broker connected.
    pub(super) fn new(answer: &[u8]) -> Self {
        let config = Arc::new(ClientConfig::parse("127.0.0.1:9876").expect("an address"));
        let facts = HostFacts { ip: "10.0.0.1".parse().expect("an address"), pid: 42 };
        let client = Client::new(config, &facts, 7, NOW, Timestamp::from_millis(1_700_000_000_000));
        let mut world = Self {
            client,
            broker: None,
            bytes_total: 0,
            written: BytesMut::new(),
            next_opaque: 0,
            topic: "TopicTest".into(),
            answer: one_frame(answer),
        };
        let config = Arc::new(ProducerConfig::new("order-producers"));
        world
            .client
            .handle(NOW, Input::Command(Command::Producer(PRODUCER, ProducerCommand::Create { config })));
        // The first one has the route looked up and the brokers told of the producer.
        for number in 0..2 {
            world.send(number);
            world.run(Self::respond_to_all);
            assert_eq!(world.answer_sends(1), 1);
        }
        world
    }

    /// Answers everything but sends.
    fn respond_to_all(&mut self) {
        while let Some(request) = self.next_request() {
            if request.request_code() == RequestCode::SEND_MESSAGE_V2 {
                self.next_opaque = request.opaque;
            } else {
                self.respond(&request);
            }
        }
    }

    /// A user sends a message without properties.
    pub(super) fn send(&mut self, number: u32) {
        let message = Box::new(OutboundMessage {
            topic: self.topic.clone(),
            body: Bytes::from_static(&[b'x'; 128]),
            flag: 0,
            sys_flag: 0,
            properties: String::new(),
        });
        let operation = OperationId::from_parts(number, 0);
        let choice = QueueChoice::RoundRobin;
        let send =
            Command::Producer(PRODUCER, ProducerCommand::Send { operation, message, choice, timeout: None });
        self.client.handle(NOW, Input::Command(send));
    }

    /// A user makes so many messages without properties and sends them as a batch.
    pub(super) fn send_batch(&mut self, number: u32, count: u32) {
        let body = Bytes::from_static(&[b'x'; 128]);
        let messages = (0..count).map(|_| Message::new(self.topic.clone(), body.clone())).collect::<Vec<_>>();
        validate_batch(&messages, 4 << 20).expect("messages that can be sent");
        let operation = OperationId::from_parts(number, 0);
        let (producer, choice) = (PRODUCER, QueueChoice::RoundRobin);
        let send = Command::Producer(
            producer,
            ProducerCommand::SendBatch { operation, messages, choice, timeout: None },
        );
        self.client.handle(NOW, Input::Command(send));
    }

    /// The socket takes all there is; gives how many messages are stored.
    pub(super) fn drain(&mut self) -> usize {
        self.run(|world| world.written.clear())
    }

    /// The broker answers so many sends, in their order; gives how many have ended well.
    pub(super) fn answer_sends(&mut self, count: u32) -> usize {
        let channel = self.broker.expect("a send went out");
        for _ in 0..count {
            let command = RemotingCommand { opaque: self.next_opaque, ..self.answer.clone() };
            self.next_opaque = self.next_opaque.wrapping_add(1) & i32::MAX;
            self.client.handle(NOW, Input::Received { channel, command });
        }
        self.drain()
    }

    fn run(&mut self, mut written: impl FnMut(&mut Self)) -> usize {
        let mut sent = 0;
        loop {
            match self.client.poll_output(NOW) {
                Output::Connect { channel, .. } => {
                    // The name server comes first.
                    self.bytes_total = 0;
                    self.broker = Some(channel);
                    self.client.handle(NOW, Input::Connected { channel });
                }
                Output::Transmit { channel, chunks } => {
                    for chunk in &chunks {
                        self.bytes_total += chunk.len() as u64;
                        self.written.extend_from_slice(chunk);
                    }
                    let bytes_total = self.bytes_total;
                    self.client.handle(NOW, Input::Transmitted { channel, bytes_total });
                    written(self);
                }
                Output::Complete { outcome: Outcome::Sent(_), .. } => sent += 1,
                Output::Complete { outcome: Outcome::SentBatch(receipt), .. } => {
                    sent += receipt.receipts().map(std::hint::black_box).count();
                }
                Output::Wait(_) => return sent,
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    fn next_request(&mut self) -> Option<RemotingCommand> {
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        *decoder.buffer_mut() = std::mem::take(&mut self.written);
        let request = decoder.next_frame().expect("our own frames");
        self.written = std::mem::take(decoder.buffer_mut());
        request
    }

    /// The name server's answer, or the broker's to a heartbeat.
    fn respond(&mut self, request: &RemotingCommand) {
        let body = match request.request_code() {
            RequestCode::GET_ROUTEINFO_BY_TOPIC => route(1).encode(),
            _ => Bytes::new(),
        };
        let mut out = BytesMut::new();
        let head = Head { code: 0, opaque: request.opaque, flag: FLAG_RESPONSE, remark: None };
        Encoder::default().encode(&mut out, &head, &NoHeader, &[], body.len());
        out.extend_from_slice(&body);
        let channel = self.broker.expect("somebody asked");
        self.client.handle(NOW, Input::Received { channel, command: one_frame(&out) });
    }
}

pub(super) fn one_frame(bytes: &[u8]) -> RemotingCommand {
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    decoder.buffer_mut().extend_from_slice(bytes);
    decoder.next_frame().expect("a frame").expect("all of it")
}

pub(super) fn route(queue_nums: i32) -> TopicRouteData {
    TopicRouteData {
        broker_datas: vec![BrokerData {
            broker_name: "broker-a".into(),
            cluster: "DefaultCluster".into(),
            broker_addrs: BTreeMap::from([(0, "127.0.0.1:10911".into())]),
            ..BrokerData::default()
        }],
        queue_datas: vec![QueueData {
            broker_name: "broker-a".into(),
            read_queue_nums: queue_nums,
            write_queue_nums: queue_nums,
            perm: 6,
            ..QueueData::default()
        }],
        ..TopicRouteData::default()
    }
}
