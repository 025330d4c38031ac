use alloc::collections::VecDeque;

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
    const QUEUES: i32 = 20_000;
    for answer in [Confirmed, Refused, Unknown] {
        let mut store = OffsetStore::default();
        for id in 0..QUEUES {
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
        assert_eq!((ended, store.committing()), (2 * QUEUES, false), "{answer:?}");
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
