//! Routes looked up before anything is sent.

use super::routes::Servers;
use super::*;

fn warm_up(world: &mut World, number: u32, topics: &[&str]) {
    let topics = topics.iter().map(|topic| (*topic).into()).collect();
    let operation = OperationId::from_parts(number, 0);
    world.command(Command::Producer(ProducerId(1), ProducerCommand::WarmUp { operation, topics }));
}

fn outcome(world: &World, number: u32) -> Option<&Outcome> {
    world.outcomes.iter().find(|(of, _)| *of == number).map(|(_, outcome)| outcome)
}

/// How often each topic was asked for.
fn asked(servers: &Servers, topic: &str) -> usize {
    servers.asked.iter().filter(|(.., of)| of == topic).count()
}

#[test]
fn a_send_after_a_warm_up_waits_for_no_route_and_its_broker_is_connected() {
    let mut world = World::seeded(&[NAME_SERVER], 1);
    let mut servers = Servers::knowing(&[("T", &[A]), ("U", &[A])]);
    warm_up(&mut world, 50, &["T", "U", "T"]);
    servers.pass(&mut world, 10);
    assert!(matches!(outcome(&world, 50), Some(Outcome::Done)), "{:?}", world.outcomes);
    assert_eq!((asked(&servers, "T"), asked(&servers, "U")), (1, 1));
    assert!(world.client.shared.channels.is_open(A.1));
    world.arrived.clear();
    servers.send(&mut world, "T");
    assert_eq!((asked(&servers, "T"), servers.sent_to.len()), (1, 1));
    warm_up(&mut world, 51, &["T"]);
    warm_up(&mut world, 52, &[]);
    for number in [51, 52] {
        assert!(matches!(outcome(&world, number), Some(Outcome::Done)), "it is warm");
    }
    assert_eq!(world.client.shared.timers.len(), 2, "heartbeats and the poll");
}

#[test]
fn a_topic_that_nobody_has_fails_it_with_its_name_and_one_that_comes_in_time_does_not() {
    let mut world = World::seeded(&[NAME_SERVER], 1);
    let mut servers = Servers::knowing(&[("T", &[A])]);
    warm_up(&mut world, 50, &["T", "V"]);
    servers.pass(&mut world, 10);
    assert!(matches!(outcome(&world, 50), Some(Outcome::Failed(Error::NotSent(failure)))
        if failure.topic.as_deref() == Some("V") && matches!(failure.cause, Cause::NoRoute { .. })));
    let text = world.take_failures().concat();
    assert!(text.starts_with("not sent: look up the route of topic V failed after 1 attempt(s)"), "{text}");
}

#[test]
fn while_no_name_server_answers_it_asks_again_and_ends_with_the_time_of_a_send() {
    let mut world = World::seeded(&[NAME_SERVER], 1);
    world.refused.push(NAME_SERVER.to_string());
    let (mut early, began) = (0, world.now);
    warm_up(&mut world, 50, &["T", "U"]);
    warm_up(&mut world, 51, &["T"]);
    while world.outcomes.len() < 2 {
        world.pass(10);
        early = early.max(world.outcomes.len());
        assert!(world.now <= began + producer().send_timeout, "it is over");
    }
    assert_eq!(world.now, began + producer().send_timeout);
    let failures = world.take_failures();
    assert!(failures.iter().all(|text| text.contains("route of topic T")), "{failures:?}");
    // In time it is found.
    warm_up(&mut world, 52, &["T"]);
    world.pass(1_000);
    world.refused.clear();
    let mut servers = Servers::knowing(&[("T", &[A])]);
    servers.pass(&mut world, 1_900);
    assert!(matches!(outcome(&world, 52), Some(Outcome::Done)), "{:?}", world.outcomes);
}

#[test]
fn a_producer_that_closes_ends_its_warm_ups_and_begins_none() {
    let mut world = World::seeded(&[NAME_SERVER], 1);
    warm_up(&mut world, 50, &["T"]);
    let close = ProducerCommand::Close { operation: OperationId::from_parts(60, 0), timeout: Duration::ZERO };
    world.command(Command::Producer(ProducerId(1), close));
    warm_up(&mut world, 51, &["T"]);
    for number in [50, 51] {
        assert!(
            matches!(outcome(&world, number), Some(Outcome::Failed(Error::Closed))),
            "{:?}",
            world.outcomes
        );
    }
    assert!(matches!(outcome(&world, 60), Some(Outcome::Done)));
    assert!(!world.client.producers().uses("T"), "its route may be forgotten");
}

/// Answers the look-ups of these topics with errors until none comes at once: whether there were any, for each.
fn refuse<const N: usize>(world: &mut World, topics: [&str; N]) -> [bool; N] {
    let mut refused = [false; N];
    let topic_of = |arrived: &Arrived| {
        let header = arrived.command.header::<GetRouteInfoRequestHeader<'_>>();
        header.ok().map(|header| header.topic.to_string())
    };
    while let Some((index, at)) = world.arrived.iter().enumerate().find_map(|(at, arrived)| {
        let topic = topic_of(arrived)?;
        Some((topics.iter().position(|of| *of == topic)?, at))
    }) {
        let arrived = world.arrived.remove(at).expect("it is there");
        refused[index] = true;
        world.answer(&arrived, ResponseCode::SYSTEM_ERROR);
    }
    refused
}

#[test]
fn the_last_failure_is_told_although_another_look_up_is_under_way_when_the_time_is_over() {
    let mut world =
        World::with_producer(ProducerConfig { send_timeout: Duration::from_secs(1), ..producer() });
    warm_up(&mut world, 50, &["A", "T"]);
    assert_eq!(refuse(&mut world, ["T"]), [true]);
    // A never has an answer, T no other; the name server answers whoever asks whether it is there.
    for _ in 0..9 {
        world.pass(100);
        refuse(&mut world, ["TBW102"]);
    }
    assert!(world.outcomes.is_empty(), "{:?}", world.outcomes);
    world.pass(100);
    let Some(Outcome::Failed(Error::NotSent(failure))) = outcome(&world, 50) else {
        panic!("{:?}", world.outcomes)
    };
    assert_eq!((failure.topic.as_deref(), failure.attempts), (Some("T"), 1), "{failure}");
    assert!(failure.to_string().contains("as scripted"), "{failure}");
}

#[test]
fn a_topic_is_asked_for_again_in_time_whatever_happens_to_others() {
    let mut world = World::seeded(&[NAME_SERVER], 1);
    warm_up(&mut world, 50, &["T", "U"]);
    assert_eq!(refuse(&mut world, ["T"]), [true]);
    // A pause is 200 ms.
    for (ms, expected) in [(190, [false, true]), (10, [true, false])] {
        world.pass(ms);
        assert_eq!(refuse(&mut world, ["T", "U"]), expected);
    }
}
