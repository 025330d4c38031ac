//! Bytes that are no frame, or a frame that is no answer.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rocketmq_client_core::remoting::{FRAME_BYTES_MAX, RemotingCommand};

use crate::case::{Case, Holds, Phase, Role, case};
use crate::frame::{self, binary, json, raw, typed};
use crate::script::{Does, On, Script};

type Make = fn(&RemotingCommand) -> Bytes;

/// Bytes instead of every answer.
const WRITTEN: &[(&str, Make)] = &[
    ("length-0", |_| raw_len(0)),
    ("length-1", |_| raw_len(1)),
    ("length-3", |_| raw_len(3)),
    ("length-4-no-header", |_| raw(4, 0, b"", b"")),
    ("length-minus-1", |_| raw_len(u32::MAX)),
    ("length-i32-min", |_| raw_len(0x8000_0000)),
    ("length-i32-max", |_| raw_len(0x7FFF_FFFF)),
    ("length-16-mib-and-1", |_| raw_len(u32::try_from(FRAME_BYTES_MAX).unwrap_or(u32::MAX) + 1)),
    ("length-announced-only", |_| raw_len(15 << 20)),
    ("header-longer-than-frame", |request| raw(60, 61, header(request, 0).as_bytes(), b"")),
    ("header-length-24-bits", |request| raw(100, 0x00FF_FFFF, header(request, 0).as_bytes(), b"")),
    ("header-empty", |_| raw(12, 0, b"", b"12345678")),
    ("serialize-2", |request| typed(2, header(request, 0), b"")),
    ("serialize-9", |request| typed(9, header(request, 0), b"")),
    ("serialize-255", |request| typed(255, header(request, 0), b"")),
    ("json-empty-object", |_| json("{}", b"")),
    ("json-array", |_| json("[]", b"")),
    ("json-number", |_| json("17", b"")),
    ("json-null", |_| json("null", b"")),
    ("json-string", |_| json("\"code\"", b"")),
    ("json-cut", |request| json(&header(request, 0).as_bytes()[..20], b"")),
    ("json-trailing", |request| json(header(request, 0) + "}}}}", b"")),
    ("json-bom", |request| json("\u{feff}".to_owned() + &header(request, 0), b"")),
    ("json-nul", |_| json("{\"code\":0,\0}", b"")),
    ("json-unquoted", |request| json(format!("{{code:0,flag:1,opaque:{}}}", request.opaque), b"")),
    ("json-not-utf8", |request| json([header(request, 0).as_bytes(), b"\xff\xfe"].concat(), b"")),
    ("json-remark-not-utf8", |request| {
        json(
            [b"{\"code\":1,\"flag\":1,\"remark\":\"\xc3\x28\",\"opaque\":", opaque(request).as_bytes(), b"}"]
                .concat(),
            b"",
        )
    }),
    ("json-nested-arrays", |request| field(request, "x", &nested('[', ']'))),
    ("json-nested-objects", |request| {
        field(request, "extFields", &("{\"a\":".repeat(200_000) + "1" + &"}".repeat(200_000)))
    }),
    ("json-many-fields", |request| field(request, "extFields", &many_fields())),
    ("json-duplicate-keys", |request| field(request, "opaque", "1,\"opaque\":2,\"opaque\":3")),
    ("json-code-text", |request| json(header_with(request, "\"0\"", "1"), b"")),
    ("json-code-missing", |request| json(format!("{{\"flag\":1,\"opaque\":{}}}", request.opaque), b"")),
    ("json-code-2-40", |request| json(header_with(request, "1099511627776", "1"), b"")),
    ("json-code-1e400", |request| json(header_with(request, "1e400", "1"), b"")),
    ("json-code-fraction", |request| json(header_with(request, "0.5", "1"), b"")),
    ("json-code-minus-zero", |request| json(header_with(request, "-0", "1"), b"")),
    ("json-code-true", |request| json(header_with(request, "true", "1"), b"")),
    ("json-flag-missing", |request| json(format!("{{\"code\":0,\"opaque\":{}}}", request.opaque), b"")),
    ("json-flag-3", |request| json(header_with(request, "0", "3"), b"")),
    ("json-flag-minus-1", |request| json(header_with(request, "0", "-1"), b"")),
    ("json-opaque-text", |_| json("{\"code\":0,\"flag\":1,\"opaque\":\"abc\"}", b"")),
    ("json-opaque-2-40", |_| json("{\"code\":0,\"flag\":1,\"opaque\":1099511627776}", b"")),
    ("json-opaque-missing", |_| json("{\"code\":0,\"flag\":1}", b"")),
    ("json-opaque-negative", |_| json("{\"code\":0,\"flag\":1,\"opaque\":-5}", b"")),
    ("json-opaque-unknown", |request| {
        json(format!("{{\"code\":0,\"flag\":1,\"opaque\":{}}}", request.opaque.wrapping_add(100_000)), b"")
    }),
    ("json-language-unknown", |request| field(request, "language", "\"KLINGON\"")),
    ("json-version-2-40", |request| field(request, "version", "1099511627776")),
    ("json-remark-number", |request| field(request, "remark", "5")),
    ("json-remark-1-mib", |request| field(request, "remark", &format!("\"{}\"", "x".repeat(1 << 20)))),
    ("json-remark-control", |request| field(request, "remark", "\"\\u001b[2J\\u0007\\r\\nWARN injected\"")),
    ("json-ext-number", |request| field(request, "extFields", "7")),
    ("json-ext-array", |request| field(request, "extFields", "[\"a\",\"b\"]")),
    ("json-ext-values", |request| {
        field(request, "extFields", "{\"nextBeginOffset\":1e99,\"a\":null,\"b\":[1,{}],\"c\":true}")
    }),
    ("json-ext-lone-surrogate", |request| {
        field(request, "extFields", "{\"a\":\"\\ud800\",\"\\udfff\":\"b\"}")
    }),
    ("json-ext-bad-escape", |request| field(request, "extFields", "{\"a\":\"\\x41\"}")),
    ("binary-cut", |_| typed(1, [0, 0, 0, 1, 237], b"")),
    ("binary-empty", |request| binary(request.opaque, 0, 0, b"")),
    ("binary-remark-minus-1", |request| binary(request.opaque, -1, 0, b"")),
    ("binary-remark-max", |request| binary(request.opaque, i32::MAX, 0, b"")),
    ("binary-ext-max", |request| binary(request.opaque, 0, i32::MAX, b"")),
    ("binary-ext-minus-1", |request| binary(request.opaque, 0, -1, b"")),
    ("binary-ext-key-long", |request| binary(request.opaque, 0, 6, b"\xff\xff\x00\x00\x00\x00")),
    ("binary-ext-value-long", |request| binary(request.opaque, 0, 7, b"\x00\x01k\x7f\xff\xff\xff")),
    ("tls-alert", |_| Bytes::from_static(b"\x15\x03\x03\x00\x02\x02\x28")),
    ("tls-server-hello", |_| Bytes::from_static(b"\x16\x03\x03\x00\x31\x02\x00\x00\x2d\x03\x03")),
    ("http", |_| Bytes::from_static(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")),
    ("ssh", |_| Bytes::from_static(b"SSH-2.0-OpenSSH_9.6\r\n")),
    ("zeros", |_| Bytes::from_static(&[0; 4_096])),
    ("ones", |_| Bytes::from_static(&[0xff; 4_096])),
    ("noise", |request| noise(request.opaque)),
    ("echo", frame::encode),
    ("request-instead", |request| frame::encode(&frame::request(999, request.opaque, 0, []))),
];

fn raw_len(len: u32) -> Bytes {
    raw(len, 0, b"", b"")
}

fn opaque(request: &RemotingCommand) -> String {
    request.opaque.to_string()
}

fn header(request: &RemotingCommand, code: i32) -> String {
    header_with(request, &code.to_string(), "1")
}

fn header_with(request: &RemotingCommand, code: &str, flag: &str) -> String {
    format!(
        "{{\"code\":{code},\"flag\":{flag},\"language\":\"JAVA\",\"opaque\":{},\"version\":493}}",
        request.opaque
    )
}

/// A refusal with one field more.
fn field(request: &RemotingCommand, name: &str, value: &str) -> Bytes {
    json(format!("{{\"code\":1,\"flag\":1,\"opaque\":{},\"{name}\":{value}}}", request.opaque), b"")
}

fn nested(open: char, close: char) -> String {
    let depth = 200_000;
    open.to_string().repeat(depth) + &close.to_string().repeat(depth)
}

fn many_fields() -> String {
    let fields: Vec<String> = (0..200_000).map(|index| format!("\"k{index}\":\"v\"")).collect();
    format!("{{{}}}", fields.join(","))
}

fn noise(seed: i32) -> Bytes {
    let mut rng = rocketmq_client_core::rng::Rng::new(u64::from(seed.unsigned_abs()));
    (0..512).map(|_| rng.next_u32().to_be_bytes()[0]).collect()
}

/// Makes a script.
type Says = fn() -> Script;

/// What becomes of connections and of honest answers on their way.
fn ways() -> Vec<(&'static str, Holds, Says)> {
    let no_spin = Holds::ALL;
    let works = Holds::LEARNING;
    vec![
        ("silence", no_spin, || Script::one(On::Any, Does::Silence)),
        ("close", no_spin, || Script::one(On::Any, Does::Close)),
        ("reset", no_spin, || Script::one(On::Any, Does::Reset)),
        ("close-on-connect", works, || Script::one(On::Connect, Does::Close)),
        ("reset-on-connect", works, || Script::one(On::Connect, Does::Reset)),
        ("half-an-answer", no_spin, || Script::one(On::Any, Does::Half)),
        ("half-an-answer-then-close", no_spin, || Script::one(On::Any, Does::HalfThenClose)),
        ("byte-a-second", no_spin, || Script::one(On::Any, Does::Drip(1, Duration::from_secs(1)))),
        ("byte-by-byte", works, || Script::one(On::Any, Does::Drip(1, Duration::from_micros(20)))),
        ("three-bytes-at-a-time", works, || Script::one(On::Any, Does::Drip(3, Duration::ZERO))),
        ("twice", works, || Script::one(On::Any, Does::Twice)),
        ("late-200-ms", works, || Script::one(On::Any, Does::Late(Duration::from_millis(200)))),
        ("late-3500-ms", no_spin, || Script::one(On::Any, Does::Late(Duration::from_millis(3_500)))),
        ("elsewhere", works, || Script::one(On::Any, Does::Elsewhere)),
        ("banner-on-connect", works, || {
            Script::write(On::Connect, |_| Bytes::from_static(b"220 mail ready\r\n"))
        }),
        ("answer-on-connect", works, || {
            Script::write(On::Connect, |request| frame::encode(&frame::response(request, 0)))
        }),
    ]
}

/// All of this kind.
pub(super) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (role, word) in [(Role::NameServer, "name-server"), (Role::Broker, "broker")] {
        // A name server is asked all the time only by a client that starts.
        let phase = if role == Role::NameServer { Phase::Start } else { Phase::Live };
        let flows = |holds: Holds| if phase == Phase::Start { holds.may_stop() } else { holds };
        for (what, make) in WRITTEN {
            let make = *make;
            cases.push(case(format!("frame/{word}/{what}"), role, phase, flows(Holds::ALL), move |_| {
                Script::write(On::Any, make)
            }));
        }
        for (what, holds, script) in ways() {
            let script = Arc::new(script);
            cases.push(case(format!("way/{word}/{what}"), role, phase, flows(holds), move |_| script()));
        }
    }
    cases
}
