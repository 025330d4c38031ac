//! Sends again and again: everything that stays the same is rendered once.

use super::{
    Encoder, Header as _, RequestCode, SendMessageRequestHeaderV2, SerializeType,
    encode::{Fields, finish_frame, put_int},
    json,
};
use bytes::{BufMut as _, Bytes, BytesMut};

/// A send whose producer, topic, broker and hook fields are rendered as JSON once; what varies by message is written
/// behind them.
#[derive(Clone, Debug)]
pub struct SendTemplate {
    /// From the header's length up to the value of the first field that varies.
    prefix: Bytes,
}

/// What varies from one message of a [`SendTemplate`] to the next.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendFields<'a> {
    /// The number by which the response is found.
    pub opaque: i32,
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
}

impl SendTemplate {
    /// Renders what stays the same: all of `header` but the fields of [`SendFields`], the request's `code`, the
    /// flag of the command, and the fields that hooks add. The encoding is JSON, whatever `encoder` says.
    #[must_use]
    pub fn new(
        encoder: &Encoder,
        code: RequestCode,
        command_flag: i32,
        header: &SendMessageRequestHeaderV2<'_>,
        extra: &[(&str, &str)],
    ) -> Self {
        let mut out = BytesMut::new();
        out.put_u64(0);
        out.extend_from_slice(b"{\"code\":");
        put_int(&mut out, code.0);
        out.extend_from_slice(b",\"flag\":");
        put_int(&mut out, command_flag);
        out.extend_from_slice(b",\"language\":\"");
        out.extend_from_slice(encoder.language.name().as_bytes());
        out.extend_from_slice(b"\",\"version\":");
        put_int(&mut out, encoder.version);
        out.extend_from_slice(b",\"extFields\":{");
        let mut fields = Fields::new(&mut out, SerializeType::Json);
        header.write_fields(&mut Constant(&mut fields));
        extra.iter().for_each(|(key, value)| fields.put(key, value));
        out.extend_from_slice(b",\"e\":\"");
        Self { prefix: out.freeze() }
    }

    /// Appends length and header to `out`, as [`Encoder::encode`] does; gives the size of the whole frame.
    pub fn encode(&self, out: &mut BytesMut, fields: &SendFields<'_>, body_len: usize) -> usize {
        const SPARE: usize = 128;
        let start = out.len();
        out.reserve(self.prefix.len() + fields.properties.len() + SPARE);
        out.extend_from_slice(&self.prefix);
        put_int(out, fields.queue_id);
        out.extend_from_slice(b"\",\"f\":\"");
        put_int(out, fields.sys_flag);
        out.extend_from_slice(b"\",\"g\":\"");
        put_int(out, fields.born_timestamp);
        out.extend_from_slice(b"\",\"h\":\"");
        put_int(out, fields.flag);
        out.extend_from_slice(b"\",\"i\":\"");
        json::escape(out, fields.properties);
        out.extend_from_slice(b"\"},\"opaque\":");
        put_int(out, fields.opaque);
        out.extend_from_slice(b"}");
        finish_frame(out, start, SerializeType::Json, body_len)
    }
}

/// Passes on the fields that don't vary.
struct Constant<'f, 'o>(&'f mut Fields<'o>);

impl super::FieldSink for Constant<'_, '_> {
    fn field(&mut self, key: &'static str, value: super::FieldValue<'_>) {
        if !matches!(key, "e" | "f" | "g" | "h" | "i") {
            self.0.field(key, value);
        }
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::super::{FLAG_ONEWAY, FRAME_BYTES_MAX, FrameDecoder, Head};
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_template_says_what_the_encoder_says(
            opaque: i32, queue_id: i32, sys_flag: i32, born_timestamp: i64, flag: i32,
            group: String, topic: String, properties: String, body_len in 0_usize..99,
        ) {
            let header = SendMessageRequestHeaderV2 {
                producer_group: (&*group).into(),
                topic: (&*topic).into(),
                queue_id,
                sys_flag,
                born_timestamp,
                flag,
                properties: Some((&*properties).into()),
                unit_mode: Some(false),
                broker_name: Some("broker-a".into()),
                ..SendMessageRequestHeaderV2::default()
            };
            let code = RequestCode::SEND_BATCH_MESSAGE;
            let encoder = Encoder::default();
            let template = SendTemplate::new(&encoder, code, FLAG_ONEWAY, &header, &[("ns", "\"")]);
            let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
            let out = decoder.buffer_mut();
            let fields = SendFields { opaque, queue_id, sys_flag, born_timestamp, flag, properties: &properties };
            let size = template.encode(out, &fields, body_len);
            out.resize(size, b'x');
            let head = Head { code: code.0, opaque, flag: FLAG_ONEWAY, remark: None };
            encoder.encode(out, &head, &header, &[("ns", "\"")], body_len);
            out.resize(out.len() + body_len, b'x');
            let templated = decoder.next_frame().unwrap().unwrap();
            let plain = decoder.next_frame().unwrap().unwrap();
            prop_assert_eq!(templated.header::<SendMessageRequestHeaderV2>(), plain.header());
            prop_assert_eq!(templated.ext.get("ns"), plain.ext.get("ns"));
            prop_assert_eq!(&templated.body, &plain.body);
            prop_assert_eq!(
                (templated.code, templated.opaque, templated.flag, templated.language, templated.version),
                (plain.code, plain.opaque, plain.flag, plain.language, plain.version)
            );
        }
    }
}
