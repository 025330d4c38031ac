//! The whole behaviour of an Apache RocketMQ client as a pure state machine.
//!
//! Nothing here opens a socket, reads a clock, spawns a task, calls a user's function or draws an
//! unseeded random number: every fact enters as a value with a time, every wish leaves as a value.
//! Runtime adapters lend sockets and clocks; the simulator lends virtual ones.

#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;

pub mod channel;
pub mod client;
pub mod config;
pub mod consumer;
#[cfg(feature = "std")]
pub mod driver;
pub mod error;
pub mod hash;
pub mod id;
pub mod latency;
pub mod message;
pub mod namesrv;
pub mod producer;
pub mod remoting;
pub mod rng;
pub mod route;
pub mod time;
pub mod timer;
