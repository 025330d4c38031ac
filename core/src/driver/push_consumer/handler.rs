//! How handlers are called: with each message, or with several at once.

use super::super::std;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;
use core::task::{Context, Poll};

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::mailbox::Settled;
use super::super::run_queue::{RunQueue, WaiterId};
use super::super::shared::Alive;
use super::batch::Batch;
use super::decoding::Decoding;
use super::message::ReceivedMessage;
use super::stream::Delivered;
use crate::consumer::{Ack, ConsumeToken, Delivery};
use crate::time::Instant;

/// Whose messages they are.
pub(super) struct Source<'a> {
    pub(super) alive: &'a Arc<Alive>,
    pub(super) queue: &'a Arc<RunQueue>,
    pub(super) decoding: &'a Decoding,
}

/// What is called.
pub(super) trait Handler {
    /// A call.
    type Call: Future;

    /// Moves what there is room for into `batch`: `room` is how many calls may begin.
    fn take(
        &self,
        source: &Source<'_>,
        waiter: WaiterId,
        cx: &Context<'_>,
        room: usize,
        batch: &mut VecDeque<Delivery>,
    ) -> Poll<bool>;

    /// Begins a call with what stands first in `batch`, and takes it out. The token is the one that the
    /// end of the call answers. `None` when no call came of it; then `settled` has the answers.
    fn begin(
        &mut self,
        source: &Source<'_>,
        batch: &mut VecDeque<Delivery>,
        settled: &mut Vec<Settled>,
    ) -> Option<(Option<ConsumeToken>, Self::Call)>;

    /// What the end of a call says.
    fn answer(output: <Self::Call as Future>::Output) -> Ack;
}

/// A call for each message.
pub(super) struct Each<F>(pub(super) F);

/// A call for at most so many messages of one queue.
pub(super) struct Several<F> {
    pub(super) messages_max: usize,
    pub(super) handler: F,
}

impl<F, Fut> Handler for Each<F>
where
    F: FnMut(ReceivedMessage) -> Fut,
    Fut: Future<Output = Ack>,
{
    type Call = Fut;

    fn take(
        &self,
        source: &Source<'_>,
        waiter: WaiterId,
        cx: &Context<'_>,
        room: usize,
        batch: &mut VecDeque<Delivery>,
    ) -> Poll<bool> {
        source.queue.poll_batch(waiter, cx, (source.now(), room), batch)
    }

    fn begin(
        &mut self,
        source: &Source<'_>,
        batch: &mut VecDeque<Delivery>,
        settled: &mut Vec<Settled>,
    ) -> Option<(Option<ConsumeToken>, Fut)> {
        let delivery = batch.pop_front()?;
        let token = delivery.token;
        let message = match source.decoding.for_handler(delivery) {
            Ok(message) => message,
            Err(ack) => {
                settled.push((token, ack));
                return None;
            }
        };
        match catch_unwind(AssertUnwindSafe(|| (self.0)(message))) {
            Ok(call) => Some((Some(token), call)),
            Err(_) => {
                settled.push((token, panicked(&source.decoding.group, Some(token))));
                None
            }
        }
    }

    fn answer(ack: Ack) -> Ack {
        ack
    }
}

impl<F, Fut> Handler for Several<F>
where
    F: FnMut(Batch) -> Fut,
    Fut: Future<Output = ()>,
{
    type Call = Fut;

    fn take(
        &self,
        source: &Source<'_>,
        waiter: WaiterId,
        cx: &Context<'_>,
        _room: usize,
        batch: &mut VecDeque<Delivery>,
    ) -> Poll<bool> {
        source.queue.poll_batch_of_one_queue(waiter, cx, (source.now(), self.messages_max), batch)
    }

    fn begin(
        &mut self,
        source: &Source<'_>,
        batch: &mut VecDeque<Delivery>,
        settled: &mut Vec<Settled>,
    ) -> Option<(Option<ConsumeToken>, Fut)> {
        let batch = source.batch(batch, settled)?;
        match catch_unwind(AssertUnwindSafe(|| (self.handler)(batch))) {
            Ok(call) => Some((None, call)),
            Err(_) => {
                panicked(&source.decoding.group, None);
                None
            }
        }
    }

    /// Each message has its own answer.
    fn answer((): ()) -> Ack {
        Ack::Done
    }
}

impl Source<'_> {
    fn now(&self) -> Instant {
        self.alive.0.spawn.now()
    }

    /// The messages that can be decoded; the others are answered for. `None` when there is none.
    pub(super) fn batch(&self, batch: &mut VecDeque<Delivery>, settled: &mut Vec<Settled>) -> Option<Batch> {
        let mut messages = Vec::with_capacity(batch.len());
        for delivery in batch.drain(..) {
            let token = delivery.token;
            match self.decoding.for_handler(delivery) {
                Ok(message) => messages.push(Delivered::new(message, self.alive, self.queue)),
                Err(ack) => settled.push((token, ack)),
            }
        }
        (!messages.is_empty()).then(|| Batch::new(messages))
    }
}

/// A panic of a handler means that what it had not answered comes again.
pub(super) fn panicked(group: &str, token: Option<ConsumeToken>) -> Ack {
    let offset = token.map(|token| token.queue_offset);
    tracing::warn!(group, offset, "a handler panicked; what it had not answered comes again later");
    Ack::Retry
}
