//! Servers come, stop, crash, and come back.

use std::io;
use std::net::SocketAddr;

use mio::Interest;
use mio::net::TcpListener;

use super::connection::Owner;
use super::poll::{broker_token, name_server_token};
use super::world::{NameNode, Node, World};
use crate::broker::{Broker, Durability};
use crate::config::BrokerConfig;
use crate::name_server::{NameServer, NameServerConfig};
use crate::output::ConnectionId;

impl World {
    /// Adds a name server. All come before the first broker.
    pub(super) fn add_name_server(
        &mut self,
        config: NameServerConfig,
        mut listener: TcpListener,
    ) -> io::Result<()> {
        let addr = listener.local_addr()?;
        let token = name_server_token(self.name_servers.len());
        self.registry.register(&mut listener, token, Interest::READABLE)?;
        let machine = NameServer::new(config, self.clock.now());
        self.name_servers.push(NameNode { machine, addr, listener: Some(listener) });
        Ok(())
    }

    pub(super) fn stop_name_server(&mut self, index: usize) {
        let Some(mut listener) = self.name_servers[index].listener.take() else { return };
        if let Err(error) = self.registry.deregister(&mut listener) {
            tracing::debug!(%error, "a listener was not known to the poll");
        }
        self.close_where(|connection| connection.owner == Owner::NameServer(index));
    }

    /// Brokers connect at once, but register when their next period begins.
    pub(super) fn start_name_server(&mut self, index: usize) -> io::Result<()> {
        if self.name_servers[index].listener.is_some() {
            return Ok(());
        }
        let mut listener = TcpListener::bind(self.name_servers[index].addr)?;
        self.registry.register(&mut listener, name_server_token(index), Interest::READABLE)?;
        let node = &mut self.name_servers[index];
        node.machine = node.machine.restart(self.clock.now());
        node.listener = Some(listener);
        for broker in 0..self.brokers.len() {
            if self.brokers[broker].listener.is_some() {
                self.join(broker, index);
            }
        }
        Ok(())
    }

    pub(super) fn add_broker(
        &mut self,
        config: BrokerConfig,
        listener: TcpListener,
        seed: u64,
        master: Option<usize>,
    ) -> io::Result<()> {
        let now = self.clock.now();
        let (addr, bound) = (config.addr, listener.local_addr()?);
        let machine = Broker::new(config, seed, now, self.clock.wall(now));
        let registered_over = self.name_servers.iter().map(|_| ConnectionId(0)).collect();
        let listener = Some(listener);
        self.brokers.push(Node { machine, addr, bound, listener, registered_over, master, behind: 0 });
        self.launch(self.brokers.len() - 1)
    }

    /// Opens the broker's port to the poll and registers it, so that its routes are there at once.
    fn launch(&mut self, broker: usize) -> io::Result<()> {
        let now = self.clock.now();
        if let Some(listener) = &mut self.brokers[broker].listener {
            self.registry.register(listener, broker_token(broker), Interest::READABLE)?;
        }
        for index in self.running_name_servers() {
            self.join(broker, index);
        }
        self.brokers[broker].machine.handle_timeout(now);
        self.pump(now);
        Ok(())
    }

    /// Connects a broker to a name server.
    fn join(&mut self, broker: usize, index: usize) {
        let id = self.next_id();
        let now = self.clock.now();
        let (peer, local): (SocketAddr, _) = (self.brokers[broker].addr, self.name_servers[index].addr);
        self.brokers[broker].registered_over[index] = id;
        self.name_servers[index].machine.handle_connected(now, id, peer, local);
    }

    pub(super) fn stop_broker(&mut self, broker: usize, crash: Option<Durability>) {
        let now = self.clock.now();
        let Some(mut listener) = self.brokers[broker].listener.take() else { return };
        if let Err(error) = self.registry.deregister(&mut listener) {
            tracing::debug!(%error, "a listener was not known to the poll");
        }
        for index in self.running_name_servers() {
            let over = self.brokers[broker].registered_over[index];
            self.name_servers[index].machine.handle_closed(now, over);
        }
        if let Some(keep) = crash {
            let wall = self.clock.wall(now);
            let node = &mut self.brokers[broker];
            node.machine = node.machine.crash(keep, now, wall);
        }
        self.close_where(|connection| connection.owner == Owner::Broker(broker));
    }

    pub(super) fn start_broker(&mut self, broker: usize) -> io::Result<()> {
        if self.brokers[broker].listener.is_some() {
            return Ok(());
        }
        let listener = TcpListener::bind(self.brokers[broker].bound)?;
        let now = self.clock.now();
        let wall = self.clock.wall(now);
        let node = &mut self.brokers[broker];
        node.machine = node.machine.restart(now, wall);
        node.listener = Some(listener);
        self.launch(broker)
    }

    /// Creates a topic on every master, also on those that are stopped.
    pub(super) fn create_topic(&mut self, topic: &str, queues: i32) -> io::Result<()> {
        let now = self.clock.now();
        for node in self.brokers.iter_mut().filter(|node| node.master.is_none()) {
            let created = node.machine.create_topic(now, topic, queues);
            created.map_err(|refusal| io::Error::new(io::ErrorKind::InvalidInput, refusal.remark))?;
        }
        self.pump(now);
        Ok(())
    }
}
