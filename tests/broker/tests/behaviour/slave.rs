//! A slave: what it has of its master, what it answers, and what it leaves to its master.

use std::time::Duration;

use rocketmq_client_core::remoting::UpdateConsumerOffsetRequestHeader;
use rocketmq_client_core::remoting::{EndTransactionRequestHeader, ResetOffsetRequestHeader};
use rocketmq_client_core::time::Timestamp;
use rocketmq_dev_broker::{BrokerConfig, ConnectionId, Durability};

use crate::world::{START_MS, World, bodies, world};

const SECOND: Duration = Duration::from_secs(1);
const CLIENT: u64 = 1;

/// A master and its slave, each with a client.
struct Pair {
    master: World,
    slave: World,
    behind: u64,
}

impl Pair {
    fn new(slave_read: bool) -> Self {
        let config = BrokerConfig { broker_id: 1, slave_read, ..BrokerConfig::default() };
        let mut pair = Self { master: world(), slave: World::with(config), behind: 0 };
        pair.master.connect(CLIENT);
        pair.slave.connect(CLIENT);
        pair
    }

    fn sent(&mut self, topic: &str, properties: &[(&str, &str)], body: &str) {
        self.master.sent(ConnectionId(CLIENT), topic, 0, properties, body);
        self.replicate();
    }

    fn replicate(&mut self) {
        self.slave.broker.replicate(self.slave.now, &self.master.broker, self.behind);
        self.slave.drain();
    }

    fn advance(&mut self, time: Duration) {
        self.master.advance(time);
        self.slave.advance(time);
        self.replicate();
    }

    /// What a pull at the slave gets: code, next offset, bodies.
    fn pull(&mut self, offset: i64) -> (i32, i64, Vec<String>) {
        let pulled = self.slave.pull(ConnectionId(CLIENT), "G", "T", 0, offset);
        (pulled.code, pulled.next, pulled.bodies())
    }

    fn log_of(world: &World) -> Vec<Vec<u8>> {
        world.broker.log().map(|message| message.raw_body().to_vec()).collect()
    }
}

#[test]
fn a_slave_that_lags_gives_what_it_has_and_never_moves_a_consumer() {
    let mut pair = Pair::new(true);
    pair.sent("T", &[], "a");
    pair.advance(10 * SECOND);
    pair.behind = 2;
    for body in ["b", "c", "d"] {
        pair.sent("T", &[], body);
    }
    assert_eq!(pair.pull(0), (0, 2, vec!["a".to_owned(), "b".to_owned()]));
    assert_eq!(pair.pull(2), (20, 2, vec![]), "its end, and no pull waits there");
    assert_eq!(pair.pull(4), (20, 4, vec![]), "it was at the master's end");
    assert_eq!(pair.pull(-1), (20, -1, vec![]));
    pair.behind = 0;
    pair.replicate();
    assert_eq!(pair.pull(2), (0, 4, vec!["c".to_owned(), "d".to_owned()]));
    let (ours, theirs) = (pair.slave.broker.messages("T"), pair.master.broker.messages("T"));
    let places = |messages: &[rocketmq_dev_broker::StoredMessage]| -> Vec<_> {
        messages
            .iter()
            .map(|message| (message.commit_log_offset, message.offset_msg_id().to_string()))
            .collect()
    };
    assert_eq!(places(&ours), places(&theirs), "the same bytes at the same places");
}

#[test]
fn a_slave_takes_no_message_and_no_decision() {
    let mut pair = Pair::new(false);
    pair.sent("T", &[("TRAN_MSG", "true"), ("PGROUP", "pg")], "half");
    pair.advance(10 * SECOND);
    let client = ConnectionId(CLIENT);
    let rejected = (2, Some("[REJECTREQUEST]system busy, start flow control for a while".to_owned()));
    let of = |answer: rocketmq_client_core::remoting::RemotingCommand| {
        (answer.code, answer.remark.as_deref().map(ToOwned::to_owned))
    };
    let sent = pair.slave.send(client, "T", 0, &[], "x");
    assert_eq!(of(sent), rejected);
    let pulled = pair.slave.pull(client, "G", "T", 0, 0);
    assert_eq!((pulled.code, pulled.remark), (2, rejected.1.clone().unwrap()), "slaveReadEnable is false");
    let half = pair.master.broker.log().next().unwrap();
    assert_eq!(of(pair.slave.send_back(client, "G", &half, 0, None)), rejected);
    let end = EndTransactionRequestHeader { producer_group: "pg".into(), ..Default::default() };
    assert_eq!(pair.slave.ask(client, &end).code, 11);
    let reset = ResetOffsetRequestHeader { topic: "T".into(), group: "G".into(), ..Default::default() };
    let frame = pair.slave.frame(222, &reset, &[], b"");
    let opaque = pair.slave.post(client, frame);
    let refused = (1, Some("Can not reset offset in slave broker".to_owned()));
    assert_eq!(pair.slave.take(opaque).map(of), Some(refused));
    assert_eq!(pair.slave.broker.log().count(), 1);
}

#[test]
fn a_slave_leaves_deliveries_and_checks_to_its_master() {
    let mut pair = Pair::new(true);
    pair.sent("T", &[("DELAY", "1")], "late");
    pair.sent("T", &[("TRAN_MSG", "true"), ("PGROUP", "pg")], "half");
    pair.slave.advance(100 * SECOND);
    assert_eq!(Pair::log_of(&pair.slave), [b"late", b"half"], "nothing of its own");
    pair.master.advance(2 * SECOND);
    pair.replicate();
    assert_eq!(bodies(&pair.slave.broker.messages("T")), ["late"], "its master delivered");
}

#[test]
fn tables_come_ten_seconds_after_the_start_and_then_every_minute() {
    let mut pair = Pair::new(true);
    let commit = |offset| UpdateConsumerOffsetRequestHeader {
        consumer_group: "G".into(),
        topic: "T".into(),
        commit_offset: offset,
        ..Default::default()
    };
    let client = ConnectionId(CLIENT);
    pair.sent("T", &[], "a");
    pair.master.heartbeat(client, "c", "G", &["T"]);
    pair.master.ask(client, &commit(1));
    assert_eq!(pair.pull(0).0, 17, "the message is there, its topic isn't");
    pair.advance(10 * SECOND);
    assert_eq!((pair.pull(0).0, pair.slave.broker.committed_offset("G", "T", 0)), (0, Some(1)));
    pair.master.ask(client, &commit(7));
    pair.advance(62 * SECOND);
    assert_eq!(pair.slave.broker.committed_offset("G", "T", 0), Some(1));
    pair.advance(SECOND);
    assert_eq!(pair.slave.broker.committed_offset("G", "T", 0), Some(7));
}

#[test]
fn what_a_master_lost_is_lost_at_its_slave_when_it_comes_back() {
    let mut pair = Pair::new(true);
    for body in ["a", "b", "c"] {
        pair.sent("T", &[], body);
    }
    let wall = Timestamp::from_millis(START_MS + 1_000);
    pair.master.broker = pair.master.broker.crash(Durability::LoseRecords(2), pair.master.now, wall);
    pair.master.connect(2);
    pair.master.sent(ConnectionId(2), "T", 0, &[], "d");
    assert_eq!(Pair::log_of(&pair.slave), [b"a", b"b", b"c"], "until then it has them");
    pair.replicate();
    assert_eq!(Pair::log_of(&pair.slave), [b"a", b"d"]);
    pair.advance(10 * SECOND);
    assert_eq!(pair.pull(0), (0, 2, vec!["a".to_owned(), "d".to_owned()]));
}

#[test]
fn a_slave_whose_master_forgot_what_it_lacks_begins_again_with_what_there_is() {
    let config = BrokerConfig { log_bytes_max: 5_000, log_segment_bytes: 2_500, ..BrokerConfig::default() };
    let mut pair = Pair { master: World::with(config), ..Pair::new(true) };
    pair.master.connect(CLIENT);
    pair.sent("T", &[], "first");
    for _ in 0..20 {
        pair.master.sent(ConnectionId(CLIENT), "T", 0, &[], &"x".repeat(1_000));
    }
    assert!(pair.master.broker.queue_range("T", 0).start > 1, "it expired");
    pair.behind = 1;
    pair.replicate();
    let range = pair.master.broker.queue_range("T", 0);
    assert_eq!(pair.slave.broker.queue_range("T", 0), range.start..range.end - 1);
    pair.behind = 0;
    pair.sent("T", &[], "last");
    assert_eq!(pair.slave.broker.queue_range("T", 0), pair.master.broker.queue_range("T", 0));
}

#[test]
fn a_topic_that_was_made_again_begins_again_at_the_slave() {
    let mut pair = Pair::new(true);
    pair.sent("T", &[], "old");
    pair.sent("T", &[], "older");
    let delete =
        rocketmq_client_core::remoting::DeleteTopicRequestHeader { topic: "T".into(), ..Default::default() };
    assert_eq!(pair.master.ask(ConnectionId(CLIENT), &delete).code, 0);
    pair.sent("T", &[], "new");
    pair.advance(10 * SECOND);
    assert_eq!(pair.pull(0), (0, 1, vec!["new".to_owned()]));
}

#[test]
fn a_frozen_slave_stands_still_and_comes_after() {
    let mut pair = Pair::new(true);
    pair.slave.broker.faults_mut().freeze(true);
    pair.sent("T", &[], "a");
    assert_eq!(pair.slave.broker.log().count(), 0);
    pair.slave.broker.faults_mut().freeze(false);
    pair.replicate();
    assert_eq!(pair.slave.broker.log().count(), 1);
}
