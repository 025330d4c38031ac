//! Timer messages into and out of the wheel, and their recall.
//! Java: `HookUtils#transformTimerMessage`, `TimerMessageStore`, `RecallMessageProcessor`.

use std::collections::BTreeSet;

use rocketmq_client_core::message::id::RecallHandle;
use rocketmq_client_core::message::properties::find;
use rocketmq_client_core::message::{StoredMessage, names, property, tags_code};
use rocketmq_client_core::remoting::{RecallMessageResponseHeader, RemotingCommand, ResponseCode};
use rocketmq_client_core::time::{Instant, Timestamp};

use super::text::{Scan, copy_without, pair};
use crate::asker::{Asker, Refusal};
use crate::broker::Broker;
use crate::reply::Answer;
use crate::store::{Appended, Inner};
use crate::timer::{PRECISION_MS, WHEEL_TOPIC};

const RECALL_TAG: &str = "_RECALL_TAG_";

impl Broker {
    /// Puts a timer message into the wheel; `None` when its time has come already.
    pub(super) fn put_timer(&mut self, now: Instant, inner: &Inner<'_>) -> Result<Option<Appended>, Refusal> {
        if *inner.topic == *WHEEL_TOPIC {
            return Ok(None);
        }
        if !self.config.timer_wheel {
            let remark = "accurate timer message is not enabled, timerWheelEnable is false";
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
        }
        let wall = self.wall(now);
        let wall_ms = wall.as_millis();
        let delay_max = i64::try_from(self.config.timer_delay_max.as_millis()).unwrap_or(i64::MAX);
        let deliver_ms = deliver_ms(inner.properties, wall_ms).ok_or_else(|| illegal_timer(delay_max))?;
        if deliver_ms <= wall_ms {
            return match find(inner.properties, property::TIMER_DEL_UNIQKEY) {
                Some(_) => Err(illegal_timer(delay_max)),
                None => Ok(None),
            };
        }
        if deliver_ms.saturating_sub(wall_ms) > delay_max {
            return Err(illegal_timer(delay_max));
        }
        let slot = slot(deliver_ms);
        let mut properties = String::with_capacity(inner.properties.len() + 96);
        let replaced = [property::TIMER_OUT_MS, property::REAL_TOPIC, property::REAL_QID];
        copy_without(&mut properties, inner.properties, &replaced);
        pair(&mut properties, property::TIMER_OUT_MS, &slot.to_string());
        pair(&mut properties, property::REAL_TOPIC, inner.topic);
        pair(&mut properties, property::REAL_QID, &inner.queue_id.to_string());
        self.check_sizes(inner.body.len(), properties.len())?;
        let waiting = Inner {
            topic: WHEEL_TOPIC,
            queue_id: 0,
            properties: &properties,
            tags_code: slot,
            ..inner.clone()
        };
        Ok(Some(self.store.append(now, wall, &waiting)))
    }

    /// What the sender of a timer message needs to take it back.
    pub(super) fn recall_handle(&self, topic: &str, appended: Appended, uniq_key: &str) -> Option<String> {
        let record = self.store.record_at(appended.position_i64())?;
        let (stored_in, _) = self.store.name(record.queue);
        if *stored_in != *WHEEL_TOPIC || names::is_retry_topic(topic) {
            return None;
        }
        let handle = RecallHandle {
            topic: topic.to_owned(),
            broker_name: self.config.broker_name.to_string(),
            // A millisecond more, or the deletion would come into the slot before.
            deliver_at: Timestamp::from_millis(record.tags_code + 1),
            uniq_key: uniq_key.to_owned(),
        };
        Some(handle.encode())
    }

    /// Delivers the slots that are due. Java: `TimerMessageStore#dequeue`.
    pub(crate) fn deliver_timers(&mut self, now: Instant) {
        self.timers_waiting.catch_up(&self.store);
        let wall_ms = self.wall(now).as_millis();
        while let Some(offsets) = self.timers_waiting.take_due(wall_ms) {
            let messages: Vec<_> = offsets.into_iter().filter_map(|offset| self.in_wheel(offset)).collect();
            let deleted = messages.iter().filter_map(|message| message.property(property::TIMER_DEL_UNIQKEY));
            let deleted: BTreeSet<_> = deleted.collect();
            for message in &messages {
                let is_deletion = message.property(property::TIMER_DEL_UNIQKEY).is_some();
                let is_deleted = message.uniq_key().is_some_and(|key| deleted.contains(key));
                if is_deletion || is_deleted {
                    continue;
                }
                if let Err(refusal) = self.deliver_timer(now, message) {
                    tracing::warn!(remark = %refusal.remark, "a timer message could not be delivered");
                }
            }
        }
        self.dispatch(now);
        self.register_changes();
    }

    fn in_wheel(&self, offset: i64) -> Option<StoredMessage> {
        let message = self.stored(self.store.queue_of(WHEEL_TOPIC, 0)?.get(offset)?.record)?;
        // What a client sent to the wheel's topic by itself goes nowhere.
        (message.property(property::TIMER_OUT_MS).is_some()
            && message.property(property::REAL_TOPIC).is_some())
        .then_some(message)
    }

    fn deliver_timer(&mut self, now: Instant, waiting: &StoredMessage) -> Result<Appended, Refusal> {
        let text = waiting.properties_text();
        let topic = waiting.property(property::REAL_TOPIC).unwrap_or_default();
        let queue_id = waiting.property(property::REAL_QID).and_then(|id| id.parse().ok()).unwrap_or(0);
        let mut properties = String::with_capacity(text.len() + 80);
        let replaced = [property::TIMER_ENQUEUE_MS, property::TIMER_DEQUEUE_MS];
        copy_without(&mut properties, text, &replaced);
        let enqueued = waiting.store_timestamp.as_millis();
        pair(&mut properties, property::TIMER_ENQUEUE_MS, &enqueued.to_string());
        pair(&mut properties, property::TIMER_DEQUEUE_MS, &self.wall(now).as_millis().to_string());
        let scan = Scan::of(&properties);
        let inner = Inner {
            topic,
            queue_id,
            flag: waiting.flag,
            sys_flag: waiting.sys_flag,
            born_timestamp: waiting.born_timestamp,
            born_host: waiting.born_host,
            reconsume_times: waiting.reconsume_times,
            prepared_transaction_offset: 0,
            body: waiting.raw_body(),
            properties: &properties,
            tags_code: scan.tags_code(),
        };
        self.put(now, &inner, &scan)
    }

    pub(crate) fn recall_message(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) {
        let config = self.config.clone();
        let extra = [(property::MSG_REGION, &*config.region_id)];
        match self.recall(now, asker, command) {
            Ok(uniq_key) => {
                let header = RecallMessageResponseHeader { msg_id: uniq_key.as_str().into() };
                self.replier.reply(now, asker, Answer { extra: &extra, ..Answer::DONE }, &header, [].iter());
            }
            Err(refusal) => self.replier.refuse(now, asker, &refusal, &extra),
        }
    }

    fn recall(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Result<String, Refusal> {
        // Java's reader doesn't miss a handle that isn't there.
        let handle = command.ext.get("recallHandle").unwrap_or_default();
        let topic = command.ext.get("topic").unwrap_or_default();
        if !self.config.recall {
            let remark = "recall failed, operation is forbidden";
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark));
        }
        if self.is_slave() {
            let remark = "recall failed, broker service not available";
            return Err(Refusal::new(ResponseCode::SLAVE_NOT_AVAILABLE, remark));
        }
        if self.topics.get(&topic).is_none() {
            let remark = format!("recall failed, the topic[{topic}] not exist");
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        }
        let illegal = |remark: &str| Refusal::new(ResponseCode::ILLEGAL_OPERATION, remark);
        let handle = RecallHandle::parse(&handle).map_err(|_| illegal("recall handle is invalid"))?;
        if handle.topic != topic {
            return Err(illegal("recall failed, topic not match"));
        }
        if handle.broker_name != *self.config.broker_name {
            return Err(illegal("recall failed, broker service not available"));
        }
        let wall = self.wall(now);
        let deliver_ms = handle.deliver_at.as_millis();
        let left = deliver_ms.saturating_sub(wall.as_millis());
        let delay_max = i64::try_from(self.config.timer_delay_max.as_millis()).unwrap_or(i64::MAX);
        if left <= 0 || left >= delay_max {
            return Err(illegal("recall failed, timestamp invalid"));
        }
        let mut properties = String::new();
        pair(&mut properties, property::TAGS, RECALL_TAG);
        pair(&mut properties, property::TIMER_DEL_UNIQKEY, &handle.uniq_key);
        pair(&mut properties, property::UNIQ_KEY, &handle.uniq_key);
        pair(&mut properties, property::TIMER_DELIVER_MS, &deliver_ms.to_string());
        let inner = Inner {
            topic: &handle.topic,
            queue_id: 0,
            flag: 0,
            sys_flag: 0,
            born_timestamp: wall,
            born_host: self.peer(asker),
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: b"0",
            properties: &properties,
            tags_code: tags_code(RECALL_TAG),
        };
        self.put(now, &inner, &Scan::of(&properties))
            .map_err(|_| Refusal::new(ResponseCode::SYSTEM_ERROR, "recall failed, execute error"))?;
        Ok(handle.uniq_key)
    }
}

/// When a message is to be delivered, in Unix milliseconds; `None` when a property is no number.
fn deliver_ms(properties: &str, wall_ms: i64) -> Option<i64> {
    let read = |text: &str| text.parse::<i64>().ok();
    if let Some(seconds) = find(properties, property::TIMER_DELAY_SEC) {
        return Some(wall_ms.saturating_add(read(seconds)?.saturating_mul(1_000)));
    }
    if let Some(millis) = find(properties, property::TIMER_DELAY_MS) {
        return Some(wall_ms.saturating_add(read(millis)?));
    }
    read(find(properties, property::TIMER_DELIVER_MS)?)
}

/// The second at whose end a message is delivered.
fn slot(deliver_ms: i64) -> i64 {
    match deliver_ms.rem_euclid(PRECISION_MS) {
        0 => deliver_ms - PRECISION_MS,
        over => deliver_ms - over,
    }
}

fn illegal_timer(delay_max: i64) -> Refusal {
    let remark = format!(
        "timer message illegal, the delay time should not be bigger than the max delay {delay_max}ms; \
         or if set del msg, the delay time should be bigger than the current time"
    );
    Refusal::new(ResponseCode::MESSAGE_ILLEGAL, remark)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_the_second_before_delivery() {
        for (deliver_ms, expected) in [(5_000, 4_000), (5_001, 5_000), (5_999, 5_000), (6_000, 5_000)] {
            assert_eq!(slot(deliver_ms), expected, "{deliver_ms}");
        }
    }

    #[test]
    fn seconds_come_before_milliseconds_and_both_before_a_time() {
        let text = |names: &[(&str, &str)]| {
            names.iter().map(|(name, value)| format!("{name}\u{1}{value}\u{2}")).collect::<String>()
        };
        let all = [("TIMER_DELIVER_MS", "7"), ("TIMER_DELAY_MS", "20"), ("TIMER_DELAY_SEC", "3")];
        assert_eq!(deliver_ms(&text(&all), 100), Some(3_100));
        assert_eq!(deliver_ms(&text(&all[..2]), 100), Some(120));
        assert_eq!(deliver_ms(&text(&all[..1]), 100), Some(7));
        assert_eq!(deliver_ms(&text(&[("TIMER_DELAY_MS", "soon")]), 100), None);
    }
}
