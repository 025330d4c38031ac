//! Configurations of brokers and name servers, which go as lines of text and not as JSON.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

use alloc::{borrow::Cow, collections::BTreeMap, string::String, sync::Arc, vec::Vec};
use bytes::Bytes;
use core::fmt::Write as _;
use core::str::Chars;

/// How many settings a text may have; brokers have some three hundred.
const ENTRIES_MAX: usize = 8_192;

/// The settings of a broker or a name server: the body of `GET_BROKER_CONFIG`, `GET_NAMESRV_CONFIG` and of the
/// requests that change settings.
///
/// Answers and changes differ. An answer has lines `key=value` without any escape. A change is read by
/// `Properties#load`, as Latin-1 and with backslashes that mean something. Java: `MixAll#properties2String`,
/// `MixAll#string2Properties`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ConfigText {
    /// Values by name.
    pub entries: BTreeMap<Arc<str>, Arc<str>>,
}

/// Settings that can't be read or written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigTextError {
    /// The answer is no UTF-8.
    #[error("the settings are not UTF-8 from byte {at} on")]
    Utf8 {
        /// The first byte that isn't.
        at: usize,
    },
    /// There are more settings than any broker has.
    #[error("the text has more than {ENTRIES_MAX} settings")]
    TooMany,
    /// An escape `\u` without its four digits.
    #[error("the setting on line {line} has a broken \\u escape")]
    Escape {
        /// The line, from 1.
        line: usize,
    },
    /// A setting that lines without escapes can't carry.
    #[error("the setting {key:?} can't be written as one line `key=value`")]
    Line {
        /// The name of the setting.
        key: Arc<str>,
    },
}

impl ConfigText {
    /// Reads an answer. Of a repeated name the last counts; a line without `=` is a name without a value.
    ///
    /// # Errors
    /// [`ConfigTextError`] when it is no text or far too long.
    pub fn decode(body: &[u8]) -> Result<Self, ConfigTextError> {
        let text =
            core::str::from_utf8(body).map_err(|error| ConfigTextError::Utf8 { at: error.valid_up_to() })?;
        let mut config = Self::default();
        for line in text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line)) {
            if !line.is_empty() {
                let (key, value) = line.split_once('=').unwrap_or((line, ""));
                config.put(key.into(), value.into())?;
            }
        }
        Ok(config)
    }

    /// Writes an answer.
    ///
    /// # Errors
    /// [`ConfigTextError::Line`] for a setting that would be read back as another.
    pub fn encode(&self) -> Result<Bytes, ConfigTextError> {
        let mut text = String::new();
        for (key, value) in &self.entries {
            let breaks = |text: &str| text.contains(['\n', '\r']);
            if key.contains('=') || breaks(key) || breaks(value) || (key.is_empty() && value.is_empty()) {
                return Err(ConfigTextError::Line { key: key.clone() });
            }
            // Writing to a string can't fail.
            let _ = writeln!(text, "{key}={value}");
        }
        Ok(text.into_bytes().into())
    }

    /// Reads the body of a request that changes settings, as brokers do. Java: `Properties#load`.
    ///
    /// # Errors
    /// [`ConfigTextError`] when an escape is broken or the text far too long.
    pub fn decode_update(body: &[u8]) -> Result<Self, ConfigTextError> {
        let text: Cow<'_, str> = match core::str::from_utf8(body) {
            Ok(text) if text.is_ascii() => text.into(),
            _ => body.iter().copied().map(char::from).collect::<String>().into(),
        };
        let mut config = Self::default();
        let text = if text.contains("\r\n") { text.replace("\r\n", "\n").into() } else { text };
        let mut lines = text.split(['\n', '\r']).enumerate();
        while let Some((number, line)) = lines.next() {
            let line = line.trim_start_matches(BLANKS);
            if line.is_empty() || line.starts_with(['#', '!']) {
                continue;
            }
            let mut whole = Cow::Borrowed(line);
            while continues(&whole) {
                let mut owned = whole.into_owned();
                owned.pop();
                let Some((_, next)) = lines.next() else {
                    whole = owned.into();
                    break;
                };
                owned.push_str(next.trim_start_matches(BLANKS));
                whole = owned.into();
            }
            let broken = || ConfigTextError::Escape { line: number + 1 };
            let (key, value) = split_setting(&whole);
            config.put(unescaped(key).ok_or_else(broken)?, unescaped(value).ok_or_else(broken)?)?;
        }
        Ok(config)
    }

    /// Writes the body of a request that changes settings, so that a Java broker reads the same: with
    /// escapes, in ASCII.
    #[must_use]
    pub fn encode_update(&self) -> Bytes {
        let mut text = String::new();
        for (key, value) in &self.entries {
            escape(&mut text, key, true);
            text.push('=');
            escape(&mut text, value, false);
            text.push('\n');
        }
        text.into_bytes().into()
    }

    fn put(&mut self, key: String, value: String) -> Result<(), ConfigTextError> {
        self.entries.insert(key.into(), value.into());
        if self.entries.len() > ENTRIES_MAX { Err(ConfigTextError::TooMany) } else { Ok(()) }
    }
}

impl<K: Into<Arc<str>>, V: Into<Arc<str>>> FromIterator<(K, V)> for ConfigText {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(entries: T) -> Self {
        Self { entries: entries.into_iter().map(|(key, value)| (key.into(), value.into())).collect() }
    }
}

/// What `Properties#load` takes for white space within a line.
const BLANKS: [char; 3] = [' ', '\t', '\u{C}'];

/// Whether a line goes on in the next: it ends with an odd number of backslashes.
fn continues(line: &str) -> bool {
    line.bytes().rev().take_while(|&byte| byte == b'\\').count() % 2 == 1
}

/// Name and value, still escaped: the name ends at a blank, `=` or `:` without a backslash before it.
fn split_setting(line: &str) -> (&str, &str) {
    let mut escape = false;
    let end = line.find(|char: char| {
        let ends = !escape && (BLANKS.contains(&char) || char == '=' || char == ':');
        escape = char == '\\' && !escape;
        ends
    });
    let (key, rest) = line.split_at_checked(end.unwrap_or(line.len())).unwrap_or((line, ""));
    let rest = rest.trim_start_matches(BLANKS);
    let rest = rest.strip_prefix(['=', ':']).unwrap_or(rest);
    (key, rest.trim_start_matches(BLANKS))
}

/// The text of an escaped one; `None` for `\\u` without four hexadecimal digits.
fn unescaped(text: &str) -> Option<String> {
    // Java's characters are UTF-16 units: two escapes may be one of ours.
    let mut units = Vec::<u16>::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        let meant = match char {
            '\\' => match chars.next() {
                Some('u') => {
                    units.push(unit(&mut chars)?);
                    continue;
                }
                Some('t') => '\t',
                Some('n') => '\n',
                Some('r') => '\r',
                Some('f') => '\u{C}',
                Some(other) => other,
                None => break,
            },
            plain => plain,
        };
        units.extend_from_slice(meant.encode_utf16(&mut [0; 2]));
    }
    Some(String::from_utf16_lossy(&units))
}

/// The UTF-16 unit of four hexadecimal digits.
fn unit(chars: &mut Chars<'_>) -> Option<u16> {
    let mut unit = 0;
    for _ in 0..4 {
        unit = unit << 4 | u16::try_from(chars.next()?.to_digit(16)?).ok()?;
    }
    Some(unit)
}

/// Appends `text` with the escapes that `Properties#load` takes away. Java: `Properties#saveConvert`.
fn escape(out: &mut String, text: &str, key: bool) {
    for (at, char) in text.chars().enumerate() {
        match char {
            '\t' => out.push_str("\\t"),
            '\n' => out.push_str("\\n"),
            '\r' => out.push_str("\\r"),
            '\u{C}' => out.push_str("\\f"),
            '\\' => out.push_str("\\\\"),
            ' ' if key || at == 0 => out.push_str("\\ "),
            // A name must not end here, and a line must not begin as a comment.
            '=' | ':' | '#' | '!' if key || at == 0 => out.extend(['\\', char]),
            ' '..='~' => out.push(char),
            other => {
                for unit in other.encode_utf16(&mut [0; 2]) {
                    // Writing to a string can't fail.
                    let _ = write!(out, "\\u{unit:04X}");
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use alloc::{format, vec::Vec};
    use proptest::prelude::*;

    /// What `MixAll#string2Properties` of 5.4.0 makes of it, by running it.
    #[test]
    fn a_change_is_read_as_javas_properties_are() {
        let text = "# c\na=b=c\nd = e \npath=C:\\data\\x\nnoeq\nkey:colon\nk v w\numl=grüße\n !bang=1\nlong=a\\\n  b\nempty=\n";
        let read = ConfigText::decode_update(text.as_bytes()).unwrap();
        let expected = ConfigText::from_iter([
            ("a", "b=c"),
            ("d", "e "),
            ("empty", ""),
            ("k", "v w"),
            ("key", "colon"),
            ("long", "ab"),
            ("noeq", ""),
            ("path", "C:datax"),
            ("uml", "gr\u{c3}\u{bc}\u{c3}\u{9f}e"),
        ]);
        assert_eq!(read, expected);
    }

    #[test]
    fn an_answer_has_no_escapes() {
        let text = "brokerName=broker-a\nstorePath=C:\\data\nname=grüße = 1\nempty=\n";
        let read = ConfigText::decode(text.as_bytes()).unwrap();
        let value = |key: &str| read.entries.get(key).map(|value| &**value);
        assert_eq!(value("storePath"), Some("C:\\data"));
        assert_eq!((value("name"), value("empty"), value("other")), (Some("grüße = 1"), Some(""), None));
        let mut lines: Vec<_> = text.lines().collect();
        lines.sort_unstable();
        assert_eq!(read.encode().unwrap(), format!("{}\n", lines.join("\n")));
        assert_eq!(ConfigText::decode(b"a=\xff"), Err(ConfigTextError::Utf8 { at: 2 }));
        for key in ["a=b", "a\nb", ""] {
            let bad = ConfigText::from_iter([(key, "")]);
            assert_eq!(bad.encode(), Err(ConfigTextError::Line { key: key.into() }));
        }
    }

    #[test]
    fn what_can_not_be_read_is_named() {
        assert_eq!(ConfigText::decode_update(b"a=1\nb=\\u12G4"), Err(ConfigTextError::Escape { line: 2 }));
        let many: String = (0..=ENTRIES_MAX).map(|number| format!("k{number}=\n")).collect();
        assert_eq!(ConfigText::decode(many.as_bytes()), Err(ConfigTextError::TooMany));
        assert_eq!(ConfigText::decode_update(many.as_bytes()), Err(ConfigTextError::TooMany));
    }

    proptest! {
        #[test]
        fn changes_come_back(entries in proptest::collection::btree_map("\\PC{0,8}|[ =:#!\\\\\\n\\t]{1,5}", "\\PC{0,8}|[ =:#!\\\\\\r\\f]{0,5}", 0..6)) {
            let config = ConfigText::from_iter(entries);
            let text = config.encode_update();
            prop_assert!(text.is_ascii());
            prop_assert_eq!(ConfigText::decode_update(&text), Ok(config));
        }

        #[test]
        fn answers_come_back(entries in proptest::collection::btree_map("[a-zA-Zé.]{1,8}", "[^\r\n]{0,12}", 0..6)) {
            let config = ConfigText::from_iter(entries);
            prop_assert_eq!(ConfigText::decode(&config.encode().unwrap()), Ok(config));
        }

        #[test]
        fn any_bytes_are_harmless(bytes: Vec<u8>, text in "[a\\\\u0=: \n]{0,40}") {
            for bytes in [&bytes[..], text.as_bytes()] {
                let _ = ConfigText::decode(bytes);
                let _ = ConfigText::decode_update(bytes);
            }
        }
    }
}
