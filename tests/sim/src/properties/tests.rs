//! Histories made by hand, each wrong in one way, and one that is right.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use rocketmq_client_core::client::{ClientCommand, Command, Input, Outcome, Output};
use rocketmq_client_core::config::PushConsumerConfig;
use rocketmq_client_core::consumer::{Ack, ConsumeToken, ConsumerCommand, Delivery, PulledMessage, Settled};
use rocketmq_client_core::id::{ChannelId, ConsumerId, GenerationalId, OperationId, ProcessQueueId};
use rocketmq_client_core::message::{MessageQueue, StoredMessages, sys_flag};
use rocketmq_client_core::remoting::{
    Encoder, FrameDecoder, Head, NoHeader, PullMessageRequestHeader, RequestCode, ResponseCode,
    UpdateConsumerOffsetRequestHeader,
};

use super::*;
use crate::bound::Bound;
use crate::executor::TaskId;
use crate::history::{Queue, QueueName, Record};

const NOW: Instant = Instant::from_millis(5);
const NODE: NodeId = NodeId(9);

fn found(monitor: &Monitor) -> Option<Property> {
    monitor.violation().map(|violation| violation.property)
}

fn begin(monitor: &mut Monitor, operation: OperationId) {
    let timeout = Duration::ZERO;
    monitor.core_input(
        NOW,
        NODE,
        &Input::Command(Command::Client(ClientCommand::Close { operation, timeout })),
    );
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
        [None, Some(Property::EachOperationEndsOnce), Some(Property::EachOperationEndsOnce)]
    );
}

#[test]
fn a_task_that_spins_is_told() {
    let mut monitor = Monitor::default();
    let turn = |polls_now| Turn { task: TaskId(1), node: NODE, polls_now };
    monitor.turned(NOW, &turn(POLLS_MAX));
    assert_eq!(found(&monitor), None);
    monitor.turned(NOW, &turn(POLLS_MAX + 1));
    assert_eq!(found(&monitor), Some(Property::DrivingMakesProgress));
}

#[test]
fn what_no_queue_gave_is_not_to_be_handled() {
    let mut monitor = Monitor::default();
    monitor.consumed.expect("g", "t", &[]);
    let queue = MessageQueue { topic: "t".into(), broker_name: "b".into(), queue_id: 0 };
    monitor.handler_started(NOW, NODE, "g", &queue, 0, "");
    assert_eq!(found(&monitor), Some(Property::NothingIsGivenAfterARevoke));
}

fn with_record(tag: &str) -> (Monitor, Arc<QueueName>) {
    let mut monitor = Monitor::default();
    monitor.consumed.expect("g", "t", &["A"]);
    let queue = Arc::new(QueueName { broker: "b".into(), topic: "t".into(), queue_id: 0 });
    let record = Record { message: MessageNumber(1), tag: tag.into() };
    monitor.history.queues.insert(queue.clone(), Queue { records: vec![Some(record)] });
    (monitor, queue)
}

#[test]
fn a_message_that_nobody_consumed_is_told_unless_nobody_wants_it() {
    let (mut lost, _) = with_record("A");
    lost.check_consumed(NOW);
    assert_eq!(found(&lost), Some(Property::EverythingIsConsumed));
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
    assert_eq!(found(&monitor), Some(Property::ConsumedOnceWithoutFaults));
}

#[test]
fn a_queue_that_nobody_pulls_is_told() {
    let (mut monitor, queue) = with_record("A");
    monitor.owners.begin();
    monitor.check_owners(NOW, &[("g".into(), (*queue).clone())]);
    assert_eq!(found(&monitor), Some(Property::EachQueueHasOneOwner));
}

const CONSUMER: ConsumerId = ConsumerId(1);

/// A monitor that has seen a consumer start and connect.
fn with_consumer(configure: impl FnOnce(&mut PushConsumerConfig)) -> (Monitor, ChannelId) {
    let mut monitor = Monitor::default();
    let mut config = PushConsumerConfig::new("g");
    configure(&mut config);
    let operation = OperationId::from_parts(1, 0);
    let start = Command::Consumer(CONSUMER, ConsumerCommand::Start { operation, config: Arc::new(config) });
    monitor.core_input(NOW, NODE, &Input::Command(start));
    let channel = ChannelId::from_parts(1, 0);
    let address = ([10, 0, 1, 1], 10_911).into();
    monitor.core_output(NOW, NODE, &Output::Connect { channel, address, endpoint: "a:1".into() });
    transmit(&mut monitor, channel, NOW, "another", 0);
    (monitor, channel)
}

/// The consumer's core writes a pull.
fn transmit(monitor: &mut Monitor, channel: ChannelId, at: Instant, topic: &str, offset: i64) {
    let header = PullMessageRequestHeader {
        consumer_group: "g".into(),
        topic: topic.into(),
        queue_offset: offset,
        sys_flag: sys_flag::pull::SUSPEND,
        ..PullMessageRequestHeader::default()
    };
    let mut out = BytesMut::new();
    let opaque = i32::try_from(at.as_millis()).expect("soon");
    let head = Head { code: RequestCode::PULL_MESSAGE.0, opaque, ..Head::default() };
    Encoder::default().encode(&mut out, &head, &header, &[], 0);
    let chunks = [out.freeze()].into_iter().collect();
    monitor.core_output(at, NODE, &Output::Transmit { channel, chunks });
}

#[test]
fn a_second_pull_of_a_queue_is_told_unless_the_first_is_over() {
    let soon = NOW + Duration::from_secs(1);
    let (mut twice, channel) = with_consumer(|_| {});
    transmit(&mut twice, channel, NOW, "t", 0);
    assert_eq!(found(&twice), None);
    transmit(&mut twice, channel, soon, "t", 0);
    assert_eq!(found(&twice), Some(Property::OnePullAQueue));

    let (mut timed_out, channel) = with_consumer(|_| {});
    transmit(&mut timed_out, channel, NOW, "t", 0);
    transmit(&mut timed_out, channel, NOW + Duration::from_secs(30), "t", 0);
    assert_eq!(found(&timed_out), None);

    let (mut given_up, channel) = with_consumer(|_| {});
    transmit(&mut given_up, channel, NOW, "t", 0);
    let queue = ProcessQueueId::from_parts(1, 0);
    given_up.core_output(NOW, NODE, &Output::Revoke { consumer: CONSUMER, queue });
    transmit(&mut given_up, channel, soon, "t", 0);
    assert_eq!(found(&given_up), None);
}

#[test]
fn a_pull_that_begins_elsewhere_than_the_one_before_that_failed_is_told() {
    let (mut monitor, channel) = with_consumer(|_| {});
    transmit(&mut monitor, channel, NOW, "t", 7);
    transmit(&mut monitor, channel, NOW + Duration::from_secs(30), "t", 8);
    assert_eq!(found(&monitor), Some(Property::PullBeginsWhereTheLastEnded));
}

#[test]
fn a_pull_of_a_suspended_consumer_is_told() {
    let (mut monitor, channel) = with_consumer(|_| {});
    let operation = OperationId::from_parts(2, 0);
    let suspend = Command::Consumer(CONSUMER, ConsumerCommand::Suspend { operation });
    monitor.core_input(NOW, NODE, &Input::Command(suspend));
    transmit(&mut monitor, channel, NOW, "t", 0);
    assert_eq!(found(&monitor), Some(Property::SuspendedBeginsNoPull));
}

/// An answer to what [`transmit`] wrote then.
fn refused(monitor: &mut Monitor, channel: ChannelId, at: Instant, code: ResponseCode) {
    let mut out = BytesMut::new();
    let opaque = i32::try_from(at.as_millis()).expect("soon");
    let head = Head { code: code.0, opaque, flag: 1, remark: None };
    Encoder::default().encode(&mut out, &head, &NoHeader, &[], 0);
    let mut decoder = FrameDecoder::new(1_000);
    decoder.buffer_mut().extend_from_slice(&out);
    let command = decoder.next_frame().expect("our own frame").expect("a whole frame");
    monitor.core_input(at, NODE, &Input::Received { channel, command });
}

#[test]
fn a_peer_that_is_asked_in_vain_all_the_time_is_told_but_not_for_its_first_second() {
    for (pause_ms, told) in [(50, Some(Property::AsksAtABoundedRate)), (110, None)] {
        let (mut monitor, channel) = with_consumer(|_| {});
        for number in 1..90 {
            let at = NOW + Duration::from_millis(pause_ms) * number;
            transmit(&mut monitor, channel, at, "t", 0);
            refused(&mut monitor, channel, at, ResponseCode::SYSTEM_BUSY);
            if at < NOW + Duration::from_secs(1) {
                assert_eq!(found(&monitor), None);
            }
        }
        assert_eq!(found(&monitor), told, "{pause_ms}");
    }
}

#[test]
fn that_the_offset_of_a_queue_has_moved_is_new_once_of_each_queue() {
    for (topics, told) in
        [(1, Some(Property::AsksAtABoundedRate)), (8, Some(Property::AsksAtABoundedRate)), (90, None)]
    {
        let (mut monitor, channel) = with_consumer(|_| {});
        for number in 1..90u32 {
            let at = NOW + Duration::from_millis(50) * number;
            transmit(&mut monitor, channel, at, &format!("t{}", number % topics), 0);
            refused(&mut monitor, channel, at, ResponseCode::PULL_OFFSET_MOVED);
        }
        assert_eq!(found(&monitor), told, "{topics}");
    }
}

/// The consumer's core writes a commit.
fn commit(monitor: &mut Monitor, channel: ChannelId, at: Instant, queue_id: i32) {
    let header = UpdateConsumerOffsetRequestHeader {
        consumer_group: "g".into(),
        topic: "t".into(),
        queue_id,
        commit_offset: 1,
        ..UpdateConsumerOffsetRequestHeader::default()
    };
    let mut out = BytesMut::new();
    let opaque = i32::try_from(at.as_millis()).expect("soon");
    let head = Head { code: RequestCode::UPDATE_CONSUMER_OFFSET.0, opaque, ..Head::default() };
    Encoder::default().encode(&mut out, &head, &header, &[], 0);
    let chunks = [out.freeze()].into_iter().collect();
    monitor.core_output(at, NODE, &Output::Transmit { channel, chunks });
}

#[test]
fn a_commit_that_does_not_wait_for_the_one_before_is_told() {
    let soon = NOW + Duration::from_secs(1);
    let (mut monitor, channel) = with_consumer(|_| {});
    commit(&mut monitor, channel, NOW, 0);
    commit(&mut monitor, channel, NOW + Duration::from_millis(1), 1);
    refused(&mut monitor, channel, NOW, ResponseCode::SUCCESS);
    commit(&mut monitor, channel, soon, 0);
    assert_eq!(found(&monitor), None);
    commit(&mut monitor, channel, soon + Duration::from_millis(1), 0);
    assert_eq!(found(&monitor), Some(Property::OneCommitAQueue));
}

#[test]
fn a_pull_is_awaited_until_it_is_answered_or_its_connection_is_gone() {
    let (mut monitor, channel) = with_consumer(|_| {});
    transmit(&mut monitor, channel, NOW + Duration::from_secs(1), "t", 0);
    let awaited = monitor.awaited(NOW, NODE, channel);
    assert_eq!(awaited.len(), 2);
    assert!(monitor.awaited(NOW, NODE, ChannelId::from_parts(2, 0)).is_empty());
    let late = NOW + Duration::from_secs(31);
    assert!(monitor.awaited(late, NODE, channel).is_empty(), "it is given up by then");
    refused(&mut monitor, channel, NOW, ResponseCode::SYSTEM_BUSY);
    assert!(monitor.still_awaited(&awaited).is_some());
    monitor.core_output(NOW, NODE, &Output::Close { channel, flush: false });
    assert_eq!(monitor.still_awaited(&awaited), None);
}

#[test]
fn a_pull_of_a_peer_that_has_said_nothing_for_long_is_told() {
    let (mut monitor, channel) = with_consumer(|_| {});
    transmit(&mut monitor, channel, NOW + Duration::from_secs(1), "t", 0);
    refused(&mut monitor, channel, NOW, ResponseCode::SYSTEM_BUSY);
    let look = |monitor: &mut Monitor, after| {
        monitor.core_input(NOW + Duration::from_secs(after), NODE, &Input::Timeout);
        found(monitor)
    };
    assert_eq!(look(&mut monitor, 11), None);
    assert_eq!(look(&mut monitor, 12), Some(Property::SilenceIsNoticed));
    let (mut heard, channel) = with_consumer(|_| {});
    refused(&mut heard, channel, NOW + Duration::from_secs(5), ResponseCode::SUCCESS);
    assert_eq!(look(&mut heard, 12), None);
    assert_eq!(look(&mut heard, 40), None, "it has run out of time");
}

#[test]
fn whoever_is_sent_away_and_asks_on_the_same_connection_is_told() {
    let (mut monitor, channel) = with_consumer(|_| {});
    refused(&mut monitor, channel, NOW, ResponseCode::GO_AWAY);
    transmit(&mut monitor, channel, NOW + Duration::from_millis(1), "t", 0);
    assert_eq!(found(&monitor), None, "it was made before");
    monitor.core_output(NOW, NODE, &Output::Wait(NOW));
    transmit(&mut monitor, channel, NOW + Duration::from_millis(2), "u", 0);
    assert_eq!(found(&monitor), Some(Property::LeavingPeerIsAskedNothing));
}

#[test]
fn a_member_that_asks_after_its_end_is_told_and_so_is_a_client() {
    let (mut monitor, channel) = with_consumer(|_| {});
    let operation = OperationId::from_parts(2, 0);
    let close = Command::Consumer(CONSUMER, ConsumerCommand::Close { operation, timeout: Duration::ZERO });
    monitor.core_input(NOW, NODE, &Input::Command(close));
    monitor.core_output(NOW, NODE, &Output::ConsumerClosed { consumer: CONSUMER });
    commit(&mut monitor, channel, NOW + Duration::from_millis(1), 0);
    end(&mut monitor, operation);
    commit(&mut monitor, channel, NOW + Duration::from_millis(2), 1);
    assert_eq!(found(&monitor), None, "it was made before");
    monitor.core_output(NOW, NODE, &Output::Wait(NOW));
    commit(&mut monitor, channel, NOW + Duration::from_millis(3), 2);
    assert_eq!(found(&monitor), Some(Property::NothingBeginsAfterTheEnd));
    let (mut closed, channel) = with_consumer(|_| {});
    closed.core_output(NOW, NODE, &Output::Wait(NOW));
    closed.core_output(NOW, NODE, &Output::ClientClosed);
    closed.core_output(NOW, NODE, &Output::Wait(NOW));
    assert_eq!(found(&closed), None);
    closed.core_output(NOW, NODE, &Output::Close { channel, flush: true });
    assert_eq!(found(&closed), Some(Property::NothingBeginsAfterTheEnd));
}

/// A pull brings messages, each of ten bytes that are none.
fn deliver(monitor: &mut Monitor, stay: u32, offsets: std::ops::Range<i64>) {
    let of = Arc::new(MessageQueue { topic: "t".into(), broker_name: "b".into(), queue_id: 0 });
    let unreadable = || StoredMessages::new(Bytes::from_static(&[0xff; 10])).next().expect("an error");
    let deliveries = offsets
        .map(|queue_offset| Delivery {
            token: token(stay, queue_offset),
            message: PulledMessage::alone(of.clone(), unreadable()),
            origin_topic: None,
        })
        .collect();
    monitor.core_output(NOW, NODE, &Output::Deliver { consumer: CONSUMER, deliveries });
}

/// A handler of the consumer has begun 2 of these, and the consumer closes.
fn closing() -> Monitor {
    let (mut monitor, _) = with_consumer(|_| {});
    monitor.consumed.expect("g", "t", &[]);
    deliver(&mut monitor, 1, 0..4);
    handle(&mut monitor, 2);
    monitor.core_output(NOW, NODE, &Output::ConsumerClosing { consumer: CONSUMER });
    monitor
}

fn handle(monitor: &mut Monitor, offset: i64) {
    let queue = MessageQueue { topic: "t".into(), broker_name: "b".into(), queue_id: 0 };
    monitor.handler_started(NOW, NODE, "g", &queue, offset, "");
}

#[test]
fn while_a_consumer_closes_only_what_lies_before_a_message_that_was_begun_is_to_be_handled() {
    let (mut before, mut behind, mut late) = (closing(), closing(), closing());
    handle(&mut before, 1);
    handle(&mut before, 0);
    assert_eq!(found(&before), None);
    handle(&mut behind, 3);
    assert_eq!(found(&behind), Some(Property::NothingIsGivenAfterARevoke));
    late.core_output(NOW, NODE, &Output::ConsumerClosed { consumer: CONSUMER });
    handle(&mut late, 1);
    assert_eq!(found(&late), Some(Property::NothingIsGivenAfterARevoke));
}

fn token(stay: u32, queue_offset: i64) -> ConsumeToken {
    let queue = ProcessQueueId::from_parts(stay, 0);
    ConsumeToken { consumer: CONSUMER, queue, queue_offset, hand_out: 0 }
}

fn settle(monitor: &mut Monitor, at: Instant, token: ConsumeToken) {
    monitor.core_input(at, NODE, &Input::Settled { answers: vec![Settled::new(token, Ack::Done)] });
}

type Bounded = (fn(&mut PushConsumerConfig), Bound);

#[test]
fn messages_that_no_bound_allows_are_told_unless_room_was_made() {
    let cases: [Bounded; 5] = [
        (|config| config.pull_threshold_for_queue = 2, Bound::QueueCount),
        (|config| config.pull_threshold_for_topic = Some(2), Bound::SharedCount),
        (|config| config.pull_threshold_bytes_for_queue = 20, Bound::QueueBytes),
        (|config| config.consume_concurrently_max_span = 1, Bound::Span),
        (|config| config.cached_bytes_max = 20, Bound::TotalBytes),
    ];
    for (configure, bound) in cases {
        let (mut over, _) = with_consumer(configure);
        deliver(&mut over, 1, 0..3);
        assert_eq!((found(&over), over.bounds.of(bound)), (None, 1), "{bound}: one pull may pass it");
        deliver(&mut over, 1, 3..4);
        assert_eq!(found(&over), Some(Property::CacheKeepsItsBounds), "{bound}");

        let (mut room, _) = with_consumer(configure);
        deliver(&mut room, 1, 0..3);
        settle(&mut room, NOW, token(1, 0));
        deliver(&mut room, 1, 3..4);
        assert_eq!(found(&room), None, "{bound}");
    }
}

#[test]
fn every_queue_may_have_a_pull_under_way_when_the_bytes_of_all_pass_their_bound() {
    let (mut monitor, _) = with_consumer(|config| config.cached_bytes_max = 10);
    deliver(&mut monitor, 1, 0..2);
    deliver(&mut monitor, 2, 0..2);
    assert_eq!(found(&monitor), None);
    deliver(&mut monitor, 2, 2..3);
    assert_eq!(found(&monitor), Some(Property::CacheKeepsItsBounds));
}

#[test]
fn a_message_that_its_handler_had_for_too_long_is_not_cached_any_more() {
    let (mut monitor, _) = with_consumer(|config| {
        config.cached_bytes_max = 9;
        config.consume_timeout = Duration::from_millis(5);
    });
    deliver(&mut monitor, 1, 0..1);
    monitor.core_input(NOW, NODE, &Input::Begun { tokens: vec![(token(1, 0), Some(Instant::ZERO))] });
    deliver(&mut monitor, 1, 1..2);
    assert_eq!((found(&monitor), monitor.bounds.of(Bound::ConsumeTimeout)), (None, 1));
}
