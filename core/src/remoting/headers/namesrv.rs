//! Headers of the name server.

use super::super::header::headers;
use alloc::borrow::Cow;

headers! {
    /// Asks for the route of a topic.
    GetRouteInfoRequestHeader<'a> = GET_ROUTEINFO_BY_TOPIC + TopicRequestHeader {
        required topic: "topic" Cow<'a, str>,
        optional accept_standard_json_only: "acceptStandardJsonOnly" bool,
    }

    /// Asks for the topics of a cluster.
    GetTopicsByClusterRequestHeader<'a> = GET_TOPICS_BY_CLUSTER {
        required cluster: "cluster" Cow<'a, str>,
    }

    /// Sets a configuration value.
    PutKVConfigRequestHeader<'a> = PUT_KV_CONFIG {
        required namespace: "namespace" Cow<'a, str>,
        required key: "key" Cow<'a, str>,
        required value: "value" Cow<'a, str>,
    }

    /// Asks for a configuration value.
    GetKVConfigRequestHeader<'a> = GET_KV_CONFIG {
        required namespace: "namespace" Cow<'a, str>,
        required key: "key" Cow<'a, str>,
    }

    /// A configuration value.
    GetKVConfigResponseHeader<'a> {
        optional value: "value" Cow<'a, str>,
    }

    /// Removes a configuration value.
    DeleteKVConfigRequestHeader<'a> = DELETE_KV_CONFIG {
        required namespace: "namespace" Cow<'a, str>,
        required key: "key" Cow<'a, str>,
    }

    /// Asks for all configuration values of a namespace.
    GetKVListByNamespaceRequestHeader<'a> = GET_KVLIST_BY_NAMESPACE {
        required namespace: "namespace" Cow<'a, str>,
    }

    /// Removes a topic's route.
    DeleteTopicFromNamesrvRequestHeader<'a> = DELETE_TOPIC_IN_NAMESRV + TopicRequestHeader {
        required topic: "topic" Cow<'a, str>,
        optional cluster_name: "clusterName" Cow<'a, str>,
    }

    /// Registers a topic's route.
    RegisterTopicRequestHeader<'a> = REGISTER_TOPIC_IN_NAMESRV + TopicRequestHeader {
        required topic: "topic" Cow<'a, str>,
    }

    /// Takes the write permission from all topics of a broker.
    WipeWritePermOfBrokerRequestHeader<'a> = WIPE_WRITE_PERM_OF_BROKER {
        required broker_name: "brokerName" Cow<'a, str>,
    }

    /// How many topics lost their write permission.
    WipeWritePermOfBrokerResponseHeader {
        required wipe_topic_count: "wipeTopicCount" i32,
    }

    /// Gives all topics of a broker their write permission back.
    AddWritePermOfBrokerRequestHeader<'a> = ADD_WRITE_PERM_OF_BROKER {
        required broker_name: "brokerName" Cow<'a, str>,
    }

    /// How many topics got their write permission.
    AddWritePermOfBrokerResponseHeader {
        required add_topic_count: "addTopicCount" i32,
    }

    /// A broker registers itself and its topics.
    RegisterBrokerRequestHeader<'a> = REGISTER_BROKER {
        required broker_name: "brokerName" Cow<'a, str>,
        required broker_addr: "brokerAddr" Cow<'a, str>,
        required cluster_name: "clusterName" Cow<'a, str>,
        required ha_server_addr: "haServerAddr" Cow<'a, str>,
        required broker_id: "brokerId" i64,
        optional heartbeat_timeout_millis: "heartbeatTimeoutMillis" i64,
        optional enable_acting_master: "enableActingMaster" bool,
        default(false) compressed: "compressed" bool,
        default(0) body_crc32: "bodyCrc32" i32,
    }

    /// What a slave needs to know of its master.
    RegisterBrokerResponseHeader<'a> {
        optional ha_server_addr: "haServerAddr" Cow<'a, str>,
        optional master_addr: "masterAddr" Cow<'a, str>,
    }

    /// A broker takes its leave.
    UnRegisterBrokerRequestHeader<'a> = UNREGISTER_BROKER {
        required broker_name: "brokerName" Cow<'a, str>,
        required broker_addr: "brokerAddr" Cow<'a, str>,
        required cluster_name: "clusterName" Cow<'a, str>,
        required broker_id: "brokerId" i64,
    }

    /// A broker says that it is alive.
    BrokerHeartbeatRequestHeader<'a> = BROKER_HEARTBEAT {
        required cluster_name: "clusterName" Cow<'a, str>,
        required broker_addr: "brokerAddr" Cow<'a, str>,
        required broker_name: "brokerName" Cow<'a, str>,
        optional broker_id: "brokerId" i64,
        optional epoch: "epoch" i32,
        optional max_offset: "maxOffset" i64,
        optional confirm_offset: "confirmOffset" i64,
        optional heartbeat_timeout_mills: "heartbeatTimeoutMills" i64,
        optional election_priority: "electionPriority" i32,
    }

    /// A broker asks whether its registration is current.
    QueryDataVersionRequestHeader<'a> = QUERY_DATA_VERSION {
        required broker_name: "brokerName" Cow<'a, str>,
        required broker_addr: "brokerAddr" Cow<'a, str>,
        required cluster_name: "clusterName" Cow<'a, str>,
        required broker_id: "brokerId" i64,
    }

    /// Whether the broker has to register again.
    QueryDataVersionResponseHeader {
        required changed: "changed" bool,
    }

    /// Asks for the brokers that share a name.
    GetBrokerMemberGroupRequestHeader<'a> = GET_BROKER_MEMBER_GROUP {
        required cluster_name: "clusterName" Cow<'a, str>,
        required broker_name: "brokerName" Cow<'a, str>,
    }

    /// The name server says that another broker acts as master.
    NotifyMinBrokerIdChangeRequestHeader<'a> = NOTIFY_MIN_BROKER_ID_CHANGE {
        optional min_broker_id: "minBrokerId" i64,
        optional broker_name: "brokerName" Cow<'a, str>,
        optional min_broker_addr: "minBrokerAddr" Cow<'a, str>,
        optional offline_broker_addr: "offlineBrokerAddr" Cow<'a, str>,
        optional ha_broker_addr: "haBrokerAddr" Cow<'a, str>,
    }
}
