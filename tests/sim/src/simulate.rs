//! A world for users' own programs.

use std::fmt;
use std::net::SocketAddr;
use std::time::Duration;

use rocketmq_client_core::time::Instant;
use rocketmq_dev_broker::{BrokerConfig, NameServerConfig};

use crate::ctx::Ctx;
use crate::simulation::{End, Simulation};
use crate::world::World;

/// A program that has not ended by then never will: servers and clients have things to do for ever,
/// so that a program that waits in vain can't be told by the silence around it.
const TIME_MAX: Duration = Duration::from_secs(7 * 24 * 3_600);

/// Runs a program in a world of one name server and one broker, and gives what it ends with. The
/// same seed is the same run. It may take a week of virtual time.
///
/// # Panics
/// When the program has not ended then, or the client breaks a property.
pub fn simulate<T, F: Future<Output = T>>(seed: u64, program: impl FnOnce(Ctx) -> F) -> T {
    WorldBuilder::new(seed).run(program)
}

/// As [`simulate`], with so many brokers.
///
/// # Panics
/// As [`simulate`].
pub fn simulate_with<T, F>(seed: u64, brokers: usize, program: impl FnOnce(Ctx) -> F) -> T
where
    F: Future<Output = T>,
{
    WorldBuilder::new(seed).brokers(brokers).run(program)
}

/// A world to be.
#[must_use = "a world is nothing before a program runs in it"]
pub struct WorldBuilder {
    seed: u64,
    name_servers: usize,
    brokers: Vec<BrokerConfig>,
}

impl fmt::Debug for WorldBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorldBuilder").field("seed", &self.seed).finish_non_exhaustive()
    }
}

impl WorldBuilder {
    /// One name server and one broker. The seed decides all that is left to chance.
    pub fn new(seed: u64) -> Self {
        Self { seed, name_servers: 1, brokers: vec![broker_config(0)] }
    }

    /// So many name servers, at most 99. Default 1.
    pub fn name_servers(mut self, count: usize) -> Self {
        self.name_servers = count;
        self
    }

    /// So many brokers with default settings, at most 26. Default 1.
    pub fn brokers(mut self, count: usize) -> Self {
        self.brokers = (0..count).map(broker_config).collect();
        self
    }

    /// Changes the settings of every broker; their names and addresses are to stay different.
    pub fn configure_brokers(mut self, change: impl FnMut(&mut BrokerConfig)) -> Self {
        self.brokers.iter_mut().for_each(change);
        self
    }

    /// Runs a program in it, on this thread, and gives what it ends with. It may take a week of virtual
    /// time.
    ///
    /// # Panics
    /// When the program has not ended then, or the client breaks a property.
    pub fn run<T, F: Future<Output = T>>(self, program: impl FnOnce(Ctx) -> F) -> T {
        let seed = self.seed;
        let mut world = World::new(seed, false);
        let name_servers = add_name_servers(&mut world, self.name_servers);
        for config in self.brokers {
            world.add_broker(config, &[]);
        }
        let mut simulation = Simulation::new(world);
        let ctx = Ctx::new(simulation.world.clone(), simulation.spawner(), name_servers);
        match simulation.run(Instant::ZERO + TIME_MAX, program(ctx)) {
            End::Finished(value) => value,
            End::Violated(violation) => panic!("seed {seed}: {}: {}", violation.property, violation.text),
            End::Stuck | End::OutOfTime => panic!("seed {seed}: the program has not ended in {TIME_MAX:?}"),
        }
    }
}

/// Name servers; what a client is told to find them.
pub(crate) fn add_name_servers(world: &mut World, count: usize) -> String {
    let names: Vec<String> = (0..count)
        .map(|index| {
            let name = crate::host::name_server_name(index);
            let address = crate::host::address_of(&name, 9_876).expect("a name of ours");
            world.add_name_server(NameServerConfig::default(), address);
            format!("{name}:9876")
        })
        .collect();
    names.join(";")
}

/// A broker's name and address.
pub(crate) fn broker_config(index: usize) -> BrokerConfig {
    let letter = char::from(b'a' + u8::try_from(index % 26).expect("a letter"));
    let host = u8::try_from(index + 1).expect("few brokers");
    BrokerConfig {
        broker_name: format!("broker-{letter}").into(),
        addr: SocketAddr::from(([10, 0, 1, host], 10_911)),
        ..BrokerConfig::default()
    }
}
