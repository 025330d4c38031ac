//! Settings of a [`DevBroker`].

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use mio::net::TcpListener;

use super::DevBroker;
use super::poll::{NAME_SERVER, WAKER};
use super::world::{Clock, World};
use crate::config::{BrokerConfig, DelayLevels};
use crate::name_server::{NameServer, NameServerConfig};

/// Settings of a [`DevBroker`]. Ports are free ones unless set.
#[derive(Clone, Debug)]
pub struct DevBrokerBuilder {
    ip: IpAddr,
    advertised_ip: Option<IpAddr>,
    name_server_port: u16,
    broker_port: u16,
    broker_count: usize,
    seed: u64,
    broker: BrokerConfig,
    name_server: NameServerConfig,
}

impl Default for DevBrokerBuilder {
    fn default() -> Self {
        Self {
            ip: Ipv4Addr::LOCALHOST.into(),
            advertised_ip: None,
            name_server_port: 0,
            broker_port: 0,
            broker_count: 1,
            seed: 0,
            broker: BrokerConfig::default(),
            name_server: NameServerConfig::default(),
        }
    }
}

impl DevBrokerBuilder {
    /// The interface to listen on: 127.0.0.1.
    #[must_use]
    pub fn ip(mut self, ip: IpAddr) -> Self {
        self.ip = ip;
        self
    }

    /// The address that routes and message ids name, where it isn't the one listened on:
    /// containers, forwarded ports. Java: `brokerIP1`.
    #[must_use]
    pub fn advertised_ip(mut self, ip: IpAddr) -> Self {
        self.advertised_ip = Some(ip);
        self
    }

    /// The name server's port; 0, the default, is any free one. Apache's is 9876.
    #[must_use]
    pub fn name_server_port(mut self, port: u16) -> Self {
        self.name_server_port = port;
        self
    }

    /// The first broker's port; 0, the default, is any free one. Apache's is 10911. The others follow
    /// in steps of 10.
    #[must_use]
    pub fn broker_port(mut self, port: u16) -> Self {
        self.broker_port = port;
        self
    }

    /// The number of brokers, named `broker-a`, `broker-b` and so on: 1. At least one, at most 26.
    #[must_use]
    pub fn broker_count(mut self, count: usize) -> Self {
        self.broker_count = count.clamp(1, 26);
        self
    }

    /// The cluster's name: `DefaultCluster`.
    #[must_use]
    pub fn cluster_name(mut self, name: impl Into<Arc<str>>) -> Self {
        self.broker.cluster_name = name.into();
        self
    }

    /// The table of delay levels, so that retries don't take as long as in production.
    #[must_use]
    pub fn delay_levels(mut self, levels: DelayLevels) -> Self {
        self.broker.delay_levels = levels;
        self
    }

    /// The most queues that an auto-created topic gets: 8. Clients ask for 4.
    #[must_use]
    pub fn default_topic_queues(mut self, queues: i32) -> Self {
        self.broker.default_topic_queues = queues;
        self
    }

    /// Whether a send to an unknown topic creates it: yes.
    #[must_use]
    pub fn auto_create_topic(mut self, create: bool) -> Self {
        self.broker.auto_create_topic = create;
        self
    }

    /// Every other setting of the brokers. Names and addresses are filled in.
    #[must_use]
    pub fn broker_config(mut self, change: impl FnOnce(&mut BrokerConfig)) -> Self {
        change(&mut self.broker);
        self
    }

    /// The seed of the brokers' random choices: 0.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Opens the ports and starts.
    ///
    /// # Errors
    /// When a socket can't be opened, for example because a port is taken.
    pub fn start(self) -> io::Result<DevBroker> {
        let poll = mio::Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKER)?;
        let mut listener = TcpListener::bind(SocketAddr::new(self.ip, self.name_server_port))?;
        let name_server_addr = listener.local_addr()?;
        let registry = poll.registry().try_clone()?;
        registry.register(&mut listener, NAME_SERVER, mio::Interest::READABLE)?;
        let clock = Clock::new();
        let mut world = World {
            name_server: NameServer::new(self.name_server.clone(), clock.now()),
            name_server_addr,
            name_server_listener: listener,
            brokers: Vec::new(),
            connections: std::collections::BTreeMap::new(),
            touched: Vec::new(),
            cut_offs: VecDeque::new(),
            next_connection: 0,
            clock,
            registry,
        };
        for index in 0..self.broker_count {
            let (config, listener) = self.broker(index)?;
            world.add_broker(config, listener, self.seed.wrapping_add(index as u64))?;
        }
        DevBroker::run(world, poll, waker)
    }

    fn broker(&self, index: usize) -> io::Result<(BrokerConfig, TcpListener)> {
        let step = u16::try_from(index * 10).unwrap_or(0);
        let port = if self.broker_port == 0 { 0 } else { self.broker_port.saturating_add(step) };
        let listener = TcpListener::bind(SocketAddr::new(self.ip, port))?;
        let bound = listener.local_addr()?;
        let letter = char::from(b'a' + u8::try_from(index).unwrap_or(0));
        let config = BrokerConfig {
            broker_name: format!("broker-{letter}").into(),
            addr: SocketAddr::new(self.advertised_ip.unwrap_or(bound.ip()), bound.port()),
            ..self.broker.clone()
        };
        Ok((config, listener))
    }
}
