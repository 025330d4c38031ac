//! What the simulator lends a client: sockets of the simulated network and clocks of the simulated
//! time. Sleeps are exact.

use std::collections::BTreeMap;
use std::io::{self, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use rocketmq_client_core::config::HostFacts;
use rocketmq_client_core::driver::{Answer, BoxFuture, BoxTask, Host, Resolver, Spawn};
use rocketmq_client_core::id::ChannelId;
use rocketmq_client_core::rng::Rng;
use rocketmq_client_core::time::{Instant, Timestamp};

use crate::ctx::sleep;
use crate::executor::{NodeId, Spawner};
use crate::network::{ConnId, Network};
use crate::schedule::EventKey;
use crate::world::{Event, SharedWorld};

/// The ends of names that the simulator's resolver knows; `ns0.sim` is `10.0.0.1`.
const DOMAIN: &str = ".sim";

pub(crate) struct SimHost {
    world: SharedWorld,
    /// The machine it runs on.
    node: NodeId,
    process: NodeId,
    spawner: Spawner,
    conns: BTreeMap<ChannelId, ConnId>,
    timer: Option<EventKey>,
}

impl SimHost {
    pub(crate) fn new(world: SharedWorld, node: NodeId, process: NodeId, spawner: Spawner) -> Self {
        Self { world, node, process, spawner, conns: BTreeMap::new(), timer: None }
    }

    fn conn(&self, channel: ChannelId) -> io::Result<ConnId> {
        self.conns.get(&channel).copied().ok_or_else(|| ErrorKind::NotConnected.into())
    }
}

impl Host for SimHost {
    fn now(&self) -> Instant {
        self.world.lock().now
    }

    fn wall(&self) -> Timestamp {
        self.world.lock().wall(self.node)
    }

    fn entropy(&mut self) -> u64 {
        self.world.lock().application_rng().next_u64()
    }

    fn facts(&self) -> HostFacts {
        HostFacts { ip: Network::client_ip(self.node), pid: self.process.0 }
    }

    fn spawn(&self) -> Arc<dyn Spawn> {
        Arc::new(Lent { world: self.world.clone(), node: self.node, spawner: self.spawner.clone() })
    }

    fn connect(&mut self, channel: ChannelId, address: SocketAddr) {
        let mut world = self.world.lock();
        let (network, mut time) = world.network();
        let conn = network.connect(&mut time, self.node, address);
        network.set_channel(conn, channel);
        self.conns.insert(channel, conn);
    }

    fn poll_connected(&mut self, channel: ChannelId, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let conn = self.conn(channel)?;
        self.world.lock().network.poll_connected(conn, cx)
    }

    fn poll_read(
        &mut self,
        channel: ChannelId,
        cx: &mut Context<'_>,
        buffer: &mut BytesMut,
    ) -> Poll<io::Result<usize>> {
        let conn = self.conn(channel)?;
        self.world.lock().network.poll_read(conn, cx, buffer)
    }

    fn poll_write_vectored(
        &mut self,
        channel: ChannelId,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let conn = self.conn(channel)?;
        let mut world = self.world.lock();
        let (network, mut time) = world.network();
        network.poll_write(&mut time, conn, cx, slices)
    }

    fn close(&mut self, channel: ChannelId) {
        if let Some(conn) = self.conns.remove(&channel) {
            let mut world = self.world.lock();
            let (network, mut time) = world.network();
            network.close_client(&mut time, conn);
        }
    }

    fn poll_wait(&mut self, deadline: Instant, cx: &mut Context<'_>) -> Poll<()> {
        let mut world = self.world.lock();
        if let Some(timer) = self.timer.take() {
            world.schedule.cancel(timer);
        }
        if deadline <= world.now {
            return Poll::Ready(());
        }
        if deadline < Instant::FAR_FUTURE {
            self.timer = Some(world.schedule.insert(deadline, Event::Wake(cx.waker().clone())));
        }
        Poll::Pending
    }
}

/// What the host lends to handles and handlers.
struct Lent {
    world: SharedWorld,
    node: NodeId,
    spawner: Spawner,
}

impl Spawn for Lent {
    fn now(&self) -> Instant {
        self.world.lock().now
    }

    fn wall(&self) -> Timestamp {
        self.world.lock().wall(self.node)
    }

    fn spawn(&self, future: BoxFuture) {
        self.spawner.run(future);
    }

    /// Nothing blocks in a simulation: the call is one turn of a task.
    fn spawn_blocking(&self, task: BoxTask) {
        self.spawner.run(async move { task() });
    }

    fn may_wait(&self) -> bool {
        false
    }
}

/// Looks up the world's names: at once or after a while.
pub(crate) struct SimResolver {
    world: SharedWorld,
    spawner: Spawner,
    rng: Rng,
}

impl SimResolver {
    pub(crate) fn new(world: SharedWorld, spawner: Spawner) -> Self {
        let rng = world.lock().application_rng();
        Self { world, spawner, rng }
    }
}

impl Resolver for SimResolver {
    fn resolve(&mut self, host: Arc<str>, port: u16, answer: Answer) {
        let result = match address_of(&host, port) {
            Some(address) => Ok([address].into_iter().collect()),
            None => Err(Arc::from("no such host in this world")),
        };
        if self.rng.chance(1, 2) {
            return answer.tell(result);
        }
        let pause = Duration::from_micros(self.rng.below(20_000));
        let world = self.world.clone();
        self.spawner.run(async move {
            sleep(&world, pause).await;
            answer.tell(result);
        });
    }
}

/// The name of a name server.
pub(crate) fn name_server_name(index: usize) -> String {
    format!("ns{index}{DOMAIN}")
}

/// The address in `host:port`.
pub(crate) fn address_in(server: &str) -> Option<SocketAddr> {
    let (host, port) = server.rsplit_once(':')?;
    server.parse().ok().or_else(|| address_of(host, port.parse().ok()?))
}

/// The address behind a name server's name.
pub(crate) fn address_of(host: &str, port: u16) -> Option<SocketAddr> {
    let index: u8 = host.strip_suffix(DOMAIN)?.strip_prefix("ns")?.parse().ok()?;
    Some(SocketAddr::from(([10, 0, 0, index.checked_add(1)?], port)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_name_servers_of_the_world_have_names() {
        assert_eq!(address_of(&name_server_name(1), 9_876), Some(SocketAddr::from(([10, 0, 0, 2], 9_876))));
        for unknown in ["ns.sim", "ns1.example", "localhost", "ns255.sim"] {
            assert_eq!(address_of(unknown, 1), None, "{unknown}");
        }
        assert_eq!(address_in("ns0.sim:9876"), Some(SocketAddr::from(([10, 0, 0, 1], 9_876))));
        assert_eq!(address_in("10.0.1.1:10911"), Some(SocketAddr::from(([10, 0, 1, 1], 10_911))));
        for none in ["ns0.sim", "ns0.sim:port", "elsewhere:1", ""] {
            assert_eq!(address_in(none), None, "{none}");
        }
    }
}
