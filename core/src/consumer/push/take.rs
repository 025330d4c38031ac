//! Taking what a pull brought: every record is weighed before it is cached.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::Bytes;

use super::look_again::Newest;
use super::pull::delivery;
use super::queue::{Cached, Fate};
use super::subscription::wants;
use super::taken::Taken;
use super::{BadAnswer, PushConsumer};
use crate::consumer::{ConsumeToken, PulledMessage};
use crate::id::ProcessQueueId;
use crate::lines::Brief;
use crate::message::{CheckedMessages, MessageQueue, names};
use crate::output::Output;
use crate::output::pulled::Record;
use crate::shared::Shared;
use crate::time::Instant;

/// How often an answer that breaks off in the middle, or has a record that can't be one of it, is fetched
/// again from there before what is wrong with it is passed over.
const BROKEN_MAX: u32 = 3;

/// An answer with messages, as far as it is believed.
pub(super) struct Found {
    pub(super) body: Bytes,
    /// Where it says that the queue goes on.
    pub(super) next: i64,
    /// Its records below this offset are taken. Where that is not `next`, the queue goes on behind the last.
    pub(super) end: i64,
    /// How much further in its queue each record is than it says. Only answers of static topics have one.
    pub(super) delta: Option<i64>,
}

/// Why nothing of an answer was taken, or not all.
pub(super) enum NotTaken {
    /// The rest is to be pulled again.
    Bad(BadAnswer),
    /// It has messages where the queue that was there before had none.
    OfAnotherQueue,
}

/// Which records belong to a queue.
struct Belonging<'a> {
    queue: &'a MessageQueue,
    /// Records of a static topic, or of a light queue, lie in other queues, some of other topics.
    elsewhere: bool,
    /// The topic that was looked at last, by its place in the body, and whether it is the queue's.
    topic: (Range<usize>, bool),
}

impl<'a> Belonging<'a> {
    fn new(queue: &'a MessageQueue, delta: Option<i64>) -> Self {
        let elsewhere = delta.is_some()
            || queue.broker_name.starts_with(names::LOGICAL_BROKER_PREFIX)
            || queue.topic.starts_with(names::LMQ_PREFIX);
        Self { queue, elsewhere, topic: (0..0, false) }
    }

    /// What is wrong with a record of the queue `queue_id` whose topic lies there in `body`.
    fn fault(&mut self, body: &[u8], topic: Range<usize>, queue_id: i32, offset: i64) -> Option<BadAnswer> {
        if self.elsewhere {
            return None;
        }
        if self.topic.0 != topic {
            let is_own = body.get(topic.clone()) == Some(self.queue.topic.as_bytes());
            self.topic = (topic, is_own);
        }
        if !self.topic.1 {
            return Some(BadAnswer::RecordTopic { offset });
        }
        (queue_id != self.queue.queue_id).then_some(BadAnswer::RecordQueue { offset, queue_id })
    }
}

impl PushConsumer {
    /// Caches and delivers what a pull brought; what can't be true is left out.
    ///
    /// # Errors
    /// Why there is more to do about it.
    #[expect(clippy::too_many_lines, reason = "to be split")]
    pub(super) fn take_messages(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        found: Found,
    ) -> Result<(), NotTaken> {
        let Some(owned) = self.owned.get_mut(id) else { return Ok(()) };
        let Found { body, next, end, delta } = found;
        let begin = owned.next_offset.unwrap_or_default();
        let no_records = BadAnswer::NoRecords { at: begin, next };
        if body.is_empty() {
            return Err(NotTaken::Bad(no_records));
        }
        let subscription = self.subscriptions.get(&owned.queue.topic);
        let statistics = &mut self.statistics[owned.topic_index];
        let bytes_before = owned.cache.bytes();
        let queue = owned.queue.clone();
        let mut belonging = Belonging::new(&queue, delta);
        let delta = delta.unwrap_or(0);
        let mut expected = begin;
        let mut taken = Taken::default();
        let mut in_order = true;
        let mut newest_filtered = None;
        let mut broken = None;
        let mut odd = Vec::new();
        let patient = owned.broken < BROKEN_MAX;
        let count_max = usize::try_from(self.config.pull_batch_size).unwrap_or(0);
        let mut messages = CheckedMessages::new(body.clone());
        while let Some(checked) = messages.next() {
            let (record, offset, fault) = match checked {
                Ok(checked) => {
                    let (topic, queue_id) = (messages.topic(), checked.queue_id());
                    let (record, offset) = Record::of(checked, delta);
                    let fault = belonging.fault(&body, topic, queue_id, offset);
                    (record, offset, fault)
                }
                Err(error) if error.ends_body && patient => {
                    broken = Some(BadAnswer::BreaksOff { at: expected });
                    break;
                }
                Err(error) => {
                    // What can't be read stands where the next message was to be expected.
                    let stored = error.queue_offset.map(|offset| offset.saturating_add(delta));
                    (Record::Read(Box::new(Err(error))), stored.unwrap_or(expected), None)
                }
            };
            let is_plain = fault.is_none() && (expected..end).contains(&offset);
            if !is_plain {
                // Brokers give an inner batch as a whole, also from the middle on.
                if fault.is_none() && offset < begin && record.is_of_inner_batch(&body) {
                    continue;
                }
                // It was not there yet when the broker read where the queue ends, and comes again.
                if fault.is_none() && (end..next).contains(&offset) {
                    break;
                }
                let there = (offset < expected && fault.is_none()).then(|| taken.find(offset)).flatten();
                if let Some(index) = there
                    && record.error().is_none()
                    && taken.is_unreadable(index, &body)
                {
                    if subscription.is_none_or(|subscription| wants(subscription, &record, &body)) {
                        taken.replace(index, record);
                    }
                    continue;
                }
                let outside = there.is_some() || !(begin..end).contains(&offset);
                let outside = outside.then_some(BadAnswer::RecordOffset { offset, from: begin, to: end });
                if let Some(fault) = fault.or(outside) {
                    if patient {
                        broken = Some(fault);
                        break;
                    }
                    odd.push(fault);
                    continue;
                }
            }
            in_order &= offset >= expected;
            expected = expected.max(offset.saturating_add(1));
            if let Some(error) = record.error() {
                statistics.undecodable += 1;
                if shared.lines.may(now) {
                    let error = error.to_string();
                    tracing::warn!(%queue, offset, error = %Brief(&error), "undecodable message");
                }
            }
            if subscription.is_some_and(|subscription| !wants(subscription, &record, &body)) {
                statistics.filtered += 1;
                newest_filtered = record.stored().map(|stored| (stored, offset));
                continue;
            }
            let bytes = record.bytes();
            if taken.records.is_empty() {
                // Messages of a topic are mostly about as large as each other.
                let count = (body.len() / bytes.max(1)).clamp(1, count_max.max(1));
                taken.records.reserve(count);
                taken.places.reserve(count);
            }
            taken.push(offset, bytes, record);
            newest_filtered = None;
        }
        let Taken { mut records, mut places, .. } = taken;
        if owned.had_none_of(&places) {
            return Err(NotTaken::OfAnotherQueue);
        }
        let mut of_cached = records.iter().zip(&places).rev();
        let newest_cached = || of_cached.find_map(|(record, (offset, _))| Some((record.stored()?, *offset)));
        if let Some((stored, offset)) = newest_filtered.or_else(newest_cached) {
            owned.newest = Some(Newest { time: stored.timestamp(&body), offset });
        }
        if !in_order {
            let mut both: Vec<_> = places.into_iter().zip(records).collect();
            both.sort_by_key(|((offset, _), _)| *offset);
            (places, records) = both.into_iter().unzip();
        }
        let mut deliveries = Vec::with_capacity(records.len());
        let messages = PulledMessage::all(owned.queue.clone(), body, delta, records);
        for (message, (offset, bytes)) in messages.zip(places) {
            let cached = Cached { message: message.clone(), fate: Fate::InHand, hand_out: 0, begun: None };
            if owned.cache.put(offset, bytes, cached) {
                let token = ConsumeToken { consumer: self.id, queue: id, queue_offset: offset, hand_out: 0 };
                deliveries.push(delivery(owned, token, message, &self.retry_topic));
            }
        }
        // A broken answer counts up to where it broke; the rest is pulled again.
        let seen = if broken.is_some() || end != next { expected } else { next };
        owned.broken = if broken.is_some() && seen == begin { owned.broken + 1 } else { 0 };
        owned.next_offset = Some(seen);
        owned.cache.see(seen);
        let new_bytes = owned.cache.bytes() - bytes_before;
        self.cached_bytes += new_bytes;
        statistics.pulled += deliveries.len() as u64;
        statistics.pulled_bytes += new_bytes as u64;
        if !deliveries.is_empty() {
            tracing::trace!(queue = %owned.queue, count = deliveries.len(), next = seen, "pulled");
            shared.outputs.push_back(Output::Deliver { consumer: self.id, deliveries });
            self.watch_handlers(shared, now);
        }
        for fault in odd {
            self.count_bad_answer(shared, now, id, fault);
        }
        match broken {
            Some(fault) => Err(NotTaken::Bad(fault)),
            None if seen == begin => Err(NotTaken::Bad(no_records)),
            None => Ok(()),
        }
    }
}
