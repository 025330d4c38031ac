//! `rmq consume --group`: the messages of a topic on standard output, as a member of a group.
//!
//! A message is acknowledged once it has been written. When the reader goes away, what it did not get
//! comes again.

use std::future::poll_fn;
use std::io::{self, IsTerminal};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::Poll;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rmq::{Ack, CloseReport, ConsumeFrom, Delivered, MessageStream};
use rocketmq_client_tokio as rmq;
use tokio::task::JoinSet;

use crate::args::{ConsumeArgs, From};
use crate::error::CliError;
use crate::format::Shown;
use crate::printer::Printer;
use crate::{admin, output, stop};

/// Messages that are written at a time, if that many are there.
const BATCH_MAX: usize = 256;
/// For the commits of the last messages.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(10);

/// Prints messages until there are enough, the time is over, or the user stops it.
pub(crate) async fn run(args: ConsumeArgs) -> Result<(), CliError> {
    let group = args.group.as_deref().unwrap_or_default();
    let client = admin::client(&args.cluster.name_servers(), &args.topic).await?;
    let starting = client
        .push_consumer(group)
        .subscribe(args.topic.as_str(), args.filter.as_str())
        .consume_from(consume_from(args.from.unwrap_or(From::At(ConsumeFrom::LastOffset))))
        .stream();
    let mut stop = pin!(stop::asked());
    let stream = tokio::select! {
        stream = starting => stream?,
        asked = &mut stop => return Ok(asked?),
    };
    if io::stderr().is_terminal() {
        output::note(&format!("consuming {} as group {group}; Ctrl-C ends", args.topic));
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

/// The start with its time, if it has one, counted from now.
pub(crate) fn consume_from(from: From) -> ConsumeFrom {
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
pub(crate) async fn timeout(limit: Option<Duration>) {
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
        tokio::task::block_in_place(|| {
            printer
                .print(batch.iter().map(|message| Shown::from(&**message)), " and goes to the dead letters")
        })?;
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

/// Reports on standard error; standard output is for messages.
fn finish(args: &ConsumeArgs, printer: &Printer, report: &CloseReport, late: bool) -> Result<(), CliError> {
    if !args.json {
        let mut told = printer.summary();
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
    printer.check_count(args, late, ", and whether other members of the group take them")
}
