//! Writes JSON as Java does: keys in the order they are given, nulls left out, map keys as they are.

use super::escape;
use bytes::BytesMut;

/// A value that can be written.
pub(crate) trait ToJson {
    fn to_json(&self, writer: &mut JsonWriter);

    /// True for a null, which an object leaves out.
    fn is_null(&self) -> bool {
        false
    }
}

/// Appends JSON to a buffer; commas come by themselves.
#[derive(Debug, Default)]
pub(crate) struct JsonWriter {
    out: BytesMut,
    /// The next item follows another.
    comma: bool,
    /// Integer keys go in quotes, as standard JSON wants them.
    quote_integer_keys: bool,
}

impl JsonWriter {
    /// A writer that puts integer keys in quotes if told so.
    pub(crate) fn new(quote_integer_keys: bool) -> Self {
        Self { quote_integer_keys, ..Self::default() }
    }

    pub(crate) fn into_bytes(self) -> BytesMut {
        self.out
    }

    pub(crate) fn object(&mut self, fields: impl FnOnce(&mut Self)) {
        self.items(b"{", b"}", fields);
    }

    pub(crate) fn array(&mut self, items: impl FnOnce(&mut Self)) {
        self.items(b"[", b"]", items);
    }

    /// One field of an object; nothing for a null.
    pub(crate) fn field(&mut self, key: &str, value: &impl ToJson) {
        if !value.is_null() {
            self.entry(|writer| writer.text(key), value);
        }
    }

    /// One entry of a map, whose key is written by `key`.
    pub(crate) fn entry(&mut self, key: impl FnOnce(&mut Self), value: &impl ToJson) {
        self.next();
        key(self);
        self.out.extend_from_slice(b":");
        value.to_json(self);
        self.comma = true;
    }

    /// One item of an array.
    pub(crate) fn item(&mut self, value: &impl ToJson) {
        self.next();
        value.to_json(self);
        self.comma = true;
    }

    pub(crate) fn text(&mut self, text: &str) {
        self.raw("\"");
        escape(&mut self.out, text);
        self.raw("\"");
    }

    pub(crate) fn raw(&mut self, text: &str) {
        self.out.extend_from_slice(text.as_bytes());
    }

    pub(crate) fn int(&mut self, number: impl itoa::Integer) {
        self.raw(itoa::Buffer::new().format(number));
    }

    pub(crate) fn int_key(&mut self, number: impl itoa::Integer) {
        let quote = if self.quote_integer_keys { "\"" } else { "" };
        self.raw(quote);
        self.int(number);
        self.raw(quote);
    }

    fn next(&mut self) {
        if self.comma {
            self.raw(",");
        }
        self.comma = false;
    }

    fn items(&mut self, open: &[u8], close: &[u8], items: impl FnOnce(&mut Self)) {
        self.out.extend_from_slice(open);
        self.comma = false;
        items(self);
        self.out.extend_from_slice(close);
    }
}
