//! Connections whose peer is gone without a word.

use super::*;

/// Milliseconds from now until the connection to `address` is given up, nobody saying anything.
fn given_up_after(world: &mut World, address: &str) -> Option<u64> {
    let begun = world.now;
    let channel = world.addresses.iter().find(|(_, known)| *known == address).map(|(channel, _)| *channel)?;
    for _ in 0..300 {
        world.pass(100);
        if !world.addresses.contains_key(&channel) {
            return u64::try_from(world.now.saturating_since(begun).as_millis()).ok();
        }
    }
    None
}

/// A world in which one message is on its way with so much time.
fn sending(timeout: Duration) -> World {
    let mut world = World::with_producer(producer());
    let operation = OperationId::from_parts(1, 0);
    let message = Box::new(OutboundMessage {
        topic: "T".into(),
        body: Bytes::from_static(b"hello"),
        flag: 0,
        sys_flag: 0,
        properties: String::new(),
    });
    let (producer, timeout) = (ProducerId(1), Some(timeout));
    let choice = QueueChoice::RoundRobin;
    world.command(Command::Producer(producer, ProducerCommand::Send { operation, message, choice, timeout }));
    world.route(&[A]);
    world.next(RequestCode::SEND_MESSAGE_V2);
    world
}

#[test]
fn a_send_of_a_minute_on_a_dead_connection_ends_within_10_s() {
    let mut world = sending(Duration::from_secs(60));
    let after = given_up_after(&mut world, A.1).expect("it is given up");
    assert!(after <= 8_100, "{after} ms");
    assert!(!world.quiet(), "the send goes on, on another connection");
}

#[test]
fn a_peer_that_is_only_slow_is_asked_every_5_s_and_keeps_its_connection() {
    let mut world = sending(Duration::from_secs(60));
    let (mut beats, mut passed) = (0, 0);
    while passed < 50_000 {
        world.pass(100);
        passed += 100;
        while let Some(arrived) = world.arrived.pop_front() {
            match RequestCode(arrived.command.code) {
                RequestCode::HEART_BEAT => {
                    beats += 1;
                    world.answer(&arrived, ResponseCode::SUCCESS);
                }
                code => assert_eq!(code, RequestCode::GET_ROUTEINFO_BY_TOPIC),
            }
        }
    }
    assert!((9..=11).contains(&beats), "{beats}");
    assert!(world.addresses.values().any(|address| address == A.1));
}

#[test]
fn a_consumer_with_held_pulls_finds_out_within_10_s_and_pulls_anew() {
    let mut world = World::new(&[NAME_SERVER]);
    let mut config = crate::config::PushConsumerConfig::new("g");
    config.subscriptions.insert("T".into(), "*".into());
    let (operation, consumer) = (OperationId::from_parts(1, 0), crate::id::ConsumerId(1));
    world
        .command(Command::Consumer(consumer, ConsumerCommand::Start { operation, config: Arc::new(config) }));
    for _ in 0..20 {
        world.pass(100);
        world.serve_consumer();
    }
    let after = given_up_after(&mut world, A.1).expect("it is given up");
    assert!(after <= 8_100, "{after} ms");
    let pulls = (0..10).map(|_| {
        world.pass(50);
        world.serve_consumer()
    });
    assert!(pulls.sum::<u32>() > 0, "at once on a new connection");
}

#[test]
fn a_name_server_that_never_answers_loses_its_connection_though_each_look_up_is_shorter_than_that() {
    let mut world = World::with_producer(producer());
    world.send();
    world.next(RequestCode::GET_ROUTEINFO_BY_TOPIC);
    let after = given_up_after(&mut world, NAME_SERVER).expect("it is given up");
    assert!(after <= 3_100, "{after} ms");
    world.outcomes.clear();
    world.arrived.clear();
    world.pass(200);
    world.send();
    world.route(&[A]);
    world.next(RequestCode::SEND_MESSAGE_V2);
}

#[test]
fn an_answer_that_comes_late_keeps_the_connection() {
    let mut world = World::with_producer(producer());
    world.send();
    let asked = world.next(RequestCode::GET_ROUTEINFO_BY_TOPIC);
    world.pass(1_600);
    world.answer(&asked, ResponseCode::TOPIC_NOT_EXIST);
    for _ in 0..20 {
        world.pass(100);
    }
    assert!(world.addresses.values().any(|address| address == NAME_SERVER));
}

#[test]
fn a_connection_on_which_nothing_is_awaited_is_left_in_peace() {
    let mut world = World::with_producer(producer());
    world.send();
    world.route(&[A]);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    world.stored(&send, 1);
    world.arrived.clear();
    let before = world.client.statistics().connections.requests;
    for _ in 0..200 {
        world.pass(100);
    }
    assert_eq!(world.client.statistics().connections.requests, before);
}
