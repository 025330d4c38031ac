//! The body of trace messages: what producers and consumers tell about each message.
//!
//! Fields are joined by U+0001, a record ends with U+0002, an absent text is the word `null`.
//! Java: `TraceDataEncoder`.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::str::FromStr;

use super::properties::split_keys;
use crate::time::Timestamp;

const FIELD_END: char = '\u{1}';
const RECORD_END: char = '\u{2}';
const NULL: &str = "null";

/// What kind of message a record is about. Java: `MessageType`, by its ordinal.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TraceMsgType {
    /// An ordinary message.
    #[default]
    Normal,
    /// A half message.
    TransHalf,
    /// The end of a transaction.
    TransCommit,
    /// A delayed message.
    Delay,
    /// An ordered message.
    Order,
}

impl TraceMsgType {
    const ALL: [Self; 5] = [Self::Normal, Self::TransHalf, Self::TransCommit, Self::Delay, Self::Order];

    /// The number on the wire, 0 to 4.
    #[must_use]
    pub const fn ordinal(self) -> u8 {
        match self {
            Self::Normal => 0,
            Self::TransHalf => 1,
            Self::TransCommit => 2,
            Self::Delay => 3,
            Self::Order => 4,
        }
    }
}

/// One record of a trace message: an event in the life of one message.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum TraceRecord {
    /// A message was sent.
    Pub(PubTrace),
    /// A message is about to be consumed.
    SubBefore(SubBeforeTrace),
    /// A message was consumed.
    SubAfter(SubAfterTrace),
    /// A transaction was ended.
    EndTransaction(EndTransactionTrace),
    /// A timer message was recalled.
    Recall(RecallTrace),
}

/// A message was sent.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PubTrace {
    /// When the send began.
    pub timestamp: Timestamp,
    /// The broker's region.
    pub region_id: String,
    /// The producer group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The message's `UNIQ_KEY`.
    pub msg_id: String,
    /// The tag.
    pub tags: Option<String>,
    /// The keys, separated by blanks.
    pub keys: Option<String>,
    /// The broker's address.
    pub store_host: String,
    /// The body's length in bytes.
    pub body_length: i32,
    /// How long the send took, in milliseconds.
    pub cost_time_ms: i32,
    /// The kind of message.
    pub msg_type: TraceMsgType,
    /// The id that tells where the message is stored; old clients leave it out.
    pub offset_msg_id: Option<String>,
    /// Whether the message was stored.
    pub success: bool,
}

/// A message is about to be consumed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SubBeforeTrace {
    /// When consumption began.
    pub timestamp: Timestamp,
    /// The broker's region.
    pub region_id: String,
    /// The consumer group.
    pub group: String,
    /// The id of this consumption, shared by the messages of a batch.
    pub request_id: String,
    /// The message's id.
    pub msg_id: String,
    /// How often the message was consumed before.
    pub retry_times: i32,
    /// The keys, separated by blanks.
    pub keys: Option<String>,
}

/// A message was consumed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct SubAfterTrace {
    /// The id of this consumption.
    pub request_id: String,
    /// The message's id.
    pub msg_id: String,
    /// How long it took, in milliseconds.
    pub cost_time_ms: i32,
    /// Whether it succeeded.
    pub success: bool,
    /// The keys, separated by blanks.
    pub keys: Option<String>,
    /// How it ended: 0 success, 1 time-out, 2 exception, 3 no answer, 4 failed.
    pub context_code: i32,
    /// When, and in which group; left out on the access channel CLOUD.
    pub ended: Option<(Timestamp, String)>,
}

/// A transaction was ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct EndTransactionTrace {
    /// When the transaction was ended.
    pub timestamp: Timestamp,
    /// The broker's region.
    pub region_id: String,
    /// The producer group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The message's `UNIQ_KEY`.
    pub msg_id: String,
    /// The tag.
    pub tags: Option<String>,
    /// The keys, separated by blanks.
    pub keys: Option<String>,
    /// The broker's address.
    pub store_host: String,
    /// The kind of message.
    pub msg_type: TraceMsgType,
    /// The transaction's id.
    pub transaction_id: String,
    /// `COMMIT_MESSAGE`, `ROLLBACK_MESSAGE` or `UNKNOW`.
    pub transaction_state: String,
    /// Whether the broker had asked.
    pub from_transaction_check: bool,
}

/// A timer message was recalled.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct RecallTrace {
    /// When the message was recalled.
    pub timestamp: Timestamp,
    /// The broker's region.
    pub region_id: String,
    /// The producer group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// The message's id.
    pub msg_id: String,
    /// Whether it was recalled.
    pub success: bool,
}

/// A record of a trace message can't be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a trace record of type {kind:?} with {fields} fields can't be read")]
pub struct InvalidTrace {
    /// The record's first field.
    pub kind: String,
    /// How many fields it has.
    pub fields: usize,
}

impl TraceRecord {
    /// Appends the record to `out`. A separator inside a text becomes a blank.
    pub fn encode_into(&self, out: &mut String) {
        let mut fields = Fields { out, first: true };
        match self {
            Self::Pub(t) => {
                fields.head("Pub", t.timestamp, [&t.region_id, &t.group, &t.topic, &t.msg_id]);
                fields.texts([opt(&t.tags), opt(&t.keys), &t.store_host]);
                fields.number(t.body_length).number(t.cost_time_ms).number(t.msg_type.ordinal());
                fields.texts(t.offset_msg_id.as_deref()).text(bool_text(t.success));
            }
            Self::SubBefore(t) => {
                fields.head("SubBefore", t.timestamp, [&t.region_id, &t.group, &t.request_id, &t.msg_id]);
                fields.number(t.retry_times).text(opt(&t.keys));
            }
            Self::SubAfter(t) => {
                fields.texts(["SubAfter", &t.request_id, &t.msg_id]).number(t.cost_time_ms);
                fields.texts([bool_text(t.success), opt(&t.keys)]).number(t.context_code);
                match &t.ended {
                    Some((at, group)) => fields.number(at.as_millis()).text(group),
                    None => fields.text(""),
                };
            }
            Self::EndTransaction(t) => {
                fields.head("EndTransaction", t.timestamp, [&t.region_id, &t.group, &t.topic, &t.msg_id]);
                fields.texts([opt(&t.tags), opt(&t.keys), &t.store_host]).number(t.msg_type.ordinal());
                fields.texts([&t.transaction_id, &t.transaction_state]);
                fields.text(bool_text(t.from_transaction_check));
            }
            Self::Recall(t) => {
                fields.head("Recall", t.timestamp, [&t.region_id, &t.group, &t.topic, &t.msg_id]);
                fields.text(bool_text(t.success));
            }
        }
        out.push(RECORD_END);
    }

    /// The id and the keys of the message, under which the trace message can be looked up.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        let (msg_id, keys) = match self {
            Self::Pub(t) => (&t.msg_id, t.keys.as_deref()),
            Self::SubBefore(t) => (&t.msg_id, t.keys.as_deref()),
            Self::SubAfter(t) => (&t.msg_id, t.keys.as_deref()),
            Self::EndTransaction(t) => (&t.msg_id, t.keys.as_deref()),
            Self::Recall(t) => (&t.msg_id, None),
        };
        core::iter::once(msg_id.as_str()).chain(split_keys(keys))
    }
}

/// The records of a trace message's body. One that can't be read is one error.
pub fn decode_trace(body: &str) -> impl Iterator<Item = Result<TraceRecord, InvalidTrace>> {
    body.split(RECORD_END).filter(|record| !record.is_empty()).map(|record| {
        read(record).ok_or_else(|| InvalidTrace {
            kind: record.split(FIELD_END).next().unwrap_or_default().to_string(),
            fields: record.split(FIELD_END).count(),
        })
    })
}

fn read(record: &str) -> Option<TraceRecord> {
    let fields: Vec<&str> = record.split(FIELD_END).collect();
    let mut parts = Parts { rest: fields.into_iter() };
    let count = parts.rest.len();
    let record = match (parts.rest.next()?, count) {
        ("Pub", 12..=15) => TraceRecord::Pub(PubTrace {
            timestamp: parts.time()?,
            region_id: parts.text()?,
            group: parts.text()?,
            topic: parts.text()?,
            msg_id: parts.text()?,
            tags: parts.opt()?,
            keys: parts.opt()?,
            store_host: parts.text()?,
            body_length: parts.number()?,
            cost_time_ms: parts.number()?,
            msg_type: parts.msg_type()?,
            offset_msg_id: if count >= 14 { Some(parts.text()?) } else { None },
            success: count == 12 || parts.bool()?,
        }),
        ("SubBefore", 8..) => TraceRecord::SubBefore(SubBeforeTrace {
            timestamp: parts.time()?,
            region_id: parts.text()?,
            group: parts.text()?,
            request_id: parts.text()?,
            msg_id: parts.text()?,
            retry_times: parts.number()?,
            keys: parts.opt()?,
        }),
        ("SubAfter", 6..) => TraceRecord::SubAfter(SubAfterTrace {
            request_id: parts.text()?,
            msg_id: parts.text()?,
            cost_time_ms: parts.number()?,
            success: parts.bool()?,
            keys: parts.opt()?,
            context_code: if count >= 7 { parts.number()? } else { 0 },
            ended: if count >= 9 { Some((parts.time()?, parts.text()?)) } else { None },
        }),
        ("EndTransaction", 13..) => TraceRecord::EndTransaction(EndTransactionTrace {
            timestamp: parts.time()?,
            region_id: parts.text()?,
            group: parts.text()?,
            topic: parts.text()?,
            msg_id: parts.text()?,
            tags: parts.opt()?,
            keys: parts.opt()?,
            store_host: parts.text()?,
            msg_type: parts.msg_type()?,
            transaction_id: parts.text()?,
            transaction_state: parts.text()?,
            from_transaction_check: parts.bool()?,
        }),
        ("Recall", 7..) => TraceRecord::Recall(RecallTrace {
            timestamp: parts.time()?,
            region_id: parts.text()?,
            group: parts.text()?,
            topic: parts.text()?,
            msg_id: parts.text()?,
            success: parts.bool()?,
        }),
        _ => return None,
    };
    Some(record)
}

/// Writes the fields of one record.
struct Fields<'a> {
    out: &'a mut String,
    first: bool,
}

impl Fields<'_> {
    fn head(&mut self, kind: &str, timestamp: Timestamp, texts: [&str; 4]) {
        self.text(kind).number(timestamp.as_millis()).texts(texts);
    }

    fn text(&mut self, text: &str) -> &mut Self {
        if !self.first {
            self.out.push(FIELD_END);
        }
        self.first = false;
        let is_end = |c| c == FIELD_END || c == RECORD_END;
        self.out.extend(text.chars().map(|c| if is_end(c) { ' ' } else { c }));
        self
    }

    fn texts<'t>(&mut self, texts: impl IntoIterator<Item = impl AsRef<str> + 't>) -> &mut Self {
        for text in texts {
            self.text(text.as_ref());
        }
        self
    }

    fn number(&mut self, number: impl itoa::Integer) -> &mut Self {
        self.text(itoa::Buffer::new().format(number))
    }
}

fn opt(text: &Option<String>) -> &str {
    text.as_deref().unwrap_or(NULL)
}

fn bool_text(value: bool) -> &'static str {
    if value { "true" } else { "false" }
}

/// Reads the fields of one record.
struct Parts<'a> {
    rest: alloc::vec::IntoIter<&'a str>,
}

impl Parts<'_> {
    fn text(&mut self) -> Option<String> {
        self.rest.next().map(ToString::to_string)
    }

    fn opt(&mut self) -> Option<Option<String>> {
        Some(self.text()?).map(|text| if text == NULL { None } else { Some(text) })
    }

    fn number<T: FromStr>(&mut self) -> Option<T> {
        self.rest.next()?.parse().ok()
    }

    fn time(&mut self) -> Option<Timestamp> {
        self.number().map(Timestamp::from_millis)
    }

    fn bool(&mut self) -> Option<bool> {
        self.rest.next().map(|text| text.eq_ignore_ascii_case("true"))
    }

    fn msg_type(&mut self) -> Option<TraceMsgType> {
        TraceMsgType::ALL.get(self.number::<usize>()?).copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn absent_texts_are_the_word_null_and_come_back_absent() {
        let record = TraceRecord::Pub(PubTrace::default());
        let mut text = String::new();
        record.encode_into(&mut text);
        assert_eq!(text.matches("null").count(), 2);
        let TraceRecord::Pub(back) = decode_trace(&text).next().unwrap().unwrap() else { panic!("{text}") };
        assert_eq!((back.tags, back.keys), (None, None));
    }

    #[test]
    fn a_separator_in_a_key_does_not_shift_the_fields() {
        let keys = Some("a\u{1}b\u{2}c".to_string());
        let record = TraceRecord::SubBefore(SubBeforeTrace { keys, ..SubBeforeTrace::default() });
        let mut text = String::new();
        record.encode_into(&mut text);
        let TraceRecord::SubBefore(back) = decode_trace(&text).next().unwrap().unwrap() else {
            panic!("{text}")
        };
        assert_eq!(back.keys.as_deref(), Some("a b c"));
    }

    #[test]
    fn one_bad_record_is_one_error_between_its_neighbours() {
        let good = "Recall\u{1}1\u{1}r\u{1}g\u{1}t\u{1}m\u{1}true\u{2}";
        let body = alloc::format!("{good}Pub\u{1}x\u{2}{good}");
        let records: Vec<_> = decode_trace(&body).collect();
        assert_eq!(records[1], Err(InvalidTrace { kind: "Pub".to_string(), fields: 2 }));
        assert!(records[0].is_ok() && records[2].is_ok());
    }

    #[test]
    fn old_and_new_forms_of_pub_are_read() {
        let fields = ["Pub", "1", "r", "g", "t", "m", "", "", "h", "5", "6", "0"].join("\u{1}");
        for (tail, offset_id, success) in [
            ("", None, true),
            ("\u{1}false", None, false),
            ("\u{1}id\u{1}true", Some("id"), true),
            ("\u{1}id\u{1}false\u{1}client", Some("id"), false),
        ] {
            let text = alloc::format!("{fields}{tail}\u{2}");
            let TraceRecord::Pub(t) = decode_trace(&text).next().unwrap().unwrap() else { panic!("{text}") };
            assert_eq!((t.offset_msg_id.as_deref(), t.success), (offset_id, success));
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "((Pub|SubAfter|SubBefore|Recall|EndTransaction)?[0-4a\u{1}\u{2}]{0,30}){0,3}") {
            prop_assert!(decode_trace(&text).count() <= text.len());
        }
    }
}
