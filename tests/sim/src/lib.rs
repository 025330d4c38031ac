//! Deterministic simulation: real clients, brokers and name servers in one thread, with a network and
//! clocks that one seed decides.
//!
//! ```
//! use std::time::Duration;
//!
//! let sent = rocketmq_sim::simulate(7, async |ctx| {
//!     let client = ctx.client();
//!     let producer = client.producer("demo").build().expect("a good name");
//!     ctx.sleep(Duration::from_secs(3600)).await; // at once
//!     producer.send(rocketmq_client_core::message::Message::new("TopicTest", "hello")).await
//! });
//! assert!(sent.is_ok());
//! ```
//!
//! The binary `sim` runs many seeds of a workload with faults and checks [properties](Property);
//! a seed that fails can be replayed, event by event.

mod admin;
mod bound;
mod consumers;
mod counts;
mod ctx;
mod detour;
mod executor;
mod fault;
mod hashed;
mod history;
mod host;
mod inject;
mod machine;
mod network;
mod peer;
mod plan;
mod producers;
mod properties;
mod question;
mod refuse;
mod report;
mod rngs;
mod run;
mod scenario;
mod schedule;
mod server;
mod servers;
mod simulate;
mod simulation;
mod strategy;
mod tamper;
mod tap;
mod trace;
mod watch;
mod world;

pub use bound::{Bound, Bounds};
pub use counts::Counts;
pub use ctx::Ctx;
pub use detour::Detour;
pub use fault::{Effects, FaultKind};
pub use machine::Machine;
pub use network::Trouble;
pub use peer::{Door, Peer, PeerOutput};
pub use plan::Plan;
pub use properties::{Property, Violation};
pub use report::Report;
pub use run::{Outcome, run_plan, run_seed, shrink_seed};
pub use servers::Servers;
pub use simulate::{WorldBuilder, simulate, simulate_with};
pub use trace::TraceHash;
