//! Brokers come, stay and go. Java: `RouteInfoManager#registerBroker`.

use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_core::message::body_crc;
use rocketmq_client_core::remoting::{
    BrokerHeartbeatRequestHeader, DataVersion, QueryDataVersionRequestHeader, QueryDataVersionResponseHeader,
    RegisterBrokerBody, RegisterBrokerRequestHeader, RegisterBrokerResponseHeader, RemotingCommand,
    ResponseCode, UnRegisterBrokerRequestHeader,
};
use rocketmq_client_core::route::MASTER_ID;
use rocketmq_client_core::time::Instant;

use super::NameServer;
use super::kv::ORDER_NAMESPACE;
use super::route::{LiveBroker, queue_data};
use crate::asker::{Asker, Refusal};
use crate::processor::{Handled, bad_body};
use crate::reply::Answer;

impl NameServer {
    pub(super) fn register_broker(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: RegisterBrokerRequestHeader<'_> = command.header()?;
        let failed = |remark: &str| Refusal::new(ResponseCode::SYSTEM_ERROR, remark);
        let crc = header.body_crc32;
        if crc != 0 && crc != body_crc(&command.body) {
            return Err(failed("crc32 not match"));
        }
        if header.compressed {
            return Err(failed("a compressed registration is not supported; set compressedRegister=false"));
        }
        let body =
            RegisterBrokerBody::decode(&command.body).map_err(|error| bad_body("registration", error))?;
        let version = body.topic_config_serialize_wrapper.data_version;
        let topics = body.topic_config_serialize_wrapper.topic_config_table;

        let (cluster, addr): (Arc<str>, Arc<str>) =
            ((&*header.cluster_name).into(), (&*header.broker_addr).into());
        let broker_name: Arc<str> = (&*header.broker_name).into();
        let known = self.routes.brokers.get(&broker_name);
        if let Some(other) =
            known.and_then(|data| data.broker_addrs.get(&header.broker_id)).filter(|other| **other != addr)
        {
            let theirs = self.routes.live.get(&(cluster.clone(), other.clone()));
            if theirs.is_some_and(|live| live.version.state_version > version.state_version) {
                self.routes.live.remove(&(cluster, addr));
                self.replier.header(now, asker, &RegisterBrokerResponseHeader::default());
                return Ok(());
            }
        }
        let known_id = known.is_some_and(|data| data.broker_addrs.contains_key(&header.broker_id));
        if !known_id && topics.len() == 1 {
            return Err(failed("register broker failed"));
        }
        let data = self.routes.brokers.entry(broker_name.clone()).or_default();
        data.broker_name = broker_name.clone();
        data.cluster = cluster.clone();
        data.enable_acting_master = header.enable_acting_master == Some(true);
        let first = data.broker_addrs.is_empty();
        data.broker_addrs.retain(|id, known| *known != addr || *id == header.broker_id);
        data.broker_addrs.insert(header.broker_id, addr.clone());
        let master = data.broker_addrs.get(&MASTER_ID).cloned();
        let previous = self.routes.live.get(&(cluster.clone(), addr.clone()));
        let changed = first || previous.is_none_or(|live| live.version != version);
        if header.broker_id == MASTER_ID {
            for config in topics.values() {
                let queues = self.routes.topics.entry(config.topic_name.clone()).or_default();
                if changed || !queues.contains_key(&broker_name) {
                    queues.insert(broker_name.clone(), queue_data(&broker_name, config));
                }
            }
        }
        let expire = header.heartbeat_timeout_millis.and_then(|millis| u64::try_from(millis).ok());
        let live = LiveBroker {
            connection: asker.connection,
            last_update: now,
            expire: expire.map_or(self.config.broker_expire, Duration::from_millis),
            version,
            ha_server_addr: (&*header.ha_server_addr).into(),
        };
        self.routes.live.insert((cluster.clone(), addr), live);
        tracing::debug!(broker = %broker_name, topics = topics.len(), "broker registered");
        let master_live = master.and_then(|master| {
            let live = self.routes.live.get(&(cluster, master.clone()))?;
            Some((master, live.ha_server_addr.clone()))
        });
        let master_live = master_live.filter(|_| header.broker_id != MASTER_ID);
        let answered = RegisterBrokerResponseHeader {
            ha_server_addr: master_live.as_ref().map(|(_, ha)| (&**ha).into()),
            master_addr: master_live.as_ref().map(|(master, _)| (&**master).into()),
        };
        let order = self.kv.encode(ORDER_NAMESPACE).unwrap_or_default();
        self.replier.reply(now, asker, Answer::OK, &answered, [order].iter());
        Ok(())
    }

    pub(super) fn unregister_broker(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        if let Ok(header) = command.header::<UnRegisterBrokerRequestHeader<'_>>() {
            self.routes.unregister(&(&*header.cluster_name).into(), &(&*header.broker_addr).into());
        }
        self.replier.ok(now, asker);
        Ok(())
    }

    pub(super) fn broker_heartbeat(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: BrokerHeartbeatRequestHeader<'_> = command.header()?;
        self.refresh(now, &header.cluster_name, &header.broker_addr);
        self.replier.ok(now, asker);
        Ok(())
    }

    pub(super) fn query_data_version(
        &mut self,
        now: Instant,
        asker: &Asker,
        command: &RemotingCommand,
    ) -> Handled {
        let header: QueryDataVersionRequestHeader<'_> = command.header()?;
        let theirs = DataVersion::decode(&command.body).ok();
        let known = self.refresh(now, &header.cluster_name, &header.broker_addr);
        let changed = known.is_none() || known != theirs;
        let body = known.as_ref().map(DataVersion::encode).unwrap_or_default();
        let answered = QueryDataVersionResponseHeader { changed };
        self.replier.reply(now, asker, Answer::OK, &answered, [body].iter());
        Ok(())
    }

    fn refresh(&mut self, now: Instant, cluster: &str, addr: &str) -> Option<DataVersion> {
        let live = self.routes.live.get_mut(&(cluster.into(), addr.into()))?;
        live.last_update = now;
        Some(live.version)
    }
}
