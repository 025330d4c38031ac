//! What users did and what brokers kept, as plain values. Each queue's log is a total order, so one
//! pass over it answers every question; the same questions can be asked of a real broker's history.

use std::collections::BTreeMap;
use std::sync::Arc;

use rocketmq_client_core::message::{StoredMessage, property};
use rocketmq_client_core::time::Instant;
use rocketmq_dev_broker::Broker;

/// Where delayed messages wait. Java: `TopicValidator#RMQ_SYS_SCHEDULE_TOPIC`.
const SCHEDULE_TOPIC: &str = "SCHEDULE_TOPIC_XXXX";

/// A message of the workload, carried in its key as `m17`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MessageNumber(pub(crate) u32);

impl MessageNumber {
    pub(crate) fn key(self) -> String {
        format!("m{}", self.0)
    }

    pub(crate) fn of(message: &StoredMessage) -> Option<Self> {
        message.keys().find_map(|key| key.strip_prefix('m')?.parse().ok()).map(Self)
    }
}

/// A queue of a broker.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct QueueName {
    pub(crate) broker: Arc<str>,
    pub(crate) topic: Arc<str>,
    pub(crate) queue_id: i32,
}

/// A message in a queue.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) message: MessageNumber,
    pub(crate) tag: Box<str>,
}

/// One time that a message was stored.
#[derive(Clone, Debug)]
pub(crate) struct Stored {
    pub(crate) queue: Arc<QueueName>,
    pub(crate) queue_offset: i64,
    /// The topic it is on its way to; that of the queue, but for delayed messages.
    pub(crate) for_topic: Arc<str>,
    pub(crate) at: Instant,
    /// A crash took it.
    pub(crate) lost: bool,
    log_offset: i64,
}

/// The records of a queue.
#[derive(Debug, Default)]
pub(crate) struct Queue {
    /// By offset; `None` for what is not of the workload.
    pub(crate) records: Vec<Option<Record>>,
}

/// All brokers' logs, with what crashes took.
#[derive(Debug, Default)]
pub(crate) struct History {
    pub(crate) queues: BTreeMap<Arc<QueueName>, Queue>,
    pub(crate) stored: BTreeMap<MessageNumber, Vec<Stored>>,
    log_ends: BTreeMap<Arc<str>, i64>,
}

impl History {
    /// Takes over what a broker has stored since.
    pub(crate) fn grow(&mut self, now: Instant, broker: &Broker) {
        let name = &broker.config().broker_name;
        let known = self.log_ends.get(name).copied().unwrap_or(0);
        let mut fresh: Vec<StoredMessage> =
            broker.log().rev().take_while(|record| record.commit_log_offset >= known).collect();
        while let Some(record) = fresh.pop() {
            let end = record.commit_log_offset + i64::try_from(record.record_bytes()).unwrap_or(0);
            self.log_ends.insert(name.clone(), end);
            self.add(now, name, &record);
        }
    }

    /// A crash may have taken the end of a broker's log; the queues that are shorter now, each with its end.
    pub(crate) fn shrink(&mut self, broker: &Broker) -> Vec<(Arc<QueueName>, i64)> {
        let name = &broker.config().broker_name;
        let end = broker
            .log()
            .next_back()
            .map_or(0, |record| record.commit_log_offset + i64::try_from(record.record_bytes()).unwrap_or(0));
        self.log_ends.insert(name.clone(), end);
        for stored in self.stored.values_mut().flatten() {
            if stored.queue.broker == *name && stored.log_offset >= end {
                stored.lost = true;
            }
        }
        let mut shorter = Vec::new();
        for (queue_name, queue) in &mut self.queues {
            if queue_name.broker == *name {
                let max = broker.queue_range(&queue_name.topic, queue_name.queue_id).end;
                let max_index = usize::try_from(max).unwrap_or(0);
                if max_index < queue.records.len() {
                    queue.records.truncate(max_index);
                    shorter.push((queue_name.clone(), max));
                }
            }
        }
        shorter
    }

    /// A topic of a broker is gone with its messages; the queues that it had.
    pub(crate) fn delete_topic(&mut self, broker: &str, topic: &str) -> Vec<Arc<QueueName>> {
        let is_its = |queue: &QueueName| *queue.broker == *broker && *queue.topic == *topic;
        for stored in self.stored.values_mut().flatten().filter(|stored| is_its(&stored.queue)) {
            stored.lost = true;
        }
        let queues = self.queues.iter_mut().filter(|(queue, _)| is_its(queue));
        queues
            .map(|(name, queue)| {
                queue.records.clear();
                name.clone()
            })
            .collect()
    }

    /// How many records crashes took.
    pub(crate) fn lost(&self) -> usize {
        self.stored.values().flatten().filter(|stored| stored.lost).count()
    }

    /// The times that a message was stored.
    pub(crate) fn stored(&self, message: MessageNumber) -> &[Stored] {
        self.stored.get(&message).map_or(&[], Vec::as_slice)
    }

    fn add(&mut self, now: Instant, broker: &Arc<str>, record: &StoredMessage) {
        let queue = Arc::new(QueueName {
            broker: broker.clone(),
            topic: record.shared_topic().clone(),
            queue_id: record.queue_id,
        });
        let message = MessageNumber::of(record);
        if let Some(message) = message {
            // The property stays on what was delayed once.
            let real = record.property(property::REAL_TOPIC).filter(|_| *queue.topic == *SCHEDULE_TOPIC);
            let for_topic = real.unwrap_or(&queue.topic);
            self.stored.entry(message).or_default().push(Stored {
                for_topic: for_topic.into(),
                queue: queue.clone(),
                queue_offset: record.queue_offset,
                at: now,
                lost: false,
                log_offset: record.commit_log_offset,
            });
        }
        let records = &mut self.queues.entry(queue).or_default().records;
        let at = usize::try_from(record.queue_offset).unwrap_or(0);
        records.resize_with(records.len().max(at + 1), || None);
        records[at] = message.map(|message| Record { message, tag: record.tags().unwrap_or("").into() });
    }
}
