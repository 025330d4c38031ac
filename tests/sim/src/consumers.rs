//! The consuming clients of a plan: they join, leave, die, and their handlers misbehave.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocketmq_client_core::config::ConsumeFrom;
use rocketmq_client_core::consumer::Ack;
use rocketmq_client_core::driver::{Client, PushConsumer, ReceivedMessage};
use rocketmq_client_core::rng::Rng;

use crate::ctx::Ctx;
use crate::executor::NodeId;
use crate::fault::FaultKind;
use crate::rngs::Draw;
use crate::scenario::{Stage, TOPIC};

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
        self.note(|| format!("node {} joins {name}", node.0));
        let handler = Arc::new(HandlerWorld {
            ctx: self.ctx.clone(),
            stage: Arc::downgrade(self),
            node,
            group: name.clone(),
            rng: Mutex::new(self.ctx.rng()),
        });
        let settings = &self.plan.settings;
        let starting = member
            .client
            .push_consumer(name)
            .subscribe(TOPIC, self.expression(group))
            .consume_from(ConsumeFrom::FirstOffset)
            .configure(|config| {
                config.pull_batch_size = settings.pull_batch_size;
                config.pull_threshold_for_queue = settings.pull_threshold;
                config.broker_suspend_max = settings.broker_suspend;
                config.pull_timeout = settings.broker_suspend + Duration::from_secs(10);
                config.max_reconsume_times = settings.max_reconsume_times;
                config.rebalance_interval = settings.rebalance;
            })
            .workers(settings.workers, move |message| handle(handler.clone(), message));
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

    /// A member that has started closes and goes.
    pub(crate) async fn leave(&self, member: Member) -> bool {
        self.note(|| format!("node {} leaves", member.node.0));
        let consumer_closed = match &member.consumer {
            Some(consumer) => consumer.close().await.map(|_| ()),
            None => Ok(()),
        };
        let closed = member.client.close().await;
        self.note(|| format!("node {} has left: {consumer_closed:?} {closed:?}", member.node.0));
        let mut world = self.ctx.world.lock();
        let now = world.now;
        world.monitor.client_closed(now, member.node);
        consumer_closed.is_ok() && closed.is_ok()
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

async fn handle(world: Arc<HandlerWorld>, message: ReceivedMessage) -> Ack {
    world.begin(&message);
    let pause = world.rng().below(30_000);
    world.ctx.sleep(Duration::from_micros(pause)).await;
    let Some(stage) = world.stage.upgrade() else { return Ack::Done };
    let behaviour = stage.behaviour(world.node);
    drop(stage);
    let Some(kind) = behaviour.filter(|_| world.rng().chance(1, 3)) else { return Ack::Done };
    world.ctx.world.lock().network.effects.count(kind);
    match kind {
        FaultKind::HandlerSlow => {
            let pause = Duration::from_millis(world.rng().between(200, 6_000));
            world.ctx.sleep(pause).await;
            Ack::Done
        }
        FaultKind::HandlerRetries => Ack::Retry,
        // As a panic, but without words on the terminal.
        _ => std::panic::resume_unwind(Box::new("the handler of a simulation panics")),
    }
}

impl HandlerWorld {
    fn rng(&self) -> std::sync::MutexGuard<'_, Rng> {
        self.rng.lock().unwrap_or_else(PoisonError::into_inner)
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
