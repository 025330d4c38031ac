//! What can be done with a consumer while it runs, and what it tells of itself.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rocketmq_client_core::consumer::{Ack, Full, Standing};

use crate::failure::{ensure, ensure_eq};
use crate::scenario::bodies;
use crate::{Inbox, Scenario, Verdict, timer};

/// A message that a handler keeps too long is sent back and comes again; its late answer is nothing.
pub(super) async fn a_message_that_is_kept_too_long_comes_again(s: &Scenario) -> Verdict {
    let topic = s.topic(1).await?;
    let client = s.client().await?;
    s.send(&s.producer(&client)?, &topic, "m", 2).await?;
    let starting = s
        .group(&client, &s.name("group"), &topic)
        .configure(|config| config.consume_timeout = Duration::from_millis(500))
        .stream();
    let mut stream = s.end("the consumer to start", starting).await??;
    let kept = s.within("the first message", stream.next()).await?.ok_or("the stream ended")?;
    let quick = s.within("the second message", stream.next()).await?.ok_or("the stream ended")?;
    let body = kept.body()?.clone();
    quick.ack();
    let again = s.within("the first one again", stream.next()).await?.ok_or("the stream ended")?;
    ensure_eq!(again.body()?, &body, "the message that comes again");
    ensure_eq!(again.reconsume_times(), 1, "reconsume times");
    kept.ack();
    again.ack();
    let control = stream.control();
    let told = s.end("the statistics", control.statistics()).await??;
    let timed_out: u64 = told.topics.iter().map(|(_, topic)| topic.timed_out).sum();
    ensure_eq!((timed_out, told.late_answers), (1, 1), "timed out, and answered late");
    let report = s.end("the stream to close", stream.close()).await??;
    ensure_eq!((report.settled, report.timed_out, report.abandoned), (2, 1, 0), "the report");
    Ok(())
}

pub(super) async fn a_suspended_consumer_waits_until_it_is_resumed(s: &Scenario) -> Verdict {
    let (topic, inbox) = (s.topic(2).await?, Inbox::default());
    let client = s.client().await?;
    let producer = s.producer(&client)?;
    let consumer = s.consume(s.group(&client, &s.name("group"), &topic), "one", &inbox).await?;
    s.send(&producer, &topic, "before", 20).await?;
    s.all_seen(&inbox, bodies("before", 20)).await?;
    s.end("the consumer to be suspended", consumer.suspend()).await??;
    let health = s.end("the health", consumer.health()).await??;
    ensure!(health.suspended && !health.is_flowing(), "it does not say that it is suspended: {health}");
    // Pulls that were under way bring one batch of each queue; then nothing comes.
    let mut nudges = 0;
    s.within("pulls to end and their messages to be dealt with", async {
        loop {
            let health = s.end("the health", consumer.health()).await??;
            let mut of_topic = health.queues.iter().filter(|queue| *queue.queue.topic == *topic);
            if of_topic.all(|queue| queue.standing == Standing::Suspended && queue.cached == 0) {
                return Verdict::Ok(());
            }
            s.send(&producer, &topic, &format!("nudge-{nudges}"), 1).await?;
            nudges += 1;
        }
    })
    .await??;
    let calls = inbox.len();
    s.send(&producer, &topic, "after", 20).await?;
    timer::pause(Duration::from_millis(300)).await;
    ensure_eq!(inbox.len(), calls, "calls while it was suspended");
    s.end("the consumer to be resumed", consumer.resume()).await??;
    let nudges = (0..nudges).map(|nudge| format!("nudge-{nudge}-0"));
    s.all_seen(&inbox, bodies("before", 20).chain(nudges).chain(bodies("after", 20))).await
}

pub(super) async fn messages_of_a_batch_are_answered_one_by_one(s: &Scenario) -> Verdict {
    let (topic, group, inbox) = (s.topic(1).await?, s.name("group"), Inbox::default());
    let client = s.client().await?;
    s.send(&s.producer(&client)?, &topic, "m", 30).await?;
    let (seen, largest) = (&inbox, AtomicUsize::new(0));
    let running = s.group(&client, &group, &topic).run_batch(8, async |batch| {
        largest.fetch_max(batch.len(), Ordering::Relaxed);
        for message in batch {
            seen.put("one", &message);
            if message.queue_offset() % 3 == 0 && message.reconsume_times() == 0 {
                message.retry_after(Duration::from_secs(1));
            } else {
                message.ack();
            }
        }
    });
    let stop = inbox.until(|seen| seen.len() >= 40);
    let report = s.within("every message, ten of them twice", running.until(stop)).await??;
    s.all_seen(&inbox, bodies("m", 30)).await?;
    ensure_eq!((report.settled, report.sent_back), (30, 10), "settled and sent back");
    let largest = largest.into_inner();
    ensure!((2..=8).contains(&largest), "the largest batch had {largest} messages");
    Ok(())
}

pub(super) async fn more_handlers_can_run_from_one_moment_to_the_next(s: &Scenario) -> Verdict {
    let topic = s.topic(2).await?;
    let client = s.client().await?;
    s.send(&s.producer(&client)?, &topic, "m", 40).await?;
    let (running, open) = (Arc::new(AtomicUsize::new(0)), Inbox::default());
    let (count, gate) = (running.clone(), open.clone());
    let starting = s.group(&client, &s.name("group"), &topic).workers(1, move |message| {
        let (count, gate) = (count.clone(), gate.clone());
        async move {
            count.fetch_add(1, Ordering::SeqCst);
            gate.put("began", &message);
            gate.until(|seen| seen.iter().filter(|seen| seen.member == "began").count() >= 6).await;
            Ack::Done
        }
    });
    let consumer = s.end("the consumer to start", starting).await??;
    s.within("one handler", open.until(|seen| !seen.is_empty())).await?;
    timer::pause(Duration::from_millis(100)).await;
    ensure_eq!(running.load(Ordering::SeqCst), 1, "handlers that run");
    consumer.set_concurrency(6);
    s.within("all messages", open.until(|seen| seen.len() >= 40)).await?;
    let report = s.end("the consumer to close", consumer.close()).await??;
    ensure_eq!(report.settled, 40, "settled");
    Ok(())
}

/// No more than the bound and one batch is cached, the reason is told, and it goes on by itself.
pub(super) async fn a_consumer_that_has_enough_says_so_and_goes_on(s: &Scenario) -> Verdict {
    let topic = s.topic(2).await?;
    let client = s.client().await?;
    s.send(&s.producer(&client)?, &topic, "m", 100).await?;
    for (full, most) in [(Full::Count, 12), (Full::TotalBytes, 16)] {
        let starting = s
            .group(&client, &s.name("group"), &topic)
            .configure(|config| {
                config.pull_batch_size = 4;
                match full {
                    Full::Count => config.pull_threshold_for_queue = 2,
                    _ => config.cached_bytes_max = 1,
                }
            })
            .stream();
        let mut stream = s.end("the consumer to start", starting).await??;
        let control = stream.control();
        s.within("a queue that has enough", async {
            loop {
                let health = s.end("the health", control.health()).await??;
                let reasons = health.queues.iter().map(|queue| queue.standing);
                if reasons.into_iter().any(|standing| standing == Standing::Full(full)) {
                    return Verdict::Ok(());
                }
                timer::pause(Duration::from_millis(5)).await;
            }
        })
        .await??;
        for _ in 0..100 {
            s.within("a message", stream.next()).await?.ok_or("the stream ended")?.ack();
            let cached = s.end("the statistics", control.statistics()).await??.cached;
            ensure!(cached <= most, "{cached} messages are cached");
        }
        s.end("the stream to close", stream.close()).await??;
    }
    Ok(())
}
