//! The deliveries of one consumer that no handler has begun. Workers take one each; whoever waits
//! is woken once a drain.

use super::std;
use alloc::collections::VecDeque;
use alloc::vec::Vec;
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};

use std::sync::Mutex;

use super::lock;
use crate::consumer::{ConsumeToken, Delivery};
use crate::id::ProcessQueueId;
use crate::time::Instant;

/// Where the engine puts deliveries and workers find them.
#[derive(Debug, Default)]
pub(crate) struct RunQueue {
    state: Mutex<State>,
    given_up: AtomicBool,
}

#[derive(Debug, Default)]
struct State {
    deliveries: VecDeque<Delivery>,
    waiters: VecDeque<(WaiterId, Waker)>,
    next_waiter: u64,
    end: End,
    /// Deliveries that were taken since the engine looked, and when; without a time, that they were put back.
    begun: Vec<(ConsumeToken, Option<Instant>)>,
    /// Workers that took several at once and may put some back.
    holders: usize,
    /// Queues that were revoked while there were such.
    revoked: Vec<ProcessQueueId>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum End {
    /// More may come.
    #[default]
    Open,
    /// Nothing comes any more.
    Closed,
    /// Nobody takes anything any more.
    Abandoned,
}

/// One place at the queue: at most one waker of it waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WaiterId(u64);

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
            if state.end == End::Abandoned {
                refused.extend(deliveries.iter().map(|delivery| delivery.token));
                deliveries
            } else {
                let woken = deliveries.len().min(state.waiters.len());
                wakers.extend(state.waiters.drain(..woken).map(|(_, waker)| waker));
                state.deliveries.extend(deliveries);
                Vec::new()
            }
        };
        drop(leftover);
    }

    /// Takes back the deliveries of a queue that goes to another member; their tokens go into `refused`.
    pub(crate) fn revoke(&self, queue: ProcessQueueId, refused: &mut Vec<ConsumeToken>) {
        let mut revoked = Vec::new();
        {
            let mut state = lock(&self.state);
            if state.holders > 0 {
                state.revoked.push(queue);
            }
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

    /// Nothing is begun any more; returns the tokens of what was left. Whoever waits learns it by
    /// way of `wakers`.
    pub(crate) fn close(&self, wakers: &mut Vec<Waker>) -> Vec<ConsumeToken> {
        let left = {
            let mut state = lock(&self.state);
            if state.end == End::Open {
                state.end = End::Closed;
            }
            wakers.extend(state.waiters.drain(..).map(|(_, waker)| waker));
            core::mem::take(&mut state.deliveries)
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

    /// Nobody takes anything any more; returns the tokens of what was left.
    pub(crate) fn abandon(&self) -> Vec<ConsumeToken> {
        let (left, waiters) = {
            let mut state = lock(&self.state);
            state.end = End::Abandoned;
            (core::mem::take(&mut state.deliveries), core::mem::take(&mut state.waiters))
        };
        super::wake_all(&mut waiters.into_iter().map(|(_, waker)| waker).collect());
        left.iter().map(|delivery| delivery.token).collect()
    }

    /// Takes the next delivery, at `now`; `None` when the queue has ended.
    pub(crate) fn poll_next(
        &self,
        waiter: WaiterId,
        cx: &Context<'_>,
        now: Instant,
    ) -> Poll<Option<Delivery>> {
        self.poll(waiter, cx, |state| {
            let delivery = state.deliveries.pop_front();
            state.begun.extend(delivery.iter().map(|delivery| (delivery.token, Some(now))));
            delivery
        })
        .map(Option::flatten)
    }

    /// Moves up to `count` deliveries into `batch`, at `now`; pending when there was none, ready with
    /// false when the queue has ended.
    pub(crate) fn poll_batch(
        &self,
        waiter: WaiterId,
        cx: &Context<'_>,
        (now, count): (Instant, usize),
        batch: &mut VecDeque<Delivery>,
    ) -> Poll<bool> {
        let polled = self.poll(waiter, cx, |state| state.take(now, count, batch));
        polled.map(|taken| taken.is_some())
    }

    /// As [`poll_batch`](Self::poll_batch), but deliveries of one queue only, whose offsets rise.
    /// Java: the messages of one call of a listener are of one queue.
    pub(crate) fn poll_batch_of_one_queue(
        &self,
        waiter: WaiterId,
        cx: &Context<'_>,
        (now, count): (Instant, usize),
        batch: &mut VecDeque<Delivery>,
    ) -> Poll<bool> {
        let polled = self.poll(waiter, cx, |state| {
            let mut deliveries = state.deliveries.iter().map(|delivery| delivery.token.queue);
            let first = deliveries.next();
            let same = 1 + deliveries.take_while(|queue| Some(*queue) == first).count();
            state.take(now, count.min(same), batch);
        });
        polled.map(|taken| taken.is_some())
    }

    /// As [`poll_batch`](Self::poll_batch), but leaves `workers` that share the queue as much each. `held` is
    /// whether the last such call of this worker gave more than one and it has [put](Self::put_back) none back;
    /// it has then begun all of them.
    pub(crate) fn poll_share(
        &self,
        (waiter, held): (WaiterId, bool),
        cx: &Context<'_>,
        (now, count, workers): (Instant, usize, usize),
        batch: &mut VecDeque<Delivery>,
    ) -> Poll<bool> {
        if held {
            lock(&self.state).release();
        }
        let polled = self.poll(waiter, cx, |state| {
            let share = state.deliveries.len().div_ceil(workers.max(1));
            state.take(now, count.min(share), batch);
            state.holders += usize::from(batch.len() > 1);
        });
        polled.map(|taken| taken.is_some())
    }

    /// Puts back what a worker took and has not begun, for others to take it first. The tokens of what
    /// nobody may begin any more go into `refused`.
    pub(crate) fn put_back(&self, batch: &mut VecDeque<Delivery>, refused: &mut Vec<ConsumeToken>) {
        let mut wakers = Vec::new();
        let mut dropped = Vec::new();
        {
            let mut state = lock(&self.state);
            while let Some(delivery) = batch.pop_back() {
                if state.end != End::Open || state.revoked.contains(&delivery.token.queue) {
                    refused.push(delivery.token);
                    dropped.push(delivery);
                } else {
                    state.begun.push((delivery.token, None));
                    state.deliveries.push_front(delivery);
                    wakers.extend(state.waiters.pop_front().map(|(_, waker)| waker));
                }
            }
            state.release();
        }
        drop(dropped);
        super::wake_all(&mut wakers);
    }

    /// Moves what was taken since the last call into `begun`. Nobody is woken for it: it matters only
    /// when the engine has something else to do, or a deadline.
    pub(crate) fn take_begun(&self, begun: &mut Vec<(ConsumeToken, Option<Instant>)>) {
        super::append_all(begun, &mut lock(&self.state).begun);
    }

    /// Takes from the deliveries what `take` wants; `None` when there are none and the queue has ended.
    fn poll<T>(
        &self,
        waiter: WaiterId,
        cx: &Context<'_>,
        take: impl FnOnce(&mut State) -> T,
    ) -> Poll<Option<T>> {
        // Cloned before the lock and dropped after it: both may run code of an executor.
        let (mut waker, mut former) = (Some(cx.waker().clone()), None);
        let mut state = lock(&self.state);
        let polled = if !state.deliveries.is_empty() {
            let taken = take(&mut state);
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

    /// A worker stops waiting. If it had been woken and did not come, the next one is woken.
    pub(crate) fn leave(&self, waiter: WaiterId) {
        let (own, next) = {
            let mut state = lock(&self.state);
            match state.forget(waiter) {
                Some(own) => (Some(own), None),
                None if state.deliveries.is_empty() => (None, None),
                None => (None, state.waiters.pop_front()),
            }
        };
        drop(own);
        if let Some((_, waker)) = next {
            waker.wake();
        }
    }
}

impl State {
    /// A worker has nothing left to put back.
    fn release(&mut self) {
        self.holders -= 1;
        if self.holders == 0 {
            self.revoked.clear();
        }
    }

    fn take(&mut self, now: Instant, count: usize, batch: &mut VecDeque<Delivery>) {
        let taken = self.deliveries.len().min(count);
        self.begun.extend(self.deliveries.iter().take(taken).map(|delivery| (delivery.token, Some(now))));
        batch.extend(self.deliveries.drain(..taken));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::driver::tests::{CountingWaker, delivery};
    use crate::id::GenerationalId;

    const NOW: Instant = Instant::from_millis(7);

    /// A queue with deliveries at offsets 0 to 7 of two queues, and a worker that took half of them.
    fn shared_by_two() -> (RunQueue, VecDeque<Delivery>) {
        let queue = RunQueue::default();
        let all = (0..8).map(|offset| delivery(u32::from(offset % 2 == 1), offset, 0, b"body")).collect();
        queue.push(all, &mut Vec::new(), &mut Vec::new());
        let (first, mut taken) = (queue.waiter(), VecDeque::new());
        let cx = Context::from_waker(Waker::noop());
        let polled = queue.poll_share((first, false), &cx, (NOW, 16, 2), &mut taken);
        assert_eq!((polled, taken.len()), (Poll::Ready(true), 4));
        (queue, taken)
    }

    fn offsets(queue: &RunQueue) -> Vec<i64> {
        lock(&queue.state).deliveries.iter().map(|delivery| delivery.token.queue_offset).collect()
    }

    #[test]
    fn what_is_put_back_stands_first_was_not_begun_and_wakes_another() {
        let (queue, mut taken) = shared_by_two();
        let (counter, waker) = CountingWaker::pair();
        queue.revoke(ProcessQueueId::from_parts(1, 0), &mut Vec::new());
        let rest =
            queue.poll_batch(queue.waiter(), &Context::from_waker(&waker), (NOW, 9), &mut VecDeque::new());
        assert_eq!(rest, Poll::Ready(true), "offsets 4 and 6 are left");
        let (waiter, cx) = (queue.waiter(), Context::from_waker(&waker));
        assert!(queue.poll_next(waiter, &cx, NOW).is_pending());
        taken.pop_front();
        let mut refused = Vec::new();
        queue.put_back(&mut taken, &mut refused);
        assert_eq!(offsets(&queue), [2]);
        assert_eq!(refused.iter().map(|token| token.queue_offset).collect::<Vec<_>>(), [3, 1]);
        assert_eq!(counter.count(), 1);
        let mut begun = Vec::new();
        queue.take_begun(&mut begun);
        let last = begun.iter().rfind(|(token, _)| token.queue_offset == 2);
        assert_eq!(last.map(|(_, at)| *at), Some(None));
    }

    #[test]
    fn nothing_is_put_back_into_a_queue_that_has_ended() {
        let (queue, mut taken) = shared_by_two();
        assert_eq!(queue.close(&mut Vec::new()).len(), 4);
        let mut refused = Vec::new();
        queue.put_back(&mut taken, &mut refused);
        assert_eq!((offsets(&queue), refused.len()), (Vec::new(), 4));
    }

    #[test]
    fn revocations_are_remembered_as_long_as_somebody_may_put_back() {
        let (queue, _taken) = shared_by_two();
        queue.revoke(ProcessQueueId::from_parts(0, 0), &mut Vec::new());
        assert_eq!(lock(&queue.state).revoked.len(), 1);
        let cx = Context::from_waker(Waker::noop());
        let mut more = VecDeque::new();
        let polled = queue.poll_share((queue.waiter(), true), &cx, (NOW, 1, 1), &mut more);
        assert_eq!((polled, more.len()), (Poll::Ready(true), 1));
        assert_eq!(lock(&queue.state).revoked.len(), 0);
    }
}
