//! What goes out: requests, one-ways and responses, all by way of one place that queues a frame.

use alloc::sync::Arc;

use bytes::Bytes;

use crate::error::Cause;
use crate::id::ChannelId;
use crate::remoting::{
    FLAG_ONEWAY, FLAG_RESPONSE, Head, Header, NoHeader, RequestCode, RequestHeader, ResponseCode,
};
use crate::time::Instant;

use super::pending::Pending;
use super::{Channel, ChannelEvent, ChannelTimer, Channels, RequestFailure, Waiting, WaitingKind, outbox};

/// Where a frame goes that is queued while others wait for their connection.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Place {
    Ahead,
    Behind,
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
        self.counts.requests += 1;
        let id = match self.channel_for(now, address, true) {
            Ok(id) => id,
            Err(cause) => return self.fail(address.clone(), purpose, cause),
        };
        let opaque = self.take_opaque(id);
        let head = Head { code: code.0, opaque, flag: 0, remark: None };
        let timer = self.timers.arm(deadline, ChannelTimer::Request(id, opaque));
        let kind = WaitingKind::Request { opaque };
        let end = self.queue(now, id, &head, header, body, (kind, place));
        let pending = Pending { purpose, timer, sent_at: now, end: end.unwrap_or(u64::MAX) };
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
        let id = match self.channel_for(now, address, true) {
            Ok(id) => id,
            Err(cause) => {
                if let Some(purpose) = purpose {
                    self.fail(address.clone(), purpose, cause);
                }
                return;
            }
        };
        let opaque = self.take_opaque(id);
        let head = Head { code: H::CODE.0, opaque, flag: FLAG_ONEWAY, remark: None };
        let end =
            self.queue(now, id, &head, header, body, (WaitingKind::Oneway(purpose.clone()), Place::Behind));
        if let (Some(end), Some(purpose)) = (end, purpose) {
            let channel = self.arena.get_mut(id).expect("channel_for gives one that is alive");
            channel.oneways.push_back((end, purpose));
        }
    }

    /// Answers a request of the peer, `opaque` being its number. Nothing happens when the connection is
    /// gone, or when the peer does not read what it is told.
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
        let Some(channel) = self.arena.get(id).filter(|channel| channel.is_open()) else { return };
        if channel.outbox.backlog() > self.limits.outbox_bytes_max {
            return;
        }
        let head = Head { code: code.0, opaque, flag: FLAG_RESPONSE, remark };
        self.queue(now, id, &head, header, body, (WaitingKind::Oneway(None), Place::Behind));
    }

    /// The only place where a frame enters a connection; its end in the stream, unless it has to wait
    /// for the connection to come up.
    fn queue<'h, H: Header<'h>>(
        &mut self,
        now: Instant,
        id: ChannelId,
        head: &Head<'_>,
        header: &H,
        body: Bytes,
        (kind, place): (WaitingKind<P>, Place),
    ) -> Option<u64> {
        let channel = self.arena.get_mut(id)?;
        channel.last_active = now;
        // What waits for a connection that has just come up keeps its place before what comes now.
        let waits = !channel.is_open() || (place == Place::Behind && !channel.waiting.is_empty());
        if waits {
            let frame = outbox::encode_apart(|out| self.encoder.encode(out, head, header, &[], body.len()));
            let index = if place == Place::Ahead { 0 } else { channel.waiting.len() };
            channel.waiting.insert(index, Waiting { frame, body, kind });
            return None;
        }
        let end =
            channel.outbox.push_frame(&body, |out| self.encoder.encode(out, head, header, &[], body.len()));
        self.mark_dirty(id);
        Some(end)
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

    /// The connection to use, opened if there is none.
    pub(super) fn channel_for(
        &mut self,
        now: Instant,
        address: &Arc<str>,
        for_request: bool,
    ) -> Result<ChannelId, Cause> {
        if let Some(id) = self.by_address.get(address) {
            let channel = self.arena.get(*id).expect("by_address names channels that are alive");
            return if for_request { self.room(channel).map(|()| *id) } else { Ok(*id) };
        }
        if let Some(back_off) = self.back_off.get(address).filter(|back_off| now < back_off.until) {
            return Err(back_off.cause.clone());
        }
        self.open(now, address)
    }

    fn room(&self, channel: &Channel<P>) -> Result<(), Cause> {
        let pending = channel.pending.len();
        if pending >= self.limits.pending_max {
            return Err(Cause::TooManyPending { pending });
        }
        let bytes = channel.outbox.backlog();
        if bytes > self.limits.outbox_bytes_max { Err(Cause::Backlog { bytes }) } else { Ok(()) }
    }

    fn fail(&mut self, peer: Arc<str>, purpose: P, cause: Cause) {
        let reply = Err(RequestFailure { peer, not_sent: true, cause });
        self.events.push_back(ChannelEvent::Reply { purpose, reply });
    }
}
