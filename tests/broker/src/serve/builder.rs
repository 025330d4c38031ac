//! Settings of a [`DevBroker`].

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use mio::net::TcpListener;
use rocketmq_client_core::route::MASTER_ID;

use super::DevBroker;
use super::poll::WAKER;
use super::world::World;
use crate::config::{BrokerConfig, DelayLevels};
use crate::name_server::NameServerConfig;

/// Brokers' names end with a letter.
const SERVERS_MAX: usize = 26;
const SLAVES_MAX: usize = 4;

/// Settings of a [`DevBroker`]. Ports are free ones unless set.
#[derive(Clone, Debug)]
pub struct DevBrokerBuilder {
    ip: IpAddr,
    advertised_ip: Option<IpAddr>,
    name_server_port: u16,
    name_server_count: usize,
    topics: Vec<(String, i32)>,
    broker_port: u16,
    broker_count: usize,
    slave_count: usize,
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
            name_server_count: 1,
            topics: Vec::new(),
            broker_port: 0,
            broker_count: 1,
            slave_count: 0,
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

    /// The number of name servers: 1. At least one, at most 26. Where the port is set, the others' follow it.
    /// Every broker registers with all of them.
    #[must_use]
    pub fn name_server_count(mut self, count: usize) -> Self {
        self.name_server_count = count.clamp(1, SERVERS_MAX);
        self
    }

    /// A topic that every broker has from the start, with so many queues on each.
    #[must_use]
    pub fn topic(mut self, name: impl Into<String>, queues: i32) -> Self {
        self.topics.push((name.into(), queues));
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
        self.broker_count = count.clamp(1, SERVERS_MAX);
        self
    }

    /// The number of slaves that each broker has: 0. At most 4. They answer pulls only with
    /// [`BrokerConfig::slave_read`]. See [`DevBroker::slave_of`].
    #[must_use]
    pub fn slave_count(mut self, count: usize) -> Self {
        self.slave_count = count.min(SLAVES_MAX);
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
    /// When a socket can't be opened, for example because a port is taken, or a topic can't be created.
    pub fn start(self) -> io::Result<DevBroker> {
        let poll = mio::Poll::new()?;
        let waker = mio::Waker::new(poll.registry(), WAKER)?;
        let mut world = World::new(poll.registry().try_clone()?);
        for index in 0..self.name_server_count {
            let port = port_of(self.name_server_port, index);
            let listener = TcpListener::bind(SocketAddr::new(self.ip, port))?;
            world.add_name_server(self.name_server.clone(), listener)?;
        }
        let reached =
            |addr: SocketAddr| SocketAddr::new(self.advertised_ip.unwrap_or(addr.ip()), addr.port());
        let name_servers = world.name_servers.iter().map(|node| reached(node.addr).to_string());
        let name_servers = name_servers.collect::<Vec<_>>().join(";");
        for index in 0..self.broker_count {
            let (config, listener) = self.broker(&name_servers, index, index, MASTER_ID)?;
            world.add_broker(config, listener, self.seed.wrapping_add(index as u64), None)?;
        }
        for slave in 0..self.broker_count * self.slave_count {
            let (master, index) = (slave / self.slave_count, self.broker_count + slave);
            let id = i64::try_from(slave % self.slave_count).unwrap_or(0) + MASTER_ID + 1;
            let (config, listener) = self.broker(&name_servers, index, master, id)?;
            world.add_broker(config, listener, self.seed.wrapping_add(index as u64), Some(master))?;
        }
        for (topic, queues) in &self.topics {
            world.create_topic(topic, *queues)?;
        }
        DevBroker::run(world, poll, waker)
    }

    /// The settings and the port of a broker, which as a slave bears its master's name.
    fn broker(
        &self,
        name_servers: &str,
        index: usize,
        master: usize,
        id: i64,
    ) -> io::Result<(BrokerConfig, TcpListener)> {
        let listener = TcpListener::bind(SocketAddr::new(self.ip, port_of(self.broker_port, index * 10)))?;
        let bound = listener.local_addr()?;
        let letter = char::from(b'a' + u8::try_from(master).unwrap_or(0));
        let config = BrokerConfig {
            broker_id: id,
            broker_name: format!("broker-{letter}").into(),
            name_servers: name_servers.into(),
            addr: SocketAddr::new(self.advertised_ip.unwrap_or(bound.ip()), bound.port()),
            ..self.broker.clone()
        };
        Ok((config, listener))
    }
}

/// A port so many after the first; any free one where that isn't set.
fn port_of(first: u16, step: usize) -> u16 {
    match first {
        0 => 0,
        first => first.saturating_add(u16::try_from(step).unwrap_or(u16::MAX)),
    }
}
