//! Everything that can enter a [`Client`](super::Client), as plain values.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use smallvec::SmallVec;

use crate::consumer::{ConsumeToken, ConsumerCommand, Settled};
use crate::id::{AskToken, ChannelId, ConsumerId, OperationId, ProducerId, ResolveToken};
use crate::producer::ProducerCommand;
use crate::remoting::RemotingCommand;
use crate::time::{Instant, Timestamp};

use super::Answer;

/// One thing that happened. It goes in together with the time at which the host saw it, and any
/// number of them may go in before the outputs are polled.
#[derive(Clone, Debug)]
pub enum Input {
    /// The answer to [`Output::Resolve`](super::Output::Resolve); an empty list counts as a failure.
    Resolved {
        /// The question's token.
        token: ResolveToken,
        /// The addresses in the resolver's order, or its words.
        result: Result<SmallVec<[SocketAddr; 4]>, Arc<str>>,
    },
    /// A connection came up.
    Connected {
        /// The connection that is up.
        channel: ChannelId,
    },
    /// A frame arrived.
    Received {
        /// On which connection.
        channel: ChannelId,
        /// The frame.
        command: RemotingCommand,
    },
    /// The socket took bytes. Frames whose last byte it never took are known not to be sent.
    Transmitted {
        /// On which connection.
        channel: ChannelId,
        /// All bytes taken since the connection came up.
        bytes_total: u64,
    },
    /// A connection ended or never came up. After this the host knows the channel no more.
    Closed {
        /// The connection that is gone.
        channel: ChannelId,
        /// Why, in words for a person.
        reason: Arc<str>,
    },
    /// A deadline may have passed. Needed only when nothing else enters at that time.
    Timeout,
    /// The host's wall clock was read again.
    WallClock(Timestamp),
    /// A user asks for something.
    Command(Command),
    /// User code has finished with deliveries.
    Settled {
        /// Each with its token, and what is to become of the message.
        answers: Vec<Settled>,
    },
    /// No handler began a delivery, and none will: its queue was revoked, or nobody takes messages any
    /// more.
    HandedBack {
        /// The delivery's token.
        token: ConsumeToken,
    },
    /// Handlers were called with these deliveries, each at its time, or, without a time, were not after all.
    /// May come late, when there is something else to tell, but before a deadline is looked at.
    Begun {
        /// The deliveries' tokens, and when.
        tokens: Vec<(ConsumeToken, Option<Instant>)>,
    },
    /// User code has answered. A second answer, and one that nobody waits for any more, changes nothing.
    Answered {
        /// The token of [`Output::Ask`](super::Output::Ask).
        token: AskToken,
        /// What it said.
        answer: Answer,
    },
    /// The host goes before the client has closed: everything ends now, each command with the most that is known of
    /// it. What the client still wants is not done.
    Abandoned,
}

/// What a user can ask for, by whose business it is. A command with an [`OperationId`] is answered by exactly one
/// [`Output::Complete`](super::Output::Complete).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command {
    /// The client's own.
    Client(ClientCommand),
    /// A producer's.
    Producer(ProducerId, ProducerCommand),
    /// A consumer's.
    Consumer(ConsumerId, ConsumerCommand),
}

impl Command {
    /// Who waits for the command's end; `None` for those without an end.
    #[must_use]
    pub fn operation(&self) -> Option<OperationId> {
        match self {
            Self::Client(command) => Some(command.operation()),
            Self::Producer(_, command) => command.operation(),
            Self::Consumer(_, command) => Some(command.operation()),
        }
    }
}

/// What can be asked of a client itself.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum ClientCommand {
    /// Reach one of the name servers, so that a wrong address is told at once.
    Connect {
        /// The command to be completed.
        operation: OperationId,
    },
    /// Tell what the client has done.
    Statistics {
        /// The command to be completed.
        operation: OperationId,
    },
    /// Close all consumers, then all producers, then the connections.
    Close {
        /// The command to be completed.
        operation: OperationId,
        /// How long it may take.
        timeout: Duration,
    },
}

impl ClientCommand {
    fn operation(&self) -> OperationId {
        match self {
            Self::Connect { operation } | Self::Statistics { operation } | Self::Close { operation, .. } => {
                *operation
            }
        }
    }
}
