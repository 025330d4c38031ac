//! What happened, as a 128-bit hash: two runs of a seed are the same run when it is equal.

use std::fmt;

use rocketmq_client_core::time::Instant;

/// A hash of everything that happened, in order. Not for secrets.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceHash {
    high: u64,
    low: u64,
}

impl Default for TraceHash {
    fn default() -> Self {
        Self { high: 0x243F_6A88_85A3_08D3, low: 0x1319_8A2E_0370_7344 }
    }
}

impl fmt::Display for TraceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}{:016x}", self.high, self.low)
    }
}

impl fmt::Debug for TraceHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TraceHash {
    /// Adds a word.
    pub fn word(&mut self, word: u64) {
        self.high = fold(self.high ^ word, 0x9E37_79B9_7F4A_7C15);
        self.low = fold(self.low.rotate_left(23) ^ word, 0xD1B5_4A32_D192_ED03).wrapping_add(self.high);
    }

    /// Adds bytes and their number.
    pub fn bytes(&mut self, bytes: &[u8]) {
        let mut chunks = bytes.chunks_exact(8);
        for chunk in &mut chunks {
            self.word(u64::from_le_bytes(chunk.try_into().expect("a chunk has eight bytes")));
        }
        let mut last = [0; 8];
        last[..chunks.remainder().len()].copy_from_slice(chunks.remainder());
        self.word(u64::from_le_bytes(last));
        self.word(bytes.len() as u64);
    }

    /// Adds another hash.
    pub fn join(&mut self, other: Self) {
        self.word(other.high);
        self.word(other.low);
    }
}

fn fold(value: u64, factor: u64) -> u64 {
    let product = u128::from(value | 1) * u128::from(factor);
    (product >> 64) as u64 ^ product as u64 ^ value.rotate_left(32)
}

/// The events of a run: counted and hashed, and kept as text where somebody wants to read them.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) hash: TraceHash,
    pub(crate) events: u64,
    lines: Option<Vec<String>>,
}

impl Trace {
    pub(crate) fn new(keep_lines: bool) -> Self {
        Self { lines: keep_lines.then(Vec::new), ..Self::default() }
    }

    /// Something happened.
    pub(crate) fn event(&mut self, now: Instant, kind: &'static str, node: u32, bytes: &[u8]) {
        self.events += 1;
        self.hash.word(now.as_nanos());
        self.hash.bytes(kind.as_bytes());
        self.hash.word(u64::from(node));
        self.hash.bytes(bytes);
    }

    /// Words for people; they do not count.
    pub(crate) fn note(&mut self, now: Instant, text: impl FnOnce() -> String) {
        if let Some(lines) = &mut self.lines {
            let micros = now.as_nanos() / 1_000;
            lines.push(format!("{:>6}.{:06} {}", micros / 1_000_000, micros % 1_000_000, text()));
        }
    }

    pub(crate) fn take_lines(&mut self) -> Vec<String> {
        self.lines.take().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(bytes: &[u8]) -> TraceHash {
        let mut hash = TraceHash::default();
        hash.bytes(bytes);
        hash
    }

    #[test]
    fn every_bit_the_length_and_the_order_count() {
        assert_eq!(hash(b"eight by"), hash(b"eight by"));
        let other: [&[u8]; 5] = [b"eight bz", b"eight by\0", b"eight b", b"", b"\0"];
        for bytes in other {
            assert_ne!(hash(bytes), hash(b"eight by"), "{bytes:?}");
        }
        let (mut ab, mut ba) = (TraceHash::default(), TraceHash::default());
        ab.word(1);
        ab.word(2);
        ba.word(2);
        ba.word(1);
        assert_ne!(ab, ba);
    }

    #[test]
    fn notes_are_kept_only_where_they_are_wanted() {
        let mut silent = Trace::new(false);
        silent.note(Instant::ZERO, || unreachable!("nobody reads it"));
        let mut read = Trace::new(true);
        read.note(Instant::from_millis(1_500), || "cut".to_owned());
        assert_eq!(read.take_lines(), ["     1.500000 cut"]);
    }
}
