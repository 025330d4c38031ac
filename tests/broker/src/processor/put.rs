//! Into the store: size limits, and the detour of delayed messages.
//! Java: `DefaultMessageStore#putMessage` and its hooks.

use rocketmq_client_core::message::properties::PROPERTIES_BYTES_MAX;
use rocketmq_client_core::message::{StoredMessage, names, property, sys_flag};
use rocketmq_client_core::remoting::ResponseCode;
use rocketmq_client_core::time::Instant;

use super::text::{Scan, copy_without, pair};
use crate::asker::Refusal;
use crate::broker::Broker;
use crate::store::{Appended, Inner};

impl Broker {
    /// Checks and appends one message; a delayed one goes to its level's queue first.
    pub(crate) fn put(
        &mut self,
        now: Instant,
        inner: &Inner<'_>,
        scan: &Scan<'_>,
    ) -> Result<Appended, Refusal> {
        if self.is_slave() {
            let remark = "service not available now. It may be caused by messages being put to a slave";
            return Err(Refusal::new(ResponseCode::SERVICE_NOT_AVAILABLE, remark));
        }
        self.check_sizes(inner.body.len(), inner.properties.len())?;
        let kind = sys_flag::transaction_type(inner.sys_flag);
        let may_wait = kind == sys_flag::TRANSACTION_NOT || kind == sys_flag::TRANSACTION_COMMIT;
        if scan.is_timer
            && scan.delay_level <= 0
            && may_wait
            && let Some(appended) = self.put_timer(now, inner)?
        {
            return Ok(appended);
        }
        if scan.delay_level > 0 && may_wait {
            return self.put_delayed(now, inner, scan.delay_level);
        }
        let wall = self.wall(now);
        Ok(self.store.append(now, wall, inner))
    }

    /// Java: `HookUtils#handleScheduleMessage`.
    fn put_delayed(&mut self, now: Instant, inner: &Inner<'_>, level: i32) -> Result<Appended, Refusal> {
        let wall = self.wall(now);
        let level = level.min(self.delay.levels.count());
        let mut properties = String::with_capacity(inner.properties.len() + 64);
        let replaced = [
            property::DELAY,
            property::REAL_TOPIC,
            property::REAL_QID,
            property::TIMER_DELAY_SEC,
            property::TIMER_DELAY_MS,
            property::TIMER_DELIVER_MS,
        ];
        copy_without(&mut properties, inner.properties, &replaced);
        pair(&mut properties, property::DELAY, &level.to_string());
        pair(&mut properties, property::REAL_TOPIC, inner.topic);
        pair(&mut properties, property::REAL_QID, &inner.queue_id.to_string());
        self.check_sizes(inner.body.len(), properties.len())?;
        let deliver_at = wall + self.delay.levels.delay(level);
        let waiting = Inner {
            topic: names::SCHEDULE_TOPIC,
            queue_id: level - 1,
            properties: &properties,
            tags_code: deliver_at.as_millis(),
            ..inner.clone()
        };
        Ok(self.store.append(now, wall, &waiting))
    }

    pub(super) fn check_sizes(&self, body: usize, properties: usize) -> Result<(), Refusal> {
        let limit = self.config.message_bytes_max;
        if body <= limit && properties <= PROPERTIES_BYTES_MAX {
            return Ok(());
        }
        let remark = format!(
            "the message is illegal, maybe msg body or properties length not matched. \
             msg body length limit {limit}B, msg properties length limit 32KB."
        );
        Err(Refusal::new(ResponseCode::MESSAGE_ILLEGAL, remark))
    }

    /// Puts the delayed messages that are due into their own queues.
    /// Java: `ScheduleMessageService.DeliverDelayedMessageTimerTask`.
    pub(crate) fn deliver_delayed(&mut self, now: Instant) {
        let wall = self.wall(now);
        for level in self.delay.queue_ids() {
            while let Some(number) = self.delay.due(&self.store, level, wall) {
                if let Some(message) = self.stored(number)
                    && let Err(refusal) = self.deliver_one(now, &message)
                {
                    tracing::warn!(level, remark = %refusal.remark, "a delayed message could not be delivered");
                    break;
                }
                self.delay.advance(&self.store, level);
            }
        }
        self.dispatch(now);
        self.register_changes();
    }

    fn deliver_one(&mut self, now: Instant, waiting: &StoredMessage) -> Result<Appended, Refusal> {
        let text = waiting.properties_text();
        let topic = waiting.property(property::REAL_TOPIC).unwrap_or_default();
        let queue_id = waiting.property(property::REAL_QID).and_then(|id| id.parse().ok()).unwrap_or(0);
        // Its time has come: the level stays in the text, but must not delay it again.
        let scan = Scan { delay_level: 0, is_timer: false, ..Scan::of(text) };
        let inner = Inner {
            topic,
            queue_id,
            flag: waiting.flag,
            sys_flag: waiting.sys_flag,
            born_timestamp: waiting.born_timestamp,
            born_host: waiting.born_host,
            reconsume_times: waiting.reconsume_times,
            prepared_transaction_offset: waiting.prepared_transaction_offset,
            body: waiting.raw_body(),
            properties: text,
            tags_code: scan.tags_code(),
        };
        self.put(now, &inner, &scan)
    }

    /// A record of the log, decoded.
    pub(crate) fn stored(&self, number: u64) -> Option<StoredMessage> {
        StoredMessage::decode(self.store.bytes(number)?).ok()
    }
}
