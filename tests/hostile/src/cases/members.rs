//! Lists of members that are not so.

use bytes::Bytes;
use rocketmq_client_core::remoting::RequestCode;

use crate::case::{Case, Holds, Phase, Role, case};
use crate::frame;
use crate::script::{On, Script};

type Make = fn(u64) -> Bytes;

/// What is answered each time.
const LISTS: &[(&str, Make)] = &[
    ("empty-body", |_| Bytes::new()),
    ("no-json", |_| Bytes::from_static(b"members")),
    ("empty", |_| list([])),
    ("null", |_| Bytes::from_static(b"{\"consumerIdList\":null}")),
    ("numbers", |_| Bytes::from_static(b"{\"consumerIdList\":[1,2,3]}")),
    ("not-us", |_| list(["10.0.0.9@other".to_owned()])),
    ("empty-names", |_| list([String::new(), String::new()])),
    ("control", |_| list(["\\u001b[2J".to_owned(), "\\r\\n".to_owned()])),
    ("twice", |_| list(["x@1".to_owned(), "x@1".to_owned(), "x@1".to_owned()])),
    ("100000", |_| list((0..100_000).map(|index| format!("10.0.0.1@{index}")))),
    ("long", |_| list(["n".repeat(1 << 20)])),
    ("changing", |turn| list((0..turn % 7).map(|index| format!("10.0.0.{turn}@{index}")))),
];

fn list(ids: impl IntoIterator<Item = String>) -> Bytes {
    let ids: Vec<String> = ids.into_iter().map(|id| format!("\"{id}\"")).collect();
    format!("{{\"consumerIdList\":[{}]}}", ids.join(",")).into()
}

/// All of this kind. A broker may say who is a member: those may have the queues.
pub(super) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, make) in LISTS {
        for (phase, word) in [(Phase::Start, "start"), (Phase::Live, "live")] {
            let make = *make;
            cases.push(case(
                format!("members/{word}/{what}"),
                Role::Broker,
                phase,
                Holds::LEARNING.may_stop(),
                move |_| {
                    let mut turn = 0;
                    let answered =
                        Script::write(On::Code(RequestCode::GET_CONSUMER_LIST_BY_GROUP), move |asked| {
                            turn += 1;
                            let mut answer = frame::response(asked, 0);
                            answer.body = make(turn);
                            frame::encode(&answer)
                        });
                    // A live client asks when it is told that something has changed.
                    let told = |_| {
                        frame::encode(&frame::request(40, 0, 2, [("consumerGroup", crate::honest::GROUP)]))
                    };
                    let flood = Script::pour(1, told).flood;
                    Script { flood: flood.filter(|_| phase == Phase::Live), ..answered }
                },
            ));
        }
    }
    cases
}
