//! The client at work, as its users write it.

mod consume;
mod idle;
mod latency;
mod send;
mod start;

use std::thread;
use std::time::{Duration, Instant};

use rocketmq_client_blocking as blocking;
use rocketmq_client_tokio as rmq;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::UnboundedReceiver;

use super::args::{Adapter, BenchCommand, Common};
use super::block::Spec;
use crate::error::CliError;

pub(super) use self::consume::preload;
pub(super) use self::start::{CONSUMER, PROCESS};

/// How long nothing may move before what is missing counts as failed.
const STALL_MAX: Duration = Duration::from_secs(20);
/// How often a thread looks that can't be told.
const TICK: Duration = Duration::from_millis(1);
/// For the end of a client, when everything has been measured.
const CLOSE_MAX: Duration = Duration::from_secs(5);

/// Runs the client's part of a measurement and gives what is to be printed.
pub(super) fn run(command: &BenchCommand, spec: &Spec) -> Result<serde_json::Value, CliError> {
    Ok(match command {
        BenchCommand::Send(args) => send::run(args, spec)?.to_json(),
        BenchCommand::Consume(args) => consume::run(args, spec)?.to_json(),
        BenchCommand::Latency(args) => latency::run(args, spec)?.to_json(),
        BenchCommand::Idle(args) => idle::run(args, spec)?,
        BenchCommand::Start(args) => start::run(args, spec)?,
        BenchCommand::NullServer(_) => serde_json::Value::Null,
    })
}

fn runtime(common: &Common) -> Result<Runtime, CliError> {
    let mut builder = match common.adapter {
        Adapter::TokioCurrentThread => tokio::runtime::Builder::new_current_thread(),
        Adapter::Tokio | Adapter::Blocking => tokio::runtime::Builder::new_multi_thread(),
    };
    Ok(builder.worker_threads(common.threads.into()).enable_all().build()?)
}

/// A client of either adapter: what they lend differs, the handles don't.
enum Connected {
    Tokio(rmq::Client, Runtime),
    Blocking(blocking::Client),
}

impl Connected {
    fn connect(common: &Common, spec: &Spec) -> Result<Self, CliError> {
        if common.adapter == Adapter::Blocking {
            return Ok(Self::Blocking(blocking::Client::connect(&spec.namesrv)?));
        }
        let runtime = runtime(common)?;
        let client = runtime.block_on(rmq::Client::connect(&spec.namesrv))?;
        Ok(Self::Tokio(client, runtime))
    }

    fn client(&self) -> &rmq::core::driver::Client {
        match self {
            Self::Tokio(client, _) => client,
            Self::Blocking(client) => client,
        }
    }

    /// Waits for a future in the way of the adapter.
    fn block_on<F: Future>(&self, future: F) -> F::Output {
        match self {
            Self::Tokio(_, runtime) => runtime.block_on(future),
            Self::Blocking(_) => blocking::block_on(future),
        }
    }

    /// Lets time pass, during which the client works.
    fn sleep(&self, duration: Duration) {
        match self {
            Self::Tokio(_, runtime) => runtime.block_on(async { tokio::time::sleep(duration).await }),
            Self::Blocking(_) => thread::sleep(duration),
        }
    }

    /// What somebody tells; `None` after `timeout`.
    fn receive<T>(&self, receiver: &mut UnboundedReceiver<T>, timeout: Duration) -> Option<T> {
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

    fn close(self) -> Result<(), CliError> {
        let closing = self.client().close_within(CLOSE_MAX);
        match &self {
            Self::Tokio(_, runtime) => runtime.block_on(closing)?,
            Self::Blocking(_) => closing.wait()?,
        }
        if let Self::Tokio(client, runtime) = self {
            drop(client);
            runtime.shutdown_background();
        }
        Ok(())
    }
}
