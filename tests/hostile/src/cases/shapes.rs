//! Routes that change with every answer, and shapes that the other table lacks.

use bytes::Bytes;
use rocketmq_client_core::remoting::RequestCode;

use crate::case::{Case, Holds, Phase, Role, Site, case};
use crate::frame;
use crate::script::{On, Script};

fn broker(name: &str, addresses: &str) -> String {
    format!("{{\"brokerAddrs\":{{{addresses}}},\"brokerName\":\"{name}\",\"cluster\":\"C\"}}")
}

fn queues(name: &str, read: i64, write: i64, perm: i64) -> String {
    format!(
        "{{\"brokerName\":\"{name}\",\"perm\":{perm},\"readQueueNums\":{read},\"topicSysFlag\":0,\"writeQueueNums\":{write}}}"
    )
}

fn route(brokers: &[String], queues: &[String]) -> Bytes {
    format!(
        "{{\"brokerDatas\":[{}],\"filterServerTable\":{{}},\"queueDatas\":[{}]}}",
        brokers.join(","),
        queues.join(",")
    )
    .into()
}

fn at(id: i64, address: impl std::fmt::Display) -> String {
    format!("\"{id}\":\"{address}\"")
}

fn both(site: &Site, odd: &str, queue_datas: &[String]) -> Bytes {
    route(&[broker("broker-a", &at(0, site.good)), broker("broker-b", odd)], queue_datas)
}

fn usual() -> [String; 2] {
    [queues("broker-a", 2, 2, 6), queues("broker-b", 2, 2, 6)]
}

fn with_odd(site: &Site, odd: String) -> Bytes {
    both(site, &at(0, site.odd), &[queues("broker-a", 2, 2, 6), odd])
}

/// The route of each turn.
type Make = fn(&Site, u64) -> Bytes;

/// Whether the good broker goes on is said by the second.
const SHAPES: &[(&str, bool, Make)] = &[
    ("queues-2-and-100", true, |site, turn| {
        with_odd(
            site,
            if turn % 2 == 0 { queues("broker-b", 100, 100, 6) } else { queues("broker-b", 2, 2, 6) },
        )
    }),
    ("queues-growing", true, |site, turn| {
        let count = i64::try_from(turn % 200).unwrap_or(0);
        with_odd(site, queues("broker-b", count, count, 6))
    }),
    ("perm-by-turns", true, |site, turn| {
        with_odd(site, queues("broker-b", 2, 2, i64::try_from(turn % 8).unwrap_or(0)))
    }),
    ("order-by-turns", true, |site, turn| {
        let (a, b) = (broker("broker-a", &at(0, site.good)), broker("broker-b", &at(0, site.odd)));
        let [qa, qb] = usual();
        if turn % 2 == 0 { route(&[a, b], &[qb, qa]) } else { route(&[b, a], &[qa, qb]) }
    }),
    ("address-by-turns", true, |site, turn| {
        let address = if turn % 2 == 0 { site.odd.to_string() } else { "127.0.0.1:1".to_owned() };
        both(site, &at(0, address), &usual())
    }),
    ("names-by-turns", true, |site, turn| {
        let name = format!("broker-{turn}");
        route(
            &[broker("broker-a", &at(0, site.good)), broker(&name, &at(0, site.odd))],
            &[queues("broker-a", 2, 2, 6), queues(&name, 2, 2, 6)],
        )
    }),
    ("with-and-without", true, |site, turn| {
        if turn % 2 == 0 {
            both(site, &at(0, site.odd), &usual())
        } else {
            route(&[broker("broker-a", &at(0, site.good))], &[queues("broker-a", 2, 2, 6)])
        }
    }),
    ("nobody-by-turns", false, |site, turn| {
        if turn % 2 == 0 { both(site, &at(0, site.odd), &usual()) } else { route(&[], &[]) }
    }),
    ("queues-of-nobody", true, |site, _| {
        let [a, b] = usual();
        both(site, &at(0, site.odd), &[a, b, queues("broker-z", 50, 50, 6)])
    }),
    ("queues-of-nobody-only", false, |site, _| {
        both(site, &at(0, site.odd), &[queues("broker-z", 50, 50, 6)])
    }),
    ("queue-data-twice", true, |site, _| {
        let [a, b] = usual();
        both(site, &at(0, site.odd), &[a, b, queues("broker-b", 4, 4, 6)])
    }),
    ("queue-data-a-thousand-times", true, |site, _| {
        let mut all = usual().to_vec();
        all.extend(std::iter::repeat_n(queues("broker-b", 2, 2, 6), 1_000));
        both(site, &at(0, site.odd), &all)
    }),
    ("slave-only", true, |site, _| both(site, &at(1, site.odd), &usual())),
    ("slaves-a-dozen", true, |site, _| {
        let slaves: Vec<String> = (1..12).map(|id| at(id, format!("127.0.0.1:{id}"))).collect();
        both(site, &format!("{},{}", at(0, site.odd), slaves.join(",")), &usual())
    }),
    ("master-and-slave-the-same", true, |site, _| {
        both(site, &format!("{},{}", at(0, site.odd), at(1, site.odd)), &usual())
    }),
    ("master-twice", true, |site, _| {
        both(site, &format!("{},{}", at(0, "127.0.0.1:1"), at(0, site.odd)), &usual())
    }),
    ("one-address-three-names", true, |site, _| {
        let [a, b] = usual();
        route(
            &[
                broker("broker-a", &at(0, site.good)),
                broker("broker-b", &at(0, site.odd)),
                broker("broker-c", &at(0, site.odd)),
            ],
            &[a, b, queues("broker-c", 2, 2, 6)],
        )
    }),
    ("perm-1", true, |site, _| with_odd(site, queues("broker-b", 2, 2, 1))),
    ("perm-3", true, |site, _| with_odd(site, queues("broker-b", 2, 2, 3))),
    ("perm-5", true, |site, _| with_odd(site, queues("broker-b", 2, 2, 5))),
    ("perm-7", true, |site, _| with_odd(site, queues("broker-b", 2, 2, 7))),
    ("perm-2-31", false, |site, _| with_odd(site, queues("broker-b", 2, 2, 1 << 31))),
    ("read-1-write-8", true, |site, _| with_odd(site, queues("broker-b", 1, 8, 6))),
    ("read-8-write-1", true, |site, _| with_odd(site, queues("broker-b", 8, 1, 6))),
    ("read-minus-write-2", true, |site, _| with_odd(site, queues("broker-b", -3, 2, 6))),
    ("odd-queues-60000", false, |site, _| with_odd(site, queues("broker-b", 60_000, 2, 6))),
    ("name-10-kb", false, |site, _| {
        let name = "n".repeat(10_000);
        let [a, b] = usual();
        route(
            &[
                broker("broker-a", &at(0, site.good)),
                broker("broker-b", &at(0, site.odd)),
                broker(&name, &at(0, "127.0.0.1:1")),
            ],
            &[a, b, queues(&name, 2, 2, 6)],
        )
    }),
    ("names-like-ours", true, |site, _| {
        let names = ["broker-b ", " broker-b", "BROKER-B", "broker-b\\u0000"];
        let mut brokers = vec![broker("broker-a", &at(0, site.good)), broker("broker-b", &at(0, site.odd))];
        let mut all = usual().to_vec();
        for name in names {
            brokers.push(broker(name, &at(0, "127.0.0.1:1")));
            all.push(queues(name, 2, 2, 6));
        }
        route(&brokers, &all)
    }),
    ("name-logical", true, |site, _| {
        let name = "__syslo__global__";
        let [a, b] = usual();
        route(
            &[
                broker("broker-a", &at(0, site.good)),
                broker("broker-b", &at(0, site.odd)),
                broker(name, &at(0, site.odd)),
            ],
            &[a, b, queues(name, 2, 2, 6)],
        )
    }),
];

/// All of this kind.
pub(super) fn all() -> Vec<Case> {
    let one = |(what, good, make): &(&str, bool, Make)| {
        let make = *make;
        let holds = if *good { Holds::LEARNING } else { Holds::LEARNING.may_stop() };
        case(format!("shape/{what}"), Role::NameServer, Phase::Start, holds, move |site| {
            let (name_servers, good, odd) = (site.name_servers.clone(), site.good, site.odd);
            let site = Site { name_servers, good, odd, spare: odd, lost: Vec::new(), weight: 1 };
            let mut turn = 0;
            Script::write(On::Code(RequestCode::GET_ROUTEINFO_BY_TOPIC), move |asked| {
                turn += 1;
                let mut answer = frame::response(asked, 0);
                answer.body = make(&site, turn);
                frame::encode(&answer)
            })
        })
    };
    SHAPES.iter().map(one).collect()
}
