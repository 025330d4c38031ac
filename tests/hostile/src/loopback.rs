//! A case over loopback: one thread serves every peer, the program runs on an adapter.

use std::collections::{HashMap, VecDeque};
use std::io::{self, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use bytes::{Buf, Bytes};
use mio::net::{TcpListener, TcpStream};
use mio::{Events, Interest, Poll, Registry, Token};
use rocketmq_client_core::time::Instant;
use rocketmq_dev_broker::ConnectionId;
use rocketmq_sim::{Door, Peer, PeerOutput};
use stats_alloc::StatsAlloc;

use crate::case::{Case, Site};
use crate::ledger::SharedLedger;
use crate::program::{Gauges, Measured, Pace, run};
use crate::server::Hours;
use crate::site::{Cast, hours};
use crate::world::{Adapter, Clock, World};

const PACE: Pace = Pace {
    calm: Duration::from_millis(1_000),
    hostile: Duration::from_millis(2_500),
    recover_max: Duration::from_secs(40),
    drain_max: Duration::from_secs(10),
    look: Duration::from_millis(20),
};

/// Who waits for the poll to be woken.
const BELL: Token = Token(0);
/// Peers come after it, connections after these.
const CONNECTIONS: usize = 1_024;
/// Read at once.
const READ_BYTES: usize = 64 << 10;
/// A client that leaves so much unread gets no more: what a flood pours then is lost.
const UNREAD_MAX: usize = 4 << 20;

/// One peer and its door.
struct Place {
    address: SocketAddr,
    peer: Box<dyn Peer>,
    listener: Option<TcpListener>,
    door: Door,
    wait: Option<Instant>,
}

struct Connection {
    stream: TcpStream,
    place: usize,
    out: VecDeque<Bytes>,
    out_bytes: usize,
    closing: bool,
    deaf: bool,
}

/// The thread that serves.
struct Serving {
    poll: Poll,
    clock: Clock,
    places: Vec<Place>,
    connections: HashMap<ConnectionId, Connection>,
    /// Accepted and never served.
    silent: Vec<TcpStream>,
    /// Server ends of connections.
    open: Arc<AtomicUsize>,
    next: u64,
}

/// A listener whose queue is full: whoever connects gets no answer.
struct Full {
    _listener: socket2::Socket,
    _waiting: Vec<socket2::Socket>,
}

struct Looking {
    heap: &'static StatsAlloc<std::alloc::System>,
    /// Sockets of the process that are not the client's.
    others: usize,
    open: Arc<AtomicUsize>,
}

impl Gauges for Looking {
    fn heap(&self) -> usize {
        let stats = self.heap.stats();
        // Bytes that a reallocation adds or takes are counted by themselves.
        let grown = stats.bytes_allocated.saturating_sub(stats.bytes_deallocated);
        usize::try_from(i64::try_from(grown).unwrap_or(i64::MAX)).unwrap_or(0)
    }

    fn sockets(&self) -> usize {
        sockets().saturating_sub(self.others + self.open.load(Ordering::Relaxed))
    }
}

/// Sockets of this process.
fn sockets() -> usize {
    let Ok(files) = std::fs::read_dir("/proc/self/fd") else { return 0 };
    let names = files.flatten().filter_map(|file| std::fs::read_link(file.path()).ok());
    names.filter(|name| name.to_string_lossy().starts_with("socket:")).count()
}

/// Runs a case on an adapter.
pub(crate) fn run_case(
    case: &Case,
    adapter: Adapter,
    ledger: &SharedLedger,
    heap: &'static StatsAlloc<std::alloc::System>,
) -> (Measured, Hours) {
    let poll = Poll::new().expect("the system has a poll");
    let bell = mio::Waker::new(poll.registry(), BELL).expect("a waker");
    let clock = Clock::new(bell);
    let (site, listeners, full) = site(case);
    let hours = hours(case, PACE, clock.now());
    let mut cast = Cast::new(case, &site, hours, ledger, clock.now());
    let open = Arc::new(AtomicUsize::new(0));
    let mut serving = Serving {
        poll,
        clock: clock.clone(),
        places: Vec::new(),
        connections: HashMap::new(),
        silent: Vec::new(),
        open: open.clone(),
        next: 0,
    };
    let mut listeners: HashMap<SocketAddr, std::net::TcpListener> = listeners.into_iter().collect();
    for (address, peer) in cast.peers.drain(..) {
        serving.add(address, peer, listeners.remove(&address).expect("every place was bound"));
    }
    let stop = Arc::new(AtomicBool::new(false));
    let thread = {
        let stop = stop.clone();
        std::thread::spawn(move || serving.run(&stop))
    };
    let looking = Looking { heap, others: sockets(), open };
    let world = World::Real(clock.clone(), adapter);
    let program = run(&world, case, &site, PACE, hours, ledger, &looking);
    let measured = match adapter {
        Adapter::TokioCurrentThread | Adapter::TokioMultiThread => {
            let mut builder = match adapter {
                Adapter::TokioCurrentThread => tokio::runtime::Builder::new_current_thread(),
                _ => tokio::runtime::Builder::new_multi_thread(),
            };
            builder.worker_threads(2).enable_all().build().expect("a runtime").block_on(program)
        }
        _ => rocketmq_client_core::driver::block_on(program),
    };
    stop.store(true, Ordering::Release);
    clock.ring();
    thread.join().expect("the servers do not panic");
    cast.check_commits(ledger);
    drop(full);
    (measured, hours)
}

type Bound = (Site, Vec<(SocketAddr, std::net::TcpListener)>, Vec<Full>);

/// Free ports for everybody.
fn site(case: &Case) -> Bound {
    let mut listeners = Vec::new();
    let mut bind = || {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = listener.local_addr().expect("it is bound");
        listeners.push((address, listener));
        address
    };
    let name_servers = (0..1 + usize::from(case.two_name_servers)).map(|_| bind()).collect();
    let (good, odd) = (bind(), bind());
    let spare = if case.moves { bind() } else { odd };
    let mut full: Vec<(SocketAddr, Full)> = (0..case.lost).filter_map(|_| fill().ok()).collect();
    let lost = full.iter().map(|(address, _)| *address).collect();
    let site = Site { name_servers, good, odd, spare, lost, weight: 100 };
    (site, listeners, full.drain(..).map(|(_, full)| full).collect())
}

/// A listener with a queue for one, and connections that fill it.
fn fill() -> io::Result<(SocketAddr, Full)> {
    use socket2::{Domain, Socket, Type};
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    listener.bind(&SocketAddr::from(([127, 0, 0, 1], 0)).into())?;
    listener.listen(0)?;
    let address = listener.local_addr()?.as_socket().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let mut waiting = Vec::new();
    for _ in 0..2 {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
        socket.set_nonblocking(true)?;
        // It is under way: that is what it is for.
        let _ = socket.connect(&address.into());
        waiting.push(socket);
    }
    Ok((address, Full { _listener: listener, _waiting: waiting }))
}

fn token_of(connection: ConnectionId) -> Token {
    Token(CONNECTIONS + usize::try_from(connection.0).unwrap_or(usize::MAX - CONNECTIONS))
}

impl Serving {
    fn add(&mut self, address: SocketAddr, peer: Box<dyn Peer>, listener: std::net::TcpListener) {
        let index = self.places.len();
        listener.set_nonblocking(true).expect("a socket can");
        let mut listener = TcpListener::from_std(listener);
        register(self.poll.registry(), &mut listener, index);
        let wait = Some(Instant::ZERO);
        self.places.push(Place { address, peer, listener: Some(listener), door: Door::Open, wait });
    }

    fn run(mut self, stop: &AtomicBool) {
        let mut events = Events::with_capacity(1_024);
        while !stop.load(Ordering::Acquire) {
            let now = self.clock.now();
            for index in 0..self.places.len() {
                if self.places[index].wait.is_some_and(|at| at <= now) {
                    self.places[index].wait = None;
                    self.places[index].peer.handle_timeout(now);
                    self.drain(index);
                }
            }
            let next = self.places.iter().filter_map(|place| place.wait).chain(self.clock.wake()).min();
            let wait = next.map(|at| at.saturating_since(self.clock.now()));
            // An interrupted wait is as good as one that is over.
            let _ = self.poll.poll(&mut events, wait);
            let now = self.clock.now();
            for event in &events {
                match event.token() {
                    BELL => {}
                    Token(token) if token < CONNECTIONS => self.accept(now, token - 1),
                    Token(token) => {
                        let id = ConnectionId((token - CONNECTIONS) as u64);
                        if event.is_writable() {
                            self.flush(now, id);
                        }
                        if event.is_readable() {
                            self.read(now, id);
                        }
                    }
                }
            }
        }
    }

    fn accept(&mut self, now: Instant, index: usize) {
        loop {
            let Some(listener) = &self.places[index].listener else { return };
            let Ok((mut stream, _)) = listener.accept() else { return };
            self.open.fetch_add(1, Ordering::Relaxed);
            if self.places[index].door == Door::Silent {
                self.silent.push(stream);
                continue;
            }
            self.next += 1;
            let id = ConnectionId(self.next);
            let interest = Interest::READABLE | Interest::WRITABLE;
            if self.poll.registry().register(&mut stream, token_of(id), interest).is_err() {
                continue;
            }
            let _ = stream.set_nodelay(true);
            let connection = Connection {
                stream,
                place: index,
                out: VecDeque::new(),
                out_bytes: 0,
                closing: false,
                deaf: false,
            };
            self.connections.insert(id, connection);
            self.places[index].peer.handle_connected(now, id);
            self.drain(index);
        }
    }

    fn read(&mut self, now: Instant, id: ConnectionId) {
        let mut buffer = vec![0; READ_BYTES];
        while let Some(connection) = self.connections.get_mut(&id) {
            if connection.deaf {
                return;
            }
            let (index, read) = (connection.place, connection.stream.read(&mut buffer));
            match read {
                Ok(0) => return self.gone(now, id),
                Ok(count) => {
                    if !connection.closing {
                        self.places[index].peer.handle_bytes(now, id, &buffer[..count]);
                        self.drain(index);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.gone(now, id),
            }
        }
    }

    fn gone(&mut self, now: Instant, id: ConnectionId) {
        let Some(connection) = self.connections.remove(&id) else { return };
        self.open.fetch_sub(1, Ordering::Relaxed);
        if !connection.closing {
            self.places[connection.place].peer.handle_closed(now, id);
            self.drain(connection.place);
        }
    }

    fn flush(&mut self, now: Instant, id: ConnectionId) {
        while let Some(connection) = self.connections.get_mut(&id) {
            let Some(front) = connection.out.front_mut() else {
                if connection.closing {
                    self.connections.remove(&id);
                    self.open.fetch_sub(1, Ordering::Relaxed);
                }
                return;
            };
            match connection.stream.write(front) {
                Ok(count) => {
                    connection.out_bytes -= count;
                    front.advance(count);
                    if front.is_empty() {
                        connection.out.pop_front();
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(_) => return self.gone(now, id),
            }
        }
    }

    /// Does what a peer wants.
    fn drain(&mut self, index: usize) {
        let now = self.clock.now();
        loop {
            match self.places[index].peer.poll_output() {
                PeerOutput::Wait(deadline) => {
                    self.places[index].wait = deadline;
                    return;
                }
                PeerOutput::Transmit { connection: id, bytes } => {
                    let Some(connection) = self.connections.get_mut(&id) else { continue };
                    if connection.closing || bytes.is_empty() {
                        continue;
                    }
                    // Larger than the bound is what is one piece.
                    if connection.out_bytes < UNREAD_MAX {
                        connection.out_bytes += bytes.len();
                        connection.out.push_back(bytes);
                    }
                    self.flush(now, id);
                }
                PeerOutput::Close { connection: id } => {
                    if let Some(connection) = self.connections.get_mut(&id) {
                        connection.closing = true;
                        self.flush(now, id);
                    }
                }
                PeerOutput::Reset { connection: id } => {
                    if let Some(connection) = self.connections.remove(&id) {
                        self.open.fetch_sub(1, Ordering::Relaxed);
                        let _ = socket2::SockRef::from(&connection.stream).set_linger(Some(Duration::ZERO));
                    }
                }
                PeerOutput::Deafen { connection: id } => {
                    if let Some(connection) = self.connections.get_mut(&id) {
                        connection.deaf = true;
                    }
                }
                PeerOutput::Listen(door) => self.listen(index, door),
            }
        }
    }

    fn listen(&mut self, index: usize, door: Door) {
        if door == Door::Open && !self.silent.is_empty() {
            // The process that did not serve is gone with all it had.
            self.open.fetch_sub(self.silent.len(), Ordering::Relaxed);
            self.silent.clear();
        }
        let registry = self.poll.registry();
        let place = &mut self.places[index];
        place.door = door;
        match door {
            // Nothing that answers can be made of a bound socket; a refusal is the nearest.
            Door::Closed | Door::Lost => place.listener = None,
            Door::Open | Door::Silent if place.listener.is_none() => {
                let mut listener = bind_again(place.address);
                register(registry, &mut listener, index);
                place.listener = Some(listener);
            }
            Door::Open | Door::Silent => {}
        }
    }
}

/// The address was ours a moment ago; `SO_REUSEADDR` is set by the standard library.
fn bind_again(address: SocketAddr) -> TcpListener {
    loop {
        match TcpListener::bind(address) {
            Ok(listener) => return listener,
            Err(error) if error.kind() == io::ErrorKind::AddrInUse => std::thread::yield_now(),
            Err(error) => panic!("{address} can't be bound again: {error}"),
        }
    }
}

fn register(registry: &Registry, listener: &mut TcpListener, index: usize) {
    registry.register(listener, Token(1 + index), Interest::READABLE).expect("a listener can be polled");
}
