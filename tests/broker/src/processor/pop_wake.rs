//! Who of the waiting pops and notifications gets another turn, and when.
//! Java: `PopLongPollingService#notifyMessageArriving`.

use std::sync::Arc;

use rocketmq_client_core::message::names;
use rocketmq_client_core::time::Instant;

use super::pop::Popped;
use crate::broker::Broker;
use crate::pop::order::OrderKey;
use crate::pop::poll::{Poll, PollKey, PollKind};
use crate::store::QueueRef;

impl Broker {
    /// Messages came into a queue: wakes who waits for them, of each group one for any queue and
    /// one for this queue, and more as long as messages are left.
    pub(crate) fn wake_pops(&mut self, now: Instant, queue: QueueRef) {
        if self.pops.polls.is_empty() {
            return;
        }
        let (topic, queue_id) = self.store.name(queue);
        if names::is_retry_topic(&topic) {
            return self.wake_for_retry(now, &topic, queue_id);
        }
        for kind in [PollKind::Pop, PollKind::Notification] {
            for group in self.pops.polls.groups(kind, &topic) {
                for wanted in [-1, queue_id] {
                    let key = PollKey { kind, topic: topic.clone(), group: group.clone(), queue_id: wanted };
                    self.wake_polls(now, &key, &topic, queue_id, true);
                }
            }
        }
    }

    /// A message of a retry topic wakes its group's requests for the original topic, whatever they filter.
    fn wake_for_retry(&mut self, now: Instant, retry_topic: &Arc<str>, queue_id: i32) {
        for (topic, group) in self.pops.polls.topics_and_groups() {
            let is_theirs = **retry_topic == *names::pop_retry_topic_v1(&group, &topic)
                || **retry_topic == *names::pop_retry_topic_v2(&group, &topic);
            if !is_theirs {
                continue;
            }
            for kind in [PollKind::Pop, PollKind::Notification] {
                for wanted in [-1, queue_id] {
                    let key = PollKey { kind, topic: topic.clone(), group: group.clone(), queue_id: wanted };
                    self.wake_polls(now, &key, retry_topic, queue_id, false);
                }
            }
        }
    }

    /// Gives waiting requests their turn while a queue has something for them.
    fn wake_polls(&mut self, now: Instant, key: &PollKey, topic: &str, queue_id: i32, filtered: bool) {
        while self.has_for_next(key, topic, queue_id, filtered) {
            let Some(poll) = self.pops.polls.take_next(key) else { return };
            let taken = match key.kind {
                PollKind::Pop => matches!(self.pop_again(now, &poll), Popped::Found(_)),
                PollKind::Notification => {
                    self.notification_again(now, &poll);
                    false
                }
            };
            if !taken {
                return;
            }
        }
    }

    fn has_for_next(&self, key: &PollKey, topic: &str, queue_id: i32, filtered: bool) -> bool {
        let Some(filter) = self.pops.polls.next_filter(key) else { return false };
        let Some(queue) = self.store.queue_of(topic, queue_id) else { return false };
        let from = self.pop_offset(&key.group, topic, queue_id).max(queue.min());
        (from..queue.max())
            .any(|offset| !filtered || queue.get(offset).is_some_and(|entry| filter.matches(entry.tags_code)))
    }

    /// Where a group's pops of a queue have come to, or would begin.
    pub(super) fn pop_offset(&self, group: &str, topic: &str, queue_id: i32) -> i64 {
        let committed = self.offsets.committed(group, topic, queue_id).filter(|offset| *offset >= 0);
        committed.unwrap_or_else(|| self.store.queue_of(topic, queue_id).map_or(0, |queue| queue.min()))
    }

    /// A queue's batch is no longer out: whoever waits for the group's next batch looks again.
    /// Java: `PopMessageProcessor#notifyLongPollingRequestIfNeed`.
    fn wake_for_order(&mut self, now: Instant, free: &OrderKey) {
        let (topic, group, queue_id) = (&free.topic, &free.group, free.queue_id);
        let max = self.store.queue_of(topic, queue_id).map_or(0, |queue| queue.max());
        if max <= self.offsets.committed(group, topic, queue_id).unwrap_or(-1).max(-1) {
            return;
        }
        for wanted in [-1, queue_id] {
            let key =
                PollKey { kind: PollKind::Pop, topic: topic.clone(), group: group.clone(), queue_id: wanted };
            if let Some(poll) = self.pops.polls.take_next(&key) {
                self.pop_again(now, &poll);
                break;
            }
        }
        for group in self.pops.polls.groups(PollKind::Notification, topic) {
            for wanted in [-1, queue_id] {
                let key = PollKey {
                    kind: PollKind::Notification,
                    topic: topic.clone(),
                    group: group.clone(),
                    queue_id: wanted,
                };
                if let Some(poll) = self.pops.polls.take_next(&key) {
                    self.notification_again(now, &poll);
                }
            }
        }
    }

    /// Gives the requests whose time is over their last turn, and those whose queue became free another.
    pub(crate) fn run_polls(&mut self, now: Instant) {
        let wall_ms = self.wall(now).as_millis();
        let free = self.pops.orders.take_free(wall_ms);
        if self.pops.polls.is_empty() {
            return;
        }
        for (key, poll) in self.pops.polls.take_expired(wall_ms) {
            self.poll_again(now, &key, &poll);
        }
        for free in free {
            self.wake_for_order(now, &free);
        }
    }

    fn poll_again(&mut self, now: Instant, key: &PollKey, poll: &Poll) {
        match key.kind {
            PollKind::Pop => {
                self.pop_again(now, poll);
            }
            PollKind::Notification => self.notification_again(now, poll),
        }
    }
}
