//! How long consuming stands still after a fault: a start, connections that are reset, a broker that is
//! killed and started again. Prints figures beside their bars; exit code 1 when one is missed.
//!
//! ```sh
//! cargo run -p rocketmq-conformance --bin faults            # on the dev broker: all but the kill
//! RMQ_APACHE=1 RMQ_NAMESRV=127.0.0.1:9876 RMQ_APACHE_CONTROL=tests/apache/broker.sh \
//!     cargo run -p rocketmq-conformance --bin faults        # on Apache RocketMQ
//! ```

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "a program that prints figures")]

use std::collections::BTreeMap;
use std::env;
use std::process::{Command, ExitCode};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use rocketmq_client_core::consumer::Ack;
use rocketmq_client_core::driver::{Client, Producer, PushConsumer};
use rocketmq_client_core::message::{Message, MessageQueue};
use rocketmq_conformance::{Adapter, Place, Scenario, Verdict};

const QUEUES: i32 = 8;
const STARTS: usize = 20;
const RESETS: usize = 8;
const KILLS: usize = 3;
const START_BAR: Duration = Duration::from_millis(100);
const STALL_BAR: Duration = Duration::from_secs(10);
/// Between two messages of the load.
const LOAD_PAUSE: Duration = Duration::from_millis(4);
/// Longer than anything here may take.
const PATIENCE: Duration = Duration::from_secs(120);

/// When each queue was last consumed from, and the longest time between two messages of one.
#[derive(Clone, Default)]
struct Gaps(Arc<Mutex<BTreeMap<i32, Gap>>>);

#[derive(Clone, Copy)]
struct Gap {
    last: Instant,
    longest: Duration,
    count: u64,
}

impl Gaps {
    fn lock(&self) -> std::sync::MutexGuard<'_, BTreeMap<i32, Gap>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn put(&self, queue: i32) {
        let now = Instant::now();
        let mut gaps = self.lock();
        let gap = gaps.entry(queue).or_insert(Gap { last: now, longest: Duration::ZERO, count: 0 });
        gap.longest = gap.longest.max(now - gap.last);
        gap.last = now;
        gap.count += 1;
    }

    fn longest(&self) -> Duration {
        let now = Instant::now();
        self.lock().values().map(|gap| gap.longest.max(now - gap.last)).max().unwrap_or_default()
    }

    fn counts(&self) -> BTreeMap<i32, u64> {
        self.lock().iter().map(|(queue, gap)| (*queue, gap.count)).collect()
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match measure().await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(failure) => {
            eprintln!("{failure:?}");
            ExitCode::FAILURE
        }
    }
}

async fn measure() -> Verdict<bool> {
    let kind = Place::kinds()?.into_iter().rfind(|kind| Adapter::TokioMultiThread.reaches(kind));
    let place = Arc::new(kind.ok_or("no broker")?.open()?);
    println!("on {place}, {QUEUES} queues; min / median / max");
    let s = Scenario::new(place.clone(), Adapter::TokioMultiThread, format!("faults-{}", std::process::id()));
    let mut ok = row("start of a consumer to its first message", START_BAR, starts(&s).await?);
    ok &= row("eight resets in a row: longest stall of a queue", STALL_BAR, resets(&s).await?);
    if let Ok(control) = env::var("RMQ_APACHE_CONTROL") {
        ok &= row("broker killed, ready again: every queue consumed", STALL_BAR, kills(&s, &control).await?);
        ok &= row("tail lost, ready again: its places consumed", STALL_BAR, lost_tails(&s, &control).await?);
    }
    s.close().await?;
    Ok(ok)
}

fn row(what: &str, bar: Duration, mut times: Vec<Duration>) -> bool {
    times.sort_unstable();
    let (min, median, max) = (times[0], times[times.len() / 2], times[times.len() - 1]);
    let ok = max <= bar;
    let verdict = if ok { "ok" } else { "MISSED" };
    println!("{what:<50} {min:>9.1?} {median:>9.1?} {max:>9.1?}   bar {bar:?}: {verdict}");
    ok
}

/// From the call that starts a consumer to the first call of its handler, group and messages being there.
async fn starts(s: &Scenario) -> Verdict<Vec<Duration>> {
    let (topic, group) = (s.topic(QUEUES).await?, s.name("group"));
    let producer = s.producer(&s.client().await?)?;
    let mut times = Vec::new();
    for round in 0..=STARTS {
        s.send(&producer, &topic, &format!("round-{round}"), 16).await?;
        let client = s.client().await?;
        let (told, mut first) = tokio::sync::mpsc::unbounded_channel();
        let begun = Instant::now();
        let starting = s.group(&client, &group, &topic).workers(4, move |_| {
            // Nobody listens after the first.
            let _ = told.send(Instant::now());
            async { Ack::Done }
        });
        let consumer = starting.await?;
        let first = tokio::time::timeout(PATIENCE, first.recv()).await?.ok_or("no message")?;
        if round > 0 {
            times.push(first - begun);
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        consumer.close().await?;
        client.close().await?;
    }
    Ok(times)
}

/// Sends to every queue in turn until it is dropped.
fn load(producer: Producer, topic: String, broker: Arc<str>) -> tokio::task::AbortHandle {
    let running = tokio::spawn(async move {
        for number in 0.. {
            let queue = MessageQueue {
                topic: (&*topic).into(),
                broker_name: broker.clone(),
                queue_id: number % QUEUES,
            };
            // What fails is not there to be consumed, and is not waited for.
            let send = producer.send_to(Message::new(&*topic, format!("{number}")), queue);
            tokio::spawn(send);
            tokio::time::sleep(LOAD_PAUSE).await;
        }
    });
    running.abort_handle()
}

async fn watch(s: &Scenario, client: &Client, topic: &str) -> Verdict<(PushConsumer, Gaps)> {
    let gaps = Gaps::default();
    let seen = gaps.clone();
    let starting = s.group(client, &s.name("group"), topic).workers(4, move |message| {
        if !message.queue().topic.starts_with('%') {
            seen.put(message.queue().queue_id);
        }
        async { Ack::Done }
    });
    Ok((starting.await?, gaps))
}

async fn broker_of(producer: &Producer, topic: &str) -> Verdict<Arc<str>> {
    Ok(producer.send(Message::new(topic, "where")).await?.queue.broker_name.clone())
}

/// The longest time that any queue was not consumed from while connections were reset.
async fn resets(s: &Scenario) -> Verdict<Vec<Duration>> {
    let mut times = Vec::new();
    for pause in [Duration::from_millis(100), Duration::from_millis(500), Duration::from_millis(1_500)] {
        let topic = s.topic(QUEUES).await?;
        let producer = s.producer(&s.client().await?)?;
        let broker = broker_of(&producer, &topic).await?;
        let detour = s.detour()?;
        let client = s.client_by(&detour).await?;
        let loading = load(producer, topic.clone(), broker);
        let (consumer, gaps) = watch(s, &client, &topic).await?;
        tokio::time::sleep(Duration::from_secs(2)).await;
        for _ in 0..RESETS {
            let _ = detour.cut_brokers();
            tokio::time::sleep(pause).await;
        }
        tokio::time::sleep(Duration::from_secs(12)).await;
        times.push(gaps.longest());
        loading.abort();
        consumer.close().await?;
    }
    Ok(times)
}

/// From when a broker that was killed is ready again until every queue has brought a message.
async fn kills(s: &Scenario, control: &str) -> Verdict<Vec<Duration>> {
    let mut times = Vec::new();
    for _ in 0..KILLS {
        let topic = s.topic(QUEUES).await?;
        let producer = s.producer(&s.client().await?)?;
        let broker = broker_of(&producer, &topic).await?;
        let client = s.client().await?;
        let loading = load(producer, topic.clone(), broker);
        let (consumer, gaps) = watch(s, &client, &topic).await?;
        tokio::time::sleep(Duration::from_secs(8)).await;
        broker_control(control, "kill-broker").await?;
        tokio::time::sleep(Duration::from_secs(3)).await;
        let gone = gaps.counts();
        broker_control(control, "start-broker").await?;
        let ready = Instant::now();
        let again = async {
            while gaps.counts().iter().any(|(queue, count)| gone.get(queue) == Some(count)) {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        if tokio::time::timeout(PATIENCE, again).await.is_err() {
            eprintln!("{}", consumer.health().await?);
        }
        times.push(ready.elapsed());
        loading.abort();
        consumer.close().await?;
        client.close().await?;
    }
    Ok(times)
}

/// From when a broker that lost its newest messages is ready again until those are consumed that took their places.
/// What handlers had of the queue meanwhile is finished, and the commit goes where the queue ends.
async fn lost_tails(s: &Scenario, control: &str) -> Verdict<Vec<Duration>> {
    const KEPT: i64 = 10;
    const LOST: usize = 5;
    let mut times = Vec::new();
    for in_hand in [false, true] {
        let (topic, group) = (s.topic(1).await?, s.name("group"));
        let producer = s.producer(&s.client().await?)?;
        let client = s.client().await?;
        let mut stream = s.group(&client, &group, &topic).stream().await?;
        s.send(&producer, &topic, "kept", 10).await?;
        for _ in 0..KEPT {
            stream.next().await.ok_or("the stream ended")?.ack();
        }
        let committed = |offset| Ok(s.admin().committed_offset(&group, &topic, 0)? == Some(offset));
        s.eventually("the first ones to be committed", || committed(KEPT)).await?;
        broker_control(control, "keep-store").await?;
        s.send(&producer, &topic, "lost", LOST).await?;
        let mut lost = Vec::new();
        for _ in 0..LOST {
            lost.push(stream.next().await.ok_or("the stream ended")?);
        }
        if !in_hand {
            lost.drain(..).for_each(|message| message.ack());
            s.eventually("all to be committed", || committed(KEPT + 5)).await?;
        }
        broker_control(control, "lose-tail").await?;
        broker_control(control, "start-broker").await?;
        let ready = Instant::now();
        s.send(&producer, &topic, "fresh", 3).await?;
        let (mut expected, mut again) = (KEPT, 0);
        while expected < KEPT + 3 {
            let message = tokio::time::timeout(PATIENCE, stream.next()).await?.ok_or("the stream ended")?;
            let offset = message.queue_offset();
            message.ack();
            // Brokers of 4.x name the nearest message by time, so that one may come twice.
            again += i32::from(offset == KEPT - 1);
            if again > 1 || ![KEPT - 1, expected].contains(&offset) {
                return Err(format!("{offset} came where {expected} was to").into());
            }
            expected = expected.max(offset + 1);
        }
        times.push(ready.elapsed());
        lost.into_iter().for_each(|message| message.ack());
        s.eventually("the new end to be committed", || committed(KEPT + 3)).await?;
        stream.close().await?;
        client.close().await?;
    }
    Ok(times)
}

async fn broker_control(control: &str, command: &'static str) -> Verdict {
    let mut control = Command::new(control);
    control.arg(command);
    let status = tokio::task::spawn_blocking(move || control.status()).await??;
    if status.success() { Ok(()) } else { Err(format!("{command} ended with {status}").into()) }
}
