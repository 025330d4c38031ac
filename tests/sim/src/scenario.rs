//! A plan as a program: a phase in which things go wrong, then everything heals, then a phase in which
//! everything must come to an end.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rocketmq_client_core::config::ClientConfig;
use rocketmq_client_core::time::Instant;

use crate::consumers::{HANGS_LONGER_MAX, Member, group_name};
use crate::ctx::Ctx;
use crate::executor::NodeId;
use crate::fault::FaultKind;
use crate::history::{MessageNumber, QueueName};
use crate::plan::{Item, Plan};
use crate::producers::ProducerNode;
use crate::properties::Property;
use crate::world::World;

/// The workload's topic.
pub(crate) const TOPIC: &str = "Work";
/// Numbers of messages that are sent after healing begin here.
const PROBES: u32 = 1_000_000;

const PROBE_WITHIN: Duration = Duration::from_secs(5);
const DRAIN_WITHIN: Duration = Duration::from_secs(30);
/// Shorter than what a close is given: one that only ends because its time is over has not ended well.
const CLOSE_WITHIN: Duration = Duration::from_secs(6);

/// What the parts of a scenario share.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) ctx: Ctx,
    pub(crate) plan: Plan,
    pub(crate) producers: Vec<ProducerNode>,
    members: Mutex<Vec<Member>>,
    behaviours: Mutex<BTreeMap<NodeId, Vec<FaultKind>>>,
    sends_open: Mutex<usize>,
}

/// Runs a plan to its end.
pub(crate) async fn perform(ctx: Ctx, plan: Plan) {
    let mut stage = Stage {
        producers: Vec::new(),
        members: Mutex::default(),
        behaviours: Mutex::default(),
        sends_open: Mutex::new(0),
        ctx,
        plan,
    };
    stage.producers = (0..stage.plan.topology.producers).map(|_| stage.new_producer()).collect();
    let stage = Arc::new(stage);
    stage.expect_groups();
    stage.warm_up_all();
    for (group, members) in stage.plan.topology.groups.clone().into_iter().enumerate() {
        (0..members).for_each(|_| stage.join(group));
    }
    for item in &stage.plan.items {
        match item.clone() {
            Item::Send(item) => {
                *stage.sends_open() += 1;
                stage.ctx.spawn(stage.clone().send(item));
            }
            Item::Fault(fault) => stage.ctx.spawn(stage.clone().inject(fault)),
            Item::Leave(leave) => stage.ctx.spawn(stage.clone().close_one(leave)),
        }
    }
    stage.sleep_until(stage.plan.heal_at).await;
    stage.recover().await;
    stage.end().await;
}

impl Stage {
    /// Everything has healed. Leases run out; then everything must go on.
    async fn recover(self: &Arc<Self>) {
        self.note(|| "everything has healed".to_owned());
        let open = *self.sends_open();
        self.check(Property::EverythingGoesOnAfterHealing, open == 0, || {
            format!("{open} sends have not ended, long after their budget")
        });
        for group in 0..self.plan.topology.groups.len() {
            if !self.members().iter().any(|member| member.group == group) {
                self.join(group);
            }
        }
        self.ctx.sleep(self.plan.lease()).await;
        self.note(|| "every lease has ended".to_owned());
        for (index, number) in (0..self.producers.len()).zip(PROBES..) {
            let sent = self.probe(index, MessageNumber(number), PROBE_WITHIN).await;
            self.check(Property::EverythingGoesOnAfterHealing, sent, || {
                format!("producer {index} could not send {PROBE_WITHIN:?} after healing")
            });
        }
        self.drain().await;
        self.ctx.sleep(self.plan.settings.rebalance).await;
        self.look_at_owners().await;
    }

    /// Waits until nothing is left to consume.
    async fn drain(&self) {
        let delays = self.plan.settings.delay_level
            * u32::try_from(self.plan.settings.max_reconsume_times).unwrap_or(1);
        let mut deadline = self.ctx.now() + DRAIN_WITHIN + delays * 2 + self.plan.settings.persist_offsets;
        if self.plan.has(&[FaultKind::HandlerHangs]) {
            deadline = deadline + self.plan.settings.consumption.hangs_at_least() + HANGS_LONGER_MAX;
        }
        loop {
            let Some((property, left)) = self.left_over() else { return };
            if self.ctx.now() >= deadline {
                return self.check(property, false, || left);
            }
            self.ctx.sleep(Duration::from_millis(500)).await;
        }
    }

    /// What some group still has to consume, or to commit.
    fn left_over(&self) -> Option<(Property, String)> {
        let world = self.ctx.world.lock();
        let missing = world.monitor.missing();
        missing
            .map(|text| (Property::EverythingIsConsumed, text))
            .or_else(|| Some((Property::EverythingGoesOnAfterHealing, self.lag(&world)?)))
    }

    fn lag(&self, world: &World) -> Option<String> {
        let brokers = world.servers.values().filter_map(|server| server.broker());
        brokers.into_iter().find_map(|broker| {
            self.topics().into_iter().find_map(|(group, topic)| {
                let queues = broker.topic(&topic).map_or(0, |config| config.read_queue_nums);
                (0..queues).find_map(|queue_id| {
                    let range = broker.queue_range(&topic, queue_id);
                    let committed = broker.committed_offset(&group, &topic, queue_id);
                    let behind = !range.is_empty() && committed != Some(range.end);
                    behind.then(|| {
                        let name = &broker.config().broker_name;
                        format!(
                            "{group} has committed {committed:?} of {range:?} in {topic}@{name}:{queue_id}"
                        )
                    })
                })
            })
        })
    }

    async fn look_at_owners(&self) {
        self.ctx.world.lock().monitor.owners.begin();
        // A held pull is answered at the next scan, and then pulled again.
        self.ctx.sleep(self.plan.settings.broker_suspend + Duration::from_secs(15)).await;
        let queues = self.queues();
        let mut world = self.ctx.world.lock();
        let now = world.now;
        world.monitor.check_owners(now, &queues);
    }

    /// Everybody closes; then the books are checked.
    async fn end(self: &Arc<Self>) {
        let members = std::mem::take(&mut *self.members());
        for member in members {
            let (node, started) = (member.node, self.ctx.now());
            let closed = self.leave(member).await;
            self.check_closed(node, started, closed);
        }
        for producer in &self.producers {
            let started = self.ctx.now();
            let closed = producer.producer.close().await.is_ok() & producer.client.close().await.is_ok();
            self.check_closed(producer.node, started, closed);
            let mut world = self.ctx.world.lock();
            let now = world.now;
            world.monitor.client_closed(now, producer.node);
        }
        let mut world = self.ctx.world.lock();
        let now = world.now;
        world.monitor.check_not_stored(now);
        world.monitor.check_consumed(now);
        let takes = [FaultKind::BrokerCrashLosing, FaultKind::TopicMadeAnew];
        if self.plan.settings.flush_sync && !self.plan.has(&takes) {
            world.monitor.check_kept(now);
        }
        if self.plan.is_quiet() {
            world.monitor.check_once(now);
        }
    }

    pub(crate) fn check_closed(&self, node: NodeId, started: Instant, closed: bool) {
        let took = self.ctx.now() - started;
        self.check(Property::EverythingGoesOnAfterHealing, closed && took <= CLOSE_WITHIN, || {
            format!("node {} took {took:?} to close, in order: {closed}", node.0)
        });
    }

    pub(crate) fn check(&self, property: Property, holds: bool, text: impl FnOnce() -> String) {
        let mut world = self.ctx.world.lock();
        let now = world.now;
        world.monitor.verdicts.check(property, now, holds, text);
    }

    pub(crate) fn note(&self, text: impl FnOnce() -> String) {
        let mut world = self.ctx.world.lock();
        let now = world.now;
        world.trace.note(now, text);
    }

    pub(crate) async fn sleep_until(&self, at: Duration) {
        let elapsed = self.ctx.world.lock().elapsed();
        self.ctx.sleep(at.saturating_sub(elapsed)).await;
    }

    pub(crate) fn configure_client(&self, config: &mut ClientConfig) {
        let settings = &self.plan.settings;
        config.heartbeat_broker_interval = settings.heartbeat;
        config.poll_name_server_interval = settings.poll_routes;
        config.persist_consumer_offset_interval = settings.persist_offsets;
    }

    /// What a group asks for.
    pub(crate) fn expression(&self, group: usize) -> &'static str {
        if group == 0 { "*" } else { self.plan.topology.second_group_tag.unwrap_or("*") }
    }

    pub(crate) fn members(&self) -> MutexGuard<'_, Vec<Member>> {
        self.members.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn member_node(&self, target: u64) -> Option<NodeId> {
        let members = self.members();
        let index = target.checked_rem(members.len() as u64)?;
        members.get(usize::try_from(index).ok()?).map(|member| member.node)
    }

    pub(crate) fn client_nodes(&self) -> Vec<NodeId> {
        let members = self.members();
        self.producers
            .iter()
            .map(|producer| producer.node)
            .chain(members.iter().map(|member| member.node))
            .collect()
    }

    /// How a node's handlers behave now, unless well.
    pub(crate) fn behaviour(&self, node: NodeId) -> Option<FaultKind> {
        self.behaviours().get(&node).and_then(|kinds| kinds.last().copied())
    }

    pub(crate) fn behave(&self, node: NodeId, kind: FaultKind) {
        self.behaviours().entry(node).or_default().push(kind);
    }

    pub(crate) fn behave_again(&self, node: NodeId, kind: FaultKind) {
        let mut behaviours = self.behaviours();
        if let Some(kinds) = behaviours.get_mut(&node)
            && let Some(at) = kinds.iter().position(|known| *known == kind)
        {
            kinds.remove(at);
        }
    }

    pub(crate) fn send_ended(&self) {
        *self.sends_open() -= 1;
    }

    fn sends_open(&self) -> MutexGuard<'_, usize> {
        self.sends_open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn behaviours(&self) -> MutexGuard<'_, BTreeMap<NodeId, Vec<FaultKind>>> {
        self.behaviours.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expect_groups(&self) {
        let mut world = self.ctx.world.lock();
        for group in 0..self.plan.topology.groups.len() {
            let expression = self.expression(group);
            let tags: &[&str] = if expression == "*" { &[] } else { &[expression] };
            world.monitor.consumed.expect(&group_name(group), TOPIC, tags);
        }
    }

    /// Every group with every topic that it reads.
    fn topics(&self) -> Vec<(String, String)> {
        let groups = (0..self.plan.topology.groups.len()).map(group_name);
        groups
            .flat_map(|group| {
                let retry = format!("%RETRY%{group}");
                [(group.clone(), TOPIC.to_owned()), (group, retry)]
            })
            .collect()
    }

    /// Every group with every queue that one of its members must own.
    fn queues(&self) -> Vec<(Box<str>, QueueName)> {
        let world = self.ctx.world.lock();
        let mut queues = Vec::new();
        for broker in world.servers.values().filter_map(|server| server.broker()) {
            for (group, topic) in self.topics() {
                let count = broker.topic(&topic).map_or(0, |config| config.read_queue_nums);
                queues.extend((0..count).map(|queue_id| {
                    let broker = broker.config().broker_name.clone();
                    (Box::from(&*group), QueueName { broker, topic: (&*topic).into(), queue_id })
                }));
            }
        }
        queues
    }
}
