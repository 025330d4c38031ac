//! Every async function, dropped at every one of its await points: before it is polled, before the engine has
//! taken its command, while the command is under way, and when its outcome is there. Whatever the point, no
//! slot and no permit stays out, and what was begun is either withdrawn, told or counted.

use super::super::std;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::cell::{Cell, RefCell};
use core::future::{Future, pending, poll_fn, ready};
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};

use std::sync::Mutex;

use super::super::{
    ClientBuilder, ClientOn, ConsumerControl, Engine, Launch, Limits, Operation, Options, Producer,
    PushConsumerBuilder, lock,
};
use super::operations::{batch_receipt, receipt};
use super::script::{ScriptHost, Shared, World, delivery, operation_of};
use crate::client::{Client as ClientMachine, ClientCommand, Command, Input, Outcome, Output};
use crate::consumer::{Ack, CloseReport, ConsumerCommand};
use crate::error::Result;
use crate::id::{ConsumerId, OperationId};
use crate::message::{Message, MessageQueue};
use crate::producer::ProducerCommand;

/// More await points than any future here has.
const POLLS_MAX: usize = 16;

type Held = Arc<Mutex<Vec<(OperationId, Outcome)>>>;

/// A world whose machine keeps a command's outcome back until it is nudged.
struct Slow {
    world: World,
    deliveries: Arc<Mutex<Vec<i64>>>,
    held: Held,
}

impl Slow {
    fn new() -> Self {
        let limits = Limits { messages_max: 1, ..Limits::default() };
        let (held, deliveries) = (Held::default(), Arc::new(Mutex::new(Vec::<i64>::new())));
        let (holds, delivers) = (held.clone(), deliveries.clone());
        let world = World::with(Options { limits, ..Options::default() }, move |input, outputs| {
            react(input, outputs, &holds, &delivers);
        });
        Self { world, deliveries, held }
    }

    fn producer(&mut self) -> Producer {
        let builder = self.world.client().producer("group").queue_selector(|_, _| 0);
        let producer = builder.build().expect("a producer");
        self.settle();
        producer
    }

    fn group(&self) -> PushConsumerBuilder {
        self.world.client().push_consumer("group").subscribe("TopicTest", "*")
    }

    fn settle(&mut self) {
        self.world.settle();
    }

    /// Lets the engine take what there is, then lets the machine answer: one at a time.
    fn step(&mut self, number: usize) {
        if number.is_multiple_of(2) {
            self.settle();
        } else {
            self.answer();
        }
    }

    /// The machine tells every outcome that it kept back.
    fn answer(&mut self) {
        self.settle();
        let nudge = self.world.client().connect();
        self.settle();
        drop(nudge);
    }

    /// Brings a message with each of these offsets.
    fn deliver(&mut self, offsets: impl IntoIterator<Item = i64>) {
        lock(&self.deliveries).extend(offsets);
        self.answer();
    }

    /// What the machine was told that begins with one of `words`.
    fn told(&self, words: &[&str]) -> Vec<String> {
        let told = self.world.told().into_iter();
        told.filter(|text| words.iter().any(|word| text.starts_with(word))).collect()
    }

    /// Everything that was begun comes to its end, and nothing is left of it.
    fn assert_at_rest(&mut self, what: &str, polls: usize) {
        for _ in 0..3 {
            self.answer();
        }
        assert!(lock(&self.held).is_empty());
        let at_rest = self.world.client().alive_at_rest();
        assert_eq!(at_rest, (0, true), "slots and permits after {polls} polls of {what}");
    }
}

/// Keeps outcomes back; a connect, which is the nudge, lets all of them go.
fn react(input: &Input, outputs: &mut VecDeque<Output>, held: &Held, deliveries: &Mutex<Vec<i64>>) {
    let Some(operation) = operation_of(input) else { return };
    let outcome = match input {
        Input::Command(Command::Producer(_, ProducerCommand::Send { .. })) => Outcome::Sent(receipt()),
        Input::Command(Command::Producer(_, ProducerCommand::SendBatch { messages, .. })) => {
            Outcome::SentBatch(batch_receipt(messages.len()))
        }
        Input::Command(Command::Consumer(consumer, ConsumerCommand::Close { .. })) => {
            outputs.push_back(Output::ConsumerClosed { consumer: *consumer });
            Outcome::ConsumerClosed(CloseReport::default())
        }
        _ => Outcome::Done,
    };
    let nudged = matches!(input, Input::Command(Command::Client(ClientCommand::Connect { .. })));
    let mut held = lock(held);
    held.push((operation, outcome));
    if nudged {
        for (operation, outcome) in held.drain(..) {
            outputs.push_back(Output::Complete { operation, outcome });
        }
        let offsets = core::mem::take(&mut *lock(deliveries));
        if !offsets.is_empty() {
            let deliveries = offsets.into_iter().map(|offset| delivery(0, offset, 0, b"body")).collect();
            outputs.push_back(Output::Deliver { consumer: ConsumerId(0), deliveries });
        }
    }
}

fn turn<T>(future: Pin<&mut (impl Future<Output = T> + ?Sized)>) -> Poll<T> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn message() -> Message {
    Message::new("TopicTest", "body")
}

/// Polls what `begin` gives so many times, a step of the world after each, and drops it; with more and more
/// polls, until it ends by itself. How many that took.
fn at_every_point<F: Future>(
    what: &str,
    mut begin: impl FnMut(&mut Slow) -> F,
    mut check: impl FnMut(&mut Slow, Option<F::Output>),
) -> usize {
    for polls in 0..POLLS_MAX {
        let mut slow = Slow::new();
        let ended = {
            let mut future = pin!(begin(&mut slow));
            let mut ended = None;
            for number in 0..polls {
                if let Poll::Ready(output) = turn(future.as_mut()) {
                    ended = Some(output);
                    break;
                }
                slow.step(number);
            }
            ended
        };
        let has_ended = ended.is_some();
        check(&mut slow, ended);
        slow.assert_at_rest(what, polls);
        if has_ended {
            return polls;
        }
    }
    panic!("{what} has not ended after {POLLS_MAX} polls");
}

/// A send is withdrawn, or sent and told, or sent and counted.
fn send_is_accounted_for<T>(what: &str, mut begin: impl FnMut(&Producer) -> Operation<T>)
where
    Operation<T>: Future<Output = Result<T>>,
{
    let polls = at_every_point(
        what,
        |slow| {
            let producer = slow.producer();
            begin(&producer)
        },
        |slow, ended| {
            slow.answer();
            let before = slow.world.client().detached_counts();
            let sent = slow.told(&["send ", "one-way "]).len();
            let told = usize::from(ended.is_some_and(|ended| ended.is_ok()));
            assert_eq!(before.failed, 0, "{what}");
            // The permit is there again: the next one goes out at once.
            let producer = slow.producer();
            let mut next = producer.try_send(message()).expect("room");
            slow.answer();
            assert!(matches!(turn(Pin::new(&mut next)), Poll::Ready(Ok(_))));
            assert!(told <= sent && sent <= 1, "{what}: told {told}, sent {sent}");
            assert_eq!(before.withdrawn, 1 - sent as u64, "{what}: what was not sent was withdrawn");
        },
    );
    assert_eq!(polls, 3, "{what} waits for the engine, and for its outcome");
}

#[test]
fn a_send_of_every_kind() {
    let queue = || MessageQueue { topic: "TopicTest".into(), broker_name: "broker-a".into(), queue_id: 0 };
    send_is_accounted_for("send", |producer| producer.send(message()));
    send_is_accounted_for("send_to", |producer| producer.send_to(message(), queue()));
    send_is_accounted_for("send_hashed", |producer| producer.send_hashed(message(), "key"));
    send_is_accounted_for("send_selected", |producer| producer.send_selected(message()));
    send_is_accounted_for("send_oneway", |producer| producer.send_oneway(message()));
    send_is_accounted_for("send_batch", |producer| producer.send_batch([message(), message()]));
    send_is_accounted_for("send_batch_to", |producer| producer.send_batch_to([message()], queue()));
    send_is_accounted_for("send_batch_hashed", |producer| producer.send_batch_hashed([message()], "key"));
    send_is_accounted_for("send_batch_selected", |producer| producer.send_batch_selected([message()]));
    send_is_accounted_for("try_send", |producer| producer.try_send(message()).expect("room"));
}

/// One that waits for its turn holds no permit, and its place goes to the next.
#[test]
fn a_send_that_waits_for_its_turn() {
    at_every_point(
        "a send behind another",
        |slow| {
            let producer = slow.producer();
            let first = producer.send(message());
            let second = producer.send(message());
            async move {
                let second = second.await;
                drop(first);
                second
            }
        },
        |slow, _| {
            slow.answer();
            let producer = slow.producer();
            let mut next = producer.send(message());
            slow.answer();
            slow.answer();
            assert!(matches!(turn(Pin::new(&mut next)), Poll::Ready(Ok(_))));
        },
    );
}

#[test]
fn a_connect_of_a_client() {
    let polls = at_every_point("connect", |slow| slow.world.client().connect(), |_, _| {});
    assert_eq!(polls, 2);
}

/// A question about a consumer or the client, and the steering of a consumer.
#[test]
fn what_looks_and_steers() {
    at_every_point("statistics of a client", |slow| slow.world.client().statistics(), |_, _| {});
    fn of_a_consumer<T>(what: &str, ask: impl Fn(&ConsumerControl) -> Operation<T>)
    where
        Operation<T>: Future<Output = Result<T>>,
    {
        at_every_point(
            what,
            |slow| ask(&started(slow, |group| group.workers(1, |_| ready(Ack::Done))).control()),
            |slow, _| {
                slow.answer();
                lock(&slow.world.stage).tasks.clear();
            },
        );
    }
    of_a_consumer("suspend", ConsumerControl::suspend);
    of_a_consumer("resume", ConsumerControl::resume);
    of_a_consumer("health", ConsumerControl::health);
    of_a_consumer("statistics", ConsumerControl::statistics);
}

/// Whether its operation is dropped or not, what was told to close is closed.
#[test]
fn a_close_of_a_producer_a_consumer_and_a_client() {
    type Begin = fn(&mut Slow) -> Pin<alloc::boxed::Box<dyn Future<Output = Result<()>>>>;
    fn boxed<T: 'static>(operation: Operation<T>) -> Pin<alloc::boxed::Box<dyn Future<Output = Result<()>>>>
    where
        Operation<T>: Future<Output = Result<T>>,
    {
        alloc::boxed::Box::pin(async move { operation.await.map(drop) })
    }
    let closes: [(&str, &str, Begin); 5] = [
        ("close of a producer", "close producer", |slow| boxed(slow.producer().close())),
        ("close of workers", "close consumer 30s", |slow| {
            boxed(started(slow, |group| group.workers(2, |_| ready(Ack::Done))).close())
        }),
        ("close of a stream", "close consumer 30s", |slow| {
            boxed(started(slow, |group| group.stream()).close())
        }),
        ("close of a client", "close 30s", |slow| boxed(slow.world.client().close())),
        ("close_within of a client", "close 1ns", |slow| {
            boxed(slow.world.client().close_within(core::time::Duration::from_nanos(1)))
        }),
    ];
    for (what, word, begin) in closes {
        at_every_point(what, begin, |slow, ended| {
            assert!(ended.is_none_or(|ended| ended.is_ok()), "{what}");
            slow.answer();
            assert!(!slow.told(&[word]).is_empty(), "{what}");
            lock(&slow.world.stage).tasks.clear();
        });
    }
}

/// Starts a consumer to its end.
fn started<T: Unpin>(
    slow: &mut Slow,
    start: impl FnOnce(PushConsumerBuilder) -> super::super::Starting<T>,
) -> T {
    let mut starting = start(slow.group());
    slow.answer();
    match turn(Pin::new(&mut starting)) {
        Poll::Ready(Ok(consumer)) => consumer,
        _ => panic!("the consumer did not start"),
    }
}

#[test]
fn a_start_of_a_consumer() {
    fn closes_what_it_started<T: Unpin>(
        what: &str,
        start: impl Fn(PushConsumerBuilder) -> super::super::Starting<T>,
    ) {
        at_every_point(
            what,
            |slow| start(slow.group()),
            |slow, started| {
                drop(started);
                slow.answer();
                lock(&slow.world.stage).tasks.clear();
                assert_eq!(
                    slow.told(&["start consumer"]).len(),
                    slow.told(&["close consumer 0ns"]).len(),
                    "{what}"
                );
            },
        );
    }
    closes_what_it_started("workers", |group| group.workers(2, |_| ready(Ack::Done)));
    closes_what_it_started("workers_batch", |group| group.workers_batch(2, 8, |_| ready(())));
    closes_what_it_started("stream", |group| group.stream());
}

/// A message that was on its way to a wait that was dropped comes to the next one, and only once.
#[test]
fn a_wait_for_the_next_message() {
    for polls in 0..3 {
        let mut slow = Slow::new();
        let mut stream = started(&mut slow, |group| group.stream());
        let mut seen = Vec::new();
        {
            let mut next = stream.next();
            for _ in 0..polls {
                match turn(Pin::new(&mut next)) {
                    Poll::Ready(message) => seen.extend(message),
                    Poll::Pending => slow.deliver(0..2),
                }
                if !seen.is_empty() {
                    break;
                }
            }
        }
        if polls == 0 {
            slow.deliver(0..2);
        }
        while let Poll::Ready(Some(message)) = turn(pin!(stream.next())) {
            seen.push(message);
        }
        let offsets: Vec<_> = seen.iter().map(|message| message.queue_offset()).collect();
        assert_eq!(offsets, [0, 1], "after {polls} polls");
        seen.into_iter().for_each(|message| message.ack());
        drop(stream);
        slow.answer();
        assert_eq!(slow.told(&["settled"]), ["settled 0 Done", "settled 1 Done"]);
        slow.assert_at_rest("next", polls);
    }
}

/// Each message that a run took is answered or handed back, and the consumer is closed.
#[test]
fn a_run_and_a_run_until() {
    for until in [false, true] {
        for polls in 0..POLLS_MAX {
            let mut slow = Slow::new();
            let (begun, stop) = (RefCell::new(Vec::new()), Cell::new(false));
            {
                let run = slow.group().run(async |message| {
                    begun.borrow_mut().push(message.queue_offset());
                    if message.queue_offset() % 2 == 0 { Ack::Done } else { pending().await }
                });
                let stopped = poll_fn(|_| if stop.get() { Poll::Ready(()) } else { Poll::Pending });
                let mut future: Pin<alloc::boxed::Box<dyn Future<Output = Result<CloseReport>>>> = if until {
                    alloc::boxed::Box::pin(run.until(stopped))
                } else {
                    alloc::boxed::Box::pin(run)
                };
                for number in 0..polls {
                    if turn(future.as_mut()).is_ready() {
                        break;
                    }
                    match number {
                        1 => slow.deliver(0..4),
                        3 => stop.set(true),
                        number => slow.step(number),
                    }
                }
            }
            slow.answer();
            let answered = slow.told(&["settled", "handed back"]);
            let delivered = if polls > 1 { 4 } else { 0 };
            assert_eq!(
                answered.len(),
                delivered,
                "after {polls} polls: {answered:?}, begun {:?}",
                begun.borrow()
            );
            let closed = slow.told(&["close consumer"]).len();
            assert_eq!(closed, slow.told(&["start consumer"]).len(), "after {polls} polls");
            slow.assert_at_rest("run", polls);
        }
    }
}

/// An engine that the test drives, and its stage.
type Launched = (Engine<ScriptHost, ClientMachine>, Shared);

std::thread_local! {
    /// What the last client of this thread was put together with.
    static LAUNCHED: RefCell<Option<Launched>> = const { RefCell::new(None) };
}

/// A runtime that leaves its engine to the test.
enum Manual {}

impl Launch for Manual {
    fn launch(settings: ClientBuilder) -> Result<super::super::Client> {
        let stage = Shared::default();
        let (client, engine) = settings.start(ScriptHost::new(stage.clone()))?;
        LAUNCHED.set(Some((engine, stage)));
        Ok(client)
    }
}

/// The client that a dropped `connect` had begun ends, and so do its connections.
#[test]
fn a_connect_of_an_adapter() {
    for polls in 0..POLLS_MAX {
        LAUNCHED.set(None);
        let ended = {
            let mut connect = pin!(ClientOn::<Manual>::connect("127.0.0.1:9876"));
            let mut ended = None;
            for number in 0..polls {
                if let Poll::Ready(connected) = turn(connect.as_mut()) {
                    ended = Some(connected.expect("connected"));
                    break;
                }
                LAUNCHED.with_borrow_mut(|launched| advance(launched.as_mut().expect("launched"), number));
            }
            ended
        };
        let has_ended = ended.is_some();
        drop(ended);
        let Some((mut engine, stage)) = LAUNCHED.take() else {
            assert_eq!(polls, 0, "it begins with the first poll");
            continue;
        };
        assert!(drain(&mut engine), "the engine goes on after {polls} polls");
        assert!(lock(&stage).sockets.is_empty(), "a connection is left after {polls} polls");
        if has_ended {
            return;
        }
    }
    panic!("it has not connected after {POLLS_MAX} polls");
}

/// Drains, and has the connection come up at the second step. True when the engine has ended.
fn advance((engine, stage): &mut Launched, number: usize) {
    if number == 1 {
        let mut stage = lock(stage);
        for socket in stage.sockets.values_mut() {
            socket.connected = true;
            socket.waker.iter().for_each(Waker::wake_by_ref);
        }
    }
    drain(engine);
}

fn drain(engine: &mut Engine<ScriptHost, ClientMachine>) -> bool {
    (0..100).any(|_| engine.poll(&mut Context::from_waker(Waker::noop())).is_ready())
}
