//! What a connection has to write: heads and small bodies in one arena, large bodies by reference.
//!
//! ```text
//!   arena (BytesMut)      │head│body│head│          split off here
//!   chunks                [ frozen arena ] [ large body ] [ frozen arena ] …
//! ```

use bytes::{Bytes, BytesMut};

use crate::output::Chunks;

/// Bodies up to this size are copied behind their head: cheaper than another piece to write.
const COPIED_BYTES_MAX: usize = 4_096;
/// The arena grows in steps of this size.
const ARENA_BYTES: usize = 64 << 10;

/// Bytes on their way to the socket, with positions counted from the start of the connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Outbox {
    arena: BytesMut,
    chunks: Chunks,
    chunked: u64,
    /// Bytes that the socket has taken.
    pub(super) accepted: u64,
    /// Whether the channel stands in the list of those with something to write.
    pub(super) dirty: bool,
}

impl Outbox {
    /// Writes a frame's head by `encode`, puts `body` behind it, and returns the position of its end.
    pub(super) fn push_frame(&mut self, body: &Bytes, encode: impl FnOnce(&mut BytesMut) -> usize) -> u64 {
        if self.arena.capacity() == self.arena.len() {
            self.arena.reserve(ARENA_BYTES);
        }
        encode(&mut self.arena);
        self.push_body(body)
    }

    /// Puts a frame that was encoded elsewhere, and returns the position of its end.
    pub(super) fn push_encoded(&mut self, frame: &[u8], body: &Bytes) -> u64 {
        self.arena.extend_from_slice(frame);
        self.push_body(body)
    }

    /// Bytes that were queued and that the socket has not taken.
    pub(super) fn backlog(&self) -> u64 {
        (self.chunked + self.arena.len() as u64).saturating_sub(self.accepted)
    }

    /// Whether the socket has taken everything.
    pub(super) fn is_empty(&self) -> bool {
        self.backlog() == 0
    }

    /// Everything to write so far, in order.
    pub(super) fn take(&mut self) -> Chunks {
        self.seal();
        core::mem::take(&mut self.chunks)
    }

    fn push_body(&mut self, body: &Bytes) -> u64 {
        if body.len() <= COPIED_BYTES_MAX {
            self.arena.extend_from_slice(body);
        } else {
            self.seal();
            self.chunked += body.len() as u64;
            self.chunks.push(body.clone());
        }
        self.chunked + self.arena.len() as u64
    }

    fn seal(&mut self) {
        if !self.arena.is_empty() {
            self.chunked += self.arena.len() as u64;
            self.chunks.push(self.arena.split().freeze());
        }
    }
}

/// Encodes a head on its own, for a connection that is not up yet.
pub(super) fn encode_apart(encode: impl FnOnce(&mut BytesMut) -> usize) -> Bytes {
    let mut out = BytesMut::with_capacity(256);
    encode(&mut out);
    out.freeze()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec;

    fn append(out: &mut BytesMut, bytes: &[u8]) -> usize {
        out.extend_from_slice(bytes);
        bytes.len()
    }

    #[test]
    fn positions_count_every_byte_in_writing_order() {
        let mut outbox = Outbox::default();
        assert_eq!(outbox.push_frame(&Bytes::from_static(b"bb"), |out| append(out, b"aa")), 4);
        let large = Bytes::from(vec![7; COPIED_BYTES_MAX + 1]);
        let end = outbox.push_frame(&large, |out| append(out, b"cc"));
        assert_eq!(end, 4 + 2 + large.len() as u64);
        let chunks = outbox.take();
        assert_eq!(chunks.iter().map(Bytes::len).sum::<usize>() as u64, end);
        assert_eq!(&chunks[0][..], b"aabbcc");
        assert_eq!(outbox.push_frame(&Bytes::new(), |out| append(out, b"d")), end + 1);
    }
}
