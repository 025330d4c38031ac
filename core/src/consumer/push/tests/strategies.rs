//! Every strategy with members that run: each queue has one owner, and one stay there.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use super::world::{BROKER_A, BROKER_B, RETRY, TOPIC, World};
use crate::config::{AllocateStrategy, RoomRule};
use crate::consumer::Ack;
use crate::message::MessageQueue;
use crate::remoting::PullMessageRequestHeader;

const OTHER_TOPIC: &str = "U";
const BROKERS: [(&str, &str, i32); 2] = [("r0@a", BROKER_A, 3), ("r1@b", BROKER_B, 2)];

/// Each queue of both topics, and of the retry topic.
fn all_queues() -> Vec<MessageQueue> {
    let of_topic = |topic: &'static str| {
        let of_broker = move |(name, _, count): (&'static str, _, i32)| {
            (0..count).map(move |queue_id| MessageQueue::new(topic, name, queue_id))
        };
        BROKERS.into_iter().flat_map(of_broker)
    };
    [TOPIC, OTHER_TOPIC, RETRY].into_iter().flat_map(of_topic).collect()
}

/// What the member of this number of so many is told to do.
fn strategies(member: usize, members: usize) -> Vec<AllocateStrategy> {
    let rooms: BTreeSet<Arc<str>> = ["r0".into(), "r1".into()].into();
    let room = |number: usize| Arc::from(format!("r{}", number % 2));
    let table = (0..members).map(|number| (Arc::from(id(number)), room(number))).collect();
    let nearby = |inner| AllocateStrategy::MachineRoomNearby {
        inner: Box::new(inner),
        brokers: RoomRule::Before('@'),
        consumers: RoomRule::Table(BTreeMap::clone(&table)),
    };
    let own = all_queues().into_iter().skip(member).step_by(members).collect();
    vec![
        AllocateStrategy::Averagely,
        AllocateStrategy::AveragelyByCircle,
        AllocateStrategy::MachineRoom { rooms },
        nearby(AllocateStrategy::Averagely),
        nearby(AllocateStrategy::ConsistentHash { virtual_nodes: 4 }),
        AllocateStrategy::ConsistentHash { virtual_nodes: 10 },
        AllocateStrategy::Config(own),
    ]
}

fn id(number: usize) -> String {
    format!("10.1.2.3@m{number}")
}

/// The member, with rounds every second, 25 s after it began, when no pull has been given up yet.
fn member(number: usize, members: usize, strategy: AllocateStrategy) -> World {
    let mut world = World::named(&format!("m{number}"), 1);
    for topic in [TOPIC, OTHER_TOPIC, RETRY] {
        world.routes.insert(topic.into(), BROKERS.into());
    }
    world.others = (0..members).filter(|other| *other != number).map(id).collect();
    world.start_with("*", |config| {
        config.subscriptions.insert(OTHER_TOPIC.into(), "*".into());
        config.allocate_strategy = strategy;
        config.rebalance_interval = core::time::Duration::from_secs(1);
    });
    world.pass(25_000);
    world
}

/// The queues that a world's brokers hold a pull of, once for each pull.
fn pulled(world: &World) -> Vec<MessageQueue> {
    let queue = |pull: &super::world::Arrived| {
        let header: PullMessageRequestHeader<'_> = pull.header();
        let (broker, _, _) = BROKERS.into_iter().find(|broker| broker.1 == pull.address).expect("a broker");
        MessageQueue::new(&*header.topic, broker, header.queue_id)
    };
    world.held.iter().map(queue).collect()
}

#[test]
fn each_queue_has_one_owner_and_one_stay() {
    for members in 1..=3 {
        for strategy in 0..strategies(0, 1).len() {
            let mut owned = Vec::new();
            for number in 0..members {
                let strategy = strategies(number, members).swap_remove(strategy);
                let world = member(number, members, strategy.clone());
                let stays = world.consumer().statistics().queues;
                assert_eq!(stays, world.consumer().queues().count(), "{strategy:?}");
                assert_eq!(stays, pulled(&world).len(), "{strategy:?}");
                owned.extend(pulled(&world));
            }
            owned.sort();
            let mut all = all_queues();
            all.sort();
            assert_eq!(owned, all, "{members} members, {:?}", strategies(0, members)[strategy]);
        }
    }
}

#[test]
fn a_message_of_a_configured_queue_is_delivered_once_however_many_rounds_there_were() {
    let own = AllocateStrategy::Config(vec![MessageQueue::new(TOPIC, "r0@a", 1)]);
    let mut world = member(0, 1, own);
    world.publish(1, &["a"]);
    let tokens = world.take();
    assert_eq!(tokens.len(), 1);
    world.settle(tokens[0], Ack::Done);
    world.pass(10_000);
    assert_eq!(world.log(TOPIC, 1).committed, Some(1));
}

/// What is named but not subscribed to is nobody's business here.
#[test]
fn a_configured_queue_of_another_topic_is_not_taken() {
    let queue = |topic| MessageQueue::new(topic, "r0@a", 0);
    let own = AllocateStrategy::Config(vec![queue(TOPIC), queue("elsewhere"), queue(TOPIC)]);
    let world = member(0, 1, own);
    assert_eq!(pulled(&world), [queue(TOPIC)]);
}
