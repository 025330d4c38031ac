//! Several brokers and name servers in one process, and our client among them.

use std::collections::BTreeSet;
use std::error::Error;
use std::time::Duration;

use rocketmq_client_core::config::ConsumeFrom;
use rocketmq_client_tokio::{Ack, Client, Message};
use rocketmq_dev_broker::{DevBroker, Durability, Fault};

type Done = Result<(), Box<dyn Error>>;

fn stored(server: &DevBroker) -> Vec<usize> {
    let count = |broker| server.with_nth_broker(broker, |broker| broker.messages("T").len());
    (0..server.broker_count()).map(count).collect()
}

#[tokio::test]
async fn a_topic_that_is_spread_over_brokers_is_sent_to_and_read_on_all_of_them() -> Done {
    let server = DevBroker::builder().broker_count(3).name_server_count(2).topic("T", 2).start()?;
    let client = Client::connect(server.addr()).await?;
    let producer = client.producer("producers").build()?;
    for number in 0..30 {
        producer.send(Message::new("T", format!("{number}"))).await?;
    }
    assert!(stored(&server).iter().all(|count| *count > 0), "{:?}", stored(&server));
    assert_eq!(server.messages("T").len(), 30);
    let (told, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let group = client.push_consumer("group").subscribe("T", "*").consume_from(ConsumeFrom::FirstOffset);
    let running = group.workers(2, move |message| {
        told.send(message.body().expect("a body without compression").clone()).expect("somebody counts");
        async { Ack::Done }
    });
    let running = running.await?;
    let mut bodies = BTreeSet::new();
    while bodies.len() < 30 {
        bodies.insert(seen.recv().await.ok_or("no message")?);
    }
    running.close().await?;
    client.close().await?;
    Ok(())
}

#[tokio::test]
async fn sends_go_elsewhere_while_a_broker_cuts_them_and_a_name_server_is_gone() -> Done {
    let server = DevBroker::builder().broker_count(2).name_server_count(2).topic("T", 1).start()?;
    server.stop_name_server(0);
    server.fail_nth_broker(1, Fault::CloseBefore.on_sends().always());
    let client = Client::connect(server.addr()).await?;
    let producer = client.producer("producers").build()?;
    for number in 0..10 {
        producer.send(Message::new("T", format!("{number}"))).await?;
    }
    assert_eq!(stored(&server), [10, 0]);
    client.close().await?;
    Ok(())
}

#[tokio::test]
async fn a_slave_is_read_while_its_master_is_gone() -> Done {
    let builder = DevBroker::builder().slave_count(1).topic("T", 1);
    let server = builder.broker_config(|config| config.slave_read = true).start()?;
    let client = Client::connect(server.addr()).await?;
    let producer = client.producer("producers").build()?;
    for number in 0..5 {
        producer.send(Message::new("T", format!("{number}"))).await?;
    }
    client.close().await?;
    server.advance(Duration::from_secs(10));
    server.crash_broker(0, Durability::All);
    let client = Client::connect(server.addr()).await?;
    let (told, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let group = client.push_consumer("group").subscribe("T", "*").consume_from(ConsumeFrom::FirstOffset);
    let running = group.workers(1, move |message| {
        told.send(message.queue_offset()).expect("somebody counts");
        async { Ack::Done }
    });
    let running = running.await?;
    let mut offsets = BTreeSet::new();
    while offsets.len() < 5 {
        offsets.insert(seen.recv().await.ok_or("no message")?);
    }
    running.close().await?;
    client.close().await?;
    let committed =
        server.with_nth_broker(server.slave_of(0, 0), |slave| slave.committed_offset("group", "T", 0));
    assert_eq!(committed, Some(5), "the slave takes commits");
    Ok(())
}
