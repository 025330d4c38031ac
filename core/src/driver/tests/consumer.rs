//! Handlers, workers and streams on a scripted host.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::{Future, pending, poll_fn, ready};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use super::super::std::sync::Mutex;
use super::super::{PushConsumerBuilder, lock};
use super::script::{CountingWaker, World, delivery, obey, operation_of, poll_once};
use crate::client::{Command, Input, Outcome, Output};
use crate::consumer::{Ack, CloseReport, ConsumerCommand, Delivery, PulledMessage};
use crate::error::{Error, Result, UsageError};
use crate::id::{ConsumerId, GenerationalId, ProcessQueueId};
use crate::message::sys_flag;

type Feed = Arc<Mutex<VecDeque<Output>>>;

/// A consumer whose machine does what is put into the feed, at the next nudge.
struct Fixture {
    world: World,
    feed: Feed,
}

impl Fixture {
    fn new() -> Self {
        let feed = Feed::default();
        let reaction = feed.clone();
        let world = World::new(move |input, outputs| match input {
            Input::Command(Command::Consumer(consumer, ConsumerCommand::Close { operation, .. })) => {
                outputs.push_back(Output::ConsumerClosed { consumer: *consumer });
                let outcome = Outcome::ConsumerClosed(CloseReport { settled: 1, ..CloseReport::default() });
                outputs.push_back(Output::Complete { operation: *operation, outcome });
            }
            Input::Command(_) if operation_of(input).is_some() => {
                obey(input, outputs);
                outputs.append(&mut lock(&reaction));
            }
            _ => {}
        });
        Self { world, feed }
    }

    fn builder(&self) -> PushConsumerBuilder {
        self.world.client().push_consumer("group").subscribe("TopicTest", "*")
    }

    fn output(&mut self, output: Output) {
        lock(&self.feed).push_back(output);
        let nudge = self.world.client().connect();
        self.world.settle();
        drop(nudge);
    }

    fn deliver(&mut self, deliveries: Vec<Delivery>) {
        self.output(Output::Deliver { consumer: ConsumerId(0), deliveries });
    }

    /// What has been answered since the last call.
    fn settled(&mut self) -> Vec<alloc::string::String> {
        self.world.settle();
        let told = self.world.told();
        self.world.forget();
        let answers = ["settled", "handed back", "close c"];
        told.into_iter().filter(|text| answers.iter().any(|answer| text.starts_with(answer))).collect()
    }

    /// Runs the tasks that were spawned, once each.
    fn run_tasks(&self) {
        let mut tasks = core::mem::take(&mut lock(&self.world.stage).tasks);
        tasks.retain_mut(|task| task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        lock(&self.world.stage).tasks.extend(tasks);
    }
}

fn turn<T>(future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn messages(offsets: core::ops::Range<i64>) -> Vec<Delivery> {
    offsets.map(|offset| delivery(0, offset, 0, b"body")).collect()
}

#[test]
fn run_calls_a_handler_that_borrows_and_stops_when_told() {
    let mut fixture = Fixture::new();
    let seen = RefCell::new(Vec::new());
    let stop = Cell::new(false);
    let until = poll_fn(|_| if stop.get() { Poll::Ready(()) } else { Poll::Pending });
    let run = fixture.builder().run(async |message| {
        seen.borrow_mut().push((message.queue_offset(), message.body().expect("a body").clone()));
        if message.queue_offset() == 1 { Ack::DeadLetter } else { Ack::Done }
    });
    let mut run = pin!(run.until(until));
    assert!(turn(run.as_mut()).is_pending());
    fixture.deliver(messages(0..3));
    assert!(turn(run.as_mut()).is_pending());
    assert_eq!(fixture.settled(), ["settled 0 Done", "settled 1 DeadLetter", "settled 2 Done"]);
    stop.set(true);
    assert!(turn(run.as_mut()).is_pending());
    assert_eq!(fixture.settled(), ["close consumer 30s"]);
    let report = turn(run.as_mut());
    assert!(matches!(report, Poll::Ready(Ok(CloseReport { settled: 1, .. }))), "{report:?}");
    assert_eq!(seen.borrow().len(), 3);
}

#[test]
fn a_slow_handler_holds_one_message_and_not_its_batch() {
    let mut fixture = Fixture::new();
    let mut run = pin!(
        fixture
            .builder()
            .run(async |message| { if message.queue_offset() == 0 { pending().await } else { Ack::Done } })
            .concurrency(2)
    );
    assert!(turn(run.as_mut()).is_pending());
    fixture.deliver(messages(0..600));
    for _ in 0..4 {
        assert!(turn(run.as_mut()).is_pending());
    }
    assert_eq!(fixture.settled().len(), 599);
}

#[test]
fn a_worker_that_waits_leaves_what_it_took_to_the_others() {
    let mut fixture = Fixture::new();
    let starting = fixture
        .builder()
        .workers(2, async |message| if message.queue_offset() == 40 { pending().await } else { Ack::Done });
    let mut starting = pin!(starting);
    let _ = turn(starting.as_mut());
    fixture.world.settle();
    let Poll::Ready(Ok(_consumer)) = turn(starting.as_mut()) else { panic!("it starts") };
    fixture.run_tasks();
    fixture.deliver(messages(0..80));
    for _ in 0..3 {
        fixture.run_tasks();
    }
    let settled = fixture.settled();
    assert_eq!(settled.len(), 79, "{settled:?}");
    assert!(!settled.contains(&"settled 40 Done".into()));
}

#[test]
fn a_panicking_handler_means_retry_and_the_others_go_on() {
    let mut fixture = Fixture::new();
    let mut run = pin!(fixture.builder().run(async |message| {
        assert!(message.queue_offset() != 1, "the handler's own fault");
        Ack::Done
    }));
    assert!(turn(run.as_mut()).is_pending());
    fixture.deliver(messages(0..3));
    assert!(turn(run.as_mut()).is_pending());
    assert_eq!(fixture.settled(), ["settled 0 Done", "settled 1 Retry", "settled 2 Done"]);
}

#[test]
fn an_undecodable_body_goes_to_the_dead_letters_without_a_call_and_its_neighbours_arrive() {
    let mut fixture = Fixture::new();
    let seen = RefCell::new(Vec::new());
    let mut run = pin!(fixture.builder().run(async |message| {
        seen.borrow_mut().push(message.queue_offset());
        Ack::Done
    }));
    assert!(turn(run.as_mut()).is_pending());
    let bad = delivery(0, 1, sys_flag::COMPRESSED | sys_flag::COMPRESSION_ZLIB, b"no zlib stream");
    fixture.deliver([messages(0..1), alloc::vec![bad], messages(2..3)].concat());
    assert!(turn(run.as_mut()).is_pending());
    assert_eq!(fixture.settled(), ["settled 0 Done", "settled 1 DeadLetter", "settled 2 Done"]);
    assert_eq!(*seen.borrow(), [0, 2]);
}

/// Ten messages, whose second can't be decoded, for each reason there is.
fn ten_with_a_bad_second() -> [Vec<Delivery>; 3] {
    let batch = |bad| [messages(0..1), alloc::vec![bad], messages(2..10)].concat();
    let flags = sys_flag::COMPRESSED | sys_flag::COMPRESSION_ZLIB;
    let mut damaged = delivery(0, 1, 0, b"body");
    let mut unreadable = damaged.clone();
    let mut record = damaged.message.decode().expect("readable");
    record.body_crc ^= 1;
    damaged.message = PulledMessage::alone(damaged.queue().clone(), Ok(record));
    let torn = bytes::Bytes::from_static(&[0; 100]);
    let record = Err(crate::message::StoredMessage::decode(&torn).expect_err("no record"));
    unreadable.message = PulledMessage::alone(unreadable.queue().clone(), record);
    [batch(delivery(0, 1, flags, b"no zlib stream")), batch(damaged), batch(unreadable)]
}

#[test]
fn the_user_decides_about_what_can_not_be_decoded_and_its_neighbours_arrive() {
    let reasons = Arc::new(Mutex::new(Vec::new()));
    for batch in ten_with_a_bad_second() {
        let mut fixture = Fixture::new();
        let told = reasons.clone();
        let builder = fixture.builder().on_undecodable(move |message| {
            lock(&told).push((message.queue_offset(), message.body().expect_err("bad").clone()));
            Ack::Done
        });
        let seen = Cell::new(0);
        let mut run = pin!(builder.run(async |message: crate::driver::ReceivedMessage| {
            assert!(message.body().is_ok());
            seen.set(seen.get() + 1);
            Ack::Done
        }));
        assert!(turn(run.as_mut()).is_pending());
        fixture.deliver(batch);
        assert!(turn(run.as_mut()).is_pending());
        assert_eq!((seen.get(), fixture.settled().len()), (9, 10));
    }
    use crate::driver::UndecodableBody as Why;
    let reasons = lock(&reasons);
    let kinds = reasons.iter().map(|(offset, _)| offset).collect::<Vec<_>>();
    assert_eq!(kinds, [&1, &1, &1]);
    assert!(matches!(reasons[0].1, Why::Inflate(_)), "{reasons:?}");
    assert!(matches!(reasons[1].1, Why::Crc(_)), "{reasons:?}");
    assert!(matches!(reasons[2].1, Why::Record(_)), "{reasons:?}");
}

#[test]
fn a_decision_that_panics_means_the_dead_letters() {
    let mut fixture = Fixture::new();
    let builder = fixture.builder().on_undecodable(|_| panic!("the user's own fault"));
    let mut starting = builder.workers(1, |_| ready(Ack::Done));
    fixture.world.settle();
    let Poll::Ready(Ok(_consumer)) = poll_once(&mut starting) else { panic!("the consumer starts") };
    let [batch, ..] = ten_with_a_bad_second();
    fixture.deliver(batch);
    fixture.run_tasks();
    assert_eq!(fixture.settled()[..3], ["settled 0 Done", "settled 1 DeadLetter", "settled 2 Done"]);
}

#[test]
fn how_large_an_inflated_body_may_be_is_the_users_to_say() {
    let zeros = crate::driver::compress::compress(crate::driver::compress::Compression::Zlib, 5, &[0; 5_000]);
    let body: &'static [u8] = Box::leak(zeros.expect("zeros").into_boxed_slice());
    for (max, expected) in [(5_000, "settled 0 Done"), (4_999, "settled 0 DeadLetter")] {
        let mut fixture = Fixture::new();
        let mut run = pin!(fixture.builder().inflated_bytes_max(max).run(async |_| Ack::Done));
        assert!(turn(run.as_mut()).is_pending());
        let flags = sys_flag::COMPRESSED | sys_flag::COMPRESSION_ZLIB;
        fixture.deliver(alloc::vec![delivery(0, 0, flags, body)]);
        assert!(turn(run.as_mut()).is_pending());
        assert_eq!(fixture.settled(), [expected]);
    }
}

#[test]
fn a_run_that_is_dropped_hands_back_what_it_began_so_that_each_comes_again_once() {
    let mut fixture = Fixture::new();
    {
        let mut run = Box::pin(fixture.builder().run(async |_| pending().await).concurrency(2));
        assert!(turn(run.as_mut()).is_pending());
        fixture.deliver(messages(0..3));
        assert!(turn(run.as_mut()).is_pending());
    }
    let mut settled = fixture.settled();
    settled.sort();
    assert_eq!(settled, ["close consumer 0ns", "handed back 0", "handed back 1", "handed back 2"]);
}

#[test]
fn run_wakes_only_the_handlers_that_woke_up() {
    let mut fixture = Fixture::new();
    let polls = Cell::new(0);
    let wakers = RefCell::new(Vec::new());
    let mut run = pin!(fixture.builder().run(async |_| {
        poll_fn(|cx: &mut Context<'_>| {
            polls.set(polls.get() + 1);
            wakers.borrow_mut().push(cx.waker().clone());
            Poll::<()>::Pending
        })
        .await;
        Ack::Done
    }));
    assert!(turn(run.as_mut()).is_pending());
    fixture.deliver(messages(0..10));
    assert!(turn(run.as_mut()).is_pending());
    assert_eq!(polls.get(), 10);
    wakers.borrow()[3].wake_by_ref();
    assert!(turn(run.as_mut()).is_pending());
    assert_eq!(polls.get(), 11);
}

#[test]
fn workers_take_one_message_each_and_are_woken_once_a_drain() {
    let mut fixture = Fixture::new();
    let mut starting = fixture.builder().workers(3, |message| {
        let ack = if message.queue_offset() == 1 { None } else { Some(Ack::Done) };
        async move {
            match ack {
                Some(ack) => ack,
                None => panic!("the worker's own fault"),
            }
        }
    });
    fixture.world.settle();
    let Poll::Ready(Ok(consumer)) = poll_once(&mut starting) else { panic!("the consumer starts") };
    fixture.run_tasks();
    fixture.deliver(messages(0..3));
    fixture.run_tasks();
    assert_eq!(fixture.settled(), ["settled 0 Done", "settled 1 Retry", "settled 2 Done"]);
    let mut close = consumer.close();
    fixture.world.settle();
    assert!(matches!(poll_once(&mut close), Poll::Ready(Ok(_))));
    fixture.run_tasks();
    assert!(lock(&fixture.world.stage).tasks.is_empty(), "the workers have ended");
}

#[test]
fn workers_end_when_their_handle_goes() {
    let mut fixture = Fixture::new();
    let mut starting = fixture.builder().workers(2, |_| ready(Ack::Done));
    fixture.world.settle();
    let started: Result<_> = match poll_once(&mut starting) {
        Poll::Ready(started) => started,
        Poll::Pending => panic!("the consumer starts"),
    };
    fixture.run_tasks();
    drop(started);
    fixture.run_tasks();
    assert!(lock(&fixture.world.stage).tasks.is_empty());
    assert_eq!(fixture.settled(), ["close consumer 0ns"]);
}

#[test]
fn a_stream_shows_everything_and_a_message_dropped_unanswered_comes_again() {
    let mut fixture = Fixture::new();
    let mut starting = fixture.builder().stream();
    fixture.world.settle();
    let Poll::Ready(Ok(mut stream)) = poll_once(&mut starting) else { panic!("the consumer starts") };
    assert!(poll_once(&mut stream.next()).is_pending());
    let bad = delivery(0, 1, sys_flag::COMPRESSED | sys_flag::COMPRESSION_ZLIB, b"no zlib stream");
    fixture.deliver([messages(0..1), alloc::vec![bad], messages(2..4)].concat());
    let mut take = || match poll_once(&mut stream.next()) {
        Poll::Ready(Some(message)) => message,
        other => panic!("{other:?}"),
    };
    let first = take();
    assert_eq!(alloc::format!("{first}"), "TopicTest@broker-a:0 offset 0: body");
    first.ack();
    let second = take();
    assert!(second.body().is_err());
    second.dead_letter();
    drop(take());
    take().retry_after(core::time::Duration::from_secs(10));
    assert_eq!(
        fixture.settled(),
        ["settled 0 Done", "settled 1 DeadLetter", "settled 2 Retry", "settled 3 RetryAfter(10s)"]
    );
    let mut close = stream.close();
    fixture.world.settle();
    assert!(matches!(poll_once(&mut close), Poll::Ready(Ok(CloseReport { settled: 1, .. }))));
    assert!(matches!(poll_once(&mut stream.next()), Poll::Ready(None)));
}

#[test]
fn closing_hands_back_what_no_handler_began() {
    let mut fixture = Fixture::new();
    let mut starting = fixture.builder().stream();
    fixture.world.settle();
    let Poll::Ready(Ok(mut stream)) = poll_once(&mut starting) else { panic!("the consumer starts") };
    fixture.deliver(alloc::vec![delivery(0, 0, 0, b""), delivery(0, 1, 0, b""), delivery(1, 7, 0, b"")]);
    let Poll::Ready(Some(message)) = poll_once(&mut stream.next()) else { panic!("there are three") };
    let queue = ProcessQueueId::from_parts(0, 0);
    lock(&fixture.feed).push_back(Output::Revoke { consumer: ConsumerId(0), queue });
    fixture.output(Output::ConsumerClosed { consumer: ConsumerId(0) });
    assert!(matches!(poll_once(&mut stream.next()), Poll::Ready(None)));
    message.ack();
    let mut settled = fixture.settled();
    settled.sort();
    assert_eq!(settled, ["handed back 1", "handed back 7", "settled 0 Done"]);
}

#[test]
fn deliveries_of_a_revoked_queue_do_not_begin() {
    let mut fixture = Fixture::new();
    let mut starting = fixture.builder().stream();
    fixture.world.settle();
    let Poll::Ready(Ok(mut stream)) = poll_once(&mut starting) else { panic!("the consumer starts") };
    fixture.deliver(alloc::vec![delivery(0, 0, 0, b""), delivery(1, 5, 0, b""), delivery(0, 1, 0, b"")]);
    fixture.output(Output::Revoke { consumer: ConsumerId(0), queue: ProcessQueueId::from_parts(0, 0) });
    let Poll::Ready(Some(message)) = poll_once(&mut stream.next()) else { panic!("one is left") };
    assert_eq!(message.queue_offset(), 5);
    message.ack();
    assert!(poll_once(&mut stream.next()).is_pending());
    assert_eq!(fixture.settled(), ["handed back 0", "handed back 1", "settled 5 Done"]);
}

#[test]
fn a_consumer_that_could_not_start_leaves_nothing_behind() {
    let mut world = World::new(|input, outputs| match input {
        Input::Command(Command::Consumer(consumer, ConsumerCommand::Start { operation, .. })) => {
            let deliveries = alloc::vec![delivery(0, 7, 0, b"")];
            outputs.push_back(Output::Deliver { consumer: *consumer, deliveries });
            let error = UsageError::DuplicateGroup { group: "group".into() };
            outputs.push_back(Output::ConsumerClosed { consumer: *consumer });
            outputs.push_back(Output::Complete {
                operation: *operation,
                outcome: Outcome::Failed(error.into()),
            });
        }
        Input::Command(Command::Consumer(_, ConsumerCommand::Close { operation, .. })) => {
            outputs.push_back(Output::Complete { operation: *operation, outcome: Outcome::Done });
        }
        _ => {}
    });
    world.settle();
    world.forget();
    let mut starting = world.client().push_consumer("group").subscribe("TopicTest", "*").stream();
    world.settle();
    assert_eq!(world.engine.run_queues(), 0);
    assert!(matches!(poll_once(&mut starting), Poll::Ready(Err(Error::Usage(_)))));
    drop(starting);
    world.settle();
    assert_eq!(world.told(), ["start consumer", "handed back 7", "close consumer 0ns"]);
}

#[test]
fn a_cancelled_next_passes_its_wake_up_on() {
    let mut fixture = Fixture::new();
    let mut starting = fixture.builder().stream();
    fixture.world.settle();
    let Poll::Ready(Ok(mut a)) = poll_once(&mut starting) else { panic!("the consumer starts") };
    let mut b = a.clone();
    let (woken, waker) = CountingWaker::pair();
    let mut next_b = b.next();
    // Cancelled while it waits: the delivery wakes the other one.
    {
        let mut next_a = a.next();
        assert!(poll_once(&mut next_a).is_pending());
        assert!(Pin::new(&mut next_b).poll(&mut Context::from_waker(&waker)).is_pending());
    }
    fixture.deliver(messages(0..1));
    assert_eq!(woken.count(), 1);
    let Poll::Ready(Some(first)) = poll_once(&mut next_b) else { panic!("it was woken for one") };
    drop(next_b);
    // Cancelled after it was woken: likewise.
    let mut next_b = b.next();
    {
        let mut next_a = a.next();
        assert!(poll_once(&mut next_a).is_pending());
        assert!(Pin::new(&mut next_b).poll(&mut Context::from_waker(&waker)).is_pending());
        fixture.deliver(messages(1..2));
        assert_eq!(woken.count(), 1);
    }
    assert_eq!(woken.count(), 2);
    let Poll::Ready(Some(second)) = poll_once(&mut next_b) else { panic!("it was woken for one") };
    assert_eq!((first.queue_offset(), second.queue_offset()), (0, 1));
}

#[test]
fn who_takes_a_message_without_having_been_woken_waits_no_more() {
    let mut fixture = Fixture::new();
    let mut starting = fixture.builder().stream();
    fixture.world.settle();
    let Poll::Ready(Ok(mut a)) = poll_once(&mut starting) else { panic!("the consumer starts") };
    let mut b = a.clone();
    let (woken, waker) = CountingWaker::pair();
    let mut cx = Context::from_waker(&waker);
    let (mut next_b, mut next_a) = (b.next(), a.next());
    assert!(poll_once(&mut next_b).is_pending());
    assert!(poll_once(&mut next_a).is_pending());
    fixture.deliver(messages(0..1));
    // The other one was woken and comes too late.
    let Poll::Ready(Some(first)) = poll_once(&mut next_a) else { panic!("there is one") };
    assert!(Pin::new(&mut next_b).poll(&mut cx).is_pending());
    fixture.deliver(messages(1..2));
    assert_eq!(woken.count(), 1, "the one that waits is woken, not the one that has its message");
    first.ack();
}

#[test]
fn a_batch_is_of_one_queue_and_each_of_its_messages_is_answered_by_itself() {
    let mut fixture = Fixture::new();
    let sizes = RefCell::new(Vec::new());
    let mut run = pin!(fixture.builder().run_batch(3, async |batch| {
        sizes.borrow_mut().push(batch.len());
        for (index, message) in batch.into_iter().enumerate() {
            match index {
                0 => message.ack(),
                1 => message.dead_letter(),
                _ => drop(message),
            }
        }
    }));
    assert!(turn(run.as_mut()).is_pending());
    let mut deliveries = messages(0..4);
    deliveries.push(delivery(1, 7, 0, b"body"));
    deliveries.push(delivery(1, 8, sys_flag::COMPRESSED, b"no zlib"));
    fixture.deliver(deliveries);
    assert!(turn(run.as_mut()).is_pending());
    assert_eq!(*sizes.borrow(), [3, 1, 1]);
    let mut answers = fixture.settled();
    answers.sort_unstable();
    let expected = [
        "settled 0 Done",
        "settled 1 DeadLetter",
        "settled 2 Retry",
        "settled 3 Done",
        "settled 7 Done",
        "settled 8 DeadLetter",
    ];
    assert_eq!(answers, expected);
}

#[test]
fn a_batch_whose_handler_panics_keeps_the_answers_it_had() {
    let mut fixture = Fixture::new();
    let mut run = pin!(fixture.builder().run_batch(8, async |batch| {
        let mut messages = batch.into_iter();
        messages.next().expect("one").ack();
        panic!("the handler's own fault");
    }));
    assert!(turn(run.as_mut()).is_pending());
    fixture.deliver(messages(0..3));
    assert!(turn(run.as_mut()).is_pending());
    assert_eq!(fixture.settled(), ["settled 0 Done", "settled 1 Retry", "settled 2 Retry"]);
}

#[test]
fn a_run_of_batches_that_is_dropped_hands_back_what_it_had() {
    let mut fixture = Fixture::new();
    {
        let mut run = pin!(fixture.builder().run_batch(8, async |batch| {
            pending::<()>().await;
            drop(batch);
        }));
        assert!(turn(run.as_mut()).is_pending());
        fixture.deliver(messages(0..2));
        assert!(turn(run.as_mut()).is_pending());
    }
    let answers = fixture.settled();
    assert_eq!(answers[..2], ["handed back 0", "handed back 1"], "{answers:?}");
}

#[test]
fn more_handlers_may_run_from_one_moment_to_the_next_and_fewer() {
    let mut fixture = Fixture::new();
    let (running, open) = (Cell::new(0), Cell::new(false));
    let run = fixture
        .builder()
        .run(async |_| {
            running.set(running.get() + 1);
            poll_fn(|_| if open.get() { Poll::Ready(()) } else { Poll::Pending }).await;
            Ack::Done
        })
        .concurrency(2);
    let control = run.control();
    let mut run = pin!(run);
    assert!(turn(run.as_mut()).is_pending());
    fixture.deliver(messages(0..9));
    let (counter, waker) = CountingWaker::pair();
    assert!(run.as_mut().poll(&mut Context::from_waker(&waker)).is_pending());
    assert_eq!(running.get(), 2);
    control.set_concurrency(5);
    assert_eq!((counter.count(), control.concurrency()), (1, 5), "the run is woken");
    assert!(turn(run.as_mut()).is_pending());
    assert_eq!(running.get(), 5);
    control.set_concurrency(1);
    open.set(true);
    assert!(turn(run.as_mut()).is_pending());
    assert_eq!(running.get(), 5, "those that run may end, none begins");
}

#[test]
fn workers_come_and_go_as_many_as_are_wanted() {
    let mut fixture = Fixture::new();
    let running = Arc::new(Mutex::new(Vec::<i64>::new()));
    let seen = running.clone();
    let mut starting = fixture.builder().workers(1, move |message| {
        lock(&seen).push(message.queue_offset());
        pending::<Ack>()
    });
    fixture.world.settle();
    let Poll::Ready(Ok(consumer)) = poll_once(&mut starting) else { panic!("it has not started") };
    fixture.run_tasks();
    fixture.deliver(messages(0..6));
    fixture.run_tasks();
    assert_eq!(lock(&running).len(), 1);
    consumer.set_concurrency(4);
    fixture.run_tasks();
    assert_eq!(lock(&running).len(), 4);
    assert_eq!(lock(&fixture.world.stage).tasks.len(), 4);
    drop(consumer);
}

#[test]
fn workers_that_are_too_many_end_and_the_others_take_their_messages() {
    let mut fixture = Fixture::new();
    let mut starting = fixture.builder().workers(4, |_| ready(Ack::Done));
    fixture.world.settle();
    let Poll::Ready(Ok(consumer)) = poll_once(&mut starting) else { panic!("it has not started") };
    fixture.run_tasks();
    consumer.set_concurrency(1);
    fixture.deliver(messages(0..3));
    fixture.run_tasks();
    assert_eq!(lock(&fixture.world.stage).tasks.len(), 1);
    assert_eq!(fixture.settled(), ["settled 0 Done", "settled 1 Done", "settled 2 Done"]);
    drop(consumer);
}

#[test]
fn the_core_learns_when_a_handler_was_called_with_the_answer_at_the_latest() {
    let mut fixture = Fixture::new();
    let mut run = pin!(fixture.builder().run(async |_| Ack::Done));
    assert!(turn(run.as_mut()).is_pending());
    fixture.deliver(messages(0..2));
    fixture.world.forget();
    assert!(turn(run.as_mut()).is_pending());
    fixture.world.settle();
    assert_eq!(fixture.world.told(), ["begun 0", "settled 0 Done", "begun 1", "settled 1 Done"]);
}

/// A consumer in whose handler for offset `at`, which could block for as long as it likes, the test looks at what
/// the engine knows, and does something.
struct Inside {
    fixture: Mutex<Fixture>,
    at: i64,
    act: fn(&mut Fixture),
    /// What the engine had been told by then.
    told: Mutex<Vec<alloc::string::String>>,
    begun: Mutex<Vec<i64>>,
}

impl Inside {
    fn new(at: i64, act: fn(&mut Fixture)) -> Arc<Self> {
        let fixture = Mutex::new(Fixture::new());
        Arc::new(Self { fixture, at, act, told: Mutex::default(), begun: Mutex::default() })
    }

    fn called(&self, offset: i64) -> Ack {
        lock(&self.begun).push(offset);
        if offset == self.at {
            let mut fixture = lock(&self.fixture);
            fixture.world.settle();
            *lock(&self.told) = fixture.world.told();
            (self.act)(&mut fixture);
        }
        Ack::Done
    }

    /// One worker that deals with 80 messages as far as it may.
    fn with_one_worker(at: i64, act: fn(&mut Fixture)) -> Arc<Self> {
        let inside = Self::new(at, act);
        let (handler, builder) = (inside.clone(), lock(&inside.fixture).builder());
        let mut starting = builder.workers(1, move |message| ready(handler.called(message.queue_offset())));
        lock(&inside.fixture).world.settle();
        let Poll::Ready(Ok(consumer)) = poll_once(&mut starting) else { panic!("it starts") };
        let mut worker = lock(&lock(&inside.fixture).world.stage).tasks.pop().expect("a worker");
        let mut cx = Context::from_waker(Waker::noop());
        assert!(worker.as_mut().poll(&mut cx).is_pending());
        lock(&inside.fixture).deliver(messages(0..80));
        // It gives way once where it has to.
        let _ = (0..8).find(|_| worker.as_mut().poll(&mut cx).is_ready());
        drop((worker, consumer));
        inside
    }

    fn last_begun(&self) -> Option<i64> {
        lock(&self.begun).iter().max().copied()
    }
}

#[test]
fn while_a_handler_runs_the_answers_of_ended_calls_are_told() {
    let inside = Inside::with_one_worker(40, |_| {});
    let told = lock(&inside.told);
    assert_eq!(told.iter().filter(|told| told.starts_with("settled")).count(), 40);
    assert_eq!(inside.last_begun(), Some(79), "the others came after it");
}

#[test]
fn a_begun_stamp_means_that_the_handler_was_called() {
    let inside = Inside::with_one_worker(40, |_| {});
    let told = lock(&inside.told);
    let begun = told.iter().filter_map(|told| told.strip_prefix("begun ")).flat_map(|told| told.split(' '));
    let mut begun: Vec<i64> = begun.map(|offset| offset.parse().expect("an offset")).collect();
    begun.sort_unstable();
    assert_eq!(begun, (0..=40).collect::<Vec<_>>());
}

#[test]
fn nothing_begins_after_a_revocation_whatever_was_taken() {
    let inside = Inside::with_one_worker(40, |fixture| {
        let queue = ProcessQueueId::from_parts(0, 0);
        fixture.output(Output::Revoke { consumer: ConsumerId(0), queue });
    });
    assert_eq!(inside.last_begun(), Some(40));
}

#[test]
fn nothing_begins_after_the_clients_close_was_called_also_before_the_engine_has_heard_of_it() {
    let inside = Inside::with_one_worker(40, |fixture| drop(fixture.world.client().close()));
    assert_eq!(inside.last_begun(), Some(40));
    let told = lock(&inside.fixture).settled();
    assert_eq!(told.iter().filter(|told| told.starts_with("handed back")).count(), 39);
}

#[test]
fn while_a_handler_of_a_run_runs_the_answers_of_ended_calls_are_told_and_nothing_begins_after_a_revocation() {
    let inside = Inside::new(25, |fixture| {
        let queue = ProcessQueueId::from_parts(0, 0);
        fixture.output(Output::Revoke { consumer: ConsumerId(0), queue });
    });
    let builder = lock(&inside.fixture).builder();
    let mut run = pin!(builder.run(async |message| inside.called(message.queue_offset())).concurrency(20));
    assert!(turn(run.as_mut()).is_pending());
    lock(&inside.fixture).deliver(messages(0..80));
    for _ in 0..8 {
        assert!(turn(run.as_mut()).is_pending());
    }
    assert_eq!(lock(&inside.told).iter().filter(|told| told.starts_with("settled")).count(), 25);
    assert_eq!(inside.last_begun(), Some(25));
}

#[test]
fn a_run_that_is_told_to_stop_begins_nothing_more_and_needs_no_start_to_tell_a_report() {
    let mut fixture = Fixture::new();
    let (begun, stop) = (Cell::new(0), Cell::new(false));
    let until = poll_fn(|_| if stop.get() { Poll::Ready(()) } else { Poll::Pending });
    let run = fixture.builder().run(async |_| {
        begun.set(begun.get() + 1);
        Ack::Done
    });
    let mut run = pin!(run.until(until));
    assert!(turn(run.as_mut()).is_pending());
    fixture.deliver(messages(0..3));
    stop.set(true);
    assert!(turn(run.as_mut()).is_pending());
    assert_eq!((begun.get(), fixture.settled().len()), (0, 4), "three handed back, and the close");
    assert!(matches!(turn(run.as_mut()), Poll::Ready(Ok(_))));
}

#[test]
fn a_stream_that_was_closed_gives_nothing_more() {
    let mut fixture = Fixture::new();
    let mut starting = fixture.builder().stream();
    fixture.world.settle();
    let Poll::Ready(Ok(mut stream)) = poll_once(&mut starting) else { panic!("the consumer starts") };
    fixture.deliver(messages(0..2));
    let close = stream.close();
    assert!(matches!(poll_once(&mut stream.next()), Poll::Ready(None)), "the engine has not heard of it yet");
    assert_eq!(fixture.settled(), ["handed back 0", "handed back 1", "close consumer 30s"]);
    drop(close);
}

#[test]
fn a_run_whose_client_is_closed_ends_without_an_error() {
    let mut fixture = Fixture::new();
    let mut run = pin!(fixture.builder().run(async |_| Ack::Done));
    assert!(turn(run.as_mut()).is_pending());
    fixture.world.settle();
    drop(fixture.world.client().close());
    fixture.world.settle();
    let report = turn(run.as_mut());
    assert!(matches!(report, Poll::Ready(Ok(_))), "{report:?}");
}
