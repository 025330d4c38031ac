//! The end of a consumer: stop fetching, let handlers finish, hand the rest back, commit with answers,
//! leave the group, report. Java: `DefaultMQPushConsumerImpl#shutdown`, which neither waits nor tells.

use alloc::collections::BTreeSet;
use alloc::string::ToString;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use bytes::Bytes;

use super::queue::{Fate, Fetch, OwnedQueue};
use super::{Phase, PushConsumer};
use crate::consumer::{ConsumerRequest, ConsumerTimer};
use crate::id::{OperationId, ProcessQueueId};
use crate::message::MessageQueue;
use crate::output::{Outcome, Output};
use crate::remoting::UnregisterClientRequestHeader;
use crate::shared::Shared;
use crate::time::Instant;
use crate::timer::TimerId;

/// The most of a close's time that is kept for committing and leaving; at most a quarter of all.
const LAST_WORDS_MAX: Duration = Duration::from_secs(1);

/// A consumer that is being closed.
#[derive(Clone, Debug)]
pub(super) struct Closing {
    operations: Vec<OperationId>,
    deadline: Instant,
    timers: [TimerId; 2],
    stage: Stage,
}

#[derive(Clone, Debug)]
enum Stage {
    /// Handlers run, messages are on their way back: these, or some of them. No others come.
    Handlers { busy: Vec<(ProcessQueueId, i64)> },
    /// Offsets are on their way; those that failed are not tried again.
    Commits { failed: BTreeSet<Arc<MessageQueue>> },
    /// Brokers are being told.
    Leaving { waiting: BTreeSet<Arc<str>> },
}

impl PushConsumer {
    /// Begins to close; over at `deadline` whatever is left. A second call only adds who waits, and may
    /// shorten the time.
    pub fn begin_close(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        operation: Option<OperationId>,
        deadline: Instant,
    ) {
        if let Phase::Closing(closing) = &mut self.phase {
            closing.operations.extend(operation);
            if deadline < closing.deadline {
                closing.deadline = deadline;
                closing.timers.into_iter().for_each(|timer| shared.cancel(timer));
                self.arm_close(shared, now, deadline);
            }
            return;
        }
        // Whoever asked for the close knows why nothing comes, and a stop that was asked for is no error.
        let start = self.take_start(shared);
        shared.complete_done(start);
        self.stop(shared);
        let timer = shared.arm(deadline, self.timer(ConsumerTimer::Close));
        let operations = operation.into_iter().collect();
        let stage = Stage::Handlers { busy: self.busy_messages() };
        self.phase = Phase::Closing(Closing { operations, deadline, timers: [timer; 2], stage });
        shared.cancel(timer);
        self.arm_close(shared, now, deadline);
        shared.outputs.push_back(Output::ConsumerClosing { consumer: self.id });
        self.closing_message_settled(shared, now);
    }

    fn arm_close(&mut self, shared: &mut Shared, now: Instant, deadline: Instant) {
        let all = deadline.saturating_since(now);
        let handlers = now + (all - LAST_WORDS_MAX.min(all / 4));
        let timers = [
            shared.arm(handlers, self.timer(ConsumerTimer::CloseHandlers)),
            shared.arm(deadline, self.timer(ConsumerTimer::Close)),
        ];
        if let Phase::Closing(closing) = &mut self.phase {
            closing.timers = timers;
        }
    }

    /// Nothing is fetched or offered from here on.
    fn stop(&mut self, shared: &mut Shared) {
        self.stop_rounds(shared);
        self.stop_looking_for_routes(shared);
        self.stop_watching_handlers(shared);
        self.stop_gates(shared);
        if let Some(timer) = self.persist_timer.take() {
            shared.cancel(timer);
        }
        let mut resting = Vec::new();
        for (id, owned) in self.owned.iter_mut() {
            if let Fetch::Pausing(timer, _) = owned.fetch {
                shared.cancel(timer);
            }
            owned.fetch = Fetch::Stopped;
            let rests = owned.cache.iter().filter_map(|(offset, cached)| match cached.fate {
                Fate::Resting(timer) => Some((id, offset, timer)),
                _ => None,
            });
            resting.extend(rests);
        }
        for (id, offset, timer) in resting {
            shared.cancel(timer);
            self.set_fate(id, offset, Fate::HandedBack);
        }
    }

    /// When the close has to be over, if there is one.
    pub(super) fn close_deadline(&self) -> Option<Instant> {
        match &self.phase {
            Phase::Closing(closing) => Some(closing.deadline),
            _ => None,
        }
    }

    fn busy_messages(&self) -> Vec<(ProcessQueueId, i64)> {
        let of_queue = |(id, owned): (ProcessQueueId, &'_ OwnedQueue)| {
            let busy = owned.cache.iter().filter(|(_, cached)| is_busy(cached.fate));
            busy.map(|(offset, _)| (id, offset)).collect::<Vec<_>>()
        };
        self.owned.iter().flat_map(of_queue).collect()
    }

    /// Goes on to commit once no handler runs and no message is on its way back. Each message is looked at
    /// once or is the last that is left, so that a close costs no more than what it has to wait for.
    pub(super) fn closing_message_settled(&mut self, shared: &mut Shared, now: Instant) {
        let Phase::Closing(Closing { stage: Stage::Handlers { busy }, .. }) = &mut self.phase else { return };
        while let Some((id, offset)) = busy.last() {
            let cached = self.owned.get(*id).and_then(|owned| owned.cache.get(*offset));
            if cached.is_some_and(|cached| is_busy(cached.fate)) {
                return;
            }
            busy.pop();
        }
        self.commit_and_leave(shared, now);
    }

    pub(super) fn handlers_waited_long_enough(&mut self, shared: &mut Shared, now: Instant) {
        if let Phase::Closing(Closing { stage: Stage::Handlers { .. }, .. }) = &self.phase {
            self.commit_and_leave(shared, now);
        }
    }

    fn commit_and_leave(&mut self, shared: &mut Shared, now: Instant) {
        self.end_handlers(shared);
        let ids: Vec<ProcessQueueId> = self.owned.iter().map(|(id, _)| id).collect();
        ids.into_iter().for_each(|id| self.believe_reset(id));
        self.offsets.last_round();
        self.commit_all(shared, now);
        self.leave_when_committed(shared, now);
    }

    /// The host learns that handlers are waited for no more.
    fn end_handlers(&mut self, shared: &mut Shared) {
        if let Phase::Closing(closing) = &mut self.phase
            && let Stage::Handlers { .. } = closing.stage
        {
            closing.stage = Stage::Commits { failed: BTreeSet::new() };
            shared.outputs.push_back(Output::ConsumerClosed { consumer: self.id });
        }
    }

    /// A commit of a closing consumer has ended; an older one may leave a newer to be made.
    pub(super) fn closing_commit_ended(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        queue: &Arc<MessageQueue>,
        ok: bool,
    ) {
        let Phase::Closing(Closing { stage: Stage::Commits { failed }, .. }) = &mut self.phase else {
            return;
        };
        if ok {
            if !failed.contains(queue) {
                self.commit(shared, now, queue);
            }
        } else {
            failed.insert(queue.clone());
        }
        self.leave_when_committed(shared, now);
    }

    fn leave_when_committed(&mut self, shared: &mut Shared, now: Instant) {
        if self.offsets.committing() {
            return;
        }
        let Phase::Closing(closing) = &mut self.phase else { return };
        let known: BTreeSet<Arc<str>> =
            shared.routes.brokers().map(|(_, _, address)| address.clone()).collect();
        let open: BTreeSet<Arc<str>> =
            known.into_iter().filter(|address| shared.channels.is_open(address)).collect();
        closing.stage = Stage::Leaving { waiting: open.clone() };
        let deadline = closing.deadline;
        let header = UnregisterClientRequestHeader {
            client_id: shared.client_id.to_string().into(),
            consumer_group: Some((&*self.config.group).into()),
            ..UnregisterClientRequestHeader::default()
        };
        for address in &open {
            shared.heartbeats.leaves(address, &self.config.group);
            let purpose = self.purpose(ConsumerRequest::Unregister(address.clone()));
            shared.request(now, address, &header, Bytes::new(), deadline, purpose);
        }
        if open.is_empty() {
            self.finish_close(shared);
        }
    }

    /// A broker has been told, or can't be.
    pub(super) fn handle_unregistered(&mut self, shared: &mut Shared, address: &Arc<str>) {
        let Phase::Closing(Closing { stage: Stage::Leaving { waiting }, .. }) = &mut self.phase else {
            return;
        };
        waiting.remove(address);
        if waiting.is_empty() {
            self.finish_close(shared);
        }
    }

    /// The end: whoever waits hears the report.
    pub(super) fn finish_close(&mut self, shared: &mut Shared) {
        self.end_handlers(shared);
        let Phase::Closing(closing) = core::mem::replace(&mut self.phase, Phase::Closed) else { return };
        closing
            .timers
            .into_iter()
            .chain(self.first_commit_timer.take())
            .for_each(|timer| shared.cancel(timer));
        self.count_unsettled();
        (self.report.queues_committed, self.report.queues_uncommitted) =
            self.offsets.settled_count(|queue| queue.topic != self.retry_topic);
        tracing::debug!(group = %self.config.group, report = ?self.report, "consumer closed");
        for operation in closing.operations {
            shared.complete(operation, Outcome::ConsumerClosed(self.report.clone()));
        }
    }

    /// Only now: until here the host may hand back what no handler has begun.
    fn count_unsettled(&mut self) {
        for (_, owned) in self.owned.iter() {
            let count = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
            self.report.handed_back += count(owned.count(|fate| fate == Fate::HandedBack));
            self.report.abandoned += count(owned.count(|fate| fate != Fate::HandedBack));
        }
    }
}

/// Whether a close waits for a message.
fn is_busy(fate: Fate) -> bool {
    matches!(fate, Fate::InHand | Fate::SendingBack(_))
}
