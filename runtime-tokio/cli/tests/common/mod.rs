//! Runs the binary as a user does.
#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it")]

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

/// Nothing that is tested takes so long; what does hangs.
const HANGS_AFTER: Duration = Duration::from_secs(120);

/// What a run left behind.
#[derive(Debug)]
pub struct Ran {
    pub code: Option<i32>,
    pub stdout: String,
    pub stderr: String,
}

/// A run of `rmq` without the caller's environment.
pub fn command(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rmq"));
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_remove("ROCKETMQ_NAMESRV").env_remove("ROCKETMQ_LOG").env_remove("NO_COLOR");
    command.env("RUST_BACKTRACE", "1");
    command
}

/// Runs `rmq` to its end.
pub fn rmq(args: &[&str]) -> Ran {
    rmq_with_input(args, b"")
}

/// Runs `rmq` to its end with this on its standard input.
pub fn rmq_with_input(args: &[&str], input: &[u8]) -> Ran {
    let mut child = command(args).spawn().expect("the binary starts");
    child.stdin.take().expect("a pipe").write_all(input).expect("it reads");
    let (stdout, stderr) = (read(child.stdout.take()), read(child.stderr.take()));
    let pid = child.id();
    let (sender, ended) = mpsc::channel();
    thread::spawn(move || sender.send(child.wait()));
    let Ok(status) = ended.recv_timeout(HANGS_AFTER) else {
        let _ = Command::new("kill").arg(pid.to_string()).status();
        panic!("rmq {args:?} hangs");
    };
    let code = status.expect("a status").code();
    let text = |thread: thread::JoinHandle<String>| thread.join().expect("it was read");
    Ran { code, stdout: text(stdout), stderr: text(stderr) }
}

fn read(from: Option<impl Read + Send + 'static>) -> thread::JoinHandle<String> {
    let mut from = from.expect("a pipe");
    thread::spawn(move || {
        let mut bytes = Vec::new();
        from.read_to_end(&mut bytes).expect("the pipe can be read");
        String::from_utf8(bytes).expect("what it prints is text")
    })
}
