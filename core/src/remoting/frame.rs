//! Cuts a byte stream into commands.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

use super::{
    ExtFields, LanguageCode, RemotingCommand, SerializeType,
    ext_fields::{FieldIndex, binary_field, json_field},
    json::{JsonError, JsonProblem, RawText, Scan},
};
use alloc::boxed::Box;
use bytes::{Buf as _, Bytes, BytesMut};
use core::ops::Range;

mod java;

/// The longest frame peers accept, its length field included.
pub const FRAME_BYTES_MAX: usize = 16 << 20;

/// How much is reserved for a frame beyond what has arrived of it.
const RESERVE_BYTES_MAX: usize = 64 << 10;

/// Length, serialize type and header length.
pub(super) const PREFIX_LEN: usize = 8;

/// Cuts a byte stream into commands.
///
/// The host reads into [`FrameDecoder::buffer_mut`] and takes frames until there is none:
///
/// ```text
/// buffer   [ frame | frame | start of a frame ......... | spare ]
///            \_ split off by refcount, never copied     \_ reserved: what is missing, at most 64 KiB
/// ```
///
/// After an error the stream has no boundaries any more: every further call gives the same error, and the
/// connection is to be closed.
#[derive(Debug)]
pub struct FrameDecoder {
    buffer: BytesMut,
    frame_bytes_max: usize,
    /// A frame was cut, so the peer does speak remoting.
    started: bool,
}

/// Bytes that are no remoting frame. The connection is to be closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum FrameError {
    /// The first bytes are HTTP.
    #[error("the peer speaks HTTP, not RocketMQ remoting: check the address and port")]
    Http,
    /// The first bytes are a TLS record.
    #[error("the peer speaks TLS, not plain RocketMQ remoting: switch TLS on for this address")]
    Tls,
    /// A frame can't have this length.
    #[error("frame length {len} is outside 4..={max}")]
    Length {
        /// The length field.
        len: u32,
        /// The longest allowed length field.
        max: usize,
    },
    /// The header is longer than its frame.
    #[error("header length {header_len} is longer than its frame of {len} bytes")]
    HeaderLength {
        /// The header length field.
        header_len: u32,
        /// The length field.
        len: u32,
    },
    /// The header's encoding is none of the two.
    #[error("serialize type {0} is neither 0 (JSON) nor 1 (ROCKETMQ)")]
    SerializeType(u8),
    /// The JSON header can't be read.
    #[error("JSON header: {0}")]
    Json(#[from] JsonError),
    /// The binary header can't be read.
    #[error("binary header: {0}")]
    Binary(&'static str),
}

impl FrameDecoder {
    /// A decoder at the start of a stream; `frame_bytes_max` is usually [`FRAME_BYTES_MAX`].
    #[must_use]
    pub fn new(frame_bytes_max: usize) -> Self {
        Self { buffer: BytesMut::new(), frame_bytes_max, started: false }
    }

    /// Where the host appends what it read.
    pub const fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// How many bytes wait for the rest of their frame.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// The next command, or `None` until more bytes arrive.
    ///
    /// # Errors
    /// [`FrameError`] when the bytes are no frame; the decoder stays at the error.
    pub fn next_frame(&mut self) -> Result<Option<RemotingCommand>, FrameError> {
        let Some(len) = self.buffer.first_chunk().map(|len| u32::from_be_bytes(*len)) else {
            return Ok(None);
        };
        let max = self.frame_bytes_max.saturating_sub(4);
        let body_end = match usize::try_from(len) {
            Ok(len) if (4..=max).contains(&len) => len + 4,
            _ => return Err(self.bad_length(len, max)),
        };
        // Checked before the rest has arrived: a peer that talks nonsense is not waited for.
        let Some(&[stype, header_len @ ..]) = self.buffer.get(4..).and_then(|rest| rest.first_chunk::<4>())
        else {
            return Ok(None);
        };
        let serialize = SerializeType::from_byte(stype).ok_or(FrameError::SerializeType(stype))?;
        let [high, middle, low] = header_len;
        let header_len = u32::from_be_bytes([0, high, middle, low]);
        if header_len > len - 4 {
            return Err(FrameError::HeaderLength { header_len, len });
        }
        if self.buffer.len() < body_end {
            let missing = body_end - self.buffer.len();
            self.buffer.reserve(missing.min(RESERVE_BYTES_MAX));
            return Ok(None);
        }
        let body_start = PREFIX_LEN + header_len as usize;
        let head = Head::parse(self.buffer.get(PREFIX_LEN..body_start).unwrap_or_default(), serialize)?;
        self.started = true;
        let frame = self.buffer.split_to(body_end).freeze();
        Ok(Some(head.into_command(frame, body_start)))
    }

    #[cold]
    fn bad_length(&self, len: u32, max: usize) -> FrameError {
        let first = len.to_be_bytes();
        if !self.started {
            if [b"HTTP", b"GET ", b"POST", b"PUT ", b"HEAD", b"OPTI", b"PRI "].contains(&&first) {
                return FrameError::Http;
            }
            // A handshake or alert record of any TLS version.
            if matches!(first, [0x15 | 0x16, 3, ..]) {
                return FrameError::Tls;
            }
        }
        FrameError::Length { len, max }
    }
}

/// A header whose ext fields are still a range of it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) code: i32,
    language: LanguageCode,
    version: i32,
    pub(super) opaque: i32,
    pub(super) flag: i32,
    remark: Option<Box<str>>,
    ext: Range<usize>,
    index: FieldIndex,
    serialize: SerializeType,
}

impl Head {
    pub(super) fn parse(header: &[u8], serialize: SerializeType) -> Result<Self, FrameError> {
        match serialize {
            SerializeType::Json => match java::parse(header) {
                Some(head) => Ok(head),
                None => Ok(Self::parse_json(header)?),
            },
            SerializeType::Rocketmq => Self::parse_binary(header).map_err(FrameError::Binary),
        }
    }

    /// Cuts the frame without counting a reference more than it needs.
    fn into_command(self, mut frame: Bytes, body_start: usize) -> RemotingCommand {
        let body = if body_start == frame.len() { Bytes::new() } else { frame.split_off(body_start) };
        let ext = if self.ext.is_empty() {
            ExtFields::new()
        } else {
            frame.truncate(PREFIX_LEN + self.ext.end);
            frame.advance(PREFIX_LEN + self.ext.start);
            ExtFields::from_indexed(frame, self.serialize, self.index)
        };
        RemotingCommand {
            code: self.code,
            language: self.language,
            version: self.version,
            opaque: self.opaque,
            flag: self.flag,
            remark: self.remark,
            ext,
            body,
        }
    }

    const fn empty(serialize: SerializeType) -> Self {
        // A header that leaves its language out is a Java one: Java's field starts with it.
        let language = LanguageCode::Java;
        let index = FieldIndex::EMPTY;
        Self { code: 0, language, version: 0, opaque: 0, flag: 0, remark: None, ext: 0..0, index, serialize }
    }

    fn parse_json(text: &[u8]) -> Result<Self, JsonError> {
        check_utf8(text).map_err(|at| JsonError { at, problem: JsonProblem::Utf8 })?;
        let mut head = Self::empty(SerializeType::Json);
        let mut scan = Scan::new(text);
        scan.expect(b'{', "an object")?;
        let mut closed = scan.take(b'}');
        while !closed {
            let key = scan.string()?;
            scan.expect(b':', "a colon")?;
            match key.raw {
                b"code" => head.code = int(&mut scan)?,
                b"version" => head.version = int(&mut scan)?,
                b"opaque" => head.opaque = int(&mut scan)?,
                b"flag" => head.flag = int(&mut scan)?,
                b"language" => {
                    head.language = text_or_null(&mut scan)?
                        .map_or(LanguageCode::Unknown, |name| LanguageCode::from_name(name.raw_str()));
                }
                b"remark" => head.remark = text_or_null(&mut scan)?.map(|remark| remark.text().into()),
                b"extFields" => head.ext = ext_fields(&mut scan)?,
                _ => scan.skip_value()?,
            }
            closed = !scan.take(b',');
            if closed {
                scan.expect(b'}', "a comma or the end of an object")?;
            }
        }
        match scan.peek() {
            None => Ok(head),
            Some(_) => Err(scan.error(JsonProblem::Trailing)),
        }
    }

    fn parse_binary(header: &[u8]) -> Result<Self, &'static str> {
        const SHORT: &str = "it ends before its fields do";
        let (fixed, rest) = header.split_first_chunk::<17>().ok_or(SHORT)?;
        let &[c0, c1, language, v0, v1, o0, o1, o2, o3, f0, f1, f2, f3, r0, r1, r2, r3] = fixed;
        let remark_len = length([r0, r1, r2, r3])?;
        let (remark, rest) = rest.split_at_checked(remark_len).ok_or(SHORT)?;
        let remark = core::str::from_utf8(remark).map_err(|_| "its remark is not UTF-8")?;
        let (ext_len, rest) = rest.split_first_chunk().ok_or(SHORT)?;
        let ext = rest.get(..length(*ext_len)?).ok_or(SHORT)?;
        let start = header.len() - rest.len();
        // The lengths between the texts are ASCII or not; texts are when all is.
        let ascii = ext.is_ascii();
        let mut fields = ext;
        let mut index = FieldIndex::EMPTY;
        let mut room = true;
        while !fields.is_empty() {
            let (key, value) = binary_field(&mut fields).ok_or("its ext fields are cut off")?;
            let value_at = ext.len() - fields.len() - value.len();
            let key_at = value_at - 4 - key.len();
            // Java reads an empty value as none.
            room = room
                && (value.is_empty()
                    || index.push(key_at..key_at + key.len(), value_at..value_at + value.len()));
            if !ascii && (check_utf8(key).is_err() || check_utf8(value).is_err()) {
                return Err("an ext field is not UTF-8");
            }
        }
        Ok(Self {
            code: i16::from_be_bytes([c0, c1]).into(),
            language: LanguageCode::from_byte(language),
            version: i16::from_be_bytes([v0, v1]).into(),
            opaque: i32::from_be_bytes([o0, o1, o2, o3]),
            flag: i32::from_be_bytes([f0, f1, f2, f3]),
            remark: (!remark.is_empty()).then(|| remark.into()),
            ext: start..start + ext.len(),
            index: if room { index } else { FieldIndex::EMPTY },
            serialize: SerializeType::Rocketmq,
        })
    }
}

fn length(bytes: [u8; 4]) -> Result<usize, &'static str> {
    usize::try_from(i32::from_be_bytes(bytes)).map_err(|_| "a length in it is negative")
}

/// A number, quoted or not; null reads as 0.
fn int(scan: &mut Scan<'_>) -> Result<i32, JsonError> {
    match text_or_null(scan)? {
        None => Ok(0),
        Some(number) => {
            let fits = number.integer().and_then(|number| number.try_into().ok());
            fits.ok_or_else(|| scan.error(JsonProblem::Number("32 bits")))
        }
    }
}

/// Where `bytes` stop being UTF-8, if they do.
fn check_utf8(bytes: &[u8]) -> Result<(), usize> {
    if bytes.is_ascii() {
        return Ok(());
    }
    core::str::from_utf8(bytes).map(|_| ()).map_err(|error| error.valid_up_to())
}

fn text_or_null<'a>(scan: &mut Scan<'a>) -> Result<Option<RawText<'a>>, JsonError> {
    if scan.peek() == Some(b'"') {
        return scan.string().map(Some);
    }
    Ok(Some(scan.word()?).filter(|word| word.raw != b"null"))
}

/// Where the object of ext fields lies; empty for null.
fn ext_fields(scan: &mut Scan<'_>) -> Result<Range<usize>, JsonError> {
    if scan.peek() != Some(b'{') {
        return match scan.word()?.raw {
            b"null" => Ok(0..0),
            _ => Err(scan.error(JsonProblem::Expected("an object of ext fields"))),
        };
    }
    let start = scan.at();
    scan.take(b'{');
    while json_field(scan)?.is_some() {}
    Ok(start..scan.at())
}
