//! Giving a message back: to its broker, else as a message of our own to the retry topic, else it is
//! kept and offered again. Java: `DefaultMQPushConsumerImpl#sendMessageBack`.
//!
//! A message that is refused for its own sake would be offered for ever, as Java does. Here the offers count
//! as tries: after them it becomes a dead letter, if need be without its properties, and if even that is
//! refused it is passed over, and named. What is refused for the broker's sake is never passed over.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use core::time::Duration;

use bytes::Bytes;

use super::PushConsumer;
use super::blame::Blame;
use super::pull::{cause_of, real_topic};
use super::queue::Fate;
use super::settle::LEVEL_DEAD_LETTER;
use crate::channel::Reply;
use crate::consumer::{ConsumerRequest, PassedOver};
use crate::error::Cause;
use crate::id::ProcessQueueId;
use crate::lines::Brief;
use crate::message::{MessageQueue, Properties, StoredMessage, names, property, sys_flag};
use crate::remoting::{ConsumerSendMsgBackRequestHeader, ResponseCode, SendMessageRequestHeaderV2};
use crate::shared::Shared;
use crate::time::Instant;

/// How long each of the two ways may take. Java: 5,000 ms.
const SEND_BACK_TIMEOUT: Duration = Duration::from_secs(5);
/// The delay level of a dead letter that has our own properties only; ours alone, no broker sees it.
const LEVEL_LAST_RESORT: i32 = -2;
/// How often brokers may refuse a record that can't be read here before it is passed over.
const UNREADABLE_REFUSALS_MAX: u32 = 3;
/// Messages that were passed over and are remembered by name.
const PASSED_OVER_KEPT_MAX: usize = 16;
/// The first delay level of a retried message; each try adds one.
const RETRY_LEVEL_FIRST: i32 = 3;

/// How a message fared that nobody took back.
#[derive(Clone, Debug)]
pub(super) struct Refused {
    /// How often.
    pub(super) times: u32,
    /// How often not for the broker's sake.
    not_broker: u32,
    /// The last reason.
    pub(super) cause: Box<str>,
}

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
        let mut delay_level = delay_level;
        let (commit_log_offset, origin_msg_id, origin_topic) = match cached.message.decode() {
            Ok(message) => {
                if message.reconsume_times >= self.config.max_reconsume_times {
                    // The broker counts its own deliveries only, not those of messages that stayed here.
                    delay_level = LEVEL_DEAD_LETTER;
                }
                let topic = real_topic(owned, &cached.message, &self.retry_topic);
                (message.commit_log_offset, Some(message.msg_id()), Some(topic))
            }
            Err(error) => match error.commit_log_offset {
                Some(at) => (at, None, error.topic),
                None => {
                    // Not even its place is known, so no broker can find it.
                    let cause = error.to_string();
                    return self.pass_over(shared, now, id, offset, &cause);
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
        if matches!(&reply, Ok(command) if command.code == ResponseCode::SUCCESS.0) {
            self.sent_back(shared, now, id, offset);
        } else {
            let cause = cause_of(reply);
            if self.is_unreadable_for_all(id, offset, &cause) {
                self.pass_over(shared, now, id, offset, &cause.to_string());
            } else {
                self.note_refused(shared, now, id, offset, &cause);
                self.send_retry(shared, now, id, offset);
            }
        }
        self.closing_message_settled(shared, now);
    }

    fn send_retry(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, offset: i64) {
        let Some(owned) = self.owned.get(id) else { return };
        let Some(cached) = owned.cache.get(offset) else { return };
        let Fate::SendingBack(delay_level) = cached.fate else { return };
        let target = self.retry_target(shared, &owned.queue);
        let Ok(message) = cached.message.decode() else { return self.rest(shared, now, id, offset) };
        let Some((address, queue_id)) = target else {
            return self.not_sent_anew(shared, now, id, offset, &Cause::NoQueue);
        };
        let topic = real_topic(owned, &cached.message, &self.retry_topic);
        let times = message.reconsume_times.saturating_add(1);
        let max = self.config.max_reconsume_times;
        let properties = retry_properties(&message, &topic, delay_level);
        let dead_letter = delay_level < 0;
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
            reconsume_times: Some(if dead_letter { max.saturating_add(1) } else { times }),
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
        if matches!(&reply, Ok(command) if is_stored(ResponseCode(command.code))) {
            self.stats_of(id).sent_anew += 1;
            self.sent_back(shared, now, id, offset);
        } else {
            self.not_sent_anew(shared, now, id, offset, &cause_of(reply));
        }
        self.closing_message_settled(shared, now);
    }

    /// Neither way has worked.
    fn not_sent_anew(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        offset: i64,
        cause: &Cause,
    ) {
        let Some(Fate::SendingBack(level)) = self.cached(id, offset).map(|cached| cached.fate) else {
            return;
        };
        match (Blame::of(cause), level) {
            (Blame::Message, LEVEL_LAST_RESORT) => {
                self.pass_over(shared, now, id, offset, &cause.to_string());
            }
            (Blame::Message, LEVEL_DEAD_LETTER) => {
                self.set_fate(id, offset, Fate::SendingBack(LEVEL_LAST_RESORT));
                self.send_retry(shared, now, id, offset);
            }
            _ => {
                self.note_refused(shared, now, id, offset, cause);
                self.rest(shared, now, id, offset);
            }
        }
    }

    fn sent_back(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, offset: i64) {
        self.report.sent_back += 1;
        self.stats_of(id).sent_back += 1;
        self.settled(shared, now, id, offset);
    }

    /// Nobody will ever take it. Holding the queue for ever would lose all that follow as well.
    fn pass_over(&mut self, shared: &mut Shared, now: Instant, id: ProcessQueueId, offset: i64, cause: &str) {
        let Some(queue) = self.owned.get(id).map(|owned| owned.queue.clone()) else { return };
        self.report.passed_over += 1;
        self.stats_of(id).passed_over += 1;
        if shared.lines.may(now) {
            tracing::warn!(group = %self.config.group, %queue, offset, cause = %Brief(cause), "a message that nobody takes back is passed over");
        }
        let kept = &mut self.report.last_passed_over;
        if kept.len() == PASSED_OVER_KEPT_MAX {
            kept.remove(0);
        }
        kept.push(PassedOver { queue, offset, cause: format!("{}", Brief(cause)).into() });
        self.settled(shared, now, id, offset);
    }

    /// Counts a refusal; the first of each message is told.
    fn note_refused(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ProcessQueueId,
        offset: i64,
        cause: &Cause,
    ) {
        let Some(owned) = self.owned.get_mut(id) else { return };
        let (times, not_broker) =
            owned.refused.get(&offset).map_or((0, 0), |refused| (refused.times, refused.not_broker));
        if times == 0 && shared.lines.may(now) {
            tracing::warn!(queue = %owned.queue, offset, %cause, "a message was not taken back; trying on");
        } else {
            tracing::debug!(queue = %owned.queue, offset, times, %cause, "a message was not taken back");
        }
        let not_broker = not_broker + u32::from(Blame::of(cause) != Blame::Broker);
        let times = times.saturating_add(1);
        owned.refused.insert(offset, Refused { times, not_broker, cause: cause.to_string().into() });
    }

    /// Whether brokers have refused a record often enough that can't be read here.
    fn is_unreadable_for_all(&self, id: ProcessQueueId, offset: i64, cause: &Cause) -> bool {
        let readable = self.cached(id, offset).is_none_or(|cached| cached.message.error().is_none());
        if readable || Blame::of(cause) == Blame::Broker {
            return false;
        }
        let refused = self.owned.get(id).and_then(|owned| owned.refused.get(&offset));
        refused.map_or(0, |refused| refused.not_broker) + 1 >= UNREADABLE_REFUSALS_MAX
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
    let all = Properties::parse(message.properties_text());
    let mut properties = Properties::default();
    if delay_level == LEVEL_LAST_RESORT {
        // What it takes to find out where it came from.
        if let Some(key) = all.get(property::UNIQ_KEY) {
            set(&mut properties, property::UNIQ_KEY, key);
        }
    } else {
        properties = all.clone();
    }
    for name in [property::TRAN_MSG, property::RECONSUME_TIME, property::MAX_RECONSUME_TIMES] {
        properties.remove(name);
    }
    let level =
        if delay_level > 0 { delay_level } else { RETRY_LEVEL_FIRST.saturating_add(message.reconsume_times) };
    let origin = all.get(property::ORIGIN_MESSAGE_ID).map_or_else(|| message.msg_id(), ToString::to_string);
    set(&mut properties, property::ORIGIN_MESSAGE_ID, &origin);
    set(&mut properties, property::RETRY_TOPIC, topic);
    set(&mut properties, property::DELAY, &level.to_string());
    properties.as_str().into()
}

fn set(properties: &mut Properties, name: &'static str, value: &str) {
    // Only an empty value could be refused, and then there is nothing to say.
    if let Err(error) = properties.set(name, value) {
        tracing::debug!(name, %error, "property left out");
    }
}
