//! What a machine wants done: frames to transmit, connections to close, a time to be woken.

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};

/// A connection to a machine, named by the host. Ids are never used again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ConnectionId(pub u64);

/// One or more whole frames in the order in which they must be written, as slices for a vectored write.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Frames {
    parts: Vec<Bytes>,
    bytes: usize,
}

impl Frames {
    /// The slices. None is empty.
    #[must_use]
    pub fn parts(&self) -> &[Bytes] {
        &self.parts
    }

    /// The slices, owned.
    #[must_use]
    pub fn into_parts(self) -> Vec<Bytes> {
        self.parts
    }

    /// Bytes of all slices together.
    #[must_use]
    pub fn byte_len(&self) -> usize {
        self.bytes
    }

    fn push(&mut self, part: Bytes) {
        if !part.is_empty() {
            self.bytes += part.len();
            self.parts.push(part);
        }
    }
}

/// Bodies up to this size are copied behind their head; larger ones stay slices of the log.
const COPY_BYTES_MAX: usize = 1 << 10;
/// The arena that heads and small bodies are written to grows in steps of this size.
const ARENA_BYTES: usize = 64 << 10;
/// A batch of frames for one connection is cut here, so that no single output grows without bound.
const BATCH_BYTES_MAX: usize = 1 << 20;

/// Collects answers; consecutive ones for a connection become one batch.
#[derive(Clone, Debug, Default)]
pub(crate) struct Outbox {
    arena: BytesMut,
    open: Option<(ConnectionId, Frames)>,
    ready: VecDeque<(ConnectionId, Frames)>,
}

impl Outbox {
    /// Where the next frame's head for `connection` is written to. Frames must be written whole.
    pub(crate) fn head(&mut self, connection: ConnectionId) -> &mut BytesMut {
        let fits = self.open.as_ref().is_some_and(|(open, frames)| {
            *open == connection && frames.bytes + self.arena.len() < BATCH_BYTES_MAX
        });
        if !fits {
            self.seal();
            self.open = Some((connection, Frames::default()));
        }
        if self.arena.capacity() - self.arena.len() < COPY_BYTES_MAX {
            self.flush_arena();
            self.arena.reserve(ARENA_BYTES);
        }
        &mut self.arena
    }

    /// Appends a part of the body of the frame whose head was written last.
    pub(crate) fn body(&mut self, part: &Bytes) {
        if part.len() <= COPY_BYTES_MAX {
            self.arena.extend_from_slice(part);
            return;
        }
        self.flush_arena();
        if let Some((_, frames)) = &mut self.open {
            frames.push(part.clone());
        }
    }

    /// Adds frames that were encoded earlier.
    pub(crate) fn whole(&mut self, connection: ConnectionId, frames: Frames) {
        self.seal();
        self.ready.push_back((connection, frames));
    }

    /// Ends the batch that is being collected.
    pub(crate) fn seal(&mut self) {
        self.flush_arena();
        if let Some((connection, frames)) = self.open.take()
            && frames.bytes > 0
        {
            self.ready.push_back((connection, frames));
        }
    }

    /// The next batch in order.
    pub(crate) fn pop(&mut self) -> Option<(ConnectionId, Frames)> {
        if self.ready.is_empty() {
            self.seal();
        }
        self.ready.pop_front()
    }

    /// Forgets what a closed connection can't receive any more.
    pub(crate) fn forget(&mut self, connection: ConnectionId) {
        self.seal();
        self.ready.retain(|(other, _)| *other != connection);
    }

    fn flush_arena(&mut self) {
        if self.arena.is_empty() {
            return;
        }
        let part = self.arena.split().freeze();
        if let Some((_, frames)) = &mut self.open {
            frames.push(part);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_one_connection_share_a_batch_and_keep_their_order() {
        let mut outbox = Outbox::default();
        outbox.head(ConnectionId(1)).extend_from_slice(b"a");
        outbox.body(&Bytes::from_static(b"b"));
        outbox.head(ConnectionId(1)).extend_from_slice(b"c");
        let large = Bytes::from(vec![b'x'; COPY_BYTES_MAX + 1]);
        outbox.body(&large);
        outbox.head(ConnectionId(2)).extend_from_slice(b"d");
        outbox.head(ConnectionId(1)).extend_from_slice(b"e");
        let (first, frames) = outbox.pop().unwrap();
        assert_eq!(
            (first, frames.parts().len(), frames.byte_len()),
            (ConnectionId(1), 2, 4 + COPY_BYTES_MAX)
        );
        assert_eq!(&frames.parts()[0][..], b"abc");
        assert_eq!(frames.parts()[1].as_ptr(), large.as_ptr(), "a large body is not copied");
        assert_eq!(outbox.pop().unwrap().0, ConnectionId(2));
        assert_eq!(&outbox.pop().unwrap().1.parts()[0][..], b"e");
        assert!(outbox.pop().is_none());
    }

    #[test]
    fn a_closed_connection_gets_nothing() {
        let mut outbox = Outbox::default();
        outbox.head(ConnectionId(1)).extend_from_slice(b"a");
        outbox.head(ConnectionId(2)).extend_from_slice(b"b");
        outbox.forget(ConnectionId(1));
        assert_eq!(outbox.pop().unwrap().0, ConnectionId(2));
        assert!(outbox.pop().is_none());
    }
}
