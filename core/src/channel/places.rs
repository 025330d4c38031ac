//! How many connections are being made at once. A route may name thousands of brokers, dead ones among them;
//! who wants a connection beyond that waits in order, and its requests' time runs on meanwhile.
//!
//! A place is given back when the peer has said its first word, not when the connection is up: a peer that
//! takes connections and answers nothing holds no more sockets than one that does not answer at all.
//! Heartbeats go to all brokers there are, so they leave some places to requests that somebody waits for; brokers
//! that could not be reached the last time leave some to the others; and name servers, which are few, need no place:
//! whatever dead brokers a route names, who may know better is asked.

use alloc::format;
use alloc::sync::Arc;

use crate::error::Cause;
use crate::id::ChannelId;
use crate::time::Instant;

use super::{Channel, ChannelTimer, Channels, State};

/// Connections of a client that are being made at once.
pub(super) const CONNECTS_MAX: usize = 64;
/// So many of them may be under way when another begins that could not be reached the last time.
const FAILED_CONNECTS_MAX: usize = 56;
/// So many of them may be under way when another begins for nothing but heartbeats.
const BACKGROUND_CONNECTS_MAX: usize = 48;

/// The place in the queue: by rank, then in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    rank: Rank,
    number: u64,
}

/// Who goes before whom.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    NameServer,
    /// Somebody waits for an answer.
    Request,
    /// As `Request`, of one that could not be reached the last time.
    Failed,
    /// Only heartbeats want it.
    Background,
}

impl Rank {
    /// With fewer connects than that under way one more may begin.
    const fn connects_max(self) -> usize {
        match self {
            Self::NameServer => usize::MAX,
            Self::Request => CONNECTS_MAX,
            Self::Failed => FAILED_CONNECTS_MAX,
            Self::Background => BACKGROUND_CONNECTS_MAX,
        }
    }
}

impl<P: Clone> Channels<P> {
    fn rank(&self, address: &Arc<str>, background: bool) -> Rank {
        if self.limits.name_servers.contains(address) {
            Rank::NameServer
        } else if background {
            Rank::Background
        } else if self.last_failure(address).is_some() {
            Rank::Failed
        } else {
            Rank::Request
        }
    }

    /// Puts a new connection at the end of its queue.
    pub(super) fn enqueue(&mut self, now: Instant, address: &Arc<str>, background: bool) -> ChannelId {
        self.next_turn += 1;
        let turn = Turn { rank: self.rank(address, background), number: self.next_turn };
        let (hasher, timers) = (self.hasher, &mut self.timers);
        let deadline = now + self.limits.connect_timeout;
        let id = self.arena.insert_with(|id| {
            let timer = timers.arm(deadline, ChannelTimer::Connect(id));
            Channel::new(address.clone(), State::Queued { turn, timer }, now, hasher)
        });
        self.by_address.insert(address.clone(), id);
        self.queue.insert(turn, id);
        self.give_places(now);
        id
    }

    /// Begins as many connections as there are places for.
    pub(super) fn give_places(&mut self, now: Instant) {
        if !self.queue.is_empty() {
            self.begin_queued(now);
        }
    }

    fn begin_queued(&mut self, now: Instant) {
        while let Some((turn, id)) = self.queue.first_key_value().map(|(turn, id)| (*turn, *id)) {
            if self.connecting >= turn.rank.connects_max() {
                return;
            }
            self.queue.remove(&turn);
            let Some(channel) = self.arena.get_mut(id) else { continue };
            if let State::Queued { timer, .. } = channel.state {
                self.timers.cancel(timer);
                channel.has_place = true;
                self.connecting += 1;
                self.begin_connect(now, id);
            }
        }
    }

    /// Somebody waits for a connection that only a heartbeat wanted.
    pub(super) fn promote(&mut self, now: Instant, id: ChannelId) {
        let Some(channel) = self.arena.get(id) else { return };
        let State::Queued { turn, .. } = channel.state else { return };
        if turn.rank != Rank::Background {
            return;
        }
        let promoted = Turn { rank: self.rank(&channel.address, false), ..turn };
        if let Some(channel) = self.arena.get_mut(id)
            && let State::Queued { turn, .. } = &mut channel.state
        {
            *turn = promoted;
        }
        self.queue.remove(&turn);
        self.queue.insert(promoted, id);
        self.give_places(now);
    }

    /// A connection needs no place any more. Who waits gets it before the input has been dealt with.
    pub(super) fn free_place(&mut self, id: ChannelId) {
        if let Some(channel) = self.arena.get_mut(id)
            && channel.has_place
        {
            channel.has_place = false;
            self.connecting -= 1;
        }
    }

    /// A connection has waited for its place for as long as a connect may take. It waits on for requests that
    /// have time left; its end says nothing about the address.
    pub(super) fn waited_for_place(&mut self, now: Instant, id: ChannelId) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        if let (State::Queued { timer, .. }, false) = (&mut channel.state, channel.pending.is_empty()) {
            *timer = self.timers.arm(now + self.limits.connect_timeout, ChannelTimer::Connect(id));
            return;
        }
        let address = channel.address.clone();
        let reason = format!("{CONNECTS_MAX} other connects are under way").into();
        self.finish(id, &Cause::Connect { address, reason }, false);
    }
}
