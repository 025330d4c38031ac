//! Prints messages until Ctrl-C: `cargo run --example consume -- 127.0.0.1:9876 TopicTest`.

#![expect(clippy::print_stdout, reason = "it shows what happens")]

use rocketmq_client_tokio as rmq;

#[tokio::main(flavor = "current_thread")]
async fn main() -> rmq::Result<()> {
    let mut words = std::env::args().skip(1);
    let mut word = |default: &str| words.next().unwrap_or_else(|| default.to_owned());
    let client = rmq::Client::connect(&*word("127.0.0.1:9876")).await?;
    let group = client.push_consumer("demo-consumers").subscribe(word("TopicTest"), "*");
    let running = group.run(async |message| {
        println!("{message}");
        rmq::Ack::Done
    });
    let report = running.until(tokio::signal::ctrl_c()).await?;
    println!("{report}");
    Ok(())
}
