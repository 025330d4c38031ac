//! [`PushConsumer`]: fetches the queues that are its own, hands messages out, and commits what was
//! settled.
//!
//! ```text
//!  routes ──► heartbeats ──► rebalance ──► start offset ──► pull ──► deliver ──► settle ──► commit
//!                               ▲   │                        ▲  │                  │
//!   members, routes, brokers ───┘   └─► revoke               └──┘ room      send back, retry topic
//! ```
//!
//! Java: `DefaultMQPushConsumerImpl` with `ConsumeMessageConcurrentlyService`. Everything waits for
//! an event, not for a tick: a settlement that makes room starts the next pull, a broker that is back
//! is pulled from at once.

mod bad_answer;
mod blame;
mod close;
mod gate;
mod introspect;
mod look_again;
mod offset_moved;
mod offsets;
mod overdue;
mod place;
mod pull;
mod queue;
mod rebalance;
mod refused;
mod reset;
mod restart;
mod send_back;
mod settle;
mod start;
mod start_offset;
mod subscription;
mod suspend;
mod take;
mod taken;
#[cfg(test)]
mod tests;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{CloseReport, ConsumerRequest, ConsumerTimer, FlowControl, OffsetStore, TopicStatistics};
use crate::channel::Reply;
use crate::config::PushConsumerConfig;
use crate::error::UsageError;
use crate::id::{Arena, ConsumerId, OperationId, ProcessQueueId};
use crate::message::{MessageQueue, names};
use crate::remoting::{ConsumerData, SubscriptionData};
use crate::shared::{Purpose, Shared, TimerKey};
use crate::time::{Instant, Timestamp};
use crate::timer::TimerId;

use close::Closing;
use gate::Gates;
use queue::OwnedQueue;
use rebalance::Rounds;
use restart::Moves;
use start::{MissingRoutes, Starting};

pub use crate::output::{BadAnswer, Pause};
pub use introspect::QueueView;
pub use queue::Fetch;

/// A member of a consumer group. Java: `DefaultMQPushConsumer`.
#[derive(Clone, Debug)]
pub struct PushConsumer {
    id: ConsumerId,
    config: Arc<PushConsumerConfig>,
    retry_topic: Arc<str>,
    subscriptions: BTreeMap<Arc<str>, SubscriptionData>,
    flow: FlowControl,
    phase: Phase,
    missing: MissingRoutes,
    /// Brokers that know of this member, and since when.
    registered: BTreeMap<Arc<str>, Instant>,
    rounds: Rounds,
    owned: Arena<ProcessQueueId, OwnedQueue>,
    by_queue: BTreeMap<Arc<MessageQueue>, ProcessQueueId>,
    moves: Moves,
    offsets: OffsetStore,
    persist_timer: Option<TimerId>,
    /// Armed while commits wait for another's.
    first_commit_timer: Option<TimerId>,
    /// Brokers that refuse commits: since when, and with what words.
    commits_refused: BTreeMap<Arc<str>, (Instant, Arc<str>)>,
    /// Rounds of commits so far.
    persist_rounds: u32,
    report: CloseReport,
    late: u64,
    suspended: bool,
    gates: Gates,
    /// Armed while user code has messages.
    overdue_timer: Option<TimerId>,
    /// Bytes that are cached of all queues.
    cached_bytes: usize,
    /// In the order of `subscriptions`.
    statistics: Vec<TopicStatistics>,
}

#[derive(Clone, Debug)]
enum Phase {
    Starting(Starting),
    Running,
    Closing(Closing),
    Closed,
}

impl PushConsumer {
    /// A consumer that has not begun; `operation` hears of its start.
    ///
    /// # Errors
    /// [`UsageError::Expression`] for a subscription that is no filter.
    pub fn new(
        id: ConsumerId,
        config: Arc<PushConsumerConfig>,
        operation: OperationId,
        wall: Timestamp,
    ) -> Result<Self, UsageError> {
        let retry_topic: Arc<str> = names::retry_topic(&config.group).into();
        let subscriptions = subscription::all(&config, &retry_topic, wall)?;
        Ok(Self {
            id,
            flow: FlowControl::new(&config),
            config,
            retry_topic,
            statistics: subscriptions.values().map(|_| TopicStatistics::default()).collect(),
            subscriptions,
            phase: Phase::Starting(Starting::new(operation)),
            missing: MissingRoutes::default(),
            registered: BTreeMap::new(),
            rounds: Rounds::default(),
            owned: Arena::default(),
            by_queue: BTreeMap::new(),
            moves: Moves::default(),
            offsets: OffsetStore::default(),
            persist_timer: None,
            first_commit_timer: None,
            commits_refused: BTreeMap::new(),
            persist_rounds: 0,
            report: CloseReport::default(),
            late: 0,
            suspended: false,
            gates: Gates::default(),
            overdue_timer: None,
            cached_bytes: 0,
        })
    }

    /// What a request of this consumer brought.
    pub fn handle_reply(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        request: ConsumerRequest,
        reply: Reply,
    ) {
        match request {
            ConsumerRequest::Members { topic, round } => {
                self.handle_members(shared, now, &topic, round, reply)
            }
            ConsumerRequest::StoredOffset(queue) => self.handle_stored_offset(shared, now, queue, reply),
            ConsumerRequest::StartOffset(queue) => self.handle_start_offset(shared, now, queue, reply),
            ConsumerRequest::Place(queue) => self.handle_place(shared, now, queue, reply),
            ConsumerRequest::Pull { queue } => self.handle_pulled(shared, now, queue, reply),
            ConsumerRequest::SendBack { queue, queue_offset } => {
                let queue = self.stay_of(queue, queue_offset);
                self.handle_sent_back(shared, now, queue, queue_offset, reply);
            }
            ConsumerRequest::SendRetry { queue, queue_offset } => {
                let queue = self.stay_of(queue, queue_offset);
                self.handle_sent_retry(shared, now, queue, queue_offset, reply);
            }
            ConsumerRequest::Commit { queue, offset } => {
                self.handle_committed(shared, now, &queue, offset, reply)
            }
            ConsumerRequest::Unregister(address) => self.handle_unregistered(shared, &address),
        }
    }

    /// A timer of this consumer is due.
    pub fn handle_timer(&mut self, shared: &mut Shared, now: Instant, timer: ConsumerTimer) {
        match timer {
            ConsumerTimer::Rebalance => self.begin_round(shared, now),
            ConsumerTimer::PersistOffsets => self.persist_offsets(shared, now),
            ConsumerTimer::FirstCommit => self.first_commit_waited_for(shared, now),
            ConsumerTimer::Routes => self.look_for_routes(shared, now),
            ConsumerTimer::Refused => self.open_gates(shared, now),
            ConsumerTimer::Fetch(queue) => self.pause_is_over(shared, now, queue),
            ConsumerTimer::Reoffer { queue, queue_offset } => {
                let queue = self.stay_of(queue, queue_offset);
                self.reoffer(shared, now, queue, queue_offset);
            }
            ConsumerTimer::ConsumeTimeout => self.look_for_overdue(shared, now),
            ConsumerTimer::StartPatience => self.start_waited_long_enough(shared),
            ConsumerTimer::CloseHandlers => self.handlers_waited_long_enough(shared, now),
            ConsumerTimer::Close => self.finish_close(shared),
        }
    }

    /// Its settings.
    #[must_use]
    pub fn config(&self) -> &PushConsumerConfig {
        &self.config
    }

    /// The topics it subscribes to, its retry topic among them.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.subscriptions.keys()
    }

    /// Whether `topic` is one of them.
    #[must_use]
    pub fn subscribes_to(&self, topic: &str) -> bool {
        self.subscriptions.contains_key(topic)
    }

    /// What brokers are told of it.
    #[must_use]
    pub fn heartbeat_data(&self) -> ConsumerData {
        subscription::consumer_data(&self.config, self.subscriptions.values())
    }

    /// Whether it is being closed, or was.
    #[must_use]
    pub fn is_closing(&self) -> bool {
        matches!(self.phase, Phase::Closing(_) | Phase::Closed)
    }

    /// Whether it has come to its end and can be forgotten.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    fn purpose(&self, request: ConsumerRequest) -> Purpose {
        Purpose::Consumer(self.id, request)
    }

    fn timer(&self, timer: ConsumerTimer) -> TimerKey {
        TimerKey::Consumer(self.id, timer)
    }
}
