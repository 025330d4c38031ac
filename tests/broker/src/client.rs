//! Consumers and producers that are online. Java: `ConsumerManager`, `ProducerManager`.
//!
//! A member is a connection, not a client id: a client with two connections counts twice.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_core::remoting::{
    ConsumeFromWhere, ConsumeType, ConsumerData, LanguageCode, MessageModel, SubscriptionData,
};
use rocketmq_client_core::time::Instant;

use crate::output::ConnectionId;

/// A client on a connection.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub(crate) client_id: Arc<str>,
    pub(crate) language: LanguageCode,
    pub(crate) version: i32,
    pub(crate) last_update: Instant,
}

/// A consumer group that is online. Java: `ConsumerGroupInfo`.
#[derive(Clone, Debug)]
pub(crate) struct ConsumerGroup {
    pub(crate) consume_type: ConsumeType,
    pub(crate) message_model: MessageModel,
    pub(crate) consume_from_where: ConsumeFromWhere,
    pub(crate) members: BTreeMap<ConnectionId, Member>,
    pub(crate) subscriptions: BTreeMap<Arc<str>, SubscriptionData>,
}

impl ConsumerGroup {
    fn new(data: &ConsumerData) -> Self {
        Self {
            consume_type: data.consume_type,
            message_model: data.message_model,
            consume_from_where: data.consume_from_where,
            members: BTreeMap::new(),
            subscriptions: BTreeMap::new(),
        }
    }

    /// True when a topic came or went; a newer expression of a known topic is taken but is no change.
    /// Java: `ConsumerGroupInfo#updateSubscription`.
    fn subscribe(&mut self, wanted: &[SubscriptionData]) -> bool {
        let mut changed = false;
        for data in wanted {
            match self.subscriptions.get_mut(&data.topic) {
                None => {
                    changed = true;
                    self.subscriptions.insert(data.topic.clone(), data.clone());
                }
                Some(known) if data.sub_version > known.sub_version => *known = data.clone(),
                Some(_) => {}
            }
        }
        let before = self.subscriptions.len();
        self.subscriptions.retain(|topic, _| wanted.iter().any(|data| data.topic == *topic));
        changed || self.subscriptions.len() != before
    }
}

/// Everybody who is online.
#[derive(Clone, Debug, Default)]
pub(crate) struct ClientTable {
    pub(crate) consumers: BTreeMap<Arc<str>, ConsumerGroup>,
    pub(crate) producers: BTreeMap<Arc<str>, BTreeMap<ConnectionId, Member>>,
    fingerprints: BTreeMap<Arc<str>, i32>,
}

impl ClientTable {
    /// Takes a group of a heartbeat. True when the other members should hear of it.
    pub(crate) fn register_consumer(
        &mut self,
        connection: ConnectionId,
        member: Member,
        data: &ConsumerData,
        without_subscriptions: bool,
    ) -> bool {
        let group = self.consumers.entry(data.group_name.clone()).or_insert_with(|| ConsumerGroup::new(data));
        group.consume_type = data.consume_type;
        group.message_model = data.message_model;
        group.consume_from_where = data.consume_from_where;
        let joined = group.members.insert(connection, member).is_none();
        let changed = !without_subscriptions
            && group.subscribe(data.subscription_data_set.as_deref().unwrap_or_default());
        joined || changed
    }

    /// Takes a producer group of a heartbeat.
    pub(crate) fn register_producer(&mut self, connection: ConnectionId, member: Member, group: &Arc<str>) {
        self.producers.entry(group.clone()).or_default().insert(connection, member);
    }

    /// The newest connection of a producer, by its client id. Java: `ProducerManager#findChannel`.
    pub(crate) fn producer_connection(&self, client_id: &str) -> Option<ConnectionId> {
        let members = self.producers.values().flatten();
        members.filter(|(_, member)| &*member.client_id == client_id).map(|(connection, _)| *connection).max()
    }

    /// Remembers a group's heartbeat fingerprint; true when it differs from a known one.
    /// Java: `ClientManageProcessor#heartBeat`, the table `consumerGroupHeartbeatTable`.
    pub(crate) fn fingerprint_changed(&mut self, group: &Arc<str>, fingerprint: i32) -> bool {
        self.fingerprints.insert(group.clone(), fingerprint).is_some_and(|known| known != fingerprint)
    }

    /// Takes a connection out of a consumer group; true when it was a member.
    pub(crate) fn unregister_consumer(&mut self, connection: ConnectionId, group: &str) -> bool {
        let Some(info) = self.consumers.get_mut(group) else { return false };
        let left = info.members.remove(&connection).is_some();
        if info.members.is_empty() {
            self.consumers.remove(group);
        }
        left
    }

    /// Takes a connection out of a producer group.
    pub(crate) fn unregister_producer(&mut self, connection: ConnectionId, group: &str) {
        if let Some(members) = self.producers.get_mut(group) {
            members.remove(&connection);
            if members.is_empty() {
                self.producers.remove(group);
            }
        }
    }

    /// Takes a closed connection out of all groups; the consumer groups whose members should hear of it.
    pub(crate) fn remove(&mut self, connection: ConnectionId) -> Vec<Arc<str>> {
        let groups: Vec<_> = self.consumers.keys().cloned().collect();
        let left = groups.into_iter().filter(|group| self.unregister_consumer(connection, group)).collect();
        let groups: Vec<_> = self.producers.keys().cloned().collect();
        for group in groups {
            self.unregister_producer(connection, &group);
        }
        left
    }

    /// Connections that sent no heartbeat within `expire`. They are to be closed; nobody is told.
    pub(crate) fn expired(&self, now: Instant, expire: Duration) -> Vec<ConnectionId> {
        let consumers = self.consumers.values().flat_map(|group| &group.members);
        let members = consumers.chain(self.producers.values().flatten());
        let expired = members.filter(|(_, member)| now - member.last_update > expire);
        let mut expired: Vec<_> = expired.map(|(connection, _)| *connection).collect();
        expired.sort_unstable();
        expired.dedup();
        expired
    }
}
