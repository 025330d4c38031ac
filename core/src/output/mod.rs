//! Everything that can leave a [`Client`](crate::client::Client), as plain values: each machine puts it out, so it lies
//! below them all. Users find each value at its machine: `client`, `producer` or `consumer`.

mod bad_answer;
mod client_statistics;
mod consumer_statistics;
mod delivery;
mod full;
mod health;
mod pause;
pub(crate) mod pulled;
mod question;
mod receipt;

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::SocketAddr;

use bytes::Bytes;
use smallvec::SmallVec;

use crate::error::Error;
use crate::id::{AskToken, ChannelId, ConsumerId, OperationId, ProcessQueueId, ProducerId, ResolveToken};
use crate::time::Instant;

pub use bad_answer::BadAnswer;
pub use client_statistics::{ClientStatistics, ConnectionStatistics};
pub use consumer_statistics::{ConsumerStatistics, Latency, TopicStatistics};
pub use delivery::{Ack, CloseReport, ConsumeToken, Delivery, PassedOver, Settled};
pub use full::Full;
pub use health::{CommitRefusal, ConsumerHealth, GoingBack, QueueHealth, Refusal, Standing, TopicHealth};
pub use pause::Pause;
pub use pulled::PulledMessage;
pub use question::{Answer, Owner, Question};
pub use receipt::{BatchReceipt, BatchReceipts, SendReceipt, SendStatus};

/// One wish of the core. Hosts match it without a wildcard, so that none can be lost.
#[derive(Clone, Debug)]
pub enum Output {
    /// Look up a host name; answer with [`Input::Resolved`](crate::client::Input::Resolved).
    Resolve {
        /// Goes into the answer.
        token: ResolveToken,
        /// The name; never a numeric address.
        host: Arc<str>,
        /// The port to put into the addresses.
        port: u16,
    },
    /// Open a connection; answer with `Connected` or `Closed`. The core watches the time.
    Connect {
        /// The connection's name from now on.
        channel: ChannelId,
        /// One of the addresses of `endpoint`.
        address: SocketAddr,
        /// The `host:port` that was configured or that the route gave: what a certificate must name, and
        /// what a proxy is asked for.
        endpoint: Arc<str>,
    },
    /// Write these bytes, in this order, after all earlier ones of the channel.
    Transmit {
        /// On which connection.
        channel: ChannelId,
        /// What: frames, a large body apart from its head.
        chunks: Chunks,
    },
    /// Drop a connection. No input about it is expected any more.
    Close {
        /// The connection to be dropped.
        channel: ChannelId,
        /// Whether what is still to be written may be given to the socket. Without it not a byte may: the
        /// core has told users that it was not sent.
        flush: bool,
    },
    /// A command has ended.
    Complete {
        /// The name that the command came with.
        operation: OperationId,
        /// What came of it.
        outcome: Outcome,
    },
    /// Messages for user code; each token is to be answered by one
    /// [`Input::Settled`](crate::client::Input::Settled) or [`Input::HandedBack`](crate::client::Input::HandedBack).
    Deliver {
        /// To which consumer.
        consumer: ConsumerId,
        /// In order of their offsets.
        deliveries: Vec<Delivery>,
    },
    /// A queue goes to another member: deliveries of it that no handler has begun must not begin, and
    /// are [handed back](crate::client::Input::HandedBack). Those that run may go on.
    Revoke {
        /// From which consumer.
        consumer: ConsumerId,
        /// The stay that ended.
        queue: ProcessQueueId,
    },
    /// Only user code knows this; to be answered by one [`Input::Answered`](crate::client::Input::Answered).
    Ask {
        /// Goes into the answer.
        token: AskToken,
        /// Whose user code.
        owner: Owner,
        /// What is asked.
        question: Question,
    },
    /// A producer asks nothing any more.
    ProducerClosed {
        /// The producer, which is forgotten.
        producer: ProducerId,
    },
    /// A consumer has begun to close, and gets no more deliveries: those that no handler has begun must not begin,
    /// and are [handed back](crate::client::Input::HandedBack), but for those that lie before one of their queue that has
    /// been begun. These may begin until [`ConsumerClosed`](Self::ConsumerClosed): left undone, they hold the commit
    /// before what is done, which then comes again. The close waits for what is neither settled nor handed back.
    ConsumerClosing {
        /// The consumer, which still takes answers.
        consumer: ConsumerId,
    },
    /// A consumer waits for its handlers no more: what has not begun must not begin, and is
    /// [handed back](crate::client::Input::HandedBack). Streams end. Comes once, after
    /// [`ConsumerClosing`](Self::ConsumerClosing), or alone for a consumer that could not start.
    ConsumerClosed {
        /// The consumer, which is gone for its handlers.
        consumer: ConsumerId,
    },
    /// The client has closed: all commands have ended, and all connections are dropped. Comes once. What comes later
    /// only answers later commands: closes and what looks are done, all others are refused, and a consumer that would
    /// start gets its [`ConsumerClosed`](Self::ConsumerClosed) as well.
    ClientClosed,
    /// Nothing more to do until this time, or until an input comes.
    Wait(Instant),
}

/// Bytes to write. Most drains write one arena and at most a few bodies.
pub type Chunks = SmallVec<[Bytes; 3]>;

/// How a command ended.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Outcome {
    /// A message was stored.
    Sent(SendReceipt),
    /// A batch was stored.
    SentBatch(BatchReceipt),
    /// It worked and there is nothing to tell.
    Done,
    /// A consumer was closed.
    ConsumerClosed(CloseReport),
    /// How a consumer is, and what it has done.
    Inspected(Box<(ConsumerHealth, ConsumerStatistics)>),
    /// What the client has done.
    Statistics(Box<ClientStatistics>),
    /// It did not work.
    Failed(Error),
}

impl From<SendReceipt> for Outcome {
    fn from(receipt: SendReceipt) -> Self {
        Self::Sent(receipt)
    }
}

impl From<BatchReceipt> for Outcome {
    fn from(receipt: BatchReceipt) -> Self {
        Self::SentBatch(receipt)
    }
}
