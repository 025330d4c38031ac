//! Figures for tools: offsets of topics, progress of groups, who is connected.
//! Java: `AdminBrokerProcessor`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rocketmq_client_core::remoting::{
    GetConsumeStatsRequestHeader, GetConsumerConnectionListRequestHeader,
    GetProducerConnectionListRequestHeader, GetTopicStatsInfoRequestHeader,
    QueryTopicConsumeByWhoRequestHeader, RemotingCommand, ResponseCode,
};
use rocketmq_client_core::time::Instant;

use super::Handled;
use crate::asker::{Asker, FAQ, Refusal};
use crate::broker::Broker;
use crate::client::Member;
use crate::json::Object;
use crate::output::ConnectionId;

impl Broker {
    pub(crate) fn topic_stats(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: GetTopicStatsInfoRequestHeader<'_> = command.header()?;
        let topic = &*header.topic;
        let Some(config) = self.topics.get(topic) else {
            let remark = format!("topic[{topic}] not exist, apply first please!{FAQ}");
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        let mut table = Object::new();
        for queue_id in 0..config.write_queue_nums.max(config.read_queue_nums) {
            let queue = self.store.queue_of(topic, queue_id);
            let (min, max) = queue.map_or((0, 0), |queue| (queue.min(), queue.max()));
            let last = queue.and_then(|queue| queue.get(max - 1));
            let mut entry = Object::new();
            entry.key("lastUpdateTimestamp").number(last.map_or(0, |last| last.store_timestamp.as_millis()));
            entry.key("maxOffset").number(max);
            entry.key("minOffset").number(min);
            table.key_queue(&self.config.broker_name, queue_id, topic).raw(&entry.end());
        }
        let mut body = Object::new();
        body.key("offsetTable").raw(&table.end());
        body.key("topicPutTps").raw("0.0");
        self.replier.body(now, asker, body.end());
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
        let mut table = Object::new();
        for topic in named {
            let Some(config) = self.topics.get(&topic) else { continue };
            for queue_id in 0..config.read_queue_nums {
                let queue = self.store.queue_of(&topic, queue_id);
                let max = queue.map_or(0, |queue| queue.max());
                let consumed = self.offsets.committed(group, &topic, queue_id).unwrap_or(0).max(0);
                let last = queue.and_then(|queue| queue.get(consumed - 1));
                let mut entry = Object::new();
                entry.key("brokerOffset").number(max);
                entry.key("consumerOffset").number(consumed);
                entry.key("lastTimestamp").number(last.map_or(0, |last| last.store_timestamp.as_millis()));
                entry.key("pullOffset").number(consumed);
                table.key_queue(&self.config.broker_name, queue_id, &topic).raw(&entry.end());
            }
        }
        let mut body = Object::new();
        body.key("consumeTps").raw("0.0");
        body.key("offsetTable").raw(&table.end());
        self.replier.body(now, asker, body.end());
        Ok(())
    }

    /// The topics that a group has offsets on or subscribes to.
    fn topics_of(&self, group: &str) -> Vec<Arc<str>> {
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
        let mut subscriptions = Object::new();
        for (topic, data) in &group.subscriptions {
            subscriptions.key(topic).raw(&data.json());
        }
        let mut body = Object::new();
        body.key("connectionSet").array(self.connection_set(&group.members));
        body.key("consumeFromWhere").string(&group.consume_from_where);
        body.key("consumeType").string(&group.consume_type);
        body.key("messageModel").string(group.message_model.name());
        body.key("subscriptionTable").raw(&subscriptions.end());
        self.replier.body(now, asker, body.end());
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
        let mut body = Object::new();
        body.key("connectionSet").array(self.connection_set(members));
        self.replier.body(now, asker, body.end());
        Ok(())
    }

    fn connection_set(&self, members: &BTreeMap<ConnectionId, Member>) -> Vec<String> {
        let connection = |(connection, member): (&ConnectionId, &Member)| {
            let peer = self.connections.get(connection).map_or(self.config.addr, |known| known.peer);
            let mut out = Object::new();
            out.key("clientAddr").string(&peer.to_string());
            out.key("clientId").string(&member.client_id);
            out.key("language").string(member.language.name());
            out.key("version").number(member.version.into());
            out.end()
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
        let mut body = Object::new();
        body.key("groupList").strings(groups.into_iter().map(|group| &**group));
        self.replier.body(now, asker, body.end());
        Ok(())
    }

    /// The figures of a broker that tools read; what this broker doesn't measure is zero.
    pub(crate) fn runtime_info(&mut self, now: Instant, asker: &Asker) -> Handled {
        let zero_tps = "0.0 0.0 0.0".to_owned();
        let stored = self.store.log.next().to_string();
        let mut table: BTreeMap<&str, String> = BTreeMap::new();
        table.insert("bootTimestamp", self.boot.as_millis().to_string());
        table.insert("brokerActive", "true".to_owned());
        table.insert("brokerVersion", rocketmq_client_core::remoting::VERSION.to_string());
        table.insert("brokerVersionDesc", "V5_4_0".to_owned());
        table.insert("commitLogMinOffset", self.store.log.begin().to_string());
        table.insert("commitLogMaxOffset", self.store.log.end().to_string());
        table.insert("msgPutTotalTodayNow", stored);
        for name in ["putTps", "getTransferredTps", "getFoundTps", "getMissTps", "getTotalTps"] {
            table.insert(name, zero_tps.clone());
        }
        for name in [
            "commitLogDiskRatio",
            "consumeQueueDiskRatio",
            "dispatchBehindBytes",
            "earliestMessageTimeStamp",
            "msgGetTotalTodayMorning",
            "msgGetTotalTodayNow",
            "msgGetTotalYesterdayMorning",
            "msgPutTotalTodayMorning",
            "msgPutTotalYesterdayMorning",
            "pageCacheLockTimeMills",
            "pullThreadPoolQueueHeadWaitTimeMills",
            "pullThreadPoolQueueSize",
            "sendThreadPoolQueueHeadWaitTimeMills",
            "sendThreadPoolQueueSize",
            "startAcceptSendRequestTimeStamp",
            "timerReadBehind",
            "timerOffsetBehind",
            "timerCongestNum",
            "timerEnqueueTps",
            "timerDequeueTps",
        ] {
            table.insert(name, "0".to_owned());
        }
        let mut entries = Object::new();
        for (name, value) in &table {
            entries.key(name).string(value);
        }
        let mut body = Object::new();
        body.key("table").raw(&entries.end());
        self.replier.body(now, asker, body.end());
        Ok(())
    }
}
