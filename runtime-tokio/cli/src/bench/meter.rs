//! What this process has cost so far, as the operating system counts it.

use std::fs;
use std::time::{Duration, Instant};

/// Counts from a start.
pub(super) struct Meter {
    begun: Instant,
    cpu: Option<Duration>,
    switches: Option<u64>,
}

/// What a [`Meter`] has counted. `None` is what this system does not tell.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Spent {
    pub(super) elapsed: Duration,
    /// User and system time of all threads.
    pub(super) cpu: Option<Duration>,
    /// How often a thread gave up its processor to wait.
    pub(super) switches: Option<u64>,
    /// The most memory that was resident since the process began.
    pub(super) peak_kb: Option<u64>,
}

impl Meter {
    pub(super) fn start() -> Self {
        let switches = switches();
        Self { switches, cpu: cpu(), begun: Instant::now() }
    }

    pub(super) fn stop(&self) -> Spent {
        let elapsed = self.begun.elapsed();
        let cpu = cpu().zip(self.cpu).map(|(now, then)| now.saturating_sub(then));
        let switches = switches().zip(self.switches).map(|(now, then)| now.saturating_sub(then));
        Spent { elapsed, cpu, switches, peak_kb: memory_kb("VmHWM") }
    }
}

#[cfg(unix)]
fn cpu() -> Option<Duration> {
    use rustix::time::{ClockId, clock_gettime};
    let spent = clock_gettime(ClockId::ProcessCPUTime);
    Some(Duration::new(spent.tv_sec.try_into().ok()?, spent.tv_nsec.try_into().ok()?))
}

#[cfg(not(unix))]
fn cpu() -> Option<Duration> {
    None
}

/// Of the threads that live now.
fn switches() -> Option<u64> {
    let tasks = fs::read_dir("/proc/self/task").ok()?.flatten();
    let counts = tasks.filter_map(|task| {
        let status = fs::read_to_string(task.path().join("status")).ok()?;
        field(&status, "voluntary_ctxt_switches")
    });
    Some(counts.sum())
}

/// `VmRSS` is resident now, `VmHWM` was at most.
pub(super) fn memory_kb(name: &str) -> Option<u64> {
    memory_kb_of(std::process::id(), name)
}

/// The same of another process.
pub(super) fn memory_kb_of(pid: u32, name: &str) -> Option<u64> {
    field(&fs::read_to_string(format!("/proc/{pid}/status")).ok()?, name)
}

fn field(status: &str, name: &str) -> Option<u64> {
    let rest = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'))?;
    rest.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let status = "VmHWM:\t    1234 kB\nnonvoluntary_ctxt_switches:\t7\nvoluntary_ctxt_switches:\t42\n";
        assert_eq!(field(status, "VmHWM"), Some(1_234));
        assert_eq!(field(status, "voluntary_ctxt_switches"), Some(42));
        assert_eq!(field(status, "VmRSS"), None);
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn work_is_counted() {
        let meter = Meter::start();
        let begun = Instant::now();
        let mut sum = 0_u64;
        while begun.elapsed() < Duration::from_millis(5) {
            sum = std::hint::black_box(sum + 1);
        }
        let spent = meter.stop();
        assert!(spent.cpu > Some(Duration::ZERO) && spent.peak_kb > Some(0), "{spent:?}");
    }
}
