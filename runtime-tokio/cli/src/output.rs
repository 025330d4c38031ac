//! What goes to standard output and standard error. Nothing here panics when a reader has gone.

use std::io::{self, ErrorKind, IsTerminal, Write};
use std::process::ExitCode;

use serde_json::Value;

use crate::error::Failure;

/// How results are shown.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Output {
    json: bool,
}

impl Output {
    pub(crate) fn new(json: bool) -> Self {
        Self { json }
    }

    /// Whether results are JSON.
    pub(crate) fn is_json(self) -> bool {
        self.json
    }

    /// Whether somebody watches: bars and asides are for eyes only.
    pub(crate) fn is_watched(self) -> bool {
        !self.json && io::stderr().is_terminal()
    }

    /// Writes text as it is.
    pub(crate) fn text(self, text: &str) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        written(stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()))
    }

    /// Writes a line.
    pub(crate) fn line(self, line: &str) -> Result<(), Failure> {
        self.text(&format!("{line}\n"))
    }

    /// Writes a JSON object on a line of its own.
    pub(crate) fn object(self, object: &Value) -> Result<(), Failure> {
        self.line(&object.to_string())
    }

    /// Says something that is no result; not in JSON.
    pub(crate) fn aside(self, text: &str) {
        if !self.json {
            say(text);
        }
    }

    /// Tells a failure and gives its exit code.
    pub(crate) fn failed(self, failure: &Failure) -> ExitCode {
        if !matches!(failure, Failure::BrokenPipe) {
            say(&format!("error: {failure}"));
        }
        ExitCode::from(failure.exit_code())
    }
}

/// A line on standard error; nothing is left to do when that is closed.
fn say(text: &str) {
    drop(writeln!(io::stderr().lock(), "{text}"));
}

fn written(result: io::Result<()>) -> Result<(), Failure> {
    result.map_err(|error| match error.kind() {
        ErrorKind::BrokenPipe => Failure::BrokenPipe,
        _ => Failure::io("standard output can't be written", error),
    })
}
