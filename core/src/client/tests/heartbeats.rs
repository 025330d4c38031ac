//! Heartbeats: one timer, and a ceiling for each broker.

use super::*;
use crate::config::PushConsumerConfig;
use crate::id::ConsumerId;

/// A client with a consumer that is to be registered with broker `a`.
fn consuming() -> World {
    let mut world = World::new(&[NAME_SERVER]);
    let mut config = PushConsumerConfig::new("g");
    config.subscriptions.insert("T".into(), "*".into());
    let (operation, consumer) = (OperationId::from_parts(1, 0), ConsumerId(1));
    world
        .command(Command::Consumer(consumer, ConsumerCommand::Start { operation, config: Arc::new(config) }));
    world
}

fn create(world: &mut World, number: u32) {
    let config = Arc::new(ProducerConfig::new(&*format!("p{number}")));
    world.command(Command::Producer(ProducerId(number), ProducerCommand::Create { config }));
}

/// Serves for `seconds` in steps of 10 ms, and counts the heartbeats that come.
fn heartbeats(world: &mut World, seconds: u32, code: ResponseCode) -> usize {
    let mut count = 0;
    for _ in 0..seconds * 100 {
        world.pass(10);
        while let Some(arrived) = world.arrived.pop_front() {
            match RequestCode(arrived.command.code) {
                RequestCode::HEART_BEAT => {
                    count += 1;
                    world.answer(&arrived, code);
                }
                RequestCode::GET_ROUTEINFO_BY_TOPIC => {
                    let body = route(&[A]).encode();
                    world.answer_with(&arrived, ResponseCode::SUCCESS, &NoHeader, &body);
                }
                // A consumer that is known to nobody asks for nothing else.
                _ => {
                    world.arrived.push_front(arrived);
                    world.serve_consumer();
                }
            }
        }
    }
    count
}

#[test]
fn producers_that_come_while_heartbeats_are_refused_do_not_multiply_them() {
    for producers in [0, 1, 10, 50] {
        let mut world = consuming();
        heartbeats(&mut world, 20, ResponseCode::SYSTEM_ERROR);
        for number in 0..producers {
            world.pass(7);
            create(&mut world, number);
        }
        let count = heartbeats(&mut world, 20, ResponseCode::SYSTEM_ERROR);
        assert!((19..=21).contains(&count), "{producers} producers: {count} in 20 s");
    }
}

#[test]
fn producers_that_come_while_the_broker_is_down_cause_no_requests() {
    let mut world = consuming();
    world.refused.push(A.1.into());
    world.serve_consumer();
    for number in 0..50 {
        world.pass(7);
        create(&mut world, number);
    }
    let before = world.client.statistics().connections.requests;
    heartbeats(&mut world, 60, ResponseCode::SUCCESS);
    let requests = world.client.statistics().connections.requests - before;
    assert!(requests <= 150, "{requests} requests in 60 s");
}

#[test]
fn a_broker_that_hangs_up_again_and_again_hears_once_a_second() {
    let mut world = consuming();
    world.serve_consumer();
    heartbeats(&mut world, 2, ResponseCode::SUCCESS);
    let mut count = 0;
    for _ in 0..200 {
        world.close_connections_to(A.1);
        world.client.shared.channels.connect(world.now, &A.1.into());
        world.pass(50);
        let beats = core::mem::take(&mut world.arrived);
        count += beats.iter().filter(|beat| beat.command.code == RequestCode::HEART_BEAT.0).count();
    }
    assert!((9..=11).contains(&count), "{count} in 10 s");
}

#[test]
fn a_consumer_that_a_broker_has_not_heard_of_need_not_wait() {
    let mut world = consuming();
    world.serve_consumer();
    world.pass(1);
    world.serve_consumer();
    let mut config = PushConsumerConfig::new("second");
    config.subscriptions.insert("T".into(), "*".into());
    let (operation, consumer) = (OperationId::from_parts(2, 0), ConsumerId(2));
    world
        .command(Command::Consumer(consumer, ConsumerCommand::Start { operation, config: Arc::new(config) }));
    assert_eq!(heartbeats(&mut world, 1, ResponseCode::SUCCESS), 1);
    let known = world.client.consumers().get(ConsumerId(2)).expect("it is there");
    assert!(known.is_registered());
}

#[test]
fn heartbeats_go_on_when_all_is_well() {
    let mut world = consuming();
    world.serve_consumer();
    let count = heartbeats(&mut world, 120, ResponseCode::SUCCESS);
    assert!(count >= 4, "{count} in 120 s");
}

#[test]
fn a_producer_that_is_gone_leaves_no_timer_behind() {
    let mut world = World::with_producer(producer());
    world.send();
    world.route(&[A]);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    let before = world.client.shared.timers.len();
    let (operation, timeout) = (OperationId::from_parts(9, 0), Duration::from_secs(30));
    world.command(Command::Producer(ProducerId(1), ProducerCommand::Close { operation, timeout }));
    assert_eq!(world.client.shared.timers.len(), before + 1);
    world.stored(&send, 1);
    assert!(world.client.producers().is_empty());
    assert_eq!(world.client.shared.timers.len(), before);
}
