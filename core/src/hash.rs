//! The hasher of the core's hash maps: seeded from the client's seed, so that a peer can't choose
//! keys that collide, and equal in every run of a seed.

use core::hash::{BuildHasher, Hasher};

/// Builds hashers that all start from one seed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeededState {
    seed: u64,
}

impl SeededState {
    /// Hashers of this seed.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self { seed }
    }
}

impl BuildHasher for SeededState {
    type Hasher = SeededHasher;

    fn build_hasher(&self) -> SeededHasher {
        SeededHasher { state: self.seed }
    }
}

/// Multiply and fold, eight bytes at a time.
#[derive(Clone, Copy, Debug)]
pub struct SeededHasher {
    state: u64,
}

impl SeededHasher {
    const fn mix(&mut self, word: u64) {
        let product = (self.state ^ word) as u128 * 0x9E37_79B9_7F4A_7C15;
        self.state = (product >> 64) as u64 ^ product as u64;
    }
}

impl Hasher for SeededHasher {
    fn write(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.mix(u64::from_le_bytes(word));
        }
        self.mix(bytes.len() as u64);
    }

    fn write_u32(&mut self, word: u32) {
        self.mix(u64::from(word));
    }

    fn write_i32(&mut self, word: i32) {
        self.mix(u64::from(word.cast_unsigned()));
    }

    fn write_u64(&mut self, word: u64) {
        self.mix(word);
    }

    fn finish(&self) -> u64 {
        self.state
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_seed_gives_another_order() {
        let hash = |seed: u64, word: i32| SeededState::new(seed).hash_one(word);
        assert_eq!(hash(1, 5), hash(1, 5));
        assert_ne!(hash(1, 5), hash(2, 5));
        assert_ne!(hash(1, 5), hash(1, 6));
    }
}
