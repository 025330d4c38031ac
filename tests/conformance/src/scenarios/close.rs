//! The ends of clients and consumers: what is finished, what is told, what others notice.

use std::collections::BTreeSet;
use std::time::Duration;

use rocketmq_client_core::consumer::Ack;
use rocketmq_client_core::driver::{ClientBuilder, PushConsumer, PushConsumerBuilder};
use rocketmq_client_core::error::Error;
use rocketmq_client_core::message::Message;

use crate::failure::{ensure, ensure_eq, ensure_matches};
use crate::scenario::{WORKERS, bodies};
use crate::{Inbox, Latch, Scenario, Verdict};

/// A broker gives 32 messages at a time: in the middle of some, hands are full.
const QUICK_CALLS: usize = 36;

pub(super) async fn the_next_consumer_goes_on_where_the_last_one_ended(s: &Scenario) -> Verdict {
    let (topic, group, inbox) = (s.topic(4).await?, s.name("group"), Inbox::default());
    let producer = s.producer(&s.client().await?)?;
    s.send(&producer, &topic, "old", 100).await?;
    let first = s.client().await?;
    let consumer = s.consume(s.group(&first, &group, &topic), "first", &inbox).await?;
    s.all_seen(&inbox, bodies("old", 100)).await?;
    s.end("the consumer to close", consumer.close()).await??;
    s.end("the client to close", first.close()).await??;
    let mut committed = 0;
    for queue_id in 0..4 {
        committed += s.admin().committed_offset(&group, &topic, queue_id)?.unwrap_or(0);
    }
    ensure_eq!(committed, 100, "messages committed");
    let inbox = Inbox::default();
    let _second = s.consume(s.group(&s.client().await?, &group, &topic), "second", &inbox).await?;
    s.send(&producer, &topic, "new", 100).await?;
    s.all_seen(&inbox, bodies("new", 100)).await?;
    ensure_eq!(inbox.len(), 100, "calls");
    Ok(())
}

pub(super) async fn closing_under_load_loses_nothing_and_adds_up(s: &Scenario) -> Verdict {
    let (topic, group, inbox) = (s.topic(4).await?, s.name("group"), Inbox::default());
    let client = s.client().await?;
    s.send(&s.producer(&client)?, &topic, "m", 1_000).await?;
    let consumer = s.consume(s.group(&client, &group, &topic), "first", &inbox).await?;
    s.within("some messages", inbox.until(|seen| seen.len() >= 50)).await?;
    let report = s.end("the consumer to close", consumer.close()).await??;
    ensure_eq!(report.settled as usize, inbox.len(), "settled, against calls");
    ensure_eq!((report.abandoned, report.sent_back), (0, 0), "abandoned and sent back");
    ensure_eq!(report.queues_uncommitted, 0, "queues that were not committed");
    ensure!(report.settled + report.handed_back <= 1_000, "more than there was: {report:?}");
    let client = s.client().await?;
    let _second = s.consume(s.group(&client, &group, &topic), "second", &inbox).await?;
    s.all_seen(&inbox, bodies("m", 1_000)).await?;
    ensure_eq!(inbox.len(), 1_000, "calls by both");
    Ok(())
}

/// A handler that is ahead of another has done what comes later. What lies before it is done in the close, too, so that
/// nothing that was done comes again.
pub(super) async fn closing_while_handlers_are_slow_commits_all_that_was_done(s: &Scenario) -> Verdict {
    for by_client in [false, true] {
        let (topic, group, inbox) = (s.topic(1).await?, s.name("group"), Inbox::default());
        let client = s.client().await?;
        s.send(&s.producer(&client)?, &topic, "m", 200).await?;
        let (consumer, latch) = slow_handlers(s, s.group(&client, &group, &topic), &inbox).await?;
        let of_client = by_client.then(|| client.close());
        let of_consumer = (!by_client).then(|| consumer.close());
        // Once this is told, the close has begun everywhere.
        s.end("the health", consumer.health()).await??;
        latch.open();
        if let Some(closing) = of_client {
            s.end("the client to close", closing).await??;
        }
        if let Some(closing) = of_consumer {
            let report = s.end("the consumer to close", closing).await??;
            ensure_eq!(report.settled as usize, inbox.len(), "settled, against calls");
            ensure_eq!((report.abandoned, report.sent_back), (0, 0), "abandoned and sent back");
        }
        let committed = s.admin().committed_offset(&group, &topic, 0)?;
        ensure_eq!(committed, i64::try_from(inbox.len()).ok(), "committed, against calls");
        let _second = s.consume(s.group(&s.client().await?, &group, &topic), "second", &inbox).await?;
        s.all_seen(&inbox, bodies("m", 200)).await?;
        ensure_eq!(inbox.len(), 200, "calls by both");
    }
    Ok(())
}

/// A consumer all of whose handlers wait for the latch: after quick calls, so that workers have taken several messages
/// and each but the last has some that lie before another's.
async fn slow_handlers(
    s: &Scenario,
    builder: PushConsumerBuilder,
    inbox: &Inbox,
) -> Verdict<(PushConsumer, Latch)> {
    let (slow, latch) = (Inbox::default(), Latch::default());
    let (seen, waiting, opened) = (inbox.clone(), slow.clone(), latch.clone());
    let starting = builder.workers(WORKERS, move |message| {
        let (seen, waiting, opened) = (seen.clone(), waiting.clone(), opened.clone());
        async move {
            seen.put("first", &message);
            if seen.len() > QUICK_CALLS {
                waiting.put("first", &message);
                opened.opened().await;
            }
            Ack::Done
        }
    });
    let consumer = s.end("the consumer to start", starting).await??;
    s.within("every handler to be slow", slow.until(|seen| seen.len() >= WORKERS)).await?;
    Ok((consumer, latch))
}

pub(super) async fn closing_lets_handlers_end(s: &Scenario) -> Verdict {
    let (topic, group) = (s.topic(1).await?, s.name("group"));
    let client = s.client().await?;
    s.send(&s.producer(&client)?, &topic, "m", 10).await?;
    let starting = s.group(&client, &group, &topic).stream();
    let mut stream = s.end("the consumer to start", starting).await??;
    let in_hand = s.within("a message", stream.next()).await?.ok_or("the stream ended")?;
    let closing = stream.close();
    in_hand.ack();
    let report = s.end("the stream to close", closing).await??;
    ensure_eq!(report.settled, 1, "settled");
    ensure_eq!(report.abandoned, 0, "abandoned");
    ensure_eq!(s.admin().committed_offset(&group, &topic, 0)?, Some(1), "committed offset");
    Ok(())
}

/// The committed offset does not pass a message that nobody has finished, whatever came after it.
pub(super) async fn an_unfinished_message_holds_the_offset(s: &Scenario) -> Verdict {
    let (topic, group, inbox) = (s.topic(1).await?, s.name("group"), Inbox::default());
    let client = s.client().await?;
    s.send(&s.producer(&client)?, &topic, "m", 20).await?;
    let starting = s.group(&client, &group, &topic).stream();
    let mut stream = s.end("the consumer to start", starting).await??;
    let (mut held, mut unfinished) = (None, Vec::new());
    for _ in 0..20 {
        let message = s.within("a message", stream.next()).await?.ok_or("the stream ended")?;
        if message.queue_offset() >= 5 {
            unfinished.push(String::from_utf8_lossy(message.body()?).into_owned());
        }
        if message.queue_offset() == 5 {
            held = Some(message);
        } else {
            message.ack();
        }
    }
    let closing = stream.close_within(Duration::from_secs(2));
    let report = s.end("the stream to close", closing).await??;
    ensure_eq!((report.settled, report.abandoned), (19, 1), "settled and abandoned");
    ensure_eq!(s.admin().committed_offset(&group, &topic, 0)?, Some(5), "committed offset");
    ensure!(held.is_some(), "the message to be held did not come");
    drop(held);
    let _second = s.consume(s.group(&s.client().await?, &group, &topic), "second", &inbox).await?;
    s.all_seen(&inbox, unfinished).await
}

pub(super) async fn two_clients_have_nothing_to_do_with_each_other(s: &Scenario) -> Verdict {
    let (topic, inbox) = (s.topic(2).await?, Inbox::default());
    let (one, two) = (s.client().await?, s.client().await?);
    let (producer_one, producer_two) = (s.producer(&one)?, s.producer(&two)?);
    s.send(&producer_one, &topic, "one", 10).await?;
    s.send(&producer_two, &topic, "two", 10).await?;
    let _consumer = s.consume(s.group(&two, &s.name("group"), &topic), "two", &inbox).await?;
    s.end("the first client to close", one.close()).await??;
    let refused = s.end("a send of the closed client", producer_one.send(Message::new(&*topic, "x"))).await?;
    ensure_matches!(refused, Err(Error::Closed), "a send of the closed client");
    s.send(&producer_two, &topic, "later", 10).await?;
    let expected = bodies("one", 10).chain(bodies("two", 10)).chain(bodies("later", 10));
    s.all_seen(&inbox, expected).await
}

pub(super) async fn closing_tells_every_send_how_it_ended(s: &Scenario) -> Verdict {
    let topic = s.topic(4).await?;
    let client = s.client().await?;
    let producer = s.producer(&client)?;
    let sends: Vec<_> = bodies("m", 500).map(|body| producer.send(Message::new(&*topic, body))).collect();
    s.end("the client to close", client.close()).await??;
    let mut places = BTreeSet::new();
    for send in sends {
        match s.end("a send", send).await? {
            Ok(receipt) => ensure!(
                places.insert((receipt.queue.queue_id, receipt.queue_offset)),
                "two sends were told the same place"
            ),
            // Too busy perhaps, but not closed: the close stands behind it.
            Err(Error::NotSent(_)) => {}
            Err(error) => return Err(error.into()),
        }
    }
    let stored = s.stored(&topic, places.len()).await?;
    let stored: BTreeSet<_> = stored.iter().map(|m| (m.queue_id, m.queue_offset)).collect();
    ensure_eq!(stored, places, "places in the broker");
    Ok(())
}

/// The second close of what is closing ends with the first, and cuts it short when its own time is over.
pub(super) async fn a_second_close_joins_and_shortens_the_first(s: &Scenario) -> Verdict {
    let topic = s.topic(1).await?;
    let client = s.client().await?;
    s.send(&s.producer(&client)?, &topic, "m", 1).await?;
    let starting = s.group(&client, &s.name("group"), &topic).stream();
    let mut stream = s.end("the consumer to start", starting).await??;
    let held = s.within("the message", stream.next()).await?.ok_or("the stream ended")?;
    // A message in hand: the first close would wait for all of its time.
    let first = client.close_within(Duration::from_secs(600));
    let second = client.close_within(Duration::from_secs(1));
    s.end("the second close", second).await??;
    s.end("the first close", first).await??;
    s.end("a third close", client.close()).await??;
    let report = s.end("the stream to close", stream.close()).await?;
    ensure!(report.is_ok(), "what is closed is closed: {report:?}");
    drop(held);
    Ok(())
}

/// A stop that comes before the consumer has started tells a report.
pub(super) async fn a_stop_during_a_start_is_no_error(s: &Scenario) -> Verdict {
    let client = s.client().await?;
    // Nobody knows the topic, so that the start takes its time.
    let run = s.group(&client, &s.name("group"), &s.name("unknown")).run(async |_| Ack::Done);
    let until = run.close_timeout(Duration::from_secs(2)).until(async {});
    let report = s.within("the run", until).await??;
    ensure_eq!((report.settled, report.abandoned), (0, 0), "the report");
    s.end("the client to close", client.close()).await??;
    Ok(())
}

pub(super) async fn dropping_every_handle_ends_the_client(s: &Scenario) -> Verdict {
    let (topic, group, inbox) = (s.topic(2).await?, s.name("group"), Inbox::default());
    let detour = s.detour()?;
    let client = s.unkept_client(ClientBuilder::new(&detour.name_server())).await?;
    let producer = s.producer(&client)?;
    let consumer = s.consume(s.group(&client, &group, &topic), "one", &inbox).await?;
    drop(client);
    s.send(&producer, &topic, "m", 20).await?;
    s.all_seen(&inbox, bodies("m", 20)).await?;
    drop(producer);
    ensure_eq!(s.admin().member_count(&group)?, 1, "members while the consumer's handle is there");
    drop(consumer);
    s.eventually("the last connection to end", || Ok(detour.links() == 0)).await?;
    s.eventually("the group to be left", || Ok(s.admin().member_count(&group)? == 0)).await
}

pub(super) async fn a_dropped_consumer_leaves_its_messages_to_the_next(s: &Scenario) -> Verdict {
    let (topic, group, inbox) = (s.topic(2).await?, s.name("group"), Inbox::default());
    let client = s.client().await?;
    s.send(&s.producer(&client)?, &topic, "m", 100).await?;
    let starting = s.group(&client, &group, &topic).stream();
    let mut stream = s.end("the consumer to start", starting).await??;
    let in_hand = s.within("a message", stream.next()).await?.ok_or("the stream ended")?;
    drop(stream);
    s.eventually("the group to be left", || Ok(s.admin().member_count(&group)? == 0)).await?;
    // Too late: the consumer that had it is gone.
    in_hand.ack();
    let _next = s.consume(s.group(&client, &group, &topic), "next", &inbox).await?;
    s.all_seen(&inbox, bodies("m", 100)).await
}
