//! Everything that a user of an adapter needs beside its `Client`. Adapters re-export it whole, so
//! that there is one crate and one import path.

pub use super::compress::Compression;
pub use super::{
    Batch, ClientBuilder, ConsumerControl, Delivered, DetachedCounts, Limits, MessageStream, MessageView,
    Operation, Producer, ProducerBuilder, PushConsumer, PushConsumerBuilder, ReceivedMessage, Run, Starting,
    UndecodableBody,
};
pub use crate::client::{ClientStatistics, ConnectionStatistics, QueueChoice};
pub use crate::config::{AllocateStrategy, ClientConfig, ConsumeFrom, ProducerConfig, PushConsumerConfig};
pub use crate::consumer::{
    Ack, CloseReport, ConsumerHealth, ConsumerStatistics, Full, Latency, QueueHealth, Standing, TopicHealth,
    TopicStatistics,
};
pub use crate::error::{Cause, Error, Failure, Result, UsageError};
pub use crate::message::{Batches, InvalidBatch, InvalidMessage, Message, MessageQueue};
pub use crate::producer::{BatchReceipt, BatchReceipts, SendReceipt, SendStatus};
