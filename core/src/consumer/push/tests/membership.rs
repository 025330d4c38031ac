//! Starting, rebalance, brokers and routes that come and go.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use super::world::{BROKER_A, BROKER_B, RETRY, TOPIC, World};
use crate::client::Outcome;
use crate::consumer::Ack;
use crate::error::{Error, UsageError};
use crate::remoting::{
    HeartbeatData, NotifyConsumerIdsChangedRequestHeader, PullMessageRequestHeader,
    QueryConsumerOffsetRequestHeader, RequestCode, ResponseCode, UpdateConsumerOffsetRequestHeader,
};

impl World {
    pub(super) fn members_change(&mut self, others: &[&str]) {
        self.others = others.iter().map(|id| (*id).into()).collect();
        let header =
            NotifyConsumerIdsChangedRequestHeader { consumer_group: "g".into(), ..Default::default() };
        self.notify(BROKER_A, RequestCode::NOTIFY_CONSUMER_IDS_CHANGED, &header);
    }
}

#[test]
fn brokers_hear_what_the_group_subscribes_to_before_they_are_pulled_from() {
    let mut world = World::new();
    world.start_with("red", |_| {});
    let codes: alloc::vec::Vec<i32> = world
        .seen
        .iter()
        .filter(|arrived| arrived.address == BROKER_A)
        .map(|arrived| arrived.command.code)
        .collect();
    let first = |code: RequestCode| codes.iter().position(|seen| *seen == code.0).expect("sent");
    assert!(first(RequestCode::HEART_BEAT) < first(RequestCode::GET_CONSUMER_LIST_BY_GROUP));
    assert!(first(RequestCode::GET_CONSUMER_LIST_BY_GROUP) < first(RequestCode::PULL_MESSAGE));
    let heartbeat =
        HeartbeatData::decode(&world.last(RequestCode::HEART_BEAT).command.body).expect("readable");
    let group = &heartbeat.consumer_data_set[0];
    let subscriptions = group.subscription_data_set.as_ref().expect("there");
    let texts: alloc::vec::Vec<(&str, &str)> =
        subscriptions.iter().map(|one| (&*one.topic, &*one.sub_string)).collect();
    assert_eq!(texts, [(RETRY, "*"), (TOPIC, "red")]);
    let pull = world.last(RequestCode::PULL_MESSAGE);
    let version = pull.header::<PullMessageRequestHeader<'_>>().sub_version;
    assert_eq!(version, subscriptions[0].sub_version, "a newer one would be refused");
}

#[test]
fn the_retry_topic_is_consumed_as_soon_as_the_broker_has_made_it() {
    let mut world = World::new();
    world.start();
    assert_eq!(world.owned(RETRY), [0]);
}

#[test]
fn queues_are_shared_when_another_member_comes_and_taken_back_when_it_leaves() {
    let mut world = World::with_queues(4);
    world.start();
    world.members_change(&["0-first"]);
    world.pass(200);
    assert_eq!(world.owned(TOPIC), [2, 3]);
    world.members_change(&[]);
    world.pass(200);
    assert_eq!(world.owned(TOPIC), [0, 1, 2, 3]);
}

#[test]
fn a_queue_is_committed_when_it_is_given_up_and_its_late_answers_count_for_nothing() {
    let mut world = World::with_queues(2);
    world.start();
    world.publish(0, &["a", "b"]);
    let tokens = world.take();
    world.settle(tokens[0], Ack::Done);
    world.members_change(&["0-first"]);
    world.pass(200);
    assert_eq!(world.owned(TOPIC), [1]);
    assert!(world.revoked.contains(&tokens[0].queue));
    assert_eq!(world.log(TOPIC, 0).committed, Some(1));
    world.settle(tokens[1], Ack::Done);
    world.pass(20_000);
    assert_eq!(world.log(TOPIC, 0).committed, Some(1), "the next owner has it");
    world.hand_back(tokens[1]);
    assert_eq!(world.consumer().late_count(), 1, "what was never begun isn't late");
}

#[test]
fn nothing_is_delivered_of_a_queue_that_was_given_up_while_it_was_pulled() {
    let mut world = World::with_queues(2);
    world.start();
    world.members_change(&["0-first"]);
    world.pass(200);
    world.publish(0, &["a"]);
    assert!(world.take().is_empty());
}

#[test]
fn a_queue_that_comes_back_starts_at_what_the_broker_has() {
    let mut world = World::with_queues(2);
    world.start();
    world.publish(0, &["a"; 4]);
    world.take();
    world.members_change(&["0-first"]);
    world.pass(200);
    world.log(TOPIC, 0).committed = Some(3);
    world.members_change(&[]);
    world.pass(200);
    let tokens = world.take();
    assert_eq!(tokens.iter().map(|token| token.queue_offset).collect::<alloc::vec::Vec<_>>(), [3]);
}

#[test]
fn an_unknown_member_list_changes_nothing_and_is_asked_again_after_a_second() {
    let mut world = World::with_queues(2);
    world.start();
    world.refuse.insert(RequestCode::GET_CONSUMER_LIST_BY_GROUP.0, ResponseCode::SYSTEM_ERROR);
    world.members_change(&["0-first"]);
    world.pass(900);
    assert_eq!(world.owned(TOPIC), [0, 1]);
    world.refuse.clear();
    world.pass(1_200);
    assert_eq!(world.owned(TOPIC), [1]);
}

#[test]
fn a_member_that_the_broker_has_forgotten_gives_up_and_comes_back() {
    let mut world = World::with_queues(2);
    world.start();
    world.registered.clear();
    world.members_change(&["0-first"]);
    world.pass(50);
    assert!(world.owned(TOPIC).is_empty());
    world.pass(1_200);
    assert_eq!(world.owned(TOPIC), [1], "after another heartbeat");
}

#[test]
fn rounds_are_limited_however_many_notifications_come() {
    let mut world = World::new();
    world.start();
    let before = world.requests(RequestCode::GET_CONSUMER_LIST_BY_GROUP).len();
    for _ in 0..100 {
        world.members_change(&[]);
        world.pass(10);
    }
    let rounds = (world.requests(RequestCode::GET_CONSUMER_LIST_BY_GROUP).len() - before) / 2;
    assert!((8..=11).contains(&rounds), "{rounds} rounds in a second");
}

#[test]
fn queues_are_divided_again_every_twenty_seconds_without_a_reason() {
    let mut world = World::with_queues(2);
    world.start();
    world.others = vec!["0-first".into()];
    world.pass(18_000);
    assert_eq!(world.owned(TOPIC), [0, 1]);
    world.pass(2_500);
    assert_eq!(world.owned(TOPIC), [1]);
}

#[test]
fn a_topic_that_does_not_exist_yet_is_consumed_once_it_does() {
    let mut world = World::new();
    let route = world.routes.remove(TOPIC).expect("set up");
    world.start_with("*", |_| {});
    world.pass(6_000);
    assert!(matches!(world.outcomes.get(&1), Some(Outcome::Done)), "the start is not held up for ever");
    world.routes.insert(TOPIC.into(), route);
    world.pass(5_500);
    assert_eq!(world.owned(TOPIC), [0]);
    assert_eq!(world.owned(RETRY), [0]);
}

#[test]
fn queues_of_a_new_broker_are_taken_once_it_knows_the_group() {
    let mut world = World::new();
    world.start();
    world.routes.insert(TOPIC.into(), vec![("a", BROKER_A, 1), ("b", BROKER_B, 1)]);
    world.pass(30_000);
    assert_eq!(world.owned(TOPIC), [0, 0]);
    assert!(world.registered.contains(BROKER_B));
    let refused =
        world.requests(RequestCode::PULL_MESSAGE).iter().filter(|pull| pull.address == BROKER_B).count();
    assert_eq!(refused, 1, "the first pull was not refused");
}

#[test]
fn a_broker_that_restarted_gets_a_heartbeat_before_pulls_go_on() {
    let mut world = World::new();
    world.start();
    world.cut(BROKER_A);
    world.pass(300);
    world.publish(0, &["a"]);
    assert_eq!(world.take().len(), 1, "within a fraction of a second");
}

#[test]
fn nothing_overtakes_a_commit_that_is_on_its_way() {
    let mut world = World::with_queues(2);
    world.start();
    world.publish(0, &["a", "b"]);
    let tokens = world.take();
    world.silent.insert(RequestCode::UPDATE_CONSUMER_OFFSET.0);
    world.settle(tokens[0], Ack::Done);
    world.pass(4_900);
    world.settle(tokens[1], Ack::Done);
    world.members_change(&["0-first"]);
    world.pass(300);
    let under_way: alloc::vec::Vec<i64> = world
        .requests(RequestCode::UPDATE_CONSUMER_OFFSET)
        .iter()
        .map(|commit| commit.header::<UpdateConsumerOffsetRequestHeader<'_>>())
        .filter(|header| header.topic == TOPIC && header.queue_id == 0)
        .map(|header| header.commit_offset)
        .collect();
    assert_eq!(under_way, [1], "one at a time");
    world.silent.clear();
    for commit in core::mem::take(&mut world.swallowed) {
        world.serve(commit);
    }
    world.pass(100);
    assert_eq!(world.log(TOPIC, 0).committed, Some(2), "the queue is gone, its last offset isn't lost");
}

#[test]
fn each_queue_is_asked_for_its_offset_once() {
    let mut world = World::with_queues(3);
    world.start();
    world.pass(30_000);
    let asked = world.requests(RequestCode::QUERY_CONSUMER_OFFSET);
    let of_topic = asked
        .iter()
        .filter(|ask| ask.header::<QueryConsumerOffsetRequestHeader<'_>>().topic == TOPIC)
        .count();
    assert_eq!(of_topic, 3);
}

#[test]
fn a_filter_that_is_none_is_told_at_once() {
    for filter in ["||", " ", " || ", "|| \t||", " * ", "*\n", "Aa || *", "*||*", "Aa||*||BB", "||*"] {
        let mut world = World::new();
        world.start_with(filter, |_| {});
        let Some(Outcome::Failed(Error::Usage(error))) = world.outcomes.get(&1) else { panic!("{filter:?}") };
        assert!(matches!(error, UsageError::Expression { expression, .. } if &**expression == filter));
        assert!(error.to_string().contains("write \"*\" alone"), "{error}");
    }
}

#[test]
fn a_filter_that_names_tags_or_everything_is_taken() {
    for filter in ["", "*", "Aa", " Aa ", "Aa||BB", "Aa || BB ||", "a b || *c", "**"] {
        let mut world = World::new();
        world.start_with(filter, |_| {});
        world.pass(1_000);
        assert!(matches!(world.outcomes.get(&1), Some(Outcome::Done)), "{filter:?}");
    }
}

#[test]
fn only_brokers_that_know_the_group_are_asked_for_its_members() {
    let mut world = World::new();
    world.start();
    world.down.insert(BROKER_B.into());
    world.routes.insert(TOPIC.into(), vec![("a", BROKER_A, 1), ("b", BROKER_B, 1)]);
    world.pass(31_000);
    assert_eq!(world.owned(TOPIC), [0, 0], "broker b, whose turn it would be, can't tell");
}

#[test]
fn a_broker_that_has_forgotten_the_group_is_reminded_when_it_refuses_a_pull() {
    let mut world = World::new();
    world.start();
    world.registered.clear();
    world.publish(0, &["a"]);
    world.pass(150);
    assert_eq!(world.take().len(), 1);
}

#[test]
fn queues_go_on_the_moment_their_broker_is_back_whatever_their_own_pause() {
    let mut world = World::new();
    world.start_with("*", |config| config.pull_delay_when_exception = Duration::from_secs(600));
    world.pass(1_000);
    world.down.insert(BROKER_A.into());
    world.cut(BROKER_A);
    world.pass(120_000);
    world.down.clear();
    world.publish(0, &["a"]);
    world.pass(5_000);
    assert_eq!(world.take().len(), 1);
}

#[test]
fn a_broker_that_name_servers_forgot_is_found_long_before_the_next_poll_of_routes() {
    let mut world = World::new();
    let both = vec![("a", BROKER_A, 1), ("b", BROKER_B, 1)];
    world.routes.insert(TOPIC.into(), both.clone());
    world.start();
    assert_eq!(world.consumer().queues().filter(|view| &*view.queue.topic == TOPIC).count(), 2);
    world.down.insert(BROKER_B.into());
    world.routes.insert(TOPIC.into(), vec![("a", BROKER_A, 1)]);
    world.cut(BROKER_B);
    world.pass(40_000);
    assert_eq!(world.owned(TOPIC), [0], "the route lost it, and so did we");
    world.down.clear();
    world.routes.insert(TOPIC.into(), both);
    world.pass(3_000);
    assert_eq!(world.owned(TOPIC), [0, 0], "of both brokers");
    assert!(world.held.iter().any(|pull| pull.address == BROKER_B), "and pulled from");
    world.seen.clear();
    world.pass(25_000);
    assert!(world.requests(RequestCode::GET_ROUTEINFO_BY_TOPIC).len() <= 2, "all is well: the poll alone");
}

#[test]
fn brokers_that_no_route_names_are_looked_for_ten_times_a_second_at_most() {
    let mut world = World::new();
    let both = vec![("a", BROKER_A, 1), ("b", BROKER_B, 1)];
    world.routes.insert(TOPIC.into(), both.clone());
    let topics: Vec<String> = (0..60).map(|number| format!("T{number}")).collect();
    for topic in &topics {
        world.routes.insert(topic.clone(), vec![("a", BROKER_A, 1)]);
    }
    world.start_with("*", |config| {
        config.subscriptions.extend(topics.iter().map(|topic| (topic.as_str().into(), "*".into())));
    });
    world.pass(1_000);
    // Name servers forget it first, its connection ends later.
    world.routes.insert(TOPIC.into(), vec![("a", BROKER_A, 1)]);
    world.pass(60_000);
    assert!(!world.client.shared().routes.is_broker(BROKER_B));
    world.down.insert(BROKER_B.into());
    world.cut(BROKER_B);
    world.seen.clear();
    world.pass(10_000);
    // The poll goes on beside it: 62 in 30 s.
    let asked = world.requests(RequestCode::GET_ROUTEINFO_BY_TOPIC).len();
    assert!((50..=100 + 32).contains(&asked), "{asked} questions in 10 s");
    world.down.clear();
    world.routes.insert(TOPIC.into(), both);
    world.pass(10_000);
    assert_eq!(world.owned(TOPIC), [0, 0], "of both brokers");
    world.seen.clear();
    world.pass(30_000);
    let asked = world.requests(RequestCode::GET_ROUTEINFO_BY_TOPIC).len();
    assert!(asked <= 75, "all is well again, and {asked} questions");
}

#[test]
fn a_broker_that_is_left_out_of_its_route_after_its_connection_has_ended_is_found_soon_too() {
    // The next try to reach it comes before the new route, or after it.
    for before in 0..10 {
        let mut world = World::new();
        // It has no queue to pull from.
        world.routes.insert(TOPIC.into(), vec![("a", BROKER_A, 1), ("b", BROKER_B, 0)]);
        world.start();
        world.pass(before * 3_000);
        world.down.insert(BROKER_B.into());
        world.cut(BROKER_B);
        world.routes.insert(TOPIC.into(), vec![("a", BROKER_A, 1)]);
        world.pass(40_000);
        assert!(!world.client.shared().routes.is_broker(BROKER_B));
        world.down.clear();
        world.routes.insert(TOPIC.into(), vec![("a", BROKER_A, 1), ("b", BROKER_B, 1)]);
        world.pass(3_000);
        assert_eq!(world.owned(TOPIC), [0, 0], "of both brokers, {before}");
    }
}
