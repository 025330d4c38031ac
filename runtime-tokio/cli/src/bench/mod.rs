//! `rmq bench`: what the client costs, beside what a bare socket program costs on the same broker.
//!
//! Each part of a measurement runs in a process of its own, the client and the limit in turns; this
//! process only starts them and adds up.

mod args;
mod bare;
mod block;
mod broker;
mod delivery;
mod frames;
mod limit;
mod meter;
mod null;
mod ours;
mod pace;
mod report;
mod samples;
mod stamps;
mod target;
mod trace;

use std::time::Instant;

use serde_json::{Map, Value, json};

pub(crate) use self::args::BenchCommand;
use self::args::{Common, ConsumeArgs, IdleArgs, LatencyArgs, Mode, Pairing, SendArgs, StartArgs, name_of};
use self::block::{Outcome, Who};
use self::report::{Report, Spread};
use self::target::{MadeUp, Target};
use crate::error::CliError;
use crate::progress::bar;
use crate::{output, stop};

/// Pairs for one caller, whose latency varies most, and for everything else.
const PAIRS_ONE_CALLER: u16 = 10;
const PAIRS: u16 = 5;

/// Runs what must not run inside of a runtime; `None` when it is a measurement.
pub(crate) fn run_alone(command: &BenchCommand) -> Option<Result<(), CliError>> {
    if let BenchCommand::NullServer(args) = command {
        return Some(null::run(args));
    }
    let spec = command.block()?;
    let command = &command.clone().with_count(spec.messages);
    let ran = match spec.who {
        Who::Ours => ours::run(command, spec),
        Who::Limit => bare::limit(command, spec).map(Outcome::to_json),
        Who::BareDelivery => bare::delivery(command, spec).map(Outcome::to_json),
    };
    Some(ran.and_then(|printed| Ok(output::json(&printed)?)))
}

/// Measures.
pub(crate) async fn run(command: BenchCommand) -> Result<(), CliError> {
    tokio::select! {
        outcome = measure(&command) => outcome,
        _ = stop::asked() => Err(CliError::Failed("interrupted".to_owned())),
    }
}

async fn measure(command: &BenchCommand) -> Result<(), CliError> {
    let nothing = MadeUp { messages: 0, size: 0 };
    match command {
        BenchCommand::Send(args) => {
            let mut target = Target::start(&args.common, args.queues, nothing).await?;
            let pairs = args.pairing.pairs(args.mode == Mode::Sync && args.callers == 1);
            let asked = asked_to_send(args, &target);
            let plan = Plan { pairs, pairing: &args.pairing, count: args.count(), parts: Parts::Filling };
            pair_up(&mut target, &plan, &args.common, asked).await
        }
        BenchCommand::Consume(args) => {
            let made_up = MadeUp { messages: args.queue_count(), size: args.size };
            let mut target = Target::start(&args.common, args.queues, made_up).await?;
            if !args.common.null {
                tokio::task::block_in_place(|| ours::preload(args, target.broker(), target.topic()))?;
            }
            let asked = asked_to_consume(args, &target);
            let pairs = args.pairing.pairs(false);
            let plan = Plan { pairs, pairing: &args.pairing, count: args.total(), parts: Parts::Plain };
            pair_up(&mut target, &plan, &args.common, asked).await
        }
        BenchCommand::Latency(args) => {
            let mut target = Target::start(&no_null(&args.common)?, args.queues, nothing).await?;
            let asked = asked_for_latency(args, &target);
            let pairs = args.pairing.pairs(false);
            let plan = Plan { pairs, pairing: &args.pairing, count: args.count, parts: Parts::Deliveries };
            pair_up(&mut target, &plan, &args.common, asked).await
        }
        BenchCommand::Idle(args) => idle(args).await,
        BenchCommand::Start(args) => start(args).await,
        BenchCommand::Broker(args) => show_object(broker::run(args).await?, args.json),
        BenchCommand::NullServer(_) => Ok(()),
    }
}

impl Pairing {
    fn pairs(&self, one_caller: bool) -> u16 {
        self.pairs.unwrap_or(match (self.with_limit, one_caller) {
            (false, _) => 1,
            (true, true) => PAIRS_ONE_CALLER,
            (true, false) => PAIRS,
        })
    }
}

/// What is measured how often.
struct Plan<'a> {
    pairing: &'a Pairing,
    pairs: u16,
    /// Messages of one measurement.
    count: u64,
    parts: Parts,
}

/// What a pair is made of.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Parts {
    Plain,
    /// The broker keeps what is sent, and begins anew.
    Filling,
    /// The limit is a round trip, and a bare program goes from end to end.
    Deliveries,
}

/// The client, then the limit, then the client again: what changes meanwhile changes for both.
async fn pair_up(
    target: &mut Target,
    plan: &Plan<'_>,
    common: &Common,
    asked: Map<String, Value>,
) -> Result<(), CliError> {
    let &Plan { pairing, pairs, count, .. } = plan;
    if !common.json {
        output::note(&format!("{}, {pairs} times {} messages", target.description(), output::grouped(count)));
    }
    let progress = bar(Some(u64::from(pairs) * count), "measuring", common.json);
    let mut report = Report::default();
    let mut measured = Ok(());
    for _ in 0..pairs {
        measured = pair(target, plan, &mut report).await;
        if measured.is_err() {
            break;
        }
        progress.add(count);
    }
    drop(progress);
    if pairing.trace && measured.is_ok() {
        measured = traced(target, pairing.with_limit, &mut report).await;
    }
    target.clean_up().await?;
    measured?;
    Ok(report.show(asked, common.json)?)
}

async fn traced(target: &mut Target, with_limit: bool, report: &mut Report) -> Result<(), CliError> {
    let ours = trace::trace(&target.spec(Who::Ours, 0)).await?;
    let limit = if with_limit { Some(trace::trace(&target.spec(Who::Limit, 0)).await?) } else { None };
    report.add_traced(ours, limit);
    Ok(())
}

async fn pair(target: &mut Target, plan: &Plan<'_>, report: &mut Report) -> Result<(), CliError> {
    if plan.parts == Parts::Filling {
        target.renew().await?;
    }
    let ours = target.measure(Who::Ours).await?;
    if !plan.pairing.with_limit {
        report.add(&ours, None);
        return Ok(());
    }
    if plan.parts == Parts::Deliveries {
        report.add_delivery(&target.measure(Who::BareDelivery).await?);
    }
    report.add(&ours, Some(&target.measure(Who::Limit).await?));
    Ok(())
}

async fn idle(args: &IdleArgs) -> Result<(), CliError> {
    let nothing = MadeUp { messages: 0, size: 0 };
    let mut target = Target::start(&args.common, args.queues, nothing).await?;
    let outcome = target.spec(Who::Ours, 0).run().await?;
    target.clean_up().await?;
    let mut asked = asked("idle", &args.common, &target);
    asked.insert("queues".to_owned(), args.queues.into());
    asked.extend(outcome.as_object().cloned().unwrap_or_default());
    show_object(asked, args.common.json)
}

async fn start(args: &StartArgs) -> Result<(), CliError> {
    let mut target = Target::start(&no_null(&args.common)?, 1, MadeUp { messages: 0, size: 0 }).await?;
    let mut asked = asked("start", &args.common, &target);
    asked.insert("times".to_owned(), args.times.into());
    let progress = bar(Some(2 * u64::from(args.times)), "starting", args.common.json);
    let (mut process, mut inside, mut consumer) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.times {
        let spec = target.spec(Who::Ours, ours::PROCESS);
        let begun = Instant::now();
        let told = spec.run().await?;
        process.push(begun.elapsed().as_secs_f64() * 1e3);
        inside.extend(told["ms"].as_f64());
        progress.add(1);
    }
    for _ in 0..args.times {
        let told = target.spec(Who::Ours, ours::CONSUMER).run().await?;
        consumer.extend(told["ms"].as_f64());
        progress.add(1);
    }
    drop(progress);
    target.clean_up().await?;
    let spread = |numbers: Vec<f64>| Spread::of(numbers.into_iter()).map_or(Value::Null, Spread::to_json);
    asked.insert("process_send_exit_ms".to_owned(), spread(process));
    asked.insert("connect_send_close_ms".to_owned(), spread(inside));
    asked.insert("consumer_first_message_ms".to_owned(), spread(consumer));
    show_object(asked, args.common.json)
}

fn show_object(object: Map<String, Value>, as_json: bool) -> Result<(), CliError> {
    if as_json {
        return Ok(output::json(&Value::Object(object))?);
    }
    let rows: Vec<_> = object.iter().map(|(name, value)| [name.clone(), value.to_string()]).collect();
    Ok(output::table(None, &rows)?)
}

/// The null server hands nothing on.
fn no_null(common: &Common) -> Result<Common, CliError> {
    if common.null {
        return Err(CliError::Usage(
            "the null server delivers nothing that was sent; use --dev-broker or --namesrv".to_owned(),
        ));
    }
    Ok(common.clone())
}

fn asked(workload: &str, common: &Common, target: &Target) -> Map<String, Value> {
    let mut asked = Map::new();
    asked.insert("workload".to_owned(), workload.into());
    asked.insert("target".to_owned(), target.description().into());
    asked.insert("adapter".to_owned(), name_of(common.adapter).into());
    asked
}

fn with(mut asked: Map<String, Value>, more: Value) -> Map<String, Value> {
    asked.extend(more.as_object().cloned().unwrap_or_default());
    asked
}

fn asked_to_send(args: &SendArgs, target: &Target) -> Map<String, Value> {
    with(
        asked("send", &args.common, target),
        json!({
            "mode": name_of(args.mode),
            "batch": args.batch(),
            "callers": args.callers,
            "in_flight": args.window(),
            "limit_in_flight": args.limit_window(),
            "size": args.size,
            "count": args.count(),
        }),
    )
}

fn asked_to_consume(args: &ConsumeArgs, target: &Target) -> Map<String, Value> {
    with(
        asked("consume", &args.common, target),
        json!({ "queues": args.queues, "workers": args.workers, "size": args.size, "count": args.total() }),
    )
}

fn asked_for_latency(args: &LatencyArgs, target: &Target) -> Map<String, Value> {
    with(
        asked("latency", &args.common, target),
        json!({ "rate": args.rate, "size": args.size, "count": args.count }),
    )
}
