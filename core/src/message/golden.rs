//! Vectors made by the Java client and its broker, both ways where a vector has two.

extern crate std;

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use bytes::{Bytes, BytesMut};
use serde_json::Value;

use super::*;
use crate::golden::each_vector;
use crate::time::Timestamp;

fn text<'a>(vector: &'a Value, field: &str) -> &'a str {
    vector[field].as_str().unwrap_or_else(|| panic!("{field} of {vector}"))
}

fn number<T: TryFrom<i64>>(vector: &Value, field: &str) -> T {
    let number = vector[field].as_i64().unwrap_or_else(|| panic!("{field} of {vector}"));
    T::try_from(number).unwrap_or_else(|_| panic!("{field} of {vector} is out of range"))
}

fn hex(vector: &Value, field: &str) -> Bytes {
    let digits = text(vector, field);
    (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect()
}

/// A map of texts; Java has none at all where nothing is in it.
fn map(value: &Value) -> BTreeMap<String, String> {
    if value.is_null() {
        return BTreeMap::new();
    }
    let pairs = value.as_object().unwrap_or_else(|| panic!("{value} is no map"));
    pairs.iter().map(|(name, value)| (name.clone(), value.as_str().unwrap().to_string())).collect()
}

fn collected(properties: &Properties) -> BTreeMap<String, String> {
    properties.iter().map(|(name, value)| (name.to_string(), value.to_string())).collect()
}

#[test]
fn properties_decode_and_encode_as_in_java() {
    each_vector!("properties.jsonl", |vector| {
        let wire = text(vector, "string");
        let (decoded, given) = match text(vector, "kind") {
            "encode" => (&vector["decoded_back"], Some(vector["map"].as_object().unwrap())),
            _ => (&vector["decoded"], None),
        };
        let parsed = Properties::parse(wire);
        assert_eq!(collected(&parsed), map(decoded), "{vector}");
        for (name, value) in map(decoded) {
            assert_eq!(properties::find(wire, &name), Some(value.as_str()), "{vector}");
        }
        let Some(given) = given else { return };
        let mut built = Properties::new();
        let mut refused = false;
        for (name, value) in given {
            // Java skips null values; so does whoever never sets them.
            if let Some(value) = value.as_str() {
                refused |= built.set(name, value).is_err();
            }
        }
        // What Java writes and can't read back is refused here.
        let lossy = given
            .iter()
            .any(|(name, value)| value.as_str().is_some_and(|value| decoded[name].as_str() != Some(value)));
        assert_eq!(refused, lossy, "{vector}");
        if !lossy {
            assert_eq!(built.as_str(), wire);
        }
    });
}

#[test]
fn string_hashes_and_tag_codes_are_javas() {
    each_vector!("string_hash.jsonl", |vector| {
        let string = String::from_utf8(hex(vector, "utf8_hex").to_vec()).unwrap();
        assert_eq!(java_string_hash(&string), number::<i32>(vector, "hash"), "{vector}");
        assert_eq!(tags_code(&string), number::<i64>(vector, "tags_code"), "{vector}");
    });
}

#[test]
fn batch_bodies_are_byte_for_byte_javas() {
    each_vector!("batch_bodies.jsonl", |vector| {
        let body = hex(vector, "body_hex");
        let expected = vector["messages"].as_array().unwrap();
        let items: Vec<_> = decode_batch(body.clone()).map(Result::unwrap).collect();
        assert_eq!(items.len(), expected.len());
        let mut messages = Vec::new();
        for (item, expected) in items.iter().zip(expected) {
            assert_eq!(item.flag, number::<i32>(expected, "flag"));
            assert_eq!(item.body, hex(expected, "body_hex"));
            assert_eq!(collected(&item.properties()), map(&expected["properties"]));
            let mut message = Message::new("t", item.body.clone()).flag(item.flag);
            message.properties = item.properties();
            messages.push(message);
        }
        let mut out = BytesMut::new();
        encode_batch(&mut out, &messages).unwrap();
        assert_eq!(out.freeze(), body);
    });
}

fn host(decoded: &Value, name: &str) -> SocketAddr {
    let ip: IpAddr = text(decoded, &alloc::format!("{name}_host")).parse().unwrap();
    SocketAddr::new(ip, number(decoded, &alloc::format!("{name}_port")))
}

/// All that Java's decoder says of a message, except a body it has inflated.
fn assert_decoded(message: &StoredMessage, expected: &Value) {
    assert_eq!(message.queue_id, number::<i32>(expected, "queue_id"));
    assert_eq!(message.flag, number::<i32>(expected, "flag"));
    assert_eq!(message.queue_offset, number::<i64>(expected, "queue_offset"));
    assert_eq!(message.commit_log_offset, number::<i64>(expected, "commit_log_offset"));
    assert_eq!(message.sys_flag & !sys_flag::COMPRESSED, number::<i32>(expected, "sys_flag_after"));
    assert_eq!(message.born_timestamp.as_millis(), number::<i64>(expected, "born_timestamp"));
    assert_eq!(message.born_host, host(expected, "born"));
    assert_eq!(message.store_timestamp.as_millis(), number::<i64>(expected, "store_timestamp"));
    assert_eq!(message.store_host, host(expected, "store"));
    assert_eq!(message.reconsume_times, number::<i32>(expected, "reconsume_times"));
    let prepared = number::<i64>(expected, "prepared_transaction_offset");
    assert_eq!(message.prepared_transaction_offset, prepared);
    assert_eq!(message.body_crc, number::<i32>(expected, "body_crc"));
    assert_eq!(message.topic(), text(expected, "topic"));
    let properties = Properties::parse(message.properties_text());
    assert_eq!(collected(&properties), map(&expected["properties"]));
    for (name, value) in &properties {
        assert_eq!(message.property(name), Some(value));
    }
    if expected["body_hex"].is_null() {
        assert!(message.raw_body().is_empty());
    } else if !message.is_compressed() {
        assert_eq!(message.raw_body(), &hex(expected, "body_hex"));
    }
}

fn assert_ids(message: &StoredMessage, expected: &Value) {
    assert_eq!(message.offset_msg_id(), text(expected, "offset_msg_id"));
    assert_eq!(message.msg_id(), text(expected, "client_msg_id"));
    assert_eq!(message.record_bytes(), number::<usize>(expected, "store_size"));
}

fn reencoded(message: &StoredMessage) -> BytesMut {
    let record = StoredRecord {
        queue_id: message.queue_id,
        flag: message.flag,
        queue_offset: message.queue_offset,
        commit_log_offset: message.commit_log_offset,
        sys_flag: message.sys_flag,
        born_timestamp: message.born_timestamp,
        born_host: message.born_host,
        store_timestamp: message.store_timestamp,
        store_host: message.store_host,
        reconsume_times: message.reconsume_times,
        prepared_transaction_offset: message.prepared_transaction_offset,
        body: message.raw_body(),
        topic: message.topic(),
        properties: message.properties_text(),
    };
    let mut out = BytesMut::new();
    encode_stored(&mut out, &record).unwrap();
    out
}

#[test]
fn stored_messages_decode_and_encode_as_in_java() {
    each_vector!("messages.jsonl", |vector| {
        let encoded = hex(vector, "encoded_hex");
        if let Some(count) = vector["count"].as_u64() {
            let ids: Vec<_> =
                StoredMessages::new(encoded).map(|m| m.unwrap().offset_msg_id().to_string()).collect();
            assert_eq!(ids.len() as u64, count);
            assert_eq!(Value::from(ids), vector["offset_msg_ids"]);
            return;
        }
        let message = StoredMessage::decode(&encoded).unwrap();
        assert_decoded(&message, &vector["decoded"]);
        assert_ids(&message, &vector["decoded"]);
        assert_eq!(message.sys_flag, number::<i32>(vector, "sys_flag"));
        message.check_crc().unwrap();
        assert_eq!(reencoded(&message), encoded, "{}", vector["name"]);

        let scanned = scan_stored(&encoded).next().unwrap().unwrap();
        assert_eq!(scanned.range, 0..encoded.len());
        assert_eq!(scanned.queue_offset, message.queue_offset);
        assert_eq!(scanned.body_len, message.raw_body().len());
        assert_eq!(scanned.tags.map(|tags| &encoded[tags]), message.tags().map(str::as_bytes));

        let expanded: Vec<_> = StoredMessages::new(encoded).map(Result::unwrap).collect();
        match vector["unwrapped"].as_array() {
            Some(members) => {
                assert_eq!(expanded.len(), members.len());
                assert_eq!(scanned.messages as usize, members.len());
                expanded.iter().zip(members).for_each(|(member, expected)| assert_decoded(member, expected));
            }
            None => assert_eq!(expanded, [message]),
        }
    });
}

#[test]
fn ids_and_handles_are_javas() {
    let mut kinds = BTreeSet::new();
    each_vector!("message_ids.jsonl", |vector| {
        kinds.insert(text(vector, "kind").to_string());
        match text(vector, "kind") {
            "offset_msg_id" => {
                let ip: IpAddr = text(vector, "host").parse().unwrap();
                let store_host = SocketAddr::new(ip, number(vector, "port"));
                let commit_log_offset = number(vector, "offset");
                let id = text(vector, "id");
                assert_eq!(offset_msg_id(store_host, commit_log_offset), id);
                assert_eq!(parse_offset_msg_id(id), Some(OffsetMsgId { store_host, commit_log_offset }));
            }
            "uniq_key" => {
                let parts = UniqKey {
                    ip: text(vector, "ip").parse().unwrap(),
                    pid: number(vector, "pid"),
                    random: number(vector, "loader_hash"),
                    ms_of_month: number(vector, "diff_ms"),
                    counter: number(vector, "counter"),
                };
                assert_eq!(UniqKey::parse(text(vector, "id")), Some(parts));
                assert_eq!(parts.to_id(), text(vector, "id"));
            }
            "uniq_key_live" => {
                let parts = UniqKey::parse(text(vector, "id")).unwrap();
                assert_eq!(parts.pid, number::<u16>(vector, "pid"));
                assert_eq!(parts.to_id(), text(vector, "id"));
            }
            "recall_handle" => {
                let handle = RecallHandle {
                    topic: text(vector, "topic").into(),
                    broker_name: text(vector, "broker_name").into(),
                    deliver_at: Timestamp::from_millis(text(vector, "timestamp").parse().unwrap()),
                    uniq_key: text(vector, "message_id").into(),
                };
                assert_eq!(handle.encode(), text(vector, "handle"));
                assert_eq!(RecallHandle::parse(text(vector, "handle")), Ok(handle));
            }
            "pop_ck" => check_pop_handle(vector),
            "pop_start_offset_info" => {
                let parsed = pop::parse_start_offset_info(text(vector, "info")).unwrap();
                assert_eq!(pop::format_start_offset_info(&parsed), text(vector, "info"));
                assert_parsed(vector, parsed.into_iter().map(|(queue, v)| (queue_key(queue), v.into())));
            }
            "pop_msg_offset_info" => {
                let parsed = pop::parse_msg_offset_info(text(vector, "info")).unwrap();
                assert_eq!(pop::format_msg_offset_info(&parsed), text(vector, "info"));
                assert_parsed(vector, parsed.into_iter().map(|(queue, v)| (queue_key(queue), v.into())));
            }
            "pop_order_count_info" => {
                let parsed = pop::parse_order_count_info(text(vector, "info")).unwrap();
                assert_eq!(pop::format_order_count_info(&parsed), text(vector, "info"));
                assert_parsed(vector, parsed.into_iter().map(|(key, v)| (count_key(key), v.into())));
            }
            "vip_addr" => {
                let vip = names::vip_channel(text(vector, "addr"));
                assert_eq!(vip.as_deref(), vector["vip"].as_str());
            }
            kind => panic!("an unknown kind of vector: {kind}"),
        }
    });
    assert_eq!(kinds.len(), 9, "{kinds:?}");
}

fn check_pop_handle(vector: &Value) {
    let with = pop::PopHandle {
        start_offset: number(vector, "ck_queue_offset"),
        pop_time: Timestamp::from_millis(number(vector, "pop_time")),
        invisible_time_ms: number(vector, "invisible_time"),
        revive_queue_id: number(vector, "revive_qid"),
        retry_mark: pop::RetryMark::of(text(vector, "topic")),
        broker_name: text(vector, "broker_name").into(),
        queue_id: number(vector, "queue_id"),
        queue_offset: Some(number(vector, "msg_queue_offset")),
    };
    let without = pop::PopHandle { queue_offset: None, ..with.clone() };
    for (handle, field) in [(with, "ck8"), (without, "ck7")] {
        assert_eq!(handle.to_string(), text(vector, field));
        assert_eq!(text(vector, field).parse(), Ok(handle));
    }
}

fn assert_parsed(vector: &Value, parsed: impl Iterator<Item = (String, Value)>) {
    assert_eq!(Value::Object(parsed.collect()), vector["parsed"], "{vector}");
}

fn queue_key(queue: pop::PopQueue) -> String {
    alloc::format!("{}@{}", queue.retry_mark as u8, queue.queue_id)
}

fn count_key(key: pop::OrderCountKey) -> String {
    let pop::PopQueue { retry_mark, queue_id } = key.queue;
    match key.queue_offset {
        Some(offset) => alloc::format!("{}@qo{queue_id}%{offset}", retry_mark as u8),
        None => queue_key(key.queue),
    }
}

#[test]
fn namespaces_and_names_are_javas() {
    each_vector!("names.jsonl", |vector| {
        if text(vector, "kind") == "namespace" {
            let (namespace, resource) = (text(vector, "namespace"), text(vector, "resource"));
            assert_eq!(names::wrap_namespace(namespace, resource), text(vector, "wrap"), "{vector}");
            assert_eq!(names::unwrap_namespace(namespace, resource), text(vector, "without_ns"), "{vector}");
            assert_eq!(names::strip_namespace(resource), text(vector, "without"), "{vector}");
            let inside = names::is_in_namespace(namespace, resource);
            assert_eq!(Some(inside), vector["already"].as_bool(), "{vector}");
            assert_eq!(names::namespace_of(resource), text(vector, "ns_of"), "{vector}");
            return;
        }
        let name = vector["name"].as_str().unwrap_or_default();
        let expect = |field: &str| vector[field].as_bool().unwrap();
        assert_eq!(validate::check_broker_topic(name).is_ok(), expect("topic_valid"), "{vector}");
        assert_eq!(check_topic(name).is_ok(), expect("topic_valid") && name.len() <= 127, "{vector}");
        assert_eq!(check_group(name).is_ok(), expect("group_valid"), "{vector}");
        assert_eq!(names::is_system_topic(name), expect("system_topic"), "{vector}");
        assert_eq!(names::is_not_allowed_send(name), expect("not_allowed_send"), "{vector}");
    });
}

fn trace_msg_type(ordinal: u8) -> trace::TraceMsgType {
    match ordinal {
        0 => trace::TraceMsgType::Normal,
        1 => trace::TraceMsgType::TransHalf,
        2 => trace::TraceMsgType::TransCommit,
        3 => trace::TraceMsgType::Delay,
        _ => trace::TraceMsgType::Order,
    }
}

/// The records that Java makes of one context: one for each bean.
fn trace_records(vector: &Value) -> Vec<trace::TraceRecord> {
    let timestamp = Timestamp::from_millis(number(vector, "time_stamp"));
    let of = |field: &str| text(vector, field).to_string();
    let success = vector["success"].as_bool().unwrap();
    let records = vector["beans"].as_array().unwrap().iter().map(|bean| {
        let bean_of = |field: &str| text(bean, field).to_string();
        let opt_of = |field: &str| bean[field].as_str().map(ToString::to_string);
        let msg_type = trace_msg_type(number(bean, "msg_type_ordinal"));
        match text(vector, "type") {
            "Pub" => trace::TraceRecord::Pub(trace::PubTrace {
                timestamp,
                region_id: of("region_id"),
                group: of("group"),
                topic: bean_of("topic"),
                msg_id: bean_of("msg_id"),
                tags: opt_of("tags"),
                keys: opt_of("keys"),
                store_host: bean_of("store_host"),
                body_length: number(bean, "body_length"),
                cost_time_ms: number(vector, "cost_time"),
                msg_type,
                offset_msg_id: opt_of("offset_msg_id"),
                success,
            }),
            "SubBefore" => trace::TraceRecord::SubBefore(trace::SubBeforeTrace {
                timestamp,
                region_id: of("region_id"),
                group: of("group"),
                request_id: of("request_id"),
                msg_id: bean_of("msg_id"),
                retry_times: number(bean, "retry_times"),
                keys: opt_of("keys"),
            }),
            "SubAfter" => trace::TraceRecord::SubAfter(trace::SubAfterTrace {
                request_id: of("request_id"),
                msg_id: bean_of("msg_id"),
                cost_time_ms: number(vector, "cost_time"),
                success,
                keys: opt_of("keys"),
                context_code: number(vector, "context_code"),
                ended: (text(vector, "access_channel") != "CLOUD").then(|| (timestamp, of("group"))),
            }),
            "EndTransaction" => trace::TraceRecord::EndTransaction(trace::EndTransactionTrace {
                timestamp,
                region_id: of("region_id"),
                group: of("group"),
                topic: bean_of("topic"),
                msg_id: bean_of("msg_id"),
                tags: opt_of("tags"),
                keys: opt_of("keys"),
                store_host: bean_of("store_host"),
                msg_type,
                transaction_id: bean_of("transaction_id"),
                transaction_state: bean_of("transaction_state"),
                from_transaction_check: bean["from_transaction_check"].as_bool().unwrap(),
            }),
            "Recall" => trace::TraceRecord::Recall(trace::RecallTrace {
                timestamp,
                region_id: of("region_id"),
                group: of("group"),
                topic: bean_of("topic"),
                msg_id: bean_of("msg_id"),
                success,
            }),
            kind => panic!("an unknown type of trace: {kind}"),
        }
    });
    records.collect()
}

#[test]
fn trace_records_are_byte_for_byte_javas() {
    let mut types = BTreeSet::new();
    each_vector!("trace.jsonl", |vector| {
        types.insert(text(vector, "type").to_string());
        let records = trace_records(vector);
        let mut body = String::new();
        records.iter().for_each(|record| record.encode_into(&mut body));
        assert_eq!(body.as_bytes(), hex(vector, "data_hex"), "{vector}");
        let decoded: Vec<_> = trace::decode_trace(&body).map(Result::unwrap).collect();
        assert_eq!(decoded, records);
        let keys: BTreeSet<_> = records.iter().flat_map(trace::TraceRecord::keys).collect();
        let expected = vector["keys"].as_array().unwrap().iter().map(|key| key.as_str().unwrap());
        // Whoever recalls a message knows its id only.
        let of_recall = text(vector, "type") == "Recall";
        let expected: BTreeSet<_> = expected.take(if of_recall { 1 } else { usize::MAX }).collect();
        assert_eq!(keys, expected, "{vector}");
    });
    assert_eq!(types.len(), 5, "{types:?}");
}

mod fuzz_entry {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_bytes_and_any_damage_to_real_messages_are_harmless(
            line in 0..40_usize, flips in proptest::collection::vec((any::<u16>(), any::<u8>()), 0..4), cut: u16,
        ) {
            let text = include_str!("../../../tests/golden/messages.jsonl").lines().nth(line).unwrap();
            let mut bytes = hex(&serde_json::from_str(text).unwrap(), "encoded_hex").to_vec();
            for (at, byte) in flips {
                let len = bytes.len();
                bytes[usize::from(at) % len] = byte;
            }
            if cut % 4 == 0 {
                let len = bytes.len();
                bytes.truncate(usize::from(cut) % len);
            }
            fuzz::fuzz_message(&bytes);
        }
    }
}
