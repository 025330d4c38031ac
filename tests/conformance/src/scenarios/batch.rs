//! Batches: several messages in one request, each of them a message like any other afterwards.

use std::collections::BTreeSet;
use std::time::Duration;

use rocketmq_client_core::error::{Error, UsageError};
use rocketmq_client_core::message::{InvalidBatch, Message, MessageQueue};
use rocketmq_client_core::producer::{BatchReceipt, SendStatus};

use crate::failure::{ensure, ensure_eq, ensure_matches};
use crate::scenario::bodies;
use crate::{Detour, Inbox, Scenario, Verdict};

const COUNT: usize = 32;

fn batch<'t>(topic: &'t str, label: &str, count: usize) -> impl Iterator<Item = Message> + use<'t> {
    bodies(label, count).map(move |body| Message::new(topic, body))
}

pub(super) async fn its_messages_lie_in_order_in_one_queue(s: &Scenario) -> Verdict {
    let (admin, topic) = (s.admin(), s.topic(4).await?);
    let producer = s.producer(&s.client().await?)?;
    let messages: Vec<_> = batch(&topic, "m", COUNT)
        .enumerate()
        .map(|(n, message)| {
            message.tag(format!("t{n}")).key(format!("k{n}")).property("shop", "norð").flag(n as i32)
        })
        .collect();
    let receipt = s.end("the batch", producer.send_batch(&messages)).await??;
    ensure_eq!((receipt.status, receipt.count()), (SendStatus::SendOk, COUNT), "status and count");
    ensure_eq!(
        (&*receipt.queue.topic, &*receipt.queue.broker_name),
        (&*topic, &*admin.broker_name()?),
        "place"
    );
    let stored = s.stored(&topic, COUNT).await?;
    ensure_eq!(stored.len(), COUNT, "messages stored");
    let mut keys = BTreeSet::new();
    for ((one, message), record) in receipt.receipts().zip(&messages).zip(&stored) {
        ensure_eq!(
            (record.queue_id, record.queue_offset),
            (receipt.queue.queue_id, one.queue_offset),
            "place"
        );
        ensure_eq!(record.uniq_key(), Some(&*one.message_id.to_string()), "unique key");
        ensure_eq!(*one.offset_message_id, *record.offset_msg_id().to_string(), "offset message id");
        ensure_eq!((record.raw_body(), record.flag), (message.body(), message.flag), "body and flag");
        ensure_eq!(record.tags(), message.tags(), "tag");
        ensure_eq!(record.keys().collect::<Vec<_>>(), message.properties.keys().collect::<Vec<_>>(), "keys");
        ensure_eq!(record.property("shop"), Some("norð"), "property");
        keys.insert(one.message_id);
    }
    ensure_eq!(keys.len(), COUNT, "distinct unique keys");
    let offsets: Vec<i64> = receipt.receipts().map(|one| one.queue_offset).collect();
    ensure_eq!(offsets, (0..32).collect::<Vec<i64>>(), "offsets");
    Ok(())
}

pub(super) async fn its_messages_are_consumed_one_by_one(s: &Scenario) -> Verdict {
    let topic = s.topic(2).await?;
    let client = s.client().await?;
    let producer = s.producer(&client)?;
    let sends: Vec<_> =
        (0..4).map(|number| producer.send_batch(batch(&topic, &format!("b{number}"), COUNT))).collect();
    let mut places = BTreeSet::new();
    for send in sends {
        let receipt: BatchReceipt = s.end("a batch", send).await??;
        places.extend(receipt.receipts().map(|one| (one.queue.queue_id, one.queue_offset)));
    }
    ensure_eq!(places.len(), 4 * COUNT, "places told");
    let inbox = Inbox::default();
    let _member = s.consume(s.group(&client, &s.name("group"), &topic), "the only member", &inbox).await?;
    s.all_seen(&inbox, (0..4).flat_map(|number| bodies(&format!("b{number}"), COUNT))).await
}

/// What pays for a single message would not be undone for the messages of a batch.
pub(super) async fn it_is_not_compressed(s: &Scenario) -> Verdict {
    let topic = s.topic(1).await?;
    let client = s.client().await?;
    let producer = client.producer(s.name("producers")).compress_bytes_min(1).build()?;
    let body = vec![b'a'; 10_000];
    s.end("a batch", producer.send_batch([0; 3].map(|_| Message::new(&*topic, body.clone())))).await??;
    let stored = s.stored(&topic, 3).await?;
    ensure!(stored.iter().all(|record| record.sys_flag == 0), "a flag of compression");
    ensure!(stored.iter().all(|record| record.raw_body()[..] == body[..]), "another body");
    Ok(())
}

pub(super) async fn it_goes_where_it_is_sent(s: &Scenario) -> Verdict {
    let (admin, topic) = (s.admin(), s.topic(4).await?);
    let client = s.client().await?;
    let builder = client.producer(s.name("producers"));
    let producer =
        builder.queue_selector(|message, _| if message.tags() == Some("x") { 3 } else { 0 }).build()?;
    let queue =
        MessageQueue { topic: (&*topic).into(), broker_name: admin.broker_name()?.into(), queue_id: 2 };
    let fixed = producer.send_batch_to(batch(&topic, "fixed", 3), queue.clone());
    ensure_eq!(*s.end("a batch", fixed).await??.queue, queue, "fixed queue");
    let chosen = producer.send_batch_selected(batch(&topic, "chosen", 3).map(|message| message.tag("x")));
    ensure_eq!(s.end("a batch", chosen).await??.queue.queue_id, 3, "chosen queue");
    let single = producer.send_hashed(Message::new(&*topic, "single"), "key");
    let queue = s.end("a send", single).await??.queue;
    let hashed = producer.send_batch_hashed(batch(&topic, "hashed", 3), "key");
    ensure_eq!(s.end("a batch", hashed).await??.queue, queue, "queue of the key");
    ensure_eq!(s.stored(&topic, 10).await?.len(), 10, "messages stored");
    Ok(())
}

/// Half of the queues belong to a broker that takes nothing: each batch finds one that does.
pub(super) async fn another_broker_takes_it(s: &Scenario) -> Verdict {
    let topic = s.topic(4).await?;
    let detour = Detour::with_ghost_broker(&s.place().name_server())?;
    let producer = s.producer(&s.client_by(&detour).await?)?;
    let mut told = BTreeSet::new();
    for number in 0..20 {
        let send = producer.send_batch(batch(&topic, &format!("b{number}"), 4));
        told.extend(s.end("a batch", send).await??.receipts().map(|one| one.message_id.to_string()));
    }
    ensure!(detour.ghost_knocks() > 0, "the broker that takes nothing was never tried");
    let stored = s.stored(&topic, 80).await?;
    ensure_eq!(stored.len(), 80, "messages stored");
    let keys: BTreeSet<_> = stored.iter().filter_map(|record| record.uniq_key()).map(str::to_owned).collect();
    ensure_eq!(keys, told, "unique keys");
    Ok(())
}

pub(super) async fn what_can_not_go_together_is_told(s: &Scenario) -> Verdict {
    let (admin, topic, other) = (s.admin(), s.topic(1).await?, s.topic(1).await?);
    let client = s.client().await?;
    let producer = client.producer(s.name("producers")).message_bytes_max(40_000).build()?;
    let message = || Message::new(&*topic, "x");
    let large: Vec<_> = (0..5).map(|_| Message::new(&*topic, vec![b'x'; 10_000])).collect();
    macro_rules! refused {
        ($messages:expr, $why:pat) => {{
            let sent = s.end("the batch to fail", producer.send_batch($messages)).await?;
            ensure_matches!(sent, Err(Error::Usage(UsageError::Batch($why))), "what was told");
        }};
    }
    refused!(Vec::<Message>::new(), InvalidBatch::Empty);
    refused!([message(), Message::new(&*other, "x")], InvalidBatch::Topic { index: 1, .. });
    refused!([message(), message().wait_store_ok(false)], InvalidBatch::WaitStoreOk { index: 1, .. });
    refused!([message().delay_level(1), message()], InvalidBatch::Delayed { index: 0, .. });
    refused!([message().deliver_after(Duration::from_secs(1))], InvalidBatch::Delayed { index: 0, .. });
    refused!([message(), Message::new(&*topic, "")], InvalidBatch::Message { index: 1, .. });
    refused!(&large, InvalidBatch::TooLarge { count: 5, .. });
    ensure_eq!(admin.max_offset(&topic, 0)?, 0, "messages stored");
    // Whoever keeps the list can cut it.
    let mut counts = Vec::new();
    for batch in producer.batches(&large) {
        counts.push(s.end("a batch", producer.send_batch(batch)).await??.count());
    }
    ensure_eq!(counts, [3, 2], "messages of the batches that fit");
    s.eventually("all of them", || Ok(admin.max_offset(&topic, 0)? == 5)).await
}
