//! What can be done with a consumer while it runs, from anywhere.

use super::super::std;
use alloc::boxed::Box;
use alloc::sync::Arc;
use core::fmt;
use core::sync::atomic::{AtomicUsize, Ordering};

use std::sync::Mutex;

use super::super::exchange::Alive;
use super::super::lock;
use super::super::operation::Operation;
use crate::client::Command;
use crate::consumer::{ConsumerCommand, ConsumerHealth, ConsumerStatistics};
use crate::id::ConsumerId;

/// Looks at a consumer and steers it while its handlers run elsewhere. Cheap to clone; keeps the client
/// alive, not the consumer. Once the consumer has closed, operations end with
/// [`Error::Closed`](crate::error::Error::Closed).
#[derive(Clone, Debug)]
pub struct ConsumerControl {
    alive: Arc<Alive>,
    id: ConsumerId,
    concurrency: Arc<Concurrency>,
}

/// How many handlers may run, and who is to hear when that changes.
pub(super) struct Concurrency {
    wanted: AtomicUsize,
    changed: Mutex<Option<Changed>>,
}

type Changed = Arc<dyn Fn() + Send + Sync>;

impl fmt::Debug for Concurrency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Concurrency").field(&self.get()).finish()
    }
}

impl Concurrency {
    pub(super) fn new(wanted: usize) -> Arc<Self> {
        Arc::new(Self { wanted: AtomicUsize::new(wanted.max(1)), changed: Mutex::new(None) })
    }

    pub(super) fn get(&self) -> usize {
        self.wanted.load(Ordering::Relaxed)
    }

    /// `changed` is called after each change from now on, by whoever makes it.
    pub(super) fn on_change(&self, changed: Box<dyn Fn() + Send + Sync>) {
        let former = lock(&self.changed).replace(changed.into());
        drop(former);
    }

    pub(super) fn set(&self, wanted: usize) {
        self.wanted.store(wanted.max(1), Ordering::Relaxed);
        let changed = lock(&self.changed).clone();
        if let Some(changed) = changed {
            changed();
        }
    }

    /// Nobody is to hear of changes any more.
    pub(super) fn forget(&self) {
        let former = lock(&self.changed).take();
        drop(former);
    }
}

impl ConsumerControl {
    pub(super) fn new(alive: Arc<Alive>, id: ConsumerId, concurrency: Arc<Concurrency>) -> Self {
        Self { alive, id, concurrency }
    }

    /// Lets at most so many handlers run at a time from now on, at least one. More begin at once; where
    /// there are fewer, those that run may end. A stream has no handlers: nothing changes there.
    /// Java: `updateCorePoolSize`.
    pub fn set_concurrency(&self, handlers: usize) {
        self.concurrency.set(handlers);
    }

    /// How many handlers may run at a time.
    #[must_use]
    pub fn concurrency(&self) -> usize {
        self.concurrency.get()
    }

    /// Fetches nothing until [`resume`](Self::resume). What was fetched is consumed on, and a pull that is
    /// under way may still bring one batch of each queue. Queues stay with this member. Cancel safe.
    /// Java: `suspend`.
    pub fn suspend(&self) -> Operation<()> {
        let consumer = self.id;
        self.operation(|operation| Command::Consumer(consumer, ConsumerCommand::Suspend { operation }))
    }

    /// Fetches again, at once. Cancel safe. Java: `resume`.
    pub fn resume(&self) -> Operation<()> {
        let consumer = self.id;
        self.operation(|operation| Command::Consumer(consumer, ConsumerCommand::Resume { operation }))
    }

    /// Why messages come, or why they don't, queue by queue; print it. Cancel safe.
    pub fn health(&self) -> Operation<ConsumerHealth> {
        let consumer = self.id;
        self.operation(|operation| Command::Consumer(consumer, ConsumerCommand::Inspect { operation }))
    }

    /// What the consumer has done so far, and has now. Cancel safe. Java: `ConsumerStatsManager`.
    pub fn statistics(&self) -> Operation<ConsumerStatistics> {
        let consumer = self.id;
        self.operation(|operation| Command::Consumer(consumer, ConsumerCommand::Inspect { operation }))
    }

    fn operation<T: super::super::operation::FromOutcome>(
        &self,
        command: impl FnOnce(crate::id::OperationId) -> Command,
    ) -> Operation<T> {
        Operation::new(&self.alive, self.alive.0.submit_urgent(command))
    }
}
