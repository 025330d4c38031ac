//! The users' side of a world: clients, sleep, tasks, randomness.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rocketmq_client_core::driver::{Client, ClientBuilder};
use rocketmq_client_core::error::Result;
use rocketmq_client_core::remoting::RemotingCommand;
use rocketmq_client_core::rng::Rng;
use rocketmq_client_core::time::{Instant, Timestamp};
use rocketmq_dev_broker::Broker;

use crate::detour::Detour;
use crate::executor::{NodeId, Spawner};
use crate::host::address_in;
use crate::machine::Machine;
use crate::schedule::EventKey;
use crate::world::{Event, SharedWorld};

/// A simulated world, as a program in it sees it.
///
/// Everything that a program does in virtual time goes through this: real clocks and threads would
/// make a run differ from its replay.
#[derive(Clone)]
pub struct Ctx {
    pub(crate) world: SharedWorld,
    pub(crate) spawner: Spawner,
    name_servers: String,
}

impl std::fmt::Debug for Ctx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ctx").field("name_servers", &self.name_servers).finish_non_exhaustive()
    }
}

/// A client and the machine that it runs on.
pub(crate) struct NodeClient {
    pub(crate) node: NodeId,
    pub(crate) client: Client,
    /// Runs what dies with the machine.
    pub(crate) spawner: Spawner,
}

impl Ctx {
    pub(crate) fn new(world: SharedWorld, spawner: Spawner, name_servers: String) -> Self {
        Self { world, spawner, name_servers }
    }

    /// A client with RocketMQ's defaults, on a machine of its own.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client_with(|builder| builder)
    }

    /// A client with settings of its own, on a machine of its own.
    ///
    /// # Panics
    /// When the settings can't work.
    #[must_use]
    pub fn client_with(&self, configure: impl FnOnce(ClientBuilder) -> ClientBuilder) -> Client {
        self.node_client(configure).client
    }

    pub(crate) fn node_client(&self, configure: impl FnOnce(ClientBuilder) -> ClientBuilder) -> NodeClient {
        let started = self.machine().start_process(configure(self.settings()));
        started.expect("the settings of a client work")
    }

    /// Starts a client on a machine of its own and reaches a name server. See [`Machine::start`].
    ///
    /// # Errors
    /// A setting that can't work, or no name server that can be reached.
    pub async fn connect(&self, settings: impl Into<ClientBuilder>) -> Result<Client> {
        self.machine().connect(settings).await
    }

    /// A new machine, for clients whose way to the servers is to be disturbed.
    #[must_use]
    pub fn machine(&self) -> Machine {
        Machine::new(self.clone())
    }

    /// Other addresses of the servers, for clients whose way to them is to be disturbed.
    #[must_use]
    pub fn detour(&self) -> Detour {
        Detour::new(&self.world)
    }

    /// RocketMQ's defaults for a client of this world.
    pub fn settings(&self) -> ClientBuilder {
        ClientBuilder::new(&self.name_servers)
    }

    /// The name servers, as a client is told.
    #[must_use]
    pub fn name_servers(&self) -> &str {
        &self.name_servers
    }

    /// The monotonic time since the world began.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.world.lock().now
    }

    /// The wall clock of machines that nobody set.
    #[must_use]
    pub fn wall(&self) -> Timestamp {
        self.world.lock().wall(NodeId(0))
    }

    /// Waits; nothing else in the world waits for it.
    pub async fn sleep(&self, duration: Duration) {
        sleep(&self.world, duration).await;
    }

    /// Runs a future beside this one.
    pub fn spawn(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.spawner.run(future);
    }

    /// A stream of randomness that belongs to the seed.
    #[must_use]
    pub fn rng(&self) -> Rng {
        self.world.lock().application_rng()
    }

    /// How many brokers there are.
    #[must_use]
    pub fn broker_count(&self) -> usize {
        self.world.lock().brokers().len()
    }

    /// Looks into a broker, or switches its faults.
    ///
    /// # Panics
    /// When there are not so many brokers.
    pub fn with_broker<R>(&self, index: usize, look: impl FnOnce(&mut Broker) -> R) -> R {
        let mut world = self.world.lock();
        let node = world.brokers()[index];
        let broker = world.servers.get_mut(&node).and_then(|server| server.running_broker());
        let result = look(broker.expect("the node of a broker"));
        world.drain(node);
        result
    }

    /// What a server answers to a request that comes past network and clients, as an administrator's who sits
    /// at its console. No time passes. `server` is a `host:port`, of [`name_servers`](Self::name_servers)
    /// or of a route. `None` when no such server runs, or when it doesn't answer at once.
    #[must_use]
    pub fn ask(&self, server: &str, request: RemotingCommand) -> Option<RemotingCommand> {
        self.world.lock().ask(address_in(server)?, request)
    }

    /// Resets every connection; how many there were.
    pub fn reset_connections(&self) -> usize {
        let mut world = self.world.lock();
        let conns = world.network.established();
        for conn in &conns {
            let now = world.now;
            world.schedule.insert(now, Event::Reset(*conn));
        }
        conns.len()
    }
}

/// Waits in virtual time.
pub(crate) fn sleep(world: &SharedWorld, duration: Duration) -> Sleep {
    let deadline = world.lock().now + duration;
    Sleep { world: world.clone(), deadline, event: None }
}

/// Ends at a time.
pub(crate) struct Sleep {
    world: SharedWorld,
    deadline: Instant,
    event: Option<EventKey>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        let mut world = this.world.lock();
        // The last waker counts.
        if let Some(event) = this.event.take() {
            world.schedule.cancel(event);
        }
        if world.now >= this.deadline {
            return Poll::Ready(());
        }
        this.event = Some(world.schedule.insert(this.deadline, Event::Wake(cx.waker().clone())));
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(event) = self.event.take() {
            let waker = self.world.lock().schedule.cancel(event);
            drop(waker);
        }
    }
}
