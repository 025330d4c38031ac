//! Sees what goes into a core and what comes out: for the trace and for the properties.

use rocketmq_client_core::client::{Input, Output};
use rocketmq_client_core::driver::{Start, Tap};
use rocketmq_client_core::time::Instant;

use crate::executor::NodeId;
use crate::fault::FaultKind;
use crate::hashed::hash_output;
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
