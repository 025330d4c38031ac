//! Finding messages by key. Java: `IndexService`.
//!
//! As in the broker a key is only a hash of `topic#key`: an answer may hold strangers with the same
//! hash, and clients compare the keys again. The index is built when somebody asks, so that
//! sends don't pay for it.

use std::collections::BTreeMap;

use rocketmq_client_core::message::{StoredMessage, java_string_hash, property};
use rocketmq_client_core::time::Timestamp;

use super::commit_log::{CommitLog, Record};

/// What to look for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Key<'a> {
    pub(crate) topic: &'a str,
    pub(crate) key: &'a str,
    pub(crate) begin: Timestamp,
    pub(crate) end: Timestamp,
}

/// Record numbers by hash of `topic#key`.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    numbers: BTreeMap<u32, Vec<u64>>,
    next: u64,
    /// Where the newest message with a key begins, and when it was stored.
    last: Option<(u64, Timestamp)>,
}

impl Index {
    /// Takes in the records below `end` that it hasn't seen.
    pub(crate) fn catch_up(&mut self, log: &CommitLog, end: u64) {
        self.next = self.next.max(log.first());
        while self.next < end {
            if let Some(record) = log.get(self.next) {
                self.add(self.next, record);
            }
            self.next += 1;
        }
    }

    /// Forgets records below `first`.
    pub(crate) fn expire(&mut self, first: u64) {
        self.numbers.retain(|_, numbers| {
            numbers.retain(|number| *number >= first);
            !numbers.is_empty()
        });
    }

    /// The newest matches, oldest first.
    pub(crate) fn query(&self, log: &CommitLog, key: &Key<'_>, count_max: usize) -> Vec<u64> {
        let Some(numbers) = self.numbers.get(&hash(key.topic, key.key)) else { return Vec::new() };
        let in_time = |number: &&u64| {
            log.get(**number).is_some_and(|record| (key.begin..=key.end).contains(&record.store_timestamp))
        };
        let mut found: Vec<_> = numbers.iter().rev().filter(in_time).take(count_max).copied().collect();
        found.reverse();
        found
    }

    /// Where the newest message with a key begins, and when it was stored.
    pub(crate) fn last(&self) -> Option<(u64, Timestamp)> {
        self.last
    }

    fn add(&mut self, number: u64, record: &Record) {
        let Ok(message) = StoredMessage::decode(&record.bytes) else { return };
        let topic = message.topic();
        let mut put = |key: &str| self.numbers.entry(hash(topic, key)).or_default().push(number);
        let mut keyed = false;
        if let Some(uniq_key) = message.property(property::UNIQ_KEY) {
            put(uniq_key);
            keyed = true;
        }
        for key in message.property(property::KEYS).into_iter().flat_map(|keys| keys.split(' ')) {
            if !key.is_empty() {
                put(key);
                keyed = true;
            }
        }
        if keyed {
            self.last = Some((record.position, record.store_timestamp));
        }
    }
}

/// Java: `IndexFile#indexKeyHashMethod`.
fn hash(topic: &str, key: &str) -> u32 {
    let hash = java_string_hash(&format!("{topic}#{key}"));
    if hash == i32::MIN { 0 } else { hash.unsigned_abs() }
}
