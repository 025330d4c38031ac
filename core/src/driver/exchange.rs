//! Where handles and the engine meet: commands and answers go in, outcomes come out, under one lock that nobody holds
//! for long.

use super::std;
use alloc::boxed::Box;
use alloc::sync::{Arc, Weak};
use alloc::vec::Vec;
use core::fmt;
use core::sync::atomic::{AtomicU32, Ordering};
use core::task::{Context, Poll, Waker};
use core::time::Duration;

use std::sync::{Mutex, OnceLock};

use super::host::Spawn;
use super::mailbox::{Mailbox, Urgent};
use super::parker::Lead;
use super::permits::{Cost, Limits};
use super::queued::{Budget, Queued};
use super::ready::{Owner, ReadySet};
use super::responder::Answers;
use super::run_queue::{Hands, RunQueue};
use super::signal::Signal;
use super::slots::{Abandoned, Slots, Taken};
use super::waiting::Ticket;
use super::{DetachedCounts, lock};
use crate::client::{Answer, ClientCommand, Command, Input, Outcome};
use crate::consumer::{ConsumeToken, Settled};
use crate::error::{Cause, Error, Failure};
use crate::id::{AskToken, OperationId};
use crate::lines::LogLines;
use crate::time::Instant;

/// Shared by every handle of a client and its engine.
pub(crate) struct Exchange {
    state: Mutex<State>,
    signal: Signal,
    /// What workers have to tell.
    pub(crate) hands: Hands,
    pub(crate) ready: ReadySet,
    /// Runs user code and look-ups.
    pub(crate) spawn: Arc<dyn Spawn>,
    /// Present where waiting callers drive the engine.
    pub(crate) lead: OnceLock<Box<dyn Lead>>,
    run_queues: Mutex<Vec<Weak<RunQueue>>>,
    /// Counts the lines about handlers and their messages.
    pub(crate) lines: Arc<Mutex<LogLines>>,
    producers: AtomicU32,
    consumers: AtomicU32,
}

#[derive(Debug)]
struct State {
    mailbox: Mailbox,
    slots: Slots,
    detached: DetachedCounts,
    /// A user has asked for the client's close.
    closing: Option<Instant>,
    ended: Option<Error>,
}

/// When a command's turn is.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Turn {
    /// When permits for messages of this size are there, first come first served.
    Messages {
        /// How many.
        count: usize,
        /// Their size together.
        bytes: usize,
        /// How long it may wait and be under way.
        budget: Budget,
    },
    /// After the messages that came before; it needs no permit itself.
    Behind,
    /// At once.
    Now,
}

/// A command that has been put in.
#[derive(Debug)]
pub(crate) struct Submitted {
    pub(crate) operation: OperationId,
    pub(crate) ticket: Option<Ticket>,
}

/// Scratch space of [`Exchange::take`].
#[derive(Debug, Default)]
pub(crate) struct Batch {
    pub(crate) commands: Vec<Queued>,
    pub(crate) urgent: Vec<Urgent>,
    pub(crate) settled: Vec<Settled>,
    /// Their time was over before they began.
    pub(crate) spent: Vec<Queued>,
    /// When the time of the next one that waits for permits is over.
    pub(crate) deadline: Option<Instant>,
    discarded: Vec<Queued>,
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").finish_non_exhaustive()
    }
}

impl Owner for Exchange {
    fn raise(&self) {
        self.signal.raise();
    }
}

impl Answers for Exchange {
    fn put_answer(&self, token: AskToken, answer: Answer) {
        self.push_urgent(Urgent::Input(Input::Answered { token, answer }));
    }
}

impl Exchange {
    pub(crate) fn new(limits: Limits, spawn: Arc<dyn Spawn>) -> Self {
        let state = State {
            mailbox: Mailbox::new(limits),
            slots: Slots::default(),
            detached: DetachedCounts::default(),
            closing: None,
            ended: None,
        };
        Self {
            state: Mutex::new(state),
            signal: Signal::default(),
            hands: Hands::default(),
            ready: ReadySet::default(),
            spawn,
            lead: OnceLock::new(),
            run_queues: Mutex::default(),
            lines: Arc::new(Mutex::new(LogLines::of_handlers())),
            producers: AtomicU32::new(0),
            consumers: AtomicU32::new(0),
        }
    }

    pub(crate) fn signal(&self) -> &Signal {
        &self.signal
    }

    /// Answers lie in a hand while user code is about to run, which may take as long as it likes: the engine
    /// looks, unless it will do so by itself or has been asked to. True when it was woken: a task then has to
    /// give way once before it runs user code, since its executor may keep who was woken last for its own thread
    /// (a slot from which no other thread takes).
    pub(crate) fn told_by_hand(&self) -> bool {
        !self.hands.are_watched() && !self.signal.is_raised() && self.signal.wakes()
    }

    /// A number that no producer of this client had.
    pub(crate) fn next_producer(&self) -> u32 {
        self.producers.fetch_add(1, Ordering::Relaxed)
    }

    /// A number that no consumer of this client had.
    pub(crate) fn next_consumer(&self) -> u32 {
        self.consumers.fetch_add(1, Ordering::Relaxed)
    }

    /// Puts in a command; a message waits when too much is under way.
    pub(crate) fn submit(
        &self,
        turn: Turn,
        command: impl FnOnce(OperationId) -> Command,
    ) -> Result<Submitted, Error> {
        let (submitted, wakes) = {
            let mut state = lock(&self.state);
            let state = &mut *state;
            if let Some(error) = &state.ended {
                return Err(error.clone());
            }
            let (cost, budget) = match turn {
                Turn::Messages { count, bytes, budget } => (state.mailbox.cost(count, bytes), Some(budget)),
                Turn::Behind | Turn::Now => (Cost::FREE, None),
            };
            let operation = state.slots.insert(cost, budget.map(|budget| budget.called()));
            let queued = Queued { operation: Some(operation), command: command(operation), budget };
            let ticket = match turn {
                Turn::Messages { .. } | Turn::Behind => state.mailbox.push(cost, queued),
                Turn::Now => {
                    state.mailbox.push_admitted(queued);
                    None
                }
            };
            // The engine takes what is admitted, and wakes up for the first that waits in vain.
            let first = state.mailbox.deadline().map(|(_, first)| first);
            (Submitted { operation, ticket }, ticket.is_none() || ticket == first)
        };
        if wakes {
            self.signal.raise();
        }
        Ok(submitted)
    }

    /// Takes permits for a message of `bytes` at once, or says that there are none.
    pub(crate) fn try_reserve(&self, bytes: usize) -> Result<Option<Cost>, Error> {
        let mut state = lock(&self.state);
        if let Some(error) = &state.ended {
            return Err(error.clone());
        }
        let cost = state.mailbox.cost(1, bytes);
        Ok(state.mailbox.try_reserve(cost).then_some(cost))
    }

    /// Gives back what [`try_reserve`](Self::try_reserve) took.
    pub(crate) fn unreserve(&self, cost: Cost) {
        lock(&self.state).mailbox.give_back(cost);
        self.signal.raise();
    }

    /// Puts in a message whose permits were reserved.
    pub(crate) fn submit_reserved(
        &self,
        (cost, budget): (Cost, Budget),
        command: impl FnOnce(OperationId) -> Command,
    ) -> Result<Submitted, Error> {
        let operation = {
            let mut state = lock(&self.state);
            if let Some(error) = &state.ended {
                return Err(error.clone());
            }
            let operation = state.slots.insert(cost, Some(budget.called()));
            let (command, budget) = (command(operation), Some(budget));
            state.mailbox.push_admitted(Queued { operation: Some(operation), command, budget });
            operation
        };
        self.signal.raise();
        Ok(Submitted { operation, ticket: None })
    }

    /// Puts in a command that carries no message and goes past those that do.
    pub(crate) fn submit_urgent(
        &self,
        command: impl FnOnce(OperationId) -> Command,
    ) -> Result<Submitted, Error> {
        let operation = {
            let mut state = lock(&self.state);
            if let Some(error) = &state.ended {
                return Err(error.clone());
            }
            let operation = state.slots.insert(Cost::FREE, None);
            state.mailbox.push_urgent(Urgent::Input(Input::Command(command(operation))));
            // It can't be withdrawn: a close that was asked for happens.
            state.slots.take(operation);
            operation
        };
        self.signal.raise();
        Ok(Submitted { operation, ticket: None })
    }

    /// A consumer's deliveries have a place.
    pub(crate) fn add_run_queue(&self, queue: &Arc<RunQueue>) {
        let mut queues = lock(&self.run_queues);
        queues.retain(|queue| queue.strong_count() > 0);
        queues.push(Arc::downgrade(queue));
    }

    /// The client is being closed: from here on no handler is called, whatever the close waits for, but for what
    /// lies before a message of its queue that has been begun.
    pub(crate) fn stop_handlers(&self) {
        let queues = lock(&self.run_queues).clone();
        self.take_back(|wakers| {
            queues.iter().filter_map(Weak::upgrade).flat_map(|queue| queue.close(wakers)).collect()
        });
    }

    /// Hands back what `take` takes out of run queues, and wakes whom it names.
    pub(crate) fn take_back(&self, take: impl FnOnce(&mut Vec<Waker>) -> Vec<ConsumeToken>) {
        let mut wakers = Vec::new();
        let taken = take(&mut wakers);
        super::wake_all(&mut wakers);
        self.push_handed_back(taken);
    }

    /// Puts in the client's close, behind the messages that came before it: what was sent first is not overtaken.
    /// Where those still wait for permits when `budget` is over, it is made all the same.
    pub(crate) fn submit_close(
        &self,
        budget: Budget,
        command: impl FnOnce(OperationId) -> Command,
    ) -> Result<Submitted, Error> {
        let submitted = {
            let mut state = lock(&self.state);
            let state = &mut *state;
            if let Some(error) = &state.ended {
                return Err(error.clone());
            }
            state.closing.get_or_insert(budget.called());
            let operation = state.slots.insert(Cost::FREE, None);
            // It can't be withdrawn: a close that was asked for happens.
            state.slots.take(operation);
            let queued =
                Queued { operation: Some(operation), command: command(operation), budget: Some(budget) };
            Submitted { operation, ticket: state.mailbox.push(Cost::FREE, queued) }
        };
        self.signal.raise();
        Ok(submitted)
    }

    /// Whether the client's close has been asked for.
    pub(crate) fn is_closing(&self) -> bool {
        lock(&self.state).closing.is_some()
    }

    /// Puts in a command that nobody waits for: past the others, or behind them when it must not
    /// overtake.
    pub(crate) fn submit_detached(&self, overtakes: bool, command: impl FnOnce(OperationId) -> Command) {
        {
            let mut state = lock(&self.state);
            let state = &mut *state;
            if state.ended.is_some() {
                return;
            }
            let operation = state.slots.insert_detached();
            let command = command(operation);
            if overtakes {
                state.mailbox.push_urgent(Urgent::Input(Input::Command(command)));
            } else {
                let queued = Queued { operation: Some(operation), command, budget: None };
                state.mailbox.push(Cost::FREE, queued);
            }
        }
        self.signal.raise();
    }

    /// Puts in a command that has no outcome.
    pub(crate) fn push_command(&self, command: Command) -> Result<(), Error> {
        {
            let mut state = lock(&self.state);
            if let Some(error) = &state.ended {
                return Err(error.clone());
            }
            state.mailbox.push_urgent(Urgent::Input(Input::Command(command)));
        }
        self.signal.raise();
        Ok(())
    }

    /// Puts something into the lane that never refuses. Dropped when the client has ended.
    pub(crate) fn push_urgent(&self, urgent: Urgent) {
        let refused = {
            let mut state = lock(&self.state);
            if state.ended.is_some() {
                Some(urgent)
            } else {
                state.mailbox.push_urgent(urgent);
                None
            }
        };
        match refused {
            Some(Urgent::RunQueue(_, queue)) => drop(queue.end(&mut Vec::new())),
            _ => self.signal.raise(),
        }
    }

    /// Puts answers for deliveries in, under one lock.
    pub(crate) fn push_settled(&self, settled: impl ExactSizeIterator<Item = Settled>) {
        if settled.len() == 0 {
            return;
        }
        {
            let mut state = lock(&self.state);
            if state.ended.is_none() {
                state.mailbox.push_settled(settled);
            }
        }
        self.signal.raise();
    }

    /// Hands deliveries back that no handler begins, or whose handlers are gone, under one lock.
    pub(crate) fn push_handed_back(&self, tokens: impl IntoIterator<Item = ConsumeToken>) {
        let inputs: Vec<Input> = tokens.into_iter().map(|token| Input::HandedBack { token }).collect();
        if inputs.is_empty() {
            return;
        }
        {
            let mut state = lock(&self.state);
            if state.ended.is_none() {
                state.mailbox.push_urgent_all(inputs);
            }
        }
        self.signal.raise();
    }

    /// Whether the outcome of `operation` is there.
    pub(crate) fn poll(&self, operation: OperationId, cx: &Context<'_>) -> Poll<Outcome> {
        // Cloned before the lock and dropped after it: both may run code of an executor.
        let mut waker = Some(cx.waker().clone());
        let polled = lock(&self.state).slots.poll(operation, &mut waker);
        drop(waker);
        polled
    }

    /// Nobody waits for `operation` any more.
    pub(crate) fn abandon(&self, submitted: &Submitted) {
        let (abandoned, command) = {
            let mut state = lock(&self.state);
            let state = &mut *state;
            let abandoned = state.slots.abandon(submitted.operation);
            match &abandoned {
                Abandoned::Ended(outcome) => state.detached.count(outcome),
                Abandoned::Withdrawn(_) => state.detached.withdrawn += 1,
                Abandoned::Detached(_) | Abandoned::Gone => {}
            }
            // While it waits for permits it holds none, and can go at once.
            let command = match (&abandoned, submitted.ticket) {
                (Abandoned::Withdrawn(_), Some(ticket)) => state.mailbox.withdraw(ticket),
                _ => None,
            };
            if command.is_some() {
                state.slots.take(submitted.operation);
            }
            (abandoned, command)
        };
        if command.is_some() {
            self.signal.raise();
        }
        drop((abandoned, command));
    }

    /// The engine takes what has been put in, up to `commands_max` commands. True when more is left.
    pub(crate) fn take(&self, now: Instant, commands_max: usize, batch: &mut Batch) -> bool {
        let more = {
            let mut state = lock(&self.state);
            let state = &mut *state;
            state.mailbox.take_urgent(&mut batch.urgent, &mut batch.settled);
            for queued in state.mailbox.take_spent(now) {
                if let Some(id) = queued.operation {
                    state.slots.take(id);
                    state.slots.waive(id);
                }
                batch.spent.push(queued);
            }
            while batch.commands.len() + batch.spent.len() + batch.discarded.len() < commands_max {
                let Some(queued) = state.mailbox.pop() else { break };
                match queued.operation.map_or(Taken::Go, |id| state.slots.take(id)) {
                    Taken::Go if queued.is_spent(now) => batch.spent.push(queued),
                    Taken::Go => batch.commands.push(queued),
                    Taken::Withdrawn(cost) => {
                        batch.discarded.push(queued);
                        state.mailbox.give_back(cost);
                    }
                }
            }
            batch.deadline = state.mailbox.deadline().map(|(deadline, _)| deadline);
            !state.mailbox.is_empty()
        };
        batch.discarded.clear();
        more
    }

    /// The engine hands over outcomes, under one lock. The wakers are to be called after it.
    /// True when permits that came back let commands in.
    pub(crate) fn fill(&self, outcomes: &mut Vec<(OperationId, Outcome)>, wakers: &mut Vec<Waker>) -> bool {
        let mut unclaimed = Vec::new();
        let more = {
            let mut state = lock(&self.state);
            let state = &mut *state;
            for (operation, outcome) in outcomes.drain(..) {
                let Some(filled) = state.slots.fill(operation, outcome) else { continue };
                state.mailbox.give_back(filled.cost);
                wakers.extend(filled.waker);
                if let Some(outcome) = filled.unclaimed {
                    state.detached.count(&outcome);
                    unclaimed.push(outcome);
                }
            }
            !state.mailbox.is_empty()
        };
        drop(unclaimed);
        more
    }

    /// The engine stops for good: whoever waits, and whoever asks later, is told `error`; but messages end with
    /// what is known of them. Returns what it will not look at any more.
    pub(crate) fn end(&self, error: &Error) -> Vec<Urgent> {
        let (commands, urgent, closing) = {
            let mut state = lock(&self.state);
            if state.ended.is_some() {
                return Vec::new();
            }
            state.ended = Some(error.clone());
            let (commands, urgent) = state.mailbox.clear();
            (commands, urgent, state.closing)
        };
        let now = self.spawn.now();
        let cause = match error {
            Error::Bug(text) => Cause::Stopped { reason: text.clone() },
            _ => Cause::Closing,
        };
        // What the engine never took has surely not left; what it took may have. No lock is held here, since
        // bodies go with the commands, and may be of a user's kind.
        let queued = commands.into_iter().filter_map(|queued| {
            let called = queued.budget.map(|budget| budget.called());
            // Whoever calls after the close was asked for is told that, also if nobody took the close's end yet.
            let is_late = closing.is_some_and(|closing| called.is_some_and(|called| called > closing));
            match queued.operation {
                Some(operation) if is_late => Some((operation, Outcome::Failed(error.clone()))),
                _ => queued.into_not_sent(now, cause.clone()),
            }
        });
        let outcomes: Vec<(OperationId, Outcome)> = queued.collect();
        let (mut wakers, mut leftovers) = (Vec::new(), Vec::new());
        {
            let mut state = lock(&self.state);
            let mut fill = |state: &mut State, operation, outcome| {
                if let Some(filled) = state.slots.fill(operation, outcome) {
                    wakers.extend(filled.waker);
                    leftovers.extend(filled.unclaimed);
                }
            };
            for (operation, outcome) in outcomes {
                fill(&mut state, operation, outcome);
            }
            for (operation, sent) in state.slots.open() {
                let error = sent.map_or_else(|| error.clone(), |called| unknown(now - called, cause.clone()));
                fill(&mut state, operation, Outcome::Failed(error));
            }
        }
        drop(leftovers);
        super::wake_all(&mut wakers);
        urgent
    }

    /// How operations ended that nobody waited for.
    pub(crate) fn detached_counts(&self) -> DetachedCounts {
        lock(&self.state).detached
    }

    /// Slots in use and whether all permits are back.
    #[cfg(test)]
    pub(crate) fn at_rest(&self) -> (usize, bool) {
        let state = lock(&self.state);
        (state.slots.len(), state.mailbox.is_whole())
    }
}

/// How a message ends that was taken and of which nothing more will be heard.
fn unknown(elapsed: Duration, cause: Cause) -> Error {
    let failure = Failure { action: "send", topic: None, peer: None, attempts: 1, elapsed, cause };
    Error::Unknown(failure.into())
}

/// Held by every handle; the last one to go closes the client with deadline zero.
#[derive(Debug)]
pub(crate) struct Alive(pub(crate) Arc<Exchange>);

impl Drop for Alive {
    fn drop(&mut self) {
        // A close that was asked for has the time that it was given.
        if !self.0.is_closing() {
            self.0.submit_detached(true, |operation| {
                Command::Client(ClientCommand::Close { operation, timeout: Duration::ZERO })
            });
        }
    }
}
