//! Bodies on their way: compressed, and such that nobody can decode them.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rocketmq_client_core::consumer::{Ack, CloseReport};
use rocketmq_client_core::driver::UndecodableBody;
use rocketmq_client_core::driver::compress::{Compression, INFLATED_BYTES_MAX, inflate};
use rocketmq_client_core::message::{Message, names, sys_flag};

use crate::failure::{ensure, ensure_eq, ensure_matches};
use crate::scenario::bodies;
use crate::{Failure, Inbox, Place, Scenario, Verdict};

/// So many messages are in one answer of the broker; the second is bad.
const MESSAGES: usize = 10;
const BAD: i64 = 1;
const COMMIT_INTERVAL: Duration = Duration::from_millis(50);

pub(super) async fn every_compression_is_written_and_read(s: &Scenario) -> Verdict {
    let client = s.client().await?;
    let body = "rocketmq ".repeat(10_000);
    for kind in [Compression::Zlib, Compression::Lz4, Compression::Zstd] {
        let (topic, inbox) = (s.topic(1).await?, Inbox::default());
        let producer = client.producer(s.name("producers")).compression(kind).build()?;
        s.end("the send", producer.send(Message::new(&*topic, body.clone()))).await??;
        let stored = s.stored(&topic, 1).await?;
        let message = stored.first().ok_or("nothing was stored")?;
        ensure!(message.is_compressed(), "the body was not compressed");
        ensure_eq!(sys_flag::compression_type(message.sys_flag), Some(kind), "type bits");
        let (packed, len) = (message.raw_body(), message.raw_body().len());
        ensure!(len < body.len() / 10, "{kind} compressed to {len} bytes");
        ensure!(inflate(message.sys_flag, packed, INFLATED_BYTES_MAX)? == body, "another body in the broker");
        let _consumer = s.consume(s.group(&client, &s.name("group"), &topic), "one", &inbox).await?;
        s.all_seen(&inbox, [body.clone()]).await?;
    }
    Ok(())
}

pub(super) async fn a_body_that_can_not_be_inflated_is_told_and_becomes_a_dead_letter(
    s: &Scenario,
) -> Verdict {
    let topic = s.topic(1).await?;
    for (number, body) in (0..).zip(bodies("m", MESSAGES)) {
        let flags = if number == BAD { sys_flag::COMPRESSED | sys_flag::COMPRESSION_ZSTD } else { 0 };
        s.admin().put(&topic, flags, body.as_bytes())?;
    }
    let seen = consume_all_but_the_bad(s, &topic).await?;
    ensure_matches!(seen.why, UndecodableBody::Inflate(_), "the reason");
    ensure_eq!((seen.report.sent_back, seen.report.passed_over), (1, 0), "sent back and passed over");
    a_dead_letter_says(s, &seen.group, b"m-1").await
}

pub(super) async fn a_record_that_can_not_be_read_is_told_and_passed_over(s: &Scenario) -> Verdict {
    // Neither a topic that is no text nor a number that means no version can be read by the broker either.
    for (pattern, by) in [(&b"topic-"[..], 0xFF), (&[0xDA, 0xA3, 0x20, 0xA7], 0)] {
        let topic = damaged(s, |record| {
            let found = record.windows(pattern.len()).position(|bytes| bytes == pattern);
            record[found.expect("each record has it")] = by;
        })
        .await?;
        let seen = consume_all_but_the_bad(s, &topic).await?;
        ensure_matches!(seen.why, UndecodableBody::Record(_), "the reason");
        ensure_eq!((seen.report.sent_back, seen.report.passed_over), (0, 1), "sent back and passed over");
    }
    Ok(())
}

pub(super) async fn a_body_with_a_wrong_crc_is_told_and_becomes_a_dead_letter(s: &Scenario) -> Verdict {
    let topic = damaged(s, |record| {
        let found = record.windows(3).position(|bytes| bytes == b"m-1");
        record[found.expect("the body")] = b'n';
    })
    .await?;
    let seen = consume_all_but_the_bad(s, &topic).await?;
    ensure_matches!(seen.why, UndecodableBody::Crc(_), "the reason");
    ensure_eq!((seen.report.sent_back, seen.report.passed_over), (1, 0), "sent back and passed over");
    a_dead_letter_says(s, &seen.group, b"n-1").await
}

/// A topic with messages, of which the disk damaged the bad one.
async fn damaged(s: &Scenario, change: impl FnOnce(&mut [u8])) -> Verdict<String> {
    if let Place::Apache { .. } = s.place() {
        return Err(Failure::DoesNotApply(
            "it damages a record where the broker keeps it: only the dev broker lets it",
        ));
    }
    let topic = s.topic(1).await?;
    let producer = s.producer(&s.client().await?)?;
    for body in bodies("m", MESSAGES) {
        s.end("a send", producer.send(Message::new(&*topic, body))).await??;
    }
    let damaged = s.place().with_broker(|broker| broker.damage(&topic, 0, BAD, change));
    ensure!(damaged == Some(true), "there is no such record");
    Ok(topic)
}

/// What a consumer of ten messages with a bad one came to.
struct Consumed {
    group: String,
    why: UndecodableBody,
    report: CloseReport,
}

/// Nine messages arrive, the bad one is told once or more, and the group goes on behind it.
async fn consume_all_but_the_bad(s: &Scenario, topic: &str) -> Verdict<Consumed> {
    let (admin, group, inbox) = (s.admin(), s.name("group"), Inbox::default());
    let settings = s.settings().configure(|config| config.persist_consumer_offset_interval = COMMIT_INTERVAL);
    let client = s.client_with(settings).await?;
    let told = Arc::new(Mutex::new(Vec::new()));
    let tell = told.clone();
    let builder = s.group(&client, &group, topic).on_undecodable(move |message| {
        let error = message.body().expect_err("it is called for nothing else").clone();
        tell.lock().unwrap_or_else(PoisonError::into_inner).push((message.queue_offset(), error));
        Ack::DeadLetter
    });
    let builder = builder.configure(|config| config.send_back_retry_delay = Duration::from_millis(20));
    let consumer = s.consume(builder, "one", &inbox).await?;
    s.all_seen(&inbox, bodies("m", MESSAGES).filter(|body| body != "m-1")).await?;
    // It is with the broker, or passed over, before the consumer closes.
    s.eventually("the offset behind the bad message", || {
        Ok(admin.committed_offset(&group, topic, 0)? == Some(i64::try_from(MESSAGES)?))
    })
    .await?;
    let report = s.end("the consumer to close", consumer.close()).await??;
    ensure_eq!(report.settled, 9, "settled");
    let told = told.lock().unwrap_or_else(PoisonError::into_inner);
    ensure!(told.iter().all(|(offset, _)| *offset == BAD), "told of others: {told:?}");
    let why = told.first().map(|(_, error)| error.clone()).ok_or("nobody was told")?;
    Ok(Consumed { group, why, report })
}

async fn a_dead_letter_says(s: &Scenario, group: &str, body: &[u8]) -> Verdict {
    let (admin, topic) = (s.admin(), names::dlq_topic(group));
    s.eventually("the dead letter", || {
        Ok(admin.queue_count(&topic)? == 1 && admin.max_offset(&topic, 0)? == 1)
    })
    .await?;
    let letters = admin.messages(&topic)?;
    ensure_eq!(letters.len(), 1, "dead letters");
    ensure_eq!(letters[0].raw_body()[..], *body, "body of the dead letter");
    Ok(())
}
