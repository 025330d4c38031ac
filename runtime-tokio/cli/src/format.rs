//! How `consume --format` and `consume --json` show a message.

use std::io::{self, Write};

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use rocketmq_client_tokio::ReceivedMessage;
use serde_json::{Value, json};

/// What stands for something that a message doesn't have.
const ABSENT: &str = "-";

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
    pub(crate) fn write(&self, message: &ReceivedMessage, plain: bool, out: &mut Vec<u8>) -> io::Result<()> {
        for part in &self.0 {
            match part {
                Part::Text(text) => out.extend_from_slice(text.as_bytes()),
                Part::Topic => write!(out, "{}", message.topic().escape_debug())?,
                Part::Broker => write!(out, "{}", message.queue().broker_name.escape_debug())?,
                Part::Queue => write!(out, "{}", message.queue().queue_id)?,
                Part::Offset => write!(out, "{}", message.queue_offset())?,
                Part::Id => text(&message.message_id(), plain, out)?,
                Part::Tags => text(message.tags().unwrap_or_default(), plain, out)?,
                Part::Keys => text(&keys(message).join(" "), plain, out)?,
                Part::Reconsumed => write!(out, "{}", message.reconsume_times())?,
                Part::Stored => match message.store_timestamp() {
                    Some(stored) => write!(out, "{}", stored.as_millis())?,
                    None => out.extend_from_slice(ABSENT.as_bytes()),
                },
                Part::Body => match message.body() {
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
        Some('r') => Part::Reconsumed,
        Some('s') => Part::Stored,
        Some('b') => Part::Body,
        Some('%') => Part::Text("%".to_owned()),
        Some(other) => return Err(format!("%{other} is not known: use %t %B %q %o %i %T %k %r %s %b or %%")),
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

fn keys(message: &ReceivedMessage) -> Vec<&str> {
    message.keys().collect()
}

/// The message as a JSON object. A body that is no text is in `body_base64`.
pub(crate) fn as_json(message: &ReceivedMessage) -> Value {
    let mut object = json!({
        "topic": &**message.topic(),
        "broker": &*message.queue().broker_name,
        "queue": message.queue().queue_id,
        "offset": message.queue_offset(),
        "id": message.message_id(),
        "tags": message.tags(),
        "keys": keys(message),
        "reconsume_times": message.reconsume_times(),
        "born_at_ms": message.born_timestamp().map(|time| time.as_millis()),
        "stored_at_ms": message.store_timestamp().map(|time| time.as_millis()),
    });
    match message.body() {
        Ok(body) => match std::str::from_utf8(body) {
            Ok(text) => object["body"] = text.into(),
            Err(_) => object["body_base64"] = BASE64.encode(body).into(),
        },
        Err(error) => object["error"] = error.to_string().into(),
    }
    object
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
