//! What handlers still begin while their consumer closes, and what goes back.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::{pending, poll_fn};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};

use super::super::std::sync::Mutex;
use super::super::{PushConsumer, lock};
use super::script::{World, delivery, obey, operation_of, poll_once};
use crate::client::{ClientCommand, Command, Input, Output};
use crate::consumer::{Ack, ConsumerCommand, Delivery};
use crate::id::{ConsumerId, GenerationalId, ProcessQueueId};

const CONSUMER: ConsumerId = ConsumerId(0);

/// Who begins a close.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Consumer,
    Client,
    /// The machine, without a word of the handles.
    Machine,
}

/// A consumer whose machine says that it closes when it is told to, and otherwise what is put into the feed.
struct Fixture {
    world: World,
    feed: Arc<Mutex<VecDeque<Output>>>,
}

impl Fixture {
    fn new() -> Self {
        let feed = Arc::<Mutex<VecDeque<Output>>>::default();
        let reaction = feed.clone();
        let world = World::new(move |input, outputs| match input {
            Input::Command(
                Command::Consumer(_, ConsumerCommand::Close { .. })
                | Command::Client(ClientCommand::Close { .. }),
            ) => {
                outputs.push_back(Output::ConsumerClosing { consumer: CONSUMER });
            }
            Input::Command(_) if operation_of(input).is_some() => {
                obey(input, outputs);
                outputs.append(&mut lock(&reaction));
            }
            _ => {}
        });
        Self { world, feed }
    }

    fn output(&mut self, output: Output) {
        lock(&self.feed).push_back(output);
        let nudge = self.world.client().connect();
        self.world.settle();
        drop(nudge);
    }

    fn deliver(&mut self, offsets: core::ops::Range<i64>) {
        let deliveries: Vec<Delivery> = offsets.map(|offset| delivery(0, offset, 0, b"body")).collect();
        self.output(Output::Deliver { consumer: CONSUMER, deliveries });
    }

    /// What has gone back since the last call.
    fn handed_back(&mut self) -> Vec<String> {
        self.world.settle();
        let mut told = self.world.told();
        self.world.forget();
        told.retain(|text| text.starts_with("handed back"));
        told
    }

    /// Runs the workers until each waits. How many are left.
    fn run(&self) -> usize {
        let mut tasks = core::mem::take(&mut lock(&self.world.stage).tasks);
        for _ in 0..4 {
            tasks.retain_mut(|task| task.as_mut().poll(&mut Context::from_waker(Waker::noop())).is_pending());
        }
        let left = tasks.len();
        lock(&self.world.stage).tasks.extend(tasks);
        left
    }
}

/// A worker that is busy with 2 and has 3 and 4 in its hand, and one ahead of it that has done 5, is busy with 6 and
/// has 7; nobody has taken 8. Then their consumer closes.
struct Closing {
    fixture: Fixture,
    consumer: PushConsumer,
    begun: Arc<Mutex<Vec<i64>>>,
    open: Arc<AtomicBool>,
}

impl Closing {
    fn new(by: By) -> Self {
        let mut fixture = Fixture::new();
        let (begun, open) = (Arc::<Mutex<Vec<i64>>>::default(), Arc::new(AtomicBool::new(false)));
        let (seen, opened) = (begun.clone(), open.clone());
        let builder = fixture.world.client().push_consumer("group").subscribe("TopicTest", "*");
        let mut starting = builder.workers(2, move |message| {
            let (offset, opened) = (message.queue_offset(), opened.clone());
            lock(&seen).push(offset);
            poll_fn(move |_| {
                let waits = [2, 6].contains(&offset) && !opened.load(Ordering::Relaxed);
                if waits { Poll::Pending } else { Poll::Ready(Ack::Done) }
            })
        });
        fixture.world.settle();
        let Poll::Ready(Ok(consumer)) = poll_once(&mut starting) else { panic!("it starts") };
        // The first worker deals with these at once, and takes three together from here on.
        fixture.deliver(0..2);
        fixture.run();
        fixture.deliver(2..9);
        fixture.run();
        let mut closing = Self { fixture, consumer, begun, open };
        assert_eq!(closing.begun(), [0, 1, 2, 5, 6]);
        closing.fixture.handed_back();
        closing.close(by);
        closing
    }

    fn close(&mut self, by: By) {
        match by {
            By::Consumer => drop(self.consumer.close()),
            By::Client => drop(self.fixture.world.client().close()),
            By::Machine => self.fixture.output(Output::ConsumerClosing { consumer: CONSUMER }),
        }
    }

    fn begun(&self) -> Vec<i64> {
        let mut begun = lock(&self.begun).clone();
        begun.sort_unstable();
        begun
    }

    /// The handlers end that were busy.
    fn go_on(&self) -> usize {
        self.open.store(true, Ordering::Relaxed);
        self.fixture.run()
    }
}

const BY_ALL: [By; 3] = [By::Consumer, By::Client, By::Machine];

#[test]
fn whoever_closes_what_lies_before_a_message_that_was_begun_is_begun_and_all_else_goes_back() {
    for by in BY_ALL {
        let mut closing = Closing::new(by);
        assert_eq!(closing.fixture.handed_back(), ["handed back 7", "handed back 8"], "{by:?}");
        assert_eq!(closing.go_on(), 0, "the workers have ended, {by:?}");
        assert_eq!(closing.begun(), [0, 1, 2, 3, 4, 5, 6], "{by:?}");
        assert_eq!(closing.fixture.handed_back(), [""; 0], "{by:?}");
    }
}

#[test]
fn once_handlers_have_had_their_time_nothing_begins_and_what_was_kept_goes_back() {
    for by in BY_ALL {
        let mut closing = Closing::new(by);
        closing.fixture.handed_back();
        closing.fixture.output(Output::ConsumerClosed { consumer: CONSUMER });
        assert_eq!(closing.fixture.handed_back(), ["handed back 3", "handed back 4"], "{by:?}");
        assert_eq!(closing.go_on(), 0, "{by:?}");
        assert_eq!(closing.begun(), [0, 1, 2, 5, 6], "{by:?}");
        assert_eq!(closing.fixture.world.engine.run_queues(), 0);
    }
}

#[test]
fn what_was_kept_goes_back_with_the_last_worker() {
    let mut closing = Closing::new(By::Consumer);
    closing.fixture.handed_back();
    let workers = core::mem::take(&mut lock(&closing.fixture.world.stage).tasks);
    drop(workers);
    assert_eq!(closing.fixture.handed_back(), ["handed back 3", "handed back 4"]);
}

#[test]
fn a_handle_that_goes_after_its_close_leaves_what_was_kept_to_the_workers() {
    let mut closing = Closing::new(By::Consumer);
    closing.fixture.handed_back();
    let Closing { mut fixture, consumer, begun, open } = closing;
    drop(consumer);
    assert_eq!(fixture.handed_back(), [""; 0]);
    open.store(true, Ordering::Relaxed);
    assert_eq!(fixture.run(), 0);
    assert_eq!(lock(&begun).last(), Some(&4));
}

#[test]
fn a_handle_that_goes_without_a_close_leaves_nothing_to_begin() {
    let mut closing = Closing::new(By::Client);
    closing.fixture.handed_back();
    let Closing { mut fixture, consumer, begun, open } = closing;
    drop(consumer);
    assert_eq!(fixture.handed_back(), ["handed back 3", "handed back 4"]);
    open.store(true, Ordering::Relaxed);
    assert_eq!(fixture.run(), 0);
    assert_eq!(lock(&begun).len(), 5);
}

#[test]
fn a_run_that_is_dropped_while_it_closes_hands_back_what_was_kept() {
    let mut fixture = Fixture::new();
    let stop = AtomicBool::new(false);
    let until = poll_fn(|_| if stop.load(Ordering::Relaxed) { Poll::Ready(()) } else { Poll::Pending });
    let builder = fixture.world.client().push_consumer("group").subscribe("TopicTest", "*");
    let run = builder.run(async |_| pending().await).concurrency(1);
    let mut run = Box::pin(run.until(until));
    assert!(poll_once(&mut run).is_pending());
    fixture.deliver(5..6);
    assert!(poll_once(&mut run).is_pending());
    // It is offered again.
    fixture.deliver(3..4);
    stop.store(true, Ordering::Relaxed);
    assert!(poll_once(&mut run).is_pending());
    assert_eq!(fixture.handed_back(), [""; 0]);
    drop(run);
    let mut back = fixture.handed_back();
    back.sort();
    assert_eq!(back, ["handed back 3", "handed back 5"]);
}

#[test]
fn a_revocation_while_a_consumer_closes_takes_back_what_was_kept() {
    let mut closing = Closing::new(By::Consumer);
    closing.fixture.handed_back();
    let queue = ProcessQueueId::from_parts(0, 0);
    closing.fixture.output(Output::Revoke { consumer: CONSUMER, queue });
    assert_eq!(closing.fixture.handed_back(), ["handed back 3", "handed back 4"]);
    assert_eq!(closing.go_on(), 0);
    assert_eq!(closing.begun(), [0, 1, 2, 5, 6]);
}
