//! Records that are checked when they arrive and decoded when somebody looks at them: most handlers want a
//! body and perhaps a property, and half of what a pulled message cost was the rest.

use alloc::boxed::Box;
use alloc::sync::Arc;
use core::ops::Range;
use core::str::Utf8Error;

use bytes::Bytes;

use super::layout::{
    BORN_HOST_AT, BORN_TIMESTAMP_AT, CRC_AT, Layout, QUEUE_ID_AT, QUEUE_OFFSET_AT, SYS_FLAG_AT, port_at,
};
use super::scan::{Records, undecodable};
use super::{InnerMessages, RecordErrorKind, StoredMessage};
use crate::message::bytes_at::{i32_at, i64_at};
use crate::message::properties::find_range;
use crate::message::{RecordError, sys_flag};
use crate::time::Timestamp;

/// The messages of a pull body, as [`StoredMessages`](super::StoredMessages) gives them, but those that are
/// a record of their own not decoded.
#[derive(Debug)]
pub(crate) struct CheckedMessages {
    body: Bytes,
    records: Records,
    inner: Option<InnerMessages>,
    /// Where the last topic lies: the next one is mostly the same.
    topic: Range<usize>,
}

/// A message that can be decoded, or was.
#[derive(Debug)]
pub(crate) enum Checked {
    /// It lies there.
    Lies {
        /// In the pull body.
        place: RecordPlace,
        /// Its offset in its queue, as it was stored.
        queue_offset: i64,
        /// The number of its queue.
        queue_id: i32,
    },
    /// One of an inner batch.
    Read(Box<StoredMessage>),
}

impl Checked {
    /// The number of its queue, as it was stored.
    pub(crate) fn queue_id(&self) -> i32 {
        match self {
            Self::Lies { queue_id, .. } => *queue_id,
            Self::Read(message) => message.queue_id,
        }
    }
}

/// Where a record that was checked lies in a pull body, which is shorter than 2^32 bytes, as a frame is.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordPlace {
    at: u32,
    len: u32,
    /// Counted from the record's first byte.
    body_at: u32,
    body_len: u32,
}

impl RecordPlace {
    fn new(range: &Range<usize>, layout: &Layout) -> Self {
        let short = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
        Self {
            at: short(range.start),
            len: short(range.len()),
            body_at: short(layout.body.start),
            body_len: short(layout.body.len()),
        }
    }

    /// The bytes of the record.
    pub(crate) fn len(self) -> usize {
        self.len as usize
    }

    fn range(self) -> Range<usize> {
        let at = self.at as usize;
        at..at + self.len()
    }

    /// The message. `topic` is one that it may have.
    ///
    /// # Errors
    /// `body` is another one than was checked.
    pub(crate) fn decode(
        self,
        body: &Bytes,
        mut topic: Option<Arc<str>>,
    ) -> Result<StoredMessage, RecordError> {
        StoredMessage::decode_with(body, self.range(), &mut topic)
    }
}

impl CheckedMessages {
    pub(crate) fn new(body: Bytes) -> Self {
        Self { body, records: Records::default(), inner: None, topic: 0..0 }
    }

    /// Where the topic of the last message lies in the body, or an equal one before it.
    pub(crate) fn topic(&self) -> Range<usize> {
        self.topic.clone()
    }

    /// Checks all that decoding checks; gives the messages of an inner batch that can be read.
    fn check(&mut self, range: Range<usize>) -> Result<Option<Checked>, RecordErrorKind> {
        let record = self.body.get(range.clone()).unwrap_or_default();
        let layout = Layout::of(record)?;
        let born_v6 = layout.sys_flag & sys_flag::BORN_HOST_V6 != 0;
        let store_v6 = layout.sys_flag & sys_flag::STORE_HOST_V6 != 0;
        port_at(record, BORN_HOST_AT, born_v6, "born host")?;
        port_at(record, layout.store_timestamp_at + 8, store_v6, "store host")?;
        let topic = record.get(layout.topic.clone()).unwrap_or_default();
        if self.body.get(self.topic.clone()) != Some(topic) {
            core::str::from_utf8(topic).map_err(|_| RecordErrorKind::TopicText)?;
            self.topic = range.start + layout.topic.start..range.start + layout.topic.end;
        }
        if sys_flag::is_inner_batch(layout.sys_flag) && !sys_flag::is_compressed(layout.sys_flag) {
            let place = RecordPlace::new(&range, &layout);
            self.inner = place.decode(&self.body, None).ok().map(|batch| batch.expand_at(range.start));
            return Ok(None);
        }
        let queue_offset = i64_at(record, QUEUE_OFFSET_AT).unwrap_or_default();
        let queue_id = i32_at(record, QUEUE_ID_AT).unwrap_or_default();
        Ok(Some(Checked::Lies { place: RecordPlace::new(&range, &layout), queue_offset, queue_id }))
    }
}

impl Iterator for CheckedMessages {
    type Item = Result<Checked, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(inner) = &mut self.inner {
                match inner.next() {
                    Some(message) => return Some(message.map(|message| Checked::Read(Box::new(message)))),
                    None => self.inner = None,
                }
            }
            let range = match self.records.next(&self.body)? {
                Ok(range) => range,
                Err(error) => return Some(Err(error)),
            };
            match self.check(range.clone()) {
                Ok(None) => {}
                Ok(Some(checked)) => return Some(Ok(checked)),
                Err(kind) => {
                    let record = self.body.get(range.clone()).unwrap_or_default();
                    return Some(Err(undecodable(record, range.start, kind)));
                }
            }
        }
    }
}

/// A look at a record that was checked: single fields, without decoding the others.
#[derive(Debug)]
pub struct RawRecord<'a> {
    body: &'a Bytes,
    place: RecordPlace,
    record: &'a [u8],
}

impl<'a> RawRecord<'a> {
    /// Of the body in which the place was found.
    pub(crate) fn new(body: &'a Bytes, place: RecordPlace) -> Self {
        Self { body, place, record: body.get(place.range()).unwrap_or_default() }
    }

    /// The bits of [`sys_flag`].
    #[must_use]
    pub fn sys_flag(&self) -> i32 {
        i32_at(self.record, SYS_FLAG_AT).unwrap_or_default()
    }

    /// The body as stored.
    #[must_use]
    pub fn raw_body(&self) -> Bytes {
        let at = self.place.at as usize + self.place.body_at as usize;
        self.body.slice(at..at + self.place.body_len as usize)
    }

    /// The CRC of the stored body.
    #[must_use]
    pub fn body_crc(&self) -> i32 {
        i32_at(self.record, CRC_AT).unwrap_or_default()
    }

    /// How often the message was consumed without success.
    #[must_use]
    pub fn reconsume_times(&self) -> i32 {
        self.layout().and_then(|layout| i32_at(self.record, layout.reconsume_times_at)).unwrap_or_default()
    }

    /// When the producer made the message, by its clock.
    #[must_use]
    pub fn born_timestamp(&self) -> Timestamp {
        Timestamp::from_millis(i64_at(self.record, BORN_TIMESTAMP_AT).unwrap_or_default())
    }

    /// When the broker stored the message, by its clock.
    #[must_use]
    pub fn store_timestamp(&self) -> Timestamp {
        let at = self.layout().map_or(usize::MAX, |layout| layout.store_timestamp_at);
        Timestamp::from_millis(i64_at(self.record, at).unwrap_or_default())
    }

    fn layout(&self) -> Option<Layout> {
        Layout::of(self.record).ok()
    }

    /// The property `name`.
    ///
    /// # Errors
    /// Its value is not UTF-8: decoding replaces what isn't.
    pub fn property(&self, name: &str) -> Result<Option<&'a str>, Utf8Error> {
        let properties = self.layout().and_then(|layout| self.record.get(layout.properties));
        let properties = properties.unwrap_or_default();
        let value = find_range(properties, name.as_bytes()).and_then(|range| properties.get(range));
        value.map(core::str::from_utf8).transpose()
    }
}

#[cfg(test)]
mod tests {
    use crate::message::fuzz::check_later;
    use crate::message::stored::tests::bodies;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_checked_and_decoded_later_is_what_would_be_decoded_now(body in bodies()) {
            check_later(&body);
        }
    }
}
