//! Everything that can enter a [`Client`](super::Client), as plain values.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::net::SocketAddr;
use core::time::Duration;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::config::{ProducerConfig, PushConsumerConfig};
use crate::consumer::{Ack, ConsumeToken};
use crate::id::{AskToken, ChannelId, ConsumerId, OperationId, ProducerId, ResolveToken};
use crate::message::{Message, MessageQueue};
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
        /// Which.
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
        /// Which.
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
        /// Their tokens, and what is to become of the messages.
        answers: Vec<(ConsumeToken, Ack)>,
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

/// What a user can ask for. A command with an [`OperationId`] is answered by exactly one
/// [`Output::Complete`](super::Output::Complete).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Command {
    /// Reach one of the name servers, so that a wrong address is told at once.
    Connect {
        /// Who waits.
        operation: OperationId,
    },
    /// A producer exists from now on. Its settings have been validated.
    CreateProducer {
        /// Its name; never used before.
        producer: ProducerId,
        /// Its settings.
        config: Arc<ProducerConfig>,
    },
    /// Send a message and report the broker's answer.
    Send {
        /// Who waits.
        operation: OperationId,
        /// By which producer.
        producer: ProducerId,
        /// What.
        message: Box<OutboundMessage>,
        /// Where to.
        choice: QueueChoice,
        /// The budget; the producer's own when `None`.
        timeout: Option<Duration>,
    },
    /// Send several messages as one batch and report the broker's answer.
    SendBatch {
        /// Who waits.
        operation: OperationId,
        /// By which producer.
        producer: ProducerId,
        /// What, [validated](crate::message::validate_batch); the core adds the unique keys.
        messages: Vec<Message>,
        /// Where to: one queue for all.
        choice: QueueChoice,
        /// The budget; the producer's own when `None`.
        timeout: Option<Duration>,
    },
    /// Send a message and expect no answer. The outcome says whether the socket took it.
    SendOneway {
        /// Who waits.
        operation: OperationId,
        /// By which producer.
        producer: ProducerId,
        /// What.
        message: Box<OutboundMessage>,
        /// Where to.
        choice: QueueChoice,
    },
    /// Let a producer's sends end and forget it.
    CloseProducer {
        /// Who waits.
        operation: OperationId,
        /// Which.
        producer: ProducerId,
        /// How long its sends may take.
        timeout: Duration,
    },
    /// Start to consume. Completed when the consumer is registered and its queues were divided once.
    StartConsumer {
        /// Who waits.
        operation: OperationId,
        /// Its name; never used before.
        consumer: ConsumerId,
        /// Its settings, validated.
        config: Arc<PushConsumerConfig>,
    },
    /// Stop fetching, let handlers finish, commit with answers, unregister.
    CloseConsumer {
        /// Who waits.
        operation: OperationId,
        /// Which.
        consumer: ConsumerId,
        /// How long handlers and commits may take.
        timeout: Duration,
    },
    /// Fetch nothing for now; what is cached is consumed on.
    SuspendConsumer {
        /// Who waits.
        operation: OperationId,
        /// Which.
        consumer: ConsumerId,
    },
    /// Fetch again.
    ResumeConsumer {
        /// Who waits.
        operation: OperationId,
        /// Which.
        consumer: ConsumerId,
    },
    /// Tell how a consumer is and what it has done.
    InspectConsumer {
        /// Who waits.
        operation: OperationId,
        /// Which.
        consumer: ConsumerId,
    },
    /// Tell what the client has done.
    Statistics {
        /// Who waits.
        operation: OperationId,
    },
    /// Close all consumers, then all producers, then the connections.
    Close {
        /// Who waits.
        operation: OperationId,
        /// How long it may take.
        timeout: Duration,
    },
}

impl Command {
    /// Who waits for the command's end; `None` for those without an end.
    #[must_use]
    pub fn operation(&self) -> Option<OperationId> {
        match self {
            Self::CreateProducer { .. } => None,
            Self::Connect { operation }
            | Self::Send { operation, .. }
            | Self::SendBatch { operation, .. }
            | Self::SendOneway { operation, .. }
            | Self::CloseProducer { operation, .. }
            | Self::StartConsumer { operation, .. }
            | Self::CloseConsumer { operation, .. }
            | Self::SuspendConsumer { operation, .. }
            | Self::ResumeConsumer { operation, .. }
            | Self::InspectConsumer { operation, .. }
            | Self::Statistics { operation }
            | Self::Close { operation, .. } => Some(*operation),
        }
    }
}

/// A message as it goes on the wire. The caller's side has validated and, where it pays, compressed it.
#[derive(Clone, PartialEq, Eq)]
pub struct OutboundMessage {
    /// Its topic.
    pub topic: Arc<str>,
    /// Its body as stored.
    pub body: Bytes,
    /// The user's flag.
    pub flag: i32,
    /// Compression bits and the like.
    pub sys_flag: i32,
    /// Properties in wire form; the core adds the unique key.
    pub properties: String,
}

impl fmt::Debug for OutboundMessage {
    /// The body's length stands for the body.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { topic, body, flag, sys_flag, properties } = self;
        f.debug_struct("OutboundMessage")
            .field("topic", topic)
            .field("body_bytes", &body.len())
            .field("flag", flag)
            .field("sys_flag", sys_flag)
            .field("properties", properties)
            .finish()
    }
}

/// Which queue a message goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueChoice {
    /// Round robin; a retry goes to another broker. The default.
    RoundRobin,
    /// This queue and no other; there is no second attempt.
    Queue(Box<MessageQueue>),
    /// The same key, the same queue, while the route is unchanged: the hash of the key modulo the
    /// number of queues. Java: `SelectMessageQueueByHash`; no second attempt.
    Hash(i32),
    /// The producer's owner is asked, once, with the queues of that moment; there is no second attempt.
    /// Java: `MessageQueueSelector`.
    Select,
}
