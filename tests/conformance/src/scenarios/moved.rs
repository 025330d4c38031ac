//! Queues that go on elsewhere: an operator's reset, a topic that is made anew, a tail that is lost.

use std::time::Duration;

use rocketmq_client_core::driver::{ClientBuilder, PushConsumer};
use rocketmq_dev_broker::{DevBroker, Durability};

use crate::failure::{ensure, ensure_eq};
use crate::place::short_delays;
use crate::scenario::bodies;
use crate::{Admin, Failure, Inbox, Place, Scenario, Verdict, timer};

/// The time that means the end of a queue in a reset. Java: `ResetOffsetByTimeCommand`, `now`.
const TO_THE_END: i64 = -1;
/// How long a pull waits at the broker that finds nothing.
const SUSPEND: Duration = Duration::from_secs(1);
/// How long a topic that was deleted stays away.
const AWAY: Duration = Duration::from_millis(500);

/// An operator takes a group back to the first message while one of its handlers has one.
pub(super) async fn a_reset_backward_begins_again_there(s: &Scenario) -> Verdict {
    let topic = s.topic(1).await?;
    let (client, group) = (s.client().await?, s.name("group"));
    let producer = s.producer(&client)?;
    let starting = s.group(&client, &group, &topic).stream();
    let mut stream = s.end("the consumer to start", starting).await??;
    s.send(&producer, &topic, "m", 6).await?;
    let mut kept = Vec::new();
    for number in 0..6 {
        let message = s.within("a message", stream.next()).await?.ok_or("the stream ended")?;
        if number < 4 {
            message.ack();
        } else {
            kept.push(message);
        }
    }
    committed(s, &group, &topic, 4).await?;
    s.admin().reset(&group, &topic, 0)?;
    // A pull that waits at the broker learns it when the next message comes.
    s.send(&producer, &topic, "wake", 1).await?;
    let mut again = Vec::new();
    while again.len() < 7 {
        let message = s.within("the messages again", stream.next()).await?.ok_or("the stream ended")?;
        // The one that woke the pull may have come with it, if the client was told of the reset later.
        if message.queue_offset() == 6 && again.is_empty() {
            kept.push(message);
        } else {
            again.push(message);
        }
    }
    let offsets: Vec<i64> = again.iter().map(|message| message.queue_offset()).collect();
    ensure_eq!(offsets, (0..7).collect::<Vec<i64>>(), "the offsets that come again");
    kept.into_iter().for_each(|message| message.ack());
    timer::pause(AWAY).await;
    let now = s.admin().committed_offset(&group, &topic, 0)?;
    ensure!(now == Some(0), "late answers moved the offset to {now:?}");
    again.into_iter().for_each(|message| message.ack());
    s.end("the stream to close", stream.close()).await??;
    ensure_eq!(s.admin().committed_offset(&group, &topic, 0)?, Some(7), "committed in the end");
    Ok(())
}

/// An operator lets a group skip what it has not consumed.
pub(super) async fn a_reset_forward_goes_on_there(s: &Scenario) -> Verdict {
    let (topic, inbox) = (s.topic(1).await?, Inbox::default());
    let (client, group) = (s.client().await?, s.name("group"));
    let producer = s.producer(&client)?;
    let consumer: PushConsumer = s.consume(s.group(&client, &group, &topic), "one", &inbox).await?;
    s.send(&producer, &topic, "before", 5).await?;
    s.all_seen(&inbox, bodies("before", 5)).await?;
    committed(s, &group, &topic, 5).await?;
    s.end("the consumer to be suspended", consumer.suspend()).await??;
    // The pull that waits brings one more.
    s.send(&producer, &topic, "wake", 1).await?;
    s.within("the last one", inbox.until(|seen| seen.len() == 6)).await?;
    s.send(&producer, &topic, "skipped", 20).await?;
    s.eventually("all to be stored", || Ok(s.admin().max_offset(&topic, 0)? == 26)).await?;
    s.admin().reset(&group, &topic, TO_THE_END)?;
    s.end("the consumer to be resumed", consumer.resume()).await??;
    committed(s, &group, &topic, 26).await?;
    s.send(&producer, &topic, "after", 5).await?;
    s.all_seen(&inbox, bodies("before", 5).chain(bodies("wake", 1)).chain(bodies("after", 5))).await?;
    committed(s, &group, &topic, 31).await
}

/// The group stands behind the end of the new queue, whose first messages come all at once.
pub(super) async fn a_topic_that_is_made_anew_is_consumed_from_its_first_message(s: &Scenario) -> Verdict {
    if let Place::Simulated { .. } = s.place() {
        return Err(Failure::DoesNotApply("the simulator's rules know of no topic that is made anew"));
    }
    let (topic, inbox) = (s.topic(1).await?, Inbox::default());
    let (client, group) = (s.client().await?, s.name("group"));
    // It is the next pull that learns of it.
    let builder = s.group(&client, &group, &topic).configure(|config| config.broker_suspend_max = SUSPEND);
    let _consumer = s.consume(builder, "one", &inbox).await?;
    s.send(&s.producer(&client)?, &topic, "old", 40).await?;
    s.all_seen(&inbox, bodies("old", 40)).await?;
    committed(s, &group, &topic, 40).await?;
    let admin = s.admin();
    admin.delete_topic(&topic)?;
    timer::pause(AWAY).await;
    admin.create_topic(&topic, 1)?;
    s.eventually("the new topic's route", || Ok(admin.queue_count(&topic)? == 1)).await?;
    s.send(&s.producer(&s.client().await?)?, &topic, "new", 10).await?;
    s.all_seen(&inbox, bodies("old", 40).chain(bodies("new", 10))).await?;
    committed(s, &group, &topic, 10).await
}

/// A power loss takes the newest messages, while handlers have these and some before them.
pub(super) async fn what_handlers_have_below_a_lost_tail_is_finished(s: &Scenario) -> Verdict {
    if !matches!(s.place(), Place::Dev(_)) {
        return Err(Failure::DoesNotApply("only a dev broker of its own loses messages when it is told to"));
    }
    let broker = DevBroker::builder().delay_levels(short_delays()?).topic("tail", 1).start()?;
    let (topic, group, admin) = ("tail", "group", Admin::new(broker.addr()));
    let client = s.client_with(ClientBuilder::new(&broker.addr())).await?;
    let producer = s.producer(&client)?;
    let starting = s.group(&client, group, topic).stream();
    let mut stream = s.end("the consumer to start", starting).await??;
    s.send(&producer, topic, "m", 15).await?;
    let mut kept = Vec::new();
    for _ in 0..15 {
        kept.push(s.within("a message", stream.next()).await?.ok_or("the stream ended")?);
    }
    broker.crash_broker(0, Durability::LoseRecords(5));
    broker.start_broker(0)?;
    s.eventually("the broker to come back", || Ok(admin.queue_count(topic)? == 1)).await?;
    s.send(&s.producer(&s.client_with(ClientBuilder::new(&broker.addr())).await?)?, topic, "n", 3).await?;
    let mut fresh = Vec::new();
    for offset in 10..13 {
        let message = s.within("a new message", stream.next()).await?.ok_or("the stream ended")?;
        ensure_eq!(message.queue_offset(), offset, "the place of a lost one");
        fresh.push(message);
    }
    let now = admin.committed_offset(group, topic, 0)?;
    ensure!(now.is_none_or(|offset| offset == 0), "committed {now:?} past what handlers have");
    let mut kept = kept.into_iter();
    kept.next().ok_or("nothing was kept")?.retry();
    kept.for_each(|message| message.ack());
    fresh.into_iter().for_each(|message| message.ack());
    let again = s.within("the message to come again", stream.next()).await?.ok_or("the stream ended")?;
    ensure_eq!(again.reconsume_times(), 1, "reconsume times");
    again.ack();
    let report = s.end("the stream to close", stream.close()).await??;
    ensure_eq!((report.sent_back, report.abandoned), (1, 0), "the report");
    ensure_eq!(admin.committed_offset(group, topic, 0)?, Some(13), "committed in the end");
    Ok(())
}

async fn committed(s: &Scenario, group: &str, topic: &str, offset: i64) -> Verdict {
    let is_committed = || Ok(s.admin().committed_offset(group, topic, 0)? == Some(offset));
    s.eventually("the offset to be committed", is_committed).await
}
