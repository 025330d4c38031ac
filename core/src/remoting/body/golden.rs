//! The bodies against what Java writes and reads.

extern crate std;
use super::*;
use crate::golden::each_vector;
use crate::time::Timestamp;
use alloc::{string::String, vec::Vec};
use serde_json::Value;

const BODIES: &str = include_str!("../../../../tests/golden/bodies.jsonl");

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The text without Java's `Properties`, whose order is that of a hash table.
fn without_properties(json: &str) -> String {
    let Some((before, rest)) = json.split_once(r#""properties":{"#) else { return json.into() };
    let (inside, after) = rest.split_once('}').unwrap();
    std::format!("{before}{}{after}", inside.len())
}

/// Reads a body and writes it again, as the class's name says.
fn rewrite(class: &str, json: &str, standard: bool) -> Option<String> {
    macro_rules! classes {
        ($($name:ident)*) => {
            match class {
                $(stringify!($name) => {
                    let body = $name::decode(json.as_bytes()).unwrap_or_else(|error| panic!("{class}: {error}: {json}"));
                    let bytes = if standard { body.encode_standard() } else { body.encode() };
                    Some(String::from_utf8(bytes.to_vec()).unwrap())
                })*
                _ => None,
            }
        };
    }
    classes! {
        HeartbeatData TopicRouteData ConsumerRunningInfo ConsumeMessageDirectlyResult LockBatchRequestBody
        LockBatchResponseBody ResetOffsetBody GetConsumerStatusBody ConsumeStats TopicStatsTable ClusterInfo
        RegisterBrokerBody TopicConfig KVTable TopicList QueryAssignmentResponseBody SubscriptionGroupConfig UserInfo
        AclInfo GetConsumerListByGroupResponseBody BatchAckMessageRequestBody CheckClientRequestBody
        ConsumerOffsetSerializeWrapper DelayOffsetSerializeWrapper QueryCorrectionOffsetBody ConsumeStatsList
        BrokerStatsData QueryConsumeQueueResponseBody TimerMetrics ConsumerConnection ProducerConnection
        ProducerTableInfo GroupList QuerySubscriptionResponseBody GroupForbidden GetBrokerMemberGroupResponseBody
        MessageRequestModeSerializeWrapper SubscriptionGroupWrapper TopicConfigAndMappingSerializeWrapper
        ResetOffsetBodyForC SubscriptionData HARuntimeInfo
    }
}

#[test]
fn every_body_java_writes_is_read_and_written_alike() {
    let mut deflated = 0;
    each_vector!("bodies.jsonl", |line: &Value| {
        let class = line["class"].as_str().unwrap();
        if let Some(text) = line["line"].as_str() {
            return assert_eq!(TopicConfig::from_line(text).unwrap().to_line(), text);
        }
        let Some(json) = line["json"].as_str() else {
            // The driver's test of compression reads it.
            assert!(line["hex"].is_string(), "{line}");
            deflated += 1;
            return;
        };
        let standard = line["note"].as_str().is_some_and(|note| note.starts_with("standard JSON"));
        let again = rewrite(class, json, standard).unwrap_or_else(|| panic!("no body for {class}"));
        assert_eq!(without_properties(&again), without_properties(json), "{class}");
        assert_eq!(rewrite(class, json, standard), rewrite(class, &again, standard), "{class}");
    });
    assert_eq!(deflated, 1);
}

/// What a broker and a name server 5.4.0 answered, shortened to one entry each.
const ANSWERS: &[(&str, &str)] = &[
    (
        "ConsumerOffsetSerializeWrapper",
        r#"{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":3},"groupTopicMap":{"CG":["T"]},"offsetTable":{"T@CG":{0:1}}}"#,
    ),
    ("ConsumerOffsetSerializeWrapper", r#"{"offsetTable":{}}"#),
    ("DelayOffsetSerializeWrapper", r#"{"offsetTable":{3:7}}"#),
    ("QueryCorrectionOffsetBody", r#"{"correctionOffsets":{0:1}}"#),
    (
        "ConsumeStatsList",
        r#"{"brokerAddr":"127.0.0.1:10911","consumeStatsList":[{"CG":[{"consumeTps":0.033,"offsetTable":{{"brokerName":"broker-a","queueId":0,"topic":"T"}:{"brokerOffset":4,"consumerOffset":1,"lastTimestamp":1795247041315,"pullOffset":2}}}]},{"OTHER":[]}],"totalDiff":6,"totalInflightDiff":-1}"#,
    ),
    (
        "BrokerStatsData",
        r#"{"statsDay":{"avgpt":0.0,"sum":0,"tps":0.0},"statsHour":{"avgpt":0.0,"sum":0,"tps":0.0},"statsMinute":{"avgpt":1.0,"sum":2,"tps":0.033}}"#,
    ),
    (
        "QueryConsumeQueueResponseBody",
        r#"{"filterData":"null","maxQueueIndex":4,"minQueueIndex":0,"queueData":[{"eval":false,"physicOffset":0,"physicSize":240,"tagsCode":3552231}]}"#,
    ),
    (
        "TimerMetrics",
        r#"{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":3},"timingCount":{"T":{"count":1,"timeStamp":5}}}"#,
    ),
    (
        "ConsumerConnection",
        r#"{"connectionSet":[{"clientAddr":"127.0.0.1:34576","clientId":"127.0.0.1@proto","language":"JAVA","version":493}],"consumeFromWhere":"CONSUME_FROM_LAST_OFFSET","consumeType":"CONSUME_PASSIVELY","messageModel":"CLUSTERING","subscriptionTable":{}}"#,
    ),
    ("ProducerConnection", r#"{"connectionSet":[]}"#),
    (
        "ProducerTableInfo",
        r#"{"data":{"PG":[{"clientId":"127.0.0.1@proto","language":"JAVA","lastUpdateTimestamp":5,"remoteIP":"/127.0.0.1:34576","version":493}]}}"#,
    ),
    ("GroupList", r#"{"groupList":["CG"]}"#),
    ("TopicList", r#"{"brokerAddr":"127.0.0.1:10911","topicList":["T"]}"#),
    ("QuerySubscriptionResponseBody", r#"{"group":"g","topic":"t"}"#),
    ("GroupForbidden", r#"{"group":"g","readable":true,"topic":"t"}"#),
    (
        "GetBrokerMemberGroupResponseBody",
        r#"{"brokerMemberGroup":{"brokerAddrs":{0:"127.0.0.1:1",1:"127.0.0.1:2"},"brokerName":"b","cluster":"c"}}"#,
    ),
    (
        "MessageRequestModeSerializeWrapper",
        r#"{"messageRequestModeMap":{"T":{"G":{"consumerGroup":"G","mode":"POP","popShareQueueNum":-1,"topic":"T"}}}}"#,
    ),
    (
        "SubscriptionGroupWrapper",
        r#"{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":3},"forbiddenTable":{},"subscriptionGroupTable":{}}"#,
    ),
    (
        "TopicConfigAndMappingSerializeWrapper",
        r#"{"dataVersion":{"counter":1,"stateVersion":0,"timestamp":3},"mappingDataVersion":{"counter":0,"stateVersion":0,"timestamp":0},"topicConfigTable":{"T":{"attributes":{"message.type":"FIFO"},"order":false,"perm":6,"readQueueNums":2,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,"writeQueueNums":2}}}"#,
    ),
    (
        "TopicConfig",
        r#"{"attributes":{},"mappingDetail":{"bname":"broker-a","currIdMap":{},"dirty":false,"epoch":3,"hostedQueues":{},"scope":"__global__","topic":"T","totalQueues":2},"order":false,"perm":6,"readQueueNums":4,"topicFilterType":"SINGLE_TAG","topicName":"T","topicSysFlag":0,"writeQueueNums":4}"#,
    ),
    (
        "HARuntimeInfo",
        r#"{"haClientRuntimeInfo":{"lastReadTimestamp":1700000000000,"lastWriteTimestamp":1700000000001,"masterAddr":"127.0.0.1:2","masterFlushOffset":0,"maxOffset":9,"transferredByteInSecond":10},"haConnectionInfo":[{"addr":"127.0.0.1:1","diff":6,"inSync":true,"slaveAckOffset":5,"transferFromWhere":8,"transferredByteInSecond":7}],"inSyncSlaveNums":1,"master":true,"masterCommitLogMaxOffset":2511}"#,
    ),
    ("ResetOffsetBodyForC", r#"{"offsetTable":[{"brokerName":"b","offset":4,"queueId":0,"topic":"T"}]}"#),
    (
        "SubscriptionData",
        r#"{"classFilterMode":false,"codeSet":[2598919,2598920],"expressionType":"TAG","subString":"TagA || TagB","subVersion":1700000000000,"tagsSet":["TagA","TagB"],"topic":"TopicGolden"}"#,
    ),
];

#[test]
fn what_servers_answer_loses_nothing_by_being_read() {
    for (class, json) in ANSWERS {
        assert_eq!(rewrite(class, json, false).as_deref(), Some(*json), "{class}");
    }
}

#[test]
fn a_group_of_which_only_the_name_is_given_is_javas_default() {
    let default = lines(BODIES).into_iter().find(|line| line["class"] == "SubscriptionGroupConfig").unwrap();
    let default = default["json"].as_str();
    assert_eq!(rewrite("SubscriptionGroupConfig", r#"{"groupName":"cg"}"#, false).as_deref(), default);
}

#[test]
fn a_heartbeats_fingerprint_is_javas() {
    let mut seen = 0;
    for line in lines(BODIES) {
        if let Some(fingerprint) = line["fingerprint"].as_i64() {
            let data = HeartbeatData::decode(line["json"].as_str().unwrap().as_bytes()).unwrap();
            assert_eq!(i64::from(data.fingerprint()), fingerprint);
            seen += 1;
        }
    }
    assert_eq!(seen, 1);
}

#[test]
fn bit_sets_are_javas() {
    let mut seen = 0;
    for line in lines(BODIES) {
        let Some(bits) = line["bits"].as_array() else { continue };
        let bits: Vec<u32> = bits.iter().map(|bit| bit.as_u64().unwrap().try_into().unwrap()).collect();
        let body = BatchAckMessageRequestBody::decode(line["json"].as_str().unwrap().as_bytes()).unwrap();
        assert_eq!(body.acks[0].bit_set.iter().collect::<Vec<_>>(), bits);
        assert_eq!(body.acks[0].bit_set, bits.into_iter().collect());
        seen += 1;
    }
    assert_eq!(seen, 7);
}

#[test]
fn a_line_that_is_too_short_is_no_topic() {
    assert_eq!(TopicConfig::from_line("T 4 4"), None);
}

/// What the compressed registration of `bodies.jsonl` holds once inflated.
const INFLATED: &[u8] = b"\0\0\08{\"counter\":3,\"stateVersion\":1,\"timestamp\":1700000000000}\
    \0\0\0\x02\0\0\0\x16T1 4 4 6 SINGLE_TAG {}\0\0\0\x16T2 8 2 6 SINGLE_TAG {}\
    \0\0\0\x02[]\0\0\0\0";

#[test]
fn a_compressed_registration_is_read_once_inflated() {
    let body = RegisterBrokerBody::decode_inflated(INFLATED, crate::remoting::VERSION).unwrap();
    let wrapper = &body.topic_config_serialize_wrapper;
    let queues =
        |name: &str| wrapper.topic_config_table.get(name).map(|t| (t.read_queue_nums, t.write_queue_nums));
    assert_eq!((queues("T1"), queues("T2"), queues("T3")), (Some((4, 4)), Some((8, 2)), None));
    assert_eq!((wrapper.data_version.counter, wrapper.data_version.timestamp), (3, 1_700_000_000_000));
    assert_eq!(body.encode_inflated(), INFLATED);
    for len in 0..INFLATED.len() {
        assert!(RegisterBrokerBody::decode_inflated(&INFLATED[..len], crate::remoting::VERSION).is_err());
    }
    // Before 5.0 the last part isn't there.
    let old = &INFLATED[..INFLATED.len() - 4];
    assert_eq!(
        RegisterBrokerBody::decode_inflated(old, 401).unwrap().filter_server_list,
        body.filter_server_list
    );
}

#[test]
fn subscriptions_are_built_as_java_builds_them() {
    let (mut good, mut bad) = (0, 0);
    each_vector!("subscription.jsonl", |line: &Value| {
        let built = SubscriptionData::build(
            "TopicGolden",
            line["sub_string"].as_str(),
            line["type"].as_str(),
            Timestamp::from_millis(1_700_000_000_000),
        );
        if line["ok"] == false {
            assert!(built.is_err(), "{line}");
            bad += 1;
            return;
        }
        let built = built.unwrap_or_else(|error| panic!("{line}: {error}"));
        let strings = |key: &str| {
            line[key].as_array().unwrap().iter().map(|tag| tag.as_str().unwrap().into()).collect()
        };
        assert_eq!(built.tags_set, strings("tags_set_sorted"), "{line}");
        let codes: Vec<i64> =
            line["code_set_sorted"].as_array().unwrap().iter().map(|code| code.as_i64().unwrap()).collect();
        assert_eq!(built.code_set.iter().map(|&code| i64::from(code)).collect::<Vec<_>>(), codes, "{line}");
        assert_eq!(&*built.sub_string, line["out_sub_string"].as_str().unwrap(), "{line}");
        assert_eq!(&*built.expression_type, line["expression_type"].as_str().unwrap(), "{line}");
        if let Some(json) = line["json"].as_str() {
            assert_eq!(SubscriptionData::decode(json.as_bytes()), Ok(built), "{line}");
        }
        good += 1;
    });
    assert!(good > 0 && bad > 0);
}

#[test]
fn nulls_leave_the_defaults() {
    let group =
        SubscriptionGroupConfig::decode(br#"{"groupName":"g","retryMaxTimes":null,"unknown":[{}]}"#).unwrap();
    assert_eq!((group.retry_max_times, group.consume_enable), (16, true));
}

#[test]
fn an_offset_reset_is_read_in_both_forms() {
    let list = br#"{"offsetTable":[{"brokerName":"b","offset":4,"queueId":0,"topic":"T"}]}"#;
    let map = br#"{"offsetTable":{{"brokerName":"b","queueId":0,"topic":"T"}:4}}"#;
    assert_eq!(ResetOffsetBody::decode_any(list), ResetOffsetBody::decode_any(map));
    assert_eq!(ResetOffsetBody::decode_any(map), ResetOffsetBody::decode(map));
}

#[test]
fn a_password_is_not_in_debug() {
    let user = UserInfo::decode(br#"{"password":"p4ss","username":"u"}"#).unwrap();
    assert!(!std::format!("{user:?}").contains("p4ss"));
}
