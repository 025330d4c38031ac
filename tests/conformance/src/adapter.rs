//! The adapters: how a scenario is run on each of them, and how it gets a client.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};

use rocketmq_client_core::driver::{Client, ClientBuilder, Parker};
use rocketmq_client_core::error::Result;

/// One way to drive the core.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Adapter {
    /// tokio, everything on one thread.
    TokioCurrentThread,
    /// tokio, engine and handlers on two workers.
    TokioMultiThread,
}

impl Adapter {
    /// All of them.
    pub const ALL: &[Self] = &[Self::TokioCurrentThread, Self::TokioMultiThread];

    /// Runs a scenario to its end on this thread.
    ///
    /// # Errors
    /// The runtime could not be built.
    pub fn run<F: Future>(self, scenario: F) -> io::Result<F::Output> {
        let mut builder = match self {
            Self::TokioCurrentThread => tokio::runtime::Builder::new_current_thread(),
            Self::TokioMultiThread => {
                let mut builder = tokio::runtime::Builder::new_multi_thread();
                builder.worker_threads(2);
                builder
            }
        };
        Ok(builder.enable_all().build()?.block_on(scenario))
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
        }
    }
}

impl fmt::Display for Adapter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::TokioCurrentThread => "tokio current-thread",
            Self::TokioMultiThread => "tokio multi-thread",
        })
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
