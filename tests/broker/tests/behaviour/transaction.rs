//! Half messages, their end, and the broker's questions.

use std::time::Duration;

use rocketmq_client_core::message::{StoredMessage, id::parse_offset_msg_id};
use rocketmq_client_core::remoting::{
    CheckTransactionStateRequestHeader, EndTransactionRequestHeader, HeartbeatRequestHeader, RemotingCommand,
};
use rocketmq_client_core::time::Timestamp;
use rocketmq_dev_broker::{ConnectionId, Durability};

use crate::world::{START_MS, Sent, World, bodies, world};

const COMMIT: i32 = 8;
const ROLLBACK: i32 = 12;
const HALF: [(&str, &str); 4] = [("TRAN_MSG", "true"), ("PGROUP", "pg"), ("UNIQ_KEY", "U"), ("TAGS", "a")];

fn producer(world: &mut World) -> ConnectionId {
    let client = world.connect(1);
    let body = r#"{"clientID":"p","consumerDataSet":[],"producerDataSet":[{"groupName":"pg"}]}"#;
    world.ask_body(client, &HeartbeatRequestHeader::default(), body.as_bytes());
    client
}

fn half_offset(sent: &Sent) -> i64 {
    parse_offset_msg_id(&sent.msg_id).unwrap().commit_log_offset
}

fn end(
    world: &mut World,
    client: ConnectionId,
    table: i64,
    log: i64,
    decision: i32,
) -> Option<RemotingCommand> {
    let header = EndTransactionRequestHeader {
        producer_group: "pg".into(),
        tran_state_table_offset: table,
        commit_log_offset: log,
        commit_or_rollback: decision,
        msg_id: "U".into(),
        ..Default::default()
    };
    let frame = world.frame(37, &header, &[], b"");
    let opaque = world.post(client, frame);
    world.take(opaque)
}

/// The broker's questions to a connection: offsets, and the message it shows.
fn questions(world: &mut World, client: ConnectionId) -> Vec<(i64, i64, StoredMessage)> {
    let mut asked = Vec::new();
    world.arrived.retain(|(to, command)| {
        let is_question = *to == client && !command.is_response() && command.code == 39;
        if is_question {
            let header: CheckTransactionStateRequestHeader<'_> = command.header().unwrap();
            assert_eq!(header.topic.as_deref(), Some("RMQ_SYS_TRANS_HALF_TOPIC"));
            assert_eq!(header.transaction_id.as_deref(), Some("U"));
            let message = StoredMessage::decode(&command.body).unwrap();
            asked.push((header.tran_state_table_offset, header.commit_log_offset, message));
        }
        !is_question
    });
    asked
}

#[test]
fn a_half_message_is_seen_after_its_commit_only() {
    let mut world = world();
    let client = producer(&mut world);
    let sent = world.sent(client, "T", 2, &HALF, "x");
    assert_eq!((sent.queue_id, sent.queue_offset, sent.transaction_id.as_str()), (2, 0, "U"));
    assert!(world.broker.messages("T").is_empty());
    let committed = end(&mut world, client, 0, half_offset(&sent), COMMIT).unwrap();
    assert_eq!(committed.code, 0);
    let message = world.broker.queue("T", 2).next().unwrap();
    assert_eq!((bodies([&message]), message.tags()), (vec!["x".to_owned()], Some("a")));
    assert_eq!((message.sys_flag & 0xC, message.prepared_transaction_offset), (8, half_offset(&sent)));
    assert_eq!((message.property("REAL_TOPIC"), message.property("__transactionId__")), (None, Some("U")));
    world.advance(Duration::from_secs(100));
    assert!(questions(&mut world, client).is_empty(), "it is decided");
}

#[test]
fn a_rolled_back_message_is_never_seen_and_never_asked_about() {
    let mut world = world();
    let client = producer(&mut world);
    let sent = world.sent(client, "T", 2, &HALF, "x");
    assert_eq!(end(&mut world, client, 0, half_offset(&sent), ROLLBACK).unwrap().code, 0);
    world.advance(Duration::from_secs(100));
    assert!(world.broker.messages("T").is_empty() && questions(&mut world, client).is_empty());
}

#[test]
fn a_second_commit_is_a_second_message_as_in_java() {
    let mut world = world();
    let client = producer(&mut world);
    let sent = world.sent(client, "T", 2, &HALF, "x");
    end(&mut world, client, 0, half_offset(&sent), COMMIT);
    end(&mut world, client, 0, half_offset(&sent), COMMIT);
    assert_eq!(world.broker.messages("T").len(), 2);
}

#[test]
fn wrong_ends_are_refused_and_an_unknown_decision_is_not_answered() {
    let mut world = world();
    let client = producer(&mut world);
    let sent = world.sent(client, "T", 2, &HALF, "x");
    let log = half_offset(&sent);
    let remark = |answer: Option<RemotingCommand>| answer.unwrap().remark.unwrap().into_string();
    assert_eq!(
        remark(end(&mut world, client, 0, log + 1, COMMIT)),
        "Find prepared transaction message failed"
    );
    assert_eq!(remark(end(&mut world, client, 5, log, COMMIT)), "The transaction state table offset wrong");
    assert!(end(&mut world, client, 0, log, 0).is_none());
    assert!(world.broker.messages("T").is_empty());
}

#[test]
fn an_undecided_message_is_asked_about_with_new_offsets_until_it_is_decided() {
    let mut world = world();
    let client = producer(&mut world);
    world.advance(Duration::from_secs(1));
    let sent = world.sent(client, "T", 2, &HALF, "x");
    world.advance(Duration::from_secs(28));
    assert!(questions(&mut world, client).is_empty());
    world.advance(Duration::from_secs(1));
    let (table, log, message) = questions(&mut world, client).remove(0);
    assert_eq!(
        (message.topic(), message.queue_id, message.property("TRANSACTION_CHECK_TIMES")),
        ("T", 2, Some("1"))
    );
    assert!(table == 1 && log > half_offset(&sent), "the offsets of the message that was put back");
    world.advance(Duration::from_secs(30));
    let (table, log, message) = questions(&mut world, client).remove(0);
    assert_eq!((table, message.property("TRANSACTION_CHECK_TIMES")), (2, Some("2")));
    assert_eq!(end(&mut world, client, table, log, COMMIT).unwrap().code, 0);
    world.advance(Duration::from_secs(60));
    assert!(questions(&mut world, client).is_empty());
    assert_eq!(world.broker.messages("T").len(), 1);
}

#[test]
fn a_message_that_nobody_decides_is_discarded_after_fifteen_questions() {
    let mut world = world();
    let client = producer(&mut world);
    world.sent(client, "T", 2, &HALF, "x");
    let mut asked = 0;
    for _ in 0..20 {
        world.advance(Duration::from_secs(30));
        let body = r#"{"clientID":"p","consumerDataSet":[],"producerDataSet":[{"groupName":"pg"}]}"#;
        world.ask_body(client, &HeartbeatRequestHeader::default(), body.as_bytes());
        asked += questions(&mut world, client).len();
    }
    assert_eq!(asked, 15);
    assert_eq!(bodies(&world.broker.messages("TRANS_CHECK_MAX_TIME_TOPIC")), ["x"]);
}

#[test]
fn a_crash_forgets_young_decisions_and_asks_again() {
    let mut world = world();
    let client = producer(&mut world);
    let sent = world.sent(client, "T", 2, &HALF, "x");
    end(&mut world, client, 0, half_offset(&sent), COMMIT);
    let wall = Timestamp::from_millis(START_MS + 1_000);
    world.broker = world.broker.crash(Durability::All, world.now, wall);
    let client = producer(&mut world);
    world.advance(Duration::from_secs(31));
    assert_eq!(questions(&mut world, client).len(), 1);
}

#[test]
fn the_time_of_immunity_puts_the_question_off() {
    let mut world = world();
    let client = producer(&mut world);
    let mut properties = HALF.to_vec();
    properties.push(("CHECK_IMMUNITY_TIME_IN_SECONDS", "50"));
    world.sent(client, "T", 2, &properties, "x");
    world.advance(Duration::from_secs(31));
    assert!(questions(&mut world, client).is_empty());
    world.advance(Duration::from_secs(30));
    assert_eq!(questions(&mut world, client).len(), 1);
}
