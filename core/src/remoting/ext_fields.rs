//! The ext fields of a command, kept as the bytes that arrived.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

use super::{
    SerializeType,
    json::{self, JsonError, RawText, Scan},
};
use alloc::borrow::Cow;
use bytes::{Bytes, BytesMut};
use core::{fmt, ops::Range};

/// The ext fields (`extFields`) of a command: a slice of the frame, read when asked.
///
/// Of a repeated key the last counts. Numbers and booleans read as their text; a null, a nested value and, in
/// the binary form, an empty value read as absent, as Java reads them.
#[derive(Clone, Default)]
pub struct ExtFields {
    /// The object with its braces, or the binary section; both were checked when the frame was cut.
    raw: Bytes,
    form: SerializeType,
    index: FieldIndex,
}

/// Where the fields lie in the ext fields' bytes, found when the frame was cut. None of them has escapes.
/// Empty when nobody looked, when they are many or long or lie far from the start: then they are scanned.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct FieldIndex {
    fields: [IndexedField; INDEXED_MAX],
    len: u8,
    /// How far a value lies behind the end of its key: the same in all fields of a form.
    gap: u8,
}

/// The key's first byte, and the lengths of key and value. Small, since every frame carries eight of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct IndexedField {
    key_at: u16,
    key_len: u8,
    value_len: u8,
}

/// What brokers answer to a send or a pull has fewer fields.
const INDEXED_MAX: usize = 8;

impl FieldIndex {
    pub(super) const EMPTY: Self =
        Self { fields: [IndexedField { key_at: 0, key_len: 0, value_len: 0 }; INDEXED_MAX], len: 0, gap: 0 };

    #[cfg(test)]
    pub(super) const fn len(&self) -> u8 {
        self.len
    }

    /// Notes a field; false when it has no room.
    #[inline]
    pub(super) fn push(&mut self, key: Range<usize>, value: Range<usize>) -> bool {
        let small = |len: usize| u8::try_from(len).ok();
        let gap = value.start.checked_sub(key.end).and_then(small);
        let (Some(field), Some(gap), Ok(key_at), Some(key_len), Some(value_len)) = (
            self.fields.get_mut(usize::from(self.len)),
            gap.filter(|gap| self.len == 0 || *gap == self.gap),
            u16::try_from(key.start),
            small(key.len()),
            small(value.len()),
        ) else {
            return false;
        };
        *field = IndexedField { key_at, key_len, value_len };
        self.len += 1;
        self.gap = gap;
        true
    }

    /// Key and value of every field of `raw`.
    #[inline]
    fn each<'a>(&self, raw: &'a [u8], mut take: impl FnMut(&'a [u8], &'a [u8])) {
        for field in self.fields.iter().take(usize::from(self.len)) {
            let part = |at: usize, len: u8| raw.get(at..at + usize::from(len)).unwrap_or_default();
            let key_at = usize::from(field.key_at);
            let value_at = key_at + usize::from(field.key_len) + usize::from(self.gap);
            take(part(key_at, field.key_len), part(value_at, field.value_len));
        }
    }
}

/// Ext fields whose values [`ExtFields`]' `Debug` leaves out.
const SECRET_KEYS: [&str; 3] = ["AccessKey", "SecurityToken", "Signature"];

impl ExtFields {
    /// No fields.
    #[must_use]
    pub const fn new() -> Self {
        Self::from_raw(Bytes::new(), SerializeType::Json)
    }

    pub(super) const fn from_raw(raw: Bytes, form: SerializeType) -> Self {
        Self { raw, form, index: FieldIndex::EMPTY }
    }

    pub(super) const fn from_indexed(raw: Bytes, form: SerializeType, index: FieldIndex) -> Self {
        Self { raw, form, index }
    }

    /// The value of `key`, borrowed from the frame unless it holds escapes.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<Cow<'_, str>> {
        self.iter().filter(|(name, _)| name == key).last().map(|(_, value)| value)
    }

    /// All fields in the order they were written, repeated keys included.
    #[must_use]
    pub fn iter(&self) -> ExtFieldsIter<'_> {
        ExtFieldsIter(self.form())
    }

    /// Hands all fields to `take`, key and value as they arrived; a key with escapes comes without them.
    #[inline]
    pub(super) fn for_each_raw<'a>(&'a self, mut take: impl FnMut(&[u8], RawText<'a>)) {
        if self.index.len > 0 {
            self.index.each(&self.raw, |key, value| take(key, RawText::plain(value)));
            return;
        }
        let mut form = self.form();
        while let Some((key, value)) = form.next() {
            if key.escaped {
                take(key.text().as_bytes(), value);
            } else {
                take(key.raw, value);
            }
        }
    }

    /// Whether [`for_each_raw`](Self::for_each_raw) gives what [`iter`](Self::iter) gives; for tests and fuzzing.
    pub(super) fn index_agrees(&self) -> bool {
        let mut all = self.iter();
        let mut agrees = true;
        self.for_each_raw(|key, value| {
            agrees &= all.next().is_some_and(|(name, text)| name.as_bytes() == key && text == value.text());
        });
        agrees && all.next().is_none()
    }

    fn form(&self) -> Form<'_> {
        match self.form {
            SerializeType::Json => {
                let mut scan = Scan::new(&self.raw);
                if scan.take(b'{') { Form::Json(scan) } else { Form::Binary(&[]) }
            }
            SerializeType::Rocketmq => Form::Binary(&self.raw),
        }
    }

    /// True when there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }
}

impl<K: AsRef<str>, V: AsRef<str>> FromIterator<(K, V)> for ExtFields {
    fn from_iter<T: IntoIterator<Item = (K, V)>>(fields: T) -> Self {
        let mut raw = BytesMut::new();
        for (key, value) in fields {
            raw.extend_from_slice(if raw.is_empty() { b"{\"" } else { b",\"" });
            json::escape(&mut raw, key.as_ref());
            raw.extend_from_slice(b"\":\"");
            json::escape(&mut raw, value.as_ref());
            raw.extend_from_slice(b"\"");
        }
        if !raw.is_empty() {
            raw.extend_from_slice(b"}");
        }
        Self::from_raw(raw.freeze(), SerializeType::Json)
    }
}

impl<'a> IntoIterator for &'a ExtFields {
    type Item = (Cow<'a, str>, Cow<'a, str>);
    type IntoIter = ExtFieldsIter<'a>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl fmt::Debug for ExtFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = self.iter().map(|(key, value)| {
            let hidden = SECRET_KEYS.contains(&&*key);
            (key, if hidden { Cow::Borrowed("<hidden>") } else { value })
        });
        f.debug_map().entries(shown).finish()
    }
}

/// The fields of [`ExtFields::iter`].
#[derive(Clone)]
pub struct ExtFieldsIter<'a>(Form<'a>);

#[derive(Clone)]
enum Form<'a> {
    Json(Scan<'a>),
    Binary(&'a [u8]),
}

impl fmt::Debug for ExtFieldsIter<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ExtFieldsIter")
    }
}

impl<'a> Iterator for ExtFieldsIter<'a> {
    type Item = (Cow<'a, str>, Cow<'a, str>);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        self.0.next().map(|(key, value)| (key.text(), value.text()))
    }
}

impl<'a> Form<'a> {
    fn next(&mut self) -> Option<(RawText<'a>, RawText<'a>)> {
        match self {
            Form::Json(scan) => loop {
                let (key, value) = json_field(scan).ok()??;
                if let Some(value) = value {
                    return Some((key, value));
                }
            },
            Form::Binary(rest) => loop {
                let (key, value) = binary_field(rest)?;
                if !value.is_empty() {
                    return Some((RawText::plain(key), RawText::plain(value)));
                }
            },
        }
    }
}

/// A key, and a value unless it has no text.
type JsonField<'a> = (RawText<'a>, Option<RawText<'a>>);

/// The next field of an object whose `{` is taken; `None` behind its `}`. The value is `None` when it has no text.
#[inline]
pub(super) fn json_field<'a>(scan: &mut Scan<'a>) -> Result<Option<JsonField<'a>>, JsonError> {
    if scan.take(b'}') {
        return Ok(None);
    }
    let key = scan.string()?;
    scan.expect(b':', "a colon")?;
    let value = match scan.peek() {
        Some(b'"') => Some(scan.string()?),
        Some(b'{' | b'[') => {
            scan.skip_value()?;
            None
        }
        _ => Some(scan.word()?).filter(|word| word.raw != b"null"),
    };
    if !scan.take(b',') && scan.peek() != Some(b'}') {
        return Err(scan.unexpected("a comma or the end of an object"));
    }
    Ok(Some((key, value)))
}

/// The next key and value of a binary section; `None` at its end and where it is broken.
#[inline]
pub(super) fn binary_field<'a>(rest: &mut &'a [u8]) -> Option<(&'a [u8], &'a [u8])> {
    let (key_len, after) = rest.split_first_chunk()?;
    let (key, after) = after.split_at_checked(usize::try_from(i16::from_be_bytes(*key_len)).ok()?)?;
    let (value_len, after) = after.split_first_chunk()?;
    let (value, after) = after.split_at_checked(usize::try_from(i32::from_be_bytes(*value_len)).ok()?)?;
    *rest = after;
    Some((key, value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::{format, vec, vec::Vec};

    fn json(text: &'static str) -> ExtFields {
        ExtFields::from_raw(Bytes::from_static(text.as_bytes()), SerializeType::Json)
    }

    #[test]
    fn the_last_of_a_repeated_key_wins() {
        assert_eq!(json(r#"{"a":"1","b":"2","a":"3"}"#).get("a").as_deref(), Some("3"));
        let binary = b"\0\x01a\0\0\0\x011\0\x01a\0\0\0\x012";
        let fields = ExtFields::from_raw(Bytes::from_static(binary), SerializeType::Rocketmq);
        assert_eq!(fields.get("a").as_deref(), Some("2"));
    }

    #[test]
    fn values_without_quotes_read_as_text_and_null_as_absent() {
        let fields = json(r#"{"n":-7,"t":true,"z":null,"o":{"x":[1]},"e":""}"#);
        let all: Vec<_> = fields.iter().collect();
        let all: Vec<_> = all.iter().map(|(key, value)| (&**key, &**value)).collect();
        assert_eq!(all, vec![("n", "-7"), ("t", "true"), ("e", "")]);
    }

    #[test]
    fn plain_values_are_borrowed_from_the_frame() {
        let fields = json(r#"{"a":"plain","b":"a\u0001b"}"#);
        assert!(matches!(fields.get("a"), Some(Cow::Borrowed("plain"))));
        assert_eq!(fields.get("b").as_deref(), Some("a\u{1}b"));
    }

    #[test]
    fn collected_fields_read_back() {
        let fields: ExtFields = [("ns", "a\"b"), ("empty", "")].into_iter().collect();
        assert_eq!(fields.get("ns").as_deref(), Some("a\"b"));
        assert_eq!(fields.get("empty").as_deref(), Some(""));
        assert!(ExtFields::from_iter::<[(&str, &str); 0]>([]).is_empty());
    }

    #[test]
    fn secrets_are_not_in_debug() {
        let fields: ExtFields =
            [("AccessKey", "k3y"), ("Signature", "s1g"), ("SecurityToken", "t0k"), ("a", "b")]
                .into_iter()
                .collect();
        let shown = format!("{fields:?}");
        assert!(shown.contains("\"a\": \"b\""), "{shown}");
        assert!(!["k3y", "s1g", "t0k"].iter().any(|secret| shown.contains(secret)), "{shown}");
    }
}
