//! How handlers are called: with each message, or with several at once.

use super::super::std;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::future::Future;

use std::panic::{AssertUnwindSafe, catch_unwind};

use super::super::exchange::Alive;
use super::super::run_queue::{Hand, RunQueue, Want};
use super::batch::Batch;
use super::decoding::Decoding;
use super::delivered::Delivered;
use super::message::ReceivedMessage;
use crate::consumer::{Ack, ConsumeToken, Delivery, Settled};
use crate::time::Instant;

/// Whose messages they are.
pub(super) struct Source<'a> {
    pub(super) alive: &'a Arc<Alive>,
    pub(super) queue: &'a Arc<RunQueue>,
    pub(super) decoding: &'a Decoding,
}

/// A call that has begun, and the token that its end answers; or, where no call came of it, what answers for the
/// message.
pub(super) type Begun<Call> = Result<(Option<ConsumeToken>, Call), Option<Settled>>;

/// What is called.
pub(super) trait Handler {
    /// A call.
    type Call: Future;

    /// What there is room for: `room` is how many calls may begin.
    fn want(&self, now: Instant, room: usize) -> Want;

    /// Begins a call with `first`, perhaps together with what else is in the hand.
    fn begin(&mut self, source: &Source<'_>, hand: &Arc<Hand>, first: Delivery) -> Begun<Self::Call>;

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

    fn want(&self, now: Instant, room: usize) -> Want {
        Want { now, count_max: room, workers: 1, one_queue: false }
    }

    fn begin(&mut self, source: &Source<'_>, _: &Arc<Hand>, first: Delivery) -> Begun<Fut> {
        let token = first.token;
        let message = source.decoding.for_handler(first).map_err(|ack| Some(Settled::new(token, ack)))?;
        match catch_unwind(AssertUnwindSafe(|| (self.0)(message))) {
            Ok(call) => Ok((Some(token), call)),
            Err(_) => Err(Some(Settled::new(token, source.decoding.panicked(Some(token.queue_offset))))),
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

    fn want(&self, now: Instant, _: usize) -> Want {
        Want { now, count_max: self.messages_max, workers: 1, one_queue: true }
    }

    fn begin(&mut self, source: &Source<'_>, hand: &Arc<Hand>, first: Delivery) -> Begun<Fut> {
        let batch = source.batch(hand, first).ok_or(None)?;
        catch_unwind(AssertUnwindSafe(|| (self.handler)(batch))).map(|call| (None, call)).map_err(|_| {
            source.decoding.panicked(None);
            None
        })
    }

    /// Each message has its own answer.
    fn answer((): ()) -> Ack {
        Ack::Done
    }
}

impl Source<'_> {
    pub(super) fn now(&self) -> Instant {
        self.alive.0.spawn.now()
    }

    /// The messages that can be decoded, of `first` and what else is in the hand; the others are answered for.
    /// `None` when there is none. Where one was large, the others of the hand have gone back to take turns.
    pub(super) fn batch(&self, hand: &Arc<Hand>, first: Delivery) -> Option<Batch> {
        let mut messages = Vec::new();
        let mut next = Some(first);
        while let Some(delivery) = next {
            let answer = match self.decoding.for_handler(delivery) {
                Ok(message) => {
                    messages.push(Delivered::new(message, self.alive, self.queue));
                    None
                }
                Err(ack) => Some(ack),
            };
            let tells = answer.is_some();
            next = hand.turn(&self.alive.0.hands, answer, || None);
            if tells {
                self.alive.0.told_by_hand();
            }
        }
        (!messages.is_empty()).then(|| Batch::new(messages))
    }
}
