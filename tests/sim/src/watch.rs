//! Faults that say by when a client must have noticed them: a broker at a new address, a connection that swallows
//! everything, a name server that knows nothing.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rocketmq_client_core::driver::Operation;
use rocketmq_client_core::error::{Cause, Error};
use rocketmq_client_core::time::Instant;

use crate::executor::NodeId;
use crate::history::MessageNumber;
use crate::plan::FaultItem;
use crate::properties::Property;
use crate::rngs::pick;
use crate::scenario::{Stage, TOPIC};
use crate::world::World;

/// A broker at a new address is used so soon after its registration: a failed connect, the pause before routes are
/// asked for again, and the pause before the next connect.
const FOUND_WITHIN: Duration = Duration::from_secs(5);
/// Who awaits something notices so soon that its peer is silent for ever.
const NOTICED_WITHIN: Duration = Duration::from_secs(10);
/// A connect that is given up, and last words.
const FAREWELLS_MAX: Duration = Duration::from_secs(5);
/// How often it is looked whether the world is still as it should be.
const LOOK: Duration = Duration::from_millis(250);
/// When operations ended, and how.
type Ends = Arc<Mutex<Vec<(Instant, String)>>>;
/// Numbers of messages of new clients begin here.
pub(crate) const STRANGERS: u32 = 2_000_000;

impl World {
    /// Nothing is wrong but what one looks at, so that nothing else can hold anybody up.
    fn is_calm(&mut self) -> bool {
        let servers = self.servers.values_mut();
        let all_serve = servers.into_iter().all(|server| {
            let faults = server.running_broker().map(|broker| broker.faults_mut());
            let undisturbed = faults.is_none_or(|faults| faults.pending() == 0 && !faults.is_frozen());
            server.is_up() && undisturbed
        });
        all_serve && self.network.is_undisturbed()
    }

    /// Whether every name server names a broker where it is: one may have been started again, or have been told that
    /// the topic is gone, and nobody can find the broker there before it registers again.
    fn is_named(&mut self, broker: NodeId) -> bool {
        let address = self.servers[&broker].address;
        self.name_servers()
            .into_iter()
            .all(|name_server| self.brokers_of(name_server, TOPIC).contains(&address))
    }

    /// Whether another name server knows the topic: it may have forgotten it, too, and no broker has registered since.
    fn is_known_beside(&mut self, forgetful: NodeId) -> bool {
        let others = self.name_servers().into_iter().filter(|other| *other != forgetful);
        others.collect::<Vec<_>>().into_iter().any(|other| self.knows_topic(other, TOPIC))
    }
}

impl Stage {
    /// A broker's process ends and starts again at another port.
    pub(crate) async fn move_broker(self: &Arc<Self>, fault: &FaultItem) {
        let (broker, before) = {
            let world = self.ctx.world.lock();
            let broker = pick(&world.brokers(), fault.target);
            if !world.servers[&broker].is_up() {
                return;
            }
            // Who has no queue there has no use for it, and comes with its next heartbeat.
            let address = world.servers[&broker].address.to_string();
            let mut before = self.connected(&world, broker);
            before.retain(|node| world.monitor.pulls_from(*node, &address));
            (broker, before)
        };
        {
            let mut world = self.ctx.world.lock();
            world.stop_server(broker);
            world.network.effects.count(fault.kind);
        }
        self.ctx.sleep(fault.lasts).await;
        self.ctx.world.lock().start_server_elsewhere(broker);
        self.watch_moved(broker, &before).await;
    }

    async fn watch_moved(&self, broker: NodeId, before: &[NodeId]) {
        let deadline = self.ctx.now() + FOUND_WITHIN;
        loop {
            let late = {
                let mut world = self.ctx.world.lock();
                if !world.is_calm() || !world.is_named(broker) {
                    return;
                }
                let after = self.connected(&world, broker);
                let members = self.members();
                let here = |node: &&NodeId| members.iter().any(|member| member.node == **node);
                before.iter().filter(here).find(|node| !after.contains(node)).copied()
            };
            let Some(node) = late else {
                return self.check(Property::NewAddressIsUsedSoon, true, String::new);
            };
            if self.ctx.now() >= deadline {
                return self.check(Property::NewAddressIsUsedSoon, false, || {
                    format!(
                        "node {} has no connection to {broker:?}, {FOUND_WITHIN:?} after it moved",
                        node.0
                    )
                });
            }
            self.ctx.sleep(LOOK).await;
        }
    }

    /// Members that have started and are connected to a server.
    fn connected(&self, world: &World, server: NodeId) -> Vec<NodeId> {
        let members = self.members();
        let started = members.iter().filter(|member| member.consumer.is_some()).map(|member| member.node);
        started
            .filter(|node| {
                let conns = world.network.connections_where(|way| (way.from, way.to) == (*node, server));
                conns.iter().any(|conn| world.network.is_established(*conn))
            })
            .collect()
    }

    /// A connection takes everything and brings nothing, for ever; a new one works.
    pub(crate) async fn swallow(&self, fault: &FaultItem) {
        let awaited = {
            let mut world = self.ctx.world.lock();
            let conns = world.network.established();
            if conns.is_empty() {
                return;
            }
            let conn = pick(&conns, fault.target);
            world.network.swallow(conn);
            world.network.effects.count(fault.kind);
            let Some((client, _)) = world.network.nodes(conn) else { return };
            let Some(channel) = world.network.channel(conn) else { return };
            world.monitor.awaited(world.now, client, channel)
        };
        self.ctx.sleep(NOTICED_WITHIN).await;
        let left = self.ctx.world.lock().monitor.still_awaited(&awaited);
        self.check(Property::SilenceIsNoticed, left.is_none(), || {
            format!("{left:?} is awaited {NOTICED_WITHIN:?} after its connection fell silent")
        });
    }

    /// A name server's process starts again and knows nothing; then somebody new sends.
    pub(crate) async fn forget_at_name_server(&self, fault: &FaultItem) {
        let (calm, forgetful) = {
            let mut world = self.ctx.world.lock();
            let name_servers = world.name_servers();
            let forgetful = pick(&name_servers, fault.target);
            if world.servers[&forgetful].is_up() {
                world.stop_server(forgetful);
                world.start_server(forgetful, rocketmq_dev_broker::Durability::All);
                world.network.effects.count(fault.kind);
            }
            (world.is_calm() && world.is_known_beside(forgetful), forgetful)
        };
        let stranger = self.new_producer();
        let number = MessageNumber(STRANGERS + u32::try_from(fault.amount % 1_000_000).expect("a number"));
        let message = self.message(number, "TagA", 10);
        let started: Instant = self.ctx.now();
        let operation = stranger.producer.send(message);
        let result = self.finish_with(number, started, operation).await;
        let no_route = matches!(
            &result,
            Err(Error::NotSent(failure)) if matches!(failure.cause, Cause::NoRoute { .. })
        );
        let calm = calm && {
            let mut world = self.ctx.world.lock();
            world.is_calm() && world.is_known_beside(forgetful)
        };
        self.check(Property::OneServersNoIsNotTheClusters, !(calm && no_route), || {
            format!("a new client was told {result:?}, but another name server knows the topic")
        });
        let closed = stranger.client.close().await;
        self.note(|| format!("a stranger has closed: {closed:?}"));
        let mut world = self.ctx.world.lock();
        let now = world.now;
        world.monitor.client_closed(now, stranger.node);
    }

    /// A client is closed right behind its sends, by one who closes twice.
    pub(crate) async fn close_behind_sends(&self, fault: &FaultItem) {
        let stranger = self.new_producer();
        let first = STRANGERS + 1_000_000 + u32::try_from(fault.amount % 1_000_000).expect("a number") * 16;
        let started = self.ctx.now();
        let sends: Vec<_> = (first..=first + u32::try_from(fault.target % 8).expect("few"))
            .map(|number| {
                let number = MessageNumber(number);
                (number, stranger.producer.send(self.message(number, "TagA", 10)))
            })
            .collect();
        let of_producer = (fault.target & 8 == 0).then(|| stranger.producer.close());
        let ends = self.ends_of([stranger.client.close(), stranger.client.close()]);
        self.ctx.world.lock().network.effects.count(fault.kind);
        for (number, operation) in sends {
            let result = self.finish_with(number, started, operation).await;
            self.check(Property::CloseOvertakesNoSend, !matches!(result, Err(Error::Closed)), || {
                format!("the send of {number:?} was called for before its client's close, and is {result:?}")
            });
        }
        if let Some(closing) = of_producer {
            let closed = closing.await;
            self.note(|| format!("a stranger's producer has closed: {closed:?}"));
        }
        while ends.lock().expect("nobody panics with it").len() < 2 {
            self.ctx.sleep(LOOK).await;
        }
        let ends = ends.lock().expect("nobody panics with it").clone();
        self.check(Property::CloseOvertakesNoSend, ends[0].0 == ends[1].0, || {
            format!("two closes of one client ended apart from each other: {ends:?}")
        });
        // What is under way ends with its time; then there are connections to say good-bye to.
        let (most, took) = (self.plan.settings.send_timeout + FAREWELLS_MAX, ends[1].0 - started);
        self.check(Property::CloseOvertakesNoSend, took <= most, || {
            format!("a close behind sends of {:?} took {took:?}: {ends:?}", self.plan.settings.send_timeout)
        });
        let now = self.ctx.now();
        let mut world = self.ctx.world.lock();
        world.monitor.client_closed(now, stranger.node);
    }
    /// When these end, each by itself, and how.
    fn ends_of(&self, closings: [Operation<()>; 2]) -> Ends {
        let ends = Ends::default();
        for closing in closings {
            let (ends, ctx) = (ends.clone(), self.ctx.clone());
            self.ctx.spawn(async move {
                let closed = closing.await;
                let end = (ctx.now(), format!("{closed:?}"));
                ends.lock().expect("nobody panics with it").push(end);
            });
        }
        ends
    }
}
