//! Messages that were not dealt with: how they come again, and where they end.

use std::panic::resume_unwind;

use rocketmq_client_core::consumer::Ack;
use rocketmq_client_core::message::{Message, names};

use crate::failure::{ensure, ensure_eq};
use crate::{Inbox, Scenario, Seen, Verdict};

pub(super) async fn a_message_comes_again_under_its_own_topic(s: &Scenario) -> Verdict {
    let (topic, group, inbox) = (s.topic(2).await?, s.name("group"), Inbox::default());
    let client = s.client().await?;
    let consumer = s
        .consume_with(s.group(&client, &group, &topic), "one", &inbox, |message| {
            if message.reconsume_times() == 0 { Ack::Retry } else { Ack::Done }
        })
        .await?;
    send_one(s, &client, &topic).await?;
    let again = s.within("the second delivery", second(&inbox)).await?;
    ensure_eq!(*again.topic, *topic, "topic of the second delivery");
    ensure_eq!(*again.queue.topic, *names::retry_topic(&group), "topic of its queue");
    ensure_eq!(again.reconsume_times, 1, "reconsume times");
    let report = s.end("the consumer to close", consumer.close()).await??;
    ensure_eq!((report.settled, report.sent_back), (1, 1), "settled and sent back");
    ensure_eq!(inbox.len(), 2, "calls");
    Ok(())
}

pub(super) async fn a_handler_that_panics_gets_its_message_again(s: &Scenario) -> Verdict {
    let (topic, inbox) = (s.topic(2).await?, Inbox::default());
    let client = s.client().await?;
    let _consumer = s
        .consume_with(s.group(&client, &s.name("group"), &topic), "one", &inbox, |message| {
            if message.reconsume_times() == 0 {
                // Unwinds as a panic does, without the words on the standard error.
                resume_unwind(Box::new("a handler's panic"));
            }
            Ack::Done
        })
        .await?;
    send_one(s, &client, &topic).await?;
    let again = s.within("the second delivery", second(&inbox)).await?;
    ensure_eq!(again.reconsume_times, 1, "reconsume times");
    Ok(())
}

pub(super) async fn a_delivery_without_an_answer_comes_again(s: &Scenario) -> Verdict {
    let topic = s.topic(1).await?;
    let client = s.client().await?;
    send_one(s, &client, &topic).await?;
    let starting = s.group(&client, &s.name("group"), &topic).stream();
    let mut stream = s.end("the consumer to start", starting).await??;
    let first = s.within("the message", stream.next()).await?.ok_or("the stream ended")?;
    ensure_eq!(first.reconsume_times(), 0, "reconsume times at first");
    drop(first);
    let again = s.within("the second delivery", stream.next()).await?.ok_or("the stream ended")?;
    ensure_eq!(again.reconsume_times(), 1, "reconsume times");
    again.ack();
    let report = s.end("the stream to close", stream.close()).await??;
    ensure_eq!((report.settled, report.sent_back), (1, 1), "settled and sent back");
    Ok(())
}

pub(super) async fn after_the_last_try_it_is_a_dead_letter(s: &Scenario) -> Verdict {
    let (topic, group, inbox) = (s.topic(1).await?, s.name("group"), Inbox::default());
    let client = s.client().await?;
    let builder = s.group(&client, &group, &topic).max_reconsume_times(1);
    let _consumer = s.consume_with(builder, "one", &inbox, |_| Ack::Retry).await?;
    send_one(s, &client, &topic).await?;
    dead_letter(s, &group).await?;
    let times: Vec<_> = inbox.seen().iter().map(|seen| seen.reconsume_times).collect();
    ensure_eq!(times, [0, 1], "reconsume times of the deliveries");
    Ok(())
}

pub(super) async fn a_handler_can_ask_for_the_dead_letters(s: &Scenario) -> Verdict {
    let (topic, group, inbox) = (s.topic(1).await?, s.name("group"), Inbox::default());
    let client = s.client().await?;
    let consumer =
        s.consume_with(s.group(&client, &group, &topic), "one", &inbox, |_| Ack::DeadLetter).await?;
    send_one(s, &client, &topic).await?;
    dead_letter(s, &group).await?;
    let report = s.end("the consumer to close", consumer.close()).await??;
    ensure_eq!((report.settled, report.sent_back), (0, 1), "settled and sent back");
    ensure_eq!(inbox.len(), 1, "calls");
    ensure_eq!(s.admin().committed_offset(&group, &topic, 0)?, Some(1), "committed offset");
    Ok(())
}

async fn send_one(s: &Scenario, client: &rocketmq_client_core::driver::Client, topic: &str) -> Verdict {
    let message = Message::new(topic, "work").tag("t").key("k").property("mine", "kept");
    s.end("the send", s.producer(client)?.send(message)).await??;
    Ok(())
}

/// The second call.
async fn second(inbox: &Inbox) -> Seen {
    inbox.until(|seen| seen.len() >= 2).await;
    inbox.seen().swap_remove(1)
}

/// Waits for the message of [`send_one`] among the group's dead letters.
async fn dead_letter(s: &Scenario, group: &str) -> Verdict {
    let (admin, dlq) = (s.admin(), names::dlq_topic(group));
    s.eventually("the dead letter", || Ok(!admin.messages(&dlq)?.is_empty())).await?;
    let letters = admin.messages(&dlq)?;
    ensure_eq!(letters.len(), 1, "dead letters");
    let letter = &letters[0];
    ensure_eq!(letter.raw_body()[..], b"work"[..], "its body");
    ensure_eq!(letter.tags(), Some("t"), "its tag");
    ensure_eq!(letter.property("mine"), Some("kept"), "its property");
    ensure!(letter.keys().eq(["k"]), "its keys are others");
    Ok(())
}
