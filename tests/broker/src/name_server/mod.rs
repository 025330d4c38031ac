//! The name server as a machine: brokers register, clients ask for routes.
//!
//! Everything but the configuration values lives in memory and is brought back by the brokers' next
//! registrations.

mod kv;
mod register;
mod route;
mod settings;

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::time::Duration;

use rocketmq_client_core::remoting::{RemotingCommand, RequestCode};
use rocketmq_client_core::time::Instant;

use self::kv::KvTable;
use self::route::RouteTable;
use crate::asker::{Asker, Refusal};
use crate::fault::Fault;
use crate::output::{ConnectionId, Frames};
use crate::processor::{Handled, not_supported};
use crate::reply::Replier;

/// Java: `TopicSysFlag`.
const UNIT: i32 = 1;
const UNIT_SUB: i32 = 1 << 1;

/// The settings of a [`NameServer`]. Defaults are those of a name server 5.4.0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NameServerConfig {
    /// `scanNotActiveBrokerInterval`: 5 s.
    pub scan_period: Duration,
    /// A broker that doesn't say otherwise is dropped after 120 s of silence.
    pub broker_expire: Duration,
    /// `orderMessageEnable`: false; whether routes carry the order configuration of the topic.
    pub order_message: bool,
    /// A connection without traffic is closed after 120 s.
    pub idle: Duration,
}

impl Default for NameServerConfig {
    fn default() -> Self {
        Self {
            scan_period: Duration::from_secs(5),
            broker_expire: Duration::from_secs(120),
            order_message: false,
            idle: Duration::from_secs(120),
        }
    }
}

/// What a name server wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NameServerOutput {
    /// Write these frames to a connection.
    Transmit {
        /// The connection.
        connection: ConnectionId,
        /// Whole frames.
        frames: Frames,
    },
    /// Close a connection. [`NameServer::handle_closed`] needn't be called for it.
    Close {
        /// The connection.
        connection: ConnectionId,
    },
    /// Nothing else is to be done until an input or this time comes.
    Wait(Option<Instant>),
}

/// A name server without sockets, threads or clocks.
#[derive(Clone, Debug)]
pub struct NameServer {
    config: NameServerConfig,
    routes: RouteTable,
    kv: KvTable,
    replier: Replier,
    connections: BTreeMap<ConnectionId, Instant>,
    /// Answers that go out before connections are closed.
    answered: VecDeque<(ConnectionId, Frames)>,
    closing: Vec<ConnectionId>,
    next_scan: Instant,
}

impl NameServer {
    /// An empty name server that starts now.
    #[must_use]
    pub fn new(config: NameServerConfig, now: Instant) -> Self {
        Self {
            next_scan: now + config.scan_period,
            routes: RouteTable::default(),
            kv: KvTable::default(),
            replier: Replier::new(),
            connections: BTreeMap::new(),
            answered: VecDeque::new(),
            closing: Vec::new(),
            config,
        }
    }

    /// The name server that a new process makes of this one: routes are gone until brokers register
    /// again, configuration values stay.
    #[must_use]
    pub fn restart(&self, now: Instant) -> Self {
        Self { kv: self.kv.clone(), ..Self::new(self.config.clone(), now) }
    }

    /// A client or broker connected.
    pub fn handle_connected(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        peer: SocketAddr,
        _local: SocketAddr,
    ) {
        tracing::debug!(connection = connection.0, %peer, "connected");
        self.handle_timeout(now);
        self.connections.insert(connection, now);
    }

    /// A connection is gone. A broker that registered over it is dropped at once.
    pub fn handle_closed(&mut self, now: Instant, connection: ConnectionId) {
        self.handle_timeout(now);
        self.drop_connection(connection);
    }

    /// A frame came in.
    pub fn handle_frame(&mut self, now: Instant, connection: ConnectionId, command: RemotingCommand) {
        self.handle_request(now, connection, &command, None);
    }

    /// A frame came in; its host has decided whether it meets a fault.
    pub(crate) fn handle_request(
        &mut self,
        now: Instant,
        connection: ConnectionId,
        command: &RemotingCommand,
        fault: Option<Fault>,
    ) {
        self.handle_timeout(now);
        if let Some(last_seen) = self.connections.get_mut(&connection) {
            *last_seen = now;
        }
        if command.is_response() {
            return;
        }
        let mut asker = Asker::new(connection, command);
        match &fault {
            None => {}
            Some(Fault::Answer { code, remark }) => {
                return self.replier.refuse(now, &asker, &Refusal::new(*code, remark), &[]);
            }
            Some(Fault::DropRequest) => return,
            Some(Fault::CloseBefore) => return self.close_after_answers(connection),
            Some(Fault::DropResponse | Fault::CloseAfter) => asker.silent = true,
            Some(Fault::DelayResponse(delay)) => asker.delay = Some(*delay),
        }
        if let Err(refusal) = self.process(now, &asker, command) {
            self.replier.refuse(now, &asker, &refusal, &[]);
        }
        if fault == Some(Fault::CloseAfter) {
            self.close_after_answers(connection);
        }
    }

    /// Whether there is such a connection.
    #[must_use]
    pub fn is_connected(&self, connection: ConnectionId) -> bool {
        self.connections.contains_key(&connection)
    }

    /// Time passed.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.replier.release(now);
        if now < self.next_scan {
            return;
        }
        self.next_scan = now + self.config.scan_period;
        let mut dead = self.routes.expire(now);
        let idle = self.connections.iter().filter(|(_, last_seen)| now - **last_seen > self.config.idle);
        dead.extend(idle.map(|(connection, _)| *connection));
        for connection in dead {
            if self.connections.contains_key(&connection) {
                self.closing.push(connection);
            }
            self.drop_connection(connection);
        }
    }

    /// The next thing to do. After `Wait` there is nothing until the next input.
    pub fn poll_output(&mut self) -> NameServerOutput {
        if let Some((connection, frames)) = self.answered.pop_front() {
            return NameServerOutput::Transmit { connection, frames };
        }
        if let Some(connection) = self.closing.pop() {
            return NameServerOutput::Close { connection };
        }
        match self.replier.outbox.pop() {
            Some((connection, frames)) => NameServerOutput::Transmit { connection, frames },
            None => {
                let watched = !self.connections.is_empty() || !self.routes.is_empty();
                let scan = watched.then_some(self.next_scan);
                NameServerOutput::Wait(scan.into_iter().chain(self.replier.release_due()).min())
            }
        }
    }

    /// Closes a connection; what was answered before still goes out.
    fn close_after_answers(&mut self, connection: ConnectionId) {
        self.answered.extend(std::iter::from_fn(|| self.replier.outbox.pop()));
        self.drop_connection(connection);
        self.closing.push(connection);
    }

    fn drop_connection(&mut self, connection: ConnectionId) {
        self.connections.remove(&connection);
        self.replier.forget(connection);
        self.routes.connection_lost(connection);
    }

    fn process(&mut self, now: Instant, asker: &Asker, command: &RemotingCommand) -> Handled {
        match command.request_code() {
            RequestCode::GET_ROUTEINFO_BY_TOPIC => self.route(now, asker, command),
            RequestCode::REGISTER_BROKER => self.register_broker(now, asker, command),
            RequestCode::UNREGISTER_BROKER => self.unregister_broker(now, asker, command),
            RequestCode::BROKER_HEARTBEAT => self.broker_heartbeat(now, asker, command),
            RequestCode::QUERY_DATA_VERSION => self.query_data_version(now, asker, command),
            RequestCode::GET_BROKER_CLUSTER_INFO => self.cluster_info(now, asker),
            RequestCode::GET_BROKER_MEMBER_GROUP => self.member_group(now, asker, command),
            RequestCode::GET_ALL_TOPIC_LIST_FROM_NAMESERVER => self.all_topics(now, asker),
            RequestCode::GET_TOPICS_BY_CLUSTER => self.topics_by_cluster(now, asker, command),
            RequestCode::GET_SYSTEM_TOPIC_LIST_FROM_NS => self.system_topics(now, asker),
            RequestCode::GET_UNIT_TOPIC_LIST => self.unit_topics(now, asker, |flag| flag & UNIT != 0),
            RequestCode::GET_HAS_UNIT_SUB_TOPIC_LIST => {
                self.unit_topics(now, asker, |flag| flag & UNIT_SUB != 0)
            }
            RequestCode::GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST => {
                self.unit_topics(now, asker, |flag| flag & (UNIT | UNIT_SUB) == UNIT_SUB)
            }
            RequestCode::GET_NAMESRV_CONFIG => self.settings(now, asker),
            RequestCode::UPDATE_NAMESRV_CONFIG => self.change_settings(now, asker, command),
            RequestCode::DELETE_TOPIC_IN_NAMESRV => self.delete_topic(now, asker, command),
            RequestCode::REGISTER_TOPIC_IN_NAMESRV => self.register_topic(now, asker, command),
            RequestCode::WIPE_WRITE_PERM_OF_BROKER => self.wipe_write_perm(now, asker, command),
            RequestCode::ADD_WRITE_PERM_OF_BROKER => self.add_write_perm(now, asker, command),
            RequestCode::PUT_KV_CONFIG => self.put_kv(now, asker, command),
            RequestCode::GET_KV_CONFIG => self.get_kv(now, asker, command),
            RequestCode::DELETE_KV_CONFIG => self.delete_kv(now, asker, command),
            RequestCode::GET_KVLIST_BY_NAMESPACE => self.list_kv(now, asker, command),
            code => Err(not_supported(code)),
        }
    }
}
