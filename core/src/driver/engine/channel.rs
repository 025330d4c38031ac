//! One connection: the frame decoder in, the queue of chunks out, and how far the socket has come.

use super::super::std;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::task::{Context, Poll, Waker};

use bytes::{Buf, Bytes};
use smallvec::SmallVec;
use std::io::{self, IoSlice};

use super::super::host::Host;
use super::super::transform::{Transform, Transformed};
use crate::client::Chunks;
use crate::id::ChannelId;
use crate::remoting::{FRAME_BYTES_MAX, FrameDecoder, FrameError, RemotingCommand};

/// Room that is made for a read when less than a quarter of it is left.
const READ_BUFFER_BYTES: usize = 64 << 10;
/// Chunks that go into one vectored write; Linux takes 1,024, and 64 are enough to fill a socket.
const WRITE_SLICES_MAX: usize = 64;

/// A connection that the core has asked for and not closed.
pub(super) struct Channel {
    pub(super) id: ChannelId,
    pub(super) waker: Waker,
    pub(super) connected: bool,
    /// It has something to write and is in the engine's list of those.
    pub(super) dirty: bool,
    /// Frames were left when the last turn had taken all the requests that it takes.
    pub(super) unfinished: bool,
    decoder: FrameDecoder,
    outgoing: VecDeque<Bytes>,
    written_bytes: u64,
    transformed: Option<Transformed>,
}

/// How a turn of reading ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Read {
    /// So many bytes came in.
    Bytes(usize),
    /// Nothing is there; the waker is registered.
    Pending,
}

/// How a turn of writing ended.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Written {
    /// Everything is with the socket.
    All,
    /// The socket takes no more now; the waker is registered.
    Blocked,
    /// The budget is spent.
    Budget,
}

impl Channel {
    pub(super) fn new(id: ChannelId, waker: Waker, transforms: Vec<Box<dyn Transform>>) -> Self {
        Self {
            id,
            waker,
            connected: false,
            dirty: false,
            unfinished: false,
            decoder: FrameDecoder::new(FRAME_BYTES_MAX),
            outgoing: VecDeque::new(),
            written_bytes: 0,
            transformed: Transformed::new(transforms),
        }
    }

    /// The connection is up; a transform may have to say something first. True when the core may
    /// use it.
    pub(super) fn start(&mut self) -> io::Result<bool> {
        match &mut self.transformed {
            None => Ok(true),
            Some(transformed) => {
                transformed.inbound(self.decoder.buffer_mut(), &mut self.outgoing)?;
                Ok(transformed.take_established())
            }
        }
    }

    /// Takes what the core wants written.
    pub(super) fn push(&mut self, chunks: Chunks) -> io::Result<()> {
        match &mut self.transformed {
            None => self.outgoing.extend(chunks.into_iter().filter(|chunk| !chunk.is_empty())),
            Some(transformed) => transformed.outbound(&chunks, &mut self.outgoing)?,
        }
        Ok(())
    }

    /// Reads once.
    pub(super) fn read(&mut self, host: &mut impl Host) -> io::Result<Read> {
        let buffer = match &mut self.transformed {
            None => self.decoder.buffer_mut(),
            Some(transformed) => transformed.arrived_mut(),
        };
        if buffer.capacity() - buffer.len() < READ_BUFFER_BYTES / 4 {
            buffer.reserve(READ_BUFFER_BYTES);
        }
        let mut cx = Context::from_waker(&self.waker);
        match host.poll_read(self.id, &mut cx, buffer) {
            Poll::Pending => Ok(Read::Pending),
            Poll::Ready(Ok(0)) => {
                Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the peer closed the connection"))
            }
            Poll::Ready(Ok(count)) => Ok(Read::Bytes(count)),
            Poll::Ready(Err(error)) => Err(error),
        }
    }

    /// Lets a transform work on what was read. True when that made the connection usable.
    pub(super) fn absorb(&mut self) -> io::Result<bool> {
        let Some(transformed) = &mut self.transformed else { return Ok(false) };
        transformed.inbound(self.decoder.buffer_mut(), &mut self.outgoing)?;
        Ok(transformed.take_established())
    }

    /// The next whole frame of what was read.
    pub(super) fn next_frame(&mut self) -> Result<Option<RemotingCommand>, FrameError> {
        self.decoder.next_frame()
    }

    pub(super) fn wants_write(&self) -> bool {
        self.connected && !self.outgoing.is_empty()
    }

    /// Writes until everything is with the socket, it takes no more, or `bytes_max` is spent.
    pub(super) fn write(&mut self, host: &mut impl Host, bytes_max: usize) -> io::Result<Written> {
        let mut budget = bytes_max;
        while !self.outgoing.is_empty() {
            if budget == 0 {
                return Ok(Written::Budget);
            }
            match self.write_once(host) {
                Poll::Pending => return Ok(Written::Blocked),
                Poll::Ready(Ok(0)) => {
                    return Err(io::Error::new(io::ErrorKind::WriteZero, "the socket takes no more bytes"));
                }
                Poll::Ready(Ok(count)) => {
                    self.advance(count);
                    budget = budget.saturating_sub(count);
                }
                Poll::Ready(Err(error)) => return Err(error),
            }
        }
        Ok(Written::All)
    }

    fn write_once(&self, host: &mut impl Host) -> Poll<io::Result<usize>> {
        let chunks = self.outgoing.iter().take(WRITE_SLICES_MAX);
        let slices: SmallVec<[IoSlice<'_>; WRITE_SLICES_MAX]> =
            chunks.map(|chunk| IoSlice::new(chunk)).collect();
        host.poll_write_vectored(self.id, &mut Context::from_waker(&self.waker), &slices)
    }

    /// The core's bytes that the socket has taken since the connection came up.
    pub(super) fn transmitted_bytes(&mut self) -> u64 {
        match &mut self.transformed {
            None => self.written_bytes,
            Some(transformed) => transformed.plain_taken(self.written_bytes),
        }
    }

    /// The socket took `count` bytes of the queue.
    fn advance(&mut self, mut count: usize) {
        self.written_bytes += count as u64;
        while count > 0 {
            let first = self.outgoing.front_mut().expect("a host takes no more than it was given");
            if count < first.len() {
                first.advance(count);
                return;
            }
            count -= first.len();
            self.outgoing.pop_front();
        }
    }
}
