//! Runs seeds of the simulator, replays one, shrinks one.

use std::io::{self, Write};
use std::ops::Range;
use std::process::ExitCode;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

use rocketmq_sim::{Outcome, Report, run_seed, shrink_seed};

const USAGE: &str = "usage: sim run [--seeds A..B] [--jobs N] [--json] [--find P19]
       sim replay --seed N [--verbose]
       sim shrink --seed N [--tries N]";

/// Failures that are told in full.
const TOLD_MAX: usize = 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match command(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(text) => {
            let _ = writeln!(io::stderr(), "{text}\n{USAGE}");
            ExitCode::from(2)
        }
    }
}

/// True when all is well.
fn command(arguments: &[String]) -> Result<bool, String> {
    let (name, options) = arguments.split_first().ok_or("which command?")?;
    let mut options = Options::parse(options)?;
    let done = match name.as_str() {
        "run" => match &options.find {
            Some(property) => find(options.seeds.unwrap_or(0..2_000), property),
            None => run(&options.seeds.take().unwrap_or(0..2_000), options.jobs, options.json),
        },
        "replay" => replay(options.seed.ok_or("which seed? --seed N")?, options.verbose),
        "shrink" => shrink(options.seed.ok_or("which seed? --seed N")?, options.tries),
        other => return Err(format!("no such command: {other}")),
    };
    done.map_err(|error| error.to_string())
}

struct Options {
    seeds: Option<Range<u64>>,
    seed: Option<u64>,
    find: Option<String>,
    jobs: usize,
    tries: usize,
    json: bool,
    verbose: bool,
}

impl Options {
    fn parse(words: &[String]) -> Result<Self, String> {
        let mut options =
            Self { seeds: None, seed: None, find: None, jobs: 1, tries: 300, json: false, verbose: false };
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value = || words.next().ok_or(format!("{word} wants a value"));
            match word.as_str() {
                "--seeds" => options.seeds = Some(range(value()?)?),
                "--seed" => options.seed = Some(number(value()?)?),
                "--find" => options.find = Some(value()?.clone()),
                "--jobs" => options.jobs = usize::try_from(number(value()?)?.max(1)).unwrap_or(1),
                "--tries" => options.tries = usize::try_from(number(value()?)?).unwrap_or(0),
                "--json" => options.json = true,
                "--verbose" => options.verbose = true,
                other => return Err(format!("no such option: {other}")),
            }
        }
        Ok(options)
    }
}

fn number(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

fn range(text: &str) -> Result<Range<u64>, String> {
    let (from, to) = text.split_once("..").ok_or(format!("{text} is no range: write 0..2000"))?;
    let range = number(from)?..number(to)?;
    if range.is_empty() { Err(format!("{text} is an empty range")) } else { Ok(range) }
}

fn run(seeds: &Range<u64>, jobs: usize, json: bool) -> io::Result<bool> {
    let started = Instant::now();
    let mut report = Report::default();
    for outcome in outcomes(seeds, jobs) {
        report.add(outcome);
    }
    let mut out = io::stdout().lock();
    for failure in report.failures().iter().take(TOLD_MAX) {
        writeln!(out, "{failure}")?;
    }
    let elapsed = started.elapsed();
    writeln!(out, "{}", if json { report.json(elapsed) } else { report.text(elapsed) })?;
    // A handful of seeds can't be asked to see everything.
    let blind = if seeds.end - seeds.start >= 2_000 { report.blind_spots() } else { Vec::new() };
    for spot in &blind {
        writeln!(out, "FAIL {spot}")?;
    }
    Ok(report.failures().is_empty() && blind.is_empty())
}

/// Runs seeds until one fails in this property; other failures are passed over.
fn find(mut seeds: Range<u64>, property: &str) -> io::Result<bool> {
    let fails = |outcome: &Outcome| {
        let found = outcome.violation.as_ref().map(|violation| violation.property);
        found.is_some_and(|found| found.number() == property || format!("{found:?}") == property)
    };
    let found = seeds.find_map(|seed| Some(run_seed(seed, false)).filter(fails));
    if let Some(outcome) = &found {
        writeln!(io::stdout().lock(), "{outcome}")?;
    }
    Ok(found.is_none())
}

/// In the order of the seeds, whatever the number of threads.
fn outcomes(seeds: &Range<u64>, jobs: usize) -> Vec<Outcome> {
    let next = AtomicU64::new(seeds.start);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..jobs {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end {
                        return;
                    }
                    let outcome = run_seed(seed, false);
                    done.lock().expect("no thread panics under this lock").push(outcome);
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no thread panicked under this lock");
    done.sort_by_key(|outcome| outcome.seed);
    done
}

fn replay(seed: u64, verbose: bool) -> io::Result<bool> {
    let outcome = run_seed(seed, verbose);
    let mut out = io::stdout().lock();
    if verbose {
        write!(out, "{}", rocketmq_sim::Plan::draw(seed))?;
    }
    for line in &outcome.lines {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "{outcome}")?;
    Ok(outcome.violation.is_none())
}

fn shrink(seed: u64, tries: usize) -> io::Result<bool> {
    let mut out = io::stdout().lock();
    let Some((plan, outcome)) = shrink_seed(seed, tries) else {
        writeln!(out, "seed {seed} does not fail")?;
        return Ok(true);
    };
    write!(out, "{plan}")?;
    for line in &outcome.lines {
        writeln!(out, "{line}")?;
    }
    writeln!(out, "{outcome}")?;
    Ok(false)
}
