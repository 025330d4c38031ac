//! Positions far above the newest message that was fetched, because the broker leaves out what the group does not
//! ask for, and answers that put them in doubt.

use alloc::vec::Vec;

use super::world::{Arrived, STORED, TOPIC, WALL, World};
use crate::consumer::Ack;
use crate::consumer::push::{Fetch, Pause};
use crate::remoting::{
    PullMessageRequestHeader, PullMessageResponseHeader, RequestCode, ResponseCode,
    UpdateConsumerOffsetRequestHeader,
};

/// A world whose group has consumed three messages at 0 to 2 and stands at 6: the broker left out what follows.
fn stands_above() -> World {
    let mut world = World::new();
    world.leave_out = Some("other");
    world.start_with("mine", |_| {});
    world.pass(1_000);
    world.publish(0, &["mine"; 3]);
    world.stored_at = STORED + 40;
    world.publish(0, &["other"; 3]);
    finish_all(&mut world);
    world.pass(5_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(6));
    assert_eq!(world.queue(TOPIC, 0).next_offset, Some(6));
    world
}

fn finish_all(world: &mut World) -> Vec<i64> {
    let tokens = world.take();
    tokens.iter().for_each(|token| world.settle(*token, Ack::Done));
    tokens.iter().map(|token| token.queue_offset).collect()
}

fn pulls(world: &World) -> Vec<(i64, i32)> {
    let pulls = world.requests(RequestCode::PULL_MESSAGE).into_iter().map(Arrived::header);
    let pulls = pulls.filter(|pull: &PullMessageRequestHeader<'_>| pull.topic == TOPIC);
    pulls.map(|pull| (pull.queue_offset, pull.sys_flag)).collect()
}

fn commits(world: &World) -> Vec<i64> {
    let commits = world.requests(RequestCode::UPDATE_CONSUMER_OFFSET).into_iter().map(Arrived::header);
    let commits = commits.filter(|commit: &UpdateConsumerOffsetRequestHeader<'_>| commit.topic == TOPIC);
    commits.map(|commit| commit.commit_offset).collect()
}

/// The pull that waits is answered: the offset moved, to these numbers.
fn say_moved(world: &mut World, next: i64, max: i64) {
    let is_of_topic = |pull: &Arrived| pull.header::<PullMessageRequestHeader<'_>>().topic == TOPIC;
    let index = world.held.iter().position(is_of_topic).expect("a pull waits");
    let held = world.held.remove(index);
    let header = PullMessageResponseHeader {
        next_begin_offset: next,
        min_offset: 0,
        max_offset: max,
        ..PullMessageResponseHeader::default()
    };
    world.answer(&held, ResponseCode::PULL_OFFSET_MOVED, &header, &[]);
    world.pass(0);
    world.pass(3_000);
}

#[test]
fn what_lies_below_a_doubted_position_is_looked_at_again_and_the_commit_stays() {
    for (next, max) in [(0, 0), (4, 4), (3, 3)] {
        let mut world = stands_above();
        let before = commits(&world).len();
        say_moved(&mut world, next, max);
        assert!(pulls(&world).iter().any(|(offset, _)| *offset == 3), "{next}: it was not looked at");
        assert_eq!(world.queue(TOPIC, 0).next_offset, Some(6));
        world.stored_at = STORED + 90;
        world.publish(0, &["mine"; 2]);
        assert_eq!(finish_all(&mut world), [6, 7]);
        world.pass(6_000);
        assert_eq!(commits(&world)[before..].iter().min(), Some(&8), "{next}: {:?}", commits(&world));
        assert!(world.revoked.is_empty());
    }
}

#[test]
fn a_tail_that_was_lost_above_the_newest_message_is_told_from_one_that_was_left_out() {
    // What is stored there next: before anybody looks, or later.
    for at_once in [false, true] {
        let mut world = stands_above();
        world.log(TOPIC, 0).lose(3);
        world.stored_at = STORED + 90;
        if at_once {
            let held = core::mem::take(&mut world.held);
            world.publish(0, &["mine"; 1]);
            world.held = held;
        }
        world.serve_held();
        world.pass(3_000);
        if !at_once {
            assert_eq!(world.log(TOPIC, 0).committed, Some(3), "a restart begins there");
            world.publish(0, &["mine"; 1]);
        }
        assert_eq!(finish_all(&mut world), [3]);
        world.pass(6_000);
        assert_eq!(world.log(TOPIC, 0).committed, Some(4));
        world.publish(0, &["mine"; 4]);
        assert_eq!(finish_all(&mut world), [4, 5, 6, 7]);
    }
}

#[test]
fn a_queue_made_anew_that_has_outgrown_the_position_is_consumed_from_its_first_message() {
    let mut world = stands_above();
    world.log(TOPIC, 0).lose(6);
    world.serve_held();
    world.pass(3_000);
    world.stored_at = STORED + 90;
    world.publish(0, &["other", "other", "other", "other", "mine", "mine", "mine", "mine"]);
    world.pass(3_000);
    assert_eq!(finish_all(&mut world), [4, 5, 6, 7]);
    world.pass(6_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(8));
}

#[test]
fn while_it_is_looked_at_again_nothing_is_committed_and_a_reset_or_a_second_doubt_is_heeded() {
    for reset in [None, Some(1), Some(5)] {
        let mut world = stands_above();
        world.silent.insert(RequestCode::PULL_MESSAGE.0);
        say_moved(&mut world, 4, 4);
        let pull = world.swallowed.pop().expect("it is looked at");
        world.silent.clear();
        let before = commits(&world).len();
        world.pass(20_000);
        assert_eq!(commits(&world).len(), before, "nothing is known yet");
        let (next, max) = reset.map_or((0, 0), |place| (place, 6));
        let header = PullMessageResponseHeader {
            next_begin_offset: next,
            min_offset: 0,
            max_offset: max,
            ..PullMessageResponseHeader::default()
        };
        world.answer(&pull, ResponseCode::PULL_OFFSET_MOVED, &header, &[]);
        world.pass(0);
        world.pass(10_000);
        let again = finish_all(&mut world);
        assert_eq!(again, if reset == Some(1) { [1, 2].to_vec() } else { Vec::new() }, "{reset:?}");
        world.pass(6_000);
        assert_eq!(world.log(TOPIC, 0).committed, Some(6), "{reset:?}");
        assert_eq!(world.queue(TOPIC, 0).next_offset, Some(6), "{reset:?}");
    }
}

#[test]
fn a_stay_that_has_fetched_nothing_goes_by_when_its_queue_was_first_said_to_be_empty() {
    for anew in [true, false] {
        let mut world = World::new();
        world.log(TOPIC, 0).committed = Some(3);
        world.start();
        world.pass(3_000);
        assert!(matches!(world.queue(TOPIC, 0).fetch, Fetch::Pausing(_, Pause::QueueEmpty)));
        // The broker has built its queue at last, or there are others in it now.
        world.stored_at = if anew { WALL + 2_000 } else { STORED };
        world.publish(0, &["a"; 5]);
        world.pass(3_000);
        let expected = if anew { [0, 1, 2, 3, 4].to_vec() } else { [3, 4].to_vec() };
        assert_eq!(finish_all(&mut world), expected);
        world.pass(6_000);
        assert_eq!(world.log(TOPIC, 0).committed, Some(5));
    }
}
