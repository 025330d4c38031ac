//! `rmq consume`: the messages of a topic on standard output.
//!
//! A message is acknowledged once it has been written. When the reader goes away, what it did not get
//! comes again.

use std::future::poll_fn;
use std::io::{self, IsTerminal, Write};
use std::pin::{Pin, pin};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rmq::{Ack, Client, CloseReport, ConsumeFrom, Delivered, MessageStream};
use rocketmq_client_tokio as rmq;
use tokio::task::JoinSet;

use crate::args::{ConsumeArgs, From};
use crate::error::CliError;
use crate::format::{self, Format};
use crate::{output, stop};

/// Messages that are written at a time, if that many are there.
const BATCH_MAX: usize = 256;
/// For the commits of the last messages.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Prints messages until there are enough, the time is over, or the user stops it.
pub(crate) async fn run(args: ConsumeArgs) -> Result<(), CliError> {
    let client = Client::connect(&args.cluster.namesrv).await?;
    let starting = client
        .push_consumer(args.group.as_str())
        .subscribe(args.topic.as_str(), args.filter.as_str())
        .consume_from(consume_from(args.from))
        .stream();
    let mut stop = pin!(stop::asked());
    let stream = tokio::select! {
        stream = starting => stream?,
        asked = &mut stop => return Ok(asked?),
    };
    if io::stderr().is_terminal() {
        output::note(&format!("consuming {} as group {}; Ctrl-C ends", args.topic, args.group));
    }
    let printer = Arc::new(Printer::new(&args));
    let mut workers: JoinSet<io::Result<()>> = JoinSet::new();
    for _ in 0..args.workers {
        workers.spawn(work(stream.clone(), printer.clone()));
    }
    let (ended, late) = tokio::select! {
        ended = join(&mut workers) => (ended, false),
        asked = &mut stop => {
            stop::hurry_on_second();
            (asked, false)
        }
        () = timeout(args.timeout) => (Ok(()), true),
    };
    let closing = stream.close_within(CLOSE_TIMEOUT);
    let ended = ended.and(join(&mut workers).await);
    let report = closing.await?;
    client.close_within(CLOSE_TIMEOUT).await?;
    ended?;
    finish(&args, &printer, &report, late)
}

fn consume_from(from: From) -> ConsumeFrom {
    match from {
        From::At(from) => from,
        From::Ago(ago) => {
            let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            let then = now.saturating_sub(ago).as_millis();
            ConsumeFrom::Timestamp(i64::try_from(then).unwrap_or(i64::MAX))
        }
    }
}

/// Never ends when there is no limit.
async fn timeout(limit: Option<Duration>) {
    match limit {
        Some(limit) => tokio::time::sleep(limit).await,
        None => std::future::pending().await,
    }
}

/// Waits for all workers, or for the first that fails.
async fn join(workers: &mut JoinSet<io::Result<()>>) -> io::Result<()> {
    while let Some(ended) = workers.join_next().await {
        ended.map_err(io::Error::other)??;
    }
    Ok(())
}

async fn work(mut stream: MessageStream, printer: Arc<Printer>) -> io::Result<()> {
    let mut batch = Vec::new();
    while printer.claim() {
        let Some(first) = stream.next().await else { return Ok(()) };
        batch.push(first);
        while batch.len() < BATCH_MAX && printer.claim() {
            match at_once(&mut stream).await {
                Some(message) => batch.push(message),
                None => {
                    printer.unclaim();
                    break;
                }
            }
        }
        // A reader that is slow holds this thread, and no other work of the runtime.
        tokio::task::block_in_place(|| printer.print(&batch))?;
        for message in batch.drain(..) {
            let ack = if message.body().is_ok() { Ack::Done } else { Ack::DeadLetter };
            message.settle(ack);
        }
    }
    Ok(())
}

/// The next message if it is there already.
async fn at_once(stream: &mut MessageStream) -> Option<Delivered> {
    let mut next = stream.next();
    poll_fn(|cx| match Pin::new(&mut next).poll(cx) {
        Poll::Ready(message) => Poll::Ready(message),
        Poll::Pending => Poll::Ready(None),
    })
    .await
}

/// Standard output, and how much may still go there.
#[derive(Debug)]
struct Printer {
    /// `None` prints JSON.
    format: Option<Format>,
    /// Whether a terminal reads it, which messages must not command.
    terminal: bool,
    /// Messages that nobody has undertaken to print yet; `None` is no limit.
    unclaimed: Option<AtomicU64>,
    printed: AtomicU64,
    undecodable: AtomicU64,
    buffer: Mutex<Vec<u8>>,
}

impl Printer {
    fn new(args: &ConsumeArgs) -> Self {
        Self {
            format: (!args.json).then(|| args.format.clone()),
            terminal: io::stdout().is_terminal(),
            unclaimed: args.count.map(AtomicU64::new),
            printed: AtomicU64::new(0),
            undecodable: AtomicU64::new(0),
            buffer: Mutex::new(Vec::new()),
        }
    }

    /// Undertakes to print one more. False when that would be too many.
    fn claim(&self) -> bool {
        let Some(unclaimed) = &self.unclaimed else { return true };
        unclaimed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    fn unclaim(&self) {
        if let Some(unclaimed) = &self.unclaimed {
            unclaimed.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn print(&self, batch: &[Delivered]) -> io::Result<()> {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.clear();
        for message in batch {
            if let Err(error) = message.body() {
                self.undecodable.fetch_add(1, Ordering::Relaxed);
                let place = format!("{} offset {}", message.queue(), message.queue_offset());
                output::note(&format!("{place} can't be decoded and goes to the dead letters: {error}"));
            }
            match &self.format {
                Some(format) => format.write(message, self.terminal, &mut buffer)?,
                None => writeln!(buffer, "{}", format::as_json(message))?,
            }
        }
        let mut out = io::stdout().lock();
        out.write_all(&buffer)?;
        out.flush()?;
        self.printed.fetch_add(batch.len() as u64, Ordering::Relaxed);
        Ok(())
    }
}

/// Reports on standard error; standard output is for messages.
fn finish(args: &ConsumeArgs, printer: &Printer, report: &CloseReport, late: bool) -> Result<(), CliError> {
    let printed = printer.printed.load(Ordering::Relaxed);
    let undecodable = printer.undecodable.load(Ordering::Relaxed);
    if !args.json {
        let mut told = format!("{} messages", output::grouped(printed));
        if undecodable > 0 {
            told += &format!(", {undecodable} of them undecodable");
        }
        if report.abandoned > 0 {
            told += &format!(", {} left unanswered, which come again", report.abandoned);
        }
        output::note(&format!("{told}; offsets of {} queues committed", report.queues_committed));
    }
    if report.queues_uncommitted > 0 {
        let count = report.queues_uncommitted;
        return Err(CliError::Failed(format!(
            "the broker did not confirm the offsets of {count} queues; their last messages come again"
        )));
    }
    match (args.count, args.timeout) {
        (Some(count), Some(timeout)) if late && printed < count => Err(CliError::Failed(format!(
            "{printed} of {count} messages came within {} s; check topic, filter and --from, and whether other \
             members of group {} take them",
            timeout.as_secs_f64(),
            args.group,
        ))),
        _ => Ok(()),
    }
}
