//! What can be asked of a producer.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::{BatchOrder, Producers, SendKind, SendOrder};
use crate::config::ProducerConfig;
use crate::error::Error;
use crate::id::{OperationId, ProducerId};
use crate::message::Message;
use crate::message::outbound::OutboundMessage;
use crate::output::Outcome;
use crate::producer::queue_choice::QueueChoice;
use crate::shared::Shared;
use crate::time::Instant;

/// What can be asked of a producer.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ProducerCommand {
    /// It exists from now on, by a name that was never used before.
    Create {
        /// Its settings, validated.
        config: Arc<ProducerConfig>,
    },
    /// Look up the routes of topics, so that the first send to each need not wait for that.
    WarmUp {
        /// The command to be completed.
        operation: OperationId,
        /// Their names, validated.
        topics: Vec<Arc<str>>,
    },
    /// Send a message and report the broker's answer.
    Send {
        /// The command to be completed.
        operation: OperationId,
        /// The message, validated.
        message: Box<OutboundMessage>,
        /// How its queue is found.
        choice: QueueChoice,
        /// The budget; the producer's own when `None`.
        timeout: Option<Duration>,
    },
    /// Send several messages as one batch and report the broker's answer.
    SendBatch {
        /// The command to be completed.
        operation: OperationId,
        /// What, [validated](crate::message::validate_batch); the core adds the unique keys.
        messages: Vec<Message>,
        /// Where to: one queue for all.
        choice: QueueChoice,
        /// The budget; the producer's own when `None`.
        timeout: Option<Duration>,
    },
    /// Send a message and expect no answer. The outcome says whether the socket took it.
    SendOneway {
        /// The command to be completed.
        operation: OperationId,
        /// The message, validated.
        message: Box<OutboundMessage>,
        /// How its queue is found.
        choice: QueueChoice,
    },
    /// Let its sends end and forget it.
    Close {
        /// The command to be completed.
        operation: OperationId,
        /// How long its sends may take.
        timeout: Duration,
    },
}

impl ProducerCommand {
    pub(crate) fn operation(&self) -> Option<OperationId> {
        match self {
            Self::Create { .. } => None,
            Self::WarmUp { operation, .. }
            | Self::Send { operation, .. }
            | Self::SendBatch { operation, .. }
            | Self::SendOneway { operation, .. }
            | Self::Close { operation, .. } => Some(*operation),
        }
    }
}

impl Producers {
    /// A user asks for something.
    pub(crate) fn handle_command(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        producer: ProducerId,
        command: ProducerCommand,
    ) {
        match command {
            ProducerCommand::Create { config } => {
                self.create(producer, config);
                shared.heartbeat_soon(now);
            }
            ProducerCommand::WarmUp { operation, topics } => {
                self.warm_up(shared, now, (operation, producer), topics);
            }
            ProducerCommand::Send { operation, message, choice, timeout } => {
                let kind = SendKind::Answered;
                self.send(shared, now, SendOrder { operation, producer, message, choice, timeout, kind });
            }
            ProducerCommand::SendBatch { operation, messages, choice, timeout } => {
                self.send_batch(shared, now, BatchOrder { operation, producer, messages, choice, timeout });
            }
            ProducerCommand::SendOneway { operation, message, choice } => {
                let (kind, timeout) = (SendKind::Oneway, None);
                self.send(shared, now, SendOrder { operation, producer, message, choice, timeout, kind });
            }
            ProducerCommand::Close { operation, timeout } => {
                self.close(shared, now, producer, (Some(operation), now + timeout));
            }
        }
    }

    /// The client is closing, or has closed: only what ends is still done.
    pub(crate) fn refuse_command(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        producer: ProducerId,
        command: ProducerCommand,
    ) {
        if let ProducerCommand::Close { .. } = command {
            self.handle_command(shared, now, producer, command);
        } else if let Some(operation) = command.operation() {
            shared.complete(operation, Outcome::Failed(Error::Closed));
        }
    }
}
