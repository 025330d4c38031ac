//! A scripted host and machine: everything in memory, in virtual time, in one thread.

mod asking;
mod cancel;
mod closing;
mod consumer;
mod engine;
mod lead;
mod operations;
mod script;
mod transform;

pub(crate) use script::{CountingWaker, delivery};
