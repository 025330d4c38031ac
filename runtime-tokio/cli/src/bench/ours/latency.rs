//! From a send to the handler that gets it, at a steady rate, in one process.

use std::ops::Range;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use rmq::{ConsumeFrom, Message, Operation, Producer, PushConsumer, SendReceipt};
use rocketmq_client_blocking as blocking;
use rocketmq_client_tokio as rmq;

use super::connected::Connected;
use crate::bench::args::LatencyArgs;
use crate::bench::block::{Outcome, Spec};
use crate::bench::meter::Meter;
use crate::bench::pace::Pace;
use crate::bench::samples::percentiles_of;
use crate::bench::stamps::{Stamps, WARM_UP, mark_of};
use crate::error::CliError;

pub(super) fn run(args: &LatencyArgs, spec: &Spec) -> Result<Outcome, CliError> {
    let connected = Connected::connect(&args.common, spec)?;
    let stamps = Arc::new(Stamps::new(args.count));
    let consumer = start(&connected, spec, &stamps)?;
    let producer = connected.client().producer(&*spec.group).build()?;
    let work = Work { producer, spec, args, stamps: &stamps };
    // The timers of a runtime would do for the rate, but they go in step with what wakes the runtime up.
    let spent = connected.beside(|| {
        work.send_all(args.count..args.count + WARM_UP);
        let meter = Meter::start();
        let failed = work.send_all(0..args.count);
        stamps.wait(args.count - failed);
        meter.stop()
    });
    let latencies = stamps.latencies();
    let done = latencies.len() as u64;
    let (p50_ns, p99_ns) = percentiles_of(latencies);
    connected.block_on(consumer.close())?;
    connected.close()?;
    let failed = args.count - done;
    Ok(Outcome { done, warm_up: WARM_UP, failed, spent, p50_ns, p99_ns, syscalls: None, broker_cpu: None })
}

fn start(connected: &Connected, spec: &Spec, stamps: &Arc<Stamps>) -> Result<PushConsumer, CliError> {
    let builder = connected
        .client()
        .push_consumer(&*spec.group)
        .subscribe(&*spec.topic, "*")
        .consume_from(ConsumeFrom::LastOffset);
    let stamps = stamps.clone();
    Ok(connected.consume(builder, 2, move |message| {
        let now = stamps.now();
        if let Ok(body) = message.body() {
            stamps.came(now, body);
        }
    })?)
}

struct Work<'a> {
    producer: Producer,
    spec: &'a Spec,
    args: &'a LatencyArgs,
    stamps: &'a Stamps,
}

impl Work<'_> {
    /// Sends without waiting for receipts in between; gives how many sends failed.
    fn send_all(&self, numbers: Range<u64>) -> u64 {
        let pace = Pace::new(Some(self.args.rate), 1);
        let mut under_way = Vec::new();
        for (index, number) in (0..).zip(numbers) {
            if let Some(due) = pace.wait(index) {
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            under_way.push(self.send(number));
        }
        let failed = under_way.into_iter().filter_map(|operation| blocking::block_on(operation).err());
        failed.count() as u64
    }

    fn send(&self, number: u64) -> Operation<SendReceipt> {
        let mut body = vec![b'm'; self.args.size as usize];
        body[..8].copy_from_slice(&mark_of(number));
        let message = Message::new(&*self.spec.topic, Bytes::from(body));
        self.stamps.sends(number);
        self.producer.send(message)
    }
}
