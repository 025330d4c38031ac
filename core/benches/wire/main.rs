//! What the hot paths of the wire and of the core cost: nanoseconds here, instructions by `.ci/callgrind`.
//!
//! ```sh
//! cargo bench -p rocketmq-client-core --bench wire            # all operations
//! cargo bench -p rocketmq-client-core --bench wire -- decode  # those whose name contains "decode"
//! .ci/callgrind                                               # instructions, held against the table
//! ```
#![expect(
    clippy::disallowed_methods,
    clippy::disallowed_types,
    clippy::disallowed_macros,
    reason = "it measures"
)]
#![expect(clippy::print_stdout, clippy::print_stderr, reason = "the figures are for whoever runs it")]

mod group;
mod operations;
mod world;

use std::hint::black_box;
use std::process::ExitCode;
use std::time::Instant;

/// Batches of which the median is taken.
const BATCHES: usize = 201;
/// How long a batch should take, in nanoseconds: long beside the clock, short beside a time slice.
const BATCH_NS: u128 = 500_000;

/// Rounds of what is long beside the clock by itself.
const LONG_ROUNDS: u64 = 21;

/// One measured operation; see `operations.rs`.
struct Operation {
    name: &'static str,
    run: fn(&mut Measure),
}

/// What an operation is run for.
enum Measure {
    /// Run it so often and nothing else; somebody counts instructions.
    Count(u64),
    /// Take the time; nanoseconds of each batch for one item.
    Time(Vec<f64>),
}

impl Measure {
    /// Measures `once`.
    fn each<R>(&mut self, mut once: impl FnMut() -> R) {
        self.every(1, &mut once);
    }

    /// Measures `round` alone, which is long, and needs what `before` gives.
    fn after<S>(&mut self, mut before: impl FnMut() -> S, mut round: impl FnMut(S)) {
        let rounds = if let Self::Count(rounds) = self { *rounds } else { LONG_ROUNDS };
        for _ in 0..rounds {
            let given = before();
            let begun = Instant::now();
            round(given);
            let spent = begun.elapsed();
            if let Self::Time(batches) = self {
                batches.push(spent.as_secs_f64() * 1e9);
            }
        }
    }

    /// Measures `round`, which deals with `items` at a time.
    #[inline(never)]
    fn every<R>(&mut self, items: u32, mut round: impl FnMut() -> R) {
        match self {
            Self::Count(rounds) => {
                for _ in 0..*rounds / u64::from(items) {
                    black_box(round());
                }
            }
            Self::Time(batches) => {
                let mut timed = |rounds: u64| {
                    let begun = Instant::now();
                    for _ in 0..rounds {
                        black_box(round());
                    }
                    begun.elapsed().as_nanos()
                };
                let mut rounds = 1;
                while timed(rounds) < BATCH_NS {
                    rounds *= 2;
                }
                #[expect(clippy::cast_precision_loss, reason = "far below 2^52")]
                batches
                    .extend((0..BATCHES).map(|_| timed(rounds) as f64 / (rounds * u64::from(items)) as f64));
            }
        }
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).filter(|word| word != "--bench").collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match *words {
        ["--list"] => operations::ALL.iter().for_each(|operation| println!("{}", operation.name)),
        ["--count", name, rounds] => {
            let operation = operations::ALL.iter().find(|operation| operation.name == name);
            let (Some(operation), Ok(rounds)) = (operation, rounds.parse()) else {
                eprintln!("usage: wire --count OPERATION ROUNDS, an operation of --list");
                return ExitCode::FAILURE;
            };
            (operation.run)(&mut Measure::Count(rounds));
        }
        ref parts => {
            println!("{:<36} {:>9} {:>9} {:>9}  ns per item: {BATCHES} batches", "", "median", "min", "max");
            let wanted = |name: &str| parts.iter().all(|part| name.contains(part));
            let all = operations::ALL.iter().chain(operations::LONG);
            all.filter(|operation| wanted(operation.name)).for_each(report);
        }
    }
    ExitCode::SUCCESS
}

fn report(operation: &Operation) {
    let mut measure = Measure::Time(Vec::new());
    (operation.run)(&mut measure);
    let Measure::Time(mut batches) = measure else { return };
    batches.sort_by(f64::total_cmp);
    let (Some(min), Some(max)) = (batches.first(), batches.last()) else { return };
    let median = batches[batches.len() / 2];
    println!("{:<36} {median:>9.1} {min:>9.1} {max:>9.1}", operation.name);
}
