//! One consumer as the handles see it: its run queue, its answers, its end.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};
use core::time::Duration;

use super::super::exchange::Alive;
use super::super::mailbox::Urgent;
use super::super::operation::Operation;
use super::super::run_queue::RunQueue;
use super::control::{Concurrency, ConsumerControl};
use super::decoding::{Decoding, UndecodableHook};
use super::handler::Source;
use crate::client::Command;
use crate::config::PushConsumerConfig;
use crate::consumer::{CloseReport, ConsumerCommand};
use crate::error::Result;
use crate::id::ConsumerId;

/// How long closing lets handlers and commits take unless told otherwise.
pub(super) const CLOSE_TIMEOUT: Duration = Duration::from_secs(30);

/// A consumer that was told to start. Dropped, it is closed with deadline zero.
#[derive(Debug)]
pub(super) struct Subscription {
    pub(super) alive: Arc<Alive>,
    pub(super) queue: Arc<RunQueue>,
    pub(super) decoding: Arc<Decoding>,
    id: ConsumerId,
    concurrency: Arc<Concurrency>,
    closed: AtomicBool,
}

impl Subscription {
    pub(super) fn start(
        consumer: ConsumerId,
        alive: Arc<Alive>,
        config: PushConsumerConfig,
        hook: Option<UndecodableHook>,
    ) -> Result<(Arc<Self>, Operation<()>)> {
        config.validate()?;
        let queue = Arc::new(RunQueue::default());
        let decoding = Decoding {
            group: config.group.clone(),
            inflated_bytes_max: config.inflated_bytes_max,
            hook,
            queue: queue.clone(),
            spawn: alive.0.spawn.clone(),
            lines: alive.0.lines.clone(),
        };
        let config = Arc::new(config);
        alive.0.add_run_queue(&queue);
        // The queue goes ahead of the command, so that no delivery comes before it.
        alive.0.push_urgent(Urgent::RunQueue(consumer, queue.clone()));
        let submitted = alive.0.submit_urgent(|operation| {
            Command::Consumer(consumer, ConsumerCommand::Start { operation, config })
        });
        let starting = Operation::new(&alive, submitted);
        let (closed, concurrency) = (AtomicBool::new(false), Concurrency::new(1));
        let decoding = Arc::new(decoding);
        Ok((Arc::new(Self { alive, queue, decoding, id: consumer, concurrency, closed }), starting))
    }

    pub(super) fn source(&self) -> Source<'_> {
        Source { alive: &self.alive, queue: &self.queue, decoding: &self.decoding }
    }

    /// How many workers there are to be.
    pub(super) fn concurrency(&self) -> &Arc<Concurrency> {
        &self.concurrency
    }

    pub(super) fn control(&self) -> ConsumerControl {
        ConsumerControl::new(self.alive.clone(), self.id, self.concurrency.clone())
    }

    /// From here on no handler is called, whatever the engine is busy with, but for what lies before a message of its
    /// queue that has been begun, until the core says that handlers have had their time.
    pub(super) fn close(&self, timeout: Duration) -> Operation<CloseReport> {
        self.closed.store(true, Ordering::Relaxed);
        // What no handler begins goes back ahead of the close.
        self.alive.0.take_back(|wakers| self.queue.close(wakers));
        let consumer = self.id;
        let submitted = self.alive.0.submit_urgent(|operation| {
            Command::Consumer(consumer, ConsumerCommand::Close { operation, timeout })
        });
        Operation::closing(&self.alive, submitted)
    }

    /// From here on no handler is called.
    pub(super) fn end(&self) {
        self.alive.0.take_back(|wakers| self.queue.end(wakers));
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.concurrency.forget();
        if !self.closed.load(Ordering::Relaxed) {
            self.end();
            let (consumer, timeout) = (self.id, Duration::ZERO);
            let close =
                |operation| Command::Consumer(consumer, ConsumerCommand::Close { operation, timeout });
            self.alive.0.submit_detached(true, close);
        }
    }
}
