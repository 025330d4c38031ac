//! Medians, ratios of pairs, and how they are shown.

use serde_json::{Map, Value, json};

use super::block::Outcome;
use super::trace::Traced;
use crate::output;

/// Figures of one measurement or of several.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Figures {
    pub(super) msgs_per_s: Option<f64>,
    pub(super) cpu_us_per_msg: Option<f64>,
    pub(super) p50_us: Option<f64>,
    pub(super) p99_us: Option<f64>,
    /// Peak, in MiB.
    pub(super) rss_mb: Option<f64>,
    pub(super) syscalls_per_msg: Option<f64>,
    pub(super) instructions_per_msg: Option<f64>,
    pub(super) switches_per_msg: Option<f64>,
    pub(super) broker_cpu_us_per_msg: Option<f64>,
    pub(super) failed: u64,
}

const RATIO_HEADER: &str = "ratio of pairs: median [min to max]";

type Field = (&'static str, fn(&Figures) -> Option<f64>);

/// In the order in which they are shown.
const FIELDS: [Field; 9] = [
    ("msgs_per_s", |figures| figures.msgs_per_s),
    ("cpu_us_per_msg", |figures| figures.cpu_us_per_msg),
    ("p50_us", |figures| figures.p50_us),
    ("p99_us", |figures| figures.p99_us),
    ("rss_mb", |figures| figures.rss_mb),
    ("syscalls_per_msg", |figures| figures.syscalls_per_msg),
    ("instructions_per_msg", |figures| figures.instructions_per_msg),
    ("switches_per_msg", |figures| figures.switches_per_msg),
    ("broker_cpu_us_per_msg", |figures| figures.broker_cpu_us_per_msg),
];
/// Fields of which a ratio says something.
const RATIOS: usize = 4;
/// Fields that compare with a bare delivery: its rate is the client's.
const LATENCIES: &[Field] = &[FIELDS[2], FIELDS[3]];

impl From<&Outcome> for Figures {
    fn from(outcome: &Outcome) -> Self {
        let done = outcome.done.max(1) as f64;
        let per_msg = |count: Option<u64>| count.map(|count| count as f64 / done);
        Self {
            msgs_per_s: Some(outcome.done as f64 / outcome.spent.elapsed.as_secs_f64().max(1e-9)),
            cpu_us_per_msg: outcome.spent.cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / done),
            p50_us: outcome.p50_ns.map(|ns| ns as f64 / 1e3),
            p99_us: outcome.p99_ns.map(|ns| ns as f64 / 1e3),
            rss_mb: outcome.spent.peak_kb.map(|kb| kb as f64 / 1024.0),
            syscalls_per_msg: per_msg(outcome.syscalls),
            instructions_per_msg: None,
            switches_per_msg: per_msg(outcome.spent.switches),
            broker_cpu_us_per_msg: outcome.broker_cpu.map(|cpu| cpu.as_secs_f64() * 1e6 / done),
            failed: outcome.failed,
        }
    }
}

impl Figures {
    /// The median of each figure; failures are added up.
    fn median(all: &[Self]) -> Self {
        let of = |get: fn(&Self) -> Option<f64>| {
            Spread::of(all.iter().filter_map(get)).map(|spread| spread.median)
        };
        Self {
            msgs_per_s: of(|figures| figures.msgs_per_s),
            cpu_us_per_msg: of(|figures| figures.cpu_us_per_msg),
            p50_us: of(|figures| figures.p50_us),
            p99_us: of(|figures| figures.p99_us),
            // A peak is the highest there was.
            rss_mb: Spread::of(all.iter().filter_map(|figures| figures.rss_mb)).map(|spread| spread.max),
            syscalls_per_msg: of(|figures| figures.syscalls_per_msg),
            instructions_per_msg: of(|figures| figures.instructions_per_msg),
            switches_per_msg: of(|figures| figures.switches_per_msg),
            broker_cpu_us_per_msg: of(|figures| figures.broker_cpu_us_per_msg),
            failed: all.iter().map(|figures| figures.failed).sum(),
        }
    }

    fn to_json(self) -> Map<String, Value> {
        let mut object: Map<_, _> =
            FIELDS.iter().map(|(name, get)| ((*name).to_owned(), json!(get(&self).map(rounded)))).collect();
        object.insert("failed".to_owned(), self.failed.into());
        object
    }
}

/// The least, the middle and the greatest of some numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spread {
    pub(super) min: f64,
    pub(super) median: f64,
    pub(super) max: f64,
}

impl Spread {
    pub(super) fn of(numbers: impl Iterator<Item = f64>) -> Option<Self> {
        let mut sorted: Vec<f64> = numbers.collect();
        sorted.sort_by(f64::total_cmp);
        let (min, max) = (*sorted.first()?, *sorted.last()?);
        let middle = sorted.len() / 2;
        let median =
            if sorted.len() % 2 == 1 { sorted[middle] } else { (sorted[middle - 1] + sorted[middle]) / 2.0 };
        Some(Self { min, median, max })
    }

    pub(super) fn to_json(self) -> Value {
        json!({ "min": rounded(self.min), "median": rounded(self.median), "max": rounded(self.max) })
    }
}

/// All measurements of one command.
#[derive(Default)]
pub(super) struct Report {
    ours: Vec<Figures>,
    /// Empty, or as many.
    limit: Vec<Figures>,
    /// From end to end by a bare program; empty, or as many.
    delivery: Vec<Figures>,
}

impl Report {
    pub(super) fn add(&mut self, ours: &Outcome, limit: Option<&Outcome>) {
        self.ours.push(ours.into());
        self.limit.extend(limit.map(Figures::from));
    }

    pub(super) fn add_delivery(&mut self, delivery: &Outcome) {
        self.delivery.push(delivery.into());
    }

    /// What was counted in other runs.
    pub(super) fn add_traced(&mut self, ours: Traced, limit: Option<Traced>) {
        for (figures, traced) in [(&mut self.ours, Some(ours)), (&mut self.limit, limit)] {
            for figures in figures {
                figures.instructions_per_msg = traced.and_then(|traced| traced.instructions);
                let syscalls = traced.and_then(|traced| traced.syscalls);
                figures.syscalls_per_msg = figures.syscalls_per_msg.or(syscalls);
            }
        }
    }

    /// The ratios of a figure to others', pair by pair.
    fn ratio(&self, others: &[Figures], get: fn(&Figures) -> Option<f64>) -> Option<Spread> {
        let pairs = self.ours.iter().zip(others);
        Spread::of(pairs.filter_map(|(ours, other)| {
            let other = get(other).filter(|other| *other > 0.0)?;
            Some(get(ours)? / other)
        }))
    }

    fn ratios(&self, others: &[Figures], fields: &[Field]) -> Value {
        let ratio = |get| self.ratio(others, get).map_or(Value::Null, Spread::to_json);
        Value::Object(fields.iter().map(|(name, get)| ((*name).to_owned(), ratio(*get))).collect())
    }

    /// One object: the client's figures, `limit` with the same, `ratio`, and what was asked for.
    pub(super) fn to_json(&self, asked: Map<String, Value>) -> Value {
        let mut object = asked;
        object.insert("pairs".to_owned(), self.ours.len().into());
        object.extend(Figures::median(&self.ours).to_json());
        let limit = (!self.limit.is_empty()).then(|| Figures::median(&self.limit).to_json());
        object.insert("limit".to_owned(), limit.map_or(Value::Null, Value::Object));
        let ratio = (!self.limit.is_empty()).then(|| self.ratios(&self.limit, &FIELDS[..RATIOS]));
        object.insert("ratio".to_owned(), ratio.unwrap_or(Value::Null));
        if !self.delivery.is_empty() {
            let bare = Figures::median(&self.delivery).to_json();
            object.insert("bare_delivery".to_owned(), Value::Object(bare));
            let ratios = self.ratios(&self.delivery, LATENCIES);
            object.insert("ratio_to_bare_delivery".to_owned(), ratios);
        }
        Value::Object(object)
    }

    /// The rows of a table: figure, client, limit, ratio.
    pub(super) fn rows(&self) -> Vec<[String; 4]> {
        let (ours, limit) = (Figures::median(&self.ours), Figures::median(&self.limit));
        let mut rows: Vec<_> = FIELDS
            .iter()
            .enumerate()
            .map(|(index, (name, get))| {
                let ratio = if index < RATIOS { self.ratio(&self.limit, *get) } else { None };
                [(*name).to_owned(), shown(get(&ours)), shown(get(&limit)), shown_ratio(ratio)]
            })
            .collect();
        rows.push(["failed".to_owned(), ours.failed.to_string(), limit.failed.to_string(), String::new()]);
        if self.limit.is_empty() {
            rows.iter_mut().for_each(|row| row[2].clear());
        }
        rows
    }

    /// Prints it.
    pub(super) fn show(&self, asked: Map<String, Value>, as_json: bool) -> std::io::Result<()> {
        if as_json {
            return output::json(&self.to_json(asked));
        }
        let headers = ["", "client", "limit", RATIO_HEADER];
        output::table(Some(headers), &self.rows())?;
        if self.delivery.is_empty() {
            return Ok(());
        }
        output::table(Some(["", "client", "bare delivery", RATIO_HEADER]), &self.delivery_rows())
    }

    fn delivery_rows(&self) -> Vec<[String; 4]> {
        let (ours, bare) = (Figures::median(&self.ours), Figures::median(&self.delivery));
        let rows = LATENCIES.iter().map(|(name, get)| {
            let ratio = shown_ratio(self.ratio(&self.delivery, *get));
            [(*name).to_owned(), shown(get(&ours)), shown(get(&bare)), ratio]
        });
        let failed = ["failed".to_owned(), ours.failed.to_string(), bare.failed.to_string(), String::new()];
        rows.chain([failed]).collect()
    }
}

fn shown(figure: Option<f64>) -> String {
    match figure {
        Some(figure) if figure >= 1_000.0 => output::grouped(figure.round() as u64),
        Some(figure) => format!("{figure:.2}"),
        None => "not counted".to_owned(),
    }
}

fn shown_ratio(ratio: Option<Spread>) -> String {
    ratio.map_or_else(String::new, |ratio| {
        format!("{:.2} [{:.2} to {:.2}]", ratio.median, ratio.min, ratio.max)
    })
}

/// Three decimals.
fn rounded(number: f64) -> f64 {
    (number * 1e3).round() / 1e3
}

#[cfg(test)]
mod tests {
    use super::super::block::tests::outcome;
    use super::*;

    #[test]
    fn the_median_of_an_even_number_lies_between_two() {
        let spread = Spread::of([4.0, 1.0, 3.0, 2.0].into_iter());
        assert_eq!(spread, Some(Spread { min: 1.0, median: 2.5, max: 4.0 }));
        assert_eq!(Spread::of(std::iter::empty()), None);
    }

    #[test]
    fn a_ratio_is_taken_pair_by_pair() {
        let mut report = Report::default();
        // The medians alone would give 3 / 2.
        for (ours, limit) in [(3_000_000, 1_000_000), (2_000_000, 2_000_000), (8_000_000, 4_000_000)] {
            report.add(&outcome(1_000, ours), Some(&outcome(1_000, limit)));
        }
        let object = report.to_json(Map::new());
        assert_eq!(object["ratio"]["cpu_us_per_msg"], json!({ "min": 1.0, "median": 2.0, "max": 3.0 }));
        assert_eq!(object["cpu_us_per_msg"], 3.0);
        assert_eq!(object["limit"]["cpu_us_per_msg"], 2.0);
    }

    #[test]
    fn the_json_object_has_its_fields() {
        let mut report = Report::default();
        report.add(&outcome(1_000, 2_000_000), None);
        let object = report.to_json(Map::new());
        let expected = json!({
            "pairs": 1, "msgs_per_s": 2_000.0, "cpu_us_per_msg": 2.0, "p50_us": 1.5, "p99_us": 9.0,
            "rss_mb": 2.0, "failed": 1, "syscalls_per_msg": null, "instructions_per_msg": null, "switches_per_msg": 0.003,
            "broker_cpu_us_per_msg": null, "limit": null, "ratio": null,
        });
        assert_eq!(object, expected);
    }

    #[test]
    fn a_bare_delivery_is_compared_by_its_latencies() {
        let mut report = Report::default();
        report.add_delivery(&Outcome { p50_ns: Some(1_000), p99_ns: Some(3_000), ..outcome(1_000, 7) });
        report.add(&outcome(1_000, 2_000_000), Some(&outcome(1_000, 1_000_000)));
        let object = report.to_json(Map::new());
        assert_eq!(object["bare_delivery"]["p99_us"], 3.0);
        let same = |ratio: f64| json!({ "min": ratio, "median": ratio, "max": ratio });
        assert_eq!(object["ratio_to_bare_delivery"], json!({ "p50_us": same(1.5), "p99_us": same(3.0) }));
        assert_eq!(object["ratio"]["p50_us"], same(1.0), "the limit is something else");
        assert_eq!(report.delivery_rows()[0], ["p50_us", "1.50", "1.00", "1.50 [1.50 to 1.50]"]);
    }

    #[test]
    fn what_was_not_counted_is_said() {
        let mut report = Report::default();
        report.add(&outcome(1_000, 2_000_000), Some(&outcome(1_000, 1_000_000)));
        let rows = report.rows();
        let row = |name: &str| rows.iter().find(|row| row[0] == name).expect("a row").clone();
        assert_eq!(row("syscalls_per_msg")[1], "not counted");
        assert_eq!(row("cpu_us_per_msg")[1..], ["2.00", "1.00", "2.00 [2.00 to 2.00]"].map(str::to_owned));
    }
}
