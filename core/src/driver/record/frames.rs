//! Frames without what they carry for users: in a recording, and when outputs are compared.

use alloc::borrow::Cow;
use alloc::vec::Vec;
use core::ops::Range;

use bytes::{Bytes, BytesMut};

use super::codec::Malformed;
use crate::message::scan_stored;
use crate::message::stored::MAGIC_V2;
use crate::message::sys_flag::is_inner_batch;
use crate::remoting::{
    Encoder, FRAME_BYTES_MAX, FrameDecoder, Head, NoHeader, RemotingCommand, RequestCode, SerializeType,
};

/// Header fields that hold secrets or follow from them.
pub(super) const SECRET_FIELDS: [&str; 3] = ["AccessKey", "Signature", "SecurityToken"];

/// The frame of a command that arrived, with zeros for the bodies of messages. The framing of stored
/// messages stays, and so does what brokers say to clients.
pub(super) fn redacted(command: &RemotingCommand) -> Bytes {
    let fields: Vec<(Cow<'_, str>, Cow<'_, str>)> =
        command.ext.iter().filter(|(key, _)| !SECRET_FIELDS.contains(&&**key)).collect();
    let extra: Vec<(&str, &str)> = fields.iter().map(|(key, value)| (&**key, &**value)).collect();
    let head = Head {
        code: command.code,
        opaque: command.opaque,
        flag: command.flag,
        remark: command.remark.as_deref(),
    };
    let encoder =
        Encoder { serialize: SerializeType::Json, language: command.language, version: command.version };
    let body = redacted_body(command);
    let mut frame = BytesMut::new();
    encoder.encode(&mut frame, &head, &NoHeader, &extra, body.len());
    frame.extend_from_slice(&body);
    frame.freeze()
}

/// Reads what [`redacted`] wrote.
pub(super) fn decode(frame: &[u8]) -> Result<RemotingCommand, Malformed> {
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    decoder.buffer_mut().extend_from_slice(frame);
    match decoder.next_frame() {
        Ok(Some(command)) => Ok(command),
        _ => Err(Malformed { what: "a frame" }),
    }
}

/// Whether the body of a request is a user's, so that only its length counts.
pub(super) fn carries_message(command: &RemotingCommand) -> bool {
    const CODES: [RequestCode; 6] = [
        RequestCode::SEND_MESSAGE,
        RequestCode::SEND_MESSAGE_V2,
        RequestCode::SEND_BATCH_MESSAGE,
        RequestCode::SEND_REPLY_MESSAGE,
        RequestCode::SEND_REPLY_MESSAGE_V2,
        RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT,
    ];
    !command.is_response() && CODES.contains(&command.request_code())
}

fn redacted_body(command: &RemotingCommand) -> Vec<u8> {
    let mut body = command.body.to_vec();
    if carries_message(command) {
        body.fill(0);
        return body;
    }
    // Only a body of stored messages scans as such; a record that can't be read has no body to find.
    let records: Vec<_> = scan_stored(&command.body).flatten().collect();
    for record in records {
        let long_topic =
            body.get(record.range.start + 4..record.range.start + 8) == Some(&MAGIC_V2.to_be_bytes());
        let end = record.topic.start - if long_topic { 2 } else { 1 };
        let range = end - record.body_len..end;
        if is_inner_batch(record.sys_flag) {
            inner_bodies(&body, range).into_iter().for_each(|inner| body[inner].fill(0));
        } else {
            body[range].fill(0);
        }
    }
    body
}

/// Where the bodies lie in an inner batch: each item is size, magic, CRC, flag, the body's length, the
/// body, and the rest. What can't be read that way has none.
fn inner_bodies(bytes: &[u8], batch: Range<usize>) -> Vec<Range<usize>> {
    let length_at = |at: usize| {
        let field = bytes.get(at..at + 4)?;
        usize::try_from(i32::from_be_bytes([field[0], field[1], field[2], field[3]])).ok()
    };
    let mut bodies = Vec::new();
    let mut at = batch.start;
    while at + 20 <= batch.end {
        let (Some(size), Some(len)) = (length_at(at), length_at(at + 16)) else { break };
        let (start, end) = (at + 20, (at + 20).saturating_add(len));
        if size < 20 || end > at + size || at + size > batch.end {
            break;
        }
        bodies.push(start..end);
        at += size;
    }
    bodies
}
