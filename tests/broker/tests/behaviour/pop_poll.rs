//! Pops and notifications that wait, and looks at what could be popped.

use std::time::Duration;

use rocketmq_client_core::remoting::{
    NotificationRequestHeader, NotificationResponseHeader, PeekMessageRequestHeader,
    PollingInfoRequestHeader, PollingInfoResponseHeader, PopMessageRequestHeader, PopMessageResponseHeader,
};
use rocketmq_dev_broker::ConnectionId;

use crate::pop::{Popped, SECOND, pop_header};
use crate::world::{START_MS, World, world};

impl World {
    fn post_pop(&mut self, connection: ConnectionId, header: &PopMessageRequestHeader<'_>) -> i32 {
        let frame = self.frame(200_050, header, &[], b"");
        self.post(connection, frame)
    }
}

fn waiting<'a>(queue_id: i32) -> PopMessageRequestHeader<'a> {
    PopMessageRequestHeader {
        poll_time: 2_000,
        born_time: START_MS,
        max_msg_nums: 1,
        ..pop_header("G", "T", queue_id)
    }
}

fn topic(world: &mut World) -> (ConnectionId, ConnectionId) {
    let (client, producer) = (world.connect(1), world.connect(2));
    world.sent(producer, "T", 0, &[], "old");
    let old = world.pop(client, &pop_header("G", "T", -1));
    world.ack(client, "G", "T", &old.handles[0]);
    (client, producer)
}

#[test]
fn a_pop_waits_almost_as_long_as_it_says() {
    let mut world = world();
    let (client, _) = topic(&mut world);
    let opaque = world.post_pop(client, &waiting(-1));
    world.advance(Duration::from_millis(1_950));
    assert!(world.take(opaque).is_none());
    world.advance(Duration::from_millis(2));
    let answer = world.take(opaque).expect("the wait is over");
    assert_eq!((answer.code, Popped::of(&answer).starts.as_str()), (210, ""));
    assert_eq!(world.broker.waiting_pops(), 0);
}

#[test]
fn one_message_wakes_one_pop_of_a_group_and_each_group_gets_it() {
    let mut world = world();
    let (client, producer) = topic(&mut world);
    let mine = [-1, -1, 0].map(|queue_id| world.post_pop(client, &waiting(queue_id)));
    world.pop(client, &pop_header("H", "T", -1));
    let other = PopMessageRequestHeader { consumer_group: "H".into(), ..waiting(-1) };
    let theirs = world.post_pop(client, &other);
    world.sent(producer, "T", 0, &[], "new");
    let answered: Vec<_> = mine.iter().map(|opaque| world.take(*opaque).is_some()).collect();
    assert_eq!(answered, [true, false, false], "the first that waits, and it alone");
    assert!(world.take(theirs).is_some_and(|answer| answer.code == 0));
    world.sent(producer, "T", 0, &[], "newer");
    assert!(world.take(mine[1]).is_some());
    world.sent(producer, "T", 0, &[], "newest");
    assert!(world.take(mine[2]).is_some());
}

#[test]
fn a_filtered_pop_sleeps_through_messages_of_other_tags() {
    let mut world = world();
    let (client, producer) = topic(&mut world);
    let wanted = PopMessageRequestHeader { exp: Some("a".into()), ..waiting(-1) };
    let opaque = world.post_pop(client, &wanted);
    world.sent(producer, "T", 0, &[("TAGS", "b")], "b");
    assert!(world.take(opaque).is_none());
    world.sent(producer, "T", 0, &[("TAGS", "a")], "a");
    assert_eq!(Popped::of(&world.take(opaque).unwrap()).bodies(), ["a"]);
}

#[test]
fn a_message_that_is_due_again_wakes_its_group() {
    let mut world = world();
    let (client, producer) = topic(&mut world);
    world.sent(producer, "T", 1, &[("TAGS", "b")], "again");
    world.pop(client, &pop_header("G", "T", 1));
    let wanted = PopMessageRequestHeader { exp: Some("b".into()), poll_time: 30_000, ..waiting(-1) };
    let opaque = world.post_pop(client, &wanted);
    world.advance(12 * SECOND);
    assert!(world.take(opaque).is_none());
    world.advance(2 * SECOND);
    assert_eq!(Popped::of(&world.take(opaque).unwrap()).bodies(), ["again"]);
}

#[test]
fn what_one_pop_leaves_wakes_the_next() {
    let mut world = world();
    let (client, producer) = topic(&mut world);
    let opaques = [(); 3].map(|()| world.post_pop(client, &waiting(-1)));
    world.broker.faults_mut().freeze(true);
    for n in 0..2 {
        let header = crate::world::send_header("T", 0, "");
        let frame = world.frame(310, &header, &[], format!("m{n}").as_bytes());
        world.post(producer, frame);
    }
    world.broker.faults_mut().freeze(false);
    world.drain();
    let answered: Vec<_> = opaques.iter().map(|opaque| world.take(*opaque).is_some()).collect();
    assert_eq!(answered, [true, true, false]);
}

#[test]
fn notifications_say_that_there_is_something() {
    let mut world = world();
    let (client, producer) = topic(&mut world);
    let header = NotificationRequestHeader {
        consumer_group: "G".into(),
        topic: "T".into(),
        queue_id: -1,
        poll_time: 2_000,
        born_time: START_MS,
        ..Default::default()
    };
    let frame = world.frame(200_054, &header, &[], b"");
    let first = world.post(client, frame);
    let frame = world.frame(200_054, &header, &[], b"");
    let second = world.post(client, frame);
    assert_eq!(world.broker.waiting_pops(), 2);
    world.sent(producer, "T", 3, &[], "new");
    let has = |world: &mut World, opaque| {
        let answer = world.take(opaque)?;
        Some((answer.code, answer.header::<NotificationResponseHeader>().unwrap().has_msg))
    };
    assert_eq!(has(&mut world, first), None, "the last that came is woken");
    assert_eq!(has(&mut world, second), Some((0, true)));
    world.advance(2 * SECOND);
    assert_eq!(has(&mut world, first), Some((0, true)), "nobody took it meanwhile");
    world.pop(client, &pop_header("G", "T", -1));
    let now = NotificationRequestHeader { poll_time: 0, ..header };
    let answer = world.ask(client, &now);
    assert!(!answer.header::<NotificationResponseHeader>().unwrap().has_msg);
}

#[test]
fn polling_info_counts_who_waits_for_the_same() {
    let mut world = world();
    let (client, _) = topic(&mut world);
    world.post_pop(client, &waiting(-1));
    world.post_pop(client, &waiting(-1));
    world.post_pop(client, &waiting(2));
    let count = |world: &mut World, queue_id| {
        let header = PollingInfoRequestHeader {
            consumer_group: "G".into(),
            topic: "T".into(),
            queue_id,
            ..Default::default()
        };
        world.ask(client, &header).header::<PollingInfoResponseHeader>().unwrap().polling_num
    };
    assert_eq!((count(&mut world, -1), count(&mut world, 2), count(&mut world, 0)), (2, 1, 0));
    world.disconnect(client);
    assert_eq!(world.broker.waiting_pops(), 0);
}

#[test]
fn a_peek_takes_nothing() {
    let mut world = world();
    let (client, producer) = topic(&mut world);
    let header = PeekMessageRequestHeader {
        consumer_group: "G".into(),
        topic: "T".into(),
        queue_id: -1,
        max_msg_nums: 8,
        ..Default::default()
    };
    assert_eq!(world.ask(client, &header).code, 19);
    world.sent(producer, "T", 2, &[], "x");
    for _ in 0..2 {
        let answer = world.ask(client, &header);
        let rest = answer.header::<PopMessageResponseHeader<'_>>().unwrap().rest_num;
        assert_eq!((answer.code, rest, answer.remark.as_deref()), (0, 1, Some("FOUND")));
    }
    assert_eq!(world.pop(client, &pop_header("G", "T", 2)).bodies(), ["x"]);
}

#[test]
fn the_broker_asks_to_be_woken_for_what_is_due() {
    let mut world = world();
    let (client, _) = topic(&mut world);
    let polled = world.post_pop(client, &waiting(-1));
    world.sent(client, "Again", 0, &[], "x");
    world.pop(client, &pop_header("G", "Again", 0));
    world.sent(client, "Order", 0, &[], "x");
    let order = PopMessageRequestHeader { order: true, ..pop_header("G", "Order", 0) };
    world.pop(client, &order);
    let order = PopMessageRequestHeader { poll_time: 20_000, born_time: START_MS, ..order };
    let ordered = world.post_pop(client, &order);
    let channels_kept = world.broker.connection_count();
    world.advance(60 * SECOND);
    assert_eq!(world.broker.connection_count(), channels_kept);
    let mut answered_at = |opaque| {
        let answer = world.take(opaque).expect("it is answered");
        answer.header::<PopMessageResponseHeader<'_>>().unwrap().pop_time - START_MS
    };
    assert_eq!((answered_at(polled), answered_at(ordered)), (1_951, 10_000));
    let again = world.broker.queue("%RETRY%G_Again", 0).next().expect("it is due again");
    assert_eq!(again.store_timestamp.as_millis() - START_MS, 13_000);
}
