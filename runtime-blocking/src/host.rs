//! One `mio` poll and its sockets, as the engine wants them.

use std::fmt;
use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use bytes::BytesMut;
use mio::net::TcpStream;
use mio::{Events, Interest, Token};
use rocketmq_client_core::config::HostFacts;
use rocketmq_client_core::driver::{
    BlockingHost, BoxFuture, BoxTask, Host, Spawn, Spawner, System, Tasks, block_on,
};
use rocketmq_client_core::id::{ChannelId, GenerationalId};
use rocketmq_client_core::time::{Instant, Timestamp};

/// The token of the waker; channels have their slots.
const WAKER: Token = Token(usize::MAX);
/// Readiness that one wait takes.
const EVENTS: usize = 256;
/// A read goes through here: `mio` reads into initialised memory only.
const READ_BYTES: usize = 64 << 10;

/// Lends one `mio` poll to one client.
pub(crate) struct MioHost {
    system: System,
    poll: mio::Poll,
    events: Events,
    bell: Arc<Bell>,
    sockets: Vec<Option<Socket>>,
    scratch: Box<[u8]>,
}

/// Ends a wait. Costs a system call only while somebody waits.
struct Bell {
    waiting: AtomicBool,
    waker: mio::Waker,
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        // Who finds the flag and takes it down rings; the others know that it rings.
        if self.waiting.swap(false, Ordering::SeqCst) {
            // It fails only when the poll is gone, and then nobody waits.
            let _ = self.waker.wake();
        }
    }
}

struct Socket {
    channel: ChannelId,
    stream: io::Result<TcpStream>,
    readable: bool,
    writable: bool,
    /// The peer has said its last word: reads never block again.
    read_closed: bool,
    waker: Option<Waker>,
}

impl fmt::Debug for MioHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MioHost").field("sockets", &self.sockets.len()).finish_non_exhaustive()
    }
}

impl MioHost {
    pub(crate) fn new() -> io::Result<Self> {
        let poll = mio::Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKER)?;
        Ok(Self {
            system: System::default(),
            poll,
            events: Events::with_capacity(EVENTS),
            bell: Arc::new(Bell { waiting: AtomicBool::new(false), waker }),
            sockets: Vec::new(),
            scratch: vec![0; READ_BYTES].into(),
        })
    }

    fn open(&self, channel: ChannelId, address: SocketAddr) -> io::Result<TcpStream> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        let token = Token(channel.index() as usize);
        self.poll.registry().register(&mut stream, token, Interest::READABLE | Interest::WRITABLE)?;
        Ok(stream)
    }
}

/// The socket of a channel, and the waker of whoever asks for it now.
fn find<'a>(
    sockets: &'a mut [Option<Socket>],
    channel: ChannelId,
    cx: &Context<'_>,
) -> io::Result<&'a mut Socket> {
    let socket = sockets.get_mut(channel.index() as usize).and_then(Option::as_mut);
    let socket = socket.filter(|socket| socket.channel == channel).ok_or(ErrorKind::NotConnected)?;
    if !socket.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
        socket.waker = Some(cx.waker().clone());
    }
    Ok(socket)
}

impl Socket {
    fn stream(&mut self) -> io::Result<&mut TcpStream> {
        self.stream.as_mut().map_err(|error| io::Error::new(error.kind(), error.to_string()))
    }

    fn poll_connected(&mut self) -> Poll<io::Result<()>> {
        let writable = self.writable;
        let stream = self.stream()?;
        if !writable {
            return Poll::Pending;
        }
        if let Some(error) = stream.take_error()? {
            return Poll::Ready(Err(error));
        }
        match stream.peer_addr() {
            Ok(_) => Poll::Ready(Ok(())),
            Err(error) if error.kind() == ErrorKind::NotConnected => {
                self.writable = false;
                Poll::Pending
            }
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// A short read has emptied the socket, and what comes next is a new event; that saves a call.
    /// Windows tells of new readiness only after a call that would block.
    fn poll_read(&mut self, into: &mut [u8]) -> Poll<io::Result<usize>> {
        while self.readable || self.read_closed {
            match self.stream()?.read(into) {
                Ok(count) => {
                    self.readable = cfg!(windows) || count == into.len();
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    (self.readable, self.read_closed) = (false, false);
                }
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Pending
    }

    /// A short write has filled the socket, likewise.
    fn poll_write(&mut self, slices: &[IoSlice<'_>]) -> Poll<io::Result<usize>> {
        while self.writable {
            match self.stream()?.write_vectored(slices) {
                Ok(count) => {
                    self.writable = cfg!(windows) || count == slices.iter().map(|slice| slice.len()).sum();
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == ErrorKind::WouldBlock => self.writable = false,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Pending
    }
}

impl Host for MioHost {
    fn now(&self) -> Instant {
        self.system.now()
    }

    fn wall(&self) -> Timestamp {
        self.system.wall()
    }

    fn entropy(&mut self) -> u64 {
        self.system.entropy()
    }

    fn facts(&self) -> HostFacts {
        self.system.facts()
    }

    fn spawn(&self) -> Arc<dyn Spawn> {
        Arc::new(Spawner::new(self.system, Threads))
    }

    fn connect(&mut self, channel: ChannelId, address: SocketAddr) {
        let index = channel.index() as usize;
        if self.sockets.len() <= index {
            self.sockets.resize_with(index + 1, || None);
        }
        let stream = self.open(channel, address);
        let (readable, writable, read_closed, waker) = (false, false, false, None);
        self.sockets[index] = Some(Socket { channel, stream, readable, writable, read_closed, waker });
    }

    fn poll_connected(&mut self, channel: ChannelId, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        find(&mut self.sockets, channel, cx)?.poll_connected()
    }

    fn poll_read(
        &mut self,
        channel: ChannelId,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let socket = find(&mut self.sockets, channel, cx)?;
        let room = (buffer.capacity() - buffer.len()).min(self.scratch.len());
        socket.poll_read(&mut self.scratch[..room]).map_ok(|count| {
            buffer.extend_from_slice(&self.scratch[..count]);
            count
        })
    }

    fn poll_write_vectored(
        &mut self,
        channel: ChannelId,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        find(&mut self.sockets, channel, cx)?.poll_write(slices)
    }

    fn close(&mut self, channel: ChannelId) {
        if let Some(slot) = self.sockets.get_mut(channel.index() as usize)
            && let Some(Socket { stream: Ok(mut stream), .. }) =
                slot.take_if(|socket| socket.channel == channel)
        {
            // It fails only for a socket that is not registered, which would do no harm.
            let _ = self.poll.registry().deregister(&mut stream);
        }
    }

    fn poll_wait(&mut self, deadline: Instant, _: &mut Context<'_>) -> Poll<()> {
        // The wait itself is in `block`, which knows the deadline.
        if self.now() >= deadline { Poll::Ready(()) } else { Poll::Pending }
    }
}

impl BlockingHost for MioHost {
    fn block(&mut self, deadline: Instant, raised: &dyn Fn() -> bool) {
        self.bell.waiting.store(true, Ordering::SeqCst);
        let left = deadline - self.system.now();
        let timeout = if raised() { std::time::Duration::ZERO } else { left };
        // An interrupted wait is a wait that was short.
        let waited = self.poll.poll(&mut self.events, Some(timeout));
        self.bell.waiting.store(false, Ordering::SeqCst);
        if waited.is_err() {
            return;
        }
        for event in &self.events {
            let Some(Some(socket)) = self.sockets.get_mut(event.token().0) else { continue };
            let failed = event.is_error() || event.is_write_closed();
            socket.readable |= event.is_readable() || failed;
            socket.writable |= event.is_writable() || failed;
            socket.read_closed |= event.is_read_closed();
            if let Some(waker) = &socket.waker {
                waker.wake_by_ref();
            }
        }
    }

    fn waker(&self) -> Waker {
        Waker::from(self.bell.clone())
    }
}

/// A thread for each.
struct Threads;

impl Tasks for Threads {
    fn spawn(&self, future: BoxFuture) {
        self.spawn_blocking(Box::new(move || block_on(future)));
    }

    fn spawn_blocking(&self, task: BoxTask) {
        // Without a thread the task is dropped, and its guards answer for it.
        drop(thread::Builder::new().name("rocketmq".into()).spawn(task));
    }
}
