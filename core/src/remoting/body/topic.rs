//! Configurations of topics and groups, and a broker's registration.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

use super::{TopicQueueMappingDetail, TopicQueueMappingInfo, bodies, names};
use crate::remoting::{JsonError, VERSION, json::JsonReader};
use alloc::{collections::BTreeMap, format, string::String, sync::Arc, vec::Vec};

names! {
    /// How tags of a topic's messages are read. Java: `TopicFilterType`.
    TopicFilterType {
        /// A message has one tag.
        SingleTag = "SINGLE_TAG",
        /// A message may have several tags.
        MultiTag = "MULTI_TAG",
    }

    /// How a group's retries are spaced. Java: `GroupRetryPolicyType`.
    GroupRetryPolicyType {
        /// By a list of delays.
        Customized = "CUSTOMIZED",
        /// Each delay a multiple of the one before.
        Exponential = "EXPONENTIAL",
    }
}

bodies! {
    /// Which of two tables is newer.
    DataVersion [Copy, Eq] {
        /// Counts changes.
        counter: "counter" i64,
        /// The controller's epoch.
        state_version: "stateVersion" i64,
        /// When it changed, in Unix milliseconds.
        timestamp: "timestamp" i64,
    }

    /// How a broker holds a topic.
    TopicConfig [Eq] {
        /// Values by attribute, such as `message.type`.
        attributes: "attributes" BTreeMap<Arc<str>, Arc<str>>,
        /// The queues of a static topic; only in the answer to `GET_TOPIC_CONFIG`.
        mapping_detail: "mappingDetail" Option<TopicQueueMappingDetail>,
        /// Whether the topic is ordered across brokers.
        order: "order" bool,
        /// Bits: 4 readable, 2 writable, 1 inherited.
        perm: "perm" i32 = 6,
        /// How many queues can be read.
        read_queue_nums: "readQueueNums" i32 = 16,
        /// How tags are read.
        topic_filter_type: "topicFilterType" TopicFilterType = TopicFilterType::SingleTag,
        /// The topic.
        topic_name: "topicName" Arc<str>,
        /// The topic's system flag.
        topic_sys_flag: "topicSysFlag" i32,
        /// How many queues can be written.
        write_queue_nums: "writeQueueNums" i32 = 16,
    }

    /// Topics to create.
    CreateTopicListRequestBody [Eq] {
        /// The topics.
        topic_config_list: "topicConfigList" Vec<TopicConfig>,
    }

    /// All topics of a broker; brokers before 5.0 leave the mapping out.
    TopicConfigAndMappingSerializeWrapper [Eq] {
        /// The table's version.
        data_version: "dataVersion" DataVersion,
        /// The mapping's version.
        mapping_data_version: "mappingDataVersion" Option<DataVersion>,
        /// Configurations by topic.
        topic_config_table: "topicConfigTable" BTreeMap<Arc<str>, TopicConfig>,
        /// Static topics with their history.
        topic_queue_mapping_detail_map: "topicQueueMappingDetailMap" Option<BTreeMap<Arc<str>, TopicQueueMappingDetail>>,
        /// Static topics.
        topic_queue_mapping_info_map: "topicQueueMappingInfoMap" Option<BTreeMap<Arc<str>, TopicQueueMappingInfo>>,
    }

    /// What a broker registers.
    RegisterBrokerBody [Eq] {
        /// Addresses of filter servers.
        filter_server_list: "filterServerList" Vec<Arc<str>>,
        /// Its topics.
        topic_config_serialize_wrapper: "topicConfigSerializeWrapper" TopicConfigAndMappingSerializeWrapper,
    }

    /// How a broker holds a group.
    SubscriptionGroupConfig [Eq] {
        /// Values by attribute.
        attributes: "attributes" BTreeMap<Arc<str>, Arc<str>>,
        /// The broker id that serves it, 0 for the master.
        broker_id: "brokerId" i64,
        /// Whether it may broadcast.
        consume_broadcast_enable: "consumeBroadcastEnable" bool = true,
        /// Whether it may consume.
        consume_enable: "consumeEnable" bool = true,
        /// Whether it may start at a queue's first message.
        consume_from_min_enable: "consumeFromMinEnable" bool = true,
        /// Whether pops keep the order of each queue.
        consume_message_orderly: "consumeMessageOrderly" bool,
        /// After how many minutes a message that isn't consumed goes back.
        consume_timeout_minute: "consumeTimeoutMinute" i32 = 15,
        /// The group.
        group_name: "groupName" Arc<str>,
        /// How retries are spaced.
        group_retry_policy: "groupRetryPolicy" GroupRetryPolicy,
        /// The group's system flag.
        group_sys_flag: "groupSysFlag" i32,
        /// Whether members are told of changes.
        notify_consumer_ids_changed_enable: "notifyConsumerIdsChangedEnable" bool = true,
        /// After how many retries a message becomes a dead letter.
        retry_max_times: "retryMaxTimes" i32 = 16,
        /// How many queues its retry topic has.
        retry_queue_nums: "retryQueueNums" i32 = 1,
        /// What it may subscribe to, if that is fixed.
        subscription_data_set: "subscriptionDataSet" Option<Vec<SimpleSubscriptionData>>,
        /// The broker id it is sent to when it lags.
        which_broker_when_consume_slowly: "whichBrokerWhenConsumeSlowly" i64 = 1,
    }

    /// How a group's retries are spaced.
    GroupRetryPolicy [Eq] {
        /// The delays, if customized.
        customized_retry_policy: "customizedRetryPolicy" Option<CustomizedRetryPolicy>,
        /// The factors, if exponential.
        exponential_retry_policy: "exponentialRetryPolicy" Option<ExponentialRetryPolicy>,
        /// Which of the two.
        policy_type: "type" GroupRetryPolicyType = GroupRetryPolicyType::Customized,
    }

    /// A list of delays.
    CustomizedRetryPolicy [Eq] {
        /// The delays in milliseconds.
        next: "next" Vec<i64>,
    }

    /// Growing delays.
    ExponentialRetryPolicy [Eq] {
        /// The first delay in milliseconds.
        initial: "initial" i64,
        /// The longest delay in milliseconds.
        max: "max" i64,
        /// How much longer each delay is than the one before.
        multiplier: "multiplier" i64,
    }

    /// A subscription that an administrator fixed.
    SimpleSubscriptionData [Eq] {
        /// The expression.
        expression: "expression" Arc<str>,
        /// Its type.
        expression_type: "expressionType" Arc<str>,
        /// The topic.
        topic: "topic" Arc<str>,
        /// Its version.
        version: "version" i64,
    }

    /// Groups to create.
    SubscriptionGroupList [Eq] {
        /// The groups.
        group_config_list: "groupConfigList" Vec<SubscriptionGroupConfig>,
    }

    /// All groups of a broker.
    SubscriptionGroupWrapper [Eq] {
        /// The table's version.
        data_version: "dataVersion" DataVersion,
        /// Bits by group and topic; 4 takes away the permission to read.
        forbidden_table: "forbiddenTable" BTreeMap<Arc<str>, BTreeMap<Arc<str>, i32>>,
        /// Configurations by group.
        subscription_group_table: "subscriptionGroupTable" BTreeMap<Arc<str>, SubscriptionGroupConfig>,
    }

    /// Whether a group may read a topic.
    GroupForbidden [Eq] {
        /// The group.
        group: "group" Arc<str>,
        /// Whether it may.
        readable: "readable" bool,
        /// The topic.
        topic: "topic" Arc<str>,
    }
}

/// A compressed registration that can't be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RegistrationError {
    /// It ends before its parts do.
    #[error("the registration ends before its parts do")]
    Short,
    /// A topic's line can't be read.
    #[error("the line of topic {0} can't be read")]
    Topic(usize),
    /// A part is no JSON.
    #[error("the registration's JSON: {0}")]
    Json(#[from] JsonError),
}

impl RegisterBrokerBody {
    /// Reads a compressed registration after it was inflated; `version` is that of the request, since
    /// brokers before 5.0 leave the last part out. Java: `RegisterBrokerBody#decode`.
    ///
    /// # Errors
    /// [`RegistrationError`] when the bytes aren't one.
    pub fn decode_inflated(mut inflated: &[u8], version: i32) -> Result<Self, RegistrationError> {
        const V5_0_0: i32 = 413;
        let bytes = &mut inflated;
        let mut wrapper = TopicConfigAndMappingSerializeWrapper {
            data_version: DataVersion::decode(part(bytes)?)?,
            ..TopicConfigAndMappingSerializeWrapper::default()
        };
        for number in 0..length(bytes)? {
            let line = core::str::from_utf8(part(bytes)?).ok().and_then(TopicConfig::from_line);
            let topic = line.ok_or(RegistrationError::Topic(number))?;
            wrapper.topic_config_table.insert(topic.topic_name.clone(), topic);
        }
        let filter_server_list = JsonReader::whole(part(bytes)?)?;
        if version >= V5_0_0 {
            let mut mappings = BTreeMap::new();
            for _ in 0..length(bytes)? {
                let mapping = TopicQueueMappingInfo::decode(part(bytes)?)?;
                mappings.insert(mapping.topic.clone(), mapping);
            }
            wrapper.topic_queue_mapping_info_map = Some(mappings);
        }
        Ok(Self { filter_server_list, topic_config_serialize_wrapper: wrapper })
    }

    /// Writes what a compressed registration deflates, for this client's version. Topics whose attributes
    /// hold blanks can't be written so that Java reads them.
    #[must_use]
    pub fn encode_inflated(&self) -> Vec<u8> {
        const { assert!(VERSION >= 413, "the last part is there from 5.0 on") };
        let mut out = Vec::new();
        let wrapper = &self.topic_config_serialize_wrapper;
        put_part(&mut out, &wrapper.data_version.encode());
        put_length(&mut out, wrapper.topic_config_table.len());
        for topic in wrapper.topic_config_table.values() {
            put_part(&mut out, topic.to_line().as_bytes());
        }
        let mut filters = crate::remoting::json::JsonWriter::default();
        crate::remoting::json::ToJson::to_json(&self.filter_server_list, &mut filters);
        put_part(&mut out, &filters.into_bytes());
        let mappings = wrapper.topic_queue_mapping_info_map.iter().flat_map(BTreeMap::values);
        put_length(&mut out, mappings.clone().count());
        mappings.for_each(|mapping| put_part(&mut out, &mapping.encode()));
        out
    }
}

fn length(bytes: &mut &[u8]) -> Result<usize, RegistrationError> {
    let (len, rest) = bytes.split_first_chunk().ok_or(RegistrationError::Short)?;
    *bytes = rest;
    usize::try_from(i32::from_be_bytes(*len)).map_err(|_| RegistrationError::Short)
}

fn part<'a>(bytes: &mut &'a [u8]) -> Result<&'a [u8], RegistrationError> {
    let len = length(bytes)?;
    let (part, rest) = bytes.split_at_checked(len).ok_or(RegistrationError::Short)?;
    *bytes = rest;
    Ok(part)
}

fn put_length(out: &mut Vec<u8>, len: usize) {
    out.extend_from_slice(&i32::try_from(len).unwrap_or(i32::MAX).to_be_bytes());
}

fn put_part(out: &mut Vec<u8>, part: &[u8]) {
    put_length(out, part.len());
    out.extend_from_slice(part);
}

impl TopicConfig {
    /// Reads the line form, `T1 4 4 6 SINGLE_TAG {}`; `None` when it isn't one. Java: `TopicConfig#decode`.
    #[must_use]
    pub fn from_line(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let mut config = Self { topic_name: Arc::from(words.next()?), ..Self::default() };
        config.read_queue_nums = words.next()?.parse().ok()?;
        config.write_queue_nums = words.next()?.parse().ok()?;
        config.perm = words.next()?.parse().ok()?;
        config.topic_filter_type = TopicFilterType::from_name(words.next()?);
        if let Some(attributes) = words.next().filter(|text| !text.is_empty()) {
            config.attributes = JsonReader::whole(attributes.as_bytes()).ok()?;
        }
        Some(config)
    }

    /// Writes the line form.
    #[must_use]
    pub fn to_line(&self) -> String {
        let mut attributes = crate::remoting::json::JsonWriter::default();
        crate::remoting::json::ToJson::to_json(&self.attributes, &mut attributes);
        let attributes = attributes.into_bytes();
        let Self { topic_name, read_queue_nums, write_queue_nums, perm, topic_filter_type, .. } = self;
        let attributes = core::str::from_utf8(&attributes).unwrap_or("{}");
        format!("{topic_name} {read_queue_nums} {write_queue_nums} {perm} {topic_filter_type} {attributes}")
    }
}
