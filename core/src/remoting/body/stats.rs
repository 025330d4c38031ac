//! Figures.

use super::{DataVersion, SubscriptionData, bodies};
use crate::message::MessageQueue;
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

bodies! {
    /// How far a group has come.
    ConsumeStats {
        /// Messages a second.
        consume_tps: "consumeTps" f64,
        /// Offsets by queue.
        offset_table: "offsetTable" BTreeMap<MessageQueue, OffsetWrapper>,
    }

    /// How far a group has come in a queue.
    OffsetWrapper [Eq] {
        /// Where the queue ends.
        broker_offset: "brokerOffset" i64,
        /// What the group has committed.
        consumer_offset: "consumerOffset" i64,
        /// When the last consumed message was stored, in Unix milliseconds.
        last_timestamp: "lastTimestamp" i64,
        /// What the group has pulled.
        pull_offset: "pullOffset" i64,
    }

    /// How far all groups of a broker have come.
    ConsumeStatsList {
        /// The broker.
        broker_addr: "brokerAddr" Option<Arc<str>>,
        /// One table of one group each.
        consume_stats_list: "consumeStatsList" Vec<BTreeMap<Arc<str>, Vec<ConsumeStats>>>,
        /// Messages nobody has consumed yet.
        total_diff: "totalDiff" i64,
        /// Messages on their way.
        total_inflight_diff: "totalInflightDiff" i64,
    }

    /// Where a topic's queues start and end.
    TopicStatsTable {
        /// Offsets by queue.
        offset_table: "offsetTable" BTreeMap<MessageQueue, TopicOffset>,
        /// Messages stored a second.
        topic_put_tps: "topicPutTps" f64,
    }

    /// Where a queue starts and ends.
    TopicOffset [Eq] {
        /// When the last message was stored, in Unix milliseconds.
        last_update_timestamp: "lastUpdateTimestamp" i64,
        /// The offset after the last message.
        max_offset: "maxOffset" i64,
        /// The offset of the first message.
        min_offset: "minOffset" i64,
    }

    /// How far behind a group is, in time.
    QueryConsumeTimeSpanBody [Eq] {
        /// One entry a queue.
        consume_time_span_set: "consumeTimeSpanSet" Vec<QueueTimeSpan>,
    }

    /// How far behind a group is in a queue; times are Unix milliseconds.
    QueueTimeSpan [Eq] {
        /// The consumed message's time.
        consume_time_stamp: "consumeTimeStamp" i64,
        /// How far behind, in milliseconds.
        delay_time: "delayTime" i64,
        /// The last message's time.
        max_time_stamp: "maxTimeStamp" i64,
        /// The queue.
        message_queue: "messageQueue" Option<MessageQueue>,
        /// The first message's time.
        min_time_stamp: "minTimeStamp" i64,
    }

    /// One statistic of a broker.
    BrokerStatsData {
        /// Of the last day.
        stats_day: "statsDay" BrokerStatsItem,
        /// Of the last hour.
        stats_hour: "statsHour" BrokerStatsItem,
        /// Of the last minute.
        stats_minute: "statsMinute" BrokerStatsItem,
    }

    /// A statistic over a time.
    BrokerStatsItem {
        /// The average of one.
        avgpt: "avgpt" f64,
        /// How many.
        sum: "sum" i64,
        /// How many a second.
        tps: "tps" f64,
    }

    /// Entries of a consume queue.
    QueryConsumeQueueResponseBody [Eq] {
        /// The group's filter.
        filter_data: "filterData" Option<Arc<str>>,
        /// Where the queue ends.
        max_queue_index: "maxQueueIndex" i64,
        /// Where the queue starts.
        min_queue_index: "minQueueIndex" i64,
        /// The entries.
        queue_data: "queueData" Vec<ConsumeQueueData>,
        /// The group's subscription.
        subscription_data: "subscriptionData" Option<SubscriptionData>,
    }

    /// An entry of a consume queue.
    ConsumeQueueData [Eq] {
        /// Whether the filter lets it pass.
        eval: "eval" bool,
        /// Where the message is in the commit log.
        physic_offset: "physicOffset" i64,
        /// How long it is there.
        physic_size: "physicSize" i32,
        /// The tag's hash.
        tags_code: "tagsCode" i64,
    }

    /// A group's subscription to a topic.
    QuerySubscriptionResponseBody [Eq] {
        /// The group.
        group: "group" Arc<str>,
        /// The subscription, if there is one.
        subscription_data: "subscriptionData" Option<SubscriptionData>,
        /// The topic.
        topic: "topic" Option<Arc<str>>,
    }

    /// How many timer messages wait.
    TimerMetrics [Eq] {
        /// The table's version.
        data_version: "dataVersion" Option<DataVersion>,
        /// Counts by topic.
        timing_count: "timingCount" BTreeMap<Arc<str>, TimerMetric>,
    }

    /// How many timer messages of a topic wait.
    TimerMetric [Eq] {
        /// How many.
        count: "count" i64,
        /// When that changed, in Unix milliseconds.
        time_stamp: "timeStamp" i64,
    }
}
