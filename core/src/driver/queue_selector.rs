//! A user's function that chooses the queue of a message. Java: `MessageQueueSelector`.

use alloc::sync::Arc;
use core::fmt;

use bytes::Bytes;

use super::compress::inflate;
use super::responder::{Reply, Responder, caught};
use crate::client::{Answer, OutboundMessage, Question};
use crate::message::properties::find;
use crate::message::{MessageQueue, property};

/// A message on its way out, as a queue selector sees it.
#[derive(Clone, Copy, Debug)]
pub struct MessageView<'a> {
    message: &'a OutboundMessage,
}

impl<'a> MessageView<'a> {
    /// The topic.
    #[must_use]
    pub fn topic(&self) -> &'a str {
        &self.message.topic
    }

    /// The body as the user gave it; one that was compressed on its way is inflated by each call.
    #[must_use]
    pub fn body(&self) -> Bytes {
        inflate(self.message.sys_flag, &self.message.body, usize::MAX)
            .expect("this client has compressed it itself")
    }

    /// The tag, if there is one.
    #[must_use]
    pub fn tags(&self) -> Option<&'a str> {
        self.property(property::TAGS)
    }

    /// The index keys, one by one.
    pub fn keys(&self) -> impl Iterator<Item = &'a str> + use<'a> {
        let keys = self.property(property::KEYS).unwrap_or_default();
        keys.split(property::KEY_SEPARATOR).filter(|key| !key.is_empty())
    }

    /// The key by which messages are ordered among each other, if there is one.
    #[must_use]
    pub fn sharding_key(&self) -> Option<&'a str> {
        self.property(property::SHARDING_KEY)
    }

    /// The property `name`, the protocol's included.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&'a str> {
        find(&self.message.properties, name)
    }

    /// The user's flag.
    #[must_use]
    pub fn flag(&self) -> i32 {
        self.message.flag
    }
}

type Select = dyn Fn(&MessageView<'_>, &[Arc<MessageQueue>]) -> usize + Send + Sync;

/// Answers a producer's questions by a user's function.
#[derive(Clone)]
pub(super) struct QueueSelector {
    select: Arc<Select>,
}

impl fmt::Debug for QueueSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("QueueSelector")
    }
}

impl QueueSelector {
    pub(super) fn new(
        select: impl Fn(&MessageView<'_>, &[Arc<MessageQueue>]) -> usize + Send + Sync + 'static,
    ) -> Self {
        Self { select: Arc::new(select) }
    }
}

impl Responder for QueueSelector {
    fn respond(&self, question: Question, reply: Reply) {
        match question {
            Question::SelectQueue { message, queues } => reply
                .tell(caught(|| Answer::Queue((self.select)(&MessageView { message: &message }, &queues)))),
        }
    }
}
