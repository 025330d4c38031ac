//! A command on its way from a handle to the engine, and the time that it may take.

use core::time::Duration;

use crate::client::{ClientCommand, Command, Outcome};
use crate::error::{Cause, Error, Failure};
use crate::id::OperationId;
use crate::producer::ProducerCommand;
use crate::time::Instant;

/// The time that a send may take, which counts from the user's call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Budget {
    called: Instant,
    pub(super) deadline: Instant,
}

impl Budget {
    /// `timeout` from now on.
    pub(crate) fn new(now: Instant, timeout: Duration) -> Self {
        Self { called: now, deadline: now + timeout }
    }

    /// Whether nothing is left of it.
    pub(crate) fn is_spent(&self, now: Instant) -> bool {
        now >= self.deadline
    }

    /// What is left of it.
    pub(crate) fn left(&self, now: Instant) -> Duration {
        self.deadline - now
    }

    /// When the call was made.
    pub(crate) fn called(&self) -> Instant {
        self.called
    }

    /// The time since the call.
    pub(crate) fn elapsed(&self, now: Instant) -> Duration {
        now - self.called
    }
}

/// A command and who waits for it.
#[derive(Debug)]
pub(crate) struct Queued {
    /// Whose it is; `None` when nobody can withdraw it.
    pub(crate) operation: Option<OperationId>,
    /// What to do.
    pub(crate) command: Command,
    /// How long it may take, where that counts from the user's call.
    pub(crate) budget: Option<Budget>,
}

impl Queued {
    /// Whether its time is over before it began.
    pub(crate) fn is_spent(&self, now: Instant) -> bool {
        self.budget.is_some_and(|budget| budget.is_spent(now))
    }

    /// The command, with what is left of its budget.
    pub(crate) fn into_command(mut self, now: Instant) -> Command {
        match (self.budget, &mut self.command) {
            (
                Some(budget),
                Command::Producer(
                    _,
                    ProducerCommand::Send { timeout, .. } | ProducerCommand::SendBatch { timeout, .. },
                ),
            ) => *timeout = Some(budget.left(now)),
            (Some(budget), Command::Client(ClientCommand::Close { timeout, .. })) => {
                *timeout = budget.left(now);
            }
            _ => {}
        }
        self.command
    }

    /// Whether it is made even when its time is over: a close then ends at once.
    pub(crate) fn is_close(&self) -> bool {
        matches!(self.command, Command::Client(ClientCommand::Close { .. }))
    }

    /// How a message ends that the client never took: nothing of it has left. `None` for what carries none, and
    /// for what nobody waits for.
    pub(crate) fn into_not_sent(self, now: Instant, cause: Cause) -> Option<(OperationId, Outcome)> {
        let Command::Producer(_, command) = self.command else { return None };
        let topic = match command {
            ProducerCommand::Send { message, .. } | ProducerCommand::SendOneway { message, .. } => {
                Some(message.topic)
            }
            ProducerCommand::SendBatch { messages, .. } => {
                messages.into_iter().next().map(|first| first.topic)
            }
            _ => return None,
        };
        let failure = Failure {
            action: "send to",
            topic,
            peer: None,
            attempts: 0,
            elapsed: self.budget?.elapsed(now),
            cause,
        };
        Some((self.operation?, Outcome::Failed(Error::NotSent(failure.into()))))
    }
}
