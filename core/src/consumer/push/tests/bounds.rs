//! How much is cached, and what goes on when there is room again.

use super::world::{TOPIC, World};
use crate::consumer::push::Fetch;
use crate::consumer::{Ack, Full};
use crate::remoting::RequestCode;

#[test]
fn what_queues_share_is_divided_anew_when_others_leave_some() {
    let mut world = World::with_queues(2);
    world.start_with("*", |config| {
        config.pull_batch_size = 1;
        config.pull_threshold_for_topic = Some(9);
    });
    world.pass(1_000);
    world.publish(1, &["a"; 20]);
    assert_eq!(world.take().len(), 4, "with the retry topic's there are three queues: three, and one batch");
    assert_eq!(world.queue(TOPIC, 1).fetch, Fetch::Full(Full::SharedCount));
    world.others = alloc::vec!["0-other".into()];
    world.pass(20_000);
    assert_eq!(world.consumer().queues().count(), 1, "the other has the first queue and the retry topic's");
    assert_eq!(world.take().len(), 6, "nine, and one batch");
}

#[test]
fn a_consumer_that_has_too_many_bytes_fetches_nothing_and_goes_on_at_once_when_it_has_fewer() {
    let mut world = World::with_queues(3);
    world.start_with("*", |config| {
        config.pull_batch_size = 2;
        config.cached_bytes_max = 1;
    });
    world.pass(1_000);
    world.publish(0, &["a"; 2]);
    let first = world.take();
    assert_eq!(first.len(), 2);
    assert_eq!(world.queue(TOPIC, 0).fetch, Fetch::Full(Full::TotalBytes));
    // Pulls that were under way may still bring a batch each.
    world.publish(1, &["b"; 6]);
    let second = world.take();
    assert_eq!(second.len(), 2);
    assert_eq!(world.queue(TOPIC, 1).fetch, Fetch::Full(Full::TotalBytes));
    let pulls = world.requests(RequestCode::PULL_MESSAGE).len();
    for token in &first {
        world.settle(*token, Ack::Done);
    }
    assert_eq!(world.requests(RequestCode::PULL_MESSAGE).len(), pulls, "the other queue's are left");
    world.settle(second[0], Ack::Done);
    assert!(world.take().is_empty());
    world.settle(second[1], Ack::Done);
    assert!(matches!(world.queue(TOPIC, 0).fetch, Fetch::Pulling(_)), "no message of its own was left");
    let offsets: alloc::vec::Vec<i64> = world.take().iter().map(|token| token.queue_offset).collect();
    assert_eq!(offsets, [2, 3], "without any time passing");
}

#[test]
fn a_queue_whose_own_message_made_room_is_pulled_from_once() {
    let mut world = World::new();
    world.start_with("*", |config| config.cached_bytes_max = 1);
    world.pass(1_000);
    world.publish(0, &["a"]);
    assert_eq!(world.queue(TOPIC, 0).fetch, Fetch::Full(Full::TotalBytes));
    let pulls = world.requests(RequestCode::PULL_MESSAGE).len();
    let token = world.take()[0];
    world.settle(token, Ack::Done);
    assert_eq!(world.requests(RequestCode::PULL_MESSAGE).len(), pulls + 1);
}

#[test]
fn bytes_of_a_queue_that_is_given_up_are_free_again() {
    let mut world = World::with_queues(2);
    world.start_with("*", |config| config.cached_bytes_max = 1);
    world.pass(1_000);
    world.publish(0, &["a"]);
    world.publish(1, &["b"]);
    assert_eq!(world.queue(TOPIC, 1).fetch, Fetch::Full(Full::TotalBytes));
    world.take();
    world.others = alloc::vec!["0-other".into()];
    world.pass(20_000);
    assert_eq!(world.owned(TOPIC), [1]);
    assert_eq!(world.consumer().cached_bytes(), world.queue(TOPIC, 1).cached_bytes);
    world.publish(1, &["c"]);
    assert!(world.take().is_empty(), "one message of its own is left");
    world.others = alloc::vec!["0-other".into(), "0-third".into()];
    world.pass(20_000);
    assert_eq!(world.consumer().cached_bytes(), 0);
}
