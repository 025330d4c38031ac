//! A received message, as user code sees it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;

use bytes::Bytes;

use super::super::compress::{InflateError, inflate};
use crate::consumer::{ConsumeToken, Delivery, PulledMessage};
use crate::message::{CrcMismatch, MessageQueue, RecordError, StoredMessage};
use crate::time::Timestamp;

/// Characters of a body that `Display` shows.
const SHOWN_CHARS_MAX: usize = 200;

/// A message that arrived. Java: `MessageExt`.
///
/// Shown as one line: topic, queue, offset, tags, keys, and the body as text.
#[derive(Clone, Debug)]
pub struct ReceivedMessage {
    delivery: Delivery,
    body: Body,
}

#[derive(Clone, Debug)]
enum Body {
    /// As it is stored.
    Stored,
    Inflated(Bytes),
    Undecodable(Box<UndecodableBody>),
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
    /// happens on the consumer's side.
    pub(super) fn new(delivery: Delivery, inflated_bytes_max: usize) -> Self {
        let body = match delivery.message.record() {
            Ok(message) => decoded(message, inflated_bytes_max),
            Err(error) => Err(error.clone().into()),
        };
        let body = body.unwrap_or_else(|error| Body::Undecodable(Box::new(error)));
        Self { delivery, body }
    }

    /// The body.
    ///
    /// # Errors
    /// The record or its body can't be decoded. Handlers never see such a message: it goes to the
    /// dead letters, or to [`on_undecodable`](super::PushConsumerBuilder::on_undecodable). A stream shows it.
    pub fn body(&self) -> Result<&Bytes, &UndecodableBody> {
        match (&self.body, self.delivery.message.record()) {
            (Body::Stored, Ok(message)) => Ok(message.raw_body()),
            (Body::Stored, Err(_)) => unreachable!("a record that can't be read has no stored body"),
            (Body::Inflated(body), _) => Ok(body),
            (Body::Undecodable(error), _) => Err(error),
        }
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
        self.stored()?.tags()
    }

    /// Its keys.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        self.stored().into_iter().flat_map(StoredMessage::keys)
    }

    /// A property of this name.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&str> {
        self.stored()?.property(name)
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
        self.stored().map_or(0, |message| message.reconsume_times)
    }

    /// When the producer made it, by its clock.
    #[must_use]
    pub fn born_timestamp(&self) -> Option<Timestamp> {
        self.stored().map(|message| message.born_timestamp)
    }

    /// When the broker stored it, by its clock.
    #[must_use]
    pub fn store_timestamp(&self) -> Option<Timestamp> {
        self.stored().map(|message| message.store_timestamp)
    }

    /// The record as the broker keeps it; `None` when it can't be read.
    #[must_use]
    pub fn stored(&self) -> Option<&StoredMessage> {
        self.delivery.message.record().as_ref().ok()
    }

    /// Copies what would keep the whole answer of the broker in memory. For messages that are kept.
    #[must_use]
    pub fn into_owned(mut self) -> Self {
        let record = self.delivery.message.record().clone().map(StoredMessage::into_owned);
        self.delivery.message = PulledMessage::alone(self.delivery.queue().clone(), record);
        self
    }

    pub(super) fn token(&self) -> ConsumeToken {
        self.delivery.token
    }
}

fn decoded(message: &StoredMessage, inflated_bytes_max: usize) -> Result<Body, UndecodableBody> {
    // Whoever writes no CRC writes zero.
    if message.body_crc != 0 {
        message.check_crc()?;
    }
    if !message.is_compressed() {
        return Ok(Body::Stored);
    }
    Ok(Body::Inflated(inflate(message.sys_flag, message.raw_body(), inflated_bytes_max)?))
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
