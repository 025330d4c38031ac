//! The settings that hold a consumer back, and how often each really did.

use crate::counts::{Counts, kinds};

kinds! {
    /// A setting that bounds what a consumer does at a time.
    Bound {
        /// `pull_threshold_for_queue`: fetching of a queue stopped.
        QueueCount = "pull_threshold_for_queue",
        /// `pull_threshold_bytes_for_queue`: fetching of a queue stopped.
        QueueBytes = "pull_threshold_bytes_for_queue",
        /// `pull_threshold_for_topic`: fetching of a queue stopped.
        SharedCount = "pull_threshold_for_topic",
        /// `pull_threshold_bytes_for_topic`: fetching of a queue stopped.
        SharedBytes = "pull_threshold_bytes_for_topic",
        /// `consume_concurrently_max_span`: fetching of a queue stopped.
        Span = "consume_concurrently_max_span",
        /// `cached_bytes_max`: fetching of all queues stopped.
        TotalBytes = "cached_bytes_max",
        /// `pull_batch_size`: a pull brought as many messages as that.
        PullBatchSize = "pull_batch_size",
        /// `pull_batch_bytes`: a pull brought less than there was because of it.
        PullBatchBytes = "pull_batch_bytes",
        /// A handler of batches was called with as many messages as it may get.
        ConsumeBatch = "consume batch size",
        /// `consume_timeout`: a handler had a message for longer.
        ConsumeTimeout = "consume_timeout",
    }
}

/// How often each bound was met.
pub type Bounds = Counts<Bound>;
