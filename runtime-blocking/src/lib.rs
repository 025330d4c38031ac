//! Apache RocketMQ client for programs without an async runtime.
//!
//! ```no_run
//! use rocketmq_client_blocking as rmq;
//!
//! fn main() -> rmq::Result<()> {
//!     let client = rmq::Client::connect("127.0.0.1:9876")?;
//!     let producer = client.producer("demo-producers").build()?;
//!     let receipt = producer.send(rmq::Message::new("TopicTest", "hello")).wait()?;
//!     println!("stored at {receipt}");
//!     client.close().wait()
//! }
//! ```
//!
//! A consumer has threads of its own, or lends its messages one by one:
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use rocketmq_client_blocking as rmq;
//!
//! fn consume(client: &rmq::Client) -> rmq::Result<()> {
//!     let group = client.push_consumer("demo-consumers").subscribe("TopicTest", "*");
//!     let consumer = group.run_on_threads(4, |message| { println!("{message}"); rmq::Ack::Done }).wait()?;
//!     std::thread::sleep(Duration::from_secs(60)); // or until the service is told to stop
//!     println!("{}", consumer.close().wait()?); // what handlers had begun is finished and committed
//!     Ok(())
//! }
//!
//! fn take_by_hand(client: &rmq::Client) -> rmq::Result<()> {
//!     let mut messages = client.push_consumer("demo-takers").subscribe("TopicTest", "*").stream().wait()?;
//!     while let Some(message) = messages.next().wait() {
//!         println!("{}", &*message);
//!         message.ack();
//!     }
//!     Ok(())
//! }
//! ```
//!
//! Handles are cheap to clone and to share, and the client logs by tracing: [`core::driver`] says how.
//!
//! # Threads
//!
//! Every command is an [`Operation`]; [`wait`](Operation::wait) blocks until it has ended. A thread
//! that waits drives the client's sockets itself, so an answer crosses no other thread; one
//! background thread does it when nobody waits.

mod host;
#[cfg(test)]
mod tests;

use std::ops::Deref;
use std::thread;

use rocketmq_client_core::driver::Leader;

pub use rocketmq_client_core as core;
pub use rocketmq_client_core::driver::block_on;
pub use rocketmq_client_core::driver::prelude::*;

/// A client that its callers drive. See [`core::driver::Client`] for what it can do.
#[derive(Clone, Debug)]
pub struct Client(core::driver::Client);

impl Client {
    /// Starts a client and reaches a name server: `Client::connect("a:9876;b:9876")`, or with
    /// settings, `Client::connect(Client::builder("a:9876").instance_name("one"))`.
    ///
    /// # Errors
    /// A setting that can't work, or no name server that can be reached.
    pub fn connect(settings: impl Into<ClientBuilder>) -> Result<Self> {
        let client = Self::start(settings)?;
        client.0.connect().wait()?;
        Ok(client)
    }

    /// As [`connect`](Self::connect), for the name servers that `ROCKETMQ_NAMESRV` lists, or
    /// else `NAMESRV_ADDR`.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); neither variable is set.
    pub fn from_env() -> Result<Self> {
        Self::connect(ClientBuilder::from_env())
    }

    /// Starts a client without waiting for a name server; it keeps trying by itself.
    ///
    /// # Errors
    /// A setting that can't work, or a system that has no more files or threads.
    pub fn start(settings: impl Into<ClientBuilder>) -> Result<Self> {
        let host = host::MioHost::new().map_err(refused)?;
        let (client, engine) = settings.into().start(host)?;
        let leader = Leader::install(&client, engine);
        let background = thread::Builder::new().name("rocketmq-client".into());
        background.spawn(move || leader.run_in_background()).map_err(refused)?;
        Ok(Self(client))
    }

    /// Settings to change, for [`connect`](Self::connect).
    pub fn builder(name_servers: &str) -> ClientBuilder {
        ClientBuilder::new(name_servers)
    }
}

/// What the system does not give is not the client's fault.
fn refused(error: std::io::Error) -> Error {
    Error::Host(error.to_string().into())
}

impl Deref for Client {
    type Target = core::driver::Client;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
