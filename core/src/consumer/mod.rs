//! Consuming: what is fetched, handed out, settled and committed.

mod command;
mod consumers;
mod flow_control;
mod offset_store;
mod process_queue;
pub mod push;
pub mod rebalance;
mod reset;

pub use crate::output::{
    Ack, CloseReport, CommitRefusal, ConsumeToken, ConsumerHealth, ConsumerStatistics, Delivery, Full,
    GoingBack, Latency, PassedOver, PulledMessage, QueueHealth, Refusal, Settled, Standing, TopicHealth,
    TopicStatistics,
};
pub use crate::shared::{ConsumerRequest, ConsumerTimer};
pub use command::ConsumerCommand;
pub use consumers::Consumers;
pub use flow_control::FlowControl;
pub use offset_store::{CommitEnd, FIRST_COMMIT_PATIENCE, OffsetStore, RELEASE_COMMIT_MAX};
pub use process_queue::ProcessQueue;
pub use push::{BadAnswer, PushConsumer};
pub use reset::{Reset, UnreadableReset};
