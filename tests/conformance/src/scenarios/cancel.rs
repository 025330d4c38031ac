//! Futures that are dropped at every one of their await points, from before the first poll to after the last.

use std::cell::Cell;
use std::collections::BTreeSet;
use std::future::{Future, pending, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use rocketmq_client_core::consumer::Ack;
use rocketmq_client_core::driver::{Client, ClientBuilder, Limits};
use rocketmq_client_core::message::Message;

use crate::failure::{ensure, ensure_eq};
use crate::scenario::bodies;
use crate::{Detour, Inbox, Scenario, Verdict};

/// Await points that one future may have; on the way to a broker of this machine it is a handful.
const POLLS_MAX: usize = 64;
/// How long nothing wakes a run that waits for nothing but handlers without an end.
const QUIET: Duration = Duration::from_millis(100);
/// Await points of a future that never ends by itself.
const ENDLESS_POLLS: usize = 12;

/// Polls a future so many times, each after its waker was called, and drops it. What it gave, if it ended.
async fn polled<F: Future>(future: F, mut polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        if polls == 0 {
            return Poll::Ready(None);
        }
        polls -= 1;
        match future.as_mut().poll(cx) {
            Poll::Ready(output) => Poll::Ready(Some(output)),
            Poll::Pending if polls == 0 => Poll::Ready(None),
            Poll::Pending => Poll::Pending,
        }
    })
    .await
}

/// Does `attempt` with 0, 1, 2... polls until it says that the future ended by itself.
async fn at_every_point(mut attempt: impl AsyncFnMut(usize) -> Verdict<bool>) -> Verdict {
    for polls in 0..POLLS_MAX {
        if attempt(polls).await? {
            ensure!(polls > 0, "a future that was never polled has ended");
            return Ok(());
        }
    }
    Err(format!("after {POLLS_MAX} polls the future had not ended").into())
}

/// A client that nobody else holds, and the way that it went.
async fn alone(s: &Scenario) -> Verdict<(Detour, Client)> {
    let detour = s.detour()?;
    let client = s.unkept_client(ClientBuilder::new(&detour.name_server())).await?;
    Ok((detour, client))
}

async fn no_connection_left(s: &Scenario, detour: &Detour) -> Verdict {
    s.eventually("the last connection to end", || Ok(detour.links() == 0)).await
}

pub(super) async fn a_connect(s: &Scenario) -> Verdict {
    at_every_point(async |polls| {
        let detour = s.detour()?;
        let connecting = s.adapter().connect(ClientBuilder::new(&detour.name_server()));
        let connected = s.within("the polls", polled(connecting, polls)).await?;
        let ended = connected.is_some();
        drop(connected.transpose()?);
        no_connection_left(s, &detour).await?;
        Ok(ended)
    })
    .await
}

/// One message may be under way: if a send that was dropped kept its permit, no other could follow.
pub(super) async fn a_send(s: &Scenario) -> Verdict {
    let topic = s.topic(2).await?;
    let mut limits = Limits::default();
    limits.messages_max = 1;
    let client = s.client_with(s.settings().limits(limits)).await?;
    let producer = s.producer(&client)?;
    let (mut told, mut dropped) = (BTreeSet::new(), 0);
    let mut one_way_ends = false;
    at_every_point(async |polls| {
        let send = producer.send(Message::new(&*topic, format!("cancelled-{polls}")));
        let sent = s.within("the polls", polled(send, polls)).await?.transpose()?;
        dropped += u64::from(sent.is_none());
        told.extend(sent.iter().map(|receipt| (receipt.queue.queue_id, receipt.queue_offset)));
        if !one_way_ends {
            let send = producer.send_oneway(Message::new(&*topic, format!("one-way-{polls}")));
            one_way_ends = s.within("the polls", polled(send, polls)).await?.transpose()?.is_some();
        }
        let after = s.end("a send after it", producer.send(Message::new(&*topic, "after"))).await??;
        told.insert((after.queue.queue_id, after.queue_offset));
        Ok(sent.is_some() && one_way_ends)
    })
    .await?;
    s.end("the client to close", client.close()).await??;
    let counts = client.detached_counts();
    ensure!(
        counts.done + counts.failed + counts.withdrawn >= dropped,
        "not all are accounted for: {counts:?}"
    );
    ensure_eq!(counts.failed, 0, "sends that failed because they were dropped");
    let stored = s.stored(&topic, told.len()).await?;
    let cancelled: Vec<_> = stored.iter().filter(|m| m.raw_body().starts_with(b"cancelled")).collect();
    let bodies: BTreeSet<_> = cancelled.iter().map(|message| message.raw_body()).collect();
    ensure_eq!(bodies.len(), cancelled.len(), "distinct bodies among those that were dropped");
    let places: BTreeSet<_> = stored.iter().map(|m| (m.queue_id, m.queue_offset)).collect();
    ensure!(told.is_subset(&places), "a receipt names a place without a message");
    Ok(())
}

pub(super) async fn a_start(s: &Scenario) -> Verdict {
    let topic = s.topic(2).await?;
    let client = s.client().await?;
    s.send(&s.producer(&client)?, &topic, "m", 20).await?;
    at_every_point(async |polls| {
        let group = s.name("group");
        let stream = s.group(&client, &group, &topic).stream();
        let streams = s.within("the polls", polled(stream, polls)).await?.transpose()?;
        let workers = s.group(&client, &s.name("workers"), &topic).workers(2, async |_| Ack::Retry);
        let works = s.within("the polls", polled(workers, polls)).await?.transpose()?;
        let ended = streams.is_some() && works.is_some();
        drop((streams, works));
        s.eventually("the group to be left", || Ok(s.admin().member_count(&group)? == 0)).await?;
        let inbox = Inbox::default();
        let consumer = s.consume(s.group(&client, &group, &topic), "next", &inbox).await?;
        s.all_seen(&inbox, bodies("m", 20)).await?;
        s.end("the consumer to close", consumer.close()).await??;
        Ok(ended)
    })
    .await
}

/// A message that comes to a `next()` that was dropped is not lost with it.
pub(super) async fn a_wait_for_the_next_message(s: &Scenario) -> Verdict {
    let topic = s.topic(1).await?;
    let client = s.client().await?;
    let producer = s.producer(&client)?;
    let starting = s.group(&client, &s.name("group"), &topic).stream();
    let mut stream = s.end("the consumer to start", starting).await??;
    let mut seen = Vec::new();
    for round in 0..20 {
        ensure!(polled(stream.next(), 1).await.is_none(), "a message came before it was sent");
        let sending = producer.send(Message::new(&*topic, format!("m-{round}")));
        let cancelled = polled(stream.next(), round % 2).await;
        s.end("the send", sending).await??;
        let message = match cancelled {
            Some(message) => message,
            None => s.within("the message", stream.next()).await?,
        };
        let message = message.ok_or("the stream ended")?;
        seen.push(String::from_utf8_lossy(message.body()?).into_owned());
        message.ack();
    }
    ensure_eq!(seen, bodies("m", 20).collect::<Vec<_>>(), "messages");
    let report = s.end("the stream to close", stream.close()).await??;
    ensure_eq!((report.settled, report.sent_back), (20, 0), "settled and sent back");
    Ok(())
}

/// What was answered stays answered, and what was in hand comes to the next one.
pub(super) async fn a_run(s: &Scenario) -> Verdict {
    let (topic, group, inbox) = (s.topic(2).await?, s.name("group"), Inbox::default());
    let client = s.client().await?;
    s.send(&s.producer(&client)?, &topic, "m", 200).await?;
    for polls in 0..ENDLESS_POLLS {
        let calls = Cell::new(0);
        let run = s.group(&client, &group, &topic).run(async |message| {
            calls.set(calls.get() + 1);
            if calls.get() % 3 == 0 {
                return pending().await;
            }
            inbox.put("dropped", &message);
            Ack::Done
        });
        // Ends the wait where nothing is left that could wake the run.
        let polls = polled(run.until(pending::<()>()), polls);
        let given_up = crate::timer::within(QUIET, polls).await;
        ensure!(!matches!(given_up, Ok(Some(_))), "a run without an end has ended");
        s.eventually("the group to be left", || Ok(s.admin().member_count(&group)? == 0)).await?;
    }
    let _consumer = s.consume(s.group(&client, &group, &topic), "next", &inbox).await?;
    s.all_seen(&inbox, bodies("m", 200)).await
}

pub(super) async fn a_close(s: &Scenario) -> Verdict {
    let topic = s.topic(2).await?;
    at_every_point(async |polls| {
        let (detour, client) = alone(s).await?;
        let (group, inbox) = (s.name("group"), Inbox::default());
        let producer = s.producer(&client)?;
        let consumer = s.consume(s.group(&client, &group, &topic), "one", &inbox).await?;
        s.send(&producer, &topic, "m", 5).await?;
        let producer_closed = s.within("the polls", polled(producer.close(), polls)).await?;
        let consumer_closed = s.within("the polls", polled(consumer.close(), polls)).await?;
        s.eventually("the group to be left", || Ok(s.admin().member_count(&group)? == 0)).await?;
        let closed = s.within("the polls", polled(client.close(), polls)).await?;
        let ended = producer_closed.is_some() && consumer_closed.is_some() && closed.is_some();
        // The handles are still there: what ends the connections is the close, dropped or not.
        no_connection_left(s, &detour).await?;
        drop(Arc::new((producer, consumer, client)));
        Ok(ended)
    })
    .await
}
