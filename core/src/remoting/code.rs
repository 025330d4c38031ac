//! Request and response codes.

use core::fmt;

macro_rules! codes {
    ($(#[$doc:meta])* $type:ident { $($(#[$code_doc:meta])* $name:ident = $value:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(pub i32);

        impl $type {
            $($(#[$code_doc])* pub const $name: Self = Self($value);)*

            /// The code's name in Java, or `None` for a code nobody listed.
            #[must_use]
            pub const fn name(self) -> Option<&'static str> {
                match self.0 {
                    $($value => Some(stringify!($name)),)*
                    _ => None,
                }
            }
        }

        /// The number and the name: `310 SEND_MESSAGE_V2`.
        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.name() {
                    Some(name) => write!(f, "{} {name}", self.0),
                    None => write!(f, "{}", self.0),
                }
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }

        impl From<$type> for i32 {
            fn from(code: $type) -> Self {
                code.0
            }
        }
    };
}

codes! {
    /// What a request asks for. Java: `RequestCode`.
    RequestCode {
        /// A send with long field names.
        SEND_MESSAGE = 10,
        /// Asks for the messages of a queue.
        PULL_MESSAGE = 11,
        /// Asks for messages by key.
        QUERY_MESSAGE = 12,
        /// Asks for a broker's offset; no handler in 5.4.
        QUERY_BROKER_OFFSET = 13,
        /// Asks where a group goes on in a queue.
        QUERY_CONSUMER_OFFSET = 14,
        /// Commits where a group goes on in a queue.
        UPDATE_CONSUMER_OFFSET = 15,
        /// Creates or changes a topic.
        UPDATE_AND_CREATE_TOPIC = 17,
        /// Creates or changes the topics of the body.
        UPDATE_AND_CREATE_TOPIC_LIST = 18,
        /// Asks for a page of topic configurations.
        GET_ALL_TOPIC_CONFIG = 21,
        /// Not needed by clients.
        GET_TOPIC_CONFIG_LIST = 22,
        /// Not needed by clients.
        GET_TOPIC_NAME_LIST = 23,
        /// Changes a broker's configuration.
        UPDATE_BROKER_CONFIG = 25,
        /// Asks for a broker's configuration.
        GET_BROKER_CONFIG = 26,
        /// Not needed by clients.
        TRIGGER_DELETE_FILES = 27,
        /// Asks for a broker's figures.
        GET_BROKER_RUNTIME_INFO = 28,
        /// Asks which offset a queue had at a time.
        SEARCH_OFFSET_BY_TIMESTAMP = 29,
        /// Asks where a queue ends.
        GET_MAX_OFFSET = 30,
        /// Asks where a queue starts.
        GET_MIN_OFFSET = 31,
        /// Asks when the oldest message of a queue was stored.
        GET_EARLIEST_MSG_STORETIME = 32,
        /// Asks for the message at an offset of the commit log.
        VIEW_MESSAGE_BY_ID = 33,
        /// Tells a broker who is alive.
        HEART_BEAT = 34,
        /// Takes a client out of its groups.
        UNREGISTER_CLIENT = 35,
        /// Gives a message back, to be delivered again later or to become a dead letter.
        CONSUMER_SEND_MSG_BACK = 36,
        /// Commits or rolls back a half message.
        END_TRANSACTION = 37,
        /// Asks for the client ids of a group.
        GET_CONSUMER_LIST_BY_GROUP = 38,
        /// The broker asks what became of a half message.
        CHECK_TRANSACTION_STATE = 39,
        /// The broker says that a group has changed.
        NOTIFY_CONSUMER_IDS_CHANGED = 40,
        /// Locks queues for orderly consumption.
        LOCK_BATCH_MQ = 41,
        /// Unlocks queues.
        UNLOCK_BATCH_MQ = 42,
        /// Asks for all committed offsets.
        GET_ALL_CONSUMER_OFFSET = 43,
        /// Asks for the offsets of the delay levels.
        GET_ALL_DELAY_OFFSET = 45,
        /// Has a broker check a subscription's expression.
        CHECK_CLIENT_CONFIG = 46,
        /// Not needed by clients.
        GET_CLIENT_CONFIG = 47,
        /// Asks for the timer check point.
        GET_TIMER_CHECK_POINT = 60,
        /// Asks how many timer messages wait.
        GET_TIMER_METRICS = 61,
        /// Sets a configuration value.
        PUT_KV_CONFIG = 100,
        /// Asks for a configuration value.
        GET_KV_CONFIG = 101,
        /// Removes a configuration value.
        DELETE_KV_CONFIG = 102,
        /// A broker registers itself and its topics.
        REGISTER_BROKER = 103,
        /// A broker takes its leave.
        UNREGISTER_BROKER = 104,
        /// Asks for the route of a topic.
        GET_ROUTEINFO_BY_TOPIC = 105,
        /// Asks for all clusters and brokers.
        GET_BROKER_CLUSTER_INFO = 106,
        /// Creates or changes a group.
        UPDATE_AND_CREATE_SUBSCRIPTIONGROUP = 200,
        /// Asks for a page of group configurations.
        GET_ALL_SUBSCRIPTIONGROUP_CONFIG = 201,
        /// Asks for the offsets of a topic's queues.
        GET_TOPIC_STATS_INFO = 202,
        /// Asks which consumers are connected.
        GET_CONSUMER_CONNECTION_LIST = 203,
        /// Asks which producers are connected.
        GET_PRODUCER_CONNECTION_LIST = 204,
        /// Takes the write permission from all topics of a broker.
        WIPE_WRITE_PERM_OF_BROKER = 205,
        /// Asks for all topics.
        GET_ALL_TOPIC_LIST_FROM_NAMESERVER = 206,
        /// Deletes a group.
        DELETE_SUBSCRIPTIONGROUP = 207,
        /// Asks how far a group has come.
        GET_CONSUME_STATS = 208,
        /// Not needed by clients.
        SUSPEND_CONSUMER = 209,
        /// Not needed by clients.
        RESUME_CONSUMER = 210,
        /// Not needed by clients.
        RESET_CONSUMER_OFFSET_IN_CONSUMER = 211,
        /// Not needed by clients.
        RESET_CONSUMER_OFFSET_IN_BROKER = 212,
        /// Not needed by clients.
        ADJUST_CONSUMER_THREAD_POOL = 213,
        /// Not needed by clients.
        WHO_CONSUME_THE_MESSAGE = 214,
        /// Deletes a topic.
        DELETE_TOPIC_IN_BROKER = 215,
        /// Removes a topic's route.
        DELETE_TOPIC_IN_NAMESRV = 216,
        /// Registers a topic's route.
        REGISTER_TOPIC_IN_NAMESRV = 217,
        /// Asks for all configuration values of a namespace.
        GET_KVLIST_BY_NAMESPACE = 219,
        /// The broker resets a client's offsets.
        RESET_CONSUMER_CLIENT_OFFSET = 220,
        /// The broker asks a client for its offsets.
        GET_CONSUMER_STATUS_FROM_CLIENT = 221,
        /// An admin resets a group's offsets.
        INVOKE_BROKER_TO_RESET_OFFSET = 222,
        /// Asks for the offsets that clients of a group are at.
        INVOKE_BROKER_TO_GET_CONSUMER_STATUS = 223,
        /// Asks for the topics of a cluster.
        GET_TOPICS_BY_CLUSTER = 224,
        /// Creates or changes several groups.
        UPDATE_AND_CREATE_SUBSCRIPTIONGROUP_LIST = 225,
        /// Asks which groups consume a topic.
        QUERY_TOPIC_CONSUME_BY_WHO = 300,
        /// Not needed by clients.
        REGISTER_FILTER_SERVER = 301,
        /// Not needed by clients.
        REGISTER_MESSAGE_FILTER_CLASS = 302,
        /// Asks how far behind a group is, in time.
        QUERY_CONSUME_TIME_SPAN = 303,
        /// Asks for the names of clusters and brokers.
        GET_SYSTEM_TOPIC_LIST_FROM_NS = 304,
        /// Asks for a broker's system topics.
        GET_SYSTEM_TOPIC_LIST_FROM_BROKER = 305,
        /// Has a broker delete expired consume queues.
        CLEAN_EXPIRED_CONSUMEQUEUE = 306,
        /// Asks how a consumer is doing.
        GET_CONSUMER_RUNNING_INFO = 307,
        /// Asks which offsets a group would have to be corrected to.
        QUERY_CORRECTION_OFFSET = 308,
        /// Has a client consume one message now.
        CONSUME_MESSAGE_DIRECTLY = 309,
        /// A send.
        SEND_MESSAGE_V2 = 310,
        /// Asks for unit topics.
        GET_UNIT_TOPIC_LIST = 311,
        /// Asks for topics with unit subscriptions.
        GET_HAS_UNIT_SUB_TOPIC_LIST = 312,
        /// Asks for non-unit topics with unit subscriptions.
        GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST = 313,
        /// Copies a group's offsets to another.
        CLONE_GROUP_OFFSET = 314,
        /// Asks for one statistic of a broker.
        VIEW_BROKER_STATS_DATA = 315,
        /// Has a broker delete unused topics.
        CLEAN_UNUSED_TOPIC = 316,
        /// Asks how far all groups of a broker have come.
        GET_BROKER_CONSUME_STATS = 317,
        /// Changes a name server's configuration.
        UPDATE_NAMESRV_CONFIG = 318,
        /// Asks for a name server's configuration.
        GET_NAMESRV_CONFIG = 319,
        /// A send of several messages in one body.
        SEND_BATCH_MESSAGE = 320,
        /// Asks for entries of a consume queue.
        QUERY_CONSUME_QUEUE = 321,
        /// A broker asks whether its registration is current.
        QUERY_DATA_VERSION = 322,
        /// Has a half message checked again.
        RESUME_CHECK_HALF_MESSAGE = 323,
        /// A reply with long field names.
        SEND_REPLY_MESSAGE = 324,
        /// A reply to a request.
        SEND_REPLY_MESSAGE_V2 = 325,
        /// A reply that the broker pushes to the client that asked.
        PUSH_REPLY_MESSAGE_TO_CLIENT = 326,
        /// Gives all topics of a broker their write permission back.
        ADD_WRITE_PERM_OF_BROKER = 327,
        /// Asks for all connected producers.
        GET_ALL_PRODUCER_INFO = 328,
        /// Has a broker delete expired commit logs.
        DELETE_EXPIRED_COMMITLOG = 329,
        /// Asks which topics a group consumes.
        QUERY_TOPICS_BY_CONSUMER = 343,
        /// Asks for a group's subscription.
        QUERY_SUBSCRIPTION_BY_CONSUMER = 345,
        /// Asks for a topic's configuration.
        GET_TOPIC_CONFIG = 351,
        /// Asks for a group's configuration, which may create it.
        GET_SUBSCRIPTIONGROUP_CONFIG = 352,
        /// Sets or asks whether a group may read a topic.
        UPDATE_AND_GET_GROUP_FORBIDDEN = 353,
        /// Asks whether both consume queue stores agree.
        CHECK_ROCKSDB_CQ_WRITE_PROGRESS = 354,
        /// Has a broker write its configuration as JSON.
        EXPORT_ROCKSDB_CONFIG_TO_JSON = 355,
        /// A pull by a lite-pull consumer.
        LITE_PULL_MESSAGE = 361,
        /// Takes a timer message back before it is delivered.
        RECALL_MESSAGE = 370,
        /// Asks the broker which queues a client gets.
        QUERY_ASSIGNMENT = 400,
        /// Sets whether a group pulls or pops a topic.
        SET_MESSAGE_REQUEST_MODE = 401,
        /// Asks for all request modes.
        GET_ALL_MESSAGE_REQUEST_MODE = 402,
        /// Creates or changes a static topic.
        UPDATE_AND_CREATE_STATIC_TOPIC = 513,
        /// Asks for the brokers that share a name.
        GET_BROKER_MEMBER_GROUP = 901,
        /// Not needed by clients.
        ADD_BROKER = 902,
        /// Not needed by clients.
        REMOVE_BROKER = 903,
        /// A broker says that it is alive.
        BROKER_HEARTBEAT = 904,
        /// The name server says that another broker acts as master.
        NOTIFY_MIN_BROKER_ID_CHANGE = 905,
        /// Not needed by clients.
        EXCHANGE_BROKER_HA_INFO = 906,
        /// Asks how replication is doing.
        GET_BROKER_HA_STATUS = 907,
        /// Not needed by clients.
        RESET_MASTER_FLUSH_OFFSET = 908,
        /// Not needed by clients.
        CONTROLLER_ALTER_SYNC_STATE_SET = 1001,
        /// Not needed by clients.
        CONTROLLER_ELECT_MASTER = 1002,
        /// Not needed by clients.
        CONTROLLER_REGISTER_BROKER = 1003,
        /// Not needed by clients.
        CONTROLLER_GET_REPLICA_INFO = 1004,
        /// Not needed by clients.
        CONTROLLER_GET_METADATA_INFO = 1005,
        /// Not needed by clients.
        CONTROLLER_GET_SYNC_STATE_DATA = 1006,
        /// Not needed by clients.
        GET_BROKER_EPOCH_CACHE = 1007,
        /// Not needed by clients.
        NOTIFY_BROKER_ROLE_CHANGED = 1008,
        /// Not needed by clients.
        UPDATE_CONTROLLER_CONFIG = 1009,
        /// Not needed by clients.
        GET_CONTROLLER_CONFIG = 1010,
        /// Not needed by clients.
        CLEAN_BROKER_DATA = 1011,
        /// Not needed by clients.
        CONTROLLER_GET_NEXT_BROKER_ID = 1012,
        /// Not needed by clients.
        CONTROLLER_APPLY_BROKER_ID = 1013,
        /// Not needed by clients.
        BROKER_CLOSE_CHANNEL_REQUEST = 1014,
        /// Not needed by clients.
        CHECK_NOT_ACTIVE_BROKER_REQUEST = 1015,
        /// Not needed by clients.
        GET_BROKER_LIVE_INFO_REQUEST = 1016,
        /// Not needed by clients.
        GET_SYNC_STATE_DATA_REQUEST = 1017,
        /// Not needed by clients.
        RAFT_BROKER_HEART_BEAT_EVENT_REQUEST = 1018,
        /// Limits reads of cold data.
        UPDATE_COLD_DATA_FLOW_CTR_CONFIG = 2001,
        /// Lifts a limit on reads of cold data.
        REMOVE_COLD_DATA_FLOW_CTR_CONFIG = 2002,
        /// Asks for the limits on reads of cold data.
        GET_COLD_DATA_FLOW_CTR_INFO = 2003,
        /// Sets how the commit log is read.
        SET_COMMITLOG_READ_MODE = 2004,
        /// Creates the user of the body.
        AUTH_CREATE_USER = 3001,
        /// Changes a user.
        AUTH_UPDATE_USER = 3002,
        /// Deletes a user.
        AUTH_DELETE_USER = 3003,
        /// Asks for a user.
        AUTH_GET_USER = 3004,
        /// Asks for users.
        AUTH_LIST_USER = 3005,
        /// Adds permissions.
        AUTH_CREATE_ACL = 3006,
        /// Changes permissions, resource by resource.
        AUTH_UPDATE_ACL = 3007,
        /// Removes permissions.
        AUTH_DELETE_ACL = 3008,
        /// Asks for a subject's permissions.
        AUTH_GET_ACL = 3009,
        /// Asks for permissions.
        AUTH_LIST_ACL = 3010,
        /// Switches the timer engine.
        SWITCH_TIMER_ENGINE = 5001,
        /// Takes messages that nobody else gets for `invisible_time` milliseconds.
        POP_MESSAGE = 200050,
        /// Acknowledges one popped message.
        ACK_MESSAGE = 200051,
        /// Reads messages without taking them.
        PEEK_MESSAGE = 200052,
        /// Changes when a popped message is delivered again, in milliseconds from now.
        CHANGE_MESSAGE_INVISIBLETIME = 200053,
        /// Waits until there is something to pop.
        NOTIFICATION = 200054,
        /// Asks how many pops wait.
        POLLING_INFO = 200055,
        /// Not needed by clients.
        POP_ROLLBACK = 200056,
        /// Acknowledges several popped messages.
        BATCH_ACK_MESSAGE = 200151,
    }
}

codes! {
    /// How a request ended. Java: `ResponseCode` and `RemotingSysResponseCode`.
    ResponseCode {
        /// Done.
        SUCCESS = 0,
        /// Exception or generic refusal; remark tells.
        SYSTEM_ERROR = 1,
        /// Flow control; retry later / other broker.
        SYSTEM_BUSY = 2,
        /// The peer has no handler for the request on this port.
        REQUEST_CODE_NOT_SUPPORTED = 3,
        /// Not produced by 5.4 broker.
        TRANSACTION_FAILED = 4,
        /// Stored, sync flush timed out (send result, not error).
        FLUSH_DISK_TIMEOUT = 10,
        /// Stored, no slave for SYNC_MASTER (send); operation sent to a slave (others).
        SLAVE_NOT_AVAILABLE = 11,
        /// Stored, slave ack timed out.
        FLUSH_SLAVE_TIMEOUT = 12,
        /// Size/properties/timer limits; wrong handle on ack.
        MESSAGE_ILLEGAL = 13,
        /// Disk full, slave, shutting down.
        SERVICE_NOT_AVAILABLE = 14,
        /// The peer doesn't know the version.
        VERSION_NOT_SUPPORTED = 15,
        /// Broker/topic/group permission, forbidden topic, auth failure.
        NO_PERMISSION = 16,
        /// Also "no route" from name server.
        TOPIC_NOT_EXIST = 17,
        /// The topic is there already.
        TOPIC_EXIST_ALREADY = 18,
        /// Nothing new.
        PULL_NOT_FOUND = 19,
        /// All filtered / retry now from nextBeginOffset.
        PULL_RETRY_IMMEDIATELY = 20,
        /// Offset illegal or reset; use nextBeginOffset.
        PULL_OFFSET_MOVED = 21,
        /// Offset / key / kv not found.
        QUERY_NOT_FOUND = 22,
        /// Expression syntax.
        SUBSCRIPTION_PARSE_FAILED = 23,
        /// Group/topic not registered by heartbeat.
        SUBSCRIPTION_NOT_EXIST = 24,
        /// Broker has an older subVersion; heartbeat, retry.
        SUBSCRIPTION_NOT_LATEST = 25,
        /// The broker doesn't know the group.
        SUBSCRIPTION_GROUP_NOT_EXIST = 26,
        /// SQL filter data missing.
        FILTER_DATA_NOT_EXIST = 27,
        /// SQL filter data old.
        FILTER_DATA_NOT_LATEST = 28,
        /// A field has a value that can't be.
        INVALID_PARAMETER = 29,
        /// Historical.
        TRANSACTION_SHOULD_COMMIT = 200,
        /// Historical.
        TRANSACTION_SHOULD_ROLLBACK = 201,
        /// Historical.
        TRANSACTION_STATE_UNKNOW = 202,
        /// Historical.
        TRANSACTION_STATE_GROUP_WRONG = 203,
        /// Historical (in the retry set).
        NO_BUYER_ID = 204,
        /// Unit routing (in the retry set).
        NOT_IN_CURRENT_UNIT = 205,
        /// No consumer of the group is connected.
        CONSUMER_NOT_ONLINE = 206,
        /// Relay to client timed out.
        CONSUME_MSG_TIMEOUT = 207,
        /// Ack/change: offset out of range.
        NO_MESSAGE = 208,
        /// Too many waiting pops.
        POLLING_FULL = 209,
        /// Pop wait ended.
        POLLING_TIMEOUT = 210,
        /// Controller / proxy.
        BROKER_NOT_EXIST = 211,
        /// Controller switch.
        BROKER_DISPATCH_NOT_COMPLETE = 212,
        /// Made by admin tools themselves for broadcast groups.
        BROADCAST_CONSUMPTION = 213,
        /// Flow control by proxy/cloud; Java consumers retry the pull after 20 ms instead of the error delay.
        FLOW_CONTROL = 215,
        /// Static topic queue is not on this broker: refresh route.
        NOT_LEADER_FOR_QUEUE = 501,
        /// Recall handle / transaction.
        ILLEGAL_OPERATION = 604,
        /// Broker-internal RPC client.
        RPC_UNKNOWN = -1000,
        /// Between brokers.
        RPC_ADDR_IS_NULL = -1002,
        /// Between brokers.
        RPC_SEND_TO_CHANNEL_FAILED = -1004,
        /// Between brokers.
        RPC_TIME_OUT = -1006,
        /// The peer shuts down: connect again and resend.
        GO_AWAY = 1500,
        /// For controllers; clients don't see it.
        CONTROLLER_FENCED_MASTER_EPOCH = 2000,
        /// For controllers; clients don't see it.
        CONTROLLER_FENCED_SYNC_STATE_SET_EPOCH = 2001,
        /// For controllers; clients don't see it.
        CONTROLLER_INVALID_MASTER = 2002,
        /// For controllers; clients don't see it.
        CONTROLLER_INVALID_REPLICAS = 2003,
        /// For controllers; clients don't see it.
        CONTROLLER_MASTER_NOT_AVAILABLE = 2004,
        /// For controllers; clients don't see it.
        CONTROLLER_INVALID_REQUEST = 2005,
        /// For controllers; clients don't see it.
        CONTROLLER_BROKER_NOT_ALIVE = 2006,
        /// Admin: retry at the leader.
        CONTROLLER_NOT_LEADER = 2007,
        /// For controllers; clients don't see it.
        CONTROLLER_BROKER_METADATA_NOT_EXIST = 2008,
        /// For controllers; clients don't see it.
        CONTROLLER_INVALID_CLEAN_BROKER_METADATA = 2009,
        /// For controllers; clients don't see it.
        CONTROLLER_BROKER_NEED_TO_BE_REGISTERED = 2010,
        /// For controllers; clients don't see it.
        CONTROLLER_MASTER_STILL_EXIST = 2011,
        /// For controllers; clients don't see it.
        CONTROLLER_ELECT_MASTER_FAILED = 2012,
        /// For controllers; clients don't see it.
        CONTROLLER_ALTER_SYNC_STATE_SET_FAILED = 2013,
        /// For controllers; clients don't see it.
        CONTROLLER_BROKER_ID_INVALID = 2014,
        /// For controllers; clients don't see it.
        CONTROLLER_JRAFT_INTERNAL_ERROR = 2015,
        /// For controllers; clients don't see it.
        CONTROLLER_BROKER_LIVE_INFO_NOT_EXISTS = 2016,
        /// Defined; auth admin.
        USER_NOT_EXIST = 3001,
        /// Defined; auth admin.
        POLICY_NOT_EXIST = 3002,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn a_code_shows_its_number_and_name() {
        assert_eq!(RequestCode::SEND_MESSAGE_V2.to_string(), "310 SEND_MESSAGE_V2");
        assert_eq!(ResponseCode(-1000).to_string(), "-1000 RPC_UNKNOWN");
        assert_eq!(ResponseCode(12345).to_string(), "12345");
        assert_eq!(RequestCode(12345).name(), None);
    }
}
