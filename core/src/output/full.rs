//! [`Full`]: which bound of what may be cached was passed.

use core::fmt;

/// Which bound was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Full {
    /// Too many messages of the queue.
    Count,
    /// Too many bytes of the queue.
    Bytes,
    /// The oldest cached message is too far behind the newest.
    Span,
    /// Too many messages for the queue's share of what all queues may have.
    SharedCount,
    /// Too many bytes for the queue's share of what all queues may have.
    SharedBytes,
    /// The consumer has too many bytes, of whatever queues.
    TotalBytes,
}

impl Full {
    /// The setting that bounds it.
    #[must_use]
    pub fn setting(self) -> &'static str {
        match self {
            Self::Count => "pull_threshold_for_queue",
            Self::Bytes => "pull_threshold_bytes_for_queue",
            Self::Span => "consume_concurrently_max_span",
            Self::SharedCount => "pull_threshold_for_topic",
            Self::SharedBytes => "pull_threshold_bytes_for_topic",
            Self::TotalBytes => "cached_bytes_max",
        }
    }
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let words = match self {
            Self::Count | Self::SharedCount => "as many messages are cached as",
            Self::Bytes | Self::SharedBytes => "as many bytes are cached as",
            Self::Span => "the oldest unfinished message is further behind than",
            Self::TotalBytes => "the whole consumer has as many bytes cached as",
        };
        write!(f, "{words} {} allows", self.setting())
    }
}
