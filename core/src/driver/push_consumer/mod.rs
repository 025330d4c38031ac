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
mod control;
mod decoding;
mod handler;
mod message;
mod run;
mod stream;
mod subscription;
mod workers;

use alloc::sync::Arc;
use core::future::Future;
use core::time::Duration;

pub use self::batch::Batch;
pub use self::control::ConsumerControl;
pub use self::message::{ReceivedMessage, UndecodableBody};
pub use self::run::Run;
pub use self::stream::{Delivered, MessageStream, Next};
pub use self::workers::PushConsumer;

use self::decoding::UndecodableHook;
use self::subscription::Subscription;
use super::operation::{Operation, Starting};
use super::shared::Alive;
use crate::config::{ConsumeFrom, PushConsumerConfig};
use crate::consumer::{Ack, CloseReport};
use crate::error::Result;
use crate::id::ConsumerId;

/// Settings of a push consumer, checked when it starts.
#[derive(Clone, Debug)]
#[must_use = "call run(), workers(), run_on_threads() or stream() to consume"]
pub struct PushConsumerBuilder {
    alive: Arc<Alive>,
    config: PushConsumerConfig,
    on_undecodable: Option<UndecodableHook>,
}

impl PushConsumerBuilder {
    pub(super) fn new(alive: Arc<Alive>, group: Arc<str>) -> Self {
        Self { alive, config: PushConsumerConfig::new(group), on_undecodable: None }
    }

    /// Adds a topic: `*` for all its messages, or tags as `TagA || TagB`.
    pub fn subscribe(mut self, topic: impl Into<Arc<str>>, expression: impl Into<Arc<str>>) -> Self {
        self.config.subscriptions.insert(topic.into(), expression.into());
        self
    }

    /// Where the group starts on a queue that it has no offset for. Default: at the end.
    pub fn consume_from(mut self, from: ConsumeFrom) -> Self {
        self.config.consume_from = from;
        self
    }

    /// How often a message is tried again before it goes to the dead letters. Default 16.
    pub fn max_reconsume_times(mut self, times: i32) -> Self {
        self.config.max_reconsume_times = times;
        self
    }

    /// Messages a pull may bring. Default 32.
    pub fn pull_batch_size(mut self, messages: i32) -> Self {
        self.config.pull_batch_size = messages;
        self
    }

    /// Decides about messages that can't be decoded: the record can't be read, its CRC is wrong, or its body
    /// can't be inflated. Called instead of the handler, where the handler would run, with a message whose
    /// [`body`](ReceivedMessage::body) is the error. Its neighbours arrive either way.
    ///
    /// Default: [`Ack::DeadLetter`], and a warning in the log. A panic counts as that too. Streams show such
    /// messages and don't call this.
    ///
    /// ```no_run
    /// # use rocketmq_client_core::driver::prelude as rmq;
    /// # fn settings(client: rocketmq_client_core::driver::Client) {
    /// client.push_consumer("demo-consumers").subscribe("TopicTest", "*").on_undecodable(|message| {
    ///     eprintln!("skipped: {message}");
    ///     rmq::Ack::Done
    /// });
    /// # }
    /// ```
    pub fn on_undecodable<F>(mut self, decide: F) -> Self
    where
        F: Fn(&ReceivedMessage) -> Ack + Send + Sync + 'static,
    {
        self.on_undecodable = Some(UndecodableHook::new(decide));
        self
    }

    /// How large an inflated body may be; a larger one can't be decoded. Default 32 MiB.
    pub fn inflated_bytes_max(mut self, bytes: usize) -> Self {
        self.config.inflated_bytes_max = bytes;
        self
    }

    /// How long a handler may have a message before it is sent back and comes again. Default 15 minutes.
    pub fn consume_timeout(mut self, timeout: Duration) -> Self {
        self.config.consume_timeout = timeout;
        self
    }

    /// All settings.
    pub fn configure(mut self, change: impl FnOnce(&mut PushConsumerConfig)) -> Self {
        change(&mut self.config);
        self
    }

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

    /// As the consumer `id`, where that was given already.
    fn start(self, id: Option<ConsumerId>) -> Result<(Arc<Subscription>, Operation<()>)> {
        let id = id.unwrap_or_else(|| ConsumerId(self.alive.0.next_consumer()));
        Subscription::start(id, self.alive, self.config, self.on_undecodable)
    }
}
