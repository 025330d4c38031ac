//! Writes commands.

use super::{
    FieldSink, FieldValue, Header, LanguageCode, RemotingCommand, SerializeType, Signer, VERSION, json,
};
use bytes::{BufMut, BytesMut};

/// What an outgoing command says besides its header and body.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head<'a> {
    /// The request or response code.
    pub code: i32,
    /// The number by which the requester finds its response.
    pub opaque: i32,
    /// [`FLAG_RESPONSE`](super::FLAG_RESPONSE) and [`FLAG_ONEWAY`](super::FLAG_ONEWAY).
    pub flag: i32,
    /// Text for humans.
    pub remark: Option<&'a str>,
}

/// Writes commands in one header encoding, as one language and version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Encoder {
    /// The header encoding; codes that don't fit its 16 bits go as JSON all the same.
    pub serialize: SerializeType,
    /// The language the commands state. As `JAVA`, JSON headers have every key that Java's have,
    /// `serializeTypeCurrentRPC` included, which some clients don't do without.
    pub language: LanguageCode,
    /// The version the commands state.
    pub version: i32,
}

/// JSON headers, language `RUST`, [`VERSION`].
impl Default for Encoder {
    fn default() -> Self {
        Self { serialize: SerializeType::Json, language: LanguageCode::Rust, version: VERSION }
    }
}

impl Encoder {
    /// Appends length and header to `out`; the caller appends `body_len` bytes of body, or hands them to a
    /// vectored write. `extra` are fields that hooks add.
    ///
    /// In the binary form a field with an empty value is left out: Java reads it as null, and a signature
    /// over it would not match.
    ///
    /// Gives the size of the whole frame. Beyond [`FRAME_BYTES_MAX`](super::FRAME_BYTES_MAX) the peer
    /// closes the connection without an answer.
    pub fn encode<'a, H: Header<'a>>(
        &self,
        out: &mut BytesMut,
        head: &Head<'_>,
        header: &H,
        extra: &[(&str, &str)],
        body_len: usize,
    ) -> usize {
        let serialize = self.serialize_for(head.code, extra.iter().map(|(key, _)| *key));
        self.frame(out, serialize, head, body_len, |fields| {
            header.write_fields(fields);
            for (key, value) in extra {
                fields.put(key, value);
            }
        })
    }

    /// As [`Encoder::encode`], with the fields `AccessKey`, `SecurityToken` and `Signature` of `signer`. The
    /// signature covers all fields and `body`, which the caller appends.
    pub fn encode_signed<'a, H: Header<'a>>(
        &self,
        out: &mut BytesMut,
        head: &Head<'_>,
        header: &H,
        extra: &[(&str, &str)],
        signer: &Signer,
        body: &[u8],
    ) -> usize {
        let serialize = self.serialize_for(head.code, extra.iter().map(|(key, _)| *key));
        let signed = signer.sign(header, extra, body, serialize);
        self.frame(out, serialize, head, body.len(), |fields| {
            for (key, value) in &signed {
                fields.put(key, value);
            }
        })
    }

    /// Appends a whole frame that says what `command` says, its body included; language and version are those
    /// of `command`. Gives the frame's size.
    pub fn encode_command(&self, out: &mut BytesMut, command: &RemotingCommand) -> usize {
        let encoder = Self { language: command.language, version: command.version, ..self.clone() };
        let remark = command.remark.as_deref();
        let head = Head { code: command.code, opaque: command.opaque, flag: command.flag, remark };
        let serialize = if command.ext.iter().any(|(key, _)| !fits_binary(&key)) {
            SerializeType::Json
        } else {
            self.serialize_for(command.code, core::iter::empty())
        };
        let size = encoder.frame(out, serialize, &head, command.body.len(), |fields| {
            for (key, value) in &command.ext {
                fields.put(&key, &value);
            }
        });
        out.extend_from_slice(&command.body);
        size
    }

    pub(super) fn serialize_for<'k>(
        &self,
        code: i32,
        mut keys: impl Iterator<Item = &'k str>,
    ) -> SerializeType {
        if i16::try_from(code).is_ok() && keys.all(fits_binary) {
            self.serialize
        } else {
            SerializeType::Json
        }
    }

    pub(super) fn frame(
        &self,
        out: &mut BytesMut,
        serialize: SerializeType,
        head: &Head<'_>,
        body_len: usize,
        write_fields: impl FnOnce(&mut Fields<'_>),
    ) -> usize {
        let start = out.len();
        out.put_u64(0);
        match serialize {
            SerializeType::Json => self.json(out, head, write_fields),
            SerializeType::Rocketmq => self.binary(out, head, write_fields),
        }
        finish_frame(out, start, serialize, body_len)
    }

    /// Keys in Java's order, which is alphabetical.
    fn json(&self, out: &mut BytesMut, head: &Head<'_>, write_fields: impl FnOnce(&mut Fields<'_>)) {
        out.extend_from_slice(b"{\"code\":");
        put_int(out, head.code);
        let before = out.len();
        out.extend_from_slice(JSON_FIELDS);
        let opened = out.len();
        write_fields(&mut Fields::new(out, SerializeType::Json));
        if out.len() == opened {
            out.truncate(before);
        } else {
            out.extend_from_slice(b"}");
        }
        self.json_flag(out, head.flag);
        put_int(out, head.opaque);
        if let Some(remark) = head.remark {
            out.extend_from_slice(b",\"remark\":\"");
            json::escape(out, remark);
            out.extend_from_slice(b"\"");
        }
        self.json_version(out);
    }

    /// Everything between the ext fields and the value of opaque.
    pub(super) fn json_flag(&self, out: &mut BytesMut, flag: i32) {
        out.extend_from_slice(b",\"flag\":");
        put_int(out, flag);
        out.extend_from_slice(b",\"language\":\"");
        out.extend_from_slice(self.language.name().as_bytes());
        out.extend_from_slice(b"\",\"opaque\":");
    }

    /// What ends a header.
    pub(super) fn json_version(&self, out: &mut BytesMut) {
        // Java writes it since `RemotingCommand` has a getter of that name.
        if self.language == LanguageCode::Java {
            out.extend_from_slice(b",\"serializeTypeCurrentRPC\":\"JSON\"");
        }
        out.extend_from_slice(b",\"version\":");
        put_int(out, self.version);
        out.extend_from_slice(b"}");
    }

    /// Everything ahead of the fields of a request that has some, with zeros for the frame's lengths, opaque,
    /// flag and the fields' length.
    pub(super) fn start(&self, out: &mut BytesMut, serialize: SerializeType, code: i32) {
        out.put_u64(0);
        match serialize {
            SerializeType::Json => {
                out.extend_from_slice(b"{\"code\":");
                put_int(out, code);
                out.extend_from_slice(JSON_FIELDS);
            }
            SerializeType::Rocketmq => self.binary(out, &Head { code, ..Head::default() }, |_| ()),
        }
    }

    fn binary(&self, out: &mut BytesMut, head: &Head<'_>, write_fields: impl FnOnce(&mut Fields<'_>)) {
        out.put_slice(&low_16(head.code));
        out.put_u8(self.language.byte());
        out.put_slice(&low_16(self.version));
        out.put_i32(head.opaque);
        out.put_i32(head.flag);
        let remark = head.remark.unwrap_or_default();
        out.put_u32(len_u32(remark.len()));
        out.extend_from_slice(remark.as_bytes());
        let length_at = out.len();
        out.put_u32(0);
        write_fields(&mut Fields::new(out, SerializeType::Rocketmq));
        let len = len_u32(out.len() - length_at - 4);
        patch(out, length_at, &len.to_be_bytes());
    }
}

const JSON_FIELDS: &[u8] = b",\"extFields\":{";

/// Fills in the eight bytes at `start` once the header behind them is written.
pub(super) fn finish_frame(
    out: &mut BytesMut,
    start: usize,
    serialize: SerializeType,
    body_len: usize,
) -> usize {
    let header_len = out.len() - start - 8;
    let len = len_u32(4 + header_len + body_len);
    let [_, high, middle, low] = len_u32(header_len).to_be_bytes();
    patch(out, start, &len.to_be_bytes());
    patch(out, start + 4, &[serialize.byte(), high, middle, low]);
    8 + header_len + body_len
}

/// Where the fields of a header are written.
pub(super) struct Fields<'o> {
    out: &'o mut BytesMut,
    serialize: SerializeType,
    first: bool,
}

impl<'o> Fields<'o> {
    pub(super) const fn new(out: &'o mut BytesMut, serialize: SerializeType) -> Self {
        Self { out, serialize, first: true }
    }

    /// Fields behind others.
    pub(super) const fn following(out: &'o mut BytesMut, serialize: SerializeType) -> Self {
        Self { out, serialize, first: false }
    }

    /// A field whose key may need escapes.
    pub(super) fn put(&mut self, key: &str, value: &str) {
        match self.serialize {
            SerializeType::Json => {
                self.comma();
                json::escape(self.out, key);
                self.out.extend_from_slice(b"\":\"");
                json::escape(self.out, value);
                self.out.extend_from_slice(b"\"");
            }
            SerializeType::Rocketmq => self.put_binary(key, value),
        }
    }

    fn comma(&mut self) {
        self.out.extend_from_slice(if self.first { b"\"" } else { b",\"" });
        self.first = false;
    }

    fn put_binary(&mut self, key: &str, value: &str) {
        if value.is_empty() {
            return;
        }
        self.out.put_u16(u16::try_from(key.len()).expect("keys that don't fit go as JSON"));
        self.out.extend_from_slice(key.as_bytes());
        self.out.put_u32(len_u32(value.len()));
        self.out.extend_from_slice(value.as_bytes());
    }
}

impl FieldSink for Fields<'_> {
    #[inline]
    fn field(&mut self, key: &'static str, value: FieldValue<'_>) {
        if self.serialize == SerializeType::Rocketmq {
            return value.with_text(|text| self.put_binary(key, text));
        }
        debug_assert!(key.len() <= KEY_BYTES_MAX, "{key} is longer than any key of the protocol");
        let mut small = Small::new();
        if !core::mem::take(&mut self.first) {
            small.put(b",");
        }
        small.put(b"\"");
        small.slice(key.as_bytes());
        small.put(b"\":\"");
        match value {
            FieldValue::Str(text) => {
                self.out.extend_from_slice(small.bytes());
                json::escape(self.out, text);
                return self.out.extend_from_slice(b"\"");
            }
            FieldValue::I32(number) => small.int(number),
            FieldValue::I64(number) => small.int(number),
            FieldValue::Bool(true) => small.put(b"true"),
            FieldValue::Bool(false) => small.put(b"false"),
        }
        small.put(b"\"");
        self.out.extend_from_slice(small.bytes());
    }
}

fn fits_binary(key: &str) -> bool {
    i16::try_from(key.len()).is_ok()
}

/// A length beyond 32 bits can't be in memory; if it were, the peer would refuse the frame.
fn len_u32(len: usize) -> u32 {
    u32::try_from(len).unwrap_or(u32::MAX)
}

/// The low half, which is what the binary header has room for. Java: `(short) code`.
const fn low_16(number: i32) -> [u8; 2] {
    let [_, _, high, low] = number.to_be_bytes();
    [high, low]
}

fn put_int(out: &mut BytesMut, number: impl itoa::Integer) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

/// Room for a field's key beside its number.
const KEY_BYTES_MAX: usize = 80;

/// A few small pieces, put together on the stack: appending each to the buffer costs more.
pub(super) struct Small {
    bytes: [u8; SMALL_BYTES],
    len: usize,
}

/// Room for four binary fields of 64 bits and the head of a fifth.
const SMALL_BYTES: usize = 5 * BINARY_HEAD + 4 * 20;
/// A binary field but its value, when the key is one letter.
const BINARY_HEAD: usize = 7;

impl Small {
    #[inline]
    pub(super) const fn new() -> Self {
        Self { bytes: [0; SMALL_BYTES], len: 0 }
    }

    #[inline]
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[..self.len]
    }

    #[inline]
    pub(super) fn put<const N: usize>(&mut self, bytes: &[u8; N]) {
        self.bytes[self.len..self.len + N].copy_from_slice(bytes);
        self.len += N;
    }

    #[inline]
    pub(super) fn slice(&mut self, bytes: &[u8]) {
        self.bytes[self.len..self.len + bytes.len()].copy_from_slice(bytes);
        self.len += bytes.len();
    }

    #[inline]
    pub(super) fn int(&mut self, number: impl Into<i64>) {
        let number = number.into();
        if let digit @ 0..=9 = number {
            return self.put(&[b'0' + digit as u8]);
        }
        let mut buffer = itoa::Buffer::new();
        self.slice(buffer.format(number).as_bytes());
    }

    /// Key and length of a binary field.
    #[inline]
    pub(super) fn binary_head(&mut self, key: u8, value_len: usize) {
        let [l0, l1, l2, l3] = len_u32(value_len).to_be_bytes();
        self.put(&[0, 1, key, l0, l1, l2, l3]);
    }

    /// A binary field with a number.
    #[inline]
    pub(super) fn binary_int(&mut self, key: u8, number: impl Into<i64>) {
        let head = self.len;
        self.binary_head(key, 0);
        self.int(number);
        // At most 20 digits.
        self.bytes[head + BINARY_HEAD - 1] = (self.len - head - BINARY_HEAD) as u8;
    }
}

pub(super) fn patch(out: &mut BytesMut, at: usize, bytes: &[u8]) {
    out[at..at + bytes.len()].copy_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remoting::NoHeader;

    /// Java: `RemotingCommand#getSerializeTypeCurrentRPC`, which its JSON writer takes for a property.
    #[test]
    fn as_java_a_header_has_the_key_that_java_s_have() {
        let header = |language| {
            let mut out = BytesMut::new();
            let head = Head { code: 0, opaque: 7, flag: 1, remark: Some("r") };
            Encoder { language, ..Encoder::default() }.encode(&mut out, &head, &NoHeader, &[], 0);
            alloc::string::String::from_utf8(out[8..].to_vec()).unwrap()
        };
        let java = r#"{"code":0,"flag":1,"language":"JAVA","opaque":7,"remark":"r","serializeTypeCurrentRPC":"JSON","version":"#;
        assert!(header(LanguageCode::Java).starts_with(java), "{}", header(LanguageCode::Java));
        let ours = r#"{"code":0,"flag":1,"language":"RUST","opaque":7,"remark":"r","version":"#;
        assert!(header(LanguageCode::Rust).starts_with(ours), "{}", header(LanguageCode::Rust));
    }
}
