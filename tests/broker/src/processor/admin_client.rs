//! Who is online and what they consume, for tools. Java: `AdminBrokerProcessor`.

use std::sync::Arc;

use rocketmq_client_core::remoting::{
    ConsumeStats, ConsumeStatsList, GetConsumeStatsInBrokerHeader, OffsetWrapper, ProducerInfo,
    ProducerTableInfo, QuerySubscriptionByConsumerRequestHeader, QuerySubscriptionResponseBody,
    QueryTopicsByConsumerRequestHeader, RemotingCommand, TopicList,
};
use rocketmq_client_core::time::Instant;

use super::Handled;
use crate::asker::Asker;
use crate::broker::Broker;

impl Broker {
    pub(crate) fn all_producers(&mut self, now: Instant, asker: &Asker) -> Handled {
        let mut body = ProducerTableInfo::default();
        let wall = self.wall(now).as_millis();
        for (group, members) in &self.clients.producers {
            let info = |(connection, member): (_, &crate::client::Member)| {
                let peer = self.connections.get(connection).map_or(self.config.addr, |known| known.peer);
                let age = i64::try_from((now - member.last_update).as_millis()).unwrap_or(i64::MAX);
                ProducerInfo {
                    client_id: member.client_id.clone(),
                    language: member.language,
                    last_update_timestamp: wall.saturating_sub(age),
                    remote_ip: format!("/{peer}").into(),
                    version: member.version,
                }
            };
            body.data.insert(group.clone(), members.iter().map(info).collect());
        }
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    /// The topics that a group has offsets on.
    pub(crate) fn topics_by_consumer(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: QueryTopicsByConsumerRequestHeader<'_> = command.header()?;
        let body = TopicList {
            broker_addr: Some(self.config.addr.to_string().into()),
            topic_list: self.offsets.topics_of(&header.group).cloned().collect(),
        };
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    pub(crate) fn subscription_of(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: QuerySubscriptionByConsumerRequestHeader<'_> = command.header()?;
        let topic = header.topic.as_deref();
        let group = self.clients.consumers.get(&*header.group);
        let body = QuerySubscriptionResponseBody {
            subscription_data: group.and_then(|group| group.subscriptions.get(topic?).cloned()),
            group: (&*header.group).into(),
            topic: topic.map(Into::into),
        };
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    /// The progress of all groups. Java: `AdminBrokerProcessor#fetchAllConsumeStatsInBroker`.
    pub(crate) fn all_consume_stats(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: GetConsumeStatsInBrokerHeader = command.header()?;
        let groups: Vec<Arc<str>> = self.groups.table().subscription_group_table.keys().cloned().collect();
        let mut body = ConsumeStatsList {
            broker_addr: Some(self.config.addr.to_string().into()),
            ..ConsumeStatsList::default()
        };
        for group in groups {
            let topics = self.offsets.topics_of(&group).cloned().collect::<Vec<_>>();
            let stats: Vec<_> =
                topics.iter().filter_map(|topic| self.stats_on(&group, topic, header.is_order)).collect();
            for offsets in stats.iter().flat_map(|stats| stats.offset_table.values()) {
                body.total_diff += offsets.broker_offset - offsets.consumer_offset;
                body.total_inflight_diff += offsets.pull_offset - offsets.consumer_offset;
            }
            body.consume_stats_list.push([(group, stats)].into());
        }
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    fn stats_on(&self, group: &str, topic: &str, only_order: bool) -> Option<ConsumeStats> {
        let config = self.topics.get(topic)?;
        let online = self.clients.consumers.get(group).map(|info| &info.subscriptions);
        let left = online.is_some_and(|known| !known.is_empty() && !known.contains_key(topic));
        if left || (only_order && !config.order) {
            return None;
        }
        let mut stats = ConsumeStats::default();
        for queue_id in 0..config.write_queue_nums {
            let queue = self.store.queue_of(topic, queue_id);
            let consumer_offset = self.offsets.committed(group, topic, queue_id).unwrap_or(0).max(0);
            let last = queue.and_then(|queue| queue.get(consumer_offset - 1));
            let offsets = OffsetWrapper {
                broker_offset: queue.map_or(0, |queue| queue.max()),
                consumer_offset,
                last_timestamp: last.map_or(0, |last| last.store_timestamp.as_millis()),
                // Java doesn't set it here.
                pull_offset: 0,
            };
            stats.offset_table.insert(self.message_queue(topic, queue_id), offsets);
        }
        Some(stats)
    }
}
