//! `cargo test -p rocketmq-conformance --test suite -- [NAME...]` runs the scenarios whose names contain
//! one of the words. `RMQ_APACHE=1` adds Apache RocketMQ at `RMQ_NAMESRV`; `tests/apache/run` starts it.
//! `RUST_LOG=rocketmq_client_core=debug` shows what the clients do.
#![allow(clippy::print_stdout, reason = "it tells what it ran")]

use std::process::ExitCode;

use rocketmq_conformance::{Failure, WarningLog, scenarios, suite};
use tracing_subscriber::filter::{EnvFilter, LevelFilter};
use tracing_subscriber::prelude::*;

fn main() -> ExitCode {
    let shown = tracing_subscriber::fmt::layer().with_writer(std::io::stderr);
    let warnings = WarningLog::begin();
    let kept = tracing_subscriber::fmt::layer().with_ansi(false).with_writer(move || warnings);
    tracing_subscriber::registry()
        .with(shown.with_filter(EnvFilter::from_default_env()))
        .with(kept.with_filter(LevelFilter::WARN))
        .init();
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        scenarios::ALL.iter().for_each(|entry| println!("{}: test", entry.name));
        return ExitCode::SUCCESS;
    }
    // Options are those of the usual test harness, which mean nothing here.
    let filters: Vec<String> = arguments.into_iter().filter(|argument| !argument.starts_with('-')).collect();
    let report = match suite::run(scenarios::ALL, &filters, |line| println!("{line}")) {
        Ok(report) => report,
        Err(Failure::Failed(why)) => return gave_up(&why),
        Err(Failure::DoesNotApply(why) | Failure::Skipped(why)) => return gave_up(why),
    };
    println!("\n{}", report.table());
    report.skips().iter().for_each(|skip| println!("skipped: {skip}"));
    let failures = report.failures();
    failures.iter().for_each(|failure| println!("FAILED: {failure}"));
    println!("{}", report.summary());
    if failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn gave_up(why: &str) -> ExitCode {
    println!("the suite could not start: {why}");
    ExitCode::FAILURE
}
