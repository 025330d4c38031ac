//! The parts of a measurement that are not the client's.

use super::args::{BenchCommand, Mode};
use super::block::{Outcome, Spec};
use super::frames::Frames;
use super::limit::{Answers, Job, Limit};
use super::pace::Pace;
use crate::error::CliError;

/// Round trips by which the latency of a delivery is judged.
const ROUND_TRIPS: u64 = 2_000;

/// The limit's part.
pub(super) fn limit(command: &BenchCommand, spec: &Spec) -> Result<Outcome, CliError> {
    let mut limit = Limit::connect(&spec.broker)?;
    match command {
        BenchCommand::Send(args) => {
            let window = args.limit_window();
            let frames = |oneway| Frames::sends(&spec.topic, args.queues, args.size, window, oneway);
            let two_way = frames(false);
            limit.learn(&two_way)?;
            let pace = Pace::new(args.rate, 1);
            let job = |frames| Job { frames, window, pace, answers: Answers::Receipts };
            if args.mode == Mode::Oneway {
                return limit.run_oneway(&frames(true), &two_way, job(args.count()));
            }
            let warm_up = limit.run(&two_way, job((args.count() / 10).max(1)))?.done;
            Ok(Outcome { warm_up, ..limit.run(&two_way, job(args.count()))? })
        }
        BenchCommand::Consume(args) => {
            let pulls = Frames::pulls(&spec.topic, &spec.group, args.queues, args.queue_count());
            limit.learn(&pulls)?;
            let (frames, window) = (pulls.len() as u64, usize::from(args.queues));
            let pace = Pace::new(None, 1);
            limit.run(&pulls, Job { frames, window, pace, answers: Answers::Messages })
        }
        BenchCommand::Latency(args) => {
            let sends = Frames::sends(&spec.topic, args.queues, args.size, usize::from(args.queues), false);
            limit.learn(&sends)?;
            let pace = Pace::new(None, 1);
            let job = Job { frames: ROUND_TRIPS, window: 1, pace, answers: Answers::Receipts };
            limit.run(&sends, job)?;
            limit.run(&sends, job)
        }
        _ => Err(CliError::Failed("there is no limit for that".to_owned())),
    }
}

/// What a bare program sees from end to end.
pub(super) fn delivery(command: &BenchCommand, spec: &Spec) -> Result<Outcome, CliError> {
    match command {
        BenchCommand::Latency(args) => super::delivery::run(args, spec),
        _ => Err(CliError::Failed("nothing is delivered in that".to_owned())),
    }
}
