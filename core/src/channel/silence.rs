//! Peers that are gone without a word. A held pull may wait for 20 s and a send for a minute; a peer that says
//! nothing for 5 s meanwhile is asked something that it answers at once, and if that is not answered either
//! within the time that a request may take, the connection is given up with all that is pending on it.
//!
//! ```text
//!   awaited, 5 s of silence ──▶ Silent ──▶ a request of the client ── no answer in 3 s ──▶ closed
//!   a request out of time, and nothing came since it was sent ── nothing until 3 s after it ──▶ closed
//! ```
//! Java: only a request's own time-out closes a connection, so a consumer finds out with its next heartbeat or
//! rebalance.

use alloc::format;
use core::time::Duration;

use crate::id::ChannelId;
use crate::time::Instant;
use crate::timer::TimerId;

use super::{Channel, ChannelEvent, ChannelTimer, Channels, State};

/// So long may a peer be silent before it is asked.
const SILENCE_UNASKED: Duration = Duration::from_secs(5);

/// A timer that is due so much too early is moved before the host waits for it.
const EARLY_MAX: Duration = Duration::from_millis(500);

/// What is known of a peer's silence. One timer, which is moved when it is due or the next one to be, not whenever
/// something comes.
#[derive(Clone, Debug)]
pub(super) struct Silence {
    /// Armed as long as something is awaited, and for a while longer.
    timer: Option<TimerId>,
    /// Since when something has been awaited without a break.
    awaited_since: Instant,
    /// When the peer was asked last.
    asked: Instant,
    /// When the first request was sent that ran out of time without a word of the peer.
    doubted: Option<Instant>,
}

impl Silence {
    pub(super) fn new(now: Instant) -> Self {
        Self { timer: None, awaited_since: now, asked: now, doubted: None }
    }

    pub(super) fn timer(&self) -> Option<TimerId> {
        self.timer
    }
}

impl<P> Channel<P> {
    /// When its silence is to be looked at next.
    fn silence_due(&self, silence_max: Duration) -> Option<Instant> {
        let awaited = (!self.pending.is_empty()).then(|| {
            let since = self.last_received.max(self.silence.awaited_since).max(self.silence.asked);
            since + SILENCE_UNASKED
        });
        let doubted = self.silence.doubted.filter(|since| self.last_received <= *since);
        let doubted = doubted.map(|since| since + silence_max);
        awaited.into_iter().chain(doubted).min()
    }
}

impl<P: Clone> Channels<P> {
    /// A request is about to wait for its answer, on a connection that may not be up yet.
    pub(super) fn awaited(&mut self, now: Instant, id: ChannelId) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        if channel.pending.is_empty() {
            channel.silence.awaited_since = now;
        }
        let due = now + SILENCE_UNASKED;
        if channel.is_open() && channel.silence.timer.is_none_or(|timer| timer.deadline() > due) {
            if let Some(later) = channel.silence.timer.take() {
                self.timers.cancel(later);
            }
            channel.silence.timer = Some(self.timers.arm(due, ChannelTimer::Silence(id)));
        }
    }

    /// Looks at the silence of a connection when it is due, and not later than before.
    pub(super) fn watch_silence(&mut self, id: ChannelId) {
        let Some(channel) = self.arena.get_mut(id).filter(|channel| channel.is_open()) else { return };
        let Some(due) = channel.silence_due(self.limits.silence_max) else { return };
        match channel.silence.timer {
            Some(timer) if timer.deadline() <= due => return,
            Some(timer) => drop(self.timers.cancel(timer)),
            None => {}
        }
        channel.silence.timer = Some(self.timers.arm(due, ChannelTimer::Silence(id)));
    }

    /// The host is to wait until the silence of a connection is looked at. If something has come since, that is too
    /// early: whether it is put off.
    pub(super) fn put_off_silence(&mut self, id: ChannelId) -> bool {
        let Some(channel) = self.arena.get_mut(id) else { return false };
        let due = channel.silence_due(self.limits.silence_max);
        let Some((due, timer)) = due.zip(channel.silence.timer) else { return false };
        let is_early = timer.deadline() + EARLY_MAX <= due;
        if is_early {
            self.timers.cancel(timer);
            channel.silence.timer = Some(self.timers.arm(due, ChannelTimer::Silence(id)));
        }
        is_early
    }

    /// A request was sent at `since` and has run out of time. If the peer has said nothing since, it has as
    /// long as any request may take, whether or not anybody still waits.
    pub(super) fn doubt(&mut self, id: ChannelId, since: Instant) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        if channel.is_open() && channel.last_received <= since {
            let unanswered = channel.silence.doubted.filter(|doubted| channel.last_received <= *doubted);
            channel.silence.doubted = Some(unanswered.unwrap_or(since));
            self.watch_silence(id);
        }
    }

    pub(super) fn silence_is_due(&mut self, now: Instant, id: ChannelId) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        channel.silence.timer = None;
        if channel.silence.doubted.is_some_and(|since| channel.last_received > since) {
            channel.silence.doubted = None;
        }
        let quiet = now.saturating_since(channel.last_received.max(channel.silence.awaited_since));
        let silence_max = self.limits.silence_max;
        if channel.silence.doubted.is_some_and(|since| since + silence_max <= now) {
            return self.close_silent(id, quiet);
        }
        if channel.silence_due(silence_max).is_some_and(|due| due <= now) {
            // What peers that are about to leave still hold is asked for anew elsewhere: nothing new goes to
            // the old connection, so no question either.
            if matches!(channel.state, State::Draining { .. }) && quiet >= SILENCE_UNASKED + silence_max {
                return self.close_silent(id, quiet);
            }
            channel.silence.asked = now;
            if matches!(channel.state, State::Open { .. }) {
                let address = channel.address.clone();
                self.events.push_back(ChannelEvent::Silent { address });
            }
        }
        self.watch_silence(id);
    }

    pub(super) fn close_silent(&mut self, id: ChannelId, quiet: Duration) {
        self.give_up(id, &format!("nothing came for {} ms", quiet.as_millis()).into());
    }
}
