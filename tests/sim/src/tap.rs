//! Sees what goes into a core and what comes out: for the trace and for the properties.

use rocketmq_client_core::client::{Input, Outcome, Output};
use rocketmq_client_core::driver::{Start, Tap};
use rocketmq_client_core::id::GenerationalId;
use rocketmq_client_core::time::Instant;

use crate::executor::NodeId;
use crate::fault::FaultKind;
use crate::trace::TraceHash;
use crate::world::SharedWorld;

pub(crate) struct SimTap {
    world: SharedWorld,
    node: NodeId,
}

impl SimTap {
    pub(crate) fn new(world: SharedWorld, node: NodeId) -> Self {
        Self { world, node }
    }
}

impl Tap for SimTap {
    fn start(&mut self, start: &Start<'_>) {
        let mut world = self.world.lock();
        world.trace.event(start.now, "start", self.node.0, &start.seed.to_le_bytes());
        world.monitor.client_started(self.node, start.config);
    }

    fn input(&mut self, now: Instant, input: &Input) {
        let mut world = self.world.lock();
        world.trace.event(now, "input", self.node.0, &[]);
        if matches!(input, Input::WallClock(_)) {
            world.network.effects.count(FaultKind::WallClockJump);
        }
        world.monitor.core_input(now, self.node, input);
    }

    fn output(&mut self, now: Instant, output: &Output) {
        let mut guard = self.world.lock();
        let world = &mut *guard;
        hash_output(&mut world.trace.hash, output);
        if !matches!(output, Output::Wait(_) | Output::Transmit { .. } | Output::Deliver { .. }) {
            world.trace.note(now, || format!("node {} wants {output:?}", self.node.0));
        }
        world.monitor.core_output(now, self.node, output);
    }
}

fn hash_id(hash: &mut TraceHash, kind: u64, id: impl GenerationalId) {
    hash.word(kind);
    hash.word(u64::from(id.index()) << 32 | u64::from(id.generation()));
}

/// Every output in full, written out field by field since formatting costs more than the rest.
fn hash_output(hash: &mut TraceHash, output: &Output) {
    match output {
        Output::Resolve { token, host, port } => {
            hash.word(1);
            hash.word(u64::from(token.0) << 16 | u64::from(*port));
            hash.bytes(host.as_bytes());
        }
        Output::Connect { channel, address, endpoint } => {
            hash_id(hash, 2, *channel);
            hash.bytes(format!("{endpoint:?}").as_bytes());
            hash.bytes(address.to_string().as_bytes());
        }
        Output::Transmit { channel, chunks } => {
            hash_id(hash, 3, *channel);
            for chunk in chunks {
                hash.bytes(chunk);
            }
        }
        Output::Close { channel, flush } => {
            hash_id(hash, 4, *channel);
            hash.word(u64::from(*flush));
        }
        Output::Complete { operation, outcome } => {
            hash_id(hash, 5, *operation);
            hash_outcome(hash, outcome);
        }
        Output::Deliver { consumer, deliveries } => {
            hash.word(6);
            hash.word(u64::from(consumer.0));
            for delivery in deliveries {
                hash_id(hash, 0, delivery.token.queue);
                hash.word(delivery.token.queue_offset.cast_unsigned());
                if let Ok(message) = delivery.message.decode() {
                    hash.bytes(message.raw_body());
                    hash.bytes(message.properties_text().as_bytes());
                }
            }
        }
        Output::Revoke { consumer, queue } => {
            hash_id(hash, 7, *queue);
            hash.word(u64::from(consumer.0));
        }
        Output::ConsumerClosing { consumer } => {
            hash.word(12);
            hash.word(u64::from(consumer.0));
        }
        Output::ConsumerClosed { consumer } => {
            hash.word(8);
            hash.word(u64::from(consumer.0));
        }
        Output::Ask { token, owner, question } => {
            hash_id(hash, 10, *token);
            hash.bytes(format!("{owner:?} {question:?}").as_bytes());
        }
        Output::ProducerClosed { producer } => {
            hash.word(11);
            hash.word(u64::from(producer.0));
        }
        Output::Wait(deadline) => {
            hash.word(9);
            hash.word(deadline.as_nanos());
        }
    }
}

fn hash_outcome(hash: &mut TraceHash, outcome: &Outcome) {
    match outcome {
        Outcome::Sent(receipt) => {
            hash.bytes(receipt.message_id.to_string().as_bytes());
            hash.bytes(receipt.offset_message_id.as_bytes());
            hash.word(receipt.queue_offset.cast_unsigned());
        }
        other => hash.bytes(format!("{other:?}").as_bytes()),
    }
}
