//! Routes and clusters.

use super::bodies;
use crate::remoting::LanguageCode;
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

bodies! {
    /// Where a topic's queues are. The answer of a name server.
    TopicRouteData [Eq] {
        /// The brokers that host it.
        broker_datas: "brokerDatas" Vec<BrokerData>,
        /// Filter servers by broker address.
        filter_server_table: "filterServerTable" BTreeMap<Arc<str>, Vec<Arc<str>>>,
        /// The queues of an ordered topic, as `broker-a:4;broker-b:4`.
        order_topic_conf: "orderTopicConf" Option<Arc<str>>,
        /// How many queues each broker has of it.
        queue_datas: "queueDatas" Vec<QueueData>,
        /// The logical queues of a static topic, by broker name.
        topic_queue_mapping_by_broker: "topicQueueMappingByBroker" Option<BTreeMap<Arc<str>, TopicQueueMappingInfo>>,
    }

    /// The addresses of the brokers that share a name.
    BrokerData [Eq] {
        /// Addresses by broker id; 0 is the master.
        broker_addrs: "brokerAddrs" BTreeMap<i64, Arc<str>>,
        /// The name they share.
        broker_name: "brokerName" Arc<str>,
        /// Their cluster.
        cluster: "cluster" Arc<str>,
        /// Whether the slave with the lowest id acts as master when there is none.
        enable_acting_master: "enableActingMaster" bool,
        /// Their zone.
        zone_name: "zoneName" Option<Arc<str>>,
    }

    /// How many queues of a topic a broker has.
    QueueData [Eq] {
        /// The broker's name.
        broker_name: "brokerName" Arc<str>,
        /// Bits: 4 readable, 2 writable, 1 inherited.
        perm: "perm" i32,
        /// How many queues can be read.
        read_queue_nums: "readQueueNums" i32,
        /// The topic's system flag.
        topic_sys_flag: "topicSysFlag" i32,
        /// How many queues can be written.
        write_queue_nums: "writeQueueNums" i32,
    }

    /// Which physical queue of a broker each logical queue of a static topic is.
    TopicQueueMappingInfo [Eq] {
        /// The broker's name.
        bname: "bname" Arc<str>,
        /// Physical queue ids by logical ones.
        curr_id_map: "currIdMap" BTreeMap<i32, i32>,
        /// Whether the mapping is about to change.
        dirty: "dirty" bool,
        /// The mapping's age; the youngest counts.
        epoch: "epoch" i64,
        /// The scope, `__global__` by default.
        scope: "scope" Option<Arc<str>>,
        /// The topic.
        topic: "topic" Arc<str>,
        /// How many logical queues there are.
        total_queues: "totalQueues" i32,
    }

    /// A mapping with its history.
    TopicQueueMappingDetail [Eq] {
        /// The broker's name.
        bname: "bname" Arc<str>,
        /// Physical queue ids by logical ones.
        curr_id_map: "currIdMap" BTreeMap<i32, i32>,
        /// Whether the mapping is about to change.
        dirty: "dirty" bool,
        /// The mapping's age; the youngest counts.
        epoch: "epoch" i64,
        /// The history of each logical queue.
        hosted_queues: "hostedQueues" BTreeMap<i32, Vec<LogicQueueMappingItem>>,
        /// The scope, `__global__` by default.
        scope: "scope" Option<Arc<str>>,
        /// The topic.
        topic: "topic" Arc<str>,
        /// How many logical queues there are.
        total_queues: "totalQueues" i32,
    }

    /// One stretch of a logical queue's history.
    LogicQueueMappingItem [Eq] {
        /// The broker's name.
        bname: "bname" Arc<str>,
        /// Where it ends in the physical queue; -1 while it is open.
        end_offset: "endOffset" i64 = -1,
        /// Its number.
        generation: "gen" i32,
        /// Where it starts in the logical queue.
        logic_offset: "logicOffset" i64,
        /// The physical queue.
        queue_id: "queueId" i32,
        /// Where it starts in the physical queue.
        start_offset: "startOffset" i64,
        /// When it ended, in Unix milliseconds; -1 while it is open.
        time_of_end: "timeOfEnd" i64 = -1,
        /// When it started, in Unix milliseconds.
        time_of_start: "timeOfStart" i64 = -1,
    }

    /// All brokers of all clusters. Its keys are bare integers, whatever the version.
    ClusterInfo [Eq] {
        /// Brokers by name.
        broker_addr_table: "brokerAddrTable" BTreeMap<Arc<str>, BrokerData>,
        /// Broker names by cluster.
        cluster_addr_table: "clusterAddrTable" BTreeMap<Arc<str>, Vec<Arc<str>>>,
    }

    /// The brokers that share a name, as the name server knows them.
    GetBrokerMemberGroupResponseBody [Eq] {
        /// The group.
        broker_member_group: "brokerMemberGroup" Option<BrokerMemberGroup>,
    }

    /// The brokers that share a name.
    BrokerMemberGroup [Eq] {
        /// Addresses by broker id; 0 is the master.
        broker_addrs: "brokerAddrs" BTreeMap<i64, Arc<str>>,
        /// The name they share.
        broker_name: "brokerName" Arc<str>,
        /// Their cluster.
        cluster: "cluster" Arc<str>,
    }

    /// Names of topics.
    TopicList [Eq] {
        /// The broker that was asked.
        broker_addr: "brokerAddr" Option<Arc<str>>,
        /// The topics.
        topic_list: "topicList" Vec<Arc<str>>,
    }

    /// Names of groups.
    GroupList [Eq] {
        /// The groups.
        group_list: "groupList" Vec<Arc<str>>,
    }

    /// Any table of text.
    KVTable [Eq] {
        /// Values by key.
        table: "table" BTreeMap<Arc<str>, Arc<str>>,
    }

    /// Who is connected as a consumer of a group.
    ConsumerConnection [Eq] {
        /// The connections.
        connection_set: "connectionSet" Vec<Connection>,
        /// Where the group starts in queues that are new to it.
        consume_from_where: "consumeFromWhere" super::ConsumeFromWhere,
        /// How messages reach it.
        consume_type: "consumeType" super::ConsumeType,
        /// Whether its members share messages.
        message_model: "messageModel" super::MessageModel,
        /// Its subscriptions by topic.
        subscription_table: "subscriptionTable" BTreeMap<Arc<str>, super::SubscriptionData>,
    }

    /// Who is connected as a producer of a group.
    ProducerConnection [Eq] {
        /// The connections.
        connection_set: "connectionSet" Vec<Connection>,
    }

    /// One connected client.
    Connection [Eq] {
        /// Its address as the broker sees it.
        client_addr: "clientAddr" Arc<str>,
        /// Its client id.
        client_id: "clientId" Arc<str>,
        /// Its language.
        language: "language" LanguageCode,
        /// Its version.
        version: "version" i32,
    }

    /// All producers that are connected to a broker.
    ProducerTableInfo [Eq] {
        /// Producers by group.
        data: "data" BTreeMap<Arc<str>, Vec<ProducerInfo>>,
    }

    /// One connected producer.
    ProducerInfo [Eq] {
        /// Its client id.
        client_id: "clientId" Arc<str>,
        /// Its language.
        language: "language" LanguageCode,
        /// When it was last heard of, in Unix milliseconds.
        last_update_timestamp: "lastUpdateTimestamp" i64,
        /// Its address as the broker sees it.
        remote_ip: "remoteIP" Arc<str>,
        /// Its version.
        version: "version" i32,
    }
}

impl crate::remoting::json::FromJson for LanguageCode {
    fn from_json(
        reader: &mut crate::remoting::json::JsonReader<'_>,
    ) -> Result<Self, crate::remoting::JsonError> {
        Ok(Self::from_name(&reader.text()?))
    }
}

impl crate::remoting::json::ToJson for LanguageCode {
    fn to_json(&self, writer: &mut crate::remoting::json::JsonWriter) {
        writer.text(self.name());
    }

    fn is_null(&self) -> bool {
        *self == Self::Unknown
    }
}
