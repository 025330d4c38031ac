//! Sends again and again: everything that stays the same is rendered once.

use super::{
    Encoder, FLAG_ONEWAY, Header as _, RequestCode, SendMessageRequestHeaderV2, SerializeType,
    encode::{Fields, Small, finish_frame, patch},
    json,
};
use bytes::{Bytes, BytesMut};

/// A send whose producer, topic, broker and hook fields are rendered once, in the encoder's form; what varies
/// by message is written between them. The frame is byte for byte what [`Encoder::encode`] writes.
///
/// ```text
/// JSON    prefix {"code":310,"extFields":{"a":…,"d":"4" │ e f g h i j │ tail "k":…,"n":…},"flag":0,… │ opaque │ end
/// binary  prefix code language … a b c d                │ e f g h i j │ tail k l m n
/// ```
///
/// A signature covers every field of a message, so a signed send can't have a template.
#[derive(Clone, Debug)]
pub struct SendTemplate {
    serialize: SerializeType,
    /// From the frame's length up to the fields that vary.
    prefix: Bytes,
    /// What follows those fields: of a send that is answered, and of a one-way send.
    tails: [Bytes; 2],
    /// What follows the JSON header's opaque.
    end: Bytes,
}

/// What varies from one message of a [`SendTemplate`] to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendFields<'a> {
    /// The number by which the response is found.
    pub opaque: i32,
    /// Nobody answers it.
    pub oneway: bool,
    /// The queue's number.
    pub queue_id: i32,
    /// The message's system flag.
    pub sys_flag: i32,
    /// When the message was made, in Unix milliseconds.
    pub born_timestamp: i64,
    /// The message's own flag.
    pub flag: i32,
    /// The message's properties as they are stored.
    pub properties: &'a str,
    /// How often the message was consumed without success.
    pub reconsume_times: Option<i32>,
}

/// Where a binary frame has what varies ahead of the fields.
const OPAQUE_AT: usize = 13;
const FLAG_AT: usize = 17;
const EXT_LEN_AT: usize = 25;

impl SendTemplate {
    /// Renders what stays the same: the request's `code`, all of `header` but the fields of [`SendFields`],
    /// and the fields that hooks add. Batches have a code and a field of their own, so they have their own
    /// template.
    #[must_use]
    pub fn new(
        encoder: &Encoder,
        code: RequestCode,
        header: &SendMessageRequestHeaderV2<'_>,
        extra: &[(&str, &str)],
    ) -> Self {
        let serialize = encoder.serialize_for(code.0, extra.iter().map(|(key, _)| *key));
        let mut prefix = BytesMut::new();
        encoder.start(&mut prefix, serialize, code.0);
        header.write_fields(&mut Constant::before(Fields::new(&mut prefix, serialize)));
        let mut tail = BytesMut::new();
        let mut constant = Constant::after(Fields::following(&mut tail, serialize));
        header.write_fields(&mut constant);
        extra.iter().for_each(|(key, value)| constant.fields.put(key, value));
        let mut end = BytesMut::new();
        if serialize == SerializeType::Json {
            encoder.json_version(&mut end);
        }
        let tails = [0, FLAG_ONEWAY].map(|flag| {
            let mut tail = tail.clone();
            if serialize == SerializeType::Json {
                tail.extend_from_slice(b"}");
                encoder.json_flag(&mut tail, flag);
            }
            tail.freeze()
        });
        Self { serialize, prefix: prefix.freeze(), tails, end: end.freeze() }
    }

    /// Appends length and header to `out`, as [`Encoder::encode`] does; gives the size of the whole frame.
    pub fn encode(&self, out: &mut BytesMut, fields: &SendFields<'_>, body_len: usize) -> usize {
        let start = out.len();
        let tail = &self.tails[usize::from(fields.oneway)];
        out.reserve(self.prefix.len() + fields.properties.len() + tail.len() + SPARE);
        out.extend_from_slice(&self.prefix);
        match self.serialize {
            SerializeType::Json => self.json(out, fields, tail),
            SerializeType::Rocketmq => binary(out, start, fields, tail),
        }
        finish_frame(out, start, self.serialize, body_len)
    }

    fn json(&self, out: &mut BytesMut, fields: &SendFields<'_>, tail: &[u8]) {
        let mut small = Small::new();
        small.put(b",\"e\":\"");
        small.int(fields.queue_id);
        small.put(b"\",\"f\":\"");
        small.int(fields.sys_flag);
        small.put(b"\",\"g\":\"");
        small.int(fields.born_timestamp);
        small.put(b"\",\"h\":\"");
        small.int(fields.flag);
        small.put(b"\",\"i\":\"");
        out.extend_from_slice(small.bytes());
        json::escape(out, fields.properties);
        let mut small = Small::new();
        small.put(b"\"");
        if let Some(times) = fields.reconsume_times {
            small.put(b",\"j\":\"");
            small.int(times);
            small.put(b"\"");
        }
        out.extend_from_slice(small.bytes());
        out.extend_from_slice(tail);
        let mut small = Small::new();
        small.int(fields.opaque);
        out.extend_from_slice(small.bytes());
        out.extend_from_slice(&self.end);
    }
}

/// Escapes in properties, and the numbers.
const SPARE: usize = 192;

fn binary(out: &mut BytesMut, start: usize, fields: &SendFields<'_>, tail: &[u8]) {
    let mut small = Small::new();
    small.binary_int(b'e', fields.queue_id);
    small.binary_int(b'f', fields.sys_flag);
    small.binary_int(b'g', fields.born_timestamp);
    small.binary_int(b'h', fields.flag);
    if !fields.properties.is_empty() {
        small.binary_head(b'i', fields.properties.len());
    }
    out.extend_from_slice(small.bytes());
    out.extend_from_slice(fields.properties.as_bytes());
    if let Some(times) = fields.reconsume_times {
        let mut small = Small::new();
        small.binary_int(b'j', times);
        out.extend_from_slice(small.bytes());
    }
    out.extend_from_slice(tail);
    let flag = if fields.oneway { FLAG_ONEWAY } else { 0 };
    patch(out, start + OPAQUE_AT, &fields.opaque.to_be_bytes());
    patch(out, start + FLAG_AT, &flag.to_be_bytes());
    let ext_len = u32::try_from(out.len() - start - EXT_LEN_AT - 4).unwrap_or(u32::MAX);
    patch(out, start + EXT_LEN_AT, &ext_len.to_be_bytes());
}

/// Passes on the fields on one side of those that vary, which lie together.
struct Constant<'o> {
    fields: Fields<'o>,
    /// The side that is wanted.
    after: bool,
    passed: bool,
}

impl<'o> Constant<'o> {
    const fn before(fields: Fields<'o>) -> Self {
        Self { fields, after: false, passed: false }
    }

    const fn after(fields: Fields<'o>) -> Self {
        Self { fields, after: true, passed: false }
    }
}

impl super::FieldSink for Constant<'_> {
    fn field(&mut self, key: &'static str, value: super::FieldValue<'_>) {
        if matches!(key, "e" | "f" | "g" | "h" | "i" | "j") {
            self.passed = true;
        } else if self.passed == self.after {
            self.fields.field(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::{Head, generate::generate, headers::checks::BOTH};
    use super::*;
    use alloc::{string::String, vec::Vec};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_template_writes_what_the_encoder_writes(
            seed: u64, opaque: i32, oneway: bool, body_len in 0_usize..99,
            properties in "[a-c\\x01\\x02\"\\\\é\n]{0,150}", any: String, version: i32,
            extra in proptest::collection::vec(("[a-z\"]{1,3}", "[a-z\\\\]{0,3}"), 0..3),
        ) {
            for (serialize, properties) in BOTH.into_iter().flat_map(|form| [(form, &properties), (form, &any)]) {
                let mut header: SendMessageRequestHeaderV2<'_> = generate(seed);
                header.properties = Some(properties.as_str().into());
                let encoder = Encoder { serialize, version, ..Encoder::default() };
                let code = RequestCode::SEND_BATCH_MESSAGE;
                let extra: Vec<(&str, &str)> = extra.iter().map(|(key, value)| (&**key, &**value)).collect();
                let template = SendTemplate::new(&encoder, code, &header, &extra);
                let fields = SendFields {
                    opaque,
                    oneway,
                    queue_id: header.queue_id,
                    sys_flag: header.sys_flag,
                    born_timestamp: header.born_timestamp,
                    flag: header.flag,
                    properties,
                    reconsume_times: header.reconsume_times,
                };
                let mut templated = BytesMut::from(&b"before"[..]);
                let size = template.encode(&mut templated, &fields, body_len);
                let flag = if oneway { FLAG_ONEWAY } else { 0 };
                let head = Head { code: code.0, opaque, flag, remark: None };
                let mut plain = BytesMut::from(&b"before"[..]);
                prop_assert_eq!(encoder.encode(&mut plain, &head, &header, &extra, body_len), size);
                prop_assert_eq!(templated, plain);
            }
        }
    }
}
