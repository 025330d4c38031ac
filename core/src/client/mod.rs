//! The client: composes the machines, owns their tables, and is the one door in and out.

mod input;
mod output;

pub use input::{Command, Input, OutboundMessage, QueueChoice};
pub use output::{Chunks, Outcome, Output};
