//! Headers of administration: topics, groups, statistics, users.

use super::super::header::headers;
use alloc::borrow::Cow;

headers! {
    /// Creates or changes a topic; also [`RequestCode::UPDATE_AND_CREATE_STATIC_TOPIC`](crate::remoting::RequestCode::UPDATE_AND_CREATE_STATIC_TOPIC).
    CreateTopicRequestHeader<'a> = UPDATE_AND_CREATE_TOPIC + TopicRequestHeader {
        required topic: "topic" Cow<'a, str>,
        required default_topic: "defaultTopic" Cow<'a, str>,
        required read_queue_nums: "readQueueNums" i32,
        required write_queue_nums: "writeQueueNums" i32,
        required perm: "perm" i32,
        required topic_filter_type: "topicFilterType" Cow<'a, str>,
        optional topic_sys_flag: "topicSysFlag" i32,
        default(false) order: "order" bool,
        optional attributes: "attributes" Cow<'a, str>,
        default(false) force: "force" bool,
    }

    /// Creates or changes the topics of the body.
    CreateTopicListRequestHeader<'a> = UPDATE_AND_CREATE_TOPIC_LIST + RpcRequestHeader {
    }

    /// Deletes a topic.
    DeleteTopicRequestHeader<'a> = DELETE_TOPIC_IN_BROKER + TopicRequestHeader {
        required topic: "topic" Cow<'a, str>,
    }

    /// Asks for a topic's configuration.
    GetTopicConfigRequestHeader<'a> = GET_TOPIC_CONFIG + TopicRequestHeader {
        required topic: "topic" Cow<'a, str>,
    }

    /// Asks for a page of topic configurations.
    GetAllTopicConfigRequestHeader<'a> = GET_ALL_TOPIC_CONFIG {
        required topic_seq: "topicSeq" i32,
        optional data_version: "dataVersion" Cow<'a, str>,
        optional max_topic_num: "maxTopicNum" i32,
    }

    /// How many topics there are.
    GetAllTopicConfigResponseHeader {
        required total_topic_num: "totalTopicNum" i32,
    }

    /// Deletes a group.
    DeleteSubscriptionGroupRequestHeader<'a> = DELETE_SUBSCRIPTIONGROUP + RpcRequestHeader {
        required group_name: "groupName" Cow<'a, str>,
        default(false) clean_offset: "cleanOffset" bool,
    }

    /// Asks for a group's configuration, which may create it.
    GetSubscriptionGroupConfigRequestHeader<'a> = GET_SUBSCRIPTIONGROUP_CONFIG + RpcRequestHeader {
        required group: "group" Cow<'a, str>,
    }

    /// Asks for a page of group configurations.
    GetAllSubscriptionGroupRequestHeader<'a> = GET_ALL_SUBSCRIPTIONGROUP_CONFIG {
        required group_seq: "groupSeq" i32,
        optional data_version: "dataVersion" Cow<'a, str>,
        optional max_group_num: "maxGroupNum" i32,
    }

    /// How many groups there are.
    GetAllSubscriptionGroupResponseHeader {
        required total_group_num: "totalGroupNum" i32,
    }

    /// Sets or asks whether a group may read a topic.
    UpdateGroupForbiddenRequestHeader<'a> = UPDATE_AND_GET_GROUP_FORBIDDEN + TopicRequestHeader {
        required group: "group" Cow<'a, str>,
        required topic: "topic" Cow<'a, str>,
        optional readable: "readable" bool,
    }

    /// Asks for the offsets of a topic's queues.
    GetTopicStatsInfoRequestHeader<'a> = GET_TOPIC_STATS_INFO + TopicRequestHeader {
        required topic: "topic" Cow<'a, str>,
    }

    /// Asks how far a group has come.
    GetConsumeStatsRequestHeader<'a> = GET_CONSUME_STATS + TopicRequestHeader {
        required consumer_group: "consumerGroup" Cow<'a, str>,
        optional topic: "topic" Cow<'a, str>,
        optional topic_list: "topicList" Cow<'a, str>,
    }

    /// Asks which consumers are connected.
    GetConsumerConnectionListRequestHeader<'a> = GET_CONSUMER_CONNECTION_LIST + RpcRequestHeader {
        required consumer_group: "consumerGroup" Cow<'a, str>,
    }

    /// Asks which producers are connected.
    GetProducerConnectionListRequestHeader<'a> = GET_PRODUCER_CONNECTION_LIST + RpcRequestHeader {
        required producer_group: "producerGroup" Cow<'a, str>,
    }

    /// Asks which groups consume a topic.
    QueryTopicConsumeByWhoRequestHeader<'a> = QUERY_TOPIC_CONSUME_BY_WHO + TopicRequestHeader {
        required topic: "topic" Cow<'a, str>,
    }

    /// Asks which topics a group consumes.
    QueryTopicsByConsumerRequestHeader<'a> = QUERY_TOPICS_BY_CONSUMER + RpcRequestHeader {
        required group: "group" Cow<'a, str>,
    }

    /// Asks for a group's subscription.
    QuerySubscriptionByConsumerRequestHeader<'a> = QUERY_SUBSCRIPTION_BY_CONSUMER + TopicRequestHeader {
        required group: "group" Cow<'a, str>,
        optional topic: "topic" Cow<'a, str>,
    }

    /// Asks how far behind a group is, in time.
    QueryConsumeTimeSpanRequestHeader<'a> = QUERY_CONSUME_TIME_SPAN + TopicRequestHeader {
        required topic: "topic" Cow<'a, str>,
        required group: "group" Cow<'a, str>,
    }

    /// Asks which offsets a group would have to be corrected to.
    QueryCorrectionOffsetHeader<'a> = QUERY_CORRECTION_OFFSET + TopicRequestHeader {
        optional filter_groups: "filterGroups" Cow<'a, str>,
        required compare_group: "compareGroup" Cow<'a, str>,
        required topic: "topic" Cow<'a, str>,
    }

    /// Copies a group's offsets to another.
    CloneGroupOffsetRequestHeader<'a> = CLONE_GROUP_OFFSET + RpcRequestHeader {
        required src_group: "srcGroup" Cow<'a, str>,
        required dest_group: "destGroup" Cow<'a, str>,
        optional topic: "topic" Cow<'a, str>,
        default(false) offline: "offline" bool,
    }

    /// Asks for entries of a consume queue.
    QueryConsumeQueueRequestHeader<'a> = QUERY_CONSUME_QUEUE + TopicRequestHeader {
        optional topic: "topic" Cow<'a, str>,
        default(0) queue_id: "queueId" i32,
        default(0) index: "index" i64,
        default(0) count: "count" i32,
        optional consumer_group: "consumerGroup" Cow<'a, str>,
    }

    /// Has a half message checked again.
    ResumeCheckHalfMessageRequestHeader<'a> = RESUME_CHECK_HALF_MESSAGE {
        optional topic: "topic" Cow<'a, str>,
        optional msg_id: "msgId" Cow<'a, str>,
    }

    /// The version of the configuration in the body, as JSON.
    GetBrokerConfigResponseHeader<'a> {
        required version: "version" Cow<'a, str>,
    }

    /// Asks for one statistic of a broker.
    ViewBrokerStatsDataRequestHeader<'a> = VIEW_BROKER_STATS_DATA {
        required stats_name: "statsName" Cow<'a, str>,
        required stats_key: "statsKey" Cow<'a, str>,
    }

    /// Asks how far all groups of a broker have come.
    GetConsumeStatsInBrokerHeader = GET_BROKER_CONSUME_STATS {
        default(false) is_order: "isOrder" bool,
    }

    /// Asks whether both consume queue stores agree.
    CheckRocksdbCqWriteProgressRequestHeader<'a> = CHECK_ROCKSDB_CQ_WRITE_PROGRESS {
        required topic: "topic" Cow<'a, str>,
        default(0) check_store_time: "checkStoreTime" i64,
    }

    /// Has a broker write its configuration as JSON.
    ExportRocksDBConfigToJsonRequestHeader<'a> = EXPORT_ROCKSDB_CONFIG_TO_JSON {
        required config_type: "configType" Cow<'a, str>,
    }

    /// Sets how a broker reads its commit log.
    SetCommitLogReadModeRequestHeader<'a> = SET_COMMITLOG_READ_MODE {
        /// As `madvise` has it: `0` normal, `1` random.
        required read_ahead_mode: "READ_AHEAD_MODE" Cow<'a, str>,
    }

    /// Changes which of its two engines a broker keeps timer messages with.
    SwitchTimerEngineRequestHeader<'a> = SWITCH_TIMER_ENGINE {
        /// `R` for the RocksDB timeline, `F` for the file time wheel.
        required engine_type: "E_T" Cow<'a, str>,
    }

    /// Creates the user of the body.
    CreateUserRequestHeader<'a> = AUTH_CREATE_USER {
        optional username: "username" Cow<'a, str>,
    }

    /// Changes a user.
    UpdateUserRequestHeader<'a> = AUTH_UPDATE_USER {
        optional username: "username" Cow<'a, str>,
    }

    /// Deletes a user.
    DeleteUserRequestHeader<'a> = AUTH_DELETE_USER {
        optional username: "username" Cow<'a, str>,
    }

    /// Asks for a user.
    GetUserRequestHeader<'a> = AUTH_GET_USER {
        optional username: "username" Cow<'a, str>,
    }

    /// Asks for users.
    ListUsersRequestHeader<'a> = AUTH_LIST_USER {
        optional filter: "filter" Cow<'a, str>,
    }

    /// Adds permissions.
    CreateAclRequestHeader<'a> = AUTH_CREATE_ACL {
        optional subject: "subject" Cow<'a, str>,
    }

    /// Changes permissions, resource by resource.
    UpdateAclRequestHeader<'a> = AUTH_UPDATE_ACL {
        optional subject: "subject" Cow<'a, str>,
    }

    /// Removes permissions.
    DeleteAclRequestHeader<'a> = AUTH_DELETE_ACL {
        optional subject: "subject" Cow<'a, str>,
        optional policy_type: "policyType" Cow<'a, str>,
        optional resource: "resource" Cow<'a, str>,
    }

    /// Asks for a subject's permissions.
    GetAclRequestHeader<'a> = AUTH_GET_ACL {
        optional subject: "subject" Cow<'a, str>,
    }

    /// Asks for permissions.
    ListAclsRequestHeader<'a> = AUTH_LIST_ACL {
        optional subject_filter: "subjectFilter" Cow<'a, str>,
        optional resource_filter: "resourceFilter" Cow<'a, str>,
    }
}
