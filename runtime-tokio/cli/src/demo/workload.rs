//! The producer: messages with a key of their own, a bounded number of them under way.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use bytes::Bytes;
use rmq::{Message, Producer};
use rocketmq_client_tokio as rmq;
use tokio::task::JoinSet;

use super::cluster::Cluster;
use super::ledger::{Ledger, key_of};
use crate::error::CliError;

/// Messages under way at a time.
const IN_FLIGHT: usize = 256;
const BODY_BYTES: usize = 128;

pub(super) struct Workload {
    senders: JoinSet<Result<(), rmq::Error>>,
}

impl Workload {
    pub(super) fn start(
        client: &rmq::Client,
        cluster: &Cluster,
        ledger: &Arc<Ledger>,
        messages: u32,
    ) -> Result<Self, CliError> {
        let producer = client.producer(format!("{}-producers", cluster.group)).build()?;
        let next = Arc::new(AtomicU32::new(0));
        let body = Bytes::from(vec![b'm'; BODY_BYTES]);
        let mut senders = JoinSet::new();
        for _ in 0..IN_FLIGHT {
            let (producer, ledger, next) = (producer.clone(), ledger.clone(), next.clone());
            let template = Message::new(cluster.topic.clone(), body.clone());
            senders.spawn(async move { send(&producer, &ledger, &next, &template, messages).await });
        }
        Ok(Self { senders })
    }

    /// Whether messages are still under way. The first that failed ends the demo.
    pub(super) async fn is_sending(&mut self) -> Result<bool, CliError> {
        while let Some(ended) = self.senders.try_join_next() {
            ended.map_err(|error| CliError::Failed(format!("a sender broke down: {error}")))??;
        }
        Ok(!self.senders.is_empty())
    }
}

async fn send(
    producer: &Producer,
    ledger: &Ledger,
    next: &AtomicU32,
    template: &Message,
    messages: u32,
) -> Result<(), rmq::Error> {
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= messages {
            return Ok(());
        }
        ledger.sending(number);
        let receipt = producer.send(template.clone().key(key_of(number))).await?;
        ledger.confirmed(number, &receipt);
    }
}
