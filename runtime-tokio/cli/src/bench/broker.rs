//! What the development broker costs who starts it: a process until it is ready, and many in one process.

use std::fs;
use std::process::Stdio;
use std::time::Instant;

use rocketmq_client_blocking as rmq;
use rocketmq_dev_broker::DevBroker;
use serde_json::{Map, Value, json};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use super::args::BrokerArgs;
use super::meter;
use super::report::Spread;
use crate::error::CliError;

/// Starts processes one after the other, then many brokers in this one, each of which stores a message.
pub(super) async fn run(args: &BrokerArgs) -> Result<Map<String, Value>, CliError> {
    let (mut ready, mut resident) = (Vec::new(), Vec::new());
    for _ in 0..args.times {
        let (ms, mb) = one_process().await?;
        ready.push(ms);
        resident.extend(mb);
    }
    let spread = |numbers: Vec<f64>| Spread::of(numbers.into_iter()).map_or(Value::Null, Spread::to_json);
    let mut told = Map::new();
    told.insert("workload".to_owned(), "broker".into());
    told.insert("times".to_owned(), args.times.into());
    told.insert("start_to_ready_ms".to_owned(), spread(ready));
    told.insert("rss_mb".to_owned(), spread(resident));
    told.insert("many".to_owned(), tokio::task::block_in_place(|| many(args.brokers))?);
    Ok(told)
}

/// A process, from its start until it says how to connect; its memory then.
async fn one_process() -> Result<(f64, Option<f64>), CliError> {
    let begun = Instant::now();
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["broker", "--port", "0", "--broker-port", "0"]).kill_on_drop(true);
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn()?;
    let stdout = child.stdout.take().ok_or_else(|| CliError::Failed("the broker has no output".into()))?;
    let first = BufReader::new(stdout).lines().next_line().await?;
    let ms = begun.elapsed().as_secs_f64() * 1e3;
    if first.is_none() {
        return Err(CliError::Failed("a broker did not start; its words are above".into()));
    }
    let kb = child.id().and_then(|pid| meter::memory_kb_of(pid, "VmRSS"));
    child.kill().await?;
    Ok((ms, kb.map(|kb| kb as f64 / 1024.0)))
}

/// So many brokers at once; what they took together, and what is left of them.
fn many(count: u16) -> Result<Value, CliError> {
    let before = (entries("/proc/self/task"), entries("/proc/self/fd"));
    let begun = Instant::now();
    let brokers = (0..count).map(|_| DevBroker::start()).collect::<Result<Vec<_>, _>>()?;
    let started = begun.elapsed();
    for broker in &brokers {
        let client = rmq::Client::connect(&*broker.addr())?;
        let producer = client.producer("bench-broker").build()?;
        producer.send(rmq::Message::new("Bench", "hello")).wait()?;
        client.close().wait()?;
    }
    let stored: usize = brokers.iter().map(|broker| broker.messages("Bench").len()).sum();
    drop(brokers);
    let took = begun.elapsed();
    if stored != usize::from(count) {
        return Err(CliError::Failed(format!("{count} messages were sent and {stored} are stored")));
    }
    // A client's own thread ends a moment after its client.
    let left = |name: &str, before: Option<usize>| {
        let until = Instant::now() + std::time::Duration::from_secs(2);
        while entries(name) > before && Instant::now() < until {
            std::thread::yield_now();
        }
        entries(name).zip(before).map(|(now, before)| now.saturating_sub(before))
    };
    Ok(json!({
        "brokers": count,
        "start_ms": started.as_secs_f64() * 1e3,
        "start_serve_stop_ms": took.as_secs_f64() * 1e3,
        "threads_left": left("/proc/self/task", before.0),
        "files_left": left("/proc/self/fd", before.1),
    }))
}

/// How many there are in a folder of `/proc`, where there is one.
fn entries(name: &str) -> Option<usize> {
    Some(fs::read_dir(name).ok()?.count())
}
