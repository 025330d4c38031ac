//! Answers that say that the position is not one that the broker has, and operators' resets, with messages
//! in hand.

use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::world::{BROKER_A, RETRY, STORED, TOPIC, World};
use crate::client::Input;
use crate::consumer::push::{Fetch, Pause};
use crate::consumer::{Ack, ConsumeToken, ConsumerCommand};
use crate::remoting::{
    GetMaxOffsetResponseHeader, PullMessageRequestHeader, PullMessageResponseHeader, RequestCode,
    ResponseCode, SearchOffsetRequestHeader, UpdateConsumerOffsetRequestHeader,
};

fn offsets(tokens: &[ConsumeToken]) -> Vec<i64> {
    tokens.iter().map(|token| token.queue_offset).collect()
}

fn begin(world: &mut World, tokens: &[ConsumeToken]) {
    let now = world.now;
    world.input(Input::Begun { tokens: tokens.iter().map(|token| (*token, Some(now))).collect() });
}

fn searches(world: &World) -> Vec<i64> {
    let searches = world.requests(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP);
    searches.iter().map(|search| search.header::<SearchOffsetRequestHeader<'_>>().timestamp).collect()
}

fn commits(world: &World) -> Vec<i64> {
    let commits = world.requests(RequestCode::UPDATE_CONSUMER_OFFSET);
    let commits = commits.iter().map(|commit| commit.header::<UpdateConsumerOffsetRequestHeader<'_>>());
    commits.filter(|commit| commit.topic == TOPIC).map(|commit| commit.commit_offset).collect()
}

/// A world whose group has consumed the first `done` of so many messages, and the rest in hand. The last
/// `fresh` are stored later than the others.
fn consumed(done: usize, old: usize, fresh: usize) -> (World, Vec<ConsumeToken>) {
    let mut world = World::new();
    world.start();
    world.publish(0, &vec!["a"; old]);
    world.stored_at = 50;
    world.publish(0, &vec!["b"; fresh]);
    let mut tokens = world.take();
    assert_eq!(tokens.len(), old + fresh);
    for token in tokens.drain(..done) {
        world.settle(token, Ack::Done);
    }
    world.pass(5_000);
    let first = i64::try_from(done).expect("few");
    assert_eq!(world.log(TOPIC, 0).committed, Some(first));
    (world, tokens)
}

#[test]
fn a_lost_tail_is_begun_again_and_what_handlers_have_below_it_is_finished() {
    for (old, begun) in [(false, true), (false, false), (true, true), (true, false)] {
        let (mut world, tokens) = consumed(40, 50, 2);
        world.old = old;
        if begun {
            begin(&mut world, &tokens);
        }
        world.log(TOPIC, 0).lose(2);
        world.serve_held();
        assert_eq!(searches(&world), [51], "after the newest message had been stored");
        world.pass(20_000);
        assert_eq!(world.log(TOPIC, 0).committed, Some(40), "not past what is in hand");
        for (count, token) in tokens.iter().enumerate() {
            let ack = if count % 2 == 0 { Ack::Retry } else { Ack::Done };
            world.settle(*token, ack);
        }
        assert_eq!(world.requests(RequestCode::CONSUMER_SEND_MSG_BACK).len(), 5);
        world.stored_at = 60;
        world.publish(0, &["c"; 3]);
        world.pass(6_000);
        let again = world.take();
        let fresh: Vec<i64> = offsets(&again).into_iter().filter(|offset| *offset >= 50).collect();
        assert_eq!(fresh, [50, 51, 52], "what took the places of the lost ones");
        for token in again {
            world.settle(token, Ack::Done);
        }
        world.pass(6_000);
        assert_eq!(world.log(TOPIC, 0).committed, Some(53));
        assert_eq!(world.consumer().cached_bytes(), 0);
    }
}

#[test]
fn what_no_handler_had_begun_below_a_lost_tail_is_handed_out_by_the_stay_that_goes_on() {
    let (mut world, tokens) = consumed(0, 5, 1);
    begin(&mut world, &tokens[..2]);
    world.log(TOPIC, 0).lose(1);
    world.serve_held();
    let anew = world.take();
    assert_eq!(offsets(&anew), [2, 3, 4], "the others are with their handlers");
    assert_eq!(world.revoked, [tokens[0].queue]);
    for token in &tokens {
        // The host does not begin these any more.
        if token.queue_offset >= 2 {
            world.hand_back(*token);
        }
    }
    for token in tokens[..2].iter().chain(&anew) {
        world.settle(*token, Ack::Done);
    }
    world.pass(6_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(5));
    assert_eq!(world.consumer().statistics().late_answers, 0);
    assert!(world.take().is_empty());
}

#[test]
fn an_answer_about_a_lost_message_says_nothing_of_the_one_that_took_its_place() {
    let (mut world, tokens) = consumed(0, 2, 2);
    begin(&mut world, &tokens);
    world.log(TOPIC, 0).lose(2);
    world.serve_held();
    world.stored_at = 60;
    world.publish(0, &["c"; 2]);
    let anew = world.take();
    assert_eq!(offsets(&anew), [2, 3]);
    for token in &tokens {
        world.settle(*token, Ack::Done);
    }
    world.pass(6_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(2), "the new ones are not done");
    assert_eq!(world.consumer().statistics().late_answers, 2);
}

#[test]
fn messages_on_their_way_back_below_a_lost_tail_arrive_there_and_what_rests_is_offered_again() {
    let (mut world, tokens) = consumed(0, 2, 1);
    begin(&mut world, &tokens);
    world.silent.insert(RequestCode::CONSUMER_SEND_MSG_BACK.0);
    world.settle(tokens[0], Ack::Retry);
    world.silent.clear();
    world.refuse.insert(RequestCode::CONSUMER_SEND_MSG_BACK.0, ResponseCode::SYSTEM_ERROR);
    world.refuse.insert(RequestCode::SEND_MESSAGE_V2.0, ResponseCode::SYSTEM_ERROR);
    world.settle(tokens[1], Ack::Retry);
    world.refuse.clear();
    world.log(TOPIC, 0).lose(1);
    world.serve_held();
    let back = world.swallowed.pop().expect("a message on its way back");
    world.serve(back);
    world.pass(6_000);
    let again = world.take();
    assert_eq!(offsets(&again), [1]);
    world.settle(again[0], Ack::Done);
    world.pass(6_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(2));
    assert_eq!(world.consumer().statistics().sent_back(), 1);
}

#[test]
fn a_topic_that_was_made_anew_is_consumed_from_its_first_message() {
    for (old, next) in [(false, 10), (true, 0)] {
        let (mut world, _) = consumed(50, 40, 10);
        world.old = old;
        world.log(TOPIC, 0).lose(50);
        world.stored_at = 90;
        world.publish(0, &["n"; 10]);
        assert_eq!(searches(&world), [51], "answered with {next}");
        let tokens = world.take();
        assert_eq!(offsets(&tokens), (0..10).collect::<Vec<i64>>());
        world.pass(1_000);
        assert_eq!(world.log(TOPIC, 0).committed, Some(0), "a restart would begin there");
        for token in tokens {
            world.settle(token, Ack::Done);
        }
        world.pass(6_000);
        assert_eq!(world.log(TOPIC, 0).committed, Some(10));
    }
}

#[test]
fn messages_of_one_millisecond_that_are_left_of_a_lost_tail_do_not_come_again() {
    let (mut world, tokens) = consumed(10, 20, 0);
    begin(&mut world, &tokens);
    world.log(TOPIC, 0).lose(5);
    world.serve_held();
    assert!(world.take().is_empty());
    for token in tokens {
        world.settle(token, Ack::Done);
    }
    world.pass(6_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(15));
    assert_eq!(world.consumer().statistics().late_answers, 5, "those that are lost");
}

#[test]
fn a_stay_that_has_fetched_nothing_goes_to_the_end_and_takes_the_commit_back() {
    let mut world = World::new();
    world.log(TOPIC, 0).committed = Some(9);
    world.publish(0, &["a"; 3]);
    world.start();
    assert!(searches(&world).is_empty());
    assert_eq!(world.log(TOPIC, 0).committed, Some(3));
    world.publish(0, &["b"]);
    assert_eq!(offsets(&world.take()), [3]);
}

#[test]
fn a_queue_that_is_said_to_be_empty_keeps_its_offset_and_is_asked_again_within_two_seconds() {
    let (mut world, _) = consumed(50, 40, 10);
    let before = commits(&world);
    let pull = held(&mut world);
    let zero = PullMessageResponseHeader::default();
    world.answer(&pull, ResponseCode::PULL_OFFSET_MOVED, &zero, &[]);
    world.pass(0);
    assert!(matches!(world.queue(TOPIC, 0).fetch, Fetch::Pausing(_, Pause::QueueEmpty)));
    world.pass(2_000);
    world.publish(0, &["c"]);
    assert_eq!(offsets(&world.take()), [50]);
    assert_eq!(commits(&world), before);

    // As long as it is empty: a few questions, never more than two seconds apart.
    let log = world.log(TOPIC, 0);
    let lost = log.records.len();
    log.lose(lost);
    world.serve_held();
    world.pass(10_000);
    let pulls = world.requests(RequestCode::PULL_MESSAGE).len();
    world.pass(20_000);
    let asked = world.requests(RequestCode::PULL_MESSAGE).len() - pulls;
    assert!((10..=13).contains(&asked), "{asked} pulls in 20 s, two of them of the retry topic");
    assert_eq!(
        commits(&world).iter().filter(|offset| **offset < 50).count(),
        before.iter().filter(|offset| **offset < 50).count()
    );
    world.stored_at = 90;
    world.publish(0, &["n"; 2]);
    world.pass(2_000);
    assert_eq!(offsets(&world.take()), [0, 1], "it was made anew");
}

#[test]
fn of_a_queue_that_is_said_to_be_empty_nothing_is_committed_also_by_a_new_connection() {
    let (mut world, _) = consumed(50, 40, 10);
    let pull = held(&mut world);
    let zero = PullMessageResponseHeader::default();
    world.silent.insert(RequestCode::PULL_MESSAGE.0);
    world.answer(&pull, ResponseCode::PULL_OFFSET_MOVED, &zero, &[]);
    world.pass(0);
    let before = commits(&world);
    world.cut(BROKER_A);
    world.pass(8_000);
    assert!(world.registered.contains(BROKER_A));
    assert_eq!(commits(&world), before, "the broker may have lost what it knew, but not that");
    world.silent.clear();
    world.cut(BROKER_A);
    world.pass(8_000);
    world.publish(0, &["c"]);
    let tokens = world.take();
    assert_eq!(offsets(&tokens), [50]);
    world.settle(tokens[0], Ack::Done);
    world.pass(6_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(51));
}

#[test]
fn a_queue_that_outgrew_its_position_while_it_was_said_to_be_empty_is_consumed_from_its_first_message() {
    for old in [false, true] {
        let (mut world, _) = consumed(50, 40, 10);
        world.old = old;
        world.log(TOPIC, 0).lose(50);
        world.serve_held();
        world.pass(5_000);
        assert!(matches!(world.queue(TOPIC, 0).fetch, Fetch::Pausing(_, Pause::QueueEmpty)));
        world.stored_at = 90;
        world.publish(0, &["n"; 60]);
        world.pass(2_000);
        assert_eq!(searches(&world), [51]);
        let mut tokens = world.take();
        assert_eq!(offsets(&tokens), (0..60).collect::<Vec<i64>>());
        assert_eq!(world.log(TOPIC, 0).committed, Some(0), "a restart would begin there");
        tokens.drain(..).for_each(|token| world.settle(token, Ack::Done));
        world.pass(6_000);
        assert_eq!(world.log(TOPIC, 0).committed, Some(60));
    }
}

#[test]
fn however_many_queues_are_said_to_be_empty_their_broker_is_asked_ten_times_a_second_at_most() {
    for queues in [8, 16, 40] {
        let mut world = World::with_queues(queues);
        world.start();
        (0..queues).for_each(|queue| world.publish(queue, &["a"]));
        world.take().into_iter().for_each(|token| world.settle(token, Ack::Done));
        (0..queues).for_each(|queue| world.log(TOPIC, queue).lose(1));
        world.serve_held();
        // The first answers are news.
        world.pass(1_000);
        for second in 0..20 {
            let before = world.requests(RequestCode::PULL_MESSAGE).len();
            world.pass(1_000);
            let pulls = world.requests(RequestCode::PULL_MESSAGE).len() - before;
            assert!(pulls <= 10, "{pulls} pulls of {queues} queues in second {second}");
        }
        if queues <= 16 {
            world.stored_at = 90;
            (0..queues).for_each(|queue| world.publish(queue, &["n"]));
            world.pass(2_000);
            assert_eq!(world.take().len(), usize::try_from(queues).expect("few"), "each within two seconds");
        }
    }
}

/// The pull of the topic's first queue that waits.
fn held(world: &mut World) -> super::world::Arrived {
    let is_its = |pull: &super::world::Arrived| pull.header::<PullMessageRequestHeader<'_>>().topic == TOPIC;
    let at = world.held.iter().position(is_its).expect("a pull waits");
    world.held.remove(at)
}

/// A word about an end that is below what was fetched, which the search by time does not bear out.
fn tell_false_end(world: &mut World, next: i64) {
    let pull = held(world);
    let header = PullMessageResponseHeader {
        next_begin_offset: next,
        max_offset: 48,
        ..PullMessageResponseHeader::default()
    };
    world.answer(&pull, ResponseCode::PULL_OFFSET_MOVED, &header, &[]);
}

#[test]
fn a_false_word_about_the_end_costs_a_search_and_no_time() {
    for next in [0, 48] {
        let (mut world, _) = consumed(50, 40, 10);
        let (now, before) = (world.now, commits(&world));
        tell_false_end(&mut world, next);
        world.pass(0);
        assert_eq!(searches(&world), [51]);
        world.publish(0, &["c"]);
        assert_eq!(offsets(&world.take()), [50]);
        assert_eq!((world.now, commits(&world)), (now, before));
    }
}

#[test]
fn a_broker_that_contradicts_itself_is_asked_less_and_less_often_and_goes_on_when_it_tells_the_truth() {
    let (mut world, tokens) = consumed(40, 40, 10);
    for times in 1..=5 {
        tell_false_end(&mut world, 48);
        world.pass(0);
        assert_eq!(searches(&world).len(), times);
        world.pass(2_000);
    }
    world.publish(0, &["c"]);
    assert_eq!(offsets(&world.take()), [50]);
    for token in tokens {
        world.settle(token, Ack::Done);
    }
    world.pass(6_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(50), "what is in hand stayed what it was");
}

#[test]
fn an_operators_reset_goes_back_at_once_with_messages_in_hand() {
    let (mut world, tokens) = consumed(40, 50, 2);
    begin(&mut world, &tokens[..6]);
    world.log(TOPIC, 0).reset = Some(10);
    let before = world.now;
    world.serve_held();
    let again = world.take();
    assert_eq!(offsets(&again), (10..52).collect::<Vec<i64>>());
    assert_eq!((world.now, world.log(TOPIC, 0).committed), (before, Some(10)));
    for token in tokens {
        world.settle(token, Ack::Done);
    }
    world.pass(6_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(10), "late answers move nothing");
    assert_eq!(world.consumer().statistics().late_answers, 12);
    for token in again {
        world.settle(token, Ack::Done);
    }
    world.pass(6_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(52));
}

#[test]
fn an_operators_reset_into_what_is_in_hand_leaves_what_lies_below_to_its_handlers() {
    let (mut world, tokens) = consumed(10, 20, 1);
    begin(&mut world, &tokens);
    world.log(TOPIC, 0).reset = Some(15);
    world.serve_held();
    assert_eq!(offsets(&world.take()), (15..21).collect::<Vec<i64>>());
    world.pass(6_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(10));
    for token in tokens {
        world.settle(token, Ack::Done);
    }
    world.pass(6_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(15));
}

#[test]
fn an_operators_reset_goes_forward_and_what_is_in_hand_is_finished() {
    let mut world = World::new();
    world.start_with("*", |config| config.pull_batch_size = 4);
    world.pass(1_000);
    world.silent.insert(RequestCode::PULL_MESSAGE.0);
    world.publish(0, &["a"; 20]);
    let tokens = world.take();
    assert_eq!(offsets(&tokens), [0, 1, 2, 3]);
    world.silent.clear();
    world.log(TOPIC, 0).reset = Some(20);
    let pull = world.swallowed.pop().expect("the second pull");
    world.serve(pull);
    world.pass(6_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(0));
    assert!(world.revoked.is_empty());
    for token in tokens {
        world.settle(token, Ack::Done);
    }
    world.pass(6_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(20));
}

#[test]
fn an_offset_that_was_taken_back_is_committed_right_after_the_commit_that_was_under_way() {
    let (mut world, tokens) = consumed(40, 50, 2);
    world.silent.insert(RequestCode::UPDATE_CONSUMER_OFFSET.0);
    for token in tokens {
        world.settle(token, Ack::Done);
    }
    world.pass(5_000);
    world.silent.clear();
    world.log(TOPIC, 0).reset = Some(7);
    world.serve_held();
    let before = world.now;
    for commit in core::mem::take(&mut world.swallowed) {
        world.serve(commit);
    }
    world.pass(0);
    assert_eq!((world.now, world.log(TOPIC, 0).committed), (before, Some(7)));
}

#[test]
fn a_broker_that_moves_the_offset_again_and_again_is_asked_less_and_less_often() {
    let (mut world, _) = consumed(40, 50, 2);
    let before = world.requests(RequestCode::PULL_MESSAGE).len();
    for _ in 0..200 {
        world.log(TOPIC, 0).reset = Some(7);
        world.serve_held();
        world.pass(100);
        world.take();
    }
    let pulls = world.requests(RequestCode::PULL_MESSAGE).len() - before;
    assert!(pulls <= 90, "{pulls} pulls in 20 s, three for each of up to 24 moves");
}

#[test]
fn a_place_that_is_none_is_asked_for_again_and_then_the_end_is_taken() {
    for lie in [Some(11), Some(i64::MAX), Some(-1), None] {
        let (mut world, _) = consumed(50, 40, 10);
        world.log(TOPIC, 0).lose(50);
        world.silent.insert(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP.0);
        world.stored_at = 90;
        world.publish(0, &["n"; 10]);
        let (mut asked, begun) = (0, world.now);
        while let Some(search) = world.swallowed.pop() {
            asked += 1;
            match lie {
                Some(offset) => {
                    world.answer(&search, ResponseCode::SUCCESS, &GetMaxOffsetResponseHeader { offset }, &[]);
                }
                None => world.answer(&search, ResponseCode::SYSTEM_ERROR, &crate::remoting::NoHeader, &[]),
            }
            for _ in 0..11 {
                if world.swallowed.is_empty() {
                    world.pass(100);
                }
            }
        }
        assert_eq!(asked, 12, "{lie:?}");
        assert!((world.now - begun).as_millis() < 12_000);
        world.pass(1_000);
        assert_eq!(world.log(TOPIC, 0).committed, Some(10));
        let counted = world.consumer().statistics().topic(TOPIC).map(|topic| topic.bad_answers);
        assert_eq!(counted, Some(if lie.is_some() { 12 } else { 0 }));
    }
}

#[test]
fn a_broker_that_is_silent_about_the_place_is_asked_until_it_answers() {
    let (mut world, _) = consumed(50, 40, 10);
    world.log(TOPIC, 0).lose(50);
    world.silent.insert(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP.0);
    world.stored_at = 90;
    world.publish(0, &["n"; 10]);
    let before = commits(&world);
    world.pass(120_000);
    assert!(world.take().is_empty());
    assert_eq!(commits(&world), before, "nothing is committed meanwhile, not even what was before");
    world.silent.clear();
    world.pass(7_000);
    assert_eq!(offsets(&world.take()), (0..10).collect::<Vec<i64>>());
}

#[test]
fn a_suspended_consumer_is_reset_and_finds_a_lost_tail_but_fetches_nothing() {
    let (mut world, _) = consumed(52, 50, 2);
    suspend(&mut world, 7, true);
    world.log(TOPIC, 0).reset = Some(10);
    world.serve_held();
    world.pass(1_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(10));
    assert_eq!(world.queue(TOPIC, 0).fetch, Fetch::Suspended);
    assert!(world.take().is_empty());
    suspend(&mut world, 8, false);
    assert_eq!(offsets(&world.take()), (10..52).collect::<Vec<i64>>());

    let (mut world, _) = consumed(52, 50, 2);
    suspend(&mut world, 7, true);
    world.log(TOPIC, 0).lose(2);
    world.serve_held();
    world.pass(1_000);
    assert_eq!(searches(&world), [51]);
    assert_eq!(world.log(TOPIC, 0).committed, Some(50));
    assert_eq!(world.queue(TOPIC, 0).fetch, Fetch::Suspended);
}

fn suspend(world: &mut World, operation: u32, suspended: bool) {
    use crate::client::Command;
    use crate::id::{ConsumerId, GenerationalId, OperationId};
    let (operation, consumer) = (OperationId::from_parts(operation, 0), ConsumerId(1));
    world.input(Input::Command(if suspended {
        Command::Consumer(consumer, ConsumerCommand::Suspend { operation })
    } else {
        Command::Consumer(consumer, ConsumerCommand::Resume { operation })
    }));
}

#[test]
fn a_close_waits_for_handlers_below_a_lost_tail() {
    let (mut world, tokens) = consumed(40, 50, 2);
    begin(&mut world, &tokens);
    world.log(TOPIC, 0).lose(2);
    world.serve_held();
    world.close(10_000);
    world.pass(1_000);
    assert!(world.report().is_none());
    for token in &tokens[..10] {
        world.settle(*token, Ack::Done);
    }
    world.pass(100);
    let report = world.report().expect("closed");
    assert_eq!((report.abandoned, report.queues_uncommitted), (0, 0));
    assert_eq!(world.log(TOPIC, 0).committed, Some(50));
}

#[test]
fn a_close_in_doubt_commits_nothing_of_the_queue() {
    let (mut world, tokens) = consumed(40, 50, 2);
    world.silent.insert(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP.0);
    world.log(TOPIC, 0).lose(2);
    world.serve_held();
    for token in &tokens {
        world.settle(*token, Ack::Done);
    }
    world.close(3_000);
    world.pass(4_000);
    assert!(world.report().is_some());
    assert_eq!(world.log(TOPIC, 0).committed, Some(40));
}

#[test]
fn a_start_that_a_search_has_found_is_not_committed_before_the_broker_has_shown_such_an_offset() {
    let mut world = World::new();
    world.publish(0, &["a"; 3]);
    world.silent.insert(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP.0);
    world.start_with("*", |config| config.consume_from = crate::config::ConsumeFrom::Timestamp(STORED));
    world.pass(1_000);
    let search = world.swallowed.pop().expect("a search");
    let offset = 1_000_000_000;
    world.silent.insert(RequestCode::PULL_MESSAGE.0);
    world.answer(&search, ResponseCode::SUCCESS, &GetMaxOffsetResponseHeader { offset }, &[]);
    world.pass(0);
    world.pass(12_000);
    assert!(commits(&world).is_empty(), "no pull was answered: {:?}", commits(&world));
    world.silent.clear();
    world.pass(40_000);
    assert!(commits(&world).iter().all(|commit| *commit <= 3), "{:?}", commits(&world));
    assert_eq!(world.log(TOPIC, 0).committed, Some(3));
}

/// Sees to it that the queue is being pulled from; where.
fn awake(world: &mut World, operation: &mut u32) -> i64 {
    *operation += 1;
    suspend(world, *operation, false);
    world.silent.clear();
    world.pass(8_000);
    world.queue(TOPIC, 0).next_offset.unwrap_or_default()
}

#[derive(Clone, Debug)]
enum Step {
    Publish(usize),
    Lose(usize),
    MakeAnew(usize),
    Reset(prop::sample::Index),
    Settle(prop::sample::Index),
    Begin(prop::sample::Index),
    Silence(bool),
    Suspend(bool),
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    use prop::sample::Index;
    prop_oneof![
        3 => (1..6usize).prop_map(Step::Publish),
        1 => (1..6usize).prop_map(Step::Lose),
        1 => (0..4usize).prop_map(Step::MakeAnew),
        1 => any::<Index>().prop_map(Step::Reset),
        4 => any::<Index>().prop_map(Step::Settle),
        2 => any::<Index>().prop_map(Step::Begin),
        1 => any::<bool>().prop_map(Step::Silence),
        1 => any::<bool>().prop_map(Step::Suspend),
        3 => (0..3_000u64).prop_map(Step::Pass),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// Every message that was never lost comes to a handler and ends, whatever happens to the queue; what is
    /// committed never passes the end that the broker has shown, nor a message that is not finished.
    #[test]
    fn whatever_moves_nothing_is_passed_over(steps in prop::collection::vec(step(), 0..60), old: bool) {
        let mut world = World::new();
        world.old = old;
        world.start();
        let (mut hands, mut number, mut operation) = (Vec::new(), 0, 100);
        let mut finished = alloc::collections::BTreeSet::new();
        let publish = |world: &mut World, count: usize, number: &mut i64| {
            for _ in 0..count {
                *number += 1;
                world.stored_at = STORED + *number;
                world.publish(0, &[&alloc::format!("m{number}")]);
            }
        };
        // Every life of a place is a message of its own.
        publish(&mut world, 2, &mut number);
        for step in steps {
            let names: Vec<alloc::string::String> = world.log(TOPIC, 0).records.clone();
            let name = |token: &ConsumeToken| usize::try_from(token.queue_offset).ok().and_then(|at| names.get(at)).cloned();
            match step {
                Step::Publish(count) => publish(&mut world, count, &mut number),
                Step::Lose(_) | Step::MakeAnew(_) if awake(&mut world, &mut operation) < 2 => {}
                Step::Lose(count) => {
                    let log = world.log(TOPIC, 0);
                    let count = count.min(log.records.len().saturating_sub(1));
                    log.lose(count);
                    // A tail that grows again before anybody pulls can't be told from one that was never lost.
                    world.serve_held();
                    world.pass(4_000);
                }
                Step::MakeAnew(count) => {
                    let log = world.log(TOPIC, 0);
                    let all = log.records.len();
                    log.lose(all);
                    // What has outgrown the position by the next pull can't be told from what was there before.
                    let count = count.min(all - 1).max(1);
                    log.committed = None;
                    world.serve_held();
                    world.pass(4_000);
                    publish(&mut world, count, &mut number);
                    world.pass(4_000);
                }
                Step::Reset(index) => {
                    let log = world.log(TOPIC, 0);
                    let place = i64::try_from(index.index(log.records.len() + 1)).expect("few");
                    // Forward, an operator skips messages.
                    if place <= log.committed.unwrap_or(0) {
                        log.reset = Some(place);
                    }
                    world.serve_held();
                }
                Step::Settle(index) if !hands.is_empty() => {
                    let token = hands.swap_remove(index.index(hands.len()));
                    finished.extend(name(&token));
                    world.settle(token, Ack::Done);
                }
                Step::Begin(index) if !hands.is_empty() => {
                    let token = hands[index.index(hands.len())];
                    begin(&mut world, &[token]);
                }
                Step::Silence(true) => drop(world.silent.insert(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP.0)),
                Step::Silence(false) => world.silent.clear(),
                Step::Suspend(suspended) => {
                    operation += 1;
                    suspend(&mut world, operation, suspended);
                }
                Step::Pass(ms) => world.pass(ms),
                Step::Settle(_) | Step::Begin(_) => {}
            }
            world.silent.remove(&RequestCode::PULL_MESSAGE.0);
            hands.extend(world.take());
            let max = world.log(TOPIC, 0).max();
            prop_assert!(world.queue(TOPIC, 0).next_offset.is_some(), "{max}");
        }
        world.silent.clear();
        suspend(&mut world, 99, false);
        for _ in 0..30 {
            let names: Vec<alloc::string::String> = world.log(TOPIC, 0).records.clone();
            for token in core::mem::take(&mut hands) {
                let at = usize::try_from(token.queue_offset).expect("not negative");
                finished.extend(names.get(at).cloned());
                world.settle(token, Ack::Done);
            }
            world.serve_held();
            world.pass(1_000);
            hands.extend(world.take());
        }
        world.pass(6_000);
        let log = world.log(TOPIC, 0);
        let missing: Vec<_> = log.records.iter().filter(|name| !finished.contains(*name)).collect();
        prop_assert!(missing.is_empty(), "{missing:?} of {:?}", log.records);
        let max = log.max();
        prop_assert_eq!(log.committed.unwrap_or(0), max);
        prop_assert_eq!(world.consumer().cached_bytes(), 0);
    }
}

#[test]
fn the_broker_that_is_asked_is_the_queues_own() {
    let (mut world, _) = consumed(50, 40, 10);
    world.log(TOPIC, 0).lose(5);
    world.serve_held();
    assert_eq!(world.last(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP).address, BROKER_A);
}

#[test]
fn a_queue_in_question_whose_broker_has_no_address_asks_for_the_route_less_and_less_often() {
    let mut world = World::new();
    world.start_with("*", |config| config.pull_delay_when_exception = Duration::from_millis(10));
    world.pass(1_000);
    world.publish(0, &["a"; 50]);
    world.silent.insert(RequestCode::SEARCH_OFFSET_BY_TIMESTAMP.0);
    world.log(TOPIC, 0).lose(5);
    world.serve_held();
    // Whichever of them came last says where the broker is.
    world.routes.insert(TOPIC.into(), vec![("a", "", 1)]);
    world.routes.insert(RETRY.into(), vec![("a", "", 1)]);
    world.pass(60_000);
    world.seen.clear();
    world.pass(10_000);
    let asked = world.requests(RequestCode::GET_ROUTEINFO_BY_TOPIC).len();
    assert!((4..=24).contains(&asked), "{asked} questions for topic and retry topic in 10 s");
    let fetch = &world.queue(TOPIC, 0).fetch;
    assert!(matches!(fetch, Fetch::Pausing(_, Pause::NoAddress)), "{fetch:?}");
}
