//! Messages one by one, answered by hand.

use alloc::sync::Arc;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll};
use core::time::Duration;

use futures_core::Stream;

use super::super::operation::Operation;
use super::super::park;
use super::super::run_queue::WaiterId;
use super::control::ConsumerControl;
use super::delivered::Delivered;
use super::subscription::{CLOSE_TIMEOUT, Subscription};
use crate::consumer::CloseReport;

/// The messages of a consumer. Clones take from the same consumer, each message once; dropping the
/// last one closes it with deadline zero.
#[derive(Debug)]
#[must_use = "dropping it closes the consumer"]
pub struct MessageStream {
    subscription: Arc<Subscription>,
    waiter: WaiterId,
}

impl MessageStream {
    pub(super) fn new(subscription: Arc<Subscription>) -> Self {
        let waiter = subscription.queue.waiter();
        Self { subscription, waiter }
    }

    /// The next message; `None` once the consumer was closed and nothing is left. Cancel safe.
    ///
    /// A record that can't be decoded is a message too, whose [`body`](super::ReceivedMessage::body) is an
    /// error.
    #[expect(clippy::should_implement_trait, reason = "what every async stream calls it")]
    pub fn next(&mut self) -> Next<'_> {
        Next { stream: self, waits: false }
    }

    /// Steers the consumer and looks at it.
    #[must_use]
    pub fn control(&self) -> ConsumerControl {
        self.subscription.control()
    }

    /// Closes the consumer within 30 s: nothing more comes, messages that were taken may be answered,
    /// offsets are committed. Cancel safe: it begins at once, and dropping the operation does not stop it.
    pub fn close(&self) -> Operation<CloseReport> {
        self.close_within(CLOSE_TIMEOUT)
    }

    /// As [`close`](Self::close), within `timeout`. Cancel safe.
    pub fn close_within(&self, timeout: Duration) -> Operation<CloseReport> {
        self.subscription.close(timeout)
    }
}

impl Clone for MessageStream {
    fn clone(&self) -> Self {
        Self::new(self.subscription.clone())
    }
}

impl Drop for MessageStream {
    fn drop(&mut self) {
        self.subscription.queue.leave(self.waiter);
    }
}

impl Stream for MessageStream {
    type Item = Delivered;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Delivered>> {
        let now = self.subscription.alive.0.spawn.now();
        let polled = self.subscription.queue.poll_next(self.waiter, cx, now);
        polled.map(|delivery| {
            let message = self.subscription.decoding.message(delivery?);
            Some(Delivered::new(message, &self.subscription.alive, &self.subscription.queue))
        })
    }
}

/// Waits for the next message of a [`MessageStream`].
#[derive(Debug)]
#[must_use = "await it, or call wait()"]
pub struct Next<'a> {
    stream: &'a mut MessageStream,
    /// It has a place among those that are to be woken.
    waits: bool,
}

impl Next<'_> {
    /// Blocks this thread until a message comes. For programs without an executor.
    #[must_use]
    pub fn wait(self) -> Option<Delivered> {
        let alive = self.stream.subscription.alive.clone();
        park::wait_for(Some(&alive.0), self)
    }
}

impl Future for Next<'_> {
    type Output = Option<Delivered>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let polled = Pin::new(&mut *self.stream).poll_next(cx);
        self.waits = polled.is_pending();
        polled
    }
}

impl Drop for Next<'_> {
    /// A wake-up that comes to it now, or has come already, belongs to another clone.
    fn drop(&mut self) {
        if self.waits {
            self.stream.subscription.queue.leave(self.stream.waiter);
        }
    }
}
