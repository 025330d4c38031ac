//! Handlers inside the caller's future: at most so many at a time, each polled only when it woke up.

use super::super::std;
use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::{Future, poll_fn};
use core::pin::{Pin, pin};
use core::sync::atomic::{AtomicBool, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;

use super::super::exchange::Exchange;
use super::super::lock;
use super::super::operation::Operation;
use super::super::ready::{self, Owner, ReadySet};
use super::super::run_queue::{Hand, WaiterId};
use super::super::signal::Signal;
use super::batch::Batch;
use super::builder::PushConsumerBuilder;
use super::control::{Concurrency, ConsumerControl};
use super::handler::{Each, Handler, Several};
use super::message::ReceivedMessage;
use super::subscription::{CLOSE_TIMEOUT, Subscription};
use crate::consumer::{Ack, CloseReport, ConsumeToken, Delivery, Settled};
use crate::error::Result;
use crate::id::ConsumerId;

/// Handlers that run at a time unless told otherwise. Java: `consumeThreadMin`.
const CONCURRENCY: usize = 20;
/// Messages that are begun in one turn, so that handlers that never wait leave room for others.
const TURN_MESSAGES_MAX: usize = 256;

/// A consumer that runs inside this future.
#[must_use = "a consumer does nothing until it is awaited"]
pub struct Run<F> {
    future: Pin<Box<F>>,
    control: Arc<Control>,
}

#[derive(Debug)]
struct Control {
    steering: ConsumerControl,
    concurrency: Arc<Concurrency>,
    stop: AtomicBool,
    close_timeout: Mutex<Duration>,
}

impl<F> fmt::Debug for Run<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Run").field("control", &self.control).finish_non_exhaustive()
    }
}

impl Run<()> {
    pub(super) fn new<F>(
        builder: PushConsumerBuilder,
        handler: F,
    ) -> Run<impl Future<Output = Result<CloseReport>> + use<F>>
    where
        F: AsyncFn(ReceivedMessage) -> Ack,
    {
        let (id, control) = Control::new(&builder);
        let future = {
            let control = control.clone();
            async move {
                let handler = &handler;
                drive(builder, id, &control, Each(|message| handler(message))).await
            }
        };
        Run { future: Box::pin(future), control }
    }

    pub(super) fn in_batches<F>(
        builder: PushConsumerBuilder,
        messages_max: usize,
        handler: F,
    ) -> Run<impl Future<Output = Result<CloseReport>> + use<F>>
    where
        F: AsyncFn(Batch),
    {
        let (id, control) = Control::new(&builder);
        let future = {
            let control = control.clone();
            async move {
                let handler = &handler;
                let several = Several { messages_max, handler: |batch| handler(batch) };
                drive(builder, id, &control, several).await
            }
        };
        Run { future: Box::pin(future), control }
    }
}

impl Control {
    fn new(builder: &PushConsumerBuilder) -> (ConsumerId, Arc<Self>) {
        let id = ConsumerId(builder.alive.0.next_consumer());
        let concurrency = Concurrency::new(CONCURRENCY);
        let control = Self {
            steering: ConsumerControl::new(builder.alive.clone(), id, concurrency.clone()),
            concurrency,
            stop: AtomicBool::new(false),
            close_timeout: Mutex::new(CLOSE_TIMEOUT),
        };
        (id, Arc::new(control))
    }
}

impl<F: Future<Output = Result<CloseReport>>> Run<F> {
    /// How many handlers may run at a time. Default 20.
    pub fn concurrency(self, handlers: usize) -> Self {
        self.control.concurrency.set(handlers);
        self
    }

    /// Steers the consumer and looks at it while it runs.
    #[must_use]
    pub fn control(&self) -> ConsumerControl {
        self.control.steering.clone()
    }

    /// How long closing may take: handlers that run, and commits. Default 30 s.
    pub fn close_timeout(self, timeout: Duration) -> Self {
        *lock(&self.control.close_timeout) = timeout;
        self
    }

    /// Consumes until `stop` ends, then closes: nothing more is begun but what lies before a message of its queue
    /// that has been begun, handlers may end, offsets are committed. A stop that comes before the consumer has
    /// started is none the worse: there is little to report then.
    ///
    /// Cancel safe: dropped, it ends as the run itself does, with deadline zero; messages whose handlers
    /// run then come again.
    ///
    /// # Errors
    /// The consumer could not start, or the client broke. A client that is closed elsewhere ends it without an
    /// error.
    pub async fn until<S: Future>(mut self, stop: S) -> Result<CloseReport> {
        let mut stop = pin!(stop);
        poll_fn(|cx| {
            if !self.control.stop.load(Ordering::Relaxed) && stop.as_mut().poll(cx).is_ready() {
                self.control.stop.store(true, Ordering::Relaxed);
            }
            self.future.as_mut().poll(cx)
        })
        .await
    }
}

impl<F: Future<Output = Result<CloseReport>>> Future for Run<F> {
    type Output = Result<CloseReport>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        self.future.as_mut().poll(cx)
    }
}

async fn drive<H: Handler>(
    builder: PushConsumerBuilder,
    id: ConsumerId,
    control: &Control,
    handler: H,
) -> Result<CloseReport> {
    let (subscription, starting) = builder.start(Some(id))?;
    let mut starting = Some(starting);
    let mut closing: Option<Operation<CloseReport>> = None;
    let mut handlers = Handlers::new(&subscription, &control.concurrency, handler);
    poll_fn(|cx| {
        if let Some(operation) = &mut starting
            && let Poll::Ready(started) = Pin::new(operation).poll(cx)
        {
            starting = None;
            started?;
        }
        let close = || subscription.close(*lock(&control.close_timeout));
        // Before handlers are looked at: nothing is begun after the word to stop.
        if closing.is_none() && control.stop.load(Ordering::Relaxed) {
            closing = Some(close());
        }
        if handlers.poll(cx).is_ready() && closing.is_none() {
            closing = Some(close());
        }
        match &mut closing {
            // The report comes when the handlers have ended, or when the time is over.
            Some(closing) => Pin::new(closing).poll(cx),
            None => Poll::Pending,
        }
    })
    .await
}

/// The handlers that run. Boxes are used again: no allocation a message.
pub(super) struct Handlers<'a, H: Handler> {
    subscription: &'a Subscription,
    handler: H,
    concurrency: &'a Concurrency,
    waiter: WaiterId,
    /// What was taken, and what was answered: not this future's alone, since it may be kept by a handler.
    hand: Arc<Hand>,
    /// Answers were given in this turn.
    told: bool,
    /// The engine was woken in this turn, which ends therefore.
    gave_way: bool,
    slots: Vec<Slot<H::Call>>,
    free: Vec<usize>,
    woken: Arc<Woken>,
}

struct Slot<Fut> {
    future: Pin<Box<Option<Fut>>>,
    /// What the end of the call answers.
    token: Option<ConsumeToken>,
    waker: Waker,
}

#[derive(Default)]
struct Woken {
    signal: Signal,
    ready: ReadySet,
}

impl Owner for Woken {
    fn raise(&self) {
        self.signal.raise();
    }
}

impl<'a, H: Handler> Handlers<'a, H> {
    fn new(subscription: &'a Subscription, concurrency: &'a Concurrency, handler: H) -> Self {
        let woken = Arc::new(Woken::default());
        let changed = woken.clone();
        concurrency.on_change(Box::new(move || changed.signal.raise()));
        Self {
            subscription,
            handler,
            concurrency,
            waiter: subscription.queue.waiter(),
            hand: Arc::default(),
            told: false,
            gave_way: false,
            slots: Vec::new(),
            free: Vec::new(),
            woken,
        }
    }

    fn shared(&self) -> &'a Exchange {
        &self.subscription.alive.0
    }

    /// Runs handlers. Ready when nothing comes any more and all have ended.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.woken.signal.lower(cx.waker());
        self.gave_way = false;
        let mut bits = Vec::new();
        self.woken.ready.take(|bit| bits.push(bit as usize));
        for bit in bits {
            if self.gives_way() {
                // Others have to hear of what was answered before more of user code runs.
                self.woken.ready.set(u32::try_from(bit).unwrap_or(u32::MAX));
                continue;
            }
            for index in (bit..self.slots.len()).step_by(ready::BITS as usize) {
                if let Some(answer) = self.poll_slot(index) {
                    self.hand.tell(&self.shared().hands, [answer]);
                    self.told = true;
                }
            }
        }
        if self.gives_way() {
            return Poll::Pending;
        }
        let open = self.begin(cx);
        if core::mem::take(&mut self.told) {
            self.shared().signal().raise();
        }
        if open || self.free.len() < self.slots.len() { Poll::Pending } else { Poll::Ready(()) }
    }

    /// Whether this future returns before it runs more of user code, as in [`Exchange::told_by_hand`]. It is polled
    /// again at once.
    fn gives_way(&mut self) -> bool {
        if self.told && !self.gave_way && self.shared().told_by_hand() {
            self.gave_way = true;
            self.woken.signal.raise();
        }
        self.gave_way
    }

    /// Begins as many messages as there is room for. False when nothing comes any more.
    fn begin(&mut self, cx: &mut Context<'_>) -> bool {
        let mut budget = TURN_MESSAGES_MAX;
        loop {
            let room = self.concurrency.get().saturating_sub(self.running()).min(budget);
            if room == 0 {
                if budget == 0 {
                    self.woken.signal.raise();
                }
                return true;
            }
            let source = self.subscription.source();
            let now = source.now();
            let want = self.handler.want(now, room);
            let hands = &self.shared().hands;
            if let Some(left) = self.hand.turn(hands, None, || Some(now)) {
                // It was taken before this future gave way.
                budget = budget.saturating_sub(1);
                if self.begin_and_tell(left) {
                    return true;
                }
                continue;
            }
            let mut next = match source.queue.poll_hand((self.waiter, &self.hand), cx, want, hands) {
                Poll::Pending => return true,
                Poll::Ready(None) => return false,
                Poll::Ready(first) => first,
            };
            while let Some(delivery) = next {
                budget = budget.saturating_sub(1);
                if self.begin_and_tell(delivery) {
                    return true;
                }
                next = self.hand.turn(&self.shared().hands, None, || None);
            }
        }
    }

    /// Begins a call. True when this future gives way before the next.
    fn begin_and_tell(&mut self, delivery: Delivery) -> bool {
        if let Some(answer) = self.begin_one(delivery) {
            self.hand.tell(&self.shared().hands, [answer]);
            self.told = true;
        }
        self.gives_way()
    }

    fn running(&self) -> usize {
        self.slots.len() - self.free.len()
    }

    /// Calls the handler; what answers for the message if the call has ended already.
    fn begin_one(&mut self, delivery: Delivery) -> Option<Settled> {
        let source = self.subscription.source();
        let (token, future) = match self.handler.begin(&source, &self.hand, delivery) {
            Ok(begun) => begun,
            Err(answer) => return answer,
        };
        let index = self.free.pop().unwrap_or_else(|| {
            let index = self.slots.len();
            let bit = u32::try_from(index).unwrap_or(u32::MAX);
            let waker = ready::waker(&self.woken, |woken| &woken.ready, bit);
            self.slots.push(Slot { future: Box::pin(None), token: None, waker });
            index
        });
        let slot = &mut self.slots[index];
        slot.future.set(Some(future));
        slot.token = token;
        self.poll_slot(index)
    }

    /// What answers for the message if the call has ended.
    fn poll_slot(&mut self, index: usize) -> Option<Settled> {
        let slot = &mut self.slots[index];
        let future = slot.future.as_mut().as_pin_mut()?;
        let mut cx = Context::from_waker(&slot.waker);
        let ack = match catch_unwind(AssertUnwindSafe(|| future.poll(&mut cx))) {
            Ok(Poll::Pending) => return None,
            Ok(Poll::Ready(output)) => H::answer(output),
            Err(_) => self.subscription.decoding.panicked(slot.token.map(|token| token.queue_offset)),
        };
        let answer = slot.token.take().map(|token| Settled::new(token, ack));
        let dropped = catch_unwind(AssertUnwindSafe(|| slot.future.set(None)));
        let decoding = &self.subscription.decoding;
        if dropped.is_err() && decoding.may_log() {
            tracing::warn!(group = &*decoding.group, "a handler's future panicked when it was dropped");
        }
        self.free.push(index);
        answer
    }
}

impl<H: Handler> Drop for Handlers<'_, H> {
    /// What runs now will not be answered for by anybody else. The consumer closes next, so a retry,
    /// which the broker is asked for, would come too late and bring the message a second time.
    fn drop(&mut self) {
        self.concurrency.forget();
        self.subscription.queue.give_up();
        let left = self.subscription.queue.leave_hand(self.waiter, &self.hand);
        self.shared().push_handed_back(left);
        // Nobody else begins the rest of the queue, also where a close has kept it.
        self.subscription.end();
        let shared = self.shared();
        shared.push_handed_back(self.slots.iter_mut().filter_map(|slot| slot.token.take()));
        shared.signal().raise();
    }
}
