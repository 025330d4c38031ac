//! Whole worlds: they are the same again, and users' programs run in them.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rocketmq_client_core::config::ConsumeFrom;
use rocketmq_client_core::consumer::Ack;
use rocketmq_client_core::message::Message;
use rocketmq_sim::{run_seed, simulate};

#[test]
fn a_seed_is_the_same_run_again() {
    for seed in 0..6 {
        let (first, second) = (run_seed(seed, false), run_seed(seed, true));
        assert_eq!((first.hash, first.events), (second.hash, second.events), "seed {seed}, read or not");
        assert_eq!(first.violation, None, "{first}");
    }
    assert_ne!(run_seed(1, false).hash, run_seed(2, false).hash);
}

#[test]
fn a_users_program_runs_in_virtual_time() {
    let (taken, elapsed) = simulate(11, async |ctx| {
        let client = ctx.client();
        let producer = client.producer("demo").build().expect("a good name");
        for number in 0..5 {
            let message = Message::new("TopicTest", format!("message {number}"));
            producer.send(message).await.expect("stored");
        }
        let consumer = client.push_consumer("demo-consumers").subscribe("TopicTest", "*");
        let mut stream = consumer.consume_from(ConsumeFrom::FirstOffset).stream().await.expect("started");
        let mut taken = Vec::new();
        while taken.len() < 5 {
            let message = stream.next().await.expect("not closed");
            taken.push(String::from_utf8_lossy(message.body().expect("plain")).into_owned());
            message.settle(Ack::Done);
        }
        ctx.sleep(Duration::from_secs(24 * 3600)).await;
        client.close().await.expect("closed");
        (taken, ctx.now())
    });
    let mut sorted = taken;
    sorted.sort();
    assert_eq!(sorted, ["message 0", "message 1", "message 2", "message 3", "message 4"]);
    assert!(elapsed.as_millis() >= 24 * 3_600_000);
}

#[test]
fn a_program_survives_what_it_does_to_its_world() {
    let attempts = simulate(12, async |ctx| {
        let client = ctx.client();
        let producer = client.producer("demo").retry_times(5).build().expect("a good name");
        producer.send(Message::new("TopicTest", "first")).await.expect("stored");
        assert!(ctx.reset_connections() > 0);
        producer.send(Message::new("TopicTest", "second")).await.expect("stored again");
        ctx.with_broker(0, |broker| broker.messages("TopicTest").len())
    });
    assert!(attempts >= 2, "{attempts}");
}

#[test]
#[should_panic(expected = "has not ended in")]
fn a_program_that_waits_for_ever_is_told_so() {
    simulate(13, async |_ctx| std::future::pending::<()>().await);
}

#[test]
fn handlers_on_threads_are_tasks_in_a_world_of_one_thread() {
    let seen = Arc::new(Mutex::new(Vec::new()));
    simulate(14, async |ctx| {
        let client = ctx.client();
        let producer = client.producer("demo").build().expect("a good name");
        producer.send(Message::new("TopicTest", "hello")).await.expect("stored");
        let told = seen.clone();
        let consumer = client.push_consumer("demo-consumers").subscribe("TopicTest", "*");
        let consumer = consumer.consume_from(ConsumeFrom::FirstOffset).run_on_threads(3, move |message| {
            told.lock().expect("nobody panics").push(message.body().expect("plain").to_vec());
            Ack::Done
        });
        let consumer = consumer.await.expect("started");
        ctx.sleep(Duration::from_secs(1)).await;
        assert_eq!(consumer.close().await.expect("closed").settled, 1);
    });
    assert_eq!(*seen.lock().expect("nobody panics"), [b"hello"]);
}

#[test]
#[should_panic(expected = "use .await instead of .wait()")]
fn a_wait_that_would_stop_the_world_is_told() {
    simulate(15, async |ctx| {
        let producer = ctx.client().producer("demo").build().expect("a good name");
        drop(producer.send(Message::new("TopicTest", "hello")).wait());
    });
}
