//! A client with a push consumer that is its group's only member, and servers that answer it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rocketmq_client_core::client::{Chunks, Client, Command, Input, Output};
use rocketmq_client_core::config::{ClientConfig, ConsumeFrom, HostFacts, PushConsumerConfig};
use rocketmq_client_core::consumer::{Ack, ConsumeToken, ConsumerCommand, Settled};
use rocketmq_client_core::id::{ChannelId, ConsumerId, GenerationalId as _, OperationId};
use rocketmq_client_core::remoting::{
    Encoder, FLAG_ONEWAY, FLAG_RESPONSE, FRAME_BYTES_MAX, FrameDecoder, GetConsumerListByGroupResponseBody,
    GetRouteInfoRequestHeader, Head, Header, NoHeader, NotifyConsumerIdsChangedRequestHeader,
    PullMessageRequestHeader, PullMessageResponseHeader, QueryConsumerOffsetResponseHeader, RemotingCommand,
    RequestCode, ResponseCode,
};
use rocketmq_client_core::time::{Instant, Timestamp};

use super::world::{one_frame, route};

const TOPIC: &str = "TopicTest";
const GROUP: &str = "order-consumers";
/// Long enough for everything that begins to have begun, in virtual time.
const SETTLE: Duration = Duration::from_secs(3);
/// Long enough for a round of rebalance to begin.
const ROUND: Duration = Duration::from_millis(150);
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
    /// Members beside this one.
    others: usize,
    /// Whether the members are told only by [`Group::members_answer`], and who asked for them.
    withheld: Option<Option<(ChannelId, RemotingCommand)>>,
    /// What the broker has not looked at.
    unheard: Vec<(ChannelId, Chunks)>,
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
            others: 0,
            withheld: None,
            unheard: Vec::new(),
            delivered: Vec::new(),
        };
        let mut config = PushConsumerConfig::new(GROUP);
        config.subscriptions.insert(TOPIC.into(), "*".into());
        config.consume_from = ConsumeFrom::FirstOffset;
        let (operation, consumer) = (OperationId::from_parts(1, 0), ConsumerId(1));
        let start =
            Command::Consumer(consumer, ConsumerCommand::Start { operation, config: Arc::new(config) });
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
        let begun = Some(self.now);
        let answers = tokens.into_iter().map(|token| Settled { token, ack: Ack::Done, begun }).collect();
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
        self.answer_held();
        assert_eq!(self.held.len(), self.queues as usize, "every queue is pulled from again");
        stops
    }

    fn answer_held(&mut self) {
        for (channel, pull) in std::mem::take(&mut self.held) {
            let header = PullMessageResponseHeader { max_offset: 0, ..PullMessageResponseHeader::default() };
            self.answer(channel, &pull, ResponseCode::PULL_NOT_FOUND, &header, &[]);
        }
        self.run();
    }

    /// The group has so many other members from now on. The consumer has settled in its share so far, was told
    /// of the change and has asked; this is what it hears.
    pub(super) fn members_answer(&mut self, others: usize) -> Input {
        for (channel, chunks) in std::mem::take(&mut self.unheard) {
            self.hear(channel, &chunks);
        }
        self.run();
        let (broker, _) = *self.held.front().expect("pulls");
        // An answer that comes at once and brings nothing would make the consumer pause.
        self.pass(HELD);
        self.answer_held();
        let share = (self.queues as usize).div_ceil(1 + self.others);
        assert_eq!(self.held.len(), share, "every queue of its share is pulled from, and no other");
        (self.others, self.withheld) = (others, Some(None));
        let mut out = BytesMut::new();
        let code = RequestCode::NOTIFY_CONSUMER_IDS_CHANGED.0;
        let consumer_group = GROUP.into();
        let header = NotifyConsumerIdsChangedRequestHeader { consumer_group, ..Default::default() };
        let head = Head { code, flag: FLAG_ONEWAY, ..Head::default() };
        Encoder::default().encode(&mut out, &head, &header, &[], 0);
        self.inbox.push_back(Input::Received { channel: broker, command: one_frame(&out) });
        self.run();
        self.pass(ROUND);
        let (channel, request) = self.withheld.take().flatten().expect("it asks who belongs to the group");
        self.tell_members(channel, &request);
        self.inbox.pop_back().expect("the answer")
    }

    /// The consumer hears `answer` and does what follows, as far as it waits for a broker again.
    pub(super) fn divide(&mut self, answer: Input) {
        self.client.handle(self.now, answer);
        loop {
            match self.client.poll_output(self.now) {
                Output::Transmit { channel, chunks } => {
                    let transmitted = self.transmitted(channel, &chunks);
                    self.unheard.push((channel, chunks));
                    self.client.handle(self.now, transmitted);
                }
                Output::Revoke { .. } => {}
                Output::Wait(deadline) => return self.deadline = deadline,
                other => panic!("unexpected {other:?}"),
            }
        }
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
                Output::Complete { .. } | Output::Revoke { .. } => {}
                Output::Wait(deadline) if self.inbox.is_empty() => return self.deadline = deadline,
                Output::Wait(_) => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    fn transmit(&mut self, channel: ChannelId, chunks: &[Bytes]) {
        let transmitted = self.transmitted(channel, chunks);
        self.inbox.push_back(transmitted);
        self.hear(channel, chunks);
    }

    fn transmitted(&mut self, channel: ChannelId, chunks: &[Bytes]) -> Input {
        let total = self.bytes_total.entry(channel).or_default();
        *total += chunks.iter().map(|chunk| chunk.len() as u64).sum::<u64>();
        Input::Transmitted { channel, bytes_total: *total }
    }

    fn hear(&mut self, channel: ChannelId, chunks: &[Bytes]) {
        let decoder = self.decoders.get_mut(&channel).expect("connected");
        chunks.iter().for_each(|chunk| decoder.buffer_mut().extend_from_slice(chunk));
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
                if let Some(asked) = &mut self.withheld {
                    *asked = Some((channel, request));
                } else {
                    self.tell_members(channel, &request);
                }
            }
            RequestCode::QUERY_CONSUMER_OFFSET => {
                let header = QueryConsumerOffsetResponseHeader { offset: 0 };
                self.answer(channel, &request, ResponseCode::SUCCESS, &header, &[]);
            }
            RequestCode::PULL_MESSAGE => self.held.push_back((channel, request)),
            _ => self.answer(channel, &request, ResponseCode::SUCCESS, &NoHeader, &[]),
        }
    }

    fn tell_members(&mut self, channel: ChannelId, request: &RemotingCommand) {
        let others = (0..self.others).map(|number| format!("10.0.1.{number}@4242").into());
        let consumer_id_list = others.chain([self.client.client_id().clone()]).collect();
        let body = GetConsumerListByGroupResponseBody { consumer_id_list }.encode();
        self.answer(channel, request, ResponseCode::SUCCESS, &NoHeader, &body);
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
