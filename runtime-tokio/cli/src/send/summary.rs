//! What became of the messages.

use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rmq::{SendReceipt, SendStatus};
use rocketmq_client_tokio as rmq;
use serde_json::{Value, json};

use super::Sent;
use crate::error::CliError;
use crate::output;

/// Latencies above this count as this: two minutes.
const LATENCY_US_MAX: u64 = 120_000_000;

#[derive(Debug)]
pub(super) struct Summary {
    shows_receipts: bool,
    json: bool,
    begun: Instant,
    elapsed: Duration,
    attempted: u64,
    sent: u64,
    /// Of those sent, how many are stored less safely than the broker is configured for.
    unsafe_count: u64,
    unconfirmed: u64,
    failure: Option<(u64, rmq::Error)>,
    interrupted: bool,
    receipts: Vec<Value>,
    latency_us: Histogram<u64>,
}

impl Summary {
    pub(super) fn new(shows_receipts: bool, json: bool) -> Self {
        Self {
            shows_receipts,
            json,
            begun: Instant::now(),
            elapsed: Duration::ZERO,
            attempted: 0,
            sent: 0,
            unsafe_count: 0,
            unconfirmed: 0,
            failure: None,
            interrupted: false,
            receipts: Vec::new(),
            latency_us: Histogram::new_with_bounds(1, LATENCY_US_MAX, 3).expect("the bounds are in order"),
        }
    }

    /// So many messages are sent now; the number of the first, counted from 1.
    pub(super) fn began(&mut self, count: u64) -> u64 {
        self.attempted += count;
        self.attempted - count + 1
    }

    pub(super) fn has_failed(&self) -> bool {
        self.failure.is_some()
    }

    /// Whether nothing was ever begun.
    pub(super) fn had_nothing(&self) -> bool {
        self.attempted == 0
    }

    pub(super) fn interrupted(&mut self) {
        self.interrupted = true;
    }

    /// A send ended. Returns the line to print now.
    pub(super) fn record(&mut self, sent: Sent) -> Option<String> {
        let receipt = match sent.outcome {
            Ok(receipt) => receipt,
            Err(error) => {
                self.unconfirmed += 1;
                // Sends end in any order; the first of the source is the one to look at.
                if self.failure.as_ref().is_none_or(|(number, _)| sent.number < *number) {
                    self.failure = Some((sent.number, error));
                }
                return None;
            }
        };
        self.sent += 1;
        self.latency_us.saturating_record(u64::try_from(sent.latency.as_micros()).unwrap_or(u64::MAX));
        let receipt = receipt?;
        self.unsafe_count += u64::from(receipt.status != SendStatus::SendOk);
        if !self.shows_receipts {
            return None;
        }
        if self.json {
            self.receipts.push(as_json(&receipt));
            return None;
        }
        let note = if receipt.status == SendStatus::SendOk { "" } else { note(receipt.status) };
        Some(format!("{receipt} id {}{note}", receipt.message_id))
    }

    pub(super) fn ended(&mut self) {
        self.elapsed = self.begun.elapsed();
    }

    /// Prints what was not printed yet, and says whether everything went well.
    pub(super) fn finish(
        mut self,
        total: Option<u64>,
        oneway: bool,
        blank_lines: u64,
    ) -> Result<(), CliError> {
        let single = total == Some(1);
        if self.json {
            let mut object = self.json();
            if total.is_none() {
                object["blank_lines"] = blank_lines.into();
            }
            output::json(&object)?;
        } else if self.sent > 0 && !(single && self.shows_receipts) {
            output::line(&self.line(oneway))?;
        }
        if blank_lines > 0 && !self.json {
            let count = output::grouped(blank_lines);
            output::note(&format!("blank lines that were left out, since a message has a body: {count}"));
        }
        if let Some((number, error)) = self.failure.take() {
            if single {
                return Err(error.into());
            }
            let (count, attempted) = (self.unconfirmed, self.attempted);
            let told = format!(
                "{count} of {attempted} messages not confirmed; the first, message {number}: {error}"
            );
            return Err(CliError::Failed(told));
        }
        if self.interrupted {
            let told = format!("interrupted; the {} messages that were begun are sent", self.sent);
            return Err(CliError::Failed(told));
        }
        Ok(())
    }

    fn line(&self, oneway: bool) -> String {
        let what = if oneway { "handed to the network" } else { "stored" };
        let mut line = format!(
            "{} {what} in {:.2} s, {} a second, p50 {:.2} ms, p99 {:.2} ms",
            output::grouped(self.sent),
            self.elapsed.as_secs_f64(),
            output::grouped(self.per_second()),
            self.percentile_ms(50.0),
            self.percentile_ms(99.0),
        );
        if self.unsafe_count > 0 {
            line += &format!("; {} not yet flushed or replicated", output::grouped(self.unsafe_count));
        }
        line
    }

    fn json(&mut self) -> Value {
        let mut object = json!({
            "sent": self.sent,
            "unconfirmed": self.unconfirmed,
            "not_flushed_or_replicated": self.unsafe_count,
            "interrupted": self.interrupted,
            "elapsed_ms": output::ms(self.elapsed),
            "messages_per_second": self.per_second(),
            "p50_ms": self.percentile_ms(50.0),
            "p99_ms": self.percentile_ms(99.0),
        });
        if let Some((_, error)) = &self.failure {
            object["error"] = error.to_string().into();
        }
        if self.shows_receipts {
            object["receipts"] = std::mem::take(&mut self.receipts).into();
        }
        object
    }

    fn percentile_ms(&self, percentile: f64) -> f64 {
        output::ms(Duration::from_micros(self.latency_us.value_at_percentile(percentile)))
    }

    /// Messages a second, rounded.
    fn per_second(&self) -> u64 {
        let micros = self.elapsed.as_micros().max(1);
        u64::try_from(u128::from(self.sent) * 1_000_000 / micros).unwrap_or(u64::MAX)
    }
}

fn as_json(receipt: &SendReceipt) -> Value {
    json!({
        "topic": &*receipt.queue.topic,
        "broker": &*receipt.queue.broker_name,
        "queue": receipt.queue.queue_id,
        "offset": receipt.queue_offset,
        "id": receipt.message_id.to_string(),
        "offset_id": &*receipt.offset_message_id,
        "status": status(receipt.status),
    })
}

/// RocketMQ's names.
fn status(status: SendStatus) -> &'static str {
    match status {
        SendStatus::SendOk => "SEND_OK",
        SendStatus::FlushDiskTimeout => "FLUSH_DISK_TIMEOUT",
        SendStatus::FlushSlaveTimeout => "FLUSH_SLAVE_TIMEOUT",
        SendStatus::SlaveNotAvailable => "SLAVE_NOT_AVAILABLE",
        _ => "UNKNOWN",
    }
}

fn note(status: SendStatus) -> &'static str {
    match status {
        SendStatus::FlushDiskTimeout => " (stored, not yet on disk)",
        SendStatus::FlushSlaveTimeout => " (stored, not yet on a slave)",
        SendStatus::SlaveNotAvailable => " (stored, no slave to copy it)",
        _ => "",
    }
}
