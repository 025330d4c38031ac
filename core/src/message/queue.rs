//! [`MessageQueue`]: one queue of one topic on one broker.

use alloc::sync::Arc;
use core::cmp::Ordering;
use core::fmt;

/// One queue of a topic on one broker; the unit of allocation, order and offsets.
///
/// Ordered by topic, broker name, queue id, as every member of a group must see the same order
/// (Java: `MessageQueue#compareTo`).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct MessageQueue {
    /// The topic, with its namespace if it has one.
    pub topic: Arc<str>,
    /// The name of the broker group (master and slaves share it), not an address.
    pub broker_name: Arc<str>,
    /// The number of the queue on that broker, from 0.
    pub queue_id: i32,
}

impl MessageQueue {
    /// The queue `queue_id` of `topic` on `broker_name`.
    #[must_use]
    pub fn new(topic: impl Into<Arc<str>>, broker_name: impl Into<Arc<str>>, queue_id: i32) -> Self {
        Self { topic: topic.into(), broker_name: broker_name.into(), queue_id }
    }
}

impl PartialOrd for MessageQueue {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for MessageQueue {
    fn cmp(&self, other: &Self) -> Ordering {
        compare(&self.topic, &other.topic)
            .then_with(|| compare(&self.broker_name, &other.broker_name))
            .then_with(|| self.queue_id.cmp(&other.queue_id))
    }
}

/// As their texts compare. Queues of one route share theirs, so that mostly nothing is read.
fn compare(one: &Arc<str>, other: &Arc<str>) -> Ordering {
    if Arc::ptr_eq(one, other) { Ordering::Equal } else { one.cmp(other) }
}

impl fmt::Display for MessageQueue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}:{}", self.topic, self.broker_name, self.queue_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn queues_sort_by_topic_then_broker_then_number() {
        let mut queues = [
            MessageQueue::new("b", "a", 0),
            MessageQueue::new("a", "b", 0),
            MessageQueue::new("a", "a", 10),
            MessageQueue::new("a", "a", 9),
        ];
        queues.sort();
        let text: alloc::vec::Vec<_> = queues.iter().map(ToString::to_string).collect();
        assert_eq!(text, ["a@a:9", "a@a:10", "a@b:0", "b@a:0"]);
    }
}
