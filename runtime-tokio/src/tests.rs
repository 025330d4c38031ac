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
    assert!(matches!(
        soon("send", producer.send(rmq::Message::new("TopicTest", "x"))).await,
        Err(rmq::Error::Closed)
    ));
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
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("tokio");
    let client = runtime.block_on(rmq::Client::connect(broker.addr())).expect("a client");
    let producer = client.producer("producers").build().expect("a producer");
    runtime.shutdown_background();
    let result = producer.send(rmq::Message::new("TopicTest", "x")).wait();
    // Nobody took it, or the client had ended by then.
    assert!(matches!(result, Err(rmq::Error::NotSent(_) | rmq::Error::Closed)), "{result:?}");
}

#[test]
fn what_was_handed_to_the_socket_is_unknown_when_the_runtime_goes() {
    let broker = DevBroker::start().expect("a broker");
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().expect("tokio");
    let client = runtime.block_on(rmq::Client::connect(broker.addr())).expect("a client");
    let producer = client.producer("producers").build().expect("a producer");
    let first = runtime.block_on(soon("send", producer.send(rmq::Message::new("TopicTest", "first"))));
    first.expect("stored");
    broker.fail(rocketmq_dev_broker::Fault::DropResponse.on_sends());
    let second = producer.send(rmq::Message::new("TopicTest", "second"));
    runtime.block_on(soon("the broker to store it", async {
        while broker.messages("TopicTest").len() < 2 {
            tokio::task::yield_now().await;
        }
    }));
    runtime.shutdown_background();
    let result = second.wait();
    assert!(matches!(result, Err(rmq::Error::Unknown(_))), "{result:?}");
}

#[test]
fn handlers_on_threads_leave_the_pool_to_look_ups_and_to_the_user() {
    let broker = DevBroker::start().expect("a broker");
    let address = format!("localhost:{}", broker.name_server_addr().port());
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    let runtime = builder.worker_threads(2).max_blocking_threads(2).enable_all().build().expect("tokio");
    runtime.block_on(async {
        let client = soon("connect", rmq::Client::connect(address.as_str())).await.expect("a client");
        let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
        let starting = group(&client).run_on_threads(8, move |_| {
            // The runtime is known on them.
            let name = std::thread::current().name().unwrap_or_default().to_string();
            tell.send((name, tokio::runtime::Handle::try_current().is_ok())).expect("the test listens");
            rmq::Ack::Done
        });
        let consumer = soon("start", starting).await.expect("a consumer");
        soon("a call that blocks", tokio::task::spawn_blocking(|| ())).await.expect("it is called");
        let other = soon("connect", rmq::Client::connect(address.as_str())).await.expect("another client");
        let producer = other.producer("producers").build().expect("a producer");
        soon("send", producer.send(rmq::Message::new("TopicTest", "x"))).await.expect("stored");
        let called = soon("consume", told.recv()).await.expect("a handler");
        assert_eq!(called, ("rmq-consumers".to_string(), true));
        soon("close", consumer.close()).await.expect("a report");
        // The threads end with the consumer: the last one drops the handler.
        drop(consumer);
        assert_eq!(soon("the threads to end", told.recv()).await, None);
        soon("close", client.close()).await.expect("closed");
        soon("close", other.close()).await.expect("closed");
    });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 3)]
async fn a_handler_that_blocks_holds_one_message_only() {
    let (_broker, client) = filled(200).await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let (open, gate) = std::sync::mpsc::channel::<()>();
    let gate = std::sync::Mutex::new(gate);
    let starting = group(&client).workers(2, move |message| {
        let body = message.body().expect("a body").clone();
        if body == "body 100" {
            // Without an await: nobody but the others can do anything about it.
            gate.lock().expect("nobody panics with it").recv().expect("the test opens it");
        }
        tell.send(body).expect("the test listens");
        std::future::ready(rmq::Ack::Done)
    });
    let consumer = soon("start", starting).await.expect("a consumer");
    for _ in 0..199 {
        assert_ne!(soon("all others", told.recv()).await.expect("a worker lives"), "body 100");
    }
    // Their answers are told, too.
    soon("199 answers", async {
        loop {
            let statistics = consumer.statistics().await.expect("it tells");
            if statistics.topics.iter().map(|(_, topic)| topic.consumed).sum::<u64>() == 199 {
                break;
            }
            tokio::task::yield_now().await;
        }
    })
    .await;
    open.send(()).expect("it waits");
    let report = soon("close", consumer.close()).await.expect("a report");
    assert_eq!((report.settled, report.abandoned), (200, 0), "{report:?}");
    soon("close", client.close()).await.expect("closed");
}

#[tokio::test]
async fn a_close_overtakes_no_send_and_a_stop_during_a_start_is_no_error() {
    let broker = DevBroker::start().expect("a broker");
    let client = soon("connect", rmq::Client::connect(broker.addr())).await.expect("a client");
    let producer = client.producer("producers").build().expect("a producer");
    let sends: Vec<_> = (0..10).map(|_| producer.send(rmq::Message::new("TopicTest", "x"))).collect();
    soon("close", client.close()).await.expect("closed");
    for send in sends {
        soon("send", send).await.expect("stored");
    }
    assert_eq!(broker.messages("TopicTest").len(), 10);
    // Nobody listens there, so that the start does not end.
    let client = rmq::Client::start("127.0.0.1:1").expect("a client");
    let stop = async { tokio::task::yield_now().await };
    let report = soon("run", group(&client).run(async |_| rmq::Ack::Done).until(stop)).await;
    assert_eq!(report.expect("a report").settled, 0);
}

/// Sends `count` messages to a topic of one broker.
async fn filled(count: usize) -> (DevBroker, rmq::Client) {
    let broker = DevBroker::start().expect("a broker");
    let client = soon("connect", rmq::Client::connect(broker.addr())).await.expect("a client");
    let producer = client.producer("producers").build().expect("a producer");
    for number in 0..count {
        let send = producer.send(rmq::Message::new("TopicTest", format!("body {number}")));
        soon("send", send).await.expect("stored");
    }
    (broker, client)
}

fn group(client: &rmq::Client) -> rmq::PushConsumerBuilder {
    client.push_consumer("consumers").subscribe("TopicTest", "*").consume_from(rmq::ConsumeFrom::FirstOffset)
}

#[tokio::test]
async fn a_handler_that_borrows_gets_every_message_and_a_second_consumer_none_of_them() {
    let (_broker, client) = filled(100).await;
    let seen = std::cell::RefCell::new(std::collections::BTreeSet::new());
    let done = tokio::sync::Notify::new();
    let run = group(&client).run(async |message| {
        tokio::task::yield_now().await;
        seen.borrow_mut().insert(message.body().expect("a body").clone());
        if seen.borrow().len() == 100 {
            done.notify_one();
        }
        rmq::Ack::Done
    });
    let report = soon("consume", run.until(done.notified())).await.expect("a report");
    assert_eq!(seen.borrow().len(), 100);
    assert_eq!((report.settled, report.queues_uncommitted), (100, 0), "{report:?}");
    let mut stream = soon("start", group(&client).stream()).await.expect("a stream");
    let producer = client.producer("producers").build().expect("a producer");
    soon("send", producer.send(rmq::Message::new("TopicTest", "one more"))).await.expect("stored");
    let message = soon("next", stream.next()).await.expect("a message");
    assert_eq!(message.body().expect("a body"), "one more", "what was committed does not come again");
    message.ack();
    let report = soon("close", stream.close()).await.expect("a report");
    assert_eq!(report.settled, 1);
    soon("close", client.close()).await.expect("closed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn workers_get_every_message_and_a_panic_brings_it_again() {
    let (_broker, client) = filled(50).await;
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let consumer = group(&client).workers(4, move |message| {
        let tell = tell.clone();
        async move {
            let body = message.body().expect("a body").clone();
            assert!(body != "body 7" || message.reconsume_times() > 0, "the first time it fails");
            tell.send(body).expect("the test listens");
            rmq::Ack::Done
        }
    });
    let consumer = soon("start", consumer).await.expect("a consumer");
    let mut bodies = std::collections::BTreeSet::new();
    while bodies.len() < 49 {
        bodies.insert(soon("consume", told.recv()).await.expect("a worker lives"));
    }
    let report = soon("close", consumer.close()).await.expect("a report");
    assert_eq!((report.settled, report.sent_back), (49, 1), "{report:?}");
    soon("close", client.close()).await.expect("closed");
}

/// A producer whose messages go to the queue that their tag names.
fn by_tag(client: &rmq::Client) -> rmq::Producer {
    let builder = client.producer("producers").queue_selector(|message, queues| {
        assert!(queues.iter().all(|queue| *queue.topic == *message.topic()));
        message.tags().expect("a tag").parse().expect("a number")
    });
    builder.build().expect("a producer")
}

#[tokio::test]
async fn a_selector_decides_the_queue_and_its_mistakes_cost_only_their_own_send() {
    let broker = DevBroker::start().expect("a broker");
    let client = soon("connect", rmq::Client::connect(broker.addr())).await.expect("a client");
    let producer = by_tag(&client);
    let tagged = |tag: &str| producer.send_selected(rmq::Message::new("TopicTest", "x").tag(tag));
    for queue_id in [3, 0, 2] {
        let receipt = soon("send", tagged(&queue_id.to_string())).await.expect("stored");
        assert_eq!((receipt.queue.queue_id, receipt.queue_offset), (queue_id, 0));
    }
    let error = soon("send beyond", tagged("1000")).await.expect_err("no such queue");
    assert!(
        matches!(error, rmq::Error::Usage(rmq::UsageError::SelectedQueue { index: 1_000, .. })),
        "{error}"
    );
    let error = soon("send and panic", tagged("nonsense")).await.expect_err("no number");
    assert!(matches!(error, rmq::Error::Usage(rmq::UsageError::QueueSelector { .. })), "{error}");
    soon("send", tagged("1")).await.expect("stored");
    soon("close", client.close()).await.expect("closed");
}

/// A file in memory.
#[derive(Clone, Default)]
struct Tape(std::sync::Arc<std::sync::Mutex<Vec<u8>>>);

impl std::io::Write for Tape {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("nobody panics with it").extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_recorded_run_replays_without_a_network_and_without_bodies() {
    use rmq::core::driver::{Recorder, ReplayError, replay};

    let tape = Tape::default();
    let broker = DevBroker::start().expect("a broker");
    let settings = rmq::Client::builder(&broker.addr()).tap(Recorder::new(tape.clone()));
    let client = soon("connect", rmq::Client::connect(settings)).await.expect("a client");
    let producer = client.producer("producers").build().expect("a producer");
    for number in 0..20 {
        let send =
            producer.send(rmq::Message::new("TopicTest", format!("a secret body {number}")).tag("visible"));
        soon("send", send).await.expect("stored");
    }
    let batch = (0..3).map(|number| rmq::Message::new("Batches", format!("a secret body {number}")));
    assert_eq!(soon("a batch", producer.send_batch(batch)).await.expect("stored").receipts().len(), 3);
    let selected = by_tag(&client);
    for tag in ["3", "1"] {
        let send = selected.send_selected(rmq::Message::new("Chosen", "a secret body").tag(tag));
        assert_eq!(soon("send", send).await.expect("stored").queue.queue_id.to_string(), tag);
    }
    let beyond = selected.send_selected(rmq::Message::new("Chosen", "a secret body").tag("99"));
    soon("send beyond", beyond).await.expect_err("no such queue");
    let (seen, done) = (std::cell::Cell::new(0), tokio::sync::Notify::new());
    let run = group(&client).run(async |message| {
        assert!(message.body().expect("a body").starts_with(b"a secret body"));
        seen.set(seen.get() + 1);
        if seen.get() == 20 {
            done.notify_one();
        }
        rmq::Ack::Done
    });
    let report = soon("consume", run.until(done.notified())).await.expect("a report");
    assert_eq!(report.settled, 20);
    soon("close", client.close()).await.expect("closed");
    drop((producer, client));
    // The engine's task ends with the recording.
    soon("the recorder", async {
        while std::sync::Arc::strong_count(&tape.0) > 1 {
            tokio::task::yield_now().await;
        }
    })
    .await;

    let tape = tape.0.lock().expect("nobody panics with it").clone();
    let replayed = replay(&tape).expect("the same run");
    assert!(replayed.inputs > 60 && replayed.outputs > 60, "{replayed:?}");
    let has = |text: &[u8]| tape.windows(text.len()).any(|window| window == text);
    assert!(has(b"visible") && !has(b"secret body"), "bodies are lengths");

    // One changed answer of the broker is another run.
    let mut changed = tape.clone();
    let mut places = changed.windows(15).enumerate().filter(|(_, window)| *window == b"\"queueOffset\":\"");
    let (at, _) = places.next().expect("a broker has answered a send");
    changed[at + 15] ^= 1;
    match replay(&changed) {
        Err(ReplayError::Difference(difference)) => {
            let texts = &difference.texts;
            assert!(texts.iter().any(|text| text.contains("Complete")), "{texts:#?}");
        }
        other => panic!("{other:?}"),
    }
    assert!(matches!(replay(b"nonsense"), Err(ReplayError::Malformed(_))));
    assert_eq!(replay(&tape[..tape.len() - 1]).expect("the same run").inputs, replayed.inputs);
}
