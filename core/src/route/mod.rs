//! Where topics live: the routes that name servers gave, and the queues that follow from them.

mod bounds;
mod lookup;
mod queues;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::message::MessageQueue;
use crate::remoting::TopicRouteData;
use crate::rng::Rng;

pub(crate) use bounds::weigh_body;

#[cfg(test)]
pub(crate) use bounds::QUEUES_MAX;
pub use bounds::RouteTooLarge;
pub use lookup::{Lookup, LookupStep, RouteOutcome};

/// The id of a broker's master.
pub const MASTER_ID: i64 = 0;

/// The route of one topic.
#[derive(Clone, Debug)]
pub struct TopicRoute {
    /// As the name server gave it, entries sorted by broker name.
    pub data: TopicRouteData,
    /// Grows with each change, over all topics.
    pub version: u64,
    /// Whether it was borrowed from the auto-creation topic because this one has none yet.
    pub from_default: bool,
    publish: Arc<[Arc<MessageQueue>]>,
    subscribe: Arc<[Arc<MessageQueue>]>,
    unread: usize,
}

impl TopicRoute {
    /// The queues that can be written: sorted by broker, masters only.
    #[must_use]
    pub fn publish_queues(&self) -> &Arc<[Arc<MessageQueue>]> {
        &self.publish
    }

    /// The queues that can be read, sorted.
    #[must_use]
    pub fn subscribe_queues(&self) -> &Arc<[Arc<MessageQueue>]> {
        &self.subscribe
    }

    /// How many queues can be written but not read: the topic has more write than read queues there, or lacks
    /// the permission to be read. Nobody gets what is sent to them.
    #[must_use]
    pub fn unread_queues(&self) -> usize {
        self.unread
    }
}

/// All routes that are known. A route stays when its topic vanishes, as in Java: a name server that
/// has just started must not stop a running system. It goes when nobody uses the topic any more.
#[derive(Clone, Debug, Default)]
pub struct Routes {
    topics: BTreeMap<Arc<str>, TopicRoute>,
    brokers: BTreeMap<Arc<str>, BTreeMap<i64, Arc<str>>>,
    pub(crate) lookups: BTreeMap<Arc<str>, Lookup>,
    /// Topics whose last answer was refused, and why.
    refused: BTreeMap<Arc<str>, RouteTooLarge>,
    version: u64,
}

impl Routes {
    /// The route of `topic`, if one was ever seen.
    #[must_use]
    pub fn get(&self, topic: &str) -> Option<&TopicRoute> {
        self.topics.get(topic)
    }

    /// The address of a broker's master.
    #[must_use]
    pub fn master(&self, broker_name: &str) -> Option<&Arc<str>> {
        self.brokers.get(broker_name)?.get(&MASTER_ID)
    }

    /// The address to read from, and whether it is a slave's. Java:
    /// `MQClientInstance#findBrokerAddressInSubscribe`: the id asked for, else the next one, else any.
    #[must_use]
    pub fn address(&self, broker_name: &str, broker_id: i64) -> Option<(&Arc<str>, bool)> {
        let addresses = self.brokers.get(broker_name)?;
        let exact = addresses.get_key_value(&broker_id);
        let next = || if broker_id == MASTER_ID { None } else { addresses.get_key_value(&(broker_id + 1)) };
        let (id, address) = exact.or_else(next).or_else(|| addresses.first_key_value())?;
        Some((address, *id != MASTER_ID))
    }

    /// A broker that hosts `topic`, drawn at random: its master, else any address.
    pub fn any_broker_of(&self, topic: &str, rng: &mut Rng) -> Option<Arc<str>> {
        let brokers: Vec<&Arc<str>> = self
            .get(topic)?
            .data
            .broker_datas
            .iter()
            .filter_map(|broker| self.address(&broker.broker_name, MASTER_ID).map(|(address, _)| address))
            .collect();
        let drawn = usize::try_from(rng.below(brokers.len() as u64)).expect("below the length");
        brokers.get(drawn).map(|address| (*address).clone())
    }

    /// Every broker: name, id and address.
    pub fn brokers(&self) -> impl Iterator<Item = (&Arc<str>, i64, &Arc<str>)> {
        self.brokers.iter().flat_map(|(name, addresses)| addresses.iter().map(move |(id, a)| (name, *id, a)))
    }

    /// Whether `address` is a broker's.
    #[must_use]
    pub fn is_broker(&self, address: &str) -> bool {
        self.brokers.values().any(|addresses| addresses.values().any(|known| &**known == address))
    }

    /// Whether a broker of this name is known.
    pub(crate) fn names(&self, broker_name: &str) -> bool {
        self.brokers.contains_key(broker_name)
    }

    /// The name of the broker at `address`.
    pub(crate) fn name_at(&self, address: &str) -> Option<&Arc<str>> {
        self.brokers().find(|(_, _, known)| &***known == address).map(|(name, ..)| name)
    }

    /// The topics whose routes are known.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.topics.keys()
    }

    /// The topics whose routes name a broker at `address`.
    pub(crate) fn topics_at(&self, address: &str) -> Vec<Arc<str>> {
        let names = |route: &TopicRoute| {
            let mut addresses =
                route.data.broker_datas.iter().flat_map(|broker| broker.broker_addrs.values());
            addresses.any(|known| &**known == address)
        };
        self.topics.iter().filter(|(_, route)| names(route)).map(|(topic, _)| topic.clone()).collect()
    }

    /// Takes a route in; true when it differs from what was known.
    ///
    /// # Errors
    /// [`RouteTooLarge`] when it goes beyond the bounds of routes; what was known stays.
    pub fn apply(
        &mut self,
        topic: &Arc<str>,
        mut data: TopicRouteData,
        from_default: bool,
    ) -> Result<bool, RouteTooLarge> {
        bounds::weigh(&data)?;
        self.refused.remove(topic);
        // Nothing here reads them: pulls of static topics are mapped by the broker.
        data.filter_server_table.clear();
        data.topic_queue_mapping_by_broker = None;
        data.queue_datas.sort_by(|a, b| a.broker_name.cmp(&b.broker_name));
        data.broker_datas.sort_by(|a, b| a.broker_name.cmp(&b.broker_name));
        for broker in &data.broker_datas {
            self.brokers.insert(broker.broker_name.clone(), broker.broker_addrs.clone());
        }
        let known = self.topics.get(topic);
        if known.is_some_and(|known| known.data == data && known.from_default == from_default) {
            return Ok(false);
        }
        self.version += 1;
        let publish: Arc<[Arc<MessageQueue>]> = queues::publish(topic, &data).into();
        let subscribe: Arc<[Arc<MessageQueue>]> = queues::subscribe(topic, &data).into();
        let unread = queues::missing(&publish, &subscribe);
        tracing::debug!(%topic, from_default, brokers = data.broker_datas.len(), "route changed");
        let route = TopicRoute { data, version: self.version, from_default, publish, subscribe, unread };
        self.topics.insert(topic.clone(), route);
        self.forget_offline_brokers();
        Ok(true)
    }

    /// An answer about `topic` was refused; whether that differs from the one before.
    pub(crate) fn note_refused(&mut self, topic: &Arc<str>, why: RouteTooLarge) -> bool {
        self.refused.insert(topic.clone(), why) != Some(why)
    }

    /// Forgets the route of a topic, if there is one. Its brokers stay until
    /// [`forget_offline_brokers`](Self::forget_offline_brokers).
    pub(crate) fn forget(&mut self, topic: &str) -> bool {
        self.refused.remove(topic);
        self.topics.remove(topic).is_some()
    }

    /// Java: `MQClientInstance#cleanOfflineBroker`: addresses that no route names are dropped.
    pub(crate) fn forget_offline_brokers(&mut self) {
        let topics = &self.topics;
        let named = |name: &str, id: i64, address: &str| {
            topics.values().flat_map(|route| &route.data.broker_datas).any(|broker| {
                &*broker.broker_name == name && broker.broker_addrs.get(&id).is_some_and(|a| &**a == address)
            })
        };
        self.brokers.retain(|name, addresses| {
            addresses.retain(|id, address| named(name, *id, address));
            !addresses.is_empty()
        });
    }
}
