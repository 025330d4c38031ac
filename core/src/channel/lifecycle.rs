//! How connections come and go: look-up, connect, deadlines, idleness, silence, close.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use smallvec::SmallVec;

use crate::config::split_address;
use crate::error::Cause;
use crate::id::{ChannelId, ResolveToken};
use crate::output::Output;
use crate::time::Instant;

use super::silence::Silence;
use super::{Channel, ChannelEvent, ChannelTimer, Channels, Lost, RequestFailure, State, WaitingKind};

impl<P: Clone> Channels<P> {
    /// Opens a connection to `address` if there is none. `Connected` or `Closed` follows, unless it is
    /// open already, which is the value returned.
    pub fn connect(&mut self, now: Instant, address: &Arc<str>) -> bool {
        match self.channel_for(now, address, (false, false)) {
            Ok(id) => self.arena.get(id).is_some_and(Channel::is_open),
            Err(cause) => {
                let lost = Some(Lost { cause, idle: false });
                self.events.push_back(ChannelEvent::Closed { address: address.clone(), lost });
                false
            }
        }
    }

    /// Closes every connection, once what is queued has been handed to the host; what is pending fails
    /// with `reason`.
    pub fn close_all(&mut self, reason: &Arc<str>) {
        let ids: Vec<ChannelId> = self.arena.iter().map(|(id, _)| id).collect();
        for id in ids {
            let open = self.arena.get_mut(id).filter(|channel| channel.is_open());
            let chunks = open.map(Channel::take_outbox).unwrap_or_default();
            if !chunks.is_empty() {
                self.outputs.push_back(Output::Transmit { channel: id, chunks });
            }
            self.close_now(id, reason, (true, false));
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
        let reason = match result {
            Ok(addresses) if !addresses.is_empty() => {
                let deadline = timer.deadline();
                self.timers.cancel(timer);
                return self.try_next(now, id, addresses, deadline);
            }
            Ok(_) => "no address".into(),
            Err(reason) => reason,
        };
        let host = split_address(&channel.address).map_or("", |(host, _)| host).into();
        self.end(now, id, &Cause::Resolve { host, reason });
    }

    /// A connection came up.
    pub fn handle_connected(&mut self, now: Instant, id: ChannelId) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        let State::Connecting { timer, .. } = channel.state else { return };
        self.timers.cancel(timer);
        let idle = self.timers.arm(now + self.limits.idle_max, ChannelTimer::Idle(id));
        channel.state = State::Open { idle };
        channel.opened = now;
        channel.last_received = now;
        channel.last_active = now;
        channel.silence = Silence::new(now);
        self.counts.connected += 1;
        let address = channel.address.clone();
        tracing::debug!(%address, ?id, "connected");
        self.events.push_back(ChannelEvent::Connected { address });
        let asked = !channel.pending.is_empty();
        self.mark_dirty(id);
        self.watch_silence(id);
        if !asked {
            self.free_place(id);
        }
    }

    /// A connection ended, or could not be opened.
    pub fn handle_closed(&mut self, now: Instant, id: ChannelId, reason: &Arc<str>) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        let address = channel.address.clone();
        if matches!(channel.state, State::Connecting { .. }) {
            return self.connect_failed(now, id, reason.clone());
        }
        self.end(now, id, &Cause::ConnectionLost { address, reason: reason.clone() });
    }

    /// Deals with every deadline up to `now`.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some(timer) = self.timers.pop_due(now) {
            match timer {
                ChannelTimer::Connect(id) => self.connect_timed_out(now, id),
                ChannelTimer::Idle(id) => self.idle_due(now, id),
                ChannelTimer::Request(id, opaque) => self.request_timed_out(now, id, opaque),
                ChannelTimer::Silence(id) => self.silence_is_due(now, id),
            }
        }
        self.give_places(now);
    }

    /// A new connection; `background` if only a heartbeat wants it.
    pub(super) fn open(
        &mut self,
        now: Instant,
        address: &Arc<str>,
        background: bool,
    ) -> Result<ChannelId, Cause> {
        if split_address(address).is_none() {
            return Err(Cause::Connect { address: address.clone(), reason: "it is not host:port".into() });
        }
        Ok(self.enqueue(now, address, background))
    }

    /// A connection has got its place.
    pub(super) fn begin_connect(&mut self, now: Instant, id: ChannelId) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        let address = channel.address.clone();
        let Some((host, port)) = split_address(&address) else { return };
        let timer = self.timers.arm(now + self.limits.connect_timeout, ChannelTimer::Connect(id));
        let token = ResolveToken(self.next_resolve);
        channel.state = State::Resolving { token, timer };
        self.next_resolve += 1;
        self.resolving.insert(token, id);
        match host.parse::<IpAddr>() {
            Ok(ip) => {
                let addresses = SmallVec::from_slice(&[SocketAddr::new(ip, port)]);
                self.handle_resolved(now, token, Ok(addresses));
            }
            Err(_) => self.outputs.push_back(Output::Resolve { token, host: host.into(), port }),
        }
    }

    /// Tries the first of `addresses`, for its share of the time that is left.
    fn try_next(
        &mut self,
        now: Instant,
        id: ChannelId,
        mut addresses: SmallVec<[SocketAddr; 4]>,
        deadline: Instant,
    ) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        let address = addresses.remove(0);
        let tries = u32::try_from(addresses.len()).unwrap_or(u32::MAX).saturating_add(1);
        let share = deadline.saturating_since(now) / tries;
        let timer = self.timers.arm(now + share, ChannelTimer::Connect(id));
        channel.state = State::Connecting { others: addresses, timer, deadline };
        let endpoint = channel.address.clone();
        self.outputs.push_back(Output::Connect { channel: id, address, endpoint });
    }

    /// The next address if there is one. The channel gets a new name for it, since the host has
    /// forgotten the old one.
    fn connect_failed(&mut self, now: Instant, old: ChannelId, reason: Arc<str>) {
        let Some(channel) = self.arena.get_mut(old) else { return };
        let State::Connecting { others, timer, deadline } = &mut channel.state else { return };
        let (others, timer, deadline) = (core::mem::take(others), *timer, *deadline);
        if others.is_empty() || now >= deadline {
            let cause = Cause::Connect { address: channel.address.clone(), reason };
            return self.end(now, old, &cause);
        }
        self.timers.cancel(timer);
        let Some(mut channel) = self.arena.remove(old) else { return };
        let address = channel.address.clone();
        let timers = &mut self.timers;
        let id = self.arena.insert_with(|id| {
            channel.pending.rename(|opaque, old| {
                timers.cancel(old);
                timers.arm(old.deadline(), ChannelTimer::Request(id, opaque))
            });
            channel
        });
        self.by_address.insert(address, id);
        self.try_next(now, id, others, deadline);
    }

    fn connect_timed_out(&mut self, now: Instant, id: ChannelId) {
        let Some(channel) = self.arena.get(id) else { return };
        if matches!(channel.state, State::Queued { .. }) {
            return self.waited_for_place(now, id);
        }
        if matches!(channel.state, State::Connecting { .. }) {
            self.outputs.push_back(Output::Close { channel: id, flush: false });
            return self.connect_failed(now, id, "it does not answer".into());
        }
        let reason = format!("no look-up within {} ms", self.limits.connect_timeout.as_millis()).into();
        let host = split_address(&channel.address).map_or("", |(host, _)| host).into();
        self.end(now, id, &Cause::Resolve { host, reason });
    }

    fn idle_due(&mut self, now: Instant, id: ChannelId) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        let due = channel.last_active + self.limits.idle_max;
        if due <= now {
            if channel.received_any {
                self.back_off.remove(&channel.address);
            }
            let reason = format!("idle for {} s", self.limits.idle_max.as_secs()).into();
            return self.close(id, &reason);
        }
        let timer = self.timers.arm(due, ChannelTimer::Idle(id));
        if let State::Open { idle } | State::Draining { idle } = &mut channel.state {
            *idle = timer;
        }
    }

    /// A request is out of time. When nothing has come for as long as a request may take, the connection
    /// is as good as dead, and everything else on it need not wait any longer.
    fn request_timed_out(&mut self, now: Instant, id: ChannelId, opaque: i32) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        let Some(pending) = channel.pending.remove(opaque) else { return };
        self.counts.timeouts += 1;
        let not_sent = pending.end == u64::MAX;
        let peer = channel.address.clone();
        let sent_at = pending.sent_at;
        let quiet = now.saturating_since(channel.last_received.max(sent_at));
        let silent = channel.is_open() && quiet >= self.limits.silence_max;
        let reply = Err(RequestFailure { peer, not_sent, cause: Cause::Timeout });
        self.events.push_back(ChannelEvent::Reply { purpose: pending.purpose, reply });
        if silent {
            return self.close_silent(id, quiet);
        }
        if !not_sent {
            self.doubt(id, sent_at);
        }
        let asked =
            self.arena.get(id).is_some_and(|channel| !channel.is_open() || !channel.pending.is_empty());
        if !asked {
            self.free_place(id);
        }
        self.close_if_drained(id);
    }

    pub(super) fn close(&mut self, id: ChannelId, reason: &Arc<str>) {
        self.close_now(id, reason, (false, false));
    }

    /// As [`close`](Self::close), for a peer that has not kept its part.
    pub(super) fn give_up(&mut self, id: ChannelId, reason: &Arc<str>) {
        self.close_now(id, reason, (false, true));
    }

    fn close_now(&mut self, id: ChannelId, reason: &Arc<str>, (flush, lost): (bool, bool)) {
        let Some(channel) = self.arena.get(id) else { return };
        let cause = Cause::ConnectionLost { address: channel.address.clone(), reason: reason.clone() };
        self.outputs.push_back(Output::Close { channel: id, flush });
        self.finish(id, &cause, lost);
    }

    /// The connection is gone for a reason that counts against the address, unless it has been of use.
    fn end(&mut self, now: Instant, id: ChannelId, cause: &Cause) {
        let Some(channel) = self.arena.get(id) else { return };
        if channel.received_any {
            self.broke(now, id, cause);
        } else {
            let address = channel.address.clone();
            self.leave_alone(now, &address, cause);
        }
        self.finish(id, cause, true);
    }

    /// Takes a connection out of all tables; `lost` if this client did not mean it to end.
    pub(super) fn finish(&mut self, id: ChannelId, cause: &Cause, lost: bool) {
        self.free_place(id);
        let Some(channel) = self.arena.remove(id) else { return };
        if let Some(timer) = channel.silence.timer() {
            self.timers.cancel(timer);
        }
        let idle = channel.is_open() && channel.pending.is_empty();
        match channel.state {
            State::Queued { turn, timer } => {
                self.counts.connect_failures += 1;
                self.queue.remove(&turn);
                self.timers.cancel(timer);
            }
            State::Resolving { token, timer } => {
                self.counts.connect_failures += 1;
                self.resolving.remove(&token);
                self.timers.cancel(timer);
            }
            State::Connecting { timer, .. } => {
                self.counts.connect_failures += 1;
                self.timers.cancel(timer);
            }
            State::Open { idle } | State::Draining { idle } => {
                self.counts.lost += 1;
                self.timers.cancel(idle);
            }
        }
        let current = self.by_address.get(&channel.address) == Some(&id);
        if current {
            self.by_address.remove(&channel.address);
        }
        tracing::debug!(address = %channel.address, ?id, %cause, "connection ended");
        let address = channel.address.clone();
        self.fail_all(channel, cause);
        if current {
            // A connection that was replaced long ago says nothing about the address.
            let lost = lost.then(|| Lost { cause: cause.clone(), idle });
            self.events.push_back(ChannelEvent::Closed { address, lost });
        }
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
    }
}
