//! P24: how much of what was fetched is with user code. The core may have more, what is on its way back to a
//! broker, but never less: so what holds for the core's own count holds for this one, too.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use rocketmq_client_core::client::{ClientCommand, Command, Input, Output};
use rocketmq_client_core::config::PushConsumerConfig;
use rocketmq_client_core::consumer::{ConsumeToken, ConsumerCommand, Delivery};
use rocketmq_client_core::id::{ConsumerId, ProcessQueueId};
use rocketmq_client_core::time::Instant;

use super::{Property, Verdicts};
use crate::bound::{Bound, Bounds};
use crate::executor::NodeId;

/// Every consumer that is not closing.
#[derive(Debug, Default)]
pub(super) struct Cached {
    consumers: BTreeMap<(NodeId, ConsumerId), Consumer>,
}

#[derive(Debug)]
struct Consumer {
    config: Arc<PushConsumerConfig>,
    queues: BTreeMap<ProcessQueueId, Queue>,
    /// Queues that have brought something since the bytes of all passed their bound.
    since_over: BTreeSet<ProcessQueueId>,
}

#[derive(Debug, Default)]
struct Queue {
    messages: BTreeMap<i64, Message>,
    bytes: usize,
}

#[derive(Debug)]
struct Message {
    bytes: usize,
    begun: Option<Instant>,
}

impl Cached {
    pub(super) fn input(&mut self, bounds: &mut Bounds, now: Instant, node: NodeId, input: &Input) {
        match input {
            Input::Command(Command::Consumer(consumer, ConsumerCommand::Start { config, .. })) => {
                let (config, queues, since_over) = (config.clone(), BTreeMap::new(), BTreeSet::new());
                self.consumers.insert((node, *consumer), Consumer { config, queues, since_over });
            }
            Input::Command(Command::Consumer(consumer, ConsumerCommand::Close { .. })) => {
                self.consumers.remove(&(node, *consumer));
            }
            Input::Command(Command::Client(ClientCommand::Close { .. })) => self.forget(node),
            Input::Settled { answers } => {
                answers.iter().for_each(|answer| self.take(bounds, now, node, answer.token));
            }
            Input::HandedBack { token } => self.take(bounds, now, node, *token),
            Input::Begun { tokens } => tokens.iter().for_each(|(token, at)| self.begun(node, *token, *at)),
            _ => {}
        }
    }

    pub(super) fn output(
        &mut self,
        verdicts: &mut Verdicts,
        bounds: &mut Bounds,
        now: Instant,
        node: NodeId,
        output: &Output,
    ) {
        match output {
            Output::Deliver { consumer, deliveries } => {
                let Some(consumer) = self.consumers.get_mut(&(node, *consumer)) else { return };
                let Some(first) = deliveries.first() else { return };
                consumer.take_overdue(bounds, now);
                // What is offered again was there all the time.
                let fetched = first.token.hand_out == 0;
                if fetched {
                    consumer.check(verdicts, now, node, first.token.queue, deliveries.len());
                }
                consumer.put(first.token.queue, deliveries);
                if fetched {
                    consumer.count(bounds, first.token.queue, deliveries.len());
                }
            }
            Output::Revoke { consumer, queue } => {
                if let Some(consumer) = self.consumers.get_mut(&(node, *consumer)) {
                    consumer.queues.remove(queue);
                    consumer.made_room();
                }
            }
            _ => {}
        }
    }

    pub(super) fn forget(&mut self, node: NodeId) {
        self.consumers.retain(|(owner, _), _| *owner != node);
    }

    fn take(&mut self, bounds: &mut Bounds, now: Instant, node: NodeId, token: ConsumeToken) {
        if let Some(consumer) = self.consumers.get_mut(&(node, token.consumer)) {
            consumer.take_overdue(bounds, now);
            consumer.take(token.queue, token.queue_offset);
        }
    }

    fn begun(&mut self, node: NodeId, token: ConsumeToken, at: Option<Instant>) {
        let consumer = self.consumers.get_mut(&(node, token.consumer));
        let queue = consumer.and_then(|consumer| consumer.queues.get_mut(&token.queue));
        if let Some(message) = queue.and_then(|queue| queue.messages.get_mut(&token.queue_offset)) {
            message.begun = at;
        }
    }
}

impl Consumer {
    /// One pull was begun when no bound was passed, and nothing else has brought messages since.
    fn check(&self, verdicts: &mut Verdicts, now: Instant, node: NodeId, id: ProcessQueueId, brought: usize) {
        let config = &self.config;
        let none = Queue::default();
        let queue = self.queues.get(&id).unwrap_or(&none);
        // What queues share may have been the queue's alone when the pull began.
        let (count, bytes) = (self.count_max(1), self.bytes_max(1));
        let fits = queue.messages.len() <= count
            && queue.bytes <= bytes
            && queue.span() <= config.consume_concurrently_max_span
            && i32::try_from(brought).is_ok_and(|brought| brought <= config.pull_batch_size);
        verdicts.check(Property::CacheKeepsItsBounds, now, fits, || {
            format!(
                "node {}: a pull brought {brought} messages to {} of {} bytes and span {}, where {count}, {bytes} \
                 and {} are allowed and a pull of {}",
                node.0,
                queue.messages.len(),
                queue.bytes,
                queue.span(),
                config.consume_concurrently_max_span,
                config.pull_batch_size
            )
        });
        let first = !self.since_over.contains(&id);
        verdicts.check(Property::CacheKeepsItsBounds, now, first, || {
            let (total, max) = (self.bytes(), config.cached_bytes_max);
            format!("node {}: {id:?} brought messages again while {total} of {max} bytes were cached", node.0)
        });
    }

    /// Which bounds hold the queue back now.
    fn count(&self, bounds: &mut Bounds, id: ProcessQueueId, brought: usize) {
        let Some(queue) = self.queues.get(&id) else { return };
        let (config, queues) = (&self.config, self.queues.len());
        let (shared_count, shared_bytes) =
            (config.pull_threshold_for_topic.is_some(), config.pull_threshold_bytes_for_topic.is_some());
        let count = queue.messages.len() > self.count_max(queues);
        let bytes = queue.bytes > self.bytes_max(queues);
        let met = [
            (count && !shared_count, Bound::QueueCount),
            (count && shared_count, Bound::SharedCount),
            (bytes && !shared_bytes, Bound::QueueBytes),
            (bytes && shared_bytes, Bound::SharedBytes),
            (queue.span() > config.consume_concurrently_max_span, Bound::Span),
            (self.is_over(), Bound::TotalBytes),
            (i32::try_from(brought) == Ok(config.pull_batch_size), Bound::PullBatchSize),
        ];
        met.into_iter().filter(|(met, _)| *met).for_each(|(_, bound)| bounds.count(bound));
    }

    fn put(&mut self, id: ProcessQueueId, deliveries: &[Delivery]) {
        let queue = self.queues.entry(id).or_default();
        for delivery in deliveries {
            let record = delivery.message.decode();
            let bytes = record.map_or_else(|error| error.lost_bytes, |message| message.record_bytes());
            queue.messages.insert(delivery.token.queue_offset, Message { bytes, begun: None });
            queue.bytes += bytes;
        }
        if self.is_over() {
            self.since_over.insert(id);
        }
    }

    fn take(&mut self, id: ProcessQueueId, offset: i64) {
        let Some(queue) = self.queues.get_mut(&id) else { return };
        if let Some(message) = queue.messages.remove(&offset) {
            queue.bytes -= message.bytes;
            self.made_room();
        }
    }

    fn made_room(&mut self) {
        if !self.is_over() {
            self.since_over.clear();
        }
    }

    /// What handlers have had for too long is on its way back, whatever they still say.
    fn take_overdue(&mut self, bounds: &mut Bounds, now: Instant) {
        let timeout = self.config.consume_timeout;
        let is_overdue = |message: &Message| message.begun.is_some_and(|begun| begun + timeout <= now);
        let mut overdue = Vec::new();
        for (id, queue) in &self.queues {
            let messages = queue.messages.iter().filter(|(_, message)| is_overdue(message));
            overdue.extend(messages.map(|(offset, _)| (*id, *offset)));
        }
        for (id, offset) in overdue {
            bounds.count(Bound::ConsumeTimeout);
            self.take(id, offset);
        }
    }

    fn bytes(&self) -> usize {
        self.queues.values().map(|queue| queue.bytes).sum()
    }

    fn is_over(&self) -> bool {
        self.bytes() > self.config.cached_bytes_max
    }

    fn count_max(&self, queues: usize) -> usize {
        let share = |all: usize| (all / queues.max(1)).max(1);
        self.config.pull_threshold_for_topic.map_or(self.config.pull_threshold_for_queue, share)
    }

    fn bytes_max(&self, queues: usize) -> usize {
        let share = |all: usize| (all / queues.max(1)).max(1);
        self.config.pull_threshold_bytes_for_topic.map_or(self.config.pull_threshold_bytes_for_queue, share)
    }
}

impl Queue {
    fn span(&self) -> i64 {
        let ends = self.messages.first_key_value().zip(self.messages.last_key_value());
        ends.map_or(0, |((first, _), (last, _))| last - first)
    }
}
