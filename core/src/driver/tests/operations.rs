//! Operations, the mailbox's order, handles and their ends.

use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::task::Poll;
use core::time::Duration;

use proptest::prelude::*;

use super::super::{Limits, Operation, Options, Producer, lock};
use super::script::{World, address, obey, operation_of, poll_once};
use crate::client::{ClientCommand, Command, Input, Outcome, Output};
use crate::error::{Cause, Error};
use crate::message::Message;
use crate::message::id::offset_msg_id;
use crate::producer::{BatchReceipt, ProducerCommand, SendReceipt, SendStatus};
use crate::time::Instant;

pub(super) fn receipt() -> SendReceipt {
    SendReceipt {
        status: SendStatus::SendOk,
        message_id: offset_msg_id(address(), 0),
        offset_message_id: "".into(),
        queue: alloc::sync::Arc::new(crate::message::MessageQueue {
            topic: "TopicTest".into(),
            broker_name: "broker-a".into(),
            queue_id: 0,
        }),
        queue_offset: 0,
        transaction_id: None,
    }
}

pub(super) fn batch_receipt(count: usize) -> BatchReceipt {
    let SendReceipt { status, message_id, queue, queue_offset, .. } = receipt();
    BatchReceipt { status, queue, queue_offset, message_id, count, offset_message_ids: "".into() }
}

/// Stores every message at once.
fn storing(input: &Input, outputs: &mut VecDeque<Output>) {
    match input {
        Input::Command(Command::Producer(_, ProducerCommand::Send { operation, .. })) => {
            outputs.push_back(Output::Complete { operation: *operation, outcome: Outcome::Sent(receipt()) });
        }
        Input::Command(Command::Producer(_, ProducerCommand::SendBatch { operation, messages, .. })) => {
            let outcome = Outcome::SentBatch(batch_receipt(messages.len()));
            outputs.push_back(Output::Complete { operation: *operation, outcome });
        }
        other => obey(other, outputs),
    }
}

/// Never answers a send.
fn silent(input: &Input, outputs: &mut VecDeque<Output>) {
    if !matches!(input, Input::Command(Command::Producer(_, ProducerCommand::Send { .. }))) {
        obey(input, outputs);
    }
}

/// Never answers a batch.
fn silent_batches(input: &Input, outputs: &mut VecDeque<Output>) {
    if !matches!(input, Input::Command(Command::Producer(_, ProducerCommand::SendBatch { .. }))) {
        obey(input, outputs);
    }
}

fn producer(world: &mut World) -> Producer {
    let producer = world.client().producer("group").build().expect("a producer");
    world.settle();
    world.forget();
    producer
}

fn message(body: &'static str) -> Message {
    Message::new("TopicTest", body)
}

fn limited(messages_max: usize) -> Options {
    Options { limits: Limits { messages_max, ..Limits::default() }, ..Options::default() }
}

#[test]
fn sends_begin_in_the_order_of_their_calls_without_being_polled() {
    let mut world = World::new(storing);
    let producer = producer(&mut world);
    let mut sends: Vec<_> = ["a", "b", "c"].map(|body| producer.send(message(body))).into();
    world.settle();
    assert_eq!(world.told(), ["send a", "send b", "send c"]);
    assert!(sends.iter_mut().all(|send| matches!(poll_once(send), Poll::Ready(Ok(_)))));
}

#[test]
fn a_send_dropped_before_it_was_taken_is_never_sent() {
    let mut world = World::new(storing);
    let producer = producer(&mut world);
    let (a, b) = (producer.send(message("a")), producer.send(message("b")));
    drop(a);
    world.settle();
    assert_eq!(world.told(), ["send b"]);
    assert_eq!(world.client().detached_counts().withdrawn, 1);
    drop(b);
    world.settle();
    assert_eq!(world.client().alive_at_rest(), (0, true));
}

#[test]
fn a_send_dropped_later_goes_on_and_is_counted() {
    let mut operations = Vec::new();
    let mut world = World::new(move |input, outputs| match input {
        Input::Command(Command::Producer(_, ProducerCommand::Send { operation, .. })) => {
            operations.push(*operation)
        }
        Input::Command(Command::Client(ClientCommand::Connect { operation })) => {
            for send in operations.drain(..) {
                outputs.push_back(Output::Complete { operation: send, outcome: Outcome::Sent(receipt()) });
            }
            outputs.push_back(Output::Complete { operation: *operation, outcome: Outcome::Done });
        }
        other => obey(other, outputs),
    });
    let producer = producer(&mut world);
    let send = producer.send(message("a"));
    world.settle();
    drop(send);
    assert!(!world.client().alive_at_rest().1, "its permit is still out");
    drop(world.client().connect());
    let connect = world.client().connect();
    world.settle();
    drop(connect);
    assert_eq!(world.client().detached_counts().done, 1 + 1);
    assert_eq!(world.client().alive_at_rest(), (0, true));
}

#[test]
fn too_many_sends_queue_first_come_first_served_and_try_send_hands_back() {
    let mut world = World::with(limited(2), silent);
    let producer = producer(&mut world);
    let mut sends: VecDeque<Operation<SendReceipt>> =
        ["a", "b", "c", "d"].map(|body| producer.send(message(body))).into();
    world.settle();
    assert_eq!(world.told(), ["send a", "send b"]);
    match producer.try_send(message("e")) {
        Err(Error::Full(message)) => assert_eq!(message.body(), "e"),
        other => panic!("{other:?}"),
    }
    drop(sends.remove(2));
    world.settle();
    assert_eq!(world.told(), ["send a", "send b"], "a withdrawal of one that waits frees no permit");
    assert!(sends.iter_mut().all(|send| poll_once(send).is_pending()));
}

#[test]
fn permits_come_back_with_outcomes_and_let_the_next_in() {
    let mut world = World::with(limited(1), storing);
    let producer = producer(&mut world);
    let mut sends: Vec<_> = ["a", "b", "c"].map(|body| producer.send(message(body))).into();
    world.settle();
    assert_eq!(world.told(), ["send a", "send b", "send c"]);
    assert!(sends.iter_mut().all(|send| matches!(poll_once(send), Poll::Ready(Ok(_)))));
    assert!(producer.try_send(message("d")).is_ok());
    world.settle();
    assert_eq!(world.client().alive_at_rest(), (0, true));
}

#[test]
fn a_close_stands_behind_the_sends_before_it_and_before_those_after_it() {
    let mut world = World::new(silent);
    let producer = producer(&mut world);
    let sends: Vec<_> = ["a", "b"].map(|body| producer.send(message(body))).into();
    let mut close = world.client().close();
    let later = producer.send(message("c"));
    assert!(world.settle(), "the engine ends");
    assert_eq!(world.told(), ["send a", "send b", "close 30s", "send c"]);
    assert!(matches!(poll_once(&mut close), Poll::Ready(Ok(()))));
    drop((sends, later));
}

#[test]
fn a_close_waits_with_the_sends_before_it_for_room_and_no_longer_than_its_time() {
    let mut world = World::with(limited(1), silent);
    let producer = producer(&mut world);
    let (mut first, mut second) = (producer.send(message("a")), producer.send(message("b")));
    let mut close = world.client().close_within(Duration::from_secs(1));
    assert!(!world.settle());
    assert_eq!(world.told(), ["send a"]);
    assert_eq!(lock(&world.stage).deadline, Instant::from_millis(1_000));
    lock(&world.stage).now = Instant::from_millis(1_000);
    assert!(world.settle(), "the engine ends");
    assert_eq!(world.told()[1..], ["close 0ns"]);
    assert!(matches!(poll_once(&mut close), Poll::Ready(Ok(()))));
    assert!(matches!(poll_once(&mut first), Poll::Ready(Err(Error::Unknown(_)))));
    assert!(matches!(poll_once(&mut second), Poll::Ready(Err(Error::NotSent(_)))), "it never began");
    assert!(matches!(poll_once(&mut world.client().close()), Poll::Ready(Ok(()))));
    assert!(matches!(poll_once(&mut producer.send(message("c"))), Poll::Ready(Err(Error::Closed))));
}

#[test]
fn a_close_keeps_its_time_when_the_last_handle_goes() {
    let mut world = World::new(silent);
    drop(world.client().close_within(Duration::from_secs(9)));
    world.client = None;
    world.settle();
    let closes: Vec<_> = world.told().into_iter().filter(|text| text.starts_with("close")).collect();
    assert_eq!(closes, ["close 9s"], "dropped, it is not cut short");
}

#[test]
fn each_command_ends_with_its_own_word_when_the_engine_goes() {
    let mut under_way = Vec::new();
    let silence = move |input: &Input, outputs: &mut VecDeque<Output>| match input {
        Input::Command(Command::Producer(_, ProducerCommand::Send { operation, .. })) => {
            under_way.push(*operation);
        }
        Input::Command(Command::Client(ClientCommand::Close { operation, .. })) => {
            outputs.push_back(Output::Complete { operation: *operation, outcome: Outcome::Done });
        }
        // It knows an end for sends, and for nothing else.
        Input::Abandoned => outputs.extend(
            under_way
                .drain(..)
                .map(|operation| Output::Complete { operation, outcome: Outcome::Sent(receipt()) }),
        ),
        _ => {}
    };
    let mut world = World::new(silence);
    let producer = world.client().producer("group").build().expect("a producer");
    let mut sends =
        [producer.send(message("a")), producer.send_to(message("a"), receipt().queue.as_ref().clone())];
    let mut batch = producer.send_batch([message("a"), message("b")]);
    let mut oneway = producer.send_oneway(message("a"));
    let (mut connect, mut statistics) = (world.client().connect(), world.client().statistics());
    let mut starting = world.client().push_consumer("group").subscribe("TopicTest", "*").stream();
    world.settle();
    let mut queued = producer.send(message("never taken"));
    let (mut close, mut closes) = (producer.close(), world.client().close());
    let World { engine, client, .. } = world;
    drop(engine);
    for send in &mut sends {
        let ended = poll_once(send);
        assert!(matches!(ended, Poll::Ready(Ok(_))), "as the machine says: {ended:?}");
    }
    assert!(matches!(poll_once(&mut batch), Poll::Ready(Err(Error::Unknown(_)))));
    assert!(matches!(poll_once(&mut oneway), Poll::Ready(Err(Error::Unknown(_)))));
    let not_sent = poll_once(&mut queued);
    assert!(
        matches!(&not_sent, Poll::Ready(Err(Error::NotSent(failure))) if failure.attempts == 0),
        "{not_sent:?}"
    );
    assert!(matches!(poll_once(&mut connect), Poll::Ready(Err(Error::Closed))));
    assert!(matches!(poll_once(&mut statistics), Poll::Ready(Err(Error::Closed))));
    assert!(matches!(poll_once(&mut starting), Poll::Ready(Err(Error::Closed))), "nobody asked for this end");
    assert!(matches!(poll_once(&mut close), Poll::Ready(Ok(()))));
    assert!(matches!(poll_once(&mut closes), Poll::Ready(Ok(()))), "what has ended is closed");
    drop(client);
}

#[test]
fn a_bug_leaves_a_send_unknown_and_says_what_happened() {
    let mut world = World::new(|input, outputs| match input {
        Input::Command(Command::Client(ClientCommand::Connect { .. })) => {
            panic!("a rule of the core is broken")
        }
        Input::Command(Command::Producer(_, ProducerCommand::Send { .. })) => {}
        other => obey(other, outputs),
    });
    let producer = producer(&mut world);
    let mut taken = producer.send(message("a"));
    world.settle();
    let mut connect = world.client().connect();
    assert!(world.settle());
    match poll_once(&mut taken) {
        Poll::Ready(Err(Error::Unknown(failure))) => {
            assert!(
                matches!(&failure.cause, Cause::Stopped { reason } if reason.contains("a rule of the core"))
            )
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(poll_once(&mut connect), Poll::Ready(Err(Error::Bug(_)))));
}

#[test]
fn dropping_the_last_handle_closes_with_deadline_zero_and_an_operation_is_a_handle() {
    let mut world = World::new(silent);
    let producer = producer(&mut world);
    let send = producer.send(message("a"));
    drop(producer);
    world.client = None;
    assert!(!world.settle(), "the operation keeps the client alive");
    assert_eq!(world.told(), ["send a", "close producer"], "the producer is closed behind its sends");
    drop(send);
    assert!(world.settle());
    assert_eq!(world.told()[2..], ["close 0ns"]);
}

#[test]
fn an_engine_that_is_dropped_leaves_nobody_waiting() {
    let mut world = World::new(silent);
    let producer = producer(&mut world);
    let (mut taken, World { engine, client, .. }) = (producer.send(message("a")), {
        world.settle();
        world
    });
    let mut queued = producer.send(message("b"));
    drop(engine);
    assert!(matches!(poll_once(&mut taken), Poll::Ready(Err(Error::Unknown(_)))));
    assert!(matches!(poll_once(&mut queued), Poll::Ready(Err(Error::NotSent(_)))));
    drop(client);
}

#[test]
fn what_can_not_be_sent_is_told_at_the_call() {
    let mut world = World::new(storing);
    let producer = producer(&mut world);
    let mut empty_topic = producer.send(Message::new("", "x"));
    assert!(matches!(poll_once(&mut empty_topic), Poll::Ready(Err(Error::Usage(_)))));
    assert!(matches!(world.client().producer("").build(), Err(Error::Usage(_))));
}

#[test]
fn a_batch_that_can_not_be_sent_is_told_at_the_call_and_the_list_can_be_cut_into_some_that_can() {
    let mut world = World::new(storing);
    let builder = world.client().producer("group").message_bytes_max(1_000).compress_bytes_min(1);
    let producer = builder.build().expect("a producer");
    world.settle();
    world.forget();
    let list: Vec<Message> = (0..30).map(|_| message("a body of some length")).collect();
    for (bad, says) in [
        (Vec::new(), "it has no message"),
        (list.clone(), "its 30 messages take 3270 bytes; at most 1000 are allowed: split them"),
        (alloc::vec![message("x"), Message::new("Other", "x")], "of topic \"Other\""),
        (alloc::vec![message("x").delay_level(3)], "to be delivered later"),
    ] {
        let mut send = producer.send_batch(bad);
        let Poll::Ready(Err(Error::Usage(error))) = poll_once(&mut send) else { panic!("{says}") };
        assert!(error.to_string().contains(says), "{error}");
    }
    world.settle();
    assert_eq!(world.told(), [""; 0]);
    let mut sends: Vec<_> = producer.batches(&list).map(|batch| producer.send_batch(batch)).collect();
    world.settle();
    let stored = sends.iter_mut().map(|send| match poll_once(send) {
        Poll::Ready(Ok(receipt)) => receipt.count(),
        other => panic!("{other:?}"),
    });
    assert_eq!(stored.collect::<Vec<_>>(), [9, 9, 9, 3]);
    assert!(
        world.told().iter().flat_map(|told| told[5..].split('+')).all(|body| body == "a body of some length")
    );
}

#[test]
fn a_batch_takes_the_room_of_its_messages() {
    let mut world = World::with(limited(4), silent_batches);
    let producer = producer(&mut world);
    let _three = producer.send_batch([message("a"), message("b"), message("c")]);
    let _two = producer.send_batch([message("d"), message("e")]);
    world.settle();
    assert_eq!(world.told(), ["send a+b+c"], "the second waits for its turn");
    assert!(matches!(producer.try_send(message("f")), Err(Error::Full(_))));
}

#[test]
fn large_bodies_are_compressed_where_it_pays() {
    let mut sent = Vec::new();
    let (tell, told) = super::super::std::sync::mpsc::channel();
    let mut world = World::new(move |input, outputs| {
        if let Input::Command(Command::Producer(_, ProducerCommand::Send { message, .. })) = input {
            tell.send((message.body.len(), message.sys_flag)).expect("the test listens");
        }
        storing(input, outputs);
    });
    let producer = producer(&mut world);
    let noise: Vec<u8> = {
        let mut rng = crate::rng::Rng::new(1);
        (0..5_000).map(|_| rng.next_u64().to_le_bytes()[0]).collect()
    };
    for body in [alloc::vec![b'a'; 4_095], alloc::vec![b'a'; 4_096], noise] {
        let mut send = producer.send(Message::new("TopicTest", body));
        world.settle();
        assert!(poll_once(&mut send).is_ready());
    }
    sent.extend(told.try_iter());
    assert_eq!(sent[0], (4_095, 0));
    assert!(sent[1].0 < 100 && sent[1].1 & crate::message::sys_flag::COMPRESSED != 0, "{sent:?}");
    assert_eq!(sent[2], (5_000, 0), "noise grows by compressing");
}

#[test]
fn a_producer_compresses_as_it_was_told_and_refuses_levels_that_are_none() {
    use crate::message::sys_flag::{COMPRESSED, CompressionType as Kind};
    let (tell, told) = super::super::std::sync::mpsc::channel();
    let mut world = World::new(move |input, outputs| {
        if let Input::Command(Command::Producer(_, ProducerCommand::Send { message, .. })) = input {
            tell.send((message.sys_flag, message.body.clone())).expect("the test listens");
        }
        storing(input, outputs);
    });
    let text: Vec<u8> = (0..3_000_u32).flat_map(|number| (number * number).to_be_bytes()).collect();
    let mut lengths = Vec::new();
    for (kind, level) in [(Kind::Zlib, 1), (Kind::Zlib, 9), (Kind::Lz4, 5), (Kind::Zstd, 1), (Kind::Zstd, 19)]
    {
        let builder = world.client().producer("group").compression(kind).compress_level(level);
        let producer = builder.compress_bytes_min(100).build().expect("these can work");
        let mut send = producer.send(Message::new("TopicTest", text.clone()));
        world.settle();
        assert!(poll_once(&mut send).is_ready());
        let (sys_flag, body) = told.try_iter().next().expect("it was sent");
        assert_eq!(sys_flag, COMPRESSED | kind.bits(), "{kind}");
        assert_eq!(super::super::compress::inflate(sys_flag, &body, 1 << 20).expect("whole"), text);
        lengths.push(body.len());
    }
    assert!(lengths[1] < lengths[0] && lengths[4] < lengths[3], "the level counts: {lengths:?}");
    for (kind, level) in [(Kind::Zlib, 10), (Kind::Zlib, -1), (Kind::Zstd, 23), (Kind::Zstd, -8)] {
        let built = world.client().producer("group").compression(kind).compress_level(level).build();
        assert!(matches!(built, Err(Error::Usage(_))), "{kind} {level}");
    }
}

/// Answers the oldest send that is open at each connect.
fn answering_at_connect() -> impl FnMut(&Input, &mut VecDeque<Output>) + Send {
    let mut open = VecDeque::new();
    move |input, outputs| match input {
        Input::Command(Command::Producer(_, ProducerCommand::Send { operation, .. })) => {
            open.push_back(*operation)
        }
        Input::Command(Command::Producer(_, ProducerCommand::SendBatch { .. })) => {}
        Input::Command(Command::Client(ClientCommand::Connect { .. })) => {
            let sent = |operation| Output::Complete { operation, outcome: Outcome::Sent(receipt()) };
            outputs.extend(open.pop_front().map(sent));
            obey(input, outputs);
        }
        other => obey(other, outputs),
    }
}

fn budgets(world: &World) -> Vec<Option<Duration>> {
    let stage = super::super::lock(&world.stage);
    let budget = |input: &Input| match input {
        Input::Command(
            Command::Producer(_, ProducerCommand::Send { timeout, .. })
            | Command::Producer(_, ProducerCommand::SendBatch { timeout, .. }),
        ) => Some(*timeout),
        _ => None,
    };
    stage.inputs.iter().filter_map(|(_, input)| budget(input)).collect()
}

fn at(world: &World, now_ms: u64) {
    super::super::lock(&world.stage).now = Instant::from_millis(now_ms);
}

#[test]
fn the_wait_for_permits_is_part_of_a_sends_budget() {
    let mut world = World::with(limited(1), answering_at_connect());
    let producer = producer(&mut world);
    let sends = ["a", "b"].map(|body| producer.send(message(body)));
    world.settle();
    at(&world, 2_000);
    let nudge = world.client().connect();
    world.settle();
    assert_eq!(budgets(&world), [Some(Duration::from_secs(3)), Some(Duration::from_secs(1))]);
    drop((sends, nudge));
}

#[test]
fn a_batchs_wait_for_permits_is_part_of_its_budget_too() {
    let mut world = World::with(limited(1), answering_at_connect());
    let producer = producer(&mut world);
    let first = producer.send(message("a"));
    let batch = producer.send_batch([message("b"), message("c")]);
    let mut late = producer.send_batch([message("d")]);
    world.settle();
    at(&world, 2_000);
    let nudge = world.client().connect();
    world.settle();
    assert_eq!(budgets(&world), [Some(Duration::from_secs(3)), Some(Duration::from_secs(1))]);
    at(&world, 3_000);
    world.settle();
    let Poll::Ready(Err(Error::NotSent(failure))) = poll_once(&mut late) else { panic!("its time is over") };
    assert_eq!((failure.topic.as_deref(), &failure.cause), (Some("TopicTest"), &Cause::Timeout));
    drop((first, batch, nudge));
}

#[test]
fn a_send_that_waited_for_all_of_its_budget_is_not_sent_and_others_move_up() {
    let mut world = World::with(limited(1), answering_at_connect());
    let patient = producer(&mut world);
    let hasty = world.client().producer("group").send_timeout(Duration::from_secs(1)).build();
    let hasty = hasty.expect("a producer");
    let sends = [patient.send(message("a")), patient.send(message("b"))];
    world.settle();
    world.forget();
    at(&world, 500);
    let (mut waits, mut oneway) = (hasty.send(message("c")), hasty.send_oneway(message("d")));
    let last = patient.send(message("e"));
    assert!(world.engine.is_raised(), "the engine learns when to look");
    world.settle();
    assert_eq!(super::super::lock(&world.stage).deadline, Instant::from_millis(1_500));
    at(&world, 1_499);
    world.settle();
    assert!(poll_once(&mut waits).is_pending());
    at(&world, 1_500);
    world.drain();
    let Poll::Ready(Err(error)) = poll_once(&mut waits) else { panic!("its time is over") };
    assert!(matches!(&error, Error::NotSent(failure) if failure.cause == Cause::Timeout), "{error}");
    let failure = error.failure().expect("a failure");
    assert_eq!((failure.attempts, failure.elapsed), (0, Duration::from_secs(1)));
    assert!(matches!(poll_once(&mut oneway), Poll::Ready(Err(Error::NotSent(_)))));
    let nudges = [0; 3].map(|_| {
        let nudge = world.client().connect();
        world.settle();
        nudge
    });
    let told: Vec<String> = world.told().into_iter().filter(|text| text.starts_with("send")).collect();
    assert_eq!(told, ["send b", "send e"]);
    drop((sends, last, nudges, waits, oneway));
    world.settle();
    assert_eq!(world.client().alive_at_rest(), (0, true));
}

#[test]
fn a_send_whose_permit_comes_too_late_is_not_sent_and_gives_it_back() {
    let mut world = World::with(limited(1), answering_at_connect());
    let producer = producer(&mut world);
    let first = producer.send(message("a"));
    world.settle();
    drop(first);
    let mut second = producer.try_send(message("b"));
    assert!(matches!(second, Err(Error::Full(_))));
    let nudge = world.client().connect();
    world.settle();
    second = producer.try_send(message("b"));
    at(&world, 3_000);
    world.settle();
    let mut second = second.expect("there is room");
    assert!(matches!(poll_once(&mut second), Poll::Ready(Err(Error::NotSent(_)))));
    drop((second, nudge));
    assert_eq!(world.client().alive_at_rest(), (0, true));
    assert!(!world.told().contains(&String::from("send b")));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever is sent, dropped, drained and answered, in any order: every send is told exactly once
    /// or withdrawn, in order, and at rest no slot and no permit is out.
    #[test]
    fn nothing_is_lost_or_doubled(steps in prop::collection::vec((0u8..5, 0usize..8), 1..80)) {
        let open = alloc::sync::Arc::new(super::super::std::sync::Mutex::new(Vec::new()));
        let reaction = open.clone();
        let mut world = World::with(limited(3), move |input, outputs| match input {
            Input::Command(Command::Producer(_, ProducerCommand::Send { .. })) => super::super::lock(&reaction).extend(operation_of(input)),
            Input::Command(Command::Client(ClientCommand::Connect { operation })) => {
                // An answer to the oldest send comes with this.
                let mut open = super::super::lock(&reaction);
                if !open.is_empty() {
                    outputs.push_back(Output::Complete { operation: open.remove(0), outcome: Outcome::Sent(receipt()) });
                }
                outputs.push_back(Output::Complete { operation: *operation, outcome: Outcome::Done });
            }
            other => obey(other, outputs),
        });
        let producer = producer(&mut world);
        let mut sends: Vec<Operation<SendReceipt>> = Vec::new();
        let (mut number, mut answered) = (0u32, 0u32);
        let mut nudges = Vec::new();
        for (kind, which) in steps {
            match kind {
                0 | 1 => {
                    sends.push(producer.send(Message::new("TopicTest", alloc::format!("{number:03}"))));
                    number += 1;
                }
                2 if !sends.is_empty() => drop(sends.swap_remove(which % sends.len())),
                3 => nudges.push(world.client().connect()),
                _ => { world.settle(); }
            }
            sends.retain_mut(|send| match poll_once(send) {
                Poll::Ready(result) => { answered += u32::from(result.is_ok()); false }
                Poll::Pending => true,
            });
        }
        for _ in 0..=number {
            nudges.push(world.client().connect());
            world.settle();
        }
        for send in &mut sends {
            prop_assert!(matches!(poll_once(send), Poll::Ready(Ok(_))), "a send without an answer");
            answered += 1;
        }
        drop((sends, nudges));
        world.settle();
        let told: Vec<String> = world.told().into_iter().filter(|text| text.starts_with("send")).collect();
        prop_assert!(told.is_sorted(), "{:?}", told);
        prop_assert!(answered as usize <= told.len());
        prop_assert_eq!(told.len() as u64 + world.client().detached_counts().withdrawn, u64::from(number));
        prop_assert_eq!(world.client().alive_at_rest(), (0, true));
    }
}
