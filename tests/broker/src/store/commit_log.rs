//! The one log that all topics share: records in the order of their appends, addressed by physical
//! offset (as message ids do) or by a dense record number (as consume queues do).

use std::collections::VecDeque;

use bytes::{Bytes, BytesMut};
use rocketmq_client_core::time::{Instant, Timestamp};

use super::QueueRef;

/// Records are cut from chunks of this size, so that a small record costs no allocation of its own.
const CHUNK_BYTES: usize = 256 << 10;

/// One stored record: its bytes, as clients get them, and what the queues are derived from.
#[derive(Clone, Debug)]
pub(crate) struct Record {
    pub(crate) bytes: Bytes,
    pub(crate) position: u64,
    pub(crate) queue: QueueRef,
    pub(crate) queue_offset: i64,
    pub(crate) tags_code: i64,
    pub(crate) store_timestamp: Timestamp,
    pub(crate) stored_at: Instant,
}

/// Everything about a record but its bytes and position, which the append decides.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RecordMeta {
    pub(crate) queue: QueueRef,
    pub(crate) queue_offset: i64,
    pub(crate) tags_code: i64,
    pub(crate) store_timestamp: Timestamp,
    pub(crate) stored_at: Instant,
}

/// The log. Invariant: positions are contiguous, so a record ends where its successor begins.
#[derive(Clone, Debug, Default)]
pub(crate) struct CommitLog {
    records: VecDeque<Record>,
    first: u64,
    end: u64,
    arena: BytesMut,
}

impl CommitLog {
    /// Physical offset of the next record.
    pub(crate) fn end(&self) -> u64 {
        self.end
    }

    /// Physical offset of the oldest record that is kept.
    pub(crate) fn begin(&self) -> u64 {
        self.records.front().map_or(self.end, |record| record.position)
    }

    /// Number of the oldest record that is kept.
    pub(crate) fn first(&self) -> u64 {
        self.first
    }

    /// Number that the next record gets.
    pub(crate) fn next(&self) -> u64 {
        self.first + self.records.len() as u64
    }

    /// Where the log ends: the number and the physical offset of the next record.
    pub(crate) fn mark(&self) -> (u64, u64) {
        (self.next(), self.end)
    }

    /// Appends what `encode` writes; it is told the physical offset.
    pub(crate) fn append(
        &mut self,
        meta: RecordMeta,
        size_hint: usize,
        encode: impl FnOnce(&mut BytesMut, u64),
    ) -> &Record {
        if self.arena.capacity() < size_hint {
            self.arena = BytesMut::with_capacity(CHUNK_BYTES.max(size_hint));
        }
        encode(&mut self.arena, self.end);
        let bytes = self.arena.split().freeze();
        let position = self.end;
        self.end += bytes.len() as u64;
        self.records.push_back(Record {
            bytes,
            position,
            queue: meta.queue,
            queue_offset: meta.queue_offset,
            tags_code: meta.tags_code,
            store_timestamp: meta.store_timestamp,
            stored_at: meta.stored_at,
        });
        self.records.back().expect("a record was just pushed")
    }

    /// Appends a record of another log that is the same up to here.
    pub(crate) fn append_copy(&mut self, record: Record) {
        debug_assert_eq!(record.position, self.end, "the logs are the same");
        self.end = record.position + record.bytes.len() as u64;
        self.records.push_back(record);
    }

    /// The record with this number, unless it expired or was never written.
    pub(crate) fn get(&self, number: u64) -> Option<&Record> {
        let index = number.checked_sub(self.first)?;
        self.records.get(usize::try_from(index).ok()?)
    }

    /// Changes the bytes of a record; false when there is no such record.
    pub(crate) fn damage(&mut self, number: u64, change: impl FnOnce(&mut [u8])) -> bool {
        let index = number.checked_sub(self.first).and_then(|index| usize::try_from(index).ok());
        let Some(record) = index.and_then(|index| self.records.get_mut(index)) else { return false };
        let mut bytes = record.bytes.to_vec();
        change(&mut bytes);
        record.bytes = bytes.into();
        true
    }

    /// The record that begins exactly at this physical offset.
    pub(crate) fn at(&self, position: u64) -> Option<&Record> {
        let index = self.records.binary_search_by_key(&position, |record| record.position).ok()?;
        self.records.get(index)
    }

    /// Drops the oldest records so that at most `bytes_max` remain, in whole segments as a broker
    /// deletes whole files. True when something went.
    pub(crate) fn expire(&mut self, bytes_max: u64, segment_bytes: u64) -> bool {
        let kept = self.end - self.begin();
        if kept <= bytes_max {
            return false;
        }
        let segment_bytes = segment_bytes.max(1);
        let cut = (self.end - bytes_max).div_ceil(segment_bytes) * segment_bytes;
        let before = self.first;
        while self.records.len() > 1 && self.records.front().is_some_and(|record| record.position < cut) {
            self.records.pop_front();
            self.first += 1;
        }
        self.first != before
    }

    /// Forgets every record from `number` on: what a power loss does to a tail that was not flushed.
    pub(crate) fn truncate(&mut self, number: u64) {
        while self.next() > number.max(self.first) {
            let Some(record) = self.records.pop_back() else { break };
            self.end = record.position;
        }
    }

    /// All records that are kept, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = &Record> {
        self.records.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log_of(sizes: &[usize]) -> CommitLog {
        let mut log = CommitLog::default();
        for (number, size) in sizes.iter().enumerate() {
            let meta = RecordMeta {
                queue: QueueRef(0),
                queue_offset: i64::try_from(number).unwrap(),
                tags_code: 0,
                store_timestamp: Timestamp::from_millis(0),
                stored_at: Instant::ZERO,
            };
            log.append(meta, *size, |out, _| out.resize(*size, 7));
        }
        log
    }

    #[test]
    fn a_position_inside_a_record_finds_nothing() {
        let log = log_of(&[10, 20, 30]);
        assert_eq!(log.at(10).unwrap().bytes.len(), 20);
        assert!(log.at(11).is_none() && log.at(60).is_none());
        assert_eq!((log.begin(), log.end(), log.next()), (0, 60, 3));
    }

    #[test]
    fn expiry_drops_whole_segments_and_keeps_numbers_and_positions() {
        let mut log = log_of(&[10; 10]);
        assert!(!log.expire(100, 40));
        assert!(log.expire(90, 40), "one byte too many costs a whole segment");
        assert_eq!((log.begin(), log.first()), (40, 4));
        assert_eq!(log.get(4).unwrap().position, 40);
        assert!(log.get(3).is_none());
    }

    #[test]
    fn a_truncated_tail_is_written_again_at_the_same_position() {
        let mut log = log_of(&[10, 20, 30]);
        log.truncate(1);
        assert_eq!((log.end(), log.next()), (10, 1));
        assert!(log.at(10).is_none());
    }

    #[test]
    fn a_record_larger_than_a_chunk_is_stored_whole() {
        let log = log_of(&[10, CHUNK_BYTES + 1, 5]);
        assert_eq!(log.get(1).unwrap().bytes.len(), CHUNK_BYTES + 1);
        assert_eq!(log.get(2).unwrap().position, 11 + CHUNK_BYTES as u64);
    }
}
