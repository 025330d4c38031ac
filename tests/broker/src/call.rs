//! Requests of the broker to its clients that want an answer. Java: `Broker2Client#callClient`.

use std::collections::BTreeMap;

use rocketmq_client_core::time::Instant;

use crate::output::ConnectionId;
use crate::processor::relay::{Relay, StatusRound};
use crate::processor::reply_message::PushedReply;

/// What an answer is wanted for.
#[derive(Clone, Debug)]
pub(crate) enum Purpose {
    /// A reply was pushed to the client that asked.
    Reply(PushedReply),
    /// A tool asked a client something through the broker.
    Relay(Relay),
    /// A tool asks the clients of a group for their offsets, one after the other.
    Status(StatusRound),
}

#[derive(Clone, Debug)]
struct Call {
    until: Instant,
    purpose: Purpose,
}

/// The requests that are not answered yet, by connection and opaque.
#[derive(Clone, Debug, Default)]
pub(crate) struct CallTable {
    open: BTreeMap<(ConnectionId, i32), Call>,
}

impl CallTable {
    /// Waits for an answer.
    pub(crate) fn add(&mut self, connection: ConnectionId, opaque: i32, until: Instant, purpose: Purpose) {
        self.open.insert((connection, opaque), Call { until, purpose });
    }

    /// Takes what an answer is for.
    pub(crate) fn take(&mut self, connection: ConnectionId, opaque: i32) -> Option<Purpose> {
        self.open.remove(&(connection, opaque)).map(|call| call.purpose)
    }

    /// Takes what was waited for too long, or from a connection that is gone.
    pub(crate) fn take_failed(&mut self, now: Instant, gone: Option<ConnectionId>) -> Vec<Purpose> {
        let is_over = |connection: &ConnectionId, call: &Call| call.until <= now || Some(*connection) == gone;
        let over = self.open.iter().filter(|((connection, _), call)| is_over(connection, call));
        let over: Vec<_> = over.map(|(key, _)| *key).collect();
        over.iter().filter_map(|(connection, opaque)| self.take(*connection, *opaque)).collect()
    }

    /// When the next answer has been waited for too long.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.open.values().map(|call| call.until).min()
    }
}
