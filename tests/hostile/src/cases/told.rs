//! Every code to everything at once, refusals that change, empty answers that lead on, and what a broker asks the
//! client to do.

use std::time::Duration;

use bytes::Bytes;
use rocketmq_client_core::remoting::{ExtFields, RemotingCommand, RequestCode};

use crate::case::{Case, Holds, Phase, Role, case};
use crate::frame::{self, number, set};
use crate::honest::{GROUP, TOPIC};
use crate::record::{Parts, record};
use crate::script::{Does, On, Script};

const CODES: &[i32] =
    &[1, 2, 4, 10, 14, 16, 17, 23, 24, 25, 26, 28, 29, 206, 210, 215, 501, 1_500, 2_014, -1, i32::MAX];

fn answers(code: i32, asked: &RemotingCommand) -> Bytes {
    if asked.is_oneway() { Bytes::new() } else { frame::encode(&frame::response(asked, code)) }
}

fn phases() -> [(Phase, &'static str); 3] {
    [(Phase::Start, "start"), (Phase::Live, "live"), (Phase::Stop, "stop")]
}

fn everything() -> Vec<Case> {
    let mut cases = Vec::new();
    for code in [0, 20, 25] {
        for (phase, when) in phases() {
            for (role, who) in [(Role::Broker, "broker"), (Role::NameServer, "name-server")] {
                let mut holds = Holds::ALL;
                if phase == Phase::Start {
                    holds = holds.may_stop();
                }
                cases.push(case(format!("every/{who}/{code}-{when}"), role, phase, holds, move |_| {
                    Script::write(On::Any, move |asked| answers(code, asked))
                }));
            }
        }
    }
    cases
}

/// The kinds of requests of a broker that can be refused by turns.
const KINDS: &[(&str, RequestCode)] = &[
    ("pull", RequestCode::PULL_MESSAGE),
    ("commit", RequestCode::UPDATE_CONSUMER_OFFSET),
    ("send-back", RequestCode::CONSUMER_SEND_MSG_BACK),
    ("send", RequestCode::SEND_MESSAGE_V2),
    ("heartbeat", RequestCode::HEART_BEAT),
    ("members", RequestCode::GET_CONSUMER_LIST_BY_GROUP),
    ("stored-offset", RequestCode::QUERY_CONSUMER_OFFSET),
];

/// Every code in turn, and what comes between.
fn by_turns() -> Vec<Case> {
    let mut cases = Vec::new();
    for (index, (kind, request)) in KINDS.iter().enumerate() {
        // Each at one time: what differs is the kind.
        let (phase, when) = phases()[index % 3];
        let request = *request;
        let mut holds = Holds::LEARNING;
        if phase == Phase::Start {
            holds = holds.may_stop();
        }
        let mut add = |what: &str, script: fn(On) -> Script| {
            let name = format!("turns/{kind}/{what}-{when}");
            let mut row = case(name, Role::Broker, phase, holds, move |_| script(On::Code(request)));
            row.retries = request == RequestCode::CONSUMER_SEND_MSG_BACK;
            row.slow = Duration::from_millis(150);
            cases.push(row);
        };
        add("codes", |on| {
            let mut turn = 0;
            Script::write(on, move |asked| {
                turn += 1;
                answers(CODES[turn % CODES.len()], asked)
            })
        });
        add("go-away-silence", |on| {
            let mut turn = 0;
            Script::write(on, move |asked| {
                turn += 1;
                if turn % 2 == 0 { Bytes::new() } else { answers(1_500, asked) }
            })
        });
        add("twice-with-two-codes", |on| {
            Script::write(on, |asked| [&answers(1, asked)[..], &answers(2, asked)].concat().into())
        });
        add("busy-then-wrong-opaque", |on| {
            Script::write(on, |asked| {
                let mut other = asked.clone();
                other.opaque = asked.opaque - 1;
                [&answers(2, asked)[..], &answers(0, &other)].concat().into()
            })
        });
        add("late", |on| Script::one(on, Does::Late(Duration::from_millis(2_900))));
    }
    cases
}

/// Answers without messages that lead on: `(asked, max)` to `(code, next, max)`.
type Leads = fn(i64, i64) -> (i32, i64, i64);

const LEADS: &[(&str, Leads)] = &[
    ("none-by-one", |asked, _| (19, asked + 1, asked + 1_000_000)),
    ("retry-by-one", |asked, _| (20, asked + 1, asked + 1_000_000)),
    ("found-by-one", |asked, _| (0, asked + 1, asked + 1_000_000)),
    ("none-to-end", |asked, max| (19, max.max(asked), max.max(asked))),
    ("retry-to-end", |asked, max| (20, max.max(asked), max.max(asked))),
    ("none-beyond", |asked, _| (19, asked + 7, asked + 6)),
    ("moved-by-one", |asked, _| (21, asked + 1, asked + 1_000_000)),
];

fn leads() -> Vec<Case> {
    let one = |(what, leads): &(&str, Leads)| {
        let leads = *leads;
        // It says that there is more each time, so that something is learned.
        case(format!("leads/{what}"), Role::Broker, Phase::Live, Holds::LEARNING.may_skip(), move |_| {
            Script::write(On::Code(RequestCode::PULL_MESSAGE), move |request| {
                let asked = number(request, "queueOffset").unwrap_or(0);
                let (code, next, max) = leads(asked, asked + 30);
                let mut answer = frame::response(request, code);
                set(
                    &mut answer,
                    &[
                        ("minOffset", "0".to_owned()),
                        ("maxOffset", max.to_string()),
                        ("nextBeginOffset", next.to_string()),
                        ("suggestWhichBrokerId", "0".to_owned()),
                    ],
                );
                frame::encode(&answer)
            })
        })
    };
    LEADS.iter().map(one).collect()
}

type Ask = fn(i32) -> RemotingCommand;

fn reset(opaque: i32, offset: &str) -> RemotingCommand {
    let mut ask = frame::request(
        220,
        opaque,
        2,
        [("topic", TOPIC), ("group", GROUP), ("timestamp", "0"), ("isForce", "true")],
    );
    let entry = |queue: i32| {
        format!("{{\"brokerName\":\"broker-b\",\"queueId\":{queue},\"topic\":\"{TOPIC}\"}}:{offset}")
    };
    ask.body = format!("{{\"offsetTable\":{{{},{}}}}}", entry(0), entry(1)).into();
    ask
}

fn directly(opaque: i32, topic: &str, properties: &[u8]) -> RemotingCommand {
    let mut ask = frame::request(
        309,
        opaque,
        0,
        [
            ("consumerGroup", GROUP),
            ("clientId", "x"),
            ("topic", topic),
            ("brokerName", "broker-b"),
            ("msgId", "m"),
        ],
    );
    ask.body = record(&Parts {
        queue_offset: 3,
        queue_id: 0,
        sys_flag: 0,
        body: b"direct",
        topic: topic.as_bytes(),
        properties,
    })
    .freeze();
    ask
}

/// What is asked of the client; whether an operator says that messages are skipped.
const ASKS: &[(&str, bool, Ask)] = &[
    ("reset-to-5", true, |opaque| reset(opaque, "5")),
    ("reset-to-0", true, |opaque| reset(opaque, "0")),
    ("reset-to-and-fro", true, |opaque| reset(opaque, if opaque % 2 == 0 { "3" } else { "5" })),
    ("reset-to-billion", true, |opaque| reset(opaque, "1000000000")),
    ("reset-to-i64-max", true, |opaque| reset(opaque, "9223372036854775807")),
    ("reset-to-minus-1", false, |opaque| reset(opaque, "-1")),
    ("reset-to-i64-min", false, |opaque| reset(opaque, "-9223372036854775808")),
    ("reset-to-text", false, |opaque| reset(opaque, "\"abc\"")),
    ("reset-to-null", false, |opaque| reset(opaque, "null")),
    ("directly", false, |opaque| directly(opaque, TOPIC, b"")),
    ("directly-retry", false, |opaque| {
        directly(opaque, "%RETRY%hostile-group", b"RETRY_TOPIC\x01Elsewhere\x02")
    }),
    ("directly-elsewhere", false, |opaque| directly(opaque, "Elsewhere", b"")),
    ("members-changed", false, |opaque| frame::request(40, opaque, 2, [("consumerGroup", GROUP)])),
    ("codes", false, |opaque| {
        let mut ask = frame::request(
            opaque % 400,
            opaque,
            opaque % 2 * 2,
            [("consumerGroup", GROUP), ("topic", TOPIC)],
        );
        ask.body = Bytes::from(vec![u8::try_from(opaque % 256).unwrap_or(0); 100]);
        ask
    }),
    ("go-away", false, |opaque| frame::request(1_500, opaque, 2, [])),
    ("answers-one-way", false, |opaque| frame::request(0, opaque % 100, 3, [])),
    ("answers-go-away", false, |opaque| frame::request(1_500, opaque % 300, 1, [])),
];

fn asks() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, skips, ask) in ASKS {
        for (phase, when, slow_ms) in [(Phase::Live, "live", 300), (Phase::Stop, "stop", 0)] {
            let ask = *ask;
            let mut holds = Holds::LEARNING.may_add();
            if *skips {
                holds = holds.may_skip();
            }
            let mut row = case(format!("asks/{what}-{when}"), Role::Broker, phase, holds, move |_| {
                Script::pour(1, move |sequence| {
                    frame::encode(&ask(i32::try_from(sequence % 1_000_000).unwrap_or(0)))
                })
            });
            row.slow = Duration::from_millis(slow_ms);
            cases.push(row);
        }
    }
    cases
}

/// The members flap: with another one, and without.
fn members() -> Vec<Case> {
    let rows: [(&str, bool); 2] = [("flapping", false), ("flapping-slow", true)];
    let one = |(what, slow): (&str, bool)| {
        let holds = Holds::LEARNING.may_stop();
        let mut row = case(format!("members-turns/{what}"), Role::Broker, Phase::Live, holds, |_| {
            let mut turn = 0;
            let list = move |_: &RemotingCommand, answer: &mut RemotingCommand| {
                turn += 1;
                if turn % 2 == 0 {
                    let text = String::from_utf8_lossy(&answer.body).into_owned();
                    answer.body = text.replacen("[\"", "[\"0.0.0.0@0\",\"", 1).into();
                }
                Vec::new()
            };
            let told = |_| frame::encode(&frame::request(40, 0, 2, [("consumerGroup", GROUP)]));
            let flood = Script::pour(1, told).flood;
            Script { flood, ..Script::change(On::Code(RequestCode::GET_CONSUMER_LIST_BY_GROUP), list) }
        });
        row.slow = Duration::from_millis(if slow { 400 } else { 0 });
        row
    };
    rows.into_iter().map(one).collect()
}

/// Where the group stands: codes and texts, while members flap.
fn stored() -> Vec<Case> {
    let rows: &[(&str, i32, Option<&'static str>)] = &[
        ("none", 0, None),
        ("not-found", 22, None),
        ("not-found-with-offset", 22, Some("5")),
        ("refused-with-offset", 1, Some("5")),
        ("minus-2", 0, Some("-2")),
        ("spaces", 0, Some(" 3 ")),
    ];
    let one = |(what, code, offset): &(&str, i32, Option<&'static str>)| {
        let (code, offset) = (*code, *offset);
        case(format!("stored/{what}"), Role::Broker, Phase::Start, Holds::LEARNING.may_stop(), move |_| {
            Script::write(On::Code(RequestCode::QUERY_CONSUMER_OFFSET), move |asked| {
                let mut answer = frame::response(asked, code);
                answer.ext = offset.map(|offset| ("offset", offset)).into_iter().collect::<ExtFields>();
                frame::encode(&answer)
            })
        })
    };
    rows.iter().map(one).collect()
}

/// All of this kind.
pub(super) fn all() -> Vec<Case> {
    let mut cases = everything();
    cases.extend(by_turns());
    cases.extend(leads());
    cases.extend(asks());
    cases.extend(members());
    cases.extend(stored());
    cases
}
