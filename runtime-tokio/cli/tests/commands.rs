//! The commands at work, on a broker in the test's own process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

use rocketmq_dev_broker::DevBroker;
use serde_json::Value;

fn rmq(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rmq"));
    command.args(arguments).env_remove("ROCKETMQ_NAMESRV").env_remove("RUST_LOG").stdin(Stdio::null());
    command
}

fn output(arguments: &[&str]) -> Output {
    rmq(arguments).output().expect("the binary runs")
}

#[track_caller]
fn succeeds(arguments: &[&str]) -> String {
    let output = output(arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {text}");
    String::from_utf8(output.stdout).expect("text")
}

fn object(text: &str) -> Value {
    serde_json::from_str(text.trim()).expect("one JSON object")
}

#[test]
fn the_demo_loses_nothing_when_a_consumer_dies() {
    let report = object(&succeeds(&["demo", "--messages", "3000", "--json"]));
    assert_eq!(report["sent"], 3_000);
    assert_eq!(report["stored"], 3_000);
    assert_eq!(report["consumed"], 3_000);
    assert_eq!(report["lost"], 0);
    assert!(report["unacked_at_cut"].as_u64() >= Some(500), "{report}");
}

#[test]
fn the_demo_notices_one_lost_message() {
    let output = output(&["demo", "--messages", "2000", "--lose-one", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let report = object(&String::from_utf8_lossy(&output.stdout));
    assert_eq!((&report["lost"], &report["ok"]), (&1.into(), &false.into()), "{report}");
    assert!(String::from_utf8_lossy(&output.stderr).contains("1 lost of 2000"));
}

#[test]
fn the_demo_runs_on_a_cluster_and_leaves_nothing_behind() {
    let broker = DevBroker::start().expect("a broker");
    let topics = || broker.with_broker(|broker| broker.topics().map(ToString::to_string).collect::<Vec<_>>());
    let before = topics();
    let report = object(&succeeds(&["demo", "--namesrv", &broker.addr(), "--messages", "2000", "--json"]));
    assert_eq!((&report["stored"], &report["lost"]), (&2_000.into(), &0.into()), "{report}");
    assert_eq!(topics(), before);
}

#[test]
fn what_is_sent_is_consumed_and_committed() {
    let broker = DevBroker::start().expect("a broker");
    let addr = broker.addr();
    let receipt = succeeds(&[
        "send",
        "--namesrv",
        &addr,
        "T",
        "hello",
        "--tag",
        "a",
        "--key",
        "k",
        "--property",
        "p=q",
    ]);
    assert!(receipt.starts_with("T@broker-a:") && receipt.contains(" offset 0 id "), "{receipt}");
    let group = ["consume", "--namesrv", &addr, "T", "--group", "g", "--from", "first"];
    let format = [&group[..], &["--count", "1", "--timeout", "20", "--format", "%t|%T|%k|%b\\n"]].concat();
    assert_eq!(succeeds(&format), "T|a|k|hello\n");
    // Committed: the group does not get it again, and says so.
    let again = output(&[&group[..], &["--count", "1", "--timeout", "0.5"]].concat());
    assert_eq!(again.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&again.stderr).contains("0 of 1 messages"));
}

#[test]
fn many_messages_end_in_a_summary() {
    let broker = DevBroker::start().expect("a broker");
    let summary = object(&succeeds(&[
        "send",
        "--namesrv",
        &broker.addr(),
        "T",
        "--size",
        "100",
        "--count",
        "500",
        "--json",
    ]));
    assert_eq!(summary["sent"], 500);
    assert!(summary["p99_ms"].as_f64() >= summary["p50_ms"].as_f64());
    let stored = broker.with_broker(|broker| broker.messages("T"));
    assert_eq!(stored.len(), 500);
    assert!(stored.iter().all(|message| message.raw_body().len() == 100));
    let oneway = succeeds(&["send", "--namesrv", &broker.addr(), "T", "x", "--count", "3", "--oneway"]);
    assert!(oneway.starts_with("3 handed to the network"), "{oneway}");
}

#[test]
fn messages_sent_in_batches_have_a_receipt_each() {
    let broker = DevBroker::start().expect("a broker");
    let arguments =
        ["send", "--namesrv", &broker.addr(), "T", "x", "--count", "10", "--batch", "4", "--json"];
    let summary = object(&succeeds(&arguments));
    assert_eq!((&summary["sent"], &summary["unconfirmed"]), (&10.into(), &0.into()));
    let stored = broker.with_broker(|broker| broker.messages("T"));
    let keys: Vec<_> = stored.iter().filter_map(|message| message.uniq_key()).collect();
    let receipts = summary["receipts"].as_array().expect("receipts");
    assert_eq!((stored.len(), receipts.len()), (10, 10));
    assert!(
        receipts.iter().all(|receipt| keys.contains(&receipt["id"].as_str().expect("an id"))),
        "{summary}"
    );
}

#[test]
fn each_line_of_standard_input_is_a_message() {
    let broker = DevBroker::start().expect("a broker");
    let mut child = rmq(&["send", "--namesrv", &broker.addr(), "T", "--file", "-", "--json"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    child.stdin.take().expect("its input").write_all(b"one\r\n\nthree").expect("it reads");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(object(&String::from_utf8_lossy(&output.stdout))["sent"], 2);
    let stored = broker.with_broker(|broker| broker.messages("T"));
    let mut bodies: Vec<_> = stored.iter().map(|message| message.raw_body().to_vec()).collect();
    bodies.sort();
    assert_eq!(bodies, [&b"one"[..], b"three"]);
}

#[test]
fn a_broker_tells_its_address_and_has_the_topics_asked_for() {
    let mut child = rmq(&["broker", "--port", "0", "--broker-port", "0", "--topics", "a:8,b"])
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let addr = lines.find_map(|line| Some(line.strip_prefix("export ROCKETMQ_NAMESRV=")?.to_owned()));
    let addr = addr.expect("a line to copy");
    let receipts = succeeds(&["send", "--namesrv", &addr, "a", "x", "--count", "64", "--receipts"]);
    let queues: std::collections::BTreeSet<_> = receipts
        .lines()
        .filter_map(|line| line.split(' ').next())
        .filter(|queue| queue.contains('@'))
        .collect();
    child.kill().expect("it runs");
    child.wait().expect("it ends");
    assert_eq!(queues.len(), 8, "{receipts}");
}

#[test]
fn a_topic_is_spread_over_the_brokers_and_name_servers_asked_for() {
    let several = ["--brokers", "3", "--name-servers", "2", "--topic", "a:2"];
    let mut child = rmq(&["broker", "--port", "0", "--broker-port", "0"])
        .args(several)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let addrs = lines.find_map(|line| Some(line.strip_prefix("export ROCKETMQ_NAMESRV='")?.to_owned()));
    let addrs = addrs.expect("a line to copy").trim_end_matches('\'').to_owned();
    assert_eq!(addrs.split(';').count(), 2, "{addrs}");
    for addr in addrs.split(';') {
        let receipts = succeeds(&["send", "--namesrv", addr, "a", "x", "--count", "64", "--receipts"]);
        for broker in ["a@broker-a:", "a@broker-b:", "a@broker-c:"] {
            assert!(receipts.contains(broker), "{broker} {receipts}");
        }
    }
    child.kill().expect("it runs");
    child.wait().expect("it ends");
}

#[test]
fn the_environment_and_completions_are_printed() {
    assert!(succeeds(&["env"]).contains("ROCKETMQ_NAMESRV"));
    assert!(object(&succeeds(&["env", "--json"]))["ROCKETMQ_NAMESRV"].is_object());
    assert!(succeeds(&["completions", "bash"]).contains("rmq"));
}
