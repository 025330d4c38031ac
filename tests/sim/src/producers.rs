//! The producing clients of a plan.

use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_core::driver::{Client, Operation, Producer};
use rocketmq_client_core::error::Result;
use rocketmq_client_core::message::Message;
use rocketmq_client_core::producer::SendReceipt;
use rocketmq_client_core::time::Instant;

use crate::executor::NodeId;
use crate::history::MessageNumber;
use crate::plan::{FaultItem, SendItem, SendWay};
use crate::properties::SendResult;
use crate::rngs::index_of;
use crate::scenario::{Stage, TOPIC};

/// Producers that a user makes at a time.
const PRODUCERS_COME: usize = 12;

/// One world in so many has its producers warm up.
const WARM_UP_EVERY: u64 = 3;
/// How often each of them does so.
const WARM_UPS: u32 = 5;

/// One of them.
#[derive(Debug)]
pub(crate) struct ProducerNode {
    pub(crate) node: NodeId,
    pub(crate) client: Client,
    pub(crate) producer: Producer,
}

impl Stage {
    pub(crate) fn new_producer(&self) -> ProducerNode {
        let settings = self.plan.settings.clone();
        let member =
            self.ctx.node_client(|builder| builder.configure(|config| self.configure_client(config)));
        let builder = member.client.producer("producers").configure(|config| {
            config.send_timeout = settings.send_timeout;
            config.retry_times = settings.retry_times;
            config.latency_fault_tolerance = settings.latency_fault_tolerance;
        });
        let producer = builder.build().expect("the settings of a producer work");
        ProducerNode { node: member.node, client: member.client, producer }
    }

    /// In some worlds producers look topics up now and then: the one that they send to, and new ones.
    pub(crate) fn warm_up_all(self: &Arc<Self>) {
        if !self.plan.seed.is_multiple_of(WARM_UP_EVERY) {
            return;
        }
        for index in 0..self.producers.len() {
            (0..WARM_UPS).for_each(|turn| self.ctx.spawn(self.clone().warm_up(index, turn)));
        }
    }

    async fn warm_up(self: Arc<Self>, index: usize, turn: u32) {
        self.sleep_until(self.plan.heal_at * turn / WARM_UPS).await;
        let (started, budget) = (self.ctx.now(), self.plan.settings.send_timeout);
        let result = self.producers[index].producer.warm_up([TOPIC, &format!("new-{turn}")]).await;
        let mut world = self.ctx.world.lock();
        let now = world.now;
        world.trace.note(now, || format!("producer {index} is warm: {result:?}"));
        world.monitor.warm_up_ended(now, now - started, budget);
    }

    /// Sends what the plan says, when it says so.
    pub(crate) async fn send(self: Arc<Self>, item: SendItem) {
        self.sleep_until(item.at).await;
        let message = self.message(item.message, item.tag, item.body_bytes);
        let producer = &self.producers[item.producer % self.producers.len()].producer;
        match item.way {
            SendWay::RoundRobin => {
                self.finish(item.message, producer.send(message)).await;
            }
            SendWay::Hashed(key) => {
                self.finish(item.message, producer.send_hashed(message, key.to_string())).await;
            }
            SendWay::Oneway => {
                let sent = producer.send_oneway(message).await;
                self.note(|| format!("m{} one-way: {sent:?}", item.message.0));
            }
            SendWay::Dropped => drop(producer.send(message)),
        }
        self.send_ended();
    }

    /// One client's user makes producers, a few milliseconds apart.
    pub(crate) async fn producers_come(&self, fault: &FaultItem) -> Vec<Producer> {
        let client = &self.producers[index_of(fault.target, self.producers.len())].client;
        let mut made = Vec::new();
        for number in 0..PRODUCERS_COME {
            let built = client.producer(format!("more-{}-{number}", fault.amount % 1_000)).build();
            made.push(built.expect("the settings of a producer work"));
            self.ctx.sleep(Duration::from_millis(1 + fault.amount % 40)).await;
        }
        self.ctx.world.lock().network.effects.count(fault.kind);
        made
    }

    /// Sends until a broker has it; false when none has by then.
    pub(crate) async fn probe(&self, index: usize, number: MessageNumber, within: Duration) -> bool {
        let deadline = self.ctx.now() + within;
        loop {
            let message = self.message(number, "TagA", 10);
            if self.finish(number, self.producers[index].producer.send(message)).await {
                return self.ctx.now() <= deadline;
            }
            if self.ctx.now() >= deadline {
                return false;
            }
            self.ctx.sleep(Duration::from_millis(100)).await;
        }
    }

    async fn finish(&self, message: MessageNumber, operation: Operation<SendReceipt>) -> bool {
        self.finish_with(message, self.ctx.now(), operation).await.is_ok()
    }

    /// Waits for a send that was called for at `started`, and has its result looked at.
    pub(crate) async fn finish_with(
        &self,
        message: MessageNumber,
        started: Instant,
        operation: Operation<SendReceipt>,
    ) -> Result<SendReceipt> {
        let result = operation.await;
        let budget = self.plan.settings.send_timeout;
        let mut world = self.ctx.world.lock();
        let now = world.now;
        world.trace.note(now, || format!("m{}: {result:?}", message.0));
        let sent = SendResult { message, elapsed: now - started, budget, result };
        world.monitor.send_ended(now, &sent);
        sent.result
    }

    pub(crate) fn message(&self, number: MessageNumber, tag: &str, body_bytes: usize) -> Message {
        let body = vec![b'x'; body_bytes.max(1)];
        Message::new(TOPIC, body).tag(tag).key(number.key())
    }
}
