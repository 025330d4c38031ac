//! A look inside for tests and property checks. Nothing here changes anything.

use std::sync::Arc;

use bytes::Bytes;
use rocketmq_client_core::message::{MessageQueue, StoredMessage};
use rocketmq_client_core::remoting::{SubscriptionGroupConfig, TopicConfig};
use rocketmq_client_core::time::Instant;

use crate::broker::Broker;
use crate::output::ConnectionId;

impl Broker {
    /// All records of the log that are kept, oldest first, system topics included.
    pub fn log(&self) -> impl DoubleEndedIterator<Item = StoredMessage> {
        self.store.log.iter().filter_map(|record| StoredMessage::decode(&record.bytes).ok())
    }

    /// The visible messages of a queue in the order of their offsets.
    pub fn queue(&self, topic: &str, queue_id: i32) -> impl DoubleEndedIterator<Item = StoredMessage> {
        let queue = self.store.queue_of(topic, queue_id);
        let offsets = queue.map_or(0..0, |queue| queue.min()..queue.max());
        offsets.filter_map(move |offset| self.stored(queue?.get(offset)?.record))
    }

    /// The visible messages of all queues of a topic, queue by queue.
    pub fn messages(&self, topic: &str) -> Vec<StoredMessage> {
        let queues =
            self.topic(topic).map_or(0, |config| config.read_queue_nums.max(config.write_queue_nums));
        (0..queues).flat_map(|queue_id| self.queue(topic, queue_id)).collect()
    }

    /// The visible messages of a topic in the order in which they were stored, each with its time.
    #[cfg(feature = "serve")]
    pub(crate) fn messages_as_stored(&self, topic: &str) -> Vec<(Instant, StoredMessage)> {
        let queues = self.store.queues_of(topic);
        let mut numbers: Vec<_> = queues
            .flat_map(|queue| (queue.min()..queue.max()).filter_map(|offset| queue.get(offset)))
            .map(|entry| entry.record)
            .collect();
        numbers.sort_unstable();
        let stored_at = |number| self.store.log.get(number).map(|record| record.stored_at);
        numbers.into_iter().filter_map(|number| Some((stored_at(number)?, self.stored(number)?))).collect()
    }

    /// The first and the next queue offset of a queue; zeros for one that was never used.
    #[must_use]
    pub fn queue_range(&self, topic: &str, queue_id: i32) -> std::ops::Range<i64> {
        self.store.queue_of(topic, queue_id).map_or(0..0, |queue| queue.min()..queue.max())
    }

    /// The bytes of the record at a physical offset, as VIEW_MESSAGE_BY_ID answers it.
    #[must_use]
    pub fn record(&self, commit_log_offset: i64) -> Option<&Bytes> {
        self.store.record_at(commit_log_offset).map(|record| &record.bytes)
    }

    /// What a group last committed for a queue.
    #[must_use]
    pub fn committed_offset(&self, group: &str, topic: &str, queue_id: i32) -> Option<i64> {
        self.offsets.committed(group, topic, queue_id)
    }

    /// Every group, topic, queue and committed offset.
    pub fn committed_offsets(&self) -> impl Iterator<Item = (&str, &str, i32, i64)> {
        self.offsets.iter().map(|(group, topic, queue_id, offset)| (&**group, &**topic, queue_id, offset))
    }

    /// The client ids of a consumer group, one a connection.
    pub fn members(&self, group: &str) -> impl Iterator<Item = &Arc<str>> {
        let group = self.clients.consumers.get(group);
        group.into_iter().flat_map(|group| group.members.values().map(|member| &member.client_id))
    }

    /// The client that holds a queue's unexpired lock.
    #[must_use]
    pub fn lock_holder(&self, now: Instant, group: &str, queue: &MessageQueue) -> Option<&Arc<str>> {
        self.locks.holder(now, group, queue)
    }

    /// A topic's configuration.
    #[must_use]
    pub fn topic(&self, topic: &str) -> Option<&TopicConfig> {
        self.topics.get(topic)
    }

    /// The names of all topics, system topics included.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.topics.iter().map(|config| &config.topic_name)
    }

    /// The names of all consumer groups that have a configuration, those for tools included.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<str>> {
        self.groups.table().subscription_group_table.keys()
    }

    /// A group's configuration.
    #[must_use]
    pub fn group(&self, group: &str) -> Option<&SubscriptionGroupConfig> {
        self.groups.get(group)
    }

    /// How many pulls are held.
    #[must_use]
    pub fn held_pulls(&self) -> usize {
        self.holds.len()
    }

    /// How many pops and notifications wait for messages.
    #[must_use]
    pub fn waiting_pops(&self) -> usize {
        self.pops.polls.len()
    }

    /// How many popped messages of a queue are neither acknowledged nor due again; `topic` may be a
    /// retry topic. Orderly pops don't count.
    #[must_use]
    pub fn hidden_messages(&self, group: &str, topic: &str, queue_id: i32) -> usize {
        self.pops.check_points.inflight(topic, group, queue_id)
    }

    /// Whether a client is connected by this connection, as far as the broker knows.
    #[must_use]
    pub fn is_connected(&self, connection: ConnectionId) -> bool {
        self.connections.contains_key(&connection)
    }

    /// How many clients are connected.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.connections.len()
    }
}
