//! Commits that are on their way while queues come and go.

use alloc::string::ToString;
use alloc::vec::Vec;

use super::looking::health;
use super::world::{Arrived, TOPIC, World};
use crate::consumer::push::{Fetch, Pause};
use crate::consumer::{Ack, ConsumeToken};
use crate::remoting::{NoHeader, RequestCode, ResponseCode, UpdateConsumerOffsetRequestHeader};

impl World {
    /// Commits of a queue of the topic that arrived, whatever became of them.
    fn commits(&self, queue_id: i32) -> Vec<i64> {
        let commits = self.requests(RequestCode::UPDATE_CONSUMER_OFFSET).into_iter();
        commits
            .map(Arrived::header::<UpdateConsumerOffsetRequestHeader<'_>>)
            .filter(|header| header.topic == TOPIC && header.queue_id == queue_id)
            .map(|header| header.commit_offset)
            .collect()
    }
}

/// Two queues, two messages in the first, and no answer to commits from now on.
fn two_messages(before_ms: u64) -> (World, Vec<ConsumeToken>) {
    let mut world = World::with_queues(2);
    world.start();
    world.publish(0, &["a", "b"]);
    let tokens = world.take();
    world.pass(before_ms);
    world.silent.insert(RequestCode::UPDATE_CONSUMER_OFFSET.0);
    world.seen.clear();
    (world, tokens)
}

/// Every sixth round tells everything again, which must not reach queues that have left.
#[test]
fn a_round_that_tells_all_again_leaves_out_what_others_own() {
    let (mut world, tokens) = two_messages(27_500);
    world.settle(tokens[0], Ack::Done);
    world.members_change(&["0-first"]);
    world.pass(300);
    assert_eq!((world.owned(TOPIC), world.commits(0)), ([1].into(), [1].into()));
    world.pass(1_700);
    world.silent.clear();
    world.log(TOPIC, 0).committed = Some(2);
    for commit in core::mem::take(&mut world.swallowed) {
        world.answer(&commit, ResponseCode::SUCCESS, &NoHeader, &[]);
    }
    world.pass(10_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(2), "the next owner's");
}

#[test]
fn a_queue_that_comes_back_starts_only_when_its_former_commit_has_ended() {
    let (mut world, tokens) = two_messages(0);
    for token in tokens {
        world.settle(token, Ack::Done);
    }
    world.members_change(&["0-first"]);
    world.pass(200);
    world.members_change(&[]);
    world.pass(3_000);
    assert_eq!(world.owned(TOPIC), [0, 1]);
    assert!(matches!(world.queue(TOPIC, 0).fetch, Fetch::Pausing(_, Pause::Committing)));
    assert_eq!(world.commits(0), [2], "one at a time");
    world.silent.clear();
    for commit in core::mem::take(&mut world.swallowed) {
        world.serve(commit);
    }
    world.pass(200);
    assert_eq!(world.queue(TOPIC, 0).next_offset, Some(2));
    world.publish(0, &["c"]);
    assert_eq!(world.take().len(), 1);
}

#[test]
fn a_first_commit_without_an_answer_does_not_hold_the_others_back() {
    let mut world = World::with_queues(3);
    world.start();
    world.publish(1, &["a"]);
    let token = world.take()[0];
    world.settle(token, Ack::Done);
    world.silent.insert(RequestCode::UPDATE_CONSUMER_OFFSET.0);
    world.pass(4_200);
    assert_eq!((world.commits(0).len(), world.commits(1).len()), (1, 0), "the first goes alone");
    world.pass(500);
    assert_eq!((world.commits(1), world.commits(2).len()), ([1].into(), 1));
}

#[test]
fn a_broker_that_refuses_commits_is_asked_with_one_a_round() {
    let mut world = World::with_queues(40);
    world.refuse.insert(RequestCode::UPDATE_CONSUMER_OFFSET.0, ResponseCode::SYSTEM_ERROR);
    world.start();
    world.pass(60_000);
    let asked = world.requests(RequestCode::UPDATE_CONSUMER_OFFSET).len();
    assert!(asked <= 2 * 12, "{asked} commits of two tables in twelve rounds");
    let told = health(&mut world);
    assert!(told.to_string().contains("broker a refuses commits for 56."), "{told}");
    world.refuse.clear();
    world.pass(5_000);
    assert!(health(&mut world).commit_refusals.is_empty());
    assert!((0..40).all(|queue| world.log(TOPIC, queue).committed.is_some()));
}

#[test]
fn a_close_of_many_queues_ends_in_time_though_every_commit_is_refused() {
    let mut world = World::with_queues(300);
    world.start();
    world.refuse.insert(RequestCode::UPDATE_CONSUMER_OFFSET.0, ResponseCode::SYSTEM_ERROR);
    world.close(2_000);
    world.pass(2_000);
    let report = world.report().expect("over");
    assert_eq!((report.queues_committed, report.queues_uncommitted), (0, 301));
    let asked: Vec<usize> = (0..300).map(|queue| world.commits(queue).len()).collect();
    assert!(asked.iter().all(|count| *count == 1), "each had its turn");
}

#[test]
fn an_idle_consumer_wakes_only_to_ask_something() {
    let mut world = World::with_queues(2);
    world.start();
    world.publish(0, &["a"]);
    let token = world.take()[0];
    world.settle(token, Ack::Done);
    world.pass(40_000);
    let before = world.wakes;
    world.pass(60_000);
    let wakes = world.wakes - before;
    assert!(wakes <= 22, "{wakes} times in a minute");
}
