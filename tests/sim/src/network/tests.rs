//! The network alone, step by step.

use std::io::{ErrorKind, IoSlice};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;

use super::*;
use crate::world::Event;

const CLIENT: NodeId = NodeId(7);
const SERVER: NodeId = NodeId(1);

struct Net {
    network: Network,
    schedule: Schedule<Event>,
    now: Instant,
    arrived: Vec<Arrival>,
}

impl Net {
    fn new(seed: u64) -> Self {
        let mut network = Network::new(Rng::new(seed));
        network.listen(SERVER, address());
        Self { network, schedule: Schedule::default(), now: Instant::ZERO, arrived: Vec::new() }
    }

    fn connect(&mut self) -> ConnId {
        let conn = self.act(|network, time| network.connect(time, CLIENT, address()));
        self.pass(Duration::from_secs(1));
        conn
    }

    fn act<R>(&mut self, act: impl FnOnce(&mut Network, &mut Timeline<'_>) -> R) -> R {
        act(&mut self.network, &mut Timeline { now: self.now, schedule: &mut self.schedule })
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while let Some((at, event)) = self.schedule.pop(end) {
            self.now = at;
            let arrival = match event {
                Event::Arrive(conn, direction) => {
                    self.act(|network, time| network.arrive(time, conn, direction))
                }
                Event::Reset(conn) => self.network.reset(conn),
                Event::Server(_) | Event::Wake(_) => None,
            };
            self.arrived.extend(arrival.map(|(_, arrival)| arrival));
        }
        self.now = end;
    }

    fn write(&mut self, conn: ConnId, data: &[u8]) -> usize {
        let mut written = 0;
        while written < data.len() {
            let slices = [IoSlice::new(&data[written..])];
            let cx = Context::from_waker(Waker::noop());
            match self.act(|network, time| network.poll_write(time, conn, &cx, &slices)) {
                Poll::Ready(Ok(count)) => written += count,
                _ => break,
            }
        }
        written
    }

    /// All that is there, and how it ended if it did.
    fn read(&mut self, conn: ConnId) -> (Vec<u8>, Option<ErrorKind>) {
        let mut all = Vec::new();
        loop {
            let mut buffer = BytesMut::with_capacity(64);
            match self.network.poll_read(conn, &Context::from_waker(Waker::noop()), &mut buffer) {
                Poll::Ready(Ok(0)) => return (all, Some(ErrorKind::UnexpectedEof)),
                Poll::Ready(Ok(_)) => all.extend_from_slice(&buffer),
                Poll::Ready(Err(error)) => return (all, Some(error.kind())),
                Poll::Pending => return (all, None),
            }
        }
    }

    /// What arrived at the server, and whether it was told of an end.
    fn at_server(&mut self) -> (Vec<u8>, bool) {
        let (mut data, mut closed) = (Vec::new(), false);
        for arrival in self.arrived.drain(..) {
            match arrival {
                Arrival::Data(bytes) => data.extend_from_slice(&bytes),
                Arrival::Closed => closed = true,
                Arrival::Connected { .. } => {}
            }
        }
        (data, closed)
    }
}

fn address() -> SocketAddr {
    SocketAddr::from(([10, 0, 1, 1], 10_911))
}

fn bytes(count: u8) -> Vec<u8> {
    (0..count).collect()
}

#[test]
fn bytes_arrive_whole_and_in_order_however_they_are_split() {
    for seed in 0..50 {
        let mut net = Net::new(seed);
        let conn = net.connect();
        assert_eq!(net.write(conn, &bytes(200)), 200);
        net.act(|network, time| network.write(time, conn, Bytes::from(bytes(100))));
        net.pass(Duration::from_secs(1));
        assert_eq!(net.at_server(), (bytes(200), false), "seed {seed}");
        assert_eq!(net.read(conn), (bytes(100), None), "seed {seed}");
    }
}

#[test]
fn a_cut_mid_frame_leaves_a_part_and_then_nothing() {
    for seed in 0..50 {
        let mut net = Net::new(seed);
        let conn = net.connect();
        net.network.set_trap(conn, Direction::Up);
        net.write(conn, &bytes(200));
        net.pass(Duration::from_secs(1));
        let (data, closed) = net.at_server();
        assert!(data.len() < 200 && bytes(200).starts_with(&data), "seed {seed}: {data:?}");
        assert!(closed, "seed {seed}");
        assert_eq!(net.read(conn).1, Some(ErrorKind::ConnectionReset));
        assert_eq!(net.network.effects.of(FaultKind::ResetMidFrame), 1);
    }
}

#[test]
fn a_one_way_partition_holds_one_direction_until_it_is_healed() {
    let mut net = Net::new(1);
    let conn = net.connect();
    let scope = Scope::OneWay(SERVER, CLIENT);
    let id = net.network.conditions.add(FaultKind::OneWayPartition, scope, Trouble::Hold);
    net.write(conn, b"question");
    net.act(|network, time| network.write(time, conn, Bytes::from_static(b"answer")));
    net.pass(Duration::from_secs(60));
    assert_eq!(net.at_server().0, b"question");
    assert_eq!(net.read(conn), (Vec::new(), None));
    net.network.conditions.heal(id);
    net.act(|network, time| network.release(time));
    net.pass(RETRANSMIT_MAX);
    assert_eq!(net.read(conn).0, b"answer");
    assert_eq!(net.network.effects.of(FaultKind::OneWayPartition), 1);
}

#[test]
fn who_vanishes_is_not_missed_and_who_dies_is() {
    for vanish in [true, false] {
        let mut net = Net::new(2);
        let conn = net.connect();
        if vanish {
            net.network.vanish(CLIENT);
        }
        net.act(|network, time| network.close_client(time, conn));
        net.pass(Duration::from_secs(200));
        assert_eq!(net.at_server().1, !vanish);
    }
}

#[test]
fn a_deaf_server_refuses_or_accepts_and_is_silent() {
    let mut net = Net::new(3);
    net.network.set_listening(SERVER, Listening::Refusing(Some(FaultKind::ConnectRefused)));
    let refused = net.connect();
    let cx = Context::from_waker(Waker::noop());
    assert!(
        matches!(net.network.poll_connected(refused, &cx), Poll::Ready(Err(error)) if error.kind() == ErrorKind::ConnectionRefused)
    );
    net.network.set_listening(SERVER, Listening::Silent);
    let silent = net.connect();
    assert!(matches!(net.network.poll_connected(silent, &cx), Poll::Ready(Ok(()))));
    net.write(silent, b"hello?");
    net.pass(Duration::from_secs(60));
    assert!(net.arrived.is_empty());
    assert_eq!(
        net.network.set_listening(SERVER, Listening::Serving),
        [silent],
        "it ends when somebody listens"
    );
}

#[test]
fn after_a_half_close_the_other_direction_still_works() {
    let mut net = Net::new(4);
    let conn = net.connect();
    net.act(|network, time| network.half_close(time, conn));
    net.pass(Duration::from_secs(1));
    assert_eq!(net.read(conn), (Vec::new(), Some(ErrorKind::UnexpectedEof)));
    net.write(conn, b"still here");
    net.pass(Duration::from_secs(1));
    assert_eq!(net.at_server().0, b"still here");
}

#[test]
fn a_socket_takes_no_more_than_its_buffer() {
    let mut net = Net::new(5);
    net.network.send_buffer_bytes = 64;
    let conn = net.connect();
    assert_eq!(net.write(conn, &bytes(200)), 64);
    net.pass(Duration::from_secs(1));
    assert_eq!(net.write(conn, &bytes(200)[64..]), 64);
}
