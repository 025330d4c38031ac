//! Headers of pulls and offsets.

use super::super::header::headers;
use super::BoundaryType;
use alloc::borrow::Cow;

headers! {
    /// Asks for the messages of a queue; also [`RequestCode::LITE_PULL_MESSAGE`](crate::remoting::RequestCode::LITE_PULL_MESSAGE).
    PullMessageRequestHeader<'a> = PULL_MESSAGE + TopicRequestHeader {
        required consumer_group: "consumerGroup" Cow<'a, str>,
        required topic: "topic" Cow<'a, str>,
        required queue_id: "queueId" i32,
        required queue_offset: "queueOffset" i64,
        required max_msg_nums: "maxMsgNums" i32,
        required sys_flag: "sysFlag" i32,
        required commit_offset: "commitOffset" i64,
        required suspend_timeout_millis: "suspendTimeoutMillis" i64,
        optional subscription: "subscription" Cow<'a, str>,
        required sub_version: "subVersion" i64,
        optional expression_type: "expressionType" Cow<'a, str>,
        optional max_msg_bytes: "maxMsgBytes" i32,
        optional request_source: "requestSource" i32,
        optional proxy_froward_client_id: "proxyFrowardClientId" Cow<'a, str>,
    }

    /// The answer to a pull. Always go on from `next_begin_offset`.
    PullMessageResponseHeader {
        required suggest_which_broker_id: "suggestWhichBrokerId" i64,
        required next_begin_offset: "nextBeginOffset" i64,
        required min_offset: "minOffset" i64,
        required max_offset: "maxOffset" i64,
        optional offset_delta: "offsetDelta" i64,
        optional topic_sys_flag: "topicSysFlag" i32,
        optional group_sys_flag: "groupSysFlag" i32,
        optional forbidden_type: "forbiddenType" i32,
    }

    /// Asks where a group goes on in a queue.
    QueryConsumerOffsetRequestHeader<'a> = QUERY_CONSUMER_OFFSET + TopicRequestHeader {
        required consumer_group: "consumerGroup" Cow<'a, str>,
        required topic: "topic" Cow<'a, str>,
        required queue_id: "queueId" i32,
        optional set_zero_if_not_found: "setZeroIfNotFound" bool,
    }

    /// The answer to an offset query.
    QueryConsumerOffsetResponseHeader {
        required offset: "offset" i64,
    }

    /// Commits where a group goes on in a queue.
    UpdateConsumerOffsetRequestHeader<'a> = UPDATE_CONSUMER_OFFSET + TopicRequestHeader {
        required consumer_group: "consumerGroup" Cow<'a, str>,
        required topic: "topic" Cow<'a, str>,
        required queue_id: "queueId" i32,
        required commit_offset: "commitOffset" i64,
    }

    /// Asks which offset a queue had at a time.
    SearchOffsetRequestHeader<'a> = SEARCH_OFFSET_BY_TIMESTAMP + TopicRequestHeader {
        required topic: "topic" Cow<'a, str>,
        required queue_id: "queueId" i32,
        required timestamp: "timestamp" i64,
        optional boundary_type: "boundaryType" BoundaryType,
    }

    /// The answer to a search by time.
    SearchOffsetResponseHeader {
        required offset: "offset" i64,
    }

    /// Asks where a queue ends.
    GetMaxOffsetRequestHeader<'a> = GET_MAX_OFFSET + TopicRequestHeader {
        required topic: "topic" Cow<'a, str>,
        required queue_id: "queueId" i32,
        default(true) committed: "committed" bool,
    }

    /// The offset after the last message.
    GetMaxOffsetResponseHeader {
        required offset: "offset" i64,
    }

    /// Asks where a queue starts.
    GetMinOffsetRequestHeader<'a> = GET_MIN_OFFSET + TopicRequestHeader {
        required topic: "topic" Cow<'a, str>,
        required queue_id: "queueId" i32,
    }

    /// The offset of the first message.
    GetMinOffsetResponseHeader {
        required offset: "offset" i64,
    }

    /// Asks when the oldest message of a queue was stored.
    GetEarliestMsgStoretimeRequestHeader<'a> = GET_EARLIEST_MSG_STORETIME + TopicRequestHeader {
        required topic: "topic" Cow<'a, str>,
        required queue_id: "queueId" i32,
    }

    /// Milliseconds since 1970; -1 when the queue is empty.
    GetEarliestMsgStoretimeResponseHeader {
        required timestamp: "timestamp" i64,
    }

    /// Asks for the message at an offset of the commit log.
    ViewMessageRequestHeader<'a> = VIEW_MESSAGE_BY_ID {
        optional topic: "topic" Cow<'a, str>,
        required offset: "offset" i64,
    }

    /// Asks for messages by key; with `unique_key_query` by unique key.
    QueryMessageRequestHeader<'a> = QUERY_MESSAGE + TopicRequestHeader {
        required topic: "topic" Cow<'a, str>,
        required key: "key" Cow<'a, str>,
        required max_num: "maxNum" i32,
        required begin_timestamp: "beginTimestamp" i64,
        required end_timestamp: "endTimestamp" i64,
        optional index_type: "indexType" Cow<'a, str>,
        optional last_key: "lastKey" Cow<'a, str>,
        /// Whether `key` is a unique key. Not in Java's header class.
        optional unique_key_query: "_UNIQUE_KEY_QUERY" bool,
    }

    /// How far the index reaches.
    QueryMessageResponseHeader {
        required index_last_update_timestamp: "indexLastUpdateTimestamp" i64,
        required index_last_update_phyoffset: "indexLastUpdatePhyoffset" i64,
    }
}
