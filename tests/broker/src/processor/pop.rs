//! Pops: messages that a client gets alone until it acknowledges them or their time is over.
//! Java: `PopMessageProcessor`.

use std::sync::Arc;

use rocketmq_client_core::message::perm;
use rocketmq_client_core::message::pop::REVIVE_QUEUE_ORDERLY;
use rocketmq_client_core::remoting::{
    PopMessageRequestHeader, PopMessageResponseHeader, RemotingCommand, RequestCode, ResponseCode,
    SubscriptionData, TopicConfig, is_tag_type,
};
use rocketmq_client_core::time::Instant;

use super::pop_read::PopRun;
use super::pull::{Filter, no_sql};
use super::{Handled, fields_of_refusal};
use crate::asker::{Asker, FAQ, Refusal};
use crate::broker::Broker;
use crate::pop::poll::{Poll, PollKey, PollKind, Polled};
use crate::reply::Answer;

/// Java: a pop that comes this much later than it would have waited is refused.
const LATE_MS: i64 = 500;
const COUNT_MAX: i32 = 32;
/// Java: `reviveQueueNum`.
pub(super) const REVIVE_QUEUES: i32 = 8;
/// Java: `popFromRetryProbability`, of a hundred.
const RETRY_FIRST: u64 = 20;
/// Java: the default of the group attribute `priority.factor`, of a hundred.
const PRIORITY_FACTOR: u64 = 100;

/// What became of a pop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Popped {
    /// It was answered with messages, and this many are left for others.
    Found(i64),
    /// It was answered without messages.
    Nothing,
    /// It waits.
    Waits,
}

impl Broker {
    pub(crate) fn pop_message(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let popped = self.pop(now, asker, command, None)?;
        self.pop_for_others(now, command, popped);
        Ok(())
    }

    /// Carries out a request that waited.
    pub(super) fn pop_again(&mut self, now: Instant, poll: &Poll) -> Popped {
        self.pop(now, &poll.asker, &poll.command, Some(poll.born_ms)).unwrap_or_else(|refusal| {
            let fields = fields_of_refusal(RequestCode::POP_MESSAGE, &refusal);
            self.replier.refuse(now, &poll.asker, &refusal, fields);
            Popped::Nothing
        })
    }

    /// After a pop that left messages another one that waits for the same gets its turn.
    fn pop_for_others(&mut self, now: Instant, command: &RemotingCommand, mut popped: Popped) {
        while let Popped::Found(1..) = popped {
            let Ok(header) = command.header::<PopMessageRequestHeader<'_>>() else { return };
            let key = pop_key(&header.topic, &header.consumer_group, header.queue_id);
            let Some(poll) = self.pops.polls.take_next(&key) else { return };
            popped = self.pop_again(now, &poll);
        }
    }

    fn pop(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
        born_ms: Option<i64>,
    ) -> Result<Popped, Refusal> {
        let header: PopMessageRequestHeader<'_> = command.header()?;
        let wall_ms = self.wall(now).as_millis();
        let given = Some(header.born_time).filter(|born| *born != 0);
        let born_ms = born_ms.or(given).unwrap_or(wall_ms);
        let (topic, group) = self.check_pop(now, asker, &header, born_ms)?;
        let filter = self.pop_filter(now, &header)?;
        let mut run = self.pop_run(&header, &topic, &group, filter, wall_ms);
        let mut left = i64::MAX;
        loop {
            self.pop_from_all(&mut run, &topic);
            // A filter may pass over more than one read looks at: go on while that helps.
            if !run.found.is_empty() || run.rest <= 0 || run.rest >= left || header.poll_time <= 0 {
                break;
            }
            left = std::mem::take(&mut run.rest);
        }
        let code = if run.found.is_empty() {
            let key = pop_key(&header.topic, &header.consumer_group, header.queue_id);
            let filter = run.filter.clone();
            let poll = Poll { asker: asker.clone(), command: command.clone(), born_ms, filter };
            match self.pops.polls.hold(key, poll, header.poll_time, wall_ms) {
                Polled::Waits => return Ok(Popped::Waits),
                Polled::Full => ResponseCode::POLLING_FULL,
                Polled::TimedOut => ResponseCode::POLLING_TIMEOUT,
            }
        } else {
            ResponseCode::SUCCESS
        };
        let answered = PopMessageResponseHeader {
            pop_time: run.pop_time,
            invisible_time: header.invisible_time,
            revive_qid: run.revive_queue_id,
            rest_num: run.rest,
            start_offset_info: Some(run.start_offsets.as_str().into()),
            msg_offset_info: Some(run.message_offsets.as_str().into()),
            order_count_info: header.order.then_some(run.order_counts.as_str().into()),
        };
        let remark = if run.found.is_empty() { "NO_MESSAGE_IN_QUEUE" } else { "FOUND" };
        let answer = Answer { code, remark: Some(remark), extra: &[] };
        if !run.found.is_empty() {
            let bytes = run.found.iter().map(|record| record.len() as u64).sum();
            let names = (&Arc::from(&*header.topic), &Arc::from(&*header.consumer_group));
            self.gets.count(self.clock.timestamp(now), names, run.found.len() as u64, bytes);
        }
        self.replier.reply(now, asker, answer, &answered, run.found.iter());
        Ok(if run.found.is_empty() { Popped::Nothing } else { Popped::Found(run.rest) })
    }

    fn check_pop(
        &mut self,
        now: Instant,
        asker: &Asker,
        header: &PopMessageRequestHeader<'_>,
        born_ms: i64,
    ) -> Result<(TopicConfig, Arc<str>), Refusal> {
        let ip = self.config.addr.ip();
        let waited = self.wall(now).as_millis().saturating_sub(born_ms).saturating_sub(header.poll_time);
        if waited > LATE_MS {
            let remark = format!("the broker[{ip}] pop message is timeout too much");
            return Err(Refusal::new(ResponseCode::POLLING_TIMEOUT, remark));
        }
        if header.max_msg_nums > COUNT_MAX {
            let remark = format!("the broker[{ip}] pop message's num is greater than 32");
            return Err(Refusal::new(ResponseCode::INVALID_PARAMETER, remark));
        }
        if !self.config.timer_wheel {
            let remark =
                format!("the broker[{ip}] pop message is forbidden because timerWheelEnable is false");
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
        }
        self.check_popped(now, asker, &header.topic, &header.consumer_group, header.queue_id)
    }

    /// The checks that pops, peeks and notifications share.
    pub(super) fn check_popped(
        &mut self,
        now: Instant,
        asker: &Asker,
        topic: &str,
        group: &str,
        queue_id: i32,
    ) -> Result<(TopicConfig, Arc<str>), Refusal> {
        let Some(config) = self.topics.get(topic).cloned() else {
            let remark = format!("topic[{topic}] not exist, apply first please! {FAQ}");
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        if !perm::is_readable(config.perm) {
            let remark = format!("the topic[{topic}] peeking message is forbidden");
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark));
        }
        if queue_id >= config.read_queue_nums {
            let remark = self.illegal_popped_queue(asker, &config, queue_id);
            return Err(Refusal::new(ResponseCode::INVALID_PARAMETER, remark));
        }
        let wall = self.wall(now);
        let Some(group_config) = self.groups.find(wall, group) else {
            let remark = format!("subscription group [{group}] does not exist, {FAQ}");
            return Err(Refusal::new(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
        };
        if !group_config.consume_enable {
            let remark = format!("subscription group no permission, {group}");
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark));
        }
        Ok((config, group_config.group_name.clone()))
    }

    pub(super) fn illegal_popped_queue(&self, asker: &Asker, config: &TopicConfig, queue_id: i32) -> String {
        format!(
            "queueId[{queue_id}] is illegal, topic:[{}] topicConfig.readQueueNums:[{}] consumer:[/{}]",
            config.topic_name,
            config.read_queue_nums,
            self.peer(asker)
        )
    }

    fn pop_filter(&self, now: Instant, header: &PopMessageRequestHeader<'_>) -> Result<Filter, Refusal> {
        let Some(expression) = header.exp.as_deref().filter(|expression| !expression.is_empty()) else {
            return Ok(Filter::All);
        };
        if !is_tag_type(header.exp_type.as_deref()) {
            return Err(no_sql());
        }
        let wall = self.wall(now);
        let data = SubscriptionData::build(&*header.topic, Some(expression), None, wall);
        data.map(|data| Filter::of(&data)).map_err(|_| {
            let remark = "parse the consumer's subscription failed";
            Refusal::new(ResponseCode::SUBSCRIPTION_PARSE_FAILED, remark)
        })
    }

    fn pop_run<'h>(
        &mut self,
        header: &'h PopMessageRequestHeader<'_>,
        topic: &TopicConfig,
        group: &Arc<str>,
        filter: Filter,
        pop_time: i64,
    ) -> PopRun<'h> {
        let random = self.rng.below(100);
        let revive_queue_id = match header.order {
            true => REVIVE_QUEUE_ORDERLY,
            false => self.pops.popped.rem_euclid(REVIVE_QUEUES),
        };
        self.pops.popped = self.pops.popped.wrapping_add(1);
        let by_priority = !header.order
            && topic.attributes.get("message.type").is_some_and(|kind| kind.eq_ignore_ascii_case("PRIORITY"))
            && random < self.priority_factor(group);
        let v1 = !self.config.retry_topic_v2 || random.is_multiple_of(2);
        PopRun {
            order: header.order,
            attempt_id: header.attempt_id.as_deref(),
            init_min: header.init_mode == 0,
            invisible_time: header.invisible_time,
            queue_id: header.queue_id,
            count_max: usize::try_from(header.max_msg_nums).unwrap_or(0),
            topic: topic.topic_name.clone(),
            group: group.clone(),
            filter,
            retry_first: !by_priority && random < RETRY_FIRST,
            retry_v1: v1,
            start: if by_priority { 0 } else { i32::try_from(random).unwrap_or(0) },
            revive_queue_id,
            pop_time,
            rest: 0,
            found: Vec::new(),
            start_offsets: String::new(),
            message_offsets: String::new(),
            order_counts: String::new(),
        }
    }

    fn priority_factor(&self, group: &str) -> u64 {
        let config = self.groups.get(group);
        let value = config.and_then(|config| config.attributes.get("priority.factor")?.parse().ok());
        value.unwrap_or(PRIORITY_FACTOR)
    }
}

pub(super) fn pop_key(topic: &str, group: &str, queue_id: i32) -> PollKey {
    PollKey { kind: PollKind::Pop, topic: topic.into(), group: group.into(), queue_id }
}
