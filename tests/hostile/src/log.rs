//! Counts what is logged at the default level, by second of the run's own time.

use std::collections::BTreeMap;
use std::fmt::{self, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rocketmq_client_core::time::Instant;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// The second of the run.
static SECOND: AtomicU64 = AtomicU64::new(0);
static LINES: Mutex<Lines> =
    Mutex::new(Lines { by_second: BTreeMap::new(), longest: 0, raw: 0, first: Vec::new() });

/// What was logged.
#[derive(Clone, Debug)]
pub struct Lines {
    /// How many lines there were in each second.
    pub by_second: BTreeMap<u64, usize>,
    /// Characters of the longest.
    pub longest: usize,
    /// Lines with control characters in them.
    pub raw: usize,
    /// The first lines, cut short, for whoever looks why.
    pub first: Vec<String>,
}

/// Lines that are kept.
const KEPT: usize = 40;

/// Tells what time it is. Whoever calls: servers are called all the time.
pub(crate) fn set_now(now: Instant) {
    SECOND.store(now.as_millis() / 1_000, Ordering::Relaxed);
}

/// What was logged so far.
pub fn lines() -> MutexGuard<'static, Lines> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Counts, and drops what it has counted.
#[derive(Debug)]
pub struct Counting;

struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let _ = write!(self.0, " {}={value:?}", field.name());
    }
}

impl Subscriber for Counting {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::INFO
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        // The servers' own lines say nothing of the client.
        if event.metadata().target().starts_with("rocketmq_dev_broker") {
            return;
        }
        let mut text = Text(event.metadata().level().to_string());
        event.record(&mut text);
        let mut lines = lines();
        *lines.by_second.entry(SECOND.load(Ordering::Relaxed)).or_default() += 1;
        lines.longest = lines.longest.max(text.0.chars().count());
        lines.raw += usize::from(text.0.chars().any(char::is_control));
        if lines.first.len() < KEPT {
            lines.first.push(text.0.chars().take(300).collect());
        }
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}
