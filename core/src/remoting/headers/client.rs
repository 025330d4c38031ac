//! Headers of heartbeats, membership and locks, and of what brokers ask clients.

use super::super::header::headers;
use alloc::borrow::Cow;

headers! {
    /// Tells a broker who is alive; the facts are in the body.
    HeartbeatRequestHeader<'a> = HEART_BEAT + RpcRequestHeader {
    }

    /// What a broker says of a heartbeat.
    HeartbeatResponseHeader {
        /// Whether later heartbeats may leave their subscriptions out.
        default(false) is_support_heart_beat_v2: "IS_SUPPORT_HEART_BEAT_V2" bool,
        /// Whether the full heartbeat is to be sent next; brokers before 5.1 don't say.
        default(true) is_sub_change: "IS_SUB_CHANGE" bool,
    }

    /// Takes a client out of its groups.
    UnregisterClientRequestHeader<'a> = UNREGISTER_CLIENT + RpcRequestHeader {
        required client_id: "clientID" Cow<'a, str>,
        optional producer_group: "producerGroup" Cow<'a, str>,
        optional consumer_group: "consumerGroup" Cow<'a, str>,
    }

    /// Asks for the client ids of a group.
    GetConsumerListByGroupRequestHeader<'a> = GET_CONSUMER_LIST_BY_GROUP + RpcRequestHeader {
        required consumer_group: "consumerGroup" Cow<'a, str>,
    }

    /// Locks queues for orderly consumption.
    LockBatchMqRequestHeader<'a> = LOCK_BATCH_MQ + RpcRequestHeader {
    }

    /// Unlocks queues.
    UnlockBatchMqRequestHeader<'a> = UNLOCK_BATCH_MQ + RpcRequestHeader {
    }

    /// The broker says that a group has changed: rebalance now.
    NotifyConsumerIdsChangedRequestHeader<'a> = NOTIFY_CONSUMER_IDS_CHANGED + RpcRequestHeader {
        required consumer_group: "consumerGroup" Cow<'a, str>,
    }

    /// Resets a group's offsets: the broker to a client, and with [`RequestCode::INVOKE_BROKER_TO_RESET_OFFSET`](crate::remoting::RequestCode::INVOKE_BROKER_TO_RESET_OFFSET) an admin to the broker.
    ResetOffsetRequestHeader<'a> = RESET_CONSUMER_CLIENT_OFFSET + TopicRequestHeader {
        required group: "group" Cow<'a, str>,
        required topic: "topic" Cow<'a, str>,
        default(-1) queue_id: "queueId" i32,
        optional offset: "offset" i64,
        default(0) timestamp: "timestamp" i64,
        default(false) is_force: "isForce" bool,
    }

    /// Asks for the offsets that clients of a group are at; also [`RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT`](crate::remoting::RequestCode::GET_CONSUMER_STATUS_FROM_CLIENT).
    GetConsumerStatusRequestHeader<'a> = INVOKE_BROKER_TO_GET_CONSUMER_STATUS + TopicRequestHeader {
        required topic: "topic" Cow<'a, str>,
        required group: "group" Cow<'a, str>,
        optional client_addr: "clientAddr" Cow<'a, str>,
    }

    /// Asks how a consumer is doing.
    GetConsumerRunningInfoRequestHeader<'a> = GET_CONSUMER_RUNNING_INFO + RpcRequestHeader {
        required consumer_group: "consumerGroup" Cow<'a, str>,
        required client_id: "clientId" Cow<'a, str>,
        default(false) jstack_enable: "jstackEnable" bool,
    }

    /// Has a client consume one message now.
    ConsumeMessageDirectlyResultRequestHeader<'a> = CONSUME_MESSAGE_DIRECTLY + TopicRequestHeader {
        required consumer_group: "consumerGroup" Cow<'a, str>,
        optional client_id: "clientId" Cow<'a, str>,
        optional msg_id: "msgId" Cow<'a, str>,
        optional broker_name: "brokerName" Cow<'a, str>,
        optional topic: "topic" Cow<'a, str>,
        optional topic_sys_flag: "topicSysFlag" i32,
        optional group_sys_flag: "groupSysFlag" i32,
    }
}
