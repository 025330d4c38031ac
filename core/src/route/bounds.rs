//! What a route may cost. A name server's answer beyond these bounds is refused as a whole: a part of a route
//! would leave queues unread in silence. Java believes every answer.

use crate::remoting::TopicRouteData;

/// Bytes of an answer's body. A broker with an address and its queues takes about 250.
const BODY_BYTES_MAX: usize = 2 << 20;
/// JSON objects in a body, so that many empty ones are not taken in before they are counted: three a broker,
/// and as many again for static mappings, leave room.
const OBJECTS_MAX: usize = 16_384;
/// Brokers that host one topic.
const BROKERS_MAX: usize = 1_024;
/// Addresses of one broker name.
const ADDRESSES_MAX: usize = 64;
/// Bytes of a broker's name, its cluster's name, or an address. Java has a rule for topics only: 127.
const NAME_BYTES_MAX: usize = 255;
/// Queues of one topic that can be written, and as many that can be read. A consumer of all of them takes 1 to 2 KiB for
/// each. Java's admin tools make topics of up to 65,536 queues on a broker.
pub(crate) const QUEUES_MAX: u64 = 16_384;

/// What a route has too much of, and how much.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RouteTooLarge {
    /// The answer is too long.
    #[error("a route of {0} bytes is refused, {BODY_BYTES_MAX} are the most")]
    Body(usize),
    /// The answer has too many parts.
    #[error("a route of {0} JSON objects is refused, {OBJECTS_MAX} are the most")]
    Objects(usize),
    /// Too many brokers host the topic.
    #[error("a route with {0} brokers is refused, {BROKERS_MAX} are the most")]
    Brokers(usize),
    /// A broker has too many addresses.
    #[error("a route with {0} addresses of one broker is refused, {ADDRESSES_MAX} are the most")]
    Addresses(usize),
    /// A name is too long.
    #[error("a route with a name or address of {0} bytes is refused, {NAME_BYTES_MAX} are the most")]
    Name(usize),
    /// The topic has too many queues.
    #[error("a route with {0} queues is refused, {QUEUES_MAX} are the most")]
    Queues(u64),
}

/// Weighs an answer before it is decoded. Braces within strings count too, which names have no use for.
pub(crate) fn weigh_body(body: &[u8]) -> Result<(), RouteTooLarge> {
    if body.len() > BODY_BYTES_MAX {
        return Err(RouteTooLarge::Body(body.len()));
    }
    let objects = body.iter().filter(|byte| **byte == b'{').count();
    if objects > OBJECTS_MAX { Err(RouteTooLarge::Objects(objects)) } else { Ok(()) }
}

/// Weighs a route before queues are made of it.
pub(crate) fn weigh(data: &TopicRouteData) -> Result<(), RouteTooLarge> {
    let brokers = data.broker_datas.len().max(data.queue_datas.len());
    if brokers > BROKERS_MAX {
        return Err(RouteTooLarge::Brokers(brokers));
    }
    for broker in &data.broker_datas {
        if broker.broker_addrs.len() > ADDRESSES_MAX {
            return Err(RouteTooLarge::Addresses(broker.broker_addrs.len()));
        }
        let zone = broker.zone_name.as_deref().unwrap_or_default();
        let names = [&*broker.broker_name, &*broker.cluster, zone];
        weigh_names(names.into_iter().chain(broker.broker_addrs.values().map(|address| &**address)))?;
    }
    weigh_names(data.queue_datas.iter().map(|entry| &*entry.broker_name))?;
    weigh_queues(data.queue_datas.iter().map(|entry| entry.write_queue_nums))?;
    weigh_queues(data.queue_datas.iter().map(|entry| entry.read_queue_nums))?;
    let ordered = || data.order_topic_conf.iter().flat_map(|conf| super::queues::ordered_brokers(conf));
    weigh_names(ordered().map(|(broker, _)| broker))?;
    weigh_queues(ordered().map(|(_, nums)| nums))
}

fn weigh_names<'a>(mut names: impl Iterator<Item = &'a str>) -> Result<(), RouteTooLarge> {
    let too_long = names.find(|name| name.len() > NAME_BYTES_MAX);
    too_long.map_or(Ok(()), |name| Err(RouteTooLarge::Name(name.len())))
}

/// Each number is below 2³¹ and there are fewer than 2²¹, so the sum is below 2⁵².
fn weigh_queues(nums: impl Iterator<Item = i32>) -> Result<(), RouteTooLarge> {
    let queues = nums.map(|nums| u64::try_from(nums).unwrap_or(0)).sum();
    if queues > QUEUES_MAX { Err(RouteTooLarge::Queues(queues)) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use alloc::collections::BTreeMap;
    use alloc::format;
    use alloc::string::String;
    use alloc::vec;

    use super::*;
    use crate::remoting::{BrokerData, QueueData};

    fn brokers(count: usize) -> TopicRouteData {
        let broker = |number| BrokerData { broker_name: format!("b{number}").into(), ..Default::default() };
        TopicRouteData { broker_datas: (0..count).map(broker).collect(), ..Default::default() }
    }

    fn addresses(count: i64) -> TopicRouteData {
        let mut data = brokers(1);
        data.broker_datas[0].broker_addrs = (0..count).map(|id| (id, "10.0.0.1:1".into())).collect();
        data
    }

    fn queues(read: &[i32], write: i32) -> TopicRouteData {
        let entry =
            |nums: &i32| QueueData { read_queue_nums: *nums, write_queue_nums: write, ..Default::default() };
        TopicRouteData { queue_datas: read.iter().map(entry).collect(), ..Default::default() }
    }

    fn ordered(conf: &str) -> TopicRouteData {
        TopicRouteData { order_topic_conf: Some(conf.into()), ..Default::default() }
    }

    fn named(change: impl FnOnce(&mut BrokerData, String), bytes: usize) -> TopicRouteData {
        let mut data = brokers(1);
        change(&mut data.broker_datas[0], "x".repeat(bytes));
        data
    }

    #[test]
    fn a_route_at_each_bound_is_taken_and_one_beyond_is_named() {
        use RouteTooLarge::{Addresses, Brokers, Name, Queues};
        let rows = [
            (brokers(1_024), Ok(())),
            (brokers(1_025), Err(Brokers(1_025))),
            (queues(&[1; 1_025], 1), Err(Brokers(1_025))),
            (addresses(64), Ok(())),
            (addresses(65), Err(Addresses(65))),
            (queues(&[16_383, 1, -7], 0), Ok(())),
            (queues(&[16_383, 2], 0), Err(Queues(16_385))),
            (queues(&[i32::MAX; 1_024], 0), Err(Queues(2_147_483_647 * 1_024))),
            (queues(&[4], 16_385), Err(Queues(16_385))),
            (ordered("a:16383;b:1;c:-3;d"), Ok(())),
            (ordered("a:16383;b:2"), Err(Queues(16_385))),
            (ordered(&format!("{}:1", "x".repeat(256))), Err(Name(256))),
            (named(|broker, name| broker.broker_name = name.into(), 255), Ok(())),
            (named(|broker, name| broker.broker_name = name.into(), 256), Err(Name(256))),
            (named(|broker, name| broker.cluster = name.into(), 256), Err(Name(256))),
            (named(|broker, name| broker.zone_name = Some(name.into()), 256), Err(Name(256))),
            (
                named(|broker, name| broker.broker_addrs = BTreeMap::from([(3, name.into())]), 256),
                Err(Name(256)),
            ),
        ];
        for (data, expected) in rows {
            assert_eq!(weigh(&data), expected);
        }
    }

    #[test]
    fn a_body_is_weighed_before_it_is_decoded() {
        assert_eq!(weigh_body(&vec![b' '; 2 << 20]), Ok(()));
        assert_eq!(weigh_body(&vec![b' '; (2 << 20) + 1]), Err(RouteTooLarge::Body((2 << 20) + 1)));
        assert_eq!(weigh_body("{}".repeat(16_384).as_bytes()), Ok(()));
        assert_eq!(weigh_body("{}".repeat(16_385).as_bytes()), Err(RouteTooLarge::Objects(16_385)));
    }
}
