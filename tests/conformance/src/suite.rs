//! Runs every scenario for every adapter on every broker, and tells what came of it.

use std::any::Any;
use std::fmt::Write as _;
use std::future::Future;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::{Adapter, Failure, Place, Scenario, Verdict};

/// A scenario has ended by then, or its thread is given up.
const SCENARIO_TIMEOUT: Duration = Duration::from_secs(90);

/// What a scenario's function gives.
pub type Running<'a> = Pin<Box<dyn Future<Output = Verdict> + 'a>>;

/// A scenario by its name.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// `module::function`.
    pub name: &'static str,
    /// The scenario.
    pub run: for<'a> fn(&'a Scenario) -> Running<'a>,
}

/// One cell of the table.
#[derive(Clone, Debug)]
struct Cell {
    entry: usize,
    verdict: Verdict,
    took: Duration,
}

/// One column of the table: an adapter on a broker.
#[derive(Clone, Debug)]
struct Column {
    adapter: Adapter,
    place: String,
    cells: Vec<Cell>,
}

/// What came of a run.
#[derive(Clone, Debug)]
pub struct Report {
    names: Vec<&'static str>,
    columns: Vec<Column>,
}

/// Runs the scenarios whose names contain one of `filters`; all when there are none. The adapters run side by side,
/// since most scenarios wait most of their time. `progress` hears of each as it ends.
///
/// # Errors
/// No broker could be started.
pub fn run(entries: &[Entry], filters: &[String], mut progress: impl FnMut(&str)) -> Verdict<Report> {
    let chosen: Vec<Entry> = entries
        .iter()
        .filter(|entry| filters.is_empty() || filters.iter().any(|filter| entry.name.contains(&**filter)))
        .copied()
        .collect();
    let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let mut columns = Vec::new();
    for kind in Place::kinds()? {
        let first = columns.len();
        let mut places = Vec::new();
        for adapter in Adapter::ALL.iter().filter(|adapter| adapter.reaches(&kind)) {
            places.push((*adapter, Arc::new(kind.open()?)));
        }
        let (told, lines) = mpsc::channel();
        columns.extend(thread::scope(|scope| {
            let mut running = Vec::new();
            let columns = places.len();
            for (number, (adapter, place)) in places.into_iter().enumerate() {
                let (told, chosen) = (told.clone(), &*chosen);
                let run = format!("{started:x}-{}", first + number);
                // Each begins elsewhere: the same burst from all at once would be another scenario.
                let begin = chosen.len() * number / columns;
                running.push(scope.spawn(move || run_column((chosen, begin), adapter, &place, &run, &told)));
            }
            drop(told);
            lines.into_iter().for_each(|line: String| progress(&line));
            let ended = running.into_iter().map(|column| column.join());
            ended.collect::<Result<Vec<_>, _>>().map_err(|panic| Failure::Failed(words(&*panic).to_owned()))
        })?);
    }
    Ok(Report { names: chosen.iter().map(|entry| entry.name).collect(), columns })
}

/// Runs an adapter's scenarios one after another, from one of them on and round to it.
fn run_column(
    (chosen, begin): (&[Entry], usize),
    adapter: Adapter,
    place: &Arc<Place>,
    run: &str,
    told: &mpsc::Sender<String>,
) -> Column {
    let mut cells = Vec::new();
    for (index, entry) in chosen.iter().enumerate().cycle().skip(begin).take(chosen.len()) {
        // A world is new, and the same again when its names are.
        let run = match &**place {
            Place::Simulated { .. } => "run".to_owned(),
            _ => format!("{run}-{index}"),
        };
        let cell = run_one(index, *entry, Scenario::new(place.of(entry.name), adapter, run));
        // Whoever listens does so until all columns have ended.
        let _ = told.send(line(entry.name, adapter, place, &cell));
        cells.push(cell);
    }
    cells.sort_by_key(|cell| cell.entry);
    Column { adapter, place: place.to_string(), cells }
}

/// Runs a scenario on a thread of its own, so that one that blocks can be given up.
fn run_one(index: usize, entry: Entry, scenario: Scenario) -> Cell {
    let replay = scenario.place().replay();
    let (done, outcome) = mpsc::channel();
    let began = Instant::now();
    thread::spawn(move || {
        let verdict = catch_unwind(AssertUnwindSafe(|| {
            scenario.place().run(scenario.adapter(), async {
                let verdict = (entry.run)(&scenario).await;
                let closed = scenario.close().await;
                verdict.and(closed)
            })
        }));
        let verdict = match verdict {
            Ok(Ok(verdict)) => verdict,
            Ok(Err(error)) => Err(error),
            Err(panic) => Err(Failure::Failed(format!("it panicked: {}", words(&*panic)))),
        };
        // Nobody listens after the time-out.
        let _ = done.send(verdict);
    });
    let verdict = outcome.recv_timeout(SCENARIO_TIMEOUT).unwrap_or_else(|_| {
        Err(Failure::Failed(format!("its thread was stuck for {} s", SCENARIO_TIMEOUT.as_secs())))
    });
    let verdict = match (verdict, replay) {
        (Err(Failure::Failed(why)), Some(replay)) => Err(Failure::Failed(format!("{why} (again: {replay})"))),
        (verdict, _) => verdict,
    };
    Cell { entry: index, verdict, took: began.elapsed() }
}

/// What a panic said.
fn words(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("without a word")
}

fn line(name: &str, adapter: Adapter, place: &Place, cell: &Cell) -> String {
    let took = cell.took.as_millis();
    match &cell.verdict {
        Ok(()) => format!("ok    {name} ({adapter}, {place}) {took} ms"),
        Err(Failure::DoesNotApply(why)) => format!("n/a   {name} ({adapter}, {place}): {why}"),
        Err(Failure::Skipped(why)) => format!("skip  {name} ({adapter}, {place}): {why}"),
        Err(Failure::Failed(why)) => format!("FAIL  {name} ({adapter}, {place}) {took} ms: {why}"),
    }
}

impl Report {
    /// What failed: name, adapter, broker and reason of each.
    #[must_use]
    pub fn failures(&self) -> Vec<String> {
        self.not_ok(|failure| match failure {
            Failure::Failed(why) => Some(why.clone()),
            Failure::DoesNotApply(_) | Failure::Skipped(_) => None,
        })
    }

    /// What was skipped, and why.
    #[must_use]
    pub fn skips(&self) -> Vec<String> {
        self.not_ok(|failure| match failure {
            Failure::Skipped(why) => Some((*why).to_owned()),
            Failure::Failed(_) | Failure::DoesNotApply(_) => None,
        })
    }

    fn not_ok(&self, pick: impl Fn(&Failure) -> Option<String>) -> Vec<String> {
        let mut told = Vec::new();
        for column in &self.columns {
            for cell in &column.cells {
                if let Some(why) = cell.verdict.as_ref().err().and_then(&pick) {
                    let name = self.names[cell.entry];
                    told.push(format!("{name} ({}, {}): {why}", column.adapter, column.place));
                }
            }
        }
        told
    }

    /// Scenario by scenario, what became of it with each adapter on each broker: `ok` and milliseconds,
    /// `FAILED`, or the number of the reason why it says nothing there; the reasons follow.
    #[must_use]
    pub fn table(&self) -> String {
        let name_width = self.names.iter().map(|name| name.len()).max().unwrap_or_default();
        let (mut table, mut reasons) = (String::new(), Vec::new());
        for (number, column) in self.columns.iter().enumerate() {
            let _ = writeln!(table, "[{}] {} on {}", number + 1, column.adapter, column.place);
        }
        for (row, name) in self.names.iter().enumerate() {
            let _ = write!(table, "{name:name_width$}");
            for column in &self.columns {
                let cell = &column.cells[row];
                let word = match &cell.verdict {
                    Ok(()) => format!("ok {} ms", cell.took.as_millis()),
                    Err(Failure::DoesNotApply(why) | Failure::Skipped(why)) => {
                        format!("({})", number_of(&mut reasons, why))
                    }
                    Err(Failure::Failed(_)) => "FAILED".to_owned(),
                };
                let _ = write!(table, " {word:>11}");
            }
            table.push('\n');
        }
        for (number, reason) in (1..).zip(&reasons) {
            let _ = writeln!(table, "({number}) {reason}");
        }
        table
    }

    /// `S scenarios x A adapters, N skipped`.
    #[must_use]
    pub fn summary(&self) -> String {
        let (scenarios, adapters) = (self.names.len(), Adapter::ALL.len());
        format!("{scenarios} scenarios x {adapters} adapters, {} skipped", self.skips().len())
    }
}

/// The number of a reason, from one; a new one goes to the end.
fn number_of(reasons: &mut Vec<&'static str>, reason: &'static str) -> usize {
    let known = reasons.iter().position(|known| *known == reason);
    let index = known.unwrap_or_else(|| {
        reasons.push(reason);
        reasons.len() - 1
    });
    index + 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hole_in_the_table_has_its_reason_below() {
        let cell = |entry, verdict| Cell { entry, verdict, took: Duration::from_millis(7) };
        let column = |adapter, cells| Column { adapter, place: "a broker".to_owned(), cells };
        let hole = |why| Err(Failure::DoesNotApply(why));
        let report = Report {
            names: vec!["a::one", "a::two"],
            columns: vec![
                column(Adapter::AsyncStd, vec![cell(0, Ok(())), cell(1, hole("no threads here"))]),
                column(
                    Adapter::Blocking,
                    vec![cell(0, hole("no threads here")), cell(1, Err(Failure::Skipped("other")))],
                ),
                column(Adapter::TokioMultiThread, vec![cell(0, Err("broken".into())), cell(1, Ok(()))]),
            ],
        };
        let table = report.table();
        let lines: Vec<&str> = table.lines().collect();
        assert_eq!(lines[0], "[1] async-std on a broker");
        assert_eq!(lines[3], "a::one     ok 7 ms         (1)      FAILED");
        assert_eq!(
            lines[4..],
            ["a::two         (1)         (2)     ok 7 ms", "(1) no threads here", "(2) other"]
        );
        assert!(report.summary().ends_with(" 1 skipped"));
    }
}
