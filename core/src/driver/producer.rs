//! Producers: what is checked and compressed on the caller's side, and the sends.

mod batch;

use alloc::boxed::Box;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::compress::{self, Compression};
use super::exchange::{Alive, Turn};
use super::mailbox::Urgent;
use super::operation::Operation;
use super::queue_selector::{MessageView, QueueSelector};
use super::queued::Budget;
use crate::client::{Command, OutboundMessage, Owner, QueueChoice};
use crate::config::ProducerConfig;
use crate::error::{Error, Result, UsageError};
use crate::id::{OperationId, ProducerId};
use crate::message::{Message, MessageQueue, UNIQ_KEY_CHARS_MAX, check_topic, java_string_hash, sys_flag};
use crate::producer::{ProducerCommand, SendReceipt};

/// Sends messages. Cheap to clone; all clones are the same producer.
#[derive(Clone, Debug)]
pub struct Producer {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    alive: Arc<Alive>,
    id: ProducerId,
    config: Arc<ProducerConfig>,
    has_selector: bool,
}

impl Drop for Inner {
    /// The core may forget it, after what it was told to send.
    fn drop(&mut self) {
        let (producer, timeout) = (self.id, self.config.send_timeout);
        self.alive.0.submit_detached(false, |operation| {
            Command::Producer(producer, ProducerCommand::Close { operation, timeout })
        });
    }
}

impl Producer {
    /// Sends a message and ends when a broker has stored it. The message goes out at once; the
    /// operation only waits. When [too much](super::Limits) is under way it queues, first come first
    /// served; that wait is part of its [budget](ProducerBuilder::send_timeout).
    ///
    /// Cancel safe: dropped before the client has taken the message, it is never sent; dropped later, it
    /// is sent all the same, and how that ended is [counted](super::Client::detached_counts).
    ///
    /// ```no_run
    /// # use rocketmq_client_core::driver::prelude as rmq;
    /// # async fn send(producer: rmq::Producer) -> rmq::Result<()> {
    /// let receipt = producer.send(rmq::Message::new("TopicTest", "hello")).await?;
    /// println!("stored at {receipt}");
    /// # Ok(())
    /// # }
    /// ```
    pub fn send(&self, message: Message) -> Operation<SendReceipt> {
        self.submit(message, QueueChoice::RoundRobin)
    }

    /// Sends a message to this queue and no other; there is no second attempt. Cancel safe, as
    /// [`send`](Self::send).
    pub fn send_to(&self, message: Message, queue: MessageQueue) -> Operation<SendReceipt> {
        self.submit(message, QueueChoice::Queue(queue.into()))
    }

    /// Sends messages of the same key to the same queue, while the topic's queues stay the same;
    /// there is no second attempt. Cancel safe, as [`send`](Self::send). Java: `SelectMessageQueueByHash`.
    pub fn send_hashed(&self, message: Message, key: impl AsRef<str>) -> Operation<SendReceipt> {
        self.submit(message, QueueChoice::Hash(java_string_hash(key.as_ref())))
    }

    /// Sends a message to the queue that the producer's [selector](ProducerBuilder::queue_selector)
    /// chooses; there is no second attempt. A choice that is not in its list, or a panic, is
    /// [`Error::Usage`], and nothing was sent then. Cancel safe, as [`send`](Self::send).
    /// Java: `send(Message, MessageQueueSelector, Object)`.
    pub fn send_selected(&self, message: Message) -> Operation<SendReceipt> {
        if let Err(error) = self.check_selector() {
            return Operation::failed(error);
        }
        self.submit(message, QueueChoice::Select)
    }

    /// Sends a message if there is room for it now. What it gives is cancel safe, as [`send`](Self::send).
    ///
    /// # Errors
    /// [`Error::Full`] hands the message back.
    pub fn try_send(&self, message: Message) -> Result<Operation<SendReceipt>> {
        let shared = &self.inner.alive.0;
        let budget = self.budget();
        self.check(&message)?;
        let Some(cost) = shared.try_reserve(weight(&message))? else {
            return Err(Error::Full(Box::new(message)));
        };
        let message = match self.outbound(message) {
            Ok(message) => message,
            Err(error) => {
                shared.unreserve(cost);
                return Err(error);
            }
        };
        let submitted = shared.submit_reserved((cost, budget), |operation| {
            self.send_command(operation, message, QueueChoice::RoundRobin)
        })?;
        Ok(Operation::new(&self.inner.alive, Ok(submitted)))
    }

    /// Sends a message and ends when the socket has taken it; no broker says that it is stored.
    /// Cancel safe, as [`send`](Self::send).
    pub fn send_oneway(&self, message: Message) -> Operation<()> {
        let (producer, choice) = (self.inner.id, QueueChoice::RoundRobin);
        let submitted = self.prepare(message).and_then(|(turn, message)| {
            self.inner.alive.0.submit(turn, |operation| {
                Command::Producer(producer, ProducerCommand::SendOneway { operation, message, choice })
            })
        });
        Operation::new(&self.inner.alive, submitted)
    }

    /// Looks up where these topics live and begins to connect to their brokers, so that the first send to each is as fast as
    /// those that follow. Not needed otherwise. Ends when all routes are known; a topic that no name server has a route
    /// for, or time that is up, is [`Error::NotSent`] with the topic, within the time of a send
    /// ([`ProducerConfig::send_timeout`]). What was looked up stays for as long as the topics of sends do. Cancel safe:
    /// dropped, it is a look-up that nobody hears of. Java: the topics of `DefaultMQProducer`'s constructor.
    ///
    /// ```
    /// # async fn warm(producer: &rocketmq_client_core::driver::Producer) -> rocketmq_client_core::error::Result<()> {
    /// producer.warm_up(["orders", "audit"]).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn warm_up(&self, topics: impl IntoIterator<Item = impl Into<Arc<str>>>) -> Operation<()> {
        let topics: Vec<Arc<str>> = topics.into_iter().map(Into::into).collect();
        for topic in &topics {
            if let Err(reason) = check_topic(topic) {
                return Operation::failed(UsageError::Topic { topic: topic.clone(), reason }.into());
            }
        }
        let producer = self.inner.id;
        let submitted = self.inner.alive.0.submit(Turn::Now, |operation| {
            Command::Producer(producer, ProducerCommand::WarmUp { operation, topics })
        });
        Operation::new(&self.inner.alive, submitted)
    }

    /// Lets the sends that are under way end, for as long as a send may take, and forgets the
    /// producer. Dropping the last clone does the same without telling when it is done.
    ///
    /// Cancel safe: dropped before the client has taken it, the producer stays as it was.
    pub fn close(&self) -> Operation<()> {
        let (producer, timeout) = (self.inner.id, self.inner.config.send_timeout);
        let command = |operation| Command::Producer(producer, ProducerCommand::Close { operation, timeout });
        Operation::closing(&self.inner.alive, self.inner.alive.0.submit(Turn::Behind, command))
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &ProducerConfig {
        &self.inner.config
    }

    fn submit(&self, message: Message, choice: QueueChoice) -> Operation<SendReceipt> {
        let submitted = self.prepare(message).and_then(|(turn, message)| {
            self.inner.alive.0.submit(turn, |operation| self.send_command(operation, message, choice))
        });
        Operation::new(&self.inner.alive, submitted)
    }

    fn send_command(
        &self,
        operation: OperationId,
        message: Box<OutboundMessage>,
        choice: QueueChoice,
    ) -> Command {
        Command::Producer(self.inner.id, ProducerCommand::Send { operation, message, choice, timeout: None })
    }

    fn prepare(&self, message: Message) -> Result<(Turn, Box<OutboundMessage>)> {
        let budget = self.budget();
        self.check(&message)?;
        let message = self.outbound(message)?;
        let bytes = message.body.len() + message.properties.len();
        Ok((Turn::Messages { count: 1, bytes, budget }, message))
    }

    fn check_selector(&self) -> Result<()> {
        if self.inner.has_selector {
            return Ok(());
        }
        let group = self.inner.config.group.clone();
        Err(UsageError::NoQueueSelector { group }.into())
    }

    /// The time of a send that is called for now.
    fn budget(&self) -> Budget {
        Budget::new(self.inner.alive.0.spawn.now(), self.inner.config.send_timeout)
    }

    fn check(&self, message: &Message) -> Result<()> {
        message.validate(self.inner.config.message_bytes_max).map_err(|error| UsageError::from(error).into())
    }

    /// What goes to the core: compressed where it pays.
    fn outbound(&self, message: Message) -> Result<Box<OutboundMessage>> {
        let Message { topic, body, flag, properties, .. } = message;
        let (body, sys_flag) = self.compress(body)?;
        let mut properties = properties.into_string();
        // The core adds the unique key.
        properties.reserve(UNIQ_KEY_CHARS_MAX);
        Ok(Box::new(OutboundMessage { topic, body, flag, sys_flag, properties }))
    }

    /// Java: `DefaultMQProducerImpl#tryToCompressMessage`, which sends the larger body if compressing
    /// made it so; we send the smaller.
    fn compress(&self, body: Bytes) -> Result<(Bytes, i32)> {
        let config = &self.inner.config;
        if body.len() < config.compress_bytes_min {
            return Ok((body, 0));
        }
        let kind = config.compress_type;
        let compressed = compress::compress(kind, config.compress_level, &body)
            .map_err(|error| UsageError::Compress(error.to_string()))?;
        if compressed.len() >= body.len() {
            return Ok((body, 0));
        }
        Ok((Bytes::from(compressed), sys_flag::COMPRESSED | kind.bits()))
    }
}

/// What a message weighs before it is compressed.
fn weight(message: &Message) -> usize {
    message.body.len() + message.properties.as_str().len()
}

/// Settings of a producer, checked by [`build`](Self::build).
#[derive(Clone, Debug)]
#[must_use = "call build() to get the producer"]
pub struct ProducerBuilder {
    alive: Arc<Alive>,
    config: ProducerConfig,
    selector: Option<QueueSelector>,
}

impl ProducerBuilder {
    pub(crate) fn new(alive: Arc<Alive>, group: Arc<str>) -> Self {
        Self { alive, config: ProducerConfig::new(group), selector: None }
    }

    /// One budget for a send from the call on: its wait for its turn, route look-up, and all attempts.
    /// Default 3 s.
    pub fn send_timeout(mut self, timeout: Duration) -> Self {
        self.config.send_timeout = timeout;
        self
    }

    /// The part of the budget that one attempt may use. Default: half of what is left.
    pub fn send_attempt_timeout(mut self, timeout: Duration) -> Self {
        self.config.send_attempt_timeout = Some(timeout);
        self
    }

    /// Attempts after the first. Default 2.
    pub fn retry_times(mut self, times: u32) -> Self {
        self.config.retry_times = times;
        self
    }

    /// Also retry what was stored but not flushed or replicated in time. Default false.
    pub fn retry_when_not_store_ok(mut self, retry: bool) -> Self {
        self.config.retry_when_not_store_ok = retry;
        self
    }

    /// Queues of a topic that its first message creates. Default 4.
    pub fn default_topic_queue_nums(mut self, count: i32) -> Self {
        self.config.default_topic_queue_nums = count;
        self
    }

    /// The largest body of a message and of a batch, with what frames its messages. Default 4 MiB, the
    /// broker's own limit.
    pub fn message_bytes_max(mut self, bytes: usize) -> Self {
        self.config.message_bytes_max = bytes;
        self
    }

    /// Bodies of this size and more are compressed. Default 4,096 bytes.
    pub fn compress_bytes_min(mut self, bytes: usize) -> Self {
        self.config.compress_bytes_min = bytes;
        self
    }

    /// How they are compressed. Default zlib, which consumers of every age can inflate; LZ4 and zstd need
    /// consumers from 5.0 on. Java: `rocketmq.message.compressType`.
    pub fn compression(mut self, kind: Compression) -> Self {
        self.config.compress_type = kind;
        self
    }

    /// How hard compression tries: 0 to 9 for zlib, -7 to 22 for zstd; LZ4 has no levels. Default 5.
    /// Java: `rocketmq.message.compressLevel`.
    pub fn compress_level(mut self, level: i32) -> Self {
        self.config.compress_level = level;
        self
    }

    /// Avoid slow and failing brokers. Default false, as in Java.
    pub fn latency_fault_tolerance(mut self, on: bool) -> Self {
        self.config.latency_fault_tolerance = on;
        self
    }

    /// Chooses the queue of each message that is [sent by it](Producer::send_selected): an index into the
    /// queues, which are sorted by broker and number and are never none. Default: no selector.
    ///
    /// It is called by the client's own task, between two pieces of work: it must be quick and must not
    /// wait for anything. Java: `MessageQueueSelector`.
    ///
    /// ```no_run
    /// # use rocketmq_client_core::driver::prelude as rmq;
    /// # async fn send(client: rocketmq_client_core::driver::Client) -> rmq::Result<()> {
    /// let producer = client
    ///     .producer("demo-producers")
    ///     .queue_selector(|message, queues| match message.tags() {
    ///         Some("urgent") => 0,
    ///         _ => queues.len() - 1,
    ///     })
    ///     .build()?;
    /// producer.send_selected(rmq::Message::new("TopicTest", "hello").tag("urgent")).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn queue_selector<F>(mut self, select: F) -> Self
    where
        F: Fn(&MessageView<'_>, &[Arc<MessageQueue>]) -> usize + Send + Sync + 'static,
    {
        self.selector = Some(QueueSelector::new(select));
        self
    }

    /// All other settings.
    pub fn configure(mut self, change: impl FnOnce(&mut ProducerConfig)) -> Self {
        change(&mut self.config);
        self
    }

    /// The producer. Nothing is sent yet, so it does not wait.
    ///
    /// # Errors
    /// A setting that can't work, or a client that has closed.
    pub fn build(self) -> Result<Producer> {
        self.config.validate()?;
        let config = Arc::new(self.config);
        let id = ProducerId(self.alive.0.next_producer());
        let has_selector = self.selector.is_some();
        if let Some(selector) = self.selector {
            // It goes ahead of the producer, so that no question comes before it.
            self.alive.0.push_urgent(Urgent::Responder(Owner::Producer(id), Arc::new(selector)));
        }
        self.alive
            .0
            .push_command(Command::Producer(id, ProducerCommand::Create { config: config.clone() }))?;
        Ok(Producer { inner: Arc::new(Inner { alive: self.alive, id, config, has_selector }) })
    }
}
