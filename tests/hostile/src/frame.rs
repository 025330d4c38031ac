//! Frames, honest and not.

use bytes::{BufMut, Bytes, BytesMut};
use rocketmq_client_core::remoting::{
    Encoder, ExtFields, FLAG_RESPONSE, FRAME_BYTES_MAX, FrameDecoder, LanguageCode, RemotingCommand, VERSION,
};

/// A response to a request.
#[must_use]
pub(crate) fn response(request: &RemotingCommand, code: i32) -> RemotingCommand {
    RemotingCommand {
        code,
        language: LanguageCode::Java,
        version: VERSION,
        opaque: request.opaque,
        flag: FLAG_RESPONSE,
        remark: None,
        ext: ExtFields::new(),
        body: Bytes::new(),
    }
}

/// A request.
#[must_use]
pub(crate) fn request<'a>(
    code: i32,
    opaque: i32,
    flag: i32,
    ext: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> RemotingCommand {
    RemotingCommand {
        code,
        language: LanguageCode::Java,
        version: VERSION,
        opaque,
        flag,
        remark: None,
        ext: ext.into_iter().collect(),
        body: Bytes::new(),
    }
}

/// A command on the wire.
#[must_use]
pub(crate) fn encode(command: &RemotingCommand) -> Bytes {
    let mut out = BytesMut::new();
    Encoder::default().encode_command(&mut out, command);
    out.freeze()
}

/// The commands in whole frames.
#[must_use]
pub(crate) fn decode(parts: &[Bytes]) -> Vec<RemotingCommand> {
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    parts.iter().for_each(|part| decoder.buffer_mut().extend_from_slice(part));
    std::iter::from_fn(|| decoder.next_frame().ok().flatten()).collect()
}

/// A frame of any header, serialise type 0.
#[must_use]
pub(crate) fn json(header: impl AsRef<[u8]>, body: &[u8]) -> Bytes {
    typed(0, header, body)
}

/// A frame of any header and serialise type.
#[must_use]
pub(crate) fn typed(serialize: u8, header: impl AsRef<[u8]>, body: &[u8]) -> Bytes {
    let header = header.as_ref();
    let header_len = u32::try_from(header.len()).expect("a header");
    let len = u32::try_from(4 + header.len() + body.len()).expect("a frame");
    raw(len, (u32::from(serialize) << 24) | header_len, header, body)
}

/// A frame whose two lengths are anything.
#[must_use]
pub(crate) fn raw(len: u32, header_len: u32, header: &[u8], body: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(8 + header.len() + body.len());
    out.put_u32(len);
    out.put_u32(header_len);
    out.put_slice(header);
    out.put_slice(body);
    out.freeze()
}

/// The binary header of a response with these lengths instead of a remark and fields.
#[must_use]
pub(crate) fn binary(opaque: i32, remark_len: i32, ext_len: i32, rest: &[u8]) -> Bytes {
    let mut header = BytesMut::new();
    header.put_i16(0);
    header.put_u8(0);
    header.put_i16(493);
    header.put_i32(opaque);
    header.put_i32(FLAG_RESPONSE);
    header.put_i32(remark_len);
    header.put_i32(ext_len);
    header.put_slice(rest);
    typed(1, &header, &[])
}

/// The field of a command, as a number.
#[must_use]
pub(crate) fn number(command: &RemotingCommand, field: &str) -> Option<i64> {
    command.ext.get(field)?.parse().ok()
}

/// Sets fields of a command.
pub(crate) fn set(command: &mut RemotingCommand, fields: &[(&str, String)]) {
    let kept: Vec<(String, String)> = command
        .ext
        .iter()
        .filter(|(key, _)| fields.iter().all(|(name, _)| name != key))
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    let set = fields.iter().map(|(key, value)| ((*key).to_owned(), value.clone()));
    command.ext = kept.into_iter().chain(set).collect();
}
