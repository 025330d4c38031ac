//! Everything at once: each answer of a broker is twisted by a seed, but never so that the protocol's own words
//! would skip a message.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rocketmq_client_core::remoting::{ExtFields, RemotingCommand, RequestCode};
use rocketmq_client_core::rng::Rng;

use crate::case::{Case, Holds, Phase, Role, case};
use crate::frame::{number, set};
use crate::honest::TOPIC;
use crate::record::{at, get_i64, join, put_i32, put_i64, split};
use crate::script::{On, Script};

/// So many seeds.
const SEEDS: u64 = 12;
/// What a refusal may say.
const CODES: [i32; 16] = [1, 2, 3, 13, 14, 16, 17, 22, 24, 25, 26, 215, 501, 1_500, -7, i32::MAX];

/// A number below `end`.
fn below(rng: &mut Rng, end: u32) -> u32 {
    rng.next_u32() % end
}

fn pick<T: Copy>(rng: &mut Rng, all: &[T]) -> T {
    all[usize::try_from(rng.next_u32()).unwrap_or(0) % all.len()]
}

fn fields(answer: &mut RemotingCommand, min: i64, max: i64, next: i64) {
    set(
        answer,
        &[
            ("minOffset", min.to_string()),
            ("maxOffset", max.to_string()),
            ("nextBeginOffset", next.to_string()),
            ("suggestWhichBrokerId", "0".to_owned()),
        ],
    );
}

fn bare(answer: &mut RemotingCommand, code: i32, [min, max, next]: [i64; 3]) {
    answer.code = code;
    answer.body = Bytes::new();
    answer.ext = ExtFields::new();
    fields(answer, min, max, next);
}

/// Spoils a record of the answer; its offset.
fn spoil(rng: &mut Rng, records: &mut [BytesMut]) -> Vec<i64> {
    let Some(count) = u32::try_from(records.len()).ok().filter(|count| *count > 0) else { return Vec::new() };
    let record = &mut records[below(rng, count) as usize];
    let offset = get_i64(record, at::QUEUE_OFFSET);
    match below(rng, 9) {
        0 => put_i32(record, at::CRC, 1),
        1 => put_i32(record, at::MAGIC, 1),
        2 => put_i32(record, at::QUEUE_ID, 5),
        3 => put_i64(record, at::QUEUE_OFFSET, offset + pick(rng, &[-1, 500, i64::MAX / 2])),
        4 => put_i32(record, at::BODY_LEN, pick(rng, &[0, -1, i32::MAX, 3])),
        5 => put_i64(record, at::STORED, pick(rng, &[0, -1, i64::MAX])),
        6 => put_i32(record, at::SYS_FLAG, pick(rng, &[1, 0x101, 0x201, 0x701, -1, 0xC0])),
        7 => put_i32(record, at::RECONSUMED, pick(rng, &[-1, 99, i32::MAX])),
        _ => {
            let at = below(rng, u32::try_from(record.len() - 28).unwrap_or(1)) as usize + 28;
            record[at] ^= 0xff;
        }
    }
    vec![offset]
}

fn pulled(rng: &mut Rng, request: &RemotingCommand, answer: &mut RemotingCommand) -> Vec<i64> {
    let asked = number(request, "queueOffset").unwrap_or(0);
    let max = number(answer, "maxOffset").unwrap_or(0);
    let ours = request.ext.get("topic").is_some_and(|topic| topic == TOPIC);
    let mut records = split(&answer.body);
    match below(rng, 22) {
        0 => bare(answer, 21, [0, max.max(asked), asked]),
        1 => bare(answer, 21, [0, 0, 0]),
        2 => bare(answer, 21, [-1, 0, 0]),
        3 if asked > 3 => {
            let end = asked - 1 - i64::from(below(rng, 3));
            bare(answer, 21, [0, end, pick(rng, &[0, end])]);
        }
        4 => bare(answer, 21, [asked + 9, asked + 3, asked]),
        5 => bare(answer, pick(rng, &[0, 19, 20, 21]), [0, max, pick(rng, &[-1, i64::MAX, 1_000_000_000])]),
        6 => bare(answer, pick(rng, &[0, 19, 20]), [0, max, (asked - 2).max(0)]),
        7 => bare(answer, pick(rng, &[0, 19, 20]), [0, max, asked]),
        8 => bare(answer, pick(rng, &CODES), [0, 0, 0]),
        9 if ours => {
            let spoilt = spoil(rng, &mut records);
            answer.body = join(&records);
            return spoilt;
        }
        10 => {
            records.reverse();
            answer.body = join(&records);
        }
        11 => {
            records.extend(records.clone());
            answer.body = join(&records);
        }
        12 => set(answer, &[(pick(rng, &["minOffset", "maxOffset", "nextBeginOffset"]), "x".to_owned())]),
        13 => set(answer, &[("suggestWhichBrokerId", pick(rng, &["1", "-1", "99", "x"]).to_owned())]),
        14 if answer.code == 0 => set(answer, &[("maxOffset", pick(rng, &[-1, 0, asked]).to_string())]),
        _ => {}
    }
    Vec::new()
}

/// Changes any answer.
fn twist(rng: &mut Rng, request: &RemotingCommand, answer: &mut RemotingCommand) -> Vec<i64> {
    match request.request_code() {
        RequestCode::PULL_MESSAGE => return pulled(rng, request, answer),
        RequestCode::SEARCH_OFFSET_BY_TIMESTAMP => match below(rng, 4) {
            0 => set(answer, &[("offset", pick(rng, &["-1", "x", "0", "1000000000", "5"]).to_owned())]),
            1 => answer.code = pick(rng, &CODES),
            _ => {}
        },
        _ if below(rng, 4) == 0 => answer.code = pick(rng, &CODES),
        _ => {}
    }
    Vec::new()
}

/// All of this kind.
pub(super) fn all() -> Vec<Case> {
    let one = |seed: u64| {
        let (phase, when) = match seed % 4 {
            0 => (Phase::Start, "start"),
            1 => (Phase::Stop, "stop"),
            _ => (Phase::Live, "live"),
        };
        let mut holds = Holds::LEARNING.may_add();
        if phase == Phase::Start {
            holds = holds.may_stop();
        }
        let mut row = case(format!("mixed/{seed}-{when}"), Role::Broker, phase, holds, move |_| {
            let mut rng = Rng::new(seed);
            Script::change(On::Any, move |request, answer| twist(&mut rng, request, answer))
        });
        row.slow = Duration::from_millis([0, 60, 400][usize::try_from(seed % 3).unwrap_or(0)]);
        row.retries = seed % 5 < 2;
        row
    };
    (0..SEEDS).map(one).collect()
}
