//! Sends one message: `cargo run --example send -- 127.0.0.1:9876 TopicTest hello`.

#![expect(clippy::print_stdout, reason = "it shows what happens")]

use rocketmq_client_tokio as rmq;

#[tokio::main(flavor = "current_thread")]
async fn main() -> rmq::Result<()> {
    let mut words = std::env::args().skip(1);
    let mut word = |default: &str| words.next().unwrap_or_else(|| default.to_owned());
    let client = rmq::Client::connect(&*word("127.0.0.1:9876")).await?;
    let producer = client.producer("demo-producers").build()?;
    let receipt = producer.send(rmq::Message::new(word("TopicTest"), word("hello"))).await?;
    println!("stored at {receipt}");
    client.close().await
}
