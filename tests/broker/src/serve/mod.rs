//! The machines behind TCP: a name server and brokers in the caller's process.
//!
//! One background thread polls all sockets and holds the lock on the machines while it works; the
//! methods of [`DevBroker`] take the same lock, so what they see and change is a consistent moment.

mod builder;
mod connection;
mod poll;
mod world;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

pub use self::builder::DevBrokerBuilder;
pub use self::connection::CutOff;
use self::world::World;
use crate::broker::{Broker, Durability};

/// A running name server with one or more brokers. Dropping it ends all of them.
///
/// ```
/// # fn main() -> std::io::Result<()> {
/// let server = rocketmq_dev_broker::DevBroker::start()?;
/// let name_server = server.addr();
/// assert!(name_server.starts_with("127.0.0.1:"));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct DevBroker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

/// What the caller and the background thread share.
#[derive(Debug)]
struct Shared {
    world: Mutex<World>,
    waker: mio::Waker,
    stop: AtomicBool,
}

impl Shared {
    /// The machines. A panic of a caller's closure doesn't end the server.
    fn lock(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl DevBroker {
    /// A name server and a broker on free ports of the loopback interface, with the settings of a real
    /// broker.
    ///
    /// # Errors
    /// When a socket can't be opened.
    pub fn start() -> io::Result<Self> {
        Self::builder().start()
    }

    /// Settings to start with.
    #[must_use]
    pub fn builder() -> DevBrokerBuilder {
        DevBrokerBuilder::default()
    }

    fn run(world: World, poll: mio::Poll, waker: mio::Waker) -> io::Result<Self> {
        let shared = Arc::new(Shared { world: Mutex::new(world), waker, stop: AtomicBool::new(false) });
        let theirs = shared.clone();
        let thread = std::thread::Builder::new()
            .name("rocketmq-dev-broker".to_owned())
            .spawn(move || poll::run(poll, &theirs))?;
        Ok(Self { shared, thread: Some(thread) })
    }

    /// The name server's address.
    #[must_use]
    pub fn name_server_addr(&self) -> SocketAddr {
        self.shared.lock().name_server_addr
    }

    /// The name server's address as clients are configured with it: `127.0.0.1:34567`.
    #[must_use]
    pub fn addr(&self) -> String {
        self.name_server_addr().to_string()
    }

    /// The address of a broker, counted from 0.
    ///
    /// # Panics
    /// When there are fewer brokers.
    #[must_use]
    pub fn broker_addr(&self, broker: usize) -> SocketAddr {
        self.shared.lock().brokers[broker].addr
    }

    /// How many brokers there are.
    #[must_use]
    pub fn broker_count(&self) -> usize {
        self.shared.lock().brokers.len()
    }

    /// Inspects the first broker or switches faults on. Everything stands still meanwhile.
    pub fn with_broker<R>(&self, look: impl FnOnce(&mut Broker) -> R) -> R {
        self.with_nth_broker(0, look)
    }

    /// As [`DevBroker::with_broker`] for any broker, counted from 0.
    ///
    /// # Panics
    /// When there are fewer brokers.
    pub fn with_nth_broker<R>(&self, broker: usize, look: impl FnOnce(&mut Broker) -> R) -> R {
        let seen = look(&mut self.shared.lock().brokers[broker].machine);
        self.wake();
        seen
    }

    /// Moves the clock of the name server and the brokers, not that of any client, and does
    /// everything that falls due on the way: delayed messages, time-outs, expiries.
    pub fn advance(&self, time: Duration) {
        self.shared.lock().advance(time);
        self.wake();
    }

    /// Cuts every connection, as a network failure does. Clients may connect again at once.
    pub fn kill_connections(&self) {
        self.shared.lock().kill_connections();
        self.wake();
    }

    /// Shuts a broker down cleanly: its routes go, its port is closed, its store is kept.
    ///
    /// # Panics
    /// When there are fewer brokers.
    pub fn stop_broker(&self, broker: usize) {
        self.shared.lock().stop_broker(broker, None);
        self.wake();
    }

    /// Ends a broker without warning; `keep` says what its disk kept.
    ///
    /// # Panics
    /// When there are fewer brokers.
    pub fn crash_broker(&self, broker: usize, keep: Durability) {
        self.shared.lock().stop_broker(broker, Some(keep));
        self.wake();
    }

    /// Starts a stopped broker again on its old port with what it kept. A running one is left alone.
    ///
    /// # Errors
    /// When somebody else has taken the port.
    ///
    /// # Panics
    /// When there are fewer brokers.
    pub fn start_broker(&self, broker: usize) -> io::Result<()> {
        let started = self.shared.lock().start_broker(broker);
        self.wake();
        started
    }

    /// The clients that were cut off for what they did, oldest first, at most the last 100.
    #[must_use]
    pub fn cut_offs(&self) -> Vec<CutOff> {
        self.shared.lock().cut_offs.iter().cloned().collect()
    }

    /// Lets the thread send what a change caused, and look at the new deadlines.
    fn wake(&self) {
        if let Err(error) = self.shared.waker.wake() {
            tracing::warn!(%error, "the broker's thread could not be woken");
        }
    }
}

impl Drop for DevBroker {
    fn drop(&mut self) {
        self.shared.stop.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            // A panic of the thread was reported where it happened.
            let _ = thread.join();
        }
    }
}
