//! When a queue is not fetched from because too much of it is cached.

use core::fmt;

use super::process_queue::ProcessQueue;
use crate::config::PushConsumerConfig;

/// How much of one queue may be cached before fetching stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowControl {
    /// Messages. Java: `pullThresholdForQueue`.
    pub count_max: usize,
    /// Bytes. Java: `pullThresholdSizeForQueue`.
    pub bytes_max: usize,
    /// Distance from the first to the last cached offset. Java: `consumeConcurrentlyMaxSpan`.
    pub span_max: i64,
}

/// Which bound was passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Full {
    /// Too many messages.
    Count,
    /// Too many bytes.
    Bytes,
    /// The oldest cached message is too far behind the newest.
    Span,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Count => "pull_threshold_for_queue messages are cached",
            Self::Bytes => "pull_threshold_bytes_for_queue bytes are cached",
            Self::Span => "the oldest unfinished message is consume_concurrently_max_span behind",
        })
    }
}

impl FlowControl {
    /// The bounds that a consumer was given.
    #[must_use]
    pub fn new(config: &PushConsumerConfig) -> Self {
        Self {
            count_max: config.pull_threshold_for_queue,
            bytes_max: config.pull_threshold_bytes_for_queue,
            span_max: config.consume_concurrently_max_span,
        }
    }

    /// Why `queue` must not be fetched from now, if so. As in Java a bound has to be passed, so a
    /// cache holds at most the bound and one batch.
    #[must_use]
    pub fn check<T>(&self, queue: &ProcessQueue<T>) -> Option<Full> {
        if queue.count() > self.count_max {
            Some(Full::Count)
        } else if queue.bytes() > self.bytes_max {
            Some(Full::Bytes)
        } else if queue.span() > self.span_max {
            Some(Full::Span)
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: FlowControl = FlowControl { count_max: 3, bytes_max: 100, span_max: 10 };

    fn cached(messages: &[(i64, usize)]) -> ProcessQueue<()> {
        let mut queue = ProcessQueue::default();
        for (offset, bytes) in messages {
            queue.put(*offset, *bytes, ());
        }
        queue
    }

    #[test]
    fn fetching_stops_once_a_bound_is_passed_not_when_it_is_reached() {
        type Case<'a> = (&'a [(i64, usize)], Option<Full>);
        let cases: [Case<'_>; 7] = [
            (&[], None),
            (&[(1, 1), (2, 1), (3, 1)], None),
            (&[(1, 1), (2, 1), (3, 1), (4, 1)], Some(Full::Count)),
            (&[(1, 100)], None),
            (&[(1, 100), (2, 1)], Some(Full::Bytes)),
            (&[(1, 1), (11, 1)], None),
            (&[(1, 1), (12, 1)], Some(Full::Span)),
        ];
        for (messages, expected) in cases {
            assert_eq!(BOUNDS.check(&cached(messages)), expected, "{messages:?}");
        }
    }

    #[test]
    fn a_settlement_makes_room() {
        let mut queue = cached(&[(1, 1), (2, 1), (3, 1), (40, 1)]);
        assert_eq!(BOUNDS.check(&queue), Some(Full::Count));
        queue.settle(2);
        assert_eq!(BOUNDS.check(&queue), Some(Full::Span));
        queue.settle(1);
        queue.settle(3);
        assert_eq!(BOUNDS.check(&queue), None);
    }
}
