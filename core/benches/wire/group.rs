//! A client with a push consumer that is its group's only member, and servers that answer it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rocketmq_client_core::client::{Client, Command, Input, Output};
use rocketmq_client_core::config::{ClientConfig, ConsumeFrom, HostFacts, PushConsumerConfig};
use rocketmq_client_core::consumer::{Ack, ConsumeToken};
use rocketmq_client_core::id::{ChannelId, ConsumerId, GenerationalId as _, OperationId};
use rocketmq_client_core::remoting::{
    Encoder, FLAG_RESPONSE, FRAME_BYTES_MAX, FrameDecoder, GetConsumerListByGroupResponseBody,
    GetRouteInfoRequestHeader, Head, Header, NoHeader, PullMessageRequestHeader, PullMessageResponseHeader,
    QueryConsumerOffsetResponseHeader, RemotingCommand, RequestCode, ResponseCode,
};
use rocketmq_client_core::time::{Instant, Timestamp};

use super::world::{one_frame, route};

const TOPIC: &str = "TopicTest";
/// Long enough for everything that begins to have begun, in virtual time.
const SETTLE: Duration = Duration::from_secs(3);
/// How long brokers hold a pull.
const HELD: Duration = Duration::from_secs(15);

/// Time passes only by [`Group::pass`].
pub(super) struct Group {
    client: Client,
    now: Instant,
    deadline: Instant,
    queues: i32,
    inbox: VecDeque<Input>,
    decoders: BTreeMap<ChannelId, FrameDecoder>,
    bytes_total: BTreeMap<ChannelId, u64>,
    /// Pulls that were not answered.
    held: VecDeque<(ChannelId, RemotingCommand)>,
    delivered: Vec<ConsumeToken>,
}

impl Group {
    /// All queues are owned and pulled from.
    pub(super) fn new(queues: i32) -> Self {
        let config = Arc::new(ClientConfig::parse("127.0.0.1:9876").expect("an address"));
        let facts = HostFacts { ip: "10.0.0.1".parse().expect("an address"), pid: 42 };
        let now = Instant::from_millis(0);
        let mut group = Self {
            client: Client::new(config, &facts, 7, now, Timestamp::from_millis(1_700_000_000_000)),
            now,
            deadline: now,
            queues,
            inbox: VecDeque::new(),
            decoders: BTreeMap::new(),
            bytes_total: BTreeMap::new(),
            held: VecDeque::new(),
            delivered: Vec::new(),
        };
        let mut config = PushConsumerConfig::new("order-consumers");
        config.subscriptions.insert(TOPIC.into(), "*".into());
        config.consume_from = ConsumeFrom::FirstOffset;
        let (operation, consumer) = (OperationId::from_parts(1, 0), ConsumerId(1));
        let start = Command::StartConsumer { operation, consumer, config: Arc::new(config) };
        group.inbox.push_back(Input::Command(start));
        group.run();
        group.pass(SETTLE);
        assert_eq!(group.held.len(), queues as usize, "every queue is pulled from");
        group
    }

    /// The broker answers the oldest pull with `body`, whose offsets are those of its first answer; user
    /// code deals with all of it. Gives how many messages there were.
    pub(super) fn deliver(&mut self, body: &Bytes, count: i64) -> usize {
        let (channel, pull) = self.held.pop_front().expect("a pull is there");
        let next_begin_offset = {
            let header: PullMessageRequestHeader<'_> = pull.header().expect("our own");
            header.queue_offset + count
        };
        let header = PullMessageResponseHeader {
            next_begin_offset,
            max_offset: i64::MAX,
            offset_delta: Some(next_begin_offset - count),
            ..PullMessageResponseHeader::default()
        };
        self.answer(channel, &pull, ResponseCode::SUCCESS, &header, body);
        self.run();
        let tokens = std::mem::take(&mut self.delivered);
        let delivered = tokens.len();
        let begun = tokens.iter().map(|token| (*token, Some(self.now))).collect();
        self.inbox.push_back(Input::Begun { tokens: begun });
        let answers = tokens.into_iter().map(|token| (token, Ack::Done)).collect();
        self.inbox.push_back(Input::Settled { answers });
        self.run();
        delivered
    }

    /// Lets time pass, stopping at every deadline on the way; gives at how many.
    pub(super) fn pass(&mut self, time: Duration) -> usize {
        let end = self.now + time;
        let mut stops = 0;
        while self.deadline <= end {
            self.now = self.deadline;
            self.inbox.push_back(Input::Timeout);
            self.run();
            stops += 1;
        }
        self.now = end;
        stops
    }

    /// As long as a broker holds a pull, no message comes; then it says so to each.
    pub(super) fn idle(&mut self) -> usize {
        let stops = self.pass(HELD);
        for (channel, pull) in std::mem::take(&mut self.held) {
            let header = PullMessageResponseHeader { max_offset: 0, ..PullMessageResponseHeader::default() };
            self.answer(channel, &pull, ResponseCode::PULL_NOT_FOUND, &header, &[]);
        }
        self.run();
        assert_eq!(self.held.len(), self.queues as usize, "every queue is pulled from again");
        stops
    }

    fn run(&mut self) {
        loop {
            while let Some(input) = self.inbox.pop_front() {
                self.client.handle(self.now, input);
            }
            match self.client.poll_output(self.now) {
                Output::Connect { channel, .. } => {
                    self.decoders.insert(channel, FrameDecoder::new(FRAME_BYTES_MAX));
                    self.inbox.push_back(Input::Connected { channel });
                }
                Output::Transmit { channel, chunks } => self.transmit(channel, &chunks),
                Output::Deliver { deliveries, .. } => {
                    self.delivered.extend(deliveries.iter().map(|delivery| delivery.token));
                }
                Output::Complete { .. } => {}
                Output::Wait(deadline) if self.inbox.is_empty() => return self.deadline = deadline,
                Output::Wait(_) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    fn transmit(&mut self, channel: ChannelId, chunks: &[Bytes]) {
        let decoder = self.decoders.get_mut(&channel).expect("connected");
        let total = self.bytes_total.entry(channel).or_default();
        for chunk in chunks {
            decoder.buffer_mut().extend_from_slice(chunk);
            *total += chunk.len() as u64;
        }
        self.inbox.push_back(Input::Transmitted { channel, bytes_total: *total });
        let decoder = self.decoders.get_mut(&channel).expect("connected");
        let requests: Vec<_> = std::iter::from_fn(|| decoder.next_frame().expect("our own frames")).collect();
        requests.into_iter().for_each(|request| self.serve(channel, request));
    }

    fn serve(&mut self, channel: ChannelId, request: RemotingCommand) {
        match request.request_code() {
            RequestCode::GET_ROUTEINFO_BY_TOPIC => {
                let header: GetRouteInfoRequestHeader<'_> = request.header().expect("our own");
                if &*header.topic == TOPIC {
                    let body = route(self.queues).encode();
                    self.answer(channel, &request, ResponseCode::SUCCESS, &NoHeader, &body);
                } else {
                    self.answer(channel, &request, ResponseCode::TOPIC_NOT_EXIST, &NoHeader, &[]);
                }
            }
            RequestCode::GET_CONSUMER_LIST_BY_GROUP => {
                let consumer_id_list = vec![self.client.client_id().clone()];
                let body = GetConsumerListByGroupResponseBody { consumer_id_list }.encode();
                self.answer(channel, &request, ResponseCode::SUCCESS, &NoHeader, &body);
            }
            RequestCode::QUERY_CONSUMER_OFFSET => {
                let header = QueryConsumerOffsetResponseHeader { offset: 0 };
                self.answer(channel, &request, ResponseCode::SUCCESS, &header, &[]);
            }
            RequestCode::PULL_MESSAGE => self.held.push_back((channel, request)),
            _ => self.answer(channel, &request, ResponseCode::SUCCESS, &NoHeader, &[]),
        }
    }

    fn answer<'h>(
        &mut self,
        channel: ChannelId,
        request: &RemotingCommand,
        code: ResponseCode,
        header: &impl Header<'h>,
        body: &[u8],
    ) {
        if request.is_oneway() {
            return;
        }
        let mut out = BytesMut::new();
        let head = Head { code: code.0, opaque: request.opaque, flag: FLAG_RESPONSE, remark: None };
        Encoder::default().encode(&mut out, &head, header, &[], body.len());
        out.extend_from_slice(body);
        self.inbox.push_back(Input::Received { channel, command: one_frame(&out) });
    }
}
