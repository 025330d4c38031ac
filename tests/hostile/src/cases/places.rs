//! Servers that can't be reached, disagree, move, and a client that is told to stop meanwhile.

use bytes::Bytes;
use rocketmq_client_core::remoting::RequestCode;
use rocketmq_sim::Door;

use crate::case::{Case, Holds, Phase, Role, case};
use crate::frame;
use crate::script::{Does, On, Script};

/// Makes a script.
type Says = fn() -> Script;

fn doors() -> Vec<Case> {
    let mut cases = Vec::new();
    for (role, word) in [(Role::NameServer, "name-server"), (Role::Broker, "broker")] {
        for (phase, when) in [(Phase::Start, "start"), (Phase::Live, "live"), (Phase::Stop, "stop")] {
            for (door, how) in [(Door::Closed, "refused"), (Door::Silent, "silent"), (Door::Lost, "lost")] {
                let mut holds = if phase == Phase::Start { Holds::ALL.may_stop() } else { Holds::ALL };
                if door == Door::Lost {
                    holds = holds.after_a_connect();
                }
                cases.push(case(format!("door/{word}/{when}-{how}"), role, phase, holds, move |_| {
                    Script::door(door)
                }));
            }
        }
    }
    cases
}

/// The first of two name servers says something else than the second, or nothing.
fn disagreeing() -> Vec<Case> {
    let rows: Vec<(&str, Says)> = vec![
        ("no-such-topic", || refused(17)),
        ("system-error", || refused(1)),
        ("not-supported", || refused(3)),
        ("empty-route", || {
            Script::write(On::Code(RequestCode::GET_ROUTEINFO_BY_TOPIC), |asked| {
                frame::encode(&frame::response(asked, 0))
            })
        }),
        ("silence", || Script::one(On::Any, Does::Silence)),
        ("close", || Script::one(On::Any, Does::Close)),
        ("refused", || Script::door(Door::Closed)),
    ];
    let one = |(what, script): (&str, Says)| {
        // The other one knows better: everything works meanwhile, but for what silence costs.
        let mut holds = Holds::ALL;
        if what == "silence" {
            holds = holds.may_stop();
        }
        let mut row =
            case(format!("disagree/{what}"), Role::NameServer, Phase::Start, holds, move |_| script());
        row.two_name_servers = true;
        row
    };
    rows.into_iter().map(one).collect()
}

fn refused(code: i32) -> Script {
    Script::write(On::Code(RequestCode::GET_ROUTEINFO_BY_TOPIC), move |asked| {
        frame::encode(&frame::response(asked, code))
    })
}

/// `broker-b` goes away and comes back at another port; name servers know at once.
fn moved() -> Vec<Case> {
    let rows = [("refused", Door::Closed), ("lost", Door::Lost)];
    let one = |(how, door): (&str, Door)| {
        let holds = Holds::ALL.after_a_connect();
        let mut row = case(format!("moved/{how}"), Role::Broker, Phase::Live, holds, move |_| Script {
            gone: true,
            ..Script::door(door)
        });
        row.moves = true;
        row
    };
    rows.into_iter().map(one).collect()
}

/// A client is told to stop while a server misbehaves.
fn stops() -> Vec<Case> {
    let rows: Vec<(&str, Role, Says)> = vec![
        ("name-server-silence", Role::NameServer, || Script::one(On::Any, Does::Silence)),
        ("name-server-close", Role::NameServer, || Script::one(On::Any, Does::Close)),
        ("broker-silence", Role::Broker, || Script::one(On::Any, Does::Silence)),
        ("broker-close", Role::Broker, || Script::one(On::Any, Does::Close)),
        ("broker-half", Role::Broker, || Script::one(On::Any, Does::Half)),
        ("broker-garbage", Role::Broker, || {
            Script::write(On::Any, |_| Bytes::from_static(b"HTTP/1.1 200 OK\r\n\r\n"))
        }),
        ("broker-busy", Role::Broker, || {
            Script::write(On::Any, |asked| frame::encode(&frame::response(asked, 2)))
        }),
        ("broker-no-group", Role::Broker, || {
            Script::write(On::Code(RequestCode::PULL_MESSAGE), |asked| {
                frame::encode(&frame::response(asked, 26))
            })
        }),
        ("broker-flood", Role::Broker, || Script::pour(50, |_| frame::json("{}", b""))),
        ("broker-flood-unread", Role::Broker, || Script::pour(50, |_| frame::json("{}", b"")).deaf()),
        ("commits-unanswered", Role::Broker, || {
            Script::one(On::Code(RequestCode::UPDATE_CONSUMER_OFFSET), Does::Silence)
        }),
        ("send-backs-unanswered", Role::Broker, || {
            Script::one(On::Code(RequestCode::CONSUMER_SEND_MSG_BACK), Does::Silence)
        }),
    ];
    let one = |(what, role, script): (&str, Role, Says)| {
        let mut row = case(format!("stop/{what}"), role, Phase::Stop, Holds::LEARNING, move |_| script());
        row.retries = what == "send-backs-unanswered";
        row
    };
    let mut cases: Vec<Case> = rows.into_iter().map(one).collect();
    for (what, queues) in [("queues-16000", 8_000), ("queues-60000", 30_000)] {
        cases.push(case(
            format!("stop/{what}"),
            Role::NameServer,
            Phase::Start,
            Holds::LEARNING.may_stop(),
            move |site| {
                let brokers = [('a', site.good), ('b', site.odd)];
                let body = crate::honest::route(&brokers, queues).encode_standard();
                Script::write(On::Code(RequestCode::GET_ROUTEINFO_BY_TOPIC), move |asked| {
                    let mut answer = frame::response(asked, 0);
                    answer.body = body.clone();
                    frame::encode(&answer)
                })
            },
        ));
    }
    cases
}

/// All of this kind.
pub(super) fn all() -> Vec<Case> {
    let mut cases = doors();
    cases.extend(disagreeing());
    cases.extend(moved());
    cases.extend(stops());
    cases
}
