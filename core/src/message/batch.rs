//! The body of a batch: what `SEND_BATCH_MESSAGE` carries, and what an inner batch stores.
//!
//! ```text
//! size 4   magic 4 (0)   bodyCRC 4 (0)   flag 4   body (4 + n)   properties (2 + n)
//! ```

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

use alloc::string::String;

use bytes::{BufMut, Bytes, BytesMut};

use super::bytes_at::{i32_at, u16_at};
use super::properties::PROPERTIES_BYTES_MAX;
use super::{Message, Properties, UNIQ_KEY_CHARS_MAX};

/// The size of an item without body and properties, in bytes.
pub const BATCH_ITEM_BYTES_MIN: usize = 22;

/// Why a batch can't be encoded.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum BatchEncodeError {
    /// A member's properties are too long.
    #[error("the properties of message {index} of the batch have {len} bytes; at most {max} are allowed")]
    PropertiesTooLong {
        /// The message, from 0.
        index: usize,
        /// Their encoded length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// A member's body is too long for the format.
    #[error("the body of message {index} of the batch has {len} bytes; at most 2 GiB can be written")]
    BodyTooLarge {
        /// The message, from 0.
        index: usize,
        /// Its length in bytes.
        len: usize,
    },
}

/// Why an item of a batch can't be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "its size is {size}, its body has {body_len} and its properties {properties_len} bytes, and {left} \
         bytes of the batch are left"
)]
pub struct BatchError {
    /// The size the item claims; 0 when not even that is there.
    pub size: i32,
    /// The length of the body it claims, if it got so far.
    pub body_len: i32,
    /// The length of the properties it claims, if it got so far.
    pub properties_len: i32,
    /// What is left of the batch, this item included, in bytes.
    pub left: usize,
    /// Whether the size could be believed, so that the items after this one come.
    pub size_is_sound: bool,
}

impl BatchError {
    /// How many bytes are lost: the item, or all that is left when its size can't be believed.
    #[must_use]
    pub fn lost_bytes(&self) -> usize {
        match usize::try_from(self.size) {
            Ok(size) if self.size_is_sound => size,
            _ => self.left,
        }
    }
}

/// One message of a batch: a view on the batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BatchMessage {
    /// The user's number.
    pub flag: i32,
    /// The body; batches are never compressed as a whole.
    pub body: Bytes,
    /// The properties' text, which may not be UTF-8; see [`BatchMessage::properties`].
    pub properties: Bytes,
    /// The size of the item, in bytes.
    pub size: usize,
}

impl BatchMessage {
    /// The properties, read as Java reads them; bytes that aren't UTF-8 are replaced.
    #[must_use]
    pub fn properties(&self) -> Properties {
        Properties::parse(&alloc::string::String::from_utf8_lossy(&self.properties))
    }
}

/// How many bytes `message` takes in a batch.
#[must_use]
pub fn batch_item_len(message: &Message) -> usize {
    BATCH_ITEM_BYTES_MIN + message.body.len() + message.properties.encoded_len()
}

/// Writes the body of a batch of `messages`; topic and flags of the batch go into the header.
/// Java: `MessageDecoder#encodeMessages`.
///
/// # Errors
/// A member's properties are longer than 32,767 bytes. `out` is as before then.
pub fn encode_batch<'a>(
    out: &mut BytesMut,
    messages: impl IntoIterator<Item = &'a Message>,
) -> Result<(), BatchEncodeError> {
    let before = out.len();
    for (index, message) in messages.into_iter().enumerate() {
        if let Err(error) = encode_item(out, index, message, "") {
            out.truncate(before);
            return Err(error);
        }
    }
    Ok(())
}

/// As [`batch_item_len`], with the longest unique key behind the message's own properties.
pub(super) fn keyed_item_len(message: &Message) -> usize {
    batch_item_len(message) + UNIQ_KEY_CHARS_MAX
}

/// The body of a batch of `messages` that get unique keys now: `push_key` appends one as a property, its
/// separators included. Each body is copied once.
///
/// # Errors
/// As [`encode_batch`].
pub(crate) fn encode_keyed_batch(
    messages: &[Message],
    mut push_key: impl FnMut(&mut String),
) -> Result<Bytes, BatchEncodeError> {
    let mut out = BytesMut::with_capacity(messages.iter().map(keyed_item_len).sum());
    let mut key = String::with_capacity(UNIQ_KEY_CHARS_MAX);
    for (index, message) in messages.iter().enumerate() {
        key.clear();
        push_key(&mut key);
        encode_item(&mut out, index, message, &key)?;
    }
    Ok(out.freeze())
}

/// The messages of a batch's body. An item whose parts don't fit its size is one error and the
/// next one comes; when its size can't be believed, the rest is one error.
#[must_use]
pub fn decode_batch(body: Bytes) -> BatchMessages {
    BatchMessages { body, at: 0 }
}

/// The messages of a batch; see [`decode_batch`].
#[derive(Clone, Debug)]
pub struct BatchMessages {
    body: Bytes,
    at: usize,
}

impl Iterator for BatchMessages {
    type Item = Result<BatchMessage, BatchError>;

    fn next(&mut self) -> Option<Self::Item> {
        let at = self.at;
        let left = self.body.len().checked_sub(at).filter(|left| *left > 0)?;
        let size = i32_at(&self.body, at).unwrap_or(0);
        let Some(bytes) =
            usize::try_from(size).ok().filter(|bytes| (BATCH_ITEM_BYTES_MIN..=left).contains(bytes))
        else {
            self.at = self.body.len();
            let error = BatchError { size, body_len: 0, properties_len: 0, left, size_is_sound: false };
            return Some(Err(error));
        };
        self.at = at + bytes;
        Some(decode_item(&self.body.slice(at..self.at)).map_err(|(body_len, properties_len)| BatchError {
            size,
            body_len,
            properties_len,
            left,
            size_is_sound: true,
        }))
    }
}

/// One item, or the lengths of its body and properties that don't fit.
fn decode_item(item: &Bytes) -> Result<BatchMessage, (i32, i32)> {
    let body_len = i32_at(item, 16).unwrap_or(0);
    let body_end = usize::try_from(body_len)
        .ok()
        .and_then(|len| len.checked_add(20))
        .filter(|end| *end <= item.len())
        .ok_or((body_len, 0))?;
    let properties_len = u16_at(item, body_end).ok_or((body_len, 0))?.cast_signed();
    let properties_at = body_end + 2;
    let properties_end = usize::try_from(properties_len)
        .ok()
        .and_then(|len| len.checked_add(properties_at))
        .filter(|end| *end <= item.len())
        .ok_or((body_len, i32::from(properties_len)))?;
    Ok(BatchMessage {
        flag: i32_at(item, 12).unwrap_or(0),
        body: item.slice(20..body_end),
        properties: item.slice(properties_at..properties_end),
        size: item.len(),
    })
}

/// `more` are properties, as they travel, that come behind the message's own.
fn encode_item(
    out: &mut BytesMut,
    index: usize,
    message: &Message,
    more: &str,
) -> Result<(), BatchEncodeError> {
    let len = message.properties.encoded_len() + more.len();
    let properties_len = i16::try_from(len).map_err(|_| BatchEncodeError::PropertiesTooLong {
        index,
        len,
        max: PROPERTIES_BYTES_MAX,
    })?;
    let size = batch_item_len(message) + more.len();
    let too_large = |_| BatchEncodeError::BodyTooLarge { index, len: message.body.len() };
    let size_field = i32::try_from(size).map_err(too_large)?;
    let body_len = i32::try_from(message.body.len()).map_err(too_large)?;
    out.reserve(size);
    out.put_i32(size_field);
    out.put_i32(0);
    out.put_i32(0);
    out.put_i32(message.flag);
    out.put_i32(body_len);
    out.put_slice(&message.body);
    out.put_i16(properties_len);
    message.properties.encode_into(out);
    out.put_slice(more.as_bytes());
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn encoded(messages: &[Message]) -> BytesMut {
        let mut out = BytesMut::new();
        encode_batch(&mut out, messages).unwrap();
        out
    }

    #[test]
    fn an_item_that_does_not_fit_its_size_is_one_error_and_the_next_comes() {
        let messages = [Message::new("t", "one"), Message::new("t", "two"), Message::new("t", "three")];
        let mut body = encoded(&messages);
        let second = batch_item_len(&messages[0]);
        body[second + 16..second + 20].copy_from_slice(&i32::MAX.to_be_bytes());
        let items: Vec<_> = decode_batch(body.freeze()).collect();
        assert_eq!(items.len(), 3);
        assert_eq!(items[0].as_ref().unwrap().body, "one");
        assert_eq!(items[1].as_ref().unwrap_err().body_len, i32::MAX);
        assert_eq!(items[2].as_ref().unwrap().body, "three");
    }

    #[test]
    fn a_size_that_can_not_be_believed_ends_the_batch() {
        for size in [-1, 0, 21, 1_000, i32::MAX] {
            let mut body = encoded(&[Message::new("t", "one"), Message::new("t", "two")]);
            body[..4].copy_from_slice(&i32::to_be_bytes(size));
            let items: Vec<_> = decode_batch(body.freeze()).collect();
            assert_eq!(items.len(), 1, "{size}");
            assert_eq!(items[0].as_ref().unwrap_err().lost_bytes(), 50);
        }
    }

    #[test]
    fn a_failed_encoding_leaves_the_buffer_as_it_was() {
        let mut out = BytesMut::from(&b"before"[..]);
        let long = Message::new("t", "b").property("n", "x".repeat(40_000));
        let error = encode_batch(&mut out, &[Message::new("t", "b"), long]).unwrap_err();
        assert!(matches!(error, BatchEncodeError::PropertiesTooLong { index: 1, len: 40_003, .. }));
        assert_eq!(out, "before");
    }

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(
            items in proptest::collection::vec((any::<Vec<u8>>(), any::<i32>(), "[a-z]{0,9}"), 0..6),
        ) {
            let messages: Vec<_> = items
                .into_iter()
                .map(|(body, flag, tag)| Message::new("t", body).flag(flag).tag(alloc::format!("t{tag}")))
                .collect();
            let decoded: Vec<_> = decode_batch(encoded(&messages).freeze()).map(Result::unwrap).collect();
            prop_assert_eq!(decoded.len(), messages.len());
            for (item, message) in decoded.iter().zip(&messages) {
                prop_assert_eq!(item.flag, message.flag);
                prop_assert_eq!(&item.body, &message.body);
                prop_assert_eq!(item.properties(), message.properties.clone());
                prop_assert_eq!(item.size, batch_item_len(message));
            }
        }

        #[test]
        fn any_bytes_decode_without_a_panic_and_in_bounded_steps(bytes: Vec<u8>) {
            let most = bytes.len() / BATCH_ITEM_BYTES_MIN + 1;
            prop_assert!(decode_batch(Bytes::from(bytes)).count() <= most);
        }
    }
}
