//! [`Taken`]: what is believed of an answer, while it is read.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::output::pulled::Record;

/// The records of an answer that are taken, in the order in which they came.
#[derive(Default)]
pub(super) struct Taken {
    pub(super) records: Vec<Record>,
    /// Their offsets and bytes.
    pub(super) places: Vec<(i64, usize)>,
    /// Where in both an offset is: known from the first one on that came out of order, since looking through all for
    /// each would take a broker's answer for ever.
    by_offset: Option<BTreeMap<i64, usize>>,
    /// Whether those can be read whose places were wanted by others: a large one is looked at once, however many want
    /// its place.
    readable: BTreeMap<usize, bool>,
}

impl Taken {
    #[inline]
    pub(super) fn push(&mut self, offset: i64, bytes: usize, record: Record) {
        if let Some(by_offset) = &mut self.by_offset {
            by_offset.insert(offset, self.places.len());
        }
        self.places.push((offset, bytes));
        self.records.push(record);
    }

    /// Where this offset is.
    pub(super) fn find(&mut self, offset: i64) -> Option<usize> {
        let places = &self.places;
        let all = || places.iter().enumerate().map(|(index, (offset, _))| (*offset, index)).collect();
        self.by_offset.get_or_insert_with(all).get(&offset).copied()
    }

    /// Whether what can't be read is there: it leaves its place to what can be.
    pub(super) fn is_unreadable(&mut self, index: usize, body: &Bytes) -> bool {
        let records = &self.records;
        let is_sound = || records.get(index).is_some_and(|record| record.is_sound(body));
        !*self.readable.entry(index).or_insert_with(is_sound)
    }

    pub(super) fn replace(&mut self, index: usize, record: Record) {
        if let (Some(place), Some(there)) = (self.places.get_mut(index), self.records.get_mut(index)) {
            place.1 = record.bytes();
            *there = record;
            self.readable.remove(&index);
        }
    }
}
