//! What users are told when something is wrong: through the binary, with exit codes.

use std::io::Write;
use std::net::TcpListener;
use std::process::{Command, Output, Stdio};

use rocketmq_dev_broker::DevBroker;

const FAILED: i32 = 1;
const USAGE: i32 = 2;

fn rmq(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_rmq"));
    for variable in ["ROCKETMQ_NAMESRV", "NAMESRV_ADDR", "ROCKETMQ_LOG", "RUST_LOG"] {
        command.env_remove(variable);
    }
    command.args(arguments).stdin(Stdio::null());
    command.output().expect("the binary runs")
}

#[track_caller]
fn fails(arguments: &[&str], code: i32, words: &[&str]) {
    let output = rmq(arguments);
    let text = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{arguments:?}: {text}");
    for word in words {
        assert!(text.contains(word), "{arguments:?}: {word:?} is not in: {text}");
    }
    assert!(!text.contains("panicked"), "{text}");
    assert!(output.stdout.is_empty(), "{arguments:?}");
}

/// A port that nobody listens on.
fn closed_port() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").to_string()
}

#[test]
fn an_unknown_name_server_is_named_and_the_resolver_blamed() {
    let words = ["no-such-host.invalid", "can't be resolved", "check the host name"];
    fails(&["send", "--namesrv", "no-such-host.invalid:9876", "T", "b"], FAILED, &words);
    fails(&["consume", "--namesrv", "no-such-host.invalid:9876", "T", "--group", "g"], FAILED, &words);
}

#[test]
fn a_name_server_that_can_not_be_reached_is_named() {
    let address = closed_port();
    let words = [&*address, "can't connect", "check that the server runs"];
    fails(&["send", "--namesrv", &address, "T", "b"], FAILED, &words);
    fails(&["consume", "--namesrv", &address, "T", "--group", "g"], FAILED, &words);
    fails(&["demo", "--namesrv", &address], FAILED, &words);
}

#[test]
fn a_broker_that_can_not_be_reached_is_named() {
    // What its route says is not where it listens: the mistake of containers and forwarded ports.
    let broker = DevBroker::builder().advertised_ip([127, 0, 0, 2].into()).start().expect("a broker");
    let address = format!("127.0.0.2:{}", broker.broker_addr(0).port());
    fails(&["send", "--namesrv", &broker.addr(), "T", "b"], FAILED, &[&address, "can't connect", "topic T"]);
}

#[test]
fn a_topic_without_a_route_is_named_with_what_to_do() {
    let broker = DevBroker::builder().auto_create_topic(false).start().expect("a broker");
    fails(
        &["send", "--namesrv", &broker.addr(), "NoSuchTopic", "b"],
        FAILED,
        &["NoSuchTopic", "create the topic"],
    );
}

#[test]
fn a_body_that_is_too_large_is_refused_with_both_sizes() {
    let broker = DevBroker::start().expect("a broker");
    let words = ["4194305", "4194304"];
    fails(&["send", "--namesrv", &broker.addr(), "T", "--size", "4194305"], USAGE, &words);
}

#[test]
fn an_address_that_is_none_is_a_usage_error() {
    let words = ["nonsense", "host:port"];
    fails(&["send", "--namesrv", "nonsense", "T", "b"], USAGE, &words);
    fails(&["consume", "--namesrv", "nonsense", "T", "--group", "g"], USAGE, &words);
    fails(&["demo", "--namesrv", "nonsense"], USAGE, &words);
}

#[test]
fn names_and_filters_that_can_not_be_are_usage_errors() {
    let broker = DevBroker::start().expect("a broker");
    fails(&["send", "--namesrv", &broker.addr(), "no topic", "b"], USAGE, &["no topic"]);
    fails(&["consume", "--namesrv", &broker.addr(), "T", "--group", "no group"], USAGE, &["no group"]);
    fails(&["send", "--namesrv", &broker.addr(), "T", "b", "--property", "TAGS=x"], USAGE, &["TAGS"]);
}

#[test]
fn a_broker_given_as_name_server_is_named_and_so_is_its_name_server() {
    let broker = DevBroker::start().expect("a broker");
    let (name_server, wrong) = (broker.addr(), broker.broker_addr(0).to_string());
    let words = [&*wrong, "is a broker, not a name server", &*name_server];
    fails(&["send", "--namesrv", &wrong, "T", "b"], USAGE, &words);
    fails(&["consume", "--namesrv", &wrong, "T"], USAGE, &words);
    fails(&["consume", "--namesrv", &wrong, "T", "--group", "g"], USAGE, &words);
}

#[test]
fn a_look_at_a_topic_that_is_not_there_ends_and_names_it() {
    let broker = DevBroker::start().expect("a broker");
    fails(&["consume", "--namesrv", &broker.addr(), "NoSuchTopic"], FAILED, &["NoSuchTopic", "no route"]);
}

#[test]
fn a_command_line_that_is_none_is_a_usage_error() {
    for arguments in [
        &["send", "T"][..],
        &["send", "T", "b", "--file", "-"],
        &["consume", "T", "--group", "g", "--until-end"],
        &["consume", "T", "--workers", "2"],
        &["consume", "T", "--filter", "a > 3"],
        &["send", "T", "b", "--key", "a b"],
        &["consume", "T", "--group", "g", "--from", "yesterday"],
        &["consume", "T", "--group", "g", "--format", "%z"],
        &["broker", "--topics", "a:0"],
        &["demo", "--messages", "7"],
        &["no-such-command"],
    ] {
        fails(arguments, USAGE, &["--help"]);
    }
}

#[test]
fn a_port_that_is_taken_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let port = taken.local_addr().expect("an address").port().to_string();
    fails(&["broker", "--port", &port, "--broker-port", "0"], FAILED, &[&port, "--port"]);
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let broker = DevBroker::start().expect("a broker");
    fails(&["send", "--namesrv", &broker.addr(), "T", "--file", "/no/such/file"], FAILED, &["/no/such/file"]);
}

#[test]
fn nothing_to_read_is_told_and_is_no_success() {
    let broker = DevBroker::start().expect("a broker");
    let empty = std::env::temp_dir().join(format!("rmq-empty-{}", std::process::id()));
    std::fs::write(&empty, "\n").expect("a file");
    let file = empty.to_str().expect("a name");
    for (source, told) in
        [(&[][..], "nothing on standard input: nothing was sent"), (&["--file", file], "nothing in ")]
    {
        let mut child = Command::new(env!("CARGO_BIN_EXE_rmq"))
            .args(["send", "--namesrv", &broker.addr(), "T"])
            .args(source)
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        drop(child.stdin.take());
        let output = child.wait_with_output().expect("it ends");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(text.contains(told), "{text}");
        assert_eq!(output.status.code(), Some(FAILED), "{text}");
    }
    std::fs::remove_file(&empty).expect("it was there");
}

#[test]
fn a_reader_that_goes_away_is_no_error() {
    let broker = DevBroker::start().expect("a broker");
    let mut child = Command::new(env!("CARGO_BIN_EXE_rmq"))
        .args(["send", "--namesrv", &broker.addr(), "T", "--file", "-", "--receipts"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs");
    drop(child.stdout.take());
    let mut lines = child.stdin.take().expect("its input");
    lines.write_all(b"one\ntwo\n").expect("it reads");
    drop(lines);
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(String::from_utf8_lossy(&output.stderr), "");
    assert_eq!(output.status.code(), Some(0));
}
