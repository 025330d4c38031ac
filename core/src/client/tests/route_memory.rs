//! What routes cost at most that are within their bounds.

use alloc::collections::BTreeSet;

use super::routes::Servers;
use super::*;
use crate::route::Routes;

/// What a client may hold over an idle one.
const HELD_BYTES_MAX: usize = 64 << 20;

/// Blocks on the heap, as an allocator with a word of its own and 16 bytes between gives them.
#[derive(Default)]
struct Held {
    counted: BTreeSet<usize>,
    bytes: usize,
}

impl Held {
    fn block(&mut self, bytes: usize) {
        self.bytes += (bytes + 8).next_multiple_of(16).max(32);
    }

    /// A shared block, counted once: what it holds, after two counters.
    fn shared<T: ?Sized>(&mut self, it: &Arc<T>) {
        if self.counted.insert(Arc::as_ptr(it).cast::<u8>().addr()) {
            self.block(16 + size_of_val::<T>(it));
        }
    }

    /// Nodes of a tree are half full at least.
    fn tree<K, V>(&mut self, entries: usize) {
        self.block(2 * entries * (size_of::<K>() + size_of::<V>()));
    }

    fn addresses(&mut self, addresses: &BTreeMap<i64, Arc<str>>) {
        self.tree::<i64, Arc<str>>(addresses.len());
        addresses.values().for_each(|address| self.shared(address));
    }

    fn queues(&mut self, queues: &Arc<[Arc<MessageQueue>]>) {
        self.shared(queues);
        for queue in queues.iter() {
            self.shared(queue);
            self.shared(&queue.broker_name);
        }
    }

    fn route(&mut self, data: &TopicRouteData) {
        self.block(data.broker_datas.capacity() * size_of::<BrokerData>());
        for broker in &data.broker_datas {
            self.addresses(&broker.broker_addrs);
            self.shared(&broker.broker_name);
            self.shared(&broker.cluster);
            broker.zone_name.iter().for_each(|zone| self.shared(zone));
        }
        self.block(data.queue_datas.capacity() * size_of::<QueueData>());
        data.queue_datas.iter().for_each(|entry| self.shared(&entry.broker_name));
        data.order_topic_conf.iter().for_each(|conf| self.shared(conf));
    }

    fn all(&mut self, routes: &Routes, topics: &[&str]) {
        for topic in topics {
            let route = routes.get(topic).expect("it was taken");
            self.route(&route.data);
            self.queues(route.publish_queues());
            self.queues(route.subscribe_queues());
        }
        // Addresses by broker once more, over all topics.
        let mut names = BTreeSet::new();
        for (name, _, address) in routes.brokers() {
            self.shared(address);
            names.insert(name);
        }
        self.tree::<i64, Arc<str>>(routes.brokers().count());
        self.tree::<Arc<str>, BTreeMap<i64, Arc<str>>>(names.len());
    }
}

fn named(number: usize, bytes: usize) -> Arc<str> {
    format!("{number:0>bytes$}").into()
}

/// So many brokers with names of so many bytes, and so many addresses and queues each.
fn large(brokers: usize, name_bytes: usize, addresses: i64, queues: i32) -> TopicRouteData {
    let broker = |number: usize| BrokerData {
        broker_name: named(number, name_bytes),
        cluster: named(number + 1, name_bytes),
        broker_addrs: (0..addresses)
            .map(|id| (id, format!("10.0.{}.{}:1", number / 256, id).into()))
            .collect(),
        ..BrokerData::default()
    };
    let entry = |number: usize| QueueData {
        broker_name: named(number, name_bytes),
        perm: 6,
        read_queue_nums: queues,
        write_queue_nums: queues,
        ..QueueData::default()
    };
    TopicRouteData {
        broker_datas: (0..brokers).map(broker).collect(),
        queue_datas: (0..brokers).map(entry).collect(),
        ..TopicRouteData::default()
    }
}

#[test]
fn a_client_that_has_met_the_largest_routes_stays_below_its_bound() {
    let rows = [
        ("many queues of one broker", large(1, 255, 64, 16_384)),
        ("many brokers with long names", large(1_024, 255, 1, 16)),
        ("many addresses", large(1_024, 1, 64, 16)),
    ];
    let mut world = World::seeded(&[NAME_SERVER], 1);
    let mut servers = Servers::default();
    for (what, data) in &rows {
        let body = data.encode().to_vec();
        assert!(body.len() > 500 << 10 || data.broker_datas.len() == 1, "{what}: {} bytes", body.len());
        servers.routes.insert((*what).into(), body);
    }
    let topics = rows.each_ref().map(|(what, _)| *what);
    for topic in topics {
        world.send_topic(topic);
        servers.serve(&mut world);
    }
    let mut held = Held::default();
    held.all(&world.client.shared().routes, &topics);
    // A producer keeps the constant parts of its sends to so many brokers of each topic, and the brokers' places.
    held.bytes += topics.len() * (64 * 2_048 + 1_024 * size_of::<(Arc<str>, usize)>());
    assert!(held.bytes > 10 << 20, "{} bytes are too few to be true", held.bytes);
    assert!(held.bytes < HELD_BYTES_MAX, "{} bytes", held.bytes);
}
