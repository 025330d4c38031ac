//! The three parties: who sends, who survives, who dies.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use indicatif::ProgressBar;
use rocketmq_client_tokio as rmq;
use tokio::runtime::Runtime;

use crate::error::CliError;

use super::cluster::Cluster;
use super::ledger::Ledger;

/// Sends that wait for an answer at a time.
const IN_FLIGHT: usize = 256;
/// Deliveries that the dying consumer can hold at a time.
const VICTIM_WORKERS: usize = 800;
/// Deliveries that the survivor works on at a time.
const SURVIVOR_WORKERS: usize = 20;

/// Sends the messages of `numbers`; ends when each is stored.
pub(crate) async fn send(
    cluster: &Cluster,
    ledger: &Ledger,
    numbers: Range<u64>,
    bar: &ProgressBar,
) -> Result<(), CliError> {
    let client = super::connect(cluster).await?;
    let producer = client.producer("RmqDemoProducers").build()?;
    let mut in_flight: VecDeque<(u64, rmq::Operation<rmq::SendReceipt>)> = VecDeque::new();
    for number in numbers {
        if in_flight.len() >= IN_FLIGHT {
            stored(ledger, in_flight.pop_front()).await?;
            bar.set_position(ledger.settled());
        }
        let message = rmq::Message::new(cluster.topic.as_str(), ledger.body(number)).key(number.to_string());
        in_flight.push_back((number, producer.send(message)));
    }
    while !in_flight.is_empty() {
        stored(ledger, in_flight.pop_front()).await?;
    }
    Ok(client.close().await?)
}

async fn stored(
    ledger: &Ledger,
    sent: Option<(u64, rmq::Operation<rmq::SendReceipt>)>,
) -> Result<(), CliError> {
    if let Some((number, operation)) = sent {
        operation.await?;
        ledger.note_stored(number);
    }
    Ok(())
}

/// The consumer that is there to the end.
pub(crate) struct Survivor {
    client: rmq::Client,
    consumer: rmq::PushConsumer,
}

impl Survivor {
    pub(crate) async fn start(cluster: &Cluster, ledger: &Arc<Ledger>) -> Result<Self, CliError> {
        let client = super::connect(cluster).await?;
        let ledger = ledger.clone();
        let consumer = builder(&client, cluster)
            .workers(SURVIVOR_WORKERS, move |message| {
                let ledger = ledger.clone();
                async move { consume(&ledger, &message) }
            })
            .await?;
        Ok(Self { client, consumer })
    }

    pub(crate) async fn close(self) -> Result<rmq::CloseReport, CliError> {
        let report = self.consumer.close().await?;
        self.client.close().await?;
        Ok(report)
    }
}

/// The consumer that dies, in a runtime of its own, so that nothing of it is left.
pub(crate) struct Victim {
    runtime: Runtime,
    hands: Arc<Hands>,
    _consumer: rmq::PushConsumer,
    _client: rmq::Client,
}

#[derive(Default)]
struct Hands {
    hold: AtomicBool,
    held: AtomicU64,
}

impl Victim {
    pub(crate) async fn start(cluster: &Cluster, ledger: &Arc<Ledger>) -> Result<Self, CliError> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let hands = Arc::new(Hands::default());
        let (client, consumer) = {
            let (hands, ledger) = (hands.clone(), ledger.clone());
            let _guard = runtime.enter();
            let client = rmq::Client::start(cluster.name_server.as_str())?;
            let starting = builder(&client, cluster).workers(VICTIM_WORKERS, move |message| {
                let (hands, ledger) = (hands.clone(), ledger.clone());
                async move {
                    if hands.hold.load(Ordering::Relaxed) {
                        hands.held.fetch_add(1, Ordering::Relaxed);
                        std::future::pending::<()>().await;
                    }
                    consume(&ledger, &message)
                }
            });
            (client, starting)
        };
        let consumer = consumer.await?;
        Ok(Self { runtime, hands, _consumer: consumer, _client: client })
    }

    /// From now on it finishes nothing.
    pub(crate) fn hold(&self) {
        self.hands.hold.store(true, Ordering::Relaxed);
    }

    /// Deliveries that it took and has not answered.
    pub(crate) fn in_hand(&self) -> u64 {
        self.hands.held.load(Ordering::Relaxed)
    }

    /// Stops its runtime where it stands: sockets close, nothing is said, nothing is committed.
    pub(crate) fn die(self) -> u64 {
        let in_hand = self.in_hand();
        self.runtime.shutdown_background();
        in_hand
    }
}

fn builder(client: &rmq::Client, cluster: &Cluster) -> rmq::PushConsumerBuilder {
    client
        .push_consumer(cluster.group.as_str())
        .subscribe(cluster.topic.as_str(), "*")
        .consume_from(rmq::ConsumeFrom::FirstOffset)
}

fn consume(ledger: &Ledger, message: &rmq::ReceivedMessage) -> rmq::Ack {
    match message.body() {
        Ok(body) => {
            ledger.note_consumed(body);
            rmq::Ack::Done
        }
        Err(_) => rmq::Ack::Retry,
    }
}
