//! Handlers as tasks of the host, or on threads.

use super::super::std;
use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::{Arc, Weak};
use core::future::{Future, poll_fn, ready};
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll};
use core::time::Duration;

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use super::super::exchange::{Alive, Exchange};
use super::super::host::Spawn;
use super::super::lock;
use super::super::operation::Operation;
use super::super::park;
use super::super::run_queue::{Hand, RunQueue, WaiterId, Want};
use super::batch::Batch;
use super::control::{Concurrency, ConsumerControl};
use super::decoding::Decoding;
use super::handler::Source;
use super::message::ReceivedMessage;
use super::subscription::{CLOSE_TIMEOUT, Subscription};
use crate::consumer::{Ack, CloseReport, ConsumerHealth, ConsumerStatistics, Delivery};
use crate::error::{Error, Result};
use crate::time::Instant;

/// A consumer whose handlers run by themselves. Dropping it closes the consumer with deadline zero.
#[derive(Debug)]
#[must_use = "dropping it closes the consumer"]
pub struct PushConsumer {
    subscription: Arc<Subscription>,
}

impl PushConsumer {
    pub(super) fn new(subscription: Arc<Subscription>) -> Self {
        Self { subscription }
    }

    /// Steers the consumer and looks at it, from anywhere.
    #[must_use]
    pub fn control(&self) -> ConsumerControl {
        self.subscription.control()
    }

    /// As [`ConsumerControl::set_concurrency`].
    pub fn set_concurrency(&self, handlers: usize) {
        self.subscription.concurrency().set(handlers);
    }

    /// As [`ConsumerControl::suspend`]. Cancel safe.
    pub fn suspend(&self) -> Operation<()> {
        self.control().suspend()
    }

    /// As [`ConsumerControl::resume`]. Cancel safe.
    pub fn resume(&self) -> Operation<()> {
        self.control().resume()
    }

    /// As [`ConsumerControl::health`]. Cancel safe.
    pub fn health(&self) -> Operation<ConsumerHealth> {
        self.control().health()
    }

    /// As [`ConsumerControl::statistics`]. Cancel safe.
    pub fn statistics(&self) -> Operation<ConsumerStatistics> {
        self.control().statistics()
    }

    /// Closes the consumer within 30 s: nothing more is begun but what lies before a message of its queue that has
    /// been begun, so that all that was done can be committed; handlers may end, offsets are committed. Cancel safe:
    /// it begins at once, and dropping the operation does not stop it.
    pub fn close(&self) -> Operation<CloseReport> {
        self.close_within(CLOSE_TIMEOUT)
    }

    /// As [`close`](Self::close), within `timeout`. Cancel safe.
    pub fn close_within(&self, timeout: Duration) -> Operation<CloseReport> {
        self.subscription.close(timeout)
    }
}

/// The workers of a consumer: not the consumer itself, which ends when its handle goes.
struct Pool {
    alive: Weak<Alive>,
    shared: Arc<Exchange>,
    queue: Arc<RunQueue>,
    decoding: Arc<Decoding>,
    spawn: Arc<dyn Spawn>,
    concurrency: Arc<Concurrency>,
    running: AtomicUsize,
}

impl Pool {
    /// Begins `start` as often as workers are missing, now and whenever more are wanted, at most `workers_max`.
    ///
    /// # Errors
    /// The host could not begin a single one.
    fn fill(
        subscription: &Subscription,
        (count, workers_max): (usize, usize),
        start: impl Fn(Worker) -> io::Result<()> + Send + Sync + 'static,
    ) -> Result<()> {
        let concurrency = subscription.concurrency().clone();
        let pool = Arc::new(Self {
            alive: Arc::downgrade(&subscription.alive),
            shared: subscription.alive.0.clone(),
            queue: subscription.queue.clone(),
            decoding: subscription.decoding.clone(),
            spawn: subscription.alive.0.spawn.clone(),
            concurrency: concurrency.clone(),
            running: AtomicUsize::new(0),
        });
        let (filled, failed) = (pool.clone(), Arc::new(Mutex::new(None)));
        let told = failed.clone();
        concurrency.on_change(Box::new(move || {
            let missing = |running, wanted: usize| (running < wanted.min(workers_max)).then_some(running + 1);
            while pool.change(missing) {
                if let Err(error) = start(Worker::new(&pool)) {
                    // The next change of the number tries again.
                    let (group, running) = (&*pool.decoding.group, pool.running.load(Ordering::Relaxed));
                    tracing::warn!(group, running, %error, "the host gives no more threads for handlers");
                    *lock(&told) = Some(error);
                    break;
                }
            }
        }));
        concurrency.set(count);
        match lock(&failed).take() {
            Some(error) if filled.running.load(Ordering::Relaxed) == 0 => {
                Err(Error::Host(error.to_string().into()))
            }
            _ => Ok(()),
        }
    }

    /// Changes the number of workers by `next` if that gives one.
    fn change(&self, next: impl Fn(usize, usize) -> Option<usize>) -> bool {
        let change = |running| next(running, self.concurrency.get());
        self.running.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
    }
}

/// The most threads that one consumer runs handlers on. Java: `consumeThreadMax` is at most 1,000.
const THREADS_MAX: usize = 1_000;

/// Deliveries that a worker takes at once, under one lock.
const TAKEN_MAX: usize = 16;

/// A worker whose calls take longer than this takes one at a time.
const QUICK_CALL: Duration = Duration::from_millis(1);

/// One task or thread.
struct Worker {
    pool: Arc<Pool>,
    waiter: WaiterId,
    /// What it has taken and not begun, and its answers: not its own alone, since user code may keep it.
    hand: Arc<Hand>,
    /// The offset of the message whose call runs.
    called: Option<i64>,
    /// What the last call has answered.
    answer: Option<Ack>,
    /// There are answers in the hand since it last asked the engine to look.
    untold: bool,
    /// Calls in a row that ended at once.
    quick_calls: usize,
    /// When it took last, and the calls since.
    took: (Instant, u32),
    /// It has left the pool, which has too many.
    retired: bool,
}

impl Worker {
    fn new(pool: &Arc<Pool>) -> Self {
        Self {
            pool: pool.clone(),
            waiter: pool.queue.waiter(),
            hand: Arc::default(),
            called: None,
            answer: None,
            untold: false,
            quick_calls: 0,
            took: (Instant::ZERO, 0),
            retired: false,
        }
    }

    /// Whether it is one too many. One that waits for messages learns it when it is woken for one, which
    /// the next one then takes.
    fn retires(&mut self) -> bool {
        self.retired = self.retired
            || self.pool.change(|running, wanted| running.checked_sub(1).filter(|left| *left >= wanted));
        self.retired
    }

    /// Gives the last answer, and begins the next message. While user code then runs, whatever was answered is to
    /// be heard, and whatever was taken may be taken by others.
    fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Delivery>> {
        let mut answer = self.answer.take();
        self.untold |= answer.is_some();
        let shared = &self.pool.shared;
        if self.untold && !shared.hands.are_watched() {
            if let Some(ack) = answer.take() {
                self.hand.settle_last(&shared.hands, ack);
            }
            if shared.told_by_hand() {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
        }
        let waited = self.quick_calls == 0;
        let now = || waited.then(|| self.pool.spawn.now());
        if let Some(next) = self.hand.turn(&shared.hands, answer, now) {
            self.tell_unwatched();
            return Poll::Ready(Some(next));
        }
        if self.retires() {
            self.flush();
            return Poll::Ready(None);
        }
        let now = self.pool.spawn.now();
        let (since, calls) = self.took;
        if now.saturating_since(since) > QUICK_CALL * calls {
            self.quick_calls = 0;
        }
        // As long as handlers wait for nothing, what is taken together is begun as soon as it would be alone.
        let count_max = TAKEN_MAX.min(1 + self.quick_calls);
        let want = Want { now, count_max, workers: self.pool.concurrency.get(), one_queue: false };
        self.took = (now, 0);
        self.poll_hand(cx, want)
    }

    fn poll_hand(&mut self, cx: &Context<'_>, want: Want) -> Poll<Option<Delivery>> {
        let hands = &self.pool.shared.hands;
        let polled = self.pool.queue.poll_hand((self.waiter, &self.hand), cx, want, hands);
        if matches!(polled, Poll::Ready(Some(_))) {
            self.tell_unwatched();
        } else {
            self.flush();
        }
        polled
    }

    /// The next message that can be decoded; the others are answered for.
    async fn next(&mut self) -> Option<ReceivedMessage> {
        loop {
            let delivery = poll_fn(|cx| self.poll_next(cx)).await?;
            self.took.1 += 1;
            self.called = Some(delivery.token.queue_offset);
            match self.pool.decoding.for_handler(delivery) {
                Ok(message) => return Some(message),
                Err(ack) => self.settle(ack),
            }
        }
    }

    /// The next messages of one queue that can be decoded, at most so many.
    async fn next_batch(&mut self, messages_max: usize) -> Option<Batch> {
        loop {
            let first = poll_fn(|cx| {
                if self.retires() {
                    return Poll::Ready(None);
                }
                // What it took when it gave way.
                let now = self.pool.spawn.now();
                if let Some(next) = self.hand.turn(&self.pool.shared.hands, None, || Some(now)) {
                    return Poll::Ready(Some(next));
                }
                self.poll_hand(cx, Want { now, count_max: messages_max, workers: 1, one_queue: true })
            });
            let first = first.await?;
            let alive = self.pool.alive.upgrade()?;
            let source = Source { alive: &alive, queue: &self.pool.queue, decoding: &self.pool.decoding };
            let batch = source.batch(&self.hand, first);
            if batch.is_some() {
                return batch;
            }
        }
    }

    /// Answers for the delivery in hand; told when the next one is asked for.
    fn settle(&mut self, ack: Ack) {
        self.answer = self.called.take().map(|_| ack);
    }

    /// Asks the engine to look at the answers.
    fn flush(&mut self) {
        if core::mem::take(&mut self.untold) {
            self.pool.shared.signal().raise();
        }
    }

    /// User code is called next. If the engine has stopped looking by itself just before the answers were put into
    /// the hand, it is asked to.
    fn tell_unwatched(&mut self) {
        if self.untold && !self.pool.shared.hands.are_watched() {
            self.flush();
        }
    }

    /// What the call gives, or `None` when it panics. While it waits, the engine knows all there is to know.
    async fn called<Fut: Future<Output = Ack>>(&mut self, call: Fut) -> Option<Ack> {
        let mut call = core::pin::pin!(caught(call));
        poll_fn(|cx| {
            let polled = call.as_mut().poll(cx);
            if polled.is_pending() {
                self.quick_calls = 0;
                self.flush();
            } else {
                self.quick_calls += 1;
            }
            polled
        })
        .await
    }

    /// Says what a panic means.
    fn panicked(&self) -> Ack {
        self.pool.decoding.panicked(self.called)
    }
}

impl Drop for Worker {
    /// The host dropped the task, perhaps with a message in hand.
    fn drop(&mut self) {
        let left = self.pool.queue.leave_hand(self.waiter, &self.hand);
        self.pool.shared.push_handed_back(left);
        if self.called.is_some() {
            self.settle(Ack::Retry);
        }
        if let Some(ack) = self.answer.take() {
            self.hand.settle_last(&self.pool.shared.hands, ack);
            self.untold = true;
        }
        self.flush();
        if !self.retired {
            self.pool.running.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

pub(super) fn spawn<F, Fut>(subscription: &Subscription, count: usize, handler: Arc<F>) -> Result<()>
where
    F: Fn(ReceivedMessage) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Ack> + Send + 'static,
{
    Pool::fill(subscription, (count, usize::MAX), move |mut worker| {
        let (spawn, handler) = (worker.pool.spawn.clone(), handler.clone());
        spawn.spawn(Box::pin(async move {
            while let Some(message) = worker.next().await {
                let ack = match catch_unwind(AssertUnwindSafe(|| handler(message))) {
                    Ok(call) => worker.called(call).await,
                    Err(_) => None,
                };
                let ack = ack.unwrap_or_else(|| worker.panicked());
                worker.settle(ack);
            }
        }));
        Ok(())
    })
}

pub(super) fn spawn_batches<F, Fut>(
    subscription: &Subscription,
    count: usize,
    messages_max: usize,
    handler: Arc<F>,
) -> Result<()>
where
    F: Fn(Batch) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Pool::fill(subscription, (count, usize::MAX), move |mut worker| {
        let (spawn, handler) = (worker.pool.spawn.clone(), handler.clone());
        spawn.spawn(Box::pin(async move {
            while let Some(batch) = worker.next_batch(messages_max).await {
                let ended = match catch_unwind(AssertUnwindSafe(|| handler(batch))) {
                    Ok(future) => caught(future).await,
                    Err(_) => None,
                };
                if ended.is_none() {
                    worker.panicked();
                }
            }
        }));
        Ok(())
    })
}

/// What the future gives, or `None` when it panics.
async fn caught<Fut: Future>(future: Fut) -> Option<Fut::Output> {
    let mut future = core::pin::pin!(future);
    poll_fn(|cx| {
        let future: Pin<&mut Fut> = future.as_mut();
        match catch_unwind(AssertUnwindSafe(|| future.poll(cx))) {
            Ok(polled) => polled.map(Some),
            Err(_) => Poll::Ready(None),
        }
    })
    .await
}

pub(super) fn spawn_threads<F>(subscription: &Subscription, count: usize, handler: Arc<F>) -> Result<()>
where
    F: Fn(ReceivedMessage) -> Ack + Send + Sync + 'static,
{
    if !subscription.alive.0.spawn.may_wait() {
        let handler = Arc::new(move |message| ready(handler(message)));
        return spawn(subscription, count, handler);
    }
    on_threads(subscription, count, move |worker| {
        let shared = worker.pool.shared.clone();
        while let Some(message) = park::wait_for(Some(&shared), worker.next()) {
            let ack = catch_unwind(AssertUnwindSafe(|| handler(message)));
            let ack = ack.unwrap_or_else(|_| worker.panicked());
            worker.settle(ack);
        }
    })
}

pub(super) fn spawn_batch_threads<F>(
    subscription: &Subscription,
    count: usize,
    messages_max: usize,
    handler: Arc<F>,
) -> Result<()>
where
    F: Fn(Batch) + Send + Sync + 'static,
{
    if !subscription.alive.0.spawn.may_wait() {
        let handler = Arc::new(move |batch| {
            handler(batch);
            ready(())
        });
        return spawn_batches(subscription, count, messages_max, handler);
    }
    on_threads(subscription, count, move |worker| {
        let shared = worker.pool.shared.clone();
        while let Some(batch) = park::wait_for(Some(&shared), worker.next_batch(messages_max)) {
            if catch_unwind(AssertUnwindSafe(|| handler(batch))).is_err() {
                worker.panicked();
            }
        }
    })
}

/// Workers on threads of their own, which last as long as the consumer: in a pool for short work, look-ups of
/// names would wait for them, and a user's own calls.
fn on_threads(
    subscription: &Subscription,
    count: usize,
    work: impl Fn(&mut Worker) + Send + Sync + 'static,
) -> Result<()> {
    let work = Arc::new(work);
    Pool::fill(subscription, (count, THREADS_MAX), move |mut worker| {
        let (spawn, work) = (worker.pool.spawn.clone(), work.clone());
        let name = alloc::format!("rmq-{}", worker.pool.decoding.group);
        spawn.spawn_thread(&name, Box::new(move || work(&mut worker)))
    })
}
