//! Producers: their settings, their queues, and the sends under way.
//!
//! ```text
//!            route known                 answer: stored
//!   (new) ─────────────► Sending ───────────────────────────► done
//!     │  unknown         │ │ ▲  failed, attempts and time left
//!     ▼                  │ ▼ │  another broker: at once; the same one: after a pause
//!   Routing ─ no route ► │ (over) Pausing
//!                        ▼ user code chooses the queue
//!                      Asking ─ a queue ► Sending
//! ```
//!
//! One deadline covers the look-up of the route and all attempts. Java: `DefaultMQProducerImpl`.

mod batch;
mod command;
mod publish_info;
pub(crate) mod queue_choice;
mod request;
mod retry;
mod send;
mod warm_up;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::config::ProducerConfig;
use crate::id::{Arena, OperationId, ProducerId, SendId};
use crate::latency::LatencyFaultTolerance;
use crate::output::Output;
use crate::route::Routes;
use crate::shared::{Purpose, Shared, TimerKey};
use crate::time::Instant;
use crate::timer::TimerId;

pub use crate::output::{BatchReceipt, BatchReceipts, SendReceipt, SendStatus};
pub use batch::BatchOrder;
pub use command::ProducerCommand;
pub use publish_info::TopicPublishInfo;
pub use send::{SendKind, SendOrder};

use send::OpenSend;
use warm_up::WarmUp;

/// All producers of a client.
#[derive(Clone, Debug, Default)]
pub struct Producers {
    table: BTreeMap<ProducerId, Producer>,
    sends: Arena<SendId, OpenSend>,
    routing: BTreeMap<Arc<str>, Vec<SendId>>,
    warm_ups: BTreeMap<OperationId, WarmUp>,
}

/// One producer.
#[derive(Clone, Debug)]
struct Producer {
    config: Arc<ProducerConfig>,
    topics: BTreeMap<Arc<str>, TopicPublishInfo>,
    faults: LatencyFaultTolerance,
    under_way: usize,
    closing: Option<Closing>,
}

/// A producer that is being closed.
#[derive(Clone, Debug)]
struct Closing {
    operations: Vec<OperationId>,
    deadline: Instant,
    timer: TimerId,
}

impl Producers {
    /// A producer exists from now on.
    pub fn create(&mut self, producer: ProducerId, config: Arc<ProducerConfig>) {
        let producer_state = Producer {
            config,
            topics: BTreeMap::new(),
            faults: LatencyFaultTolerance::default(),
            under_way: 0,
            closing: None,
        };
        self.table.insert(producer, producer_state);
    }

    /// The groups, for heartbeats.
    pub fn groups(&self) -> impl Iterator<Item = &Arc<str>> {
        self.table.values().map(|producer| &producer.config.group)
    }

    /// The topics whose routes are to be kept fresh.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.table.values().flat_map(|producer| producer.topics.keys())
    }

    /// Whether a producer sends to `topic`.
    #[must_use]
    pub fn uses(&self, topic: &str) -> bool {
        self.routing.contains_key(topic)
            || self.warms_up(topic)
            || self.table.values().any(|one| one.topics.contains_key(topic))
    }

    /// Every producer that has not sent to `topic` for longer than `unused_time_max` forgets it, unless a send
    /// to it is under way.
    pub(crate) fn forget_unused(&mut self, now: Instant, topic: &str, unused_time_max: Duration) {
        let sends = &self.sends;
        for (id, producer) in &mut self.table {
            let Some(info) = producer.topics.get(topic) else { continue };
            let unused = now.saturating_since(info.used()) > unused_time_max;
            if unused && !sends.iter().any(|(_, send)| send.producer() == *id && send.is_to(topic)) {
                producer.topics.remove(topic);
            }
        }
    }

    /// Forgets how brokers did that no route names.
    pub(crate) fn forget_faults(&mut self, routes: &Routes) {
        for producer in self.table.values_mut() {
            producer.faults.retain(|broker| routes.names(broker));
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.table.is_empty()
    }

    /// Sends under way, over all producers.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.sends.len()
    }

    /// Lets no more sends in; `operation` is completed when those under way have ended, at the latest at
    /// `deadline`, when they are given up with what is known of them. A second call only adds who waits, and
    /// may shorten the time.
    pub fn close(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        producer: ProducerId,
        closing: (Option<OperationId>, Instant),
    ) {
        let (operation, deadline) = closing;
        let Some(state) = self.table.get_mut(&producer) else {
            return shared.complete_done(operation);
        };
        if let Some(closing) = &mut state.closing {
            closing.operations.extend(operation);
            if deadline < closing.deadline {
                shared.cancel(closing.timer);
                closing.timer = shared.arm(deadline, TimerKey::ProducerClose(producer));
                closing.deadline = deadline;
            }
            return;
        }
        let timer = shared.arm(deadline, TimerKey::ProducerClose(producer));
        state.closing = Some(Closing { operations: operation.into_iter().collect(), deadline, timer });
        if state.under_way == 0 {
            self.forget(shared, now, producer);
        }
    }

    /// As [`close`](Self::close), for all of them.
    pub fn close_all(&mut self, shared: &mut Shared, now: Instant, deadline: Instant) {
        let producers: Vec<ProducerId> = self.table.keys().copied().collect();
        for producer in producers {
            self.close(shared, now, producer, (None, deadline));
        }
    }

    /// Gives up every send under way with what is known of it, and forgets all producers. The connections go
    /// next: what waits for one to come up is certainly not sent.
    pub fn abandon_all(&mut self, shared: &mut Shared, now: Instant) {
        self.close_all(shared, now, now);
        let unsent: Vec<SendId> = shared.channels.unconnected().filter_map(Purpose::send).collect();
        unsent.into_iter().for_each(|id| self.not_sent(id));
        let producers: Vec<ProducerId> = self.table.keys().copied().collect();
        for producer in producers {
            self.handle_close_timeout(shared, now, producer);
        }
    }

    /// The time that a closing producer gave its sends is over.
    pub fn handle_close_timeout(&mut self, shared: &mut Shared, now: Instant, producer: ProducerId) {
        let left: Vec<SendId> =
            self.sends.iter().filter(|(_, send)| send.producer() == producer).map(|(id, _)| id).collect();
        for id in left {
            self.give_up(shared, now, id, crate::error::Cause::Closing);
        }
    }

    fn forget(&mut self, shared: &mut Shared, now: Instant, producer: ProducerId) {
        let Some(state) = self.table.remove(&producer) else { return };
        self.end_warm_ups(shared, producer);
        let group = &state.config.group;
        if !self.table.values().any(|other| other.config.group == *group) {
            shared.unregister_producer(now, group);
        }
        tracing::debug!(%group, "producer closed");
        shared.outputs.push_back(Output::ProducerClosed { producer });
        let Some(closing) = state.closing else { return };
        shared.cancel(closing.timer);
        for operation in closing.operations {
            shared.complete_done(Some(operation));
        }
    }
}
