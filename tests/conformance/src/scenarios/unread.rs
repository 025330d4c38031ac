//! Queues that can be written but not read: nobody gets what is sent to them, and all who could say so do.

use rocketmq_client_core::config::ClientConfig;
use rocketmq_client_core::consumer::TopicHealth;
use rocketmq_client_core::driver::PushConsumer;

use crate::failure::{ensure, ensure_eq};
use crate::scenario::bodies;
use crate::warned::Warnings;
use crate::{Failure, Inbox, ROUTE_INTERVAL, Scenario, Verdict};

const WRITE: i32 = 8;
const READ: i32 = 4;

/// The client of a producer and the client of a consumer warn once each, and the consumer's health tells how
/// many there are. Once they can be read, everything arrives.
pub(super) async fn queues_that_nobody_reads_are_told(s: &Scenario) -> Verdict {
    let (admin, topic, inbox) = (s.admin(), s.name("topic"), Inbox::default());
    admin.create_topic_with(&topic, (READ, WRITE))?;
    s.eventually("the new topic's route", || Ok(admin.queue_count(&topic)? == WRITE)).await?;
    let often = |config: &mut ClientConfig| config.poll_name_server_interval = ROUTE_INTERVAL;
    let told = Warnings::from_now();
    let producer = s.producer(&s.client().await?)?;
    let receipts = s.send(&producer, &topic, "m", 2 * WRITE as usize).await?;
    ensure!(receipts.iter().any(|receipt| receipt.queue.queue_id >= READ), "all queues are written");
    ensure_warnings(told, &topic, 1, "the producer's client")?;
    let client = s.client_with(s.settings().configure(often)).await?;
    let consumer = s.consume(s.group(&client, &s.name("group"), &topic), "one", &inbox).await?;
    let health = topic_health(s, &consumer, &topic).await?;
    ensure_eq!(
        (health.queues, health.unread),
        (Some(READ as usize), READ as usize),
        "queues, and unread ones"
    );
    ensure_warnings(told, &topic, 2, "both clients")?;
    let readable = receipts.iter().filter(|receipt| receipt.queue.queue_id < READ).count();
    s.within("what can be read", inbox.until(|seen| seen.len() >= readable)).await?;
    ensure_eq!(inbox.len(), readable, "messages that came");
    admin.create_topic(&topic, WRITE)?;
    s.all_seen(&inbox, bodies("m", 2 * WRITE as usize)).await?;
    let health = topic_health(s, &consumer, &topic).await?;
    ensure_eq!(
        (health.queues, health.unread),
        (Some(WRITE as usize), 0),
        "queues, and unread ones, after it"
    );
    ensure_warnings(told, &topic, 2, "both clients, still")
}

async fn topic_health(s: &Scenario, consumer: &PushConsumer, topic: &str) -> Verdict<TopicHealth> {
    let health = s.end("the health", consumer.health()).await??;
    let of_topic = health.topics.into_iter().find(|health| &*health.topic == topic);
    of_topic.ok_or_else(|| Failure::from("no health of the topic"))
}

/// Where the log is kept, which it is in every run of the suite.
fn ensure_warnings(told: Option<Warnings>, topic: &str, count: usize, who: &str) -> Verdict {
    let lines = told.map_or_else(Vec::new, |told| told.with(topic));
    ensure!(told.is_none() || lines.len() == count, "{who}: {count} warnings expected, not {lines:?}");
    ensure!(lines.iter().all(|line| line.contains("written but not read")), "other words: {lines:?}");
    Ok(())
}
