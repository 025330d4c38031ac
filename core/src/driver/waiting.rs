//! Commands that wait for permits: first come first served, and none longer than its budget.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::permits::Cost;
use super::queued::Queued;
use crate::time::Instant;

/// A place among the commands that wait for permits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// In the order of their arrival, and by the ends of their budgets.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    commands: BTreeMap<Ticket, (Cost, Queued)>,
    deadlines: BTreeSet<(Instant, Ticket)>,
    tickets: u64,
}

impl Waiting {
    /// Puts in a command behind all others.
    pub(crate) fn push(&mut self, cost: Cost, queued: Queued) -> Ticket {
        self.tickets += 1;
        let ticket = Ticket(self.tickets);
        self.deadlines.extend(queued.budget.map(|budget| (budget.deadline, ticket)));
        self.commands.insert(ticket, (cost, queued));
        ticket
    }

    /// Takes out the one with this ticket.
    pub(crate) fn remove(&mut self, ticket: Ticket) -> Option<Queued> {
        let (_, queued) = self.commands.remove(&ticket)?;
        if let Some(budget) = queued.budget {
            self.deadlines.remove(&(budget.deadline, ticket));
        }
        Some(queued)
    }

    /// Who is next, and what it costs.
    pub(crate) fn first(&self) -> Option<(Ticket, Cost)> {
        self.commands.first_key_value().map(|(ticket, (cost, _))| (*ticket, *cost))
    }

    /// Takes out those whose budgets are spent, the earliest first.
    pub(crate) fn take_spent(&mut self, now: Instant) -> Vec<Queued> {
        let mut spent = Vec::new();
        while let Some((_, ticket)) = self.deadlines.first().copied().filter(|(at, _)| *at <= now) {
            spent.extend(self.remove(ticket));
        }
        spent
    }

    /// When the first budget is spent, and whose it is.
    pub(crate) fn deadline(&self) -> Option<(Instant, Ticket)> {
        self.deadlines.first().copied()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.commands.is_empty()
    }

    /// Everything in it, in order.
    pub(crate) fn clear(&mut self) -> impl Iterator<Item = Queued> + use<> {
        self.deadlines.clear();
        core::mem::take(&mut self.commands).into_values().map(|(_, queued)| queued)
    }
}
