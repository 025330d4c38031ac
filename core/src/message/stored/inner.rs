//! Inner batches: several messages in one record.

use bytes::Bytes;

use super::RecordErrorKind;
use super::message::text_of;
use crate::message::batch::{BatchMessages, decode_batch};
use crate::message::{RecordError, StoredMessage};

/// The messages of an inner batch; see [`StoredMessage::expand`].
#[derive(Clone, Debug)]
pub struct InnerMessages {
    wrapper: StoredMessage,
    at: usize,
    items: BatchMessages,
    index: usize,
}

impl StoredMessage {
    /// The messages of an inner batch, whose body must not be compressed any more. Each has its
    /// own body, flag and properties, the offset that follows the one before, and all else from
    /// the batch; except the reconsume times, which Java starts again for each.
    /// Java: `MessageDecoder#decodeMessage`.
    #[must_use]
    pub fn expand(self) -> InnerMessages {
        self.expand_at(0)
    }

    pub(super) fn expand_at(self, at: usize) -> InnerMessages {
        InnerMessages { items: decode_batch(self.body.clone()), wrapper: self, at, index: 0 }
    }
}

impl Iterator for InnerMessages {
    type Item = Result<StoredMessage, RecordError>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.items.next()?;
        let index = self.index;
        self.index += 1;
        let wrapper = &self.wrapper;
        let offset = i64::try_from(index).ok().and_then(|index| wrapper.queue_offset.checked_add(index));
        Some(match item {
            Ok(item) => Ok(StoredMessage {
                flag: item.flag,
                queue_offset: offset.unwrap_or(i64::MAX),
                reconsume_times: 0,
                prepared_transaction_offset: 0,
                body_crc: 0,
                body: item.body,
                properties: text_of(item.properties),
                record_bytes: item.size,
                inner: true,
                ..without_texts(wrapper)
            }),
            Err(error) => Err(RecordError {
                kind: RecordErrorKind::InnerBatch { index, error },
                at: self.at,
                lost_bytes: error.lost_bytes(),
                ends_body: false,
                queue_offset: offset,
                commit_log_offset: Some(wrapper.commit_log_offset),
                queue_id: Some(wrapper.queue_id),
                topic: Some(wrapper.topic.clone()),
            }),
        })
    }
}

/// The batch without its body and properties, so that a member doesn't count their references.
fn without_texts(wrapper: &StoredMessage) -> StoredMessage {
    StoredMessage { topic: wrapper.topic.clone(), body: Bytes::new(), properties: Bytes::new(), ..*wrapper }
}
