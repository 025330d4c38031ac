//! `rmq send`: messages from the command line or a file, many of them in flight at a time.

mod source;
mod summary;

use std::io;
use std::pin::pin;
use std::time::Duration;

use rmq::core::driver::FromOutcome;
use rmq::{BatchReceipt, Message, Operation, Producer, SendReceipt};
use rocketmq_client_tokio as rmq;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use self::source::Source;
use self::summary::Summary;
use crate::args::SendArgs;
use crate::error::CliError;
use crate::progress::{self, Bar};
use crate::{admin, output, stop};

/// Receipts are shown without being asked for up to this many messages.
const RECEIPTS_SHOWN: u64 = 10;
/// Everything has its answer when the client is closed, so this takes no time with a healthy broker.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends what the arguments say and prints receipts, a summary or both.
///
/// After a failure nothing more is sent; what is under way is waited for.
pub(crate) async fn run(args: SendArgs) -> Result<(), CliError> {
    let mut source = Source::open(&args)?;
    let client = admin::client(&args.cluster.name_servers(), &args.topic).await?;
    let producer = client.producer(args.group.as_str()).build()?;
    let shows_receipts = args.receipts || !args.oneway && source.total().is_some_and(|n| n <= RECEIPTS_SHOWN);
    let summary = Summary::new(shows_receipts, args.json);
    let bar = progress::bar(source.total(), "sending", args.json || shows_receipts);
    let run = Run { producer, args: &args, bar, sends: JoinSet::new(), batch: Vec::new(), summary };
    let summary = run.until_end(&mut source).await?;
    client.close_within(CLOSE_TIMEOUT).await?;
    let had_nothing = summary.had_nothing();
    summary.finish(source.total(), args.oneway, source.blank_lines())?;
    if had_nothing { Err(source.had_nothing()) } else { Ok(()) }
}

/// A request that ended.
struct Ended {
    /// The place of its first message, counted from 1.
    first: u64,
    count: u64,
    latency: Duration,
    outcome: rmq::Result<Told>,
}

/// What a broker said of a request's messages.
enum Told {
    Nothing,
    One(SendReceipt),
    Batch(BatchReceipt),
}

/// A message whose send ended.
struct Sent {
    /// Its place among the messages, counted from 1.
    number: u64,
    latency: Duration,
    /// `None` is a message without receipt, sent one-way.
    outcome: rmq::Result<Option<SendReceipt>>,
}

struct Run<'a> {
    producer: Producer,
    args: &'a SendArgs,
    bar: Bar,
    sends: JoinSet<Ended>,
    /// Messages that wait for the others of their batch.
    batch: Vec<Message>,
    summary: Summary,
}

impl Run<'_> {
    async fn until_end(mut self, source: &mut Source) -> Result<Summary, CliError> {
        let mut stop = pin!(stop::asked());
        let mut pace = Pace::new(self.args.rate);
        while !self.summary.has_failed() {
            tokio::select! {
                biased;
                Some(ended) = self.sends.join_next() => self.record(ended)?,
                asked = &mut stop => {
                    asked?;
                    stop::hurry_on_second();
                    self.summary.interrupted();
                    break;
                }
                message = pace.next(source), if self.has_room() => match message {
                    Some(message) if self.args.batch > 1 => self.add(message?),
                    Some(message) => self.send(message?),
                    None => {
                        self.send_batch();
                        break;
                    }
                },
            }
        }
        while let Some(ended) = self.sends.join_next().await {
            self.record(ended)?;
        }
        self.summary.ended();
        Ok(self.summary)
    }

    fn has_room(&self) -> bool {
        self.sends.len() * usize::from(self.args.batch) < self.args.in_flight
    }

    /// The send begins here, in the order of the source; the task only waits for its end.
    fn send(&mut self, message: Message) {
        if self.args.oneway {
            let operation = self.producer.send_oneway(message);
            self.wait_for(1, operation, |()| Told::Nothing);
        } else {
            let operation = self.producer.send(message);
            self.wait_for(1, operation, Told::One);
        }
    }

    fn add(&mut self, message: Message) {
        self.batch.push(message);
        if self.batch.len() >= self.args.batch.into() {
            self.send_batch();
        }
    }

    /// As [`send`](Self::send), in as many batches as the limit of a request makes of it.
    fn send_batch(&mut self) {
        let messages = std::mem::take(&mut self.batch);
        let producer = self.producer.clone();
        for batch in producer.batches(&messages) {
            self.wait_for(batch.len() as u64, producer.send_batch(batch), Told::Batch);
        }
    }

    fn wait_for<T: FromOutcome + Send + 'static>(
        &mut self,
        count: u64,
        operation: Operation<T>,
        told: fn(T) -> Told,
    ) {
        let (first, begun) = (self.summary.began(count), Instant::now());
        self.sends.spawn(async move {
            let outcome = operation.await.map(told);
            Ended { first, count, latency: begun.elapsed(), outcome }
        });
    }

    fn record(&mut self, ended: Result<Ended, JoinError>) -> Result<(), CliError> {
        // A task that only awaits can't end otherwise than well.
        let Ended { first, count, latency, outcome } = ended.map_err(io::Error::other)?;
        self.bar.add(count);
        match outcome {
            Ok(Told::Nothing) => self.record_one(Sent { number: first, latency, outcome: Ok(None) }),
            Ok(Told::One(receipt)) => {
                self.record_one(Sent { number: first, latency, outcome: Ok(Some(receipt)) })
            }
            Ok(Told::Batch(receipt)) => (first..).zip(&receipt).try_for_each(|(number, receipt)| {
                self.record_one(Sent { number, latency, outcome: Ok(Some(receipt)) })
            }),
            Err(error) => (first..first + count).try_for_each(|number| {
                self.record_one(Sent { number, latency, outcome: Err(error.clone()) })
            }),
        }
    }

    fn record_one(&mut self, sent: Sent) -> Result<(), CliError> {
        if let Some(line) = self.summary.record(sent) {
            self.bar.suspend(|| output::line(&line))?;
        }
        Ok(())
    }
}

/// Keeps to a number of messages a second. After a stall it catches up.
struct Pace {
    interval: Option<Duration>,
    next: Instant,
}

impl Pace {
    fn new(rate: Option<f64>) -> Self {
        Self { interval: rate.map(|rate| Duration::from_secs_f64(1.0 / rate)), next: Instant::now() }
    }

    /// The next message when it is its turn. Cancel safe.
    async fn next(&mut self, source: &mut Source) -> Option<Result<Message, CliError>> {
        if self.interval.is_some() {
            tokio::time::sleep_until(self.next).await;
        }
        let message = source.next().await;
        if let Some(interval) = self.interval {
            self.next += interval;
        }
        message
    }
}
