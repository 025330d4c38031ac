//! The targets over their seeds, and over seeds with a byte changed or cut off.

extern crate std;

use super::{super::headers, *};
use crate::{
    message::fuzz::tests::{run_over, seeds},
    remoting::tests::unhex,
};
use alloc::{string::String, vec::Vec};
use proptest::prelude::*;

#[test]
fn the_seeds_of_frames_are_harmless() {
    run_over(&seeds("frame"), fuzz_frame);
}

#[test]
fn the_seeds_of_bodies_are_harmless() {
    run_over(&seeds("body"), fuzz_body);
}

#[test]
fn the_seeds_of_round_trips_come_back() {
    run_over(&seeds("roundtrip"), fuzz_roundtrip);
}

#[test]
fn every_frame_of_java_is_a_seed() {
    let seeds = seeds("frame");
    for line in include_str!("../../../../tests/golden/commands.jsonl").lines() {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        let frame = unhex(line["frame_hex"].as_str().unwrap());
        assert!(seeds.contains(&frame), "{}: run `fuzz/examples/seeds.rs`", line["name"]);
    }
}

#[test]
fn every_header_is_tried() {
    let probes: Vec<_> = headers::PROBES.iter().copied().flatten().collect();
    assert!(probes.len() >= 100, "{}", probes.len());
    for probe in &probes {
        // Every one takes fields; those that ask for none take all.
        let none = ExtFields::new();
        (probe.rewrite)(&none);
        (probe.generate)(&mut Source::new(&[255; 64]));
    }
    assert!(probes.iter().any(|probe| !(probe.rewrite)(&ExtFields::new())), "some want fields");
    assert!(probes.iter().filter(|probe| probe.code.is_some()).count() >= 70);
}

#[test]
fn nan_is_no_number() {
    let stats = super::super::BrokerStatsItem::decode(br#"{"tps":NaN}"#);
    assert!(stats.is_err(), "{stats:?}");
}

proptest! {
    #[test]
    fn any_bytes_are_harmless(bytes: Vec<u8>) {
        fuzz_frame(&bytes);
        fuzz_body(&bytes);
        fuzz_roundtrip(&bytes);
    }

    #[test]
    fn any_text_is_harmless(text: String) {
        fuzz_body(text.as_bytes());
    }

    #[test]
    fn what_is_made_of_any_bytes_comes_back(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        fuzz_roundtrip(&bytes);
    }
}
