//! Several members of one group: who gets what while members come, go and die.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_core::config::{AllocateStrategy, ClientConfig, RoomRule};
use rocketmq_client_core::driver::Producer;
use rocketmq_client_core::message::{Message, MessageQueue};

use crate::failure::{ensure, ensure_eq};
use crate::scenario::bodies;
use crate::timer::pause;
use crate::{Failure, Inbox, ROUTE_INTERVAL, Scenario, Seen, Verdict};

const QUEUES: i32 = 8;
/// Between two rounds of messages, while a route changes.
const ROUND_PAUSE: Duration = Duration::from_millis(50);
/// Rounds of one message a queue, after which a group must have divided the queues.
const ROUNDS_MAX: usize = 2_000;
/// Pauses of a round in which queues are divided again and again.
const DIVISIONS: usize = 10;
/// Rounds in a row in which nothing came twice, before the queues count as divided.
const QUIET_ROUNDS: usize = 50;

pub(super) async fn two_members_share_and_nothing_comes_twice(s: &Scenario) -> Verdict {
    let (topic, group, inbox) = (s.topic(QUEUES).await?, s.name("group"), Inbox::default());
    let producer = s.producer(&s.client().await?)?;
    let one = s.client().await?;
    let two = s.client().await?;
    let _one = s.consume(s.group(&one, &group, &topic), "one", &inbox).await?;
    let _two = s.consume(s.group(&two, &group, &topic), "two", &inbox).await?;
    let rounds = until_divided(s, &producer, &topic, &inbox, &["one", "two"]).await?;
    let before = inbox.len();
    s.send(&producer, &topic, "m", 400).await?;
    s.all_seen(&inbox, rounds.into_iter().chain(bodies("m", 400))).await?;
    ensure_eq!(inbox.len() - before, 400, "calls for 400 messages");
    ensure_eq!(s.admin().member_count(&group)?, 2, "members");
    Ok(())
}

/// Queues are divided anew many times while nothing changes: each stays with its owner, once.
/// The strategies that two members divide queues by.
fn strategies(topic: &str, broker_name: &Arc<str>) -> [(&'static str, [AllocateStrategy; 2]); 5] {
    let half = |member: i32| {
        let ids = (0..QUEUES).filter(move |id| id % 2 == member);
        AllocateStrategy::Config(ids.map(|id| MessageQueue::new(topic, broker_name.clone(), id)).collect())
    };
    // No member is in the broker's room, so that all share it.
    let nearby = AllocateStrategy::MachineRoomNearby {
        inner: Box::new(AllocateStrategy::AveragelyByCircle),
        brokers: RoomRule::Table([(broker_name.clone(), "elsewhere".into())].into()),
        consumers: RoomRule::Before('@'),
    };
    let both = |strategy: AllocateStrategy| [strategy.clone(), strategy];
    [
        ("averagely", both(AllocateStrategy::Averagely)),
        ("circle", both(AllocateStrategy::AveragelyByCircle)),
        ("hash", both(AllocateStrategy::ConsistentHash { virtual_nodes: 10 })),
        ("nearby", both(nearby)),
        ("config", [half(0), half(1)]),
    ]
}

pub(super) async fn every_strategy_gives_each_message_to_one_member(s: &Scenario) -> Verdict {
    let broker_name: Arc<str> = s.admin().broker_name()?.into();
    let producer = s.producer(&s.client().await?)?;
    for index in 0..strategies("", &broker_name).len() {
        // A topic of its own, consumed from the first message on: at the last ones a member would begin behind those
        // that were sent before it knew its queues.
        let topic = s.topic(QUEUES).await?;
        let (name, strategies) = strategies(&topic, &broker_name)[index].clone();
        let (group, inbox) = (s.name(name), Inbox::default());
        let mut members = Vec::new();
        for (member, strategy) in ["one", "two"].into_iter().zip(strategies) {
            let client = s.client().await?;
            let group = s.group(&client, &group, &topic).configure(|config| {
                config.allocate_strategy = strategy;
                config.rebalance_interval = ROUND_PAUSE;
            });
            members.push(s.consume(group, member, &inbox).await?);
        }
        until_quiet(s, &producer, &topic, &inbox, |round| round.len() == QUEUES as usize).await?;
        for _ in 0..DIVISIONS {
            pause(ROUND_PAUSE).await;
        }
        let before = inbox.len();
        s.send(&producer, &topic, name, 100).await?;
        let all = inbox.until(|seen| seen.iter().filter(|seen| seen.body.starts_with(name)).count() >= 100);
        s.within("all messages", all).await?;
        pause(ROUND_PAUSE).await;
        ensure_eq!(inbox.len() - before, 100, "calls for 100 messages");
        for member in members {
            s.end("a member to leave", member.close()).await??;
        }
    }
    Ok(())
}

pub(super) async fn a_member_joins_midway(s: &Scenario) -> Verdict {
    let (topic, group, inbox) = (s.topic(QUEUES).await?, s.name("group"), Inbox::default());
    let producer = s.producer(&s.client().await?)?;
    let one = s.client().await?;
    let two = s.client().await?;
    let _one = s.consume(s.group(&one, &group, &topic), "one", &inbox).await?;
    s.send(&producer, &topic, "before", 200).await?;
    let _two = s.consume(s.group(&two, &group, &topic), "two", &inbox).await?;
    let rounds = until_divided(s, &producer, &topic, &inbox, &["one", "two"]).await?;
    s.all_seen(&inbox, bodies("before", 200).chain(rounds)).await
}

pub(super) async fn a_member_leaves_and_the_rest_goes_on(s: &Scenario) -> Verdict {
    let (topic, group, inbox) = (s.topic(QUEUES).await?, s.name("group"), Inbox::default());
    let producer = s.producer(&s.client().await?)?;
    let one = s.client().await?;
    let two = s.client().await?;
    let leaving = s.consume(s.group(&one, &group, &topic), "one", &inbox).await?;
    let _two = s.consume(s.group(&two, &group, &topic), "two", &inbox).await?;
    let rounds = until_divided(s, &producer, &topic, &inbox, &["one", "two"]).await?;
    s.send(&producer, &topic, "during", 200).await?;
    s.end("the member to leave", leaving.close()).await??;
    let of_one = inbox.seen().iter().filter(|seen| seen.member == "one").count();
    s.send(&producer, &topic, "after", 200).await?;
    s.all_seen(&inbox, rounds.into_iter().chain(bodies("during", 200)).chain(bodies("after", 200))).await?;
    let of_one_later = inbox.seen().iter().filter(|seen| seen.member == "one").count();
    ensure_eq!(of_one_later, of_one, "calls of the member that had left");
    Ok(())
}

pub(super) async fn a_member_dies_and_its_messages_come_again(s: &Scenario) -> Verdict {
    let (topic, group, inbox) = (s.topic(QUEUES).await?, s.name("group"), Inbox::default());
    let producer = s.producer(&s.client().await?)?;
    let detour = s.detour()?;
    let dying = s.client_by(&detour).await?;
    let survivor = s.client().await?;
    s.send(&producer, &topic, "m", 200).await?;
    let starting = s.group(&dying, &group, &topic).stream();
    let mut stream = s.end("the consumer to start", starting).await??;
    let mut held = Vec::new();
    while held.len() < 100 {
        held.push(s.within("a message", stream.next()).await?.ok_or("the stream ended")?);
    }
    // A broker that takes up a heartbeat after the end of its connection believes in the member for two minutes
    // more: nothing of that member may be on its way when it dies.
    detour.freeze_brokers();
    s.admin().await_heartbeats()?;
    detour.kill();
    let _survivor = s.consume(s.group(&survivor, &group, &topic), "survivor", &inbox).await?;
    s.all_seen(&inbox, bodies("m", 200)).await?;
    ensure!(held.iter().all(|message| message.reconsume_times() == 0), "a held message had come before");
    Ok(())
}

/// Queues that are added while producer and consumer run are used by both.
pub(super) async fn queues_that_are_added_are_used(s: &Scenario) -> Verdict {
    let (admin, topic, inbox) = (s.admin(), s.topic(2).await?, Inbox::default());
    let often = |config: &mut ClientConfig| config.poll_name_server_interval = ROUTE_INTERVAL;
    let client = s.client_with(s.settings().configure(often)).await?;
    let producer = s.producer(&client)?;
    let _consumer = s.consume(s.group(&client, &s.name("group"), &topic), "one", &inbox).await?;
    s.send(&producer, &topic, "before", 20).await?;
    admin.create_topic(&topic, QUEUES)?;
    let mut used = BTreeSet::new();
    let sent = s.within("all queues to be used", async {
        for round in 0_usize.. {
            let label = format!("round{round}");
            let receipts = s.send(&producer, &topic, &label, QUEUES as usize).await?;
            used.extend(receipts.iter().map(|receipt| receipt.queue.queue_id));
            if used.len() == QUEUES as usize {
                return Ok(round);
            }
            pause(ROUND_PAUSE).await;
        }
        Err(Failure::from("no rounds are left"))
    });
    let rounds = sent.await??;
    let all = (0..=rounds).flat_map(|round| bodies(&format!("round{round}"), QUEUES as usize));
    s.all_seen(&inbox, all.chain(bodies("before", 20)).collect::<Vec<_>>()).await
}

/// Sends one message to each queue, again and again, until each member got its equal part and nothing came
/// twice for a number of rounds. All bodies that were sent.
async fn until_divided(
    s: &Scenario,
    producer: &Producer,
    topic: &str,
    inbox: &Inbox,
    members: &[&'static str],
) -> Verdict<Vec<String>> {
    until_quiet(s, producer, topic, inbox, |round| is_divided(round, members)).await
}

/// Sends one message to each queue, again and again, until `fits` says so of what came of each of a number
/// of rounds. All bodies that were sent.
async fn until_quiet(
    s: &Scenario,
    producer: &Producer,
    topic: &str,
    inbox: &Inbox,
    fits: impl Fn(&[&Seen]) -> bool,
) -> Verdict<Vec<String>> {
    let broker_name = s.admin().broker_name()?;
    let mut sent = Vec::new();
    for round in 0..ROUNDS_MAX {
        let label = format!("round{round}");
        let sends: Vec<_> = bodies(&label, QUEUES as usize)
            .zip(0..)
            .map(|(body, queue_id)| {
                let queue =
                    MessageQueue { topic: topic.into(), broker_name: (&*broker_name).into(), queue_id };
                sent.push(body.clone());
                producer.send_to(Message::new(topic, body), queue)
            })
            .collect();
        for send in sends {
            s.end("a send", send).await??;
        }
        let is_of_round = |seen: &&Seen| round_of(seen) == Some(round);
        let all = inbox.until(|seen| seen.iter().filter(is_of_round).count() >= QUEUES as usize);
        s.within("a round of messages", all).await?;
        // A member that has not yet given up a queue gets its messages too, but perhaps a little later.
        let seen = inbox.seen();
        let quiet = |round| {
            let of_round: Vec<_> = seen.iter().filter(|seen| round_of(seen) == Some(round)).collect();
            fits(&of_round)
        };
        if round + 1 >= QUIET_ROUNDS && (round + 1 - QUIET_ROUNDS..=round).all(quiet) {
            return Ok(sent);
        }
    }
    Err(format!("after {ROUNDS_MAX} rounds the queues were not divided: {inbox}").into())
}

fn round_of(seen: &Seen) -> Option<usize> {
    seen.body.strip_prefix("round")?.split_once('-')?.0.parse().ok()
}

fn is_divided(round: &[&Seen], members: &[&str]) -> bool {
    let mut counts = BTreeMap::<_, usize>::new();
    for seen in round {
        *counts.entry(seen.member).or_default() += 1;
    }
    counts.len() == members.len() && counts.values().all(|count| *count == QUEUES as usize / members.len())
}
