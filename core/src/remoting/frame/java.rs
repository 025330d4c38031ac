//! The form in which Java peers and this client write every JSON header: keys in alphabetical order, no white
//! space, ext fields as strings. It is read with a few comparisons; whatever differs, be it valid or not, is
//! left to the reader of any JSON.

use super::{Head, LanguageCode, SerializeType};
use crate::remoting::json::plain_len;

/// What the reader of any JSON would read, or `None` when the header is not in this form.
pub(super) fn parse(text: &[u8]) -> Option<Head> {
    if !text.is_ascii() {
        return None;
    }
    let mut head = Head::empty(SerializeType::Json);
    let mut rest = text.strip_prefix(b"{\"code\":")?;
    head.code = int(&mut rest)?;
    if let Some(after) = rest.strip_prefix(b",\"extFields\":") {
        rest = ext_fields(&mut head, after, text.len() - after.len())?;
    }
    rest = rest.strip_prefix(b",\"flag\":")?;
    head.flag = int(&mut rest)?;
    rest = rest.strip_prefix(b",\"language\":\"")?;
    let language = string(&mut rest)?;
    if language != b"JAVA" {
        head.language = LanguageCode::from_name(core::str::from_utf8(language).ok()?);
    }
    rest = rest.strip_prefix(b",\"opaque\":")?;
    head.opaque = int(&mut rest)?;
    if let Some(after) = rest.strip_prefix(b",\"remark\":\"") {
        rest = after;
        head.remark = Some(core::str::from_utf8(string(&mut rest)?).ok()?.into());
    }
    rest = rest.strip_prefix(b",\"serializeTypeCurrentRPC\":\"JSON\"").unwrap_or(rest);
    rest = rest.strip_prefix(b",\"version\":")?;
    head.version = int(&mut rest)?;
    (rest == b"}").then_some(head)
}

/// Reads the object at the start of `text`, which lies at `at` in the header; gives what follows it.
#[inline]
fn ext_fields<'a>(head: &mut Head, text: &'a [u8], at: usize) -> Option<&'a [u8]> {
    let mut rest = text.strip_prefix(b"{")?;
    if rest.first() != Some(&b'}') {
        let mut room = true;
        loop {
            rest = rest.strip_prefix(b"\"")?;
            let key = text.len() - rest.len();
            let key_end = key + string(&mut rest)?.len();
            rest = rest.strip_prefix(b":\"")?;
            let value = text.len() - rest.len();
            let value_end = value + string(&mut rest)?.len();
            room = room && head.index.push(key..key_end, value..value_end);
            match rest.strip_prefix(b",") {
                Some(after) => rest = after,
                None => break,
            }
        }
        if !room {
            head.index = super::FieldIndex::EMPTY;
        }
    }
    rest = rest.strip_prefix(b"}")?;
    head.ext = at..at + text.len() - rest.len();
    Some(rest)
}

/// A string without escapes whose opening quote is taken; leaves `rest` behind the closing one.
#[inline(always)]
fn string<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let (string, after) = rest.split_at_checked(plain_len(rest)?)?;
    *rest = after.get(1..)?;
    Some(string)
}

/// A number of 32 bits without quotes.
#[inline]
fn int(rest: &mut &[u8]) -> Option<i32> {
    let digits = rest.strip_prefix(b"-").unwrap_or(rest);
    let negative = digits.len() != rest.len();
    let mut left = digits;
    let mut number = 0_i64;
    while let [digit @ b'0'..=b'9', after @ ..] = left {
        number = number * 10 + i64::from(digit - b'0');
        left = after;
        // No more digits than fit twice; more don't fit 32 bits, or begin with zeros nobody writes.
        if digits.len() - left.len() > 10 {
            return None;
        }
    }
    if left.len() == digits.len() {
        return None;
    }
    *rest = left;
    i32::try_from(if negative { -number } else { number }).ok()
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::remoting::{ExtFields, frame::FieldIndex};
    use alloc::{format, string::String, vec::Vec};
    use bytes::Bytes;
    use proptest::prelude::*;

    /// The quick reader may decline, but not read anything else than the reader of any JSON, nor index its
    /// fields wrongly. Tells whether it read the header.
    fn agrees(text: &[u8]) -> bool {
        let Some(quick) = parse(text) else { return false };
        let raw = Bytes::copy_from_slice(&text[quick.ext.clone()]);
        let fields = |index| {
            let ext = ExtFields::from_indexed(raw.clone(), SerializeType::Json, index);
            let mut all = Vec::new();
            ext.for_each_raw(|key, value| {
                all.push((String::from_utf8_lossy(key).into_owned(), value.text().into_owned()));
            });
            all
        };
        assert_eq!(fields(quick.index), fields(FieldIndex::EMPTY));
        assert_eq!(Head::parse_json(text), Ok(Head { index: FieldIndex::EMPTY, ..quick }));
        true
    }

    #[test]
    fn what_brokers_and_this_client_write_is_read_quickly() {
        for (text, fields) in [
            (
                r#"{"code":0,"extFields":{"queueId":"3","msgId":"7F00"},"flag":1,"language":"JAVA","opaque":1037,"serializeTypeCurrentRPC":"JSON","version":493}"#,
                2,
            ),
            (
                r#"{"code":-1,"extFields":{},"flag":1,"language":"JAVA","opaque":-2147483648,"remark":"FOUND","version":0}"#,
                0,
            ),
            (r#"{"code":2147483647,"flag":0,"language":"RUST","opaque":7,"remark":"","version":493}"#, 0),
        ] {
            assert!(agrees(text.as_bytes()), "{text}");
            assert_eq!(parse(text.as_bytes()).map(|head| head.index.len()), Some(fields), "{text}");
        }
        let many: Vec<String> = (0..9).map(|number| format!("\"f{number}\":\"\"")).collect();
        let many = format!(
            r#"{{"code":0,"extFields":{{{}}},"flag":1,"language":"GO","opaque":1,"version":1}}"#,
            many.join(",")
        );
        assert!(agrees(many.as_bytes()));
    }

    proptest! {
        #[test]
        fn the_quick_reader_reads_nothing_otherwise(
            code: i32, opaque: i32, flag in -3_i32..4,
            fields in proptest::collection::vec(("[a-c]{0,9}", "[ !#-\\[\\]-~]{0,40}"), 0..10),
            remark in proptest::option::of("[ !#-\\[\\]-~]{0,9}"),
            artefact: bool, at in 0_usize..999, change in "[0-9\\\\\",:{} aé\u{0}]?",
        ) {
            let fields: Vec<String> = fields.iter().map(|(key, value)| format!("\"{key}\":\"{value}\"")).collect();
            let remark = remark.map_or_else(String::new, |remark| format!("\"remark\":\"{remark}\","));
            let artefact = if artefact { "\"serializeTypeCurrentRPC\":\"JSON\"," } else { "" };
            let mut text = format!(
                "{{\"code\":{code},\"extFields\":{{{}}},\"flag\":{flag},\"language\":\"JAVA\",\"opaque\":{opaque},{remark}{artefact}\"version\":493}}",
                fields.join(",")
            );
            prop_assert!(agrees(text.as_bytes()), "{}", text);
            let at = at % text.len();
            text.replace_range(at..at + 1, &change);
            agrees(text.as_bytes());
        }
    }
}
