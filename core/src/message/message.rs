//! [`Message`]: what a user sends.

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use bytes::Bytes;

use super::properties::{InvalidProperty, Properties, split_keys};
use super::property;
use super::validate::{self, InvalidMessage};
use crate::time::Timestamp;

/// A message to be sent: a topic, a body, and what goes with it.
///
/// The builder's methods never fail; what they can't take is kept and told by
/// [`Message::validate`], which every send calls first.
///
/// ```
/// use rocketmq_client_core::message::Message;
///
/// let message = Message::new("orders", "a body").tag("paid").key("4711").property("shop", "north");
/// assert!(message.validate(4 * 1024 * 1024).is_ok());
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Message {
    /// The topic.
    pub topic: Arc<str>,
    /// The body, as the consumer shall see it.
    pub body: Bytes,
    /// A number that travels with the message and means nothing to RocketMQ.
    pub flag: i32,
    /// The properties, those of the protocol included.
    pub properties: Properties,
    refused: Option<Box<InvalidMessage>>,
}

impl Message {
    /// A message with `body` to `topic`, without tag, keys or properties.
    #[must_use]
    pub fn new(topic: impl Into<Arc<str>>, body: impl Into<Bytes>) -> Self {
        Self { topic: topic.into(), body: body.into(), flag: 0, properties: Properties::new(), refused: None }
    }

    /// Sets the tag, by which subscriptions filter.
    ///
    /// [`Message::validate`] refuses a tag that no subscription can name: subscriptions are split at `||` and
    /// trimmed, and `*` in one means all. Java takes it, and nobody but those who subscribe to all gets the
    /// message.
    #[must_use]
    pub fn tag(self, tag: impl AsRef<str>) -> Self {
        let tag = tag.as_ref();
        if validate::is_subscribable(tag) || tag.is_empty() {
            self.with(property::TAGS, tag)
        } else {
            self.refuse(InvalidMessage::Tag { tag: tag.into() })
        }
    }

    /// Adds a key, under which the message can be looked up.
    ///
    /// [`Message::validate`] refuses a key that is empty or has a blank in it, since brokers split keys there;
    /// [`Message::keys`] takes such texts apart.
    #[must_use]
    pub fn key(self, key: impl AsRef<str>) -> Self {
        let key = key.as_ref();
        if key.is_empty() || key.contains(property::KEY_SEPARATOR) {
            return self.refuse(InvalidMessage::Key { key: key.into() });
        }
        let keys = match self.properties.get(property::KEYS) {
            Some(keys) => alloc::format!("{keys} {key}"),
            None => key.to_string(),
        };
        self.with(property::KEYS, &keys)
    }

    /// Adds several keys; a text with blanks in it is taken for several. See [`Message::key`].
    #[must_use]
    pub fn keys<K: AsRef<str>>(self, keys: impl IntoIterator<Item = K>) -> Self {
        keys.into_iter().fold(self, |message, keys| {
            let keys = keys.as_ref();
            let mut split = split_keys(Some(keys)).peekable();
            // What holds no key at all is refused as one.
            if split.peek().is_none() { message.key(keys) } else { split.fold(message, Self::key) }
        })
    }

    /// Sets a property of the user's own.
    ///
    /// [`Message::validate`] refuses a blank name or value, a name of the protocol's, and the
    /// separators U+0001 (in names) and U+0002.
    #[must_use]
    pub fn property(self, name: impl AsRef<str>, value: impl AsRef<str>) -> Self {
        let (name, value) = (name.as_ref(), value.as_ref());
        if property::is_reserved(name) {
            self.refuse(InvalidMessage::ReservedProperty { name: name.into() })
        } else if name.trim().is_empty() {
            self.refuse(InvalidProperty::EmptyName.into())
        } else if value.trim().is_empty() {
            self.refuse(InvalidProperty::EmptyValue { name: name.into() }.into())
        } else {
            self.with(name, value)
        }
    }

    /// Sets the delay level: 1 to 18 for 1 s to 2 h with the broker's default table, 0 for none. Brokers take
    /// one above their table for its last; [`Message::validate`] refuses what they would read as none.
    #[must_use]
    pub fn delay_level(mut self, level: u32) -> Self {
        if level == 0 {
            self.properties.remove(property::DELAY);
            return self;
        }
        if i32::try_from(level).is_err() {
            return self.refuse(InvalidMessage::DelayLevel { level });
        }
        self.with(property::DELAY, itoa::Buffer::new().format(level))
    }

    /// Has the message delivered `delay` after the broker got it (whole milliseconds, at most
    /// three days by default). Needs a broker with the timer wheel switched on.
    #[must_use]
    pub fn deliver_after(self, delay: Duration) -> Self {
        let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
        self.with(property::TIMER_DELAY_MS, itoa::Buffer::new().format(delay_ms))
    }

    /// Has the message delivered at `time`. Needs a broker with the timer wheel switched on.
    #[must_use]
    pub fn deliver_at(self, time: Timestamp) -> Self {
        self.with(property::TIMER_DELIVER_MS, itoa::Buffer::new().format(time.as_millis()))
    }

    /// Sets the key by which messages are ordered among each other.
    #[must_use]
    pub fn sharding_key(self, key: impl AsRef<str>) -> Self {
        self.with(property::SHARDING_KEY, key.as_ref())
    }

    /// Sets whether the send is answered only when the message is flushed and replicated; true by
    /// default.
    #[must_use]
    pub fn wait_store_ok(self, wait: bool) -> Self {
        self.with(property::WAIT, if wait { "true" } else { "false" })
    }

    /// Sets the number that travels with the message and means nothing to RocketMQ.
    #[must_use]
    pub fn flag(mut self, flag: i32) -> Self {
        self.flag = flag;
        self
    }

    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &str {
        &self.topic
    }

    /// The body, as the consumer shall see it.
    #[must_use]
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The tag, if there is one.
    #[must_use]
    pub fn tags(&self) -> Option<&str> {
        self.properties.tags()
    }

    /// The client's id of the message, once it has one.
    #[must_use]
    pub fn uniq_key(&self) -> Option<&str> {
        self.properties.uniq_key()
    }

    /// What the builder's methods couldn't take.
    pub(super) fn refused(&self) -> Option<&InvalidMessage> {
        self.refused.as_deref()
    }

    fn with(mut self, name: &str, value: &str) -> Self {
        match self.properties.set(name, value) {
            Ok(()) => self,
            Err(error) => self.refuse(error.into()),
        }
    }

    /// Keeps the first refusal: it is the one the user can act on.
    fn refuse(mut self, error: InvalidMessage) -> Self {
        self.refused.get_or_insert_with(|| Box::new(error));
        self
    }
}

impl From<&Message> for Message {
    /// A clone, which shares topic and body.
    fn from(message: &Message) -> Self {
        message.clone()
    }
}

impl fmt::Debug for Message {
    /// The body's length stands for the body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Message")
            .field("topic", &self.topic)
            .field("body_bytes", &self.body.len())
            .field("flag", &self.flag)
            .field("properties", &self.properties)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;

    #[test]
    fn the_builder_writes_the_protocols_properties() {
        let message = Message::new("t", "b")
            .tag("a")
            .key("k1")
            .keys(["k2", "k3"])
            .property("mine", "1")
            .delay_level(3)
            .wait_store_ok(false)
            .flag(7);
        let pairs: Vec<_> = message.properties.iter().collect();
        assert_eq!(
            pairs,
            [("TAGS", "a"), ("KEYS", "k1 k2 k3"), ("mine", "1"), ("DELAY", "3"), ("WAIT", "false")]
        );
        assert_eq!(message.flag, 7);
        assert_eq!(message.properties.keys().collect::<Vec<_>>(), ["k1", "k2", "k3"]);
    }

    #[test]
    fn keys_with_blanks_are_several() {
        let message = Message::new("t", "b").key("k1").keys(["k2  k3", " k4"]);
        assert_eq!(message.properties.get("KEYS"), Some("k1 k2 k3 k4"));
        assert_eq!(message.refused(), None);
        assert!(Message::new("t", "b").keys([""; 0]).properties.is_empty());
    }

    #[test]
    fn delay_level_zero_means_no_delay() {
        let message = Message::new("t", "b").delay_level(3).delay_level(0);
        assert!(message.properties.is_empty());
    }

    #[test]
    fn timer_properties_are_whole_milliseconds() {
        let message = Message::new("t", "b").deliver_after(Duration::from_micros(1_999));
        assert_eq!(message.properties.get("TIMER_DELAY_MS"), Some("1"));
        let message = Message::new("t", "b").deliver_at(Timestamp::from_millis(1_700_000_000_000));
        assert_eq!(message.properties.get("TIMER_DELIVER_MS"), Some("1700000000000"));
    }

    #[test]
    fn the_first_refusal_is_the_one_that_is_told() {
        let message = Message::new("t", "b").property("TAGS", "x").property("", "x");
        let expected = InvalidMessage::ReservedProperty { name: "TAGS".to_string() };
        assert_eq!(message.refused(), Some(&expected));
    }
}
