//! [`ConsumerHealth`]: why messages come, or why they don't, queue by queue, for people who ask.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::fmt;
use core::time::Duration;

use super::{BadAnswer, Full, PassedOver, Pause};
use crate::message::MessageQueue;

/// A consumer as it was at one moment. `Display` shows a line for each queue.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConsumerHealth {
    /// The group.
    pub group: Arc<str>,
    /// Whether it was told to fetch nothing for now.
    pub suspended: bool,
    /// Brokers that know of this member.
    pub brokers: Vec<Arc<str>>,
    /// What is subscribed to, the retry topic among it.
    pub topics: Vec<TopicHealth>,
    /// The queues that are owned, in order.
    pub queues: Vec<QueueHealth>,
    /// Brokers that refuse to serve queues.
    pub refusals: Vec<Refusal>,
    /// Brokers that refuse commits: messages since the last one come again after a restart.
    pub commit_refusals: Vec<CommitRefusal>,
    /// Why queues can't be divided among the members now; what was owned stays so.
    pub unbalanced: Option<Arc<str>>,
    /// The last messages that were skipped because no broker takes them back.
    pub passed_over: Vec<PassedOver>,
    /// Bytes that are cached of all queues.
    pub cached_bytes: usize,
    /// How many may be. The setting is `cached_bytes_max`.
    pub cached_bytes_max: usize,
}

/// A topic that is subscribed to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct TopicHealth {
    /// The topic.
    pub topic: Arc<str>,
    /// How many queues its route has; `None` when no name server knows the topic.
    pub queues: Option<usize>,
    /// How many of them this member owns; the others are other members'.
    pub owned: usize,
    /// Queues that can be written but not read, in addition to `queues`: nobody gets what is sent to them until
    /// the topic has as many read as write queues, and the permission to read.
    pub unread: usize,
    /// Whether the allocate strategy can give this member none of them: no broker's name has one of its machine
    /// rooms, or none of the configured queues is the topic's.
    pub excluded: bool,
}

/// A queue that is owned.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct QueueHealth {
    /// The queue.
    pub queue: Arc<MessageQueue>,
    /// What its fetching does or waits for.
    pub standing: Standing,
    /// Where the next pull begins, once that is known.
    pub next_offset: Option<i64>,
    /// Where the broker's queue ended at the last pull.
    pub max_offset: Option<i64>,
    /// What may be committed: no unfinished message lies below.
    pub consumed_offset: Option<i64>,
    /// What the broker is known to have.
    pub committed_offset: Option<i64>,
    /// Messages that are cached.
    pub cached: usize,
    /// Their bytes.
    pub cached_bytes: usize,
    /// Of the cached messages, those that handlers have.
    pub in_hand: usize,
    /// The offset of the message that a handler has had for the longest time, and that time.
    pub oldest_in_hand: Option<(i64, Duration)>,
    /// Of the cached messages, those that are on their way back, or wait to be offered again because no
    /// broker took them back.
    pub going_back: usize,
    /// The first of them that was refused.
    pub refused_back: Option<GoingBack>,
    /// Attempts to fetch that came to nothing, in a row; one that is under way is not among them.
    pub failures: u32,
    /// Answers of brokers, and records in answers, that can't be true and were left out, in this stay.
    pub bad_answers: u64,
    /// What was wrong with the last of them.
    pub bad_answer: Option<BadAnswer>,
    /// The time since the last pull was answered.
    pub last_pull: Option<Duration>,
    /// The time since the last message was finished with.
    pub last_consume: Option<Duration>,
}

/// A broker that refuses to serve queues. They wait, and one of them asks for all.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Refusal {
    /// The broker's name.
    pub broker: Arc<str>,
    /// What the last refusal means.
    pub why: Pause,
    /// Its words, in 512 characters at most.
    pub cause: Arc<str>,
    /// For how long it has been refusing.
    pub since: Duration,
    /// Queues that wait.
    pub queues: usize,
    /// How often in a row it was asked again in vain.
    pub asked: u32,
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { broker, why, cause, since, queues, asked } = self;
        let broker = broker.escape_debug();
        write!(
            f,
            "broker {broker} refuses {queues} queues for {}, asked again {asked} times: ",
            Seconds(*since)
        )?;
        write!(f, "{why} ({cause})")
    }
}

/// A broker that refuses commits.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CommitRefusal {
    /// The broker's name.
    pub broker: Arc<str>,
    /// Its words, in 512 characters at most.
    pub cause: Arc<str>,
    /// For how long it has been refusing.
    pub since: Duration,
}

impl fmt::Display for CommitRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { broker, cause, since } = self;
        write!(f, "broker {} refuses commits for {}: {cause}", broker.escape_debug(), Seconds(*since))
    }
}

/// A message that nobody has taken back yet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct GoingBack {
    /// Its offset.
    pub offset: i64,
    /// How often it was refused.
    pub refusals: u32,
    /// Why, the last time.
    pub cause: Arc<str>,
}

/// What the fetching of a queue does or waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Standing {
    /// A broker is being asked where to start.
    Asking,
    /// A pull is at the broker, for this long; one that finds no message is held there for
    /// `broker_suspend_max`.
    Pulling(Duration),
    /// Stands still: too much is cached.
    Full(Full),
    /// Waits, mostly after something went wrong; it goes on in this time, or when the broker is back.
    Paused(Pause, Duration),
    /// Stands still: the consumer was suspended.
    Suspended,
    /// Stands still: the consumer is being closed.
    Closing,
}

impl Standing {
    /// Whether nothing is being fetched, for longer than a moment.
    #[must_use]
    pub fn is_still(self) -> bool {
        !self.is_at_broker() && !matches!(self, Self::Paused(Pause::SmallSteps, _))
    }

    fn is_at_broker(self) -> bool {
        matches!(self, Self::Asking | Self::Pulling(_))
    }
}

impl ConsumerHealth {
    /// Whether every topic has a route, some broker knows of this member, and no queue stands still.
    #[must_use]
    pub fn is_flowing(&self) -> bool {
        !self.suspended
            && !self.brokers.is_empty()
            && self.topics.iter().all(|topic| topic.queues.is_some())
            && self.queues.iter().all(|queue| !queue.standing.is_still())
    }
}

impl QueueHealth {
    /// Messages of the queue that are not finished, as of the last pull.
    #[must_use]
    pub fn lag(&self) -> Option<i64> {
        Some(self.max_offset?.saturating_sub(self.consumed_offset?).max(0))
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asking => f.write_str("asks where to start"),
            Self::Pulling(time) => write!(f, "waits at the broker for {}", Seconds(*time)),
            Self::Full(full) => write!(f, "stands still: {full}"),
            Self::Paused(why @ Pause::SmallSteps, time) => {
                write!(f, "{why}; asks again in {}", Seconds(*time))
            }
            Self::Paused(why, time) => write!(f, "stands still: {why}; again in {}", Seconds(*time)),
            Self::Suspended => f.write_str("stands still: the consumer is suspended"),
            Self::Closing => f.write_str("stands still: the consumer is closing"),
        }
    }
}

impl fmt::Display for ConsumerHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "group {}", self.group.escape_debug())?;
        if self.suspended {
            f.write_str(" (suspended)")?;
        }
        let (bytes, max) = (self.cached_bytes, self.cached_bytes_max);
        write!(f, ": known to {} brokers, {bytes} of {max} bytes cached", self.brokers.len())?;
        for topic in &self.topics {
            let TopicHealth { topic, queues, owned, unread, excluded } = topic;
            match queues {
                Some(queues) => write!(f, "\n{}: {owned} of {queues} queues", topic.escape_debug())?,
                None => write!(f, "\n{}: no route, does the topic exist?", topic.escape_debug())?,
            }
            if *unread > 0 {
                write!(f, "; {unread} more can be written but not read, nobody gets what is sent there")?;
            }
            if *excluded {
                f.write_str("; the allocate strategy can give this member none of them")?;
            }
        }
        if let Some(cause) = &self.unbalanced {
            write!(f, "\nqueues can't be divided: {cause}")?;
        }
        self.refusals.iter().try_for_each(|refusal| write!(f, "\n{refusal}"))?;
        self.commit_refusals.iter().try_for_each(|refusal| write!(f, "\n{refusal}"))?;
        self.queues.iter().try_for_each(|queue| write!(f, "\n  {queue}"))?;
        self.passed_over.iter().try_for_each(|message| write!(f, "\n  passed over: {message}"))
    }
}

impl fmt::Display for QueueHealth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.queue, self.standing)?;
        let known = |offset: Option<i64>| offset.map_or_else(|| "?".into(), |at| alloc::format!("{at}"));
        write!(f, "; next {}", known(self.next_offset))?;
        write!(f, ", consumed {}", known(self.consumed_offset))?;
        write!(f, ", committed {}", known(self.committed_offset))?;
        write!(f, "; {} cached", self.cached)?;
        if let Some((offset, time)) = self.oldest_in_hand {
            write!(f, ", {} in hand, offset {offset} for {}", self.in_hand, Seconds(time))?;
        }
        if self.going_back > 0 {
            write!(f, ", {} going back", self.going_back)?;
        }
        if let Some(GoingBack { offset, refusals, cause }) = &self.refused_back {
            write!(f, ", offset {offset} refused {refusals} times: {cause}")?;
        }
        for (time, what) in [(self.last_pull, "pulled"), (self.last_consume, "consumed")] {
            if let Some(time) = time {
                write!(f, "; last {what} {} ago", Seconds(time))?;
            }
        }
        if self.failures > 0 {
            let which = if self.standing.is_at_broker() { "before this one" } else { "in a row" };
            write!(f, "; attempts {which} that came to nothing: {}", self.failures)?;
        }
        if let Some(bad) = &self.bad_answer {
            write!(f, "; {} bad answers, the last: {bad}", self.bad_answers)?;
        }
        Ok(())
    }
}

/// To a tenth of a second.
struct Seconds(Duration);

impl fmt::Display for Seconds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{} s", self.0.as_secs(), self.0.subsec_millis() / 100)
    }
}
