//! What a consumer asked or armed, so that answers and timers find their way back.

use alloc::sync::Arc;

use crate::id::ProcessQueueId;
use crate::message::MessageQueue;

/// A request of a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ConsumerRequest {
    /// Who belongs to the group, as the broker of this topic sees it, for this round of rebalance.
    Members {
        /// The topic whose queues are to be divided.
        topic: Arc<str>,
        /// The round.
        round: u64,
    },
    /// Where the group stands on a queue.
    StoredOffset(ProcessQueueId),
    /// Where to start on a queue on which the group stands nowhere.
    StartOffset(ProcessQueueId),
    /// Where a queue goes on whose position is in doubt.
    Place(ProcessQueueId),
    /// Messages.
    Pull {
        /// Of this stay.
        queue: ProcessQueueId,
    },
    /// A message goes back to its broker. Java: `CONSUMER_SEND_MSG_BACK`.
    SendBack {
        /// The stay of its queue.
        queue: ProcessQueueId,
        /// Its offset.
        queue_offset: i64,
    },
    /// A message goes to the retry topic, because its broker didn't take it back.
    SendRetry {
        /// The stay of its queue.
        queue: ProcessQueueId,
        /// Its offset.
        queue_offset: i64,
    },
    /// An offset is committed.
    Commit {
        /// Of this queue.
        queue: Arc<MessageQueue>,
        /// The offset.
        offset: i64,
    },
    /// The group is left at this broker.
    Unregister(Arc<str>),
}

/// A deadline of a consumer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerTimer {
    /// Divide the queues.
    Rebalance,
    /// Commit what has changed.
    PersistOffsets,
    /// The first commit of a table may have kept others waiting for too long.
    FirstCommit,
    /// Look for routes that are missing.
    Routes,
    /// Ask a broker that refuses queues again.
    Refused,
    /// Go on fetching from a queue.
    Fetch(ProcessQueueId),
    /// Offer a message again that could not be sent back.
    Reoffer {
        /// The stay of its queue.
        queue: ProcessQueueId,
        /// Its offset.
        queue_offset: i64,
    },
    /// A handler may have had a message for too long.
    ConsumeTimeout,
    /// Whoever waits for the start has waited long enough.
    StartPatience,
    /// Handlers have had their time.
    CloseHandlers,
    /// The close is over, whatever is left.
    Close,
}
