//! The strategies by which the queues of a topic are divided among the members of a group. All
//! members must use the same one: nobody coordinates them but equal inputs.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use md5::{Digest, Md5};
use thiserror::Error;

use crate::config::{AllocateStrategy, RoomRule};
use crate::message::MessageQueue;

/// Why queues could not be divided; what is owned stays as it is.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AllocateError {
    /// The topic has no queues, or the group no members.
    #[error("{queues} queues can't be divided among {members} members")]
    Nothing {
        /// How many queues there are.
        queues: usize,
        /// How many members there are.
        members: usize,
    },
    /// The rule for rooms finds none for a broker or a member.
    #[error("no machine room can be told from {name:?}: check the room rule of the allocate strategy")]
    NoRoom {
        /// The broker's name or the member's client id.
        name: Arc<str>,
    },
}

/// The queues that `own` gets. `queues` are sorted, `members` come from [`sort_members`]. Nothing,
/// if `own` is not a member.
///
/// # Errors
/// [`AllocateError`] when either list is empty or a room is unknown. Java: `IllegalArgumentException`.
pub fn allocate(
    strategy: &AllocateStrategy,
    own: &str,
    queues: &[Arc<MessageQueue>],
    members: &[Arc<str>],
) -> Result<Vec<Arc<MessageQueue>>, AllocateError> {
    // The configured queues are anyone's who was given them: no check, as in Java.
    let configured = matches!(strategy, AllocateStrategy::Config(_));
    if !configured && (queues.is_empty() || members.is_empty()) {
        return Err(AllocateError::Nothing { queues: queues.len(), members: members.len() });
    }
    let index = members.iter().position(|member| &**member == own);
    Ok(match (strategy, index) {
        (AllocateStrategy::Config(configured), _) => configured.iter().cloned().map(Arc::new).collect(),
        (_, None) => Vec::new(),
        (AllocateStrategy::Averagely, Some(index)) => averagely(index, queues, members.len()),
        (AllocateStrategy::AveragelyByCircle, Some(index)) => {
            queues.iter().skip(index).step_by(members.len()).cloned().collect()
        }
        (AllocateStrategy::MachineRoom { rooms }, Some(index)) => {
            machine_room(index, queues, members.len(), rooms)
        }
        (AllocateStrategy::MachineRoomNearby { inner, brokers, consumers }, Some(_)) => {
            machine_room_nearby(own, queues, members, inner, brokers, consumers)?
        }
        (AllocateStrategy::ConsistentHash { virtual_nodes }, Some(_)) => {
            consistent_hash(own, queues, members, *virtual_nodes)
        }
    })
}

/// Whether `strategy` gives none of `queues`, which are sorted, whoever the members are. Java gives nothing and
/// says nothing. A topic without queues is another matter.
pub fn excludes(strategy: &AllocateStrategy, queues: &[Arc<MessageQueue>]) -> bool {
    !queues.is_empty()
        && match strategy {
            AllocateStrategy::MachineRoom { rooms } => !queues.iter().any(|queue| is_in(queue, rooms)),
            AllocateStrategy::Config(own) => {
                !own.iter().any(|own| queues.binary_search_by(|queue| (**queue).cmp(own)).is_ok())
            }
            AllocateStrategy::MachineRoomNearby { inner, .. } => excludes(inner, queues),
            AllocateStrategy::Averagely
            | AllocateStrategy::AveragelyByCircle
            | AllocateStrategy::ConsistentHash { .. } => false,
        }
}

/// Whether the queue's broker is named `room@broker`, with one of these rooms.
fn is_in(queue: &MessageQueue, rooms: &BTreeSet<Arc<str>>) -> bool {
    let mut parts = queue.broker_name.trim_end_matches('@').split('@');
    matches!((parts.next(), parts.next(), parts.next()), (Some(room), Some(_), None) if rooms.contains(room))
}

/// Brings client ids into the order that every member uses (Java's `String#compareTo`, by UTF-16
/// units). An id that a broker lists twice, because the client has an old connection there too,
/// counts once; in Java the second share belongs to nobody until the connection is gone.
pub fn sort_members(members: &mut Vec<Arc<str>>) {
    members.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
    members.dedup();
}

/// Java: `AllocateMessageQueueAveragely`.
fn averagely(index: usize, queues: &[Arc<MessageQueue>], members: usize) -> Vec<Arc<MessageQueue>> {
    let (share, rest) = (queues.len() / members, queues.len() % members);
    let size = share + usize::from(index < rest);
    let start = index * share + index.min(rest);
    queues.iter().skip(start).take(size).cloned().collect()
}

/// Java: `AllocateMessageQueueByMachineRoom`.
fn machine_room(
    index: usize,
    queues: &[Arc<MessageQueue>],
    members: usize,
    rooms: &BTreeSet<Arc<str>>,
) -> Vec<Arc<MessageQueue>> {
    let near: Vec<&Arc<MessageQueue>> = queues.iter().filter(|queue| is_in(queue, rooms)).collect();
    let (share, rest) = (near.len() / members, near.len() % members);
    let mut own: Vec<_> =
        near.iter().skip(share * index).take(share).map(|queue| Arc::clone(queue)).collect();
    if index < rest {
        own.extend(near.get(index + share * members).map(|queue| Arc::clone(queue)));
    }
    own
}

/// Java: `AllocateMachineRoomNearby`.
fn machine_room_nearby(
    own: &str,
    queues: &[Arc<MessageQueue>],
    members: &[Arc<str>],
    inner: &AllocateStrategy,
    brokers: &RoomRule,
    consumers: &RoomRule,
) -> Result<Vec<Arc<MessageQueue>>, AllocateError> {
    let room = |rule: &RoomRule, name: &Arc<str>| -> Result<Arc<str>, AllocateError> {
        rule.room(name).ok_or_else(|| AllocateError::NoRoom { name: name.clone() })
    };
    let mut queues_of: BTreeMap<Arc<str>, Vec<Arc<MessageQueue>>> = BTreeMap::new();
    for queue in queues {
        queues_of.entry(room(brokers, &queue.broker_name)?).or_default().push(queue.clone());
    }
    let mut members_of: BTreeMap<Arc<str>, Vec<Arc<str>>> = BTreeMap::new();
    for member in members {
        members_of.entry(room(consumers, member)?).or_default().push(member.clone());
    }
    let own_room = room(consumers, &Arc::from(own))?;
    let mut result = match (queues_of.get(&own_room), members_of.get(&own_room)) {
        (Some(queues), Some(members)) => allocate(inner, own, queues, members)?,
        _ => Vec::new(),
    };
    for (_, queues) in queues_of.iter().filter(|(room, _)| !members_of.contains_key(*room)) {
        result.extend(allocate(inner, own, queues, members)?);
    }
    Ok(result)
}

/// Java: `AllocateMessageQueueConsistentHash` with its default hash.
fn consistent_hash(
    own: &str,
    queues: &[Arc<MessageQueue>],
    members: &[Arc<str>],
    virtual_nodes: u32,
) -> Vec<Arc<MessageQueue>> {
    let mut ring: BTreeMap<u32, &str> = BTreeMap::new();
    for member in members {
        for node in 0..virtual_nodes {
            ring.insert(md5_32(&format!("{member}-{node}")), member);
        }
    }
    let owner = |queue: &MessageQueue| {
        let at = md5_32(&java_text(queue));
        ring.range(at..).next().or_else(|| ring.first_key_value()).map(|(_, member)| *member)
    };
    queues.iter().filter(|queue| owner(queue) == Some(own)).cloned().collect()
}

/// Java: `MessageQueue#toString`, which is what gets hashed.
fn java_text(queue: &MessageQueue) -> String {
    let MessageQueue { topic, broker_name, queue_id } = queue;
    format!("MessageQueue [topic={topic}, brokerName={broker_name}, queueId={queue_id}]")
}

/// The first four bytes of the MD5 as a big-endian number.
fn md5_32(text: &str) -> u32 {
    let digest: [u8; 16] = Md5::digest(text.as_bytes()).into();
    let [a, b, c, d, ..] = digest;
    u32::from_be_bytes([a, b, c, d])
}

#[cfg(test)]
mod tests {
    extern crate std;

    use super::*;
    use crate::golden::each_vector;
    use proptest::prelude::*;
    use serde_json::Value;

    fn text(value: &Value) -> &str {
        value.as_str().expect("a string")
    }

    fn array(value: &Value) -> &[Value] {
        value.as_array().expect("an array")
    }

    fn golden_strategy(line: &Value) -> AllocateStrategy {
        match text(&line["strategy"]) {
            "AVG" => AllocateStrategy::Averagely,
            "AVG_BY_CIRCLE" => AllocateStrategy::AveragelyByCircle,
            "CONSISTENT_HASH" => {
                let virtual_nodes = line["virtual_nodes"].as_u64().unwrap_or(10);
                AllocateStrategy::ConsistentHash {
                    virtual_nodes: u32::try_from(virtual_nodes).expect("small"),
                }
            }
            "MACHINE_ROOM" => {
                let rooms = array(&line["consumer_idcs"]).iter().map(|room| Arc::from(text(room))).collect();
                AllocateStrategy::MachineRoom { rooms }
            }
            other => panic!("unknown strategy {other}"),
        }
    }

    /// Some vectors list the queues, others only say how many there are.
    fn golden_queues(line: &Value) -> Vec<Arc<MessageQueue>> {
        let topic = line["topic"].as_str().unwrap_or("TopicGolden");
        let queue = |broker: &str, id: i64| {
            let queue_id = i32::try_from(id).expect("small");
            Arc::new(MessageQueue { topic: topic.into(), broker_name: broker.into(), queue_id })
        };
        match line["queues"].as_i64() {
            Some(count) => (0..count).map(|id| queue("broker-a", id)).collect(),
            None => array(&line["queues"])
                .iter()
                .map(|entry| queue(text(&entry["broker"]), entry["queue_id"].as_i64().expect("an id")))
                .collect(),
        }
    }

    #[test]
    fn java_divides_the_same_way() {
        let mut lines: BTreeMap<String, usize> = BTreeMap::new();
        each_vector!("allocation.jsonl", |line: &Value| {
            let strategy = golden_strategy(line);
            let queues = golden_queues(line);
            *lines.entry(text(&line["strategy"]).into()).or_default() += 1;
            let members: Vec<Arc<str>> =
                array(&line["client_ids"]).iter().map(|id| Arc::from(text(id))).collect();
            let mut sorted = members.clone();
            sort_members(&mut sorted);
            assert_eq!(sorted, members, "the order of members is Java's");
            if line["result_size"] == 0 {
                let outsider = text(&line["current"]);
                assert_eq!(allocate(&strategy, outsider, &queues, &members), Ok(Vec::new()), "{line}");
                return;
            }
            for (own, expected) in line["result"].as_object().expect("a result") {
                let index =
                    |index: &Value| usize::try_from(index.as_u64().expect("an index")).expect("small");
                let expected: Vec<_> =
                    array(expected).iter().map(|value| queues[index(value)].clone()).collect();
                assert_eq!(allocate(&strategy, own, &queues, &members), Ok(expected), "{own} in {line}");
            }
        });
        let expected = [("AVG", 64), ("AVG_BY_CIRCLE", 64), ("CONSISTENT_HASH", 127), ("MACHINE_ROOM", 9)];
        assert_eq!(lines, expected.map(|(name, count)| (name.into(), count)).into(), "all vectors were seen");
    }

    fn world(brokers: usize, per_broker: i32, members: usize) -> (Vec<Arc<MessageQueue>>, Vec<Arc<str>>) {
        let queue = |broker: usize, queue_id| {
            let broker_name = format!("room{}@broker-{broker}", broker % 3).into();
            Arc::new(MessageQueue { topic: "t".into(), broker_name, queue_id })
        };
        let mut queues: Vec<_> =
            (0..brokers).flat_map(|broker| (0..per_broker).map(move |id| queue(broker, id))).collect();
        queues.sort();
        let mut ids: Vec<Arc<str>> =
            (0..members).map(|id| format!("room{}@10.0.0.{id}", id % 2).into()).collect();
        sort_members(&mut ids);
        (queues, ids)
    }

    fn shares(
        strategy: &AllocateStrategy,
        queues: &[Arc<MessageQueue>],
        members: &[Arc<str>],
    ) -> Vec<Vec<Arc<MessageQueue>>> {
        members
            .iter()
            .map(|own| allocate(strategy, own, queues, members).expect("both lists have entries"))
            .collect()
    }

    fn strategy() -> impl Strategy<Value = AllocateStrategy> {
        let room = RoomRule::Before('@');
        let nearby = move |inner| AllocateStrategy::MachineRoomNearby {
            inner: alloc::boxed::Box::new(inner),
            brokers: room.clone(),
            consumers: room.clone(),
        };
        prop_oneof![
            Just(AllocateStrategy::Averagely),
            Just(AllocateStrategy::AveragelyByCircle),
            (1..20u32).prop_map(|virtual_nodes| AllocateStrategy::ConsistentHash { virtual_nodes }),
            Just(AllocateStrategy::MachineRoom { rooms: ["room0", "room1", "room2"].map(Arc::from).into() }),
            Just(nearby(AllocateStrategy::Averagely)),
            Just(nearby(AllocateStrategy::AveragelyByCircle)),
        ]
    }

    proptest! {
        #[test]
        fn every_queue_has_exactly_one_owner(
            strategy in strategy(), brokers in 1..6usize, per_broker in 1..9i32, members in 1..12usize,
        ) {
            let (queues, members) = world(brokers, per_broker, members);
            let mut given: Vec<_> = shares(&strategy, &queues, &members).concat();
            given.sort();
            prop_assert_eq!(given, queues);
        }

        #[test]
        fn equal_parts_differ_by_at_most_one(brokers in 1..6usize, per_broker in 1..9i32, members in 1..12usize) {
            let (queues, members) = world(brokers, per_broker, members);
            for strategy in [AllocateStrategy::Averagely, AllocateStrategy::AveragelyByCircle] {
                let sizes: Vec<usize> = shares(&strategy, &queues, &members).iter().map(Vec::len).collect();
                let (min, max) = (sizes.iter().min(), sizes.iter().max());
                prop_assert!(max.zip(min).is_some_and(|(max, min)| max - min <= 1), "{:?}", sizes);
            }
        }

        #[test]
        fn a_hash_ring_moves_only_the_queues_of_the_member_that_left(
            brokers in 1..6usize, per_broker in 1..9i32, members in 2..12usize, leaver in any::<prop::sample::Index>(),
        ) {
            let strategy = AllocateStrategy::ConsistentHash { virtual_nodes: 10 };
            let (queues, members) = world(brokers, per_broker, members);
            let mut rest = members.clone();
            rest.remove(leaver.index(members.len()));
            for own in &rest {
                let before = allocate(&strategy, own, &queues, &members).expect("lists have entries");
                let after = allocate(&strategy, own, &queues, &rest).expect("lists have entries");
                prop_assert!(before.iter().all(|queue| after.contains(queue)));
            }
        }
    }

    #[test]
    fn rooms_are_served_by_their_own_members_first() {
        let (queues, members) = world(3, 2, 2);
        let nearby = AllocateStrategy::MachineRoomNearby {
            inner: alloc::boxed::Box::new(AllocateStrategy::Averagely),
            brokers: RoomRule::Before('@'),
            consumers: RoomRule::Before('@'),
        };
        let names: Vec<Vec<String>> = shares(&nearby, &queues, &members)
            .iter()
            .map(|share| {
                share.iter().map(|queue| format!("{}:{}", queue.broker_name, queue.queue_id)).collect()
            })
            .collect();
        // Room 2 has no member, so all share it.
        assert_eq!(names[0], ["room0@broker-0:0", "room0@broker-0:1", "room2@broker-2:0"]);
        assert_eq!(names[1], ["room1@broker-1:0", "room1@broker-1:1", "room2@broker-2:1"]);
    }

    #[test]
    fn nothing_can_be_divided_without_queues_members_or_rooms() {
        let (queues, members) = world(1, 2, 2);
        let strategy = AllocateStrategy::Averagely;
        assert_eq!(
            allocate(&strategy, "x", &[], &members),
            Err(AllocateError::Nothing { queues: 0, members: 2 })
        );
        assert_eq!(
            allocate(&strategy, "x", &queues, &[]),
            Err(AllocateError::Nothing { queues: 2, members: 0 })
        );
        assert_eq!(allocate(&strategy, "not a member", &queues, &members), Ok(Vec::new()));
        let lost = AllocateStrategy::MachineRoomNearby {
            inner: alloc::boxed::Box::new(AllocateStrategy::Averagely),
            brokers: RoomRule::Before('/'),
            consumers: RoomRule::Before('@'),
        };
        let error = allocate(&lost, &members[0], &queues, &members);
        assert_eq!(error, Err(AllocateError::NoRoom { name: queues[0].broker_name.clone() }));
    }

    #[test]
    fn configured_queues_are_taken_whatever_the_lists_say() {
        let (queues, _) = world(1, 2, 1);
        let configured = AllocateStrategy::Config(alloc::vec![(*queues[1]).clone()]);
        assert_eq!(allocate(&configured, "anyone", &[], &[]), Ok(alloc::vec![queues[1].clone()]));
    }

    #[test]
    fn a_member_that_is_listed_twice_counts_once() {
        let mut members: Vec<Arc<str>> = ["b", "a", "b"].map(Arc::from).into();
        sort_members(&mut members);
        assert_eq!(members, ["a", "b"].map(Arc::from));
    }
}
