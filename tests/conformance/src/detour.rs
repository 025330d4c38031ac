//! A way to a cluster that can be cut, for one client and not for the others.

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
pub struct Detour {
    name_server: Gate,
    brokers: Brokers,
}

#[derive(Clone, Default)]
struct Brokers(Arc<Mutex<BTreeMap<SocketAddr, Gate>>>);

impl fmt::Debug for Detour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Detour").field("name_server", &self.name_server()).finish_non_exhaustive()
    }
}

impl Detour {
    /// A detour to the cluster of this name server.
    ///
    /// # Errors
    /// The address is none, or no port is free.
    pub fn open(name_server: &str) -> Verdict<Self> {
        let brokers = Brokers::default();
        let theirs = brokers.clone();
        let answers = Arc::new(move |from, to| theirs.carry_answers(from, to));
        Ok(Self { name_server: Gate::open(name_server.parse()?, answers)?, brokers })
    }

    /// The address to give to a client.
    #[must_use]
    pub fn name_server(&self) -> String {
        self.name_server.address().to_string()
    }

    /// Cuts every connection to a broker; the client may connect again at once. How many there were.
    #[must_use]
    pub fn cut_brokers(&self) -> usize {
        self.brokers.lock().values().map(Gate::cut).sum()
    }

    /// Refuses connections to brokers from now on, and cuts those there are.
    pub fn remove_brokers(&self) {
        self.brokers.lock().values().for_each(Gate::remove);
    }

    /// Cuts connections to brokers and drops new ones at once. How many there were.
    pub fn shut_brokers(&self) -> usize {
        self.brokers.lock().values().map(Gate::shut).sum()
    }

    /// Lets connections to brokers through again.
    pub fn unshut_brokers(&self) {
        self.brokers.lock().values().for_each(Gate::unshut);
    }

    /// Holds back everything to and from brokers, as a network does that drops packets.
    pub fn freeze_brokers(&self) {
        self.brokers.lock().values().for_each(Gate::freeze);
    }

    /// Lets everything go that was held back.
    pub fn thaw_brokers(&self) {
        self.brokers.lock().values().for_each(Gate::thaw);
    }

    /// Refuses connections to the name server from now on, and cuts those there are.
    pub fn remove_name_server(&self) {
        self.name_server.remove();
    }

    /// As if the client's machine had lost its power: nothing of it reaches anybody any more.
    pub fn kill(&self) {
        self.remove_name_server();
        self.remove_brokers();
    }
}

impl Brokers {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<SocketAddr, Gate>> {
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
        if !route.broker_datas.is_empty() {
            command.body = route.encode_standard();
        }
        Ok(())
    }

    fn gate(&self, broker: &str) -> io::Result<SocketAddr> {
        let broker = broker.parse().map_err(io::Error::other)?;
        let mut gates = self.lock();
        if let Some(gate) = gates.get(&broker) {
            return Ok(gate.address());
        }
        let gate = Gate::open(broker, Arc::new(copy))?;
        let address = gate.address();
        gates.insert(broker, gate);
        Ok(address)
    }
}
