//! The messages of one answer of a broker, shared by all who hold one of them.

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::fmt;

use bytes::Bytes;

use crate::message::{Checked, MessageQueue, RawRecord, RecordError, RecordPlace, StoredMessage, sys_flag};
use crate::time::Timestamp;

/// A message that was pulled, or a record that can't be read. Cheap to clone and small to move: the answer
/// that it came in is kept once, as long as one of its messages is. It is decoded by whoever looks at it.
#[derive(Clone)]
pub struct PulledMessage {
    answer: Arc<Answer>,
    index: u32,
}

struct Answer {
    queue: Arc<MessageQueue>,
    body: Bytes,
    /// How much further in its queue each record of `body` is than it says.
    delta: i64,
    records: Vec<Record>,
}

/// One record of an answer.
pub(crate) enum Record {
    /// It lies there in the answer's body.
    Lies(RecordPlace),
    /// It has been read.
    Read(Box<Result<StoredMessage, RecordError>>),
}

impl Record {
    /// With its offset in its queue; `delta` is how much further that is than it says.
    pub(crate) fn of(checked: Checked, delta: i64) -> (Self, i64) {
        match checked {
            Checked::Lies { place, queue_offset, .. } => {
                (Self::Lies(place), queue_offset.saturating_add(delta))
            }
            Checked::Read(mut message) => {
                message.queue_offset = message.queue_offset.saturating_add(delta);
                let offset = message.queue_offset;
                (Self::Read(Box::new(Ok(*message))), offset)
            }
        }
    }

    /// The bytes that it took in the answer.
    pub(crate) fn bytes(&self) -> usize {
        match self {
            Self::Lies(place) => place.len(),
            Self::Read(read) => {
                read.as_ref().as_ref().map_or_else(|error| error.lost_bytes, StoredMessage::record_bytes)
            }
        }
    }

    /// What is wrong with it, if it can't be decoded.
    pub(crate) fn error(&self) -> Option<&RecordError> {
        match self {
            Self::Lies(_) => None,
            Self::Read(read) => read.as_ref().as_ref().err(),
        }
    }

    /// Whether it can be decoded, and its body has the checksum that it says; reads all of the body.
    pub(crate) fn is_sound(&self, body: &Bytes) -> bool {
        match self {
            Self::Lies(place) => place.decode(body, None).is_ok_and(|message| message.check_crc().is_ok()),
            Self::Read(read) => read.as_ref().as_ref().is_ok_and(|message| message.check_crc().is_ok()),
        }
    }

    /// What tells when it was stored, if it can be read.
    pub(crate) fn stored(&self) -> Option<Stored> {
        match self {
            Self::Lies(place) => Some(Stored::There(*place)),
            Self::Read(read) => Some(Stored::At(read.as_ref().as_ref().ok()?.store_timestamp)),
        }
    }

    /// Whether it is a message of an inner batch, or a whole one that could not be taken apart.
    pub(crate) fn is_of_inner_batch(&self, body: &Bytes) -> bool {
        let flags = match self {
            Self::Lies(place) => RawRecord::new(body, *place).sys_flag(),
            Self::Read(read) => read.as_ref().as_ref().map_or(0, |message| message.sys_flag),
        };
        sys_flag::is_inner_batch(flags)
    }

    /// The tag.
    pub(crate) fn tags<'a>(&'a self, body: &'a Bytes) -> Option<Cow<'a, str>> {
        property(self, body, crate::message::property::TAGS)
    }
}

/// When a record was stored, or where that stands.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stored {
    There(RecordPlace),
    At(Timestamp),
}

impl Stored {
    pub(crate) fn timestamp(self, body: &Bytes) -> Timestamp {
        match self {
            Self::There(place) => RawRecord::new(body, place).store_timestamp(),
            Self::At(time) => time,
        }
    }
}

/// A property of a record in `body`. What is no text in it is replaced.
fn property<'a>(record: &'a Record, body: &'a Bytes, name: &str) -> Option<Cow<'a, str>> {
    match record {
        Record::Lies(place) => match RawRecord::new(body, *place).property(name) {
            Ok(value) => value.map(Cow::Borrowed),
            Err(_) => {
                let message = place.decode(body, None).ok()?;
                message.property(name).map(|value| Cow::Owned(String::from(value)))
            }
        },
        Record::Read(read) => read.as_ref().as_ref().ok()?.property(name).map(Cow::Borrowed),
    }
}

impl PulledMessage {
    /// A message of an answer of its own.
    #[must_use]
    pub fn alone(queue: Arc<MessageQueue>, record: Result<StoredMessage, RecordError>) -> Self {
        let records = vec![Record::Read(Box::new(record))];
        Self { answer: Arc::new(Answer { queue, body: Bytes::new(), delta: 0, records }), index: 0 }
    }

    /// All of an answer, in its order.
    pub(crate) fn all(
        queue: Arc<MessageQueue>,
        body: Bytes,
        delta: i64,
        records: Vec<Record>,
    ) -> impl Iterator<Item = Self> {
        let count = u32::try_from(records.len()).expect("an answer has fewer than 2^32 bytes");
        let answer = Arc::new(Answer { queue, body, delta, records });
        (0..count).map(move |index| Self { answer: answer.clone(), index })
    }

    /// The queue it came from.
    #[must_use]
    pub fn queue(&self) -> &Arc<MessageQueue> {
        &self.answer.queue
    }

    /// The message; costs about as much as all else that happens to it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn decode(&self) -> Result<StoredMessage, RecordError> {
        match self.record() {
            Record::Lies(place) => {
                let answer = &*self.answer;
                let topic = Some(answer.queue.topic.clone());
                place.decode(&answer.body, topic).map(|mut message| {
                    message.queue_offset = message.queue_offset.saturating_add(answer.delta);
                    message
                })
            }
            Record::Read(read) => (**read).clone(),
        }
    }

    /// What is wrong with it, if it can't be decoded.
    #[must_use]
    pub fn error(&self) -> Option<&RecordError> {
        self.record().error()
    }

    /// The message, if it has been decoded already.
    #[must_use]
    pub fn read(&self) -> Option<&StoredMessage> {
        match self.record() {
            Record::Lies(_) => None,
            Record::Read(read) => read.as_ref().as_ref().ok(),
        }
    }

    /// A look at the record, unless it has been decoded or can't be.
    #[must_use]
    pub fn raw(&self) -> Option<RawRecord<'_>> {
        match self.record() {
            Record::Lies(place) => Some(RawRecord::new(&self.answer.body, *place)),
            Record::Read(_) => None,
        }
    }

    /// A property, without decoding the rest where that is possible.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<Cow<'_, str>> {
        property(self.record(), &self.answer.body, name)
    }

    fn record(&self) -> &Record {
        &self.answer.records[self.index as usize]
    }
}

impl fmt::Debug for PulledMessage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.decode().fmt(f)
    }
}
