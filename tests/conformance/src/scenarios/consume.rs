//! What one consumer gets, and by which of the ways to get it.

use std::collections::BTreeSet;
use std::time::Duration;

use rocketmq_client_core::config::ConsumeFrom;
use rocketmq_client_core::consumer::Ack;
use rocketmq_client_core::driver::UndecodableBody;
use rocketmq_client_core::message::{Message, sys_flag};

use crate::failure::{ensure, ensure_eq, ensure_matches};
use crate::scenario::bodies;
use crate::{Inbox, Scenario, Verdict};

pub(super) async fn from_the_first_offset(s: &Scenario) -> Verdict {
    let (topic, inbox) = (s.topic(4).await?, Inbox::default());
    let client = s.client().await?;
    s.send(&s.producer(&client)?, &topic, "m", 100).await?;
    let consumer = s.consume(s.group(&client, &s.name("group"), &topic), "one", &inbox).await?;
    s.all_seen(&inbox, bodies("m", 100)).await?;
    let report = s.end("the consumer to close", consumer.close()).await??;
    ensure_eq!(inbox.len(), 100, "calls");
    ensure_eq!(report.settled, 100, "settled");
    ensure_eq!(report.queues_committed, 4, "queues committed");
    ensure!(inbox.seen().iter().all(|seen| *seen.topic == *topic), "a message of another topic came");
    Ok(())
}

/// So every broker has it while it remembers the topic's first message: a group without an offset is told
/// that it stands at zero, and wherever it wanted to begin does not matter.
pub(super) async fn a_new_group_on_a_young_topic_begins_at_zero(s: &Scenario) -> Verdict {
    let (topic, inbox) = (s.topic(2).await?, Inbox::default());
    let client = s.client().await?;
    let producer = s.producer(&client)?;
    s.send(&producer, &topic, "old", 10).await?;
    let group = s.group(&client, &s.name("group"), &topic).consume_from(ConsumeFrom::LastOffset);
    let _consumer = s.consume(group, "one", &inbox).await?;
    s.send(&producer, &topic, "new", 10).await?;
    s.all_seen(&inbox, bodies("old", 10).chain(bodies("new", 10))).await
}

pub(super) async fn only_the_tags_that_were_subscribed(s: &Scenario) -> Verdict {
    let (topic, inbox) = (s.topic(2).await?, Inbox::default());
    let client = s.client().await?;
    let producer = s.producer(&client)?;
    let mut sends = Vec::new();
    for number in 0..10 {
        for tag in ["a", "b", "c", "ab"] {
            let message = Message::new(&*topic, format!("{tag}-{number}")).tag(tag);
            sends.push(producer.send(message));
        }
        sends.push(producer.send(Message::new(&*topic, format!("none-{number}"))));
    }
    for send in sends {
        s.end("a send", send).await??;
    }
    let group = client.push_consumer(s.name("group")).subscribe(&*topic, "a || b");
    let group = group.consume_from(ConsumeFrom::FirstOffset);
    let consumer = s.consume(group, "one", &inbox).await?;
    s.all_seen(&inbox, bodies("a", 10).chain(bodies("b", 10))).await?;
    s.end("the consumer to close", consumer.close()).await??;
    ensure_eq!(inbox.len(), 20, "calls");
    Ok(())
}

pub(super) async fn a_message_arrives_as_it_was_sent(s: &Scenario) -> Verdict {
    let topic = s.topic(1).await?;
    let client = s.client().await?;
    let producer = s.producer(&client)?;
    let body = "rocketmq ".repeat(10_000);
    let message = Message::new(&*topic, body.clone()).tag("t").keys(["k1", "k2"]).property("p", "v").flag(7);
    let receipt = s.end("the send", producer.send(message)).await??;
    let starting = s.group(&client, &s.name("group"), &topic).stream();
    let mut stream = s.end("the consumer to start", starting).await??;
    let delivered = s.within("the message", stream.next()).await?.ok_or("the stream ended")?;
    ensure!(delivered.body()? == &body, "the body is another");
    ensure_eq!(**delivered.topic(), *topic, "topic");
    ensure_eq!(delivered.tags(), Some("t"), "tag");
    ensure_eq!(delivered.keys().collect::<Vec<_>>(), ["k1", "k2"], "keys");
    ensure_eq!(delivered.property("p"), Some("v"), "property");
    ensure_eq!(delivered.stored().map(|message| message.flag), Some(7), "flag");
    ensure_eq!(delivered.message_id(), receipt.message_id.to_string(), "message id");
    ensure_eq!(delivered.queue(), &receipt.queue, "queue");
    ensure_eq!(delivered.queue_offset(), receipt.queue_offset, "offset");
    ensure_eq!(delivered.reconsume_times(), 0, "reconsume times");
    delivered.ack();
    let report = s.end("the stream to close", stream.close()).await??;
    ensure_eq!(report.settled, 1, "settled");
    Ok(())
}

pub(super) async fn handlers_inside_a_future_until_it_is_told_to_stop(s: &Scenario) -> Verdict {
    let (topic, inbox) = (s.topic(4).await?, Inbox::default());
    let client = s.client().await?;
    s.send(&s.producer(&client)?, &topic, "m", 100).await?;
    let borrowed = &inbox;
    let running = s.group(&client, &s.name("group"), &topic).run(async |message| {
        borrowed.put("one", &message);
        Ack::Done
    });
    let stop = inbox.until(|seen| seen.len() >= 100);
    let report = s.within("a hundred messages and the end", running.until(stop)).await??;
    s.all_seen(&inbox, bodies("m", 100)).await?;
    ensure_eq!(report.settled, 100, "settled");
    ensure_eq!((report.sent_back, report.handed_back, report.abandoned), (0, 0, 0), "anything else");
    Ok(())
}

pub(super) async fn handlers_on_threads(s: &Scenario) -> Verdict {
    let (topic, inbox) = (s.topic(4).await?, Inbox::default());
    let client = s.client().await?;
    s.send(&s.producer(&client)?, &topic, "m", 100).await?;
    let seen = inbox.clone();
    let starting = s.group(&client, &s.name("group"), &topic).run_on_threads(3, move |message| {
        seen.put("one", &message);
        Ack::Done
    });
    let consumer = s.end("the consumer to start", starting).await??;
    s.all_seen(&inbox, bodies("m", 100)).await?;
    let report = s.end("the consumer to close", consumer.close()).await??;
    ensure_eq!(report.settled, 100, "settled");
    Ok(())
}

pub(super) async fn two_topics_in_one_group(s: &Scenario) -> Verdict {
    let (first, second, inbox) = (s.topic(2).await?, s.topic(3).await?, Inbox::default());
    let client = s.client().await?;
    let producer = s.producer(&client)?;
    s.send(&producer, &first, "first", 20).await?;
    s.send(&producer, &second, "second", 20).await?;
    let group = s.group(&client, &s.name("group"), &first).subscribe(&*second, "*");
    let _consumer = s.consume(group, "one", &inbox).await?;
    s.all_seen(&inbox, bodies("first", 20).chain(bodies("second", 20))).await?;
    let topics: BTreeSet<_> = inbox.seen().into_iter().map(|seen| seen.topic.to_string()).collect();
    ensure_eq!(topics, BTreeSet::from([first, second]), "topics");
    Ok(())
}

/// A message that comes while the broker holds the pull is there at once, not when the pull has run out: a
/// hundred of them, one after the other, would else take far longer than anybody waits here. (Apache
/// RocketMQ overlooks a message that comes just before it holds the pull, and looks again after 5 s; that
/// is seldom.)
pub(super) async fn a_new_message_ends_the_wait_for_one(s: &Scenario) -> Verdict {
    let (topic, inbox) = (s.topic(1).await?, Inbox::default());
    let client = s.client().await?;
    let producer = s.producer(&client)?;
    let _consumer = s.consume(s.group(&client, &s.name("group"), &topic), "one", &inbox).await?;
    s.within("a hundred messages one by one", async {
        for (count, body) in (1..).zip(bodies("m", 100)) {
            s.end("a send", producer.send(Message::new(&*topic, body))).await??;
            inbox.until(|seen| seen.len() >= count).await;
        }
        Ok(())
    })
    .await?
}

pub(super) async fn a_stream_shows_an_undecodable_message(s: &Scenario) -> Verdict {
    let topic = s.topic(1).await?;
    let client = s.client().await?;
    s.admin().put(&topic, sys_flag::COMPRESSED, b"not compressed")?;
    let starting = s.group(&client, &s.name("group"), &topic).stream();
    let mut stream = s.end("the consumer to start", starting).await??;
    let message = s.within("the message", stream.next()).await?.ok_or("the stream ended")?;
    ensure_matches!(message.body(), Err(UndecodableBody::Inflate(_)), "the body");
    let raw = message.stored().ok_or("its record is missing")?.raw_body();
    ensure_eq!(raw[..], b"not compressed"[..], "the body as it came");
    message.ack();
    let report = s.end("the stream to close", stream.close()).await??;
    ensure_eq!(report.settled, 1, "settled");
    Ok(())
}

/// As long as nobody answers, no more is fetched than the threshold and one pull beyond it; then the rest
/// comes.
pub(super) async fn a_queue_with_enough_unanswered_messages_is_not_pulled(s: &Scenario) -> Verdict {
    const THRESHOLD: usize = 16;
    const BATCH: i32 = 8;
    let (topic, group, inbox) = (s.topic(1).await?, s.name("group"), Inbox::default());
    let client = s.client().await?;
    let producer = s.producer(&client)?;
    s.send(&producer, &topic, "m", 300).await?;
    let builder = || {
        let builder = s.group(&client, &group, &topic).pull_batch_size(BATCH);
        builder.configure(|config| config.pull_threshold_for_queue = THRESHOLD)
    };
    let mut stream = s.end("the consumer to start", builder().stream()).await??;
    let mut held = Vec::new();
    while held.len() < THRESHOLD {
        held.push(s.within("a message", stream.next()).await?.ok_or("the stream ended")?);
    }
    // By the same connection as the pulls, so that one which must not be has its time.
    s.send(&producer, &topic, "later", 100).await?;
    let closing = stream.close_within(Duration::from_millis(400));
    let report = s.end("the stream to close", closing).await??;
    let fetched = report.settled + report.handed_back + report.abandoned;
    let most = THRESHOLD + usize::try_from(BATCH)?;
    ensure!(
        fetched as usize >= THRESHOLD && fetched as usize <= most,
        "{fetched} were fetched, {most} may be"
    );
    drop(held);
    let _consumer = s.consume(builder(), "next", &inbox).await?;
    s.all_seen(&inbox, bodies("m", 300).chain(bodies("later", 100))).await
}
