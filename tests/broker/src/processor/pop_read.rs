//! How a pop goes through queues. Java: `PopMessageProcessor#popMsgFromQueue`.

use std::fmt::Write as _;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rocketmq_client_core::message::pop::{PopHandle, RetryMark};
use rocketmq_client_core::message::{StoredMessage, StoredRecord, encode_stored, names, property};
use rocketmq_client_core::remoting::TopicConfig;
use rocketmq_client_core::time::Timestamp;

use super::pull::{Filter, SCAN_MIN};
use super::text::pair;
use crate::broker::Broker;
use crate::pop::check_point::CheckPointKey;
use crate::pop::order::{OrderKey, OrderedPop};
use crate::store::consume_queue::{GetResult, GetStatus, ReadLimits};

/// A pop on its way: what it wants, and what it got so far.
#[derive(Debug)]
pub(super) struct PopRun<'h> {
    pub(super) order: bool,
    pub(super) attempt_id: Option<&'h str>,
    /// Whether a group without offset begins at the first message, or near the last.
    pub(super) init_min: bool,
    pub(super) invisible_time: i64,
    pub(super) queue_id: i32,
    pub(super) count_max: usize,
    pub(super) topic: Arc<str>,
    pub(super) group: Arc<str>,
    pub(super) filter: Filter,
    pub(super) retry_first: bool,
    pub(super) retry_v1: bool,
    /// Which queue comes first.
    pub(super) start: i32,
    pub(super) revive_queue_id: i32,
    /// In Unix milliseconds by the broker's clock.
    pub(super) pop_time: i64,
    /// Messages that are left.
    pub(super) rest: i64,
    pub(super) found: Vec<Bytes>,
    pub(super) start_offsets: String,
    pub(super) message_offsets: String,
    pub(super) order_counts: String,
}

impl Broker {
    /// Reads the queues that a pop asks for, and the group's retry topic before or after them.
    pub(super) fn pop_from_all(&mut self, run: &mut PopRun<'_>, topic: &TopicConfig) {
        let retry_topic = match run.retry_v1 {
            true => names::pop_retry_topic_v1(&run.group, &run.topic),
            false => names::pop_retry_topic_v2(&run.group, &run.topic),
        };
        if run.retry_first && !run.order {
            self.pop_from_retry(run, &retry_topic);
        }
        if run.queue_id < 0 {
            for queue_id in queue_ids(run.start, topic.read_queue_nums) {
                self.pop_from_queue(run, &topic.topic_name, queue_id);
            }
        } else {
            self.pop_from_queue(run, &topic.topic_name, run.queue_id);
        }
        if !run.retry_first && run.found.len() < run.count_max && !run.order {
            self.pop_from_retry(run, &retry_topic);
        }
    }

    fn pop_from_retry(&mut self, run: &mut PopRun<'_>, retry_topic: &str) {
        let Some(config) = self.topics.get(retry_topic) else { return };
        let (topic, queues) = (config.topic_name.clone(), config.read_queue_nums);
        for queue_id in queue_ids(run.start, queues) {
            self.pop_from_queue(run, &topic, queue_id);
        }
    }

    fn pop_from_queue(&mut self, run: &mut PopRun<'_>, topic: &Arc<str>, queue_id: i32) {
        let key = OrderKey { topic: topic.clone(), group: run.group.clone(), queue_id };
        let start = self.pop_start(&key, run.init_min);
        if run.order && self.pops.orders.is_blocked(&key, run.attempt_id, run.pop_time) {
            return;
        }
        let queue = self.store.queue_or_create(topic, queue_id);
        let queue = self.store.queue(queue);
        if run.found.len() >= run.count_max {
            run.rest += queue.max() - start;
            return;
        }
        let room = run.count_max - run.found.len();
        let limits = ReadLimits {
            count_max: room.min(self.config.pull_count_max),
            bytes_max: self.config.pull_bytes_max,
            scan_max: SCAN_MIN.max(room),
        };
        let mut result = queue.read(&self.store.log, start, limits, |code| run.filter.matches(code));
        if matches!(result.status, GetStatus::OffsetTooSmall | GetStatus::OffsetOverflowBadly) {
            let next = result.next;
            result = queue.read(&self.store.log, next, limits, |code| run.filter.matches(code));
            self.offsets.commit(&run.group, topic, queue_id, next);
        }
        match result.status {
            GetStatus::Found => self.pop_found(run, &key, start, &result),
            GetStatus::NoMatchedMessage => self.offsets.commit(&run.group, topic, queue_id, result.next),
            _ => {}
        }
        run.rest += result.max - result.next;
    }

    fn pop_found(&mut self, run: &mut PopRun<'_>, key: &OrderKey, start: i64, result: &GetResult) {
        let (topic, queue_id) = (&key.topic, key.queue_id);
        let records = result.records.iter().filter_map(|number| self.store.log.get(*number));
        let (offsets, bytes): (Vec<_>, Vec<_>) =
            records.map(|record| (record.queue_offset, record.bytes.clone())).unzip();
        let mark = retry_mark(topic);
        if run.order {
            let pop = OrderedPop {
                attempt_id: run.attempt_id,
                pop_time: run.pop_time,
                invisible_time: run.invisible_time,
            };
            let counts = self.pops.orders.update(key, &pop, &offsets, run.pop_time);
            for (offset, count) in counts {
                entry(&mut run.order_counts, format_args!("{mark} qo{queue_id}%{offset} {count}"));
            }
            // Clients before attempt ids look at the queue's count only.
            let least = if counts.len() == offsets.len() { counts.values().min() } else { None };
            entry(&mut run.order_counts, format_args!("{mark} {queue_id} {}", least.unwrap_or(&0)));
            self.offsets.commit(&run.group, topic, queue_id, start);
        } else {
            let point = CheckPointKey {
                topic: topic.clone(),
                group: run.group.clone(),
                queue_id,
                start_offset: start,
                pop_time: run.pop_time,
                revive_queue_id: run.revive_queue_id,
            };
            let revive_at_ms = run.pop_time.saturating_add(run.invisible_time);
            let next_record = self.store.log.next();
            self.pops.check_points.add(point, offsets.iter().copied(), revive_at_ms, next_record);
            self.offsets.commit(&run.group, topic, queue_id, result.next);
        }
        entry(&mut run.start_offsets, format_args!("{mark} {queue_id} {start}"));
        entry(&mut run.message_offsets, format_args!("{mark} {queue_id} "));
        for (index, offset) in offsets.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            // Writing to a String can't fail.
            let _ = write!(run.message_offsets, "{comma}{offset}");
        }
        if mark == 0 {
            run.found.extend(bytes);
        } else {
            let shown: Vec<_> =
                bytes.iter().filter_map(|bytes| self.as_original(run, bytes, start)).collect();
            run.found.extend(shown);
        }
    }

    /// A message of a retry topic as the client gets it: under its original topic, with its handle.
    fn as_original(&self, run: &PopRun<'_>, record: &Bytes, start: i64) -> Option<Bytes> {
        let message = StoredMessage::decode(record).ok()?;
        let mut properties = message.properties_text().to_owned();
        if message.property(property::POP_CK).is_none() {
            let handle = PopHandle {
                start_offset: start,
                pop_time: Timestamp::from_millis(run.pop_time),
                invisible_time_ms: run.invisible_time,
                revive_queue_id: run.revive_queue_id,
                retry_mark: RetryMark::of(message.topic()),
                broker_name: self.config.broker_name.clone(),
                queue_id: message.queue_id,
                queue_offset: Some(message.queue_offset),
            };
            pair(&mut properties, property::POP_CK, &handle.to_string());
        }
        let record = StoredRecord {
            queue_id: message.queue_id,
            flag: message.flag,
            queue_offset: message.queue_offset,
            commit_log_offset: message.commit_log_offset,
            sys_flag: message.sys_flag,
            born_timestamp: message.born_timestamp,
            born_host: message.born_host,
            store_timestamp: message.store_timestamp,
            store_host: message.store_host,
            reconsume_times: message.reconsume_times,
            prepared_transaction_offset: message.prepared_transaction_offset,
            body: message.raw_body(),
            topic: &run.topic,
            properties: &properties,
        };
        let mut out = BytesMut::with_capacity(record.encoded_len());
        match encode_stored(&mut out, &record) {
            Ok(_) => Some(out.freeze()),
            Err(error) => {
                tracing::warn!(%error, "a message of a retry topic could not be shown under its own topic");
                None
            }
        }
    }

    /// Where a group's next pop from a queue begins. Java: `PopMessageProcessor#getPopOffset`.
    fn pop_start(&mut self, key: &OrderKey, init_min: bool) -> i64 {
        let (topic, group, queue_id) = (&*key.topic, &*key.group, key.queue_id);
        if let Some(reset) = self.offsets.take_reset(group, topic, queue_id) {
            self.pops.orders.clear(key);
            self.offsets.commit(group, topic, queue_id, reset);
            return reset;
        }
        if let Some(offset) = self.offsets.committed(group, topic, queue_id).filter(|offset| *offset >= 0) {
            return offset;
        }
        let queue = self.store.queue_of(topic, queue_id);
        let (min, max) = queue.map_or((0, 0), |queue| (queue.min(), queue.max()));
        let first = match init_min || names::is_retry_topic(topic) {
            true => min,
            // A young queue, whose first message is still there, is read from the start.
            false if min <= 0 => 0,
            false => (max - 1).max(0),
        };
        self.offsets.commit(group, topic, queue_id, first);
        first
    }
}

/// All queues, the last first in turn. Java: `priorityOrderAsc`.
pub(super) fn queue_ids(start: i32, count: i32) -> impl Iterator<Item = i32> {
    (0..count).map(move |turn| (count - 1 - turn + start) % count)
}

/// How a pop answer names the kind of topic.
fn retry_mark(topic: &str) -> u8 {
    match RetryMark::of(topic) {
        RetryMark::Normal => 0,
        RetryMark::V1 => 1,
        RetryMark::V2 => 2,
    }
}

fn entry(out: &mut String, text: std::fmt::Arguments<'_>) {
    if !out.is_empty() {
        out.push(';');
    }
    // Writing to a String can't fail.
    let _ = out.write_fmt(text);
}
