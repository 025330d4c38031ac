//! Compressing bodies before they are sent, inflating them before they are consumed.
//!
//! Inflating trusts nothing: the output has a hard cap and a cap on its ratio to the input, memory
//! grows with what was inflated, and a sender's nonsense is one typed error of one message.

#![deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![cfg_attr(test, allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic))]

extern crate std;

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use std::io::{self, Read, Write};

use bytes::Bytes;
use flate2::read::ZlibDecoder;
use flate2::write::ZlibEncoder;
use lz4_flex::frame::{BlockMode, FrameDecoder, FrameEncoder, FrameInfo};
use zstd::zstd_safe;

use crate::message::sys_flag;

pub use crate::message::sys_flag::CompressionType as Compression;

/// How large an inflated body may be by default, in bytes.
/// See [`PushConsumerConfig::inflated_bytes_max`](crate::config::PushConsumerConfig::inflated_bytes_max).
pub const INFLATED_BYTES_MAX: usize = 32 * 1024 * 1024;
/// How many bytes one stored byte may become, beyond [`RATIO_FREE_BYTES`]. Zlib can't do more.
pub const INFLATE_RATIO_MAX: usize = 1_100;
/// Bodies up to this size, the largest a broker takes by default, may have any ratio: zeros do.
pub const RATIO_FREE_BYTES: usize = 4 * 1024 * 1024;
/// The level that Java uses where nothing else is set.
pub const LEVEL_DEFAULT: i32 = 5;

/// A body couldn't be compressed; it can be sent as it is.
#[derive(Debug, thiserror::Error)]
#[error("a body of {len} bytes can't be compressed with {kind}")]
pub struct CompressError {
    /// The type.
    pub kind: Compression,
    /// The body's length in bytes.
    pub len: usize,
    /// What the library says.
    #[source]
    pub source: io::Error,
}

/// A stored body can't be inflated, so the message can't be consumed; the body as stored is there.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InflateError {
    /// The type bits name no known compression.
    #[error("the body is compressed with the unknown type {bits:#x}; a newer client may know it")]
    UnknownType {
        /// The bits, in place.
        bits: i32,
    },
    /// The body isn't what its type bits say.
    #[error("the body of {len} bytes is no whole {kind} stream: {reason}")]
    Corrupt {
        /// The type that the bits name.
        kind: Compression,
        /// The length of the stored body, in bytes.
        len: usize,
        /// What the library says.
        reason: String,
    },
    /// The inflated body is larger than allowed.
    #[error("the body of {len} bytes inflates to more than {max} bytes; raise the limit if that is meant")]
    TooLarge {
        /// The length of the stored body, in bytes.
        len: usize,
        /// The limit that was reached, in bytes.
        max: usize,
    },
    /// The inflated body is out of all proportion to the stored one.
    #[error("the body of {len} bytes inflates to more than {max} bytes, {ratio} times as many")]
    Ratio {
        /// The length of the stored body, in bytes.
        len: usize,
        /// The limit that was reached, in bytes.
        max: usize,
        /// The ratio that is allowed.
        ratio: usize,
    },
}

/// Compresses `body` so that any RocketMQ client can inflate it: a zlib stream, an LZ4 frame of
/// independent blocks, or a zstd frame. LZ4 has no levels; zlib's are 0 to 9.
///
/// The output may be larger than the body; Java sends it even so.
///
/// # Errors
/// What the library says; nothing that depends on the body is known to fail.
pub fn compress(kind: Compression, level: i32, body: &[u8]) -> Result<Vec<u8>, CompressError> {
    let compressed = match kind {
        Compression::Zlib => compress_zlib(level, body),
        Compression::Lz4 => compress_lz4(body),
        Compression::Zstd => zstd::bulk::compress(body, level),
    };
    compressed.map_err(|source| CompressError { kind, len: body.len(), source })
}

/// Inflates a stored body as `sys_flag` says, to at most `max_bytes`; a body that isn't compressed
/// is returned as it is. Java: `MessageDecoder#decode`, which has no limits.
///
/// # Errors
/// The type is unknown, the body is damaged or torn, or it would become too large. At most twice
/// the limit was allocated then, and only as far as the body really went.
pub fn inflate(sys_flag: i32, body: &Bytes, max_bytes: usize) -> Result<Bytes, InflateError> {
    if !sys_flag::is_compressed(sys_flag) {
        return Ok(body.clone());
    }
    let bits = sys_flag & sys_flag::COMPRESSION_MASK;
    let kind = sys_flag::compression_type(sys_flag).ok_or(InflateError::UnknownType { bits })?;
    let len = body.len();
    let by_ratio = len.saturating_mul(INFLATE_RATIO_MAX).max(RATIO_FREE_BYTES);
    let max = max_bytes.min(by_ratio);
    let inflated = match kind {
        // Neither library finds an empty input wrong.
        _ if body.is_empty() => Err(Failure::Corrupt("it is empty".to_string())),
        Compression::Zlib => read_to_limit(ZlibDecoder::new(&body[..]), len, max),
        Compression::Lz4 => inflate_lz4(body, max),
        Compression::Zstd => inflate_zstd(body, max),
    };
    match inflated {
        Ok(inflated) => Ok(Bytes::from(inflated)),
        Err(Failure::Corrupt(reason)) => Err(InflateError::Corrupt { kind, len, reason }),
        Err(Failure::Limit) if max < max_bytes => {
            Err(InflateError::Ratio { len, max, ratio: INFLATE_RATIO_MAX })
        }
        Err(Failure::Limit) => Err(InflateError::TooLarge { len, max }),
    }
}

/// Entry point for fuzzing: the first byte chooses the type, the second the cap, the rest is the body; with
/// its top bit set, the first byte has the rest compressed first.
///
/// # Panics
/// When more than the cap comes out, another cap changes what comes out, or what was compressed doesn't come back.
#[doc(hidden)]
#[allow(clippy::expect_used, reason = "it is there to panic")]
pub fn fuzz_inflate(bytes: &[u8]) {
    let Some((&[first, second], body)) = bytes.split_first_chunk() else { return };
    let body = Bytes::copy_from_slice(body);
    let flags = sys_flag::COMPRESSED | (i32::from(first & 7) << 8);
    let Some(kind) = sys_flag::compression_type(flags).filter(|_| first >= 0x80) else {
        return check_caps(flags, &body, 1 << (second % 19));
    };
    let packed =
        Bytes::from(compress(kind, i32::from(second % 10), &body).expect("any body can be compressed"));
    assert_eq!(
        inflate(flags, &packed, body.len().max(1)).as_ref(),
        Ok(&body),
        "what was compressed comes back"
    );
    check_caps(flags, &packed, body.len() / 2);
}

/// Inflates to at most `cap` bytes, and to twice as many.
fn check_caps(flags: i32, body: &Bytes, cap: usize) {
    let more = inflate(flags, body, cap * 2);
    match inflate(flags, body, cap) {
        Ok(inflated) => {
            assert!(inflated.len() <= cap, "{} bytes came out, the cap is {cap}", inflated.len());
            assert_eq!(more, Ok(inflated), "the cap changes what comes out");
        }
        Err(InflateError::TooLarge { max, .. }) => {
            assert_eq!(max, cap);
            assert!(more.is_err() || more.is_ok_and(|more| more.len() > cap), "it isn't too large");
        }
        Err(error) => assert!(more.is_err(), "{error}, but not with a larger cap"),
    }
}

enum Failure {
    Corrupt(String),
    Limit,
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Corrupt(error.to_string())
    }
}

fn compress_zlib(level: i32, body: &[u8]) -> io::Result<Vec<u8>> {
    let level = flate2::Compression::new(level.clamp(0, 9).unsigned_abs());
    let mut encoder = ZlibEncoder::new(Vec::with_capacity(body.len() / 2 + 64), level);
    encoder.write_all(body)?;
    encoder.finish()
}

fn compress_lz4(body: &[u8]) -> io::Result<Vec<u8>> {
    // Java's reader takes frames of independent blocks only.
    let info = FrameInfo::new().block_mode(BlockMode::Independent);
    let mut encoder = FrameEncoder::with_frame_info(info, Vec::with_capacity(body.len() / 2 + 64));
    encoder.write_all(body)?;
    encoder.finish().map_err(io::Error::other)
}

/// Reads all of `reader`, whose input has `len` bytes, into memory that grows with what came out.
fn read_to_limit(reader: impl Read, len: usize, max: usize) -> Result<Vec<u8>, Failure> {
    let mut inflated = Vec::with_capacity(len.saturating_mul(2).min(max));
    let one_more = u64::try_from(max).unwrap_or(u64::MAX).saturating_add(1);
    reader.take(one_more).read_to_end(&mut inflated)?;
    if inflated.len() > max { Err(Failure::Limit) } else { Ok(inflated) }
}

/// Inflates frame after frame. Each is measured first: the library takes a frame that was torn
/// between its blocks for a whole one, and refuses frames that are to be skipped.
fn inflate_lz4(body: &[u8], max: usize) -> Result<Vec<u8>, Failure> {
    let mut inflated = Vec::new();
    let mut rest = body;
    for _ in 0..LZ4_FRAMES_MAX {
        if rest.is_empty() {
            return Ok(inflated);
        }
        let frame = lz4_frame(rest).ok_or_else(|| Failure::Corrupt("a frame is torn or none".to_string()))?;
        let (bytes, after) = rest.split_at_checked(frame.len).unwrap_or((rest, &[]));
        if !frame.skip {
            let more = read_to_limit(FrameDecoder::new(bytes), bytes.len(), max - inflated.len())?;
            if inflated.is_empty() {
                inflated = more;
            } else {
                inflated.extend_from_slice(&more);
            }
        }
        rest = after;
    }
    if rest.is_empty() { Ok(inflated) } else { Err(Failure::Corrupt("it has too many frames".to_string())) }
}

/// How many LZ4 frames one body may have: a body is one, and each costs a buffer of 4 MiB.
const LZ4_FRAMES_MAX: usize = 16;

/// An LZ4 frame at the start of some bytes.
struct Lz4Frame {
    len: usize,
    skip: bool,
}

/// The frame at the start of `bytes`, if all of it is there.
///
/// ```text
/// magic 4   flags 1   block size 1   (content size 8)   (dictionary 4)   header checksum 1
/// blocks (size 4, n, (checksum 4))   end mark 4   (content checksum 4)
/// ```
fn lz4_frame(bytes: &[u8]) -> Option<Lz4Frame> {
    let magic = u32_le_at(bytes, 0)?;
    if magic & 0xFFFF_FFF0 == 0x184D_2A50 {
        let len = usize::try_from(u32_le_at(bytes, 4)?).ok()?.checked_add(8)?;
        return (len <= bytes.len()).then_some(Lz4Frame { len, skip: true });
    }
    if magic != 0x184D_2204 {
        return None;
    }
    let flags = *bytes.get(4)?;
    let has = |bit: u8, len: usize| if flags & bit != 0 { len } else { 0 };
    let mut at = 7 + has(0x08, 8) + has(0x01, 4);
    loop {
        let size = usize::try_from(u32_le_at(bytes, at)? & 0x7FFF_FFFF).ok()?;
        at = at.checked_add(4)?;
        if size == 0 {
            break;
        }
        at = at.checked_add(size)?.checked_add(has(0x10, 4))?;
    }
    let len = at + has(0x04, 4);
    (len <= bytes.len()).then_some(Lz4Frame { len, skip: false })
}

fn u32_le_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().copied().map(u32::from_le_bytes)
}

/// Inflates in one go, so that the output is the window: a frame's header can't ask for memory.
/// Where the room doesn't suffice, the next try has twice as much, so the work is at most doubled.
fn inflate_zstd(body: &[u8], max: usize) -> Result<Vec<u8>, Failure> {
    let mut room = body.len().saturating_mul(4).max(16 * 1024).min(max);
    let mut decoder = zstd_safe::DCtx::create();
    loop {
        let mut inflated = Vec::with_capacity(room);
        match decoder.decompress(&mut inflated, body) {
            Ok(_) => return Ok(inflated),
            Err(code) if zstd_safe::get_error_name(code) == ZSTD_NO_ROOM => {}
            Err(code) => return Err(Failure::Corrupt(zstd_safe::get_error_name(code).to_string())),
        }
        if room >= max {
            return Err(Failure::Limit);
        }
        room = room.saturating_mul(2).min(max);
    }
}

/// How zstd says that the output didn't fit.
const ZSTD_NO_ROOM: &str = "Destination buffer is too small";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::{StoredMessage, body_crc};
    use crate::remoting::{RegisterBrokerBody, VERSION};
    use alloc::vec;
    use proptest::prelude::*;
    use serde_json::Value;

    const KINDS: [Compression; 3] = [Compression::Zlib, Compression::Lz4, Compression::Zstd];

    fn flags(kind: Compression) -> i32 {
        sys_flag::COMPRESSED | kind.bits()
    }

    fn packed(kind: Compression, body: &[u8]) -> Bytes {
        Bytes::from(compress(kind, LEVEL_DEFAULT, body).unwrap())
    }

    fn hex(digits: &Value) -> Bytes {
        let digits = digits.as_str().unwrap_or_default();
        (0..digits.len()).step_by(2).map(|i| u8::from_str_radix(&digits[i..i + 2], 16).unwrap()).collect()
    }

    #[test]
    fn bodies_that_java_compressed_inflate_to_what_java_reads() {
        let mut counts = [0; 3];
        for line in include_str!("../../../tests/golden/messages.jsonl").lines() {
            let vector: Value = serde_json::from_str(line).unwrap();
            if vector["decoded"].is_null() {
                continue;
            }
            let message = StoredMessage::decode(&hex(&vector["encoded_hex"])).unwrap();
            let body = inflate(message.sys_flag, message.raw_body(), INFLATED_BYTES_MAX).unwrap();
            assert_eq!(body, hex(&vector["decoded"]["body_hex"]), "{}", vector["name"]);
            if message.is_compressed() {
                let kind = sys_flag::compression_type(message.sys_flag).unwrap();
                counts[KINDS.iter().position(|k| *k == kind).unwrap()] += 1;
                assert_eq!(inflate(flags(kind), &packed(kind, &body), 1 << 20).unwrap(), body);
                let message = message.with_inflated_body(body);
                let after = vector["decoded"]["sys_flag_after"].as_i64().unwrap();
                assert_eq!(i64::from(message.sys_flag), after);
            }
        }
        writeln!(io::stderr(), "messages.jsonl: {counts:?} compressed bodies (zlib, lz4, zstd)").unwrap();
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    }

    #[test]
    fn a_registration_that_java_deflated_is_read_and_one_of_ours_inflates_to_the_same() {
        let file = include_str!("../../../tests/golden/bodies.jsonl");
        let vectors = file.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        let vector = vectors.into_iter().find(|vector| vector["hex"].is_string()).unwrap();
        let inflated = inflate(flags(Compression::Zlib), &hex(&vector["hex"]), 1 << 20).unwrap();
        let body = RegisterBrokerBody::decode_inflated(&inflated, VERSION).unwrap();
        assert_eq!(body.topic_config_serialize_wrapper.topic_config_table.len(), 2);
        assert_eq!(body.encode_inflated(), inflated);
        let ours = packed(Compression::Zlib, &body.encode_inflated());
        assert_eq!(inflate(flags(Compression::Zlib), &ours, 1 << 20).unwrap(), inflated);
    }

    #[test]
    fn lz4_is_a_frame_of_independent_blocks_because_java_reads_no_other() {
        let packed = packed(Compression::Lz4, &[7; 300_000]);
        assert_eq!(packed[..4], [0x04, 0x22, 0x4D, 0x18]);
        assert_eq!(packed[4] & 0x20, 0x20);
    }

    #[test]
    fn a_bomb_is_stopped_at_the_cap_or_by_its_ratio() {
        let zeros = vec![0; 6 * 1024 * 1024];
        for kind in KINDS {
            let body = packed(kind, &zeros);
            let error = inflate(flags(kind), &body, 1024 * 1024).unwrap_err();
            assert_eq!(error, InflateError::TooLarge { len: body.len(), max: 1024 * 1024 });
        }
        let body = packed(Compression::Zstd, &zeros);
        assert!(body.len() * INFLATE_RATIO_MAX < zeros.len());
        let error = inflate(flags(Compression::Zstd), &body, INFLATED_BYTES_MAX).unwrap_err();
        assert!(matches!(error, InflateError::Ratio { max: RATIO_FREE_BYTES, .. }), "{error}");
    }

    /// A zlib stream of `mib` MiB of zeros: a block that is flushed depends on none before it, so one is enough.
    fn zlib_bomb(mib: usize) -> Bytes {
        let mut encoder = ZlibEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.flush().unwrap();
        let start = encoder.get_ref().len();
        encoder.write_all(&vec![0; 1 << 20]).unwrap();
        encoder.flush().unwrap();
        let flushed = encoder.get_ref().clone();
        encoder.flush().unwrap();
        let mut bomb = flushed[..start].to_vec();
        bomb.extend(flushed[start..].repeat(mib));
        // The last block, which is empty, and the sum of zeros: their number in the high half, one in the low.
        let sum = u32::try_from((mib << 20) % 65_521 << 16 | 1).unwrap();
        bomb.extend([3, 0]);
        bomb.extend(sum.to_be_bytes());
        Bytes::from(bomb)
    }

    #[test]
    fn a_quarter_of_a_mebibyte_that_inflates_to_256_mib_stays_within_the_cap() {
        let whole = zlib_bomb(3);
        assert_eq!(inflate(flags(Compression::Zlib), &whole, INFLATED_BYTES_MAX).unwrap().len(), 3 << 20);
        let bomb = zlib_bomb(256);
        assert!((250_000..300_000).contains(&bomb.len()), "{}", bomb.len());
        for max in [100_000, INFLATED_BYTES_MAX] {
            let error = inflate(flags(Compression::Zlib), &bomb, max).unwrap_err();
            assert_eq!(error, InflateError::TooLarge { len: bomb.len(), max });
        }
    }

    #[test]
    fn the_seeds_are_harmless() {
        let seeds = crate::message::fuzz::tests::seeds("inflate");
        crate::message::fuzz::tests::run_over(&seeds, fuzz_inflate);
    }

    #[test]
    fn the_largest_body_of_zeros_that_a_broker_takes_arrives() {
        let zeros = vec![0; RATIO_FREE_BYTES];
        for kind in KINDS {
            let body = inflate(flags(kind), &packed(kind, &zeros), INFLATED_BYTES_MAX).unwrap();
            assert_eq!(body_crc(&body), body_crc(&zeros));
            assert!(inflate(flags(kind), &packed(kind, &zeros), RATIO_FREE_BYTES).is_ok());
            assert!(inflate(flags(kind), &packed(kind, &zeros), RATIO_FREE_BYTES - 1).is_err());
        }
    }

    #[test]
    fn a_zstd_header_that_asks_for_a_huge_window_gets_none() {
        let mut encoder = zstd::stream::Encoder::new(Vec::new(), 1).unwrap();
        encoder.window_log(27).unwrap();
        encoder.write_all(b"small").unwrap();
        let body = Bytes::from(encoder.finish().unwrap());
        assert_eq!(inflate(flags(Compression::Zstd), &body, 5).unwrap(), "small");
    }

    #[test]
    fn lz4_frames_may_follow_each_other_and_some_are_to_be_skipped() {
        let mut body = vec![0x5A, 0x2A, 0x4D, 0x18, 3, 0, 0, 0, 1, 2, 3];
        body.extend_from_slice(&packed(Compression::Lz4, b"one, "));
        body.extend_from_slice(&packed(Compression::Lz4, b"two"));
        let body = Bytes::from(body);
        assert_eq!(inflate(flags(Compression::Lz4), &body, 8).unwrap(), "one, two");
        assert!(matches!(inflate(flags(Compression::Lz4), &body, 7), Err(InflateError::TooLarge { .. })));
        let frame = packed(Compression::Lz4, b"x");
        for (frames, expected) in [(16, true), (17, false)] {
            let body = Bytes::from(frame.repeat(frames));
            assert_eq!(inflate(flags(Compression::Lz4), &body, 64).is_ok(), expected);
        }
    }

    #[test]
    fn a_torn_body_is_an_error_wherever_it_is_torn() {
        let text: Vec<u8> = (0..600_u32).flat_map(u32::to_be_bytes).collect();
        for kind in KINDS {
            let whole = packed(kind, &text);
            for len in 0..whole.len() {
                let torn = inflate(flags(kind), &whole.slice(..len), 1 << 20);
                assert!(matches!(torn, Err(InflateError::Corrupt { .. })), "{kind} at {len}: {torn:?}");
            }
        }
    }

    #[test]
    fn what_is_not_compressed_or_of_an_unknown_type_is_not_touched() {
        let body = Bytes::from_static(b"plain");
        assert_eq!(inflate(sys_flag::COMPRESSION_LZ4, &body, 1).unwrap(), body);
        let unknown = inflate(sys_flag::COMPRESSED | 0x500, &body, 1);
        assert_eq!(unknown, Err(InflateError::UnknownType { bits: 0x500 }));
        let error = inflate(flags(Compression::Lz4), &body, 1).unwrap_err().to_string();
        assert!(error.starts_with("the body of 5 bytes is no whole lz4 stream: "), "{error}");
    }

    proptest! {
        #[test]
        fn what_is_compressed_inflates_to_itself(body: Vec<u8>, repeat in 1..50_usize, level in -3..25_i32) {
            let body = body.repeat(repeat);
            for kind in KINDS {
                let packed = Bytes::from(compress(kind, level, &body).unwrap());
                prop_assert_eq!(&inflate(flags(kind), &packed, INFLATED_BYTES_MAX).unwrap(), &body);
            }
        }

        #[test]
        fn any_bytes_inflate_to_no_more_than_the_cap(bytes: Vec<u8>) {
            fuzz_inflate(&bytes);
        }

        #[test]
        fn no_cap_changes_what_inflates(kind in 0..3_usize, body: Vec<u8>, cap: u8) {
            let packed = packed(KINDS[kind], &body.repeat(9));
            let kind = u8::try_from(KINDS[kind].bits() >> 8).unwrap();
            fuzz_inflate(&[&[kind, cap][..], &packed].concat());
            fuzz_inflate(&[&[kind | 0x80, cap][..], &body].concat());
        }

        #[test]
        fn damage_is_harmless(kind in 0..3_usize, at: prop::sample::Index, byte: u8) {
            let mut bytes = packed(KINDS[kind], &b"some text, some text".repeat(40)).to_vec();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            let _ = inflate(flags(KINDS[kind]), &Bytes::from(bytes), 4_096).map(|b| assert!(b.len() <= 4_096));
        }
    }
}
