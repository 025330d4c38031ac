//! Servers of the user's own in a world.

use std::net::SocketAddr;
use std::time::Duration;

use rocketmq_client_core::driver::ClientBuilder;
use rocketmq_client_core::time::Instant;
use rocketmq_dev_broker::ConnectionId;
use rocketmq_sim::{Door, Peer, PeerOutput, WorldBuilder};

/// Lets nobody in but through its door, and hangs up on everybody who speaks.
struct Gruff(Vec<PeerOutput>);

impl Peer for Gruff {
    fn handle_connected(&mut self, _: Instant, _: ConnectionId) {}

    fn handle_bytes(&mut self, _: Instant, connection: ConnectionId, _: &[u8]) {
        self.0.push(PeerOutput::Reset { connection });
    }

    fn handle_closed(&mut self, _: Instant, _: ConnectionId) {}

    fn handle_timeout(&mut self, _: Instant) {}

    fn poll_output(&mut self) -> PeerOutput {
        self.0.pop().unwrap_or(PeerOutput::Wait(None))
    }
}

/// How long a client takes to reach its name server behind a door, or to learn that it can't.
fn tried(door: Door) -> Duration {
    let address = SocketAddr::from(([10, 9, 0, 1], 9_876));
    WorldBuilder::new(5).name_servers(0).brokers(0).run(async |ctx| {
        ctx.add_peer(address, Gruff(vec![PeerOutput::Listen(door)]));
        let before = ctx.now();
        let connected = ctx.connect(ClientBuilder::new(&address.to_string())).await;
        assert_eq!(connected.is_ok(), matches!(door, Door::Open | Door::Silent), "{door:?}");
        ctx.now() - before
    })
}

#[test]
fn a_door_decides_what_becomes_of_who_connects() {
    for door in [Door::Closed, Door::Open, Door::Silent, Door::Lost] {
        let took = tried(door);
        assert!(took <= Duration::from_secs(10), "{door:?}: {took:?}");
    }
    assert!(tried(Door::Lost) >= Duration::from_secs(3), "nothing tells that nobody is there");
}
