//! Every code as an answer to every kind of request that the client makes.

use rocketmq_client_core::remoting::{ExtFields, RequestCode};

use crate::case::{Case, Holds, Phase, Role, case};
use crate::frame;
use crate::script::{On, Script};

/// What is asked of a server, and when.
const ASKED: &[(&str, Role, Phase, RequestCode)] = &[
    ("route", Role::NameServer, Phase::Start, RequestCode::GET_ROUTEINFO_BY_TOPIC),
    ("heartbeat", Role::Broker, Phase::Start, RequestCode::HEART_BEAT),
    ("members", Role::Broker, Phase::Start, RequestCode::GET_CONSUMER_LIST_BY_GROUP),
    ("stored-offset", Role::Broker, Phase::Start, RequestCode::QUERY_CONSUMER_OFFSET),
    ("pull", Role::Broker, Phase::Live, RequestCode::PULL_MESSAGE),
    ("commit", Role::Broker, Phase::Live, RequestCode::UPDATE_CONSUMER_OFFSET),
    ("send", Role::Broker, Phase::Live, RequestCode::SEND_MESSAGE_V2),
    ("send-back", Role::Broker, Phase::Live, RequestCode::CONSUMER_SEND_MSG_BACK),
    ("unregister", Role::Broker, Phase::Stop, RequestCode::UNREGISTER_CLIENT),
];

/// Codes, whether or not they are known.
const CODES: &[i32] =
    &[0, 1, 2, 3, 13, 14, 16, 17, 19, 20, 21, 22, 24, 25, 26, 501, 1_500, -7, i32::MAX, i32::MIN];

/// Makes a remark.
type Remark = fn() -> Option<Box<str>>;

/// What is said with it.
const REMARKS: &[(&str, Remark)] = &[
    ("none", || None),
    ("empty", || Some("".into())),
    ("control", || Some("\u{1b}[31mred\u{7}\r\n2026-01-01 ERROR injected".into())),
    ("huge", || Some("remark ".repeat(40_000).into())),
];

/// All of this kind.
pub(super) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (kind, (asked, role, phase, request)) in ASKED.iter().enumerate() {
        for (index, code) in CODES.iter().enumerate() {
            let (remark, text) = REMARKS[(index + kind) % REMARKS.len()];
            let name = format!("answer/{asked}/{code}-{remark}");
            // Whatever is not a pull or a route: messages keep coming from the hostile broker as well.
            let learning =
                ![RequestCode::PULL_MESSAGE, RequestCode::GET_ROUTEINFO_BY_TOPIC].contains(request);
            let mut holds = if learning { Holds::LEARNING } else { Holds::ALL };
            let (asked_role, code, request) = (*role, *code, *request);
            if *phase == Phase::Start {
                // A client that starts waits for its name server, and a member for its group.
                holds = holds.may_stop();
            }
            let mut row = case(name, asked_role, *phase, holds, move |_| {
                Script::write(On::Code(request), move |asked| {
                    if asked.is_oneway() {
                        return bytes::Bytes::new();
                    }
                    let mut answer = frame::response(asked, code);
                    answer.remark = text();
                    frame::encode(&answer)
                })
            });
            row.retries = request == RequestCode::CONSUMER_SEND_MSG_BACK;
            cases.push(row);
        }
    }
    cases.extend(odd_offsets());
    cases.extend(odd_receipts());
    cases.push(case("answer/pull/1-15-mib-remark", Role::Broker, Phase::Live, Holds::ALL, |_| {
        let remark: Box<str> = "x".repeat(15 << 20).into();
        Script::write(On::Code(RequestCode::PULL_MESSAGE), move |asked| {
            let mut answer = frame::response(asked, 1);
            answer.remark = Some(remark.clone());
            frame::encode(&answer)
        })
    }));
    cases
}

/// Success, but the offset is odd. A new member believes what its group has committed, so that nothing
/// before it has to arrive; a place that is no place at all is another thing.
fn odd_offsets() -> Vec<Case> {
    let rows: &[(&str, &str, bool)] = &[
        ("negative", "-1", false),
        ("i64-min", "-9223372036854775808", false),
        ("i64-max", "9223372036854775807", true),
        ("huge", "1000000000", true),
        ("2-64", "18446744073709551616", false),
        ("text", "abc", false),
        ("empty", "", false),
        ("fraction", "1.5", false),
    ];
    let one = |(what, value, skips): &(&str, &str, bool)| {
        let value = (*value).to_owned();
        let mut holds = Holds::LEARNING.may_stop();
        if *skips {
            holds = holds.may_skip();
        }
        case(format!("offset/stored/{what}"), Role::Broker, Phase::Start, holds, move |_| {
            let value = value.clone();
            Script::write(On::Code(RequestCode::QUERY_CONSUMER_OFFSET), move |asked| {
                let mut answer = frame::response(asked, 0);
                answer.ext = [("offset", &*value)].into_iter().collect::<ExtFields>();
                frame::encode(&answer)
            })
        })
    };
    rows.iter().map(one).collect()
}

/// Success, but the receipt is odd: the message is stored all the same.
fn odd_receipts() -> Vec<Case> {
    let rows: &[(&str, &[(&str, &str)])] = &[
        ("without-fields", &[]),
        ("negative", &[("msgId", "0"), ("queueId", "-1"), ("queueOffset", "-1")]),
        ("text", &[("msgId", "0"), ("queueId", "abc"), ("queueOffset", "def")]),
        (
            "other-queue",
            &[("msgId", "7F00000100002A9F0000000000000000"), ("queueId", "77"), ("queueOffset", "5")],
        ),
        ("empty-id", &[("msgId", ""), ("queueId", "0"), ("queueOffset", "5")]),
        ("huge", &[("msgId", "7F"), ("queueId", "2147483647"), ("queueOffset", "9223372036854775807")]),
        ("beyond", &[("msgId", "7F"), ("queueId", "2147483648"), ("queueOffset", "9223372036854775808")]),
    ];
    let one = |(what, fields): &(&'static str, &'static [(&'static str, &'static str)])| {
        let fields = *fields;
        case(format!("receipt/{what}"), Role::Broker, Phase::Live, Holds::LEARNING, move |_| {
            Script::write(On::Code(RequestCode::SEND_MESSAGE_V2), move |asked| {
                let mut answer = frame::response(asked, 0);
                answer.ext = fields.iter().copied().collect::<ExtFields>();
                frame::encode(&answer)
            })
        })
    };
    rows.iter().map(one).collect()
}
