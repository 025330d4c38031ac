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
    text: &'a str,
    at: usize,
}

/// The contents of a string, or a bare word such as a number, as written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Text<'a> {
    pub(crate) raw: &'a str,
    /// Holds at least one backslash.
    pub(crate) escaped: bool,
}

impl<'a> Text<'a> {
    pub(crate) fn unescaped(self) -> Cow<'a, str> {
        if self.escaped { unescape(self.raw) } else { Cow::Borrowed(self.raw) }
    }
}

impl<'a> Scan<'a> {
    pub(crate) const fn new(text: &'a str) -> Self {
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
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at) {
                Some(b' ' | b'\n' | b'\r' | b'\t') => self.at += 1,
                other => return other.copied(),
            }
        }
    }

    /// Takes `byte` if it comes next.
    #[inline]
    pub(crate) fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
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
    pub(crate) fn string(&mut self) -> Result<Text<'a>, JsonError> {
        self.expect(b'"', "a string")?;
        self.string_body(b'"')
    }

    /// The rest of a string whose opening `quote` is taken.
    #[inline]
    pub(crate) fn string_body(&mut self, quote: u8) -> Result<Text<'a>, JsonError> {
        let start = self.at;
        let mut escaped = false;
        loop {
            let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
            let Some(offset) = find_either(rest, quote, b'\\') else {
                self.at = self.text.len();
                return Err(self.error(JsonProblem::End));
            };
            self.at += offset;
            if rest.get(offset) == Some(&quote) {
                let raw = self.text.get(start..self.at).unwrap_or_default();
                self.at += 1;
                return Ok(Text { raw, escaped });
            }
            escaped = true;
            // The backslash and the byte it protects; a multi-byte character's tail holds neither quote nor backslash.
            self.at = (self.at + 2).min(self.text.len());
        }
    }

    /// A run of bytes up to the next punctuation: a number, `true`, `false`, `null`, a bare key.
    #[inline]
    pub(crate) fn word(&mut self) -> Result<&'a str, JsonError> {
        self.peek();
        let rest = self.text.as_bytes().get(self.at..).unwrap_or_default();
        let len = rest.iter().position(|&byte| ends_word(byte)).unwrap_or(rest.len());
        if len == 0 {
            return Err(self.unexpected("a value"));
        }
        let word = self.text.get(self.at..self.at + len).unwrap_or_default();
        self.at += len;
        Ok(word)
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

/// The first of two bytes in `bytes`. Keys and values are short, so eight bytes at once beat a vector search.
#[inline]
fn find_either(bytes: &[u8], one: u8, other: u8) -> Option<usize> {
    const ONES: u64 = 0x0101_0101_0101_0101;
    const TOPS: u64 = 0x8080_8080_8080_8080;
    let (words, tail) = bytes.as_chunks::<8>();
    for (number, word) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*word);
        // A zero byte is where they are equal; a borrow only travels upwards, so the lowest hit is exact.
        let one = word ^ (ONES * u64::from(one));
        let other = word ^ (ONES * u64::from(other));
        let hits = ((one.wrapping_sub(ONES) & !one) | (other.wrapping_sub(ONES) & !other)) & TOPS;
        if hits != 0 {
            return Some(number * 8 + (hits.trailing_zeros() / 8) as usize);
        }
    }
    let in_tail = tail.iter().position(|&byte| byte == one || byte == other)?;
    Some(words.len() * 8 + in_tail)
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
        let mut scan = Scan::new(text);
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
            Scan::new("\"\\é\\\\\"").string().map(|text| String::from(text.unescaped())),
            Ok("é\\".into())
        );
    }
}
