//! Where the parts of one stored record lie.
//!
//! ```text
//!  0 size   4 magic   8 bodyCRC   12 queueId   16 flag   20 queueOffset   28 commitLogOffset
//! 36 sysFlag   40 bornTimestamp   48 bornHost (8 or 20)   storeTimestamp 8   storeHost (8 or 20)
//!    reconsumeTimes 4   preparedTransactionOffset 8   body (4 + n)   topic (1 or 2 + n)
//!    properties (2 + n)
//! ```

use core::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use core::ops::Range;

use super::RecordErrorKind;
use crate::message::bytes_at::{array_at, i32_at, u8_at, u16_at};
use crate::message::sys_flag;

/// The magic number of records with a topic of at most 127 bytes.
pub const MAGIC_V1: u32 = 0xDAA3_20A7;
/// The magic number of records with a longer topic.
pub const MAGIC_V2: u32 = 0xDAA3_20AB;
/// The size of a record without body, topic and properties, in bytes.
pub const RECORD_BYTES_MIN: usize = 91;

pub(super) const CRC_AT: usize = 8;
pub(super) const QUEUE_ID_AT: usize = 12;
pub(super) const FLAG_AT: usize = 16;
pub(super) const QUEUE_OFFSET_AT: usize = 20;
pub(super) const COMMIT_LOG_OFFSET_AT: usize = 28;
pub(super) const SYS_FLAG_AT: usize = 36;
pub(super) const BORN_TIMESTAMP_AT: usize = 40;
pub(super) const BORN_HOST_AT: usize = 48;

/// Where the parts of a record lie, counted from its first byte. All ranges are inside the record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Layout {
    pub(super) sys_flag: i32,
    pub(super) store_timestamp_at: usize,
    pub(super) reconsume_times_at: usize,
    pub(super) body: Range<usize>,
    pub(super) topic: Range<usize>,
    pub(super) properties: Range<usize>,
}

impl Layout {
    pub(super) fn of(record: &[u8]) -> Result<Self, RecordErrorKind> {
        let size = record.len();
        let beyond = |part| move || RecordErrorKind::Part { part, size };
        let long_topic = match i32_at(record, 4).ok_or_else(beyond("magic number"))?.cast_unsigned() {
            MAGIC_V1 => false,
            MAGIC_V2 => true,
            magic => return Err(RecordErrorKind::Magic { magic }),
        };
        let sys_flag = i32_at(record, SYS_FLAG_AT).ok_or_else(beyond("flags"))?;
        let store_timestamp_at = BORN_HOST_AT + host_bytes(sys_flag, sys_flag::BORN_HOST_V6);
        let reconsume_times_at = store_timestamp_at + 8 + host_bytes(sys_flag, sys_flag::STORE_HOST_V6);

        let body_len_at = reconsume_times_at + 12;
        let len = i32_at(record, body_len_at).ok_or_else(beyond("body length"))?;
        let body = part(record, body_len_at + 4, len, "body")?;

        let (topic_at, len) = if long_topic {
            (body.end + 2, u16_at(record, body.end).map(|len| i32::from(len.cast_signed())))
        } else {
            (body.end + 1, u8_at(record, body.end).map(|len| i32::from(len.cast_signed())))
        };
        let topic = part(record, topic_at, len.ok_or_else(beyond("topic length"))?, "topic")?;

        let len = u16_at(record, topic.end).ok_or_else(beyond("properties length"))?;
        let properties = part(record, topic.end + 2, i32::from(len.cast_signed()), "properties")?;
        Ok(Self { sys_flag, store_timestamp_at, reconsume_times_at, body, topic, properties })
    }
}

/// The length of a host with its port, whose width `v6_bit` decides.
pub(super) const fn host_bytes(sys_flag: i32, v6_bit: i32) -> usize {
    if sys_flag & v6_bit != 0 { 20 } else { 8 }
}

/// The host at `at`, whose width `v6_bit` decides.
pub(super) fn host_at(
    record: &[u8],
    at: usize,
    v6: bool,
    part: &'static str,
) -> Result<SocketAddr, RecordErrorKind> {
    let beyond = || RecordErrorKind::Part { part, size: record.len() };
    let ip = if v6 {
        let octets: [u8; 16] = array_at(record, at).ok_or_else(beyond)?;
        IpAddr::V6(Ipv6Addr::from(octets))
    } else {
        let octets: [u8; 4] = array_at(record, at).ok_or_else(beyond)?;
        IpAddr::V4(Ipv4Addr::from(octets))
    };
    Ok(SocketAddr::new(ip, port_at(record, at, v6, part)?))
}

/// The port of the host at `at`: all that can be wrong with a host.
pub(super) fn port_at(
    record: &[u8],
    at: usize,
    v6: bool,
    part: &'static str,
) -> Result<u16, RecordErrorKind> {
    let beyond = || RecordErrorKind::Part { part, size: record.len() };
    let port = i32_at(record, at + if v6 { 16 } else { 4 }).ok_or_else(beyond)?;
    u16::try_from(port).map_err(|_| RecordErrorKind::Port { part, port })
}

/// The `len` bytes at `at`, if the record has them.
fn part(record: &[u8], at: usize, len: i32, part: &'static str) -> Result<Range<usize>, RecordErrorKind> {
    let len_bytes = usize::try_from(len).map_err(|_| RecordErrorKind::NegativeLength { part, len })?;
    let end = at.checked_add(len_bytes).filter(|end| *end <= record.len());
    match end {
        Some(end) => Ok(at..end),
        None => Err(RecordErrorKind::Part { part, size: record.len() }),
    }
}
