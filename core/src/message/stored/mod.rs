//! Messages as brokers store them: what pull, pop, view and query answer.
//!
//! A body is records back to back, without a count. [`scan_stored`] reads only what decides,
//! [`StoredMessages`] decodes, [`encode_stored`] writes.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

mod encode;
mod error;
mod inner;
mod layout;
mod message;
mod raw;
mod scan;

use alloc::sync::Arc;

use bytes::Bytes;

pub use encode::{EncodeError, StoredRecord, encode_stored};
pub use error::{RecordError, RecordErrorKind};
pub use inner::InnerMessages;
pub use layout::{MAGIC_V1, MAGIC_V2, RECORD_BYTES_MIN};
pub use message::{CrcMismatch, StoredMessage};
pub use raw::RawRecord;
pub(crate) use raw::{Checked, CheckedMessages, RecordPlace};
pub use scan::{ScanStored, ScannedRecord, scan_stored};

use scan::Records;

/// The messages of a pull body. One that can't be decoded is one typed error, and its neighbours
/// come; inner batches are expanded, unless they are compressed.
///
/// When a record's size itself can't be believed, the rest of the body is one error
/// ([`RecordError::ends_body`]).
#[derive(Clone, Debug)]
pub struct StoredMessages {
    body: Bytes,
    records: Records,
    inner: Option<InnerMessages>,
    topic: Option<Arc<str>>,
}

impl StoredMessages {
    /// The messages of `body`.
    #[must_use]
    pub fn new(body: Bytes) -> Self {
        Self { body, records: Records::default(), inner: None, topic: None }
    }
}

impl Iterator for StoredMessages {
    type Item = Result<StoredMessage, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(inner) = &mut self.inner {
                match inner.next() {
                    Some(message) => return Some(message),
                    None => self.inner = None,
                }
            }
            let range = match self.records.next(&self.body)? {
                Ok(range) => range,
                Err(error) => return Some(Err(error)),
            };
            let at = range.start;
            let message = StoredMessage::decode_with(&self.body, range, &mut self.topic);
            match message {
                Ok(batch) if batch.is_inner_batch() && !batch.is_compressed() => {
                    self.inner = Some(batch.expand_at(at));
                }
                message => return Some(message),
            }
        }
    }
}

#[cfg(test)]
mod tests;
