//! [`Delivered`]: a message to be answered by hand.

use alloc::sync::Arc;
use core::ops::Deref;
use core::time::Duration;

use super::super::exchange::Alive;
use super::super::mailbox::Urgent;
use super::super::run_queue::RunQueue;
use super::message::ReceivedMessage;
use crate::client::Input;
use crate::consumer::{Ack, ConsumeToken, Settled};

/// A message to be answered, within the consumer's `consume_timeout`. Dropped without an answer, it comes again.
#[derive(Debug)]
#[must_use = "dropped without an answer, the message comes again: call ack()"]
pub struct Delivered {
    message: ReceivedMessage,
    token: Option<ConsumeToken>,
    alive: Arc<Alive>,
    queue: Arc<RunQueue>,
}

impl Delivered {
    pub(super) fn new(message: ReceivedMessage, alive: &Arc<Alive>, queue: &Arc<RunQueue>) -> Self {
        let token = Some(message.token());
        Self { message, token, alive: alive.clone(), queue: queue.clone() }
    }

    /// It has been dealt with.
    pub fn ack(self) {
        self.settle(Ack::Done);
    }

    /// Bring it again later; the broker decides when.
    pub fn retry(self) {
        self.settle(Ack::Retry);
    }

    /// Bring it again after about this time.
    pub fn retry_after(self, delay: Duration) {
        self.settle(Ack::RetryAfter(delay));
    }

    /// Put it into the group's dead letters.
    pub fn dead_letter(self) {
        self.settle(Ack::DeadLetter);
    }

    /// Gives this answer.
    pub fn settle(mut self, ack: Ack) {
        self.answer(ack);
    }

    fn answer(&mut self, ack: Ack) {
        if let Some(token) = self.token.take() {
            push_answer(&self.alive, token, ack);
        }
    }
}

impl Drop for Delivered {
    /// A consumer that was dropped closes next: a retry, which the broker is asked for, would come too
    /// late and bring the message a second time.
    fn drop(&mut self) {
        match self.token.take() {
            Some(token) if self.queue.is_given_up() => {
                self.alive.0.push_urgent(Urgent::Input(Input::HandedBack { token }));
            }
            Some(token) => push_answer(&self.alive, token, Ack::Retry),
            None => {}
        }
    }
}

impl Deref for Delivered {
    type Target = ReceivedMessage;

    fn deref(&self) -> &ReceivedMessage {
        &self.message
    }
}

impl core::fmt::Display for Delivered {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        self.message.fmt(f)
    }
}

/// Answers for one delivery.
fn push_answer(alive: &Alive, token: ConsumeToken, ack: Ack) {
    alive.0.push_settled(core::iter::once(Settled::new(token, ack)));
}
