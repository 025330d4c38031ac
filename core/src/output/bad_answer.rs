//! [`BadAnswer`]: what a broker says that can't be true.

/// Why an answer about a queue, or a record in it, is not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum BadAnswer {
    /// Its header lacks a number, or has something else in its place.
    #[error("its header can't be read")]
    Header,
    /// It leads back, or it has messages and leads nowhere.
    #[error("it leads from {at} to {next}")]
    LeadsNowhere {
        /// Where the pull began.
        at: i64,
        /// Where it is to go on.
        next: i64,
    },
    /// It leads beyond the end that it tells itself, and did so when it was asked again.
    #[error("it leads from {at} to {next}, but the queue ends at {max}")]
    BeyondTheEnd {
        /// Where the pull began.
        at: i64,
        /// Where it is to go on.
        next: i64,
        /// Where the queue ends.
        max: i64,
    },
    /// It is said to have messages, and has none.
    #[error("it leads from {at} to {next} by messages, but has none")]
    NoRecords {
        /// Where the pull began.
        at: i64,
        /// Where it is to go on.
        next: i64,
    },
    /// It breaks off in the middle.
    #[error("it breaks off at {at}")]
    BreaksOff {
        /// The offset of the message that was to follow.
        at: i64,
    },
    /// The offset was moved by numbers that contradict each other.
    #[error("it moves the offset from {at} to {next} in a queue from {min} to {max}")]
    Moved {
        /// Where the pull began.
        at: i64,
        /// Where it is to go on.
        next: i64,
        /// The queue's first offset.
        min: i64,
        /// Where the queue ends.
        max: i64,
    },
    /// A place was asked for by time, and lies outside of the queue.
    #[error("it finds {offset} by time in a queue from {min} to {max}")]
    Place {
        /// The place.
        offset: i64,
        /// The queue's first offset.
        min: i64,
        /// Where the queue ends.
        max: i64,
    },
    /// A record has an offset that was not asked for, or that another one has.
    #[error("it has a record with offset {offset}, where {from} to {to} were expected")]
    RecordOffset {
        /// The record's.
        offset: i64,
        /// The lowest that was expected.
        from: i64,
        /// The end of what was expected.
        to: i64,
    },
    /// A record is of another topic.
    #[error("its record with offset {offset} is of another topic")]
    RecordTopic {
        /// The record's offset.
        offset: i64,
    },
    /// A record is of another queue of the topic.
    #[error("its record with offset {offset} is of queue {queue_id}")]
    RecordQueue {
        /// The record's offset.
        offset: i64,
        /// The record's queue.
        queue_id: i32,
    },
}
