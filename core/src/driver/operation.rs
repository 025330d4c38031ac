//! What every command returns: something to await, or to wait for where no executor runs.

use alloc::sync::Arc;
use core::future::Future;
use core::marker::PhantomData;
use core::pin::Pin;
use core::task::{Context, Poll};

use super::exchange::{Alive, Exchange, Submitted};
use super::park;
use crate::client::{ClientStatistics, Outcome};
use crate::consumer::{CloseReport, ConsumerHealth, ConsumerStatistics};
use crate::error::{Error, Result};
use crate::producer::{BatchReceipt, SendReceipt};

/// A command under way. It begins when it is made, not when it is first polled, so several can run
/// at once without an executor's help.
///
/// Cancel safe: polling it in `select!` and polling it again later loses nothing. Dropping it before
/// the engine has taken the command withdraws the command: the message is never sent. Dropped later,
/// the work goes on without an audience; how it ended is
/// [counted](super::Client::detached_counts).
#[derive(Debug)]
#[must_use = "dropping it at once withdraws the command; await it, or call wait()"]
pub struct Operation<T> {
    state: State,
    outcome: PhantomData<fn() -> T>,
}

#[derive(Debug)]
enum State {
    Running { alive: Arc<Alive>, submitted: Submitted, closes: bool },
    Failed(Error),
    Done { in_order: bool },
    Taken,
}

/// What an [`Operation`] can end with.
pub trait FromOutcome: Sized {
    /// Takes the result out of the core's answer.
    ///
    /// # Errors
    /// Whatever the core says, and [`Error::Bug`] when its answer belongs to another command.
    fn from_outcome(outcome: Outcome) -> Result<Self>;

    /// What a command ends with that had already been done when it was made. `in_order` is whether somebody had
    /// closed the client; otherwise its engine went.
    fn already_done(_in_order: bool) -> Result<Self> {
        Err(Error::Closed)
    }
}

impl FromOutcome for SendReceipt {
    fn from_outcome(outcome: Outcome) -> Result<Self> {
        match outcome {
            Outcome::Sent(receipt) => Ok(receipt),
            other => Err(unexpected(other)),
        }
    }
}

impl FromOutcome for BatchReceipt {
    fn from_outcome(outcome: Outcome) -> Result<Self> {
        match outcome {
            Outcome::SentBatch(receipt) => Ok(receipt),
            other => Err(unexpected(other)),
        }
    }
}

impl FromOutcome for () {
    fn from_outcome(outcome: Outcome) -> Result<Self> {
        match outcome {
            Outcome::Done => Ok(()),
            other => Err(unexpected(other)),
        }
    }

    fn already_done(_in_order: bool) -> Result<Self> {
        Ok(())
    }
}

impl FromOutcome for CloseReport {
    fn from_outcome(outcome: Outcome) -> Result<Self> {
        match outcome {
            Outcome::ConsumerClosed(report) => Ok(report),
            // It had been closed before, and that told the report.
            Outcome::Done => Ok(Self::default()),
            other => Err(unexpected(other)),
        }
    }

    /// The consumer was closed with its client, and that told no report.
    fn already_done(in_order: bool) -> Result<Self> {
        if in_order { Ok(Self::default()) } else { Err(Error::Closed) }
    }
}

impl FromOutcome for ConsumerHealth {
    fn from_outcome(outcome: Outcome) -> Result<Self> {
        match outcome {
            Outcome::Inspected(told) => Ok(told.0),
            other => Err(unexpected(other)),
        }
    }
}

impl FromOutcome for ConsumerStatistics {
    fn from_outcome(outcome: Outcome) -> Result<Self> {
        match outcome {
            Outcome::Inspected(told) => Ok(told.1),
            other => Err(unexpected(other)),
        }
    }
}

impl FromOutcome for ClientStatistics {
    fn from_outcome(outcome: Outcome) -> Result<Self> {
        match outcome {
            Outcome::Statistics(statistics) => Ok(*statistics),
            other => Err(unexpected(other)),
        }
    }
}

fn unexpected(outcome: Outcome) -> Error {
    match outcome {
        Outcome::Failed(error) => error,
        other => {
            Error::Bug(alloc::format!("a command ended with {other:?}, which belongs to another").into())
        }
    }
}

impl<T: FromOutcome> Operation<T> {
    pub(crate) fn new(alive: &Arc<Alive>, submitted: Result<Submitted>) -> Self {
        match submitted {
            Ok(submitted) => {
                Self::from_state(State::Running { alive: alive.clone(), submitted, closes: false })
            }
            Err(error) => Self::failed(error),
        }
    }

    /// A command that closes something: when the client has closed meanwhile, that is done.
    pub(crate) fn closing(alive: &Arc<Alive>, submitted: Result<Submitted>) -> Self {
        match submitted {
            Ok(submitted) => {
                Self::from_state(State::Running { alive: alive.clone(), submitted, closes: true })
            }
            Err(Error::Closed) => Self::from_state(State::Done { in_order: alive.0.is_closing() }),
            Err(error) => Self::failed(error),
        }
    }

    pub(crate) fn failed(error: Error) -> Self {
        Self::from_state(State::Failed(error))
    }

    fn from_state(state: State) -> Self {
        Self { state, outcome: PhantomData }
    }

    pub(crate) fn shared(&self) -> Option<&Arc<Exchange>> {
        match &self.state {
            State::Running { alive, .. } => Some(&alive.0),
            _ => None,
        }
    }

    /// Blocks this thread until the operation ends. For programs without an executor; inside an
    /// async task it stops the executor's thread, and on a single-threaded one for ever.
    ///
    /// # Errors
    /// As awaiting it.
    pub fn wait(mut self) -> Result<T> {
        let shared = self.shared().cloned();
        park::wait_for(shared.as_deref(), &mut self)
    }
}

impl<T: FromOutcome> Future for Operation<T> {
    type Output = Result<T>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let this = self.get_mut();
        if let State::Running { alive, submitted, closes } = &this.state {
            let Poll::Ready(outcome) = alive.0.poll(submitted.operation, cx) else { return Poll::Pending };
            let done = *closes && matches!(outcome, Outcome::Failed(Error::Closed));
            let in_order = done && alive.0.is_closing();
            this.state = State::Taken;
            return Poll::Ready(if done { T::already_done(in_order) } else { T::from_outcome(outcome) });
        }
        match core::mem::replace(&mut this.state, State::Taken) {
            State::Failed(error) => Poll::Ready(Err(error)),
            State::Done { in_order } => Poll::Ready(T::already_done(in_order)),
            State::Taken | State::Running { .. } => panic!("an operation was polled after it had ended"),
        }
    }
}

impl<T> Drop for Operation<T> {
    fn drop(&mut self) {
        if let State::Running { alive, submitted, .. } = &self.state {
            alive.0.abandon(submitted);
        }
    }
}

/// A consumer that is starting: ends with `T` once the consumer is registered and its queues were
/// divided once. Dropping it closes the consumer.
#[derive(Debug)]
#[must_use = "dropping it closes the consumer; await it, or call wait()"]
pub struct Starting<T> {
    operation: Operation<()>,
    ready: Option<T>,
}

impl<T: Unpin> Starting<T> {
    pub(crate) fn failed(error: Error) -> Self {
        Self { operation: Operation::failed(error), ready: None }
    }

    pub(crate) fn new(operation: Operation<()>, ready: T) -> Self {
        Self { operation, ready: Some(ready) }
    }

    /// Blocks this thread until the consumer has started. See [`Operation::wait`].
    ///
    /// # Errors
    /// As awaiting it.
    pub fn wait(mut self) -> Result<T> {
        let shared = self.operation.shared().cloned();
        park::wait_for(shared.as_deref(), &mut self)
    }
}

impl<T: Unpin> Future for Starting<T> {
    type Output = Result<T>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<T>> {
        let Poll::Ready(started) = Pin::new(&mut self.operation).poll(cx) else { return Poll::Pending };
        let ready = self.ready.take();
        Poll::Ready(started.and_then(|()| ready.ok_or(Error::Closed)))
    }
}
