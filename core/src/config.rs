//! What can be set, with RocketMQ's defaults. Plain data: the builders in the driver fill it in and
//! [`validate`](ProducerConfig::validate) says what is wrong before anything starts.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;
use core::time::Duration;

use crate::error::UsageError;
use crate::message::sys_flag::CompressionType;
use crate::message::validate::check_broker_topic;
use crate::message::{MessageQueue, check_group};
use crate::remoting::SerializeType;

/// What the host knows of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostFacts {
    /// The address other machines reach this one by; part of the client id and of message ids.
    pub ip: IpAddr,
    /// The process id; part of the client id and of message ids.
    pub pid: u32,
}

/// Settings of a client: what all its producers and consumers share. Java: `ClientConfig`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientConfig {
    /// Name servers as `host:port`, at least one.
    pub name_servers: Vec<Arc<str>>,
    /// The middle of the client id; by default the process id and a random number, so that two
    /// clients never take each other's queues.
    pub instance_name: Option<Arc<str>>,
    /// The last part of the client id, if any.
    pub unit_name: Option<Arc<str>>,
    /// How often routes are asked for again. Default 30 s.
    pub poll_name_server_interval: Duration,
    /// How often brokers hear from this client. Default 30 s; brokers forget a client after 120 s.
    pub heartbeat_broker_interval: Duration,
    /// How often consumed offsets are written to brokers. Default 5 s.
    pub persist_consumer_offset_interval: Duration,
    /// How long a connection may take to come up. Default 3 s.
    pub connect_timeout: Duration,
    /// How long routes, heartbeats and the like may take. Default 3 s. Java: `mqClientApiTimeout`.
    pub request_timeout: Duration,
    /// A connection without a read or a write for this long is closed. Default 120 s.
    pub channel_idle_max: Duration,
    /// After a failed connect, or when connections that answered were lost within 1 s three times or more in a row, how
    /// long requests to that address fail at once; doubles up to
    /// [`reconnect_delay_max`](Self::reconnect_delay_max). Default 100 ms. Java has none.
    pub reconnect_delay_min: Duration,
    /// The longest such pause. Default 1 s.
    pub reconnect_delay_max: Duration,
    /// Requests without an answer that one connection may hold. Default 65,535.
    pub channel_pending_max: usize,
    /// Bytes that may wait to be written on one connection. Default 256 MiB.
    pub channel_outbox_bytes_max: u64,
    /// How request headers are written. Default JSON, which every broker takes for every request.
    pub serialize: SerializeType,
}

impl ClientConfig {
    /// The defaults, for these name servers.
    pub fn new(name_servers: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Self {
        Self {
            name_servers: name_servers.into_iter().map(Into::into).collect(),
            instance_name: None,
            unit_name: None,
            poll_name_server_interval: Duration::from_secs(30),
            heartbeat_broker_interval: Duration::from_secs(30),
            persist_consumer_offset_interval: Duration::from_secs(5),
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(3),
            channel_idle_max: Duration::from_secs(120),
            reconnect_delay_min: Duration::from_millis(100),
            reconnect_delay_max: Duration::from_secs(1),
            channel_pending_max: 65_535,
            channel_outbox_bytes_max: 256 << 20,
            serialize: SerializeType::Json,
        }
    }

    /// Reads `host:port;host:port`, the form that RocketMQ uses everywhere.
    ///
    /// # Errors
    /// [`UsageError::NameServerAddress`] names the part that is not `host:port`.
    pub fn parse(name_servers: &str) -> Result<Self, UsageError> {
        let parts: Vec<&str> =
            name_servers.split(';').map(str::trim).filter(|part| !part.is_empty()).collect();
        let config = Self::new(parts);
        config.validate()?;
        Ok(config)
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// The first setting that can't work, with what to write instead.
    pub fn validate(&self) -> Result<(), UsageError> {
        if self.name_servers.is_empty() {
            return Err(UsageError::NoNameServer);
        }
        for address in &self.name_servers {
            if split_address(address).is_none() {
                return Err(UsageError::NameServerAddress { address: address.clone() });
            }
        }
        at_least("poll_name_server_interval", self.poll_name_server_interval, INTERVAL_MIN)?;
        at_least("heartbeat_broker_interval", self.heartbeat_broker_interval, INTERVAL_MIN)?;
        at_least("persist_consumer_offset_interval", self.persist_consumer_offset_interval, INTERVAL_MIN)?;
        at_least("connect_timeout", self.connect_timeout, TIMEOUT_MIN)?;
        at_least("request_timeout", self.request_timeout, TIMEOUT_MIN)?;
        at_least("channel_idle_max", self.channel_idle_max, Duration::from_secs(1))?;
        at_least("reconnect_delay_min", self.reconnect_delay_min, TIMEOUT_MIN)?;
        at_least("reconnect_delay_max", self.reconnect_delay_max, self.reconnect_delay_min)?;
        in_range("channel_pending_max", as_i64(self.channel_pending_max), 1, i64::from(i32::MAX / 2))
    }
}

/// Splits `host:port` at the last colon; brackets of an IPv6 address come off.
#[must_use]
pub fn split_address(address: &str) -> Option<(&str, u16)> {
    let (host, port) = address.rsplit_once(':')?;
    let host = host.strip_prefix('[').map_or(Some(host), |rest| rest.strip_suffix(']'))?;
    let port: u16 = port.parse().ok()?;
    let plausible = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_' | ':' | '%');
    if host.is_empty() || port == 0 || !host.chars().all(plausible) { None } else { Some((host, port)) }
}

/// Settings of a producer. Java: `DefaultMQProducer`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProducerConfig {
    /// The producer group.
    pub group: Arc<str>,
    /// One budget for route look-up and all attempts of a send. Default 3 s.
    pub send_timeout: Duration,
    /// The part of the budget that one attempt may use while another is left. Default: half of what
    /// remains, so that a silent broker leaves time for the next (Java: off, one attempt may use all).
    pub send_attempt_timeout: Option<Duration>,
    /// Attempts after the first, each on another broker if there is one. Default 2.
    pub retry_times: u32,
    /// Also retry when a broker stored the message but could not flush or replicate it in time.
    /// Default false, since the retry stores it twice. Java: `retryAnotherBrokerWhenNotStoreOK`.
    pub retry_when_not_store_ok: bool,
    /// The template topic for auto-creation. Default `TBW102`.
    pub create_topic_key: Arc<str>,
    /// Queues of an auto-created topic. Default 4.
    pub default_topic_queue_nums: i32,
    /// The largest body, before compression. Default 4 MiB, the broker's own limit.
    pub message_bytes_max: usize,
    /// Bodies of this size and more are compressed. Default 4,096 bytes.
    pub compress_bytes_min: usize,
    /// How they are compressed. Default zlib, which consumers of every age can inflate.
    pub compress_type: CompressionType,
    /// How hard is tried: 0 to 9 for zlib, -7 to 22 for zstd; LZ4 has no levels. Default 5.
    pub compress_level: i32,
    /// Penalise slow and failing brokers when queues are chosen. Default false, as in Java.
    pub latency_fault_tolerance: bool,
}

impl ProducerConfig {
    /// The defaults, for this group.
    pub fn new(group: impl Into<Arc<str>>) -> Self {
        Self {
            group: group.into(),
            send_timeout: Duration::from_secs(3),
            send_attempt_timeout: None,
            retry_times: 2,
            retry_when_not_store_ok: false,
            create_topic_key: Arc::from("TBW102"),
            default_topic_queue_nums: 4,
            message_bytes_max: 4 << 20,
            compress_bytes_min: 4_096,
            compress_type: CompressionType::Zlib,
            compress_level: 5,
            latency_fault_tolerance: false,
        }
    }

    /// Checks every setting.
    ///
    /// # Errors
    /// The first setting that can't work, with what to write instead.
    pub fn validate(&self) -> Result<(), UsageError> {
        check_group_name(&self.group, "DEFAULT_PRODUCER")?;
        at_least("send_timeout", self.send_timeout, TIMEOUT_MIN)?;
        at_least("send_attempt_timeout", self.send_attempt_timeout.unwrap_or(TIMEOUT_MIN), TIMEOUT_MIN)?;
        in_range("retry_times", i64::from(self.retry_times), 0, 100)?;
        in_range("message_bytes_max", as_i64(self.message_bytes_max), 1, 16 << 20)?;
        let (min, max) = match self.compress_type {
            CompressionType::Zlib => (0, 9),
            CompressionType::Zstd => (-7, 22),
            CompressionType::Lz4 => (i64::from(i32::MIN), i64::from(i32::MAX)),
        };
        in_range("compress_level", i64::from(self.compress_level), min, max)?;
        in_range("default_topic_queue_nums", i64::from(self.default_topic_queue_nums), 1, 65_536)
    }
}

/// Where a group starts on a queue that it has no offset for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ConsumeFrom {
    /// At the end: only messages that come from now on. The default, as in Java.
    LastOffset,
    /// At the oldest message that the broker still has.
    FirstOffset,
    /// At the first message stored at or after this wall time, in Unix milliseconds.
    Timestamp(i64),
}

/// Whether members of a group share the messages or each get all.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MessageModel {
    /// Each message goes to one member. The default.
    Clustering,
}

/// Settings of a push consumer. Java: `DefaultMQPushConsumer`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PushConsumerConfig {
    /// The consumer group.
    pub group: Arc<str>,
    /// Topic to filter expression: `*`, or tags as `TagA || TagB`.
    pub subscriptions: BTreeMap<Arc<str>, Arc<str>>,
    /// Who gets what. Default clustering.
    pub message_model: MessageModel,
    /// Where to start without a stored offset. Default the end.
    pub consume_from: ConsumeFrom,
    /// Messages of one queue that may be cached. Default 1,000.
    pub pull_threshold_for_queue: usize,
    /// Bytes of one queue that may be cached. Default 100 MiB. Java: `pullThresholdSizeForQueue`.
    pub pull_threshold_bytes_for_queue: usize,
    /// Messages that may be cached in all, divided equally among the queues that are owned; replaces
    /// [`pull_threshold_for_queue`](Self::pull_threshold_for_queue). Default none. As in Java, where it is
    /// called `pullThresholdForTopic`, the queues of all topics share it.
    pub pull_threshold_for_topic: Option<usize>,
    /// Bytes that may be cached in all, divided equally among the queues that are owned; replaces
    /// [`pull_threshold_bytes_for_queue`](Self::pull_threshold_bytes_for_queue). Default none.
    /// Java: `pullThresholdSizeForTopic`.
    pub pull_threshold_bytes_for_topic: Option<usize>,
    /// The largest distance between the first and the last cached offset of a queue. Default 2,000.
    pub consume_concurrently_max_span: i64,
    /// Bytes that the whole consumer may cache. While it has more, no pull begins; pulls that are under
    /// way may still bring [`pull_batch_bytes`](Self::pull_batch_bytes) each. Default 256 MiB. Java has
    /// no such bound: 100 MiB for every queue add up.
    pub cached_bytes_max: usize,
    /// How long a handler may have a message, counted from when it was called with it. Then the message is
    /// sent back and comes again after 10 s, whatever the handler still says. Default 15 minutes. Java:
    /// `consumeTimeout`, which is looked at as seldom as it is long, for the oldest messages only.
    pub consume_timeout: Duration,
    /// Messages a pull may bring. Default 32.
    pub pull_batch_size: i32,
    /// Bytes a pull may bring. Default 256 KiB.
    pub pull_batch_bytes: i32,
    /// How long a broker may hold a pull. Default 15 s.
    pub broker_suspend_max: Duration,
    /// How long a pull may take in all. Default 30 s; brokers look for expired pulls every 5 s.
    pub pull_timeout: Duration,
    /// Pause after a failed pull. Default 1 s.
    pub pull_delay_when_exception: Duration,
    /// How often a message is tried again before it goes to the dead letters. Default 16.
    pub max_reconsume_times: i32,
    /// Pause before a message is offered again here when it could not be sent back. Default 5 s.
    pub send_back_retry_delay: Duration,
    /// How often queues are divided anew without a reason to. Default 20 s.
    pub rebalance_interval: Duration,
    /// How queues are divided. Default averagely; all members must use the same.
    pub allocate_strategy: AllocateStrategy,
    /// How large an inflated body may be; a larger one can't be decoded. Default 32 MiB.
    pub inflated_bytes_max: usize,
}

/// How the queues of a topic are divided among the members of a group. Plain data: every member has
/// to come to the same result.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AllocateStrategy {
    /// Neighbouring queues in equal parts. Java: `AllocateMessageQueueAveragely`.
    Averagely,
    /// Dealt out one by one. Java: `AllocateMessageQueueAveragelyByCircle`.
    AveragelyByCircle,
    /// These queues, whatever the other members do. A queue that no member names is consumed by nobody, those
    /// of the group's retry topic, `%RETRY%` and the group, included; one that two members name comes twice.
    /// Java: `AllocateMessageQueueByConfig`.
    Config(Vec<MessageQueue>),
    /// Only queues of brokers named `room@broker` with one of these rooms, in equal parts.
    /// Java: `AllocateMessageQueueByMachineRoom`.
    MachineRoom {
        /// The rooms. Java: `consumeridcs`.
        rooms: BTreeSet<Arc<str>>,
    },
    /// Each room's queues go to its own members; those of a room without members to all.
    /// Java: `AllocateMachineRoomNearby`.
    MachineRoomNearby {
        /// How the queues of a room are divided.
        inner: Box<AllocateStrategy>,
        /// The room of a broker, from its name.
        brokers: RoomRule,
        /// The room of a member, from its client id.
        consumers: RoomRule,
    },
    /// By a hash ring, so that a change of members moves few queues.
    /// Java: `AllocateMessageQueueConsistentHash`.
    ConsistentHash {
        /// Points on the ring for each member. Java's default is 10.
        virtual_nodes: u32,
    },
}

/// How the machine room is told from a name. Java: `AllocateMachineRoomNearby.MachineRoomResolver`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RoomRule {
    /// The room is what stands before the first such character, as in `room1@broker-a`.
    Before(char),
    /// Names and their rooms.
    Table(BTreeMap<Arc<str>, Arc<str>>),
}

impl RoomRule {
    /// The room of `name`; `None` when the rule finds none.
    #[must_use]
    pub fn room(&self, name: &str) -> Option<Arc<str>> {
        match self {
            Self::Before(separator) => name
                .split_once(*separator)
                .map(|(room, _)| room)
                .filter(|room| !room.is_empty())
                .map(Arc::from),
            Self::Table(rooms) => rooms.get(name).cloned(),
        }
    }
}

impl PushConsumerConfig {
    /// The defaults, for this group; subscriptions are still to be added.
    pub fn new(group: impl Into<Arc<str>>) -> Self {
        Self {
            group: group.into(),
            subscriptions: BTreeMap::new(),
            message_model: MessageModel::Clustering,
            consume_from: ConsumeFrom::LastOffset,
            pull_threshold_for_queue: 1_000,
            pull_threshold_bytes_for_queue: 100 << 20,
            pull_threshold_for_topic: None,
            pull_threshold_bytes_for_topic: None,
            consume_concurrently_max_span: 2_000,
            cached_bytes_max: 256 << 20,
            consume_timeout: Duration::from_secs(15 * 60),
            pull_batch_size: 32,
            pull_batch_bytes: 256 << 10,
            broker_suspend_max: Duration::from_secs(15),
            pull_timeout: Duration::from_secs(30),
            pull_delay_when_exception: Duration::from_secs(1),
            max_reconsume_times: 16,
            send_back_retry_delay: Duration::from_secs(5),
            rebalance_interval: Duration::from_secs(20),
            allocate_strategy: AllocateStrategy::Averagely,
            inflated_bytes_max: 32 << 20,
        }
    }

    /// Checks every setting. Java: `DefaultMQPushConsumerImpl#checkConfig`.
    ///
    /// # Errors
    /// The first setting that can't work, with what to write instead.
    pub fn validate(&self) -> Result<(), UsageError> {
        check_group_name(&self.group, "DEFAULT_CONSUMER")?;
        if self.subscriptions.is_empty() {
            return Err(UsageError::NoSubscription { group: self.group.clone() });
        }
        for topic in self.subscriptions.keys() {
            let wrong = |reason| UsageError::Topic { topic: topic.clone(), reason };
            check_broker_topic(topic).map_err(wrong)?;
        }
        in_range("pull_threshold_for_queue", as_i64(self.pull_threshold_for_queue), 1, 65_535)?;
        in_range(
            "pull_threshold_bytes_for_queue",
            as_i64(self.pull_threshold_bytes_for_queue),
            1,
            1_024 << 20,
        )?;
        let topic_messages = as_i64(self.pull_threshold_for_topic.unwrap_or(1));
        in_range("pull_threshold_for_topic", topic_messages, 1, 6_553_500)?;
        let topic_bytes = as_i64(self.pull_threshold_bytes_for_topic.unwrap_or(1));
        in_range("pull_threshold_bytes_for_topic", topic_bytes, 1, 102_400 << 20)?;
        in_range("cached_bytes_max", as_i64(self.cached_bytes_max), 1, 1 << 40)?;
        at_least("consume_timeout", self.consume_timeout, INTERVAL_MIN)?;
        in_range("consume_concurrently_max_span", self.consume_concurrently_max_span, 1, 65_535)?;
        in_range("pull_batch_size", i64::from(self.pull_batch_size), 1, 1_024)?;
        in_range("pull_batch_bytes", i64::from(self.pull_batch_bytes), 1, 16 << 20)?;
        in_range("inflated_bytes_max", as_i64(self.inflated_bytes_max), 1, 1_024 << 20)?;
        at_least("pull_timeout", self.pull_timeout, self.broker_suspend_max)?;
        at_least("pull_delay_when_exception", self.pull_delay_when_exception, TIMEOUT_MIN)?;
        at_least("send_back_retry_delay", self.send_back_retry_delay, TIMEOUT_MIN)?;
        at_least("rebalance_interval", self.rebalance_interval, INTERVAL_MIN)?;
        in_range("max_reconsume_times", i64::from(self.max_reconsume_times), 1, i64::from(i32::MAX))
    }
}

fn check_group_name(group: &Arc<str>, reserved: &str) -> Result<(), UsageError> {
    if &**group == reserved {
        return Err(UsageError::ReservedGroup { group: group.clone() });
    }
    check_group(group).map_err(|reason| UsageError::Group { group: group.clone(), reason })
}

/// Work that repeats faster than this would leave time for nothing else.
const INTERVAL_MIN: Duration = Duration::from_millis(10);
/// The shortest time that anything may be given.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);

fn at_least(setting: &'static str, value: Duration, min: Duration) -> Result<(), UsageError> {
    if value < min { Err(UsageError::TooShort { setting, value, min }) } else { Ok(()) }
}

fn as_i64(value: usize) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

fn in_range(setting: &'static str, value: i64, min: i64, max: i64) -> Result<(), UsageError> {
    if (min..=max).contains(&value) {
        Ok(())
    } else {
        Err(UsageError::OutOfRange { setting, value, min, max })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        assert_eq!(split_address("127.0.0.1:9876"), Some(("127.0.0.1", 9876)));
        assert_eq!(split_address("[::1]:9876"), Some(("::1", 9876)));
        assert_eq!(split_address("mq.example:1"), Some(("mq.example", 1)));
        for wrong in
            ["", "localhost", ":9876", "host:", "host:0", "host:99999", "ho st:1", "http://h:1", "[::1:1"]
        {
            assert_eq!(split_address(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn settings_that_would_never_let_time_pass_are_refused() {
        let mut config = ClientConfig::new(["a:1"]);
        config.heartbeat_broker_interval = Duration::ZERO;
        let error = config.validate().expect_err("zero").to_string();
        assert_eq!(error, "heartbeat_broker_interval is 0ns, it must be at least 10ms");
        let mut config = PushConsumerConfig::new("g");
        config.subscriptions.insert("T".into(), "*".into());
        config.rebalance_interval = Duration::ZERO;
        assert!(config.validate().is_err());
    }

    #[test]
    fn a_subscribed_topic_that_no_broker_can_have_is_refused() {
        let check = |topic: &str| {
            let mut config = PushConsumerConfig::new("g");
            config.subscriptions.insert(topic.into(), "*".into());
            config.validate()
        };
        let error = check("my topic").expect_err("a blank").to_string();
        assert!(error.starts_with("topic \"my topic\" can't be used: "), "{error}");
        assert!(check("").is_err());
        let dead_letters = alloc::format!("%DLQ%{}", "g".repeat(120));
        assert!(check(&dead_letters).is_ok() && check("T").is_ok());
    }

    #[test]
    fn a_list_of_name_servers_is_split_at_semicolons() {
        let config = ClientConfig::parse("a:1; b:2;").expect("two addresses");
        assert_eq!(config.name_servers, [Arc::from("a:1"), Arc::from("b:2")]);
        assert_eq!(ClientConfig::parse(" ; "), Err(UsageError::NoNameServer));
        assert!(
            matches!(ClientConfig::parse("a:1;b"), Err(UsageError::NameServerAddress { address }) if &*address == "b")
        );
    }
}
