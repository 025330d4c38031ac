//! The background thread: wait for sockets or the next deadline, work, repeat.

use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::{Events, Poll, Token};

use super::Shared;
use super::connection::Owner;
use crate::output::ConnectionId;

pub(super) const WAKER: Token = Token(0);
const NAME_SERVERS: usize = 1;
const BROKERS: usize = 512;
/// Tokens from here on are connections. Servers are far fewer.
const CONNECTIONS: usize = 1_024;

pub(super) fn name_server_token(index: usize) -> Token {
    Token(NAME_SERVERS + index)
}

pub(super) fn broker_token(broker: usize) -> Token {
    Token(BROKERS + broker)
}

pub(super) fn connection_token(connection: ConnectionId) -> Token {
    Token(CONNECTIONS + usize::try_from(connection.0).unwrap_or(usize::MAX - CONNECTIONS))
}

/// Runs until the server is dropped.
pub(super) fn run(mut poll: Poll, shared: &Shared) {
    let mut events = Events::with_capacity(1_024);
    let mut unread: Vec<ConnectionId> = Vec::new();
    let mut wait = Some(Duration::ZERO);
    while !shared.stop.load(Ordering::Acquire) {
        if let Err(error) = poll.poll(&mut events, wait)
            && error.kind() != std::io::ErrorKind::Interrupted
        {
            tracing::warn!(%error, "the poll failed; the server ends");
            return;
        }
        let mut world = shared.lock();
        let now = world.clock.now();
        world.timeout(now);
        for id in std::mem::take(&mut unread) {
            if world.read(now, id, true) {
                unread.push(id);
            }
        }
        for event in &events {
            match event.token() {
                WAKER => {}
                Token(token) if token < BROKERS => world.accept(Owner::NameServer(token - NAME_SERVERS)),
                Token(token) if token < CONNECTIONS => world.accept(Owner::Broker(token - BROKERS)),
                Token(token) => {
                    let id = ConnectionId((token - CONNECTIONS) as u64);
                    if event.is_writable() {
                        world.write(id);
                    }
                    if event.is_readable() && world.read(now, id, event.is_read_closed()) {
                        unread.push(id);
                    }
                }
            }
        }
        let deadline = world.pump(now);
        let now = world.clock.now();
        drop(world);
        wait = match unread.is_empty() {
            true => deadline.map(|deadline| round_up(deadline - now)),
            false => Some(Duration::ZERO),
        };
    }
}

/// The poll counts milliseconds; rounding down would spin until the deadline.
fn round_up(wait: Duration) -> Duration {
    let nanos = Duration::from_nanos(999_999);
    Duration::from_millis(u64::try_from((wait + nanos).as_millis()).unwrap_or(u64::MAX))
}
