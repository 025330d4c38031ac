//! What a scenario is given.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use rocketmq_client_core::config::ConsumeFrom;
use rocketmq_client_core::consumer::Ack;
use rocketmq_client_core::driver::{Client, ClientBuilder, Producer, PushConsumer, PushConsumerBuilder};
use rocketmq_client_core::error::Result;
use rocketmq_client_core::message::{Message, StoredMessage};
use rocketmq_client_core::producer::SendReceipt;

use crate::adapter::Command;
use crate::{Adapter, Admin, Detour, Inbox, Place, Verdict, timer};

/// How long anything may take that a scenario waits for.
const PATIENCE: Duration = Duration::from_secs(30);
/// Between two looks at a broker's state, which tells nobody when it changes.
const LOOK_PAUSE: Duration = Duration::from_millis(10);
/// How often a client asks for routes that is to see a change of one soon.
pub(crate) const ROUTE_INTERVAL: Duration = Duration::from_secs(1);
/// Handlers at a time of a consumer that only looks.
pub(crate) const WORKERS: usize = 4;

/// One run of a scenario: where, by which adapter, and names that nobody else uses.
#[derive(Debug)]
pub struct Scenario {
    place: Arc<Place>,
    adapter: Adapter,
    run: String,
    names: Cell<u32>,
    clients: RefCell<Vec<Client>>,
}

impl Scenario {
    /// A run on `place`; `run` becomes part of every name.
    #[must_use]
    pub fn new(place: Arc<Place>, adapter: Adapter, run: String) -> Self {
        Self { place, adapter, run, names: Cell::new(0), clients: RefCell::default() }
    }

    /// Where it runs.
    #[must_use]
    pub fn place(&self) -> &Place {
        &self.place
    }

    /// What drives the clients.
    #[must_use]
    pub fn adapter(&self) -> Adapter {
        self.adapter
    }

    /// Asks the cluster past the client.
    #[must_use]
    pub fn admin(&self) -> Admin {
        Admin::new(self.place.name_server())
    }

    /// A name for a topic or a group that nobody else uses.
    pub fn name(&self, label: &str) -> String {
        self.names.set(self.names.get() + 1);
        format!("{label}-{}-{}", self.run, self.names.get())
    }

    /// A new topic with so many queues, known to the name server.
    ///
    /// # Errors
    /// The broker did not make it in time.
    pub async fn topic(&self, queues: i32) -> Verdict<String> {
        let (admin, topic) = (self.admin(), self.name("topic"));
        admin.create_topic(&topic, queues)?;
        self.eventually("the new topic's route", || Ok(admin.queue_count(&topic)? == queues)).await?;
        Ok(topic)
    }

    /// Settings of a client of this cluster.
    pub fn settings(&self) -> ClientBuilder {
        ClientBuilder::new(&self.place.name_server())
    }

    /// A client.
    ///
    /// # Errors
    /// It could not be made, or did not connect.
    pub async fn client(&self) -> Verdict<Client> {
        self.client_with(self.settings()).await
    }

    /// A client that goes by a detour.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    pub async fn client_by(&self, detour: &Detour) -> Verdict<Client> {
        self.client_with(ClientBuilder::new(&detour.name_server())).await
    }

    /// A client with these settings. It ends with the scenario at the latest.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    pub async fn client_with(&self, settings: ClientBuilder) -> Verdict<Client> {
        let client = self.within("the client to connect", self.adapter.connect(settings)).await??;
        self.clients.borrow_mut().push(client.clone());
        Ok(client)
    }

    /// A client with these settings, that nothing but what the scenario holds keeps alive.
    ///
    /// # Errors
    /// As [`client`](Self::client).
    pub async fn unkept_client(&self, settings: ClientBuilder) -> Verdict<Client> {
        Ok(self.within("the client to connect", self.adapter.connect(settings)).await??)
    }

    /// A detour to this cluster.
    ///
    /// # Errors
    /// No port is free.
    pub fn detour(&self) -> Verdict<Detour> {
        Detour::open(&self.place.name_server())
    }

    /// A producer with default settings.
    ///
    /// # Errors
    /// The client has closed.
    pub fn producer(&self, client: &Client) -> Verdict<Producer> {
        Ok(client.producer(self.name("producers")).build()?)
    }

    /// Sends `count` messages at once, with the bodies `LABEL-0`, `LABEL-1` and so on.
    ///
    /// # Errors
    /// One of them was not stored.
    pub async fn send(
        &self,
        producer: &Producer,
        topic: &str,
        label: &str,
        count: usize,
    ) -> Verdict<Vec<SendReceipt>> {
        let sends: Vec<_> =
            bodies(label, count).map(|body| producer.send(Message::new(topic, body))).collect();
        let mut receipts = Vec::with_capacity(count);
        for send in sends {
            receipts.push(self.end("a send", send).await??);
        }
        Ok(receipts)
    }

    /// Settings of a consumer of one topic that begins at the first message.
    pub fn group(&self, client: &Client, group: &str, topic: &str) -> PushConsumerBuilder {
        client.push_consumer(group).subscribe(topic, "*").consume_from(ConsumeFrom::FirstOffset)
    }

    /// Starts a consumer that takes everything and tells `inbox` as `member`.
    ///
    /// # Errors
    /// It did not start.
    pub async fn consume(
        &self,
        builder: PushConsumerBuilder,
        member: &'static str,
        inbox: &Inbox,
    ) -> Verdict<PushConsumer> {
        self.consume_with(builder, member, inbox, |_| Ack::Done).await
    }

    /// As [`consume`](Self::consume), with answers of one's own.
    ///
    /// # Errors
    /// It did not start.
    pub async fn consume_with(
        &self,
        builder: PushConsumerBuilder,
        member: &'static str,
        inbox: &Inbox,
        answer: impl Fn(&rocketmq_client_core::driver::ReceivedMessage) -> Ack + Send + Sync + 'static,
    ) -> Verdict<PushConsumer> {
        let (inbox, answer) = (inbox.clone(), Arc::new(answer));
        let starting = builder.workers(WORKERS, move |message| {
            let (inbox, answer) = (inbox.clone(), answer.clone());
            async move {
                inbox.put(member, &message);
                answer(&message)
            }
        });
        Ok(self.end("the consumer to start", starting).await??)
    }

    /// Waits until the distinct bodies in `inbox` are exactly `expected`.
    ///
    /// # Errors
    /// They are not, in time; says what is missing or too much.
    pub async fn all_seen(&self, inbox: &Inbox, expected: impl IntoIterator<Item = String>) -> Verdict {
        let expected: std::collections::BTreeSet<String> = expected.into_iter().collect();
        let enough = inbox.until(|seen| {
            let bodies: std::collections::BTreeSet<&str> =
                seen.iter().map(|seen| seen.body.as_str()).collect();
            bodies.len() >= expected.len()
        });
        let waited = timer::within(PATIENCE, enough).await;
        let bodies = inbox.bodies();
        if waited.is_ok() && bodies == expected {
            return Ok(());
        }
        let missing: Vec<_> = expected.difference(&bodies).take(5).collect();
        let surplus: Vec<_> = bodies.difference(&expected).take(5).collect();
        let of = expected.len();
        Err(format!("of {of} messages there came {inbox}; missing {missing:?}, not expected {surplus:?}")
            .into())
    }

    /// What `future` gives, within half a minute.
    ///
    /// # Errors
    /// It took longer.
    pub async fn within<F: Future>(&self, what: &str, future: F) -> Verdict<F::Output> {
        match timer::within(PATIENCE, future).await {
            Ok(output) => Ok(output),
            Err(timer::TooLate) => Err(format!("waited {} s in vain for {what}", PATIENCE.as_secs()).into()),
        }
    }

    /// What `command` ends with, within half a minute; a thread that has no runtime blocks for it.
    ///
    /// # Errors
    /// It took longer.
    pub(crate) async fn end<C: Command>(&self, what: &str, command: C) -> Verdict<Result<C::Ended>> {
        self.within(what, self.adapter.end(command)).await
    }

    /// All messages of a topic, once there are as many as `count`: a broker says that a message is stored a
    /// little before it shows it.
    ///
    /// # Errors
    /// There were fewer for half a minute, or a look failed.
    pub async fn stored(&self, topic: &str, count: usize) -> Verdict<Vec<StoredMessage>> {
        let admin = self.admin();
        let mut stored = Vec::new();
        self.eventually("the messages to show", || {
            stored = admin.messages(topic)?;
            Ok(stored.len() >= count)
        })
        .await?;
        Ok(stored)
    }

    /// Looks at the broker's state until it fits.
    ///
    /// # Errors
    /// It does not fit within half a minute, or a look failed.
    pub async fn eventually(&self, what: &str, mut fits: impl FnMut() -> Verdict<bool>) -> Verdict {
        self.within(what, async {
            while !fits()? {
                timer::pause(LOOK_PAUSE).await;
            }
            Ok(())
        })
        .await?
    }

    /// Closes every client that is left; part of the run, so that nothing of it disturbs the next.
    ///
    /// # Errors
    /// One did not close in time.
    pub async fn close(&self) -> Verdict {
        let clients = self.clients.take();
        for client in clients {
            // One that could not say goodbye to its broker has closed as well.
            let _ = self.end("a client to close", client.close_within(Duration::from_secs(1))).await?;
        }
        Ok(())
    }
}

/// `LABEL-0`, `LABEL-1` and so on.
pub(crate) fn bodies(label: &str, count: usize) -> impl Iterator<Item = String> + use<> {
    let label = label.to_owned();
    (0..count).map(move |number| format!("{label}-{number}"))
}
