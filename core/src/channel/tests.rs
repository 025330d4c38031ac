//! One machine, no sockets: what goes in, what must come out.

mod again;
mod answers;
mod breaks;
mod counts;
mod places;

use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;

use alloc::format;
use core::time::Duration;

use super::*;
use crate::remoting::{
    FLAG_RESPONSE, FRAME_BYTES_MAX, FrameDecoder, GetRouteInfoRequestHeader, RequestCode, ResponseCode,
};

const A: &str = "10.0.0.1:10911";

struct World {
    channels: Channels<u32>,
    now: Instant,
}

impl World {
    fn new() -> Self {
        let config = ClientConfig::new([A]);
        Self { channels: Channels::new(&config, &mut Rng::new(1)), now: Instant::from_millis(1_000) }
    }

    fn ask(&mut self, address: &str, purpose: u32, timeout_ms: u64) {
        let header = GetRouteInfoRequestHeader { topic: "T".into(), ..Default::default() };
        let deadline = self.now + Duration::from_millis(timeout_ms);
        self.channels.request(self.now, &address.into(), &header, Bytes::new(), deadline, purpose);
    }

    fn pass(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
        self.channels.handle_timeout(self.now);
    }

    fn outputs(&mut self) -> Vec<Output> {
        core::iter::from_fn(|| self.channels.poll_output()).collect()
    }

    fn connect(&mut self) -> ChannelId {
        let id = self.connecting();
        self.channels.handle_connected(self.now, id);
        id
    }

    fn connecting(&mut self) -> ChannelId {
        match &self.outputs()[..] {
            [Output::Connect { channel, .. }] => *channel,
            other => panic!("expected one connect, got {other:?}"),
        }
    }

    fn written(&mut self) -> Vec<RemotingCommand> {
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        for output in self.outputs() {
            if let Output::Transmit { chunks, .. } = output {
                chunks.iter().for_each(|chunk| decoder.buffer_mut().extend_from_slice(chunk));
            }
        }
        core::iter::from_fn(|| decoder.next_frame().expect("frames of our own")).collect()
    }

    fn answer(&mut self, id: ChannelId, request: &RemotingCommand, code: ResponseCode) {
        let command = RemotingCommand { code: code.0, flag: FLAG_RESPONSE, ..request.clone() };
        self.channels.handle_received(self.now, id, command);
    }

    /// Purpose and result of each reply: `ok N`, or `not sent` / `unknown` with the cause.
    fn replies(&mut self) -> Vec<(u32, String)> {
        core::iter::from_fn(|| self.channels.poll_event())
            .filter_map(|event| match event {
                ChannelEvent::Reply { purpose, reply: Ok(command) } => {
                    Some((purpose, format!("ok {}", command.code)))
                }
                ChannelEvent::Reply { purpose, reply: Err(failure) } => {
                    let sure = if failure.not_sent { "not sent" } else { "unknown" };
                    Some((purpose, format!("{sure}: {}", failure.cause)))
                }
                _ => None,
            })
            .collect()
    }
}

#[test]
fn requests_made_while_connecting_share_one_connection_and_go_out_in_order() {
    let mut world = World::new();
    world.ask(A, 1, 3_000);
    world.ask(A, 2, 3_000);
    let id = world.connect();
    let requests = world.written();
    assert_eq!(requests.len(), 2);
    world.answer(id, &requests[1], ResponseCode::SUCCESS);
    world.answer(id, &requests[0], ResponseCode::TOPIC_NOT_EXIST);
    assert_eq!(world.replies(), [(2, "ok 0".to_string()), (1, "ok 17".to_string())]);
    assert_eq!(world.channels.pending(), 0);
}

#[test]
fn a_request_that_expires_before_the_connection_is_up_is_never_sent() {
    let mut world = World::new();
    world.ask(A, 1, 100);
    world.ask(A, 2, 2_000);
    let id = world.connecting();
    world.pass(100);
    assert_eq!(world.replies(), [(1, "not sent: no answer within the time allowed".to_string())]);
    world.channels.handle_connected(world.now, id);
    assert_eq!(world.written().len(), 1);
}

#[test]
fn when_a_connection_ends_only_frames_the_socket_took_whole_are_unknown() {
    let mut world = World::new();
    world.ask(A, 1, 3_000);
    let id = world.connect();
    let first = world.written();
    world.ask(A, 2, 3_000);
    world.channels.handle_transmitted(world.now, id, written_len(&first[0]) + 5);
    world.channels.handle_closed(world.now, id, &"reset".into());
    let lost = format!("the connection to {A} was lost: reset");
    assert_eq!(world.replies(), [(1, format!("unknown: {lost}")), (2, format!("not sent: {lost}"))]);
    assert_eq!(world.channels.next_deadline(), None, "no timer is left behind");
}

/// The length of a command as this client writes it.
fn written_len(command: &RemotingCommand) -> u64 {
    let mut out = bytes::BytesMut::new();
    Encoder::default().encode_command(&mut out, command);
    out.len() as u64
}

#[test]
fn an_address_that_refuses_is_left_alone_for_longer_and_longer() {
    let mut world = World::new();
    world.ask(A, 1, 3_000);
    let id = world.connecting();
    world.channels.handle_closed(world.now, id, &"refused".into());
    world.ask(A, 2, 3_000);
    assert!(world.outputs().is_empty(), "within the pause nothing is tried");
    let refused = format!("not sent: can't connect to {A}: refused");
    assert_eq!(world.replies(), [(1, refused.clone()), (2, refused)]);
    world.pass(100);
    world.ask(A, 3, 3_000);
    let id = world.connecting();
    world.channels.handle_closed(world.now, id, &"refused".into());
    world.pass(199);
    world.ask(A, 4, 3_000);
    assert!(world.outputs().is_empty());
    world.pass(1);
    world.ask(A, 5, 3_000);
    assert_eq!(world.outputs().len(), 1);
}

#[test]
fn a_name_with_two_addresses_is_tried_at_both_and_requests_survive_the_first() {
    let mut world = World::new();
    world.ask("mq.example:9876", 7, 3_000);
    let token = match &world.outputs()[..] {
        [Output::Resolve { token, host, port: 9876 }] if &**host == "mq.example" => *token,
        other => panic!("expected a look-up, got {other:?}"),
    };
    let addresses = ["10.0.0.1:9876", "10.0.0.2:9876"].map(|text| text.parse().expect("an address"));
    world.channels.handle_resolved(world.now, token, Ok(SmallVec::from_slice(&addresses)));
    let first = world.connecting();
    world.channels.handle_closed(world.now, first, &"refused".into());
    assert!(world.replies().is_empty());
    let second = world.connect();
    assert_ne!(first, second);
    let requests = world.written();
    world.answer(second, &requests[0], ResponseCode::SUCCESS);
    assert_eq!(world.replies(), [(7, "ok 0".to_string())]);
}

#[test]
fn a_name_that_cannot_be_resolved_fails_its_requests_at_once() {
    let mut world = World::new();
    world.ask("nowhere.example:1", 1, 3_000);
    let Some(Output::Resolve { token, .. }) = world.channels.poll_output() else {
        panic!("expected a look-up")
    };
    world.channels.handle_resolved(world.now, token, Err("unknown host".into()));
    assert_eq!(
        world.replies(),
        [(1, "not sent: nowhere.example can't be resolved: unknown host".to_string())]
    );
}

#[test]
fn a_connection_on_which_nothing_comes_any_more_is_given_up_with_all_it_holds() {
    let mut world = World::new();
    world.ask(A, 1, 3_000);
    world.ask(A, 2, 30_000);
    let id = world.connect();
    world.written();
    world.pass(3_000);
    let replies = world.replies();
    assert_eq!(replies.len(), 2, "the long request fails with the short one: {replies:?}");
    assert!(replies.iter().any(|(purpose, text)| *purpose == 2 && text.contains("nothing came for 3000 ms")));
    assert!(matches!(&world.outputs()[..], [Output::Close { channel, flush: false }] if *channel == id));
}

#[test]
fn nobody_waits_for_the_silence_of_a_peer_that_has_spoken_since() {
    let mut world = World::new();
    world.ask(A, 1, 60_000);
    world.ask(A, 2, 60_000);
    let id = world.connect();
    let requests = world.written();
    let asked = world.now;
    assert_eq!(world.channels.next_deadline(), Some(asked + Duration::from_secs(5)));
    world.pass(300);
    world.answer(id, &requests[0], ResponseCode::SUCCESS);
    assert_eq!(world.channels.next_deadline(), Some(asked + Duration::from_secs(5)), "it is not worth it");
    world.pass(3_700);
    world.ask(A, 3, 60_000);
    let request = world.written();
    world.answer(id, &request[0], ResponseCode::SUCCESS);
    assert_eq!(world.channels.next_deadline(), Some(asked + Duration::from_secs(9)));
    world.pass(5_000);
    let silent = core::iter::from_fn(|| world.channels.poll_event());
    assert_eq!(silent.filter(|event| matches!(event, ChannelEvent::Silent { .. })).count(), 1);
}

#[test]
fn a_silence_is_noticed_in_time_whatever_was_in_doubt_before() {
    let mut world = World::new();
    world.channels.limits.silence_max = Duration::from_secs(30);
    world.ask(A, 1, 3_000);
    world.connect();
    world.written();
    let asked = world.now;
    world.pass(3_000);
    assert_eq!(world.replies().len(), 1, "it is out of time, and the peer in doubt for 30 s");
    assert_eq!(world.channels.next_deadline(), Some(asked + Duration::from_secs(30)));
    world.pass(1_000);
    world.ask(A, 2, 60_000);
    assert_eq!(world.channels.next_deadline(), Some(asked + Duration::from_secs(9)));
    world.pass(5_000);
    let silent = core::iter::from_fn(|| world.channels.poll_event());
    assert_eq!(silent.filter(|event| matches!(event, ChannelEvent::Silent { .. })).count(), 1);
}

#[test]
fn a_timeout_while_other_answers_come_costs_only_that_request() {
    let mut world = World::new();
    world.ask(A, 1, 3_000);
    world.ask(A, 2, 30_000);
    let id = world.connect();
    let requests = world.written();
    world.pass(1_000);
    world.ask(A, 3, 30_000);
    world.answer(id, &requests[1], ResponseCode::SUCCESS);
    world.pass(2_000);
    let replies = world.replies();
    assert_eq!(replies.iter().map(|(purpose, _)| *purpose).collect::<Vec<_>>(), [2, 1]);
    assert!(world.channels.is_open(A));
    world.answer(id, &requests[0], ResponseCode::SUCCESS);
    assert!(world.replies().is_empty(), "the late answer is nobody's");
}

#[test]
fn events_of_a_dead_connection_do_nothing_to_its_successor() {
    let mut world = World::new();
    world.ask(A, 1, 3_000);
    let old = world.connect();
    let request = world.written().remove(0);
    world.channels.handle_closed(world.now, old, &"reset".into());
    world.replies();
    world.pass(3_000);
    world.ask(A, 2, 3_000);
    let new = world.connect();
    assert_ne!(old, new);
    world.answer(old, &request, ResponseCode::SUCCESS);
    world.channels.handle_closed(world.now, old, &"again".into());
    assert!(world.replies().is_empty());
    assert!(world.channels.is_open(A));
}

#[test]
fn an_idle_connection_is_closed_and_an_active_one_is_not() {
    let mut world = World::new();
    world.ask(A, 1, 3_000);
    let id = world.connect();
    let request = world.written().remove(0);
    world.answer(id, &request, ResponseCode::SUCCESS);
    world.pass(60_000);
    world.ask(A, 2, 200_000);
    world.pass(60_000);
    assert!(world.channels.is_open(A));
    world.pass(60_000);
    assert!(!world.channels.is_open(A));
}

#[test]
fn a_one_way_request_ends_when_its_last_byte_is_taken() {
    let mut world = World::new();
    let header = GetRouteInfoRequestHeader { topic: "T".into(), ..Default::default() };
    world.channels.oneway(world.now, &A.into(), &header, Bytes::from(vec![1; 10]), Some(5));
    let id = world.connect();
    let bytes: usize = world
        .outputs()
        .iter()
        .map(|output| match output {
            Output::Transmit { chunks, .. } => chunks.iter().map(Bytes::len).sum(),
            _ => 0,
        })
        .sum();
    let written = |world: &mut World| {
        core::iter::from_fn(|| world.channels.poll_event())
            .filter(|event| matches!(event, ChannelEvent::Written { purpose: 5 }))
            .count()
    };
    world.channels.handle_transmitted(world.now, id, bytes as u64 - 1);
    assert_eq!(written(&mut world), 0);
    world.channels.handle_transmitted(world.now, id, bytes as u64);
    assert_eq!(written(&mut world), 1);
}

#[test]
fn no_opaque_is_used_twice_while_it_waits_also_across_the_wrap() {
    let mut world = World::new();
    world.channels.next_opaque = i32::MAX - 1;
    for purpose in 0..4 {
        world.ask(A, purpose, 3_000);
    }
    world.connect();
    let opaques: Vec<i32> = world.written().iter().map(|command| command.opaque).collect();
    assert_eq!(opaques, [i32::MAX - 1, i32::MAX, 0, 1]);
    world.channels.next_opaque = i32::MAX;
    world.ask(A, 4, 3_000);
    assert_eq!(world.written()[0].opaque, 2);
}

#[test]
fn a_full_response_table_refuses_with_a_number() {
    let mut world = World::new();
    world.channels.limits.pending_max = 1;
    world.ask(A, 1, 3_000);
    world.ask(A, 2, 3_000);
    assert_eq!(
        world.replies(),
        [(2, "not sent: 1 requests are already waiting on the connection".to_string())]
    );
}

#[test]
fn a_short_deadline_does_not_tear_down_a_connection_that_others_use() {
    let mut world = World::new();
    world.ask(A, 1, 20);
    world.ask(A, 2, 30_000);
    let id = world.connect();
    let requests = world.written();
    world.pass(20);
    assert_eq!(world.replies().len(), 1, "only the request that is out of time");
    world.pass(1_000);
    world.answer(id, &requests[1], ResponseCode::SUCCESS);
    assert_eq!(world.replies(), [(2, "ok 0".to_string())]);
}

#[test]
fn an_address_that_swallows_packets_leaves_time_for_the_next() {
    let mut world = World::new();
    world.ask("mq.example:9876", 7, 3_000);
    let Some(Output::Resolve { token, .. }) = world.channels.poll_output() else {
        panic!("expected a look-up")
    };
    let addresses = ["10.0.0.1:9876", "10.0.0.2:9876"].map(|text| text.parse().expect("an address"));
    world.channels.handle_resolved(world.now, token, Ok(SmallVec::from_slice(&addresses)));
    let first = world.connecting();
    world.pass(1_500);
    let outputs = world.outputs();
    let [Output::Close { channel: closed, flush: false }, Output::Connect { channel: second, address, .. }] =
        &outputs[..]
    else {
        panic!("expected the next address, got {outputs:?}")
    };
    assert_eq!((*closed, *address), (first, addresses[1]));
    world.channels.handle_connected(world.now, *second);
    assert_eq!(world.written().len(), 1);
}

#[test]
fn closing_everything_writes_what_is_queued_and_giving_up_a_connection_does_not() {
    let mut world = World::new();
    world.ask(A, 1, 3_000);
    world.connect();
    world.channels.close_all(&"over".into());
    let outputs = world.outputs();
    assert!(
        matches!(&outputs[..], [Output::Transmit { .. }, Output::Close { flush: true, .. }]),
        "{outputs:?}"
    );
    let mut world = World::new();
    world.ask(A, 1, 3_000);
    world.connect();
    world.pass(3_000);
    let outputs = world.outputs();
    assert!(matches!(&outputs[..], [Output::Close { flush: false, .. }]), "{outputs:?}");
}

#[test]
fn a_peer_that_does_not_read_is_not_fed_without_bound() {
    let mut world = World::new();
    world.channels.limits.outbox_bytes_max = 100;
    world.ask(A, 1, 3_000);
    let id = world.connect();
    let length = written_len(&world.written()[0]);
    world.ask(A, 2, 3_000);
    let refused = format!("not sent: {length} bytes are waiting to be written on the connection");
    assert_eq!(world.replies(), [(2, refused)]);
    world.channels.handle_transmitted(world.now, id, length);
    world.ask(A, 3, 3_000);
    assert!(world.replies().is_empty());
}
