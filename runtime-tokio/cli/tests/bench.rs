//! `rmq bench` through the binary: that it measures, and what its JSON object looks like.

use std::process::{Command, Output, Stdio};

use serde_json::Value;

fn rmq(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rmq"));
    command.args(arguments).env_remove("ROCKETMQ_NAMESRV").env_remove("RUST_LOG").stdin(Stdio::null());
    command.output().expect("the binary runs")
}

#[track_caller]
fn bench(arguments: &[&str]) -> Value {
    let output = rmq(&[&["bench"], arguments, &["--json"]].concat());
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {text}");
    serde_json::from_slice(&output.stdout).expect("one JSON object")
}

/// Figures that every run has.
#[track_caller]
fn assert_figures(object: &Value) {
    assert_eq!(object["failed"], 0, "{object}");
    assert!(object["msgs_per_s"].as_f64() > Some(0.0), "{object}");
    if cfg!(target_os = "linux") {
        assert!(object["cpu_us_per_msg"].as_f64() > Some(0.0), "{object}");
        assert!(object["rss_mb"].as_f64() > Some(0.0), "{object}");
        assert!(object["switches_per_msg"].is_number(), "{object}");
    }
}

#[track_caller]
fn assert_pairs(object: &Value, pairs: u64) {
    assert_eq!(object["pairs"], pairs, "{object}");
    assert_figures(object);
    assert_figures(&object["limit"]);
    assert!(object["limit"]["syscalls_per_msg"].as_f64() > Some(0.0), "{object}");
    let ratio = &object["ratio"]["msgs_per_s"];
    assert!(ratio["min"].as_f64() <= ratio["median"].as_f64(), "{object}");
    assert!(ratio["median"].as_f64() <= ratio["max"].as_f64(), "{object}");
}

#[test]
fn sends_of_every_mode_and_adapter_are_measured_beside_the_limit() {
    for adapter in ["tokio", "tokio-current-thread", "blocking"] {
        for mode in ["sync", "async", "oneway", "batch"] {
            let arguments = ["send", "--null", "--adapter", adapter, "--mode", mode, "--count", "300"];
            let object =
                bench(&[&arguments[..], &["--with-limit", "--pairs", "2", "--callers", "3"]].concat());
            assert_pairs(&object, 2);
            assert_eq!((&object["mode"], &object["adapter"]), (&mode.into(), &adapter.into()));
            assert_eq!(object["limit"]["p50_us"].is_null(), mode == "oneway", "{object}");
            assert!(object["p50_us"].is_number() && object["p99_us"].is_number(), "{object}");
        }
    }
}

#[test]
fn batches_are_counted_by_their_messages_beside_single_ones() {
    for server in ["--null", "--dev-broker"] {
        let arguments = ["send", server, "--mode", "batch", "--batch", "8", "--count", "300", "--with-limit"];
        let object = bench(&[&arguments[..], &["--in-flight", "32", "--pairs", "1"]].concat());
        assert_pairs(&object, 1);
        // Whole batches, four of them under way.
        assert_eq!(
            (&object["count"], &object["batch"], &object["in_flight"]),
            (&304.into(), &8.into(), &32.into())
        );
        assert_eq!(object["limit_in_flight"], 32);
    }
}

#[test]
fn deliveries_are_measured_beside_the_limit() {
    for server in ["--null", "--dev-broker"] {
        for adapter in ["tokio", "tokio-current-thread", "blocking"] {
            let arguments = ["consume", server, "--adapter", adapter, "--count", "1000", "--queues", "3"];
            let object = bench(&[&arguments[..], &["--with-limit", "--pairs", "1"]].concat());
            assert_pairs(&object, 1);
            // Whole pulls of every queue.
            assert_eq!(object["count"], 1_056, "{object}");
        }
    }
}

#[test]
fn a_rate_is_kept() {
    let object = bench(&["send", "--null", "--mode", "async", "--count", "200", "--rate", "2000"]);
    assert!(object["msgs_per_s"].as_f64() < Some(2_100.0), "{object}");
    assert!(object["limit"].is_null() && object["ratio"].is_null(), "{object}");
}

#[test]
fn the_way_from_send_to_handler_is_measured() {
    for adapter in ["tokio", "tokio-current-thread", "blocking"] {
        let arguments = ["latency", "--adapter", adapter, "--count", "200", "--rate", "2000", "--with-limit"];
        let object = bench(&[&arguments[..], &["--pairs", "1"]].concat());
        assert_pairs(&object, 1);
        assert!(object["p99_us"].as_f64() >= object["p50_us"].as_f64(), "{object}");
        let bare = &object["bare_delivery"];
        assert!(bare["failed"] == 0 && bare["p99_us"].as_f64() >= bare["p50_us"].as_f64(), "{object}");
        assert!(object["ratio_to_bare_delivery"]["p50_us"]["median"].as_f64() > Some(0.0), "{object}");
    }
}

#[test]
fn an_idle_consumer_and_a_start_are_measured() {
    let object = bench(&["idle", "--null", "--seconds", "1"]);
    assert!(object["seconds"].as_f64() >= Some(1.0), "{object}");
    if cfg!(target_os = "linux") {
        for figure in ["cpu_ms_per_s", "wakeups_per_minute", "rss_mb", "threads"] {
            assert!(object[figure].is_number(), "{figure}: {object}");
        }
    }
    let object = bench(&["start", "--times", "2", "--adapter", "blocking"]);
    for figure in ["process_send_exit_ms", "connect_send_close_ms", "consumer_first_message_ms"] {
        assert!(object[figure]["min"].as_f64() > Some(0.0), "{figure}: {object}");
    }
}

#[test]
fn brokers_are_started_alone_and_together_and_leave_nothing() {
    let object = bench(&["broker", "--times", "2", "--brokers", "3"]);
    assert!(object["start_to_ready_ms"]["median"].as_f64().is_some_and(|ms| ms > 0.0), "{object}");
    let many = &object["many"];
    assert!(many["start_serve_stop_ms"].as_f64().is_some_and(|ms| ms > 0.0), "{object}");
    if cfg!(target_os = "linux") {
        assert_eq!(
            (many["threads_left"].as_u64(), many["files_left"].as_u64()),
            (Some(0), Some(0)),
            "{object}"
        );
    }
}

#[test]
fn a_measurement_that_can_not_be_is_refused() {
    let output = rmq(&["bench", "latency", "--null"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("null server delivers nothing"));
}
