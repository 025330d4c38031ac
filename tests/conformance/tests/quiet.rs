//! A healthy run says nothing above `debug`: whoever reads the log of a service finds only what an
//! operator has to see.

use std::io::{self, Write};
use std::sync::{Arc, Mutex};

use rocketmq_client_core::config::ConsumeFrom;
use rocketmq_client_tokio::{Ack, Client, Message};
use rocketmq_dev_broker::DevBroker;
use tracing::Dispatch;
use tracing::subscriber::NoSubscriber;
use tracing_subscriber::filter::EnvFilter;

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().expect("no writer panics").write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("no writer panics")).into_owned()
    }
}

/// What the client logs at `level` and above while `scene` runs, all of it on this thread.
fn logged(level: &str, scene: impl AsyncFnOnce(&str) -> Result<(), Box<dyn std::error::Error>>) -> String {
    let log = Log::default();
    let writer = log.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level))
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    // Beside another one, so that `tracing` asks it too about lines that the broker's thread reaches first.
    let _another = Dispatch::new(NoSubscriber::new());
    let broker = DevBroker::start().expect("a dev broker");
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    tracing::subscriber::with_default(subscriber, || runtime.block_on(scene(&broker.addr())))
        .expect("a scene");
    log.text()
}

async fn healthy(address: &str) -> Result<(), Box<dyn std::error::Error>> {
    let (one, two) = (Client::connect(address).await?, Client::connect(address).await?);
    let producer = one.producer("producers").build()?;
    producer.send(Message::new("Quiet", "the first creates the topic")).await?;
    let (told, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let member = |client: &Client| {
        let told = told.clone();
        let group = client.push_consumer("group").subscribe("Quiet", "*");
        group.consume_from(ConsumeFrom::FirstOffset).workers(2, move |message| {
            let ack = if message.reconsume_times() == 0 && message.queue_offset() == 3 {
                Ack::RetryAfter(std::time::Duration::from_secs(1))
            } else {
                Ack::Done
            };
            told.send(ack).expect("somebody counts");
            async move { ack }
        })
    };
    let first = member(&one).await?;
    let second = member(&two).await?;
    for number in 0..100 {
        producer.send(Message::new("Quiet", format!("{number}"))).await?;
    }
    let mut done = 0;
    while done < 101 {
        done += u32::from(seen.recv().await.ok_or("no message")? == Ack::Done);
    }
    second.suspend().await?;
    second.resume().await?;
    first.close().await?;
    second.close().await?;
    one.close().await?;
    two.close().await?;
    Ok(())
}

#[test]
fn a_healthy_run_says_nothing_above_debug() {
    let text = logged("info", async |address| healthy(address).await);
    assert_eq!(text, "");
    assert!(!logged("debug", async |address| healthy(address).await).is_empty(), "somebody listens");
}
