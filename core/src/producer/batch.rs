//! A batch on its way in: encoded once, with the members' unique keys, so that all attempts send the same
//! bytes. From there on it is a send like any other. Java: `DefaultMQProducer#batch`.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;
use core::time::Duration;

use crate::error::UsageError;
use crate::id::{OperationId, ProducerId};
use crate::message::batch::encode_keyed_batch;
use crate::message::id::HexId;
use crate::message::outbound::OutboundMessage;
use crate::message::{InvalidBatch, Message, property};
use crate::output::Outcome;
use crate::producer::queue_choice::QueueChoice;
use crate::shared::Shared;
use crate::time::{Instant, Timestamp};

use super::Producers;
use super::send::{Content, SendKind, SendOrder, push_unique_key};

/// A batch as the user ordered it.
#[derive(Clone, Debug)]
pub struct BatchOrder {
    /// The command to be completed.
    pub operation: OperationId,
    /// By which producer.
    pub producer: ProducerId,
    /// What; [validated](crate::message::validate_batch).
    pub messages: Vec<Message>,
    /// Where to: one queue for all.
    pub choice: QueueChoice,
    /// The budget; the producer's own when `None`.
    pub timeout: Option<Duration>,
}

impl Producers {
    /// A user sends several messages at once.
    pub fn send_batch(&mut self, shared: &mut Shared, now: Instant, order: BatchOrder) {
        let BatchOrder { operation, producer, messages, choice, timeout } = order;
        let born = shared.clock.timestamp(now);
        let (message, first_id) = match encode(shared, &messages, born) {
            Ok(encoded) => encoded,
            Err(error) => return shared.complete(operation, Outcome::Failed(UsageError::from(error).into())),
        };
        // A selector is shown a message as users know it.
        let shown = (choice == QueueChoice::Select).then(|| messages.first().map(shown)).flatten();
        let content = Content::Batch { count: messages.len(), shown };
        let order = SendOrder {
            operation,
            producer,
            message: Box::new(message),
            choice,
            timeout,
            kind: SendKind::Answered,
        };
        self.begin(shared, now, order, (content, first_id, born));
    }
}

/// The batch as one message, and the unique key of its first member. The batch has a key of its own, as in
/// Java: it is the record's where a broker keeps batches whole.
fn encode(
    shared: &mut Shared,
    messages: &[Message],
    born: Timestamp,
) -> Result<(OutboundMessage, HexId), InvalidBatch> {
    let first = messages.first().ok_or(InvalidBatch::Empty)?;
    let mut first_id = None;
    let body = encode_keyed_batch(messages, |key| {
        let id = push_unique_key(shared, born, key);
        first_id.get_or_insert(id);
    })?;
    let first_id = first_id.ok_or(InvalidBatch::Empty)?;
    let wait = if first.properties.wait_store_ok() { "true" } else { "false" };
    let mut properties = String::new();
    properties.extend([property::WAIT, "\u{1}", wait, "\u{2}"]);
    push_unique_key(shared, born, &mut properties);
    let message = OutboundMessage { topic: first.topic.clone(), body, flag: 0, sys_flag: 0, properties };
    Ok((message, first_id))
}

fn shown(message: &Message) -> Box<OutboundMessage> {
    let Message { topic, body, flag, properties, .. } = message;
    Box::new(OutboundMessage {
        topic: topic.clone(),
        body: body.clone(),
        flag: *flag,
        sys_flag: 0,
        properties: properties.as_str().into(),
    })
}
