//! From a send to the handler that gets it, at a steady rate, in one process.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use rmq::{ConsumeFrom, Message, Operation, Producer, PushConsumer, ReceivedMessage, SendReceipt};
use rocketmq_client_tokio as rmq;

use super::{Connected, STALL_MAX};
use crate::bench::args::LatencyArgs;
use crate::bench::block::{Outcome, Spec};
use crate::bench::meter::Meter;
use crate::bench::pace::Pace;
use crate::bench::samples::percentiles_of;
use crate::error::CliError;

/// Sent before anything is counted; a group that starts late may miss the first.
const WARM_UP: u64 = 200;
const TICK: Duration = Duration::from_millis(2);

pub(super) fn run(args: &LatencyArgs, spec: &Spec) -> Result<Outcome, CliError> {
    let connected = Connected::connect(&args.common, spec)?;
    let clock = Arc::new(Clock::new(args.count));
    let consumer = start(&connected, spec, &clock)?;
    let producer = connected.client().producer(&*spec.group).build()?;
    let work = Work { producer, spec, size: args.size as usize, clock: &clock };
    work.send_all(&connected, args.count..args.count + WARM_UP, args.rate);
    let meter = Meter::start();
    let failed = work.send_all(&connected, 0..args.count, args.rate);
    clock.wait(&connected, args.count - failed);
    let spent = meter.stop();
    let latencies = clock.latencies(args.count);
    let done = latencies.len() as u64;
    let (p50_ns, p99_ns) = percentiles_of(latencies);
    connected.block_on(consumer.close())?;
    connected.close()?;
    let failed = args.count - done;
    Ok(Outcome { done, warm_up: WARM_UP, failed, spent, p50_ns, p99_ns, syscalls: None, broker_cpu: None })
}

/// When each message was sent and when it came, in nanoseconds; 0 is not yet.
struct Clock {
    zero: Instant,
    sent: Vec<AtomicU64>,
    came: Vec<AtomicU64>,
    /// Of those that are counted.
    seen: AtomicU64,
    count: u64,
}

impl Clock {
    fn new(count: u64) -> Self {
        let times = || (0..count + WARM_UP).map(|_| AtomicU64::new(0)).collect();
        Self { zero: Instant::now(), sent: times(), came: times(), seen: AtomicU64::new(0), count }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.zero.elapsed().as_nanos()).unwrap_or(u64::MAX).max(1)
    }

    fn came(&self, message: &ReceivedMessage) {
        let now = self.now();
        let mark = message.body().ok().and_then(|body| body.first_chunk::<8>());
        let Some(number) = mark.and_then(|mark| number_of(u64::from_be_bytes(*mark))) else { return };
        let Some(slot) = usize::try_from(number).ok().and_then(|index| self.came.get(index)) else { return };
        // A second delivery is not looked at.
        let first = slot.compare_exchange(0, now, Ordering::Relaxed, Ordering::Relaxed).is_ok();
        if first && number < self.count {
            self.seen.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Until so many have come, or none has for too long.
    fn wait(&self, connected: &Connected, count: u64) {
        let (mut seen, mut since) = (0, Instant::now());
        while seen < count && since.elapsed() < STALL_MAX {
            connected.sleep(TICK);
            let now = self.seen.load(Ordering::Relaxed);
            if now != seen {
                (seen, since) = (now, Instant::now());
            }
        }
    }

    fn latencies(&self, count: u64) -> Vec<u64> {
        let times = self.sent.iter().zip(&self.came).take(usize::try_from(count).unwrap_or(usize::MAX));
        let times = times.map(|(sent, came)| (sent.load(Ordering::Relaxed), came.load(Ordering::Relaxed)));
        times.filter(|(_, came)| *came > 0).map(|(sent, came)| came.saturating_sub(sent)).collect()
    }
}

/// What a body begins with. A group that is new to a young queue gets what was sent before it came, so
/// that messages of an earlier process must not pass for ours.
fn mark_of(number: u64) -> u64 {
    u64::from(std::process::id()) << 32 | number
}

fn number_of(mark: u64) -> Option<u64> {
    (mark >> 32 == u64::from(std::process::id())).then_some(mark & u64::from(u32::MAX))
}

fn start(connected: &Connected, spec: &Spec, clock: &Arc<Clock>) -> Result<PushConsumer, CliError> {
    let builder = connected
        .client()
        .push_consumer(&*spec.group)
        .subscribe(&*spec.topic, "*")
        .consume_from(ConsumeFrom::LastOffset);
    let clock = clock.clone();
    Ok(connected.consume(builder, 2, move |message| clock.came(message))?)
}

struct Work<'a> {
    producer: Producer,
    spec: &'a Spec,
    size: usize,
    clock: &'a Clock,
}

impl Work<'_> {
    /// Sends without waiting for receipts in between; gives how many sends failed.
    fn send_all(&self, connected: &Connected, numbers: std::ops::Range<u64>, rate: f64) -> u64 {
        let pace = Pace::new(Some(rate), 1);
        let mut under_way = Vec::new();
        let first = numbers.start;
        for number in numbers {
            if let Some(due) = pace.wait(number - first) {
                connected.sleep(due.saturating_duration_since(Instant::now()));
            }
            under_way.push(self.send(number));
        }
        let mut failed = 0;
        for operation in under_way {
            failed += u64::from(connected.block_on(operation).is_err());
        }
        failed
    }

    fn send(&self, number: u64) -> Operation<SendReceipt> {
        let mut body = vec![b'm'; self.size];
        body[..8].copy_from_slice(&mark_of(number).to_be_bytes());
        let message = Message::new(&*self.spec.topic, Bytes::from(body));
        self.clock.sent[number as usize].store(self.clock.now(), Ordering::Relaxed);
        self.producer.send(message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_of_another_process_is_not_ours() {
        assert_eq!(number_of(mark_of(7)), Some(7));
        assert_eq!(number_of(mark_of(7) ^ 1 << 40), None);
    }
}
