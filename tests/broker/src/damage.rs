//! Damage to stored records, as a bad disk does it.

use crate::broker::Broker;

impl Broker {
    /// Has `change` alter the bytes of the record at `queue_offset` of a queue, in place; what is served from
    /// then on is what it left. False when there is no such record.
    pub fn damage(
        &mut self,
        topic: &str,
        queue_id: i32,
        queue_offset: i64,
        change: impl FnOnce(&mut [u8]),
    ) -> bool {
        let queue = self.store.queue_of(topic, queue_id);
        let number = queue.and_then(|queue| queue.get(queue_offset)).map(|entry| entry.record);
        number.is_some_and(|number| self.store.log.damage(number, change))
    }
}
