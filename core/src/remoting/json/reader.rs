//! Reads fastjson's dialect: bare numbers and whole objects as keys, single quotes, numbers in quotes.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

use super::{JsonError, JsonProblem, RawText, Scan};
use alloc::borrow::Cow;

/// What a value may take beyond four times its text.
const SPARE_BYTES: usize = 64 << 10;

/// A pull reader: the caller says what it expects, in the order of the text.
///
/// It recurses as deep as the caller's types nest, never as deep as the text does. Everything kept is charged
/// by [`JsonReader::charge`], so that a text can't take more than four times its length and 64 KiB.
#[derive(Debug)]
pub(crate) struct JsonReader<'a> {
    scan: Scan<'a>,
    bytes_left: usize,
}

/// A value that can be read.
pub(crate) trait FromJson: Sized + Default {
    /// Reads the value that comes next; null reads as the default.
    fn from_json(reader: &mut JsonReader<'_>) -> Result<Self, JsonError>;
}

impl<'a> JsonReader<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, JsonError> {
        let text = core::str::from_utf8(bytes)
            .map_err(|error| JsonError { at: error.valid_up_to(), problem: JsonProblem::Utf8 })?;
        let bytes_left = bytes.len().saturating_mul(4).saturating_add(SPARE_BYTES);
        Ok(Self { scan: Scan::new(text.as_bytes()), bytes_left })
    }

    /// Reads all of `bytes` as one value.
    pub(crate) fn whole<T: FromJson>(bytes: &'a [u8]) -> Result<T, JsonError> {
        let mut reader = Self::new(bytes)?;
        let value = T::from_json(&mut reader)?;
        match reader.scan.peek() {
            None => Ok(value),
            Some(_) => Err(reader.scan.error(JsonProblem::Trailing)),
        }
    }

    /// Takes `bytes` from what the value may take.
    pub(crate) fn charge(&mut self, bytes: usize) -> Result<(), JsonError> {
        self.bytes_left = self.bytes_left.checked_sub(bytes).ok_or(self.error(JsonProblem::Memory))?;
        Ok(())
    }

    pub(crate) const fn error(&self, problem: JsonProblem) -> JsonError {
        self.scan.error(problem)
    }

    /// Takes a null if one comes next.
    pub(crate) fn null(&mut self) -> bool {
        if self.scan.peek() != Some(b'n') {
            return false;
        }
        let before = self.scan.clone();
        let null = self.scan.word() == Ok(RawText::plain(b"null"));
        if !null {
            self.scan = before;
        }
        null
    }

    /// A string, in either quotes, or a bare word as text.
    pub(crate) fn text(&mut self) -> Result<Cow<'a, str>, JsonError> {
        Ok(self.raw_text()?.text())
    }

    /// A number, in quotes or not.
    pub(crate) fn number<T: core::str::FromStr>(&mut self, fits: &'static str) -> Result<T, JsonError> {
        let at = self.scan.clone();
        self.raw_text()?.raw_str().parse().map_err(|_| at.error(JsonProblem::Number(fits)))
    }

    fn raw_text(&mut self) -> Result<RawText<'a>, JsonError> {
        match self.scan.peek() {
            Some(quote @ (b'"' | b'\'')) => {
                self.scan.take(quote);
                self.scan.string_body(quote)
            }
            _ => self.scan.word(),
        }
    }

    /// True when an array comes next.
    pub(crate) fn at_array(&mut self) -> bool {
        self.scan.peek() == Some(b'[')
    }

    pub(crate) fn skip(&mut self) -> Result<(), JsonError> {
        self.scan.skip_value()
    }

    /// Reads an object whose keys are names; `field` reads the value of each. Null has no fields.
    pub(crate) fn object(
        &mut self,
        mut field: impl FnMut(&mut Self, &str) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.entries(|reader| {
            let key = reader.text()?;
            reader.colon()?;
            field(reader, &key)
        })
    }

    /// Reads an object; `entry` reads each key, [`JsonReader::colon`] and its value. Null has no entries.
    pub(crate) fn entries(
        &mut self,
        entry: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.items(b'{', b'}', "an object", entry)
    }

    /// Reads an array; `item` reads each value. Null has no items.
    pub(crate) fn array(
        &mut self,
        item: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        self.items(b'[', b']', "an array", item)
    }

    pub(crate) fn colon(&mut self) -> Result<(), JsonError> {
        self.scan.expect(b':', "a colon")
    }

    fn items(
        &mut self,
        open: u8,
        close: u8,
        expected: &'static str,
        mut item: impl FnMut(&mut Self) -> Result<(), JsonError>,
    ) -> Result<(), JsonError> {
        if self.null() {
            return Ok(());
        }
        self.scan.expect(open, expected)?;
        while !self.scan.take(close) {
            item(self)?;
            if !self.scan.take(b',') && self.scan.peek() != Some(close) {
                return Err(self.scan.unexpected("a comma or the end"));
            }
        }
        Ok(())
    }
}
