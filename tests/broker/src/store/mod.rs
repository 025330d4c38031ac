//! What a broker stores: one log, and queues and indexes that are derived from it.
//!
//! An append takes a queue offset and a place in the log at once; the message becomes visible in its
//! queue when it is dispatched, which a configured lag may delay. Java: `DefaultMessageStore`.

pub(crate) mod commit_log;
pub(crate) mod consume_queue;
mod flush;
mod follow;
pub(crate) mod index;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rocketmq_client_core::message::{StoredRecord, encode_stored};
use rocketmq_client_core::time::{Instant, Timestamp};

use self::commit_log::{CommitLog, Record, RecordMeta};
use self::consume_queue::{ConsumeQueue, Entry};
use self::flush::Flusher;
use self::index::Index;
use crate::config::BrokerConfig;

/// A queue's place in [`Store`]. Never used again, also when its topic is deleted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct QueueRef(pub(crate) u32);

/// A message on its way into the log. Java: `MessageExtBrokerInner`.
#[derive(Clone, Debug)]
pub(crate) struct Inner<'a> {
    pub(crate) topic: &'a str,
    pub(crate) queue_id: i32,
    pub(crate) flag: i32,
    pub(crate) sys_flag: i32,
    pub(crate) born_timestamp: Timestamp,
    pub(crate) born_host: SocketAddr,
    pub(crate) reconsume_times: i32,
    pub(crate) prepared_transaction_offset: i64,
    pub(crate) body: &'a [u8],
    /// In wire form.
    pub(crate) properties: &'a str,
    /// The hash of the tag; for delayed messages the time of delivery.
    pub(crate) tags_code: i64,
}

/// Where an append went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Appended {
    pub(crate) position: u64,
    pub(crate) queue_offset: i64,
}

impl Appended {
    /// The physical offset as the wire has it.
    pub(crate) fn position_i64(self) -> i64 {
        i64::try_from(self.position).unwrap_or(i64::MAX)
    }
}

/// The log and everything derived from it.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    host: SocketAddr,
    lag: Duration,
    pub(crate) log: CommitLog,
    queues: Vec<ConsumeQueue>,
    /// Topic and queue id of each queue.
    names: Vec<(Arc<str>, i32)>,
    by_topic: BTreeMap<Arc<str>, BTreeMap<i32, QueueRef>>,
    index: Index,
    flusher: Flusher,
    /// Number of the next record to dispatch.
    dispatched: u64,
}

impl Store {
    /// An empty store.
    pub(crate) fn new(config: &BrokerConfig, now: Instant) -> Self {
        Self {
            host: config.addr,
            lag: config.dispatch_lag,
            flusher: Flusher::new(config.flush_disk, now, (0, 0)),
            log: CommitLog::default(),
            queues: Vec::new(),
            names: Vec::new(),
            by_topic: BTreeMap::new(),
            index: Index::default(),
            dispatched: 0,
        }
    }

    /// Appends. The caller has checked sizes. Store times never go back along the log while the
    /// clock doesn't; a clock that goes back is written as it is.
    pub(crate) fn append(&mut self, now: Instant, wall: Timestamp, message: &Inner<'_>) -> Appended {
        // What comes now is too late for the flushes so far.
        self.flusher.catch_up(now, self.log.mark());
        let queue = self.queue_or_create(message.topic, message.queue_id);
        let queue_offset = self.queues[queue.0 as usize].next;
        let meta = RecordMeta {
            queue,
            queue_offset,
            tags_code: message.tags_code,
            store_timestamp: wall,
            stored_at: now,
        };
        let host = self.host;
        let size_hint = message.body.len() + message.properties.len() + message.topic.len() + 128;
        let record = self.log.append(meta, size_hint, |out, position| {
            encode_stored(
                out,
                &StoredRecord {
                    topic: message.topic,
                    queue_id: message.queue_id,
                    flag: message.flag,
                    queue_offset,
                    commit_log_offset: i64::try_from(position).unwrap_or(i64::MAX),
                    sys_flag: message.sys_flag,
                    born_timestamp: message.born_timestamp,
                    born_host: message.born_host,
                    store_timestamp: wall,
                    store_host: host,
                    reconsume_times: message.reconsume_times,
                    prepared_transaction_offset: message.prepared_transaction_offset,
                    body: message.body,
                    properties: message.properties,
                },
            )
            .expect("the caller checked the sizes of body, topic and properties");
        });
        self.queues[queue.0 as usize].next += 1;
        Appended { position: record.position, queue_offset }
    }

    /// A send is answered: with a synchronous flush everything so far is on the disk.
    pub(crate) fn wait_for_flush(&mut self) {
        self.flusher.wait_for(self.log.mark());
    }

    /// The number of the first record that a power loss takes.
    pub(crate) fn flushed(&mut self, now: Instant) -> u64 {
        self.flusher.catch_up(now, self.log.mark());
        self.flusher.next()
    }

    /// A new process takes what it finds for flushed, as Java's does.
    pub(crate) fn flushes_anew(&mut self, config: &BrokerConfig, now: Instant) {
        self.flusher = Flusher::new(config.flush_disk, now, self.log.mark());
    }

    /// Makes appended records visible whose lag is over, and names the queues that grew.
    pub(crate) fn dispatch(&mut self, now: Instant, grown: &mut Vec<QueueRef>) {
        while let Some(record) = self.log.get(self.dispatched) {
            if record.stored_at + self.lag > now {
                break;
            }
            let entry = Entry {
                record: self.dispatched,
                size: u32::try_from(record.bytes.len()).unwrap_or(u32::MAX),
                tags_code: record.tags_code,
                store_timestamp: record.store_timestamp,
            };
            let queue = record.queue;
            self.queues[queue.0 as usize].push(entry);
            if grown.last() != Some(&queue) {
                grown.push(queue);
            }
            self.dispatched += 1;
        }
    }

    /// When the next record becomes visible.
    pub(crate) fn dispatch_due(&self) -> Option<Instant> {
        self.log.get(self.dispatched).map(|record| record.stored_at + self.lag)
    }

    /// Makes everything visible, as a broker does before it serves after a start.
    pub(crate) fn dispatch_all(&mut self) {
        self.dispatch(Instant::FAR_FUTURE, &mut Vec::new());
    }

    /// Drops the oldest segments above `bytes_max`.
    pub(crate) fn expire(&mut self, bytes_max: u64, segment_bytes: u64) {
        if self.log.expire(bytes_max, segment_bytes) {
            let first = self.log.first();
            self.dispatched = self.dispatched.max(first);
            for queue in &mut self.queues {
                queue.expire(first);
            }
            self.index.expire(first);
        }
    }

    /// Forgets all records from `number` on, visible or not.
    pub(crate) fn truncate(&mut self, number: u64) {
        self.log.truncate(number);
        self.dispatched = self.dispatched.min(number);
        for queue in &mut self.queues {
            queue.truncate(number);
        }
        self.index = Index::default();
        // Records that were never dispatched had taken queue offsets; those that stay keep them.
        for number in self.dispatched..self.log.next() {
            if let Some(record) = self.log.get(number) {
                self.queues[record.queue.0 as usize].next = record.queue_offset + 1;
            }
        }
    }

    /// The queue, if it was ever written or read.
    pub(crate) fn find(&self, topic: &str, queue_id: i32) -> Option<QueueRef> {
        self.by_topic.get(topic)?.get(&queue_id).copied()
    }

    /// The queue; it comes into being on its first write or read, as in Java's default store.
    pub(crate) fn queue_or_create(&mut self, topic: &str, queue_id: i32) -> QueueRef {
        if let Some(found) = self.find(topic, queue_id) {
            return found;
        }
        let created = QueueRef(u32::try_from(self.queues.len()).expect("queues are bounded by memory"));
        let topic = self.by_topic.get_key_value(topic).map_or_else(|| topic.into(), |(name, _)| name.clone());
        self.queues.push(ConsumeQueue::default());
        self.names.push((topic.clone(), queue_id));
        self.by_topic.entry(topic).or_default().insert(queue_id, created);
        created
    }

    /// The queue behind a reference.
    pub(crate) fn queue(&self, queue: QueueRef) -> &ConsumeQueue {
        &self.queues[queue.0 as usize]
    }

    /// Topic and queue id of a queue.
    pub(crate) fn name(&self, queue: QueueRef) -> (Arc<str>, i32) {
        self.names[queue.0 as usize].clone()
    }

    /// The queue by name, if it was ever written or read.
    pub(crate) fn queue_of(&self, topic: &str, queue_id: i32) -> Option<&ConsumeQueue> {
        self.find(topic, queue_id).map(|found| self.queue(found))
    }

    /// The queues of a topic that were ever written or read, in the order of their ids.
    #[cfg(feature = "serve")]
    pub(crate) fn queues_of(&self, topic: &str) -> impl Iterator<Item = &ConsumeQueue> {
        self.by_topic.get(topic).into_iter().flat_map(BTreeMap::values).map(|queue| self.queue(*queue))
    }

    /// Removes a topic's queues. Its records stay in the log, readable by position.
    pub(crate) fn delete_topic(&mut self, topic: &str) {
        self.by_topic.remove(topic);
    }

    /// The record whose first byte is at this physical offset.
    pub(crate) fn record_at(&self, position: i64) -> Option<&Record> {
        self.log.at(u64::try_from(position).ok()?)
    }

    /// Numbers of the newest records of `topic` with this key, oldest first. Java: `IndexService#queryOffset`.
    pub(crate) fn query(&mut self, key: &index::Key<'_>, count_max: usize) -> Vec<u64> {
        self.index.catch_up(&self.log, self.dispatched);
        self.index.query(&self.log, key, count_max)
    }

    /// Where the newest message with a key begins, and when it was stored, as of the last [`Store::query`].
    pub(crate) fn last_indexed(&self) -> Option<(i64, Timestamp)> {
        self.index.last().map(|(position, time)| (i64::try_from(position).unwrap_or(i64::MAX), time))
    }

    /// Where a record begins, by number.
    pub(crate) fn position_of(&self, number: u64) -> Option<i64> {
        self.log.get(number).and_then(|record| i64::try_from(record.position).ok())
    }

    /// Bytes of a record by number.
    pub(crate) fn bytes(&self, number: u64) -> Option<&Bytes> {
        self.log.get(number).map(|record| &record.bytes)
    }
}
