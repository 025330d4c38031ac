//! What the process has cost, as the operating system counts it.

use std::fs;
use std::time::Duration;

/// Linux counts processor time in these units.
const TICK: Duration = Duration::from_millis(10);
/// The name of the dev broker's thread, as far as the system keeps names.
const BROKER_THREAD: &str = "rocketmq-dev-br";

/// Processor time since a start.
pub(crate) struct Meter {
    from: Option<Duration>,
}

impl Meter {
    /// Starts to count.
    pub(crate) fn start() -> Self {
        Self { from: spent() }
    }

    /// User and system time of all threads but the dev broker's; `None` where it can't be known.
    pub(crate) fn stop(self) -> Option<Duration> {
        Some(spent()?.saturating_sub(self.from?))
    }
}

fn spent() -> Option<Duration> {
    let (_, process) = read("/proc/self/stat")?;
    let tasks = fs::read_dir("/proc/self/task").ok()?.flatten();
    let threads = tasks.filter_map(|task| read(task.path().join("stat").to_str()?));
    let brokers: Duration = threads.filter(|(name, _)| name == BROKER_THREAD).map(|(_, spent)| spent).sum();
    Some(process.saturating_sub(brokers))
}

/// User and system time of the process whose `/proc/PID/stat` this is.
pub(crate) fn of_process(stat: &str) -> Option<Duration> {
    parse(stat).map(|(_, spent)| spent)
}

fn read(path: &str) -> Option<(String, Duration)> {
    parse(&fs::read_to_string(path).ok()?)
}

/// `pid (name) state …`: user and system time are the 12th and 13th field after the name.
fn parse(stat: &str) -> Option<(String, Duration)> {
    let (head, rest) = stat.rsplit_once(')')?;
    let name = head.split_once('(')?.1.to_owned();
    let mut fields = rest.split_whitespace().skip(11);
    let ticks: u32 = fields.next()?.parse::<u32>().ok()?.checked_add(fields.next()?.parse().ok()?)?;
    Some((name, TICK * ticks))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_blanks_and_brackets_does_not_shift_the_fields() {
        let stat = "42 (a ) b) S 1 1 1 0 -1 4194560 1 0 0 0 150 50 0 0 20 0 1 0 100 0 0";
        assert_eq!(parse(stat), Some(("a ) b".to_owned(), Duration::from_secs(2))));
    }
}
