//! What an attempt puts on the wire.

use alloc::borrow::Cow;
use alloc::sync::Arc;

use crate::channel::{Channels, Keep};
use crate::config::ProducerConfig;
use crate::id::SendId;
use crate::message::MessageQueue;
use crate::message::outbound::OutboundMessage;
use crate::remoting::{Encoder, RequestCode, SendFields, SendMessageRequestHeaderV2, SendTemplate};
use crate::shared::Purpose;
use crate::time::{Instant, Timestamp};

use super::SendKind;
use super::publish_info::TopicPublishInfo;

/// What all sends of a producer to a broker's queues of a topic have in common.
fn template(encoder: &Encoder, config: &ProducerConfig, queue: &MessageQueue, batch: bool) -> SendTemplate {
    let header = SendMessageRequestHeaderV2 {
        producer_group: Cow::Borrowed(&config.group),
        topic: Cow::Borrowed(&queue.topic),
        default_topic: Cow::Borrowed(&config.create_topic_key),
        default_topic_queue_nums: config.default_topic_queue_nums,
        unit_mode: Some(false),
        batch: Some(batch),
        broker_name: Some(Cow::Borrowed(&queue.broker_name)),
        ..SendMessageRequestHeaderV2::default()
    };
    let code = if batch { RequestCode::SEND_BATCH_MESSAGE } else { RequestCode::SEND_MESSAGE_V2 };
    SendTemplate::new(encoder, code, &header, &[])
}

/// What is to go out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Letter<'a> {
    pub(super) id: SendId,
    pub(super) kind: SendKind,
    pub(super) message: &'a OutboundMessage,
    pub(super) born: Timestamp,
    pub(super) batch: bool,
}

impl Letter<'_> {
    /// What is this message's own.
    fn fields(&self, queue: &MessageQueue) -> SendFields<'_> {
        SendFields {
            queue_id: queue.queue_id,
            sys_flag: self.message.sys_flag,
            born_timestamp: self.born.as_millis(),
            flag: self.message.flag,
            properties: &self.message.properties,
            reconsume_times: Some(0),
            ..SendFields::default()
        }
    }
}

/// Sends it to `queue` at `address`.
pub(super) fn put(
    channels: &mut Channels<Purpose>,
    now: Instant,
    letter: Letter<'_>,
    (config, info): (&ProducerConfig, &mut TopicPublishInfo),
    (queue, address): (&MessageQueue, &Arc<str>),
    (deadline, keep): (Instant, Keep),
) {
    let encoder = channels.encoder();
    let make = || template(encoder, config, queue, letter.batch);
    let template = info.template(&queue.broker_name, letter.batch, make);
    let (fields, body) = (letter.fields(queue), letter.message.body.clone());
    let purpose = Purpose::Send(letter.id);
    match letter.kind {
        SendKind::Answered => {
            channels.send(now, address, (template, &fields, keep), body, deadline, purpose);
        }
        SendKind::Oneway => channels.send_oneway(now, address, template, &fields, body, purpose),
    }
}
