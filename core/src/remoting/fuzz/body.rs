//! Bodies: what could be read is written and read again.

use super::super::{
    AclInfo, HeartbeatData, RegisterBrokerBody, ResetOffsetBody, SubscriptionData, TopicConfig, UserInfo,
    VERSION, body,
    json::{FromJson, JsonError, JsonProblem, JsonReader, JsonWriter, ToJson},
};
use crate::time::Timestamp;
use alloc::format;
use bytes::BytesMut;
use core::fmt::Debug;

/// Reads `bytes` as every kind of body, and writes what could be read.
///
/// # Panics
/// When what was written doesn't read back.
#[doc(hidden)]
pub fn fuzz_body(bytes: &[u8]) {
    for check in body::PROBES.iter().copied().flatten() {
        check(bytes);
    }
    if let Ok(body) = ResetOffsetBody::decode(bytes) {
        assert_eq!(ResetOffsetBody::decode_any(bytes), Ok(body), "one of the forms is read by both");
    }
    let _ = (ResetOffsetBody::decode_any(bytes), AclInfo::decode_list(bytes), UserInfo::decode_list(bytes));
    if let Ok(data) = HeartbeatData::decode(bytes) {
        let silent =
            HeartbeatData { heartbeat_fingerprint: data.fingerprint(), without_sub: true, ..data.clone() };
        assert_eq!(silent.fingerprint(), data.fingerprint(), "a fingerprint doesn't depend on itself");
    }
    registration(bytes);
    texts(bytes);
}

/// One body: what could be read is written, as Java does and as standard JSON, and both read back.
pub(in crate::remoting) fn check_body<T: FromJson + ToJson + PartialEq + Debug>(bytes: &[u8]) {
    let Ok(body) = JsonReader::whole::<T>(bytes) else { return };
    // A text that says nothing this body knows; nearly all do.
    if body == T::default() {
        return;
    }
    let again = match reread(&body, false) {
        Ok(again) => again,
        // What was written may be shorter than what was read, and may take less memory then.
        Err(JsonError { problem: JsonProblem::Memory, .. }) => return,
        Err(error) => panic!("{error}: {body:?} doesn't read back"),
    };
    if again != body {
        // An unknown name is left out, as null is in Java, and reads as the default.
        assert!(format!("{body:?}").contains("Unknown"), "{body:?} became {again:?}");
        assert_eq!(reread(&again, false).as_ref(), Ok(&again), "the second time");
    }
    assert_eq!(reread(&body, true).as_ref(), Ok(&again), "as standard JSON");
}

fn reread<T: FromJson + ToJson>(body: &T, standard: bool) -> Result<T, JsonError> {
    JsonReader::whole(&written(body, standard))
}

fn written(body: &impl ToJson, standard: bool) -> BytesMut {
    let mut writer = JsonWriter::new(standard);
    body.to_json(&mut writer);
    writer.into_bytes()
}

fn registration(bytes: &[u8]) {
    for version in [VERSION, 0] {
        let Ok(body) = RegisterBrokerBody::decode_inflated(bytes, version) else { continue };
        let topics = &body.topic_config_serialize_wrapper.topic_config_table;
        let blank = |text: &str| text.contains(' ');
        // As Java writes it, a blank in an attribute ends the line.
        if topics.values().flat_map(|topic| &topic.attributes).any(|(key, value)| blank(key) || blank(value))
        {
            continue;
        }
        let mut expected = body.clone();
        expected.topic_config_serialize_wrapper.topic_queue_mapping_info_map.get_or_insert_default();
        let again = RegisterBrokerBody::decode_inflated(&body.encode_inflated(), VERSION);
        if !again.as_ref().is_err_and(|error| format!("{error}").contains("memory")) {
            assert_eq!(again, Ok(expected));
        }
    }
}

fn texts(bytes: &[u8]) {
    let Ok(text) = core::str::from_utf8(bytes) else { return };
    if let Some(topic) = TopicConfig::from_line(text) {
        let _ = TopicConfig::from_line(&topic.to_line());
    }
    let built = SubscriptionData::build("T", Some(text), None, Timestamp::from_millis(0));
    if let Ok(subscription) = built {
        let again =
            SubscriptionData::build("T", Some(&subscription.sub_string), None, Timestamp::from_millis(0));
        assert_eq!(again, Ok(subscription), "an expression that was built builds the same");
    }
}
