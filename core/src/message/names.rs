//! Topics and groups with a meaning of their own, and version 1 namespaces.

use alloc::borrow::Cow;
use alloc::format;
use alloc::string::String;

/// Starts the name of a group's retry topic.
pub const RETRY_PREFIX: &str = "%RETRY%";
/// Starts the name of a group's topic of dead letters.
pub const DLQ_PREFIX: &str = "%DLQ%";
/// Starts the name of a light queue.
pub const LMQ_PREFIX: &str = "%LMQ%";
/// Starts the name of system topics.
pub const SYSTEM_TOPIC_PREFIX: &str = "rmq_sys_";
/// Starts the name of system groups.
pub const SYSTEM_GROUP_PREFIX: &str = "CID_RMQ_SYS_";
/// Starts the pseudo broker name of a logical (static) topic's queue.
pub const LOGICAL_BROKER_PREFIX: &str = "__syslo__";
/// The template of topics that brokers create on their own.
pub const AUTO_CREATE_TOPIC: &str = "TBW102";
/// Where delayed messages wait.
pub const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";
/// Where half messages wait.
pub const TRANS_HALF_TOPIC: &str = "RMQ_SYS_TRANS_HALF_TOPIC";
/// Where the ends of transactions are recorded.
pub const TRANS_OP_HALF_TOPIC: &str = "RMQ_SYS_TRANS_OP_HALF_TOPIC";
/// Where half messages end that were checked too often.
pub const TRANS_CHECK_MAX_TIME_TOPIC: &str = "TRANS_CHECK_MAX_TIME_TOPIC";
/// Where trace messages go.
pub const TRACE_TOPIC: &str = "RMQ_SYS_TRACE_TOPIC";
/// Where brokers test themselves.
pub const SELF_TEST_TOPIC: &str = "SELF_TEST_TOPIC";
/// Where the benchmark tools send.
pub const BENCHMARK_TOPIC: &str = "BenchmarkTest";
/// Where brokers note that a consumer asked for offsets which are gone.
pub const OFFSET_MOVED_EVENT: &str = "OFFSET_MOVED_EVENT";
/// As [`TRANS_HALF_TOPIC`], of brokers that keep transactions in RocksDB.
pub const ROCKSDB_TRANS_HALF_TOPIC: &str = "RMQ_SYS_ROCKSDB_TRANS_HALF_TOPIC";
/// As [`TRANS_OP_HALF_TOPIC`], of brokers that keep transactions in RocksDB.
pub const ROCKSDB_TRANS_OP_HALF_TOPIC: &str = "RMQ_SYS_ROCKSDB_TRANS_OP_HALF_TOPIC";
/// The group name that Java gives a producer without one; refused by clients.
pub const DEFAULT_PRODUCER_GROUP: &str = "DEFAULT_PRODUCER";
/// The group name that Java gives a consumer without one; refused by clients.
pub const DEFAULT_CONSUMER_GROUP: &str = "DEFAULT_CONSUMER";
/// The group of the producer that every client has for itself.
pub const CLIENT_INNER_PRODUCER_GROUP: &str = "CLIENT_INNER_PRODUCER";

/// Topics that a user can't create; see [`is_system_topic`].
pub const SYSTEM_TOPICS: &[&str] = &[
    AUTO_CREATE_TOPIC,
    SCHEDULE_TOPIC,
    BENCHMARK_TOPIC,
    TRANS_HALF_TOPIC,
    TRACE_TOPIC,
    TRANS_OP_HALF_TOPIC,
    TRANS_CHECK_MAX_TIME_TOPIC,
    SELF_TEST_TOPIC,
    OFFSET_MOVED_EVENT,
    "CHECKPOINT_TOPIC",
    ROCKSDB_TRANS_HALF_TOPIC,
    ROCKSDB_TRANS_OP_HALF_TOPIC,
];

/// Topics that a user can't send to.
pub const NOT_ALLOWED_SEND_TOPICS: &[&str] = &[
    SCHEDULE_TOPIC,
    TRANS_HALF_TOPIC,
    TRANS_OP_HALF_TOPIC,
    TRANS_CHECK_MAX_TIME_TOPIC,
    SELF_TEST_TOPIC,
    OFFSET_MOVED_EVENT,
    ROCKSDB_TRANS_HALF_TOPIC,
    ROCKSDB_TRANS_OP_HALF_TOPIC,
];

/// Groups that RocketMQ itself uses. Java: `MixAll#isPredefinedGroup`.
pub const SYSTEM_GROUPS: &[&str] = &[
    DEFAULT_PRODUCER_GROUP,
    DEFAULT_CONSUMER_GROUP,
    "TOOLS_CONSUMER",
    "SCHEDULE_CONSUMER",
    "FILTERSRV_CONSUMER",
    "__MONITOR_CONSUMER",
    CLIENT_INNER_PRODUCER_GROUP,
    "SELF_TEST_P_GROUP",
    "SELF_TEST_C_GROUP",
    "CID_ONS-HTTP-PROXY",
    "CID_ONSAPI_PERMISSION",
    "CID_ONSAPI_OWNER",
    "CID_ONSAPI_PULL",
    "CID_RMQ_SYS_TRANS",
];

/// The topic a group's failed messages come back in.
#[must_use]
pub fn retry_topic(group: &str) -> String {
    format!("{RETRY_PREFIX}{group}")
}

/// The topic a group's messages end in that failed too often.
#[must_use]
pub fn dlq_topic(group: &str) -> String {
    format!("{DLQ_PREFIX}{group}")
}

/// The retry topic of `topic` for a group that pops, as brokers name it by default.
/// Java: `KeyBuilder#buildPopRetryTopicV1`.
#[must_use]
pub fn pop_retry_topic_v1(group: &str, topic: &str) -> String {
    format!("{RETRY_PREFIX}{group}_{topic}")
}

/// As [`pop_retry_topic_v1`], on brokers with `enableRetryTopicV2`.
#[must_use]
pub fn pop_retry_topic_v2(group: &str, topic: &str) -> String {
    format!("{RETRY_PREFIX}{group}+{topic}")
}

/// The topic that replies of `cluster` travel in. Java: `MixAll#getReplyTopic`.
#[must_use]
pub fn reply_topic(cluster: &str) -> String {
    format!("{cluster}_REPLY_TOPIC")
}

/// Whether `topic` is a retry topic, of pull or of pop.
#[must_use]
pub fn is_retry_topic(topic: &str) -> bool {
    topic.starts_with(RETRY_PREFIX)
}

/// Whether `topic` holds dead letters.
#[must_use]
pub fn is_dlq_topic(topic: &str) -> bool {
    topic.starts_with(DLQ_PREFIX)
}

/// Whether `topic` belongs to the system, so that it can't be created and has no namespace.
/// Java: `TopicValidator#isSystemTopic`.
#[must_use]
pub fn is_system_topic(topic: &str) -> bool {
    SYSTEM_TOPICS.contains(&topic) || topic.starts_with(SYSTEM_TOPIC_PREFIX)
}

/// Whether sending to `topic` is forbidden. Java: `TopicValidator#isNotAllowedSendTopic`.
#[must_use]
pub fn is_not_allowed_send(topic: &str) -> bool {
    NOT_ALLOWED_SEND_TOPICS.contains(&topic)
}

/// Whether `group` is one of the system's own. Java: `MixAll#isSysConsumerGroup`.
#[must_use]
pub fn is_system_group(group: &str) -> bool {
    group.starts_with(SYSTEM_GROUP_PREFIX)
}

/// `resource` (a topic or a group) inside `namespace`; unchanged when `namespace` is empty, when
/// the resource is the system's, or when it is inside already.
/// Java: `NamespaceUtil#wrapNamespace`.
#[must_use]
pub fn wrap_namespace<'a>(namespace: &str, resource: &'a str) -> Cow<'a, str> {
    if namespace.is_empty() || is_exempt(resource) || is_in_namespace(namespace, resource) {
        return Cow::Borrowed(resource);
    }
    let (prefix, name) = split_prefix(resource);
    Cow::Owned(format!("{prefix}{namespace}%{name}"))
}

/// `resource` without `namespace`, or unchanged if it isn't inside it.
/// Java: `NamespaceUtil#withoutNamespace` with two arguments.
#[must_use]
pub fn unwrap_namespace<'a>(namespace: &str, resource: &'a str) -> Cow<'a, str> {
    let (prefix, name) = split_prefix(resource);
    if namespace.is_empty() || is_exempt(resource) {
        return Cow::Borrowed(resource);
    }
    match name.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('%')) {
        Some(bare) => join(prefix, bare),
        None => Cow::Borrowed(resource),
    }
}

/// `resource` without whatever namespace it seems to have: all up to the first `%` that isn't at
/// the start. Java: `NamespaceUtil#withoutNamespace` with one argument.
#[must_use]
pub fn strip_namespace(resource: &str) -> Cow<'_, str> {
    if is_exempt(resource) {
        return Cow::Borrowed(resource);
    }
    let (prefix, name) = split_prefix(resource);
    match split_namespace(name) {
        Some((_, bare)) => join(prefix, bare),
        None => Cow::Borrowed(resource),
    }
}

/// The namespace that `resource` seems to have; empty without one.
/// Java: `NamespaceUtil#getNamespaceFromResource`.
#[must_use]
pub fn namespace_of(resource: &str) -> &str {
    if is_exempt(resource) {
        return "";
    }
    split_namespace(split_prefix(resource).1).map_or("", |(namespace, _)| namespace)
}

/// Whether `resource` is inside `namespace`. Java: `NamespaceUtil#isAlreadyWithNamespace`.
#[must_use]
pub fn is_in_namespace(namespace: &str, resource: &str) -> bool {
    !namespace.is_empty()
        && !is_exempt(resource)
        && split_prefix(resource).1.strip_prefix(namespace).is_some_and(|rest| rest.starts_with('%'))
}

/// The address of the same broker's VIP channel: the port less two; `None` when `address` has no
/// port or one below two. Java: `MixAll#brokerVIPChannel`.
#[must_use]
pub fn vip_channel(address: &str) -> Option<String> {
    let (host, port) = address.rsplit_once(':')?;
    let port = port.parse::<u16>().ok()?.checked_sub(2)?;
    Some(format!("{host}:{port}"))
}

/// Nothing, or a name that is never in a namespace.
fn is_exempt(resource: &str) -> bool {
    resource.is_empty() || is_system_topic(resource) || is_system_group(resource)
}

/// The retry or dead-letter prefix, which stays in front of a namespace, and the rest.
fn split_prefix(resource: &str) -> (&str, &str) {
    for prefix in [RETRY_PREFIX, DLQ_PREFIX] {
        if let Some(name) = resource.strip_prefix(prefix) {
            return (prefix, name);
        }
    }
    ("", resource)
}

fn split_namespace(name: &str) -> Option<(&str, &str)> {
    name.split_once('%').filter(|(namespace, _)| !namespace.is_empty())
}

fn join<'a>(prefix: &str, bare: &'a str) -> Cow<'a, str> {
    if prefix.is_empty() { Cow::Borrowed(bare) } else { Cow::Owned(format!("{prefix}{bare}")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn special_topics_of_a_group() {
        assert_eq!(retry_topic("g"), "%RETRY%g");
        assert_eq!(dlq_topic("g"), "%DLQ%g");
        assert_eq!(pop_retry_topic_v1("g", "t"), "%RETRY%g_t");
        assert_eq!(pop_retry_topic_v2("g", "t"), "%RETRY%g+t");
        assert_eq!(reply_topic("c"), "c_REPLY_TOPIC");
    }

    #[test]
    fn the_vip_channel_needs_a_port_to_subtract_from() {
        assert_eq!(vip_channel("[::1]:10911").as_deref(), Some("[::1]:10909"));
        assert_eq!(vip_channel("host:1"), None);
        assert_eq!(vip_channel("host"), None);
    }
}
