//! What a broker's answer to a pop says: the handle of each message, and the offsets beside them.
//!
//! All of it is text: parts separated by one blank, entries joined by `;`.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt::{self, Write as _};
use core::str::FromStr;
use core::time::Duration;

use super::names;
use crate::time::Timestamp;

/// The revive queue of an orderly pop.
pub const REVIVE_QUEUE_ORDERLY: i32 = 999;

/// Which topic a popped message lies in. Java: the retry part of `ExtraInfoUtil`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum RetryMark {
    /// The topic itself; written `0`.
    #[default]
    Normal,
    /// The group's retry topic `%RETRY%group_topic`; written `1`.
    V1,
    /// The group's retry topic `%RETRY%group+topic`; written `2`.
    V2,
}

impl RetryMark {
    /// The mark of messages that lie in `topic`.
    #[must_use]
    pub fn of(topic: &str) -> Self {
        match topic.strip_prefix(names::RETRY_PREFIX) {
            None => Self::Normal,
            Some(rest) if rest.contains('+') => Self::V2,
            Some(_) => Self::V1,
        }
    }

    /// The topic that messages of `topic` with this mark lie in for `group`; acknowledgements name it.
    #[must_use]
    pub fn stored_topic<'a>(self, group: &str, topic: &'a str) -> Cow<'a, str> {
        match self {
            Self::Normal => Cow::Borrowed(topic),
            Self::V1 => Cow::Owned(names::pop_retry_topic_v1(group, topic)),
            Self::V2 => Cow::Owned(names::pop_retry_topic_v2(group, topic)),
        }
    }

    const fn digit(self) -> char {
        match self {
            Self::Normal => '0',
            Self::V1 => '1',
            Self::V2 => '2',
        }
    }

    fn read(part: &str) -> Option<Self> {
        match part {
            "0" => Some(Self::Normal),
            "1" => Some(Self::V1),
            "2" => Some(Self::V2),
            _ => None,
        }
    }
}

/// A text of a pop answer can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text:?} is no {what}")]
pub struct InvalidPopText {
    /// The text.
    pub text: String,
    /// What it should have been.
    pub what: &'static str,
}

/// The handle of one popped message, by which it is acknowledged; the property `POP_CK`.
/// Java: `ExtraInfoUtil#buildExtraInfo`.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PopHandle {
    /// The queue offset at which the pop began (`ckQueueOffset`).
    pub start_offset: i64,
    /// When the broker popped the message, by its clock.
    pub pop_time: Timestamp,
    /// For how long nobody else gets the message, in milliseconds.
    pub invisible_time_ms: i64,
    /// The queue of the revive topic; [`REVIVE_QUEUE_ORDERLY`] for an orderly pop.
    pub revive_queue_id: i32,
    /// Which topic the message lies in.
    pub retry_mark: RetryMark,
    /// The broker, or the pseudo broker of a logical queue.
    pub broker_name: Arc<str>,
    /// The queue the message lies in.
    pub queue_id: i32,
    /// The message's offset in that queue; old brokers leave it out.
    pub queue_offset: Option<i64>,
}

impl PopHandle {
    /// When others may get the message, by the broker's clock.
    #[must_use]
    pub fn visible_at(&self) -> Timestamp {
        Timestamp::from_millis(self.pop_time.as_millis().saturating_add(self.invisible_time_ms))
    }

    /// The handle after the broker changed the invisible time. Its start is the message's own
    /// offset, or the broker would take acknowledgements and forget them.
    #[must_use]
    pub fn renewed(&self, pop_time: Timestamp, invisible_time: Duration, revive_queue_id: i32) -> Self {
        Self {
            start_offset: self.queue_offset.unwrap_or(self.start_offset),
            pop_time,
            invisible_time_ms: i64::try_from(invisible_time.as_millis()).unwrap_or(i64::MAX),
            revive_queue_id,
            ..self.clone()
        }
    }
}

impl fmt::Display for PopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} {} {} {} {} {} {}",
            self.start_offset,
            self.pop_time.as_millis(),
            self.invisible_time_ms,
            self.revive_queue_id,
            self.retry_mark.digit(),
            self.broker_name,
            self.queue_id
        )?;
        match self.queue_offset {
            Some(offset) => write!(f, " {offset}"),
            None => Ok(()),
        }
    }
}

impl FromStr for PopHandle {
    type Err = InvalidPopText;

    fn from_str(text: &str) -> Result<Self, InvalidPopText> {
        read_handle(text).ok_or_else(|| InvalidPopText { text: text.into(), what: "pop handle" })
    }
}

fn read_handle(text: &str) -> Option<PopHandle> {
    let mut parts = text.split(' ');
    let handle = PopHandle {
        start_offset: number(parts.next())?,
        pop_time: Timestamp::from_millis(number(parts.next())?),
        invisible_time_ms: number(parts.next())?,
        revive_queue_id: number(parts.next())?,
        retry_mark: RetryMark::read(parts.next()?)?,
        broker_name: parts.next().filter(|name| !name.is_empty())?.into(),
        queue_id: number(parts.next())?,
        queue_offset: parts.next().map(|part| number(Some(part)).ok_or(())).transpose().ok()?,
    };
    parts.next().is_none().then_some(handle)
}

/// One queue of a pop answer: the topic's own or one of the group's retry topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PopQueue {
    /// Which topic.
    pub retry_mark: RetryMark,
    /// Which queue.
    pub queue_id: i32,
}

/// What an order count belongs to: a queue, or one message in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OrderCountKey {
    /// The queue.
    pub queue: PopQueue,
    /// The message's offset in the queue; `None` when the count is the queue's.
    pub queue_offset: Option<i64>,
}

/// Reads `startOffsetInfo`: where the pop began in each queue. Java: `ExtraInfoUtil#parseStartOffsetInfo`.
///
/// # Errors
/// An entry isn't `mark queue offset`, or a queue occurs twice.
pub fn parse_start_offset_info(text: &str) -> Result<BTreeMap<PopQueue, i64>, InvalidPopText> {
    entries(text, "startOffsetInfo", |queue, value| Some((plain(queue)?, number(Some(value))?)))
}

/// Reads `msgOffsetInfo`: the offsets of the messages of each queue, in the order of the messages.
/// Java: `ExtraInfoUtil#parseMsgOffsetInfo`.
///
/// # Errors
/// An entry isn't `mark queue offset,offset,…`, or a queue occurs twice.
pub fn parse_msg_offset_info(text: &str) -> Result<BTreeMap<PopQueue, Vec<i64>>, InvalidPopText> {
    entries(text, "msgOffsetInfo", |queue, value| {
        let offsets: Option<Vec<i64>> = value.split(',').map(|offset| number(Some(offset))).collect();
        Some((plain(queue)?, offsets?))
    })
}

/// Reads `orderCountInfo`: how often a queue, or a message in it, was consumed before.
/// Java: `ExtraInfoUtil#parseOrderCountInfo`.
///
/// # Errors
/// An entry isn't `mark queue count` or `mark qo<queue>%<offset> count`, or a key occurs twice.
pub fn parse_order_count_info(text: &str) -> Result<BTreeMap<OrderCountKey, i32>, InvalidPopText> {
    entries(text, "orderCountInfo", |key, value| Some((key, number(Some(value))?)))
}

/// Writes `startOffsetInfo`.
#[must_use]
pub fn format_start_offset_info(offsets: &BTreeMap<PopQueue, i64>) -> String {
    join(offsets, |out, queue, offset| {
        write!(out, "{} {} {offset}", queue.retry_mark.digit(), queue.queue_id)
    })
}

/// Writes `msgOffsetInfo`.
#[must_use]
pub fn format_msg_offset_info(offsets: &BTreeMap<PopQueue, Vec<i64>>) -> String {
    join(offsets, |out, queue, offsets| {
        write!(out, "{} {} ", queue.retry_mark.digit(), queue.queue_id)?;
        for (index, offset) in offsets.iter().enumerate() {
            write!(out, "{}{offset}", if index == 0 { "" } else { "," })?;
        }
        Ok(())
    })
}

/// Writes `orderCountInfo`.
#[must_use]
pub fn format_order_count_info(counts: &BTreeMap<OrderCountKey, i32>) -> String {
    join(counts, |out, key, count| {
        let (mark, queue_id) = (key.queue.retry_mark.digit(), key.queue.queue_id);
        match key.queue_offset {
            Some(offset) => write!(out, "{mark} qo{queue_id}%{offset} {count}"),
            None => write!(out, "{mark} {queue_id} {count}"),
        }
    })
}

fn entries<K: Ord, V>(
    text: &str,
    what: &'static str,
    read: impl Fn(OrderCountKey, &str) -> Option<(K, V)>,
) -> Result<BTreeMap<K, V>, InvalidPopText> {
    let mut found = BTreeMap::new();
    for entry in text.split(';').filter(|entry| !entry.is_empty()) {
        let (key, value) = read_entry(entry)
            .and_then(|(key, value)| read(key, value))
            .ok_or_else(|| InvalidPopText { text: entry.into(), what })?;
        if found.insert(key, value).is_some() {
            return Err(InvalidPopText { text: entry.into(), what });
        }
    }
    Ok(found)
}

fn read_entry(entry: &str) -> Option<(OrderCountKey, &str)> {
    let mut parts = entry.split(' ');
    let (mark, queue, value) = (parts.next()?, parts.next()?, parts.next()?);
    let (queue, queue_offset) = match queue.strip_prefix("qo") {
        Some(message) => {
            let (queue, offset) = message.split_once('%')?;
            (queue, Some(number(Some(offset))?))
        }
        None => (queue, None),
    };
    let queue = PopQueue { retry_mark: RetryMark::read(mark)?, queue_id: number(Some(queue))? };
    parts.next().is_none().then_some((OrderCountKey { queue, queue_offset }, value))
}

/// The queue of a key that isn't a message's.
fn plain(key: OrderCountKey) -> Option<PopQueue> {
    key.queue_offset.is_none().then_some(key.queue)
}

fn number<T: FromStr>(part: Option<&str>) -> Option<T> {
    part?.parse().ok()
}

fn join<K, V>(map: &BTreeMap<K, V>, write: impl Fn(&mut String, &K, &V) -> fmt::Result) -> String {
    let mut out = String::new();
    for (key, value) in map {
        if !out.is_empty() {
            out.push(';');
        }
        // Writing to a String can't fail.
        let _ = write(&mut out, key, value);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn a_renewed_handle_starts_at_its_own_message() {
        let handle: PopHandle = "40 1000 60000 3 1 broker-a 1 42".parse().unwrap();
        assert_eq!(handle.visible_at(), Timestamp::from_millis(61_000));
        let renewed = handle.renewed(Timestamp::from_millis(5_000), Duration::from_secs(10), 4);
        assert_eq!(renewed.to_string(), "42 5000 10000 4 1 broker-a 1 42");
    }

    #[test]
    fn acknowledgements_name_the_topic_a_message_lies_in() {
        assert_eq!(RetryMark::Normal.stored_topic("g", "t"), "t");
        for mark in [RetryMark::V1, RetryMark::V2] {
            assert_eq!(RetryMark::of(&mark.stored_topic("g", "t")), mark);
        }
    }

    #[test]
    fn broken_texts_are_refused_whole() {
        for text in ["", "1 2 3 4 0 b", "1 2 3 4 3 b 1", "1 2 3 4 0  1", "1 2 3 4 0 b 1 2 3", "x 2 3 4 0 b 1"]
        {
            assert!(text.parse::<PopHandle>().is_err(), "{text}");
        }
        for text in ["0 1", "0 1 x", "0 1 2 3", "3 1 2", "0 1 2;0 1 3", "0 qo1%2 3"] {
            assert!(parse_start_offset_info(text).is_err(), "{text}");
        }
        assert!(parse_msg_offset_info("0 1 2,").is_err());
        assert!(parse_order_count_info("0 qo1 3").is_err());
        assert_eq!(parse_start_offset_info(""), Ok(BTreeMap::new()));
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "[0-9 ;,%qo-]{0,40}") {
            let _ = text.parse::<PopHandle>();
            let _ = parse_start_offset_info(&text);
            let _ = parse_msg_offset_info(&text);
            let _ = parse_order_count_info(&text);
        }
    }
}
