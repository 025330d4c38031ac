//! What a group subscribes to, as brokers are told and as messages are checked here.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;

use crate::config::{ConsumeFrom, MessageModel, PushConsumerConfig};
use crate::error::UsageError;
use crate::remoting::{ConsumerData, SubscriptionData};
use crate::time::Timestamp;

/// The subscription of one topic.
#[derive(Clone, Debug)]
pub(super) struct Subscription {
    pub(super) data: SubscriptionData,
}

impl Subscription {
    /// Whether a message with this tag is wanted. Brokers compare hashes, which can be equal for
    /// different tags. Java: `PullAPIWrapper#processPullResult`.
    pub(super) fn wants(&self, tag: Option<&str>) -> bool {
        let tags = &self.data.tags_set;
        tags.is_empty() || tag.is_some_and(|tag| tags.iter().any(|wanted| &**wanted == tag))
    }
}

/// The user's subscriptions and the group's retry topic. They share a version, the wall time: brokers
/// let a subscription replace one with a smaller version only.
pub(super) fn all(
    config: &PushConsumerConfig,
    retry_topic: &Arc<str>,
    wall: Timestamp,
) -> Result<BTreeMap<Arc<str>, Subscription>, UsageError> {
    let everything: Arc<str> = Arc::from("*");
    let retry = core::iter::once((retry_topic, &everything));
    config
        .subscriptions
        .iter()
        .chain(retry)
        .map(|(topic, expression)| {
            let mut data = SubscriptionData::build(topic, expression).map_err(|_| UsageError::Expression {
                topic: topic.clone(),
                expression: expression.clone(),
            })?;
            data.sub_version = wall.as_millis();
            Ok((topic.clone(), Subscription { data }))
        })
        .collect()
}

/// The group's part of a heartbeat.
pub(super) fn consumer_data<'a>(
    config: &PushConsumerConfig,
    subscriptions: impl Iterator<Item = &'a Subscription>,
) -> ConsumerData {
    ConsumerData {
        group_name: config.group.clone(),
        consume_type: "CONSUME_PASSIVELY".into(),
        message_model: match config.message_model {
            MessageModel::Clustering => "CLUSTERING".into(),
        },
        consume_from_where: match config.consume_from {
            ConsumeFrom::LastOffset => "CONSUME_FROM_LAST_OFFSET".into(),
            ConsumeFrom::FirstOffset => "CONSUME_FROM_FIRST_OFFSET".into(),
            ConsumeFrom::Timestamp(_) => "CONSUME_FROM_TIMESTAMP".into(),
        },
        subscription_data_set: subscriptions.map(|subscription| subscription.data.clone()).collect(),
        unit_mode: false,
    }
}
