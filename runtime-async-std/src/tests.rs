//! The adapter against the dev broker: real sockets, real tasks, under three executors.

use std::collections::BTreeSet;
use std::future::Future;
use std::time::Duration;

use async_std::future::timeout;
use rocketmq_dev_broker::DevBroker;

use crate as rmq;

/// Longer than any of this takes on a busy machine.
const PATIENCE: Duration = Duration::from_secs(30);

/// Fails a test that hangs, with a word where.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("{what} hangs"))
}

/// A client's whole life: a hundred messages sent at once, consumed by workers and by a stream.
async fn life() {
    let broker = DevBroker::start().expect("a broker");
    let client = soon("connect", rmq::Client::connect(broker.addr())).await.expect("a client");
    let producer = client.producer("producers").build().expect("a producer");
    let sends: Vec<_> = (0..100).map(|number| producer.send(message(number))).collect();
    let mut places = BTreeSet::new();
    for send in sends {
        let receipt = soon("send", send).await.expect("stored");
        places.insert((receipt.queue.queue_id, receipt.queue_offset));
    }
    assert_eq!(places.len(), 100, "each message has a place of its own");

    let group = || {
        client
            .push_consumer("consumers")
            .subscribe("TopicTest", "*")
            .consume_from(rmq::ConsumeFrom::FirstOffset)
    };
    let (tell, told) = smol::channel::unbounded();
    let workers = group().workers(4, move |message| {
        let tell = tell.clone();
        async move {
            let body = message.body().expect("a body").clone();
            assert!(body != "body 7" || message.reconsume_times() > 0, "the first time it fails");
            tell.send(body).await.expect("the test listens");
            rmq::Ack::Done
        }
    });
    let workers = soon("start", workers).await.expect("a consumer");
    let mut bodies = BTreeSet::new();
    while bodies.len() < 99 {
        bodies.insert(soon("consume", told.recv()).await.expect("a worker lives"));
    }
    let report = soon("close", workers.close()).await.expect("a report");
    assert_eq!((report.settled, report.sent_back, report.abandoned), (99, 1, 0), "{report:?}");

    let mut stream = soon("start", group().stream()).await.expect("a stream");
    soon("send", producer.send(message(100))).await.expect("stored");
    let mut seen = soon("next", stream.next()).await.expect("a message");
    if seen.body().expect("a body") == "body 7" {
        seen.ack();
        seen = soon("next", stream.next()).await.expect("a message");
    }
    assert_eq!(seen.body().expect("a body"), "body 100", "what was committed does not come again");
    seen.ack();
    soon("close", stream.close()).await.expect("a report");
    soon("close", client.close()).await.expect("closed");
    let after = soon("send", producer.send(message(101))).await;
    assert!(matches!(after, Err(rmq::Error::Closed)), "{after:?}");
}

fn message(number: usize) -> rmq::Message {
    rmq::Message::new("TopicTest", format!("body {number}"))
}

#[test]
fn a_client_lives_on_async_std() {
    async_std::task::block_on(life());
}

#[test]
fn a_client_lives_on_smol() {
    smol::block_on(life());
}

#[test]
fn a_client_lives_in_a_task_of_an_executor_that_the_program_runs_itself() {
    let executor = smol::LocalExecutor::new();
    smol::block_on(executor.run(executor.spawn(life())));
}

/// No executor polls the callers, and still the engine runs.
#[test]
fn a_thread_can_wait_for_an_operation() {
    let broker = DevBroker::start().expect("a broker");
    let client = rmq::Client::start(broker.addr()).expect("a client");
    client.connect().wait().expect("connected");
    let producer = client.producer("producers").build().expect("a producer");
    for number in 0..20 {
        producer.send(message(number)).wait().expect("stored");
    }
    client.close().wait().expect("closed");
}

#[test]
fn a_handler_that_borrows_runs_inside_of_its_caller() {
    async_std::task::block_on(async {
        let broker = DevBroker::start().expect("a broker");
        let client = soon("connect", rmq::Client::connect(broker.addr())).await.expect("a client");
        let producer = client.producer("producers").build().expect("a producer");
        let seen = std::cell::RefCell::new(BTreeSet::new());
        let (done, until) = smol::channel::bounded::<()>(1);
        let group = client.push_consumer("consumers").subscribe("TopicTest", "*");
        let run = group.consume_from(rmq::ConsumeFrom::FirstOffset).run(async |message| {
            async_std::task::yield_now().await;
            seen.borrow_mut().insert(message.body().expect("a body").clone());
            if seen.borrow().len() == 50 {
                done.close();
            }
            rmq::Ack::Done
        });
        for number in 0..50 {
            soon("send", producer.send(message(number))).await.expect("stored");
        }
        let report = soon("consume", run.until(until.recv())).await.expect("a report");
        assert_eq!((report.settled, report.queues_uncommitted), (50, 0), "{report:?}");
        soon("close", client.close()).await.expect("closed");
    });
}

#[test]
fn a_wrong_address_is_told_at_once() {
    async_std::task::block_on(async {
        let error =
            soon("connect", rmq::Client::connect("127.0.0.1:1")).await.expect_err("nobody listens there");
        assert!(matches!(error, rmq::Error::Unreachable(_)), "{error}");
    });
}

#[test]
fn a_host_name_is_looked_up() {
    async_std::task::block_on(async {
        let broker = DevBroker::start().expect("a broker");
        let port = broker.name_server_addr().port();
        let client =
            soon("connect", rmq::Client::connect(format!("localhost:{port}"))).await.expect("a client");
        soon("close", client.close()).await.expect("closed");
    });
}

/// Bodies larger than any socket's buffer: writes are cut short, reads come in pieces, both at once.
#[test]
fn large_messages_pass_in_pieces() {
    async_std::task::block_on(async {
        let broker = DevBroker::start().expect("a broker");
        let client = soon("connect", rmq::Client::connect(broker.addr())).await.expect("a client");
        let builder = client.producer("producers").configure(|config| config.compress_bytes_min = usize::MAX);
        let producer = builder.build().expect("a producer");
        let body = |number: usize| vec![u8::try_from(number).expect("small"); 3 << 20];
        let sends: Vec<_> =
            (0..8).map(|number| producer.send(rmq::Message::new("TopicTest", body(number)))).collect();
        let group = client.push_consumer("consumers").subscribe("TopicTest", "*");
        let starting = group.consume_from(rmq::ConsumeFrom::FirstOffset).stream();
        let mut stream = soon("start", starting).await.expect("a stream");
        for send in sends {
            soon("send", send).await.expect("stored");
        }
        let mut seen = BTreeSet::new();
        while seen.len() < 8 {
            let message = soon("next", stream.next()).await.expect("a message");
            let came = message.body().expect("a body");
            assert!(*came == body(usize::from(came[0])), "the body is another");
            seen.insert(came[0]);
            message.ack();
        }
        soon("close", client.close()).await.expect("closed");
    });
}
