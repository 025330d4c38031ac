//! Answers to pulls that are odd as a whole, and records that are odd but sound: those arrive.

use std::io::Write as _;

use bytes::{Bytes, BytesMut};
use rocketmq_client_core::remoting::{RemotingCommand, RequestCode};

use crate::case::{Case, Holds, Phase, Role, case};
use crate::frame::{number, set};
use crate::honest::TOPIC;
use crate::record::{Parts, at, get_i32, get_i64, join, put_i32, put_i64, record, split};
use crate::script::{On, Script};

const PULL: On = On::Code(RequestCode::PULL_MESSAGE);

fn offsets(records: &[BytesMut]) -> Vec<i64> {
    records.iter().map(|record| get_i64(record, at::QUEUE_OFFSET)).collect()
}

fn body_of(record: &[u8]) -> &[u8] {
    let len = usize::try_from(get_i32(record, at::BODY_LEN)).unwrap_or(0);
    record.get(at::BODY..at::BODY + len).unwrap_or_default()
}

fn is_work(request: &RemotingCommand) -> bool {
    request.ext.get("topic").is_some_and(|topic| topic == TOPIC)
}

/// The same message with other properties, another flag and another body.
fn again(old: &[u8], sys_flag: i32, body: &[u8], properties: &[u8]) -> BytesMut {
    record(&Parts {
        queue_offset: get_i64(old, at::QUEUE_OFFSET),
        queue_id: get_i32(old, at::QUEUE_ID),
        sys_flag,
        body,
        topic: TOPIC.as_bytes(),
        properties,
    })
}

type Properties = fn(i64) -> Vec<u8>;

/// Properties that no client would write. The body is sound, so it arrives.
const PROPERTIES: &[(&str, Properties)] = &[
    ("separators", |_| b"\x01\x02\x01\x02\x02\x02\x01\x01".to_vec()),
    ("no-separator", |_| b"nonsense".to_vec()),
    ("no-value", |_| b"KEYS\x01\x02TAGS\x01".to_vec()),
    ("no-key", |_| b"\x01value\x02".to_vec()),
    ("long", |_| [b"k\x01".to_vec(), vec![b'v'; 32_000], b"\x02".to_vec()].concat()),
    ("many", |_| b"a\x01b\x02".repeat(8_000)),
    ("same-key", |_| (0..2_000).flat_map(|n| format!("KEYS\x01{n}\x02").into_bytes()).collect()),
    ("same-id", |_| b"UNIQ_KEY\x017F000001000018B4AAC2000000000000\x02".to_vec()),
    ("bad-id", |_| b"UNIQ_KEY\x01\x1b[2J\r\nx\x02".to_vec()),
    ("empty-id", |_| b"UNIQ_KEY\x01\x02".to_vec()),
    ("delay", |_| b"DELAY\x0199\x02".to_vec()),
    ("delay-text", |_| b"DELAY\x01abc\x02RECONSUME_TIME\x01-9\x02MAX_RECONSUME_TIMES\x01-1\x02".to_vec()),
    ("reconsumed-max", |_| b"RECONSUME_TIME\x012147483647\x02MAX_RECONSUME_TIMES\x010\x02".to_vec()),
    ("retry-topic", |_| b"RETRY_TOPIC\x01Elsewhere\x02".to_vec()),
    ("retry-topic-own", |_| b"RETRY_TOPIC\x01%RETRY%hostile-group\x02".to_vec()),
    ("real-topic", |_| b"REAL_TOPIC\x01Elsewhere\x02REAL_QID\x01-4\x02".to_vec()),
    ("tags", |_| b"TAGS\x01 || * || \x02".to_vec()),
    ("transaction", |_| b"TRAN_MSG\x01true\x02PGROUP\x01p\x02__transactionId__\x01t\x02".to_vec()),
    ("offsets", |_| b"MIN_OFFSET\x01-5\x02MAX_OFFSET\x01x\x02CONSUME_START_TIME\x01-1\x02".to_vec()),
    ("inner", |_| b"INNER_NUM\x0150\x02INNER_BASE\x01-7\x02".to_vec()),
    ("batch-order", |_| b"__SHARDINGKEY\x01k\x02WAIT\x01maybe\x02CLUSTER\x01c\x02".to_vec()),
    ("origin-id", |_| b"ORIGIN_MESSAGE_ID\x01\x02DUP_INFO\x01a_b_c\x02".to_vec()),
    ("offset-as-text", |offset| format!("KEYS\x01{offset}\x02POP_CK\x01{offset} x\x02").into_bytes()),
];

fn properties((what, make): &(&str, Properties), retries: bool) -> Case {
    let make = *make;
    let sent_back = if retries { "-sent-back" } else { "" };
    let name = format!("properties/{what}{sent_back}");
    let mut row = case(name, Role::Broker, Phase::Live, Holds::LEARNING, move |_| {
        Script::change(PULL, move |request, answer| {
            if is_work(request) {
                let records = split(&answer.body);
                let made = records.iter().zip(offsets(&records));
                let made: Vec<_> =
                    made.map(|(record, offset)| again(record, 0, body_of(record), &make(offset))).collect();
                answer.body = join(&made);
            }
            Vec::new()
        })
    });
    row.retries = retries;
    row
}

type Pack = fn(&[u8]) -> Vec<u8>;

fn zlib(body: &[u8]) -> Vec<u8> {
    let mut out = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    out.write_all(body).and_then(|()| out.finish()).expect("memory takes all")
}

fn lz4(body: &[u8]) -> Vec<u8> {
    let mut out = lz4_flex::frame::FrameEncoder::new(Vec::new());
    out.write_all(body).expect("memory takes all");
    out.finish().expect("memory takes all")
}

fn zstd(body: &[u8]) -> Vec<u8> {
    zstd::encode_all(body, 1).expect("memory takes all")
}

fn cut(mut packed: Vec<u8>) -> Vec<u8> {
    packed.truncate(packed.len() / 2);
    packed
}

/// Bodies that are packed: whether they can be unpacked, the flag, and how.
const PACKED: &[(&str, bool, i32, Pack)] = &[
    ("zlib-legacy", true, 0x1, zlib),
    ("zlib", true, 0x301, zlib),
    ("lz4", true, 0x101, lz4),
    ("zstd", true, 0x201, zstd),
    ("zlib-as-lz4", false, 0x101, zlib),
    ("zlib-as-zstd", false, 0x201, zlib),
    ("lz4-as-zlib", false, 0x301, lz4),
    ("zstd-as-zlib", false, 0x1, zstd),
    ("zstd-as-lz4", false, 0x101, zstd),
    ("zlib-cut", false, 0x301, |body| cut(zlib(body))),
    ("lz4-cut", false, 0x101, |body| cut(lz4(body))),
    ("zstd-cut", false, 0x201, |body| cut(zstd(body))),
    ("zlib-empty", false, 0x301, |_| Vec::new()),
    ("lz4-empty", false, 0x101, |_| Vec::new()),
    ("zstd-empty", false, 0x201, |_| Vec::new()),
    ("zlib-unmarked", false, 0, zlib),
    ("zlib-twice", false, 0x301, |body| zlib(&zlib(body))),
    ("inner-batch-noise", false, 0x80, |_| vec![0x5a; 200]),
    ("inner-batch-wrapped-noise", false, 0xC0, |_| vec![0; 200]),
    ("nothing", false, 0, |_| Vec::new()),
];

fn packed((what, sound, flag, pack): &(&str, bool, i32, Pack)) -> Case {
    let (sound, flag, pack) = (*sound, *flag, *pack);
    let holds = if sound { Holds::LEARNING } else { Holds::LEARNING.may_add() };
    let name = format!("packed/{what}");
    case(name, Role::Broker, Phase::Live, holds, move |_| {
        Script::change(PULL, move |request, answer| {
            if !is_work(request) {
                return Vec::new();
            }
            let records = split(&answer.body);
            let made: Vec<_> =
                records.iter().map(|record| again(record, flag, &pack(body_of(record)), b"")).collect();
            answer.body = join(&made);
            if sound { Vec::new() } else { offsets(&records) }
        })
    })
}

/// Changes the records of an answer; which of them may not arrive.
type Whole = fn(&mut Vec<BytesMut>) -> Vec<i64>;

const WHOLES: &[(&str, Whole)] = &[
    ("doubled", |records| {
        *records = records.iter().flat_map(|record| [record.clone(), record.clone()]).collect();
        Vec::new()
    }),
    ("all-twice", |records| {
        records.extend(records.clone());
        Vec::new()
    }),
    ("all-a-hundred-times", |records| {
        *records = std::iter::repeat_n(records.clone(), 100).flatten().collect();
        Vec::new()
    }),
    ("backward", |records| {
        records.reverse();
        Vec::new()
    }),
    ("last-first", |records| {
        let by = usize::from(!records.is_empty());
        records.rotate_right(by);
        Vec::new()
    }),
    ("all-at-the-first", |records| {
        let spoilt = offsets(records);
        if let Some(first) = spoilt.first() {
            records.iter_mut().for_each(|record| put_i64(record, at::QUEUE_OFFSET, *first));
        }
        spoilt
    }),
    ("all-at-the-last", |records| {
        let spoilt = offsets(records);
        if let Some(last) = spoilt.last() {
            records.iter_mut().for_each(|record| put_i64(record, at::QUEUE_OFFSET, *last));
        }
        spoilt
    }),
    ("all-shifted-by-one", |records| {
        let spoilt = offsets(records);
        for (record, offset) in records.iter_mut().zip(&spoilt) {
            put_i64(record, at::QUEUE_OFFSET, offset + 1);
        }
        spoilt
    }),
    ("stored-zero", |records| {
        records.iter_mut().for_each(|record| put_i64(record, at::STORED, 0));
        Vec::new()
    }),
    ("stored-minus", |records| {
        records.iter_mut().for_each(|record| put_i64(record, at::STORED, i64::MIN));
        Vec::new()
    }),
    ("stored-max", |records| {
        records.iter_mut().for_each(|record| put_i64(record, at::STORED, i64::MAX));
        Vec::new()
    }),
    ("reconsumed-minus", |records| {
        records.iter_mut().for_each(|record| put_i32(record, at::RECONSUMED, -3));
        Vec::new()
    }),
    ("reconsumed-max", |records| {
        records.iter_mut().for_each(|record| put_i32(record, at::RECONSUMED, i32::MAX));
        Vec::new()
    }),
    ("two-faults", |records| {
        let spoilt = offsets(records);
        if let Some(first) = records.first_mut() {
            put_i32(first, at::CRC, 5);
            put_i64(first, at::QUEUE_OFFSET, spoilt[0] + 1_000_000);
        }
        if let Some(last) = records.last_mut() {
            put_i32(last, at::TOTAL, 7);
        }
        spoilt
    }),
    ("crowd-unreadable", |records| {
        let Some(first) = records.first().cloned() else { return Vec::new() };
        let mut bad = again(&first, 0, b"x", b"");
        put_i32(&mut bad, at::CRC, 5);
        records.extend(std::iter::repeat_n(bad, 50_000));
        Vec::new()
    }),
    ("crowd-elsewhere", |records| {
        let Some(first) = records.first().cloned() else { return Vec::new() };
        let mut bad = again(&first, 0, b"x", b"");
        put_i32(&mut bad, at::QUEUE_ID, 99);
        records.splice(0..0, std::iter::repeat_n(bad, 50_000));
        Vec::new()
    }),
];

fn wholes((what, change): &(&str, Whole)) -> Case {
    let change = *change;
    let name = format!("records/{what}");
    case(name, Role::Broker, Phase::Live, Holds::LEARNING.may_add(), move |_| {
        Script::change(PULL, move |request, answer| {
            if !is_work(request) {
                return Vec::new();
            }
            let mut records = split(&answer.body);
            let spoilt = change(&mut records);
            answer.body = join(&records);
            spoilt
        })
    })
}

/// Honest records under another code, or with fields that don't fit them.
type Header = fn(&mut RemotingCommand, i64);

const HEADERS: &[(&str, Header)] = &[
    ("none-with-records", |answer, _| answer.code = 19),
    ("retry-with-records", |answer, _| answer.code = 20),
    ("flush-time-out", |answer, _| answer.code = 10),
    ("busy-with-records", |answer, _| answer.code = 2),
    ("no-fields", |answer, _| answer.ext = rocketmq_client_core::remoting::ExtFields::new()),
    ("no-next", |answer, _| set(answer, &[("nextBeginOffset", String::new())])),
    ("no-broker", |answer, _| set(answer, &[("suggestWhichBrokerId", String::new())])),
    ("broker-i64-max", |answer, _| set(answer, &[("suggestWhichBrokerId", i64::MAX.to_string())])),
    ("max-asked", |answer, asked| set(answer, &[("maxOffset", asked.to_string())])),
    ("min-asked-and-1", |answer, asked| set(answer, &[("minOffset", (asked + 1).to_string())])),
    ("next-asked-and-1", |answer, asked| {
        if answer.code == 0 {
            set(answer, &[("nextBeginOffset", (asked + 1).to_string())]);
        }
    }),
    ("cut-in-the-middle", |answer, _| answer.body = answer.body.slice(..answer.body.len() / 2)),
    ("cut-by-one", |answer, _| answer.body = answer.body.slice(..answer.body.len().saturating_sub(1))),
    ("body-shifted", |answer, _| answer.body = answer.body.slice(answer.body.len().min(1)..)),
    ("body-and-zeros", |answer, _| {
        let zeros = [0; 64];
        answer.body = Bytes::from([&answer.body[..], &zeros].concat());
    }),
    ("found-but-empty", |answer, _| answer.code = 0),
];

fn headers((what, change): &(&str, Header)) -> Case {
    let change = *change;
    let skips =
        ["none-with-records", "retry-with-records", "cut-in-the-middle", "body-shifted"].contains(what);
    let holds = if skips { Holds::LEARNING.may_skip() } else { Holds::LEARNING };
    case(format!("pulled/{what}"), Role::Broker, Phase::Live, holds, move |_| {
        let mut turns = 0;
        Script::change(PULL, move |request, answer| {
            turns += 1;
            if is_work(request) && turns % 3 != 0 {
                change(answer, number(request, "queueOffset").unwrap_or(0));
            }
            Vec::new()
        })
    })
}

/// All of this kind.
pub(super) fn all() -> Vec<Case> {
    // Every other one is sent back as well: it goes as it is.
    let mut cases: Vec<Case> =
        PROPERTIES.iter().enumerate().map(|(index, row)| properties(row, index % 2 == 0)).collect();
    cases.extend(PACKED.iter().map(packed));
    cases.extend(WHOLES.iter().map(wholes));
    cases.extend(HEADERS.iter().map(headers));
    cases
}
