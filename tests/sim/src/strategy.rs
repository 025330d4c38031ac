//! How the members of a group divide its queues.

use std::sync::Arc;

use rocketmq_client_core::config::{AllocateStrategy, RoomRule};
use rocketmq_client_core::message::MessageQueue;

use crate::consumers::group_name;
use crate::plan::{Plan, Strategy};
use crate::scenario::TOPIC;

/// The room of all brokers, where a strategy asks for one.
pub(crate) const ROOM: &str = "room";

impl Plan {
    /// The name of a broker that would otherwise have this one.
    pub(crate) fn broker_name(&self, name: &str) -> Arc<str> {
        match self.settings.strategy {
            Strategy::MachineRoom => format!("{ROOM}@{name}").into(),
            _ => name.into(),
        }
    }

    /// The strategy of one of a group's members, counted from 0.
    pub(crate) fn strategy(&self, group: usize, member: usize) -> AllocateStrategy {
        match self.settings.strategy {
            Strategy::Averagely => AllocateStrategy::Averagely,
            Strategy::AveragelyByCircle => AllocateStrategy::AveragelyByCircle,
            Strategy::ConsistentHash => AllocateStrategy::ConsistentHash { virtual_nodes: 10 },
            Strategy::MachineRoom => AllocateStrategy::MachineRoom { rooms: [ROOM.into()].into() },
            Strategy::MachineRoomNearby => AllocateStrategy::MachineRoomNearby {
                inner: Box::new(AllocateStrategy::Averagely),
                brokers: RoomRule::Before('-'),
                // No broker is in a member's room, so each is everybody's.
                consumers: RoomRule::Before('@'),
            },
            Strategy::Config => AllocateStrategy::Config(self.queues_of(group, member)),
        }
    }

    /// Each member's part of all queues, those of the retry topic included.
    fn queues_of(&self, group: usize, member: usize) -> Vec<MessageQueue> {
        let members = self.topology.groups[group];
        let retry = format!("%RETRY%{}", group_name(group));
        let mut all = Vec::new();
        for broker in 0..self.topology.brokers {
            let name = crate::simulate::broker_config(broker).broker_name;
            let own = (0..self.topology.queues).map(|queue_id| (TOPIC, queue_id));
            all.extend(own.chain([(&*retry, 0)]).map(|(topic, queue_id)| MessageQueue {
                topic: topic.into(),
                broker_name: name.clone(),
                queue_id,
            }));
        }
        all.into_iter().skip(member % members).step_by(members).collect()
    }
}
