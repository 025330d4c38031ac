//! Entry points for fuzzing: they take any bytes and may not panic.

use alloc::string::String;

use bytes::{Bytes, BytesMut};

use super::pop::{PopHandle, parse_msg_offset_info, parse_order_count_info, parse_start_offset_info};
use super::stored::RECORD_BYTES_MIN;
use super::{Message, Properties, RecallHandle, StoredMessages, StoredRecord, UniqKey};
use super::{decode_batch, encode_batch, encode_stored, names, parse_offset_msg_id, scan_stored, trace};

/// Reads `bytes` as everything that the peer of a client or of a broker can send of messages, and
/// writes what was read again.
///
/// # Panics
/// When a decoder gives more than the bytes can hold, or a round trip isn't one.
pub fn fuzz_message(bytes: &[u8]) {
    let body = Bytes::copy_from_slice(bytes);
    let scanned = scan_stored(&body).count();
    assert!(scanned <= bytes.len() / RECORD_BYTES_MIN + 1, "more records than fit");
    for message in StoredMessages::new(body.clone()).flatten() {
        let record = StoredRecord {
            queue_id: message.queue_id,
            flag: message.flag,
            queue_offset: message.queue_offset,
            commit_log_offset: message.commit_log_offset,
            sys_flag: message.sys_flag & !super::sys_flag::NEED_UNWRAP,
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
        // Replaced bytes of a text that was no UTF-8 can make it too long.
        if encode_stored(&mut out, &record).is_ok() {
            let again = StoredMessages::new(out.freeze()).next();
            let again = again.expect("something was written").expect("what was written can be read");
            assert_eq!(again.queue_offset, message.queue_offset);
            assert_eq!(again.raw_body(), message.raw_body());
            assert_eq!(again.topic(), message.topic());
            assert_eq!(again.properties_text(), message.properties_text());
        }
    }
    fuzz_batch(body);
    fuzz_texts(&String::from_utf8_lossy(bytes));
}

fn fuzz_batch(body: Bytes) {
    for item in decode_batch(body).flatten() {
        let mut message = Message::new("t", item.body.clone()).flag(item.flag);
        message.properties = item.properties();
        let mut out = BytesMut::new();
        if encode_batch(&mut out, [&message]).is_ok() {
            let again = decode_batch(out.freeze()).next();
            let again = again.expect("something was written").expect("what was written can be read");
            assert_eq!(
                (again.flag, &again.body, again.properties()),
                (item.flag, &item.body, item.properties())
            );
        }
    }
}

fn fuzz_texts(text: &str) {
    let properties = Properties::parse(text);
    assert_eq!(Properties::parse(properties.as_str()), properties);
    for (name, value) in &properties {
        assert_eq!(super::properties::find(text, name), Some(value));
    }
    for record in trace::decode_trace(text).flatten() {
        let mut out = String::new();
        record.encode_into(&mut out);
        assert_eq!(trace::decode_trace(&out).count(), 1);
    }
    if let Ok(handle) = text.parse::<PopHandle>() {
        assert_eq!(alloc::format!("{handle}").parse(), Ok(handle));
    }
    let _ = (parse_start_offset_info(text), parse_msg_offset_info(text), parse_order_count_info(text));
    let _ = (parse_offset_msg_id(text), UniqKey::parse(text), RecallHandle::parse(text));
    let _ = names::unwrap_namespace(names::namespace_of(text), &names::strip_namespace(text));
}
