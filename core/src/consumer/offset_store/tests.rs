use alloc::collections::{BTreeMap, VecDeque};
use alloc::vec;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::CommitEnd::{Confirmed, Refused, Unknown};
use super::*;

const NOW: Instant = Instant::from_millis(7_000);

fn queue(id: i32) -> Arc<MessageQueue> {
    Arc::new(MessageQueue { topic: "t".into(), broker_name: "b".into(), queue_id: id })
}

#[test]
fn only_what_the_broker_does_not_have_is_committed() {
    let (mut store, a, b) = (OffsetStore::default(), queue(0), queue(1));
    store.load(a.clone(), 5);
    store.load(b.clone(), 7);
    assert!(store.due().is_empty());
    store.update(&b, 9);
    store.update(&b, 8);
    assert_eq!(store.due(), core::slice::from_ref(&b));
    assert_eq!(store.begin_commit(&b, NOW), Some(9));
    assert_eq!(store.begin_commit(&b, NOW), None, "one at a time");
    assert!(store.end_commit(&b, 9, Confirmed, NOW).is_empty());
    assert!(store.due().is_empty());
    assert_eq!(store.settled_count(|_| true), (2, 0));
}

#[test]
fn a_commit_without_an_answer_is_made_again() {
    let (mut store, a) = (OffsetStore::default(), queue(0));
    store.load(a.clone(), 5);
    store.update(&a, 6);
    assert_eq!(store.begin_commit(&a, NOW), Some(6));
    store.end_commit(&a, 6, Unknown, NOW);
    assert_eq!(store.begin_commit(&a, NOW), Some(6));
    assert_eq!(store.confirmed(&a), Some(5));
}

#[test]
fn a_commit_that_was_overtaken_by_progress_leaves_the_rest_to_do() {
    let (mut store, a) = (OffsetStore::default(), queue(0));
    store.begin(a.clone(), 5);
    assert_eq!(store.begin_commit(&a, NOW), Some(5));
    store.update(&a, 8);
    assert!(store.due().is_empty());
    assert!(store.end_commit(&a, 5, Confirmed, NOW).is_empty());
    assert_eq!(store.begin_commit(&a, NOW), Some(8));
}

#[test]
fn the_first_commit_of_a_table_goes_alone_and_the_others_follow_its_answer() {
    let (mut store, a, b, c) = (OffsetStore::default(), queue(0), queue(1), queue(2));
    for queue in [&a, &b, &c] {
        store.begin(queue.clone(), 5);
    }
    assert_eq!((store.begin_commit(&a, NOW), store.begin_commit(&b, NOW)), (Some(5), None));
    assert!(store.committing() && store.is_waiting());
    assert!(store.end_commit(&a, 5, Refused, NOW).is_empty(), "the next round is soon enough");
    assert!(!store.committing());
    assert_eq!(store.due(), [b.clone(), c.clone(), a.clone()], "it is another's turn");
    assert_eq!((store.begin_commit(&b, NOW), store.begin_commit(&c, NOW)), (Some(5), None));
    assert_eq!(store.end_commit(&b, 5, Confirmed, NOW), core::slice::from_ref(&c));
    assert_eq!(
        (store.begin_commit(&a, NOW), store.begin_commit(&c, NOW)),
        (Some(5), Some(5)),
        "the table is there"
    );
    store.end_commit(&a, 5, Confirmed, NOW);
    store.end_commit(&c, 5, Confirmed, NOW);
    store.forget_tables(|broker| broker == "b");
    store.doubt(|_| true);
    assert_eq!((store.begin_commit(&a, NOW), store.begin_commit(&c, NOW)), (Some(5), None), "it may be lost");
}

#[test]
fn in_the_last_round_each_gets_its_turn() {
    let (mut store, a, b, c) = (OffsetStore::default(), queue(0), queue(1), queue(2));
    for queue in [&a, &b, &c] {
        store.begin(queue.clone(), 5);
    }
    store.last_round();
    let order = store.due();
    assert_eq!(order.iter().filter_map(|queue| store.begin_commit(queue, NOW)).count(), 1);
    assert_eq!(store.end_commit(&a, 5, Refused, NOW), core::slice::from_ref(&b));
    assert_eq!(store.begin_commit(&b, NOW), Some(5));
    assert_eq!(store.end_commit(&b, 5, Unknown, NOW), core::slice::from_ref(&c));
    assert_eq!(store.begin_commit(&c, NOW), Some(5));
    assert!(store.end_commit(&c, 5, Refused, NOW).is_empty());
    assert!(!store.committing());
}

#[test]
fn a_first_commit_without_an_answer_keeps_the_others_waiting_for_half_a_second() {
    let (mut store, a, b, c) = (OffsetStore::default(), queue(0), queue(1), queue(2));
    for queue in [&a, &b, &c] {
        store.begin(queue.clone(), 5);
        store.begin_commit(queue, NOW);
    }
    store.release(&c, NOW);
    let later = NOW + FIRST_COMMIT_PATIENCE;
    assert!(store.impatient(NOW).is_empty());
    assert_eq!(store.impatient(later), [c.clone(), b.clone()], "who has to leave goes first");
    assert_eq!((store.begin_commit(&c, later), store.begin_commit(&b, later)), (Some(5), Some(5)));
    for queue in [&a, &b, &c] {
        store.end_commit(queue, 5, Confirmed, later);
    }
    assert_eq!(store.due(), [a, b], "one of them may be forgotten; not what has another owner now");
}

#[test]
fn a_queue_that_left_is_not_committed_once_its_next_owner_may_have() {
    let (mut store, a, b) = (OffsetStore::default(), queue(0), queue(1));
    // An answer that comes late.
    store.load(a.clone(), 5);
    store.update(&a, 6);
    store.begin_commit(&a, NOW);
    store.update(&a, 7);
    store.release(&a, NOW);
    store.doubt(|_| true);
    let late = NOW + RELEASE_COMMIT_MAX + Duration::from_millis(1);
    assert!(store.end_commit(&a, 6, Confirmed, late).is_empty());
    assert_eq!(store.get(&a), None);
    // No broker to tell.
    store.load(b.clone(), 5);
    store.update(&b, 6);
    store.begin_commit(&b, NOW);
    store.end_commit(&b, 6, Unknown, NOW);
    store.release(&b, NOW);
    assert_eq!((store.get(&b), store.due().len()), (None, 0));
}

#[test]
fn a_doubt_does_not_concern_what_has_left() {
    let (mut store, a) = (OffsetStore::default(), queue(0));
    store.load(a.clone(), 5);
    store.update(&a, 6);
    store.begin_commit(&a, NOW);
    store.release(&a, NOW);
    store.doubt(|_| true);
    assert!(store.end_commit(&a, 6, Confirmed, NOW).is_empty());
    assert_eq!(store.begin_commit(&a, NOW), None);
}

#[test]
fn a_queue_that_comes_back_waits_for_its_former_commit() {
    let (mut store, a) = (OffsetStore::default(), queue(0));
    store.load(a.clone(), 5);
    store.update(&a, 6);
    store.begin_commit(&a, NOW);
    store.release(&a, NOW);
    assert!(store.is_under_way(&a));
    store.load(a.clone(), 5);
    store.update(&a, 9);
    assert_eq!(store.begin_commit(&a, NOW), None, "one at a time");
    assert!(store.end_commit(&a, 6, Confirmed, NOW).is_empty());
    assert_eq!(store.begin_commit(&a, NOW), Some(9));
    // One that had come further than this stay has.
    store.release(&a, NOW);
    store.load(a.clone(), 5);
    store.end_commit(&a, 9, Confirmed, NOW);
    assert!(store.due().is_empty(), "no reason to go back");
}

/// What looks at all queues for each one would need hours.
#[test]
fn many_queues_are_committed_with_little_work_for_each() {
    for answer in [Confirmed, Refused, Unknown] {
        let mut store = OffsetStore::default();
        for id in 0..60_000 {
            store.begin(queue(id), 5);
        }
        store.last_round();
        let mut due = VecDeque::from(store.due());
        let mut ended = 0;
        while let Some(queue) = due.pop_front() {
            if store.begin_commit(&queue, NOW).is_some() {
                assert!(store.committing());
                ended += 1;
                due.extend(store.end_commit(&queue, 5, answer, NOW));
            }
        }
        // Now with answers that come later.
        store.doubt(|_| true);
        store.forget_tables(|_| true);
        let mut under_way = VecDeque::new();
        let mut due = VecDeque::from(store.due());
        loop {
            under_way.extend(due.drain(..).filter(|queue| store.begin_commit(queue, NOW).is_some()));
            let Some(queue) = under_way.pop_front() else { break };
            ended += 1;
            due.extend(store.end_commit(&queue, 5, answer, NOW));
        }
        assert_eq!((ended, store.committing()), (120_000, false), "{answer:?}");
    }
}

#[test]
fn an_offset_of_zero_says_nothing_of_a_table() {
    for (offset, second) in [(0, None), (3, Some(5))] {
        let (mut store, a, b) = (OffsetStore::default(), queue(0), queue(1));
        for queue in [&a, &b] {
            store.load(queue.clone(), offset);
            store.update(queue, 5);
        }
        assert_eq!((store.begin_commit(&a, NOW), store.begin_commit(&b, NOW)), (Some(5), second));
    }
}

#[test]
fn what_a_broker_may_have_lost_is_committed_once_more() {
    let (mut store, a) = (OffsetStore::default(), queue(0));
    store.load(a.clone(), 5);
    store.doubt(|queue| &*queue.broker_name == "another");
    assert_eq!(store.begin_commit(&a, NOW), None);
    store.doubt(|queue| &*queue.broker_name == "b");
    assert_eq!(store.begin_commit(&a, NOW), Some(5));
    store.end_commit(&a, 5, Confirmed, NOW);
    assert_eq!(store.begin_commit(&a, NOW), None);
}

#[test]
fn a_doubt_is_no_reason_to_overwrite_the_next_owners_commit() {
    let (mut store, a) = (OffsetStore::default(), queue(0));
    store.load(a.clone(), 5);
    store.doubt(|_| true);
    store.trust(&a);
    assert_eq!(store.begin_commit(&a, NOW), None);
}

#[test]
fn a_frozen_offset_moves_back_and_stays() {
    let (mut store, a) = (OffsetStore::default(), queue(0));
    store.load(a.clone(), 50);
    store.update_and_freeze(&a, 10);
    store.update(&a, 60);
    assert_eq!(store.get(&a), Some(10));
    store.thaw(&a);
    store.update(&a, 60);
    assert_eq!(store.get(&a), Some(60));
    store.update_and_freeze(&queue(3), 4);
    assert_eq!(store.begin_commit(&queue(3), NOW), Some(4));
}

#[test]
fn a_queue_that_was_given_up_is_committed_once_and_forgotten() {
    let (mut store, a, b, c) = (OffsetStore::default(), queue(0), queue(1), queue(2));
    for queue in [&a, &b, &c] {
        store.load(queue.clone(), 5);
    }
    store.release(&a, NOW);
    assert_eq!(store.get(&a), None, "nothing to commit");
    store.update(&b, 6);
    store.begin_commit(&b, NOW);
    store.update(&b, 7);
    store.release(&b, NOW);
    store.update(&b, 8);
    let again = store.end_commit(&b, 6, Confirmed, NOW);
    assert_eq!(again, core::slice::from_ref(&b), "the newer offset is still to be committed");
    assert_eq!(store.begin_commit(&b, NOW), Some(7));
    assert!(store.end_commit(&b, 7, Confirmed, NOW).is_empty());
    assert_eq!(store.get(&b), None);
    store.update(&c, 6);
    store.begin_commit(&c, NOW);
    store.release(&c, NOW);
    assert!(
        store.end_commit(&c, 6, Unknown, NOW).is_empty(),
        "no second attempt: the next owner may have committed"
    );
    assert_eq!(store.get(&c), None);
}

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
    /// Stays so far, and that of the commit on its way.
    stay: u32,
    stay_under_way: u32,
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
                assert!(model.broker < Some(offset) || model.frozen, "{queue} told the same again");
            }
            model.under_way.push(offset);
            model.stay_under_way = model.stay;
        }
    }

    fn end(&mut self, id: i32, end: CommitEnd) {
        let model = self.models.get_mut(&id).expect("known");
        let Some(offset) = model.under_way.pop() else { return };
        if end == Confirmed {
            model.broker = Some(offset);
        }
        let due = self.store.end_commit(&of(id), offset, end, self.now);
        self.commit(due);
    }

    fn step(&mut self, step: Step) {
        let (store, now) = (&mut self.store, self.now);
        match step {
            Step::Load(id, offset) | Step::Begin(id, offset) => {
                let model = self.models.entry(id).or_default();
                // A consumer asks only when no commit is on its way, and once a stay; the store copes.
                let stay = model.stay + 1;
                let broker = if matches!(step, Step::Load(..)) { Some(offset) } else { None };
                *model = Model {
                    value: Some(offset),
                    broker,
                    stay,
                    under_way: core::mem::take(&mut model.under_way),
                    ..*model
                };
                (model.frozen, model.released) = (false, None);
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
                (model.value, model.frozen) = (Some(offset), true);
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
