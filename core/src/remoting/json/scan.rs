//! A cursor over JSON text: strings, bare words, punctuation, and values nobody asked for.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

use super::{DEPTH_MAX, JsonError, JsonProblem, unescape};
use alloc::borrow::Cow;

/// A cursor over JSON text. Every method leaves it behind what it read.
#[derive(Clone, Debug)]
pub(crate) struct Scan<'a> {
    /// UTF-8; it is cut next to ASCII bytes only, so every piece of it is UTF-8, too.
    text: &'a [u8],
    at: usize,
}

/// A text as it stands on the wire: the contents of a JSON string, a bare word such as a number, or a field
/// of a binary header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RawText<'a> {
    pub(crate) raw: &'a [u8],
    /// Holds at least one backslash of JSON.
    pub(crate) escaped: bool,
}

impl<'a> RawText<'a> {
    /// A text without escapes.
    pub(crate) const fn plain(raw: &'a [u8]) -> Self {
        Self { raw, escaped: false }
    }

    /// What it says, borrowed unless it holds escapes. Frames were checked to be UTF-8 when they were cut.
    #[must_use]
    #[inline]
    pub fn text(self) -> Cow<'a, str> {
        if self.escaped { unescape(self.raw_str()) } else { Cow::Borrowed(self.raw_str()) }
    }

    /// As it stands there, escapes included.
    pub(crate) fn raw_str(self) -> &'a str {
        core::str::from_utf8(self.raw).unwrap_or_default()
    }

    /// True when it says nothing.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.raw.is_empty()
    }

    /// The number it says, as `str::parse` reads it.
    #[must_use]
    #[inline]
    pub fn integer(self) -> Option<i64> {
        /// Any so many digits fit 64 bits without a sign.
        const DIGITS_MAX: usize = 19;
        let (negative, digits) = match self.raw {
            [b'-', digits @ ..] => (true, digits),
            [b'+', digits @ ..] => (false, digits),
            digits => (false, digits),
        };
        if self.escaped || !(1..=DIGITS_MAX).contains(&digits.len()) {
            return self.text().parse().ok();
        }
        let mut number = 0_u64;
        for digit in digits {
            let digit = digit.wrapping_sub(b'0');
            if digit > 9 {
                return None;
            }
            number = number * 10 + u64::from(digit);
        }
        if negative { 0_i64.checked_sub_unsigned(number) } else { i64::try_from(number).ok() }
    }
}

impl<'a> Scan<'a> {
    /// A cursor at the start of `text`, which the caller has checked to be UTF-8.
    pub(crate) const fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }

    pub(crate) const fn at(&self) -> usize {
        self.at
    }

    pub(crate) const fn error(&self, problem: JsonProblem) -> JsonError {
        JsonError { at: self.at, problem }
    }

    /// The next byte that is no white space, without taking it.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        loop {
            match self.text.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Takes `byte` if it comes next.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        // Headers have no white space.
        let found = self.text.get(self.at) == Some(&byte) || self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// Takes `byte` or fails with what was `expected`.
    #[inline]
    pub(crate) fn expect(&mut self, byte: u8, expected: &'static str) -> Result<(), JsonError> {
        if self.take(byte) { Ok(()) } else { Err(self.unexpected(expected)) }
    }

    /// The error for whatever comes next.
    #[cold]
    pub(crate) fn unexpected(&mut self, expected: &'static str) -> JsonError {
        let problem = match self.peek() {
            None => JsonProblem::End,
            Some(_) => JsonProblem::Expected(expected),
        };
        self.error(problem)
    }

    /// A string in double quotes.
    #[inline]
    pub(crate) fn string(&mut self) -> Result<RawText<'a>, JsonError> {
        self.expect(b'"', "a string")?;
        let rest = self.text.get(self.at..).unwrap_or_default();
        match plain_len(rest) {
            Some(len) => {
                self.at += len + 1;
                Ok(RawText::plain(rest.get(..len).unwrap_or_default()))
            }
            None => self.string_body(b'"'),
        }
    }

    /// The rest of a string whose opening `quote` is taken.
    pub(crate) fn string_body(&mut self, quote: u8) -> Result<RawText<'a>, JsonError> {
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.text.get(self.at..).unwrap_or_default();
            let Some(offset) = find_either(rest, quote, b'\\') else {
                self.at = self.text.len();
                return Err(self.error(JsonProblem::End));
            };
            self.at += offset;
            if rest.get(offset) == Some(&quote) {
                let raw = self.text.get(start..self.at).unwrap_or_default();
                self.at += 1;
                return Ok(RawText { raw, escaped });
            }
            escaped = true;
            // The backslash and the byte it protects; a multi-byte character's tail holds neither quote nor backslash.
            self.at = (self.at + 2).min(self.text.len());
        }
    }

    /// A run of bytes up to the next punctuation: a number, `true`, `false`, `null`, a bare key.
    #[inline]
    pub(crate) fn word(&mut self) -> Result<RawText<'a>, JsonError> {
        self.peek();
        let rest = self.text.get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|&byte| ends_word(byte)).unwrap_or(rest.len());
        if len == 0 {
            return Err(self.unexpected("a value"));
        }
        self.at += len;
        Ok(RawText::plain(rest.get(..len).unwrap_or_default()))
    }

    /// Passes over one value of any kind, nested or not.
    pub(crate) fn skip_value(&mut self) -> Result<(), JsonError> {
        let mut depth = 0;
        let mut kinds = 0_u64; // one bit a level, set for objects
        loop {
            match self.peek() {
                Some(quote @ (b'"' | b'\'')) => {
                    self.at += 1;
                    self.string_body(quote)?;
                }
                Some(open @ (b'{' | b'[')) => {
                    if depth == DEPTH_MAX {
                        return Err(self.error(JsonProblem::Depth));
                    }
                    self.at += 1;
                    depth += 1;
                    kinds = kinds << 1 | u64::from(open == b'{');
                }
                Some(close @ (b'}' | b']')) => {
                    if depth == 0 || (kinds & 1 == 1) != (close == b'}') {
                        return Err(self.unexpected("a value"));
                    }
                    self.at += 1;
                    depth -= 1;
                    kinds >>= 1;
                }
                Some(b',' | b':') if depth > 0 => self.at += 1,
                _ => {
                    self.word()?;
                }
            }
            if depth == 0 {
                return Ok(());
            }
        }
    }
}

/// The length of a string whose opening quote is taken, if it ends and has no escapes.
#[inline(always)]
pub(crate) fn plain_len(bytes: &[u8]) -> Option<usize> {
    find_either(bytes, b'"', b'\\').filter(|len| bytes.get(*len) == Some(&b'"'))
}

/// The first of two bytes in `bytes`. Keys and values are short, so eight bytes at once beat a vector search.
#[inline(always)]
fn find_either(bytes: &[u8], one: u8, other: u8) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let mut at = 0;
    let mut rest = bytes;
    while let Some((word, after)) = rest.split_first_chunk::<8>() {
        let word = u64::from_le_bytes(*word);
        // A zero byte is where they are equal; a borrow only travels upwards, so the lowest hit is exact.
        let one = word ^ (ONES * u64::from(one));
        let other = word ^ (ONES * u64::from(other));
        let hits = ((one.wrapping_sub(ONES) & !one) | (other.wrapping_sub(ONES) & !other)) & TOPS;
        if hits != 0 {
            return Some(at + (hits.trailing_zeros() / 8) as usize);
        }
        at += 8;
        rest = after;
    }
    rest.iter().position(|&byte| byte == one || byte == other).map(|offset| at + offset)
}

const fn ends_word(byte: u8) -> bool {
    matches!(byte, b' ' | b'\n' | b'\r' | b'\t' | b',' | b':' | b'{' | b'}' | b'[' | b']' | b'"' | b'\'')
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use alloc::{format, string::String};

    fn skip(text: &str) -> Result<usize, JsonProblem> {
        let mut scan = Scan::new(text.as_bytes());
        scan.skip_value().map(|()| scan.at()).map_err(|error| error.problem)
    }

    #[test]
    fn a_skipped_value_ends_where_it_ends() {
        for (text, end) in [
            ("1,", 1),
            (r#""a\"b" ,"#, 6),
            (r#"{"a":[1,{"b":"}]"}],"c":null} ,"#, 29),
            ("{0:'}'},", 7),
            (r#"{{"topic":"T"}:1}x"#, 17),
        ] {
            assert_eq!(skip(text), Ok(end), "{text}");
        }
    }

    #[test]
    fn a_broken_value_is_an_error() {
        for text in ["", "{", "[}", "]", "\"a", "\"a\\", "{\"a\":[1}", ",", "'"] {
            assert!(skip(text).is_err(), "{text}");
        }
    }

    #[test]
    fn nesting_is_bounded_without_recursion() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert_eq!(skip(&nested(64)), Ok(128));
        assert_eq!(skip(&nested(65)), Err(JsonProblem::Depth));
        assert_eq!(skip(&"{\"a\":".repeat(200_000)), Err(JsonProblem::Depth));
    }

    proptest::proptest! {
        #[test]
        fn integers_are_read_as_the_library_reads_them(
            number: i64, text in "[-+]?[0-9]{0,21}", any in ".{0,4}", zeros in 0_usize..25
        ) {
            for text in [format!("{number}"), format!("{}{number}", "0".repeat(zeros)), text, any] {
                let read = RawText::plain(text.as_bytes()).integer();
                proptest::prop_assert_eq!(read, text.parse::<i64>().ok(), "{}", text);
            }
        }

        #[test]
        fn eight_bytes_at_once_find_what_one_at_a_time_finds(bytes in "[!\"#\\\\\\[\u{7f}-\u{a3}]{0,30}") {
            let bytes = bytes.as_bytes();
            for from in 0..bytes.len() {
                let plain = bytes[from..].iter().position(|&byte| byte == b'"' || byte == b'\\');
                proptest::prop_assert_eq!(find_either(&bytes[from..], b'"', b'\\'), plain);
            }
        }
    }

    #[test]
    fn an_escape_before_a_wide_character_is_passed() {
        assert_eq!(skip("\"\\é\""), Ok(5));
        assert_eq!(
            Scan::new("\"\\é\\\\\"".as_bytes()).string().map(|text| String::from(text.text())),
            Ok("é\\".into())
        );
    }
}
