//! When a queue is not fetched from because too much is cached.

use super::process_queue::ProcessQueue;
use crate::config::PushConsumerConfig;
use crate::output::Full;

/// How much may be cached before fetching stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlowControl {
    /// Messages of a queue. Java: `pullThresholdForQueue`.
    pub count_max: usize,
    /// Bytes of a queue. Java: `pullThresholdSizeForQueue`.
    pub bytes_max: usize,
    /// Distance from the first to the last cached offset of a queue. Java: `consumeConcurrentlyMaxSpan`.
    pub span_max: i64,
    /// Messages that all queues share. Java: `pullThresholdForTopic`.
    pub shared_count_max: Option<usize>,
    /// Bytes that all queues share. Java: `pullThresholdSizeForTopic`.
    pub shared_bytes_max: Option<usize>,
    /// Bytes of all queues together.
    pub total_bytes_max: usize,
}

impl FlowControl {
    /// The bounds that a consumer was given.
    #[must_use]
    pub fn new(config: &PushConsumerConfig) -> Self {
        Self {
            count_max: config.pull_threshold_for_queue,
            bytes_max: config.pull_threshold_bytes_for_queue,
            span_max: config.consume_concurrently_max_span,
            shared_count_max: config.pull_threshold_for_topic,
            shared_bytes_max: config.pull_threshold_bytes_for_topic,
            total_bytes_max: config.cached_bytes_max,
        }
    }

    /// Why `queue`, one of `queues`, must not be fetched from now, if so, `total_bytes` being cached of
    /// all of them. As in Java a bound has to be passed, so a cache holds at most the bound and one batch.
    ///
    /// What all queues share is divided equally. Java: `RebalancePushImpl#messageQueueChanged`.
    #[must_use]
    pub fn check<T>(&self, queue: &ProcessQueue<T>, queues: usize, total_bytes: usize) -> Option<Full> {
        let share = |all: usize| (all / queues.max(1)).max(1);
        let (count_max, count) = match self.shared_count_max {
            Some(all) => (share(all), Full::SharedCount),
            None => (self.count_max, Full::Count),
        };
        let (bytes_max, bytes) = match self.shared_bytes_max {
            Some(all) => (share(all), Full::SharedBytes),
            None => (self.bytes_max, Full::Bytes),
        };
        if queue.count() > count_max {
            Some(count)
        } else if queue.bytes() > bytes_max {
            Some(bytes)
        } else if queue.span() > self.span_max {
            Some(Full::Span)
        } else if self.is_over(total_bytes) {
            Some(Full::TotalBytes)
        } else {
            None
        }
    }

    /// Whether `total_bytes` are too many for the whole consumer.
    #[must_use]
    pub fn is_over(&self, total_bytes: usize) -> bool {
        total_bytes > self.total_bytes_max
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: FlowControl = FlowControl {
        count_max: 3,
        bytes_max: 100,
        span_max: 10,
        shared_count_max: None,
        shared_bytes_max: None,
        total_bytes_max: 1_000,
    };

    fn cached(messages: &[(i64, usize)]) -> ProcessQueue<()> {
        let mut queue = ProcessQueue::default();
        for (offset, bytes) in messages {
            queue.put(*offset, *bytes, ());
        }
        queue
    }

    #[test]
    fn fetching_stops_once_a_bound_is_passed_not_when_it_is_reached() {
        type Case<'a> = (&'a [(i64, usize)], usize, Option<Full>);
        let cases: [Case<'_>; 9] = [
            (&[], 1_000, None),
            (&[], 1_001, Some(Full::TotalBytes)),
            (&[(1, 1), (2, 1), (3, 1)], 3, None),
            (&[(1, 1), (2, 1), (3, 1), (4, 1)], 4, Some(Full::Count)),
            (&[(1, 100)], 100, None),
            (&[(1, 100), (2, 1)], 101, Some(Full::Bytes)),
            (&[(1, 1), (11, 1)], 2, None),
            (&[(1, 1), (12, 1)], 2, Some(Full::Span)),
            (&[(1, 1), (12, 1)], 2_000, Some(Full::Span)),
        ];
        for (messages, total, expected) in cases {
            assert_eq!(BOUNDS.check(&cached(messages), 4, total), expected, "{messages:?}");
        }
    }

    #[test]
    fn what_queues_share_is_divided_and_never_to_nothing() {
        let bounds =
            FlowControl { shared_count_max: Some(8), shared_bytes_max: Some(400), count_max: 1, ..BOUNDS };
        let four = cached(&[(1, 30), (2, 30), (3, 30), (4, 30)]);
        for (queues, expected) in
            [(1, None), (2, None), (3, Some(Full::SharedCount)), (100, Some(Full::SharedCount)), (0, None)]
        {
            assert_eq!(bounds.check(&four, queues, 120), expected, "{queues} queues");
        }
        let one = cached(&[(1, 101)]);
        assert_eq!(bounds.check(&one, 4, 101), Some(Full::SharedBytes));
        assert_eq!(bounds.check(&one, 3, 101), None);
        let empty = cached(&[]);
        assert_eq!(bounds.check(&empty, 1_000, 0), None, "each may have at least one");
    }

    #[test]
    fn a_settlement_makes_room() {
        let mut queue = cached(&[(1, 1), (2, 1), (3, 1), (40, 1)]);
        assert_eq!(BOUNDS.check(&queue, 1, 4), Some(Full::Count));
        queue.settle(2);
        assert_eq!(BOUNDS.check(&queue, 1, 3), Some(Full::Span));
        queue.settle(1);
        queue.settle(3);
        assert_eq!(BOUNDS.check(&queue, 1, 1), None);
    }
}
