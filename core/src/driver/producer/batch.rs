//! Several messages in one request.

use alloc::vec::Vec;

use super::{Operation, Producer, Turn, UsageError};
use crate::client::{Command, QueueChoice};
use crate::error::Result;
use crate::message::{Batches, Message, MessageQueue, batches, java_string_hash, validate_batch};
use crate::producer::{BatchReceipt, ProducerCommand};

impl Producer {
    /// Sends messages as one batch, and ends when a broker has stored them: all of them, in their order and
    /// one behind the other in one queue, or none. Several times cheaper a message than
    /// [`send`](Self::send) each. Otherwise as `send`: the same budget, the same attempts, and each message
    /// keeps its unique key over all of them. A batch takes the [room](super::super::Limits) of its messages.
    ///
    /// All messages have one topic and one `wait_store_ok`, none is delayed, and together they take no more
    /// than [`message_bytes_max`](super::ProducerBuilder::message_bytes_max); otherwise it is
    /// [`Error::Usage`](crate::error::Error::Usage) and nothing was sent. [`batches`](Self::batches) cuts
    /// a list so that it fits. Batches are not compressed.
    ///
    /// Messages are taken by value or by reference; clones of a message share its body.
    ///
    /// Cancel safe, as [`send`](Self::send). Java: `send(Collection<Message>)`.
    ///
    /// ```no_run
    /// # use rocketmq_client_core::driver::prelude as rmq;
    /// # async fn send(producer: rmq::Producer) -> rmq::Result<()> {
    /// let batch = producer.send_batch((0..32).map(|n| rmq::Message::new("TopicTest", format!("hello {n}")))).await?;
    /// println!("stored at {batch}");
    /// for receipt in &batch {
    ///     println!("{} is at {}", receipt.message_id, receipt.queue_offset);
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub fn send_batch<M: Into<Message>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Operation<BatchReceipt> {
        self.submit_batch(messages, QueueChoice::RoundRobin)
    }

    /// Sends a batch to this queue and no other; there is no second attempt. Otherwise as
    /// [`send_batch`](Self::send_batch); cancel safe. Java: `send(Collection<Message>, MessageQueue)`.
    pub fn send_batch_to<M: Into<Message>>(
        &self,
        messages: impl IntoIterator<Item = M>,
        queue: MessageQueue,
    ) -> Operation<BatchReceipt> {
        self.submit_batch(messages, QueueChoice::Queue(queue.into()))
    }

    /// Sends a batch to the queue of its key, the one that [`send_hashed`](Self::send_hashed) takes; there is
    /// no second attempt. Otherwise as [`send_batch`](Self::send_batch); cancel safe.
    pub fn send_batch_hashed<M: Into<Message>>(
        &self,
        messages: impl IntoIterator<Item = M>,
        key: impl AsRef<str>,
    ) -> Operation<BatchReceipt> {
        self.submit_batch(messages, QueueChoice::Hash(java_string_hash(key.as_ref())))
    }

    /// Sends a batch to the queue that the producer's [selector](super::ProducerBuilder::queue_selector)
    /// chooses for its first message; there is no second attempt. Otherwise as
    /// [`send_batch`](Self::send_batch), with the errors of [`send_selected`](Self::send_selected); cancel
    /// safe.
    pub fn send_batch_selected<M: Into<Message>>(
        &self,
        messages: impl IntoIterator<Item = M>,
    ) -> Operation<BatchReceipt> {
        if let Err(error) = self.check_selector() {
            return Operation::failed(error);
        }
        self.submit_batch(messages, QueueChoice::Select)
    }

    /// Cuts a list into batches that [`send_batch`](Self::send_batch) takes, in its order: a new one begins
    /// where the next message would make it too large, or is of another topic, or has another
    /// `wait_store_ok`.
    ///
    /// ```no_run
    /// # use rocketmq_client_core::driver::prelude as rmq;
    /// # async fn send(producer: rmq::Producer) -> rmq::Result<()> {
    /// let messages: Vec<_> = (0..10_000).map(|n| rmq::Message::new("TopicTest", vec![7; n])).collect();
    /// for batch in producer.batches(&messages) {
    ///     producer.send_batch(batch).await?;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[must_use]
    pub fn batches<'m>(&self, messages: &'m [Message]) -> Batches<'m> {
        batches(messages, self.inner.config.message_bytes_max)
    }

    fn submit_batch<M: Into<Message>>(
        &self,
        messages: impl IntoIterator<Item = M>,
        choice: QueueChoice,
    ) -> Operation<BatchReceipt> {
        let budget = self.budget();
        let messages: Vec<Message> = messages.into_iter().map(Into::into).collect();
        let submitted = self.check_batch(&messages).and_then(|bytes| {
            let (producer, turn) = (self.inner.id, Turn::Messages { count: messages.len(), bytes, budget });
            self.inner.alive.0.submit(turn, |operation| {
                Command::Producer(
                    producer,
                    ProducerCommand::SendBatch { operation, messages, choice, timeout: None },
                )
            })
        });
        Operation::new(&self.inner.alive, submitted)
    }

    fn check_batch(&self, messages: &[Message]) -> Result<usize> {
        let checked = validate_batch(messages, self.inner.config.message_bytes_max);
        checked.map_err(|error| UsageError::from(error).into())
    }
}
