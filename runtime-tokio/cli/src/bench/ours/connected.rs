//! [`Connected`]: a client of any adapter, and what a measurement does with it.

use std::future::ready;
use std::thread;
use std::time::{Duration, Instant};

use rmq::{Ack, PushConsumer, PushConsumerBuilder, ReceivedMessage};
use rocketmq_client_blocking as blocking;
use rocketmq_client_tokio as rmq;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::sync::oneshot;

use crate::bench::args::{Adapter, Common};
use crate::bench::block::Spec;
use crate::error::CliError;

/// How often a thread looks that can't be told.
const TICK: Duration = Duration::from_millis(1);
/// For the end of a client, when everything has been measured.
const CLOSE_MAX: Duration = Duration::from_secs(5);

fn runtime(common: &Common) -> Result<Runtime, CliError> {
    let mut builder = match common.adapter {
        Adapter::TokioCurrentThread => tokio::runtime::Builder::new_current_thread(),
        _ => tokio::runtime::Builder::new_multi_thread(),
    };
    Ok(builder.worker_threads(common.threads.into()).enable_all().build()?)
}

/// A client of either adapter: what they lend differs, the handles don't.
pub(super) enum Connected {
    Tokio(rmq::Client, Runtime),
    #[cfg(feature = "async-std")]
    AsyncStd(rocketmq_client_async_std::Client),
    Blocking(blocking::Client),
}

impl Connected {
    pub(super) fn connect(common: &Common, spec: &Spec) -> Result<Self, CliError> {
        if common.adapter == Adapter::Blocking {
            return Ok(Self::Blocking(blocking::Client::connect(&spec.namesrv)?));
        }
        #[cfg(feature = "async-std")]
        if common.adapter == Adapter::AsyncStd {
            let connecting = rocketmq_client_async_std::Client::connect(&*spec.namesrv);
            return Ok(Self::AsyncStd(async_std::task::block_on(connecting)?));
        }
        let runtime = runtime(common)?;
        let client = runtime.block_on(rmq::Client::connect(&spec.namesrv))?;
        Ok(Self::Tokio(client, runtime))
    }

    pub(super) fn client(&self) -> &rmq::core::driver::Client {
        match self {
            Self::Tokio(client, _) => client,
            #[cfg(feature = "async-std")]
            Self::AsyncStd(client) => client,
            Self::Blocking(client) => client,
        }
    }

    /// Waits for a future in the way of the adapter.
    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self {
            Self::Tokio(_, runtime) => runtime.block_on(future),
            #[cfg(feature = "async-std")]
            Self::AsyncStd(_) => async_std::task::block_on(future),
            Self::Blocking(_) => blocking::block_on(future),
        }
    }

    /// Runs a future as a task of the runtime; what it ends with comes out of the receiver.
    pub(super) fn spawn<F>(&self, future: F) -> oneshot::Receiver<F::Output>
    where
        F: Future<Output: Send> + Send + 'static,
    {
        let (ended, end) = oneshot::channel();
        let task = async move {
            // Somebody waits, unless the measurement has failed.
            let _ = ended.send(future.await);
        };
        match self {
            Self::Tokio(_, runtime) => drop(runtime.spawn(task)),
            #[cfg(feature = "async-std")]
            Self::AsyncStd(_) => drop(async_std::task::spawn(task)),
            Self::Blocking(_) => drop(thread::spawn(|| blocking::block_on(task))),
        }
        end
    }

    /// Runs `work` on a thread of its own; the client works meanwhile, whatever drives it.
    pub(super) fn beside<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let (ended, end) = oneshot::channel();
        thread::scope(|scope| {
            let working = scope.spawn(|| {
                // Dropped when the work has ended, even by a panic.
                let _ended: oneshot::Sender<()> = ended;
                work()
            });
            let _ = self.block_on(end);
            working.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        })
    }

    /// Lets time pass, during which the client works.
    pub(super) fn sleep(&self, duration: Duration) {
        match self {
            Self::Tokio(_, runtime) => runtime.block_on(async { tokio::time::sleep(duration).await }),
            _ => thread::sleep(duration),
        }
    }

    /// Starts a consumer with so many handlers, each of which is one call.
    pub(super) fn consume(
        &self,
        builder: PushConsumerBuilder,
        workers: usize,
        handler: impl Fn(&ReceivedMessage) + Send + Sync + 'static,
    ) -> rmq::Result<PushConsumer> {
        if let Self::Blocking(_) = self {
            return builder
                .run_on_threads(workers, move |message| {
                    handler(&message);
                    Ack::Done
                })
                .wait();
        }
        self.block_on(builder.workers(workers, move |message| {
            handler(&message);
            ready(Ack::Done)
        }))
    }

    /// What somebody tells; `None` after `timeout`.
    pub(super) fn receive<T>(&self, receiver: &mut UnboundedReceiver<T>, timeout: Duration) -> Option<T> {
        if let Self::Tokio(_, runtime) = self {
            return runtime.block_on(async { tokio::time::timeout(timeout, receiver.recv()).await.ok()? });
        }
        let begun = Instant::now();
        while begun.elapsed() < timeout {
            if let Ok(told) = receiver.try_recv() {
                return Some(told);
            }
            thread::sleep(TICK);
        }
        None
    }

    pub(super) fn close(self) -> Result<(), CliError> {
        let closing = self.client().close_within(CLOSE_MAX);
        self.block_on(closing)?;
        if let Self::Tokio(client, runtime) = self {
            drop(client);
            runtime.shutdown_background();
        }
        Ok(())
    }
}
