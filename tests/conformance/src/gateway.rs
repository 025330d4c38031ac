//! A detour through ports of this process.

use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, Read};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::BytesMut;
use rocketmq_client_core::remoting::{
    Encoder, FRAME_BYTES_MAX, FrameDecoder, RemotingCommand, TopicRouteData,
};

use crate::Verdict;
use crate::gate::{Gate, Outlet, copy};

const READ_BYTES: usize = 64 << 10;

/// Gates before a name server and, since it puts their addresses into the routes that pass, before
/// every broker.
pub(crate) struct Gateway {
    name_server: Gate,
    brokers: Brokers,
}

#[derive(Clone, Default)]
struct Brokers(Arc<Mutex<Gates>>);

#[derive(Default)]
struct Gates {
    open: BTreeMap<SocketAddr, Gate>,
    /// A broker that is in every route and takes nothing.
    ghost: Option<Gate>,
}

/// Comes after the real broker in every list.
const GHOST_BROKER: &str = "zz-ghost";

impl fmt::Debug for Gateway {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Gateway").field("name_server", &self.name_server()).finish_non_exhaustive()
    }
}

impl Gateway {
    /// A detour to the cluster of this name server.
    ///
    /// # Errors
    /// The address is none, or no port is free.
    pub(crate) fn open(name_server: &str) -> Verdict<Self> {
        let brokers = Brokers::default();
        let theirs = brokers.clone();
        let answers = Arc::new(move |from, to| theirs.carry_answers(from, to));
        Ok(Self { name_server: Gate::open(name_server.parse()?, answers)?, brokers })
    }

    /// The address to give to a client.
    pub(crate) fn name_server(&self) -> String {
        self.name_server.address().to_string()
    }

    /// As [`open`](Self::open); every route names one broker more, with as many queues as the first, which
    /// drops every connection at once.
    pub(crate) fn with_ghost_broker(name_server: &str) -> Verdict<Self> {
        let gateway = Self::open(name_server)?;
        let ghost = Gate::open(name_server.parse()?, Arc::new(copy))?;
        ghost.shut();
        gateway.brokers.lock().ghost = Some(ghost);
        Ok(gateway)
    }

    /// How often the ghost broker was tried.
    pub(crate) fn ghost_knocks(&self) -> usize {
        self.brokers.lock().ghost.as_ref().map_or(0, Gate::knocks)
    }

    /// Brokers go to new addresses, as the name server tells whoever asks from now on; at the old ones
    /// nobody is left.
    pub(crate) fn move_brokers(&self) {
        let old = std::mem::take(&mut self.brokers.lock().open);
        drop(old);
    }

    /// How many connections are up, to the name server and to brokers.
    pub(crate) fn links(&self) -> usize {
        self.name_server.links() + self.brokers.lock().open.values().map(Gate::links).sum::<usize>()
    }

    /// Cuts every connection to a broker; the client may connect again at once. How many there were.
    pub(crate) fn cut_brokers(&self) -> usize {
        self.brokers.lock().open.values().map(Gate::cut).sum()
    }

    /// Refuses connections to brokers from now on, and cuts those there are.
    pub(crate) fn remove_brokers(&self) {
        self.brokers.lock().open.values().for_each(Gate::remove);
    }

    /// Cuts connections to brokers and drops new ones at once. How many there were.
    pub(crate) fn shut_brokers(&self) -> usize {
        self.brokers.lock().open.values().map(Gate::shut).sum()
    }

    /// Lets connections to brokers through again.
    pub(crate) fn unshut_brokers(&self) {
        self.brokers.lock().open.values().for_each(Gate::unshut);
    }

    /// Holds back everything to and from brokers, as a network does that drops packets.
    pub(crate) fn freeze_brokers(&self) {
        self.brokers.lock().open.values().for_each(Gate::freeze);
    }

    /// Lets everything go that was held back.
    pub(crate) fn thaw_brokers(&self) {
        self.brokers.lock().open.values().for_each(Gate::thaw);
    }

    /// Refuses connections to the name server from now on, and cuts those there are.
    pub(crate) fn remove_name_server(&self) {
        self.name_server.remove();
    }

    /// As if the client's machine had lost its power: nothing of it reaches anybody any more.
    pub(crate) fn kill(&self) {
        self.remove_name_server();
        self.remove_brokers();
    }
}

impl Brokers {
    fn lock(&self) -> MutexGuard<'_, Gates> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Carries a name server's answers, with the gates' addresses in the routes.
    fn carry_answers(&self, mut from: TcpStream, mut to: Outlet) -> io::Result<()> {
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        let mut buffer = vec![0; READ_BYTES];
        let mut out = BytesMut::new();
        loop {
            while let Some(mut command) = decoder.next_frame().map_err(io::Error::other)? {
                self.redirect(&mut command)?;
                out.clear();
                Encoder::default().encode_command(&mut out, &command);
                to.write_all(&out)?;
            }
            match from.read(&mut buffer)? {
                0 => return Ok(()),
                bytes => decoder.buffer_mut().extend_from_slice(&buffer[..bytes]),
            }
        }
    }

    fn redirect(&self, command: &mut RemotingCommand) -> io::Result<()> {
        let Ok(mut route) = TopicRouteData::decode(&command.body) else { return Ok(()) };
        for broker in &mut route.broker_datas {
            for address in broker.broker_addrs.values_mut() {
                *address = self.gate(address)?.to_string().into();
            }
        }
        if let Some(ghost) = &self.lock().ghost {
            haunt(&mut route, ghost.address());
        }
        if !route.broker_datas.is_empty() {
            command.body = route.encode_standard();
        }
        Ok(())
    }

    fn gate(&self, broker: &str) -> io::Result<SocketAddr> {
        let broker = broker.parse().map_err(io::Error::other)?;
        let mut gates = self.lock();
        if let Some(gate) = gates.open.get(&broker) {
            return Ok(gate.address());
        }
        let gate = Gate::open(broker, Arc::new(copy))?;
        let address = gate.address();
        gates.open.insert(broker, gate);
        Ok(address)
    }
}

/// Adds a broker at `address` that has the queues of the first one.
fn haunt(route: &mut TopicRouteData, address: SocketAddr) {
    let (Some(broker), Some(queues)) = (route.broker_datas.first(), route.queue_datas.first()) else {
        return;
    };
    let (mut broker, mut queues) = (broker.clone(), queues.clone());
    broker.broker_name = GHOST_BROKER.into();
    broker.broker_addrs.values_mut().for_each(|known| *known = address.to_string().into());
    queues.broker_name = GHOST_BROKER.into();
    route.broker_datas.push(broker);
    route.queue_datas.push(queues);
}
