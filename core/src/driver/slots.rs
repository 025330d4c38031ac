//! Where the outcomes of operations wait for whoever asked. No allocation per operation once the
//! slab has grown: slots are used again, and a generation keeps late events from a former tenant.
//!
//! ```text
//! Queued ──driver takes it──▶ Taken ──outcome──▶ Filled ──polled──▶ gone
//!   │ handle dropped            │ handle dropped
//!   ▼                           ▼
//! Withdrawn ──driver──▶ gone  Detached ──outcome counted──▶ gone
//! ```

use core::task::{Poll, Waker};

use alloc::vec::Vec;

use super::permits::Cost;
use crate::client::Outcome;
use crate::id::{Arena, OperationId};
use crate::time::Instant;

/// The slots of all operations that somebody waits for or that are under way.
#[derive(Debug, Default)]
pub(crate) struct Slots {
    arena: Arena<OperationId, Slot>,
}

#[derive(Debug)]
struct Slot {
    state: State,
    cost: Cost,
    /// When a message's call was made; `None` for what carries no message.
    sent: Option<Instant>,
}

#[derive(Debug)]
enum State {
    Queued(Option<Waker>),
    Taken(Option<Waker>),
    Withdrawn,
    Detached,
    Filled(Outcome),
}

/// What became of an operation whose handle was dropped.
#[derive(Debug)]
pub(crate) enum Abandoned {
    /// The driver never took it; the command is still in the mailbox and will be discarded there.
    Withdrawn(#[expect(dead_code, reason = "only kept to be dropped after the lock")] Option<Waker>),
    /// It goes on without an audience.
    Detached(#[expect(dead_code, reason = "only kept to be dropped after the lock")] Option<Waker>),
    /// It had ended; its outcome was not looked at.
    Ended(Outcome),
    /// Nothing was left of it.
    Gone,
}

/// What the driver finds when it takes a command from the mailbox.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// It is wanted.
    Go,
    /// It was withdrawn; this comes back.
    Withdrawn(Cost),
}

/// What is left after an outcome has been put in.
#[derive(Debug)]
pub(crate) struct Filled {
    /// What the operation held.
    pub(crate) cost: Cost,
    /// To be woken after the lock.
    pub(crate) waker: Option<Waker>,
    /// The outcome that nobody waits for.
    pub(crate) unclaimed: Option<Outcome>,
}

impl Slots {
    /// A slot for an operation that goes into the mailbox.
    pub(crate) fn insert(&mut self, cost: Cost, sent: Option<Instant>) -> OperationId {
        self.arena.insert(Slot { state: State::Queued(None), cost, sent })
    }

    /// A slot for an operation that nobody waits for and that is not withdrawn.
    pub(crate) fn insert_detached(&mut self) -> OperationId {
        self.arena.insert(Slot { state: State::Detached, cost: Cost::FREE, sent: None })
    }

    /// The operation has ended without the permits that it waited for.
    pub(crate) fn waive(&mut self, id: OperationId) {
        if let Some(slot) = self.arena.get_mut(id) {
            slot.cost = Cost::FREE;
        }
    }

    /// The driver takes the command.
    pub(crate) fn take(&mut self, id: OperationId) -> Taken {
        let Some(slot) = self.arena.get_mut(id) else { return Taken::Withdrawn(Cost::FREE) };
        match &mut slot.state {
            State::Queued(waker) => {
                slot.state = State::Taken(waker.take());
                Taken::Go
            }
            State::Withdrawn => {
                let cost = slot.cost;
                self.arena.remove(id);
                Taken::Withdrawn(cost)
            }
            State::Detached | State::Taken(_) | State::Filled(_) => Taken::Go,
        }
    }

    /// Puts the outcome in. `None` when the operation is unknown.
    pub(crate) fn fill(&mut self, id: OperationId, outcome: Outcome) -> Option<Filled> {
        let slot = self.arena.get_mut(id)?;
        let cost = core::mem::take(&mut slot.cost);
        match &mut slot.state {
            State::Queued(waker) | State::Taken(waker) => {
                let waker = waker.take();
                slot.state = State::Filled(outcome);
                Some(Filled { cost, waker, unclaimed: None })
            }
            State::Withdrawn | State::Detached => {
                self.arena.remove(id);
                Some(Filled { cost, waker: None, unclaimed: Some(outcome) })
            }
            State::Filled(_) => Some(Filled { cost, waker: None, unclaimed: Some(outcome) }),
        }
    }

    /// The outcome, if it is there; else the waker is called when it comes. What is in `new`
    /// afterwards is to be dropped after the lock.
    pub(crate) fn poll(&mut self, id: OperationId, new: &mut Option<Waker>) -> Poll<Outcome> {
        let slot =
            self.arena.get_mut(id).expect("the slot of a live operation stays until its outcome is taken");
        match &mut slot.state {
            State::Queued(waker) | State::Taken(waker) => {
                let known = waker.as_ref().zip(new.as_ref()).is_some_and(|(old, new)| old.will_wake(new));
                if !known {
                    core::mem::swap(waker, new);
                }
                Poll::Pending
            }
            State::Filled(_) => {
                let slot = self.arena.remove(id).expect("it was there a line ago");
                match slot.state {
                    State::Filled(outcome) => Poll::Ready(outcome),
                    _ => unreachable!("the state was matched a line ago"),
                }
            }
            State::Withdrawn | State::Detached => {
                unreachable!("a live handle is neither withdrawn nor detached")
            }
        }
    }

    /// The handle is gone.
    pub(crate) fn abandon(&mut self, id: OperationId) -> Abandoned {
        let Some(slot) = self.arena.get_mut(id) else { return Abandoned::Gone };
        match core::mem::replace(&mut slot.state, State::Detached) {
            State::Queued(waker) => {
                slot.state = State::Withdrawn;
                Abandoned::Withdrawn(waker)
            }
            State::Taken(waker) => Abandoned::Detached(waker),
            State::Filled(outcome) => {
                self.arena.remove(id);
                Abandoned::Ended(outcome)
            }
            State::Withdrawn | State::Detached => Abandoned::Gone,
        }
    }

    /// Everything that has no outcome yet, and when a message's call was made.
    pub(crate) fn open(&self) -> Vec<(OperationId, Option<Instant>)> {
        self.arena
            .iter()
            .filter(|(_, slot)| !matches!(slot.state, State::Filled(_)))
            .map(|(id, slot)| (id, slot.sent))
            .collect()
    }

    /// How many slots are in use.
    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.arena.len()
    }
}
