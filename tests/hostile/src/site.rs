//! The servers of a case.

use std::net::SocketAddr;

use rocketmq_client_core::time::Instant;
use rocketmq_sim::Peer;

use crate::case::{Case, Phase, Role, Site};
use crate::ledger::SharedLedger;
use crate::program::Pace;
use crate::second_door::SecondDoor;
use crate::server::{Hours, Server, SharedServer};

/// When the hostile server is hostile.
#[must_use]
pub(crate) fn hours(case: &Case, pace: Pace, now: Instant) -> Hours {
    match case.phase {
        Phase::Start => Hours { begins: now, ends: now + pace.hostile },
        Phase::Live | Phase::Stop => {
            let begins = now + pace.calm;
            Hours { begins, ends: begins + pace.hostile }
        }
    }
}

/// Every server with its address.
pub(crate) struct Cast {
    /// What to serve where.
    pub peers: Vec<(SocketAddr, Box<dyn Peer>)>,
    /// The servers behind.
    pub servers: Vec<SharedServer>,
}

impl std::fmt::Debug for Cast {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cast").field("servers", &self.servers).finish_non_exhaustive()
    }
}

impl Cast {
    /// The servers of a case.
    #[must_use]
    pub(crate) fn new(case: &Case, site: &Site, hours: Hours, ledger: &SharedLedger, now: Instant) -> Self {
        let brokers = vec![('a', site.good), ('b', site.odd)];
        let moves = case.moves.then_some((hours.ends, site.spare));
        let mut script = Some((case.script)(site));
        let mut cast = Self { peers: Vec::new(), servers: Vec::new() };
        for (index, address) in site.name_servers.iter().enumerate() {
            let mut server = Server::name_server(brokers.clone(), moves, ledger.clone());
            if case.role == Role::NameServer && index == 0 {
                server = server.hostile(script.take().unwrap_or_default(), hours);
            }
            cast.add(*address, server);
        }
        cast.add(site.good, Server::broker('a', site.good, ledger.clone(), now));
        let mut odd = Server::broker('b', site.odd, ledger.clone(), now);
        if case.role == Role::Broker {
            odd = odd.hostile(script.take().unwrap_or_default(), hours);
        }
        let odd = cast.add(site.odd, odd);
        if case.moves {
            // The same machine with the same log.
            cast.peers.push((site.spare, Box::new(SecondDoor::new(odd, hours.ends))));
        }
        cast
    }

    fn add(&mut self, address: SocketAddr, server: Server) -> SharedServer {
        let server = SharedServer::new(server);
        self.peers.push((address, Box::new(server.clone())));
        self.servers.push(server.clone());
        server
    }

    /// Looks at what is committed in the end.
    pub(crate) fn check_commits(&self, ledger: &SharedLedger) {
        for (queue, offset) in self.servers.iter().flat_map(SharedServer::committed) {
            ledger.lock().commit(queue, offset);
        }
    }
}
