//! What comes in: bytes taken, answers, and requests of the peer.

use crate::id::ChannelId;
use crate::remoting::{RemotingCommand, ResponseCode};
use crate::time::Instant;

use super::{ChannelEvent, Channels, State, backoff, frames};

impl<P: Clone> Channels<P> {
    /// The socket took bytes.
    pub fn handle_transmitted(&mut self, now: Instant, id: ChannelId, bytes_total: u64) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        channel.last_active = now;
        channel.outbox.accepted = bytes_total;
        while channel.oneways.front().is_some_and(|(end, _)| *end <= bytes_total) {
            let (_, purpose) = channel.oneways.pop_front().expect("the front was just looked at");
            self.events.push_back(ChannelEvent::Written { purpose });
        }
        self.close_if_drained(id);
    }

    /// A frame arrived.
    pub fn handle_received(&mut self, now: Instant, id: ChannelId, command: RemotingCommand) {
        let Some(channel) = self.arena.get_mut(id) else { return };
        frames::received(&channel.address, &command);
        channel.last_received = now;
        channel.last_active = now;
        let go_away = command.is_response() && command.code == ResponseCode::GO_AWAY.0;
        if !channel.received_any && !go_away {
            channel.received_any = true;
            let address = channel.address.clone();
            if core::mem::take(&mut channel.has_place) {
                self.connecting -= 1;
            }
            backoff::answered(&mut self.back_off, &address);
            self.events.push_back(ChannelEvent::Heard { address });
        }
        if !command.is_response() {
            let address = channel.address.clone();
            return self.events.push_back(ChannelEvent::Request { channel: id, address, command });
        }
        let Some(pending) = channel.pending.remove(command.opaque) else {
            tracing::trace!(address = %channel.address, opaque = command.opaque, "answer that nobody waits for");
            self.counts.unexpected_responses += 1;
            return;
        };
        self.timers.cancel(pending.timer);
        if go_away {
            self.go_away(now, id, command.opaque, pending);
        } else {
            self.spares.take_back(pending.again);
            self.events.push_back(ChannelEvent::Reply { purpose: pending.purpose, reply: Ok(command) });
        }
        self.close_if_drained(id);
    }

    pub(super) fn close_if_drained(&mut self, id: ChannelId) {
        let drained = self
            .arena
            .get(id)
            .is_some_and(|channel| matches!(channel.state, State::Draining { .. }) && channel.is_drained());
        if drained {
            self.close(id, &"the peer asked to reconnect".into());
        }
    }
}
