//! The consuming clients of a plan: they join, leave, die, and their handlers misbehave.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocketmq_client_core::config::{ConsumeFrom, PushConsumerConfig};
use rocketmq_client_core::consumer::Ack;
use rocketmq_client_core::driver::{Batch, Client, ConsumerControl, PushConsumer, ReceivedMessage};
use rocketmq_client_core::rng::Rng;

use crate::bound::Bound;
use crate::ctx::Ctx;
use crate::executor::NodeId;
use crate::fault::FaultKind;
use crate::plan::LeaveItem;
use crate::properties::Property;
use crate::rngs::Draw;
use crate::scenario::{Stage, TOPIC};

/// How much longer than [`Consumption::hangs_at_least`](crate::plan::Consumption::hangs_at_least) a
/// handler that hangs has a message at most.
pub(crate) const HANGS_LONGER_MAX: Duration = Duration::from_secs(5);

/// The longest that a handler takes that is slow among quick ones.
const SLOW_CALL: Duration = Duration::from_secs(1);

/// What a close may take.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(20);

/// One member of a group.
#[derive(Debug)]
pub(crate) struct Member {
    pub(crate) node: NodeId,
    pub(crate) group: usize,
    pub(crate) client: Client,
    pub(crate) consumer: Option<PushConsumer>,
}

/// What a handler has.
struct HandlerWorld {
    ctx: Ctx,
    stage: std::sync::Weak<Stage>,
    node: NodeId,
    group: String,
    rng: Mutex<Rng>,
}

/// The name of a group.
pub(crate) fn group_name(group: usize) -> String {
    format!("group-{group}")
}

impl Stage {
    /// A client joins a group.
    pub(crate) fn join(self: &Arc<Self>, group: usize) {
        let member =
            self.ctx.node_client(|builder| builder.configure(|config| self.configure_client(config)));
        let node = member.node;
        let name = group_name(group);
        let number = self.members().iter().filter(|member| member.group == group).count();
        self.note(|| format!("node {} joins {name}", node.0));
        let handler = Arc::new(HandlerWorld {
            ctx: self.ctx.clone(),
            stage: Arc::downgrade(self),
            node,
            group: name.clone(),
            rng: Mutex::new(self.ctx.rng()),
        });
        let builder = member
            .client
            .push_consumer(name)
            .subscribe(TOPIC, self.expression(group))
            .consume_from(ConsumeFrom::FirstOffset)
            .configure(|config| {
                self.configure_consumer(config);
                config.allocate_strategy = self.plan.strategy(group, number);
            });
        let (workers, batch) = (self.plan.settings.workers, self.plan.settings.consumption.consume_batch);
        let starting = match batch {
            1 => builder.workers(workers, move |message| handle(handler.clone(), message)),
            _ => builder.workers_batch(workers, batch, move |messages| {
                handle_batch(handler.clone(), messages, batch)
            }),
        };
        self.members().push(Member { node, group, client: member.client, consumer: None });
        let stage = Arc::downgrade(self);
        member.spawner.run(async move {
            let started = starting.await;
            let Some(stage) = stage.upgrade() else { return };
            stage.note(|| format!("node {} has started: {:?}", node.0, started.as_ref().err()));
            let consumer = started.ok();
            let mut members = stage.members();
            if let Some(member) = members.iter_mut().find(|member| member.node == node) {
                member.consumer = consumer;
            }
        });
    }

    fn configure_consumer(&self, config: &mut PushConsumerConfig) {
        let settings = &self.plan.settings;
        let consumption = &settings.consumption;
        config.broker_suspend_max = settings.broker_suspend;
        config.pull_timeout = settings.broker_suspend + Duration::from_secs(10);
        config.max_reconsume_times = settings.max_reconsume_times;
        config.rebalance_interval = settings.rebalance;
        config.pull_batch_size = consumption.pull_batch_size;
        config.pull_threshold_for_queue = consumption.queue_count;
        config.pull_threshold_for_topic = consumption.shared_count;
        config.pull_threshold_bytes_for_topic = consumption.shared_bytes;
        set(&mut config.consume_timeout, consumption.consume_timeout);
        set(&mut config.pull_batch_bytes, consumption.pull_batch_bytes);
        set(&mut config.pull_threshold_bytes_for_queue, consumption.queue_bytes);
        set(&mut config.consume_concurrently_max_span, consumption.span);
        set(&mut config.cached_bytes_max, consumption.total_bytes);
    }

    /// A member that has started closes and goes.
    pub(crate) async fn leave(&self, member: Member) -> bool {
        self.note(|| format!("node {} leaves", member.node.0));
        let started = self.ctx.now();
        let consumer_closed = match &member.consumer {
            Some(consumer) => consumer.close_within(CLOSE_TIMEOUT).await.map(|_| ()),
            None => Ok(()),
        };
        let consumer_took = self.ctx.now() - started;
        let closed = member.client.close_within(CLOSE_TIMEOUT).await;
        let took = self.ctx.now() - started;
        let late = Duration::from_millis(1);
        self.check(
            Property::CloseOvertakesNoSend,
            consumer_took <= CLOSE_TIMEOUT + late && took <= CLOSE_TIMEOUT * 2 + late,
            || format!("closes of {CLOSE_TIMEOUT:?} each took {consumer_took:?} and {took:?} in all"),
        );
        self.note(|| format!("node {} has left: {consumer_closed:?} {closed:?}", member.node.0));
        let mut world = self.ctx.world.lock();
        let now = world.now;
        world.monitor.client_closed(now, member.node);
        consumer_closed.is_ok() && closed.is_ok()
    }

    /// A member of a group closes and goes, whatever its handlers are busy with.
    pub(crate) async fn close_one(self: Arc<Self>, leave: LeaveItem) {
        self.sleep_until(leave.at).await;
        let Some(member) = self.take_member_where(|member| member.group == leave.group) else { return };
        let (node, started) = (member.node, self.ctx.now());
        let closed = self.leave(member).await;
        self.check_closed(node, started, closed);
    }

    /// A member's process ends here and now. Its machine says so, or is gone as well.
    pub(crate) fn kill(&self, member: Member, vanish: bool) {
        self.note(|| format!("node {} dies, vanish: {vanish}", member.node.0));
        {
            let mut world = self.ctx.world.lock();
            if vanish {
                world.network.vanish(member.node);
            }
            world.monitor.node_gone(member.node);
            world.kills.push(member.node);
        }
        drop(member);
    }

    /// Steers one of the members that have started.
    pub(crate) fn started_member(&self, target: u64) -> Option<ConsumerControl> {
        let members = self.members();
        let started: Vec<&PushConsumer> =
            members.iter().filter_map(|member| member.consumer.as_ref()).collect();
        let index = target.checked_rem(started.len() as u64)?;
        started.get(usize::try_from(index).ok()?).map(|consumer| consumer.control())
    }

    /// Takes the first such member out of the table that has started.
    fn take_member_where(&self, fits: impl Fn(&Member) -> bool) -> Option<Member> {
        let mut members = self.members();
        let at = members.iter().position(|member| member.consumer.is_some() && fits(member))?;
        Some(members.remove(at))
    }

    /// Takes a member out of the table; one that has started, if asked for.
    pub(crate) fn take_member(&self, target: u64, started: bool) -> Option<Member> {
        let mut members = self.members();
        let fitting: Vec<usize> =
            (0..members.len()).filter(|index| !started || members[*index].consumer.is_some()).collect();
        if fitting.is_empty() {
            return None;
        }
        let chosen = fitting[usize::try_from(target % fitting.len() as u64).expect("an index")];
        Some(members.remove(chosen))
    }
}

fn set<T>(setting: &mut T, value: Option<T>) {
    if let Some(value) = value {
        *setting = value;
    }
}

async fn handle(world: Arc<HandlerWorld>, message: ReceivedMessage) -> Ack {
    world.begin(&message);
    world.answer().await
}

async fn handle_batch(world: Arc<HandlerWorld>, batch: Batch, messages_max: usize) {
    if batch.len() == messages_max {
        world.ctx.world.lock().monitor.bounds.count(Bound::ConsumeBatch);
    }
    batch.iter().for_each(|message| world.begin(message));
    for message in batch {
        message.settle(world.answer().await);
    }
}

impl HandlerWorld {
    fn rng(&self) -> std::sync::MutexGuard<'_, Rng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a handler does with one message, and what it says in the end.
    async fn answer(&self) -> Ack {
        let Some(stage) = self.stage.upgrade() else { return Ack::Done };
        let consumption = stage.plan.settings.consumption.clone();
        drop(stage);
        match consumption.one_is_slow_in {
            None => self.pause(Duration::ZERO, consumption.handler_takes).await,
            Some(calls) if self.is_one_in(calls) => self.pause(SLOW_CALL / 2, SLOW_CALL).await,
            Some(_) => {}
        }
        let behaviour = self.stage.upgrade().and_then(|stage| stage.behaviour(self.node));
        let Some(kind) = behaviour.filter(|_| self.rng().chance(1, 3)) else { return Ack::Done };
        self.ctx.world.lock().network.effects.count(kind);
        match kind {
            FaultKind::HandlerSlow => {
                self.pause(Duration::from_millis(200), Duration::from_secs(6)).await;
                Ack::Done
            }
            FaultKind::HandlerHangs => {
                let least = consumption.hangs_at_least();
                self.pause(least, least + HANGS_LONGER_MAX).await;
                Ack::Done
            }
            FaultKind::HandlerRetries => match self.rng().below(4) {
                0 => Ack::RetryAfter(Duration::from_secs(10)),
                1 => Ack::DeadLetter,
                _ => Ack::Retry,
            },
            // As a panic, but without words on the terminal.
            _ => std::panic::resume_unwind(Box::new("the handler of a simulation panics")),
        }
    }

    fn is_one_in(&self, calls: u64) -> bool {
        self.rng().chance(1, calls)
    }

    async fn pause(&self, least: Duration, most: Duration) {
        let micros = |duration: Duration| u64::try_from(duration.as_micros()).expect("a short time");
        let pause = self.rng().between(micros(least), micros(most));
        self.ctx.sleep(Duration::from_micros(pause)).await;
    }

    fn begin(&self, message: &ReceivedMessage) {
        let mut world = self.ctx.world.lock();
        let now = world.now;
        let tag = message.tags().unwrap_or("");
        let (queue, offset) = (message.queue(), message.queue_offset());
        world.trace.note(now, || {
            let keys: Vec<_> = message.keys().collect();
            format!("node {} begins {keys:?} at {queue} offset {offset}", self.node.0)
        });
        world.monitor.handler_started(now, self.node, &self.group, queue, offset, tag);
    }
}
