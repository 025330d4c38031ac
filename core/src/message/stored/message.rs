//! [`StoredMessage`]: one message as a broker keeps it.

use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::net::SocketAddr;
use core::ops::Range;

use bytes::Bytes;

use super::RecordErrorKind;
use super::layout::{
    BORN_HOST_AT, BORN_TIMESTAMP_AT, COMMIT_LOG_OFFSET_AT, CRC_AT, FLAG_AT, Layout, QUEUE_ID_AT,
    QUEUE_OFFSET_AT, host_at,
};
use super::scan::undecodable;
use crate::message::bytes_at::{i32_at, i64_at};
use crate::message::properties::{find, split_keys};
use crate::message::{RecordError, body_crc, id, property, sys_flag};
use crate::time::Timestamp;

/// A message as a broker keeps it: its body as stored (perhaps compressed), its properties as text.
///
/// Body and properties are views on the answer they came in, so whoever keeps a message for long
/// calls [`StoredMessage::into_owned`].
#[derive(Clone, PartialEq, Eq)]
pub struct StoredMessage {
    /// The queue the message lies in.
    pub queue_id: i32,
    /// The user's number.
    pub flag: i32,
    /// The message's offset in its queue.
    pub queue_offset: i64,
    /// The record's offset in the commit log.
    pub commit_log_offset: i64,
    /// The bits of [`sys_flag`].
    pub sys_flag: i32,
    /// When the producer made the message, by its clock.
    pub born_timestamp: Timestamp,
    /// The producer, as the broker saw it.
    pub born_host: SocketAddr,
    /// When the broker stored the message, by its clock.
    pub store_timestamp: Timestamp,
    /// The broker.
    pub store_host: SocketAddr,
    /// How often the message was consumed without success.
    pub reconsume_times: i32,
    /// Where the half message of a committed transaction lies in the commit log, else 0.
    pub prepared_transaction_offset: i64,
    /// The CRC of the stored body; 0 for a member of an inner batch, which has none.
    pub body_crc: i32,
    pub(super) topic: Arc<str>,
    pub(super) body: Bytes,
    pub(super) properties: Bytes,
    pub(super) record_bytes: usize,
    pub(super) inner: bool,
}

/// The body isn't the one that was stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the body of {len} bytes has the CRC {actual:#010x}, stored was {stored:#010x}")]
pub struct CrcMismatch {
    /// The CRC in the record.
    pub stored: i32,
    /// The CRC of the body.
    pub actual: i32,
    /// The body's length in bytes.
    pub len: usize,
}

impl CrcMismatch {
    /// Whether `body` has the CRC that was stored with it.
    pub(crate) fn check(stored: i32, body: &[u8]) -> Result<(), Self> {
        let actual = body_crc(body);
        if actual == stored { Ok(()) } else { Err(Self { stored, actual, len: body.len() }) }
    }
}

impl StoredMessage {
    /// Decodes one record, which must be all of `record`; bytes after the properties are left out.
    /// An inner batch isn't expanded: see [`StoredMessage::is_inner_batch`].
    ///
    /// # Errors
    /// A typed reason, with what could be read.
    pub fn decode(record: &Bytes) -> Result<Self, RecordError> {
        Self::decode_with(record, 0..record.len(), &mut None)
    }

    /// As [`StoredMessage::decode`] for a part of a body, sharing the topic with the record before.
    pub(super) fn decode_with(
        body: &Bytes,
        range: Range<usize>,
        last_topic: &mut Option<Arc<str>>,
    ) -> Result<Self, RecordError> {
        let (at, record) = (range.start, body.get(range).unwrap_or_default());
        read(body, at, record, last_topic).map_err(|kind| undecodable(record, at, kind))
    }

    /// The topic it is stored under; a retry topic for a message that comes again.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// As [`StoredMessage::topic`], to be shared.
    #[must_use]
    pub fn shared_topic(&self) -> &Arc<str> {
        &self.topic
    }

    /// The body as stored: compressed if [`StoredMessage::is_compressed`].
    #[must_use]
    pub fn raw_body(&self) -> &Bytes {
        &self.body
    }

    /// Whether the stored body is compressed.
    #[must_use]
    pub fn is_compressed(&self) -> bool {
        sys_flag::is_compressed(self.sys_flag)
    }

    /// Whether the body is a batch that was stored as one record. [`StoredMessages`] expands it,
    /// unless it is compressed: then inflate it and call [`StoredMessage::expand`].
    ///
    /// [`StoredMessages`]: super::StoredMessages
    #[must_use]
    pub fn is_inner_batch(&self) -> bool {
        sys_flag::is_inner_batch(self.sys_flag) && !self.inner
    }

    /// The properties as text: `name U+0001 value U+0002`, repeated.
    #[must_use]
    pub fn properties_text(&self) -> &str {
        core::str::from_utf8(&self.properties).unwrap_or_default()
    }

    /// The property `name`; found by scanning the text.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        find(self.properties_text(), name)
    }

    /// The tag, if there is one.
    #[must_use]
    pub fn tags(&self) -> Option<&str> {
        self.property(property::TAGS)
    }

    /// The index keys, one by one.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        split_keys(self.property(property::KEYS))
    }

    /// The id that the producer gave the message.
    #[must_use]
    pub fn uniq_key(&self) -> Option<&str> {
        self.property(property::UNIQ_KEY)
    }

    /// The id that tells where the message is stored. Java: `MessageExt#getOffsetMsgId`.
    #[must_use]
    pub fn offset_msg_id(&self) -> id::HexId {
        id::offset_msg_id(self.store_host, self.commit_log_offset)
    }

    /// The producer's id, else the one that tells where the message is stored.
    /// Java: `MessageClientExt#getMsgId`.
    #[must_use]
    pub fn msg_id(&self) -> String {
        match self.uniq_key() {
            Some(uniq_key) => uniq_key.into(),
            None => self.offset_msg_id().into(),
        }
    }

    /// The bytes of the record this message came in; for flow control and statistics. A member of
    /// an inner batch counts its own share.
    #[must_use]
    pub fn record_bytes(&self) -> usize {
        self.record_bytes
    }

    /// Whether the stored body is what its CRC says; a member of an inner batch has none.
    ///
    /// # Errors
    /// Both CRCs.
    pub fn check_crc(&self) -> Result<(), CrcMismatch> {
        if self.inner { Ok(()) } else { CrcMismatch::check(self.body_crc, &self.body) }
    }

    /// The same message with the body inflated: the compressed bit is gone, the type bits stay, as
    /// in Java.
    #[must_use]
    pub fn with_inflated_body(mut self, body: Bytes) -> Self {
        self.body = body;
        self.sys_flag &= !sys_flag::COMPRESSED;
        self
    }

    /// The same message in memory of its own, so that it doesn't keep a whole answer alive.
    #[must_use]
    pub fn into_owned(mut self) -> Self {
        self.body = Bytes::copy_from_slice(&self.body);
        self.properties = Bytes::copy_from_slice(&self.properties);
        self
    }
}

impl fmt::Debug for StoredMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredMessage")
            .field("topic", &self.topic)
            .field("queue_id", &self.queue_id)
            .field("queue_offset", &self.queue_offset)
            .field("commit_log_offset", &self.commit_log_offset)
            .field("sys_flag", &self.sys_flag)
            .field("reconsume_times", &self.reconsume_times)
            .field("body_bytes", &self.body.len())
            .field("properties", &self.properties_text())
            .finish_non_exhaustive()
    }
}

/// Reads `record`, which lies at `at` in `body`.
fn read(
    body: &Bytes,
    at: usize,
    record: &[u8],
    last_topic: &mut Option<Arc<str>>,
) -> Result<StoredMessage, RecordErrorKind> {
    let part = |range: Range<usize>| body.slice(at + range.start..at + range.end);
    let layout = Layout::of(record)?;
    let beyond = || RecordErrorKind::Part { part: "fixed part", size: record.len() };
    let i32_of = |at| i32_at(record, at).ok_or_else(beyond);
    let i64_of = |at| i64_at(record, at).ok_or_else(beyond);
    let flags = layout.sys_flag;
    let born_v6 = flags & sys_flag::BORN_HOST_V6 != 0;
    let store_v6 = flags & sys_flag::STORE_HOST_V6 != 0;
    Ok(StoredMessage {
        queue_id: i32_of(QUEUE_ID_AT)?,
        flag: i32_of(FLAG_AT)?,
        queue_offset: i64_of(QUEUE_OFFSET_AT)?,
        commit_log_offset: i64_of(COMMIT_LOG_OFFSET_AT)?,
        sys_flag: flags,
        born_timestamp: Timestamp::from_millis(i64_of(BORN_TIMESTAMP_AT)?),
        born_host: host_at(record, BORN_HOST_AT, born_v6, "born host")?,
        store_timestamp: Timestamp::from_millis(i64_of(layout.store_timestamp_at)?),
        store_host: host_at(record, layout.store_timestamp_at + 8, store_v6, "store host")?,
        reconsume_times: i32_of(layout.reconsume_times_at)?,
        prepared_transaction_offset: i64_of(layout.reconsume_times_at + 4)?,
        body_crc: i32_of(CRC_AT)?,
        topic: topic_of(record, &layout, last_topic)?,
        body: part(layout.body),
        properties: text_of(part(layout.properties)),
        record_bytes: record.len(),
        inner: false,
    })
}

/// The record's topic; nearly always that of the record before, which is then shared.
fn topic_of(
    record: &[u8],
    layout: &Layout,
    last: &mut Option<Arc<str>>,
) -> Result<Arc<str>, RecordErrorKind> {
    let topic = record.get(layout.topic.clone()).unwrap_or_default();
    if let Some(last) = last.as_ref().filter(|last| last.as_bytes() == topic) {
        return Ok(last.clone());
    }
    let topic: Arc<str> = core::str::from_utf8(topic).map_err(|_| RecordErrorKind::TopicText)?.into();
    *last = Some(topic.clone());
    Ok(topic)
}

/// Properties as UTF-8. What isn't is replaced, as Java does: a producer's stray byte in a property
/// must not make the message undeliverable.
pub(super) fn text_of(properties: Bytes) -> Bytes {
    match core::str::from_utf8(&properties) {
        Ok(_) => properties,
        Err(_) => Bytes::from(String::from_utf8_lossy(&properties).into_owned()),
    }
}
