//! Anything may happen in any order; then everything heals, and nothing may be lost or stuck.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::looking::health;
use super::world::{BROKER_A, RETRY, TOPIC, World};
use crate::client::{Command, Input};
use crate::consumer::push::Fetch;
use crate::consumer::{Ack, ConsumeToken, ConsumerCommand};
use crate::id::{ConsumerId, GenerationalId, OperationId};
use crate::remoting::{NotifyConsumerIdsChangedRequestHeader, RequestCode, ResponseCode};

const QUEUES: i32 = 3;
const THRESHOLD: usize = 6;
const BATCH: usize = 4;
const BYTES: usize = 1_000;
/// Requests that may be refused or left without an answer.
const CODES: [RequestCode; 8] = [
    RequestCode::PULL_MESSAGE,
    RequestCode::QUERY_CONSUMER_OFFSET,
    RequestCode::UPDATE_CONSUMER_OFFSET,
    RequestCode::GET_CONSUMER_LIST_BY_GROUP,
    RequestCode::CONSUMER_SEND_MSG_BACK,
    RequestCode::SEND_MESSAGE_V2,
    RequestCode::HEART_BEAT,
    RequestCode::GET_ROUTEINFO_BY_TOPIC,
];
/// Refusals.
const ANSWERS: [ResponseCode; 5] = [
    ResponseCode::SYSTEM_ERROR,
    ResponseCode::SYSTEM_BUSY,
    ResponseCode::FLOW_CONTROL,
    ResponseCode::SUBSCRIPTION_NOT_EXIST,
    ResponseCode::SUBSCRIPTION_GROUP_NOT_EXIST,
];

#[derive(Clone, Debug)]
enum Step {
    Publish(i32, u8),
    Settle(prop::sample::Index, Ack),
    Begin(prop::sample::Index),
    HandBack(prop::sample::Index),
    Suspend(bool),
    Cut,
    Down,
    Up,
    Others(u8),
    Refuse(usize, usize),
    Silence(usize),
    Relent,
    Forget,
    Pass(u64),
}

fn step() -> impl Strategy<Value = Step> {
    let ack = prop_oneof![6 => Just(Ack::Done), 1 => Just(Ack::Retry), 1 => Just(Ack::DeadLetter)];
    prop_oneof![
        4 => (0..QUEUES, 1..6u8).prop_map(|(queue, count)| Step::Publish(queue, count)),
        10 => (any::<prop::sample::Index>(), ack).prop_map(|(index, ack)| Step::Settle(index, ack)),
        3 => any::<prop::sample::Index>().prop_map(Step::Begin),
        1 => any::<prop::sample::Index>().prop_map(Step::HandBack),
        1 => any::<bool>().prop_map(Step::Suspend),
        1 => Just(Step::Cut),
        1 => Just(Step::Down),
        2 => Just(Step::Up),
        2 => (0..3u8).prop_map(Step::Others),
        2 => (0..CODES.len(), 0..ANSWERS.len()).prop_map(|(code, answer)| Step::Refuse(code, answer)),
        1 => (0..CODES.len()).prop_map(Step::Silence),
        2 => Just(Step::Relent),
        1 => Just(Step::Forget),
        4 => prop_oneof![0..200u64, 900..1_100u64, 4_900..6_000u64, 29_000..41_000u64].prop_map(Step::Pass),
    ]
}

/// The world, and what is in handlers' hands.
struct Run {
    world: World,
    hands: Vec<ConsumeToken>,
    next_id: u32,
    operations: u32,
}

impl Run {
    fn new() -> Self {
        let mut world = World::with_queues(QUEUES);
        world.finished = Some(BTreeSet::new());
        for queue in 0..QUEUES {
            world.log(TOPIC, queue).committed = Some(0);
        }
        world.start_with("*", |config| {
            config.pull_threshold_for_queue = THRESHOLD;
            config.consume_timeout = Duration::from_secs(50);
            config.cached_bytes_max = BYTES;
            config.pull_batch_size = i32::try_from(BATCH).expect("small");
        });
        Self { world, hands: Vec::new(), next_id: 0, operations: 100 }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Publish(queue, count) => {
                let ids = self.next_id..self.next_id + u32::from(count);
                self.next_id = ids.end;
                self.world.publish_to(TOPIC, queue, ids.map(|id| format!("ID\u{1}{id}\u{2}")).collect());
            }
            Step::Settle(index, ack) => {
                if !self.hands.is_empty() {
                    let token = self.hands.swap_remove(index.index(self.hands.len()));
                    self.settle(token, ack);
                }
            }
            Step::Begin(index) => {
                if !self.hands.is_empty() {
                    let token = self.hands[index.index(self.hands.len())];
                    let tokens = vec![(token, Some(self.world.now))];
                    self.world.input(Input::Begun { tokens });
                }
            }
            Step::HandBack(index) => {
                if !self.hands.is_empty() {
                    let token = self.hands.swap_remove(index.index(self.hands.len()));
                    self.world.hand_back(token);
                }
            }
            Step::Suspend(suspend) => self.suspend(suspend),
            Step::Cut => self.world.cut(BROKER_A),
            Step::Down => {
                self.world.down.insert(BROKER_A.into());
                self.world.cut(BROKER_A);
            }
            Step::Up => self.world.down.clear(),
            Step::Others(count) => {
                self.world.others = (0..count).map(|id| format!("0-{id}")).collect();
                self.notify();
            }
            Step::Refuse(code, answer) => drop(self.world.refuse.insert(CODES[code].0, ANSWERS[answer])),
            Step::Silence(code) => drop(self.world.silent.insert(CODES[code].0)),
            Step::Relent => self.relent(),
            Step::Forget => self.world.registered.clear(),
            Step::Pass(ms) => self.world.pass(ms),
        }
        self.world.pass(0);
        let fresh = self.world.take();
        self.hands.extend(fresh);
        self.check();
    }

    fn settle(&mut self, token: ConsumeToken, ack: Ack) {
        let stay = self.world.consumer().queues().find(|view| view.id == token.queue);
        let properties = stay.map(|view| {
            let log = self.world.log(&view.queue.topic, view.queue.queue_id);
            log.records[usize::try_from(token.queue_offset - log.min).expect("stored")].clone()
        });
        if let (Some(properties), Ack::Done) = (properties, ack) {
            self.world.finish(&properties);
        }
        self.world.settle(token, ack);
    }

    fn suspend(&mut self, suspend: bool) {
        let (operation, consumer) = (OperationId::from_parts(self.operations, 0), ConsumerId(1));
        self.operations += 1;
        self.world.input(Input::Command(if suspend {
            Command::Consumer(consumer, ConsumerCommand::Suspend { operation })
        } else {
            Command::Consumer(consumer, ConsumerCommand::Resume { operation })
        }));
    }

    fn notify(&mut self) {
        let header =
            NotifyConsumerIdsChangedRequestHeader { consumer_group: "g".into(), ..Default::default() };
        self.world.notify(BROKER_A, RequestCode::NOTIFY_CONSUMER_IDS_CHANGED, &header);
    }

    fn relent(&mut self) {
        self.world.refuse.clear();
        self.world.silent.clear();
    }

    fn check(&mut self) {
        let bytes: usize = self.world.consumer().queues().map(|view| view.cached_bytes).sum();
        assert_eq!(bytes, self.world.consumer().cached_bytes());
        let told = health(&mut self.world);
        let views: Vec<_> = self.world.consumer().queues().collect();
        let (mut waiting, missed) = self.world.consumer().in_line();
        let gated = views.iter().filter(|view| matches!(view.fetch, Fetch::Gated(_))).map(|view| view.id);
        let mut gated: Vec<_> = gated.collect();
        gated.sort_unstable();
        waiting.sort_unstable();
        assert_eq!(gated, waiting, "each has its place in one line");
        let full = |id| views.iter().any(|view| view.id == id && matches!(view.fetch, Fetch::Full(_)));
        assert!(missed.iter().all(|id| full(*id)), "those that miss their turn wait for room: {missed:?}");
        let in_line: usize = told.refusals.iter().map(|refusal| refusal.queues).sum();
        assert_eq!(in_line, waiting.len() + missed.len());
        for view in self.world.consumer().queues() {
            assert!(view.cached_count <= THRESHOLD + BATCH, "{view:?}");
            assert_eq!(view.cached_count == 0, view.cached_bytes == 0, "{view:?}");
            let first = self.world.consumer().unsettled(view.id).next();
            assert!(first.is_none_or(|first| view.committable <= Some(first)), "{view:?}");
        }
    }

    /// Everything works again; all that was published has to be dealt with and committed.
    fn heal(&mut self) {
        self.relent();
        self.suspend(false);
        self.world.down.clear();
        self.world.others.clear();
        self.notify();
        // A request that was swallowed takes 30 s to be given up, a lost notification 20 s to be made up for.
        for _ in 0..75 {
            for token in core::mem::take(&mut self.hands) {
                self.settle(token, Ack::Done);
            }
            self.world.pass(1_000);
            self.hands.extend(self.world.take());
            self.check();
        }
        assert!(self.hands.is_empty(), "still coming: {:?}", self.hands);
        assert_eq!(self.world.owned(TOPIC), [0, 1, 2]);
        assert_eq!(self.world.owned(RETRY), [0]);
        let all: BTreeSet<String> = (0..self.next_id).map(|id| format!("ID\u{1}{id}\u{2}")).collect();
        assert_eq!(self.world.finished.as_ref(), Some(&all));
        for queue in 0..QUEUES {
            let log = self.world.log(TOPIC, queue);
            assert_eq!(log.committed, Some(log.max()), "queue {queue}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_happens_nothing_is_lost_passed_over_or_stuck(steps in prop::collection::vec(step(), 0..80)) {
        let mut run = Run::new();
        for step in steps {
            run.step(step);
        }
        run.heal();
    }
}

#[test]
fn a_queue_that_is_refused_while_another_without_room_is_given_up_asks_again() {
    let mut run = Run::new();
    run.step(Step::Refuse(0, 0));
    for (queue, count) in [(0, 5), (2, 2), (1, 1)] {
        run.step(Step::Publish(queue, count));
    }
    run.step(Step::Relent);
    let first = run.hands.pop();
    if let Some(token) = first {
        run.settle(token, Ack::Done);
    }
    run.step(Step::Pass(900));
    for queue in [0, 0, 0, 0, 0, 0, 0, 0, 2] {
        run.step(Step::Publish(queue, 1));
    }
    run.step(Step::Forget);
    for _ in 0..5 {
        run.step(Step::Publish(0, 1));
    }
    for step in [Step::Pass(4_900), Step::Others(1), Step::Forget, Step::Publish(2, 1)] {
        run.step(step);
    }
    run.heal();
}
