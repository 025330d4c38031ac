//! `rmq demo`: two consumers of one group, one of which loses its sockets under load with deliveries in
//! its hands, and a count of every message that the broker's log has.
//!
//! Every wait has a bound: a demo that can't go on says so and fails.

mod cluster;
pub(crate) mod cpu;
mod ledger;
mod report;
mod victim;
mod workload;

use std::sync::Arc;
use std::time::{Duration, Instant};

use rmq::{Ack, ConsumeFrom, PushConsumer};
use rocketmq_client_tokio as rmq;
use tokio::time::{sleep, timeout};

use self::cluster::Cluster;
use self::cpu::Meter;
use self::ledger::Ledger;
use self::report::Report;
use self::victim::Victim;
use self::workload::Workload;
use crate::args::DemoArgs;
use crate::error::CliError;
use crate::progress::{Bar, bar};
use crate::{output, stop};

/// Queues of the demo's topic.
const QUEUES: i32 = 8;
/// So many deliveries must be without an answer when the sockets are cut.
const UNACKED_MIN: usize = 500;
/// Handlers of each consumer.
const HANDLERS: usize = 1_024;
/// How long anything may stand still.
const STALL_MAX: Duration = Duration::from_secs(60);
/// How long the victim may take to get its hands full once everything is sent.
const FILL_MAX: Duration = Duration::from_secs(20);
/// How long a client may take to start or to end.
const CLIENT_MAX: Duration = Duration::from_secs(20);
/// A message that was sent back comes again after 10 s; only then is it lost.
const QUIET: Duration = Duration::from_secs(13);
/// Where the loss is known, no such patience is needed.
const QUIET_WHEN_LOSING: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(10);

pub(crate) async fn run(args: &DemoArgs) -> Result<(), CliError> {
    let mut cluster = Cluster::start(args.namesrv.as_deref()).await?;
    if !args.json {
        output::note(&format!(
            "{}: {} messages to {}, {QUEUES} queues, two consumers of group {}",
            cluster.description(),
            args.messages,
            cluster.topic,
            cluster.group,
        ));
    }
    let consumed = bar(Some(args.messages.into()), "consumed", args.json);
    let outcome = tokio::select! {
        outcome = Demo::run(&mut cluster, args, &consumed) => outcome,
        _ = stop::asked() => Err(CliError::Failed("interrupted".to_owned())),
    };
    drop(consumed);
    if !args.keep {
        cluster.clean_up().await;
    }
    let report = outcome?;
    report.show(args.json)?;
    report.verdict()
}

struct Demo<'a> {
    cluster: &'a mut Cluster,
    ledger: Arc<Ledger>,
    workload: Workload,
    victim: Victim,
    lose_one: bool,
    unacked: Option<usize>,
    progress: Watch,
}

impl<'a> Demo<'a> {
    async fn run(cluster: &'a mut Cluster, args: &DemoArgs, consumed: &Bar) -> Result<Report, CliError> {
        let ledger = Arc::new(Ledger::new(args.messages, QUEUES, cluster.topic.clone()));
        let client = bounded("a client to start", rmq::Client::connect(&cluster.name_servers)).await??;
        let survivor = bounded("a consumer to start", start_survivor(&client, cluster, &ledger)).await??;
        let victim = bounded("a consumer to start", Victim::start(cluster, &ledger)).await??;
        cluster.await_members(2).await?;

        let (cpu, started) = (Meter::start(), Instant::now());
        let workload = Workload::start(&client, cluster, &ledger, args.messages)?;
        let mut demo = Self {
            cluster,
            ledger,
            workload,
            victim,
            lose_one: args.lose_one,
            unacked: None,
            progress: Watch::new(),
        };
        while !demo.step().await? {
            consumed.set(demo.ledger.distinct());
            sleep(TICK).await;
        }
        let (elapsed, cpu) = (started.elapsed(), cpu.stop());
        let stored = demo.cluster.stored().await?;
        let in_log = demo.cluster.count_log().await?;
        let closed = bounded("the consumer to close", survivor.close_within(CLIENT_MAX / 2)).await??;
        bounded("the client to close", client.close_within(CLIENT_MAX / 2)).await??;
        Ok(Report {
            cluster: demo.cluster.description(),
            topic: demo.cluster.topic.clone(),
            sent: demo.ledger.sent(),
            stored: in_log,
            consumed: demo.ledger.distinct(),
            missing: demo.ledger.missing(&stored),
            duplicates: demo.ledger.duplicates(),
            unacked: demo.unacked.unwrap_or(0),
            recovery: demo.ledger.recovery(),
            latency_us: demo.ledger.latency_us(),
            elapsed,
            cpu,
            is_in_process: demo.cluster.is_in_process(),
            committed: closed.queues_committed,
            lose_one: args.lose_one,
        })
    }

    /// Looks at where things stand and does what is due. True when all is done.
    async fn step(&mut self) -> Result<bool, CliError> {
        let sending = self.workload.is_sending().await?;
        self.progress.see(&self.ledger, self.victim.held());
        if self.unacked.is_none() {
            self.cut_when_due(sending).await?;
            return Ok(false);
        }
        if sending {
            self.progress.stalled(STALL_MAX, &self.ledger)?;
            return Ok(false);
        }
        // Not before everything that was confirmed has come is the broker asked.
        if self.ledger.distinct() < self.ledger.sent() && self.progress.quiet_for() < QUIET_WHEN_LOSING {
            return Ok(false);
        }
        let stored = self.cluster.stored().await?;
        if self.ledger.missing(&stored).is_empty() {
            return Ok(true);
        }
        let quiet = if self.lose_one { QUIET_WHEN_LOSING } else { QUIET };
        if self.progress.quiet_for() >= quiet && self.cluster.is_all_committed(&stored).await? {
            return Ok(true);
        }
        self.progress.stalled(STALL_MAX, &self.ledger)?;
        sleep(Duration::from_millis(200)).await;
        Ok(false)
    }

    /// Half-way, and with enough deliveries in the victim's hands, its sockets go.
    async fn cut_when_due(&mut self, sending: bool) -> Result<(), CliError> {
        let (sent, total) = (self.ledger.sent(), self.ledger.total());
        let full = sent * 2 >= total && self.victim.held() >= UNACKED_MIN;
        let hopeless = !sending && self.progress.quiet_for() > FILL_MAX;
        if full || hopeless {
            let held = bounded("the cut", self.victim.cut()).await??;
            self.unacked = Some(held.len());
            self.ledger.cut(held, self.lose_one);
            return Ok(());
        }
        self.progress.stalled(STALL_MAX, &self.ledger)
    }
}

/// Sees whether anything moves.
struct Watch {
    state: (u64, u64, u64, usize),
    since: Instant,
}

impl Watch {
    fn new() -> Self {
        Self { state: (0, 0, 0, 0), since: Instant::now() }
    }

    fn see(&mut self, ledger: &Ledger, held: usize) {
        let state = (ledger.sent(), ledger.distinct(), ledger.duplicates(), held);
        if state != self.state {
            *self = Self { state, since: Instant::now() };
        }
    }

    fn quiet_for(&self) -> Duration {
        self.since.elapsed()
    }

    fn stalled(&self, max: Duration, ledger: &Ledger) -> Result<(), CliError> {
        if self.quiet_for() <= max {
            return Ok(());
        }
        Err(CliError::Failed(format!(
            "stuck: nothing has moved for {} s; {} of {} messages sent, {} consumed (see the logs with -v, and the broker's)",
            max.as_secs(),
            ledger.sent(),
            ledger.total(),
            ledger.distinct(),
        )))
    }
}

async fn start_survivor(
    client: &rmq::Client,
    cluster: &Cluster,
    ledger: &Arc<Ledger>,
) -> Result<PushConsumer, rmq::Error> {
    let ledger = ledger.clone();
    client
        .push_consumer(&*cluster.group)
        .subscribe(&*cluster.topic, "*")
        .consume_from(ConsumeFrom::FirstOffset)
        .workers(HANDLERS, move |message| {
            ledger.survivor_consumed(&message);
            async { Ack::Done }
        })
        .await
}

async fn bounded<T>(what: &str, future: impl IntoFuture<Output = T>) -> Result<T, CliError> {
    timeout(CLIENT_MAX, future).await.map_err(|_| {
        CliError::Failed(format!(
            "stuck: waited {} s for {what} (see the logs with -v)",
            CLIENT_MAX.as_secs()
        ))
    })
}
