//! Queues shared out by the broker. Java: `QueryAssignmentProcessor`.

use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_core::config::AllocateStrategy;
use rocketmq_client_core::consumer::rebalance::allocate;
use rocketmq_client_core::message::{MessageQueue, names, perm};
use rocketmq_client_core::remoting::{
    GetRouteInfoRequestHeader, MessageModel, MessageQueueAssignment, MessageRequestMode,
    QueryAssignmentRequestBody, QueryAssignmentResponseBody, RemotingCommand, ResponseCode,
    SetMessageRequestModeRequestBody, TopicRouteData,
};
use rocketmq_client_core::time::Instant;

use super::{Handled, bad_body};
use crate::asker::{Asker, Refusal};
use crate::assignment::Waiting;
use crate::broker::{Broker, Output};

/// Java: the broker's own patience with a name server.
const ROUTE_TIMEOUT: Duration = Duration::from_secs(3);
/// Any queue of a broker.
const ANY_QUEUE: i32 = -1;

impl Broker {
    pub(crate) fn query_assignment(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let body = QueryAssignmentRequestBody::decode(&command.body)
            .map_err(|error| bad_body("question about an assignment", error))?;
        if self.assignments.queues.contains_key(&body.topic) {
            self.answer_assignment(now, asker, &body);
            return Ok(());
        }
        let waiting = Waiting { asker: asker.clone(), command: command.clone(), until: now + ROUTE_TIMEOUT };
        if self.assignments.wait(&body.topic, waiting) {
            self.query_route(&body.topic);
        }
        Ok(())
    }

    fn answer_assignment(&mut self, now: Instant, asker: &Asker, body: &QueryAssignmentRequestBody) {
        let set = self.assignments.mode(&body.topic, &body.consumer_group);
        let mode = set.map_or(MessageRequestMode::Pull, |set| set.mode);
        let share = set.map_or(0, |set| set.pop_share_queue_num);
        let queues = self.share_out(body, mode, share);
        let assignment = |queue: Arc<MessageQueue>| MessageQueueAssignment {
            attachments: None,
            message_queue: Some((*queue).clone()),
            mode,
        };
        let assignments = queues.map(|queues| queues.into_iter().map(assignment).collect());
        let answer = QueryAssignmentResponseBody { message_queue_assignments: assignments };
        self.replier.body(now, asker, answer.encode());
    }

    /// The queues of a client. `None` tells it to keep what it has, nothing to give up everything.
    fn share_out(
        &self,
        body: &QueryAssignmentRequestBody,
        mode: MessageRequestMode,
        share: i32,
    ) -> Option<Vec<Arc<MessageQueue>>> {
        let queues = self.assignments.queues.get(&body.topic)?;
        if body.message_model == MessageModel::Broadcasting {
            return Some(queues.clone());
        }
        let group = self.clients.consumers.get(&body.consumer_group)?;
        let mut members: Vec<_> = group.members.values().map(|member| member.client_id.clone()).collect();
        members.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
        let strategy = match &*body.strategy_name {
            "AVG" => AllocateStrategy::Averagely,
            "AVG_BY_CIRCLE" => AllocateStrategy::AveragelyByCircle,
            _ => return None,
        };
        let mut shared = match mode {
            MessageRequestMode::Pop => share_out_pops(&strategy, &body.client_id, queues, &members, share)?,
            _ => allocate(&strategy, &body.client_id, queues, &members).ok()?,
        };
        shared.sort_unstable();
        shared.dedup();
        Some(shared)
    }

    pub(crate) fn set_message_request_mode(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let body = SetMessageRequestModeRequestBody::decode(&command.body)
            .map_err(|error| bad_body("message request mode", error))?;
        if names::is_retry_topic(&body.topic) {
            let remark = "retry topic is not allowed to set mode";
            return Err(Refusal::new(ResponseCode::NO_PERMISSION, remark));
        }
        if self.topics.get(&body.topic).is_none() {
            let remark = format!("topic[{}] not exist", body.topic);
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        }
        let wall = self.wall(now);
        if self.groups.find(wall, &body.consumer_group).is_none() {
            let remark = "subscription group does not exist";
            return Err(Refusal::new(ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST, remark));
        }
        self.assignments.set_mode(body);
        self.replier.ok(now, asker);
        Ok(())
    }

    pub(crate) fn all_message_request_modes(&mut self, now: Instant, asker: &Asker) -> Handled {
        let body = self.assignments.modes.encode();
        self.replier.body(now, asker, body);
        Ok(())
    }

    /// Asks a name server who serves a topic.
    fn query_route(&mut self, topic: &str) {
        let header = GetRouteInfoRequestHeader {
            topic: topic.into(),
            accept_standard_json_only: Some(true),
            ..Default::default()
        };
        let frame = self.replier.request(&header, &[]);
        self.assignments.ask(self.replier.last_opaque(), topic.into());
        self.output(Output::QueryRoute { frame });
    }

    /// Asks again for all topics whose queues were shared out.
    pub(crate) fn refresh_routes(&mut self) {
        let topics: Vec<_> = self.assignments.queues.keys().cloned().collect();
        for topic in topics {
            self.query_route(&topic);
        }
    }

    pub(crate) fn route_answered(&mut self, now: Instant, answer: &RemotingCommand) {
        let Some(topic) = self.assignments.take_asked(answer.opaque) else { return };
        let code = ResponseCode(answer.code);
        if code == ResponseCode::SUCCESS {
            match TopicRouteData::decode(&answer.body) {
                Ok(route) => drop(self.assignments.queues.insert(topic.clone(), queues_of(&topic, &route))),
                Err(error) => tracing::warn!(%topic, %error, "a name server's route can't be read"),
            }
        } else if code == ResponseCode::TOPIC_NOT_EXIST {
            self.assignments.queues.remove(&topic);
        }
        let waiting = self.assignments.take_waiting(&topic);
        self.answer_waiting(now, &waiting);
    }

    /// Answers those that waited too long for a name server.
    pub(crate) fn expire_assignments(&mut self, now: Instant) {
        let expired = self.assignments.take_expired(now);
        self.answer_waiting(now, &expired);
    }

    fn answer_waiting(&mut self, now: Instant, waiting: &[Waiting]) {
        for Waiting { asker, command, .. } in waiting {
            if let Ok(body) = QueryAssignmentRequestBody::decode(&command.body) {
                self.answer_assignment(now, asker, &body);
            }
        }
    }
}

/// Java: `QueryAssignmentProcessor#allocate4Pop`.
fn share_out_pops(
    strategy: &AllocateStrategy,
    client_id: &str,
    queues: &[Arc<MessageQueue>],
    members: &[Arc<str>],
    share: i32,
) -> Option<Vec<Arc<MessageQueue>>> {
    let others = i32::try_from(members.len()).unwrap_or(i32::MAX) - 1;
    if share <= 0 || share >= others {
        let any = |queue: &Arc<MessageQueue>| {
            Arc::new(MessageQueue::new(queue.topic.clone(), queue.broker_name.clone(), ANY_QUEUE))
        };
        return Some(queues.iter().map(any).collect());
    }
    let index = members.iter().position(|member| &**member == client_id);
    if members.len() > queues.len() {
        return match (index, queues.len()) {
            (_, 0) => None,
            (None, _) => Some(Vec::new()),
            (Some(index), count) => Some(vec![queues[index % count].clone()]),
        };
    }
    let mut shared = allocate(strategy, client_id, queues, members).ok()?;
    if let Some(index) = index {
        for turn in 1..=usize::try_from(share).unwrap_or(0) {
            let other = &members[(index + turn) % members.len()];
            shared.extend(allocate(strategy, other, queues, members).ok()?);
        }
    }
    Some(shared)
}

/// Java: `MQClientInstance#topicRouteData2TopicSubscribeInfo`.
fn queues_of(topic: &Arc<str>, route: &TopicRouteData) -> Vec<Arc<MessageQueue>> {
    let readable = route.queue_datas.iter().filter(|data| perm::is_readable(data.perm));
    let ids = readable.flat_map(|data| (0..data.read_queue_nums).map(move |id| (&data.broker_name, id)));
    let mut queues: Vec<_> =
        ids.map(|(broker, id)| Arc::new(MessageQueue::new(topic.clone(), broker.clone(), id))).collect();
    queues.sort_unstable();
    queues
}
