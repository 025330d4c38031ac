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
//! The client's own work is one task on the runtime that [`Client::connect`] was called on; its
//! futures can be awaited on any executor.

mod host;
#[cfg(test)]
mod tests;

use std::ops::Deref;

use tokio::runtime::Handle;

pub use rocketmq_client_core as core;
pub use rocketmq_client_core::client::QueueChoice;
pub use rocketmq_client_core::config::{
    AllocateStrategy, ClientConfig, ConsumeFrom, ProducerConfig, PushConsumerConfig,
};
pub use rocketmq_client_core::consumer::{Ack, CloseReport};
pub use rocketmq_client_core::driver::compress::Compression;
pub use rocketmq_client_core::driver::{
    ClientBuilder, Delivered, DetachedCounts, Limits, MessageStream, MessageView, Operation, Producer,
    ProducerBuilder, PushConsumer, PushConsumerBuilder, ReceivedMessage, Run, Starting, UndecodableBody,
};
pub use rocketmq_client_core::error::{Cause, Error, Failure, Result, UsageError};
pub use rocketmq_client_core::message::{Message, MessageQueue};
pub use rocketmq_client_core::producer::{SendReceipt, SendStatus};

/// A client whose engine is a task of tokio's. See [`core::driver::Client`] for what it can do.
#[derive(Clone, Debug)]
pub struct Client(core::driver::Client);

impl Client {
    /// Starts a client and reaches a name server: `Client::connect("a:9876;b:9876")`, or with
    /// settings, `Client::connect(Client::builder("a:9876").instance_name("one"))`.
    ///
    /// Cancel safe: dropped before it ends, the client is closed.
    ///
    /// # Errors
    /// A setting that can't work, or no name server that can be reached.
    ///
    /// # Panics
    /// Outside of a tokio runtime, or on one without I/O and time.
    pub async fn connect(settings: impl Into<ClientBuilder>) -> Result<Self> {
        let client = Self::start(settings)?;
        client.0.connect().await?;
        Ok(client)
    }

    /// As [`connect`](Self::connect), for the name servers that `ROCKETMQ_NAMESRV` lists.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); the variable is not set.
    pub async fn from_env() -> Result<Self> {
        Self::connect(ClientBuilder::from_env()).await
    }

    /// Starts a client without waiting for a name server; it keeps trying by itself.
    ///
    /// # Errors
    /// A setting that can't work.
    ///
    /// # Panics
    /// As [`connect`](Self::connect).
    pub fn start(settings: impl Into<ClientBuilder>) -> Result<Self> {
        let runtime = Handle::current();
        let (client, engine) = settings.into().start(host::TokioHost::new(runtime.clone()))?;
        drop(runtime.spawn(engine));
        Ok(Self(client))
    }

    /// Settings to change, for [`connect`](Self::connect).
    pub fn builder(name_servers: &str) -> ClientBuilder {
        ClientBuilder::new(name_servers)
    }
}

impl Deref for Client {
    type Target = core::driver::Client;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}
