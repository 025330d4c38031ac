//! The commands at work, on a broker in the test's own process.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Output, Stdio};

use rocketmq_dev_broker::{Broker, DevBroker};
use serde_json::Value;

fn rmq(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rmq"));
    for variable in ["ROCKETMQ_NAMESRV", "NAMESRV_ADDR", "ROCKETMQ_LOG", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command.args(arguments).stdin(Stdio::null());
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

/// Runs with this piped in.
fn piped(arguments: &[&str], input: &[u8]) -> Output {
    let mut child = rmq(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    child.stdin.take().expect("its input").write_all(input).expect("it reads");
    child.wait_with_output().expect("it ends")
}

#[test]
fn each_line_of_standard_input_is_a_message() {
    let broker = DevBroker::start().expect("a broker");
    let arguments = ["send", "--namesrv", &broker.addr(), "T", "--file", "-", "--json"];
    let output = piped(&arguments, b"one\r\n\nthree");
    let summary = object(&String::from_utf8_lossy(&output.stdout));
    assert_eq!((&summary["sent"], &summary["blank_lines"]), (&2.into(), &1.into()), "{summary}");
    let stored = broker.with_broker(|broker| broker.messages("T"));
    let mut bodies: Vec<_> = stored.iter().map(|message| message.raw_body().to_vec()).collect();
    bodies.sort();
    assert_eq!(bodies, [&b"one"[..], b"three"]);
}

#[test]
fn what_is_piped_in_is_sent_without_being_asked_for_and_blank_lines_are_told() {
    let broker = DevBroker::start().expect("a broker");
    let output = piped(&["send", "--namesrv", &broker.addr(), "T"], b"one\n\n\ntwo\n");
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{told}");
    assert!(told.contains("blank lines that were left out, since a message has a body: 2"), "{told}");
    assert_eq!(broker.messages("T").len(), 2);
}

/// Sends one message of each tag to a topic of two brokers.
fn with_messages() -> DevBroker {
    let broker = DevBroker::builder().broker_count(2).topic("T", 2).start().expect("brokers");
    let addr = broker.addr();
    for (tag, body) in [("a", "one"), ("b", "two"), ("a", "three\u{1b}[2J\u{9b}2J")] {
        let property = format!("size={}", body.len());
        let message = ["T", body, "--tag", tag, "--property", &property, "--key", "k1", "--key", "k2"];
        succeeds(&[&["send", "--namesrv", &addr][..], &message].concat());
    }
    broker
}

#[test]
fn a_look_takes_nothing_and_leaves_no_trace() {
    let broker = with_messages();
    let addr = broker.addr();
    let trace = |broker: &mut Broker| {
        let groups = broker.groups().map(ToString::to_string).collect::<Vec<_>>();
        (groups, broker.committed_offsets().count())
    };
    let traces = || [0, 1].map(|index| broker.with_nth_broker(index, trace));
    let before = traces();
    for _ in 0..2 {
        let look = ["consume", "--namesrv", &addr, "T", "--until-end", "--format", "%q %o %b\\n"];
        let looked = succeeds(&look);
        let mut bodies: Vec<_> = looked.lines().filter_map(|line| line.split(' ').nth(2)).collect();
        bodies.sort_unstable();
        assert_eq!(bodies, ["one", "three\u{1b}[2J\u{9b}2J", "two"], "{looked}");
    }
    assert_eq!(traces(), before);
    // A group that comes later gets everything.
    let group = [
        "consume",
        "--namesrv",
        &addr,
        "T",
        "--group",
        "g",
        "--from",
        "first",
        "--count",
        "3",
        "--timeout",
        "20",
    ];
    assert_eq!(succeeds(&group).lines().count(), 3);
}

#[test]
fn a_look_begins_where_it_is_told_and_waits_for_more() {
    let broker = with_messages();
    let addr = broker.addr();
    let look = |more: &[&str]| {
        succeeds(&[&["consume", "--namesrv", &addr, "T", "--format", "%b\\n"][..], more].concat())
    };
    assert_eq!(look(&["--until-end", "--from", "last"]), "");
    assert_eq!(look(&["--until-end", "--filter", "b || c"]), "two\n");
    assert_eq!(look(&["--until-end", "--from", "1h"]).lines().count(), 3);
    assert_eq!(look(&["--count", "1"]).lines().count(), 1);
    let later = std::thread::spawn({
        let addr = addr.clone();
        move || {
            succeeds(&[
                "consume",
                "--namesrv",
                &addr,
                "T",
                "--from",
                "last",
                "--count",
                "1",
                "--format",
                "%b",
            ])
        }
    });
    // Until the look has begun nothing of it can be seen from outside, so messages come until it has one.
    while !later.is_finished() {
        succeeds(&["send", "--namesrv", &addr, "T", "new"]);
    }
    assert_eq!(later.join().expect("it ends"), "new");
}

#[test]
fn properties_of_a_message_are_shown() {
    let broker = with_messages();
    let addr = broker.addr();
    for group in
        [&["--until-end"][..], &["--group", "g", "--from", "first", "--count", "3", "--timeout", "20"]]
    {
        let shown =
            succeeds(&[&["consume", "--namesrv", &addr, "T", "--format", "%p|%k\\n"][..], group].concat());
        assert!(shown.contains("size=3|k1 k2\n"), "{shown}");
    }
    let shown = succeeds(&["consume", "--namesrv", &addr, "T", "--until-end", "--json"]);
    let objects: Vec<_> = shown.lines().map(object).collect();
    let two = objects.iter().find(|message| message["body"] == "two").expect("it is there");
    assert_eq!((&two["properties"]["size"], &two["properties"]["TAGS"]), (&"3".into(), &"b".into()), "{two}");
    assert!(two["queue"].is_u64() && two["offset"].is_u64(), "{two}");
    // Neither kind of escape sequence reaches a terminal, and the text is the same all the same.
    assert!(!shown.contains(['\u{1b}', '\u{9b}']), "{shown}");
    assert!(objects.iter().any(|message| message["body"] == "three\u{1b}[2J\u{9b}2J"), "{shown}");
}

#[test]
fn a_queue_that_lost_its_begin_and_a_compressed_body_are_looked_at_as_they_are() {
    let broker = DevBroker::builder().topic("T", 1).start().expect("a broker");
    succeeds(&["send", "--namesrv", &broker.addr(), "T", "--size", "20000"]);
    assert!(broker.messages("T")[0].is_compressed());
    let looked = succeeds(&["consume", "--namesrv", &broker.addr(), "T", "--until-end", "--format", "%b"]);
    assert_eq!(looked.len(), 20_000);
}

#[test]
fn both_names_of_the_variable_are_heeded_and_the_argument_wins() {
    let broker = DevBroker::start().expect("a broker");
    let (good, bad) = (broker.addr(), "127.0.0.1:1".to_owned());
    for (ours, java, argument) in
        [(&good, &bad, None), (&String::new(), &good, None), (&bad, &bad, Some(&good))]
    {
        let mut command = rmq(&["send", "T", "x"]);
        command.env("ROCKETMQ_NAMESRV", ours).env("NAMESRV_ADDR", java);
        command.args(argument.into_iter().flat_map(|addr| ["--namesrv", addr.as_str()]));
        let output = command.output().expect("the binary runs");
        assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    }
    let shown = succeeds(&["env"]);
    for name in ["ROCKETMQ_NAMESRV", "NAMESRV_ADDR", "ROCKETMQ_LOG", "RUST_LOG"] {
        assert!(shown.contains(name), "{name} {shown}");
    }
}

#[test]
fn what_is_logged_is_told_by_arguments_before_our_variable_before_rust_s() {
    let broker = DevBroker::start().expect("a broker");
    let log = |arguments: &[&str], variables: &[(&str, &str)]| {
        let addr = broker.addr();
        let arguments = [&["send", "--namesrv", &addr, "T", "secret-body"][..], arguments].concat();
        let output = rmq(&arguments).envs(variables.iter().copied()).output().expect("the binary runs");
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert_eq!(log(&[], &[]), "", "nothing while all is well");
    let frames = log(&["-vv"], &[]);
    for frame in
        ["request sent", "answer received", "SEND_MESSAGE_V2", "GET_ROUTEINFO_BY_TOPIC", "body_bytes=11"]
    {
        assert!(frames.contains(frame), "{frame} {frames}");
    }
    assert!(!frames.contains("secret-body"), "{frames}");
    assert!(log(&[], &[("RUST_LOG", "trace")]).contains("request sent"));
    assert_eq!(log(&[], &[("RUST_LOG", "trace"), ("ROCKETMQ_LOG", "warn")]), "");
    assert!(!log(&["-v"], &[("RUST_LOG", "trace")]).contains("request sent"));
}

#[test]
fn the_frames_of_brokers_and_name_servers_are_logged() {
    let mut child = rmq(&["broker", "--port", "0", "--broker-port", "0", "-vv"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    let mut lines = BufReader::new(child.stdout.take().expect("its output")).lines().map_while(Result::ok);
    let addr = lines.find_map(|line| Some(line.strip_prefix("export ROCKETMQ_NAMESRV=")?.to_owned()));
    succeeds(&["send", "--namesrv", &addr.expect("a line to copy"), "a", "x"]);
    child.kill().expect("it runs");
    let log = String::from_utf8_lossy(&child.wait_with_output().expect("it ends").stderr).into_owned();
    for (server, code) in [("name server", "GET_ROUTEINFO_BY_TOPIC"), ("broker", "SEND_MESSAGE_V2")] {
        let of_server = |line: &&str| line.contains(&format!("server=\"{server}\""));
        let mut lines = log.lines().filter(of_server);
        assert!(lines.clone().any(|line| line.contains("request received") && line.contains(code)), "{log}");
        assert!(lines.any(|line| line.contains("answer sent")), "{log}");
    }
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
