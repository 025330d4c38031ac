//! Heartbeats and membership. Java: `ClientManageProcessor`, `ConsumerManageProcessor`.

use rocketmq_client_core::message::names;
use rocketmq_client_core::remoting::{
    CheckClientRequestBody, ConsumerData, GetConsumerListByGroupRequestHeader,
    GetConsumerListByGroupResponseBody, HeartbeatData, HeartbeatResponseHeader, JsonError, RemotingCommand,
    ResponseCode, UnregisterClientRequestHeader, is_tag_type,
};
use rocketmq_client_core::time::Instant;

use super::Handled;
use crate::asker::{Asker, Refusal};
use crate::broker::Broker;
use crate::client::Member;
use crate::processor::pull::no_sql;
use crate::reply::Answer;

/// A body that can't be read, as Java's exception would be answered.
pub(crate) fn bad_body(what: &str, error: JsonError) -> Refusal {
    Refusal::new(ResponseCode::SYSTEM_ERROR, format!("the body is no {what} in JSON: {error}"))
}

impl Broker {
    pub(crate) fn heart_beat(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let heartbeat = HeartbeatData::decode(&command.body).map_err(|error| bad_body("heartbeat", error))?;
        let member = Member {
            client_id: heartbeat.client_id,
            language: command.language,
            version: command.version,
            last_update: now,
        };
        let fingerprint = heartbeat.heartbeat_fingerprint;
        let without_sub = fingerprint != 0 && heartbeat.without_sub;
        let mut changed = fingerprint == 0;
        for data in &heartbeat.consumer_data_set {
            if fingerprint != 0 || without_sub {
                changed |= self.clients.fingerprint_changed(&data.group_name, fingerprint);
            } else {
                self.clients.fingerprint_changed(&data.group_name, 0);
            }
            self.register_consumer(now, asker, &member, data, without_sub);
        }
        for data in &heartbeat.producer_data_set {
            self.clients.register_producer(asker.connection, member.clone(), &data.group_name);
        }
        let answered = HeartbeatResponseHeader { is_support_heart_beat_v2: true, is_sub_change: changed };
        self.replier.reply(now, asker, Answer::OK, &answered, [].iter());
        Ok(())
    }

    fn register_consumer(
        &mut self,
        now: Instant,
        asker: &Asker,
        member: &Member,
        data: &ConsumerData,
        without_sub: bool,
    ) {
        let wall = self.wall(now);
        let Some(config) = self.groups.find(wall, &data.group_name) else { return };
        let retry_queues = config.retry_queue_nums;
        let subscribed = data.subscription_data_set.iter().flatten();
        let order = subscribed.filter_map(|data| self.topics.get(&data.topic)).any(|topic| topic.order);
        self.topics.ensure(wall, &names::retry_topic(&data.group_name), retry_queues, order);
        if self.clients.register_consumer(asker.connection, member.clone(), data, without_sub) {
            tracing::debug!(group = %data.group_name, client = %member.client_id, "consumer group changed");
            self.notify_members(&data.group_name);
        }
    }

    pub(crate) fn unregister_client(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let Ok(header) = command.header::<UnregisterClientRequestHeader<'_>>() else {
            self.replier.ok(now, asker);
            return Ok(());
        };
        if let Some(group) = header.producer_group.as_deref() {
            self.clients.unregister_producer(asker.connection, group);
        }
        if let Some(group) = header.consumer_group.as_deref()
            && self.clients.unregister_consumer(asker.connection, group)
        {
            self.notify_members(&group.into());
        }
        self.replier.ok(now, asker);
        Ok(())
    }

    pub(crate) fn consumer_list(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: GetConsumerListByGroupRequestHeader<'_> = command.header()?;
        let Some(group) = self.clients.consumers.get(&*header.consumer_group) else {
            let remark = format!("no consumer for this group, {}", header.consumer_group);
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
        };
        let body = GetConsumerListByGroupResponseBody {
            consumer_id_list: group.members.values().map(|member| member.client_id.clone()).collect(),
        };
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    pub(crate) fn check_client_config(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        if command.body.is_empty() {
            self.replier.ok(now, asker);
            return Ok(());
        }
        let body =
            CheckClientRequestBody::decode(&command.body).map_err(|error| bad_body("client check", error))?;
        let subscription = body.subscription_data.unwrap_or_default();
        if !is_tag_type(Some(&subscription.expression_type)) {
            return Err(no_sql());
        }
        self.replier.ok(now, asker);
        Ok(())
    }
}
