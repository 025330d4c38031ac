//! Makes faults happen, and heals them.

use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_core::driver::ConsumerControl;
use rocketmq_client_core::remoting::ResponseCode;
use rocketmq_dev_broker::{Durability, Fault};

use crate::executor::NodeId;
use crate::fault::FaultKind;
use crate::network::{ConditionId, Direction, Listening, Scope, Trouble};
use crate::plan::FaultItem;
use crate::scenario::Stage;
use crate::world::World;

/// How a fault ends.
enum Heal {
    Nothing,
    Condition(ConditionId),
    Start(NodeId, Durability),
    Listen(NodeId),
    Thaw(NodeId),
    Answers(NodeId),
    Behaviour(NodeId, FaultKind),
    Resume(ConsumerControl),
}

impl Stage {
    /// Lets a fault of the plan happen and ends it.
    pub(crate) async fn inject(self: Arc<Self>, fault: FaultItem) {
        self.sleep_until(fault.at).await;
        self.note(|| format!("FAULT {} for {:?}", fault.kind, fault.lasts));
        let heal = self.begin(&fault).await;
        self.ctx.sleep(fault.lasts).await;
        self.note(|| format!("HEAL {}", fault.kind));
        if let Heal::Resume(control) = heal {
            let resumed = control.resume().await;
            return self.note(|| format!("resumed: {resumed:?}"));
        }
        self.heal(heal);
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
            F::ConsumerSuspended => {
                let Some(control) = self.started_member(fault.target) else { return Heal::Nothing };
                let suspended = control.suspend().await;
                self.note(|| format!("suspended: {suspended:?}"));
                if suspended.is_ok() {
                    self.count(fault.kind);
                }
                Heal::Resume(control)
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

    fn heal(&self, heal: Heal) {
        if let Heal::Behaviour(node, kind) = heal {
            return self.behave_again(node, kind);
        }
        heal_in(&mut self.ctx.world.lock(), heal);
    }

    fn count(&self, kind: FaultKind) {
        self.ctx.world.lock().network.effects.count(kind);
    }
}

fn pick<T: Copy>(choices: &[T], target: u64) -> T {
    choices[usize::try_from(target % choices.len() as u64).expect("an index")]
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
            answers(world, broker, kind, 1 + fault.amount % 30, answer)
        }
        F::ResponseLost => answers(world, broker, kind, 1 + fault.amount % 12, Fault::DropResponse),
        F::SlowResponses => {
            let delay = Duration::from_millis(1 + fault.target % 5_000);
            answers(world, broker, kind, 1 + fault.amount % 20, Fault::DelayResponse(delay))
        }
        _ => Heal::Nothing,
    }
}

fn heal_in(world: &mut World, heal: Heal) {
    match heal {
        Heal::Nothing | Heal::Behaviour(..) | Heal::Resume(_) => {}
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
        Heal::Thaw(node) => freeze(world, node, false),
        Heal::Answers(node) => {
            if let Some(broker) = world.servers.get_mut(&node).and_then(|server| server.running_broker()) {
                let frozen = broker.faults_mut().is_frozen();
                broker.faults_mut().clear();
                broker.faults_mut().freeze(frozen);
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

fn answers(world: &mut World, node: NodeId, kind: FaultKind, count: u64, fault: Fault) -> Heal {
    world.monitor.answer_faults.insert(node, kind);
    if let Some(broker) = world.servers.get_mut(&node).and_then(|server| server.running_broker()) {
        broker.faults_mut().next_any(count, fault);
    }
    Heal::Answers(node)
}
