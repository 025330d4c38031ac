//! The drain loop: everything that has happened goes into the core, everything the core wants is
//! done, once a wake-up.
//!
//! ```text
//! ready sockets ─▶ frames ─┐
//! mailbox ─▶ commands, answers ─▶ core ─▶ chunks ─▶ one vectored write a channel
//! clock ─▶ timeout ────────┘        ├──▶ outcomes ─▶ slots, one lock ─▶ wakers
//!                                   ├──▶ deliveries ─▶ run queues ─▶ wakers
//!                                   └──▶ questions ─▶ user code ─▶ mailbox
//! ```
//! A whole read batch goes in before the mailbox, so that what it frees can be used at once; the
//! write comes after both. The clock is read once a drain. Everything has a budget; what is left
//! asks for another drain.

mod channel;
mod channels;
mod outputs;

use super::std;
use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::future::Future;
use core::pin::Pin;
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use std::panic::{AssertUnwindSafe, catch_unwind};

use self::channel::Read;
use self::channels::Channels;
use super::exchange::{Batch, Exchange};
use super::host::Host;
use super::mailbox::Urgent;
use super::record::Tap;
use super::resolve::Resolver;
use super::responder::{Responders, panic_text};
use super::run_queue::RunQueue;
use super::transform::TransformFactory;
use crate::client::{Input, Outcome, Output, Owner, Question};
use crate::consumer::{ConsumeToken, Delivery};
use crate::error::{Cause, Error};
use crate::id::{AskToken, ChannelId, ConsumerId, GenerationalId, OperationId};
use crate::time::{Instant, Timestamp, WallClock};

/// Commands that one drain takes.
const COMMANDS_MAX: usize = 4_096;
/// Bytes that one drain reads from one channel.
const READ_BYTES_MAX: usize = 1 << 20;
/// Requests of the peer that one drain takes from one channel. Their answers are written before more are
/// taken, so that a peer that reads them can ask as fast as it likes.
const PEER_REQUESTS_MAX: usize = 128;
/// Bytes that one drain writes to one channel.
const WRITE_BYTES_MAX: usize = 4 << 20;
/// Times that a drain asks the core what it wants.
const ROUNDS_MAX: usize = 9;
/// The core learns that the wall clock was set when it is off by more than this.
const WALL_CLOCK_SLACK: Duration = Duration::from_millis(100);

/// What the engine drives: the client's state machine, and in tests whatever takes its place.
pub trait Machine: Send + 'static {
    /// Takes one thing that happened.
    fn handle(&mut self, now: Instant, input: Input);

    /// Gives the next wish; [`Output::Wait`] when there is none.
    fn poll_output(&mut self, now: Instant) -> Output;
}

/// Drives a machine with a host's sockets and clock. It is a future that ends when the client has
/// closed; where no executor runs, a waiting caller polls it.
pub struct Engine<H: Host, M: Machine> {
    core: Core<H, M>,
    wakers: Vec<Waker>,
}

struct Core<H, M> {
    host: H,
    machine: M,
    shared: Arc<Exchange>,
    resolver: Box<dyn Resolver>,
    transforms: Option<TransformFactory>,
    tap: Option<Box<dyn Tap>>,
    channels: Channels,
    run_queues: BTreeMap<ConsumerId, Arc<RunQueue>>,
    responders: Responders,
    wall: WallClock,
    deadline: Instant,
    /// When the first of the commands that wait for permits has waited in vain.
    waiting_until: Instant,
    /// When it looks at the hands of workers.
    look_at: Instant,
    dirty: Vec<ChannelId>,
    batch: Batch,
    ready: Vec<ChannelId>,
    outcomes: Vec<(OperationId, Outcome)>,
    deliveries: Vec<(ConsumerId, Vec<Delivery>)>,
    refused: Vec<ConsumeToken>,
    questions: Vec<(AskToken, Owner, Question)>,
    finished: bool,
}

/// What an engine is built of, beside host and machine.
pub(crate) struct Parts {
    pub(crate) shared: Arc<Exchange>,
    pub(crate) resolver: Box<dyn Resolver>,
    pub(crate) transforms: Option<TransformFactory>,
    pub(crate) started: Instant,
    pub(crate) wall: Timestamp,
}

impl<H: Host, M: Machine> fmt::Debug for Engine<H, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Engine").field("finished", &self.core.finished).finish_non_exhaustive()
    }
}

impl<H: Host, M: Machine> Engine<H, M> {
    pub(crate) fn new(host: H, machine: M, parts: Parts) -> Self {
        let core = Core {
            wall: WallClock::new(parts.started, parts.wall),
            host,
            machine,
            shared: parts.shared,
            resolver: parts.resolver,
            transforms: parts.transforms,
            tap: None,
            channels: Channels::default(),
            run_queues: BTreeMap::new(),
            responders: Responders::default(),
            deadline: Instant::ZERO,
            waiting_until: Instant::FAR_FUTURE,
            look_at: Instant::FAR_FUTURE,
            dirty: Vec::new(),
            batch: Batch::default(),
            ready: Vec::new(),
            outcomes: Vec::new(),
            deliveries: Vec::new(),
            refused: Vec::new(),
            questions: Vec::new(),
            finished: false,
        };
        Self { core, wakers: Vec::new() }
    }

    /// Does what there is to do. Ready when the client has closed or broken; `cx` is woken when
    /// there is more to do.
    pub fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.core.finished {
            return Poll::Ready(());
        }
        self.core.shared.signal().lower(cx.waker());
        let drained = catch_unwind(AssertUnwindSafe(|| {
            self.core.drain(&mut self.wakers);
            self.core.host.poll_wait(self.core.wake_at(), cx)
        }));
        super::wake_all(&mut self.wakers);
        match drained {
            Ok(_) if self.core.finished => {
                self.core.end(&Error::Closed);
                Poll::Ready(())
            }
            Ok(due) => {
                if due.is_ready() {
                    self.core.shared.signal().raise();
                }
                Poll::Pending
            }
            Err(panic) => {
                self.core.end(&Error::Bug(panic_text(&*panic).into()));
                Poll::Ready(())
            }
        }
    }

    /// Who sees inputs and outputs from now on.
    pub(crate) fn set_tap(&mut self, tap: Option<Box<dyn Tap>>) {
        self.core.tap = tap;
    }

    /// Whether another drain has been asked for.
    pub(crate) fn is_raised(&self) -> bool {
        self.core.shared.signal().is_raised()
    }

    /// When it wants to be polled at the latest.
    pub(crate) fn deadline(&self) -> Instant {
        self.core.wake_at()
    }

    pub(crate) fn shared(&self) -> &Arc<Exchange> {
        &self.core.shared
    }

    /// How many consumers' deliveries have a place to go.
    #[cfg(test)]
    pub(crate) fn run_queues(&self) -> usize {
        self.core.run_queues.len()
    }

    /// The host, for adapters that wait by themselves.
    pub(crate) fn host_mut(&mut self) -> &mut H {
        &mut self.core.host
    }
}

impl<H: Host + Unpin, M: Machine + Unpin> Future for Engine<H, M> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Engine::poll(self.get_mut(), cx)
    }
}

impl<H: Host, M: Machine> Drop for Engine<H, M> {
    /// The runtime was shut down under us, or the client has closed: nobody waits for ever.
    fn drop(&mut self) {
        if !self.core.finished {
            // A recording is whole from here on.
            self.core.tap = None;
            if let Err(panic) = catch_unwind(AssertUnwindSafe(|| self.core.abandon())) {
                return self.core.end(&Error::Bug(panic_text(&*panic).into()));
            }
        }
        self.core.end(&Error::Closed);
    }
}

impl<H: Host, M: Machine> Core<H, M> {
    fn wake_at(&self) -> Instant {
        self.deadline.min(self.waiting_until).min(self.look_at)
    }

    fn drain(&mut self, wakers: &mut Vec<Waker>) {
        let now = self.host.now();
        self.check_wall(now);
        self.take_ready(now);
        let more = self.take_mailbox(now);
        if now >= self.deadline {
            self.handle(now, Input::Timeout);
        }
        let unfinished = self.rounds(now, wakers);
        let admitted = !self.outcomes.is_empty() && self.shared.fill(&mut self.outcomes, wakers);
        if more || admitted || unfinished {
            self.shared.signal().raise();
        }
    }

    /// Does what the core wants, tells it what came of that, and so on. True when the mailbox holds more,
    /// or the core was told something in the last round that it may have.
    fn rounds(&mut self, now: Instant, wakers: &mut Vec<Waker>) -> bool {
        let mut more = false;
        for _ in 0..ROUNDS_MAX {
            self.take_outputs(now, wakers);
            let mut told = self.refuse(now);
            if self.ask() {
                // What was answered at once counts in this drain.
                more |= self.take_mailbox(now);
                told = true;
            }
            if !(self.write_dirty(now) | told) {
                return more;
            }
        }
        true
    }

    fn handle(&mut self, now: Instant, input: Input) {
        if let Some(tap) = &mut self.tap {
            tap.input(now, &input);
        }
        self.machine.handle(now, input);
    }

    /// A machine that slept, or whose clock was set, tells the core before anything else.
    fn check_wall(&mut self, now: Instant) {
        let wall = self.host.wall();
        let off_ms = wall.as_millis().abs_diff(self.wall.timestamp(now).as_millis());
        if u128::from(off_ms) > WALL_CLOCK_SLACK.as_millis() {
            self.wall = WallClock::new(now, wall);
            self.handle(now, Input::WallClock(wall));
        }
    }

    // In: sockets.

    fn take_ready(&mut self, now: Instant) {
        let mut ready = core::mem::take(&mut self.ready);
        let channels = &self.channels;
        self.shared.ready.take(|bit| ready.extend(channels.of_bit(bit)));
        for id in ready.drain(..) {
            if let Err(reason) = self.turn(now, id) {
                self.lose(now, id, &reason);
            }
        }
        self.ready = ready;
    }

    /// A socket woke up: it may be up, writable, readable, or all of it.
    fn turn(&mut self, now: Instant, id: ChannelId) -> Result<(), String> {
        let Some(channel) = self.channels.get_mut(id) else { return Ok(()) };
        if !channel.connected {
            let mut cx = Context::from_waker(&channel.waker);
            let Poll::Ready(connected) = self.host.poll_connected(id, &mut cx) else { return Ok(()) };
            connected.map_err(|error| error.to_string())?;
            channel.connected = true;
            if channel.start().map_err(|error| error.to_string())? {
                self.handle(now, Input::Connected { channel: id });
            }
        }
        self.mark_dirty(id);
        self.read(now, id)
    }

    fn read(&mut self, now: Instant, id: ChannelId) -> Result<(), String> {
        let (mut budget, mut requests) = (READ_BYTES_MAX, PEER_REQUESTS_MAX);
        let mut more = match self.channels.get_mut(id) {
            Some(channel) if channel.unfinished => self.frames(now, id, &mut requests)?,
            _ => false,
        };
        while budget > 0 && !more {
            let Some(channel) = self.channels.get_mut(id) else { return Ok(()) };
            let count = match channel.read(&mut self.host).map_err(|error| error.to_string())? {
                Read::Pending => return Ok(()),
                Read::Bytes(count) => count,
            };
            budget = budget.saturating_sub(count);
            if channel.absorb().map_err(|error| error.to_string())? {
                self.handle(now, Input::Connected { channel: id });
            }
            self.mark_dirty(id);
            more = self.frames(now, id, &mut requests)?;
        }
        self.shared.ready.set(id.index());
        self.shared.signal().raise();
        Ok(())
    }

    /// Takes the frames that were read, and at most so many requests. True when there may be more.
    fn frames(&mut self, now: Instant, id: ChannelId, requests: &mut usize) -> Result<bool, String> {
        while let Some(channel) = self.channels.get_mut(id) {
            channel.unfinished = *requests == 0;
            if channel.unfinished {
                return Ok(true);
            }
            match channel.next_frame().map_err(|error| error.to_string())? {
                Some(command) => {
                    *requests -= usize::from(!command.is_response());
                    self.handle(now, Input::Received { channel: id, command });
                }
                None => break,
            }
        }
        Ok(false)
    }

    /// A connection has ended by itself.
    fn lose(&mut self, now: Instant, id: ChannelId, reason: &str) {
        if self.channels.remove(id).is_some() {
            self.host.close(id);
            self.handle(now, Input::Closed { channel: id, reason: reason.into() });
        }
    }

    // In: users.

    /// True when more is left than one drain takes.
    fn take_mailbox(&mut self, now: Instant) -> bool {
        let mut batch = core::mem::take(&mut self.batch);
        let more = self.shared.take(now, COMMANDS_MAX, &mut batch);
        self.waiting_until = batch.deadline.unwrap_or(Instant::FAR_FUTURE);
        // What handlers were called with is looked at after their answers, and told before them.
        let mut tokens = Vec::new();
        self.shared.hands.look(now, &mut self.look_at, &mut tokens, &mut batch.settled);
        self.run_queues.values().for_each(|queue| queue.take_begun(&mut tokens));
        if !tokens.is_empty() {
            self.handle(now, Input::Begun { tokens });
        }
        if !batch.settled.is_empty() {
            let answers = core::mem::take(&mut batch.settled);
            self.handle(now, Input::Settled { answers });
        }
        for urgent in batch.urgent.drain(..) {
            match urgent {
                Urgent::Input(input) => self.handle(now, input),
                Urgent::RunQueue(consumer, queue) => {
                    self.run_queues.insert(consumer, queue);
                }
                Urgent::Responder(owner, responder) => self.responders.insert(owner, responder),
            }
        }
        for queued in batch.commands.drain(..) {
            self.handle(now, Input::Command(queued.into_command(now)));
        }
        for queued in batch.spent.drain(..) {
            if queued.is_close() {
                self.handle(now, Input::Command(queued.into_command(now)));
            } else {
                self.outcomes.extend(queued.into_not_sent(now, Cause::Timeout));
            }
        }
        self.batch = batch;
        more
    }

    /// The engine goes before the client has closed: the machine says what it knows of all that is under way,
    /// which is more than one word for all. What it still wants is not done.
    fn abandon(&mut self) {
        let now = self.host.now();
        self.machine.handle(now, Input::Abandoned);
        loop {
            match self.machine.poll_output(now) {
                Output::Complete { operation, outcome } => self.outcomes.push((operation, outcome)),
                Output::Wait(_) => return,
                _ => {}
            }
        }
    }

    /// Stops for good. Nothing waits for ever: operations get `error`, run queues end.
    fn end(&mut self, error: &Error) {
        self.finished = true;
        // A recording is whole from here on.
        self.tap = None;
        for id in self.channels.drain() {
            self.host.close(id);
        }
        let mut wakers = Vec::new();
        self.shared.fill(&mut self.outcomes, &mut wakers);
        for (_, queue) in core::mem::take(&mut self.run_queues) {
            drop(queue.end(&mut wakers));
        }
        // A consumer that was created while the engine ended has its queue still in the mailbox.
        for urgent in self.shared.end(error) {
            if let Urgent::RunQueue(_, queue) = urgent {
                drop(queue.end(&mut wakers));
            }
        }
        super::wake_all(&mut wakers);
        if let Error::Bug(text) = error {
            tracing::error!(text = &**text, "the client broke one of its own rules and has stopped");
        }
    }
}

impl Machine for crate::client::Client {
    fn handle(&mut self, now: Instant, input: Input) {
        Self::handle(self, now, input);
    }

    fn poll_output(&mut self, now: Instant) -> Output {
        Self::poll_output(self, now)
    }
}
