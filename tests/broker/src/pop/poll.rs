//! Pops and notifications that wait for messages. Java: `PopLongPollingService`.

use std::collections::BTreeMap;
use std::sync::Arc;

use rocketmq_client_core::remoting::RemotingCommand;

use crate::asker::Asker;
use crate::output::ConnectionId;
use crate::processor::pull::Filter;

/// Java: `popPollingSize`; one more than this waits.
const EACH_MAX: usize = 1_024;
/// Java: `maxPopPollingSize`.
const ALL_MAX: usize = 100_000;
/// Java: `PopRequest#isTimeout` answers this early.
const EARLY_MS: i64 = 50;

/// What is waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum PollKind {
    Pop,
    Notification,
}

/// A queue that a group waits for; queue id -1 is any.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct PollKey {
    pub(crate) kind: PollKind,
    pub(crate) topic: Arc<str>,
    pub(crate) group: Arc<str>,
    pub(crate) queue_id: i32,
}

/// A request that waits; it is carried out again when something for it came.
#[derive(Clone, Debug)]
pub(crate) struct Poll {
    pub(crate) asker: Asker,
    pub(crate) command: RemotingCommand,
    /// When the client sent it, or the broker got it if the client didn't say; Unix milliseconds.
    pub(crate) born_ms: i64,
    pub(crate) filter: Filter,
}

/// What becomes of a request that found nothing. Java: `PollingResult`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Polled {
    Waits,
    TimedOut,
    Full,
}

/// The waiting requests, by the time they wait until.
#[derive(Clone, Debug, Default)]
pub(crate) struct PollTable {
    waiting: BTreeMap<PollKey, BTreeMap<(i64, u64), Poll>>,
    count: usize,
    number: u64,
}

impl PollTable {
    /// Lets a request wait for `poll_ms` from its birth.
    pub(crate) fn hold(&mut self, key: PollKey, poll: Poll, poll_ms: i64, wall_ms: i64) -> Polled {
        let expires_ms = poll.born_ms.saturating_add(poll_ms).saturating_sub(EARLY_MS);
        if poll_ms <= 0 {
            return Polled::TimedOut;
        }
        if self.count >= ALL_MAX {
            return Polled::Full;
        }
        if wall_ms > expires_ms {
            return Polled::TimedOut;
        }
        let waiting = self.waiting.entry(key).or_default();
        if waiting.len() > EACH_MAX {
            return Polled::Full;
        }
        self.number += 1;
        self.count += 1;
        waiting.insert((expires_ms, self.number), poll);
        Polled::Waits
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// How many requests wait for exactly this.
    pub(crate) fn len_of(&self, key: &PollKey) -> usize {
        self.waiting.get(key).map_or(0, BTreeMap::len)
    }

    /// How many requests wait.
    pub(crate) fn len(&self) -> usize {
        self.count
    }

    /// The groups that wait for a topic in one way.
    pub(crate) fn groups(&self, kind: PollKind, topic: &str) -> Vec<Arc<str>> {
        let topics = self.waiting.keys().filter(|key| key.kind == kind && &*key.topic == topic);
        let mut groups: Vec<_> = topics.map(|key| key.group.clone()).collect();
        groups.dedup();
        groups
    }

    /// Topics and groups that wait, in one way or the other.
    pub(crate) fn topics_and_groups(&self) -> Vec<(Arc<str>, Arc<str>)> {
        let mut all: Vec<_> = self.waiting.keys().map(|key| (key.topic.clone(), key.group.clone())).collect();
        all.sort_unstable();
        all.dedup();
        all
    }

    /// The filter of the request that is woken next. Java: pops from the first, notifications from the last.
    pub(crate) fn next_filter(&self, key: &PollKey) -> Option<&Filter> {
        let waiting = self.waiting.get(key)?;
        let (_, poll) = match key.kind {
            PollKind::Pop => waiting.first_key_value()?,
            PollKind::Notification => waiting.last_key_value()?,
        };
        Some(&poll.filter)
    }

    /// Takes the request that is woken next.
    pub(crate) fn take_next(&mut self, key: &PollKey) -> Option<Poll> {
        let waiting = self.waiting.get_mut(key)?;
        let (_, poll) = match key.kind {
            PollKind::Pop => waiting.pop_first()?,
            PollKind::Notification => waiting.pop_last()?,
        };
        self.count -= 1;
        if waiting.is_empty() {
            self.waiting.remove(key);
        }
        Some(poll)
    }

    /// Takes the requests whose time is over.
    pub(crate) fn take_expired(&mut self, wall_ms: i64) -> Vec<(PollKey, Poll)> {
        let mut expired = Vec::new();
        for (key, waiting) in &mut self.waiting {
            while let Some(first) = waiting.first_entry() {
                if first.key().0 >= wall_ms {
                    break;
                }
                expired.push((key.clone(), first.remove()));
            }
        }
        self.count -= expired.len();
        self.waiting.retain(|_, waiting| !waiting.is_empty());
        expired
    }

    /// When the next request's time is over, in Unix milliseconds.
    pub(crate) fn due_ms(&self) -> Option<i64> {
        self.waiting.values().filter_map(|waiting| waiting.keys().next()).map(|(at_ms, _)| at_ms + 1).min()
    }

    /// Forgets what a closed connection waited for.
    pub(crate) fn forget(&mut self, connection: ConnectionId) {
        let mut left = 0;
        self.waiting.retain(|_, waiting| {
            waiting.retain(|_, poll| poll.asker.connection != connection);
            left += waiting.len();
            !waiting.is_empty()
        });
        self.count = left;
    }
}
