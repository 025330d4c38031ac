//! Consumer offsets, and the offsets of queues. Java: `ConsumerManageProcessor`, `AdminBrokerProcessor`.

use rocketmq_client_core::remoting::{
    BoundaryType, GetEarliestMsgStoretimeRequestHeader, GetEarliestMsgStoretimeResponseHeader,
    GetMaxOffsetRequestHeader, GetMaxOffsetResponseHeader, GetMinOffsetRequestHeader,
    GetMinOffsetResponseHeader, NoHeader, QueryConsumerOffsetRequestHeader,
    QueryConsumerOffsetResponseHeader, RemotingCommand, ResetOffsetBody, ResetOffsetRequestHeader,
    ResponseCode, SearchOffsetRequestHeader, SearchOffsetResponseHeader, UpdateConsumerOffsetRequestHeader,
};
use rocketmq_client_core::time::{Instant, Timestamp};

use super::Handled;
use crate::asker::{Asker, Refusal, nullable, or_null};
use crate::broker::Broker;
use crate::reply::Answer;
use crate::store::consume_queue::Boundary;

impl Broker {
    pub(crate) fn query_consumer_offset(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: QueryConsumerOffsetRequestHeader<'_> = command.header()?;
        let (group, topic, queue_id) = (&*header.consumer_group, &*header.topic, header.queue_id);
        let reset = self.offsets.pending_reset(group, topic, queue_id);
        let known =
            reset.or_else(|| self.offsets.committed(group, topic, queue_id)).filter(|offset| *offset >= 0);
        let offset = match known {
            Some(offset) => offset,
            None if header.set_zero_if_not_found == Some(false) => {
                let remark = "Not found, do not set to zero, maybe this group boot first";
                return Err(Refusal::new(ResponseCode::QUERY_NOT_FOUND, remark));
            }
            // A young queue, whose first message is still there, is read from the start by a new group.
            None if self
                .store
                .queue_of(topic, queue_id)
                .is_some_and(|queue| queue.min() <= 0 && queue.max() > 0) =>
            {
                0
            }
            None => {
                let remark = "Not found, V3_0_6_SNAPSHOT maybe this group consumer boot first";
                return Err(Refusal::new(ResponseCode::QUERY_NOT_FOUND, remark));
            }
        };
        self.replier.header(now, asker, &QueryConsumerOffsetResponseHeader { offset });
        Ok(())
    }

    pub(crate) fn update_consumer_offset(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let (group, topic) = (nullable(command, "consumerGroup"), nullable(command, "topic"));
        let (group, topic) = (or_null(&group), or_null(&topic));
        if self.groups.get(group).is_none() {
            let remark = format!("Group {group} not exist!");
            return Err(Refusal::new(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
        }
        if self.topics.get(topic).is_none() {
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, format!("Topic {topic} not exist!")));
        }
        for (field, called) in [("queueId", "QueueId"), ("commitOffset", "Offset")] {
            if nullable(command, field).is_none_or(|value| value.parse::<i64>().is_err()) {
                let remark = format!("{called} is null, topic is {topic}");
                return Err(Refusal::new(ResponseCode::INVALID_PARAMETER, remark));
            }
        }
        let header: UpdateConsumerOffsetRequestHeader<'_> = command.header()?;
        if self.offsets.pending_reset(group, topic, header.queue_id).is_some() {
            let answer = Answer { remark: Some("Offset has been previously reset"), ..Answer::OK };
            self.replier.reply(now, asker, answer, &NoHeader, [].iter());
            return Ok(());
        }
        self.offsets.commit(group, topic, header.queue_id, header.commit_offset);
        self.replier.ok(now, asker);
        Ok(())
    }

    pub(crate) fn max_offset(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: GetMaxOffsetRequestHeader<'_> = command.header()?;
        let offset = self.store.queue_of(&header.topic, header.queue_id).map_or(0, |queue| queue.max());
        self.replier.header(now, asker, &GetMaxOffsetResponseHeader { offset });
        Ok(())
    }

    pub(crate) fn min_offset(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: GetMinOffsetRequestHeader<'_> = command.header()?;
        let offset = self.store.queue_of(&header.topic, header.queue_id).map_or(0, |queue| queue.min());
        self.replier.reply(now, asker, Answer::BLANK, &GetMinOffsetResponseHeader { offset }, [].iter());
        Ok(())
    }

    pub(crate) fn search_offset(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: SearchOffsetRequestHeader<'_> = command.header()?;
        let boundary = match header.boundary_type {
            Some(BoundaryType::Upper) => Boundary::Upper,
            _ => Boundary::Lower,
        };
        let time = Timestamp::from_millis(header.timestamp);
        let queue = self.store.queue_of(&header.topic, header.queue_id);
        let offset = queue.map_or(0, |queue| queue.offset_by_time(time, boundary));
        self.replier.header(now, asker, &SearchOffsetResponseHeader { offset });
        Ok(())
    }

    pub(crate) fn earliest_store_time(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: GetEarliestMsgStoretimeRequestHeader<'_> = command.header()?;
        let queue = self.store.queue_of(&header.topic, header.queue_id);
        let first = queue.and_then(|queue| queue.get(queue.min()));
        let timestamp = first.map_or(-1, |entry| entry.store_timestamp.as_millis());
        self.replier.header(now, asker, &GetEarliestMsgStoretimeResponseHeader { timestamp });
        Ok(())
    }

    /// Java: `AdminBrokerProcessor#resetOffsetInner`, with `useServerSideResetOffset`.
    pub(crate) fn reset_offset(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        if self.is_slave() {
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, "Can not reset offset in slave broker"));
        }
        let (group, topic) = (nullable(command, "group"), nullable(command, "topic"));
        let (group, topic) = (or_null(&group), or_null(&topic));
        let Some(config) = self.topics.get(topic) else {
            let remark = format!("Topic {topic} does not exist");
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        if self.groups.get(group).is_none() {
            let remark = format!("Group {group} does not exist");
            return Err(Refusal::new(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
        }
        let header: ResetOffsetRequestHeader<'_> = command.header()?;
        let queue_ids = match header.queue_id {
            single @ 0.. => single..=single,
            _ => 0..=config.read_queue_nums - 1,
        };
        let mut targets = Vec::new();
        for queue_id in queue_ids {
            let queue = self.store.queue_of(topic, queue_id);
            let (min, max) = queue.map_or((0, 0), |queue| (queue.min(), queue.max()));
            let target = match (header.offset.filter(|_| header.queue_id >= 0), header.timestamp) {
                (Some(offset), _) if offset < min || offset > max + 1 => {
                    let remark = format!("Target offset {offset} not in consume queue range [{min}-{max}]");
                    return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
                }
                (Some(offset), _) => offset,
                (None, -1) => max,
                (None, time) => queue
                    .map_or(0, |queue| queue.offset_by_time(Timestamp::from_millis(time), Boundary::Lower)),
            };
            targets.push((queue_id, target));
        }
        let mut body = ResetOffsetBody::default();
        for (queue_id, target) in targets {
            self.offsets.reset(group, topic, queue_id, target);
            body.offset_table.insert(self.message_queue(topic, queue_id), target);
        }
        self.replier.body(now, asker, body.encode());
        Ok(())
    }
}
