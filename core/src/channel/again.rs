//! GO_AWAY: a peer that is about to leave answers requests with it, whatever they were, and has executed
//! none of them. That is an answer of the transport. So the request is made again, once, on a new connection
//! and with the time that is left; the old connection drains.
//!
//! ```text
//!   request ── GO_AWAY ──▶ again, on the connection that is current by now ── GO_AWAY ──▶ failed, not sent
//! ```
//! Java: `NettyRemotingClient#invokeImpl`, which connects anew on the spot and does the same for sync and
//! async requests. One-way requests have no answer, so nothing is known of them.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::error::Cause;
use crate::id::ChannelId;
use crate::time::Instant;

use super::pending::Pending;
use super::{ChannelEvent, ChannelTimer, Channels, RequestFailure, State, WaitingKind};

/// How a request can be made again.
#[derive(Clone, Debug)]
pub(super) enum Again {
    /// From its bytes.
    Frame(Box<Kept>),
    /// Who made it makes it anew: for sends, whose bytes are too many to be kept for so rare an event.
    Owner,
    /// This was the second time.
    Never,
}

/// A request's bytes. Its `opaque` is among them, and is used again: it is drawn from one sequence for all
/// connections.
#[derive(Clone, Debug, Default)]
pub(super) struct Kept {
    pub(super) frame: Vec<u8>,
    pub(super) body: Bytes,
}

/// Buffers of requests that have been answered, for the next ones: as many as queues that are pulled from at once.
const SPARES_MAX: usize = 1_024;
/// A larger one is not kept.
const SPARE_BYTES_MAX: usize = 2 << 10;

/// What requests were kept in, to be used again.
#[expect(clippy::vec_box, reason = "the boxes move into requests and back")]
#[derive(Clone, Debug, Default)]
pub(super) struct Spares(Vec<Box<Kept>>);

impl Spares {
    /// A request needs no more to be made again.
    pub(super) fn take_back(&mut self, again: Again) {
        if let Again::Frame(mut kept) = again
            && self.0.len() < SPARES_MAX
            && kept.frame.capacity() <= SPARE_BYTES_MAX
        {
            kept.frame.clear();
            kept.body = Bytes::new();
            self.0.push(kept);
        }
    }
}

impl<P: Clone> Channels<P> {
    /// Where the bytes of a request with this body are kept.
    pub(super) fn spare(&mut self, body: &Bytes) -> Box<Kept> {
        let mut kept = self.spares.0.pop().unwrap_or_default();
        kept.body = body.clone();
        kept
    }

    /// A peer wants this request to be made elsewhere.
    pub(super) fn go_away(&mut self, now: Instant, id: ChannelId, opaque: i32, pending: Pending<P>) {
        self.drain(id);
        let Some(address) = self.arena.get(id).map(|channel| channel.address.clone()) else { return };
        let Pending { purpose, timer, again, .. } = pending;
        let deadline = timer.deadline();
        match again {
            Again::Owner => self.events.push_back(ChannelEvent::Again { purpose, address, deadline }),
            Again::Frame(kept) => match self.current_or_new(now, &address) {
                Ok(new) if !self.arena.get(new).is_some_and(|channel| channel.pending.contains(opaque)) => {
                    self.repeat(now, new, (opaque, &kept), deadline, purpose);
                    self.spares.take_back(Again::Frame(kept));
                }
                Ok(_) => self.sent_away_again(now, address, purpose),
                Err(cause) => self.fail(address, purpose, cause),
            },
            Again::Never => self.sent_away_again(now, address, purpose),
        }
    }

    fn repeat(
        &mut self,
        now: Instant,
        id: ChannelId,
        (opaque, kept): (i32, &Kept),
        deadline: Instant,
        purpose: P,
    ) {
        let timer = self.timers.arm(deadline, ChannelTimer::Request(id, opaque));
        let end = self.queue_encoded(now, id, kept, WaitingKind::Request { opaque });
        let pending = Pending { purpose, timer, sent_at: now, end, again: Again::Never };
        self.awaited(now, id);
        if let Some(channel) = self.arena.get_mut(id) {
            channel.pending.insert(opaque, pending);
        }
    }

    /// A peer that sends away what has just come on a new connection is as good as unreachable, and is left
    /// alone for a while.
    fn sent_away_again(&mut self, now: Instant, address: Arc<str>, purpose: P) {
        let reason = "it asked twice to reconnect (1500 GO_AWAY)".into();
        let cause = Cause::ConnectionLost { address: address.clone(), reason };
        self.leave_alone(now, &address, &cause);
        let reply = Err(RequestFailure { peer: address, not_sent: true, cause });
        self.events.push_back(ChannelEvent::Reply { purpose, reply });
    }

    /// New requests take another connection; this one ends when it has nothing more to wait for.
    fn drain(&mut self, id: ChannelId) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        if let State::Open { idle } = channel.state {
            channel.state = State::Draining { idle };
            let address = channel.address.clone();
            tracing::debug!(%address, "the peer asks to reconnect");
            if self.by_address.get(&address) == Some(&id) {
                self.by_address.remove(&address);
            }
        }
    }
}
