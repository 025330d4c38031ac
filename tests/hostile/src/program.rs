//! The user's program of every case: a consumer of both brokers, a producer, and somebody who looks at the
//! clock.

use std::cell::{Cell, RefCell};
use std::task::{Poll, Waker};
use std::time::Duration;

use rocketmq_client_core::config::ConsumeFrom;
use rocketmq_client_core::consumer::Ack;
use rocketmq_client_core::driver::{Client, ClientBuilder};
use rocketmq_client_core::message::{Message, MessageQueue};
use rocketmq_client_core::time::Instant;

use crate::beat::{self, Calls};
use crate::case::{Case, Phase, Role, Site};
use crate::honest::{GROUP, QUEUES, SENT, TOPIC, broker_name};
use crate::ledger::SharedLedger;
use crate::server::Hours;
use crate::world::{World, all};

/// How long things take in a run.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pace {
    /// Everything runs well before a live server turns hostile.
    pub calm: Duration,
    /// It is hostile so long.
    pub hostile: Duration,
    /// Everything is given up if it does not work again then.
    pub recover_max: Duration,
    /// Whatever is left arrives until then.
    pub drain_max: Duration,
    /// How often figures are looked at.
    pub look: Duration,
}

/// A consumer's and a client's close may take so long each.
pub(crate) const CLOSE_TIMEOUT: Duration = Duration::from_secs(3);
/// A send may take so long.
pub(crate) const SEND_TIMEOUT: Duration = Duration::from_secs(1);
/// Offsets are committed so often.
const PERSIST: Duration = Duration::from_secs(1);

/// What the program measured.
#[derive(Debug, Default)]
pub(crate) struct Measured {
    /// From the end of the hostility until messages of both brokers and sends came through.
    pub recovered: Option<Duration>,
    /// How long the consumer took to close.
    pub consumer_closed: Option<Duration>,
    /// How long the client took to close.
    pub client_closed: Option<Duration>,
    /// What the consumer ended with, if not as it should.
    pub consumer_error: Option<String>,
    /// Bytes on the heap beyond those before the client, at most.
    pub heap: usize,
    /// The client's sockets, at most.
    pub sockets: usize,
    /// When the consumer was told to stop. Servers put messages until the whole run has ended, which takes as long as
    /// a look-up that is under way.
    pub stopped: Option<Instant>,
}

/// What a run lends the program to look at.
pub(crate) trait Gauges {
    /// Bytes on the heap.
    fn heap(&self) -> usize;
    /// The client's sockets.
    fn sockets(&self) -> usize;
}

struct Stop {
    set: Cell<bool>,
    wakers: RefCell<Vec<Waker>>,
}

impl Stop {
    async fn wait(&self) {
        std::future::poll_fn(|cx| {
            if self.set.get() {
                return Poll::Ready(());
            }
            self.wakers.borrow_mut().push(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }

    fn set(&self) {
        self.set.set(true);
        self.wakers.take().into_iter().for_each(Waker::wake);
    }
}

/// What the parts of the program share.
struct Stage<'a> {
    world: &'a World,
    case: &'a Case,
    pace: Pace,
    hours: Hours,
    ledger: &'a SharedLedger,
    gauges: &'a dyn Gauges,
    stop: Stop,
    stopped_at: Cell<Instant>,
    measured: RefCell<Measured>,
}

/// Runs the program to its end.
pub(crate) async fn run(
    world: &World,
    case: &Case,
    site: &Site,
    pace: Pace,
    hours: Hours,
    ledger: &SharedLedger,
    gauges: &dyn Gauges,
) -> Measured {
    let heap_before = gauges.heap();
    let stage = Stage {
        world,
        case,
        pace,
        hours,
        ledger,
        gauges,
        stop: Stop { set: Cell::new(false), wakers: RefCell::default() },
        stopped_at: Cell::new(Instant::ZERO),
        measured: RefCell::default(),
    };
    let names: Vec<_> = site.name_servers.iter().map(ToString::to_string).collect();
    let mut settings = ClientBuilder::new(&names.join(";"))
        .configure(|config| config.persist_consumer_offset_interval = PERSIST);
    if let World::Real(clock, adapter) = world {
        beat::begin(clock, *adapter, ledger);
        settings = settings.tap(Calls::new(clock.clone(), ledger.clone()));
    }
    let client = world.start(settings).expect("the settings work");
    all(vec![
        Box::pin(stage.consume(&client)),
        Box::pin(stage.send(&client)),
        Box::pin(stage.watch()),
        Box::pin(stage.look(heap_before)),
    ])
    .await;
    let before = world.now();
    let closed = client.close_within(CLOSE_TIMEOUT).await;
    let mut measured = stage.measured.into_inner();
    measured.client_closed = Some(world.now() - before);
    if let Err(error) = closed {
        measured.consumer_error.get_or_insert(format!("the client's close: {error}"));
    }
    measured
}

impl Stage<'_> {
    async fn consume(&self, client: &Client) {
        let group = client.push_consumer(GROUP).subscribe(TOPIC, "*").consume_from(ConsumeFrom::FirstOffset);
        let running = group.run(async |message| {
            let body = message.body().ok().cloned().unwrap_or_default();
            if !self.case.slow.is_zero() && body.starts_with(b"b ") {
                self.world.sleep(self.case.slow).await;
            }
            let mut ledger = self.ledger.lock();
            let known = ledger.parse(&body);
            ledger.handle(self.world.now(), &body);
            let later = known.is_some_and(|((letter, _), offset)| letter == 'b' && offset % 5 == 4);
            if self.case.retries && later && message.reconsume_times() == 0 { Ack::Retry } else { Ack::Done }
        });
        let ended = running.close_timeout(CLOSE_TIMEOUT).until(self.stop.wait()).await;
        let mut measured = self.measured.borrow_mut();
        if let Err(error) = ended {
            measured.consumer_error = Some(format!("the consumer: {error}"));
        }
        if self.stop.set.get() {
            measured.consumer_closed = Some(self.world.now() - self.stopped_at.get());
        }
    }

    async fn send(&self, client: &Client) {
        let producer = client
            .producer("hostile-producers")
            .send_timeout(SEND_TIMEOUT)
            .retry_times(0)
            .build()
            .expect("a good name");
        let mut number: i32 = 0;
        while !self.stop.set.get() {
            let message = Message::new(SENT, format!("sent {number}"));
            let began = self.world.now();
            let sending = match self.case.role {
                Role::NameServer => producer.send(message),
                Role::Broker => {
                    let queue = MessageQueue::new(SENT, broker_name('b'), number % QUEUES);
                    producer.send_to(message, queue)
                }
            };
            let stored = sending.await.is_ok();
            let took = self.world.now() - began;
            self.ledger.lock().sends.push((began, took, stored));
            number += 1;
            let pause = if began >= self.hours.ends { 200 } else { 1_000 };
            let next = began + Duration::from_millis(pause);
            // Whatever comes first: the time, the end of the hostility, the stop.
            while self.world.now() < next && !self.stop.set.get() {
                if began < self.hours.ends && self.world.now() >= self.hours.ends {
                    break;
                }
                self.world.sleep(Duration::from_millis(50)).await;
            }
        }
    }

    async fn watch(&self) {
        if self.case.phase == Phase::Stop {
            self.world.sleep_until(self.hours.begins + Duration::from_millis(1_200)).await;
            return self.stop_now();
        }
        self.world.sleep_until(self.hours.ends).await;
        let late = self.hours.ends + self.pace.recover_max;
        while self.world.now() < late {
            if let Some(at) = self.recovered_at() {
                self.measured.borrow_mut().recovered = Some(at - self.hours.ends);
                break;
            }
            self.world.sleep(self.pace.look).await;
        }
        let late = self.world.now() + self.pace.drain_max;
        while self.world.now() < late && !self.is_whole() {
            self.world.sleep(self.pace.look).await;
        }
        self.world.sleep(PERSIST * 2).await;
        self.stop_now();
    }

    fn is_whole(&self) -> bool {
        let ledger = self.ledger.lock();
        // What is on its way doesn't count.
        let now = self.world.now();
        ledger.missing('a', now) <= 1 && (!self.case.holds.whole || ledger.missing('b', now) <= 1)
    }

    fn recovered_at(&self) -> Option<Instant> {
        let ledger = self.ledger.lock();
        let since = self.hours.ends;
        let good = ledger.first_handled_since('a', since)?;
        let odd = ledger.first_handled_since('b', since)?;
        let sent = ledger.sends.iter().find(|(began, _, stored)| *began >= since && *stored);
        let sent = sent.map(|(began, took, _)| *began + *took)?;
        Some(good.max(odd).max(sent))
    }

    fn stop_now(&self) {
        self.stopped_at.set(self.world.now());
        self.measured.borrow_mut().stopped = Some(self.world.now());
        self.stop.set();
    }

    async fn look(&self, heap_before: usize) {
        while !self.stop.set.get() {
            let heap = self.gauges.heap().saturating_sub(heap_before);
            let sockets = self.gauges.sockets();
            {
                let mut measured = self.measured.borrow_mut();
                measured.heap = measured.heap.max(heap);
                measured.sockets = measured.sockets.max(sockets);
            }
            self.world.sleep(self.pace.look).await;
        }
    }
}
