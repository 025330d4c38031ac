//! Stored messages as a whole: neighbours of a bad record, hostile bytes, round trips.

use alloc::format;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::*;
use crate::message::batch::encode_batch;
use crate::message::{Message, sys_flag};
use crate::time::Timestamp;

fn record<'a>(topic: &'a str, body: &'a [u8], properties: &'a str) -> StoredRecord<'a> {
    StoredRecord {
        queue_id: 3,
        flag: 0,
        queue_offset: 100,
        commit_log_offset: 4_096,
        sys_flag: 0,
        born_timestamp: Timestamp::from_millis(1),
        born_host: SocketAddr::from(([10, 0, 0, 1], 5_000)),
        store_timestamp: Timestamp::from_millis(2),
        store_host: SocketAddr::from(([10, 0, 0, 2], 10_911)),
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body,
        topic,
        properties,
    }
}

/// A pull body of ten messages at offsets 100 to 109, and where each begins.
fn ten() -> (BytesMut, Vec<usize>) {
    let mut body = BytesMut::new();
    let starts = (0..10)
        .map(|i| {
            let start = body.len();
            let text = format!("body {i}");
            let properties = format!("TAGS\u{1}t{i}\u{2}");
            let mut record = record("Orders", text.as_bytes(), &properties);
            record.queue_offset += i;
            encode_stored(&mut body, &record).unwrap();
            start
        })
        .collect();
    (body, starts)
}

fn with_i32(body: &BytesMut, at: usize, value: i32) -> Bytes {
    let mut body = body.clone();
    body[at..at + 4].copy_from_slice(&value.to_be_bytes());
    body.freeze()
}

/// Decodes with both passes, which must find the same errors, and checks offsets of the rest.
fn nine_and_one_error(body: &Bytes) -> RecordError {
    let messages: Vec<_> = StoredMessages::new(body.clone()).collect();
    assert_eq!(messages.len(), 10);
    let offsets: Vec<_> = messages.iter().flatten().map(|m| m.queue_offset).collect();
    assert_eq!(offsets, [100, 102, 103, 104, 105, 106, 107, 108, 109]);
    messages[1].clone().unwrap_err()
}

#[test]
fn one_bad_record_is_one_typed_error_and_its_nine_neighbours_arrive() {
    let (body, starts) = ten();
    let second = starts[1];
    for (at, value, kind) in [
        (second + 84, -1, RecordErrorKind::NegativeLength { part: "body", len: -1 }),
        (second + 84, i32::MAX, RecordErrorKind::Part { part: "body", size: 111 }),
        (second + 84, 23, RecordErrorKind::Part { part: "topic length", size: 111 }),
        (second + 91, 0x2031_7F4F, RecordErrorKind::Part { part: "topic", size: 111 }),
        (second + 101, 0x7FFF_5441, RecordErrorKind::Part { part: "properties", size: 111 }),
        (second + 101, -1, RecordErrorKind::NegativeLength { part: "properties", len: -1 }),
        (second + 68, 70_000, RecordErrorKind::Port { part: "store host", port: 70_000 }),
    ] {
        let error = nine_and_one_error(&with_i32(&body, at, value));
        assert_eq!((error.at, error.lost_bytes, error.ends_body), (second, 111, false));
        assert_eq!((error.queue_offset, error.commit_log_offset), (Some(101), Some(4_096)));
        assert_eq!(error.queue_id, Some(3));
        assert_eq!(error.kind, kind);
    }
}

#[test]
fn an_unknown_version_is_one_error_that_claims_to_know_nothing() {
    let (body, starts) = ten();
    let error = nine_and_one_error(&with_i32(&body, starts[1] + 4, 0x0102_0304));
    assert_eq!(error.kind, RecordErrorKind::Magic { magic: 0x0102_0304 });
    assert_eq!((error.queue_offset, error.topic), (None, None));
}

#[test]
fn a_topic_that_is_no_text_is_one_error() {
    let (body, starts) = ten();
    let error = nine_and_one_error(&with_i32(&body, starts[1] + 95, -1));
    assert_eq!(error.kind, RecordErrorKind::TopicText);
    assert_eq!(error.queue_offset, Some(101));
}

#[test]
fn a_size_that_can_not_be_believed_makes_one_error_of_the_rest() {
    let (body, starts) = ten();
    for size in [i32::MIN, -1, 0, 4, 90, 5_000, i32::MAX] {
        let body = with_i32(&body, starts[1], size);
        let left = body.len() - starts[1];
        let messages: Vec<_> = StoredMessages::new(body.clone()).collect();
        assert_eq!(messages.len(), 2, "{size}");
        let error = messages[1].clone().unwrap_err();
        assert_eq!((error.lost_bytes, error.ends_body), (left, true));
        assert_eq!(error.kind, RecordErrorKind::Size { size, min: 91, left });
        assert_eq!(scan_stored(&body).count(), 2);
    }
}

#[test]
fn a_body_cut_anywhere_gives_the_whole_records_and_one_error() {
    let (body, starts) = ten();
    let body = body.freeze();
    for cut in 0..body.len() {
        let whole = starts.iter().skip(1).filter(|start| **start <= cut).count();
        let messages: Vec<_> = StoredMessages::new(body.slice(..cut)).collect();
        let torn = usize::from(!starts.contains(&cut));
        assert_eq!(messages.iter().filter(|m| m.is_ok()).count(), whole, "{cut}");
        assert_eq!(messages.len(), whole + torn, "{cut}");
    }
}

#[test]
fn properties_that_are_no_text_do_not_make_a_message_undeliverable() {
    let mut body = BytesMut::new();
    encode_stored(&mut body, &record("t", b"b", "TAGS\u{1}a\u{2}n\u{1}xy\u{2}")).unwrap();
    let at = body.len() - 2;
    body[at] = 0xFF;
    let message = StoredMessages::new(body.freeze()).next().unwrap().unwrap();
    assert_eq!(message.tags(), Some("a"));
    assert_eq!(message.property("n"), Some("x\u{FFFD}"));
}

#[test]
fn bytes_after_the_properties_are_left_out() {
    let mut body = BytesMut::new();
    let size = encode_stored(&mut body, &record("t", b"b", "")).unwrap();
    body.extend_from_slice(b"more");
    let body = with_i32(&body, 0, i32::try_from(size).unwrap() + 4);
    let messages: Vec<_> = StoredMessages::new(body).map(Result::unwrap).collect();
    assert_eq!(messages[0].record_bytes(), size + 4);
}

#[test]
fn an_inner_batch_becomes_its_messages_with_offsets_of_their_own() {
    let mut inner = BytesMut::new();
    let members: Vec<_> = (0..3).map(|i| Message::new("t", format!("m{i}")).flag(i).tag("x")).collect();
    encode_batch(&mut inner, &members).unwrap();
    let mut batch = record("t", &inner, "INNER_NUM\u{1}3\u{2}");
    batch.sys_flag = sys_flag::INNER_BATCH | sys_flag::NEED_UNWRAP;
    let mut body = BytesMut::new();
    encode_stored(&mut body, &batch).unwrap();
    let mut after = record("t", b"after", "");
    after.queue_offset = 103;
    encode_stored(&mut body, &after).unwrap();
    let body = body.freeze();

    let messages: Vec<_> = StoredMessages::new(body.clone()).map(Result::unwrap).collect();
    let seen: Vec<_> = messages.iter().map(|m| (m.queue_offset, m.flag, &m.raw_body()[..])).collect();
    assert_eq!(seen, [(100, 0, &b"m0"[..]), (101, 1, b"m1"), (102, 2, b"m2"), (103, 0, b"after")]);
    assert!(messages.iter().all(|m| !m.is_inner_batch() && m.check_crc().is_ok()));
    let scanned: Vec<_> = scan_stored(&body).map(|r| r.unwrap().messages).collect();
    assert_eq!(scanned, [3, 1]);
}

#[test]
fn a_torn_inner_batch_gives_its_whole_members_and_one_error_with_an_offset() {
    let mut inner = BytesMut::new();
    encode_batch(&mut inner, &[Message::new("t", "m0"), Message::new("t", "m1")]).unwrap();
    let mut batch = record("t", &inner[..inner.len() - 1], "");
    batch.sys_flag = sys_flag::INNER_BATCH | sys_flag::NEED_UNWRAP;
    let mut body = BytesMut::new();
    encode_stored(&mut body, &batch).unwrap();
    encode_stored(&mut body, &record("t", b"after", "")).unwrap();
    let messages: Vec<_> = StoredMessages::new(body.freeze()).collect();
    assert_eq!(messages.len(), 3);
    assert_eq!(messages[1].as_ref().unwrap_err().queue_offset, Some(101));
    assert_eq!(messages[2].as_ref().unwrap().raw_body(), "after");
}

#[test]
fn a_compressed_inner_batch_is_left_to_whoever_inflates_it() {
    let mut batch = record("t", b"squeezed", "");
    batch.sys_flag = sys_flag::INNER_BATCH | sys_flag::NEED_UNWRAP | sys_flag::COMPRESSED;
    let mut body = BytesMut::new();
    encode_stored(&mut body, &batch).unwrap();
    let message = StoredMessages::new(body.freeze()).next().unwrap().unwrap();
    assert!(message.is_inner_batch());
    let mut inner = BytesMut::new();
    encode_batch(&mut inner, &[Message::new("t", "m0"), Message::new("t", "m1")]).unwrap();
    let members: Vec<_> = message.with_inflated_body(inner.freeze()).expand().map(Result::unwrap).collect();
    assert_eq!(members[1].queue_offset, 101);
}

#[test]
fn a_message_that_is_kept_lets_go_of_its_answer() {
    let (body, _) = ten();
    let body = body.freeze();
    let whole = body.as_ptr_range();
    let kept = StoredMessages::new(body.clone()).next().unwrap().unwrap().into_owned();
    assert!(!whole.contains(&kept.raw_body().as_ptr()));
    assert_eq!(kept.tags(), Some("t0"));
}

#[test]
fn parts_too_long_for_the_format_are_refused_and_leave_nothing_behind() {
    let mut out = BytesMut::new();
    let long = "x".repeat(40_000);
    assert_eq!(encode_stored(&mut out, &record(&long, b"", "")).unwrap_err().part, "topic");
    assert_eq!(encode_stored(&mut out, &record("t", b"", &long)).unwrap_err().part, "properties");
    assert!(out.is_empty());
}

#[test]
fn a_body_that_changed_is_noticed() {
    let (body, starts) = ten();
    let body = with_i32(&body, starts[0] + 88, 0);
    let message = StoredMessages::new(body).next().unwrap().unwrap();
    assert_eq!(message.check_crc().unwrap_err().len, 6);
}

/// Pull bodies: plain records, another topic, wide hosts, an inner batch, properties that are no text, then
/// some bytes changed and the end cut off.
pub(super) fn bodies() -> impl Strategy<Value = Bytes> {
    let (mut whole, _) = ten();
    let mut inner = BytesMut::new();
    let members: Vec<_> = (0..3).map(|i| Message::new("t", format!("m{i}")).tag("x")).collect();
    encode_batch(&mut inner, &members).unwrap();
    let mut batch = record("Orders", &inner, "INNER_NUM\u{1}3\u{2}");
    batch.sys_flag = sys_flag::INNER_BATCH | sys_flag::NEED_UNWRAP;
    encode_stored(&mut whole, &batch).unwrap();
    let mut wide = record("t", b"after", "TAGS\u{1}a\u{2}UNIQ_KEY\u{1}xyz\u{2}");
    (wide.born_host, wide.store_host) = (([0; 16], 1).into(), ([1; 16], 2).into());
    encode_stored(&mut whole, &wide).unwrap();
    let at = whole.len() - 2;
    whole[at] = 0xFF;
    encode_stored(&mut whole, &record("Orders", b"", "KEYS\u{1}k\u{2}")).unwrap();
    let len = whole.len();
    let flips = proptest::collection::vec((0..len, any::<u8>()), 0..6);
    (flips, prop_oneof![3 => Just(len), 1 => 0..len]).prop_map(move |(flips, len)| {
        let mut body = whole.clone();
        flips.into_iter().for_each(|(at, byte)| body[at] = byte);
        body.truncate(len);
        body.freeze()
    })
}

prop_compose! {
    fn host()(v6: bool, octets: [u8; 16], port: u16) -> SocketAddr {
        let [a, b, c, d, ..] = octets;
        let ip = if v6 { IpAddr::from(octets) } else { IpAddr::from([a, b, c, d]) };
        SocketAddr::new(ip, port)
    }
}

proptest! {
    #[test]
    fn what_is_encoded_is_decoded(
        numbers: (i32, i32, i64, i64, i64, i64, i32, i64),
        flags in 0..0x800_i32,
        born_host in host(),
        store_host in host(),
        body: Vec<u8>,
        topic in "[a-z]{1,300}",
        properties in "(a\u{1}[a-z]{1,3}\u{2}){0,3}",
    ) {
        let flags = flags & !(sys_flag::NEED_UNWRAP | sys_flag::BORN_HOST_V6 | sys_flag::STORE_HOST_V6);
        let written = StoredRecord {
            queue_id: numbers.0,
            flag: numbers.1,
            queue_offset: numbers.2,
            commit_log_offset: numbers.3,
            sys_flag: flags,
            born_timestamp: Timestamp::from_millis(numbers.4),
            born_host,
            store_timestamp: Timestamp::from_millis(numbers.5),
            store_host,
            reconsume_times: numbers.6,
            prepared_transaction_offset: numbers.7,
            body: &body,
            topic: &topic,
            properties: &properties,
        };
        let mut out = BytesMut::new();
        let size = encode_stored(&mut out, &written).unwrap();
        prop_assert_eq!(size, out.len());
        let out = out.freeze();
        let scanned = scan_stored(&out).next().unwrap().unwrap();
        let read = StoredMessage::decode(&out.slice(scanned.range.clone())).unwrap();
        let again = StoredRecord {
            queue_id: read.queue_id,
            flag: read.flag,
            queue_offset: scanned.queue_offset,
            commit_log_offset: scanned.commit_log_offset,
            sys_flag: read.sys_flag & !(sys_flag::BORN_HOST_V6 | sys_flag::STORE_HOST_V6),
            born_timestamp: read.born_timestamp,
            born_host: read.born_host,
            store_timestamp: read.store_timestamp,
            store_host: read.store_host,
            reconsume_times: scanned.reconsume_times,
            prepared_transaction_offset: read.prepared_transaction_offset,
            body: read.raw_body(),
            topic: core::str::from_utf8(&out[scanned.topic.clone()]).unwrap(),
            properties: read.properties_text(),
        };
        prop_assert_eq!(again, written);
        prop_assert_eq!(read.topic(), topic.as_str());
        prop_assert!(read.check_crc().is_ok());
    }

    #[test]
    fn flipped_bytes_never_panic_and_both_passes_agree_on_ranges(
        flips in proptest::collection::vec((0..1_140_usize, any::<u8>()), 1..6),
    ) {
        let (mut body, _) = ten();
        for (at, byte) in flips {
            if let Some(place) = body.get_mut(at) {
                *place = byte;
            }
        }
        let body = body.freeze();
        let most = body.len() / RECORD_BYTES_MIN + 1;
        prop_assert!(scan_stored(&body).count() <= most);
        for record in scan_stored(&body).flatten() {
            prop_assert!(record.range.end <= body.len());
            prop_assert!(record.tags.is_none_or(|tags| tags.end <= record.range.end));
        }
        for message in StoredMessages::new(body.clone()).flatten() {
            prop_assert!(message.raw_body().len() <= body.len());
        }
    }
}
