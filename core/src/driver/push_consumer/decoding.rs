//! What becomes of messages that can't be decoded: a word to the operator, a call of the user's, an answer.

use super::super::std;
use alloc::string::ToString;
use alloc::sync::Arc;
use core::fmt;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use super::super::host::Spawn;
use super::super::lock;
use super::super::run_queue::{LARGE_BYTES, RunQueue};
use super::message::ReceivedMessage;
use crate::consumer::{Ack, Delivery};
use crate::lines::{Brief, LogLines};

type Decide = dyn Fn(&ReceivedMessage) -> Ack + Send + Sync;

/// A user's function that decides about undecodable messages.
#[derive(Clone)]
pub(super) struct UndecodableHook(Arc<Decide>);

impl UndecodableHook {
    pub(super) fn new(decide: impl Fn(&ReceivedMessage) -> Ack + Send + Sync + 'static) -> Self {
        Self(Arc::new(decide))
    }
}

impl fmt::Debug for UndecodableHook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UndecodableHook")
    }
}

/// How deliveries of one consumer become messages; whoever takes one from the run queue does that.
pub(super) struct Decoding {
    pub(super) group: Arc<str>,
    pub(super) inflated_bytes_max: usize,
    pub(super) hook: Option<UndecodableHook>,
    pub(super) queue: Arc<RunQueue>,
    pub(super) spawn: Arc<dyn Spawn>,
    /// Counts the lines that whoever sends messages can cause, over all consumers of the client.
    pub(super) lines: Arc<Mutex<LogLines>>,
}

impl fmt::Debug for Decoding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Decoding").field("group", &self.group).finish_non_exhaustive()
    }
}

impl Decoding {
    /// The message, whether its body can be decoded or not. One that is large when it is inflated costs its
    /// queue the next turns.
    pub(super) fn message(&self, delivery: Delivery) -> ReceivedMessage {
        let queue = delivery.token.queue;
        let (message, inflated) = ReceivedMessage::new(delivery, self.inflated_bytes_max);
        if let Some(inflated) = inflated.filter(|inflated| inflated.inflated >= LARGE_BYTES) {
            self.queue.charge(queue, inflated.stored, inflated.inflated);
        }
        message
    }

    /// The message for a handler.
    ///
    /// # Errors
    /// Its body can't be decoded; the answer to be given.
    pub(super) fn for_handler(&self, delivery: Delivery) -> Result<ReceivedMessage, Ack> {
        let message = self.message(delivery);
        let Err(error) = message.body() else { return Ok(message) };
        let ack = self.decide(&message);
        if self.may_log() {
            let (group, offset) = (&*self.group, message.queue_offset());
            let (topic, queue) = (message.topic(), message.queue().to_string());
            let (topic, queue, error) = (Brief(topic), Brief(&queue), error.to_string());
            let error = Brief(&error);
            tracing::warn!(group, %topic, %queue, offset, %error, ?ack, "a message can't be decoded");
        }
        Err(ack)
    }

    /// A panic of a handler means that what it had not answered comes again.
    pub(super) fn panicked(&self, offset: Option<i64>) -> Ack {
        if self.may_log() {
            let group = &*self.group;
            tracing::warn!(group, offset, "a handler panicked; what it had not answered comes again later");
        }
        Ack::Retry
    }

    /// Whether a line about a message or about user code may be written now.
    pub(super) fn may_log(&self) -> bool {
        let now = self.spawn.now();
        lock(&self.lines).may(now)
    }

    fn decide(&self, message: &ReceivedMessage) -> Ack {
        let Some(UndecodableHook(decide)) = &self.hook else { return Ack::DeadLetter };
        catch_unwind(AssertUnwindSafe(|| decide(message))).unwrap_or_else(|_| {
            if self.may_log() {
                let group = &*self.group;
                tracing::warn!(group, "on_undecodable panicked; the message goes to the dead letters");
            }
            Ack::DeadLetter
        })
    }
}
