//! The frame by which a broker makes itself known to name servers. Java: `BrokerOuterAPI#registerBroker`.

use std::collections::BTreeMap;

use bytes::Bytes;
use rocketmq_client_core::message::body_crc;
use rocketmq_client_core::remoting::{RegisterBrokerBody, RegisterBrokerRequestHeader, TopicConfig};

use crate::broker::Broker;

impl Broker {
    /// A registration of these topics; name servers keep those that they know already.
    pub(crate) fn registration(&mut self, topics: &[TopicConfig]) -> Bytes {
        let mut wrapper = self.topics.wrapper(topics);
        wrapper.topic_queue_mapping_info_map = Some(BTreeMap::new());
        let body =
            RegisterBrokerBody { topic_config_serialize_wrapper: wrapper, ..RegisterBrokerBody::default() }
                .encode();
        let config = self.config.clone();
        let addr = config.addr.to_string();
        let header = RegisterBrokerRequestHeader {
            broker_name: (&*config.broker_name).into(),
            broker_addr: addr.as_str().into(),
            cluster_name: (&*config.cluster_name).into(),
            ha_server_addr: "".into(),
            broker_id: config.broker_id,
            heartbeat_timeout_millis: None,
            enable_acting_master: Some(false),
            compressed: false,
            body_crc32: body_crc(&body),
        };
        self.replier.request(&header, &body)
    }
}
