//! [`QueueChoice`]: which queue a message goes to.

use alloc::boxed::Box;

use crate::message::MessageQueue;

/// Which queue a message goes to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum QueueChoice {
    /// Round robin; a retry goes to another broker. The default.
    RoundRobin,
    /// This queue and no other; there is no second attempt.
    Queue(Box<MessageQueue>),
    /// The same key, the same queue, while the route is unchanged: the hash of the key modulo the
    /// number of queues. Java: `SelectMessageQueueByHash`; no second attempt.
    Hash(i32),
    /// The producer's owner is asked, once, with the queues of that moment; there is no second attempt.
    /// Java: `MessageQueueSelector`.
    Select,
}
