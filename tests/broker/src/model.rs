//! What topics, groups and subscriptions are made of, and their JSON.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::json::{Object, Value};

/// The version of a table. Java: `DataVersion`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct DataVersion {
    pub(crate) counter: i64,
    pub(crate) state_version: i64,
    pub(crate) timestamp: i64,
}

impl DataVersion {
    pub(crate) fn json(self) -> String {
        let mut out = Object::new();
        out.key("counter").number(self.counter);
        out.key("stateVersion").number(self.state_version);
        out.key("timestamp").number(self.timestamp);
        out.end()
    }

    pub(crate) fn read(value: &Value) -> Self {
        Self {
            counter: value.get("counter").as_i64().unwrap_or(0),
            state_version: value.get("stateVersion").as_i64().unwrap_or(0),
            timestamp: value.get("timestamp").as_i64().unwrap_or(0),
        }
    }
}

/// A topic on a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicConfig {
    /// `topicName`.
    pub topic_name: Arc<str>,
    /// `readQueueNums`.
    pub read_queue_nums: i32,
    /// `writeQueueNums`.
    pub write_queue_nums: i32,
    /// `perm`: the sum of 4 (read), 2 (write) and 1 (inherit).
    pub perm: i32,
    /// `topicFilterType`: `SINGLE_TAG` or `MULTI_TAG`.
    pub topic_filter_type: Arc<str>,
    /// `topicSysFlag`.
    pub topic_sys_flag: i32,
    /// `order`.
    pub order: bool,
    /// `attributes`, such as `message.type`.
    pub attributes: BTreeMap<Arc<str>, Arc<str>>,
}

impl Default for TopicConfig {
    fn default() -> Self {
        Self {
            topic_name: "".into(),
            read_queue_nums: 16,
            write_queue_nums: 16,
            perm: 6,
            topic_filter_type: "SINGLE_TAG".into(),
            topic_sys_flag: 0,
            order: false,
            attributes: BTreeMap::new(),
        }
    }
}

impl TopicConfig {
    pub(crate) fn json(&self) -> String {
        let mut attributes = Object::new();
        for (key, value) in &self.attributes {
            attributes.key(key).string(value);
        }
        let mut out = Object::new();
        out.key("attributes").raw(&attributes.end());
        out.key("order").bool(self.order);
        out.key("perm").number(self.perm.into());
        out.key("readQueueNums").number(self.read_queue_nums.into());
        out.key("topicFilterType").string(&self.topic_filter_type);
        out.key("topicName").string(&self.topic_name);
        out.key("topicSysFlag").number(self.topic_sys_flag.into());
        out.key("writeQueueNums").number(self.write_queue_nums.into());
        out.end()
    }

    pub(crate) fn read(value: &Value) -> Self {
        let default = Self::default();
        let number = |key, otherwise| value.get(key).as_i32().unwrap_or(otherwise);
        let attribute =
            |(key, value): &(String, Value)| (key.as_str().into(), value.as_str().unwrap_or_default().into());
        Self {
            topic_name: value.get("topicName").as_str().unwrap_or_default().into(),
            read_queue_nums: number("readQueueNums", default.read_queue_nums),
            write_queue_nums: number("writeQueueNums", default.write_queue_nums),
            perm: number("perm", default.perm),
            topic_filter_type: value.get("topicFilterType").as_str().unwrap_or("SINGLE_TAG").into(),
            topic_sys_flag: number("topicSysFlag", 0),
            order: value.get("order").as_bool().unwrap_or(false),
            attributes: value.get("attributes").members().iter().map(attribute).collect(),
        }
    }
}

/// A consumer group on a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SubscriptionGroupConfig {
    /// `groupName`.
    pub group_name: Arc<str>,
    /// `consumeEnable`.
    pub consume_enable: bool,
    /// `consumeFromMinEnable`.
    pub consume_from_min_enable: bool,
    /// `consumeBroadcastEnable`.
    pub consume_broadcast_enable: bool,
    /// `consumeMessageOrderly`.
    pub consume_message_orderly: bool,
    /// `retryQueueNums`.
    pub retry_queue_nums: i32,
    /// `retryMaxTimes`.
    pub retry_max_times: i32,
    /// `brokerId`.
    pub broker_id: i64,
    /// `whichBrokerWhenConsumeSlowly`.
    pub which_broker_when_consume_slowly: i64,
    /// `notifyConsumerIdsChangedEnable`.
    pub notify_consumer_ids_changed_enable: bool,
    /// `groupSysFlag`.
    pub group_sys_flag: i32,
    /// `consumeTimeoutMinute`.
    pub consume_timeout_minute: i32,
}

impl Default for SubscriptionGroupConfig {
    fn default() -> Self {
        Self {
            group_name: "".into(),
            consume_enable: true,
            consume_from_min_enable: true,
            consume_broadcast_enable: true,
            consume_message_orderly: false,
            retry_queue_nums: 1,
            retry_max_times: 16,
            broker_id: 0,
            which_broker_when_consume_slowly: 1,
            notify_consumer_ids_changed_enable: true,
            group_sys_flag: 0,
            consume_timeout_minute: 15,
        }
    }
}

impl SubscriptionGroupConfig {
    pub(crate) fn json(&self) -> String {
        let mut out = Object::new();
        out.key("attributes").raw("{}");
        out.key("brokerId").number(self.broker_id);
        out.key("consumeBroadcastEnable").bool(self.consume_broadcast_enable);
        out.key("consumeEnable").bool(self.consume_enable);
        out.key("consumeFromMinEnable").bool(self.consume_from_min_enable);
        out.key("consumeMessageOrderly").bool(self.consume_message_orderly);
        out.key("consumeTimeoutMinute").number(self.consume_timeout_minute.into());
        out.key("groupName").string(&self.group_name);
        out.key("groupRetryPolicy").raw(r#"{"type":"CUSTOMIZED"}"#);
        out.key("groupSysFlag").number(self.group_sys_flag.into());
        out.key("notifyConsumerIdsChangedEnable").bool(self.notify_consumer_ids_changed_enable);
        out.key("retryMaxTimes").number(self.retry_max_times.into());
        out.key("retryQueueNums").number(self.retry_queue_nums.into());
        out.key("whichBrokerWhenConsumeSlowly").number(self.which_broker_when_consume_slowly);
        out.end()
    }

    pub(crate) fn read(value: &Value) -> Self {
        let default = Self::default();
        let flag = |key, otherwise| value.get(key).as_bool().unwrap_or(otherwise);
        let number = |key, otherwise| value.get(key).as_i32().unwrap_or(otherwise);
        let long = |key, otherwise| value.get(key).as_i64().unwrap_or(otherwise);
        Self {
            group_name: value.get("groupName").as_str().unwrap_or_default().into(),
            consume_enable: flag("consumeEnable", default.consume_enable),
            consume_from_min_enable: flag("consumeFromMinEnable", default.consume_from_min_enable),
            consume_broadcast_enable: flag("consumeBroadcastEnable", default.consume_broadcast_enable),
            consume_message_orderly: flag("consumeMessageOrderly", default.consume_message_orderly),
            retry_queue_nums: number("retryQueueNums", default.retry_queue_nums),
            retry_max_times: number("retryMaxTimes", default.retry_max_times),
            broker_id: long("brokerId", default.broker_id),
            which_broker_when_consume_slowly: long("whichBrokerWhenConsumeSlowly", 1),
            notify_consumer_ids_changed_enable: flag("notifyConsumerIdsChangedEnable", true),
            group_sys_flag: number("groupSysFlag", default.group_sys_flag),
            consume_timeout_minute: number("consumeTimeoutMinute", default.consume_timeout_minute),
        }
    }
}

/// What a group wants of a topic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct SubscriptionData {
    pub(crate) topic: Arc<str>,
    pub(crate) sub_string: Arc<str>,
    pub(crate) tags_set: Vec<Arc<str>>,
    pub(crate) code_set: Vec<i32>,
    pub(crate) sub_version: i64,
    pub(crate) expression_type: Arc<str>,
    pub(crate) class_filter_mode: bool,
}

impl SubscriptionData {
    pub(crate) fn json(&self) -> String {
        let mut out = Object::new();
        out.key("classFilterMode").bool(self.class_filter_mode);
        out.key("codeSet").array(self.code_set.iter().map(ToString::to_string));
        out.key("expressionType").string(&self.expression_type);
        out.key("subString").string(&self.sub_string);
        out.key("subVersion").number(self.sub_version);
        out.key("tagsSet").strings(self.tags_set.iter().map(|tag| &**tag));
        out.key("topic").string(&self.topic);
        out.end()
    }

    pub(crate) fn read(value: &Value) -> Self {
        let text = |key| value.get(key).as_str().unwrap_or_default().into();
        let tags = value.get("tagsSet").items();
        Self {
            topic: text("topic"),
            sub_string: text("subString"),
            tags_set: tags.iter().filter_map(Value::as_str).map(Into::into).collect(),
            code_set: value.get("codeSet").items().iter().filter_map(Value::as_i32).collect(),
            sub_version: value.get("subVersion").as_i64().unwrap_or(0),
            expression_type: value.get("expressionType").as_str().unwrap_or("TAG").into(),
            class_filter_mode: value.get("classFilterMode").as_bool().unwrap_or(false),
        }
    }
}

/// Whether the members of a group share a topic or each get all of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MessageModel {
    Clustering,
    Broadcasting,
}

impl MessageModel {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Clustering => "CLUSTERING",
            Self::Broadcasting => "BROADCASTING",
        }
    }
}

/// A consumer group in a heartbeat.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ConsumerData {
    pub(crate) group_name: Arc<str>,
    pub(crate) consume_type: Arc<str>,
    pub(crate) message_model: MessageModel,
    pub(crate) consume_from_where: Arc<str>,
    pub(crate) subscription_data_set: Vec<SubscriptionData>,
}

impl ConsumerData {
    pub(crate) fn read(value: &Value) -> Self {
        let text = |key| value.get(key).as_str().unwrap_or_default().into();
        let broadcasting = value.get("messageModel").as_str() == Some("BROADCASTING");
        let subscriptions = value.get("subscriptionDataSet").items();
        Self {
            group_name: text("groupName"),
            consume_type: text("consumeType"),
            message_model: if broadcasting { MessageModel::Broadcasting } else { MessageModel::Clustering },
            consume_from_where: text("consumeFromWhere"),
            subscription_data_set: subscriptions.iter().map(SubscriptionData::read).collect(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn configurations_are_javas_bytes_and_read_back() {
        let topic = r#"{"attributes":{"message.type":"FIFO"},"order":false,"perm":6,"readQueueNums":2,"topicFilterType":"SINGLE_TAG","topicName":"ProtoL1","topicSysFlag":0,"writeQueueNums":2}"#;
        assert_eq!(TopicConfig::read(&Value::parse(topic.as_bytes()).unwrap()).json(), topic);
        let group = r#"{"attributes":{},"brokerId":0,"consumeBroadcastEnable":true,"consumeEnable":true,"consumeFromMinEnable":true,"consumeMessageOrderly":false,"consumeTimeoutMinute":15,"groupName":"cg","groupRetryPolicy":{"type":"CUSTOMIZED"},"groupSysFlag":0,"notifyConsumerIdsChangedEnable":true,"retryMaxTimes":16,"retryQueueNums":1,"whichBrokerWhenConsumeSlowly":1}"#;
        let partial = Value::parse(br#"{"groupName":"cg"}"#).unwrap();
        assert_eq!(SubscriptionGroupConfig::read(&partial).json(), group);
        let subscription = r#"{"classFilterMode":false,"codeSet":[2598919,2598920],"expressionType":"TAG","subString":"TagA || TagB","subVersion":1700000000000,"tagsSet":["TagA","TagB"],"topic":"TopicGolden"}"#;
        assert_eq!(
            SubscriptionData::read(&Value::parse(subscription.as_bytes()).unwrap()).json(),
            subscription
        );
    }
}
