//! Everything that a user of an adapter needs beside its `Client`. Adapters re-export it whole, so
//! that there is one crate and one import path.

pub use super::{
    ClientBuilder, Delivered, DetachedCounts, Limits, MessageStream, MessageView, Operation, Producer,
    ProducerBuilder, PushConsumer, PushConsumerBuilder, ReceivedMessage, Run, Starting, UndecodableBody,
};
pub use crate::client::QueueChoice;
pub use crate::config::{AllocateStrategy, ClientConfig, ConsumeFrom, ProducerConfig, PushConsumerConfig};
pub use crate::consumer::{Ack, CloseReport};
pub use crate::error::{Cause, Error, Failure, Result, UsageError};
pub use crate::message::{Message, MessageQueue};
pub use crate::producer::{SendReceipt, SendStatus};
