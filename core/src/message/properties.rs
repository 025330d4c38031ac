//! [`Properties`]: the named texts of a message, kept in the form in which they travel.

use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use bytes::{BufMut, BytesMut};
use memchr::{memchr, memchr2, memrchr};

use super::property;

/// Ends a property's name.
pub const NAME_END: u8 = 0x01;
/// Ends a property's value.
pub const VALUE_END: u8 = 0x02;
/// The longest encoded properties a message can have, in bytes.
pub const PROPERTIES_BYTES_MAX: usize = 32_767;

/// Why a name or a value can't be a property. The protocol has no escapes.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidProperty {
    /// A property needs a name.
    #[error("a property has an empty name; give it one or leave the property out")]
    EmptyName,
    /// A property needs a value: readers drop a property without one.
    #[error("property {name:?} has an empty value; readers would drop it, so leave it out")]
    EmptyValue {
        /// The property's name.
        name: String,
    },
    /// The name contains one of the two separators.
    #[error("property name {name:?} contains the separator U+{separator:04X} at byte {at}")]
    SeparatorInName {
        /// The property's name.
        name: String,
        /// 1 or 2.
        separator: u8,
        /// Where, in bytes.
        at: usize,
    },
    /// The value contains the separator that ends values.
    #[error("the value of property {name:?} contains the separator U+0002 at byte {at}; encode the value")]
    SeparatorInValue {
        /// The property's name.
        name: String,
        /// Where, in bytes.
        at: usize,
    },
}

/// The properties of a message, in the order in which they were first set; a name occurs once.
///
/// Kept as the text that goes to the broker, so encoding is a copy and a look-up is a scan.
/// Every name and value is legal at all times: see [`Properties::set`].
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct Properties {
    text: String,
}

impl Properties {
    /// No properties.
    #[must_use]
    pub const fn new() -> Self {
        Self { text: String::new() }
    }

    /// Reads the text of a stored message, as Java does: a piece without a name or a value is left
    /// out, a repeated name keeps its last value, the last separator may be missing.
    /// Java: `MessageDecoder#string2messageProperties`.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut place: BTreeMap<&str, usize> = BTreeMap::new();
        let mut pairs: Vec<(&str, &str)> = Vec::new();
        for (name, value) in pieces(text) {
            match place.get(name).and_then(|at| pairs.get_mut(*at)) {
                Some(pair) => pair.1 = value,
                None => {
                    place.insert(name, pairs.len());
                    pairs.push((name, value));
                }
            }
        }
        let mut properties = Self { text: String::with_capacity(text.len() + 1) };
        for (name, value) in pairs {
            properties.append(name, value);
        }
        properties
    }

    /// The value of `name`, if it is set.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        find(&self.text, name)
    }

    /// Whether `name` is set.
    #[must_use]
    pub fn contains(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// Sets `name` to `value`, in place of an earlier value.
    ///
    /// # Errors
    /// Refused are an empty name or value, a name that contains U+0001 or U+0002, and a value that
    /// contains U+0002, since all of these would be lost or misread. Nothing has changed then.
    pub fn set(&mut self, name: &str, value: &str) -> Result<(), InvalidProperty> {
        check_property(name, value)?;
        match self.locate(name) {
            Some(piece) => {
                let value_at = piece.start + name.len() + 1;
                self.text.replace_range(value_at..piece.end - 1, value);
            }
            None => self.append(name, value),
        }
        Ok(())
    }

    /// Removes `name` and tells whether it was set.
    pub fn remove(&mut self, name: &str) -> bool {
        match self.locate(name) {
            Some(piece) => {
                self.text.replace_range(piece, "");
                true
            }
            None => false,
        }
    }

    /// All names and values, in order.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        pieces(&self.text)
    }

    /// How many properties are set.
    #[must_use]
    pub fn len(&self) -> usize {
        self.text.bytes().filter(|byte| *byte == VALUE_END).count()
    }

    /// Whether nothing is set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.text.is_empty()
    }

    /// The text that travels: `name U+0001 value U+0002`, repeated.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// As [`Properties::as_str`], without a copy.
    #[must_use]
    pub fn into_string(self) -> String {
        self.text
    }

    /// The length of [`Properties::as_str`] in bytes; at most [`PROPERTIES_BYTES_MAX`] can be sent.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        self.text.len()
    }

    /// Writes the text, without a length.
    pub fn encode_into(&self, out: &mut BytesMut) {
        out.put_slice(self.text.as_bytes());
    }

    /// The tag, if there is one.
    #[must_use]
    pub fn tags(&self) -> Option<&str> {
        self.get(property::TAGS)
    }

    /// The index keys, one by one.
    pub fn keys(&self) -> impl Iterator<Item = &str> {
        split_keys(self.get(property::KEYS))
    }

    /// The client's id of the message, once it has one.
    #[must_use]
    pub fn uniq_key(&self) -> Option<&str> {
        self.get(property::UNIQ_KEY)
    }

    /// The delay level; 0 without one. Java: `Message#getDelayTimeLevel`.
    #[must_use]
    pub fn delay_level(&self) -> i32 {
        self.get(property::DELAY).and_then(|text| text.parse().ok()).unwrap_or(0)
    }

    /// Whether the send is answered only when the message is flushed and replicated, as the broker
    /// is set up; the default. Java: `Message#isWaitStoreMsgOK`.
    #[must_use]
    pub fn wait_store_ok(&self) -> bool {
        self.get(property::WAIT).is_none_or(|text| text.eq_ignore_ascii_case("true"))
    }

    fn append(&mut self, name: &str, value: &str) {
        self.text.reserve(name.len() + value.len() + 2);
        self.text.push_str(name);
        self.text.push(char::from(NAME_END));
        self.text.push_str(value);
        self.text.push(char::from(VALUE_END));
    }

    /// Where `name`'s piece lies, its closing separator included.
    fn locate(&self, name: &str) -> Option<core::ops::Range<usize>> {
        if !is_name(name.as_bytes()) {
            return None;
        }
        let mut at = 0;
        for piece in self.text.split_inclusive(char::from(VALUE_END)) {
            let end = at + piece.len();
            if value_of(piece.as_bytes(), name.as_bytes()).is_some() {
                return Some(at..end);
            }
            at = end;
        }
        None
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

impl<'a> IntoIterator for &'a Properties {
    type Item = (&'a str, &'a str);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

/// The names and values of a properties text; see [`Properties::iter`].
#[derive(Clone, Debug)]
pub struct Iter<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Iter<'a> {
    type Item = (&'a str, &'a str);

    fn next(&mut self) -> Option<(&'a str, &'a str)> {
        while !self.rest.is_empty() {
            let (piece, rest) = self.rest.split_once(char::from(VALUE_END)).unwrap_or((self.rest, ""));
            self.rest = rest;
            match piece.split_once(char::from(NAME_END)) {
                Some((name, value)) if !name.is_empty() && !value.is_empty() => return Some((name, value)),
                _ => {}
            }
        }
        None
    }
}

/// Whether `name` and `value` can be a property.
///
/// # Errors
/// As [`Properties::set`].
pub fn check_property(name: &str, value: &str) -> Result<(), InvalidProperty> {
    if name.is_empty() {
        return Err(InvalidProperty::EmptyName);
    }
    if let Some(at) = memchr2(NAME_END, VALUE_END, name.as_bytes()) {
        let separator = if name.as_bytes().get(at) == Some(&NAME_END) { NAME_END } else { VALUE_END };
        return Err(InvalidProperty::SeparatorInName { name: name.into(), separator, at });
    }
    if value.is_empty() {
        return Err(InvalidProperty::EmptyValue { name: name.into() });
    }
    match memchr(VALUE_END, value.as_bytes()) {
        Some(at) => Err(InvalidProperty::SeparatorInValue { name: name.into(), at }),
        None => Ok(()),
    }
}

/// The pieces of a properties text that have a name and a value; repeated names repeat.
#[must_use]
pub fn pieces(text: &str) -> Iter<'_> {
    Iter { rest: text }
}

/// The value of `name` in a properties text, by the rules of [`Properties::parse`] but without
/// building anything.
#[must_use]
pub fn find<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.get(find_range(text.as_bytes(), name.as_bytes())?)
}

/// As [`find`], but on bytes that need not be UTF-8, and as a range.
pub(super) fn find_range(text: &[u8], name: &[u8]) -> Option<core::ops::Range<usize>> {
    if !is_name(name) {
        return None;
    }
    // Backwards, because the last of several equal names is the one that counts.
    let mut rest = text;
    loop {
        let (piece_at, piece) = match memrchr(VALUE_END, rest) {
            Some(at) => (at + 1, rest.get(at + 1..)?),
            None => (0, rest),
        };
        if let Some(value) = value_of(piece, name) {
            let start = piece_at + name.len() + 1;
            return Some(start..start + value.len());
        }
        rest = rest.get(..piece_at.checked_sub(1)?)?;
    }
}

/// The keys in the value of `KEYS`.
pub fn split_keys(keys: Option<&str>) -> impl Iterator<Item = &str> {
    keys.unwrap_or_default().split(property::KEY_SEPARATOR).filter(|key| !key.is_empty())
}

/// Whether a property can have this name.
fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && memchr2(NAME_END, VALUE_END, name).is_none()
}

/// The value of `piece` if it is `name`'s and not empty; the closing separator may follow it.
fn value_of<'a>(piece: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let value = piece.strip_prefix(name)?.strip_prefix(&[NAME_END])?;
    let value = value.strip_suffix(&[VALUE_END]).unwrap_or(value);
    (!value.is_empty()).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use proptest::prelude::*;

    #[test]
    fn set_replaces_in_place_and_remove_leaves_the_others() {
        let mut properties = Properties::new();
        for (name, value) in [("a", "1"), ("ab", "2"), ("b", "3"), ("ab", "22")] {
            properties.set(name, value).unwrap();
        }
        assert_eq!(properties.as_str(), "a\u{1}1\u{2}ab\u{1}22\u{2}b\u{1}3\u{2}");
        assert!(properties.remove("a"));
        assert!(!properties.remove("a"));
        assert!(!properties.remove(""));
        assert_eq!(properties.iter().collect::<Vec<_>>(), [("ab", "22"), ("b", "3")]);
        assert_eq!(properties.len(), 2);
    }

    #[test]
    fn what_readers_would_lose_or_misread_is_refused() {
        let mut properties = Properties::new();
        for (name, value, says) in [
            ("", "v", "empty name"),
            ("n", "", "\"n\" has an empty value"),
            ("n\u{1}", "v", "U+0001 at byte 1"),
            ("\u{2}n", "v", "U+0002 at byte 0"),
            ("n", "v\u{2}w", "U+0002 at byte 1"),
        ] {
            let error = properties.set(name, value).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(properties.is_empty());
        properties.set("n", "v\u{1}w").unwrap();
        assert_eq!(properties.get("n"), Some("v\u{1}w"));
    }

    #[test]
    fn typed_getters_follow_java_for_absent_and_odd_values() {
        let mut properties = Properties::new();
        assert!(properties.wait_store_ok());
        assert_eq!(properties.delay_level(), 0);
        properties.set("WAIT", "TRUE").unwrap();
        assert!(properties.wait_store_ok());
        properties.set("WAIT", "no").unwrap();
        assert!(!properties.wait_store_ok());
        properties.set("DELAY", "18").unwrap();
        properties.set("KEYS", " a  b ").unwrap();
        assert_eq!(properties.delay_level(), 18);
        assert_eq!(properties.keys().collect::<Vec<_>>(), ["a", "b"]);
    }

    proptest! {
        #[test]
        fn find_agrees_with_parse_on_any_text(
            text in "([ab\u{1}\u{2}é]{0,3}){0,12}", name in "[abé\u{1}\u{2}]{0,2}",
        ) {
            let parsed = Properties::parse(&text);
            prop_assert_eq!(find(&text, &name), parsed.get(&name));
            let last = pieces(&text).filter(|(n, _)| *n == name).last().map(|(_, v)| v);
            prop_assert_eq!(parsed.get(&name), last);
        }

        #[test]
        fn parse_of_the_text_gives_the_properties_back(
            pairs in proptest::collection::vec(("[a-d]{1,2}", "[^\u{2}]{1,5}"), 0..8),
        ) {
            let mut properties = Properties::new();
            for (name, value) in &pairs {
                properties.set(name, value).unwrap();
            }
            prop_assert_eq!(&Properties::parse(properties.as_str()), &properties);
            prop_assert_eq!(properties.iter().count(), properties.len());
        }
    }
}
