//! Settings of a client on their way to one.

use super::std;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::net::SocketAddr;
use core::time::Duration;

use std::env;

use super::client::{Client, Options, start};
use super::engine::Engine;
use super::host::Host;
use super::permits::Limits;
use super::record::Tap;
use super::resolve::Resolver;
use super::transform::TransformFactory;
use crate::client::Client as ClientMachine;
use crate::config::ClientConfig;
use crate::error::{Result, UsageError};

/// The environment variable that names the name servers.
pub const NAME_SERVERS_VARIABLE: &str = "ROCKETMQ_NAMESRV";
/// The one that is asked after it, which Java's client and tools read. Java: `MixAll#NAMESRV_ADDR_ENV`.
pub const NAME_SERVERS_VARIABLE_JAVA: &str = "NAMESRV_ADDR";

/// The first of the two variables that is set and not empty.
fn name_servers(read: impl Fn(&str) -> Option<String>) -> Option<String> {
    let mut set = [NAME_SERVERS_VARIABLE, NAME_SERVERS_VARIABLE_JAVA].into_iter().filter_map(read);
    set.find(|value| !value.trim().is_empty())
}

/// Settings of a client. Made of name servers, as `host:port`, several separated by `;`.
#[derive(Debug)]
#[must_use = "pass it to connect()"]
pub struct ClientBuilder {
    config: Result<ClientConfig, UsageError>,
    options: Options,
}

impl ClientBuilder {
    /// The defaults, for these name servers.
    pub fn new(name_servers: &str) -> Self {
        ClientConfig::parse(name_servers).into()
    }

    /// The defaults, for the name servers that `ROCKETMQ_NAMESRV` lists, or else `NAMESRV_ADDR`.
    #[expect(clippy::disallowed_methods, reason = "the user asks for the environment by name")]
    pub fn from_env() -> Self {
        Self::new(&name_servers(|name| env::var(name).ok()).unwrap_or_default())
    }

    /// The middle of the client id. Default: the process id and a random number.
    pub fn instance_name(self, name: impl Into<Arc<str>>) -> Self {
        self.configure(|config| config.instance_name = Some(name.into()))
    }

    /// How long a connection may take to come up. Default 3 s.
    pub fn connect_timeout(self, timeout: Duration) -> Self {
        self.configure(|config| config.connect_timeout = timeout)
    }

    /// How long routes, heartbeats and the like may take. Default 3 s.
    pub fn request_timeout(self, timeout: Duration) -> Self {
        self.configure(|config| config.request_timeout = timeout)
    }

    /// All settings of the core.
    pub fn configure(mut self, change: impl FnOnce(&mut ClientConfig)) -> Self {
        if let Ok(config) = &mut self.config {
            change(config);
        }
        self
    }

    /// What producers may have under way. Default 65,536 messages and 64 MiB.
    pub fn limits(mut self, limits: Limits) -> Self {
        self.options.limits = limits;
        self
    }

    /// Who looks up host names. Default: the system.
    pub fn resolver(mut self, resolver: impl Resolver) -> Self {
        self.options.resolver = Some(Box::new(resolver));
        self
    }

    /// What changes bytes between sockets and the client. Default: nothing.
    pub fn transforms(mut self, factory: TransformFactory) -> Self {
        self.options.transforms = Some(factory);
        self
    }

    /// Who sees all inputs and outputs. Default: nobody.
    pub fn tap(mut self, tap: impl Tap) -> Self {
        self.options.tap = Some(Box::new(tap));
        self
    }

    /// The seed of all randomness. Default: the host's entropy.
    pub fn seed(mut self, seed: u64) -> Self {
        self.options.seed = Some(seed);
        self
    }

    /// The client, and the engine that `host`'s runtime is to drive.
    ///
    /// # Errors
    /// The first setting that can't work.
    pub fn start<H: Host>(self, host: H) -> Result<(Client, Engine<H, ClientMachine>)> {
        Ok(start(self.config?, host, self.options)?)
    }
}

impl From<Result<ClientConfig, UsageError>> for ClientBuilder {
    fn from(config: Result<ClientConfig, UsageError>) -> Self {
        Self { config, options: Options::default() }
    }
}

impl From<ClientConfig> for ClientBuilder {
    fn from(config: ClientConfig) -> Self {
        Ok(config).into()
    }
}

impl From<&str> for ClientBuilder {
    fn from(name_servers: &str) -> Self {
        Self::new(name_servers)
    }
}

impl From<String> for ClientBuilder {
    fn from(name_servers: String) -> Self {
        Self::new(&name_servers)
    }
}

impl From<&String> for ClientBuilder {
    fn from(name_servers: &String) -> Self {
        Self::new(name_servers)
    }
}

impl From<SocketAddr> for ClientBuilder {
    fn from(name_server: SocketAddr) -> Self {
        Self::new(&alloc::format!("{name_server}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::borrow::ToOwned;

    #[test]
    fn our_own_variable_comes_before_java_s_and_an_empty_one_is_none() {
        let cases = [
            ((Some("a:1"), Some("b:1")), Some("a:1")),
            ((None, Some("b:1")), Some("b:1")),
            ((Some(" "), Some("b:1")), Some("b:1")),
            ((None, None), None),
        ];
        for ((ours, java), wanted) in cases {
            let read =
                |name: &str| if name == NAME_SERVERS_VARIABLE { ours } else { java }.map(str::to_owned);
            assert_eq!(name_servers(read).as_deref(), wanted);
        }
    }
}
