//! Instructions and system calls a message, counted from outside by valgrind and strace in runs of their
//! own: what both runs of one kind have in common, start and end, is in the difference of two sizes no more.

use std::io;
use std::path::PathBuf;
use std::process::Stdio;

use super::block::Spec;
use crate::error::CliError;

/// Messages of the smaller run; the other has twice as many.
const MESSAGES: u64 = 4_000;

/// Who counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Tracer {
    /// Instructions, of all threads, one after the other.
    Valgrind,
    /// System calls. Each takes longer, so that more messages share one than otherwise.
    Strace,
}

/// What was counted for a message; `None` where the program is not installed.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Traced {
    pub(super) instructions: Option<f64>,
    pub(super) syscalls: Option<f64>,
}

/// Counts for one message of `spec`.
pub(super) async fn trace(spec: &Spec) -> Result<Traced, CliError> {
    Ok(Traced {
        instructions: per_message(spec, Tracer::Valgrind).await?,
        syscalls: per_message(spec, Tracer::Strace).await?,
    })
}

async fn per_message(spec: &Spec, tracer: Tracer) -> Result<Option<f64>, CliError> {
    let Some(small) = count(spec, tracer, MESSAGES).await? else { return Ok(None) };
    let Some(large) = count(spec, tracer, 2 * MESSAGES).await? else { return Ok(None) };
    let (messages, counted) = (large.0.saturating_sub(small.0), large.1.saturating_sub(small.1));
    Ok((messages > 0).then(|| counted as f64 / messages as f64))
}

/// Messages, warm-up included, and what was counted.
async fn count(spec: &Spec, tracer: Tracer, messages: u64) -> Result<Option<(u64, u64)>, CliError> {
    let report = Report::new(tracer);
    let mut command = tokio::process::Command::new(match tracer {
        Tracer::Valgrind => "valgrind",
        Tracer::Strace => "strace",
    });
    match tracer {
        Tracer::Valgrind => command
            .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
            .arg(format!("--log-file={}", report.0.display())),
        Tracer::Strace => command.args(["-f", "-c", "-o"]).arg(&report.0),
    };
    command.arg(std::env::current_exe()?);
    let spec = Spec { messages: Some(messages), ..spec.clone() };
    spec.arguments(&mut command);
    let child = match command.stdin(Stdio::null()).stdout(Stdio::piped()).kill_on_drop(true).spawn() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        child => child?,
    };
    let outcome = Spec::finish(child).await?;
    let sent = outcome["done"].as_u64().unwrap_or(0) + outcome["warm_up"].as_u64().unwrap_or(0);
    let text = std::fs::read_to_string(&report.0).unwrap_or_default();
    Ok(parse(tracer, &text).map(|counted| (sent, counted)))
}

fn parse(tracer: Tracer, report: &str) -> Option<u64> {
    match tracer {
        // ==42== Collected : 1234
        Tracer::Valgrind => {
            report.lines().find_map(|line| line.split_once("Collected :")?.1.trim().parse().ok())
        }
        // 100.00    0.003   2   1234   (errors)   total
        Tracer::Strace => {
            let total = report.lines().rev().find(|line| line.trim_end().ends_with(" total"))?;
            total.split_whitespace().nth(3)?.parse().ok()
        }
    }
}

/// A file that goes away again.
struct Report(PathBuf);

impl Report {
    fn new(tracer: Tracer) -> Self {
        Self(std::env::temp_dir().join(format!("rmq-bench-{}-{tracer:?}", std::process::id())))
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        // It may never have been written.
        let _ = std::fs::remove_file(&self.0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn totals_are_found_in_reports() {
        let valgrind = "==1== Events    : Ir\n==1== Collected : 48213906\n";
        assert_eq!(parse(Tracer::Valgrind, valgrind), Some(48_213_906));
        let strace = "% time     seconds  usecs/call     calls    errors syscall\n\
            ------ ----------- ----------- --------- --------- ----------------\n \
            99.00    0.000300           1       300        12 read\n\
            100.00    0.000310           1       312        12 total\n";
        assert_eq!(parse(Tracer::Strace, strace), Some(312));
        assert_eq!(parse(Tracer::Strace, ""), None);
    }
}
