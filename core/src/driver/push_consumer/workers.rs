//! Handlers as tasks of the host, or on threads.

use super::super::std;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::future::{Future, poll_fn, ready};
use core::pin::Pin;
use core::sync::atomic::{AtomicUsize, Ordering};
use core::task::{Context, Poll};
use core::time::Duration;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::host::Spawn;
use super::super::mailbox::Settled;
use super::super::operation::Operation;
use super::super::park;
use super::super::run_queue::{RunQueue, WaiterId};
use super::super::shared::Alive;
use super::batch::Batch;
use super::control::{Concurrency, ConsumerControl};
use super::decoding::Decoding;
use super::handler::{Source, panicked};
use super::message::ReceivedMessage;
use super::subscription::{CLOSE_TIMEOUT, Subscription};
use crate::client::Input;
use crate::consumer::{Ack, CloseReport, ConsumeToken, ConsumerHealth, ConsumerStatistics, Delivery};
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

    /// Closes the consumer within 30 s: nothing more is begun, handlers that run may end, offsets are
    /// committed. Cancel safe: it begins at once, and dropping the operation does not stop it.
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
    queue: Arc<RunQueue>,
    decoding: Arc<Decoding>,
    spawn: Arc<dyn Spawn>,
    concurrency: Arc<Concurrency>,
    running: AtomicUsize,
}

impl Pool {
    /// Begins `start` as often as workers are missing, now and whenever more are wanted.
    fn fill(subscription: &Subscription, count: usize, start: impl Fn(Worker) + Send + Sync + 'static) {
        let concurrency = subscription.concurrency().clone();
        let pool = Arc::new(Self {
            alive: Arc::downgrade(&subscription.alive),
            queue: subscription.queue.clone(),
            decoding: subscription.decoding.clone(),
            spawn: subscription.alive.0.spawn.clone(),
            concurrency: concurrency.clone(),
            running: AtomicUsize::new(0),
        });
        concurrency.on_change(Box::new(move || {
            while pool.change(|running, wanted| (running < wanted).then_some(running + 1)) {
                start(Worker::new(&pool));
            }
        }));
        concurrency.set(count);
    }

    /// Changes the number of workers by `next` if that gives one.
    fn change(&self, next: impl Fn(usize, usize) -> Option<usize>) -> bool {
        let change = |running| next(running, self.concurrency.get());
        self.running.fetch_update(Ordering::Relaxed, Ordering::Relaxed, change).is_ok()
    }
}

/// Answers that a worker tells at once, and how old they may get while its handlers end without waiting:
/// one lock and one wake-up for all of them.
const SETTLED_MAX: usize = 32;
const SETTLED_TIME_MAX: Duration = Duration::from_millis(1);

/// Deliveries that a worker takes at once, under one lock.
const TAKEN_MAX: usize = 16;

/// One task or thread.
struct Worker {
    pool: Arc<Pool>,
    waiter: WaiterId,
    /// The delivery in hand.
    token: Option<ConsumeToken>,
    /// What was taken together with it and is not begun.
    taken: VecDeque<Delivery>,
    /// It took several at once and has not put any back.
    holds: bool,
    /// Calls in a row that ended at once.
    quick_calls: usize,
    /// Answers that the engine has not been told, because handlers ended at once.
    settled: Vec<Settled>,
    /// When the first of them was given, or earlier.
    settled_since: Instant,
    /// It has left the pool, which has too many.
    retired: bool,
}

impl Worker {
    fn new(pool: &Arc<Pool>) -> Self {
        Self {
            pool: pool.clone(),
            waiter: pool.queue.waiter(),
            token: None,
            taken: VecDeque::new(),
            holds: false,
            quick_calls: 0,
            settled: Vec::new(),
            settled_since: Instant::ZERO,
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

    fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Delivery>> {
        if let Some(delivery) = self.taken.pop_front() {
            self.token = Some(delivery.token);
            return Poll::Ready(Some(delivery));
        }
        if self.retires() {
            return Poll::Ready(None);
        }
        let now = self.pool.spawn.now();
        if self.settled.len() >= SETTLED_MAX || now.saturating_since(self.settled_since) >= SETTLED_TIME_MAX {
            self.flush();
        }
        // As long as handlers wait for nothing, what is taken together is begun as soon as it would be alone.
        let share = (now, TAKEN_MAX.min(1 + self.quick_calls), self.pool.concurrency.get());
        let held = core::mem::take(&mut self.holds);
        let polled = self.pool.queue.poll_share((self.waiter, held), cx, share, &mut self.taken);
        self.holds = self.taken.len() > 1;
        if polled != Poll::Ready(true) {
            self.flush();
        }
        if self.settled.is_empty() {
            self.settled_since = now;
        }
        polled.map(|_| {
            let delivery = self.taken.pop_front()?;
            self.token = Some(delivery.token);
            Some(delivery)
        })
    }

    /// The next message that can be decoded; the others are answered for.
    async fn next(&mut self) -> Option<ReceivedMessage> {
        loop {
            let delivery = poll_fn(|cx| self.poll_next(cx)).await?;
            match self.pool.decoding.for_handler(delivery) {
                Ok(message) => return Some(message),
                Err(ack) => self.settle(ack),
            }
        }
    }

    /// The next messages of one queue that can be decoded, at most so many.
    async fn next_batch(&mut self, messages_max: usize) -> Option<Batch> {
        loop {
            let mut batch = VecDeque::new();
            let open = poll_fn(|cx| {
                if self.retires() {
                    return Poll::Ready(false);
                }
                let count = (self.pool.spawn.now(), messages_max);
                self.pool.queue.poll_batch_of_one_queue(self.waiter, cx, count, &mut batch)
            });
            if !open.await {
                return None;
            }
            let alive = self.pool.alive.upgrade()?;
            let source = Source { alive: &alive, queue: &self.pool.queue, decoding: &self.pool.decoding };
            let mut settled = Vec::new();
            let batch = source.batch(&mut batch, &mut settled);
            alive.0.push_settled(settled.into_iter());
            if batch.is_some() {
                return batch;
            }
        }
    }

    /// Answers for the delivery in hand, at once.
    fn settle(&mut self, ack: Ack) {
        self.settle_soon(ack);
        self.flush();
    }

    /// Answers for the delivery in hand, together with those that follow it at once.
    fn settle_soon(&mut self, ack: Ack) {
        self.settled.extend(self.token.take().map(|token| (token, ack)));
    }

    /// Tells the engine what was settled.
    fn flush(&mut self) {
        if let Some(alive) = self.pool.alive.upgrade().filter(|_| !self.settled.is_empty()) {
            alive.0.push_settled(self.settled.drain(..));
        }
    }

    /// Leaves what was taken and not begun to other workers.
    fn put_back(&mut self) {
        if !core::mem::take(&mut self.holds) {
            return;
        }
        let mut refused = Vec::new();
        self.pool.queue.put_back(&mut self.taken, &mut refused);
        if let Some(alive) = self.pool.alive.upgrade() {
            alive.0.push_inputs(&mut refused.into_iter().map(|token| Input::HandedBack { token }).collect());
        }
    }

    /// What the call gives, or `None` when it panics. While it waits, the engine knows all there is to know.
    async fn called<Fut: Future<Output = Ack>>(&mut self, call: Fut) -> Option<Ack> {
        let mut call = core::pin::pin!(caught(call));
        poll_fn(|cx| {
            let polled = call.as_mut().poll(cx);
            if polled.is_pending() {
                self.quick_calls = 0;
                self.put_back();
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
        panicked(&self.pool.decoding.group, self.token)
    }
}

impl Drop for Worker {
    /// The host dropped the task, perhaps with a message in hand.
    fn drop(&mut self) {
        self.put_back();
        self.pool.queue.leave(self.waiter);
        self.settle(Ack::Retry);
        if !self.retired {
            self.pool.running.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

pub(super) fn spawn<F, Fut>(subscription: &Subscription, count: usize, handler: Arc<F>)
where
    F: Fn(ReceivedMessage) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Ack> + Send + 'static,
{
    Pool::fill(subscription, count, move |mut worker| {
        let (spawn, handler) = (worker.pool.spawn.clone(), handler.clone());
        spawn.spawn(Box::pin(async move {
            while let Some(message) = worker.next().await {
                let ack = match catch_unwind(AssertUnwindSafe(|| handler(message))) {
                    Ok(call) => worker.called(call).await,
                    Err(_) => None,
                };
                let ack = ack.unwrap_or_else(|| worker.panicked());
                worker.settle_soon(ack);
            }
        }));
    });
}

pub(super) fn spawn_batches<F, Fut>(
    subscription: &Subscription,
    count: usize,
    messages_max: usize,
    handler: Arc<F>,
) where
    F: Fn(Batch) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = ()> + Send + 'static,
{
    Pool::fill(subscription, count, move |mut worker| {
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
    });
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

pub(super) fn spawn_threads<F>(subscription: &Subscription, count: usize, handler: Arc<F>)
where
    F: Fn(ReceivedMessage) -> Ack + Send + Sync + 'static,
{
    if !subscription.alive.0.spawn.may_wait() {
        let handler = Arc::new(move |message| ready(handler(message)));
        return spawn(subscription, count, handler);
    }
    let shared = subscription.alive.0.clone();
    Pool::fill(subscription, count, move |mut worker| {
        let (spawn, handler, shared) = (worker.pool.spawn.clone(), handler.clone(), shared.clone());
        spawn.spawn_blocking(Box::new(move || {
            while let Some(message) = park::wait_for(Some(&shared), worker.next()) {
                let ack = catch_unwind(AssertUnwindSafe(|| handler(message)));
                let ack = ack.unwrap_or_else(|_| worker.panicked());
                worker.settle(ack);
            }
        }));
    });
}

pub(super) fn spawn_batch_threads<F>(
    subscription: &Subscription,
    count: usize,
    messages_max: usize,
    handler: Arc<F>,
) where
    F: Fn(Batch) + Send + Sync + 'static,
{
    if !subscription.alive.0.spawn.may_wait() {
        let handler = Arc::new(move |batch| {
            handler(batch);
            ready(())
        });
        return spawn_batches(subscription, count, messages_max, handler);
    }
    let shared = subscription.alive.0.clone();
    Pool::fill(subscription, count, move |mut worker| {
        let (spawn, handler, shared) = (worker.pool.spawn.clone(), handler.clone(), shared.clone());
        spawn.spawn_blocking(Box::new(move || {
            while let Some(batch) = park::wait_for(Some(&shared), worker.next_batch(messages_max)) {
                if catch_unwind(AssertUnwindSafe(|| handler(batch))).is_err() {
                    worker.panicked();
                }
            }
        }));
    });
}
