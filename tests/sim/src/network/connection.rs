//! One connection: two ends, and what is on its way between them.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::task::Waker;

use bytes::{Bytes, BytesMut};
use rocketmq_client_core::id::ChannelId;
use rocketmq_client_core::time::Instant;

use super::Way;
use crate::executor::NodeId;

/// A connection of the world; the number is never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ConnId(pub(crate) u64);

/// Towards the server, or back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    Up,
    Down,
}

/// What travels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Packet {
    Connect,
    Accept,
    Refuse,
    Data(Bytes),
    Fin,
    Reset,
}

/// One direction. Packets arrive in order.
///
/// ```text
/// sender -> [ packet, packet, ... ] -> receiver
///             \_ held: none arrives until the link is healed
/// ```
#[derive(Debug, Default)]
pub(crate) struct Pipe {
    pub(crate) queue: VecDeque<(Instant, Packet)>,
    pub(crate) last_arrival: Instant,
    /// When it was first held back.
    pub(crate) held: Option<Instant>,
    /// Bytes on their way.
    pub(crate) bytes: usize,
}

/// How the client's end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ClientState {
    Connecting,
    Up,
    /// The peer has said its last.
    Ended,
    Refused,
    Reset,
    /// The client knows it no more.
    Gone,
}

/// How the server's end is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ServerState {
    /// Not heard of yet.
    None,
    Up,
    /// Accepted by a machine whose process serves nobody.
    Silent,
    Gone,
}

#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) client: NodeId,
    pub(crate) server: NodeId,
    /// What the client calls it.
    pub(crate) channel: Option<ChannelId>,
    /// The gate that it goes through.
    pub(crate) via: Option<NodeId>,
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) client_state: ClientState,
    pub(crate) server_state: ServerState,
    pub(crate) inbox: BytesMut,
    pub(crate) waker: Option<Waker>,
    pub(crate) up: Pipe,
    pub(crate) down: Pipe,
    /// The next data in this direction is cut short and the connection reset.
    pub(crate) trap: Option<Direction>,
    /// The client's machine is gone: nothing answers for it.
    pub(crate) vanished: bool,
    /// Nothing arrives any more.
    pub(crate) swallows: bool,
}

impl Connection {
    pub(crate) fn pipe(&mut self, direction: Direction) -> &mut Pipe {
        match direction {
            Direction::Up => &mut self.up,
            Direction::Down => &mut self.down,
        }
    }

    pub(crate) fn way(&self, direction: Direction) -> Way {
        let via = self.via;
        match direction {
            Direction::Up => Way { from: self.client, to: self.server, via },
            Direction::Down => Way { from: self.server, to: self.client, via },
        }
    }

    /// Whether the client has it, or is about to have it.
    pub(crate) fn is_the_clients(&self) -> bool {
        matches!(self.client_state, ClientState::Connecting | ClientState::Up | ClientState::Ended)
    }

    /// What is on its way never arrives.
    pub(crate) fn lose_packets(&mut self) {
        for pipe in [&mut self.up, &mut self.down] {
            let held = pipe.held.filter(|_| self.swallows);
            *pipe = Pipe { last_arrival: pipe.last_arrival, held, ..Pipe::default() };
        }
    }

    pub(crate) fn is_established(&self) -> bool {
        self.client_state == ClientState::Up && self.server_state == ServerState::Up
    }

    pub(crate) fn is_over(&self) -> bool {
        let quiet = self.up.queue.is_empty() && self.down.queue.is_empty();
        let server_gone = matches!(self.server_state, ServerState::None | ServerState::Gone);
        quiet && server_gone && self.client_state == ClientState::Gone
    }
}
