//! The pull loop. Java: `DefaultMQPushConsumerImpl#pullMessage`, `PullAPIWrapper`.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::Display;
use core::time::Duration;

use bytes::Bytes;

use super::PushConsumer;
use super::queue::{Cached, Fate, Fetch, OwnedQueue, Pause};
use super::subscription::wants;
use crate::channel::Reply;
use crate::client::{Output, Shared};
use crate::consumer::pulled::Record;
use crate::consumer::{ConsumeToken, ConsumerRequest, Delivery, Full, PulledMessage};
use crate::error::Cause;
use crate::id::ProcessQueueId;
use crate::message::sys_flag::pull as pull_flag;
use crate::message::{CheckedMessages, property};
use crate::remoting::{PullMessageRequestHeader, PullMessageResponseHeader, ResponseCode};
use crate::time::Instant;

/// A broker holds a pull that has nothing to bring; one that answers sooner without bringing anything
/// is not asked again at once.
const HELD_MIN: Duration = Duration::from_millis(50);
/// How often an answer that breaks off in the middle is fetched again before what is left of it is
/// handed out as one undecodable message.
const BROKEN_MAX: u32 = 3;

impl PushConsumer {
    /// Pulls from `offset`.
    pub(super) fn pull(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, offset: i64) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        let queue = owned.queue.clone();
        let Some((address, _)) = shared.routes.address(&queue.broker_name, owned.broker_id) else {
            return self.no_address(shared, now, id, &queue.topic);
        };
        let address = address.clone();
        owned.fetch = Fetch::Pulling(now);
        let version = self.subscriptions.get(&queue.topic).map_or(0, |subscription| subscription.sub_version);
        let header = PullMessageRequestHeader {
            consumer_group: (&*self.config.group).into(),
            topic: (&*queue.topic).into(),
            queue_id: queue.queue_id,
            queue_offset: offset,
            max_msg_nums: self.config.pull_batch_size,
            // Java sends the committed offset along with each pull. Brokers serve pulls and commits in
            // different threads, so that an older offset could overwrite a newer one: here commits go
            // alone, one at a time.
            sys_flag: pull_flag::SUSPEND,
            commit_offset: 0,
            suspend_timeout_millis: i64::try_from(self.config.broker_suspend_max.as_millis())
                .unwrap_or(i64::MAX),
            sub_version: version,
            expression_type: Some("TAG".into()),
            max_msg_bytes: Some(self.config.pull_batch_bytes),
            ..PullMessageRequestHeader::default()
        };
        let purpose = self.purpose(ConsumerRequest::Pull { queue: id });
        shared.request(now, &address, &header, Bytes::new(), now + self.config.pull_timeout, purpose);
    }

    /// A pull has ended.
    pub(super) fn handle_pulled(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        reply: Reply,
    ) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        let Fetch::Pulling(begun) = owned.fetch else { return };
        let Ok(command) = &reply else { return self.pull_refused(shared, now, id, begun, reply) };
        let code = ResponseCode(command.code);
        if !matches!(
            code,
            ResponseCode::SUCCESS
                | ResponseCode::PULL_NOT_FOUND
                | ResponseCode::PULL_RETRY_IMMEDIATELY
                | ResponseCode::PULL_OFFSET_MOVED
        ) {
            return self.pull_refused(shared, now, id, begun, reply);
        }
        let header = match command.header::<PullMessageResponseHeader>() {
            Ok(header) => header,
            Err(error) => {
                tracing::warn!(queue = %owned.queue, %error, "a pull answer can't be read; pulling again");
                return self.back_off(shared, now, id, Pause::BadAnswer);
            }
        };
        owned.last_pull = Some(now);
        owned.max_offset = Some(header.max_offset);
        let topic_index = owned.topic_index;
        let other_broker = owned.broker_id != header.suggest_which_broker_id;
        owned.broker_id = header.suggest_which_broker_id;
        self.statistics[topic_index].pulls += 1;
        if code == ResponseCode::PULL_OFFSET_MOVED {
            return self.offset_moved(shared, now, id, header.next_begin_offset);
        }
        let Some(owned) = self.owned.get_mut(id) else { return };
        let at = owned.next_offset.unwrap_or_default();
        let next = header.next_begin_offset;
        if next < at || (code == ResponseCode::SUCCESS && next == at) {
            tracing::warn!(queue = %owned.queue, at, next, "a pull answer leads nowhere; pulling again");
            return self.back_off(shared, now, id, Pause::BadAnswer);
        }
        if code == ResponseCode::SUCCESS {
            let (body, delta) = (command.body.clone(), header.offset_delta.unwrap_or(0));
            self.statistics[topic_index].pull_time.record(now.saturating_since(begun));
            if !self.take_messages(shared, now, id, body, next, delta) {
                return self.back_off(shared, now, id, Pause::BadAnswer);
            }
        } else {
            owned.next_offset = Some(next);
            owned.cache.see(next);
        }
        let Some(owned) = self.owned.get_mut(id) else { return };
        if next == at && !other_broker && now.saturating_since(begun) < HELD_MIN {
            return self.back_off(shared, now, id, Pause::FlowControl);
        }
        owned.failures = 0;
        self.proceed(shared, now, id);
    }

    /// Caches and delivers what a pull brought; `false` when it broke off and is to be pulled again.
    fn take_messages(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        body: Bytes,
        next: i64,
        delta: i64,
    ) -> bool {
        let Some(owned) = self.owned.get_mut(id) else { return true };
        let begin = owned.next_offset.unwrap_or_default();
        let subscription = self.subscriptions.get(&owned.queue.topic);
        let statistics = &mut self.statistics[owned.topic_index];
        let bytes_before = owned.cache.bytes();
        let mut expected = begin;
        let mut records = Vec::new();
        let mut places = Vec::new();
        let mut broken = false;
        let count_max = usize::try_from(self.config.pull_batch_size).unwrap_or(0);
        for checked in CheckedMessages::new(body.clone()) {
            let (record, offset) = match checked {
                Ok(checked) => Record::of(checked, delta),
                Err(error) if error.ends_body && owned.broken < BROKEN_MAX => {
                    broken = true;
                    break;
                }
                Err(error) => {
                    // What can't be read stands where the next message was to be expected.
                    let stored = error.queue_offset.map(|offset| offset.saturating_add(delta));
                    (Record::Read(Box::new(Err(error))), stored.unwrap_or(expected))
                }
            };
            if offset < begin || (record.error().is_some() && offset >= next) {
                continue;
            }
            expected = offset.saturating_add(1);
            if let Some(error) = record.error() {
                statistics.undecodable += 1;
                tracing::warn!(queue = %owned.queue, offset, %error, "undecodable message");
            }
            if subscription.is_some_and(|subscription| !wants(subscription, &record, &body)) {
                statistics.filtered += 1;
                continue;
            }
            let bytes = record.bytes();
            if records.is_empty() {
                // Messages of a topic are mostly about as large as each other.
                let count = (body.len() / bytes.max(1)).clamp(1, count_max.max(1));
                records.reserve(count);
                places.reserve(count);
            }
            places.push((offset, bytes));
            records.push(record);
        }
        let mut deliveries = Vec::with_capacity(records.len());
        let messages = PulledMessage::all(owned.queue.clone(), body, delta, records);
        for (message, (offset, bytes)) in messages.zip(places) {
            let cached = Cached {
                message: message.clone(),
                fate: Fate::InHand,
                hand_out: 0,
                begun: None,
                refusals: 0,
            };
            if owned.cache.put(offset, bytes, cached) {
                let token = ConsumeToken { consumer: self.id, queue: id, queue_offset: offset, hand_out: 0 };
                deliveries.push(delivery(owned, token, message, &self.retry_topic));
            }
        }
        // A broken answer counts up to where it broke; the rest is pulled again.
        let seen = if broken { expected } else { next };
        owned.broken = if broken && seen == begin { owned.broken + 1 } else { 0 };
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
        !broken
    }

    /// The offset is not one that the broker has. Forward, what is cached stays and is finished; backward,
    /// the queue was reset or truncated, and begins again there.
    fn offset_moved(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, next: i64) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        let at = owned.next_offset.unwrap_or_default();
        tracing::warn!(queue = %owned.queue, at, next, "the broker moved the offset: expired, truncated or reset");
        if next < 0 {
            return self.back_off(shared, now, id, Pause::BadAnswer);
        }
        if next > at {
            owned.next_offset = Some(next);
            owned.cache.see(next);
            return self.back_off(shared, now, id, Pause::BadAnswer);
        }
        let Some(queue) = self.forget_queue(shared, id) else { return };
        self.proceed_where(shared, now, |fetch| fetch == Fetch::Full(Full::TotalBytes));
        self.offsets.update_and_freeze(&queue, next);
        self.commit(shared, now, &queue);
        self.offsets.thaw(&queue);
        self.acquire_at(shared, now, &queue, Some(next), super::queue::RETRY_DELAY_MIN);
    }
}

/// A delivery of a cached message.
pub(super) fn delivery(
    owned: &OwnedQueue,
    token: ConsumeToken,
    message: PulledMessage,
    retry_topic: &Arc<str>,
) -> Delivery {
    let origin_topic = origin_topic(owned, &message, retry_topic);
    Delivery { token, message, origin_topic }
}

/// The topic that the user subscribed to, where it is not the queue's.
/// Java: `DefaultMQPushConsumerImpl#resetRetryAndNamespace`.
fn origin_topic(owned: &OwnedQueue, message: &PulledMessage, retry_topic: &Arc<str>) -> Option<Arc<str>> {
    if owned.queue.topic != *retry_topic {
        return None;
    }
    message.property(property::RETRY_TOPIC).map(Into::into)
}

/// The topic that the user subscribed to.
pub(super) fn real_topic(owned: &OwnedQueue, message: &PulledMessage, retry_topic: &Arc<str>) -> Arc<str> {
    origin_topic(owned, message, retry_topic).unwrap_or_else(|| owned.queue.topic.clone())
}

/// Why a reply is not the one that was hoped for.
pub(super) fn cause_of(reply: Reply) -> Cause {
    match reply {
        Ok(command) => {
            let code = ResponseCode(command.code);
            Cause::Answered { code, remark: command.remark.unwrap_or_default() }
        }
        Err(failure) => failure.cause,
    }
}

pub(super) fn bad_answer(reason: impl Display) -> Cause {
    Cause::BadAnswer { reason: reason.to_string().into() }
}
