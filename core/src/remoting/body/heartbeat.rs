//! Heartbeats: which groups a client belongs to.

use super::{SubscriptionData, bodies, names};
use crate::message::java_string_hash;
use alloc::{sync::Arc, vec::Vec};

names! {
    /// How messages reach a consumer. Java: `ConsumeType`.
    ConsumeType {
        /// The user pulls.
        ConsumeActively = "CONSUME_ACTIVELY",
        /// The client pulls and pushes to the user.
        ConsumePassively = "CONSUME_PASSIVELY",
        /// The client pops.
        ConsumePop = "CONSUME_POP",
    }

    /// Whether the members of a group share messages. Java: `MessageModel`.
    MessageModel {
        /// Every member gets every message.
        Broadcasting = "BROADCASTING",
        /// Every message goes to one member.
        Clustering = "CLUSTERING",
    }

    /// Where a group starts in a queue it has no offset of. Java: `ConsumeFromWhere`.
    ConsumeFromWhere {
        /// After the last message.
        LastOffset = "CONSUME_FROM_LAST_OFFSET",
        /// At the first message.
        FirstOffset = "CONSUME_FROM_FIRST_OFFSET",
        /// At the first message stored at a time.
        Timestamp = "CONSUME_FROM_TIMESTAMP",
        /// Deprecated; as [`Self::LastOffset`].
        LastOffsetAndFromMinWhenBootFirst = "CONSUME_FROM_LAST_OFFSET_AND_FROM_MIN_WHEN_BOOT_FIRST",
        /// Deprecated; as [`Self::LastOffset`].
        MinOffset = "CONSUME_FROM_MIN_OFFSET",
        /// Deprecated; as [`Self::LastOffset`].
        MaxOffset = "CONSUME_FROM_MAX_OFFSET",
    }
}

bodies! {
    /// What a client tells its brokers every 30 seconds.
    HeartbeatData [Eq] {
        /// Who tells.
        client_id: "clientID" Arc<str>,
        /// Its consumers, one a group.
        consumer_data_set: "consumerDataSet" Vec<ConsumerData>,
        /// [`HeartbeatData::fingerprint`], or 0 for a heartbeat that always says everything.
        heartbeat_fingerprint: "heartbeatFingerprint" i32,
        /// Its producers, one a group.
        producer_data_set: "producerDataSet" Vec<ProducerData>,
        /// Whether subscriptions are left out, since the broker knows the fingerprint.
        without_sub: "withoutSub" bool,
    }

    /// One group that a client consumes for.
    ConsumerData [Eq] {
        /// Where it starts in queues that are new to it.
        consume_from_where: "consumeFromWhere" ConsumeFromWhere = ConsumeFromWhere::LastOffset,
        /// How messages reach it.
        consume_type: "consumeType" ConsumeType = ConsumeType::ConsumePassively,
        /// The group.
        group_name: "groupName" Arc<str>,
        /// Whether its members share messages.
        message_model: "messageModel" MessageModel = MessageModel::Clustering,
        /// What it subscribes to; absent in a heartbeat without subscriptions.
        subscription_data_set: "subscriptionDataSet" Option<Vec<SubscriptionData>>,
        /// Whether it is routed by unit.
        unit_mode: "unitMode" bool,
    }

    /// One group that a client produces for.
    ProducerData [Eq] {
        /// The group.
        group_name: "groupName" Arc<str>,
    }

    /// Asks a broker whether a subscription's expression can be parsed.
    CheckClientRequestBody [Eq] {
        /// Who asks.
        client_id: "clientId" Arc<str>,
        /// Its group.
        group: "group" Arc<str>,
        /// The server-side namespace.
        namespace: "namespace" Option<Arc<str>>,
        /// The subscription.
        subscription_data: "subscriptionData" Option<SubscriptionData>,
    }
}

impl HeartbeatData {
    /// What tells two heartbeats apart, whoever sends them and however old their subscriptions are.
    /// Java: `HeartbeatData#computeHeartbeatFingerprint`.
    #[must_use]
    pub fn fingerprint(&self) -> i32 {
        let mut data = self.clone();
        data.client_id = Arc::from("");
        data.heartbeat_fingerprint = 0;
        data.without_sub = false;
        let subscriptions = data
            .consumer_data_set
            .iter_mut()
            .filter_map(|consumer| consumer.subscription_data_set.as_mut())
            .flatten();
        subscriptions.for_each(|subscription| subscription.sub_version = 0);
        java_string_hash(core::str::from_utf8(&data.encode()).unwrap_or_default())
    }
}
