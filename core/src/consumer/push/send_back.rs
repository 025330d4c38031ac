//! Giving a message back: to its broker, else as a message of our own to the retry topic, else it is
//! kept and offered again. Java: `DefaultMQPushConsumerImpl#sendMessageBack`.

use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::time::Duration;

use bytes::Bytes;

use super::PushConsumer;
use super::pull::{cause_of, real_topic};
use super::queue::Fate;
use super::settle::LEVEL_DEAD_LETTER;
use crate::channel::Reply;
use crate::client::Shared;
use crate::consumer::ConsumerRequest;
use crate::id::ProcessQueueId;
use crate::message::{MessageQueue, Properties, StoredMessage, names, property, sys_flag};
use crate::remoting::{ConsumerSendMsgBackRequestHeader, ResponseCode, SendMessageRequestHeaderV2};
use crate::time::Instant;

/// How long each of the two ways may take. Java: 5,000 ms.
const SEND_BACK_TIMEOUT: Duration = Duration::from_secs(5);
/// How often brokers may refuse a record that can't be read here before it is passed over.
const UNREADABLE_REFUSALS_MAX: u32 = 3;
/// The first delay level of a retried message; each try adds one.
const RETRY_LEVEL_FIRST: i32 = 3;

impl PushConsumer {
    /// Asks the broker to bring the message again later, or to put it into the dead letters.
    pub(super) fn send_back(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        offset: i64,
        delay_level: i32,
    ) {
        let Some(owned) = self.owned.get(id) else { return };
        let Some(cached) = owned.cache.get(offset) else { return };
        let (commit_log_offset, origin_msg_id, origin_topic) = match cached.message.decode() {
            Ok(message) => {
                let topic = real_topic(owned, &cached.message, &self.retry_topic);
                (message.commit_log_offset, Some(message.msg_id()), Some(topic))
            }
            Err(error) => match error.commit_log_offset {
                Some(at) => (at, None, error.topic),
                None => {
                    // Not even its place is known, so no broker can find it.
                    tracing::warn!(queue = %owned.queue, offset, %error, "an unreadable record is passed over");
                    return self.pass_over(shared, now, id, offset);
                }
            },
        };
        let queue = owned.queue.clone();
        self.set_fate(id, offset, Fate::SendingBack(delay_level));
        let Some(address) = shared.routes.master(&queue.broker_name).cloned() else {
            return self.send_retry(shared, now, id, offset);
        };
        let header = ConsumerSendMsgBackRequestHeader {
            offset: commit_log_offset,
            group: (&*self.config.group).into(),
            delay_level,
            origin_msg_id: origin_msg_id.map(Into::into),
            origin_topic: origin_topic.as_deref().map(Into::into),
            max_reconsume_times: Some(self.config.max_reconsume_times),
            ..ConsumerSendMsgBackRequestHeader::default()
        };
        let purpose = self.purpose(ConsumerRequest::SendBack { queue: id, queue_offset: offset });
        let deadline = self.send_back_deadline(now);
        shared.request(now, &address, &header, Bytes::new(), deadline, purpose);
    }

    /// The broker has taken the message back, or not.
    pub(super) fn handle_sent_back(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        offset: i64,
        reply: Reply,
    ) {
        let Some(queue) = self.owned.get(id).map(|owned| owned.queue.clone()) else { return };
        if matches!(&reply, Ok(command) if command.code == ResponseCode::SUCCESS.0) {
            self.sent_back(shared, now, id, offset);
        } else if reply.is_ok() && self.is_refused_for_good(id, offset) {
            self.pass_over(shared, now, id, offset);
        } else {
            let cause = cause_of(reply);
            tracing::warn!(%queue, offset, %cause, "a message was not taken back; sending it anew");
            self.send_retry(shared, now, id, offset);
        }
        self.closing_message_settled(shared, now);
    }

    fn send_retry(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, offset: i64) {
        let Some(owned) = self.owned.get(id) else { return };
        let Some(cached) = owned.cache.get(offset) else { return };
        let Fate::SendingBack(delay_level) = cached.fate else { return };
        let target = self.retry_target(shared, &owned.queue);
        let (Ok(message), Some((address, queue_id))) = (cached.message.decode(), target) else {
            return self.rest(shared, now, id, offset);
        };
        let topic = real_topic(owned, &cached.message, &self.retry_topic);
        let times = message.reconsume_times.saturating_add(1);
        let max = self.config.max_reconsume_times;
        let properties = retry_properties(&message, &topic, delay_level);
        let header = SendMessageRequestHeaderV2 {
            producer_group: names::CLIENT_INNER_PRODUCER_GROUP.into(),
            topic: (&*self.retry_topic).into(),
            default_topic: names::AUTO_CREATE_TOPIC.into(),
            default_topic_queue_nums: 4,
            queue_id,
            sys_flag: message.sys_flag
                & (sys_flag::COMPRESSED | sys_flag::COMPRESSION_MASK | sys_flag::MULTI_TAGS),
            born_timestamp: message.born_timestamp.as_millis(),
            flag: message.flag,
            properties: Some(properties.into()),
            // More often than allowed: the broker makes it a dead letter.
            reconsume_times: Some(if delay_level == LEVEL_DEAD_LETTER {
                max.saturating_add(1)
            } else {
                times
            }),
            unit_mode: Some(false),
            max_reconsume_times: Some(max),
            batch: Some(false),
            ..SendMessageRequestHeaderV2::default()
        };
        let body = message.raw_body().clone();
        let purpose = self.purpose(ConsumerRequest::SendRetry { queue: id, queue_offset: offset });
        let deadline = self.send_back_deadline(now);
        shared.request(now, &address, &header, body, deadline, purpose);
    }

    /// A queue of the retry topic, if possible of another broker than the one that failed.
    fn retry_target(&self, shared: &mut Shared, failed: &MessageQueue) -> Option<(Arc<str>, i32)> {
        let queues = shared.routes.get(&self.retry_topic)?.publish_queues().clone();
        let count = u64::try_from(queues.len()).ok().filter(|count| *count > 0)?;
        let drawn = usize::try_from(shared.rng.below(count)).unwrap_or_default();
        let turned = || queues.iter().cycle().skip(drawn).take(queues.len());
        let other = turned().find(|queue| queue.broker_name != failed.broker_name);
        let queue = other.or_else(|| turned().next())?;
        Some((shared.routes.master(&queue.broker_name)?.clone(), queue.queue_id))
    }

    /// The retry topic has taken the message, or not.
    pub(super) fn handle_sent_retry(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        offset: i64,
        reply: Reply,
    ) {
        let Some(owned) = self.owned.get(id) else { return };
        let stored = matches!(&reply, Ok(command) if is_stored(ResponseCode(command.code)));
        if stored {
            self.stats_of(id).sent_anew += 1;
            self.sent_back(shared, now, id, offset);
        } else {
            let cause = cause_of(reply);
            tracing::warn!(queue = %owned.queue, offset, %cause, "a message can't be sent back; offering it again here");
            self.rest(shared, now, id, offset);
        }
        self.closing_message_settled(shared, now);
    }

    fn sent_back(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, offset: i64) {
        self.report.sent_back += 1;
        self.stats_of(id).sent_back += 1;
        self.settled(shared, now, id, offset);
    }

    /// Nobody can read the record, here or there. Holding the queue for ever would lose all that follow as
    /// well.
    fn pass_over(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, offset: i64) {
        self.report.passed_over += 1;
        self.settled(shared, now, id, offset);
    }

    /// Counts a broker's refusal of a record that can't be read; true when there were enough.
    fn is_refused_for_good(&mut self, id: ProcessQueueId, offset: i64) -> bool {
        let Some(owned) = self.owned.get_mut(id) else { return false };
        let Some(cached) = owned.cache.get_mut(offset) else { return false };
        let Some(error) = cached.message.error() else { return false };
        cached.refusals += 1;
        let enough = cached.refusals >= UNREADABLE_REFUSALS_MAX;
        if enough {
            tracing::warn!(queue = %owned.queue, offset, %error, "an unreadable record that its broker refuses is passed over");
        }
        enough
    }

    fn send_back_deadline(&self, now: Instant) -> Instant {
        let end = now + SEND_BACK_TIMEOUT;
        self.close_deadline().map_or(end, |close| close.min(end))
    }
}

/// Whether an answer to a send means that the message is stored.
fn is_stored(code: ResponseCode) -> bool {
    matches!(
        code,
        ResponseCode::SUCCESS
            | ResponseCode::FLUSH_DISK_TIMEOUT
            | ResponseCode::FLUSH_SLAVE_TIMEOUT
            | ResponseCode::SLAVE_NOT_AVAILABLE
    )
}

/// The properties of the message that is sent instead of the one that came.
fn retry_properties(message: &StoredMessage, topic: &str, delay_level: i32) -> String {
    let mut properties = Properties::parse(message.properties_text());
    for name in [property::TRAN_MSG, property::RECONSUME_TIME, property::MAX_RECONSUME_TIMES] {
        properties.remove(name);
    }
    let level =
        if delay_level > 0 { delay_level } else { RETRY_LEVEL_FIRST.saturating_add(message.reconsume_times) };
    let origin =
        properties.get(property::ORIGIN_MESSAGE_ID).map_or_else(|| message.msg_id(), ToString::to_string);
    for (name, value) in [
        (property::ORIGIN_MESSAGE_ID, &*origin),
        (property::RETRY_TOPIC, topic),
        (property::DELAY, &level.to_string()),
    ] {
        // Only an empty value could be refused, and then there is nothing to say.
        if let Err(error) = properties.set(name, value) {
            tracing::debug!(name, %error, "property left out");
        }
    }
    properties.as_str().into()
}
