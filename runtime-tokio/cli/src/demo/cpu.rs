//! What the demo costs in processor time.

use std::time::Duration;

/// The processor time that clients spent, as well as it can be told.
#[derive(Clone, Copy, Debug)]
pub(super) struct Spent {
    pub(super) time: Duration,
    /// Whether the broker's thread is left out of it.
    pub(super) without_broker: bool,
}

/// Measures from a moment on.
pub(super) struct CpuClock {
    process: Option<Duration>,
    broker: Option<Duration>,
}

impl CpuClock {
    pub(super) fn start() -> Self {
        Self { process: process_time(), broker: broker_time() }
    }

    /// User and system time of the process since the start, less that of the broker's thread; `None`
    /// where the system doesn't tell.
    pub(super) fn spent(&self) -> Option<Spent> {
        let process = process_time()?.saturating_sub(self.process?);
        let broker = broker_time().zip(self.broker).map(|(now, then)| now.saturating_sub(then));
        Some(Spent {
            time: process.saturating_sub(broker.unwrap_or_default()),
            without_broker: broker.is_some(),
        })
    }
}

#[cfg(unix)]
fn process_time() -> Option<Duration> {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Some(Duration::new(time.tv_sec.try_into().ok()?, time.tv_nsec.try_into().ok()?))
}

#[cfg(not(unix))]
fn process_time() -> Option<Duration> {
    None
}

/// The time of the thread that the broker in this process runs on. Linux alone tells; `None` as well
/// when there is no such thread.
fn broker_time() -> Option<Duration> {
    /// The first 15 characters of the thread's name are all that the system keeps.
    const NAME: &str = "rocketmq-dev-br";
    let threads = std::fs::read_dir("/proc/self/task").ok()?;
    threads.flatten().find_map(|thread| {
        let name = std::fs::read_to_string(thread.path().join("comm")).ok()?;
        if name.trim_end() != NAME {
            return None;
        }
        let statistics = std::fs::read_to_string(thread.path().join("schedstat")).ok()?;
        statistics.split(' ').next()?.parse().ok().map(Duration::from_nanos)
    })
}
