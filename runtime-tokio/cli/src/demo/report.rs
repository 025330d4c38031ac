//! What came of it.

use std::sync::Arc;
use std::time::Duration;

use comfy_table::presets::UTF8_FULL_CONDENSED;
use comfy_table::{CellAlignment, ContentArrangement, Table};
use hdrhistogram::Histogram;
use serde_json::json;

use super::UNACKED_MIN;
use super::ledger::Place;
use crate::error::CliError;
use crate::output;

/// How many missing messages are named.
const NAMED_MAX: usize = 5;

pub(super) struct Report {
    pub(super) cluster: String,
    pub(super) topic: Arc<str>,
    pub(super) sent: u64,
    pub(super) stored: u64,
    pub(super) consumed: u64,
    pub(super) missing: Vec<Place>,
    pub(super) duplicates: u64,
    pub(super) unacked: usize,
    pub(super) recovery: Option<Duration>,
    pub(super) latency_us: Histogram<u64>,
    pub(super) elapsed: Duration,
    /// User and system time of this process, without the broker's thread if that is in it.
    pub(super) cpu: Option<Duration>,
    pub(super) is_in_process: bool,
    pub(super) committed: u32,
    pub(super) lose_one: bool,
}

impl Report {
    pub(super) fn show(&self, json: bool) -> Result<(), CliError> {
        Ok(match json {
            true => output::json(&self.object()),
            false => output::line(&self.table().to_string()),
        }?)
    }

    /// Bad when a message is missing, or when the cut was too harmless to prove anything.
    pub(super) fn verdict(&self) -> Result<(), CliError> {
        if let Some((queue, offset)) = self.missing.first() {
            let named = self.missing.iter().take(NAMED_MAX);
            let named: Vec<_> = named.map(|(queue, offset)| format!("{queue}:{offset}")).collect();
            let more = if self.missing.len() > NAMED_MAX { ", …" } else { "" };
            tracing::debug!(queue, offset, "first lost message");
            let on_purpose = if self.lose_one { "; --lose-one dropped one on purpose" } else { "" };
            return Err(CliError::Failed(format!(
                "{} lost of {} in the broker's log (queue:offset {}{more}){on_purpose}",
                self.missing.len(),
                self.stored,
                named.join(", "),
            )));
        }
        if self.lose_one {
            return Err(CliError::Failed("--lose-one dropped a message, and nobody noticed".to_owned()));
        }
        if self.unacked < UNACKED_MIN {
            return Err(CliError::Failed(format!(
                "only {} deliveries were un-acknowledged at the cut, which proves little; {UNACKED_MIN} are asked for (send more: --messages)",
                self.unacked
            )));
        }
        Ok(())
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
        table.set_header(["", "", "how it is counted"]);
        for (name, value, how) in self.rows() {
            table.add_row([name, &value, how]);
        }
        if let Some(column) = table.column_mut(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        table
    }

    fn rows(&self) -> Vec<(&'static str, String, &'static str)> {
        let missing = self.missing.len().to_string();
        let mut rows = vec![
            ("sent", self.sent.to_string(), "confirmed by a receipt each"),
            ("stored in the log", self.stored.to_string(), "read from the broker's own log"),
            ("consumed, distinct", self.consumed.to_string(), "by place in the log, by either consumer"),
            ("lost", missing, "in the log or confirmed, and never consumed"),
            ("duplicates", self.duplicates.to_string(), "consumed again: at least once"),
            ("un-acked at the cut", self.unacked.to_string(), "in the dead consumer's handlers"),
        ];
        if let Some(recovery) = self.recovery {
            rows.push((
                "recovered in",
                format!("{} ms", recovery.as_millis()),
                "until the last of those was consumed",
            ));
        }
        rows.extend([
            (
                "latency p50",
                format!("{:.1} ms", self.milliseconds(0.5)),
                "from send() to the handler, first time",
            ),
            ("latency p99", format!("{:.1} ms", self.milliseconds(0.99)), "the cut included"),
            ("rate", format!("{:.0} msg/s", self.rate()), "from the first send to the last delivery"),
        ]);
        if let Some(spent) = self.cpu {
            let how = match self.is_in_process {
                true => "user + system, clients and this demo; not the broker's thread",
                false => "user + system of this process: clients and this demo",
            };
            rows.push(("CPU", format!("{:.1} µs/msg", self.cpu_us(spent)), how));
        }
        rows.push((
            "committed queues",
            self.committed.to_string(),
            "when the survivor closed, the retry topic's included",
        ));
        rows
    }

    fn object(&self) -> serde_json::Value {
        json!({
            "cluster": self.cluster,
            "topic": &*self.topic,
            "sent": self.sent,
            "stored": self.stored,
            "consumed": self.consumed,
            "lost": self.missing.len(),
            "duplicates": self.duplicates,
            "unacked_at_cut": self.unacked,
            "recovery_ms": self.recovery.map(|recovery| recovery.as_secs_f64() * 1e3),
            "latency_p50_ms": self.milliseconds(0.5),
            "latency_p99_ms": self.milliseconds(0.99),
            "messages_per_second": self.rate(),
            "cpu_us_per_message": self.cpu.map(|spent| self.cpu_us(spent)),
            "cpu_without_broker": self.is_in_process,
            "queues_committed": self.committed,
            "ok": self.verdict().is_ok(),
        })
    }

    fn milliseconds(&self, quantile: f64) -> f64 {
        self.latency_us.value_at_quantile(quantile) as f64 / 1e3
    }

    fn rate(&self) -> f64 {
        self.consumed as f64 / self.elapsed.as_secs_f64().max(1e-9)
    }

    fn cpu_us(&self, spent: Duration) -> f64 {
        spent.as_secs_f64() * 1e6 / self.sent.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report() -> Report {
        Report {
            cluster: "c".to_owned(),
            topic: "t".into(),
            sent: 10,
            stored: 10,
            consumed: 10,
            missing: Vec::new(),
            duplicates: 0,
            unacked: UNACKED_MIN,
            recovery: None,
            latency_us: Histogram::new(3).unwrap(),
            elapsed: Duration::from_secs(1),
            cpu: None,
            is_in_process: true,
            committed: 8,
            lose_one: false,
        }
    }

    #[test]
    fn only_a_hard_cut_without_loss_is_a_success() {
        assert!(report().verdict().is_ok());
        let lost = Report { missing: vec![(3, 17)], ..report() };
        assert!(lost.verdict().unwrap_err().to_string().contains("3:17"));
        assert!(Report { unacked: UNACKED_MIN - 1, ..report() }.verdict().is_err());
        assert!(Report { lose_one: true, ..report() }.verdict().is_err());
    }
}
