//! The loop of a world: let every task run that can, then let time pass until the next event.

use std::sync::{Arc, Mutex, PoisonError};
use std::task::Waker;

use rocketmq_client_core::time::Instant;

use crate::executor::{Executor, NodeId, Spawner};
use crate::properties::Violation;
use crate::world::{SharedWorld, World};

/// Why a world came to its end.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum End<T> {
    /// The program of the world ended.
    Finished(T),
    /// A property does not hold.
    Violated(Violation),
    /// Nothing can happen any more, but the program waits.
    Stuck,
    /// The program was still running then.
    OutOfTime,
}

/// A world and the futures in it.
pub(crate) struct Simulation {
    pub(crate) world: SharedWorld,
    executor: Executor,
    wakers: Vec<Waker>,
}

/// The node of the program itself.
const PROGRAM: NodeId = NodeId(0);

impl Simulation {
    pub(crate) fn new(world: World) -> Self {
        Self { world: SharedWorld::new(world), executor: Executor::default(), wakers: Vec::new() }
    }

    pub(crate) fn spawner(&self) -> Spawner {
        self.executor.spawner(PROGRAM)
    }

    /// Runs `program` until it ends, a property fails, or it is `until`.
    pub(crate) fn run<T: Send + 'static>(
        &mut self,
        until: Instant,
        program: impl Future<Output = T> + Send + 'static,
    ) -> End<T> {
        let result = Arc::new(Mutex::new(None));
        let slot = result.clone();
        self.spawner().run(async move {
            let value = program.await;
            *slot.lock().unwrap_or_else(PoisonError::into_inner) = Some(value);
        });
        loop {
            if let Some(violation) = self.run_tasks() {
                return End::Violated(violation);
            }
            if let Some(value) = result.lock().unwrap_or_else(PoisonError::into_inner).take() {
                return End::Finished(value);
            }
            let stepped = self.world.lock().step(until, &mut self.wakers);
            for waker in self.wakers.drain(..) {
                waker.wake();
            }
            if let Some(violation) = self.world.lock().monitor.violation() {
                return End::Violated(violation);
            }
            if !stepped {
                let idle = self.world.lock().schedule.is_empty();
                return if idle { End::Stuck } else { End::OutOfTime };
            }
        }
    }

    /// Lets tasks run until all wait.
    fn run_tasks(&mut self) -> Option<Violation> {
        loop {
            let (now, kills) = {
                let mut world = self.world.lock();
                (world.now, std::mem::take(&mut world.kills))
            };
            for node in kills {
                self.executor.kill(node);
            }
            let turn = self.executor.turn(now)?;
            let mut world = self.world.lock();
            world.trace.event(now, "turn", turn.node.0, &turn.task.0.to_le_bytes());
            world.monitor.turned(now, &turn);
            let wakers = world.network.take_wakers();
            let violation = world.monitor.violation();
            drop(world);
            wakers.into_iter().for_each(Waker::wake);
            if violation.is_some() {
                return violation;
            }
        }
    }
}
