//! What users have asked for and the engine has not taken yet.
//!
//! Two lanes. Commands are admitted by permits, first come first served; those that find none wait
//! behind, in order, and move up when permits come back. The urgent lane never refuses: answers to
//! tokens and closes, bounded by what is out.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::permits::{Cost, Limits, Permits};
use super::queued::Queued;
use super::responder::Responder;
use super::run_queue::RunQueue;
use super::waiting::{Ticket, Waiting};
use crate::client::{Input, Owner};
use crate::consumer::Settled;
use crate::id::ConsumerId;
use crate::time::Instant;

/// What goes past the commands.
#[derive(Debug)]
pub(crate) enum Urgent {
    /// For the core.
    Input(Input),
    /// For the engine: where a consumer's deliveries go.
    RunQueue(ConsumerId, Arc<RunQueue>),
    /// For the engine: who answers an owner's questions.
    Responder(Owner, Arc<dyn Responder>),
}

/// Both lanes and the permits that bound the first.
#[derive(Debug)]
pub(crate) struct Mailbox {
    permits: Permits,
    admitted: VecDeque<Queued>,
    waiting: Waiting,
    urgent: Vec<Urgent>,
    settled: Vec<Settled>,
}

impl Mailbox {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            permits: Permits::new(limits),
            admitted: VecDeque::new(),
            waiting: Waiting::default(),
            urgent: Vec::new(),
            settled: Vec::new(),
        }
    }

    /// What so many messages of `bytes` together cost.
    pub(crate) fn cost(&self, messages: usize, bytes: usize) -> Cost {
        self.permits.cost(messages, bytes)
    }

    /// Takes permits, unless there are none or somebody came first.
    pub(crate) fn try_reserve(&mut self, cost: Cost) -> bool {
        self.waiting.is_empty() && self.permits.try_take(cost)
    }

    /// Puts in a command whose permits were reserved, or that needs none and may overtake.
    pub(crate) fn push_admitted(&mut self, queued: Queued) {
        self.admitted.push_back(queued);
    }

    /// Puts in a command. A ticket comes back when it has to wait for permits.
    pub(crate) fn push(&mut self, cost: Cost, queued: Queued) -> Option<Ticket> {
        if self.try_reserve(cost) {
            self.admitted.push_back(queued);
            return None;
        }
        Some(self.waiting.push(cost, queued))
    }

    /// Puts something into the lane that never refuses.
    pub(crate) fn push_urgent(&mut self, urgent: Urgent) {
        self.urgent.push(urgent);
    }

    /// Puts many things into the lane that never refuses.
    pub(crate) fn push_urgent_all(&mut self, inputs: impl IntoIterator<Item = Input>) {
        self.urgent.extend(inputs.into_iter().map(Urgent::Input));
    }

    /// Puts answers into the lane that never refuses, ahead of all else.
    pub(crate) fn push_settled(&mut self, settled: impl Iterator<Item = Settled>) {
        self.settled.extend(settled);
    }

    /// Takes out a command that still waits for permits; it held none.
    pub(crate) fn withdraw(&mut self, ticket: Ticket) -> Option<Queued> {
        let queued = self.waiting.remove(ticket)?;
        // It may have been the head, and what came after it may fit.
        self.admit();
        Some(queued)
    }

    /// Takes out the commands that still wait for permits when their time is over; they held none.
    pub(crate) fn take_spent(&mut self, now: Instant) -> Vec<Queued> {
        let spent = self.waiting.take_spent(now);
        if !spent.is_empty() {
            self.admit();
        }
        spent
    }

    /// When the first of them has waited for all of its time, and which it is.
    pub(crate) fn deadline(&self) -> Option<(Instant, Ticket)> {
        self.waiting.deadline()
    }

    /// Permits come back; whoever waits moves up.
    pub(crate) fn give_back(&mut self, cost: Cost) {
        self.permits.give_back(cost);
        self.admit();
    }

    /// The next command.
    pub(crate) fn pop(&mut self) -> Option<Queued> {
        self.admitted.pop_front()
    }

    /// Moves all of the urgent lane into `urgent`, but answers into `settled`.
    pub(crate) fn take_urgent(&mut self, urgent: &mut Vec<Urgent>, settled: &mut Vec<Settled>) {
        urgent.append(&mut self.urgent);
        super::append_all(settled, &mut self.settled);
    }

    /// Whether a drain would find something.
    pub(crate) fn is_empty(&self) -> bool {
        self.admitted.is_empty() && self.urgent.is_empty() && self.settled.is_empty()
    }

    /// Everything in it, to be dropped outside of the lock.
    pub(crate) fn clear(&mut self) -> (Vec<Queued>, Vec<Urgent>) {
        let waiting = self.waiting.clear();
        self.settled = Vec::new();
        (self.admitted.drain(..).chain(waiting).collect(), core::mem::take(&mut self.urgent))
    }

    /// Whether every permit has come back.
    #[cfg(test)]
    pub(crate) fn is_whole(&self) -> bool {
        self.permits.is_whole() && self.waiting.is_empty()
    }

    fn admit(&mut self) {
        while let Some((ticket, cost)) = self.waiting.first() {
            if !self.permits.try_take(cost) {
                return;
            }
            self.admitted.extend(self.waiting.remove(ticket));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::Command;
    use crate::id::OperationId;
    use crate::id::{GenerationalId, ProducerId};
    use crate::producer::ProducerCommand;
    use core::time::Duration;
    use proptest::prelude::*;

    fn queued(number: u32) -> Queued {
        let operation = OperationId::from_parts(number, 0);
        let command = Command::Producer(
            ProducerId(number),
            ProducerCommand::Close { operation, timeout: Duration::ZERO },
        );
        Queued { operation: Some(operation), command, budget: None }
    }

    fn number(queued: &Queued) -> u32 {
        queued.operation.expect("every command here has one").index()
    }

    fn take_all(mailbox: &mut Mailbox) -> Vec<u32> {
        core::iter::from_fn(|| mailbox.pop()).map(|queued| number(&queued)).collect()
    }

    #[test]
    fn a_small_command_does_not_overtake_a_large_one_that_waits() {
        let mut mailbox = Mailbox::new(Limits { messages_max: 10, bytes_max: 10 });
        let (large, small) = (mailbox.cost(1, 8), mailbox.cost(1, 1));
        assert_eq!(mailbox.push(large, queued(1)), None);
        let second = mailbox.push(large, queued(2)).expect("it waits");
        assert!(mailbox.push(small, queued(3)).is_some());
        assert!(!mailbox.try_reserve(small));
        assert_eq!(take_all(&mut mailbox), [1]);
        assert_eq!(mailbox.withdraw(second).as_ref().map(number), Some(2));
        assert_eq!(take_all(&mut mailbox), [3], "the head's withdrawal lets the next one in");
    }

    proptest! {
        /// Whatever is pushed, withdrawn and settled: nothing is lost or doubled, the order is kept,
        /// the bounds hold, and all permits come back.
        #[test]
        fn permits_and_order_hold(steps in prop::collection::vec((0u8..4, 0usize..12), 1..200)) {
            let mut mailbox = Mailbox::new(Limits { messages_max: 4, bytes_max: 20 });
            let (mut next, mut taken, mut withdrawn) = (0u32, Vec::new(), Vec::new());
            let mut tickets = Vec::new();
            let mut running: Vec<(u32, Cost)> = Vec::new();
            let mut costs = Vec::new();
            for (kind, size) in steps {
                match kind {
                    0 | 1 => {
                        let cost = mailbox.cost(1, size);
                        costs.push(cost);
                        if let Some(ticket) = mailbox.push(cost, queued(next)) { tickets.push(ticket); }
                        next += 1;
                    }
                    2 => {
                        let ticket = (!tickets.is_empty()).then(|| tickets.swap_remove(size % tickets.len()));
                        withdrawn.extend(ticket.and_then(|ticket| mailbox.withdraw(ticket)).as_ref().map(number));
                    }
                    _ => {
                        for id in take_all(&mut mailbox) {
                            taken.push(id);
                            running.push((id, costs[id as usize]));
                        }
                        prop_assert!(running.len() <= 4);
                        if !running.is_empty() {
                            let (_, cost) = running.swap_remove(size % running.len());
                            mailbox.give_back(cost);
                        }
                    }
                }
            }
            loop {
                taken.extend(take_all(&mut mailbox).into_iter().inspect(|id| running.push((*id, costs[*id as usize]))));
                let Some((_, cost)) = running.pop() else { break };
                mailbox.give_back(cost);
            }
            prop_assert!(taken.is_sorted());
            prop_assert!(mailbox.is_whole());
            let mut all = taken;
            all.extend(withdrawn);
            all.sort_unstable();
            prop_assert_eq!(all, (0..next).collect::<Vec<_>>());
        }
    }
}
