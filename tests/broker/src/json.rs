//! JSON bodies: a writer that gives Java's bytes, and a lenient reader of what clients send.
//!
//! Java writes keys in alphabetical order; callers add them so. Maps with number or queue keys are
//! written with bare keys, as Java does and needs.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

use std::fmt::Write as _;

/// Containers in containers; deeper text is refused.
const DEPTH_MAX: usize = 32;

/// An object under construction.
#[derive(Debug)]
pub(crate) struct Object(String);

/// An object whose next value is awaited.
#[derive(Debug)]
pub(crate) struct Slot<'o>(&'o mut String);

impl Object {
    pub(crate) fn new() -> Self {
        Self("{".to_owned())
    }

    pub(crate) fn key(&mut self, key: &str) -> Slot<'_> {
        self.comma();
        string(&mut self.0, key);
        self.0.push(':');
        Slot(&mut self.0)
    }

    /// A key of a map by number: `{0:…}`, bare as Java writes it.
    pub(crate) fn key_number(&mut self, key: i64) -> Slot<'_> {
        self.comma();
        let _ = write!(self.0, "{key}:");
        Slot(&mut self.0)
    }

    /// A key of a map by queue: `{{"brokerName":…}:…}`, an object as Java writes and reads it.
    pub(crate) fn key_queue(&mut self, broker_name: &str, queue_id: i32, topic: &str) -> Slot<'_> {
        self.comma();
        let mut key = Self::new();
        key.key("brokerName").string(broker_name);
        key.key("queueId").number(i64::from(queue_id));
        key.key("topic").string(topic);
        self.0.push_str(&key.end());
        self.0.push(':');
        Slot(&mut self.0)
    }

    pub(crate) fn end(mut self) -> String {
        self.0.push('}');
        self.0
    }

    fn comma(&mut self) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
    }
}

impl Slot<'_> {
    pub(crate) fn string(self, value: &str) {
        string(self.0, value);
    }

    pub(crate) fn number(self, value: i64) {
        let _ = write!(self.0, "{value}");
    }

    pub(crate) fn bool(self, value: bool) {
        self.0.push_str(if value { "true" } else { "false" });
    }

    /// A value that is JSON already.
    pub(crate) fn raw(self, value: &str) {
        self.0.push_str(value);
    }

    pub(crate) fn array(self, values: impl IntoIterator<Item = String>) {
        self.0.push('[');
        for (index, value) in values.into_iter().enumerate() {
            if index > 0 {
                self.0.push(',');
            }
            self.0.push_str(&value);
        }
        self.0.push(']');
    }

    pub(crate) fn strings<'s>(self, values: impl IntoIterator<Item = &'s str>) {
        self.array(values.into_iter().map(|value| {
            let mut out = String::new();
            string(&mut out, value);
            out
        }));
    }
}

fn string(out: &mut String, value: &str) {
    out.push('"');
    for letter in value.chars() {
        match letter {
            '"' => out.push_str("\\\""),
            '\\' => out.push_str("\\\\"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\t' => out.push_str("\\t"),
            control if control < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(control));
            }
            other => out.push(other),
        }
    }
    out.push('"');
}

/// A value that was read. Numbers stay text: they may stand in quotes and may exceed 53 bits.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Value {
    #[default]
    Null,
    Bool(bool),
    Number(String),
    String(String),
    Array(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl Value {
    /// Reads one value; `None` when the text isn't JSON even with fastjson's liberties: single
    /// quotes, bare keys, trailing commas.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut reader = Reader { rest: text };
        let value = reader.value()?;
        reader.blank();
        reader.rest.is_empty().then_some(value)
    }

    /// A member of an object; null when it is absent or this is no object.
    pub(crate) fn get(&self, key: &str) -> &Self {
        const NULL: &Value = &Value::Null;
        let Self::Object(members) = self else { return NULL };
        members.iter().rev().find(|(name, _)| name == key).map_or(NULL, |(_, value)| value)
    }

    pub(crate) fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) | Self::Number(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match self {
            Self::Bool(value) => Some(*value),
            Self::String(text) => Some(text.eq_ignore_ascii_case("true")),
            _ => None,
        }
    }

    pub(crate) fn as_i64(&self) -> Option<i64> {
        self.as_str()?.parse().ok()
    }

    pub(crate) fn as_i32(&self) -> Option<i32> {
        self.as_str()?.parse().ok()
    }

    pub(crate) fn items(&self) -> &[Self] {
        match self {
            Self::Array(items) => items,
            _ => &[],
        }
    }

    pub(crate) fn members(&self) -> &[(String, Self)] {
        match self {
            Self::Object(members) => members,
            _ => &[],
        }
    }
}

/// A container that isn't closed yet.
enum Open {
    Array(Vec<Value>),
    Object(Vec<(String, Value)>, String),
}

struct Reader<'t> {
    rest: &'t str,
}

impl Reader<'_> {
    /// One value, with open containers on a stack of its own instead of the thread's.
    fn value(&mut self) -> Option<Value> {
        let mut stack: Vec<Open> = Vec::new();
        loop {
            let mut done = match self.open_or_scalar(&mut stack)? {
                Some(scalar) => scalar,
                None => continue,
            };
            // Puts finished values into their containers until one of those goes on.
            loop {
                match stack.pop() {
                    None => return Some(done),
                    Some(Open::Array(mut items)) => {
                        items.push(done);
                        if self.take(',') && !self.peek(']') {
                            stack.push(Open::Array(items));
                            break;
                        }
                        self.take(']').then_some(())?;
                        done = Value::Array(items);
                    }
                    Some(Open::Object(mut members, key)) => {
                        members.push((key, done));
                        if self.take(',') && !self.peek('}') {
                            let key = self.key()?;
                            stack.push(Open::Object(members, key));
                            break;
                        }
                        self.take('}').then_some(())?;
                        done = Value::Object(members);
                    }
                }
            }
        }
    }

    /// Opens a container, or gives a scalar or an empty container.
    #[expect(clippy::option_option, reason = "the outer one is the failure")]
    fn open_or_scalar(&mut self, stack: &mut Vec<Open>) -> Option<Option<Value>> {
        if stack.len() >= DEPTH_MAX {
            return None;
        }
        if self.take('[') {
            if self.take(']') {
                return Some(Some(Value::Array(Vec::new())));
            }
            stack.push(Open::Array(Vec::new()));
            return Some(None);
        }
        if self.take('{') {
            if self.take('}') {
                return Some(Some(Value::Object(Vec::new())));
            }
            let key = self.key()?;
            stack.push(Open::Object(Vec::new(), key));
            return Some(None);
        }
        if self.peek('"') || self.peek('\'') {
            return self.quoted().map(|text| Some(Value::String(text)));
        }
        let value = match self.word()? {
            "null" => Value::Null,
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            number if number.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => {
                Value::Number(number.to_owned())
            }
            _ => return None,
        };
        Some(Some(value))
    }

    fn key(&mut self) -> Option<String> {
        let key = match self.peek('"') || self.peek('\'') {
            true => self.quoted()?,
            false => self.word()?.to_owned(),
        };
        self.take(':').then_some(key)
    }

    fn word(&mut self) -> Option<&str> {
        self.blank();
        let is_word = |letter: char| letter.is_ascii_alphanumeric() || "-+._$%".contains(letter);
        let end = self.rest.find(|letter| !is_word(letter)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        (!word.is_empty()).then_some(word)
    }

    fn quoted(&mut self) -> Option<String> {
        let mut letters = self.rest.chars();
        let quote = letters.next()?;
        let mut out = String::new();
        loop {
            match letters.next()? {
                letter if letter == quote => break,
                '\\' => out.push(unescape(&mut letters)?),
                letter => out.push(letter),
            }
        }
        self.rest = letters.as_str();
        Some(out)
    }

    fn blank(&mut self) {
        self.rest = self.rest.trim_start();
    }

    fn peek(&mut self, letter: char) -> bool {
        self.blank();
        self.rest.starts_with(letter)
    }

    fn take(&mut self, letter: char) -> bool {
        self.blank();
        match self.rest.strip_prefix(letter) {
            Some(rest) => {
                self.rest = rest;
                true
            }
            None => false,
        }
    }
}

fn unescape(letters: &mut std::str::Chars<'_>) -> Option<char> {
    Some(match letters.next()? {
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'b' => '\u{8}',
        'f' => '\u{c}',
        'u' => {
            let first = unit(letters)?;
            let pair = match first {
                0xD800..=0xDBFF if letters.as_str().starts_with("\\u") => {
                    letters.by_ref().take(2).for_each(drop);
                    [first, unit(letters)?].to_vec()
                }
                _ => vec![first],
            };
            char::decode_utf16(pair).next()?.unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        other => other,
    })
}

fn unit(letters: &mut std::str::Chars<'_>) -> Option<u16> {
    let mut unit = 0;
    for _ in 0..4 {
        unit = unit * 16 + u16::try_from(letters.next()?.to_digit(16)?).ok()?;
    }
    Some(unit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_by_number_and_by_queue_have_javas_bare_keys() {
        let mut inner = Object::new();
        inner.key_number(0).string("127.0.0.1:10911");
        inner.key_queue("broker-a", 3, "T").number(42);
        let mut outer = Object::new();
        outer.key("a\"b").raw(&inner.end());
        outer.key("list").strings(["x", "\u{1}"]);
        let expected = r#"{"a\"b":{0:"127.0.0.1:10911",{"brokerName":"broker-a","queueId":3,"topic":"T"}:42},"list":["x","\u0001"]}"#;
        assert_eq!(outer.end(), expected);
    }

    #[test]
    fn fastjsons_liberties_are_read() {
        let text = r#" {'a':[1,"2",true,null,{}],b:{0:"x","é\u00e9\ud83d\ude00":-5},} "#;
        let value = Value::parse(text.as_bytes()).unwrap();
        assert_eq!(
            value.get("a").items().iter().map(Value::as_i64).collect::<Vec<_>>(),
            [Some(1), Some(2), None, None, None]
        );
        assert_eq!(value.get("b").get("0").as_str(), Some("x"));
        assert_eq!(value.get("b").get("éé😀").as_i32(), Some(-5));
        assert_eq!(value.get("absent").get("deeper"), &Value::Null);
    }

    #[test]
    fn nonsense_is_refused_without_recursion() {
        for text in ["", "{", "[1", "{\"a\"}", "{\"a\":}", "\"\\u12", "[1]x", "nul", "{a:1,,}"] {
            assert_eq!(Value::parse(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Value::parse("[".repeat(100_000).as_bytes()), None);
        assert_eq!(Value::parse(&[0xFF]), None);
    }
}
