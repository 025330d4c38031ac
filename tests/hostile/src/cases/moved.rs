//! Answer 21 in variants: turn by turn, with messages in hand, and with odd answers to the question by time.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use rocketmq_client_core::remoting::{ExtFields, RemotingCommand, RequestCode};

use crate::case::{Case, Holds, Phase, Role, case};
use crate::frame::{self, number, set};
use crate::honest::TOPIC;
use crate::script::{Does, On, Script};

const PULL: On = On::Code(RequestCode::PULL_MESSAGE);
const SEARCH: On = On::Code(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP);

/// What a pull of a queue is answered: `(turn, asked, min, max)` of the honest answer; nothing is honest.
type Says = fn(i64, i64, i64, i64) -> Option<[i64; 3]>;

/// Changes answers to pulls into 21 with `[min, max, next]`.
fn moving(says: Says) -> impl FnMut(&RemotingCommand, &mut RemotingCommand) -> Vec<i64> + Send {
    let mut turns = BTreeMap::new();
    move |request, answer| {
        if request.ext.get("topic").is_none_or(|topic| topic != TOPIC) {
            return Vec::new();
        }
        let turn = turns.entry(number(request, "queueId")).or_insert(0);
        *turn += 1;
        let asked = number(request, "queueOffset").unwrap_or(0);
        let of = |field| number(answer, field).unwrap_or(0);
        if let Some([min, max, next]) = says(*turn, asked, of("minOffset"), of("maxOffset")) {
            say_moved(answer, min, max, next);
        }
        Vec::new()
    }
}

fn say_moved(answer: &mut RemotingCommand, min: i64, max: i64, next: i64) {
    answer.code = 21;
    answer.body = Bytes::new();
    answer.ext = ExtFields::new();
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

/// Turn by turn; whether the protocol says that messages are skipped.
const TURNS: &[(&str, bool, Says)] = &[
    ("two-places", true, |turn, asked, _, max| {
        Some([0, max, if turn % 2 == 0 { max } else { (asked - 3).max(0) }])
    }),
    ("begin-and-end", true, |turn, _, _, max| Some([0, max, if turn % 2 == 0 { max } else { 0 }])),
    ("back-and-honest", true, |turn, asked, _, max| (turn % 2 == 0).then_some([0, max, (asked - 2).max(0)])),
    ("back-by-one-and-honest", true, |turn, asked, _, max| {
        (turn % 3 == 0).then_some([0, max, (asked - 1).max(0)])
    }),
    ("same-and-honest", false, |turn, asked, _, max| (turn % 2 == 0).then_some([0, max, asked])),
    ("empty-and-honest", false, |turn, _, _, _| (turn % 2 == 0).then_some([0, 0, 0])),
    ("no-queue-and-honest", false, |turn, _, _, _| (turn % 2 == 0).then_some([-1, 0, 0])),
    ("empty-thrice-and-honest", false, |turn, _, _, _| (turn % 4 != 0).then_some([0, 0, 0])),
    ("empty-and-beyond", false, |turn, asked, _, _| {
        let beyond = (asked > 2).then_some([0, asked - 2, asked - 2]);
        if turn % 2 == 0 { Some([0, 0, 0]) } else { beyond }
    }),
    ("empty-and-same", false, |turn, asked, _, max| {
        Some(if turn % 2 == 0 { [0, 0, 0] } else { [0, max, asked] })
    }),
    ("beyond-and-honest", false, |turn, asked, _, _| {
        (turn % 2 == 0).then_some([0, (asked - 2).max(1), (asked - 2).max(1)])
    }),
    ("beyond-by-one", false, |_, asked, _, _| (asked > 1).then_some([0, asked - 1, asked - 1])),
    ("beyond-to-one", false, |_, asked, _, _| (asked > 1).then_some([0, 1, 1])),
    ("beyond-and-nonsense", false, |turn, asked, _, _| {
        Some(if turn % 2 == 0 { [0, (asked - 2).max(1), 0] } else { [9, 3, 5] })
    }),
    ("creeping-min", true, |_, asked, _, _| Some([asked + 1, asked + 10, asked + 1])),
    ("expired-at-end", false, |_, asked, _, _| Some([asked, asked, asked])),
    ("nonsense-and-honest", false, |turn, asked, _, _| {
        (turn % 2 == 0).then_some([asked + 9, asked + 3, asked + 9])
    }),
    ("min-above-next-and-honest", false, |turn, asked, _, max| (turn % 2 == 0).then_some([asked, max, 0])),
    ("first-of-i64-max", true, |_, _, _, _| Some([i64::MAX, i64::MAX, i64::MAX])),
    ("one-below-i64-max", true, |_, _, _, _| Some([i64::MAX - 1, i64::MAX, i64::MAX - 1])),
];

fn turns() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, skips, says) in TURNS {
        // With messages in hand, but for a client that starts.
        for (phase, when, slow_ms) in [(Phase::Start, "start", 0), (Phase::Live, "live", 400)] {
            let says = *says;
            let mut holds = if what.ends_with("honest") { Holds::LEARNING } else { Holds::ALL };
            if *skips {
                holds = holds.may_skip();
            }
            let name = format!("moved-turns/{what}-{when}");
            let mut row = case(name, Role::Broker, phase, holds, move |_| Script::change(PULL, moving(says)));
            row.slow = Duration::from_millis(slow_ms);
            cases.push(row);
        }
    }
    cases
}

/// The fields of a 21 as text.
const TEXTS: &[(&str, [&str; 3])] = &[
    ("next-text", ["0", "50", "abc"]),
    ("next-empty", ["0", "50", ""]),
    ("next-fraction", ["0", "50", "1.5"]),
    ("next-2-64", ["0", "50", "18446744073709551616"]),
    ("min-text", ["x", "50", "5"]),
    ("max-text", ["0", "x", "5"]),
    ("max-empty", ["0", "", "5"]),
    ("all-spaces", [" 0", " 50 ", " 5"]),
    ("plus-signs", ["+0", "+50", "+5"]),
    ("hex", ["0x0", "0x32", "0x5"]),
];

fn texts() -> Vec<Case> {
    let one = |(what, [min, max, next]): &(&'static str, [&'static str; 3])| {
        let (min, max, next) = (*min, *max, *next);
        // Whoever reads signs and spaces is told of a place.
        let holds =
            if ["plus-signs", "all-spaces"].contains(what) { Holds::ALL.may_skip() } else { Holds::ALL };
        case(format!("moved-text/{what}"), Role::Broker, Phase::Live, holds, move |_| {
            Script::change(PULL, move |_, answer| {
                say_moved(answer, 0, 0, 0);
                set(
                    answer,
                    &[
                        ("minOffset", min.to_owned()),
                        ("maxOffset", max.to_owned()),
                        ("nextBeginOffset", next.to_owned()),
                    ],
                );
                Vec::new()
            })
        })
    };
    TEXTS.iter().map(one).collect()
}

/// What is found by time: the text, or none.
const FOUND: &[(&str, Option<&str>)] = &[
    ("minus-1", Some("-1")),
    ("i64-min", Some("-9223372036854775808")),
    ("i64-max", Some("9223372036854775807")),
    ("billion", Some("1000000000")),
    ("zero", Some("0")),
    ("one", Some("1")),
    ("text", Some("abc")),
    ("empty", Some("")),
    ("none", None),
];
const CODES: &[i32] = &[2, 17, 1_500];

/// Makes a script.
type Make = fn() -> Script;

/// How the queue comes to be asked for by time.
const CAUSES: &[(&str, Says)] = &[
    ("beyond", |turn, asked, _, _| (turn <= 2).then_some([0, (asked - 2).max(1), (asked - 2).max(1)])),
    ("emptied", |turn, _, _, _| (turn <= 1).then_some([0, 0, 0])),
];

fn searches() -> Vec<Case> {
    let mut cases = Vec::new();
    for (cause, says) in CAUSES {
        let says = *says;
        let name = |what: &str| format!("moved-search/{cause}-{what}");
        let holds = Holds::LEARNING;
        let add = |what: &str, search: fn() -> Does| {
            let mut row = case(name(what), Role::Broker, Phase::Live, holds, move |_| {
                Script::change(PULL, moving(says)).and(SEARCH, search())
            });
            row.slow = Duration::from_millis(200);
            row
        };
        cases.push(add("silence", || Does::Silence));
        cases.push(add("close", || Does::Close));
        cases.push(add("half", || Does::Half));
        cases.push(add("twice", || Does::Twice));
        cases.push(add("late", || Does::Late(Duration::from_millis(900))));
        let mut write = |what: &str, code: i32, offset: Option<&'static str>| {
            let mut row = case(name(what), Role::Broker, Phase::Live, holds, move |_| {
                let search = move |asked: &RemotingCommand| {
                    let mut answer = frame::response(asked, code);
                    answer.ext = offset.map(|offset| ("offset", offset)).into_iter().collect();
                    frame::encode(&answer)
                };
                Script::change(PULL, moving(says)).and(SEARCH, Does::Write(Box::new(search)))
            });
            row.slow = Duration::from_millis(200);
            cases.push(row);
        };
        for (what, offset) in FOUND {
            write(what, 0, *offset);
        }
        for code in CODES {
            write(&format!("code-{code}"), *code, None);
        }
    }
    cases
}

/// A place, while something else is under way as well.
fn combined() -> Vec<Case> {
    const COMMIT: On = On::Code(RequestCode::UPDATE_CONSUMER_OFFSET);
    let rows: Vec<(&str, Phase, bool, Make)> = vec![
        ("back-commits-silent", Phase::Live, true, || {
            Script::change(PULL, moving(|t, asked, _, max| (t < 3).then_some([0, max, asked - 5])))
                .and(COMMIT, Does::Silence)
        }),
        ("back-commits-late", Phase::Live, true, || {
            Script::change(PULL, moving(|t, asked, _, max| (t < 3).then_some([0, max, asked - 5])))
                .and(COMMIT, Does::Late(Duration::from_millis(1_700)))
        }),
        ("beyond-commits-late", Phase::Live, false, || {
            Script::change(PULL, moving(|t, asked, _, _| (t < 3).then_some([0, asked - 3, asked - 3])))
                .and(COMMIT, Does::Late(Duration::from_millis(1_700)))
        }),
        ("empty-commits-close", Phase::Live, false, || {
            Script::change(PULL, moving(|t, _, _, _| (t % 2 == 1).then_some([0, 0, 0])))
                .and(COMMIT, Does::Close)
        }),
        ("back-commits-silent", Phase::Stop, true, || {
            Script::change(PULL, moving(|_, asked, _, max| Some([0, max, asked - 1])))
                .and(COMMIT, Does::Silence)
        }),
        ("beyond-search-silent", Phase::Stop, false, || {
            Script::change(PULL, moving(|_, asked, _, _| Some([0, asked - 3, asked - 3])))
                .and(SEARCH, Does::Silence)
        }),
        ("one-queue", Phase::Live, false, || {
            Script::change(PULL, |request, answer| {
                if number(request, "queueId") == Some(0) {
                    let asked = number(request, "queueOffset").unwrap_or(0);
                    say_moved(answer, 0, (asked - 1).max(1), 0);
                }
                Vec::new()
            })
        }),
        ("retry-topic-too", Phase::Live, false, || {
            Script::change(PULL, |_, answer| {
                say_moved(answer, 0, 0, 0);
                Vec::new()
            })
        }),
        ("with-its-records", Phase::Live, false, || {
            Script::change(PULL, |request, answer| {
                let asked = number(request, "queueOffset").unwrap_or(0);
                let body = answer.body.clone();
                let max = number(answer, "maxOffset").unwrap_or(0);
                say_moved(answer, 0, max, asked);
                answer.body = body;
                Vec::new()
            })
            .times(9)
        }),
        ("other-broker", Phase::Live, false, || {
            Script::change(PULL, |request, answer| {
                let asked = number(request, "queueOffset").unwrap_or(0);
                let max = number(answer, "maxOffset").unwrap_or(0);
                say_moved(answer, 0, max, asked);
                set(answer, &[("suggestWhichBrokerId", "7".to_owned())]);
                Vec::new()
            })
        }),
        ("back-and-send-backs-silent", Phase::Live, true, || {
            Script::change(PULL, moving(|t, asked, _, max| (t % 3 == 1).then_some([0, max, asked - 5])))
                .and(On::Code(RequestCode::CONSUMER_SEND_MSG_BACK), Does::Silence)
        }),
        ("beyond-and-send-backs-late", Phase::Live, false, || {
            Script::change(PULL, moving(|t, asked, _, _| (t % 3 == 1).then_some([0, asked - 3, asked - 3])))
                .and(On::Code(RequestCode::CONSUMER_SEND_MSG_BACK), Does::Late(Duration::from_millis(700)))
        }),
    ];
    let one = |(what, phase, skips, script): (&str, Phase, bool, Make)| {
        let holds = if skips { Holds::LEARNING.may_skip() } else { Holds::LEARNING };
        let stop = if phase == Phase::Stop { "-stop" } else { "" };
        let mut row = case(format!("moved-with/{what}{stop}"), Role::Broker, phase, holds, move |_| script());
        row.slow = Duration::from_millis(600);
        row.retries = what.contains("send-back");
        row
    };
    rows.into_iter().map(one).collect()
}

/// All of this kind.
pub(super) fn all() -> Vec<Case> {
    let mut cases = turns();
    cases.extend(texts());
    cases.extend(searches());
    cases.extend(combined());
    cases
}
