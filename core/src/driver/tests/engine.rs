//! The drain loop on a scripted host.

use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::task::Poll;

use bytes::{Bytes, BytesMut};

use super::super::lock;
use super::script::{World, address, channel, delivery, frame, obey, poll_once};
use crate::client::{Chunks, ClientCommand, Command, Input, Output};
use crate::error::Error;
use crate::id::ConsumerId;
use crate::remoting::{Encoder, Head, NoHeader};
use crate::time::Instant;

/// Connects channel 0 as soon as the client asks for a name server.
pub(super) fn connecting(input: &Input, outputs: &mut VecDeque<Output>) {
    obey(input, outputs);
    if matches!(input, Input::Command(Command::Client(ClientCommand::Connect { .. }))) {
        outputs.push_back(Output::Connect {
            channel: channel(0),
            address: address(),
            endpoint: "a:1".into(),
        });
    }
}

pub(super) fn connected(mut world: World) -> World {
    drop(world.client().connect());
    let mut operation = world.client().connect();
    world.settle();
    assert!(matches!(poll_once(&mut operation), Poll::Ready(Ok(()))));
    world.socket(channel(0), |socket| socket.connected = true);
    world.settle();
    world.forget();
    world
}

fn chunks(parts: &[&'static [u8]]) -> Chunks {
    parts.iter().map(|part| Bytes::from_static(part)).collect()
}

#[test]
fn frames_that_arrive_in_any_pieces_go_in_whole_and_in_order() {
    let stream: Vec<u8> = [frame(1, b"one"), frame(2, b""), frame(3, b"three")].concat();
    for cut in 1..stream.len() {
        let mut world = connected(World::new(connecting));
        let (head, tail) = stream.split_at(cut);
        world.socket(channel(0), |socket| {
            socket.incoming.extend([Bytes::copy_from_slice(head), Bytes::copy_from_slice(tail)]);
        });
        world.settle();
        assert_eq!(
            world.told(),
            ["received ch0.0 1", "received ch0.0 2", "received ch0.0 3"],
            "cut at {cut}"
        );
    }
}

#[test]
fn frames_before_the_end_of_a_connection_are_not_lost_with_it() {
    let mut world = connected(World::new(connecting));
    world.socket(channel(0), |socket| socket.incoming.extend([frame(1, b"last words"), Bytes::new()]));
    world.settle();
    assert_eq!(world.told(), ["received ch0.0 1", "closed ch0.0 the peer closed the connection"]);
    assert_eq!(lock(&world.stage).closed, [channel(0)]);
}

#[test]
fn a_peer_that_speaks_nonsense_loses_its_connection_and_nothing_else() {
    let mut world = connected(World::new(connecting));
    world.socket(channel(0), |socket| {
        socket.incoming.push_back(Bytes::from_static(b"HTTP/1.1 200 OK\r\n\r\n"))
    });
    assert!(!world.settle());
    assert_eq!(world.told().len(), 1);
    assert!(world.told()[0].starts_with("closed ch0.0"), "{:?}", world.told());
}

/// Answers each frame with 3 chunks.
pub(super) fn echoing(input: &Input, outputs: &mut VecDeque<Output>) {
    connecting(input, outputs);
    if let Input::Received { channel, .. } = input {
        outputs.push_back(Output::Transmit {
            channel: *channel,
            chunks: chunks(&[b"abc", b"", b"defgh", b"ij"]),
        });
    }
}

#[test]
fn a_drain_writes_once_a_channel_and_says_how_much_went() {
    let mut world = connected(World::new(echoing));
    world.socket(channel(0), |socket| socket.incoming.extend([frame(1, b""), frame(2, b"")]));
    world.settle();
    assert_eq!(world.told(), ["received ch0.0 1", "received ch0.0 2", "transmitted ch0.0 20"]);
    world.socket(channel(0), |socket| {
        assert_eq!(socket.written, b"abcdefghijabcdefghij");
        assert_eq!(socket.writes, 1);
    });
}

#[test]
fn partial_writes_keep_the_order_and_only_accepted_bytes_are_reported() {
    let mut world = connected(World::new(echoing));
    world.socket(channel(0), |socket| {
        socket.takes.extend([2, 3, 0]);
        socket.incoming.push_back(frame(1, b""));
    });
    world.settle();
    assert_eq!(world.told(), ["received ch0.0 1", "transmitted ch0.0 5"]);
    world.socket(channel(0), |socket| assert_eq!(socket.written, b"abcde"));
    world.settle();
    assert_eq!(world.told()[2..], ["transmitted ch0.0 10"]);
    world.socket(channel(0), |socket| assert_eq!(socket.written, b"abcdefghij"));
}

#[test]
fn what_was_written_before_a_close_still_goes_out() {
    let mut world = connected(World::new(|input, outputs| {
        echoing(input, outputs);
        if let Input::Received { channel, .. } = input {
            outputs.push_back(Output::Close { channel: *channel, flush: true });
        }
    }));
    world.socket(channel(0), |socket| socket.incoming.push_back(frame(1, b"")));
    world.settle();
    assert_eq!(lock(&world.stage).last_words, [b"abcdefghij"]);
    assert_eq!(world.told(), ["received ch0.0 1"], "no input about a channel that the core closed");
}

#[test]
fn a_wake_up_touches_ready_sockets_only() {
    let mut world = connected(World::new(|input, outputs| {
        connecting(input, outputs);
        if matches!(input, Input::Connected { channel: first } if *first == channel(0)) {
            outputs.push_back(Output::Connect {
                channel: channel(1),
                address: address(),
                endpoint: "a:1".into(),
            });
        }
    }));
    world.socket(channel(1), |socket| socket.connected = true);
    world.settle();
    let idle = lock(&world.stage).sockets[&channel(1)].reads;
    let wakes = world.wakes.count();
    world.socket(channel(0), |socket| socket.incoming.push_back(frame(1, b"")));
    assert_eq!(world.wakes.count(), wakes + 1);
    world.settle();
    assert_eq!(lock(&world.stage).sockets[&channel(1)].reads, idle);
}

#[test]
fn a_talkative_channel_leaves_room_for_others() {
    let mut world = connected(World::new(connecting));
    let piece = frame(1, &[0; 60_000]);
    world.socket(channel(0), |socket| socket.incoming.extend(core::iter::repeat_n(piece, 100)));
    assert!(!world.drain());
    let first = world.told().len();
    assert!(first < 100, "one drain read everything: {first} frames");
    assert!(world.engine.is_raised(), "the rest asks for another drain");
    world.settle();
    assert_eq!(world.told().len(), 100);
}

/// A request of the peer.
fn request(opaque: i32) -> Vec<u8> {
    let mut out = BytesMut::new();
    let head = Head { code: 307, opaque, flag: 0, remark: None };
    Encoder::default().encode(&mut out, &head, &NoHeader, &[], 0);
    out.to_vec()
}

#[test]
fn a_flood_of_requests_is_taken_in_parts_between_which_answers_are_written() {
    let mut world = connected(World::new(connecting));
    let flood: Vec<u8> = (0..1_000).flat_map(request).collect();
    world.socket(channel(0), |socket| socket.incoming.push_back(flood.into()));
    let mut most = 0;
    while world.engine.is_raised() {
        let before = world.told().len();
        assert!(!world.drain());
        most = most.max(world.told().len() - before);
    }
    assert_eq!(world.told().len(), 1_000, "none is lost");
    assert!(most <= 128, "{most} in one drain");
}

#[test]
fn a_timeout_comes_when_due_and_not_before() {
    let mut world = World::new(connecting);
    lock(&world.stage).wanted = Some(Instant::from_millis(10));
    world.settle();
    world.forget();
    assert_eq!(lock(&world.stage).deadline, Instant::from_millis(10));
    lock(&world.stage).now = Instant::from_millis(9);
    world.settle();
    assert_eq!(world.told(), [""; 0], "nothing is due");
    lock(&world.stage).now = Instant::from_millis(10);
    lock(&world.stage).wanted = None;
    world.drain();
    assert_eq!(world.told(), ["Timeout"]);
}

#[test]
fn a_wall_clock_that_jumps_is_told_before_anything_else() {
    let mut world = connected(World::new(connecting));
    {
        let mut stage = lock(&world.stage);
        (stage.now, stage.wall_ahead_ms) = (Instant::from_millis(5_000), 50);
    }
    world.settle();
    assert_eq!(world.told(), [""; 0], "time that passes on both clocks is no jump, nor is a small step");
    lock(&world.stage).wall_ahead_ms = 3_600_000;
    world.socket(channel(0), |socket| socket.incoming.push_back(frame(1, b"")));
    world.settle();
    assert_eq!(world.told(), ["WallClock(Timestamp(3605000))", "received ch0.0 1"]);
}

#[test]
fn a_panic_of_the_core_ends_the_client_and_tells_everybody() {
    let mut world = connected(World::new(|input, outputs| {
        connecting(input, outputs);
        assert!(!matches!(input, Input::Received { .. }), "a rule of the core is broken");
    }));
    let mut stream = world.client().push_consumer("group").subscribe("TopicTest", "*").stream();
    world.settle();
    let Poll::Ready(Ok(mut stream)) = poll_once(&mut stream) else { panic!("the consumer starts") };
    let mut next = stream.next();
    assert!(poll_once(&mut next).is_pending());
    let mut waiting = world.client().connect();
    world.socket(channel(0), |socket| socket.incoming.push_back(frame(1, b"")));
    assert!(world.settle(), "the engine has ended");
    match poll_once(&mut waiting) {
        Poll::Ready(Err(Error::Bug(text))) => {
            assert!(text.contains("a rule of the core is broken"), "{text}")
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(poll_once(&mut next), Poll::Ready(None)));
    assert!(matches!(world.client().producer("group").build(), Err(Error::Bug(_))));
    assert_eq!(lock(&world.stage).closed, [channel(0)]);
}

#[test]
fn what_the_core_wants_after_the_last_round_of_a_drain_is_asked_for_in_the_next() {
    const ROUNDS: i64 = 40;
    // Nobody takes these deliveries, so each round tells the core of one and makes it want the next.
    let mut world = World::new(|input, outputs| {
        obey(input, outputs);
        let next = match input {
            Input::Command(_) => 0,
            Input::HandedBack { token } => token.queue_offset + 1,
            _ => return,
        };
        if next < ROUNDS {
            let deliveries = alloc::vec![delivery(0, next, 0, b"")];
            outputs.push_back(Output::Deliver { consumer: ConsumerId(0), deliveries });
        }
    });
    world.settle();
    world.forget();
    let operation = world.client().connect();
    assert!(!world.drain());
    let first = world.told().len();
    assert!(first < 20, "one drain did it all: {first} inputs");
    world.settle();
    assert_eq!(world.told().len(), 1 + usize::try_from(ROUNDS).expect("it is small"));
    drop(operation);
}
