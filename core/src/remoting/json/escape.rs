//! Text to JSON string contents and back.

use alloc::{borrow::Cow, string::String};
use bytes::BytesMut;

/// Appends `text` as the contents of a JSON string, without the quotes.
pub(crate) fn escape(out: &mut BytesMut, text: &str) {
    let bytes = text.as_bytes();
    let plain = find_special(bytes).unwrap_or(bytes.len());
    let (plain, rest) = bytes.split_at_checked(plain).unwrap_or_default();
    out.extend_from_slice(plain);
    if !rest.is_empty() {
        escape_in_chunks(out, rest);
    }
}

/// Properties are short pieces between separators that need escapes: putting them together on the stack costs
/// less than appending every piece.
fn escape_in_chunks(out: &mut BytesMut, bytes: &[u8]) {
    let mut chunk = Chunk { bytes: [0; CHUNK_BYTES], len: 0 };
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        chunk.flush_if_full(out);
        chunk.put(*word);
        let special = special_bytes(u64::from_le_bytes(*word));
        if special == 0 {
            chunk.len += 8;
            rest = after;
            continue;
        }
        let plain = (special.trailing_zeros() / 8) as usize;
        chunk.len += plain;
        let Some((&byte, after)) = rest.get(plain..).and_then(<[u8]>::split_first) else { break };
        chunk.put_escaped(byte);
        rest = after;
    }
    for &byte in rest {
        chunk.flush_if_full(out);
        if is_special(byte) {
            chunk.put_escaped(byte);
        } else {
            chunk.put([byte, 0, 0, 0, 0, 0, 0, 0]);
            chunk.len += 1;
        }
    }
    chunk.flush(out);
}

const CHUNK_BYTES: usize = 128;

struct Chunk {
    bytes: [u8; CHUNK_BYTES],
    len: usize,
}

impl Chunk {
    /// Makes room for two words.
    #[inline]
    fn flush_if_full(&mut self, out: &mut BytesMut) {
        if self.len > CHUNK_BYTES - 16 {
            self.flush(out);
        }
    }

    fn flush(&mut self, out: &mut BytesMut) {
        out.extend_from_slice(self.bytes.get(..self.len).unwrap_or_default());
        self.len = 0;
    }

    /// Writes a word; how much of it counts is the caller's to say.
    #[inline]
    fn put(&mut self, word: [u8; 8]) {
        if let Some(place) = self.bytes.get_mut(self.len..self.len + 8) {
            place.copy_from_slice(&word);
        }
    }

    #[inline]
    fn put_escaped(&mut self, byte: u8) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        let short = match byte {
            b'"' | b'\\' => Some(byte),
            b'\n' => Some(b'n'),
            b'\r' => Some(b'r'),
            b'\t' => Some(b't'),
            0x08 => Some(b'b'),
            0x0C => Some(b'f'),
            _ => None,
        };
        match short {
            Some(letter) => {
                self.put([b'\\', letter, 0, 0, 0, 0, 0, 0]);
                self.len += 2;
            }
            None => {
                let nibble = |shift: u8| HEX.get(usize::from((byte >> shift) & 15)).copied().unwrap_or(b'0');
                self.put([b'\\', b'u', b'0', b'0', nibble(4), nibble(0), 0, 0]);
                self.len += 6;
            }
        }
    }
}

/// The first byte that can't stand in a JSON string as it is.
fn find_special(bytes: &[u8]) -> Option<usize> {
    let mut rest = bytes;
    let mut at = 0;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let special = special_bytes(u64::from_le_bytes(*word));
        if special != 0 {
            return Some(at + (special.trailing_zeros() / 8) as usize);
        }
        at += 8;
        rest = after;
    }
    rest.iter().position(|&byte| is_special(byte)).map(|offset| at + offset)
}

const fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// Eight bytes at once: the top bit of the lowest special byte is set, and no bit below it.
const fn special_bytes(word: u64) -> u64 {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    // A borrow only travels upwards, so the lowest bit found is exact.
    let below_space = word.wrapping_sub(ONES * 0x20) & !word;
    let quote = word ^ (ONES * b'"' as u64);
    let backslash = word ^ (ONES * b'\\' as u64);
    let equal = (quote.wrapping_sub(ONES) & !quote) | (backslash.wrapping_sub(ONES) & !backslash);
    (below_space | equal) & TOPS
}

/// The text of a JSON string's contents. Total: an escape that means nothing stands for its character,
/// and a half of a surrogate pair becomes U+FFFD, since Java strings may hold one and ours can't.
pub(crate) fn unescape(raw: &str) -> Cow<'_, str> {
    let Some(first) = memchr::memchr(b'\\', raw.as_bytes()) else {
        return Cow::Borrowed(raw);
    };
    let mut text = String::with_capacity(raw.len());
    text.push_str(raw.get(..first).unwrap_or_default());
    let mut rest = raw.get(first..).unwrap_or_default();
    while let Some(after) = rest.strip_prefix('\\') {
        rest = push_escape(&mut text, after);
        let next = memchr::memchr(b'\\', rest.as_bytes()).unwrap_or(rest.len());
        text.push_str(rest.get(..next).unwrap_or_default());
        rest = rest.get(next..).unwrap_or_default();
    }
    Cow::Owned(text)
}

/// Appends what the escape after a backslash stands for; gives what follows it.
fn push_escape<'a>(text: &mut String, after: &'a str) -> &'a str {
    let mut chars = after.chars();
    let plain = match chars.next() {
        None => '\u{FFFD}',
        Some('n') => '\n',
        Some('r') => '\r',
        Some('t') => '\t',
        Some('b') => '\u{8}',
        Some('f') => '\u{C}',
        Some('v') => '\u{B}',
        Some('u') => return push_unicode(text, chars.as_str()),
        Some('x') => {
            let (code, rest) = hex(chars.as_str(), 2);
            text.push(code.and_then(char::from_u32).unwrap_or('\u{FFFD}'));
            return rest;
        }
        Some(digit @ '0'..='7') => char::from(digit as u8 - b'0'),
        Some(other) => other,
    };
    text.push(plain);
    chars.as_str()
}

fn push_unicode<'a>(text: &mut String, digits: &'a str) -> &'a str {
    let (code, rest) = hex(digits, 4);
    let Some(code) = code else {
        text.push('\u{FFFD}');
        return rest;
    };
    if (0xD800..0xDC00).contains(&code)
        && let Some(low) = rest.strip_prefix("\\u")
        && let (Some(low @ 0xDC00..=0xDFFF), rest) = hex(low, 4)
    {
        let joined = 0x1_0000 + ((code - 0xD800) << 10) + (low - 0xDC00);
        text.push(char::from_u32(joined).unwrap_or('\u{FFFD}'));
        return rest;
    }
    text.push(char::from_u32(code).unwrap_or('\u{FFFD}'));
    rest
}

/// The number of exactly `len` hexadecimal digits and what follows them; all of `text` when they aren't there.
fn hex(text: &str, len: usize) -> (Option<u32>, &str) {
    match (text.get(..len), text.get(len..)) {
        (Some(digits), Some(rest)) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => {
            (u32::from_str_radix(digits, 16).ok(), rest)
        }
        _ => (None, text),
    }
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    fn escaped(text: &str) -> String {
        let mut out = BytesMut::new();
        escape(&mut out, text);
        String::from_utf8(out.to_vec()).unwrap()
    }

    #[test]
    fn every_escape_a_java_peer_writes_is_read() {
        for (raw, text) in [
            (r"a\u0001b\u0002", "a\u{1}b\u{2}"),
            (r#"\"\\\/\n\r\t\b\f"#, "\"\\/\n\r\t\u{8}\u{C}"),
            (r"\uD83D\uDE00", "\u{1F600}"),
            (r"\v\'\x41\0", "\u{B}'A\0"),
            (r"\uD83Dx", "\u{FFFD}x"),
            (r"\uD83D\u0041", "\u{FFFD}A"),
            (r"\uZZ", "\u{FFFD}ZZ"),
            (r"\u00é", "\u{FFFD}00é"),
            (r"\", "\u{FFFD}"),
        ] {
            assert_eq!(unescape(raw), text, "{raw}");
        }
    }

    proptest! {
        #[test]
        fn escaped_text_is_json_and_comes_back(text: String, control in "[\\x00-\\x2f\\\\a]{0,40}") {
            for text in [text, control] {
                let json = std::format!("\"{}\"", escaped(&text));
                prop_assert_eq!(&serde_json::from_str::<String>(&json).unwrap(), &text);
                let raw = escaped(&text);
                prop_assert_eq!(&*unescape(&raw), &*text);
            }
        }

        #[test]
        fn unescape_agrees_with_serde(json in r#"([a-zé]|\\n|\\u00[0-7]F|\\\\|\\"){0,20}"#) {
            let quoted = std::format!("\"{json}\"");
            prop_assert_eq!(&*unescape(&json), &*serde_json::from_str::<String>(&quoted).unwrap());
        }
    }
}
