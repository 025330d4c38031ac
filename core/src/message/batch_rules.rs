//! Which messages can be sent together, as one batch. Java: `MessageBatch#generateFromList`, and what Java
//! leaves to the broker or loses in silence.

use alloc::string::String;
use alloc::sync::Arc;

use super::batch::{BatchEncodeError, keyed_item_len};
use super::{InvalidMessage, Message, Properties, names, property};

/// The most messages a batch can have: their unique keys are of one millisecond, within which 16 bits tell
/// them apart. Usually the bytes end a batch long before.
pub const BATCH_MESSAGES_MAX: usize = 1 << 16;

/// Why messages can't be sent as one batch. Nothing has been sent. Places are counted from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidBatch {
    /// Brokers fail on it.
    #[error("it has no message; put at least one into it")]
    Empty,
    /// It could not be sent on its own either.
    #[error("message {index}: {reason}")]
    Message {
        /// Its place.
        index: usize,
        /// What is wrong with it.
        reason: InvalidMessage,
    },
    /// It is of another topic than the first.
    #[error(
        "message {index} is of topic {other:?}, the first of {topic:?}; a batch has one topic, so send one for each"
    )]
    Topic {
        /// Its place.
        index: usize,
        /// The first message's topic.
        topic: String,
        /// Its own.
        other: String,
    },
    /// It waits for flushing and replication and the first does not, or the other way round.
    #[error(
        "message {index} has another wait_store_ok than the first ({first}); all of a batch have the same"
    )]
    WaitStoreOk {
        /// Its place.
        index: usize,
        /// The first message's setting.
        first: bool,
    },
    /// It is to be delivered later, which brokers ignore in a batch.
    #[error(
        "message {index} is to be delivered later ({property}); send it on its own, brokers ignore that in a batch"
    )]
    Delayed {
        /// Its place.
        index: usize,
        /// The property that says so.
        property: &'static str,
    },
    /// Brokers take no batches for retry topics.
    #[error("topic {topic:?} is a group's retry topic, which takes no batches; send the messages one by one")]
    RetryTopic {
        /// The topic.
        topic: String,
    },
    /// All messages together are larger than the producer's limit for one.
    #[error(
        "its {count} messages take {len} bytes; at most {max} are allowed: split them, e.g. by Producer::batches"
    )]
    TooLarge {
        /// How many messages there are.
        count: usize,
        /// Their bodies and properties and what frames them, in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// More than [`BATCH_MESSAGES_MAX`].
    #[error("it has {count} messages; at most {max} are allowed: split them, e.g. by Producer::batches")]
    TooMany {
        /// How many messages there are.
        count: usize,
        /// The limit.
        max: usize,
    },
    /// It can't be written.
    #[error(transparent)]
    Encode(#[from] BatchEncodeError),
}

/// Whether `messages` can be sent as one batch of at most `max_bytes`; how many bytes it takes then, counted
/// with the longest unique keys there are.
///
/// # Errors
/// The first rule that they break.
pub fn validate_batch(messages: &[Message], max_bytes: usize) -> Result<usize, InvalidBatch> {
    let first = messages.first().ok_or(InvalidBatch::Empty)?;
    first.check_topic().map_err(|reason| InvalidBatch::Message { index: 0, reason })?;
    if names::is_retry_topic(&first.topic) {
        return Err(InvalidBatch::RetryTopic { topic: String::from(&*first.topic) });
    }
    let count = messages.len();
    if count > BATCH_MESSAGES_MAX {
        return Err(InvalidBatch::TooMany { count, max: BATCH_MESSAGES_MAX });
    }
    let wait = Delivery::of(&first.properties).wait_store_ok;
    for (index, message) in messages.iter().enumerate() {
        check_member(first, wait, index, message, max_bytes)?;
    }
    let len = messages.iter().map(keyed_item_len).sum();
    if len > max_bytes {
        return Err(InvalidBatch::TooLarge { count, len, max: max_bytes });
    }
    Ok(len)
}

fn check_member(
    first: &Message,
    wait: bool,
    index: usize,
    message: &Message,
    max_bytes: usize,
) -> Result<(), InvalidBatch> {
    if !same_topic(first, message) {
        let (topic, other) = (String::from(&*first.topic), String::from(&*message.topic));
        return Err(InvalidBatch::Topic { index, topic, other });
    }
    message.check_content(max_bytes).map_err(|reason| InvalidBatch::Message { index, reason })?;
    let delivery = Delivery::of(&message.properties);
    if let Some(property) = delivery.later {
        return Err(InvalidBatch::Delayed { index, property });
    }
    if delivery.wait_store_ok != wait {
        return Err(InvalidBatch::WaitStoreOk { index, first: wait });
    }
    Ok(())
}

/// Cuts a list into batches, in its order: a new one begins where the next message would make it larger than
/// `max_bytes`, or is of another topic, or has another `wait_store_ok`. A message that can't be sent comes
/// all the same, and [`validate_batch`] tells what is wrong with it.
#[must_use]
pub fn batches(messages: &[Message], max_bytes: usize) -> Batches<'_> {
    Batches { rest: messages, max_bytes }
}

/// Batches of a list; see [`batches`].
#[derive(Clone, Debug)]
pub struct Batches<'a> {
    rest: &'a [Message],
    max_bytes: usize,
}

impl<'a> Iterator for Batches<'a> {
    type Item = &'a [Message];

    fn next(&mut self) -> Option<&'a [Message]> {
        let (first, others) = self.rest.split_first()?;
        let wait = first.properties.wait_store_ok();
        let mut len = keyed_item_len(first);
        let fits = |message: &&Message| {
            len += keyed_item_len(message);
            len <= self.max_bytes && same_topic(first, message) && message.properties.wait_store_ok() == wait
        };
        let count = 1 + others.iter().take(BATCH_MESSAGES_MAX - 1).take_while(fits).count();
        let (batch, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(batch)
    }
}

fn same_topic(one: &Message, other: &Message) -> bool {
    Arc::ptr_eq(&one.topic, &other.topic) || one.topic == other.topic
}

/// How a message is to be stored and delivered, as far as a batch cares.
struct Delivery {
    wait_store_ok: bool,
    /// The property by which it is to be delivered later.
    later: Option<&'static str>,
}

impl Delivery {
    fn of(properties: &Properties) -> Self {
        let mut delivery = Self { wait_store_ok: true, later: None };
        for (name, value) in properties.iter() {
            match name {
                property::WAIT => delivery.wait_store_ok = value.eq_ignore_ascii_case("true"),
                property::DELAY if value.parse().is_ok_and(|level: i32| level > 0) => {
                    delivery.later = Some(property::DELAY);
                }
                property::TIMER_DELIVER_MS => delivery.later = Some(property::TIMER_DELIVER_MS),
                property::TIMER_DELAY_MS => delivery.later = Some(property::TIMER_DELAY_MS),
                property::TIMER_DELAY_SEC => delivery.later = Some(property::TIMER_DELAY_SEC),
                _ => {}
            }
        }
        delivery
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Timestamp;
    use alloc::string::ToString;
    use alloc::vec::Vec;
    use core::time::Duration;
    use proptest::prelude::*;

    fn message(body: &str) -> Message {
        Message::new("t", body.to_string())
    }

    #[test]
    fn a_refusal_names_the_message_and_what_to_do() {
        let good = || message("b");
        for (bad, says) in [
            (Message::new("other", "b"), "message 1 is of topic \"other\", the first of \"t\""),
            (good().wait_store_ok(false), "message 1 has another wait_store_ok than the first (true)"),
            (good().delay_level(1), "message 1 is to be delivered later (DELAY); send it on its own"),
            (good().deliver_after(Duration::from_secs(1)), "(TIMER_DELAY_MS)"),
            (good().deliver_at(Timestamp::from_millis(1)), "(TIMER_DELIVER_MS)"),
            (message(""), "message 1: the body of a message to topic \"t\" is empty"),
            (good().property("TAGS", "x"), "message 1: property name \"TAGS\" is reserved"),
            (good().property("n", "x".repeat(32_700)), "message 1: the properties of a message"),
            (message(&"b".repeat(200_000)), "message 1: the body of a message"),
            (
                message(&"b".repeat(99_999)),
                "its 3 messages take 100265 bytes; at most 100000 are allowed: split",
            ),
        ] {
            let text = validate_batch(&[good(), bad, good()], 100_000).unwrap_err().to_string();
            assert!(text.contains(says), "{text}");
        }
    }

    #[test]
    fn a_whole_batch_can_be_what_can_not_be_sent() {
        assert_eq!(validate_batch(&[], 99), Err(InvalidBatch::Empty));
        let retry = validate_batch(&[Message::new("%RETRY%g", "b")], 999).unwrap_err().to_string();
        assert!(retry.contains("\"%RETRY%g\" is a group's retry topic"), "{retry}");
        let named = validate_batch(&[Message::new("a.b", "b")], 999).unwrap_err().to_string();
        assert!(named.starts_with("message 0: topic \"a.b\""), "{named}");
        let many: Vec<_> = (0..=BATCH_MESSAGES_MAX).map(|_| message("b")).collect();
        let many = validate_batch(&many, usize::MAX).unwrap_err().to_string();
        assert!(many.contains("65537 messages; at most 65536"), "{many}");
    }

    #[test]
    fn the_limit_is_inclusive_and_no_delay_is_none() {
        let messages = [message("one").delay_level(0), message("two").wait_store_ok(true)];
        let len = validate_batch(&messages, 1_000).unwrap();
        assert_eq!(validate_batch(&messages, len), Ok(len));
        assert!(validate_batch(&messages, len - 1).is_err());
    }

    proptest! {
        #[test]
        fn cut_batches_join_to_the_list_and_are_as_long_as_they_can_be(
            list in proptest::collection::vec((1_usize..300, 0_u8..8, 0_u8..8), 0..60),
            max_bytes in 400_usize..2_000,
        ) {
            let messages: Vec<_> = list
                .into_iter()
                .map(|(len, topic, wait)| {
                    let topic = if topic == 0 { "u" } else { "t" };
                    Message::new(topic, "b".repeat(len)).wait_store_ok(wait != 0)
                })
                .collect();
            let cut: Vec<_> = batches(&messages, max_bytes).collect();
            prop_assert_eq!(&cut.concat(), &messages);
            for (at, batch) in cut.iter().enumerate() {
                prop_assert!(validate_batch(batch, max_bytes).is_ok());
                if let Some(next) = cut.get(at + 1) {
                    let longer = [*batch, &next[..1]].concat();
                    prop_assert!(validate_batch(&longer, max_bytes).is_err(), "one more would have fitted");
                }
            }
        }
    }
}
