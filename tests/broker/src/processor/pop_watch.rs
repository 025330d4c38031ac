//! Looking at what could be popped: peeks, notifications, and how many pops wait.
//! Java: `PeekMessageProcessor`, `NotificationProcessor`, `PollingInfoProcessor`.

use std::sync::Arc;

use bytes::Bytes;
use rocketmq_client_core::message::names;
use rocketmq_client_core::remoting::{
    NotificationRequestHeader, NotificationResponseHeader, PeekMessageRequestHeader,
    PollingInfoRequestHeader, PollingInfoResponseHeader, PopMessageResponseHeader, RemotingCommand,
    RequestCode, ResponseCode, TopicConfig,
};
use rocketmq_client_core::time::Instant;

use super::pop::pop_key;
use super::pop_read::queue_ids;
use super::pull::{Filter, SCAN_MIN};
use super::{Handled, fields_of_refusal};
use crate::asker::Asker;
use crate::broker::Broker;
use crate::pop::order::OrderKey;
use crate::pop::poll::{Poll, PollKey, PollKind, Polled};
use crate::reply::Answer;
use crate::store::consume_queue::{GetStatus, ReadLimits};

impl Broker {
    pub(crate) fn peek_message(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: PeekMessageRequestHeader<'_> = command.header()?;
        let (group, queue_id) = (&*header.consumer_group, header.queue_id);
        let (topic, _) = self.check_popped(now, asker, &header.topic, group, queue_id)?;
        let random = i32::try_from(self.rng.below(100)).unwrap_or(0);
        let retry_topic = self.pop_retry_topic(group, &topic.topic_name);
        let retry_queues = self.topics.get(&retry_topic).map_or(0, |config| config.read_queue_nums);
        let retry_first = random % 5 == 0;
        let mut peek = Peek {
            group,
            count_max: usize::try_from(header.max_msg_nums).unwrap_or(0),
            rest: 0,
            found: Vec::new(),
        };
        if retry_first {
            forward(random, retry_queues).for_each(|id| self.peek_queue(&mut peek, &retry_topic, id));
        }
        match queue_id {
            single @ 0.. => self.peek_queue(&mut peek, &topic.topic_name, single),
            _ => forward(random, topic.read_queue_nums)
                .for_each(|id| self.peek_queue(&mut peek, &topic.topic_name, id)),
        }
        if !retry_first && peek.found.len() < peek.count_max {
            forward(random, retry_queues).for_each(|id| self.peek_queue(&mut peek, &retry_topic, id));
        }
        let (code, remark) = match peek.found.is_empty() {
            true => (ResponseCode::PULL_NOT_FOUND, "NO_MESSAGE_IN_QUEUE"),
            false => (ResponseCode::SUCCESS, "FOUND"),
        };
        let answered = PopMessageResponseHeader { rest_num: peek.rest, ..Default::default() };
        let answer = Answer { code, remark: Some(remark), extra: &[] };
        self.replier.reply(now, asker, answer, &answered, peek.found.iter());
        Ok(())
    }

    fn peek_queue(&self, peek: &mut Peek<'_>, topic: &str, queue_id: i32) {
        let start = self.pop_offset(peek.group, topic, queue_id);
        let Some(queue) = self.store.queue_of(topic, queue_id) else { return };
        peek.rest += queue.max() - start;
        if peek.found.len() >= peek.count_max {
            return;
        }
        let room = peek.count_max - peek.found.len();
        let limits = ReadLimits {
            count_max: room.min(self.config.pull_count_max),
            bytes_max: self.config.pull_bytes_max,
            scan_max: SCAN_MIN.max(room),
        };
        let mut result = queue.read(&self.store.log, start, limits, |_| true);
        if matches!(result.status, GetStatus::OffsetTooSmall | GetStatus::OffsetOverflowBadly) {
            result = queue.read(&self.store.log, result.next, limits, |_| true);
        }
        peek.found.extend(result.records.iter().filter_map(|number| self.store.bytes(*number).cloned()));
    }

    pub(crate) fn notification(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        self.notify(now, asker, command, None)
    }

    /// Carries out a request that waited.
    pub(super) fn notification_again(&mut self, now: Instant, poll: &Poll) {
        if let Err(refusal) = self.notify(now, &poll.asker, &poll.command, Some(poll.born_ms)) {
            let fields = fields_of_refusal(RequestCode::NOTIFICATION, &refusal);
            self.replier.refuse(now, &poll.asker, &refusal, fields);
        }
    }

    fn notify(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
        born_ms: Option<i64>,
    ) -> Handled {
        let header: NotificationRequestHeader<'_> = command.header()?;
        let (topic, group) =
            self.check_popped(now, asker, &header.topic, &header.consumer_group, header.queue_id)?;
        let wall_ms = self.wall(now).as_millis();
        let has_msg = self.has_to_pop(&header, &topic, &group, wall_ms);
        let mut polling_full = false;
        if !has_msg {
            let given = Some(header.born_time).filter(|born| *born != 0);
            let born_ms = born_ms.or(given).unwrap_or(wall_ms);
            let key = PollKey {
                kind: PollKind::Notification,
                topic: topic.topic_name.clone(),
                group,
                queue_id: header.queue_id,
            };
            let poll = Poll { asker: asker.clone(), command: command.clone(), born_ms, filter: Filter::All };
            match self.pops.polls.hold(key, poll, header.poll_time, wall_ms) {
                Polled::Waits => return Ok(()),
                polled => polling_full = polled == Polled::Full,
            }
        }
        let header = NotificationResponseHeader { has_msg, polling_full };
        self.replier.reply(now, asker, Answer::DONE, &header, [].iter());
        Ok(())
    }

    fn has_to_pop(
        &self,
        header: &NotificationRequestHeader<'_>,
        topic: &TopicConfig,
        group: &Arc<str>,
        wall_ms: i64,
    ) -> bool {
        let attempt_id = header.attempt_id.as_deref();
        let has = |read: &str, queue_id: i32| {
            let key = OrderKey { topic: topic.topic_name.clone(), group: group.clone(), queue_id };
            if header.order && self.pops.orders.is_blocked(&key, attempt_id, wall_ms) {
                return false;
            }
            let max = self.store.queue_of(read, queue_id).map_or(0, |queue| queue.max());
            max > self.pop_offset(group, read, queue_id)
        };
        let own = match header.queue_id {
            single @ 0.. => has(&topic.topic_name, single),
            _ => queue_ids(0, topic.read_queue_nums).any(|queue_id| has(&topic.topic_name, queue_id)),
        };
        let retries = [
            names::pop_retry_topic_v1(group, &topic.topic_name),
            names::pop_retry_topic_v2(group, &topic.topic_name),
        ];
        let known = retries.iter().take(if self.config.retry_topic_v2 { 2 } else { 1 });
        own || known.filter_map(|retry| self.topics.get(retry)).any(|config| {
            queue_ids(0, config.read_queue_nums).any(|queue_id| has(&config.topic_name, queue_id))
        })
    }

    pub(crate) fn polling_info(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: PollingInfoRequestHeader<'_> = command.header()?;
        self.check_popped(now, asker, &header.topic, &header.consumer_group, header.queue_id)?;
        let waiting =
            self.pops.polls.len_of(&pop_key(&header.topic, &header.consumer_group, header.queue_id));
        let polling_num = i32::try_from(waiting).unwrap_or(i32::MAX);
        let header = PollingInfoResponseHeader { polling_num };
        self.replier.reply(now, asker, Answer::DONE, &header, [].iter());
        Ok(())
    }

    /// The retry topics that pops of `topic` brought about. Java: `clearRetryTopicWhenDeleteTopic`.
    pub(super) fn pop_retry_topics(&self, topic: &str) -> Vec<String> {
        let names = self.offsets.groups_of(topic).flat_map(|group| {
            [names::pop_retry_topic_v1(group, topic), names::pop_retry_topic_v2(group, topic)]
        });
        names.filter(|name| self.topics.get(name).is_some()).collect()
    }

    /// The topic that a group's messages of `topic` come to when their invisible time is over.
    pub(super) fn pop_retry_topic(&self, group: &str, topic: &str) -> String {
        match self.config.retry_topic_v2 {
            true => names::pop_retry_topic_v2(group, topic),
            false => names::pop_retry_topic_v1(group, topic),
        }
    }
}

struct Peek<'g> {
    group: &'g str,
    count_max: usize,
    rest: i64,
    found: Vec<Bytes>,
}

/// All queues from a random one on.
fn forward(start: i32, count: i32) -> impl Iterator<Item = i32> {
    (0..count).map(move |turn| (start + turn) % count)
}
