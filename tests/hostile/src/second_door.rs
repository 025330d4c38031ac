//! A broker that moves: the same machine behind another address.

use std::collections::VecDeque;

use rocketmq_client_core::time::Instant;
use rocketmq_dev_broker::ConnectionId;
use rocketmq_sim::{Door, Peer, PeerOutput};

use crate::server::SharedServer;

/// A second address of a server: closed until a time, then it leads to the same machine.
#[derive(Debug)]
pub(crate) struct SecondDoor {
    server: SharedServer,
    opens: Instant,
    outputs: VecDeque<PeerOutput>,
    is_open: bool,
}

impl SecondDoor {
    /// A door that opens then.
    #[must_use]
    pub(crate) fn new(server: SharedServer, opens: Instant) -> Self {
        Self { server, opens, outputs: [PeerOutput::Listen(Door::Closed)].into(), is_open: false }
    }
}

impl Peer for SecondDoor {
    fn handle_connected(&mut self, now: Instant, connection: ConnectionId) {
        self.server.handle_connected(now, connection);
    }

    fn handle_bytes(&mut self, now: Instant, connection: ConnectionId, bytes: &[u8]) {
        self.server.handle_bytes(now, connection, bytes);
    }

    fn handle_closed(&mut self, now: Instant, connection: ConnectionId) {
        self.server.handle_closed(now, connection);
    }

    fn handle_timeout(&mut self, now: Instant) {
        if !self.is_open && now >= self.opens {
            self.is_open = true;
            self.outputs.push_back(PeerOutput::Listen(Door::Open));
        }
    }

    fn poll_output(&mut self) -> PeerOutput {
        if let Some(output) = self.outputs.pop_front() {
            return output;
        }
        if !self.is_open {
            return PeerOutput::Wait(Some(self.opens));
        }
        match self.server.poll_output() {
            // The first door's own time wakes the machine.
            PeerOutput::Wait(_) => PeerOutput::Wait(None),
            output => output,
        }
    }
}
