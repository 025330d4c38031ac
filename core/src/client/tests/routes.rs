//! Routes: whom to believe, what heals them, when they are asked for, and when they are forgotten.

use super::*;
use crate::lines::told::warnings;

/// Name, address, queues.
type Broker = (&'static str, &'static str, i32);

/// A broker's new address, as of a process that came back on another port.
const A_MOVED: Broker = ("a", "10.0.0.1:20911", 2);

/// Servers that answer by themselves.
#[derive(Default)]
pub(super) struct Servers {
    /// What name servers answer with, by topic; 17 for all others.
    pub(super) routes: BTreeMap<String, Vec<u8>>,
    /// Name servers that know no topic.
    ignorant: Vec<&'static str>,
    /// What brokers answer sends with, if they don't store them.
    refuse: Option<ResponseCode>,
    /// Route requests so far: when, to whom, for which topic.
    pub(super) asked: Vec<(Instant, String, String)>,
    /// Addresses that sends went to.
    pub(super) sent_to: Vec<String>,
}

impl Servers {
    pub(super) fn knowing(topics: &[(&str, &[Broker])]) -> Self {
        let mut servers = Self::default();
        for (topic, brokers) in topics {
            servers.tell(topic, brokers);
        }
        servers
    }

    pub(super) fn tell(&mut self, topic: &str, brokers: &[Broker]) {
        self.routes.insert(topic.to_string(), route(brokers).encode().to_vec());
    }

    /// Answers all that has arrived, and what follows from the answers.
    pub(super) fn serve(&mut self, world: &mut World) {
        while let Some(arrived) = world.arrived.pop_front() {
            match RequestCode(arrived.command.code) {
                RequestCode::GET_ROUTEINFO_BY_TOPIC => self.serve_route(world, &arrived),
                RequestCode::SEND_MESSAGE_V2 => {
                    self.sent_to.push(arrived.address.clone());
                    match self.refuse {
                        Some(code) => world.answer(&arrived, code),
                        None => world.stored(&arrived, 0),
                    }
                }
                RequestCode::HEART_BEAT => world.answer(&arrived, ResponseCode::SUCCESS),
                code => panic!("unexpected {code}"),
            }
        }
    }

    fn serve_route(&mut self, world: &mut World, arrived: &Arrived) {
        let header: GetRouteInfoRequestHeader<'_> = arrived.command.header().expect("a route header");
        self.asked.push((world.now, arrived.address.clone(), header.topic.to_string()));
        let known = self.routes.get(&*header.topic).filter(|_| !self.ignorant.contains(&&*arrived.address));
        match known.cloned() {
            Some(body) => world.answer_with(arrived, ResponseCode::SUCCESS, &NoHeader, &body),
            None => world.answer(arrived, ResponseCode::TOPIC_NOT_EXIST),
        }
    }

    /// Lets time pass in small steps, and answers what arrives.
    pub(super) fn pass(&mut self, world: &mut World, ms: u64) {
        self.serve(world);
        for _ in 0..ms / 10 {
            world.pass(10);
            self.serve(world);
        }
    }

    pub(super) fn send(&mut self, world: &mut World, topic: &str) {
        world.send_topic(topic);
        self.serve(world);
    }

    /// Questions for `topic` since the last call.
    fn take_asked(&mut self, topic: &str) -> Vec<(Instant, String)> {
        let asked = core::mem::take(&mut self.asked);
        asked.into_iter().filter(|(_, _, of)| of == topic).map(|(at, server, _)| (at, server)).collect()
    }
}

impl World {
    pub(super) fn send_topic(&mut self, topic: &str) {
        self.operations += 1;
        let operation = OperationId::from_parts(self.operations, 0);
        let message = Box::new(OutboundMessage {
            topic: topic.into(),
            body: Bytes::from_static(b"hello"),
            flag: 0,
            sys_flag: 0,
            properties: String::new(),
        });
        let choice = QueueChoice::RoundRobin;
        self.command(Command::Producer(
            ProducerId(1),
            ProducerCommand::Send { operation, message, choice, timeout: None },
        ));
    }

    pub(super) fn seeded(name_servers: &[&str], seed: u64) -> Self {
        let mut world = Self::new(name_servers);
        let config = world.client.shared.config.clone();
        let facts = HostFacts { ip: IpAddr::V4(Ipv4Addr::new(10, 1, 2, 3)), pid: 42 };
        world.client = Client::new(config, &facts, seed, world.now, Timestamp::from_millis(1));
        let config = Arc::new(producer());
        world.command(Command::Producer(ProducerId(1), ProducerCommand::Create { config }));
        world
    }

    pub(super) fn take_failures(&mut self) -> Vec<String> {
        let ended = core::mem::take(&mut self.outcomes);
        ended
            .into_iter()
            .filter_map(|(_, outcome)| match outcome {
                Outcome::Failed(error) => Some(error.to_string()),
                _ => None,
            })
            .collect()
    }
}

#[test]
fn one_name_servers_ignorance_is_not_the_clusters() {
    for seed in 0..20 {
        let mut world = World::seeded(&[NAME_SERVER, NAME_SERVER_B], seed);
        let mut servers = Servers::knowing(&[("T", &[A])]);
        servers.ignorant.push(NAME_SERVER_B);
        servers.send(&mut world, "T");
        assert_eq!(world.take_failures(), [""; 0], "seed {seed}");
        let asked = servers.take_asked("T");
        assert!(asked.len() <= 2, "each server once: {asked:?}");
        servers.routes.insert("U".into(), servers.routes["T"].clone());
        servers.send(&mut world, "U");
        let asked = servers.take_asked("U");
        assert_eq!(asked.len(), 1, "the one that did not know is asked last from now on");
    }
}

#[test]
fn a_topic_that_no_name_server_knows_is_asked_for_once_at_each_and_the_error_names_them() {
    let mut world = World::seeded(&[NAME_SERVER, NAME_SERVER_B], 1);
    let mut servers = Servers::default();
    servers.send(&mut world, "T");
    let asked: Vec<String> = servers.asked.iter().map(|(_, server, of)| format!("{of} {server}")).collect();
    assert_eq!(asked.len(), 4, "topic and template, each server once: {asked:?}");
    let failures = world.take_failures();
    assert!(failures[0].contains(NAME_SERVER) && failures[0].contains(NAME_SERVER_B), "{failures:?}");
}

#[test]
fn whoever_sends_again_and_again_to_a_topic_that_nobody_knows_asks_eight_times_a_second_at_most() {
    for topics in [1, 5] {
        let mut world = World::seeded(&[NAME_SERVER, NAME_SERVER_B], 1);
        let mut servers = Servers::default();
        let topics: Vec<String> = (0..topics).map(|number| alloc::format!("T{number}")).collect();
        for second in 0..6 {
            servers.asked.clear();
            for _ in 0..100 {
                topics.iter().for_each(|topic| servers.send(&mut world, topic));
                servers.pass(&mut world, 10);
            }
            for server in [NAME_SERVER, NAME_SERVER_B] {
                let asked = servers.asked.iter().filter(|(_, to, _)| *to == server).count();
                assert!(
                    asked <= 10 + 2 * topics.len(),
                    "{asked} questions for {topics:?} in second {second}"
                );
                assert!(second == 0 || asked <= 8, "{asked} questions for {topics:?} in second {second}");
            }
        }
        assert!(!world.take_failures().is_empty());
        // And soon after somebody knows them all is well.
        topics.iter().for_each(|topic| servers.tell(topic, &[A]));
        servers.pass(&mut world, 2_000);
        topics.iter().for_each(|topic| servers.send(&mut world, topic));
        servers.pass(&mut world, 10);
        assert!(!servers.sent_to.is_empty());
        assert_eq!(world.client.producers().under_way(), 0);
        world.outcomes.clear();
    }
}

#[test]
fn a_topic_that_was_denied_a_while_ago_is_asked_for_at_once() {
    let mut world = World::seeded(&[NAME_SERVER], 1);
    let mut servers = Servers::default();
    servers.send(&mut world, "T");
    assert_eq!(world.take_failures().len(), 1);
    servers.send(&mut world, "T");
    assert!(world.take_failures().is_empty(), "it has to wait");
    servers.pass(&mut world, 250);
    assert_eq!(world.take_failures().len(), 1, "for a quarter of a second");
    servers.pass(&mut world, 5_000);
    servers.send(&mut world, "T");
    assert_eq!(world.take_failures().len(), 1);
}

#[test]
fn a_no_of_one_while_the_others_are_silent_is_tried_again_within_the_budget() {
    let mut world = World::seeded(&[NAME_SERVER, NAME_SERVER_B], 1);
    world.refused.push(NAME_SERVER.to_string());
    let mut servers = Servers::knowing(&[("T", &[A])]);
    servers.ignorant.push(NAME_SERVER_B);
    servers.send(&mut world, "T");
    servers.pass(&mut world, 500);
    assert!(world.outcomes.is_empty(), "one server has not been heard");
    world.refused.clear();
    servers.pass(&mut world, 1_500);
    assert_eq!((world.take_failures(), servers.sent_to.len()), (vec![], 1));
    // And when it never answers, the error says so.
    world.refused.push(NAME_SERVER.to_string());
    world.close_connections_to(NAME_SERVER);
    servers.send(&mut world, "U");
    servers.pass(&mut world, 3_000);
    let failures = world.take_failures();
    let says = format!("{NAME_SERVER_B} says so, {NAME_SERVER} was not heard");
    assert!(failures[0].contains(&says), "{failures:?}");
}

#[test]
fn a_known_route_stays_when_every_name_server_is_fresh() {
    let mut world = World::seeded(&[NAME_SERVER, NAME_SERVER_B], 1);
    let mut servers = Servers::knowing(&[("T", &[A])]);
    servers.send(&mut world, "T");
    servers.routes.clear();
    servers.pass(&mut world, 40_000);
    servers.send(&mut world, "T");
    assert_eq!((world.take_failures(), servers.sent_to.len()), (vec![], 2));
}

#[test]
fn a_broker_that_is_back_on_another_port_is_sent_to_within_three_seconds() {
    let mut world = World::seeded(&[NAME_SERVER], 1);
    let mut servers = Servers::knowing(&[("T", &[A])]);
    servers.send(&mut world, "T");
    servers.pass(&mut world, 1_000);
    world.refused.push(A.1.to_string());
    world.close_connections_to(A.1);
    for _ in 0..4 {
        servers.send(&mut world, "T");
        servers.pass(&mut world, 3_000);
    }
    assert_eq!(world.take_failures().len(), 4);
    let asked = servers.take_asked("T").len();
    assert!((4..=12).contains(&asked), "{asked} questions in 12 s");
    servers.tell("T", &[A_MOVED]);
    servers.send(&mut world, "T");
    servers.pass(&mut world, 2_900);
    assert_eq!(world.take_failures(), [""; 0]);
    assert_eq!(servers.sent_to.last().map(String::as_str), Some(A_MOVED.1));
    servers.take_asked("T");
    servers.pass(&mut world, 20_000);
    assert!(servers.take_asked("T").len() <= 3, "all is well again");
}

#[test]
fn a_lost_broker_of_many_topics_is_looked_for_ten_times_a_second_at_most() {
    let mut world = World::seeded(&[NAME_SERVER], 1);
    let mut servers = Servers::default();
    let topics: Vec<String> = (0..500).map(|number| format!("T{number}")).collect();
    for topic in &topics {
        servers.tell(topic, &[A]);
        servers.send(&mut world, topic);
    }
    servers.pass(&mut world, 1_000);
    servers.asked.clear();
    world.refused.push(A.1.to_string());
    world.close_connections_to(A.1);
    servers.send(&mut world, "T7");
    servers.pass(&mut world, 10_000);
    // The poll goes on beside it: 500 in 30 s.
    let asked = servers.asked.len();
    assert!((50..=100 + 170).contains(&asked), "{asked} questions in 10 s");
    // One topic's route is enough to find the broker for all of them.
    for topic in &topics {
        servers.tell(topic, &[A_MOVED]);
    }
    servers.pass(&mut world, 500);
    world.take_failures();
    servers.send(&mut world, "T499");
    assert_eq!(servers.sent_to.last().map(String::as_str), Some(A_MOVED.1));
}

#[test]
fn a_new_connection_to_a_name_server_asks_for_what_is_lost_at_once() {
    let mut world = World::seeded(&[NAME_SERVER], 1);
    let mut servers = Servers::knowing(&[("T", &[A])]);
    servers.send(&mut world, "T");
    world.refused = vec![A.1.to_string(), NAME_SERVER.to_string()];
    world.close_connections_to(A.1);
    world.close_connections_to(NAME_SERVER);
    servers.send(&mut world, "T");
    servers.pass(&mut world, 20_000);
    servers.tell("T", &[A_MOVED]);
    world.refused = vec![A.1.to_string()];
    servers.take_asked("T");
    servers.pass(&mut world, 2_500);
    assert!(!servers.take_asked("T").is_empty());
    world.take_failures();
    servers.send(&mut world, "T");
    assert_eq!(servers.sent_to.last().map(String::as_str), Some(A_MOVED.1));
}

/// A route that works is believed until the poll; but a name server that has gone may be another one when it is
/// back.
#[test]
fn the_end_of_a_name_servers_connection_asks_for_all_routes_again_once_in_a_polls_interval() {
    let mut world = World::seeded(&[NAME_SERVER], 1);
    let mut servers = Servers::knowing(&[("T", &[A])]);
    servers.send(&mut world, "T");
    servers.take_asked("T");
    servers.tell("T", &[A_MOVED]);
    world.close_connections_to(NAME_SERVER);
    servers.pass(&mut world, 500);
    assert_eq!(servers.take_asked("T").len(), 1);
    servers.send(&mut world, "T");
    assert_eq!(servers.sent_to.last().map(String::as_str), Some(A_MOVED.1));
    // One that closes after every answer is not asked for ever.
    let mut asked = 0;
    for _ in 0..100 {
        world.close_connections_to(NAME_SERVER);
        servers.pass(&mut world, 290);
        asked += servers.take_asked("T").len();
    }
    assert!(asked <= 2, "{asked} questions in 29 s");
}

#[test]
fn a_send_to_a_queue_that_is_none_asks_for_the_route_again_ever_more_seldom() {
    for code in [ResponseCode::INVALID_PARAMETER, ResponseCode::SYSTEM_ERROR, ResponseCode::NO_PERMISSION] {
        let mut world = World::seeded(&[NAME_SERVER], 1);
        let mut servers = Servers::knowing(&[("T", &[A])]);
        servers.send(&mut world, "T");
        servers.refuse = Some(code);
        servers.take_asked("T");
        for _ in 0..100 {
            servers.send(&mut world, "T");
            servers.pass(&mut world, 100);
        }
        let asked = servers.take_asked("T").len();
        assert!((4..=9).contains(&asked), "{code}: {asked} questions in 10 s");
    }
}

/// A route that can't be used, as bytes.
fn bad_routes() -> Vec<(&'static str, Vec<u8>)> {
    let with = |change: &dyn Fn(&mut TopicRouteData)| {
        let mut data = route(&[A]);
        change(&mut data);
        data.encode().to_vec()
    };
    vec![
        ("empty body", Vec::new()),
        ("garbage", b"garbage".to_vec()),
        ("null", b"null".to_vec()),
        ("no brokers", with(&|data| data.broker_datas.clear())),
        ("no queues", with(&|data| data.queue_datas.clear())),
        ("perm 0", with(&|data| data.queue_datas[0].perm = 0)),
        ("no write queues", with(&|data| data.queue_datas[0].write_queue_nums = 0)),
        ("negative queues", with(&|data| data.queue_datas[0].write_queue_nums = -1)),
        ("no address", with(&|data| data.broker_datas[0].broker_addrs.clear())),
        (
            "an address that is none",
            with(&|data| drop(data.broker_datas[0].broker_addrs.insert(0, "nowhere".into()))),
        ),
        (
            "an address where nobody is",
            with(&|data| drop(data.broker_datas[0].broker_addrs.insert(0, "10.0.0.77:1".into()))),
        ),
        ("port 0", with(&|data| drop(data.broker_datas[0].broker_addrs.insert(0, "10.0.0.1:0".into())))),
    ]
}

#[test]
fn a_bad_route_heals_within_three_seconds_once_the_name_server_tells_the_truth() {
    for (what, body) in bad_routes() {
        for known_before in [false, true] {
            let mut world = World::seeded(&[NAME_SERVER], 1);
            world.refused.push("10.0.0.77:1".to_string());
            let mut servers = Servers::knowing(&[("T", &[A])]);
            if known_before {
                servers.send(&mut world, "T");
            }
            servers.routes.insert("T".into(), body.clone());
            // The poll brings it, or the first send.
            servers.pass(&mut world, if known_before { 61_000 } else { 0 });
            servers.send(&mut world, "T");
            servers.pass(&mut world, 10_000);
            servers.take_asked("T");
            servers.pass(&mut world, 10_000);
            let asked = servers.take_asked("T").len();
            assert!(asked <= 8, "{what}: {asked} questions in 10 s");
            servers.tell("T", &[A]);
            servers.pass(&mut world, 2_500);
            world.take_failures();
            servers.sent_to.clear();
            servers.send(&mut world, "T");
            assert_eq!(servers.sent_to, [A.1], "{what}, {known_before}");
        }
    }
}

#[test]
fn a_route_that_is_bad_for_good_is_left_to_the_poll_and_to_who_wants_it() {
    for (what, body) in bad_routes().into_iter().filter(|(what, _)| *what != "an address where nobody is") {
        let mut world = World::seeded(&[NAME_SERVER], 1);
        let mut servers = Servers::knowing(&[("T", &[A])]);
        servers.send(&mut world, "T");
        servers.routes.insert("T".into(), body);
        let keep_in_use = |world: &mut World, servers: &mut Servers, seconds: u64| {
            for _ in 0..seconds / 60 {
                servers.pass(world, 60_000);
                servers.send(world, "T");
            }
        };
        keep_in_use(&mut world, &mut servers, 360);
        servers.take_asked("T");
        keep_in_use(&mut world, &mut servers, 300);
        let asked = servers.take_asked("T").len();
        assert!(asked <= 20, "{what}: {asked} questions in 300 s");
        // Sends that fail for it are a reason to ask, and find the good one soon.
        servers.tell("T", &[A]);
        servers.send(&mut world, "T");
        servers.pass(&mut world, 2_500);
        servers.sent_to.clear();
        servers.send(&mut world, "T");
        assert_eq!(servers.sent_to, [A.1], "{what}");
    }
}

#[test]
fn a_name_server_that_was_away_for_long_is_asked_as_soon_as_it_is_back() {
    let mut world = World::seeded(&[NAME_SERVER], 1);
    let mut servers = Servers::knowing(&[("T", &[A])]);
    servers.send(&mut world, "T");
    world.refused.push(NAME_SERVER.to_string());
    world.close_connections_to(NAME_SERVER);
    for _ in 0..10 {
        servers.pass(&mut world, 60_000);
        servers.send(&mut world, "T");
    }
    servers.take_asked("T");
    world.refused.clear();
    servers.pass(&mut world, 15_000);
    assert!(!servers.take_asked("T").is_empty());
}

#[test]
fn a_topic_whose_only_broker_is_gone_is_asked_for_as_a_new_process_would() {
    let mut world = World::seeded(&[NAME_SERVER, NAME_SERVER_B], 1);
    let mut servers = Servers::knowing(&[("T", &[A]), ("TBW102", &[A, B])]);
    servers.send(&mut world, "T");
    assert_eq!(servers.sent_to, [A.1]);
    // Its broker leaves in order.
    servers.routes.remove("T");
    servers.tell("TBW102", &[B]);
    world.refused.push(A.1.to_string());
    world.close_connections_to(A.1);
    servers.send(&mut world, "T");
    servers.pass(&mut world, 2_900);
    assert_eq!(world.take_failures(), [""; 0], "the first send after it is saved within its budget");
    assert_eq!(servers.sent_to[1..], [B.1]);
    // It comes back with its queues: both are used.
    servers.tell("T", &[A, B]);
    world.refused.clear();
    servers.pass(&mut world, 3_000);
    for _ in 0..8 {
        servers.send(&mut world, "T");
    }
    assert!(servers.sent_to.iter().skip(2).any(|address| address == A.1));
}

#[test]
fn a_template_is_not_asked_for_while_the_topics_broker_lives_or_a_name_server_knows_it() {
    let mut world = World::seeded(&[NAME_SERVER, NAME_SERVER_B], 1);
    let mut servers = Servers::knowing(&[("T", &[A]), ("TBW102", &[B])]);
    servers.send(&mut world, "T");
    // Registered still, but out of reach.
    world.refused.push(A.1.to_string());
    world.close_connections_to(A.1);
    servers.send(&mut world, "T");
    servers.pass(&mut world, 5_000);
    assert_eq!(servers.take_asked("TBW102"), []);
    // In reach, but forgotten by name servers that have just started.
    world.refused.clear();
    servers.pass(&mut world, 5_000);
    servers.send(&mut world, "T");
    servers.routes.remove("T");
    servers.pass(&mut world, 70_000);
    servers.send(&mut world, "T");
    assert_eq!(servers.take_asked("TBW102"), []);
    assert!(servers.sent_to.iter().all(|address| address == A.1));
}

#[test]
fn polls_are_spread_over_their_interval_and_another_seed_begins_elsewhere() {
    let mut phases = Vec::new();
    for seed in [1, 2] {
        let mut world = World::seeded(&[NAME_SERVER], seed);
        let mut servers = Servers::default();
        for number in 0..300 {
            let topic = format!("T{number}");
            servers.tell(&topic, &[A]);
            servers.send(&mut world, &topic);
        }
        servers.pass(&mut world, 30_000);
        servers.asked.clear();
        servers.pass(&mut world, 30_000);
        let mut topics: Vec<&String> = servers.asked.iter().map(|(_, _, topic)| topic).collect();
        topics.sort();
        topics.dedup();
        assert_eq!(topics.len(), 300, "each topic within the interval");
        assert!(servers.asked.len() <= 310, "and once: {}", servers.asked.len());
        let mut by_second: BTreeMap<u64, usize> = BTreeMap::new();
        for (at, ..) in &servers.asked {
            *by_second.entry(at.as_millis() / 1_000).or_default() += 1;
        }
        let most = by_second.values().max().copied().unwrap_or_default();
        assert!(most <= 20, "{most} in one second, 10 on average");
        phases.push(servers.asked.first().map(|(_, _, topic)| topic.clone()));
    }
    assert_ne!(phases[0], phases[1]);
}

#[test]
fn a_topic_without_sends_is_forgotten_with_its_brokers_and_looked_up_again_by_the_next() {
    let mut world = World::seeded(&[NAME_SERVER], 1);
    let mut servers = Servers::knowing(&[("T", &[A]), ("U", &[B]), ("gone", &[A])]);
    for topic in ["T", "U", "gone"] {
        servers.send(&mut world, topic);
    }
    servers.routes.remove("gone");
    for _ in 0..15 {
        servers.pass(&mut world, 10_000);
        servers.send(&mut world, "T");
    }
    let shared = world.client.shared();
    assert!(shared.routes.get("T").is_some(), "in use");
    assert!(shared.routes.get("U").is_none() && shared.routes.get("gone").is_none());
    assert_eq!(shared.routes.brokers().map(|(name, ..)| &**name).collect::<Vec<_>>(), ["a"]);
    assert_eq!(world.client.producers().topics().count(), 1);
    servers.asked.clear();
    servers.pass(&mut world, 61_000);
    let asked = core::mem::take(&mut servers.asked);
    assert!(asked.iter().all(|(_, _, topic)| topic == "T"), "{asked:?}");
    servers.send(&mut world, "U");
    assert_eq!((servers.take_asked("U").len(), servers.sent_to.last().map(String::as_str)), (1, Some(B.1)));
}

#[test]
fn what_a_closed_producer_sent_to_is_forgotten_too() {
    let mut world = World::seeded(&[NAME_SERVER], 1);
    let mut servers = Servers::knowing(&[("T", &[A])]);
    servers.send(&mut world, "T");
    let (operation, timeout) = (OperationId::from_parts(90, 0), Duration::from_secs(1));
    world.command(Command::Producer(ProducerId(1), ProducerCommand::Close { operation, timeout }));
    world.arrived.clear();
    for _ in 0..7 {
        world.pass(10_000);
        world.arrived.clear();
    }
    assert!(world.client.shared().routes.get("T").is_none());
    assert_eq!(world.client.shared().routes.brokers().count(), 0);
}

#[test]
fn a_topic_is_kept_while_a_send_to_it_is_under_way_or_a_consumer_has_it() {
    let mut world = World::seeded(&[NAME_SERVER], 1);
    let mut servers = Servers::knowing(&[("T", &[A]), ("U", &[B])]);
    servers.send(&mut world, "T");
    let mut selected = world.client.producers.clone();
    selected.forget_unused(world.now + Duration::from_secs(91), "T", Duration::from_secs(90));
    assert_eq!(selected.topics().count(), 0, "nothing is under way");
    world.send_topic("T");
    let mut busy = world.client.producers.clone();
    busy.forget_unused(world.now + Duration::from_secs(91), "T", Duration::from_secs(90));
    assert_eq!(busy.topics().count(), 1, "a send is under way");
    servers.serve(&mut world);
    let mut config = crate::config::PushConsumerConfig::new("g");
    config.subscriptions.insert("U".into(), "*".into());
    let config = Arc::new(config);
    let (operation, consumer) = (OperationId::from_parts(80, 0), crate::id::ConsumerId(1));
    world.command(Command::Consumer(consumer, ConsumerCommand::Start { operation, config }));
    for _ in 0..20 {
        world.serve_consumer();
        world.pass(10_000);
    }
    let shared = world.client.shared();
    assert!(shared.routes.get("T").is_none() && shared.routes.get("U").is_some());
}

#[test]
fn after_a_stop_of_the_whole_process_routes_are_asked_for_in_bouts() {
    let mut world = World::seeded(&[NAME_SERVER], 1);
    let mut servers = Servers::default();
    for number in 0..300 {
        let topic = format!("T{number}");
        servers.tell(&topic, &[A]);
        servers.send(&mut world, &topic);
    }
    servers.asked.clear();
    world.pass(60_000);
    servers.serve(&mut world);
    assert!((1..=32).contains(&servers.asked.len()), "{} at once", servers.asked.len());
    servers.pass(&mut world, 1_000);
    assert!(servers.asked.len() >= 300, "none is left out");
}

#[test]
fn a_route_beyond_its_bounds_is_refused_with_what_and_how_many_and_the_known_one_stays() {
    let brokers: Vec<String> = (0..60_000).map(|number| format!("b{number}")).collect();
    let many = |count: usize| {
        let mut data = route(&[A]);
        let named = |name: &String| BrokerData { broker_name: name.as_str().into(), ..Default::default() };
        data.broker_datas.extend(brokers[..count].iter().map(named));
        data.encode().to_vec()
    };
    let mut deep = route(&[A]);
    deep.queue_datas[0].write_queue_nums = i32::MAX;
    let rows = [
        (many(60_000), "bytes"),
        (many(9_000), "18005 JSON objects"),
        (many(1_024), "1025 brokers"),
        (deep.encode().to_vec(), "2147483647 queues"),
    ];
    for (body, says) in rows {
        let mut world = World::seeded(&[NAME_SERVER], 1);
        let mut servers = Servers::knowing(&[("T", &[A])]);
        servers.send(&mut world, "T");
        servers.routes.insert("T".into(), body.clone());
        servers.routes.insert("U".into(), body);
        servers.pass(&mut world, 31_000);
        servers.sent_to.clear();
        servers.send(&mut world, "T");
        assert_eq!((servers.sent_to.len(), world.client.shared().routes.brokers().count()), (1, 1), "{says}");
        servers.send(&mut world, "U");
        servers.pass(&mut world, 4_000);
        let failures = world.take_failures();
        assert!(failures.len() == 1 && failures[0].contains(says), "{says}: {failures:?}");
    }
}

#[test]
fn a_route_that_is_too_large_is_warned_of_once_for_each_change() {
    let large = |queues: i32| {
        let mut data = route(&[A]);
        data.queue_datas[0].write_queue_nums = queues;
        data.encode().to_vec()
    };
    let mut world = World::seeded(&[NAME_SERVER], 1);
    let mut servers = Servers::knowing(&[("T", &[A])]);
    servers.send(&mut world, "T");
    let mut minutes = |servers: &mut Servers| {
        warnings(|| {
            for _ in 0..12 {
                servers.pass(&mut world, 30_000);
                servers.send(&mut world, "T");
            }
        })
    };
    servers.routes.insert("T".into(), large(70_000));
    assert_eq!((minutes(&mut servers), minutes(&mut servers)), (1, 0));
    servers.routes.insert("T".into(), large(80_000));
    assert_eq!((minutes(&mut servers), minutes(&mut servers)), (1, 0), "another number is news");
    servers.tell("T", &[A]);
    assert_eq!(minutes(&mut servers), 0);
    servers.routes.insert("T".into(), large(80_000));
    assert_eq!(minutes(&mut servers), 1, "again, after a good one");
}
