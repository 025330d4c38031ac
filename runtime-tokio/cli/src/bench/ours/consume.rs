//! A push consumer with an empty handler.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rmq::{ConsumeFrom, PushConsumer};
use rocketmq_client_tokio as rmq;
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use super::connected::Connected;
use crate::bench::args::ConsumeArgs;
use crate::bench::block::{Outcome, Spec};
use crate::bench::frames::Frames;
use crate::bench::limit::{Answers, Job, Limit};
use crate::bench::meter::Meter;
use crate::bench::pace::Pace;
use crate::bench::stamps::STALL_MAX;
use crate::error::CliError;

/// Messages that a preload has under way.
const PRELOAD_WINDOW: usize = 1_024;

pub(super) fn run(args: &ConsumeArgs, spec: &Spec) -> Result<Outcome, CliError> {
    let total = args.total();
    let connected = Connected::connect(&args.common, spec)?;
    let (count, mut ended) = Count::new(total);
    let meter = Meter::start();
    let consumer = start(&connected, args, spec, &count)?;
    count.wait(&connected, &mut ended);
    let spent = meter.stop();
    let seen = count.seen.load(Ordering::Relaxed);
    connected.block_on(consumer.close())?;
    connected.close()?;
    Ok(Outcome {
        done: seen.min(total),
        warm_up: 0,
        // More than there were came twice.
        failed: total.abs_diff(seen),
        spent,
        p50_ns: None,
        p99_ns: None,
        syscalls: None,
        broker_cpu: None,
    })
}

/// Counts messages and tells when all have come.
struct Count {
    seen: AtomicU64,
    total: u64,
    ended: UnboundedSender<()>,
}

impl Count {
    fn new(total: u64) -> (Arc<Self>, UnboundedReceiver<()>) {
        let (ended, end) = unbounded_channel();
        (Arc::new(Self { seen: AtomicU64::new(0), total, ended }), end)
    }

    fn add(&self) {
        if self.seen.fetch_add(1, Ordering::Relaxed) + 1 == self.total {
            // Nobody waits after a stall.
            let _ = self.ended.send(());
        }
    }

    /// Ends when all have come, or when none has for too long.
    fn wait(&self, connected: &Connected, ended: &mut UnboundedReceiver<()>) {
        let mut seen = 0;
        while connected.receive(ended, STALL_MAX).is_none() {
            let now = self.seen.load(Ordering::Relaxed);
            if now == seen {
                return;
            }
            seen = now;
        }
    }
}

fn start(
    connected: &Connected,
    args: &ConsumeArgs,
    spec: &Spec,
    count: &Arc<Count>,
) -> Result<PushConsumer, CliError> {
    let builder = connected
        .client()
        .push_consumer(&*spec.group)
        .subscribe(&*spec.topic, "*")
        .consume_from(ConsumeFrom::FirstOffset);
    let count = count.clone();
    Ok(connected.consume(builder, args.workers.into(), move |_| count.add())?)
}

/// Fills the topic's queues evenly, past the client.
pub(in crate::bench) fn preload(args: &ConsumeArgs, broker: &str, topic: &str) -> Result<(), CliError> {
    let queues = usize::from(args.queues);
    let ring = PRELOAD_WINDOW.div_ceil(queues) * queues;
    let frames = Frames::sends(topic, args.queues, args.size, ring, false);
    let mut limit = Limit::connect(broker)?;
    limit.learn(&frames)?;
    let (frames_left, pace) = (args.total() - 1, Pace::new(None, 1));
    let job = Job { frames: frames_left, window: PRELOAD_WINDOW, pace, answers: Answers::Receipts };
    let outcome = limit.run_from(&frames, 1, job)?;
    match outcome.failed {
        0 => Ok(()),
        failed => {
            Err(CliError::Failed(format!("{failed} of {} messages could not be preloaded", args.total())))
        }
    }
}
