//! Apache RocketMQ client for async-std, and for smol.
//!
//! ```no_run
//! use rocketmq_client_async_std as rmq;
//!
//! fn main() -> rmq::Result<()> {
//!     async_std::task::block_on(async {
//!         let client = rmq::Client::connect("127.0.0.1:9876").await?;
//!         let producer = client.producer("demo-producers").build()?;
//!         let receipt = producer.send(rmq::Message::new("TopicTest", "hello")).await?;
//!         println!("stored at {receipt}");
//!         client.close().await
//!     })
//! }
//! ```
//!
//! A consumer is a future as well, which ends with `until`'s; what its handlers had begun is finished and committed
//! then. To go on with something else meanwhile, spawn it.
//!
//! ```no_run
//! use rocketmq_client_async_std as rmq;
//!
//! async fn consume(client: rmq::Client, told_to_stop: impl Future) -> rmq::Result<()> {
//!     let group = client.push_consumer("demo-consumers").subscribe("TopicTest", "*");
//!     let running = group.run(async |message| { println!("{message}"); rmq::Ack::Done });
//!     println!("{}", running.until(told_to_stop).await?);
//!     Ok(())
//! }
//! ```
//!
//! Handles are cheap to clone and to share, and the client logs by tracing: [`core::driver`] says how.
//!
//! # Runtime
//!
//! async-std is discontinued ([RUSTSEC-2025-0052]): it gets no fixes any more, security fixes
//! included. This crate is for programs that run on it already, and no other crate that is published
//! depends on it or on async-std. For a new program take the adapter for tokio, or the blocking one.
//!
//! The client's own work is one task of async-std's executor, which starts by itself and runs beside
//! any other: the futures of a client can be awaited on every executor. In a program on smol, which
//! shares its reactor with async-std, nothing else is needed than to await them there:
//!
//! ```no_run
//! use rocketmq_client_async_std as rmq;
//!
//! fn main() -> rmq::Result<()> {
//!     smol::block_on(async {
//!         let client = rmq::Client::connect("127.0.0.1:9876").await?;
//!         client.close().await
//!     })
//! }
//! ```
//!
//! [RUSTSEC-2025-0052]: https://rustsec.org/advisories/RUSTSEC-2025-0052

mod host;
#[cfg(test)]
mod tests;

use rocketmq_client_core::driver::{AsyncHost, ClientOn, Launch};

pub use rocketmq_client_core as core;
pub use rocketmq_client_core::driver::prelude::*;

/// A client whose engine is a task of async-std's. See [`core::driver::Client`] for what it can do.
pub type Client = ClientOn<AsyncStd>;

/// The executor of async-std, of which every process has one.
#[derive(Clone, Copy, Debug)]
pub enum AsyncStd {}

impl Launch for AsyncStd {
    fn launch(settings: ClientBuilder) -> Result<core::driver::Client> {
        let sockets = host::AsyncStdSockets::default();
        let (client, engine) = settings.start(AsyncHost::new(sockets, host::AsyncStdTasks))?;
        drop(async_std::task::spawn(engine));
        Ok(client)
    }
}
