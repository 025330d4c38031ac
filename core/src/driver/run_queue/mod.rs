//! The deliveries of one consumer that no handler has begun. Workers take a few each, which others may take from
//! them; whoever waits is woken once a drain.

mod hand;
#[cfg(test)]
mod tests;
mod turns;

use super::std;
use alloc::boxed::Box;
use alloc::collections::{BTreeMap, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};

use std::sync::Mutex;

use super::lock;
use crate::consumer::{ConsumeToken, Delivery};
use crate::id::ProcessQueueId;
use crate::time::Instant;

use self::turns::Turns;

pub(crate) use self::hand::{Begun, Hand, Hands, LOOK_INTERVAL};
pub(crate) use self::turns::LARGE_BYTES;

/// Where the engine puts deliveries and workers find them.
#[derive(Debug, Default)]
pub(crate) struct RunQueue {
    state: Mutex<State>,
    given_up: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    deliveries: VecDeque<Delivery>,
    /// In its place while queues take turns.
    turns: Option<Box<Turns>>,
    waiters: VecDeque<(WaiterId, Waker)>,
    next_waiter: u64,
    end: End,
    /// Deliveries that were taken one by one since the engine looked.
    begun: Vec<Begun>,
    /// Workers that have taken something and not begun it.
    holders: BTreeMap<WaiterId, Arc<Hand>>,
    /// Workers that have ever taken something.
    workers: BTreeMap<WaiterId, Arc<Hand>>,
    /// How far they have begun each queue, as far as they have told.
    reached: BTreeMap<ProcessQueueId, i64>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    /// More may come.
    #[default]
    Open,
    /// Nothing comes any more. What is left is what lies before a message that has been begun.
    Closed,
}

/// One place at the queue: at most one waker of it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WaiterId(u64);

/// What a worker wants.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Want {
    pub(crate) now: Instant,
    /// The most that it takes at once.
    pub(crate) count_max: usize,
    /// How many share the queue; each is left as much.
    pub(crate) workers: usize,
    /// Of one queue only, whose offsets rise. Java: the messages of one call of a listener are of one queue.
    pub(crate) one_queue: bool,
}

impl RunQueue {
    /// A place for one worker.
    pub(crate) fn waiter(&self) -> WaiterId {
        let mut state = lock(&self.state);
        state.next_waiter += 1;
        WaiterId(state.next_waiter)
    }

    /// Puts deliveries in; as many workers as there are deliveries are to be woken by way of
    /// `wakers`. The tokens of deliveries that nobody will take any more go into `refused`.
    pub(crate) fn push(
        &self,
        deliveries: Vec<Delivery>,
        wakers: &mut Vec<Waker>,
        refused: &mut Vec<ConsumeToken>,
    ) {
        let leftover = {
            let mut state = lock(&self.state);
            if state.end == End::Open {
                let woken = deliveries.len().min(state.waiters.len());
                wakers.extend(state.waiters.drain(..woken).map(|(_, waker)| waker));
                match &mut state.turns {
                    Some(turns) => deliveries.into_iter().for_each(|delivery| turns.push(delivery)),
                    None => state.deliveries.extend(deliveries),
                }
                Vec::new()
            } else {
                refused.extend(deliveries.iter().map(|delivery| delivery.token));
                deliveries
            }
        };
        drop(leftover);
    }

    /// Takes back the deliveries of a queue that goes to another member, from workers too: none of them begins
    /// after this. Their tokens go into `refused`.
    pub(crate) fn revoke(&self, queue: ProcessQueueId, refused: &mut Vec<ConsumeToken>) {
        let mut revoked = Vec::new();
        {
            let mut state = lock(&self.state);
            let state = &mut *state;
            state.workers.values().for_each(|hand| learn(&mut state.reached, hand));
            state.reached.remove(&queue);
            state.holders.values().for_each(|hand| hand.revoke(queue, &mut revoked));
            revoked.extend(state.turns.iter_mut().flat_map(|turns| turns.remove(queue)));
            let kept = VecDeque::with_capacity(state.deliveries.len());
            for delivery in core::mem::replace(&mut state.deliveries, kept) {
                if delivery.token.queue == queue {
                    revoked.push(delivery);
                } else {
                    state.deliveries.push_back(delivery);
                }
            }
        }
        refused.extend(revoked.iter().map(|delivery| delivery.token));
    }

    /// Nothing is begun any more, also of what workers have taken, but what lies before a message that has been
    /// begun: left undone, it would hold the commit before those that are done, and they would come again. Returns
    /// the tokens of all else. Whoever waits learns it by way of `wakers`.
    pub(crate) fn close(&self, wakers: &mut Vec<Waker>) -> Vec<ConsumeToken> {
        let returned = {
            let mut state = lock(&self.state);
            let known = core::mem::replace(&mut state.end, End::Closed);
            wakers.extend(state.waiters.drain(..).map(|(_, waker)| waker));
            if known == End::Closed { Vec::new() } else { state.take_undone() }
        };
        returned.iter().map(|delivery| delivery.token).collect()
    }

    /// As [`close`](Self::close), and nothing at all is begun from here on. Whoever waits learns it by way of
    /// `wakers`.
    pub(crate) fn end(&self, wakers: &mut Vec<Waker>) -> Vec<ConsumeToken> {
        let left = {
            let mut state = lock(&self.state);
            state.end = End::Closed;
            wakers.extend(state.waiters.drain(..).map(|(_, waker)| waker));
            state.take_all()
        };
        left.iter().map(|delivery| delivery.token).collect()
    }

    /// The handlers are gone with what they had; the consumer closes next.
    pub(crate) fn give_up(&self) {
        self.given_up.store(true, Ordering::Relaxed);
    }

    /// Whether the handlers are gone.
    pub(crate) fn is_given_up(&self) -> bool {
        self.given_up.load(Ordering::Relaxed)
    }

    /// Takes the next delivery, at `now`; `None` when the queue has ended.
    pub(crate) fn poll_next(
        &self,
        waiter: WaiterId,
        cx: &Context<'_>,
        now: Instant,
    ) -> Poll<Option<Delivery>> {
        self.poll(waiter, cx, |state| {
            let delivery = state.pop()?;
            state.begun.push((delivery.token, Some(now)));
            Some(delivery)
        })
    }

    /// Fills a worker's hand and begins the first of what it got; `None` when the queue has ended. Where nothing
    /// is left, it takes from what other workers have not begun. Where it wakes another worker it begins nothing
    /// and gives way once, as in [`told_by_hand`](super::exchange::Exchange::told_by_hand); the hand is full then.
    pub(crate) fn poll_hand(
        &self,
        (waiter, hand): (WaiterId, &Arc<Hand>),
        cx: &Context<'_>,
        want: Want,
        hands: &Hands,
    ) -> Poll<Option<Delivery>> {
        let (mut lists, mut woken) = (false, None);
        let polled = self.poll(waiter, cx, |state| {
            state.holders.remove(&waiter);
            if hand.has_reached_many() {
                learn(&mut state.reached, hand);
            }
            state.workers.entry(waiter).or_insert_with(|| hand.clone());
            if !state.fill(waiter, hand, want) {
                return None;
            }
            // There is more than whoever is awake may come to.
            let more = hand.with_taken(|taken| taken.len() > 1) || !state.holders.is_empty();
            let other = state.waiters.iter().position(|(other, _)| *other != waiter).filter(|_| more);
            woken = other.and_then(|other| state.waiters.remove(other));
            let begun = hand.begin(want.now, woken.is_none());
            lists = begun.lists;
            if begun.left {
                state.holders.insert(waiter, hand.clone());
            }
            Some(begun.first)
        });
        if lists {
            hands.list(hand);
        }
        if let Some((_, waker)) = woken {
            super::wake_all(&mut alloc::vec![waker]);
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        polled.map(Option::flatten)
    }

    /// A message of `queue` was large once it was inflated: of `stored` bytes, `inflated` ones. Queues take turns
    /// from here on, for as long as such messages come.
    pub(crate) fn charge(&self, queue: ProcessQueueId, stored: usize, inflated: usize) {
        let mut state = lock(&self.state);
        if state.turns.is_none() {
            let mut turns = Box::<Turns>::default();
            state.take_all().into_iter().for_each(|delivery| turns.push(delivery));
            state.turns = Some(turns);
        }
        if let Some(turns) = &mut state.turns {
            turns.charge(queue, stored, inflated);
        }
        state.end_turns();
    }

    /// Moves what was taken one by one since the last call into `begun`. Nobody is woken for it: it matters only
    /// when the engine has something else to do, or a deadline.
    pub(crate) fn take_begun(&self, begun: &mut Vec<Begun>) {
        super::append_all(begun, &mut lock(&self.state).begun);
    }

    /// What `take` gives; `None` when it gives nothing and the queue has ended.
    fn poll<T>(
        &self,
        waiter: WaiterId,
        cx: &Context<'_>,
        take: impl FnOnce(&mut State) -> Option<T>,
    ) -> Poll<Option<T>> {
        // Cloned before the lock and dropped after it: both may run code of an executor.
        let (mut waker, mut former) = (Some(cx.waker().clone()), None);
        let mut state = lock(&self.state);
        let polled = if let Some(taken) = take(&mut state) {
            // A wake-up that comes from now on is for others.
            former = state.forget(waiter);
            Poll::Ready(Some(taken))
        } else if state.end != End::Open {
            Poll::Ready(None)
        } else {
            state.wait(waiter, &mut waker);
            Poll::Pending
        };
        drop(state);
        drop((waker, former));
        polled
    }

    /// A stream's place is given up. If it had been woken and did not come, the next one is woken.
    pub(crate) fn leave(&self, waiter: WaiterId) {
        let (own, next) = {
            let mut state = lock(&self.state);
            match state.forget(waiter) {
                Some(own) => (Some(own), None),
                None if state.is_empty() => (None, None),
                None => (None, state.waiters.pop_front()),
            }
        };
        drop(own);
        if let Some((_, waker)) = next {
            waker.wake();
        }
    }

    /// A worker goes; what it has not begun goes to others. Returns the tokens of what no other will begin.
    pub(crate) fn leave_hand(&self, waiter: WaiterId, hand: &Hand) -> Vec<ConsumeToken> {
        let left = {
            let mut state = lock(&self.state);
            state.holders.remove(&waiter);
            learn(&mut state.reached, hand);
            state.workers.remove(&waiter);
            // An end has emptied it.
            while let Some(delivery) = hand.with_taken(VecDeque::pop_back) {
                state.put_back(delivery);
            }
            // More workers may come only while more deliveries do.
            let is_last = state.end == End::Closed && state.workers.is_empty();
            if is_last { state.take_all() } else { Vec::new() }
        };
        self.leave(waiter);
        left.iter().map(|delivery| delivery.token).collect()
    }
}

impl State {
    fn is_empty(&self) -> bool {
        self.deliveries.is_empty() && self.turns.as_ref().is_none_or(|turns| turns.is_empty())
    }

    /// All that nobody has begun.
    fn take_all(&mut self) -> Vec<Delivery> {
        let mut all: Vec<Delivery> = Vec::new();
        for (_, hand) in core::mem::take(&mut self.holders) {
            hand.with_taken(|taken| all.extend(taken.drain(..)));
        }
        all.extend(self.deliveries.drain(..));
        all.extend(self.turns.take().into_iter().flat_map(|turns| turns.into_deliveries()));
        all
    }

    /// Takes out what nobody has begun, and leaves what lies before a message that has been.
    fn take_undone(&mut self) -> Vec<Delivery> {
        // In this order: what is begun while a hand is looked at, is known when it has been emptied.
        let all = self.take_all();
        self.workers.values().for_each(|hand| learn(&mut self.reached, hand));
        let reached = &self.reached;
        let is_before = |token: &ConsumeToken| {
            reached.get(&token.queue).is_some_and(|reached| token.queue_offset < *reached)
        };
        let (mut before, undone): (Vec<_>, _) =
            all.into_iter().partition(|delivery| is_before(&delivery.token));
        before.sort_by_key(|delivery| delivery.token);
        self.deliveries.extend(before);
        undone
    }

    fn pop(&mut self) -> Option<Delivery> {
        let Some(turns) = &mut self.turns else { return self.deliveries.pop_front() };
        let delivery = turns.pop();
        self.end_turns();
        delivery
    }

    fn put_back(&mut self, delivery: Delivery) {
        match &mut self.turns {
            Some(turns) => turns.push(delivery),
            None => self.deliveries.push_front(delivery),
        }
    }

    fn end_turns(&mut self) {
        if let Some(turns) = self.turns.take_if(|turns| turns.is_over()) {
            self.deliveries.extend(turns.into_deliveries());
        }
    }

    /// Takes what there is, or else from others. False when there is nothing.
    fn fill(&mut self, waiter: WaiterId, hand: &Hand, want: Want) -> bool {
        if self.turns.is_some() {
            // One by one: what it becomes is known only when it has been inflated.
            let first = self.pop();
            let filled = first.is_some();
            hand.with_taken(|taken| taken.extend(first));
            return filled;
        }
        if self.deliveries.is_empty() {
            let stolen = self.steal(waiter, want);
            let filled = !stolen.is_empty();
            hand.with_taken(|taken| taken.extend(stolen));
            return filled;
        }
        let count = if want.one_queue {
            let mut queues = self.deliveries.iter().map(|delivery| delivery.token.queue);
            let first = queues.next();
            (1 + queues.take(want.count_max).take_while(|queue| Some(*queue) == first).count())
                .min(want.count_max)
        } else {
            want.count_max.min(self.deliveries.len().div_ceil(want.workers.max(1)))
        };
        hand.with_taken(|taken| taken.extend(self.deliveries.drain(..count)));
        true
    }

    /// Half of what another worker has not begun: its last ones, which it would come to last.
    fn steal(&self, waiter: WaiterId, want: Want) -> VecDeque<Delivery> {
        let others = self.holders.iter().filter(|(holder, _)| **holder != waiter);
        for (_, hand) in others {
            let stolen = hand.with_taken(|taken| {
                let count = taken.len().div_ceil(2).min(want.count_max);
                taken.split_off(taken.len() - count)
            });
            if !stolen.is_empty() {
                return stolen;
            }
        }
        VecDeque::new()
    }

    /// Takes the waker out of `new` unless it is known; what is in there afterwards is to be dropped
    /// after the lock.
    fn wait(&mut self, waiter: WaiterId, new: &mut Option<Waker>) {
        match self.waiters.iter_mut().find(|(id, _)| *id == waiter) {
            Some((_, known)) => {
                if let Some(new) = new.as_mut().filter(|new| !known.will_wake(new)) {
                    core::mem::swap(known, new);
                }
            }
            None => self.waiters.extend(new.take().map(|waker| (waiter, waker))),
        }
    }

    /// The place's waker, to be dropped after the lock.
    fn forget(&mut self, waiter: WaiterId) -> Option<Waker> {
        let own = self.waiters.iter().position(|(id, _)| *id == waiter)?;
        self.waiters.remove(own).map(|(_, waker)| waker)
    }
}

/// How far a worker has begun queues.
fn learn(known: &mut BTreeMap<ProcessQueueId, i64>, hand: &Hand) {
    hand.drain_reached(|queue, offset| {
        let reached = known.entry(queue).or_insert(offset);
        *reached = offset.max(*reached);
    });
}
