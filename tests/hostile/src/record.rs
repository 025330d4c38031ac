//! Records of a pull's answer, and what can be odd about them.

use bytes::{BufMut, Bytes, BytesMut};
use rocketmq_client_core::message::body_crc;

/// Where fields of a record are, both hosts being IPv4.
pub(crate) mod at {
    /// The size of the whole record.
    pub(crate) const TOTAL: usize = 0;
    /// The magic number.
    pub(crate) const MAGIC: usize = 4;
    /// The checksum of the body.
    pub(crate) const CRC: usize = 8;
    /// The queue's number.
    pub(crate) const QUEUE_ID: usize = 12;
    /// The place in the queue, 8 bytes.
    pub(crate) const QUEUE_OFFSET: usize = 20;
    /// The place in the log, 8 bytes.
    pub(crate) const LOG_OFFSET: usize = 28;
    /// The system flag.
    pub(crate) const SYS_FLAG: usize = 36;
    /// When it was made, 8 bytes.
    pub(crate) const BORN: usize = 40;
    /// The port of who made it.
    pub(crate) const BORN_PORT: usize = 52;
    /// When it was stored, 8 bytes.
    pub(crate) const STORED: usize = 56;
    /// How often it has failed.
    pub(crate) const RECONSUMED: usize = 72;
    /// The length of the body.
    pub(crate) const BODY_LEN: usize = 84;
    /// The body.
    pub(crate) const BODY: usize = 88;
}

/// Sets four bytes.
pub(crate) fn put_i32(record: &mut [u8], at: usize, value: i32) {
    if let Some(field) = record.get_mut(at..at + 4) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

/// Sets eight bytes.
pub(crate) fn put_i64(record: &mut [u8], at: usize, value: i64) {
    if let Some(field) = record.get_mut(at..at + 8) {
        field.copy_from_slice(&value.to_be_bytes());
    }
}

/// Four bytes.
#[must_use]
pub(crate) fn get_i32(record: &[u8], at: usize) -> i32 {
    record.get(at..at + 4).and_then(|field| field.try_into().ok()).map_or(0, i32::from_be_bytes)
}

/// Eight bytes.
#[must_use]
pub(crate) fn get_i64(record: &[u8], at: usize) -> i64 {
    record.get(at..at + 8).and_then(|field| field.try_into().ok()).map_or(0, i64::from_be_bytes)
}

/// The records of a body.
#[must_use]
pub(crate) fn split(body: &Bytes) -> Vec<BytesMut> {
    let mut records = Vec::new();
    let mut rest = &body[..];
    while rest.len() >= 4 {
        let len = usize::try_from(get_i32(rest, at::TOTAL)).unwrap_or(0).clamp(4, rest.len());
        records.push(BytesMut::from(&rest[..len]));
        rest = &rest[len..];
    }
    records
}

/// Records side by side.
#[must_use]
pub(crate) fn join(records: &[BytesMut]) -> Bytes {
    records.iter().flat_map(|record| record.iter().copied()).collect()
}

/// What a record is made of.
#[derive(Clone, Debug)]
pub(crate) struct Parts<'a> {
    /// Its place in the queue.
    pub queue_offset: i64,
    /// The queue's number.
    pub queue_id: i32,
    /// The system flag.
    pub sys_flag: i32,
    /// The body as stored.
    pub body: &'a [u8],
    /// The topic.
    pub topic: &'a [u8],
    /// The properties.
    pub properties: &'a [u8],
}

/// A whole record, checksum and all.
#[must_use]
pub(crate) fn record(parts: &Parts<'_>) -> BytesMut {
    let mut out =
        BytesMut::with_capacity(100 + parts.body.len() + parts.topic.len() + parts.properties.len());
    out.put_i32(0);
    out.put_i32(-626_843_481);
    out.put_i32(body_crc(parts.body));
    out.put_i32(parts.queue_id);
    out.put_i32(0);
    out.put_i64(parts.queue_offset);
    out.put_i64(parts.queue_offset.wrapping_mul(1_000));
    out.put_i32(parts.sys_flag);
    out.put_i64(1_700_000_000_000);
    out.put_slice(&[127, 0, 0, 1]);
    out.put_i32(10_911);
    out.put_i64(1_700_000_000_000);
    out.put_slice(&[127, 0, 0, 1]);
    out.put_i32(10_911);
    out.put_i32(0);
    out.put_i64(0);
    out.put_i32(i32::try_from(parts.body.len()).expect("a body"));
    out.put_slice(parts.body);
    out.put_u8(u8::try_from(parts.topic.len()).expect("a short topic"));
    out.put_slice(parts.topic);
    out.put_u16(u16::try_from(parts.properties.len()).expect("short properties"));
    out.put_slice(parts.properties);
    let len = i32::try_from(out.len()).expect("a record");
    put_i32(&mut out, at::TOTAL, len);
    out
}
