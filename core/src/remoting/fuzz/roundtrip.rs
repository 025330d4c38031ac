//! What was made of the fuzzer's bytes is written and read back: headers, commands, messages.

use super::super::generate::Generate;
use super::super::{
    Encoder, ExtFields, FLAG_ONEWAY, FRAME_BYTES_MAX, FrameDecoder, Head, Header, LanguageCode,
    RemotingCommand, RequestCode, SIGNATURE, SendFields, SendMessageRequestHeaderV2, SendTemplate,
    SerializeType, Signer, headers,
};
use super::Source;
use crate::message;
use alloc::{borrow::Cow, string::String, vec::Vec};
use bytes::BytesMut;

/// Makes a header, a command, a send, stored records or a batch of `bytes`; what is read must be what was written.
///
/// # Panics
/// When it isn't.
#[doc(hidden)]
pub fn fuzz_roundtrip(bytes: &[u8]) {
    let mut source = Source::new(bytes);
    match source.byte() % 8 {
        0 | 1 => any_header(&mut source),
        2 => header_of_fields(&mut source),
        3 => command(&mut source),
        4 => send(&mut source),
        5 => signed(&mut source),
        7 => headers_of_frames(source.slice(usize::MAX)),
        _ => message::fuzz::roundtrip(&mut source),
    }
}

/// A command with `header`, written and read; `None` when this encoding can't say all of it.
pub(in crate::remoting) fn through_the_wire<'a>(
    header: &impl Header<'a>,
    serialize: SerializeType,
) -> Option<RemotingCommand> {
    let mut empty = Empty(false);
    header.write_fields(&mut empty);
    if empty.0 && serialize == SerializeType::Rocketmq {
        return None;
    }
    let mut decoder = FrameDecoder::new(usize::MAX);
    let encoder = Encoder { serialize, ..Encoder::default() };
    let size = encoder.encode(decoder.buffer_mut(), &Head::default(), header, &[], 0);
    assert_eq!(decoder.buffered(), size);
    let command = decoder.next_frame().expect("we wrote it").expect("all of it");
    assert_eq!(decoder.buffered(), 0);
    Some(command)
}

/// Sees whether a header has an empty value, which the binary form leaves out.
struct Empty(bool);

impl super::super::FieldSink for Empty {
    fn field(&mut self, _key: &'static str, value: super::super::FieldValue<'_>) {
        self.0 |= value == super::super::FieldValue::Str("");
    }
}

/// Any values in any header.
fn any_header(source: &mut Source<'_>) {
    if let Some(probe) = probe(source) {
        (probe.generate)(source);
    }
}

/// Any fields for any header; what it reads of them it writes.
fn header_of_fields(source: &mut Source<'_>) {
    let Some(probe) = probe(source) else { return };
    let fields: ExtFields = fields(source).into_iter().collect();
    (probe.rewrite)(&fields);
}

/// The typed header of each frame. Answers have no code of their own: their number chooses one.
fn headers_of_frames(bytes: &[u8]) {
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    decoder.buffer_mut().extend_from_slice(bytes);
    while let Ok(Some(command)) = decoder.next_frame() {
        let code = command.request_code();
        let mut probes = headers::PROBES.iter().copied().flatten().filter(|_| !command.is_response());
        let number = command.opaque.unsigned_abs() as usize;
        let chosen = probes.find(|probe| probe.code == Some(code)).or_else(|| {
            let file = headers::PROBES.get(number % headers::PROBES.len())?;
            file.get(number / headers::PROBES.len() % file.len())
        });
        if let Some(probe) = chosen {
            (probe.rewrite)(&command.ext);
        }
    }
}

fn probe(source: &mut Source<'_>) -> Option<&'static super::HeaderProbe> {
    let file = headers::PROBES.get(source.below(headers::PROBES.len()))?;
    file.get(source.below(file.len()))
}

fn fields(source: &mut Source<'_>) -> Vec<(String, String)> {
    (0..source.byte() % 8).map(|_| (source.text(), source.text())).collect()
}

/// Fields as hooks add them, with every number a command has.
fn command(source: &mut Source<'_>) {
    let fields = fields(source);
    let extra: Vec<(&str, &str)> = fields.iter().map(|(key, value)| (&**key, &**value)).collect();
    let remark = Option::<Cow<'_, str>>::generate(source);
    let head =
        Head { code: source.i32(), opaque: source.i32(), flag: source.i32(), remark: remark.as_deref() };
    let language = LanguageCode::from_byte(source.byte() % 14);
    let body = source.some_bytes();
    for serialize in [SerializeType::Json, SerializeType::Rocketmq] {
        let encoder = Encoder { serialize, language, version: source.i32() };
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        let out = decoder.buffer_mut();
        let size = encoder.encode(out, &head, &super::super::NoHeader, &extra, body.len());
        out.extend_from_slice(body);
        assert_eq!(out.len(), size);
        let binary = out.get(4) == Some(&SerializeType::Rocketmq.byte());
        let command = decoder.next_frame().expect("we wrote it").expect("all of it");
        let [_, _, high, low] = encoder.version.to_be_bytes();
        let version = if binary { i16::from_be_bytes([high, low]).into() } else { encoder.version };
        assert_eq!((command.code, command.opaque, command.flag), (head.code, head.opaque, head.flag));
        assert_eq!((command.language, command.version), (language, version));
        assert_eq!(command.remark.as_deref(), head.remark);
        assert_eq!(command.body, body);
        let expected = extra.iter().filter(|(_, value)| !binary || !value.is_empty()).copied();
        assert!(
            command
                .ext
                .iter()
                .map(|(key, value)| (key.into_owned(), value.into_owned()))
                .eq(expected.map(|(key, value)| (key.into(), value.into())))
        );
    }
}

/// A send from a template is byte for byte one from the encoder.
fn send(source: &mut Source<'_>) {
    let header = SendMessageRequestHeaderV2::generate(source);
    let fields = fields(source);
    let extra: Vec<(&str, &str)> = fields.iter().map(|(key, value)| (&**key, &**value)).collect();
    let (code, oneway, opaque) = (RequestCode(source.i32()), source.bool(), source.i32());
    let varying = SendFields {
        opaque,
        oneway,
        queue_id: header.queue_id,
        sys_flag: header.sys_flag,
        born_timestamp: header.born_timestamp,
        flag: header.flag,
        properties: header.properties.as_deref().unwrap_or_default(),
        reconsume_times: header.reconsume_times,
    };
    let header = SendMessageRequestHeaderV2 { properties: Some(varying.properties.into()), ..header.clone() };
    for serialize in [SerializeType::Json, SerializeType::Rocketmq] {
        let encoder = Encoder { serialize, ..Encoder::default() };
        let template = SendTemplate::new(&encoder, code, &header, &extra);
        let (mut templated, mut plain) = (BytesMut::new(), BytesMut::new());
        let flag = if oneway { FLAG_ONEWAY } else { 0 };
        let head = Head { code: code.0, opaque, flag, remark: None };
        template.encode(&mut templated, &varying, 0);
        encoder.encode(&mut plain, &head, &header, &extra, 0);
        assert_eq!(templated, plain);
    }
}

/// The signature of a frame is that of the fields and the body that arrive.
fn signed(source: &mut Source<'_>) {
    let token = Option::<Cow<'_, str>>::generate(source);
    let signer = Signer::new(&Cow::generate(source), &source.text(), token.as_deref());
    let fields = fields(source);
    let extra: Vec<(&str, &str)> = fields.iter().map(|(key, value)| (&**key, &**value)).collect();
    let head = Head { code: source.i32(), ..Head::default() };
    let body = source.some_bytes();
    for serialize in [SerializeType::Json, SerializeType::Rocketmq] {
        let mut out = BytesMut::new();
        let encoder = Encoder { serialize, ..Encoder::default() };
        encoder.encode_signed(&mut out, &head, &super::super::NoHeader, &extra, &signer, body);
        out.extend_from_slice(body);
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        *decoder.buffer_mut() = out;
        let command = decoder.next_frame().expect("we wrote it").expect("all of it");
        let mut received: Vec<_> = command.ext.iter().filter(|(key, _)| key != SIGNATURE).collect();
        received.sort_by(|(a, _), (b, _)| a.encode_utf16().cmp(b.encode_utf16()));
        let expected = signer.signature(received.iter().map(|(_, value)| &**value), &command.body);
        assert_eq!(command.ext.get(SIGNATURE).as_deref(), Some(&*expected));
    }
}
