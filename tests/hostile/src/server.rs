//! A server: honest, but for the time in which its script says otherwise.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use rocketmq_client_core::remoting::{FRAME_BYTES_MAX, FrameDecoder, RemotingCommand, RequestCode};
use rocketmq_client_core::time::Instant;
use rocketmq_dev_broker::ConnectionId;
use rocketmq_sim::{Door, Peer, PeerOutput};

use crate::frame;
use crate::honest::{GROUP, Honest, Routes, TOPIC, Written};
use crate::ledger::SharedLedger;
use crate::log;
use crate::script::{Does, FLOOD_PERIOD, On, Script};

/// What a user's own call causes: it is no spin of the client's.
const USERS_CALLS: [RequestCode; 4] = [
    RequestCode::SEND_MESSAGE,
    RequestCode::SEND_MESSAGE_V2,
    RequestCode::SEND_BATCH_MESSAGE,
    RequestCode::CONSUMER_SEND_MSG_BACK,
];
/// What a connection that comes up counts as.
pub(crate) const CONNECT: i32 = -1;

/// When a server is hostile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Hours {
    /// From then on.
    pub begins: Instant,
    /// It is honest again from then on, as a new process is.
    pub ends: Instant,
}

/// A name server or broker with a script.
#[derive(Debug)]
pub(crate) struct Server {
    honest: Honest,
    script: Script,
    hours: Hours,
    hostile: bool,
    over: bool,
    ledger: SharedLedger,
    decoders: BTreeMap<ConnectionId, FrameDecoder>,
    /// Requests whose honest answers are to be twisted, and the act that does it.
    twisted: BTreeMap<(ConnectionId, i32), (RemotingCommand, usize)>,
    outputs: VecDeque<PeerOutput>,
    late: BTreeMap<(Instant, u64), PeerOutput>,
    sequence: u64,
    next_flood: Instant,
    wait: Option<Instant>,
}

/// A server that the program can look into while somebody runs it.
#[derive(Clone, Debug)]
pub(crate) struct SharedServer(Arc<Mutex<Server>>);

impl SharedServer {
    /// Puts a server where both can reach it.
    #[must_use]
    pub(crate) fn new(server: Server) -> Self {
        Self(Arc::new(Mutex::new(server)))
    }

    fn with<R>(&self, act: impl FnOnce(&mut Server) -> R) -> R {
        act(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// What the group has committed here.
    #[must_use]
    pub(crate) fn committed(&self) -> Vec<((char, i32), i64)> {
        self.with(|server| server.honest.committed())
    }
}

impl Server {
    /// A name server that knows these brokers.
    #[must_use]
    pub(crate) fn name_server(
        brokers: Vec<(char, SocketAddr)>,
        moves: Option<(Instant, SocketAddr)>,
        ledger: SharedLedger,
    ) -> Self {
        Self::new(Honest::NameServer(Routes { brokers, moves }), ledger)
    }

    /// A broker.
    #[must_use]
    pub(crate) fn broker(letter: char, address: SocketAddr, ledger: SharedLedger, now: Instant) -> Self {
        Self::new(Honest::broker(letter, address, ledger.clone(), now), ledger)
    }

    fn new(honest: Honest, ledger: SharedLedger) -> Self {
        let never = Hours { begins: Instant::FAR_FUTURE, ends: Instant::FAR_FUTURE };
        Self {
            honest,
            script: Script::default(),
            hours: never,
            hostile: false,
            over: false,
            ledger,
            decoders: BTreeMap::new(),
            twisted: BTreeMap::new(),
            outputs: VecDeque::new(),
            late: BTreeMap::new(),
            sequence: 0,
            next_flood: Instant::FAR_FUTURE,
            wait: None,
        }
    }

    /// Gives it a script for these hours.
    #[must_use]
    pub(crate) fn hostile(mut self, script: Script, hours: Hours) -> Self {
        self.script = script;
        self.hours = hours;
        self
    }

    fn turn(&mut self, now: Instant) {
        log::set_now(now);
        if !self.hostile && !self.over && now >= self.hours.begins {
            self.hostile = true;
            self.begin(now);
        }
        if self.hostile && now >= self.hours.ends && !self.script.gone {
            self.hostile = false;
            self.over = true;
            self.end(now);
        }
        while let Some(entry) = self.late.first_entry().filter(|entry| entry.key().0 <= now) {
            let output = entry.remove();
            self.outputs.push_back(output);
        }
        self.flood(now);
        self.honest.handle_timeout(now);
        self.drain(now);
    }

    fn begin(&mut self, now: Instant) {
        if let Some(door) = self.script.door {
            self.close_all(now);
            self.outputs.push_back(PeerOutput::Listen(door));
        }
        if self.script.flood.is_some() {
            self.next_flood = now;
        }
    }

    /// Another process takes the place of this one.
    fn end(&mut self, now: Instant) {
        self.close_all(now);
        self.late.clear();
        self.next_flood = Instant::FAR_FUTURE;
        if self.script.door.is_some() {
            self.outputs.push_back(PeerOutput::Listen(Door::Open));
        }
    }

    fn close_all(&mut self, now: Instant) {
        for (connection, _) in std::mem::take(&mut self.decoders) {
            self.outputs.push_back(PeerOutput::Close { connection });
            self.honest.handle_closed(now, connection);
        }
        self.twisted.clear();
    }

    fn flood(&mut self, now: Instant) {
        while self.next_flood <= now {
            self.next_flood += FLOOD_PERIOD;
            let Some(flood) = &mut self.script.flood else { return };
            for connection in self.decoders.keys() {
                for _ in 0..flood.pieces {
                    self.sequence += 1;
                    let bytes = (flood.pour)(self.sequence);
                    self.outputs.push_back(PeerOutput::Transmit { connection: *connection, bytes });
                }
                if flood.deaf {
                    self.outputs.push_back(PeerOutput::Deafen { connection: *connection });
                }
            }
        }
    }

    fn request(&mut self, now: Instant, connection: ConnectionId, command: RemotingCommand) {
        if !command.is_response() {
            self.note(now, &command);
        }
        let act = if self.hostile && !command.is_response() { self.act_upon(Some(&command)) } else { None };
        match act {
            Some(index) => self.act(now, connection, index, command),
            None => self.pass(now, connection, command),
        }
    }

    fn note(&self, now: Instant, command: &RemotingCommand) {
        let mut ledger = self.ledger.lock();
        if self.hostile && !USERS_CALLS.contains(&command.request_code()) {
            ledger.asked.push((now, command.code));
        }
        let Honest::Broker(half) = &self.honest else { return };
        let commit = match command.request_code() {
            RequestCode::UPDATE_CONSUMER_OFFSET => frame::number(command, "commitOffset"),
            RequestCode::PULL_MESSAGE
                if frame::number(command, "sysFlag").is_some_and(|flag| flag & 1 == 1) =>
            {
                frame::number(command, "commitOffset")
            }
            _ => None,
        };
        let ours = command.ext.get("topic").is_some_and(|topic| topic == TOPIC)
            && command.ext.get("consumerGroup").is_some_and(|group| group == GROUP);
        let queue_id = frame::number(command, "queueId").and_then(|id| i32::try_from(id).ok());
        if let (true, Some(offset), Some(queue_id)) = (ours, commit, queue_id) {
            ledger.commit((half.letter, queue_id), offset);
        }
    }

    /// The first act that fits, which is used up by this once.
    fn act_upon(&mut self, command: Option<&RemotingCommand>) -> Option<usize> {
        let fits = |on: On| match (on, command) {
            (On::Connect, None) | (On::Any, Some(_)) => true,
            (On::Code(code), Some(command)) => command.request_code() == code,
            _ => false,
        };
        let index = self.script.acts.iter().position(|act| act.times > 0 && fits(act.on))?;
        let act = &mut self.script.acts[index];
        act.times = act.times.saturating_sub(u32::from(act.times < u32::MAX));
        Some(index)
    }

    fn act(&mut self, now: Instant, connection: ConnectionId, index: usize, command: RemotingCommand) {
        match &mut self.script.acts[index].does {
            Does::Silence => {}
            Does::Close => self.close(now, connection),
            Does::Reset => {
                self.decoders.remove(&connection);
                self.honest.handle_closed(now, connection);
                self.outputs.push_back(PeerOutput::Reset { connection });
            }
            Does::Write(make) => {
                let bytes = make(&command);
                if !bytes.is_empty() {
                    self.outputs.push_back(PeerOutput::Transmit { connection, bytes });
                }
            }
            Does::Change(_)
            | Does::Drip(..)
            | Does::Twice
            | Does::Late(_)
            | Does::Elsewhere
            | Does::Half
            | Does::HalfThenClose => {
                if !command.is_oneway() {
                    self.twisted.insert((connection, command.opaque), (command.clone(), index));
                }
                self.pass(now, connection, command);
            }
        }
    }

    fn close(&mut self, now: Instant, connection: ConnectionId) {
        self.decoders.remove(&connection);
        self.honest.handle_closed(now, connection);
        self.outputs.push_back(PeerOutput::Close { connection });
    }

    fn pass(&mut self, now: Instant, connection: ConnectionId, command: RemotingCommand) {
        if let Some(written) = self.honest.handle_frame(now, connection, command) {
            self.write(now, written);
        }
    }

    /// Writes what the honest half has to say.
    fn drain(&mut self, now: Instant) {
        let (written, closed, wait) = self.honest.poll();
        for written in written {
            self.write(now, written);
        }
        for connection in closed {
            self.decoders.remove(&connection);
            self.outputs.push_back(PeerOutput::Close { connection });
        }
        self.wait = wait;
    }

    fn write(&mut self, now: Instant, (connection, parts): Written) {
        let twisted = self.twisted.range((connection, i32::MIN)..=(connection, i32::MAX)).next().is_some();
        if !twisted {
            let parts = parts.into_iter().map(|bytes| PeerOutput::Transmit { connection, bytes });
            return self.outputs.extend(parts);
        }
        for answer in frame::decode(&parts) {
            let twist =
                if answer.is_response() { self.twisted.remove(&(connection, answer.opaque)) } else { None };
            match twist.filter(|_| self.hostile) {
                Some((request, index)) => self.twist(now, connection, index, &request, answer),
                None => {
                    let bytes = frame::encode(&answer);
                    self.outputs.push_back(PeerOutput::Transmit { connection, bytes });
                }
            }
        }
    }

    fn twist(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        index: usize,
        request: &RemotingCommand,
        mut answer: RemotingCommand,
    ) {
        let honest = frame::encode(&answer);
        let transmit = |bytes: Bytes| PeerOutput::Transmit { connection, bytes };
        match &mut self.script.acts[index].does {
            Does::Change(change) => {
                let spoilt = change(request, &mut answer);
                self.excuse(request, spoilt);
                self.outputs.push_back(transmit(frame::encode(&answer)));
            }
            Does::Drip(bytes, pause) => {
                let (bytes, pause) = (*bytes, *pause);
                let mut at = now;
                for start in (0..honest.len()).step_by(bytes) {
                    self.sequence += 1;
                    let piece = honest.slice(start..(start + bytes).min(honest.len()));
                    self.late.insert((at, self.sequence), transmit(piece));
                    at += pause;
                }
            }
            Does::Twice => self.outputs.extend([transmit(honest.clone()), transmit(honest)]),
            Does::Late(pause) => {
                self.sequence += 1;
                self.late.insert((now + *pause, self.sequence), transmit(honest));
            }
            Does::Elsewhere => {
                let other = self.decoders.keys().find(|other| **other != connection);
                let connection = other.copied().unwrap_or(connection);
                self.outputs.push_back(PeerOutput::Transmit { connection, bytes: honest });
            }
            Does::Half => self.outputs.push_back(transmit(honest.slice(..honest.len() / 2))),
            Does::HalfThenClose => {
                self.outputs.push_back(transmit(honest.slice(..honest.len() / 2)));
                self.close(now, connection);
            }
            Does::Write(_) | Does::Silence | Does::Close | Does::Reset => {}
        }
    }

    fn excuse(&self, request: &RemotingCommand, spoilt: Vec<i64>) {
        let Honest::Broker(half) = &self.honest else { return };
        let queue_id = frame::number(request, "queueId").and_then(|id| i32::try_from(id).ok());
        let ours = request.ext.get("topic").is_some_and(|topic| topic == TOPIC);
        if let (true, Some(queue_id)) = (ours, queue_id) {
            self.ledger.lock().excused.entry((half.letter, queue_id)).or_default().extend(spoilt);
        }
    }
}

impl Peer for SharedServer {
    fn handle_connected(&mut self, now: Instant, connection: ConnectionId) {
        self.with(|server| {
            server.turn(now);
            server.decoders.insert(connection, FrameDecoder::new(FRAME_BYTES_MAX));
            server.honest.handle_connected(now, connection);
            if !server.hostile {
                return;
            }
            server.ledger.lock().asked.push((now, CONNECT));
            if let Some(index) = server.act_upon(None) {
                let nothing = frame::request(CONNECT, 0, 0, []);
                server.act(now, connection, index, nothing);
            }
        });
    }

    fn handle_bytes(&mut self, now: Instant, connection: ConnectionId, bytes: &[u8]) {
        self.with(|server| {
            server.turn(now);
            if let Some(decoder) = server.decoders.get_mut(&connection) {
                decoder.buffer_mut().extend_from_slice(bytes);
            }
            while let Some(decoder) = server.decoders.get_mut(&connection) {
                match decoder.next_frame() {
                    Ok(Some(command)) => server.request(now, connection, command),
                    Ok(None) => break,
                    Err(error) => {
                        server.ledger.lock().bad_frames.push(error.to_string());
                        server.close(now, connection);
                    }
                }
            }
            server.drain(now);
        });
    }

    fn handle_closed(&mut self, now: Instant, connection: ConnectionId) {
        self.with(|server| {
            server.turn(now);
            server.decoders.remove(&connection);
            server.honest.handle_closed(now, connection);
            server.drain(now);
        });
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.with(|server| server.turn(now));
    }

    fn poll_output(&mut self) -> PeerOutput {
        self.with(|server| {
            if let Some(output) = server.outputs.pop_front() {
                return output;
            }
            let late = server.late.keys().next().map(|(at, _)| *at);
            let begins = Some(server.hours.begins).filter(|_| !server.hostile && !server.over);
            let ends = Some(server.hours.ends).filter(|_| server.hostile && !server.script.gone);
            let deadlines = [late, begins, ends, server.wait, Some(server.next_flood)];
            let next = deadlines.into_iter().flatten().filter(|at| *at < Instant::FAR_FUTURE).min();
            PeerOutput::Wait(next)
        })
    }
}
