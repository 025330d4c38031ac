//! Push consumers: their settings, and the ways in which user code gets messages.
//!
//! | way | handlers run | for |
//! |---|---|---|
//! | [`run`](PushConsumerBuilder::run) | inside the caller's future; may borrow | most programs |
//! | [`workers`](PushConsumerBuilder::workers) | as tasks of the host | handlers that compute |
//! | [`run_on_threads`](PushConsumerBuilder::run_on_threads) | on threads of their own | programs without an executor |
//! | [`stream`](PushConsumerBuilder::stream) | wherever messages are taken | everything else |

mod decoding;
mod message;
mod run;
mod stream;
mod subscription;
mod workers;

use alloc::sync::Arc;
use core::future::Future;

pub use self::message::{ReceivedMessage, UndecodableBody};
pub use self::run::Run;
pub use self::stream::{Delivered, MessageStream, Next};
pub use self::workers::PushConsumer;

use self::decoding::{Decoding, UndecodableHook};
use self::subscription::Subscription;
use super::operation::{Operation, Starting};
use super::shared::Alive;
use crate::config::{ConsumeFrom, PushConsumerConfig};
use crate::consumer::{Ack, CloseReport};
use crate::error::Result;

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

    /// Deliveries before a message goes to the dead letters. Default 16.
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
    /// # fn settings(client: rocketmq_client_core::driver::Client) {
    /// # use rocketmq_client_core::consumer::Ack;
    /// client.push_consumer("demo-consumers").subscribe("TopicTest", "*").on_undecodable(|message| {
    ///     eprintln!("skipped: {message}");
    ///     Ack::Done
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
    /// the dead letters without a call, unless [`on_undecodable`](Self::on_undecodable) decides otherwise. Dropping the future closes the consumer with deadline zero;
    /// messages whose handlers run then come again.
    ///
    /// ```no_run
    /// # async fn consume(client: rocketmq_client_core::driver::Client, stop: impl Future) -> rocketmq_client_core::error::Result<()> {
    /// # use rocketmq_client_core::consumer::Ack;
    /// client
    ///     .push_consumer("demo-consumers")
    ///     .subscribe("TopicTest", "*")
    ///     .run(async |message| {
    ///         println!("{message}");
    ///         Ack::Done
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

    /// Consumes by `count` tasks of the host, each of which calls `handler` for one message at a time.
    /// Ends when the consumer has started. Panics and undecodable bodies as with [`run`](Self::run).
    pub fn workers<F, Fut>(self, count: usize, handler: F) -> Starting<PushConsumer>
    where
        F: Fn(ReceivedMessage) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Ack> + Send + 'static,
    {
        let (subscription, starting) = match self.start() {
            Ok(started) => started,
            Err(error) => return Starting::failed(error),
        };
        workers::spawn(&subscription, count.max(1), Arc::new(handler));
        Starting::new(starting, PushConsumer::new(subscription))
    }

    /// Consumes on `count` threads of the host, each of which calls `handler` for one message at a time. Ends
    /// when the consumer has started. Panics and undecodable bodies as with [`run`](Self::run).
    pub fn run_on_threads<F>(self, count: usize, handler: F) -> Starting<PushConsumer>
    where
        F: Fn(ReceivedMessage) -> Ack + Send + Sync + 'static,
    {
        let (subscription, starting) = match self.start() {
            Ok(started) => started,
            Err(error) => return Starting::failed(error),
        };
        workers::spawn_threads(&subscription, count.max(1), Arc::new(handler));
        Starting::new(starting, PushConsumer::new(subscription))
    }

    /// Consumes by hand: each message is taken from the stream and answered with
    /// [`Delivered::ack`] or one of its siblings. Ends when the consumer has started.
    pub fn stream(self) -> Starting<MessageStream> {
        match self.start() {
            Ok((subscription, starting)) => Starting::new(starting, MessageStream::new(subscription)),
            Err(error) => Starting::failed(error),
        }
    }

    fn start(self) -> Result<(Arc<Subscription>, Operation<()>)> {
        let decoding = Decoding {
            group: self.config.group.clone(),
            inflated_bytes_max: self.config.inflated_bytes_max,
            hook: self.on_undecodable,
        };
        Subscription::start(self.alive, self.config, decoding)
    }
}
