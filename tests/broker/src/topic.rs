//! The topics of a broker and how new ones come into being. Java: `TopicConfigManager`.

use std::collections::BTreeMap;
use std::sync::Arc;

use rocketmq_client_core::message::validate::check_broker_topic;
use rocketmq_client_core::message::{InvalidName, check_group, names, perm};
use rocketmq_client_core::remoting::{DataVersion, TopicConfig, TopicConfigAndMappingSerializeWrapper};
use rocketmq_client_core::time::Timestamp;

use crate::config::BrokerConfig;

const READ_WRITE: i32 = perm::READ | perm::WRITE;

/// Checks a topic's name; the error is the broker's remark. Java: `TopicValidator#validateTopic`.
pub(crate) fn validate_topic(topic: &str) -> Result<(), String> {
    check_broker_topic(topic).map_err(remark)
}

/// Checks a group's name; the error is the broker's remark. Java: `TopicValidator#validateGroup`.
pub(crate) fn validate_group(group: &str) -> Result<(), String> {
    check_group(group).map_err(remark)
}

fn remark(wrong: InvalidName) -> String {
    match wrong {
        InvalidName::Blank { what } => format!("The specified {what} is blank."),
        InvalidName::Character { what, name, .. } => format!(
            "The specified {what}: {name}, contains illegal characters, allowing only ^[%|a-zA-Z0-9_-]+$"
        ),
        InvalidName::TooLong { what, name, max, .. } => {
            format!("The specified {what}: {name}, is longer than {what} max length: {max}")
        }
        other => other.to_string(),
    }
}

/// A topic's configuration as remarks show it. Java: `TopicConfig#toString`.
pub(crate) fn describe(config: &TopicConfig) -> String {
    let bit = |bit, letter| if config.perm & bit != 0 { letter } else { '-' };
    let (read, write, inherit) = (bit(perm::READ, 'R'), bit(perm::WRITE, 'W'), bit(perm::INHERIT, 'X'));
    format!(
        "TopicConfig [topicName={}, readQueueNums={}, writeQueueNums={}, perm={read}{write}{inherit}, \
         topicFilterType={}, topicSysFlag={}, order={}, attributes={{}}]",
        config.topic_name,
        config.read_queue_nums,
        config.write_queue_nums,
        config.topic_filter_type,
        config.topic_sys_flag,
        config.order,
    )
}

/// A topic's configuration with queues and permission, and defaults for the rest.
pub(crate) fn topic_config(topic: &str, queues: i32, perm: i32) -> TopicConfig {
    TopicConfig {
        topic_name: topic.into(),
        read_queue_nums: queues,
        write_queue_nums: queues,
        perm,
        ..TopicConfig::default()
    }
}

/// The topics that a broker owns from the start.
fn initial_topics(config: &BrokerConfig) -> Vec<TopicConfig> {
    let all = READ_WRITE | perm::INHERIT;
    let (cluster, broker) = (&config.cluster_name, &config.broker_name);
    let system = names::SYSTEM_TOPIC_PREFIX;
    let mut topics = vec![
        topic_config(names::SELF_TEST_TOPIC, 1, READ_WRITE),
        topic_config(names::BENCHMARK_TOPIC, 1_024, READ_WRITE),
        topic_config(cluster, 16, all),
        topic_config(broker, 1, all),
        topic_config(names::OFFSET_MOVED_EVENT, 1, READ_WRITE),
        topic_config(names::SCHEDULE_TOPIC, config.delay_levels.count(), READ_WRITE),
        topic_config(&names::reply_topic(cluster), 1, READ_WRITE),
        topic_config(&format!("{system}REVIVE_LOG_{cluster}"), 8, READ_WRITE),
        topic_config(&format!("{system}SYNC_BROKER_MEMBER_{broker}"), 1, perm::INHERIT),
        topic_config(names::TRANS_HALF_TOPIC, 1, READ_WRITE),
        topic_config(names::TRANS_OP_HALF_TOPIC, 1, READ_WRITE),
        topic_config(names::ROCKSDB_TRANS_HALF_TOPIC, 1, READ_WRITE),
        topic_config(names::ROCKSDB_TRANS_OP_HALF_TOPIC, 1, READ_WRITE),
        topic_config(&format!("{system}wheel_timer"), 1, READ_WRITE),
    ];
    if config.auto_create_topic {
        topics.push(topic_config(names::AUTO_CREATE_TOPIC, config.default_topic_queues, all));
    }
    if config.trace_topic {
        topics.push(topic_config(names::TRACE_TOPIC, 1, READ_WRITE));
    }
    topics
}

/// The topics of a broker. Every change makes a new data version and is to be registered.
#[derive(Clone, Debug)]
pub(crate) struct TopicTable {
    topics: BTreeMap<Arc<str>, TopicConfig>,
    pub(crate) version: DataVersion,
    /// The topics that changed since the last registration.
    changed: Vec<Arc<str>>,
}

impl TopicTable {
    pub(crate) fn new(config: &BrokerConfig, wall: Timestamp) -> Self {
        let topics = initial_topics(config);
        let topics = topics.into_iter().map(|topic| (topic.topic_name.clone(), topic)).collect();
        let version = DataVersion { counter: 1, state_version: 0, timestamp: wall.as_millis() };
        Self { topics, version, changed: Vec::new() }
    }

    pub(crate) fn get(&self, topic: &str) -> Option<&TopicConfig> {
        self.topics.get(topic)
    }

    /// All topics in the order of their names.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &TopicConfig> {
        self.topics.values()
    }

    /// The body that carries these configurations with the version of all.
    pub(crate) fn wrapper<'t>(
        &self,
        topics: impl IntoIterator<Item = &'t TopicConfig>,
    ) -> TopicConfigAndMappingSerializeWrapper {
        let named = topics.into_iter().map(|config| (config.topic_name.clone(), config.clone()));
        TopicConfigAndMappingSerializeWrapper {
            data_version: self.version,
            mapping_data_version: Some(DataVersion::default()),
            topic_config_table: named.collect(),
            topic_queue_mapping_detail_map: Some(BTreeMap::new()),
            topic_queue_mapping_info_map: None,
        }
    }

    /// Creates or changes a topic. The same configuration again changes nothing.
    pub(crate) fn put(&mut self, wall: Timestamp, topic: TopicConfig) {
        if self.topics.get(&topic.topic_name) == Some(&topic) {
            return;
        }
        tracing::debug!(topic = %topic.topic_name, queues = topic.write_queue_nums, perm = topic.perm, "topic changed");
        self.bump(wall);
        self.changed.push(topic.topic_name.clone());
        self.topics.insert(topic.topic_name.clone(), topic);
    }

    /// Deletes a topic. Name servers are not told, as in Java.
    pub(crate) fn remove(&mut self, wall: Timestamp, topic: &str) {
        if self.topics.remove(topic).is_some() {
            self.bump(wall);
        }
    }

    /// The configurations that changed since the last call.
    pub(crate) fn take_changed(&mut self) -> Vec<TopicConfig> {
        let changed = std::mem::take(&mut self.changed);
        changed.iter().filter_map(|topic| self.topics.get(topic)).cloned().collect()
    }

    /// Whether [`TopicTable::take_changed`] has something.
    pub(crate) fn has_changed(&self) -> bool {
        !self.changed.is_empty()
    }

    /// Creates a topic that a producer writes to for the first time.
    /// Java: `TopicConfigManager#createTopicInSendMessageMethod`.
    pub(crate) fn auto_create(
        &mut self,
        config: &BrokerConfig,
        wall: Timestamp,
        topic: &str,
        default_topic: &str,
        client_queues: i32,
        sys_flag: i32,
    ) -> Option<&TopicConfig> {
        let off = default_topic == names::AUTO_CREATE_TOPIC && !config.auto_create_topic;
        let model = self.topics.get_mut(default_topic)?;
        if off {
            // For good: where it is switched on again, this topic bequeaths nothing any more.
            model.perm = READ_WRITE;
        }
        if !perm::is_inherited(model.perm) {
            return None;
        }
        let queues = client_queues.min(model.write_queue_nums).max(0);
        let created = TopicConfig {
            topic_name: topic.into(),
            read_queue_nums: queues,
            write_queue_nums: queues,
            perm: model.perm & !perm::INHERIT,
            topic_sys_flag: sys_flag,
            topic_filter_type: model.topic_filter_type,
            ..TopicConfig::default()
        };
        self.put(wall, created);
        self.topics.get(topic)
    }

    /// Creates a topic for a group's retries or dead letters unless it exists.
    /// Java: `TopicConfigManager#createTopicInSendMessageBackMethod`.
    pub(crate) fn ensure(&mut self, wall: Timestamp, topic: &str, queues: i32, order: bool) -> &TopicConfig {
        if !self.topics.contains_key(topic) {
            let created = TopicConfig { order, ..topic_config(topic, queues, READ_WRITE) };
            self.put(wall, created);
        }
        self.topics.get(topic).expect("the topic was just ensured")
    }

    /// As [`TopicTable::ensure`] for what pops return to, which name servers hear of only with the next
    /// registration of all topics. Java: `PopReviveService#addRetryTopicIfNotExit`.
    pub(crate) fn ensure_unannounced(&mut self, wall: Timestamp, topic: &str, queues: i32) {
        if !self.topics.contains_key(topic) {
            self.bump(wall);
            self.topics.insert(topic.into(), topic_config(topic, queues, READ_WRITE));
        }
    }

    fn bump(&mut self, wall: Timestamp) {
        self.version.counter += 1;
        self.version.timestamp = wall.as_millis();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table(config: &BrokerConfig) -> TopicTable {
        TopicTable::new(config, Timestamp::from_millis(0))
    }

    #[test]
    fn queues_of_a_new_topic_are_bounded_by_the_default_topic() {
        let config = BrokerConfig::default();
        let wall = Timestamp::from_millis(5);
        for (asked, given) in [(4, 4), (100, 8), (0, 0), (-3, 0)] {
            let mut table = table(&config);
            let created = table.auto_create(&config, wall, "T", "TBW102", asked, 0).unwrap();
            assert_eq!((created.write_queue_nums, created.read_queue_nums, created.perm), (given, given, 6));
            assert_eq!((table.version.counter, table.take_changed().len()), (2, 1));
        }
    }

    #[test]
    fn only_topics_that_bequeath_create_others() {
        let config = BrokerConfig::default();
        let mut on = table(&config);
        let wall = Timestamp::from_millis(0);
        assert!(on.auto_create(&config, wall, "T", "nowhere", 4, 0).is_none());
        assert!(on.auto_create(&config, wall, "T", "SELF_TEST_TOPIC", 4, 0).is_none());
        assert!(on.auto_create(&config, wall, "T", "DefaultCluster", 4, 0).is_some());
        let config = BrokerConfig { auto_create_topic: false, ..config };
        let mut off = table(&config);
        assert!(off.auto_create(&config, wall, "T", "TBW102", 4, 0).is_none());
    }

    #[test]
    fn the_same_configuration_again_is_no_change() {
        let mut table = table(&BrokerConfig::default());
        let wall = Timestamp::from_millis(0);
        table.put(wall, topic_config("T", 4, 6));
        table.put(wall, topic_config("T", 4, 6));
        assert_eq!((table.version.counter, table.take_changed().len()), (2, 1));
        table.remove(wall, "unknown");
        assert_eq!(table.version.counter, 2);
    }

    #[test]
    fn names_are_checked_with_the_brokers_texts() {
        assert_eq!(validate_topic(" "), Err("The specified topic is blank.".to_owned()));
        assert!(validate_topic("a b").unwrap_err().contains("illegal characters"));
        assert!(validate_topic(&"t".repeat(127)).is_ok());
        assert!(validate_topic(&"t".repeat(128)).unwrap_err().ends_with("max length: 127"));
        assert!(validate_topic(&format!("%RETRY%{}", "g".repeat(248))).is_ok());
        assert!(validate_group(&"g".repeat(121)).is_err());
    }
}
