//! Who serves which topic. Java: `RouteInfoManager`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_core::message::perm;
use rocketmq_client_core::remoting::{
    AddWritePermOfBrokerRequestHeader, AddWritePermOfBrokerResponseHeader,
    DeleteTopicFromNamesrvRequestHeader, GetBrokerMemberGroupRequestHeader, GetRouteInfoRequestHeader,
    GetTopicsByClusterRequestHeader, RegisterTopicRequestHeader, RemotingCommand, ResponseCode,
    WipeWritePermOfBrokerRequestHeader, WipeWritePermOfBrokerResponseHeader,
};
use rocketmq_client_core::time::Instant;

use super::NameServer;
use super::kv::ORDER_NAMESPACE;
use crate::asker::{Asker, FAQ, Refusal};
use crate::json::{Object, Value};
use crate::model::{DataVersion, TopicConfig};
use crate::output::ConnectionId;
use crate::processor::Handled;

/// From this version (V4_9_4) on clients get map keys in quotes.
const STANDARD_JSON_VERSION: i32 = 401;

/// A topic's queues on a broker.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct QueueData {
    read_queue_nums: i32,
    write_queue_nums: i32,
    perm: i32,
    topic_sys_flag: i32,
}

impl From<&TopicConfig> for QueueData {
    fn from(config: &TopicConfig) -> Self {
        Self {
            read_queue_nums: config.read_queue_nums,
            write_queue_nums: config.write_queue_nums,
            perm: config.perm,
            topic_sys_flag: config.topic_sys_flag,
        }
    }
}

impl QueueData {
    fn json(&self, broker_name: &str) -> String {
        let mut out = Object::new();
        out.key("brokerName").string(broker_name);
        out.key("perm").number(self.perm.into());
        out.key("readQueueNums").number(self.read_queue_nums.into());
        out.key("topicSysFlag").number(self.topic_sys_flag.into());
        out.key("writeQueueNums").number(self.write_queue_nums.into());
        out.end()
    }
}

/// The addresses of the brokers that share a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct BrokerData {
    pub(super) cluster: Arc<str>,
    pub(super) addrs: BTreeMap<i64, Arc<str>>,
    pub(super) enable_acting_master: bool,
}

impl BrokerData {
    fn addrs_json(&self, quoted: bool) -> String {
        let mut out = Object::new();
        for (id, addr) in &self.addrs {
            match quoted {
                true => out.key(&id.to_string()).string(addr),
                false => out.key_number(*id).string(addr),
            }
        }
        out.end()
    }

    fn json(&self, broker_name: &str, quoted: bool) -> String {
        let mut out = Object::new();
        out.key("brokerAddrs").raw(&self.addrs_json(quoted));
        out.key("brokerName").string(broker_name);
        out.key("cluster").string(&self.cluster);
        out.key("enableActingMaster").bool(self.enable_acting_master);
        out.end()
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
            data.addrs.retain(|_, known| known != addr);
        }
        self.brokers.retain(|_, data| !data.addrs.is_empty());
        for queues in self.topics.values_mut() {
            queues.retain(|broker_name, _| self.brokers.contains_key(broker_name));
        }
        self.topics.retain(|_, queues| !queues.is_empty());
    }

    fn route_json(&self, topic: &str, order: Option<&str>, quoted: bool) -> Option<String> {
        let queues = self.topics.get(topic)?;
        let brokers = queues.keys().filter_map(|name| Some((name, self.brokers.get(name)?)));
        let brokers: Vec<_> = brokers.map(|(name, data)| data.json(name, quoted)).collect();
        if brokers.is_empty() {
            return None;
        }
        let mut body = Object::new();
        body.key("brokerDatas").array(brokers);
        body.key("filterServerTable").raw("{}");
        if let Some(order) = order {
            body.key("orderTopicConf").string(order);
        }
        body.key("queueDatas").array(queues.iter().map(|(name, queue)| queue.json(name)));
        Some(body.end())
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

fn topic_list<'t>(topics: impl IntoIterator<Item = &'t str>) -> String {
    let mut body = Object::new();
    body.key("topicList").strings(topics);
    body.end()
}

impl NameServer {
    pub(super) fn route(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header = command.header::<GetRouteInfoRequestHeader<'_>>().ok();
        let topic = header.as_ref().map_or("null", |header| &*header.topic);
        let standard = header.as_ref().and_then(|header| header.accept_standard_json_only) == Some(true);
        let quoted = standard || asker.version >= STANDARD_JSON_VERSION;
        let order = self.config.order_message.then(|| self.kv.get(ORDER_NAMESPACE, topic)).flatten();
        let Some(body) = self.routes.route_json(topic, order, quoted) else {
            let remark = format!("No topic route info in name server for the topic: {topic}{FAQ}");
            return Err(Refusal::new(ResponseCode::TOPIC_NOT_EXIST, remark));
        };
        self.replier.body(now, asker, body);
        Ok(())
    }

    pub(super) fn cluster_info(&mut self, now: Instant, asker: &Asker) -> Handled {
        let mut addrs = Object::new();
        let mut clusters: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
        for (name, data) in &self.routes.brokers {
            // Java writes bare keys here for all versions.
            addrs.key(name).raw(&data.json(name, false));
            clusters.entry(&data.cluster).or_default().push(name);
        }
        let mut table = Object::new();
        for (cluster, names) in clusters {
            table.key(cluster).strings(names);
        }
        let mut body = Object::new();
        body.key("brokerAddrTable").raw(&addrs.end());
        body.key("clusterAddrTable").raw(&table.end());
        self.replier.body(now, asker, body.end());
        Ok(())
    }

    pub(super) fn member_group(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: GetBrokerMemberGroupRequestHeader<'_> = command.header()?;
        let known = self.routes.brokers.get(&*header.broker_name).cloned().unwrap_or_default();
        let mut group = Object::new();
        group.key("brokerAddrs").raw(&known.addrs_json(false));
        group.key("brokerName").string(&header.broker_name);
        group.key("cluster").string(&header.cluster_name);
        let mut body = Object::new();
        body.key("brokerMemberGroup").raw(&group.end());
        self.replier.body(now, asker, body.end());
        Ok(())
    }

    pub(super) fn all_topics(&mut self, now: Instant, asker: &Asker) -> Handled {
        let body = topic_list(self.routes.topics.keys().map(|topic| &**topic));
        self.replier.body(now, asker, body);
        Ok(())
    }

    pub(super) fn topics_by_cluster(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: GetTopicsByClusterRequestHeader<'_> = command.header()?;
        let in_cluster = |name: &Arc<str>| {
            self.routes.brokers.get(name).is_some_and(|data| *data.cluster == *header.cluster)
        };
        let topics = self.routes.topics.iter().filter(|(_, queues)| queues.keys().any(in_cluster));
        let body = topic_list(topics.map(|(topic, _)| &**topic));
        self.replier.body(now, asker, body);
        Ok(())
    }

    /// Java calls the names of clusters and brokers system topics.
    pub(super) fn system_topics(&mut self, now: Instant, asker: &Asker) -> Handled {
        let mut names: Vec<&str> = self.routes.brokers.values().map(|data| &*data.cluster).collect();
        names.dedup();
        names.extend(self.routes.brokers.keys().map(|name| &**name));
        let addr = self.routes.brokers.values().find_map(|data| data.addrs.values().next());
        let mut body = Object::new();
        if let Some(addr) = addr {
            body.key("brokerAddr").string(addr);
        }
        body.key("topicList").strings(names);
        self.replier.body(now, asker, body.end());
        Ok(())
    }

    pub(super) fn delete_topic(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        let header: DeleteTopicFromNamesrvRequestHeader<'_> = command.header()?;
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
        if let Some(body) = Value::parse(&command.body) {
            let name =
                |data: &Value| -> Arc<str> { data.get("brokerName").as_str().unwrap_or_default().into() };
            let datas = body.get("queueDatas").items();
            if !datas.is_empty() && datas.iter().all(|data| self.routes.brokers.contains_key(&name(data))) {
                let queues = datas.iter().map(|data| (name(data), QueueData::from(&TopicConfig::read(data))));
                let queues: Vec<_> = queues.collect();
                self.routes.topics.entry((&*header.topic).into()).or_default().extend(queues);
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
        let header: WipeWritePermOfBrokerRequestHeader<'_> = command.header()?;
        let count = self.routes.change_perms(&header.broker_name, |perm| *perm &= !perm::WRITE);
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
        let header: AddWritePermOfBrokerRequestHeader<'_> = command.header()?;
        let count = self.routes.change_perms(&header.broker_name, |perm| *perm = perm::READ | perm::WRITE);
        self.replier.header(now, asker, &AddWritePermOfBrokerResponseHeader { add_topic_count: count });
        Ok(())
    }
}
