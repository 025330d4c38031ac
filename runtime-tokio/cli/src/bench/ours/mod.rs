//! The client at work, as its users write it.

mod connected;
mod consume;
mod idle;
mod latency;
mod send;
mod start;

use super::args::BenchCommand;
use super::block::Spec;
use crate::error::CliError;

pub(super) use self::consume::preload;
pub(super) use self::start::{CONSUMER, PROCESS};

/// Runs the client's part of a measurement and gives what is to be printed.
pub(super) fn run(command: &BenchCommand, spec: &Spec) -> Result<serde_json::Value, CliError> {
    Ok(match command {
        BenchCommand::Send(args) => send::run(args, spec)?.to_json(),
        BenchCommand::Consume(args) => consume::run(args, spec)?.to_json(),
        BenchCommand::Latency(args) => latency::run(args, spec)?.to_json(),
        BenchCommand::Idle(args) => idle::run(args, spec)?,
        BenchCommand::Start(args) => start::run(args, spec)?,
        BenchCommand::Broker(_) | BenchCommand::NullServer(_) => serde_json::Value::Null,
    })
}
