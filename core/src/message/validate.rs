//! What a broker would refuse, refused before it is sent, with the reason.

use alloc::format;
use alloc::string::String;

use super::Message;
use super::java_trim;
use super::names;
use super::properties::InvalidProperty;
use super::property;

/// The longest topic a client may use, in bytes.
pub const TOPIC_BYTES_MAX: usize = 127;
/// The longest retry or dead-letter topic a broker keeps, in bytes.
pub const RETRY_OR_DLQ_TOPIC_BYTES_MAX: usize = 255;
/// The longest group, in bytes.
pub const GROUP_BYTES_MAX: usize = 120;
/// The longest text of properties that a producer takes, in bytes: brokers keep 32,767, and a message that is
/// tried again needs about 170 B more, and several times its topic's and group's names, or it could never
/// leave its queue. Java: no such limit.
pub const SENT_PROPERTIES_BYTES_MAX: usize = 32_000;
/// The largest body by default on both sides, in bytes.
pub const BODY_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Why a name can't be a topic or a group.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidName {
    /// The name is empty or white space.
    #[error("the {what} is blank; name one")]
    Blank {
        /// "topic" or "group".
        what: &'static str,
    },
    /// The name is too long.
    #[error("{what} {name:?} has {len} bytes; at most {max} are allowed")]
    TooLong {
        /// "topic" or "group".
        what: &'static str,
        /// The name.
        name: String,
        /// Its length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// The name contains a character that isn't allowed.
    #[error("{what} {name:?} has the character {bad:?} at position {at}; allowed are a-z A-Z 0-9 % | - _")]
    Character {
        /// "topic" or "group".
        what: &'static str,
        /// The name.
        name: String,
        /// The character.
        bad: char,
        /// Its position, counted in characters from 0.
        at: usize,
    },
    /// The name is the one that stands for "no group given".
    #[error("group {name:?} stands for a group without a name; choose one of your own")]
    DefaultGroup {
        /// The name.
        name: String,
    },
}

/// Why a message can't be sent. Nothing has been sent.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidMessage {
    /// The topic's name is not allowed.
    #[error(transparent)]
    Topic(#[from] InvalidName),
    /// Brokers keep this topic for themselves.
    #[error("topic {topic:?} belongs to the system; sending to it is forbidden")]
    NotAllowedSend {
        /// The topic.
        topic: String,
    },
    /// Brokers fail on empty bodies.
    #[error("the body of a message to topic {topic:?} is empty; send at least one byte")]
    EmptyBody {
        /// The topic.
        topic: String,
    },
    /// The body is larger than the producer's limit.
    #[error("the body of a message to topic {topic:?} has {len} bytes; at most {max} are allowed")]
    BodyTooLarge {
        /// The topic.
        topic: String,
        /// The body's length in bytes, before compression.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// All properties together are too long.
    #[error(
        "the properties of a message to topic {topic:?} have {len} bytes; at most {max} are allowed, since \
         every retry adds to them: put what is large into the body"
    )]
    PropertiesTooLong {
        /// The topic.
        topic: String,
        /// Their encoded length in bytes.
        len: usize,
        /// The limit in bytes.
        max: usize,
    },
    /// A property can't be encoded.
    #[error(transparent)]
    Property(#[from] InvalidProperty),
    /// A user's property has a name that RocketMQ itself uses.
    #[error("property name {name:?} is reserved; use the builder's method for it or another name")]
    ReservedProperty {
        /// The name.
        name: String,
    },
    /// No subscription but `*` can name the tag.
    #[error("tag {tag:?} can't be subscribed to: {}", tag_advice(tag))]
    Tag {
        /// The tag.
        tag: String,
    },
    /// Keys are separated by blanks.
    #[error("key {key:?} would be two or none: give `keys` several, or leave out what is empty")]
    Key {
        /// The key.
        key: String,
    },
    /// Brokers can't read the delay level and would deliver at once.
    #[error("delay level {level} is none: brokers know 1 to 18 by default")]
    DelayLevel {
        /// The level.
        level: u32,
    },
    /// A light queue's name contains the file separator.
    #[error("the light queues {queues:?} contain '/' at byte {at}; brokers use their names as file names")]
    LightQueueName {
        /// The value of `INNER_MULTI_DISPATCH`.
        queues: String,
        /// Where, in bytes.
        at: usize,
    },
}

/// Whether `topic` can be used by a client. Java: `Validators#checkTopic`.
///
/// # Errors
/// Blank, longer than 127 bytes, or with a character other than `a-z A-Z 0-9 % | - _`.
pub fn check_topic(topic: &str) -> Result<(), InvalidName> {
    check_name("topic", topic, TOPIC_BYTES_MAX)
}

/// Whether a broker keeps `topic`: as [`check_topic`], but retry and dead-letter topics may have
/// 255 bytes. Java: `TopicValidator#validateTopic`.
///
/// # Errors
/// As [`check_topic`].
pub fn check_broker_topic(topic: &str) -> Result<(), InvalidName> {
    let long = names::is_retry_topic(topic) || names::is_dlq_topic(topic);
    check_name("topic", topic, if long { RETRY_OR_DLQ_TOPIC_BYTES_MAX } else { TOPIC_BYTES_MAX })
}

/// Whether `group` can be the name of a group. Java: `Validators#checkGroup`.
///
/// # Errors
/// Blank, longer than 120 bytes, or with a character other than `a-z A-Z 0-9 % | - _`.
pub fn check_group(group: &str) -> Result<(), InvalidName> {
    check_name("group", group, GROUP_BYTES_MAX)
}

/// Whether a client can act for `group`: as [`check_group`], and not one of the two names that
/// Java gives a client without a group.
///
/// # Errors
/// As [`check_group`], and [`InvalidName::DefaultGroup`].
pub fn check_client_group(group: &str) -> Result<(), InvalidName> {
    check_group(group)?;
    if [names::DEFAULT_PRODUCER_GROUP, names::DEFAULT_CONSUMER_GROUP].contains(&group) {
        return Err(InvalidName::DefaultGroup { name: group.into() });
    }
    Ok(())
}

/// Whether a subscription can name `tag`: splitting and trimming leave it as it is, and it doesn't stand for
/// all. Java: `FilterAPI#buildSubscriptionData`.
pub(super) fn is_subscribable(tag: &str) -> bool {
    !tag.is_empty() && java_trim(tag) == tag && !tag.contains("||") && tag != "*"
}

fn tag_advice(tag: &str) -> String {
    let trimmed = java_trim(tag);
    if is_subscribable(trimmed) {
        return format!("write it as {trimmed:?}");
    }
    "a message has one tag, which is not blank, not \"*\", and without \"||\"".into()
}

impl Message {
    /// Whether the message can be sent, with a body of at most `max_bytes` before compression.
    /// Java: `Validators#checkMessage`, and what Java leaves to the broker or loses in silence.
    ///
    /// # Errors
    /// The first thing that is wrong with the topic, the body or the properties, or what one of
    /// the builder's methods refused.
    pub fn validate(&self, max_bytes: usize) -> Result<(), InvalidMessage> {
        self.check_topic()?;
        self.check_content(max_bytes)
    }

    /// The part of [`validate`](Self::validate) that all messages of a topic have in common.
    pub(super) fn check_topic(&self) -> Result<(), InvalidMessage> {
        check_topic(&self.topic)?;
        if names::is_not_allowed_send(&self.topic) {
            return Err(InvalidMessage::NotAllowedSend { topic: String::from(&*self.topic) });
        }
        Ok(())
    }

    /// The other part of [`validate`](Self::validate).
    pub(super) fn check_content(&self, max_bytes: usize) -> Result<(), InvalidMessage> {
        let topic = || String::from(&*self.topic);
        if self.body.is_empty() {
            return Err(InvalidMessage::EmptyBody { topic: topic() });
        }
        if self.body.len() > max_bytes {
            return Err(InvalidMessage::BodyTooLarge {
                topic: topic(),
                len: self.body.len(),
                max: max_bytes,
            });
        }
        self.check_properties()
    }

    fn check_properties(&self) -> Result<(), InvalidMessage> {
        if let Some(refused) = self.refused() {
            return Err(refused.clone());
        }
        let (len, max) = (self.properties.encoded_len(), SENT_PROPERTIES_BYTES_MAX);
        if len > max {
            return Err(InvalidMessage::PropertiesTooLong { topic: String::from(&*self.topic), len, max });
        }
        if len == 0 {
            return Ok(());
        }
        let queues = self.properties.get(property::INNER_MULTI_DISPATCH).unwrap_or_default();
        match queues.find('/') {
            Some(at) => Err(InvalidMessage::LightQueueName { queues: queues.into(), at }),
            None => Ok(()),
        }
    }
}

fn check_name(what: &'static str, name: &str, max: usize) -> Result<(), InvalidName> {
    // Every send comes through here, with a name that is right.
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'%' | b'|' | b'-' | b'_');
    if (1..=max).contains(&name.len()) && name.bytes().all(plain) {
        return Ok(());
    }
    if name.trim().is_empty() {
        return Err(InvalidName::Blank { what });
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '%' | '|' | '-' | '_');
    if let Some((at, bad)) = name.chars().enumerate().find(|(_, c)| !allowed(*c)) {
        return Err(InvalidName::Character { what, name: name.into(), bad, at });
    }
    if name.len() > max {
        return Err(InvalidName::TooLong { what, name: name.into(), len: name.len(), max });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;

    fn refusal(message: &Message) -> String {
        message.validate(8).unwrap_err().to_string()
    }

    #[test]
    fn limits_are_inclusive() {
        let message = Message::new("t".repeat(127), vec![0; 8]);
        assert_eq!(message.validate(8), Ok(()));
        assert_eq!(message.property("n", "x".repeat(31_997)).validate(8), Ok(()));
        assert!(check_group(&"g".repeat(120)).is_ok());
    }

    #[test]
    fn a_refusal_names_the_thing_the_place_and_the_limit() {
        for (message, says) in [
            (Message::new("", "b"), "the topic is blank; name one"),
            (Message::new("a.b", "b"), "topic \"a.b\" has the character '.' at position 1;"),
            (Message::new("é标", "b"), "has the character 'é' at position 0;"),
            (Message::new("t".repeat(128), "b"), "has 128 bytes; at most 127 are allowed"),
            (Message::new("SCHEDULE_TOPIC_XXXX", "b"), "belongs to the system"),
            (Message::new("t", ""), "topic \"t\" is empty"),
            (Message::new("t", "123456789"), "has 9 bytes; at most 8 are allowed"),
            (Message::new("t", "b").property("TAGS", "x"), "\"TAGS\" is reserved"),
            (Message::new("t", "b").property(" ", "x"), "empty name"),
            (Message::new("t", "b").property("n", " "), "\"n\" has an empty value"),
            (Message::new("t", "b").property("n", "a\u{2}b"), "U+0002 at byte 1"),
            (Message::new("t", "b").tag("a\u{2}b"), "\"TAGS\" contains the separator"),
            (Message::new("t", "b").tag(""), "\"TAGS\" has an empty value"),
            (Message::new("t", "b").tag(" a "), "tag \" a \" can't be subscribed to: write it as \"a\""),
            (Message::new("t", "b").tag("a\n"), "tag \"a\\n\" can't be subscribed to: write it as \"a\""),
            (Message::new("t", "b").tag(" "), "tag \" \" can't be subscribed to: a message has one tag"),
            (
                Message::new("t", "b").tag("a||b"),
                "tag \"a||b\" can't be subscribed to: a message has one tag",
            ),
            (Message::new("t", "b").tag("*"), "tag \"*\" can't be subscribed to: a message has one tag"),
            (Message::new("t", "b").key("a b"), "key \"a b\" would be two or none: give `keys`"),
            (Message::new("t", "b").key("k").key(" "), "key \" \" would be two or none"),
            (Message::new("t", "b").key("k").key(""), "key \"\" would be two or none"),
            (Message::new("t", "b").keys(["k", " "]), "key \" \" would be two or none"),
            (Message::new("t", "b").delay_level(u32::MAX), "delay level 4294967295 is none"),
            (Message::new("t", "b").property("n", "x".repeat(31_998)), "have 32001 bytes; at most 32000"),
        ] {
            let text = refusal(&message);
            assert!(text.contains(says), "{text}");
        }
    }

    #[test]
    fn a_tag_that_a_subscription_can_name_is_taken_as_it_is() {
        for tag in ["a", "a b", "a | b", "a|b", "**", "*a", "ä\u{a0}", "𝄞"] {
            let message = Message::new("t", "b").tag(tag);
            assert_eq!(message.validate(8), Ok(()), "{tag:?}");
            assert_eq!(message.tags(), Some(tag));
        }
    }

    /// Whoever sends on what came from elsewhere copies its properties, whatever they are.
    #[test]
    fn properties_that_were_received_are_sent_on_as_they_came() {
        let mut message = Message::new("t", "b");
        message.properties = crate::message::Properties::parse("TAGS\u{1} a||b \u{2}KEYS\u{1} k1  k2 \u{2}");
        assert_eq!(message.validate(8), Ok(()));
        assert_eq!(message.tags(), Some(" a||b "));
        assert_eq!(message.properties.get(property::KEYS), Some(" k1  k2 "));
    }

    #[test]
    fn light_queue_names_become_file_names_so_they_have_no_slash() {
        let mut message = Message::new("t", "b");
        message.properties.set(property::INNER_MULTI_DISPATCH, "%LMQ%a/b").unwrap();
        assert!(refusal(&message).contains("'/' at byte 6"));
    }

    #[test]
    fn clients_refuse_the_groups_that_mean_none() {
        assert!(check_group("DEFAULT_PRODUCER").is_ok());
        assert!(check_client_group("DEFAULT_PRODUCER").is_err());
        assert!(check_client_group("DEFAULT_CONSUMER").is_err());
        assert!(check_client_group("mine").is_ok());
    }
}
