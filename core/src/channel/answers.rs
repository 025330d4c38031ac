//! Answers to the peer's own requests. They have a bound of their own: a peer that asks and does not read what
//! it is told would fill the memory that is meant for sends.

use alloc::collections::VecDeque;
use alloc::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::error::Cause;
use crate::id::ChannelId;
use crate::output::Output;
use crate::remoting::{Encoder, FLAG_RESPONSE, Head, Header, ResponseCode};
use crate::time::Instant;

use super::request::Place;
use super::{Channels, WaitingKind};

/// Bytes of answers that the socket has not taken, from which on a further answer ends the connection. One may
/// be under way whatever its size.
const UNSENT_BYTES_MAX: u64 = 64 << 10;

/// The answers that the socket has not taken whole.
#[derive(Clone, Debug, Default)]
pub(super) struct Answers {
    /// Where each ends in the stream, and how long it is.
    queue: VecDeque<(u64, u64)>,
    unsent: u64,
}

impl Answers {
    /// Whether one more may be queued, the socket having taken `accepted` bytes.
    fn has_room(&mut self, accepted: u64) -> bool {
        while let Some((_, length)) = self.queue.front().filter(|(end, _)| *end <= accepted) {
            self.unsent -= length;
            self.queue.pop_front();
        }
        self.unsent < UNSENT_BYTES_MAX
    }

    fn push(&mut self, end: u64, length: u64) {
        self.queue.push_back((end, length));
        self.unsent += length;
    }
}

impl<P: Clone> Channels<P> {
    /// Answers a request of the peer, `opaque` being its number. Nothing happens when the connection is gone;
    /// when the peer does not read what it is told, the connection ends. Java: no bound.
    #[expect(clippy::too_many_arguments, reason = "they are what a response consists of")]
    pub fn respond<'h, H: Header<'h>>(
        &mut self,
        now: Instant,
        id: ChannelId,
        opaque: i32,
        code: ResponseCode,
        remark: Option<&str>,
        header: &H,
        body: Bytes,
    ) {
        let Some(channel) = self.arena.get_mut(id).filter(|channel| channel.is_open()) else { return };
        if !channel.answers.has_room(channel.outbox.accepted) {
            return self.end_unread(now, id);
        }
        channel.flush_waiting();
        let head = Head { code: code.0, opaque, flag: FLAG_RESPONSE, remark };
        let body_len = body.len();
        let mut length = body_len as u64;
        let encode = |encoder: &Encoder, out: &mut BytesMut| {
            let begin = out.len();
            let written = encoder.encode(out, &head, header, &[], body_len);
            length += (out.len() - begin) as u64;
            written
        };
        let end = self.queue(now, id, (body, Place::Behind, None), WaitingKind::Oneway(None), encode);
        if let Some(channel) = self.arena.get_mut(id) {
            channel.answers.push(end, length);
        }
    }

    /// What the peer owes is not worth a connection that it only fills.
    fn end_unread(&mut self, now: Instant, id: ChannelId) {
        let Some(address) = self.arena.get(id).map(|channel| channel.address.clone()) else { return };
        let reason: Arc<str> = "the peer does not read the answers to its requests".into();
        let cause = Cause::ConnectionLost { address: address.clone(), reason };
        self.leave_alone(now, &address, &cause);
        self.outputs.push_back(Output::Close { channel: id, flush: false });
        self.finish(id, &cause, true);
    }
}
