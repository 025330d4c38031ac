//! The broker itself: settings, figures, replication; and what a default broker refuses.
//! Java: `AdminBrokerProcessor`.

use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_core::remoting::{
    BrokerStatsData, BrokerStatsItem, GetBrokerConfigResponseHeader, HARuntimeInfo, RemotingCommand,
    RequestCode, ResponseCode,
};
use rocketmq_client_core::time::Instant;

use super::{Handled, not_supported};
use crate::asker::{Asker, Refusal, nullable, or_null};
use crate::broker::Broker;
use crate::config::{BrokerConfig, FlushDisk};
use crate::reply::Answer;
use crate::settings::{Setting, bool_setting, change, millis_setting, number_setting, show};

/// Java: `configBlackList`, and what always belongs to it.
const FIXED: [&str; 2] = ["configBlackList", "brokerConfigPath"];

/// A setting that is shown and never changes while the broker runs.
macro_rules! fixed_setting {
    ($name:literal, $show:expr) => {
        Setting { name: $name, show: $show, change: |_, _| {} }
    };
}

const SETTINGS: &[Setting<BrokerConfig>] = &[
    fixed_setting!("brokerClusterName", |config| config.cluster_name.to_string()),
    fixed_setting!("brokerName", |config| config.broker_name.to_string()),
    fixed_setting!("brokerId", |config| config.broker_id.to_string()),
    fixed_setting!("brokerIP1", |config| config.addr.ip().to_string()),
    fixed_setting!("listenPort", |config| config.addr.port().to_string()),
    fixed_setting!("namesrvAddr", |config| config.name_servers.to_string()),
    fixed_setting!("regionId", |config| config.region_id.to_string()),
    fixed_setting!("messageDelayLevel", |config| config.delay_levels.to_string()),
    fixed_setting!("maxMessageSize", |config| config.message_bytes_max.to_string()),
    fixed_setting!("traceTopicEnable", |config| config.trace_topic.to_string()),
    bool_setting!("autoCreateTopicEnable", auto_create_topic),
    bool_setting!("autoCreateSubscriptionGroup", auto_create_group),
    bool_setting!("slaveReadEnable", slave_read),
    bool_setting!("longPollingEnable", long_polling),
    number_setting!("defaultTopicQueueNums", default_topic_queues),
    number_setting!("maxTransferCountOnMessageInMemory", pull_count_max),
    number_setting!("maxTransferBytesOnMessageInMemory", pull_bytes_max),
    number_setting!("transactionCheckMax", transaction_check_max),
    millis_setting!("transactionTimeOut", transaction_timeout),
    fixed_setting!("transactionCheckInterval", |config| millis(config.transaction_check_period)),
    fixed_setting!("channelExpiredTimeout", |config| millis(config.channel_expire)),
    fixed_setting!("registerNameServerPeriod", |config| millis(config.register_period)),
    fixed_setting!("flushConsumerOffsetInterval", |config| millis(config.offset_flush_period)),
    fixed_setting!("flushDelayOffsetInterval", |config| millis(config.delay_flush_period)),
    fixed_setting!("flushDiskType", |config| match config.flush_disk {
        FlushDisk::Async => "ASYNC_FLUSH".to_owned(),
        FlushDisk::Sync => "SYNC_FLUSH".to_owned(),
    }),
    fixed_setting!("mappedFileSizeCommitLog", |config| config.log_segment_bytes.to_string()),
];

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);
const DAY: Duration = Duration::from_secs(86_400);

fn millis(time: Duration) -> String {
    time.as_millis().to_string()
}

impl Broker {
    pub(crate) fn broker_settings(&mut self, now: Instant, asker: &Asker) -> Handled {
        let body = show(SETTINGS, &*self.config)?;
        let version = String::from_utf8_lossy(&self.topics.version.encode()).into_owned();
        let header = GetBrokerConfigResponseHeader { version: version.into() };
        self.replier.reply(now, asker, Answer::OK, &header, [body].iter());
        Ok(())
    }

    pub(crate) fn change_broker_settings(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        change(SETTINGS, Arc::make_mut(&mut self.config), &FIXED, &command.body)?;
        self.groups.set_auto_create(self.config.auto_create_group);
        self.replier.ok(now, asker);
        Ok(())
    }

    /// How many messages, or bytes, came for a topic or went to a group lately. Java: `BrokerStatsManager`.
    pub(crate) fn stats_data(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let (name, key) = (nullable(command, "statsName"), nullable(command, "statsKey"));
        let (name, key) = (or_null(&name), or_null(&key));
        let over = |period| self.stats_over(now, name, key, period);
        let periods = (over(MINUTE), over(HOUR), over(DAY));
        let (Some(stats_minute), Some(stats_hour), Some(stats_day)) = periods else {
            let remark = format!("The stats <{name}> <{key}> not exist");
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
        };
        let body = BrokerStatsData { stats_minute, stats_hour, stats_day };
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    /// A figure over a period; `None` for a name that is not kept and a key of which nothing is known.
    fn stats_over(&self, now: Instant, name: &str, key: &str, period: Duration) -> Option<BrokerStatsItem> {
        match name {
            "TOPIC_PUT_NUMS" | "TOPIC_PUT_SIZE" => {
                self.has_messages(key).then(|| self.puts_over(now, key, name == "TOPIC_PUT_SIZE", period))
            }
            "GROUP_GET_NUMS" | "GROUP_GET_SIZE" => {
                let (topic, group) = key.split_once('@')?;
                self.gets.over(self.wall(now), topic, group, name == "GROUP_GET_SIZE", period)
            }
            _ => None,
        }
    }

    fn has_messages(&self, topic: &str) -> bool {
        let queues = self.topics.get(topic).map_or(0, |config| config.write_queue_nums);
        (0..queues).any(|queue_id| self.store.queue_of(topic, queue_id).is_some_and(|queue| queue.max() > 0))
    }

    fn puts_over(&self, now: Instant, topic: &str, bytes: bool, period: Duration) -> BrokerStatsItem {
        let since = self.wall(now).as_millis().saturating_sub(i64::try_from(period.as_millis()).unwrap_or(0));
        let queues = self.topics.get(topic).map_or(0, |config| config.write_queue_nums);
        let (mut sum, mut times) = (0_u32, 0_u32);
        for queue in (0..queues).filter_map(|queue_id| self.store.queue_of(topic, queue_id)) {
            let newest = (queue.min()..queue.max()).rev().filter_map(|offset| queue.get(offset));
            for entry in newest.take_while(|entry| entry.store_timestamp.as_millis() >= since) {
                sum = sum.saturating_add(if bytes { entry.size } else { 1 });
                times = times.saturating_add(1);
            }
        }
        BrokerStatsItem {
            avgpt: if times == 0 { 0.0 } else { f64::from(sum) / f64::from(times) },
            sum: sum.into(),
            tps: f64::from(sum) / period.as_secs_f64(),
        }
    }

    pub(crate) fn ha_status(&mut self, now: Instant, asker: &Asker) -> Handled {
        let body = HARuntimeInfo {
            master: true,
            master_commit_log_max_offset: i64::try_from(self.store.log.end()).unwrap_or(i64::MAX),
            ..HARuntimeInfo::default()
        };
        self.replier.body(now, asker, body.encode());
        Ok(())
    }
}

/// What a broker with default settings says to requests that it has no use for: no users, no controllers.
pub(super) fn refusal_of(code: RequestCode, command: &RemotingCommand) -> Refusal {
    let failed = |remark: &str| Refusal::new(ResponseCode::SYSTEM_ERROR, remark);
    let blank = |field: &str| nullable(command, field).is_none_or(|value| value.trim().is_empty());
    match code {
        RequestCode::AUTH_DELETE_USER if blank("username") => {
            Refusal::new(ResponseCode::NO_PERMISSION, "username can not be blank")
        }
        RequestCode::AUTH_CREATE_USER | RequestCode::AUTH_UPDATE_USER | RequestCode::AUTH_GET_USER
            if blank("username") =>
        {
            Refusal::new(ResponseCode::INVALID_PARAMETER, "The username is blank")
        }
        RequestCode::AUTH_DELETE_ACL | RequestCode::AUTH_GET_ACL if blank("subject") => {
            Refusal::new(ResponseCode::NO_PERMISSION, "The subject is null.")
        }
        RequestCode::AUTH_CREATE_USER
        | RequestCode::AUTH_UPDATE_USER
        | RequestCode::AUTH_DELETE_USER
        | RequestCode::AUTH_GET_USER
        | RequestCode::AUTH_LIST_USER
        | RequestCode::AUTH_CREATE_ACL
        | RequestCode::AUTH_UPDATE_ACL
        | RequestCode::AUTH_DELETE_ACL
        | RequestCode::AUTH_GET_ACL => failed("An system error occurred, please try again later."),
        RequestCode::AUTH_LIST_ACL => failed("The authorizationMetadataProvider is not configured."),
        RequestCode::GET_BROKER_EPOCH_CACHE => failed("this request only for controllerMode "),
        _ => not_supported(code),
    }
}
