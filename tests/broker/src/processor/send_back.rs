//! Messages that consumers give back. Java: `AbstractSendMessageProcessor#consumerSendMsgBack`.

use rocketmq_client_core::message::{StoredMessage, names, property};
use rocketmq_client_core::remoting::{ConsumerSendMsgBackRequestHeader, RemotingCommand, ResponseCode};
use rocketmq_client_core::time::Instant;

use super::Handled;
use super::text::{Scan, copy_without, pair};
use crate::asker::{Asker, FAQ, Refusal};
use crate::broker::Broker;
use crate::store::Inner;

/// Java: the level of a first retry is `3 + reconsumeTimes`.
const FIRST_RETRY_LEVEL: i32 = 3;

impl Broker {
    pub(crate) fn send_back(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: ConsumerSendMsgBackRequestHeader<'_> = command.header()?;
        let (wall, group) = (self.wall(now), &*header.group);
        let Some(config) = self.groups.find(wall, group) else {
            let remark = format!("subscription group not exist, {group} {FAQ}");
            return Err(Refusal::new(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
        };
        let (retry_queues, group_max) = (config.retry_queue_nums, config.retry_max_times);
        if retry_queues <= 0 {
            // Java answers success and stores nothing: the message is gone.
            tracing::warn!(group, "a message was given back to a group without retry queues, and is dropped");
            self.replier.ok(now, asker);
            return Ok(());
        }
        let retry_topic = names::retry_topic(group);
        self.topics.ensure(wall, &retry_topic, retry_queues, false);
        let record = self.store.record_at(header.offset).map(|record| record.bytes.clone());
        let Some(Ok(message)) = record.map(|bytes| StoredMessage::decode(&bytes)) else {
            let remark = format!("look message by offset failed, {}", header.offset);
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
        };
        let max = header.max_reconsume_times.unwrap_or(group_max);
        let dead = message.reconsume_times >= max || header.delay_level < 0;
        let level = match (dead, header.delay_level) {
            (true, _) => 0,
            (false, 0) => FIRST_RETRY_LEVEL.saturating_add(message.reconsume_times),
            (false, given) => given,
        };
        if dead {
            let topic = names::dlq_topic(group);
            self.topics.ensure(wall, &topic, 1, false);
            self.put_again(now, &message, &topic, 0, level)?;
        } else {
            let queue = self.rng.below(u64::try_from(retry_queues).unwrap_or(1));
            self.put_again(now, &message, &retry_topic, i32::try_from(queue).unwrap_or(0), level)?;
        }
        self.replier.ok(now, asker);
        Ok(())
    }

    fn put_again(
        &mut self,
        now: Instant,
        message: &StoredMessage,
        topic: &str,
        queue_id: i32,
        level: i32,
    ) -> Handled {
        let text = message.properties_text();
        let retry_topic = message.property(property::RETRY_TOPIC).unwrap_or_else(|| message.topic());
        let origin = message.property(property::ORIGIN_MESSAGE_ID);
        let own_id = message.offset_msg_id().to_string();
        let mut properties = String::with_capacity(text.len() + 128);
        let replaced = [property::RETRY_TOPIC, property::WAIT, property::DELAY, property::ORIGIN_MESSAGE_ID];
        copy_without(&mut properties, text, &replaced);
        pair(&mut properties, property::RETRY_TOPIC, retry_topic);
        pair(&mut properties, property::WAIT, "false");
        pair(&mut properties, property::DELAY, &level.to_string());
        pair(&mut properties, property::ORIGIN_MESSAGE_ID, origin.unwrap_or(&own_id));
        let scan = Scan { is_timer: false, ..Scan::of(&properties) };
        let inner = Inner {
            topic,
            queue_id,
            flag: message.flag,
            sys_flag: message.sys_flag,
            born_timestamp: message.born_timestamp,
            born_host: message.born_host,
            reconsume_times: message.reconsume_times.saturating_add(1),
            prepared_transaction_offset: 0,
            body: message.raw_body(),
            properties: &properties,
            tags_code: scan.tags_code(),
        };
        let appended = self.put(now, &inner, &scan).map_err(|refusal| {
            // Java answers 1 with the put status, whatever the store said.
            Refusal::new(ResponseCode::SYSTEM_ERROR, refusal.remark)
        })?;
        tracing::debug!(topic, level, position = appended.position, "a message was given back");
        Ok(())
    }
}
