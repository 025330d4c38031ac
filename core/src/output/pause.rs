//! [`Pause`]: why a queue is not fetched from for a while.

use core::fmt;

/// Why there is a pause.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Pause {
    /// No route names an address of the broker.
    NoAddress,
    /// The broker could not be asked, or didn't answer.
    Unreachable,
    /// The broker doesn't know the group's members or its subscription (yet).
    NotRegistered,
    /// The broker doesn't know the group, and did not create it.
    NoGroup,
    /// The broker doesn't know the topic.
    NoTopic,
    /// The broker has no such queue, or not any more.
    NoQueue,
    /// Reading is not permitted.
    Forbidden,
    /// The broker is busy, or a slave that may not be read from.
    Busy,
    /// The broker sheds load.
    FlowControl,
    /// The broker said no.
    Refused,
    /// The broker says at once that there is nothing, instead of waiting for something: as a slave does at
    /// its end.
    Empty,
    /// The broker leads on again and again, at once, by few messages that are not for the group: a moment's pause.
    SmallSteps,
    /// The answer could not be read, or led nowhere.
    BadAnswer,
    /// A commit of this member's former stay at the queue is on its way: until it has ended nobody can
    /// say where the group stands.
    Committing,
    /// The broker moved the offset, and had just done so.
    OffsetMoved,
    /// The broker says that the queue has no message and never had one: the offset is kept until it has.
    QueueEmpty,
}

impl fmt::Display for Pause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoAddress => "no route names an address of the broker",
            Self::Unreachable => "the broker can't be reached or doesn't answer",
            Self::NotRegistered => "the broker doesn't know the group or its subscription yet",
            Self::NoGroup => "the broker doesn't know the group: check autoCreateSubscriptionGroup",
            Self::NoTopic => "the broker doesn't know the topic",
            Self::NoQueue => "the broker has no such queue",
            Self::Forbidden => "the broker doesn't permit to read it",
            Self::Busy => "the broker is busy, or a slave that may not be read from",
            Self::FlowControl => "the broker sheds load",
            Self::Empty => "the broker has nothing and doesn't wait for it, as a slave at its end",
            Self::SmallSteps => "the broker leads on by few messages at a time, none of them for the group",
            Self::Refused => "the broker refuses to serve it",
            Self::BadAnswer => "the broker's answer makes no sense",
            Self::Committing => "an own commit of the queue is still on its way",
            Self::OffsetMoved => "the broker moves the offset again and again",
            Self::QueueEmpty => "the broker says that the queue is empty; the offset is kept",
        })
    }
}
