//! The target over its seeds, over seeds with a byte changed or cut off, and over what its parts make.

extern crate std;

use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;

/// The seeds of a target, which `fuzz/examples/seeds.rs` makes of the golden vectors.
pub(crate) fn seeds(target: &str) -> Vec<Vec<u8>> {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut seeds: Vec<_> = std::fs::read_dir(folder)
        .expect("the seeds are committed")
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "seed"))
        .map(|path| std::fs::read(path).unwrap())
        .collect();
    seeds.sort();
    assert!(seeds.len() >= 10, "{target} has {} seeds", seeds.len());
    seeds
}

/// Runs `target` over `seeds` as they are, and over each with one byte changed and cut at one place, which
/// move on from seed to seed.
pub(crate) fn run_over(seeds: &[Vec<u8>], target: fn(&[u8])) {
    for (number, seed) in seeds.iter().enumerate() {
        target(seed);
        let at = number * 7 % seed.len();
        target(&seed[..at]);
        let mut changed = seed.clone();
        changed[at] = changed[at].wrapping_add(1 << (number % 8));
        target(&changed);
    }
}

#[test]
fn the_seeds_are_harmless() {
    run_over(&seeds("message"), fuzz_message);
}

proptest! {
    #[test]
    fn any_bytes_are_harmless(bytes: Vec<u8>) {
        fuzz_message(&bytes);
    }

    #[test]
    fn what_is_made_of_any_bytes_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        roundtrip(&mut Source::new(&bytes));
    }
}
