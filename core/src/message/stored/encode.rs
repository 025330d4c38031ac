//! The writer of stored records, as a broker needs it.

use core::net::{IpAddr, SocketAddr};

use bytes::{BufMut, BytesMut};

use super::layout::{MAGIC_V1, MAGIC_V2, RECORD_BYTES_MIN};
use crate::message::properties::PROPERTIES_BYTES_MAX;
use crate::message::{body_crc, sys_flag};
use crate::time::Timestamp;

/// All that goes into a stored record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StoredRecord<'a> {
    /// The queue the message lies in.
    pub queue_id: i32,
    /// The user's number.
    pub flag: i32,
    /// The message's offset in its queue.
    pub queue_offset: i64,
    /// The record's offset in the commit log.
    pub commit_log_offset: i64,
    /// The bits of [`sys_flag`]; those that tell the hosts' widths are set by the writer.
    pub sys_flag: i32,
    /// When the producer made the message.
    pub born_timestamp: Timestamp,
    /// The producer, as the broker sees it.
    pub born_host: SocketAddr,
    /// When the broker stores the message.
    pub store_timestamp: Timestamp,
    /// The broker.
    pub store_host: SocketAddr,
    /// How often the message was consumed without success.
    pub reconsume_times: i32,
    /// Where the half message of a committed transaction lies in the commit log, else 0.
    pub prepared_transaction_offset: i64,
    /// The body as stored.
    pub body: &'a [u8],
    /// The topic; longer than 127 bytes makes a record of version 2.
    pub topic: &'a str,
    /// The properties' text.
    pub properties: &'a str,
}

/// Why a record can't be written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the {part} has {len} bytes; a stored record can have at most {max}")]
pub struct EncodeError {
    /// "body", "topic" or "properties".
    pub part: &'static str,
    /// Its length in bytes.
    pub len: usize,
    /// The limit in bytes.
    pub max: usize,
}

impl StoredRecord<'_> {
    /// The size of the record, in bytes.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        RECORD_BYTES_MIN
            + usize::from(self.topic.len() > TOPIC_V1_BYTES_MAX)
            + ipv6_extra(self.born_host)
            + ipv6_extra(self.store_host)
            + self.body.len()
            + self.topic.len()
            + self.properties.len()
    }
}

/// Appends `record` to `out` and returns its size in bytes. Java: `MessageExtEncoder#encode`.
///
/// # Errors
/// A part is longer than the format can say. `out` is as before then.
pub fn encode_stored(out: &mut BytesMut, record: &StoredRecord<'_>) -> Result<usize, EncodeError> {
    let topic_len = length("topic", record.topic.len(), TOPIC_V2_BYTES_MAX)?;
    let properties_len = length("properties", record.properties.len(), PROPERTIES_BYTES_MAX)?;
    let body_len = record.body.len();
    let size = record.encoded_len();
    let size_field =
        i32::try_from(size).map_err(|_| EncodeError { part: "body", len: body_len, max: BODY_BYTES_MAX })?;

    out.reserve(size);
    let long_topic = record.topic.len() > TOPIC_V1_BYTES_MAX;
    out.put_i32(size_field);
    out.put_u32(if long_topic { MAGIC_V2 } else { MAGIC_V1 });
    out.put_i32(body_crc(record.body));
    out.put_i32(record.queue_id);
    out.put_i32(record.flag);
    out.put_i64(record.queue_offset);
    out.put_i64(record.commit_log_offset);
    out.put_i32(flags_of(record));
    out.put_i64(record.born_timestamp.as_millis());
    put_host(out, record.born_host);
    out.put_i64(record.store_timestamp.as_millis());
    put_host(out, record.store_host);
    out.put_i32(record.reconsume_times);
    out.put_i64(record.prepared_transaction_offset);
    out.put_u32(u32::try_from(body_len).unwrap_or(0));
    out.put_slice(record.body);
    match u8::try_from(topic_len) {
        Ok(len) if !long_topic => out.put_u8(len),
        _ => out.put_u16(topic_len),
    }
    out.put_slice(record.topic.as_bytes());
    out.put_u16(properties_len);
    out.put_slice(record.properties.as_bytes());
    Ok(size)
}

const TOPIC_V1_BYTES_MAX: usize = 127;
const TOPIC_V2_BYTES_MAX: usize = 32_767;
const BODY_BYTES_MAX: usize = 0x7FFF_0000;

fn length(part: &'static str, len: usize, max: usize) -> Result<u16, EncodeError> {
    u16::try_from(len).ok().filter(|_| len <= max).ok_or(EncodeError { part, len, max })
}

fn flags_of(record: &StoredRecord<'_>) -> i32 {
    let mut flags = record.sys_flag & !(sys_flag::BORN_HOST_V6 | sys_flag::STORE_HOST_V6);
    if record.born_host.is_ipv6() {
        flags |= sys_flag::BORN_HOST_V6;
    }
    if record.store_host.is_ipv6() {
        flags |= sys_flag::STORE_HOST_V6;
    }
    flags
}

const fn ipv6_extra(host: SocketAddr) -> usize {
    if host.is_ipv6() { 12 } else { 0 }
}

fn put_host(out: &mut BytesMut, host: SocketAddr) {
    match host.ip() {
        IpAddr::V4(ip) => out.put_slice(&ip.octets()),
        IpAddr::V6(ip) => out.put_slice(&ip.octets()),
    }
    out.put_i32(i32::from(host.port()));
}
