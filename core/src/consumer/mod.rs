//! Consuming: what is fetched, handed out, settled and committed.

mod delivery;
mod flow_control;
mod offset_store;
mod process_queue;
pub mod rebalance;
mod registry;

pub use delivery::{Ack, CloseReport, ConsumeToken, Delivery};
pub use flow_control::{FlowControl, Full};
pub use offset_store::OffsetStore;
pub use process_queue::ProcessQueue;
pub use registry::Consumers;

/// What a consumer asks of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerRequest {}

/// Why a consumer wakes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerTimer {}
