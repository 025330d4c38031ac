//! The commands against a broker, through the binary.

mod common;

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Read};
use std::process::Command;

use common::{Ran, rmq, rmq_with_input};
use rocketmq_dev_broker::DevBroker;
use serde_json::Value;

#[track_caller]
fn succeeds(ran: Ran) -> Ran {
    assert_eq!(ran.code, Some(0), "{ran:?}");
    ran
}

fn json(ran: &Ran) -> Value {
    serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {}", ran.stdout))
}

#[test]
fn a_receipt_says_where_the_message_is() {
    let broker = DevBroker::start().expect("a broker");
    let args = ["send", "T", "hello", "-t", "A", "-k", "k1", "-k", "k2", "-p", "colour=red"];
    let ran = succeeds(rmq(&[&args[..], &["--namesrv", &broker.addr()]].concat()));
    let stored = broker.with_broker(|broker| broker.messages("T"));
    let [message] = &stored[..] else { panic!("one message, not {}", stored.len()) };
    assert_eq!(&message.raw_body()[..], b"hello");
    assert_eq!(message.tags(), Some("A"));
    assert_eq!(message.keys().collect::<Vec<_>>(), ["k1", "k2"]);
    assert_eq!(message.property("colour"), Some("red"));
    let queue = message.queue_id;
    assert_eq!(ran.stdout, format!("T@broker-a:{queue} offset 0 id {}\n", message.msg_id()));
    assert_eq!(ran.stderr, "", "quiet when healthy");
}

#[test]
fn the_lines_of_a_file_come_out_again() {
    let broker = DevBroker::start().expect("a broker");
    let lines: BTreeSet<String> = (0..1_000).map(|number| format!("line {number}")).collect();
    let input: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let args = ["send", "T", "--file", "-", "--json", "--namesrv", &broker.addr()];
    let sent = json(&succeeds(rmq_with_input(&args, input.as_bytes())));
    assert_eq!(sent["sent"], 1_000);
    assert_eq!(sent["unconfirmed"], 0);
    let consume = |count: &str, workers: &str| {
        let args = ["consume", "T", "-g", "g", "--from", "first", "--timeout", "60", "--format", r"%b\n"];
        let rest = ["-n", count, "--workers", workers, "--namesrv", &broker.addr()];
        succeeds(rmq(&[&args[..], &rest].concat()))
    };
    // Exactly as many as were asked for, and the group goes on where it stopped.
    let (first, second) = (consume("300", "1"), consume("700", "4"));
    let printed: Vec<&str> = first.stdout.lines().chain(second.stdout.lines()).collect();
    assert_eq!(first.stdout.lines().count(), 300);
    assert_eq!(printed.len(), 1_000, "none twice");
    assert_eq!(printed.into_iter().map(String::from).collect::<BTreeSet<_>>(), lines);
    let stored = broker.with_broker(|broker| broker.messages("%RETRY%g").len());
    assert_eq!(stored, 0, "nothing was sent back");
}

#[test]
fn a_message_as_json_keeps_a_body_that_is_no_text() {
    let broker = DevBroker::start().expect("a broker");
    let args = ["send", "T", "--file", "-", "--namesrv", &broker.addr()];
    succeeds(rmq_with_input(&args, b"\xff\xfe\n"));
    let args = ["consume", "T", "-g", "g", "--from", "first", "-n", "1", "--json", "--timeout", "60"];
    let message = json(&succeeds(rmq(&[&args[..], &["--namesrv", &broker.addr()]].concat())));
    assert_eq!(message["body_base64"], "//4=");
    assert_eq!(message["topic"], "T");
    assert_eq!(message["offset"], 0);
    assert_eq!(message["tags"], Value::Null);
}

#[test]
fn a_rate_is_kept() {
    let broker = DevBroker::start().expect("a broker");
    let args = ["send", "T", "x", "-n", "11", "--rate", "20", "--json", "--namesrv", &broker.addr()];
    let sent = json(&succeeds(rmq(&args)));
    assert_eq!(sent["sent"], 11);
    assert!(sent["elapsed_ms"].as_f64() >= Some(500.0), "ten pauses of 50 ms at least: {sent}");
}

#[test]
fn a_reader_that_goes_away_is_no_failure_and_loses_nothing() {
    let broker = DevBroker::start().expect("a broker");
    succeeds(rmq(&["send", "T", "--size", "1000", "-n", "5000", "--json", "--namesrv", &broker.addr()]));
    let args =
        ["consume", "T", "-g", "g", "--from", "first", "--namesrv", &broker.addr(), "--format", r"%i\n"];
    let mut child = common::command(&args).spawn().expect("it starts");
    let mut seen = BTreeSet::new();
    let mut reader = BufReader::with_capacity(64, child.stdout.take().expect("a pipe"));
    for _ in 0..3 {
        let mut line = String::new();
        reader.read_line(&mut line).expect("a line");
        seen.insert(line);
    }
    drop(reader);
    let mut told = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut told).expect("text");
    let status = child.wait().expect("it ends");
    assert!(status.success(), "{told}");
    assert!(!told.contains("panicked") && !told.contains("error"), "{told}");
}

#[test]
#[cfg(unix)]
fn ctrl_c_commits_what_was_printed() {
    let broker = DevBroker::start().expect("a broker");
    succeeds(rmq(&["send", "T", "x", "-n", "50", "--json", "--namesrv", &broker.addr()]));
    let args =
        ["consume", "T", "-g", "g", "--from", "first", "--namesrv", &broker.addr(), "--format", r"%i\n"];
    let mut child = common::command(&args).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
    let printed: BTreeSet<String> = lines.by_ref().take(50).map(|line| line.expect("a line")).collect();
    let interrupt = Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    assert!(interrupt.success());
    let mut told = String::new();
    child.stderr.take().expect("a pipe").read_to_string(&mut told).expect("text");
    assert!(child.wait().expect("it ends").success(), "{told}");
    assert_eq!(printed.len(), 50);
    assert!(told.contains("50 messages"), "{told}");
    let committed: i64 = broker.with_broker(|broker| {
        let offsets = broker.committed_offsets().filter(|(group, topic, ..)| (*group, *topic) == ("g", "T"));
        offsets.map(|(.., offset)| offset).sum()
    });
    assert_eq!(committed, 50);
}

#[test]
#[cfg(unix)]
fn a_broker_prints_its_address_and_serves_until_it_is_stopped() {
    let args = ["broker", "--port", "0", "--broker-port", "0", "--topics", "a:3,b"];
    let mut child = common::command(&args).spawn().expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("a pipe")).lines().map_while(Result::ok);
    let address = lines.find_map(|line| Some(line.strip_prefix("export ROCKETMQ_NAMESRV=")?.to_owned()));
    let address = address.expect("the line to copy");
    let sent = json(&succeeds(rmq(&["send", "a", "x", "-n", "9", "--json", "--namesrv", &address])));
    let queues: BTreeSet<i64> =
        sent["receipts"].as_array().expect("receipts").iter().filter_map(|r| r["queue"].as_i64()).collect();
    assert_eq!(queues, BTreeSet::from([0, 1, 2]));
    let stop = Command::new("kill").arg(child.id().to_string()).status().expect("kill runs");
    assert!(stop.success());
    assert!(child.wait().expect("it ends").success());
}

#[test]
fn the_environment_and_completions_are_printed() {
    let env = json(&succeeds(rmq(&["env", "--json"])));
    assert_eq!(env["ROCKETMQ_NAMESRV"]["default"], "127.0.0.1:9876");
    assert!(succeeds(rmq(&["env"])).stdout.contains("ROCKETMQ_LOG"));
    for shell in ["bash", "zsh", "fish"] {
        assert!(succeeds(rmq(&["completions", shell])).stdout.contains("consume"), "{shell}");
    }
}
