//! Several closes at a time, and what a close that runs out of time knows of each send.

use super::*;

fn close(number: u32, timeout_ms: u64) -> Command {
    let operation = OperationId::from_parts(number, 0);
    Command::Client(ClientCommand::Close { operation, timeout: Duration::from_millis(timeout_ms) })
}

fn close_producer(number: u32, timeout_ms: u64) -> Command {
    let (operation, producer) = (OperationId::from_parts(number, 0), ProducerId(1));
    Command::Producer(
        producer,
        ProducerCommand::Close { operation, timeout: Duration::from_millis(timeout_ms) },
    )
}

/// A producer with a send under way that nobody answers.
fn sending() -> (World, Arrived) {
    let mut world =
        World::with_producer(ProducerConfig { send_timeout: Duration::from_secs(60), ..producer() });
    world.send();
    world.route(&[A]);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    (world, send)
}

fn ended(world: &World) -> Vec<u32> {
    world.outcomes.iter().map(|(number, _)| *number).collect()
}

#[test]
fn a_second_close_of_a_producer_ends_with_the_first() {
    let (mut world, send) = sending();
    world.command(close_producer(100, 30_000));
    world.command(close_producer(101, 30_000));
    assert_eq!(ended(&world), [0; 0], "a send is under way");
    world.stored(&send, 0);
    assert_eq!(ended(&world), [1, 100, 101]);
    world.command(close_producer(102, 30_000));
    assert_eq!(ended(&world)[3..], [102], "what is closed is closed");
}

#[test]
fn a_second_close_may_shorten_the_first_and_never_lengthens_it() {
    type Make = fn(u32, u64) -> Command;
    for (first, second) in [(close as Make, close as Make), (close_producer, close_producer)] {
        let (mut world, _send) = sending();
        world.command(first(100, 30_000));
        world.command(second(101, 1_000));
        world.command(second(102, 60_000));
        world.pass(999);
        assert_eq!(ended(&world), [0; 0]);
        world.pass(1);
        assert_eq!(ended(&world), [1, 100, 101, 102]);
        assert!(matches!(world.outcomes[0].1, Outcome::Failed(Error::Unknown(_))));
    }
}

#[test]
fn closes_of_a_producer_and_of_its_client_heed_the_shorter_time() {
    type Make = fn(u32, u64) -> Command;
    for (first, second) in [(close as Make, close_producer as Make), (close_producer, close)] {
        let (mut world, _send) = sending();
        world.command(first(100, 30_000));
        world.command(second(101, 1_000));
        assert_eq!(ended(&world), [0; 0], "a send is under way");
        world.pass(1_000);
        assert_eq!(ended(&world)[0], 1);
        assert!(ended(&world).contains(&101));
    }
}

#[test]
fn a_second_close_shortens_one_that_waits_for_its_consumers() {
    let mut world = World::new(&[NAME_SERVER]);
    let mut config = crate::config::PushConsumerConfig::new("g");
    config.subscriptions.insert("T".into(), "*".into());
    let (operation, consumer) = (OperationId::from_parts(50, 0), crate::id::ConsumerId(0));
    world
        .command(Command::Consumer(consumer, ConsumerCommand::Start { operation, config: Arc::new(config) }));
    world.serve_consumer();
    world.outcomes.clear();
    // The broker does not answer the consumer's farewell.
    world.command(close(100, 30_000));
    assert_eq!(ended(&world), [0; 0]);
    world.command(close(101, 500));
    world.pass(499);
    assert_eq!(ended(&world), [0; 0]);
    world.pass(1);
    assert_eq!(ended(&world), [100, 101]);
}

#[test]
fn a_producer_that_is_gone_leaves_no_timer() {
    let (mut world, send) = sending();
    let before = world.client.shared().timers.len();
    world.command(close_producer(100, 30_000));
    world.stored(&send, 0);
    let farewell = world.next(RequestCode::UNREGISTER_CLIENT);
    world.answer(&farewell, ResponseCode::SUCCESS);
    assert!(world.client.shared().timers.len() <= before);
}

#[test]
fn what_waits_for_a_connection_when_the_time_is_over_is_not_sent() {
    let mut world = World::with_producer(producer());
    world.send();
    world.deaf.push(A.1.to_string());
    world.route(&[A]);
    world.command(close(100, 100));
    world.pass(100);
    assert_eq!(ended(&world), [1, 100]);
    let outcome = &world.outcomes[0].1;
    assert!(
        matches!(outcome, Outcome::Failed(Error::NotSent(failure)) if failure.cause == Cause::Closing),
        "{outcome:?}"
    );
}

/// A start of this consumer that has not ended.
fn starting(world: &mut World, number: u32, group: &str) -> crate::id::ConsumerId {
    let mut config = crate::config::PushConsumerConfig::new(group);
    config.subscriptions.insert("T".into(), "*".into());
    let (operation, consumer) = (OperationId::from_parts(number, 0), crate::id::ConsumerId(number));
    world
        .command(Command::Consumer(consumer, ConsumerCommand::Start { operation, config: Arc::new(config) }));
    consumer
}

#[test]
fn a_client_says_once_that_it_has_closed_after_all_that_it_has_to_say() {
    let (mut world, _send) = sending();
    world.command(close(100, 1_000));
    world.command(close(101, 1_000));
    assert_eq!(world.ends, []);
    world.pass(1_000);
    assert_eq!(ended(&world), [1, 100, 101]);
    assert_eq!(world.ends, [(None, 3)]);
    world.command(close(102, 1_000));
    assert_eq!(
        (ended(&world)[3..].to_vec(), world.ends.len()),
        (Vec::from([102]), 1),
        "what is closed is closed"
    );
}

#[test]
fn a_consumer_that_can_not_start_has_ended() {
    let mut world = World::new(&[NAME_SERVER]);
    starting(&mut world, 50, "g");
    let second = starting(&mut world, 51, "g");
    assert_eq!((ended(&world), &world.ends), (Vec::from([51]), &Vec::from([(Some(second), 0)])));
    world.command(close(100, 1_000));
    let late = starting(&mut world, 52, "h");
    assert!(world.ends.iter().any(|(end, _)| *end == Some(late)), "{:?}", world.ends);
}

#[test]
fn what_a_host_leaves_behind_ends_at_once_and_a_start_that_nobody_stopped_has_failed() {
    let (mut world, _send) = sending();
    starting(&mut world, 50, "g");
    world.input(Input::Abandoned);
    let failed =
        |number: u32| world.outcomes.iter().find(|(of, _)| *of == number).map(|(_, outcome)| outcome);
    assert!(matches!(failed(1), Some(Outcome::Failed(Error::Unknown(_)))), "{:?}", world.outcomes);
    assert!(matches!(failed(50), Some(Outcome::Failed(Error::Closed))), "{:?}", world.outcomes);
    assert_eq!(world.ends.last(), Some(&(None, 2)));
    let mut stopped = World::new(&[NAME_SERVER]);
    starting(&mut stopped, 50, "g");
    stopped.command(close(100, 5_000));
    stopped.input(Input::Abandoned);
    assert_eq!(ended(&stopped), [50, 100]);
    assert!(matches!(stopped.outcomes[0].1, Outcome::Done), "a stop that was asked for is no error");
}
