//! Acknowledgements of popped messages, and changes of their invisible time.
//! Java: `AckMessageProcessor`, `ChangeInvisibleTimeProcessor`.

use std::sync::Arc;

use rocketmq_client_core::message::pop::{PopHandle, REVIVE_QUEUE_ORDERLY, RetryMark};
use rocketmq_client_core::remoting::{
    AckMessageRequestHeader, BatchAck, BatchAckMessageRequestBody, ChangeInvisibleTimeRequestHeader,
    ChangeInvisibleTimeResponseHeader, RemotingCommand, ResponseCode,
};
use rocketmq_client_core::time::Instant;

use super::{Handled, bad_body};
use crate::asker::{Asker, FAQ, Refusal};
use crate::broker::Broker;
use crate::pop::check_point::CheckPointKey;
use crate::pop::order::{Acked, OrderKey};
use crate::reply::{Answer, NOT_SET};

impl Broker {
    pub(crate) fn ack_message(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: AckMessageRequestHeader<'_> = command.header()?;
        let (topic, queue_id, offset) = (&*header.topic, header.queue_id, header.offset);
        let topic = self.check_acked_queue(asker, topic, queue_id)?;
        let (min, max) = self.queue_bounds(&topic, queue_id);
        if offset < min || offset > max {
            let remark =
                format!("offset is illegal, key:{topic}@{queue_id}, commit:{offset}, store:{min}~{max}");
            return Err(Refusal::new(ResponseCode::NO_MESSAGE, remark));
        }
        let handle = read_handle(&header.extra_info)?;
        let group: Arc<str> = (&*header.consumer_group).into();
        if handle.revive_queue_id == REVIVE_QUEUE_ORDERLY {
            let key = OrderKey { topic, group, queue_id };
            self.ack_orderly(now, asker, &key, offset, handle.pop_time.as_millis())?;
        } else if *handle.broker_name == *self.config.broker_name {
            self.ack_one(&point_of(&handle, topic, group, queue_id), offset);
        }
        self.replier.ok(now, asker);
        Ok(())
    }

    pub(crate) fn batch_ack_message(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let nothing = || Refusal::new(ResponseCode::NO_MESSAGE, "");
        if command.body.is_empty() {
            return Err(nothing());
        }
        let body = BatchAckMessageRequestBody::decode(&command.body)
            .map_err(|error| bad_body("batch of acknowledgements", error))?;
        if body.acks.is_empty() {
            return Err(nothing());
        }
        let mut refused = None;
        for ack in &body.acks {
            if let Err(refusal) = self.ack_many(now, asker, ack, &body.broker_name) {
                refused = Some(refusal);
            }
        }
        if let Some(refusal) = refused {
            return Err(refusal);
        }
        self.replier.ok(now, asker);
        Ok(())
    }

    /// Offsets outside the queue are passed over, as in Java.
    fn ack_many(&mut self, now: Instant, asker: &Asker, ack: &BatchAck, broker_name: &str) -> Handled {
        let mark = match &*ack.retry {
            "1" => RetryMark::V1,
            "2" => RetryMark::V2,
            _ => RetryMark::Normal,
        };
        let topic: Arc<str> = (&*mark.stored_topic(&ack.consumer_group, &ack.topic)).into();
        let (min, max) = self.queue_bounds(&topic, ack.queue_id);
        let mut answer = Ok(());
        for bit in ack.bit_set.iter() {
            let offset = ack.start_offset.saturating_add(i64::from(bit));
            if offset < min || offset > max {
                continue;
            }
            if ack.revive_queue_id == REVIVE_QUEUE_ORDERLY {
                let key = OrderKey {
                    topic: topic.clone(),
                    group: ack.consumer_group.clone(),
                    queue_id: ack.queue_id,
                };
                if let Err(refusal) = self.ack_orderly(now, asker, &key, offset, ack.pop_time) {
                    answer = Err(refusal);
                }
            } else if broker_name.is_empty() || *broker_name == *self.config.broker_name {
                let key = CheckPointKey {
                    topic: topic.clone(),
                    group: ack.consumer_group.clone(),
                    queue_id: ack.queue_id,
                    start_offset: ack.start_offset,
                    pop_time: ack.pop_time,
                    revive_queue_id: ack.revive_queue_id,
                };
                self.ack_one(&key, offset);
            }
        }
        answer
    }

    fn ack_one(&mut self, key: &CheckPointKey, offset: i64) {
        let next_record = self.store.log.next();
        self.pops.check_points.ack(key, offset, next_record);
    }

    fn ack_orderly(
        &mut self,
        now: Instant,
        asker: &Asker,
        key: &OrderKey,
        offset: i64,
        pop_time: i64,
    ) -> Handled {
        let (group, topic, queue_id) = (&*key.group, &*key.topic, key.queue_id);
        let old = self.offsets.committed(group, topic, queue_id).unwrap_or(-1);
        if offset < old {
            return Ok(());
        }
        let wall_ms = self.wall(now).as_millis();
        match self.pops.orders.ack(key, offset, pop_time, wall_ms) {
            Acked::Commit(next) => {
                if self.offsets.pending_reset(group, topic, queue_id).is_none() {
                    self.offsets.commit(group, topic, queue_id, next);
                }
                Ok(())
            }
            Acked::Stale => Ok(()),
            Acked::Illegal => {
                let remark = format!(
                    "offset is illegal, key:{topic}@{group}@{queue_id}, old:{old}, commit:{offset}, next:-1, /{}",
                    self.peer(asker)
                );
                Err(Refusal::new(ResponseCode::MESSAGE_ILLEGAL, remark))
            }
        }
    }

    pub(crate) fn change_invisible_time(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: ChangeInvisibleTimeRequestHeader<'_> = command.header()?;
        let (queue_id, offset) = (header.queue_id, header.offset);
        let topic = self.check_acked_queue(asker, &header.topic, queue_id)?;
        let (min, max) = self.queue_bounds(&topic, queue_id);
        if offset < min || offset >= max {
            // Java sets no remark here, and leaves its first one.
            return Err(Refusal::new(ResponseCode::NO_MESSAGE, NOT_SET));
        }
        let handle = read_handle(&header.extra_info)?;
        let group: Arc<str> = (&*header.consumer_group).into();
        let wall_ms = self.wall(now).as_millis();
        let invisible_time = header.invisible_time;
        let answered = if handle.revive_queue_id == REVIVE_QUEUE_ORDERLY {
            let key = OrderKey { topic, group, queue_id };
            self.change_orderly(&key, offset, &handle, wall_ms, invisible_time)
        } else {
            // The message gets a check point of its own, and is acknowledged in the old one.
            let old = point_of(&handle, topic, group, queue_id);
            let new = CheckPointKey { start_offset: offset, pop_time: wall_ms, ..old.clone() };
            let next_record = self.store.log.next();
            let revive_at_ms = wall_ms.saturating_add(invisible_time);
            self.pops.check_points.add(new, [offset], revive_at_ms, next_record);
            self.pops.check_points.ack(&old, offset, next_record);
            ChangeInvisibleTimeResponseHeader {
                pop_time: wall_ms,
                invisible_time,
                revive_qid: handle.revive_queue_id,
            }
        };
        self.replier.reply(now, asker, Answer::DONE, &answered, [].iter());
        Ok(())
    }

    fn change_orderly(
        &mut self,
        key: &OrderKey,
        offset: i64,
        handle: &PopHandle,
        wall_ms: i64,
        invisible_time: i64,
    ) -> ChangeInvisibleTimeResponseHeader {
        let committed = self.offsets.committed(&key.group, &key.topic, key.queue_id);
        if offset < committed.unwrap_or(-1) {
            return ChangeInvisibleTimeResponseHeader::default();
        }
        let (pop_time, at_ms) = (handle.pop_time.as_millis(), wall_ms.saturating_add(invisible_time));
        self.pops.orders.change_visible(key, offset, pop_time, at_ms, wall_ms);
        ChangeInvisibleTimeResponseHeader {
            pop_time,
            invisible_time: at_ms.saturating_sub(pop_time),
            revive_qid: REVIVE_QUEUE_ORDERLY,
        }
    }

    fn check_acked_queue(&self, asker: &Asker, topic: &str, queue_id: i32) -> Result<Arc<str>, Refusal> {
        let Some(config) = self.topics.get(topic) else {
            let remark = format!("topic[{topic}] not exist, apply first please! {FAQ}");
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        if queue_id < 0 || queue_id >= config.read_queue_nums {
            let remark = self.illegal_popped_queue(asker, config, queue_id);
            return Err(Refusal::new(ResponseCode::MESSAGE_ILLEGAL, remark));
        }
        Ok(config.topic_name.clone())
    }

    fn queue_bounds(&self, topic: &str, queue_id: i32) -> (i64, i64) {
        self.store.queue_of(topic, queue_id).map_or((0, 0), |queue| (queue.min(), queue.max()))
    }
}

fn read_handle(text: &str) -> Result<PopHandle, Refusal> {
    text.parse().map_err(|error: rocketmq_client_core::message::pop::InvalidPopText| {
        Refusal::new(ResponseCode::SYSTEM_ERROR, error.to_string())
    })
}

fn point_of(handle: &PopHandle, topic: Arc<str>, group: Arc<str>, queue_id: i32) -> CheckPointKey {
    CheckPointKey {
        topic,
        group,
        queue_id,
        start_offset: handle.start_offset,
        pop_time: handle.pop_time.as_millis(),
        revive_queue_id: handle.revive_queue_id,
    }
}
