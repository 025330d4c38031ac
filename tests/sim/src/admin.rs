//! What an administrator does at the console: no network carries it, and no time passes.

use std::collections::BTreeSet;
use std::net::SocketAddr;

use bytes::{Bytes, BytesMut};
use rocketmq_client_core::remoting::{
    CreateTopicRequestHeader, DeleteTopicFromNamesrvRequestHeader, DeleteTopicRequestHeader, Encoder,
    FRAME_BYTES_MAX, FrameDecoder, GetRouteInfoRequestHeader, Head, RemotingCommand, RequestHeader,
    ResponseCode, TopicRouteData,
};

use crate::executor::NodeId;
use crate::world::World;

/// A request as it arrives.
pub(crate) fn request<'a, H: RequestHeader<'a>>(header: &H) -> RemotingCommand {
    let mut out = BytesMut::new();
    let head = Head { code: H::CODE.0, ..Head::default() };
    Encoder::default().encode(&mut out, &head, header, &[], 0);
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    decoder.buffer_mut().extend_from_slice(&out);
    decoder.next_frame().expect("our own frame").expect("a whole frame")
}

/// The request that creates a topic of so many queues.
pub(crate) fn create_topic(topic: &str, queues: i32) -> RemotingCommand {
    request(&CreateTopicRequestHeader {
        topic: topic.into(),
        default_topic: "TBW102".into(),
        read_queue_nums: queues,
        write_queue_nums: queues,
        perm: 6,
        topic_filter_type: "SINGLE_TAG".into(),
        topic_sys_flag: Some(0),
        order: false,
        ..CreateTopicRequestHeader::default()
    })
}

impl World {
    /// Deletes a topic of a broker: its messages are gone, and what groups have committed. Name servers forget it, too,
    /// until a broker that has it registers again.
    pub(crate) fn delete_topic(&mut self, broker: NodeId, topic: &str) -> bool {
        let delete = DeleteTopicRequestHeader { topic: topic.into(), ..Default::default() };
        if self.order(broker, request(&delete)).is_none() {
            return false;
        }
        for name_server in self.name_servers() {
            let address = self.servers[&name_server].address;
            let forget = DeleteTopicFromNamesrvRequestHeader { topic: topic.into(), ..Default::default() };
            self.ask(address, request(&forget));
        }
        let now = self.now;
        if let Some(broker) = self.servers.get(&broker).and_then(|server| server.broker()) {
            self.monitor.topic_deleted(now, broker, topic);
        }
        true
    }

    /// Creates a topic; false when the broker does not run.
    pub(crate) fn create_topic(&mut self, broker: NodeId, topic: &str, queues: i32) -> bool {
        self.order(broker, create_topic(topic, queues)).is_some()
    }

    /// Orders a broker to do something, which it does at once, whatever it refuses to others: `None` when it can't.
    fn order(&mut self, broker: NodeId, request: RemotingCommand) -> Option<RemotingCommand> {
        let server = self.servers.get_mut(&broker)?;
        let address = server.address;
        let faults = server.running_broker()?.faults_mut();
        if faults.is_frozen() {
            // It would do it when it has thawed, and what was sent to it before that first.
            return None;
        }
        let faults = std::mem::take(faults);
        let answer = self.ask(address, request);
        let broker = self.servers.get_mut(&broker).and_then(|server| server.running_broker());
        *broker.expect("it runs").faults_mut() = faults;
        answer
    }

    /// Whether a name server that runs knows a topic.
    pub(crate) fn knows_topic(&mut self, name_server: NodeId, topic: &str) -> bool {
        self.route_of(name_server, topic).is_some()
    }

    /// The brokers that a name server names for a topic.
    pub(crate) fn brokers_of(&mut self, name_server: NodeId, topic: &str) -> BTreeSet<SocketAddr> {
        let route = self.route_of(name_server, topic).and_then(|body| TopicRouteData::decode(&body).ok());
        let brokers = route.into_iter().flat_map(|route| route.broker_datas);
        let addresses = brokers.flat_map(|broker| broker.broker_addrs);
        addresses.filter_map(|(_, address)| address.parse().ok()).collect()
    }

    fn route_of(&mut self, name_server: NodeId, topic: &str) -> Option<Bytes> {
        let server = self.servers.get(&name_server).filter(|server| server.is_up())?;
        let address = server.address;
        let route = GetRouteInfoRequestHeader { topic: topic.into(), ..Default::default() };
        let answer = self.ask(address, request(&route))?;
        (answer.code == ResponseCode::SUCCESS.0).then_some(answer.body)
    }
}
