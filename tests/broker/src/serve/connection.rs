//! One TCP connection: bytes in, frames out, both bounded.

use std::collections::VecDeque;
use std::io::{self, IoSlice, Read, Write};

use bytes::{Buf, Bytes};
use mio::net::TcpStream;
use rocketmq_client_core::remoting::{FRAME_BYTES_MAX, FrameDecoder, FrameError};

use crate::output::Frames;

/// Read at once from a socket.
const READ_BYTES: usize = 64 << 10;
/// Reads in a row before other connections have their turn.
const READS_MAX: usize = 8;
/// Slices in one vectored write.
const SLICES_MAX: usize = 64;
/// A client that leaves more than this unread is cut off.
const OUT_BYTES_MAX: usize = 256 << 20;

/// Why a client was cut off.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CutOff {
    /// It sent what is no frame.
    #[error("a client sent what is no frame: {0}")]
    Frame(FrameError),
    /// It doesn't read its answers.
    #[error("a client left {bytes} bytes unread, which is more than it may")]
    SlowReader {
        /// Bytes that waited for it.
        bytes: usize,
    },
}

/// What a read came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ReadEnd {
    /// Nothing more for now; the poll tells when there is.
    Drained,
    /// There may be more: read again soon, without waiting for the poll.
    More,
    /// The peer closed, or the connection broke.
    Closed,
}

/// Whose client this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Owner {
    NameServer(usize),
    Broker(usize),
}

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    pub(super) owner: Owner,
    pub(super) decoder: FrameDecoder,
    out: VecDeque<Bytes>,
    out_bytes: usize,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, owner: Owner) -> Self {
        let decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        Self { stream, owner, decoder, out: VecDeque::new(), out_bytes: 0 }
    }

    /// Reads what has arrived into the decoder's own buffer. `to_the_end`: the peer has closed, and no
    /// further event will tell.
    pub(super) fn fill(&mut self, to_the_end: bool) -> ReadEnd {
        for _ in 0..READS_MAX {
            let buffer = self.decoder.buffer_mut();
            let before = buffer.len();
            buffer.resize(before + READ_BYTES, 0);
            let read = self.stream.read(&mut buffer[before..]);
            buffer.truncate(before + *read.as_ref().unwrap_or(&0));
            match read {
                Ok(0) => return ReadEnd::Closed,
                // A short read emptied the socket; bytes that come later make a new event.
                Ok(bytes) if bytes < READ_BYTES && !to_the_end => return ReadEnd::Drained,
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return ReadEnd::Drained,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(_) => return ReadEnd::Closed,
            }
        }
        ReadEnd::More
    }

    /// Queues frames; the error is that the client lets too much lie.
    pub(super) fn queue(&mut self, frames: Frames) -> Result<(), CutOff> {
        self.out_bytes += frames.byte_len();
        self.out.extend(frames.into_parts());
        match self.out_bytes > OUT_BYTES_MAX {
            true => Err(CutOff::SlowReader { bytes: self.out_bytes }),
            false => Ok(()),
        }
    }

    /// Writes as much as the socket takes; the poll tells when it takes more.
    pub(super) fn flush(&mut self) -> io::Result<()> {
        while !self.out.is_empty() {
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let count = self.out.len().min(SLICES_MAX);
            for (slice, part) in slices.iter_mut().zip(&self.out) {
                *slice = IoSlice::new(part);
            }
            match self.stream.write_vectored(&slices[..count]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => self.written(written),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn written(&mut self, mut written: usize) {
        self.out_bytes -= written;
        while let Some(front) = self.out.front_mut() {
            if written < front.len() {
                front.advance(written);
                return;
            }
            written -= front.len();
            self.out.pop_front();
        }
    }
}
