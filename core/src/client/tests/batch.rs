//! Several messages in one request.

use proptest::prelude::*;

use super::*;
use crate::message::{Message, Properties, decode_batch};
use crate::producer::{BatchReceipt, SendStatus};

impl World {
    fn send_batch(&mut self, messages: Vec<Message>, choice: QueueChoice) {
        self.operations += 1;
        let operation = OperationId::from_parts(self.operations, 0);
        let producer = ProducerId(1);
        self.command(Command::Producer(
            producer,
            ProducerCommand::SendBatch { operation, messages, choice, timeout: None },
        ));
    }

    fn answer_batch(&mut self, to: &Arrived, code: ResponseCode, msg_id: &str, queue_offset: i64) {
        let queue_id = header(to).queue_id;
        let header =
            SendMessageResponseHeader { msg_id: msg_id.into(), queue_id, queue_offset, ..Default::default() };
        self.answer_with(to, code, &header, &[]);
    }

    fn batch_receipt(&mut self) -> BatchReceipt {
        match self.outcome() {
            Some(Outcome::SentBatch(receipt)) => receipt,
            other => panic!("expected a batch's receipt, got {other:?}"),
        }
    }
}

fn header(arrived: &Arrived) -> SendMessageRequestHeaderV2<'_> {
    arrived.command.header().expect("a send")
}

fn messages(count: usize) -> Vec<Message> {
    (0..count).map(|number| Message::new("T", format!("body {number}")).tag("a")).collect()
}

/// The unique keys of a batch's members.
fn keys(arrived: &Arrived) -> Vec<String> {
    let members =
        decode_batch(arrived.command.body.clone()).map(|member| member.expect("whole").properties());
    members.map(|properties| properties.uniq_key().expect("a key").to_string()).collect()
}

#[test]
fn a_batch_is_one_request_and_each_message_has_a_key_and_a_receipt_of_its_own() {
    let mut world = World::with_producer(producer());
    world.send_batch(messages(3), QueueChoice::RoundRobin);
    world.route(&[A]);
    let send = world.next(RequestCode::SEND_BATCH_MESSAGE);
    assert!(world.quiet());
    let fields = header(&send);
    assert_eq!((&*fields.producer_group, &*fields.topic, fields.batch), ("pg", "T", Some(true)));
    assert_eq!((fields.sys_flag, fields.flag, fields.reconsume_times), (0, 0, Some(0)));
    let outer = Properties::parse(fields.properties.as_deref().expect("properties"));
    assert_eq!(outer.get("WAIT"), Some("true"));
    let keys = keys(&send);
    assert!(!keys.iter().any(|key| outer.uniq_key() == Some(key)), "the batch's own key is another");
    world.answer_batch(&send, ResponseCode::SUCCESS, "id0,id1,id2", 40);
    let receipt = world.batch_receipt();
    assert_eq!((receipt.count(), receipt.queue_offset, receipt.receipts().len()), (3, 40, 3));
    assert_eq!(receipt.to_string(), format!("T@a:{} offsets 40 to 42", receipt.queue.queue_id));
    for (place, (one, key)) in receipt.receipts().zip(&keys).enumerate() {
        assert_eq!((one.message_id.to_string(), one.queue_offset), (key.clone(), 40 + place as i64));
        assert_eq!((&*one.offset_message_id, &one.queue), (&*format!("id{place}"), &receipt.queue));
    }
}

#[test]
fn every_attempt_of_a_batch_sends_the_same_bytes() {
    let mut world = World::with_producer(producer());
    world.send_batch(messages(32), QueueChoice::RoundRobin);
    world.route(&[A, B]);
    let first = world.next(RequestCode::SEND_BATCH_MESSAGE);
    world.answer(&first, ResponseCode::SYSTEM_BUSY);
    let second = world.next(RequestCode::SEND_BATCH_MESSAGE);
    world.close_connections_to(&second.address);
    let third = world.next(RequestCode::SEND_BATCH_MESSAGE);
    assert_ne!(first.address, second.address);
    for again in [&second, &third] {
        assert_eq!(again.command.body, first.command.body);
        assert_eq!(header(again).properties, header(&first).properties);
    }
    world.answer_batch(&third, ResponseCode::SUCCESS, "", 7);
    let told: Vec<String> = world.batch_receipt().receipts().map(|one| one.message_id.to_string()).collect();
    assert_eq!(told, keys(&first));
}

#[test]
fn a_batch_that_fails_says_so_and_whether_it_may_be_stored() {
    let mut world = World::with_producer(producer());
    let queue = MessageQueue { topic: "T".into(), broker_name: "a".into(), queue_id: 1 };
    world.send_batch(messages(2), QueueChoice::Queue(queue.into()));
    world.route(&[A, B]);
    let send = world.next(RequestCode::SEND_BATCH_MESSAGE);
    assert_eq!((&*send.address, header(&send).queue_id), (A.1, 1));
    world.answer(&send, ResponseCode::MESSAGE_ILLEGAL);
    assert!(world.quiet(), "a fixed queue has no second attempt");
    let error = world.error();
    assert!(matches!(error, Error::Refused(_)), "{error}");
    assert!(error.to_string().contains("send a batch to topic T at a failed"), "{error}");
    assert_eq!(world.client.producers().under_way(), 0);
}

#[test]
fn what_no_batch_can_be_made_of_is_told_and_nothing_is_sent() {
    let mut world = World::with_producer(producer());
    world.send_batch(Vec::new(), QueueChoice::RoundRobin);
    assert!(matches!(world.error(), Error::Usage(UsageError::Batch(_))));
    let long = Message::new("T", "b").property("n", "x".repeat(32_760));
    world.send_batch(vec![Message::new("T", "b"), long], QueueChoice::RoundRobin);
    let error = world.error().to_string();
    assert!(error.contains("the properties of message 1 of the batch"), "{error}");
    assert!(world.quiet());
}

#[test]
fn batches_and_single_messages_to_one_broker_keep_their_kinds_apart() {
    let mut world = World::with_producer(producer());
    world.send();
    world.route(&[A]);
    for _ in 0..2 {
        let single = world.next(RequestCode::SEND_MESSAGE_V2);
        assert_eq!(header(&single).batch, Some(false));
        world.send_batch(messages(1), QueueChoice::RoundRobin);
        let batch = world.next(RequestCode::SEND_BATCH_MESSAGE);
        assert_eq!(header(&batch).batch, Some(true));
        world.send();
    }
}

#[test]
fn a_batch_that_no_slave_has_yet_is_tried_again_and_told_as_stored_in_the_end() {
    let config = ProducerConfig { retry_when_not_store_ok: true, retry_times: 1, ..producer() };
    let mut world = World::with_producer(config);
    world.send_batch(messages(2), QueueChoice::RoundRobin);
    world.route(&[A, B]);
    let first = world.next(RequestCode::SEND_BATCH_MESSAGE);
    world.answer_batch(&first, ResponseCode::FLUSH_SLAVE_TIMEOUT, "a,b", 3);
    let second = world.next(RequestCode::SEND_BATCH_MESSAGE);
    world.answer(&second, ResponseCode::SYSTEM_BUSY);
    let receipt = world.batch_receipt();
    assert_eq!((receipt.status, receipt.queue_offset), (SendStatus::FlushSlaveTimeout, 3));
}

/// Brokers keep batches for topics of another kind of queue as one record, with one id.
#[test]
fn the_only_id_of_a_batch_that_was_kept_whole_is_that_of_each_message() {
    for (ids, told) in [("whole", ["whole"; 3]), ("a,b", ["a", "b", ""]), ("", [""; 3])] {
        let mut world = World::with_producer(producer());
        world.send_batch(messages(3), QueueChoice::RoundRobin);
        world.route(&[A]);
        let send = world.next(RequestCode::SEND_BATCH_MESSAGE);
        world.answer_batch(&send, ResponseCode::SUCCESS, ids, 0);
        let receipt = world.batch_receipt();
        let ids: Vec<String> = receipt.receipts().map(|one| one.offset_message_id.to_string()).collect();
        assert_eq!(ids, told);
    }
}

#[test]
fn a_selector_is_shown_the_first_message_and_asked_once() {
    let mut world = World::with_producer(producer());
    world.send_batch(messages(2), QueueChoice::Select);
    world.route(&[A, B]);
    let (token, _, Question::SelectQueue { message, .. }) = world.asked.pop().expect("a question");
    assert_eq!((&message.body[..], &*message.properties), (&b"body 0"[..], "TAGS\u{1}a\u{2}"));
    world.input(Input::Answered { token, answer: Answer::Queue(3) });
    let send = world.next(RequestCode::SEND_BATCH_MESSAGE);
    assert_eq!((&*send.address, header(&send).queue_id), (B.1, 1));
    world.answer(&send, ResponseCode::SYSTEM_BUSY);
    assert!(world.quiet() && world.asked.is_empty());
    assert!(matches!(world.error(), Error::Unknown(_)));
}

#[test]
fn closing_waits_for_a_batch_and_lets_no_more_in() {
    let mut world = World::with_producer(producer());
    world.send_batch(messages(2), QueueChoice::RoundRobin);
    world.route(&[A]);
    let send = world.next(RequestCode::SEND_BATCH_MESSAGE);
    let (operation, timeout) = (OperationId::from_parts(100, 0), Duration::from_secs(3));
    world.command(Command::Producer(ProducerId(1), ProducerCommand::Close { operation, timeout }));
    world.send_batch(messages(2), QueueChoice::RoundRobin);
    assert!(matches!(world.error(), Error::Closed));
    world.answer_batch(&send, ResponseCode::SUCCESS, "a,b", 0);
    assert_eq!(world.outcomes.len(), 2, "the batch, and the producer");
}

proptest! {
    #[test]
    fn members_arrive_as_they_were_sent_with_keys_that_differ(
        items in proptest::collection::vec((proptest::collection::vec(any::<u8>(), 1..300), any::<i32>(), "[a-z]{1,9}"), 1..40),
        wait: bool,
    ) {
        let messages: Vec<Message> = items
            .into_iter()
            .map(|(body, flag, tag)| Message::new("T", body).flag(flag).tag(tag).wait_store_ok(wait))
            .collect();
        let mut world = World::with_producer(producer());
        world.send_batch(messages.clone(), QueueChoice::RoundRobin);
        let under_way = world.client.producers().message_ids();
        world.route(&[A]);
        let send = world.next(RequestCode::SEND_BATCH_MESSAGE);
        let keys = keys(&send);
        prop_assert_eq!(under_way.iter().map(ToString::to_string).collect::<Vec<_>>(), keys.clone());
        prop_assert_eq!(keys.iter().collect::<alloc::collections::BTreeSet<_>>().len(), messages.len());
        let outer = Properties::parse(header(&send).properties.as_deref().expect("properties"));
        prop_assert_eq!(outer.wait_store_ok(), wait);
        for (member, message) in decode_batch(send.command.body.clone()).zip(&messages) {
            let member = member.expect("whole");
            let mut properties = member.properties();
            properties.remove("UNIQ_KEY");
            prop_assert_eq!((&member.body, member.flag), (&message.body, message.flag));
            prop_assert_eq!(properties, message.properties.clone());
        }
    }
}
