//! Byte transforms between socket and channel: TLS and proxies live here. The core and a recording
//! see plain text, and count plain bytes.

use super::std;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use std::io;

/// One side of a byte stream that is changed on its way. Does no I/O: bytes in, bytes out.
pub trait Transform: Send + 'static {
    /// The connection came up; what is to be said first goes into `wire`.
    ///
    /// # Errors
    /// Any error ends the connection.
    fn start(&mut self, wire: &mut BytesMut) -> io::Result<()>;

    /// Bytes arrived. Takes from `arrived` what it can use, appends plain bytes to `plain` and
    /// answers of its own to `wire`.
    ///
    /// # Errors
    /// Any error ends the connection.
    fn inbound(
        &mut self,
        arrived: &mut BytesMut,
        plain: &mut BytesMut,
        wire: &mut BytesMut,
    ) -> io::Result<()>;

    /// Changes plain bytes on their way out; appends to `wire`. Called only once established, with at
    /// most 16 KiB at a time.
    ///
    /// # Errors
    /// Any error ends the connection.
    fn outbound(&mut self, plain: &[u8], wire: &mut BytesMut) -> io::Result<()>;

    /// Whether its handshake is over and plain bytes may flow.
    fn is_established(&self) -> bool;
}

/// Makes the way of each new connection to its socket; asked by the engine, so it must not block. An
/// error closes the connection, with its text as the reason.
pub type TransformFactory = Box<dyn FnMut(&Endpoint) -> io::Result<Link> + Send>;

/// The peer of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// `host:port` as it was configured or as the route gave it: what a certificate must name, and what
    /// a proxy is asked for.
    pub name: Arc<str>,
    /// What the name was resolved to.
    pub address: SocketAddr,
}

/// The way of a connection to its peer.
pub struct Link {
    /// Where the socket connects to: the peer, or a proxy.
    pub dial: SocketAddr,
    /// What changes the bytes, the one next to the socket last. Each begins its handshake when the ones
    /// after it are established; the connection is up when all are.
    pub transforms: Vec<Box<dyn Transform>>,
}

impl Link {
    /// Straight to the peer, with nothing in between.
    #[must_use]
    pub fn direct(endpoint: &Endpoint) -> Self {
        Self { dial: endpoint.address, transforms: Vec::new() }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let transforms = self.transforms.len();
        f.debug_struct("Link").field("dial", &self.dial).field("transforms", &transforms).finish()
    }
}

/// Plain bytes that go through the chain at a time, so that what is told of them is close to the truth;
/// a TLS record holds no more.
const PIECE_BYTES_MAX: usize = 16 << 10;

/// A chain of transforms and the bytes around it.
///
/// ```text
/// channel ── layers[0] ── … ── layers[n] ── socket
///        plain                          wire
/// ```
pub(crate) struct Transformed {
    layers: Vec<Layer>,
    told_established: bool,
    wire: BytesMut,
    /// Bytes given to the socket's queue, plain and as they go on the wire.
    plain_bytes: u64,
    wire_bytes: u64,
    /// Where each piece begins on the wire, and where it ends in plain bytes.
    marks: VecDeque<(u64, u64)>,
    plain_taken: u64,
}

struct Layer {
    transform: Box<dyn Transform>,
    started: bool,
    /// What came from the socket's side and is not taken yet.
    arrived: BytesMut,
}

impl fmt::Debug for Transformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transformed").field("plain_bytes", &self.plain_bytes).finish_non_exhaustive()
    }
}

impl Transformed {
    /// `None` when there is nothing between channel and socket.
    pub(crate) fn new(transforms: Vec<Box<dyn Transform>>) -> Option<Self> {
        if transforms.is_empty() {
            return None;
        }
        let layer = |transform| Layer { transform, started: false, arrived: BytesMut::new() };
        Some(Self {
            layers: transforms.into_iter().map(layer).collect(),
            told_established: false,
            wire: BytesMut::new(),
            plain_bytes: 0,
            wire_bytes: 0,
            marks: VecDeque::new(),
            plain_taken: 0,
        })
    }

    /// Where the host reads into.
    pub(crate) fn arrived_mut(&mut self) -> &mut BytesMut {
        &mut self.layers.last_mut().expect("a chain has at least one transform").arrived
    }

    /// Begins, or goes on with what has arrived: plain bytes into `plain`, answers into `outgoing`.
    pub(crate) fn inbound(&mut self, plain: &mut BytesMut, outgoing: &mut VecDeque<Bytes>) -> io::Result<()> {
        for index in (0..self.layers.len()).rev() {
            let (inner, rest) = self.layers.split_at_mut(index);
            let (layer, outer) = rest.split_first_mut().expect("the index is within the chain");
            let mut said = BytesMut::new();
            if !layer.started {
                layer.started = true;
                layer.transform.start(&mut said)?;
            }
            if !layer.arrived.is_empty() {
                let plain = inner.last_mut().map_or(&mut *plain, |next| &mut next.arrived);
                layer.transform.inbound(&mut layer.arrived, plain, &mut said)?;
            }
            let established = layer.transform.is_established();
            send_through(outer, &said, &mut self.wire)?;
            if !established {
                break;
            }
        }
        self.queue(outgoing);
        Ok(())
    }

    /// Takes what the core wants written.
    pub(crate) fn outbound(&mut self, chunks: &[Bytes], outgoing: &mut VecDeque<Bytes>) -> io::Result<()> {
        for piece in chunks.iter().flat_map(|chunk| chunk.chunks(PIECE_BYTES_MAX)) {
            let begin = self.wire_bytes + self.wire.len() as u64;
            send_through(&mut self.layers, piece, &mut self.wire)?;
            self.plain_bytes += piece.len() as u64;
            self.marks.push_back((begin, self.plain_bytes));
        }
        self.queue(outgoing);
        Ok(())
    }

    /// True once: when the last handshake has ended.
    pub(crate) fn take_established(&mut self) -> bool {
        let now = !self.told_established
            && self.layers.iter().all(|layer| layer.started && layer.transform.is_established());
        self.told_established |= now;
        now
    }

    /// Plain bytes that the peer may have, when the socket took `wire_taken` in all: a piece counts as
    /// soon as its first byte on the wire is taken, since only the transform knows how little of it
    /// the peer needs.
    pub(crate) fn plain_taken(&mut self, wire_taken: u64) -> u64 {
        while let Some((_, plain)) = self.marks.front().copied().filter(|(begin, _)| *begin < wire_taken) {
            self.marks.pop_front();
            self.plain_taken = plain;
        }
        self.plain_taken
    }

    fn queue(&mut self, outgoing: &mut VecDeque<Bytes>) {
        if !self.wire.is_empty() {
            self.wire_bytes += self.wire.len() as u64;
            outgoing.push_back(self.wire.split().freeze());
        }
    }
}

/// Sends bytes through the layers that are between them and the socket, which are all established.
fn send_through(layers: &mut [Layer], bytes: &[u8], wire: &mut BytesMut) -> io::Result<()> {
    match layers {
        _ if bytes.is_empty() => {}
        [] => wire.extend_from_slice(bytes),
        [last] => last.transform.outbound(bytes, wire)?,
        [first, outer @ ..] => {
            let mut changed = BytesMut::new();
            first.transform.outbound(bytes, &mut changed)?;
            // A layer may make more of it than it was given.
            for piece in changed.chunks(PIECE_BYTES_MAX) {
                send_through(outer, piece, wire)?;
            }
        }
    }
    Ok(())
}
