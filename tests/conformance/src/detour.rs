//! A way to a cluster that can be cut, for one client and not for the others.

use rocketmq_sim::{Servers, Trouble};

use crate::gateway::Gateway;
use crate::{Verdict, simulated};

/// A name server and brokers like others, but nobody goes there who was not told this name server.
#[derive(Debug)]
pub struct Detour(Kind);

#[derive(Debug)]
enum Kind {
    Gateway(Gateway),
    Simulated(rocketmq_sim::Detour),
}

impl Detour {
    /// A detour to the cluster of this name server, or to that of the world around.
    ///
    /// # Errors
    /// The address is none, or no port is free.
    pub fn open(name_server: &str) -> Verdict<Self> {
        Ok(Self(match simulated::world() {
            Some(world) => Kind::Simulated(world.detour()),
            None => Kind::Gateway(Gateway::open(name_server)?),
        }))
    }

    /// As [`open`](Self::open); every route names one broker more, with as many queues as the first, which
    /// drops every connection at once.
    ///
    /// # Errors
    /// As [`open`](Self::open).
    pub fn with_ghost_broker(name_server: &str) -> Verdict<Self> {
        Ok(Self(match simulated::world() {
            Some(world) => {
                let detour = world.detour();
                detour.add_ghost_broker();
                Kind::Simulated(detour)
            }
            None => Kind::Gateway(Gateway::with_ghost_broker(name_server)?),
        }))
    }

    /// The address to give to a client.
    #[must_use]
    pub fn name_server(&self) -> String {
        match &self.0 {
            Kind::Gateway(gateway) => gateway.name_server(),
            Kind::Simulated(detour) => detour.name_servers(),
        }
    }

    /// How often the ghost broker was tried.
    #[must_use]
    pub fn ghost_knocks(&self) -> usize {
        match &self.0 {
            Kind::Gateway(gateway) => gateway.ghost_knocks(),
            Kind::Simulated(detour) => detour.ghost_knocks(),
        }
    }

    /// Brokers go to new addresses, as the name server tells whoever asks from now on; at the old ones
    /// nobody is left.
    pub fn move_brokers(&self) {
        match &self.0 {
            Kind::Gateway(gateway) => gateway.move_brokers(),
            Kind::Simulated(detour) => detour.move_brokers(),
        }
    }

    /// How many connections are up, to the name server and to brokers.
    #[must_use]
    pub fn links(&self) -> usize {
        match &self.0 {
            Kind::Gateway(gateway) => gateway.links(),
            Kind::Simulated(detour) => detour.connection_count(),
        }
    }

    /// Cuts every connection to a broker; the client may connect again at once. How many there were.
    #[must_use]
    pub fn cut_brokers(&self) -> usize {
        match &self.0 {
            Kind::Gateway(gateway) => gateway.cut_brokers(),
            Kind::Simulated(detour) => detour.cut(Servers::Brokers),
        }
    }

    /// Refuses connections to brokers from now on, and cuts those there are.
    pub fn remove_brokers(&self) {
        match &self.0 {
            Kind::Gateway(gateway) => gateway.remove_brokers(),
            Kind::Simulated(detour) => detour.disturb(Servers::Brokers, Trouble::Refuse),
        }
    }

    /// Cuts connections to brokers and drops new ones at once. How many there were.
    pub fn shut_brokers(&self) -> usize {
        match &self.0 {
            Kind::Gateway(gateway) => gateway.shut_brokers(),
            Kind::Simulated(detour) => {
                let cut = detour.cut(Servers::Brokers);
                detour.disturb(Servers::Brokers, Trouble::Drop);
                cut
            }
        }
    }

    /// Lets connections to brokers through again.
    pub fn unshut_brokers(&self) {
        match &self.0 {
            Kind::Gateway(gateway) => gateway.unshut_brokers(),
            Kind::Simulated(detour) => detour.heal(Servers::Brokers),
        }
    }

    /// Holds back everything to and from brokers, as a network does that drops packets.
    pub fn freeze_brokers(&self) {
        match &self.0 {
            Kind::Gateway(gateway) => gateway.freeze_brokers(),
            Kind::Simulated(detour) => detour.disturb(Servers::Brokers, Trouble::Hold),
        }
    }

    /// Lets everything go that was held back.
    pub fn thaw_brokers(&self) {
        match &self.0 {
            Kind::Gateway(gateway) => gateway.thaw_brokers(),
            Kind::Simulated(detour) => detour.heal(Servers::Brokers),
        }
    }

    /// Refuses connections to the name server from now on, and cuts those there are.
    pub fn remove_name_server(&self) {
        match &self.0 {
            Kind::Gateway(gateway) => gateway.remove_name_server(),
            Kind::Simulated(detour) => detour.disturb(Servers::NameServers, Trouble::Refuse),
        }
    }

    /// As if the client's process had been killed: its connections end, and nothing of it reaches anybody any
    /// more.
    pub fn kill(&self) {
        match &self.0 {
            Kind::Gateway(gateway) => gateway.kill(),
            Kind::Simulated(detour) => detour.disturb(Servers::All, Trouble::Refuse),
        }
    }
}
