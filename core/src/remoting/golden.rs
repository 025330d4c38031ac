//! Frames of the Java classes, hostile frames, and frames in pieces.

extern crate std;
use super::{tests::unhex, *};
use crate::golden::each_vector;
use alloc::{collections::BTreeMap, string::String, vec::Vec};
use bytes::{BufMut as _, BytesMut};
use proptest::prelude::*;
use serde_json::Value;

const COMMANDS: &str = include_str!("../../../tests/golden/commands.jsonl");

fn lines() -> Vec<Value> {
    COMMANDS.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

fn all(bytes: &[u8]) -> Result<Vec<RemotingCommand>, FrameError> {
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    decoder.buffer_mut().extend_from_slice(bytes);
    let mut commands = Vec::new();
    while let Some(command) = decoder.next_frame()? {
        commands.push(command);
    }
    Ok(commands)
}

fn one(bytes: &[u8]) -> Result<RemotingCommand, FrameError> {
    all(bytes).map(|mut commands| commands.pop().expect("a whole frame"))
}

fn frame(stype: u8, header: &[u8], body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    out.put_u32(4 + header.len() as u32 + body.len() as u32);
    out.put_u32(u32::from(stype) << 24 | header.len() as u32);
    out.extend_from_slice(header);
    out.extend_from_slice(body);
    out
}

fn assert_is(command: &RemotingCommand, line: &Value) {
    let name = &line["name"];
    assert_eq!(i64::from(command.code), line["code"].as_i64().unwrap(), "{name}");
    assert_eq!(command.language.name(), line["language"].as_str().unwrap(), "{name}");
    assert_eq!(i64::from(command.version), line["version"].as_i64().unwrap(), "{name}");
    assert_eq!(i64::from(command.opaque), line["opaque"].as_i64().unwrap(), "{name}");
    assert_eq!(i64::from(command.flag), line["flag"].as_i64().unwrap(), "{name}");
    assert_eq!(command.remark.as_deref(), line["remark"].as_str(), "{name}");
    assert_eq!(command.body[..], line["body_hex"].as_str().map(unhex).unwrap_or_default(), "{name}");
    let fields: BTreeMap<String, String> =
        command.ext.iter().map(|(key, value)| (key.into_owned(), value.into_owned())).collect();
    let expected = line["ext_fields"].as_object();
    let expected: BTreeMap<String, String> = expected
        .into_iter()
        .flatten()
        .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.into())))
        .collect();
    assert_eq!(fields, expected, "{name}");
}

#[test]
fn every_frame_of_java_is_read_and_written_again() {
    each_vector!("commands.jsonl", |line| {
        let command = one(&unhex(line["frame_hex"].as_str().unwrap())).unwrap();
        assert_is(&command, line);
        for serialize in [SerializeType::Json, SerializeType::Rocketmq] {
            let mut out = BytesMut::new();
            let size = Encoder { serialize, ..Encoder::default() }.encode_command(&mut out, &command);
            assert_eq!(size, out.len());
            let again = one(&out).unwrap();
            // Java's binary form reads an empty value as none.
            if serialize == SerializeType::Json || !command.ext.iter().any(|(_, value)| value.is_empty()) {
                assert_is(&again, line);
            }
        }
    });
}

/// The typed header of a golden frame, written again: nothing Java says is lost.
#[test]
fn typed_headers_know_every_field_of_java() {
    macro_rules! headers {
        ($($code:pat => $header:ident,)*) => {
            |command: &RemotingCommand, out: &mut BytesMut| -> bool {
                let head = Head { code: command.code, opaque: 0, flag: command.flag, remark: None };
                match RequestCode(command.code) {
                    $($code => {
                        let header: $header = command.header().unwrap();
                        Encoder::default().encode(out, &head, &header, &[], 0);
                        true
                    })*
                    _ => false,
                }
            }
        };
    }
    let rewrite = headers! {
        RequestCode::SEND_MESSAGE => SendMessageRequestHeader,
        RequestCode::SEND_MESSAGE_V2 | RequestCode::SEND_BATCH_MESSAGE => SendMessageRequestHeaderV2,
        RequestCode::PULL_MESSAGE => PullMessageRequestHeader,
        RequestCode::QUERY_CONSUMER_OFFSET => QueryConsumerOffsetRequestHeader,
        RequestCode::UPDATE_CONSUMER_OFFSET => UpdateConsumerOffsetRequestHeader,
        RequestCode::SEARCH_OFFSET_BY_TIMESTAMP => SearchOffsetRequestHeader,
        RequestCode::GET_MAX_OFFSET => GetMaxOffsetRequestHeader,
        RequestCode::GET_MIN_OFFSET => GetMinOffsetRequestHeader,
        RequestCode::GET_EARLIEST_MSG_STORETIME => GetEarliestMsgStoretimeRequestHeader,
        RequestCode::VIEW_MESSAGE_BY_ID => ViewMessageRequestHeader,
        RequestCode::POP_MESSAGE => PopMessageRequestHeader,
        RequestCode::ACK_MESSAGE => AckMessageRequestHeader,
        RequestCode::CHANGE_MESSAGE_INVISIBLETIME => ChangeInvisibleTimeRequestHeader,
        RequestCode::CONSUMER_SEND_MSG_BACK => ConsumerSendMsgBackRequestHeader,
        RequestCode::END_TRANSACTION => EndTransactionRequestHeader,
        RequestCode::CHECK_TRANSACTION_STATE => CheckTransactionStateRequestHeader,
        RequestCode::RECALL_MESSAGE => RecallMessageRequestHeader,
        RequestCode::PUSH_REPLY_MESSAGE_TO_CLIENT => ReplyMessageRequestHeader,
        RequestCode::HEART_BEAT => HeartbeatRequestHeader,
        RequestCode::UNREGISTER_CLIENT => UnregisterClientRequestHeader,
        RequestCode::GET_CONSUMER_LIST_BY_GROUP => GetConsumerListByGroupRequestHeader,
        RequestCode::LOCK_BATCH_MQ => LockBatchMqRequestHeader,
        RequestCode::UNLOCK_BATCH_MQ => UnlockBatchMqRequestHeader,
        RequestCode::NOTIFY_CONSUMER_IDS_CHANGED => NotifyConsumerIdsChangedRequestHeader,
        RequestCode::GET_ROUTEINFO_BY_TOPIC => GetRouteInfoRequestHeader,
        RequestCode::REGISTER_BROKER => RegisterBrokerRequestHeader,
        RequestCode::UPDATE_AND_CREATE_TOPIC => CreateTopicRequestHeader,
    };
    let mut seen = 0;
    for line in lines() {
        let command = one(&unhex(line["frame_hex"].as_str().unwrap())).unwrap();
        let mut out = BytesMut::new();
        if command.is_response() || !rewrite(&command, &mut out) {
            continue;
        }
        let again = one(&out).unwrap();
        for (key, value) in &command.ext {
            assert_eq!(again.ext.get(&key), Some(value), "{} {key}", line["name"]);
        }
        seen += 1;
    }
    assert!(seen >= 75, "{seen}");
}

#[test]
fn responses_of_java_have_their_typed_headers() {
    let mut seen = 0;
    for line in lines() {
        let command = one(&unhex(line["frame_hex"].as_str().unwrap())).unwrap();
        match line["name"].as_str().unwrap() {
            "RESP send success" => assert!(command.header::<SendMessageResponseHeader<'_>>().is_ok()),
            "RESP pull found" | "RESP pull not found" => {
                assert!(command.header::<PullMessageResponseHeader>().is_ok())
            }
            "RESP query offset" => assert!(command.header::<QueryConsumerOffsetResponseHeader>().is_ok()),
            _ => continue,
        }
        seen += 1;
    }
    assert_eq!(seen, 12);
}

#[test]
fn frames_split_at_every_byte_are_the_same_frames() {
    let mut stream = Vec::new();
    let mut expected = Vec::new();
    for line in lines().iter().step_by(7) {
        let bytes = unhex(line["frame_hex"].as_str().unwrap());
        expected.push(one(&bytes).unwrap());
        stream.extend_from_slice(&bytes);
    }
    for step in [1, 2, 3, 7, 64, 1000] {
        let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
        let mut commands = Vec::new();
        for piece in stream.chunks(step) {
            decoder.buffer_mut().extend_from_slice(piece);
            while let Some(command) = decoder.next_frame().unwrap() {
                commands.push(command);
            }
        }
        assert_eq!(std::format!("{commands:?}"), std::format!("{expected:?}"), "{step}");
        assert!(commands.iter().zip(&expected).all(|(a, b)| a.body == b.body));
    }
}

#[test]
fn a_body_is_a_slice_of_the_read_buffer() {
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    decoder.buffer_mut().extend_from_slice(&frame(0, b"{}", &[b'x'; 1000]));
    let before = decoder.buffer_mut().as_ptr() as usize;
    let body = decoder.next_frame().unwrap().unwrap().body;
    assert_eq!(body.as_ptr() as usize - before, 10);
}

#[test]
fn lengths_that_can_not_be_are_refused_before_the_frame_arrives() {
    for len in [0, 1, 3, -1, i32::MAX, (16 << 20) - 3] {
        let mut bytes = len.to_be_bytes().to_vec();
        assert!(matches!(all(&bytes), Err(FrameError::Length { .. })), "{len}");
        bytes.extend_from_slice(&[0; 64]);
        assert!(matches!(all(&bytes), Err(FrameError::Length { .. })), "{len}");
    }
    let longest = ((16 << 20) - 4_u32).to_be_bytes();
    assert!(all(&[&longest[..], &[0, 0, 0, 2]].concat()).unwrap().is_empty());
    assert_eq!(
        all(&[0, 0, 0, 8, 0, 0, 0, 5]).unwrap_err(),
        FrameError::HeaderLength { header_len: 5, len: 8 }
    );
    assert_eq!(all(&[0, 0, 0, 8, 9, 0, 0, 4]).unwrap_err(), FrameError::SerializeType(9));
}

#[test]
fn an_announced_frame_takes_no_memory_before_it_arrives() {
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    decoder.buffer_mut().extend_from_slice(&[0x00, 0xFF, 0xFF, 0xF0, 0, 0, 0, 2]);
    assert!(decoder.next_frame().unwrap().is_none());
    assert!(decoder.buffer_mut().capacity() <= 65 << 10);
}

#[test]
fn other_protocols_are_named() {
    assert_eq!(all(b"HTTP/1.1 400 Bad Request").unwrap_err(), FrameError::Http);
    assert_eq!(all(b"GET / HTTP/1.1").unwrap_err(), FrameError::Http);
    assert_eq!(all(&[0x16, 3, 1, 2, 0, 1]).unwrap_err(), FrameError::Tls);
    assert_eq!(all(&[0x15, 3, 3, 0, 2, 2]).unwrap_err(), FrameError::Tls);
    let late = [&frame(0, b"{}", b"")[..], b"HTTP/1.1"].concat();
    assert!(matches!(all(&late).unwrap_err(), FrameError::Length { .. }));
}

#[test]
fn a_decoder_stays_at_its_error() {
    let mut decoder = FrameDecoder::new(FRAME_BYTES_MAX);
    decoder.buffer_mut().extend_from_slice(&[frame(0, b"{]", b""), frame(0, b"{}", b"")].concat());
    let first = decoder.next_frame().unwrap_err();
    assert_eq!(decoder.next_frame().unwrap_err(), first);
}

#[test]
fn broken_headers_are_errors() {
    let deep = std::format!("{{\"x\":{}", "[".repeat(200_000));
    let json = [
        "",
        "{",
        "[]",
        "{code:1}",
        "{'code':1}",
        "{\"code\":1099511627776}",
        "{\"code\":1e400}",
        "{\"code\":\"abc\"}",
        "{\"code\":1} x",
        "{\"code\":1",
        "{\"code\" 1}",
        "{\"extFields\":[]}",
        "{\"extFields\":{\"a\":1}",
        "{\"code\":{}}",
        "{\"extFields\":{\"a\" \"b\"}}",
        "{\"a\":\"b}",
        &deep,
    ];
    for header in json {
        assert!(matches!(all(&frame(0, header.as_bytes(), b"")), Err(FrameError::Json(_))), "{header:.60}");
    }
    assert!(matches!(all(&frame(0, b"{\"a\":\"\xff\"}", b"")), Err(FrameError::Json(_))));
    let mut good = BytesMut::new();
    let encoder = Encoder { serialize: SerializeType::Rocketmq, ..Encoder::default() };
    encoder.encode(&mut good, &Head { remark: Some("r"), ..Head::default() }, &NoHeader, &[("a", "b")], 0);
    for cut in 8..good.len() {
        let broken = frame(1, &good[8..cut], b"");
        assert!(matches!(all(&broken), Err(FrameError::Binary(_))), "{cut}");
    }
    for (at, byte) in [(8 + 13, 0xFF), (8 + 17, 0xFF), (8 + 18, 0x80), (8 + 22, 0x80), (8 + 24, 0xFF)] {
        let mut broken = good.to_vec();
        broken[at] = byte;
        assert!(matches!(all(&broken), Err(FrameError::Binary(_))), "{at}");
    }
}

#[test]
fn lenient_headers_are_read() {
    let header = br#" { "code" : "30" , "opaque":7,"language":"ZIG","flag":null,"remark":null,"new":[{"a":"]"}],"extFields":{"queueId":3,"ok":true,"n":null} } "#;
    let command = one(&frame(0, header, b"")).unwrap();
    assert_eq!((command.code, command.opaque, command.flag, command.version), (30, 7, 0, 0));
    assert_eq!(command.language, LanguageCode::Unknown);
    assert_eq!(command.ext.get("queueId").as_deref(), Some("3"));
    assert_eq!(command.ext.get("n"), None);
    assert!(command.body.is_empty() && command.remark.is_none());
    assert_eq!(one(&frame(0, br#"{"extFields":null}"#, b"")).unwrap().language, LanguageCode::Java);
    assert!(one(&frame(0, br#"{"code":0,"extFields":{}}"#, b"b")).unwrap().ext.is_empty());
}

#[test]
fn many_fields_cost_no_memory_of_their_own() {
    let fields: Vec<String> = (0..100_000).map(|n| std::format!("\"k{}\":\"v\"", n % 10)).collect();
    let header = std::format!("{{\"extFields\":{{{}}}}}", fields.join(","));
    assert_eq!(one(&frame(0, header.as_bytes(), b"")).unwrap().ext.iter().count(), 100_000);
}

#[test]
fn codes_beyond_16_bits_and_long_keys_go_as_json() {
    let encoder = Encoder { serialize: SerializeType::Rocketmq, ..Encoder::default() };
    let long = "k".repeat(40_000);
    for (code, key, serialize) in [(200_050, "a", 0), (32_767, "a", 1), (-1000, "a", 1), (1, &*long, 0)] {
        let mut out = BytesMut::new();
        encoder.encode(&mut out, &Head { code, ..Head::default() }, &NoHeader, &[(key, "b")], 0);
        assert_eq!(out[4], serialize, "{code}");
        let command = one(&out).unwrap();
        assert_eq!((command.code, command.ext.get(key).as_deref()), (code, Some("b")));
    }
}

proptest! {
    #[test]
    fn any_bytes_are_harmless(bytes: Vec<u8>, mut line in 0..132_usize, at: u16, byte: u8) {
        fuzz_frame(&bytes);
        line %= 132;
        let mut frame = unhex(COMMANDS.lines().nth(line).map(|text| {
            let start = text.find("\"frame_hex\":\"").unwrap() + 13;
            &text[start..text.len() - 2]
        }).unwrap());
        let at = usize::from(at) % frame.len();
        frame[at] = byte;
        fuzz_frame(&frame);
        fuzz_body(&frame[8..]);
    }
}
