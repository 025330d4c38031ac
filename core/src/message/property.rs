//! The names of the properties that RocketMQ itself reads and writes. Java: `MessageConst`.

/// Index keys, separated by one blank each.
pub const KEYS: &str = "KEYS";
/// The tag that subscriptions filter by.
pub const TAGS: &str = "TAGS";
/// `true` or `false`: answer the send only when the message is flushed and replicated; absent means `true`.
pub const WAIT: &str = "WAIT";
/// Delay level, 1 to 18 with the default table, as text.
pub const DELAY: &str = "DELAY";
/// Deliver after this many seconds.
pub const TIMER_DELAY_SEC: &str = "TIMER_DELAY_SEC";
/// Deliver after this many milliseconds.
pub const TIMER_DELAY_MS: &str = "TIMER_DELAY_MS";
/// Deliver at this Unix time in milliseconds.
pub const TIMER_DELIVER_MS: &str = "TIMER_DELIVER_MS";
/// Due time that the broker computed, in milliseconds.
pub const TIMER_OUT_MS: &str = "TIMER_OUT_MS";
/// When the broker put the message on its timer wheel.
pub const TIMER_ENQUEUE_MS: &str = "TIMER_ENQUEUE_MS";
/// When the broker took the message off its timer wheel.
pub const TIMER_DEQUEUE_MS: &str = "TIMER_DEQUEUE_MS";
/// How often the message went round the timer wheel.
pub const TIMER_ROLL_TIMES: &str = "TIMER_ROLL_TIMES";
/// The broker's mark on a message that goes round the wheel again.
pub const TIMER_ROLL_LABEL: &str = "TIMER_ROLL_LABEL";
/// Delay level of a message kept by the timer wheel.
pub const TIMER_DELAY_LEVEL: &str = "TIMER_DELAY_LEVEL";
/// Unique key of the timer message to delete.
pub const TIMER_DEL_UNIQKEY: &str = "TIMER_DEL_UNIQKEY";
/// Timer engine: `R` for the RocksDB time line, `F` for the file time wheel.
pub const TIMER_ENGINE: &str = "E_T";
/// The topic a message in a retry topic came from.
pub const RETRY_TOPIC: &str = "RETRY_TOPIC";
/// The group a message came from.
pub const ORIGIN_GROUP: &str = "ORIGIN_GROUP";
/// The real topic of a delayed, half or timer message.
pub const REAL_TOPIC: &str = "REAL_TOPIC";
/// The real queue of a delayed, half or timer message.
pub const REAL_QID: &str = "REAL_QID";
/// `true` on half messages.
pub const TRAN_MSG: &str = "TRAN_MSG";
/// The producer group that answers for a half message.
pub const PGROUP: &str = "PGROUP";
/// The queue's smallest offset when the message was pulled.
pub const MIN_OFFSET: &str = "MIN_OFFSET";
/// The queue's largest offset when the message was pulled.
pub const MAX_OFFSET: &str = "MAX_OFFSET";
/// Legacy.
pub const BUYER_ID: &str = "BUYER_ID";
/// The id of a retried message's first incarnation.
pub const ORIGIN_MESSAGE_ID: &str = "ORIGIN_MESSAGE_ID";
/// Legacy.
pub const TRANSFER_FLAG: &str = "TRANSFER_FLAG";
/// Legacy.
pub const CORRECTION_FLAG: &str = "CORRECTION_FLAG";
/// Legacy.
pub const MQ2_FLAG: &str = "MQ2_FLAG";
/// How often a message was consumed that the client itself sends to the retry topic.
pub const RECONSUME_TIME: &str = "RECONSUME_TIME";
/// The limit that goes with [`RECONSUME_TIME`].
pub const MAX_RECONSUME_TIMES: &str = "MAX_RECONSUME_TIMES";
/// The broker's region.
pub const MSG_REGION: &str = "MSG_REGION";
/// The broker's trace switch, `true` or `false`.
pub const TRACE_ON: &str = "TRACE_ON";
/// The client's id of the message.
pub const UNIQ_KEY: &str = "UNIQ_KEY";
/// [`UNIQ_KEY`] with the longest value and both separators.
pub(crate) const UNIQ_KEY_CHARS_MAX: usize = UNIQ_KEY.len() + 56 + 2;
/// Offset of a half message kept in RocksDB.
pub const TRANS_OFFSET: &str = "TRANS_OFFSET";
/// Set by proxies.
pub const EXTEND_UNIQ_INFO: &str = "EXTEND_UNIQ_INFO";
/// When consumption started, in milliseconds; never leaves the client.
pub const CONSUME_START_TIME: &str = "CONSUME_START_TIME";
/// The message's priority.
pub const PRIORITY: &str = "_SYS_MSG_PRIORITY_";
/// How many messages an inner batch holds.
pub const INNER_NUM: &str = "INNER_NUM";
/// The queue offset of an inner batch's first message.
pub const INNER_BASE: &str = "INNER_BASE";
/// Set by brokers.
pub const DUP_INFO: &str = "DUP_INFO";
/// For how long a half message is not checked.
pub const CHECK_IMMUNITY_TIME_IN_SECONDS: &str = "CHECK_IMMUNITY_TIME_IN_SECONDS";
/// Queue offset of the half message.
pub const TRAN_PREPARED_QUEUE_OFFSET: &str = "TRAN_PREPARED_QUEUE_OFFSET";
/// The transaction's id, equal to [`UNIQ_KEY`].
pub const TRANSACTION_ID: &str = "__transactionId__";
/// How often a half message was checked.
pub const TRANSACTION_CHECK_TIMES: &str = "TRANSACTION_CHECK_TIMES";
/// The version 1 namespace.
pub const INSTANCE_ID: &str = "INSTANCE_ID";
/// Ties a reply to its request.
pub const CORRELATION_ID: &str = "CORRELATION_ID";
/// The client id a reply goes to.
pub const REPLY_TO_CLIENT: &str = "REPLY_TO_CLIENT";
/// How long the requester waits, in milliseconds.
pub const TTL: &str = "TTL";
/// When a reply arrived.
pub const ARRIVE_TIME: &str = "ARRIVE_TIME";
/// When the broker pushed a reply.
pub const PUSH_REPLY_TIME: &str = "PUSH_REPLY_TIME";
/// The broker's cluster; the reply topic is there.
pub const CLUSTER: &str = "CLUSTER";
/// `reply` on replies.
pub const MSG_TYPE: &str = "MSG_TYPE";
/// The handle by which a popped message is acknowledged.
pub const POP_CK: &str = "POP_CK";
/// Offset of the check point of a popped message.
pub const POP_CK_OFFSET: &str = "POP_CK_OFFSET";
/// When the message was first popped.
pub const FIRST_POP_TIME: &str = "1ST_POP_TIME";
/// The key by which the message is ordered.
pub const SHARDING_KEY: &str = "__SHARDINGKEY";
/// The queue a message is forwarded to.
pub const FORWARD_QUEUE_ID: &str = "PROPERTY_FORWARD_QUEUE_ID";
/// Marks a redirected message.
pub const REDIRECT: &str = "REDIRECT";
/// Names of light queues, joined by commas.
pub const INNER_MULTI_DISPATCH: &str = "INNER_MULTI_DISPATCH";
/// Offsets in the light queues, joined by commas.
pub const INNER_MULTI_QUEUE_OFFSET: &str = "INNER_MULTI_QUEUE_OFFSET";
/// A trace context that travels with the message.
pub const TRACE_CONTEXT: &str = "TRACE_CONTEXT";
/// Overrides the born host.
pub const BORN_HOST: &str = "__BORNHOST";
/// Overrides the born time.
pub const BORN_TIMESTAMP: &str = "BORN_TIMESTAMP";
/// The topic of a dead letter; brokers don't write it.
pub const DLQ_ORIGIN_TOPIC: &str = "DLQ_ORIGIN_TOPIC";
/// The id of a dead letter; brokers don't write it.
pub const DLQ_ORIGIN_MESSAGE_ID: &str = "DLQ_ORIGIN_MESSAGE_ID";
/// A checksum over the properties.
pub const CRC32: &str = "__CRC32#";
/// Starts the name of a property that brokers don't store.
pub const TRANSIENT_PREFIX: &str = "__RMQ.TRANSIENT.";

/// The value of [`MSG_TYPE`] on replies.
pub const MSG_TYPE_REPLY: &str = "reply";

/// Separates the keys in [`KEYS`].
pub const KEY_SEPARATOR: char = ' ';

/// Whether `name` belongs to RocketMQ, so that a user's property can't have it.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    RESERVED.contains(&name) || name.starts_with(TRANSIENT_PREFIX)
}

const RESERVED: &[&str] = &[
    KEYS,
    TAGS,
    WAIT,
    DELAY,
    TIMER_DELAY_SEC,
    TIMER_DELAY_MS,
    TIMER_DELIVER_MS,
    TIMER_OUT_MS,
    TIMER_ENQUEUE_MS,
    TIMER_DEQUEUE_MS,
    TIMER_ROLL_TIMES,
    TIMER_ROLL_LABEL,
    TIMER_DELAY_LEVEL,
    TIMER_DEL_UNIQKEY,
    TIMER_ENGINE,
    RETRY_TOPIC,
    ORIGIN_GROUP,
    REAL_TOPIC,
    REAL_QID,
    TRAN_MSG,
    PGROUP,
    MIN_OFFSET,
    MAX_OFFSET,
    BUYER_ID,
    ORIGIN_MESSAGE_ID,
    TRANSFER_FLAG,
    CORRECTION_FLAG,
    MQ2_FLAG,
    RECONSUME_TIME,
    MAX_RECONSUME_TIMES,
    MSG_REGION,
    TRACE_ON,
    UNIQ_KEY,
    TRANS_OFFSET,
    EXTEND_UNIQ_INFO,
    CONSUME_START_TIME,
    PRIORITY,
    INNER_NUM,
    INNER_BASE,
    DUP_INFO,
    CHECK_IMMUNITY_TIME_IN_SECONDS,
    TRAN_PREPARED_QUEUE_OFFSET,
    TRANSACTION_ID,
    TRANSACTION_CHECK_TIMES,
    INSTANCE_ID,
    CORRELATION_ID,
    REPLY_TO_CLIENT,
    TTL,
    ARRIVE_TIME,
    PUSH_REPLY_TIME,
    CLUSTER,
    MSG_TYPE,
    POP_CK,
    POP_CK_OFFSET,
    FIRST_POP_TIME,
    SHARDING_KEY,
    FORWARD_QUEUE_ID,
    REDIRECT,
    INNER_MULTI_DISPATCH,
    INNER_MULTI_QUEUE_OFFSET,
    TRACE_CONTEXT,
    BORN_HOST,
    BORN_TIMESTAMP,
    DLQ_ORIGIN_TOPIC,
    DLQ_ORIGIN_MESSAGE_ID,
    CRC32,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reserved_are_the_names_of_the_protocol_and_no_others() {
        for name in ["KEYS", "TAGS", "E_T", "1ST_POP_TIME", "__CRC32#", "__RMQ.TRANSIENT.TOPIC_SYS_FLAG"] {
            assert!(is_reserved(name), "{name}");
        }
        for name in ["keys", "TAG", "order", "traceparent", ""] {
            assert!(!is_reserved(name), "{name}");
        }
    }

    #[test]
    fn no_name_is_listed_twice() {
        let mut names: alloc::vec::Vec<_> = RESERVED.to_vec();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), RESERVED.len());
    }
}
