//! Machines on which clients run, and what happens to them.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rocketmq_client_core::driver::{Client, ClientBuilder};
use rocketmq_client_core::error::Result;

use crate::ctx::{Ctx, NodeClient};
use crate::executor::NodeId;
use crate::host::{SimHost, SimResolver};
use crate::network::{Scope, Trouble};
use crate::servers::{Servers, Troubles};
use crate::tap::SimTap;
use crate::world::World;

/// A machine of the world: clients run on it, and its way to the servers can be disturbed without
/// anybody else noticing. Clones are the same machine.
///
/// ```
/// use std::time::Duration;
///
/// use rocketmq_client_core::message::Message;
/// use rocketmq_sim::{Servers, Trouble, simulate};
///
/// let waited = simulate(7, async |ctx| {
///     let machine = ctx.machine();
///     let producer = machine.client().producer("orders").retry_times(9).build().expect("a good name");
///     producer.send(Message::new("TopicTest", "before")).await.expect("stored");
///
///     // A cut: the client connects again by itself, and the next send does not even notice.
///     assert_eq!(machine.cut(Servers::Brokers), 1);
///     producer.send(Message::new("TopicTest", "after the cut")).await.expect("stored as well");
///
///     // Ten minutes without a broker, at once. One send after the other is told that it failed.
///     machine.disturb(Servers::Brokers, Trouble::Refuse);
///     let down = ctx.now();
///     while ctx.now() < down + Duration::from_secs(600) {
///         assert!(producer.send(Message::new("TopicTest", "lost")).await.is_err());
///         ctx.sleep(Duration::from_secs(1)).await;
///     }
///     machine.heal(Servers::Brokers);
///     let healed = ctx.now();
///     while producer.send(Message::new("TopicTest", "back")).await.is_err() {
///         ctx.sleep(Duration::from_millis(10)).await;
///     }
///     ctx.now() - healed
/// });
/// assert!(waited < Duration::from_secs(10), "it took {waited:?} to come back");
/// ```
#[derive(Clone)]
pub struct Machine {
    ctx: Ctx,
    node: NodeId,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    /// Whether a process has ever run here.
    used: bool,
    processes: Vec<NodeId>,
    troubles: Troubles,
}

impl fmt::Debug for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Machine").field("node", &self.node.0).finish_non_exhaustive()
    }
}

impl Machine {
    pub(crate) fn new(ctx: Ctx) -> Self {
        let node = ctx.world.lock().new_node();
        Self { ctx, node, state: Arc::default() }
    }

    /// A client with RocketMQ's defaults.
    ///
    /// # Panics
    /// Never: the defaults work.
    #[must_use]
    pub fn client(&self) -> Client {
        self.start(self.ctx.settings()).expect("the default settings work")
    }

    /// Starts a client, a process of its own, without waiting for a name server. Whatever resolver and tap
    /// the settings name, the client gets those of the world.
    ///
    /// # Errors
    /// A setting that can't work.
    pub fn start(&self, settings: impl Into<ClientBuilder>) -> Result<Client> {
        Ok(self.start_process(settings.into())?.client)
    }

    /// As [`start`](Self::start), and reaches a name server.
    ///
    /// # Errors
    /// A setting that can't work, or no name server that can be reached.
    pub async fn connect(&self, settings: impl Into<ClientBuilder>) -> Result<Client> {
        let client = self.start(settings)?;
        client.connect().await?;
        Ok(client)
    }

    /// How many connections its clients have, or are about to have.
    #[must_use]
    pub fn connection_count(&self) -> usize {
        self.ctx.world.lock().network.connections_where(|way| way.from == self.node).len()
    }

    /// Resets every connection to these servers; new ones may come up at once. How many there were.
    #[expect(clippy::must_use_candidate, reason = "the number is only there to be checked")]
    pub fn cut(&self, to: Servers) -> usize {
        let mut world = self.ctx.world.lock();
        to.nodes(&world).into_iter().map(|server| cut(&mut world, self.node, server)).sum()
    }

    /// From now on the way to these servers is so, until it is [healed](Self::heal). Troubles add up. One that
    /// lets no connection come up also resets those that are up.
    pub fn disturb(&self, to: Servers, trouble: Trouble) {
        let mut world = self.ctx.world.lock();
        for server in to.nodes(&world) {
            self.lock().troubles.begin(&mut world, server, Scope::Between(self.node, server), trouble);
            if trouble.turns_away() {
                cut(&mut world, self.node, server);
            }
        }
    }

    /// Ends all troubles on the way to these servers.
    pub fn heal(&self, to: Servers) {
        let mut world = self.ctx.world.lock();
        let healed = to.nodes(&world);
        self.lock().troubles.end(&mut world, &healed);
    }

    /// Kills every client, as `kill -9` does: servers learn of it from the machine. Handles that are left fail.
    pub fn kill(&self) {
        self.end(false);
    }

    /// As if it had lost its power: every client ends, and nobody is told.
    pub fn power_off(&self) {
        self.end(true);
    }

    pub(crate) fn start_process(&self, settings: ClientBuilder) -> Result<NodeClient> {
        let Ctx { world, spawner, .. } = &self.ctx;
        // The first process goes by the number of its machine.
        let first = !std::mem::replace(&mut self.lock().used, true);
        let node = if first { self.node } else { world.lock().new_node() };
        let spawner = spawner.of(node);
        let host = SimHost::new(world.clone(), self.node, node, spawner.clone());
        let settings = settings
            .resolver(SimResolver::new(world.clone(), spawner.clone()))
            .tap(SimTap::new(world.clone(), node));
        let (client, engine) = settings.start(host)?;
        self.lock().processes.push(node);
        spawner.run(engine);
        Ok(NodeClient { node, client, spawner })
    }

    fn end(&self, silently: bool) {
        let mut world = self.ctx.world.lock();
        if silently {
            world.network.vanish(self.node);
        }
        for process in std::mem::take(&mut self.lock().processes) {
            world.monitor.node_gone(process);
            world.kills.push(process);
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn cut(world: &mut World, client: NodeId, server: NodeId) -> usize {
    world.reset_where(|way| (way.from, way.to) == (client, server))
}
