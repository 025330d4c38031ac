//! Messages that were popped and not acknowledged in time go to the group's retry topic.
//! Java: `PopReviveService`.

use rocketmq_client_core::message::{StoredMessage, names, property};
use rocketmq_client_core::time::Instant;

use super::text::{Scan, copy_without, pair};
use crate::broker::Broker;
use crate::pop::check_point::CheckPointKey;
use crate::store::Inner;

impl Broker {
    /// Delivers again what is due.
    pub(crate) fn revive(&mut self, now: Instant) {
        let wall_ms = self.wall(now).as_millis();
        for (point, offsets) in self.pops.check_points.take_due(wall_ms) {
            let original = original_topic(&point);
            if self.topics.get(original).is_none() {
                continue;
            }
            let wall = self.wall(now);
            if self.groups.find(wall, &point.group).is_none() {
                continue;
            }
            for offset in offsets {
                let queue = self.store.queue_of(&point.topic, point.queue_id);
                let record = queue.and_then(|queue| queue.get(offset)).map(|entry| entry.record);
                // What left the log meanwhile is gone, as in Java.
                let Some(message) = record.and_then(|record| self.stored(record)) else { continue };
                self.revive_one(now, &point, &message);
            }
        }
        self.dispatch(now);
        self.register_changes();
    }

    fn revive_one(&mut self, now: Instant, point: &CheckPointKey, message: &StoredMessage) {
        let (wall, group) = (self.wall(now), &*point.group);
        let retry_topic = match names::is_retry_topic(&point.topic) {
            true => point.topic.to_string(),
            false => self.pop_retry_topic(group, &point.topic),
        };
        if self.topics.get(&retry_topic).is_none() {
            self.topics.ensure_unannounced(wall, &retry_topic, 1);
            if self.offsets.committed(group, &retry_topic, 0).is_none_or(|offset| offset < 0) {
                self.offsets.commit(group, &retry_topic, 0, 0);
            }
        }
        let text = message.properties_text();
        let mut properties = String::with_capacity(text.len() + 64);
        let first_pop = message.property(property::FIRST_POP_TIME).filter(|_| message.reconsume_times > 0);
        copy_without(&mut properties, text, &[property::FIRST_POP_TIME, property::ORIGIN_GROUP]);
        let pop_time = point.pop_time.to_string();
        pair(&mut properties, property::FIRST_POP_TIME, first_pop.unwrap_or(&pop_time));
        pair(&mut properties, property::ORIGIN_GROUP, group);
        let scan = Scan::of(&properties);
        let inner = Inner {
            topic: &retry_topic,
            queue_id: 0,
            flag: message.flag,
            sys_flag: message.sys_flag,
            born_timestamp: message.born_timestamp,
            born_host: self.config.addr,
            reconsume_times: message.reconsume_times.saturating_add(1),
            prepared_transaction_offset: 0,
            body: message.raw_body(),
            properties: &properties,
            tags_code: scan.tags_code(),
        };
        match self.put(now, &inner, &scan) {
            Ok(appended) => {
                tracing::debug!(topic = %retry_topic, group, position = appended.position, "revived");
            }
            Err(refusal) => {
                tracing::warn!(topic = %retry_topic, remark = %refusal.remark, "a popped message could not be revived");
            }
        }
    }
}

/// The topic that a group's retry topic is for. Java: `KeyBuilder#parseNormalTopic`.
fn original_topic(point: &CheckPointKey) -> &str {
    let Some(rest) = point.topic.strip_prefix(names::RETRY_PREFIX) else { return &point.topic };
    let rest = rest.strip_prefix(&*point.group).unwrap_or(rest);
    rest.strip_prefix(['_', '+']).unwrap_or(rest)
}
