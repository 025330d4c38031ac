//! A port that forwards to another, until it is told not to.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

const BUFFER_BYTES: usize = 64 << 10;
const CONNECT_TIMEOUT: Duration = Duration::from_secs(3);

/// Carries the bytes that come from the target to the client; ends with the connection.
pub(crate) type Carry = Arc<dyn Fn(TcpStream, Outlet) -> io::Result<()> + Send + Sync>;

/// Where carried bytes go; holds them back while the gate is frozen.
pub(crate) struct Outlet {
    stream: TcpStream,
    valve: Arc<Valve>,
}

#[derive(Default)]
struct Valve {
    frozen: Mutex<bool>,
    thawed: Condvar,
}

impl Outlet {
    /// Passes the bytes on, as soon as they may go.
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut frozen = self.valve.frozen.lock().unwrap_or_else(PoisonError::into_inner);
        while *frozen {
            frozen = self.valve.thawed.wait(frozen).unwrap_or_else(PoisonError::into_inner);
        }
        drop(frozen);
        self.stream.write_all(bytes)
    }
}

impl Valve {
    fn set(&self, frozen: bool) {
        *self.frozen.lock().unwrap_or_else(PoisonError::into_inner) = frozen;
        self.thawed.notify_all();
    }
}

/// A port of ours in front of one of a server's.
pub(crate) struct Gate {
    shared: Arc<Shared>,
}

struct Shared {
    address: SocketAddr,
    target: SocketAddr,
    answers: Carry,
    valve: Arc<Valve>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    mode: Mode,
    next: u64,
    /// Connections that were taken and dropped.
    knocks: usize,
    /// Both ends of every connection that is up.
    links: BTreeMap<u64, (TcpStream, TcpStream)>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Mode {
    #[default]
    Open,
    /// The port takes connections and drops them.
    Shut,
    /// Nobody listens any more.
    Gone,
}

impl Gate {
    /// A gate to `target` on a free port of the loopback interface.
    pub(crate) fn open(target: SocketAddr, answers: Carry) -> io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0))?;
        let address = listener.local_addr()?;
        let shared =
            Arc::new(Shared { address, target, answers, valve: Arc::default(), state: Mutex::default() });
        let theirs = shared.clone();
        thread::spawn(move || theirs.accept(&listener));
        Ok(Self { shared })
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Cuts every connection; new ones are taken. How many there were.
    pub(crate) fn cut(&self) -> usize {
        self.shared.lock().cut()
    }

    /// Cuts every connection, and drops new ones until [`unshut`](Self::unshut). How many there were.
    pub(crate) fn shut(&self) -> usize {
        let mut state = self.shared.lock();
        state.mode = Mode::Shut;
        state.cut()
    }

    /// How many connections are up.
    pub(crate) fn links(&self) -> usize {
        self.shared.lock().links.len()
    }

    /// How many connections were dropped at once, because the gate was shut.
    pub(crate) fn knocks(&self) -> usize {
        self.shared.lock().knocks
    }

    /// Takes connections again.
    pub(crate) fn unshut(&self) {
        self.shared.lock().mode = Mode::Open;
    }

    /// Keeps connections up and takes new ones, but holds all bytes back until [`thaw`](Self::thaw).
    pub(crate) fn freeze(&self) {
        self.shared.valve.set(true);
    }

    /// Lets the bytes go that were held back, and all others.
    pub(crate) fn thaw(&self) {
        self.shared.valve.set(false);
    }

    /// Cuts every connection and closes the port for good: new ones are refused.
    pub(crate) fn remove(&self) {
        {
            let mut state = self.shared.lock();
            state.mode = Mode::Gone;
            state.cut();
        }
        self.thaw();
        // Wakes the thread that listens. It answers by ending; if that has happened already, as well.
        while TcpStream::connect_timeout(&self.shared.address, CONNECT_TIMEOUT).is_ok() {}
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.remove();
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn accept(self: Arc<Self>, listener: &TcpListener) {
        for client in listener.incoming() {
            let mode = self.lock().mode;
            match (mode, client) {
                (Mode::Gone, _) => return,
                (Mode::Shut, Ok(_)) => self.lock().knocks += 1,
                (Mode::Open, Ok(client)) => {
                    // A target that can't be reached shows as a connection that ends at once.
                    let _ = self.link(client);
                }
                _ => {}
            }
        }
    }

    fn link(self: &Arc<Self>, client: TcpStream) -> io::Result<()> {
        let target = TcpStream::connect_timeout(&self.target, CONNECT_TIMEOUT)?;
        client.set_nodelay(true)?;
        target.set_nodelay(true)?;
        let id = {
            let mut state = self.lock();
            if state.mode != Mode::Open {
                return Ok(());
            }
            state.next += 1;
            let id = state.next;
            state.links.insert(id, (client.try_clone()?, target.try_clone()?));
            id
        };
        let requests = (client.try_clone()?, self.outlet(target.try_clone()?));
        let answers = (target, self.outlet(client));
        let (there, back) = (self.clone(), self.clone());
        thread::spawn(move || {
            let _ = copy(requests.0, requests.1);
            there.unlink(id);
        });
        thread::spawn(move || {
            let _ = (back.answers)(answers.0, answers.1);
            back.unlink(id);
        });
        Ok(())
    }

    fn outlet(&self, stream: TcpStream) -> Outlet {
        Outlet { stream, valve: self.valve.clone() }
    }

    fn unlink(&self, id: u64) {
        if let Some(link) = self.lock().links.remove(&id) {
            end(&link);
        }
    }
}

impl State {
    fn cut(&mut self) -> usize {
        let links = std::mem::take(&mut self.links);
        links.values().for_each(end);
        links.len()
    }
}

/// Ends both sides; one that has ended already is as good.
fn end((client, target): &(TcpStream, TcpStream)) {
    let _ = client.shutdown(Shutdown::Both);
    let _ = target.shutdown(Shutdown::Both);
}

/// Carries bytes as they are.
pub(crate) fn copy(mut from: TcpStream, mut to: Outlet) -> io::Result<()> {
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        match from.read(&mut buffer)? {
            0 => return Ok(()),
            bytes => to.write_all(&buffer[..bytes])?,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn echo() -> SocketAddr {
        let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let address = listener.local_addr().unwrap();
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let outlet = Outlet { stream: stream.try_clone().unwrap(), valve: Arc::default() };
                thread::spawn(move || copy(stream, outlet));
            }
        });
        address
    }

    fn call(address: SocketAddr) -> io::Result<()> {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"hello")?;
        stream.read_exact(&mut [0; 5])
    }

    #[test]
    fn a_gate_carries_shuts_opens_again_and_goes() {
        let gate = Gate::open(echo(), Arc::new(copy)).unwrap();
        call(gate.address()).unwrap();
        gate.shut();
        call(gate.address()).unwrap_err();
        assert_eq!((gate.links(), gate.knocks()), (0, 1));
        gate.unshut();
        call(gate.address()).unwrap();
        gate.freeze();
        let frozen = thread::spawn({
            let address = gate.address();
            move || call(address)
        });
        gate.thaw();
        frozen.join().unwrap().unwrap();
        gate.remove();
        assert_eq!(call(gate.address()).unwrap_err().kind(), io::ErrorKind::ConnectionRefused);
    }

    #[test]
    fn a_cut_ends_the_connections_that_are_up_and_counts_them() {
        let gate = Gate::open(echo(), Arc::new(copy)).unwrap();
        let mut stream = TcpStream::connect(gate.address()).unwrap();
        stream.write_all(b"hello").unwrap();
        stream.read_exact(&mut [0; 5]).unwrap();
        assert_eq!(gate.cut(), 1);
        assert!(matches!(stream.read(&mut [0; 5]), Ok(0) | Err(_)));
        call(gate.address()).unwrap();
    }
}
