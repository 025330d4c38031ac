//! Byte transforms between socket and channel: TLS and proxies live here. The core and a recording
//! see plain text, and count plain bytes.

use super::std;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use core::fmt;

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

    /// Changes plain bytes on their way out; appends to `wire`. Called only once established.
    ///
    /// # Errors
    /// Any error ends the connection.
    fn outbound(&mut self, plain: &[u8], wire: &mut BytesMut) -> io::Result<()>;

    /// Whether its handshake is over and plain bytes may flow.
    fn is_established(&self) -> bool;
}

/// Makes the transform of each new connection.
pub type TransformFactory = Box<dyn FnMut() -> Box<dyn Transform> + Send>;

/// A transform and the bytes around it.
pub(crate) struct Transformed {
    transform: Box<dyn Transform>,
    told_established: bool,
    arrived: BytesMut,
    wire: BytesMut,
    /// Bytes given to the socket's queue, plain and as they go on the wire.
    plain_bytes: u64,
    wire_bytes: u64,
    /// Where each piece ends: on the wire, and in plain bytes.
    marks: VecDeque<(u64, u64)>,
    plain_taken: u64,
}

impl fmt::Debug for Transformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transformed").field("plain_bytes", &self.plain_bytes).finish_non_exhaustive()
    }
}

impl Transformed {
    pub(crate) fn new(transform: Box<dyn Transform>) -> Self {
        Self {
            transform,
            told_established: false,
            arrived: BytesMut::new(),
            wire: BytesMut::new(),
            plain_bytes: 0,
            wire_bytes: 0,
            marks: VecDeque::new(),
            plain_taken: 0,
        }
    }

    /// Where the host reads into.
    pub(crate) fn arrived_mut(&mut self) -> &mut BytesMut {
        &mut self.arrived
    }

    pub(crate) fn start(&mut self, outgoing: &mut VecDeque<Bytes>) -> io::Result<()> {
        self.transform.start(&mut self.wire)?;
        self.queue(outgoing);
        Ok(())
    }

    pub(crate) fn inbound(&mut self, plain: &mut BytesMut, outgoing: &mut VecDeque<Bytes>) -> io::Result<()> {
        self.transform.inbound(&mut self.arrived, plain, &mut self.wire)?;
        self.queue(outgoing);
        Ok(())
    }

    pub(crate) fn outbound(&mut self, chunks: &[Bytes], outgoing: &mut VecDeque<Bytes>) -> io::Result<()> {
        for chunk in chunks {
            self.transform.outbound(chunk, &mut self.wire)?;
            self.plain_bytes += chunk.len() as u64;
        }
        self.queue(outgoing);
        self.marks.push_back((self.wire_bytes, self.plain_bytes));
        Ok(())
    }

    /// True once: when the handshake has ended.
    pub(crate) fn take_established(&mut self) -> bool {
        let now = !self.told_established && self.transform.is_established();
        self.told_established |= now;
        now
    }

    /// Plain bytes whose pieces the socket took whole, when it took `wire_taken` in all.
    pub(crate) fn plain_taken(&mut self, wire_taken: u64) -> u64 {
        while let Some((_, plain)) = self.marks.front().copied().filter(|(wire, _)| *wire <= wire_taken) {
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
