//! [`Consumers`]: all consumers of a client, and which of them an event is for.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{CloseReport, ConsumeToken, ConsumerRequest, ConsumerTimer, PushConsumer, Settled};
use crate::channel::Reply;
use crate::config::PushConsumerConfig;
use crate::error::{Error, UsageError};
use crate::id::{ConsumerId, OperationId};
use crate::output::{Outcome, Output};
use crate::remoting::ConsumerData;
use crate::route::RouteOutcome;
use crate::shared::Shared;
use crate::time::Instant;

/// The consumers of a client, by their ids. Java: `MQClientInstance#consumerTable`.
#[derive(Clone, Debug, Default)]
pub struct Consumers {
    push: BTreeMap<ConsumerId, PushConsumer>,
}

impl Consumers {
    /// Starts a consumer; `operation` hears when it is registered and its queues were divided, or
    /// what is wrong with `config`.
    pub fn start(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        operation: OperationId,
        id: ConsumerId,
        config: Arc<PushConsumerConfig>,
    ) {
        let result = if self.push.values().any(|consumer| consumer.config().group == config.group) {
            Err(UsageError::DuplicateGroup { group: config.group.clone() })
        } else {
            PushConsumer::new(id, config, operation, shared.clock.timestamp(now))
        };
        match result {
            Ok(mut consumer) => {
                consumer.handle_start(shared, now);
                self.push.insert(id, consumer);
            }
            Err(error) => {
                shared.outputs.push_back(Output::ConsumerClosed { consumer: id });
                shared.complete(operation, Outcome::Failed(Error::Usage(error)));
            }
        }
    }

    /// Whoever waits for a start waits in vain.
    pub(crate) fn fail_starts(&mut self, shared: &mut Shared) {
        self.push.values_mut().for_each(|consumer| consumer.fail_start(shared));
    }

    /// Closes a consumer by the deadline; who asked hears its report.
    pub fn close(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ConsumerId,
        (operation, deadline): (Option<OperationId>, Instant),
    ) {
        match self.push.get_mut(&id) {
            Some(consumer) => consumer.begin_close(shared, now, operation, deadline),
            None => {
                if let Some(operation) = operation {
                    shared.complete(operation, Outcome::ConsumerClosed(CloseReport::default()));
                }
            }
        }
        self.forget_closed();
    }

    /// Closes every consumer by the deadline.
    pub fn close_all(&mut self, shared: &mut Shared, now: Instant, deadline: Instant) {
        for consumer in self.push.values_mut() {
            consumer.begin_close(shared, now, None, deadline);
        }
        self.forget_closed();
    }

    /// Ends every consumer now, with whatever is left undone.
    pub fn abandon_all(&mut self, shared: &mut Shared, now: Instant) {
        self.close_all(shared, now, now);
        for consumer in self.push.values_mut() {
            consumer.handle_timer(shared, now, ConsumerTimer::Close);
        }
        self.forget_closed();
    }

    /// What brokers are told of the groups.
    pub fn heartbeat_data(&self) -> Vec<ConsumerData> {
        self.push
            .values()
            .filter(|consumer| !consumer.is_closing())
            .map(PushConsumer::heartbeat_data)
            .collect()
    }

    /// The topics that are subscribed to.
    pub fn topics(&self) -> impl Iterator<Item = &Arc<str>> {
        self.push.values().flat_map(PushConsumer::topics)
    }

    /// Whether a consumer subscribes to `topic`.
    #[must_use]
    pub fn uses(&self, topic: &str) -> bool {
        self.push.values().any(|consumer| consumer.subscribes_to(topic))
    }

    /// Whether a consumer of this group is there that means to stay.
    pub(crate) fn has_group(&self, group: &str) -> bool {
        self.push.values().any(|consumer| !consumer.is_closing() && *consumer.config().group == *group)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.push.is_empty()
    }

    /// The consumers, by id.
    pub fn iter(&self) -> impl Iterator<Item = &PushConsumer> {
        self.push.values()
    }

    /// One consumer.
    #[must_use]
    pub fn get(&self, id: ConsumerId) -> Option<&PushConsumer> {
        self.push.get(&id)
    }

    /// A look-up of a route has ended.
    pub fn handle_route(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        topic: &Arc<str>,
        outcome: &RouteOutcome,
    ) {
        self.each(|consumer| consumer.handle_route(shared, now, topic, outcome));
    }

    /// A broker has heard of this client's groups, of the consumers up to `newest`.
    pub fn handle_broker_connected(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        address: &Arc<str>,
        newest: Option<ConsumerId>,
    ) {
        for (_, consumer) in self.push.iter_mut().filter(|(id, _)| Some(**id) <= newest) {
            consumer.handle_broker_connected(shared, now, address);
        }
        self.forget_closed();
    }

    /// The consumer that was started last, of those there are.
    #[must_use]
    pub fn newest(&self) -> Option<ConsumerId> {
        self.push.keys().next_back().copied()
    }

    /// A connection ended or could not be opened. Tells the topics of the groups that the broker knew.
    pub fn handle_broker_lost(&mut self, address: &Arc<str>) -> Vec<Arc<str>> {
        let mut topics = Vec::new();
        self.each(|consumer| {
            if consumer.handle_broker_lost(address) {
                topics.extend(consumer.topics().cloned());
            }
        });
        topics
    }

    /// Whether a consumer that means to stay is known to no broker.
    pub(crate) fn is_one_unknown(&self) -> bool {
        self.push.values().any(|consumer| !consumer.is_closing() && !consumer.is_registered())
    }

    /// A broker says that the members of `group` have changed.
    pub fn handle_members_changed(&mut self, shared: &mut Shared, now: Instant, group: &str) {
        self.each(|consumer| {
            if &*consumer.config().group == group {
                consumer.handle_members_changed(shared, now);
            }
        });
    }

    /// A request has ended.
    pub fn handle_reply(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        id: ConsumerId,
        request: ConsumerRequest,
        reply: Reply,
    ) {
        if let Some(consumer) = self.push.get_mut(&id) {
            consumer.handle_reply(shared, now, request, reply);
        }
        self.forget_closed();
    }

    /// A timer is due.
    pub fn handle_timer(&mut self, shared: &mut Shared, now: Instant, id: ConsumerId, timer: ConsumerTimer) {
        if let Some(consumer) = self.push.get_mut(&id) {
            consumer.handle_timer(shared, now, timer);
        }
        self.forget_closed();
    }

    /// User code has finished with deliveries.
    pub fn handle_settled(&mut self, shared: &mut Shared, now: Instant, answers: &[Settled]) {
        for answers in answers.chunk_by(|one, other| one.token.consumer == other.token.consumer) {
            let consumer = answers.first().and_then(|first| self.push.get_mut(&first.token.consumer));
            if let Some(consumer) = consumer {
                consumer.handle_settled(shared, now, answers);
            }
        }
        self.forget_closed();
    }

    /// Handlers were called with these messages.
    pub fn handle_begun(&mut self, tokens: &[(ConsumeToken, Option<Instant>)]) {
        let same = tokens.chunk_by(|(one, _), (other, _)| one.consumer == other.consumer);
        for tokens in same {
            let consumer = tokens.first().and_then(|(token, _)| self.push.get_mut(&token.consumer));
            if let Some(consumer) = consumer {
                consumer.handle_begun(tokens);
            }
        }
    }

    /// Lets a consumer fetch nothing for now, or go on; `operation` hears when that is so.
    pub fn suspend(
        &mut self,
        shared: &mut Shared,
        now: Instant,
        operation: OperationId,
        id: ConsumerId,
        suspended: bool,
    ) {
        let outcome = match self.push.get_mut(&id) {
            Some(consumer) if suspended => {
                consumer.suspend(shared);
                Outcome::Done
            }
            Some(consumer) => {
                consumer.resume(shared, now);
                Outcome::Done
            }
            None => Outcome::Failed(Error::Closed),
        };
        shared.complete(operation, outcome);
    }

    /// Tells how a consumer is and what it has done.
    pub fn inspect(&self, shared: &mut Shared, now: Instant, operation: OperationId, id: ConsumerId) {
        let outcome = match self.push.get(&id) {
            Some(consumer) => {
                Outcome::Inspected(Box::new((consumer.health(shared, now), consumer.statistics())))
            }
            None => Outcome::Failed(Error::Closed),
        };
        shared.complete(operation, outcome);
    }

    /// A delivery comes back that no handler began.
    pub fn handle_handed_back(&mut self, shared: &mut Shared, now: Instant, token: ConsumeToken) {
        if let Some(consumer) = self.push.get_mut(&token.consumer) {
            consumer.handle_handed_back(shared, now, token);
        }
        self.forget_closed();
    }

    pub(super) fn each(&mut self, mut tell: impl FnMut(&mut PushConsumer)) {
        self.push.values_mut().for_each(&mut tell);
        self.forget_closed();
    }

    fn forget_closed(&mut self) {
        self.push.retain(|_, consumer| !consumer.is_closed());
    }
}
