//! A client against a name server and brokers that live in memory: no sockets, virtual time.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use bytes::{Bytes, BytesMut};

use crate::client::{Client, Command, Input, Outcome, Output};
use crate::config::{ClientConfig, HostFacts, PushConsumerConfig};
use crate::consumer::push::QueueView;
use crate::consumer::{Ack, CloseReport, ConsumeToken, ConsumerCommand, Delivery, PushConsumer, Settled};
use crate::id::{ChannelId, ConsumerId, GenerationalId, OperationId, ProcessQueueId};
use crate::message::{StoredRecord, encode_stored};
use crate::remoting::{
    Encoder, FLAG_ONEWAY, FLAG_RESPONSE, FRAME_BYTES_MAX, FrameDecoder, Head, Header, NoHeader,
    RemotingCommand, RequestCode, ResponseCode,
};
use crate::time::{Instant, Timestamp};

pub(super) const NAME_SERVER: &str = "10.0.0.9:9876";
pub(super) const BROKER_A: &str = "10.0.0.1:10911";
pub(super) const BROKER_B: &str = "10.0.0.2:10911";
pub(super) const TOPIC: &str = "T";
pub(super) const RETRY: &str = "%RETRY%g";
const START: u64 = 5_000;
/// What the wall clock shows then.
pub(super) const WALL: i64 = 1_700_000_000_000;
/// When messages are stored, if nothing else is said.
pub(super) const STORED: i64 = 2;

/// A request that arrived.
#[derive(Clone)]
pub(super) struct Arrived {
    pub(super) at: Instant,
    pub(super) channel: ChannelId,
    pub(super) address: String,
    pub(super) command: RemotingCommand,
}

impl Arrived {
    pub(super) fn header<'a, H: Header<'a>>(&'a self) -> H {
        self.command.header().expect("the request's own header")
    }
}

/// One queue of the brokers.
#[derive(Default)]
pub(super) struct Log {
    pub(super) min: i64,
    /// Properties of the messages from `min` on.
    pub(super) records: Vec<String>,
    /// When they were stored, in milliseconds; what is missing was stored at [`STORED`].
    pub(super) times: Vec<i64>,
    /// Where an operator wants the group; the next pull learns it.
    pub(super) reset: Option<i64>,
    pub(super) committed: Option<i64>,
}

impl Log {
    pub(super) fn max(&self) -> i64 {
        self.min + i64::try_from(self.records.len()).expect("few")
    }

    pub(super) fn time(&self, index: usize) -> i64 {
        self.times.get(index).copied().unwrap_or(STORED)
    }

    /// The first message that was stored then or later, else the end.
    pub(super) fn at_time(&self, time: i64) -> i64 {
        let before = (0..self.records.len()).take_while(|index| self.time(*index) < time).count();
        self.min + i64::try_from(before).expect("few")
    }

    /// The last messages are lost, or all of them.
    pub(super) fn lose(&mut self, count: usize) {
        let left = self.records.len() - count;
        self.records.truncate(left);
        self.times.truncate(left);
    }
}

pub(super) struct World {
    pub(super) client: Client,
    pub(super) now: Instant,
    deadline: Instant,
    inbox: VecDeque<Input>,
    pub(super) addresses: BTreeMap<ChannelId, String>,
    decoders: BTreeMap<ChannelId, FrameDecoder>,
    transmitted: BTreeMap<ChannelId, u64>,
    /// All that arrived at servers.
    pub(super) seen: Vec<Arrived>,
    /// What the client answered to servers.
    pub(super) answered: Vec<RemotingCommand>,
    /// Pulls that wait for messages.
    pub(super) held: Vec<Arrived>,
    /// Brokers answer pulls at once when they have nothing.
    pub(super) impatient: bool,
    /// When messages are stored that are published.
    pub(super) stored_at: i64,
    /// Brokers answer a pull above the end as those up to 4.9.3 do, and a search with the nearest message.
    pub(super) old: bool,
    /// Requests that were swallowed by `silent`.
    pub(super) swallowed: Vec<Arrived>,
    pub(super) silent: BTreeSet<i32>,
    pub(super) refuse: BTreeMap<i32, ResponseCode>,
    /// How many more requests with a code are answered with GO_AWAY.
    pub(super) go_away: BTreeMap<i32, usize>,
    /// Those that were.
    pub(super) sent_away: Vec<Arrived>,
    /// Queues of the topic whose pulls are refused.
    pub(super) refuse_queues: BTreeMap<i32, ResponseCode>,
    /// Brokers leave out messages with this tag.
    pub(super) leave_out: Option<&'static str>,
    /// Brokers suggest another broker with each answer.
    pub(super) fickle: bool,
    /// How many queues of the topic can be read at a broker, if not all.
    pub(super) read_queue_nums: Option<i32>,
    /// The topic's permission.
    pub(super) perm: i32,
    /// What brokers say to refuse.
    pub(super) remark: &'static str,
    /// Messages with more bytes of properties than this are refused.
    pub(super) properties_max: usize,
    pub(super) down: BTreeSet<String>,
    /// Topic to brokers (name, address, queues).
    pub(super) routes: BTreeMap<String, Vec<(&'static str, &'static str, i32)>>,
    pub(super) logs: BTreeMap<(String, i32), Log>,
    /// The members that brokers tell besides those who sent heartbeats.
    pub(super) others: Vec<String>,
    pub(super) registered: BTreeSet<String>,
    pub(super) deliveries: Vec<Delivery>,
    pub(super) revoked: Vec<ProcessQueueId>,
    /// Deadlines that passed.
    pub(super) wakes: u32,
    pub(super) closing: bool,
    pub(super) closed: bool,
    pub(super) outcomes: BTreeMap<u32, Outcome>,
    /// Messages that were dealt with, by their `ID`, if that is to be watched.
    pub(super) finished: Option<BTreeSet<String>>,
}

impl World {
    /// One broker with one queue of the topic.
    pub(super) fn new() -> Self {
        Self::with_queues(1)
    }

    pub(super) fn with_queues(queues: i32) -> Self {
        Self::named("me", queues)
    }

    /// As a client of this name: the member `10.1.2.3@` and the name.
    pub(super) fn named(name: &str, queues: i32) -> Self {
        let facts = HostFacts { ip: IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)), pid: 42 };
        let mut config = ClientConfig::new([NAME_SERVER]);
        config.instance_name = Some(name.into());
        let now = Instant::from_millis(START);
        let wall = Timestamp::from_millis(WALL);
        Self {
            client: Client::new(Arc::new(config), &facts, 7, now, wall),
            now,
            deadline: now,
            inbox: VecDeque::new(),
            addresses: BTreeMap::new(),
            decoders: BTreeMap::new(),
            transmitted: BTreeMap::new(),
            seen: Vec::new(),
            answered: Vec::new(),
            held: Vec::new(),
            impatient: false,
            stored_at: STORED,
            old: false,
            swallowed: Vec::new(),
            silent: BTreeSet::new(),
            refuse: BTreeMap::new(),
            go_away: BTreeMap::new(),
            sent_away: Vec::new(),
            refuse_queues: BTreeMap::new(),
            leave_out: None,
            fickle: false,
            read_queue_nums: None,
            perm: 6,
            remark: "scripted",
            properties_max: usize::MAX,
            down: BTreeSet::new(),
            routes: BTreeMap::from([(TOPIC.into(), alloc::vec![("a", BROKER_A, queues)])]),
            logs: BTreeMap::new(),
            others: Vec::new(),
            registered: BTreeSet::new(),
            deliveries: Vec::new(),
            revoked: Vec::new(),
            closing: false,
            wakes: 0,
            closed: false,
            outcomes: BTreeMap::new(),
            finished: None,
        }
    }

    /// Starts the consumer `g` of the topic with this filter, settings changed by `change`.
    pub(super) fn start_with(&mut self, filter: &str, change: impl FnOnce(&mut PushConsumerConfig)) {
        let mut config = PushConsumerConfig::new("g");
        config.subscriptions.insert(TOPIC.into(), filter.into());
        change(&mut config);
        let operation = OperationId::from_parts(1, 0);
        self.input(Input::Command(Command::Consumer(
            ConsumerId(1),
            ConsumerCommand::Start { operation, config: Arc::new(config) },
        )));
    }

    /// Starts the consumer and gives it a second to settle down.
    pub(super) fn start(&mut self) {
        self.start_with("*", |_| {});
        self.pass(1_000);
    }

    pub(super) fn close(&mut self, timeout_ms: u64) {
        let operation = OperationId::from_parts(2, 0);
        let timeout = Duration::from_millis(timeout_ms);
        self.input(Input::Command(Command::Consumer(
            ConsumerId(1),
            ConsumerCommand::Close { operation, timeout },
        )));
    }

    pub(super) fn report(&self) -> Option<CloseReport> {
        match self.outcomes.get(&2)? {
            Outcome::ConsumerClosed(report) => Some(report.clone()),
            other => panic!("unexpected {other:?}"),
        }
    }

    pub(super) fn consumer(&self) -> &PushConsumer {
        self.client.consumers().get(ConsumerId(1)).expect("it is there")
    }

    pub(super) fn queue(&self, topic: &str, queue_id: i32) -> QueueView {
        let mut queues = self.consumer().queues();
        queues.find(|view| &*view.queue.topic == topic && view.queue.queue_id == queue_id).expect("owned")
    }

    pub(super) fn owned(&self, topic: &str) -> Vec<i32> {
        let queues = self.consumer().queues();
        queues.filter(|view| &*view.queue.topic == topic).map(|view| view.queue.queue_id).collect()
    }

    pub(super) fn log(&mut self, topic: &str, queue_id: i32) -> &mut Log {
        self.logs.entry((topic.into(), queue_id)).or_default()
    }

    /// Stores messages with these tags.
    pub(super) fn publish(&mut self, queue_id: i32, tags: &[&str]) {
        let properties =
            |tag: &&str| if tag.is_empty() { String::new() } else { alloc::format!("TAGS\u{1}{tag}\u{2}") };
        self.publish_to(TOPIC, queue_id, tags.iter().map(properties).collect());
    }

    pub(super) fn publish_to(&mut self, topic: &str, queue_id: i32, properties: Vec<String>) {
        let stored_at = self.stored_at;
        let log = self.log(topic, queue_id);
        log.times.resize(log.records.len(), STORED);
        log.times.resize(log.records.len() + properties.len(), stored_at);
        log.records.extend(properties);
        self.serve_held();
    }

    /// Looks again at the pulls that wait.
    pub(super) fn serve_held(&mut self) {
        for pull in core::mem::take(&mut self.held) {
            self.serve_pull(pull, false);
        }
        self.run();
    }

    /// The deliveries since the last call, by offset.
    pub(super) fn take(&mut self) -> Vec<ConsumeToken> {
        self.deliveries.drain(..).map(|delivery| delivery.token).collect()
    }

    pub(super) fn settle(&mut self, token: ConsumeToken, ack: Ack) {
        self.input(Input::Settled { answers: [Settled::new(token, ack)].into() });
    }

    pub(super) fn hand_back(&mut self, token: ConsumeToken) {
        self.input(Input::HandedBack { token });
    }

    pub(super) fn input(&mut self, input: Input) {
        self.inbox.push_back(input);
        self.run();
    }

    /// Lets time pass, stopping at every deadline on the way.
    pub(super) fn pass(&mut self, ms: u64) {
        let end = self.now + Duration::from_millis(ms);
        while self.deadline <= end {
            self.now = self.deadline;
            self.wakes += 1;
            self.input(Input::Timeout);
        }
        self.now = end;
        self.input(Input::Timeout);
    }

    fn run(&mut self) {
        loop {
            while let Some(input) = self.inbox.pop_front() {
                self.client.handle(self.now, input);
            }
            match self.client.poll_output(self.now) {
                Output::Connect { channel, address, .. } => self.connect(channel, address),
                Output::Transmit { channel, chunks } => self.transmit(channel, &chunks),
                Output::Close { channel, .. } => drop(self.addresses.remove(&channel)),
                Output::Complete { operation, outcome } => {
                    let before = self.outcomes.insert(operation.index(), outcome);
                    assert!(before.is_none(), "completed twice");
                }
                Output::Deliver { deliveries, .. } => {
                    assert!(!self.closing, "a delivery after the end");
                    let gone = |delivery: &Delivery| self.revoked.contains(&delivery.token.queue);
                    assert!(!deliveries.iter().any(gone), "a delivery of a queue that was given up");
                    self.deliveries.extend(deliveries);
                }
                Output::Revoke { queue, .. } => {
                    self.deliveries.retain(|delivery| delivery.token.queue != queue);
                    self.revoked.push(queue);
                }
                Output::ConsumerClosing { .. } => {
                    self.closing = true;
                    let undone = self.deliveries.drain(..);
                    self.inbox.extend(undone.map(|delivery| Input::HandedBack { token: delivery.token }));
                }
                Output::ConsumerClosed { .. } => {
                    let could_not_start = self.client.consumers().is_empty();
                    assert!((self.closing || could_not_start) && !self.closed, "once, and in order");
                    self.closed = true;
                }
                output @ (Output::Ask { .. } | Output::ProducerClosed { .. }) => {
                    panic!("unexpected {output:?}")
                }
                Output::Resolve { .. } => panic!("addresses are numeric"),
                Output::ClientClosed => {}
                Output::Wait(deadline) if self.inbox.is_empty() => {
                    assert!(deadline > self.now, "a stale deadline");
                    self.deadline = deadline;
                    return;
                }
                Output::Wait(_) => {}
            }
        }
    }

    fn connect(&mut self, channel: ChannelId, address: SocketAddr) {
        let address = address.to_string();
        if self.down.contains(&address) {
            return self.inbox.push_back(Input::Closed { channel, reason: "refused".into() });
        }
        self.addresses.insert(channel, address);
        self.decoders.insert(channel, FrameDecoder::new(FRAME_BYTES_MAX));
        self.inbox.push_back(Input::Connected { channel });
    }

    fn transmit(&mut self, channel: ChannelId, chunks: &[Bytes]) {
        let Some(address) = self.addresses.get(&channel).cloned() else { return };
        let decoder = self.decoders.get_mut(&channel).expect("connected");
        let total = self.transmitted.entry(channel).or_default();
        for chunk in chunks {
            decoder.buffer_mut().extend_from_slice(chunk);
            *total += chunk.len() as u64;
        }
        self.inbox.push_back(Input::Transmitted { channel, bytes_total: *total });
        let mut commands = Vec::new();
        while let Some(command) = decoder.next_frame().expect("frames of our own") {
            commands.push(command);
        }
        for command in commands {
            if command.is_response() {
                self.answered.push(command);
                continue;
            }
            let arrived = Arrived { at: self.now, channel, address: address.clone(), command };
            self.seen.push(arrived.clone());
            let code = arrived.command.code;
            if let Some(left) = self.go_away.get_mut(&code).filter(|left| **left > 0) {
                *left -= 1;
                self.sent_away.push(arrived.clone());
                self.answer(&arrived, ResponseCode::GO_AWAY, &NoHeader, &[]);
            } else if self.silent.contains(&code) {
                self.swallowed.push(arrived);
            } else if let Some(refusal) = self.refuse.get(&code).copied() {
                self.answer(&arrived, refusal, &NoHeader, &[]);
            } else {
                self.serve(arrived);
            }
        }
    }

    pub(super) fn answer<'h>(
        &mut self,
        to: &Arrived,
        code: ResponseCode,
        header: &impl Header<'h>,
        body: &[u8],
    ) {
        if to.command.is_oneway() || !self.addresses.contains_key(&to.channel) {
            return;
        }
        let head =
            Head { code: code.0, opaque: to.command.opaque, flag: FLAG_RESPONSE, remark: Some(self.remark) };
        let mut out = BytesMut::new();
        Encoder::default().encode(&mut out, &head, header, &[], body.len());
        out.extend_from_slice(body);
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        decoder.buffer_mut().extend_from_slice(&out);
        let command = decoder.next_frame().expect("our own").expect("whole");
        self.inbox.push_back(Input::Received { channel: to.channel, command });
    }

    /// The server asks something itself, one way.
    pub(super) fn notify<'h>(&mut self, address: &str, code: RequestCode, header: &impl Header<'h>) {
        self.ask(address, code, FLAG_ONEWAY, header, &[]);
    }

    /// The server asks something itself.
    pub(super) fn ask<'h>(
        &mut self,
        address: &str,
        code: RequestCode,
        flag: i32,
        header: &impl Header<'h>,
        body: &[u8],
    ) {
        let channels =
            self.addresses.iter().filter(|(_, known)| *known == address).map(|(channel, _)| *channel);
        for channel in channels.collect::<Vec<_>>() {
            let head = Head { code: code.0, opaque: 1, flag, remark: None };
            let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
            Encoder::default().encode(decoder.buffer_mut(), &head, header, &[], body.len());
            decoder.buffer_mut().extend_from_slice(body);
            let command = decoder.next_frame().expect("our own").expect("whole");
            self.input(Input::Received { channel, command });
        }
    }

    /// Cuts every connection to `address`; what it held is forgotten.
    pub(super) fn cut(&mut self, address: &str) {
        let cut: Vec<ChannelId> = self
            .addresses
            .iter()
            .filter(|(_, known)| *known == address)
            .map(|(channel, _)| *channel)
            .collect();
        self.held.retain(|pull| pull.address != address);
        self.registered.remove(address);
        for channel in cut {
            self.addresses.remove(&channel);
            self.input(Input::Closed { channel, reason: "reset".into() });
        }
    }

    /// Every commit comes through here.
    pub(super) fn commit(&mut self, topic: &str, queue_id: i32, offset: i64) {
        let finished = self.finished.take();
        let log = self.log(topic, queue_id);
        if let Some(finished) = &finished {
            assert!(Some(offset) >= log.committed, "{topic}:{queue_id} went back to {offset}");
            let below = usize::try_from(offset - log.min).expect("not below the first");
            for properties in log.records.iter().take(below) {
                assert!(finished.contains(properties), "{topic}:{queue_id}: {offset} passes {properties}");
            }
        }
        log.committed = Some(offset);
        self.finished = finished;
    }

    /// A message was dealt with.
    pub(super) fn finish(&mut self, properties: &str) {
        if let Some(finished) = &mut self.finished {
            finished.insert(properties.into());
        }
    }

    pub(super) fn requests(&self, code: RequestCode) -> Vec<&Arrived> {
        self.seen.iter().filter(|arrived| arrived.command.code == code.0).collect()
    }

    pub(super) fn last(&self, code: RequestCode) -> Arrived {
        (*self.requests(code).last().unwrap_or_else(|| panic!("no {code} arrived"))).clone()
    }
}

/// Records as a broker would send them.
pub(super) fn records(topic: &str, queue_id: i32, begin: i64, properties: &[String]) -> BytesMut {
    records_at(topic, queue_id, (begin..).zip(properties).map(|(offset, one)| (offset, one, STORED)))
}

/// As [`records`], at these offsets and stored at these times.
pub(super) fn records_at<'a>(
    topic: &str,
    queue_id: i32,
    records: impl Iterator<Item = (i64, &'a String, i64)>,
) -> BytesMut {
    let mut out = BytesMut::new();
    for (offset, properties, time) in records {
        encode_stored(&mut out, &record(topic, queue_id, offset, properties, time)).expect("small");
    }
    out
}

/// A record.
pub(super) fn record<'a>(
    topic: &'a str,
    queue_id: i32,
    queue_offset: i64,
    properties: &'a str,
    time: i64,
) -> StoredRecord<'a> {
    let host = SocketAddr::from(([10, 0, 0, 1], 10_911));
    StoredRecord {
        queue_id,
        flag: 0,
        queue_offset,
        commit_log_offset: commit_log_offset(topic, queue_id, queue_offset),
        sys_flag: 0,
        born_timestamp: Timestamp::from_millis(1),
        born_host: host,
        store_timestamp: Timestamp::from_millis(time),
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: b"hello",
        topic,
        properties,
    }
}

/// Offsets of a commit log that tell the queue: the topic's first queue begins at 1,000.
fn commit_log_offset(topic: &str, queue_id: i32, offset: i64) -> i64 {
    let queue = i64::from(queue_id) + if topic == RETRY { 100 } else { 0 };
    (queue * 1_000_000 + 1_000).saturating_add(offset)
}

/// The message at an offset of the commit log.
pub(super) fn at_commit_log_offset(commit_log_offset: i64) -> (&'static str, i32, i64) {
    let queue = commit_log_offset / 1_000_000;
    let (topic, queue) = if queue >= 100 { (RETRY, queue - 100) } else { (TOPIC, queue) };
    (topic, i32::try_from(queue).expect("few"), commit_log_offset % 1_000_000 - 1_000)
}
