//! How `consume --format` and `consume --json` show a message.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rocketmq_client_tokio::ReceivedMessage;
use rocketmq_client_tokio::core::message::{StoredMessage, properties, property, split_keys};
use rocketmq_client_tokio::core::time::Timestamp;
use serde_json::{Value, json};

/// What stands for something that a message doesn't have.
const ABSENT: &str = "-";

/// A message to show, from a consumer or from a broker's log.
#[derive(Debug)]
pub(crate) struct Shown<'a> {
    topic: &'a str,
    broker: &'a str,
    queue_id: i32,
    offset: i64,
    id: String,
    reconsume_times: i32,
    born: Option<Timestamp>,
    stored: Option<Timestamp>,
    /// All of them, RocketMQ's own included.
    properties: Vec<(&'a str, &'a str)>,
    /// The body, or why there is none.
    pub(crate) body: Result<&'a [u8], String>,
}

impl<'a> From<&'a ReceivedMessage> for Shown<'a> {
    fn from(message: &'a ReceivedMessage) -> Self {
        Self {
            topic: message.topic(),
            broker: &message.queue().broker_name,
            queue_id: message.queue().queue_id,
            offset: message.queue_offset(),
            id: message.message_id(),
            reconsume_times: message.reconsume_times(),
            born: message.born_timestamp(),
            stored: message.store_timestamp(),
            properties: message.properties().collect(),
            body: message.body().map(|body| &**body).map_err(ToString::to_string),
        }
    }
}

impl<'a> Shown<'a> {
    /// A message as it lies in the log of this broker, with its body inflated, or why that failed.
    pub(crate) fn stored(
        broker: &'a str,
        message: &'a StoredMessage,
        body: Result<&'a [u8], String>,
    ) -> Self {
        Self {
            topic: message.topic(),
            broker,
            queue_id: message.queue_id,
            offset: message.queue_offset,
            id: message.msg_id(),
            reconsume_times: message.reconsume_times,
            born: Some(message.born_timestamp),
            stored: Some(message.store_timestamp),
            properties: properties::pieces(message.properties_text()).collect(),
            body,
        }
    }

    /// Where it lies.
    pub(crate) fn place(&self) -> String {
        let (topic, broker) = (self.topic.escape_debug(), self.broker.escape_debug());
        format!("{topic}@{broker}:{} offset {}", self.queue_id, self.offset)
    }

    fn property(&self, name: &str) -> Option<&'a str> {
        self.properties.iter().find(|(known, _)| *known == name).map(|(_, value)| *value)
    }

    fn tags(&self) -> Option<&'a str> {
        self.property(property::TAGS)
    }

    fn keys(&self) -> Vec<&'a str> {
        split_keys(self.property(property::KEYS)).collect()
    }

    /// The sender's properties as `name=value`, in order.
    fn users_properties(&self) -> String {
        let users = self.properties.iter().filter(|(name, _)| !property::is_reserved(name));
        users.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(" ")
    }
}

/// A parsed format text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Format(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Topic,
    Broker,
    Queue,
    Offset,
    Id,
    Tags,
    Keys,
    Properties,
    Reconsumed,
    Stored,
    Body,
}

impl Format {
    /// Reads a format text.
    ///
    /// # Errors
    /// The directive or escape that does not exist.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut chars = text.chars();
        while let Some(char) = chars.next() {
            match char {
                '%' => match part(chars.next())? {
                    Part::Text(text) => plain.push_str(&text),
                    part => {
                        if !plain.is_empty() {
                            parts.push(Part::Text(std::mem::take(&mut plain)));
                        }
                        parts.push(part);
                    }
                },
                '\\' => plain.push(escaped(chars.next())?),
                other => plain.push(other),
            }
        }
        if !plain.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }

    /// Writes a message. `plain` keeps control characters of the message from the reader's terminal.
    pub(crate) fn write(&self, message: &Shown<'_>, plain: bool, out: &mut Vec<u8>) -> io::Result<()> {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Topic => write!(out, "{}", message.topic.escape_debug())?,
                Part::Broker => write!(out, "{}", message.broker.escape_debug())?,
                Part::Queue => write!(out, "{}", message.queue_id)?,
                Part::Offset => write!(out, "{}", message.offset)?,
                Part::Id => text(&message.id, plain, out)?,
                Part::Tags => text(message.tags().unwrap_or_default(), plain, out)?,
                Part::Keys => text(&message.keys().join(" "), plain, out)?,
                Part::Properties => text(&message.users_properties(), plain, out)?,
                Part::Reconsumed => write!(out, "{}", message.reconsume_times)?,
                Part::Stored => match message.stored {
                    Some(stored) => write!(out, "{}", stored.as_millis())?,
                    None => out.extend_from_slice(ABSENT.as_bytes()),
                },
                Part::Body => match &message.body {
                    Ok(body) if plain => {
                        out.extend_from_slice(printable(&String::from_utf8_lossy(body)).as_bytes())
                    }
                    Ok(body) => out.extend_from_slice(body),
                    Err(_) => out.extend_from_slice(ABSENT.as_bytes()),
                },
            }
        }
        Ok(())
    }
}

fn part(directive: Option<char>) -> Result<Part, String> {
    Ok(match directive {
        Some('t') => Part::Topic,
        Some('B') => Part::Broker,
        Some('q') => Part::Queue,
        Some('o') => Part::Offset,
        Some('i') => Part::Id,
        Some('T') => Part::Tags,
        Some('k') => Part::Keys,
        Some('p') => Part::Properties,
        Some('r') => Part::Reconsumed,
        Some('s') => Part::Stored,
        Some('b') => Part::Body,
        Some('%') => Part::Text("%".to_owned()),
        Some(other) => {
            return Err(format!("%{other} is not known: use %t %B %q %o %i %T %k %p %r %s %b or %%"));
        }
        None => return Err("the format ends with %; write %% for a percent sign".to_owned()),
    })
}

fn escaped(char: Option<char>) -> Result<char, String> {
    Ok(match char {
        Some('n') => '\n',
        Some('t') => '\t',
        Some('0') => '\0',
        Some('\\') => '\\',
        Some(other) => return Err(format!("\\{other} is not known: use \\n \\t \\0 or \\\\")),
        None => return Err("the format ends with \\; write \\\\ for a backslash".to_owned()),
    })
}

fn text(text: &str, plain: bool, out: &mut Vec<u8>) -> io::Result<()> {
    let text = if text.is_empty() { ABSENT } else { text };
    if plain { write!(out, "{}", printable(text)) } else { write!(out, "{text}") }
}

/// The text, with what could command a terminal made visible.
fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for char in text.chars() {
        if char.is_control() && !matches!(char, '\n' | '\t') {
            shown.extend(char.escape_debug());
        } else {
            shown.push(char);
        }
    }
    shown
}

/// The message as a JSON object. A body that is no text is in `body_base64`.
pub(crate) fn as_json(message: &Shown<'_>) -> Value {
    let properties = message.properties.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value)));
    let mut object = json!({
        "topic": message.topic,
        "broker": message.broker,
        "queue": message.queue_id,
        "offset": message.offset,
        "id": message.id,
        "tags": message.tags(),
        "keys": message.keys(),
        "properties": Value::Object(properties.collect()),
        "reconsume_times": message.reconsume_times,
        "born_at_ms": message.born.map(|time| time.as_millis()),
        "stored_at_ms": message.stored.map(|time| time.as_millis()),
    });
    match &message.body {
        Ok(body) => match std::str::from_utf8(body) {
            Ok(text) => object["body"] = text.into(),
            Err(_) => object["body_base64"] = BASE64.encode(body).into(),
        },
        Err(error) => object["error"] = error.as_str().into(),
    }
    object
}

/// JSON on a line. It escapes the control characters below the blank; those above, which command terminals as well,
/// are escaped here. They can only stand in texts.
pub(crate) fn json_line(message: &Shown<'_>, out: &mut Vec<u8>) -> io::Result<()> {
    let text = as_json(message).to_string();
    if !text.contains(|char| matches!(char, '\u{7f}'..='\u{9f}')) {
        return writeln!(out, "{text}");
    }
    for char in text.chars() {
        match char {
            '\u{7f}'..='\u{9f}' => write!(out, "\\u{:04x}", u32::from(char))?,
            char => write!(out, "{char}")?,
        }
    }
    writeln!(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_format_is_text_and_directives() {
        let format = Format::parse(r"%t:%q 100%%\n\\%b").expect("a format");
        let text = |text: &str| Part::Text(text.to_owned());
        let parts = vec![Part::Topic, text(":"), Part::Queue, text(" 100%\n\\"), Part::Body];
        assert_eq!(format, Format(parts));
    }

    #[test]
    fn a_wrong_format_is_told_with_what_there_is() {
        for (wrong, told) in [("%x", "%x"), ("50%", "%%"), ("\\q", "\\q"), ("a\\", "backslash")] {
            let error = Format::parse(wrong).expect_err(wrong);
            assert!(error.contains(told), "{error}");
        }
    }

    #[test]
    fn a_message_cant_command_the_terminal() {
        assert_eq!(printable("a\tb\n\u{1b}[2Jü"), "a\tb\n\\u{1b}[2Jü");
    }
}
