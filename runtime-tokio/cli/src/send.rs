//! `rmq send`: a receipt, or many messages and a summary.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdrhistogram::Histogram;
use indicatif::ProgressBar;
use rmq::{Message, Producer, SendReceipt};
use rocketmq_client_tokio as rmq;
use serde_json::{Value, json};
use tokio::io::{AsyncBufRead, AsyncBufReadExt, BufReader};
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use crate::args::SendArgs;
use crate::error::Failure;
use crate::output::Output;
use crate::progress::Progress;

/// More messages than are ever sent.
const STOPPED: u64 = u64::MAX / 2;
/// An hour: longer than a send may take.
const LATENCY_US_MAX: u64 = 3_600_000_000;

/// What all senders share.
struct Job {
    producer: Producer,
    template: Message,
    bodies: Bodies,
    pace: Option<f64>,
    oneway: bool,
    receipts: bool,
    begun: AtomicU64,
    started: Instant,
    output: Output,
    bar: ProgressBar,
    tally: Mutex<Tally>,
}

/// Where bodies come from.
enum Bodies {
    /// The same again.
    Count(Bytes, u64),
    /// One a line.
    Lines(tokio::sync::Mutex<Lines>),
}

struct Lines {
    reader: Box<dyn AsyncBufRead + Send + Unpin>,
    path: PathBuf,
}

/// What has been done.
struct Tally {
    sent: u64,
    bytes: u64,
    latency_us: Histogram<u64>,
    failure: Option<Failure>,
}

pub(crate) async fn run(args: SendArgs, output: &Output) -> Result<(), Failure> {
    let (count, bodies) = bodies(&args).await?;
    let client = rmq::Client::connect(&args.cluster.namesrv).await?;
    let producer = client.producer(&*args.group).build()?;
    let progress = Progress::new(*output);
    let is_one = count == Some(1);
    let job = Arc::new(Job {
        producer,
        template: template(&args),
        bodies,
        pace: args.rate,
        oneway: args.oneway,
        receipts: !args.oneway && (is_one || args.receipts),
        begun: AtomicU64::new(0),
        started: Instant::now(),
        output: *output,
        bar: if is_one { ProgressBar::hidden() } else { progress.bar("sent", count) },
        tally: Mutex::new(Tally::new()),
    });
    let senders = count.unwrap_or(u64::MAX).min(u64::from(args.in_flight));
    send_all(&job, senders).await;
    let elapsed = job.started.elapsed();
    progress.clear();
    let tally = std::mem::replace(&mut *job.tally(), Tally::new());
    drop(job);
    let closed = client.close().await;
    if !is_one || args.oneway {
        summary(&tally, elapsed, &args.topic, args.oneway, *output)?;
    }
    match tally.failure {
        Some(failure) => Err(failure),
        None => Ok(closed?),
    }
}

async fn bodies(args: &SendArgs) -> Result<(Option<u64>, Bodies), Failure> {
    if let Some(path) = &args.file {
        let lines = Lines { reader: open(path).await?, path: path.clone() };
        return Ok((None, Bodies::Lines(tokio::sync::Mutex::new(lines))));
    }
    let body = match (&args.body, args.size) {
        (Some(body), _) => Bytes::from(body.clone()),
        (None, size) => (b'a'..=b'z').cycle().take(size.unwrap_or(0)).collect(),
    };
    Ok((Some(args.count), Bodies::Count(body, args.count)))
}

async fn open(path: &Path) -> Result<Box<dyn AsyncBufRead + Send + Unpin>, Failure> {
    if path == Path::new("-") {
        return Ok(Box::new(BufReader::new(tokio::io::stdin())));
    }
    let file = tokio::fs::File::open(path).await;
    let file = file.map_err(|error| Failure::io(format!("can't open {}", path.display()), error))?;
    Ok(Box::new(BufReader::new(file)))
}

fn template(args: &SendArgs) -> Message {
    let mut message = Message::new(&*args.topic, Bytes::new()).keys(&args.key);
    if let Some(tag) = &args.tag {
        message = message.tag(tag);
    }
    args.property.iter().fold(message, |message, (name, value)| message.property(name, value))
}

/// Each sender has one message under way. The first failure ends all.
async fn send_all(job: &Arc<Job>, senders: u64) {
    let mut running = JoinSet::new();
    for _ in 0..senders {
        let job = job.clone();
        running.spawn(async move { job.send_some().await });
    }
    while let Some(ended) = running.join_next().await {
        if let Err(error) = ended {
            job.stop(Failure::Outcome(format!("a sender broke down: {error}")));
        }
    }
}

impl Job {
    async fn send_some(&self) {
        loop {
            match self.next().await {
                Ok(Some(message)) => {
                    if let Err(failure) = self.send(message).await {
                        return self.stop(failure);
                    }
                }
                Ok(None) => return,
                Err(failure) => return self.stop(failure),
            }
        }
    }

    async fn send(&self, message: Message) -> Result<(), Failure> {
        let (bytes, begun) = (message.body.len() as u64, Instant::now());
        if self.oneway {
            self.producer.send_oneway(message).await?;
        } else {
            let receipt = self.producer.send(message).await?;
            let micros = u64::try_from(begun.elapsed().as_micros()).unwrap_or(u64::MAX);
            self.tally().latency_us.saturating_record(micros);
            if self.receipts {
                show(&receipt, self.output)?;
            }
        }
        let mut tally = self.tally();
        tally.sent += 1;
        tally.bytes += bytes;
        drop(tally);
        self.bar.inc(1);
        Ok(())
    }

    /// The next message, when its time has come.
    async fn next(&self) -> Result<Option<Message>, Failure> {
        let (number, body) = match &self.bodies {
            Bodies::Count(body, count) => {
                let number = self.begun.fetch_add(1, Ordering::Relaxed);
                (number, (number < *count).then(|| body.clone()))
            }
            Bodies::Lines(lines) => {
                let mut lines = lines.lock().await;
                // Counted under the lock, so that a stop is seen before another line is taken.
                let number = self.begun.fetch_add(1, Ordering::Relaxed);
                let body = if number < STOPPED { lines.next().await? } else { None };
                (number, body)
            }
        };
        let Some(body) = body else { return Ok(None) };
        if let Some(rate) = self.pace {
            let due = Duration::try_from_secs_f64(number as f64 / rate).unwrap_or(Duration::MAX);
            if let Some(due) = self.started.checked_add(due) {
                sleep_until(due.into()).await;
            }
        }
        let mut message = self.template.clone();
        message.body = body;
        Ok(Some(message))
    }

    /// Keeps the other senders from beginning more.
    fn stop(&self, failure: Failure) {
        self.begun.store(STOPPED, Ordering::Relaxed);
        self.tally().failure.get_or_insert(failure);
    }

    fn tally(&self) -> MutexGuard<'_, Tally> {
        self.tally.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Lines {
    /// The next line that is not empty: RocketMQ has no messages without a body.
    async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let mut line = Vec::new();
            let read = self.reader.read_until(b'\n', &mut line).await;
            if read.map_err(|error| Failure::io(format!("can't read {}", self.path.display()), error))? == 0 {
                return Ok(None);
            }
            while let Some(b'\n' | b'\r') = line.last() {
                line.pop();
            }
            if !line.is_empty() {
                return Ok(Some(line.into()));
            }
        }
    }
}

impl Tally {
    fn new() -> Self {
        let latency_us = Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("bounds that are allowed");
        Self { sent: 0, bytes: 0, latency_us, failure: None }
    }
}

fn show(receipt: &SendReceipt, output: Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.object(&receipt_object(receipt));
    }
    let status = match receipt.status {
        rmq::SendStatus::SendOk => String::new(),
        other => format!(" ({other:?})"),
    };
    output.line(&format!("{receipt} id {}{status}", receipt.message_id))
}

fn receipt_object(receipt: &SendReceipt) -> Value {
    json!({
        "topic": &*receipt.queue.topic,
        "broker": &*receipt.queue.broker_name,
        "queue": receipt.queue.queue_id,
        "offset": receipt.queue_offset,
        "id": receipt.message_id.to_string(),
        "offset_id": &*receipt.offset_message_id,
        "status": format!("{:?}", receipt.status),
    })
}

fn summary(
    tally: &Tally,
    elapsed: Duration,
    topic: &str,
    oneway: bool,
    output: Output,
) -> Result<(), Failure> {
    let seconds = elapsed.as_secs_f64().max(1e-9);
    let (rate, mib) = (tally.sent as f64 / seconds, tally.bytes as f64 / seconds / f64::from(1 << 20));
    let milliseconds = |quantile| tally.latency_us.value_at_quantile(quantile) as f64 / 1_000.0;
    let (p50, p99) = (milliseconds(0.5), milliseconds(0.99));
    if output.is_json() {
        let mut object = json!({
            "topic": topic, "sent": tally.sent, "seconds": seconds, "messages_per_second": rate,
        });
        if !oneway {
            object["p50_ms"] = p50.into();
            object["p99_ms"] = p99.into();
        }
        return output.object(&object);
    }
    let latency = match oneway {
        true => "one-way, so nobody says that they are stored".to_owned(),
        false => format!("p50 {p50:.2} ms, p99 {p99:.2} ms"),
    };
    let sent = tally.sent;
    output.line(&format!(
        "{sent} messages to {topic} in {seconds:.2} s: {rate:.0} msg/s, {mib:.2} MiB/s, {latency}"
    ))
}
