//! Apache RocketMQ client for tokio, current-thread and multi-thread.
//!
//! ```no_run
//! use rocketmq_client_tokio as rmq;
//!
//! #[tokio::main]
//! async fn main() -> rmq::Result<()> {
//!     let client = rmq::Client::connect("127.0.0.1:9876").await?;
//!     let producer = client.producer("demo-producers").build()?;
//!     let receipt = producer.send(rmq::Message::new("TopicTest", "hello")).await?;
//!     println!("stored at {receipt}");
//!     client.close().await
//! }
//! ```
//!
//! A consumer is a future as well. This one ends when the process is told to, by SIGTERM or Ctrl-C (tokio's feature
//! `signal`); what its handlers had begun is finished and committed then. To go on with something else meanwhile, spawn
//! what `until` gives.
//!
//! ```no_run
//! # #[cfg(unix)]
//! # mod example {
//! use rocketmq_client_tokio as rmq;
//! use tokio::signal::unix::{SignalKind, signal};
//!
//! async fn consume(client: rmq::Client) -> rmq::Result<()> {
//!     let mut terminate = signal(SignalKind::terminate()).expect("a handler for SIGTERM");
//!     let told_to_stop = async move {
//!         tokio::select! { _ = terminate.recv() => {} _ = tokio::signal::ctrl_c() => {} }
//!     };
//!     let group = client.push_consumer("demo-consumers").subscribe("TopicTest", "*");
//!     let running = tokio::spawn(group.run(async |message| { println!("{message}"); rmq::Ack::Done }).until(told_to_stop));
//!     println!("{}", running.await.expect("it does not panic")?);
//!     Ok(())
//! }
//! # }
//! ```
//!
//! Handles are cheap to clone and to share, and the client logs by tracing: [`core::driver`] says how.
//!
//! # Runtime
//!
//! The client's own work is one task on the runtime that [`Client::connect`] was called on; its
//! futures can be awaited on any executor.

mod host;
#[cfg(test)]
mod tests;

use rocketmq_client_core::driver::{AsyncHost, ClientOn, Launch};
use tokio::runtime::Handle;

pub use rocketmq_client_core as core;
pub use rocketmq_client_core::driver::prelude::*;

/// A client whose engine is a task of tokio's. See [`core::driver::Client`] for what it can do.
///
/// [`connect`](ClientOn::connect) and [`start`](ClientOn::start) panic outside of a tokio runtime,
/// and on one without I/O and time.
pub type Client = ClientOn<Tokio>;

/// The tokio runtime that this is called on.
#[derive(Clone, Copy, Debug)]
pub enum Tokio {}

impl Launch for Tokio {
    fn launch(settings: ClientBuilder) -> Result<core::driver::Client> {
        let runtime = Handle::current();
        let tasks = host::TokioTasks(runtime.clone());
        let (client, engine) = settings.start(AsyncHost::new(host::TokioSockets, tasks))?;
        drop(runtime.spawn(engine));
        Ok(client)
    }
}
