//! What a group subscribes to, as brokers are told of it, and which messages are wanted.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use bytes::Bytes;

use crate::config::{ConsumeFrom, MessageModel, PushConsumerConfig};
use crate::error::UsageError;
use crate::message::java_trim;
use crate::output::pulled::Record;
use crate::remoting::{self, ConsumeFromWhere, ConsumeType, ConsumerData, SUB_ALL, SubscriptionData};
use crate::time::Timestamp;

/// The user's subscriptions and the group's retry topic. They share a version, the wall time: brokers
/// let a subscription replace one with a smaller version only.
pub(super) fn all(
    config: &PushConsumerConfig,
    retry_topic: &Arc<str>,
    wall: Timestamp,
) -> Result<BTreeMap<Arc<str>, SubscriptionData>, UsageError> {
    let written = config.subscriptions.iter();
    if let Some((topic, expression)) = written.clone().find(|(_, expression)| misleads(expression)) {
        return Err(UsageError::Expression { topic: topic.clone(), expression: expression.clone() });
    }
    let everything: Arc<str> = Arc::from(SUB_ALL);
    let retry = core::iter::once((retry_topic, &everything));
    let subscriptions = written.chain(retry);
    subscriptions
        .map(|(topic, expression)| {
            let data = SubscriptionData::build(topic.clone(), Some(expression), None, wall);
            let wrong = |_| UsageError::Expression { topic: topic.clone(), expression: expression.clone() };
            Ok((topic.clone(), data.map_err(wrong)?))
        })
        .collect()
}

/// Whether a filter that somebody wrote selects something else than it says: `*` with anything besides is the
/// tag `*`, which no message has, and one of blanks and separators selects nothing. Java builds both, and
/// members must build the same, so a filter is refused instead of being read in another way.
fn misleads(expression: &str) -> bool {
    if expression.is_empty() || expression == SUB_ALL {
        return false;
    }
    let mut tags = expression.split("||").map(java_trim).filter(|tag| !tag.is_empty()).peekable();
    tags.peek().is_none() || tags.any(|tag| tag == SUB_ALL)
}

/// Whether a message is wanted, by its tag. Brokers compare hashes, which can be equal for different
/// tags, so the tags themselves are compared again. Java: `PullAPIWrapper#processPullResult`.
/// What can't be read is wanted: somebody has to deal with it.
pub(super) fn wants(subscription: &SubscriptionData, record: &Record, body: &Bytes) -> bool {
    subscription.tags_set.is_empty()
        || record.error().is_some()
        || record.tags(body).is_some_and(|tag| subscription.tags_set.contains(&*tag))
}

/// The group's part of a heartbeat.
pub(super) fn consumer_data<'a>(
    config: &PushConsumerConfig,
    subscriptions: impl Iterator<Item = &'a SubscriptionData>,
) -> ConsumerData {
    ConsumerData {
        group_name: config.group.clone(),
        consume_type: ConsumeType::ConsumePassively,
        message_model: match config.message_model {
            MessageModel::Clustering => remoting::MessageModel::Clustering,
        },
        consume_from_where: match config.consume_from {
            ConsumeFrom::LastOffset => ConsumeFromWhere::LastOffset,
            ConsumeFrom::FirstOffset => ConsumeFromWhere::FirstOffset,
            ConsumeFrom::Timestamp(_) => ConsumeFromWhere::Timestamp,
        },
        subscription_data_set: Some(subscriptions.cloned().collect()),
        ..ConsumerData::default()
    }
}
