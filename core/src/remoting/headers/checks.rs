//! What holds for every header: `headers!` makes a test of it for each.

extern crate std;
use super::super::*;
use alloc::{string::String, vec::Vec};
use bytes::BytesMut;
use proptest::prelude::*;

pub(crate) const BOTH: [SerializeType; 2] = [SerializeType::Json, SerializeType::Rocketmq];

/// How a field was declared: its mode, its name on the wire, its type.
pub(crate) type Field = (&'static str, &'static str, &'static str);

pub(crate) fn each_seed(check: impl Fn(u64)) {
    proptest!(ProptestConfig::with_cases(32), |(seed: u64)| check(seed));
}

/// The command that a header becomes, with a remark, a body and a field that no header knows.
pub(crate) fn through_the_wire<'a, H: Header<'a>>(header: &H, serialize: SerializeType) -> RemotingCommand {
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    let encoder = Encoder { serialize, ..Encoder::default() };
    let head = Head { code: 1, opaque: -7, flag: FLAG_ONEWAY, remark: Some("why \"not\"\u{1}") };
    let size = encoder.encode(decoder.buffer_mut(), &head, header, &[("ext\u{2}ra", "\\")], 3);
    decoder.buffer_mut().extend_from_slice(b"abc");
    assert_eq!(decoder.buffered(), size);
    let command = decoder.next_frame().unwrap().unwrap();
    assert_eq!(decoder.buffer_mut(), &BytesMut::new());
    assert_eq!((command.code, command.opaque, command.flag), (1, -7, FLAG_ONEWAY));
    assert_eq!(command.remark.as_deref(), head.remark);
    assert_eq!((command.language, command.version), (LanguageCode::Rust, VERSION));
    assert_eq!(command.ext.get("ext\u{2}ra").as_deref(), Some("\\"));
    assert_eq!(&command.body[..], b"abc");
    command
}

/// The texts of a header's fields.
#[derive(Default)]
struct Texts(Vec<(&'static str, String)>);

impl FieldSink for Texts {
    fn field(&mut self, key: &'static str, value: FieldValue<'_>) {
        value.with_text(|text| self.0.push((key, text.into())));
    }
}

/// Each field left out, or with a value that isn't one: the error names it, or its absence is allowed.
pub(crate) fn check_absent_and_wrong<'a>(
    header_name: &'static str,
    declared: &[Field],
    header: &impl Header<'a>,
    read: impl Fn(&ExtFields) -> Result<(), HeaderError>,
) {
    let mut texts = Texts::default();
    header.write_fields(&mut texts);
    for &(mode, wire, kind) in declared {
        let named = |problem| HeaderError { header: header_name, field: wire, problem };
        let others =
            || texts.0.iter().filter(|(key, _)| *key != wire).map(|(key, text)| (*key, text.as_str()));
        let absent = if mode == "required" { Err(named(HeaderProblem::Missing)) } else { Ok(()) };
        assert_eq!(read(&others().collect()), absent, "{wire} left out");
        for wrong in ["1.5", "9223372036854775808", "x"] {
            let is_number = matches!(kind, "i32" | "i64");
            let expected = if is_number { Err(named(HeaderProblem::Invalid)) } else { Ok(()) };
            let ext = others().chain([(wire, wrong)]).collect();
            assert_eq!(read(&ext), expected, "{wire} is {wrong}");
        }
    }
}
