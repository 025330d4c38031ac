//! Connections that are made at once.

use super::*;

/// The channels that the host is to connect.
fn connects(world: &mut World) -> Vec<ChannelId> {
    let outputs = world.outputs();
    outputs
        .iter()
        .filter_map(|output| match output {
            Output::Connect { channel, .. } => Some(*channel),
            _ => None,
        })
        .collect()
}

fn address(number: u32) -> String {
    format!("10.1.{}.{}:10911", number / 250, number % 250 + 1)
}

/// Heartbeats to so many brokers.
fn heartbeats(world: &mut World, brokers: u32) {
    for number in 0..brokers {
        let deadline = world.now + Duration::from_secs(3);
        let (code, address) = (RequestCode::HEART_BEAT, address(number));
        world.channels.request_ahead(world.now, &(&*address).into(), code, Bytes::new(), deadline, number);
    }
}

#[test]
fn requests_to_5_000_brokers_open_64_connections_at_a_time_in_order() {
    let mut world = World::new();
    for number in 0..5_000 {
        world.ask(&address(number), number, 3_000);
    }
    let (mut open, mut answered) = (connects(&mut world), Vec::new());
    while !open.is_empty() {
        assert!(open.len() <= 64, "{}", open.len());
        for id in core::mem::take(&mut open) {
            world.channels.handle_connected(world.now, id);
            for output in world.outputs() {
                match output {
                    Output::Connect { channel, .. } => open.push(channel),
                    Output::Transmit { channel, chunks } => {
                        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
                        chunks.iter().for_each(|chunk| decoder.buffer_mut().extend_from_slice(chunk));
                        let request = decoder.next_frame().expect("our own").expect("whole");
                        world.answer(channel, &request, ResponseCode::SUCCESS);
                    }
                    _ => {}
                }
            }
            world.channels.handle_timeout(world.now);
            open.extend(connects(&mut world));
            answered.extend(world.replies().into_iter().map(|(purpose, _)| purpose));
        }
    }
    assert_eq!(answered, (0..5_000).collect::<Vec<_>>());
}

#[test]
fn who_waits_for_a_place_in_vain_is_out_of_time_as_it_asked() {
    let mut world = World::new();
    for number in 0..100 {
        world.ask(&address(number), number, 1_000);
    }
    assert_eq!(connects(&mut world).len(), 64);
    world.pass(999);
    assert!(world.replies().is_empty());
    world.pass(1);
    assert_eq!(world.replies().len(), 100);
    world.pass(2_000);
    assert_eq!(world.channels.next_deadline(), None, "nothing is left of those that waited");
    assert_eq!(world.channels.last_failure(&address(99)), None, "and nothing is held against them");
}

#[test]
fn failures_and_closes_free_their_places() {
    let mut world = World::new();
    for number in 0..200 {
        world.ask(&address(number), number, 30_000);
    }
    let first = connects(&mut world);
    for id in &first[..10] {
        world.channels.handle_closed(world.now, *id, &"refused".into());
    }
    world.channels.handle_timeout(world.now);
    assert_eq!(connects(&mut world).len(), 10);
    world.pass(3_000);
    assert!(!connects(&mut world).is_empty(), "connects that ran out of time");
}

#[test]
fn a_peer_that_takes_the_connection_and_says_nothing_keeps_its_place() {
    let mut world = World::new();
    for number in 0..200 {
        world.ask(&address(number), number, 30_000);
    }
    for id in connects(&mut world) {
        world.channels.handle_connected(world.now, id);
    }
    world.channels.handle_timeout(world.now);
    assert_eq!(connects(&mut world).len(), 0);
}

#[test]
fn heartbeats_to_dead_brokers_leave_places_for_sends() {
    let mut world = World::new();
    heartbeats(&mut world, 500);
    assert_eq!(connects(&mut world).len(), 48);
    world.ask("10.9.9.9:10911", 1_000, 3_000);
    assert_eq!(connects(&mut world).len(), 1);
    // A broker that only a heartbeat wanted is next when somebody sends to it.
    world.ask(&address(499), 1_001, 3_000);
    assert_eq!(connects(&mut world).len(), 1);
}

#[test]
fn a_name_server_is_connected_to_however_many_brokers_are_dead() {
    let mut world = World::new();
    for number in 0..500 {
        world.ask(&address(number), number, 30_000);
    }
    assert_eq!(connects(&mut world).len(), 64);
    world.ask(A, 1_000, 3_000);
    assert_eq!(connects(&mut world).len(), 1, "it is the name server");
}

#[test]
fn brokers_that_could_not_be_reached_the_last_time_leave_places_and_go_last() {
    let mut world = World::new();
    for number in 0..64 {
        world.ask(&address(number), number, 30_000);
    }
    for id in connects(&mut world) {
        world.channels.handle_closed(world.now, id, &"no route to host".into());
    }
    world.replies();
    world.pass(1_000);
    for number in 0..64 {
        world.ask(&address(number), number, 30_000);
    }
    let again = connects(&mut world);
    assert_eq!(again.len(), 56);
    for number in 100..110 {
        world.ask(&address(number), number, 30_000);
    }
    assert_eq!(connects(&mut world).len(), 8, "so many places are kept for others");
    world.channels.handle_closed(world.now, again[1], &"no route to host".into());
    world.channels.handle_timeout(world.now);
    assert_eq!(connects(&mut world).len(), 1, "one of the two others that wait");
}
