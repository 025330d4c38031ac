//! A world for users' own programs.

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
pub fn simulate<T, F>(seed: u64, program: impl FnOnce(Ctx) -> F) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    simulate_with(seed, 1, program)
}

/// As [`simulate`], with so many brokers.
///
/// # Panics
/// As [`simulate`].
pub fn simulate_with<T, F>(seed: u64, brokers: usize, program: impl FnOnce(Ctx) -> F) -> T
where
    T: Send + 'static,
    F: Future<Output = T> + Send + 'static,
{
    let mut world = World::new(seed, false);
    let name_servers = add_name_servers(&mut world, 1);
    for index in 0..brokers {
        world.add_broker(broker_config(index), &[]);
    }
    let mut simulation = Simulation::new(world);
    let ctx = Ctx::new(simulation.world.clone(), simulation.spawner(), name_servers);
    match simulation.run(Instant::ZERO + TIME_MAX, program(ctx)) {
        End::Finished(value) => value,
        End::Violated(violation) => panic!("seed {seed}: {}: {}", violation.property, violation.text),
        End::Stuck | End::OutOfTime => panic!("seed {seed}: the program has not ended in {TIME_MAX:?}"),
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
