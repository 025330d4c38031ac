//! The adapter against the dev broker: real sockets, real tasks.

use std::time::Duration;

use rocketmq_dev_broker::DevBroker;
use tokio::task::JoinSet;

use crate as rmq;

/// Fails a test that hangs, with a word where.
async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(20), future).await {
        Ok(output) => output,
        Err(_) => panic!("{what} hangs"),
    }
}

async fn sends_are_stored_in_order_of_their_queue() {
    let broker = DevBroker::start().expect("a broker");
    let client = soon("connect", rmq::Client::connect(broker.addr())).await.expect("a client");
    let producer = client.producer("producers").build().expect("a producer");
    let first = soon("send", producer.send(rmq::Message::new("TopicTest", "hello").tag("a"))).await;
    let first = first.expect("stored");
    assert_eq!(first.status, rmq::SendStatus::SendOk);
    let mut sends = JoinSet::new();
    for number in 0..200 {
        sends.spawn(producer.send(rmq::Message::new("TopicTest", format!("body {number}"))));
    }
    let receipts = soon("200 sends", sends.join_all()).await;
    let mut places: Vec<_> = receipts
        .into_iter()
        .map(|receipt| receipt.expect("stored"))
        .map(|receipt| ((*receipt.queue).clone(), receipt.queue_offset))
        .chain([((*first.queue).clone(), first.queue_offset)])
        .collect();
    places.sort();
    places.dedup();
    assert_eq!(places.len(), 201, "each message has a place of its own");
    soon("close", client.close()).await.expect("closed");
    soon("close again", client.close()).await.expect("closed is closed");
    assert!(matches!(soon("send", producer.send(rmq::Message::new("TopicTest", "x"))).await, Err(rmq::Error::Closed)));
}

#[tokio::test]
async fn sends_on_one_thread() {
    sends_are_stored_in_order_of_their_queue().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sends_on_two_threads() {
    sends_are_stored_in_order_of_their_queue().await;
}

#[tokio::test]
async fn a_wrong_address_is_told_at_once() {
    let error = soon("connect", rmq::Client::connect("127.0.0.1:1")).await.expect_err("nobody listens there");
    assert!(matches!(error, rmq::Error::Unreachable(_)), "{error}");
    let error = rmq::Client::connect("nonsense").await.expect_err("no address");
    assert!(matches!(error, rmq::Error::Usage(_)), "{error}");
}

#[tokio::test]
async fn a_host_name_is_looked_up() {
    let broker = DevBroker::start().expect("a broker");
    let port = broker.name_server_addr().port();
    let client = soon("connect", rmq::Client::connect(format!("localhost:{port}"))).await.expect("a client");
    soon("close", client.close()).await.expect("closed");
}

#[test]
fn a_runtime_that_is_shut_down_leaves_nobody_waiting() {
    let broker = DevBroker::start().expect("a broker");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("tokio");
    let client = runtime.block_on(rmq::Client::connect(broker.addr())).expect("a client");
    let producer = client.producer("producers").build().expect("a producer");
    runtime.shutdown_background();
    let result = producer.send(rmq::Message::new("TopicTest", "x")).wait();
    assert!(matches!(result, Err(rmq::Error::Closed)), "{result:?}");
}
