//! GO_AWAY.

use super::*;

impl World {
    /// The request that is written, which must be one.
    fn one_written(&mut self) -> RemotingCommand {
        let mut written = self.written();
        assert_eq!(written.len(), 1, "{written:?}");
        written.remove(0)
    }
}

#[test]
fn a_request_that_is_sent_away_is_made_once_more_on_a_new_connection_with_the_time_that_is_left() {
    let mut world = World::new();
    world.ask(A, 1, 3_000);
    let old = world.connect();
    let first = world.one_written();
    world.pass(1_000);
    world.answer(old, &first, ResponseCode::GO_AWAY);
    assert_eq!(world.replies(), [], "nobody hears of it");
    let new = world.connect();
    assert_ne!(old, new);
    let second = world.one_written();
    assert_eq!(format!("{first:?}"), format!("{second:?}"));
    assert_eq!(first.body, second.body);
    world.pass(1_999);
    assert_eq!(world.replies(), []);
    world.pass(1);
    assert_eq!(world.replies(), [(1, "unknown: no answer within the time allowed".to_string())]);
    assert_eq!(world.channels.statistics().requests, 1);
}

#[test]
fn a_second_go_away_is_an_error_and_the_address_is_left_alone() {
    let mut world = World::new();
    world.ask(A, 1, 3_000);
    for _ in 0..2 {
        let id = world.connect();
        let request = world.one_written();
        world.answer(id, &request, ResponseCode::GO_AWAY);
    }
    let cause =
        format!("not sent: the connection to {A} was lost: it asked twice to reconnect (1500 GO_AWAY)");
    assert_eq!(world.replies(), [(1, cause.clone())]);
    world.outputs();
    world.ask(A, 2, 3_000);
    assert_eq!(world.replies(), [(2, cause)]);
    // The pause grows as long as the peer sends everything away.
    for pause_ms in [100, 200, 400] {
        world.pass(pause_ms - 1);
        world.ask(A, 3, 3_000);
        assert_eq!(world.replies().len(), 1, "{pause_ms} ms aren't over");
        assert!(world.outputs().is_empty());
        world.pass(1);
        world.ask(A, 4, 3_000);
        for _ in 0..2 {
            let id = world.connect();
            let request = world.one_written();
            world.answer(id, &request, ResponseCode::GO_AWAY);
        }
        assert_eq!(world.replies().len(), 1);
        world.outputs();
    }
}

#[test]
fn the_old_connection_drains_while_new_requests_take_the_new_one() {
    let mut world = World::new();
    world.ask(A, 1, 3_000);
    world.ask(A, 2, 3_000);
    let old = world.connect();
    let requests = world.written();
    world.answer(old, &requests[0], ResponseCode::GO_AWAY);
    world.ask(A, 3, 3_000);
    let new = world.connect();
    let again = world.written();
    assert_eq!(again.len(), 2, "the one that was sent away, and the new one: {again:?}");
    assert_eq!(again[0].opaque, requests[0].opaque);
    let bytes: u64 = requests.iter().map(written_len).sum();
    world.channels.handle_transmitted(world.now, old, bytes);
    world.answer(old, &requests[1], ResponseCode::SUCCESS);
    for request in &again {
        world.answer(new, request, ResponseCode::SUCCESS);
    }
    assert_eq!(world.replies(), [2, 1, 3].map(|purpose| (purpose, "ok 0".to_string())));
    let closed: Vec<ChannelId> = world
        .outputs()
        .iter()
        .filter_map(|output| match output {
            Output::Close { channel, .. } => Some(*channel),
            _ => None,
        })
        .collect();
    assert_eq!(closed, [old]);
}

#[test]
fn all_that_an_old_connection_sends_away_goes_to_the_same_new_one() {
    let mut world = World::new();
    for purpose in 1..=3 {
        world.ask(A, purpose, 3_000);
    }
    let old = world.connect();
    let requests = world.written();
    world.answer(old, &requests[0], ResponseCode::GO_AWAY);
    world.answer(old, &requests[1], ResponseCode::GO_AWAY);
    let new = world.connect();
    assert_eq!(world.written().len(), 2);
    world.answer(old, &requests[2], ResponseCode::GO_AWAY);
    let again = world.outputs();
    let to_new = |output: &&Output| matches!(output, Output::Transmit { channel, .. } if *channel == new);
    assert_eq!(again.iter().filter(to_new).count(), 1);
    for request in &requests {
        world.answer(new, request, ResponseCode::SUCCESS);
    }
    assert_eq!(world.replies(), [1, 2, 3].map(|purpose| (purpose, "ok 0".to_string())));
    assert_eq!(world.channels.next_deadline().map(|at| at > world.now), Some(true));
    assert_eq!(world.channels.pending(), 0);
}

#[test]
fn a_request_that_is_made_again_where_nobody_can_be_reached_was_not_sent() {
    let mut world = World::new();
    world.ask(A, 1, 3_000);
    let old = world.connect();
    let first = world.one_written();
    world.answer(old, &first, ResponseCode::GO_AWAY);
    let new = world.outputs().iter().find_map(|output| match output {
        Output::Connect { channel, .. } => Some(*channel),
        _ => None,
    });
    world.channels.handle_closed(world.now, new.expect("a connect"), &"refused".into());
    assert_eq!(world.replies(), [(1, format!("not sent: can't connect to {A}: refused"))]);
}

#[test]
fn the_end_of_a_replaced_connection_says_nothing_about_the_address() {
    let mut world = World::new();
    world.ask(A, 1, 3_000);
    world.ask(A, 2, 3_000);
    let old = world.connect();
    let requests = world.written();
    world.answer(old, &requests[0], ResponseCode::GO_AWAY);
    world.connect();
    world.channels.handle_closed(world.now, old, &"gone".into());
    let closed = core::iter::from_fn(|| world.channels.poll_event())
        .filter(|event| matches!(event, ChannelEvent::Closed { .. }))
        .count();
    assert_eq!(closed, 0);
    assert!(world.channels.is_open(A));
}
