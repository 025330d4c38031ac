//! Connections: one to each address, opened by the first request that needs it.
//!
//! ```text
//!            request                resolved            connected
//!   (none) ─────────► Resolving ─────────► Connecting ─────────► Open
//!     ▲   numeric address ───────────────►    │                   │ GO_AWAY: Draining (no new requests)
//!     │        failed, timed out: back-off    │     closed, idle, │ dead, drained
//!     └───────────────────────────────────────┴───────────────────┘ every pending request fails at once
//! ```
//!
//! A request is answered exactly once: by its response, its deadline, or the end of its connection.
//! Requests wait unsent until the connection is up, so one whose deadline passes before that is known
//! never to have left. The Java client has no back-off and closes a connection after any timeout; here
//! a connection is given up when nothing at all came since the timed-out request was made.

mod backoff;
mod outbox;
mod pending;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::client::Output;
use crate::config::{ClientConfig, split_address};
use crate::error::Cause;
use crate::hash::SeededState;
use crate::id::{Arena, ChannelId, ResolveToken};
use crate::remoting::{
    Encoder, FLAG_ONEWAY, FLAG_RESPONSE, Head, Header, NoHeader, RemotingCommand, RequestCode, RequestHeader,
    ResponseCode,
};
use crate::rng::Rng;
use crate::time::Instant;
use crate::timer::{TimerId, Timers};

use backoff::BackOff;
use outbox::Outbox;
use pending::{Pending, PendingTable};

/// The answer to a request: the peer's command, whatever its code, or why there is none.
pub type Reply = Result<RemotingCommand, RequestFailure>;

/// A request that was not answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestFailure {
    /// The address it was for.
    pub peer: Arc<str>,
    /// Whether it is certain that the peer never got it whole.
    pub not_sent: bool,
    /// Why.
    pub cause: Cause,
}

/// What the connections have to tell the client. `P` says what a request was for.
#[derive(Clone, Debug)]
pub enum ChannelEvent<P> {
    /// A request has ended.
    Reply {
        /// What it was for.
        purpose: P,
        /// How.
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
        /// What.
        command: RemotingCommand,
    },
    /// A connection came up.
    Connected {
        /// To whom.
        address: Arc<str>,
    },
    /// A connection ended, or the attempt to open one.
    Closed {
        /// To whom.
        address: Arc<str>,
    },
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
    next_opaque: i32,
    dirty: Vec<ChannelId>,
    timers: Timers<ChannelTimer>,
    outputs: VecDeque<Output>,
    events: VecDeque<ChannelEvent<P>>,
    hasher: SeededState,
    /// Responses that nobody waited for.
    unexpected_responses: u64,
}

#[derive(Clone, Debug)]
struct Limits {
    connect_timeout: Duration,
    idle_max: Duration,
    pending_max: usize,
    delay_min: Duration,
    delay_max: Duration,
}

#[derive(Clone, Debug)]
struct Channel<P> {
    address: Arc<str>,
    state: State,
    pending: PendingTable<P>,
    waiting: Vec<Waiting<P>>,
    outbox: Outbox,
    oneways: VecDeque<(u64, P)>,
    last_received: Instant,
    last_active: Instant,
    received_any: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum State {
    Resolving { token: ResolveToken, timer: TimerId },
    Connecting { current: SocketAddr, others: SmallVec<[SocketAddr; 4]>, timer: TimerId },
    Open { idle: TimerId },
    Draining { idle: TimerId },
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
}

impl<P: Clone> Channels<P> {
    /// No connection yet. The first `opaque` is drawn, so that answers to a former life never match.
    pub fn new(config: &ClientConfig, rng: &mut Rng) -> Self {
        Self {
            limits: Limits {
                connect_timeout: config.connect_timeout,
                idle_max: config.channel_idle_max,
                pending_max: config.channel_pending_max,
                delay_min: config.reconnect_delay_min,
                delay_max: config.reconnect_delay_max,
            },
            encoder: Encoder { serialize: config.serialize, ..Encoder::default() },
            arena: Arena::default(),
            by_address: BTreeMap::new(),
            back_off: BTreeMap::new(),
            resolving: BTreeMap::new(),
            next_resolve: 0,
            next_opaque: (rng.next_u32() >> 1).cast_signed(),
            dirty: Vec::new(),
            timers: Timers::default(),
            outputs: VecDeque::new(),
            events: VecDeque::new(),
            hasher: SeededState::new(rng.next_u64()),
            unexpected_responses: 0,
        }
    }

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
        self.request_with_code(now, address, H::CODE, header, body, deadline, purpose);
    }

    /// As [`request`](Self::request), for a code that shares its header with others or has none.
    #[expect(clippy::too_many_arguments, reason = "they are what a request consists of")]
    pub fn request_with_code<'h, H: Header<'h>>(
        &mut self,
        now: Instant,
        address: &Arc<str>,
        code: RequestCode,
        header: &H,
        body: Bytes,
        deadline: Instant,
        purpose: P,
    ) {
        let opaque = self.take_opaque(address);
        let head = Head { code: code.0, opaque, flag: 0, remark: None };
        let id = match self.channel_for(now, address, true) {
            Ok(id) => id,
            Err(cause) => return self.fail(address.clone(), purpose, cause),
        };
        let timer = self.timers.arm(deadline, ChannelTimer::Request(id, opaque));
        let channel = self.arena.get_mut(id).expect("channel_for gives one that is alive");
        channel.last_active = now;
        let end = if channel.is_open() {
            channel.outbox.push_frame(&body, |out| self.encoder.encode(out, &head, header, &[], body.len()))
        } else {
            let frame = outbox::encode_apart(|out| self.encoder.encode(out, &head, header, &[], body.len()));
            channel.waiting.push(Waiting { frame, body, kind: WaitingKind::Request { opaque } });
            u64::MAX
        };
        channel.pending.insert(opaque, Pending { purpose, timer, sent_at: now, end });
        self.mark_dirty(id);
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
        let opaque = self.take_opaque(address);
        let head = Head { code: H::CODE.0, opaque, flag: FLAG_ONEWAY, remark: None };
        let id = match self.channel_for(now, address, true) {
            Ok(id) => id,
            Err(cause) => {
                if let Some(purpose) = purpose {
                    self.fail(address.clone(), purpose, cause);
                }
                return;
            }
        };
        let channel = self.arena.get_mut(id).expect("channel_for gives one that is alive");
        channel.last_active = now;
        if channel.is_open() {
            let end = channel
                .outbox
                .push_frame(&body, |out| self.encoder.encode(out, &head, header, &[], body.len()));
            if let Some(purpose) = purpose {
                channel.oneways.push_back((end, purpose));
            }
        } else {
            let frame = outbox::encode_apart(|out| self.encoder.encode(out, &head, header, &[], body.len()));
            channel.waiting.push(Waiting { frame, body, kind: WaitingKind::Oneway(purpose) });
        }
        self.mark_dirty(id);
    }

    /// Answers a request of the peer. Nothing happens when its connection is gone.
    pub fn respond(
        &mut self,
        now: Instant,
        id: ChannelId,
        request: &RemotingCommand,
        code: ResponseCode,
        remark: &str,
    ) {
        if request.is_oneway() {
            return;
        }
        let head = Head { code: code.0, opaque: request.opaque, flag: FLAG_RESPONSE, remark: Some(remark) };
        let Some(channel) = self.arena.get_mut(id) else { return };
        channel.last_active = now;
        channel.outbox.push_frame(&Bytes::new(), |out| self.encoder.encode(out, &head, &NoHeader, &[], 0));
        self.mark_dirty(id);
    }

    /// Opens a connection to `address` if there is none. `Connected` or `Closed` follows, unless it is
    /// open already, which is the value returned.
    pub fn connect(&mut self, now: Instant, address: &Arc<str>) -> bool {
        match self.channel_for(now, address, false) {
            Ok(id) => self.arena.get(id).is_some_and(Channel::is_open),
            Err(_) => {
                self.events.push_back(ChannelEvent::Closed { address: address.clone() });
                false
            }
        }
    }

    /// Whether requests to `address` can go out at once.
    pub fn is_open(&self, address: &str) -> bool {
        self.by_address.get(address).and_then(|id| self.arena.get(*id)).is_some_and(Channel::is_open)
    }

    /// Why the last attempt to reach `address` failed, if it did and none has worked since.
    pub fn last_failure(&self, address: &str) -> Option<&Cause> {
        self.back_off.get(address).map(|back_off| &back_off.cause)
    }

    /// The connections there are, for reports.
    pub fn addresses(&self) -> impl Iterator<Item = &Arc<str>> {
        self.by_address.keys()
    }

    /// Requests without an answer, over all connections.
    pub fn pending(&self) -> usize {
        self.arena.iter().map(|(_, channel)| channel.pending.len()).sum()
    }

    /// Closes every connection; what is pending fails with `reason`.
    pub fn close_all(&mut self, reason: &Arc<str>) {
        let ids: Vec<ChannelId> = self.arena.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.close(id, reason);
        }
    }

    /// The answer to a look-up.
    pub fn handle_resolved(
        &mut self,
        now: Instant,
        token: ResolveToken,
        result: Result<SmallVec<[SocketAddr; 4]>, Arc<str>>,
    ) {
        let Some(id) = self.resolving.remove(&token) else { return };
        let Some(channel) = self.arena.get_mut(id) else { return };
        let State::Resolving { timer, .. } = channel.state else { return };
        let host = split_address(&channel.address).map_or("", |(host, _)| host);
        let (cause, mut addresses) = match result {
            Ok(addresses) if addresses.is_empty() => ("no address".into(), addresses),
            Ok(addresses) => (Arc::from(""), addresses),
            Err(reason) => (reason, SmallVec::new()),
        };
        if addresses.is_empty() {
            let cause = Cause::Resolve { host: host.into(), reason: cause };
            self.timers.cancel(timer);
            return self.end(now, id, &cause);
        }
        let current = addresses.remove(0);
        channel.state = State::Connecting { current, others: addresses, timer };
        self.outputs.push_back(Output::Connect { channel: id, address: current });
    }

    /// A connection came up.
    pub fn handle_connected(&mut self, now: Instant, id: ChannelId) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        let State::Connecting { timer, .. } = channel.state else { return };
        self.timers.cancel(timer);
        let idle = self.timers.arm(now + self.limits.idle_max, ChannelTimer::Idle(id));
        channel.state = State::Open { idle };
        channel.last_received = now;
        channel.last_active = now;
        channel.flush_waiting();
        let address = channel.address.clone();
        tracing::debug!(%address, ?id, "connected");
        self.events.push_back(ChannelEvent::Connected { address });
        self.mark_dirty(id);
    }

    /// A connection ended, or could not be opened.
    pub fn handle_closed(&mut self, now: Instant, id: ChannelId, reason: &Arc<str>) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        if let State::Connecting { current, others, .. } = &mut channel.state {
            if !others.is_empty() {
                // The name has another address: the channel gets a new name, since the host has
                // forgotten the old one.
                *current = others.remove(0);
                return self.connect_elsewhere(id);
            }
            let cause = Cause::Connect { address: channel.address.clone(), reason: reason.clone() };
            return self.end(now, id, &cause);
        }
        let cause = Cause::ConnectionLost { address: channel.address.clone(), reason: reason.clone() };
        self.end(now, id, &cause);
    }

    /// The socket took bytes.
    pub fn handle_transmitted(&mut self, now: Instant, id: ChannelId, bytes_total: u64) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        channel.last_active = now;
        channel.outbox.accepted = bytes_total;
        while channel.oneways.front().is_some_and(|(end, _)| *end <= bytes_total) {
            let (_, purpose) = channel.oneways.pop_front().expect("the front was just looked at");
            self.events.push_back(ChannelEvent::Written { purpose });
        }
    }

    /// A frame arrived.
    pub fn handle_received(&mut self, now: Instant, id: ChannelId, command: RemotingCommand) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        channel.last_received = now;
        channel.last_active = now;
        if !channel.received_any {
            channel.received_any = true;
            self.back_off.remove(&channel.address);
        }
        if !command.is_response() {
            let address = channel.address.clone();
            return self.events.push_back(ChannelEvent::Request { channel: id, address, command });
        }
        let Some(pending) = channel.pending.remove(command.opaque) else {
            tracing::debug!(address = %channel.address, opaque = command.opaque, "answer that nobody waits for");
            self.unexpected_responses += 1;
            return;
        };
        self.timers.cancel(pending.timer);
        if command.code == ResponseCode::GO_AWAY.0 {
            self.drain(id);
        }
        self.events.push_back(ChannelEvent::Reply { purpose: pending.purpose, reply: Ok(command) });
        self.close_if_drained(id);
    }

    /// Deals with every deadline up to `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                ChannelTimer::Connect(id) => self.connect_timed_out(now, id),
                ChannelTimer::Idle(id) => self.idle_due(now, id),
                ChannelTimer::Request(id, opaque) => self.request_timed_out(now, id, opaque),
            }
        }
    }

    /// The earliest deadline.
    pub fn next_deadline(&self) -> Option<Instant> {
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
            let chunks = channel.outbox.take();
            if !chunks.is_empty() {
                return Some(Output::Transmit { channel: id, chunks });
            }
        }
        None
    }

    fn take_opaque(&mut self, address: &str) -> i32 {
        let pending = self.by_address.get(address).and_then(|id| self.arena.get(*id)).map(|c| &c.pending);
        loop {
            let opaque = self.next_opaque;
            self.next_opaque = opaque.wrapping_add(1) & i32::MAX;
            if !pending.is_some_and(|pending| pending.contains(opaque)) {
                return opaque;
            }
        }
    }

    fn channel_for(
        &mut self,
        now: Instant,
        address: &Arc<str>,
        for_request: bool,
    ) -> Result<ChannelId, Cause> {
        if let Some(id) = self.by_address.get(address) {
            let channel = self.arena.get(*id).expect("by_address names channels that are alive");
            let pending = channel.pending.len();
            if for_request && pending >= self.limits.pending_max {
                return Err(Cause::TooManyPending { pending });
            }
            return Ok(*id);
        }
        if let Some(back_off) = self.back_off.get(address).filter(|back_off| now < back_off.until) {
            return Err(back_off.cause.clone());
        }
        self.open(now, address)
    }

    fn open(&mut self, now: Instant, address: &Arc<str>) -> Result<ChannelId, Cause> {
        let Some((host, port)) = split_address(address) else {
            return Err(Cause::Connect { address: address.clone(), reason: "it is not host:port".into() });
        };
        let hasher = self.hasher;
        let timers = &mut self.timers;
        let deadline = now + self.limits.connect_timeout;
        let token = ResolveToken(self.next_resolve);
        let numeric = host.parse::<IpAddr>().ok().map(|ip| SocketAddr::new(ip, port));
        let id = self.arena.insert_with(|id| {
            let timer = timers.arm(deadline, ChannelTimer::Connect(id));
            let state = match numeric {
                Some(current) => State::Connecting { current, others: SmallVec::new(), timer },
                None => State::Resolving { token, timer },
            };
            Channel::new(address.clone(), state, now, hasher)
        });
        self.by_address.insert(address.clone(), id);
        match numeric {
            Some(address) => self.outputs.push_back(Output::Connect { channel: id, address }),
            None => {
                self.next_resolve += 1;
                self.resolving.insert(token, id);
                self.outputs.push_back(Output::Resolve { token, host: host.into(), port });
            }
        }
        Ok(id)
    }

    fn connect_elsewhere(&mut self, old: ChannelId) {
        let Some(channel) = self.arena.remove(old) else { return };
        let State::Connecting { current, others, timer } = channel.state.clone() else { return };
        self.timers.cancel(timer);
        let timers = &mut self.timers;
        let address = channel.address.clone();
        let id = self.arena.insert_with(|id| {
            let timer = timers.arm(timer.deadline(), ChannelTimer::Connect(id));
            let mut channel = channel;
            channel.state = State::Connecting { current, others, timer };
            channel.pending.rename(|opaque, old| {
                timers.cancel(old);
                timers.arm(old.deadline(), ChannelTimer::Request(id, opaque))
            });
            channel
        });
        self.by_address.insert(address, id);
        self.outputs.push_back(Output::Connect { channel: id, address: current });
    }

    fn connect_timed_out(&mut self, now: Instant, id: ChannelId) {
        let Some(channel) = self.arena.get(id) else { return };
        let address = channel.address.clone();
        let reason = format!("not connected after {} ms", self.limits.connect_timeout.as_millis()).into();
        if matches!(channel.state, State::Connecting { .. }) {
            self.outputs.push_back(Output::Close { channel: id });
        }
        self.end(now, id, &Cause::Connect { address, reason });
    }

    fn idle_due(&mut self, now: Instant, id: ChannelId) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        let due = channel.last_active + self.limits.idle_max;
        if due <= now {
            let reason = format!("idle for {} s", self.limits.idle_max.as_secs()).into();
            return self.close(id, &reason);
        }
        let timer = self.timers.arm(due, ChannelTimer::Idle(id));
        if let State::Open { idle } | State::Draining { idle } = &mut channel.state {
            *idle = timer;
        }
    }

    fn request_timed_out(&mut self, now: Instant, id: ChannelId, opaque: i32) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        let Some(pending) = channel.pending.remove(opaque) else { return };
        let not_sent = pending.end == u64::MAX;
        let peer = channel.address.clone();
        let silent = channel.is_open() && channel.last_received <= pending.sent_at && pending.sent_at < now;
        let reply = Err(RequestFailure { peer, not_sent, cause: Cause::Timeout });
        self.events.push_back(ChannelEvent::Reply { purpose: pending.purpose, reply });
        if silent {
            let waited = now.saturating_since(pending.sent_at).as_millis();
            return self.close(id, &format!("nothing came for {waited} ms").into());
        }
        self.close_if_drained(id);
    }

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

    fn close_if_drained(&mut self, id: ChannelId) {
        let drained = self.arena.get(id).is_some_and(|channel| {
            matches!(channel.state, State::Draining { .. }) && channel.pending.is_empty()
        });
        if drained {
            self.close(id, &"the peer asked to reconnect".into());
        }
    }

    fn close(&mut self, id: ChannelId, reason: &Arc<str>) {
        let Some(channel) = self.arena.get(id) else { return };
        let cause = Cause::ConnectionLost { address: channel.address.clone(), reason: reason.clone() };
        self.outputs.push_back(Output::Close { channel: id });
        self.finish(id, &cause);
    }

    /// The connection is gone for a reason that counts against the address.
    fn end(&mut self, now: Instant, id: ChannelId, cause: &Cause) {
        if let Some(channel) = self.arena.get(id).filter(|channel| !channel.received_any) {
            let entry = self.back_off.entry(channel.address.clone());
            let back_off = entry.or_insert_with(|| BackOff::new(cause.clone()));
            back_off.failed(now, cause.clone(), self.limits.delay_min, self.limits.delay_max);
        }
        self.finish(id, cause);
    }

    fn finish(&mut self, id: ChannelId, cause: &Cause) {
        let Some(channel) = self.arena.remove(id) else { return };
        match channel.state {
            State::Resolving { token, timer } => {
                self.resolving.remove(&token);
                self.timers.cancel(timer);
            }
            State::Connecting { timer, .. } => drop(self.timers.cancel(timer)),
            State::Open { idle } | State::Draining { idle } => drop(self.timers.cancel(idle)),
        }
        if self.by_address.get(&channel.address) == Some(&id) {
            self.by_address.remove(&channel.address);
        }
        tracing::debug!(address = %channel.address, ?id, %cause, "connection ended");
        self.fail_all(channel, cause);
    }

    fn fail_all(&mut self, channel: Channel<P>, cause: &Cause) {
        let Channel { address, pending, waiting, oneways, outbox, .. } = channel;
        for pending in pending.into_sorted() {
            self.timers.cancel(pending.timer);
            let not_sent = pending.end > outbox.accepted;
            let reply = Err(RequestFailure { peer: address.clone(), not_sent, cause: cause.clone() });
            self.events.push_back(ChannelEvent::Reply { purpose: pending.purpose, reply });
        }
        let unwritten = oneways.into_iter().map(|(_, purpose)| purpose);
        let unsent = waiting.into_iter().filter_map(|waiting| match waiting.kind {
            WaitingKind::Oneway(purpose) => purpose,
            WaitingKind::Request { .. } => None,
        });
        for purpose in unwritten.chain(unsent) {
            let reply = Err(RequestFailure { peer: address.clone(), not_sent: true, cause: cause.clone() });
            self.events.push_back(ChannelEvent::Reply { purpose, reply });
        }
        self.events.push_back(ChannelEvent::Closed { address });
    }

    fn fail(&mut self, peer: Arc<str>, purpose: P, cause: Cause) {
        let reply = Err(RequestFailure { peer, not_sent: true, cause });
        self.events.push_back(ChannelEvent::Reply { purpose, reply });
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
            last_received: now,
            last_active: now,
            received_any: false,
        }
    }

    fn is_open(&self) -> bool {
        matches!(self.state, State::Open { .. } | State::Draining { .. })
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
