//! The handle that everything begins with, and how an engine is put together.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use super::DetachedCounts;
use super::engine::{Engine, Machine, Parts};
use super::exchange::{Alive, Exchange, Turn};
use super::host::Host;
use super::operation::Operation;
use super::permits::Limits;
use super::producer::ProducerBuilder;
use super::push_consumer::PushConsumerBuilder;
use super::queued::Budget;
use super::record::{Start, Tap};
use super::resolve::{Resolver, SystemResolver};
use super::transform::TransformFactory;
use crate::client::{Client as ClientMachine, ClientCommand, ClientStatistics, Command};
use crate::config::{ClientConfig, HostFacts};
use crate::error::UsageError;
use crate::time::{Instant, Timestamp};

/// How long [`Client::close`] lets everything end.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// A client of one RocketMQ cluster. Cheap to clone; all clones are the same client.
///
/// Dropping the last handle (clients, producers, consumers, operations) closes it with deadline
/// zero: nothing more is sent, handlers that run are not waited for. Call [`close`](Self::close) to
/// end in order.
#[derive(Clone, Debug)]
pub struct Client {
    alive: Arc<Alive>,
}

/// What can be set beside the core's configuration.
#[derive(Default)]
pub struct Options {
    /// What producers may have under way.
    pub limits: Limits,
    /// Looks up host names; the system's resolver when `None`.
    pub resolver: Option<Box<dyn Resolver>>,
    /// Changes bytes between sockets and channels; none by default.
    pub transforms: Option<TransformFactory>,
    /// Sees inputs and outputs; none by default, and none around another machine than the client's.
    pub tap: Option<Box<dyn Tap>>,
    /// The seed of all randomness; the host's entropy when `None`.
    pub seed: Option<u64>,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("limits", &self.limits)
            .field("seed", &self.seed)
            .finish_non_exhaustive()
    }
}

/// Puts together a client and the engine that a runtime is to drive.
///
/// # Errors
/// A setting that can't work.
pub fn start<H: Host>(
    config: ClientConfig,
    host: H,
    mut options: Options,
) -> Result<(Client, Engine<H, ClientMachine>), UsageError> {
    config.validate()?;
    let config = Arc::new(config);
    let mut tap = options.tap.take();
    let told = &mut tap;
    let (client, mut engine) = start_machine(host, options, |facts, seed, now, wall| {
        if let Some(tap) = told {
            tap.start(&Start { config: &config, facts: &facts, seed, now, wall });
        }
        ClientMachine::new(config, &facts, seed, now, wall)
    });
    engine.set_tap(tap);
    Ok((client, engine))
}

/// As [`start`], around any machine.
pub fn start_machine<H: Host, M: Machine>(
    mut host: H,
    options: Options,
    machine: impl FnOnce(HostFacts, u64, Instant, Timestamp) -> M,
) -> (Client, Engine<H, M>) {
    let seed = options.seed.unwrap_or_else(|| host.entropy());
    let (started, wall) = (host.now(), host.wall());
    let machine = machine(host.facts(), seed, started, wall);
    let spawn = host.spawn();
    let resolver = options.resolver.unwrap_or_else(|| Box::new(SystemResolver::new(spawn.clone())));
    let shared = Arc::new(Exchange::new(options.limits, spawn));
    let client = Client { alive: Arc::new(Alive(shared.clone())) };
    let parts = Parts { shared, resolver, transforms: options.transforms, started, wall };
    (client, Engine::new(host, machine, parts))
}

impl Client {
    /// Reaches one of the name servers, so that a wrong address is told at once and not by the first
    /// send. Not needed otherwise. Cancel safe: dropped, it is an attempt that nobody hears of.
    pub fn connect(&self) -> Operation<()> {
        let submitted =
            self.alive.0.submit(Turn::Now, |operation| Command::Client(ClientCommand::Connect { operation }));
        Operation::new(&self.alive, submitted)
    }

    /// A producer of this group, once [built](ProducerBuilder::build).
    pub fn producer(&self, group: impl Into<Arc<str>>) -> ProducerBuilder {
        ProducerBuilder::new(self.alive.clone(), group.into())
    }

    /// A push consumer of this group, once it [runs](PushConsumerBuilder::run).
    pub fn push_consumer(&self, group: impl Into<Arc<str>>) -> PushConsumerBuilder {
        PushConsumerBuilder::new(self.alive.clone(), group.into())
    }

    /// Ends everything in order, within 30 s: consumers finish what their handlers began and what lies before it,
    /// and commit, then producers finish their sends, then the connections go. Sends that were called for before it are
    /// not overtaken, also those that still wait for room. A second close ends with the first, and shortens
    /// it when its own time is over sooner.
    ///
    /// Cancel safe: it begins at once, and dropping the operation does not stop it.
    pub fn close(&self) -> Operation<()> {
        self.close_within(CLOSE_TIMEOUT)
    }

    /// As [`close`](Self::close), within `timeout`. Cancel safe.
    pub fn close_within(&self, timeout: Duration) -> Operation<()> {
        self.alive.0.stop_handlers();
        let budget = Budget::new(self.alive.0.spawn.now(), timeout);
        let command = |operation| Command::Client(ClientCommand::Close { operation, timeout });
        Operation::closing(&self.alive, self.alive.0.submit_close(budget, command))
    }

    /// What the client and its consumers have done so far. Cancel safe.
    pub fn statistics(&self) -> Operation<ClientStatistics> {
        let submitted =
            self.alive.0.submit_urgent(|operation| Command::Client(ClientCommand::Statistics { operation }));
        Operation::new(&self.alive, submitted)
    }

    /// How operations ended that nobody waited for.
    #[must_use]
    pub fn detached_counts(&self) -> DetachedCounts {
        self.alive.0.detached_counts()
    }

    pub(crate) fn shared(&self) -> &Arc<Exchange> {
        &self.alive.0
    }

    /// Slots in use, and whether all permits are back.
    #[cfg(test)]
    pub(crate) fn alive_at_rest(&self) -> (usize, bool) {
        self.alive.0.at_rest()
    }
}
