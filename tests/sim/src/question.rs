//! Questions that are put to servers from outside of the world: no network carries them and no time
//! passes.

use std::net::SocketAddr;

use rocketmq_client_core::remoting::{FRAME_BYTES_MAX, FrameDecoder, RemotingCommand};
use rocketmq_dev_broker::{ConnectionId, Frames};

use crate::executor::NodeId;
use crate::server::{Machine, Server};
use crate::world::World;

/// Ids of such connections begin here, far from all others.
const QUESTIONS: u64 = 1 << 56;

/// The question that is being asked, and how many there were.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    asked: u64,
    open: Option<(ConnectionId, FrameDecoder)>,
}

impl Questions {
    /// Whether what a server writes to this connection is for the one who asks.
    pub(crate) fn is_open(&self, connection: ConnectionId) -> bool {
        self.open.as_ref().is_some_and(|(id, _)| *id == connection)
    }

    /// The server wrote something, or closed the connection.
    pub(crate) fn answer(&mut self, frames: Option<Frames>) {
        if let (Some((_, decoder)), Some(frames)) = (&mut self.open, frames) {
            frames.parts().iter().for_each(|part| decoder.buffer_mut().extend_from_slice(part));
        }
    }

    fn begin(&mut self) -> ConnectionId {
        self.asked += 1;
        let id = ConnectionId(QUESTIONS + self.asked);
        self.open = Some((id, FrameDecoder::new(FRAME_BYTES_MAX)));
        id
    }

    /// The answer, past requests of the server's own.
    fn end(&mut self) -> Option<RemotingCommand> {
        let (_, mut decoder) = self.open.take()?;
        std::iter::from_fn(|| decoder.next_frame().ok().flatten()).find(RemotingCommand::is_response)
    }
}

impl World {
    /// What a server answers here and now by a connection of its own.
    pub(crate) fn ask(&mut self, address: SocketAddr, request: RemotingCommand) -> Option<RemotingCommand> {
        let mut running = self.servers.iter().filter(|(_, server)| server.is_up());
        let node = *running.find(|(_, server)| server.address == address)?.0;
        self.trace.event(self.now, "ask", node.0, &request.code.to_le_bytes());
        let id = self.questions.begin();
        self.put(node, address, id, Some(request));
        let answer = self.questions.end();
        self.put(node, address, id, None);
        answer
    }

    /// Connects and asks, or closes.
    fn put(&mut self, node: NodeId, address: SocketAddr, id: ConnectionId, request: Option<RemotingCommand>) {
        let now = self.now;
        let Some(Server { machine, .. }) = self.servers.get_mut(&node) else { return };
        match (machine, request) {
            (Machine::Broker(broker), Some(request)) => {
                broker.handle_connected(now, id, address, address);
                broker.handle_frame(now, id, request);
                self.monitor.look_at_offsets(now, broker, None);
            }
            (Machine::Broker(broker), None) => broker.handle_closed(now, id),
            (Machine::NameServer(machine), Some(request)) => {
                machine.handle_connected(now, id, address, address);
                machine.handle_frame(now, id, request);
            }
            (Machine::NameServer(machine), None) => machine.handle_closed(now, id),
        }
        self.drain(node);
    }
}
