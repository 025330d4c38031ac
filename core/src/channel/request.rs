//! What goes out: requests, one-ways and responses, all by way of one place that queues a frame.

use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use crate::error::Cause;
use crate::id::ChannelId;
use crate::remoting::{
    Encoder, FLAG_ONEWAY, Head, Header, NoHeader, RequestCode, RequestHeader, SendFields, SendTemplate,
};
use crate::time::Instant;

use super::again::{Again, Kept};
use super::pending::Pending;
use super::{Channel, ChannelEvent, ChannelTimer, Channels, RequestFailure, Waiting, WaitingKind, outbox};

/// Where a frame goes that is queued while others wait for their connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Ahead,
    Behind,
}

/// What is kept of a request, for a peer that wants it on another connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Its bytes.
    Frame,
    /// Nothing: its owner can make it anew, in answer to [`ChannelEvent::Again`].
    Nothing,
    /// Nothing: it is made again already, also to an address that is left alone, and not another time.
    Again,
}

impl<P: Clone> Channels<P> {
    /// Queues a request to `address`; exactly one [`ChannelEvent::Reply`] with `purpose` follows.
    pub fn request<'h, H: RequestHeader<'h>>(
        &mut self,
        now: Instant,
        address: &Arc<str>,
        header: &H,
        body: Bytes,
        deadline: Instant,
        purpose: P,
    ) {
        self.request_at(now, address, (H::CODE, Place::Behind), header, body, deadline, purpose);
    }

    /// As [`request`](Self::request), for a code without header fields, ahead of all that the connection
    /// has not taken up yet: on one that has just come up it is the first that the peer hears.
    pub fn request_ahead(
        &mut self,
        now: Instant,
        address: &Arc<str>,
        code: RequestCode,
        body: Bytes,
        deadline: Instant,
        purpose: P,
    ) {
        self.request_at(now, address, (code, Place::Ahead), &NoHeader, body, deadline, purpose);
    }

    #[expect(clippy::too_many_arguments, reason = "they are what a request consists of")]
    fn request_at<'h, H: Header<'h>>(
        &mut self,
        now: Instant,
        address: &Arc<str>,
        (code, place): (RequestCode, Place),
        header: &H,
        body: Bytes,
        deadline: Instant,
        purpose: P,
    ) {
        let body_len = body.len();
        let queued = (body, place, Keep::Frame);
        self.request_encoded(now, address, queued, deadline, purpose, |encoder, opaque, out| {
            let head = Head { code: code.0, opaque, flag: 0, remark: None };
            encoder.encode(out, &head, header, &[], body_len)
        });
    }

    /// Queues a send, whose fields but `opaque` and `oneway` the caller has filled in; as
    /// [`request`](Self::request) otherwise.
    pub fn send(
        &mut self,
        now: Instant,
        address: &Arc<str>,
        (template, fields, keep): (&SendTemplate, &SendFields<'_>, Keep),
        body: Bytes,
        deadline: Instant,
        purpose: P,
    ) {
        let body_len = body.len();
        let queued = (body, Place::Behind, keep);
        self.request_encoded(now, address, queued, deadline, purpose, |_, opaque, out| {
            template.encode(out, &SendFields { opaque, oneway: false, ..*fields }, body_len)
        });
    }

    /// Queues a one-way send; as [`oneway`](Self::oneway) otherwise.
    pub fn send_oneway(
        &mut self,
        now: Instant,
        address: &Arc<str>,
        template: &SendTemplate,
        fields: &SendFields<'_>,
        body: Bytes,
        purpose: P,
    ) {
        let body_len = body.len();
        self.oneway_encoded(now, address, body, Some(purpose), |_, opaque, out| {
            template.encode(out, &SendFields { opaque, oneway: true, ..*fields }, body_len)
        });
    }

    fn request_encoded(
        &mut self,
        now: Instant,
        address: &Arc<str>,
        (body, place, keep): (Bytes, Place, Keep),
        deadline: Instant,
        purpose: P,
        encode: impl FnOnce(&Encoder, i32, &mut BytesMut) -> usize,
    ) {
        self.counts.requests += u64::from(keep != Keep::Again);
        let id = match keep {
            Keep::Again => self.current_or_new(now, address),
            Keep::Frame | Keep::Nothing => self.channel_for(now, address, (true, place == Place::Ahead)),
        };
        let id = match id {
            Ok(id) => id,
            Err(cause) => return self.fail(address.clone(), purpose, cause),
        };
        let opaque = self.take_opaque(id);
        let timer = self.timers.arm(deadline, ChannelTimer::Request(id, opaque));
        let kind = WaitingKind::Request { opaque };
        let mut again = match keep {
            Keep::Frame => Again::Frame(self.spare(&body)),
            Keep::Nothing => Again::Owner,
            Keep::Again => Again::Never,
        };
        let kept = match &mut again {
            Again::Frame(kept) => Some(&mut kept.frame),
            Again::Owner | Again::Never => None,
        };
        let encode = |encoder: &Encoder, out: &mut BytesMut| encode(encoder, opaque, out);
        let end = self.queue(now, id, (body, place, kept), kind, encode);
        let pending = Pending { purpose, timer, sent_at: now, end, again };
        self.awaited(now, id);
        let channel = self.arena.get_mut(id).expect("channel_for gives one that is alive");
        channel.pending.insert(opaque, pending);
    }

    /// Queues a request that wants no answer. With a purpose, a [`ChannelEvent::Written`] follows when
    /// the socket took it, or a failed [`ChannelEvent::Reply`].
    pub fn oneway<'h, H: RequestHeader<'h>>(
        &mut self,
        now: Instant,
        address: &Arc<str>,
        header: &H,
        body: Bytes,
        purpose: Option<P>,
    ) {
        let body_len = body.len();
        self.oneway_encoded(now, address, body, purpose, |encoder, opaque, out| {
            let head = Head { code: H::CODE.0, opaque, flag: FLAG_ONEWAY, remark: None };
            encoder.encode(out, &head, header, &[], body_len)
        });
    }

    fn oneway_encoded(
        &mut self,
        now: Instant,
        address: &Arc<str>,
        body: Bytes,
        purpose: Option<P>,
        encode: impl FnOnce(&Encoder, i32, &mut BytesMut) -> usize,
    ) {
        self.counts.requests += 1;
        let id = match self.channel_for(now, address, (true, false)) {
            Ok(id) => id,
            Err(cause) => {
                if let Some(purpose) = purpose {
                    self.fail(address.clone(), purpose, cause);
                }
                return;
            }
        };
        let opaque = self.take_opaque(id);
        let kind = WaitingKind::Oneway(purpose.clone());
        let body = (body, Place::Behind, None);
        let end = self.queue(now, id, body, kind, |encoder, out| encode(encoder, opaque, out));
        if let Some(purpose) = purpose.filter(|_| end != u64::MAX) {
            let channel = self.arena.get_mut(id).expect("channel_for gives one that is alive");
            channel.oneways.push_back((end, purpose));
        }
    }

    /// Where a frame enters a connection; its end in the stream, `u64::MAX` while it waits for the connection
    /// to come up. Its head is copied to where somebody keeps it.
    pub(super) fn queue(
        &mut self,
        now: Instant,
        id: ChannelId,
        (body, place, kept): (Bytes, Place, Option<&mut Vec<u8>>),
        kind: WaitingKind<P>,
        encode: impl FnOnce(&Encoder, &mut BytesMut) -> usize,
    ) -> u64 {
        let channel = self.arena.get_mut(id).expect("frames are queued for connections that are alive");
        channel.last_active = now;
        // What waits for a connection that has just come up keeps its place before what comes now.
        let waits = !channel.is_open() || (place == Place::Behind && !channel.waiting.is_empty());
        if waits {
            let frame = outbox::encode_apart(|out| encode(&self.encoder, out));
            if let Some(kept) = kept {
                kept.extend_from_slice(&frame);
            }
            let index = if place == Place::Ahead { 0 } else { channel.waiting.len() };
            channel.waiting.insert(index, Waiting { frame, body, kind });
            if place == Place::Behind {
                self.promote(now, id);
            }
            return u64::MAX;
        }
        let end = channel.outbox.push_frame(&body, |arena| {
            let begin = arena.len();
            let length = encode(&self.encoder, arena);
            if let Some(kept) = kept {
                kept.extend_from_slice(&arena[begin..]);
            }
            length
        });
        self.mark_dirty(id);
        end
    }

    /// As [`queue`](Self::queue), for a frame that is encoded already.
    pub(super) fn queue_encoded(
        &mut self,
        now: Instant,
        id: ChannelId,
        Kept { frame, body }: &Kept,
        kind: WaitingKind<P>,
    ) -> u64 {
        let body_and_place = (body.clone(), Place::Behind, None);
        let append = |_: &Encoder, out: &mut BytesMut| {
            out.extend_from_slice(frame);
            frame.len()
        };
        self.queue(now, id, body_and_place, kind, append)
    }

    fn take_opaque(&mut self, id: ChannelId) -> i32 {
        let pending = self.arena.get(id).map(|channel| &channel.pending);
        loop {
            let opaque = self.next_opaque;
            self.next_opaque = opaque.wrapping_add(1) & i32::MAX;
            if !pending.is_some_and(|pending| pending.contains(opaque)) {
                return opaque;
            }
        }
    }

    /// The connection to use, opened if there is none and the address isn't left alone.
    pub(super) fn channel_for(
        &mut self,
        now: Instant,
        address: &Arc<str>,
        (for_request, background): (bool, bool),
    ) -> Result<ChannelId, Cause> {
        if let Some(id) = self.by_address.get(address) {
            let channel = self.arena.get(*id).expect("by_address names channels that are alive");
            return if for_request { self.room(channel).map(|()| *id) } else { Ok(*id) };
        }
        if let Some((_, cause)) = self.paused(now, address) {
            return Err(cause.clone());
        }
        self.open(now, address, background)
    }

    /// The connection for a request that has been on another one.
    pub(super) fn current_or_new(&mut self, now: Instant, address: &Arc<str>) -> Result<ChannelId, Cause> {
        if self.by_address.contains_key(address) {
            return self.channel_for(now, address, (true, false));
        }
        self.open(now, address, false)
    }

    fn room(&self, channel: &Channel<P>) -> Result<(), Cause> {
        let pending = channel.pending.len();
        if pending >= self.limits.pending_max {
            return Err(Cause::TooManyPending { pending });
        }
        let bytes = channel.outbox.backlog();
        if bytes > self.limits.outbox_bytes_max { Err(Cause::Backlog { bytes }) } else { Ok(()) }
    }

    pub(super) fn fail(&mut self, peer: Arc<str>, purpose: P, cause: Cause) {
        let reply = Err(RequestFailure { peer, not_sent: true, cause });
        self.events.push_back(ChannelEvent::Reply { purpose, reply });
    }
}
