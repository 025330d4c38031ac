//! Crashes, restarts and switched-on faults.

use std::time::Duration;

use rocketmq_client_core::remoting::{
    HeartbeatRequestHeader, RequestCode, ResponseCode, UpdateConsumerOffsetRequestHeader,
};
use rocketmq_client_core::time::Timestamp;
use rocketmq_dev_broker::{BrokerConfig, Durability, Fault, FlushDisk};

use crate::world::{START_MS, World, bodies, heartbeat, send_header, world};

const SECOND: Duration = Duration::from_secs(1);

impl World {
    fn crash(&mut self, keep: Durability) {
        let wall = Timestamp::from_millis(START_MS + 1_000_000);
        self.broker = self.broker.crash(keep, self.now, wall);
        self.broker.handle_timeout(self.now);
        self.drain();
    }
}

fn commit(offset: i64) -> UpdateConsumerOffsetRequestHeader<'static> {
    UpdateConsumerOffsetRequestHeader {
        consumer_group: "G".into(),
        topic: "T".into(),
        commit_offset: offset,
        ..Default::default()
    }
}

#[test]
fn a_killed_process_loses_members_locks_and_young_commits_but_no_message() {
    let mut world = world();
    let client = world.connect(1);
    world.heartbeat(client, "c", "G", &["T"]);
    world.sent(client, "T", 0, &[], "a");
    world.ask(client, &commit(1));
    world.advance(5 * SECOND);
    world.ask(client, &commit(9));
    world.crash(Durability::All);
    assert_eq!(bodies(&world.broker.messages("T")), ["a"]);
    assert_eq!(world.broker.committed_offset("G", "T", 0), Some(1));
    assert_eq!((world.broker.members("G").count(), world.broker.connection_count()), (0, 0));
    let client = world.connect(2);
    assert_eq!(world.sent(client, "T", 0, &[], "b").queue_offset, 1);
}

#[test]
fn a_clean_restart_keeps_every_commit() {
    let mut world = world();
    let client = world.connect(1);
    world.heartbeat(client, "c", "G", &["T"]);
    world.sent(client, "T", 0, &[], "a");
    world.ask(client, &commit(9));
    world.broker = world.broker.restart(world.now, Timestamp::from_millis(START_MS));
    assert_eq!(world.broker.committed_offset("G", "T", 0), Some(9));
    assert_eq!(world.broker.members("G").count(), 0);
    let crashed_later = world.broker.crash(Durability::All, world.now, Timestamp::from_millis(START_MS));
    assert_eq!(crashed_later.committed_offset("G", "T", 0), Some(9), "they were flushed");
}

#[test]
fn a_power_loss_takes_the_tail_and_its_offsets_are_used_again() {
    let mut world = world();
    let client = world.connect(1);
    for body in ["a", "b", "c"] {
        world.sent(client, "T", 0, &[], body);
        world.advance(Duration::from_millis(10));
    }
    let mut other = crate::world::world();
    other.broker = world.broker.clone();
    other.now = world.now;
    world.crash(Durability::LoseRecords(2));
    assert_eq!(bodies(&world.broker.messages("T")), ["a"]);
    let client = world.connect(2);
    assert_eq!(world.sent(client, "T", 0, &[], "d").queue_offset, 1);
    other.crash(Durability::LoseMillis(15));
    assert_eq!(bodies(&other.broker.messages("T")), ["a", "b"]);
    other.crash(Durability::LoseRecords(99));
    assert!(other.broker.messages("T").is_empty());
}

#[test]
fn deliveries_since_the_last_flush_are_repeated_after_a_crash() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[("DELAY", "1")], "x");
    world.advance(2 * SECOND);
    assert_eq!(world.broker.messages("T").len(), 1);
    world.crash(Durability::All);
    world.advance(2 * SECOND);
    assert_eq!(bodies(&world.broker.messages("T")), ["x", "x"]);
    world.advance(20 * SECOND);
    world.crash(Durability::All);
    world.advance(2 * SECOND);
    assert_eq!(world.broker.messages("T").len(), 2, "its progress was flushed");
}

#[test]
fn a_delayed_message_after_a_lost_tail_is_still_delivered() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[("DELAY", "1")], "lost");
    world.advance(20 * SECOND);
    world.crash(Durability::LoseRecords(99));
    let client = world.connect(2);
    world.sent(client, "T", 0, &[("DELAY", "1")], "kept");
    world.advance(3 * SECOND);
    assert_eq!(bodies(&world.broker.messages("T")), ["kept"]);
}

#[test]
fn a_switched_on_answer_replaces_the_work() {
    let mut world = world();
    let client = world.connect(1);
    let fault =
        Fault::Answer { code: ResponseCode::SYSTEM_BUSY, remark: "[REJECTREQUEST]system busy".to_owned() };
    world.broker.faults_mut().next(RequestCode::SEND_MESSAGE_V2, 1, fault);
    let busy = world.send(client, "T", 0, &[], "x");
    assert_eq!((busy.code, busy.remark.as_deref()), (2, Some("[REJECTREQUEST]system busy")));
    assert_eq!(world.broker.log().count(), 0);
    assert_eq!(world.send(client, "T", 0, &[], "x").code, 0);
}

#[test]
fn a_lost_answer_leaves_a_stored_message() {
    let mut world = world();
    let client = world.connect(1);
    world.broker.faults_mut().next(RequestCode::SEND_MESSAGE_V2, 1, Fault::DropResponse);
    let frame = world.frame(310, &send_header("T", 0, ""), &[], b"x");
    let opaque = world.post(client, frame);
    assert!(world.take(opaque).is_none());
    assert_eq!(world.broker.messages("T").len(), 1);
    world.broker.faults_mut().next_any(1, Fault::DropRequest);
    let frame = world.frame(310, &send_header("T", 0, ""), &[], b"x");
    let opaque = world.post(client, frame);
    assert!(world.take(opaque).is_none());
    assert_eq!(world.broker.messages("T").len(), 1);
}

#[test]
fn a_late_answer_leaves_at_its_time() {
    let mut world = world();
    let client = world.connect(1);
    world.broker.faults_mut().next_any(1, Fault::DelayResponse(4 * SECOND));
    let frame = world.frame(310, &send_header("T", 0, ""), &[], b"x");
    let opaque = world.post(client, frame);
    world.advance(4 * SECOND - Duration::from_millis(1));
    assert!(world.take(opaque).is_none());
    world.advance(Duration::from_millis(1));
    assert_eq!(world.take(opaque).unwrap().code, 0);
}

#[test]
fn a_frozen_broker_does_what_came_in_when_it_thaws() {
    let mut world = world();
    let client = world.connect(1);
    world.broker.faults_mut().freeze(true);
    let frame = world.frame(310, &send_header("T", 0, ""), &[], b"x");
    let opaque = world.post(client, frame);
    world.advance(60 * SECOND);
    assert!(world.take(opaque).is_none() && world.broker.log().count() == 0);
    world.broker.faults_mut().freeze(false);
    world.drain();
    assert_eq!(world.take(opaque).unwrap().code, 0);
}

#[test]
fn what_comes_after_the_thaw_is_done_after_what_came_before() {
    let mut world = world();
    let client = world.connect(1);
    world.broker.faults_mut().freeze(true);
    for body in [b"first", b"later"] {
        let frame = world.frame(310, &send_header("T", 0, ""), &[], body);
        world.post(client, frame);
        world.broker.faults_mut().freeze(false);
    }
    let bodies: Vec<_> =
        world.broker.messages("T").iter().map(|message| message.raw_body().to_vec()).collect();
    assert_eq!(bodies, [b"first", b"later"]);
}

#[test]
fn a_client_that_left_while_the_broker_was_frozen_is_no_member_after_it_thaws() {
    let mut world = world();
    let client = world.connect(1);
    world.broker.faults_mut().freeze(true);
    let body = heartbeat("c1", "G", &["T"], 1, 0, false);
    let frame = world.frame(34, &HeartbeatRequestHeader::default(), &[], body.as_bytes());
    world.post(client, frame);
    world.disconnect(client);
    world.broker.faults_mut().freeze(false);
    world.drain();
    assert_eq!(world.broker.members("G").count(), 0);
}

#[test]
fn a_connection_that_ends_with_its_request_ends_its_clients_membership() {
    for (fault, stored) in [(Fault::CloseBefore, 0), (Fault::CloseAfter, 1)] {
        let mut world = world();
        let client = world.connect(1);
        world.heartbeat(client, "c", "G", &["T"]);
        world.broker.faults_mut().add(fault.on_sends().topic("T"));
        let frame = world.frame(310, &send_header("T", 0, ""), &[], b"x");
        let opaque = world.post(client, frame);
        assert!(world.take(opaque).is_none() && world.closed == [client]);
        assert_eq!((world.broker.messages("T").len(), world.broker.members("G").count()), (stored, 0));
    }
}

#[test]
fn a_power_loss_takes_what_the_asynchronous_flush_had_not_reached() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "flushed with the first");
    world.advance(Duration::from_millis(600));
    world.sent(client, "T", 0, &[], "small, waits for the tenth second");
    world.advance(9 * SECOND);
    world.crash(Durability::Flushed);
    assert_eq!(bodies(&world.broker.messages("T")), ["flushed with the first"]);
    let client = world.connect(2);
    world.sent(client, "T", 0, &[], &"x".repeat(20_000));
    world.advance(Duration::from_millis(500));
    world.sent(client, "T", 0, &[], "lost");
    world.crash(Durability::Flushed);
    assert_eq!(world.broker.messages("T").len(), 2, "four pages don't wait");
    let client = world.connect(3);
    world.sent(client, "T", 0, &[], "small, again");
    world.advance(11 * SECOND);
    world.crash(Durability::Flushed);
    assert_eq!(world.broker.messages("T").len(), 3);
}

#[test]
fn a_power_loss_takes_no_answered_message_from_a_synchronous_flush_but_those_that_did_not_wait() {
    let mut world = World::with(BrokerConfig { flush_disk: FlushDisk::Sync, ..Default::default() });
    let client = world.connect(1);
    world.sent(client, "T", 0, &[("WAIT", "true")], "a");
    world.sent(client, "T", 0, &[("WAIT", "false")], "b");
    world.sent(client, "T", 0, &[], "c");
    world.sent(client, "T", 0, &[("WAIT", "false")], "d");
    world.crash(Durability::Flushed);
    assert_eq!(bodies(&world.broker.messages("T")), ["a", "b", "c"], "b went with c");
}

#[test]
fn a_clean_restart_flushes_everything() {
    let mut world = world();
    let client = world.connect(1);
    world.sent(client, "T", 0, &[], "a");
    world.broker = world.broker.restart(world.now, Timestamp::from_millis(START_MS));
    world.crash(Durability::Flushed);
    assert_eq!(bodies(&world.broker.messages("T")), ["a"]);
}

#[test]
fn a_client_that_wrote_while_the_broker_was_frozen_is_not_taken_for_silent_when_it_thaws() {
    let mut world = world();
    let (writer, silent) = (world.connect(1), world.connect(2));
    world.broker.faults_mut().freeze(true);
    let frame = world.frame(310, &send_header("T", 0, ""), &[], b"x");
    let opaque = world.post(writer, frame);
    world.advance(180 * SECOND);
    assert_eq!(world.broker.backlog(), 1);
    world.broker.faults_mut().freeze(false);
    world.broker.handle_timeout(world.now);
    world.drain();
    assert_eq!((world.take(opaque).map(|answer| answer.code), &world.closed[..]), (Some(0), &[silent][..]));
    assert_eq!(world.broker.backlog(), 0);
}
