//! Histories made by hand, each wrong in one way, and one that is right.

use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_core::client::{Command, Input, Outcome, Output};
use rocketmq_client_core::id::{GenerationalId, OperationId};
use rocketmq_client_core::message::MessageQueue;

use super::*;
use crate::executor::TaskId;
use crate::history::{Queue, QueueName, Record};

const NOW: Instant = Instant::from_millis(5);
const NODE: NodeId = NodeId(9);

fn found(monitor: &Monitor) -> Option<Property> {
    monitor.violation().map(|violation| violation.property)
}

fn begin(monitor: &mut Monitor, operation: OperationId) {
    let timeout = Duration::ZERO;
    monitor.core_input(NOW, NODE, &Input::Command(Command::Close { operation, timeout }));
}

fn end(monitor: &mut Monitor, operation: OperationId) {
    monitor.core_output(NOW, NODE, &Output::Complete { operation, outcome: Outcome::Done });
}

#[test]
fn an_operation_that_ends_twice_or_never_is_told() {
    let operation = OperationId::from_parts(1, 0);
    let (mut right, mut twice, mut never) = (Monitor::default(), Monitor::default(), Monitor::default());
    for monitor in [&mut right, &mut twice, &mut never] {
        begin(monitor, operation);
    }
    end(&mut right, operation);
    right.client_closed(NOW, NODE);
    end(&mut twice, operation);
    end(&mut twice, operation);
    never.client_closed(NOW, NODE);
    assert_eq!(
        [found(&right), found(&twice), found(&never)],
        [None, Some(Property::P01), Some(Property::P01)]
    );
}

#[test]
fn a_task_that_spins_is_told() {
    let mut monitor = Monitor::default();
    let turn = |polls_now| Turn { task: TaskId(1), node: NODE, polls_now };
    monitor.turned(NOW, &turn(POLLS_MAX));
    assert_eq!(found(&monitor), None);
    monitor.turned(NOW, &turn(POLLS_MAX + 1));
    assert_eq!(found(&monitor), Some(Property::P06));
}

#[test]
fn what_no_queue_gave_is_not_to_be_handled() {
    let mut monitor = Monitor::default();
    monitor.consumed.expect("g", "t", &[]);
    let queue = MessageQueue { topic: "t".into(), broker_name: "b".into(), queue_id: 0 };
    monitor.handler_started(NOW, NODE, "g", &queue, 0, "");
    assert_eq!(found(&monitor), Some(Property::P22));
}

fn with_record(tag: &str) -> (Monitor, Arc<QueueName>) {
    let mut monitor = Monitor::default();
    monitor.consumed.expect("g", "t", &["A"]);
    let queue = Arc::new(QueueName { broker: "b".into(), topic: "t".into(), queue_id: 0 });
    let record = Record { message: MessageNumber(1), tag: tag.into() };
    monitor.history.queues.insert(queue.clone(), Queue { records: vec![Some(record)], reused_until: 0 });
    (monitor, queue)
}

#[test]
fn a_message_that_nobody_consumed_is_told_unless_nobody_wants_it() {
    let (mut lost, _) = with_record("A");
    lost.check_consumed(NOW);
    assert_eq!(found(&lost), Some(Property::P21));
    let (mut unwanted, _) = with_record("B");
    unwanted.check_consumed(NOW);
    assert_eq!(found(&unwanted), None);
    let (mut consumed, queue) = with_record("A");
    consumed.consumed.done(&"g".into(), (queue, 0), Some(MessageNumber(1)));
    consumed.check_consumed(NOW);
    assert_eq!(found(&consumed), None);
}

#[test]
fn a_message_that_was_consumed_twice_is_told_in_a_quiet_world() {
    let (mut monitor, queue) = with_record("A");
    monitor.consumed.done(&"g".into(), (queue.clone(), 0), Some(MessageNumber(1)));
    monitor.check_once(NOW);
    assert_eq!(found(&monitor), None);
    monitor.consumed.done(&"g".into(), (queue, 1), Some(MessageNumber(1)));
    monitor.check_once(NOW);
    assert_eq!(found(&monitor), Some(Property::P23));
}

#[test]
fn a_queue_that_nobody_pulls_is_told() {
    let (mut monitor, queue) = with_record("A");
    monitor.owners.begin();
    monitor.check_owners(NOW, &[("g".into(), (*queue).clone())]);
    assert_eq!(found(&monitor), Some(Property::P34));
}
