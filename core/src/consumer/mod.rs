//! Consuming: what is fetched, handed out, settled and committed.

mod command;
mod consumers;
mod delivery;
mod events;
mod flow_control;
mod health;
mod offset_store;
mod process_queue;
mod pulled;
pub mod push;
pub mod rebalance;
mod reset;
mod statistics;

pub use command::ConsumerCommand;
pub use consumers::Consumers;
pub use delivery::{Ack, CloseReport, ConsumeToken, Delivery, PassedOver, Settled};
pub use events::{ConsumerRequest, ConsumerTimer};
pub use flow_control::{FlowControl, Full};
pub use health::{CommitRefusal, ConsumerHealth, GoingBack, QueueHealth, Refusal, Standing, TopicHealth};
pub use offset_store::{CommitEnd, FIRST_COMMIT_PATIENCE, OffsetStore, RELEASE_COMMIT_MAX};
pub use process_queue::ProcessQueue;
pub use pulled::PulledMessage;
pub use push::{BadAnswer, PushConsumer};
pub use reset::{Reset, UnreadableReset};
pub use statistics::{ConsumerStatistics, Latency, TopicStatistics};
