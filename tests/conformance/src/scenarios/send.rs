//! Sends: what the receipt says, and what the broker has afterwards.

use std::collections::{BTreeMap, BTreeSet};

use rocketmq_client_core::driver::{ClientBuilder, Limits};
use rocketmq_client_core::error::Error;
use rocketmq_client_core::message::{Message, MessageQueue};
use rocketmq_client_core::producer::SendStatus;

use crate::failure::{ensure, ensure_eq, ensure_matches};
use crate::scenario::bodies;
use crate::{Detour, Scenario, Verdict};

/// Sends that are under way at a time.
const IN_FLIGHT: usize = 1_000;

pub(super) async fn a_receipt_names_queue_and_offset(s: &Scenario) -> Verdict {
    let (admin, topic) = (s.admin(), s.topic(4).await?);
    let producer = s.producer(&s.client().await?)?;
    let receipt = s.end("the send", producer.send(Message::new(&*topic, "hello"))).await??;
    ensure_eq!(receipt.status, SendStatus::SendOk, "status");
    ensure_eq!(*receipt.queue.topic, *topic, "topic");
    ensure_eq!(*receipt.queue.broker_name, *admin.broker_name()?, "broker");
    let stored = s.stored(&topic, 1).await?;
    ensure_eq!(stored.len(), 1, "messages stored");
    let message = &stored[0];
    ensure_eq!(receipt.queue.queue_id, message.queue_id, "queue");
    ensure_eq!(receipt.queue_offset, message.queue_offset, "offset");
    ensure_eq!(message.uniq_key(), Some(&*receipt.message_id.to_string()), "unique key");
    ensure_eq!(*receipt.offset_message_id, *message.offset_msg_id().to_string(), "offset message id");
    ensure_eq!(message.raw_body()[..], b"hello"[..], "body");
    Ok(())
}

pub(super) async fn many_in_flight_have_offsets_of_their_own(s: &Scenario) -> Verdict {
    let topic = s.topic(4).await?;
    let producer = s.producer(&s.client().await?)?;
    let receipts = s.send(&producer, &topic, "m", IN_FLIGHT).await?;
    let places: BTreeSet<_> = receipts.iter().map(|r| (r.queue.queue_id, r.queue_offset)).collect();
    ensure_eq!(places.len(), IN_FLIGHT, "places told");
    let ids: BTreeSet<_> = receipts.iter().map(|r| r.message_id).collect();
    ensure_eq!(ids.len(), IN_FLIGHT, "message ids");
    let stored = s.stored(&topic, IN_FLIGHT).await?;
    let found: BTreeSet<_> = stored.iter().map(|m| (m.queue_id, m.queue_offset)).collect();
    ensure_eq!(found, places, "places in the broker");
    for (body, receipt) in bodies("m", IN_FLIGHT).zip(&receipts) {
        let there = |m: &&_| stored_at(m, receipt.queue.queue_id, receipt.queue_offset);
        let message = stored.iter().find(there).ok_or("a receipt names a place without a message")?;
        ensure_eq!(message.raw_body()[..], *body.as_bytes(), "body at the place that the receipt names");
    }
    let queues: BTreeSet<_> = places.iter().map(|(queue_id, _)| *queue_id).collect();
    ensure_eq!(queues.len(), 4, "queues used");
    Ok(())
}

pub(super) async fn a_warm_up_finds_topics_before_the_first_send(s: &Scenario) -> Verdict {
    let (one, other) = (s.topic(4).await?, s.topic(1).await?);
    let producer = s.producer(&s.client().await?)?;
    s.end("the warm-up", producer.warm_up([&*one, &*other])).await??;
    for topic in [&one, &other] {
        let receipt = s.end("the send", producer.send(Message::new(&**topic, "warm"))).await??;
        ensure_eq!(*receipt.queue.topic, **topic, "topic");
    }
    let refused = s.end("a warm-up of no topic", producer.warm_up(["a topic"])).await?;
    ensure_matches!(refused, Err(Error::Usage(_)), "a name with a blank");
    s.end("a second warm-up", producer.warm_up([&*one])).await??;
    Ok(())
}

pub(super) async fn one_way_arrives(s: &Scenario) -> Verdict {
    let (admin, topic) = (s.admin(), s.topic(1).await?);
    let producer = s.producer(&s.client().await?)?;
    for body in bodies("oneway", 10) {
        s.end("a one-way send", producer.send_oneway(Message::new(&*topic, body))).await??;
    }
    s.eventually("ten one-way messages", || Ok(admin.max_offset(&topic, 0)? >= 10)).await?;
    let stored: Vec<_> = s.stored(&topic, 10).await?.iter().map(|m| m.raw_body().clone()).collect();
    let expected: Vec<_> = bodies("oneway", 10).map(bytes::Bytes::from).collect();
    // A broker's threads may overtake each other.
    ensure_eq!(stored.iter().collect::<BTreeSet<_>>(), expected.iter().collect::<BTreeSet<_>>(), "bodies");
    Ok(())
}

pub(super) async fn a_key_goes_to_one_queue(s: &Scenario) -> Verdict {
    let topic = s.topic(4).await?;
    let producer = s.producer(&s.client().await?)?;
    let mut queue_of = BTreeMap::new();
    // One after the other, so that the keys take turns and each send is a decision of its own.
    for _ in 0..5 {
        for key in ["order-1", "order-2", "order-3", "order-4", "order-5", "order-6"] {
            let send = producer.send_hashed(Message::new(&*topic, key), key);
            let queue_id = s.end("a send", send).await??.queue.queue_id;
            let first = *queue_of.entry(key).or_insert(queue_id);
            ensure_eq!(queue_id, first, "queue of the key");
        }
    }
    let queues: BTreeSet<_> = queue_of.values().collect();
    ensure!(queues.len() > 1, "all keys went to the same queue");
    Ok(())
}

pub(super) async fn a_selector_chooses_the_queue(s: &Scenario) -> Verdict {
    let topic = s.topic(4).await?;
    let client = s.client().await?;
    let builder = client.producer(s.name("producers")).queue_selector(|message, queues| {
        let wanted = message.tags().and_then(|tag| tag.parse().ok());
        wanted.unwrap_or(queues.len())
    });
    let producer = builder.build()?;
    for queue_id in [3, 0, 2, 3, 1] {
        let message = Message::new(&*topic, "chosen").tag(queue_id.to_string());
        let receipt = s.end("a send", producer.send_selected(message)).await??;
        ensure_eq!(receipt.queue.queue_id, queue_id, "queue");
    }
    let sent = s.end("a send", producer.send_selected(Message::new(&*topic, "nowhere").tag("none"))).await?;
    ensure_matches!(sent, Err(Error::Usage(_)), "a choice beyond the queues");
    ensure_eq!(s.stored(&topic, 5).await?.len(), 5, "messages stored");
    Ok(())
}

/// Half of the queues belong to a broker that takes nothing: each send finds one that does.
pub(super) async fn another_broker_takes_what_the_first_does_not(s: &Scenario) -> Verdict {
    let (admin, topic) = (s.admin(), s.topic(4).await?);
    let detour = Detour::with_ghost_broker(&s.place().name_server())?;
    let producer = s.producer(&s.client_by(&detour).await?)?;
    for body in bodies("m", 40) {
        let receipt = s.end("a send", producer.send(Message::new(&*topic, body))).await??;
        ensure_eq!(*receipt.queue.broker_name, *admin.broker_name()?, "broker");
    }
    ensure!(detour.ghost_knocks() > 0, "the broker that takes nothing was never tried");
    let stored: BTreeSet<_> = s.stored(&topic, 40).await?.iter().map(|m| m.raw_body().clone()).collect();
    ensure_eq!(stored.len(), 40, "distinct messages stored");
    Ok(())
}

pub(super) async fn a_fixed_queue_is_kept(s: &Scenario) -> Verdict {
    let (admin, topic) = (s.admin(), s.topic(4).await?);
    let producer = s.producer(&s.client().await?)?;
    let queue =
        MessageQueue { topic: (&*topic).into(), broker_name: admin.broker_name()?.into(), queue_id: 2 };
    for offset in 0..5 {
        let send = producer.send_to(Message::new(&*topic, "here"), queue.clone());
        let receipt = s.end("a send", send).await??;
        ensure_eq!(*receipt.queue, queue, "queue");
        ensure_eq!(receipt.queue_offset, offset, "offset");
    }
    let stored = s.stored(&topic, 5).await?;
    ensure_eq!(stored.iter().filter(|m| m.queue_id == 2).count(), 5, "messages in the queue");
    Ok(())
}

pub(super) async fn tags_keys_properties_and_flag_arrive(s: &Scenario) -> Verdict {
    let topic = s.topic(1).await?;
    let producer = s.producer(&s.client().await?)?;
    let message = Message::new(&*topic, "x")
        .tag("paid")
        .keys(["4711", "4712"])
        .property("shop", "north")
        .property("straße", "grüße 你好 \" \\ {}")
        .flag(-7);
    s.end("the send", producer.send(message)).await??;
    let stored = s.stored(&topic, 1).await?;
    let message = stored.first().ok_or("nothing was stored")?;
    ensure_eq!(message.tags(), Some("paid"), "tag");
    ensure_eq!(message.keys().collect::<Vec<_>>(), ["4711", "4712"], "keys");
    ensure_eq!(message.property("shop"), Some("north"), "property");
    ensure_eq!(message.property("straße"), Some("grüße 你好 \" \\ {}"), "property that needs escapes");
    ensure_eq!(message.flag, -7, "flag");
    Ok(())
}

pub(super) async fn an_unknown_topic_is_created(s: &Scenario) -> Verdict {
    let (admin, topic) = (s.admin(), s.name("auto"));
    ensure_eq!(admin.queue_count(&topic)?, 0, "queues before");
    let producer = s.producer(&s.client().await?)?;
    s.send(&producer, &topic, "m", 20).await?;
    s.eventually("the route of the topic", || Ok(admin.queue_count(&topic)? == 4)).await?;
    ensure_eq!(s.stored(&topic, 20).await?.len(), 20, "messages stored");
    Ok(())
}

/// Dropped at once, a send is withdrawn or goes on without an audience; either way the others are not
/// touched, and the client says what became of it.
pub(super) async fn a_dropped_send_disturbs_nobody(s: &Scenario) -> Verdict {
    let topic = s.topic(2).await?;
    let client = s.client().await?;
    let producer = s.producer(&client)?;
    let mut kept = Vec::new();
    for (number, body) in bodies("m", 200).enumerate() {
        let send = producer.send(Message::new(&*topic, body));
        if number % 2 == 0 {
            kept.push(send);
        }
    }
    for send in kept {
        s.end("a send", send).await??;
    }
    s.end("the client to close", client.close()).await??;
    let counts = client.detached_counts();
    ensure_eq!(counts.done + counts.failed + counts.withdrawn, 100, "dropped sends that are accounted for");
    let done = usize::try_from(counts.done)?;
    ensure_eq!(s.stored(&topic, 100 + done).await?.len(), 100 + done, "messages stored");
    Ok(())
}

pub(super) async fn what_finds_no_room_is_handed_back(s: &Scenario) -> Verdict {
    let topic = s.topic(1).await?;
    let detour = s.detour()?;
    let mut limits = Limits::default();
    limits.messages_max = 4;
    let client = s.client_with(ClientBuilder::new(&detour.name_server()).limits(limits)).await?;
    let producer = s.producer(&client)?;
    s.send(&producer, &topic, "before", 10).await?;
    detour.freeze_brokers();
    let mut under_way = Vec::new();
    let refused = loop {
        match producer.try_send(Message::new(&*topic, format!("during-{}", under_way.len()))) {
            Ok(send) => under_way.push(send),
            Err(error) => break error,
        }
        ensure!(under_way.len() <= 4, "more sends are under way than may be");
    };
    let Error::Full(message) = refused else { return Err(refused.into()) };
    ensure_eq!(message.body()[..], *b"during-4", "the message that came back");
    detour.thaw_brokers();
    for send in under_way {
        s.end("a send", send).await??;
    }
    s.end("the send that found no room", producer.send(*message)).await??;
    ensure_eq!(s.stored(&topic, 15).await?.len(), 15, "messages stored");
    Ok(())
}

fn stored_at(message: &rocketmq_client_core::message::StoredMessage, queue_id: i32, offset: i64) -> bool {
    (message.queue_id, message.queue_offset) == (queue_id, offset)
}
