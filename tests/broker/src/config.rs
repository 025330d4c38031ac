//! What a broker is and how it behaves where Apache RocketMQ has a setting for it.

use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_core::message::DELAY_LEVELS;
use rocketmq_client_core::message::validate::BODY_BYTES_MAX;
use rocketmq_client_core::route::MASTER_ID;

/// The settings of a [`Broker`](crate::Broker). Defaults are those of a broker 5.4.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BrokerConfig {
    /// `brokerClusterName`: `DefaultCluster`.
    pub cluster_name: Arc<str>,
    /// `brokerName`: `broker-a`.
    pub broker_name: Arc<str>,
    /// `brokerId`: 0, a master; others are slaves.
    pub broker_id: i64,
    /// The address that routes and message ids name: `127.0.0.1:10911`. Must be what clients can reach.
    pub addr: SocketAddr,
    /// `namesrvAddr`: none; what tools are told of the name servers that the host registers it with.
    pub name_servers: Arc<str>,
    /// `slaveReadEnable`: false; whether a slave answers pulls.
    pub slave_read: bool,
    /// `regionId`: `DefaultRegion`, put on every message.
    pub region_id: Arc<str>,
    /// `autoCreateTopicEnable`: true.
    pub auto_create_topic: bool,
    /// `autoCreateSubscriptionGroup`: true.
    pub auto_create_group: bool,
    /// `defaultTopicQueueNums`: 8 queues of `TBW102`, which bounds those of auto-created topics.
    pub default_topic_queues: i32,
    /// `messageDelayLevel`.
    pub delay_levels: DelayLevels,
    /// `maxMessageSize`: 4 MiB of body.
    pub message_bytes_max: usize,
    /// `maxTransferCountOnMessageInMemory`: 32 messages in a pull answer.
    pub pull_count_max: usize,
    /// `maxTransferBytesOnMessageInMemory`: 256 KiB in a pull answer, but always one message.
    pub pull_bytes_max: usize,
    /// `longPollingEnable`: true. When false a pull is held for one second only.
    pub long_polling: bool,
    /// How often held pulls are looked at for time-outs and filtered messages: 5 s.
    pub hold_scan_period: Duration,
    /// `channelExpiredTimeout`: a client without heartbeat is dropped after 120 s.
    pub channel_expire: Duration,
    /// The period of the scan for such clients: 10 s.
    pub channel_scan_period: Duration,
    /// A queue lock that isn't renewed ends after 60 s.
    pub lock_expire: Duration,
    /// `registerNameServerPeriod`: 30 s.
    pub register_period: Duration,
    /// `flushDiskType`: asynchronous. Decides what is left after [`Durability::Flushed`](crate::Durability::Flushed).
    pub flush_disk: FlushDisk,
    /// `flushConsumerOffsetInterval`: 5 s of commits are lost by a crash.
    pub offset_flush_period: Duration,
    /// `flushDelayOffsetInterval`: 10 s of deliveries are repeated after a crash.
    pub delay_flush_period: Duration,
    /// Time from an append to its visibility in the queue. The broker's is a few milliseconds; zero by default.
    pub dispatch_lag: Duration,
    /// The log keeps this many bytes (1 GiB); the oldest segments go first.
    pub log_bytes_max: u64,
    /// What is deleted at once: 64 MiB. Java: `mappedFileSizeCommitLog`.
    pub log_segment_bytes: u64,
    /// `transactionCheckInterval`: 30 s.
    pub transaction_check_period: Duration,
    /// `transactionTimeOut`: a half message is left alone for 6 s.
    pub transaction_timeout: Duration,
    /// `transactionCheckMax`: 15 questions, then the half message is discarded.
    pub transaction_check_max: i32,
    /// `timerWheelEnable`: true. Without it timer messages and pops are refused.
    pub timer_wheel: bool,
    /// `timerMaxDelaySec`: timer messages wait for three days at most.
    pub timer_delay_max: Duration,
    /// `recallMessageEnable`: false; whether timer messages can be taken back.
    pub recall: bool,
    /// `enableRetryTopicV2`: false; true names the retry topics of pops `%RETRY%group+topic`.
    pub retry_topic_v2: bool,
    /// `reviveInterval`: 1 s between looks for popped messages that are due again.
    pub revive_period: Duration,
    /// `traceTopicEnable`: false; whether `RMQ_SYS_TRACE_TOPIC` exists from the start.
    pub trace_topic: bool,
}

impl Default for BrokerConfig {
    fn default() -> Self {
        Self {
            cluster_name: "DefaultCluster".into(),
            broker_name: "broker-a".into(),
            broker_id: MASTER_ID,
            addr: SocketAddr::from((Ipv4Addr::LOCALHOST, 10_911)),
            name_servers: "".into(),
            slave_read: false,
            region_id: "DefaultRegion".into(),
            auto_create_topic: true,
            auto_create_group: true,
            default_topic_queues: 8,
            delay_levels: DelayLevels::default(),
            message_bytes_max: BODY_BYTES_MAX,
            pull_count_max: 32,
            pull_bytes_max: 256 << 10,
            long_polling: true,
            hold_scan_period: Duration::from_secs(5),
            channel_expire: Duration::from_secs(120),
            channel_scan_period: Duration::from_secs(10),
            lock_expire: Duration::from_secs(60),
            register_period: Duration::from_secs(30),
            flush_disk: FlushDisk::Async,
            offset_flush_period: Duration::from_secs(5),
            delay_flush_period: Duration::from_secs(10),
            dispatch_lag: Duration::ZERO,
            log_bytes_max: 1 << 30,
            log_segment_bytes: 64 << 20,
            transaction_check_period: Duration::from_secs(30),
            transaction_timeout: Duration::from_secs(6),
            transaction_check_max: 15,
            timer_wheel: true,
            timer_delay_max: Duration::from_secs(3 * 24 * 3_600),
            recall: false,
            retry_topic_v2: false,
            revive_period: Duration::from_secs(1),
            trace_topic: false,
        }
    }
}

/// When a stored message is on the disk, where a power loss leaves it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FlushDisk {
    /// `ASYNC_FLUSH`: sends are answered at once. The log is flushed every 500 ms if that is four pages of
    /// 4 KiB or more, and every 10 s whatever there is.
    #[default]
    Async,
    /// `SYNC_FLUSH`: a send is answered when its message is flushed, unless it has the property `WAIT=false`.
    Sync,
}

/// The table of delay levels. Level 1 is the first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DelayLevels(Vec<Duration>);

impl Default for DelayLevels {
    /// `1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h`.
    fn default() -> Self {
        Self(DELAY_LEVELS.to_vec())
    }
}

/// Why a table of delay levels was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum DelayLevelsError {
    /// A word of a `messageDelayLevel` text is no time.
    #[error("delay level {word:?} is not a number followed by s, m, h or d")]
    Word {
        /// The word.
        word: String,
    },
    /// A table holds 1 to 1000 levels.
    #[error("{count} delay levels: give between 1 and 1000")]
    Count {
        /// How many there were.
        count: usize,
    },
}

impl DelayLevels {
    /// A table of these delays.
    ///
    /// # Errors
    /// When there is no level or more than 1000.
    pub fn new(levels: impl IntoIterator<Item = Duration>) -> Result<Self, DelayLevelsError> {
        let levels: Vec<_> = levels.into_iter().collect();
        match levels.len() {
            1..=1_000 => Ok(Self(levels)),
            count => Err(DelayLevelsError::Count { count }),
        }
    }

    /// Reads the form of the broker's configuration file: `1s 5s 1m 2h`.
    ///
    /// # Errors
    /// When a word is no time, or as [`DelayLevels::new`].
    pub fn parse(text: &str) -> Result<Self, DelayLevelsError> {
        let levels: Result<Vec<_>, _> = text.split_whitespace().map(parse_delay).collect();
        Self::new(levels?)
    }

    /// The delay of a level; levels above the last count as the last.
    ///
    /// # Panics
    /// Never: a table isn't empty.
    #[must_use]
    pub fn delay(&self, level: i32) -> Duration {
        let index = usize::try_from(level.saturating_sub(1)).unwrap_or(0);
        *self.0.get(index).or(self.0.last()).expect("a table of delay levels isn't empty")
    }

    /// The number of levels.
    #[must_use]
    pub fn count(&self) -> i32 {
        i32::try_from(self.0.len()).unwrap_or(i32::MAX)
    }
}

/// As the broker's configuration file has it: `1s 5s 1m 2h`.
impl fmt::Display for DelayLevels {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, delay) in self.0.iter().enumerate() {
            let blank = if index == 0 { "" } else { " " };
            let (number, unit) = match delay.as_secs() {
                seconds if seconds % 3_600 == 0 && seconds > 0 => (seconds / 3_600, 'h'),
                seconds if seconds % 60 == 0 && seconds > 0 => (seconds / 60, 'm'),
                seconds => (seconds, 's'),
            };
            write!(f, "{blank}{number}{unit}")?;
        }
        Ok(())
    }
}

fn parse_delay(word: &str) -> Result<Duration, DelayLevelsError> {
    let refused = || DelayLevelsError::Word { word: word.to_owned() };
    let unit = word.chars().last().ok_or_else(refused)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(refused()),
    };
    let number: u64 = word[..word.len() - 1].parse().map_err(|_| refused())?;
    Ok(Duration::from_secs(number.saturating_mul(seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_default_table_is_the_brokers() {
        let text = "1s 5s 10s 30s 1m 2m 3m 4m 5m 6m 7m 8m 9m 10m 20m 30m 1h 2h";
        let levels = DelayLevels::default();
        assert_eq!(DelayLevels::parse(text).unwrap(), levels);
        assert_eq!(levels.to_string(), text);
        assert_eq!((levels.count(), levels.delay(3)), (18, Duration::from_secs(10)));
        assert_eq!(levels.delay(99), Duration::from_secs(7_200), "a level too high counts as the last");
    }

    #[test]
    fn a_bad_table_is_refused_with_the_word() {
        for word in ["5", "s", "1x", "-1s", "1.5s", "5µ"] {
            assert_eq!(DelayLevels::parse(word), Err(DelayLevelsError::Word { word: word.to_owned() }));
        }
        assert_eq!(DelayLevels::parse(" "), Err(DelayLevelsError::Count { count: 0 }));
    }
}
