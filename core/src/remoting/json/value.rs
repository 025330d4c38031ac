//! Typed values in fastjson's dialect: what bodies are made of.
//!
//! Only types nest here, never the input: a value that is deeper than its type is an error or is passed
//! over by the scanner, which does not recurse.
#![cfg_attr(
    not(test),
    deny(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)
)]

use super::{JsonError, JsonProblem, Scan, escape};
use alloc::{borrow::Cow, collections::BTreeMap, string::String, sync::Arc, vec::Vec};
use bytes::{Bytes, BytesMut};

/// A list may take this many times the bytes of its text.
const GROWTH_MAX: usize = 8;
/// And this much in any case.
const GROWTH_FREE_BYTES: usize = 4_096;

/// A value that can be read from JSON and written as JSON.
pub trait Json: Sized {
    /// Reads the value at the cursor.
    ///
    /// # Errors
    /// [`JsonError`] when the text is not the JSON of such a value.
    #[doc(hidden)]
    fn read(scan: &mut Scan<'_>) -> Result<Self, JsonError>;

    /// Appends the value.
    #[doc(hidden)]
    fn write(&self, out: &mut BytesMut);

    /// Whether the field that holds it is left out.
    #[doc(hidden)]
    fn is_absent(&self) -> bool {
        false
    }

    /// Reads a body.
    ///
    /// # Errors
    /// [`JsonError`] when the bytes are not the JSON of such a value, and nothing else.
    fn decode(body: &[u8]) -> Result<Self, JsonError> {
        let text = core::str::from_utf8(body)
            .map_err(|error| JsonError { at: error.valid_up_to(), problem: JsonProblem::Utf8 })?;
        let mut scan = Scan::new(text);
        let value = Self::read(&mut scan)?;
        if scan.peek().is_some() { Err(scan.error(JsonProblem::Trailing)) } else { Ok(value) }
    }

    /// Writes a body.
    fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(256);
        self.write(&mut out);
        out.freeze()
    }
}

/// A value that can be the key of a map: text, a bare number, or an object.
pub trait JsonKey: Ord + Sized {
    #[doc(hidden)]
    fn read_key(scan: &mut Scan<'_>) -> Result<Self, JsonError>;

    #[doc(hidden)]
    fn write_key(&self, out: &mut BytesMut);
}

/// A string, or a number or boolean as its text.
pub(crate) fn read_text<'a>(scan: &mut Scan<'a>) -> Result<Cow<'a, str>, JsonError> {
    match scan.peek() {
        Some(quote @ (b'"' | b'\'')) => {
            scan.take(quote);
            Ok(scan.string_body(quote)?.unescaped())
        }
        _ => scan.word().map(Cow::Borrowed),
    }
}

/// Takes `null` if it comes next.
pub(crate) fn take_null(scan: &mut Scan<'_>) -> bool {
    let mut ahead = scan.clone();
    let null = ahead.peek() == Some(b'n') && ahead.word() == Ok("null");
    if null {
        *scan = ahead;
    }
    null
}

/// Reads `{key: value, …}`; `field` reads each value.
pub(crate) fn read_object<K>(
    scan: &mut Scan<'_>,
    mut key: impl FnMut(&mut Scan<'_>) -> Result<K, JsonError>,
    mut field: impl FnMut(K, &mut Scan<'_>) -> Result<(), JsonError>,
) -> Result<(), JsonError> {
    scan.expect(b'{', "an object")?;
    if scan.take(b'}') {
        return Ok(());
    }
    loop {
        let name = key(scan)?;
        scan.expect(b':', "':'")?;
        field(name, scan)?;
        if scan.take(b'}') {
            return Ok(());
        }
        scan.expect(b',', "',' or '}'")?;
    }
}

pub(crate) fn write_text(out: &mut BytesMut, text: &str) {
    out.extend_from_slice(b"\"");
    escape(out, text);
    out.extend_from_slice(b"\"");
}

impl Json for Arc<str> {
    fn read(scan: &mut Scan<'_>) -> Result<Self, JsonError> {
        Ok(read_text(scan)?.into())
    }

    fn write(&self, out: &mut BytesMut) {
        write_text(out, self);
    }
}

impl Json for String {
    fn read(scan: &mut Scan<'_>) -> Result<Self, JsonError> {
        Ok(read_text(scan)?.into_owned())
    }

    fn write(&self, out: &mut BytesMut) {
        write_text(out, self);
    }
}

impl Json for bool {
    fn read(scan: &mut Scan<'_>) -> Result<Self, JsonError> {
        Ok(read_text(scan)?.eq_ignore_ascii_case("true"))
    }

    fn write(&self, out: &mut BytesMut) {
        out.extend_from_slice(if *self { b"true" } else { b"false" });
    }
}

macro_rules! numbers {
    ($($type:ident)*) => {$(
        impl Json for $type {
            fn read(scan: &mut Scan<'_>) -> Result<Self, JsonError> {
                let text = read_text(scan)?;
                text.parse().map_err(|_| scan.error(JsonProblem::Number(stringify!($type))))
            }

            fn write(&self, out: &mut BytesMut) {
                out.extend_from_slice(itoa::Buffer::new().format(*self).as_bytes());
            }
        }

        impl JsonKey for $type {
            fn read_key(scan: &mut Scan<'_>) -> Result<Self, JsonError> {
                Self::read(scan)
            }

            fn write_key(&self, out: &mut BytesMut) {
                self.write(out);
            }
        }
    )*};
}
numbers!(i32 i64);

impl Json for f64 {
    fn read(scan: &mut Scan<'_>) -> Result<Self, JsonError> {
        let text = read_text(scan)?;
        text.parse().map_err(|_| scan.error(JsonProblem::Number("f64")))
    }

    fn write(&self, out: &mut BytesMut) {
        let text = if self.is_finite() { alloc::format!("{self:?}") } else { "null".into() };
        out.extend_from_slice(text.as_bytes());
    }
}

impl JsonKey for Arc<str> {
    fn read_key(scan: &mut Scan<'_>) -> Result<Self, JsonError> {
        Self::read(scan)
    }

    fn write_key(&self, out: &mut BytesMut) {
        self.write(out);
    }
}

impl<T: Json> Json for Option<T> {
    fn read(scan: &mut Scan<'_>) -> Result<Self, JsonError> {
        if take_null(scan) { Ok(None) } else { T::read(scan).map(Some) }
    }

    fn write(&self, out: &mut BytesMut) {
        match self {
            Some(value) => value.write(out),
            None => out.extend_from_slice(b"null"),
        }
    }

    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

impl<T: Json> Json for Vec<T> {
    fn read(scan: &mut Scan<'_>) -> Result<Self, JsonError> {
        scan.expect(b'[', "a list")?;
        let mut list = Self::new();
        if scan.take(b']') {
            return Ok(list);
        }
        let from = scan.at();
        loop {
            list.push(T::read(scan)?);
            let text_bytes = scan.at() - from;
            if list.len() * size_of::<T>() > text_bytes * GROWTH_MAX + GROWTH_FREE_BYTES {
                return Err(scan.error(JsonProblem::Memory));
            }
            if scan.take(b']') {
                return Ok(list);
            }
            scan.expect(b',', "',' or ']'")?;
        }
    }

    fn write(&self, out: &mut BytesMut) {
        out.extend_from_slice(b"[");
        for (index, value) in self.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b",");
            }
            value.write(out);
        }
        out.extend_from_slice(b"]");
    }
}

impl<K: JsonKey, V: Json> Json for BTreeMap<K, V> {
    fn read(scan: &mut Scan<'_>) -> Result<Self, JsonError> {
        let mut map = Self::new();
        let from = scan.at();
        read_object(scan, K::read_key, |key, scan| {
            map.insert(key, V::read(scan)?);
            let text_bytes = scan.at() - from;
            if map.len() * (size_of::<K>() + size_of::<V>()) > text_bytes * GROWTH_MAX + GROWTH_FREE_BYTES {
                return Err(scan.error(JsonProblem::Memory));
            }
            Ok(())
        })?;
        Ok(map)
    }

    fn write(&self, out: &mut BytesMut) {
        out.extend_from_slice(b"{");
        for (index, (key, value)) in self.iter().enumerate() {
            if index > 0 {
                out.extend_from_slice(b",");
            }
            key.write_key(out);
            out.extend_from_slice(b":");
            value.write(out);
        }
        out.extend_from_slice(b"}");
    }
}

/// Declares bodies: one declaration gives the struct, its defaults, and both directions. Fields that are
/// absent or `null` keep their default; fields that are not known are passed over.
macro_rules! bodies {
    ($(
        $(#[$doc:meta])*
        $name:ident {
            $($(#[$field_doc:meta])* $field:ident: $wire:literal $type:ty $(= $default:expr)?,)*
        }
    )*) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq)]
        pub struct $name {
            $(
                $(#[$field_doc])*
                #[doc = concat!("\n\n`", $wire, "` on the wire.")]
                pub $field: $type,
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $crate::remoting::json::body_default!($($default)?),)* }
            }
        }

        impl $crate::remoting::Json for $name {
            fn read(
                scan: &mut $crate::remoting::json::Scan<'_>,
            ) -> Result<Self, $crate::remoting::JsonError> {
                use $crate::remoting::json::{read_object, read_text, take_null};
                let mut body = Self::default();
                read_object(scan, |scan| Ok(alloc::string::String::from(read_text(scan)?)), |key, scan| {
                    match key.as_str() {
                        $($wire => if !take_null(scan) {
                            body.$field = $crate::remoting::Json::read(scan)?;
                        },)*
                        _ => scan.skip_value()?,
                    }
                    Ok(())
                })?;
                Ok(body)
            }

            fn write(&self, out: &mut bytes::BytesMut) {
                let start = out.len();
                $(
                    if !$crate::remoting::Json::is_absent(&self.$field) {
                        out.extend_from_slice(if out.len() == start { b"{" } else { b"," });
                        out.extend_from_slice(concat!("\"", $wire, "\":").as_bytes());
                        $crate::remoting::Json::write(&self.$field, out);
                    }
                )*
                out.extend_from_slice(if out.len() == start { b"{}" } else { b"}" });
            }
        }
    )*};
}

macro_rules! body_default {
    () => {
        Default::default()
    };
    ($default:expr) => {
        $default
    };
}

pub(crate) use {bodies, body_default};

#[cfg(test)]
mod tests {
    use super::*;

    bodies! {
        /// One.
        One {
            /// A.
            a: "a" i64 = 7,
            /// B.
            b: "b" Option<Arc<str>>,
            /// M.
            m: "m" BTreeMap<i64, Vec<i32>>,
        }
    }

    #[test]
    fn the_dialect_is_read_and_the_plain_form_is_written() {
        let one =
            One::decode(b" {'b':\"x\\n\", m:{0:[1,2],\"-1\":[]}, \"other\":{{\"k\":[1]}:2}, \"a\":\"12\"} ");
        let one = one.expect("fastjson's dialect");
        assert_eq!(&one.encode()[..], br#"{"a":12,"b":"x\n","m":{-1:[],0:[1,2]}}"#);
        assert_eq!(One::decode(b"{\"a\":null}").expect("null").a, 7);
    }

    #[test]
    fn what_is_not_such_a_value_is_an_error() {
        for text in ["", "{", "[]", "{\"a\":1}x", "{\"a\":1e400}", "{\"a\":}", "{\"m\":{x:[]}}", "{\"a\" 1}"]
        {
            assert!(One::decode(text.as_bytes()).is_err(), "{text}");
        }
        assert!(One::decode(b"\xff").is_err());
    }

    #[test]
    fn a_list_of_nothings_may_not_take_far_more_memory_than_its_text() {
        let text = alloc::format!("[{}{{}}]", "{},".repeat(100_000));
        let result: Result<Vec<One>, JsonError> = Vec::decode(text.as_bytes());
        assert_eq!(result.map_err(|error| error.problem).map(|list| list.len()), Err(JsonProblem::Memory));
    }
}
