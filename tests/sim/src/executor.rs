//! Runs futures first in, first out. Wakers only push the task's number, so nothing but the order of
//! events decides who runs next.

use std::collections::{BTreeMap, VecDeque};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Wake, Waker};

use rocketmq_client_core::driver::BoxFuture;
use rocketmq_client_core::time::Instant;

/// A machine of the world: a client's process, a broker, a name server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeId(pub(crate) u32);

/// A future that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TaskId(pub(crate) u64);

enum Entry {
    Wake(TaskId),
    Spawn(NodeId, BoxFuture),
}

#[derive(Default)]
struct Ready {
    queue: Mutex<VecDeque<Entry>>,
}

impl Ready {
    fn push(&self, entry: Entry) {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).push_back(entry);
    }

    fn pop(&self) -> Option<Entry> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front()
    }
}

struct TaskWaker {
    id: TaskId,
    queued: AtomicBool,
    ready: Arc<Ready>,
}

impl Wake for TaskWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.queued.swap(true, Ordering::AcqRel) {
            self.ready.push(Entry::Wake(self.id));
        }
    }
}

/// The future of a world's program. It stays with whoever drives the executor, so it may borrow from
/// there and be bound to its thread.
pub(crate) type Program<'a> = Pin<&'a mut (dyn Future<Output = ()> + 'a)>;

struct Task {
    node: NodeId,
    /// `None` is the program.
    future: Option<BoxFuture>,
    state: Arc<TaskWaker>,
    waker: Waker,
    polls: (Instant, u32),
}

/// What one turn did.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Turn {
    pub(crate) task: TaskId,
    pub(crate) node: NodeId,
    /// How often this task was polled at this very time.
    pub(crate) polls_now: u32,
}

/// All futures of a world.
#[derive(Default)]
pub(crate) struct Executor {
    tasks: BTreeMap<TaskId, Task>,
    ready: Arc<Ready>,
    next: u64,
}

/// Puts futures of one node in.
#[derive(Clone)]
pub(crate) struct Spawner {
    node: NodeId,
    ready: Arc<Ready>,
}

impl Spawner {
    /// As this one, for another node.
    pub(crate) fn of(&self, node: NodeId) -> Self {
        Self { node, ready: self.ready.clone() }
    }

    pub(crate) fn run(&self, future: impl Future<Output = ()> + Send + 'static) {
        self.ready.push(Entry::Spawn(self.node, Box::pin(future)));
    }
}

impl Executor {
    pub(crate) fn spawner(&self, node: NodeId) -> Spawner {
        Spawner { node, ready: self.ready.clone() }
    }

    /// Makes room for a program of this node, which is ready.
    pub(crate) fn begin_program(&mut self, node: NodeId) {
        let id = self.insert(node, None);
        self.ready.push(Entry::Wake(id));
    }

    /// Lets the first task that is ready run until it waits; `None` when none is ready.
    pub(crate) fn turn(&mut self, now: Instant, program: &mut Program<'_>) -> Option<Turn> {
        loop {
            let id = match self.ready.pop()? {
                Entry::Wake(id) => id,
                Entry::Spawn(node, future) => self.insert(node, Some(future)),
            };
            // A task that has ended may still be woken.
            let Some(task) = self.tasks.get_mut(&id) else { continue };
            task.state.queued.store(false, Ordering::Release);
            let (at, count) = task.polls;
            task.polls = (now, if at == now { count + 1 } else { 1 });
            let turn = Turn { task: id, node: task.node, polls_now: task.polls.1 };
            let mut cx = Context::from_waker(&task.waker);
            let polled = match &mut task.future {
                Some(future) => future.as_mut().poll(&mut cx),
                None => program.as_mut().poll(&mut cx),
            };
            if polled.is_ready() {
                let task = self.tasks.remove(&id);
                drop(task);
            }
            return Some(turn);
        }
    }

    /// Ends all tasks of a node, wherever they are.
    pub(crate) fn kill(&mut self, node: NodeId) {
        let spawned: VecDeque<Entry> = {
            let mut queue = self.ready.queue.lock().unwrap_or_else(PoisonError::into_inner);
            let (gone, kept) =
                queue.drain(..).partition(|entry| matches!(entry, Entry::Spawn(owner, _) if *owner == node));
            *queue = kept;
            gone
        };
        drop(spawned);
        let ids: Vec<TaskId> =
            self.tasks.iter().filter(|(_, task)| task.node == node).map(|(id, _)| *id).collect();
        for id in ids {
            let task = self.tasks.remove(&id);
            drop(task);
        }
    }

    /// The nodes that still have tasks.
    pub(crate) fn nodes(&self) -> Vec<NodeId> {
        let mut nodes: Vec<_> = self.tasks.values().map(|task| task.node).collect();
        nodes.sort_unstable();
        nodes.dedup();
        nodes
    }

    fn insert(&mut self, node: NodeId, future: Option<BoxFuture>) -> TaskId {
        self.next += 1;
        let id = TaskId(self.next);
        let state = Arc::new(TaskWaker { id, queued: AtomicBool::new(true), ready: self.ready.clone() });
        let waker = Waker::from(state.clone());
        self.tasks.insert(id, Task { node, future, state, waker, polls: (Instant::ZERO, 0) });
        id
    }
}

impl Drop for Executor {
    /// What futures drop may spawn and wake; all of it goes.
    fn drop(&mut self) {
        for node in self.nodes() {
            self.kill(node);
        }
        while self.ready.pop().is_some() {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::future::poll_fn;
    use std::task::Poll;

    type Log = Arc<Mutex<Vec<&'static str>>>;

    fn turn(executor: &mut Executor) -> Option<Turn> {
        let mut program = std::pin::pin!(std::future::pending());
        let mut program: Program<'_> = program.as_mut();
        executor.turn(Instant::ZERO, &mut program)
    }

    fn run(executor: &mut Executor) -> usize {
        std::iter::from_fn(|| turn(executor)).count()
    }

    async fn yield_once() {
        let mut yielded = false;
        poll_fn(|cx| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            // Twice, but it runs once.
            cx.waker().wake_by_ref();
            cx.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }

    #[test]
    fn tasks_run_in_the_order_of_their_wake_ups() {
        let mut executor = Executor::default();
        let log = Log::default();
        for name in ["a", "b", "c"] {
            let log = log.clone();
            executor.spawner(NodeId(0)).run(async move {
                log.lock().unwrap().push(name);
                yield_once().await;
                log.lock().unwrap().push(name);
            });
        }
        assert_eq!(run(&mut executor), 6);
        assert_eq!(*log.lock().unwrap(), ["a", "b", "c", "a", "b", "c"]);
    }

    #[test]
    fn a_program_takes_its_turn_and_may_borrow() {
        let mut executor = Executor::default();
        let log = std::cell::RefCell::new(Vec::new());
        let spawner = executor.spawner(NodeId(0));
        let mut program = std::pin::pin!(async {
            log.borrow_mut().push("a");
            spawner.run(yield_once());
            yield_once().await;
            log.borrow_mut().push("b");
        });
        executor.begin_program(NodeId(0));
        let mut program: Program<'_> = program.as_mut();
        let tasks: Vec<_> = std::iter::from_fn(|| executor.turn(Instant::ZERO, &mut program))
            .map(|turn| turn.task.0)
            .collect();
        assert_eq!(tasks, [1, 2, 1, 2]);
        assert_eq!(*log.borrow(), ["a", "b"]);
        assert_eq!(executor.nodes(), []);
    }

    #[test]
    fn killing_a_node_drops_its_tasks_and_no_others() {
        let mut executor = Executor::default();
        let log = Log::default();
        struct Dropped(Log, &'static str);
        impl Drop for Dropped {
            fn drop(&mut self) {
                self.0.lock().unwrap().push(self.1);
            }
        }
        for (node, name) in [(1, "one"), (2, "two"), (1, "uno")] {
            let guard = Dropped(log.clone(), name);
            executor.spawner(NodeId(node)).run(async move {
                std::future::pending::<()>().await;
                drop(guard);
            });
        }
        run(&mut executor);
        executor.kill(NodeId(1));
        assert_eq!(*log.lock().unwrap(), ["one", "uno"]);
        assert_eq!(executor.nodes(), [NodeId(2)]);
    }

    #[test]
    fn polls_of_a_task_at_one_time_are_counted() {
        let mut executor = Executor::default();
        executor.spawner(NodeId(0)).run(async {
            yield_once().await;
            yield_once().await;
        });
        let counts: Vec<_> = std::iter::from_fn(|| turn(&mut executor)).map(|turn| turn.polls_now).collect();
        assert_eq!(counts, [1, 2, 3]);
    }
}
