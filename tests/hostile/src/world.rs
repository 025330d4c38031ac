//! Where a case runs: in the simulator, or over loopback on one of the adapters.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};
use std::time::Duration;

use rocketmq_client_core::driver::{Client, ClientBuilder};
use rocketmq_client_core::error::Result;
use rocketmq_client_core::time::Instant;
use rocketmq_sim::{Ctx, Machine};

/// An adapter, or the simulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Adapter {
    /// Virtual time.
    Simulator,
    /// tokio, everything on one thread.
    TokioCurrentThread,
    /// tokio on two workers.
    TokioMultiThread,
    /// async-std.
    AsyncStd,
    /// No runtime.
    Blocking,
}

impl Adapter {
    /// All of them, the simulator first.
    pub const ALL: [Self; 5] =
        [Self::Simulator, Self::TokioCurrentThread, Self::TokioMultiThread, Self::AsyncStd, Self::Blocking];

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Simulator => "simulator",
            Self::TokioCurrentThread => "tokio-current-thread",
            Self::TokioMultiThread => "tokio",
            Self::AsyncStd => "async-std",
            Self::Blocking => "blocking",
        }
    }

    /// The adapter of a name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|adapter| adapter.name() == name)
    }
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// Time, and clients.
#[derive(Clone, Debug)]
pub(crate) enum World {
    /// A simulated one.
    Simulated(Ctx, Machine),
    /// This machine's.
    Real(Clock, Adapter),
}

impl World {
    /// The time since the run began.
    #[must_use]
    pub(crate) fn now(&self) -> Instant {
        match self {
            Self::Simulated(ctx, _) => ctx.now(),
            Self::Real(clock, _) => clock.now(),
        }
    }

    /// Waits.
    pub(crate) async fn sleep(&self, duration: Duration) {
        match self {
            Self::Simulated(ctx, _) => ctx.sleep(duration).await,
            Self::Real(clock, _) => clock.sleep(duration).await,
        }
    }

    /// Waits until then.
    pub(crate) async fn sleep_until(&self, at: Instant) {
        self.sleep(at.saturating_since(self.now())).await;
    }

    /// Starts a client without waiting for a name server.
    ///
    /// # Errors
    /// A setting that can't work.
    pub(crate) fn start(&self, settings: ClientBuilder) -> Result<Client> {
        match self {
            Self::Simulated(_, machine) => machine.start(settings),
            Self::Real(_, Adapter::AsyncStd) => {
                Ok((*rocketmq_client_async_std::Client::start(settings)?).clone())
            }
            Self::Real(_, Adapter::Blocking) => {
                Ok((*rocketmq_client_blocking::Client::start(settings)?).clone())
            }
            Self::Real(..) => Ok((*rocketmq_client_tokio::Client::start(settings)?).clone()),
        }
    }
}

/// A real clock, and who sleeps by it. The thread that serves the sockets wakes them.
#[derive(Clone)]
pub(crate) struct Clock(Arc<Alarms>);

struct Alarms {
    origin: std::time::Instant,
    sleepers: Mutex<BTreeMap<(Instant, u64), Waker>>,
    /// Ends the wait of who serves the sockets.
    bell: mio::Waker,
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock").field("now", &self.now()).finish_non_exhaustive()
    }
}

impl Clock {
    /// A clock that begins now.
    #[must_use]
    pub(crate) fn new(bell: mio::Waker) -> Self {
        let origin = std::time::Instant::now();
        Self(Arc::new(Alarms { origin, sleepers: Mutex::default(), bell }))
    }

    /// The time since the clock began.
    #[must_use]
    pub(crate) fn now(&self) -> Instant {
        Instant::ZERO + self.0.origin.elapsed()
    }

    async fn sleep(&self, duration: Duration) {
        let at = self.now() + duration;
        let mut asleep = None;
        std::future::poll_fn(|cx| {
            if let Some(key) = asleep.take() {
                self.sleepers().remove(&key);
            }
            if self.now() >= at {
                return Poll::Ready(());
            }
            let mut sleepers = self.sleepers();
            let number = sleepers.range((at, 0)..=(at, u64::MAX)).last().map_or(0, |(key, _)| key.1 + 1);
            asleep = Some((at, number));
            sleepers.insert((at, number), cx.waker().clone());
            drop(sleepers);
            self.ring();
            Poll::Pending
        })
        .await;
    }

    /// Wakes those whose time has come; when the next one's comes.
    #[must_use]
    pub(crate) fn wake(&self) -> Option<Instant> {
        loop {
            let mut sleepers = self.sleepers();
            let entry = sleepers.first_entry()?;
            if entry.key().0 > self.now() {
                return Some(entry.key().0);
            }
            let waker = entry.remove();
            drop(sleepers);
            waker.wake();
        }
    }

    /// Ends the wait of who serves the sockets.
    pub(crate) fn ring(&self) {
        // The poll is gone only when the run is over.
        let _ = self.0.bell.wake();
    }

    fn sleepers(&self) -> MutexGuard<'_, BTreeMap<(Instant, u64), Waker>> {
        self.0.sleepers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs futures side by side until all have ended.
pub(crate) async fn all(mut futures: Vec<Pin<Box<dyn Future<Output = ()> + '_>>>) {
    std::future::poll_fn(|cx| {
        futures.retain_mut(|future| future.as_mut().poll(cx).is_pending());
        if futures.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
}
