//! The consumer that dies: a client in a tokio runtime of its own, which is dropped with the sockets in
//! it. Nothing is closed, committed or unregistered, as when a machine loses power.

use std::future::pending;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use rmq::{Ack, ConsumeFrom, PushConsumer, ReceivedMessage};
use rocketmq_client_tokio as rmq;
use tokio::sync::oneshot;

use super::cluster::Cluster;
use super::ledger::{Ledger, Place, place_of};
use super::{HANDLERS, UNACKED_MIN};
use crate::error::CliError;

/// Messages beyond those that it must hold, should its queues get fewer than half.
const HANDS_MARGIN: u64 = 200;

pub(super) struct Victim {
    gate: Arc<Gate>,
    cut: Option<oneshot::Sender<()>>,
    gone: Option<oneshot::Receiver<()>>,
    thread: Option<JoinHandle<()>>,
}

/// Lets some deliveries be answered; all others stay in the handlers' hands.
struct Gate {
    answers_left: AtomicU64,
    held: Mutex<Vec<Place>>,
}

impl Gate {
    /// The victim gets half of `total`. It answers for what is sent in the first 40 %, and in any case
    /// leaves enough for its hands to fill.
    fn new(total: u64) -> Self {
        let answers = (total / 5).min((total / 2).saturating_sub(UNACKED_MIN as u64 + HANDS_MARGIN));
        Self { answers_left: AtomicU64::new(answers), held: Mutex::new(Vec::new()) }
    }

    fn may_answer(&self) -> bool {
        self.answers_left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
            .is_ok()
    }

    fn held(&self) -> MutexGuard<'_, Vec<Place>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn handle(self: Arc<Self>, ledger: Arc<Ledger>, message: ReceivedMessage) -> Ack {
        if !self.may_answer() {
            self.held().push(place_of(&message));
            pending::<()>().await;
        }
        ledger.consumed(&message);
        Ack::Done
    }
}

impl Victim {
    /// Ends when the consumer has started.
    pub(super) async fn start(cluster: &Cluster, ledger: &Arc<Ledger>) -> Result<Self, CliError> {
        let gate = Arc::new(Gate::new(ledger.total()));
        let (cut, cut_asked) = oneshot::channel();
        let (tell_gone, gone) = oneshot::channel();
        let (tell_started, started) = oneshot::channel();
        let consumer = Consumer {
            name_servers: cluster.name_servers.clone(),
            topic: cluster.topic.clone(),
            group: cluster.group.clone(),
            gate: gate.clone(),
            ledger: ledger.clone(),
        };
        let thread = thread::Builder::new()
            .name("rmq-victim".to_owned())
            .spawn(move || live_and_die(&consumer, tell_started, cut_asked, tell_gone))
            .map_err(|error| CliError::Failed(format!("no thread for the second consumer: {error}")))?;
        started
            .await
            .unwrap_or_else(|_| Err(CliError::Failed("the second consumer broke down".to_owned())))?;
        Ok(Self { gate, cut: Some(cut), gone: Some(gone), thread: Some(thread) })
    }

    /// How many deliveries its handlers hold.
    pub(super) fn held(&self) -> usize {
        self.gate.held().len()
    }

    /// Cuts its sockets. Gives what it held without an answer.
    pub(super) async fn cut(&mut self) -> Result<Vec<Place>, CliError> {
        let broke_down = || CliError::Failed("the second consumer broke down before it was cut".to_owned());
        let (cut, gone) = self.cut.take().zip(self.gone.take()).ok_or_else(broke_down)?;
        cut.send(()).map_err(|()| broke_down())?;
        gone.await.map_err(|_| broke_down())?;
        if let Some(thread) = self.thread.take() {
            thread.join().map_err(|_| broke_down())?;
        }
        Ok(self.gate.held().clone())
    }
}

struct Consumer {
    name_servers: String,
    topic: Arc<str>,
    group: Arc<str>,
    gate: Arc<Gate>,
    ledger: Arc<Ledger>,
}

impl Consumer {
    async fn start(&self) -> Result<(rmq::Client, PushConsumer), CliError> {
        let client = rmq::Client::connect(&self.name_servers).await?;
        let (gate, ledger) = (self.gate.clone(), self.ledger.clone());
        let consumer = client
            .push_consumer(self.group.clone())
            .subscribe(self.topic.clone(), "*")
            .consume_from(ConsumeFrom::FirstOffset)
            .workers(HANDLERS, move |message| gate.clone().handle(ledger.clone(), message))
            .await?;
        Ok((client, consumer))
    }
}

fn live_and_die(
    consumer: &Consumer,
    started: oneshot::Sender<Result<(), CliError>>,
    cut: oneshot::Receiver<()>,
    gone: oneshot::Sender<()>,
) {
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            drop(started.send(Err(CliError::Failed(format!("no runtime for the second consumer: {error}")))));
            return;
        }
    };
    let handles = runtime.block_on(async {
        let (outcome, handles) = match consumer.start().await {
            Ok(handles) => (Ok(()), Some(handles)),
            Err(failure) => (Err(failure), None),
        };
        if started.send(outcome).is_ok() && handles.is_some() {
            // A demo that gave up has dropped the other end: this is over, too.
            drop(cut.await);
        }
        handles
    });
    // The driver is dropped where it stands and its sockets with it. Only then the handles: what their
    // end asks for, nobody hears.
    runtime.shutdown_background();
    drop(handles);
    // A demo that gave up does not listen.
    let _ = gone.send(());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enough_messages_stay_in_the_victims_hands() {
        for (total, answers) in [(2_000, 300), (3_000, 600), (20_000, 4_000), (10, 0)] {
            let gate = Gate::new(total);
            assert_eq!((0..total).filter(|_| gate.may_answer()).count(), answers, "{total}");
        }
    }
}
