//! Where topics live.

use super::super::json::bodies;
use alloc::{collections::BTreeMap, sync::Arc, vec::Vec};

bodies! {
    /// The route of a topic. Java: `TopicRouteData`.
    TopicRouteData {
        /// The brokers that host the topic.
        broker_datas: "brokerDatas" Vec<BrokerData>,
        /// Filter servers by broker address; a legacy.
        filter_server_table: "filterServerTable" BTreeMap<Arc<str>, Vec<Arc<str>>>,
        /// `broker-a:4;broker-b:4` when the order of the queues is fixed.
        order_topic_conf: "orderTopicConf" Option<Arc<str>>,
        /// How many queues each broker has.
        queue_datas: "queueDatas" Vec<QueueData>,
    }

    /// A broker's addresses. Java: `BrokerData`.
    BrokerData {
        /// By broker id; 0 is the master.
        broker_addrs: "brokerAddrs" BTreeMap<i64, Arc<str>>,
        /// The broker's name.
        broker_name: "brokerName" Arc<str> = "".into(),
        /// The cluster's name.
        cluster: "cluster" Arc<str> = "".into(),
        /// Whether a slave may act for a lost master.
        enable_acting_master: "enableActingMaster" bool,
        /// The zone it stands in.
        zone_name: "zoneName" Option<Arc<str>>,
    }

    /// The queues of a topic on one broker. Java: `QueueData`.
    QueueData {
        /// The broker's name.
        broker_name: "brokerName" Arc<str> = "".into(),
        /// Who may read and write, see [`perm`](crate::message::perm).
        perm: "perm" i32,
        /// Queues that can be read.
        read_queue_nums: "readQueueNums" i32,
        /// Flags of the topic.
        topic_sys_flag: "topicSysFlag" i32,
        /// Queues that can be written.
        write_queue_nums: "writeQueueNums" i32,
    }
}
