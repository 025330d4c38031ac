//! Standard output for messages, and how many may still go there.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use crate::args::ConsumeArgs;
use crate::error::CliError;
use crate::format::{self, Format, Shown};
use crate::output;

#[derive(Debug)]
pub(crate) struct Printer {
    /// `None` prints JSON.
    format: Option<Format>,
    /// Whether a terminal reads it, which messages must not command.
    terminal: bool,
    /// Messages that nobody has undertaken to print yet; `None` is no limit.
    unclaimed: Option<AtomicU64>,
    printed: AtomicU64,
    undecodable: AtomicU64,
    buffer: Mutex<Vec<u8>>,
}

impl Printer {
    pub(crate) fn new(args: &ConsumeArgs) -> Self {
        Self {
            format: (!args.json).then(|| args.format.clone()),
            terminal: io::stdout().is_terminal(),
            unclaimed: args.count.map(AtomicU64::new),
            printed: AtomicU64::new(0),
            undecodable: AtomicU64::new(0),
            buffer: Mutex::new(Vec::new()),
        }
    }

    /// Undertakes to print one more. False when that would be too many.
    pub(crate) fn claim(&self) -> bool {
        let Some(unclaimed) = &self.unclaimed else { return true };
        unclaimed.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    pub(crate) fn unclaim(&self) {
        if let Some(unclaimed) = &self.unclaimed {
            unclaimed.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Whether as many as were asked for have been claimed.
    pub(crate) fn is_enough(&self) -> bool {
        self.unclaimed.as_ref().is_some_and(|unclaimed| unclaimed.load(Ordering::Relaxed) == 0)
    }

    /// Prints messages. `undecodable` says what becomes of those whose body can't be decoded.
    pub(crate) fn print<'a>(
        &self,
        batch: impl Iterator<Item = Shown<'a>>,
        undecodable: &str,
    ) -> io::Result<()> {
        let mut buffer = self.buffer.lock().unwrap_or_else(PoisonError::into_inner);
        buffer.clear();
        let mut count = 0;
        for message in batch {
            count += 1;
            if let Err(error) = &message.body {
                self.undecodable.fetch_add(1, Ordering::Relaxed);
                output::note(&format!("{} can't be decoded{undecodable}: {error}", message.place()));
            }
            match &self.format {
                Some(format) => format.write(&message, self.terminal, &mut buffer)?,
                None => format::json_line(&message, &mut buffer)?,
            }
        }
        let mut out = io::stdout().lock();
        out.write_all(&buffer)?;
        out.flush()?;
        self.printed.fetch_add(count, Ordering::Relaxed);
        Ok(())
    }

    /// How many messages were printed, in words.
    pub(crate) fn summary(&self) -> String {
        let mut told = format!("{} messages", output::grouped(self.printed.load(Ordering::Relaxed)));
        let undecodable = self.undecodable.load(Ordering::Relaxed);
        if undecodable > 0 {
            told += &format!(", {undecodable} of them undecodable");
        }
        told
    }

    /// Fails where fewer messages came than were asked for, before the time was over.
    pub(crate) fn check_count(&self, args: &ConsumeArgs, late: bool, hint: &str) -> Result<(), CliError> {
        let printed = self.printed.load(Ordering::Relaxed);
        match (args.count, args.timeout) {
            (Some(count), Some(timeout)) if late && printed < count => Err(CliError::Failed(format!(
                "{printed} of {count} messages came within {} s; check topic, filter and --from{hint}",
                timeout.as_secs_f64(),
            ))),
            _ => Ok(()),
        }
    }
}
