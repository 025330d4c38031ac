//! Several messages at once, each answered by itself.

use alloc::vec::{self, Vec};
use core::ops::Deref;

use super::delivered::Delivered;
use crate::consumer::Ack;

/// Messages of one queue, in the order of their offsets, for one call of a handler. Each is answered by
/// itself, as soon as it is dealt with; those that are dropped without an answer come again, also when
/// the handler panics.
///
/// ```no_run
/// # use rocketmq_client_core::driver::prelude as rmq;
/// # async fn store(messages: &rmq::Batch) -> bool { true }
/// # async fn handle(batch: rmq::Batch) {
/// if store(&batch).await {
///     batch.ack_all();
/// } // else all come again
/// # }
/// ```
#[derive(Debug)]
#[must_use = "dropped without answers, the messages come again"]
pub struct Batch {
    messages: Vec<Delivered>,
}

impl Batch {
    pub(super) fn new(messages: Vec<Delivered>) -> Self {
        Self { messages }
    }

    /// All have been dealt with.
    pub fn ack_all(self) {
        self.settle_all(Ack::Done);
    }

    /// Gives the same answer for all.
    pub fn settle_all(self, ack: Ack) {
        self.messages.into_iter().for_each(|message| message.settle(ack));
    }
}

impl Deref for Batch {
    type Target = [Delivered];

    fn deref(&self) -> &[Delivered] {
        &self.messages
    }
}

impl IntoIterator for Batch {
    type Item = Delivered;
    type IntoIter = vec::IntoIter<Delivered>;

    fn into_iter(self) -> Self::IntoIter {
        self.messages.into_iter()
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = &'a Delivered;
    type IntoIter = core::slice::Iter<'a, Delivered>;

    fn into_iter(self) -> Self::IntoIter {
        self.messages.iter()
    }
}
