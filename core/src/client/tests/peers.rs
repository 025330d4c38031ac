//! What is told of peers that are lost.

use super::*;
use crate::channel::Lost;

/// A client that knows broker `a`, and that has been answered.
fn world() -> World {
    let mut world = World::with_producer(producer());
    world.send();
    world.route(&[A]);
    let send = world.next(RequestCode::SEND_MESSAGE_V2);
    world.stored(&send, 1);
    world.outcomes.clear();
    world
}

impl World {
    fn lost(&mut self, address: &str, idle: bool) -> bool {
        let cause = Cause::ConnectionLost { address: address.into(), reason: "reset".into() };
        let Client { peers, shared, .. } = &mut self.client;
        peers.lost(shared, self.now, &address.into(), &Lost { cause, idle })
    }

    fn heard(&mut self, address: &str) -> bool {
        self.client.peers.heard(self.now, &address.into())
    }
}

#[test]
fn a_lost_peer_is_told_once_and_so_is_its_return() {
    for address in [A.1, NAME_SERVER] {
        let mut world = world();
        assert!(world.lost(address, false));
        for _ in 0..100 {
            world.pass(1_000);
            assert!(!world.lost(address, false), "tries are no news");
        }
        assert!(world.heard(address));
        assert!(!world.heard(address));
    }
}

#[test]
fn a_peer_that_closes_an_idle_connection_is_told_only_when_it_can_t_be_reached() {
    let mut world = world();
    assert!(!world.lost(A.1, true));
    world.pass(10_000);
    assert!(world.lost(A.1, false));
    assert!(world.heard(A.1));
    world.pass(60_000);
    assert!(!world.lost(A.1, true));
    assert!(!world.heard(A.1), "nobody missed it");
}

#[test]
fn a_peer_that_comes_and_goes_is_told_every_30_s() {
    let mut world = world();
    let (mut lost, mut back) = (0, 0);
    for _ in 0..600 {
        lost += u32::from(world.lost(A.1, false));
        world.now += Duration::from_millis(250);
        back += u32::from(world.heard(A.1));
        world.now += Duration::from_millis(250);
    }
    assert_eq!((lost, back), (10, 10), "in 300 s");
    // The loss of a peer that stays away is told after all.
    world.lost(A.1, false);
    world.now += Duration::from_secs(1);
    world.heard(A.1);
    assert!(!world.lost(A.1, false));
    world.now += Duration::from_secs(30);
    assert!(world.lost(A.1, false));
}

#[test]
fn of_a_broker_that_is_in_no_route_nothing_is_told() {
    let mut world = world();
    assert!(!world.lost("10.0.0.77:10911", false));
    assert!(!world.heard("10.0.0.77:10911"));
}

#[test]
fn until_anybody_answers_one_warning_says_all() {
    let mut world = World::new(&[NAME_SERVER, NAME_SERVER_B]);
    assert!(world.lost(NAME_SERVER, false));
    assert!(!world.lost(NAME_SERVER_B, false));
    world.heard(NAME_SERVER);
    assert!(world.lost(NAME_SERVER_B, false), "one of two is news");
}

#[test]
fn many_peers_that_are_lost_at_once_take_turns_and_little_memory() {
    let mut world = world();
    let brokers: Vec<String> = (0..5_000u32).map(|number| format!("10.2.0.1:{}", 10_000 + number)).collect();
    let named: Vec<(String, String)> =
        brokers.iter().enumerate().map(|(number, address)| (format!("b{number}"), address.clone())).collect();
    let named: Vec<(&str, &str, i32)> =
        named.iter().map(|(name, address)| (&**name, &**address, 1)).collect();
    for (number, some) in named.chunks(1_000).enumerate() {
        let topic = format!("T{number}").into();
        world.client.shared.routes.apply(&topic, route(some), false).expect("within the bounds");
    }
    let mut told = 0;
    for broker in &brokers {
        told += u32::from(world.lost(broker, false));
    }
    assert_eq!(told, 6, "lines of one second");
}

#[test]
fn a_client_that_closes_its_own_connections_tells_nothing() {
    let mut world = world();
    let operation = OperationId::from_parts(99, 0);
    world.command(Command::Client(ClientCommand::Close { operation, timeout: Duration::from_secs(1) }));
    world.pass(1_000);
    assert!(world.client.closed);
    assert!(!world.heard(A.1) && !world.heard(NAME_SERVER));
}
