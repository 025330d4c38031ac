//! `rmq send`: messages from the command line or a file, many of them in flight at a time.

mod source;
mod summary;

use std::io;
use std::pin::pin;
use std::time::Duration;

use rmq::{Client, Message, Producer, SendReceipt};
use rocketmq_client_tokio as rmq;
use tokio::task::{JoinError, JoinSet};
use tokio::time::Instant;

use self::source::Source;
use self::summary::Summary;
use crate::args::SendArgs;
use crate::error::CliError;
use crate::progress::{self, Bar};
use crate::{output, stop};

/// Receipts are shown without being asked for up to this many messages.
const RECEIPTS_SHOWN: u64 = 10;
/// Everything has its answer when the client is closed, so this takes no time with a healthy broker.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// Sends what the arguments say and prints receipts, a summary or both.
///
/// After a failure nothing more is sent; what is under way is waited for.
pub(crate) async fn run(args: SendArgs) -> Result<(), CliError> {
    let mut source = Source::open(&args)?;
    let client = Client::connect(&args.cluster.namesrv).await?;
    let producer = client.producer(args.group.as_str()).build()?;
    let shows_receipts = args.receipts || !args.oneway && source.total().is_some_and(|n| n <= RECEIPTS_SHOWN);
    let summary = Summary::new(shows_receipts, args.json);
    let bar = progress::bar(source.total(), "sending", args.json || shows_receipts);
    let run = Run { producer, args: &args, bar, sends: JoinSet::new(), summary };
    let summary = run.until_end(&mut source).await?;
    client.close_within(CLOSE_TIMEOUT).await?;
    summary.finish(source.total(), args.oneway)
}

/// A send that ended.
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
    sends: JoinSet<Sent>,
    summary: Summary,
}

impl Run<'_> {
    async fn until_end(mut self, source: &mut Source) -> Result<Summary, CliError> {
        let mut stop = pin!(stop::asked());
        let mut pace = Pace::new(self.args.rate);
        while !self.summary.has_failed() {
            tokio::select! {
                biased;
                Some(sent) = self.sends.join_next() => self.record(sent)?,
                asked = &mut stop => {
                    asked?;
                    stop::hurry_on_second();
                    self.summary.interrupted();
                    break;
                }
                message = pace.next(source), if self.sends.len() < self.args.in_flight => match message {
                    Some(message) => self.send(message?),
                    None => break,
                },
            }
        }
        while let Some(sent) = self.sends.join_next().await {
            self.record(sent)?;
        }
        self.summary.ended();
        Ok(self.summary)
    }

    /// The send begins here, in the order of the source; the task only waits for its end.
    fn send(&mut self, message: Message) {
        let number = self.summary.began();
        let begun = Instant::now();
        if self.args.oneway {
            let operation = self.producer.send_oneway(message);
            self.sends.spawn(async move {
                let outcome = operation.await.map(|()| None);
                Sent { number, latency: begun.elapsed(), outcome }
            });
        } else {
            let operation = self.producer.send(message);
            self.sends.spawn(async move {
                let outcome = operation.await.map(Some);
                Sent { number, latency: begun.elapsed(), outcome }
            });
        }
    }

    fn record(&mut self, sent: Result<Sent, JoinError>) -> Result<(), CliError> {
        // A task that only awaits can't end otherwise than well.
        let sent = sent.map_err(io::Error::other)?;
        self.bar.add(1);
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
