//! What a client has done so far: numbers that only grow, and what there is now.

use alloc::vec::Vec;
use core::fmt;

use super::ConsumerStatistics;

/// A client at one moment. Java: `ConsumerStatsManager` and what `NettyRemotingClient` logs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClientStatistics {
    /// Its connections, to name servers and brokers.
    pub connections: ConnectionStatistics,
    /// Its consumers that have not closed, in the order of their start.
    pub consumers: Vec<ConsumerStatistics>,
}

/// The connections of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionStatistics {
    /// Connections that are up.
    pub open: usize,
    /// Connections that came up, in the client's life.
    pub connected: u64,
    /// Connections that were up and ended, in its life.
    pub lost: u64,
    /// Attempts to connect that failed, in its life.
    pub connect_failures: u64,
    /// Requests that were made, in its life; one-way ones and those that could not be sent are among them.
    pub requests: u64,
    /// Requests that wait for an answer now.
    pub pending: usize,
    /// Requests whose time was over, in its life: without an answer, or a one-way one that the socket did not take.
    pub timeouts: u64,
    /// Answers that nobody waited for any more, in its life.
    pub unexpected_responses: u64,
}

impl fmt::Display for ClientStatistics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ConnectionStatistics { open, connected, lost, requests, pending, .. } = self.connections;
        write!(f, "{open} connections ({connected} made, {lost} lost), ")?;
        write!(f, "{requests} requests, {pending} of them waiting")?;
        self.consumers.iter().try_for_each(|consumer| write!(f, "\n{consumer}"))
    }
}
