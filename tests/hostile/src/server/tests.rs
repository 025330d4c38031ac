use super::*;
use rocketmq_client_core::remoting::TopicRouteData;

const CONN: ConnectionId = ConnectionId(1);

fn at(ms: u64) -> Instant {
    Instant::from_millis(ms)
}

fn name_server(script: Script) -> SharedServer {
    let brokers = vec![('a', SocketAddr::from(([127, 0, 0, 1], 10_911)))];
    let hours = Hours { begins: at(1_000), ends: at(2_000) };
    SharedServer::new(Server::name_server(brokers, None, SharedLedger::default()).hostile(script, hours))
}

fn ask(server: &mut SharedServer, now: Instant, opaque: i32) {
    let ask = frame::request(RequestCode::GET_ROUTEINFO_BY_TOPIC.0, opaque, 0, [("topic", TOPIC)]);
    server.handle_bytes(now, CONN, &frame::encode(&ask));
}

fn outputs(server: &mut SharedServer) -> Vec<PeerOutput> {
    std::iter::from_fn(|| Some(server.poll_output()).filter(|output| !matches!(output, PeerOutput::Wait(_))))
        .collect()
}

fn is_route(output: &PeerOutput) -> bool {
    let PeerOutput::Transmit { bytes, .. } = output else { return false };
    let answers = frame::decode(std::slice::from_ref(bytes));
    answers
        .iter()
        .any(|answer| TopicRouteData::decode(&answer.body).is_ok_and(|route| !route.queue_datas.is_empty()))
}

#[test]
fn a_server_is_hostile_in_its_hours_only_and_another_process_after_them() {
    let mut server = name_server(Script::write(On::Any, |_| Bytes::from_static(b"?")));
    server.handle_connected(at(0), CONN);
    ask(&mut server, at(1), 1);
    assert!(outputs(&mut server).iter().all(is_route));
    ask(&mut server, at(1_500), 2);
    let said = PeerOutput::Transmit { connection: CONN, bytes: Bytes::from_static(b"?") };
    assert_eq!(outputs(&mut server), [said]);
    server.handle_timeout(at(2_000));
    assert_eq!(outputs(&mut server), [PeerOutput::Close { connection: CONN }]);
    server.handle_connected(at(2_001), CONN);
    ask(&mut server, at(2_002), 3);
    assert!(outputs(&mut server).iter().any(is_route));
}

#[test]
fn an_act_is_done_as_often_as_it_says() {
    let mut server = name_server(Script::one(On::Any, Does::Silence).times(1));
    server.handle_connected(at(1_000), CONN);
    ask(&mut server, at(1_001), 1);
    assert!(outputs(&mut server).is_empty());
    ask(&mut server, at(1_002), 2);
    assert!(outputs(&mut server).iter().any(is_route));
}

#[test]
fn an_answer_in_pieces_is_the_same_answer() {
    let mut server = name_server(Script::one(On::Any, Does::Drip(7, std::time::Duration::from_millis(1))));
    server.handle_connected(at(1_000), CONN);
    ask(&mut server, at(1_000), 1);
    let mut whole = Vec::new();
    for ms in 1_000..1_200 {
        server.handle_timeout(at(ms));
        for output in outputs(&mut server) {
            let PeerOutput::Transmit { bytes, .. } = output else { panic!("{output:?}") };
            assert!(bytes.len() <= 7);
            whole.extend_from_slice(&bytes);
        }
    }
    assert!(is_route(&PeerOutput::Transmit { connection: CONN, bytes: whole.into() }));
}
