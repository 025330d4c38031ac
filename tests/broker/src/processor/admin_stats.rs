//! Figures for tools: offsets of topics, progress of groups, who is connected.
//! Java: `AdminBrokerProcessor`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rocketmq_client_core::message::MessageQueue;
use rocketmq_client_core::remoting::{
    Connection, ConsumeStats, ConsumerConnection, GetConsumeStatsRequestHeader,
    GetConsumerConnectionListRequestHeader, GetProducerConnectionListRequestHeader,
    GetTopicStatsInfoRequestHeader, GroupList, OffsetWrapper, ProducerConnection,
    QueryTopicConsumeByWhoRequestHeader, RemotingCommand, ResponseCode, TopicOffset, TopicStatsTable,
};
use rocketmq_client_core::time::Instant;

use super::Handled;
use crate::asker::{Asker, Refusal};
use crate::broker::Broker;
use crate::client::Member;
use crate::output::ConnectionId;

impl Broker {
    pub(crate) fn topic_stats(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: GetTopicStatsInfoRequestHeader<'_> = command.header()?;
        let topic = &*header.topic;
        let Some(config) = self.topics.get(topic) else {
            let remark = format!("topic[{topic}] not exist");
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        let mut body = TopicStatsTable::default();
        for queue_id in 0..config.write_queue_nums.max(config.read_queue_nums) {
            let queue = self.store.queue_of(topic, queue_id);
            let (min, max) = queue.map_or((0, 0), |queue| (queue.min(), queue.max()));
            let last = queue.and_then(|queue| queue.get(max - 1));
            let entry = TopicOffset {
                last_update_timestamp: last.map_or(0, |last| last.store_timestamp.as_millis()),
                max_offset: max,
                min_offset: min,
            };
            body.offset_table.insert(self.message_queue(topic, queue_id), entry);
        }
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    pub(crate) fn consume_stats(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: GetConsumeStatsRequestHeader<'_> = command.header()?;
        let group = &*header.consumer_group;
        let named: Vec<Arc<str>> = match (header.topic.as_deref(), header.topic_list.as_deref()) {
            (Some(topic), _) if !topic.is_empty() => vec![topic.into()],
            (_, Some(topics)) if !topics.is_empty() => topics.split(';').map(Into::into).collect(),
            _ => self.topics_of(group),
        };
        let mut body = ConsumeStats::default();
        for topic in named {
            let Some(config) = self.topics.get(&topic) else { continue };
            for queue_id in 0..config.read_queue_nums {
                let queue = self.store.queue_of(&topic, queue_id);
                let max = queue.map_or(0, |queue| queue.max());
                let consumed = self.offsets.committed(group, &topic, queue_id).unwrap_or(0).max(0);
                let last = queue.and_then(|queue| queue.get(consumed - 1));
                let entry = OffsetWrapper {
                    broker_offset: max,
                    consumer_offset: consumed,
                    last_timestamp: last.map_or(0, |last| last.store_timestamp.as_millis()),
                    // Java: what was pulled and not yet committed is in flight.
                    pull_offset: consumed.max(self.offsets.pull_offset(group, &topic, queue_id).unwrap_or(0)),
                };
                body.offset_table.insert(self.message_queue(&topic, queue_id), entry);
            }
        }
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    pub(crate) fn message_queue(&self, topic: &str, queue_id: i32) -> MessageQueue {
        MessageQueue::new(topic, self.config.broker_name.clone(), queue_id)
    }

    /// The topics that a group has offsets on or subscribes to.
    pub(super) fn topics_of(&self, group: &str) -> Vec<Arc<str>> {
        let mut topics: BTreeSet<Arc<str>> = self.offsets.topics_of(group).cloned().collect();
        if let Some(info) = self.clients.consumers.get(group) {
            topics.extend(info.subscriptions.keys().cloned());
        }
        topics.into_iter().collect()
    }

    pub(crate) fn consumer_connections(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: GetConsumerConnectionListRequestHeader<'_> = command.header()?;
        let Some(group) = self.clients.consumers.get(&*header.consumer_group) else {
            let remark = format!("the consumer group[{}] not online", header.consumer_group);
            return Err(Refusal::new(ResponseCode::CONSUMER_NOT_ONLINE, remark));
        };
        let body = ConsumerConnection {
            connection_set: self.connection_set(&group.members),
            consume_from_where: group.consume_from_where,
            consume_type: group.consume_type,
            message_model: group.message_model,
            subscription_table: group.subscriptions.clone(),
        };
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    pub(crate) fn producer_connections(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: GetProducerConnectionListRequestHeader<'_> = command.header()?;
        let Some(members) = self.clients.producers.get(&*header.producer_group) else {
            let remark = format!("the producer group[{}] not exist", header.producer_group);
            return Err(Refusal::new(ResponseCode::SYSTEM_ERROR, remark));
        };
        let body = ProducerConnection { connection_set: self.connection_set(members) };
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    fn connection_set(&self, members: &BTreeMap<ConnectionId, Member>) -> Vec<Connection> {
        let connection = |(connection, member): (&ConnectionId, &Member)| {
            let peer = self.connections.get(connection).map_or(self.config.addr, |known| known.peer);
            Connection {
                client_addr: peer.to_string().into(),
                client_id: member.client_id.clone(),
                language: member.language,
                version: member.version,
            }
        };
        members.iter().map(connection).collect()
    }

    pub(crate) fn topic_consume_by_who(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: QueryTopicConsumeByWhoRequestHeader<'_> = command.header()?;
        let mut groups: BTreeSet<&Arc<str>> = self.offsets.groups_of(&header.topic).collect();
        let online = self.clients.consumers.iter();
        groups.extend(
            online
                .filter(|(_, info)| info.subscriptions.contains_key(&*header.topic))
                .map(|(group, _)| group),
        );
        let body = GroupList { group_list: groups.into_iter().cloned().collect() };
        self.replier.body(now, asker, body.encode());
        Ok(())
    }
}
