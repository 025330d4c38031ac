//! The adapters: how a scenario is run on each of them, and how it gets a client.

use std::fmt;
use std::future::Future;
use std::pin::pin;
use std::task::{Context, Poll};

use rocketmq_client_core::driver::{Client, ClientBuilder, FromOutcome, Operation, Parker, Starting};
use rocketmq_client_core::error::{Error, Result};

use crate::place::Kind;
use crate::{Verdict, simulated};

/// One way to drive the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adapter {
    /// tokio, everything on one thread.
    TokioCurrentThread,
    /// tokio, engine and handlers on two workers.
    TokioMultiThread,
    /// async-std.
    AsyncStd,
    /// No runtime: who waits drives the client, otherwise a thread in the background.
    Blocking,
    /// Virtual time and a network of its own.
    Simulator,
}

impl Adapter {
    /// All of them.
    pub const ALL: &[Self] =
        &[Self::TokioCurrentThread, Self::TokioMultiThread, Self::AsyncStd, Self::Blocking, Self::Simulator];

    /// Whether it can reach this place: a simulated world is reached from within only, and has no way out.
    #[must_use]
    pub fn reaches(self, place: &Kind) -> bool {
        (self == Self::Simulator) == matches!(place, Kind::Simulated { .. })
    }

    /// Those that go by the sockets of this machine.
    pub fn with_sockets() -> impl Iterator<Item = Self> {
        Self::ALL.iter().copied().filter(|adapter| *adapter != Self::Simulator)
    }

    /// Runs a scenario to its end on this thread. See [`Place::run`](crate::Place::run) for one in a simulated world.
    ///
    /// # Errors
    /// The runtime could not be built.
    pub fn run<F: Future>(self, scenario: F) -> Verdict<F::Output> {
        let mut builder = match self {
            Self::TokioCurrentThread => tokio::runtime::Builder::new_current_thread(),
            Self::TokioMultiThread => {
                let mut builder = tokio::runtime::Builder::new_multi_thread();
                builder.worker_threads(2);
                builder
            }
            // The engine runs on threads of async-std's, wherever its clients are awaited.
            Self::AsyncStd | Self::Blocking => return Ok(block_on(scenario)),
            Self::Simulator => return Err("a simulator is nothing without its world".into()),
        };
        Ok(builder.enable_all().build()?.block_on(scenario))
    }

    /// What `command` ends with; waited for in the adapter's own way, without a bound.
    pub(crate) async fn end<C: Command>(self, command: C) -> Result<C::Ended> {
        match self {
            Self::TokioCurrentThread | Self::TokioMultiThread | Self::AsyncStd | Self::Simulator => {
                command.await
            }
            Self::Blocking => command.wait(),
        }
    }

    /// Connects a client; to be called inside of [`run`](Self::run).
    ///
    /// # Errors
    /// As the adapter's own `connect`.
    pub async fn connect(self, settings: ClientBuilder) -> Result<Client> {
        match self {
            Self::TokioCurrentThread | Self::TokioMultiThread => {
                Ok((*rocketmq_client_tokio::Client::connect(settings).await?).clone())
            }
            Self::AsyncStd => Ok((*rocketmq_client_async_std::Client::connect(settings).await?).clone()),
            Self::Blocking => Ok((*rocketmq_client_blocking::Client::connect(settings)?).clone()),
            Self::Simulator => match simulated::world() {
                Some(world) => world.connect(settings).await,
                None => Err(Error::Host("there is no world around".into())),
            },
        }
    }
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::TokioCurrentThread => "tokio current-thread",
            Self::TokioMultiThread => "tokio multi-thread",
            Self::AsyncStd => "async-std",
            Self::Blocking => "blocking",
            Self::Simulator => "simulator",
        })
    }
}

/// What can be awaited, or waited for by a thread.
pub(crate) trait Command: Future<Output = Result<Self::Ended>> {
    /// What it ends with.
    type Ended;

    /// Blocks this thread until it has ended.
    fn wait(self) -> Result<Self::Ended>;
}

impl<T: FromOutcome> Command for Operation<T> {
    type Ended = T;

    fn wait(self) -> Result<T> {
        Operation::wait(self)
    }
}

impl<T: Unpin> Command for Starting<T> {
    type Ended = T;

    fn wait(self) -> Result<T> {
        Starting::wait(self)
    }
}

/// Polls `future` on this thread, which sleeps in between.
pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    let parker = Parker::current();
    let waker = parker.waker();
    let mut cx = Context::from_waker(&waker);
    let mut future = pin!(future);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return output;
        }
        parker.park();
    }
}
