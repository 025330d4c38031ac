//! [`PushConsumerBuilder`]: the settings of a push consumer.

use alloc::sync::Arc;
use core::time::Duration;

use super::super::exchange::Alive;
use super::super::operation::Operation;
use super::decoding::UndecodableHook;
use super::message::ReceivedMessage;
use super::subscription::Subscription;
use crate::config::{ConsumeFrom, PushConsumerConfig};
use crate::consumer::Ack;
use crate::error::Result;
use crate::id::ConsumerId;

/// Settings of a push consumer, checked when it starts.
#[derive(Clone, Debug)]
#[must_use = "call run(), workers(), run_on_threads() or stream() to consume"]
pub struct PushConsumerBuilder {
    pub(super) alive: Arc<Alive>,
    config: PushConsumerConfig,
    on_undecodable: Option<UndecodableHook>,
}

impl PushConsumerBuilder {
    pub(in super::super) fn new(alive: Arc<Alive>, group: Arc<str>) -> Self {
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

    /// As the consumer `id`, where that was given already.
    pub(super) fn start(self, id: Option<ConsumerId>) -> Result<(Arc<Subscription>, Operation<()>)> {
        let id = id.unwrap_or_else(|| ConsumerId(self.alive.0.next_consumer()));
        Subscription::start(id, self.alive, self.config, self.on_undecodable)
    }
}
