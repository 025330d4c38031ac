//! What a runtime lends. Small and poll-shaped; a new feature never adds to it.

use super::std;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::future::Future;
use core::net::SocketAddr;
use core::pin::Pin;
use core::task::{Context, Poll};

use bytes::BytesMut;
use std::io::{self, IoSlice};

use super::system::System;
use crate::config::HostFacts;
use crate::id::ChannelId;
use crate::time::{Instant, Timestamp};

/// A future that a host runs for us.
pub type BoxFuture = Pin<Box<dyn Future<Output = ()> + Send>>;
/// Work that may block.
pub type BoxTask = Box<dyn FnOnce() + Send>;

/// Sockets, clocks and entropy. The engine owns it and calls it from one place at a time.
pub trait Host: Send + 'static {
    /// The monotonic clock.
    fn now(&self) -> Instant;

    /// The wall clock.
    fn wall(&self) -> Timestamp;

    /// Unpredictable bits; asked for once, for the seed.
    fn entropy(&mut self) -> u64;

    /// What the host knows of itself.
    fn facts(&self) -> HostFacts;

    /// What handles and handlers use, apart from the engine; its clocks are the host's.
    fn spawn(&self) -> Arc<dyn Spawn>;

    /// Begins to connect, without delay for small packets (`TCP_NODELAY`). A failure is told by
    /// [`poll_connected`](Self::poll_connected).
    fn connect(&mut self, channel: ChannelId, address: SocketAddr);

    /// Whether the connection is up. The channel's waker comes with every call.
    fn poll_connected(&mut self, channel: ChannelId, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// Appends what has arrived to `buffer`, at most its spare capacity. Zero means the end.
    fn poll_read(
        &mut self,
        channel: ChannelId,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>>;

    /// Hands bytes to the socket; says how many it took.
    fn poll_write_vectored(
        &mut self,
        channel: ChannelId,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>>;

    /// Drops the connection, up or not.
    fn close(&mut self, channel: ChannelId);

    /// Ready at `deadline`; wakes the engine then. Only the last deadline counts.
    fn poll_wait(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()>;
}

/// What is lent to handles and handlers: tasks, calls that block, and the host's clocks.
pub trait Spawn: Send + Sync + 'static {
    /// The monotonic clock, the same as [`Host::now`].
    fn now(&self) -> Instant;

    /// The wall clock, the same as [`Host::wall`].
    fn wall(&self) -> Timestamp;

    /// Runs a future to its end.
    fn spawn(&self, future: BoxFuture);

    /// Runs a call that may block for a short while, such as a look-up of a name.
    fn spawn_blocking(&self, task: BoxTask);

    /// Runs what lasts, on a thread of its own: it must not take a place where short work waits for one. The
    /// thread's name begins with `name`.
    ///
    /// # Errors
    /// The system gives no thread; the task is dropped then.
    fn spawn_thread(&self, name: &str, task: BoxTask) -> io::Result<()> {
        thread(name, task)
    }

    /// Whether a thread may wait while others work: true. Where all runs on one thread, as in a simulation,
    /// it is false: handlers on threads are tasks then, and a `wait()` panics instead of never ending.
    fn may_wait(&self) -> bool {
        true
    }
}

/// A runtime's tasks, without its clocks.
pub trait Tasks: Send + Sync + 'static {
    /// As [`Spawn::spawn`].
    fn spawn(&self, future: BoxFuture);

    /// As [`Spawn::spawn_blocking`].
    fn spawn_blocking(&self, task: BoxTask);

    /// As [`Spawn::spawn_thread`]. An adapter whose runtime knows its threads lets it know this one.
    ///
    /// # Errors
    /// As [`Spawn::spawn_thread`].
    fn spawn_thread(&self, name: &str, task: BoxTask) -> io::Result<()> {
        thread(name, task)
    }
}

/// A thread of the operating system.
#[expect(clippy::disallowed_methods, reason = "what a host lends that has nothing better")]
fn thread(name: &str, task: BoxTask) -> io::Result<()> {
    std::thread::Builder::new().name(name.into()).spawn(task).map(drop)
}

/// A runtime's tasks and the operating system's clocks.
#[derive(Clone, Copy, Debug)]
pub struct Spawner<T> {
    system: System,
    tasks: T,
}

impl<T: Tasks> Spawner<T> {
    /// Tasks beside the clocks that the host goes by.
    pub fn new(system: System, tasks: T) -> Self {
        Self { system, tasks }
    }
}

impl<T: Tasks> Spawn for Spawner<T> {
    fn now(&self) -> Instant {
        self.system.now()
    }

    fn wall(&self) -> Timestamp {
        self.system.wall()
    }

    fn spawn(&self, future: BoxFuture) {
        self.tasks.spawn(future);
    }

    fn spawn_blocking(&self, task: BoxTask) {
        self.tasks.spawn_blocking(task);
    }

    fn spawn_thread(&self, name: &str, task: BoxTask) -> io::Result<()> {
        self.tasks.spawn_thread(name, task)
    }
}
