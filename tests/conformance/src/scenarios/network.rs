//! Connections that end, servers that can't be reached, and what comes after.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use rocketmq_client_core::driver::{ClientBuilder, Producer};
use rocketmq_client_core::error::{Cause, Error};
use rocketmq_client_core::message::Message;

use crate::failure::{ensure, ensure_eq, ensure_matches};
use crate::scenario::bodies;
use crate::timer::pause;
use crate::{Inbox, ROUTE_INTERVAL, Scenario, Verdict};

/// Of sends that are to fail.
const SHORT_TIMEOUT: Duration = Duration::from_millis(600);
/// Between a send that failed and the next.
const RETRY_PAUSE: Duration = Duration::from_millis(10);

pub(super) async fn sends_go_on_after_the_connection_was_cut(s: &Scenario) -> Verdict {
    let (topic, inbox) = (s.topic(4).await?, Inbox::default());
    let detour = s.detour()?;
    let producer = s.producer(&s.client_by(&detour).await?)?;
    s.send(&producer, &topic, "before", 100).await?;
    let sends: Vec<_> =
        bodies("during", 300).map(|body| producer.send(Message::new(&*topic, body))).collect();
    ensure!(detour.cut_brokers() > 0, "there was no connection to cut");
    let mut stored: BTreeSet<String> = bodies("before", 100).collect();
    for (body, send) in bodies("during", 300).zip(sends) {
        match s.end("a send", send).await? {
            Ok(_) => {
                stored.insert(body);
            }
            Err(Error::Unknown(_) | Error::NotSent(_)) => {}
            Err(error) => return Err(format!("a send that was cut ended with {error}").into()),
        }
    }
    until_sent(s, &producer, &topic, "after").await?;
    stored.insert("after".to_owned());
    s.send(&producer, &topic, "later", 100).await?;
    stored.extend(bodies("later", 100));
    let _consumer = s.consume(s.group(&s.client().await?, &s.name("group"), &topic), "one", &inbox).await?;
    let all = inbox.until(|seen| {
        let seen: BTreeSet<_> = seen.iter().map(|seen| &*seen.body).collect();
        stored.iter().all(|body| seen.contains(&**body))
    });
    s.within("everything that was reported as stored", all).await
}

pub(super) async fn consuming_goes_on_after_the_connection_was_cut(s: &Scenario) -> Verdict {
    let (topic, inbox) = (s.topic(4).await?, Inbox::default());
    let producer = s.producer(&s.client().await?)?;
    let detour = s.detour()?;
    let client = s.client_by(&detour).await?;
    let _consumer = s.consume(s.group(&client, &s.name("group"), &topic), "one", &inbox).await?;
    s.send(&producer, &topic, "before", 200).await?;
    s.within("some messages", inbox.until(|seen| seen.len() >= 50)).await?;
    ensure!(detour.cut_brokers() > 0, "there was no connection to cut");
    s.send(&producer, &topic, "after", 200).await?;
    s.all_seen(&inbox, bodies("before", 200).chain(bodies("after", 200))).await
}

pub(super) async fn a_broker_out_of_reach_is_named_and_comes_back(s: &Scenario) -> Verdict {
    let topic = s.topic(2).await?;
    let detour = s.detour()?;
    let producer = s.client_by(&detour).await?.producer(s.name("producers"));
    let producer = producer.send_timeout(SHORT_TIMEOUT).build()?;
    s.send(&producer, &topic, "before", 10).await?;
    ensure!(detour.shut_brokers() > 0, "there was no connection to cut");
    let sent = s.end("a send", producer.send(Message::new(&*topic, "meanwhile"))).await?;
    ensure!(sent.is_err(), "a send worked while the broker was out of reach");
    detour.unshut_brokers();
    until_sent(s, &producer, &topic, "after").await
}

pub(super) async fn a_broker_that_refuses_connections_is_named(s: &Scenario) -> Verdict {
    let topic = s.topic(2).await?;
    let detour = s.detour()?;
    let producer = s.client_by(&detour).await?.producer(s.name("producers"));
    let producer = producer.send_timeout(SHORT_TIMEOUT).build()?;
    s.send(&producer, &topic, "before", 1).await?;
    detour.remove_brokers();
    // The first send may still find the old connection, and is told that it was lost.
    let _ = s.end("a send", producer.send(Message::new(&*topic, "first"))).await?;
    let sent = s.end("a send", producer.send(Message::new(&*topic, "second"))).await?;
    let Err(error) = sent else { return Err("a send worked without a broker".into()) };
    ensure_matches!(error, Error::NotSent(_) | Error::Unreachable(_), "the kind of failure");
    let failure = error.failure().ok_or("nothing is told of the attempt")?;
    let Cause::Connect { address, .. } = &failure.cause else {
        return Err(format!("the cause is {}", failure.cause).into());
    };
    ensure!(address.parse::<SocketAddr>().is_ok(), "no address of a broker: {address}");
    ensure!(error.to_string().contains(&**address), "the address is missing: {error}");
    Ok(())
}

pub(super) async fn a_silent_broker_leaves_the_outcome_unknown(s: &Scenario) -> Verdict {
    let topic = s.topic(1).await?;
    let detour = s.detour()?;
    let producer = s.client_by(&detour).await?.producer(s.name("producers"));
    let producer = producer.send_timeout(SHORT_TIMEOUT).retry_times(0).build()?;
    s.send(&producer, &topic, "before", 1).await?;
    detour.freeze_brokers();
    let sent = s.end("a send", producer.send(Message::new(&*topic, "meanwhile"))).await?;
    ensure_matches!(&sent, Err(Error::Unknown(failure)) if failure.cause == Cause::Timeout, "the failure");
    detour.thaw_brokers();
    // What had been on its way arrives after all: that is why the outcome was unknown.
    s.eventually("the message that was on its way", || Ok(s.admin().max_offset(&topic, 0)? == 2)).await?;
    s.send(&producer, &topic, "after", 10).await?;
    Ok(())
}

pub(super) async fn the_second_name_server_serves_when_the_first_is_gone(s: &Scenario) -> Verdict {
    let topic = s.topic(2).await?;
    let gone = s.place().vacant_address()?;
    for servers in
        [format!("{gone};{}", s.place().name_server()), format!("{};{gone}", s.place().name_server())]
    {
        let client = s.client_with(ClientBuilder::new(&servers)).await?;
        s.send(&s.producer(&client)?, &topic, "m", 10).await?;
    }
    Ok(())
}

pub(super) async fn a_new_topic_is_found_when_the_name_server_in_use_is_lost(s: &Scenario) -> Verdict {
    let (known, unknown) = (s.topic(1).await?, s.topic(1).await?);
    let (first, second) = (s.detour()?, s.detour()?);
    for (lost, other) in [(&first, &second), (&second, &s.detour()?)] {
        let servers = format!("{};{}", lost.name_server(), other.name_server());
        let producer = s.producer(&s.client_with(ClientBuilder::new(&servers)).await?)?;
        s.send(&producer, &known, "before", 5).await?;
        lost.remove_name_server();
        s.send(&producer, &unknown, "after", 5).await?;
    }
    ensure_eq!(s.stored(&unknown, 10).await?.len(), 10, "messages stored");
    Ok(())
}

/// The route of a topic changes: at the old address there is nobody any more.
pub(super) async fn a_broker_that_moves_is_found_at_its_new_address(s: &Scenario) -> Verdict {
    let (topic, inbox) = (s.topic(4).await?, Inbox::default());
    let detour = s.detour()?;
    let settings = ClientBuilder::new(&detour.name_server());
    let settings = settings.configure(|config| config.poll_name_server_interval = ROUTE_INTERVAL);
    let client = s.client_with(settings).await?;
    let producer = s.producer(&client)?;
    let _consumer = s.consume(s.group(&client, &s.name("group"), &topic), "one", &inbox).await?;
    s.send(&producer, &topic, "before", 50).await?;
    s.within("some messages", inbox.until(|seen| !seen.is_empty())).await?;
    detour.move_brokers();
    until_sent(s, &producer, &topic, "moved").await?;
    s.send(&producer, &topic, "after", 50).await?;
    let all = bodies("before", 50).chain(bodies("after", 50)).chain(["moved".to_owned()]);
    s.all_seen(&inbox, all.collect::<Vec<_>>()).await
}

pub(super) async fn sends_go_on_without_a_name_server(s: &Scenario) -> Verdict {
    let (topic, inbox) = (s.topic(2).await?, Inbox::default());
    let detour = s.detour()?;
    let client = s.client_by(&detour).await?;
    let producer = s.producer(&client)?;
    let _consumer = s.consume(s.group(&client, &s.name("group"), &topic), "one", &inbox).await?;
    s.send(&producer, &topic, "before", 10).await?;
    detour.remove_name_server();
    s.send(&producer, &topic, "after", 100).await?;
    s.all_seen(&inbox, bodies("before", 10).chain(bodies("after", 100))).await
}

pub(super) async fn a_name_server_that_is_not_there(s: &Scenario) -> Verdict {
    let address = s.place().vacant_address()?;
    let connected = s.within("the failure", s.adapter().connect(ClientBuilder::new(&address))).await?;
    let Err(Error::Unreachable(failure)) = connected else {
        return Err(format!("it ended with {connected:?}").into());
    };
    ensure_matches!(failure.cause, Cause::Connect { .. }, "the cause");
    ensure!(failure.to_string().contains(&address), "the address is missing: {failure}");
    Ok(())
}

pub(super) async fn a_name_server_that_has_no_address(s: &Scenario) -> Verdict {
    let settings = ClientBuilder::new("no-such-host.invalid:9876");
    let connected = s.within("the failure", s.adapter().connect(settings)).await?;
    let Err(Error::Unreachable(failure)) = connected else {
        return Err(format!("it ended with {connected:?}").into());
    };
    ensure_matches!(failure.cause, Cause::Resolve { .. }, "the cause");
    ensure!(failure.to_string().contains("no-such-host.invalid"), "the name is missing: {failure}");
    Ok(())
}

/// Sends until it works.
async fn until_sent(s: &Scenario, producer: &Producer, topic: &str, body: &'static str) -> Verdict {
    s.within("a send to work again", async {
        while s.adapter().end(producer.send(Message::new(topic, body))).await.is_err() {
            pause(RETRY_PAUSE).await;
        }
    })
    .await
}
