//! Every mistake is told with the thing it concerns and what to do, and with the right exit code.

mod common;

use std::net::Ipv4Addr;

use common::{Ran, rmq, rmq_with_input};
use rocketmq_dev_broker::DevBroker;

/// The run failed with this code and these words, and without a panic or standard output.
#[track_caller]
fn fails(ran: &Ran, code: i32, words: &[&str]) {
    assert_eq!(ran.code, Some(code), "{ran:?}");
    for word in words {
        assert!(ran.stderr.contains(word), "{word:?} is missing: {}", ran.stderr);
    }
    for unwanted in ["panicked", "stack backtrace", "RUST_BACKTRACE", "\u{1b}["] {
        assert!(!ran.stderr.contains(unwanted), "{unwanted:?}: {}", ran.stderr);
    }
    assert_eq!(ran.stdout, "", "{}", ran.stderr);
}

#[test]
fn a_malformed_address_is_a_usage_error() {
    for address in ["localhost", "http://127.0.0.1:9876", "127.0.0.1:99999", ":9876"] {
        let ran = rmq(&["send", "T", "x", "--namesrv", address]);
        fails(&ran, 2, &[&format!("{address:?}"), "host:port", "127.0.0.1:9876"]);
    }
    let ran = rmq(&["send", "T", "x", "--namesrv", ";"]);
    fails(&ran, 2, &["no name server", "ROCKETMQ_NAMESRV"]);
}

#[test]
fn a_wrong_command_line_is_a_usage_error() {
    let cases: [(&[&str], &[&str]); 9] = [
        (&["send"], &["<TOPIC>"]),
        (&["send", "T"], &["BODY", "--file", "--size"]),
        (&["send", "T", "x", "--size", "3"], &["--size", "cannot be used with"]),
        (&["send", "T", "x", "--property", "novalue"], &["--property", "name=value"]),
        (&["send", "T", "x", "--in-flight", "0"], &["--in-flight", "1 to 65536"]),
        (&["consume", "T"], &["--group"]),
        (&["consume", "T", "-g", "g", "--from", "yesterday"], &["--from", "first, last", "10m"]),
        (&["consume", "T", "-g", "g", "--format", "%z"], &["%z", "%t"]),
        (&["sned", "T"], &["sned", "send"]),
    ];
    for (args, words) in cases {
        fails(&rmq(args), 2, words);
    }
}

#[test]
fn an_unknown_host_is_named() {
    let ran = rmq(&["send", "T", "x", "--namesrv", "no-such-host.invalid:9876"]);
    fails(&ran, 1, &["no-such-host.invalid", "can't be resolved", "check the host name"]);
}

#[test]
fn a_name_server_that_does_not_listen_is_named() {
    for args in
        [&["send", "T", "x"][..], &["consume", "T", "-g", "g"], &["send", "T", "--size", "3", "--json"]]
    {
        let ran = rmq(&[args, &["--namesrv", "127.0.0.1:1"]].concat());
        fails(&ran, 1, &["127.0.0.1:1", "can't connect", "check that the server runs"]);
    }
}

#[test]
fn a_broker_that_cant_be_reached_is_named() {
    // It listens on 127.0.0.1 and tells clients another address.
    let broker =
        DevBroker::builder().advertised_ip(Ipv4Addr::new(127, 0, 0, 2).into()).start().expect("a broker");
    let ran = rmq(&["send", "T", "x", "--namesrv", &broker.addr()]);
    let address = format!("127.0.0.2:{}", broker.broker_addr(0).port());
    fails(&ran, 1, &["topic T", &address, "can't connect", "check that the server runs"]);
}

#[test]
fn a_topic_without_route_is_named() {
    let broker = DevBroker::builder().auto_create_topic(false).start().expect("a broker");
    let ran = rmq(&["send", "Missing", "x", "--namesrv", &broker.addr()]);
    fails(&ran, 1, &["topic Missing", "no name server has a route", "create the topic"]);
}

#[test]
fn a_message_that_breaks_the_rules_is_a_usage_error() {
    let broker = DevBroker::start().expect("a broker");
    let address = broker.addr();
    let send = |args: &[&str]| rmq(&[&["send"], args, &["--namesrv", &address]].concat());
    fails(&send(&["T", "--size", "5000000"]), 2, &["\"T\"", "5000000 bytes", "4194304"]);
    fails(&send(&["T", "--size", "0"]), 2, &["\"T\"", "empty"]);
    fails(&send(&["to pic", "x"]), 2, &["to pic"]);
    fails(&send(&["T", "x", "--property", "TAGS=a"]), 2, &["TAGS", "reserved"]);
    fails(&send(&["T", "x", "--group", "DEFAULT_PRODUCER"]), 2, &["DEFAULT_PRODUCER", "reserved"]);
    let consume = |args: &[&str]| rmq(&[&["consume"], args, &["--namesrv", &address]].concat());
    fails(&consume(&["T", "-g", "a b"]), 2, &["a b"]);
    fails(&consume(&["T", "-g", "g", "--filter", "||"]), 2, &["\"||\"", "TagA || TagB"]);
}

#[test]
fn a_body_that_the_broker_refuses_is_told_with_its_words() {
    let broker = DevBroker::builder()
        .broker_config(|config| config.message_bytes_max = 1_000)
        .start()
        .expect("a broker");
    let ran = rmq(&["send", "T", "--size", "2000", "--namesrv", &broker.addr()]);
    fails(&ran, 1, &["topic T", "broker-a", "maxMessageSize"]);
}

#[test]
fn a_file_that_cant_be_read_is_named() {
    let ran = rmq(&["send", "T", "--file", "/no/such/file"]);
    fails(&ran, 1, &["/no/such/file", "No such file"]);
}

#[test]
fn the_first_line_that_was_not_stored_is_named() {
    let broker = DevBroker::builder().auto_create_topic(false).start().expect("a broker");
    let args = ["send", "Missing", "--file", "-", "--namesrv", &broker.addr()];
    let ran = rmq_with_input(&args, b"one\ntwo\nthree\n");
    fails(&ran, 1, &["message 1", "topic Missing", "not confirmed"]);
}

#[test]
fn a_port_that_is_taken_is_named() {
    let broker = DevBroker::start().expect("a broker");
    let port = broker.name_server_addr().port().to_string();
    let ran = rmq(&["broker", "--port", &port, "--broker-port", "0"]);
    fails(&ran, 1, &[&port, "in use", "--port"]);
}

#[test]
fn too_few_messages_in_time_is_a_failure() {
    let broker = DevBroker::start().expect("a broker");
    assert_eq!(rmq(&["send", "T", "x", "--namesrv", &broker.addr()]).code, Some(0));
    let args = ["consume", "T", "-g", "g", "--from", "first", "-n", "2", "--timeout", "1"];
    let ran = rmq(&[&args[..], &["--namesrv", &broker.addr(), "--format", ""]].concat());
    fails(&ran, 1, &["1 of 2 messages", "within 1 s", "group g"]);
}

#[test]
fn a_wrong_log_filter_is_a_usage_error() {
    let output = common::command(&["env"]).env("ROCKETMQ_LOG", "a=b=c").output().expect("it runs");
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("ROCKETMQ_LOG"));
}
