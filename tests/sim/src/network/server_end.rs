//! The server's end of connections, in the shape of a machine's inputs and outputs.

use bytes::Bytes;

use super::connection::{ClientState, ConnId, Direction, Packet, ServerState};
use super::{Arrival, Listening, Network, Timeline, Trouble, cut_of};
use crate::executor::NodeId;
use crate::fault::FaultKind;
use crate::world::Event;

impl Network {
    /// A server writes; its buffer has no bound.
    pub(crate) fn write(&mut self, time: &mut Timeline<'_>, id: ConnId, data: Bytes) {
        if self.server_state(id) == Some(ServerState::Up) && !data.is_empty() {
            self.transmit(time, id, Direction::Down, Packet::Data(data));
        }
    }

    /// A server drops a connection; what it wrote still arrives.
    pub(crate) fn close_server(&mut self, time: &mut Timeline<'_>, id: ConnId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if connection.server_state == ServerState::Up {
            connection.server_state = ServerState::Gone;
            self.transmit(time, id, Direction::Down, Packet::Fin);
        }
    }

    /// A server says its last but still listens.
    pub(crate) fn half_close(&mut self, time: &mut Timeline<'_>, id: ConnId) {
        self.transmit(time, id, Direction::Down, Packet::Fin);
    }

    /// Whether a server takes connections from now on. Those that nobody served end when somebody
    /// listens again; those of a server that is down, at once.
    pub(crate) fn set_listening(&mut self, server: NodeId, listening: Listening) -> Vec<ConnId> {
        let before = self.listening.insert(server, listening);
        if before == Some(listening) {
            return Vec::new();
        }
        let ended = |state: ServerState| match listening {
            Listening::Serving => state == ServerState::Silent,
            Listening::Refusing(Some(FaultKind::ConnectRefused)) | Listening::Silent | Listening::Lost => {
                false
            }
            Listening::Refusing(_) => matches!(state, ServerState::Up | ServerState::Silent),
        };
        let of_server = self.connections.iter().filter(|(_, connection)| connection.server == server);
        of_server.filter(|(_, connection)| ended(connection.server_state)).map(|(id, _)| *id).collect()
    }

    pub(super) fn arrive_at_server(
        &mut self,
        time: &mut Timeline<'_>,
        id: ConnId,
        packet: Packet,
    ) -> Option<Arrival> {
        match packet {
            Packet::Connect => return self.accept(time, id),
            Packet::Data(data) => return self.data_at_server(time, id, data),
            Packet::Fin | Packet::Reset | Packet::Accept | Packet::Refuse => {}
        }
        let connection = self.connections.get_mut(&id)?;
        let told = connection.server_state == ServerState::Up;
        connection.server_state = ServerState::Gone;
        told.then_some(Arrival::Closed)
    }

    fn server_state(&self, id: ConnId) -> Option<ServerState> {
        self.connections.get(&id).map(|connection| connection.server_state)
    }

    fn accept(&mut self, time: &mut Timeline<'_>, id: ConnId) -> Option<Arrival> {
        let way = self.connections.get(&id)?.way(Direction::Up);
        if let Some((kind, trouble)) = self.conditions.turned_away(way) {
            self.effects.count(kind);
            if let Some(gate) = way.via {
                *self.turned_away.entry(gate).or_default() += 1;
            }
            self.turn_away(time, id, trouble);
            return None;
        }
        let server = way.to;
        let listening = self.listening.get(&server).copied().unwrap_or(Listening::Refusing(None));
        let connection = self.connections.get_mut(&id)?;
        let (state, answer) = match listening {
            Listening::Lost => {
                connection.server_state = ServerState::Gone;
                return None;
            }
            Listening::Serving => (ServerState::Up, Packet::Accept),
            Listening::Silent => (ServerState::Silent, Packet::Accept),
            Listening::Refusing(_) => (ServerState::Gone, Packet::Refuse),
        };
        connection.server_state = state;
        let arrival = Arrival::Connected { peer: connection.peer, local: connection.local };
        match listening {
            Listening::Refusing(Some(FaultKind::ConnectRefused)) => {
                self.effects.count(FaultKind::ConnectRefused);
            }
            Listening::Silent => self.effects.count(FaultKind::AcceptThenSilent),
            _ => {}
        }
        self.transmit(time, id, Direction::Down, answer);
        (state == ServerState::Up).then_some(arrival)
    }

    /// The way to the server is such that nobody there hears of this connection.
    fn turn_away(&mut self, time: &mut Timeline<'_>, id: ConnId, trouble: Trouble) {
        if let Some(connection) = self.connections.get_mut(&id) {
            connection.server_state = ServerState::Gone;
        }
        let answers: &[Packet] = match trouble {
            Trouble::Drop => &[Packet::Accept, Packet::Reset],
            Trouble::Refuse | Trouble::Hold | Trouble::Delay(_) => &[Packet::Refuse],
        };
        for answer in answers {
            self.transmit(time, id, Direction::Down, answer.clone());
        }
    }

    fn data_at_server(&mut self, time: &mut Timeline<'_>, id: ConnId, data: Bytes) -> Option<Arrival> {
        let connection = self.connections.get_mut(&id)?;
        // There is room for more.
        self.wakers.extend(connection.waker.take());
        match connection.server_state {
            ServerState::Up => {}
            ServerState::Silent => return None,
            ServerState::None | ServerState::Gone => {
                if connection.client_state != ClientState::Gone {
                    self.enqueue(time, id, Direction::Down, Packet::Reset);
                }
                return None;
            }
        }
        if connection.trap == Some(Direction::Up) && data.len() > 1 {
            let kept = cut_of(&mut self.rng, data.len());
            connection.lose_packets();
            self.effects.count(FaultKind::ResetMidFrame);
            time.schedule.insert(time.now, Event::Reset(id));
            return Some(Arrival::Data(data.slice(..kept)));
        }
        Some(Arrival::Data(data))
    }
}
