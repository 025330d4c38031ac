//! Headers of pop consumption.

use super::super::header::headers;
use alloc::borrow::Cow;

headers! {
    /// Takes messages that nobody else gets for `invisible_time` milliseconds.
    PopMessageRequestHeader<'a> = POP_MESSAGE + TopicRequestHeader {
        required consumer_group: "consumerGroup" Cow<'a, str>,
        required topic: "topic" Cow<'a, str>,
        default(0) queue_id: "queueId" i32,
        default(0) max_msg_nums: "maxMsgNums" i32,
        default(0) invisible_time: "invisibleTime" i64,
        default(0) poll_time: "pollTime" i64,
        default(0) born_time: "bornTime" i64,
        default(0) init_mode: "initMode" i32,
        optional exp_type: "expType" Cow<'a, str>,
        optional exp: "exp" Cow<'a, str>,
        default(false) order: "order" bool,
        optional attempt_id: "attemptId" Cow<'a, str>,
    }

    /// The answer to a pop or a peek.
    PopMessageResponseHeader<'a> {
        default(0) pop_time: "popTime" i64,
        default(0) invisible_time: "invisibleTime" i64,
        default(0) revive_qid: "reviveQid" i32,
        default(0) rest_num: "restNum" i64,
        optional start_offset_info: "startOffsetInfo" Cow<'a, str>,
        optional msg_offset_info: "msgOffsetInfo" Cow<'a, str>,
        optional order_count_info: "orderCountInfo" Cow<'a, str>,
    }

    /// Acknowledges one popped message.
    AckMessageRequestHeader<'a> = ACK_MESSAGE + TopicRequestHeader {
        required consumer_group: "consumerGroup" Cow<'a, str>,
        required topic: "topic" Cow<'a, str>,
        required queue_id: "queueId" i32,
        required extra_info: "extraInfo" Cow<'a, str>,
        required offset: "offset" i64,
    }

    /// Changes when a popped message is delivered again, in milliseconds from now.
    ChangeInvisibleTimeRequestHeader<'a> = CHANGE_MESSAGE_INVISIBLETIME + TopicRequestHeader {
        required consumer_group: "consumerGroup" Cow<'a, str>,
        required topic: "topic" Cow<'a, str>,
        required queue_id: "queueId" i32,
        required extra_info: "extraInfo" Cow<'a, str>,
        required offset: "offset" i64,
        required invisible_time: "invisibleTime" i64,
    }

    /// What the new handle is made of.
    ChangeInvisibleTimeResponseHeader {
        default(0) pop_time: "popTime" i64,
        default(0) invisible_time: "invisibleTime" i64,
        default(0) revive_qid: "reviveQid" i32,
    }

    /// Reads messages without taking them.
    PeekMessageRequestHeader<'a> = PEEK_MESSAGE + TopicRequestHeader {
        required topic: "topic" Cow<'a, str>,
        default(0) queue_id: "queueId" i32,
        default(0) max_msg_nums: "maxMsgNums" i32,
        required consumer_group: "consumerGroup" Cow<'a, str>,
    }

    /// Waits until there is something to pop.
    NotificationRequestHeader<'a> = NOTIFICATION + TopicRequestHeader {
        required consumer_group: "consumerGroup" Cow<'a, str>,
        required topic: "topic" Cow<'a, str>,
        default(0) queue_id: "queueId" i32,
        default(0) poll_time: "pollTime" i64,
        default(0) born_time: "bornTime" i64,
        default(false) order: "order" bool,
        optional attempt_id: "attemptId" Cow<'a, str>,
    }

    /// Whether there is something to pop.
    NotificationResponseHeader {
        default(false) has_msg: "hasMsg" bool,
        default(false) polling_full: "pollingFull" bool,
    }

    /// Asks how many pops wait.
    PollingInfoRequestHeader<'a> = POLLING_INFO + TopicRequestHeader {
        required consumer_group: "consumerGroup" Cow<'a, str>,
        required topic: "topic" Cow<'a, str>,
        default(0) queue_id: "queueId" i32,
    }

    /// How many pops wait.
    PollingInfoResponseHeader {
        default(0) polling_num: "pollingNum" i32,
    }
}
