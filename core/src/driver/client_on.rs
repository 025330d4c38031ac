//! How a user of an async runtime gets a client.

use core::fmt;
use core::marker::PhantomData;
use core::ops::Deref;

use super::builder::ClientBuilder;
use super::client::Client;
use crate::error::Result;

/// An async runtime that clients can be started on.
pub trait Launch {
    /// Starts a client whose engine is a task of this runtime.
    ///
    /// # Errors
    /// A setting that can't work.
    fn launch(settings: ClientBuilder) -> Result<Client>;
}

/// A client whose engine is a task of the runtime `R`. See [`Client`] for what it can do.
pub struct ClientOn<R> {
    client: Client,
    runtime: PhantomData<fn() -> R>,
}

impl<R> Clone for ClientOn<R> {
    fn clone(&self) -> Self {
        Self { client: self.client.clone(), runtime: PhantomData }
    }
}

impl<R> fmt::Debug for ClientOn<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.client.fmt(f)
    }
}

impl<R: Launch> ClientOn<R> {
    /// Starts a client and reaches a name server: `Client::connect("a:9876;b:9876")`, or with
    /// settings, `Client::connect(Client::builder("a:9876").instance_name("one"))`.
    ///
    /// Cancel safe: dropped before it ends, the client is closed.
    ///
    /// # Errors
    /// A setting that can't work, or no name server that can be reached.
    ///
    /// # Panics
    /// Where the runtime has to be entered first: outside of it.
    pub async fn connect(settings: impl Into<ClientBuilder>) -> Result<Self> {
        let client = Self::start(settings)?;
        client.client.connect().await?;
        Ok(client)
    }

    /// As [`connect`](Self::connect), for the name servers that `ROCKETMQ_NAMESRV` lists, or
    /// else `NAMESRV_ADDR`.
    ///
    /// Cancel safe: dropped before it ends, the client is closed.
    ///
    /// # Errors
    /// As [`connect`](Self::connect); neither variable is set.
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
        Ok(Self { client: R::launch(settings.into())?, runtime: PhantomData })
    }

    /// Settings to change, for [`connect`](Self::connect).
    pub fn builder(name_servers: &str) -> ClientBuilder {
        ClientBuilder::new(name_servers)
    }
}

impl<R> Deref for ClientOn<R> {
    type Target = Client;

    fn deref(&self) -> &Client {
        &self.client
    }
}
