//! Push consumers: their settings, and the ways in which user code gets messages.
//!
//! | way | handlers run | for |
//! |---|---|---|
//! | [`run`](PushConsumerBuilder::run) | inside the caller's future; may borrow | most programs |
//! | [`workers`](PushConsumerBuilder::workers) | as tasks of the host | handlers that compute |
//! | [`run_on_threads`](PushConsumerBuilder::run_on_threads) | on threads of their own | programs without an executor |
//! | [`stream`](PushConsumerBuilder::stream) | wherever messages are taken | everything else |
//!
//! The first three also come with several messages a call: [`run_batch`](PushConsumerBuilder::run_batch) and
//! its siblings. A [`ConsumerControl`] changes how many handlers run, suspends and resumes, and tells how
//! the consumer is.

mod batch;
mod builder;
mod control;
mod decoding;
mod delivered;
mod handler;
mod message;
mod run;
mod stream;
mod subscription;
mod workers;

pub use self::batch::Batch;
pub use self::builder::PushConsumerBuilder;
pub use self::control::ConsumerControl;
pub use self::delivered::Delivered;
pub use self::message::{ReceivedMessage, UndecodableBody};
pub use self::run::Run;
pub use self::stream::{MessageStream, Next};
pub use self::workers::PushConsumer;

use alloc::sync::Arc;
use core::future::Future;

use self::subscription::Subscription;
use super::operation::Starting;
use crate::consumer::{Ack, CloseReport};
use crate::error::Result;

/// The ways in which user code gets messages.
impl PushConsumerBuilder {
    /// Consumes inside the future that is returned: it starts the consumer, calls `handler` for each
    /// message, at most [`concurrency`](Run::concurrency) at a time, and ends with a report when the
    /// consumer was closed, which [`until`](Run::until) does.
    ///
    /// A handler that panics counts as [`Ack::Retry`]. A message whose body can't be decoded goes to
    /// the dead letters without a call, unless [`on_undecodable`](Self::on_undecodable) decides otherwise.
    ///
    /// Cancel safe: dropping the future closes the consumer with deadline zero; messages whose handlers
    /// run then come again.
    ///
    /// ```no_run
    /// # use rocketmq_client_core::driver::prelude as rmq;
    /// # async fn consume(client: rocketmq_client_core::driver::Client, stop: impl Future) -> rmq::Result<()> {
    /// client
    ///     .push_consumer("demo-consumers")
    ///     .subscribe("TopicTest", "*")
    ///     .run(async |message| {
    ///         println!("{message}");
    ///         rmq::Ack::Done
    ///     })
    ///     .until(stop)
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn run<F>(self, handler: F) -> Run<impl Future<Output = Result<CloseReport>> + use<F>>
    where
        F: AsyncFn(ReceivedMessage) -> Ack,
    {
        Run::new(self, handler)
    }

    /// As [`run`](Self::run), but calls `handler` with up to `messages_max` messages of one queue at a time,
    /// as many as wait for a handler just then. Each message is answered by itself; what is dropped
    /// without an answer comes again. Java: `consumeMessageBatchMaxSize`, where one answer counts for all
    /// messages behind `ackIndex`. Cancel safe.
    ///
    /// ```no_run
    /// # use rocketmq_client_core::driver::prelude as rmq;
    /// # async fn store(message: &rmq::ReceivedMessage) -> bool { true }
    /// # async fn consume(client: rocketmq_client_core::driver::Client) -> rmq::Result<()> {
    /// # use std::time::Duration;
    /// client
    ///     .push_consumer("demo-consumers")
    ///     .subscribe("TopicTest", "*")
    ///     .run_batch(32, async |batch| {
    ///         for message in batch {
    ///             if store(&message).await { message.ack() } else { message.retry_after(Duration::from_secs(10)) }
    ///         }
    ///     })
    ///     .await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn run_batch<F>(
        self,
        messages_max: usize,
        handler: F,
    ) -> Run<impl Future<Output = Result<CloseReport>> + use<F>>
    where
        F: AsyncFn(Batch),
    {
        Run::in_batches(self, messages_max.max(1), handler)
    }

    /// As [`workers`](Self::workers), with batches as [`run_batch`](Self::run_batch) has them. Cancel
    /// safe.
    pub fn workers_batch<F, Fut>(
        self,
        count: usize,
        messages_max: usize,
        handler: F,
    ) -> Starting<PushConsumer>
    where
        F: Fn(Batch) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        self.start_workers(|subscription| {
            workers::spawn_batches(subscription, count, messages_max.max(1), Arc::new(handler))
        })
    }

    /// As [`run_on_threads`](Self::run_on_threads), with batches as [`run_batch`](Self::run_batch) has them. Cancel
    /// safe.
    pub fn run_batch_on_threads<F>(
        self,
        count: usize,
        messages_max: usize,
        handler: F,
    ) -> Starting<PushConsumer>
    where
        F: Fn(Batch) + Send + Sync + 'static,
    {
        self.start_workers(|subscription| {
            workers::spawn_batch_threads(subscription, count, messages_max.max(1), Arc::new(handler))
        })
    }

    /// Consumes by `count` tasks of the host, each of which calls `handler` for one message at a time.
    /// Ends when the consumer has started. Panics and undecodable bodies as with [`run`](Self::run).
    ///
    /// Cancel safe: dropped before it ends, the consumer is closed with deadline zero.
    pub fn workers<F, Fut>(self, count: usize, handler: F) -> Starting<PushConsumer>
    where
        F: Fn(ReceivedMessage) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Ack> + Send + 'static,
    {
        self.start_workers(|subscription| workers::spawn(subscription, count, Arc::new(handler)))
    }

    /// Consumes on `count` threads, each of which calls `handler` for one message at a time. The threads are the
    /// consumer's own, named after its group, at most 1,000, and end with it. Ends when the consumer has started.
    /// Panics and undecodable bodies as with [`run`](Self::run).
    ///
    /// Cancel safe: dropped before it ends, the consumer is closed with deadline zero.
    pub fn run_on_threads<F>(self, count: usize, handler: F) -> Starting<PushConsumer>
    where
        F: Fn(ReceivedMessage) -> Ack + Send + Sync + 'static,
    {
        self.start_workers(|subscription| workers::spawn_threads(subscription, count, Arc::new(handler)))
    }

    fn start_workers(self, workers: impl FnOnce(&Subscription) -> Result<()>) -> Starting<PushConsumer> {
        let started = self.start(None).and_then(|(subscription, starting)| {
            workers(&subscription)?;
            Ok(Starting::new(starting, PushConsumer::new(subscription)))
        });
        started.unwrap_or_else(Starting::failed)
    }

    /// Consumes by hand: each message is taken from the stream and answered with
    /// [`Delivered::ack`] or one of its siblings. Ends when the consumer has started.
    ///
    /// Cancel safe: dropped before it ends, the consumer is closed with deadline zero.
    pub fn stream(self) -> Starting<MessageStream> {
        match self.start(None) {
            Ok((subscription, starting)) => Starting::new(starting, MessageStream::new(subscription)),
            Err(error) => Starting::failed(error),
        }
    }
}
