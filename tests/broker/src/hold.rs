//! Pulls that wait for messages. Java: `PullRequestHoldService`.

use std::collections::BTreeMap;
use std::time::Duration;

use rocketmq_client_core::time::Instant;

use crate::asker::Asker;
use crate::output::ConnectionId;
use crate::processor::pull::PullRequest;
use crate::store::QueueRef;

/// A pull that found nothing and may wait.
#[derive(Clone, Debug)]
pub(crate) struct HeldPull {
    pub(crate) asker: Asker,
    pub(crate) request: PullRequest,
    pub(crate) since: Instant,
    pub(crate) timeout: Duration,
    /// Messages below this queue offset are known not to match.
    pub(crate) checked: i64,
}

impl HeldPull {
    fn timed_out(&self, now: Instant) -> bool {
        now >= self.since + self.timeout
    }
}

/// The held pulls by queue, oldest first.
#[derive(Clone, Debug, Default)]
pub(crate) struct HoldTable {
    queues: BTreeMap<QueueRef, Vec<HeldPull>>,
}

impl HoldTable {
    /// Holds a pull.
    pub(crate) fn hold(&mut self, queue: QueueRef, pull: HeldPull) {
        self.queues.entry(queue).or_default().push(pull);
    }

    /// Takes the pulls of a queue that must run again: time is over, or `ready` says that something
    /// for them arrived.
    pub(crate) fn take(
        &mut self,
        now: Instant,
        queue: QueueRef,
        mut ready: impl FnMut(&mut HeldPull) -> bool,
    ) -> Vec<HeldPull> {
        let Some(held) = self.queues.get_mut(&queue) else { return Vec::new() };
        let run = held.extract_if(.., |pull| pull.timed_out(now) || ready(pull)).collect();
        if held.is_empty() {
            self.queues.remove(&queue);
        }
        run
    }

    /// The queues that pulls wait for.
    pub(crate) fn waiting(&self) -> Vec<QueueRef> {
        self.queues.keys().copied().collect()
    }

    /// Forgets what a closed connection waited for.
    pub(crate) fn forget(&mut self, connection: ConnectionId) {
        self.queues.retain(|_, held| {
            held.retain(|pull| pull.asker.connection != connection);
            !held.is_empty()
        });
    }

    /// How many pulls wait.
    pub(crate) fn len(&self) -> usize {
        self.queues.values().map(Vec::len).sum()
    }
}
