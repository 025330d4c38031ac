//! The machines with their sockets, and the flow of outputs between them.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry};
use rocketmq_client_core::remoting::{FRAME_BYTES_MAX, FrameDecoder};
use rocketmq_client_core::time::{Instant, Timestamp};

use super::connection::{Connection, CutOff, Owner, ReadEnd};
use super::poll::{broker_token, connection_token};
use crate::broker::{Broker, Durability, Output};
use crate::config::BrokerConfig;
use crate::name_server::{NameServer, NameServerOutput};
use crate::output::{ConnectionId, Frames};

const CUT_OFFS_MAX: usize = 100;

/// Real time, moved forward by [`Clock::advance`].
#[derive(Debug)]
pub(super) struct Clock {
    start: std::time::Instant,
    wall: Timestamp,
    ahead: Duration,
}

impl Clock {
    pub(super) fn new() -> Self {
        let since_epoch = std::time::UNIX_EPOCH.elapsed().unwrap_or_default();
        let wall = Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(0));
        Self { start: std::time::Instant::now(), wall, ahead: Duration::ZERO }
    }

    pub(super) fn now(&self) -> Instant {
        Instant::ZERO + (self.start.elapsed() + self.ahead)
    }

    fn wall(&self, now: Instant) -> Timestamp {
        self.wall + (now - Instant::ZERO)
    }
}

/// A broker with its port; without a listener it is stopped.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) machine: Broker,
    pub(super) addr: SocketAddr,
    bound: SocketAddr,
    pub(super) listener: Option<TcpListener>,
    /// Its connection to the name server, which is no socket.
    registered_over: ConnectionId,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) name_server: NameServer,
    pub(super) name_server_addr: SocketAddr,
    pub(super) name_server_listener: TcpListener,
    pub(super) brokers: Vec<Node>,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    /// Connections that got something to write.
    pub(super) touched: Vec<ConnectionId>,
    pub(super) cut_offs: VecDeque<CutOff>,
    pub(super) next_connection: u64,
    pub(super) clock: Clock,
    pub(super) registry: Registry,
}

impl World {
    pub(super) fn add_broker(
        &mut self,
        config: BrokerConfig,
        listener: TcpListener,
        seed: u64,
    ) -> io::Result<()> {
        let now = self.clock.now();
        let (addr, bound) = (config.addr, listener.local_addr()?);
        let machine = Broker::new(config, seed, now, self.clock.wall(now));
        let registered_over = self.next_id();
        self.brokers.push(Node { machine, addr, bound, listener: Some(listener), registered_over });
        self.launch(self.brokers.len() - 1)
    }

    /// Opens the broker's port to the poll and registers it, so that its routes are there at once.
    fn launch(&mut self, broker: usize) -> io::Result<()> {
        let now = self.clock.now();
        let node = &mut self.brokers[broker];
        if let Some(listener) = &mut node.listener {
            self.registry.register(listener, broker_token(broker), Interest::READABLE)?;
        }
        let (peer, local) = (node.addr, self.name_server_addr);
        self.name_server.handle_connected(now, node.registered_over, peer, local);
        node.machine.handle_timeout(now);
        self.pump(now);
        Ok(())
    }

    pub(super) fn stop_broker(&mut self, broker: usize, crash: Option<Durability>) {
        let now = self.clock.now();
        let node = &mut self.brokers[broker];
        let Some(mut listener) = node.listener.take() else { return };
        if let Err(error) = self.registry.deregister(&mut listener) {
            tracing::debug!(%error, "a listener was not known to the poll");
        }
        self.name_server.handle_closed(now, node.registered_over);
        if let Some(keep) = crash {
            node.machine = node.machine.crash(keep, now, self.clock.wall(now));
        }
        self.close_where(|connection| connection.owner == Owner::Broker(broker));
    }

    pub(super) fn start_broker(&mut self, broker: usize) -> io::Result<()> {
        if self.brokers[broker].listener.is_some() {
            return Ok(());
        }
        let listener = TcpListener::bind(self.brokers[broker].bound)?;
        let now = self.clock.now();
        let (wall, registered_over) = (self.clock.wall(now), self.next_id());
        let node = &mut self.brokers[broker];
        node.machine = node.machine.restart(now, wall);
        node.listener = Some(listener);
        node.registered_over = registered_over;
        self.launch(broker)
    }

    pub(super) fn kill_connections(&mut self) {
        self.close_where(|_| true);
    }

    fn close_where(&mut self, close: impl Fn(&Connection) -> bool) {
        let chosen = self.connections.iter().filter(|(_, connection)| close(connection));
        let chosen: Vec<_> = chosen.map(|(id, _)| *id).collect();
        for id in chosen {
            self.close(id);
        }
    }

    /// Moves the clock with a stop at every deadline on the way.
    pub(super) fn advance(&mut self, time: Duration) {
        let mut at = self.clock.now();
        let end = at + time;
        loop {
            let due = self.pump(at).filter(|due| *due > at && *due <= end);
            let Some(due) = due else { break };
            at = due;
            self.timeout(at);
        }
        self.clock.ahead += time;
        self.timeout(end);
        self.pump(end);
    }

    pub(super) fn timeout(&mut self, now: Instant) {
        self.name_server.handle_timeout(now);
        for node in self.brokers.iter_mut().filter(|node| node.listener.is_some()) {
            node.machine.handle_timeout(now);
        }
    }

    pub(super) fn accept(&mut self, owner: Owner) {
        loop {
            let listener = match owner {
                Owner::NameServer => Some(&self.name_server_listener),
                Owner::Broker(broker) => self.brokers[broker].listener.as_ref(),
            };
            match listener.map(TcpListener::accept) {
                Some(Ok((stream, peer))) => {
                    if let Err(error) = self.accepted(stream, peer, owner) {
                        tracing::warn!(%error, %peer, "a connection could not be taken");
                    }
                }
                Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Some(Err(error)) if error.kind() != io::ErrorKind::WouldBlock => {
                    tracing::warn!(%error, "connections can't be accepted");
                    return;
                }
                _ => return,
            }
        }
    }

    fn accepted(&mut self, mut stream: TcpStream, peer: SocketAddr, owner: Owner) -> io::Result<()> {
        stream.set_nodelay(true)?;
        let local = stream.local_addr()?;
        let id = self.next_id();
        self.registry.register(&mut stream, connection_token(id), Interest::READABLE | Interest::WRITABLE)?;
        let now = self.clock.now();
        match owner {
            Owner::NameServer => self.name_server.handle_connected(now, id, peer, local),
            Owner::Broker(broker) => self.brokers[broker].machine.handle_connected(now, id, peer, local),
        }
        self.connections.insert(id, Connection::new(stream, owner));
        Ok(())
    }

    /// Reads a connection and hands its frames over. True when there may be more to read.
    pub(super) fn read(&mut self, now: Instant, id: ConnectionId, to_the_end: bool) -> bool {
        let Some(connection) = self.connections.get_mut(&id) else { return false };
        let end = connection.fill(to_the_end);
        loop {
            match connection.decoder.next_frame() {
                Ok(Some(command)) => match connection.owner {
                    Owner::NameServer => self.name_server.handle_frame(now, id, command),
                    Owner::Broker(broker) => self.brokers[broker].machine.handle_frame(now, id, command),
                },
                Ok(None) => break,
                Err(error) => {
                    self.cut_off(id, CutOff::Frame(error));
                    return false;
                }
            }
        }
        match end {
            ReadEnd::Closed => self.close(id),
            ReadEnd::More => return true,
            ReadEnd::Drained => {}
        }
        false
    }

    /// Carries outputs to their connections until all machines wait; the earliest deadline.
    pub(super) fn pump(&mut self, now: Instant) -> Option<Instant> {
        let mut deadline = None;
        for broker in 0..self.brokers.len() {
            deadline = earlier(deadline, self.pump_broker(now, broker));
        }
        let deadline = earlier(deadline, self.pump_name_server());
        self.flush();
        deadline
    }

    fn pump_broker(&mut self, now: Instant, broker: usize) -> Option<Instant> {
        self.brokers[broker].listener.as_ref()?;
        loop {
            match self.brokers[broker].machine.poll_output() {
                Output::Transmit { connection, frames } => self.transmit(connection, frames),
                Output::Close { connection } => self.shut(connection),
                Output::RegisterBroker { frame } => self.tell_name_server(now, broker, &frame),
                Output::QueryRoute { frame } => {
                    self.tell_name_server(now, broker, &frame);
                    // The broker gets the answer before it is asked for its next output.
                    self.pump_name_server();
                }
                Output::Wait(deadline) => return deadline,
            }
        }
    }

    fn tell_name_server(&mut self, now: Instant, broker: usize, frame: &[u8]) {
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        decoder.buffer_mut().extend_from_slice(frame);
        if let Ok(Some(command)) = decoder.next_frame() {
            self.name_server.handle_frame(now, self.brokers[broker].registered_over, command);
        }
    }

    /// The name server answers a broker.
    fn tell_broker(&mut self, id: ConnectionId, frames: &Frames) {
        let now = self.clock.now();
        let Some(node) = self.brokers.iter_mut().find(|node| node.registered_over == id) else { return };
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        frames.parts().iter().for_each(|part| decoder.buffer_mut().extend_from_slice(part));
        while let Ok(Some(answer)) = decoder.next_frame() {
            node.machine.handle_route(now, &answer);
        }
    }

    fn pump_name_server(&mut self) -> Option<Instant> {
        loop {
            match self.name_server.poll_output() {
                NameServerOutput::Transmit { connection, frames } => self.transmit(connection, frames),
                NameServerOutput::Close { connection } => self.shut(connection),
                NameServerOutput::Wait(deadline) => return deadline,
            }
        }
    }

    fn transmit(&mut self, id: ConnectionId, frames: Frames) {
        let Some(connection) = self.connections.get_mut(&id) else { return self.tell_broker(id, &frames) };
        match connection.queue(frames) {
            Ok(()) => self.touched.push(id),
            Err(reason) => self.cut_off(id, reason),
        }
    }

    /// Writes to every connection that got something.
    fn flush(&mut self) {
        let mut touched = std::mem::take(&mut self.touched);
        touched.dedup();
        for id in touched.drain(..) {
            self.write(id);
        }
        self.touched = touched;
    }

    pub(super) fn write(&mut self, id: ConnectionId) {
        let Some(connection) = self.connections.get_mut(&id) else { return };
        if let Err(error) = connection.flush() {
            tracing::debug!(connection = id.0, %error, "a connection broke");
            self.close(id);
        }
    }

    fn cut_off(&mut self, id: ConnectionId, reason: CutOff) {
        tracing::warn!(connection = id.0, %reason, "client cut off");
        if self.cut_offs.len() >= CUT_OFFS_MAX {
            self.cut_offs.pop_front();
        }
        self.cut_offs.push_back(reason);
        self.close(id);
    }

    /// Ends a connection and tells its machine.
    fn close(&mut self, id: ConnectionId) {
        let Some(owner) = self.connections.get(&id).map(|connection| connection.owner) else { return };
        self.shut(id);
        let now = self.clock.now();
        match owner {
            Owner::NameServer => self.name_server.handle_closed(now, id),
            Owner::Broker(broker) => self.brokers[broker].machine.handle_closed(now, id),
        }
    }

    /// Ends a connection that its machine has already forgotten.
    fn shut(&mut self, id: ConnectionId) {
        if let Some(mut connection) = self.connections.remove(&id) {
            // Both may fail because the peer was faster, which is as good.
            let _ = self.registry.deregister(&mut connection.stream);
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }

    fn next_id(&mut self) -> ConnectionId {
        self.next_connection += 1;
        ConnectionId(self.next_connection)
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}
