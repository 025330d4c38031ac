//! What the machines of a client have in common: connections, routes, timers, and the way out.

mod ask;
mod consumer_events;
mod doubts;
pub(crate) mod heartbeats;
mod pace;
mod purpose;

use alloc::borrow::Cow;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::channel::Channels;
use crate::config::{ClientConfig, HostFacts};
use crate::id::OperationId;
use crate::lines::LogLines;
use crate::message::id::UniqKeyGenerator;
use crate::message::names;
use crate::namesrv::NameServers;
use crate::output::{Outcome, Output};
use crate::remoting::{
    GetRouteInfoRequestHeader, RequestCode, RequestHeader, RpcRequestHeader, UnregisterClientRequestHeader,
};
use crate::rng::Rng;
use crate::route::{Lookup, LookupStep, RouteOutcome, Routes};
use crate::time::{Instant, Timestamp, WallClock};
use crate::timer::{TimerId, Timers};

pub use consumer_events::{ConsumerRequest, ConsumerTimer};
pub use doubts::Doubts;
pub use heartbeats::Heartbeats;
pub use purpose::{Purpose, TimerKey};

pub(crate) use ask::{Asker, selected_queue};

use ask::Asks;
use pace::LookupPace;

/// Something that one machine tells the others; the client passes it on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Notice {
    /// A look-up has ended.
    Route(Arc<str>, RouteOutcome),
}

/// The common part. Machines get it together with the time.
#[derive(Clone, Debug)]
pub struct Shared {
    /// The client's settings.
    pub config: Arc<ClientConfig>,
    /// The name that brokers know this client by.
    pub client_id: Arc<str>,
    /// Wall time.
    pub clock: WallClock,
    /// All randomness.
    pub rng: Rng,
    /// Deadlines of everything but connections.
    pub timers: Timers<TimerKey>,
    /// The way out.
    pub outputs: VecDeque<Output>,
    /// Where topics live.
    pub routes: Routes,
    /// Connections.
    pub channels: Channels<Purpose>,
    /// Whom to ask for routes.
    pub name_servers: NameServers,
    /// Unique message ids.
    pub unique_keys: UniqKeyGenerator,
    /// When brokers last heard from this client.
    pub heartbeats: Heartbeats,
    /// Routes that may be wrong.
    pub doubts: Doubts,
    /// Whose turn it is to ask for a route once more.
    pace: LookupPace,
    /// Lines in the log that others can cause.
    pub lines: LogLines,
    pub(crate) notices: VecDeque<Notice>,
    /// Questions that user code has not answered.
    pub(crate) asks: Asks,
    /// Last words without an answer yet.
    pub(crate) farewells: usize,
}

impl Shared {
    /// Nothing known, nobody connected.
    pub fn new(
        config: Arc<ClientConfig>,
        facts: &HostFacts,
        seed: u64,
        now: Instant,
        wall: Timestamp,
    ) -> Self {
        let mut rng = Rng::new(seed);
        let client_id = client_id(&config, facts, &mut rng);
        let clock = WallClock::new(now, wall);
        let key_seed = rng.next_u32().to_be_bytes();
        let channels = Channels::new(&config, &mut rng);
        let name_servers = NameServers::new(&config.name_servers, &mut rng);
        Self {
            client_id,
            clock,
            timers: Timers::default(),
            outputs: VecDeque::new(),
            routes: Routes::default(),
            channels,
            name_servers,
            unique_keys: UniqKeyGenerator::new(facts.ip, facts.pid, key_seed, wall),
            heartbeats: Heartbeats::default(),
            doubts: Doubts::default(),
            pace: LookupPace::default(),
            lines: LogLines::of_machines(),
            notices: VecDeque::new(),
            asks: Asks::default(),
            farewells: 0,
            rng,
            config,
        }
    }

    /// Queues a request; exactly one reply comes back through `purpose`.
    pub fn request<'h, H: RequestHeader<'h>>(
        &mut self,
        now: Instant,
        address: &Arc<str>,
        header: &H,
        body: Bytes,
        deadline: Instant,
        purpose: Purpose,
    ) {
        self.channels.request(now, address, header, body, deadline, purpose);
    }

    /// As [`request`](Self::request), for a request without header fields, ahead of what waits for its
    /// connection to come up.
    pub fn request_ahead(
        &mut self,
        now: Instant,
        address: &Arc<str>,
        code: RequestCode,
        body: Bytes,
        deadline: Instant,
        purpose: Purpose,
    ) {
        self.channels.request_ahead(now, address, code, body, deadline, purpose);
    }

    /// Queues a request whose answer nobody wants.
    pub fn oneway<'h, H: RequestHeader<'h>>(
        &mut self,
        now: Instant,
        address: &Arc<str>,
        header: &H,
        body: Bytes,
    ) {
        self.channels.oneway(now, address, header, body, None);
    }

    /// Arms a timer.
    pub fn arm(&mut self, deadline: Instant, key: TimerKey) -> TimerId {
        self.timers.arm(deadline, key)
    }

    /// Disarms a timer; one that has fired is no error.
    pub fn cancel(&mut self, timer: TimerId) {
        self.timers.cancel(timer);
    }

    /// Ends a command.
    pub fn complete(&mut self, operation: OperationId, outcome: Outcome) {
        self.outputs.push_back(Output::Complete { operation, outcome });
    }

    /// Ends a command, if there is one, with nothing to tell.
    pub fn complete_done(&mut self, operation: Option<OperationId>) {
        if let Some(operation) = operation {
            self.complete(operation, Outcome::Done);
        }
    }

    /// Asks the name servers for a topic's route, unless that is under way. Producers say how many
    /// queues a topic should have that is yet to be created. Everybody hears the outcome. A topic that
    /// nobody knew a moment ago is asked for a moment later.
    pub fn look_up_route(&mut self, now: Instant, topic: &Arc<str>, default_queue_nums: Option<i32>) {
        if let Some(lookup) = self.routes.lookups.get_mut(topic) {
            lookup.default_queue_nums = lookup.default_queue_nums.or(default_queue_nums);
            return;
        }
        let server = self.name_servers.chosen().clone();
        let (step, denied, unheard) = (LookupStep::Topic, Vec::new(), Vec::new());
        let lookup = Lookup { default_queue_nums, step, server, denied, unheard };
        self.routes.lookups.insert(topic.clone(), lookup);
        if !self.hold_lookup(now, topic) {
            self.ask_next_name_server(now, topic);
        }
    }

    /// Sends heartbeats as soon as the current input has been dealt with.
    pub fn heartbeat_soon(&mut self, now: Instant) {
        self.heartbeats.due(&mut self.timers, now);
    }

    /// Tells every broker that a producer group has left this client.
    pub(crate) fn unregister_producer(&mut self, now: Instant, group: &str) {
        let client_id = self.client_id.clone();
        let header = UnregisterClientRequestHeader {
            client_id: Cow::Borrowed(&client_id),
            producer_group: Some(Cow::Borrowed(group)),
            consumer_group: None,
            rpc: RpcRequestHeader::default(),
        };
        let known = self.routes.brokers().map(|(_, _, address)| address.clone());
        let open: Vec<Arc<str>> = known.filter(|address| self.channels.is_open(address)).collect();
        for address in open {
            let deadline = now + self.config.request_timeout;
            self.farewells += 1;
            self.channels.request(now, &address, &header, Bytes::new(), deadline, Purpose::Farewell);
        }
    }

    /// Tells a broker once more that a consumer group has left this client, if the connection is still up.
    pub(crate) fn unregister_consumer(&mut self, now: Instant, address: &Arc<str>, group: &str) {
        if !self.channels.is_open(address) {
            return;
        }
        let client_id = self.client_id.clone();
        let header = UnregisterClientRequestHeader {
            client_id: Cow::Borrowed(&client_id),
            consumer_group: Some(Cow::Borrowed(group)),
            ..UnregisterClientRequestHeader::default()
        };
        self.farewells += 1;
        let deadline = now + self.config.request_timeout;
        self.channels.request(now, address, &header, Bytes::new(), deadline, Purpose::Farewell);
    }

    /// Asks a name server that has not been asked in this step of the look-up; false when all were.
    pub(crate) fn ask_next_name_server(&mut self, now: Instant, topic: &Arc<str>) -> bool {
        let Some(lookup) = self.routes.lookups.get_mut(topic) else { return false };
        let next = self.name_servers.first_of(|server| !lookup.has_asked(server));
        let Some(address) = next.cloned() else { return false };
        lookup.server = address.clone();
        let asked = match lookup.step {
            LookupStep::Topic => &**topic,
            LookupStep::Default => names::AUTO_CREATE_TOPIC,
        };
        let header = GetRouteInfoRequestHeader {
            topic: asked.into(),
            accept_standard_json_only: Some(true),
            ..GetRouteInfoRequestHeader::default()
        };
        // A silent server must leave time to ask the others before whoever waits gives up.
        let servers = u32::try_from(self.name_servers.len()).unwrap_or(u32::MAX);
        let deadline = now + self.config.request_timeout / servers.saturating_add(1);
        self.channels.request(now, &address, &header, Bytes::new(), deadline, Purpose::Route(topic.clone()));
        true
    }

    /// Whether a send to `topic` needs a broker that is yet to be found: there is no route, or nobody can be
    /// reached at any address that it names. What is known otherwise stays, whatever name servers forget.
    pub(crate) fn lacks_broker(&self, topic: &str) -> bool {
        let Some(route) = self.routes.get(topic) else { return true };
        route.data.broker_datas.iter().all(|broker| {
            let address = self.routes.master(&broker.broker_name);
            address.is_none_or(|address| {
                !self.channels.is_open(address) && self.channels.last_failure(address).is_some()
            })
        })
    }

    /// Asks a name server that owes an answer for the route that new topics begin with.
    pub(crate) fn ask_for_presence(&mut self, now: Instant, address: &Arc<str>) {
        let header = GetRouteInfoRequestHeader {
            topic: names::AUTO_CREATE_TOPIC.into(),
            accept_standard_json_only: Some(true),
            ..GetRouteInfoRequestHeader::default()
        };
        let deadline = now + self.config.request_timeout;
        self.channels.request(now, address, &header, Bytes::new(), deadline, Purpose::Presence);
    }
}

/// Java: `ClientConfig#buildMQClientId`, with a random part so that equal ids in containers can't be.
fn client_id(config: &ClientConfig, facts: &HostFacts, rng: &mut Rng) -> Arc<str> {
    let drawn = rng.next_u32();
    let mut id = match &config.instance_name {
        Some(name) => format!("{}@{name}", facts.ip),
        None => format!("{}@{}#{drawn:08x}", facts.ip, facts.pid),
    };
    if let Some(unit) = &config.unit_name {
        id.push('@');
        id.push_str(unit);
    }
    id.into()
}
