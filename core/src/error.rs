//! What a user can be told. Few kinds, each with the names it concerns and what to do about it.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::sync::Arc;
use core::fmt;
use core::time::Duration;

use thiserror::Error;

use crate::lines::Brief;
use crate::message::{InvalidBatch, InvalidMessage, InvalidName, Message};
use crate::remoting::ResponseCode;

/// The outcome of a command that did not succeed.
#[derive(Clone, Debug, Error)]
#[non_exhaustive]
pub enum Error {
    /// Certainly not stored: the request never left this process, or the broker refused it with a
    /// code that means so. Sending again can't store it twice.
    #[error("not sent: {0}")]
    NotSent(Box<Failure>),
    /// The request left, and no answer came or one that does not tell: the broker may or may not have
    /// executed it. Sending again may store it twice.
    #[error("outcome unknown: {0}")]
    Unknown(Box<Failure>),
    /// The broker answered with an error code that it gives before it stores anything.
    #[error("refused: {0}")]
    Refused(Box<Failure>),
    /// No name server or broker could be reached at all.
    #[error("unreachable: {0}")]
    Unreachable(Box<Failure>),
    /// The send queue is full; here is the message back.
    #[error("too many sends are under way: wait for some of them, or raise the limit")]
    Full(Box<Message>),
    /// The call can't work as it was made; nothing was changed.
    #[error(transparent)]
    Usage(#[from] UsageError),
    /// The client, producer or consumer was closed.
    #[error("closed: this handle's client, producer or consumer has been closed")]
    Closed,
    /// The host refused what the client needs to run: a file, a thread.
    #[error("the host failed: {0}")]
    Host(Arc<str>),
    /// The client broke one of its own rules and stopped. Please report it, with the text.
    #[error("bug in the client, which has stopped: {0}; please report this text")]
    Bug(Arc<str>),
}

impl Error {
    /// What is known of the attempt, for the kinds that went to the network.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        match self {
            Self::NotSent(failure)
            | Self::Unknown(failure)
            | Self::Refused(failure)
            | Self::Unreachable(failure) => Some(failure),
            _ => None,
        }
    }

    /// The broker's response code, if one answered.
    #[must_use]
    pub fn code(&self) -> Option<ResponseCode> {
        match self.failure()?.cause {
            Cause::Answered { code, .. } => Some(code),
            _ => None,
        }
    }
}

/// Where an operation failed, how far it had come, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Failure {
    /// What was asked for.
    pub action: &'static str,
    /// The topic it concerned.
    pub topic: Option<Arc<str>>,
    /// The broker, or the name server's address, of the last attempt.
    pub peer: Option<Arc<str>>,
    /// How many requests went out or were tried.
    pub attempts: u32,
    /// Time from the call to the end.
    pub elapsed: Duration,
    /// What ended the last attempt.
    pub cause: Cause,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.action)?;
        if let Some(topic) = &self.topic {
            write!(f, " topic {}", topic.escape_debug())?;
        }
        if let Some(peer) = &self.peer {
            write!(f, " at {}", peer.escape_debug())?;
        }
        write!(
            f,
            " failed after {} attempt(s) in {} ms: {}",
            self.attempts,
            self.elapsed.as_millis(),
            self.cause
        )?;
        match self.cause.hint() {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

/// Why an attempt ended.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum Cause {
    /// The name could not be looked up.
    #[error("{host} can't be resolved: {reason}")]
    Resolve {
        /// The name.
        host: Arc<str>,
        /// What the resolver said.
        reason: Arc<str>,
    },
    /// No connection came up.
    #[error("can't connect to {address}: {reason}")]
    Connect {
        /// The address as configured or as the route gave it.
        address: Arc<str>,
        /// What the system said.
        reason: Arc<str>,
    },
    /// The connection ended before the answer.
    #[error("the connection to {address} was lost: {reason}")]
    ConnectionLost {
        /// The address.
        address: Arc<str>,
        /// What the system or the decoder said.
        reason: Arc<str>,
    },
    /// No answer in time.
    #[error("no answer within the time allowed")]
    Timeout,
    /// The name servers know no route for the topic.
    #[error("no name server has a route for it: {}", who_said_so(said_by, unheard))]
    NoRoute {
        /// The name servers that said so, separated by `;`.
        said_by: Arc<str>,
        /// Those that did not answer, separated by `;`; empty when all did.
        unheard: Arc<str>,
    },
    /// The route has no queue that can be used.
    #[error("its route has no queue that can be written")]
    NoQueue,
    /// The route names a broker without a usable address.
    #[error("the route has no master address for the broker")]
    NoAddress,
    /// Too many requests wait on the connection.
    #[error("{pending} requests are already waiting on the connection")]
    TooManyPending {
        /// How many.
        pending: usize,
    },
    /// The peer does not read what it is sent.
    #[error("{bytes} bytes are waiting to be written on the connection")]
    Backlog {
        /// How many.
        bytes: u64,
    },
    /// The peer answered with an error.
    #[error("it answered {code}: {}", Brief(remark))]
    Answered {
        /// Its response code.
        code: ResponseCode,
        /// Its words.
        remark: Box<str>,
    },
    /// What is asked as a name server does not know requests for routes. Brokers answer so.
    #[error("{address} is no name server: it does not know requests for routes, as a broker doesn't")]
    NotNameServer {
        /// Its address.
        address: Arc<str>,
    },
    /// The answer made no sense.
    #[error("its answer can't be read: {}", Brief(reason))]
    BadAnswer {
        /// What is wrong with it.
        reason: Box<str>,
    },
    /// The client is being closed.
    #[error("the client is closing")]
    Closing,
    /// The client broke one of its own rules and stopped.
    #[error("bug in the client, which has stopped: {reason}; please report this text")]
    Stopped {
        /// The rule.
        reason: Arc<str>,
    },
}

impl Cause {
    /// Whether the peer was not heard, so that nothing is known of what it would say.
    pub(crate) fn is_of_transport(&self) -> bool {
        matches!(
            self,
            Self::Resolve { .. }
                | Self::Connect { .. }
                | Self::ConnectionLost { .. }
                | Self::Timeout
                | Self::TooManyPending { .. }
                | Self::Backlog { .. }
        )
    }

    /// What the user can do about it.
    #[must_use]
    pub fn hint(&self) -> Option<&'static str> {
        Some(match self {
            Self::Resolve { .. } => "check the host name and the resolver of this machine",
            Self::Connect { .. } => "check that the server runs, that the address is right, and firewalls",
            Self::NotNameServer { .. } => {
                "give the address of a name server, which listens on port 9876 by default; a broker's setting \
                 namesrvAddr says which one it has"
            }
            Self::NoRoute { .. } => {
                "create the topic, or let the broker create it: autoCreateTopicEnable=true"
            }
            Self::NoQueue => "check the topic's permission and that its brokers are up",
            Self::NoAddress => "the broker's master is down or not registered",
            Self::Timeout => "the peer is slow or frozen; a larger timeout or more attempts may help",
            Self::TooManyPending { .. } => "send fewer at once, or raise channel_pending_max",
            Self::Answered { code, .. } => return answered_hint(*code),
            _ => return None,
        })
    }
}

fn who_said_so(said_by: &str, unheard: &str) -> String {
    match unheard {
        "" => alloc::format!("{said_by} says so"),
        _ => alloc::format!("{said_by} says so, {unheard} was not heard"),
    }
}

fn answered_hint(code: ResponseCode) -> Option<&'static str> {
    Some(match code {
        ResponseCode::SYSTEM_BUSY => "the broker sheds load; send again later",
        ResponseCode::NO_PERMISSION => "check the topic's permission and the client's access key",
        ResponseCode::TOPIC_NOT_EXIST => {
            "create the topic, or let the broker create it: autoCreateTopicEnable=true"
        }
        ResponseCode::MESSAGE_ILLEGAL => "the broker's own limits refuse the message; see its maxMessageSize",
        ResponseCode::SERVICE_NOT_AVAILABLE => "the broker can't store now: disk full, or it is not a master",
        _ => return None,
    })
}

/// A call that can't work as it was made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum UsageError {
    /// No name server was given.
    #[error(
        "no name server given: pass \"host:port\", several separated by \";\", or set ROCKETMQ_NAMESRV or \
         NAMESRV_ADDR"
    )]
    NoNameServer,
    /// An address is not `host:port`.
    #[error("name server address {address:?} is not host:port, e.g. 127.0.0.1:9876")]
    NameServerAddress {
        /// The text that was given.
        address: Arc<str>,
    },
    /// The group name breaks RocketMQ's rules.
    #[error("group {group:?} can't be used: {reason}")]
    Group {
        /// The name.
        group: Arc<str>,
        /// The rule.
        reason: InvalidName,
    },
    /// The group name is one that brokers keep for themselves.
    #[error("group {group} is reserved; choose a name of your own")]
    ReservedGroup {
        /// The name.
        group: Arc<str>,
    },
    /// The topic name breaks RocketMQ's rules.
    #[error("topic {topic:?} can't be used: {reason}")]
    Topic {
        /// The name.
        topic: Arc<str>,
        /// The rule.
        reason: InvalidName,
    },
    /// A push consumer without a topic.
    #[error("consumer group {group} subscribes to nothing: call subscribe(topic, \"*\")")]
    NoSubscription {
        /// The group.
        group: Arc<str>,
    },
    /// The filter expression is not one.
    #[error(
        "{expression:?} is no filter for topic {topic}: write \"*\" alone for all, or tags as \"TagA || TagB\""
    )]
    Expression {
        /// The topic.
        topic: Arc<str>,
        /// The text.
        expression: Arc<str>,
    },
    /// The group already has a consumer in this client.
    #[error("group {group} already has a consumer in this client; use another group or another client")]
    DuplicateGroup {
        /// The group.
        group: Arc<str>,
    },
    /// A setting is out of its range.
    #[error("{setting} is {value}, allowed is {min} to {max}")]
    OutOfRange {
        /// The setting's name.
        setting: &'static str,
        /// What was given.
        value: i64,
        /// The least.
        min: i64,
        /// The most.
        max: i64,
    },
    /// A duration is too short to work with.
    #[error("{setting} is {value:?}, it must be at least {min:?}")]
    TooShort {
        /// The setting's name.
        setting: &'static str,
        /// What was given.
        value: Duration,
        /// The least.
        min: Duration,
    },
    /// The message breaks RocketMQ's rules.
    #[error("message can't be sent: {0}")]
    Message(#[from] InvalidMessage),
    /// The messages can't be sent as one batch.
    #[error("batch can't be sent: {0}")]
    Batch(#[from] InvalidBatch),
    /// The body could not be compressed.
    #[error("the body can't be compressed: {0}")]
    Compress(String),
    /// A send by selector of a producer that has none.
    #[error(
        "producer group {group} has no queue selector: give it one with queue_selector(...) when it is built"
    )]
    NoQueueSelector {
        /// The producer's group.
        group: Arc<str>,
    },
    /// The queue selector chose a queue that is not there. The message was not sent.
    #[error(
        "the queue selector chose {index} for topic {topic}, which has {queues} queues: return an index into the \
         list it is given"
    )]
    SelectedQueue {
        /// The topic.
        topic: Arc<str>,
        /// What it returned.
        index: usize,
        /// How many queues it was given.
        queues: usize,
    },
    /// The queue selector gave no answer: it panicked, with these words. The message was not sent.
    #[error("the queue selector for topic {topic} failed: {}", reason.escape_debug())]
    QueueSelector {
        /// The topic.
        topic: Arc<str>,
        /// What it said.
        reason: Arc<str>,
    },
}

/// `Result` with this crate's [`Error`](enum@Error).
pub type Result<T, E = Error> = core::result::Result<T, E>;
