//! Answers and pushes on their way out: encoded once, in order, late where a fault says so.

use std::collections::BTreeMap;

use bytes::{Bytes, BytesMut};
use rocketmq_client_core::remoting::{
    Encoder, FLAG_ONEWAY, FLAG_RESPONSE, Head, Header, LanguageCode, NoHeader, RemotingCommand,
    RequestHeader, ResponseCode, SerializeType, VERSION,
};
use rocketmq_client_core::time::Instant;

use crate::asker::{Asker, Refusal};
use crate::output::{ConnectionId, Frames, Outbox};

/// The remark that Java's responses are born with.
pub(crate) const NOT_SET: &str = "not set any response code";

/// Everything of an answer but its header.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Answer<'a> {
    pub(crate) code: ResponseCode,
    pub(crate) remark: Option<&'a str>,
    /// Fields that no header class declares.
    pub(crate) extra: &'a [(&'a str, &'a str)],
}

impl Answer<'_> {
    /// A bare success.
    pub(crate) const OK: Self = Self { code: ResponseCode::SUCCESS, remark: None, extra: &[] };
    /// A success whose handler only set the code, which leaves Java's first remark where it is.
    pub(crate) const DONE: Self = Self { remark: Some(NOT_SET), ..Self::OK };
    /// A success with a remark that says nothing.
    pub(crate) const BLANK: Self = Self { remark: Some(""), ..Self::OK };
}

/// The way out of a machine.
#[derive(Clone, Debug)]
pub(crate) struct Replier {
    pub(crate) outbox: Outbox,
    encoder: Encoder,
    late: BTreeMap<(Instant, u64), (ConnectionId, Frames)>,
    late_count: u64,
    opaque: i32,
}

impl Replier {
    pub(crate) fn new() -> Self {
        // Old clients know no RUST, and comparisons with the Java broker should show no difference.
        let encoder =
            Encoder { serialize: SerializeType::Json, language: LanguageCode::Java, version: VERSION };
        Self { outbox: Outbox::default(), encoder, late: BTreeMap::new(), late_count: 0, opaque: 0 }
    }

    /// Answers with a header and a body that is given in parts.
    pub(crate) fn reply<'h, 'p, H: Header<'h>>(
        &mut self,
        now: Instant,
        asker: &Asker,
        answer: Answer<'_>,
        header: &H,
        body: impl Iterator<Item = &'p Bytes> + Clone,
    ) {
        if asker.silent {
            return;
        }
        let head =
            Head { code: answer.code.0, opaque: asker.opaque, flag: FLAG_RESPONSE, remark: answer.remark };
        let body_len = body.clone().map(Bytes::len).sum();
        match asker.delay {
            None => {
                let out = self.outbox.head(asker.connection);
                encode(&self.encoder, out, &head, (header, answer.extra), body_len, asker.has_fields);
                body.for_each(|part| self.outbox.body(part));
            }
            Some(delay) => {
                let mut apart = Outbox::default();
                let out = apart.head(asker.connection);
                encode(&self.encoder, out, &head, (header, answer.extra), body_len, asker.has_fields);
                body.for_each(|part| apart.body(part));
                let (connection, frames) = apart.pop().expect("a frame was just written");
                self.late_count += 1;
                self.late.insert((now + delay, self.late_count), (connection, frames));
            }
        }
    }

    /// Answers 0 with a header and no body.
    pub(crate) fn header<'h>(&mut self, now: Instant, asker: &Asker, header: &impl Header<'h>) {
        self.reply(now, asker, Answer::OK, header, [].iter());
    }

    /// Answers 0 with a body and no header.
    pub(crate) fn body(&mut self, now: Instant, asker: &Asker, body: impl Into<Bytes>) {
        self.reply(now, asker, Answer::OK, &NoHeader, [body.into()].iter());
    }

    /// Answers 0 with the remark that Java forgot to remove, and a body that may be empty.
    pub(crate) fn done(&mut self, now: Instant, asker: &Asker, body: Bytes) {
        self.reply(now, asker, Answer::DONE, &NoHeader, [body].iter());
    }

    /// Answers 0 and nothing else.
    pub(crate) fn ok(&mut self, now: Instant, asker: &Asker) {
        self.header(now, asker, &NoHeader);
    }

    /// Answers an error.
    pub(crate) fn refuse(&mut self, now: Instant, asker: &Asker, refusal: &Refusal, extra: &[(&str, &str)]) {
        let remark = Some(&*refusal.remark).filter(|remark| !remark.is_empty());
        let answer = Answer { code: refusal.code, remark, extra };
        let asker = &Asker { has_fields: asker.has_fields && !refusal.thrown, ..asker.clone() };
        self.reply(now, asker, answer, &NoHeader, [].iter());
    }

    /// Sends a one-way request to a client.
    pub(crate) fn push<'h, H: RequestHeader<'h>>(
        &mut self,
        connection: ConnectionId,
        header: &H,
        body: &Bytes,
    ) {
        self.opaque = self.opaque.wrapping_add(1);
        let head = Head { code: H::CODE.0, opaque: self.opaque, flag: FLAG_ONEWAY, remark: None };
        let out = self.outbox.head(connection);
        self.encoder.encode(out, &head, header, &[], body.len());
        self.outbox.body(body);
    }

    /// Sends a request to a client that wants an answer; [`Replier::last_opaque`] is its opaque.
    pub(crate) fn call<'h, H: RequestHeader<'h>>(
        &mut self,
        connection: ConnectionId,
        header: &H,
        body: &Bytes,
    ) {
        self.opaque = self.opaque.wrapping_add(1);
        let head = Head { code: H::CODE.0, opaque: self.opaque, flag: 0, remark: None };
        let out = self.outbox.head(connection);
        self.encoder.encode(out, &head, header, &[], body.len());
        self.outbox.body(body);
    }

    /// A request as one buffer, for a peer that isn't one of the connections.
    pub(crate) fn request<'h, H: RequestHeader<'h>>(&mut self, header: &H, body: &[u8]) -> Bytes {
        self.opaque = self.opaque.wrapping_add(1);
        let head = Head { code: H::CODE.0, opaque: self.opaque, flag: 0, remark: None };
        let mut out = BytesMut::new();
        self.encoder.encode(&mut out, &head, header, &[], body.len());
        out.extend_from_slice(body);
        out.freeze()
    }

    /// Passes a command on to a client as a request that wants an answer; see [`Replier::last_opaque`].
    pub(crate) fn relay(
        &mut self,
        connection: ConnectionId,
        code: i32,
        fields: &[(&str, &str)],
        body: &Bytes,
    ) {
        self.opaque = self.opaque.wrapping_add(1);
        let head = Head { code, opaque: self.opaque, flag: 0, remark: None };
        let out = self.outbox.head(connection);
        self.encoder.encode(out, &head, &NoHeader, fields, body.len());
        self.outbox.body(body);
    }

    /// Answers what somebody else answered, as it came: code, remark, fields and body.
    pub(crate) fn pass_on(&mut self, now: Instant, asker: &Asker, answer: &RemotingCommand) {
        let fields: Vec<_> = answer.ext.iter().collect();
        let fields: Vec<_> = fields.iter().map(|(key, value)| (&**key, &**value)).collect();
        let head = Answer { code: answer.response_code(), remark: answer.remark.as_deref(), extra: &fields };
        self.reply(now, asker, head, &NoHeader, [answer.body.clone()].iter());
    }

    /// The opaque of the newest request.
    pub(crate) fn last_opaque(&self) -> i32 {
        self.opaque
    }

    /// Lets go the late answers whose time has come.
    pub(crate) fn release(&mut self, now: Instant) {
        while let Some(entry) = self.late.first_entry() {
            if entry.key().0 > now {
                break;
            }
            let (connection, frames) = entry.remove();
            self.outbox.whole(connection, frames);
        }
    }

    /// When the next late answer leaves.
    pub(crate) fn release_due(&self) -> Option<Instant> {
        self.late.keys().next().map(|(due, _)| *due)
    }

    /// Forgets what a closed connection can't receive any more.
    pub(crate) fn forget(&mut self, connection: ConnectionId) {
        self.outbox.forget(connection);
        self.late.retain(|_, (other, _)| *other != connection);
    }
}

const NO_FIELDS: &[u8] = b",\"extFields\":{}";

/// Writes a head. With `has_fields` an answer without a field gets an empty object, as Java writes it.
fn encode<'h, H: Header<'h>>(
    encoder: &Encoder,
    out: &mut BytesMut,
    head: &Head<'_>,
    (header, extra): (&H, &[(&str, &str)]),
    body_len: usize,
    has_fields: bool,
) {
    let start = out.len();
    encoder.encode(out, head, header, extra, body_len);
    // Behind the lengths, whose bytes may be anything, stands `{"code":N`, and then the fields where there are some.
    let header = start + 8;
    let code_end = out[header..].iter().position(|byte| *byte == b',').map_or(out.len(), |at| header + at);
    if !has_fields || out[code_end..].starts_with(&NO_FIELDS[..NO_FIELDS.len() - 1]) {
        return;
    }
    let rest = out[code_end..].to_vec();
    out.truncate(code_end);
    out.extend_from_slice(NO_FIELDS);
    out.extend_from_slice(&rest);
    for at in [start, start + 4] {
        // The second holds the encoding in its highest byte, which is not touched.
        let mut length = [0; 4];
        length.copy_from_slice(&out[at..at + 4]);
        let length = u32::from_be_bytes(length) + NO_FIELDS.len() as u32;
        out[at..at + 4].copy_from_slice(&length.to_be_bytes());
    }
}

#[cfg(test)]
mod tests {
    use rocketmq_client_core::remoting::{FRAME_BYTES_MAX, FrameDecoder};

    use super::*;

    /// A length may have a byte that is a comma.
    #[test]
    fn an_answer_without_fields_is_whole_whatever_its_length() {
        let encoder = Replier::new().encoder;
        for body_len in 0..600 {
            let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
            let remark = "r".repeat(body_len % 97);
            let head = Head { code: 0, opaque: 7, flag: FLAG_RESPONSE, remark: Some(&remark) };
            let out = decoder.buffer_mut();
            encode(&encoder, out, &head, (&NoHeader, &[]), body_len, true);
            out.extend_from_slice(&vec![b'x'; body_len]);
            let command = decoder.next_frame().expect("a frame").expect("all of it");
            assert_eq!((command.opaque, command.body.len(), decoder.buffered()), (7, body_len, 0));
        }
    }
}
