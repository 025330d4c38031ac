//! [`Reset`]: what an operator wants a group to do.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::{Consumers, PushConsumer};
use crate::message::MessageQueue;
use crate::remoting::{JsonError, RemotingCommand, ResetOffsetBody, ResetOffsetRequestHeader};
use crate::shared::Shared;
use crate::time::Instant;

/// Where a group is to begin again on queues of a topic. Java: `ResetOffsetRequestHeader`, `ResetOffsetBody`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reset {
    /// The group.
    pub group: String,
    /// The topic.
    pub topic: String,
    /// Offsets by queue.
    pub offsets: BTreeMap<MessageQueue, i64>,
}

/// Why such a request can't be read.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum UnreadableReset {
    /// Its header lacks something.
    #[error(transparent)]
    Header(#[from] crate::remoting::HeaderError),
    /// Its body is no table of offsets.
    #[error(transparent)]
    Body(#[from] JsonError),
}

impl Reset {
    /// Reads request 220, whose table has queues as keys or is a list.
    ///
    /// # Errors
    /// What can't be read.
    pub fn read(command: &RemotingCommand) -> Result<Self, UnreadableReset> {
        let header: ResetOffsetRequestHeader<'_> = command.header()?;
        let body = ResetOffsetBody::decode_any(&command.body)?;
        let (group, topic) = ((*header.group).to_owned(), (*header.topic).to_owned());
        Ok(Self { group, topic, offsets: body.offset_table })
    }
}

/// The queues of a request that it does nothing to.
#[derive(Debug, Default)]
struct LeftOut<'a> {
    /// Not owned here.
    elsewhere: Vec<&'a MessageQueue>,
    /// Of another topic than the request's.
    of_other_topics: Vec<&'a MessageQueue>,
    /// With an offset that is none.
    nonsense: Vec<&'a MessageQueue>,
}

impl LeftOut<'_> {
    /// One sentence for all of them, with the first of each kind.
    fn tell(&self) -> Option<String> {
        let mut reason = String::new();
        for (queues, what) in [
            (&self.elsewhere, "not owned by this member"),
            (&self.of_other_topics, "of another topic"),
            (&self.nonsense, "with a negative offset or none"),
        ] {
            if let Some(first) = queues.first() {
                reason += &format!("{} queues {what}, the first {first}; ", queues.len());
            }
        }
        (!reason.is_empty()).then(|| reason.trim_end_matches("; ").to_owned())
    }
}

impl Consumers {
    /// An operator has reset a group.
    ///
    /// # Errors
    /// What of it does not count here: another member owns the queues, or the group is none of this client.
    pub fn handle_reset(&mut self, shared: &mut Shared, now: Instant, reset: &Reset) -> Result<(), String> {
        let mut left_out = LeftOut::default();
        let mut known = false;
        self.each(|consumer: &mut PushConsumer| {
            if *consumer.config().group != *reset.group {
                return;
            }
            known = true;
            for (queue, offset) in &reset.offsets {
                if *queue.topic != *reset.topic {
                    left_out.of_other_topics.push(queue);
                } else if *offset < 0 {
                    left_out.nonsense.push(queue);
                } else if !consumer.handle_reset(shared, now, queue, *offset) {
                    left_out.elsewhere.push(queue);
                }
            }
        });
        if !known {
            return Err(format!("group {} has no consumer in this client", reset.group));
        }
        left_out.tell().map_or(Ok(()), Err)
    }
}
