//! Turns between queues whose messages are large once they are inflated: a start-time fair queue by bytes. One
//! queue full of such messages then holds up the others' for about one of them.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::vec::Vec;

use crate::consumer::Delivery;
use crate::id::ProcessQueueId;
use crate::message::sys_flag;

/// A message that inflates to this and more makes queues take turns.
pub(crate) const LARGE_BYTES: usize = 64 << 10;
/// What each message costs beside its bytes.
const MESSAGE_BYTES: u64 = 256;
/// After so many messages without a large one there are no turns any more.
const CALM_MESSAGES: usize = 1_024;

/// Deliveries by their queues, and whose turn it is.
#[derive(Debug, Default)]
pub(super) struct Turns {
    lanes: BTreeMap<ProcessQueueId, Lane>,
    /// The lanes that have something, by where their first one would end.
    order: BTreeSet<(u64, ProcessQueueId)>,
    /// Where the last one began.
    clock: u64,
    /// What a stored byte may become, as far as has been seen.
    ratio: u64,
    /// Messages since the last large one.
    calm: usize,
}

#[derive(Debug, Default)]
struct Lane {
    deliveries: VecDeque<Delivery>,
    /// Where its next one begins.
    start: u64,
    /// Its place in the order.
    end: u64,
}

impl Turns {
    pub(super) fn push(&mut self, delivery: Delivery) {
        let queue = delivery.token.queue;
        let lane = self.lanes.entry(queue).or_default();
        lane.deliveries.push_back(delivery);
        if lane.deliveries.len() == 1 {
            // Who was away has saved nothing.
            lane.start = lane.start.max(self.clock);
            self.place(queue);
        }
    }

    pub(super) fn pop(&mut self) -> Option<Delivery> {
        let (_, queue) = self.order.pop_first()?;
        let lane = self.lanes.get_mut(&queue)?;
        let delivery = lane.deliveries.pop_front()?;
        self.clock = lane.start;
        lane.start += MESSAGE_BYTES + stored(&delivery).1;
        self.calm += 1;
        self.place(queue);
        Some(delivery)
    }

    /// What a message of `queue` has become: of `stored` bytes, `inflated` ones.
    pub(super) fn charge(&mut self, queue: ProcessQueueId, stored: usize, inflated: usize) {
        let (stored, inflated) = (stored as u64, inflated as u64);
        self.calm = 0;
        let lane = self.lanes.entry(queue).or_default();
        lane.start = lane.start.max(self.clock) + inflated;
        self.order.remove(&(lane.end, queue));
        let ratio = inflated / stored.max(1);
        if ratio <= self.ratio {
            return self.place(queue);
        }
        // What a stored byte may become counts for all that wait.
        self.ratio = ratio;
        self.order.clear();
        let waiting: Vec<ProcessQueueId> = self.lanes.keys().copied().collect();
        waiting.into_iter().for_each(|queue| self.place(queue));
    }

    /// Takes out the deliveries of a queue.
    pub(super) fn remove(&mut self, queue: ProcessQueueId) -> VecDeque<Delivery> {
        let Some(lane) = self.lanes.remove(&queue) else { return VecDeque::new() };
        self.order.remove(&(lane.end, queue));
        lane.deliveries
    }

    pub(super) fn is_empty(&self) -> bool {
        self.order.is_empty()
    }

    /// Whether turns are needed no more.
    pub(super) fn is_over(&self) -> bool {
        self.is_empty() || self.calm > CALM_MESSAGES
    }

    /// All that waits.
    pub(super) fn into_deliveries(self) -> impl Iterator<Item = Delivery> {
        self.lanes.into_values().flat_map(|lane| lane.deliveries)
    }

    fn place(&mut self, queue: ProcessQueueId) {
        let Some(lane) = self.lanes.get_mut(&queue) else { return };
        let Some(first) = lane.deliveries.front() else { return };
        let (compressed, bytes) = stored(first);
        let grows = if compressed { self.ratio.max(1) } else { 1 };
        lane.end = lane.start + MESSAGE_BYTES + bytes.saturating_mul(grows);
        self.order.insert((lane.end, queue));
    }
}

/// Whether a body is compressed, and its length as it is stored.
fn stored(delivery: &Delivery) -> (bool, u64) {
    let message = &delivery.message;
    let parts = message.raw().map(|raw| (raw.sys_flag(), raw.raw_body().len()));
    let parts = parts.or_else(|| message.read().map(|read| (read.sys_flag, read.raw_body().len())));
    parts.map_or((false, 0), |(flags, len)| (sys_flag::is_compressed(flags), len as u64))
}
