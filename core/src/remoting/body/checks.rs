//! What holds for every body: `bodies!` makes a test of it for each.

extern crate std;
use crate::remoting::JsonError;
use crate::remoting::generate::{Generate, generate};
use alloc::{format, string::String, vec::Vec};
use bytes::Bytes;
use core::fmt::Debug;
use proptest::prelude::*;

/// A body, whatever it is about.
pub(super) trait Body: Clone + Debug + Default + Generate + PartialEq {
    fn read(body: &[u8]) -> Result<Self, JsonError>;

    fn written(&self, standard: bool) -> Bytes;
}

/// The names of a field: what is written, and what else is read.
pub(super) type Names = (&'static str, &'static [&'static str]);

pub(super) fn check<T: Body>(fields: &[Names]) {
    assert!(
        fields.is_sorted_by(|(one, _), (next, _)| one < next),
        "Java writes fields in alphabetical order"
    );
    check_absent::<T>(fields);
    let config = ProptestConfig::with_cases(48);
    proptest!(config, |(seed: u64, cut: prop::sample::Index)| {
        let body: T = generate(seed);
        let json = String::from_utf8(body.written(false).to_vec()).unwrap();
        prop_assert_eq!(read::<T>(&json), Ok(body.clone()));
        let standard = String::from_utf8(body.written(true).to_vec()).unwrap();
        prop_assert_eq!(read::<T>(&standard), Ok(body.clone()));
        prop_assert_eq!(read::<T>(&with_unknown_fields(&json)), Ok(body.clone()));
        for dress in [single_quotes, numbers_as_text, spread_out] {
            prop_assert_eq!(read::<T>(&dressed(&json, dress)), Ok(body.clone()));
        }
        for (wire, others) in fields {
            for other in *others {
                let renamed = json.replace(&format!("\"{wire}\":"), &format!("\"{other}\":"));
                prop_assert_eq!(read::<T>(&renamed), Ok(body.clone()));
            }
        }
        prop_assert!(T::read(&json.as_bytes()[..cut.index(json.len())]).is_err());
    });
}

fn read<T: Body>(json: &str) -> Result<T, JsonError> {
    T::read(json.as_bytes())
}

/// Absent fields and nulls have their defaults.
fn check_absent<T: Body>(fields: &[Names]) {
    for empty in ["{}", "null"] {
        assert_eq!(read(empty), Ok(T::default()));
    }
    for name in fields.iter().flat_map(|(wire, others)| [wire].into_iter().chain(*others)) {
        assert_eq!(read(&format!("{{\"{name}\":null}}")), Ok(T::default()), "{name}");
        let error = read::<T>(&format!("{{\"{name}\":")).unwrap_err();
        assert_eq!(error.at, name.len() + 4, "{error}");
    }
}

fn with_unknown_fields(json: &str) -> String {
    const UNKNOWN: &str = r#""unknown":[{"a":{1:'x'},"b":[]},null,-1.5e3],"other":"}\\""#;
    let fields = json.strip_prefix('{').unwrap();
    let comma = if fields == "}" { "" } else { "," };
    format!("{{{UNKNOWN}{comma}{fields}")
}

/// A piece of JSON text.
enum Token<'a> {
    /// The contents of a string, escaped.
    Text(&'a str),
    /// A number, `true` or `false`.
    Word(&'a str),
    Mark(char),
}

/// Writes `json` anew, each piece as `dress` has it.
fn dressed(json: &str, dress: fn(&Token<'_>) -> String) -> String {
    let mut out = String::new();
    let mut rest = json;
    while let Some(first) = rest.chars().next() {
        let (token, len) = match first {
            '"' => {
                let end = string_end(&rest[1..]);
                (Token::Text(&rest[1..=end]), end + 2)
            }
            '{' | '}' | '[' | ']' | ',' | ':' => (Token::Mark(first), 1),
            _ => {
                let end = rest.find(['}', ']', ',', ':']).unwrap_or(rest.len());
                (Token::Word(&rest[..end]), end)
            }
        };
        out += &dress(&token);
        rest = &rest[len..];
    }
    out
}

fn string_end(text: &str) -> usize {
    let mut escape = false;
    let ends = |(_, char): &(usize, char)| {
        let ends = *char == '"' && !escape;
        escape = *char == '\\' && !escape;
        ends
    };
    let mut ends = ends;
    text.char_indices().find(|at| ends(at)).unwrap().0
}

fn plain(token: &Token<'_>) -> String {
    match token {
        Token::Text(text) => format!("\"{text}\""),
        Token::Word(word) => String::from(*word),
        Token::Mark(mark) => String::from(*mark),
    }
}

fn single_quotes(token: &Token<'_>) -> String {
    match token {
        Token::Text(text) => format!("'{}'", text.replace('\'', "\\'")),
        other => plain(other),
    }
}

fn numbers_as_text(token: &Token<'_>) -> String {
    match token {
        Token::Word(word) => format!("\"{word}\""),
        other => plain(other),
    }
}

fn spread_out(token: &Token<'_>) -> String {
    format!(" \r\n\t{}", plain(token))
}

/// What a round trip could hide: the declarations are the ones of the wire.
#[test]
fn a_body_that_is_written_in_another_dress_is_another_text() {
    let json = r#"{{"b":"it's\"","q":-1}:[true,1.5],0:"x"}"#;
    let all: Vec<_> = [plain, single_quotes, numbers_as_text].map(|dress| dressed(json, dress)).into();
    assert_eq!(all[0], json);
    assert_eq!(all[1], r#"{{'b':'it\'s\"','q':-1}:[true,1.5],0:'x'}"#);
    assert_eq!(all[2], r#"{{"b":"it's\"","q":"-1"}:["true","1.5"],"0":"x"}"#);
}
