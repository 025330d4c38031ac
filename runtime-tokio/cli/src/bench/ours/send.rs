//! Callers that send.

use std::collections::VecDeque;
use std::sync::Arc;
use std::thread;
use std::time::Instant;

use bytes::Bytes;
use rmq::core::driver::FromOutcome;
use rmq::{BatchReceipt, Message, Operation, Producer, SendReceipt};
use rocketmq_client_tokio as rmq;

use super::connected::Connected;
use crate::bench::args::{Mode, SendArgs};
use crate::bench::block::{Outcome, Spec};
use crate::bench::meter::Meter;
use crate::bench::pace::Pace;
use crate::bench::samples::{Samples, percentiles};
use crate::error::CliError;
use crate::output;

/// Sends before anything is counted: routes, connections and tables are there then.
const WARM_UP_MAX: u64 = 20_000;

pub(super) fn run(args: &SendArgs, spec: &Spec) -> Result<Outcome, CliError> {
    let connected = Connected::connect(&args.common, spec)?;
    let producer = connected.client().producer(&*spec.group).build()?;
    let body = Bytes::from(vec![b'm'; args.size as usize]);
    let work = Work { producer, topic: spec.topic.as_str().into(), body, batch: args.batch() };
    let warm_up = (args.count() / 10).clamp(1, WARM_UP_MAX).next_multiple_of(args.batch().into());
    run_callers(&connected, args, &work, warm_up, None)?;
    let meter = Meter::start();
    let callers = run_callers(&connected, args, &work, args.count(), args.rate)?;
    if args.mode == Mode::Oneway {
        // Behind all others on the connection: once it is answered, the broker has read them.
        connected.block_on(send(&work))?;
    }
    let spent = meter.stop();
    let failed = callers.iter().map(|caller| caller.failed).sum();
    if let Some(error) = callers.iter().find_map(|caller| caller.error.as_ref()) {
        output::note(&format!("{failed} sends failed, one of them: {error}"));
    }
    let (p50_ns, p99_ns) = percentiles(callers.iter().map(|caller| &caller.samples));
    let done = callers.iter().map(|caller| caller.done).sum();
    connected.close()?;
    Ok(Outcome { done, warm_up, failed, spent, p50_ns, p99_ns, syscalls: None, broker_cpu: None })
}

/// What all callers send.
#[derive(Clone)]
struct Work {
    producer: Producer,
    topic: Arc<str>,
    body: Bytes,
    /// Messages of one request.
    batch: u16,
}

impl Work {
    fn message(&self) -> Message {
        Message::new(self.topic.clone(), self.body.clone())
    }
}

fn send(work: &Work) -> Operation<SendReceipt> {
    work.producer.send(work.message())
}

fn send_oneway(work: &Work) -> Operation<()> {
    work.producer.send_oneway(work.message())
}

fn send_batch(work: &Work) -> Operation<BatchReceipt> {
    work.producer.send_batch((0..work.batch).map(|_| work.message()))
}

/// One caller: keeps its window full and takes the results in the order of its sends.
struct Caller {
    work: Work,
    /// Requests to send.
    count: u64,
    /// Requests under way.
    window: usize,
    pace: Pace,
    samples: Samples,
    done: u64,
    failed: u64,
    error: Option<rmq::Error>,
}

type Window<T> = VecDeque<(Option<Instant>, Operation<T>)>;

fn run_callers(
    connected: &Connected,
    args: &SendArgs,
    work: &Work,
    count: u64,
    rate: Option<f64>,
) -> Result<Vec<Caller>, CliError> {
    let requests = count.div_ceil(work.batch.into());
    let callers = args.callers.min(u16::try_from(requests).unwrap_or(u16::MAX));
    let pace = Pace::new(rate.map(|rate| rate / f64::from(work.batch)), callers);
    let share = |index: u64| requests / u64::from(callers) + u64::from(index < requests % u64::from(callers));
    let window = (args.requests() / usize::from(callers)).max(1);
    let all = (0..callers).map(|index| Caller::new(work.clone(), share(index.into()), window, pace));
    match (connected, args.mode) {
        (Connected::Blocking(_), Mode::Oneway) => on_threads(all, send_oneway),
        (Connected::Blocking(_), Mode::Batch) => on_threads(all, send_batch),
        (Connected::Blocking(_), Mode::Sync | Mode::Async) => on_threads(all, send),
        (_, Mode::Oneway) => on_tasks(connected, all, send_oneway),
        (_, Mode::Batch) => on_tasks(connected, all, send_batch),
        (_, Mode::Sync | Mode::Async) => on_tasks(connected, all, send),
    }
}

type SendOne<T> = fn(&Work) -> Operation<T>;

fn on_tasks<T: FromOutcome + Send + 'static>(
    connected: &Connected,
    callers: impl Iterator<Item = Caller>,
    send: SendOne<T>,
) -> Result<Vec<Caller>, CliError> {
    let tasks: Vec<_> = callers.map(|caller| connected.spawn(caller.run(send))).collect();
    connected.block_on(async {
        let mut ended = Vec::with_capacity(tasks.len());
        for task in tasks {
            ended.push(task.await.map_err(|_| broke_down())?);
        }
        Ok(ended)
    })
}

fn on_threads<T: FromOutcome + 'static>(
    callers: impl Iterator<Item = Caller>,
    send: SendOne<T>,
) -> Result<Vec<Caller>, CliError> {
    let threads: Vec<_> = callers.map(|caller| thread::spawn(move || caller.run_blocking(send))).collect();
    threads.into_iter().map(|thread| thread.join().map_err(|_| broke_down())).collect()
}

/// By the clock of the runtime whose task this is.
async fn sleep_until(due: Instant) {
    #[cfg(feature = "async-std")]
    if tokio::runtime::Handle::try_current().is_err() {
        return async_std::task::sleep(due.saturating_duration_since(Instant::now())).await;
    }
    tokio::time::sleep_until(due.into()).await;
}

fn broke_down() -> CliError {
    CliError::Failed("a caller broke down".to_owned())
}

impl Caller {
    fn new(work: Work, count: u64, window: usize, pace: Pace) -> Self {
        let samples = Samples::new(count, window);
        Self { work, count, window, pace, samples, done: 0, failed: 0, error: None }
    }

    async fn run<T: FromOutcome>(mut self, send: SendOne<T>) -> Self {
        let mut window = Window::with_capacity(self.window);
        for number in 0..self.count {
            if window.len() == self.window
                && let Some((begun, operation)) = window.pop_front()
            {
                self.take(begun, operation.await);
            }
            if let Some(due) = self.pace.wait(number) {
                sleep_until(due).await;
            }
            window.push_back((self.samples.begin(number), send(&self.work)));
        }
        for (begun, operation) in window {
            self.take(begun, operation.await);
        }
        self
    }

    fn run_blocking<T: FromOutcome>(mut self, send: SendOne<T>) -> Self {
        let mut window = Window::with_capacity(self.window);
        for number in 0..self.count {
            if window.len() == self.window
                && let Some((begun, operation)) = window.pop_front()
            {
                self.take(begun, operation.wait());
            }
            if let Some(due) = self.pace.wait(number) {
                thread::sleep(due.saturating_duration_since(Instant::now()));
            }
            window.push_back((self.samples.begin(number), send(&self.work)));
        }
        for (begun, operation) in window {
            self.take(begun, operation.wait());
        }
        self
    }

    fn take<T>(&mut self, begun: Option<Instant>, outcome: rmq::Result<T>) {
        if let Some(begun) = begun {
            self.samples.push(begun.elapsed());
        }
        match outcome {
            Ok(_) => self.done += u64::from(self.work.batch),
            Err(error) => {
                self.failed += u64::from(self.work.batch);
                self.error = Some(error);
            }
        }
    }
}
