//! What becomes of messages that can't be decoded: a word to the operator, a call of the user's, an answer.

use super::super::std;
use alloc::sync::Arc;
use core::fmt;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::message::ReceivedMessage;
use crate::consumer::{Ack, Delivery};

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
#[derive(Debug)]
pub(super) struct Decoding {
    pub(super) group: Arc<str>,
    pub(super) inflated_bytes_max: usize,
    pub(super) hook: Option<UndecodableHook>,
}

impl Decoding {
    /// The message, whether its body can be decoded or not.
    pub(super) fn message(&self, delivery: Delivery) -> ReceivedMessage {
        ReceivedMessage::new(delivery, self.inflated_bytes_max)
    }

    /// The message for a handler.
    ///
    /// # Errors
    /// Its body can't be decoded; the answer to be given.
    pub(super) fn for_handler(&self, delivery: Delivery) -> Result<ReceivedMessage, Ack> {
        let message = self.message(delivery);
        let Err(error) = message.body() else { return Ok(message) };
        let ack = self.decide(&message);
        let (group, topic, queue) = (&*self.group, &**message.topic(), message.queue());
        let offset = message.queue_offset();
        tracing::warn!(group, topic, %queue, offset, %error, ?ack, "a message can't be decoded");
        Err(ack)
    }

    fn decide(&self, message: &ReceivedMessage) -> Ack {
        let Some(UndecodableHook(decide)) = &self.hook else { return Ack::DeadLetter };
        catch_unwind(AssertUnwindSafe(|| decide(message))).unwrap_or_else(|_| {
            tracing::warn!(
                group = &*self.group,
                "on_undecodable panicked; the message goes to the dead letters"
            );
            Ack::DeadLetter
        })
    }
}
