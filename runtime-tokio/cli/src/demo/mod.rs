//! `rmq demo`: two consumers share a topic, one of them dies with its hands full, and the broker's own
//! log says whether anything was lost.

mod cluster;
mod cpu;
mod ledger;
mod report;
mod workload;

use std::sync::Arc;
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use rocketmq_client_tokio as rmq;

use crate::args::DemoArgs;
use crate::error::CliError;

use cluster::Cluster;
use ledger::Ledger;
pub(crate) use report::Report;
use workload::{Survivor, Victim};

/// The dying consumer must hold at least this many deliveries when it dies.
pub(crate) const IN_HAND_MIN: u64 = 500;
/// With fewer messages the dying consumer's share of the second half may be too small.
pub(crate) const MESSAGES_MIN: u64 = 8 * IN_HAND_MIN;
/// Brokers forget a member that went silent after 120 s and look every 10 s; one whose connection broke
/// is forgotten at once. Beyond that the demo gives up waiting.
const CONSUMED_WITHIN: Duration = Duration::from_secs(150);
/// How long everything else may take.
const STEP_WITHIN: Duration = Duration::from_secs(60);

/// Runs the demo and says what came of it.
pub(crate) async fn run(args: &DemoArgs) -> Result<Report, CliError> {
    if args.messages < MESSAGES_MIN {
        let text = format!("--messages {} is too few: the demo needs at least {MESSAGES_MIN}", args.messages);
        return Err(CliError::Usage(text));
    }
    let bar = progress(args);
    let cluster = Cluster::prepare(args.namesrv.as_deref(), &bar).await?;
    let ledger = Arc::new(Ledger::new(args.messages, args.lose_one));
    let cpu = cpu::Meter::start();
    let started = Instant::now();

    let survivor = Survivor::start(&cluster, &ledger).await?;
    let victim = Victim::start(&cluster, &ledger).await?;
    bar.set_message("sending; both consume");
    workload::send(&cluster, &ledger, 0..args.messages / 2, &bar).await?;
    victim.hold();
    workload::send(&cluster, &ledger, args.messages / 2..args.messages, &bar).await?;
    bar.set_message("one holds its deliveries");
    within(
        STEP_WITHIN,
        "the doomed consumer to take its deliveries",
        || victim.in_hand() >= IN_HAND_MIN,
        &bar,
        &ledger,
    )
    .await?;
    let in_hand = victim.die();
    bar.set_message("one is dead; the other takes over");
    let waited =
        within(CONSUMED_WITHIN, "the survivor to consume everything", || ledger.all_settled(), &bar, &ledger)
            .await;
    let cpu = cpu.stop();
    let elapsed = started.elapsed();
    let closed = survivor.close().await?;
    if let Err(error) = waited {
        bar.suspend(|| eprintln!("{error}"));
    }
    bar.set_message("reading the broker's log");
    let audit = cluster.audit().await?;
    bar.finish_and_clear();
    Ok(Report::new(&ledger, &audit, in_hand, cpu, elapsed, &closed))
}

fn progress(args: &DemoArgs) -> ProgressBar {
    if args.json {
        return ProgressBar::hidden();
    }
    let style = ProgressStyle::with_template("{bar:30} {pos}/{len} consumed  {msg}")
        .expect("a template that is right");
    ProgressBar::new(args.messages).with_style(style)
}

/// Looks again and again until `done`, for as long as `limit`.
async fn within(
    limit: Duration,
    what: &str,
    done: impl Fn() -> bool,
    bar: &ProgressBar,
    ledger: &Ledger,
) -> Result<(), CliError> {
    let deadline = Instant::now() + limit;
    while !done() {
        if Instant::now() >= deadline {
            return Err(CliError::Failed(format!("waited {} s for {what}, in vain", limit.as_secs())));
        }
        bar.set_position(ledger.settled());
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    bar.set_position(ledger.settled());
    Ok(())
}

/// A client of the demo's cluster.
async fn connect(cluster: &Cluster) -> Result<rmq::Client, CliError> {
    Ok(rmq::Client::connect(cluster.name_server.as_str()).await?)
}
