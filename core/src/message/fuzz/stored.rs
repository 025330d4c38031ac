//! Stored records and batches.

use alloc::string::String;
use alloc::vec::Vec;

use bytes::{Bytes, BytesMut};

use super::Source;
use crate::message::batch::BATCH_ITEM_BYTES_MIN;
use crate::message::stored::RECORD_BYTES_MIN;
use crate::message::{
    Checked, CheckedMessages, Message, Properties, RawRecord, RecordError, ScannedRecord, StoredMessage,
    StoredMessages, StoredRecord, decode_batch, encode_batch, encode_stored, properties, property,
    scan_stored, sys_flag,
};
use crate::time::Timestamp;

/// Both passes over a pull body, and every message written again.
pub(super) fn check_stored(body: &Bytes) {
    let scanned: Vec<_> = scan_stored(body).collect();
    assert!(scanned.len() <= body.len() / RECORD_BYTES_MIN + 1, "more records than fit");
    let mut sound = Vec::new();
    for record in &scanned {
        match record {
            Ok(record) => {
                check_scanned(body, record);
                sound.push(record.range.clone());
            }
            Err(error) if !error.ends_body => sound.push(error.at..error.at + error.lost_bytes),
            Err(error) => {
                assert_eq!(error.at + error.lost_bytes, body.len(), "the rest is lost, and no more")
            }
        }
    }
    check_neighbours(body, &sound);
    check_later(body);
    let mut items = 0;
    for message in StoredMessages::new(body.clone()) {
        items += 1;
        if let Ok(message) = message {
            check_message(&message);
        }
    }
    assert!(items <= body.len() / BATCH_ITEM_BYTES_MIN + 1, "more messages than fit");
}

/// What is checked and decoded later is what would be decoded now, and so is each field that is looked at alone;
/// what can't be decoded is told with the same words.
pub(crate) fn check_later(body: &Bytes) {
    let now: Vec<_> = StoredMessages::new(body.clone()).collect();
    let later: Vec<_> = CheckedMessages::new(body.clone()).collect();
    assert_eq!(now.len(), later.len());
    for (now, later) in now.into_iter().zip(later) {
        match later {
            Ok(Checked::Lies { place, queue_offset, queue_id }) => {
                let now = now.expect("it was checked");
                assert_eq!((now.queue_offset, now.queue_id), (queue_offset, queue_id));
                assert_eq!(now.record_bytes(), place.len());
                let topic = now.shared_topic().clone();
                assert_eq!(place.decode(body, None).as_ref(), Ok(&now));
                assert_eq!(place.decode(body, Some(topic)).as_ref(), Ok(&now));
                check_raw(&RawRecord::new(body, place), &now);
            }
            Ok(Checked::Read(message)) => assert_eq!(now, Ok(*message)),
            Err(error) => assert_eq!(now, Err(error)),
        }
    }
}

fn check_raw(raw: &RawRecord<'_>, decoded: &StoredMessage) {
    assert_eq!(
        (raw.sys_flag(), raw.body_crc(), raw.reconsume_times()),
        (decoded.sys_flag, decoded.body_crc, decoded.reconsume_times)
    );
    assert_eq!(
        (raw.born_timestamp(), raw.store_timestamp()),
        (decoded.born_timestamp, decoded.store_timestamp)
    );
    assert_eq!(&raw.raw_body(), decoded.raw_body());
    for name in [property::TAGS, property::KEYS, property::UNIQ_KEY] {
        if let Ok(value) = raw.property(name) {
            assert_eq!(value, decoded.property(name), "{name}");
        }
    }
}

/// What the first pass says of a record is what the second finds.
fn check_scanned(body: &Bytes, scanned: &ScannedRecord) {
    assert!(scanned.messages >= 1);
    let Ok(message) = StoredMessage::decode(&body.slice(scanned.range.clone())) else { return };
    assert_eq!(
        (message.queue_id, message.queue_offset, message.commit_log_offset, message.sys_flag),
        (scanned.queue_id, scanned.queue_offset, scanned.commit_log_offset, scanned.sys_flag)
    );
    assert_eq!(message.reconsume_times, scanned.reconsume_times);
    assert_eq!(message.raw_body().len(), scanned.body_len);
    assert_eq!(body.get(scanned.topic.clone()), Some(message.topic().as_bytes()));
    let tags = scanned.tags.clone().map(|tags| String::from_utf8_lossy(&body[tags]));
    assert_eq!(tags.as_deref(), message.tags());
}

/// The records of `ranges`, good or bad, between two good ones: these are found.
fn check_neighbours(body: &Bytes, ranges: &[core::ops::Range<usize>]) {
    let mut out = BytesMut::new();
    let put_good = |out: &mut BytesMut, queue_offset| {
        encode_stored(out, &good(queue_offset)).expect("every part is short");
    };
    put_good(&mut out, 1);
    ranges.iter().for_each(|range| out.extend_from_slice(&body[range.clone()]));
    put_good(&mut out, 2);
    let out = out.freeze();
    let is_good = |item: Option<Result<StoredMessage, RecordError>>, queue_offset| {
        item.is_some_and(|item| {
            item.is_ok_and(|message| message.queue_offset == queue_offset && message.topic() == "neighbour")
        })
    };
    assert!(is_good(StoredMessages::new(out.clone()).next(), 1), "the one before is there");
    assert!(is_good(StoredMessages::new(out.clone()).last(), 2), "the one behind is there");
    assert_eq!(scan_stored(&out).count(), ranges.len() + 2, "each record is one item");
}

fn good(queue_offset: i64) -> StoredRecord<'static> {
    let host = ([127, 0, 0, 1], 1).into();
    StoredRecord {
        queue_id: 0,
        flag: 0,
        queue_offset,
        commit_log_offset: 0,
        sys_flag: 0,
        born_timestamp: Timestamp::from_millis(0),
        born_host: host,
        store_timestamp: Timestamp::from_millis(0),
        store_host: host,
        reconsume_times: 0,
        prepared_transaction_offset: 0,
        body: b"body",
        topic: "neighbour",
        properties: "",
    }
}

fn check_message(message: &StoredMessage) {
    let properties = Properties::parse(message.properties_text());
    for (name, value) in &properties {
        assert_eq!(message.property(name), Some(value), "{name:?}");
    }
    assert_eq!(message.keys().count(), properties.keys().count());
    assert_eq!(&message.clone().into_owned(), message);
    let _ = (message.check_crc(), message.msg_id(), message.record_bytes());
    let record = record_of(message);
    let mut out = BytesMut::new();
    // Replaced bytes of a text that was no UTF-8 can make it too long.
    if let Ok(size) = encode_stored(&mut out, &record) {
        assert_eq!(out.len(), size);
        let again = only(StoredMessages::new(out.freeze()));
        again.check_crc().expect("the writer made it");
        assert_eq!(record_of(&again), record);
    }
}

/// All that goes into a record of `message`, as one that isn't a batch.
fn record_of(message: &StoredMessage) -> StoredRecord<'_> {
    StoredRecord {
        queue_id: message.queue_id,
        flag: message.flag,
        queue_offset: message.queue_offset,
        commit_log_offset: message.commit_log_offset,
        sys_flag: message.sys_flag & !(sys_flag::NEED_UNWRAP | sys_flag::INNER_BATCH),
        born_timestamp: message.born_timestamp,
        born_host: message.born_host,
        store_timestamp: message.store_timestamp,
        store_host: message.store_host,
        reconsume_times: message.reconsume_times,
        prepared_transaction_offset: message.prepared_transaction_offset,
        body: message.raw_body(),
        topic: message.topic(),
        properties: message.properties_text(),
    }
}

fn only(mut messages: StoredMessages) -> StoredMessage {
    let message = messages.next().expect("something was written").expect("what was written can be read");
    assert!(messages.next().is_none(), "one was written");
    message
}

/// The members of a batch, written again.
pub(super) fn check_batch(body: &Bytes) {
    let mut bytes = 0;
    let mut messages = Vec::new();
    for item in decode_batch(body.clone()) {
        match item {
            Ok(item) => {
                bytes += item.size;
                let mut message = Message::new("t", item.body.clone()).flag(item.flag);
                message.properties = item.properties();
                messages.push(message);
            }
            Err(error) => bytes += error.lost_bytes(),
        }
    }
    assert_eq!(bytes, body.len(), "every byte belongs to one item");
    check_members(&messages);
}

fn check_members(messages: &[Message]) {
    let mut out = BytesMut::new();
    if encode_batch(&mut out, messages).is_err() {
        return assert!(out.is_empty(), "nothing of a batch that can't be written");
    }
    let mut items = decode_batch(out.freeze());
    for message in messages {
        let again = items.next().expect("all were written").expect("what was written can be read");
        assert_eq!((again.flag, &again.body), (message.flag, &message.body));
        assert_eq!(again.properties(), message.properties);
    }
    assert!(items.next().is_none());
}

/// Makes records or a batch of what `source` gives; they read back as they were.
pub(crate) fn roundtrip(source: &mut Source<'_>) {
    if source.bool() {
        let messages: Vec<_> = (0..source.byte() % 6).map(|_| member(source)).collect();
        check_members(&messages);
        inner_batch(source, &messages);
    } else {
        stored(source);
    }
}

fn member(source: &mut Source<'_>) -> Message {
    let mut message = Message::new("t", Bytes::copy_from_slice(source.some_bytes())).flag(source.i32());
    for _ in 0..source.byte() % 4 {
        let (name, value) = (source.text(), source.text());
        let before = message.properties.clone();
        match message.properties.set(&name, &value) {
            Ok(()) => assert_eq!(message.properties.get(&name), Some(&*value)),
            Err(_) => assert_eq!(message.properties, before, "what is refused changes nothing"),
        }
    }
    assert_eq!(Properties::parse(message.properties.as_str()), message.properties);
    message
}

/// Records back to back, with hosts of both kinds and topics of any length.
fn stored(source: &mut Source<'_>) {
    let mut out = BytesMut::new();
    let mut written: Vec<(StoredRecord<'_>, String, String)> = Vec::new();
    for _ in 0..=source.byte() % 4 {
        let (topic, properties) = (source.text(), source.text());
        let record = StoredRecord {
            queue_id: source.i32(),
            flag: source.i32(),
            queue_offset: source.i64(),
            commit_log_offset: source.i64(),
            sys_flag: source.i32() & !(sys_flag::NEED_UNWRAP | sys_flag::INNER_BATCH),
            born_timestamp: Timestamp::from_millis(source.i64()),
            born_host: source.host(),
            store_timestamp: Timestamp::from_millis(source.i64()),
            store_host: source.host(),
            reconsume_times: source.i32(),
            prepared_transaction_offset: source.i64(),
            body: source.some_bytes(),
            topic: "",
            properties: "",
        };
        let before = out.len();
        match encode_stored(&mut out, &StoredRecord { topic: &topic, properties: &properties, ..record }) {
            Ok(size) => {
                assert_eq!(out.len(), before + size);
                written.push((record, topic, properties));
            }
            Err(_) => assert_eq!(out.len(), before, "nothing of a record that can't be written"),
        }
    }
    let body = out.freeze();
    assert_eq!(scan_stored(&body).flatten().count(), written.len());
    let mut messages = StoredMessages::new(body);
    for (record, topic, properties) in &written {
        let message = messages.next().expect("all were written").expect("what was written can be read");
        let hosts = sys_flag::BORN_HOST_V6 | sys_flag::STORE_HOST_V6;
        let expected = StoredRecord {
            sys_flag: (record.sys_flag & !hosts) | (message.sys_flag & hosts),
            topic,
            properties,
            ..*record
        };
        assert_eq!(StoredRecord { sys_flag: message.sys_flag, ..record_of(&message) }, expected);
        assert_eq!(message.check_crc(), Ok(()));
    }
    assert!(messages.next().is_none());
}

/// A record whose body is a batch gives the batch's members, at offsets that follow each other.
fn inner_batch(source: &mut Source<'_>, messages: &[Message]) {
    let mut body = BytesMut::new();
    if encode_batch(&mut body, messages).is_err() {
        return;
    }
    let record = StoredRecord {
        sys_flag: sys_flag::INNER_BATCH | sys_flag::NEED_UNWRAP,
        queue_offset: i64::from(source.byte()),
        body: &body,
        ..good(0)
    };
    let mut out = BytesMut::new();
    encode_stored(&mut out, &record).expect("every part is short");
    let mut expanded = StoredMessages::new(out.freeze());
    for (offset, message) in (record.queue_offset..).zip(messages) {
        let again = expanded.next().expect("all were written").expect("what was written can be read");
        assert_eq!((again.queue_offset, again.flag, again.raw_body()), (offset, message.flag, &message.body));
        assert_eq!(again.properties_text(), message.properties.as_str());
        assert_eq!(again.tags(), properties::find(message.properties.as_str(), property::TAGS));
    }
    assert!(expanded.next().is_none());
}
