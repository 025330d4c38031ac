//! What the demo ends with.

use std::time::Duration;

use comfy_table::{Table, presets};
use hdrhistogram::Histogram;
use rocketmq_client_tokio::CloseReport;

use super::IN_HAND_MIN;
use super::cluster::Audit;
use super::ledger::Ledger;

/// The figures, counted against the broker's own log.
#[derive(Debug)]
pub(crate) struct Report {
    sent: u64,
    in_log: u64,
    consumed: u64,
    lost: u64,
    duplicates: u64,
    in_hand_at_death: u64,
    uncommitted: i64,
    foreign: u64,
    p50_ms: f64,
    p99_ms: f64,
    cpu_us_per_message: Option<f64>,
    seconds: f64,
    sent_back: u64,
}

impl Report {
    pub(super) fn new(
        ledger: &Ledger,
        audit: &Audit,
        in_hand: u64,
        cpu: Option<Duration>,
        elapsed: Duration,
        closed: &CloseReport,
    ) -> Self {
        let numbers = 0..ledger.len();
        let times = |number: &u64| u64::from(ledger.times_consumed(*number));
        let consumed = numbers.clone().filter(|number| times(number) > 0).count() as u64;
        let unread = audit.numbers.iter().filter(|number| times(number) == 0).count();
        let vanished =
            numbers.clone().filter(|n| ledger.was_stored(*n) && !audit.numbers.contains(n)).count();
        let latencies = histogram(ledger);
        Self {
            sent: ledger.stored(),
            in_log: audit.records,
            consumed,
            lost: (unread + vanished) as u64,
            duplicates: numbers.map(|number| times(&number).saturating_sub(1)).sum(),
            in_hand_at_death: in_hand,
            uncommitted: audit.lag,
            foreign: ledger.foreign(),
            p50_ms: milliseconds(&latencies, 0.50),
            p99_ms: milliseconds(&latencies, 0.99),
            cpu_us_per_message: cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / ledger.len() as f64),
            seconds: elapsed.as_secs_f64(),
            sent_back: closed.sent_back,
        }
    }

    /// Whether nothing is lost, and enough was at stake for that to mean something.
    pub(crate) fn ok(&self) -> bool {
        self.lost == 0 && self.foreign == 0 && self.in_hand_at_death >= IN_HAND_MIN
    }

    /// Shows it: one JSON object, or a table.
    pub(crate) fn print(&self, json: bool) {
        if json { println!("{}", self.json()) } else { println!("{}", self.table()) }
    }

    fn rows(&self) -> Vec<(&'static str, String)> {
        let cpu = self.cpu_us_per_message.map_or_else(|| "unknown".to_owned(), |cpu| format!("{cpu:.1} µs"));
        vec![
            ("sent", self.sent.to_string()),
            ("in the broker's log", self.in_log.to_string()),
            ("consumed", self.consumed.to_string()),
            ("lost", self.lost.to_string()),
            ("duplicates", self.duplicates.to_string()),
            ("un-acknowledged when one died", self.in_hand_at_death.to_string()),
            ("sent back", self.sent_back.to_string()),
            ("uncommitted at the end", self.uncommitted.to_string()),
            ("p50, send to handler", format!("{:.1} ms", self.p50_ms)),
            ("p99, send to handler", format!("{:.1} ms", self.p99_ms)),
            ("CPU per message (user + sys, without the dev broker)", cpu),
            ("time", format!("{:.1} s", self.seconds)),
        ]
    }

    fn table(&self) -> Table {
        let mut table = Table::new();
        table.load_style(presets::UTF8_BORDERS_ONLY);
        for (name, value) in self.rows() {
            table.add_row([name.to_owned(), value]);
        }
        table
    }

    fn json(&self) -> serde_json::Value {
        serde_json::json!({
            "sent": self.sent,
            "in_log": self.in_log,
            "consumed": self.consumed,
            "lost": self.lost,
            "duplicates": self.duplicates,
            "in_hand_at_death": self.in_hand_at_death,
            "sent_back": self.sent_back,
            "uncommitted": self.uncommitted,
            "p50_ms": self.p50_ms,
            "p99_ms": self.p99_ms,
            "cpu_us_per_msg": self.cpu_us_per_message,
            "seconds": self.seconds,
            "ok": self.ok(),
        })
    }
}

fn histogram(ledger: &Ledger) -> Histogram<u64> {
    let mut histogram = Histogram::new(3).expect("three digits are allowed");
    for latency in ledger.latencies_us() {
        histogram.saturating_record(latency);
    }
    histogram
}

fn milliseconds(histogram: &Histogram<u64>, quantile: f64) -> f64 {
    histogram.value_at_quantile(quantile) as f64 / 1_000.0
}
