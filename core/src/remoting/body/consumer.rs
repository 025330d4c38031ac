//! What consumers report when a broker asks.

use super::{SubscriptionData, bodies, names};
use crate::message::MessageQueue;
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

names! {
    /// How the consumption of one message ended. Java: `CMResult`.
    ConsumeResult {
        /// It was consumed.
        Success = "CR_SUCCESS",
        /// It is to come again.
        Later = "CR_LATER",
        /// An orderly consumer rolled back.
        Rollback = "CR_ROLLBACK",
        /// An orderly consumer committed.
        Commit = "CR_COMMIT",
        /// The consumer failed.
        ThrowException = "CR_THROW_EXCEPTION",
        /// The consumer gave no result.
        ReturnNull = "CR_RETURN_NULL",
    }
}

bodies! {
    /// How a consumer is doing.
    ConsumerRunningInfo {
        /// The threads' stacks, if asked for.
        jstack: "jstack" Option<Arc<str>>,
        /// Queues that are popped.
        mq_pop_table: "mqPopTable" BTreeMap<MessageQueue, PopProcessQueueInfo>,
        /// Queues that are pulled.
        mq_table: "mqTable" BTreeMap<MessageQueue, ProcessQueueInfo>,
        /// Facts by name, such as `PROP_CLIENT_VERSION`.
        properties: "properties" BTreeMap<Arc<str>, Arc<str>>,
        /// Speeds by topic.
        status_table: "statusTable" BTreeMap<Arc<str>, ConsumeStatus>,
        /// Its subscriptions.
        subscription_set: "subscriptionSet" Vec<SubscriptionData>,
        /// Facts the user adds.
        user_consumer_info: "userConsumerInfo" BTreeMap<Arc<str>, Arc<str>>,
    }

    /// A pulled queue. Times are Unix milliseconds.
    ProcessQueueInfo [Eq] {
        /// Messages it holds.
        cached_msg_count: "cachedMsgCount" i32,
        /// The last offset it holds.
        cached_msg_max_offset: "cachedMsgMaxOffset" i64,
        /// The first offset it holds.
        cached_msg_min_offset: "cachedMsgMinOffset" i64,
        /// What it holds, in MiB.
        cached_msg_size_in_mib: "cachedMsgSizeInMiB" i32,
        /// The committed offset.
        commit_offset: "commitOffset" i64,
        /// Whether the client gave it up.
        droped: "droped" bool,
        /// When a message was last consumed.
        last_consume_timestamp: "lastConsumeTimestamp" i64,
        /// When it was last locked.
        last_lock_timestamp: "lastLockTimestamp" i64,
        /// When it was last pulled.
        last_pull_timestamp: "lastPullTimestamp" i64,
        /// Whether it is locked.
        locked: "locked" bool,
        /// Messages being consumed in order.
        transaction_msg_count: "transactionMsgCount" i32,
        /// The last offset being consumed in order.
        transaction_msg_max_offset: "transactionMsgMaxOffset" i64,
        /// The first offset being consumed in order.
        transaction_msg_min_offset: "transactionMsgMinOffset" i64,
        /// How often unlocking was tried.
        try_unlock_times: "tryUnlockTimes" i64,
    }

    /// A popped queue.
    PopProcessQueueInfo [Eq] {
        /// Whether the client gave it up.
        droped: "droped" bool,
        /// When it was last popped, in Unix milliseconds.
        last_pop_timestamp: "lastPopTimestamp" i64,
        /// Messages that wait for their acknowledgement.
        wait_ack_count: "waitAckCount" i32,
    }

    /// The speed of a topic: milliseconds and messages a second.
    ConsumeStatus {
        /// Messages that failed.
        consume_failed_msgs: "consumeFailedMsgs" i64,
        /// Failures a second.
        consume_failed_tps: "consumeFailedTPS" f64,
        /// Successes a second.
        consume_ok_tps: "consumeOKTPS" f64,
        /// How long consuming takes.
        consume_rt: "consumeRT" f64,
        /// How long a pull takes.
        pull_rt: "pullRT" f64,
        /// Messages pulled a second.
        pull_tps: "pullTPS" f64,
    }

    /// How the consumption of one message ended.
    ConsumeMessageDirectlyResult [Eq] {
        /// Whether orderly consumption commits by itself.
        auto_commit: "autoCommit" bool = true,
        /// How it ended.
        consume_result: "consumeResult" ConsumeResult,
        /// Whether it was consumed in order.
        order: "order" bool,
        /// Text for humans.
        remark: "remark" Option<Arc<str>>,
        /// How long it took, in milliseconds.
        spent_time_mills: "spentTimeMills" i64,
    }
}
