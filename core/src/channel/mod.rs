//! Connections: one to each address, opened by the first request that needs it.
//!
//! ```text
//!            request, a place       resolved            connected
//!   (none) ─────────► Resolving ─────────► Connecting ─────────► Open
//!     ▲   numeric address ───────────────►    │                   │ GO_AWAY: Draining (no new requests)
//!     │        failed, timed out: back-off    │     closed, idle, │ dead, drained
//!     └───────────────────────────────────────┴───────────────────┘ every pending request fails at once
//! ```
//!
//! A request is answered exactly once: by its response, its deadline, or the end of its connection.
//! Requests wait unsent until the connection is up, so one whose deadline passes before that is known
//! never to have left. The Java client has no back-off and closes a connection after any timeout; here
//! a connection is given up when nothing at all came for as long as a request may take.

mod again;
mod answers;
mod backoff;
mod frames;
mod lifecycle;
mod outbox;
mod pending;
mod places;
mod receive;
mod request;
mod silence;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::config::ClientConfig;
use crate::error::Cause;
use crate::hash::SeededState;
use crate::id::{Arena, ChannelId, ResolveToken};
use crate::output::{Chunks, ConnectionStatistics, Output};
use crate::remoting::{Encoder, RemotingCommand};
use crate::rng::Rng;
use crate::time::Instant;
use crate::timer::{TimerId, Timers};

use again::Spares;
use answers::Answers;
use backoff::BackOff;
use outbox::Outbox;
use pending::PendingTable;
use places::Turn;
use silence::Silence;

pub use request::Keep;

/// The answer to a request: the peer's command, whatever its code, or why there is none.
pub type Reply = Result<RemotingCommand, RequestFailure>;

/// A request that was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFailure {
    /// The address it was for.
    pub peer: Arc<str>,
    /// Whether it is certain that the peer never got it whole.
    pub not_sent: bool,
    /// What happened instead of an answer.
    pub cause: Cause,
}

/// What the connections have to tell the client. `P` says what a request was for.
#[derive(Clone, Debug)]
pub enum ChannelEvent<P> {
    /// A request has ended.
    Reply {
        /// What it was for.
        purpose: P,
        /// The answer, or why there is none.
        reply: Reply,
    },
    /// The socket took the last byte of a one-way request.
    Written {
        /// What it was for.
        purpose: P,
    },
    /// The peer asks something itself.
    Request {
        /// Where to answer.
        channel: ChannelId,
        /// Who asks.
        address: Arc<str>,
        /// Its request.
        command: RemotingCommand,
    },
    /// The peer has not executed a send and wants it on another connection: whoever made it makes it once
    /// more, with [`Keep::Again`].
    Again {
        /// What it was for.
        purpose: P,
        /// Whom it is for.
        address: Arc<str>,
        /// The time that it was given.
        deadline: Instant,
    },
    /// Nothing has come on this connection for a while though something is awaited: whoever can ask the peer
    /// something cheap does so now, and a peer that is gone gives no answer to that either.
    Silent {
        /// Whose silence it is.
        address: Arc<str>,
    },
    /// A connection came up.
    Connected {
        /// To whom.
        address: Arc<str>,
    },
    /// A connection has brought its first answer.
    Heard {
        /// The peer that answered.
        address: Arc<str>,
    },
    /// A connection ended, or the attempt to open one.
    Closed {
        /// To whom.
        address: Arc<str>,
        /// Why, unless this client meant it to end.
        lost: Option<Lost>,
    },
}

/// A connection that ended without this client's wish.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lost {
    /// What ended it.
    pub cause: Cause,
    /// Whether it was up and nobody waited for anything on it: a peer may close what is idle.
    pub idle: bool,
}

/// All connections of a client.
#[derive(Clone, Debug)]
pub struct Channels<P> {
    limits: Limits,
    encoder: Encoder,
    arena: Arena<ChannelId, Channel<P>>,
    by_address: BTreeMap<Arc<str>, ChannelId>,
    back_off: BTreeMap<Arc<str>, BackOff>,
    resolving: BTreeMap<ResolveToken, ChannelId>,
    next_resolve: u32,
    /// Connections that wait to be opened.
    queue: BTreeMap<Turn, ChannelId>,
    next_turn: u64,
    spares: Spares,
    /// How many are being opened.
    connecting: usize,
    next_opaque: i32,
    dirty: Vec<ChannelId>,
    timers: Timers<ChannelTimer>,
    outputs: VecDeque<Output>,
    events: VecDeque<ChannelEvent<P>>,
    hasher: SeededState,
    /// What grows; `open` and `pending` are counted when asked for.
    counts: ConnectionStatistics,
}

#[derive(Clone, Debug)]
struct Limits {
    /// They need no place to be connected to.
    name_servers: Vec<Arc<str>>,
    connect_timeout: Duration,
    silence_max: Duration,
    idle_max: Duration,
    pending_max: usize,
    outbox_bytes_max: u64,
    delay_min: Duration,
    delay_max: Duration,
}

/// Addresses that are remembered for their failures; beyond that, those whose pause is over are
/// forgotten.
const BACK_OFFS_MAX: usize = 1_024;

#[derive(Clone, Debug)]
struct Channel<P> {
    address: Arc<str>,
    state: State,
    pending: PendingTable<P>,
    waiting: Vec<Waiting<P>>,
    outbox: Outbox,
    oneways: VecDeque<(u64, P)>,
    /// When it came up.
    opened: Instant,
    last_received: Instant,
    last_active: Instant,
    received_any: bool,
    silence: Silence,
    answers: Answers,
    /// It counts among those that are being opened.
    has_place: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    /// It waits for a place to be opened in.
    Queued {
        turn: Turn,
        timer: TimerId,
    },
    Resolving {
        token: ResolveToken,
        timer: TimerId,
    },
    Connecting {
        others: SmallVec<[SocketAddr; 4]>,
        timer: TimerId,
        deadline: Instant,
    },
    Open {
        idle: TimerId,
    },
    Draining {
        idle: TimerId,
    },
}

/// A frame that waits for its connection.
#[derive(Clone, Debug)]
struct Waiting<P> {
    frame: Bytes,
    body: Bytes,
    kind: WaitingKind<P>,
}

#[derive(Clone, Debug)]
enum WaitingKind<P> {
    Request { opaque: i32 },
    Oneway(Option<P>),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum ChannelTimer {
    Connect(ChannelId),
    Idle(ChannelId),
    Request(ChannelId, i32),
    Silence(ChannelId),
}

impl<P: Clone> Channels<P> {
    /// No connection yet. The first `opaque` is drawn, so that answers to a former life never match.
    pub fn new(config: &ClientConfig, rng: &mut Rng) -> Self {
        Self {
            limits: Limits {
                name_servers: config.name_servers.clone(),
                connect_timeout: config.connect_timeout,
                silence_max: config.request_timeout,
                idle_max: config.channel_idle_max,
                pending_max: config.channel_pending_max,
                outbox_bytes_max: config.channel_outbox_bytes_max,
                delay_min: config.reconnect_delay_min,
                delay_max: config.reconnect_delay_max,
            },
            encoder: Encoder { serialize: config.serialize, ..Encoder::default() },
            arena: Arena::default(),
            by_address: BTreeMap::new(),
            back_off: BTreeMap::new(),
            resolving: BTreeMap::new(),
            next_resolve: 0,
            queue: BTreeMap::new(),
            next_turn: 0,
            spares: Spares::default(),
            connecting: 0,
            next_opaque: (rng.next_u32() >> 1).cast_signed(),
            dirty: Vec::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            events: VecDeque::new(),
            hasher: SeededState::new(rng.next_u64()),
            counts: ConnectionStatistics::default(),
        }
    }

    /// What writes the frames, for templates.
    pub const fn encoder(&self) -> &Encoder {
        &self.encoder
    }

    /// Whether requests to `address` can go out at once.
    pub fn is_open(&self, address: &str) -> bool {
        self.by_address.get(address).and_then(|id| self.arena.get(*id)).is_some_and(Channel::is_open)
    }

    /// Whether a request of this kind waits for its answer on the connection that is current.
    pub fn awaits(&self, address: &str, kind: impl Fn(&P) -> bool) -> bool {
        let channel = self.by_address.get(address).and_then(|id| self.arena.get(*id));
        channel.is_some_and(|channel| channel.pending.any(kind))
    }

    /// The connections there are, for reports.
    pub fn addresses(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_address.keys()
    }

    /// Requests without an answer, over all connections.
    pub fn pending(&self) -> usize {
        self.arena.iter().map(|(_, channel)| channel.pending.len()).sum()
    }

    /// What the requests and one-ways are for that wait for a connection to come up: nothing of them has left.
    pub fn unconnected(&self) -> impl Iterator<Item = &P> {
        self.arena.iter().filter(|(_, channel)| !channel.is_open()).flat_map(|(_, channel)| {
            let oneways = channel.waiting.iter().filter_map(|waiting| match &waiting.kind {
                WaitingKind::Oneway(purpose) => purpose.as_ref(),
                WaitingKind::Request { .. } => None,
            });
            channel.pending.purposes().chain(oneways)
        })
    }

    /// What they have done so far, and what there is now.
    pub fn statistics(&self) -> ConnectionStatistics {
        let open = self.arena.iter().filter(|(_, channel)| channel.is_open()).count();
        ConnectionStatistics { open, pending: self.pending(), ..self.counts }
    }

    /// Whoever made a one-way request does not wait any longer for the socket to take it.
    pub fn count_oneway_timeout(&mut self) {
        self.counts.timeouts += 1;
    }

    /// The earliest deadline.
    pub fn next_deadline(&mut self) -> Option<Instant> {
        while let Some(&ChannelTimer::Silence(id)) = self.timers.first()
            && self.put_off_silence(id)
        {}
        self.timers.next_deadline()
    }

    /// The next thing to tell the client.
    pub fn poll_event(&mut self) -> Option<ChannelEvent<P>> {
        self.events.pop_front()
    }

    /// The next wish for the host: look-ups, connects and closes first, then what there is to write.
    pub fn poll_output(&mut self) -> Option<Output> {
        if let Some(output) = self.outputs.pop_front() {
            return Some(output);
        }
        while let Some(id) = self.dirty.pop() {
            let Some(channel) = self.arena.get_mut(id) else { continue };
            channel.outbox.dirty = false;
            let chunks = channel.take_outbox();
            if !chunks.is_empty() {
                frames::sent(&channel.address, &chunks);
                return Some(Output::Transmit { channel: id, chunks });
            }
        }
        None
    }

    fn mark_dirty(&mut self, id: ChannelId) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        if channel.is_open() && !channel.outbox.dirty {
            channel.outbox.dirty = true;
            self.dirty.push(id);
        }
    }
}

impl<P> Channel<P> {
    fn new(address: Arc<str>, state: State, now: Instant, hasher: SeededState) -> Self {
        Self {
            address,
            state,
            pending: PendingTable::new(hasher),
            waiting: Vec::new(),
            outbox: Outbox::default(),
            oneways: VecDeque::new(),
            opened: now,
            last_received: now,
            last_active: now,
            received_any: false,
            silence: Silence::new(now),
            answers: Answers::default(),
            has_place: false,
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. } | State::Draining { .. })
    }

    /// Everything that was ever queued has been taken by the socket, and nothing is awaited.
    fn is_drained(&self) -> bool {
        self.pending.is_empty() && self.waiting.is_empty() && self.outbox.is_empty()
    }

    /// All that is to be written now: first what was queued since the connection came up to go ahead,
    /// then what had waited for it.
    fn take_outbox(&mut self) -> Chunks {
        self.flush_waiting();
        self.outbox.take()
    }

    /// Frames whose deadline passed while the connection came up are left out.
    fn flush_waiting(&mut self) {
        for Waiting { frame, body, kind } in core::mem::take(&mut self.waiting) {
            match kind {
                WaitingKind::Request { opaque } => {
                    let Some(pending) = self.pending.get_mut(opaque) else { continue };
                    pending.end = self.outbox.push_encoded(&frame, &body);
                }
                WaitingKind::Oneway(purpose) => {
                    let end = self.outbox.push_encoded(&frame, &body);
                    self.oneways.extend(purpose.map(|purpose| (end, purpose)));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests;
