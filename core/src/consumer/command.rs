//! What can be asked of a consumer.

use alloc::sync::Arc;
use core::time::Duration;

use super::Consumers;
use crate::config::PushConsumerConfig;
use crate::error::Error;
use crate::id::{ConsumerId, OperationId};
use crate::output::{Outcome, Output};
use crate::shared::Shared;
use crate::time::Instant;

/// What can be asked of a consumer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ConsumerCommand {
    /// Start to consume, by a name that was never used before. Completed when the consumer is registered and its
    /// queues were divided once.
    Start {
        /// The command to be completed.
        operation: OperationId,
        /// Its settings, validated.
        config: Arc<PushConsumerConfig>,
    },
    /// Stop fetching, let handlers finish, commit with answers, unregister.
    Close {
        /// The command to be completed.
        operation: OperationId,
        /// How long handlers and commits may take.
        timeout: Duration,
    },
    /// Fetch nothing for now; what is cached is consumed on.
    Suspend {
        /// The command to be completed.
        operation: OperationId,
    },
    /// Fetch again.
    Resume {
        /// The command to be completed.
        operation: OperationId,
    },
    /// Tell how it is and what it has done.
    Inspect {
        /// The command to be completed.
        operation: OperationId,
    },
}

impl ConsumerCommand {
    pub(crate) fn operation(&self) -> OperationId {
        match self {
            Self::Start { operation, .. }
            | Self::Close { operation, .. }
            | Self::Suspend { operation }
            | Self::Resume { operation }
            | Self::Inspect { operation } => *operation,
        }
    }
}

impl Consumers {
    /// A user asks for something.
    pub(crate) fn handle_command(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        consumer: ConsumerId,
        command: ConsumerCommand,
    ) {
        match command {
            ConsumerCommand::Start { operation, config } => {
                self.start(shared, now, operation, consumer, config);
            }
            ConsumerCommand::Close { operation, timeout } => {
                self.close(shared, now, consumer, (Some(operation), now + timeout));
            }
            ConsumerCommand::Suspend { operation } => self.suspend(shared, now, operation, consumer, true),
            ConsumerCommand::Resume { operation } => self.suspend(shared, now, operation, consumer, false),
            ConsumerCommand::Inspect { operation } => self.inspect(shared, now, operation, consumer),
        }
    }

    /// The client is closing, or has closed: only what ends or looks is still done.
    pub(crate) fn refuse_command(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        consumer: ConsumerId,
        command: ConsumerCommand,
    ) {
        match command {
            ConsumerCommand::Close { .. } | ConsumerCommand::Inspect { .. } => {
                self.handle_command(shared, now, consumer, command);
            }
            ConsumerCommand::Start { operation, .. } => {
                shared.outputs.push_back(Output::ConsumerClosed { consumer });
                shared.complete(operation, Outcome::Failed(Error::Closed));
            }
            ConsumerCommand::Suspend { operation } | ConsumerCommand::Resume { operation } => {
                shared.complete(operation, Outcome::Failed(Error::Closed));
            }
        }
    }
}
