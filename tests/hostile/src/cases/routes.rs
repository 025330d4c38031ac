//! Routes of every shape.

use std::fmt::Write as _;

use bytes::Bytes;
use rocketmq_client_core::remoting::RequestCode;

use crate::case::{Case, Holds, Phase, Role, Site, case};
use crate::frame;
use crate::script::{On, Script};

/// The honest route as text, with marks for what is to be changed.
struct Shape<'a> {
    /// Broker and queue entries, JSON.
    brokers: String,
    queues: String,
    rest: &'a str,
}

fn broker(name: &str, id: &str, address: &str) -> String {
    format!(
        "{{\"brokerAddrs\":{{\"{id}\":\"{address}\"}},\"brokerName\":\"{name}\",\"cluster\":\"C\",\"enableActingMaster\":false}}"
    )
}

fn queues(name: &str, read: &str, write: &str, perm: &str) -> String {
    format!(
        "{{\"brokerName\":\"{name}\",\"perm\":{perm},\"readQueueNums\":{read},\"topicSysFlag\":0,\"writeQueueNums\":{write}}}"
    )
}

fn honest(site: &Site) -> Shape<'static> {
    Shape {
        brokers: [
            broker("broker-a", "0", &site.good.to_string()),
            broker("broker-b", "0", &site.odd.to_string()),
        ]
        .join(","),
        queues: [queues("broker-a", "2", "2", "6"), queues("broker-b", "2", "2", "6")].join(","),
        rest: "",
    }
}

fn body(shape: &Shape<'_>) -> Bytes {
    format!(
        "{{\"brokerDatas\":[{}],\"filterServerTable\":{{}},\"queueDatas\":[{}]{}}}",
        shape.brokers, shape.queues, shape.rest
    )
    .into()
}

/// The numbers of queues of both brokers.
fn counted(site: &Site, read: &str, write: &str) -> Shape<'static> {
    Shape {
        queues: [queues("broker-a", read, write, "6"), queues("broker-b", read, write, "6")].join(","),
        ..honest(site)
    }
}

/// An address for `broker-b`.
fn addressed(site: &Site, address: &str) -> Shape<'static> {
    Shape {
        brokers: [broker("broker-a", "0", &site.good.to_string()), broker("broker-b", "0", address)]
            .join(","),
        ..honest(site)
    }
}

/// One broker more, with two queues.
fn added(site: &Site, name: &str, address: &str) -> Shape<'static> {
    let honest = honest(site);
    Shape {
        brokers: honest.brokers + "," + &broker(name, "0", address),
        queues: honest.queues + "," + &queues(name, "2", "2", "6"),
        rest: "",
    }
}

/// So many brokers more, at ports where nobody listens.
fn crowd(site: &Site, count: usize, address: impl Fn(usize) -> String) -> Shape<'static> {
    let mut shape = honest(site);
    for index in 0..count {
        let name = format!("crowd-{index}");
        let _ = write!(shape.brokers, ",{}", broker(&name, "0", &address(index)));
        let _ = write!(shape.queues, ",{}", queues(&name, "1", "1", "6"));
    }
    shape
}

type Make = fn(&Site) -> Bytes;

const NOWHERE: &str = "127.0.0.1:1";

/// What routes say. Those of the second kind name the good broker as it is: it goes on. Those beyond what a route may
/// cost are refused whole, so that a client that starts with one knows of no broker at all.
const SHAPES: &[(&str, bool, Make)] = &[
    ("empty-body", false, |_| Bytes::new()),
    ("no-json", false, |_| Bytes::from_static(b"route?")),
    ("null", false, |_| Bytes::from_static(b"null")),
    ("empty-object", false, |_| Bytes::from_static(b"{}")),
    ("empty-lists", false, |_| {
        Bytes::from_static(b"{\"brokerDatas\":[],\"queueDatas\":[],\"filterServerTable\":{}}")
    }),
    ("lists-null", false, |_| Bytes::from_static(b"{\"brokerDatas\":null,\"queueDatas\":null}")),
    ("brokers-only", false, |site| body(&Shape { queues: String::new(), ..honest(site) })),
    ("queues-only", false, |site| body(&Shape { brokers: String::new(), ..honest(site) })),
    ("nested", false, |_| ("[".repeat(100_000) + &"]".repeat(100_000)).into()),
    ("not-utf8", false, |_| Bytes::from_static(b"{\"brokerDatas\":[{\"brokerName\":\"\xff\"}]}")),
    ("queues-minus-1", false, |site| body(&counted(site, "-1", "-1"))),
    ("queues-0", false, |site| body(&counted(site, "0", "0"))),
    ("queues-read-0", false, |site| body(&counted(site, "0", "2"))),
    ("queues-write-0", true, |site| body(&counted(site, "2", "0"))),
    ("queues-100", true, |site| body(&counted(site, "100", "100"))),
    ("queues-65536", false, |site| body(&counted(site, "65536", "65536"))),
    ("queues-1000000", false, |site| body(&counted(site, "1000000", "1000000"))),
    ("queues-2-31", false, |site| body(&counted(site, "2147483648", "2147483648"))),
    ("queues-text", false, |site| body(&counted(site, "\"two\"", "\"two\""))),
    ("queues-fraction", false, |site| body(&counted(site, "2.5", "2.5"))),
    ("perm-0", false, |site| {
        body(&Shape {
            queues: [queues("broker-a", "2", "2", "0"), queues("broker-b", "2", "2", "0")].join(","),
            ..honest(site)
        })
    }),
    ("perm-2", false, |site| {
        body(&Shape {
            queues: [queues("broker-a", "2", "2", "2"), queues("broker-b", "2", "2", "2")].join(","),
            ..honest(site)
        })
    }),
    ("perm-4", true, |site| {
        body(&Shape {
            queues: [queues("broker-a", "2", "2", "4"), queues("broker-b", "2", "2", "4")].join(","),
            ..honest(site)
        })
    }),
    ("perm-minus-1", true, |site| {
        body(&Shape {
            queues: [queues("broker-a", "2", "2", "-1"), queues("broker-b", "2", "2", "-1")].join(","),
            ..honest(site)
        })
    }),
    ("name-empty", false, |site| {
        body(&Shape {
            brokers: broker("", "0", &site.odd.to_string()),
            queues: queues("", "2", "2", "6"),
            rest: "",
        })
    }),
    ("name-added-empty", true, |site| body(&added(site, "", NOWHERE))),
    ("name-added-control", true, |site| body(&added(site, "\\u001b[2J\\r\\nx", NOWHERE))),
    ("name-added-long", false, |site| body(&added(site, &"n".repeat(100_000), NOWHERE))),
    ("name-added-dots", true, |site| body(&added(site, "../../etc/passwd", NOWHERE))),
    ("address-empty", true, |site| body(&addressed(site, ""))),
    ("address-no-port", true, |site| body(&addressed(site, "127.0.0.1"))),
    ("address-port-0", true, |site| body(&addressed(site, "127.0.0.1:0"))),
    ("address-port-99999", true, |site| body(&addressed(site, "127.0.0.1:99999"))),
    ("address-port-minus", true, |site| body(&addressed(site, "127.0.0.1:-1"))),
    ("address-port-text", true, |site| body(&addressed(site, "127.0.0.1:port"))),
    ("address-colons", true, |site| body(&addressed(site, ":::::"))),
    ("address-ipv6-open", true, |site| body(&addressed(site, "[::1:10911"))),
    ("address-ipv6-zone", true, |site| body(&addressed(site, "[fe80::1%nosuch]:10911"))),
    ("address-control", true, |site| body(&addressed(site, "\\u001b[2J\\n:10911"))),
    ("address-long", false, |site| body(&addressed(site, &("h".repeat(100_000) + ":1")))),
    ("address-nobody", true, |site| body(&addressed(site, NOWHERE))),
    ("address-name-server", true, |site| body(&addressed(site, &site.name_servers[0].to_string()))),
    ("address-of-the-other", true, |site| body(&addressed(site, &site.good.to_string()))),
    ("addresses-none", true, |site| {
        let none = "{\"brokerAddrs\":{},\"brokerName\":\"broker-b\",\"cluster\":\"C\"}";
        body(&Shape { brokers: broker("broker-a", "0", &site.good.to_string()) + "," + none, ..honest(site) })
    }),
    ("addresses-100000", false, |site| {
        let many: Vec<String> = (1..100_000).map(|id| format!("\"{id}\":\"{NOWHERE}\"")).collect();
        let many = format!(
            "{{\"brokerAddrs\":{{{}}},\"brokerName\":\"broker-b\",\"cluster\":\"C\"}}",
            many.join(",")
        );
        body(&Shape {
            brokers: broker("broker-a", "0", &site.good.to_string()) + "," + &many,
            ..honest(site)
        })
    }),
    ("id-minus-1", true, |site| {
        let odd = broker("broker-b", "-1", &site.odd.to_string());
        body(&Shape { brokers: broker("broker-a", "0", &site.good.to_string()) + "," + &odd, ..honest(site) })
    }),
    ("id-text", false, |site| {
        let odd = broker("broker-b", "master", &site.odd.to_string());
        body(&Shape { brokers: broker("broker-a", "0", &site.good.to_string()) + "," + &odd, ..honest(site) })
    }),
    ("id-i64-max", true, |site| {
        let odd = broker("broker-b", "9223372036854775807", &site.odd.to_string());
        body(&Shape { brokers: broker("broker-a", "0", &site.good.to_string()) + "," + &odd, ..honest(site) })
    }),
    ("brokers-twice", true, |site| {
        let honest = honest(site);
        body(&Shape {
            brokers: honest.brokers.clone() + "," + &honest.brokers,
            queues: honest.queues.clone() + "," + &honest.queues,
            rest: "",
        })
    }),
    ("brokers-twice-elsewhere", false, |site| {
        let twice = [broker("broker-a", "0", NOWHERE), broker("broker-b", "0", NOWHERE)].join(",");
        let honest = honest(site);
        body(&Shape { brokers: honest.brokers + "," + &twice, ..self::honest(site) })
    }),
    ("order-conf-text", true, |site| {
        body(&Shape { rest: ",\"orderTopicConf\":\"nonsense\"", ..honest(site) })
    }),
    ("order-conf-negative", true, |site| {
        body(&Shape { rest: ",\"orderTopicConf\":\"broker-a:-4;broker-b:x;:;;\"", ..honest(site) })
    }),
    ("order-conf-huge", false, |site| {
        body(&Shape {
            rest: ",\"orderTopicConf\":\"broker-a:1000000000;broker-b:2147483647\"",
            ..honest(site)
        })
    }),
    ("filter-servers", true, |site| {
        let honest = honest(site);
        format!(
            "{{\"brokerDatas\":[{}],\"filterServerTable\":{{\"x\":[\"y\",\"\"],\"\":[]}},\"queueDatas\":[{}]}}",
            honest.brokers, honest.queues
        )
        .into()
    }),
    ("static-topic-nonsense", true, |site| {
        body(&Shape {
            rest: ",\"topicQueueMappingByBroker\":{\"broker-a\":{\"bname\":\"\",\"currIdMap\":{\"-1\":-1},\"epoch\":-1,\"totalQueues\":-5,\"topic\":\"\"}}",
            ..honest(site)
        })
    }),
    ("static-topic-huge", false, |site| {
        body(&Shape {
            rest: ",\"topicQueueMappingByBroker\":{\"broker-a\":{\"bname\":\"broker-a\",\"currIdMap\":{},\"epoch\":1,\"totalQueues\":2147483647,\"topic\":\"Work\"}}",
            ..honest(site)
        })
    }),
    ("crowd-500", true, |site| body(&crowd(site, 500, |index| format!("127.0.0.1:{}", 1 + index % 1_000)))),
    ("crowd-5000", false, |site| {
        body(&crowd(site, 5_000, |index| format!("127.0.{}.{}:1", index / 250, 1 + index % 250)))
    }),
    ("crowd-60000", false, |site| {
        body(&crowd(site, 60_000, |index| format!("127.{}.{}.1:1", 1 + index / 250, index % 250)))
    }),
    ("crowd-one-address", false, |site| body(&crowd(site, 2_000, |_| NOWHERE.to_owned()))),
    ("crowd-of-names", true, |site| {
        body(&crowd(site, 500, |index| format!("no-such-host-{index}.invalid:10911")))
    }),
];

/// All of this kind.
pub(super) fn all() -> Vec<Case> {
    let mut cases = Vec::new();
    for (what, good, make) in SHAPES {
        let make = *make;
        let mut holds = Holds::LEARNING;
        if !good {
            holds = holds.may_stop();
        }
        if *what == "address-of-the-other" {
            // Nothing in an answer tells whose it is: what one broker has is taken for the other's.
            holds = holds.may_skip();
        }
        cases.push(case(format!("route/start/{what}"), Role::NameServer, Phase::Start, holds, move |site| {
            let body = make(site);
            Script::write(On::Code(RequestCode::GET_ROUTEINFO_BY_TOPIC), move |asked| {
                let mut answer = frame::response(asked, 0);
                answer.body = body.clone();
                frame::encode(&answer)
            })
        }));
    }
    // Who starts knows nothing of any of them: the good broker waits for its place, behind connects that take 3 s.
    let holds = Holds::LEARNING.may_stop();
    let mut lost = case("route/start/lost-150", Role::NameServer, Phase::Start, holds, |site| {
        let places = site.lost.clone();
        let body = body(&crowd(site, places.len(), |index| places[index].to_string()));
        Script::write(On::Code(RequestCode::GET_ROUTEINFO_BY_TOPIC), move |asked| {
            let mut answer = frame::response(asked, 0);
            answer.body = body.clone();
            frame::encode(&answer)
        })
    });
    lost.lost = 150;
    cases.push(lost);
    cases
}
