//! How often the client asks for memory: for a message that is sent, from the call to its receipt, and for
//! one that is delivered, from the frame to its settled delivery. One test alone in its process, since the
//! allocator counts for all; the server is another process.

use std::alloc::System;
use std::future::ready;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use rmq::{Ack, Client, ConsumeFrom, Message, Producer};
use rocketmq_client_tokio as rmq;
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, Stats, StatsAlloc};
use tokio::sync::Notify;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const WARM_UP: u64 = 4_096;
const COUNTED: u64 = 8_192;
const WINDOW: usize = 64;
const QUEUES: u64 = 8;

/// Allocations for a sent message; growing counts as one. Lower it when the client needs fewer.
const SENT_MAX: f64 = 2.1;
/// Allocations for a delivered message.
const DELIVERED_MAX: f64 = 0.3;

struct NullServer(Child);

impl NullServer {
    fn start() -> (Self, String) {
        let per_queue = ((WARM_UP + COUNTED) / QUEUES).to_string();
        let mut child = Command::new(env!("CARGO_BIN_EXE_rmq"))
            .args(["bench", "null-server", "--queues", &QUEUES.to_string(), "--messages", &per_queue])
            .stdout(Stdio::piped())
            .spawn()
            .expect("the binary runs");
        let mut line = String::new();
        let stdout = child.stdout.take().expect("a pipe");
        BufReader::new(stdout).read_line(&mut line).expect("a line");
        let address = line.strip_prefix("name server ").and_then(|rest| rest.split_once(','));
        let address = address.expect("an address").0.to_owned();
        (Self(child), address)
    }
}

impl Drop for NullServer {
    fn drop(&mut self) {
        self.0.kill().and_then(|()| self.0.wait()).expect("the server ends");
    }
}

fn total(stats: &Stats) -> f64 {
    (stats.allocations + stats.reallocations) as f64
}

async fn send_all(producer: &Producer, count: u64) {
    let (topic, body): (Arc<str>, _) = ("T".into(), Bytes::from(vec![b'm'; 128]));
    let mut window = std::collections::VecDeque::with_capacity(WINDOW);
    for _ in 0..count {
        if window.len() == WINDOW {
            let first: rmq::Operation<_> = window.pop_front().expect("the window is full");
            first.await.expect("a receipt");
        }
        window.push_back(producer.send(Message::new(topic.clone(), body.clone())));
    }
    for operation in window {
        operation.await.expect("a receipt");
    }
}

async fn per_sent_message(client: &Client) -> f64 {
    let producer = client.producer("g").build().expect("a producer");
    send_all(&producer, WARM_UP).await;
    let region = Region::new(ALLOCATOR);
    send_all(&producer, COUNTED).await;
    total(&region.change()) / COUNTED as f64
}

async fn per_delivered_message(client: &Client) -> f64 {
    static BEGAN: OnceLock<Stats> = OnceLock::new();
    static ENDED: OnceLock<Stats> = OnceLock::new();
    let (seen, ended) = (AtomicU64::new(0), Arc::new(Notify::new()));
    let end = ended.clone();
    let builder = client.push_consumer("c").subscribe("T", "*").consume_from(ConsumeFrom::FirstOffset);
    let consumer = builder.workers(2, move |_| {
        match seen.fetch_add(1, Ordering::Relaxed) + 1 {
            WARM_UP => {
                let _ = BEGAN.set(ALLOCATOR.stats());
            }
            number if number == WARM_UP + COUNTED => {
                let _ = ENDED.set(ALLOCATOR.stats());
                end.notify_one();
            }
            _ => {}
        }
        ready(Ack::Done)
    });
    let consumer = consumer.await.expect("a consumer");
    ended.notified().await;
    consumer.close().await.expect("an end");
    let (began, ended) = (BEGAN.get().expect("began"), ENDED.get().expect("ended"));
    (total(ended) - total(began)) / COUNTED as f64
}

#[test]
fn a_message_asks_for_memory_a_bounded_number_of_times() {
    let (_server, address) = NullServer::start();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (sent, delivered) = runtime.block_on(async {
        let client = Client::connect(&address).await.expect("a client");
        let sent = per_sent_message(&client).await;
        let delivered = per_delivered_message(&client).await;
        client.close().await.expect("an end");
        (sent, delivered)
    });
    println!("allocations: {sent:.2} for a sent message, {delivered:.2} for a delivered one");
    assert!(sent <= SENT_MAX, "{sent} allocations for a sent message, more than {SENT_MAX}");
    assert!(delivered <= DELIVERED_MAX, "{delivered} for a delivered message, more than {DELIVERED_MAX}");
}
