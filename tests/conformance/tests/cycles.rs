//! `cargo test -p rocketmq-conformance --test cycles -- [CYCLES]` starts and stops so many clients with each
//! adapter, has as many connects refused, and fails unless memory, sockets, threads and tasks stay what they
//! were.
#![allow(clippy::print_stdout, reason = "it tells what it measured")]

use std::process::ExitCode;

use rocketmq_conformance::cycles;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        println!("cycles: test");
        return ExitCode::SUCCESS;
    }
    let cycles = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(cycles::CYCLES);
    cycles::run(cycles, |line| println!("{line}"))
}
