//! What nobody would notice is told: in the log once for each change, and in the health.

use alloc::collections::BTreeSet;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;

use super::world::{BROKER_A, RETRY, TOPIC, World};
use crate::config::AllocateStrategy;
use crate::consumer::TopicHealth;
use crate::lines::told::warnings;
use crate::message::MessageQueue;
use crate::remoting::{FLAG_ONEWAY, NoHeader, RequestCode};

fn health(world: &World, topic: &str) -> TopicHealth {
    let health = world.consumer().health(world.client.shared(), world.now);
    health.topics.into_iter().find(|health| &*health.topic == topic).expect("subscribed to")
}

fn shown(world: &World) -> String {
    world.consumer().health(world.client.shared(), world.now).to_string()
}

#[test]
fn queues_that_nobody_can_read_are_told_once_for_each_change() {
    let mut world = World::with_queues(8);
    world.read_queue_nums = Some(4);
    assert_eq!(warnings(|| world.start()), 1);
    assert_eq!((health(&world, TOPIC).queues, health(&world, TOPIC).unread), (Some(4), 4));
    assert!(shown(&world).contains("T: 4 of 4 queues; 4 more can be written but not read"));
    assert_eq!(warnings(|| world.pass(120_000)), 0, "nothing has changed");
    world.read_queue_nums = Some(6);
    assert_eq!(warnings(|| world.pass(31_000)), 1);
    assert_eq!(health(&world, TOPIC).unread, 2);
    world.read_queue_nums = None;
    assert_eq!(warnings(|| world.pass(31_000)), 0, "all is well");
    assert_eq!(health(&world, TOPIC).unread, 0);
    assert!(!shown(&world).contains("not read"));
}

#[test]
fn a_topic_that_can_t_be_read_at_all_is_told_and_not_again_with_every_round() {
    let mut world = World::with_queues(2);
    world.perm = 2;
    // Of the queues, of the rounds, and of the start that ended without them.
    assert!(
        warnings(|| {
            world.start();
            world.pass(10_000)
        }) <= 3
    );
    assert_eq!((health(&world, TOPIC).queues, health(&world, TOPIC).unread), (Some(0), 2));
    assert_eq!(warnings(|| world.pass(300_000)), 0);
}

#[test]
fn rooms_that_no_broker_is_in_are_told_once_for_the_topic_and_the_retry_topic() {
    let rooms: BTreeSet<Arc<str>> = ["elsewhere".into()].into();
    let mut world = World::with_queues(2);
    let told = warnings(|| {
        world.start_with("*", |config| config.allocate_strategy = AllocateStrategy::MachineRoom { rooms });
        world.pass(120_000);
    });
    assert_eq!(told, 2);
    assert!(health(&world, TOPIC).excluded && health(&world, RETRY).excluded);
    assert!(shown(&world).contains("T: 0 of 2 queues; the allocate strategy can give this member none"));
    world.routes.insert(TOPIC.into(), vec![("elsewhere@a", BROKER_A, 2)]);
    assert_eq!(warnings(|| world.pass(31_000)), 0);
    assert!(!health(&world, TOPIC).excluded && health(&world, TOPIC).owned == 2);
}

#[test]
fn configured_queues_that_are_none_of_the_topic_s_are_told() {
    let own = [MessageQueue::new(TOPIC, "a", 1), MessageQueue::new(RETRY, "b", 0)];
    let mut world = World::with_queues(2);
    world.start_with("*", |config| config.allocate_strategy = AllocateStrategy::Config(own.into()));
    world.pass(1_000);
    assert!(!health(&world, TOPIC).excluded && health(&world, RETRY).excluded);
}

#[test]
fn requests_that_are_not_served_are_told_ten_times_a_second_at_most() {
    let mut world = World::new();
    world.start();
    let ask = |world: &mut World| world.ask(BROKER_A, RequestCode(39), FLAG_ONEWAY, &NoHeader, &[]);
    world.pass(1_000);
    assert_eq!(warnings(|| ask(&mut world)), 1);
    world.pass(1_000);
    assert!((1..=10).contains(&warnings(|| (0..1_000).for_each(|_| ask(&mut world)))));
}
