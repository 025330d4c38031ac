//! One suite of scenarios, written once against the handles that all adapters share, and run for every
//! adapter on every broker: the dev broker always, Apache RocketMQ where `RMQ_APACHE=1`. The simulator is
//! one adapter more, and has its own broker: each scenario gets a world of its own, in virtual time.
//!
//! A [scenario](Scenario) is an `async fn`. Every wait in it is bounded and says what it waited for;
//! every topic and group is its own, so that one broker serves them all.

mod adapter;
mod admin;
pub mod cycles;
mod detour;
mod failure;
mod gate;
mod gateway;
mod inbox;
mod latch;
mod place;
mod scenario;
pub mod scenarios;
mod simulated;
pub mod suite;
mod timer;
mod warned;

pub use adapter::Adapter;
pub use admin::Admin;
pub use detour::Detour;
pub use failure::{Failure, Verdict};
pub use inbox::{Inbox, Seen};
pub(crate) use latch::Latch;
pub use place::{Kind, Place};
pub(crate) use scenario::ROUTE_INTERVAL;
pub use scenario::Scenario;
pub use warned::WarningLog;

/// The README, whose every snippet compiles.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Readme;
