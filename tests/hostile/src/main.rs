//! Runs cases, each in a process of its own, and tells what was missed.
//!
//! ```text
//! hostile [--adapter NAME]... [--smoke] [--jobs N] [--verbose] [CASE]...
//! hostile --list [CASE]...
//! ```
//!
//! A case is chosen by a part of its name; without one all are run. Without `--adapter` they are run in the simulator
//! and on every adapter.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use rocketmq_hostile::{Adapter, Case, Counting, cases, lines, run_case};

#[global_allocator]
static HEAP: &stats_alloc::StatsAlloc<std::alloc::System> = &stats_alloc::INSTRUMENTED_SYSTEM;

/// A case's process has ended by then, or hangs. A consumer of 16,000 queues takes the simulator a minute of processor
/// time.
const CASE_TIMEOUT: Duration = Duration::from_secs(240);
/// Cases that mostly wait, side by side.
const JOBS: usize = 24;
/// Cases that keep a core busy, side by side: what they need is no measure of how fast the client is with others.
const BUSY_JOBS: usize = 2;
/// How their names begin.
const BUSY: [&str; 2] = ["bomb/", "stop/queues-"];
/// Every so many cases of a table are the smoke test's.
const SMOKE_EVERY: usize = 30;

/// What to run.
#[derive(Debug, Default)]
struct Options {
    adapters: Vec<Adapter>,
    names: Vec<String>,
    smoke: bool,
    list: bool,
    verbose: bool,
    jobs: usize,
}

/// One process to be.
struct Job {
    name: String,
    adapter: Adapter,
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [one, adapter, name] = &*arguments
        && one == "one"
    {
        return run_one(adapter, name);
    }
    let options = match parse(arguments) {
        Ok(options) => options,
        Err(text) => {
            eprintln!("{text}");
            return ExitCode::from(2);
        }
    };
    run_all(&options)
}

fn parse(arguments: Vec<String>) -> Result<Options, String> {
    let mut options = Options { jobs: JOBS, ..Options::default() };
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        match &*argument {
            "--smoke" => options.smoke = true,
            "--list" => options.list = true,
            "--verbose" => options.verbose = true,
            "--jobs" => {
                let jobs = arguments.next().and_then(|jobs| jobs.parse().ok());
                options.jobs = jobs.filter(|jobs| *jobs > 0).ok_or("--jobs needs a number")?;
            }
            "--adapter" => {
                let name = arguments.next().unwrap_or_default();
                let known = || {
                    format!("no adapter {name:?}; there are {}", Adapter::ALL.map(Adapter::name).join(", "))
                };
                options.adapters.push(Adapter::from_name(&name).ok_or_else(known)?);
            }
            unknown if unknown.starts_with('-') => return Err(format!("no option {unknown}")),
            _ => options.names.push(argument),
        }
    }
    if options.adapters.is_empty() {
        options.adapters = Adapter::ALL.to_vec();
    }
    Ok(options)
}

fn chosen(options: &Options) -> Vec<Case> {
    let mut all = cases::all();
    all.retain(|case| {
        options.names.is_empty() || options.names.iter().any(|name| case.name.contains(&**name))
    });
    if options.smoke {
        let mut index = 0;
        all.retain(|_| {
            index += 1;
            index % SMOKE_EVERY == 1
        });
    }
    all
}

/// The child: one case, its misses as lines.
#[expect(clippy::print_stdout, reason = "the parent reads it")]
fn run_one(adapter: &str, name: &str) -> ExitCode {
    tracing::subscriber::set_global_default(Counting).expect("the only one");
    let case = cases::all().into_iter().find(|case| case.name == name);
    let (Some(adapter), Some(case)) = (Adapter::from_name(adapter), case) else {
        eprintln!("no such adapter or case");
        return ExitCode::from(2);
    };
    for miss in run_case(&case, adapter, HEAP) {
        println!("{}\t{}", miss.bar, miss.figure);
    }
    for line in &lines().first {
        eprintln!("{line}");
    }
    println!("done");
    // What still runs in the background is of no interest.
    let _ = std::io::stdout().flush();
    std::process::exit(0);
}

#[expect(clippy::print_stdout, reason = "it is what the program is for")]
fn run_all(options: &Options) -> ExitCode {
    let cases = chosen(options);
    if options.list {
        cases.iter().for_each(|case| println!("{}", case.name));
        return ExitCode::SUCCESS;
    }
    let jobs: Vec<Job> = options
        .adapters
        .iter()
        .flat_map(|adapter| cases.iter().map(|case| Job { name: case.name.clone(), adapter: *adapter }))
        .collect();
    let (busy, waiting): (Vec<Job>, Vec<Job>) =
        jobs.into_iter().partition(|job| BUSY.iter().any(|begin| job.name.starts_with(begin)));
    let missed = Mutex::new(BTreeMap::new());
    side_by_side(options, options.jobs, &waiting, &missed);
    side_by_side(options, options.jobs.min(BUSY_JOBS), &busy, &missed);
    let missed = missed.into_inner().unwrap_or_else(PoisonError::into_inner);
    let of = |simulated: bool| -> usize {
        missed
            .iter()
            .filter(|(adapter, _)| (**adapter == Adapter::Simulator) == simulated)
            .map(|(_, n)| *n)
            .sum()
    };
    if options.adapters.contains(&Adapter::Simulator) {
        println!("{} cases in the simulator, {} missed", cases.len(), of(true));
    }
    let adapters = families(&options.adapters);
    if adapters > 0 {
        println!("{} cases x {adapters} adapters, {} missed", cases.len(), of(false));
    }
    if missed.is_empty() && !cases.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Runs so many at a time; tells and counts what they miss.
#[expect(clippy::print_stdout, reason = "it is what the program is for")]
fn side_by_side(options: &Options, count: usize, jobs: &[Job], missed: &Mutex<BTreeMap<Adapter, usize>>) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..count {
            scope.spawn(|| {
                while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let (misses, log) = run_child(job);
                    if !misses.is_empty() {
                        let mut missed = missed.lock().unwrap_or_else(PoisonError::into_inner);
                        *missed.entry(job.adapter).or_default() += 1;
                    } else if !options.verbose {
                        continue;
                    }
                    let text: Vec<String> = misses
                        .iter()
                        .map(|miss| format!("MISS {} {} {miss}\n", job.name, job.adapter))
                        .collect();
                    let log = if options.verbose { log } else { String::new() };
                    print!("{}{log}", text.concat());
                }
            });
        }
    });
}

/// Adapters with sockets; both flavours of tokio are one.
fn families(adapters: &[Adapter]) -> usize {
    let tokio = adapters.iter().any(|adapter| adapter.name().starts_with("tokio"));
    let others =
        adapters.iter().filter(|adapter| matches!(adapter, Adapter::AsyncStd | Adapter::Blocking)).count();
    usize::from(tokio) + others
}

/// What a case's process has missed, and what it logged.
fn run_child(job: &Job) -> (Vec<String>, String) {
    let program = std::env::current_exe().expect("this program's own path");
    let mut command = Command::new(program);
    command.args(["one", job.adapter.name(), &job.name]).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = match command.spawn() {
        Ok(child) => child,
        Err(error) => return (vec![format!("start: {error}")], String::new()),
    };
    let begun = Instant::now();
    let hung = loop {
        match child.try_wait() {
            Ok(Some(_)) | Err(_) => break false,
            Ok(None) if begun.elapsed() > CASE_TIMEOUT => {
                let _ = child.kill();
                break true;
            }
            Ok(None) => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let Ok(output) = child.wait_with_output() else { return (vec!["hang: no output".into()], String::new()) };
    let (out, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let mut misses: Vec<String> =
        out.lines().filter(|line| *line != "done").map(|line| line.replacen('\t', ": ", 1)).collect();
    if hung {
        misses.push(format!("hang: still running after {CASE_TIMEOUT:?}"));
    } else if !out.lines().any(|line| line == "done") {
        let panic =
            log.lines().skip_while(|line| !line.contains("panicked")).take(2).collect::<Vec<_>>().join(" ");
        misses.push(format!("panic: {} {panic}", output.status));
    }
    (misses, log.into_owned())
}
