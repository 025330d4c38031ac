//! The end of a client: consumers first, since sending back needs producers' connections; then
//! producers; then the connections.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::id::OperationId;
use crate::time::Instant;
use crate::timer::TimerId;

use super::{Client, Outcome, TimerKey};

/// A client that is being closed.
#[derive(Clone, Debug)]
pub(super) struct Closing {
    operations: Vec<OperationId>,
    deadline: Instant,
    timer: TimerId,
    stage: Stage,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Consumers,
    Producers,
    /// Last words are given a chance to be written and answered.
    Farewells,
}

impl Client {
    /// The host is going: whatever is under way ends now, and a consumer that has not started does not.
    pub(super) fn abandon(&mut self, now: Instant) {
        self.consumers.fail_starts(&mut self.shared);
        self.close(now, None, now);
    }

    /// Begins to close; over at `deadline` whatever is left. A second call only adds who waits, and may shorten
    /// the time.
    pub(super) fn close(&mut self, now: Instant, operation: Option<OperationId>, deadline: Instant) {
        if self.closed {
            return self.shared.complete_done(operation);
        }
        if let Some(closing) = &mut self.closing {
            closing.operations.extend(operation);
            if deadline < closing.deadline {
                closing.deadline = deadline;
                self.shared.cancel(closing.timer);
                closing.timer = self.shared.arm(deadline, TimerKey::Close);
                match closing.stage {
                    Stage::Consumers => self.consumers.close_all(&mut self.shared, now, deadline),
                    Stage::Producers => self.producers.close_all(&mut self.shared, now, deadline),
                    Stage::Farewells => {}
                }
            }
            return;
        }
        let timer = self.shared.arm(deadline, TimerKey::Close);
        self.closing = Some(Closing {
            operations: operation.into_iter().collect(),
            deadline,
            timer,
            stage: Stage::Consumers,
        });
        self.connect_timed_out(now);
        self.consumers.close_all(&mut self.shared, now, deadline);
    }

    /// Goes on to the next stage when the current one is over; true when it did.
    pub(super) fn advance_closing(&mut self, now: Instant) -> bool {
        let Some(closing) = &mut self.closing else { return false };
        match closing.stage {
            Stage::Consumers if self.consumers.is_empty() => {
                closing.stage = Stage::Producers;
                let deadline = closing.deadline;
                self.producers.close_all(&mut self.shared, now, deadline);
                true
            }
            Stage::Producers if self.producers.is_empty() => {
                closing.stage = Stage::Farewells;
                true
            }
            // Only those: a broker may hold a pull of a consumer that is gone for 20 s more.
            Stage::Farewells if self.shared.farewells == 0 => {
                self.finish_closing();
                true
            }
            _ => false,
        }
    }

    /// Time is up: whatever is left is dropped.
    pub(super) fn close_timed_out(&mut self, now: Instant) {
        self.consumers.abandon_all(&mut self.shared, now);
        self.producers.abandon_all(&mut self.shared, now);
        self.finish_closing();
    }

    fn finish_closing(&mut self) {
        let Some(closing) = self.closing.take() else { return };
        self.closed = true;
        self.shared.cancel(closing.timer);
        self.shared.channels.close_all(&Arc::from("the client was closed"));
        while self.shared.channels.poll_event().is_some() {}
        self.shared.timers = crate::timer::Timers::default();
        for operation in closing.operations {
            self.shared.complete(operation, Outcome::Done);
        }
        self.untold_end = true;
    }
}
