//! The frame by which a broker makes itself known to name servers. Java: `BrokerOuterAPI#registerBroker`.

use bytes::Bytes;
use rocketmq_client_core::message::body_crc;
use rocketmq_client_core::remoting::RegisterBrokerRequestHeader;

use crate::broker::Broker;
use crate::json::Object;
use crate::model::{DataVersion, TopicConfig};

impl Broker {
    /// A registration of these topics; name servers keep those that they know already.
    pub(crate) fn registration(&mut self, topics: &[TopicConfig]) -> Bytes {
        let mut table = Object::new();
        for config in topics {
            table.key(&config.topic_name).raw(&config.json());
        }
        let mut wrapper = Object::new();
        wrapper.key("dataVersion").raw(&self.topics.version.json());
        wrapper.key("mappingDataVersion").raw(&DataVersion::default().json());
        wrapper.key("topicConfigTable").raw(&table.end());
        wrapper.key("topicQueueMappingDetailMap").raw("{}");
        wrapper.key("topicQueueMappingInfoMap").raw("{}");
        let mut body = Object::new();
        body.key("filterServerList").raw("[]");
        body.key("topicConfigSerializeWrapper").raw(&wrapper.end());
        let body = body.end();
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
            body_crc32: Some(body_crc(body.as_bytes())),
        };
        self.replier.request(&header, body.as_bytes())
    }
}
