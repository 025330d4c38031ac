//! Floods into connections, and answers that are bombs.

use std::io::{self, Read as _};

use bytes::{Bytes, BytesMut};
use rocketmq_client_core::remoting::{RemotingCommand, RequestCode};

use crate::case::{Case, Holds, Phase, Role, case};
use crate::frame;
use crate::honest::{GROUP, TOPIC};
use crate::record::{Parts, at, get_i64, join, record, split};
use crate::script::{On, Script};

/// Pieces of a flood each time that it pours: some thousands a second.
const PIECES: u32 = 50;

type Pour = fn(u64) -> Bytes;

fn number(sequence: u64) -> i32 {
    i32::try_from(sequence % 1_000_000).unwrap_or(0)
}

fn two_way(code: i32, fields: &[(&str, &str)], sequence: u64) -> Bytes {
    frame::encode(&frame::request(code, number(sequence), 0, fields.iter().copied()))
}

fn one_way(code: i32, fields: &[(&str, &str)], sequence: u64) -> Bytes {
    frame::encode(&frame::request(code, number(sequence), 2, fields.iter().copied()))
}

const POURED: &[(&str, Pour)] = &[
    ("empty-objects", |_| frame::json("{}", b"")),
    ("unknown-answers", |sequence| {
        let asked = frame::request(0, number(sequence) + 10_000_000, 0, []);
        frame::encode(&frame::response(&asked, 0))
    }),
    ("unknown-requests", |sequence| two_way(9_999, &[], sequence)),
    ("unknown-one-ways", |sequence| one_way(9_999, &[], sequence)),
    ("members-changed", |sequence| one_way(40, &[("consumerGroup", GROUP)], sequence)),
    ("members-changed-two-way", |sequence| two_way(40, &[("consumerGroup", GROUP)], sequence)),
    ("members-changed-others", |sequence| one_way(40, &[("consumerGroup", "nobody\u{1b}[2J")], sequence)),
    ("reset-offsets", |sequence| {
        let mut ask = frame::request(
            220,
            number(sequence),
            2,
            [("topic", TOPIC), ("group", "another"), ("timestamp", "0")],
        );
        ask.body = Bytes::from_static(
            b"{\"offsetTable\":{{\"brokerName\":\"broker-b\",\"queueId\":0,\"topic\":\"Work\"}:5}}",
        );
        frame::encode(&ask)
    }),
    ("reset-offsets-nonsense", |sequence| {
        let mut ask = frame::request(
            220,
            number(sequence),
            2,
            [("topic", TOPIC), ("group", GROUP), ("timestamp", "abc")],
        );
        ask.body = Bytes::from_static(b"{\"offsetTable\":[[[[");
        frame::encode(&ask)
    }),
    ("consumer-status", |sequence| two_way(221, &[("topic", TOPIC), ("group", GROUP)], sequence)),
    ("running-info", |sequence| {
        two_way(307, &[("consumerGroup", GROUP), ("clientId", "x"), ("jstackEnable", "true")], sequence)
    }),
    ("consume-directly", |sequence| {
        let mut ask = frame::request(
            309,
            number(sequence),
            0,
            [("consumerGroup", GROUP), ("clientId", "x"), ("topic", TOPIC), ("brokerName", "broker-b")],
        );
        ask.body = Bytes::from_static(b"no record");
        frame::encode(&ask)
    }),
    ("check-transactions", |sequence| {
        let mut ask = frame::request(
            39,
            number(sequence),
            2,
            [("tranStateTableOffset", "1"), ("commitLogOffset", "2"), ("msgId", "x")],
        );
        ask.body = Bytes::from_static(b"no record");
        frame::encode(&ask)
    }),
    ("push-replies", |sequence| {
        one_way(326, &[("topic", TOPIC), ("properties", "CORRELATION_ID\u{1}x\u{2}")], sequence)
    }),
    ("half-frames", |_| Bytes::from_static(&[0, 0, 1, 0, 0, 0, 0, 200, b'{', b'"'])),
];

/// So many frames at once, made before anybody measures.
fn heavy(pour: Pour, weight: u64) -> impl FnMut(u64) -> Bytes + Send {
    let all: Bytes = (1..=weight).flat_map(|sequence| pour(sequence).to_vec()).collect();
    move |sequence| if weight == 1 { pour(sequence) } else { all.clone() }
}

fn floods() -> Vec<Case> {
    let mut cases = Vec::new();
    for (role, word) in [(Role::NameServer, "name-server"), (Role::Broker, "broker")] {
        for (what, pour) in POURED {
            for deaf in [false, true] {
                let (pour, how) = (*pour, if deaf { "-unread" } else { "" });
                let mut holds = Holds::LEARNING;
                if deaf || *what == "half-frames" {
                    holds = Holds::ALL;
                }
                cases.push(case(
                    format!("flood/{word}/{what}{how}"),
                    role,
                    Phase::Live,
                    holds,
                    move |site| {
                        let script = Script::pour(PIECES, heavy(pour, site.weight));
                        // Who reads nothing answers nothing, in a world as well.
                        if deaf { script.deaf().and(On::Any, crate::script::Does::Silence) } else { script }
                    },
                ));
            }
        }
    }
    cases
}

/// How a bomb is made, from how many zeros.
type Bomb = fn(u64) -> io::Result<Vec<u8>>;

fn zlib(bytes: u64) -> io::Result<Vec<u8>> {
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    io::copy(&mut io::repeat(0).take(bytes), &mut out)?;
    out.finish()
}

fn lz4(bytes: u64) -> io::Result<Vec<u8>> {
    let mut out = lz4_flex::frame::FrameEncoder::new(Vec::new());
    io::copy(&mut io::repeat(0).take(bytes), &mut out)?;
    out.finish().map_err(io::Error::other)
}

fn zstd(bytes: u64) -> io::Result<Vec<u8>> {
    zstd::encode_all(io::repeat(0).take(bytes), 9)
}

/// Messages whose bodies inflate to more than anybody has.
fn bombs() -> Vec<Case> {
    let kinds: [(&str, Bomb, i32); 3] = [("zlib", zlib, 0x301), ("lz4", lz4, 0x101), ("zstd", zstd, 0x201)];
    let mut cases = Vec::new();
    for (what, bomb, flag) in kinds {
        for (size, bytes) in [("40-mib", 40 << 20), ("400-mib", 400 << 20)] {
            cases.push(case(
                format!("bomb/{what}-{size}"),
                Role::Broker,
                Phase::Live,
                Holds::LEARNING,
                move |_| {
                    let body = bomb(bytes).expect("memory takes all");
                    Script::change(On::Code(RequestCode::PULL_MESSAGE), move |request, answer| {
                        replace_bodies(request, answer, flag, &body)
                    })
                },
            ));
        }
    }
    cases
}

/// Puts a bomb into each honest record's place.
fn replace_bodies(
    request: &RemotingCommand,
    answer: &mut RemotingCommand,
    sys_flag: i32,
    body: &[u8],
) -> Vec<i64> {
    let queue_id = frame::number(request, "queueId").and_then(|id| i32::try_from(id).ok()).unwrap_or(0);
    let records = split(&answer.body);
    let offsets: Vec<i64> = records.iter().map(|record| get_i64(record, at::QUEUE_OFFSET)).collect();
    let made = |offset: &i64| {
        record(&Parts {
            queue_offset: *offset,
            queue_id,
            sys_flag,
            body,
            topic: TOPIC.as_bytes(),
            properties: b"",
        })
    };
    let bombs: Vec<BytesMut> = offsets.iter().map(made).collect();
    answer.body = join(&bombs);
    offsets
}

/// All of this kind.
pub(super) fn all() -> Vec<Case> {
    let mut cases = floods();
    cases.extend(bombs());
    cases
}
