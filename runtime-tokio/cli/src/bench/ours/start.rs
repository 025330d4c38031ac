//! From nothing to the first message.

use std::time::Instant;

use rmq::{ConsumeFrom, Message};
use rocketmq_client_tokio as rmq;
use serde_json::{Value, json};
use tokio::sync::mpsc::unbounded_channel;

use super::connected::Connected;
use crate::bench::args::StartArgs;
use crate::bench::block::Spec;
use crate::bench::stamps::STALL_MAX;
use crate::error::CliError;

/// Connects, sends one message and ends. The process that started this one looks at the clock.
pub(in crate::bench) const PROCESS: u64 = 0;
/// Connects and consumes one message that is there.
pub(in crate::bench) const CONSUMER: u64 = 1;

pub(super) fn run(args: &StartArgs, spec: &Spec) -> Result<Value, CliError> {
    let begun = Instant::now();
    let connected = Connected::connect(&args.common, spec)?;
    if spec.step == PROCESS {
        let producer = connected.client().producer(&*spec.group).build()?;
        connected.block_on(producer.send(Message::new(&*spec.topic, "hello")))?;
        connected.close()?;
        return Ok(json!({ "ms": begun.elapsed().as_secs_f64() * 1e3 }));
    }
    let (came, mut first) = unbounded_channel();
    let builder = connected
        .client()
        .push_consumer(&*spec.group)
        .subscribe(&*spec.topic, "*")
        .consume_from(ConsumeFrom::FirstOffset);
    let consumer = connected.consume(builder, 1, move |_| {
        // Only the first is waited for.
        let _ = came.send(Instant::now());
    })?;
    let came = connected
        .receive(&mut first, STALL_MAX)
        .ok_or_else(|| CliError::Failed(format!("no message came within {} s", STALL_MAX.as_secs())))?;
    let ms = came.saturating_duration_since(begun).as_secs_f64() * 1e3;
    connected.block_on(consumer.close())?;
    connected.close()?;
    Ok(json!({ "ms": ms }))
}
