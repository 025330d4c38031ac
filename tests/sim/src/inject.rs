//! Makes faults happen, and heals them.

use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_core::driver::{ConsumerControl, Producer};
use rocketmq_client_core::remoting::ResponseCode;
use rocketmq_dev_broker::{Durability, Fault, FaultRule, RuleId};

use crate::executor::NodeId;
use crate::fault::FaultKind;
use crate::network::{ConditionId, Direction, Listening, Scope, Trouble};
use crate::plan::FaultItem;
use crate::refuse::refusal;
use crate::rngs::pick;
use crate::scenario::{Stage, TOPIC};
use crate::world::World;

/// How a fault ends.
enum Heal {
    Nothing,
    Condition(ConditionId),
    Start(NodeId, Durability),
    Listen(NodeId),
    Thaw(NodeId),
    Answers(Switched),
    Behaviour(NodeId, FaultKind),
    Resume(ConsumerControl),
    Producers(Vec<Producer>, Box<Heal>),
    SentBack(NodeId, Box<Heal>),
    Topic(NodeId),
    Tampering(NodeId),
}

/// A rule for a broker's answers, in one life of its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Switched {
    pub(crate) broker: NodeId,
    pub(crate) life: u64,
    pub(crate) rule: RuleId,
}

impl Stage {
    /// Lets a fault of the plan happen and ends it.
    pub(crate) async fn inject(self: Arc<Self>, fault: FaultItem) {
        self.sleep_until(fault.at).await;
        self.note(|| format!("FAULT {} for {:?}", fault.kind, fault.lasts));
        let heal = self.begin(&fault).await;
        self.ctx.sleep(fault.lasts).await;
        self.note(|| format!("HEAL {}", fault.kind));
        match heal {
            Heal::Resume(control) => {
                let resumed = control.resume().await;
                self.note(|| format!("resumed: {resumed:?}"));
            }
            Heal::Producers(producers, refused) => {
                self.heal(*refused);
                for producer in producers {
                    let closed = producer.close().await;
                    self.note(|| format!("a producer has closed: {closed:?}"));
                }
            }
            Heal::Topic(broker) => self.make_topic(broker).await,
            heal => self.heal(heal),
        }
    }

    async fn begin(self: &Arc<Self>, fault: &FaultItem) -> Heal {
        use FaultKind as F;
        match fault.kind {
            F::ConsumerJoins => {
                let groups = self.plan.topology.groups.len() as u64;
                self.join(usize::try_from(fault.target % groups).expect("an index"));
                self.count(fault.kind);
                Heal::Nothing
            }
            F::ConsumerLeaves => {
                if let Some(member) = self.take_member(fault.target, true) {
                    self.count(fault.kind);
                    let stage = self.clone();
                    self.ctx.spawn(async move {
                        stage.leave(member).await;
                    });
                }
                Heal::Nothing
            }
            F::ConsumerDies | F::ConsumerVanishes => {
                if let Some(member) = self.take_member(fault.target, false) {
                    self.count(fault.kind);
                    self.kill(member, fault.kind == F::ConsumerVanishes);
                }
                Heal::Nothing
            }
            F::HandlerSlow | F::HandlerRetries | F::HandlerPanics | F::HandlerHangs => {
                let Some(node) = self.member_node(fault.target) else { return Heal::Nothing };
                self.behave(node, fault.kind);
                Heal::Behaviour(node, fault.kind)
            }
            F::SendBackRefused => {
                let refused = self.refuse_send_backs(fault);
                // Nobody would give anything back by chance just now.
                let Some(node) = self.member_node(fault.amount) else { return refused };
                self.behave(node, F::HandlerRetries);
                Heal::SentBack(node, Box::new(refused))
            }
            F::ConsumerSuspended => {
                let Some(control) = self.started_member(fault.target) else { return Heal::Nothing };
                let suspended = control.suspend().await;
                self.note(|| format!("suspended: {suspended:?}"));
                if suspended.is_ok() {
                    self.count(fault.kind);
                }
                Heal::Resume(control)
            }
            F::BrokerMoved | F::ConnectionSwallows | F::NameServerForgets | F::ClosedBehindSends => {
                match fault.kind {
                    F::BrokerMoved => self.move_broker(fault).await,
                    F::ConnectionSwallows => self.swallow(fault).await,
                    F::NameServerForgets => self.forget_at_name_server(fault).await,
                    _ => self.close_behind_sends(fault).await,
                }
                Heal::Nothing
            }
            F::TopicMadeAnew => {
                let mut world = self.ctx.world.lock();
                let broker = pick(&world.brokers(), fault.target);
                if !world.delete_topic(broker, TOPIC) {
                    return Heal::Nothing;
                }
                world.network.effects.count(fault.kind);
                // Half of them at once, so that whoever waits there finds the new one.
                match fault.amount & 1 {
                    0 => Heal::Topic(broker),
                    _ => {
                        world.create_topic(broker, TOPIC, self.plan.topology.queues);
                        Heal::Nothing
                    }
                }
            }
            F::ProducersCome => {
                // Their brokers may not even want to hear of them.
                let refused = match fault.amount & 1 {
                    0 => self.refuse_heartbeats(fault),
                    _ => Heal::Nothing,
                };
                Heal::Producers(self.producers_come(fault).await, Box::new(refused))
            }
            F::WallClockJump => {
                let clients = self.client_nodes();
                let node = pick(&clients, fault.target);
                let by_ms = i64::try_from(fault.amount % 7_200_000).expect("two hours") - 3_600_000;
                self.ctx.world.lock().jump_wall(node, by_ms);
                Heal::Nothing
            }
            _ => {
                let clients = self.client_nodes();
                begin_in(&mut self.ctx.world.lock(), fault, &clients)
            }
        }
    }

    /// As soon as the broker runs.
    async fn make_topic(&self, broker: NodeId) {
        while !self.ctx.world.lock().create_topic(broker, TOPIC, self.plan.topology.queues) {
            self.ctx.sleep(Duration::from_millis(100)).await;
        }
    }

    fn refuse_send_backs(&self, fault: &FaultItem) -> Heal {
        let mut world = self.ctx.world.lock();
        let broker = pick(&world.brokers(), fault.target);
        answers(&mut world, broker, fault.kind, refusal(fault))
    }

    fn refuse_heartbeats(&self, fault: &FaultItem) -> Heal {
        let mut world = self.ctx.world.lock();
        let broker = pick(&world.brokers(), fault.target);
        answers(
            &mut world,
            broker,
            fault.kind,
            refusal(&FaultItem { kind: FaultKind::HeartbeatRefused, ..*fault }),
        )
    }

    fn heal(&self, heal: Heal) {
        match heal {
            Heal::Behaviour(node, kind) => self.behave_again(node, kind),
            Heal::SentBack(node, refused) => {
                self.behave_again(node, FaultKind::HandlerRetries);
                self.heal(*refused);
            }
            heal => heal_in(&mut self.ctx.world.lock(), heal),
        }
    }

    fn count(&self, kind: FaultKind) {
        self.ctx.world.lock().network.effects.count(kind);
    }
}

fn begin_in(world: &mut World, fault: &FaultItem, clients: &[NodeId]) -> Heal {
    use FaultKind as F;
    let kind = fault.kind;
    let (brokers, name_servers) = (world.brokers(), world.name_servers());
    let servers: Vec<NodeId> = brokers.iter().chain(&name_servers).copied().collect();
    let (server, broker) = (pick(&servers, fault.target), pick(&brokers, fault.target));
    let client = pick(clients, fault.amount);
    match kind {
        F::KillConnection | F::HalfClose | F::ResetMidFrame => {
            cut(world, fault);
            Heal::Nothing
        }
        F::Delay => {
            let most = Duration::from_millis(1 + fault.amount % 4_000);
            condition(world, kind, Scope::Around(server), Trouble::Delay(most))
        }
        F::OneWayPartition if fault.amount & 1 == 0 => {
            condition(world, kind, Scope::OneWay(client, server), Trouble::Hold)
        }
        F::OneWayPartition => condition(world, kind, Scope::OneWay(server, client), Trouble::Hold),
        F::Partition => condition(world, kind, Scope::Between(server, client), Trouble::Hold),
        F::IsolateBroker => condition(world, kind, Scope::Around(broker), Trouble::Hold),
        F::IsolateNameServer => {
            condition(world, kind, Scope::Around(pick(&name_servers, fault.target)), Trouble::Hold)
        }
        F::IsolateClient => condition(world, kind, Scope::Around(client), Trouble::Hold),
        F::ConnectRefused => deafen(world, server, Listening::Refusing(Some(kind))),
        F::AcceptThenSilent => deafen(world, server, Listening::Silent),
        F::BrokerCrash => stop(world, broker, kind, Durability::All),
        F::BrokerCrashLosing => stop(world, broker, kind, Durability::LoseRecords(1 + fault.amount % 6)),
        F::PowerLoss => stop(world, broker, kind, Durability::Flushed),
        F::NameServerDown => stop(world, pick(&name_servers, fault.target), kind, Durability::All),
        F::BrokerFreeze => {
            freeze(world, broker, true);
            Heal::Thaw(broker)
        }
        F::SystemBusy => {
            let answer =
                Fault::Answer { code: ResponseCode::SYSTEM_BUSY, remark: "[REJECTREQUEST]busy".to_owned() };
            answers(world, broker, kind, FaultRule::from(answer).times(1 + fault.amount % 30))
        }
        F::ResponseLost => {
            answers(world, broker, kind, FaultRule::from(Fault::DropResponse).times(1 + fault.amount % 12))
        }
        F::SlowResponses => {
            let delay = Duration::from_millis(1 + fault.target % 5_000);
            let rule = FaultRule::from(Fault::DelayResponse(delay)).times(1 + fault.amount % 20);
            answers(world, broker, kind, rule)
        }
        F::PullRefused | F::HeartbeatRefused | F::CommitRefused | F::QuestionRefused | F::GoAway => {
            answers(world, broker, kind, refusal(fault))
        }
        F::OffsetMovedOddly | F::OddPullAnswer => {
            world.tampering.arm(broker, kind, fault.amount);
            Heal::Tampering(broker)
        }
        _ => Heal::Nothing,
    }
}

fn heal_in(world: &mut World, heal: Heal) {
    match heal {
        Heal::Nothing
        | Heal::Behaviour(..)
        | Heal::Resume(_)
        | Heal::Producers(..)
        | Heal::SentBack(..)
        | Heal::Topic(_) => {}
        Heal::Condition(id) => {
            world.network.conditions.heal(id);
            let (network, mut time) = world.network();
            network.release(&mut time);
        }
        Heal::Start(node, keep) => {
            let before = world.monitor.history.lost();
            world.start_server(node, keep);
            if world.monitor.history.lost() > before {
                let kind = match keep {
                    Durability::Flushed => FaultKind::PowerLoss,
                    _ => FaultKind::BrokerCrashLosing,
                };
                world.network.effects.count(kind);
            }
        }
        Heal::Listen(node) => {
            if world.servers.get(&node).is_some_and(|server| server.is_up()) {
                for conn in world.network.set_listening(node, Listening::Serving) {
                    world.reset(conn);
                }
            }
        }
        Heal::Tampering(broker) => world.tampering.disarm(broker),
        Heal::Thaw(node) => freeze(world, node, false),
        Heal::Answers(Switched { broker: node, life, rule }) => {
            let server = world.servers.get_mut(&node).filter(|server| server.starts() == life);
            if let Some(broker) = server.and_then(|server| server.running_broker()) {
                broker.faults_mut().remove(rule);
            }
            world.drain(node);
        }
    }
}

/// Cuts one of the connections that are up.
fn cut(world: &mut World, fault: &FaultItem) {
    let established = world.network.established();
    if established.is_empty() {
        return;
    }
    let conn = pick(&established, fault.target);
    match fault.kind {
        FaultKind::KillConnection => {
            world.network.effects.count(fault.kind);
            world.reset(conn);
        }
        FaultKind::HalfClose => {
            world.network.effects.count(fault.kind);
            let (network, mut time) = world.network();
            network.half_close(&mut time, conn);
        }
        _ => {
            let direction = if fault.amount & 1 == 0 { Direction::Up } else { Direction::Down };
            world.network.set_trap(conn, direction);
        }
    }
}

fn condition(world: &mut World, kind: FaultKind, scope: Scope, trouble: Trouble) -> Heal {
    Heal::Condition(world.network.conditions.add(kind, scope, trouble))
}

/// A server serves nobody new, and those that it serves have to come again.
fn deafen(world: &mut World, server: NodeId, listening: Listening) -> Heal {
    if !world.servers.get(&server).is_some_and(|server| server.is_up()) {
        return Heal::Nothing;
    }
    world.network.set_listening(server, listening);
    for conn in world.network.of_server(server) {
        world.reset(conn);
    }
    Heal::Listen(server)
}

fn stop(world: &mut World, node: NodeId, kind: FaultKind, keep: Durability) -> Heal {
    if !world.servers.get(&node).is_some_and(|server| server.is_up()) {
        return Heal::Nothing;
    }
    // One that loses records counts when it has.
    let may_lose = matches!(kind, FaultKind::BrokerCrashLosing | FaultKind::PowerLoss);
    if !world.network.of_server(node).is_empty() && !may_lose {
        world.network.effects.count(kind);
    }
    world.stop_server(node);
    Heal::Start(node, keep)
}

fn freeze(world: &mut World, node: NodeId, frozen: bool) {
    if let Some(broker) = world.servers.get_mut(&node).and_then(|server| server.running_broker()) {
        broker.faults_mut().freeze(frozen);
        if !frozen {
            broker.handle_timeout(world.now);
            // It has carried out what came in meanwhile, from whomever.
            world.monitor.look_at_offsets(world.now, broker, None);
        }
    }
    world.drain(node);
}

fn answers(world: &mut World, broker: NodeId, kind: FaultKind, rule: impl Into<FaultRule>) -> Heal {
    let Some(server) = world.servers.get_mut(&broker) else { return Heal::Nothing };
    let life = server.starts();
    let Some(machine) = server.running_broker() else { return Heal::Nothing };
    let switched = Switched { broker, life, rule: machine.faults_mut().add(rule) };
    world.monitor.answer_faults.insert(switched, kind);
    Heal::Answers(switched)
}
