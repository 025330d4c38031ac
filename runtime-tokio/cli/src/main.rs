//! `rmq`: try and test Apache RocketMQ from a terminal.
#![allow(clippy::print_stdout, reason = "standard output is what this program is for")]

mod admin;
mod args;
mod bench;
mod broker;
mod consume;
mod demo;
mod env;
mod error;
mod format;
mod log;
mod output;
mod peek;
mod printer;
mod progress;
mod send;
mod stop;

use std::process::ExitCode;

use clap::{CommandFactory, Parser};

use crate::args::{Cli, Command};
use crate::error::CliError;

fn main() -> ExitCode {
    match start(Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is_broken_pipe() => ExitCode::SUCCESS,
        Err(error) => {
            output::error(&error.to_string());
            error.exit_code()
        }
    }
}

fn start(cli: Cli) -> Result<(), CliError> {
    log::start(cli.verbose)?;
    if let Command::Bench { command } = &cli.command
        && let Some(ran) = bench::run_alone(command)
    {
        return ran;
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let result = runtime.block_on(run(cli.command));
    // A look-up that hangs must not keep the process.
    runtime.shutdown_background();
    result
}

async fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::Demo(args) => demo::run(&args).await,
        Command::Broker(args) => broker::run(args).await,
        Command::Send(args) => send::run(args).await,
        Command::Consume(args) if args.group.is_none() => peek::run(args).await,
        Command::Consume(args) => consume::run(args).await,
        Command::Bench { command } => bench::run(command).await,
        Command::Env(args) => env::run(&args),
        Command::Completions { shell } => completions(shell),
    }
}

fn completions(shell: clap_complete::Shell) -> Result<(), CliError> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "rmq", &mut script);
    Ok(output::line(String::from_utf8_lossy(&script).trim_end())?)
}
