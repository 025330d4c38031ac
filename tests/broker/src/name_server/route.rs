//! Who serves which topic. Java: `RouteInfoManager`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rocketmq_client_core::message::perm;
use rocketmq_client_core::remoting::{
    AddWritePermOfBrokerResponseHeader, BrokerData, BrokerMemberGroup, ClusterInfo, DataVersion,
    DeleteTopicFromNamesrvRequestHeader, GetBrokerMemberGroupRequestHeader, GetBrokerMemberGroupResponseBody,
    GetRouteInfoRequestHeader, QueueData, RegisterTopicRequestHeader, RemotingCommand, ResponseCode,
    TopicConfig, TopicList, TopicRouteData, WipeWritePermOfBrokerResponseHeader,
};
use rocketmq_client_core::time::Instant;

use super::NameServer;
use super::kv::ORDER_NAMESPACE;
use crate::asker::{Asker, FAQ, Refusal, nullable};
use crate::output::ConnectionId;
use crate::processor::Handled;

/// From this version (V4_9_4) on clients get map keys in quotes.
const STANDARD_JSON_VERSION: i32 = 401;

/// What a topic's configuration says of its queues. Java: `RouteInfoManager#createAndUpdateQueueData`.
pub(super) fn queue_data(broker_name: &Arc<str>, config: &TopicConfig) -> QueueData {
    QueueData {
        broker_name: broker_name.clone(),
        perm: config.perm,
        read_queue_nums: config.read_queue_nums,
        topic_sys_flag: config.topic_sys_flag,
        write_queue_nums: config.write_queue_nums,
    }
}

/// A broker that registered and is not yet given up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LiveBroker {
    pub(super) connection: ConnectionId,
    pub(super) last_update: Instant,
    pub(super) expire: Duration,
    pub(super) version: DataVersion,
    pub(super) ha_server_addr: Arc<str>,
}

/// All routes.
#[derive(Clone, Debug, Default)]
pub(super) struct RouteTable {
    pub(super) topics: BTreeMap<Arc<str>, BTreeMap<Arc<str>, QueueData>>,
    pub(super) brokers: BTreeMap<Arc<str>, BrokerData>,
    /// By cluster and address.
    pub(super) live: BTreeMap<(Arc<str>, Arc<str>), LiveBroker>,
}

impl RouteTable {
    pub(super) fn is_empty(&self) -> bool {
        self.live.is_empty()
    }

    /// Drops the brokers that were silent too long; their connections are to be closed.
    pub(super) fn expire(&mut self, now: Instant) -> Vec<ConnectionId> {
        let silent = self.live.iter().filter(|(_, live)| live.last_update + live.expire < now);
        let silent: Vec<_> = silent.map(|(_, live)| live.connection).collect();
        for connection in &silent {
            self.connection_lost(*connection);
        }
        silent
    }

    /// Drops the brokers that registered over a connection.
    pub(super) fn connection_lost(&mut self, connection: ConnectionId) {
        let lost = self.live.iter().filter(|(_, live)| live.connection == connection);
        let lost: Vec<_> = lost.map(|((cluster, addr), _)| (cluster.clone(), addr.clone())).collect();
        for (cluster, addr) in lost {
            self.unregister(&cluster, &addr);
        }
    }

    /// Removes an address, and what is left without one.
    pub(super) fn unregister(&mut self, cluster: &Arc<str>, addr: &Arc<str>) {
        tracing::debug!(%addr, "broker left");
        self.live.remove(&(cluster.clone(), addr.clone()));
        for data in self.brokers.values_mut().filter(|data| data.cluster == *cluster) {
            data.broker_addrs.retain(|_, known| known != addr);
        }
        self.brokers.retain(|_, data| !data.broker_addrs.is_empty());
        for queues in self.topics.values_mut() {
            queues.retain(|broker_name, _| self.brokers.contains_key(broker_name));
        }
        self.topics.retain(|_, queues| !queues.is_empty());
    }

    fn route(&self, topic: &str) -> Option<TopicRouteData> {
        let queues = self.topics.get(topic)?;
        let brokers = queues.keys().filter_map(|name| self.brokers.get(name));
        let route = TopicRouteData {
            broker_datas: brokers.cloned().collect(),
            queue_datas: queues.values().cloned().collect(),
            ..TopicRouteData::default()
        };
        (!route.broker_datas.is_empty()).then_some(route)
    }

    fn change_perms(&mut self, broker_name: &str, change: impl Fn(&mut i32)) -> i32 {
        let mut count = 0;
        for queue in self.topics.values_mut().filter_map(|queues| queues.get_mut(broker_name)) {
            change(&mut queue.perm);
            count += 1;
        }
        count
    }
}

fn topic_list<'t>(topics: impl IntoIterator<Item = &'t Arc<str>>) -> TopicList {
    TopicList { broker_addr: None, topic_list: topics.into_iter().cloned().collect() }
}

impl NameServer {
    pub(super) fn route(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header = command.header::<GetRouteInfoRequestHeader<'_>>().ok();
        let topic = header.as_ref().map_or("null", |header| &*header.topic);
        let standard = header.as_ref().and_then(|header| header.accept_standard_json_only) == Some(true);
        let quoted = standard || asker.version >= STANDARD_JSON_VERSION;
        let order = self.config.order_message.then(|| self.kv.get(ORDER_NAMESPACE, topic)).flatten();
        let Some(mut route) = self.routes.route(topic) else {
            let remark = format!("No topic route info in name server for the topic: {topic}{FAQ}");
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        route.order_topic_conf = order.map(Into::into);
        let body = if quoted { route.encode_standard() } else { route.encode() };
        self.replier.body(now, asker, body);
        Ok(())
    }

    pub(super) fn cluster_info(&mut self, now: Instant, asker: &Asker) -> Handled {
        let mut body =
            ClusterInfo { broker_addr_table: self.routes.brokers.clone(), ..ClusterInfo::default() };
        for (name, data) in &self.routes.brokers {
            body.cluster_addr_table.entry(data.cluster.clone()).or_default().push(name.clone());
        }
        // Java writes bare keys here for all versions.
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    pub(super) fn member_group(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let Ok(header) = command.header::<GetBrokerMemberGroupRequestHeader<'_>>() else {
            // Java leaves out what is null.
            let body = Bytes::from_static(b"{\"brokerMemberGroup\":{\"brokerAddrs\":{}}}");
            self.replier.done(now, asker, body);
            return Ok(());
        };
        let known = self.routes.brokers.get(&*header.broker_name);
        let group = BrokerMemberGroup {
            broker_addrs: known.map(|data| data.broker_addrs.clone()).unwrap_or_default(),
            broker_name: header.broker_name.into(),
            cluster: header.cluster_name.into(),
        };
        let body = GetBrokerMemberGroupResponseBody { broker_member_group: Some(group) };
        self.replier.done(now, asker, body.encode());
        Ok(())
    }

    pub(super) fn all_topics(&mut self, now: Instant, asker: &Asker) -> Handled {
        let body = topic_list(self.routes.topics.keys());
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    pub(super) fn topics_by_cluster(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let cluster = nullable(command, "cluster");
        let in_cluster = |name: &Arc<str>| {
            self.routes.brokers.get(name).is_some_and(|data| Some(&*data.cluster) == cluster.as_deref())
        };
        let topics = self.routes.topics.iter().filter(|(_, queues)| queues.keys().any(in_cluster));
        let body = topic_list(topics.map(|(topic, _)| topic));
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    /// The topics whose first queue data has a flag like this. Java: `TopicSysFlag`.
    pub(super) fn unit_topics(
        &mut self,
        now: Instant,
        asker: &Asker,
        wanted: impl Fn(i32) -> bool,
    ) -> Handled {
        let topics =
            self.routes.topics.iter().filter(|(_, queues)| {
                queues.values().next().is_some_and(|queue| wanted(queue.topic_sys_flag))
            });
        let body = topic_list(topics.map(|(topic, _)| topic));
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    /// Java calls the names of clusters and brokers system topics.
    pub(super) fn system_topics(&mut self, now: Instant, asker: &Asker) -> Handled {
        let clusters: BTreeSet<_> = self.routes.brokers.values().map(|data| &data.cluster).collect();
        let mut body = topic_list(clusters.into_iter().chain(self.routes.brokers.keys()));
        let mut brokers = self.routes.brokers.values();
        body.broker_addr = brokers.find_map(|data| data.broker_addrs.values().next()).cloned();
        self.replier.body(now, asker, body.encode());
        Ok(())
    }

    pub(super) fn delete_topic(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let Ok(header) = command.header::<DeleteTopicFromNamesrvRequestHeader<'_>>() else {
            self.replier.ok(now, asker);
            return Ok(());
        };
        let cluster = header.cluster_name.as_deref().filter(|name| !name.is_empty());
        let brokers = &self.routes.brokers;
        if let Some(queues) = self.routes.topics.get_mut(&*header.topic) {
            queues.retain(|name, _| {
                cluster.is_some_and(|cluster| brokers.get(name).is_none_or(|data| *data.cluster != *cluster))
            });
        }
        self.routes.topics.retain(|_, queues| !queues.is_empty());
        self.replier.ok(now, asker);
        Ok(())
    }

    /// Silently ignored when a broker isn't known, as in Java.
    pub(super) fn register_topic(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: RegisterTopicRequestHeader<'_> = command.header()?;
        if let Ok(TopicRouteData { queue_datas, .. }) = TopicRouteData::decode(&command.body) {
            let is_known = |data: &QueueData| self.routes.brokers.contains_key(&data.broker_name);
            if !queue_datas.is_empty() && queue_datas.iter().all(is_known) {
                let queues = queue_datas.into_iter().map(|data| (data.broker_name.clone(), data));
                self.routes.topics.entry(header.topic.into()).or_default().extend(queues);
            }
        }
        self.replier.ok(now, asker);
        Ok(())
    }

    pub(super) fn wipe_write_perm(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let name = nullable(command, "brokerName").unwrap_or_default();
        let count = self.routes.change_perms(&name, |perm| *perm &= !perm::WRITE);
        self.replier.header(now, asker, &WipeWritePermOfBrokerResponseHeader { wipe_topic_count: count });
        Ok(())
    }

    /// Java sets exactly read and write: an inherit bit is lost.
    pub(super) fn add_write_perm(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let name = nullable(command, "brokerName").unwrap_or_default();
        let count = self.routes.change_perms(&name, |perm| *perm = perm::READ | perm::WRITE);
        self.replier.header(now, asker, &AddWritePermOfBrokerResponseHeader { add_topic_count: count });
        Ok(())
    }
}
