//! Having a recorded run again: the same core, the same inputs, the same outputs; or the first place
//! where they differ.

use super::record::{Entry, Malformed, Reader, Trace, read_entry, read_start, shown};
use crate::client::{Client as ClientMachine, Input, Output};
use crate::time::Instant;
use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

/// What was replayed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replayed {
    /// Inputs that went in.
    pub inputs: u64,
    /// Outputs that came out.
    pub outputs: u64,
    /// The hash of all outputs, bodies and secrets left out.
    pub hash: String,
}

/// Why a run could not be had again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ReplayError {
    /// The bytes are not a recording.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// The core did something else than when it was recorded.
    #[error(transparent)]
    Difference(Box<Difference>),
}

/// The first place where a replay differs from its recording.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the first difference comes after input {input}, at {at_ms} ms: recorded were {recorded_outputs} outputs \
     so far with hash {recorded}, replayed {outputs} with hash {hash}; since the checkpoint before went in \
     {inputs:#?} and came out {texts:#?}"
)]
pub struct Difference {
    /// How many inputs had gone in.
    pub input: u64,
    /// The recorded time, in milliseconds of its monotonic clock.
    pub at_ms: u64,
    /// How many outputs there had been when recorded.
    pub recorded_outputs: u64,
    /// Their hash.
    pub recorded: String,
    /// How many outputs there have been now.
    pub outputs: u64,
    /// Their hash.
    pub hash: String,
    /// What went in since the checkpoint before.
    pub inputs: Vec<String>,
    /// What came out since the checkpoint before.
    pub texts: Vec<String>,
}

/// Replays a recording and compares what comes out.
///
/// # Errors
/// The bytes are not a recording, or the core did something else: then the first difference.
pub fn replay(recording: &[u8]) -> Result<Replayed, ReplayError> {
    let mut reader = Reader { left: recording };
    let client = read_start(&mut reader)?;
    let mut trace = Trace::default();
    trace.texts = Some(Vec::new());
    let mut replay = Replay { client, trace, inputs: 0, recent: Vec::new() };
    while let Some(entry) = read_entry(&mut reader)? {
        match entry {
            Entry::Input { now, input } => replay.input(now, input),
            Entry::Checkpoint { now, outputs, hash } => replay.checkpoint(now, outputs, hash)?,
        }
    }
    Ok(Replayed { inputs: replay.inputs, outputs: replay.trace.outputs(), hash: shown(replay.trace.hash()) })
}

struct Replay {
    client: ClientMachine,
    trace: Trace,
    inputs: u64,
    recent: Vec<String>,
}

impl Replay {
    fn input(&mut self, now: Instant, input: Input) {
        self.inputs += 1;
        self.recent.push(alloc::format!("{input:?}"));
        self.client.handle(now, input);
    }

    fn checkpoint(&mut self, now: Instant, recorded_outputs: u64, recorded: u128) -> Result<(), ReplayError> {
        loop {
            let output = self.client.poll_output(now);
            self.trace.output(&output);
            if matches!(output, Output::Wait(_)) {
                break;
            }
        }
        let inputs = core::mem::take(&mut self.recent);
        let texts = self.trace.texts.replace(Vec::new()).unwrap_or_default();
        if (self.trace.outputs(), self.trace.hash()) == (recorded_outputs, recorded) {
            return Ok(());
        }
        Err(ReplayError::Difference(Box::new(Difference {
            input: self.inputs,
            at_ms: now.as_millis(),
            recorded_outputs,
            recorded: shown(recorded),
            outputs: self.trace.outputs(),
            hash: shown(self.trace.hash()),
            inputs,
            texts,
        })))
    }
}
