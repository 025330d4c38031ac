//! Answers to pulls: odd records in every field, odd offsets, answer 21 in every variant.

use bytes::{Bytes, BytesMut};
use rocketmq_client_core::remoting::{RemotingCommand, RequestCode};

use crate::case::{Case, Holds, Phase, Role, case};
use crate::frame::{number, set};
use crate::record::{Parts, at, get_i64, join, put_i32, put_i64, record, split};
use crate::script::{On, Script};

const PULL: On = On::Code(RequestCode::PULL_MESSAGE);

/// Spoils one record.
type Spoil = fn(&mut BytesMut);

/// What is odd about a record that was honest. It may not arrive; its neighbours do.
const SPOILT: &[(&str, Spoil)] = &[
    ("size-0", |r| put_i32(r, at::TOTAL, 0)),
    ("size-4", |r| put_i32(r, at::TOTAL, 4)),
    ("size-minus-1", |r| put_i32(r, at::TOTAL, -1)),
    ("size-max", |r| put_i32(r, at::TOTAL, i32::MAX)),
    ("magic-0", |r| put_i32(r, at::MAGIC, 0)),
    ("magic-padding", |r| put_i32(r, at::MAGIC, -875_286_124)),
    ("crc", |r| put_i32(r, at::CRC, 12_345)),
    ("queue-other", |r| put_i32(r, at::QUEUE_ID, 77)),
    ("queue-minus-1", |r| put_i32(r, at::QUEUE_ID, -1)),
    ("offset-minus-1", |r| put_i64(r, at::QUEUE_OFFSET, -1)),
    ("offset-i64-min", |r| put_i64(r, at::QUEUE_OFFSET, i64::MIN)),
    ("offset-i64-max", |r| put_i64(r, at::QUEUE_OFFSET, i64::MAX)),
    ("offset-billion", |r| put_i64(r, at::QUEUE_OFFSET, 1_000_000_000)),
    ("offset-before", |r| {
        let offset = get_i64(r, at::QUEUE_OFFSET);
        put_i64(r, at::QUEUE_OFFSET, offset - 7);
    }),
    ("offset-after", |r| {
        let offset = get_i64(r, at::QUEUE_OFFSET);
        put_i64(r, at::QUEUE_OFFSET, offset + 500);
    }),
    ("log-offset-minus", |r| put_i64(r, at::LOG_OFFSET, i64::MIN)),
    ("flag-zlib", |r| put_i32(r, at::SYS_FLAG, 0x1)),
    ("flag-lz4", |r| put_i32(r, at::SYS_FLAG, 0x101)),
    ("flag-zstd", |r| put_i32(r, at::SYS_FLAG, 0x201)),
    ("flag-unknown-compression", |r| put_i32(r, at::SYS_FLAG, 0x701)),
    ("flag-all", |r| put_i32(r, at::SYS_FLAG, -1)),
    ("flag-ipv6-born", |r| put_i32(r, at::SYS_FLAG, 0x10)),
    ("flag-ipv6-stored", |r| put_i32(r, at::SYS_FLAG, 0x20)),
    ("flag-inner-batch", |r| put_i32(r, at::SYS_FLAG, 0xC0)),
    ("flag-half-message", |r| put_i32(r, at::SYS_FLAG, 0x4)),
    ("flag-rolled-back", |r| put_i32(r, at::SYS_FLAG, 0xC)),
    ("born-min", |r| put_i64(r, at::BORN, i64::MIN)),
    ("born-port", |r| put_i32(r, at::BORN_PORT, -1)),
    ("stored-max", |r| put_i64(r, at::STORED, i64::MAX)),
    ("reconsumed-minus", |r| put_i32(r, at::RECONSUMED, -5)),
    ("reconsumed-max", |r| put_i32(r, at::RECONSUMED, i32::MAX)),
    ("body-minus-1", |r| put_i32(r, at::BODY_LEN, -1)),
    ("body-max", |r| put_i32(r, at::BODY_LEN, i32::MAX)),
    ("body-beyond-record", |r| {
        let len = i32::try_from(r.len()).unwrap_or(i32::MAX);
        put_i32(r, at::BODY_LEN, len);
    }),
    ("body-swapped", |r| {
        if let Some(first) = r.get_mut(at::BODY) {
            *first ^= 0x20;
        }
    }),
    ("topic-length", |r| {
        let topic = topic_at(r);
        r[topic] = 0xff;
    }),
    ("topic-other", |r| {
        let topic = topic_at(r);
        r[topic + 1] = b'X';
    }),
    ("topic-not-utf8", |r| {
        let topic = topic_at(r);
        r[topic + 1] = 0xff;
    }),
    ("properties-length", |r| {
        let topic = topic_at(r);
        let properties = topic + 1 + usize::from(r[topic]);
        r[properties] = 0x7f;
    }),
    ("properties-negative", |r| {
        let topic = topic_at(r);
        let properties = topic + 1 + usize::from(r[topic]);
        r[properties] = 0xff;
    }),
    ("properties-not-utf8", |r| {
        let last = r.len() - 1;
        r[last] = 0xff;
    }),
    ("cut", |r| r.truncate(60)),
    ("all-zero", |r| r.iter_mut().skip(4).for_each(|byte| *byte = 0)),
];

fn topic_at(record: &[u8]) -> usize {
    let len = usize::try_from(crate::record::get_i32(record, at::BODY_LEN)).unwrap_or(0);
    at::BODY + len
}

/// Changes the record in the middle of the first answers that have one.
fn spoilt((what, spoil): &(&str, Spoil)) -> Case {
    let spoil = *spoil;
    let sized = !what.starts_with("size-") && *what != "cut";
    let name = format!("record/{what}");
    case(name, Role::Broker, Phase::Live, Holds::LEARNING.may_add(), move |_| {
        Script::change(PULL, move |_, answer| {
            let mut records = split(&answer.body);
            let Some(middle) = records.len().checked_sub(1).map(|last| last / 2) else { return Vec::new() };
            // Where the next one begins can't be told after a wrong size.
            let last = if sized { middle } else { records.len() - 1 };
            let offsets = records[middle..=last].iter().map(|record| get_i64(record, at::QUEUE_OFFSET));
            let offsets = offsets.collect();
            spoil(&mut records[middle]);
            answer.body = join(&records);
            offsets
        })
    })
}

/// Puts a record beside the honest ones.
type Add = fn(&RemotingCommand, i64) -> BytesMut;

/// Records that nobody stored, beside honest ones: `(request, the highest honest offset)`.
const ADDED: &[(&str, bool, Add)] = &[
    ("offset-billion", false, |q, _| made(q, 1_000_000_000, 0, b"extra", b"")),
    ("offset-i64-max", false, |q, _| made(q, i64::MAX, 0, b"extra", b"")),
    ("offset-next", false, |q, last| made(q, last + 1, 0, b"extra", b"")),
    ("offset-far", false, |q, last| made(q, last + 1_000, 0, b"extra", b"")),
    ("offset-before", false, |q, _| made(q, -7, 0, b"extra", b"")),
    ("offset-same", true, |q, last| made(q, last, 0, b"extra", b"")),
    ("other-topic", false, |q, last| {
        record(&Parts {
            queue_offset: last,
            queue_id: queue_of(q),
            sys_flag: 0,
            body: b"extra",
            topic: b"Elsewhere",
            properties: b"",
        })
    }),
    ("other-queue", false, |_, last| {
        record(&Parts {
            queue_offset: last,
            queue_id: 9,
            sys_flag: 0,
            body: b"extra",
            topic: b"Work",
            properties: b"",
        })
    }),
    ("half-a-record", false, |q, last| made(q, last + 1, 0, b"extra", b"").split_to(50)),
    ("noise", false, |_, _| BytesMut::from(&[0x5a; 300][..])),
    ("size-only", false, |_, _| BytesMut::from(&[0, 0, 0, 100][..])),
];

/// Of what can be odd about a record, what keeps anybody from reading it: also in front of the honest ones, at the
/// place of the first.
const UNREADABLE: [&str; 4] = ["magic-0", "crc", "properties-length", "body-beyond-record"];

fn in_front((what, spoil): &(&str, Spoil)) -> Case {
    let spoil = *spoil;
    case(format!("in-front/{what}"), Role::Broker, Phase::Live, Holds::LEARNING.may_add(), move |_| {
        Script::change(PULL, move |request, answer| {
            let mut records = split(&answer.body);
            let Some(first) = records.first().map(|first| get_i64(first, at::QUEUE_OFFSET)) else {
                return Vec::new();
            };
            let mut extra = made(request, first, 0, b"extra", b"");
            spoil(&mut extra);
            records.insert(0, extra);
            answer.body = join(&records);
            Vec::new()
        })
    })
}

fn queue_of(request: &RemotingCommand) -> i32 {
    number(request, "queueId").and_then(|id| i32::try_from(id).ok()).unwrap_or(0)
}

fn made(request: &RemotingCommand, offset: i64, sys_flag: i32, body: &[u8], properties: &[u8]) -> BytesMut {
    let queue_id = queue_of(request);
    record(&Parts { queue_offset: offset, queue_id, sys_flag, body, topic: b"Work", properties })
}

fn added((what, foreign, add): &(&str, bool, Add)) -> Case {
    let add = *add;
    let holds = if *foreign { Holds::LEARNING.may_add() } else { Holds::LEARNING };
    case(format!("extra/{what}"), Role::Broker, Phase::Live, holds, move |_| {
        Script::change(PULL, move |request, answer| {
            let mut records = split(&answer.body);
            let Some(last) = records.last().map(|last| get_i64(last, at::QUEUE_OFFSET)) else {
                return Vec::new();
            };
            records.push(add(request, last));
            answer.body = join(&records);
            Vec::new()
        })
    })
}

/// Fields of an answer by what was asked: `(asked, min, max, next)` of the honest answer.
type Fields = fn(i64, i64, i64, i64) -> Vec<(&'static str, String)>;

fn next(value: i64) -> Vec<(&'static str, String)> {
    vec![("nextBeginOffset", value.to_string())]
}

fn range(min: i64, max: i64, next: i64) -> Vec<(&'static str, String)> {
    vec![
        ("minOffset", min.to_string()),
        ("maxOffset", max.to_string()),
        ("nextBeginOffset", next.to_string()),
    ]
}

/// Honest records with odd fields. Nothing may be skipped, since what is skipped was never shown.
const HEADERS: &[(&str, Fields)] = &[
    ("next-billion", |_, _, _, _| next(1_000_000_000)),
    ("next-i64-max", |_, _, _, _| next(i64::MAX)),
    ("next-minus-1", |_, _, _, _| next(-1)),
    ("next-i64-min", |_, _, _, _| next(i64::MIN)),
    ("next-asked", |asked, _, _, _| next(asked)),
    ("next-before", |asked, _, _, _| next(asked - 3)),
    ("next-zero", |_, _, _, _| next(0)),
    ("next-beyond-max", |_, _, max, _| next(max + 100)),
    ("next-text", |_, _, _, _| vec![("nextBeginOffset", "abc".to_owned())]),
    ("next-2-64", |_, _, _, _| vec![("nextBeginOffset", "18446744073709551616".to_owned())]),
    ("max-zero", |_, _, _, next| range(0, 0, next)),
    ("max-minus-1", |_, _, _, next| range(0, -1, next)),
    ("max-below-min", |_, _, max, next| range(max + 50, max, next)),
    ("min-beyond", |_, _, max, next| range(max + 1_000, max + 2_000, next)),
    ("all-zero", |_, _, _, _| range(0, 0, 0)),
    ("all-i64-max", |_, _, _, _| range(i64::MAX, i64::MAX, i64::MAX)),
    ("all-minus-1", |_, _, _, _| range(-1, -1, -1)),
    ("delta-million", |_, _, _, _| vec![("offsetDelta", "1000000".to_owned())]),
    ("delta-minus", |_, _, _, _| vec![("offsetDelta", "-5".to_owned())]),
    ("delta-i64-max", |_, _, _, _| vec![("offsetDelta", i64::MAX.to_string())]),
    ("suggest-minus", |_, _, _, _| vec![("suggestWhichBrokerId", "-1".to_owned())]),
    ("suggest-99", |_, _, _, _| vec![("suggestWhichBrokerId", "99".to_owned())]),
    ("suggest-text", |_, _, _, _| vec![("suggestWhichBrokerId", "x".to_owned())]),
    ("sys-flags", |_, _, _, _| {
        vec![
            ("topicSysFlag", "-1".to_owned()),
            ("groupSysFlag", "9".to_owned()),
            ("forbiddenType", "77".to_owned()),
        ]
    }),
];

/// What the honest answer said.
fn said(request: &RemotingCommand, answer: &RemotingCommand) -> (i64, i64, i64, i64) {
    let of = |field| number(answer, field).unwrap_or(0);
    (number(request, "queueOffset").unwrap_or(0), of("minOffset"), of("maxOffset"), of("nextBeginOffset"))
}

/// Whether it is the topic that everybody counts.
fn is_work(request: &RemotingCommand) -> bool {
    request.ext.get("topic").is_some_and(|topic| topic == crate::honest::TOPIC)
}

fn headers((what, fields): &(&str, Fields)) -> Case {
    let fields = *fields;
    case(format!("found/{what}"), Role::Broker, Phase::Live, Holds::LEARNING, move |_| {
        Script::change(PULL, move |request, answer| {
            if is_work(request) && answer.code == 0 {
                let (asked, min, max, next) = said(request, answer);
                let fields = fields(asked, min, max, next);
                set(answer, &fields);
                if fields.iter().any(|(field, _)| *field == "offsetDelta") {
                    // It says that its records are elsewhere.
                    return split(&answer.body)
                        .iter()
                        .map(|record| get_i64(record, at::QUEUE_OFFSET))
                        .collect();
                }
            }
            Vec::new()
        })
    })
}

/// Answers without records: `(code, fields, whether the protocol says that messages are skipped)`.
const EMPTY: &[(&str, i32, bool, Fields)] = &[
    ("found-next-asked", 0, false, |asked, _, max, _| range(0, max, asked)),
    ("found-next-10", 0, false, |asked, _, max, _| range(0, max + 100, asked + 10)),
    ("found-next-end", 0, false, |_, _, max, _| range(0, max, max)),
    ("none-next-asked", 19, false, |asked, _, max, _| range(0, max, asked)),
    ("none-next-before", 19, false, |asked, _, max, _| range(0, max, asked - 2)),
    ("none-next-billion", 19, false, |_, _, max, _| range(0, max, 1_000_000_000)),
    ("retry-next-asked", 20, false, |asked, _, max, _| range(0, max, asked)),
    ("retry-next-before", 20, false, |asked, _, max, _| range(0, max, asked - 2)),
    ("retry-next-billion", 20, false, |_, _, max, _| range(0, max, 1_000_000_000)),
    ("retry-next-minus", 20, false, |_, _, max, _| range(0, max, -1)),
    ("moved-end-0", 21, false, |_, _, _, _| range(0, 0, 0)),
    ("moved-next-billion", 21, false, |_, _, max, _| range(0, max, 1_000_000_000)),
    ("moved-next-minus", 21, false, |_, _, max, _| range(0, max, -1)),
    ("moved-next-i64-max", 21, false, |_, _, max, _| range(0, max, i64::MAX)),
    ("moved-below-min", 21, true, |asked, _, _, _| range(asked + 5, asked + 50, asked + 5)),
    ("moved-above-end-to-end", 21, true, |asked, _, _, _| range(0, (asked - 2).max(1), (asked - 2).max(1))),
    ("moved-above-end-to-0", 21, true, |asked, _, _, _| range(0, (asked - 2).max(1), 0)),
    ("moved-reset-back", 21, true, |_, _, max, _| range(0, max, 0)),
    ("moved-reset-forward", 21, true, |_, _, max, _| range(0, max, max)),
    ("moved-same", 21, false, |asked, _, max, _| range(0, max, asked)),
    ("moved-min-above-max", 21, false, |asked, _, _, _| range(asked + 100, asked + 10, asked + 100)),
    ("moved-without-fields", 21, false, |_, _, _, _| Vec::new()),
];

fn empty((what, code, skips, fields): &(&str, i32, bool, Fields)) -> Vec<Case> {
    let (code, fields) = (*code, *fields);
    let name = |how: &str| format!("empty/{what}-{how}");
    let make = move || {
        move |request: &RemotingCommand, answer: &mut RemotingCommand| {
            if is_work(request) {
                let (asked, min, max, next) = said(request, answer);
                answer.code = code;
                answer.body = Bytes::new();
                answer.ext = rocketmq_client_core::remoting::ExtFields::new();
                let mut all = fields(asked, min, max, next);
                if !all.is_empty() {
                    all.push(("suggestWhichBrokerId", "0".to_owned()));
                }
                set(answer, &all);
            }
            Vec::new()
        }
    };
    // Once, with messages in hand: everything goes on from where it was. For ever: it holds its breath.
    let mut holds = Holds::LEARNING;
    let mut for_ever = Holds::ALL;
    if *skips {
        (holds, for_ever) = (holds.may_skip(), for_ever.may_skip());
    }
    vec![
        case(name("once"), Role::Broker, Phase::Live, holds, move |_| Script::change(PULL, make()).times(2)),
        case(name("for-ever"), Role::Broker, Phase::Live, for_ever, move |_| Script::change(PULL, make())),
    ]
}

/// All of this kind.
pub(super) fn all() -> Vec<Case> {
    let mut cases: Vec<Case> = SPOILT.iter().map(spoilt).collect();
    cases.extend(ADDED.iter().map(added));
    cases.extend(SPOILT.iter().filter(|(what, _)| UNREADABLE.contains(what)).map(in_front));
    cases.extend(HEADERS.iter().map(headers));
    cases.extend(EMPTY.iter().flat_map(empty));
    cases
}
