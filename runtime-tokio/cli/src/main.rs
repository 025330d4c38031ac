//! `rmq`: try, test and operate Apache RocketMQ from a terminal.
//!
//! Exit codes: 0 done, 1 failed, 2 the call can't work as it was made.

mod admin;
mod args;
mod broker;
mod consume;
mod demo;
mod env;
mod error;
mod format;
mod output;
mod progress;
mod send;

use std::io::IsTerminal;
use std::process::ExitCode;

use clap::{CommandFactory, Parser};
use tracing_subscriber::EnvFilter;

use crate::args::{Args, Command};
use crate::error::Failure;
use crate::output::Output;

fn main() -> ExitCode {
    let args = Args::parse();
    log_to_stderr(args.verbose);
    let output = Output::new(args.json);
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return output.failed(&Failure::io("the runtime can't start", error)),
    };
    let ended = runtime.block_on(run(args.command, &output));
    // A blocked read of standard input must not hold up the end.
    runtime.shutdown_background();
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => output.failed(&failure),
    }
}

async fn run(command: Command, output: &Output) -> Result<(), Failure> {
    match command {
        Command::Demo(args) => demo::run(args, output).await,
        Command::Broker(args) => broker::run(args, output).await,
        Command::Send(args) => send::run(args, output).await,
        Command::Consume(args) => consume::run(args, output).await,
        Command::Env => env::run(output),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Args::command(), "rmq", &mut script);
            output.text(&String::from_utf8_lossy(&script))
        }
    }
}

/// What the client tells operators; `RUST_LOG` overrides `-v`.
fn log_to_stderr(verbose: u8) {
    let level = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(level));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_writer(std::io::stderr)
        .init();
}
