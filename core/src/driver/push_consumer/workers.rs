//! Handlers as tasks of the host, or on threads.

use super::super::std;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use core::future::{Future, poll_fn, ready};
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::operation::Operation;
use super::super::park;
use super::super::run_queue::{RunQueue, WaiterId};
use super::super::shared::Alive;
use super::message::ReceivedMessage;
use super::run::{decodable, panicked};
use super::subscription::{CLOSE_TIMEOUT, Subscription, settle};
use crate::consumer::{Ack, CloseReport, ConsumeToken, Delivery};

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

    /// Closes the consumer within 30 s: nothing more is begun, handlers that run may end, offsets are
    /// committed. Begins at once; dropping the operation does not stop it.
    pub fn close(&self) -> Operation<CloseReport> {
        self.close_within(CLOSE_TIMEOUT)
    }

    /// As [`close`](Self::close), within `timeout`.
    pub fn close_within(&self, timeout: Duration) -> Operation<CloseReport> {
        self.subscription.close(timeout)
    }
}

/// What a worker needs: not the consumer itself, which ends when its handle goes.
struct Worker {
    alive: Weak<Alive>,
    queue: Arc<RunQueue>,
    group: Arc<str>,
    waiter: WaiterId,
    /// The delivery in hand.
    token: Option<ConsumeToken>,
}

impl Worker {
    fn new(subscription: &Subscription) -> Self {
        Self {
            alive: Arc::downgrade(&subscription.alive),
            queue: subscription.queue.clone(),
            group: subscription.group.clone(),
            waiter: subscription.queue.waiter(),
            token: None,
        }
    }

    fn poll_next(&mut self, cx: &Context<'_>) -> Poll<Option<Delivery>> {
        let polled = self.queue.poll_next(self.waiter, cx);
        if let Poll::Ready(Some(delivery)) = &polled {
            self.token = Some(delivery.token);
        }
        polled
    }

    /// The next message that can be decoded; the others are answered for.
    async fn next(&mut self) -> Option<ReceivedMessage> {
        loop {
            let delivery = poll_fn(|cx| self.poll_next(cx)).await?;
            match decodable(&self.group, delivery) {
                Some(message) => return Some(message),
                None => self.settle(Ack::DeadLetter),
            }
        }
    }

    fn settle(&mut self, ack: Ack) {
        if let (Some(token), Some(alive)) = (self.token.take(), self.alive.upgrade()) {
            settle(&alive, token, ack);
        }
    }

    /// Says what a panic means.
    fn panicked(&self) -> Ack {
        self.token.map_or(Ack::Retry, |token| panicked(&self.group, token))
    }
}

impl Drop for Worker {
    /// The host dropped the task, perhaps with a message in hand.
    fn drop(&mut self) {
        self.queue.leave(self.waiter);
        self.settle(Ack::Retry);
    }
}

pub(super) fn spawn<F, Fut>(subscription: &Subscription, count: usize, handler: Arc<F>)
where
    F: Fn(ReceivedMessage) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Ack> + Send + 'static,
{
    for _ in 0..count {
        let (mut worker, handler) = (Worker::new(subscription), handler.clone());
        subscription.alive.0.spawn.spawn(Box::pin(async move {
            while let Some(message) = worker.next().await {
                let ack = match catch_unwind(AssertUnwindSafe(|| handler(message))) {
                    Ok(future) => caught(future).await,
                    Err(_) => None,
                };
                let ack = ack.unwrap_or_else(|| worker.panicked());
                worker.settle(ack);
            }
        }));
    }
}

/// What the future gives, or `None` when it panics.
async fn caught<Fut: Future<Output = Ack>>(future: Fut) -> Option<Ack> {
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
    for _ in 0..count {
        let (mut worker, handler) = (Worker::new(subscription), handler.clone());
        let shared = subscription.alive.0.clone();
        subscription.alive.0.spawn.spawn_blocking(Box::new(move || {
            while let Some(message) = park::wait_for(Some(&shared), worker.next()) {
                let ack = catch_unwind(AssertUnwindSafe(|| handler(message)));
                let ack = ack.unwrap_or_else(|_| worker.panicked());
                worker.settle(ack);
            }
        }));
    }
}
