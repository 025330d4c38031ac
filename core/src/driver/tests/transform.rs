//! Byte transforms between channel and socket, on a scripted host.

use super::super::std;
use alloc::boxed::Box;
use alloc::vec::Vec;
use core::net::{Ipv4Addr, SocketAddr};

use bytes::{Bytes, BytesMut};
use std::io;

use super::super::{Endpoint, Link, Options, Transform, lock};
use super::engine::{connected, connecting, echoing};
use super::script::{World, address, channel, frame};
use crate::client::{Input, Output};

/// A world whose connections go through this chain, to where they would go without it.
fn through(chain: impl Fn() -> Vec<Box<dyn Transform>> + Send + 'static) -> World {
    connected(World::with(linked(move |to| Ok(Link { dial: to.address, transforms: chain() })), echoing))
}

fn linked(link: impl FnMut(&Endpoint) -> io::Result<Link> + Send + 'static) -> Options {
    Options { transforms: Some(Box::new(link)), ..Options::default() }
}

/// Says hello, adds one to every byte, and takes only pairs of bytes.
#[derive(Default)]
struct PlusOne {
    established: bool,
}

fn plus_one() -> Box<dyn Transform> {
    Box::new(PlusOne::default())
}

impl Transform for PlusOne {
    fn start(&mut self, wire: &mut BytesMut) -> io::Result<()> {
        wire.extend_from_slice(b"hello");
        Ok(())
    }

    fn inbound(
        &mut self,
        arrived: &mut BytesMut,
        plain: &mut BytesMut,
        wire: &mut BytesMut,
    ) -> io::Result<()> {
        if !self.established {
            if arrived.len() < 5 {
                return Ok(());
            }
            if arrived.split_to(5) != b"HELLO"[..] {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "no greeting"));
            }
            self.established = true;
            wire.extend_from_slice(b"thanks");
        }
        let whole = arrived.split_to(arrived.len() / 2 * 2);
        plain.extend(whole.iter().map(|byte| byte.wrapping_sub(1)));
        Ok(())
    }

    fn outbound(&mut self, plain: &[u8], wire: &mut BytesMut) -> io::Result<()> {
        wire.extend(plain.iter().map(|byte| byte.wrapping_add(1)));
        Ok(())
    }

    fn is_established(&self) -> bool {
        self.established
    }
}

#[test]
fn a_transform_shakes_hands_first_and_then_changes_both_directions() {
    let mut world = through(|| alloc::vec![plus_one()]);
    assert_eq!(world.told(), [""; 0], "the core does not hear of a connection before the handshake ends");
    world.socket(channel(0), |socket| {
        assert_eq!(socket.written, b"hello");
        socket.incoming.extend([Bytes::from_static(b"HEL"), Bytes::from_static(b"LO")]);
    });
    world.settle();
    assert_eq!(world.told()[0], "connected ch0.0");
    let changed: Vec<u8> = frame(1, b"plain").iter().map(|byte| byte.wrapping_add(1)).collect();
    // One byte stays back until its pair comes.
    let spare = usize::from(changed.len() % 2 == 1);
    world.socket(channel(0), |socket| {
        socket.takes.extend([4, 0]);
        socket.incoming.push_back(Bytes::from(changed));
        if spare == 1 {
            socket.incoming.push_back(Bytes::from_static(b"\x01"));
        }
    });
    world.forget();
    world.settle();
    world.settle();
    assert_eq!(
        world.told(),
        ["received ch0.0 1", "transmitted ch0.0 8"],
        "a piece counts when the socket took any of it"
    );
    world.socket(channel(0), |_| {});
    world.settle();
    assert_eq!(world.told()[2..], ["transmitted ch0.0 10"]);
    world.socket(channel(0), |socket| assert_eq!(socket.written, b"hellothanksbcdefghijk"));
}

#[test]
fn a_failed_handshake_is_a_connection_that_never_came_up() {
    let mut world = through(|| alloc::vec![plus_one()]);
    world.socket(channel(0), |socket| socket.incoming.push_back(Bytes::from_static(b"howdy")));
    world.settle();
    assert_eq!(world.told(), ["closed ch0.0 no greeting"]);
}

/// Like a proxy: asks for a name, waits for `ok`, then changes nothing.
struct Ask {
    name: Bytes,
    established: bool,
}

impl Transform for Ask {
    fn start(&mut self, wire: &mut BytesMut) -> io::Result<()> {
        wire.extend_from_slice(&self.name);
        Ok(())
    }

    fn inbound(&mut self, arrived: &mut BytesMut, plain: &mut BytesMut, _: &mut BytesMut) -> io::Result<()> {
        if !self.established && arrived.len() >= 2 {
            assert_eq!(arrived.split_to(2), b"ok"[..]);
            self.established = true;
        }
        if self.established {
            plain.extend_from_slice(&arrived.split());
        }
        Ok(())
    }

    fn outbound(&mut self, plain: &[u8], wire: &mut BytesMut) -> io::Result<()> {
        wire.extend_from_slice(plain);
        Ok(())
    }

    fn is_established(&self) -> bool {
        self.established
    }
}

#[test]
fn a_chain_shakes_hands_from_the_socket_inwards_and_dials_where_it_says() {
    let proxy = SocketAddr::from((Ipv4Addr::LOCALHOST, 1080));
    let options = linked(move |endpoint| {
        assert_eq!(*endpoint, Endpoint { name: "a:1".into(), address: address() });
        let ask = Ask { name: Bytes::copy_from_slice(endpoint.name.as_bytes()), established: false };
        Ok(Link { dial: proxy, transforms: alloc::vec![plus_one(), Box::new(ask)] })
    });
    let mut world = connected(World::with(options, echoing));
    assert_eq!(lock(&world.stage).dialled, [proxy]);
    world.socket(channel(0), |socket| {
        assert_eq!(socket.written, b"a:1", "the inner one waits for the outer one");
        socket.incoming.push_back(Bytes::from_static(b"ok"));
    });
    world.settle();
    assert_eq!(world.told(), [""; 0], "one of two handshakes has ended");
    let changed: Vec<u8> = frame(1, b"plain!").iter().map(|byte| byte.wrapping_add(1)).collect();
    assert!(changed.len().is_multiple_of(2), "pairs only");
    world.socket(channel(0), |socket| {
        assert_eq!(socket.written, b"a:1hello");
        // The end of the handshake and the first frame come in one piece.
        socket.incoming.push_back(Bytes::from([b"HELLO".as_slice(), &changed].concat()));
    });
    world.settle();
    assert_eq!(world.told(), ["connected ch0.0", "received ch0.0 1", "transmitted ch0.0 10"]);
    world.socket(channel(0), |socket| assert_eq!(socket.written, b"a:1hellothanksbcdefghijk"));
}

#[test]
fn a_link_that_can_not_be_made_is_a_connection_that_never_came_up() {
    let mut world = World::with(linked(|_| Err(io::Error::other("no proxy for it"))), connecting);
    world.settle();
    world.forget();
    let operation = world.client().connect();
    world.settle();
    assert_eq!(world.told()[1..], ["closed ch0.0 no proxy for it"]);
    assert!(lock(&world.stage).dialled.is_empty());
    drop(operation);
}

/// Sends two frames of four bytes in one go for each frame that comes.
fn twice(input: &Input, outputs: &mut alloc::collections::VecDeque<Output>) {
    connecting(input, outputs);
    if let Input::Received { channel, .. } = input {
        for frame in [b"1111", b"2222"] {
            let chunks = core::iter::once(Bytes::from_static(frame)).collect();
            outputs.push_back(Output::Transmit { channel: *channel, chunks });
        }
    }
}

/// Two bytes on the wire for each plain one.
struct Doubled;

impl Transform for Doubled {
    fn start(&mut self, _: &mut BytesMut) -> io::Result<()> {
        Ok(())
    }

    fn inbound(&mut self, arrived: &mut BytesMut, plain: &mut BytesMut, _: &mut BytesMut) -> io::Result<()> {
        plain.extend_from_slice(&arrived.split());
        Ok(())
    }

    fn outbound(&mut self, plain: &[u8], wire: &mut BytesMut) -> io::Result<()> {
        wire.extend(plain.iter().flat_map(|byte| [*byte; 2]));
        Ok(())
    }

    fn is_established(&self) -> bool {
        true
    }
}

#[test]
fn a_frame_of_which_the_socket_took_a_byte_may_have_been_sent() {
    // Bytes that the socket takes before it resets, and what the core is told to be on its way.
    for (taken, transmitted) in [(7, Some(4)), (8, Some(4)), (9, Some(8)), (0, None)] {
        let options = linked(|to| Ok(Link { dial: to.address, transforms: alloc::vec![Box::new(Doubled)] }));
        let mut world = connected(World::with(options, twice));
        world.socket(channel(0), |socket| {
            socket.takes.extend([taken, 0]);
            socket.incoming.push_back(frame(1, b""));
        });
        world.settle();
        world.socket(channel(0), |socket| socket.incoming.push_back(Bytes::new()));
        world.settle();
        let mut expected = alloc::vec![alloc::string::String::from("received ch0.0 1")];
        expected.extend(transmitted.map(|bytes| alloc::format!("transmitted ch0.0 {bytes}")));
        expected.push("closed ch0.0 the peer closed the connection".into());
        assert_eq!(world.told(), expected, "the socket took {taken}");
    }
}

#[test]
fn of_a_large_body_only_what_may_have_gone_is_reported() {
    let options = linked(|to| Ok(Link { dial: to.address, transforms: alloc::vec![Box::new(Doubled)] }));
    let mut world = connected(World::with(options, |input, outputs| {
        connecting(input, outputs);
        if let Input::Received { channel, .. } = input {
            let chunks = core::iter::once(Bytes::from(alloc::vec![0; 100_000])).collect();
            outputs.push_back(Output::Transmit { channel: *channel, chunks });
        }
    }));
    world.socket(channel(0), |socket| {
        socket.takes.extend([40_000, 0]);
        socket.incoming.push_back(frame(1, b""));
    });
    world.settle();
    assert_eq!(world.told()[1..], ["transmitted ch0.0 32768"]);
}
