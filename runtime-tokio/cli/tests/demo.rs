//! The demo proves what it says, and would notice a loss.

mod common;

use common::rmq;
use serde_json::Value;

fn demo(args: &[&str]) -> (Option<i32>, Value, String) {
    let ran = rmq(&[&["demo", "--messages", "5000", "--json"], args].concat());
    let outcome = serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"));
    (ran.code, outcome, ran.stderr)
}

#[test]
fn a_killed_consumer_loses_nothing() {
    let (code, outcome, told) = demo(&[]);
    assert_eq!(code, Some(0), "{outcome} {told}");
    assert_eq!(outcome["lost"], 0);
    assert_eq!(outcome["in_log"], 5_000);
    assert_eq!(outcome["consumed"], 5_000);
    assert!(outcome["in_hand_at_death"].as_u64() >= Some(500), "{outcome}");
    assert!(outcome["p50_ms"].as_f64() <= outcome["p99_ms"].as_f64(), "{outcome}");
}

#[test]
fn a_lost_message_is_noticed() {
    let (code, outcome, told) = demo(&["--lose-one"]);
    assert_eq!(code, Some(1), "{outcome} {told}");
    assert_eq!(outcome["lost"], 1);
    assert!(told.contains("error:"), "{told}");
}
