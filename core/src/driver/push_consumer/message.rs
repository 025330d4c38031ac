//! A received message, as user code sees it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use bytes::Bytes;

use std::sync::OnceLock;

use super::super::compress::{INFLATE_RATIO_MAX, InflateError, inflate};
use super::super::std;
use crate::consumer::{ConsumeToken, Delivery, PulledMessage};
use crate::message::{
    CrcMismatch, MessageQueue, RawRecord, RecordError, StoredMessage, properties, property, split_keys,
    sys_flag,
};
use crate::time::Timestamp;

/// Characters of a body that `Display` shows.
const SHOWN_CHARS_MAX: usize = 200;

/// A message that arrived. Java: `MessageExt`.
///
/// Shown as one line: topic, queue, offset, tags, keys, and the body as text.
#[derive(Clone, Debug)]
pub struct ReceivedMessage {
    delivery: Delivery,
    body: Result<Bytes, Box<UndecodableBody>>,
    /// The whole record, once somebody has asked for it.
    stored: OnceLock<Box<StoredMessage>>,
}

/// Why a message has no body.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UndecodableBody {
    /// The record as the broker keeps it can't be read.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The body isn't the one that was stored. Java doesn't look.
    #[error(transparent)]
    Crc(#[from] CrcMismatch),
    /// The body can't be inflated.
    #[error(transparent)]
    Inflate(#[from] InflateError),
}

impl ReceivedMessage {
    /// Checks the body and inflates it, to at most `inflated_bytes_max`, where it is compressed; that
    /// happens on the consumer's side. Also tells what inflating cost.
    pub(super) fn new(delivery: Delivery, inflated_bytes_max: usize) -> (Self, Option<Inflated>) {
        let (body, inflated) = decoded(&delivery.message, inflated_bytes_max);
        (Self { delivery, body: body.map_err(Box::new), stored: OnceLock::new() }, inflated)
    }

    /// The body.
    ///
    /// # Errors
    /// The record or its body can't be decoded. Handlers never see such a message: it goes to the
    /// dead letters, or to [`on_undecodable`](super::PushConsumerBuilder::on_undecodable). A stream shows it.
    pub fn body(&self) -> Result<&Bytes, &UndecodableBody> {
        self.body.as_ref().map_err(|error| &**error)
    }

    /// The topic that it was first sent to, also when it is delivered again.
    #[must_use]
    pub fn topic(&self) -> &Arc<str> {
        self.delivery.topic()
    }

    /// The queue it came from; for a message that is delivered again that is the retry topic's.
    #[must_use]
    pub fn queue(&self) -> &Arc<MessageQueue> {
        self.delivery.queue()
    }

    /// Its place in that queue.
    #[must_use]
    pub fn queue_offset(&self) -> i64 {
        self.delivery.token.queue_offset
    }

    /// Its tag.
    #[must_use]
    pub fn tags(&self) -> Option<&str> {
        self.property(property::TAGS)
    }

    /// Its keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        split_keys(self.property(property::KEYS))
    }

    /// A property of this name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        match self.delivery.message.raw().map(|raw| raw.property(name)) {
            Some(Ok(value)) => value,
            // What is no text in it is replaced.
            Some(Err(_)) | None => self.stored()?.property(name),
        }
    }

    /// All its properties, as name and value: yours, and those of RocketMQ such as `TAGS`, `KEYS` and `UNIQ_KEY`;
    /// [`property::is_reserved`] tells which is which. None for a record that can't be read.
    pub fn properties(&self) -> impl Iterator<Item = (&str, &str)> {
        properties::pieces(self.stored().map_or("", StoredMessage::properties_text))
    }

    /// Its unique key, or, for a message without one, its place in the broker's log. Empty for a
    /// record that can't be read.
    #[must_use]
    pub fn message_id(&self) -> String {
        self.stored().map(StoredMessage::msg_id).unwrap_or_default()
    }

    /// How often it has been delivered before without success.
    #[must_use]
    pub fn reconsume_times(&self) -> i32 {
        let times = look(&self.delivery.message, |raw| raw.reconsume_times(), |read| read.reconsume_times);
        times.unwrap_or(0)
    }

    /// When the producer made it, by its clock.
    #[must_use]
    pub fn born_timestamp(&self) -> Option<Timestamp> {
        look(&self.delivery.message, |raw| raw.born_timestamp(), |read| read.born_timestamp)
    }

    /// When the broker stored it, by its clock.
    #[must_use]
    pub fn store_timestamp(&self) -> Option<Timestamp> {
        look(&self.delivery.message, |raw| raw.store_timestamp(), |read| read.store_timestamp)
    }

    /// The record as the broker keeps it; `None` when it can't be read. The first call decodes it.
    #[must_use]
    pub fn stored(&self) -> Option<&StoredMessage> {
        let message = &self.delivery.message;
        if message.read().is_some() || message.error().is_some() {
            return message.read();
        }
        if self.stored.get().is_none() {
            // Somebody else may have been faster, with the same.
            let _ = self.stored.set(Box::new(message.decode().ok()?));
        }
        self.stored.get().map(|stored| &**stored)
    }

    /// Copies what would keep the whole answer of the broker in memory. For messages that are kept.
    #[must_use]
    pub fn into_owned(mut self) -> Self {
        let record = self.delivery.message.decode().map(StoredMessage::into_owned);
        // What was inflated lies in memory of its own.
        if let (Ok(body), Ok(message)) = (&mut self.body, &record)
            && !message.is_compressed()
        {
            *body = message.raw_body().clone();
        }
        self.delivery.message = PulledMessage::alone(self.delivery.queue().clone(), record);
        self.stored = OnceLock::new();
        self
    }

    pub(super) fn token(&self) -> ConsumeToken {
        self.delivery.token
    }
}

/// Something of a message, from its record or, where it was read already, from what was read; `None` when it can't
/// be read.
fn look<T>(
    message: &PulledMessage,
    raw: impl FnOnce(&RawRecord<'_>) -> T,
    read: impl FnOnce(&StoredMessage) -> T,
) -> Option<T> {
    message.raw().as_ref().map(raw).or_else(|| message.read().map(read))
}

/// The bytes of a compressed body.
#[derive(Clone, Copy, Debug)]
pub(super) struct Inflated {
    /// As the broker keeps them.
    pub(super) stored: usize,
    /// As many as were inflated, or may have been where that failed.
    pub(super) inflated: usize,
}

/// The body of a message, checked and inflated.
fn decoded(
    message: &PulledMessage,
    inflated_bytes_max: usize,
) -> (Result<Bytes, UndecodableBody>, Option<Inflated>) {
    if let Some(error) = message.error() {
        return (Err(error.clone().into()), None);
    }
    let parts = look(
        message,
        |raw| (raw.sys_flag(), raw.body_crc(), raw.raw_body()),
        |read| (read.sys_flag, read.body_crc, read.raw_body().clone()),
    );
    let (flags, crc, body) = parts.expect("what is no error and does not lie in the answer was read");
    // Whoever writes no CRC writes zero.
    if crc != 0
        && let Err(error) = CrcMismatch::check(crc, &body)
    {
        return (Err(error.into()), None);
    }
    if !sys_flag::is_compressed(flags) {
        return (Ok(body), None);
    }
    let body_inflated = inflate(flags, &body, inflated_bytes_max);
    let inflated = match &body_inflated {
        Ok(inflated) => inflated.len(),
        Err(InflateError::UnknownType { .. }) => 0,
        Err(InflateError::TooLarge { max, .. } | InflateError::Ratio { max, .. }) => *max,
        // It may have become as large as that before it turned out to be wrong.
        Err(InflateError::Corrupt { .. }) => {
            body.len().saturating_mul(INFLATE_RATIO_MAX).min(inflated_bytes_max)
        }
    };
    let inflated = Inflated { stored: body.len(), inflated };
    (body_inflated.map_err(UndecodableBody::from), Some(inflated))
}

impl fmt::Display for ReceivedMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let queue = self.queue();
        write!(f, "{}@{}:{}", self.topic().escape_debug(), queue.broker_name.escape_debug(), queue.queue_id)?;
        write!(f, " offset {}", self.queue_offset())?;
        if let Some(tags) = self.tags() {
            write!(f, " tags {}", tags.escape_debug())?;
        }
        let mut keys = self.keys();
        if let Some(first) = keys.next() {
            write!(f, " keys {}", first.escape_debug())?;
            keys.try_for_each(|key| write!(f, " {}", key.escape_debug()))?;
        }
        match self.body() {
            Ok(body) => {
                // Four bytes a character at most: no more of a large body is looked at.
                let head = &body[..body.len().min(4 * SHOWN_CHARS_MAX)];
                let text = String::from_utf8_lossy(head);
                let shown = text.char_indices().nth(SHOWN_CHARS_MAX).map_or(&*text, |(end, _)| &text[..end]);
                let more = if shown.len() < body.len() { "…" } else { "" };
                write!(f, ": {}{more}", shown.escape_debug())
            }
            Err(error) => write!(f, ": {error}"),
        }
    }
}
