//! The honest half of a server: a name server that knows a fixed route, or the dev broker's machine with a
//! message for the consumer every 100 ms.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use rocketmq_client_core::remoting::{
    BrokerData, QueueData, RemotingCommand, RequestCode, ResponseCode, TopicRouteData,
};
use rocketmq_client_core::time::{Instant, Timestamp};
use rocketmq_dev_broker::{Broker, BrokerConfig, ConnectionId, DelayLevels, Output};

use crate::frame;
use crate::ledger::SharedLedger;

/// The topic that is consumed.
pub(crate) const TOPIC: &str = "Work";
/// The topic that is sent to.
pub(crate) const SENT: &str = "Sent";
/// The consumer group.
pub(crate) const GROUP: &str = "hostile-group";
/// Queues of each topic and broker.
pub(crate) const QUEUES: i32 = 2;
/// How often a broker gets a message.
pub(crate) const PUT_PERIOD: Duration = Duration::from_millis(100);

/// The connection by which messages are put.
const PUTTER: ConnectionId = ConnectionId(u64::MAX);
/// The wall clock at the beginning, in Unix milliseconds.
const WALL_START_MS: i64 = 1_700_000_000_000;

/// An answer, or a request of the server's own, to a connection.
pub(crate) type Written = (ConnectionId, Vec<Bytes>);

/// The honest half.
#[derive(Debug)]
pub(crate) enum Honest {
    NameServer(Routes),
    Broker(Box<BrokerHalf>),
}

/// What a name server knows.
#[derive(Debug)]
pub(crate) struct Routes {
    pub(crate) brokers: Vec<(char, SocketAddr)>,
    /// `broker-b` is there from then on.
    pub(crate) moves: Option<(Instant, SocketAddr)>,
}

/// A broker and what feeds it.
#[derive(Debug)]
pub(crate) struct BrokerHalf {
    pub(crate) letter: char,
    machine: Broker,
    address: SocketAddr,
    ledger: SharedLedger,
    next_put: Instant,
    puts: i32,
    wait: Option<Instant>,
    written: Vec<Written>,
    closed: Vec<ConnectionId>,
}

/// The full name of a broker.
#[must_use]
pub(crate) fn broker_name(letter: char) -> String {
    format!("broker-{letter}")
}

/// The honest route of the two topics and of the group's retry topic.
#[must_use]
pub(crate) fn route(brokers: &[(char, SocketAddr)], queues: i32) -> TopicRouteData {
    TopicRouteData {
        broker_datas: brokers.iter().map(|(letter, address)| broker_data(*letter, *address)).collect(),
        queue_datas: brokers.iter().map(|(letter, _)| queue_data(*letter, queues)).collect(),
        ..TopicRouteData::default()
    }
}

fn broker_data(letter: char, address: SocketAddr) -> BrokerData {
    BrokerData {
        broker_addrs: [(0, address.to_string().into())].into(),
        broker_name: broker_name(letter).into(),
        cluster: "DefaultCluster".into(),
        ..BrokerData::default()
    }
}

fn queue_data(letter: char, queues: i32) -> QueueData {
    QueueData {
        broker_name: broker_name(letter).into(),
        perm: 6,
        read_queue_nums: queues,
        write_queue_nums: queues,
        topic_sys_flag: 0,
    }
}

impl Honest {
    pub(crate) fn broker(letter: char, address: SocketAddr, ledger: SharedLedger, now: Instant) -> Self {
        let config = BrokerConfig {
            broker_name: broker_name(letter).into(),
            addr: address,
            delay_levels: DelayLevels::new([Duration::from_millis(500); 18]).expect("18 levels"),
            ..BrokerConfig::default()
        };
        let machine = Broker::new(config, u64::from(letter), now, Timestamp::from_millis(WALL_START_MS));
        let mut half = BrokerHalf {
            letter,
            machine,
            address,
            ledger,
            next_put: now,
            puts: 0,
            wait: None,
            written: Vec::new(),
            closed: Vec::new(),
        };
        half.machine.handle_connected(now, PUTTER, address, address);
        half.create_topic(now, TOPIC);
        half.create_topic(now, SENT);
        Self::Broker(Box::new(half))
    }

    pub(crate) fn handle_connected(&mut self, now: Instant, connection: ConnectionId) {
        if let Self::Broker(half) = self {
            half.machine.handle_connected(now, connection, half.address, half.address);
        }
    }

    pub(crate) fn handle_closed(&mut self, now: Instant, connection: ConnectionId) {
        if let Self::Broker(half) = self {
            half.machine.handle_closed(now, connection);
        }
    }

    /// A request or an answer came in. What is to be written comes from [`written`](Self::written).
    pub(crate) fn handle_frame(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        command: RemotingCommand,
    ) -> Option<Written> {
        match self {
            Self::Broker(half) => {
                half.machine.handle_frame(now, connection, command);
                None
            }
            Self::NameServer(_) if command.is_response() || command.is_oneway() => None,
            Self::NameServer(routes) => {
                if let Some((_, address)) = routes.moves.filter(|(at, _)| *at <= now) {
                    routes
                        .brokers
                        .iter_mut()
                        .filter(|(letter, _)| *letter == 'b')
                        .for_each(|b| b.1 = address);
                }
                Some((connection, vec![frame::encode(&answer_of_name_server(&routes.brokers, &command))]))
            }
        }
    }

    pub(crate) fn handle_timeout(&mut self, now: Instant) {
        if let Self::Broker(half) = self {
            half.machine.handle_timeout(now);
            while half.next_put <= now {
                half.put(half.next_put);
                half.next_put += PUT_PERIOD;
            }
        }
    }

    /// What is to be written, connections to close, and when it has to be called again.
    pub(crate) fn poll(&mut self) -> (Vec<Written>, Vec<ConnectionId>, Option<Instant>) {
        match self {
            Self::NameServer(_) => (Vec::new(), Vec::new(), None),
            Self::Broker(half) => {
                half.drain();
                let next = half.wait.map_or(half.next_put, |wait| wait.min(half.next_put));
                (std::mem::take(&mut half.written), std::mem::take(&mut half.closed), Some(next))
            }
        }
    }

    /// The highest offsets that the group has committed in the topic.
    pub(crate) fn committed(&self) -> Vec<((char, i32), i64)> {
        let Self::Broker(half) = self else { return Vec::new() };
        let all = half.machine.committed_offsets();
        let ours = all.filter(|(group, topic, ..)| (*group, *topic) == (GROUP, TOPIC));
        ours.map(|(_, _, queue, offset)| ((half.letter, queue), offset)).collect()
    }
}

impl BrokerHalf {
    fn create_topic(&mut self, now: Instant, topic: &str) {
        let queues = QUEUES.to_string();
        let fields = [
            ("topic", topic),
            ("defaultTopic", "TBW102"),
            ("readQueueNums", &queues),
            ("writeQueueNums", &queues),
            ("perm", "6"),
            ("topicFilterType", "SINGLE_TAG"),
            ("topicSysFlag", "0"),
            ("order", "false"),
        ];
        let create = frame::request(RequestCode::UPDATE_AND_CREATE_TOPIC.0, 0, 0, fields);
        self.machine.handle_frame(now, PUTTER, create);
    }

    fn put(&mut self, now: Instant) {
        let queue_id = self.puts % QUEUES;
        self.puts += 1;
        let body = self.ledger.lock().put(now, (self.letter, queue_id));
        let (queue_id, born) = (queue_id.to_string(), WALL_START_MS.to_string());
        let fields = [
            ("a", "putters"),
            ("b", TOPIC),
            ("c", "TBW102"),
            ("d", "4"),
            ("e", &queue_id),
            ("f", "0"),
            ("g", &born),
            ("h", "0"),
            ("i", ""),
        ];
        let mut send = frame::request(RequestCode::SEND_MESSAGE_V2.0, 0, 0, fields);
        send.body = body.into();
        self.machine.handle_frame(now, PUTTER, send);
    }

    fn drain(&mut self) {
        loop {
            match self.machine.poll_output() {
                Output::Wait(deadline) => {
                    self.wait = deadline;
                    return;
                }
                Output::Transmit { connection, frames } => {
                    if connection != PUTTER {
                        self.written.push((connection, frames.into_parts()));
                    }
                }
                Output::Close { connection } => self.closed.push(connection),
                // Everything that is asked for is known by a fixed route.
                Output::RegisterBroker { .. } | Output::QueryRoute { .. } => {}
            }
        }
    }
}

fn answer_of_name_server(brokers: &[(char, SocketAddr)], command: &RemotingCommand) -> RemotingCommand {
    if command.request_code() != RequestCode::GET_ROUTEINFO_BY_TOPIC {
        let mut answer = frame::response(command, ResponseCode::REQUEST_CODE_NOT_SUPPORTED.0);
        answer.remark = Some("request type not supported".into());
        return answer;
    }
    let topic = command.ext.get("topic").unwrap_or_default();
    let queues = match &*topic {
        TOPIC | SENT => QUEUES,
        retry if retry.strip_prefix("%RETRY%") == Some(GROUP) => 1,
        _ => {
            let mut answer = frame::response(command, ResponseCode::TOPIC_NOT_EXIST.0);
            answer.remark = Some("No topic route info in name server for this topic".into());
            return answer;
        }
    };
    let mut answer = frame::response(command, ResponseCode::SUCCESS.0);
    answer.body = route(brokers, queues).encode_standard();
    answer
}
