//! The machines behind TCP: a name server and brokers in the caller's process.
//!
//! One background thread polls all sockets and holds the lock on the machines while it works; the
//! methods of [`DevBroker`] take the same lock, so what they see and change is a consistent moment.

mod builder;
mod connection;
mod life;
mod poll;
mod trace;
mod world;

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use rocketmq_client_core::message::StoredMessage;

pub use self::builder::DevBrokerBuilder;
pub use self::connection::CutOff;
use self::world::World;
use crate::broker::{Broker, Durability};
use crate::fault::FaultRule;

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

    /// The first name server's address.
    #[must_use]
    pub fn name_server_addr(&self) -> SocketAddr {
        self.shared.lock().name_servers[0].addr
    }

    /// The addresses of all name servers.
    #[must_use]
    pub fn name_server_addrs(&self) -> Vec<SocketAddr> {
        self.shared.lock().name_servers.iter().map(|node| node.addr).collect()
    }

    /// The name servers' addresses as clients are configured with them: `127.0.0.1:34567`, several
    /// separated by `;`.
    #[must_use]
    pub fn addr(&self) -> String {
        let addrs: Vec<_> = self.name_server_addrs().iter().map(ToString::to_string).collect();
        addrs.join(";")
    }

    /// Creates a topic with so many queues on every broker, or changes their number. Name servers know
    /// it at once. Not needed where topics are created by the first send.
    ///
    /// # Errors
    /// When no topic can have that name or number of queues.
    pub fn create_topic(&self, topic: &str, queues: i32) -> io::Result<()> {
        let created = self.shared.lock().create_topic(topic, queues);
        self.wake();
        created
    }

    /// The messages of a topic on all brokers but slaves, in the order in which they were stored. Those that
    /// still wait for their time, or for a transaction's commit, are not among them; retries and dead letters
    /// are in topics of their own, `%RETRY%group` and `%DLQ%group`.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// let broker = rocketmq_dev_broker::DevBroker::start()?;
    /// // ... the code under test sends ...
    /// let stored = broker.messages("orders");
    /// assert!(stored.iter().all(|message| message.tags() == Some("paid")));
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn messages(&self, topic: &str) -> Vec<StoredMessage> {
        let world = self.shared.lock();
        let mut stored: Vec<_> = world
            .brokers
            .iter()
            .filter(|node| node.master.is_none())
            .flat_map(|node| node.machine.messages_as_stored(topic))
            .collect();
        stored.sort_by_key(|(stored_at, _)| *stored_at);
        stored.into_iter().map(|(_, message)| message).collect()
    }

    /// The next request meets a fault, whichever server it is for: refused, lost, late, or with its
    /// connection cut, before it took effect or after. A [`FaultRule`] says which requests and how many.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use rocketmq_dev_broker::{DevBroker, Fault, RequestCode, ResponseCode};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let broker = DevBroker::start()?;
    /// broker.fail(Fault::answer(ResponseCode::SYSTEM_BUSY, "busy").on_sends().topic("orders").times(2));
    /// broker.fail(Fault::DropResponse.on_sends());
    /// broker.fail(Fault::DelayResponse(Duration::from_secs(1)).on_pulls().always());
    /// broker.fail(Fault::CloseBefore.on(RequestCode::GET_ROUTEINFO_BY_TOPIC));
    /// # Ok(())
    /// # }
    /// ```
    pub fn fail(&self, rule: impl Into<FaultRule>) {
        self.shared.lock().faults.add(rule);
    }

    /// As [`DevBroker::fail`] for requests to one broker, counted from 0.
    ///
    /// # Panics
    /// When there are fewer brokers.
    pub fn fail_nth_broker(&self, broker: usize, rule: impl Into<FaultRule>) {
        self.with_nth_broker(broker, |broker| broker.faults_mut().add(rule));
    }

    /// How many requests the faults still wait for: 0 when the code under test has met all of them.
    #[must_use]
    pub fn pending_faults(&self) -> u64 {
        let mut world = self.shared.lock();
        let common = world.faults.pending();
        let own = world.brokers.iter_mut().map(|node| node.machine.faults_mut().pending());
        own.fold(common, u64::saturating_add)
    }

    /// Ends every fault. Frozen brokers stay frozen.
    pub fn clear_faults(&self) {
        let mut world = self.shared.lock();
        world.faults.clear_rules();
        world.brokers.iter_mut().for_each(|node| node.machine.faults_mut().clear_rules());
    }

    /// Freezes a broker as a stopped process is: it takes connections and bytes and does nothing.
    /// Without its registrations name servers forget it after two minutes.
    ///
    /// # Panics
    /// When there are fewer brokers.
    pub fn freeze_broker(&self, broker: usize) {
        self.with_nth_broker(broker, |broker| broker.faults_mut().freeze(true));
    }

    /// Lets a frozen broker go on: it does what fell due and what came in meanwhile.
    ///
    /// # Panics
    /// When there are fewer brokers.
    pub fn resume_broker(&self, broker: usize) {
        self.with_nth_broker(broker, |broker| broker.faults_mut().freeze(false));
    }

    /// The address of a broker, counted from 0.
    ///
    /// # Panics
    /// When there are fewer brokers.
    #[must_use]
    pub fn broker_addr(&self, broker: usize) -> SocketAddr {
        self.shared.lock().brokers[broker].addr
    }

    /// How many brokers there are, slaves not counted.
    #[must_use]
    pub fn broker_count(&self) -> usize {
        self.shared.lock().brokers.iter().filter(|node| node.master.is_none()).count()
    }

    /// The number by which every other method knows a slave; both are counted from 0.
    ///
    /// A slave has its master's messages at once, but for those by which it is to
    /// [lag](DevBroker::set_slave_lag); its topics, groups and committed offsets ten seconds after
    /// its start and then every 63 s, by the broker's clock. It takes no messages; pulls only with
    /// [`BrokerConfig::slave_read`](crate::BrokerConfig::slave_read).
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use rocketmq_dev_broker::{DevBroker, Durability};
    ///
    /// # fn main() -> std::io::Result<()> {
    /// let broker = DevBroker::builder()
    ///     .slave_count(1)
    ///     .broker_config(|config| config.slave_read = true)
    ///     .topic("orders", 4)
    ///     .start()?;
    /// broker.advance(Duration::from_secs(10)); // the slave knows the topic
    /// let slave = broker.slave_of(0, 0);
    /// broker.set_slave_lag(slave, 3);
    /// // ... send; then the master goes, and consumers have all but the last three messages.
    /// broker.crash_broker(0, Durability::All);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Panics
    /// When the broker has fewer slaves.
    #[must_use]
    pub fn slave_of(&self, broker: usize, slave: usize) -> usize {
        let world = self.shared.lock();
        let mut slaves =
            (0..world.brokers.len()).filter(|index| world.brokers[*index].master == Some(broker));
        slaves.nth(slave).expect("the broker has that many slaves")
    }

    /// Lets a slave stay so many records behind its master, of whatever topics. Those that it has already stay.
    ///
    /// # Panics
    /// When there is no such slave.
    pub fn set_slave_lag(&self, slave: usize, records: u64) {
        let mut world = self.shared.lock();
        let node = &mut world.brokers[slave];
        assert!(node.master.is_some(), "broker {slave} is no slave; ask `slave_of` for its number");
        node.behind = records;
        drop(world);
        self.wake();
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

    /// Ends a name server, counted from 0; clients go to the others, and keep the routes they have.
    ///
    /// # Panics
    /// When there are fewer name servers.
    pub fn stop_name_server(&self, name_server: usize) {
        self.shared.lock().stop_name_server(name_server);
        self.wake();
    }

    /// Starts a stopped name server again on its old port. It knows no route until the brokers register
    /// again, which each does within 30 s of the broker's clock.
    ///
    /// # Errors
    /// When somebody else has taken the port.
    ///
    /// # Panics
    /// When there are fewer name servers.
    pub fn start_name_server(&self, name_server: usize) -> io::Result<()> {
        let started = self.shared.lock().start_name_server(name_server);
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
