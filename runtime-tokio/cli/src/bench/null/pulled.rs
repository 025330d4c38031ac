//! Messages that are made up for pulls.

use std::net::SocketAddr;

use bytes::BytesMut;
use rocketmq_client_tokio::core::message::{StoredRecord, encode_stored, property};
use rocketmq_client_tokio::core::remoting::{PullMessageRequestHeader, PullMessageResponseHeader};
use rocketmq_client_tokio::core::time::Timestamp;

/// Records that are kept ready.
const BATCH: usize = 32;
/// Where a stored record has its queue, its offset there and its offset in the log.
const QUEUE_ID_AT: usize = 12;
const QUEUE_OFFSET_AT: usize = 20;
const COMMIT_LOG_OFFSET_AT: usize = 28;

/// One batch of records, in which the places are changed from pull to pull.
pub(super) struct Pulled {
    /// Messages in each queue.
    messages: i64,
    topic: String,
    size: u32,
    records: BytesMut,
    record_bytes: usize,
}

impl Pulled {
    pub(super) fn new(messages: u64, size: u32) -> Self {
        let messages = i64::try_from(messages).unwrap_or(i64::MAX);
        Self { messages, topic: String::new(), size, records: BytesMut::new(), record_bytes: 0 }
    }

    /// The answer to a pull; `None` when the queue has nothing at its offset.
    pub(super) fn batch(
        &mut self,
        header: &PullMessageRequestHeader<'_>,
    ) -> Option<(PullMessageResponseHeader, &[u8])> {
        let wanted = usize::try_from(header.max_msg_nums).unwrap_or(0).min(BATCH);
        let left = usize::try_from(self.messages.saturating_sub(header.queue_offset)).unwrap_or(0);
        let count = wanted.min(left);
        if count == 0 || header.queue_offset < 0 {
            return None;
        }
        if self.topic != header.topic {
            header.topic.as_ref().clone_into(&mut self.topic);
            self.make_up()?;
        }
        for (offset, record) in
            (header.queue_offset..).zip(self.records.chunks_exact_mut(self.record_bytes).take(count))
        {
            let log_offset = (offset * 1_024 + i64::from(header.queue_id)) * self.record_bytes as i64;
            put(record, QUEUE_ID_AT, &header.queue_id.to_be_bytes());
            put(record, QUEUE_OFFSET_AT, &offset.to_be_bytes());
            put(record, COMMIT_LOG_OFFSET_AT, &log_offset.to_be_bytes());
        }
        let answer = PullMessageResponseHeader {
            next_begin_offset: header.queue_offset + count as i64,
            max_offset: self.messages,
            ..PullMessageResponseHeader::default()
        };
        Some((answer, &self.records[..count * self.record_bytes]))
    }

    fn make_up(&mut self) -> Option<()> {
        let key = "7F0000010001000000000000000000FF";
        let properties = format!("{}\u{1}{key}\u{2}WAIT\u{1}true\u{2}", property::UNIQ_KEY);
        let host = SocketAddr::from(([127, 0, 0, 1], 1));
        let born = Timestamp::from_millis(1_700_000_000_000);
        let record = StoredRecord {
            queue_id: 0,
            flag: 0,
            queue_offset: 0,
            commit_log_offset: 0,
            sys_flag: 0,
            born_timestamp: born,
            born_host: host,
            store_timestamp: born,
            store_host: host,
            reconsume_times: 0,
            prepared_transaction_offset: 0,
            body: &vec![b'm'; self.size as usize],
            topic: &self.topic,
            properties: &properties,
        };
        self.records.clear();
        for _ in 0..BATCH {
            self.record_bytes = encode_stored(&mut self.records, &record).ok()?;
        }
        Some(())
    }
}

fn put(record: &mut [u8], at: usize, bytes: &[u8]) {
    record[at..at + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use rocketmq_client_tokio::core::message::StoredMessages;

    use super::*;

    fn pull(queue_offset: i64) -> PullMessageRequestHeader<'static> {
        PullMessageRequestHeader {
            topic: "T".into(),
            queue_id: 3,
            queue_offset,
            max_msg_nums: 32,
            ..PullMessageRequestHeader::default()
        }
    }

    #[test]
    fn pulled_messages_stand_where_they_were_asked_for() {
        let mut pulled = Pulled::new(40, 16);
        let (header, body) = pulled.batch(&pull(10)).expect("messages");
        assert_eq!((header.next_begin_offset, header.max_offset), (40, 40));
        let messages: Vec<_> =
            StoredMessages::new(Bytes::copy_from_slice(body)).map(|message| message.unwrap()).collect();
        assert_eq!(messages.len(), 30);
        assert_eq!((messages[29].queue_offset, messages[29].queue_id), (39, 3));
        assert_eq!((messages[0].topic(), messages[0].raw_body().len()), ("T", 16));
        messages.iter().for_each(|message| message.check_crc().unwrap());
    }

    #[test]
    fn nothing_is_pulled_behind_the_end() {
        let mut pulled = Pulled::new(40, 16);
        assert!(pulled.batch(&pull(40)).is_none());
        assert!(pulled.batch(&pull(-1)).is_none());
    }
}
