//! The whole client against a scripted peer: no sockets, virtual time.

mod asking;
mod batch;
mod closing;
mod go_away;
mod heartbeats;
mod peers;
mod route_memory;
mod routes;
mod silence;
mod warm_up;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use alloc::{boxed::Box, format, vec};
use core::net::{IpAddr, Ipv4Addr, SocketAddr};
use core::time::Duration;

use bytes::{Bytes, BytesMut};

use super::*;
use crate::client::ClientCommand;
use crate::config::ProducerConfig;
use crate::consumer::ConsumerCommand;
use crate::error::{Cause, UsageError};
use crate::id::{ChannelId, GenerationalId, OperationId, ProducerId};
use crate::message::MessageQueue;
use crate::producer::ProducerCommand;
use crate::remoting::{
    BrokerData, Encoder, FLAG_RESPONSE, FRAME_BYTES_MAX, FrameDecoder, GetConsumerListByGroupResponseBody,
    GetRouteInfoRequestHeader, Head, NoHeader, QueryConsumerOffsetResponseHeader, QueueData, RemotingCommand,
    RequestCode, ResponseCode, SendMessageRequestHeaderV2, SendMessageResponseHeader, TopicRouteData,
};

const NAME_SERVER: &str = "10.0.0.9:9876";
const NAME_SERVER_B: &str = "10.0.0.8:9876";

/// What arrived at an address.
struct Arrived {
    channel: ChannelId,
    address: String,
    command: RemotingCommand,
}

struct World {
    client: Client,
    now: Instant,
    addresses: BTreeMap<ChannelId, String>,
    decoders: BTreeMap<ChannelId, FrameDecoder>,
    transmitted: BTreeMap<ChannelId, u64>,
    arrived: VecDeque<Arrived>,
    outcomes: Vec<(u32, Outcome)>,
    /// Consumers, and last the client, that have said that they have ended; so many outcomes had come before.
    ends: Vec<(Option<crate::id::ConsumerId>, usize)>,
    asked: Vec<(AskToken, Owner, Question)>,
    refused: Vec<String>,
    /// Connections to these neither come up nor fail.
    deaf: Vec<String>,
    /// Nobody says that sockets took anything.
    frozen: bool,
    operations: u32,
}

impl World {
    fn new(name_servers: &[&str]) -> Self {
        let config = Arc::new(ClientConfig::new(name_servers.iter().copied()));
        let facts = HostFacts { ip: IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)), pid: 42 };
        let now = Instant::from_millis(5_000);
        let client = Client::new(config, &facts, 7, now, Timestamp::from_millis(1_700_000_000_000));
        Self {
            client,
            now,
            addresses: BTreeMap::new(),
            decoders: BTreeMap::new(),
            transmitted: BTreeMap::new(),
            arrived: VecDeque::new(),
            outcomes: Vec::new(),
            ends: Vec::new(),
            asked: Vec::new(),
            refused: Vec::new(),
            deaf: Vec::new(),
            frozen: false,
            operations: 0,
        }
    }

    fn with_producer(config: ProducerConfig) -> Self {
        let mut world = Self::new(&[NAME_SERVER]);
        let producer = ProducerId(1);
        world.command(Command::Producer(producer, ProducerCommand::Create { config: Arc::new(config) }));
        world
    }

    fn command(&mut self, command: Command) {
        self.input(Input::Command(command));
    }

    fn input(&mut self, input: Input) {
        self.client.handle(self.now, input);
        self.drain();
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.input(Input::Timeout);
    }

    fn drain(&mut self) {
        loop {
            match self.client.poll_output(self.now) {
                Output::Connect { channel, address, .. } => self.connect(channel, address),
                Output::Transmit { channel, chunks } => self.transmit(channel, &chunks),
                Output::Close { channel, .. } => drop(self.addresses.remove(&channel)),
                Output::Complete { operation, outcome } => self.outcomes.push((operation.index(), outcome)),
                Output::Ask { token, owner, question } => self.asked.push((token, owner, question)),
                Output::Wait(deadline) => return assert!(deadline > self.now, "a stale deadline"),
                Output::ConsumerClosed { consumer } => {
                    self.ends.push((Some(consumer), self.outcomes.len()));
                }
                Output::ClientClosed => self.ends.push((None, self.outcomes.len())),
                Output::ConsumerClosing { .. } | Output::ProducerClosed { .. } | Output::Revoke { .. } => {}
                other => panic!("unexpected {other:?}"),
            }
        }
    }

    fn connect(&mut self, channel: ChannelId, address: SocketAddr) {
        let address = address.to_string();
        if self.deaf.contains(&address) {
            return;
        }
        let input = if self.refused.contains(&address) {
            Input::Closed { channel, reason: "refused".into() }
        } else {
            self.addresses.insert(channel, address);
            self.decoders.insert(channel, FrameDecoder::new(FRAME_BYTES_MAX));
            Input::Connected { channel }
        };
        self.client.handle(self.now, input);
    }

    fn transmit(&mut self, channel: ChannelId, chunks: &Chunks) {
        let decoder = self.decoders.get_mut(&channel).expect("connected");
        let total = self.transmitted.entry(channel).or_default();
        for chunk in chunks {
            decoder.buffer_mut().extend_from_slice(chunk);
            *total += chunk.len() as u64;
        }
        let bytes_total = *total;
        while let Some(command) = decoder.next_frame().expect("frames of our own") {
            let address = self.addresses[&channel].clone();
            self.arrived.push_back(Arrived { channel, address, command });
        }
        if !self.frozen {
            self.client.handle(self.now, Input::Transmitted { channel, bytes_total });
        }
    }

    /// The next request with this code; heartbeats on the way are answered.
    fn next(&mut self, code: RequestCode) -> Arrived {
        loop {
            let arrived = self.arrived.pop_front().unwrap_or_else(|| panic!("no {code} arrived"));
            if arrived.command.code == code.0 {
                return arrived;
            }
            assert_eq!(arrived.command.code, RequestCode::HEART_BEAT.0, "unexpected {:?}", arrived.command);
            self.answer(&arrived, ResponseCode::SUCCESS);
        }
    }

    /// Routes that are asked for again because a broker can't be reached stay unanswered.
    fn leave_routes(&mut self) {
        self.arrived.retain(|arrived| arrived.command.code != RequestCode::GET_ROUTEINFO_BY_TOPIC.0);
    }

    fn quiet(&mut self) -> bool {
        self.arrived.retain(|arrived| arrived.command.code != RequestCode::HEART_BEAT.0);
        self.arrived.is_empty()
    }

    fn answer(&mut self, to: &Arrived, code: ResponseCode) {
        self.answer_with(to, code, &NoHeader, &[]);
    }

    fn answer_with<'h>(
        &mut self,
        to: &Arrived,
        code: ResponseCode,
        header: &impl crate::remoting::Header<'h>,
        body: &[u8],
    ) {
        let head = Head {
            code: code.0,
            opaque: to.command.opaque,
            flag: FLAG_RESPONSE,
            remark: Some("as scripted"),
        };
        let mut out = BytesMut::new();
        Encoder::default().encode(&mut out, &head, header, &[], body.len());
        out.extend_from_slice(body);
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        decoder.buffer_mut().extend_from_slice(&out);
        let command = decoder.next_frame().expect("our own").expect("whole");
        self.input(Input::Received { channel: to.channel, command });
    }

    fn route(&mut self, brokers: &[(&str, &str, i32)]) {
        let arrived = self.next(RequestCode::GET_ROUTEINFO_BY_TOPIC);
        let body = route(brokers).encode();
        self.answer_with(&arrived, ResponseCode::SUCCESS, &NoHeader, &body);
    }

    fn stored(&mut self, send: &Arrived, queue_offset: i64) {
        let queue_id = send.command.header::<SendMessageRequestHeaderV2<'_>>().expect("a send").queue_id;
        let header =
            SendMessageResponseHeader { msg_id: "7F00".into(), queue_id, queue_offset, ..Default::default() };
        self.answer_with(send, ResponseCode::SUCCESS, &header, &[]);
    }

    fn send(&mut self) -> u32 {
        self.send_to(QueueChoice::RoundRobin)
    }

    fn send_to(&mut self, choice: QueueChoice) -> u32 {
        self.operations += 1;
        let operation = OperationId::from_parts(self.operations, 0);
        let message = Box::new(OutboundMessage {
            topic: "T".into(),
            body: Bytes::from_static(b"hello"),
            flag: 0,
            sys_flag: 0,
            properties: String::new(),
        });
        self.command(Command::Producer(
            ProducerId(1),
            ProducerCommand::Send { operation, message, choice, timeout: None },
        ));
        self.operations
    }

    fn outcome(&mut self) -> Option<Outcome> {
        assert!(self.outcomes.len() <= 1, "completed twice: {:?}", self.outcomes);
        self.outcomes.pop().map(|(_, outcome)| outcome)
    }

    fn error(&mut self) -> Error {
        match self.outcome() {
            Some(Outcome::Failed(error)) => error,
            other => panic!("expected a failure, got {other:?}"),
        }
    }

    /// Answers what a consumer of one empty queue asks, but for its pulls, which it counts.
    fn serve_consumer(&mut self) -> u32 {
        let mut pulls = 0;
        while let Some(arrived) = self.arrived.pop_front() {
            match RequestCode(arrived.command.code) {
                RequestCode::GET_ROUTEINFO_BY_TOPIC => {
                    let body = route(&[("a", A.1, 1)]).encode();
                    self.answer_with(&arrived, ResponseCode::SUCCESS, &NoHeader, &body);
                }
                RequestCode::GET_CONSUMER_LIST_BY_GROUP => {
                    let consumer_id_list = vec![self.client.client_id().clone()];
                    let body = GetConsumerListByGroupResponseBody { consumer_id_list }.encode();
                    self.answer_with(&arrived, ResponseCode::SUCCESS, &NoHeader, &body);
                }
                RequestCode::QUERY_CONSUMER_OFFSET => {
                    let header = QueryConsumerOffsetResponseHeader { offset: 0 };
                    self.answer_with(&arrived, ResponseCode::SUCCESS, &header, &[]);
                }
                RequestCode::PULL_MESSAGE => pulls += 1,
                _ => self.answer(&arrived, ResponseCode::SUCCESS),
            }
        }
        pulls
    }

    fn close_connections_to(&mut self, address: &str) {
        let channels: Vec<ChannelId> = self
            .addresses
            .iter()
            .filter(|(_, known)| *known == address)
            .map(|(channel, _)| *channel)
            .collect();
        for channel in channels {
            self.addresses.remove(&channel);
            self.input(Input::Closed { channel, reason: "reset".into() });
        }
    }
}

fn route(brokers: &[(&str, &str, i32)]) -> TopicRouteData {
    let broker = |(name, address, _): &(&str, &str, i32)| BrokerData {
        broker_name: (*name).into(),
        cluster: "C".into(),
        broker_addrs: BTreeMap::from([(0, (*address).into())]),
        ..BrokerData::default()
    };
    let queues = |(name, _, nums): &(&str, &str, i32)| QueueData {
        broker_name: (*name).into(),
        read_queue_nums: *nums,
        write_queue_nums: *nums,
        perm: 6,
        ..QueueData::default()
    };
    TopicRouteData {
        broker_datas: brokers.iter().map(broker).collect(),
        queue_datas: brokers.iter().map(queues).collect(),
        ..TopicRouteData::default()
    }
}

const A: (&str, &str, i32) = ("a", "10.0.0.1:10911", 2);
const B: (&str, &str, i32) = ("b", "10.0.0.2:10911", 2);

fn producer() -> ProducerConfig {
    ProducerConfig::new("pg")
}

#[test]
fn a_send_looks_up_its_route_once_and_reports_where_it_is_stored() {
    let mut world = World::with_producer(producer());
    world.send();
    world.route(&[A]);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    assert_eq!(send.address, A.1);
    let header: SendMessageRequestHeaderV2<'_> = send.command.header().expect("a send header");
    let properties = header.properties.clone().expect("properties");
    assert!(properties.starts_with("UNIQ_KEY\u{1}0A010203"), "{properties:?}");
    assert_eq!((&*header.producer_group, &*header.topic, &*header.default_topic), ("pg", "T", "TBW102"));
    world.stored(&send, 11);
    let Some(Outcome::Sent(receipt)) = world.outcome() else { panic!("sent") };
    assert_eq!(receipt.queue_offset, 11);
    assert!(properties.contains(&receipt.message_id.to_string()));
    world.send();
    world.next(RequestCode::SEND_MESSAGE_V2);
    assert!(world.quiet(), "the route is known now");
}

#[test]
fn a_topic_without_a_route_borrows_the_route_of_the_auto_creation_topic() {
    let mut world = World::with_producer(producer());
    world.send();
    let own = world.next(RequestCode::GET_ROUTEINFO_BY_TOPIC);
    world.answer(&own, ResponseCode::TOPIC_NOT_EXIST);
    let default = world.next(RequestCode::GET_ROUTEINFO_BY_TOPIC);
    let header: GetRouteInfoRequestHeader<'_> = default.command.header().expect("a route header");
    assert_eq!(header.topic, "TBW102");
    let body = route(&[("a", A.1, 16)]).encode();
    world.answer_with(&default, ResponseCode::SUCCESS, &NoHeader, &body);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    let queues = world.client.shared().routes.get("T").expect("a route").publish_queues().len();
    assert_eq!(queues, 4, "as many as the topic will be created with");
    world.stored(&send, 0);
    assert!(matches!(world.outcome(), Some(Outcome::Sent(_))));
    world.next(RequestCode::GET_ROUTEINFO_BY_TOPIC);
}

#[test]
fn a_topic_that_nobody_knows_is_not_sent_and_says_what_to_do() {
    let mut world = World::with_producer(producer());
    world.send();
    for _ in 0..2 {
        let lookup = world.next(RequestCode::GET_ROUTEINFO_BY_TOPIC);
        world.answer(&lookup, ResponseCode::TOPIC_NOT_EXIST);
    }
    let error = world.error();
    assert!(
        matches!(&error, Error::NotSent(failure) if matches!(failure.cause, Cause::NoRoute { .. })),
        "{error}"
    );
    let text = error.to_string();
    assert!(text.contains("topic T") && text.contains("autoCreateTopicEnable"), "{text}");
}

#[test]
fn a_broker_given_as_name_server_is_called_one() {
    let mut world = World::with_producer(producer());
    world.send();
    for _ in 0..100 {
        if !world.outcomes.is_empty() {
            break;
        }
        while let Some(request) = world.arrived.pop_front() {
            world.answer(&request, ResponseCode::REQUEST_CODE_NOT_SUPPORTED);
        }
        world.pass(100);
    }
    let error = world.error().to_string();
    for word in [NAME_SERVER, "is no name server", "namesrvAddr"] {
        assert!(error.contains(word), "{error}");
    }
}

#[test]
fn a_broker_that_is_busy_costs_one_attempt_and_the_next_goes_elsewhere_with_the_same_key() {
    let mut world = World::with_producer(producer());
    world.send();
    world.route(&[A, B]);
    let first = world.next(RequestCode::SEND_MESSAGE_V2);
    world.answer(&first, ResponseCode::SYSTEM_BUSY);
    let second = world.next(RequestCode::SEND_MESSAGE_V2);
    assert_ne!(first.address, second.address);
    let key = |arrived: &Arrived| {
        let header: SendMessageRequestHeaderV2<'_> = arrived.command.header().expect("a send");
        header.properties.clone().expect("properties").into_owned()
    };
    assert_eq!(key(&first), key(&second));
    world.stored(&second, 0);
    assert!(matches!(world.outcome(), Some(Outcome::Sent(_))));
}

#[test]
fn each_attempt_names_the_broker_that_it_goes_to() {
    let mut world = World::with_producer(producer());
    for _ in 0..3 {
        world.send();
    }
    world.route(&[A, B]);
    for _ in 0..6 {
        let send = world.next(RequestCode::SEND_MESSAGE_V2);
        let header: SendMessageRequestHeaderV2<'_> = send.command.header().expect("a send");
        let name = if send.address == A.1 { A.0 } else { B.0 };
        assert_eq!(header.broker_name.as_deref(), Some(name));
        world.answer(&send, ResponseCode::SYSTEM_BUSY);
    }
}

#[test]
fn attempts_end_at_one_plus_the_retries() {
    let mut world = World::with_producer(producer());
    world.send();
    world.route(&[A, B]);
    for _ in 0..3 {
        let send = world.next(RequestCode::SEND_MESSAGE_V2);
        world.answer(&send, ResponseCode::SYSTEM_BUSY);
    }
    assert!(world.quiet());
    let error = world.error();
    assert!(matches!(error, Error::Unknown(_)), "busy is said before and after storing: {error}");
    assert_eq!(error.code(), Some(ResponseCode::SYSTEM_BUSY));
    assert_eq!(error.failure().expect("a failure").attempts, 3);
}

#[test]
fn a_code_that_another_attempt_cannot_mend_ends_the_send_at_once() {
    let mut world = World::with_producer(producer());
    world.send();
    world.route(&[A, B]);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    world.answer(&send, ResponseCode::MESSAGE_ILLEGAL);
    assert!(world.quiet());
    assert!(matches!(world.error(), Error::Refused(_)));
}

#[test]
fn one_deadline_covers_all_attempts_and_leaves_time_for_the_next() {
    let mut world = World::with_producer(producer());
    world.send();
    world.route(&[A, B]);
    let first = world.next(RequestCode::SEND_MESSAGE_V2);
    world.pass(1_500);
    let second = world.next(RequestCode::SEND_MESSAGE_V2);
    assert_ne!(first.address, second.address, "a silent broker is left half-way");
    world.pass(750);
    world.next(RequestCode::SEND_MESSAGE_V2);
    world.pass(749);
    assert!(world.outcomes.is_empty());
    world.pass(1);
    let error = world.error();
    assert!(matches!(&error, Error::Unknown(failure) if failure.attempts == 3), "{error}");
}

#[test]
fn with_a_single_broker_an_attempt_may_use_the_whole_budget() {
    let mut world = World::with_producer(producer());
    world.send();
    world.route(&[A]);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    world.pass(2_900);
    assert!(world.quiet(), "no second copy is sent to the broker that has the first");
    world.stored(&send, 3);
    assert!(matches!(world.outcome(), Some(Outcome::Sent(_))));
}

#[test]
fn a_single_broker_that_restarts_within_the_budget_is_met_by_a_later_attempt() {
    let mut world = World::with_producer(producer());
    world.refused.push(A.1.to_string());
    world.send();
    world.route(&[A]);
    world.leave_routes();
    assert!(world.quiet());
    world.pass(900);
    assert!(world.outcomes.is_empty(), "not given up while there is time");
    world.refused.clear();
    world.pass(200);
    world.leave_routes();
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    world.stored(&send, 0);
    assert!(matches!(world.outcome(), Some(Outcome::Sent(_))));
}

#[test]
fn a_broker_that_cannot_be_reached_at_all_means_certainly_not_sent() {
    let mut world = World::with_producer(producer());
    world.refused.push(A.1.to_string());
    world.send();
    world.route(&[A]);
    for _ in 0..6 {
        world.pass(500);
    }
    let error = world.error();
    assert!(matches!(error, Error::NotSent(_)), "{error}");
    assert!(error.to_string().contains("can't connect to 10.0.0.1:10911: refused"), "{error}");
}

#[test]
fn a_connection_lost_after_the_frame_left_makes_the_outcome_unknown_for_a_fixed_queue() {
    let mut world = World::with_producer(producer());
    let queue = MessageQueue { topic: "T".into(), broker_name: "a".into(), queue_id: 1 };
    world.send_to(QueueChoice::Queue(queue.into()));
    world.route(&[A, B]);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    assert_eq!(send.command.header::<SendMessageRequestHeaderV2<'_>>().expect("a send").queue_id, 1);
    world.close_connections_to(A.1);
    assert!(world.quiet(), "a fixed queue has no second attempt");
    assert!(matches!(world.error(), Error::Unknown(_)));
}

#[test]
fn one_way_ends_when_the_socket_took_it() {
    let mut world = World::with_producer(producer());
    let message = Box::new(OutboundMessage {
        topic: "T".into(),
        body: Bytes::from_static(b"x"),
        flag: 0,
        sys_flag: 0,
        properties: String::new(),
    });
    let operation = OperationId::from_parts(1, 0);
    let choice = QueueChoice::RoundRobin;
    world.command(Command::Producer(
        ProducerId(1),
        ProducerCommand::SendOneway { operation, message, choice },
    ));
    world.route(&[A]);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    assert!(send.command.is_oneway());
    assert!(matches!(world.outcome(), Some(Outcome::Done)));
}

#[test]
fn a_dead_name_server_costs_nothing_but_a_connect_when_there_is_another() {
    for seed_server in [NAME_SERVER, NAME_SERVER_B] {
        let mut world = World::new(&[NAME_SERVER, NAME_SERVER_B]);
        world.refused.push(seed_server.to_string());
        let config = Arc::new(producer());
        world.command(Command::Producer(ProducerId(1), ProducerCommand::Create { config }));
        world.send();
        world.route(&[A]);
        let send = world.next(RequestCode::SEND_MESSAGE_V2);
        world.stored(&send, 0);
        assert!(matches!(world.outcome(), Some(Outcome::Sent(_))));
    }
}

#[test]
fn connecting_tells_when_no_name_server_can_be_reached() {
    let mut world = World::new(&[NAME_SERVER, NAME_SERVER_B]);
    world.refused = vec![NAME_SERVER.to_string(), NAME_SERVER_B.to_string()];
    world.command(Command::Client(ClientCommand::Connect { operation: OperationId::from_parts(9, 0) }));
    let error = world.error();
    assert!(matches!(&error, Error::Unreachable(failure) if failure.attempts == 2), "{error}");
    let text = error.to_string();
    assert!(text.contains("refused") && text.contains("check that the server runs"), "{text}");
    world.refused.clear();
    world.pass(3_000);
    world.command(Command::Client(ClientCommand::Connect { operation: OperationId::from_parts(9, 0) }));
    assert!(matches!(world.outcome(), Some(Outcome::Done)));
}

#[test]
fn closing_waits_for_sends_under_way_and_lets_no_more_in() {
    let mut world = World::with_producer(producer());
    world.send();
    world.route(&[A]);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    let operation = OperationId::from_parts(100, 0);
    world.command(Command::Client(ClientCommand::Close { operation, timeout: Duration::from_secs(30) }));
    assert!(world.outcomes.is_empty(), "the send is still under way");
    world.send();
    assert!(matches!(world.error(), Error::Closed));
    world.stored(&send, 0);
    assert!(matches!(world.outcome(), Some(Outcome::Sent(_))));
    let farewell = world.next(RequestCode::UNREGISTER_CLIENT);
    assert!(world.outcomes.is_empty());
    world.answer(&farewell, ResponseCode::SUCCESS);
    assert!(matches!(world.outcome(), Some(Outcome::Done)));
    assert!(world.addresses.is_empty(), "all connections are closed");
    assert!(world.client.shared().timers.is_empty());
}

#[test]
fn a_close_that_runs_out_of_time_reports_what_it_knows_of_each_send() {
    let mut world =
        World::with_producer(ProducerConfig { send_timeout: Duration::from_secs(60), ..producer() });
    world.send();
    world.route(&[A]);
    world.next(RequestCode::SEND_MESSAGE_V2);
    let operation = OperationId::from_parts(100, 0);
    world.command(Command::Client(ClientCommand::Close { operation, timeout: Duration::from_secs(1) }));
    world.pass(1_000);
    let texts: Vec<String> = world.outcomes.iter().map(|(id, outcome)| format!("{id} {outcome:?}")).collect();
    assert!(texts[0].starts_with("1 Failed(Unknown("), "{texts:?}");
    assert_eq!(texts[1], "100 Done");
}

#[test]
fn brokers_hear_of_a_producer_as_soon_as_they_are_known_and_every_30_seconds() {
    let mut world = World::with_producer(producer());
    world.send();
    world.route(&[A]);
    let heartbeats = |world: &mut World| {
        let count = world.arrived.iter().filter(|a| a.command.code == RequestCode::HEART_BEAT.0).count();
        world.arrived.clear();
        count
    };
    assert_eq!(heartbeats(&mut world), 1);
    world.pass(10_000);
    assert_eq!(heartbeats(&mut world), 0);
}

#[test]
fn closing_does_not_wait_for_a_pull_that_the_broker_holds() {
    let mut world = World::new(&[NAME_SERVER]);
    let mut config = crate::config::PushConsumerConfig::new("cg");
    config.subscriptions.insert("T".into(), "*".into());
    let (operation, consumer) = (OperationId::from_parts(1, 0), crate::id::ConsumerId(1));
    world
        .command(Command::Consumer(consumer, ConsumerCommand::Start { operation, config: Arc::new(config) }));
    let mut pulls = 0;
    for _ in 0..20 {
        pulls += world.serve_consumer();
        world.pass(50);
    }
    assert_eq!(pulls, 2, "the topic and the group's retry topic");
    assert!(matches!(world.outcome(), Some(Outcome::Done)), "started");
    let timeout = Duration::from_secs(30);
    world
        .command(Command::Client(ClientCommand::Close { operation: OperationId::from_parts(2, 0), timeout }));
    while let Some(arrived) = world.arrived.pop_front() {
        world.answer(&arrived, ResponseCode::SUCCESS);
    }
    assert!(world.outcomes.iter().any(|(id, _)| *id == 2), "{:?}", world.outcomes);
    assert!(world.addresses.is_empty());
}

#[test]
fn a_single_broker_whose_connection_was_cut_is_asked_again_at_once() {
    let mut world = World::with_producer(producer());
    world.send();
    world.route(&[A]);
    let first = world.next(RequestCode::SEND_MESSAGE_V2);
    world.stored(&first, 0);
    assert!(matches!(world.outcome(), Some(Outcome::Sent(_))));
    world.send();
    world.next(RequestCode::SEND_MESSAGE_V2);
    world.close_connections_to(A.1);
    let again = world.next(RequestCode::SEND_MESSAGE_V2);
    world.stored(&again, 0);
    assert!(matches!(world.outcome(), Some(Outcome::Sent(_))));
}

#[test]
fn a_single_broker_that_knows_no_such_topic_is_not_asked_again() {
    let mut world = World::with_producer(producer());
    world.send();
    world.route(&[A]);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    world.answer(&send, ResponseCode::TOPIC_NOT_EXIST);
    assert_eq!(world.error().code(), Some(ResponseCode::TOPIC_NOT_EXIST));
}

#[test]
fn two_brokers_that_restart_together_are_met_by_a_later_attempt() {
    let mut world = World::with_producer(producer());
    world.refused = vec![A.1.to_string(), B.1.to_string()];
    world.send();
    world.route(&[A, B]);
    world.pass(500);
    assert!(world.outcomes.is_empty(), "attempts are not burned at once");
    world.refused.clear();
    world.pass(1_000);
    world.leave_routes();
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    world.stored(&send, 0);
    assert!(matches!(world.outcome(), Some(Outcome::Sent(_))));
}

#[test]
fn a_silent_name_server_leaves_time_to_ask_the_next_within_a_send() {
    let mut world = World::new(&[NAME_SERVER, NAME_SERVER_B]);
    world.command(Command::Producer(ProducerId(1), ProducerCommand::Create { config: Arc::new(producer()) }));
    world.send();
    let silent = world.next(RequestCode::GET_ROUTEINFO_BY_TOPIC);
    world.pass(1_000);
    let other = world.next(RequestCode::GET_ROUTEINFO_BY_TOPIC);
    assert_ne!(silent.address, other.address);
    let body = route(&[A]).encode();
    world.answer_with(&other, ResponseCode::SUCCESS, &NoHeader, &body);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    world.stored(&send, 0);
    assert!(matches!(world.outcome(), Some(Outcome::Sent(_))));
}

#[test]
fn name_servers_that_are_back_within_the_budget_save_the_send() {
    let mut world = World::with_producer(producer());
    world.refused = vec![NAME_SERVER.to_string()];
    world.send();
    world.pass(400);
    world.refused.clear();
    while world.arrived.is_empty() {
        world.pass(100);
    }
    world.route(&[A]);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    world.stored(&send, 0);
    assert!(matches!(world.outcome(), Some(Outcome::Sent(_))));
}

#[test]
fn a_fixed_queue_is_not_sent_to_twice_also_when_a_slave_is_late() {
    let config = ProducerConfig { retry_when_not_store_ok: true, ..producer() };
    let mut world = World::with_producer(config);
    let queue = MessageQueue { topic: "T".into(), broker_name: "a".into(), queue_id: 0 };
    world.send_to(QueueChoice::Queue(queue.into()));
    world.route(&[A, B]);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    let header = SendMessageResponseHeader { msg_id: "7F00".into(), ..Default::default() };
    world.answer_with(&send, ResponseCode::FLUSH_SLAVE_TIMEOUT, &header, &[]);
    assert!(matches!(world.outcome(), Some(Outcome::Sent(_))));
    assert!(world.quiet());
}

#[test]
fn a_one_way_send_that_no_socket_takes_ends_with_its_budget() {
    let mut world = World::with_producer(producer());
    world.frozen = true;
    world.operations += 1;
    let operation = OperationId::from_parts(world.operations, 0);
    let message = Box::new(OutboundMessage {
        topic: "T".into(),
        body: Bytes::from_static(b"x"),
        flag: 0,
        sys_flag: 0,
        properties: String::new(),
    });
    let choice = QueueChoice::RoundRobin;
    world.command(Command::Producer(
        ProducerId(1),
        ProducerCommand::SendOneway { operation, message, choice },
    ));
    world.route(&[A]);
    world.next(RequestCode::SEND_MESSAGE_V2);
    world.pass(2_999);
    assert!(world.outcomes.is_empty());
    world.pass(1);
    let error = world.error();
    assert_eq!(world.client.statistics().connections.timeouts, 1);
    assert!(matches!(error, Error::Unknown(_) | Error::NotSent(_)), "{error}");
}

#[test]
fn an_answer_to_a_heartbeat_says_nothing_of_consumers_that_it_did_not_name() {
    let mut world = World::new(&[NAME_SERVER]);
    let start = |world: &mut World, id: u32, group: &str| {
        let mut config = crate::config::PushConsumerConfig::new(group);
        config.subscriptions.insert("T".into(), "*".into());
        let (operation, consumer) = (OperationId::from_parts(id, 0), crate::id::ConsumerId(id));
        world.command(Command::Consumer(
            consumer,
            ConsumerCommand::Start { operation, config: Arc::new(config) },
        ));
    };
    start(&mut world, 1, "first");
    world.route(&[A]);
    world.route(&[A]);
    world.pass(1);
    let beat = world.arrived.iter().position(|arrived| arrived.command.code == RequestCode::HEART_BEAT.0);
    let beat = world.arrived.remove(beat.expect("a heartbeat")).expect("it is there");
    start(&mut world, 2, "second");
    world.arrived.clear();
    world.answer(&beat, ResponseCode::SUCCESS);
    for _ in 0..10 {
        world.pass(100);
    }
    let asked: Vec<String> = world
        .arrived
        .iter()
        .filter(|arrived| arrived.command.code == RequestCode::GET_CONSUMER_LIST_BY_GROUP.0)
        .filter_map(|arrived| arrived.command.ext.get("consumerGroup").map(|group| group.into_owned()))
        .collect();
    assert!(asked.iter().any(|group| group == "first"), "{asked:?}");
    assert!(asked.iter().all(|group| group != "second"), "no broker knows it yet: {asked:?}");
}
