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
//! use rocketmq_client_core::client::{Client, ClientCommand, Command, Input, Output};
//! use rocketmq_client_core::config::{ClientConfig, HostFacts};
//! use rocketmq_client_core::id::{GenerationalId, OperationId};
//! use rocketmq_client_core::time::{Instant, Timestamp};
//!
//! let config = Arc::new(ClientConfig::parse("127.0.0.1:9876").unwrap());
//! let facts = HostFacts { ip: "10.0.0.1".parse().unwrap(), pid: 42 };
//! let now = Instant::from_millis(0);
//! let mut client = Client::new(config, &facts, 7, now, Timestamp::from_millis(1_700_000_000_000));
//! let operation = OperationId::from_parts(0, 0);
//! client.handle(now, Input::Command(Command::Client(ClientCommand::Connect { operation })));
//! let Output::Connect { channel, address, .. } = client.poll_output(now) else { panic!() };
//! assert_eq!(address.port(), 9876);
//! client.handle(now, Input::Connected { channel });
//! assert!(matches!(client.poll_output(now), Output::Complete { .. }));
//! assert!(matches!(client.poll_output(now), Output::Wait(_)));
//! ```
//!
//! Users don't write that loop: [`driver`] (feature `std`, on by default) has it, with the handles and
//! futures that all adapters share; an adapter implements [`driver::Sockets`] and [`driver::Tasks`], or
//! [`driver::BlockingHost`].
//!
//! # Where things live
//! One folder a machine, one file a decision, in RocketMQ's own words.
//!
//! | module | what it decides |
//! |---|---|
//! | [`client`] | composes the machines; periodic work, heartbeats, requests from brokers, closing |
//! | `shared` | what machines have in common: timers, routes, doubts about them, questions, the way out |
//! | `output` | all that leaves, as plain values; users find each at its machine |
//! | [`channel`] | connect, idle, back-off, the response table, what was surely not sent |
//! | [`namesrv`], [`route`] | whom to ask for routes, and which queues follow from them |
//! | [`producer`], [`latency`] | attempts, retries, verdicts, batches, brokers to avoid |
//! | [`consumer`] | ProcessQueue, rebalance, pull loop, offsets, send-back, closing |
//! | [`remoting`], [`message`] | frames, headers, codes, bodies; messages, stored records, ids |
//! | [`time`], [`timer`], [`rng`], [`hash`], [`id`] | the ground: clocks, deadlines, seeds, names |
//! | [`driver`] | (std) drain loop, mailbox, permits, slots, handles, compression, transforms, recording |
//!
//! # Where what comes will live
//! Read once by somebody who did not write it, feature by feature, for whether the boundary holds: the
//! inputs and outputs, the [`driver::Host`] trait, the drain loop and the handles stay as they are but
//! for variants that are added.
//!
//! | feature | home | touches |
//! |---|---|---|
//! | transaction check-back | `producer/transaction.rs`, `client/peer_request.rs` | a `Question` and an `Answer`; `Command::EndTransaction`; producers found by group |
//! | orderly locks | `consumer/push/orderly.rs`, locks in `consumer/rebalance` | `Ack::Suspend`; a lane and a last moment to begin in [`consumer::Delivery`], both kept by the run queue |
//! | pop with ack and change-invisible | `consumer/pop/` | a [`consumer::ConsumeToken`] of its own, since an offset can be out twice; the rounds move out of `push` first |
//! | lite pull with seek | `consumer/lite_pull/`, `driver/lite_pull.rs` | `Command::Seek` and its siblings; a seek's `Revoke` takes effect before its outcome is seen |
//! | request-reply | `producer/request_reply.rs`, `client/peer_request.rs` | sends that belong to a request and not to an operation; `Channels::respond` has header and body for it |
//! | TLS and SOCKS5 | `driver/tls.rs`, `driver/socks5.rs` | a transform each; [`client::Output::Connect`] carries the endpoint's name, a link may dial another address |
//! | message trace | `client/trace.rs` | a producer without a user; times at which handlers began and ended |
//! | own offset store, offset files | `driver/offsets.rs` | a `Question` to load and to store; `consumer/push/start_offset.rs` takes an offset or a cause, no reply |
//! | name servers by DNS and HTTP | [`namesrv`] | DNS is there: every address of a name is tried; HTTP is a `Question` of the client and a list that may change |
//! | a second client in one process | nothing | ids and key seeds are drawn, nothing is global |
//! | a user's simulation with our handles | `tests/sim` | nothing: handles know no host; `wait` and threads have no place there |
//! | delay by time, recall | `producer/` | a property of the message, which is there; `Command::Recall` with the handle of the receipt |
//! | batches that fill by themselves | `producer/accumulator.rs` | sends that belong to a batch; [`producer::BatchOrder`] is what comes of them |
//! | broadcasting, SQL filters | `consumer/push/` | [`config::MessageModel`]; the filter's kind beside its text |
//! | ACL, namespaces, RPC hooks | `channel/request.rs` | the one place that queues a frame signs it; a hook is a `Question` while the frame waits |
//! | admin | `client/admin.rs` | one command: whom, code, header, body |
//!

#![no_std]
#![warn(clippy::too_many_lines)]
#![cfg_attr(docsrs, feature(doc_cfg))]

extern crate alloc;

pub mod channel;
pub mod client;
pub mod config;
pub mod consumer;
#[cfg(feature = "std")]
pub mod driver;
pub mod error;
#[cfg(test)]
mod golden;
pub mod hash;
pub mod id;
pub mod latency;
pub mod lines;
pub mod message;
pub mod namesrv;
mod output;
pub mod producer;
pub mod remoting;
pub mod rng;
pub mod route;
mod shared;
pub mod time;
pub mod timer;
