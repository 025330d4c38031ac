//! One queue of a topic: dense queue offsets over record numbers of the log.

use std::collections::VecDeque;

use rocketmq_client_core::time::Timestamp;

use super::commit_log::CommitLog;

/// Where a message of a queue lies, and what filters and time searches need without reading it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entry {
    pub(crate) record: u64,
    pub(crate) size: u32,
    pub(crate) tags_code: i64,
    pub(crate) store_timestamp: Timestamp,
}

/// A queue. Invariant: entry `i` has queue offset `min + i`; `next >= min + entries`, and they are
/// equal once everything appended is dispatched.
#[derive(Clone, Debug, Default)]
pub(crate) struct ConsumeQueue {
    /// Queue offset of the next append.
    pub(crate) next: i64,
    min: i64,
    entries: VecDeque<Entry>,
}

/// Which end of a run of equal store times a search by time wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Boundary {
    /// The first message stored at or after the time.
    Lower,
    /// The last message stored at or before the time.
    Upper,
}

impl ConsumeQueue {
    /// Queue offset of the oldest message that is kept.
    pub(crate) fn min(&self) -> i64 {
        self.min
    }

    /// Queue offset that the next dispatched message gets.
    pub(crate) fn max(&self) -> i64 {
        self.min + i64::try_from(self.entries.len()).expect("entries are bounded by memory")
    }

    /// The entry at a queue offset.
    pub(crate) fn get(&self, queue_offset: i64) -> Option<&Entry> {
        let index = queue_offset.checked_sub(self.min)?;
        self.entries.get(usize::try_from(index).ok()?)
    }

    /// Makes the next message visible.
    pub(crate) fn push(&mut self, entry: Entry) {
        self.entries.push_back(entry);
    }

    /// Drops entries whose records have left the log. Offsets keep their numbers.
    pub(crate) fn expire(&mut self, first_record: u64) {
        while self.entries.front().is_some_and(|entry| entry.record < first_record) {
            self.entries.pop_front();
            self.min += 1;
        }
    }

    /// Drops entries from record number `record` on and takes their offsets back.
    pub(crate) fn truncate(&mut self, record: u64) {
        while self.entries.back().is_some_and(|entry| entry.record >= record) {
            self.entries.pop_back();
        }
        self.next = self.max();
    }

    /// Java: `ConsumeQueue#getOffsetInQueueByTime`. Nothing at or after: max. Nothing at or before: 0.
    pub(crate) fn offset_by_time(&self, time: Timestamp, boundary: Boundary) -> i64 {
        if self.entries.is_empty() {
            return 0;
        }
        let before = match boundary {
            Boundary::Lower => self.entries.partition_point(|entry| entry.store_timestamp < time),
            Boundary::Upper => self.entries.partition_point(|entry| entry.store_timestamp <= time),
        };
        let before = i64::try_from(before).expect("entries are bounded by memory");
        match boundary {
            Boundary::Lower => self.min + before,
            Boundary::Upper if before == 0 => 0,
            Boundary::Upper => self.min + before - 1,
        }
    }
}

/// What a read of a queue found. Java: `GetMessageStatus`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum GetStatus {
    Found,
    NoMatchedMessage,
    OffsetOverflowOne,
    OffsetOverflowBadly,
    OffsetTooSmall,
    OffsetReset,
    NoMessageInQueue,
}

impl GetStatus {
    /// The name that goes into the remark of a pull answer.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Found => "FOUND",
            Self::NoMatchedMessage => "NO_MATCHED_MESSAGE",
            Self::OffsetOverflowOne => "OFFSET_OVERFLOW_ONE",
            Self::OffsetOverflowBadly => "OFFSET_OVERFLOW_BADLY",
            Self::OffsetTooSmall => "OFFSET_TOO_SMALL",
            Self::OffsetReset => "OFFSET_RESET",
            Self::NoMessageInQueue => "NO_MESSAGE_IN_QUEUE",
        }
    }
}

/// How much one read may return.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ReadLimits {
    pub(crate) count_max: usize,
    pub(crate) bytes_max: usize,
    /// Entries looked at before a read gives up on a filter. Java: `maxFilterMessageSize / 20`.
    pub(crate) scan_max: usize,
}

/// The answer to a read: numbers of records to send, and where to go on.
#[derive(Clone, Debug)]
pub(crate) struct GetResult {
    pub(crate) status: GetStatus,
    pub(crate) next: i64,
    pub(crate) min: i64,
    pub(crate) max: i64,
    pub(crate) records: Vec<u64>,
}

impl ConsumeQueue {
    /// Java: `DefaultMessageStore#getMessage`. `matches` sees the tags code, as a filter does.
    pub(crate) fn read(
        &self,
        log: &CommitLog,
        offset: i64,
        limits: ReadLimits,
        matches: impl Fn(i64) -> bool,
    ) -> GetResult {
        let (min, max) = (self.min, self.max());
        let nothing = |status, next| GetResult { status, next, min, max, records: Vec::new() };
        if max == 0 {
            return nothing(GetStatus::NoMessageInQueue, 0);
        } else if offset < min {
            return nothing(GetStatus::OffsetTooSmall, min);
        } else if offset == max {
            return nothing(GetStatus::OffsetOverflowOne, offset);
        } else if offset > max {
            return nothing(GetStatus::OffsetOverflowBadly, max);
        }
        let mut found = nothing(GetStatus::NoMatchedMessage, offset);
        let mut bytes = 0;
        let scan_end = max.min(offset.saturating_add(i64::try_from(limits.scan_max).unwrap_or(i64::MAX)));
        while found.next < scan_end {
            let entry = self.get(found.next).expect("offsets between min and max have entries");
            let size = entry.size as usize;
            let full = found.records.len() >= limits.count_max || bytes + size > limits.bytes_max;
            if full && !found.records.is_empty() {
                break;
            }
            found.next += 1;
            if matches(entry.tags_code) && log.get(entry.record).is_some() {
                bytes += size;
                found.records.push(entry.record);
                found.status = GetStatus::Found;
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::super::QueueRef;
    use super::super::commit_log::RecordMeta;
    use super::*;
    use rocketmq_client_core::time::Instant;

    const WIDE: ReadLimits = ReadLimits { count_max: 32, bytes_max: 1 << 20, scan_max: 800 };

    /// A queue whose message `i` has `sizes[i]` bytes, tags code `i % 2` and store time `10 * i`.
    fn queue_of(sizes: &[usize]) -> (CommitLog, ConsumeQueue) {
        let (mut log, mut queue) = (CommitLog::default(), ConsumeQueue::default());
        for (number, size) in sizes.iter().enumerate() {
            let offset = i64::try_from(number).unwrap();
            let store_timestamp = Timestamp::from_millis(offset * 10);
            let meta = RecordMeta {
                queue: QueueRef(0),
                queue_offset: offset,
                tags_code: offset % 2,
                store_timestamp,
                stored_at: Instant::ZERO,
            };
            log.append(meta, *size, |out, _| out.resize(*size, 1));
            let size = u32::try_from(*size).unwrap();
            queue.push(Entry { record: number as u64, size, tags_code: offset % 2, store_timestamp });
        }
        queue.next = queue.max();
        (log, queue)
    }

    #[test]
    fn offsets_outside_the_queue_are_named_and_corrected() {
        let (mut log, mut queue) = queue_of(&[10; 10]);
        log.expire(80, 20);
        queue.expire(log.first());
        let at = |offset| {
            let result = queue.read(&log, offset, WIDE, |_| true);
            (result.status, result.next)
        };
        assert_eq!((queue.min(), queue.max()), (2, 10));
        assert_eq!(at(1), (GetStatus::OffsetTooSmall, 2));
        assert_eq!(at(-5), (GetStatus::OffsetTooSmall, 2));
        assert_eq!(at(2), (GetStatus::Found, 10));
        assert_eq!(at(10), (GetStatus::OffsetOverflowOne, 10));
        assert_eq!(at(11), (GetStatus::OffsetOverflowBadly, 10));
        let (log, queue) = queue_of(&[]);
        let empty = queue.read(&log, 7, WIDE, |_| true);
        assert_eq!((empty.status, empty.next), (GetStatus::NoMessageInQueue, 0));
    }

    #[test]
    fn count_and_byte_caps_end_a_read_but_never_before_the_first_message() {
        let (log, queue) = queue_of(&[100; 10]);
        let read = |count_max, bytes_max| {
            let limits = ReadLimits { count_max, bytes_max, scan_max: 800 };
            queue.read(&log, 0, limits, |_| true).records.len()
        };
        assert_eq!(read(3, 10_000), 3);
        assert_eq!(read(32, 250), 2);
        assert_eq!(read(0, 10), 1, "the first message always comes");
    }

    #[test]
    fn a_filter_skips_and_the_scan_is_bounded() {
        let (log, queue) = queue_of(&[10; 10]);
        let odd = queue.read(&log, 0, WIDE, |code| code == 1);
        assert_eq!((odd.status, odd.next, odd.records), (GetStatus::Found, 10, vec![1, 3, 5, 7, 9]));
        let none = queue.read(&log, 0, ReadLimits { scan_max: 4, ..WIDE }, |code| code == 9);
        assert_eq!((none.status, none.next), (GetStatus::NoMatchedMessage, 4));
    }

    #[test]
    fn a_search_by_time_finds_the_first_or_the_last_of_equal_times() {
        let (_, mut queue) = queue_of(&[10; 4]);
        for entry in &mut queue.entries {
            entry.store_timestamp = Timestamp::from_millis((entry.record / 2 * 10).try_into().unwrap());
        }
        let find = |ms, boundary| queue.offset_by_time(Timestamp::from_millis(ms), boundary);
        assert_eq!((find(0, Boundary::Lower), find(0, Boundary::Upper)), (0, 1));
        assert_eq!((find(5, Boundary::Lower), find(5, Boundary::Upper)), (2, 1));
        assert_eq!((find(11, Boundary::Lower), find(11, Boundary::Upper)), (4, 3));
        assert_eq!((find(-1, Boundary::Lower), find(-1, Boundary::Upper)), (0, 0));
    }

    #[test]
    fn truncation_takes_offsets_back() {
        let (_, mut queue) = queue_of(&[10; 5]);
        queue.truncate(3);
        assert_eq!((queue.max(), queue.next), (3, 3));
    }
}
