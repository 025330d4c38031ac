//! A case in the simulator.

use std::net::SocketAddr;
use std::time::Duration;

use rocketmq_client_core::time::Instant;
use rocketmq_sim::{Door, Machine, Peer, PeerOutput, WorldBuilder};

use crate::case::{Case, Site};
use crate::ledger::SharedLedger;
use crate::program::{Gauges, Measured, Pace, run};
use crate::server::Hours;
use crate::site::{Cast, hours};
use crate::world::World;

const PACE: Pace = Pace {
    calm: Duration::from_millis(1_500),
    hostile: Duration::from_secs(4),
    recover_max: Duration::from_secs(60),
    drain_max: Duration::from_secs(30),
    look: Duration::from_millis(20),
};

struct Looking(Machine);

impl Gauges for Looking {
    /// The network's buffers are on the same heap: what a client takes is measured over loopback.
    fn heap(&self) -> usize {
        0
    }

    fn sockets(&self) -> usize {
        self.0.connection_count()
    }
}

/// A place where nothing answers.
struct BlackHole(Option<PeerOutput>);

impl Peer for BlackHole {
    fn handle_connected(&mut self, _: Instant, _: rocketmq_dev_broker::ConnectionId) {}
    fn handle_bytes(&mut self, _: Instant, _: rocketmq_dev_broker::ConnectionId, _: &[u8]) {}
    fn handle_closed(&mut self, _: Instant, _: rocketmq_dev_broker::ConnectionId) {}
    fn handle_timeout(&mut self, _: Instant) {}
    fn poll_output(&mut self) -> PeerOutput {
        self.0.take().unwrap_or(PeerOutput::Wait(None))
    }
}

fn site(case: &Case) -> Site {
    let at = |last: u8, port: u16| SocketAddr::from(([10, 9, 0, last], port));
    let lost = (0..case.lost).map(|index| {
        let port = u16::try_from(20_000 + index).expect("few places");
        at(200, port)
    });
    let name_servers =
        if case.two_name_servers { vec![at(1, 9_876), at(2, 9_876)] } else { vec![at(1, 9_876)] };
    Site {
        name_servers,
        good: at(3, 10_911),
        odd: at(4, 10_911),
        spare: at(4, 10_912),
        lost: lost.collect(),
        weight: 1,
    }
}

/// Runs a case in a world of its own.
#[must_use]
pub(crate) fn run_case(case: &Case, ledger: &SharedLedger) -> (Measured, Hours) {
    // One seed for every case: what differs is the case.
    let world = WorldBuilder::new(13).name_servers(0).brokers(0);
    world.run(async |ctx| {
        let site = site(case);
        let hours = hours(case, PACE, ctx.now());
        let mut cast = Cast::new(case, &site, hours, ledger, ctx.now());
        for (address, peer) in cast.peers.drain(..) {
            ctx.add_peer(address, peer);
        }
        for address in &site.lost {
            ctx.add_peer(*address, BlackHole(Some(PeerOutput::Listen(Door::Lost))));
        }
        let machine = ctx.machine();
        let looking = Looking(machine.clone());
        let world = World::Simulated(ctx, machine);
        let measured = run(&world, case, &site, PACE, hours, ledger, &looking).await;
        cast.check_commits(ledger);
        (measured, hours)
    })
}
