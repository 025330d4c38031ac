//! From a route to queues. Java: `MQClientInstance#topicRouteData2TopicPublishInfo` and
//! `#topicRouteData2TopicSubscribeInfo`.

use alloc::collections::BTreeSet;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::message::{MessageQueue, perm};
use crate::remoting::TopicRouteData;

use super::MASTER_ID;

/// The queues that can be written. An order configuration names them itself; else every writable
/// entry counts whose broker has a master.
pub(super) fn publish(topic: &Arc<str>, data: &TopicRouteData) -> Vec<Arc<MessageQueue>> {
    if let Some(order) = data.order_topic_conf.as_deref().filter(|conf| !conf.is_empty()) {
        return ordered(topic, order);
    }
    let masters: BTreeSet<&str> = data
        .broker_datas
        .iter()
        .filter(|broker| broker.broker_addrs.contains_key(&MASTER_ID))
        .map(|broker| &*broker.broker_name)
        .collect();
    let writable = data
        .queue_datas
        .iter()
        .filter(|entry| perm::is_writeable(entry.perm) && masters.contains(&*entry.broker_name));
    writable.flat_map(|entry| queues(topic, &entry.broker_name, entry.write_queue_nums)).collect()
}

/// The queues that can be read; a slave is enough.
pub(super) fn subscribe(topic: &Arc<str>, data: &TopicRouteData) -> Vec<Arc<MessageQueue>> {
    let readable = data.queue_datas.iter().filter(|entry| perm::is_readable(entry.perm));
    readable.flat_map(|entry| queues(topic, &entry.broker_name, entry.read_queue_nums)).collect()
}

/// How many of `publish` are not in `subscribe`. Neither needs to be sorted: an order configuration isn't.
pub(super) fn missing(publish: &[Arc<MessageQueue>], subscribe: &[Arc<MessageQueue>]) -> usize {
    if publish == subscribe {
        return 0;
    }
    let readable: BTreeSet<&MessageQueue> = subscribe.iter().map(|queue| &**queue).collect();
    publish.iter().filter(|queue| !readable.contains(&***queue)).count()
}

/// `broker-a:4;broker-b:2`; parts that are not of that form are passed over.
pub(super) fn ordered_brokers(conf: &str) -> impl Iterator<Item = (&str, i32)> {
    conf.split(';').filter_map(|part| {
        let (broker, count) = part.split_once(':')?;
        Some((broker, count.parse().ok()?))
    })
}

fn ordered(topic: &Arc<str>, conf: &str) -> Vec<Arc<MessageQueue>> {
    ordered_brokers(conf).flat_map(|(broker, count)| queues(topic, &broker.into(), count)).collect()
}

fn queues(
    topic: &Arc<str>,
    broker: &Arc<str>,
    count: i32,
) -> impl Iterator<Item = Arc<MessageQueue>> + use<> {
    let (topic, broker) = (topic.clone(), broker.clone());
    (0..count.max(0)).map(move |queue_id| {
        Arc::new(MessageQueue { topic: topic.clone(), broker_name: broker.clone(), queue_id })
    })
}
