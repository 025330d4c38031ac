//! Committing: every few seconds, when a queue is given up, and at the end. Java:
//! `RemoteBrokerOffsetStore`, but with answers, so that only what changed has to be told.

use alloc::collections::VecDeque;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::{Phase, PushConsumer};
use crate::channel::Reply;
use crate::consumer::{CommitEnd, CommitRefusal, ConsumerRequest, ConsumerTimer, FIRST_COMMIT_PATIENCE};
use crate::error::Cause;
use crate::id::ProcessQueueId;
use crate::message::MessageQueue;
use crate::remoting::{ResponseCode, UpdateConsumerOffsetRequestHeader};
use crate::route::MASTER_ID;
use crate::shared::Shared;
use crate::time::Instant;

/// How long a commit may take.
const COMMIT_TIMEOUT: Duration = Duration::from_secs(5);

/// Every so many rounds what has not changed is committed again: 30 s at the defaults.
const REPEAT_ROUNDS: u32 = 6;

impl PushConsumer {
    pub(super) fn arm_persist(&mut self, shared: &mut Shared, now: Instant) {
        let at = now + shared.config.persist_consumer_offset_interval;
        self.persist_timer = Some(shared.arm(at, self.timer(ConsumerTimer::PersistOffsets)));
    }

    pub(super) fn persist_offsets(&mut self, shared: &mut Shared, now: Instant) {
        self.arm_persist(shared, now);
        self.persist_rounds = self.persist_rounds.wrapping_add(1);
        if self.persist_rounds.is_multiple_of(REPEAT_ROUNDS) {
            // A former owner may have been late and overwritten a commit; nobody else would notice.
            self.offsets.doubt(|_| true);
        }
        self.commit_all(shared, now);
    }

    /// Commits every queue that has something to commit.
    pub(super) fn commit_all(&mut self, shared: &mut Shared, now: Instant) {
        let ids: Vec<ProcessQueueId> = self.owned.iter().map(|(id, _)| id).collect();
        for id in ids {
            self.note_progress(id);
        }
        let due = self.offsets.due();
        self.commit_each(shared, now, due);
    }

    /// A broker that is back may have been restarted, and may have lost what it had not flushed.
    pub(super) fn doubt_commits(&mut self, shared: &Shared, address: &Arc<str>) {
        let is_back = |broker: &str| {
            shared.routes.address(broker, MASTER_ID).is_some_and(|(known, _)| known == address)
        };
        self.offsets.doubt(|queue| is_back(&queue.broker_name));
        self.offsets.forget_tables(is_back);
    }

    /// Takes what may be committed of a queue into the store.
    pub(super) fn note_progress(&mut self, id: ProcessQueueId) {
        if let Some(owned) = self.owned.get(id)
            && owned.question.is_none()
            && owned.looks_again_until.is_none()
            && owned.misfits == 0
            && owned.empty.is_none()
            && let Some(offset) = owned.cache.committable()
        {
            self.offsets.update(&owned.queue, offset);
        }
    }

    /// Commits a queue, if there is anything to commit.
    pub(super) fn commit(&mut self, shared: &mut Shared, now: Instant, queue: &Arc<MessageQueue>) {
        self.commit_each(shared, now, vec![queue.clone()]);
    }

    /// Commits queues, and what waited for a commit of them that ended at once.
    fn commit_each(&mut self, shared: &mut Shared, now: Instant, due: Vec<Arc<MessageQueue>>) {
        let mut due = VecDeque::from(due);
        while let Some(queue) = due.pop_front() {
            let Some(offset) = self.offsets.begin_commit(&queue, now) else { continue };
            if !self.send_commit(shared, now, &queue, offset) {
                due.extend(self.offsets.end_commit(&queue, offset, CommitEnd::Unknown, now));
            }
        }
        if self.offsets.is_waiting() && self.first_commit_timer.is_none() {
            let timer = self.timer(ConsumerTimer::FirstCommit);
            self.first_commit_timer = Some(shared.arm(now + FIRST_COMMIT_PATIENCE, timer));
        }
    }

    /// A first commit may have been on its way for too long: the others of its table don't wait any longer.
    pub(super) fn first_commit_waited_for(&mut self, shared: &mut Shared, now: Instant) {
        self.first_commit_timer = None;
        let due = self.offsets.impatient(now);
        self.commit_each(shared, now, due);
    }

    /// `false` when nobody will answer.
    fn send_commit(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        queue: &Arc<MessageQueue>,
        offset: i64,
    ) -> bool {
        let Some((address, _)) = shared.routes.address(&queue.broker_name, MASTER_ID) else {
            self.count_commit(queue, false);
            return false;
        };
        let address = address.clone();
        let header = UpdateConsumerOffsetRequestHeader {
            consumer_group: (&*self.config.group).into(),
            topic: (&*queue.topic).into(),
            queue_id: queue.queue_id,
            commit_offset: offset,
            ..UpdateConsumerOffsetRequestHeader::default()
        };
        let deadline =
            self.close_deadline().map_or(now + COMMIT_TIMEOUT, |end| end.min(now + COMMIT_TIMEOUT));
        if deadline <= now {
            // Nobody waits for the answer any more; the broker may still hear it.
            shared.oneway(now, &address, &header, Bytes::new());
            return false;
        }
        let purpose = self.purpose(ConsumerRequest::Commit { queue: queue.clone(), offset });
        shared.request(now, &address, &header, Bytes::new(), deadline, purpose);
        true
    }

    fn count_commit(&mut self, queue: &MessageQueue, ok: bool) {
        if let Some(index) = self.subscriptions.keys().position(|topic| *topic == queue.topic) {
            let statistics = &mut self.statistics[index];
            *(if ok { &mut statistics.commits } else { &mut statistics.commit_failures }) += 1;
        }
    }

    /// A commit has ended: what waited for it, or has come since, goes on.
    pub(super) fn handle_committed(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        queue: &Arc<MessageQueue>,
        offset: i64,
        reply: Reply,
    ) {
        let end = match &reply {
            Ok(command) if command.code == ResponseCode::SUCCESS.0 => CommitEnd::Confirmed,
            Ok(_) => CommitEnd::Refused,
            Err(_) => CommitEnd::Unknown,
        };
        let ok = end == CommitEnd::Confirmed;
        self.count_commit(queue, ok);
        if ok {
            self.note_committed(shared, now, queue);
        } else {
            let cause = super::pull::cause_of(reply);
            tracing::debug!(group = %self.config.group, %queue, offset, %cause, "commit failed");
            if end == CommitEnd::Refused {
                self.note_commit_refused(shared, now, queue, &cause);
            }
        }
        let due = self.offsets.end_commit(queue, offset, end, now);
        self.commit_each(shared, now, due);
        if let Phase::Closing(_) = self.phase {
            self.closing_commit_ended(shared, now, queue, ok);
        }
    }

    /// Told when it begins, not each time.
    fn note_commit_refused(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        queue: &MessageQueue,
        cause: &Cause,
    ) {
        let since = self.commits_refused.get(&queue.broker_name).map(|(since, _)| *since);
        if since.is_none() && shared.lines.may(now) {
            tracing::warn!(group = %self.config.group, %queue, %cause, "a broker refuses commits; trying on");
        }
        let told = (since.unwrap_or(now), cause.to_string().into());
        self.commits_refused.insert(queue.broker_name.clone(), told);
    }

    fn note_committed(&mut self, shared: &mut Shared, now: Instant, queue: &MessageQueue) {
        if let Some((since, _)) = self.commits_refused.remove(&queue.broker_name)
            && shared.lines.may(now)
        {
            let after_ms = now.saturating_since(since).as_millis();
            tracing::info!(group = %self.config.group, broker = %queue.broker_name, after_ms, "a broker takes commits again");
        }
    }

    /// Brokers that refuse commits, for people.
    pub(super) fn commit_refusals(&self, now: Instant) -> Vec<CommitRefusal> {
        let told = |(broker, (since, cause)): (&Arc<str>, &(Instant, Arc<str>))| CommitRefusal {
            broker: broker.clone(),
            cause: cause.clone(),
            since: now.saturating_since(*since),
        };
        self.commits_refused.iter().map(told).collect()
    }
}
