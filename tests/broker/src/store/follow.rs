//! How a slave's log becomes its master's.

use rocketmq_client_core::time::Instant;

use super::Store;
use super::commit_log::Record;

impl Store {
    /// Takes over the records of `master` but the newest `behind`; drops those that the master has not, or not any
    /// more.
    pub(crate) fn follow(&mut self, now: Instant, master: &Self, behind: u64) {
        self.flusher.catch_up(now, self.log.mark());
        let common = self.common(master);
        if common < self.log.next() {
            self.truncate(common);
        }
        let end = master.log.next().saturating_sub(behind);
        if self.log.next() < master.log.first() {
            // What is missing has expired there: begin again with what there is.
            let fresh =
                Self { host: self.host, lag: self.lag, flusher: self.flusher.clone(), ..master.clone() };
            *self = fresh;
            self.truncate(end.max(master.log.first()));
            return;
        }
        for number in self.log.next()..end {
            let Some(record) = master.log.get(number) else { break };
            self.copy(master, record);
        }
    }

    /// The number of the first record by which this log is not its master's.
    fn common(&self, master: &Self) -> u64 {
        let mut next = self.log.next();
        while next > self.log.first() && next > master.log.first() {
            match (self.log.get(next - 1), master.log.get(next - 1)) {
                // Copies share their bytes, so that this is quick.
                (Some(ours), Some(theirs)) if ours.bytes.as_ptr() == theirs.bytes.as_ptr() => break,
                (Some(ours), Some(theirs)) if ours.bytes == theirs.bytes => break,
                _ => next -= 1,
            }
        }
        next
    }

    fn copy(&mut self, master: &Self, record: &Record) {
        let (topic, queue_id) = master.name(record.queue);
        let mut queue = self.queue_or_create(&topic, queue_id);
        if self.queues[queue.0 as usize].next != record.queue_offset {
            // The topic was deleted and created again.
            if let Some(queues) = self.by_topic.get_mut(&topic) {
                queues.remove(&queue_id);
            }
            queue = self.queue_or_create(&topic, queue_id);
        }
        self.queues[queue.0 as usize].next = record.queue_offset + 1;
        self.log.append_copy(Record { queue, ..record.clone() });
    }
}
