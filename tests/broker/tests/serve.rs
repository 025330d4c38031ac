//! The broker behind real sockets, seen by a client that writes bytes.
#![cfg(feature = "serve")]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use bytes::BytesMut;
use rocketmq_client_core::message::StoredMessages;
use rocketmq_client_core::remoting::{
    Encoder, FLAG_ONEWAY, FRAME_BYTES_MAX, FrameDecoder, GetRouteInfoRequestHeader, Head, Header, NoHeader,
    PopMessageRequestHeader, PullMessageRequestHeader, RemotingCommand, RequestCode,
    SendMessageRequestHeaderV2,
};
use rocketmq_dev_broker::{CutOff, DelayLevels, DevBroker, Durability, Fault, FaultRule, ResponseCode};

/// A blocking client.
struct Client {
    stream: TcpStream,
    decoder: FrameDecoder,
    opaque: i32,
}

impl Client {
    fn connect(addr: SocketAddr) -> Self {
        let stream = TcpStream::connect(addr).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        Self { stream, decoder: FrameDecoder::new(FRAME_BYTES_MAX), opaque: 0 }
    }

    fn post<'h, H: Header<'h>>(&mut self, code: i32, header: &H, body: &[u8]) -> i32 {
        self.post_flagged(code, 0, header, body)
    }

    fn post_flagged<'h, H: Header<'h>>(&mut self, code: i32, flag: i32, header: &H, body: &[u8]) -> i32 {
        let frame = self.encode(code, flag, header, body);
        self.stream.write_all(&frame).unwrap();
        self.opaque
    }

    fn encode<'h, H: Header<'h>>(&mut self, code: i32, flag: i32, header: &H, body: &[u8]) -> BytesMut {
        self.opaque += 1;
        let mut out = BytesMut::new();
        let head = Head { code, opaque: self.opaque, flag, remark: None };
        Encoder::default().encode(&mut out, &head, header, &[], body.len());
        out.extend_from_slice(body);
        out
    }

    /// The next frame; `None` when the server closed.
    fn read(&mut self) -> Option<RemotingCommand> {
        loop {
            if let Some(command) = self.decoder.next_frame().unwrap() {
                return Some(command);
            }
            let mut buffer = [0; 4_096];
            match self.stream.read(&mut buffer) {
                Ok(0) => return None,
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => return None,
                read => self.decoder.buffer_mut().extend_from_slice(&buffer[..read.unwrap()]),
            }
        }
    }

    fn ask<'h, H: Header<'h>>(&mut self, code: i32, header: &H, body: &[u8]) -> RemotingCommand {
        let opaque = self.post(code, header, body);
        let answer = self.read().expect("an answer");
        assert_eq!(answer.opaque, opaque);
        answer
    }

    fn send(&mut self, topic: &str, properties: &str, body: &[u8]) -> RemotingCommand {
        self.ask(310, &send_header(topic, properties), body)
    }
}

fn send_header<'a>(topic: &'a str, properties: &'a str) -> SendMessageRequestHeaderV2<'a> {
    SendMessageRequestHeaderV2 {
        producer_group: "pg".into(),
        topic: topic.into(),
        default_topic: "TBW102".into(),
        default_topic_queue_nums: 4,
        properties: Some(properties.into()),
        ..Default::default()
    }
}

fn pull_header(offset: i64, suspend_ms: i64) -> PullMessageRequestHeader<'static> {
    PullMessageRequestHeader {
        consumer_group: "G".into(),
        topic: "T".into(),
        queue_offset: offset,
        max_msg_nums: 32,
        sys_flag: 2 | 4,
        suspend_timeout_millis: suspend_ms,
        subscription: Some("*".into()),
        ..Default::default()
    }
}

fn route(server: &DevBroker, topic: &str) -> (i32, String) {
    let mut client = Client::connect(server.name_server_addr());
    let header = GetRouteInfoRequestHeader { topic: topic.to_owned().into(), ..Default::default() };
    let answer = client.ask(105, &header, b"");
    (answer.code, String::from_utf8(answer.body.to_vec()).unwrap())
}

/// Other clients read more of a header than ours does: one closes the connection where a key is missing.
#[test]
fn the_headers_of_answers_have_every_key_that_apaches_have() {
    let server = DevBroker::start().unwrap();
    let keys = ["code", "flag", "language", "opaque", "serializeTypeCurrentRPC", "version"];
    // Of these Java's answers have fields even where none is set, but not where it throws.
    let cases = [
        (server.name_server_addr(), 105, "T", ""),
        (server.broker_addr(0), 105, "T", ""),
        (server.broker_addr(0), 35, "", r#""extFields":{}"#),
        (server.broker_addr(0), 11, "", ""),
    ];
    for (addr, code, topic, fields) in cases {
        let mut client = Client::connect(addr);
        match topic {
            "" => client.post(code, &NoHeader, b""),
            topic => client.post(
                code,
                &GetRouteInfoRequestHeader { topic: topic.into(), ..Default::default() },
                b"",
            ),
        };
        let mut prefix = [0; 8];
        client.stream.read_exact(&mut prefix).unwrap();
        let mut header = vec![0; usize::from(prefix[6]) << 8 | usize::from(prefix[7])];
        client.stream.read_exact(&mut header).unwrap();
        let header = String::from_utf8(header).unwrap();
        for key in keys {
            assert!(header.contains(&format!("\"{key}\":")), "{key} {header}");
        }
        assert_eq!(header.contains("extFields"), !fields.is_empty(), "{header}");
        assert!(header.contains(fields), "{header}");
        // The frame is as long as it says.
        let body =
            u32::from_be_bytes([prefix[0], prefix[1], prefix[2], prefix[3]]) as usize - 4 - header.len();
        client.stream.read_exact(&mut vec![0; body]).unwrap();
        client.post(106, &NoHeader, b"");
        assert!(client.read().is_some(), "the next frame begins where this one ended");
    }
}

#[test]
fn the_route_leads_to_a_broker_that_stores_and_gives_back() {
    let server = DevBroker::start().unwrap();
    let (code, body) = route(&server, "TBW102");
    assert_eq!(code, 0);
    let addr = server.broker_addr(0);
    assert!(body.contains(&format!(r#""brokerAddrs":{{"0":"{addr}"}}"#)), "{body}");
    let mut client = Client::connect(addr);
    for size in [1, 5_000, 300_000] {
        assert_eq!(client.send("T", "", &vec![b'x'; size]).code, 0);
    }
    for (offset, size) in (0..).zip([1, 5_000, 300_000]) {
        let answer =
            client.ask(11, &PullMessageRequestHeader { max_msg_nums: 1, ..pull_header(offset, 0) }, b"");
        let message = StoredMessages::new(answer.body).next().unwrap().unwrap();
        assert_eq!((message.raw_body().len(), message.store_host), (size, addr));
    }
}

#[test]
fn a_held_pull_on_one_connection_is_woken_by_a_send_on_another() {
    let server = DevBroker::start().unwrap();
    let addr = server.broker_addr(0);
    let (mut consumer, mut producer) = (Client::connect(addr), Client::connect(addr));
    producer.send("T", "", b"old");
    let opaque = consumer.post(11, &pull_header(1, 15_000), b"");
    while server.with_broker(|broker| broker.held_pulls()) == 0 {
        std::thread::yield_now();
    }
    producer.send("T", "", b"new");
    let answer = consumer.read().unwrap();
    assert_eq!((answer.opaque, answer.code), (opaque, 0));
}

#[test]
fn advancing_the_clock_delivers_delayed_messages_and_ends_held_pulls() {
    let levels = DelayLevels::parse("1h").unwrap();
    let server = DevBroker::builder().delay_levels(levels).start().unwrap();
    let mut client = Client::connect(server.broker_addr(0));
    client.send("T", "DELAY\u{1}1\u{2}", b"late");
    assert_eq!(server.with_broker(|broker| broker.messages("T").len()), 0);
    // Two minutes of silence would end the connection; a pull that waits is no traffic.
    server.advance(Duration::from_secs(3_601));
    assert_eq!(server.with_broker(|broker| broker.messages("T").len()), 1);
    let mut client = Client::connect(server.broker_addr(0));
    client.post(11, &pull_header(1, 15_000), b"");
    while server.with_broker(|broker| broker.held_pulls()) == 0 {
        std::thread::yield_now();
    }
    server.advance(Duration::from_secs(20));
    assert_eq!(client.read().unwrap().code, 19);
}

#[test]
fn faults_can_be_switched_on_while_it_runs() {
    let server = DevBroker::start().unwrap();
    let mut client = Client::connect(server.broker_addr(0));
    server
        .with_broker(|broker| broker.faults_mut().next(RequestCode::SEND_MESSAGE_V2, 1, Fault::DropResponse));
    client.post(310, &send_header("T", ""), b"lost answer");
    assert_eq!(client.send("T", "", b"answered").code, 0);
    assert_eq!(server.with_broker(|broker| broker.messages("T").len()), 2);
}

#[test]
fn a_stopped_broker_has_no_route_and_comes_back_with_its_messages() {
    let server = DevBroker::builder().broker_count(2).start().unwrap();
    let addr = server.broker_addr(0);
    let mut client = Client::connect(addr);
    client.send("T", "", b"kept");
    assert_eq!(route(&server, "T").0, 0);
    server.stop_broker(0);
    assert!(client.read().is_none(), "the connection is closed");
    assert_eq!(route(&server, "T").0, 17);
    let body = route(&server, "TBW102").1;
    assert!(body.contains("broker-b") && !body.contains("broker-a"), "{body}");
    assert!(TcpStream::connect(addr).is_err());
    server.start_broker(0).unwrap();
    assert_eq!(route(&server, "T").0, 0);
    let mut client = Client::connect(addr);
    client.send("T", "", b"second");
    server.crash_broker(0, Durability::LoseRecords(1));
    server.start_broker(0).unwrap();
    let answer = Client::connect(addr).ask(11, &pull_header(0, 0), b"");
    let bodies: Vec<_> =
        StoredMessages::new(answer.body).map(|message| message.unwrap().raw_body().clone()).collect();
    assert_eq!(bodies, ["kept"]);
}

#[test]
fn killed_connections_can_be_made_again() {
    let server = DevBroker::start().unwrap();
    let mut client = Client::connect(server.broker_addr(0));
    client.send("T", "", b"x");
    server.kill_connections();
    assert!(client.read().is_none());
    assert_eq!(server.with_broker(|broker| broker.connection_count()), 0);
    assert_eq!(Client::connect(server.broker_addr(0)).send("T", "", b"y").code, 0);
}

#[test]
fn a_client_that_speaks_nonsense_is_cut_off_and_the_others_stay() {
    let server = DevBroker::start().unwrap();
    let (mut good, mut bad) =
        (Client::connect(server.broker_addr(0)), Client::connect(server.broker_addr(0)));
    good.send("T", "", b"x");
    bad.stream.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    assert!(bad.read().is_none());
    assert!(matches!(server.cut_offs()[..], [CutOff::Frame(_)]));
    assert_eq!(good.send("T", "", b"y").code, 0);
}

#[test]
fn one_way_requests_that_a_client_sent_before_it_closed_are_carried_out() {
    let server = DevBroker::start().unwrap();
    let mut client = Client::connect(server.broker_addr(0));
    client.send("T", "", b"first");
    for _ in 0..100 {
        client.post_flagged(310, FLAG_ONEWAY, &send_header("T", ""), b"x");
    }
    drop(client);
    while server.with_broker(|broker| broker.connection_count()) > 0 {
        std::thread::yield_now();
    }
    assert_eq!(server.with_broker(|broker| broker.messages("T").len()), 101);
}

#[test]
fn it_can_move_between_threads_and_ends_when_dropped() {
    fn sendable<T: Send + Sync>(value: T) -> T {
        value
    }
    let server = sendable(DevBroker::start().unwrap());
    let addr = server.broker_addr(0);
    let client = Client::connect(addr);
    std::thread::spawn(move || drop(server)).join().unwrap();
    assert!({ client }.read().is_none());
    assert!(TcpStream::connect(addr).is_err());
}

#[test]
fn a_taken_port_is_an_error() {
    let server = DevBroker::start().unwrap();
    let taken = server.name_server_addr().port();
    assert!(DevBroker::builder().name_server_port(taken).start().is_err());
}

#[test]
fn queues_of_all_brokers_are_shared_out_by_any_of_them() {
    let server = DevBroker::builder().broker_count(2).start().unwrap();
    for broker in 0..2 {
        assert_eq!(Client::connect(server.broker_addr(broker)).send("T", "", b"x").code, 0);
    }
    let ask = r#"{"clientId":"c","consumerGroup":"G","messageModel":"BROADCASTING","strategyName":"AVG","topic":"T"}"#;
    for broker in 0..2 {
        let mut client = Client::connect(server.broker_addr(broker));
        let answer = client.ask(400, &NoHeader, ask.as_bytes());
        let body = String::from_utf8(answer.body.to_vec()).unwrap();
        assert_eq!((answer.code, body.matches("queueId").count()), (0, 8), "{body}");
        assert!(body.contains("broker-a") && body.contains("broker-b"), "{body}");
    }
}

#[test]
fn a_waiting_pop_is_woken_by_a_send_and_ends_by_itself() {
    let server = DevBroker::start().unwrap();
    let (mut consumer, mut producer) =
        (Client::connect(server.broker_addr(0)), Client::connect(server.broker_addr(0)));
    producer.send("T", "", b"old");
    let pop = |poll_time| PopMessageRequestHeader {
        consumer_group: "G".into(),
        topic: "T".into(),
        queue_id: -1,
        max_msg_nums: 1,
        invisible_time: 10_000,
        poll_time,
        ..Default::default()
    };
    assert_eq!(consumer.ask(200_050, &pop(0), b"").code, 0);
    consumer.post(200_050, &pop(60_000), b"");
    while server.with_broker(|broker| broker.waiting_pops()) == 0 {
        std::thread::yield_now();
    }
    producer.send("T", "", b"new");
    let woken = consumer.read().unwrap();
    let message = StoredMessages::new(woken.body).next().unwrap().unwrap();
    assert_eq!((woken.code, &message.raw_body()[..]), (0, &b"new"[..]));
    assert_eq!(consumer.ask(200_050, &pop(100), b"").code, 210);
}

#[test]
fn a_fault_hits_the_next_sends_to_a_topic_whichever_broker_they_go_to() {
    let server = DevBroker::builder().broker_count(2).topic("T", 1).topic("U", 1).start().unwrap();
    server.fail(Fault::answer(ResponseCode::SYSTEM_BUSY, "busy").on_sends().topic("T").times(2));
    let mut clients = [0, 1].map(|broker| Client::connect(server.broker_addr(broker)));
    assert_eq!(clients[0].send("U", "", b"other").code, 0);
    assert_eq!(clients.each_mut().map(|client| client.send("T", "", b"refused").code), [2, 2]);
    assert_eq!(server.pending_faults(), 0);
    assert_eq!(clients.each_mut().map(|client| client.send("T", "", b"stored").code), [0, 0]);
    assert_eq!(server.messages("T").len(), 2);
    server.fail_nth_broker(1, FaultRule::from(Fault::DropRequest).always());
    server.fail(Fault::DropRequest);
    assert!(server.pending_faults() > 1);
    server.clear_faults();
    assert_eq!(clients.each_mut().map(|client| client.send("T", "", b"stored").code), [0, 0]);
}

#[test]
fn a_connection_can_be_cut_before_a_send_took_effect_or_after() {
    let server = DevBroker::start().unwrap();
    for (fault, stored) in [(Fault::CloseBefore, 0), (Fault::CloseAfter, 1)] {
        let mut client = Client::connect(server.broker_addr(0));
        server.fail(fault.on_sends().topic("cut"));
        // All three arrive at once: the first is answered, the last lost with the connection.
        let mut frames = client.encode(310, 0, &send_header("T", ""), b"first");
        let first = client.opaque;
        frames.unsplit(client.encode(310, 0, &send_header("cut", ""), b"second"));
        frames.unsplit(client.encode(310, 0, &send_header("behind", ""), b"third"));
        client.stream.write_all(&frames).unwrap();
        let answer = client.read().expect("what was answered before the cut goes out");
        assert_eq!((answer.opaque, answer.code), (first, 0));
        assert!(client.read().is_none());
        assert_eq!(server.messages("cut").len(), stored);
    }
    assert_eq!((server.messages("T").len(), server.messages("behind").len()), (2, 0));
}

#[test]
fn messages_of_all_brokers_are_listed_in_the_order_of_their_sends() {
    let server = DevBroker::builder().broker_count(3).topic("T", 2).start().unwrap();
    let mut clients = [0, 1, 2].map(|broker| Client::connect(server.broker_addr(broker)));
    for (index, broker) in [2, 0, 1, 1, 2, 0].into_iter().enumerate() {
        clients[broker].send("T", "", index.to_string().as_bytes());
    }
    let bodies: Vec<_> = server.messages("T").iter().map(|message| message.raw_body().clone()).collect();
    assert_eq!(bodies, ["0", "1", "2", "3", "4", "5"]);
    assert!(server.messages("unknown").is_empty());
}

#[test]
fn a_name_server_can_lose_answers_refuse_and_cut() {
    let server = DevBroker::start().unwrap();
    let on_routes = |fault: Fault| fault.on(RequestCode::GET_ROUTEINFO_BY_TOPIC).topic("TBW102");
    server.fail(on_routes(Fault::answer(ResponseCode::SYSTEM_ERROR, "name server not ready")));
    server.fail(on_routes(Fault::CloseAfter));
    server.fail(on_routes(Fault::DropRequest));
    let header = GetRouteInfoRequestHeader { topic: "TBW102".into(), ..Default::default() };
    let mut client = Client::connect(server.name_server_addr());
    let refused = client.ask(105, &header, b"");
    assert_eq!((refused.code, refused.remark.as_deref()), (1, Some("name server not ready")));
    client.post(105, &header, b"");
    assert!(client.read().is_none());
    let mut client = Client::connect(server.name_server_addr());
    client.post(105, &header, b"");
    assert_eq!(client.ask(105, &header, b"").code, 0, "the answer of the second");
}

#[test]
fn a_late_answer_of_a_name_server_comes_when_the_clock_has_moved() {
    let server = DevBroker::start().unwrap();
    server.fail(Fault::DelayResponse(Duration::from_secs(60)).on(RequestCode::GET_ROUTEINFO_BY_TOPIC));
    let header = GetRouteInfoRequestHeader { topic: "TBW102".into(), ..Default::default() };
    let mut client = Client::connect(server.name_server_addr());
    let late = client.post(105, &header, b"");
    let soon = client.ask(105, &header, b"");
    assert_eq!(soon.code, 0);
    server.advance(Duration::from_secs(60));
    assert_eq!(client.read().map(|answer| (answer.opaque, answer.code)), Some((late, 0)));
}

#[test]
fn every_name_server_knows_every_route_and_one_that_comes_back_learns_them_again() {
    let server = DevBroker::builder().name_server_count(2).broker_count(2).start().unwrap();
    let addrs = server.name_server_addrs();
    assert_eq!(server.addr(), format!("{};{}", addrs[0], addrs[1]));
    server.create_topic("T", 3).unwrap();
    let known = |addr| {
        let header = GetRouteInfoRequestHeader { topic: "T".into(), ..Default::default() };
        let answer = Client::connect(addr).ask(105, &header, b"");
        (
            answer.code,
            String::from_utf8(answer.body.to_vec()).unwrap().matches("\"writeQueueNums\":3").count(),
        )
    };
    assert_eq!((known(addrs[0]), known(addrs[1])), ((0, 2), (0, 2)));
    server.stop_name_server(0);
    assert!(TcpStream::connect(addrs[0]).is_err());
    assert_eq!(known(addrs[1]), (0, 2));
    server.start_name_server(0).unwrap();
    assert_eq!(known(addrs[0]).0, 17);
    server.advance(Duration::from_secs(30));
    assert_eq!((known(addrs[0]), known(addrs[1])), ((0, 2), (0, 2)));
    server.stop_broker(1);
    assert_eq!((known(addrs[0]), known(addrs[1])), ((0, 1), (0, 1)));
}

#[test]
fn a_frozen_broker_loses_its_route_and_gets_it_back_with_what_came_in() {
    let server = DevBroker::builder().topic("T", 1).start().unwrap();
    let mut client = Client::connect(server.broker_addr(0));
    server.freeze_broker(0);
    let opaque = client.post(310, &send_header("T", ""), b"x");
    while server.with_broker(|broker| broker.backlog()) == 0 {
        std::thread::yield_now();
    }
    server.advance(Duration::from_secs(180));
    assert_eq!((route(&server, "T").0, server.messages("T").len()), (17, 0));
    server.resume_broker(0);
    assert_eq!(client.read().map(|answer| (answer.opaque, answer.code)), Some((opaque, 0)));
    server.advance(Duration::from_secs(30));
    assert_eq!((route(&server, "T").0, server.messages("T").len()), (0, 1));
}

#[test]
fn a_topic_that_can_not_be_is_an_error() {
    let server = DevBroker::start().unwrap();
    for (topic, queues) in [("no topic", 4), ("T", 0), ("TBW102", 1)] {
        assert!(server.create_topic(topic, queues).is_err(), "{topic}");
        assert!(DevBroker::builder().topic(topic, queues).start().is_err(), "{topic}");
    }
}

#[test]
fn a_slave_is_read_when_its_master_is_gone_but_for_what_it_had_not_yet() {
    let builder = DevBroker::builder().broker_count(2).slave_count(1).topic("T", 1);
    let server = builder.broker_config(|config| config.slave_read = true).start().unwrap();
    let slave = server.slave_of(0, 0);
    assert_eq!((server.broker_count(), slave, server.slave_of(1, 0)), (2, 2, 3));
    server.advance(Duration::from_secs(10));
    server.set_slave_lag(slave, 1);
    let mut client = Client::connect(server.broker_addr(0));
    for body in [b"a", b"b", b"c"] {
        assert_eq!(client.send("T", "", body).code, 0);
    }
    let addrs = format!(r#""0":"{}","1":"{}""#, server.broker_addr(0), server.broker_addr(slave));
    assert!(route(&server, "T").1.contains(&addrs), "{}", route(&server, "T").1);
    server.crash_broker(0, Durability::All);
    let addrs = format!(r#"{{"1":"{}"}}"#, server.broker_addr(slave));
    assert!(route(&server, "T").1.contains(&addrs), "{}", route(&server, "T").1);
    let mut client = Client::connect(server.broker_addr(slave));
    let bodies = |answer: RemotingCommand| -> Vec<_> {
        StoredMessages::new(answer.body).map(|message| message.unwrap().raw_body().clone()).collect()
    };
    assert_eq!(bodies(client.ask(11, &pull_header(0, 0), b"")), ["a", "b"]);
    assert_eq!(client.ask(11, &pull_header(3, 15_000), b"").code, 20, "ahead of the slave");
    assert_eq!(client.send("T", "", b"x").code, 2);
    assert_eq!(server.messages("T").len(), 3, "what masters have, each once");
    server.set_slave_lag(slave, 0);
    server.start_broker(0).unwrap();
    while server.with_nth_broker(slave, |broker| broker.messages("T").len()) < 3 {
        std::thread::yield_now();
    }
}
