//! An Apache RocketMQ name server and broker for development and tests.
//!
//! [`NameServer`] and [`Broker`] are machines: frames with a time go in, frames and a deadline come
//! out. They open no socket and read no clock, so a test decides when anything happens. A `DevBroker`
//! (feature `serve`, on by default) puts both behind TCP in the test's own process: several brokers, slaves
//! and name servers if wanted, any number of them at once, with a clock that the test moves and faults
//! that it orders.
//!
//! ```
//! # #[cfg(feature = "serve")]
//! # fn main() -> std::io::Result<()> {
//! use std::time::Duration;
//!
//! use rocketmq_dev_broker::{DevBroker, Fault};
//!
//! let broker = DevBroker::builder().topic("orders", 4).start()?;
//! broker.fail(Fault::DropResponse.on_sends().topic("orders"));
//! // ... the code under test connects to `broker.addr()`, and sends again what it got no answer for ...
//! # fn code_under_test(_: String) {}
//! code_under_test(broker.addr());
//! broker.advance(Duration::from_secs(60));
//! let stored = broker.messages("orders");
//! # assert!(stored.is_empty());
//! # Ok(())
//! # }
//! # #[cfg(not(feature = "serve"))]
//! # fn main() {}
//! ```
//!
//! What a client can observe follows the Java broker 5.4.0: response codes and remarks, long polling,
//! offsets, retries, delay levels and timers, dead letters, locks, pops, shared-out queues, replies.
//! Everything lives in memory. This is not a broker for production: use Apache RocketMQ there.

mod asker;
mod assignment;
mod broker;
mod call;
mod client;
mod config;
mod damage;
mod delay;
mod fault;
mod gets;
mod group;
mod hold;
mod lock;
mod name_server;
mod offset;
mod output;
mod pop;
mod processor;
mod reply;
#[cfg(feature = "serve")]
mod serve;
mod settings;
mod store;
mod timer;
mod topic;
mod transaction;
mod view;

pub use broker::{Broker, Durability, Output};
pub use config::{BrokerConfig, DelayLevels, DelayLevelsError, FlushDisk};
pub use fault::{Fault, FaultRule, Faults, RuleId};
pub use name_server::{NameServer, NameServerConfig, NameServerOutput};
pub use output::{ConnectionId, Frames};
pub use rocketmq_client_core::message::StoredMessage;
pub use rocketmq_client_core::remoting::{RequestCode, ResponseCode, SubscriptionGroupConfig, TopicConfig};
#[cfg(feature = "serve")]
pub use serve::{CutOff, DevBroker, DevBrokerBuilder};
