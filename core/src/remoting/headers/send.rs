//! Headers of sends and their answers, send-back, transactions and recall.

use super::super::header::headers;
use alloc::borrow::Cow;

headers! {
    /// A send with long field names, which old clients use; also [`RequestCode::SEND_REPLY_MESSAGE`](crate::remoting::RequestCode::SEND_REPLY_MESSAGE).
    SendMessageRequestHeader<'a> = SEND_MESSAGE + TopicRequestHeader {
        required producer_group: "producerGroup" Cow<'a, str>,
        required topic: "topic" Cow<'a, str>,
        required default_topic: "defaultTopic" Cow<'a, str>,
        required default_topic_queue_nums: "defaultTopicQueueNums" i32,
        required queue_id: "queueId" i32,
        required sys_flag: "sysFlag" i32,
        required born_timestamp: "bornTimestamp" i64,
        required flag: "flag" i32,
        optional properties: "properties" Cow<'a, str>,
        optional reconsume_times: "reconsumeTimes" i32,
        optional unit_mode: "unitMode" bool,
        optional batch: "batch" bool,
        optional max_reconsume_times: "maxReconsumeTimes" i32,
    }

    /// A send; also of batches and replies. The same fields as [`SendMessageRequestHeader`] under one-letter names.
    SendMessageRequestHeaderV2<'a> = SEND_MESSAGE_V2 + TopicRequestHeader {
        required producer_group: "a" Cow<'a, str>,
        required topic: "b" Cow<'a, str>,
        required default_topic: "c" Cow<'a, str>,
        required default_topic_queue_nums: "d" i32,
        required queue_id: "e" i32,
        required sys_flag: "f" i32,
        required born_timestamp: "g" i64,
        required flag: "h" i32,
        optional properties: "i" Cow<'a, str>,
        optional reconsume_times: "j" i32,
        optional unit_mode: "k" bool,
        optional max_reconsume_times: "l" i32,
        optional batch: "m" bool,
        optional broker_name: "n" Cow<'a, str>,
    }

    /// The answer to a send.
    SendMessageResponseHeader<'a> {
        required msg_id: "msgId" Cow<'a, str>,
        required queue_id: "queueId" i32,
        required queue_offset: "queueOffset" i64,
        optional transaction_id: "transactionId" Cow<'a, str>,
        optional batch_uniq_id: "batchUniqId" Cow<'a, str>,
        optional recall_handle: "recallHandle" Cow<'a, str>,
    }

    /// What a broker says of itself beside the answer to a send, errors included.
    SendMessageRegionHeader<'a> {
        optional msg_region: "MSG_REGION" Cow<'a, str>,
        /// Whether the broker wants messages traced. Java: anything but `false` means yes.
        optional trace_on: "TRACE_ON" Cow<'a, str>,
    }

    /// Gives a message back, to be delivered again later or to become a dead letter.
    ConsumerSendMsgBackRequestHeader<'a> = CONSUMER_SEND_MSG_BACK + RpcRequestHeader {
        required offset: "offset" i64,
        required group: "group" Cow<'a, str>,
        required delay_level: "delayLevel" i32,
        optional origin_msg_id: "originMsgId" Cow<'a, str>,
        optional origin_topic: "originTopic" Cow<'a, str>,
        default(false) unit_mode: "unitMode" bool,
        optional max_reconsume_times: "maxReconsumeTimes" i32,
    }

    /// Commits or rolls back a half message.
    EndTransactionRequestHeader<'a> = END_TRANSACTION + RpcRequestHeader {
        optional topic: "topic" Cow<'a, str>,
        required producer_group: "producerGroup" Cow<'a, str>,
        required tran_state_table_offset: "tranStateTableOffset" i64,
        required commit_log_offset: "commitLogOffset" i64,
        required commit_or_rollback: "commitOrRollback" i32,
        default(false) from_transaction_check: "fromTransactionCheck" bool,
        required msg_id: "msgId" Cow<'a, str>,
        optional transaction_id: "transactionId" Cow<'a, str>,
    }

    /// Takes a timer message back before it is delivered.
    RecallMessageRequestHeader<'a> = RECALL_MESSAGE + TopicRequestHeader {
        optional producer_group: "producerGroup" Cow<'a, str>,
        required topic: "topic" Cow<'a, str>,
        required recall_handle: "recallHandle" Cow<'a, str>,
    }

    /// The answer to a recall.
    RecallMessageResponseHeader<'a> {
        required msg_id: "msgId" Cow<'a, str>,
    }

    /// A reply that the broker pushes to the client that asked. Must be answered.
    ReplyMessageRequestHeader<'a> = PUSH_REPLY_MESSAGE_TO_CLIENT + TopicRequestHeader {
        required producer_group: "producerGroup" Cow<'a, str>,
        required topic: "topic" Cow<'a, str>,
        required default_topic: "defaultTopic" Cow<'a, str>,
        required default_topic_queue_nums: "defaultTopicQueueNums" i32,
        required queue_id: "queueId" i32,
        required sys_flag: "sysFlag" i32,
        required born_timestamp: "bornTimestamp" i64,
        required flag: "flag" i32,
        optional properties: "properties" Cow<'a, str>,
        optional reconsume_times: "reconsumeTimes" i32,
        default(false) unit_mode: "unitMode" bool,
        required born_host: "bornHost" Cow<'a, str>,
        required store_host: "storeHost" Cow<'a, str>,
        default(0) store_timestamp: "storeTimestamp" i64,
    }

    /// The broker asks what became of a half message; the answer is an [`EndTransactionRequestHeader`].
    CheckTransactionStateRequestHeader<'a> = CHECK_TRANSACTION_STATE + RpcRequestHeader {
        optional topic: "topic" Cow<'a, str>,
        required tran_state_table_offset: "tranStateTableOffset" i64,
        required commit_log_offset: "commitLogOffset" i64,
        optional msg_id: "msgId" Cow<'a, str>,
        optional transaction_id: "transactionId" Cow<'a, str>,
        optional offset_msg_id: "offsetMsgId" Cow<'a, str>,
    }
}
