//! The loop of a world: let every task run that can, then let time pass until the next event.

use std::cell::Cell;
use std::pin::pin;
use std::task::Waker;

use rocketmq_client_core::time::Instant;

use crate::executor::{Executor, NodeId, Program, Spawner};
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
    pub(crate) fn run<T>(&mut self, until: Instant, program: impl Future<Output = T>) -> End<T> {
        let result = Cell::new(None);
        let mut program = pin!(async { result.set(Some(program.await)) });
        let mut program: Program<'_> = program.as_mut();
        self.executor.begin_program(PROGRAM);
        loop {
            if let Some(violation) = self.run_tasks(&mut program) {
                return End::Violated(violation);
            }
            if let Some(value) = result.take() {
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
    fn run_tasks(&mut self, program: &mut Program<'_>) -> Option<Violation> {
        loop {
            let (now, kills) = {
                let mut world = self.world.lock();
                (world.now, std::mem::take(&mut world.kills))
            };
            for node in kills {
                self.executor.kill(node);
            }
            let turn = self.executor.turn(now, program)?;
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
