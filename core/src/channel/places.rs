//! How many connections are being made at once. A route may name thousands of brokers, dead ones among them;
//! who wants a connection beyond that waits in order, and its requests' time runs on meanwhile.
//!
//! A place is given back when the peer has said its first word, not when the connection is up: a peer that
//! takes connections and answers nothing holds no more sockets than one that does not answer at all.
//! Heartbeats go to all brokers there are, so they leave some places to requests that somebody waits for.

use alloc::format;
use alloc::sync::Arc;

use crate::error::Cause;
use crate::id::ChannelId;
use crate::time::Instant;

use super::{Channel, ChannelTimer, Channels, State};

/// Connections of a client that are being made at once.
pub(super) const CONNECTS_MAX: usize = 64;
/// So many of them may be for nothing but heartbeats.
const BACKGROUND_CONNECTS_MAX: usize = 48;

/// The place in the queue: requests before heartbeats, then in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Turn {
    background: bool,
    number: u64,
}

impl<P: Clone> Channels<P> {
    /// Puts a new connection at the end of its queue.
    pub(super) fn enqueue(&mut self, now: Instant, address: &Arc<str>, background: bool) -> ChannelId {
        self.next_turn += 1;
        let turn = Turn { background, number: self.next_turn };
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
            let most = if turn.background { BACKGROUND_CONNECTS_MAX } else { CONNECTS_MAX };
            if self.connecting >= most {
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
        let Some(channel) = self.arena.get_mut(id) else { return };
        if let State::Queued { turn, .. } = &mut channel.state
            && turn.background
        {
            self.queue.remove(turn);
            turn.background = false;
            self.queue.insert(*turn, id);
            self.give_places(now);
        }
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
