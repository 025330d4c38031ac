//! Everything between the pure core and a runtime, once for all runtimes: the drain loop, the
//! handles and futures that users hold, recording and replay.
//!
//! A runtime lends a [`Host`]; [`start`] gives back a [`Client`] for users and an [`Engine`] to be
//! driven. Nothing here names a runtime.
//!
//! # Handles
//! Clients, producers and what steers a consumer are cheap to clone, and all clones are the same one: give each
//! task or thread its own. A send goes out when it is called; the operation that it gives only waits, and every one
//! says whether it is cancel safe. Dropping the last handle closes without waiting; `close` ends in order. Messages
//! of a group are divided among all its members, on whatever machine they run.
//!
//! # Logging
//! By [tracing](https://docs.rs/tracing), without a subscriber of its own. At `warn` is what an operator should see,
//! at `info` that it is well again, at `debug` changes of state, at `trace` every frame by code and size, without
//! fields and bodies. Targets are the modules of this crate: `rocketmq_client_core::channel::frames=trace` shows
//! frames alone. Lines that peers or senders can cause are at most ten a second, and their texts short and escaped.

extern crate std;

mod async_host;
mod builder;
mod client;
mod client_on;
pub mod compress;
mod engine;
mod exchange;
mod host;
mod lead;
mod mailbox;
mod operation;
mod park;
mod parker;
mod permits;
pub mod prelude;
mod producer;
mod push_consumer;
mod queue_selector;
mod queued;
mod ready;
mod record;
mod replay;
mod resolve;
mod responder;
mod run_queue;
mod signal;
mod slots;
mod system;
#[cfg(test)]
mod tests;
mod transform;
mod waiting;

pub use async_host::{AsyncHost, Sockets};
pub use builder::{ClientBuilder, NAME_SERVERS_VARIABLE, NAME_SERVERS_VARIABLE_JAVA};
pub use client::{Client, Options, start, start_machine};
pub use client_on::{ClientOn, Launch};
pub use engine::{Engine, Machine};
pub use host::{BoxFuture, BoxTask, Host, Spawn, Spawner, Tasks};
pub use lead::{BlockingHost, Leader};
pub use operation::{FromOutcome, Operation, Starting};
pub use park::block_on;
pub use parker::Parker;
pub use permits::Limits;
pub use producer::{Producer, ProducerBuilder};
pub use push_consumer::{
    Batch, ConsumerControl, Delivered, MessageStream, Next, PushConsumer, PushConsumerBuilder,
    ReceivedMessage, Run, UndecodableBody,
};
pub use queue_selector::MessageView;
pub use record::{Malformed, Recorder, Start, Tap};
pub use replay::{Difference, ReplayError, Replayed, replay};
pub use resolve::{Answer, Resolved, Resolver, SystemResolver};
pub use system::System;
pub use transform::{Endpoint, Link, Transform, TransformFactory};

use alloc::vec::Vec;
use core::task::Waker;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::client::Outcome;

/// How operations ended whose handle had been dropped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DetachedCounts {
    /// They worked.
    pub done: u64,
    /// They did not.
    pub failed: u64,
    /// They were withdrawn before they began.
    pub withdrawn: u64,
}

impl DetachedCounts {
    fn count(&mut self, outcome: &Outcome) {
        match outcome {
            Outcome::Failed(_) => self.failed += 1,
            _ => self.done += 1,
        }
    }
}

/// Locks what no panic can leave half changed: no user code and no waker runs under our locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Moves all of `from` behind `to`. What is long is not copied if it need not be, and `from` keeps as much room
/// as it needed this time.
fn append_all<T>(to: &mut Vec<T>, from: &mut Vec<T>) {
    if to.is_empty() {
        let room = Vec::with_capacity(from.len());
        *to = core::mem::replace(from, room);
    } else {
        to.append(from);
    }
}

/// Calls wakers, outside of all locks. One that panics does not keep the others asleep.
fn wake_all(wakers: &mut Vec<Waker>) {
    for waker in wakers.drain(..) {
        if catch_unwind(AssertUnwindSafe(|| waker.wake())).is_err() {
            tracing::warn!("a waker panicked");
        }
    }
}
