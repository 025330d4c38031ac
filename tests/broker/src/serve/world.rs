//! The machines with their sockets, and the flow of outputs between them.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::{Shutdown, SocketAddr};
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::{Interest, Registry};
use rocketmq_client_core::remoting::{FRAME_BYTES_MAX, FrameDecoder, RemotingCommand};
use rocketmq_client_core::time::{Instant, Timestamp};

use super::connection::{Connection, CutOff, Owner, ReadEnd};
use super::poll::connection_token;
use super::trace;
use crate::broker::{Broker, Output};
use crate::fault::Faults;
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

    pub(super) fn wall(&self, now: Instant) -> Timestamp {
        self.wall + (now - Instant::ZERO)
    }
}

/// A broker with its port; without a listener it is stopped.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) machine: Broker,
    pub(super) addr: SocketAddr,
    pub(super) bound: SocketAddr,
    pub(super) listener: Option<TcpListener>,
    /// Its connections to the name servers, in their order, which are no sockets.
    pub(super) registered_over: Vec<ConnectionId>,
    /// The master that it follows, where it is a slave. Masters come before their slaves.
    pub(super) master: Option<usize>,
    /// So many records of its master's are not yet here.
    pub(super) behind: u64,
}

/// A name server with its port; without a listener it is stopped.
#[derive(Debug)]
pub(super) struct NameNode {
    pub(super) machine: NameServer,
    pub(super) addr: SocketAddr,
    pub(super) listener: Option<TcpListener>,
}

#[derive(Debug)]
pub(super) struct World {
    pub(super) name_servers: Vec<NameNode>,
    pub(super) brokers: Vec<Node>,
    pub(super) connections: BTreeMap<ConnectionId, Connection>,
    /// Connections that got something to write.
    pub(super) touched: Vec<ConnectionId>,
    /// Faults that the next request meets, whoever it is for.
    pub(super) faults: Faults,
    pub(super) cut_offs: VecDeque<CutOff>,
    pub(super) next_connection: u64,
    pub(super) clock: Clock,
    pub(super) registry: Registry,
}

impl World {
    /// Machines without sockets yet.
    pub(super) fn new(registry: Registry) -> Self {
        Self {
            name_servers: Vec::new(),
            brokers: Vec::new(),
            connections: BTreeMap::new(),
            touched: Vec::new(),
            faults: Faults::default(),
            cut_offs: VecDeque::new(),
            next_connection: 0,
            clock: Clock::new(),
            registry,
        }
    }

    pub(super) fn kill_connections(&mut self) {
        self.close_where(|_| true);
    }

    pub(super) fn close_where(&mut self, close: impl Fn(&Connection) -> bool) {
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
        for node in self.name_servers.iter_mut().filter(|node| node.listener.is_some()) {
            node.machine.handle_timeout(now);
        }
        for node in self.brokers.iter_mut().filter(|node| node.listener.is_some()) {
            node.machine.handle_timeout(now);
        }
    }

    pub(super) fn accept(&mut self, owner: Owner) {
        loop {
            let listener = match owner {
                Owner::NameServer(index) => self.name_servers[index].listener.as_ref(),
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
            Owner::NameServer(index) => {
                self.name_servers[index].machine.handle_connected(now, id, peer, local);
            }
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
            let Some(connection) = self.connections.get_mut(&id) else { return false };
            match connection.decoder.next_frame() {
                Ok(Some(command)) => {
                    let owner = connection.owner;
                    if !self.request(now, id, owner, command) {
                        // What the client wrote behind a request that ended its connection is lost.
                        return false;
                    }
                }
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

    /// Hands a frame over. False when its connection is no more.
    fn request(&mut self, now: Instant, id: ConnectionId, owner: Owner, command: RemotingCommand) -> bool {
        trace::received(id, owner, &command);
        let fault = if command.is_response() { None } else { self.faults.take(&command) };
        match owner {
            Owner::NameServer(index) => {
                let machine = &mut self.name_servers[index].machine;
                machine.handle_request(now, id, &command, fault);
                machine.is_connected(id)
            }
            Owner::Broker(index) => {
                let machine = &mut self.brokers[index].machine;
                machine.handle_request(now, id, command, fault);
                machine.is_connected(id)
            }
        }
    }

    /// Carries outputs to their connections until all machines wait; the earliest deadline.
    pub(super) fn pump(&mut self, now: Instant) -> Option<Instant> {
        let mut deadline = None;
        for broker in 0..self.brokers.len() {
            self.replicate(now, broker);
            deadline = earlier(deadline, self.pump_broker(now, broker));
        }
        for index in 0..self.name_servers.len() {
            deadline = earlier(deadline, self.pump_name_server(index));
        }
        self.flush();
        deadline
    }

    /// Brings a slave up to its master, as far as it is to come.
    fn replicate(&mut self, now: Instant, broker: usize) {
        let (before, from) = self.brokers.split_at_mut(broker);
        let Some(slave) = from.first_mut().filter(|slave| slave.listener.is_some()) else { return };
        let Some(master) = slave.master.and_then(|master| before.get(master)) else { return };
        match master.listener {
            Some(_) => slave.machine.replicate(now, &master.machine, slave.behind),
            None => slave.machine.skip_replication(),
        }
    }

    fn pump_broker(&mut self, now: Instant, broker: usize) -> Option<Instant> {
        self.brokers[broker].listener.as_ref()?;
        loop {
            match self.brokers[broker].machine.poll_output() {
                Output::Transmit { connection, frames } => self.transmit(connection, frames),
                Output::Close { connection } => self.shut(connection),
                Output::RegisterBroker { frame } => {
                    for index in self.running_name_servers() {
                        self.tell_name_server(now, broker, index, &frame);
                    }
                }
                Output::QueryRoute { frame } => {
                    if let Some(index) = self.running_name_servers().next() {
                        self.tell_name_server(now, broker, index, &frame);
                        // The broker gets the answer before it is asked for its next output.
                        self.pump_name_server(index);
                    }
                }
                Output::Wait(deadline) => return deadline,
            }
        }
    }

    /// The name servers that are running, by index.
    pub(super) fn running_name_servers(&self) -> impl Iterator<Item = usize> + use<> {
        let running: Vec<_> = (0..self.name_servers.len())
            .filter(|index| self.name_servers[*index].listener.is_some())
            .collect();
        running.into_iter()
    }

    fn tell_name_server(&mut self, now: Instant, broker: usize, index: usize, frame: &[u8]) {
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        decoder.buffer_mut().extend_from_slice(frame);
        if let Ok(Some(command)) = decoder.next_frame() {
            let over = self.brokers[broker].registered_over[index];
            self.name_servers[index].machine.handle_frame(now, over, command);
        }
    }

    /// A name server answers a broker.
    fn tell_broker(&mut self, id: ConnectionId, frames: &Frames) {
        let now = self.clock.now();
        let Some(node) = self.brokers.iter_mut().find(|node| node.registered_over.contains(&id)) else {
            return;
        };
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        frames.parts().iter().for_each(|part| decoder.buffer_mut().extend_from_slice(part));
        while let Ok(Some(answer)) = decoder.next_frame() {
            node.machine.handle_route(now, &answer);
        }
    }

    fn pump_name_server(&mut self, index: usize) -> Option<Instant> {
        self.name_servers[index].listener.as_ref()?;
        loop {
            match self.name_servers[index].machine.poll_output() {
                NameServerOutput::Transmit { connection, frames } => self.transmit(connection, frames),
                NameServerOutput::Close { connection } => self.shut(connection),
                NameServerOutput::Wait(deadline) => return deadline,
            }
        }
    }

    fn transmit(&mut self, id: ConnectionId, frames: Frames) {
        let Some(connection) = self.connections.get_mut(&id) else { return self.tell_broker(id, &frames) };
        trace::sent(id, connection.owner, &frames);
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
            Owner::NameServer(index) => self.name_servers[index].machine.handle_closed(now, id),
            Owner::Broker(broker) => self.brokers[broker].machine.handle_closed(now, id),
        }
    }

    /// Ends a connection that its machine has already forgotten.
    fn shut(&mut self, id: ConnectionId) {
        if let Some(mut connection) = self.connections.remove(&id) {
            // What was answered before goes out, as far as the socket takes it.
            let _ = connection.flush();
            // Both may fail because the peer was faster, which is as good.
            let _ = self.registry.deregister(&mut connection.stream);
            let _ = connection.stream.shutdown(Shutdown::Both);
        }
    }

    pub(super) fn next_id(&mut self) -> ConnectionId {
        self.next_connection += 1;
        ConnectionId(self.next_connection)
    }
}

fn earlier(one: Option<Instant>, other: Option<Instant>) -> Option<Instant> {
    one.into_iter().chain(other).min()
}
