//! `rmq consume`: prints messages, and commits what it has printed.

use std::future::pending;
use std::str::FromStr;
use std::time::Duration;

use rmq::{ConsumeFrom, Delivered, MessageStream, ReceivedMessage};
use rocketmq_client_tokio as rmq;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::args::ConsumeArgs;
use crate::error::Failure;
use crate::output::Output;

/// Where a new group starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Start(ConsumeFrom);

impl FromStr for Start {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Ok(Self(match text {
            "first" => ConsumeFrom::FirstOffset,
            "last" => ConsumeFrom::LastOffset,
            number => match number.parse() {
                Ok(time_ms) if time_ms >= 0 => ConsumeFrom::Timestamp(time_ms),
                _ => return Err("write first, last, or a time in milliseconds since 1970".to_owned()),
            },
        }))
    }
}

/// Why printing ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// As many as were asked for.
    Enough,
    /// Nothing came for too long.
    Timeout,
    /// Ctrl-C.
    Interrupted,
    /// The client ended by itself.
    Closed,
}

pub(crate) async fn run(args: ConsumeArgs, output: &Output) -> Result<(), Failure> {
    let client = rmq::Client::connect(&args.cluster.namesrv).await?;
    let mut stream = client
        .push_consumer(&*args.group)
        .subscribe(&*args.topic, &*args.filter)
        .consume_from(args.from.0)
        .stream()
        .await?;
    let mut printed = 0;
    let ended = print_all(&mut stream, &args, *output, &mut printed).await;
    let report = stream.close().await;
    let closed = client.close().await;
    let end = ended?;
    let report = report?;
    if output.is_json() {
        output.object(&json!({
            "messages": printed,
            "queues_committed": report.queues_committed,
            "queues_uncommitted": report.queues_uncommitted,
            "handed_back": report.handed_back,
        }))?;
    }
    let uncommitted = match report.queues_uncommitted {
        0 => String::new(),
        queues => format!("; {queues} could not be committed, their last messages come again"),
    };
    output
        .aside(&format!("{printed} messages, committed on {} queues{uncommitted}", report.queues_committed));
    match (end, args.count) {
        (End::Timeout, Some(count)) => {
            Err(Failure::Outcome(format!("{printed} of {count} messages came before the timeout")))
        }
        (End::Closed, _) => Err(Failure::Outcome("the client ended by itself; its log says why".to_owned())),
        _ => Ok(closed?),
    }
}

async fn print_all(
    stream: &mut MessageStream,
    args: &ConsumeArgs,
    output: Output,
    printed: &mut u64,
) -> Result<End, Failure> {
    let interrupted = tokio::signal::ctrl_c();
    tokio::pin!(interrupted);
    while args.count.is_none_or(|count| *printed < count) {
        let message: Delivered = tokio::select! {
            message = stream.next() => match message {
                Some(message) => message,
                None => return Ok(End::Closed),
            },
            () = silence(args.timeout) => return Ok(End::Timeout),
            _ = &mut interrupted => return Ok(End::Interrupted),
        };
        // Not printed is not acknowledged: it comes again.
        print(&message, args, output)?;
        message.ack();
        *printed += 1;
    }
    Ok(End::Enough)
}

async fn silence(seconds: Option<f64>) {
    match seconds {
        Some(seconds) => sleep(Duration::from_secs_f64(seconds)).await,
        None => pending().await,
    }
}

fn print(message: &ReceivedMessage, args: &ConsumeArgs, output: Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.object(&object(message));
    }
    match &args.format {
        Some(format) => output.text(&format.print(message)),
        None => output.line(&message.to_string()),
    }
}

fn object(message: &ReceivedMessage) -> Value {
    let queue = message.queue();
    let mut object = json!({
        "topic": &**message.topic(),
        "broker": &*queue.broker_name,
        "queue": queue.queue_id,
        "offset": message.queue_offset(),
        "id": message.message_id(),
        "tag": message.tags(),
        "keys": message.keys().collect::<Vec<_>>(),
        "reconsume_times": message.reconsume_times(),
        "stored_ms": message.store_timestamp().map(|time| time.as_millis()),
    });
    match message.body() {
        Ok(body) => object["body"] = String::from_utf8_lossy(body).into(),
        Err(error) => object["error"] = error.to_string().into(),
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_starts_at_an_end_or_at_a_time() {
        assert_eq!("first".parse(), Ok(Start(ConsumeFrom::FirstOffset)));
        assert_eq!("last".parse(), Ok(Start(ConsumeFrom::LastOffset)));
        assert_eq!("1700000000000".parse(), Ok(Start(ConsumeFrom::Timestamp(1_700_000_000_000))));
        for wrong in ["", "-1", "now", "yesterday"] {
            assert!(wrong.parse::<Start>().is_err(), "{wrong:?}");
        }
    }
}
