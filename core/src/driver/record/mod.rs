//! Recording a client, so that its run can be had again without its network: every input as the core
//! got it, and a running hash of its outputs.
//!
//! ```text
//! "rmqrec4\n"  seed  started  wall  facts  configuration
//! then entries:  length  kind  time  …
//!   input       what went in; bodies of messages as lengths
//!   checkpoint  outputs so far, and their hash
//! ```
//! A replay decides the same, because no decision reads a body.

mod codec;
mod frames;
mod trace;
mod values;

use super::std;
use alloc::vec::Vec;
use core::fmt;

use std::io::{self, BufWriter, Write};

pub use self::codec::Malformed;
pub(super) use self::codec::Reader;
pub(super) use self::trace::{Trace, shown};

use self::codec::Recorded;
use crate::client::{Client as ClientMachine, Input, Output};
use crate::config::{ClientConfig, HostFacts};
use crate::time::{Instant, Timestamp};

/// How a recording begins.
const MAGIC: &[u8; 8] = b"rmqrec4\n";

/// Sees everything that goes into the core and comes out of it, in order.
pub trait Tap: Send + 'static {
    /// A client is made from these.
    fn start(&mut self, start: &Start<'_>);

    /// Goes in.
    fn input(&mut self, now: Instant, input: &Input);

    /// Came out.
    fn output(&mut self, now: Instant, output: &Output);
}

/// What a client is made from.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// Its settings.
    pub config: &'a ClientConfig,
    /// What the host knows of itself.
    pub facts: &'a HostFacts,
    /// The seed of all randomness.
    pub seed: u64,
    /// The monotonic clock.
    pub now: Instant,
    /// The wall clock.
    pub wall: Timestamp,
}

/// A [`Tap`] that writes a recording. Bodies of messages and secrets don't go into it; topics, groups,
/// properties and addresses do. When writing fails, it stops with a warning and the client goes on.
pub struct Recorder<W: Write + Send + 'static> {
    out: Option<BufWriter<W>>,
    trace: Trace,
    entry: Vec<u8>,
}

impl<W: Write + Send + 'static> fmt::Debug for Recorder<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Recorder").field("outputs", &self.trace.outputs()).finish_non_exhaustive()
    }
}

impl<W: Write + Send + 'static> Recorder<W> {
    /// Records into `out`, which is complete when the client has ended.
    pub fn new(out: W) -> Self {
        Self { out: Some(BufWriter::new(out)), trace: Trace::default(), entry: Vec::new() }
    }

    fn put(&mut self, write: impl FnOnce(&mut BufWriter<W>, &[u8]) -> io::Result<()>) {
        if let Some(out) = &mut self.out
            && let Err(error) = write(out, &self.entry)
        {
            tracing::warn!(%error, "the recording stops here");
            self.out = None;
        }
        self.entry.clear();
    }

    fn put_entry(&mut self) {
        self.put(|out, entry| {
            out.write_all(&(entry.len() as u64).to_le_bytes())?;
            out.write_all(entry)
        });
    }
}

impl<W: Write + Send + 'static> Tap for Recorder<W> {
    fn start(&mut self, start: &Start<'_>) {
        self.entry.extend_from_slice(MAGIC);
        start.seed.write(&mut self.entry);
        start.now.write(&mut self.entry);
        start.wall.write(&mut self.entry);
        start.facts.write(&mut self.entry);
        start.config.write(&mut self.entry);
        self.put(|out, entry| out.write_all(entry));
    }

    fn input(&mut self, now: Instant, input: &Input) {
        self.entry.push(KIND_INPUT);
        now.write(&mut self.entry);
        input.write(&mut self.entry);
        self.put_entry();
    }

    fn output(&mut self, now: Instant, output: &Output) {
        self.trace.output(output);
        if matches!(output, Output::Wait(_)) {
            self.entry.push(KIND_CHECKPOINT);
            now.write(&mut self.entry);
            self.trace.outputs().write(&mut self.entry);
            self.trace.hash().write(&mut self.entry);
            self.put_entry();
        }
    }
}

const KIND_INPUT: u8 = 1;
const KIND_CHECKPOINT: u8 = 2;

/// One entry of a recording.
pub(super) enum Entry {
    Input { now: Instant, input: Input },
    Checkpoint { now: Instant, outputs: u64, hash: u128 },
}

/// Reads how a recording begins, and makes the client that it began with.
pub(super) fn read_start(reader: &mut Reader<'_>) -> Result<ClientMachine, Malformed> {
    if reader.bytes(MAGIC.len())? != MAGIC {
        return Err(Malformed { what: "it does not begin as one" });
    }
    let seed = u64::read(reader)?;
    let now = Instant::read(reader)?;
    let wall = Timestamp::read(reader)?;
    let facts = HostFacts::read(reader)?;
    let config = ClientConfig::read(reader)?;
    Ok(ClientMachine::new(config.into(), &facts, seed, now, wall))
}

/// Reads the next entry; `None` at the end. A last entry that is not whole, as a crash leaves it,
/// counts as the end.
pub(super) fn read_entry(reader: &mut Reader<'_>) -> Result<Option<Entry>, Malformed> {
    let Ok(entry) = usize::read(reader).and_then(|count| reader.bytes(count)) else { return Ok(None) };
    let mut entry = Reader { left: entry };
    let kind = u8::read(&mut entry)?;
    let now = Instant::read(&mut entry)?;
    match kind {
        KIND_INPUT => Ok(Some(Entry::Input { now, input: Input::read(&mut entry)? })),
        KIND_CHECKPOINT => {
            let (outputs, hash) = (u64::read(&mut entry)?, u128::read(&mut entry)?);
            Ok(Some(Entry::Checkpoint { now, outputs, hash }))
        }
        _ => Err(Malformed { what: "an entry of an unknown kind" }),
    }
}
