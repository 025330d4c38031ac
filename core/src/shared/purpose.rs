//! What a request was for and why to wake: by these, answers and timers find their way back.

use alloc::sync::Arc;

use crate::id::{ConsumerId, OperationId, ProducerId, SendId};

use super::consumer_events::{ConsumerRequest, ConsumerTimer};

/// What a request was for; its reply goes there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// A route look-up for this topic.
    Route(Arc<str>),
    /// A heartbeat to this address, which named the consumers up to this one.
    Heartbeat(Arc<str>, Option<ConsumerId>),
    /// An attempt of this send.
    Send(SendId),
    /// A consumer's business.
    Consumer(ConsumerId, ConsumerRequest),
    /// A last word whose answer changes nothing.
    Farewell,
    /// Whether a name server is still there; any answer says so.
    Presence,
}

impl Purpose {
    /// The send, if it is an attempt of one.
    pub fn send(&self) -> Option<SendId> {
        match self {
            Self::Send(send) => Some(*send),
            _ => None,
        }
    }
}

/// Why to wake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TimerKey {
    /// Ask for the routes whose turn it is.
    PollRoutes,
    /// Let brokers hear from this client.
    Heartbeat,
    /// Ask for a route that may be wrong.
    Doubts,
    /// Ask for a route that was asked for in vain before.
    LookupTurn,
    /// A send's pause or look-up is over.
    Send(SendId),
    /// A producer's warm-up goes on, or its time is over.
    WarmUp(OperationId),
    /// A closing producer's patience is over.
    ProducerClose(ProducerId),
    /// A consumer's business.
    Consumer(ConsumerId, ConsumerTimer),
    /// The time for [`ClientCommand::Connect`](crate::client::ClientCommand::Connect) is over.
    Connect,
    /// The time for [`ClientCommand::Close`](crate::client::ClientCommand::Close) is over.
    Close,
}
