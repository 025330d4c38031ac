//! The adapter against the dev broker: real sockets, real threads.

use std::collections::BTreeSet;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use rocketmq_dev_broker::DevBroker;

use crate as rmq;

/// Runs a test on a thread of its own, and fails it when it hangs.
fn soon<T: Send + 'static>(test: impl FnOnce() -> T + Send + 'static) -> T {
    let (tell, told) = mpsc::channel();
    let tested = thread::spawn(move || {
        let output = test();
        tell.send(()).expect("somebody waits");
        output
    });
    if told.recv_timeout(Duration::from_secs(20)) == Err(mpsc::RecvTimeoutError::Timeout) {
        panic!("it hangs");
    }
    match tested.join() {
        Ok(output) => output,
        Err(panic) => std::panic::resume_unwind(panic),
    }
}

fn message(body: impl Into<String>) -> rmq::Message {
    rmq::Message::new("TopicTest", body.into())
}

#[test]
fn one_caller_sends_and_closes() {
    soon(|| {
        let broker = DevBroker::start().expect("a broker");
        let client = rmq::Client::connect(broker.addr()).expect("a client");
        let producer = client.producer("producers").build().expect("a producer");
        for number in 0..100 {
            let receipt = producer.send(message(format!("body {number}"))).wait().expect("stored");
            assert_eq!(receipt.status, rmq::SendStatus::SendOk);
        }
        client.close().wait().expect("closed");
        assert!(matches!(producer.send(message("x")).wait(), Err(rmq::Error::Closed)));
    });
}

#[test]
fn many_callers_lead_and_follow_and_nobody_is_forgotten() {
    soon(|| {
        let broker = DevBroker::start().expect("a broker");
        let client = rmq::Client::connect(broker.addr()).expect("a client");
        let producer = client.producer("producers").build().expect("a producer");
        let places: BTreeSet<_> = thread::scope(|scope| {
            let callers: Vec<_> = (0..8)
                .map(|caller| {
                    let producer = &producer;
                    scope.spawn(move || {
                        (0..100)
                            .map(|number| {
                                producer.send(message(format!("{caller} {number}"))).wait().expect("stored")
                            })
                            .map(|receipt| ((*receipt.queue).clone(), receipt.queue_offset))
                            .collect::<Vec<_>>()
                    })
                })
                .collect();
            callers.into_iter().flat_map(|caller| caller.join().expect("it sends")).collect()
        });
        assert_eq!(places.len(), 800, "each message has a place of its own");
        client.close().wait().expect("closed");
    });
}

#[test]
fn operations_that_nobody_waits_for_yet_are_driven_by_the_background_thread() {
    soon(|| {
        let broker = DevBroker::start().expect("a broker");
        let client = rmq::Client::connect(broker.addr()).expect("a client");
        let producer = client.producer("producers").build().expect("a producer");
        let sends: Vec<_> = (0..50).map(|number| producer.send(message(format!("{number}")))).collect();
        // Another executor than ours, which knows nothing of leading.
        for send in sends {
            rmq::block_on(send).expect("stored");
        }
    });
}

#[test]
fn a_wrong_address_is_told_at_once() {
    soon(|| {
        let error = rmq::Client::connect("127.0.0.1:1").expect_err("nobody listens there");
        assert!(matches!(error, rmq::Error::Unreachable(_)), "{error}");
    });
}

#[test]
fn a_client_that_is_dropped_ends_its_thread_and_its_sockets() {
    soon(|| {
        let broker = DevBroker::start().expect("a broker");
        let client = rmq::Client::connect(broker.addr()).expect("a client");
        let stopped = client.producer("producers").build().expect("a producer").send(message("x"));
        drop(client);
        // The operation is the last handle, and keeps the client alive until it is answered.
        stopped.wait().expect("stored");
    });
}

#[test]
fn threads_consume_every_message() {
    soon(|| {
        let broker = DevBroker::start().expect("a broker");
        let client = rmq::Client::connect(broker.addr()).expect("a client");
        let producer = client.producer("producers").build().expect("a producer");
        for number in 0..100 {
            producer.send(message(format!("body {number}"))).wait().expect("stored");
        }
        let group = || client.push_consumer("consumers").subscribe("TopicTest", "*");
        let (tell, told) = mpsc::channel();
        let consumer = group()
            .consume_from(rmq::ConsumeFrom::FirstOffset)
            .run_on_threads(4, move |message| {
                tell.send(message.body().expect("a body").clone()).expect("the test listens");
                rmq::Ack::Done
            })
            .wait()
            .expect("a consumer");
        let bodies: BTreeSet<_> = told.iter().take(100).collect();
        assert_eq!(bodies.len(), 100);
        let report = consumer.close().wait().expect("a report");
        assert_eq!((report.settled, report.queues_uncommitted), (100, 0), "{report:?}");
        let mut stream = group().stream().wait().expect("a stream");
        producer.send(message("one more")).wait().expect("stored");
        let last = stream.next().wait().expect("a message");
        assert_eq!(last.body().expect("a body"), "one more");
        last.ack();
        assert_eq!(stream.close().wait().expect("a report").settled, 1);
        client.close().wait().expect("closed");
    });
}

#[test]
fn what_the_system_refuses_is_not_told_as_a_bug() {
    let error = rmq::refused(std::io::Error::other("too many open files"));
    assert_eq!(error.to_string(), "the host failed: too many open files");
    assert!(matches!(error, rmq::Error::Host(_)));
}
