//! Queue locks of orderly consumers. Java: `RebalanceLockManager`.
//!
//! A lock belongs to a client id, not to a connection: it outlives a disconnect and ends by unlock,
//! by 60 s without renewal, or with the broker process.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_core::message::MessageQueue;
use rocketmq_client_core::time::Instant;

#[derive(Clone, Debug)]
struct Lock {
    client_id: Arc<str>,
    renewed: Instant,
}

/// All queue locks of a broker, in memory only.
#[derive(Clone, Debug)]
pub(crate) struct LockTable {
    expire: Duration,
    groups: BTreeMap<Arc<str>, BTreeMap<MessageQueue, Lock>>,
}

impl LockTable {
    pub(crate) fn new(expire: Duration) -> Self {
        Self { expire, groups: BTreeMap::new() }
    }

    fn live(&self, lock: &Lock, now: Instant) -> bool {
        now - lock.renewed <= self.expire
    }

    /// Takes or renews; false when another client holds an unexpired lock.
    pub(crate) fn lock(&mut self, now: Instant, group: &str, queue: &MessageQueue, client_id: &str) -> bool {
        let held = self.groups.get(group).and_then(|queues| queues.get(queue));
        if held.is_some_and(|lock| self.live(lock, now) && &*lock.client_id != client_id) {
            return false;
        }
        let queues = self.groups.entry(group.into()).or_default();
        queues.insert(queue.clone(), Lock { client_id: client_id.into(), renewed: now });
        true
    }

    /// Releases, when `client_id` is the holder.
    pub(crate) fn unlock(&mut self, group: &str, queue: &MessageQueue, client_id: &str) {
        if let Some(queues) = self.groups.get_mut(group)
            && queues.get(queue).is_some_and(|lock| &*lock.client_id == client_id)
        {
            queues.remove(queue);
        }
    }

    /// Whether the group holds any unexpired lock: its retries then go to the dead letters.
    /// Java: `RebalanceLockManager#isLockAllExpired`.
    pub(crate) fn any_live(&self, now: Instant, group: &str) -> bool {
        self.groups.get(group).is_some_and(|queues| queues.values().any(|lock| self.live(lock, now)))
    }

    /// The holder of a queue's unexpired lock.
    pub(crate) fn holder(&self, now: Instant, group: &str, queue: &MessageQueue) -> Option<&Arc<str>> {
        let lock = self.groups.get(group)?.get(queue)?;
        self.live(lock, now).then_some(&lock.client_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn queue(queue_id: i32) -> MessageQueue {
        MessageQueue { topic: "T".into(), broker_name: "b".into(), queue_id }
    }

    #[test]
    fn a_lock_excludes_others_until_it_expires() {
        let mut locks = LockTable::new(Duration::from_secs(60));
        let at = |secs: u64| Instant::from_millis(secs * 1_000);
        assert!(locks.lock(at(0), "G", &queue(0), "a"));
        assert!(!locks.lock(at(59), "G", &queue(0), "b"));
        assert!(locks.lock(at(59), "G", &queue(0), "a"), "the holder renews");
        assert!(!locks.lock(at(119), "G", &queue(0), "b"));
        assert!(locks.lock(at(119) + Duration::from_millis(1), "G", &queue(0), "b"));
        assert_eq!(locks.holder(at(120), "G", &queue(0)).map(|id| &**id), Some("b"));
    }

    #[test]
    fn only_the_holder_unlocks_and_groups_are_apart() {
        let mut locks = LockTable::new(Duration::from_secs(60));
        locks.lock(Instant::ZERO, "G", &queue(0), "a");
        locks.unlock("G", &queue(0), "b");
        assert!(locks.any_live(Instant::ZERO, "G"));
        assert!(locks.lock(Instant::ZERO, "H", &queue(0), "b"));
        locks.unlock("G", &queue(0), "a");
        assert!(!locks.any_live(Instant::ZERO, "G"));
    }
}
