//! Answers to requests of the peer.

use super::*;
use crate::remoting::NoHeader;

impl World {
    /// Answers a request of the peer with so many bytes.
    fn respond(&mut self, id: ChannelId, bytes: usize) {
        let (code, body) = (ResponseCode::SUCCESS, Bytes::from(vec![7; bytes]));
        self.channels.respond(self.now, id, 1, code, None, &NoHeader, body);
    }

    /// Bytes that are to be written, over all connections.
    fn queued(&mut self) -> u64 {
        let outputs = self.outputs();
        let bytes = outputs.iter().map(|output| match output {
            Output::Transmit { chunks, .. } => chunks.iter().map(Bytes::len).sum(),
            _ => 0,
        });
        bytes.sum::<usize>() as u64
    }
}

fn open() -> (World, ChannelId) {
    let mut world = World::new();
    world.channels.connect(world.now, &A.into());
    let id = world.connect();
    (world, id)
}

#[test]
fn a_peer_that_does_not_read_its_answers_loses_the_connection_after_64_kib() {
    for (bytes, most) in [(0, 66_000), (1_000, 67_000), (70_000, 71_000)] {
        let (mut world, id) = open();
        let mut queued = 0;
        for _ in 0..100_000 {
            world.respond(id, bytes);
            queued += world.queued();
        }
        assert!(queued <= most, "{queued} bytes with answers of {bytes}");
        assert!(!world.channels.is_open(A), "{bytes}");
    }
}

#[test]
fn a_peer_that_reads_is_told_whatever_it_asks() {
    let (mut world, id) = open();
    let mut total = 0;
    for _ in 0..1_000 {
        // One may be larger than the bound.
        world.respond(id, 200_000);
        total += world.queued();
        world.channels.handle_transmitted(world.now, id, total);
    }
    assert!(world.channels.is_open(A) && total > 200_000_000);
}

#[test]
fn sends_that_wait_leave_answers_their_room() {
    let (mut world, id) = open();
    world.ask(A, 1, 3_000);
    let header = GetRouteInfoRequestHeader { topic: "T".into(), ..Default::default() };
    let (body, deadline) = (Bytes::from(vec![1; 1 << 20]), world.now + Duration::from_secs(3));
    world.channels.request(world.now, &A.into(), &header, body, deadline, 2);
    for _ in 0..100 {
        world.respond(id, 10);
    }
    assert!(world.channels.is_open(A));
}

#[test]
fn the_pause_before_the_next_connection_grows_though_the_peer_answers_in_between() {
    let mut world = World::new();
    let mut pauses = Vec::new();
    for purpose in 0..5 {
        world.ask(A, purpose, 30_000);
        let id = world.connect();
        let request = world.written().remove(0);
        world.answer(id, &request, ResponseCode::SUCCESS);
        world.respond(id, 70_000);
        world.respond(id, 0);
        world.outputs();
        let begun = world.now;
        while world.channels.paused_until(world.now, A).is_some() {
            world.pass(50);
        }
        pauses.push(world.now.saturating_since(begun).as_millis());
    }
    assert_eq!(pauses, [100, 200, 400, 800, 1_000]);
    world.ask(A, 9, 3_000);
    let id = world.connect();
    let request = world.written().remove(0);
    world.answer(id, &request, ResponseCode::SUCCESS);
    assert_eq!(world.channels.last_failure(A), None);
}
