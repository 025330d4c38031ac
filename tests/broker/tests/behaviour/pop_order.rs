//! Orderly pops.

use rocketmq_client_core::remoting::PopMessageRequestHeader;

use crate::pop::{Popped, SECOND, pop_header};
use crate::world::{START_MS, World, world};

fn orderly<'a>(attempt_id: Option<&'a str>) -> PopMessageRequestHeader<'a> {
    PopMessageRequestHeader {
        order: true,
        attempt_id: attempt_id.map(Into::into),
        max_msg_nums: 2,
        ..pop_header("G", "T", 0)
    }
}

fn filled() -> (World, rocketmq_dev_broker::ConnectionId) {
    let mut world = world();
    let client = world.connect(1);
    for n in 0..4 {
        world.sent(client, "T", 0, &[], &format!("m{n}"));
    }
    (world, client)
}

#[test]
fn one_batch_of_a_queue_is_out_until_all_of_it_is_acknowledged() {
    let (mut world, client) = filled();
    let first = world.pop(client, &orderly(None));
    assert_eq!((first.bodies(), first.counts.as_deref()), (vec!["m0".into(), "m1".into()], Some("0 0 0")));
    assert_eq!(first.handles[0].revive_queue_id, 999);
    assert_eq!(world.broker.committed_offset("G", "T", 0), Some(0), "what is out isn't consumed");
    assert_eq!(world.pop(client, &orderly(None)).code, 210);
    assert_eq!(world.ack(client, "G", "T", &first.handles[1]).0, 0);
    assert_eq!(world.broker.committed_offset("G", "T", 0), Some(0));
    assert_eq!(world.ack(client, "G", "T", &first.handles[0]).0, 0);
    assert_eq!(world.broker.committed_offset("G", "T", 0), Some(2));
    assert_eq!(world.pop(client, &orderly(None)).bodies(), ["m2", "m3"]);
}

#[test]
fn a_batch_returns_in_place_and_counts() {
    let (mut world, client) = filled();
    let first = world.pop(client, &orderly(Some("a")));
    assert_eq!(world.pop(client, &orderly(Some("b"))).code, 210);
    let same = world.pop(client, &orderly(Some("a")));
    assert_eq!((same.bodies(), same.counts.as_deref()), (first.bodies(), Some("0 0 0")));
    assert_eq!(world.ack(client, "G", "T", &same.handles[0]).0, 0);
    world.advance(10 * SECOND);
    let again = world.pop(client, &orderly(Some("c")));
    assert_eq!(again.bodies(), ["m1", "m2"]);
    assert_eq!(again.counts.as_deref(), Some("0 qo0%1 1;0 0 0"));
    let stale = world.ack(client, "G", "T", &same.handles[1]);
    assert_eq!((stale.0, world.broker.committed_offset("G", "T", 0)), (0, Some(1)), "of an earlier pop");
    world.advance(60 * SECOND);
    assert!(world.broker.topic("%RETRY%G_T").is_none(), "order is kept without a retry topic");
}

#[test]
fn an_offset_outside_the_batch_is_refused() {
    let (mut world, client) = filled();
    let mut handle = world.pop(client, &orderly(None)).handles.remove(0);
    handle.queue_offset = Some(3);
    let (code, remark) = world.ack(client, "G", "T", &handle);
    assert_eq!(code, 13);
    assert!(remark.starts_with("offset is illegal, key:T@G@0, old:0, commit:3, next:-1, /"), "{remark}");
}

#[test]
fn a_changed_time_lets_a_waiting_pop_go_at_that_time() {
    let (mut world, client) = filled();
    let first = world.pop(client, &orderly(None));
    let header = PopMessageRequestHeader { poll_time: 8_000, born_time: START_MS, ..orderly(None) };
    let frame = world.frame(200_050, &header, &[], b"");
    let opaque = world.post(client, frame);
    for handle in &first.handles {
        let renewed = world.change(client, "G", "T", handle, 3_000);
        assert_eq!((renewed.pop_time, renewed.invisible_time_ms), (handle.pop_time, 3_000));
    }
    world.advance(2 * SECOND);
    assert!(world.take(opaque).is_none());
    world.advance(SECOND);
    let popped = Popped::of(&world.take(opaque).unwrap());
    assert_eq!(
        (popped.bodies(), popped.counts.as_deref()),
        (first.bodies(), Some("0 qo0%0 1;0 qo0%1 1;0 0 1"))
    );
}

#[test]
fn the_last_acknowledgement_lets_a_waiting_pop_go() {
    let (mut world, client) = filled();
    let first = world.pop(client, &orderly(None));
    let any =
        PopMessageRequestHeader { poll_time: 8_000, born_time: START_MS, queue_id: -1, ..orderly(None) };
    let frame = world.frame(200_050, &any, &[], b"");
    let opaque = world.post(client, frame);
    world.ack(client, "G", "T", &first.handles[0]);
    assert!(world.take(opaque).is_none());
    world.ack(client, "G", "T", &first.handles[1]);
    assert_eq!(Popped::of(&world.take(opaque).unwrap()).bodies(), ["m2", "m3"]);
}

#[test]
fn a_clean_restart_knows_the_batch_that_is_out() {
    let (mut world, client) = filled();
    world.pop(client, &orderly(None));
    let wall = rocketmq_client_core::time::Timestamp::from_millis(START_MS);
    let mut after = world.with_broker(world.broker.restart(world.now, wall));
    let client = after.connect(2);
    assert_eq!(after.pop(client, &orderly(None)).code, 210);
    let crashed = world.broker.crash(rocketmq_dev_broker::Durability::All, world.now, wall);
    let mut after = world.with_broker(crashed);
    let client = after.connect(2);
    assert_eq!(after.pop(client, &orderly(None)).bodies(), ["m0", "m1"], "it wasn't written yet");
}
