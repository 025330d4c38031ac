//! A consumer with nothing to do.

use std::time::Duration;

use serde_json::{Value, json};

use super::connected::Connected;
use crate::bench::args::IdleArgs;
use crate::bench::block::Spec;
use crate::bench::meter::{Meter, memory_kb};
use crate::error::CliError;

/// Until everything that begins has begun.
const SETTLE: Duration = Duration::from_secs(3);

/// Watches for a while. On one thread, that thread waits with the client.
pub(super) fn run(args: &IdleArgs, spec: &Spec) -> Result<Value, CliError> {
    let connected = Connected::connect(&args.common, spec)?;
    let builder = connected.client().push_consumer(&*spec.group).subscribe(&*spec.topic, "*");
    let consumer = connected.consume(builder, 1, |_| ())?;
    connected.sleep(SETTLE);
    let meter = Meter::start();
    connected.sleep(Duration::from_secs(args.seconds.into()));
    let spent = meter.stop();
    let seconds = spent.elapsed.as_secs_f64();
    let outcome = json!({
        "seconds": seconds,
        "cpu_ms_per_s": spent.cpu.map(|cpu| cpu.as_secs_f64() * 1e3 / seconds),
        "wakeups_per_minute": spent.switches.map(|switches| switches as f64 * 60.0 / seconds),
        "rss_mb": memory_kb("VmRSS").map(|kb| kb as f64 / 1024.0),
        // Without the pages of the program itself, which the system can drop and which others share.
        "rss_anon_mb": memory_kb("RssAnon").map(|kb| kb as f64 / 1024.0),
        "threads": memory_kb("Threads"),
    });
    connected.block_on(consumer.close())?;
    connected.close()?;
    Ok(outcome)
}
