//! What one worker has taken and not begun, and what it has to tell the engine. Nothing of it is the worker's
//! alone, since user code may keep the worker for as long as it likes: others take from it, a revocation or a
//! close empties it, and the engine looks into it by itself.

use super::super::std;
use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use std::sync::Mutex;

use super::super::{append_all, lock};
use crate::consumer::{Ack, ConsumeToken, Delivery, Settled};
use crate::id::ProcessQueueId;
use crate::time::Instant;

/// A delivery that a handler was called with, and when.
pub(crate) type Begun = (ConsumeToken, Option<Instant>);

/// How long answers may lie in a hand before the engine looks: one lock and one wake-up for all of them.
pub(crate) const LOOK_INTERVAL: Duration = Duration::from_millis(1);

/// How often a worker may go from one queue to another before it is asked how far it has come.
const REACHED_MAX: usize = 64;

/// The hand of one worker.
#[derive(Debug, Default)]
pub(crate) struct Hand {
    held: Mutex<Held>,
}

#[derive(Debug, Default)]
pub(super) struct Held {
    /// Taken and not begun.
    pub(super) taken: VecDeque<Delivery>,
    begun: Vec<Begun>,
    settled: Vec<Settled>,
    /// The last of `settled` was begun last and has no answer yet. Mostly that comes before the engine looks, and
    /// one word is enough for both.
    open: bool,
    /// What was begun last, if the engine knows that and there is no answer yet.
    running: Option<ConsumeToken>,
    /// The time, as it was told last: no clock is read for each message.
    now: Instant,
    /// The engine knows that there is something to see.
    listed: bool,
    /// How far this worker has begun queues, until [it is asked](Hand::drain_reached).
    reached: Vec<(ProcessQueueId, i64)>,
}

/// The hands of a client's workers that have something to tell.
#[derive(Debug, Default)]
pub(crate) struct Hands {
    listed: Mutex<Vec<Arc<Hand>>>,
    /// The engine looks again within [`LOOK_INTERVAL`] by itself.
    watched: AtomicBool,
}

impl Hand {
    /// Answers for what was begun last, and begins the next of what was taken: `now`, if it says when, as it must
    /// where the call before has waited.
    pub(crate) fn turn(
        self: &Arc<Self>,
        hands: &Hands,
        ack: Option<Ack>,
        now: impl FnOnce() -> Option<Instant>,
    ) -> Option<Delivery> {
        let (next, lists) = {
            let mut held = lock(&self.held);
            if let Some(ack) = ack {
                held.settle_last(ack);
            }
            let next = held.begin(now);
            (next, held.lists())
        };
        if lists {
            hands.list(self);
        }
        next
    }

    /// Answers for what was begun last; begins nothing.
    pub(crate) fn settle_last(self: &Arc<Self>, hands: &Hands, ack: Ack) {
        let lists = {
            let mut held = lock(&self.held);
            held.settle_last(ack);
            held.lists()
        };
        if lists {
            hands.list(self);
        }
    }

    /// Gives answers; begins nothing.
    pub(crate) fn tell(self: &Arc<Self>, hands: &Hands, answers: impl IntoIterator<Item = Settled>) {
        let lists = {
            let mut held = lock(&self.held);
            answers.into_iter().for_each(|answer| held.settle(answer));
            held.lists()
        };
        if lists {
            hands.list(self);
        }
    }

    /// Begins the first of what was taken, if it `begins`; the others are for later. The time is `now`.
    pub(super) fn begin(&self, now: Instant, begins: bool) -> BegunOne {
        let mut held = lock(&self.held);
        held.now = now;
        let first = if begins { held.begin(|| None) } else { None };
        BegunOne { first, left: !held.taken.is_empty(), lists: held.lists() }
    }

    /// Whether it has begun so many queues in turn that it is time to [ask](Self::drain_reached).
    pub(super) fn has_reached_many(&self) -> bool {
        lock(&self.held).reached.len() >= REACHED_MAX
    }

    /// Changes what was taken and not begun.
    pub(super) fn with_taken<T>(&self, change: impl FnOnce(&mut VecDeque<Delivery>) -> T) -> T {
        change(&mut lock(&self.held).taken)
    }

    /// How far it has begun queues since it was asked last.
    pub(super) fn drain_reached(&self, mut learn: impl FnMut(ProcessQueueId, i64)) {
        lock(&self.held).reached.drain(..).for_each(|(queue, offset)| learn(queue, offset));
    }

    /// Takes out the deliveries of a queue.
    pub(super) fn revoke(&self, queue: ProcessQueueId, revoked: &mut Vec<Delivery>) {
        self.with_taken(|taken| {
            let (out, kept) = taken.drain(..).partition(|delivery| delivery.token.queue == queue);
            *taken = kept;
            let out: VecDeque<Delivery> = out;
            revoked.extend(out);
        });
    }

    fn look(&self, now: Instant, begun: &mut Vec<Begun>, settled: &mut Vec<Settled>) {
        let mut held = lock(&self.held);
        held.listed = false;
        held.now = held.now.max(now);
        held.tell_open();
        append_all(begun, &mut held.begun);
        append_all(settled, &mut held.settled);
    }
}

/// What came of taking.
pub(super) struct BegunOne {
    pub(super) first: Option<Delivery>,
    /// There is more in the hand.
    pub(super) left: bool,
    /// The hand is to be [listed](Hands::list), outside of all locks.
    pub(super) lists: bool,
}

impl Held {
    // Once a message, and a delivery is large to move.
    #[inline(always)]
    fn begin(&mut self, now: impl FnOnce() -> Option<Instant>) -> Option<Delivery> {
        let next = self.taken.pop_front()?;
        self.now = now().unwrap_or(self.now);
        let (queue, offset) = (next.token.queue, next.token.queue_offset);
        match self.reached.last_mut() {
            Some((last, reached)) if *last == queue => *reached = offset.max(*reached),
            _ => self.reached.push((queue, offset)),
        }
        if self.open {
            self.tell_open();
        }
        self.running = None;
        // The answer comes in its place.
        self.settled.push(Settled { token: next.token, ack: Ack::Retry, begun: Some(self.now) });
        self.open = true;
        Some(next)
    }

    fn settle_last(&mut self, ack: Ack) {
        if core::mem::take(&mut self.open) {
            self.settled.last_mut().into_iter().for_each(|last| last.ack = ack);
        } else {
            self.settled.extend(self.running.take().map(|token| Settled::new(token, ack)));
        }
    }

    fn settle(&mut self, answer: Settled) {
        if self.open && self.settled.last().is_some_and(|open| open.token == answer.token) {
            return self.settle_last(answer.ack);
        }
        self.tell_open();
        self.running.take_if(|running| *running == answer.token);
        self.settled.push(answer);
    }

    /// That it was begun is told by itself; its answer comes later.
    fn tell_open(&mut self) {
        if core::mem::take(&mut self.open) {
            self.running = self.settled.pop().map(|open| {
                self.begun.push((open.token, open.begun));
                open.token
            });
        }
    }

    fn lists(&mut self) -> bool {
        let lists = !(self.listed || self.begun.is_empty() && self.settled.is_empty());
        self.listed |= lists;
        lists
    }
}

impl Hands {
    pub(super) fn list(&self, hand: &Arc<Hand>) {
        lock(&self.listed).push(hand.clone());
    }

    /// Whether the engine looks by itself. In one total order with what was put into a hand before and with what
    /// the engine does: answers that it does not see, and of which nobody tells it, there are none.
    pub(crate) fn are_watched(&self) -> bool {
        self.watched.load(Ordering::SeqCst)
    }

    /// Deliveries go out: the engine looks at what comes of them by itself.
    pub(crate) fn watch(&self) {
        self.watched.store(true, Ordering::SeqCst);
    }

    /// The engine looks at all hands that have something to tell, and again at `look_at`: where there was
    /// something, more may come. Where there was nothing at that time, it looks no more by itself.
    pub(crate) fn look(
        &self,
        now: Instant,
        look_at: &mut Instant,
        begun: &mut Vec<Begun>,
        settled: &mut Vec<Settled>,
    ) {
        let mut listed = core::mem::take(&mut *lock(&self.listed));
        if listed.is_empty() {
            if now < *look_at {
                return;
            }
            *look_at = Instant::FAR_FUTURE;
            self.watched.store(false, Ordering::SeqCst);
            // Whoever listed his hand before that has told nobody.
            listed = core::mem::take(&mut *lock(&self.listed));
            if listed.is_empty() {
                return;
            }
        }
        self.watch();
        *look_at = now + LOOK_INTERVAL;
        for hand in listed {
            hand.look(now, begun, settled);
        }
    }
}
