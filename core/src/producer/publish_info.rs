//! The queues that a producer can send a topic's messages to, and whose turn it is.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::latency::LatencyFaultTolerance;
use crate::message::MessageQueue;
use crate::producer::queue_choice::QueueChoice;
use crate::remoting::SendTemplate;
use crate::rng::Rng;
use crate::route::TopicRoute;
use crate::time::Instant;

/// A topic as one producer sees it. Java: `TopicPublishInfo`.
#[derive(Clone, Debug)]
pub struct TopicPublishInfo {
    queues: Arc<[Arc<MessageQueue>]>,
    /// Each broker of `queues`, and where its first queue stands.
    brokers: Vec<(Arc<str>, usize)>,
    route_version: u64,
    index: u32,
    /// When it was sent to last.
    used: Instant,
    /// By broker, of batches and of single messages; at most [`TEMPLATES_MAX`].
    templates: Vec<(Arc<str>, bool, SendTemplate)>,
}

/// How many constant parts of its sends a topic keeps, one for a broker; the last one makes room for another.
const TEMPLATES_MAX: usize = 64;

impl TopicPublishInfo {
    /// Starts at a queue drawn at random, so that many producers don't all start at the first.
    pub fn new(rng: &mut Rng) -> Self {
        let (queues, brokers, templates) = (Arc::from([]), Vec::new(), Vec::new());
        Self { queues, brokers, route_version: 0, index: rng.next_u32(), used: Instant::ZERO, templates }
    }

    /// When it was sent to last.
    pub(super) const fn used(&self) -> Instant {
        self.used
    }

    /// It is sent to now. Takes the queues from `route` if it has changed.
    pub fn refresh(&mut self, now: Instant, route: &TopicRoute) {
        self.used = now;
        if self.route_version != route.version {
            self.route_version = route.version;
            self.queues = route.publish_queues().clone();
            self.brokers = brokers_of(&self.queues);
            let brokers = &self.brokers;
            self.templates.retain(|(known, ..)| brokers.iter().any(|(broker, _)| broker == known));
        }
    }

    /// The template of sends to `broker`, of batches or of single messages, made by `make` the first time.
    pub(super) fn template(
        &mut self,
        broker: &Arc<str>,
        batch: bool,
        make: impl FnOnce() -> SendTemplate,
    ) -> &SendTemplate {
        let found = self.templates.iter().position(|(known, of, _)| *of == batch && known == broker);
        let at = found.unwrap_or_else(|| {
            self.templates.truncate(TEMPLATES_MAX - 1);
            self.templates.push((broker.clone(), batch, make()));
            self.templates.len() - 1
        });
        &self.templates[at].2
    }

    /// The queues.
    #[must_use]
    pub fn queues(&self) -> &Arc<[Arc<MessageQueue>]> {
        &self.queues
    }

    /// Whether a queue lives on another broker than `broker`.
    #[must_use]
    pub fn has_broker_besides(&self, broker: &str) -> bool {
        self.brokers.iter().any(|(name, _)| &**name != broker)
    }

    /// The queue for the next attempt. Java: `MQFaultStrategy#selectOneMessageQueue`: a healthy broker
    /// that was not tried last, else a reachable one, else any.
    pub fn select(
        &mut self,
        now: Instant,
        choice: &QueueChoice,
        last_broker: Option<&str>,
        faults: Option<&LatencyFaultTolerance>,
    ) -> Option<Arc<MessageQueue>> {
        match choice {
            QueueChoice::Queue(queue) => self.find(queue),
            QueueChoice::Hash(hash) => self.by_hash(*hash),
            // User code is asked; this is not for the table to say.
            QueueChoice::Select => None,
            QueueChoice::RoundRobin => {
                let fresh = |queue: &MessageQueue| last_broker.is_none_or(|last| last != &*queue.broker_name);
                if let Some(faults) = faults {
                    let healthy = |q: &MessageQueue| fresh(q) && faults.is_available(now, &q.broker_name);
                    let reachable = |q: &MessageQueue| fresh(q) && faults.is_reachable(&q.broker_name);
                    let found = self.pick(healthy).or_else(|| self.pick(reachable));
                    return found.or_else(|| self.pick(|_| true));
                }
                self.pick(fresh).or_else(|| self.pick(|_| true))
            }
        }
    }

    /// A queue stands as far behind the first one of its broker as its id says, unless somebody has set
    /// another order on the name server.
    fn find(&self, queue: &MessageQueue) -> Option<Arc<MessageQueue>> {
        let (_, first) = self.brokers.iter().find(|(broker, _)| *broker == queue.broker_name)?;
        let behind = usize::try_from(queue.queue_id).ok()?;
        let there = self.queues.get(first.saturating_add(behind)).filter(|known| ***known == *queue);
        there.or_else(|| self.queues.iter().find(|known| ***known == *queue)).cloned()
    }

    /// Java: `SelectMessageQueueByHash`: the remainder's absolute value.
    fn by_hash(&self, hash: i32) -> Option<Arc<MessageQueue>> {
        let count = i64::try_from(self.queues.len()).ok().filter(|count| *count > 0)?;
        let position = (i64::from(hash) % count).unsigned_abs();
        self.queues.get(usize::try_from(position).ok()?).cloned()
    }

    fn pick(&mut self, accepts: impl Fn(&MessageQueue) -> bool) -> Option<Arc<MessageQueue>> {
        for _ in 0..self.queues.len() {
            self.index = self.index.wrapping_add(1);
            let queue = &self.queues[self.index as usize % self.queues.len()];
            if accepts(queue) {
                return Some(queue.clone());
            }
        }
        None
    }
}

fn brokers_of(queues: &[Arc<MessageQueue>]) -> Vec<(Arc<str>, usize)> {
    let mut brokers: Vec<(Arc<str>, usize)> = Vec::new();
    for (position, queue) in queues.iter().enumerate() {
        // Neighbours mostly live on one broker.
        if !brokers.iter().rev().any(|(broker, _)| *broker == queue.broker_name) {
            brokers.push((queue.broker_name.clone(), position));
        }
    }
    brokers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remoting::{Encoder, RequestCode};
    use core::time::Duration;

    fn info(queues: &[(&str, i32)]) -> TopicPublishInfo {
        let queues: Vec<Arc<MessageQueue>> = queues
            .iter()
            .map(|(broker, queue_id)| {
                Arc::new(MessageQueue {
                    topic: "T".into(),
                    broker_name: (*broker).into(),
                    queue_id: *queue_id,
                })
            })
            .collect();
        let brokers = brokers_of(&queues);
        TopicPublishInfo {
            queues: queues.into(),
            brokers,
            route_version: 1,
            index: 0,
            used: Instant::ZERO,
            templates: Vec::new(),
        }
    }

    #[test]
    fn a_chosen_queue_is_found_in_any_order_and_a_gone_one_is_not() {
        let orders: [&[(&str, i32)]; 3] = [
            &[("a", 0), ("a", 1), ("b", 0), ("b", 1)],
            &[("b", 1), ("a", 0), ("b", 0), ("a", 1)],
            &[("a", 1), ("a", 0), ("b", 3), ("b", 7)],
        ];
        for order in orders {
            let mut info = info(order);
            for (broker, queue_id) in [("a", 0), ("a", 1), ("b", 0), ("b", 7), ("b", -1), ("c", 0)] {
                let queue = MessageQueue { topic: "T".into(), broker_name: broker.into(), queue_id };
                let choice = QueueChoice::Queue(queue.clone().into());
                let found = info.select(Instant::ZERO, &choice, None, None);
                let expected = order.contains(&(broker, queue_id)).then_some(queue);
                assert_eq!(found.as_deref(), expected.as_ref(), "{order:?}");
            }
            assert_eq!(["a", "b", "c"].map(|broker| info.has_broker_besides(broker)), [true; 3]);
        }
        assert!(!info(&[("a", 0), ("a", 1)]).has_broker_besides("a"));
    }

    fn template(info: &mut TopicPublishInfo, broker: &str) -> (usize, bool) {
        template_of(info, broker, false)
    }

    fn template_of(info: &mut TopicPublishInfo, broker: &str, batch: bool) -> (usize, bool) {
        let mut made = false;
        let make = || {
            made = true;
            SendTemplate::new(&Encoder::default(), RequestCode::SEND_MESSAGE_V2, &Default::default(), &[])
        };
        info.template(&broker.into(), batch, make);
        (info.templates.len(), made)
    }

    #[test]
    fn a_template_is_made_once_for_each_broker_and_they_stay_few() {
        let mut info = info(&[]);
        assert_eq!(template(&mut info, "a"), (1, true));
        assert_eq!(template(&mut info, "b"), (2, true));
        assert_eq!(template(&mut info, "a"), (2, false));
        assert_eq!(template_of(&mut info, "a", true), (3, true), "batches have their own");
        assert_eq!(template_of(&mut info, "a", true), (3, false));
        assert_eq!(template(&mut info, "a"), (3, false));
        for number in 0..TEMPLATES_MAX * 2 {
            assert!(template(&mut info, &alloc::format!("{number}")).0 <= TEMPLATES_MAX);
        }
        assert_eq!(template(&mut info, "a"), (TEMPLATES_MAX, false));
        assert_eq!(template(&mut info, "0"), (TEMPLATES_MAX, false));
    }

    fn brokers(
        info: &mut TopicPublishInfo,
        last: Option<&str>,
        faults: Option<&LatencyFaultTolerance>,
    ) -> Vec<Arc<str>> {
        (0..info.queues.len() * 2)
            .map(|_| {
                let queue = info.select(Instant::ZERO, &QueueChoice::RoundRobin, last, faults);
                queue.expect("there are queues").broker_name.clone()
            })
            .collect()
    }

    #[test]
    fn every_queue_has_its_turn() {
        let mut info = info(&[("a", 0), ("a", 1), ("b", 0)]);
        let mut seen: Vec<_> = (0..6)
            .map(|_| info.select(Instant::ZERO, &QueueChoice::RoundRobin, None, None).expect("a queue"))
            .collect();
        seen.sort();
        assert!(seen.chunks(2).all(|pair| pair[0] == pair[1]), "each of the three twice");
    }

    #[test]
    fn a_retry_goes_to_another_broker_if_there_is_one() {
        let mut two = info(&[("a", 0), ("a", 1), ("b", 0)]);
        assert!(brokers(&mut two, Some("a"), None).iter().all(|broker| &**broker == "b"));
        let mut one = info(&[("a", 0)]);
        assert!(brokers(&mut one, Some("a"), None).iter().all(|broker| &**broker == "a"));
    }

    #[test]
    fn a_broker_in_penalty_is_avoided_unless_all_are() {
        let mut faults = LatencyFaultTolerance::default();
        let mut info = info(&[("a", 0), ("b", 0)]);
        faults.update(Instant::ZERO, &"a".into(), Duration::ZERO, true, false);
        assert!(brokers(&mut info, None, Some(&faults)).iter().all(|broker| &**broker == "b"));
        faults.update(Instant::ZERO, &"b".into(), Duration::ZERO, true, false);
        assert_eq!(brokers(&mut info, None, Some(&faults)).len(), 4);
    }

    #[test]
    fn a_negative_hash_finds_the_queue_that_java_finds() {
        let mut info = info(&[("a", 0), ("a", 1), ("a", 2)]);
        for (hash, expected) in [(0, 0), (4, 1), (-4, 1), (i32::MIN, 2), (i32::MAX, 1)] {
            let queue = info.select(Instant::ZERO, &QueueChoice::Hash(hash), None, None).expect("a queue");
            assert_eq!(queue.queue_id, expected, "{hash}");
        }
    }
}
