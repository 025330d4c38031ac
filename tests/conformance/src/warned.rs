//! What clients have warned of, for scenarios that look at it. The log is one for the whole process, so a
//! scenario counts the lines that name its topic.

use std::io::{self, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Lines that are kept.
const LINES_MAX: usize = 10_000;

static LINES: Mutex<Option<Vec<String>>> = Mutex::new(None);

fn lines() -> MutexGuard<'static, Option<Vec<String>>> {
    LINES.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Takes the lines of a log at `warn`, one with each write, and keeps them.
#[derive(Clone, Copy, Debug)]
pub struct WarningLog(());

impl WarningLog {
    /// From now on lines are kept.
    #[must_use]
    pub fn begin() -> Self {
        lines().get_or_insert_default();
        Self(())
    }
}

impl Write for WarningLog {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if let Some(lines) = lines().as_mut().filter(|lines| lines.len() < LINES_MAX) {
            lines.push(String::from_utf8_lossy(bytes).trim_end().to_owned());
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The warnings from a moment on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Warnings {
    from: usize,
}

impl Warnings {
    /// From now on; `None` where nobody keeps them.
    pub(crate) fn from_now() -> Option<Self> {
        lines().as_ref().map(|lines| Self { from: lines.len() })
    }

    /// Those that have this word in them.
    pub(crate) fn with(self, word: &str) -> Vec<String> {
        let lines = lines();
        let since = lines.iter().flatten().skip(self.from);
        since.filter(|line| line.contains(word)).cloned().collect()
    }
}
