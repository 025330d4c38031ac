//! The store beside a model that knows as much and is slow and simple.

use alloc::collections::BTreeMap;
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::CommitEnd::{Confirmed, Refused, Unknown};
use super::*;

const NOW: Instant = Instant::from_millis(7_000);

/// One queue of the model: what a slow and simple store would know.
#[derive(Clone, Debug, Default)]
struct Model {
    /// The consumed offset, while the queue is owned.
    value: Option<i64>,
    frozen: bool,
    /// Commits on their way.
    under_way: Vec<i64>,
    /// What the broker has, as its answers say.
    broker: Option<i64>,
    released: Option<Instant>,
    /// The commit on its way is of a former stay.
    former: bool,
}

#[derive(Clone, Debug)]
enum Step {
    Load(i32, i64),
    Begin(i32, i64),
    Update(i32, i64),
    Reset(i32, i64),
    Thaw(i32),
    Doubt,
    Forget,
    Release(i32),
    Round,
    End(prop::sample::Index, CommitEnd),
    Impatient,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let (queue, offset) = (0..6i32, 0..40i64);
    let end = prop_oneof![3 => Just(Confirmed), 1 => Just(Refused), 1 => Just(Unknown)];
    prop_oneof![
        2 => (queue.clone(), offset.clone()).prop_map(|(queue, offset)| Step::Load(queue, offset)),
        2 => (queue.clone(), offset.clone()).prop_map(|(queue, offset)| Step::Begin(queue, offset)),
        6 => (queue.clone(), offset.clone()).prop_map(|(queue, offset)| Step::Update(queue, offset)),
        1 => (queue.clone(), offset).prop_map(|(queue, offset)| Step::Reset(queue, offset)),
        1 => queue.clone().prop_map(Step::Thaw),
        1 => Just(Step::Doubt),
        1 => Just(Step::Forget),
        2 => queue.prop_map(Step::Release),
        4 => Just(Step::Round),
        6 => (any::<prop::sample::Index>(), end).prop_map(|(which, end)| Step::End(which, end)),
        1 => Just(Step::Impatient),
        2 => prop_oneof![0..100u64, 400..1_200u64].prop_map(Step::Pass),
    ]
}

/// The store beside the model. Queues 0 to 2 are of one broker's table, 3 to 5 of another's.
struct Beside {
    store: OffsetStore,
    models: BTreeMap<i32, Model>,
    now: Instant,
}

fn of(id: i32) -> Arc<MessageQueue> {
    Arc::new(MessageQueue::new("t", if id < 3 { "a" } else { "b" }, id))
}

impl Beside {
    fn commit(&mut self, due: Vec<Arc<MessageQueue>>) {
        for queue in due {
            let Some(offset) = self.store.begin_commit(&queue, self.now) else { continue };
            let model = self.models.get_mut(&queue.queue_id).expect("known");
            assert!(model.under_way.is_empty(), "two commits of {queue} at a time");
            assert_eq!(Some(offset), model.value, "not what was consumed of {queue}");
            if let Some(at) = model.released {
                assert!(self.now <= at + RELEASE_COMMIT_MAX, "{queue} has another owner");
                assert_ne!(model.broker, Some(offset), "{queue} told the same again");
            }
            model.under_way.push(offset);
        }
    }

    fn end(&mut self, id: i32, end: CommitEnd) {
        let model = self.models.get_mut(&id).expect("known");
        let Some(offset) = model.under_way.pop() else { return };
        if end == Confirmed {
            // A former stay that had come further is no reason to go back.
            model.broker = if model.former { Some(offset).min(model.value) } else { Some(offset) };
        }
        model.former = false;
        let due = self.store.end_commit(&of(id), offset, end, self.now);
        self.commit(due);
    }

    fn step(&mut self, step: Step) {
        let (store, now) = (&mut self.store, self.now);
        match step {
            Step::Load(id, offset) | Step::Begin(id, offset) => {
                let model = self.models.entry(id).or_default();
                // A consumer asks only when no commit is on its way, and once a stay; the store copes.
                let broker = if matches!(step, Step::Load(..)) { Some(offset) } else { None };
                *model = Model {
                    value: Some(offset),
                    broker,
                    under_way: core::mem::take(&mut model.under_way),
                    ..*model
                };
                (model.frozen, model.released, model.former) = (false, None, !model.under_way.is_empty());
                match broker {
                    Some(_) => store.load(of(id), offset),
                    None => store.begin(of(id), offset),
                }
            }
            Step::Update(id, offset) => {
                if let Some(model) = self.models.get_mut(&id)
                    && !model.frozen
                    && model.released.is_none()
                {
                    model.value = model.value.map(|value| value.max(offset));
                }
                store.update(&of(id), offset);
            }
            Step::Reset(id, offset) => {
                let Some(model) = self.models.get_mut(&id).filter(|model| model.released.is_none()) else {
                    return;
                };
                (model.value, model.frozen, model.former) = (Some(offset), true, false);
                store.update_and_freeze(&of(id), offset);
            }
            Step::Thaw(id) => {
                if let Some(model) = self.models.get_mut(&id).filter(|model| model.released.is_none()) {
                    model.frozen = false;
                    store.thaw(&of(id));
                }
            }
            Step::Doubt => store.doubt(|_| true),
            Step::Forget => store.forget_tables(|broker| broker == "a"),
            Step::Release(id) => {
                let Some(model) = self.models.get_mut(&id).filter(|model| model.released.is_none()) else {
                    return;
                };
                model.released = Some(now);
                let queue = of(id);
                store.trust(&queue);
                self.commit(vec![queue.clone()]);
                self.store.release(&queue, now);
            }
            Step::Round => {
                let due = store.due();
                self.commit(due);
            }
            Step::End(which, end) => {
                let under_way: Vec<i32> = self.under_way();
                if !under_way.is_empty() {
                    self.end(under_way[which.index(under_way.len())], end);
                }
            }
            Step::Impatient => {
                let due = store.impatient(now);
                self.commit(due);
            }
            Step::Pass(ms) => self.now = now + Duration::from_millis(ms),
        }
    }

    fn under_way(&self) -> Vec<i32> {
        let busy = self.models.iter().filter(|(_, model)| !model.under_way.is_empty());
        busy.map(|(id, _)| *id).collect()
    }

    fn check(&self) {
        for (id, model) in &self.models {
            assert_eq!(self.store.is_under_way(&of(*id)), !model.under_way.is_empty());
            if model.released.is_none() {
                assert_eq!(self.store.get(&of(*id)), model.value);
            }
        }
        if !self.under_way().is_empty() {
            assert!(self.store.committing());
        }
    }

    /// All is answered: then all is told, and nothing is left of what is others'.
    fn heal(&mut self) {
        for _ in 0..4 {
            let due = self.store.due();
            self.commit(due);
            for _ in 0..self.models.len() {
                for id in self.under_way() {
                    self.end(id, Confirmed);
                }
            }
            self.check();
        }
        assert!(!self.store.committing() && self.store.due().is_empty());
        let owned = self.models.values().filter(|model| model.released.is_none()).count();
        assert_eq!(self.store.settled_count(|_| true), (u32::try_from(owned).expect("few"), 0));
    }
}

proptest! {
    #[test]
    fn whatever_happens_commits_of_a_queue_go_one_by_one_and_only_for_its_owner(
        steps in prop::collection::vec(step(), 0..120),
    ) {
        let mut beside = Beside { store: OffsetStore::default(), models: BTreeMap::new(), now: NOW };
        for step in steps {
            beside.step(step);
            beside.check();
        }
        beside.heal();
    }
}
