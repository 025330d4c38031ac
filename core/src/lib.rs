//! The whole behaviour of an Apache RocketMQ client as a pure state machine.
//!
//! Nothing here opens a socket, reads a clock, spawns a task, calls a user's function or draws an
//! unseeded random number: every fact enters as a value with a time, every wish leaves as a value.
//! Runtime adapters lend sockets and clocks; the simulator lends virtual ones.
//!
//! # Why
//! A client that is data can be replayed, explored and compared: a seed or a recording is the whole
//! story of a bug. What can be decided without a socket is decided here, once, for every runtime.
//!
//! # The loop
//! ```text
//!  connected, frames, bytes taken, closed,          ┌──────────┐   resolve, connect, transmit, close,
//!  look-ups, commands, settlements, time  ────────► │ Client   │ ─► complete, deliver, revoke … and last
//!                         Client::handle(now, Input)└──────────┘   Wait(deadline): Client::poll_output
//! ```
//! A host puts in whatever happened, any number of inputs, then takes outputs until it gets
//! [`Wait`](client::Output::Wait). It never has to know which request an answer belongs to.
//!
//! ```
//! use std::sync::Arc;
//!
//! use rocketmq_client_core::client::{Client, Command, Input, Output};
//! use rocketmq_client_core::config::{ClientConfig, HostFacts};
//! use rocketmq_client_core::id::{GenerationalId, OperationId};
//! use rocketmq_client_core::time::{Instant, Timestamp};
//!
//! let config = Arc::new(ClientConfig::parse("127.0.0.1:9876").unwrap());
//! let facts = HostFacts { ip: "10.0.0.1".parse().unwrap(), pid: 42 };
//! let now = Instant::from_millis(0);
//! let mut client = Client::new(config, &facts, 7, now, Timestamp::from_millis(1_700_000_000_000));
//! let operation = OperationId::from_parts(0, 0);
//! client.handle(now, Input::Command(Command::Connect { operation }));
//! let Output::Connect { channel, address } = client.poll_output(now) else { panic!() };
//! assert_eq!(address.port(), 9876);
//! client.handle(now, Input::Connected { channel });
//! assert!(matches!(client.poll_output(now), Output::Complete { .. }));
//! assert!(matches!(client.poll_output(now), Output::Wait(_)));
//! ```
//!
//! Users don't write that loop: [`driver`] (feature `std`, on by default) has it, with the handles and
//! futures that all adapters share; an adapter implements [`driver::Host`].
//!
//! # Where things live
//! One folder a machine, one file a decision, in RocketMQ's own words.
//!
//! | module | what it decides |
//! |---|---|
//! | [`client`] | composes the machines; periodic work, heartbeats, requests from brokers, closing |
//! | [`channel`] | connect, idle, back-off, the response table, what was surely not sent |
//! | [`namesrv`], [`route`] | whom to ask for routes, and which queues follow from them |
//! | [`producer`], [`latency`] | attempts, retries, verdicts, brokers to avoid |
//! | [`consumer`] | ProcessQueue, rebalance, pull loop, offsets, send-back, closing |
//! | [`remoting`], [`message`] | frames, headers, codes, bodies; messages, stored records, ids |
//! | [`time`], [`timer`], [`rng`], [`hash`], [`id`] | the ground: clocks, deadlines, seeds, names |
//! | [`driver`] | (std) drain loop, mailbox, permits, slots, handles, compression, transforms, recording |
//!

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
